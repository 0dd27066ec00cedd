"""The parameters that estimators share: each declared, documented and constrained once, here."""

import inspect
import re
from collections import ChainMap
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

T = TypeVar("T")

COUNT = Interval(Integral, 1, None, closed="left")
FRACTION = Interval(Real, 0, 1, closed="neither")


@dataclass(kw_only=True, eq=False, repr=False)
class TransformerParams:
    """Shape of the network.

    Parameters
    ----------
    d_model : int, default=64
        Width of a token.
    n_heads : int, default=4
        Attention heads; divides d_model. A head narrower than 16 is slow on CPU.
    n_layers : int, default=2
        Attention blocks.
    d_ff : int, default=128
        Hidden width of the feed-forward networks.
    dropout : float, default=0.0
        Dropout of the residual branches and feed-forward networks.
    """

    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 128
    dropout: float = 0.0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "d_model": [COUNT],
        "n_heads": [COUNT],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "d_ff": [COUNT],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class TrainingParams:
    """How the network is trained.

    Parameters
    ----------
    max_steps : int or "auto", default="auto"
        Optimiser steps. These are minibatches, not passes over the data as in scikit-learn's `max_iter`.
    batch_size : int or "auto", default="auto"
        Cases in a minibatch; where several processes train together, of all of them.
    learning_rate : float, default=3e-3
        Peak learning rate of AdamW; it rises for a tenth of the steps, then falls to 0 by half a cosine.
    weight_decay : float, default=0.05
        Decay of matrices and kernels; biases and norms are left alone.
    average_decay : float or None, default=0.99
        Decay of the moving average of the weights that predictions use; None uses the last weights.
    early_stopping : bool, default=False
        Hold cases back, stop when their loss no longer falls, and keep the best weights.
    validation_fraction : float, default=0.1
        Fraction of the training cases that early stopping holds back.
    n_iter_no_change : int, default=10
        Epochs without a lower validation loss, after the warm-up, after which early stopping stops.
    tol : float, default=1e-4
        A validation loss lower by no more than this does not count as lower.
    refit : bool, default=False
        After early stopping on a part of the training cases, train again on all of them, with a schedule of as many
        steps as it chose.
    warm_start : bool, default=False
        Let fit go on from the weights of the last fit; parameters that shape the network are not looked at again.
    precision : {"float32", "bfloat16"}, default="float32"
        "bfloat16" trains in mixed precision: for GPUs.
    device : str, default="auto"
        "auto" (CUDA where there is one, otherwise the CPU), "cpu", "cuda" or "cuda:<number>".
    random_state : int, RandomState instance or None, default=None
        An int makes results repeatable. The global random states of numpy and torch are never touched.
    verbose : bool, default=False
        Show a progress bar with the time left for all networks and the losses of the last epoch. Without it, a fit of
        ten seconds or more says in a line on stderr about how long it will take, and in another how long it took: in a
        terminal or a notebook, and not in a search, a cross-validation or a backtest. The logger "tsformer" has a line
        of level INFO at the start and at the end of each fit.
    """

    max_steps: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    average_decay: float | None = 0.99
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float = 1e-4
    refit: bool = False
    warm_start: bool = False
    precision: str = "float32"
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_steps": [COUNT, StrOptions({"auto"})],
        "batch_size": [COUNT, StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "average_decay": [FRACTION, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [FRACTION],
        "n_iter_no_change": [COUNT],
        "tol": [Interval(Real, 0, None, closed="left")],
        "refit": ["boolean"],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class ParallelParams:
    """What runs side by side.

    Parameters
    ----------
    n_jobs : int or None, default=None
        How many networks are trained at a time, each in a process of its own on one thread: those of a classifier in
        fit, and those of a forecaster in `backtest(refit=True)`. As in scikit-learn, None is 1 outside of a
        `joblib.parallel_config` and -1 is all cores. A process takes seconds to start. Results are those of one after
        the other, on one thread.
    """

    n_jobs: int | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"n_jobs": [Integral, None]}


def checked_count(value: Any, name: str) -> int:
    """Return an argument of a method that counts something; ValueError unless it is an int from 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int in the range [1, inf). Got {value!r} instead.")
    return int(value)


def values_of(mixin: type, estimator: Any) -> dict[str, Any]:
    """Return those of an estimator's parameters that a mixin declares."""
    return {field.name: getattr(estimator, field.name) for field in fields(mixin)}


def constraints_of(*mixins: type, **own: list[Any]) -> dict[str, list[Any]]:
    """Merge the parameter constraints of the mixins with an estimator's own."""
    return dict(ChainMap(own, *(mixin._parameter_constraints for mixin in mixins)))  # type: ignore[attr-defined]


def documents_parameters_of(*mixins: type, without: Collection[str] = ()) -> Callable[[type[T]], type[T]]:
    """Class decorator that puts the mixins' parameters into the estimator's docstring, after its own.

    help() and scikit-learn's HTML view read the Parameters section of the estimator itself only. Where its default is
    another, the text has that. What the estimator documents itself is left out, and so are those in `without`.
    """

    def decorate(estimator: type[T]) -> type[T]:
        before, own, after = _parameters(estimator)
        shared = {name: entry for mixin in mixins for name, entry in _parameters(mixin)[1].items()}
        for name in vars(estimator).keys() & shared.keys():
            shared[name] = re.sub("default=.*", f"default={vars(estimator)[name]!r}", shared[name], count=1)
        entries = own | {name: entry for name, entry in shared.items() if name not in {*own, *without}}
        estimator.__doc__ = "\n".join([before, *entries.values()]) + after
        return estimator

    return decorate


def _parameters(owner: type) -> tuple[str, dict[str, str], str]:
    """Return the entries of a docstring's Parameters section by name, between what stands before and after them."""
    before, title, rest = inspect.cleandoc(owner.__doc__ or "").partition("Parameters\n----------")
    section, blank, after = rest.partition("\n\n")
    entries = re.split(r"\n(?=\w+ : )", section)[1:]
    return before + title, {entry.partition(" : ")[0]: entry for entry in entries}, blank + after
