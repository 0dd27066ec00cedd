"""Covariates: each value at its series and time whatever the form, and what is absent named; calendar and seasons."""

import numpy as np
import pandas as pd
import pytest
from pandas import offsets

from tsformer.data.covariates import (
    calendar_features,
    calendar_names,
    read_covariates,
    read_static,
    seasonal_period,
)
from tsformer.data.forecasts import future_times
from tsformer.data.frames import SeriesSet, read_series

DAYS = pd.date_range("2024-01-01", periods=20, freq="D")
HISTORY = 15
STARTS = {"b": 0, "a": 4}


def targets(times: pd.Index = DAYS) -> SeriesSet:
    """Series b from the first time, a from the fifth, both up to the fifteenth."""
    pieces = [pd.DataFrame({"unique_id": i, "ds": times[start:HISTORY], "y": 1.0}) for i, start in STARTS.items()]
    return read_series(pd.concat(pieces))


def needed(series: SeriesSet) -> list[pd.Index]:
    """The history and five times more."""
    return [past.append(ahead) for past, ahead in zip(series.times, future_times(series, 5), strict=True)]


def promotions(times: pd.Index = DAYS) -> pd.DataFrame:
    """Series b has 0 to 19 at the 20 times, a 100 to 119; c nobody needs. `loud` is bool."""
    pieces = [
        pd.DataFrame({"unique_id": i, "ds": times, "promo": base + np.arange(20), "loud": np.arange(20) % 2 == 0})
        for i, base in {"c": 200, "a": 100, "b": 0}.items()
    ]
    return pd.concat(pieces, ignore_index=True)


def read(frame, series=None, name="future", **how):
    series = targets() if series is None else series
    return read_covariates(frame, series, name=name, times=needed(series), **how)


# Past and future.


@pytest.mark.parametrize(
    "times",
    [
        DAYS,
        pd.date_range("2024-03-20", periods=20, freq="D", tz="Europe/Berlin"),
        pd.date_range("2021-01-01", periods=20, freq="MS"),
        pd.period_range("2021-01", periods=20, freq="M"),
        pd.RangeIndex(7, 47, 2),
    ],
    ids=["days", "local days", "months", "month periods", "integers"],
)
@pytest.mark.parametrize("form", ["long", "panel", "panel series"])
def test_read_covariates__rows_in_any_order_and_more_than_needed__stand_at_their_series_and_time(form, times):
    frame = promotions(times).sample(frac=1, random_state=0)
    if form != "long":
        frame = frame.set_index(["unique_id", "ds"])
    (b, a), columns = read(frame["promo"] if form == "panel series" else frame, targets(times))
    assert columns == (["promo"] if form == "panel series" else ["promo", "loud"])
    assert b[:, 0].tolist() == list(range(20))
    assert a[:, 0].tolist() == list(range(104, 120))
    if form != "panel series":
        assert a[:, 1].tolist() == [1, 0] * 8


@pytest.mark.parametrize("form", ["wide", "series", "long without ids"])
def test_read_covariates__without_ids__are_common_to_all_series(form):
    wide = pd.DataFrame({"price": np.arange(30.0)}, index=pd.date_range("2023-12-31", periods=30, name="ds")).iloc[::-1]
    frame = {"wide": wide, "series": wide["price"], "long without ids": wide.reset_index()}[form]
    (b, a), columns = read(frame)
    assert columns == ["price"]
    assert b[:, 0].tolist() == list(range(1, 21))
    assert a[:, 0].tolist() == list(range(5, 21))


def test_read_covariates__one_wide_series__goes_with_a_wide_frame():
    series = read_series(pd.Series(1.0, index=DAYS[:15]))
    (values,), _ = read(pd.DataFrame({"price": np.arange(20.0)}, index=DAYS), series)
    assert values[:, 0].tolist() == list(range(20))


def test_read_covariates__names_of_the_users_own__are_those_of_the_targets():
    own = {"unique_id": "shop", "ds": "day"}
    df = pd.DataFrame({"shop": "a", "day": DAYS[:15], "y": 1.0})
    series = read_series(df, id_col="shop", time_col="day")
    (values,), columns = read(promotions().rename(columns=own), series)
    assert columns == ["promo", "loud"]
    assert values[:, 0].tolist() == list(range(100, 120))


def test_read_covariates__times_in_another_unit__are_the_same_times():
    frame = promotions()
    frame["ds"] = frame["ds"].astype("datetime64[s]")
    (b, _), _ = read(frame)
    assert b[:, 0].tolist() == list(range(20))


def test_read_covariates__columns_of_fit__come_in_their_order():
    (b, _), columns = read(promotions(), columns=["loud", "promo"])
    assert columns == ["loud", "promo"]
    assert b[:, 1].tolist() == list(range(20))


