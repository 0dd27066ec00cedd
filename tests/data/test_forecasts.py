"""Forecasts go out in the form that the series came in, with columns of quantiles and of bands."""

import numpy as np
import pandas as pd
import pytest
from layouts import DAYS, FORMS, TIMES, assert_same, frame_in, long_frame, one_series, read
from pandas import offsets

from tsformer.data.forecast_columns import as_text, forecast_columns, quantiles_of
from tsformer.data.forecasts import Forecast, future_times, requested_quantiles, to_frame


def written(series, parts, quantiles=None, level=None) -> pd.Series | pd.DataFrame:
    """Forecasts (horizon, n_channels) of each series, and of their quantiles, as a frame."""
    units = {q: np.concatenate([part.T for part in of_q]) for q, of_q in {None: parts, **(quantiles or {})}.items()}
    return to_frame(series, Forecast(units.pop(None), units), level)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_to_frame__each_form_and_kind_of_time__continues_what_came_in(form, times):
    truth = np.random.default_rng(0).normal(size=(3, 40, 2))
    series = read(frame_in(form, times[:30], truth[:, :30]))
    channels = {"wide": slice(None), "panel": slice(None), "panel series": [1]}.get(form, [0])
    forecast = written(series, [values[30:, channels] for values in truth[: series.n_series]])
    assert_same(forecast, frame_in(form, times[30:], truth[:, 30:]))


def test_to_frame__names_of_the_users_own__are_taken_and_given_back():
    df = long_frame(a=DAYS, b=DAYS).rename(columns={"unique_id": "item", "ds": "day", "y": "sales"})
    df["returns"] = -df["sales"]
    series = read(df, id_col="item", time_col="day", target_cols=["returns", "sales"])
    forecast = written(series, [values[:2] for values in series.values])
    assert list(forecast) == ["item", "day", "returns", "sales"]
    assert forecast["returns"].tolist() == [0, -1, 0, -1]


@pytest.mark.parametrize("dtype", ["category", "string", "object", "int64", "int32", "Int64"])
def test_to_frame__ids_of_any_type__come_back_plain(dtype):
    df = long_frame(a=DAYS, b=DAYS)
    df["unique_id"] = df["unique_id"].map({"a": "7", "b": "3"}).astype(dtype)
    series = read(df)
    forecast = written(series, [np.zeros((1, 1))] * 2)
    plain = df["unique_id"].cat.categories.dtype if dtype == "category" else df["unique_id"].dtype
    assert forecast["unique_id"].dtype == getattr(plain, "numpy_dtype", plain)
    assert forecast["unique_id"].astype(int).tolist() == [7, 3]


def test_to_frame__times_in_a_column__keep_their_type_and_row_numbers_start_at_0():
    df = long_frame(a=DAYS, b=DAYS)
    series = read(df.set_index(np.arange(100, 160)))
    forecast = written(series, [np.zeros((2, 1))] * 2)
    assert forecast["ds"].dtype == df["ds"].dtype
    assert list(forecast.index) == [0, 1, 2, 3]


def test_to_frame__series_without_a_name__comes_back_without():
    series = read(one_series([1, 2, 3]))
    assert written(series, [np.zeros((2, 1))]).name is None


def test_to_frame__name_that_is_a_tuple__comes_back():
    df = one_series([1, 2, 3]).rename(("shop", "sales"))
    series = read(df)
    assert written(series, [np.zeros((2, 1))]).name == ("shop", "sales")


def test_future_times__index_with_a_frequency__has_it_too():
    df = one_series([1, 2, 3]).set_axis(pd.date_range("2024-01-31", periods=3, freq=offsets.BMonthEnd()))
    series = read(df)
    future = future_times(series, 3)
    assert future[0].freq == offsets.BMonthEnd()
    assert written(series, [np.zeros((3, 1))]).index.freq == offsets.BMonthEnd()


def test_future_times__beyond_a_small_integer_type__takes_a_larger_one():
    (future,) = future_times(read(pd.Series([1.0, 2], index=np.array([126, 127], dtype=np.int8))), 3)
    assert future.tolist() == [128, 129, 130]


# Quantiles and levels.


def forecast_with(form: str, **how) -> pd.Series | pd.DataFrame:
    """A forecast of one step, 5, whose quantile q is 5 + q."""
    series = read(frame_in(form, DAYS, np.zeros((2, 30, 2))))
    parts = [np.full((1, values.shape[1]), 5.0) for values in series.values]
    quantiles = how.pop("quantiles", None) or quantiles_of(how["level"])
    return written(series, parts, {q: [part + q for part in parts] for q in quantiles}, **how)


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
def test_to_frame__quantiles__are_columns_of_the_form_that_came_in(form, columns):
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
def test_to_frame__levels__are_bands_beside_the_point_forecast(form, columns):
    forecast = forecast_with(form, level=[80, 97.5])
    assert list(forecast) == columns
    numbers = forecast.drop(columns=["unique_id", "ds"], errors="ignore").to_numpy()
    expected = [5, 5.1, 5.9, 5.0125, 5.9875]
    np.testing.assert_allclose(numbers, np.tile(expected, (len(forecast), numbers.shape[1] // 5)))


def test_to_frame__quantiles_of_columns_with_several_levels__add_one():
    df = pd.DataFrame(np.zeros((3, 2)), columns=pd.MultiIndex.from_product([["shop"], ["a", "b"]], names=["x", "y"]))
    series = read(df)
    forecast = written(series, [np.zeros((1, 2))], {0.5: [np.ones((1, 2))]})
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


def test_requested_quantiles__asked_twice__are_one_column_each():
    assert requested_quantiles(None, [80, 80.0, 95]) == (quantiles_of([80, 95]), [80.0, 95.0])
    assert requested_quantiles([0.1, 0.1 + 0.2, 0.4, 0.3], None)[0] == [0.1, 0.3, 0.4]
    columns = forecast_columns(
        "long", False, pd.Index(["y"]), [None, "q" + as_text(0.1 + 0.2), "lo-" + as_text(99.99999)]
    )
    assert list(columns) == ["y", "y-q0.3", "y-lo-99.99999"]
