"""Windows of many series, cut when they are needed: a context, and behind it what is to be forecast."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsformer.data.batch import Batch

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Histories:
    """Many series end to end. A unit is one channel of one series; it is forecast by itself.

    Parameters
    ----------
    values : float64 Tensor of shape (n_rows, n_channels)
        The series one after the other, each followed by `n_ahead` rows that are not its own; NaN = missing.
    past : Tensor of shape (n_rows, n_past)
        Covariates known up to the present.
    future : Tensor of shape (n_rows, n_future)
        Covariates known ahead; the rows behind a series hold them for the time after it.
    starts, lengths : int64 Tensors of shape (n_series,)
        First row and number of time points of each series.
    """

    values: Tensor
    past: Tensor
    future: Tensor
    starts: Tensor
    lengths: Tensor

    @property
    def n_units(self) -> int:
        """Number of series times channels."""
        return len(self.starts) * self.values.shape[1]


def join(
    values: Sequence[Matrix], past: Sequence[Matrix] | None, future: Sequence[Matrix] | None, n_ahead: int
) -> Histories:
    """Put series end to end.

    Parameters
    ----------
    values : list of arrays of shape (n_timepoints_i, n_channels)
    past : list of arrays of shape (n_timepoints_i, n_past), optional
    future : list of arrays of shape (n_timepoints_i, n_future) or (n_timepoints_i + n_ahead, n_future), optional
    n_ahead : int
        Rows left behind each series for what is known of its future.
    """
    lengths = np.array([len(series) for series in values])
    starts = np.concatenate([[0], np.cumsum(lengths + n_ahead)])[:-1]
    n_rows = int((lengths + n_ahead).sum())
    return Histories(
        _end_to_end(values, starts, n_rows, values[0].shape[1]),
        _end_to_end(past or [], starts, n_rows, past[0].shape[1] if past else 0),
        _end_to_end(future or [], starts, n_rows, future[0].shape[1] if future else 0),
        torch.from_numpy(starts),
        torch.from_numpy(lengths),
    )


def _end_to_end(series: Sequence[Matrix], starts: NDArray[np.int64], n_rows: int, width: int) -> Tensor:
    joined = np.full((n_rows, width), np.nan)
    for start, rows in zip(starts, series, strict=False):
        joined[start : start + len(rows)] = rows
    return torch.from_numpy(joined)


def cut(
    histories: Histories, unit: Tensor, time: Tensor, context: int, horizon: int, known: Tensor | None = None
) -> Batch:
    """Cut a window for each of the given units (B,), the present being before time point `time` (B,).

    Time points of a series from `known` (n_series,) on are not observed; by default from its end on.

    Returns
    -------
    Batch
        x (B, context, 1 + n_past + n_future): the unit, past and future covariates, time points before the series
        not observed; y (B, horizon) with y_observed; future (B, horizon, n_future).
    """
    n_channels = histories.values.shape[1]
    series, channel = unit // n_channels, unit % n_channels
    offset = torch.arange(-context, horizon)
    position = time.unsqueeze(1) + offset  # (B, context + horizon)
    lengths = histories.lengths if known is None else known
    inside = (position >= 0) & (position < lengths[series].unsqueeze(1))
    row = histories.starts[series].unsqueeze(1) + position.clamp(min=0)
    row = row.clamp(max=len(histories.values) - 1)

    target = histories.values[row, channel.unsqueeze(1)]
    known = inside & ~target.isnan()
    target = torch.where(known, target, 0.0)
    past, future = histories.past[row[:, :context]], histories.future[row]
    covariates = torch.cat([past, future[:, :context]], dim=-1)
    seen = inside[:, :context, None] & ~covariates.isnan()
    return Batch(
        x=torch.cat([target[:, :context, None], covariates.nan_to_num(0.0)], dim=-1),
        observed=torch.cat([known[:, :context, None], seen], dim=-1),
        y=target[:, context:],
        y_observed=known[:, context:],
        future=future[:, context:].nan_to_num(0.0),
    )


@dataclass(frozen=True)
class RandomWindows:
    """Batches of windows drawn at random, all windows being equally likely; none is kept.

    Parameters
    ----------
    histories : Histories
    known : int64 Tensor of shape (n_series,)
        Number of time points of each series that may be seen, targets included.
    first, last : int64 Tensors of shape (n_series,)
        Range of the present in each series, both ends included.
    context, horizon : int
        Time points before and after the present.
    batch_size, n_batches : int
        Windows in a batch; batches in one iteration.
    generator : torch.Generator
        For the draws.
    """

    histories: Histories
    known: Tensor
    first: Tensor
    last: Tensor
    context: int
    horizon: int
    batch_size: int
    n_batches: int
    generator: torch.Generator

    def __iter__(self) -> Iterator[Batch]:
        n_channels = self.histories.values.shape[1]
        n_windows = (self.last - self.first + 1) * n_channels
        ends = n_windows.cumsum(0)
        for _ in range(self.n_batches):
            drawn = torch.randint(int(ends[-1]), (self.batch_size,), generator=self.generator)
            series = torch.searchsorted(ends, drawn, right=True)
            within = drawn - (ends - n_windows)[series]
            unit = series * n_channels + within % n_channels
            time = self.first[series] + within // n_channels
            yield cut(self.histories, unit, time, self.context, self.horizon, self.known)


@dataclass(frozen=True)
class WindowsAt:
    """Batches of the windows of given units at given times, in order: what prediction reads.

    Parameters
    ----------
    histories : Histories
    unit, time : int64 Tensors of shape (n_windows,)
        Which series and channel, and its first time point that is not known.
    context, horizon : int
        Time points before and after `time`.
    batch_size : int
        Windows in a batch.
    """

    histories: Histories
    unit: Tensor
    time: Tensor
    context: int
    horizon: int
    batch_size: int

    def __iter__(self) -> Iterator[Batch]:
        for unit, time in zip(self.unit.split(self.batch_size), self.time.split(self.batch_size), strict=True):
            yield cut(self.histories, unit, time, self.context, self.horizon)


def last_windows(
    histories: Histories, n_withheld: Sequence[int], context: int, horizon: int, batch_size: int
) -> WindowsAt:
    """Return the windows that know all but the last n time points of a unit: all units for each n of `n_withheld`."""
    unit = torch.arange(histories.n_units)
    length = histories.lengths[unit // histories.values.shape[1]]
    time = torch.cat([length - n for n in n_withheld])
    return WindowsAt(histories, unit.repeat(len(n_withheld)), time, context, horizon, batch_size)
