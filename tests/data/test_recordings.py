"""Series of any form as recordings, and values a time point back in that form."""

import re
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from layouts import FORMS, TIMES, frame_in
from numpy.testing import assert_array_equal

from tsformer.data.frames import Columns
from tsformer.data.recordings import as_fitted, check_known, in_form, read_recordings

COLUMNS = Columns("unique_id", "ds")
DAYS = pd.date_range("2024-01-01", periods=30, freq="D")


def read(X, freq=None, columns=COLUMNS):
    return read_recordings(X, columns, freq)


def back(X, freq=None):
    """The first channel of each series, in the form of X."""
    recordings = read(X, freq)
    return in_form(recordings, [rows[:, 0] for rows in recordings.values], "score")


def long_frame() -> pd.DataFrame:
    ids = np.repeat(["b", "a"], 30)
    return pd.DataFrame({"unique_id": ids, "ds": [*DAYS, *DAYS], "u": np.arange(60.0), "v": -np.arange(60.0)})


# In


@pytest.mark.parametrize(
    "X",
    [
        np.arange(30),
        np.arange(30.0)[None],
        np.arange(30.0)[None, None],
        [np.arange(30)],
        list(range(30)),
        torch.arange(30.0),
        np.arange(30, dtype=np.float16),
        pd.Series(np.arange(30), DAYS),
        pd.Series(np.arange(30), dtype="Int64"),
        pd.DataFrame({"u": np.arange(30)}, DAYS),
        [pd.Series(np.arange(30))],
    ],
    ids=lambda X: type(X).__name__,
)
def test_read__one_series_in_any_form__has_its_values(X):
    (rows,) = read(X).values
    assert rows.dtype == np.float64
    assert_array_equal(rows, np.arange(30.0)[:, None])


@pytest.mark.parametrize("X", [np.ma.masked_equal([1.0, 2.0, 3.0], 2.0), np.ma.masked_equal([1, 2, 3], 2)])
def test_read__masked_values__are_missing(X):
    assert_array_equal(read(X).values[0][:, 0], [1.0, np.nan, 3.0])


def test_read__several_series__may_differ_in_length_and_have_names_and_times():
    arrays = read([np.ones((2, 30)), np.ones((2, 20))])
    assert [rows.shape for rows in arrays.values] == [(30, 2), (20, 2)]
    assert (arrays.channels, arrays.ids) == ([0, 1], [0, 1])
    assert list(arrays.times(1)) == list(range(20))
    frame = read(long_frame()[:50])
    assert [rows.shape for rows in frame.values] == [(30, 2), (20, 2)]
    assert (frame.channels, frame.ids) == (["u", "v"], ["b", "a"])
    assert frame.times(1).equals(pd.DatetimeIndex(DAYS[:20], name="ds"))


def test_read__frame_that_was_given__stays_as_it_is():
    long = long_frame()
    back(long.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(long, long_frame())


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((2, 2, 2, 2)), r"X must be an array of shape .* Got shape \(2, 2, 2, 2\)"),
        (np.ones((0, 3, 40)), r"Got shape \(0, 3, 40\)"),
        ([], r"Got shape \(0,\)"),
        (None, r"Got shape \(\)"),
        ([np.ones(5), np.array([])], r"X\[1\] must be an array of shape"),
        ([np.ones((2, 5)), np.ones(5)], r"must have as many channels each\. Got \[1, 2\] channels"),
        (np.array(["a"]), "X must hold numbers"),
        (np.ones(3) * 1j, "X must hold numbers. Got complex128"),
        ([1.0, np.inf], r"X contains infinity in channel 0 at time point 1\. Values must be finite, or NaN"),
        (pd.Series([1.0, np.inf], DAYS[:2]), "contains infinity at 2024-01-02"),
        (
            long_frame().assign(label="x"),
            r"The column \('label'\) should have a numeric .* or name ids .* time_col=\.$",
        ),
        (long_frame()[["unique_id", "ds"]], r"X has no channels: no columns but \['unique_id', 'ds'\]"),
        (long_frame().drop(5), r"Series 'b' has a gap: .* Pass freq='D' to insert absent times as missing values\.$"),
        (pd.concat([long_frame()] * 2), "Series 'b' has duplicate times"),
        (pd.Series(1.0, [0.5, 0.75]), "The index of X should have either timestamps or integers"),
    ],
)
def test_read__what_is_no_series__is_told_in_words_of_series(X, message):
    with pytest.raises(ValueError, match=message) as error:
        read(X)
    assert "target" not in str(error.value)


@pytest.mark.parametrize("columns", ["u", ["u", "v"]])
def test_read__frames_and_series_with_times_in_a_list__are_refused_with_the_way_out(columns):
    listed = [pd.DataFrame({"u": np.arange(30.0), "v": 1.0}, DAYS)[columns]] * 2
    with pytest.raises(TypeError, match=r"X\[0\] must be an array .*pd\.concat\(X, keys=range\(len\(X\)\)\)"):
        read(listed)
    assert read(pd.concat(listed, keys=range(2))).ids == [0, 1]


