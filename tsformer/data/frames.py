"""Frames of series (Series, wide, long, MultiIndex) into arrays: one value a channel and time, regular in time."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data.frequency import (
    Floats,
    Frequency,
    SortedRows,
    check_same_kind,
    checked_frequency,
    common_frequency,
    follows,
    instants,
    regular,
)
from tsformer.data.messages import listed, quoted, series_name, shown

Layout = Literal["wide", "long", "panel"]
Fill = Literal["ffill", "interpolate"] | float | None


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
    fill : {"ffill", "interpolate"}, float or None
        How missing values were filled.
    unfilled : list of ndarray of shape (n_timepoints_i, n_channels)
        The values before that.
    """

    ids: pd.Index[Any]
    values: list[Floats]
    times: list[pd.Index[Any]]
    freq: Frequency
    form: Form
    fill: Fill
    unfilled: list[Floats]

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
    fill: Fill = None,
    expected: Frequency | None = None,
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
    expected : offset or int, optional
        The frequency where `freq` is None and all series follow it, however few their times are.

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
    codes, ids = numbered(rows.ids, len(data))
    order = np.lexsort((instants(rows.times), codes))
    ordered = SortedRows(ids, codes[order], rows.times[order], numbers_of(data, "target")[order])
    _check_unique_times(ordered)
    _check_values(ordered, form)
    declared = getattr(rows.times, "freq", None) if rows.layout == "wide" else None
    if freq is not None:
        step = checked_frequency(freq, rows.times)
    elif expected is not None and follows(ordered, expected):
        step = expected
    else:
        step = common_frequency(ordered, declared)
    codes, values, times = regular(ordered, step, insert=freq is not None)
    begins = np.flatnonzero(np.diff(codes)) + 1
    unfilled, filled = np.split(values, begins), np.split(_filled(values, codes, fill), begins)
    return SeriesSet(ids, filled, times, step, form, fill, unfilled)


# A frame of any form, row by row.


@dataclass(frozen=True)
class Rows:
    """The rows of a frame: the id of each (None when the frame has no ids), its time, and the other columns."""

    layout: Layout
    ids: pd.Index[Any] | None
    times: pd.Index[Any]
    data: pd.DataFrame


