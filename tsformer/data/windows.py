"""Windows of many series, cut when they are needed: a context, and behind it what is to be forecast."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tsformer.data.batch import Batch
from tsformer.data.covariates import CovariateScaler, check_known_ahead
from tsformer.data.frames import SeriesSet, known_before_last, last_part
from tsformer.data.rows import Floats

BATCHES_PER_EPOCH = 50  # of training windows
WINDOWS_PER_BATCH = 512  # bounds memory where nothing is learnt
MOST_VALIDATED = 4096  # units whose windows early stopping measures: of more it would take longer than training


@dataclass(frozen=True)
class Histories:
    """Many series end to end, float64, NaN = missing. A unit is one channel of one series; it is forecast by itself.

    The rows behind a series are not its own, but hold what is known ahead there.
    """

    values: Tensor  # (n_rows, n_channels)
    past: Tensor  # (n_rows, n_past)
    future: Tensor  # (n_rows, n_future)
    starts: Tensor  # (n_series,), first row of each
    lengths: Tensor  # (n_series,), time points of each
    seasons: tuple[int, int]  # time points in a season, and in a longer one or 0

    @property
    def n_channels(self) -> int:
        """Number of channels of each series."""
        return self.values.shape[1]

    @property
    def n_units(self) -> int:
        """Number of series times channels."""
        return len(self.starts) * self.n_channels


def join(
    values: Sequence[Floats],
    past: Sequence[Floats],
    future: Sequence[Floats],
    n_ahead: int,
    seasons: tuple[int, int],
) -> Histories:
    """Put series (n_timepoints_i, n_channels) end to end; those known ahead may be up to `n_ahead` rows longer."""
    lengths = np.array([len(series) for series in values])
    starts = np.concatenate([[0], np.cumsum(lengths + n_ahead)])[:-1]
    n_rows = int((lengths + n_ahead).sum())
    joined = []
    for matrices in (values, past, future):
        rows = np.full((n_rows, matrices[0].shape[1]), np.nan)
        for start, matrix in zip(starts, matrices, strict=True):
            rows[start : start + len(matrix)] = matrix
        joined.append(torch.from_numpy(rows))
    return Histories(joined[0], joined[1], joined[2], torch.from_numpy(starts), torch.from_numpy(lengths), seasons)


def cut(
    histories: Histories, unit: Tensor, time: Tensor, context: int, horizon: int, known: Tensor | None = None
) -> Batch:
    """Cut a window for each unit (B,), the present being before time point `time` (B,).

    Time points of a series from `known` (n_series,) on are not observed; by default from its end on. In x (B, context,
    1 + n_past + n_future) past and future covariates stand beside the unit.
    """
    series, channel = unit // histories.n_channels, unit % histories.n_channels
    position = time.unsqueeze(1) + torch.arange(-context, horizon)  # (B, context + horizon)
    lengths = histories.lengths if known is None else known
    inside = (position >= 0) & (position < lengths[series].unsqueeze(1))
    row = (histories.starts[series].unsqueeze(1) + position.clamp(min=0)).clamp(max=len(histories.values) - 1)

    target = histories.values[row, channel.unsqueeze(1)]
    observed = inside & ~target.isnan()
    target = torch.where(observed, target, 0.0)
    past, future = histories.past[row[:, :context]], histories.future[row]
    covariates = torch.cat([past, future[:, :context]], dim=-1)
    beside = inside[:, :context, None] & ~covariates.isnan()
    return Batch(
        x=torch.cat([target[:, :context, None], covariates.nan_to_num(0.0)], dim=-1),
        observed=torch.cat([observed[:, :context, None], beside], dim=-1),
        y=target[:, context:],
        y_observed=observed[:, context:],
        future=future[:, context:].nan_to_num(0.0),
        seasons=histories.seasons,
    )


@dataclass(frozen=True)
class RandomWindows:
    """Batches of windows drawn at random, all windows being equally likely; none is kept."""

    histories: Histories
    known: Tensor  # (n_series,), time points that may be seen, targets included
    first: Tensor  # (n_series,), the first present time point
    n_windows: Tensor  # (n_series,), of all channels
    context: int
    horizon: int
    batch_size: int
    generator: torch.Generator

    def __iter__(self) -> Iterator[Batch]:
        n_channels, ends = self.histories.n_channels, self.n_windows.cumsum(0)
        for _ in range(BATCHES_PER_EPOCH):
            drawn = torch.randint(int(ends[-1]), (self.batch_size,), generator=self.generator)
            series = torch.searchsorted(ends, drawn, right=True)
            within = drawn - (ends - self.n_windows)[series]
            unit, time = series * n_channels + within % n_channels, self.first[series] + within // n_channels
            yield cut(self.histories, unit, time, self.context, self.horizon, self.known)


@dataclass(frozen=True)
class WindowsAt:
    """Batches of the windows of given units (n_windows,), in order, each before its first time point not known."""

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
    histories: Histories, n_left: Sequence[int], context: int, horizon: int, batch_size: int = WINDOWS_PER_BATCH
) -> WindowsAt:
    """Return the windows that know all but the last n time points of a unit: all units for each n of `n_left`."""
    unit = torch.arange(histories.n_units)
    time = torch.cat([histories.lengths[unit // histories.n_channels] - n for n in n_left])
    return WindowsAt(histories, unit.repeat(len(n_left)), time, context, horizon, batch_size)


def hold_back(histories: Histories, fraction: float, horizon: int) -> Tensor:
    """Return how many last time points of each series early stopping keeps from training, a horizon or more or none."""
    validation = (fraction * histories.lengths).long().clamp(min=horizon)
    longest, most = int(histories.lengths.max()), int(validation.max())
    if longest < most + 2:
        raise ValueError(
            f"early_stopping holds back the last {most} time points of each series and needs two more. Got a series of "
            f"{longest}, and none longer; lower horizon or set early_stopping=False."
        )
    validation = torch.where(histories.lengths >= validation + 2, validation, 0)
    ends = histories.starts + histories.lengths
    rows = torch.cat([torch.arange(end - n, end) for end, n in zip(ends, validation, strict=True)])
    if histories.values[rows].isnan().all():
        remedy = "Raise validation_fraction, or set early_stopping=False."
        raise ValueError(f"early_stopping holds back missing values only. {remedy}")
    return validation


def training_windows(
    histories: Histories,
    validation: Tensor | None,
    context: int,
    horizon: int,
    batch_size: int | str,
    generator: torch.Generator,
) -> RandomWindows:
    """Take all windows with a season of history and something to forecast; of shorter series, the least short.

    Of windows near the end of a series less than a horizon is scored. Many series fill larger batches: there is more
    to learn from them, while windows of one series overlap.
    """
    known = histories.lengths if validation is None else histories.lengths - validation
    last = (known - 1).clamp(min=1)
    first = torch.minimum(last, torch.tensor(max(histories.seasons[0], 2)))
    n_windows = (last - first + 1) * histories.n_channels
    if isinstance(batch_size, str):
        batch_size = max(16, min(int(n_windows.sum()) // 4, max(64, histories.n_units // 4), 512))
    return RandomWindows(histories, known, first, n_windows, context, horizon, batch_size, generator)


def validation_windows(histories: Histories, validation: Tensor, context: int, horizon: int) -> WindowsAt:
    """Take windows spread over the time points that training does not see, some 512 in all but one a unit at least.

    Of very many units they are of some, evenly spread.
    """
    n_each = max(1, min(int(validation.max()) - horizon + 1, WINDOWS_PER_BATCH // histories.n_units))
    into = torch.linspace(0.0, 1.0, n_each, dtype=torch.float64) * (validation - horizon).unsqueeze(1)  # (n_series, n)
    time = (histories.lengths - validation).unsqueeze(1) + into.long()
    unit = torch.arange(histories.n_units)
    unit = unit[validation[unit // histories.n_channels] > 0]
    unit = unit[:: -(-len(unit) // MOST_VALIDATED)]
    present = time[unit // histories.n_channels].flatten()
    return WindowsAt(histories, unit.repeat_interleave(n_each), present, context, horizon, WINDOWS_PER_BATCH)


def windows_ahead(
    series: SeriesSet,
    covariates: CovariateScaler,
    rows: Sequence[Floats],
    context: int,
    horizon: int,
    seasons: tuple[int, int],
    *,
    reach: int = 0,
) -> WindowsAt:
    """Cut the window that knows all of a series, for each series.

    `rows` holds future covariates of the horizon. Static ones and the calendar are known for `reach` time points too.
    """
    series, reach = last_part(series, context, to_fill=False), max(horizon, reach)
    histories = join(series.values, *covariates.apply(series, rows, horizon=horizon, reach=reach), reach, seasons)
    return last_windows(histories, [0], context, reach)


def past_windows(
    series: SeriesSet,
    covariates: CovariateScaler,
    left: Sequence[int],
    context: int,
    horizon: int,
    seasons: tuple[int, int],
    batch_size: int = WINDOWS_PER_BATCH,
    *,
    reach: int = 0,
) -> Iterable[Batch]:
    """Cut the windows of each series that know all but its last n time points, for each n of `left`.

    What is known ahead of them is as in `windows_ahead`. Of a series that is too short nothing is observed.
    """
    check_known_ahead(series, max(left))
    series = last_part(series, context + max(left), to_fill=series.fill == "interpolate")
    reach = max(horizon, reach)
    scaled = covariates.apply(series, reach=reach)
    if series.fill != "interpolate":
        histories = join(series.values, *scaled, reach, seasons)
        batches: Iterable[Batch] = last_windows(histories, left, context, reach, batch_size)
    else:
        cut_short = ((join(known_before_last(series, n), *scaled, reach, seasons), n) for n in left)
        parts = (last_windows(histories, [n], context, reach, batch_size) for histories, n in cut_short)
        batches = itertools.chain.from_iterable(parts)
    n_columns = len(series.form.covariates[1])
    return batches if reach == horizon or not n_columns else _known_for(batches, horizon, n_columns)


def _known_for(batches: Iterable[Batch], horizon: int, n_columns: int) -> Iterator[Batch]:
    """Hide the first columns that are known ahead behind the horizon, for which nobody gives them."""
    for batch in batches:
        assert batch.future is not None  # for the type checker: windows always have it
        batch.future[:, horizon:, :n_columns] = 0.0
        yield batch
