"""TransformerForecaster: frames of every form in and out, promises of a forecast, and mistakes."""

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from forecasts import long_frame, seen_by_fit, small, wave
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tsformer import TransformerForecaster
from tsformer.data.windows import join, training_windows
from tsformer.models.encoders import ENCODERS
from tsformer.models.heads import HEADS


@pytest.fixture(scope="module")
def fitted() -> TransformerForecaster:
    return small().fit(wave())


def test_predict__series__returns_the_months_that_follow(fitted):
    forecast = fitted.predict()
    assert isinstance(forecast, pd.Series)
    assert forecast.name == "sales"
    assert list(forecast.index) == list(pd.date_range("2021-01-31", periods=6, freq="ME"))
    assert forecast.notna().all()


def test_predict__wide_frame__returns_its_columns():
    df = pd.DataFrame({"x": wave(), "z": wave(level=5.0)})
    forecast = small().fit(df).predict(quantiles=[0.1, 0.9])
    assert list(forecast.columns) == [("x", 0.1), ("x", 0.9), ("z", 0.1), ("z", 0.9)]
    assert (forecast["x"][0.1] <= forecast["x"][0.9]).all()


def test_predict__long_frame__continues_each_series_from_its_own_end():
    df = long_frame()
    forecast = small().fit(df).predict(level=[80])
    assert list(forecast.columns) == ["unique_id", "ds", "y", "y-lo-80", "y-hi-80"]
    assert (forecast.groupby("unique_id").size() == 6).all()
    ends = df.groupby("unique_id")["ds"].max()
    assert (forecast.groupby("unique_id")["ds"].min() == ends + pd.offsets.MonthEnd(1)).all()
    assert (forecast["y-lo-80"] <= forecast["y"]).all()
    assert (forecast["y"] <= forecast["y-hi-80"]).all()


def test_predict__multiindex__returns_the_same_levels():
    df = long_frame().set_index(["unique_id", "ds"])
    forecast = small().fit(df).predict()
    assert forecast.index.names == ["unique_id", "ds"]
    assert list(forecast.columns) == ["y"]


def test_predict__integers_as_times__goes_on_counting():
    forecast = small().fit(pd.Series(wave().to_numpy())).predict()
    assert list(forecast.index) == list(range(72, 78))


def test_predict__twice__is_equal(fitted):
    assert fitted.predict().equals(fitted.predict())


def test_predict__one_of_many_series__does_not_depend_on_the_others():
    df = long_frame()
    forecaster = small().fit(df)
    together = forecaster.predict().set_index("unique_id")["y"]
    for name in "abc":
        alone = forecaster.predict(df[df["unique_id"] == name])["y"]
        assert_allclose(alone, together[name], rtol=1e-12)


def test_predict__series_never_seen__is_forecast(fitted):
    forecast = fitted.predict(pd.DataFrame({"other": wave(50, 1e6, "2001-01-31")}))
    assert list(forecast.columns) == ["other"]
    assert (forecast["other"].between(0.9e6, 1.1e6)).all()


def test_predict__horizon_longer_than_trained__begins_with_the_shorter_forecast(fitted):
    longer = fitted.predict(horizon=20)
    assert len(longer) == 20
    assert_allclose(longer[:6], fitted.predict(), rtol=1e-12)


def test_predict__values_shifted_and_scaled__moves_the_forecast_alike(fitted):
    """Windows are scaled one by one, so a trend far outside the training range is no obstacle."""
    assert_allclose(fitted.predict(1000.0 * wave() - 7.0), 1000.0 * fitted.predict() - 7.0, rtol=1e-6)


def test_predict__missing_value__is_masked_whatever_stood_there(fitted):
    gappy = wave()
    gappy.iloc[[3, 60]] = np.nan
    assert fitted.predict(gappy).notna().all()
    assert not fitted.predict(gappy).equals(fitted.predict(wave()))


def test_predict__history_shorter_than_the_context__is_forecast(fitted):
    assert fitted.predict(wave()[-3:].asfreq("ME")).notna().all()


