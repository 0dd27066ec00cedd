"""Values as plain JSON with arrays beside it, and back: what can be saved without any code in it.

`to_plain` knows numbers, text, lists, tuples, dicts, numpy arrays, pandas indexes, Series and frames, frequencies, and
the classes that it is given. All else it refuses. `from_plain` makes the same values again, and nothing else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset

UNITS = ("s", "ms", "us", "ns")
MASKED = (*(f"{sign}nt{bits}" for sign in ("I", "UI") for bits in (8, 16, 32, 64)), "Float32", "Float64", "boolean")


@dataclass
class Store:
    """The arrays beside the JSON, by name, and the classes (dataclasses or named tuples) whose objects may be kept."""

    records: Mapping[str, type[Any]] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def put(self, array: NDArray[Any]) -> str:
        """Keep an array; return the name that `take` gives it out by, once."""
        name = f"array.{len(self.arrays)}"
        self.arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return name

    def take(self, name: str) -> NDArray[Any]:
        """Give out an array."""
        return self.arrays.pop(name)


def to_plain(value: Any, store: Store) -> Any:
    """Turn a value into what JSON can hold; arrays go to the store.

    What JSON knows stays as it is. All else becomes a dict of one entry, from the name of its kind to its contents.

    Raises
    ------
    ValueError
        For a value of another kind, or one that would not come back as it was.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": {"text": repr(value)}}
    if type(value) is list:
        return [to_plain(item, store) for item in value]
    if type(value) is tuple:
        return {"tuple": {"items": [to_plain(item, store) for item in value]}}
    if type(value) is dict:
        return {"dict": {"items": [[to_plain(item, store) for item in pair] for pair in value.items()]}}
    if store.records.get(type(value).__name__) is type(value):
        return {type(value).__name__: {name: to_plain(getattr(value, name), store) for name in _fields(type(value))}}
    for types, write in _WRITERS:
        if isinstance(value, types):
            return write(value, store)
    raise ValueError(f"objects of type {type(value).__name__} cannot be saved")


def from_plain(plain: Any, store: Store) -> Any:
    """Make the value again that `to_plain` was given.

    Raises
    ------
    ValueError, TypeError, LookupError
        For what `to_plain` does not write: an unknown kind, an absent or further entry, an unknown array.
    """
    if isinstance(plain, list):
        return [from_plain(item, store) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, contents),) = plain.items()
    if not isinstance(contents, dict):
        raise ValueError(f"{kind} has no fields")
    if kind in store.records:
        record = store.records[kind]
        if set(contents) != set(_fields(record)):
            raise ValueError(f"{kind} has the fields {sorted(contents)}, expected {sorted(_fields(record))}")
        return record(**{name: from_plain(item, store) for name, item in contents.items()})
    if kind not in _READERS:
        raise ValueError(f"unknown kind of value {kind!r}")
    return _READERS[kind](store, **contents)


def _fields(record: type[Any]) -> list[str]:
    return list(getattr(record, "_fields", None) or [item.name for item in dataclasses.fields(record)])


# numpy: writer and reader of each kind.


