"""What TransformerClassifier says to mistakes: what was expected, what came, and the way out."""

import copy
import functools
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from tsformer import TransformerClassifier
from tsformer.models.encoders.transformer import TransformerEncoder

from .waves import cut, small, waves

X, y = waves()
NOT_ALL_ZERO = "at least one (above 0|non-zero number)"  # ours, and that of scikit-learn since 1.9


@pytest.fixture(scope="module")
def fitted():
    """A classifier of two channels."""
    return small().fit(X, y)


def with_value(value):
    changed = X.astype(np.result_type(X, value))
    changed[3, 1, 4] = value
    return changed


# Series

MISTAKEN_SERIES = {
    "None": (None, r"Expected 2D array, got scalar array instead"),
    "one dimension": (np.zeros(24), r"Expected 2D array, got 1D array instead"),
    "four dimensions": (
        np.zeros((24, 2, 30, 1)),
        r"X must have shape \(n_cases, n_channels, n_timepoints\) or \(n_cases, n_timepoints\)\. Got an array of 4 "
        r"dimensions, \(24, 2, 30, 1\)",
    ),
    "no case": (np.zeros((0, 2, 30)), r"Found array with 0 sample\(s\) \(shape=\(0, 2, 30\)\)"),
    "empty list": ([], r"0 sample\(s\)"),
    "no time point": (np.zeros((24, 2, 0)), r"Found array with 0 time point\(s\) \(shape=\(24, 2, 0\)\)"),
    "no channel": (np.zeros((24, 0, 30)), r"0 channel\(s\)"),
    "no time point in one series": ([*X[:4], X[4][:, :0], *X[5:]], r"Case 4 has shape \(2, 0\)"),
    "a number in a list of series": ([*X[:4], np.array(1.0), *X[5:]], r"Case 4 has shape \(\)"),
    "infinity": (with_value(np.inf), r"Input X contains infinity"),
    "infinity in one series": (list(with_value(-np.inf)), r"Input X\[3\] contains infinity"),
    "text": (np.full(X.shape, "a"), r"arrays of bytes/strings"),
    "text in one series": ([*X[:4], np.full((2, 3), "a"), *X[5:]], r"arrays of bytes/strings"),
    "complex": (with_value(1j), r"Complex data not supported"),
    "complex in one series": (list(with_value(1j)), r"Complex data not supported"),
    "only NaN": (
        np.where(np.arange(24)[:, None, None] == 5, np.nan, X),
        r"Each case of X must have at least one value\. Case 5 has only NaN; remove it",
    ),
    "other channels in one series": (
        [*X[:4], X[4][:1], *X[5:]],
        r"All series of X must have the same number of channels\. Case 0 has 2 \(shape \(2, 30\)\), case 4 has 1 "
        r"\(shape \(1, 30\)\)",
    ),
    "list of transposed series": (
        [series.T for series in cut(X)],
        r"same number of channels.* transpose each: \[series\.T for series in X\]",
    ),
    "frame of rows under three levels": (
        pd.DataFrame({"value": X.ravel()}, index=pd.MultiIndex.from_product(map(range, X.shape))),
        r"A MultiIndex of X must have the two levels \(series, time\)",
    ),
}


@pytest.mark.parametrize(("series", "message"), MISTAKEN_SERIES.values(), ids=MISTAKEN_SERIES)
def test_fit__mistaken_series__says_what_is_wrong(series, message):
    with pytest.raises(ValueError, match=message):
        small().fit(series, y)


