"""Frequencies: found, declared or given; gaps, duplicates and irregular times are named by series and time."""

import numpy as np
import pandas as pd
import pytest
from layouts import DAYS, TIMES, long_frame, one_series, read
from pandas.testing import assert_index_equal

from tsformer.data.forecasts import future_times
from tsformer.data.frequency import time_before


@pytest.mark.parametrize(
    ("name", "absent", "alias"),
    [
        ("days", "2024-01-06", "'D'"),
        ("every other day", "2024-01-11", "'2D'"),
        ("local days over a change of clocks", r"2024-03-15 00:00:00\+01:00", "'D'"),
        ("quarters of an hour", "2024-01-01 01:15:00", "'15(min|T)'"),
        ("business days", "2024-01-08", "'B'"),
        ("Wednesdays", "2024-02-07", "'W-WED'"),
        ("month starts", "2021-06-01", "'MS'"),
        ("month ends", "2021-06-30", "'ME?'"),
        ("month periods", "2021-06", "'M'"),
        ("two-month periods", "2021-11", "'2M'"),
        ("steps of 5", "-25", "5"),
    ],
)
def test_read_series__gap__names_series_and_time_and_the_way_out(name, absent, alias):
    times = TIMES[name]
    df = long_frame(fine=times[:20], gappy=times.delete([5, 20]))
    with pytest.raises(ValueError, match=f"Series 'gappy' has a gap: no row for {absent}. Pass freq={alias} to insert"):
        read(df)
    with pytest.raises(ValueError, match=f"The series has a gap: no row for {absent}. Pass freq={alias} to insert"):
        read(pd.Series(1.0, index=times.delete(5)))


@pytest.mark.parametrize(("length", "more"), [(3, ""), (4, " and 1 more"), (10, " and 7 more")])
def test_read_series__long_gap__names_the_first_few_times(length, more):
    with pytest.raises(ValueError, match=rf"no row for 2024-01-05, 2024-01-06, 2024-01-07{more}. Pass freq='D'"):
        read(long_frame(a=DAYS.delete(np.arange(4, 4 + length))))


def test_read_series__holidays_among_business_days__are_told_as_such():
    days = pd.date_range("2024-01-01", periods=60, freq="B").drop(["2024-01-01", "2024-01-15", "2024-02-19"])
    with pytest.raises(ValueError, match=r"no row for 2024-01-15. Pass freq='B'"):
        read(long_frame(a=days))


