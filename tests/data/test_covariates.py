"""Covariates: each value ahead at its series and time whatever the form, what is absent named; all scaled; calendar."""

import numpy as np
import pandas as pd
import pytest
from layouts import DAYS as MONTH
from layouts import read
from pandas import offsets

from tsformer.data.covariates import (
    CovariateScaler,
    calendar_features,
    check_known_ahead,
    read_future,
)
from tsformer.data.frames import SeriesSet

DAYS = MONTH[:20]
HISTORY = 15
COLUMNS = ["promo", "loud"]
KINDS_OF_TIMES = {
    "days": DAYS,
    "local days": pd.date_range("2024-03-20", periods=20, freq="D", tz="Europe/Berlin"),
    "months": pd.date_range("2021-01-01", periods=20, freq="MS"),
    "month periods": pd.period_range("2021-01", periods=20, freq="M"),
    "integers": pd.RangeIndex(7, 47, 2),
}


def promotions(times: pd.Index = DAYS) -> pd.DataFrame:
    """Series b has 0 to 19 at the 20 times, a 100 to 119; c nobody needs. `loud` is bool."""
    pieces = [
        pd.DataFrame({"unique_id": i, "ds": times, "promo": base + np.arange(20), "loud": np.arange(20) % 2 == 0})
        for i, base in {"c": 200, "a": 100, "b": 0}.items()
    ]
    return pd.concat(pieces, ignore_index=True)


def targets(times: pd.Index = DAYS, future_cols=COLUMNS, **how) -> SeriesSet:
    """Series b from the first time, a from the fifth, both up to the fifteenth."""
    both = promotions(times).assign(y=1.0)
    pieces = [both[both["unique_id"] == i][start:HISTORY] for i, start in {"b": 0, "a": 4}.items()]
    named = [future_cols] if isinstance(future_cols, str) else future_cols
    return read(pd.concat(pieces)[["unique_id", "ds", "y", *named]], future_cols=future_cols, **how)


def one_wide_series() -> SeriesSet:
    wide = pd.DataFrame({"load": 1.0, "price": np.arange(HISTORY)}, index=DAYS[:HISTORY])
    return read(wide, future_cols=["price"])


# Rows ahead.


@pytest.mark.parametrize("times", KINDS_OF_TIMES.values(), ids=KINDS_OF_TIMES)
@pytest.mark.parametrize("form", ["long", "panel", "panel series"])
def test_read_future__rows_in_any_order_and_more_than_needed__stand_at_their_series_and_time(form, times):
    frame = promotions(times).sample(frac=1, random_state=0)
    if form != "long":
        frame = frame.set_index(["unique_id", "ds"])
    columns = "promo" if form == "panel series" else COLUMNS
    b, a = read_future(frame["promo"] if form == "panel series" else frame, targets(times, columns), 5)
    assert b[:, 0].tolist() == [15, 16, 17, 18, 19]
    assert a[:, 0].tolist() == [115, 116, 117, 118, 119]
    if form != "panel series":
        assert a[:, 1].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("form", ["wide", "series", "long without ids"])
def test_read_future__without_ids__goes_with_all_series(form):
    wide = pd.DataFrame({"promo": np.arange(30.0)}, index=pd.date_range("2023-12-31", periods=30, name="ds")).iloc[::-1]
    frame = {"wide": wide, "series": wide["promo"], "long without ids": wide.reset_index()}[form]
    b, a = read_future(frame, targets(future_cols="promo"), 5)
    assert b[:, 0].tolist() == a[:, 0].tolist() == [16, 17, 18, 19, 20]


@pytest.mark.parametrize("pick", ["price", ["price"]])
def test_read_future__rows_of_a_wide_frame__may_be_a_series(pick):
    ahead = pd.DataFrame({"price": np.arange(20.0), "load": np.nan}, index=DAYS)
    (values,) = read_future(ahead[pick], one_wide_series(), 5)
    assert values[:, 0].tolist() == [15, 16, 17, 18, 19]


