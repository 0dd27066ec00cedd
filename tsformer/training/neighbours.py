"""How far windows of series lie from the nearest normal ones: by what an encoder says of them, and by their values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tsformer.data.batch import StoredCases
from tsformer.data.rows import Floats
from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.training.prediction import predict_in_batches

N_NEIGHBOURS = 3
STRIDES = 8  # in a window
LEVEL_WEIGHT = 8.0  # of a window's level beside its shape: 18 features of 2,322
MEMORY_FEATURES, MEMORY_VALUES = 25_000_000, 10_000_000  # that are kept, 100 and 80 MB
AT_ONCE = 2**22  # distances, and features of windows, in memory at a time
ENOUGH = 0.5  # fraction of a window that must be observed
FARTHEST = 1e4  # units from the center
SPREAD = 3.29  # stds between the quantiles of 5 and 95 % of a normal distribution
ROUNDING = 1e-9  # of a channel's values
CONSTANT = 1e-4  # std of a feature over the windows, relative to its largest

Indices = NDArray[np.intp]


class Scale(NamedTuple):
    """What makes the values of channels comparable."""

    center: Floats  # (C,)
    unit: Floats  # (C,)

    def apply(self, rows: Floats) -> Floats:
        """Scale a series (T, C); what is farther than anything can be is cut."""
        with np.errstate(over="ignore"):
            return np.clip(rows / self.unit - self.center / self.unit, -FARTHEST, FARTHEST)


class NormalWindows(NamedTuple):
    """A memory of normal windows: the values of as many as there is room for, and the features of fewer."""

    values: Floats  # (N, L, C), scaled, without gaps
    features: NDArray[np.float32]  # (M, C, F), standardised
    mean: Floats  # (C, F), of the features of training windows
    factor: Floats  # (C, F)

    @property
    def length(self) -> int:
        """Time points of a window."""
        return self.values.shape[1]


class Own(NamedTuple):
    """Where windows of a memory begin in one series, below -L for those of others: (N,) and (M,)."""

    values: Indices
    features: Indices


class Strangeness(NamedTuple):
    """How far a series lies from normal windows: of each time point by each channel alone, then by all together."""

    shape: Floats  # (T, V), distance in features; NaN where no window says anything
    values: Floats  # (T, V), distance in values


def fit_scale(series: Sequence[Floats]) -> Scale:
    """Find center and unit of each channel: by quantiles, which a few odd values do not move."""
    rows = np.concatenate(series)
    low, center, high = np.nanquantile(rows, [0.05, 0.5, 0.95], axis=0)
    spread = high / SPREAD - low / SPREAD
    largest = np.nanmax(np.abs(rows), axis=0)
    largest = np.where(largest > 0.0, largest, 1.0)
    std = np.nanstd(rows / largest, axis=0) * largest
    varies = std > ROUNDING * largest
    unit = np.where(spread > ROUNDING * np.maximum(np.abs(low), np.abs(high)), spread, np.where(varies, std, largest))
    return Scale(center, unit)


def starts_of(n_timepoints: int, length: int, stride: int) -> Indices:
    """Where windows begin: after each stride, and so that the last one ends with the series."""
    last = n_timepoints - length
    return np.unique([*range(0, last + 1, stride), last])


def stride_of(length: int) -> int:
    """How far apart windows begin that are compared by features: an eighth of their length."""
    return max(1, length // STRIDES)


def fit_memory(
    encoder: ChannelEncoder, series: Sequence[Floats], length: int, most: int, device: torch.device
) -> tuple[NormalWindows, list[Own]]:
    """Keep windows of scaled series, evenly spread if there are too many; and where they are in each series.

    Values are compared with windows from each time point on: half a stride aside they look strange.
    """
    room = _room(encoder, length, series[0].shape[1], most)
    filled = [_without_gaps(rows) for rows in series]
    of_values, of_features = (
        _thinned(np.concatenate([_places(i, rows, length, stride) for i, rows in enumerate(series)]), n)
        for stride, n in zip((1, stride_of(length)), room, strict=True)
    )
    if not len(of_features):
        raise ValueError(
            f"No window of {length} time points of the training series is observed by half. Give longer stretches "
            "without gaps, or a smaller window_length."
        )
    features = _embedded_in_parts(encoder, _cut(filled, of_features, length), device)
    mean, std = features.mean(axis=0, dtype=float), features.std(axis=0, dtype=float)
    varies = std > CONSTANT * np.abs(features).max(axis=0)
    factor = np.where(varies, 1.0 / np.maximum(std, np.finfo(np.float32).tiny), 0.0)
    factor[:, : len(encoder.level_names)] *= LEVEL_WEIGHT
    values = _cut(filled, of_values, length)
    memory = NormalWindows(values, _standardised(features, mean, factor), mean, factor)
    places = of_values, of_features
    own = [Own(*(np.where(at[:, 0] == i, at[:, 1], -length) for at in places)) for i in range(len(series))]
    return memory, own


def _cut(series: Sequence[Floats], places: Indices, length: int) -> Floats:
    return np.stack([series[i][start : start + length] for i, start in places])


def extended(
    memory: NormalWindows, encoder: ChannelEncoder, windows: Floats, most: int, device: torch.device
) -> NormalWindows:
    """Remember further windows (n, L, C), scaled and without gaps; beyond the room there is, some of all."""
    if not len(windows):
        return memory
    some = windows[:: stride_of(memory.length)]
    features = _standardised(_embedded_in_parts(encoder, some, device), memory.mean, memory.factor)
    room = _room(encoder, memory.length, windows.shape[2], most)
    values = _thinned(np.concatenate([memory.values, windows]), room[0])
    return memory._replace(values=values, features=_thinned(np.concatenate([memory.features, features]), room[1]))


def windows_of(rows: Floats, length: int, stride: int, wanted: NDArray[np.bool_] | None = None) -> Floats:
    """Cut the windows (n, L, C) of a series, those that lie in `wanted` (T,) alone if it is given."""
    starts = starts_of(len(rows), length, stride)
    if wanted is not None:
        unwanted = np.pad(~wanted, (1, 0)).cumsum()
        starts = starts[unwanted[starts + length] == unwanted[starts]]
    return rows[starts[:, None] + np.arange(length)]


def _room(encoder: ChannelEncoder, length: int, n_channels: int, most: int) -> tuple[int, int]:
    """How many windows to keep the values of, and the features of."""
    sizes = zip((MEMORY_VALUES, MEMORY_FEATURES), (length, len(encoder.feature_names)), strict=True)
    of_values, of_features = (min(most, max(10, n // (n_channels * size))) for n, size in sizes)
    return of_values, of_features


def _embedded_in_parts(encoder: ChannelEncoder, windows: Floats, device: torch.device) -> NDArray[np.float32]:
    n_values = windows.shape[2] * len(encoder.feature_names)
    return np.concatenate([embedded(encoder, part, device) for part in _parts(windows, n_values)])


def _places(number: int, rows: Floats, length: int, stride: int) -> Indices:
    """Number and start (n, 2) of the windows of a series that are observed enough in all channels with any value."""
    starts = starts_of(len(rows), length, stride)
    has_values = ~np.isnan(rows).all(axis=0)
    starts = starts[_observed_enough(rows, starts, length)[:, has_values].all(axis=1) & has_values.any()]
    return np.column_stack([np.full(len(starts), number), starts])


def _observed_enough(rows: Floats, starts: Indices, length: int) -> NDArray[np.bool_]:
    """In which channels windows are observed by half (n, C)."""
    observed = np.pad(~np.isnan(rows), ((1, 0), (0, 0))).cumsum(axis=0)
    enough: NDArray[np.bool_] = observed[starts + length] - observed[starts] >= ENOUGH * length
    return enough


def _thinned(windows: NDArray[Any], most: int) -> NDArray[Any]:
    if len(windows) <= most:
        return windows
    return windows[np.linspace(0, len(windows) - 1, most).astype(int)]


def _without_gaps(rows: Floats) -> Floats:
    """A series (T, C) with lines between the values beside gaps, 0 where nothing is known."""
    if not np.isnan(rows).any():
        return rows
    filled = rows.copy()
    times = np.arange(len(rows))
    for channel in filled.T:
        known = ~np.isnan(channel)
        channel[~known] = np.interp(times[~known], times[known], channel[known]) if known.any() else 0.0
    return filled


def _parts(windows: Any, n_values: int) -> list[Any]:
    return np.array_split(windows, max(1, -(-len(windows) * n_values // AT_ONCE)))


def embedded(encoder: ChannelEncoder, windows: Floats, device: torch.device) -> NDArray[np.float32]:
    """Features (n, C, F) of windows (n, L, C)."""
    series = np.ascontiguousarray(windows.transpose(0, 2, 1))
    n, n_channels, length = series.shape
    cases = StoredCases(series, np.arange(n), np.full(n, length), length)
    features = predict_in_batches(encoder, ChannelEncoder.embed, cases, device)
    return features.float().numpy().reshape(n, n_channels, -1)


def _standardised(features: NDArray[np.float32], mean: Floats, factor: Floats) -> NDArray[np.float32]:
    standardised: NDArray[np.float32] = ((features - mean) * factor).astype(np.float32)
    return standardised


def strangeness(
    encoder: ChannelEncoder,
    memory: NormalWindows,
    rows: Floats,
    device: torch.device,
    own: Own | None = None,
) -> Strangeness:
    """Compare the windows of a scaled series (T, C) with normal ones; not with `own` ones that they overlap.

    A channel that is observed by less than half of a window has no part in it, so that one that fails hides no other.
    """
    length, n_views = memory.length, _n_views(rows.shape[1])
    starts = starts_of(len(rows), length, stride_of(length))
    enough = _observed_enough(rows, starts, length)
    starts, enough = starts[enough.any(axis=1)], enough[enough.any(axis=1)]
    sums = Strangeness(*(np.zeros((len(rows), n_views)) for _ in Strangeness._fields))
    counts = np.zeros((len(rows), 1))
    for some in _parts(np.arange(len(starts)), max(memory.features[0].size, len(memory.values))):
        if not len(some):
            continue
        part = starts[some]
        windows = np.where(enough[some][:, None], rows[part[:, None] + np.arange(length)], np.nan)
        overlaps = (None, None) if own is None else tuple(np.abs(part[:, None] - each) < length for each in own)
        by_values, filled = _nearest_values(memory, windows, overlaps[0])
        by_shape = _nearest_features(memory, embedded(encoder, filled, device), overlaps[1])
        for start, distance, residual in zip(part, by_shape, by_values, strict=True):
            sums.shape[start : start + length] += distance
            sums.values[start : start + length] += residual
            counts[start : start + length] += 1
    unknown = (counts == 0) | np.isnan(rows).all(axis=1, keepdims=True)
    counts = np.where(unknown, np.nan, np.maximum(counts, 1))
    return Strangeness(sums.shape / counts, _smoothed(sums.values / counts, max(1, length // 2)))


def _n_views(n_channels: int) -> int:
    return n_channels + (n_channels > 1)


def _nearest_values(
    memory: NormalWindows, windows: Floats, excluded: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Residuals (n, L, V) of windows (n, L, C) from the normal ones nearest in value; and windows with gaps filled.

    Gaps are filled with what is normal there, so that they do not look odd.
    """
    observed = ~np.isnan(windows)
    values = np.where(observed, windows, 0.0)
    per_channel = [_squared_distances(memory, values, observed, c) for c in range(windows.shape[2])]
    views = per_channel + ([np.sum(per_channel, axis=0)] if len(per_channel) > 1 else [])
    nearest = [_excluding(view, excluded).argmin(axis=1) for view in views]
    together = memory.values[nearest[-1]]
    filled = np.where(observed, windows, together)
    alone = [
        np.abs(values[..., c] - memory.values[nearest[c], :, c]) * observed[..., c] for c in range(len(per_channel))
    ]
    if len(views) > len(per_channel):
        alone.append((np.abs(values - together) * observed).mean(axis=2))
    return np.stack(alone, axis=2), filled


