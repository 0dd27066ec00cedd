"""Values to plain JSON and arrays, and back: what comes back as it was, and what is refused."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from tsformer.data.plain import Store, from_plain, to_plain


class Size(NamedTuple):
    width: int
    shape: tuple[int, ...]


RECORDS = {"Size": Size}


def there_and_back(value):
    store = Store(RECORDS)
    text = json.dumps(to_plain(value, store), allow_nan=False)
    read = Store(RECORDS, dict(store.arrays))
    made = from_plain(json.loads(text), read)
    assert not read.arrays, "each array is taken once"
    return made


months = pd.date_range("2020-01-31", periods=3, freq="ME", name="month")
DATES = ["2020-03-29 00:30", "2020-10-25 00:30"]
VALUES = {
    "nothing": None,
    "numbers and text": [1, -2.5, True, "a", float("inf"), float("-inf"), 10**30],
    "a tuple in a dict of int keys": {1: (2, "b"), "1": [None], (3, 4): {}},
    "numpy scalars": (np.float32(0.1), np.int64(3), np.bool_(True), np.str_("x"), np.float64("inf")),
    "a record": Size(3, (1, 2)),
    "an offset": pd.offsets.MonthEnd(2),
    "an anchored offset": pd.offsets.Week(weekday=3),
    "minutes": pd.tseries.frequencies.to_offset("15min"),
}
ARRAYS = {
    "float": np.array([0.1, np.nan]),
    "big-endian": np.array([1.5, 2.5], dtype=">f8"),
    "strided": np.arange(12.0).reshape(3, 4)[:, ::2].T,
    "no dimension": np.array(3, dtype=np.uint8),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "bool": np.array([True, False]),
    "text": np.array(["a", "bcd", ""]),
    "objects": np.array(["a", 1, None, (1, 2), (3, 4)], dtype=object),
    "tuples alone": pd.Series([(1, 2), (3, 4)]).to_numpy(),
}
INDEXES = {
    "range": pd.RangeIndex(3, 9, 2, name="i"),
    "int": pd.Index([3, 1], dtype="int32", name=("a", 1)),
    "float": pd.Index([0.5, np.nan]),
    "text": pd.Index(["b", "a", "b"], name="id"),
    "objects": pd.Index(["a", 1, 1.0, True, None], dtype=object),
    "text as objects": pd.Index(["b", "a"], dtype=object),
    "tuples": pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    "empty": pd.Index([], dtype=object),
    "dates with a frequency": months,
    "dates without": pd.DatetimeIndex(["2020-01-05", "2020-01-01", None]).as_unit("s"),
    "dates in a zone": pd.to_datetime(DATES).tz_localize("UTC").tz_convert("Europe/Berlin").as_unit("ms"),
    "dates in a fixed zone": pd.to_datetime(DATES).tz_localize("UTC+02:00"),
    "periods": pd.period_range("2020Q1", periods=3, freq="Q-JAN", name="q"),
    "categories": pd.CategoricalIndex(["b", "a", "b", None], categories=["c", "b", "a"], ordered=True),
    "levels": pd.MultiIndex.from_product([["b", "a"], months], names=["id", None]),
    "nullable": pd.Index([1, None], dtype="Int64"),
}


@pytest.mark.parametrize("name", VALUES)
def test_plain__value__comes_back_equal_and_of_its_type(name):
    value = VALUES[name]
    made = there_and_back(value)
    assert made == value
    assert type(made) is type(value)
    if isinstance(value, tuple | list):
        assert [type(item) for item in made] == [type(item) for item in value]


@pytest.mark.parametrize("name", ARRAYS)
def test_plain__array__comes_back_equal_and_of_its_type(name):
    made = there_and_back(ARRAYS[name])
    assert made.dtype == ARRAYS[name].dtype.newbyteorder("=")
    assert made.shape == ARRAYS[name].shape
    np.testing.assert_array_equal(made, ARRAYS[name])


@pytest.mark.parametrize("name", INDEXES)
def test_plain__index_and_frames_on_it__come_back_equal_and_of_their_types(name):
    index = INDEXES[name]
    made = there_and_back(index)
    pd.testing.assert_index_equal(made, index, exact=True)
    assert getattr(made, "freq", None) == getattr(index, "freq", None)
    series = pd.Series(np.arange(len(index)), index=index, name="n")
    pd.testing.assert_series_equal(there_and_back(series), series, check_freq=True)
    frame = pd.DataFrame({"x": 1.5, "y": pd.array([True] * len(index), dtype="boolean")}, index=index)
    pd.testing.assert_frame_equal(there_and_back(frame), frame)
    if not isinstance(index, pd.MultiIndex):
        column = pd.Series(index.rename("ids")).to_frame()
        pd.testing.assert_frame_equal(there_and_back(column), column)


def test_plain__columns_of_several_levels_and_of_numbers__come_back():
    frame = pd.DataFrame(np.arange(4).reshape(2, 2), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
    pd.testing.assert_frame_equal(there_and_back(frame), frame)
    frame.columns = [7, "x"]
    pd.testing.assert_frame_equal(there_and_back(frame), frame)


def test_plain__random_state__goes_on_as_it_would_have():
    stream = np.random.RandomState(3)
    stream.normal(size=3)
    assert there_and_back(stream).normal() == stream.normal()


REFUSED = {
    "a function": len,
    "an object": object(),
    "bytes": b"a",
    "a class": int,
    "complex": np.array([1j]),
    "dates as an array": np.array(["2020-01-01"], dtype="M8[D]"),
    "two dimensions of objects": np.array([["a"]], dtype=object),
    "a function among objects": np.array([len], dtype=object),
    "an offset without a text": pd.DateOffset(months=1, days=3),
    "holidays": pd.offsets.CustomBusinessDay(holidays=["2020-01-01"]),
    "spans of time": pd.Series(pd.to_timedelta([1], unit="s")),
    "intervals": pd.Series(pd.interval_range(0, 2)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_to_plain__what_would_not_come_back__is_refused(name):
    with pytest.raises(ValueError, match=r"cannot be saved"):
        to_plain(REFUSED[name], Store())


@pytest.mark.parametrize(
    "plain",
    [
        {"unknown": {}},
        {"offset": {"text": "MS", "more": 1}},
        {"Size": {"width": 1}},
        {"Size": {"width": 1, "shape": 2, "more": 3}},
        {"times": {"values": "array.0", "unit": "Y", "zone": None}},
        {"masked": {"dtype": "object", "values": "array.0", "missing": "array.0"}},
        {"repeated": {"codes": "array.0", "values": ["a"], "dtype": "object"}},
        {"numbers": {"values": "array.7"}},
        {"offset": []},
        {"float": {"text": "1"}, "tuple": {"items": []}},
    ],
    ids=str,
)
def test_from_plain__what_is_never_written__is_refused(plain):
    with pytest.raises((ValueError, TypeError, LookupError)):
        from_plain(plain, Store(RECORDS, {"array.0": np.zeros(1, dtype=np.int64)}))
