"""Cases of a long frame to split, TemporalSplit: what a fold holds, in every form of frame, and searches with them."""

import numpy as np
import pandas as pd
import pytest
from forecasts import long_frame, small, wave
from sklearn.model_selection import GridSearchCV, GroupKFold, TimeSeriesSplit, cross_val_predict, cross_val_score

from tsformer import TransformerClassifier
from tsformer.model_selection import LabelledSplit, TemporalSplit, read_cases

FORMS = {
    "Series": wave(),
    "long": long_frame(),
    "shuffled": long_frame().sample(frac=1.0, random_state=0),
    "MultiIndex": long_frame().set_index(["unique_id", "ds"]),
}
COVARIATES = {  # beside the targets of each form: numbers, and yes or no
    form: {"price": np.sin(np.arange(len(df))), "open": np.arange(len(df)) % 3 > 0} for form, df in FORMS.items()
}


def test_split__shuffled_long_frame__cuts_each_series_at_its_own_times():
    df = long_frame().sample(frac=1.0, random_state=0)
    folds = list(TemporalSplit(horizon=6, n_splits=3, step_size=2).split(df))
    assert len(folds) == 3
    for i, (train, test) in enumerate(folds):
        for name, rows in df.groupby("unique_id"):
            times = np.sort(rows["ds"])
            for part, n_left_out in ((train, 6 + 2 * (2 - i)), (test, 2 * (2 - i))):
                cut = df.iloc[part]
                expected = times[: len(times) - n_left_out]
                assert np.array_equal(np.sort(cut[cut["unique_id"] == name]["ds"]), expected)


def test_split__ids_and_times_under_other_names__asks_for_them():
    df = long_frame().rename(columns={"unique_id": "shop", "ds": "date"})
    with pytest.raises(ValueError, match=r"'shop'.* if one holds ids or times, name it in id_col= or time_col="):
        next(TemporalSplit(horizon=6).split(df))
    with pytest.raises(ValueError, match=r"time_col=\. TemporalSplit has its own: 'unique_id' and 'ds'\."):
        next(TemporalSplit(horizon=6).split(df))
    assert len(list(TemporalSplit(horizon=6, id_col="shop", time_col="date").split(df))) == 3


def test_split__series_too_short__are_named_and_left_out_of_the_folds_before_them():
    df, split = long_frame(), TemporalSplit(horizon=6, n_splits=8)
    with pytest.warns(UserWarning, match=r"more than 48 time points of a series\. 1 of 3 series .* them: 'c'\.$"):
        folds = list(split.split(df))
    ids = [[set(df["unique_id"].iloc[part]) for part in fold] for fold in folds]
    assert ids[0] == ids[1] == [{"a", "b"}] * 2
    assert ids[2:] == [[{"a", "b", "c"}] * 2] * 6
    with pytest.raises(ValueError, match=r"more than 72 time points of a series\. Series 'a' has 72, and none more"):
        next(TemporalSplit(horizon=6, n_splits=12).split(df))


@pytest.mark.parametrize("parameter", ["horizon", "n_splits", "step_size"])
def test_split__parameter_below_1__is_an_error(parameter):
    with pytest.raises(ValueError, match=f"at least 1.*{parameter}=0"):
        next(TemporalSplit(**{"horizon": 6, parameter: 0}).split(wave()))


@pytest.mark.parametrize("form", FORMS)
def test_grid_search__frame_of_any_form__chooses_and_forecasts(form):
    df = FORMS[form]
    folds = TemporalSplit(horizon=6, n_splits=2)
    search = GridSearchCV(small(max_steps=5), {"n_layers": [1, 2]}, cv=folds, error_score="raise").fit(df)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(df).shape[0] == 6 * (1 if form == "Series" else 3)


@pytest.mark.parametrize("form", FORMS)
def test_split__covariates_in_the_frame__cuts_the_same_rows(form):
    folds, df = TemporalSplit(horizon=6, n_splits=2), FORMS[form]
    for expected, fold in zip(folds.split(df), folds.split(pd.DataFrame(df).assign(**COVARIATES[form])), strict=True):
        assert all(np.array_equal(*parts) for parts in zip(expected, fold, strict=True))


def test_cross_val_score__covariates_in_the_frame__is_the_score_of_a_forecast_that_knows_them():
    df = wave().to_frame().assign(**COVARIATES["Series"])
    forecaster = small(max_steps=5, future_cols="open", past_cols="price")
    (score,) = cross_val_score(forecaster, df, cv=TemporalSplit(horizon=6, n_splits=1), error_score="raise")
    assert score == forecaster.fit(df[:-6]).score(df)


def test_cross_val_score__fold__is_the_score_of_a_forecast_that_saw_only_its_past():
    folds = TemporalSplit(horizon=6, n_splits=1)
    (score,) = cross_val_score(small(), wave(), cv=folds)
    assert score == small().fit(wave()[:-6]).score(wave())


def test_cross_val_score__time_series_split_of_scikit_learn__works_on_wide_frames():
    scores = cross_val_score(
        small(max_steps=5), pd.DataFrame({"x": wave(), "z": wave()}), cv=TimeSeriesSplit(2, test_size=18)
    )
    assert np.isfinite(scores).all()


# LabelledSplit


