"""Rivals that detect anomalies: a training part, a series and a seed enter, scores leave, higher where it is stranger.

Both are of shape (time,) or (channels, time), scores (time,). All look at windows of so many periods of the training
part, and a point's score is the mean over the windows that hold it, as aeon's detectors have it.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import argrelextrema
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

Floats = NDArray[np.float64]

FIRST_LAG, LAST_LAG = 3, 400
LONGEST_PERIOD = 300
NO_PERIOD = 125  # points, as in TSB-AD; for a period that is longer as well
N_NEIGHBOURS = 3
FLOOR = 0.01  # of all variance: best of seven ways to score on made series of seed 1, of which results have seed 0


def sub_pca(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Add up the squares along the principal components of training windows, each by its variance and a floor."""
    length = window_length(train, periods)
    pca = PCA().fit(windows(train, length))
    variance = pca.explained_variance_
    squares = pca.transform(windows(x, length)) ** 2
    return spread((squares / (variance + FLOOR * variance.sum())).sum(axis=1), length)


def neighbours(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Measure the mean distance to the nearest training windows."""
    length = window_length(train, periods)
    return nearest(windows(train, length), windows(x, length), length)


def normalised_neighbours(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Do the same with z-normalised windows."""
    length = window_length(train, periods)
    return nearest(normalised(windows(train, length), length), normalised(windows(x, length), length), length)


def matrix_profile(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Join the series with its training part, channel by channel: the z-normalised distance to the nearest window."""
    import stumpy

    length = window_length(train, periods)
    pairs = zip(np.atleast_2d(train), np.atleast_2d(x), strict=True)
    profiles = [stumpy.stump(own, length, seen, ignore_trivial=False)[:, 0] for seen, own in pairs]
    return spread(np.mean(profiles, axis=0).astype(float), length)


def isolation_forest(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Count how soon random cuts set a window apart."""
    length = window_length(train, periods)
    forest = IsolationForest(random_state=seed).fit(windows(train, length))
    return spread(-forest.score_samples(windows(x, length)), length)


def kmeans(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Measure the distance to the nearest of 20 means of training windows."""
    from aeon.anomaly_detection.series.distance_based import KMeansAD

    return KMeansAD(window_size=window_length(train, periods), random_state=seed).fit(train, axis=1).predict(x, axis=1)


def rockad(train: Floats, x: Floats, seed: int, periods: float = 1.0) -> Floats:
    """Find neighbours by random convolutions, which need 16 points; a window begins at each eighth of its length.

    Less often where there would be more than about a thousand to learn from: its trees take hours.
    """
    from aeon.anomaly_detection.series.distance_based import ROCKAD

    length = max(16, window_length(train, periods))
    stride = min(length, max(length // 8, train.shape[-1] // 1000))
    detector = ROCKAD(window_size=length, stride=stride, random_state=seed)
    return detector.fit(train, axis=1).predict(x, axis=1)


# What they share


def window_length(train: Floats, periods: float) -> int:
    """Count the points of so many periods, at least 4 and at most a third of the training part."""
    return int(np.clip(round(periods * period_of(train)), 4, train.shape[-1] // 3))


def period_of(train: Floats) -> int:
    """Take the lag at which the autocorrelation peaks highest, as in TSB-AD, the mean over channels."""
    x = np.atleast_2d(train)
    x = x - x.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(x, 2 * x.shape[1])) ** 2
    products = np.fft.irfft(spectrum)[:, : LAST_LAG + 1]
    correlation = (products / np.maximum(products[:, :1], np.finfo(float).tiny)).mean(axis=0)[FIRST_LAG:]
    (peaks,) = argrelextrema(correlation, np.greater)
    period = FIRST_LAG + int(peaks[correlation[peaks].argmax()]) if len(peaks) else NO_PERIOD
    return period if period <= LONGEST_PERIOD else NO_PERIOD


def windows(x: Floats, length: int) -> Floats:
    """Cut out all windows, the channels of each side by side: (n_windows, n_channels * length)."""
    cut = sliding_window_view(np.atleast_2d(x), length, axis=1)  # (channels, windows, length)
    return cut.swapaxes(0, 1).reshape(cut.shape[1], -1)


def normalised(cut: Floats, length: int) -> Floats:
    """Bring each channel of windows to mean 0 and standard deviation 1; those that are constant to 0."""
    parts = cut.reshape(len(cut), -1, length)
    std = parts.std(axis=2, keepdims=True)
    z = (parts - parts.mean(axis=2, keepdims=True)) / np.where(std > 1e-8, std, np.inf)
    return z.reshape(cut.shape)


def nearest(seen: Floats, asked: Floats, length: int) -> Floats:
    """Score points by the mean distance of their windows to the nearest that were seen."""
    index = NearestNeighbors(n_neighbors=N_NEIGHBOURS, algorithm="brute").fit(seen)
    return spread(index.kneighbors(asked)[0].mean(axis=1), length)


def spread(scores: Floats, length: int) -> Floats:
    """Give each point the mean score of the windows that hold it: (n_windows,) to (n_windows + length - 1,)."""
    over = np.ones(length)
    return np.convolve(scores, over) / np.convolve(np.ones(len(scores)), over)
