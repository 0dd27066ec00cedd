"""TransformerClassifier for aeon: the same estimator behind aeon's interface."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import tsformer
from tsformer.interop._parameters import SMALL_CLASSIFIERS, takes_parameters_of

try:
    from aeon.classification import BaseClassifier
except ImportError as error:
    raise ImportError("tsformer.interop.aeon needs aeon: pip install aeon.") from error


@takes_parameters_of(tsformer.TransformerClassifier, without=["warm_start", "id_col", "time_col"])
class TransformerClassifier(BaseClassifier):
    """Classify multivariate time series by attention: `tsformer.TransformerClassifier` for aeon.

    It takes every collection that aeon knows. Series may differ in length and have missing values. Left out are the
    parameters that could do nothing: `warm_start`, since fit of aeon always starts anew, `id_col` and `time_col`.

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

    def _fit(self, X: Any, y: NDArray[Any]) -> "TransformerClassifier":
        self.estimator_ = tsformer.TransformerClassifier(**self.get_params(deep=False)).fit(X, y)
        return self

    def _predict(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(X)

    def _predict_proba(self, X: Any) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small settings for aeon's own tests."""
        return SMALL_CLASSIFIERS
