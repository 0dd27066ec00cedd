"""Fitted estimators in other processes: arguments of those that multiprocessing starts."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
from forecasts import small as small_forecaster
from forecasts import wave
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tsformer import TransformerDetector, TransformerPretrainer

from .waves import small, waves

X, y = waves(n_cases=8)
# What a child process imports.
WORKER = """
def predictions(estimators, X):
    classifiers, (forecaster, detector) = estimators[:-2], estimators[-2:]
    asked = [classifier.predict_proba(X) for classifier in classifiers]
    return [*asked, forecaster.predict(), detector.score_samples(X[:, :1])]

def answer(connection, *given):
    connection.send(predictions(*given))

def keep(*given):
    globals()["given"] = given

def answer_by_kept():
    return predictions(*given)
"""


@pytest.fixture(scope="module")
def estimators():
    pretrainer = TransformerPretrainer(pretrained="bundled", max_steps=0).fit(X)
    classifier = small(n_estimators=1, max_steps=2, pretrained=FrozenEstimator(pretrainer)).fit(X, y)
    return [
        classifier,
        make_pipeline(FunctionTransformer(np.negative), classifier).fit(X, y),
        GridSearchCV(small(max_steps=2), {"d_ff": [8]}, cv=2).fit(X, y),
        small().partial_fit(X, y, classes=[0, 1]),
        small_forecaster(max_steps=2).fit(wave()),
        TransformerDetector().fit(wave().to_numpy()),
    ]


@pytest.fixture
def worker(tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    import worker

    return worker


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_fitted__arguments_of_a_new_process__predict_there(estimators, worker, method):
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.answer, args=(theirs, estimators, X))
    process.start()
    theirs.close()  # a child that fails ends the wait
    found = ours.recv()
    process.join()
    for each, expected in zip(found, worker.predictions(estimators, X), strict=True):
        assert_allclose(each, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_fitted__initial_arguments_of_a_pool__predict_there(estimators, worker, method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, context, worker.keep, (estimators, X)) as pool:
        found = pool.submit(worker.answer_by_kept).result()
    for each, expected in zip(found, worker.predictions(estimators, X), strict=True):
        assert_allclose(each, expected, atol=1e-6)


def test_fitted__pickled_for_another_process__needs_nothing_that_this_one_keeps(estimators):
    for estimator in estimators:
        assert b"torch.multiprocessing" not in bytes(ForkingPickler.dumps(estimator))


def test_pickle__after_partial_fit__goes_on_as_the_original(estimators):
    *_, original, _, _ = estimators
    copied = pickle.loads(pickle.dumps(original)).partial_fit(X, y)
    again = pickle.loads(pickle.dumps(original)).partial_fit(X, y)
    assert_array_equal(copied.predict_proba(X), again.predict_proba(X))
    weights = [parameter.requires_grad for parameter in copied.model_.networks.parameters()]
    assert all(weights)
    assert len(copied._moments) == 1
