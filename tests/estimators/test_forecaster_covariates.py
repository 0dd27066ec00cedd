"""TransformerForecaster with covariates as columns: every form of frame through every method, gaps, and mistakes."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import torch
from forecasts import COVARIATES, long_frame, seen_by_fit, small, wave, with_covariates
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV, cross_val_score

from tsformer import TransformerForecaster
from tsformer.estimators.forecasting import windows_to_forecast
from tsformer.estimators.histories import read_histories
from tsformer.model_selection import TemporalSplit
from tsformer.training.prediction import forecast_windows

FORMS = ["wide", "long", "panel"]
of_forms = pytest.mark.parametrize("form", FORMS)
CPU = torch.device("cpu")


def covarying(**changes) -> TransformerForecaster:
    return small(**COVARIATES | {"max_steps": 5} | changes)


@cache
def fitted(form: str = "wide") -> TransformerForecaster:
    return covarying().fit(with_covariates(form)[0])


def before_last(df: pd.DataFrame, n: int) -> pd.DataFrame:
    """A frame of any form without the last n rows of each series."""
    if isinstance(df.index, pd.MultiIndex):
        return df.groupby(level=0, sort=False).head(-n)
    return df.groupby("unique_id", sort=False).head(-n) if "unique_id" in df else df[:-n]


def numbers(forecast: pd.DataFrame) -> np.ndarray:
    """Forecasts alone."""
    return forecast[["y" if "y" in forecast else "sales"]].to_numpy()[:, 0]


def changed(df: pd.DataFrame, column: str, row: int, value: float) -> pd.DataFrame:
    df = df.copy()
    df.iloc[row, df.columns.get_loc(column)] = value
    return df


# Every form of frame through every method


@of_forms
def test_predict__covariates__come_back_as_targets_alone_and_want_their_rows_ahead(form):
    df, ahead = with_covariates(form)
    forecast = fitted(form).predict(future=ahead, level=80)
    names = {
        "wide": [("sales", "point"), ("sales", "lo-80"), ("sales", "hi-80")],
        "panel": [("y", "point"), ("y", "lo-80"), ("y", "hi-80")],
        "long": ["unique_id", "ds", "y", "y-lo-80", "y-hi-80"],
    }
    assert list(forecast.columns) == names[form]
    assert len(forecast) == len(ahead)
    assert forecast.notna().all(axis=None)
    if form == "long":
        assert (forecast[["unique_id", "ds"]].to_numpy() == ahead[["unique_id", "ds"]].to_numpy()).all()
    else:
        assert list(forecast.index) == list(ahead.index)
    with pytest.raises(ValueError, match=r"has future_cols, .* with the columns \['price', 'promotion'\], as future="):
        fitted(form).predict(df)


@of_forms
@pytest.mark.parametrize("target", [{}, {"sales": np.nan, "y": np.nan}], ids=["absent", "missing"])
def test_predict__rows_ahead_given_as_histories__asks_for_them_as_future(target, form):
    ahead = with_covariates(form)[1]
    target = {name: value for name, value in target.items() if (name == "sales") == (form == "wide")}
    for method in (fitted(form).predict, partial(fitted(form).sample, 2)):
        with pytest.raises(ValueError, match=r"if these are rows ahead, pass them to predict as future=\.$"):
            method(ahead.assign(**target))


@of_forms
def test_predict__future__may_hold_more_columns_series_and_times_and_another_order(form):
    df, ahead = with_covariates(form, n_ahead=8)
    given = pd.concat([df, ahead]).sample(frac=1, random_state=0)
    assert (
        fitted(form)
        .predict(future=given)
        .equals(fitted(form).predict(future=ahead[["price", "promotion", *keys(form)]]))
    )


def keys(form: str) -> list[str]:
    return ["unique_id", "ds"] if form == "long" else []


@of_forms
@pytest.mark.parametrize("column", ["visits", "price"])
def test_predict__another_value_in_the_history__changes_the_forecast(column, form):
    df, ahead = with_covariates(form)
    other = changed(df, column, -2, 9.0)
    before, after = (numbers(fitted(form).predict(each, future=ahead)) for each in (df, other))
    assert not np.allclose(after[-6:], before[-6:])
    if form != "wide":  # the last series alone
        assert_allclose(after[:-6], before[:-6], rtol=1e-12)


@of_forms
@pytest.mark.parametrize("column", ["price", "promotion"])
def test_predict__another_value_ahead__changes_that_series_alone(column, form):
    ahead = with_covariates(form)[1]
    ahead["promotion"] = ahead["promotion"].astype(float)
    before, after = (numbers(fitted(form).predict(future=each)) for each in (ahead, changed(ahead, column, -6, 9.0)))
    assert not np.allclose(after[-6:], before[-6:])
    assert_allclose(after[:-6], before[:-6], rtol=1e-12)


@of_forms
def test_sample__covariates__draws_paths_in_the_form_of_predict(form):
    ahead = with_covariates(form)[1]
    paths = fitted(form).sample(3, future=ahead)
    assert len(paths) == 3 * len(ahead)
    assert list(paths.columns) == list(pd.DataFrame(fitted(form).predict(future=ahead)).columns)
    assert paths.equals(fitted(form).sample(3, future=ahead))


@of_forms
def test_update__covariates__forecasts_as_if_all_had_been_given(form):
    df, ahead = with_covariates(form)
    first = before_last(df, 6)
    forecaster = covarying().fit(first)
    expected = forecaster.predict(df, future=ahead)
    rest = df.drop(first.index) if form != "long" else df.loc[df.index.difference(first.index)]
    assert forecaster.update(rest).predict(future=ahead).equals(expected)


@seen_by_fit
@of_forms
def test_backtest__covariates__are_read_at_the_times_of_each_window(form):
    df, _ = with_covariates(form)
    windows = fitted(form).backtest(df, n_windows=2)
    for i, window in enumerate(np.split(numbers(windows), 2)):
        known = before_last(df, 6 * (2 - i))
        assert_allclose(window, numbers(fitted(form).predict(known, future=df)), rtol=1e-12)


@seen_by_fit
@pytest.mark.parametrize("refit", [False, True])
def test_backtest__past_and_target_values_after_the_cutoff__change_no_forecast(refit):
    df, _ = with_covariates()
    later = df.copy()
    later.iloc[-6:, later.columns.get_indexer(["sales", "visits"])] += 1000.0
    first, second = (fitted().backtest(each, refit=refit) for each in (df, later))
    assert first["sales", "point"].equals(second["sales", "point"])


@pytest.mark.parametrize("horizon", [2, 14])
def test_backtest__shorter_horizon_than_trained__is_that_of_predict(horizon):
    df, _ = with_covariates("long", n_ahead=0)
    known = df.groupby("unique_id").cumcount(ascending=False) >= horizon
    forecaster = covarying(calendar=True, horizon=15, max_steps=2).fit(df[known])
    forecaster.set_params(horizon=horizon)
    past, expected = forecaster.backtest(df), forecaster.predict(df[known], future=df)
    assert_allclose(past["y"], expected["y"], rtol=1e-9)


@of_forms
def test_score__covariates__is_that_of_a_forecast_by_them(form):
    df, _ = with_covariates(form)
    history = before_last(df, 6)
    forecast, y = numbers(fitted(form).predict(history, future=df)), "sales" if form == "wide" else "y"
    errors = []
    for i, (_, rows) in enumerate(df.groupby(np.zeros(len(df)) if form == "wide" else "unique_id")):
        values = rows[y].to_numpy()
        scale = np.abs(values[12:-6] - values[:-18]).mean()
        errors.append(np.abs(values[-6:] - forecast[6 * i : 6 * i + 6]).mean() / scale)
    assert fitted(form).score(df) == pytest.approx(-np.mean(errors))


@of_forms
def test_cross_validation__future_cols__needs_no_metadata_routing(form):
    df, _ = with_covariates(form)
    folds = TemporalSplit(horizon=6, n_splits=2)
    search = GridSearchCV(covarying(max_steps=2), {"n_layers": [0, 1]}, cv=folds, error_score="raise").fit(df)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scores = cross_val_score(covarying(max_steps=2), df, cv=folds)
    assert scores[-1] == covarying(max_steps=2).fit(before_last(df, 6)).score(df)


# What goes with what


def test_fit__wide_frame__covariates_go_with_every_target():
    df, ahead = with_covariates()
    two = df.assign(z=df["sales"] * 2)
    both = fitted().predict(two, future=ahead)
    assert list(both.columns) == ["sales", "z"]
    assert_allclose(both["sales"], fitted().predict(df, future=ahead)["sales"], rtol=1e-12)
    assert_allclose(both["z"], 2 * both["sales"], rtol=1e-6)  # windows are scaled one by one


def test_fit__target_cols__leaves_no_column_over():
    df, _ = with_covariates()
    with pytest.raises(ValueError, match=r"Got the further columns \['note'\]: name further targets in target_cols="):
        covarying(target_cols="sales").fit(df.assign(note=1.0))
    assert covarying(target_cols=["sales"], max_steps=1).fit(df).series_.names == ["sales"]


def test_predict__future_without_ids__goes_with_every_series():
    df = long_frame()[lambda df: df["unique_id"] != "b"].groupby("unique_id").tail(40)
    df = df.assign(
        ds=pd.date_range("2015-01-31", periods=40, freq="ME").append(
            [pd.date_range("2015-01-31", periods=40, freq="ME")]
        )
    )
    df["price"] = np.tile(np.linspace(0.0, 1.0, 40), 2)
    forecaster = small(future_cols="price", max_steps=2).fit(df)
    common = pd.DataFrame({"ds": pd.date_range("2018-05-31", periods=6, freq="ME"), "price": np.linspace(2.0, 3.0, 6)})
    each = pd.concat([common.assign(unique_id=name) for name in "ac"])
    assert forecaster.predict(future=common).equals(forecaster.predict(future=each))


def test_fit__calendar_beside_covariates__is_one_more():
    df, ahead = with_covariates("long")
    forecaster = covarying(calendar=True).fit(df)
    assert forecaster.covariate_scaler_.n_future == 3 + 2
    assert forecaster.predict(future=ahead).notna().all(axis=None)


# What is missing


@pytest.mark.parametrize("column", ["visits", "price", "promotion"])
def test_predict__missing_in_the_history__is_masked_whatever_stands_there(column):
    df, ahead = with_covariates("panel")
    gappy = changed(df.astype(float), column, -2, np.nan)
    forecaster = covarying().fit(gappy)
    assert forecaster.predict(future=ahead).notna().all(axis=None)
    series = read_histories(forecaster, gappy)
    assert np.isnan(np.concatenate([*series.past, *series.future], axis=None)).sum() == 1
    (batch,) = windows_to_forecast(forecaster, series, 6, ahead)
    masked = ~batch.observed.all(dim=-1) & batch.observed[..., 0]
    assert int(masked.sum()) == 1
    other = replace(batch, x=torch.where(batch.observed, batch.x, 99.0))
    points = [forecast_windows(forecaster.model_, [each], 6, CPU)[0] for each in (batch, other)]
    assert np.array_equal(*points)
    assert_allclose(points[0].ravel(), numbers(forecaster.predict(gappy, future=ahead)), rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predict__missing_ahead__is_told_with_series_and_time(value):
    ahead = changed(with_covariates("long")[1], "price", 8, value)
    message = r"future contains NaN or infinity in column 'price', .* Series 'b' at 2020-03-31\. Fill it"
    with pytest.raises(ValueError, match=message):
        fitted("long").predict(future=ahead)
    with pytest.raises(ValueError, match=message):
        fitted("long").sample(2, future=ahead)


def test_predict__rows_ahead_absent__are_told_with_series_and_time():
    ahead = with_covariates("long")[1].drop(index=[77, 143])
    message = r"a row for each time of the horizon\. Series 'a' has none for 2021-06-30; 1 more series lack rows"
    with pytest.raises(ValueError, match=message):
        fitted("long").predict(future=ahead)


def test_predict__rows_ahead_twice__are_refused():
    ahead = with_covariates()[1]
    with pytest.raises(ValueError, match=r"future has duplicate times: 2021-06-30"):
        fitted().predict(future=pd.concat([ahead, ahead[-1:] + 1]))


@seen_by_fit
@pytest.mark.parametrize("how", ["backtest", "score", "calibrated fit"])
def test_horizon_in_the_past__missing_ahead__is_told_with_series_and_time(how):
    df = changed(with_covariates("panel")[0], "price", -3, np.nan)
    calls = {"backtest": fitted("panel").backtest, "score": fitted("panel").score}
    call = calls.get(how) or covarying(calibration_windows=1).fit
    with pytest.raises(
        ValueError, match=r"df contains NaN .* 'price', which must be known ahead: Series 'c' at 2018-10-31"
    ):
        call(df)


def test_fit__covariate_without_a_value__names_its_column():
    df, _ = with_covariates()
    with pytest.raises(ValueError, match=r"A covariate must have a value"):
        covarying().fit(df.assign(price=np.nan))


# Mistakes


@pytest.mark.parametrize(
    "columns",
    [
        {"future_cols": ["price"], "past_cols": ["visits", "promotion"]},
        {"past_cols": None, "future_cols": ["price", "promotion", "visits"]},
        {"static_cols": None, "target_cols": ["sales", "size"]},
    ],
    ids=["future to past", "past to future", "static to target"],
)
def test_columns__changed_after_fit__are_refused(columns):
    df, _ = with_covariates()
    forecaster = covarying(max_steps=1).fit(before_last(df, 6)).set_params(**columns)
    message = (
        r"was fitted with past_cols=\['visits'\], future_cols=\['price', 'promotion'\], static_cols=\['size'\]\. Got"
    )
    calls = [forecaster.predict, forecaster.backtest, forecaster.score, lambda df: forecaster.update(df[-6:])]
    for call in [*calls, forecaster.set_params(warm_start=True).fit]:
        with pytest.raises(ValueError, match=message):
            call(df)
    forecaster.set_params(**{"target_cols": None} | COVARIATES)
    assert forecaster.predict(df, future=with_covariates()[1]).notna().all(axis=None)


def test_predict__future_without_future_cols__is_refused():
    with pytest.raises(ValueError, match=r"future= takes rows of future_cols, of which the forecaster has none"):
        small(max_steps=1).fit(wave()).predict(future=wave())


def test_fit__column_of_two_kinds__is_refused():
    df, _ = with_covariates()
    with pytest.raises(ValueError, match=r"A column is a covariate of one kind\. Got \['price'\] in more than one"):
        covarying(past_cols=["visits", "price"]).fit(df)
    with pytest.raises(ValueError, match=r"A column is a target or a covariate\. Got \['visits'\] as both"):
        covarying(target_cols=["sales", "visits"]).fit(df)


def test_fit__static_column_that_varies__is_told_with_its_series():
    df = changed(with_covariates("long")[0], "size", 80, 9.0)
    with pytest.raises(ValueError, match=r"Series 'b' has several values in the static column 'size'"):
        covarying().fit(df)


def test_predict__covariate_that_did_not_vary_in_fit__has_no_effect_and_a_warning_where_it_varies():
    df, ahead = with_covariates()
    with pytest.warns(UserWarning, match=r"The covariates \['price'\] do not vary"):
        flat = covarying().fit(df.assign(price=0.1))
    expected = flat.predict(future=ahead.assign(price=0.1))
    with pytest.warns(UserWarning, match="'price' did not vary in fit"):
        assert_allclose(flat.predict(future=ahead.assign(price=1e300)), expected, rtol=0)


@pytest.mark.parametrize("head", ["quantile", "student_t"])
@pytest.mark.parametrize("unit", [1e-300, 1e200, 1e303])
def test_predict__extreme_targets_and_covariates__is_finite(unit, head):
    df, ahead = with_covariates()
    df = df.assign(sales=df["sales"] * unit, price=df["price"] * unit)
    forecaster = covarying(head=head).fit(df)
    assert np.isfinite(forecaster.predict(future=ahead.assign(price=ahead["price"] * unit), level=80)).all(axis=None)
