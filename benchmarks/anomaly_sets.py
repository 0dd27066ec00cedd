"""Series with known anomalies, made or read: TRAIN files, processes and an archive enter, a `MadeSeries` leaves.

- From a labelled set, as KDD21 in TSB-UAD: 30 normal cycles to learn from, cases of the commonest class one after
  another, and 50 to score, four of which, never neighbours, are altered. Where there are fewer cases than cycles they
  come again; each cycle has noise of its own. Cases are thinned out to at most 200 points; those with missing values
  are left out. Sets of several channels are altered in one channel or in all.
- Without a period: exchange rates from the part that forecasts are trained on, autoregressive processes and walks, cut
  into stretches of 50 points, four of which are altered.
- From the UCR anomaly archive (Wu & Keogh 2021) as they are: ID_NAME_TRAINEND_BEGIN_END.csv.gz, points counted from 1.

Made are all but the last: seeded; the four kinds of a set are drawn by its name and go on with the seed, so that nine
seeds show each kind four times. TEST files are never opened.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from tsformer.datasets import load_classification

N_TRAIN, N_SCORED, N_ANOMALIES = 30, 50, 4  # cycles
SHORTEST, LONGEST = 24, 200  # points of a cycle
MOST_CHANNELS = 12
NOISE = 0.05  # of the standard deviation
TOLERANCE = 100  # points beside an anomaly of the archive that still count as it
STRETCH = 50  # points of what takes the place of a cycle where there is no period

Floats = NDArray[np.float64]


class Anomaly(NamedTuple):
    """What was altered: `end` is the first point after it."""

    kind: str
    start: int
    end: int
    channels: tuple[int, ...]


class MadeSeries(NamedTuple):
    """A series and what is known of it; `cycle` is the length of a normal cycle, or of a stretch."""

    name: str
    values: Floats  # (time,), or (channels, time)
    labels: NDArray[np.bool_]  # (time,)
    train_end: int
    cycle: int
    anomalies: tuple[Anomaly, ...]


class Altered(NamedTuple):
    """A cycle with an anomaly between `start` and `end`, which count from its beginning and may lie beside it."""

    values: Floats  # (channels, length)
    start: int
    end: int


# Kinds: a cycle (channels, length), the scale of each channel (channels, 1) and a generator in


def as_it_is(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Take a whole cycle, which comes from another class."""
    return Altered(cycle, 0, cycle.shape[1])


