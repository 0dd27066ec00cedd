"""The parameters that estimators share: each declared, documented and constrained once, here."""

import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

T = TypeVar("T")


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
        "d_model": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "d_ff": [Interval(Integral, 1, None, closed="left")],
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
        Cases in a minibatch.
    learning_rate : float, default=3e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=0.05
        Decay of matrices and kernels; biases and norms are left alone.
    schedule : {"cosine", "inverse_square_root", "constant"}, default="cosine"
        Course of the learning rate after its warm-up. "inverse_square_root" is that of the 2017 paper.
    warmup : float, default=0.1
        Share of the steps in which the learning rate rises from 0 to its peak.
    max_grad_norm : float or None, default=1.0
        Gradients of a larger norm are scaled down to it.
    average_decay : float or None, default=0.99
        Decay of the moving average of the weights that predictions use; None uses the last weights.
    early_stopping : bool, default=False
        Hold cases back, stop when their loss no longer falls, and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the training cases that early stopping holds back.
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
        Show a progress bar with the time left and the losses of the last epoch. The logger "tsformer" has a line of
        level INFO at the start and at the end of a fit.
    """

    max_steps: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup: float = 0.1
    max_grad_norm: float | None = 1.0
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
        "max_steps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"cosine", "inverse_square_root", "constant"})],
        "warmup": [Interval(Real, 0, 1, closed="both")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "average_decay": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "refit": ["boolean"],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }


def checked_count(value: Any, name: str) -> int:
    """Return an argument of a method that counts something; ValueError unless it is an int from 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int in the range [1, inf). Got {value!r} instead.")
    return int(value)


def constraints_of(*mixins: type, **own: list[Any]) -> dict[str, list[Any]]:
    """Merge the parameter constraints of the mixins with an estimator's own."""
    merged: dict[str, list[Any]] = {}
    for mixin in mixins:
        merged |= mixin._parameter_constraints  # type: ignore[attr-defined]
    return merged | own


def documents_parameters_of(*mixins: type, without: Collection[str] = ()) -> Callable[[type[T]], type[T]]:
    """Class decorator that puts the mixins' parameters into the estimator's docstring, after its own.

    help() and scikit-learn's HTML view read the Parameters section of the estimator itself only. A parameter that the
    estimator documents itself, because its default is another, is left out, and so are those in `without`.
    """

    def decorate(estimator: type[T]) -> type[T]:
        sections = inspect.cleandoc(estimator.__doc__ or "").split("\n\n")
        own = next(i for i, section in enumerate(sections) if section.startswith("Parameters\n"))
        known = {*without, *re.findall(r"^(\w+) : ", sections[own], flags=re.MULTILINE)}
        entries = [entry for mixin in mixins for name, entry in _parameters(mixin) if name not in known]
        sections[own] = "\n".join([sections[own], *entries])
        estimator.__doc__ = "\n\n".join(sections)
        return estimator

    return decorate


def _parameters(mixin: type) -> list[tuple[str, str]]:
    """Name and text of each entry of a docstring's Parameters section."""
    section = inspect.cleandoc(mixin.__doc__ or "").split("----------\n", 1)[1].split("\n\n", 1)[0]
    entries = re.split(r"^(?=\w+ : )", section, flags=re.MULTILINE)[1:]
    return [(entry.partition(" : ")[0], entry.rstrip("\n")) for entry in entries]