@pytest.mark.parametrize(("series", "message"), MISTAKEN_SERIES.values(), ids=MISTAKEN_SERIES)
def test_predict__mistaken_series__says_what_is_wrong(series, message, fitted):
    with pytest.raises(ValueError, match=message):
        fitted.predict(series)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (
            X[:, :1],
            r"X has 1 channels, but TransformerClassifier is expecting 2 channels as input\. Got shape \(24, 1, 30\); "
            r"expected \(n_cases, 2, n_timepoints\)",
        ),
        (X[:, 0], r"X has 1 channels, .* expecting 2 channels as input\. Got shape \(24, 30\)"),
        (list(X[:, :1]), r"X has 1 channels, .* expecting 2 channels as input\. Got shape \(24, 1, 30\)"),
        (
            X.transpose(0, 2, 1),
            r"X has 30 channels, .* If its axes are \(n_cases, n_timepoints, n_channels\), pass "
            r"X\.transpose\(0, 2, 1\)",
        ),
        ([series.T for series in X], r"X has 30 channels, .* \[series\.T for series in X\]"),
        (X[0], r"X has 1 channels, .* Got shape \(2, 30\); .* If it is a single case, pass X\[None\]"),
    ],
    ids=["array", "2-D", "list", "transposed", "list of transposed", "single case"],
)
def test_predict__other_channels_than_in_fit__names_both_and_the_way_out(series, message, fitted):
    with pytest.raises(ValueError, match=message):
        fitted.predict(series)


def test_predict__single_case__runs_after_the_advice(fitted):
    assert fitted.predict(X[0][None]).shape == (1,)


def test_predict__two_dimensional_series_of_another_length__names_both_lengths():
    clf = small().fit(X[:, 0], y)

    with pytest.raises(ValueError, match="X has 20 features, but TransformerClassifier is expecting 30 features"):
        clf.predict(X[:, 0, :20])


# Labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (y[:-1], r"inconsistent numbers of samples: \[24, 23\]"),
        (np.zeros(24), r"number of classes has to be greater than one; got 1 class\. Give cases of at least two"),
        (np.linspace(0, 1, 24), "Unknown label type: continuous"),
        (np.where(y == 0, np.nan, 1.0), "y contains NaN"),
        ([None, *y[1:-1].astype(str), None], "y contains NaN, first for case 0. Leave out the cases without"),
        (np.stack([y, y], axis=1), r"y should be a 1d array, got an array of shape \(24, 2\)"),
    ],
    ids=["None", "too few", "one class", "continuous", "NaN", "None among texts", "two columns"],
)
def test_fit__mistaken_labels__says_what_is_wrong(labels, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, labels)


def test_score__missing_label_among_text__says_to_leave_it_out():
    names = np.array(["no", "yes"], dtype=object)[y]
    clf = small(max_steps=1).fit(X, names)
    with pytest.raises(ValueError, match=r"y contains NaN, first for case 3\. Leave out the"):
        clf.score(X, np.where(np.arange(len(y)) == 3, np.nan, names))


# Use before fit


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "transform", "attention_maps"])
@pytest.mark.parametrize("series", [X, None], ids=["series", "None"])
def test_predict__before_fit__says_to_fit_first(method, series):
    with pytest.raises(NotFittedError, match=r"This TransformerClassifier instance is not fitted yet\. Call 'fit'"):
        getattr(small(), method)(series)


@pytest.mark.parametrize(
    ("params", "labels"),
    [({}, np.zeros(24)), ({"n_heads": 3}, y), ({"learning_rate": 1e30}, y)],
    ids=["one class", "wrong heads", "loss not finite"],
)
def test_predict__after_a_fit_that_failed__says_to_fit_first(params, labels):
    clf = small(**params)
    with pytest.raises(ValueError, match=r"class|n_heads|loss"):
        clf.fit(X, labels)

    with pytest.raises(NotFittedError, match="not fitted yet"):
        clf.predict(X)


