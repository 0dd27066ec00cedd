"""Normal courses, series as they usually go: scaled series enter, and where they are most like a query leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from tsformer.data.rows import Floats

MOST = 20_000  # time points that are kept, the last ones
KNOWN = 0.5  # fraction of what is compared that must be known

Indices = NDArray[np.intp]


class Courses(NamedTuple):
    """Normal series one after another."""

    values: Floats  # (N, C), scaled, without gaps
    runs: Indices  # (N,), ascending: which points followed each other
    times: pd.Index[Any]  # (N,)
    ids: list[Any]  # of the series of each run

    def joined(self, series: Sequence[Floats], times: Sequence[pd.Index[Any]], ids: Sequence[Any]) -> Courses:
        """Add scaled series (T, C), with lines in their gaps, and keep the last points."""
        if not series:
            return self
        filled = [pd.DataFrame(rows).interpolate(limit_direction="both").fillna(0.0).to_numpy() for rows in series]
        runs = np.repeat(np.arange(len(series)) + len(self.ids), [len(rows) for rows in series])
        earlier = [self.times] if len(self.times) else []
        first, *others = [*earlier, *times]
        kept = np.concatenate([self.runs, runs])[-MOST:]
        values = np.concatenate([self.values, *filled])[-MOST:]
        return Courses(values, kept - kept[0], first.append(others)[-MOST:], [*self.ids, *ids][kept[0] :])

    @property
    def longest(self) -> int:
        """Points of the longest run."""
        return int(np.bincount(self.runs).max())


def no_courses(n_channels: int) -> Courses:
    """Begin with nothing."""
    return Courses(np.empty((0, n_channels)), np.empty(0, int), pd.RangeIndex(0), [])


def runs_of(is_normal: NDArray[np.bool_], least: int) -> list[slice]:
    """Where a series (T,) is normal for so many points on end."""
    edges = np.flatnonzero(np.diff(np.r_[False, is_normal, False].astype(int)))
    return [slice(start, end) for start, end in edges.reshape(-1, 2).tolist() if end - start >= least]


def distances(courses: Courses, query: Floats, wanted: NDArray[np.bool_] | None = None) -> Floats:
    """Mean squared difference of a query (m, C) from the stretch that begins at each point: (N - m + 1,).

    What is missing in the query or not `wanted` (m or 1, C or 1) does not count; infinite where a stretch is none.
    """
    m = len(query)
    if m > len(courses.values):
        return np.empty(0)
    asked_of = np.broadcast_to(True if wanted is None else wanted, query.shape)
    use = asked_of & ~np.isnan(query)
    asked = np.where(use, query, 0.0)
    total = np.square(asked).sum() + sum(
        _correlated(np.square(x), mask) - 2.0 * _correlated(x, q)
        for x, mask, q in zip(courses.values.T, use.astype(float).T, asked.T, strict=True)
    )
    together = courses.runs[m - 1 :] == courses.runs[: len(courses.runs) - m + 1]
    n = use.sum()
    enough = n >= KNOWN * asked_of.sum()
    return np.where(together & enough, np.maximum(total, 0.0) / max(n, 1), np.inf)


def _correlated(x: Floats, kernel: Floats) -> Floats:
    """Sums of products of a kernel (m,) with each stretch of (N,)."""
    sums: Floats = fftconvolve(x, kernel[::-1], mode="valid")
    return sums


def lowest(values: Floats, apart: int, most: int) -> Indices:
    """Positions of the lowest finite values, at most so many, that lie so far apart."""
    remaining = values.copy()
    found: list[int] = []
    while len(found) < most and len(remaining) and np.isfinite(remaining[at := int(remaining.argmin())]):
        found.append(at)
        remaining[max(0, at - apart + 1) : at + apart] = np.inf
    return np.array(found, int)
