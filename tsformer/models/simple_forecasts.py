"""Simple forecasts of many windows at once: values and their mask in, a forecast a method for each step out.

They are what a network starts from, and what it is judged against: seasonal lags, the last value, exponential
smoothing, Theta, damped trends and means. All are computed in float64, masked, and by window: a forecast depends
neither on its batch nor on how much is missing before the first value.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

NAMES = (
    *("lag_1", "lag_2", "lag_3", "lag_long", "last", "smoothing", "theta", "theta_recent", "theta_log"),
    *("damped", "damped_log", "mean", "mean_recent"),
)
ALPHAS = (0.05, 0.12, 0.25, 0.45, 0.7, 0.98)  # smoothing constants, of which each window takes the best
SMOOTHED = 512  # values at most that smoothing looks at: the least constant leaves 4e-12 of what is before
BLOCK = 32  # values that are smoothed by one product; divides SMOOTHED
FEWEST = 0.75  # of the values of a season, for a mean over it
RECENT = 0.6  # weight of a season relative to the next one where recent seasons count more
DAMPING = 0.8  # of a trend, for each season; for each step where there is no season .85
FARTHEST = 10.0  # an exponential trend may run away: so many times the largest value is as far as it gets
ROUNDING = 1e-12  # relative to the largest value of a window: what is below may be rounding


class SimpleForecasts(NamedTuple):
    """Forecasts of B windows by each method, and what they rest on, of the values themselves (not their logarithms)."""

    forecasts: Tensor
    """(B, H, len(NAMES))."""
    seasonal: Tensor
    """(B, season): how far each phase lies above the mean of a season; phase 0 is that of the first step ahead."""
    level: Tensor
    """(B, 1): the last level of exponential smoothing, without the season; so are the slopes."""
    slope: Tensor
    """(B, 1): of the line through all values, by the step."""
    recent_slope: Tensor
    """(B, 1): of the line through the last two seasons."""
    alpha: Tensor
    """(B, 1): the constant in ALPHAS with the least squared errors one step ahead."""
    error: Tensor
    """(B, 1): the root of the mean of these squared errors, in the unit of the values (squares might overflow)."""
    error_slow: Tensor
    """(B, 1): the same at the smallest constant."""
    error_fast: Tensor
    """(B, 1): the same at the largest constant."""


class Smoothing(NamedTuple):
    """Exponential smoothing of values and of their logarithms at the best constant: (2, B, 1) each."""

    level: Tensor
    behind: Tensor  # the steps from where a line has its own level, smoothed alike, to its end
    alpha: Tensor
    errors: Tensor  # mean squares one step ahead, (2, B, A): at each constant
    error: Tensor


class Parts(NamedTuple):
    """What the methods rest on, of the values and of their logarithms: (2, B, 1) each, seasons (2, B, season)."""

    seasonal: Tensor
    recent_seasonal: Tensor
    smoothing: Smoothing
    slope: Tensor
    recent_slope: Tensor
    recent_end: Tensor
    mean: Tensor
    recent_mean: Tensor


def simple_forecasts(y: Tensor, observed: Tensor, season: int, horizon: int, long_season: int = 0) -> SimpleForecasts:
    """Forecast windows by each method in NAMES.

    Parameters
    ----------
    y : float Tensor of shape (B, T)
        Windows that end at the present; what stands where nothing is observed does not matter.
    observed : bool Tensor of shape (B, T)
        True = a real value. A window without any is forecast as 0.
    season : int
        Steps in a season, 1 for none.
    horizon : int
        Steps to forecast.
    long_season : int, default=0
        Steps in a longer season, a multiple of `season` (168 for hourly values), 0 for none: for "lag_long", and for
        "mean_recent", which takes the last three seasons otherwise.

    Returns
    -------
    SimpleForecasts
        In float64.

    Notes
    -----
    Lags that are missing are replaced by the next later one, the long one by the lag of one season. Seasons are found
    by classical decomposition, and not before two of them are there. Smoothing is of the last 512 observed values, one
    after the other. Logarithms are taken of windows above 0; others get the forecast without them.

    References
    ----------
    Theta: Assimakopoulos & Nikolopoulos (2000), in the form of Hyndman & Billah (2003): smoothing with half the slope
    of a line. Damped trend: Gardner & McKenzie (1985).
    """
    n_before = -y.shape[1] % season  # then phases are columns
    y = pad(torch.where(observed, y.double(), 0.0), (n_before, 0))
    observed = pad(observed, (n_before, 0))
    steps = torch.arange(horizon, device=y.device)
    end = torch.where(observed, torch.arange(y.shape[1], device=y.device), 0).amax(dim=1, keepdim=True)
    # Relative to its largest and to its last value, a window can be squared, and a constant one is exactly 0.
    largest = y.abs().amax(dim=1, keepdim=True)
    unit = torch.where(largest > 0, largest, 1.0)
    scaled = y / unit
    positive = (scaled > 0).eq(observed).all(dim=1, keepdim=True) & (largest > 0)
    both = torch.stack([scaled, torch.where(observed & positive, scaled, 1.0).log()])
    last = both.gather(2, end.expand(2, -1, -1))
    found = _parts(torch.where(observed, both - last, 0.0), observed, season, long_season)
    by_method = {name: forecast + last for name, forecast in _by_method(found, season, steps).items()}
    forecasts = {name: plain * unit for name, (plain, _) in by_method.items()}
    for name in ("theta", "damped"):
        exponential = by_method[name][1].exp().clamp(max=FARTHEST) * unit
        forecasts[f"{name}_log"] = torch.where(positive, exponential, forecasts[name])
    forecasts |= _lags(y, observed, end, steps, season, long_season)
    error, errors = (each[0].sqrt() * unit for each in (found.smoothing.error, found.smoothing.errors))
    return SimpleForecasts(
        forecasts=torch.stack([forecasts[name] for name in NAMES], dim=2),
        seasonal=found.seasonal[0] * unit,
        level=(found.smoothing.level + last)[0] * unit,
        slope=found.slope[0] * unit,
        recent_slope=found.recent_slope[0] * unit,
        alpha=found.smoothing.alpha[0],
        error=error,
        error_slow=errors[:, :1],
        error_fast=errors[:, -1:],
    )


def _lags(y: Tensor, observed: Tensor, end: Tensor, steps: Tensor, season: int, long_season: int) -> dict[str, Tensor]:
    """The last value and those of one, two, three and a long season before, or else the next later: (B, H) each."""

    def lag(n_steps: int, period: int, later: Tensor) -> Tensor:
        place = y.shape[1] - n_steps + steps % period
        inside = place.clamp(min=0)
        return torch.where(observed[:, inside] & (place >= 0), y[:, inside], later)

    later = y.gather(1, end).expand(-1, len(steps))
    found = {"last": later}
    for n_seasons in (1, 2, 3):
        later = found[f"lag_{n_seasons}"] = lag(n_seasons * season, season, later)
    found["lag_long"] = lag(long_season, long_season, found["lag_1"]) if long_season else found["lag_1"]
    return found


def _by_method(found: Parts, season: int, steps: Tensor) -> dict[str, Tensor]:
    """Forecasts (2, B, H) of the methods that rest on level, slope and season."""
    ahead = steps.to(found.slope.dtype) + 1.0
    damping = DAMPING ** (1.0 / season) if season > 1 else 0.85
    damped = _power(damping, ahead).cumsum(dim=0)
    seasonal, recent = (index[..., steps % season] for index in (found.seasonal, found.recent_seasonal))
    level = found.smoothing.level
    theta = level + 0.5 * found.slope * (ahead + found.smoothing.behind)
    return {
        "smoothing": level + seasonal,
        "theta": theta + seasonal,
        "theta_recent": theta + recent,
        "damped": 0.5 * (found.recent_end + level) + found.recent_slope * damped + seasonal,
        "mean": found.mean + seasonal,
        "mean_recent": found.recent_mean + recent,
    }


def _power(base: float, exponents: Tensor) -> Tensor:
    """As a tensor's power: exported to ONNX, other numbers than tensors are float32."""
    return _constant(base, exponents) ** exponents


