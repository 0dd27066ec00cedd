"""TransformerForecaster from pretrained weights: where they come from, without training and with it, and mistakes."""

import copy
import logging
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from forecasts import COVARIATES, long_frame, small, wave, with_covariates
from numpy.testing import assert_allclose
from pandas.testing import assert_series_equal
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

import tsformer
from tsformer import TransformerForecaster, TransformerPretrainer
from tsformer.estimators import pretrained as pretrained_weights
from tsformer.estimators.pretrained import BUNDLED, ENCODER, FORECASTER
from tsformer.model_selection import TemporalSplit


@pytest.fixture(scope="module")
def pretrained() -> TransformerForecaster:
    return small(max_steps=5).fit(wave(level=30.0))


@pytest.fixture(scope="module")
def path(pretrained, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "forecaster.safetensors"
    tsformer.save(pretrained, path)
    return path


def at_once(pretrained="bundled", **changes) -> TransformerForecaster:
    """A forecaster that never trains."""
    return TransformerForecaster(**{"horizon": 6, "pretrained": pretrained, "max_steps": 0} | changes)


# Without training


def test_max_steps_0__pretrained__forecasts_by_its_weights_as_they_are(pretrained):
    forecaster = at_once(pretrained).fit(wave())
    assert_series_equal(forecaster.predict(), pretrained.predict(wave()))
    assert (forecaster.n_iter_, forecaster.history_) == (0, {})
    for name, weight in pretrained.model_.state_dict().items():
        assert torch.equal(forecaster.model_.state_dict()[name], weight), name
    assert not forecaster.model_.training


def test_max_steps_0__random_walks_far_ahead__bands_go_on_growing():
    walks = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 40)).cumsum(axis=0))
    bands = at_once(horizon=336).fit(walks).predict(level=80)
    width = (bands.xs("hi-80", axis=1, level=1) - bands.xs("lo-80", axis=1, level=1)).median(axis=1)
    assert 1.5 < width.iloc[335] / width.iloc[83] < 2.0  # of the walks: 2


INDEXES = {
    "years": pd.date_range("1980", periods=30, freq="YS"),
    "quarters": pd.date_range("1990", periods=40, freq="QS"),
    "months": pd.period_range("2015-01", periods=40, freq="M"),
    "weeks": pd.date_range("2020-01-05", periods=120, freq="W"),
    "days": pd.date_range("2024-01-01", periods=60),
    "hours": pd.date_range("2024-01-01", periods=300, freq="h"),
    "numbers": pd.RangeIndex(50),
    "two months": pd.date_range("2024-01-01", periods=2, freq="MS"),
}


@pytest.mark.filterwarnings("ignore:These times usually have a season of 12 steps:UserWarning")  # not in two months
@pytest.mark.parametrize("times", INDEXES)
@pytest.mark.parametrize("horizon", [1, 13, 60])
def test_max_steps_0__bundled__answers_at_any_frequency_and_horizon(times, horizon):
    index = INDEXES[times]
    y = pd.Series(100.0 + np.arange(len(index)) + np.random.default_rng(0).normal(size=len(index)), index)
    forecast = at_once(horizon=horizon).fit(y).predict(level=[80])
    assert len(forecast) == horizon
    assert (forecast["lo-80"] <= forecast["point"]).all()
    assert (forecast["point"] <= forecast["hi-80"]).all()
    assert forecast["point"].between(y.min() - 200.0, y.max() + 200.0).all()


def test_max_steps_0__random_state__does_not_matter_nor_is_any_drawn():
    before = torch.get_rng_state()
    first, second = (at_once(random_state=seed).fit(wave()).predict() for seed in (0, 1))
    assert_series_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_max_steps_0__more_series__change_no_forecast_of_the_others():
    df = long_frame()
    alone = at_once().fit(df[df["unique_id"] == "a"]).predict()["y"]
    assert_allclose(alone, at_once().fit(df).predict()["y"][:6], rtol=1e-6)