@pytest.mark.parametrize(
    ("classes", "mark"), [([0, 1, -1], -1), (["a", "b", None], None), ([0.0, 1.0, np.nan], np.nan)], ids=str
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_labelled_split__any_mark__tests_each_labelled_case_once_and_trains_on_all_unlabelled(classes, mark, shuffle):
    which = np.arange(30) % 5 % 3  # 12 of the first, 12 of the second, 6 unlabelled
    y = np.array(classes, dtype=object if mark is None else None)[which]
    folds = list(LabelledSplit(n_splits=3, unlabelled=mark, shuffle=shuffle, random_state=0).split(y, y))
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.flatnonzero(which < 2))
    for train, test in folds:
        assert np.array_equal(np.union1d(train, test), np.arange(30))
        assert not np.intersect1d(train, test).size
        assert np.bincount(which[test]).tolist() == [4, 4]
        assert (which[train] == 2).sum() == 6


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            [0, 1, 1, 0, -1],
            r"n_splits=3 folds need as many labelled .* Got 2 at most, .* unlabelled=-1",
        ),
        ([-1] * 5, r"Got 0 at most, all other cases are unlabelled=-1; lower n_splits, or label more"),
        (None, "splits by labels, but the target y is None"),
    ],
)
def test_labelled_split__fewer_labels_than_folds__is_told_with_the_way_out(y, message):
    with pytest.raises(ValueError, match=message):
        list(LabelledSplit(n_splits=3).split(range(5), y))


def test_labelled_split__groups__are_on_one_side_with_their_unlabelled_cases():
    y, groups = np.tile([0, 1, -1], 12), np.repeat(list("abcdef"), 6)
    folds = list(LabelledSplit(n_splits=3, random_state=0).split(y, y, groups))
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.flatnonzero(y >= 0))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert set(groups[train]) | set(groups[test]) == set("abcdef")
        assert (y[train] == -1).sum() == len(set(groups[train])) * 2


def test_labelled_split__missing_labels_under_another_mark__says_to_set_it():
    y = ["a", "b", None, "a", "b"]
    with pytest.raises(ValueError, match=r"y contains NaN, first for case 2, .* Set unlabelled=None if NaN is"):
        list(LabelledSplit(n_splits=2).split(y, y))


def recordings() -> pd.DataFrame:
    """Rows, in no order, of 12 recordings of unequal length: of three persons, slow ones and fast ones."""
    rng = np.random.default_rng(0)
    rows = [
        (f"r{i % 5}{i}", t, np.sin(t * (1 + i % 2)) + 0.1 * rng.normal(), ["slow", "fast"][i % 2], i // 4)
        for i in range(12)
        for t in range(20 + i)
    ]
    frame = pd.DataFrame(rows, columns=["recording", "second", "x", "kind", "person"])
    return frame.sample(frac=1.0, random_state=0)


NAMES = {"id_col": "recording", "time_col": "second", "label_col": "kind", "group_col": "person"}


@pytest.mark.parametrize("form", ["long", "MultiIndex"])
def test_read_cases__shuffled_rows__gives_each_case_in_time_with_its_label_and_group(form):
    frame = recordings()
    how = NAMES
    given = frame
    if form == "MultiIndex":
        how = {name: NAMES[name] for name in ("label_col", "group_col")}
        given = frame.set_index(["recording", "second"])
    X, y, groups = read_cases(given, **how)
    assert list(y.index) == list(groups.index) == list(frame["recording"].unique())
    for id, case in zip(y.index, X, strict=True):
        rows = frame[frame["recording"] == id].sort_values("second")
        assert case["x"].tolist() == rows["x"].tolist()
        assert case.index.tolist() == rows["second"].tolist()
        assert (y[id], groups[id]) == (rows["kind"].iloc[0], rows["person"].iloc[0])


def test_read_cases__no_columns_named__gives_cases_alone_and_a_label_may_stand_once():
    frame = recordings()
    X, y, groups = read_cases(frame.drop(columns=["kind", "person"]), "recording", "second")
    assert (len(X), y, groups) == (12, None, None)
    first = ~frame["recording"].duplicated()
    y = read_cases(frame.assign(kind=frame["kind"].where(first & (frame["recording"] != "r00"))), **NAMES)[1]
    assert y.isna().sum() == 1
    assert set(y.drop("r00")) == {"slow", "fast"}


def test_read_cases__what_it_gives__is_split_by_group_and_searched():
    X, y, groups = read_cases(recordings(), **NAMES)
    classifier = TransformerClassifier(n_estimators=0)
    scores = cross_val_score(classifier, X, y, groups=groups, cv=GroupKFold(3))
    assert scores.tolist() == [1.0, 1.0, 1.0]
    assert (cross_val_predict(classifier, X, y, groups=groups, cv=GroupKFold(3)) == y).all()
    search = GridSearchCV(classifier, {"class_weight": [None, "balanced"]}, cv=GroupKFold(3), scoring="neg_log_loss")
    assert search.fit(X, y, groups=groups).best_estimator_.feature_names_in_.tolist() == ["x"]


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        ({"kind": "a"}, {"label_col": "label"}, r"no column 'label'. It has \['x', .* name one of these in label_col="),
        ({"second": lambda df: df["second"] + 1}, {"time_col": "t"}, r"columns are missing: \['t'\]"),
        ({}, {"id_col": "id"}, "Got .*; name its columns in id_col= and time_col="),
        ({"kind": lambda df: df["second"] % 2}, {}, "'kind'. Got .*, .* for 'r"),
        (
            {"person": lambda df: df["person"].where(df["recording"] != "r11")},
            {},
            "That of 'r11' is missing in .*'person'",
        ),
        ({"note": "text"}, {}, r"text in the columns \['note'\]: name them in label_col= and group_col=, or drop"),
    ],
)
def test_read_cases__a_mistake__is_told_with_the_way_out(change, how, message):
    with pytest.raises(ValueError, match=message):
        read_cases(recordings().assign(**change), **NAMES | how)