def _constant(value: float, like: Tensor) -> Tensor:
    """On the CPU as a tensor, which ONNX keeps in float64; elsewhere a copy from there would have to be waited for."""
    if like.device.type == "cpu":
        return torch.tensor(value, dtype=like.dtype)
    return like.new_full((), value)


def _parts(values: Tensor, observed: Tensor, season: int, long_season: int) -> Parts:
    """Find seasons, level and slopes of values (2, B, T), 0 where they are not observed (B, T)."""
    seasonal, recent_seasonal = _seasonal_indices(values, observed, season)
    without = values.unflatten(2, (-1, season)) - seasonal.unsqueeze(2)
    values = torch.where(observed, without.flatten(2), 0.0)
    smoothing = _smooth(values, observed)
    slope, _ = _line(values, observed)
    few, more = max(2 * season, 6), max(3 * season, long_season)
    recent_slope, recent_end = _line(values[..., -few:], observed[:, -few:])
    mean, recent_mean = _mean(values, observed), _mean(values[..., -more:], observed[:, -more:])
    return Parts(
        *(seasonal, recent_seasonal, smoothing, slope, recent_slope),
        recent_end=torch.where(observed[:, -few:].any(dim=1, keepdim=True), recent_end, smoothing.level),
        mean=mean,
        recent_mean=torch.where(observed[:, -more:].any(dim=1, keepdim=True), recent_mean, mean),
    )


