"""The one training loop: a model, an objective and batches in, trained weights and a History out."""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import nn

from tsformer.data.batch import Batch
from tsformer.data.messages import warn_user
from tsformer.training import distributed
from tsformer.training.objectives import Objective
from tsformer.training.optim import Schedule, WeightAverage
from tsformer.training.waiting import UNWATCHED, Waiting, is_one_of_many


@dataclass
class History:
    """What happened in training, one entry an epoch.

    `step` and `learning_rate` are those at its end, and `loss` is the mean over it.
    """

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)  # of the weights that would be kept; may be empty
    seconds: list[float] = field(default_factory=list)  # since training began
    best_step: int = 0  # whose weights were kept
    interrupted: bool = False  # by Ctrl-C

    def add(self, row: dict[str, Any], **more: float) -> None:
        """Append the entries of an epoch."""
        for name, value in (row | more).items():
            getattr(self, name).append(value)

    def as_dict(self) -> dict[str, list[Any]]:
        """Return the columns that have values: what `pandas.DataFrame` takes."""
        return {name: values for name, values in vars(self).items() if isinstance(values, list) and values}


def joined(histories: list[History]) -> dict[str, list[Any]]:
    """Put the tables of several networks one below the other; `network` is the place of each in the list.

    What some do not have, as the validation loss of those trained again on all cases, is NaN.
    """
    tables = [history.as_dict() for history in histories]
    network = [i for i, table in enumerate(tables) for _ in table.get("step", [])]
    columns = dict.fromkeys(name for table in tables for name in table)
    absent = [[math.nan] * len(table.get("step", [])) for table in tables]
    whole = {name: [table.get(name, none) for table, none in zip(tables, absent, strict=True)] for name in columns}
    return {"network": network} | {name: list(itertools.chain.from_iterable(parts)) for name, parts in whole.items()}


@dataclass
class EarlyStopping:
    """Measures cases that are not trained on after each epoch, remembers the best weights, and says when to stop.

    That is after `patience` epochs without a loss lower by more than `tolerance`; those of the warm-up, in which the
    learning rate still rises, do not count.
    """

    batches: Iterable[Batch]
    objective: Objective
    patience: int
    tolerance: float = 0.0
    warmup_steps: int = 0
    best_loss: float = field(default=math.inf, init=False)
    best_step: int = field(default=0, init=False)
    best_weights: dict[str, Any] | None = field(default=None, init=False)
    waited: int = field(default=0, init=False)

    def measure(self, model: nn.Module, step: int, device: torch.device) -> float:
        """Return the validation loss of the model as it is after `step` steps."""
        loss = evaluate(model, self.objective, self.batches, device)
        gained = loss < self.best_loss - self.tolerance or step <= self.warmup_steps
        self.waited = 0 if gained else self.waited + 1
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, step
            self.best_weights = copy.deepcopy(model.state_dict())
        return loss

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.waited >= self.patience


