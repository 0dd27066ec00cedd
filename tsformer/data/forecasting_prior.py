"""Synthetic series to pretrain forecasters on: a season and a length in, histories that run on into their futures out.

A family is a function (n_series, n_timepoints, season, rng) -> series (n_series, n_timepoints); a new one is a function
here, its name in FAMILIES and its weights in WEIGHTS. Those in SHAPES may have any unit: they get an
unforeseeable wandering and a level afterwards. Sizes are counted in what a series changes by in a season.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from tsformer.data.batch import Batch
from tsformer.data.rows import Floats

Flags = NDArray[np.bool_]
Family = Callable[[int, int, int, Generator], Floats]

# Seasons of batches and how often they are drawn; the rest has 2, 3, 5, 6 or any season from 2 to 60.
SEASONS = {12: 0.28, 1: 0.23, 4: 0.17, 24: 0.12, 7: 0.06, 52: 0.03, 96: 0.04, 48: 0.02, 168: 0.01}
# How often each family is drawn: for season 1, for slow seasons, and for fast ones, which are a day or so.
WEIGHTS = {
    "structural": (0.26, 0.39, 0.44),
    "sarima": (0.08, 0.17, 0.16),
    "cosines": (0.04, 0.06, 0.07),
    "regimes": (0.12, 0.04, 0.0),
    "economies": (0.34, 0.22, 0.0),
    "sensors": (0.0, 0.0, 0.22),
    "walks": (0.11, 0.05, 0.02),
    "counts": (0.03, 0.04, 0.05),
    "intermittent": (0.01, 0.02, 0.03),
    "flat": (0.01, 0.01, 0.01),
}
HAVE_WEEKS = (24, 48, 96)  # seasons that are a day: a forecaster looks back a week
PATCH = 12  # time points of a token, by which a batch is measured
LONGER_SEASONS = {5: (21,), 7: (364, 30), 24: (168,), 48: (336,), 96: (672,)}  # what may lie over a season
FAR = 0.25  # of batches without a season look far ahead, from long histories
SENSOR_MEMORIES = (0.2, 20), (1, 7), (0.05, 0.4)  # in seasons: of the level, of the amplitude and of sharp noise
SHORTER_SEASONS = {168: 24, 336: 48, 672: 96}  # what mostly lies within it


def draw_histories(
    n_series: int, n_timepoints: int, season: int, *, rng: Generator, weights: Mapping[str, float] | None = None
) -> tuple[Floats, Flags]:
    """Draw series of one season, of all families in random order.

    Parameters
    ----------
    n_series, n_timepoints : int
        Number of series, and their length: history and future together, at least 2. It may be less than a season.
    season : int
        Time points in a season; 1 is none. Some series have no season all the same, and some have others besides.
    rng : numpy.random.Generator
        Draws all random numbers; the global random state is not used.
    weights : mapping of str to float, default=None
        How often each of FAMILIES is drawn; None is `family_weights(n_timepoints, season)`.

    Returns
    -------
    values : float64 array of shape (n_series, n_timepoints)
        Finite everywhere, of any level and scale.
    observed : bool array of shape (n_series, n_timepoints)
        False where a value is to count as missing, in some 8 % of the series.
    """
    for name, value, least in ("n_series", n_series, 1), ("n_timepoints", n_timepoints, 2), ("season", season, 1):
        if value < least:
            expected = f"must be an int in the range [{least}, inf)"
            raise ValueError(f"The {name!r} parameter of draw_histories {expected}. Got {value!r} instead.")
    weights = weights or family_weights(n_timepoints, season)
    share = np.array(list(weights.values()))
    names = np.array(list(weights))[rng.choice(len(weights), n_series, p=share / share.sum())]
    values = np.empty((n_series, n_timepoints))
    for name in weights:
        values[names == name] = FAMILIES[name](int((names == name).sum()), n_timepoints, season, rng)
    is_shape = np.isin(names, list(SHAPES))
    values[is_shape] = _levelled(_wandering(_superposed(values[is_shape], rng), season, rng), season, rng)
    return values, ~_gaps(n_series, n_timepoints, rng)


def family_weights(n_timepoints: int, season: int) -> dict[str, float]:
    """How often each family is drawn; long series without a season are walks most often."""
    column = 0 if season == 1 else 2 if _is_fast(season) else 1
    weights = {name: row[column] for name, row in WEIGHTS.items()}
    return weights | {"walks": 8.0} if season == 1 and n_timepoints > 90 else weights


@dataclass(frozen=True)
class SyntheticWindows:
    """Batches of new windows: contexts of unequal length, each with what comes after it.

    All windows of a batch have one season, context and horizon. Batch number i is drawn from (seed, i) alone.
    """

    n_batches: int
    tokens: int  # patches in a batch, about: those read, and half as many again as those forecast
    seed: int
    first: int = 0  # number of the first batch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        return map(self.draw, range(self.first, self.first + self.n_batches))

    def draw(self, number: int) -> Batch:
        """Draw a batch by its number: x, observed (B, T, 1), left-padded to T; y, y_observed (B, H)."""
        rng = np.random.default_rng([self.seed, number])
        season = _draw_season(rng)
        context, horizon = _draw_lengths(season, rng)
        n_tokens = 2 + -(-context // PATCH) + 1.5 * -(-horizon // PATCH)
        n = int(np.clip(self.tokens / n_tokens, 32, 512))
        values, observed = draw_histories(n, context + horizon, season, rng=rng)
        observed[:, :context] = _seen(observed[:, :context], season, rng)
        values[~observed] = 0.0
        x, y = torch.from_numpy(values).split([context, horizon], dim=1)
        x_observed, y_observed = torch.from_numpy(observed).split([context, horizon], dim=1)
        future = torch.zeros(n, horizon, 0, dtype=torch.float64)
        seasons = season, 7 * season if season in HAVE_WEEKS else 0
        return Batch(x[..., None], x_observed[..., None], y, y_observed=y_observed, future=future, seasons=seasons)


def _draw_season(rng: Generator) -> int:
    """Draw the season of a batch."""
    small, any_other = rng.choice([2, 3, 5, 6]), rng.integers(2, 61)
    rest = 1.0 - sum(SEASONS.values())
    return int(rng.choice(np.array([*SEASONS, small, any_other]), p=[*SEASONS.values(), rest / 2, rest / 2]))


def _draw_lengths(season: int, rng: Generator) -> tuple[int, int]:
    """Draw context and horizon: short ones most often, the context a multiple of a patch."""
    longest = max(180, min(21 * season, 504), min(7 * season, 1008))
    shortest = max(12 if season == 1 else 24, min(3 * season, 72), season)
    is_far = rng.random()
    skew = rng.random() ** (0.5 if season == 1 and is_far < FAR else 1.5 if season < 12 else 1.0)
    context = min(-(-shortest * (longest / shortest) ** skew // PATCH), longest // PATCH) * PATCH
    if _is_fast(season):
        low, high = (720, 720) if is_far < 0.03 else (24, 336)
    elif season == 1:
        low, high = (192, 192) if is_far < 0.05 else (24, 96) if is_far < FAR else (4, 12)
    else:
        low, high = max(4, season // 4), max(12, min(3 * season, 104))
    return int(context), round(low * (high / low) ** rng.random())


def _seen(observed: Flags, season: int, rng: Generator) -> Flags:
    """Let histories (n, t) begin late, some with only 2 values, and some end with a missing value."""
    n, t = observed.shape
    usual = rng.integers(max(min(season + 3, t // 2), t // 3, min(6, t)), t + 1, n)
    short = np.round(2 * (t / 2) ** rng.random(n)).astype(int)
    length = np.choose(rng.choice(3, n, p=[0.65, 0.1, 0.25]), [usual, short, np.full(n, t)])
    begun = np.arange(t) >= t - length[:, None]
    n_missing = rng.integers(1, 4, (n, 1)) * _coin(rng, n, 0.01)
    seen = begun & observed & (np.arange(t) < t - n_missing)
    return np.where(seen.sum(axis=1, keepdims=True) < 2, begun, seen)


def _gaps(n: int, t: int, rng: Generator) -> Flags:
    """Which values (n, t) are missing: single ones in some series, stretches in others."""
    single = _coin(rng, n, 0.05) & (rng.random((n, t)) < _log_uniform(rng, n, 0.01, 0.3))
    length = np.ceil(_log_uniform(rng, n, 1, max(2, t / 4)))
    start = rng.random((n, 1)) * (t - length)
    stretch = (np.arange(t) >= start) & (np.arange(t) < start + length)
    return single | (_coin(rng, n, 0.04) & stretch)


def _is_fast(season: int) -> bool:
    """Whether a season is about a day: no trends then, and levels that come back. 52 is a year of weeks."""
    return season >= 24 and season != 52


def _unit(t: int, season: int) -> float:
    """Time points in which a series changes noticeably: a season, or an 80th of a long series."""
    return max(season, t / 80)


def _coin(rng: Generator, n: int, fraction: float) -> Flags:
    """True in a fraction of the series, (n, 1)."""
    return rng.random((n, 1)) < fraction


def _log_uniform(rng: Generator, n: int, low: float, high: float) -> Floats:
    """Numbers (n, 1) between two, their logarithms uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))