def _is_number(dtype: Any) -> bool:
    """Whether values of a type are kept as an array of it."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8


def _write_scalar(value: np.generic, store: Store) -> Any:
    if _is_number(value.dtype):
        return {"scalar": {"value": store.put(np.asarray(value))}}
    if isinstance(value, np.str_):
        return {"text": {"value": str(value)}}
    raise ValueError(f"numpy values of type {value.dtype} cannot be saved")


def _read_scalar(store: Store, value: str) -> Any:
    (scalar,) = store.take(value).reshape(-1)
    return scalar


def _write_array(array: NDArray[Any], store: Store) -> Any:
    if _is_number(array.dtype):
        return {"numbers": {"values": store.put(array)}}
    if array.dtype.kind not in "UO" or array.ndim != 1:
        raise ValueError(f"arrays of type {array.dtype} and {array.ndim} dimensions cannot be saved")
    return {"texts" if array.dtype.kind == "U" else "objects": {"values": to_plain(array.tolist(), store)}}


def _read_objects(store: Store, values: Any) -> NDArray[Any]:
    return _objects(from_plain(values, store))


def _objects(items: list[Any]) -> NDArray[Any]:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):  # not array[:] = items, which takes tuples for rows
        array[i] = item
    return array


def _write_random_state(value: np.random.RandomState, store: Store) -> Any:
    state: Any = value.get_state()
    name, keys, *rest = state
    if name != "MT19937":
        raise ValueError(f"a RandomState of {name} cannot be saved, only one of MT19937")
    return {"RandomState": {"keys": store.put(keys), "rest": rest}}


def _read_random_state(store: Store, keys: str, rest: list[Any]) -> np.random.RandomState:
    made = np.random.RandomState()
    made.set_state(("MT19937", store.take(keys), *rest))
    return made


# pandas. A column is what is left of a Series or an Index without its name: numbers, times, periods, ...


def _write_offset(value: pd.offsets.BaseOffset, store: Store) -> Any:
    try:
        kept = to_offset(value.freqstr)
    except ValueError:
        kept = None
    if kept != value:
        raise ValueError(f"the frequency {value!r} cannot be saved: pandas has no text for it")
    return {"offset": {"text": value.freqstr}}


def _write_index(index: pd.Index[Any], store: Store) -> Any:
    if isinstance(index, pd.MultiIndex):
        return {"levels": {"indexes": [to_plain(index.get_level_values(i), store) for i in range(index.nlevels)]}}
    name = to_plain(index.name, store)
    if isinstance(index, pd.RangeIndex):
        return {"range": {"bounds": [index.start, index.stop, index.step], "name": name}}
    freq = index.freq if isinstance(index, pd.DatetimeIndex) else None
    return {"index": {"values": _write_column(index, store), "name": name, "freq": to_plain(freq, store)}}


def _read_index(store: Store, values: Any, name: Any, freq: Any) -> pd.Index[Any]:
    column = from_plain(values, store)
    index = pd.Index(column, dtype=column.dtype, name=from_plain(name, store), tupleize_cols=False)
    return index if freq is None else pd.DatetimeIndex(index, freq=from_plain(freq, store))


def _write_series(series: pd.Series[Any], store: Store) -> Any:
    return {
        "series": {
            "values": _write_column(series, store),
            "index": to_plain(series.index, store),
            "name": to_plain(series.name, store),
        }
    }


def _read_series(store: Store, values: Any, index: Any, name: Any) -> pd.Series[Any]:
    column = from_plain(values, store)
    return pd.Series(column, dtype=column.dtype, index=from_plain(index, store), name=from_plain(name, store))


def _write_frame(frame: pd.DataFrame, store: Store) -> Any:
    return {
        "frame": {
            "values": [_write_column(frame.iloc[:, i], store) for i in range(frame.shape[1])],
            "index": to_plain(frame.index, store),
            "columns": to_plain(frame.columns, store),
        }
    }


def _read_frame(store: Store, values: list[Any], index: Any, columns: Any) -> pd.DataFrame:
    rows = from_plain(index, store)
    parts = [from_plain(column, store) for column in values]
    frame = pd.DataFrame({i: pd.Series(part, dtype=part.dtype, index=rows) for i, part in enumerate(parts)}, index=rows)
    frame.columns = from_plain(columns, store)
    return frame


def _write_column(column: pd.Series[Any] | pd.Index[Any], store: Store) -> Any:
    dtype: Any = column.dtype
    if _is_number(dtype):
        return to_plain(column.to_numpy(), store)
    if isinstance(dtype, np.dtype | pd.DatetimeTZDtype) and dtype.kind == "M":
        times = pd.DatetimeIndex(column)
        zone = None if times.tz is None else str(times.tz)
        if zone is None or pd.DatetimeTZDtype(times.unit, zone) == dtype:
            return {"times": {"values": store.put(times.asi8), "unit": times.unit, "zone": zone}}
    if isinstance(dtype, pd.PeriodDtype):
        return {"periods": {"values": store.put(pd.PeriodIndex(column).asi8), "freq": to_plain(dtype.freq, store)}}
    if isinstance(dtype, pd.CategoricalDtype):
        codes, categories = pd.Categorical(column).codes, to_plain(dtype.categories, store)
        return {"category": {"codes": store.put(codes), "categories": categories, "ordered": dtype.ordered}}
    if str(dtype) in MASKED:
        numbers = column.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        missing = np.asarray(column.isna())
        return {"masked": {"dtype": str(dtype), "values": store.put(numbers), "missing": store.put(missing)}}
    is_text = isinstance(dtype, pd.StringDtype)
    if is_text or (isinstance(dtype, np.dtype) and dtype.kind == "O"):
        codes, different = _numbered(column.tolist())
        text = str(dtype) if is_text else None
        return {"repeated": {"codes": store.put(codes), "values": to_plain(different, store), "dtype": text}}
    raise ValueError(f"values of type {str(dtype)!r}, of {column.name!r}, cannot be saved; convert them with astype")


def _numbered(values: list[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """The number of each value among the different ones, and those; 1, 1.0 and True are different."""
    places: dict[Any, int] = {}
    codes = [places.setdefault((type(value), value), len(places)) for value in values]
    return np.array(codes, dtype=np.int64), [value for _, value in places]


def _read_times(store: Store, values: str, unit: str, zone: str | None) -> pd.DatetimeIndex:
    if unit not in UNITS:
        raise ValueError(f"unknown unit of times {unit!r}")
    times = pd.DatetimeIndex(store.take(values).view(f"M8[{unit}]"))
    return times if zone is None else times.tz_localize("UTC").tz_convert(zone)


def _read_periods(store: Store, values: str, freq: Any) -> pd.PeriodIndex:
    return pd.PeriodIndex(pd.arrays.PeriodArray(store.take(values), dtype=pd.PeriodDtype(from_plain(freq, store))))


def _read_category(store: Store, codes: str, categories: Any, ordered: bool) -> pd.Categorical:
    return pd.Categorical.from_codes(store.take(codes), from_plain(categories, store), ordered=ordered)


def _read_masked(store: Store, dtype: str, values: str, missing: str) -> Any:
    if dtype not in MASKED:
        raise ValueError(f"unknown type of numbers {dtype!r}")
    column: Any = pd.Series(store.take(values), dtype=dtype).array
    column[store.take(missing)] = pd.NA
    return column


def _read_repeated(store: Store, codes: str, values: Any, dtype: str | None) -> Any:
    if dtype not in (None, "str", "string"):
        raise ValueError(f"unknown type of text {dtype!r}")
    column = _objects(from_plain(values, store))[store.take(codes)]
    return column if dtype is None else pd.array(column, dtype=dtype)


_WRITERS: list[tuple[Any, Callable[[Any, Store], Any]]] = [
    (np.generic, _write_scalar),
    (np.ndarray, _write_array),
    (np.random.RandomState, _write_random_state),
    (pd.offsets.BaseOffset, _write_offset),
    (pd.Index, _write_index),
    (pd.Series, _write_series),
    (pd.DataFrame, _write_frame),
]

_READERS: dict[str, Callable[..., Any]] = {
    "float": lambda store, text: float(text),
    "tuple": lambda store, items: tuple(from_plain(items, store)),
    "dict": lambda store, items: dict(from_plain(items, store)),
    "scalar": _read_scalar,
    "text": lambda store, value: np.str_(value),
    "numbers": lambda store, values: store.take(values),
    "texts": lambda store, values: np.array(from_plain(values, store), dtype=str),
    "objects": _read_objects,
    "RandomState": _read_random_state,
    "offset": lambda store, text: to_offset(text),
    "index": _read_index,
    "levels": lambda store, indexes: pd.MultiIndex.from_arrays(from_plain(indexes, store)),
    "range": lambda store, bounds, name: pd.RangeIndex(range(*bounds), name=from_plain(name, store)),
    "series": _read_series,
    "frame": _read_frame,
    "times": _read_times,
    "periods": _read_periods,
    "category": _read_category,
    "masked": _read_masked,
    "repeated": _read_repeated,
}