def test_predict__single_point_of_known_frequency__is_forecast():
    forecast = small(freq="ME").fit(wave()).predict(wave()[-1:])
    assert forecast.notna().all()


def test_predict__constant_series__stays_where_it_was():
    constant = pd.Series(7.0, index=wave().index)
    assert_allclose(small().fit(constant).predict(), 7.0, atol=0.01)


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"point"}))
def test_predict__quantiles_of_every_distribution__rise(head):
    levels = [0.01, 0.1, 0.5, 0.9, 0.99]
    counts = wave().round()
    forecast = small(head=head).fit(counts).predict(quantiles=levels)
    assert list(forecast.columns) == levels
    assert (np.diff(forecast.to_numpy(), axis=1) >= 0.0).all()
    assert forecast.iloc[:, -1].gt(forecast.iloc[:, 0]).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_fit__every_encoder__forecasts(encoder):
    assert small(encoder=encoder).fit(wave()).predict().between(0.0, 300.0).all()


@pytest.mark.slow
def test_fit__promotion_known_ahead__lowers_the_error_by_at_least_30_percent():
    promotion = np.random.default_rng(1).random(312) < 0.3
    sales = 50.0 + 20.0 * promotion + np.random.default_rng(2).normal(size=312)
    df = pd.DataFrame({"sales": sales, "promotion": promotion.astype(float)})
    options = {"horizon": 12, "max_steps": 400, "random_state": 0, "context_length": 48}
    blind = TransformerForecaster(**options).fit(df["sales"][:300]).predict()
    forecaster = TransformerForecaster(future_cols="promotion", **options).fit(df[:300])
    told = forecaster.predict(future=df[300:])["sales"]
    assert (told - df["sales"][300:]).abs().mean() < 0.7 * (blind - df["sales"][300:]).abs().mean()


def test_fit__y_beside_df__is_refused_and_told_where_covariates_go():
    with pytest.raises(ValueError, match=r"y must be None: .* are in df\. Got Series; .* future_cols="):
        small().fit(pd.DataFrame({"price": wave()}), wave())


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"point"}))
def test_sample__every_distribution__draws_values_within_its_far_quantiles(head):
    forecaster = small(head=head).fit(wave().round())
    paths = forecaster.sample(50)["sales"].unstack("path")
    far = forecaster.predict(quantiles=[1e-4, 1 - 1e-4])[:3]  # the first patch: later ones know what was drawn
    assert paths[:3].ge(far[1e-4], axis=0).all(axis=None)
    assert paths[:3].le(far[1 - 1e-4], axis=0).all(axis=None)
    assert paths.nunique(axis=1).gt(5).all()


def test_fit__negative_binomial__takes_counts_only():
    for change, shown in ((-1.0, "-1"), (0.5, "0.5")):
        counts = wave().round()
        counts.iloc[2] = change
        with pytest.raises(ValueError, match=rf"takes counts\. The series has {shown} in column 'sales' at 2015-03-31"):
            small(head="negative_binomial").fit(counts)


def test_predict__high_level_and_small_swings__moves_with_the_level(fitted):
    """A meter that reads 1e9 and swings by 10, of which the network is told no more than how high it is."""
    assert_allclose(fitted.predict(wave() + 1e9) - 1e9, fitted.predict(), atol=1.0)


def test_sample__paths__differ_and_repeat_and_spread_as_the_quantiles(fitted):
    paths = fitted.sample(200)
    assert paths.index.names[0] == "path"
    assert len(paths) == 200 * 6
    assert paths.equals(fitted.sample(200))
    bands = fitted.predict(level=[80])
    first = paths.xs(bands.index[0], level=1)["sales"]
    assert first.nunique() == 200
    assert 0.7 <= first.between(bands["lo-80"].iloc[0], bands["hi-80"].iloc[0]).mean() <= 0.9


