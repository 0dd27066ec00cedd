"""The one training loop: a model, an objective and batches in, trained weights and a History out."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from tsformer.data.batch import Batch
from tsformer.training.objectives import Objective
from tsformer.training.optim import Schedule, WeightAverage


@dataclass
class History:
    """What happened in training, one entry an epoch.

    Attributes
    ----------
    step : list of int
        Optimiser steps done by the end of the epoch.
    loss : list of float
        Mean training loss over the epoch.
    learning_rate : list of float
        Learning rate at the end of the epoch.
    validation_loss : list of float
        Validation loss of the weights that would be kept; empty without validation.
    seconds : list of float
        Time since training began.
    best_step : int
        Step whose weights were kept.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_step: int = 0
    interrupted: bool = False

    @property
    def n_steps(self) -> int:
        """Steps done by the end of the last epoch."""
        return self.step[-1] if self.step else 0

    def append(self, row: dict[str, float]) -> None:
        """Add an epoch."""
        for name, value in row.items():
            getattr(self, name).append(value)

    def as_dict(self) -> dict[str, list[Any]]:
        """Return the columns that have values: what `pandas.DataFrame` takes."""
        return {name: values for name, values in vars(self).items() if isinstance(values, list) and values}


def joined(histories: list[History]) -> dict[str, list[Any]]:
    """Put the tables of several networks one below the other; `network` is the place of each in the list."""
    tables = [history.as_dict() for history in histories]
    network = [i for i, table in enumerate(tables) for _ in table.get("step", [])]
    columns = dict.fromkeys(name for table in tables for name in table)
    return {"network": network} | {name: [value for table in tables for value in table[name]] for name in columns}


@dataclass
class EarlyStopping:
    """Measures cases held back after each epoch, remembers the best weights, and says when to stop.

    Parameters
    ----------
    batches : iterable of Batch
        Cases that are not trained on.
    objective : callable (model, batch) -> loss
        What is measured on them; its mean over the cases is the validation loss.
    patience : int
        Epochs without a gain after which training stops.
    tolerance : float, default=0.0
        A loss lower by no more than this is no gain.
    warmup_steps : int, default=0
        Steps in which patience is not spent: the learning rate still rises.
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
    device: torch.device,
    max_grad_norm: float | None = None,
    average_decay: float | None = None,
    precision: torch.dtype = torch.float32,
    early_stopping: EarlyStopping | None = None,
    progress: bool = False,
    title: str = "",
    after_epoch: Callable[[nn.Module], bool] | None = None,
) -> History:
    """Train `model` in place for `n_steps` steps, or until early stopping runs out of patience.

    Random numbers (dropout, augmentation) are torch's; the caller seeds them.

    Parameters
    ----------
    model : Module
        On `device`. Ends with the averaged weights, the best of them where there is early stopping, in eval mode.
    objective : callable (model, batch) -> loss
    batches : iterable of Batch
        Gone through again and again; one time is an epoch.
    optimizer : Optimizer
        Its learning rate at the start is the one that `schedule` multiplies.
    schedule : callable (step) -> factor
    n_steps : int
        Optimiser steps.
    device : torch.device
        Where the batches are sent.
    max_grad_norm : float, optional
        Gradients of a larger norm are scaled down to it.
    average_decay : float, optional
        Decay of the exponential moving average of the weights that is kept in the end.
    precision : torch.dtype, default=torch.float32
        torch.bfloat16 runs the model in mixed precision.
    early_stopping : EarlyStopping, optional
        Asked after each epoch.
    progress : bool, default=False
        Show a bar with the time left and the losses of the last epoch.
    title : str, default=""
        What the bar is called.
    after_epoch : callable (model) -> bool, optional
        Called after each epoch with the model as it would be kept; True ends training.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        When the loss is not finite.

    Warns
    -----
    UserWarning
        On Ctrl-C: training ends there, and the model keeps the weights it would have kept had it ended by itself.
    """
    average = WeightAverage(model, average_decay) if average_decay is not None else None
    kept = average.model if average is not None else model
    parameters = list(model.parameters())
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    history = History()
    start = time.perf_counter()

    def take_step(batch: Batch) -> torch.Tensor:
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            loss = objective(model, batch.to(device))
        optimizer.zero_grad()
        loss.backward()
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        optimizer.step()
        scheduler.step()
        if average is not None:
            average.update()
        bar.update()
        return loss.detach()

    bar = tqdm(total=n_steps, disable=not progress, unit="step", desc=title or None)
    try:
        while history.n_steps < n_steps:
            model.train()
            losses = torch.stack([take_step(batch) for batch in islice(batches, n_steps - history.n_steps)])
            row = {
                "step": scheduler.last_epoch,
                "loss": _finite(float(losses.mean()), scheduler.last_epoch),
                "learning_rate": float(scheduler.get_last_lr()[0]),
            }
            if early_stopping is not None:
                row["validation_loss"] = early_stopping.measure(kept, scheduler.last_epoch, device)
            history.append(row | {"seconds": time.perf_counter() - start})
            bar.set_postfix({name: value for name, value in row.items() if "loss" in name})
            if after_epoch is not None and after_epoch(kept):
                break
            if early_stopping is not None and early_stopping.exhausted:
                break
    except KeyboardInterrupt:
        history.interrupted = True
        warnings.warn(f"Training interrupted by user after {scheduler.last_epoch} steps.", stacklevel=2)
    finally:
        bar.close()

    history.best_step = scheduler.last_epoch
    weights = kept.state_dict()
    if early_stopping is not None and early_stopping.best_weights is not None:
        history.best_step, weights = early_stopping.best_step, early_stopping.best_weights
    model.load_state_dict(weights)
    model.eval()
    return history


def evaluate(model: nn.Module, objective: Objective, batches: Iterable[Batch], device: torch.device) -> float:
    """Return the mean of the objective over all cases of `batches`, in eval mode and without gradients."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        measured = [(objective(model, batch.to(device)).item(), len(batch)) for batch in batches]
    model.train(was_training)
    return sum(loss * size for loss, size in measured) / sum(size for _, size in measured)


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise ValueError(
            f"The training loss became {loss} by step {step}. Lower the learning rate, or look for extreme values in X."
        )
    return loss