# Validation cases


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"X_val": X}, r"X_val and y_val must be given together\. y_val was not provided"),
        ({"y_val": y}, r"X_val and y_val must be given together\. X_val was not provided"),
        ({"sample_weight_val": y}, r"X_val and y_val must be given together\. X_val was not provided"),
        ({"X_val": X, "y_val": y + 1}, r"y_val must contain only the classes \[0 1\]\. Got \[2\] too"),
        ({"X_val": X, "y_val": y[:5]}, r"inconsistent numbers of samples: \[24, 5\]"),
        ({"X_val": X[:, :1], "y_val": y}, r"X_val has 1 channels, but TransformerClassifier is expecting 2"),
        ({"X_val": with_value(np.inf), "y_val": y}, r"X_val contains infinity"),
        ({"X_val": X, "y_val": y, "sample_weight_val": -1.0 * y}, "sample_weight_val must hold no negative weight"),
        ({"X_val": X, "y_val": y, "sample_weight_val": 0 * y}, NOT_ALL_ZERO),
    ],
    ids=["X_val alone", "y_val alone", "weights alone", "class", "length", "channels", "infinity", "negative", "zeros"],
)
def test_fit__mistaken_validation_cases__says_what_is_wrong(held_out, message):
    with pytest.raises(ValueError, match=message):
        small(early_stopping=True).fit(X, y, **held_out)


def test_fit__validation_cases_without_early_stopping__says_to_switch_it_on():
    with pytest.raises(ValueError, match=r"X_val and y_val .* early_stopping is False\. Set early_stopping=True"):
        small().fit(X, y, X_val=X, y_val=y)


@pytest.mark.parametrize(
    ("fraction", "labels", "reason"),
    [(0.01, y, "test_size = 1"), (0.1, np.arange(24) == 0, "only 1 member"), (0.99, y, "train set will be empty")],
    ids=["too few held back", "a class of one case", "too few left"],
)
def test_early_stopping__cases_cannot_be_held_back__names_the_ways_out(fraction, labels, reason):
    clf = small(early_stopping=True, validation_fraction=fraction)

    with pytest.raises(ValueError, match=f"validation_fraction={fraction} of 24 cases: .*{reason}.* give fit X_val"):
        clf.fit(X, labels)


# Weights


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.where(y == 0, -1.0, 1.0), "sample_weight must hold no negative weight"),
        (np.zeros(24), NOT_ALL_ZERO),
        (np.ones(23), r"sample_weight\.shape == \(23,\), expected \(24,\)"),
        (np.full(24, np.nan), "Input sample_weight contains NaN"),
        (np.ones((24, 2)), "Sample weights must be 1D array or scalar"),
    ],
    ids=["negative", "all zero", "too few", "NaN", "two columns"],
)
def test_fit__mistaken_sample_weight__says_what_is_wrong(weight, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, y, sample_weight=weight)


@pytest.mark.parametrize(
    "weights", [{0: 0, 1: 0}, {0: -1, 1: 1}, {0: -1, 1: 2}], ids=["zeros", "sum of zero", "negative"]
)
def test_fit__class_weight_negative_or_all_zero__raises(weights):
    with pytest.raises(ValueError, match="class_weight"):
        small(class_weight=weights).fit(X, y)


def test_fit__columns_of_one_name__are_told():
    with pytest.raises(ValueError, match=r"The columns of X must be unique\. Got \['a', 'a', 'b'\]"):
        small().fit(pd.DataFrame(np.random.default_rng(0).random((4, 3)), columns=list("aab")), [0, 1, 0, 1])


def test_fit__class_weight_without_some_class__names_the_class():
    with pytest.raises(ValueError, match=r"class_weight must name classes of y, \[0, 1\]\. Got \[1, 5\]"):
        small(class_weight={1: 2, 5: 1}).fit(X, y)


# Parameters

