"""Frames: each form comes in and goes out alike, and what is wrong with a frame is named by series and time."""

import numpy as np
import pandas as pd
import pytest
from pandas import offsets
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from tsformer.data.forecasts import future_times, quantiles_of, write_forecast
from tsformer.data.frames import read_series

DAYS = pd.date_range("2024-01-01", periods=30, freq="D")

# 40 times each; the first 30 will be the history. Mind the changes of clocks on 2024-03-31 and 2024-10-27.
TIMES = {
    "days": pd.date_range("2024-01-01", periods=40, freq="D"),
    "every other day": pd.date_range("2024-01-01", periods=40, freq="2D"),
    "local days over a change of clocks": pd.date_range("2024-03-10", periods=40, freq="D", tz="Europe/Berlin"),
    "local days without a midnight": pd.date_range("2018-10-01", periods=40, freq="D").tz_localize(
        "America/Sao_Paulo", nonexistent="shift_forward"
    ),
    "local hours over a change of clocks": pd.date_range("2024-10-26", periods=40, freq="h", tz="Europe/Berlin"),
    "quarters of an hour": pd.date_range("2024-01-01", periods=40, freq="15min"),
    "seconds in a unit of seconds": pd.date_range("2024-01-01", periods=40, freq="s").as_unit("s"),
    "days in a unit of seconds": pd.date_range("2024-01-01", periods=40, freq="D").as_unit("s"),
    "business days": pd.date_range("2024-01-01", periods=40, freq="B"),
    "Wednesdays": pd.date_range("2024-01-03", periods=40, freq="W-WED"),
    "fortnights": pd.date_range("2024-01-03", periods=40, freq="14D"),
    "month starts": pd.date_range("2021-01-01", periods=40, freq="MS"),
    "month ends": pd.date_range("2021-01-31", periods=40, freq=offsets.MonthEnd()),
    "last business days": pd.date_range("2021-01-29", periods=40, freq=offsets.BMonthEnd()),
    "quarter starts": pd.date_range("2000-02-01", periods=40, freq=offsets.QuarterBegin(startingMonth=2)),
    "quarter ends": pd.date_range("2000-03-31", periods=40, freq=offsets.QuarterEnd(startingMonth=3)),
    "years": pd.date_range("1960-01-01", periods=40, freq="YS"),
    "year ends": pd.date_range("1960-12-31", periods=40, freq=offsets.YearEnd()),
    "month periods": pd.period_range("2021-01", periods=40, freq="M"),
    "two-month periods": pd.period_range("2021-01", periods=40, freq="2M"),
    "week periods": pd.period_range("2021-01-06", periods=40, freq="W-SUN"),
    "a range": pd.RangeIndex(40),
    "steps of 5": pd.Index(np.arange(-50, 150, 5)),
    "nullable integers": pd.Index(np.arange(40), dtype="Int64"),
    "short integers": pd.Index(np.arange(2000, 2040, dtype=np.int16)),
}
FORMS = ["series", "wide", "long", "long without ids", "panel", "panel series"]


def frame_in(form: str, times: pd.Index, values: np.ndarray) -> pd.Series | pd.DataFrame:
    """The frame of `values` (n_series, n_times, n_channels); forms of one series or channel take the first."""
    if form == "series":
        return pd.Series(values[0, :, 0], index=times.rename("when"), name="load")
    if form == "wide":
        return pd.DataFrame(values[0], index=times.rename("when"), columns=pd.Index(["a", "b"], name="what"))
    if form == "long without ids":
        return pd.DataFrame({"ds": times, "y": values[0, :, 0]})
    ids = [f"s{i}" for i in range(len(values), 0, -1)]
    if form == "long":
        pieces = [pd.DataFrame({"unique_id": i, "ds": times, "y": v[:, 0]}) for i, v in zip(ids, values, strict=True)]
        return pd.concat(pieces, ignore_index=True)
    index = pd.MultiIndex.from_arrays(
        [np.repeat(ids, len(times)), times.append([times] * (len(ids) - 1))], names=["shop", "when"]
    )
    panel = pd.DataFrame(values.reshape(-1, values.shape[-1]), index=index, columns=["a", "b"])
    return panel if form == "panel" else panel["b"]


def long_frame(**series: pd.Index) -> pd.DataFrame:
    """Series of the values 0, 1, 2, ... at the given times, in long form."""
    pieces = [pd.DataFrame({"unique_id": i, "ds": t, "y": np.arange(float(len(t)))}) for i, t in series.items()]
    return pd.concat(pieces, ignore_index=True)


