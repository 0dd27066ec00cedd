"""TransformerForecaster for sktime: sktime's own tests, its horizons, its panels, covariates, updates and tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sktime.forecasting.base import ForecastingHorizon
from sktime.forecasting.compose import ForecastingPipeline, TransformedTargetForecaster
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.split import ExpandingWindowSplitter
from sktime.transformations.boxcox import LogTransformer
from sktime.transformations.difference import Differencer
from sktime.transformations.subset import ColumnSelect
from sktime.utils.estimator_checks import check_estimator
from suites import report

import tsformer
from tsformer.interop.sktime import TransformerForecaster

EXCLUDED: dict[str, str] = {}
SMALL = {"horizon": 4, "max_steps": 2, "batch_size": 16, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
SMALL |= {"pretrained": None, "early_stopping": False, "random_state": 0, "device": "cpu"}
# Meta-forecasters of sktime 1.2 warn of a change in themselves.
ignore_sktimes_warning = pytest.mark.filterwarnings("ignore:The default of config ``remember_data``:FutureWarning")
DATES = pd.date_range("2015-01-01", periods=60, freq="MS")


def small(**changes) -> TransformerForecaster:
    return TransformerForecaster(**(SMALL | changes))


def wrapped(**changes) -> tsformer.TransformerForecaster:
    return tsformer.TransformerForecaster(**(SMALL | changes))


def with_weather(**changes) -> tsformer.TransformerForecaster:
    return wrapped(future_cols=["warm", "wet"], **changes)


def wave(index=DATES, level=100.0) -> pd.Series:
    time = np.arange(len(index))
    noise = np.random.default_rng(int(level)).normal(size=len(index))
    return pd.Series(level + 10 * np.sin(time * np.pi / 6) + noise, index=index, name="sales")


def weather(n: int = 64) -> pd.DataFrame:
    index = pd.date_range("2015-01-01", periods=n, freq="MS")
    return pd.DataFrame({"warm": np.sin(np.arange(n)), "wet": np.arange(n) % 5 == 0}, index=index).astype(float)


def hierarchy(ends=(60, 60, 60)) -> pd.DataFrame:
    """Three nodes of two levels; each ends at its own time."""
    nodes = [("north", 1), ("north", 2), ("south", 1)]
    parts = [wave(DATES[:end], 100.0 * (i + 1)).to_frame() for i, end in enumerate(ends)]
    return pd.concat(parts, keys=nodes, names=["region", "shop", "month"])


def joined(y: pd.Series, X: pd.DataFrame) -> pd.DataFrame:
    """The frame of the wrapped forecaster: rows of y, with those of X beside them."""
    return y.to_frame().join(X)


def weights(forecaster: tsformer.TransformerForecaster) -> np.ndarray:
    return np.concatenate([p.detach().double().numpy().ravel() for p in forecaster.model_.parameters()])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # sktime's tests raise some
def test_forecaster__tests_of_sktime__pass(record_property):
    results = check_estimator(TransformerForecaster, tests_to_exclude=list(EXCLUDED), verbose=False)

    report(record_property, "sktime, TransformerForecaster", results, EXCLUDED)


# One series


def test_predict__series__equals_the_wrapped_forecaster():
    forecast = small().fit(wave()).predict(fh=[1, 2, 3, 4])

    pd.testing.assert_series_equal(forecast, wrapped().fit(wave()).predict(), check_freq=False)


@pytest.mark.parametrize(
    "index",
    [DATES, pd.DatetimeIndex(list(DATES)), DATES.to_period("M"), pd.RangeIndex(10, 70), pd.Index(range(10, 70))],
    ids=["dates", "dates without a freq", "periods", "range", "integers"],
)
def test_predict__horizon_with_gaps__relative_or_absolute_has_its_times(index):
    y = wave(index)
    forecaster = small().fit(y[:-7])

    absolute = ForecastingHorizon(index[[-6, -3, -1]], is_relative=False)
    relative, at_times = forecaster.predict(fh=[2, 5, 7]), forecaster.predict(fh=absolute)

    assert list(relative.index) == list(index[[-6, -3, -1]])
    pd.testing.assert_series_equal(relative, at_times)
    assert_array_equal(relative, forecaster.predict(fh=range(1, 8)).iloc[[1, 4, 6]])


@pytest.mark.parametrize("as_horizon", [True, False])
@pytest.mark.parametrize(
    ("start", "freq"),
    [
        ("2024-03-26", "h"),
        ("2024-10-22", "h"),
        ("2024-10-26", "15min"),
        ("2024-02-10", "D"),
        ("2024-09-10", "D"),
        ("2023-12-03", "W"),
        ("2020-06-01", "MS"),
    ],
)
def test_predict__times_in_a_zone__are_those_asked_for(start, freq, as_horizon):
    index = pd.date_range(start, periods=126 if freq == "h" else 52, freq=freq, tz="Europe/Berlin")
    forecaster = small(season=1).fit(wave(index)[:-4])
    ahead = ForecastingHorizon(index[[-4, -2, -1]], is_relative=False) if as_horizon else index[[-4, -2, -1]]

    forecast = forecaster.predict(fh=ahead)

    assert list(forecast.index) == list(index[[-4, -2, -1]])
    pd.testing.assert_series_equal(forecast, forecaster.predict(fh=[1, 3, 4]))
    assert list(forecaster.predict_interval(fh=ahead).index) == list(forecast.index)


def test_predict__times_in_a_zone_of_a_panel__are_those_asked_for():
    index = pd.date_range("2024-10-22", periods=126, freq="h", tz="Europe/Berlin")
    y = pd.concat({"a": wave(index).to_frame()[:122], "b": wave(index).to_frame()[:120]}, names=["id", "time"])

    forecast = small().fit(y).predict(fh=ForecastingHorizon(index[122:], is_relative=False))

    assert list(forecast.loc["a"].index) == list(forecast.loc["b"].index) == list(index[122:])


def test_predict__times_in_a_zone_in_the_history_or_between_steps__are_refused():
    index = pd.date_range("2024-10-22", periods=126, freq="h", tz="Europe/Berlin")
    forecaster = small().fit(wave(index)[:122])
    with pytest.raises(NotImplementedError, match="in-sample"):
        forecaster.predict(fh=ForecastingHorizon(index[119:], is_relative=False))
    with pytest.raises(ValueError, match="must be on the grid of freq='h'"):
        forecaster.predict(fh=ForecastingHorizon(index[122:] + pd.Timedelta(minutes=5), is_relative=False))


def test_predict__horizon_of_time_spans__counts_steps():
    y = wave(pd.date_range("2015-01-01", periods=60, freq="2h"))
    forecaster = small().fit(y)

    spans = forecaster.predict(fh=ForecastingHorizon(pd.to_timedelta([4, 8], unit="h"), is_relative=True))

    pd.testing.assert_series_equal(spans, forecaster.predict(fh=[2, 4]))


def test_predict__horizon_in_sample__is_refused():
    with pytest.raises(NotImplementedError, match="in-sample"):
        small().fit(wave()).predict(fh=[-1, 0, 1])


def test_fit__integer_times_of_steps_of_two__are_refused():
    with pytest.raises(ValueError, match=r"Integer times must go up by 1, since sktime counts fh so\. Got steps of 2"):
        small().fit(wave(pd.Index(range(0, 120, 2))))


def test_fit__gap__is_refused_with_a_way_out():
    y = wave().drop(DATES[20])

    with pytest.raises(ValueError, match=r"has a gap: no row for 2016-09-01\. Pass freq='MS'"):
        small().fit(y)
    assert np.isfinite(small(freq="MS").fit(y).predict(fh=[1, 2])).all()


def test_fit__missing_values__are_those_of_the_wrapped_forecaster():
    y = wave().where(np.arange(60) % 7 > 0)

    assert_array_equal(small().fit(y).predict(fh=[1, 4]), wrapped().fit(y).predict().iloc[[0, 3]])


def test_fit__frames_changed_afterwards__forecasts_from_what_came():
    y, X = wave().to_frame(), weather(60)
    forecaster = small().fit(y, X=X)
    expected = forecaster.predict(fh=[1, 2], X=weather()[60:])

    y.iloc[:], X.iloc[:] = 0.0, 0.0

    assert_array_equal(forecaster.predict(fh=[1, 2], X=weather()[60:]), expected)


def test_fit__columns_named_as_ids_and_times__are_targets():
    y = pd.DataFrame({"ds": wave(), "unique_id": wave(level=5.0), "y": wave(level=9.0)})

    forecast = small().fit(y).predict(fh=[1, 2])

    assert list(forecast.columns) == ["ds", "unique_id", "y"]
    assert (forecast["ds"] > forecast["y"]).all()


def test_predict_quantiles__several__are_those_of_the_wrapped_forecaster():
    quantiles = small().fit(wave()).predict_quantiles(fh=[1, 3], alpha=[0.9, 0.1])

    assert list(quantiles.columns) == [("sales", 0.9), ("sales", 0.1)]
    assert_array_equal(quantiles, wrapped().fit(wave()).predict(quantiles=[0.9, 0.1]).iloc[[0, 2]])


def test_predict_interval__two_series__are_the_levels_of_the_wrapped_forecaster():
    y = pd.DataFrame({"a": wave(), "b": wave(level=5.0)})

    bands = small().fit(y).predict_interval(fh=range(1, 5), coverage=[0.8])
    expected = wrapped().fit(y).predict(level=80)

    for name in "ab":
        assert_allclose(bands[name, 0.8, "lower"], expected[name, "lo-80"])
        assert_allclose(bands[name, 0.8, "upper"], expected[name, "hi-80"])


def test_predict_interval__point_head__is_refused_by_tag():
    forecaster = small(head="point").fit(wave())

    assert not forecaster.get_tag("capability:pred_int")
    with pytest.raises(NotImplementedError, match="prediction intervals"):
        forecaster.predict_interval(fh=[1])


def test_fit__wrong_parameter__raises_as_the_wrapped_forecaster():
    with pytest.raises(ValueError, match="The 'horizon' parameter of TransformerForecaster must be an int"):
        small(horizon=0).fit(wave())


def test_pickle__fitted__forecasts_the_same():
    forecaster = small().fit(wave())

    loaded = pickle.loads(pickle.dumps(forecaster))

    assert_array_equal(loaded.predict(fh=[1, 2]), forecaster.predict(fh=[1, 2]))


# Panels and hierarchies


def test_predict__hierarchy__is_forecast_by_one_network_of_all_nodes():
    y = hierarchy()
    ids = pd.MultiIndex.from_arrays([np.repeat(["a", "b", "c"], 60), y.index.get_level_values(-1)])

    forecaster = small().fit(y)
    forecast = forecaster.predict(fh=[1, 4])

    assert isinstance(forecaster.estimator_, tsformer.TransformerForecaster)
    assert_array_equal(forecast, wrapped().fit(y.set_axis(ids)).predict().groupby(level=0).nth([0, 3]))
    months = pd.to_datetime(["2020-01-01", "2020-04-01"])
    nodes = [("north", 1), ("north", 2), ("south", 1)]
    assert list(forecast.index) == [(*node, month) for node in nodes for month in months]
    assert list(forecast.index.names) == ["region", "shop", "month"]


def test_predict_quantiles__panel__has_the_index_of_predict():
    panel = hierarchy().loc["north"]
    forecaster = small().fit(panel)

    quantiles = forecaster.predict_quantiles(fh=[2, 3], alpha=[0.1, 0.9])

    assert list(quantiles.index) == list(forecaster.predict().index)
    assert (quantiles["sales", 0.1] < quantiles["sales", 0.9]).all()


def test_predict__nodes_that_end_apart__steps_count_from_each_end_and_times_are_common():
    forecaster = small().fit(hierarchy(ends=(60, 57, 59)))

    steps = forecaster.predict(fh=range(1, 6))
    months = pd.DatetimeIndex(["2020-01-01", "2020-02-01"])
    times = forecaster.predict(fh=ForecastingHorizon(months, is_relative=False, freq="MS"))

    firsts = steps.reset_index().groupby(["region", "shop"])["month"].min()
    assert list(firsts) == list(pd.to_datetime(["2020-01-01", "2019-10-01", "2019-12-01"]))
    assert list(times.index.get_level_values(-1)) == [*months, *months, *months]
    pd.testing.assert_frame_equal(times, steps.loc[times.index])


def test_update__new_node__is_forecast_too():
    y = hierarchy()
    forecaster = small().fit(y.drop("south"))

    forecaster.update(y.loc[["south"]], update_params=False)

    assert list(forecaster.predict(fh=[1]).index.droplevel(-1)) == [("north", 1), ("north", 2), ("south", 1)]


# Covariates


def test_predict__covariates__equal_the_wrapped_forecaster():
    X = weather()

    forecast = small().fit(wave(), X=X[:60]).predict(fh=[1, 4], X=X[60:])

    assert_array_equal(forecast, with_weather().fit(joined(wave(), X)).predict(future=X[60:])["sales"].iloc[[0, 3]])


def test_predict__covariates_of_a_hierarchy__reach_each_node():
    y = hierarchy()
    X = pd.concat([weather() * i for i in (1, 2, 3)], keys=y.index.droplevel(-1).unique(), names=y.index.names)
    known, ahead = X[X.index.get_level_values(-1) <= DATES[-1]], X[X.index.get_level_values(-1) > DATES[-1]]
    forecaster = small(max_steps=20).fit(y, X=known)

    forecast = forecaster.predict(fh=[1, 2], X=ahead)
    other = ahead.copy()
    other.loc["south"] = 9.0
    changed = (forecaster.predict(X=other) != forecast)["sales"]

    assert list(changed.groupby(level=[0, 1]).any()) == [False, False, True]


def test_predict__covariates_lack_rows__raises():
    forecaster = small().fit(wave(), X=weather(60))

    with pytest.raises(ValueError, match=r"^X must have a row for each time .* has none for 2020-01-01"):
        forecaster.predict(fh=[1, 2])
    with pytest.raises(ValueError, match=r"has none for 2020-01-01"):
        forecaster.predict(fh=[2], X=weather().iloc[[61]])


def test_predict__covariates_of_other_columns__raises():
    forecaster, ahead = small().fit(wave()[:58], X=weather(58)), weather()[58:]

    with pytest.raises(ValueError, match=r"^X must have the columns that fit saw, \['warm', 'wet'\]\. Got \['warm'\]"):
        forecaster.predict(fh=[1, 2], X=ahead[["warm"]])
    with pytest.raises(ValueError, match=r"^X must have the columns that fit saw, .* Got \['warm', 'damp'\]\."):
        forecaster.predict(fh=[1, 2], X=ahead.rename(columns={"wet": "damp"}))
    with pytest.raises(ValueError, match=r"^X must have the columns that fit saw, .* Got \['warm'\]\."):
        forecaster.update(wave()[58:], X=ahead[["warm"]], update_params=False)


def test_predict__covariates_that_fit_did_not_see__raises():
    with pytest.raises(ValueError, match=r"^X must be None, as in fit.* Fit with X\."):
        small().fit(wave()).predict(fh=[1], X=weather()[60:])


def test_fit__covariates_missing_in_the_history__are_those_of_the_wrapped_forecaster():
    X = weather()
    X.iloc[5, 0] = np.nan
    expected = with_weather().fit(joined(wave(), X)).predict(future=X[60:])["sales"]

    forecaster = small().fit(wave(), X=X[:60])

    assert_array_equal(forecaster.predict(fh=range(1, 5), X=X[60:]), expected)


def test_update__without_rows_of_the_covariates__has_them_missing():
    X = weather()

    forecaster = small().fit(wave()[:50], X=X[:50]).update(wave()[50:], update_params=False)

    expected = with_weather().fit(joined(wave()[:50], X)).predict(joined(wave(), X[:50]), future=X[60:])["sales"]
    assert_array_equal(forecaster.predict(fh=[1, 4], X=X[60:]), expected.iloc[[0, 3]])


def test_predict__covariates_with_missing_values_ahead__raises():
    X = weather()
    X.iloc[61, 0] = np.nan

    with pytest.raises(ValueError, match=r"^X contains NaN or infinity in column 'warm'"):
        small().fit(wave(), X=X[:60]).predict(fh=[2], X=X[60:])


@pytest.mark.parametrize("names", [("sales", "wet"), ("sales", "sales of X"), (0, 1)])
def test_predict__covariates_of_any_names__are_those_of_others(names):
    X = weather()
    expected = small().fit(wave(), X=X[:60]).predict(fh=[1, 4], X=X[60:])

    named = X.set_axis(names, axis="columns")
    forecaster = small().fit(wave(), X=named[:60])

    assert_array_equal(forecaster.predict(fh=[1, 4], X=named[60:].iloc[:, ::-1]), expected)


def test_predict__covariates_of_targets_with_two_levels_of_names__equal_those_of_one():
    y, X = pd.DataFrame({("shop", "a"): wave(), ("shop", "b"): wave(level=5.0)}), weather()
    expected = small().fit(y.droplevel(0, axis=1), X=X[:60]).predict(fh=[1, 4], X=X[60:])

    forecast = small().fit(y, X=X[:60]).predict(fh=[1, 4], X=X[60:])

    pd.testing.assert_index_equal(forecast.columns, y.columns)
    assert_array_equal(forecast, expected)


def test_update__without_rows_of_covariates_of_yes_and_no__has_them_missing():
    X = weather()
    expected = small().fit(wave()[:50], X=X[:50]).update(wave()[50:]).predict(fh=[1, 4], X=X[60:])

    X = X.astype({"wet": bool})
    forecaster = small().fit(wave()[:50], X=X[:50]).update(wave()[50:])

    assert_array_equal(forecaster.predict(fh=[1, 4], X=X[60:]), expected)


def test_fit__covariates_that_are_no_numbers__raises():
    with pytest.raises(TypeError, match="categorical"):
        small().fit(wave(), X=weather(60).assign(sky="blue"))


# Updates


def test_update__without_parameters__forecasts_from_the_new_end_by_the_same_network():
    y = wave()
    forecaster = small().fit(y[:50])
    before = weights(forecaster.estimator_)

    forecaster.update(y[50:], update_params=False)

    assert_array_equal(weights(forecaster.estimator_), before)
    assert_array_equal(forecaster.cutoff, y.index[-1:])
    assert_array_equal(forecaster.predict(fh=[1, 4]), wrapped().fit(y[:50]).predict(y).iloc[[0, 3]])


def test_update__with_parameters__trains_on_as_the_wrapped_forecaster():
    y = wave()
    forecaster = small().fit(y[:50])

    forecaster.update(y[50:])

    expected = wrapped().fit(y[:50]).update(y[50:], refit=True).predict()
    assert_array_equal(forecaster.predict(fh=[1, 4]), expected.iloc[[0, 3]])


def test_update__rows_for_known_times__replace_them():
    y, revised = wave(), wave() + 50.0
    forecaster = small().fit(y[:50])

    forecaster.update(revised[40:], update_params=False)

    assert_array_equal(forecaster.predict(fh=[1]), wrapped().fit(y[:50]).predict(pd.concat([y[:40], revised[40:]]))[:1])


def test_update__covariates__are_remembered():
    X = weather()
    forecaster = small().fit(wave()[:50], X=X[:50])

    forecaster.update(wave()[50:], X=X[50:60], update_params=False)

    expected = with_weather().fit(joined(wave()[:50], X)).predict(joined(wave(), X), future=X)
    assert_array_equal(forecaster.predict(fh=[1, 4], X=X[60:]), expected["sales"].iloc[[0, 3]])


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_update__columns_in_any_order__keep_their_names(order):
    y = pd.DataFrame({"b": wave(), "a": wave(level=5.0)})

    forecaster = small().fit(y[:50]).update(y[50:][order], update_params=False)

    for forecast in (forecaster.predict(fh=[1]), forecaster.predict_quantiles(alpha=[0.5])):
        assert forecast["b"].squeeze() > 50 > forecast["a"].squeeze()


def test_update__rows_that_are_refused__leave_the_forecaster_as_it_was():
    forecaster = small().fit(wave()[:50])
    expected = forecaster.predict(fh=[1, 2])

    with pytest.raises(ValueError, match="has a gap"):
        forecaster.update(wave()[52:])

    pd.testing.assert_series_equal(forecaster.predict(fh=[1, 2]), expected)


def test_update__other_columns__raises():
    forecaster = small().fit(wave().to_frame())

    with pytest.raises(ValueError, match=r"y must have the columns that fit saw, \['sales'\]. Got \['profit'\]"):
        forecaster.update(wave().to_frame("profit"))


def test_update__gap_after_the_end__raises_when_it_is_forecast():
    forecaster = small().fit(wave()[:50]).update(wave()[52:], update_params=False)

    with pytest.raises(ValueError, match="has a gap: no row for 2019-03-01, 2019-04-01"):
        forecaster.predict(fh=[1])


def test_fit__again__starts_anew():
    forecaster = small().fit(wave())
    expected = forecaster.predict(fh=[1, 2])

    assert_array_equal(forecaster.update(wave() + 1).fit(wave()).predict(fh=[1, 2]), expected)


# Pretraining


def test_pretrain__panel__is_where_fit_begins():
    panel = hierarchy().loc["north"]

    forecaster = small().pretrain(panel).fit(wave(level=7.0))

    expected = wrapped(warm_start=True).fit(panel).fit(wave(level=7.0).to_frame())
    assert_array_equal(weights(forecaster.estimator_), weights(expected))
    assert_array_equal(forecaster.predict(fh=[1, 2]), expected.predict().iloc[:2, 0])


def test_pretrain__fit_afterwards__leaves_the_pretrained_network_for_the_next_fit():
    forecaster = small().pretrain(hierarchy())

    first = forecaster.fit(wave(level=7.0)).predict(fh=[1, 2])
    forecaster.fit(wave(level=9000.0))

    assert_array_equal(forecaster.fit(wave(level=7.0)).predict(fh=[1, 2]), first)


def test_pretrain__again__goes_on_from_there():
    panel = hierarchy().loc["north"]

    forecaster = small().pretrain(panel).pretrain(panel + 50.0)

    assert_array_equal(weights(forecaster.pretrained_), weights(wrapped(warm_start=True).fit(panel).fit(panel + 50.0)))


def test_evaluate__pretrained__each_fold_begins_there():
    pretrained = small().pretrain(hierarchy())
    pretrained.learning_rate = 1e-12  # set_params of sktime would forget what was learnt
    folds = ExpandingWindowSplitter(fh=[1, 2], initial_window=56, step_length=2)

    fitted = evaluate(pretrained, folds, wave(), error_score="raise", return_model=True)["fitted_forecaster"]

    for forecaster in fitted:
        assert_allclose(weights(forecaster.estimator_), weights(pretrained.pretrained_), atol=1e-6)


@pytest.mark.parametrize("order", [["warm", "wet"], ["wet", "warm"]])
def test_pretrain__covariates_in_any_order__are_told_by_their_names(order):
    panel, X = hierarchy().loc["north"], weather()
    of_panel = pd.concat([X[:60]] * 2, keys=[1, 2], names=panel.index.names)

    forecaster = small().pretrain(panel, X=of_panel).fit(wave(level=7.0), X=X[:60][order])

    expected = with_weather(warm_start=True).fit(panel.join(of_panel)).fit(joined(wave(level=7.0), X))
    assert_array_equal(forecaster.predict(fh=[1, 4], X=X[60:]), expected.predict(future=X)["sales"].iloc[[0, 3]])


# Tools of sktime


def test_evaluate__expanding_windows__refitted_and_updated_give_a_row_each():
    folds = ExpandingWindowSplitter(fh=[1, 2, 3], initial_window=54, step_length=3)

    for strategy in ("refit", "update", "no-update_params"):
        scores = evaluate(small(), cv=folds, y=wave(), strategy=strategy, error_score="raise")
        assert len(scores) == 2
        assert np.isfinite(scores["test_MeanAbsolutePercentageError"]).all()


def test_evaluate__hierarchy_with_covariates__gives_a_row_a_fold():
    y = hierarchy()
    X = pd.concat([weather(60)] * 3, keys=y.index.droplevel(-1).unique(), names=y.index.names)

    scores = evaluate(small(), ExpandingWindowSplitter([1, 2], 56, 2), y, X=X, error_score="raise")

    assert len(scores) == 2
    assert np.isfinite(scores["test_MeanAbsolutePercentageError"]).all()


@ignore_sktimes_warning
def test_grid_search__one_setting_sees_no_season__finds_the_other():
    folds = ExpandingWindowSplitter(fh=[1, 2, 3], initial_window=52, step_length=5)
    grid = {"season": [1, 12]}

    search = ForecastingGridSearchCV(small(max_steps=15), folds, grid, backend=None, error_score="raise").fit(wave())

    assert search.best_params_ == {"season": 12}
    assert len(search.predict(fh=[1, 2, 3])) == 3


@ignore_sktimes_warning
def test_transformed_target__logarithm_and_differences__equals_transforming_by_hand():
    y = wave()
    pipeline = TransformedTargetForecaster([LogTransformer(), Differencer(), small()])

    forecast = pipeline.fit(y).predict(fh=[1, 2, 3])
    logarithm, differencer = LogTransformer().fit(y), Differencer()
    changes = differencer.fit_transform(logarithm.transform(y))
    by_hand = logarithm.inverse_transform(differencer.inverse_transform(small().fit(changes).predict(fh=[1, 2, 3])))

    assert_allclose(forecast, by_hand)
    assert len(pipeline.predict_interval(fh=[1, 2, 3], coverage=0.9)) == 3


@ignore_sktimes_warning
def test_pipeline__columns_of_covariates__equals_selecting_by_hand():
    X = weather()
    pipeline = ForecastingPipeline([ColumnSelect(["warm"]), small()]).fit(wave(), X=X[:60])

    by_hand = small().fit(wave(), X=X[:60][["warm"]]).predict(fh=[1, 2], X=X[60:][["warm"]])

    assert_array_equal(pipeline.predict(fh=[1, 2], X=X[60:]), by_hand)


def test_update_predict__expanding_windows__forecasts_each_cutoff():
    y = wave()
    forecaster = small().fit(y[:50], fh=[1, 2])

    forecasts = forecaster.update_predict(y[50:], ExpandingWindowSplitter([1, 2], 4, 3), update_params=False)

    cutoffs = y.index[[53, 56]]
    assert list(forecasts.columns.get_level_values(0)[:2]) == list(cutoffs)
    expected = wrapped().fit(y[:50]).predict(y[:54]).iloc[:2]
    assert_array_equal(forecasts.iloc[:, 0].dropna(), expected)
