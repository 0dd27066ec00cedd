"""The rows of a frame of series, whatever its form (Series, wide, long, MultiIndex): ids, times and numbers of each."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.api import guess_datetime_format

from tsformer.data.messages import in_column, listed, quoted, series_name, shown

Floats = NDArray[np.float64]
Layout = Literal["wide", "long", "panel"]
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "empty")  # as pandas infers them among objects
DATES = pd.DatetimeIndex, pd.PeriodIndex


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
    """Tell the form of a frame by the rule of `read_series`; with `only_order`, times may be floats or spans too."""
    if not isinstance(frame, pd.Series | pd.DataFrame):
        raise TypeError(
            f"{name} must be a pandas Series or DataFrame: wide, with times in its index; long, with a column of them; "
            f"or under a (series, time) MultiIndex. Got {type(frame).__name__}; make it pd.Series(array, times)."
        )
    data = frame.to_frame() if isinstance(frame, pd.Series) else frame
    if data.index.name is not None and data.index.name == id_col:
        data = data.reset_index(drop=id_col in data.columns)
    if data.empty:
        raise ValueError(f"Found {name} of shape {data.shape} while a minimum of 1 row and 1 column is required.")
    if not data.columns.is_unique:
        raise ValueError(f"The columns of {name} must be unique. Got {list(data.columns)}.")
    if isinstance(data.index, pd.MultiIndex):
        ids, times = (data.index.get_level_values(level) for level in (0, -1))
        if data.index.nlevels != 2 or isinstance(ids, pd.DatetimeIndex | pd.PeriodIndex):
            raise ValueError(
                f"A MultiIndex of {name} must have the two levels (series, time). Got {list(data.index.names)}; join "
                "the levels that name a series into one, or use swaplevel() where times come first."
            )
        times = _checked_times(times, f"The time level ({times.name!r}) of {name}", only_order)
        return Rows("panel", ids, times, data)
    is_series = isinstance(frame, pd.Series)  # whatever its name, its one column holds values
    if time_col in data.columns and not is_series:
        times = _checked_times(pd.Index(data[time_col]), f"The time column ({time_col!r}) of {name}", only_order)
        long_ids = pd.Index(data[id_col]) if id_col in data.columns else None
        return Rows("long", long_ids, times, data.drop(columns=[id_col, time_col], errors="ignore"))
    if id_col in data.columns and not is_series:
        raise ValueError(
            f"The following columns are missing: [{time_col!r}]. {name} has {list(data.columns)}; name the column of "
            "the times with time_col=, or reset_index() if they are in the index."
        )
    return Rows("wide", None, _checked_times(data.index, f"The index of {name}", only_order), data)


def _checked_times(times: pd.Index[Any], where: str, only_order: bool) -> pd.Index[Any]:
    times = _plain_times(times, where)
    is_time = isinstance(times, pd.DatetimeIndex | pd.PeriodIndex) or pd.api.types.is_integer_dtype(times.dtype)
    has_order = isinstance(times, pd.TimedeltaIndex) or pd.api.types.is_float_dtype(times.dtype)
    if not (is_time or (only_order and has_order)):
        raise ValueError(
            f"{where} should have either timestamps or integers, got {str(times.dtype)!r}. {_way_to_times(times)}, or "
            "name a column of times with time_col=."
        )
    if len(missing := np.flatnonzero(times.isna())):
        raise ValueError(f"{where} has {len(missing)} missing times (NaT), the first in row {missing[0]}.")
    # Plain integers: what is saved, and counted on from, needs no masks.
    return times.astype(times.dtype.numpy_dtype) if hasattr(times.dtype, "numpy_dtype") else times


def _plain_times(times: pd.Index[Any], where: str) -> pd.Index[Any]:
    """Times of pyarrow, among objects, of categories or as text of ISO 8601 as pandas' own; all others as they are."""
    if isinstance(times, pd.DatetimeIndex | pd.PeriodIndex) or pd.api.types.is_numeric_dtype(times.dtype):
        return times
    if isinstance(times, pd.CategoricalIndex):
        return _taken(_plain_times(pd.Index(times.categories), where), times.codes)
    kind = times.inferred_type
    if kind == "string":
        return _parsed(times, where)
    if kind == "integer":
        return times if times.hasnans else times.astype(np.int64)
    if kind == "period":
        return pd.PeriodIndex(times, name=times.name)
    is_kind_of_time = kind in ("date", "datetime", "datetime64") and not isinstance(times, pd.MultiIndex)
    return pd.to_datetime(times) if is_kind_of_time else times


