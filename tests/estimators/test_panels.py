"""TransformerClassifier on frames of series: long ones by id, and the other panels that `data.cases` reads."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import cross_val_score

from tsformer import SemiSupervisedTransformerClassifier, TransformerClassifier

from .waves import cut, small, waves

X, y = waves()
SERIES = cut(X)
IDS = [f"case {i}" for i in np.random.default_rng(0).permutation(len(y))]
LONG = pd.concat(
    [
        pd.DataFrame(
            {"unique_id": id, "ds": pd.date_range("2020", periods=series.shape[1]), "u": series[0], "v": series[1]}
        )
        for id, series in zip(IDS, SERIES, strict=True)
    ],
    ignore_index=True,
)
LABELS = pd.Series(y, index=IDS).sort_index()  # in another order than the cases of LONG


@pytest.fixture(scope="module")
def fitted():
    return small(max_steps=3).fit(LONG, LABELS)


def test_fit__long_frame__is_as_fit_on_its_series_with_labels_by_id(fitted):
    by_position = small(max_steps=3).fit(SERIES, y)
    assert_array_equal(fitted.predict_proba(LONG), by_position.predict_proba(SERIES))
    assert (fitted.n_channels_, fitted.n_timepoints_, fitted.n_features_in_) == (2, 30, 2)
    assert list(fitted.feature_names_in_) == ["u", "v"]


@pytest.mark.parametrize(
    ("panel", "labels"),
    [
        (LONG.set_index(["unique_id", "ds"]), LABELS),
        ([pd.DataFrame({"u": series[0], "v": series[1]}) for series in SERIES], y),
        (pd.DataFrame({"u": [series[0] for series in SERIES], "v": [series[1] for series in SERIES]}), y),
        ([torch.from_numpy(series) for series in SERIES], torch.from_numpy(y)),
        (LONG.rename(columns={"unique_id": "id", "ds": "t"}), LABELS),
    ],
    ids=["MultiIndex", "list of frames", "nested", "tensors", "other names"],
)
def test_fit__panel_of_any_form__is_as_fit_on_its_series(panel, labels, fitted):
    names = {"id_col": "id", "time_col": "t"} if "id" in getattr(panel, "columns", ()) else {}
    clf = small(max_steps=3, **names).fit(panel, labels)
    assert_array_equal(clf.predict_proba(panel), fitted.predict_proba(LONG))
    assert clf.score(panel, labels) == fitted.score(LONG, LABELS)


def test_predict__long_frame__comes_in_the_order_of_first_rows(fitted):
    some = LONG[LONG["unique_id"].isin(IDS[:5])]
    later_first = some.iloc[::-1]
    ids = later_first["unique_id"].unique()
    assert list(ids) == IDS[4::-1]
    assert_allclose(fitted.predict_proba(later_first), fitted.predict_proba(some)[::-1], rtol=0, atol=1e-12)
    assert_array_equal(fitted.set_output(transform="pandas").transform(some).index, IDS[:5])
    fitted.set_output(transform="default")


TABLE = pd.DataFrame(X[:, 0], index=[f"row {i}" for i in range(len(y))])


@pytest.mark.parametrize(
    ("panel", "labels", "index"),
    [
        (LONG, LABELS, pd.Index(IDS, name="unique_id")),
        (LONG.set_index(["unique_id", "ds"]), LABELS, pd.Index(IDS, name="unique_id")),
        (TABLE, y, TABLE.index),
        (SERIES, y, pd.RangeIndex(len(y))),
    ],
    ids=["long", "MultiIndex", "table", "arrays"],
)
@pytest.mark.parametrize("kind", [TransformerClassifier, SemiSupervisedTransformerClassifier])
def test_predict_frame__panel_of_any_form__is_what_arrays_hold_by_id(panel, labels, index, kind):
    clf = kind(n_estimators=0)
    given = labels if kind is TransformerClassifier else labels.copy()
    if kind is not TransformerClassifier:
        given[::3] = -1
    clf.fit(panel, given)
    frame = clf.predict_frame(panel)
    pd.testing.assert_index_equal(frame.index, index)
    assert list(frame.columns) == ["prediction", *(f"probability_{label}" for label in clf.classes_)]
    assert_array_equal(frame["prediction"], clf.predict(panel))
    assert_array_equal(frame.iloc[:, 1:], clf.predict_proba(panel))


@pytest.mark.parametrize("per_row", [LONG["unique_id"].map(LABELS), LONG["unique_id"].map(LABELS).tolist()])
def test_fit__label_for_each_row_of_a_long_frame__says_to_take_one_for_each_id(per_row):
    message = rf"y must have one value for each of the {len(y)} ids of X\. Got {len(LONG)}, one for each row; take one"
    with pytest.raises(ValueError, match=message):
        small().fit(LONG, per_row)
    with pytest.raises(
        ValueError, match=r"Cross-validation and grid search split rows: tsformer\.model_selection\.read_cases"
    ):
        cross_val_score(small(), LONG, per_row, cv=2, error_score="raise")


def test_fit__labels_in_a_frame_of_one_column__are_matched_by_id(fitted):
    with pytest.warns(DataConversionWarning):
        clf = small(max_steps=3).fit(LONG, LABELS.to_frame("label"))
    assert_array_equal(clf.predict_proba(LONG), fitted.predict_proba(LONG))


@pytest.mark.parametrize("names", [["unique_id", "label"], ["label", "unique_id"]])
def test_fit__labels_in_a_frame_with_the_ids__are_matched_by_them(names, fitted):
    labels = LABELS.rename_axis("unique_id").reset_index(name="label")[names]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        clf = small(max_steps=3).fit(LONG, labels)
    assert_array_equal(clf.predict_proba(LONG), fitted.predict_proba(LONG))


def test_fit__labels_in_a_frame_of_rows__are_told_the_line_to_write(fitted):
    rows = LONG[["unique_id", "ds"]].assign(label=LONG["unique_id"].map(LABELS))
    with pytest.raises(ValueError, match=r"\['ds', 'label'\]; pass y.groupby\('unique_id'\)\[column\].first\(\)"):
        small().fit(LONG, rows)
    with pytest.raises(
        ValueError, match=r"Got several for 'case .*; take one, e.g. y.groupby\('unique_id'\).first\(\)"
    ):
        small().fit(LONG, rows.drop(columns="ds"))
    clf = small(max_steps=3).fit(LONG, rows.groupby("unique_id")["label"].first())
    assert_array_equal(clf.predict_proba(LONG), fitted.predict_proba(LONG))


def test_score__long_frame__compares_with_labels_by_id(fitted):
    predicted = pd.Series(fitted.predict(LONG), index=IDS)
    assert fitted.score(LONG, predicted.sort_index()) == 1.0
    assert fitted.score(LONG, (1 - predicted).sort_index()) == 0.0
    only_first = pd.Series(0.0, index=IDS).mask(np.arange(24) == 0, 1.0)
    wrong_but_first = (1 - predicted).mask(np.arange(24) == 0, predicted)
    assert fitted.score(LONG, wrong_but_first.sort_index(), only_first.sort_index()) == 1.0


def test_fit__weights_and_held_out_cases_of_long_frames__are_matched_by_id():
    weight = np.arange(24.0)
    params = {"max_steps": 3, "early_stopping": True}
    held_out = LONG[LONG["unique_id"].isin(IDS[:8])]
    by_id = small(**params).fit(
        LONG,
        LABELS,
        pd.Series(weight, index=IDS).sort_index(),
        X_val=held_out,
        y_val=LABELS[LABELS.index.isin(IDS[:8])],
        sample_weight_val=pd.Series(weight[:8], index=IDS[:8]).sort_index(),
    )
    by_position = small(**params).fit(SERIES, y, weight, X_val=SERIES[:8], y_val=y[:8], sample_weight_val=weight[:8])
    assert by_id.history_["validation_loss"] == by_position.history_["validation_loss"]
    assert_array_equal(by_id.predict_proba(LONG), by_position.predict_proba(SERIES))


def test_partial_fit__long_frames__are_matched_by_id():
    by_id = small().partial_fit(LONG, LABELS, classes=[0, 1]).partial_fit(LONG, LABELS)
    by_position = small().partial_fit(SERIES, y, classes=[0, 1]).partial_fit(SERIES, y)
    assert_array_equal(by_id.predict_proba(LONG), by_position.predict_proba(SERIES))


def test_fit__table_of_one_row_a_case__is_one_still():
    table = pd.DataFrame(X[:, 0], index=pd.Index(IDS, name="unique_id")).add_prefix("t")
    clf = small(max_steps=3).fit(table, y)
    assert (clf.n_channels_, clf.n_features_in_) == (1, 30)
    assert_array_equal(clf.predict_proba(table), small(max_steps=3).fit(X[:, 0], y).predict_proba(X[:, 0]))


# Mistakes.


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[1:], r"The index of y must hold the ids of X, each once and no others\. Got none for 'case 0'\."),
        (LABELS.reset_index(drop=True), r"Got none for 'case .*, and further ones for 0, 1, 2 and 21 more\."),
        (LONG.set_index("unique_id")["u"] > 0, r"y must have one value for each id of X\. Got several for 'case"),
        (
            pd.concat([LABELS, pd.Series([1], ["more"])]),
            r"further ones for 'more'\. Take those of X: y\[y\.index\.isin\(X\['unique_id'\]\)\]",
        ),
        (y, r"y must be a Series with the ids of X as its index, as these do not ascend in X\. Got ndarray"),
    ],
    ids=["one id short", "labels without ids", "labels of rows", "one id too many", "array"],
)
def test_fit__labels_that_are_not_of_the_ids__are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        small().fit(LONG, labels)
    with pytest.raises(ValueError, match=message):
        small(max_steps=1).fit(LONG, LABELS).score(LONG, labels)


def test_fit__ids_of_labels_of_another_type__says_which():
    numbers = LONG.assign(unique_id=LONG["unique_id"].str[5:].astype(int))
    labels = LABELS.rename(index=lambda id: id[5:])
    with pytest.raises(ValueError, match=r"Those of X are of the type int, those of y of str: convert one of them\."):
        small().fit(numbers, labels)


def test_fit__label_left_in_a_long_frame__warns():
    frame = LONG.assign(kind=LONG["unique_id"].map(LABELS), size=LONG["unique_id"].map(lambda id: int(id[5:])))
    with pytest.warns(
        UserWarning, match=r"The channel 'kind' has one value in each case, .* drop\(columns='kind'\)"
    ) as told:
        small(max_steps=1).fit(frame, LABELS)
    assert len(told) == 1


def test_fit__long_frame_of_other_names__is_told_how_to_name_them():
    numbers = LONG.assign(id=LONG["unique_id"].factorize()[0], t=LONG.index)[["id", "t", "u", "v"]]
    message = r"inconsistent numbers of samples: \[\d+, 24\]\. A frame without columns of ids and times has a row"
    with pytest.raises(ValueError, match=message):
        small().fit(numbers, y)
    with pytest.raises(ValueError, match=r"if X is a long frame, name its columns with id_col= and time_col="):
        small().fit(numbers.assign(t=LONG["ds"]), y)


def test_predict__frame_of_other_channels_or_names__is_refused(fitted):
    with pytest.raises(ValueError, match=r"Feature names must be in the same order as they were in fit"):
        fitted.predict(LONG[["unique_id", "ds", "v", "u"]])
    with pytest.raises(ValueError, match=r"Feature names unseen at fit time:\n- w"):
        fitted.predict(LONG.rename(columns={"v": "w"}))
    one = small(max_steps=1).fit(LONG.drop(columns="v"), LABELS)
    with pytest.raises(
        ValueError, match=r"X has one row for each case, but TransformerClassifier was fitted on frames wi"
    ):
        one.predict(LONG.drop(columns=["v", "unique_id"]).rename(columns={"ds": "t"}).assign(t=1.0))


def test_predict__arrays_after_names__are_taken_by_position_with_scikit_learns_warning(fitted):
    with pytest.warns(
        UserWarning, match="X does not have valid feature names, but TransformerClassifier was fitted with"
    ):
        assert_array_equal(fitted.predict_proba(SERIES), fitted.predict_proba(LONG))


def test_example__grouped_cross_validation__runs():
    path = Path(__file__).parents[2] / "examples" / "grouped_cross_validation.py"
    spec = importlib.util.spec_from_file_location("grouped_cross_validation", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    frame = example.recordings(n_persons=4, n_recordings=4)
    scores = example.cross_validated(frame, n_splits=2, max_steps=3)
    assert len(scores["test_accuracy"]) == 2
    for training, test in scores["persons"]:
        assert not set(training) & set(test)
