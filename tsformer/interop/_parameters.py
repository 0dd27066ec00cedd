"""The parameters of an estimator, given to the adapter that wraps it."""

import abc
import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from tsformer.params import documents_parameters_of

T = TypeVar("T")

SMALL: dict[str, Any] = {"max_steps": 1, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "random_state": 0}
# For the packages' own tests.
SMALL_CLASSIFIERS = [
    SMALL | {"pretrained": None},
    SMALL | {"pretrained": None, "encoder": "transformer", "n_estimators": 2, "differences": False},
]


def takes_parameters_of(estimator: type, *, without: Collection[str] = ()) -> Callable[[type[T]], type[T]]:
    """Class decorator that gives an adapter the parameters of an estimator, with their defaults and documentation.

    sktime, aeon and scikit-learn read the parameters from the signature of `__init__`, so the one made here carries
    the estimator's. The adapter's docstring has an empty Parameters section, which is filled.

    Parameters
    ----------
    estimator : type
        Its parameters are keywords.
    without : collection of str, optional
        Parameters that mean nothing in the adapter.
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
        __init__.__qualname__ = f"{adapter.__qualname__}.__init__"
        adapter.__init__ = __init__  # type: ignore[method-assign]
        abc.update_abstractmethods(adapter)  # aeon's base has an abstract __init__
        return documents_parameters_of(estimator, without=without)(adapter)

    return decorate