def rows_of(
    frame: pd.Series[Any] | pd.DataFrame, name: str, id_col: Hashable, time_col: Hashable, *, only_order: bool = False
) -> Rows:
    """Tell the form of a frame by the rule of `read_series`; check that it has rows, columns and times.

    With `only_order` the times need only have an order: floats and spans of time will do.
    """
    if not isinstance(frame, pd.Series | pd.DataFrame):
        raise TypeError(
            f"{name} must be a pandas Series or DataFrame: wide, with time in its index; long, with a column of times; "
            f"or under a (series, time) MultiIndex. Got {type(frame).__name__}; an array needs its times: "
            "pd.Series(values, index=times)."
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
        where = f"The time level ({times.name!r}) of {name}"
        return Rows("panel", ids, _checked_times(times, where, only_order), data)
    if time_col in data.columns:
        times = _checked_times(pd.Index(data[time_col]), f"The time column ({time_col!r}) of {name}", only_order)
        long_ids = pd.Index(data[id_col]) if id_col in data.columns else None
        return Rows("long", long_ids, times, data.drop(columns=[id_col, time_col], errors="ignore"))
    if id_col in data.columns:
        raise ValueError(
            f"The following columns are missing: [{time_col!r}]. {name} has {list(data.columns)}; name the column of "
            "the times with time_col=, or reset_index() if they are in the index."
        )
    return Rows("wide", None, _checked_times(data.index, f"The index of {name}", only_order), data)


def _checked_times(times: pd.Index[Any], where: str, only_order: bool) -> pd.Index[Any]:
    is_time = isinstance(times, pd.DatetimeIndex | pd.PeriodIndex) or pd.api.types.is_integer_dtype(times.dtype)
    has_order = isinstance(times, pd.TimedeltaIndex) or pd.api.types.is_float_dtype(times.dtype)
    if not (is_time or (only_order and has_order)):
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
    """Columns of numbers as float64 (n_rows, n_columns), NaN = missing; all but "target" columns may be bool.

    `kind` is what messages call the columns; "past", "future" and "static" are covariates.
    """
    for column, dtype in data.dtypes.items():
        is_bool, is_complex = pd.api.types.is_bool_dtype(dtype), pd.api.types.is_complex_dtype(dtype)
        if not pd.api.types.is_numeric_dtype(dtype) or is_complex or (is_bool and kind == "target"):
            raise ValueError(
                f"The {kind} column ({column!r}) should have a numeric data type, got {str(dtype)!r}. "
                f"{_way_to_numbers(data[column], kind)}"
            )
    return np.column_stack([data[column].to_numpy(dtype=np.float64, na_value=np.nan) for column in data.columns])


def _way_to_numbers(column: pd.Series[Any], kind: str) -> str:
    if kind in ("past", "future", "static"):
        return f"Encode it, e.g. pd.get_dummies({kind}, columns=[{column.name!r}])."
    text = pd.to_numeric(column, errors="coerce").isna() & column.notna()
    if text.all() or not text.any():
        return (
            "Convert it with astype(float); drop it if it holds labels; if it holds ids or times, name it in id_col= "
            "or time_col=."
        )
    row = int(np.flatnonzero(text)[0])
    return (
        f"The first value that is no number is {column.iloc[row]!r} in row {row}: correct it, or make such values "
        "missing by pd.to_numeric(column, errors='coerce')."
    )


def numbered(ids: pd.Index[Any] | None, n_rows: int) -> tuple[NDArray[np.intp], pd.Index[Any]]:
    """Return the number of the series (n_rows,) of each row, counted by their first rows, and the ids of the series."""
    if ids is None:
        return np.zeros(n_rows, dtype=np.intp), pd.Index([None], dtype=object)
    codes, unique = pd.factorize(ids)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(
            f"The ids ({ids.name!r}) have {len(missing)} missing values, the first in row {missing[0]}. Fill "
            "them, or drop these rows."
        )
    return codes, unique.rename(ids.name)


def without_last(series: SeriesSet, n: int) -> SeriesSet:
    """Return series as they were known n time points before their ends."""
    unfilled = [rows[:-n] for rows in series.unfilled]
    if series.fill == "interpolate":  # by nothing that came later
        values = [_filled(rows, np.zeros(len(rows), dtype=np.intp), series.fill) for rows in unfilled]
    else:
        values = [rows[:-n] for rows in series.values]
    return replace(series, values=values, times=[times[:-n] for times in series.times], unfilled=unfilled)


def known_before_last(series: SeriesSet, n: int) -> list[Floats]:
    """Return the values of series as they were known n time points before their ends, then those that came."""
    before = without_last(series, n).values
    return [np.concatenate([rows, all_rows[-n:]]) for rows, all_rows in zip(before, series.values, strict=True)]


def append_rows(
    old: pd.Series[Any] | pd.DataFrame, new: pd.Series[Any] | pd.DataFrame, name: str
) -> pd.Series[Any] | pd.DataFrame:
    """Append the rows of a frame to those of another; ValueError where their forms differ."""
    if _form_of(old) != _form_of(new):
        raise ValueError(f"{name} must come in the form that fit saw, {_form_of(old)}. Got {_form_of(new)}.")
    return pd.concat([old, new])


def check_later(df: pd.Series[Any] | pd.DataFrame, series: SeriesSet) -> None:
    """Raise a ValueError where a row of df does not come after the last time of its series."""
    rows = rows_of(df, "df", series.form.id_col, series.form.time_col)
    check_same_kind(rows.times, series.times[0], "df")
    codes, ids = numbered(rows.ids, len(rows.times))
    ends = {id: times[-1] for id, times in zip(series.ids, series.times, strict=True)}
    firsts = pd.Series(rows.times).groupby(codes).min()
    for id, first in zip(ids, firsts, strict=True):
        if id in ends and first <= ends[id]:
            raise ValueError(
                f"{series_name(id)} is known up to {shown(ends[id])}. Got a row for {shown(first)}; give update only "
                "rows that come after."
            )


def _form_of(frame: Any) -> str:
    index = "a (series, time) index" if isinstance(getattr(frame, "index", None), pd.MultiIndex) else "one index"
    if isinstance(frame, pd.Series):
        return f"a Series named {frame.name!r} with {index}"
    if isinstance(frame, pd.DataFrame):
        return f"a DataFrame of the columns {sorted(frame.columns, key=str)} with {index}"
    return type(frame).__name__


# All series one below the other: what is refused or filled there.


def _check_unique_times(ordered: SortedRows) -> None:
    again = np.flatnonzero((np.diff(ordered.codes) == 0) & (np.diff(instants(ordered.times)) == 0)) + 1
    if len(again):
        code = ordered.codes[again[0]]
        times = ordered.times[again[ordered.codes[again] == code]].unique()
        several = "" if ordered.ids[0] is not None else " If df holds several series, name their ids with id_col=."
        raise ValueError(
            f"{series_name(ordered.ids[code])} has duplicate times: {listed(times)}. Keep one row for each, e.g. by "
            f"groupby(...).mean().{several}"
        )


def _check_values(ordered: SortedRows, form: Form) -> None:
    infinite = np.argwhere(np.isinf(ordered.values))
    if len(infinite):
        row, channel = infinite[0]
        raise ValueError(
            f"{series_name(ordered.ids[ordered.codes[row]])} contains infinity in column "
            f"{quoted(form.columns[channel])} at {shown(ordered.times[row])}. Values must be finite, or NaN where "
            "missing."
        )
    n_observed = np.add.reduceat(~np.isnan(ordered.values), ordered.starts, axis=0, dtype=np.intp)
    unobserved = np.argwhere(n_observed == 0)
    if len(unobserved):
        code, channel = unobserved[0]
        raise ValueError(
            f"{series_name(ordered.ids[code])} has no value in column {quoted(form.columns[channel])}, only NaN. "
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