def test_read_future__names_of_the_users_own__are_those_of_the_targets():
    own = {"unique_id": "shop", "ds": "day"}
    df = promotions()[:HISTORY].rename(columns=own).assign(y=1.0)
    series = read(df, id_col="shop", time_col="day", future_cols=COLUMNS)
    (values,) = read_future(promotions().rename(columns=own), series, 5)
    assert values[:, 0].tolist() == [215, 216, 217, 218, 219]


def test_read_future__times_in_another_unit__are_the_same_times():
    frame = promotions()
    frame["ds"] = frame["ds"].astype("datetime64[s]")
    b, _ = read_future(frame, targets(), 5)
    assert b[:, 0].tolist() == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_read_future__ids_of_another_type__are_the_same_ids(dtype):
    b, a = read_future(promotions().astype({"unique_id": dtype}), targets(), 5)
    assert (b[0, 0], a[0, 0]) == (15, 115)


def test_read_future__masked_ids__are_the_same_ids():
    numbered = promotions().assign(unique_id=lambda df: df["unique_id"].map({"a": 1, "b": 2, "c": 3}))
    series = read(numbered.assign(y=1.0), future_cols=COLUMNS)
    ahead = numbered.assign(ds=numbered["ds"] + pd.Timedelta(days=20)).astype({"unique_id": "Int64"})
    assert [values[0, 0] for values in read_future(ahead, series, 5)] == [200, 100, 0]


def test_read_future__columns__come_in_the_order_of_future_cols():
    b, _ = read_future(promotions(), targets(future_cols=["loud", "promo"]), 5)
    assert b[:, 1].tolist() == [15, 16, 17, 18, 19]


def test_read_future__missing_values_where_nobody_looks__are_allowed():
    frame = promotions()
    frame["promo"] = frame["promo"].where((frame["unique_id"] != "a") | (frame["ds"] >= DAYS[15]))
    _, a = read_future(frame.assign(note="text"), targets(), 5)
    assert a[:, 0].tolist() == [115, 116, 117, 118, 119]


def test_read_future__no_future_cols__takes_no_rows():
    series = targets(future_cols=[])
    assert read_future(None, series, 5) == []
    with pytest.raises(ValueError, match="future= takes rows of future_cols, of which the forecaster has none"):
        read_future(promotions(), series, 5)


AHEAD = promotions()
OF_A = AHEAD["unique_id"] == "a"


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (None, r"has future_cols, which must be known for the horizon; .* columns \['promo', 'loud'\], as future="),
        (AHEAD[AHEAD["ds"] < DAYS[15]], r"of the horizon. Series 'b' has none for 2024-01-16, .* and 2 more; 1 more"),
        (AHEAD[~OF_A], "Series 'a' has none for 2024-01-16, 2024-01-17, 2024-01-18 and 2 more"),
        (
            AHEAD[~OF_A | (AHEAD["ds"] != DAYS[17])],
            r"Series 'a' has none for 2024-01-18\. Pass such rows in future=\.$",
        ),
        (AHEAD[AHEAD["ds"] != DAYS[17]], "Series 'b' has none for 2024-01-18; 1 more series lack rows"),
        (AHEAD[["ds", *COLUMNS]][:19], "Series 'b' has none for 2024-01-20; 1 more"),
        (
            AHEAD.assign(promo=AHEAD["promo"].where(AHEAD["promo"] != 117)),
            "column 'promo', which must be known ahead: Series 'a' at 2024-01-18",
        ),
        (AHEAD.replace({"promo": {117: np.inf}}), "future contains NaN or infinity in column 'promo', .* Series 'a'"),
        (AHEAD.assign(promo="big"), r"covariate column \('promo'\) should .*get_dummies\(df, columns=\['promo'\]"),
        (AHEAD.assign(promo=AHEAD["ds"]), r"covariate column \('promo'\) should have a numeric .* got 'datetime"),
        (pd.concat([AHEAD, AHEAD[25:27]]), "future has duplicate times: Series 'a' at 2024-01-06. Keep one"),
        (AHEAD[["ds", *COLUMNS]], r"duplicate times: 2024-01-01\. .* need their ids, in column 'unique_id'"),
        (AHEAD[["unique_id", "ds"]], "Found future of shape|columns of future are missing"),
        (AHEAD.drop(columns="loud"), r"columns of future are missing: \['loud'\]; pass its rows ahead"),
        (AHEAD.drop(columns="ds"), r"columns are missing: \['ds'\]. future has"),
        (AHEAD.assign(ds=AHEAD["ds"].dt.tz_localize("UTC")), r"of future must be of the same kind .*UTC\]'"),
        (AHEAD.assign(ds=AHEAD["ds"].dt.to_period("D")), r"of the same kind .* Got 'period\[D\]'"),
        (AHEAD.assign(ds=1), r"times of future must be of the same kind .* Got 'int64'"),
    ],
)
def test_read_future__mistake_of_the_user__is_named_by_series_and_time(frame, match):
    with pytest.raises(ValueError, match=match):
        read_future(frame, targets(), 5)


