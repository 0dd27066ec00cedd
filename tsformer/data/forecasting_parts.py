"""Random parts that series with futures are made of: how many, how long and their season in, arrays (n, t) out.

Sizes are counted in what a series changes by in a season.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tsformer.data.rows import Floats

Flags = NDArray[np.bool_]

LONGER_SEASONS = {5: (21,), 7: (364, 30), 24: (168,), 48: (336,), 96: (672,)}  # what may lie over a season
SHORTER_SEASONS = {168: 24, 336: 48, 672: 96}  # what mostly lies within it


def is_fast(season: int) -> bool:
    """Whether a season is about a day: no trends then, and levels that come back. 52 is a year of weeks."""
    return season >= 24 and season != 52


def time_unit(t: int, season: int) -> float:
    """Time points in which a series changes noticeably: a season, or an 80th of a long series."""
    return max(season, t / 80)


def coin(rng: Generator, n: int, fraction: float) -> Flags:
    """True in a fraction of the series, (n, 1)."""
    return rng.random((n, 1)) < fraction


def log_uniform(rng: Generator, n: int, low: float, high: float) -> Floats:
    """Numbers (n, 1) between two, their logarithms uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))


def sizes(rng: Generator, n: int, log_median: float, spread: float, fraction: float = 1.0) -> Floats:
    """Log-normal sizes (n, 1) of a component, 0 where it is left out: all but a fraction of the series have it."""
    return np.exp(log_median + spread * rng.standard_normal((n, 1))) * coin(rng, n, fraction)


def standardised(x: Floats) -> Floats:
    """Divide series (n, t) by their std."""
    return x / (x.std(axis=1, keepdims=True) + 1e-6)


def add_to_some(x: Floats, fraction: float, rng: Generator, component: Callable[[int], Floats]) -> None:
    """Add component(k) of shape (k, t) to k of the series (n, t), about a fraction of them, in place."""
    rows = np.flatnonzero(coin(rng, len(x), fraction))
    x[rows] += component(len(rows))


def recursion(shocks: Floats, first: Floats, second: Floats | None = None) -> Floats:
    """Series (n, t) of x_t = first x_(t-1) + second x_(t-2) + shocks_t, from 0; factors (n, 1)."""
    x = shocks.T.copy()  # by time, so that a step is one piece of memory
    for step in range(1, len(x)):
        x[step] += first[:, 0] * x[step - 1]
        if second is not None and step > 1:
            x[step] += second[:, 0] * x[step - 2]
    return x.T


def returning(noise: Floats, memory: Floats) -> Floats:
    """Processes (n, t) of std 1 that come back to 0, driven by noise of std 1; memory (n, 1) from one to the next."""
    return recursion(np.hstack([noise[:, :1], noise[:, 1:] * np.sqrt(1 - memory**2)]), memory)


def held(x: Floats, rate: Floats | float, rng: Generator) -> Floats:
    """Hold values (n, t) until the next change, of which there are `rate` a time point."""
    changes = rng.random(x.shape) < rate
    since = np.maximum.accumulate(np.where(changes, np.arange(x.shape[1]), 0), axis=1)
    return np.take_along_axis(x, since, axis=1)


def noise(n: int, t: int, rng: Generator) -> Floats:
    """Noise (n, t) of std about 1: normal, Student or Laplace; in part of changing size, or with outliers."""
    kind = rng.random(n)
    x = np.empty((n, t))
    student, laplace = kind < 0.35, kind > 0.9
    df = rng.uniform(2.2, 8.0, (student.sum(), 1))
    x[student] = rng.standard_t(df, (len(df), t)) * np.sqrt((df - 2) / df + 0.15)
    x[laplace] = rng.laplace(0, 0.7, (laplace.sum(), t))
    rest = ~(student | laplace)
    x[rest] = rng.standard_normal((rest.sum(), t))

    rows = np.flatnonzero(coin(rng, n, 0.2))
    log_size = rng.standard_normal((len(rows), t)).cumsum(axis=1) / np.sqrt(t) * rng.uniform(0.3, 1.5, (len(rows), 1))
    x[rows] *= np.exp(log_size - log_size.mean(axis=1, keepdims=True))
    add_to_some(x, 0.15, rng, lambda k: _outliers(k, t, rng))
    return x


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
        pattern = np.where(coin(rng, n, 0.12), np.maximum(pattern, floor), pattern)
    pattern -= pattern.mean(axis=1, keepdims=True)
    return standardised(pattern)


