"""How far values lie in the tails of what a forecaster expected of them, a patch ahead."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsformer.data.batch import Batch
from tsformer.data.rows import Floats
from tsformer.models.forecaster import PATCH_LENGTH, SeriesForecaster
from tsformer.training.prediction import forecast_windows

LEVELS = (0.1, 0.5, 0.9)
RECENT, KNOWN = 36, 27  # time points before a forecast, and those observed of them at least: after a gap all surprises
CONTEXT, LONGEST_CONTEXT = 252, 1008
PERIODS = 3  # in a context
WINDOWS_AT_ONCE = 256
LARGEST = 50.0  # half widths


def expected(forecaster: SeriesForecaster, rows: Floats, period: int, device: torch.device) -> Floats:
    """Forecast each value of a series (T, C) from those before it, 1 to 12 steps ahead: (T, C, levels).

    NaN at the start and after gaps.
    """
    context = -(-min(max(CONTEXT, PERIODS * period), LONGEST_CONTEXT) // PATCH_LENGTH) * PATCH_LENGTH
    seasons = (period if 2 * period <= context else 1, 0)
    starts_of_all = np.arange(RECENT, len(rows), PATCH_LENGTH)
    quantiles = np.full((len(rows) + PATCH_LENGTH, rows.shape[1], len(LEVELS)), np.nan)
    for c, channel in enumerate(rows.T):
        known = np.pad(~np.isnan(channel), (1, 0)).cumsum()
        starts = starts_of_all[known[starts_of_all] - known[starts_of_all - RECENT] >= KNOWN]
        if not len(starts):
            continue
        batches = _contexts(torch.from_numpy(channel.copy()), starts, context, seasons)
        _, found = forecast_windows(forecaster, batches, PATCH_LENGTH, device, LEVELS)
        quantiles[(starts[:, None] + np.arange(PATCH_LENGTH)).ravel(), c] = found.reshape(-1, len(LEVELS))
    return quantiles[: len(rows)]


def _contexts(channel: Tensor, starts: NDArray[np.int64], context: int, seasons: tuple[int, int]) -> Iterator[Batch]:
    padded = torch.cat([channel.new_full((context,), torch.nan), channel])
    for part in torch.from_numpy(starts).split(WINDOWS_AT_ONCE):
        x = padded[part[:, None] + torch.arange(context)].unsqueeze(-1)
        observed = ~x.isnan()
        future = x.new_zeros(len(part), PATCH_LENGTH, 0)
        yield Batch(x.nan_to_num(nan=0.0), observed, future=future, seasons=seasons)


def surprise(quantiles: Floats, rows: Floats, narrowest: Floats) -> Floats:
    """How many half widths of the band, `narrowest` (C,) or more, each value of (T, C) lies from the median."""
    half = np.maximum(half_widths(quantiles), narrowest)
    return np.minimum(np.abs(rows - quantiles[..., 1]) / half, LARGEST)


def half_widths(quantiles: Floats) -> Floats:
    """Half of the width of bands (T, C, levels)."""
    widths: Floats = (quantiles[..., 2] - quantiles[..., 0]) / 2.0
    return widths