@seen_by_fit
def test_backtest__long_frame__forecasts_each_window_from_what_came_before(fitted):
    df = long_frame()
    forecaster = small().fit(df)
    windows = forecaster.backtest(df, n_windows=3, step_size=2)
    assert list(windows.columns) == ["unique_id", "ds", "y", "y-actual", "cutoff"]
    assert len(windows) == 3 * 3 * 6
    ends = df.groupby("unique_id")["ds"].max()
    assert (windows.groupby("unique_id")["ds"].max() == ends).all()
    for (name, cutoff), window in windows.groupby(["unique_id", "cutoff"]):
        before = df[(df["unique_id"] == name) & (df["ds"] <= cutoff)]
        assert_allclose(window["y"], forecaster.predict(before)["y"], rtol=1e-12)


@seen_by_fit
@pytest.mark.parametrize("refit", [False, True])
def test_backtest__values_after_the_cutoff__change_no_forecast_of_it(refit, fitted):
    changed = wave()
    changed.iloc[-6:] += 1000.0
    first, second = (fitted.backtest(df, refit=refit) for df in (wave(), changed))
    assert first["point"].equals(second["point"])
    assert (first["cutoff"] == wave().index[-7]).all()


@seen_by_fit
def test_backtest__level_and_quantiles__are_those_of_predict(fitted):
    for asked in ({"level": [80]}, {"quantiles": [0.1, 0.5]}):
        window = fitted.backtest(wave(), **asked)
        expected = fitted.predict(wave()[:-6], **asked)
        assert [*window.columns] == ["point", *expected.columns.drop("point", errors="ignore"), "actual", "cutoff"]
        assert_allclose(window[expected.columns], expected, rtol=1e-12)


ASKED = [{}, {"level": 80}, {"quantiles": [0.5]}]


@seen_by_fit
@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_backtest__every_form__has_what_came_beside_the_point_forecast(asked, fitted):
    series, long = wave(), long_frame()
    wide, panel = pd.DataFrame({"x": series, "z": -series}), long.set_index(["unique_id", "ds"])
    for df, point, actual in (
        (series, "point", "actual"),
        (series.rename(None), "point", "actual"),
        (wide, [("x", "point"), ("z", "point")], [("x", "actual"), ("z", "actual")]),
        (panel, ("y", "point"), ("y", "actual")),
        (panel["y"], "point", "actual"),
    ):
        past = fitted.backtest(df, n_windows=2, step_size=3, **asked)
        assert_allclose(pd.DataFrame(past[actual]), pd.DataFrame(df).reindex(past.index), rtol=0)
        assert past[point].notna().all(axis=None)
    past = fitted.backtest(long, n_windows=2, step_size=3, **asked)
    assert_allclose(past["y-actual"], panel["y"].reindex(past.set_index(["unique_id", "ds"]).index), rtol=0)
    assert (past["y"] != past["y-actual"]).all()


@seen_by_fit
def test_backtest__missing_values__are_no_actual_values_unless_a_number_fills_them(fitted):
    gaps = wave()
    gaps.iloc[[68, 70]] = np.nan
    for fill, expected in ((None, np.nan), ("ffill", np.nan), ("interpolate", np.nan), (0.0, 0.0)):
        actual = small(fill=fill, max_steps=1).fit(gaps[:-6]).backtest(gaps)["actual"]
        assert_allclose(actual, gaps[-6:].fillna(expected), rtol=0)


def test_backtest__target_called_cutoff__is_an_error(fitted):
    with pytest.raises(ValueError, match=r"has a column 'cutoff'\. Rename that column"):
        fitted.backtest(wave().to_frame("cutoff"))


def test_backtest__more_windows_than_there_is_history__is_an_error(fitted):
    with pytest.raises(
        ValueError, match=r"n_windows=12 needs more than 72 time points of a series\. The series has 72; lower"
    ):
        fitted.backtest(wave(), n_windows=12)


