"""Small labelled sets that are made: a kind, a size and a seed in, training and test cases (N, C, T) out.

Each kind is one thing by which classes may differ. They are the second pool that classifiers are chosen by, beside
folds of TRAIN files. Pretraining draws its series from elsewhere, with other ways of differing and the same ideas.
A kind is a function (rng, y, t) -> X (N, C, t); a new one is a function here and its name in KINDS.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Kind = Callable[[np.random.Generator, Classes, int], Floats]

SIZES = (20, 60, 200)  # training cases
N_TEST = 300
LENGTHS = 60, 400  # time points


class MadeTask(NamedTuple):
    """Cases (N, C, T) and their classes (N,), two of them."""

    X: Floats
    y: Classes
    X_test: Floats
    y_test: Classes


def make_task(kind: str, n_cases: int, seed: int) -> MadeTask:
    """Make a set; its length is drawn, and test cases come from where the others do."""
    rng = np.random.default_rng([sorted(KINDS).index(kind), n_cases, seed])
    t = int(np.exp(rng.uniform(*np.log(LENGTHS))))
    y = rng.permutation(np.arange(n_cases + N_TEST) % 2)
    X = KINDS[kind](rng, y, t)
    return MadeTask(X[:n_cases], y[:n_cases], X[n_cases:], y[n_cases:])


# What classes differ by


def motif(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Which of two short patterns comes, at any time."""
    return background(rng, len(y), 1, t) + placed(patterns(rng, t), y, anywhere(rng, y), t)


