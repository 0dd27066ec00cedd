"""Tables of backtests: against other metrics, utilsforecast and by hand, in every form, and what mistakes are told."""

import io
from itertools import cycle

import numpy as np
import pandas as pd
import pytest
from forecasts import FORMS, long_frame, wave

from tsformer import TransformerForecaster
from tsformer.metrics import (
    evaluate,
    interval_coverage,
    mean_absolute_scaled_error,
    weighted_quantile_loss,
)

FIGURES = ["mase", "mae", "rmse", "wape", "coverage_80", "coverage_90", "quantile_loss"]
LEVEL = [80, 90]
QUANTILES = [0.05, 0.1, 0.9, 0.95]


def at_once(**changes) -> TransformerForecaster:
    """A forecaster that never trains."""
    return TransformerForecaster(**{"horizon": 6, "max_steps": 0} | changes)


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    return long_frame()


@pytest.fixture(scope="module")
def past(df) -> pd.DataFrame:
    return at_once().fit(df).backtest(df, n_windows=3, step_size=4, level=LEVEL)


def test_evaluate__all__is_what_the_other_metrics_say(df, past):
    table = evaluate(past, df)
    assert list(table.columns) == [*FIGURES, *(f"naive_{name}" for name in FIGURES), "n", "n_missing"]
    row = table.loc["all"]
    assert row["mase"] == pytest.approx(mean_absolute_scaled_error(df, past, season=12))
    for level in LEVEL:
        assert row[f"coverage_{level}"] == pytest.approx(interval_coverage(df, past, level=level))
    with_quantiles = at_once().fit(df).backtest(df, n_windows=3, step_size=4, quantiles=QUANTILES)
    loss = weighted_quantile_loss(df, with_quantiles, quantiles=QUANTILES)
    assert row["quantile_loss"] == pytest.approx(loss)
    pd.testing.assert_frame_equal(evaluate(with_quantiles, df), table)
    error = past["y"] - past["y-actual"]
    assert row["wape"] == pytest.approx(error.abs().sum() / past["y-actual"].abs().sum())
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert (row["n"], row["n_missing"]) == (54, 0)


def test_evaluate__levels_of_many_digits__have_their_coverage(df):
    past = at_once().fit(df).backtest(df, level=[99.99999, 33.3])
    row = evaluate(past, df).loc["all"]
    for level in (99.99999, 33.3):
        assert row[f"coverage_{level}"] == pytest.approx(interval_coverage(df, past, level=level))


def test_evaluate__by_series_of_one_window__is_what_utilsforecast_says(df):
    losses = pytest.importorskip("utilsforecast.losses")
    past = at_once().fit(df).backtest(df, level=80)
    train = df[df.groupby("unique_id").cumcount(ascending=False) >= 6]
    theirs = past.rename(columns=lambda name: name.replace("y", "model", 1) if name.startswith("y") else name)
    theirs = theirs.rename(columns={"model-actual": "y"}).drop(columns="cutoff")
    theirs["naive"] = train.groupby("unique_id").tail(12).groupby("unique_id").head(6)["y"].to_numpy()
    table = evaluate(past, df, by="series")
    found = {"mae": losses.mae, "rmse": losses.rmse, "mase": lambda *given: losses.mase(*given, 12, train)}
    for name, loss in found.items():
        expected = loss(theirs, ["model", "naive"]).set_index("unique_id")
        np.testing.assert_allclose(table[[name, f"naive_{name}"]], expected)
    np.testing.assert_allclose(table["coverage_80"], losses.coverage(theirs, ["model"], 80)["model"])


@pytest.mark.parametrize("by", ["series", "cutoff", "step"])
def test_evaluate__a_group__is_that_of_its_rows_alone(by, df, past):
    table = evaluate(past, df, by=by)
    step = past.groupby(["unique_id", "cutoff"]).cumcount() + 1
    keys = {"series": past["unique_id"], "cutoff": past["cutoff"], "step": step}[by]
    assert list(table.index) == sorted(keys.unique())
    assert table.index.name == {"series": "unique_id"}.get(by, by)
    for key, row in table.iterrows():
        alone = evaluate(past[keys == key], df)
        names = FIGURES if by == "step" else table.columns  # of one row alone nobody knows which step it is
        pd.testing.assert_series_equal(row[names], alone.loc["all", names], check_names=False)


SERIES = {"wide": ["x", "z"], "wide, names of two levels": [("x", "mean"), ("z", "mean")]}