def test_score__is_minus_mase_of_the_last_steps(fitted):
    df = wave()
    scale = np.abs(df[:-6].to_numpy()[12:] - df[:-6].to_numpy()[:-12]).mean()
    expected = -np.abs(fitted.predict(df[:-6]).to_numpy() - df[-6:].to_numpy()).mean() / scale
    assert fitted.score(df) == pytest.approx(expected)


def test_score__constant_series__does_not_count(fitted):
    df = pd.DataFrame({"sales": wave(), "flat": 3.0})
    with pytest.warns(UserWarning, match="Left out 1 of 2 series whose history does not vary"):
        assert fitted.score(df) == pytest.approx(fitted.score(wave()))
    with pytest.raises(ValueError, match=r"only series whose history does not vary .*: none has a scale"):
        fitted.score(df["flat"])


def test_fit__frequency__is_reported(fitted):
    assert fitted.freq_ == pd.offsets.MonthEnd()


def test_fit__frame_changed_afterwards__does_not_change_the_forecast():
    df = wave()
    forecaster = small().fit(df)
    expected = forecaster.predict()
    df.iloc[-1] = 1e6
    assert forecaster.predict().equals(expected)
    assert forecaster.update(wave(73)[-1:]).predict().equals(forecaster.predict(wave(73)))


def test_training_windows__near_the_end_of_a_series__have_a_part_of_the_horizon_and_no_covariates_beyond():
    values = np.arange(10.0)[:, None]
    histories = join([values] * 2, [values[:, :0]] * 2, [values + 1] * 2, 3, (2, 0))
    batch = next(iter(training_windows(histories, None, 4, 3, 64, torch.Generator().manual_seed(0))))
    assert batch.seasons == (2, 0)
    present = batch.x[:, -1, 0] + 1
    assert set(present.tolist()) == set(range(2, 10))
    times = present[:, None] + torch.arange(3)
    assert torch.equal(batch.y_observed, times < 10)
    assert torch.equal(batch.future[..., 0], torch.where(times < 10, times + 1.0, 0.0))


def test_fit__same_seed__same_forecast_and_global_random_state_untouched():
    torch_state = torch.random.get_rng_state()
    first, second = small().fit(wave()).predict(), small().fit(wave()).predict()
    assert first.equals(second)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert not first.equals(small(random_state=1).fit(wave()).predict())


def test_forecaster__cloned_and_pickled__keeps_its_contract(fitted):
    assert clone(fitted).get_params() == fitted.get_params()
    loaded = pickle.loads(pickle.dumps(fitted))
    assert loaded.predict().equals(fitted.predict())


@pytest.mark.slow
def test_fit__seasonal_series_with_trend__beats_seasonal_naive():
    df = wave(120)
    assert TransformerForecaster(horizon=12, max_steps=400, random_state=0).fit(df[:-12]).score(df) > -0.7


def test_early_stopping__last_horizon_held_back__is_not_trained_on():
    options = {"early_stopping": True, "refit": False, "max_steps": 60, "average_decay": None}
    changed = wave()
    changed.iloc[-6:] += 1000.0
    histories = [small(**options).fit(df).history_ for df in (wave(), changed)]
    assert histories[0]["loss"] == histories[1]["loss"]
    assert histories[0]["validation_loss"] != histories[1]["validation_loss"]


def test_early_stopping__no_gain__stops_after_patience_and_refit_uses_the_steps():
    options = {"early_stopping": True, "n_iter_no_change": 1, "tol": 100.0, "max_steps": 400}
    stopped = small(**options, refit=False).fit(wave())
    assert len(stopped.history_["step"]) == 1
    refitted = small(**options).fit(wave())
    assert refitted.n_iter_ == stopped.n_iter_
    assert not refitted.predict().equals(stopped.predict())


@pytest.mark.parametrize(("n", "stops"), [(119, False), (120, True)])
def test_early_stopping__auto__stops_early_on_series_of_20_horizons(n, stops):
    forecaster = small(refit=False).fit(wave(n))
    assert ("validation_loss" in forecaster.history_) == stops


