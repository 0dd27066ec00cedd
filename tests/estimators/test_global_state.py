"""What callers set in torch and numpy for themselves changes nothing that is fitted or predicted, and stays set."""

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import cache

import numpy as np
import pytest
import torch
from forecasts import COVARIATES, with_covariates
from forecasts import small as small_forecaster
from numpy.testing import assert_array_equal

import tsformer
from tsformer import TransformerDetector, TransformerPretrainer

from .waves import small, waves

X, y = waves()
PAST, AHEAD = with_covariates("long")


@contextmanager
def set_for_now(setter, value, usual):
    setter(value)
    try:
        yield
    finally:
        setter(usual)


STATES = {
    "no gradients": lambda: set_for_now(torch.set_grad_enabled, False, True),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": lambda: set_for_now(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: set_for_now(torch.set_default_dtype, torch.float16, torch.float32),
    "default device": lambda: set_for_now(torch.set_default_device, "meta", None),
    "within a device": lambda: torch.device("meta"),
    "deterministic": lambda: set_for_now(torch.use_deterministic_algorithms, True, False),
    "numpy raises": lambda: np.errstate(all="raise"),
}


def state():
    """What the settings above have been set to."""
    of_torch = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()
    return *of_torch, torch.get_default_device(), torch.are_deterministic_algorithms_enabled(), np.geterr()


def classify(folder):
    clf = small(n_estimators=1, pretrained="bundled", scaling="robust", dropout=0.1, max_steps=2).fit(X, y)
    return [*_outputs(clf, folder, "predict_proba", X[:5]), clf.attention_maps(X[:2])[0][0]]


def go_on(folder):
    """Train on what was loaded."""
    clf = small(n_estimators=1, warm_start=True, max_steps=1).partial_fit(X, y, classes=np.unique(y))
    tsformer.save(clf, folder / "clf.safetensors")
    return [tsformer.load(folder / "clf.safetensors").partial_fit(X, y).predict_proba(X[:5])]


def pretrain(folder):
    return _outputs(TransformerPretrainer(max_steps=1, batch_size=4, random_state=0).fit(X), folder, "transform", X[:3])


def forecast(folder):
    forecaster = small_forecaster(**COVARIATES, calibration_windows=1, max_steps=2).fit(PAST)
    drawn = forecaster.sample(2, future=AHEAD)
    tsformer.save(forecaster, folder / "forecaster.safetensors", history=True)
    again = tsformer.load(folder / "forecaster.safetensors").set_params(warm_start=True).fit(PAST)
    parts = [
        *(forecaster.predict(future=AHEAD, level=80), drawn.reset_index(drop=True)),
        *(forecaster.backtest(PAST, refit=True), again.predict(future=AHEAD)),
    ]
    return [part.drop(columns=["unique_id", "ds", "cutoff"], errors="ignore").to_numpy(float) for part in parts]


def detect(folder):
    series = np.sin(np.arange(120) / 4)
    return _outputs(TransformerDetector().fit(series).update(series), folder, "score_samples", series)


def _outputs(estimator, folder, method, given):
    tsformer.save(estimator, folder / "it.safetensors")
    loaded = tsformer.load(folder / "it.safetensors")
    return [getattr(each, method)(given) for each in (estimator, loaded)]


TASKS = {task.__name__: task for task in (classify, go_on, pretrain, forecast, detect)}


@cache
def as_ever(task, folder):
    return TASKS[task](folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STATES)
def test_estimators__whatever_callers_set_for_themselves__give_what_they_give_without_it(task, name, folder):
    expected = as_ever(task, folder)
    with ExitStack() as stack:
        stack.enter_context(STATES[name]())
        before = state()
        found = TASKS[task](folder)
        assert state() == before
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


def test_fit__refused_under_another_dtype__leaves_that():
    with STATES["float64"](), pytest.raises(ValueError, match="y"):
        small().fit(X, None)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.slow
def test_estimators__in_an_optimised_python_where_warnings_are_errors__work(tmp_path):
    code = (
        "import numpy as np, pandas as pd, tsformer\n"
        "X, y = np.random.default_rng(0).normal(size=(8, 1, 20)), [0, 1] * 4\n"
        "clf = tsformer.TransformerClassifier(n_estimators=1, max_steps=1, d_model=8, n_heads=2, d_ff=8).fit(X, y)\n"
        f"tsformer.save(clf, r'{tmp_path / 'clf'}'); tsformer.load(r'{tmp_path / 'clf'}').predict(X)\n"
        "y = pd.Series(X[0, 0], pd.date_range('2020', periods=20))\n"
        "tsformer.TransformerForecaster(horizon=2, max_steps=1).fit(y).predict(level=80)\n"
    )
    subprocess.run([sys.executable, "-O", "-W", "error", "-c", code], check=True)
