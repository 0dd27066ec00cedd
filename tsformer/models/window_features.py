"""What a forecaster is told of windows: values and their mask in; features, statistics and simple forecasts out."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from tsformer.layers.scaling import masked_mean
from tsformer.models import simple_forecasts

LIMIT = 15.0  # in units of a window's spread: what the network sees is cut there; forecasts and targets at twice that
N_SERIES = 6  # features of each time point of the window
N_STATISTICS = 15
N_METHODS = len(simple_forecasts.NAMES)
CHANGES = 12, 48  # time points over which windows without a season are compared, to tell random walks
N_AHEAD = N_METHODS + 4  # of each time point of the horizon: simple forecasts, then phase and distance

Seasons = tuple[int, int]  # time points of the season, and of a longer one that is looked back to; 0 = none


class Scale(NamedTuple):
    """Where a window lies, the size of one unit of it, and how many seasonal changes that is: three Tensors (B, 1)."""

    location: Tensor
    spread: Tensor
    weight: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Return values (B, T, ...) in units of the window."""
        location, spread = self._beside(values)
        return (values - location) / spread

    def undo(self, scaled: Tensor) -> Tensor:
        """Return scaled values (B, T, ...) in the units of the data."""
        location, spread = self._beside(scaled)
        values = scaled * spread + location
        limit = torch.finfo(values.dtype).max
        return values.clamp(-limit, limit)  # those near the largest numbers may lie beyond

    def _beside(self, values: Tensor) -> list[Tensor]:
        return [part.view(-1, *[1] * (values.dim() - 1)) for part in (self.location, self.spread)]


class Described(NamedTuple):
    """A window in its own units, in float64, but for the scale."""

    scale: Scale
    series: Tensor  # (B, T, N_SERIES), 0 where not observed
    statistics: Tensor  # (B, N_STATISTICS)
    ahead: Tensor  # (B, H, N_AHEAD)
    growth: Tensor  # (B, 1), by which power of the time between them values differ; 0 with a season


def describe(y: Tensor, observed: Tensor, seasons: Seasons, horizon: int, *, shifted: bool) -> Described:
    """Describe windows y (B, T) that end at the present, by season and horizon; not `shifted`, their level stays."""
    season, long_season = seasons
    y = torch.where(observed, y, 0.0).double()
    size = y.abs().amax(dim=1, keepdim=True)  # squares of very large and very small values would be no numbers
    size = torch.where(size > 0, size, 1.0)
    y, n_timepoints = y / size, y.shape[1]
    scale = scale_of(y, observed, season, shifted=shifted)
    found = simple_forecasts.simple_forecasts(y, observed, season, horizon, long_season)

    def units(values: Tensor) -> Tensor:
        return scale.apply(values).clamp(-LIMIT, LIMIT)

    scaled = torch.where(observed, units(y), 0.0)
    time = torch.arange(-n_timepoints, horizon, device=y.device)
    waves = _phase(time, season).expand(len(y), -1, -1)
    change, both = _seasonal_change(scaled, observed, season)
    adjusted = torch.where(observed, units(y - found.seasonal[:, time[:n_timepoints] % season]), 0.0)
    shown = torch.stack([scaled, scaled / (1.0 + scaled.abs()), change * both, adjusted], dim=-1)
    series = torch.cat([shown, waves[:, :n_timepoints] * observed.unsqueeze(-1)], dim=-1)

    ahead = torch.arange(1.0, horizon + 1.0, device=y.device, dtype=y.dtype)
    distance = torch.stack([(ahead / season).log(), ahead.log()], dim=-1).expand(len(y), -1, -1)
    methods = scale.apply(found.forecasts).clamp(-2.0 * LIMIT, 2.0 * LIMIT)
    ahead = torch.cat([methods, waves[:, n_timepoints:], distance], dim=-1)
    of_data = Scale(scale.location * size, (scale.spread * size).clamp(max=torch.finfo(size.dtype).max), scale.weight)
    statistics = _statistics(y, observed, season, scale, found, scaled)
    return Described(of_data, series, statistics, ahead, _growth(y, observed, season))