def _mean(values: Tensor, observed: Tensor) -> Tensor:
    return values.sum(dim=-1, keepdim=True) / observed.sum(dim=-1, keepdim=True).clamp(min=1)


def _line(values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Slope, and value at the last time point, of the line through values (2, B, T) by least squares: (2, B, 1)."""
    time = torch.arange(1 - values.shape[-1], 1, device=values.device, dtype=values.dtype)
    mean_time = _mean(torch.where(observed, time, 0.0), observed)
    apart = torch.where(observed, time - mean_time, 0.0)
    slope = (apart * values).sum(dim=-1, keepdim=True) / apart.square().sum(dim=-1, keepdim=True).clamp(min=0.5)
    return slope, _mean(values, observed) - slope * mean_time


def _seasonal_indices(values: Tensor, observed: Tensor, season: int) -> tuple[Tensor, Tensor]:
    """How far each phase lies above the mean of a season, all seasons alike and recent ones more: (2, B, season).

    Classical decomposition: the mean over seasons of what is left of the values without a moving average of one
    season, of which as many values must be observed as FEWEST says. Windows with less than two seasons from the first
    value on have none.
    """
    n_timepoints = values.shape[-1]
    if season == 1 or n_timepoints < 2 * season:
        zero = values.new_zeros(*values.shape[:2], season)
        return zero, zero
    half, place = season // 2, torch.arange(n_timepoints, device=values.device)
    span = torch.where(observed, n_timepoints - place, 0).amax(dim=1, keepdim=True)
    last = torch.where(observed, place, 0).amax(dim=1, keepdim=True)
    inside = (place >= n_timepoints - span) & (place <= last)
    sums, counts, lengths = (_season_sums(each, season) for each in (values, observed.long(), inside.long()))
    if season % 2 == 0:  # half a step later as well, so that the middle is a time point
        sums, counts = (each[..., 1:] + each[..., :-1] for each in (sums, counts))
        lengths = lengths[..., 1:].minimum(lengths[..., :-1])
    whole = (lengths == season) & (counts >= FEWEST * season * (2 - season % 2)) & (span >= 2 * season)
    counted = whole & observed[:, half : n_timepoints - half]
    left = torch.where(counted, values[..., half : n_timepoints - half] - sums / counts.clamp(min=1), 0.0)
    left, mask = (pad(each, (half, half)).unflatten(-1, (-1, season)) for each in (left, counted.to(values.dtype)))
    age = torch.arange(left.shape[2] - 1, -1, -1, device=values.device, dtype=values.dtype)
    indices = []
    for weight in (torch.ones_like(age), _power(RECENT, age)):
        weight = weight.unsqueeze(1)
        weights = (mask * weight).sum(dim=1)
        index = (left * weight).sum(dim=2) / torch.where(weights > 0, weights, 1.0)
        indices.append(index - index.mean(dim=-1, keepdim=True))
    return indices[0], indices[1]


def _season_sums(values: Tensor, season: int) -> Tensor:
    """Sums of `season` values in a row, (..., T - season + 1)."""
    sums = pad(values.cumsum(dim=-1), (1, 0))
    return sums[..., season:] - sums[..., :-season]


def _smooth(values: Tensor, observed: Tensor) -> Smoothing:
    """Smooth the last values (2, B, T) that are observed; the first level is the mean of the first two of them."""
    # Time is smoothed with them: its level says how far the others lie behind a line.
    time = torch.arange(1 - values.shape[-1], 1, device=values.device, dtype=values.dtype)
    values = torch.cat([values, time.expand_as(values[:1])])
    # What is observed moves to the end, in order; the rest to a place behind it.
    length = min(-(-values.shape[-1] // BLOCK) * BLOCK, SMOOTHED)
    n_later = observed.sum(dim=1, keepdim=True) - observed.cumsum(dim=1)
    place = torch.where(observed & (n_later < length), length - 1 - n_later, length).expand_as(values)
    values = values.new_zeros(*values.shape[:2], length + 1).scatter(2, place, values)[..., :length]
    n_values = observed.sum(dim=1, keepdim=True).clamp(max=length)
    begin = length - n_values
    first, second = (values.gather(2, (begin + i).clamp(max=length - 1).expand(3, -1, -1)) for i in (0, 1))
    start = 0.5 * (first + second)
    counted = torch.arange(length, device=values.device) >= begin
    alphas = torch.stack([_constant(alpha, values) for alpha in ALPHAS])
    levels, squares = _levels(torch.where(counted, values - start, 0.0), alphas)
    levels, errors = levels + start, squares[:2] / n_values.clamp(min=1)
    # The first of those that are best up to rounding, so that chance breaks no ties.
    least = errors.amin(dim=-1, keepdim=True)
    good = errors - least <= 1e-9 * least + ROUNDING**2
    best = good.to(values.dtype).argmax(dim=-1, keepdim=True)
    level, behind = levels[:2].gather(-1, best), -levels[2:].expand_as(errors).gather(-1, best)
    return Smoothing(level, behind, alphas[best], errors, errors.gather(-1, best))


def _levels(values: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Last level of values (..., N) at each constant, and sums of squared errors one step ahead: (..., A).

    The first level is 0. A block at a time: by how much each of its values, and the level before it, enter the levels
    before each value of the block and after the last.
    """
    time = torch.arange(BLOCK + 1, device=values.device)
    age = time - 1 - time[:-1].unsqueeze(1)  # (block, block + 1)
    rest = (1.0 - alphas).unsqueeze(1)
    kernel = torch.where(age.unsqueeze(1) >= 0, alphas.unsqueeze(1) * rest ** age.unsqueeze(1).clamp(min=0), 0.0)
    level = squares = values.new_zeros(*values.shape[:-1], len(alphas))
    for block in values.split(BLOCK, dim=-1):
        levels = (block @ kernel.flatten(1)).unflatten(-1, kernel.shape[1:]) + level.unsqueeze(-1) * rest**time
        squares = squares + (block.unsqueeze(-2) - levels[..., :-1]).square().sum(dim=-1)
        level = levels[..., -1]
    return level, squares