def _squared_distances(memory: NormalWindows, values: Floats, observed: NDArray[np.bool_], channel: int) -> Floats:
    """Between windows and normal ones (n, N) in one channel, over what is observed."""
    normal, mine, known = memory.values[..., channel], values[..., channel], observed[..., channel]
    squares = np.square(normal)
    of_normal = squares.sum(axis=1) if known.all() else known.astype(float) @ squares.T
    distances: Floats = np.square(mine).sum(axis=1, keepdims=True) - 2.0 * mine @ normal.T + of_normal
    return distances


def _nearest_features(
    memory: NormalWindows, features: NDArray[np.float32], excluded: NDArray[np.bool_] | None
) -> Floats:
    """Mean distances (n, V) of windows to the nearest normal ones in features (n, C, F)."""
    z = _standardised(features, memory.mean, memory.factor)
    n_channels = z.shape[1]
    per_channel = []
    for c in range(n_channels):
        mine, normal = z[:, c], memory.features[:, c]
        per_channel.append(np.square(mine).sum(1)[:, None] - 2.0 * mine @ normal.T + np.square(normal).sum(1))
    result = [
        _mean_distance(_excluding(d, excluded), z[:, [c]], memory.features[:, [c]]) for c, d in enumerate(per_channel)
    ]
    if n_channels > 1:
        result.append(_mean_distance(_excluding(sum(per_channel), excluded), z, memory.features))
    return np.stack(result, axis=1)


