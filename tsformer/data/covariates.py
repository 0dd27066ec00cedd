"""What goes along with the targets: past, known-future and static covariates from frames, and the calendar."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import offsets as off

from tsformer.data.frames import Rows, SeriesSet, numbers_of, rows_of
from tsformer.data.frequency import Floats, Frequency, check_same_kind, instants
from tsformer.data.messages import listed, quoted, series_name, shown


def read_covariates(
    frame: pd.Series[Any] | pd.DataFrame,
    series: SeriesSet,
    *,
    name: str,
    times: Sequence[pd.Index[Any]],
    columns: Sequence[Hashable] | None = None,
) -> tuple[list[Floats], list[Hashable]]:
    """Read covariates at the given times of each series.

    Parameters
    ----------
    frame : Series or DataFrame
        In any form that `read_series` reads. Without ids (wide, or long without the column of ids) its covariates are
        common to all series. It may hold bool columns, and more series and times than are needed.
    series : SeriesSet
        The targets.
    name : {"past", "future"}
        What messages call the frame.
    times : list of Index of length n_timepoints_i
        The times needed: the history of each series for "past", and the horizon after it for "future".
    columns : sequence, optional
        The columns that fit saw; the result has them in this order. None takes those found.

    Returns
    -------
    values : list of ndarray of shape (n_timepoints_i, n_columns)
    columns : list

    Raises
    ------
    ValueError
        When a needed time of a series has no row, several rows or a missing value; for columns that are no numbers,
        or not those expected; for times of another kind.
    """
    rows = rows_of(frame, name, series.form.id_col, series.form.time_col)
    found = _checked_columns(list(rows.data.columns), columns, name)
    values = numbers_of(rows.data[found], name)
    check_same_kind(rows.times, times[0], name)
    lengths = [len(part) for part in times]
    codes, needed = np.repeat(np.arange(len(times)), lengths), times[0].append(list(times[1:]))
    row = _row_of_each(codes, needed, rows, series, name)
    if (row < 0).any():
        raise ValueError(_what_is_absent(codes[row < 0], needed[row < 0], series, name))
    aligned = values[row]
    bad = np.argwhere(~np.isfinite(aligned))
    if len(bad):
        first, column = bad[0]
        whose = series_name(series.ids[codes[first]])
        raise ValueError(
            f"{name} contains NaN or infinity in column {quoted(found[column])}: {whose} at {shown(needed[first])}. "
            "Fill it, or leave the column out."
        )
    return np.split(aligned, np.cumsum(lengths)[:-1]), found


def _checked_columns(found: list[Hashable], columns: Sequence[Hashable] | None, name: str) -> list[Hashable]:
    if not found:
        raise ValueError(f"{name} must have at least one column beside ids and times.")
    if columns is not None and set(found) != set(columns):
        raise ValueError(f"{name} must have the columns that fit saw, {list(columns)}. Got {found}.")
    return found if columns is None else list(columns)


def _row_of_each(
    codes: NDArray[np.intp], times: pd.Index[Any], rows: Rows, series: SeriesSet, name: str
) -> NDArray[np.intp]:
    """The row of the frame for each series and time, -1 where there is none."""
    offered = pd.DataFrame({"time": _key(rows.times), "row": np.arange(len(rows.times))})
    if rows.ids is not None:
        if series.ids[0] is None:
            raise ValueError(f"{name} has ids ({quoted(rows.ids.name)}) but df is one series without. Drop the ids.")
        offered["series"] = series.ids.get_indexer(rows.ids)
        offered = offered[offered["series"] >= 0]
    keys = ["time"] if rows.ids is None else ["series", "time"]
    again = offered["row"][offered.duplicated(keys)].to_numpy()
    if len(again):
        whose = "" if rows.ids is None else f"{series_name(rows.ids[again[0]])} at "
        raise ValueError(
            f"{name} has duplicate times: {whose}{shown(rows.times[again[0]])}. Keep one row for each; rows of several "
            f"series need their ids, in column {quoted(series.form.id_col)}."
        )
    needed = pd.DataFrame({"series": codes, "time": _key(times)})
    return needed.merge(offered, how="left", on=keys)["row"].fillna(-1).to_numpy(dtype=np.intp)


def _key(times: pd.Index[Any]) -> Any:
    # Timestamps of different units can be compared; periods are found many times faster as integers.
    return times if isinstance(times, pd.DatetimeIndex) else instants(times)


def _what_is_absent(codes: NDArray[np.intp], times: pd.Index[Any], series: SeriesSet, name: str) -> str:
    span = "the history" if name == "past" else "the history and the horizon"
    others = len(np.unique(codes)) - 1
    more = f"; {others} more series lack rows" if others else ""
    first = times[codes == codes[0]]
    return (
        f"{name} must have a row for each time of {span}. {series_name(series.ids[codes[0]])} has none for "
        f"{listed(first)}{more}. Pass such rows in {name}=."
    )


def read_static(
    frame: pd.Series[Any] | pd.DataFrame, series: SeriesSet, *, columns: Sequence[Hashable] | None = None
) -> tuple[Floats, list[Hashable]]:
    """Read what does not change in time: a row for each series.

    Parameters
    ----------
    frame : Series or DataFrame
        The ids are in its column `id_col` or else its index; there may be more of them than needed. For one series
        without id, a single row.
    series : SeriesSet
        The targets.
    columns : sequence, optional
        The columns that fit saw; the result has them in this order. None takes those found.

    Returns
    -------
    values : ndarray of shape (n_series, n_columns)
    columns : list

    Raises
    ------
    ValueError
        When a series has no row, several rows or a missing value; for columns that are no numbers, or not those
        expected.
    """
    if not isinstance(frame, pd.Series | pd.DataFrame):
        raise TypeError(f"static must be a pandas DataFrame with a row for each series. Got {type(frame).__name__}.")
    data = frame.to_frame() if isinstance(frame, pd.Series) else frame
    if series.form.id_col in data.columns:
        data = data.set_index(series.form.id_col)
    found = _checked_columns(list(data.columns), columns, "static")
    values = numbers_of(data[found], "static")[_static_row_of_each(data.index, series)]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        code, column = bad[0]
        name = series_name(series.ids[code])
        raise ValueError(f"static contains NaN or infinity in column {quoted(found[column])}: {name}. Fill it.")
    return values, found


def _static_row_of_each(ids: pd.Index[Any], series: SeriesSet) -> NDArray[np.intp]:
    if series.ids[0] is None:
        if len(ids) != 1:
            raise ValueError(f"static must have one row, for the one series of df. Got {len(ids)} rows.")
        return np.zeros(1, dtype=np.intp)
    again = ids[ids.duplicated()]
    if len(again):
        raise ValueError(f"static must have one row for each series. {series_name(again[0])} has several.")
    row = ids.get_indexer(series.ids)
    if (row < 0).any():
        raise ValueError(
            f"static must have a row for each series, by its index or column {quoted(series.form.id_col)}. Got none "
            f"for {listed(series.ids[row < 0])}."
        )
    return row


# The calendar.

_DAY = pd.Timedelta(days=1)
# Kinds of steps: how many make a season, and how many of _CYCLES they pass through. Steps within a day pass all.
_CYCLES = ("month", "weekday", "hour")
_KINDS: tuple[tuple[tuple[type, ...], int, int], ...] = (
    ((off.YearBegin, off.YearEnd, off.BYearBegin, off.BYearEnd), 1, 0),
    ((off.QuarterBegin, off.QuarterEnd, off.BQuarterBegin, off.BQuarterEnd), 4, 1),
    ((off.MonthBegin, off.MonthEnd, off.BMonthBegin, off.BMonthEnd), 12, 1),
    ((off.SemiMonthBegin, off.SemiMonthEnd), 24, 1),
    ((off.Week,), 52, 1),
    ((off.BDay, off.CDay), 5, 2),
    ((off.Day,), 7, 2),
)


def seasonal_period(freq: Frequency) -> int:
    """Return the usual number of steps in a season: a year, for days a week, within a day the day; 1 for integers.

    Seasons that are no whole number of steps, as of 5 hours, count as none: 1.
    """
    n: Any = getattr(freq, "n", 1)
    for kinds, season, _ in _KINDS:
        if isinstance(freq, kinds):
            return 1 if season % n else season // n
    if not isinstance(freq, off.Tick):
        return 1
    step = pd.Timedelta(freq)
    season_length = _DAY if step >= pd.Timedelta(minutes=1) else pd.Timedelta(hours=1)
    return 1 if season_length % step else season_length // step


def calendar_names(freq: Frequency) -> list[str]:
    """Return the names of the columns of `calendar_features`: those that vary from step to step of `freq`."""
    n_cycles = next((n_cycles for kinds, _, n_cycles in _KINDS if isinstance(freq, kinds)), len(_CYCLES))
    return [f"{wave}_{cycle}" for cycle in _CYCLES[:n_cycles] for wave in ("sin", "cos")]


def calendar_features(times: pd.Index[Any], freq: Frequency) -> Floats:
    """Return sine and cosine of month, day of the week and hour, as far as `freq` makes them vary.

    Parameters
    ----------
    times : DatetimeIndex or PeriodIndex of length T
    freq : offset
        Their step. It alone decides on the columns, so that history and horizon have the same.

    Returns
    -------
    ndarray of shape (T, len(calendar_names(freq)))
    """
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex):
        raise ValueError(f"Calendar features need a DatetimeIndex or PeriodIndex. Got times of {str(times.dtype)!r}.")
    turns = [(times.month - 1) / 12, times.dayofweek / 7, (times.hour + times.minute / 60) / 24]
    angles = 2 * np.pi * np.stack(turns, axis=-1)[:, : len(calendar_names(freq)) // 2]
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(len(times), -1)