def test_early_stopping__part_held_back__is_the_validation_fraction_of_each_series():
    options = {"early_stopping": True, "refit": False, "average_decay": None, "validation_fraction": 0.5}
    changed = wave()
    changed.iloc[36:] += 1000.0
    assert small(**options).fit(wave()).history_["loss"] == small(**options).fit(changed).history_["loss"]


def test_early_stopping__series_too_short__says_so():
    with pytest.raises(ValueError, match=r"holds back the last 6 time points .* Got a series of 7"):
        small(early_stopping=True, season=1).fit(wave(7))


def test_warm_start__second_fit__goes_on_from_the_first():
    forecaster = small(warm_start=True, max_steps=60).fit(wave())
    expected = forecaster.predict()
    forecaster.set_params(learning_rate=1e-12, max_steps=1).fit(wave())
    assert_allclose(forecaster.predict(), expected, rtol=1e-6)
    assert not np.allclose(forecaster.set_params(warm_start=False).fit(wave()).predict(), expected, rtol=1e-6)


# Mistakes


def test_predict__before_fit__says_so():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        small().predict()


def test_predict__quantiles_and_level__is_an_error(fitted):
    with pytest.raises(ValueError, match="quantiles or level, not both"):
        fitted.predict(quantiles=[0.1], level=[80])


@pytest.mark.parametrize("quantiles", [[0.0], [1.5], [0.5, -1.0]])
def test_predict__quantile_out_of_range__is_an_error(quantiles, fitted):
    with pytest.raises(ValueError, match="quantiles must lie between 0 and 1"):
        fitted.predict(quantiles=quantiles)


@pytest.mark.parametrize("level", [0.9, 0, 100])
def test_predict__level_no_percentage__is_an_error(level, fitted):
    with pytest.raises(ValueError, match=rf"percentage in the range \[1, 100\), such as 90\. Got {float(level)}"):
        fitted.predict(level=level)


@pytest.mark.parametrize("n", [0, 2.5, True])
def test_count__no_positive_int__is_an_error(n, fitted):
    for name, call in {
        "n": lambda: fitted.sample(n),
        "n_windows": lambda: fitted.backtest(wave(), n_windows=n),
        "step_size": lambda: fitted.backtest(wave(), step_size=n),
    }.items():
        with pytest.raises(ValueError, match=rf"^{name} must be an int in the range \[1, inf\)\. Got {n} instead"):
            call()


@pytest.mark.parametrize("horizon", [0, -1, 2.5, "6"])
def test_predict__horizon_no_positive_int__is_an_error(horizon, fitted):
    with pytest.raises(ValueError, match="horizon must be an int in the range"):
        fitted.predict(horizon=horizon)


def test_predict__level_or_quantiles_that_are_no_numbers__is_an_error(fitted):
    with pytest.raises(ValueError, match=r"level must be a number or a list of them, such as \[80, 95\]\. Got 'wide'"):
        fitted.predict(level="wide")
    with pytest.raises(ValueError, match=r"quantiles must be a number or a list of them, .* Got \['low', 'high'\]"):
        fitted.predict(quantiles=["low", "high"])


def test_predict__point_head__has_no_quantiles():
    forecaster = small(head="point").fit(wave())
    with pytest.raises(ValueError, match=r"head='point' has no quantiles, nor samples\. Use head='quantile'"):
        forecaster.sample(2)
    assert forecaster.predict().notna().all()
    with pytest.raises(ValueError, match=r"head='point' has no quantiles, nor samples\. Use head='quantile'"):
        forecaster.predict(level=[80])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda df: df.drop(df.index[5]), "2015-06-30"),
        (lambda df: pd.concat([df, df[5:6]]), "duplicate"),
        (lambda df: df.astype(str), "numeric|number"),
        (lambda df: df * np.nan, "NaN"),
        (lambda df: df.replace(df.iloc[3], np.inf), "infinity"),
        (lambda df: df[:0], "a minimum of 1 row"),
    ],
    ids=["gap", "duplicate", "text", "all missing", "infinity", "empty"],
)
def test_fit__mistaken_frame__says_what_is_wrong(break_it, message):
    with pytest.raises((ValueError, TypeError), match=message):
        small().fit(break_it(wave()))