def order(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Which of two patterns comes first."""
    first, second = np.sort(rng.uniform(0.1, 0.9, (2, len(y))), axis=0)
    both, swapped = patterns(rng, t), 1 - y
    return background(rng, len(y), 1, t) + placed(both, y, first, t) + placed(both, swapped, second, t)


def polarity(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Whether a pattern points up or down."""
    up = patterns(rng, t)[0]
    return background(rng, len(y), 1, t) + placed(np.stack([up, -up]), y, anywhere(rng, y), t)


def count(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Whether a pattern comes two times or three."""
    X, one = background(rng, len(y), 1, t), patterns(rng, t)[:1]
    for number in range(3):
        X[(number < 2) | (y == 1)] += placed(one, 0 * y, anywhere(rng, y), t)[(number < 2) | (y == 1)]
    return X


def level(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How high the series lies in a part of it."""
    start = rng.uniform(0.1, 0.6)
    inside = (np.arange(t) / t > start) & (np.arange(t) / t < start + 0.3)
    return background(rng, len(y), 1, t) + 0.6 * (y[:, None, None] - 0.5) * inside


def size(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How large the swings of one of three channels are."""
    X = background(rng, len(y), 3, t)
    X[:, rng.integers(3)] *= np.where(y == 1, 1.3, 1.0)[:, None]
    return X * np.exp(0.15 * rng.normal(size=(len(y), 1, 1)))


def phase(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How far a wave has come at the start."""
    cycles, shift = rng.uniform(2, 8), rng.uniform(0.5, 1.5)
    angle = 2 * np.pi * cycles * np.arange(t) / t + (shift * y + 0.3 * rng.normal(size=len(y)))[:, None]
    return background(rng, len(y), 1, t) + np.sin(angle)[:, None]


def pace(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How fast a wave goes."""
    cycles = rng.uniform(3, 10) * (1 + 0.12 * y + 0.05 * rng.normal(size=len(y)))
    angle = 2 * np.pi * (cycles[:, None] * np.arange(t) / t + rng.random((len(y), 1)))
    return background(rng, len(y), 1, t) + np.sin(angle)[:, None]


def correlation(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Whether two of four channels go together, as in recordings of the brain."""
    X = background(rng, len(y), 4, t)
    X[:, 1] += np.where(y == 1, 0.7, -0.1)[:, None] * X[:, 0]
    return X / X.std(axis=2, keepdims=True)


def lag(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Which of two channels goes first."""
    steps = max(2, t // 20)
    common = background(rng, len(y), 1, t + steps)[:, 0]
    ahead, behind = common[:, steps:], common[:, :-steps]
    pair = np.stack([np.where(y[:, None] == 1, ahead, behind), np.where(y[:, None] == 1, behind, ahead)], axis=1)
    return pair + 0.7 * background(rng, len(y), 2, t)


def curvature(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How strongly one bend of a smooth curve is bent, as in spectra."""
    time, n_bends = np.arange(t) / t, 8
    centres, widths = rng.random((n_bends, 1)), np.exp(rng.uniform(np.log(0.03), np.log(0.2), (n_bends, 1)))
    heights = rng.normal(size=n_bends) * np.exp(0.06 * rng.normal(size=(len(y), n_bends)))
    heights[:, 0] *= 1 + 0.12 * y
    slope = rng.normal(size=(len(y), 1)) * time
    curves = heights @ np.exp(-(((time - centres) / widths) ** 2)) + 0.3 * slope + rng.normal(size=(len(y), 1))
    return (curves + 0.004 * rng.normal(size=curves.shape))[:, None]


def outline(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """Where a closed outline has a dent; where it begins is nearly the same."""
    angle = 2 * np.pi * (np.arange(t) / t + 0.01 * rng.normal(size=(len(y), 1)))
    X = sum(rng.normal() / k * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 7))
    where = rng.uniform(1, 5) + 0.25 * y[:, None]
    X = X + 0.15 * np.exp(-(((angle - where) / 0.2) ** 2))
    return (X * (1 + 0.05 * rng.normal(size=(len(y), 1))) + 0.03 * rng.normal(size=X.shape))[:, None]


def bulk(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """What the quiet part of channels does that have rare bursts a hundred times as large."""
    quiet = np.sin(2 * np.pi * (np.where(y == 1, 6, 4)[:, None] * np.arange(t) / t + rng.random((len(y), 1))))
    X = quiet[:, None] + background(rng, len(y), 3, t)
    bursts = rng.random(X.shape) < 0.01
    return X + bursts * 30 * rng.standard_t(1.5, size=X.shape)


def bursting(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How often rare bursts come."""
    X = background(rng, len(y), 2, t)
    bursts = rng.random(X.shape) < np.where(y == 1, 0.05, 0.025)[:, None, None]
    return X + bursts * 10 * rng.standard_t(2.0, size=X.shape)


def colour(rng: np.random.Generator, y: Classes, t: int) -> Floats:
    """How fast noise forgets."""
    X = rng.normal(size=(len(y), 1, t))
    forget = rng.uniform(0.3, 0.8) + 0.15 * y
    for step in range(1, t):
        X[..., step] += forget[:, None] * X[..., step - 1]
    return X / X.std(axis=2, keepdims=True)


# Parts of them


def background(rng: np.random.Generator, n: int, n_channels: int, t: int) -> Floats:
    """Noise, walks or slow waves with noise, of one kind for a set: std about 1."""
    noise = rng.normal(size=(n, n_channels, t))
    match rng.integers(3):
        case 0:
            return noise
        case 1:
            walk = noise.cumsum(axis=2)
            return (walk - walk.mean(axis=2, keepdims=True)) / walk.std(axis=2, keepdims=True)
        case _:
            angle = 2 * np.pi * (rng.uniform(0.5, 3, (n, n_channels, 1)) * np.arange(t) / t + rng.random((n, 1, 1)))
            return np.sin(angle) + 0.4 * noise


def patterns(rng: np.random.Generator, t: int) -> Floats:
    """Two patterns (2, length) of one energy, a tenth to a fifth of a series."""
    time = np.linspace(-1, 1, max(6, int(t * rng.uniform(0.1, 0.2))))
    waves = np.stack([np.sin(np.pi * rng.uniform(0.8, 3.5) * time + rng.uniform(0, 6)) for _ in range(2)])
    waves *= np.exp(-2 * time**2)
    return 2.5 * waves / np.abs(waves).max(axis=1, keepdims=True)


def anywhere(rng: np.random.Generator, y: Classes) -> Floats:
    """Places (N,) from 0 to 1."""
    return rng.random(len(y))


def placed(choices: Floats, which: Classes, where: Floats, t: int) -> Floats:
    """One of the patterns (K, length) for each case, at a place between 0 and 1, in series (N, 1, t) of zeros."""
    X, length = np.zeros((len(which), 1, t)), choices.shape[1]
    for i, start in enumerate((where * (t - length)).astype(int)):
        X[i, 0, start : start + length] = choices[which[i]]
    return X


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(motif, order, polarity, count, level, size, phase, pace, correlation, lag),
        *(curvature, outline, bulk, bursting, colour),
    )
}
