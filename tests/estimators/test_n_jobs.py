"""n_jobs: what is trained side by side is what one after the other gives, through any backend of joblib."""

import os
import signal
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from forecasts import small as small_forecaster
from forecasts import wave
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from tsformer.data.messages import warn_user

from .test_progress import Listener, callbacks
from .waves import small, waves

X, y = waves()
THREADS, PROCESSES = "threading", pytest.param("loky", marks=pytest.mark.slow)  # these import torch first


@pytest.fixture(params=[THREADS, PROCESSES])
def backend(request):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as workers have
    with joblib.parallel_config(backend=request.param):
        yield request.param
    torch.set_num_threads(n_threads)


def assert_same_fit(found, expected):
    for name, weights in expected.model_.state_dict().items():
        assert torch.equal(found.model_.state_dict()[name], weights)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(found.n_iter_, expected.n_iter_)
    assert found.history_["network"] == expected.history_["network"]
    assert found.history_["loss"] == expected.history_["loss"]


@pytest.mark.parametrize(
    "params",
    [
        {"n_estimators": 2, "dropout": 0.1},
        {"n_estimators": 1, "pretrained": "bundled"},
        {"n_estimators": 2, "early_stopping": True, "refit": True, "scaling": ["standard", "robust"]},
        {"n_estimators": 2, "augment": lambda x, observed: (x + torch.randn_like(x), observed)},
    ],
)
def test_fit__classifier_of_two_jobs__is_that_of_one(backend, params):
    assert_same_fit(small(n_jobs=2, **params).fit(X, y), small(**params).fit(X, y))


def test_fit__two_jobs_on_a_fitted_one_or_with_given_validation__is_that_of_one(backend):
    fits = []
    for n_jobs in (1, 2):
        classifier = small(warm_start=True, n_jobs=n_jobs).fit(X, y)
        classifier.set_params(n_estimators=2, early_stopping=True, n_jobs=n_jobs)
        fits.append(classifier.fit(X, y, X_val=X[:6], y_val=y[:6]))
        assert fits[-1].partial_fit(X, y).n_iter_.shape == (2,)
    assert_same_fit(*fits)


@pytest.mark.slow
def test_fit__large_arrays__are_the_workers_too():
    large = np.random.default_rng(0).normal(size=(40, 4, 4000))  # joblib shares what is larger than a megabyte
    params = {"n_estimators": 2, "encoder": "patch", "max_steps": 2}
    one, two = (small(n_jobs=n, **params).fit(large, np.arange(40) % 2) for n in (1, 2))
    assert_array_equal(two.predict_proba(large), one.predict_proba(large))


def test_backtest__two_jobs__is_that_of_one(backend):
    one, two = (
        small_forecaster(max_steps=2, n_jobs=n).fit(wave()).backtest(wave(), 3, refit=True, level=80) for n in (1, 2)
    )
    assert two.equals(one)


def test_n_jobs__none__is_what_joblib_is_told(monkeypatch):
    fits = []

    def augment(x, observed):
        fits.append(threading.get_ident())
        return x, observed

    for context, n_threads in ({}, 1), ({"n_jobs": 2}, 2):
        fits.clear()
        with joblib.parallel_config(backend="threading", **context):
            small(n_estimators=2, augment=augment).fit(X, y)
        assert len(set(fits)) == n_threads


def test_n_jobs__inside_a_search_of_two_jobs__goes_on():
    search = GridSearchCV(small(n_estimators=2, n_jobs=2), {"d_ff": [8, 16]}, cv=2, n_jobs=2)
    with joblib.parallel_config(backend="threading"):
        found = search.fit(X, y).cv_results_["mean_test_score"]
    assert_array_equal(found, search.set_params(n_jobs=1, estimator__n_jobs=1).fit(X, y).cv_results_["mean_test_score"])


@pytest.mark.parametrize(("n_jobs", "error"), [(0, ValueError), (1.5, ValueError), ("auto", ValueError)])
def test_n_jobs__no_number_of_jobs__is_refused(n_jobs, error):
    with pytest.raises(error, match="n_jobs"):
        small(n_estimators=2, n_jobs=n_jobs).fit(X, y)


def test_fit__two_jobs_of_which_one_fails__raises_its_error_and_changes_nothing(backend):
    classifier = small(n_estimators=2).fit(X, y)
    before = classifier.model_
    with pytest.raises(ValueError, match="The training loss became"):
        classifier.set_params(n_jobs=2, learning_rate=1e30).fit(X, y)
    assert classifier.model_ is before


def warning(x, observed):
    warn_user("Mind the gap.")
    return x, observed


@pytest.mark.slow
def test_fit__what_a_process_warns_of__is_a_warning_here():
    with pytest.warns(UserWarning, match="Mind the gap") as caught:
        small(n_estimators=2, n_jobs=2, augment=lambda x, observed: warning(x, observed)).fit(X, y)
    assert {Path(each.filename).name for each in caught} == {Path(__file__).name}


@callbacks
def test_fit__two_jobs_with_callbacks__warns_and_tells_them_of_all():
    listener = Listener()
    classifier = small(n_estimators=2, n_jobs=2).set_callbacks(listener)
    with pytest.warns(UserWarning, match="n_jobs=2 has no effect"):
        classifier.fit(X, y)
    assert "network 2 of 2" in listener.begun


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
def test_fit__interrupted_with_two_jobs__keeps_the_finished_networks(tmp_path):
    n_steps, n_workers = 5, 2

    def augment(x, observed):  # a worker's first network is fast, so that each has finished one before it waits
        with (tmp_path / f"{os.getpid()}").open("a") as steps:
            steps.write(".")
        time.sleep(1.0 if steps_taken().get(f"{os.getpid()}", 0) > n_steps else 0.0)
        return x, observed

    def steps_taken():
        return {file.name: file.stat().st_size for file in tmp_path.iterdir()}

    def interrupt():
        while sum(n > n_steps for n in steps_taken().values()) < n_workers:
            time.sleep(0.05)
        time.sleep(0.5)  # what is finished is on its way here
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.warns(UserWarning, match="interrupted by user after [123] of 4 networks"):
        classifier = small(n_estimators=4, n_jobs=n_workers, max_steps=n_steps, augment=augment).fit(X, y)
    thread.join()
    assert len(classifier.model_.networks) == len(classifier.n_iter_) < 4
    assert classifier.predict(X).shape == y.shape