def one_series(values: list[float]) -> pd.Series:
    return pd.Series(values, index=pd.RangeIndex(len(values)), dtype=float)


def assert_same(got: pd.Series | pd.DataFrame, expected: pd.Series | pd.DataFrame) -> None:
    check = assert_series_equal if isinstance(expected, pd.Series) else assert_frame_equal
    check(got, expected, check_freq=False, check_index_type="equiv")


# Forms in and out.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_write_forecast__each_form_and_kind_of_time__continues_what_came_in(form, times):
    truth = np.random.default_rng(0).normal(size=(3, 40, 2))
    series = read_series(frame_in(form, times[:30], truth[:, :30]))
    future = future_times(series, 10)
    channels = {"wide": slice(None), "panel": slice(None), "panel series": [1]}.get(form, [0])
    forecast = write_forecast(series, future, [values[30:, channels] for values in truth[: len(series)]])
    assert_same(forecast, frame_in(form, times[30:], truth[:, 30:]))


@pytest.mark.parametrize("form", FORMS)
def test_read_series__each_form__holds_ids_values_times_and_frequency(form):
    values = np.random.default_rng(0).normal(size=(3, 30, 2))
    series = read_series(frame_in(form, DAYS, values))
    many = form in ("long", "panel", "panel series")
    assert list(series.ids) == (["s3", "s2", "s1"] if many else [None])
    assert len(series) == len(series.values) == len(series.times) == len(series.ids)
    assert series.freq == offsets.Day()
    names = {"series": ["load"], "panel series": ["b"], "long": ["y"], "long without ids": ["y"]}
    assert series.names == names.get(form, ["a", "b"])
    for got, times, expected in zip(series.values, series.times, values, strict=False):
        channels = slice(None) if form in ("wide", "panel") else [1] if form == "panel series" else [0]
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, expected[:, channels])
        assert_index_equal(times, DAYS, check_names=False)


@pytest.mark.parametrize("form", FORMS)
def test_read_series__rows_in_any_order__are_sorted_by_time_and_the_frame_is_left_alone(form):
    frame = frame_in(form, DAYS, np.random.default_rng(0).normal(size=(3, 30, 2)))
    shuffled = frame.sample(frac=1, random_state=0)
    before = shuffled.copy()
    series, expected = read_series(shuffled), read_series(frame)
    for i, values in zip(series.ids, series.values, strict=True):
        np.testing.assert_array_equal(values, expected.values[list(expected.ids).index(i)])
    assert_same(shuffled, before)


def test_read_series__ids_in_any_order__stay_in_that_of_their_first_rows():
    df = pd.concat([long_frame(z=DAYS[:3], a=DAYS[:3]), long_frame(m=DAYS[:5])])
    assert list(read_series(df).ids) == ["z", "a", "m"]


def test_read_series__starts_and_lengths_that_differ__take_the_frequency_of_the_longest():
    series = read_series(long_frame(a=DAYS[:1], b=DAYS[3:5], c=DAYS))
    assert [len(times) for times in series.times] == [1, 2, 30]
    assert [str(times[0])[:10] for times in future_times(series, 4)] == ["2024-01-02", "2024-01-06", "2024-01-31"]


def test_read_series__hourly_series_that_start_at_different_minutes__are_regular_each_by_itself():
    times = pd.date_range("2024-01-01", periods=5, freq="h")
    series = read_series(long_frame(a=times, b=times + pd.Timedelta(minutes=7)))
    assert str(future_times(series, 1)[1][0]) == "2024-01-01 05:07:00"


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "Float64", "uint8"])
def test_read_series__any_type_of_numbers__becomes_float64(dtype):
    (values,) = read_series(one_series([1, 2, 3]).astype(dtype)).values
    assert values.dtype == np.float64
    assert values.tolist() == [[1], [2], [3]]


