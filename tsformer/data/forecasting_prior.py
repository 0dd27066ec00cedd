"""Synthetic series to pretrain forecasters on: a season and a length in, histories that run on into their futures out.

A family is a function (n_series, n_timepoints, season, rng) -> series (n_series, n_timepoints); a new one is a function
here, its name in FAMILIES and its weights in WEIGHTS. Those in SHAPES may have any unit: they get an
unforeseeable wandering and a level afterwards.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from tsformer.data.forecasting_parts import (
    Flags,
    add_to_some,
    arma,
    breaks,
    coin,
    held,
    is_fast,
    levels,
    log_uniform,
    noise,
    returning,
    seasonal,
    seasons,
    sizes,
    standardised,
    time_unit,
    trends,
    typical_change,
    waves,
)
from tsformer.data.rows import Floats

Family = Callable[[int, int, int, Generator], Floats]

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
SENSOR_MEMORIES = (0.2, 20), (1, 7), (0.05, 0.4)  # in seasons: of the level, of the amplitude and of sharp noise


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
    column = 0 if season == 1 else 2 if is_fast(season) else 1
    weights = {name: row[column] for name, row in WEIGHTS.items()}
    return weights | {"walks": 8.0} if season == 1 and n_timepoints > 90 else weights


def _gaps(n: int, t: int, rng: Generator) -> Flags:
    """Which values (n, t) are missing: single ones in some series, stretches in others."""
    single = coin(rng, n, 0.05) & (rng.random((n, t)) < log_uniform(rng, n, 0.01, 0.3))
    length = np.ceil(log_uniform(rng, n, 1, max(2, t / 4)))
    start = rng.random((n, 1)) * (t - length)
    stretch = (np.arange(t) >= start) & (np.arange(t) < start + length)
    return single | (coin(rng, n, 0.04) & stretch)


def structural(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Level, trend and seasons with noise, in part a cycle, and breaks of each: series (n, t)."""
    fast, is_yearly = is_fast(season), season <= 4
    calm = coin(rng, n, 0.45 if is_yearly else 0.25)  # trend and season stand out of the noise
    quiet, still = (np.where(calm, rng.uniform(*bounds, (n, 1)), 1.0) for bounds in ((0.05, 0.5), (0.1, 0.7)))

    x = seasons(n, t, season, rng) * sizes(rng, n, 0.3, 1.0, 0.78)
    if season == 4:
        x *= np.where(calm & coin(rng, n, 0.6), 0.3, 1.0)
    x += noise(n, t, rng) * sizes(rng, n, -1.0 if season == 1 else -0.6, 0.8, 0.92) * quiet
    x += levels(n, t, season, rng) * sizes(rng, n, -0.2, 0.9, 0.8) * still
    if fast:
        x += levels(n, t, season, rng) * sizes(rng, n, -0.2, 0.9, 0.5)
    with_trend = 0.08 if fast else 0.8 if is_yearly else 0.65
    add_to_some(x, with_trend, rng, lambda k: trends(k, t, season, rng))
    add_to_some(x, 0.35, rng, lambda k: arma(k, t, season, rng) * sizes(rng, k, -0.3, 0.8))
    add_to_some(x, 0.15, rng, lambda k: waves(k, t, season, rng) * sizes(rng, k, 0.3, 0.8))
    add_to_some(x, 0.12, rng, lambda k: _new_season(k, t, season, rng))
    return x + breaks(n, t, season, rng)


