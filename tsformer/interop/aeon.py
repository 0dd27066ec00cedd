"""TransformerClassifier for aeon: the same estimator behind aeon's interface."""

from typing import Any, ClassVar

import tsformer
from tsformer.interop._parameters import WrapsClassifier, takes_parameters_of

try:
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