def test_max_steps_0__everything_else__works_as_after_training(tmp_path):
    forecaster = at_once(calibration_windows=1, early_stopping=True).fit(wave()[:-6])
    assert len(forecaster.conformity_scores_) == 6
    assert forecaster.sample(3).index.get_level_values("path").nunique() == 3
    expected = forecaster.predict(wave())
    assert_series_equal(forecaster.update(wave()[-6:]).predict(), expected)
    assert len(forecaster.backtest(wave(), n_windows=2, refit=True)) == 12
    assert np.isfinite(forecaster.score(wave()))
    tsformer.save(forecaster, tmp_path / "model")
    for again in (tsformer.load(tmp_path / "model"), pickle.loads(pickle.dumps(forecaster)), copy.deepcopy(forecaster)):
        assert again.predict(level=80).equals(forecaster.predict(level=80))


@pytest.mark.parametrize("form", ["wide", "long"])
def test_max_steps_0__covariates__change_nothing_as_long_as_nobody_trains(form):
    df, ahead = with_covariates(form)
    plain = df.drop(columns=["visits", "price", "promotion", "size"])
    with pytest.warns(
        UserWarning, match=r"covariates, the calendar and holidays without effect: .* Set max_steps='auto', or drop"
    ):
        forecaster = at_once(calendar=True, **COVARIATES).fit(df)
    name = "y" if form == "long" else "sales"
    expected = pd.DataFrame(at_once().fit(plain).predict())[name]
    assert_allclose(forecaster.predict(future=ahead)[name], expected, rtol=1e-6)
    trained = at_once(calendar=True, max_steps=3, early_stopping=False, **COVARIATES).fit(df)
    other = ahead.assign(price=9.0)
    assert not np.allclose(trained.predict(future=other)[name], trained.predict(future=ahead)[name], rtol=1e-6)


def test_max_steps_0__new_weights__forecast_by_simple_forecasts():
    seasonal = pd.Series(np.tile(np.arange(12.0), 6), pd.date_range("2015-01-31", periods=72, freq="ME"))
    with pytest.warns(UserWarning, match=r"a fixed mixture of simple ones\. Leave encoder, head, width"):
        forecaster = at_once(None, d_model=16, n_heads=2, n_layers=1).fit(seasonal)
    assert_allclose(forecaster.predict(), np.arange(6.0), atol=1.0)


# With training


def test_fit__from_weights__trains_a_copy_of_them(pretrained):
    before = copy.deepcopy(pretrained.model_.state_dict())
    forecaster = small(pretrained=pretrained, max_steps=2, early_stopping=False).fit(wave())
    assert forecaster.n_iter_ == 2
    assert not np.allclose(forecaster.predict(), pretrained.predict(wave()), rtol=1e-6)
    assert all(torch.equal(weight, before[name]) for name, weight in pretrained.model_.state_dict().items())
    near = small(pretrained=pretrained, max_steps=1, learning_rate=1e-12).fit(wave())
    assert_allclose(near.predict(), pretrained.predict(wave()), rtol=1e-6)


def test_fit__covariates_of_pretrained_weights__are_gone_on_from():
    df, ahead = with_covariates()
    first = small(max_steps=5, **COVARIATES).fit(df)
    again = at_once(first, **COVARIATES).fit(df)
    pd.testing.assert_frame_equal(again.predict(future=ahead), first.predict(future=ahead))


def test_early_stopping__training_only_harms__keeps_the_weights_as_they_were(pretrained):
    harmed = {"learning_rate": 0.5, "max_steps": 100, "n_iter_no_change": 1, "average_decay": None}
    forecaster = small(pretrained=pretrained, early_stopping=True, **harmed).fit(wave())
    assert forecaster.n_iter_ == 0
    assert_series_equal(forecaster.predict(), pretrained.predict(wave()))


