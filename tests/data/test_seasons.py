"""The season: what frequencies usually have, and what is taken of it for a history."""

import warnings

import numpy as np
import pandas as pd
import pytest
from forecasts import small
from pandas import offsets
from pandas.tseries.frequencies import to_offset

from tsformer.data.forecasts import future_times
from tsformer.data.frames import Columns, read_series
from tsformer.data.seasons import choose_season, step_of, usual_seasons
from tsformer.metrics import mean_absolute_scaled_error

MONDAY_TO_SATURDAY = offsets.CustomBusinessDay(weekmask="Mon Tue Wed Thu Fri Sat")
FISCAL = {"weekday": 5, "startingMonth": 1, "variation": "nearest"}
# Offsets of equal duration, and the seasons that they have in steps.
EQUAL = [
    ([], ["YS", "YE-MAR", "BYS", "12MS", "4QS", offsets.DateOffset(years=1), offsets.DateOffset(months=12)]),
    ([], [offsets.FY5253(**FISCAL), offsets.Easter()]),
    ([2], ["6MS", "2QE", offsets.DateOffset(months=6)]),
    ([4], ["QS", "QE-FEB", "BQE", "3MS", offsets.DateOffset(months=3)]),
    ([4], [offsets.FY5253Quarter(qtr_with_extra_week=1, **FISCAL)]),
    ([6], ["2MS", "2ME", offsets.DateOffset(2, months=1)]),
    ([12], ["MS", "ME", "BMS", "BME", "CBMS", "CBME", "WOM-2TUE", "LWOM-FRI", "2SMS", offsets.DateOffset(months=1)]),
    ([12], [offsets.DateOffset(months=1, day=5)]),
    ([24], ["SMS", "SME"]),
    ([13], ["4W", "28D"]),
    ([26], ["2W", "2W-WED", "14D", offsets.DateOffset(weeks=2)]),
    ([52], ["W", "W-WED", "7D", "168h", offsets.DateOffset(days=7), offsets.DateOffset(weeks=1)]),
    ([7], ["D", "24h", "1440min", offsets.DateOffset(), offsets.DateOffset(days=1), offsets.DateOffset(hours=24)]),
    ([5], ["B", "C", offsets.CDay(holidays=["2024-01-01"])]),
    ([6], [MONDAY_TO_SATURDAY, offsets.CDay(weekmask="1111110")]),
    ([3], [2 * MONDAY_TO_SATURDAY]),
    ([8], ["bh", "cbh", offsets.BusinessHour(start=["09:00", "14:00"], end=["13:00", "18:00"])]),
    ([4], ["2bh", offsets.BusinessHour(start="22:00", end="02:00")]),
    ([2], ["12h"]),
    ([24], ["h", "60min", "3600s", offsets.DateOffset(hours=1)]),
    ([48], ["30min"]),
    ([96, 4], ["15min", offsets.DateOffset(minutes=15)]),
    ([1440, 60], ["min", "60s"]),
    ([120], ["30s"]),
    ([60], ["s", "1000ms"]),
    ([600, 10], ["100ms", offsets.DateOffset(microseconds=100_000)]),
    ([1000], ["ms"]),
    ([], ["us", "ns", "5h", "36h", "2D", "30D", "10W", "5ME", "2B", offsets.DateOffset(months=1, days=1)]),
    ([], [1, 7]),
]


def as_freq(freq):
    return to_offset(freq) if isinstance(freq, str) else freq


def without_warning(*args):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return choose_season(*args)


@pytest.mark.parametrize(("seasons", "freqs"), EQUAL)
def test_usual_seasons__offsets_of_equal_duration__are_equal(seasons, freqs):
    assert [usual_seasons(as_freq(freq)) for freq in freqs] == [seasons] * len(freqs)


@pytest.mark.skipif(not hasattr(offsets, "HalfYearEnd"), reason="new in pandas 3")
def test_usual_seasons__half_years__are_two():
    freqs = [offsets.HalfYearBegin(), offsets.HalfYearEnd(), offsets.BHalfYearEnd()]
    assert [usual_seasons(freq) for freq in freqs] == [[2]] * 3