WRONG_PARAMETERS = {
    "n_jobs": (0.5, r"an instance of 'int' or None"),
    "max_steps": (0, r"an int in the range [1, inf) or a str among {'auto'}"),
    "batch_size": ("all", r"an int in the range [1, inf) or a str among {'auto'}"),
    "learning_rate": (0.0, r"a float in the range (0.0, inf)"),
    "weight_decay": (-1, r"a float in the range [0.0, inf)"),
    "average_decay": (1, r"a float in the range (0.0, 1.0) or None"),
    "early_stopping": ("yes", r"an instance of 'bool'"),
    "validation_fraction": (1.0, r"a float in the range (0.0, 1.0)"),
    "n_iter_no_change": (0, r"an int in the range [1, inf)"),
    "tol": (-1e-4, r"a float in the range [0.0, inf)"),
    "refit": (None, r"an instance of 'bool'"),
    "warm_start": ("no", r"an instance of 'bool'"),
    "precision": ("float16", r"a str among {"),
    "device": (0, r"an instance of 'str'"),
    "random_state": (-1, r"an int in the range [0, 4294967295]"),
    "verbose": ("loud", r"an int in the range [0, inf)"),
    "d_model": (0, r"an int in the range [1, inf)"),
    "n_heads": (2.0, r"an int in the range [1, inf)"),
    "n_layers": (-1, r"an int in the range [0, inf)"),
    "d_ff": (0, r"an int in the range [1, inf)"),
    "dropout": (1.0, r"a float in the range [0.0, 1.0)"),
    "n_estimators": (-1, r"an int in the range [0, inf)"),
    "pretrained": (
        3,
        r"an instance of 'str', an instance of 'os.PathLike', an object implementing 'fit' or None",
    ),
    "scaling": ("minmax", r"a str among {"),
    "encoder": ("lstm", r"a str among {"),
    "pooling": ("sum", r"a str among {"),
    "differences": (2, r"an instance of 'bool'"),
    "augment": ("strong", r"a str among {'standard'}, a callable or None"),
    "label_smoothing": (1.0, r"a float in the range [0.0, 1.0)"),
    "class_weight": ("equal", r"an instance of 'dict', a str among {'balanced'} or None"),
    "id_col": (None, r"an instance of 'str'"),
    "time_col": (["ds"], r"an instance of 'str'"),
}


@pytest.mark.parametrize("name", TransformerClassifier().get_params())
def test_fit__wrong_parameter__says_what_it_must_be(name):
    value, expected = WRONG_PARAMETERS[name]
    beginning = f"The '{name}' parameter of TransformerClassifier must be {expected}"

    with pytest.raises(ValueError, match=rf"{re.escape(beginning)}.* Got {re.escape(repr(value))} instead\."):
        small(**{name: value}).fit(X, y)


def test_fit__unknown_encoder__names_those_there_are():
    with pytest.raises(ValueError, match=r"(?=.*'conv_stem')(?=.*'transformer')"):
        small(encoder="lstm").fit(X, y)


@pytest.mark.parametrize("encoder", ["conv_stem", "transformer"])
def test_fit__heads_do_not_divide_the_width__names_both(encoder):
    with pytest.raises(ValueError, match=r"'d_model' .* multiple of n_heads\. Got d_model=16, n_heads=3"):
        small(n_heads=3, encoder=encoder).fit(X, y)


def test_fit__odd_head_width_for_rotary_positions__names_the_ways_out():
    with pytest.raises(ValueError, match=r"even head width\. Got d_model / n_heads = 3; change d_model or n_heads"):
        small(d_model=6, n_heads=2).fit(X, y)


def test_fit__unknown_positions__names_those_there_are():
    encoder = functools.partial(TransformerEncoder, positions="absolute")

    with pytest.raises(
        ValueError, match=r"'positions' .* one of \['learned', 'rotary', 'sinusoidal'\]. Got 'absolute'"
    ):
        small(encoder=encoder).fit(X, y)


@pytest.mark.parametrize("device", ["tpu", "gpu", "meta", "mps", "xpu", ""])
@pytest.mark.parametrize("method", ["fit", "predict"])
def test_device__none_of_those_documented__names_them(device, method, fitted):
    clf = copy.deepcopy(fitted).set_params(device=device)

    with pytest.raises(ValueError, match=f"'device' parameter .* 'cuda:<number>'. Got '{device}' instead"):
        clf.fit(X, y) if method == "fit" else clf.predict(X)