def test_fit__gap_and_freq__is_repaired_by_masking():
    df = wave().drop(wave().index[5])
    assert small(freq="ME").fit(df).predict().notna().all()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("horizon", 0), ("head", "normal"), ("scheduled_sampling", 2.0), ("context_length", "long")],
)
def test_fit__wrong_parameter__is_told_in_the_words_of_scikit_learn(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of TransformerForecaster must be"):
        small(**{parameter: value}).fit(wave())


def test_score__series_not_longer_than_the_horizon__is_an_error(fitted):
    with pytest.raises(ValueError, match=r"horizon=6 .* more than 6 time points .* The series has 4"):
        fitted.score(wave()[:4])


# Bands corrected by windows held back


def test_calibration_windows__counts__do_not_widen_bands_for_ties():
    counts = np.random.default_rng(0).poisson(0.5, size=(72, 30)).astype(float)
    df = pd.DataFrame(counts, index=wave(72).index).add_prefix("s")
    fitted = small(head="negative_binomial", max_steps=60, context_length=12, calibration_windows=2).fit(df[:-6])
    bands = fitted.predict(quantiles=[0.25, 0.75])
    assert bands.xs(0.75, axis=1, level=1).to_numpy().mean() < 2


def test_calibration_windows__refused__leaves_the_fitted_forecaster_as_it_was():
    fitted = small(calibration_windows=1).fit(wave())
    before = fitted.predict(level=80)
    with pytest.raises(ValueError, match="calibration_windows=50"):
        fitted.set_params(calibration_windows=50).fit(wave())
    pd.testing.assert_frame_equal(fitted.predict(level=80), before)


def test_calibration_windows__level_rarer_than_the_values_tell__is_not_narrowed():
    plain, calibrated = small().fit(wave()[:-6]), small(calibration_windows=1).fit(wave())
    width = [
        forecast["hi-99.9"] - forecast["lo-99.9"]
        for forecast in (plain.predict(wave(), level=99.9), calibrated.predict(level=99.9))
    ]
    assert (width[1] >= width[0] - 1e-6).all()


@pytest.mark.parametrize("head", ["quantile", "student_t"])
def test_calibration_windows__network_hardly_trained__bands_hold_nearly_as_often_as_they_say(head):
    """Its own bands of 80 % are made for series that are harder to forecast, and hold all values."""
    values = 10.0 * np.sin(np.arange(72) * np.pi / 6)[:, None] + np.random.default_rng(0).normal(size=(72, 40))
    df = pd.DataFrame(values, index=wave(72).index).add_prefix("s")
    wrong = {}
    for n_windows in (0, 2):
        fitted = small(head=head, max_steps=1, learning_rate=1e-9, calibration_windows=n_windows).fit(df[:-6])
        bands = fitted.predict(quantiles=[0.1, 0.9])
        low, high = (bands.xs(quantile, axis=1, level=1) for quantile in (0.1, 0.9))
        wrong[n_windows] = abs(((df[-6:] >= low) & (df[-6:] <= high)).to_numpy().mean() - 0.8)
    assert wrong[2] < 0.08
    assert wrong[2] < wrong[0] - 0.05


def test_calibration_windows__last_windows__are_not_trained_on_but_forecast_from():
    sales = wave()
    short = small().fit(sales[:-12])
    calibrated = small(calibration_windows=2).fit(sales)
    assert_allclose(calibrated.predict(), short.predict(sales))
    bands = calibrated.predict(level=[50, 90])
    assert (bands["lo-90"] <= bands["lo-50"]).all()
    assert (bands["lo-50"] <= bands["point"]).all()
    assert (bands["point"] <= bands["hi-50"]).all()


def test_calibration_windows__missing_values_held_back__do_not_count():
    sales = wave()
    sales.iloc[[-3, -5]] = np.nan
    fitted = small(calibration_windows=2).fit(sales)
    assert len(fitted.conformity_scores_) == 10


@seen_by_fit
@pytest.mark.parametrize("max_steps", [0, 1])
def test_backtest__windows_that_quantiles_were_corrected_by__warns(max_steps):
    sales = wave()
    fitted = TransformerForecaster(horizon=6, calibration_windows=2, max_steps=max_steps).fit(sales)
    message = (
        r"Quantiles were corrected by what they are to hold: The series up to 2020-12-31\. From 2020-01-31 on .*refit"
    )
    with pytest.warns(UserWarning, match=message) as record:
        fitted.backtest(sales, n_windows=2, level=80)
    assert [each.filename for each in record] == [__file__]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Quantiles were corrected")
        fitted.backtest(sales, n_windows=2)
        later = pd.Series(1.0, pd.date_range(sales.index[-1], periods=13, freq="ME")[1:], name=sales.name)
        fitted.backtest(pd.concat([sales, later]), n_windows=2, level=80)
        fitted.backtest(sales, level=80, refit=True)


def test_backtest__of_a_series_from_the_end_of_february__has_its_own_times():
    step = pd.DateOffset(months=1)
    ends = pd.DatetimeIndex([pd.Timestamp("2024-12-31") - (i * step) for i in range(60)][::-1])
    forecaster = TransformerForecaster(horizon=3, freq=step, max_steps=0).fit(pd.Series(np.arange(60.0), ends))
    short = pd.Series(np.arange(4.0), ends[-11:-7])
    assert list(forecaster.backtest(short).index) == list(short.index[1:])


def test_calibration_windows__set_to_0_and_fitted_again__corrects_no_more():
    fitted = small(calibration_windows=2).fit(wave()).set_params(calibration_windows=0).fit(wave())
    pd.testing.assert_frame_equal(fitted.predict(level=80), small().fit(wave()).predict(level=80))


def test_calibration_windows__what_it_cannot_do__is_an_error():
    with pytest.raises(ValueError, match="calibration_windows=1 corrects quantiles, of which head='point' has none"):
        small(head="point", calibration_windows=1).fit(wave())
    with pytest.raises(ValueError, match="calibration_windows=1 holds back missing values only"):
        small(calibration_windows=1).fit(wave().where(np.arange(72) < 66))
    time = np.arange(72)
    never_after_a_value = wave().where((time < 24) | ((time >= 60) & (time < 66)))
    with pytest.raises(ValueError, match="calibration_windows=2 holds back no value that can be forecast"):
        small(calibration_windows=2, context_length=12).fit(never_after_a_value)
    with pytest.raises(ValueError, match=r"calibration_windows=4 needs more than 24 time points .* The series has 20"):
        small(calibration_windows=4).fit(wave()[:20])


@pytest.mark.slow
def test_fit__thousand_series__never_holds_all_windows():
    """All windows of 1,000 series of 200 points would take 1,000 * 180 * (120 + 24) * 8 bytes * 2 = 410 MB and more."""
    program = """
import numpy as np, pandas as pd
from machine import peak_memory_mb  # of this process: Linux hands ru_maxrss on from the one that runs the tests
from tsformer import TransformerForecaster
before = peak_memory_mb()
time = np.arange(200)
values = np.sin(time / np.arange(2, 1002)[:, None]) + np.random.default_rng(0).normal(size=(1000, 200))
index = pd.MultiIndex.from_product([range(1000), pd.date_range("2000-01-01", periods=200, freq="MS")])
df = pd.DataFrame({"y": values.ravel()}, index=index)
forecast = TransformerForecaster(horizon=24, max_steps=20, random_state=0).fit(df).predict(level=[80])
assert len(forecast) == 24_000
after = peak_memory_mb()
print(after, after - before)
"""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "benchmarks")}
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=env)
    peak, grown = map(float, ran.stdout.split())
    assert peak < 1536
    assert grown < 300
