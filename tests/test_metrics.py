"""Metrics: against utilsforecast and by hand, in every form that forecasts come in, and what mistakes are told."""

import numpy as np
import pandas as pd
import pytest
from forecasts import FORMS, long_frame, seen_by_fit, small, wave

from tsformer import metrics
from tsformer.metrics import (
    interval_coverage,
    mean_absolute_scaled_error,
    root_mean_squared_scaled_error,
    symmetric_mean_absolute_percentage_error,
    weighted_quantile_loss,
)

QUANTILES = [0.05, 0.5, 0.95]
SCALED = [mean_absolute_scaled_error, root_mean_squared_scaled_error]
ALL = {
    mean_absolute_scaled_error: {"season": 12},
    root_mean_squared_scaled_error: {"season": 12},
    symmetric_mean_absolute_percentage_error: {},
    weighted_quantile_loss: {"quantiles": QUANTILES},
    interval_coverage: {"level": 90},
}
of_all = pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
of_scaled = pytest.mark.parametrize("metric", SCALED, ids=lambda metric: metric.__name__)


def made_up(truth: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of the last times of each series: 6, but of "c" 4."""
    rows = truth[truth.groupby("unique_id").cumcount(ascending=False) < truth["unique_id"].map({"c": 4}).fillna(6)]
    noise = np.random.default_rng(1).normal(size=(5, len(rows)))
    point, low, high = rows["y"] + 5 * noise[0], rows["y"] - 2 + 3 * noise[1], rows["y"] + 2 + 3 * noise[2]
    bands = {"y-lo-90": low, "y-hi-90": high, "y-q0.05": low + noise[3], "y-q0.5": point, "y-q0.95": high + noise[4]}
    return rows.assign(y=point, **bands)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return long_frame()


@pytest.fixture(scope="module")
def forecast(truth) -> pd.DataFrame:
    return made_up(truth)


@pytest.fixture(scope="module")
def reference(truth, forecast) -> pd.DataFrame:
    """What utilsforecast says of each series."""
    losses = pytest.importorskip("utilsforecast.losses")
    df = forecast.rename(columns=lambda name: name.replace("y", "model", 1) if name.startswith("y") else name)
    df = df.merge(truth, on=["unique_id", "ds"])
    train = truth.drop(forecast.index)
    quantiles = {"model": [f"model-q{quantile:g}" for quantile in QUANTILES]}
    by_metric = {
        mean_absolute_scaled_error: losses.mase(df, ["model"], 12, train),
        root_mean_squared_scaled_error: losses.rmsse(df, ["model"], 12, train),
        symmetric_mean_absolute_percentage_error: losses.smape(df, ["model"]),
        weighted_quantile_loss: losses.mqloss(df, quantiles, np.array(QUANTILES)),
        interval_coverage: losses.coverage(df, ["model"], 90),
    }
    return pd.DataFrame({metric.__name__: table.set_index("unique_id")["model"] for metric, table in by_metric.items()})


@of_all
def test_metric__long_frame_of_unequal_lengths__is_that_of_utilsforecast(metric, truth, forecast, reference):
    expected, total = reference[metric.__name__], reference[metric.__name__].mean()
    if metric is weighted_quantile_loss:  # theirs is not weighted
        known = truth.loc[forecast.index].groupby("unique_id")["y"]
        total = 2 * (expected * known.size()).sum() / known.sum().sum()
        expected = 2 * expected / known.mean()
    assert metric(truth, forecast, **ALL[metric]) == pytest.approx(total)
    by_series = metric(truth, forecast, by_series=True, **ALL[metric])
    pd.testing.assert_series_equal(by_series, expected, check_names=False)


@of_all
def test_metric__rows_in_another_order__are_matched_by_series_and_time(metric, truth, forecast):
    shuffled = metric(truth.sample(frac=1, random_state=0), forecast.sample(frac=1, random_state=1), **ALL[metric])
    assert shuffled == pytest.approx(metric(truth, forecast, **ALL[metric]))


@of_scaled
def test_scaled_error__y_train__takes_the_place_of_further_truth(metric, truth, forecast):
    horizon = truth.loc[forecast.index]
    expected = metric(truth, forecast, season=12)
    assert metric(horizon, forecast, y_train=truth, season=12) == pytest.approx(expected)
    early = truth[truth["ds"] < "2017-01-01"]
    assert metric(truth, forecast, y_train=early, season=12) != pytest.approx(expected, rel=1e-4)


def test_metrics__arrays_by_hand__are_as_defined():
    y_true, y_pred, y_train = [5.0, 7.0], [4.0, 4.0], [1.0, 3.0, 2.0, 3.0]
    assert mean_absolute_scaled_error(y_true, y_pred, y_train=y_train) == pytest.approx(2 / (4 / 3))
    assert mean_absolute_scaled_error(y_true, y_pred, y_train=y_train, season=2) == pytest.approx(2 / 0.5)
    with pytest.warns(UserWarning, match="season=4 needs longer histories"):
        score = mean_absolute_scaled_error(y_true, y_pred, y_train=y_train, season=4)
    assert score == pytest.approx(2 / (4 / 3))
    assert root_mean_squared_scaled_error(y_true, y_pred, y_train=y_train) == pytest.approx(np.sqrt(5 / 2))
    assert symmetric_mean_absolute_percentage_error([0, 3], [0, 1]) == pytest.approx(0.25)
    assert weighted_quantile_loss([2.0, 4.0], [[1.0], [5.0]], quantiles=[0.9]) == pytest.approx(2 * (0.9 + 0.1) / 6)
    assert interval_coverage([[1, 2], [3, 4]], [[1, 3], [0, 0]], [[1, 4], [4, 4]]) == pytest.approx(0.75)


def test_metrics__nan__does_not_count():
    y_true, y_pred = [[5.0, np.nan, 7.0], [1.0, 1.0, 1.0]], [[4.0, 4.0, np.nan], [np.nan, 1.0, 3.0]]
    y_train = [np.array([1.0, np.nan, 2.0, 4.0]), np.array([1.0, 2.0])]
    errors = mean_absolute_scaled_error(y_true, y_pred, y_train=y_train, by_series=True)
    assert errors == pytest.approx([1 / 2, 1.0])
    assert symmetric_mean_absolute_percentage_error(y_true, y_pred, by_series=True) == pytest.approx([1 / 9, 1 / 4])
    quantiles = np.stack([y_pred, y_pred], axis=-1)
    assert weighted_quantile_loss(y_true, quantiles, quantiles=[0.25, 0.75]) == pytest.approx(3 / 7)
    assert interval_coverage(y_true, np.subtract(y_pred, 1), y_pred, by_series=True) == pytest.approx([0, 0.5])


def test_metrics__arrays__are_those_of_the_same_frames(truth, forecast):
    series = [rows["y"].to_numpy() for _, rows in truth.groupby("unique_id")]
    horizon, histories = np.stack([values[-4:] for values in series]), [values[:-4] for values in series]
    last = forecast.groupby("unique_id").tail(4)
    y_pred = last["y"].to_numpy().reshape(3, 4)
    for metric in SCALED:
        by_series = metric(horizon, y_pred, y_train=histories, season=12, by_series=True)
        assert by_series == pytest.approx(metric(truth, last, season=12, by_series=True).to_numpy())
        assert isinstance(by_series, np.ndarray)


# The forms of TransformerForecaster


@pytest.fixture(scope="module")
def fitted():
    return small().fit(wave()[:-6])


@seen_by_fit
@pytest.mark.parametrize("form", FORMS)
def test_metrics__forecasts_of_every_form__are_read(form, fitted):
    df = FORMS[form]
    backtest = fitted.backtest(df, n_windows=1)
    score = mean_absolute_scaled_error(df, backtest, season=12)
    assert score == pytest.approx(-fitted.score(df))
    if form != "long, ids in the index":
        history = df[:-6] if df.index.nlevels == 1 and "unique_id" not in pd.DataFrame(df) else None
        if history is not None:
            predicted = fitted.predict(history)
            assert mean_absolute_scaled_error(df, predicted, season=12) == pytest.approx(score)
            assert symmetric_mean_absolute_percentage_error(df, fitted.predict(history, level=90)) == pytest.approx(
                symmetric_mean_absolute_percentage_error(df, predicted)
            )
    bands = fitted.backtest(df, level=[80, 90])
    assert 0 <= interval_coverage(df, bands, level=80) <= interval_coverage(df, bands, level=90) <= 1
    assert interval_coverage(df, bands, level=90, by_series=True).mean() == interval_coverage(df, bands, level=90)
    assert weighted_quantile_loss(df, fitted.backtest(df, quantiles=QUANTILES), quantiles=QUANTILES) > 0


@seen_by_fit
def test_metrics__windows_of_a_backtest_that_overlap__each_have_their_own_history(fitted):
    df = long_frame()
    windows = fitted.backtest(df, n_windows=2, step_size=3)
    by_series = mean_absolute_scaled_error(df, windows, season=12, by_series=True)
    assert by_series.index.names == ["unique_id", "cutoff"]
    assert len(by_series) == 6
    for cutoff, window in windows[windows["unique_id"] == "a"].groupby("cutoff"):
        alone = mean_absolute_scaled_error(df, window.drop(columns="cutoff"), season=12)
        assert by_series["a", cutoff] == pytest.approx(alone)


def test_metrics__several_columns__are_named_by_series(fitted):
    wide = FORMS["wide"]
    by_series = mean_absolute_scaled_error(wide, fitted.predict(wide[:-6]), season=12, by_series=True)
    assert list(by_series.index) == ["x", "z"]
    for name in wide:
        alone = mean_absolute_scaled_error(wide[name], fitted.predict(wide[name][:-6]), season=12)
        assert by_series[name] == pytest.approx(alone)
    truth = long_frame().assign(z=lambda df: 2 * df["y"])
    forecast = made_up(long_frame()).assign(z=lambda df: 2 * df["y"])[["unique_id", "ds", "z", "y"]]
    by_series = root_mean_squared_scaled_error(truth, forecast, target_cols=["y", "z"], by_series=True)
    assert list(by_series.index) == [(name, column) for name in "abc" for column in "yz"]
    assert by_series.xs("y", level=1).to_numpy() == pytest.approx(by_series.xs("z", level=1).to_numpy())


def test_metrics__target_cols_of_a_wide_frame__leave_other_columns_out():
    truth = FORMS["wide"].assign(price=1.0)
    forecast = truth[-6:] + 1
    both = mean_absolute_scaled_error(truth, forecast, target_cols=["z", "x"], by_series=True)
    assert list(both.index) == ["z", "x"]
    assert mean_absolute_scaled_error(truth, forecast, target_cols="z") == both["z"]
    with pytest.raises(
        ValueError, match=r"missing: \['w'\]\. y_true has \['x', 'z', 'price'\]; name targets with target_co"
    ):
        mean_absolute_scaled_error(truth, forecast, target_cols="w")


# Absent rows


@of_scaled
@pytest.mark.parametrize("train", [False, True])
def test_scaled_error__absent_rows_of_histories__are_missing_not_skipped(metric, train, truth, forecast):
    def score(rows, **how):
        return metric(rows, forecast, season=12, **({"y_train": rows} if train else {}), **how)

    is_out = (truth["unique_id"] == "b") & truth["ds"].isin(pd.to_datetime(["2016-03-31", "2017-08-31"]))
    assert is_out.sum() == 2
    missing, absent = truth.assign(y=truth["y"].mask(is_out)), truth[~is_out]
    with pytest.raises(ValueError, match=r"Series 'b' has a gap: no row for 2016-03-31\. Pass freq='ME' to insert "):
        score(absent)
    assert score(absent, freq="ME") == pytest.approx(score(missing), rel=1e-12)
    with pytest.raises(ValueError, match="freq must be a pandas offset"):
        score(absent, freq="months")


def test_scaled_error__times_that_have_an_order_alone__are_taken_row_by_row():
    y = pd.Series([1.0, 3.0, 2.0, 4.0, 5.0], index=[0.5, 0.9, 1.7, 2.0, 3.0])
    assert mean_absolute_scaled_error(y, y[-1:] + 1) == pytest.approx(1 / (5 / 3))
    with pytest.raises(ValueError, match=r"freq is for times that are timestamps or integers\. Got times of float64"):
        mean_absolute_scaled_error(y, y[-1:] + 1, freq=1)


# Series without a scale


@of_scaled
def test_scaled_error__history_that_does_not_vary__is_left_out_with_a_warning(metric, truth, forecast):
    flat = truth.assign(y=truth["y"].where(truth["unique_id"] != "b", 3.0))
    with pytest.warns(
        UserWarning, match=r"Left out 1 of 3 series whose history does not vary .*\. Series 'b' is the"
    ) as told:
        by_series = metric(flat, forecast, by_series=True)
    assert told[0].filename == __file__
    assert list(by_series.isna()) == [False, True, False]
    with pytest.warns(UserWarning, match="Left out 1 of 3"):
        assert metric(flat, forecast) == pytest.approx(by_series.mean())
    with pytest.raises(ValueError, match=r"does not vary at season=1, but for rounding: none has a scale"):
        metric(flat[flat["unique_id"] == "b"], forecast[forecast["unique_id"] == "b"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [1e-12, 0.3, 1e9])
def test_scaled_error__history_that_varies_by_rounding__has_no_scale(dtype, level):
    history = np.full(20, level, dtype)
    history[::3] = np.nextafter(dtype(level), dtype(np.inf), dtype=dtype)
    with pytest.raises(ValueError, match="but for rounding"):
        mean_absolute_scaled_error([level], [level], y_train=history)
    if level != 1e9:  # of which float32 holds whole numbers only
        with pytest.raises(ValueError, match="but for rounding"):
            mean_absolute_scaled_error([level], [level], y_train=history.astype(np.float64))
    frame = pd.Series(np.append(history, history[:1]))
    with pytest.raises(ValueError, match="but for rounding"):
        mean_absolute_scaled_error(frame, frame[-1:])
    history[7] *= 1 + 1e-4
    assert mean_absolute_scaled_error([level], [level], y_train=history) == 0


def test_scaled_error__one_step_in_a_long_history__is_a_scale():
    history = np.repeat(np.float32([1, 2]), 500_000)
    assert mean_absolute_scaled_error([2.0], [3.0], y_train=history) == pytest.approx(999_999)


# Mistakes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_true": np.zeros((3, 4))}, r"y_pred must have the shape \(3, 4\), that of y_true\. Got \(3, 5\)"),
        ({"y_true": np.zeros((3, 5, 1))}, r"y_true must have shape \(horizon,\) or \(n_series, horizon\)\. Got"),
        ({"y_true": []}, r"Got \(0,\)"),
        ({"y_true": [[1.0, 2.0], [3.0]]}, "inhomogeneous shape"),
        ({"y_pred": np.full((3, 5), np.inf)}, r"Input y_pred contains infinity"),
        ({"y_pred": np.full((3, 5), np.nan)}, r"There is nothing to score"),
        ({"y_train": None}, r"y_train must hold the histories of arrays"),
        ({"y_train": [np.arange(9.0)] * 2}, r"for each of the 3 series of y_true\. Got 2 of the shapes \[\(9,\)\]"),
        ({"y_train": np.arange(9.0)}, r"Got 1 of the shapes"),
        ({"y_train": np.zeros((3, 9, 1))}, r"Got 3 of the shapes \[\(9, 1\)\]"),
        ({"y_train": [np.arange(9.0), [], np.arange(9.0)]}, r"Series 1 has no history to scale its error by"),
        ({"season": 0}, r"season must be an int in the range \[1, inf\)\. Got 0 instead"),
    ],
)
def test_scaled_error__wrong_arrays__tells_what_was_expected(change, message):
    right = {"y_true": np.zeros((3, 5)), "y_pred": np.zeros((3, 5)), "y_train": [np.arange(9.0)] * 3}
    with pytest.raises(ValueError, match=message):
        mean_absolute_scaled_error(**(right | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"y_true": lambda df: df[df["ds"] < "2018-06"]},
            r"the first is series 'a' at 2020-07-31\. y_true ends at 2018-05-",
        ),
        (
            {"y_pred": lambda df: df.replace("b", "d")},
            r"6 of 16 have none, the first is series 'd' at .*\['a', 'b', 'c'\]",
        ),
        (
            {"y_true": lambda df: df.assign(ds=df["ds"].dt.to_period("M"))},
            r"must be of one kind\. Got period\[M\] and datetime",
        ),
        (
            {"y_true": lambda df: pd.concat([df, df])},
            r"y_true must have one row .* Got several for series 'a' at 2015-01-31",
        ),
        ({"y_pred": lambda df: pd.concat([df, df])}, r"y_pred must have one row for each series and time"),
        ({"y_pred": lambda df: df[:0]}, r"Found y_pred of shape \(0, 8\) while a minimum of 1 row"),
        ({"y_true": lambda df: df.rename(columns={"ds": "date"})}, r"missing: \['ds'\]\. y_true has .* with time_col="),
        ({"y_true": lambda df: df.rename(columns={"y": "z"})}, r"missing: \['y'\]\. y_true has \['z'\]; name targets"),
        ({"y_pred": lambda df: df.drop(columns="y")}, r"missing: \['y'\]\. y_pred has \['y-lo-90'"),
        ({"y_true": lambda df: df.assign(y="high")}, r"The y_true column \('y'\) should have a numeric data type"),
        ({"y_true": lambda df: df.pivot(index="ds", columns="unique_id", values="y")}, "must come in one form"),
        ({"y_true": lambda df: df.loc[made_up(df).index]}, r"Series 'a' has no history to scale .* as y_train, or"),
    ],
)
def test_scaled_error__wrong_frames__names_series_and_time(change, message, truth, forecast):
    right = {"y_true": truth, "y_pred": forecast}
    with pytest.raises(ValueError, match=message):
        mean_absolute_scaled_error(**{name: change.get(name, pd.DataFrame.copy)(df) for name, df in right.items()})


@of_all
def test_metrics__long_frame_under_other_names__asks_for_them(metric, truth, forecast):
    renamed = {"unique_id": "shop", "ds": "date"}
    frames = truth.rename(columns=renamed), forecast.rename(columns=renamed)
    with pytest.raises(ValueError, match=r"The columns \['shop', 'date'\] of y_true hold no numbers\. If it is a long"):
        metric(*frames, target_cols="y", **ALL[metric])
    metric(*frames, id_col="shop", time_col="date", **ALL[metric])


def test_metrics__frame_beside_array__is_an_error(truth, forecast):
    with pytest.raises(TypeError, match=r"all be arrays, or all pandas .* Got DataFrame, ndarray\."):
        symmetric_mean_absolute_percentage_error(truth, forecast["y"].to_numpy())
    with pytest.raises(TypeError, match=r"Got DataFrame, DataFrame, ndarray\."):
        mean_absolute_scaled_error(truth, forecast, y_train=truth["y"].to_numpy())


def test_metrics__ids_and_times_under_other_names__asks_for_them(truth, forecast):
    names = {"unique_id": "shop", "ds": "date", "y": "sales"}
    truth, forecast = truth.rename(columns=names), forecast[list(names)].rename(columns=names)
    with pytest.raises(ValueError, match=r"several for 0; name the columns .* with id_col= and time_col="):
        symmetric_mean_absolute_percentage_error(truth[["sales"]].rename(lambda _: 0), forecast[["sales"]])
    with pytest.raises(
        ValueError, match=r"The columns \['shop', 'date'\] of y_true hold no numbers\. .* with id_col= and"
    ):
        symmetric_mean_absolute_percentage_error(truth, forecast)
    named = {"id_col": "shop", "time_col": "date", "target_cols": "sales"}
    by_series = symmetric_mean_absolute_percentage_error(truth, forecast, by_series=True, **named)
    assert by_series.index.name == "shop"


@pytest.mark.parametrize("quantiles", [[10, 90], [0.0, 0.5], [], [[0.1, 0.9]]])
def test_weighted_quantile_loss__quantiles_that_are_none__is_an_error(quantiles):
    with pytest.raises(ValueError, match=r"quantiles must (lie between 0 and 1, both ex|be a list of one)"):
        weighted_quantile_loss([1.0], [[1.0, 2.0]], quantiles=quantiles)


def test_weighted_quantile_loss__wrong_forecasts__is_an_error(truth, forecast):
    with pytest.raises(ValueError, match=r"y_pred must have the shape \(2, 2\), that of y_true and n_quantiles\. Got"):
        weighted_quantile_loss([1.0, 2.0], [1.0, 2.0], quantiles=[0.1, 0.9])
    with pytest.raises(ValueError, match=r"missing: \['y-q0\.2'\].* forecast with quantiles="):
        weighted_quantile_loss(truth, forecast, quantiles=[0.05, 0.2])
    with pytest.raises(ValueError, match=r"divides by the sum of \|y_true\|"):
        weighted_quantile_loss([0.0], [[1.0]], quantiles=[0.5])
    losses = weighted_quantile_loss([[0.0], [1.0]], [[[1.0]], [[1.0]]], quantiles=[0.5], by_series=True)
    np.testing.assert_array_equal(losses, [np.nan, 0.0])


def test_interval_coverage__wrong_bounds__is_an_error(truth, forecast):
    with pytest.raises(ValueError, match=r"level must be a percentage in the range \[1, 100\).* Got 0\.9 instead"):
        interval_coverage(truth, forecast, level=0.9)
    with pytest.raises(ValueError, match=r"missing: \['y-lo-80', 'y-hi-80'\]"):
        interval_coverage(truth, forecast, level=80)
    for wrong in ({"lower": [1.0]}, {"lower": [1.0], "upper": [1.0], "level": 90}, {"lower": forecast}):
        with pytest.raises(ValueError, match="takes arrays as lower and upper, or a frame that holds both"):
            interval_coverage([1.0], **wrong)
    with pytest.raises(ValueError, match=r"upper must have the shape \(2,\), that of y_true\. Got \(1,\)"):
        interval_coverage([1.0, 2.0], [1.0, 2.0], [1.0])


def test_metrics__public_names__are_all_tested():
    assert {metric.__name__ for metric in ALL} | {"evaluate"} == set(metrics.__all__)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_scaled_errors__values_too_small_or_large_to_be_squared__do_not_depend_on_the_unit(unit):
    truth, forecast, history = np.array([5.0, 7.0]), np.array([4.0, 4.0]), np.array([1.0, 3.0, 2.0, 3.0])
    for metric in (mean_absolute_scaled_error, root_mean_squared_scaled_error):
        expected = metric(truth, forecast, y_train=history)
        assert metric(truth * unit, forecast * unit, y_train=history * unit) == pytest.approx(expected)
