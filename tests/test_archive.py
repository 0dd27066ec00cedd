"""Arrays and JSON in one file: what comes back as it was, and what is refused, unexecuted."""

import json
import os
import pickle
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import torch
from archives import rewritten
from safetensors.numpy import save_file
from torch import nn

from tsformer.archive import (
    Store,
    check_place,
    from_plain,
    open_archive,
    put_weights,
    saved_network,
    to_plain,
    write_archive,
)


class Size(NamedTuple):
    width: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Panel:
    values: list[np.ndarray]
    scale: Size | None = None


RECORDS = {"Size": Size, "Panel": Panel}

# Values.


def to_text(value):
    store = Store(RECORDS)
    return json.dumps(to_plain(value, store), allow_nan=False), store


def there_and_back(value):
    text, store = to_text(value)
    made = from_plain(json.loads(text), store)
    assert not store.arrays, "each array is taken once"
    return made


months = pd.date_range("2020-01-31", periods=3, freq="ME", name="month")
DATES = ["2020-03-29 00:30", "2020-10-25 00:30"]
VALUES = {
    "nothing": None,
    "numbers and text": [1, -2.5, True, "a", float("inf"), float("-inf"), 10**30],
    "a tuple in a dict of int keys": {1: (2, "b"), "1": [None], (3, 4): {}},
    "numpy scalars": (np.float32(0.1), np.int64(3), np.bool_(True), np.str_("x"), np.float64("inf")),
    "a record": Size(3, (1, 2)),
    "records in one another": Panel([], Size(3, ())),
    "nothing in a record": [Panel([]), None],
    "an offset": pd.offsets.MonthEnd(2),
    "an anchored offset": pd.offsets.Week(weekday=3),
    "holidays": pd.offsets.CustomBusinessDay(holidays=["2020-01-01"]),
    "a week of six days": pd.offsets.CustomBusinessDay(2, weekmask="Mon Tue Wed Thu Fri Sat"),
    "holidays at a month's end": pd.offsets.CBMonthEnd(holidays=["2020-01-31"]),
    "opening hours": pd.offsets.BusinessHour(start=["08:00", "13:30"], end=["12:00", "17:00"]),
    "one day of the months": pd.DateOffset(months=1, years=2),
    "a date": date(2020, 1, 1),
    "a decimal": Decimal("1.10"),
    "a UUID": UUID(int=7),
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
    "bool": pd.Index([True, False]),
    "text": pd.Index(["b", "a", "b"], name="id"),
    "objects": pd.Index(["a", 1, 1.0, True, None], dtype=object),
    "numbers as objects": pd.Index([1, 2], dtype=object),
    "text as objects": pd.Index(["b", "a"], dtype=object),
    "text of pandas": pd.Index(["b", "a"], dtype="string"),
    "tuples": pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    "empty": pd.Index([], dtype=object),
    "dates with a frequency": months,
    "dates without": pd.DatetimeIndex(["2020-01-05", "2020-01-01", None]).as_unit("s"),
    "dates in a zone": pd.to_datetime(DATES).tz_localize("UTC").tz_convert("Europe/Berlin").as_unit("ms"),
    "dates in a fixed zone": pd.to_datetime(DATES).tz_localize("UTC+02:00"),
    "periods": pd.period_range("2020Q1", periods=3, freq="Q-JAN", name="q"),
    "spans of time": pd.to_timedelta([1, 5, None], unit="s").as_unit("ms"),
}
LEVELS = pd.MultiIndex.from_product([["b", "a"], months], names=["id", None])


def assert_same_array(made, expected):
    assert made.dtype == expected.dtype.newbyteorder("=")
    assert made.shape == expected.shape
    np.testing.assert_array_equal(made, expected)


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
    assert_same_array(there_and_back(ARRAYS[name]), ARRAYS[name])


@pytest.mark.parametrize("name", [*INDEXES, "levels"])
def test_plain__index__comes_back_equal_and_of_its_type(name):
    index = INDEXES.get(name, LEVELS)
    pd.testing.assert_index_equal(there_and_back(index), index, exact=True)


