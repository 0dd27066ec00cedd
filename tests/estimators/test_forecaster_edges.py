"""TransformerForecaster where data are rare, silent, filled or few, and where a call goes wrong."""

from datetime import date
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from forecasts import long_frame, small, wave
from layouts import assert_same
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.model_selection import cross_val_score

import tsformer
from tsformer import TransformerForecaster
from tsformer.metrics import mean_absolute_scaled_error
from tsformer.model_selection import TemporalSplit

DAYS = pd.date_range("2024-01-01", periods=120)
RARE = pd.Series(np.where(np.arange(120) % 20 == 0, 10.0, 0.0), DAYS)  # mean .5


def noise(n: int = 120) -> pd.Series:
    return pd.Series(100.0 + np.random.default_rng(0).normal(size=n), DAYS[:n])


# Counts


def test_negative_binomial__counts_of_twenty_means__are_learnt_and_drawn_as_whole_numbers():
    forecaster = small(head="negative_binomial", max_steps=150, learning_rate=1e-2).fit(RARE)
    paths = forecaster.sample(300)
    assert_array_equal(paths, paths.round())
    assert paths.to_numpy().max() > 5  # ten means of a window: nothing beyond was ever drawn
    bands = forecaster.predict(level=95)
    assert_array_equal(bands.drop(columns="point"), bands.drop(columns="point").round())


# Covariates that are always known


@pytest.mark.parametrize("given", ["calendar", "static"])
def test_predict__a_part_of_a_patch__is_that_of_the_whole(given):
    df = pd.concat({"a": noise(), "b": 2 * noise()}, names=["id", "time"]).to_frame("y")
    if given == "static":
        df["size"] = np.repeat([3.0, 5.0], 120)
    forecaster = small(calendar=given == "calendar", static_cols="size" if given == "static" else None).fit(df)
    whole = forecaster.predict()
    for horizon in (1, 4):
        part = forecaster.predict(horizon=horizon)
        assert_allclose(part, whole.groupby(level=0).head(horizon), rtol=1e-9)


# Frequencies


def test_predict__business_days_that_look_daily__go_on_as_business_days():
    days = pd.bdate_range("2024-01-01", periods=60)
    forecaster = small(horizon=3).fit(pd.Series(np.arange(60.0), days))
    for n in (5, 2):  # Monday to Friday, and too few to show a frequency
        history = pd.Series(np.arange(float(n)), pd.DatetimeIndex(days[-n:].to_numpy()))
        assert list(forecaster.predict(history).index) == list(pd.bdate_range("2024-03-25", periods=3))


def test_update__business_days_up_to_friday__go_on_on_monday():
    days = pd.bdate_range("2024-01-01", periods=4)  # to Thursday, declared as business days
    forecaster = small(horizon=2, season=1).fit(pd.Series(np.arange(4.0), days))
    forecaster.update(pd.Series([4.0], pd.DatetimeIndex(["2024-01-05"])))
    assert list(forecaster.predict().index) == list(pd.bdate_range("2024-01-08", periods=2))


def test_fit__daily_series_of_different_hours__each_goes_on_at_its_own():
    early, late = noise(), noise()
    late.index = late.index + pd.Timedelta(hours=6)
    forecaster = small(horizon=2).fit(pd.concat({"early": early, "late": late}, names=["id", "time"]))
    assert [str(time) for time in forecaster.predict().index.get_level_values(1)] == [
        "2024-04-30 00:00:00",
        "2024-05-01 00:00:00",
        "2024-04-30 06:00:00",
        "2024-05-01 06:00:00",
    ]


def test_predict__histories_of_another_frequency__are_refused():
    forecaster = small(calendar=True).fit(wave())
    with pytest.raises(ValueError, match=r"df must have the frequency that fit saw, <MonthEnd>\. Got <Day>"):
        forecaster.predict(noise())


def test_predict__a_number__is_told_how_to_ask_for_a_horizon_or_a_band():
    with pytest.raises(TypeError, match=r"Got 80; write horizon=80 for as many time points, or level=80 for a band"):
        small().fit(wave()).predict(80)


@pytest.mark.parametrize(
    ("fitted", "later"),
    [
        (pd.RangeIndex(0, 80, 2), pd.RangeIndex(0, 200, 5)),
        (pd.date_range("2000", periods=40, freq="QS"), pd.date_range("2020", periods=40, freq="6h")),
        (pd.date_range("2000", periods=40, freq="D"), pd.date_range("2020", periods=40, freq="B")),
        (pd.date_range("2000", periods=40, freq="D"), pd.date_range("2020", periods=40, freq="2D")),
    ],
    ids=lambda times: f"{times[0]} {times[1]}",
)
def test_predict__histories_of_other_steps__are_refused_even_with_equal_seasons(fitted, later):
    forecaster = small(max_steps=1).fit(pd.Series(1.0, fitted))
    with pytest.raises(ValueError, match="df must have the frequency that fit saw"):
        forecaster.predict(pd.Series(1.0, later))