def _new_season(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Another season and another noise (n, t) from some time on, be it in the future."""
    later = np.arange(t) >= t * rng.uniform(0.2, 1.0, (n, 1))
    change = seasonal(n, t, season, rng) * sizes(rng, n, -0.8, 0.8) + noise(n, t, rng) * sizes(rng, n, -0.8, 0.8)
    return later * change


def sarima(n: int, t: int, season: int, rng: Generator) -> Floats:
    """ARMA processes with seasonal terms, half of them integrated, in part with a season and breaks: series (n, t)."""
    x = arma(n, t, season, rng, seasonal=True)
    rows = np.flatnonzero(coin(rng, n, 0.05 if is_fast(season) else 0.5))
    drift = 0.15 * rng.standard_normal((len(rows), 1)) * coin(rng, len(rows), 0.5)
    walk = (x[rows] + drift).cumsum(axis=1)
    x[rows] = walk / typical_change(walk, season)
    x += seasons(n, t, season, rng) * sizes(rng, n, 0.2, 0.9, 0.5)
    add_to_some(x, 0.5, rng, lambda k: breaks(k, t, season, rng))
    return x + noise(n, t, rng) * sizes(rng, n, -1.0, 0.8, 0.5)


def cosines(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Smooth waves, most with a season over them, and little noise: series (n, t)."""
    x = waves(n, t, season, rng) + seasons(n, t, season, rng) * sizes(rng, n, -0.3, 0.8, 0.6)
    return x + noise(n, t, rng) * sizes(rng, n, -1.2, 0.8)


def regimes(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Growth that turns, halts, saturates or collapses when nobody expects it: series (n, t)."""
    unit, time = time_unit(t, season), np.arange(t)
    rate = log_uniform(rng, n, 0.03, 0.25) / unit
    slope = 0.7 + rng.standard_normal((n, t)) * coin(rng, n, 0.85)
    x = held(slope * (rng.random((n, t)) < 0.8), rate, rng).cumsum(axis=1) / unit
    ceiling = np.abs(x).max(axis=1, keepdims=True) * rng.uniform(0.3, 1.0, (n, 1)) + 1e-6
    x = np.where(coin(rng, n, 0.3), ceiling * np.tanh(x / ceiling), x)
    depth = np.ptp(x, axis=1, keepdims=True) * rng.uniform(0.2, 1.0, (n, 1)) * coin(rng, n, 0.2)
    since = np.maximum(time - t * rng.uniform(0.2, 1.0, (n, 1)), 0) / unit
    x -= depth * (1 - np.exp(-since / log_uniform(rng, n, 0.2, 5)))
    x += noise(n, t, rng).cumsum(axis=1) / np.sqrt(unit) * sizes(rng, n, -0.4, 0.8)
    x += seasons(n, t, season, rng) * sizes(rng, n, 0.0, 0.8, 0.8)
    return x + noise(n, t, rng) * sizes(rng, n, -1.2, 0.8, 0.7)


def economies(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Growth by some percent a season, whose rate wanders; seasons and noise in proportion to the level: (n, t)."""
    unit = time_unit(t, season)
    haste = min(season, 12) / 12  # months grow less and are noisier than years
    memory = np.exp(-1 / (log_uniform(rng, n, 0.5, 15) * unit))
    rate = np.minimum(sizes(rng, n, -3.0 - 0.6 * haste, 0.7), 4 * unit / t) * np.where(coin(rng, n, 0.9), 1.0, -1.0)
    rate = rate + returning(rng.standard_normal((n, t)), memory) * sizes(rng, n, -2.9 - 0.4 * haste, 0.7, 0.8)
    log_level = rate.cumsum(axis=1) / unit
    log_level += noise(n, t, rng).cumsum(axis=1) / np.sqrt(unit) * sizes(rng, n, -3.2, 0.8)
    log_level += breaks(n, t, season, rng) * sizes(rng, n, -3.2, 0.7, 0.5)
    log_level += seasons(n, t, season, rng) * np.minimum(sizes(rng, n, -2.5, 1.0, 0.65), 0.7)
    log_level += noise(n, t, rng) * np.minimum(sizes(rng, n, -4.0 + 1.1 * haste, 0.9, 0.85), 0.3)
    return sizes(rng, n, 4.0, 3.0) * np.exp(np.clip(log_level, -9, 9))


def sensors(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Levels that come back within days, a season of changing amplitude, and sharp noise: series (n, t)."""
    slow, swelling, short = (np.exp(-1 / (log_uniform(rng, n, *ages) * season)) for ages in SENSOR_MEMORIES)
    swell = 0.7 * rng.random((n, 1)) * returning(rng.standard_normal((n, t)), swelling)
    x = seasons(n, t, season, rng) * np.exp(swell)
    x += returning(noise(n, t, rng), slow) * sizes(rng, n, 0.2, 0.6)
    x += returning(rng.standard_normal((n, t)), short) * sizes(rng, n, -0.8, 0.7, 0.8)
    return x + noise(n, t, rng) * sizes(rng, n, -2.4, 0.8, 0.7)


def walks(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Pure random walks (n, t), of prices or of values, half of them in volatile and calm times."""
    calm = np.exp(-1 / log_uniform(rng, n, 10, 200))
    size = returning(rng.standard_normal((n, t)), calm) * rng.uniform(0.3, 1.0, (n, 1))
    steps = noise(n, t, rng) * np.exp(size * coin(rng, n, 0.5))
    steps += 0.05 * rng.standard_normal((n, 1)) * coin(rng, n, 0.4)
    path = np.clip(log_uniform(rng, n, 0.002, 0.1) * steps.cumsum(axis=1), -6, 6)
    level = sizes(rng, n, 2.0, 3.0)
    return level * np.where(coin(rng, n, 0.6), np.exp(path), path + rng.uniform(-1, 3, (n, 1)))


def counts(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Poisson counts (n, t) of a seasonal, wandering rate, more spread and with more zeros in part, half in a unit."""
    log_rate = 0.4 * seasonal(n, t, season, rng) * coin(rng, n, 0.5) + rng.uniform(-1.5, 3, (n, 1))
    log_rate += 0.3 * levels(n, t, season, rng) * coin(rng, n, 0.6)
    rate = np.exp(np.clip(log_rate, -4, 5))
    spread = rng.gamma(3, 1 / 3, (n, t))
    rate = np.where(coin(rng, n, 0.4), rate * spread, rate)
    zero = rng.random((n, t)) < rng.uniform(0, 0.6, (n, 1)) * coin(rng, n, 0.4)
    return np.where(zero, 0, rng.poisson(rate)) * _some_unit(rng, n)


def intermittent(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Demand (n, t) that is mostly zero, else a whole number, half in a unit; its chance wanders and has a season."""
    log_odds = rng.uniform(-3.5, 0.0, (n, 1)) + 0.8 * seasonal(n, t, season, rng) * coin(rng, n, 0.4)
    log_odds += 0.4 * levels(n, t, season, rng) * coin(rng, n, 0.4)
    occurs = rng.random((n, t)) < 1 / (1 + np.exp(-np.clip(log_odds, -5, 2)))
    size = np.ceil(np.exp(rng.uniform(0, 3, (n, 1)) + rng.uniform(0, 0.8, (n, 1)) * rng.standard_normal((n, t))) - 0.5)
    return occurs * np.maximum(size, 1) * _some_unit(rng, n)


def _some_unit(rng: Generator, n: int) -> Floats:
    """Units (n, 1): 1 for half of the series."""
    return np.where(coin(rng, n, 0.5), 1.0, sizes(rng, n, 0.0, 1.5))


def flat(n: int, t: int, season: int, rng: Generator) -> Floats:
    """Series (n, t) that do not move, or change rarely."""
    level = sizes(rng, n, 2.0, 2.0, 0.9)
    change = level * rng.standard_normal((n, t)) * rng.uniform(0.0, 0.5, (n, 1)) * coin(rng, n, 0.6)
    return level + held(change, log_uniform(rng, n, 0.005, 0.1), rng)


def _superposed(x: Floats, rng: Generator) -> Floats:
    """Add another of the series (n, t) to some of them."""
    rows = np.flatnonzero(coin(rng, len(x), 0.08))
    x[rows] += x[rng.permutation(rows)] * rng.uniform(0.2, 1, (len(rows), 1))
    return x


def _wandering(x: Floats, season: int, rng: Generator) -> Floats:
    """Add a wandering level that nobody can foresee to series (n, t), in proportion to their change in a season."""
    n, t = x.shape
    typical = np.minimum(typical_change(x, season), 1.5 * x.std(axis=1, keepdims=True))
    size = np.minimum(sizes(rng, n, -0.5, 0.6), 1.5) * coin(rng, n, 0.3 if is_fast(season) else 0.6)
    if is_fast(season):
        return x + levels(n, t, season, rng) * size * typical
    return x + noise(n, t, rng).cumsum(axis=1) / np.sqrt(time_unit(t, season)) * size * typical


def _levelled(x: Floats, season: int, rng: Generator) -> Floats:
    """Put series (n, t) of any unit on a level and a scale: they are added to it, or multiply it as exponents."""
    n, t = x.shape
    z = standardised(x - x.mean(axis=1, keepdims=True))
    spread = np.minimum(sizes(rng, n, -1.5, 0.7), 1.0)
    noise = spread * 0.2 * rng.random((n, 1)) * coin(rng, n, 0.5) * rng.standard_normal((n, t))
    multiplied = np.maximum(np.exp(np.clip(spread * z, -6, 6)) + noise, 0.01)
    level = np.where(coin(rng, n, 0.12), 2 * rng.standard_normal((n, 1)), sizes(rng, n, 1.6, 0.8))
    added = z + level
    added = np.where(coin(rng, n, 0.5) & (level > 0), np.maximum(added, 0.0), added)
    scale = np.clip(sizes(rng, n, 3.0, 3.0), 1e-3, 1e6)
    return scale * np.where(coin(rng, n, 0.3 if is_fast(season) else 0.5), multiplied, added)


SHAPES: dict[str, Family] = {family.__name__: family for family in (structural, sarima, cosines, regimes, sensors)}
FAMILIES: dict[str, Family] = SHAPES | {
    family.__name__: family for family in (economies, walks, counts, intermittent, flat)
}
