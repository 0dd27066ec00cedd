"""What the adapters share: the parameters of the estimator that they wrap, and how they pass series to a classifier."""

import abc
import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import tsformer
from tsformer.params import documents_parameters_of

T = TypeVar("T")

SMALL = {"max_steps": 1, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "random_state": 0, "pretrained": None}
DETECTORS: list[dict[str, Any]] = [
    {"window_length": 4},
    {"window_length": 5, "witnesses": "neighbours", "contamination": 0.1},
]


def takes_parameters_of(estimator: type, *, without: Collection[str]) -> Callable[[type[T]], type[T]]:
    """Class decorator that gives an adapter the parameters of an estimator as keywords, and their documentation.

    sktime, aeon and scikit-learn read parameters from the signature of `__init__`, so the one made here carries the
    estimator's, but for those in `without`, which mean nothing in the adapter.
    """
    kept = [p for name, p in inspect.signature(estimator).parameters.items() if name not in without]
    signature = inspect.Signature(kept)

    def decorate(adapter: type[T]) -> type[T]:
        def __init__(self: Any, **params: Any) -> None:
            try:
                bound = signature.bind(**params)
            except TypeError as error:  # as Python words it, which names the class
                raise TypeError(f"{type(self).__name__}.__init__() {error}") from None
            bound.apply_defaults()
            vars(self).update(bound.arguments)
            super(adapter, self).__init__()

        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        __init__.__signature__ = inspect.Signature([own, *kept])  # type: ignore[attr-defined]
        adapter.__init__ = __init__  # type: ignore[method-assign]
        abc.update_abstractmethods(adapter)  # aeon's base has an abstract __init__
        return documents_parameters_of(estimator, without=without)(adapter)

    return decorate


class WrapsClassifier:
    """Fits and asks a `tsformer.TransformerClassifier` of the adapter's parameters."""

    def _fit(self: Any, X: Any, y: NDArray[Any]) -> Any:
        self.channels_ = _channels(X)
        self.estimator_ = tsformer.TransformerClassifier(**self.get_params(deep=False)).fit(_arrays(X), y)
        return self

    def _predict(self: Any, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(_arrays(X, self.channels_))

    def _predict_proba(self: Any, X: Any) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(_arrays(X, self.channels_))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small settings for the package's own tests."""
        return [SMALL, SMALL | {"encoder": "transformer", "n_estimators": 2, "differences": False}]

    _get_test_params = get_test_params  # as aeon calls it


def _channels(X: Any) -> list[str] | None:
    """The names of the channels, None where there are none."""
    names = list(X[0].columns) if isinstance(X[0], pd.DataFrame) else []
    return names if names and all(isinstance(name, str) for name in names) else None


def _arrays(X: Any, fitted: list[str] | None = None) -> Any:
    """Series as tsformer takes them: channels before time, which frames of sktime have the other way round.

    Their names must be those that fit saw, where both have some.
    """
    if fitted is not None and (found := _channels(X)) is not None and found != fitted:
        raise ValueError(f"X must have the channels that fit saw, in their order: {fitted}. Got {found}.")
    return X if isinstance(X, np.ndarray) else [np.asarray(c).T if isinstance(c, pd.DataFrame) else c for c in X]