@pytest.mark.parametrize(
    ("fitted", "later"),
    [("3MS", "QS-FEB"), ("D", "24h"), ("24h", "D")],
)
def test_predict__histories_of_steps_of_the_same_length__are_taken(fitted, later):
    forecaster = small(max_steps=1).fit(pd.Series(1.0, pd.date_range("2000", periods=40, freq=fitted)))
    assert len(forecaster.predict(pd.Series(1.0, pd.date_range("2020", periods=40, freq=later)))) == forecaster.horizon


def test_fit__forecast_beyond_the_last_nanosecond__is_refused_before_training():
    years = pd.date_range("2202", periods=60, freq="YS", unit="ns")
    with pytest.raises(ValueError, match=r"reaches beyond the last time .* from 2261-01-01 on.*as_unit\('s'\)"):
        small(horizon=6, max_steps=1).fit(pd.Series(1.0, years))
    assert str(small(horizon=6, max_steps=1).fit(pd.Series(1.0, years.as_unit("s"))).predict().index[-1])[:4] == "2267"


@pytest.mark.parametrize(
    ("df", "names", "asked"),
    [
        (pd.DataFrame({"ds": range(40), "y": 1.0, "y-lo-80": 1.0}), {"target_cols": ["y", "y-lo-80"]}, {"level": 80}),
        (pd.DataFrame({"ds": range(40), "y": 1.0, "y-q0.1": "a"}), {"id_col": "y-q0.1"}, {"quantiles": [0.1]}),
        (pd.DataFrame({"y-hi-80": range(40), "y": 1.0}), {"time_col": "y-hi-80"}, {"level": 80}),
    ],
)
def test_predict__columns_of_the_names_of_bands__are_told(df, names, asked):
    forecaster = small(max_steps=1, **names).fit(df)
    with pytest.raises(ValueError, match="The forecast would have columns of the same name"):
        forecaster.predict(**asked)
    assert len(forecaster.predict()) == forecaster.horizon


# What fit takes, save keeps.

KEPT = {
    "pyarrow": lambda df: df.convert_dtypes(dtype_backend="pyarrow"),
    "nullable": lambda df: df.convert_dtypes(),
    "objects": lambda df: df.astype(object),
    "text": lambda df: df.astype({"unique_id": str, "ds": str}),
    "categories": lambda df: df.astype({"unique_id": "category", "ds": "category"}),
    "dates": lambda df: df.assign(ds=df["ds"].dt.date, unique_id=date(2020, 1, 1)),
    "decimals": lambda df: df.assign(y=df["y"].map(Decimal), unique_id=Decimal("1.10")),
    "UUIDs": lambda df: df.assign(unique_id=UUID(int=7)),
    "a zone": lambda df: df.assign(ds=df["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")),
    "periods": lambda df: df.assign(ds=df["ds"].dt.to_period("D")),
    "nullable integers": lambda df: df.assign(ds=pd.array(range(len(df)), dtype="Int64")),
    "wide with columns of pyarrow": lambda df: df.set_index("ds")[["y"]].set_axis(
        pd.Index(["y"], dtype="string[pyarrow]"), axis=1
    ),
    "the 15th of months": lambda df: pd.Series(
        df["y"].to_numpy(), pd.date_range("2020-01-15", periods=len(df), freq=pd.DateOffset(months=1))
    ),
    "a week of six days": lambda df: pd.Series(
        df["y"].to_numpy(),
        pd.date_range("2020", periods=len(df), freq=pd.offsets.CustomBusinessDay(weekmask="Mon Tue Wed Thu Fri Sat")),
    ),
}


@pytest.mark.parametrize("kind", KEPT)
def test_save__frames_of_any_type__forecast_the_same_after_load(kind, tmp_path):
    days = pd.date_range("2024-01-01", periods=30)
    df = KEPT[kind](pd.DataFrame({"unique_id": 7, "ds": days, "y": np.sin(np.arange(30.0))}))
    forecaster = small(max_steps=1, horizon=2).fit(df)
    tsformer.save(forecaster, tmp_path / "forecaster.safetensors")
    assert_same(tsformer.load(tmp_path / "forecaster.safetensors").predict(), forecaster.predict())


# Filled values


