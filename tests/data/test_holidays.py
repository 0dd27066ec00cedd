"""Holidays as covariates: which days they are, for which times; and that forecasts are better for them."""

import sys

import numpy as np
import pandas as pd
import pytest

import tsformer
from tsformer import TransformerForecaster
from tsformer.data.frequency import Frequency
from tsformer.data.holidays import holiday_features

DAYS = pd.date_range("2023-12-18", "2024-05-10")
DAY, HOUR = pd.offsets.Day(), pd.offsets.Hour()


def on(times: pd.Index, freq: Frequency, *places: str) -> list[list[str]]:
    """The times at which each column is 1."""
    columns = holiday_features(times, freq, places).T
    return [[str(time)[:10] for time in times[column == 1]] for column in columns]


def test_holiday_features__days__are_the_holidays_and_the_days_around():
    before, itself, after = on(DAYS, DAY, "DE")
    assert itself == [
        *("2023-12-25", "2023-12-26", "2024-01-01", "2024-03-29", "2024-04-01", "2024-05-01", "2024-05-09"),
    ]
    assert before[:3] == ["2023-12-24", "2023-12-25", "2023-12-31"]
    assert after[:3] == ["2023-12-26", "2023-12-27", "2024-01-02"]


def test_holiday_features__last_day_of_the_year__knows_of_the_next():
    assert on(DAYS[:14], DAY, "DE")[0][-1] == "2023-12-31"


def test_holiday_features__a_part_of_a_country_and_several__have_columns_each():
    columns = on(DAYS, DAY, "DE-BY", "US-CA")
    assert len(columns) == 6
    assert "2024-01-06" in columns[1]
    assert "2024-03-31" in columns[4]  # Cesar Chavez Day
    assert "2024-01-06" not in columns[4]


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_holiday_features__hours__are_those_of_the_day_on_the_clock_on_the_wall(zone):
    hours = pd.date_range("2023-12-31", periods=72, freq="h", tz=zone)
    columns = holiday_features(hours, HOUR, ["DE"])
    np.testing.assert_array_equal(columns, holiday_features(DAYS[13:16], DAY, ["DE"]).repeat(24, axis=0))


def test_holiday_features__periods__are_those_of_their_timestamps():
    periods = DAYS.to_period("D")
    np.testing.assert_array_equal(holiday_features(periods, periods.freq, ["DE"]), holiday_features(DAYS, DAY, ["DE"]))


def test_holiday_features__working_days__go_from_friday_to_monday():
    working = DAYS[DAYS.dayofweek < 5]
    before, _, after = on(working, pd.offsets.BDay(), "DE")
    assert "2023-12-22" in before  # Friday before Christmas on a Monday
    assert "2024-03-28" in before
    assert "2024-04-01" in after  # after Good Friday


def test_holiday_features__working_weeks_of_six_days__go_from_saturday_to_monday():
    freq = pd.offsets.CustomBusinessDay(weekmask="Mon Tue Wed Thu Fri Sat")
    before, _, after = on(DAYS[DAYS.dayofweek < 6], freq, "DE")
    assert "2023-12-23" in before  # Saturday before Christmas on a Monday
    assert "2023-12-22" not in before
    assert "2024-03-30" in before  # Saturday before Easter Monday, after Good Friday
    assert "2024-03-30" in after


@pytest.mark.parametrize("freq", ["W", "MS", "2D", "YE"])
def test_fit__holidays_of_longer_steps__is_an_error(freq):
    y = pd.Series(np.arange(60.0), index=pd.date_range("2020-01-01", periods=60, freq=freq))
    with pytest.raises(ValueError, match=r"holidays= needs times of a day or less\. Got steps of .* in a column that"):
        TransformerForecaster(horizon=3, season=1, holidays="DE").fit(y)


def test_fit__holidays_of_integer_times__is_an_error():
    with pytest.raises(ValueError, match=r"holidays= needs times of a day or less\. Got integers: give times as days"):
        TransformerForecaster(horizon=3, holidays="DE").fit(pd.Series(np.arange(60.0)))