def test_read_covariates__past__needs_the_history_only():
    series = targets()
    (b, a), _ = read_covariates(promotions()[lambda df: df["ds"] < DAYS[15]], series, name="past", times=series.times)
    assert (len(b), len(a)) == (15, 11)


def test_read_covariates__missing_values_where_nobody_looks__are_allowed():
    frame = promotions()
    frame["promo"] = frame["promo"].where((frame["unique_id"] != "a") | (frame["ds"] >= DAYS[4]))
    (_, a), _ = read(frame)
    assert a[:, 0].tolist() == list(range(104, 120))


FUTURE = promotions()
OF_A = FUTURE["unique_id"] == "a"


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (FUTURE[FUTURE["ds"] < DAYS[15]], r"and the horizon. Series 'b' has none for 2024-01-16, .* and 2 more"),
        (FUTURE[~OF_A], "Series 'a' has none for 2024-01-05"),
        (
            FUTURE[~OF_A | (FUTURE["ds"] != DAYS[7])],
            r"Series 'a' has none for 2024-01-08\. Pass such rows in future=\.$",
        ),
        (FUTURE[FUTURE["ds"] != DAYS[7]], "Series 'b' has none for 2024-01-08; 1 more series lack rows"),
        (FUTURE[["ds", "promo"]][:19], "Series 'b' has none for 2024-01-20; 1 more"),
        (
            FUTURE.assign(promo=FUTURE["promo"].where(FUTURE["promo"] != 107)),
            "column 'promo': Series 'a' at 2024-01-08",
        ),
        (FUTURE.replace({"promo": {107: np.inf}}), "future contains NaN or infinity in column 'promo': Series 'a'"),
        (FUTURE.assign(promo="big"), r"future column \('promo'\) should .*get_dummies\(future, columns=\['promo'\]"),
        (FUTURE.assign(promo=FUTURE["ds"]), r"future column \('promo'\) should have a numeric .* got 'datetime"),
        (pd.concat([FUTURE, FUTURE[25:27]]), "future has duplicate times: Series 'a' at 2024-01-06. Keep one"),
        (FUTURE[["ds", "promo"]], r"duplicate times: 2024-01-01\. .* need their ids, in column 'unique_id'"),
        (FUTURE[["unique_id", "ds"]], "future must have at least one column"),
        (FUTURE.drop(columns="ds"), r"columns are missing: \['ds'\]. future has"),
        (FUTURE.assign(ds=FUTURE["ds"].dt.tz_localize("UTC")), r"of future must be of the same kind .*UTC\]'"),
        (FUTURE.assign(ds=FUTURE["ds"].dt.to_period("D")), r"of the same kind .* Got 'period\[D\]'"),
        (FUTURE.assign(ds=1), r"times of future must be of the same kind .* Got 'int64'"),
    ],
)
def test_read_covariates__mistake_of_the_user__is_named_by_series_and_time(frame, match):
    with pytest.raises(ValueError, match=match):
        read(frame)


def test_read_covariates__past_without_rows__speaks_of_the_history_alone():
    series = targets()
    with pytest.raises(ValueError, match=r"past must have a row for each time of the history. Series 'a'"):
        read_covariates(FUTURE[~OF_A], series, name="past", times=series.times)


def test_read_covariates__other_columns_than_in_fit__are_refused():
    with pytest.raises(ValueError, match=r"columns that fit saw, \['promo', 'price'\]. Got \['promo', 'loud'\]"):
        read(FUTURE, columns=["promo", "price"])


def test_read_covariates__ids_but_targets_have_none__are_refused():
    with pytest.raises(ValueError, match=r"future has ids .'unique_id'. but df is one series without"):
        read(FUTURE, read_series(pd.Series(1.0, index=DAYS[:15])))


def test_read_covariates__no_frame__is_a_type_error():
    with pytest.raises(TypeError, match="future must be a pandas Series or DataFrame"):
        read(np.zeros((20, 1)))


# Static.


SHOPS = pd.DataFrame({"unique_id": ["c", "a", "b"], "size": [3, 1, 2], "open": [True, False, True]})


@pytest.mark.parametrize("frame", [SHOPS, SHOPS.set_index("unique_id")], ids=["column", "index"])
def test_read_static__ids_in_a_column_or_the_index__has_a_row_for_each_series(frame):
    values, columns = read_static(frame, targets())
    assert columns == ["size", "open"]
    assert values.tolist() == [[2, 1], [1, 0]]


def test_read_static__columns_of_fit__come_in_their_order():
    values, columns = read_static(SHOPS, targets(), columns=["open", "size"])
    assert columns == ["open", "size"]
    assert values.tolist() == [[1, 2], [0, 1]]


def test_read_static__series_by_id__is_one_column():
    values, columns = read_static(SHOPS.set_index("unique_id")["size"], targets())
    assert columns == ["size"]
    assert values.tolist() == [[2], [1]]