@pytest.mark.parametrize("refit", [False, True])
def test_backtest__interpolated__knows_nothing_from_after_the_cutoff(refit):
    gap = noise()
    gap.iloc[110:114] = np.nan  # and the cutoff before the last 6
    later = gap.copy()
    later.iloc[114:] += 1000.0
    forecaster = small(fill="interpolate", max_steps=5).fit(gap[:100])
    first, second = (forecaster.backtest(df, refit=refit) for df in (gap, later))
    assert first["point"].equals(second["point"])
    assert_allclose(forecaster.backtest(gap)["point"], forecaster.predict(gap[:114]), rtol=1e-9)


def test_score__interpolated__is_measured_on_what_was_observed():
    gap = noise()
    gap.iloc[116:119] = np.nan
    forecaster = small(fill="interpolate", max_steps=5).fit(gap[:100])
    history, truth = gap[:114], gap[114:]
    error = (truth - forecaster.predict(history)).abs().mean() / history.diff(7).abs().mean()
    assert forecaster.score(gap) == pytest.approx(-error)


# Silent series


def test_predict__nothing_observed_in_the_context__is_nan_with_a_warning():
    df = pd.DataFrame({"heard": noise(), "silent": noise()})
    df.iloc[60:, 1] = np.nan
    forecaster = small(context_length=36).fit(df)
    message = r"column 'silent', has no observed value in the last 36 time points: its forecast is NaN\.$"
    with pytest.warns(UserWarning, match=message) as told:
        forecast = forecaster.predict(level=90)
    assert told[0].filename == __file__
    assert forecast["silent"].isna().all(axis=None)
    assert forecast["heard"].notna().all(axis=None)


# Early stopping


def test_early_stopping__only_missing_values_held_back__is_refused():
    values = noise()
    values.iloc[-30:] = np.nan
    with pytest.raises(ValueError, match=r"early_stopping holds back missing values only"):
        small(early_stopping=True).fit(values)


def test_early_stopping__a_short_series_among_long_ones__is_trained_on_whole():
    panel = pd.concat({"a": noise(), "b": noise(), "c": noise(7)}, names=["id", "time"])
    forecaster = small(early_stopping="auto", refit=False).fit(panel)
    assert "validation_loss" in forecaster.history_
    assert forecaster.predict().notna().all()


# Short series among long ones


SHORT = pd.concat(
    [
        pd.DataFrame({"unique_id": i, "ds": DAYS[-n:], "y": noise(n).to_numpy()})
        for i, n in {"a": 60, "b": 9, "c": 4}.items()
    ]
)


def at_once(**changes) -> TransformerForecaster:
    return TransformerForecaster(**{"horizon": 6, "max_steps": 0, "device": "cpu"} | changes)


@pytest.mark.parametrize("fill", [None, "interpolate"])
@pytest.mark.parametrize("refit", [False, True])
def test_backtest__short_series__are_named_and_missing_where_nothing_comes_before(refit, fill):
    forecaster = at_once(fill=fill).fit(SHORT)
    message = r"n_windows=2 needs more than 12 .* 2 of 3 series are too short and left out: 'b' with 9, 'c' with 4\.$"
    with pytest.warns(UserWarning, match=message) as told:
        past = forecaster.backtest(SHORT, n_windows=2, level=80, refit=refit)
    assert [each.filename for each in told] == [__file__]
    first, last = (rows.set_index("unique_id") for _, rows in past.groupby("cutoff"))
    assert (first["cutoff"].unique(), last["cutoff"].unique()) == ([DAYS[-13]], [DAYS[-7]])
    assert (list(first.index), list(last.index)) == (["a"] * 6 + ["b"] * 3, ["a"] * 6 + ["b"] * 6 + ["c"] * 4)
    bands = ["y", "y-lo-80", "y-hi-80"]
    assert first.loc["b", bands].isna().all(axis=None)
    assert last.loc["c", bands].isna().all(axis=None)
    assert list(last.loc["c", "ds"]) == list(DAYS[-4:])
    alone = forecaster.backtest(SHORT[SHORT["unique_id"] == "a"], n_windows=2, level=80)
    assert_allclose(past.loc[past["unique_id"] == "a", bands], alone[bands], rtol=1e-6)
    assert_allclose(last.loc["b", "y"], forecaster.predict(SHORT[60:63])["y"], rtol=1e-6)
    errors = mean_absolute_scaled_error(SHORT, past[past["cutoff"] == DAYS[-7]], season=7, by_series=True)
    assert errors.isna().tolist() == [False, False, True]


def test_score__short_series__are_named_and_do_not_count():
    forecaster = at_once().fit(SHORT)
    rest = SHORT[SHORT["unique_id"] != "c"]
    with pytest.warns(UserWarning, match=r"more than 6 time points of a series\. 1 of 3 series .*: 'c' with 4\.$"):
        score = forecaster.score(SHORT)
    assert score == pytest.approx(forecaster.score(rest))
    with pytest.raises(ValueError, match=r"more than 6 time points of a series\. Series 'b' has 6, and none has more"):
        forecaster.score(SHORT[SHORT["unique_id"] != "a"].drop(index=[0, 1, 2]))