PARTS = {
    "values": [np.arange(6.0).reshape(3, 2), np.zeros((0, 2)), np.full((1, 2), np.nan)],
    "masks": [np.array([[True], [False]]), np.array([[True]])],
    "whole numbers": [np.arange(3)],
    "big-endian": [np.array([1.5], dtype=">f8"), np.array([2.5, 3.5], dtype=">f8")],
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("kind", [list, tuple])
def test_plain__arrays_of_different_lengths__come_back_and_are_kept_as_one(kind, name):
    text, store = to_text(kind(PARTS[name]))
    assert len(store.arrays) == 2
    made = from_plain(json.loads(text), store)
    assert type(made) is kind
    for array, expected in zip(made, PARTS[name], strict=True):
        assert_same_array(array, expected)


@pytest.mark.parametrize("name", INDEXES)
def test_plain__indexes_of_different_lengths__come_back_and_are_kept_as_one(name):
    parts = [INDEXES[name], INDEXES[name][:0], INDEXES[name][1:]]
    text, store = to_text(parts)
    assert len(store.arrays) <= 2
    made = from_plain(json.loads(text), store)
    for index, expected in zip(made, parts, strict=True):
        pd.testing.assert_index_equal(index, expected, exact="equiv")  # a range may come back as whole numbers


DIFFERENT = {
    "widths": [np.zeros((2, 1)), np.zeros((2, 2))],
    "types": [np.zeros(2), np.zeros(2, dtype=bool)],
    "no dimensions": [np.array(1.0), np.array(2.0)],
    "texts": [np.array(["a"]), np.array(["bc"])],
    "one is missing": [np.zeros(2), None],
    "an index among them": [np.zeros(2), pd.Index([0.0, 0.0])],
    "names": [months, months.rename("other")],
    "zones": [months, months.tz_localize("UTC")],
    "units": [months.as_unit("ms"), months.as_unit("s")],
    "frequencies of periods": [months.to_period(), months.to_period("D")],
    "levels": [LEVELS, LEVELS],
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_plain__arrays_and_indexes_that_are_not_parts_of_one__come_back_each_as_it_was(case):
    for made, expected in zip(there_and_back(DIFFERENT[case]), DIFFERENT[case], strict=True):
        if isinstance(expected, pd.Index):
            pd.testing.assert_index_equal(made, expected, exact=True)
        elif expected is not None:
            assert_same_array(made, expected)


def test_plain__ten_thousand_series__are_few_entries():
    values = [np.full((1 + i % 3, 2), i, dtype=float) for i in range(10_000)]
    times = [pd.date_range("2020-01-01", periods=len(part), tz="Europe/Berlin") for part in values]
    text, store = to_text({"panel": Panel(values), "times": times})
    assert len(text) < 1000
    assert len(store.arrays) == 4
    made = from_plain(json.loads(text), store)
    assert_same_array(np.concatenate(made["panel"].values), np.concatenate(values))
    assert made["times"][-1].equals(times[-1])


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
    "a date": np.datetime64("2020-01-01"),
    "dates as an array": np.array(["2020-01-01"], dtype="M8[D]"),
    "two dimensions of objects": np.array([["a"]], dtype=object),
    "a function among objects": np.array([len], dtype=object),
    "intervals": pd.Index(pd.interval_range(0, 2)),
    "categories": pd.CategoricalIndex(["a", "b"]),
    "nullable": pd.Index([1, None], dtype="Int64"),
    "a Series": pd.Series([1.0]),
    "a frame": pd.DataFrame({"x": [1.0]}),
    "another stream": np.random.RandomState(np.random.PCG64(0)),
    "a class of the same name": type("Size", (), {})(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_to_plain__what_would_not_come_back__is_refused(name):
    with pytest.raises(ValueError, match=r"cannot be saved"):
        to_plain(REFUSED[name], Store(RECORDS))


def test_to_plain__offset_without_a_text__is_refused():
    with pytest.raises(ValueError, match="Easter"):
        to_plain(pd.offsets.Easter(), Store())


@pytest.mark.parametrize(
    "plain",
    [
        {"unknown": {}},
        {"offset": {"text": "MS", "more": 1}},
        {"Size": {"width": 1}},
        {"Size": {"width": 1, "shape": 2, "more": 3}},
        {"index": {"values": {"numbers": {"values": "array.0"}}, "dtype": "datetime64[Y]", "name": None}},
        {"index": {"values": {"numbers": {"values": "array.0"}}, "dtype": "category", "name": None}},
        {"index": {"values": {"numbers": {"values": "array.0"}}, "dtype": "os.system", "name": None}},
        {"parts": {"whole": [1, 2], "lengths": "array.0"}},
        {"parts": {"whole": [1, 2], "lengths": "array.1"}},
        {"numbers": {"values": "array.7"}},
        {"offset": []},
        {"float": {"text": "1"}, "tuple": {"items": []}},
    ],
    ids=str,
)
def test_from_plain__what_is_never_written__is_refused(plain):
    with pytest.raises((ValueError, TypeError, LookupError)):
        from_plain(plain, Store(RECORDS, {"array.0": np.zeros(1, dtype=np.int64), "array.1": np.array([3, -1])}))


# Files.

SETTINGS = {"n_layers": 2, "d_model": 3}


def build(n_layers, d_model):
    return nn.Sequential(*[nn.Linear(d_model, d_model) for _ in range(n_layers)])


def contents(**fields):
    return {"class": "A", "parameters": {}, "fitted": {}, "networks": [SETTINGS]} | fields


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, store = tmp_path_factory.mktemp("saved") / "model.safetensors", Store(RECORDS)
    fitted = to_plain(Panel([np.arange(4.0)], Size(1, (2,))), store)
    put_weights(build(**SETTINGS).double(), 0, store)
    write_archive(path, contents(fitted=fitted), store)
    return path


def test_open__what_was_written__is_there(saved):
    with open_archive(saved, RECORDS) as (document, store):
        panel = from_plain(document["fitted"], store)
        network = saved_network(build, 0, store, document["networks"][0])
        assert not store.arrays
    assert_same_array(panel.values[0], np.arange(4.0))
    assert panel.scale == Size(1, (2,))
    assert network(torch.ones(3)).dtype == torch.float32
    assert not network.training


def test_saved_network__weights__draw_no_global_random_number(saved):
    torch.manual_seed(7)
    with open_archive(saved) as (document, store):
        saved_network(build, 0, store, document["networks"][0])
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(7))


def test_write__file__may_be_read_by_all_whom_the_umask_lets(path):
    before = os.umask(0o022)
    try:
        write_archive(path, contents(), Store())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_write__that_fails__leaves_the_old_file(path):
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_archive(path, contents(fitted=float("nan")), Store())
    with pytest.raises(Exception, match="complex"):
        write_archive(path, contents(), Store(arrays={"a": np.array([1j])}))
    assert [file.read_text() for file in path.parent.iterdir()] == ["old"]


SAVES_AND_IS_KILLED = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from tsformer.archive import Store, open_archive, write_archive

path, rng = Path(sys.argv[1]), np.random.default_rng(0)

def save(number):
    document = {"class": "A", "parameters": {"number": number}, "fitted": {}, "networks": []}
    write_archive(path, document, Store(arrays={"a": np.full(1_000_000, number)}))

save(0)
start = time.perf_counter()
save(0)
seconds = time.perf_counter() - start
for number in range(1, 9):
    if not (child := os.fork()):
        while True:
            save(number)
    time.sleep(2 * seconds * rng.random())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open_archive(path) as (document, store):
        assert (store.arrays["a"] == document["parameters"]["number"]).all()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_write__killed_at_any_moment__leaves_a_whole_file(path):
    subprocess.run([sys.executable, "-c", SAVES_AND_IS_KILLED, str(path)], check=True)


def test_write__by_several_at_once__is_one_of_theirs(path):
    def save(number):
        for _ in range(5):
            write_archive(path, contents(), Store(arrays={"a": np.full(100_000, number)}))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(save, range(4)))
    with open_archive(path) as (_, store):
        assert len(set(store.arrays["a"])) == 1
    assert list(path.parent.iterdir()) == [path]


def test_check_place__folder_or_none__is_told_by_its_own_name(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Pass the path of a file in it\."):
        check_place(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"model cannot be written: there is no folder .*absent\. Make it"):
        check_place(tmp_path / "absent" / "model")


def test_open__other_files__are_told_apart(path, tmp_path):
    save_file({"a": np.zeros(2)}, path)
    with (
        pytest.raises(ValueError, match=r"cannot be loaded: its header has \[\], not what tsformer\.save writes"),
        open_archive(path),
    ):
        pass
    with pytest.raises(ValueError, match="is a folder"), open_archive(tmp_path):
        pass
    with pytest.raises(FileNotFoundError), open_archive(tmp_path / "absent"):
        pass


def test_open__any_flipped_byte_or_cut__is_refused(saved, path):
    whole = saved.read_bytes()
    for place in [*range(16), *np.random.default_rng(0).integers(len(whole), size=100).tolist(), len(whole) - 1]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=str(path)), open_archive(path):
            pass
        path.write_bytes(whole[:place])
        with pytest.raises(ValueError, match="damaged"), open_archive(path):
            pass


def restored(path):
    with open_archive(path, RECORDS) as (document, store):
        return from_plain(document["fitted"], store), saved_network(build, 0, store, document["networks"][0])


def test_open__rewritten_without_a_change__is_read(saved, path):
    restored(rewritten(saved, path, lambda document, arrays: None))


WEIGHT = "network.0.1.weight"
MADE_UP = {
    "a later version": (lambda d, a: d.update(version=2), r"it is of version 2, this tsformer reads version 1"),
    "no version": (lambda d, a: d.pop("version") and None, r"version None"),
    "an unknown field": (lambda d, a: d.update(run="rm"), r"the document has unknown or missing names: \['run'\]"),
    "a missing field": (lambda d, a: d.pop("networks") and None, r"the document has .* names: \['networks'\]"),
    "an unknown kind of value": (
        lambda d, a: d.update(fitted={"pickle": {"bytes": "gASV"}}),
        r"unknown kind of value 'pickle'",
    ),
    "other fields of a record": (
        lambda d, a: d.update(fitted={"Size": {"w": 1}}),
        r"Size has .* \['shape', 'w', 'width'\]",
    ),
    "an array used twice": (lambda d, a: d.update(fitted=[{"numbers": {"values": "array.0"}}] * 2), r"array\.0"),
    "another shape": (
        lambda d, a: a.update({WEIGHT: a[WEIGHT].reshape(9, 1)}),
        r"network\.0\.1\.weight is torch\.float32 of shape \(9, 1\), expected torch\.float32 of shape \(3, 3\)",
    ),
    "another type": (lambda d, a: a.update({WEIGHT: a[WEIGHT].astype(np.float64)}), r"is torch\.float64"),
    "a missing weight": (lambda d, a: a.pop(WEIGHT) is None or None, r"network\.0\.\* has .* names: \['1\.weight'\]"),
    "a further weight": (lambda d, a: a.update({"network.0.more": a[WEIGHT]}), r"network\.0\.\* has .*\['more'\]"),
    "a larger network": (
        lambda d, a: d["networks"][0].update(d_model=10**6),
        r"expected torch\.float32 of shape \(1000000, 1000000\)",
    ),
    "an endless range": (
        lambda d, a: d.update(fitted={"tuple": {"items": {"range": {"bounds": [0, 10**12, 1], "name": None}}}}),
        r"a range of 1000000000000 has more values than all arrays",
    ),
    "endless layers": (lambda d, a: d["networks"][0].update(n_layers=10**9), r"more weights than there are"),
    "another setting": (lambda d, a: d["networks"][0].update(hook=1), r"cannot be loaded: TypeError"),
    "a list": (lambda d, a: [d], r"cannot be loaded: AttributeError"),
}


@pytest.mark.parametrize("case", MADE_UP)
def test_open__altered_with_right_checksums__is_refused_and_told_why(case, saved, path):
    change, message = MADE_UP[case]
    with pytest.raises(ValueError, match=r"cannot be loaded: .* load what this or an earlier tsformer saved") as error:
        restored(rewritten(saved, path, change))
    assert error.match(message)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("write", [lambda trap, path: path.write_bytes(pickle.dumps(trap)), torch.save])
def test_open__pickle__is_refused_and_not_executed(write, path, tmp_path):
    mark = tmp_path / "executed"
    write(Trap(mark), path)
    with (
        pytest.raises(ValueError, match=r"is damaged, or not a file of tsformer\.save\. .* Pickles are never loaded"),
        open_archive(path),
    ):
        pass
    assert not mark.exists()