def test_read_future__ids_but_targets_have_none__are_refused():
    with pytest.raises(ValueError, match=r"future has ids .'unique_id'. but df is one series without"):
        read_future(AHEAD.rename(columns={"promo": "price"}), one_wide_series(), 5)


def test_read_future__no_frame__is_a_type_error():
    with pytest.raises(TypeError, match="future must be a pandas Series or DataFrame"):
        read_future(np.zeros((20, 1)), targets(), 5)


def test_check_known_ahead__value_missing_in_the_last_time_points__is_named():
    frame = promotions().assign(y=1.0)
    frame["promo"] = frame["promo"].where(frame["promo"] != 115)
    series = read(frame, future_cols=COLUMNS)
    check_known_ahead(series, 4)
    with pytest.raises(ValueError, match=r"df contains NaN .* in column 'promo', .*: Series 'a' at 2024-01-16"):
        check_known_ahead(series, 5)
    check_known_ahead(read(frame, past_cols=COLUMNS), 5)
    gap = frame[frame["promo"].notna()]
    check_known_ahead(read(gap, future_cols=COLUMNS, freq="D"), 5)  # nothing to be scored there


# Scaled.


def scaled_series() -> SeriesSet:
    frame = promotions().assign(y=1.0, visits=AHEAD["promo"] * 10.0, size=AHEAD["promo"] // 100)
    frame.loc[[3, 25], ["visits", "promo"]] = np.nan
    return read(frame, past_cols="visits", future_cols=COLUMNS, static_cols="size")


def test_covariate_scaler__history__has_mean_0_and_std_1_and_missing_values_stay():
    series = scaled_series()
    scaler = CovariateScaler.fit(series, calendar=True)
    assert (scaler.n_past, scaler.n_future) == (1, 2 + 1 + 4)
    past, future = scaler.apply(series)
    assert [len(rows) for rows in past] == [len(rows) for rows in future] == [20] * 3
    assert np.isnan(past[0]).sum() == np.isnan(future[1]).sum() == 1
    for scaled in (past, future):
        rows = np.concatenate(scaled)
        np.testing.assert_allclose(np.nanmean(rows, axis=0), 0.0, atol=1e-12)
        np.testing.assert_allclose(np.nanstd(rows, axis=0)[:3], 1.0)


def test_covariate_scaler__rows_ahead__follow_the_history_and_what_is_not_known_there_is_nan():
    series = scaled_series()
    scaler = CovariateScaler.fit(series, calendar=True)
    rows = [np.full((2, 2), float(i)) for i in range(3)]
    past, future = scaler.apply(series, rows, horizon=2, reach=5)
    assert [len(rows) for rows in past] == [20] * 3
    for i, known in enumerate(future):
        assert len(known) == 25
        np.testing.assert_allclose(known[20:22, :2] * scaler.future[1][:2] + scaler.future[0][:2], rows[i])
        assert np.isnan(known[22:, :2]).all()
        assert not np.isnan(known[22:, 2:]).any()
        np.testing.assert_allclose(
            known[:, 2] * scaler.future[1][2] + scaler.future[0][2], series.static[i, 0], atol=1e-12
        )
        times = pd.date_range(DAYS[0], periods=25)
        mean, std = (part[3:] for part in scaler.future)
        varies = np.isfinite(std)  # the month does not
        unscaled = known[:, 3:][:, varies] * std[varies] + mean[varies]
        assert (known[:, 3:][:, ~varies] == 0.0).all()
        np.testing.assert_allclose(unscaled, calendar_features(times, series.freq)[:, varies], atol=1e-12)


def test_covariate_scaler__without_static_columns_and_calendar__reaches_as_far_as_the_rows():
    series = targets()
    scaler = CovariateScaler.fit(series, calendar=False)
    assert [len(known) for known in scaler.apply(series, reach=9)[1]] == [15, 11]
    rows = read_future(AHEAD, series, 5)
    assert [len(known) for known in scaler.apply(series, rows, horizon=5, reach=9)[1]] == [20, 16]


def test_covariate_scaler__columns_without_variation__become_0_with_a_warning():
    frame = promotions().assign(y=1.0, promo=7, shop=3)
    series = read(frame, past_cols="promo", future_cols="loud", static_cols="shop")
    with pytest.warns(
        UserWarning, match=r"The covariates \['promo', 'shop'\] do not vary in the training series"
    ) as told:
        scaler = CovariateScaler.fit(series, calendar=False)
    assert len(told) == 1
    past, future = scaler.apply(series)
    assert (past[0] == 0.0).all()
    assert (future[0][:, 1] == 0.0).all()
    assert (future[0][:, 0] != 0.0).all()


def test_covariate_scaler__calendar_of_years__warns_that_it_has_no_effect():
    y = pd.Series(np.arange(30.0), pd.date_range("1990", periods=30, freq="YS"))
    with pytest.warns(UserWarning, match="calendar=True has no effect: steps of years"):
        assert CovariateScaler.fit(read(y), calendar=True).n_future == 0


def test_covariate_scaler__column_without_a_value__is_refused():
    with pytest.raises(ValueError, match=r"A covariate must have a value\. Column 'loud' has only NaN"):
        CovariateScaler.fit(read(promotions().assign(y=1.0, loud=np.nan), future_cols=COLUMNS), calendar=False)


# The calendar.


@pytest.mark.parametrize(
    ("freq", "cycles"),
    [
        (offsets.YearBegin(), []),
        (offsets.YearEnd(), []),
        (offsets.MonthBegin(12), []),
        (offsets.DateOffset(years=1), []),
        (offsets.QuarterBegin(startingMonth=2), ["month"]),
        (offsets.BQuarterEnd(), ["month"]),
        (offsets.MonthBegin(), ["month"]),
        (offsets.BMonthEnd(), ["month"]),
        (offsets.MonthEnd(5), ["month"]),
        (offsets.Week(weekday=2), ["month"]),
        (offsets.Day(7), ["month"]),
        (offsets.BDay(), ["month", "weekday"]),
        (offsets.Day(), ["month", "weekday"]),
        (offsets.Hour(24), ["month", "weekday"]),
        (offsets.Hour(), ["month", "weekday", "hour"]),
        (offsets.Hour(5), ["month", "weekday", "hour"]),
        (offsets.Minute(15), ["month", "weekday", "hour"]),
        (offsets.Second(), ["month", "weekday", "hour"]),
        (offsets.BusinessHour(), ["month", "weekday", "hour"]),
        (offsets.DateOffset(months=1, days=1), ["month", "weekday", "hour"]),
    ],
)
def test_calendar_features__each_frequency__are_the_cycles_that_steps_pass_through(freq, cycles):
    times = pd.date_range("2024-01-01 07:30", periods=3, freq="100D")
    columns = [f"{wave}_{cycle}" for cycle in ("month", "weekday", "hour") for wave in ("sin", "cos")]
    every = pd.DataFrame(calendar_features(times, offsets.Hour()), columns=columns)
    expected = every[[f"{wave}_{cycle}" for cycle in cycles for wave in ("sin", "cos")]]
    np.testing.assert_array_equal(calendar_features(times, freq), expected)


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


def test_calendar_features__periods__equal_their_timestamps():
    times = pd.period_range("2024-01", periods=12, freq="M")
    expected = calendar_features(times.to_timestamp(), offsets.MonthBegin())
    np.testing.assert_array_equal(calendar_features(times, times.freq), expected)


def test_calendar_features__integers__are_refused():
    with pytest.raises(ValueError, match=r"need a DatetimeIndex or PeriodIndex. Got times of 'int64'"):
        calendar_features(pd.RangeIndex(5), 1)
