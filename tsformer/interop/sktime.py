"""TransformerClassifier for sktime: the same estimator behind sktime's interface."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sktime.classification.base import BaseClassifier

import tsformer
from tsformer.interop._parameters import takes_parameters_of


@takes_parameters_of(tsformer.TransformerClassifier, without=["warm_start"])
class TransformerClassifier(BaseClassifier):
    """Classify multivariate time series by attention: `tsformer.TransformerClassifier` for sktime.

    It takes every panel that sktime knows. Series may differ in length and have missing values. Of the parameters
    only `warm_start` is left out, since fit of sktime always starts anew.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerClassifier
        The fitted classifier, for its embeddings (`transform`), `attention_maps` and `history_`.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from tsformer.interop.sktime import TransformerClassifier
    >>> X, y = load_unit_test(split="train")
    >>> clf = TransformerClassifier(max_steps=2, random_state=0).fit(X, y)
    >>> clf.predict_proba(X).shape
    (20, 2)
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "tsformer developers",
        "maintainers": "tsformer developers",
        # Arrays stay arrays; all else, of which lengths may differ, becomes a list of frames.
        "X_inner_mtype": ["df-list", "numpy3D"],
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "capability:categorical_in_X": False,
        "capability:predict_proba": True,
        "capability:class_weight": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }

    def _fit(self, X: Any, y: NDArray[Any]) -> "TransformerClassifier":
        self.estimator_ = tsformer.TransformerClassifier(**self.get_params(deep=False)).fit(_arrays(X), y)
        return self

    def _predict(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(_arrays(X))

    def _predict_proba(self, X: Any) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(_arrays(X))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small settings for sktime's own tests."""
        small = {"max_steps": 1, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "random_state": 0}
        return [small, small | {"encoder": "transformer", "n_estimators": 2, "differences": False}]


def _arrays(X: NDArray[Any] | list[pd.DataFrame]) -> NDArray[Any] | list[NDArray[Any]]:
    """Series as tsformer takes them: channels before time."""
    return X if isinstance(X, np.ndarray) else [frame.to_numpy().T for frame in X]