def seasonal(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Seasons (n, t) of std about 1, whose pattern and amplitude may drift from season to season."""
    if season == 1:
        return np.zeros((n, t))
    n_seasons = t // season + 2
    drift = rng.standard_normal((n, n_seasons, season))
    drift -= drift.mean(axis=2, keepdims=True)
    drift *= sizes(rng, n, -2.5, 1.0, 0.6)[..., None]
    pattern = _pattern(n, season, rng)[:, None] + drift.cumsum(axis=1)
    growth = rng.standard_normal((n, n_seasons)).cumsum(axis=1) * sizes(rng, n, -2.2, 0.8, 0.35)
    growth += np.linspace(-0.5, 0.5, n_seasons) * 0.6 * rng.standard_normal((n, 1)) * coin(rng, n, 0.3)
    x = (pattern * np.exp(np.clip(growth, -2, 2))[..., None]).reshape(n, n_seasons * season)
    start = rng.integers(0, season)
    return x[:, start : start + t]


def seasons(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Seasons (n, t) of std about 1, in part with a longer season over them, or a shorter one within."""
    x = seasonal(n, t, season, rng)
    if season in LONGER_SEASONS:
        longer = int(rng.choice(LONGER_SEASONS[season]))
        if longer == 7 * season and season > 7:  # days of the week are alike but for their height
            height = np.repeat(rng.standard_normal((n, 7)), season, axis=1)[:, np.arange(t) % longer]
            x *= np.exp(0.5 * height * sizes(rng, n, -1.0, 0.7, 0.3))
        add_to_some(x, 0.4, rng, lambda k: seasonal(k, t, longer, rng) * sizes(rng, k, -0.8, 0.9))
    if season in SHORTER_SEASONS:
        within = seasonal(n, t, SHORTER_SEASONS[season], rng) * sizes(rng, n, 0.3, 0.7, 0.85)
        x = x * sizes(rng, n, -0.7, 0.7) + within
    return x


def trends(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Trends (n, t): linear; damped or its mirror, accelerating; S-shaped; or piecewise linear."""
    unit = time_unit(t, season)
    time, total = np.arange(t) / unit, t / unit
    upward = 0.88 if season == 1 else 0.8 if season <= 4 else 0.75 if season == 12 else 0.6 if season < 24 else 0.5
    size = np.abs(rng.standard_normal((n, 1))) * sizes(rng, n, -0.2, 0.8) * (1.5 if season <= 4 else 1.0)
    slope = np.where(coin(rng, n, upward), size, -size)
    kind = rng.random(n)
    x = slope * time

    damped = (kind < 0.2).nonzero()[0]
    tau = log_uniform(rng, len(damped), 0.1, 2) * total * np.where(coin(rng, len(damped), 0.75), 1, -1)
    x[damped] = slope[damped] * tau * (1 - np.exp(-time / tau))

    s_shaped = ((kind >= 0.2) & (kind < 0.32)).nonzero()[0]
    middle, width = (rng.uniform(*bounds, (len(s_shaped), 1)) * total for bounds in ((-0.2, 1.1), (0.03, 0.4)))
    x[s_shaped] = slope[s_shaped] * total * 0.7 / (1 + np.exp(-np.clip((time - middle) / width, -30, 30)))

    piecewise = ((kind >= 0.32) & (kind < 0.62)).nonzero()[0]
    for _ in range(3):
        change = 1.2 * size[piecewise] * rng.standard_normal((len(piecewise), 1)) * coin(rng, len(piecewise), 0.6)
        x[piecewise] += change * np.maximum(time - total * rng.random((len(piecewise), 1)), 0)
    return x


def levels(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Levels (n, t) that wander by about 1 a season: walks, walks of a wandering slope, or ones that come back."""
    unit, is_yearly = time_unit(t, season), season <= 4
    comes_back = coin(rng, n, 0.95 if is_fast(season) else 0.2 if is_yearly else 0.3)
    memory = np.where(comes_back, np.exp(-1 / (log_uniform(rng, n, 0.3, 30) * unit)), 1.0)
    size = np.where(comes_back, np.sqrt(np.minimum(unit * (1 - memory**2), 3.0)), 1.0)
    shocks = noise(n, t, rng) * size / np.sqrt(unit)
    if not is_fast(season):
        drift = (0.4 + 0.5 * rng.standard_normal((n, 1))) * coin(rng, n, 0.65 if is_yearly else 0.5)
        shocks += ~comes_back * drift / unit
    slope_size = sizes(rng, n, -1.6, 1.0, 0.6) if is_yearly else sizes(rng, n, -2.0, 1.0, 0.45)
    slope_memory = np.where(coin(rng, n, 0.3), 1.0, np.exp(-1 / (log_uniform(rng, n, 0.5, 15) * unit)))
    slope_shocks = rng.standard_normal((n, t)) * ~comes_back * slope_size / unit**1.5
    return recursion(shocks + recursion(slope_shocks, slope_memory), memory)


def breaks(n: int, t: int, season: int, rng: Generator) -> Floats:
    """A change of slope at some time, be it in the future, that may level off again; and jumps of the level: (n, t)."""
    unit, time = time_unit(t, season), np.arange(t)
    slope = rng.standard_normal((n, 1)) * sizes(rng, n, -0.2, 0.8, 0.08 if is_fast(season) else 0.35)
    since = np.maximum(time - rng.uniform(0.15, 1.0, (n, 1)) * t, 0) / unit
    lasts = np.where(coin(rng, n, 0.4), log_uniform(rng, n, 0.5, 6), 1e3)
    x = slope * (1.3 if season <= 4 else 1.0) * lasts * (1 - np.exp(-since / lasts))
    for fraction, size in ((0.12, 3.0), (0.05, 5.0)):
        jump = size * rng.standard_normal((n, 1)) * coin(rng, n, fraction)
        x += jump * (time >= t * rng.random((n, 1)))
    return x


def arma(n: int, t: int, season: int, rng: Generator, *, seasonal: bool = False) -> Floats:
    """Stable ARMA(2, 1) processes (n, t) of std 1, on request with seasonal AR(1) and MA(1); roots are drawn."""
    warm_up = min(2 * season + 20, 120)
    shocks = noise(n, warm_up + t, rng)
    if seasonal and season > 1:
        memory = rng.beta(3, 1.2, (n, 1)) * 0.98 * coin(rng, n, 0.7)
        average = rng.uniform(-0.8, 0.4, (n, 1)) * coin(rng, n, 0.5)
        shocks[:, season:] += average * shocks[:, :-season]
        for start in range(season, warm_up + t, season):
            now = shocks[:, start : start + season]
            now += memory * shocks[:, start - season : start - season + now.shape[1]]
    average = rng.uniform(-0.7, 0.7, (n, 1)) * coin(rng, n, 0.5)
    shocks[:, 1:] += average * shocks[:, :-1]

    large, small = rng.beta(2.5, 1.2, (n, 1)) * 0.99, rng.uniform(-0.7, 0.7, (n, 1))
    large = np.where(coin(rng, n, 0.12), -0.8 * large, large)
    radius, period = rng.uniform(0.5, 0.98, (n, 1)), log_uniform(rng, n, 3, 8 * max(season, 3))
    is_complex = coin(rng, n, 0.3)
    first = np.where(is_complex, 2 * radius * np.cos(2 * np.pi / period), large + small)
    second = np.where(is_complex, -(radius**2), -large * small)
    return standardised(recursion(shocks, first, second)[:, warm_up:])


def typical_change(x: Floats, season: int) -> Floats:
    """Mean absolute change of series (n, t) in a season, or in a time point where they have none: (n, 1)."""
    lag = season if season < x.shape[1] else 1
    return np.abs(x[:, lag:] - x[:, :-lag]).mean(axis=1, keepdims=True) + 1e-6


def waves(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Sums (n, t) of eight cosines of unrelated periods, from a third of a season to thrice the length, of std 1."""
    longest = 3.0 * t
    period = log_uniform(rng, 8 * n, min(max(2.5, 0.3 * season), longest), longest).reshape(n, 8, 1)
    amplitude = period ** rng.random((n, 1, 1)) * rng.standard_normal((n, 8, 1))
    angle = 2 * np.pi * (np.arange(t) / period + rng.random((n, 8, 1)))
    return standardised((amplitude * np.cos(angle)).sum(axis=1))