def test_device__cuda_device_that_is_not_there__says_to_use_auto():
    n_devices = torch.cuda.device_count()
    missing = f"cuda:{n_devices}"

    with pytest.raises(ValueError, match=rf"'{missing}', but .* {n_devices} CUDA devices. .*Set device='auto'"):
        small(device=missing).fit(X, y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_device__cuda_without_cuda__says_to_use_auto():
    with pytest.raises(ValueError, match=r"'cuda', but this machine has 0 CUDA devices. Set device='auto'"):
        small(device="cuda").fit(X, y)


def test_fit__learning_rate_far_too_high__says_to_lower_it():
    with pytest.raises(ValueError, match=r"training loss became (nan|inf) by step .*Lower the learning rate"):
        small(learning_rate=1e30).fit(X, y)


# Further training


def test_warm_start__new_class__names_it(fitted):
    clf = copy.deepcopy(fitted).set_params(warm_start=True)

    with pytest.raises(ValueError, match=r"y must contain only the classes \[0 1\]\. Got \[2\] too"):
        clf.fit(X, y + 1)


def test_warm_start__other_channels__names_both(fitted):
    clf = copy.deepcopy(fitted).set_params(warm_start=True)

    with pytest.raises(ValueError, match="X has 1 channels, but TransformerClassifier is expecting 2 channels"):
        clf.fit(X[:, :1], y)


def test_partial_fit__no_classes_in_the_first_call__asks_for_them():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        small().partial_fit(X, y)


@pytest.mark.parametrize("earlier_calls", [0, 1])
def test_partial_fit__class_not_announced__names_it(earlier_calls):
    clf = small()
    for _ in range(earlier_calls):
        clf.partial_fit(X, y, classes=[0, 1])

    with pytest.raises(ValueError, match=r"y must contain only the classes \[0 1\]\. Got \[2\] too"):
        clf.partial_fit(X, y + 1, classes=[0, 1])


def test_partial_fit__other_classes_in_a_later_call__names_both():
    clf = small().partial_fit(X, y, classes=[0, 1])

    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        clf.partial_fit(X, y, classes=[0, 1, 2])


# Weights of classes


def test_class_weight__classes_that_are_not_named__weigh_1_in_any_batch():
    clf = small(class_weight={1: 2.0}).partial_fit(X, y, classes=[0, 1])
    clf.partial_fit(X[y == 0], y[y == 0])
    one = small(class_weight={0: 3.0}, max_steps=1).fit(X, y, sample_weight=(y == 1) * 1.0 + (np.arange(len(y)) == 0))
    assert one.predict_proba(X).shape == (len(X), 2)
    small(class_weight={0: 1.0, 1: 2.0, 2: 5.0}, max_steps=1).fit(X, y)  # as in a fold without the third
    with pytest.raises(ValueError, match=r"class_weight must name classes of y, \[0, 1\]\. Got \[5\]"):
        small(class_weight={5: 2.0}).fit(X, y)


# A head alone


def test_fit__series_that_do_not_differ__predict_the_classes_as_often_as_they_come():
    clf = small(n_estimators=0, pretrained="auto").fit(np.zeros((10, 1, 20)), [0, 1] * 5)
    np.testing.assert_allclose(clf.predict_proba(np.zeros((2, 1, 20))), 0.5, atol=1e-6)


def test_fit__one_case_left__is_told():
    with pytest.raises(ValueError, match=r"two cases or more whose weight is above 0\. Got n_samples=1"):
        small(n_estimators=0, pretrained="auto").fit(X, y, sample_weight=np.arange(len(y)) == 0)


def test_fit__held_out_cases_without_a_network__warns():
    with pytest.warns(UserWarning, match="X_val has no effect: n_estimators=0 leaves no network"):
        small(n_estimators=0, pretrained="auto", early_stopping=True).fit(X, y, X_val=X, y_val=y)
