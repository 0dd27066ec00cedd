"""The training of a classifier's networks: where each begins and its cases enter, a Run for each leaves."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from tsformer.data.batch import Batch, Minibatches
from tsformer.estimators._fitting import ready_to_train, seeded
from tsformer.layers.scaling import SCALERS
from tsformer.models.classifier import Augmentation
from tsformer.params import TrainingParams
from tsformer.training.callbacks import Task
from tsformer.training.loop import EarlyStopping, History, train
from tsformer.training.objectives import Objective
from tsformer.training.optim import SCHEDULES, Schedule, adamw, constant

Network = TypeVar("Network", bound=nn.Module)
Start = Callable[[Batch], Any]  # from the training cases to the network that training begins with
Ensemble = Callable[[list[Any]], list[Any]]  # from the networks trained so far to those that would predict


class Run(NamedTuple):
    """A trained network and how it came about."""

    model: Any
    history: History
    optimizer: torch.optim.Optimizer


class FirstCalls:
    """An augmentation for the first `n_calls` batches; those that come after them are left as they are."""

    def __init__(self, augment: Augmentation, n_calls: int) -> None:
        self.augment = augment
        self.n_calls = n_calls

    def __call__(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return altered x (B, T, C) and mask, or the two as they came."""
        self.n_calls -= 1
        return self.augment(x, observed) if self.n_calls >= 0 else (x, observed)


def check_scaling(scaling: str | Sequence[str]) -> list[str]:
    """Return the names of scalers that the `scaling` parameter holds."""
    names = [scaling] if isinstance(scaling, str) else list(scaling)
    if not names or not set(names) <= set(SCALERS):
        raise ValueError(
            f"The 'scaling' parameter of TransformerClassifier must be one of {sorted(SCALERS)} or a sequence of them. "
            f"Got {scaling!r} instead."
        )
    return names


def go_on_from(model: Network, data: Batch) -> Network:
    """Begin where a fitted network stands, whatever the cases."""
    return copy.deepcopy(model)


def batch_size(params: TrainingParams, n_cases: int) -> int:
    """The `batch_size` parameter, or what "auto" stands for."""
    if params.batch_size == "auto":
        return 16 if n_cases < 1000 else 64
    return params.batch_size


def budget(params: TrainingParams, n_cases: int, n_timepoints: int) -> int:
    """The `max_steps` parameter, or what "auto" stands for."""
    if params.max_steps == "auto":
        in_epochs = 60 * math.ceil(n_cases / batch_size(params, n_cases))
        most = 1200 * 1024 // max(1024, n_timepoints)  # a step on a long series takes long
        return max(400, min(in_epochs, most))
    return params.max_steps


def n_epochs(params: TrainingParams, n_cases: int, n_steps: int) -> int:
    """Epochs, the last of them maybe not whole, that n_steps are."""
    return math.ceil(n_steps / math.ceil(n_cases / batch_size(params, n_cases)))


def run_in_turn(
    starts: Sequence[tuple[Start, int, TrainingParams]],
    data: Batch,
    held_out: Batch | None,
    whole: Batch | None,
    objective: Objective,
    *,
    augment_until: float,
    device: torch.device,
    task: Task,
    ensemble: Ensemble = list,
) -> list[Run]:
    """Train networks one after the other, until Ctrl-C or a callback; each begins at a start, with its seed, its way.

    Given `whole`, a network that early stopping has measured on the cases held out is trained again, on all of them,
    for as many steps as were best. Callbacks see the `ensemble` of the networks so far.
    """
    runs: list[Run] = []
    for member, (start, seed, params) in enumerate(starts):
        which = f"network {member + 1} of {len(starts)}" if len(starts) > 1 else "network"
        how: dict[str, Any] = {
            "augment_until": augment_until,
            "seed": seed,
            "device": device,
            "task": task,
            "before": [run.model for run in runs],
            "ensemble": ensemble,
        }
        n_steps = budget(params, len(data), data.x.shape[1])
        run = run_schedule(start, data, held_out, objective, params, n_steps=n_steps, title=which, **how)
        if whole is not None and not run.history.interrupted:
            n_best = run.history.best_step
            run = run_schedule(start, whole, None, objective, params, n_steps=n_best, title=f"{which}, refit", **how)
        runs.append(run)
        if run.history.interrupted or task.stopped:
            break
    return runs


def run_schedule(
    start: Start,
    data: Batch,
    held_out: Batch | None,
    objective: Objective,
    params: TrainingParams,
    *,
    augment_until: float,
    n_steps: int,
    seed: int,
    device: torch.device,
    title: str,
    task: Task,
    before: list[nn.Module],
    ensemble: Ensemble,
) -> Run:
    """Train for n_steps by the schedule of `params`, or until early stopping on the cases held out.

    After the share `augment_until` of the steps the network sees the cases as they are. The training is a part of
    `task`, to whose callbacks the network is part of the `ensemble` that it makes with those trained `before`.
    """
    warmup_steps = round(params.warmup * n_steps)
    early_stopping = None
    if held_out is not None:
        batches = Minibatches(held_out, batch_size(params, len(data)))
        early_stopping = EarlyStopping(batches, objective, params.n_iter_no_change, params.tol, warmup_steps)
    schedule = SCHEDULES[params.schedule](n_steps, warmup_steps)
    training = task.part(title, n_epochs(params, len(data), n_steps))

    def after_epoch(model: nn.Module) -> bool:
        training.part("epoch").end(lambda: {"models_": ensemble([*before, copy.deepcopy(model)])})
        return training.stopped

    how: dict[str, Any] = {"average_decay": params.average_decay, "early_stopping": early_stopping, "title": title}
    n_augmented = round(augment_until * n_steps)
    run = _run(
        start, data, objective, params, schedule, n_steps, n_augmented, seed, device, after_epoch=after_epoch, **how
    )
    training.end(lambda: {"models_": ensemble([*before, run.model])})
    return run


def run_once(
    start: Start,
    data: Batch,
    objective: Objective,
    params: TrainingParams,
    *,
    seed: int,
    device: torch.device,
    moments: dict[str, Any] | None,
) -> Run:
    """Train for one pass at a constant learning rate; `moments` is the state of the optimiser after the last pass."""
    n_steps = len(Minibatches(data, batch_size(params, len(data))))
    return _run(start, data, objective, params, constant(n_steps, 0), n_steps, n_steps, seed, device, moments=moments)


def _run(
    start: Start,
    data: Batch,
    objective: Objective,
    params: TrainingParams,
    schedule: Schedule,
    n_steps: int,
    n_augmented: int,
    seed: int,
    device: torch.device,
    *,
    moments: dict[str, Any] | None = None,
    **how: Any,
) -> Run:
    with seeded(seed, device) as generator:
        model = ready_to_train(start(data), device)
        optimizer = adamw(model, params.learning_rate, params.weight_decay)
        if moments is not None:
            # Adam's moments only: the learning rate may have been set anew.
            optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        augment = model.augment
        model.augment = augment and FirstCalls(augment, n_augmented)
        history = train(
            model,
            objective,
            Minibatches(data, batch_size(params, len(data)), generator),
            optimizer,
            schedule,
            n_steps=n_steps,
            device=device,
            max_grad_norm=params.max_grad_norm,
            precision=getattr(torch, params.precision),
            progress=bool(params.verbose),
            **how,
        )
        model.augment = augment
    return Run(model, history, optimizer)
