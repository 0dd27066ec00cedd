"""Labels of any type: their values stay what they are, in fit, score and save."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal

import tsformer
from tsformer import TransformerClassifier
from tsformer.estimators.checks import read_to_fit

from .waves import small, waves

X, y = waves()
BIG = 2**53 + y
CLASSES = {
    "nullable boolean": (pd.Series(y == 1, dtype="boolean"), [False, True]),
    "nullable integers": (pd.Series(y, dtype="Int64"), [0, 1]),
    "nullable integers beyond 2**53": (pd.Series(BIG, dtype="Int64"), [2**53, 2**53 + 1]),
    "integers beyond 2**53 of pyarrow": (pd.Series(BIG, dtype="int64[pyarrow]"), [2**53, 2**53 + 1]),
    "integers beyond 2**53 among objects": (BIG.astype(object), [2**53, 2**53 + 1]),
    "integers beyond 2**63 among objects": ((y.astype("uint64") + 2**63).astype(object), [2**63, 2**63 + 1]),
    "booleans of pyarrow": (pd.Series(y == 1, dtype="bool[pyarrow]"), [False, True]),
    "booleans among objects": ((y == 1).astype(object), [False, True]),
    "whole floats among objects": (y.astype(float).astype(object), [0.0, 1.0]),
    "text among objects": (np.where(y == 1, "b", "a").astype(object), ["a", "b"]),
    "text of pandas": (pd.Series(np.where(y == 1, "b", "a"), dtype="string"), ["a", "b"]),
    "categories of integers": (pd.Series(y, dtype="category"), [0, 1]),
    "categories of nullable integers": (pd.Series(BIG, dtype="Int64").astype("category"), [2**53, 2**53 + 1]),
    "categories of text": (pd.Categorical(np.where(y == 1, "b", "a")), ["a", "b"]),
    "a tensor": (torch.from_numpy(BIG), [2**53, 2**53 + 1]),
    "a tensor of booleans": (torch.from_numpy(y == 1), [False, True]),
    "an Index": (pd.Index(y), [0, 1]),
    "a list": (BIG.tolist(), [2**53, 2**53 + 1]),
}


@pytest.mark.parametrize("name", CLASSES)
def test_fit__labels_of_any_type__are_classes_of_their_values(name, tmp_path):
    labels, classes = CLASSES[name]
    clf = small(max_steps=1).fit(X, labels)
    assert_array_equal(clf.classes_, np.array(classes))
    assert clf.classes_.dtype.kind == np.array(classes).dtype.kind or isinstance(classes[0], str)
    predicted = clf.predict(X)
    assert predicted.dtype == clf.classes_.dtype
    assert clf.score(X, labels) == np.mean(predicted == np.array(classes)[y])
    tsformer.save(clf, tmp_path / "clf.safetensors")
    assert_array_equal(tsformer.load(tmp_path / "clf.safetensors").classes_, clf.classes_)


def test_fit__validation_labels_and_announced_classes_of_another_type__are_those_values():
    labels = pd.Series(BIG, dtype="Int64")
    clf = small(max_steps=1, early_stopping=True).fit(X, labels, X_val=X, y_val=torch.from_numpy(BIG))
    assert clf.classes_.tolist() == [2**53, 2**53 + 1]
    clf = small().partial_fit(X, labels, classes=pd.array([2**53, 2**53 + 1], dtype="Int64"))
    assert clf.partial_fit(X, BIG, classes=[2**53, 2**53 + 1]).classes_.tolist() == [2**53, 2**53 + 1]


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (
            [date(2020, 1, 1 + each) for each in y],
            r"y must hold text, whole numbers or booleans\. Got date, such as 2020",
        ),
        ([Decimal(int(each)) for each in y], "Got decimal, such as 0; pd.Series"),
        (pd.to_datetime(y, unit="D"), r"Got datetime64\[.*such as 1970-01-01.* makes text of them"),
        (np.array(["a", 1] * 12, dtype=object), "Got mixed-integer, such as a"),
        (np.array([10**30, 1] * 12, dtype=object), "Got integer, such as 1000"),
        (pd.Series([None, *y[1:]], dtype="Int64"), "Input y contains NaN, first for case 0"),
        (pd.Series([None, *y[1:]], dtype="category"), "Input y contains NaN, first for case 0"),
        (pd.Series([*(y[1:] == 1), None], dtype="bool[pyarrow]"), "Input y contains NaN, first for case 23"),
    ],
    ids=lambda value: getattr(value, "dtype", type(value)).__class__.__name__,
)
def test_fit__labels_that_are_no_classes__are_refused_with_the_way_out(labels, match):
    with pytest.raises(ValueError, match=match):
        small().fit(X, labels)


@pytest.mark.parametrize("of", [np.asarray, torch.as_tensor])
def test_fit__array_api_dispatch__is_as_without(of, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # scikit-learn asks for it
    expected = small(max_steps=1).fit(X, y)
    with sklearn.config_context(array_api_dispatch=True):
        clf = small(max_steps=1).fit(of(X), of(y))
        assert clf.score(of(X), of(y)) == expected.score(X, y)
        assert_array_equal(clf.predict_proba(of(X)), expected.predict_proba(X))


@pytest.mark.parametrize(
    "exchanged", [X.transpose(0, 2, 1)[:, :, :1], torch.from_numpy(X[:, 0, :, None]), list(X[:, 0, :, None])]
)
def test_fit__one_time_point_of_many_channels__warns_that_axes_may_be_exchanged(exchanged):
    with pytest.warns(UserWarning, match=r"X has 30 channels of a single time point.*pass X.transpose\(0, 2, 1\)"):
        small(max_steps=1).fit(exchanged, y)


def test_fit__stacked_rows_of_time_points__warns_that_axes_may_be_exchanged():
    with pytest.warns(UserWarning, match=r"X has 30 channels of no more than 2 time points\. .*pass X.transpose"):
        small(max_steps=1).fit(X.transpose(0, 2, 1), y)


@pytest.mark.parametrize(
    "shape", [(963, 144), (1345, 270), (200, 22), (144, 62), (24, 51), (1, 8), (2, 8)], ids=lambda shape: f"{shape}"
)
def test_read_to_fit__shapes_of_real_sets__raise_no_doubt(shape):
    cases, _ = read_to_fit(TransformerClassifier(), np.zeros((2, *shape)), from_scratch=True)
    assert (cases.n_channels, cases.data.n_timepoints) == shape
