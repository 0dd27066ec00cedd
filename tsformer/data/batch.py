"""Batch: cases as tensors, the one form of data that models and training see; and what batches are read from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Series = Array | list[Array]  # (n_cases, n_channels, n_timepoints), or one array (n_channels, n_timepoints) a case

UNLABELLED = -1  # in place of the class number of a case without a label
LABELLED_FRACTION = 0.25  # of a batch of cases with and without labels

VALUES_AT_ONCE = 2**20  # of a chunk of cases: what statistics hold in memory, a few times over


@dataclass(frozen=True)
class Batch:
    """Some cases."""

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

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {name: function(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


@dataclass(frozen=True)
class StoredCases:
    """All cases of a fit or of a prediction where the caller holds them, in memory or on disk: `select` reads some.

    NaN in `series` is a missing value. They are neither changed nor copied.
    """

    series: Series
    rows: NDArray[np.int64]  # (n_cases,): the places of these cases in `series`
    lengths: NDArray[np.int64]  # (n_cases,): of each up to its last value
    n_timepoints: int  # of the longest, padding included
    y: Tensor | None = None  # as in Batch
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.series[0].shape[0])

    @cached_property
    def dtype(self) -> type[np.floating[Any]]:
        """That of batches: float32 where all series have it, else float64."""
        types = {case.dtype for case in self.series} if isinstance(self.series, list) else {self.series.dtype}
        return np.float32 if types == {np.dtype(np.float32)} else np.float64

    def subset(self, index: NDArray[np.int64]) -> "StoredCases":
        """Return the cases of `index`, which stay where they are, without padding that none of them needs."""
        lengths, (y, weight) = self.lengths[index], (_chosen(each, index) for each in (self.y, self.weight))
        return StoredCases(self.series, self.rows[index], lengths, int(lengths.max()), y, weight)

    def select(self, index: Tensor) -> Batch:
        """Read the cases of `index`, without padding that none of them needs."""
        chosen = index.numpy()
        x = torch.from_numpy(self._read(self.rows[chosen], int(self.lengths[chosen].max())))
        observed = ~x.isnan()
        y, weight = (_chosen(each, chosen) for each in (self.y, self.weight))
        return Batch(x.nan_to_num_(nan=0.0), observed, y, weight)

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Read all cases in order, some at a time: x (B, T, C) and what is observed."""
        size = cases_at_once(self.n_timepoints * self.n_channels, VALUES_AT_ONCE)
        return ((batch.x, batch.observed) for batch in Minibatches(self, size))

    def _read(self, rows: NDArray[np.int64], length: int) -> Array:
        """Copy cases (B, T, C)."""
        if not isinstance(self.series, list):
            part = self.series[rows][..., :length].transpose(0, 2, 1)
            return np.array(part, dtype=self.dtype, order="C")
        series = [self.series[row] for row in rows]
        x = np.full((len(rows), length, self.n_channels), np.nan, self.dtype)
        for values, case in zip(x, series, strict=True):
            values[: case.shape[1]] = case.T[:length]
        return x


def cases_at_once(n_values: int, at_once: int) -> int:
    """Return how many cases of `n_values` each to take at a time, so that they have no more than `at_once` in all."""
    return max(1, at_once // n_values)


def _chosen(values: Tensor | None, index: NDArray[np.int64]) -> Tensor | None:
    return None if values is None else values[torch.from_numpy(index)]


@dataclass(frozen=True)
class Minibatches:
    """The cases of `data` in batches of nearly equal size, `size` or less.

    The generator draws a new random order each time they are gone through; without one they keep that of the data.
    """

    data: Batch | StoredCases
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


@dataclass(frozen=True)
class MixedMinibatches:
    """Cases of `data` with and without labels in batches of `size` or less, a quarter of each labelled.

    Once through is all of the unlabelled, or of the labelled where these take longer; the others come again and again.
    The generator draws new orders each time, and without one they keep that of the data.
    """

    data: StoredCases
    size: int
    generator: torch.Generator | None = None

    def __len__(self) -> int:
        return max(-(-len(cases) // n) for cases, n in self._parts)

    def __iter__(self) -> Iterator[Batch]:
        parts = [self._in_turn(cases, n) for cases, n in self._parts]
        for indices in zip(*parts, strict=True):
            index = torch.cat(indices)
            # Shuffled, so that each of several processes has labelled cases in its share.
            yield self.data.select(index[self._order(len(index))])

    @property
    def _parts(self) -> list[tuple[Tensor, int]]:
        """Places of the labelled and of the unlabelled cases, and how many of them are in a batch."""
        is_labelled = labelled(self.data)
        places = [mask.nonzero().flatten() for mask in (is_labelled, ~is_labelled)]
        n_labelled = min(len(places[0]), max(1, round(LABELLED_FRACTION * self.size)))
        return [(places[0], n_labelled), (places[1], min(len(places[1]), max(1, self.size - n_labelled)))]

    def _in_turn(self, cases: Tensor, n: int) -> list[Tensor]:
        """Go through the cases as often as all batches take, `n` at a time, in a new order each time."""
        n_wanted = len(self) * n
        orders = [self._order(len(cases)) for _ in range(-(-n_wanted // len(cases)))]
        return list(cases[torch.cat(orders)[:n_wanted]].split(n))

    def _order(self, n: int) -> Tensor:
        return torch.arange(n) if self.generator is None else torch.randperm(n, generator=self.generator)


def labelled(data: StoredCases) -> Tensor:
    """Return which cases have a label (n_cases,)."""
    return torch.zeros(len(data), dtype=torch.bool) if data.y is None else data.y != UNLABELLED


def batches_of(
    data: StoredCases, size: int, generator: torch.Generator | None = None
) -> Minibatches | MixedMinibatches:
    """Make batches of cases, of which each has labelled and unlabelled ones where there are both."""
    is_labelled = labelled(data)
    is_mixed = bool(is_labelled.any()) and not bool(is_labelled.all())
    return (MixedMinibatches if is_mixed else Minibatches)(data, size, generator)