def _mean_distance(rough: Any, mine: NDArray[np.float32], normal: NDArray[np.float32]) -> Floats:
    """Mean distance (n,) to the nearest by rough squared distances (n, M), measured exactly.

    What the product of matrices rounds depends on how many rows it has.
    """
    k = min(N_NEIGHBOURS, rough.shape[1])
    nearest = np.argpartition(rough, k - 1, axis=1)[:, :k]
    total = np.zeros(len(mine))
    for index in nearest.T:
        total += np.sqrt(np.square((mine - normal[index]).astype(float)).sum(axis=(1, 2)))
    return total / k


def _excluding(distances: Any, excluded: NDArray[np.bool_] | None) -> Any:
    return distances if excluded is None else np.where(excluded, np.inf, distances)


def _smoothed(values: Floats, width: int) -> Floats:
    """Mean over `width` time points around each of (T, V), of those that are known; NaN stays NaN."""
    known = ~np.isnan(values)
    padded = np.pad(np.where(known, values, 0.0), ((width // 2 + 1, width - width // 2 - 1), (0, 0))).cumsum(axis=0)
    counts = np.pad(known.astype(float), ((width // 2 + 1, width - width // 2 - 1), (0, 0))).cumsum(axis=0)
    with np.errstate(invalid="ignore"):
        means: Floats = (padded[width:] - padded[:-width]) / np.maximum(counts[width:] - counts[:-width], 1.0)
    return np.where(known, means, np.nan)