@pytest.mark.parametrize("place", ["XX", "DE-ZZ", ["DE", 3], "germany"])
def test_fit__holidays_of_no_known_place__is_an_error(place):
    with pytest.raises(ValueError, match=r"must be a country .* such as 'US-CA', or a list .* Got .*list_supported"):
        TransformerForecaster(horizon=3, holidays=place).fit(pd.Series(np.arange(len(DAYS)), index=DAYS))


def test_fit__history_without_a_holiday__warns():
    y = pd.Series(np.arange(20.0), index=pd.date_range("2024-02-01", periods=20))
    with pytest.warns(UserWarning, match=r"No holiday of DE lies within the histories, so holidays= has no effect"):
        TransformerForecaster(horizon=3, holidays="DE", max_steps=1).fit(y)


def test_fit__holidays_without_training__warns_that_they_have_no_effect():
    y = pd.Series(np.arange(len(DAYS)), index=DAYS)
    with pytest.warns(UserWarning, match="calendar and holidays without effect: the pretrained weights know none"):
        TransformerForecaster(horizon=3, holidays="DE", max_steps=0).fit(y)


def test_fit__holidays_without_the_package__names_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)  # importing it fails
    y = pd.Series(range(60), index=pd.date_range("2024-01-01", periods=60))
    TransformerForecaster(horizon=3, max_steps=0).fit(y).predict()
    message = r'^holidays= needs the package holidays: pip install "tsformer\[holidays\]"\.$'
    with pytest.raises(ImportError, match=message):
        TransformerForecaster(horizon=3, holidays="SE").fit(y)  # of which no other test has asked


def shop() -> pd.Series:
    """Sales that fall to 30 % on holidays in Germany and rise by half before them."""
    days = pd.date_range("2022-01-01", periods=730)
    before, itself, _ = holiday_features(days, DAY, ["DE"]).T
    week, effect = np.where(days.dayofweek == 6, 0.6, 1.0), np.where(itself == 1, 0.3, 1 + 0.5 * before)
    return pd.Series(100 * week * effect * np.exp(0.05 * np.random.default_rng(0).normal(size=730)), days, name="sales")


SHORT = {"learning_rate": 3e-3, "max_steps": 50, "batch_size": 32, "context_length": 56, "random_state": 0}


@pytest.fixture(scope="module")
def told() -> TransformerForecaster:
    return TransformerForecaster(horizon=14, holidays="DE", **SHORT).fit(shop()[:-252])


def test_backtest__holidays__are_forecast_better_than_by_a_forecaster_that_is_not_told(told):
    errors = {}
    for name, forecaster in {"told": told, "not": TransformerForecaster(horizon=14, max_steps=0).fit(shop())}.items():
        past = forecaster.backtest(shop(), n_windows=18)
        around = holiday_features(past.index, DAY, ["DE"])[:, :2].any(axis=1)
        absolute = (past["point"] - past["actual"]).abs()
        errors[name] = absolute[around].mean(), absolute[~around].mean()
    assert errors["told"][0] < 0.6 * errors["not"][0]
    assert errors["told"][1] < 1.1 * errors["not"][1]


def test_fit__holidays_of_a_long_series__holds_nothing_back_by_default():
    few = SHORT | {"max_steps": 1, "refit": False}  # the history of a second training has no validation loss
    assert TransformerForecaster(horizon=14, calendar=True, **few).fit(shop()).history_["validation_loss"]
    told = TransformerForecaster(horizon=14, holidays="DE", **few).fit(shop())
    assert "validation_loss" not in told.history_  # the last tenth may hold no holiday


def test_predict__holiday_in_the_horizon__is_where_the_forecast_falls(told):
    forecast = told.predict(shop()[:"2023-12-20"])  # no rows ahead are needed
    assert (forecast["2023-12-25":"2023-12-26"] < 0.8 * forecast["2023-12-28"]).all()


def test_save__holidays__are_kept_and_predict_as_before(told, tmp_path):
    tsformer.save(told, tmp_path / "model")
    loaded = tsformer.load(tmp_path / "model")
    pd.testing.assert_series_equal(loaded.predict(), told.predict())
    assert loaded.covariate_scaler_.holidays == ("DE",)
