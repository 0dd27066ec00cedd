"""Recordings, series of which each time point is judged: arrays or frames in, arrays (time, channels) out, and back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsformer.data import frames
from tsformer.data.frames import Columns, SeriesSet
from tsformer.data.messages import series_name, warn_user
from tsformer.data.rows import Floats, rows_of


class Recordings(NamedTuple):
    """One or several series, in float64, NaN = missing, and how they came."""

    values: list[Floats]  # (n_timepoints_i, n_channels)
    channels: list[Hashable]  # their names; numbers where they have none
    given: Any  # what they were read from
    frame: SeriesSet | None  # as which a frame was read
    columns: Columns

    @property
    def ids(self) -> list[Any]:
        """What messages call the series: ids of a frame, or else their numbers; None where there is one."""
        if self.frame is not None:
            return list(self.frame.ids)
        return [None] if len(self.values) == 1 else list(range(len(self.values)))

    def times(self, code: int) -> pd.Index[Any]:
        """The times of a series: those of a frame, or else the numbers of its time points."""
        return pd.RangeIndex(len(self.values[code])) if self.frame is None else self.frame.times[code]


def read_recordings(X: Any, columns: Columns, freq: Any, name: str = "X") -> Recordings:
    """Read series of any form.

    They are an array (time,), (channels, time) or (series, channels, time), a list of arrays (time,) or (channels,
    time), or a frame as `TransformerForecaster` takes it: a Series, wide with a column a channel, or long.
    """
    if isinstance(X, pd.Series | pd.DataFrame):
        named = columns._replace(target_cols=_channels_of(X, columns))
        read = frames.read_series(X, named, freq=freq)
        return Recordings(read.values, read.names, X, read, columns)
    several = isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) > 0
    if several:
        parts = [_values_of(part, f"{name}[{i}]") for i, part in enumerate(X)]
    else:
        whole = np.asarray(X)
        parts = [_values_of(part, name) for part in (whole if whole.ndim == 3 else [whole])]
    counts = {part.shape[1] for part in parts}
    if len(counts) != 1:
        raise ValueError(f"The series of {name} must have as many channels each. Got {sorted(counts)} channels.")
    return Recordings(parts, list(range(parts[0].shape[1])), X, None, columns)


def _channels_of(X: Any, columns: Columns) -> list[Hashable] | None:
    """The columns of a long frame but for ids and times: all of them are channels."""
    if isinstance(X, pd.Series):
        return None
    return [name for name in X.columns if name not in (columns.id_col, columns.time_col)] or None


def _values_of(part: Any, name: str) -> Floats:
    """One series as an array (time, channels)."""
    values = np.asarray(part)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            f"{name} must be an array of shape (time,) or (channels, time), a list of these, an array of shape "
            f"(series, channels, time), or a frame. Got shape {values.shape}."
        )
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers. Got {values.dtype}.")
    values = np.atleast_2d(values)
    if len(values) > values.shape[1]:
        warn_user(
            f"{name} has {len(values)} channels of {values.shape[1]} time points. If time comes first, pass {name}.T."
        )
    values = values.T.astype(np.float64)
    if (infinite := np.isinf(values)).any():
        row, channel = np.argwhere(infinite)[0]
        raise ValueError(
            f"{name} contains infinity in channel {channel} at time point {row}. Values must be finite, or NaN where "
            "missing."
        )
    return values


def check_channels(recordings: Recordings, fitted: Sequence[Hashable]) -> None:
    """Raise a ValueError unless series have the channels that fit saw."""
    got = recordings.channels
    if len(got) != len(fitted) or (recordings.frame is not None and set(got) != set(fitted) and _named(fitted)):
        raise ValueError(f"X must have the channels that fit saw, {list(fitted)}. Got {got}.")


def _named(channels: Sequence[Hashable]) -> bool:
    return list(channels) != list(range(len(channels)))


def check_lengths(recordings: Recordings, least: int, needs: str) -> None:
    """Raise a ValueError where a series is shorter than `least` time points."""
    for id, rows in zip(recordings.ids, recordings.values, strict=True):
        if len(rows) < least:
            raise ValueError(f"{needs} {series_name(id)} has {len(rows)}.")


def in_form(recordings: Recordings, results: Sequence[Any], name: str) -> Any:
    """Give one value a time point back in the form that the series came in.

    An array, or a list of them; of a frame a Series with its index, and of a long one a frame of ids, times and `name`.
    """
    given, read = recordings.given, recordings.frame
    if read is None:
        if isinstance(given, np.ndarray) and given.ndim == 3:
            return np.stack(results)
        return results[0] if len(results) == 1 and not _is_list_of_series(given) else list(results)
    columns = recordings.columns
    rows = rows_of(given, "X", columns.id_col, columns.time_col)
    values: Any = np.empty(len(rows.times), results[0].dtype)
    codes = np.zeros(len(values), int) if rows.ids is None else read.ids.get_indexer(rows.ids)
    for code, (times, result) in enumerate(zip(read.times, results, strict=True)):
        mine = codes == code
        values[mine] = result[times.get_indexer(rows.times[mine])]
    if rows.layout != "long":
        return pd.Series(values, index=given.index, name=name)
    kept = [column for column in (columns.id_col, columns.time_col) if column in given.columns]
    return given[kept].assign(**{name: values})


def _is_list_of_series(given: Any) -> bool:
    return isinstance(given, list | tuple) and np.ndim(given[0]) > 0
