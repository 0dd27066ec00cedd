"""TransformerClassifier and TransformerDetector for aeon: the same estimators behind aeon's interfaces."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import tsformer
from tsformer.interop._parameters import DETECTORS, WrapsClassifier, takes_parameters_of

try:
    from aeon.anomaly_detection.series.base import BaseSeriesAnomalyDetector
    from aeon.classification import BaseClassifier
except ImportError as error:
    raise ImportError("tsformer.interop.aeon needs aeon: pip install aeon.") from error


@takes_parameters_of(tsformer.TransformerClassifier, without=["warm_start", "n_jobs", "id_col", "time_col"])
class TransformerClassifier(WrapsClassifier, BaseClassifier):
    """Classify multivariate time series by attention: `tsformer.TransformerClassifier` for aeon.

    It takes every collection that aeon knows; lengths may differ and values be missing. Left out are parameters that
    could do nothing: `warm_start`, since fit of aeon always starts anew, `id_col` and `time_col`; and `n_jobs`, which
    aeon counts in threads.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerClassifier
        The fitted classifier, for its embeddings (`transform`), `attention_maps` and `history_`.

    Examples
    --------
    >>> from aeon.datasets import load_unit_test
    >>> from tsformer.interop.aeon import TransformerClassifier
    >>> X, y = load_unit_test(split="train")
    >>> clf = TransformerClassifier(max_steps=2, random_state=0).fit(X, y)
    >>> clf.predict_proba(X).shape
    (20, 2)
    """

    _tags: ClassVar[dict[str, Any]] = {
        "X_inner_type": ["numpy3D", "np-list"],
        "algorithm_type": "deeplearning",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
    }


class AlongTime(BaseSeriesAnomalyDetector):
    """A detector that is given arrays (channels, time)."""

    def __init__(self) -> None:
        super().__init__(axis=1)


@takes_parameters_of(tsformer.TransformerDetector, without=["id_col", "time_col", "freq"])
class TransformerDetector(AlongTime):
    """Score the time points of series, without labels and without training: `tsformer.TransformerDetector` for aeon.

    `predict` returns scores, higher = more anomalous, NaN where values are missing; `fit_predict` those of the training
    series, of which no window is compared with itself. Axes are those of aeon: time last, unless axis=0. Left out are
    the parameters of frames, `id_col`, `time_col` and `freq`.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerDetector
        The fitted detector, for its `offset_`, the threshold, its labels (`predict`) and `update`.

    Examples
    --------
    >>> import numpy as np
    >>> from tsformer.interop.aeon import TransformerDetector
    >>> x = np.sin(np.arange(400) / 4)
    >>> detector = TransformerDetector().fit(x[:300])
    >>> x[350:355] = 0.0
    >>> bool(340 < detector.predict(x).argmax() < 365)
    True
    """

    _tags: ClassVar[dict[str, Any]] = {
        "X_inner_type": "np.ndarray",
        "algorithm_type": "deeplearning",
        "anomaly_output_type": "anomaly_scores",
        "capability:multivariate": True,
        "capability:missing_values": True,
        "fit_is_empty": False,
        "learning_type:unsupervised": True,
        "learning_type:semi_supervised": True,
    }

    def _fit(self, X: NDArray[Any], y: Any = None) -> Any:
        self.estimator_ = self._new().fit(X)
        return self

    def _predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return -self.estimator_.score_samples(X)

    def _fit_predict(self, X: NDArray[Any], y: Any = None) -> NDArray[np.float64]:
        self.estimator_ = self._new()
        return -self.estimator_.fit_score_samples(X)

    def _new(self) -> tsformer.TransformerDetector:
        return tsformer.TransformerDetector(**self.get_params(deep=False))

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return settings for aeon's own tests, whose series have 20 time points."""
        return DETECTORS