@pytest.mark.parametrize(
    ("expected", "times", "is_refused"),
    [
        (pd.offsets.Day(), pd.date_range("2025-01-01", periods=30, freq="h"), True),
        (pd.offsets.Day(7), pd.date_range("2025-01-01", periods=30, freq="W"), False),
        (pd.offsets.MonthEnd(), pd.period_range("2025-01", periods=30, freq="D"), True),
        (pd.offsets.BDay(), pd.date_range("2025-01-06", periods=5, freq="D"), False),  # Monday to Friday
        (1, pd.RangeIndex(0, 60, 2), True),
        (1, pd.date_range("2025-01-01", periods=30, freq="h"), False),
    ],
)
def test_read__times_of_another_step_than_expected__are_refused(expected, times, is_refused):
    ways = pytest.raises(ValueError, match="must have the frequency that fit saw") if is_refused else nullcontext()
    with ways:
        read_recordings(pd.Series(np.arange(float(len(times))), times), Columns(), None, expected=expected)


@pytest.mark.parametrize(
    ("X", "way"),
    [
        (np.ones((30, 2)), r"30 channels, 2 long\. If time comes first, pass X\.T\.$"),
        (np.ones((5, 30, 2)), r"30 channels, 2 long\. If time comes first, pass X\.swapaxes\(1, 2\)\.$"),
        ([np.ones((30, 2))] * 3, r"30 channels, 2 long\. If time comes first, pass \[x\.T for x in X\]\.$"),
    ],
)
def test_turned__more_channels_than_time_points__tells_the_way_out(X, way):
    assert re.search(way, read(X).turned)
    with pytest.raises(ValueError, match=rf"must have the channels that fit saw, \[0, 1\]\. Got .*{way}"):
        as_fitted(read(X), [0, 1], had_names=False)


@pytest.mark.parametrize("X", [np.ones((2, 30)), np.ones((5, 2, 30)), np.ones((3, 3)), np.ones(3), long_frame()])
def test_turned__as_many_time_points_as_channels_or_a_frame__is_empty(X):
    assert read(X).turned == ""


# And back


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", TIMES)
def test_in_form__frame_of_any_form_and_times__has_its_rows_in_their_order(form, kind):
    values = np.random.default_rng(0).normal(size=(2, 40, 2))
    frame = frame_in(form, TIMES[kind], values)
    for rows in (frame, frame.sample(frac=1, random_state=0)):
        result = back(rows)
        first = rows if isinstance(rows, pd.Series) else rows["y" if form.startswith("long") else "a"]
        assert result.index.equals(rows.index)
        if form.startswith("long"):
            pd.testing.assert_frame_equal(result.drop(columns="score"), rows.drop(columns="y"))
            result = result["score"]
        assert_array_equal(result, first)


@pytest.mark.parametrize(
    "change",
    [
        lambda long: long.astype({"unique_id": "category"}),
        lambda long: long.assign(ds=long["ds"].dt.strftime("%Y-%m-%d")),
        lambda long: long.set_index("unique_id"),
        lambda long: long.assign(unique_id=np.repeat([7, 3], 30)),
        lambda long: long.convert_dtypes(),
    ],
    ids=["category", "text", "index", "integers", "nullable"],
)
def test_in_form__long_frame_of_other_types__keeps_them(change):
    long = change(long_frame())
    result = back(long)
    assert_array_equal(result["score"], np.arange(60.0))
    pd.testing.assert_frame_equal(result.drop(columns="score"), long.drop(columns=["u", "v"]))


def test_in_form__times_that_were_inserted__have_no_row():
    long = long_frame().drop([5, 6, 40])
    result = back(long, "D")
    assert result.index.equals(long.index)
    assert_array_equal(result["score"], long["u"])
    assert [len(rows) for rows in read(long, "D").values] == [30, 30]


# Channels


def test_as_fitted__names_in_another_order__are_put_in_that_of_fit():
    recordings = as_fitted(read(long_frame()[["v", "ds", "u", "unique_id"]]), ["u", "v"], had_names=True)
    assert recordings.channels == ["u", "v"]
    assert_array_equal(recordings.values[0], long_frame()[["u", "v"]][:30])


@pytest.mark.parametrize(("fitted", "X"), [([0, 1], long_frame()), (["u", "v"], np.ones((2, 30)))])
def test_as_fitted__no_names_on_one_side__goes_by_place(fitted, X):
    assert as_fitted(read(X), fitted, had_names=fitted == ["u", "v"]).values[0].shape == (30, 2)


@pytest.mark.parametrize("fitted", [["u"], ["u", "w"], ["u", "v", "w"]])
def test_as_fitted__others__are_refused(fitted):
    with pytest.raises(ValueError, match=r"X must have the channels that fit saw, .*Got \['u', 'v'\]"):
        as_fitted(read(long_frame()), fitted, had_names=True)


def test_check_known__a_channel_in_one_series_of_two__is_enough():
    long = long_frame()
    long.loc[:29, "v"] = np.nan
    check_known(read(long))
    with pytest.raises(ValueError, match="Channel 'v' of X has no value"):
        check_known(read(long.assign(v=np.nan)))