def test_calibration_windows__short_series__are_trained_on_whole_and_not_measured():
    with pytest.warns(
        UserWarning, match=r"calibration_windows=2 needs more than 12 .* 2 of 3 .*: 'b' with 9, 'c' with"
    ):
        forecaster = small(calibration_windows=2, max_steps=3, season=1).fit(SHORT)
    assert len(forecaster.conformity_scores_) == 12
    assert list(forecaster.trained_until_) == [DAYS[-13], DAYS[-1], DAYS[-1]]
    assert forecaster.predict(level=80).notna().all(axis=None)


def test_early_stopping__short_series__are_named():
    with pytest.warns(
        UserWarning, match=r"early_stopping holds back 6 time points\. 1 of 3 .* left out: 'c' with 4\.$"
    ):
        small(early_stopping=True, max_steps=3).fit(SHORT)


def test_predict__history_of_one_value__has_bands():
    bands = at_once().fit(wave()).predict(wave()[:1], level=80)
    assert (bands["hi-80"] - bands["lo-80"]).min() > 10  # of a level of 100
    assert_allclose(bands["point"], wave().iloc[0], rtol=0.25)


# What training saw


def test_backtest__on_what_fit_was_trained_on__warns_and_names_refit(tmp_path):
    message = (
        r"Series 'a' up to 2020-12-31, and 2 other series\. These forecasts, from 2020-07-31 on, .* Pass refit=True"
    )
    trained = small(max_steps=2).fit(long_frame())
    tsformer.save(trained, tmp_path / "model")
    for forecaster in (trained, tsformer.load(tmp_path / "model")):
        with pytest.warns(UserWarning, match=message):
            forecaster.backtest(long_frame())
    trained.backtest(long_frame(), refit=True)
    at_once().fit(long_frame()).backtest(long_frame())
    early = small(max_steps=2).fit(wave()[:-6])
    expected = early.backtest(wave())
    assert_frame_equal(early.update(wave()[-6:]).backtest(wave()), expected)


def test_backtest__refit_from_a_fitted_forecaster__starts_each_window_from_it():
    first = at_once().fit(wave())
    expected = first.backtest(wave(), refit=True)
    assert_frame_equal(at_once(pretrained=first).fit(wave()).backtest(wave(), refit=True), expected)


def test_score__folds_of_a_shorter_horizon_than_the_forecasters__warns():
    with pytest.warns(
        UserWarning, match=r"The series up to 2020-12-31.* Give TemporalSplit the forecaster's horizon=6"
    ):
        cross_val_score(small(max_steps=2), wave(75), cv=TemporalSplit(horizon=3, n_splits=1))
    small(max_steps=2).fit(wave()).score(wave())  # of a score of training nobody expects more


# What goes wrong


def test_fit__that_fails__leaves_the_forecaster_as_it_was():
    forecaster = small().fit(wave())
    before, state = forecaster.predict(), {name: getattr(forecaster, name) for name in ("freq_", "lengths_")}
    with pytest.raises(ValueError, match="early_stopping holds back"):
        forecaster.set_params(early_stopping=True, season=1).fit(noise(7))
    assert forecaster.predict().equals(before)
    assert {name: getattr(forecaster, name) for name in state} == state


@pytest.mark.parametrize(
    ("first", "n", "format", "expected"),
    [
        ("2023-01-01", 12, "%d.%m.%Y", r"format='%d.%m.%Y' or format='%m.%d.%Y'"),
        ("2026-02-01", 40, "%d.%m.%Y", r"times, format='%d.%m.%Y'\)"),
        ("2026-02-01", 40, "%m/%d/%Y", r"times, format='%m/%d/%Y'\)"),
    ],
)
def test_fit__dates_in_another_format__are_told_the_formats_that_all_of_them_may_have(first, n, format, expected):
    times = pd.date_range(first, periods=n, freq="MS" if n == 12 else "D").strftime(format)
    df = pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(float(n))})
    with pytest.raises(ValueError, match=expected):
        TransformerForecaster(horizon=3).fit(df)


def test_fit__irregular_minutes__are_told_a_step_that_keeps_them():
    jitter = pd.to_timedelta(np.random.default_rng(0).integers(0, 200, 400), "s")
    series = pd.Series(np.arange(400.0), pd.date_range("2026-02-01", periods=400, freq="10min") + jitter)
    with pytest.raises(ValueError, match=r"resample\('10min'\)"):
        TransformerForecaster(horizon=3).fit(series)
