"""Panels in pandas and torch: every form gives the arrays it stands for, ids are matched, mistakes are told."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

from tsformer.data.arrays import check_series, to_batch
from tsformer.data.panels import by_id, case_ids, read_panel

SERIES = [np.arange(8.0).reshape(2, 4), np.array([[9.0, 8.0], [np.nan, 7.0]]), np.full((2, 3), 5.0)]
IDS = ["b", "c", "a"]


def long_frame(series=SERIES, ids=IDS) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {"unique_id": id, "ds": pd.date_range("2020", periods=case.shape[1]), "u": case[0], "v": case[1]},
        )
        for id, case in zip(ids, series, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


LONG = long_frame()
FRAMES = [pd.DataFrame({"u": case[0], "v": case[1]}) for case in SERIES]
FORMS = {
    "long": LONG,
    "long, rows shuffled behind the first of each": pd.concat(
        [LONG.loc[[0, 4, 6]], LONG.drop([0, 4, 6]).sample(frac=1)]
    ),
    "long of whole numbers as times": LONG.assign(ds=LONG.groupby("unique_id").cumcount() * 7),
    "long of seconds as times": LONG.assign(ds=LONG.groupby("unique_id").cumcount() / 8),
    "long of spans as times": LONG.assign(ds=LONG["ds"] - LONG["ds"].min()),
    "long of categories": LONG.astype({"unique_id": "category"}),
    "long, ids in the index": LONG.set_index("unique_id"),
    "long, nullable": LONG.convert_dtypes(),
    "MultiIndex": LONG.set_index(["unique_id", "ds"]),
    "list of frames": FRAMES,
    "list of frames, columns in another order": [FRAMES[0], FRAMES[1][["v", "u"]], FRAMES[2]],
    "tuple of frames": tuple(FRAMES),
    "nested": pd.DataFrame(
        {"u": [pd.Series(case[0]) for case in SERIES], "v": [pd.Series(case[1]) for case in SERIES]}
    ),
    "nested arrays": pd.DataFrame({"u": [case[0] for case in SERIES], "v": [case[1] for case in SERIES]}),
    "list of tensors": [torch.from_numpy(case) for case in SERIES],
    "list of arrays": SERIES,
}
NAMELESS = ("list of tensors", "list of arrays")


def batch_of(X):
    return to_batch(check_series(read_panel(X, "X").series))


@pytest.mark.parametrize("form", FORMS)
def test_read_panel__every_form__gives_the_series_in_order_of_cases_and_time(form):
    batch, expected = batch_of(FORMS[form]), to_batch(check_series(SERIES))
    assert torch.equal(batch.x, expected.x)
    assert torch.equal(batch.observed, expected.observed)
    channels = read_panel(FORMS[form], "X").channels
    assert channels is None if form in NAMELESS else list(channels) == ["u", "v"]


@pytest.mark.filterwarnings("ignore:::sktime")
@pytest.mark.parametrize("mtype", ["numpy3D", "df-list", "pd-multiindex", "nested_univ"])
def test_read_panel__what_sktime_makes_of_its_formats__is_the_same_series(mtype):
    from sktime.datatypes import convert

    X = np.random.default_rng(0).normal(size=(4, 3, 5))
    batch = batch_of(convert(X, from_type="numpy3D", to_type=mtype, as_scitype="Panel"))
    assert torch.equal(batch.x, torch.from_numpy(X).transpose(1, 2))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24.0).reshape(4, 2, 3),
        torch.arange(24.0).reshape(4, 2, 3).bfloat16(),
        torch.arange(24).reshape(4, 2, 3),
        torch.arange(24.0).reshape(4, 2, 3).requires_grad_(),
    ],
    ids=["float32", "bfloat16", "int64", "with gradient"],
)
def test_read_panel__tensor__is_an_array(tensor):
    assert_array_equal(check_series(read_panel(tensor, "X").series), np.arange(24.0).reshape(4, 2, 3))


def test_read_panel__one_channel_in_series__needs_no_name():
    levels = LONG.set_index(["unique_id", "ds"])["u"].rename(None)
    for X in (levels, [pd.Series(case[0], name=id) for case, id in zip(SERIES, IDS, strict=True)]):
        assert torch.equal(batch_of(X).x, to_batch(check_series([case[:1] for case in SERIES])).x)


@pytest.mark.parametrize(
    "X", [np.ones((2, 3)), SERIES, [[1.0, 2.0]], pd.DataFrame(np.ones((2, 3))), pd.DataFrame(), None], ids=type
)
def test_read_panel__what_is_no_panel__stays_as_it_is(X):
    assert read_panel(X, "X").series is X


def test_read_panel__columns_of_other_names__are_found_by_them():
    named = LONG.rename(columns={"unique_id": "person", "ds": 0})
    assert list(read_panel(named, "X", id_col="person", time_col=0).channels) == ["u", "v"]
    assert list(case_ids(named, id_col="person", time_col=0)) == IDS


# Mistakes.


def changed(row, **values):
    frame = LONG.copy()
    for column, value in values.items():
        frame.loc[row, column] = value
    return frame


WRONG = {
    "no ids": (
        LONG.drop(columns="unique_id"),
        r"A long frame X must have a column of ids, 'unique_id', and one of times, 'ds'\. Got 'ds' but not "
        r"'unique_id'; name the columns with id_col= and time_col=, .* or rename the column if each row is a case\.",
    ),
    "times in the index": (LONG.set_index("ds"), r"Got 'unique_id' but not 'ds'; .*reset_index\(\)"),
    "other names, times as dates": (
        LONG.rename(columns={"unique_id": "id", "ds": "time"}).drop(columns="id"),
        r"A DataFrame X of one row for each case must hold numbers\. Got 'datetime64.*' in column 'time'; if X is a "
        r"long frame, name its columns with id_col= and time_col=\.",
    ),
    "other names, ids as text": (
        LONG.rename(columns={"unique_id": "id", "ds": "time"}),
        r"Got 'str' in column 'id'; if",
    ),
    "text as times": (LONG.astype({"ds": str}), r"The time column \('ds'\) of X should have either timestamps or"),
    "a missing time": (changed(3, ds=pd.NaT), r"of X has 1 missing times \(NaT\), the first in row 3\."),
    "a missing id": (
        changed(3, unique_id=None),
        r"The ids \('unique_id'\) have 1 missing values, the first in row 3\.",
    ),
    "a time twice": (
        changed(5, ds=pd.Timestamp("2020-01-01")),
        r"Series 'c' of X has duplicate times: 2020-01-01\. Keep one row for each",
    ),
    "fractions of a second twice": (
        LONG.assign(ds=[0.1, 0.2, 0.3, 0.4, 0.1, 0.1, 0.1, 0.2, 0.3]),
        r"Series 'c' of X has duplicate times: 0\.1\.",
    ),
    "text in a channel": (
        LONG.assign(v="x"),
        r"The channel column \('v'\) should have a numeric data type, got 'str'\. C",
    ),
    "infinity": (
        changed(7, u=np.inf),
        r"Series 'a' of X contains infinity in column 'u' at 2020-01-02\. Values must be",
    ),
    "a case of NaN": (
        changed([4, 5], u=np.nan, v=np.nan),
        r"Series 'c' of X has only NaN\. Each must have at least one value; remove it\.",
    ),
    "no channel": (LONG[["unique_id", "ds"]], r"X must have at least one channel: a column beside ids and times\."),
    "no rows": (LONG[:0], r"Found X of shape \(0, 4\) while a minimum of 1 row"),
    "a column twice": (LONG[["unique_id", "ds", "u", "u"]], r"The columns of X must be unique"),
    "three levels": (
        LONG.assign(w=0).set_index(["w", "unique_id", "ds"]),
        r"A MultiIndex of X must have the two levels \(series, time\)",
    ),
    "times first": (LONG.set_index(["ds", "unique_id"]), r"Got times first; use swaplevel\(\)"),
    "other columns in a frame": (
        [FRAMES[0], FRAMES[1][["u"]]],
        r"All frames of X must have the same columns\. Case 0 has \['u', 'v'\], case 1 has \['u'\]\.",
    ),
    "an empty frame": ([FRAMES[0], FRAMES[1][:0]], r"must have rows and unique columns\. Case 1 has not\."),
    "an array among frames": (
        [FRAMES[0], SERIES[1]],
        r"must be frames if one is\. Case 1 is <class 'numpy\.ndarray'>\.",
    ),
    "a frame out of order": ([FRAMES[0], FRAMES[1][::-1]], r"The rows of X\[1\] must ascend in time, each time once\."),
    "text in a frame": (
        [FRAMES[0], FRAMES[1].astype(str)],
        r"The X\[1\] column \('u'\) should have a numeric data type",
    ),
    "cells of other lengths": (
        pd.DataFrame({"u": [np.ones(2), np.ones(3)], "v": [np.ones(2), np.ones(4)]}),
        r"The channels of a case must be of one length; pad with NaN\. Got \{'u': 3, 'v': 4\} in case 1 of X\.",
    ),
    "a number among cells": (
        pd.DataFrame({"u": [np.ones(2), np.ones(3)], "v": [np.ones(2), 1.0]}),
        r"Each cell of a nested frame X must be a Series or an array of one dimension\. Column 'v' of case 1 is",
    ),
    "a cell out of order": (
        pd.DataFrame({"u": [pd.Series([1.0, 2.0])[::-1]]}),
        r"Column 'u' of case 0 of X must ascend in time",
    ),
}


@pytest.mark.parametrize("problem", WRONG)
def test_read_panel__wrong_form__says_what_is_wrong_and_where(problem):
    X, message = WRONG[problem]
    with pytest.raises(ValueError, match=message):
        read_panel(X, "X")


def test_read_panel__name__is_used_in_messages():
    with pytest.raises(ValueError, match=r"Series 'a' of X_val contains infinity"):
        read_panel(WRONG["infinity"][0], "X_val")


# Labels by id.


@pytest.mark.parametrize("form", ["long", "long, ids in the index", "long of categories", "MultiIndex"])
def test_case_ids__frames_with_ids__come_in_the_order_of_their_first_rows(form):
    assert list(case_ids(FORMS[form])) == IDS


def test_case_ids__other_forms__have_none():
    for X in (FRAMES, SERIES, FORMS["nested"], np.ones((2, 3)), pd.DataFrame(np.ones((2, 3)))):
        assert case_ids(X) is None


def test_by_id__series__is_brought_into_the_order_of_the_ids():
    y = pd.Series([1, 2, 3], index=["a", "b", "c"])
    assert by_id(y, pd.Index(IDS), "y").tolist() == [2, 3, 1]
    assert by_id(y, None, "y") is y
    assert by_id(None, pd.Index(IDS), "y") is None


def test_by_id__frame_of_one_column__is_matched_by_its_index_too():
    y = pd.DataFrame({"label": [1, 2, 3]}, index=["a", "b", "c"])
    assert by_id(y, pd.Index(IDS), "y")["label"].tolist() == [2, 3, 1]
    assert by_id(y[::-1], pd.Index(["a", "b", "c"]), "y")["label"].tolist() == [1, 2, 3]


def test_by_id__dict__says_to_make_a_series():
    with pytest.raises(ValueError, match=r"the ids of X as its index\. Got a dict; pass pd\.Series\(y\)\."):
        by_id({"a": 1, "b": 2, "c": 3}, pd.Index(["a", "b", "c"]), "y")


def test_by_id__array__is_taken_only_where_its_order_is_known():
    y = np.array([1, 2, 3])
    assert by_id(y, pd.Index(["a", "b", "c"]), "y") is y
    with pytest.raises(
        ValueError, match=r"y must be a Series with the ids of X as its index, as these do not ascend in"
    ):
        by_id(y, pd.Index(IDS), "y")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (["a", "b"], r"The index of y must hold the ids of X, each once and no others\. Got none for 'c'\."),
        (["a", "b", "c", "d"], r"Got further ones for 'd'\."),
        ([0, 1, 2], r"Got none for 'b', 'c', 'a', and further ones for 0, 1, 2\."),
        (
            ["a", "b", "c", "a"],
            r"y must have one value for each id of X\. Got several for 'a'; take one, e\.g\. y\.groupby",
        ),
    ],
)
def test_by_id__other_ids__are_named(index, message):
    with pytest.raises(ValueError, match=message):
        by_id(pd.Series(1, index=index), pd.Index(IDS), "y")
