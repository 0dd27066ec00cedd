"""Several threads at once: fits and predictions give what each gives alone, and leave torch's random state."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import joblib
import numpy as np
import pytest
import torch
from forecasts import COVARIATES, long_frame, seen_by_fit, wave, with_covariates
from forecasts import small as small_forecaster
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

import tsformer
from tsformer import TransformerDetector, TransformerPretrainer
from tsformer.inspection import attention_over_history, attention_over_time, occlusion
from tsformer.plotting import AttentionDisplay, ForecastDisplay
from tsformer.training.devices import seeded

from .waves import small, waves

N_THREADS = 4
X, y = waves()
SOME = X[:6]
PAST, AHEAD = with_covariates("long")


def at_once(calls):
    """Call all functions at the same moment, each in a thread of its own; return what they return."""
    ready = threading.Barrier(len(calls))

    def run(call):
        ready.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@cache
def classifier():
    """With a pretrained encoder, dropout, and layers whose attention is confined to windows."""
    return small(n_estimators=2, pretrained="bundled", encoder="shifted_window", dropout=0.1).fit(X, y)


@cache
def networks():
    """Without a pretrained encoder, which a picture has predict some thirty times."""
    return small(n_estimators=2, encoder="shifted_window", dropout=0.1).fit(X, y)


@cache
def pretrainer():
    return TransformerPretrainer(pretrained="bundled", max_steps=0).fit(X)


@cache
def forecaster():
    return small_forecaster(**COVARIATES).fit(PAST)


@cache
def detector():
    return TransformerDetector().fit(wave(120))


def forecast(**wanted):
    return forecaster().predict(PAST, future=AHEAD, **wanted).drop(columns=["unique_id", "ds"]).to_numpy()


def picture(display, estimator, *data, **shown):
    drawn = display.from_estimator(estimator, *data, ax=Figure().subplots(), **shown)
    return np.concatenate([line.get_ydata() for ax in drawn.figure_.axes for line in ax.lines])


PREDICTIONS = {
    "predict": lambda: classifier().predict(SOME),
    "predict_proba": lambda: classifier().predict_proba(SOME),
    "predict_proba, one case": lambda: classifier().predict_proba(SOME[:1]),
    "decision_function": lambda: classifier().decision_function(SOME),
    "score": lambda: classifier().score(SOME, y[:6]),
    "transform": lambda: classifier().transform(SOME),
    "attention_maps": lambda: classifier().attention_maps(SOME)[0][0],
    "attention_over_time": lambda: attention_over_time(classifier(), SOME),
    "occlusion": lambda: occlusion(classifier(), SOME),
    "AttentionDisplay": lambda: picture(AttentionDisplay, networks(), SOME[:1]),
    "pretrainer.transform": lambda: pretrainer().transform(SOME),
    "detector.score_samples": lambda: detector().score_samples(wave(60)),
    "forecast": forecast,
    "forecast with bands": partial(forecast, level=[80, 95]),
    "backtest": lambda: forecaster().backtest(PAST, 2)["y"].to_numpy(),
    "sample": lambda: forecaster().sample(3, PAST, future=AHEAD)["y"],
    "attention_over_history": lambda: attention_over_history(forecaster(), PAST, future=AHEAD),
    "ForecastDisplay": lambda: picture(ForecastDisplay, forecaster(), PAST, future=AHEAD, series="a"),
}


@cache
def alone(name):
    return PREDICTIONS[name]()


@seen_by_fit
@pytest.mark.parametrize("name", PREDICTIONS)
def test_prediction__from_several_threads__is_that_of_one(name):
    expected = alone(name)
    before = torch.get_rng_state()
    for found in at_once([PREDICTIONS[name]] * N_THREADS):
        assert_array_equal(found, expected)
    assert torch.equal(before, torch.get_rng_state())


@seen_by_fit
def test_prediction__all_kinds_at_once__are_those_of_one_thread():
    for found, name in zip(at_once(list(PREDICTIONS.values())), PREDICTIONS, strict=True):
        assert_array_equal(found, alone(name))  # after what came before too


def fitted_classifier(**params):
    return small(max_steps=6, **params).fit(X, y).predict_proba(X)


FITS = {
    "dropout": partial(fitted_classifier, dropout=0.3),
    "two networks and early stopping": partial(fitted_classifier, n_estimators=2, early_stopping=True, refit=True),
    "stochastic depth": partial(fitted_classifier, encoder="strided_stem", augment=None),
    "learned positions": partial(fitted_classifier, encoder="transformer", augment=None),
    "two passes": lambda: small().partial_fit(X, y, classes=[0, 1]).partial_fit(X, y).predict_proba(X),
    "contrastive": lambda: (
        TransformerPretrainer(max_steps=3, d_model=16, d_ff=16, random_state=0).fit(X[:8]).transform(X[:8])
    ),
    "detector": lambda: (
        TransformerDetector(max_steps=2, window_length=20, random_state=0).fit(wave(80)).score_samples(wave(40))
    ),
    "forecaster": lambda: small_forecaster(max_steps=5).fit(wave()).predict(level=80).to_numpy(),
    "forecaster, new weights": lambda: (
        small_forecaster(max_steps=2, head="student_t").fit(long_frame()).sample(2)["y"].to_numpy()
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_fit__from_several_threads__is_that_of_one_and_leaves_the_random_state(name):
    alone, before = FITS[name](), torch.get_rng_state()
    for found in at_once([FITS[name], FITS["dropout"], FITS[name], FITS["dropout"]])[::2]:
        assert_array_equal(found, alone)
    assert torch.equal(before, torch.get_rng_state())


def test_grid_search__in_threads__scores_as_one_after_the_other():
    search = GridSearchCV(small(max_steps=5, dropout=0.2), {"random_state": [0, 1, 2]}, cv=2, scoring="neg_log_loss")
    alone = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="threading", n_jobs=3):
        found = search.fit(X, y).cv_results_["mean_test_score"]
    assert len(set(alone)) == 3
    assert_array_equal(found, alone)


def test_seeded__inside_itself__goes_on_and_gives_each_state_back():
    cpu = torch.device("cpu")
    with seeded(0, cpu):
        first = torch.rand(1)
        with seeded(0, cpu):
            assert torch.rand(1) == first
        second = torch.rand(1)
    with seeded(0, cpu):
        assert torch.rand(2)[1] == second


@pytest.mark.parametrize(
    "make",
    [
        lambda: small(encoder="transformer", dropout=0.1, n_estimators=2, pretrained="bundled").fit(X, y),
        lambda: small(encoder="gated_two_tower", pooling="attention").fit(X, y),
        lambda: TransformerPretrainer(objective="reconstruction", d_model=16, dropout=0.1, max_steps=1).fit(X),
        lambda: small_forecaster(head="student_t").fit(wave()),
        lambda: TransformerDetector().fit(wave()),
        lambda: small_forecaster(pretrained="bundled", max_steps=0, encoder="transformer").fit(wave()),
    ],
)
def test_load__while_another_thread_fits__waits_for_nothing_and_changes_none_of_its_draws(make, tmp_path):
    tsformer.save(make(), tmp_path / "model")
    with ThreadPoolExecutor(1) as pool, seeded(0, torch.device("cpu")):
        expected = torch.rand(2)[1]
        torch.manual_seed(0)
        torch.rand(1)
        pool.submit(tsformer.load, tmp_path / "model").result(timeout=60)
        assert torch.rand(1) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_seeded__held_by_another_thread_at_a_fork__does_not_hold_the_child():
    held, done = threading.Event(), threading.Event()

    def hold():
        with seeded(0, torch.device("cpu")):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        with seeded(0, torch.device("cpu")):
            os._exit(0)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