def _formats_of(texts: pd.Index[Any]) -> list[str]:
    """Return the formats that all texts may have, day first or month first."""
    with warnings.catch_warnings(action="ignore"):  # of days first
        guesses = [guess_datetime_format(str(text), dayfirst=first) for first in (True, False) for text in texts[:100]]
    formats = [guess for guess in dict.fromkeys(guesses) if guess]
    return [each for each in formats if pd.to_datetime(texts, format=each, errors="coerce").notna().all()]


def _parsed(times: pd.Index[Any], where: str) -> pd.Index[Any]:
    """Read text of ISO 8601, each once; text that may mean several times is refused."""
    codes, texts = pd.factorize(times)
    if len(odd := texts[~texts.str.match(r"\d{4}-\d\d")]):
        formats = " or ".join(f"format={each!r}" for each in _formats_of(texts)) or "format=..."
        raise ValueError(
            f"{where} should have either timestamps or integers, or text of ISO 8601, as 2024-01-31. Got the text "
            f"{str(odd[0])!r}; convert times by pd.to_datetime(times, {formats}), in the format that yours "
            "have, or name a column of times with time_col=."
        )
    try:
        parsed = pd.to_datetime(texts, format="ISO8601")
    except ValueError as error:
        reason, way = re.split(r"\. (?:You might|Pass utc)", str(error))[0], "correct it"
        if "Mixed timezones" in reason:
            way = "convert times by pd.to_datetime(times, utc=True), and then to your zone by tz_convert"
        raise ValueError(f"{where} has text that is no time of ISO 8601: {reason}; {way}.") from error
    return _taken(pd.DatetimeIndex(parsed), codes).rename(times.name)


def _taken(times: pd.Index[Any], codes: Any) -> pd.Index[Any]:
    """The times of codes, of which -1 stands for a missing one."""
    return times.take(codes) if (codes >= 0).all() else pd.Index(pd.Series(times).reindex(codes))


def _way_to_times(times: pd.Index[Any]) -> str:
    """What makes times of an index that holds none."""
    if isinstance(times, pd.TimedeltaIndex):
        return "Add the start, e.g. pd.Timestamp('2024-01-01') + times"
    if pd.api.types.is_float_dtype(times.dtype):
        return "Convert it with astype(int) where it counts steps, or with pd.to_datetime(times, unit='s')"
    return "Convert it with pd.to_datetime"


def numbers_of(data: pd.DataFrame, kind: str) -> Floats:
    """Columns as float64 (n_rows, n_columns), NaN = missing; all but those of the `kind` "target" may be bool."""
    numbers = [_numbers(values, kind) for _, values in data.items()]
    return np.column_stack([values.to_numpy(dtype=np.float64, na_value=np.nan) for values in numbers])


def _numbers(column: pd.Series[Any], kind: str) -> pd.Series[Any]:
    """Check that a column holds numbers; as objects too, such as Decimal or flags that are partly missing."""
    is_bool, is_number = pd.api.types.is_bool_dtype(column), pd.api.types.is_numeric_dtype(column)
    if column.dtype == object:
        held = pd.api.types.infer_dtype(column, skipna=True)
        is_bool, is_number = held == "boolean", held in _NUMBERS
    if not (is_bool or is_number) or pd.api.types.is_complex_dtype(column) or (is_bool and kind == "target"):
        raise ValueError(
            f"The {kind} column ({column.name!r}) should have a numeric data type, got {str(column.dtype)!r}. "
            f"{_way_to_numbers(column, kind)}"
        )
    return column