def scale_of(y: Tensor, observed: Tensor, season: int, *, shifted: bool) -> Scale:
    """Find location and spread of windows y (B, T); not `shifted`: 0 and the mean size.

    The location is the mean of the last `season` observed values: recent enough to follow a trend, whole enough not to
    follow the season. The spread is the geometric mean of the std and of the mean change from a season to the next, in
    proportion to the level of a window that does not vary, and that level itself where there is one value. The weight
    counts errors in such changes, as MASE does.
    """
    level = masked_mean(y.abs(), observed, 1)
    largest = torch.where(level > 0, level, 1.0)
    std = (
        masked_mean((y - masked_mean(y, observed, 1)).square(), observed, 1)
        .sqrt()
        .maximum(simple_forecasts.ROUNDING * largest)
    )
    std = torch.where(observed.sum(dim=1, keepdim=True) == 1, largest, std)  # one value tells of no spread
    change, both = _seasonal_change(y, observed, season)
    change = torch.where(both.any(dim=1, keepdim=True), masked_mean(change.abs(), both, 1), std).maximum(0.02 * std)
    if not shifted:
        return Scale(torch.zeros_like(level), largest, (largest / change).clamp(0.3, 4.0))
    newer = observed.flip(1).cumsum(dim=1).flip(1)  # observed values from each time point on
    spread = (std * change).sqrt()
    location = masked_mean(y, observed & (newer <= season), 1)
    return Scale(location, spread, (spread / change).clamp(0.3, 4.0))


def _seasonal_change(y: Tensor, observed: Tensor, season: int) -> tuple[Tensor, Tensor]:
    """How much y (B, T) changed since the season before, 0 at first, and where both values are observed."""
    lag = season if season < y.shape[1] else 1
    both = pad(observed[:, lag:] & observed[:, :-lag], (lag, 0))
    return torch.where(both, pad(y[:, lag:] - y[:, :-lag], (lag, 0)), 0.0), both


def _growth(y: Tensor, observed: Tensor, season: int) -> Tensor:
    """By which power (B, 1) of the time between them values differ: 0 for noise, .5 for random walks, at most that."""
    if season > 1:
        return torch.zeros_like(y[:, :1])
    near, far = (_mean_square_change(y, observed, lag) for lag in CHANGES)
    ratio = far / torch.where(near > 0, near, far.clamp(min=1.0))  # at most 1 of windows that do not change
    return (ratio.clamp(min=1.0).log() / (2.0 * math.log(CHANGES[1] / CHANGES[0]))).clamp(max=0.5)


def _mean_square_change(y: Tensor, observed: Tensor, lag: int) -> Tensor:
    """Mean square (B, 1) of changes within so many time points; 0 where fewer changes than these are observed."""
    both = observed[:, lag:] & observed[:, :-lag]
    mean = masked_mean((y[:, lag:] - y[:, :-lag]).square(), both, 1)
    return torch.where(both.sum(dim=1, keepdim=True) >= lag, mean, 0.0)


def _phase(time: Tensor, season: int) -> Tensor:
    """Sine and cosine (T, 2) of where time points (T,) lie in the season; 0 without one."""
    if season == 1:
        return torch.zeros(len(time), 2, device=time.device, dtype=torch.float64)
    angle = time.double() * (2.0 * math.pi / season)
    return torch.stack([angle.sin(), angle.cos()], dim=-1)


def _statistics(
    y: Tensor, observed: Tensor, season: int, scale: Scale, found: simple_forecasts.SimpleForecasts, scaled: Tensor
) -> Tensor:
    """Numbers (B, N_STATISTICS) that say what kind of window it is."""
    n_timepoints = y.shape[1]
    time = torch.arange(n_timepoints, device=y.device)
    length = (n_timepoints - torch.where(observed, time, n_timepoints).amin(dim=1, keepdim=True)).clamp(min=1).double()
    last = torch.where(observed, time, 0).amax(dim=1, keepdim=True)
    level = (scale.location / scale.spread).clamp(-50.0, 50.0)
    positive = ((y > 0) | ~observed).all(dim=1, keepdim=True).double()
    per_season = season / scale.spread
    errors = [
        ((each / scale.spread).square() + 1e-4).log() for each in (found.error, found.error_slow, found.error_fast)
    ]
    strength = ((found.seasonal / scale.spread).square().mean(dim=1, keepdim=True) + 1e-4).log()
    parts = [
        scale.weight.log(),
        level.sign() * torch.log1p(level.abs()),
        positive,
        (length / season).log(),
        length.log() - 3.0,
        torch.full_like(length, math.log(season)),
        scaled.gather(1, last),
        masked_mean(scaled, observed, 1),
        *errors,
        (found.slope * per_season).clamp(-LIMIT, LIMIT),
        (found.recent_slope * per_season).clamp(-LIMIT, LIMIT),
        found.alpha,
        strength,
    ]
    return torch.cat(parts, dim=1)