def _size(rng: Generator, n: int, log_median: float, spread: float, fraction: float = 1.0) -> Floats:
    """Log-normal sizes (n, 1) of a component, 0 where it is left out: all but a fraction of the series have it."""
    return np.exp(log_median + spread * rng.standard_normal((n, 1))) * _coin(rng, n, fraction)


def _standardised(x: Floats) -> Floats:
    """Divide series (n, t) by their std."""
    return x / (x.std(axis=1, keepdims=True) + 1e-6)


def _add_to_some(x: Floats, fraction: float, rng: Generator, component: Callable[[int], Floats]) -> None:
    """Add component(k) of shape (k, t) to k of the series (n, t), about a fraction of them, in place."""
    rows = np.flatnonzero(_coin(rng, len(x), fraction))
    x[rows] += component(len(rows))


def _recursion(shocks: Floats, first: Floats, second: Floats | None = None) -> Floats:
    """Series (n, t) of x_t = first x_(t-1) + second x_(t-2) + shocks_t, from 0; factors (n, 1)."""
    x = shocks.T.copy()  # by time, so that a step is one piece of memory
    for step in range(1, len(x)):
        x[step] += first[:, 0] * x[step - 1]
        if second is not None and step > 1:
            x[step] += second[:, 0] * x[step - 2]
    return x.T


