"""Cases: every form gives the series it stands for, ids are matched, and what is wrong is told where it is."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from numpy.testing import assert_array_equal

from tsformer.data import batch as batch_module
from tsformer.data import cases as cases_module
from tsformer.data.batch import Batch
from tsformer.data.cases import as_channels, by_id, check_n_channels, read_cases

CASES = np.arange(24.0).reshape(4, 2, 3)  # 4 cases, 2 channels, 3 time points


def batch_of(X):
    data = read_cases(X).data
    return data.select(torch.arange(len(data)))


# Arrays.


def test_read_cases__three_dimensions__puts_time_before_channels():
    batch = batch_of(CASES)
    assert batch.x.shape == batch.observed.shape == (4, 3, 2)
    assert all(batch.x[i, t, c] == CASES[i, c, t] for i in range(4) for c in range(2) for t in range(3))
    assert batch.observed.all()
    assert (batch.y, batch.weight) == (None, None)


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, pd.DataFrame, list, tuple])
def test_read_cases__two_dimensions_in_any_form__is_one_channel(form):
    batch = batch_of(form(CASES[:, 0]))
    assert torch.equal(batch.x, torch.from_numpy(CASES[:, 0])[:, :, None])
    assert read_cases(form(CASES[:, 0])).n_channels == 1


@pytest.mark.parametrize("form", [list, tuple, lambda series: np.array([*series, None], dtype=object)[:-1]])
def test_read_cases__unequal_lengths__are_padded_at_the_end_and_not_observed(form):
    X = form([np.ones((2, 3)), np.full((2, 1), 7.0)])
    batch = batch_of(X)
    assert batch.x[1].tolist() == [[7.0, 7.0], [0.0, 0.0], [0.0, 0.0]]
    assert batch.observed[1].tolist() == [[True, True], [False, False], [False, False]]
    assert batch.observed[0].all()
    assert read_cases(X).n_channels == 2


def test_read_cases__one_dimensional_items_among_two_dimensional__are_one_channel():
    batch = batch_of([np.array([1.0, 2.0]), np.array([[3.0, 4.0, 5.0]])])
    assert batch.x[..., 0].tolist() == [[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]]


def test_read_cases__nan__hides_one_channel_at_one_time():
    X = CASES.copy()
    X[1, 0, 2] = np.nan
    batch = batch_of(X)
    assert torch.equal(batch.observed, torch.from_numpy(~np.isnan(X)).transpose(1, 2))
    assert batch.x[1, 2].tolist() == [0.0, X[1, 1, 2]]
    assert batch.x.isfinite().all()


def test_read_cases__missing_values_of_a_nullable_frame__are_hidden():
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [3.0, 4.0]})
    assert batch_of(frame).observed[..., 0].tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("float32", "float32"), ("float64", "float64"), ("float16", "float64"), ("int64", "float64"), ("bool", "float64")],
)
def test_read_cases__any_number_type__keeps_float32_and_makes_float64_of_the_rest(given, kept):
    X = np.ones((2, 3), dtype=given)
    assert batch_of(X).x.dtype == batch_of([X[0], X[1, :2]]).x.dtype == getattr(torch, kept)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_read_cases__arrays_of_the_user__are_neither_changed_nor_shared(n_channels):
    X = CASES[:, :n_channels].copy()
    X[0, 0, 0] = np.nan
    X.flags.writeable = False
    batch = batch_of(X)
    batch.x.fill_(-1.0)
    assert np.isnan(X[0, 0, 0])
    np.testing.assert_array_equal(X[1:], CASES[1:, :n_channels])


def test_read_cases__reversed_view__is_taken():
    assert batch_of(CASES[:, :, ::-1]).x[0, :, 0].tolist() == CASES[0, 0, ::-1].tolist()


NAN = np.nan
WRONG_ARRAYS = {
    "infinity in a list": ([np.ones(2), np.array([1.0, -np.inf])], r"Input X\[1\] contains infinity"),
    "text": (np.array([["a", "b"]]), r"arrays of bytes/strings"),
    "text in a list": ([np.array(["a", "b"])], r"arrays of bytes/strings"),
    "text among objects": (np.array([["a", 1.0]], dtype=object), r"could not convert string to float"),
    "complex": (np.ones((2, 3), dtype=complex), r"Complex data not supported"),
    "complex in a list": ([np.ones(3, dtype=complex)], r"Complex data not supported"),
    "no cases": (np.ones((0, 2, 3)), r"Found array with 0 sample\(s\) \(shape=\(0, 2, 3\)\)"),
    "no time points": (np.ones((2, 3, 0)), r"Found array with 0 time point\(s\) \(shape=\(2, 3, 0\)\)"),
    "no channels": (np.ones((2, 0, 3)), r"0 channel\(s\) \(shape=\(2, 0, 3\)\)"),
    "no time points of one channel": (np.ones((2, 0)), r"Found array with 0 feature\(s\) \(shape=\(2, 0\)\)"),
    "empty list": ([], r"Found 0 sample\(s\) in the list X while a minimum of 1 is required\."),
    "one dimension": (np.ones(3), r"Expected 2D array, got 1D array.* a single series is X\.reshape\(1, 1, -1\)"),
    "nothing": (None, r"Expected 2D array, got scalar.* a list of arrays or a DataFrame\. Got NoneType\."),
    "a path": ("X.csv", r"Expected 2D array, got scalar.* Got str\."),
    "infinity": (np.array([[1.0, 2.0], [1.0, np.inf]]), r"Input X contains infinity in case 1\."),
    "four dimensions": (
        np.ones((2, 3, 4, 5)),
        r"X must have shape \(n_cases, n_channels, n_timepoints\) or \(n_cases, n_timepoints\)\. Got an array of 4 "
        r"dimensions, \(2, 3, 4, 5\)\.",
    ),
    "three dimensions in a list": (
        [np.ones(3), np.ones((1, 2, 3))],
        r"Each series of a list X must have shape .* Case 1 has shape \(1, 2, 3\)",
    ),
    "empty series in a list": ([np.ones(3), np.ones((1, 0))], r"at least one time point\. Case 1 has shape \(1, 0\)"),
    "only NaN": (
        np.array([[1.0, NAN], [NAN, NAN]]),
        r"Each case of X must have at least one value\. Case 1 has only NaN",
    ),
    "only NaN in a list": ([np.ones(3), np.full((1, 2), NAN)], r"Case 1 has only NaN; remove it"),
    "mixed channels": (
        [np.ones((2, 5)), np.ones((3, 4))],
        r"same number of channels\. Case 0 has 2 \(shape \(2, 5\)\), case 1 has 3 \(shape \(3, 4\)\)\.$",
    ),
    "channels last": (
        [np.ones((5, 3)), np.ones((4, 3))],
        r"Case 0 has 5 .*, case 1 has 4 .* If the first axis is time, transpose each: \[series\.T for series in X\]\.$",
    ),
}


@pytest.mark.parametrize("problem", WRONG_ARRAYS)
def test_read_cases__wrong_array__says_what_is_wrong_and_where(problem):
    X, message = WRONG_ARRAYS[problem]
    with pytest.raises(ValueError, match=message):
        read_cases(X)


def test_read_cases__name__of_arrays__is_used_in_messages():
    for X in (np.array([[np.inf]]), np.array([[NAN]]), np.ones((1, 1, 1, 1)), [np.ones((1, 0))]):
        with pytest.raises(ValueError, match="X_val"):
            read_cases(X, "X_val")


TRANSPOSE = (
    " If its axes are (n_cases, n_timepoints, n_channels), pass X.transpose(0, 2, 1), or of a list "
    "[series.T for series in X]."
)


@pytest.mark.parametrize(
    ("X", "expected", "shape", "hint"),
    [
        (np.ones((2, 5, 3)), 3, (2, 5, 3), TRANSPOSE),
        (np.ones((2, 5)), 2, (2, 5), " If it is a single case, pass X[None]."),
        (np.ones((2, 5, 4)), 3, (2, 5, 4), ""),
        ([np.ones((5, 3))], 3, (1, 5, 3), TRANSPOSE),
        ([np.ones((5, 3)), np.ones((5, 2))], 3, (2, 5, 3), ""),
    ],
)
def test_check_n_channels__other_channels__names_both_and_the_likely_remedy(X, expected, shape, hint):
    cases = read_cases(X)
    message = (
        f"X has {cases.n_channels} channels, but Model is expecting {expected} channels as input. Got shape {shape}; "
        f"expected (n_cases, {expected}, n_timepoints).{hint}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_n_channels(cases, expected, "X", "Model")


def test_check_n_channels__as_expected__is_silent():
    for X in (CASES, [CASES[0], CASES[1, :, :1]]):
        check_n_channels(read_cases(X), 2, "X", "Model")


def test_read_cases__masked_array__hides_what_is_masked():
    values = np.ma.masked_array(np.arange(6.0).reshape(2, 3), mask=[[False, True, False], [False] * 3])
    assert (~batch_of(values).observed[..., 0]).tolist() == [[False, True, False], [False] * 3]


def test_read_cases__dates__are_refused():
    with pytest.raises(ValueError, match=r"X must hold numbers\. Got datetime64"):
        read_cases(np.array([["2020-01-01", "2020-01-02"]], dtype="datetime64[ns]"))


def test_read_cases__lists_of_unequal_length__names_the_remedy():
    with pytest.raises(ValueError, match=r"pass \[numpy\.asarray\(series\) for series in X\]"):
        read_cases([[1.0, 2.0], [1.0, 2.0, 3.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_read_cases__array_on_disk__is_neither_copied_nor_changed_and_read_as_one_in_memory(dtype, tmp_path):
    X = (100.0 * np.random.default_rng(0).normal(size=(6, 2, 5))).astype(dtype)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype, mode="r", shape=X.shape)
    data, index = read_cases(mapped).data, torch.tensor([4, 1])
    assert np.shares_memory(data.series, mapped)
    assert np.shares_memory(data.subset(np.array([3, 2])).series, mapped)
    batch, expected = (each.select(index) for each in (data, read_cases(X).data))
    assert torch.equal(batch.x, expected.x)
    batch.x.fill_(7.0)
    assert_array_equal(mapped, X)


@pytest.mark.parametrize("form", [np.asarray, list])
def test_stored_cases__subset__is_selected_by_its_own_numbers_without_padding_that_none_needs(form):
    X = np.arange(60.0).reshape(5, 2, 6)
    X[[1, 3], :, 4:] = np.nan
    data = replace(read_cases(form(X)).data, y=torch.arange(5), weight=torch.arange(5.0))
    subset = data.subset(np.array([3, 1, 4])).subset(np.array([1, 0]))
    assert (len(subset), subset.n_timepoints, subset.n_channels) == (2, 4, 2)
    batch = subset.select(torch.tensor([1, 0]))
    assert_array_equal(batch.x, X[[3, 1], :, :4].transpose(0, 2, 1))
    assert (batch.y.tolist(), batch.weight.tolist()) == ([3, 1], [3.0, 1.0])


@pytest.mark.parametrize("form", [np.asarray, list])
def test_stored_cases__chunks__hold_all_cases_in_order(form, monkeypatch):
    monkeypatch.setattr(batch_module, "VALUES_AT_ONCE", 7)
    parts = list(read_cases(form(CASES)).data.chunks())
    assert len(parts) == 4
    assert_array_equal(torch.cat([x for x, _ in parts]), CASES.transpose(0, 2, 1))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_read_cases__wrong_case_behind_the_first_chunk__is_numbered_among_all(wrong, monkeypatch):
    monkeypatch.setattr(cases_module, "VALUES_AT_ONCE", 7)
    X = CASES.copy()
    X[2] = wrong
    with pytest.raises(ValueError, match=r"[Cc]ase 2"):
        read_cases(X)


@pytest.mark.parametrize("form", [np.asarray, list])
def test_as_channels__channels_with_a_value__become_cases(form):
    X = CASES.copy()
    X[1, 0] = np.nan
    channels = as_channels(read_cases(form(X)).data, "X")
    assert (len(channels), channels.n_channels) == (7, 1)
    values = channels.select(torch.arange(7)).x[..., 0]
    assert_array_equal(values, np.delete(X.reshape(8, 3), 2, axis=0))


# Frames and tensors.

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
LISTS = pd.ArrowDtype(pyarrow.list_(pyarrow.float64()))
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
    "nested lists": pd.DataFrame({"u": [[*case[0]] for case in SERIES], "v": [tuple(case[1]) for case in SERIES]}),
    "nested tensors": pd.DataFrame({"u": [*map(torch.tensor, (c[0] for c in SERIES))], "v": [c[1] for c in SERIES]}),
    "nested lists of pyarrow": pd.DataFrame(
        {name: pd.Series([case[i].tolist() for case in SERIES]).astype(LISTS) for i, name in enumerate("uv")}
    ),
    "grouped into lists": LONG.drop(columns="ds").groupby("unique_id", sort=False).agg(list),
    "Series of frames": pd.Series(FRAMES, index=IDS),
    "array of frames": pd.Series(FRAMES).to_numpy(),
    "list of tensors": [torch.from_numpy(case) for case in SERIES],
    "list of arrays": SERIES,
    "Series of arrays": pd.Series(SERIES),
    "Series of tensors": pd.Series([torch.from_numpy(case) for case in SERIES]),
    "Series of lists": pd.Series([case.tolist() for case in SERIES]),
    "array of lists": pd.Series([case.tolist() for case in SERIES]).to_numpy(),
}
NAMELESS = (
    "list of tensors",
    "list of arrays",
    *(f"Series of {n}s" for n in ("array", "tensor", "list")),
    "array of lists",
)
EXPECTED = Batch(
    torch.tensor(
        [
            [[0.0, 4.0], [1.0, 5.0], [2.0, 6.0], [3.0, 7.0]],
            [[9.0, 0.0], [8.0, 7.0], [0.0, 0.0], [0.0, 0.0]],
            [[5.0, 5.0], [5.0, 5.0], [5.0, 5.0], [0.0, 0.0]],
        ],
        dtype=torch.float64,
    ),
    torch.tensor([[[1, 1]] * 4, [[1, 0], [1, 1], [0, 0], [0, 0]], [[1, 1]] * 3 + [[0, 0]]], dtype=torch.bool),
)


@pytest.mark.parametrize("form", FORMS)
def test_read_cases__every_form__gives_the_series_in_order_of_cases_and_time(form):
    cases = read_cases(FORMS[form])
    batch = cases.data.select(torch.arange(3))
    assert torch.equal(batch.x, EXPECTED.x)
    assert torch.equal(batch.observed, EXPECTED.observed)
    assert cases.columns is None if form in NAMELESS else list(cases.columns) == ["u", "v"]
    assert (len(cases), cases.n_channels, cases.is_table) == (3, 2, False)


def test_read_cases__cells_of_an_array__are_channels():
    cells = np.empty((3, 2), dtype=object)
    for case, series in enumerate(SERIES):
        cells[case, 0], cells[case, 1] = series
    assert torch.equal(batch_of(cells).x, EXPECTED.x)


@pytest.mark.parametrize("of_one", ["lists", "arrays"])
def test_read_cases__series_of_one_channel_each__has_it(of_one):
    series = [case[0] for case in SERIES] if of_one == "arrays" else [case[0].tolist() for case in SERIES]
    assert torch.equal(batch_of(pd.Series(series)).x, EXPECTED.x[..., :1])


@pytest.mark.parametrize("levels", [("channel", "time"), ("time", "channel")])
def test_read_cases__columns_of_two_levels__are_told_to_be_stacked(levels):
    long = LONG.assign(ds=LONG.groupby("unique_id").cumcount())
    table = long.pivot(index="unique_id", columns="ds", values=["u", "v"])
    level = 1
    if levels[0] == "time":
        table, level = table.swaplevel(axis=1), 0
    with pytest.raises(ValueError, match=r"Got columns of 2 levels, .*stack\(level=1\), or level=0 where times"):
        read_cases(table)
    stacked = table.stack(level=level, **({} if pd.__version__ >= "3" else {"future_stack": True}))
    assert torch.equal(batch_of(stacked).x, EXPECTED.x[[2, 0, 1]])


@pytest.mark.filterwarnings("ignore:::sktime")
@pytest.mark.parametrize("mtype", ["numpy3D", "df-list", "pd-multiindex", "nested_univ"])
def test_read_cases__what_sktime_makes_of_its_formats__is_the_same_series(mtype):
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
def test_read_cases__tensor__is_an_array(tensor):
    assert_array_equal(batch_of(tensor).x.transpose(1, 2), np.arange(24.0).reshape(4, 2, 3))


def test_read_cases__one_channel_in_series__needs_no_name():
    levels = LONG.set_index(["unique_id", "ds"])["u"].rename(None)
    for X in (levels, [pd.Series(case[0], name=id) for case, id in zip(SERIES, IDS, strict=True)]):
        assert torch.equal(batch_of(X).x, EXPECTED.x[..., :1])


@pytest.mark.parametrize(
    ("X", "is_table", "columns"),
    [
        (np.ones((2, 3)), True, None),
        ([[1.0, 2.0]], True, None),
        (pd.DataFrame(np.ones((2, 3)), columns=list("abc")), True, ["a", "b", "c"]),
        (np.ones((2, 1, 3)), False, None),
        (SERIES, False, None),
        (LONG, False, ["u", "v"]),
    ],
    ids=["array", "lists", "frame", "one channel", "list of arrays", "long"],
)
def test_cases__header__is_what_columns_or_channels_a_later_X_must_have(X, is_table, columns):
    cases = read_cases(X)
    assert cases.is_table is is_table
    assert (cases.columns if columns is None else list(cases.columns)) == columns
    width = len(columns) if columns else cases.data.n_timepoints if is_table else cases.n_channels
    assert cases.header.shape == (0, width)
    assert list(getattr(cases.header, "columns", ())) == (columns or [])


def test_read_cases__frames_with_ids__keep_the_times_of_each_case():
    cases = read_cases(FORMS["long, rows shuffled behind the first of each"])
    assert [list(times.day) for times in cases.times] == [[1, 2, 3, 4], [1, 2], [1, 2, 3]]
    assert read_cases(FRAMES).times is None


def test_read_cases__ten_thousand_ids_of_float32__are_float64_like_all_frames_with_ids():
    ids = np.repeat(np.arange(10_000)[::-1], 2)
    frame = pd.DataFrame({"unique_id": ids, "ds": np.tile([0, 1], 10_000), "u": ids.astype(np.float32)})
    assert batch_of(frame).x.dtype == torch.float64
    assert_array_equal(batch_of(frame).x[:, 1, 0], read_cases(frame).ids)


def test_read_cases__columns_of_other_names__are_found_by_them():
    named = LONG.rename(columns={"unique_id": "person", "ds": 0})
    cases = read_cases(named, id_col="person", time_col=0)
    assert list(cases.columns) == ["u", "v"]
    assert list(cases.ids) == IDS


# Mistakes.


def changed(row, **values):
    frame = LONG.copy()
    for column, value in values.items():
        frame.loc[row, column] = value
    return frame


WRONG_FRAMES = {
    "no ids": (
        LONG.drop(columns="unique_id"),
        r"A long frame X must have a column of ids, 'unique_id', and one of times, 'ds'\. Got 'ds' but not "
        r"'unique_id' among \['ds', 'u', 'v'\]; name the columns with id_col= and time_col=, .* if each row is a case",
    ),
    "times in the index": (
        LONG.set_index("ds"),
        r"Got 'unique_id' but not 'ds' among \['unique_id', 'u', 'v'\]; .*reset_index\(\)",
    ),
    "other names, times as dates": (
        LONG.rename(columns={"unique_id": "id", "ds": "time"}).drop(columns="id"),
        r"A DataFrame X of one row for each case must hold numbers\. Got 'datetime64.*' in column 'time'; if X is a "
        r"long frame, name its columns with id_col= and time_col=\.",
    ),
    "other names, ids as text": (
        LONG.rename(columns={"unique_id": "id", "ds": "time"}),
        r"Got 'str' in column 'id'; if",
    ),
    "text as times": (LONG.assign(ds="May"), r"The time column \('ds'\) of X should have either timestamps or"),
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
        r"The channel column \('v'\) should have a numeric data type, got 'str'\. C.*out with drop\(columns='v'\)",
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
    "times first": (
        LONG.set_index(["ds", "unique_id"]),
        r"Got \['ds', 'unique_id'\].* use swaplevel\(\) where times come first",
    ),
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
        r"a nested frame X must be a Series, an array or a list of one dimension\. Column 'v' of case 1 is",
    ),
    "a cell out of order": (
        pd.DataFrame({"u": [pd.Series([1.0, 2.0])[::-1]]}),
        r"Column 'u' of case 0 of X must ascend in time",
    ),
}


@pytest.mark.parametrize("problem", WRONG_FRAMES)
def test_read_cases__wrong_frame__says_what_is_wrong_and_where(problem):
    X, message = WRONG_FRAMES[problem]
    with pytest.raises(ValueError, match=message):
        read_cases(X)


def test_read_cases__name__of_a_frame__is_used_in_messages():
    with pytest.raises(ValueError, match=r"Series 'a' of X_val contains infinity"):
        read_cases(WRONG_FRAMES["infinity"][0], "X_val")


# Labels by id.


@pytest.mark.parametrize("form", ["long", "long, ids in the index", "long of categories", "MultiIndex"])
def test_read_cases__frames_with_ids__come_in_the_order_of_their_first_rows(form):
    ids = read_cases(FORMS[form]).ids
    assert list(ids) == IDS
    assert not isinstance(ids, pd.CategoricalIndex)


def test_read_cases__masked_ids__come_out_plain():
    ids = read_cases(LONG.assign(unique_id=LONG["unique_id"].map({"b": 7, "c": 3, "a": 5}).astype("Int64"))).ids
    assert (ids.tolist(), ids.dtype, ids.name) == ([7, 3, 5], np.int64, "unique_id")


def test_read_cases__other_forms__have_no_ids():
    for X in (FRAMES, SERIES, FORMS["nested"], np.ones((2, 3)), pd.DataFrame(np.ones((2, 3)))):
        assert read_cases(X).ids is None


UNSORTED = read_cases(LONG)
SORTED = read_cases(LONG.sort_values(["unique_id", "ds"]))


def test_by_id__series__is_brought_into_the_order_of_the_ids():
    y = pd.Series([1, 2, 3], index=["a", "b", "c"])
    assert by_id(y, UNSORTED, "y").tolist() == [2, 3, 1]
    assert by_id(y, read_cases(FRAMES), "y") is y
    assert by_id(None, UNSORTED, "y") is None


def test_by_id__frame_of_one_column__is_matched_by_its_index_too():
    y = pd.DataFrame({"label": [1, 2, 3]}, index=["a", "b", "c"])
    assert by_id(y, UNSORTED, "y")["label"].tolist() == [2, 3, 1]
    assert by_id(y[::-1], SORTED, "y")["label"].tolist() == [1, 2, 3]


def test_by_id__dict__says_to_make_a_series():
    with pytest.raises(ValueError, match=r"the ids of X as its index\. Got a dict; pass pd\.Series\(y\)\."):
        by_id({"a": 1, "b": 2, "c": 3}, UNSORTED, "y")


def test_by_id__array__is_taken_only_where_its_order_is_known():
    y = np.array([1, 2, 3])
    assert by_id(y, SORTED, "y") is y
    with pytest.raises(
        ValueError, match=r"y must be a Series with the ids of X as its index, as these do not ascend in"
    ):
        by_id(y, UNSORTED, "y")


@pytest.mark.parametrize("values", [np.arange(9), pd.Series(np.arange(9))])
def test_by_id__values_of_rows__are_told_to_be_one_for_each_id(values):
    with pytest.raises(ValueError, match=r"one value for each of the 3 ids of X\. Got 9, one for each row; take one"):
        by_id(values, UNSORTED, "y")


def test_by_id__table_and_fewer_labels__says_how_a_long_frame_is_named():
    table = read_cases(pd.DataFrame({"series": [0, 0, 1], "value": [1.0, 2.0, 3.0]}))
    with pytest.raises(ValueError, match=r"numbers of samples: \[3, 2\].*name its columns with id_col= and time_col="):
        by_id([0, 1], table, "y")


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
        by_id(pd.Series(1, index=index), UNSORTED, "y")


def test_read__masked_arrays_in_cells_and_none_in_lists__are_missing():
    masked = np.ma.masked_array([[1.0, 2.0, 99.0, 4.0]], mask=[[0, 0, 1, 0]])
    cells = pd.DataFrame({"a": [masked[0], masked[0]]})
    for X in ([masked] * 2, pd.Series([masked] * 2), cells, [[1.0, 2.0, None, 4.0]] * 2):
        series = read_cases(X).data.series
        for case in series:
            assert_array_equal(np.ravel(case), [1.0, 2.0, np.nan, 4.0])