@pytest.mark.parametrize(
    ("form", "asked"), [*zip(FORMS, cycle([{}, {"level": 80}, {"quantiles": [0.1, 0.9]}]), strict=False)], ids=str
)
def test_evaluate__every_form__is_read(form, asked):
    df = FORMS[form]
    forecaster = at_once().fit(df)
    table = evaluate(forecaster.backtest(df, **asked), df, by="series", season=12)
    assert table["mase"].mean() == pytest.approx(-forecaster.score(df))
    assert ("coverage_80" in table) == ("naive_quantile_loss" in table) == bool(asked)
    if len(table) > 1:
        assert list(table.index) == SERIES.get(form, ["a", "b", "c"])


def test_evaluate__several_targets_of_a_long_frame_beside_covariates__are_series_each(df):
    two = df.assign(z=-2 * df["y"], note="text")
    past = at_once(target_cols=["y", "z"]).fit(two.drop(columns="note")).backtest(two.drop(columns="note"))
    table = evaluate(past, two, by="series")
    assert list(table.index) == [(name, column) for name in "abc" for column in "yz"]
    naive = table["naive_mae"].to_numpy()
    np.testing.assert_allclose(naive[1::2], 2 * naive[::2])
    of_one = evaluate(past, two, by="series", target_cols="z")
    pd.testing.assert_frame_equal(of_one, table.xs("z", level=1), check_names=False)
    with pytest.raises(
        ValueError, match=r"target_cols must be among the targets of backtest, \['y', 'z'\]\. Got \['x'\]"
    ):
        evaluate(past, two, target_cols="x")


def test_evaluate__season_auto__is_the_one_that_fit_chooses():
    short = wave(20)
    with pytest.warns(UserWarning, match="season of 12 steps, which needs a history of 24"):
        forecaster = at_once().fit(short)
    past = forecaster.backtest(short)
    with pytest.warns(UserWarning, match=r"Taken instead: no season\. .* or confirm it by season=1\.") as told:
        row = evaluate(past, short).loc["all"]
    assert told[0].filename == __file__
    assert row["mase"] == pytest.approx(-forecaster.score(short))
    pd.testing.assert_series_equal(row, evaluate(past, short, season=[1]).loc["all"])


def test_evaluate__history_by_hand__is_scaled_by_it_and_repeats_its_last_season():
    df = pd.Series([1.0, 5.0, 2.0, np.nan, 4.0, 7.0, 9.0, 9.0], name="sales")
    past = pd.DataFrame({"point": [3.0, 3.0, 3.0], "actual": [7.0, 9.0, 9.0], "cutoff": 4}, index=[5, 6, 7])
    row = evaluate(past, df, season=2).loc["all"]
    scale = (1 + 2) / 2  # of 2 - 1 and 4 - 2; the others are missing
    assert row["mae"] == pytest.approx(16 / 3)
    assert row["mase"] == pytest.approx(16 / 3 / scale)
    assert row["naive_mae"] == pytest.approx((abs(7 - 5) + abs(9 - 4) + abs(9 - 5)) / 3)  # 5, 4, 5
    assert row["naive_wape"] == pytest.approx((2 + 5 + 4) / 25)
    with pytest.warns(UserWarning, match=r"season=20 needs longer histories, .* longest has \d+ time points.* lag 1"):
        row = evaluate(past, df, season=20).loc["all"]
    assert row["naive_mae"] == pytest.approx((3 + 5 + 5) / 3)  # 4, 4, 4


def test_evaluate__bands_of_seasonal_naive__hold_as_often_as_they_say_on_random_walks():
    walks = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 60)).cumsum(axis=0))
    past = at_once(season=1).fit(walks).backtest(walks, n_windows=3, level=80)
    table = evaluate(past, walks, by="step", season=1)
    assert table["naive_coverage_80"].between(0.7, 0.9).all()


def test_evaluate__without_df__has_neither_mase_nor_seasonal_naive(df, past):
    expected = evaluate(past, df).drop(columns=["mase"]).filter(regex="^(?!naive_)")
    pd.testing.assert_frame_equal(evaluate(past), expected)


def test_evaluate__backtest_read_from_csv__is_the_same(df, past):
    text = io.StringIO(past.to_csv(index=False))
    again = pd.read_csv(text, parse_dates=["ds", "cutoff"])
    pd.testing.assert_frame_equal(evaluate(again, df, by="step"), evaluate(past, df, by="step"))


