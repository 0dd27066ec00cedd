"""Batch: cases as tensors, the one form of data that models and training see; and its cutting into minibatches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Some cases, or all of them."""

    x: Tensor  # (B, T, C), padded at the end to one length; 0 where not observed
    observed: Tensor  # (B, T, C): True = a real value; False = a missing value or padding
    y: Tensor | None = None  # to be learned: class numbers (B,), target tokens (B, M), or values of a horizon (B, H)
    weight: Tensor | None = None  # (B,), of the cases in the loss, 1 on average
    y_observed: Tensor | None = None  # (B, H): which values of a horizon are real
    future: Tensor | None = None  # (B, H, n_future), covariates known ahead
    n_whole: int = 0  # cases of the batch that this is a process's share of; 0 = all are here
    seasons: tuple[int, int] = (1, 0)  # time points in a season, and in a longer one, of windows to forecast; 0 = none

    def __len__(self) -> int:
        return len(self.x)

    def select(self, index: Tensor) -> "Batch":
        """Return the cases of `index`, without padding that none of them needs."""
        batch = self._map(lambda tensor: tensor[index])
        length = int(batch.observed.any(dim=-1).any(dim=0).nonzero().max()) + 1
        return replace(batch, x=batch.x[:, :length], observed=batch.observed[:, :length])

    def part(self, cases: slice) -> "Batch":
        """Return some cases as they are, with all padding."""
        return self._map(lambda tensor: tensor[cases])

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`; by way of pinned memory, so that nothing waits until a GPU has it."""
        if device.type == "cuda":
            return self._map(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))
        return self._map(lambda tensor: tensor.to(device))

    def __getstate__(self) -> dict[str, Any]:
        return self._arrays

    def __setstate__(self, state: dict[str, Any]) -> None:
        tensors = {name: torch.from_numpy(each) for name, each in state.items() if isinstance(each, np.ndarray)}
        vars(self).update(state | tensors)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        """What is pickled: joblib shares large arrays with its workers, once for all tasks, and tensors it copies."""
        return {name: each.numpy() if isinstance(each, Tensor) else each for name, each in vars(self).items()}

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {name: function(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Minibatches:
    """The cases of `data` in batches of nearly equal size, `size` or less.

    The generator draws a new random order each time they are gone through; without one they keep that of the data.
    """

    data: Batch
    size: int
    generator: torch.Generator | None = None

    def __len__(self) -> int:
        return -(-len(self.data) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        n, generator = len(self.data), self.generator
        order = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
        # Equal sizes rather than a small last batch: a batch of one case has no BatchNorm statistics.
        for index in order.tensor_split(len(self)):
            yield self.data.select(index)