def _way_to_numbers(column: pd.Series[Any], kind: str) -> str:
    if kind == "covariate":
        return f"Encode it, e.g. pd.get_dummies(df, columns=[{column.name!r}])."
    text = pd.to_numeric(column, errors="coerce").isna() & column.notna()
    if text.all() or not text.any():
        covariates = " A covariate is named in past_cols=, future_cols= or static_cols=." if kind == "target" else ""
        return (
            f"Convert it with astype(float), leave it out with drop(columns={column.name!r}), or name ids and times in "
            f"id_col= or time_col=.{covariates}"
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
    if len(missing := np.flatnonzero(codes < 0)):
        raise ValueError(
            f"The ids ({ids.name!r}) have {len(missing)} missing values, the first in row {missing[0]}. Fill them, or "
            "drop these rows."
        )
    return codes, plain_index(unique).rename(ids.name)


def plain_index(index: pd.Index[Any]) -> pd.Index[Any]:
    """Ids or columns as plain values: what is saved, and forecast, needs no categories and no masks."""
    if isinstance(index, pd.CategoricalIndex):
        index = index.astype(index.categories.dtype)
    if isinstance(index.dtype, pd.StringDtype):
        return index
    return index.astype(index.dtype.numpy_dtype) if hasattr(index.dtype, "numpy_dtype") else index


def check_ids_alike(ids: pd.Index[Any], known: pd.Index[Any], name: str) -> None:
    """Raise a ValueError where one of the ids (unique) differs from a known one by its type alone, as "1" from 1."""
    new = ids[~ids.isin(known)]
    if len(new) and len(same := new[new.map(str).isin(known.map(str))]):
        id = known[known.map(str).get_loc(str(same[0]))]
        raise ValueError(
            f"The ids of {name} must be of the type that fit saw: {quoted(id)}. Got {quoted(same[0])}; convert them by "
            f"astype({'str' if isinstance(id, str) else type(id).__name__!r})."
        )


@dataclass(frozen=True)
class SortedRows:
    """Sorted rows: `codes` (N,) numbers the series of each, whose `times` (N,) ascend; `values` is (N, C)."""

    ids: pd.Index[Any]
    codes: NDArray[np.intp]
    times: pd.Index[Any]
    values: Floats

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """First row of each series."""
        return np.concatenate([[0], np.flatnonzero(self.codes[1:] != self.codes[:-1]) + 1])

    @cached_property
    def lengths(self) -> NDArray[np.intp]:
        """Number of rows of each series."""
        return np.diff(self.starts, append=len(self.codes))

    @property
    def ranks(self) -> NDArray[np.intp]:
        """Place of each row in its series."""
        return np.arange(len(self.codes)) - self.starts[self.codes]

    def times_of(self, code: int) -> pd.Index[Any]:
        """Return the times of a series."""
        return self.times[self.starts[code] : self.starts[code] + self.lengths[code]]


def sort_rows(
    ids: pd.Index[Any] | None, times: pd.Index[Any], values: Floats, columns: Iterable[Hashable], of: str = ""
) -> SortedRows:
    """Sort rows by series, in the order of their first rows, and time; refuse a time twice and infinity."""
    codes, unique = numbered(ids, len(times))
    instant = instants(times)
    # Comparisons, no differences: of 60 million rows each of those takes half a gigabyte.
    same = codes[1:] == codes[:-1]
    if (codes[1:] < codes[:-1]).any() or (same & (instant[1:] < instant[:-1])).any():
        order = np.lexsort((instant, codes))
        codes, times, values, instant = codes[order], times[order], values[order], instant[order]
        same = codes[1:] == codes[:-1]
    if len(again := np.flatnonzero(same & (instant[1:] == instant[:-1])) + 1):
        code = codes[again[0]]
        several = "" if ids is not None else " If df holds several series, name their ids with id_col=."
        these = f"duplicate times: {listed(times[again[codes[again] == code]].unique())}"
        way_out = f"Keep one row for each, e.g. by groupby(...).mean().{several}"
        raise ValueError(f"{series_name(unique[code])}{of} has {these}. {way_out}")
    if (infinite := np.isinf(values)).any():
        row, column = np.argwhere(infinite)[0]
        raise ValueError(
            f"{series_name(unique[codes[row]])}{of} contains infinity{in_column(list(columns)[column])} at "
            f"{shown(times[row])}. Values must be finite, or NaN where missing."
        )
    return SortedRows(unique, codes, times, values)


def instants(times: pd.Index[Any]) -> NDArray[Any]:
    """Times as integers in the unit of their type; floats as they are."""
    if times.dtype.kind == "f":
        return times.to_numpy()
    return times.asi8 if isinstance(times, DATES) else times.astype("int64").to_numpy()