def _returning(noise: Floats, memory: Floats) -> Floats:
    """Processes (n, t) of std 1 that come back to 0, driven by noise of std 1; memory (n, 1) from one to the next."""
    return _recursion(np.hstack([noise[:, :1], noise[:, 1:] * np.sqrt(1 - memory**2)]), memory)


def _held(x: Floats, rate: Floats | float, rng: Generator) -> Floats:
    """Hold values (n, t) until the next change, of which there are `rate` a time point."""
    changes = rng.random(x.shape) < rate
    since = np.maximum.accumulate(np.where(changes, np.arange(x.shape[1]), 0), axis=1)
    return np.take_along_axis(x, since, axis=1)


def _noise(n: int, t: int, rng: Generator) -> Floats:
    """Noise (n, t) of std about 1: normal, Student or Laplace; in part of changing size, or with outliers."""
    kind = rng.random(n)
    noise = np.empty((n, t))
    student, laplace = kind < 0.35, kind > 0.9
    df = rng.uniform(2.2, 8.0, (student.sum(), 1))
    noise[student] = rng.standard_t(df, (len(df), t)) * np.sqrt((df - 2) / df + 0.15)
    noise[laplace] = rng.laplace(0, 0.7, (laplace.sum(), t))
    rest = ~(student | laplace)
    noise[rest] = rng.standard_normal((rest.sum(), t))

    rows = np.flatnonzero(_coin(rng, n, 0.2))
    log_size = rng.standard_normal((len(rows), t)).cumsum(axis=1) / np.sqrt(t) * rng.uniform(0.3, 1.5, (len(rows), 1))
    noise[rows] *= np.exp(log_size - log_size.mean(axis=1, keepdims=True))
    _add_to_some(noise, 0.15, rng, lambda k: _outliers(k, t, rng))
    return noise


def _outliers(n: int, t: int, rng: Generator) -> Floats:
    """Rare values (n, t) many times the std of noise, else 0."""
    hit = rng.random((n, t)) < rng.uniform(0.003, 0.04, (n, 1))
    return hit * rng.standard_normal((n, t)) * rng.uniform(3, 10, (n, 1))


