"""Arrays: what series may look like, how they become a Batch, and what each wrong form is told."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from tsformer.data.arrays import check_n_channels, check_series, n_channels, to_batch

CASES = np.arange(24.0).reshape(4, 2, 3)  # 4 cases, 2 channels, 3 time points


def batch_of(X):
    return to_batch(check_series(X))


# What is taken


def test_to_batch__three_dimensions__puts_time_before_channels():
    batch = batch_of(CASES)
    assert batch.x.shape == batch.observed.shape == (4, 3, 2)
    assert all(batch.x[i, t, c] == CASES[i, c, t] for i in range(4) for c in range(2) for t in range(3))
    assert batch.observed.all()
    assert (batch.y, batch.weight) == (None, None)


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, pd.DataFrame, list, tuple])
def test_to_batch__two_dimensions_in_any_form__is_one_channel(form):
    batch = batch_of(form(CASES[:, 0]))
    assert torch.equal(batch.x, torch.from_numpy(CASES[:, 0])[:, :, None])
    assert n_channels(check_series(form(CASES[:, 0]))) == 1


@pytest.mark.parametrize("form", [list, tuple, lambda series: np.array([*series, None], dtype=object)[:-1]])
def test_to_batch__unequal_lengths__are_padded_at_the_end_and_not_observed(form):
    X = form([np.ones((2, 3)), np.full((2, 1), 7.0)])
    batch = batch_of(X)
    assert batch.x[1].tolist() == [[7.0, 7.0], [0.0, 0.0], [0.0, 0.0]]
    assert batch.observed[1].tolist() == [[True, True], [False, False], [False, False]]
    assert batch.observed[0].all()
    assert n_channels(check_series(X)) == 2


def test_to_batch__one_dimensional_items_among_two_dimensional__are_one_channel():
    batch = batch_of([np.array([1.0, 2.0]), np.array([[3.0, 4.0, 5.0]])])
    assert batch.x[..., 0].tolist() == [[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]]


def test_to_batch__nan__hides_one_channel_at_one_time():
    X = CASES.copy()
    X[1, 0, 2] = np.nan
    batch = batch_of(X)
    assert torch.equal(batch.observed, torch.from_numpy(~np.isnan(X)).transpose(1, 2))
    assert batch.x[1, 2].tolist() == [0.0, X[1, 1, 2]]
    assert batch.x.isfinite().all()


def test_to_batch__missing_values_of_a_nullable_frame__are_hidden():
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [3.0, 4.0]})
    assert batch_of(frame).observed[..., 0].tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("float32", "float32"), ("float64", "float64"), ("float16", "float64"), ("int64", "float64"), ("bool", "float64")],
)
def test_check_series__any_number_type__keeps_float32_and_makes_float64_of_the_rest(given, kept):
    X = np.ones((2, 3), dtype=given)
    assert check_series(X).dtype == kept
    assert check_series([X[0], X[1, :2]])[1].dtype == kept
    assert batch_of(X).x.dtype == batch_of([X[0], X[1, :2]]).x.dtype == getattr(torch, kept)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_to_batch__arrays_of_the_user__are_neither_changed_nor_shared(n_channels):
    X = CASES[:, :n_channels].copy()
    X[0, 0, 0] = np.nan
    X.flags.writeable = False
    batch = batch_of(X)
    batch.x.fill_(-1.0)
    assert np.isnan(X[0, 0, 0])
    np.testing.assert_array_equal(X[1:], CASES[1:, :n_channels])


def test_to_batch__reversed_view__is_taken():
    assert batch_of(CASES[:, :, ::-1]).x[0, :, 0].tolist() == CASES[0, 0, ::-1].tolist()


# What is refused

NAN = np.nan
WRONG = {
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


@pytest.mark.parametrize("problem", WRONG)
def test_check_series__wrong_form__says_what_is_wrong_and_where(problem):
    X, message = WRONG[problem]
    with pytest.raises(ValueError, match=message):
        check_series(X)


def test_check_series__name__is_used_in_messages():
    for X in (np.array([[np.inf]]), np.array([[NAN]]), np.ones((1, 1, 1, 1)), [np.ones((1, 0))]):
        with pytest.raises(ValueError, match="X_val"):
            check_series(X, "X_val")


@pytest.mark.parametrize(
    ("X", "expected", "hint"),
    [
        (np.ones((2, 5, 3)), 3, " If its axes are (n_cases, n_timepoints, n_channels), pass X.transpose(0, 2, 1)."),
        (np.ones((2, 5)), 2, " If it is a single case, pass X[None]."),
        (np.ones((2, 5, 4)), 3, ""),
        (
            [np.ones((5, 3))],
            3,
            " If the axes of each series are (n_timepoints, n_channels), pass [series.T for series in X].",
        ),
        ([np.ones((5, 3)), np.ones((5, 2))], 3, ""),
    ],
)
def test_check_n_channels__other_channels__names_both_and_the_likely_remedy(X, expected, hint):
    panel = check_series(X)
    got = f"a list of {len(X)} arrays" if isinstance(X, list) else f"shape {X.shape}"
    message = (
        f"X has {n_channels(panel)} channels, but Model is expecting {expected} channels as input. Got {got}; expected "
        f"(n_cases, {expected}, n_timepoints).{hint}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_n_channels(panel, expected, "X", "Model")


def test_check_n_channels__as_expected__is_silent():
    for X in (CASES, [CASES[0], CASES[1, :, :1]]):
        check_n_channels(check_series(X), 2, "X", "Model")


def test_check_series__masked_array__hides_what_is_masked():
    values = np.ma.masked_array(np.arange(6.0).reshape(2, 3), mask=[[False, True, False], [False] * 3])
    assert np.isnan(check_series(values)).tolist() == [[False, True, False], [False] * 3]


def test_check_series__dates__are_refused():
    with pytest.raises(ValueError, match=r"X must hold numbers\. Got datetime64"):
        check_series(np.array([["2020-01-01", "2020-01-02"]], dtype="datetime64[ns]"))


def test_check_series__lists_of_unequal_length__names_the_remedy():
    with pytest.raises(ValueError, match=r"pass \[numpy\.asarray\(series\) for series in X\]"):
        check_series([[1.0, 2.0], [1.0, 2.0, 3.0]])