def test_read_static__one_series_without_id__takes_the_single_row():
    series = read_series(pd.Series(1.0, index=DAYS))
    values, _ = read_static(pd.DataFrame({"size": [7]}), series)
    assert values.tolist() == [[7]]
    with pytest.raises(ValueError, match=r"static must have one row, for the one series of df. Got 2 rows"):
        read_static(pd.DataFrame({"size": [7, 8]}), series)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (SHOPS[:2], r"static must have a row for each series, .* 'unique_id'. Got none for b\."),
        (pd.concat([SHOPS, SHOPS]), "static must have one row for each series. Series 'c' has several"),
        (SHOPS.assign(size=[1, 2, np.nan]), "NaN or infinity in column 'size': Series 'b'. Fill it"),
        (SHOPS.assign(size=["s", "m", "l"]), r"static column \('size'\) .*get_dummies\(static, columns=\['size'\]"),
        (SHOPS[["unique_id"]], "static must have at least one column"),
    ],
)
def test_read_static__mistake_of_the_user__is_named(frame, match):
    with pytest.raises(ValueError, match=match):
        read_static(frame, targets())


def test_read_static__no_frame__is_a_type_error():
    with pytest.raises(TypeError, match=r"static must be a pandas DataFrame with a row for each series. Got dict"):
        read_static({"a": 1}, targets())


# The calendar.


@pytest.mark.parametrize(
    ("freq", "season", "cycles"),
    [
        (1, 1, None),
        (7, 1, None),
        (offsets.YearBegin(), 1, []),
        (offsets.YearEnd(), 1, []),
        (offsets.QuarterBegin(startingMonth=2), 4, ["month"]),
        (offsets.BQuarterEnd(), 4, ["month"]),
        (offsets.MonthBegin(), 12, ["month"]),
        (offsets.BMonthEnd(), 12, ["month"]),
        (offsets.MonthEnd(2), 6, ["month"]),
        (offsets.MonthEnd(5), 1, ["month"]),
        (offsets.Week(weekday=2), 52, ["month"]),
        (offsets.BDay(), 5, ["month", "weekday"]),
        (offsets.Day(), 7, ["month", "weekday"]),
        (offsets.Hour(), 24, ["month", "weekday", "hour"]),
        (offsets.Hour(5), 1, ["month", "weekday", "hour"]),
        (offsets.Minute(15), 96, ["month", "weekday", "hour"]),
        (offsets.Second(), 3600, ["month", "weekday", "hour"]),
        (offsets.DateOffset(years=1), 1, ["month", "weekday", "hour"]),
    ],
)
def test_seasonal_period_and_calendar_names__each_frequency__are_the_usual(freq, season, cycles):
    assert seasonal_period(freq) == season
    if cycles is not None:
        assert calendar_names(freq) == [f"{wave}_{cycle}" for cycle in cycles for wave in ("sin", "cos")]


@pytest.mark.parametrize(
    ("times", "season"),
    [
        (pd.date_range("2024-01-07", periods=4, freq="W"), 52),
        (pd.period_range("2024-01", periods=4, freq="M"), 12),
        (pd.period_range("2024-01", periods=4, freq="Q"), 4),
        (pd.date_range("2024-01-01", periods=4, freq="30min", tz="Europe/Berlin"), 48),
        (pd.RangeIndex(4), 1),
    ],
)
def test_seasonal_period__frequency_that_was_read__is_known(times, season):
    assert seasonal_period(read_series(pd.Series(1.0, index=times)).freq) == season


def test_calendar_features__hours__go_around_the_year_the_week_and_the_day():
    times = pd.DatetimeIndex(["2024-01-01 00:00", "2024-04-01 06:00", "2024-07-01 12:30"])  # Mondays
    features = calendar_features(times, offsets.Hour())
    half_past_noon = 2 * np.pi * 12.5 / 24
    expected = [
        [0, 1, 0, 1, 0, 1],
        [1, 0, 0, 1, 1, 0],
        [0, -1, 0, 1, np.sin(half_past_noon), np.cos(half_past_noon)],
    ]
    np.testing.assert_allclose(features, expected, atol=1e-12)


@pytest.mark.parametrize("freq", [offsets.MonthBegin(), offsets.Day(), offsets.Hour(), offsets.YearBegin()])
def test_calendar_features__any_frequency__has_its_named_columns(freq):
    times = pd.date_range("2024-01-01", periods=5, freq=freq)
    assert calendar_features(times, freq).shape == (5, len(calendar_names(freq)))


def test_calendar_features__periods__equal_their_timestamps():
    times = pd.period_range("2024-01", periods=12, freq="M")
    expected = calendar_features(times.to_timestamp(), offsets.MonthBegin())
    np.testing.assert_array_equal(calendar_features(times, times.freq), expected)


def test_calendar_features__integers__are_refused():
    with pytest.raises(ValueError, match=r"need a DatetimeIndex or PeriodIndex. Got times of 'int64'"):
        calendar_features(pd.RangeIndex(5), 1)