@pytest.mark.parametrize("name", list(TIMES))
def test_read_series__freq_given_for_gaps__inserts_missing_values(name):
    times = TIMES[name]
    freq = read(long_frame(a=times)).freq
    series = read(long_frame(a=times.delete([5, 6, 20]), b=times[3:9], c=times[[7, 10]]), freq=freq)
    assert_index_equal(series.times[0], times, check_names=False, exact="equiv")
    assert_index_equal(series.times[1], times[3:9], check_names=False, exact="equiv")
    assert np.flatnonzero(np.isnan(series.values[0])).tolist() == [5, 6, 20]
    assert series.values[0][~np.isnan(series.values[0])].tolist() == list(range(37))
    assert series.values[1][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(series.values[2][:, 0], [0, np.nan, np.nan, 1])


def test_read_series__duplicate_times__are_named_with_their_series():
    df = long_frame(a=DAYS, b=DAYS.append(DAYS[[9, 4, 4]]))
    with pytest.raises(ValueError, match=r"Series 'b' has duplicate times: 2024-01-05, 2024-01-10. Keep one row"):
        read(df)
    with pytest.raises(ValueError, match="Series 'b' has duplicate times"):
        read(df, freq="D")


def test_read_series__several_series_without_their_ids__hints_at_id_col():
    df = long_frame(a=DAYS, b=DAYS).drop(columns="unique_id")
    with pytest.raises(ValueError, match=r"The series has duplicate times: 2024-01-01.*name their ids with id_col="):
        read(df)


@pytest.mark.parametrize("freq", [None, 1])
def test_read_series__one_time_far_from_all_others__is_told_before_the_memory_is_full(freq):
    series = pd.Series(1.0, index=[*range(20), 10**12])
    with pytest.raises(ValueError, match=r"goes from 0 to 1000000000000, .* steps of freq=1, in 21 rows\. Correct"):
        read(series, freq=freq)


def test_read_series__time_between_the_steps__is_named():
    df = long_frame(a=DAYS, b=DAYS[:9].append(pd.DatetimeIndex(["2024-01-10 05:00"])))
    with pytest.raises(ValueError, match="Series 'b' is irregular: 2024-01-10 05:00:00 not on the grid of freq='D'"):
        read(df)
    with pytest.raises(ValueError, match="Series 'b' is irregular: 2024-01-10 05:00:00 not on the grid of freq='D'"):
        read(df, freq="D")


@pytest.mark.parametrize(
    ("times", "off", "freq"),
    [
        (pd.date_range("2024-01-01", periods=30, freq="h"), pd.Timestamp("2024-01-03 00:30"), "'h|H'"),
        (pd.date_range("2024-01-01", periods=30, freq="MS"), pd.Timestamp("2026-08-02"), "'MS'"),
        (pd.Index(np.arange(0, 60, 2)), 63, "2"),
        (pd.period_range("2020-01", periods=30, freq="2M"), pd.Period("2026-02", freq="2M"), "'2M'"),
    ],
)
def test_read_series__time_between_the_steps__is_named_for_any_kind_of_time(times, off, freq):
    df = long_frame(a=times, b=times.insert(30, off))
    with pytest.raises(
        ValueError, match=f"Series 'b' is irregular: {str(off).removesuffix(' 00:00:00')} not on .*{freq}"
    ):
        read(df)


def test_read_series__jittered_times__fit_no_frequency():
    times = DAYS + pd.to_timedelta(np.random.default_rng(0).integers(0, 3600, size=30), unit="s")
    with pytest.raises(ValueError, match=r"Series 'a' is irregular: no frequency fits 2024.* and 27 more. Resample"):
        read(long_frame(a=times))


@pytest.mark.parametrize(
    ("times", "alias"),
    [
        (pd.date_range("2024-01-01", periods=9, freq="MS"), "'MS'"),
        (pd.date_range("2024-01-01", periods=9, freq="h"), "'h|H'"),
        (pd.date_range("2024-01-01", periods=9, freq="2D"), "'2D'"),
    ],
)
def test_read_series__series_of_different_frequencies__names_one_of_each(times, alias):
    df = long_frame(a=times[:1], daily=DAYS, other=times)
    match = f"must have one frequency. Series 'daily' has 'D', Series 'other' has {alias}. Read"
    with pytest.raises(ValueError, match=match):
        read(df)


def test_read_series__weekly_frequency_of_the_wrong_day__tells_the_right_one():
    times = pd.date_range("2024-01-01", periods=9, freq="W-MON")
    match = "is irregular: 2024-01-01, 2024-01-08, 2024-01-15 and 6 more not on the grid .*look like freq='W-MON'"
    with pytest.raises(ValueError, match=match):
        read(long_frame(a=times), freq="W")


@pytest.mark.parametrize("n_times", [1, 2])
def test_read_series__too_few_timestamps__need_freq(n_times):
    df = long_frame(a=DAYS[:1], b=DAYS[:n_times])
    with pytest.raises(ValueError, match=f"from fewer than 3 timestamps; the longest series has {n_times}. Pass freq="):
        read(df)
    assert str(future_times(read(df, freq="W-MON" if n_times == 1 else "D"), 1)[1][0])[:7] == "2024-01"


@pytest.mark.parametrize("times", [DAYS[:1], DAYS[:2], pd.period_range("2024", periods=1, freq="D")])
def test_read_series__few_times_that_declare_their_frequency__need_no_freq(times):
    series = read(pd.Series(1.0, index=times))
    assert str(future_times(series, 1)[0][0])[:10] == f"2024-01-0{len(times) + 1}"


def test_read_series__two_series_of_one_day_each__take_no_frequency_from_the_rows_of_the_frame():
    df = pd.Series(1.0, index=pd.MultiIndex.from_arrays([["a", "b"], DAYS[:2]]))
    with pytest.raises(ValueError, match="fewer than 3 timestamps"):
        read(df)


def test_read_series__single_integer_time__steps_by_1():
    assert future_times(read(one_series([3.0])), 2)[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("times", "freq", "match"),
    [
        (pd.RangeIndex(5), "D", "times are integers, so freq must be an int >= 1, e.g. freq=1. Got 'D'"),
        (pd.RangeIndex(5), 0, "times are integers, so freq must be an int >= 1, e.g. freq=1. Got 0"),
        (DAYS[:5], 1, "times are timestamps, so freq must be a pandas offset, e.g. freq='D'. Got 1"),
        (DAYS[:5], "daily", "freq must be a pandas offset, e.g. 'D', 'MS' or 'W-MON'. Got 'daily'"),
        (TIMES["month periods"], "monthly", "freq must be that of the periods, 'M'; asfreq changes it. Got 'monthly'"),
        (DAYS[:5], "-1D", "freq must be positive and no finer than the times"),
        (DAYS[:5].as_unit("s"), "10ms", "no finer than the times, in 's'. Got '10ms'"),
        (TIMES["month periods"], "D", "freq must be that of the periods, 'M'; asfreq changes it. Got 'D'"),
    ],
)
def test_read_series__freq_that_does_not_suit_the_times__is_refused(times, freq, match):
    with pytest.raises(ValueError, match=match):
        read(pd.Series(1.0, index=times), freq=freq)


@pytest.mark.parametrize(
    ("freq", "message"),
    [
        ("D", r"freq='D' is finer than the data: .* are 28 steps apart\. .* look like freq='MS'"),
        ("12h", "are 56 steps apart"),
    ],
)
def test_read_series__frequency_finer_than_the_data__is_an_error(freq, message):
    monthly = pd.Series(np.arange(40.0), index=pd.date_range("2021-01-01", periods=40, freq="MS"))
    with pytest.raises(ValueError, match=message):
        read(monthly, freq=freq)


@pytest.mark.parametrize("freq", ["D", "7D", "W", "B", "2MS", "QE", "h", "YS-MAR"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_time_before__dates__is_where_the_range_began(freq, zone):
    times = pd.date_range("2024-03-25", periods=30, freq=freq, tz=zone)
    assert_index_equal(time_before(times[12:], 12, times.freq), times[:1])


def test_time_before__periods_and_integers__is_where_the_range_began():
    assert_index_equal(
        time_before(pd.period_range("2024-05", periods=3, freq="M"), 4, 1), pd.PeriodIndex(["2024-01"], freq="M")
    )
    assert list(time_before(pd.RangeIndex(20, 30, 2), 3, 2)) == [14]