@pytest.mark.parametrize(("seasons", "freqs"), [(seasons, freqs) for seasons, freqs in EQUAL if seasons])
def test_step_of__offsets_of_equal_duration__are_equal(seasons, freqs):
    assert len({step_of(as_freq(freq)) for freq in freqs}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("QE", "6h"), ("MS", "2h"), ("YE", "5h"), ("D", "B"), ("D", "2D"), ("5h", "7h"), ("YE", "us")]
)
def test_step_of__different_offsets__differ_even_where_their_seasons_do_not(one, other):
    assert step_of(to_offset(one)) != step_of(to_offset(other))


@pytest.mark.parametrize(
    ("times", "seasons"),
    [
        (pd.date_range("2024-01-07", periods=4, freq="W"), [52]),
        (pd.date_range("2024-01-07", periods=4, freq="7D"), [52]),
        (pd.date_range("2024-03-30", periods=4, freq="D", tz="Europe/Berlin"), [7]),
        (pd.date_range("2024-01-01", periods=4, freq="30min", tz="Europe/Berlin"), [48]),
        (pd.period_range("2024-01", periods=4, freq="Y"), []),
        (pd.period_range("2024-01", periods=4, freq="Q"), [4]),
        (pd.period_range("2024-01", periods=4, freq="M"), [12]),
        (pd.period_range("2024-01", periods=4, freq="W"), [52]),
        (pd.period_range("2024-01", periods=4, freq="D"), [7]),
        (pd.period_range("2024-01", periods=4, freq="h"), [24]),
        (pd.RangeIndex(4), []),
        (pd.Index([3, 6, 9]), []),
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_usual_seasons__frequency_that_was_read__does_not_depend_on_whether_the_index_declares_it(
    times, seasons, declared
):
    if not declared and isinstance(times, pd.DatetimeIndex):
        times = pd.DatetimeIndex(times, freq=None)
    series = read_series(pd.Series(1.0, index=times), Columns())
    assert usual_seasons(series.freq) == seasons


@pytest.mark.parametrize("freq", [freq for _, freqs in EQUAL for freq in freqs if not isinstance(freq, int)])
@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_read_series__any_offset__is_followed_through_gaps_and_ahead(freq, tz):
    times = pd.date_range("2020-01-03 10:00", periods=24, freq=freq, tz=tz, unit="ns")
    for gaps, kwargs in (([], {}), ([5, 6], {"freq": freq})):
        series = read_series(pd.Series(1.0, times[:20].delete(gaps)), Columns(), **kwargs)
        assert list(series.times[0]) == list(times[:20])
        assert list(future_times(series, 4)[0]) == list(times[20:])


@pytest.mark.parametrize(
    ("freq", "longest", "chosen"),
    [
        (1, 1000, (1, 0)),
        ("YS", 5, (1, 0)),
        ("MS", 24, (12, 0)),
        ("W", 104, (52, 0)),
        ("D", 1000, (7, 0)),
        ("h", 48, (24, 0)),
        ("h", 167, (24, 0)),
        ("h", 168, (24, 168)),
        ("30min", 336, (48, 336)),
        ("15min", 672, (96, 672)),
        ("2h", 1000, (12, 0)),
        ("min", 2880, (1440, 0)),
        ("min", 10_080, (1440, 10_080)),
        ("10s", 100_000, (360, 0)),
        ("100ms", 1200, (600, 0)),
    ],
)
def test_choose_season__auto__is_the_usual_one_with_the_week_of_a_day(freq, longest, chosen):
    assert without_warning("auto", as_freq(freq), longest) == chosen


@pytest.mark.parametrize(
    ("freq", "longest", "chosen", "message"),
    [
        (
            "min",
            2879,
            (60, 1440),
            r"season of 1440 steps, which needs a history of 2880 .* the longest series has 2879\.",
        ),
        ("min", 1439, (60, 0), r"Taken instead: a season of 60 steps\. .* or confirm it by season=60\."),
        ("min", 119, (1, 0), r"Taken instead: no season\. .* or confirm it by season=1\."),
        (
            "15min",
            100,
            (4, 96),
            r"a season of 4 steps, and a look 96 steps back\. .* confirm it by season=\[4, 96\]\.",
        ),
        ("30min", 95, (1, 0), "no season"),
        ("100ms", 1000, (10, 600), "a season of 10 steps"),
        ("100ms", 19, (1, 0), "no season"),
        ("W", 103, (1, 0), r"52 steps, which needs a history of 104 time points; the longest series has 103\."),
        ("MS", 23, (1, 0), r"Give more history, resample to longer steps, or confirm it by season=1\."),
    ],
)
def test_choose_season__history_that_does_not_show_it__is_the_next_shorter_and_a_warning_confirmed_by_what_it_says(
    freq, longest, chosen, message
):
    with pytest.warns(UserWarning, match=message) as record:
        assert choose_season("auto", as_freq(freq), longest) == chosen
    assert len(record) == 1
    assert without_warning([each for each in chosen if each], as_freq(freq), longest) == chosen


@pytest.mark.parametrize(
    ("season", "freq", "longest", "chosen"),
    [
        (1, "h", 1, (1, 0)),
        (10, "h", 20, (10, 0)),
        (24, "h", 1000, (24, 0)),
        (np.int64(12), 1, 24, (12, 0)),
        ([24, 168], "h", 168, (24, 168)),
        ([168, 24], 1, 168, (24, 168)),
        ([7, 30, 364], "D", 1000, (7, 364)),
        ([1, 12], "MS", 24, (12, 0)),
        ([12], "MS", 24, (12, 0)),
    ],
)
def test_choose_season__given__is_taken_where_the_history_shows_it(season, freq, longest, chosen):
    assert without_warning(season, as_freq(freq), longest) == chosen


@pytest.mark.parametrize(
    ("season", "freq", "longest", "chosen", "message"),
    [
        (12, 1, 23, (1, 0), r"^season=12 needs a history of 24 time points; the longest series has 23\."),
        (168, "h", 200, (24, 168), r"^season=168 needs .* confirm it by season=\[24, 168\]"),
        (100, "min", 199, (1, 0), "no season"),  # an hour does not divide it
        (3600, "s", 10**5, (60, 0), r"^season=3600 is more than the 1440 steps that a network can read"),
        (
            [24, 168],
            "h",
            167,
            (24, 0),
            r"^season=\[24, 168\] needs a history of 168 .* Taken instead: a season of 24 steps\.",
        ),
        ([24, 168, 8760], "h", 1000, (24, 168), "needs a history of 8760 time points"),
        ([24, 168], "h", 47, (1, 0), "needs a history of 48 time points"),
    ],
)
def test_choose_season__given_but_not_shown_by_the_history__is_replaced_with_a_warning(
    season, freq, longest, chosen, message
):
    with pytest.warns(UserWarning, match=message) as record:
        assert choose_season(season, as_freq(freq), longest) == chosen
    assert len(record) == 1


@pytest.mark.parametrize(
    ("season", "reach", "chosen", "message"),
    [
        ([24, 168, 8760], 1008, (24, 168), r"longer than the 1008 time .* Set context_length=8760, or .*=\[24, 168\]"),
        ([24, 168], 120, (24, 0), r"longer than the 120 time points of a context\. Taken instead: a season of 24"),
    ],
)
def test_choose_season__beyond_the_reach_of_a_context__is_replaced_with_a_warning(season, reach, chosen, message):
    with pytest.warns(UserWarning, match=message) as record:
        assert choose_season(season, as_freq("h"), 10**5, reach) == chosen
    assert len(record) == 1
    assert choose_season(season, as_freq("h"), 10**5, max(season)) == (24, max(season))


def test_choose_season__auto__looks_back_a_week_where_a_context_holds_one():
    assert without_warning("auto", as_freq("10min"), 10**5, 1008) == (144, 1008)
    assert without_warning("auto", as_freq("5min"), 10**5, 1008) == (288, 0)
    assert without_warning("auto", as_freq("5min"), 10**5, 2016) == (288, 2016)


@pytest.mark.parametrize(("context_length", "chosen"), [("auto", 168), (8760, 8760)])
def test_forecaster__a_long_season__is_looked_back_to_where_the_context_holds_it(context_length, chosen):
    y = pd.Series(np.sin(np.arange(9000.0)), pd.date_range("2023", periods=9000, freq="h"))
    forecaster = small(season=[24, 168, 8760], context_length=context_length, max_steps=1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        forecaster.fit(y)
    assert forecaster.lengths_.long_season == chosen
    assert [str(each.message)[:25] for each in told] == ["season=[24, 168, 8760] is"] * (chosen == 168)


@pytest.mark.parametrize("season", [True, 0, -1, 12.0, None, "week", (7,), [], [24, 0], [24, 1.5], [True]])
def test_season__no_int_nor_list_of_ints__is_refused(season):
    with pytest.raises(ValueError, match="The 'season' parameter"):
        choose_season(season, 1, 100)
    with pytest.raises(ValueError, match=r"The 'season' parameter .* Got .* instead"):
        small(season=season).fit(pd.Series(np.arange(60.0)))


def trends(index: pd.Index, n_series: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = 100 + rng.uniform(-3, 3, n_series) * np.arange(len(index))[:, None]
    return pd.DataFrame(values + rng.normal(0, 2, values.shape), index, columns=[f"s{i}" for i in range(n_series)])


def test_forecaster__weeks_of_less_than_two_years__are_forecast_as_numbered_times_are():
    by_week, by_number = trends(pd.date_range("2024-01-07", periods=53, freq="W")), trends(pd.RangeIndex(53))
    forecaster = small(horizon=8, max_steps=40, n_heads=1)
    with pytest.warns(UserWarning, match="season of 52 steps") as record:
        weekly = forecaster.fit(by_week[:45]).predict()
    assert len(record) == 1
    numbered = forecaster.fit(by_number[:45]).predict()
    np.testing.assert_array_equal(weekly, numbered)
    error, error_of_last = (np.abs(by_number[45:] - each).mean(axis=None) for each in (numbered, by_number.iloc[44]))
    assert error < 0.6 * error_of_last
    assert list(weekly.index) == list(by_week.index[45:])


def test_forecaster__season_given__is_that_of_fit_score_and_other_series():
    y = pd.Series(np.tile(np.arange(10.0), 6) + np.random.default_rng(0).normal(size=60))
    forecaster = small(season=10, max_steps=1).fit(y)
    errors = y[54:], forecaster.predict(y[:54])
    expected = mean_absolute_scaled_error(*errors, y_train=y[:54], season=10)
    assert forecaster.score(y) == pytest.approx(-expected)
    forecaster.update(pd.Series(1.0, range(60, 65)), refit=True)
    assert forecaster.lengths_.season == 10


def test_forecaster__calendar_of_equal_duration__takes_other_series():
    forecaster = small(calendar=True, max_steps=1).fit(
        pd.Series(np.arange(120.0), pd.date_range("2020", periods=120, freq="7D"))
    )
    other = pd.Series(np.arange(30.0), pd.date_range("2020-01-05", periods=30, freq="W"))
    assert forecaster.lengths_.season == 52
    assert len(forecaster.predict(other)) == 6


@pytest.mark.parametrize(("fitted", "other"), [("QE", "6h"), ("MS", "2h"), ("YE", "5h")])
def test_predict__another_frequency_of_equal_season__is_refused(fitted, other):
    one, two = (pd.Series(np.sin(np.arange(60.0)), pd.date_range("2020", periods=60, freq=f)) for f in (fitted, other))
    with pytest.raises(ValueError, match="df must have the frequency that fit saw"):
        small(max_steps=1).fit(one).predict(two)
