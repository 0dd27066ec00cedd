"""Frequencies: found, declared or given; gaps, duplicates and irregular times are named by series and time."""

import numpy as np
import pandas as pd
import pytest
from layouts import DAYS, TIMES, long_frame, one_series, read
from pandas.testing import assert_index_equal
from pandas.tseries.frequencies import to_offset

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
    with pytest.raises(
        ValueError, match=r"Series 'a' is irregular: no frequency fits 2024.* and 27 more. Their days .*normalize"
    ):
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


@pytest.mark.parametrize(
    ("one", "other", "freq", "way"),
    [
        ("W-SUN", "W-WED", "7D", "'7D'"),
        ("2W-SUN", "2W-WED", "14D", "'14D'"),
        ("MS", "ME", pd.DateOffset(months=1), r"pd\.DateOffset\(1, months=1\)"),
        ("QE", "QE-JAN", pd.DateOffset(months=3), r"pd\.DateOffset\(1, months=3\)"),
        ("YE", "YS", pd.DateOffset(months=12), r"pd\.DateOffset\(1, months=12\)"),
    ],
)
def test_read_series__steps_of_equal_length_from_other_days__tells_the_frequency_of_both(one, other, freq, way):
    df = long_frame(a=pd.date_range("2015", periods=12, freq=one), b=pd.date_range("2015", periods=9, freq=other))
    with pytest.raises(ValueError, match=rf"must have one frequency.* equally long: pass freq={way}\.$"):
        read(df)
    assert read(df, freq=freq).n_series == 2


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


# Times of any kind.


@pytest.mark.parametrize(
    "times",
    [
        pd.Index(DAYS.date, dtype=object),
        pd.Index(list(DAYS), dtype=object),
        pd.Index(DAYS, dtype="timestamp[us][pyarrow]"),
        pd.Index(DAYS.date, dtype="date32[pyarrow]"),
        pd.CategoricalIndex(DAYS),
        DAYS.astype(str),
        DAYS.strftime("%Y-%m-%dT%H:%M"),
        DAYS.astype(str).astype("string[pyarrow]"),
        pd.CategoricalIndex(DAYS.astype(str)),
    ],
    ids=lambda times: f"{times.dtype} {times[0]}",
)
def test_read_series__days_of_another_type__are_days(times):
    for series in (read(long_frame(a=times)), read(pd.Series(1.0, times))):
        assert series.freq == pd.offsets.Day()
        assert_index_equal(series.times[0], DAYS, check_names=False, exact=False)


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "int64[pyarrow]", "object"])
def test_read_series__integers_of_another_type__are_plain(dtype):
    [times] = read(long_frame(a=pd.Index(range(9), dtype=dtype))).times
    assert isinstance(times.dtype, np.dtype)
    assert times.tolist() == list(range(9))


def test_read_series__periods_among_objects__are_periods():
    times = pd.period_range("2024", periods=9, freq="M")
    assert_index_equal(read(pd.Series(1.0, times.astype(object))).times[0], times)


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (["01/02/2024", "02/02/2024"], r"the text '01/02/2024'; convert times by pd.to_datetime\(times, format='%"),
        (["31.01.2024"], "format='%d.%m.%Y'"),
        (["20240131"], "format='%Y%m%d'"),
        (["2024-01-01", "May"], "Got the text 'May'"),
        (["2024-01-32"], r"no time of ISO 8601: Time data 2024-01-32 is not ISO8601 format; correct it"),
        (["2024-03-31T00:00+01:00", "2024-03-31T04:00+02:00"], r"pd.to_datetime\(times, utc=True\)"),
        (["2024-01-01", None], r"has 1 missing times \(NaT\), the first in row 1"),
    ],
)
def test_read_series__text_that_is_no_clear_time__is_refused_with_the_line_to_write(texts, match):
    with pytest.raises(ValueError, match=match):
        read(pd.Series(1.0, pd.Index(texts)))


MONTHS = pd.date_range("2020-11-01", periods=9, freq="MS")


@pytest.mark.parametrize(
    ("times", "way"),
    [
        (DAYS.strftime("%Y%m%d").astype(int), "format='%Y%m%d'"),
        (MONTHS.strftime("%Y%m").astype("int32"), "format='%Y%m'"),
        (pd.date_range("2020-12-01", periods=9, freq="W").strftime("%G%V").astype(int), "format='%G%V%u'"),
        (pd.date_range("2020-12-28", periods=9).strftime("%Y%j").astype(int), "format='%Y%j'"),
        (pd.Index([20203, 20204, 20211]), "freq='Q'"),
        *((pd.Index(DAYS.astype(f"M8[{unit}]").astype("int64")), f"unit='{unit}'") for unit in ("s", "ms", "us", "ns")),
    ],
)
def test_read_series__integers_that_spell_dates__are_refused_unless_they_are_said_to_count(times, way):
    with pytest.raises(ValueError, match=rf"dates as integers, such as {times[0]}; .*{way}.* pass freq=1"):
        read(pd.Series(1.0, times))
    with pytest.raises(ValueError, match=rf"dates as integers, such as {times[0]}"):
        read(long_frame(a=times), freq="D")
    counted = pd.RangeIndex(times[0], times[0] + 9)
    assert read(pd.Series(1.0, counted), freq=1).times[0].tolist() == list(counted)