def test_read_series__missing_values__stay_nan_even_at_the_end():
    df = one_series([np.nan, 1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(read_series(df).values[0][:, 0], df)
    np.testing.assert_array_equal(read_series(df.astype("Float64")).values[0][:, 0], df)


def test_read_series__names_of_the_users_own__are_taken_and_given_back():
    df = long_frame(a=DAYS, b=DAYS).rename(columns={"unique_id": "item", "ds": "day", "y": "sales"})
    df["returns"] = -df["sales"]
    series = read_series(df, id_col="item", time_col="day", target_col=["returns", "sales"])
    forecast = write_forecast(series, future_times(series, 2), [values[:2] for values in series.values])
    assert list(forecast) == ["item", "day", "returns", "sales"]
    assert forecast["returns"].tolist() == [0, -1, 0, -1]


@pytest.mark.parametrize("dtype", ["category", "string", "object", "int64", "int32"])
def test_write_forecast__ids_of_any_type__keep_it(dtype):
    df = long_frame(a=DAYS, b=DAYS)
    df["unique_id"] = df["unique_id"].map({"a": "7", "b": "3"}).astype(dtype)
    series = read_series(df)
    forecast = write_forecast(series, future_times(series, 1), [np.zeros((1, 1))] * 2)
    assert forecast["unique_id"].dtype == df["unique_id"].dtype
    assert forecast["unique_id"].astype(int).tolist() == [7, 3]


def test_write_forecast__times_in_a_column__keep_their_type_and_row_numbers_start_at_0():
    df = long_frame(a=DAYS, b=DAYS)
    series = read_series(df.set_index(np.arange(100, 160)))
    forecast = write_forecast(series, future_times(series, 2), [np.zeros((2, 1))] * 2)
    assert forecast["ds"].dtype == df["ds"].dtype
    assert list(forecast.index) == [0, 1, 2, 3]


def test_read_series__ids_in_the_index_of_a_long_frame__are_found():
    assert list(read_series(long_frame(a=DAYS, b=DAYS).set_index("unique_id")).ids) == ["a", "b"]


def test_write_forecast__series_without_a_name__comes_back_without():
    series = read_series(one_series([1, 2, 3]))
    assert write_forecast(series, future_times(series, 2), [np.zeros((2, 1))]).name is None


def test_write_forecast__name_that_is_a_tuple__comes_back():
    df = one_series([1, 2, 3]).rename(("shop", "sales"))
    series = read_series(df)
    assert write_forecast(series, future_times(series, 2), [np.zeros((2, 1))]).name == ("shop", "sales")


def test_future_times__index_with_a_frequency__has_it_too():
    df = one_series([1, 2, 3]).set_axis(pd.date_range("2024-01-31", periods=3, freq=offsets.BMonthEnd()))
    series = read_series(df)
    future = future_times(series, 3)
    assert future[0].freq == offsets.BMonthEnd()
    assert write_forecast(series, future, [np.zeros((3, 1))]).index.freq == offsets.BMonthEnd()


def test_future_times__beyond_a_small_integer_type__takes_a_larger_one():
    (future,) = future_times(read_series(pd.Series([1.0, 2], index=np.array([126, 127], dtype=np.int8))), 3)
    assert future.tolist() == [128, 129, 130]


# Quantiles and levels.


def forecast_with(form: str, **how) -> pd.Series | pd.DataFrame:
    """A forecast of one step, 5, whose quantile q is 5 + q."""
    series = read_series(frame_in(form, DAYS, np.zeros((2, 30, 2))))
    parts = [np.full((1, values.shape[1]), 5.0) for values in series.values]
    quantiles = how.pop("quantiles", None) or quantiles_of(how["level"])
    return write_forecast(
        series, future_times(series, 1), parts, {q: [part + q for part in parts] for q in quantiles}, **how
    )


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        ("series", [0.1, 0.5]),
        ("panel series", [0.1, 0.5]),
        ("wide", [("a", 0.1), ("a", 0.5), ("b", 0.1), ("b", 0.5)]),
        ("panel", [("a", 0.1), ("a", 0.5), ("b", 0.1), ("b", 0.5)]),
        ("long", ["unique_id", "ds", "y", "y-q0.1", "y-q0.5"]),
        ("long without ids", ["ds", "y", "y-q0.1", "y-q0.5"]),
    ],
)
def test_write_forecast__quantiles__are_columns_of_the_form_that_came_in(form, columns):
    forecast = forecast_with(form, quantiles=[0.1, 0.5])
    assert list(forecast) == columns
    numbers = forecast.drop(columns=["unique_id", "ds", "y"], errors="ignore").to_numpy()
    np.testing.assert_allclose(numbers, np.tile([5.1, 5.5], (len(forecast), numbers.shape[1] // 2)))


BANDS = ["point", "lo-80", "hi-80", "lo-97.5", "hi-97.5"]


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        ("series", BANDS),
        ("panel series", BANDS),
        ("wide", [(name, label) for name in "ab" for label in BANDS]),
        ("panel", [(name, label) for name in "ab" for label in BANDS]),
        ("long", ["unique_id", "ds", "y", "y-lo-80", "y-hi-80", "y-lo-97.5", "y-hi-97.5"]),
        ("long without ids", ["ds", "y", "y-lo-80", "y-hi-80", "y-lo-97.5", "y-hi-97.5"]),
    ],
)
def test_write_forecast__levels__are_bands_beside_the_point_forecast(form, columns):
    forecast = forecast_with(form, level=[80, 97.5])
    assert list(forecast) == columns
    numbers = forecast.drop(columns=["unique_id", "ds"], errors="ignore").to_numpy()
    expected = [5, 5.1, 5.9, 5.0125, 5.9875]
    np.testing.assert_allclose(numbers, np.tile(expected, (len(forecast), numbers.shape[1] // 5)))


def test_write_forecast__quantiles_of_columns_with_several_levels__add_one():
    df = pd.DataFrame(np.zeros((3, 2)), columns=pd.MultiIndex.from_product([["shop"], ["a", "b"]], names=["x", "y"]))
    series = read_series(df)
    forecast = write_forecast(series, future_times(series, 1), [np.zeros((1, 2))], {0.5: [np.ones((1, 2))]})
    assert list(forecast) == [("shop", "a", 0.5), ("shop", "b", 0.5)]
    assert list(forecast.columns.names) == ["x", "y", None]


def test_quantiles_of__levels__are_the_bounds_of_central_intervals():
    assert quantiles_of([90, 80]) == [0.05, 0.1, 0.9, 0.95]


@pytest.mark.parametrize("level", [0, 0.9, 100, -5])
def test_quantiles_of__level_that_is_no_percentage__is_refused(level):
    with pytest.raises(
        ValueError, match=rf"A level must be a percentage in the range \[1, 100\), such as 90. Got {level} instead"
    ):
        quantiles_of([level])


# Frequency, gaps and duplicates.


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
        read_series(df)
    with pytest.raises(ValueError, match=f"The series has a gap: no row for {absent}. Pass freq={alias} to insert"):
        read_series(pd.Series(1.0, index=times.delete(5)))


@pytest.mark.parametrize(("length", "more"), [(3, ""), (4, " and 1 more"), (10, " and 7 more")])
def test_read_series__long_gap__names_the_first_few_times(length, more):
    with pytest.raises(ValueError, match=rf"no row for 2024-01-05, 2024-01-06, 2024-01-07{more}. Pass freq='D'"):
        read_series(long_frame(a=DAYS.delete(np.arange(4, 4 + length))))


def test_read_series__holidays_among_business_days__are_told_as_such():
    days = pd.date_range("2024-01-01", periods=60, freq="B").drop(["2024-01-01", "2024-01-15", "2024-02-19"])
    with pytest.raises(ValueError, match=r"no row for 2024-01-15. Pass freq='B'"):
        read_series(long_frame(a=days))


@pytest.mark.parametrize("name", list(TIMES))
def test_read_series__freq_given_for_gaps__inserts_missing_values(name):
    times = TIMES[name]
    freq = read_series(long_frame(a=times)).freq
    series = read_series(long_frame(a=times.delete([5, 6, 20]), b=times[3:9], c=times[[7, 10]]), freq=freq)
    assert_index_equal(series.times[0], times, check_names=False, exact="equiv")
    assert_index_equal(series.times[1], times[3:9], check_names=False, exact="equiv")
    assert np.flatnonzero(np.isnan(series.values[0])).tolist() == [5, 6, 20]
    assert series.values[0][~np.isnan(series.values[0])].tolist() == list(range(37))
    assert series.values[1][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(series.values[2][:, 0], [0, np.nan, np.nan, 1])


@pytest.mark.parametrize(
    ("fill", "a", "b"),
    [
        (None, [np.nan, 1, np.nan, 3, np.nan], [np.nan, 5, np.nan, np.nan, 8]),
        ("ffill", [np.nan, 1, 1, 3, 3], [np.nan, 5, 5, 5, 8]),
        ("interpolate", [np.nan, 1, 2, 3, np.nan], [np.nan, 5, 6, 7, 8]),
        (0, [np.nan, 1, 0, 3, 0], [np.nan, 5, 0, 0, 8]),
        (-1.5, [np.nan, 1, -1.5, 3, -1.5], [np.nan, 5, -1.5, -1.5, 8]),
    ],
)
def test_read_series__fill__repairs_each_series_by_itself_after_its_first_value(fill, a, b):
    df = pd.DataFrame({"unique_id": list("aaaaabbbb"), "ds": [1, 2, 3, 4, 5, 1, 2, 4, 5]})
    df["y"] = [np.nan, 1, np.nan, 3, np.nan, np.nan, 5, np.nan, 8]
    series = read_series(df, freq=1, fill=fill)
    np.testing.assert_array_equal(series.values[0][:, 0], a)
    np.testing.assert_array_equal(series.values[1][:, 0], b)


@pytest.mark.parametrize("fill", ["mean", np.nan, np.inf, True, [0]])
def test_read_series__fill_that_is_none__is_refused(fill):
    with pytest.raises(ValueError, match=r"fill must be None, 'ffill', 'interpolate' or a finite number. Got"):
        read_series(one_series([1, 2]), fill=fill)


def test_read_series__duplicate_times__are_named_with_their_series():
    df = long_frame(a=DAYS, b=DAYS.append(DAYS[[9, 4, 4]]))
    with pytest.raises(ValueError, match=r"Series 'b' has duplicate times: 2024-01-05, 2024-01-10. Keep one row"):
        read_series(df)
    with pytest.raises(ValueError, match="Series 'b' has duplicate times"):
        read_series(df, freq="D")


def test_read_series__several_series_without_their_ids__hints_at_id_col():
    df = long_frame(a=DAYS, b=DAYS).drop(columns="unique_id")
    with pytest.raises(ValueError, match=r"The series has duplicate times: 2024-01-01.*name their ids with id_col="):
        read_series(df)


def test_read_series__time_between_the_steps__is_named():
    df = long_frame(a=DAYS, b=DAYS[:9].append(pd.DatetimeIndex(["2024-01-10 05:00"])))
    with pytest.raises(ValueError, match="Series 'b' is irregular: 2024-01-10 05:00:00 not on the grid of freq='D'"):
        read_series(df)
    with pytest.raises(ValueError, match="Series 'b' is irregular: 2024-01-10 05:00:00 not on the grid of freq='D'"):
        read_series(df, freq="D")


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
        read_series(df)


def test_read_series__jittered_times__fit_no_frequency():
    times = DAYS + pd.to_timedelta(np.random.default_rng(0).integers(0, 3600, size=30), unit="s")
    with pytest.raises(ValueError, match=r"Series 'a' is irregular: no frequency fits 2024.* and 27 more. Resample"):
        read_series(long_frame(a=times))


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
        read_series(df)


def test_read_series__weekly_frequency_of_the_wrong_day__tells_the_right_one():
    times = pd.date_range("2024-01-01", periods=9, freq="W-MON")
    match = "is irregular: 2024-01-01, 2024-01-08, 2024-01-15 and 6 more not on the grid .*look like freq='W-MON'"
    with pytest.raises(ValueError, match=match):
        read_series(long_frame(a=times), freq="W")


@pytest.mark.parametrize("n_times", [1, 2])
def test_read_series__too_few_timestamps__need_freq(n_times):
    df = long_frame(a=DAYS[:1], b=DAYS[:n_times])
    with pytest.raises(ValueError, match=f"from fewer than 3 timestamps; the longest series has {n_times}. Pass freq="):
        read_series(df)
    assert str(future_times(read_series(df, freq="W-MON" if n_times == 1 else "D"), 1)[1][0])[:7] == "2024-01"


@pytest.mark.parametrize("times", [DAYS[:1], DAYS[:2], pd.period_range("2024", periods=1, freq="D")])
def test_read_series__few_times_that_declare_their_frequency__need_no_freq(times):
    series = read_series(pd.Series(1.0, index=times))
    assert str(future_times(series, 1)[0][0])[:10] == f"2024-01-0{len(times) + 1}"


def test_read_series__two_series_of_one_day_each__take_no_frequency_from_the_rows_of_the_frame():
    df = pd.Series(1.0, index=pd.MultiIndex.from_arrays([["a", "b"], DAYS[:2]]))
    with pytest.raises(ValueError, match="fewer than 3 timestamps"):
        read_series(df)


def test_read_series__single_integer_time__steps_by_1():
    assert future_times(read_series(one_series([3.0])), 2)[0].tolist() == [1, 2]


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
        read_series(pd.Series(1.0, index=times), freq=freq)


# Mistakes.


LONG = long_frame(a=DAYS, b=DAYS)
WIDE = pd.DataFrame({"a": np.arange(30.0), "b": 1.0}, index=DAYS)


@pytest.mark.parametrize(
    ("df", "match"),
    [
        (LONG.iloc[:0], r"Found df of shape \(0, 3\) while a minimum of 1 row"),
        (WIDE[[]], r"Found df of shape \(30, 0\) while a minimum of 1 row and 1 column"),
        (LONG.drop(columns="y"), r"columns are missing: \['y'\].*target_col="),
        (LONG.rename(columns={"ds": "day"}), r"columns are missing: \['ds'\].*time_col="),
        (LONG.assign(promo=1, price=2), r"df must hold targets only. Got the further columns \['promo', 'price'\]"),
        (LONG.rename(columns={"unique_id": "shop"}), r"columns \['shop'\].*with id_col=: there is no 'unique_id'"),
        (LONG.assign(y="1"), r"The target column \('y'\) should have a numeric data type, got '(str|object)'"),
        (LONG.assign(y=LONG["y"].astype(object)), r"\('y'\) should have a numeric data type, got 'object'. Convert"),
        (LONG.assign(y=["1", "?", *LONG["y"][2:]]), r"The first value that is no number is '\?' in row 1: correct it"),
        (LONG.assign(y=LONG["y"].astype("category")), r"should have a numeric data type, got 'category'\. Convert"),
        (LONG.assign(y=LONG["y"] > 3), r"\('y'\) should have a numeric data type, got 'bool'"),
        (LONG.assign(y=LONG["y"] + 1j), r"\('y'\) should have a numeric data type, got 'complex128'"),
        (LONG.assign(y=LONG["ds"]), r"\('y'\) should have a numeric data type, got 'datetime64"),
        (
            LONG.assign(ds=LONG["ds"].astype(str)),
            r"column \('ds'\) of df should have either timestamps or integers",
        ),
        (LONG.assign(ds=1.5), r"\('ds'\) of df should have either timestamps or integers, got 'float64'"),
        (LONG.assign(ds=LONG["ds"].where(LONG.index != 4)), r"\('ds'\) of df has 1 missing times \(NaT\).* row 4"),
        (LONG.assign(unique_id=LONG["unique_id"].where(LONG.index != 7)), r"'unique_id'\) have 1 missing .* row 7"),
        (LONG.replace(3.0, np.inf), "Series 'a' contains infinity in column 'y' at 2024-01-04"),
        (LONG.replace(3.0, -np.inf), "Series 'a' contains infinity"),
        (LONG.assign(y=LONG["y"].where(LONG["unique_id"] == "a")), "Series 'b' has no value in column 'y', only NaN"),
        (LONG[:30].assign(unique_id=7, y=np.nan), "Series 7 has no value"),
        (WIDE.assign(b=np.nan), "The series has no value in column 'b', only NaN"),
        (WIDE.set_axis(["a", "a"], axis=1), r"The columns of df must be unique. Got \['a', 'a'\]"),
        (WIDE.set_axis(DAYS.astype(str)), "The index of df should have either timestamps or integers, got"),
        (
            WIDE.reset_index(names="date"),
            r"column \('date'\) should have a numeric .* in id_col= or time_col=",
        ),
        (WIDE.set_index(["a", "b"], append=True), "while a minimum of 1 row and 1 column is required"),
        (
            WIDE.assign(c=0).set_index(["a", "b"], append=True),
            r"must have the two levels \(series, time\). Got \[",
        ),
        (WIDE.set_index("a", append=True), r"must have the levels \(series, time\). Got times first; use swaplevel"),
    ],
)
def test_read_series__mistake_of_the_user__is_named_with_the_way_out(df, match):
    with pytest.raises(ValueError, match=match):
        read_series(df)


@pytest.mark.parametrize("df", [np.zeros(5), [1, 2, 3], {"y": [1]}, None])
def test_read_series__no_frame_of_pandas__is_a_type_error(df):
    with pytest.raises(TypeError, match=r"df must be a pandas Series or DataFrame.*Got (ndarray|list|dict|NoneType)"):
        read_series(df)


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
        read_series(monthly, freq=freq)
