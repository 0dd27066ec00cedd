"""The period that series show: values in, the number of time points after which they repeat out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsformer.data.rows import Floats

SHORTEST, LONGEST = 16, 1000  # time points that a period may have
FEWEST = 4  # periods in a series that shows one
NEARLY = 0.9  # of the highest autocorrelation: the first peak so high is the period, later ones are its multiples
WEAKEST = 0.2  # autocorrelation of a period
A_PART, NEAR = 0.8, 0.05  # of the autocorrelation of a multiple, on average over all multiples; distance from these
FARTHEST = 10.0  # from the median, in ranges of the middle nine tenths: one value beyond would hide all others


def find_period(series: Sequence[Floats]) -> int:
    """Return the period that series (T, C) of one kind have in common, 1 where their autocorrelation shows none.

    Missing values (NaN) are left out.
    """
    longest = min(LONGEST, max(len(rows) for rows in series) // FEWEST)
    found = sum(_autocovariance(channel, longest) for rows in series for channel in rows.T)
    if not isinstance(found, np.ndarray) or len(found) <= SHORTEST or found[0] <= 0.0:
        return 1
    r = found / found[0]
    lags = np.arange(SHORTEST, len(r) - 1)
    peaks = lags[(r[lags] > r[lags - 1]) & (r[lags] >= r[lags + 1])]
    if not len(peaks) or (highest := r[peaks].max()) < WEAKEST:
        return 1
    period = int(peaks[r[peaks] >= NEARLY * highest][0])
    parts = [part for part in peaks[peaks <= period // 2 + NEAR * period].tolist() if _is_part(part, period, r)]
    return parts[0] if parts else period


def _is_part(part: int, period: int, r: Floats) -> bool:
    """Tell whether a period is but a multiple of `part`: at the other multiples series repeat about as well.

    Where a period varies, or its cycles differ, chance decides which multiple has the highest autocorrelation.
    """
    n, near = round(period / part), max(1, int(NEAR * part))
    if abs(period - n * part) > near:
        return False
    return bool(
        np.mean([r[i * part - near : i * part + near + 1].max() for i in range(1, n + 1)]) >= A_PART * r[period]
    )


def _autocovariance(channel: Floats, longest: int) -> Floats:
    """Of a channel (T,) divided by its variance, for lags of 0 to `longest`; of pairs of observed values alone."""
    observed = ~np.isnan(channel)
    channel = _without_extremes(channel, observed)
    values = np.where(observed, channel, 0.0)
    largest = np.abs(values).max()
    values = values / largest if largest > 0.0 else values
    n_observed = max(1, observed.sum())
    values = np.where(observed, values - values.sum() / n_observed, 0.0)
    variance = np.square(values).sum() / n_observed
    if not variance > np.finfo(float).eps ** 2:
        return np.zeros(longest + 1)
    pairs = np.maximum(_correlation(observed.astype(float), longest), 1.0)
    return _correlation(values, longest) / pairs / variance


def _without_extremes(channel: Floats, observed: NDArray[np.bool_]) -> Floats:
    if not observed.any():
        return channel
    low, center, high = np.quantile(channel[observed] / 2.0, [0.05, 0.5, 0.95])
    farthest = 2.0 * FARTHEST * min(high - low, np.finfo(float).max / (4.0 * FARTHEST))
    return np.clip(channel, 2.0 * center - farthest, 2.0 * center + farthest) if farthest > 0.0 else channel


def _correlation(values: Floats, longest: int) -> Floats:
    """Sums of products of values (T,) with those `lag` later, for lags of 0 to `longest`; 0 beyond the series."""
    spectrum = np.fft.rfft(values, 2 * len(values))
    sums: Floats = np.fft.irfft(spectrum * spectrum.conj())[: longest + 1]
    return np.pad(sums, (0, longest + 1 - len(sums)))