@pytest.mark.parametrize(
    "times", [range(1990, 2020), range(9), range(190_000, 190_200), range(-5, 5), range(0, 10**6, 999)]
)
def test_read_series__integers_that_count__are_counted(times):
    assert read(pd.Series(1.0, pd.RangeIndex(times))).freq == times.step


@pytest.mark.parametrize("freq", ["H", "2T", "S"])
def test_read_series__alias_of_old__is_told_todays(freq):
    if pd.__version__ < "3":
        pytest.skip("this pandas still takes it")
    with pytest.raises(ValueError, match=rf"Got '{freq}'; did you mean (h|min|s)\?"):
        read(long_frame(a=DAYS), freq=freq)


# A calendar for each series.

AT = pd.Timedelta(hours=16)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize("zone", [None, BERLIN])
@pytest.mark.parametrize(
    "freq", ["D", "B", "W", "2W", "MS", "ME", "QE", "YS", "WOM-2TUE", "C", pd.DateOffset(months=1)]
)
def test_read_series__series_at_different_times_of_the_day__each_goes_on_at_its_own(freq, zone):
    if isinstance(freq, str) and freq in ("ME", "QE") and pd.__version__ < "2.2":
        pytest.skip("this pandas has other aliases")
    days = pd.date_range("2023-01-03", periods=12, freq=freq)
    midnight, afternoon = (days.tz_localize(zone), (days + AT).tz_localize(zone))
    df = long_frame(a=midnight[:9], b=afternoon[2:9])
    inferred, given = read(df, freq=None if isinstance(freq, str) and freq != "C" else freq), read(df, freq=freq)
    for series in (inferred, given):
        for times, after in zip((midnight, afternoon), future_times(series, 3), strict=True):
            assert_index_equal(after, times[9:], check_names=False)
    gappy = read(long_frame(a=midnight, b=afternoon.delete(4)), freq=freq)
    assert_index_equal(gappy.times[1], afternoon, check_names=False)
    assert np.flatnonzero(np.isnan(gappy.values[1])).tolist() == [4]


def test_read_series__one_time_of_another_hour__is_off_the_grid_of_its_series():
    times = pd.date_range("2023-01-01", periods=9, freq="MS") + AT
    with pytest.raises(ValueError, match="irregular: 2023-09-01 17:00:00 not on the grid of freq='MS'"):
        read(long_frame(a=DAYS[:1], b=times[:8].append(times[8:] + pd.Timedelta(hours=1))), freq="MS")


@pytest.mark.parametrize("is_first", [True, False])
def test_read_series__days_at_an_hour_that_comes_twice__are_days(is_first):
    days = pd.date_range("2024-10-20 02:30", periods=14)
    times = days.tz_localize(BERLIN, ambiguous=np.full(14, is_first))
    series = read(long_frame(a=times))
    assert series.freq == pd.offsets.Day()
    assert str(future_times(series, 1)[0][0]) == "2024-11-03 02:30:00+01:00"


def test_read_series__day_with_both_of_an_hour_that_comes_twice__is_irregular():
    days = pd.date_range("2024-10-20 02:30", periods=14)
    times = days.tz_localize(BERLIN, ambiguous=np.full(14, True))
    with pytest.raises(ValueError, match=r"2024-10-27 02:30:00\+01:00 not on the grid of freq='D'"):
        read(long_frame(a=times.append(times[7:8] + AT / 16)), freq="D")


def test_future_times__end_on_a_day_without_its_hour__go_on_at_that_hour():
    times = pd.date_range("2018-10-20", periods=20).tz_localize("America/Sao_Paulo", nonexistent="shift_forward")
    [after] = future_times(read(long_frame(a=times[:16])), 4)  # up to 2018-11-04 01:00
    assert_index_equal(after, times[16:], check_names=False)


@pytest.mark.parametrize(
    ("texts", "after"),
    [
        (["2020-11-15", "2020-12-15", "2021-01-15"], "2021-02-15"),
        (["2020-11-30", "2020-12-30", "2021-01-30"], "2021-02-28"),
        (["2020-12-31", "2021-01-31", "2021-02-28"], "2021-03-31"),
    ],
)
def test_read_series__one_day_of_the_months__stays_so(texts, after):
    times = pd.DatetimeIndex(texts)
    series = read(long_frame(a=times, b=MONTHS), freq=pd.DateOffset(months=1))
    assert [str(each[0].date()) for each in future_times(series, 1)] == [after, "2021-08-01"]