def test_evaluate__missing_values__are_left_out_and_counted(df, past):
    changed = past.reset_index(drop=True)
    changed.loc[[0, 7], "y-actual"] = np.nan
    changed.loc[changed["unique_id"] == "c", "y-actual"] = np.nan
    with pytest.warns(UserWarning, match=r"1 of 3 series have nothing to score and do not count, .*: 'c'\.$") as told:
        table = evaluate(changed, df, by="series")
    assert told[0].filename == __file__
    assert table["n"].sum() == changed["y-actual"].notna().sum()
    assert (table["n"] + table["n_missing"] == 18).all()
    assert table.loc["c"].drop(["n", "n_missing"]).isna().all()
    assert table.loc[["a", "b"]].notna().all(axis=None)
    kept = changed.dropna()
    with pytest.warns(UserWarning, match="nothing to score"):
        total = evaluate(changed, df).drop(columns="n_missing")
    pd.testing.assert_frame_equal(
        total.filter(regex="^(?!naive_)"),
        evaluate(kept, df).drop(columns="n_missing").filter(regex="^(?!naive_)"),
    )
    with pytest.raises(ValueError, match="There is nothing to score: no row of backtest has both"):
        evaluate(changed.assign(y=np.nan), df)


def test_evaluate__series_too_short_for_a_window__do_not_count_there():
    short = pd.concat([long_frame(), long_frame().tail(9).assign(unique_id="d")])
    with pytest.warns(UserWarning, match="too short and left out: 'd' with 9"):
        past = at_once().fit(short).backtest(short, n_windows=2)
    table = evaluate(past, short, by="series")
    assert (table.loc["d", "n"], table.loc["d", "n_missing"]) == (6, 3)
    pd.testing.assert_frame_equal(table[:3], evaluate(past[past["unique_id"] != "d"], short, by="series"))


def test_evaluate__history_that_does_not_vary__has_no_mase_and_says_so(df, past):
    flat = df.assign(y=df["y"].where(df["unique_id"] != "b", 3.0))
    with pytest.warns(UserWarning, match=r"MASE leaves out 3 of 9 windows .* season=12.* One of series 'b' is"):
        table = evaluate(past, flat, by="series")
    assert list(table["mase"].isna()) == [False, True, False]
    assert table["naive_mae"].notna().all()


def test_evaluate__rows_absent_in_df__asks_for_the_frequency(df, past):
    gappy = df.drop(index=[3, 10])
    with pytest.raises(ValueError, match=r"Series 'a' has a gap: .* Pass freq='ME' .* and fill= to fill those"):
        evaluate(past, gappy)
    masked = df.copy()
    masked.loc[[3, 10], "y"] = np.nan
    pd.testing.assert_frame_equal(evaluate(past, gappy, freq="ME"), evaluate(past, masked))


def test_evaluate__rows_absent_that_a_number_stands_for__count_as_in_score(df):
    sold, how = df[np.arange(len(df)) % 5 > 0], {"freq": "ME", "fill": 0}
    forecaster = at_once(**how).fit(sold)
    past = forecaster.backtest(sold)
    assert evaluate(past, sold, **how).loc["all", "mase"] == pytest.approx(-forecaster.score(sold))
    masked = evaluate(past, sold, freq="ME").loc["all", "mase"]
    assert masked != pytest.approx(-forecaster.score(sold), rel=0.01)


@pytest.mark.parametrize(
    ("backtest", "frame", "asked", "message"),
    [
        (lambda p: p, lambda d: d, {"by": "window"}, r"by must be 'series', 'cutoff' \(by window\), .* Got 'window'"),
        (lambda p: p, lambda d: d, {"season": 0}, r"season must be an int in the range \[1, inf\)"),
        (
            lambda p: p.drop(columns="cutoff"),
            lambda d: d,
            {},
            "must be a frame that .*backtest returned: with a cutoff",
        ),
        (lambda p: p.drop(columns="y-actual"), lambda d: d, {}, "must be a frame that .* what predict returns is"),
        (lambda p: p.rename(columns={"ds": "day"}), lambda d: d, {}, r"columns are missing: \['ds'\].* time_col="),
        (lambda p: pd.concat([p, p]), lambda d: d, {}, "one row for each series, cutoff and time. Got several"),
        (lambda p: p, lambda d: d[d["unique_id"] != "b"], {}, r"Series 'b' is not in df\. Pass the frame that"),
        (lambda p: p, lambda d: d[d["ds"] < "2018-01-01"], {}, r"Series '.' has no row for the cutoff 20.* in df\."),
        (lambda p: p, lambda d: d.drop(columns="y"), {}, r"df must be the frame .* It lacks the targets \['y'\]"),
    ],
)
def test_evaluate__mistakes__are_told_with_the_way_out(backtest, frame, asked, message, df, past):
    with pytest.raises(ValueError, match=message):
        evaluate(backtest(past), frame(df), **asked)


def test_evaluate__an_array__is_an_error(past):
    with pytest.raises(TypeError, match="backtest must be a pandas Series or DataFrame"):
        evaluate(past.to_numpy())