def test_max_steps_auto__by_what_there_is_to_learn__trains_or_not_and_says_why(monkeypatch, caplog):
    monkeypatch.setattr(pretrained_weights, "FROM_SCRATCH", 3)
    monkeypatch.setattr(pretrained_weights, "SHORT_TRAINING", 2)
    caplog.set_level(logging.INFO, logger="tsformer")
    shape = {"d_model": 16, "n_heads": 2, "n_layers": 1, "max_steps": "auto"}
    assert at_once("auto", max_steps="auto").fit(wave()).n_iter_ == 0
    assert "no training: pretrained weights, to which so few values have nothing to add" in caplog.text
    assert at_once(None, **shape).fit(wave()).n_iter_ == 3
    assert "at most 3 steps: new weights" in caplog.text
    monkeypatch.setattr(pretrained_weights, "FEW_VALUES", len(wave()))
    assert at_once("auto", max_steps="auto").fit(wave()).n_iter_ == 2
    assert "between which and those trained the mean is kept" in caplog.text


def test_max_steps_auto__short_training__keeps_the_mean_of_the_weights_before_and_after(pretrained):
    options = {"max_steps": 3, "random_state": 0, "early_stopping": False}
    before = {name: weight.float() for name, weight in pretrained.model_.named_parameters()}  # float64 after forecasts
    after = dict(at_once(pretrained, **options).fit(wave()).model_.named_parameters())
    further = copy.deepcopy(pretrained).set_params(**at_once(warm_start=True, **options).get_params())
    further.fit(wave())  # from its own weights on, without going back
    for name, weight in further.model_.named_parameters():
        torch.testing.assert_close(after[name], (before[name] + weight) / 2, atol=1e-6, rtol=0)


def test_auto__network_of_another_shape__begins_with_new_weights():
    forecaster = small(pretrained="auto", max_steps=1).fit(wave())
    assert forecaster.model_.settings["d_model"] == 16
    assert at_once("auto").fit(wave()).predict().equals(at_once("bundled").fit(wave()).predict())


def test_warm_start__pretrained__goes_on_from_the_last_fit_instead(pretrained):
    forecaster = small(pretrained=pretrained, max_steps=3, warm_start=True).fit(wave())
    expected = forecaster.predict()
    assert_allclose(forecaster.set_params(max_steps=0).fit(wave()).predict(), expected, rtol=1e-12)


# Where weights come from


def test_pretrained__path__is_the_forecaster_that_was_saved_there(pretrained, path):
    for given in (path, str(path), FrozenEstimator(pretrained)):
        assert_series_equal(at_once(given).fit(wave()).predict(), pretrained.predict(wave()))


def test_pretrained__frozen_in_a_grid_search__keeps_its_weights(pretrained):
    folds = TemporalSplit(horizon=6, n_splits=2)
    search = GridSearchCV(at_once(FrozenEstimator(pretrained)), {"fill": [None, "ffill"]}, cv=folds).fit(wave())
    assert_series_equal(search.best_estimator_.predict(), pretrained.predict(wave()))
    with pytest.raises(NotFittedError, match=r"wrap it: pretrained=sklearn\.frozen\.FrozenEstimator\(it\)"):
        clone(at_once(pretrained)).fit(wave())


def test_save__pretrained_by_path__needs_the_file_no_more(path, tmp_path):
    own = tmp_path / "own.safetensors"
    own.write_bytes(path.read_bytes())
    forecaster = small(pretrained=str(own), max_steps=1).fit(wave())
    tsformer.save(forecaster, tmp_path / "model")
    own.unlink()
    assert_series_equal(tsformer.load(tmp_path / "model").predict(), forecaster.predict())


def test_save__pretrained_is_an_estimator__says_to_save_that_first(pretrained, tmp_path):
    with pytest.raises(ValueError, match=r"(?s)'pretrained' parameter .* is an estimator.* and name its file"):
        tsformer.save(at_once(pretrained).fit(wave()), tmp_path / "model")


