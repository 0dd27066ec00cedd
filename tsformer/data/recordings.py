"""Recordings, series of which each time point is judged: arrays or frames in, arrays (time, channels) out, and back."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsformer.data import frames
from tsformer.data.frames import Columns, SeriesSet
from tsformer.data.frequency import Frequency
from tsformer.data.messages import quoted, series_name
from tsformer.data.rows import Floats, rows_of
from tsformer.data.seasons import step_of


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

    @property
    def turned(self) -> str:
        """What to say of arrays with more channels than time points, in which time may come first; else empty."""
        if self.frame is not None or any(len(rows) >= len(self.channels) for rows in self.values):
            return ""
        is_stacked = np.ndim(self.given) == 3 and not isinstance(self.given, list | tuple)
        way = "X.swapaxes(1, 2)" if is_stacked else "[x.T for x in X]" if _is_list_of_series(self.given) else "X.T"
        return (
            f" X, read as (channels, time), has {len(self.channels)} channels, {max(map(len, self.values))} long. If "
            f"time comes first, pass {way}."
        )

    def times(self, code: int) -> pd.Index[Any]:
        """The times of a series: those of a frame, or else the numbers of its time points."""
        return pd.RangeIndex(len(self.values[code])) if self.frame is None else self.frame.times[code]


def read_recordings(
    X: Any, columns: Columns, freq: Any, name: str = "X", expected: Frequency | None = None
) -> Recordings:
    """Read series of any form.

    They are an array (time,), (channels, time) or (series, channels, time), a list of arrays (time,) or (channels,
    time), or a frame as `TransformerForecaster` takes it: a Series, wide with a column a channel, or long. Where times
    of frames follow another frequency than is `expected`, a ValueError is raised.
    """
    if isinstance(X, pd.Series | pd.DataFrame):
        named = columns._replace(target_cols=_channels_of(X, columns, name))
        with _in_words_of_channels(name):
            read = frames.read_series(X, named, freq=freq, expected=expected, may_be_empty=True)
        _check_frequency(read.freq, expected, name)
        return Recordings(read.values, read.names, X, read, columns)
    several = isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) > 0
    if several:
        parts = [_values_of(part, f"{name}[{i}]") for i, part in enumerate(X)]
    else:
        whole = np.asanyarray(X)
        parts = [_values_of(part, name) for part in (whole if whole.ndim == 3 and len(whole) else [whole])]
    counts = {part.shape[1] for part in parts}
    if len(counts) != 1:
        raise ValueError(f"The series of {name} must have as many channels each. Got {sorted(counts)} channels.")
    return Recordings(parts, list(range(parts[0].shape[1])), X, None, columns)


def _check_frequency(freq: Frequency, expected: Frequency | None, name: str) -> None:
    """Raise a ValueError where the steps of two frequencies differ in length; numbers are not compared with dates."""
    if expected is None or isinstance(freq, int) != isinstance(expected, int) or step_of(freq) == step_of(expected):
        return
    raise ValueError(f"{name} must have the frequency that fit saw, {expected!r}. Got {freq!r}; fit another detector.")


def _channels_of(X: Any, columns: Columns, name: str) -> list[Hashable] | None:
    """The columns of a long frame but for ids and times: all of them are channels."""
    if isinstance(X, pd.Series):
        return None
    channels = [column for column in X.columns if column not in (columns.id_col, columns.time_col)]
    if not channels and len(X.columns):
        raise ValueError(f"{name} has no channels: no columns but {list(X.columns)}.")
    return channels or None


@contextmanager
def _in_words_of_channels(name: str) -> Iterator[None]:
    """Put what recordings have in place of what frames to forecast have, in errors."""
    try:
        yield
    except (ValueError, TypeError) as error:
        text = str(error).replace(", and fill= to fill those", "").replace("The target column", "The column")
        text = re.sub(r" A covariate is named in .*", "", re.sub(r"\bdf\b(?![.\[])", name, text))
        raise type(error)(text) from error


def _values_of(part: Any, name: str) -> Floats:
    """One series as an array (time, channels)."""
    has_times = isinstance(part, pd.Series) and not isinstance(part.index, pd.RangeIndex)
    if isinstance(part, pd.DataFrame) or has_times:
        raise TypeError(
            f"{name} must be an array of shape (time,) or (channels, time). Got a {type(part).__name__} in a list; put "
            "several in one, by pd.concat(X, keys=range(len(X)))."
        )
    values = np.asanyarray(part)
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            f"{name} must be an array of shape (time,) or (channels, time), a list of these, an array of shape "
            f"(series, channels, time), or a frame. Got shape {values.shape}."
        )
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers. Got {values.dtype}.")
    values = np.atleast_2d(values).T.astype(np.float64)
    if (infinite := np.isinf(values)).any():
        row, channel = np.argwhere(infinite)[0]
        raise ValueError(
            f"{name} contains infinity in channel {channel} at time point {row}. Values must be finite, or NaN where "
            "missing."
        )
    return values


def as_fitted(recordings: Recordings, fitted: Sequence[Hashable], *, had_names: bool) -> Recordings:
    """Put channels in the order in which fit saw them; raise a ValueError where they are others.

    Channels without names, as those of arrays, here or in fit, are told by their place.
    """
    got, known = recordings.channels, list(fitted)
    are_named = recordings.frame is not None and had_names and None not in [*got, *known]
    if len(got) != len(known) or (are_named and set(got) != set(known)):
        raise ValueError(
            f"X must have the channels that fit saw, {reprlib.repr(known)}. Got {reprlib.repr(got)}.{recordings.turned}"
        )
    if not are_named or got == known:
        return recordings
    order = [got.index(name) for name in known]
    return recordings._replace(values=[rows[:, order] for rows in recordings.values], channels=known)


def check_known(recordings: Recordings) -> None:
    """Raise a ValueError where a channel has no value in any of the series."""
    known = np.logical_or.reduce([~np.isnan(rows).all(axis=0) for rows in recordings.values])
    if not known.all():
        name = recordings.channels[int(np.argmin(known))]
        raise ValueError(f"Channel {quoted(name)} of X has no value, from which nothing can be learnt. Leave it out.")


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
    kept = [column for column in (columns.id_col, columns.time_col) if column in given] if rows.layout == "long" else []
    check_free(kept, [name])
    values: Any = np.empty(len(rows.times), results[0].dtype)
    codes = np.zeros(len(values), int) if rows.ids is None else read.ids.get_indexer(rows.ids)
    for code, (times, result) in enumerate(zip(read.times, results, strict=True)):
        mine = codes == code
        values[mine] = result[times.get_indexer(rows.times[mine])]
    if rows.layout != "long":
        return pd.Series(values, index=given.index, name=name)
    return given[kept].assign(**{name: values})


def check_free(columns: Sequence[Hashable], results: Sequence[str]) -> None:
    """Raise a ValueError where ids or times have the name of a column of the results."""
    for column in columns:
        if column in results:
            raise ValueError(
                f"The result has a column {quoted(column)} of its own. Rename that column of X, and set id_col or "
                "time_col to its new name."
            )


def _is_list_of_series(given: Any) -> bool:
    return isinstance(given, list | tuple) and np.ndim(given[0]) > 0