def _pattern(n: int, season: int, rng: Generator) -> Floats:
    """Seasonal patterns (n, season) of mean 0 and std 1: waves, clipped waves, unrelated values, or a few peaks."""
    harmonic = np.arange(1, max(1, season // 2) + 1)
    angle = 2 * np.pi * np.outer(harmonic, np.arange(season) / season)
    used = rng.random((n, len(harmonic))) < rng.uniform(0.3, 1.0, (n, 1))
    used[:, 0] |= ~used.any(axis=1)
    amplitude = used * harmonic ** -rng.uniform(0 if season < 24 else 0.5, 2.5, (n, 1))
    cosines, sines = (amplitude * rng.standard_normal(amplitude.shape) for _ in range(2))
    pattern = cosines @ np.cos(angle) + sines @ np.sin(angle)

    kind = rng.random(n)
    unrelated, peaks = kind < (0.3 if season < 24 else 0.08), kind > 0.88
    pattern[unrelated] = rng.standard_normal((unrelated.sum(), season))
    size = (int(peaks.sum()), season)
    height = (rng.random(size) < rng.uniform(0.08, 0.4, (len(pattern[peaks]), 1))) * rng.lognormal(0, 0.6, size)
    pattern[peaks] = height + 0.1 * rng.standard_normal(size)
    if season >= 24:  # nothing at night
        floor = np.quantile(pattern, 0.5, axis=1, keepdims=True)
        pattern = np.where(_coin(rng, n, 0.12), np.maximum(pattern, floor), pattern)
    pattern -= pattern.mean(axis=1, keepdims=True)
    return _standardised(pattern)


def _seasonal(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Seasons (n, t) of std about 1, whose pattern and amplitude may drift from season to season."""
    if season == 1:
        return np.zeros((n, t))
    n_seasons = t // season + 2
    drift = rng.standard_normal((n, n_seasons, season))
    drift -= drift.mean(axis=2, keepdims=True)
    drift *= _size(rng, n, -2.5, 1.0, 0.6)[..., None]
    pattern = _pattern(n, season, rng)[:, None] + drift.cumsum(axis=1)
    growth = rng.standard_normal((n, n_seasons)).cumsum(axis=1) * _size(rng, n, -2.2, 0.8, 0.35)
    growth += np.linspace(-0.5, 0.5, n_seasons) * 0.6 * rng.standard_normal((n, 1)) * _coin(rng, n, 0.3)
    seasons = (pattern * np.exp(np.clip(growth, -2, 2))[..., None]).reshape(n, n_seasons * season)
    start = rng.integers(0, season)
    return seasons[:, start : start + t]


def _seasons(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Seasons (n, t) of std about 1, in part with a longer season over them, or a shorter one within."""
    seasons = _seasonal(n, t, season, rng)
    if season in LONGER_SEASONS:
        longer = int(rng.choice(LONGER_SEASONS[season]))
        if longer == 7 * season and season > 7:  # days of the week are alike but for their height
            height = np.repeat(rng.standard_normal((n, 7)), season, axis=1)[:, np.arange(t) % longer]
            seasons *= np.exp(0.5 * height * _size(rng, n, -1.0, 0.7, 0.3))
        _add_to_some(seasons, 0.4, rng, lambda k: _seasonal(k, t, longer, rng) * _size(rng, k, -0.8, 0.9))
    if season in SHORTER_SEASONS:
        within = _seasonal(n, t, SHORTER_SEASONS[season], rng) * _size(rng, n, 0.3, 0.7, 0.85)
        seasons = seasons * _size(rng, n, -0.7, 0.7) + within
    return seasons


def _trends(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Trends (n, t): linear; damped or its mirror, accelerating; S-shaped; or piecewise linear."""
    unit = _unit(t, season)
    time, total = np.arange(t) / unit, t / unit
    upward = 0.88 if season == 1 else 0.8 if season <= 4 else 0.75 if season == 12 else 0.6 if season < 24 else 0.5
    size = np.abs(rng.standard_normal((n, 1))) * _size(rng, n, -0.2, 0.8) * (1.5 if season <= 4 else 1.0)
    slope = np.where(_coin(rng, n, upward), size, -size)
    kind = rng.random(n)
    trends = slope * time

    damped = (kind < 0.2).nonzero()[0]
    tau = _log_uniform(rng, len(damped), 0.1, 2) * total * np.where(_coin(rng, len(damped), 0.75), 1, -1)
    trends[damped] = slope[damped] * tau * (1 - np.exp(-time / tau))

    s_shaped = ((kind >= 0.2) & (kind < 0.32)).nonzero()[0]
    middle, width = (rng.uniform(*bounds, (len(s_shaped), 1)) * total for bounds in ((-0.2, 1.1), (0.03, 0.4)))
    trends[s_shaped] = slope[s_shaped] * total * 0.7 / (1 + np.exp(-np.clip((time - middle) / width, -30, 30)))

    piecewise = ((kind >= 0.32) & (kind < 0.62)).nonzero()[0]
    for _ in range(3):
        change = 1.2 * size[piecewise] * rng.standard_normal((len(piecewise), 1)) * _coin(rng, len(piecewise), 0.6)
        trends[piecewise] += change * np.maximum(time - total * rng.random((len(piecewise), 1)), 0)
    return trends


def _levels(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Levels (n, t) that wander by about 1 a season: walks, walks of a wandering slope, or ones that come back."""
    unit, is_yearly = _unit(t, season), season <= 4
    comes_back = _coin(rng, n, 0.95 if _is_fast(season) else 0.2 if is_yearly else 0.3)
    memory = np.where(comes_back, np.exp(-1 / (_log_uniform(rng, n, 0.3, 30) * unit)), 1.0)
    size = np.where(comes_back, np.sqrt(np.minimum(unit * (1 - memory**2), 3.0)), 1.0)
    shocks = _noise(n, t, rng) * size / np.sqrt(unit)
    if not _is_fast(season):
        drift = (0.4 + 0.5 * rng.standard_normal((n, 1))) * _coin(rng, n, 0.65 if is_yearly else 0.5)
        shocks += ~comes_back * drift / unit
    slope_size = _size(rng, n, -1.6, 1.0, 0.6) if is_yearly else _size(rng, n, -2.0, 1.0, 0.45)
    slope_memory = np.where(_coin(rng, n, 0.3), 1.0, np.exp(-1 / (_log_uniform(rng, n, 0.5, 15) * unit)))
    slope_shocks = rng.standard_normal((n, t)) * ~comes_back * slope_size / unit**1.5
    return _recursion(shocks + _recursion(slope_shocks, slope_memory), memory)


def _breaks(n: int, t: int, season: int, rng: Generator) -> Floats:
    """A change of slope at some time, be it in the future, that may level off again; and jumps of the level: (n, t)."""
    unit, time = _unit(t, season), np.arange(t)
    slope = rng.standard_normal((n, 1)) * _size(rng, n, -0.2, 0.8, 0.08 if _is_fast(season) else 0.35)
    since = np.maximum(time - rng.uniform(0.15, 1.0, (n, 1)) * t, 0) / unit
    lasts = np.where(_coin(rng, n, 0.4), _log_uniform(rng, n, 0.5, 6), 1e3)
    breaks = slope * (1.3 if season <= 4 else 1.0) * lasts * (1 - np.exp(-since / lasts))
    for fraction, size in ((0.12, 3.0), (0.05, 5.0)):
        jump = size * rng.standard_normal((n, 1)) * _coin(rng, n, fraction)
        breaks += jump * (time >= t * rng.random((n, 1)))
    return breaks


def _arma(n: int, t: int, season: int, rng: Generator, *, seasonal: bool = False) -> Floats:
    """Stable ARMA(2, 1) processes (n, t) of std 1, on request with seasonal AR(1) and MA(1); roots are drawn."""
    warm_up = min(2 * season + 20, 120)
    shocks = _noise(n, warm_up + t, rng)
    if seasonal and season > 1:
        memory = rng.beta(3, 1.2, (n, 1)) * 0.98 * _coin(rng, n, 0.7)
        average = rng.uniform(-0.8, 0.4, (n, 1)) * _coin(rng, n, 0.5)
        shocks[:, season:] += average * shocks[:, :-season]
        for start in range(season, warm_up + t, season):
            now = shocks[:, start : start + season]
            now += memory * shocks[:, start - season : start - season + now.shape[1]]
    average = rng.uniform(-0.7, 0.7, (n, 1)) * _coin(rng, n, 0.5)
    shocks[:, 1:] += average * shocks[:, :-1]

    large, small = rng.beta(2.5, 1.2, (n, 1)) * 0.99, rng.uniform(-0.7, 0.7, (n, 1))
    large = np.where(_coin(rng, n, 0.12), -0.8 * large, large)
    radius, period = rng.uniform(0.5, 0.98, (n, 1)), _log_uniform(rng, n, 3, 8 * max(season, 3))
    is_complex = _coin(rng, n, 0.3)
    first = np.where(is_complex, 2 * radius * np.cos(2 * np.pi / period), large + small)
    second = np.where(is_complex, -(radius**2), -large * small)
    return _standardised(_recursion(shocks, first, second)[:, warm_up:])


def structural(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Level, trend and seasons with noise, in part a cycle, and breaks of each: series (n, t)."""
    is_fast, is_yearly = _is_fast(season), season <= 4
    calm = _coin(rng, n, 0.45 if is_yearly else 0.25)  # trend and season stand out of the noise
    quiet, still = (np.where(calm, rng.uniform(*bounds, (n, 1)), 1.0) for bounds in ((0.05, 0.5), (0.1, 0.7)))

    x = _seasons(n, t, season, rng) * _size(rng, n, 0.3, 1.0, 0.78)
    if season == 4:
        x *= np.where(calm & _coin(rng, n, 0.6), 0.3, 1.0)
    x += _noise(n, t, rng) * _size(rng, n, -1.0 if season == 1 else -0.6, 0.8, 0.92) * quiet
    x += _levels(n, t, season, rng) * _size(rng, n, -0.2, 0.9, 0.8) * still
    if is_fast:
        x += _levels(n, t, season, rng) * _size(rng, n, -0.2, 0.9, 0.5)
    with_trend = 0.08 if is_fast else 0.8 if is_yearly else 0.65
    _add_to_some(x, with_trend, rng, lambda k: _trends(k, t, season, rng))
    _add_to_some(x, 0.35, rng, lambda k: _arma(k, t, season, rng) * _size(rng, k, -0.3, 0.8))
    _add_to_some(x, 0.15, rng, lambda k: _waves(k, t, season, rng) * _size(rng, k, 0.3, 0.8))
    _add_to_some(x, 0.12, rng, lambda k: _new_season(k, t, season, rng))
    return x + _breaks(n, t, season, rng)


def _new_season(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Another season and another noise (n, t) from some time on, be it in the future."""
    later = np.arange(t) >= t * rng.uniform(0.2, 1.0, (n, 1))
    change = _seasonal(n, t, season, rng) * _size(rng, n, -0.8, 0.8) + _noise(n, t, rng) * _size(rng, n, -0.8, 0.8)
    return later * change


def sarima(n: int, t: int, season: int, rng: Generator) -> Floats:
    """ARMA processes with seasonal terms, half of them integrated, in part with a season and breaks: series (n, t)."""
    x = _arma(n, t, season, rng, seasonal=True)
    rows = np.flatnonzero(_coin(rng, n, 0.05 if _is_fast(season) else 0.5))
    drift = 0.15 * rng.standard_normal((len(rows), 1)) * _coin(rng, len(rows), 0.5)
    walk = (x[rows] + drift).cumsum(axis=1)
    x[rows] = walk / _typical_change(walk, season)
    x += _seasons(n, t, season, rng) * _size(rng, n, 0.2, 0.9, 0.5)
    _add_to_some(x, 0.5, rng, lambda k: _breaks(k, t, season, rng))
    return x + _noise(n, t, rng) * _size(rng, n, -1.0, 0.8, 0.5)


def _typical_change(x: Floats, season: int) -> Floats:
    """Mean absolute change of series (n, t) in a season, or in a time point where they have none: (n, 1)."""
    lag = season if season < x.shape[1] else 1
    return np.abs(x[:, lag:] - x[:, :-lag]).mean(axis=1, keepdims=True) + 1e-6


def _waves(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Sums (n, t) of eight cosines of unrelated periods, from a third of a season to thrice the length, of std 1."""
    longest = 3.0 * t
    period = _log_uniform(rng, 8 * n, min(max(2.5, 0.3 * season), longest), longest).reshape(n, 8, 1)
    amplitude = period ** rng.random((n, 1, 1)) * rng.standard_normal((n, 8, 1))
    angle = 2 * np.pi * (np.arange(t) / period + rng.random((n, 8, 1)))
    return _standardised((amplitude * np.cos(angle)).sum(axis=1))


def cosines(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Smooth waves, most with a season over them, and little noise: series (n, t)."""
    x = _waves(n, t, season, rng) + _seasons(n, t, season, rng) * _size(rng, n, -0.3, 0.8, 0.6)
    return x + _noise(n, t, rng) * _size(rng, n, -1.2, 0.8)


def regimes(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Growth that turns, halts, saturates or collapses when nobody expects it: series (n, t)."""
    unit, time = _unit(t, season), np.arange(t)
    rate = _log_uniform(rng, n, 0.03, 0.25) / unit
    slope = 0.7 + rng.standard_normal((n, t)) * _coin(rng, n, 0.85)
    x = _held(slope * (rng.random((n, t)) < 0.8), rate, rng).cumsum(axis=1) / unit
    ceiling = np.abs(x).max(axis=1, keepdims=True) * rng.uniform(0.3, 1.0, (n, 1)) + 1e-6
    x = np.where(_coin(rng, n, 0.3), ceiling * np.tanh(x / ceiling), x)
    depth = np.ptp(x, axis=1, keepdims=True) * rng.uniform(0.2, 1.0, (n, 1)) * _coin(rng, n, 0.2)
    since = np.maximum(time - t * rng.uniform(0.2, 1.0, (n, 1)), 0) / unit
    x -= depth * (1 - np.exp(-since / _log_uniform(rng, n, 0.2, 5)))
    x += _noise(n, t, rng).cumsum(axis=1) / np.sqrt(unit) * _size(rng, n, -0.4, 0.8)
    x += _seasons(n, t, season, rng) * _size(rng, n, 0.0, 0.8, 0.8)
    return x + _noise(n, t, rng) * _size(rng, n, -1.2, 0.8, 0.7)


def economies(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Growth by some percent a season, whose rate wanders; seasons and noise in proportion to the level: (n, t)."""
    unit = _unit(t, season)
    haste = min(season, 12) / 12  # months grow less and are noisier than years
    memory = np.exp(-1 / (_log_uniform(rng, n, 0.5, 15) * unit))
    rate = np.minimum(_size(rng, n, -3.0 - 0.6 * haste, 0.7), 4 * unit / t) * np.where(_coin(rng, n, 0.9), 1.0, -1.0)
    rate = rate + _returning(rng.standard_normal((n, t)), memory) * _size(rng, n, -2.9 - 0.4 * haste, 0.7, 0.8)
    log_level = rate.cumsum(axis=1) / unit
    log_level += _noise(n, t, rng).cumsum(axis=1) / np.sqrt(unit) * _size(rng, n, -3.2, 0.8)
    log_level += _breaks(n, t, season, rng) * _size(rng, n, -3.2, 0.7, 0.5)
    log_level += _seasons(n, t, season, rng) * np.minimum(_size(rng, n, -2.5, 1.0, 0.65), 0.7)
    log_level += _noise(n, t, rng) * np.minimum(_size(rng, n, -4.0 + 1.1 * haste, 0.9, 0.85), 0.3)
    return _size(rng, n, 4.0, 3.0) * np.exp(np.clip(log_level, -9, 9))


def sensors(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Levels that come back within days, a season of changing amplitude, and sharp noise: series (n, t)."""
    slow, swelling, short = (np.exp(-1 / (_log_uniform(rng, n, *ages) * season)) for ages in SENSOR_MEMORIES)
    swell = 0.7 * rng.random((n, 1)) * _returning(rng.standard_normal((n, t)), swelling)
    x = _seasons(n, t, season, rng) * np.exp(swell)
    x += _returning(_noise(n, t, rng), slow) * _size(rng, n, 0.2, 0.6)
    x += _returning(rng.standard_normal((n, t)), short) * _size(rng, n, -0.8, 0.7, 0.8)
    return x + _noise(n, t, rng) * _size(rng, n, -2.4, 0.8, 0.7)


def walks(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Pure random walks (n, t), of prices or of values, half of them in volatile and calm times."""
    calm = np.exp(-1 / _log_uniform(rng, n, 10, 200))
    size = _returning(rng.standard_normal((n, t)), calm) * rng.uniform(0.3, 1.0, (n, 1))
    steps = _noise(n, t, rng) * np.exp(size * _coin(rng, n, 0.5))
    steps += 0.05 * rng.standard_normal((n, 1)) * _coin(rng, n, 0.4)
    path = np.clip(_log_uniform(rng, n, 0.002, 0.1) * steps.cumsum(axis=1), -6, 6)
    level = _size(rng, n, 2.0, 3.0)
    return level * np.where(_coin(rng, n, 0.6), np.exp(path), path + rng.uniform(-1, 3, (n, 1)))


def counts(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Poisson counts (n, t) of a seasonal, wandering rate, more spread and with more zeros in part, half in a unit."""
    log_rate = 0.4 * _seasonal(n, t, season, rng) * _coin(rng, n, 0.5) + rng.uniform(-1.5, 3, (n, 1))
    log_rate += 0.3 * _levels(n, t, season, rng) * _coin(rng, n, 0.6)
    rate = np.exp(np.clip(log_rate, -4, 5))
    spread = rng.gamma(3, 1 / 3, (n, t))
    rate = np.where(_coin(rng, n, 0.4), rate * spread, rate)
    zero = rng.random((n, t)) < rng.uniform(0, 0.6, (n, 1)) * _coin(rng, n, 0.4)
    return np.where(zero, 0, rng.poisson(rate)) * _some_unit(rng, n)


def intermittent(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Demand (n, t) that is mostly zero, else a whole number, half in a unit; its chance wanders and has a season."""
    log_odds = rng.uniform(-3.5, 0.0, (n, 1)) + 0.8 * _seasonal(n, t, season, rng) * _coin(rng, n, 0.4)
    log_odds += 0.4 * _levels(n, t, season, rng) * _coin(rng, n, 0.4)
    occurs = rng.random((n, t)) < 1 / (1 + np.exp(-np.clip(log_odds, -5, 2)))
    size = np.ceil(np.exp(rng.uniform(0, 3, (n, 1)) + rng.uniform(0, 0.8, (n, 1)) * rng.standard_normal((n, t))) - 0.5)
    return occurs * np.maximum(size, 1) * _some_unit(rng, n)


def _some_unit(rng: Generator, n: int) -> Floats:
    """Units (n, 1): 1 for half of the series."""
    return np.where(_coin(rng, n, 0.5), 1.0, _size(rng, n, 0.0, 1.5))


def flat(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Series (n, t) that do not move, or change rarely."""
    level = _size(rng, n, 2.0, 2.0, 0.9)
    change = level * rng.standard_normal((n, t)) * rng.uniform(0.0, 0.5, (n, 1)) * _coin(rng, n, 0.6)
    return level + _held(change, _log_uniform(rng, n, 0.005, 0.1), rng)


def _superposed(x: Floats, rng: Generator) -> Floats:
    """Add another of the series (n, t) to some of them."""
    rows = np.flatnonzero(_coin(rng, len(x), 0.08))
    x[rows] += x[rng.permutation(rows)] * rng.uniform(0.2, 1, (len(rows), 1))
    return x


def _wandering(x: Floats, season: int, rng: Generator) -> Floats:
    """Add a wandering level that nobody can foresee to series (n, t), in proportion to their change in a season."""
    n, t = x.shape
    typical = np.minimum(_typical_change(x, season), 1.5 * x.std(axis=1, keepdims=True))
    size = np.minimum(_size(rng, n, -0.5, 0.6), 1.5) * _coin(rng, n, 0.3 if _is_fast(season) else 0.6)
    if _is_fast(season):
        return x + _levels(n, t, season, rng) * size * typical
    return x + _noise(n, t, rng).cumsum(axis=1) / np.sqrt(_unit(t, season)) * size * typical


def _levelled(x: Floats, season: int, rng: Generator) -> Floats:
    """Put series (n, t) of any unit on a level and a scale: they are added to it, or multiply it as exponents."""
    n, t = x.shape
    z = _standardised(x - x.mean(axis=1, keepdims=True))
    spread = np.minimum(_size(rng, n, -1.5, 0.7), 1.0)
    noise = spread * 0.2 * rng.random((n, 1)) * _coin(rng, n, 0.5) * rng.standard_normal((n, t))
    multiplied = np.maximum(np.exp(np.clip(spread * z, -6, 6)) + noise, 0.01)
    level = np.where(_coin(rng, n, 0.12), 2 * rng.standard_normal((n, 1)), _size(rng, n, 1.6, 0.8))
    added = z + level
    added = np.where(_coin(rng, n, 0.5) & (level > 0), np.maximum(added, 0.0), added)
    scale = np.clip(_size(rng, n, 3.0, 3.0), 1e-3, 1e6)
    return scale * np.where(_coin(rng, n, 0.3 if _is_fast(season) else 0.5), multiplied, added)


SHAPES: dict[str, Family] = {family.__name__: family for family in (structural, sarima, cosines, regimes, sensors)}
FAMILIES: dict[str, Family] = SHAPES | {
    family.__name__: family for family in (economies, walks, counts, intermittent, flat)
}