def train(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    *,
    n_steps: int,
    average: WeightAverage | None = None,
    precision: torch.dtype = torch.float32,
    early_stopping: EarlyStopping | None = None,
    waiting: Waiting = UNWATCHED,
    after_epoch: Callable[[nn.Module], bool] | None = None,
) -> History:
    """Train `model` in place for `n_steps` steps, or until early stopping runs out of patience.

    Random numbers (dropout, augmentation) are torch's; the caller seeds them. A loss that is not finite is a
    ValueError. On Ctrl-C training ends with a warning, and the model keeps the weights it would have kept; but where
    many models are fitted to be compared, half a model would be taken for a whole one: there all ends.

    Parameters
    ----------
    model : nn.Module
        On the device where batches are to be sent. Ends in eval mode, with the averaged or best weights.
    objective : callable
        (model, batch) -> loss, a scalar tensor.
    batches : iterable of Batch
        One time through is an epoch.
    optimizer, schedule
        The schedule (step -> factor) multiplies the learning rate that the optimizer has at the start.
    n_steps : int
        Optimiser steps.
    average : WeightAverage, optional
        Follows the model's weights; it is what is measured and kept.
    precision : torch.dtype, default=torch.float32
        torch.bfloat16 runs the model in mixed precision.
    early_stopping : EarlyStopping, optional
        Measures the model after each epoch.
    waiting : Waiting, optional
        Whom to tell of each step, and of the losses of an epoch.
    after_epoch : callable, optional
        Gets the model as it would be kept; True ends training.
    """
    kept = average.model if average is not None else model
    device = next(model.parameters()).device
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    history, start = History(), time.perf_counter()

    def take_step(batch: Batch) -> torch.Tensor:
        loss = _find_gradients(model, objective, batch.to(device), precision)
        loss = distributed.average_gradients(model, loss, interrupted())
        optimizer.step()
        scheduler.step()
        if average is not None:
            average.update()
        waiting.step()
        return loss

    with distributed.together(model) as interrupted:
        try:
            if early_stopping is not None:
                early_stopping.measure(kept, 0, device)  # weights that are gone on from may be the best
            while scheduler.last_epoch < n_steps:
                model.train()
                epoch = islice(batches, n_steps - scheduler.last_epoch)
                losses = torch.stack([take_step(batch) for batch in distributed.shares(epoch, device)])
                row = {"step": scheduler.last_epoch, "loss": _finite(float(losses.mean()), scheduler.last_epoch)}
                if early_stopping is not None:
                    row["validation_loss"] = early_stopping.measure(kept, scheduler.last_epoch, device)
                history.add(row, learning_rate=float(scheduler.get_last_lr()[0]), seconds=time.perf_counter() - start)
                waiting.note(**{name: value for name, value in row.items() if "loss" in name})
                stopped = (after_epoch and after_epoch(kept)) or (early_stopping and early_stopping.exhausted)
                if distributed.any_stops(bool(stopped), interrupted(), device):
                    break
        except KeyboardInterrupt as stop:
            history.interrupted = True
            end_early(stop, f"after {scheduler.last_epoch} steps")
    history.best_step = _keep_best(model, kept, scheduler.last_epoch, early_stopping)
    return history


def _find_gradients(model: nn.Module, objective: Objective, batch: Batch, precision: torch.dtype) -> torch.Tensor:
    """Give the parameters their gradients of the loss on a batch, and return that."""
    model.zero_grad()
    with torch.autocast(batch.x.device.type, dtype=precision, enabled=precision != torch.float32):
        loss = objective(model, batch)
    loss.backward()
    return loss.detach()


def end_early(stop: KeyboardInterrupt, when: str) -> None:
    """Warn that Ctrl-C ended a training; where it is one of a cross-validation or a backtest, raise it on."""
    if is_one_of_many():
        raise stop
    warn_user(f"Training interrupted by user {when}.")


def _keep_best(model: nn.Module, kept: nn.Module, step: int, early_stopping: EarlyStopping | None) -> int:
    """Load the weights of `kept`, or the best before them, into the model; return of which step they are."""
    weights = kept.state_dict()
    if early_stopping is not None and early_stopping.best_weights is not None:
        step, weights = early_stopping.best_step, early_stopping.best_weights
    model.load_state_dict(weights)
    model.eval()
    return step


def evaluate(model: nn.Module, objective: Objective, batches: Iterable[Batch], device: torch.device) -> float:
    """Return the mean of the objective over all cases of `batches`, in eval mode and without gradients.

    Of several processes each takes some batches.
    """
    was_training, (rank, size) = model.training, distributed.processes()
    model.eval()
    with torch.inference_mode():
        sums = torch.zeros(2, dtype=torch.float64, device=device)  # of losses, and of cases
        for batch in islice(batches, rank, None, size):
            sums[0] += objective(model, batch.to(device)).double() * len(batch)
            sums[1] += len(batch)
        loss, n_cases = distributed.total(sums).tolist()
    model.train(was_training)
    return loss / n_cases


def _finite(loss: float, step: int) -> float:
    if math.isfinite(loss):
        return loss
    raise ValueError(
        f"The training loss became {loss} by step {step}. Lower the learning rate, or look for extreme values in X."
    )