def test_bundled__file__is_small_and_of_half_precision_but_the_network_is_not():
    with safe_open(BUNDLED[FORECASTER], framework="pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert BUNDLED[FORECASTER].stat().st_size < 4e6
    weights = at_once().fit(wave()).model_.state_dict()  # as it predicts
    assert {weight.dtype for weight in weights.values()} == {torch.float64}


# Mistakes


def test_fit__not_a_forecaster__says_what_is_taken(pretrained):
    with pytest.raises(ValueError, match="The 'pretrained' parameter of TransformerForecaster must be"):
        at_once(3).fit(wave())
    fitted_scaler = StandardScaler().fit(np.eye(3))
    for other in (TransformerPretrainer(), StandardScaler(), fitted_scaler, FrozenEstimator(fitted_scaler)):
        with pytest.raises(TypeError, match=r"'auto', 'bundled', the path .* a fitted TransformerForecaster or"):
            at_once(other).fit(wave())


def test_fit__file_of_another_estimator__names_it(tmp_path):
    size = {"n_resampled": 32, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    tsformer.save(TransformerPretrainer(max_steps=1, **size).fit(np.eye(4)), tmp_path / "model")
    with pytest.raises(ValueError, match=r"must name a file of a TransformerForecaster\. .* TransformerPretrainer"):
        at_once(tmp_path / "model").fit(wave())


def test_fit__weights_of_the_encoder__are_said_to_be_none_of_a_forecaster():
    with pytest.raises(ValueError, match=r"names .*, which is damaged or holds no weights of a TransformerForecaster"):
        at_once(BUNDLED[ENCODER]).fit(wave())


def test_fit__no_file__says_what_is_taken(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be 'auto', 'bundled', .* Got 'bundeld', and there is no such"):
        at_once("bundeld").fit(wave())
    with pytest.raises(ValueError, match=r"must be 'auto', 'bundled', the path .* Got the folder "):
        at_once(tmp_path).fit(wave())


@pytest.mark.parametrize("settings", [None, "{}", '{"encoder": "patch", "head": "none", "context": 12, "d_model": 4}'])
def test_fit__damaged_file__says_so(settings, tmp_path):
    path = tmp_path / "weights.safetensors"
    if settings is None:
        path.write_bytes(b"not at all")
    else:
        save_file({"weight": torch.zeros(2)}, path, {"network": settings})
    with pytest.raises(
        ValueError, match=r"The 'pretrained' parameter names .* damaged or holds no weights of a TransformerForecaster"
    ):
        at_once(path).fit(wave())


def test_fit__refused_weights__leave_the_forecaster_as_it_was(pretrained):
    forecaster = at_once(pretrained).fit(wave())
    expected = forecaster.predict()
    with pytest.raises(FileNotFoundError):
        forecaster.set_params(pretrained="absent").fit(wave())
    assert_series_equal(forecaster.predict(), expected)


def test_pretrained__weights_of_another_head__are_refused():
    message = (
        r"weights to go on from are of a network of head='quantile'\. Got head='point'; set the same, or pretrained=N"
    )
    with pytest.raises(ValueError, match=message):
        at_once("bundled", head="point").fit(wave())


def test_pretrained__weights_that_cannot_take_these_covariates__are_refused():
    df, _ = with_covariates()
    message = r"read 0 past covariates and 1 known ahead, .* Got 0 and 0; name the same, or set pretrained='bundled'"
    knows_one = small(max_steps=1, future_cols=["promotion"]).fit(
        pd.DataFrame({"y": wave(), "promotion": wave() > 100.0})
    )
    with pytest.raises(ValueError, match=message):
        at_once(knows_one).fit(wave())
    other = small(max_steps=1, encoder="transformer").fit(wave())
    with pytest.raises(ValueError, match=r"if encoder='patch'\. Got weights of encoder='transformer'"):
        at_once(other, **COVARIATES).fit(df)
