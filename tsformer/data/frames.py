"""Frames of series (Series, wide, long, MultiIndex) into arrays, and forecasts back into the form that came in.

Each time becomes a number of steps of one frequency, so that duplicates, gaps and irregular times are found, and on
request repaired, in all series at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset

Floats = NDArray[np.float64]
Layout = Literal["wide", "long", "panel"]
Frequency = int | pd.offsets.BaseOffset


@dataclass(frozen=True)
class Form:
    """How a frame was laid out: what it takes to write forecasts alike and to find covariates.

    Parameters
    ----------
    layout : {"wide", "long", "panel"}
        Time in the index, in a column, or in the second level of the index.
    is_series : bool
        The frame was a Series.
    columns : Index
        The target columns, and the name they have together.
    id_col, time_col : Hashable
        The columns of ids and times in a long frame.
    """

    layout: Layout
    is_series: bool
    columns: pd.Index[Any]
    id_col: Hashable
    time_col: Hashable


@dataclass(frozen=True)
class SeriesSet:
    """Series of one frequency, each regular in time; starts and lengths may differ.

    Parameters
    ----------
    ids : Index of length n_series
        Named and typed as they came; a single None where the frame has no ids.
    values : list of ndarray of shape (n_timepoints_i, n_channels)
        float64, NaN = missing.
    times : list of DatetimeIndex, PeriodIndex or integer Index of length n_timepoints_i
        Named and typed as they came.
    freq : int or offset
        The step from a time to the next.
    form : Form
        The form that came in.
    """

    ids: pd.Index[Any]
    values: list[Floats]
    times: list[pd.Index[Any]]
    freq: Frequency
    form: Form

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> list[Hashable]:
        """The target columns, one a channel."""
        return list(self.form.columns)


def read_series(
    df: pd.Series[Any] | pd.DataFrame,
    *,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_col: Hashable | list[Hashable] = "y",
    freq: str | int | pd.offsets.BaseOffset | None = None,
    fill: Literal["ffill", "interpolate"] | float | None = None,
) -> SeriesSet:
    """Read the targets of one or many series.

    The frame shows its form: rows under a MultiIndex are (series, time); else a DataFrame with a column `time_col` is
    long; all else is wide, with time in the index and a channel in each column. Rows may be in any order; series stay
    in that of their first rows.

    Parameters
    ----------
    df : Series or DataFrame
        Targets only. NaN is a missing value and stays one, unless `fill` says otherwise.
    id_col, time_col : Hashable
        Columns of a long frame. Without a column `id_col` it holds one series.
    target_col : Hashable or list
        Target column(s) of a long frame. In the other forms every column is a target.
    freq : str, offset or int, optional
        Step of the times, such as "MS", "15min" or, between integers, 1; absent times become missing values. None
        infers it and refuses gaps. Series of one or two timestamps take the frequency of the longest series.
    fill : {"ffill", "interpolate"} or float, optional
        What to put for missing values after the first value of a series: the value before, the line between the
        values before and after (nothing after the last), or a number.

    Returns
    -------
    SeriesSet

    Raises
    ------
    TypeError
        When df is no Series or DataFrame.
    ValueError
        For an empty frame, missing or further columns, values that are no finite numbers, a series without a value,
        times that are none, duplicates, gaps, irregular times, or series of different frequencies.
    """
    _check_fill(fill)
    rows = rows_of(df, "df", id_col, time_col)
    data = _targets(rows, target_col, id_col) if rows.layout == "long" else rows.data
    is_series = isinstance(df, pd.Series)
    form = Form(rows.layout, is_series, pd.Index([df.name]) if is_series else data.columns, id_col, time_col)
    codes, ids = _numbered(rows.ids, len(data))
    order = np.lexsort((instants(rows.times), codes))
    flat = _Flat(ids, codes[order], rows.times[order], numbers_of(data, "target")[order])
    _check_unique_times(flat)
    _check_values(flat, form)
    step = _common_frequency(flat, rows) if freq is None else _checked_frequency(freq, rows.times)
    codes, values, times = _regular(flat, step, insert=freq is not None)
    per_series = np.split(_filled(values, codes, fill), np.flatnonzero(np.diff(codes)) + 1)
    return SeriesSet(ids, per_series, times, step, form)


# A frame of any form, row by row.


@dataclass(frozen=True)
class Rows:
    """The rows of a frame: the id of each (None when the frame has no ids), its time, and the other columns."""

    layout: Layout
    ids: pd.Index[Any] | None
    times: pd.Index[Any]
    data: pd.DataFrame


def rows_of(frame: pd.Series[Any] | pd.DataFrame, name: str, id_col: Hashable, time_col: Hashable) -> Rows:
    """Tell the form of a frame by the rule of `read_series`; check that it has rows, columns and times."""
    if not isinstance(frame, pd.Series | pd.DataFrame):
        raise TypeError(
            f"{name} must be a pandas Series or DataFrame: wide, with time in its index; long, with a column of times; "
            f"or under a (series, time) MultiIndex. Got {type(frame).__name__}."
        )
    data = frame.to_frame() if isinstance(frame, pd.Series) else frame
    if data.index.name is not None and data.index.name == id_col:
        data = data.reset_index()
    if data.empty:
        raise ValueError(f"Found {name} of shape {data.shape} while a minimum of 1 row and 1 column is required.")
    if not data.columns.is_unique:
        raise ValueError(f"The columns of {name} must be unique. Got {list(data.columns)}.")
    if isinstance(data.index, pd.MultiIndex):
        if data.index.nlevels != 2:
            raise ValueError(
                f"A MultiIndex of {name} must have the two levels (series, time). Got {list(data.index.names)}; join "
                "the levels that name a series into one."
            )
        ids, times = data.index.get_level_values(0), data.index.get_level_values(1)
        if isinstance(ids, pd.DatetimeIndex | pd.PeriodIndex):
            raise ValueError(
                f"A MultiIndex of {name} must have the levels (series, time). Got times first; use swaplevel()."
            )
        return Rows("panel", ids, _checked_times(times, f"The time level ({times.name!r}) of {name}"), data)
    if time_col in data.columns:
        times = _checked_times(pd.Index(data[time_col]), f"The time column ({time_col!r}) of {name}")
        long_ids = pd.Index(data[id_col]) if id_col in data.columns else None
        return Rows("long", long_ids, times, data.drop(columns=[id_col, time_col], errors="ignore"))
    if id_col in data.columns:
        raise ValueError(
            f"The following columns are missing: [{time_col!r}]. {name} has {list(data.columns)}; name the column of "
            "the times with time_col=, or reset_index() if they are in the index."
        )
    return Rows("wide", None, _checked_times(data.index, f"The index of {name}"), data)


def _checked_times(times: pd.Index[Any], where: str) -> pd.Index[Any]:
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex) and not pd.api.types.is_integer_dtype(times.dtype):
        raise ValueError(
            f"{where} should have either timestamps or integers, got {str(times.dtype)!r}. Convert it with "
            "pd.to_datetime, or name a column of times with time_col=."
        )
    if times.hasnans:
        missing = np.flatnonzero(times.isna())
        raise ValueError(f"{where} has {len(missing)} missing times (NaT), the first in row {missing[0]}.")
    return times


def _targets(rows: Rows, target_col: Any, id_col: Hashable) -> pd.DataFrame:
    names = target_col if isinstance(target_col, list) else [target_col]
    found = list(rows.data.columns)
    missing = [name for name in names if name not in found]
    if missing or not names:
        raise ValueError(
            f"The following columns are missing: {missing or 'all targets'}. Beside ids and times df has {found}; name "
            "the targets with target_col=."
        )
    further = [name for name in found if name not in names]
    if further:
        ids = f" If one of them holds ids, name it with id_col=: there is no {id_col!r}." if rows.ids is None else ""
        raise ValueError(
            f"df must hold targets only. Got the further columns {further}: name further targets in target_col=, pass "
            f"covariates as past=, future= or static=, or drop them.{ids}"
        )
    return rows.data[names]


def numbers_of(data: pd.DataFrame, kind: str) -> Floats:
    """Columns of numbers as float64 (n_rows, n_columns), NaN = missing; all but "target" columns may be bool."""
    for column, dtype in data.dtypes.items():
        is_bool, is_complex = pd.api.types.is_bool_dtype(dtype), pd.api.types.is_complex_dtype(dtype)
        if not pd.api.types.is_numeric_dtype(dtype) or is_complex or (is_bool and kind == "target"):
            way_out = (
                "Convert it with astype(float); if it holds ids or times, name it in id_col= or time_col=."
                if kind == "target"
                else f"Encode it, e.g. pd.get_dummies({kind}, columns=[{column!r}])."
            )
            raise ValueError(
                f"The {kind} column ({column!r}) should have a numeric data type, got {str(dtype)!r}. {way_out}"
            )
    return np.column_stack([data[column].to_numpy(dtype=np.float64, na_value=np.nan) for column in data.columns])


def _numbered(ids: pd.Index[Any] | None, n_rows: int) -> tuple[NDArray[np.intp], pd.Index[Any]]:
    if ids is None:
        return np.zeros(n_rows, dtype=np.intp), pd.Index([None], dtype=object)
    codes, unique = pd.factorize(ids)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(f"The ids ({ids.name!r}) have {len(missing)} missing values, the first in row {missing[0]}.")
    return codes, unique.rename(ids.name)


# All series one below the other, and what is refused or filled there.


@dataclass(frozen=True)
class _Flat:
    """Sorted rows: `codes` (N,) numbers the series of each, whose `times` (N,) ascend; `values` is (N, C)."""

    ids: pd.Index[Any]
    codes: NDArray[np.intp]
    times: pd.Index[Any]
    values: Floats

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.diff(self.codes, prepend=-1))

    @cached_property
    def lengths(self) -> NDArray[np.intp]:
        return np.diff(self.starts, append=len(self.codes))

    def times_of(self, code: int) -> pd.Index[Any]:
        return self.times[self.starts[code] : self.starts[code] + self.lengths[code]]


def _check_unique_times(flat: _Flat) -> None:
    again = np.flatnonzero((np.diff(flat.codes) == 0) & (np.diff(instants(flat.times)) == 0)) + 1
    if len(again):
        code = flat.codes[again[0]]
        times = flat.times[again[flat.codes[again] == code]].unique()
        several = "" if flat.ids[0] is not None else " If df holds several series, name their ids with id_col=."
        raise ValueError(
            f"{series_name(flat.ids[code])} has duplicate times: {listed(times)}. Keep one row for each, e.g. by "
            f"groupby(...).mean().{several}"
        )


def _check_values(flat: _Flat, form: Form) -> None:
    infinite = np.argwhere(np.isinf(flat.values))
    if len(infinite):
        row, channel = infinite[0]
        raise ValueError(
            f"{series_name(flat.ids[flat.codes[row]])} contains infinity in column {quoted(form.columns[channel])} at "
            f"{shown(flat.times[row])}. Values must be finite, or NaN where missing."
        )
    n_observed = np.add.reduceat(~np.isnan(flat.values), flat.starts, axis=0, dtype=np.intp)
    unobserved = np.argwhere(n_observed == 0)
    if len(unobserved):
        code, channel = unobserved[0]
        raise ValueError(
            f"{series_name(flat.ids[code])} has no value in column {quoted(form.columns[channel])}, only NaN. "
            "Each series must have at least one; leave this one out."
        )


def _check_fill(fill: Any) -> None:
    is_number = isinstance(fill, Real) and not isinstance(fill, bool) and np.isfinite(float(fill))
    if not (is_number or fill is None or fill in ("ffill", "interpolate")):
        raise ValueError(f"fill must be None, 'ffill', 'interpolate' or a finite number. Got {fill!r}.")


def _filled(values: Floats, codes: NDArray[np.intp], fill: Any) -> Floats:
    if fill is None:
        return values
    frame = pd.DataFrame(values)
    before = frame.groupby(codes).ffill()
    if fill == "ffill":
        return before.to_numpy()
    if fill == "interpolate":
        between = before.notna() & frame.groupby(codes).bfill().notna()
        return frame.where(~between, frame.interpolate()).to_numpy()
    return frame.where(frame.notna() | before.isna(), float(fill)).to_numpy()


# Frequency: found or checked, then each time counted in steps of it.


def _common_frequency(flat: _Flat, rows: Rows) -> Frequency:
    """The frequency that a wide index declares, or that of the longest series; all series are then held to it."""
    declared: Any = getattr(rows.times, "freq", None) if rows.layout == "wide" else None
    if declared is not None and declared.n > 0:
        return declared
    longest = int(flat.lengths.argmax())
    times = flat.times_of(longest)
    freq = _inferred(times) or _likely(times)
    if freq is not None:
        return freq
    if len(times) < 3:
        raise ValueError(
            f"The frequency cannot be inferred from fewer than 3 timestamps; the longest series has {len(times)}. "
            "Pass freq=, e.g. freq='D'."
        )
    raise ValueError(
        f"{series_name(flat.ids[longest])} is irregular: no frequency fits {listed(times)}. Resample it, e.g. "
        "df.resample('D').mean(), or, if times are absent, pass freq=."
    )


def _inferred(times: pd.Index[Any]) -> Frequency | None:
    """The frequency that all of the times follow; None where they follow none or are too few to show one."""
    if isinstance(times, pd.PeriodIndex):
        return times.freq
    if isinstance(times, pd.DatetimeIndex):
        alias = pd.infer_freq(times) if len(times) >= 3 else None
        return None if alias is None else to_offset(alias)
    steps = np.unique(np.diff(instants(times))) if len(times) > 1 else np.ones(1)
    return int(steps[0]) if len(steps) == 1 else None


def _likely(times: pd.Index[Any]) -> Frequency | None:
    """The frequency that most stretches of irregular times follow: by it the message tells where they stray."""
    # Stretches of five: among those of business days, only Monday to Friday look daily.
    length = 2 if not isinstance(times, pd.DatetimeIndex) else 5 if len(times) >= 10 else 3
    begins = np.linspace(0, max(0, len(times) - length), num=100, dtype=int)
    seen = Counter(_inferred(times[begin : begin + length]) for begin in np.unique(begins).tolist())
    del seen[None]
    return seen.most_common(1)[0][0] if seen else None


def _checked_frequency(freq: Any, times: pd.Index[Any]) -> Frequency:
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex):
        if not isinstance(freq, Integral) or isinstance(freq, bool) or freq < 1:
            raise ValueError(f"The times are integers, so freq must be an int >= 1, e.g. freq=1. Got {freq!r}.")
        return int(freq)
    if not isinstance(freq, str | pd.offsets.BaseOffset):
        raise ValueError(f"The times are timestamps, so freq must be a pandas offset, e.g. freq='D'. Got {freq!r}.")
    if isinstance(times, pd.PeriodIndex):
        declared: Any = times.freq
        if pd.PeriodDtype(freq) != times.dtype:  # type: ignore[arg-type]
            raise ValueError(f"freq must be that of the periods, {times.freqstr!r}; asfreq changes it. Got {freq!r}.")
        return declared
    offset: Any = to_offset(freq)
    if offset.n < 1 or (_is_even(offset) and pd.Timedelta(offset) % pd.Timedelta(1, times.unit)):
        raise ValueError(f"freq must be positive and no finer than the times, in {times.unit!r}. Got {freq!r}.")
    return offset


def _is_even(freq: Any) -> bool:
    """Whether all steps last equally long: months, weeks, and days in a time zone do not."""
    return isinstance(freq, pd.offsets.Tick) and not isinstance(freq, pd.offsets.Day)  # before pandas 3 Day is a Tick


def instants(times: pd.Index[Any]) -> NDArray[np.int64]:
    """Times as integers, in the unit of their type."""
    return times.astype("int64").to_numpy()


def _steps(flat: _Flat, freq: Any) -> NDArray[np.int64]:
    """Steps of `freq` (N,) from the first time of a series to each of its times, -1 where that is no whole number."""
    times = flat.times
    on_grid = np.ones(len(times), dtype=bool)
    if isinstance(times, pd.DatetimeIndex) and not _is_even(freq):
        ordinals, step = _calendar(times, freq).get_indexer(times), freq.n
        on_grid = ordinals >= 0
    elif isinstance(times, pd.DatetimeIndex):
        ordinals, step = instants(times), pd.Timedelta(freq) // pd.Timedelta(1, times.unit)
    else:
        ordinals, step = instants(times), getattr(freq, "n", freq)
    steps, rest = np.divmod(ordinals - ordinals[flat.starts][flat.codes], step)
    return np.where(on_grid & (rest == 0), steps, -1)


def _calendar(times: pd.DatetimeIndex, freq: Any) -> pd.DatetimeIndex:
    """Every single step between the first and the last of the times."""
    wall = times.tz_localize(None)
    return _zoned(pd.date_range(wall.min(), wall.max(), freq=freq.base), times)


def _zoned(wall: pd.DatetimeIndex, like: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Times of the clock on the wall in the zone, unit and name of `like`; what the zone skips moves forward."""
    wall = wall.as_unit(like.unit).rename(like.name)
    if like.tz is None:
        return wall
    return wall.tz_localize(like.tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")


def _time_range(first: Any, n_times: int, freq: Any, like: pd.Index[Any]) -> pd.Index[Any]:
    """`n_times` times from `first` on, typed and named as `like`."""
    if isinstance(like, pd.PeriodIndex):
        return pd.period_range(first, periods=n_times, freq=like.freq, name=like.name)
    if not isinstance(like, pd.DatetimeIndex):
        values = int(first) + freq * np.arange(n_times)
        largest = np.iinfo(getattr(like.dtype, "numpy_dtype", like.dtype)).max  # a short type may not hold the future
        return pd.Index(values, dtype=like.dtype if values[-1] <= largest else np.int64, name=like.name)
    if _is_even(freq):
        return pd.date_range(first, periods=n_times, freq=freq, name=like.name).as_unit(like.unit)
    return _zoned(pd.date_range(first.tz_localize(None), periods=n_times, freq=freq), like)


def _regular(flat: _Flat, freq: Frequency, *, insert: bool) -> tuple[NDArray[np.intp], Floats, list[pd.Index[Any]]]:
    """Codes (M,), values (M, C) and the times of each series with none left out; an error where that cannot be."""
    steps = _steps(flat, freq)
    rank = np.arange(len(steps)) - flat.starts[flat.codes]
    wrong = steps < 0 if insert else steps != rank
    if wrong.any():
        code = int(flat.codes[wrong.argmax()])
        raise ValueError(_what_is_wrong(flat, code, steps[flat.codes == code], freq, insert))
    lengths = steps[flat.starts + flat.lengths - 1] + 1
    if lengths.sum() == len(steps):
        return flat.codes, flat.values, [flat.times_of(code) for code in range(len(flat.ids))]
    values = np.full((lengths.sum(), flat.values.shape[1]), np.nan)
    values[(np.cumsum(lengths) - lengths)[flat.codes] + steps] = flat.values
    return np.repeat(np.arange(len(lengths)), lengths), values, _complete_times(flat, lengths, freq)


def _complete_times(flat: _Flat, lengths: NDArray[np.int64], freq: Any) -> list[pd.Index[Any]]:
    firsts = flat.times[flat.starts]
    if isinstance(flat.times, pd.DatetimeIndex) and not _is_even(freq):
        calendar = _calendar(flat.times, freq)
        begins = calendar.get_indexer(firsts)
        return [calendar[i : i + n * freq.n : freq.n] for i, n in zip(begins, lengths, strict=True)]
    return [_time_range(first, int(n), freq, firsts) for first, n in zip(firsts, lengths, strict=True)]


def _what_is_wrong(flat: _Flat, code: int, steps: NDArray[np.int64], freq: Frequency, insert: bool) -> str:
    """The message about a series whose steps are not 0, 1, 2, ...: neither regular nor, perhaps, to be made so."""
    times, name = flat.times_of(code), series_name(flat.ids[code])
    alias, own = _alias(freq, times), _inferred(times) if len(times) >= 3 else None
    if own not in (None, freq) and not insert:
        longest = series_name(flat.ids[int(flat.lengths.argmax())])
        return (
            f"All series must have one frequency. {longest} has {alias}, {name} has {_alias(own, times)}. Read the "
            "frequencies one by one; if only times are absent, pass freq=."
        )
    if (steps < 0).any():
        look = "" if own is None else f" The times look like freq={_alias(own, times)}."
        return (
            f"{name} is irregular: {listed(times[steps < 0])} not on the grid of freq={alias}.{look} Resample it, e.g. "
            f"df.resample({alias}).mean(), or pass another freq=."
        )
    before = int((np.diff(steps) > 1).argmax())
    absent = _time_range(times[before], int(np.diff(steps)[before]), freq, times)[1:]
    return (
        f"{name} has a gap: no row for {listed(absent)}. Pass freq={alias} to insert absent times as missing values, "
        "and fill= to fill those."
    )


def _alias(freq: Any, times: pd.Index[Any]) -> str:
    # Periods spell their frequency in their own way: M, not ME.
    return repr(times.freqstr if isinstance(times, pd.PeriodIndex) else getattr(freq, "freqstr", freq))


# Forecasts.


def future_times(series: SeriesSet, horizon: int) -> list[pd.Index[Any]]:
    """Return the `horizon` times after the last of each series, typed and named as its own."""
    ends = {times[-1]: times for times in series.times}  # most series end together: count on from each end once
    after = {end: _time_range(end, horizon + 1, series.freq, times)[1:] for end, times in ends.items()}
    return [after[times[-1]] for times in series.times]


def quantiles_of(level: Sequence[float]) -> list[float]:
    """Return the quantiles, ascending, that bound the central intervals of `level` percent: [90] has .05 and .95."""
    return sorted({quantile for percent in level for quantile in _bounds(percent)})


def _bounds(percent: float) -> tuple[float, float]:
    if not 0 < percent < 100:
        raise ValueError(f"A level must be a percentage in the range (0, 100). Got {percent!r} instead.")
    return (100 - percent) / 200, (100 + percent) / 200


def write_forecast(
    series: SeriesSet,
    times: Sequence[pd.Index[Any]],
    point: Sequence[Floats],
    quantiles: Mapping[float, Sequence[Floats]] | None = None,
    level: Sequence[float] | None = None,
) -> pd.Series[Any] | pd.DataFrame:
    """Write forecasts in the form that the series came in, by series, then time.

    Parameters
    ----------
    series : SeriesSet
        The series that were forecast.
    times : list of Index of length horizon_i
        The times forecast.
    point : list of ndarray of shape (horizon_i, n_channels)
        The point forecasts.
    quantiles : dict from float to list of ndarray of shape (horizon_i, n_channels), optional
        The quantiles to write or, when there is `level`, to take its intervals from.
    level : sequence of float, optional
        The central intervals to write, in percent; `quantiles` then holds `quantiles_of(level)`.

    Returns
    -------
    Series or DataFrame
        The point forecast stands in the columns of the targets. In a long frame it is followed by `y-q0.1` for a
        quantile, `y-lo-90` and `y-hi-90` for a level. In other frames, quantiles come instead of it, in columns
        (column, 0.1); levels with it, in columns (column, "point"), (column, "lo-90"), (column, "hi-90"). A Series
        becomes a DataFrame with the columns 0.1, or "point", "lo-90", "hi-90".
    """
    form = series.form
    labels, forecasts = zip(*_labelled(point, quantiles or {}, level, form.layout), strict=True)
    values = np.stack([np.concatenate(list(parts)) for parts in forecasts], axis=-1)  # (rows, channels, labels)
    frame = pd.DataFrame(values.reshape(len(values), -1), columns=_forecast_columns(form, labels))
    time = times[0].append(list(times[1:])) if len(times) > 1 else times[0]  # a single index keeps its freq
    ids = series.ids.repeat([len(part) for part in times])
    if form.layout == "long":
        frame.insert(0, form.time_col, time)
        if series.ids[0] is not None:
            frame.insert(0, form.id_col, ids)
        return frame
    frame.index = pd.MultiIndex.from_arrays([ids, time]) if form.layout == "panel" else time
    return frame.iloc[:, 0] if form.is_series and labels == (None,) else frame


def _labelled(
    point: Sequence[Floats], quantiles: Mapping[float, Sequence[Floats]], level: Sequence[float] | None, layout: Layout
) -> list[tuple[Any, Sequence[Floats]]]:
    """What is written for each channel, with its label; None labels the plain target."""
    is_long = layout == "long"
    if level is not None:
        labelled: list[tuple[Any, Sequence[Floats]]] = [(None if is_long else "point", point)]
        for percent in level:
            low, high = _bounds(percent)
            labelled += [(f"lo-{percent:g}", quantiles[low]), (f"hi-{percent:g}", quantiles[high])]
        return labelled
    if is_long:
        return [(None, point), *((f"q{quantile:g}", values) for quantile, values in quantiles.items())]
    return list(quantiles.items()) or [(None, point)]


def _forecast_columns(form: Form, labels: Sequence[Any]) -> pd.Index[Any]:
    if form.layout == "long":
        return pd.Index([name if label is None else f"{name}-{label}" for name in form.columns for label in labels])
    if labels == (None,):
        return form.columns
    if form.is_series:
        return pd.Index(labels)
    parts = [name if isinstance(name, tuple) else (name,) for name in form.columns]
    columns = [(*part, label) for part in parts for label in labels]
    return pd.MultiIndex.from_tuples(columns, names=[*form.columns.names, None])


# Names in messages.


def series_name(id: Any) -> str:
    """A series as messages call it."""
    return "The series" if id is None else f"Series {quoted(id)}"


def quoted(name: Any) -> str:
    """An id or a column as the user would type it: no np.int64(1)."""
    return repr(name.item() if isinstance(name, np.generic) else name)


def shown(time: Any) -> str:
    """A time as messages show it."""
    return str(time).removesuffix(" 00:00:00")


def listed(times: pd.Index[Any]) -> str:
    """The first few of some times."""
    more = f" and {len(times) - 3} more" if len(times) > 3 else ""
    return ", ".join(map(shown, times[:3])) + more