def spike(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Lift or lower one point by 3 to 6 standard deviations."""
    values, at = cycle.copy(), int(rng.integers(1, cycle.shape[1] - 1))
    values[:, at] += (signs(cycle, rng) * rng.uniform(3, 6) * scale)[:, 0]
    return Altered(values, at - 1, at + 2)


def level_shift(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Lift or lower half a cycle by 1 to 2 standard deviations."""
    return half_altered(cycle, scale, rng, lambda part: part + signs(cycle, rng) * rng.uniform(1, 2) * scale)


def reversed_shape(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Let a cycle run backwards."""
    return Altered(cycle[:, ::-1].copy(), 0, cycle.shape[1])


def amplitude(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Shrink or stretch a cycle around its mean."""
    mean = cycle.mean(axis=1, keepdims=True)
    return Altered(mean + (cycle - mean) * rng.choice([0.4, 1.8]), 0, cycle.shape[1])


def missing(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Leave half a cycle out; the anomaly is the seam."""
    start, end = half(cycle, scale, rng)
    beside = max(2, cycle.shape[1] // 8)
    return Altered(np.delete(cycle, np.s_[start:end], axis=1), start - beside, start + beside)


def doubled(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Repeat half a cycle; the anomaly is the repetition."""
    start, end = half(cycle, scale, rng)
    return Altered(np.concatenate([cycle[:, :end], cycle[:, start:]], axis=1), end, 2 * end - start)


def flat(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Hold the value for half a cycle, but for a hundredth of the noise that the level has."""
    return half_altered(cycle, scale, rng, lambda part: part[:, :1] + rng.normal(0, 0.01, part.shape) * scale)


def noise(cycle: Floats, scale: Floats, rng: Generator) -> Altered:
    """Add noise of one standard deviation to half a cycle."""
    return half_altered(cycle, scale, rng, lambda part: part + rng.normal(0, 1, part.shape) * scale)


def half_altered(cycle: Floats, scale: Floats, rng: Generator, alter: Callable[[Floats], Floats]) -> Altered:
    """Alter half a cycle and keep its length."""
    (start, end), values = half(cycle, scale, rng), cycle.copy()
    values[:, start:end] = alter(cycle[:, start:end])
    return Altered(values, start, end)


def half(cycle: Floats, scale: Floats, rng: Generator) -> tuple[int, int]:
    """Draw half a cycle, the liveliest of five: where nothing happens nothing can be missing or flat."""
    width = cycle.shape[1] // 2
    starts = rng.integers(cycle.shape[1] - width + 1, size=5)
    start = max(map(int, starts), key=lambda start: float((cycle[:, start : start + width] / scale).std(axis=1).sum()))
    return start, start + width


def signs(cycle: Floats, rng: Generator) -> Floats:
    """Draw up or down for each channel: (channels, 1)."""
    return rng.choice([-1.0, 1.0], size=(len(cycle), 1))


ANOTHER_CLASS = "another class"
KINDS: dict[str, Callable[[Floats, Floats, Generator], Altered]] = {
    ANOTHER_CLASS: as_it_is,
    "spike": spike,
    "level shift": level_shift,
    "reversed": reversed_shape,
    "amplitude": amplitude,
    "missing": missing,
    "doubled": doubled,
    "flat": flat,
    "noise": noise,
}
IN_ALL_CHANNELS = ("missing", "doubled")  # what changes the length
WITHOUT_PERIOD = ("spike", "level shift", "flat", "noise")


# From labelled sets


def is_usable(name: str, folder: Path) -> bool:
    """Tell whether cycles can be made of the TRAIN file of a set."""
    X, y = load_classification(name, "train", folder)
    if not isinstance(X, np.ndarray) or X.shape[1] > MOST_CHANNELS or X.shape[2] < SHORTEST:
        return False
    normal, other = sorted_out(X, y)
    return len(normal) > 1 and len(other) > 0


def from_cases(name: str, folder: Path, seed: int) -> MadeSeries:
    """Make a series of the TRAIN cases of a set."""
    rng = generator(name, seed)
    normal, other = sorted_out(*load_classification(name, "train", folder))  # type: ignore[arg-type]
    scale = np.maximum(normal.std(axis=(0, 2))[:, None], np.finfo(float).tiny)
    n = N_TRAIN + N_SCORED
    drawn = np.concatenate([rng.permutation(len(normal)) for _ in range(-(-n // len(normal)))])[:n]
    cycles, strange = (cases + NOISE * scale * rng.normal(size=cases.shape) for cases in (normal[drawn], other))
    return assembled(name, list(cycles), kinds_of(name, seed, tuple(KINDS)), strange, scale, rng)


def sorted_out(X: Floats, y: NDArray) -> tuple[Floats, Floats]:
    """Return the complete cases of the commonest class and those of the others, thinned out."""
    complete = ~np.isnan(X).any(axis=(1, 2))
    X, y = X[complete, :, :: -(-X.shape[2] // LONGEST)], y[complete]
    classes, counts = np.unique(y, return_counts=True)
    is_normal = y == classes[counts.argmax()]
    return X[is_normal], X[~is_normal]


# Without a period

PROCESSES = {  # what is given of the values before, by lag
    "short memory": (0.5,),
    "long memory": (0.95,),
    "second order": (1.6, -0.8),
    "random walk": (1.0,),
}
EXCHANGE_RATES = {f"exchange rate {column}": column for column in (0, 1, 3, 5)}  # they float freely
N_DAYS = 3500  # after them some days have evident errors, which nobody labelled


def from_process(name: str, seed: int) -> MadeSeries:
    """Make a series of an autoregressive process."""
    rng = generator(name, seed)
    n_before = 200
    shocks = rng.normal(size=n_before + (N_TRAIN + N_SCORED) * STRETCH)
    x = lfilter([1.0], np.r_[1.0, -np.array(PROCESSES[name])], shocks)[n_before:]
    return from_values(name, x, seed, rng)


def from_exchange_rates(name: str, folder: Path, seed: int) -> MadeSeries:
    """Make a series of the first days of an exchange rate, of 5,311 that are for training."""
    rates = pd.read_csv(folder / "exchange_rate.csv.gz").iloc[:N_DAYS, 1:]
    return from_values(name, rates.iloc[:, EXCHANGE_RATES[name]].to_numpy(float), seed, generator(name, seed))


def from_values(name: str, x: Floats, seed: int, rng: Generator) -> MadeSeries:
    """Alter stretches of a series (time,); anomalies are measured by three typical changes from point to point."""
    scale = np.full((1, 1), 3 * np.diff(x[: N_TRAIN * STRETCH]).std())
    cycles = list(x.reshape(-1, 1, STRETCH))
    return assembled(name, cycles, kinds_of(name, seed, WITHOUT_PERIOD), np.empty((0, 1, STRETCH)), scale, rng)


# As they are


def from_archive(name: str, folder: Path) -> MadeSeries:
    """Read a series of the UCR anomaly archive."""
    train_end, begin, end = map(int, re.findall(r"_(\d+)_(\d+)_(\d+)$", name)[0])
    values = pd.read_csv(folder / f"{name}.csv.gz")["value"].to_numpy(float)
    labels = np.zeros(len(values), dtype=bool)
    labels[begin - 1 : end] = True
    return MadeSeries(name, values, labels, train_end, TOLERANCE, (Anomaly("", begin - 1, end, (0,)),))


# What is made


def generator(name: str, seed: int) -> Generator:
    """Begin the random numbers of a set."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def kinds_of(name: str, seed: int, kinds: Sequence[str]) -> list[str]:
    """Choose the kinds of a series: an order that the name draws, gone on with by the seed."""
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(kinds))
    return [kinds[order[(seed * N_ANOMALIES + i) % len(kinds)]] for i in range(N_ANOMALIES)]


def assembled(
    name: str, cycles: list[Floats], kinds: Sequence[str], strange: Floats, scale: Floats, rng: Generator
) -> MadeSeries:
    """Alter a cycle for each kind, some after those to learn from, and join all."""
    n_channels, length = cycles[0].shape
    first, last = N_TRAIN + 1, len(cycles) - 2
    places = first + np.sort(rng.choice(last - first + 2 - len(kinds), len(kinds), replace=False)) + range(len(kinds))
    altered, touched = list(cycles), []
    for place, kind in zip(map(int, places), kinds, strict=True):
        one = n_channels > 1 and kind not in IN_ALL_CHANNELS and rng.random() < 0.5
        channels = [int(rng.integers(n_channels))] if one else list(range(n_channels))
        cycle = strange[rng.integers(len(strange))] if kind == ANOTHER_CLASS else cycles[place]
        values, start, end = KINDS[kind](cycle[channels], scale[channels], rng)
        altered[place] = cycles[place].copy() if one else values
        altered[place][channels] = values
        touched.append((place, kind, start, end, tuple(channels)))
    begins = np.cumsum([0, *(cycle.shape[1] for cycle in altered)])
    anomalies = tuple(Anomaly(k, int(begins[p]) + start, int(begins[p]) + end, c) for p, k, start, end, c in touched)
    labels = np.zeros(begins[-1], dtype=bool)
    for anomaly in anomalies:
        labels[anomaly.start : anomaly.end] = True
    values = np.concatenate(altered, axis=1)
    return MadeSeries(name, values[0] if n_channels == 1 else values, labels, N_TRAIN * length, length, anomalies)