@pytest.mark.parametrize("zone", [None, BERLIN])
@pytest.mark.parametrize("freq", ["D", "B", "W", "2W", "MS", "YS", pd.DateOffset(months=1), pd.DateOffset(months=2)])
def test_read_series__rows_after_those_before__are_on_the_calendar_of_each(freq, zone):
    days = pd.date_range("2022-08-15", periods=14, freq=freq)
    whole = [days.tz_localize(zone), (days + AT).tz_localize(zone)]
    before = read(long_frame(a=whole[0][:7], b=whole[1][3:5]), freq=freq)
    more = long_frame(a=whole[0][7:9], b=whole[1][5:9])
    later = read(more, expected=before.freq, before=before)
    for times, known, after in zip(whole, later.times, future_times(later, 5), strict=True):
        assert_index_equal(known.append(after), times[-len(known) - 5 :], check_names=False)
    with pytest.raises(ValueError, match="'b' is irregular"):
        read(long_frame(b=whole[1][5:9] + AT / 16), expected=before.freq, before=before)


def test_future_times__series_that_end_together__go_on_each_by_its_own_days():
    ends = pd.date_range("2020-10-31", periods=6, freq=pd.offsets.MonthEnd())
    on_28th = ends.where(ends.month == 2, ends.to_period("M").to_timestamp() + pd.Timedelta(days=27))
    series = read(long_frame(a=ends[:5], b=on_28th[:5]), freq=pd.DateOffset(months=1))
    assert [str(each[0].date()) for each in future_times(series, 1)] == ["2021-03-31", "2021-03-28"]


@pytest.mark.parametrize(
    ("given", "plain"),
    [(pd.DateOffset(weeks=1), "7D"), (pd.DateOffset(2, hours=6), "12h"), (pd.DateOffset(days=1, hours=12), "36h")],
)
def test_read_series__offset_of_one_length__is_that_of_its_name(given, plain):
    times = pd.date_range("2024", periods=9, freq=given)
    assert read(pd.Series(1.0, times)).freq == read(long_frame(a=times), freq=given).freq == to_offset(plain)


UTC_DAYS = pd.date_range("2024-03-01", periods=60, tz="UTC")


@pytest.mark.parametrize(
    ("times", "match", "mended"),
    [
        (UTC_DAYS.tz_convert(BERLIN), "24 hours apart over changes of the clocks: pass freq='24h'", {"freq": "24h"}),
        (UTC_DAYS[::7].tz_convert("America/New_York"), "168 hours apart .* pass freq='168h'", {"freq": "168h"}),
        (MONTHS + pd.Timedelta(days=14), r"pass freq=pd.DateOffset\(months=1\)", {"freq": pd.DateOffset(months=1)}),
        (MONTHS[::3] + pd.Timedelta(days=9), r"DateOffset\(months=3\)", {"freq": pd.DateOffset(months=3)}),
    ],
)
def test_read_series__times_often_met__are_told_a_frequency_that_works(times, match, mended):
    with pytest.raises(ValueError, match=match):
        read(long_frame(a=times))
    assert len(read(long_frame(a=times), **mended).times[0]) == len(times)


@pytest.mark.parametrize(
    ("times", "match", "mend"),
    [
        (UTC_DAYS.tz_convert(BERLIN).tz_localize(None), "freq='D': .*normalize", lambda t: t.normalize()),
        (
            pd.date_range("2024", periods=9, freq="MS", tz="UTC").tz_convert(BERLIN),
            "normalize",
            lambda t: t.normalize(),
        ),
        (DAYS[0] + pd.to_timedelta(7 * np.cumsum([4, 4, 5] * 6), "D"), "number them", lambda t: pd.RangeIndex(len(t))),
    ],
)
def test_read_series__times_of_no_frequency_but_often_met__are_told_what_to_do(times, match, mend):
    with pytest.raises(ValueError, match=match):
        read(long_frame(a=times))
    assert len(read(long_frame(a=mend(times))).times[0]) == len(times)


@pytest.mark.parametrize("freq", ["D", "7D", "W", "B", "2MS", "QE", "h", "YS-MAR", pd.DateOffset(months=1)])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_time_before__dates__is_where_the_range_began(freq, zone):
    times = pd.date_range("2024-03-25", periods=30, freq=freq, tz=zone)
    assert_index_equal(time_before(times[12:], 12, times.freq), times[:1])


def test_time_before__months_that_begin_with_a_short_one__is_on_the_day_of_the_others():
    times = pd.DatetimeIndex(["2021-02-28", "2021-03-31"])
    assert_index_equal(time_before(times, 2, pd.DateOffset(months=1)), pd.DatetimeIndex(["2020-12-31"]), exact=False)


def test_time_before__periods_and_integers__is_where_the_range_began():
    assert_index_equal(
        time_before(pd.period_range("2024-05", periods=3, freq="M"), 4, 1), pd.PeriodIndex(["2024-01"], freq="M")
    )
    assert list(time_before(pd.RangeIndex(20, 30, 2), 3, 2)) == [14]
