"""Both estimators on a GPU: as on the CPU, and back. Without a CUDA device only the last part runs."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from tsformer import TransformerClassifier, TransformerForecaster, load, save
from tsformer.datasets import load_classification
from tsformer.layers.pooling import POOLINGS
from tsformer.models.encoders import ENCODERS
from tsformer.models.heads import HEADS

from .waves import LEARNS, cut, small, waves

X, y = waves()
SALES = pd.DataFrame(
    1000.0 + 100.0 * waves(n_cases=4, n_channels=1, n_timepoints=60)[0][:, 0].T,
    index=pd.date_range("2020-01-31", periods=60, freq="ME"),
)
UNIT = SALES.to_numpy().std()

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def no_tf32(monkeypatch):
    """Float32 products in full: TF32 keeps ten bits of them."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@needs_cuda
@pytest.mark.usefixtures("no_tf32")
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_predict_proba__on_gpu__equals_cpu(encoder, pooling):
    clf = small(encoder=encoder, pooling=pooling, n_layers=2, **LEARNS).fit(cut(X), y)
    on_cpu, maps_on_cpu = clf.predict_proba(cut(X)), clf.attention_maps(cut(X))

    clf.set_params(device="cuda")

    assert_allclose(clf.predict_proba(cut(X)), on_cpu, rtol=0, atol=1e-4)
    for network, network_on_cpu in zip(clf.attention_maps(cut(X)), maps_on_cpu, strict=True):
        for layer, layer_on_cpu in zip(network, network_on_cpu, strict=True):
            assert_allclose(layer, layer_on_cpu, rtol=0, atol=1e-4)
    assert next(clf.model_.networks[0].parameters()).is_cuda
    assert_array_equal(clf.set_params(device="cpu").predict_proba(cut(X)), on_cpu)


@needs_cuda
@pytest.mark.usefixtures("no_tf32")
def test_predict_proba__pretrained_member__is_fitted_on_a_gpu_as_on_the_cpu():
    on_cpu, on_gpu = (small(n_estimators=0, pretrained="bundled", device=name).fit(X, y) for name in ("cpu", "cuda"))
    assert next(on_gpu.model_.frozen.parameters()).is_cuda
    assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), rtol=0, atol=1e-3)
    on_cpu.set_params(device="cuda")
    assert_allclose(on_cpu.predict_proba(X), on_cpu.set_params(device="cpu").predict_proba(X), rtol=0, atol=1e-4)


@needs_cuda
@pytest.mark.parametrize("encoder", ENCODERS)
def test_fit__on_gpu__learns(encoder):
    clf = small(encoder=encoder, device="cuda", early_stopping=True, refit=True, max_steps=60, learning_rate=1e-2)

    assert clf.fit(cut(X), y).score(cut(X), y) >= 0.9


@needs_cuda
def test_fit__bfloat16_on_gpu__scores_as_float32_on_real_series():
    train, test = (load_classification("BasicMotions", split=split) for split in ("train", "test"))

    float32, bfloat16 = (
        TransformerClassifier(device="cuda", precision=precision, random_state=0).fit(*train).score(*test)
        for precision in ("float32", "bfloat16")
    )

    assert bfloat16 >= float32 - 0.03  # one case of 40 is 0.025


@needs_cuda
def test_device__auto__takes_the_gpu():
    clf = small(device="auto").fit(X, y)

    assert next(clf.model_.networks[0].parameters()).is_cuda


@needs_cuda
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_fit__with_a_gpu_there__leaves_its_random_state_alone(device):
    before = torch.cuda.get_rng_state_all()

    small(device=device, dropout=0.1).fit(X, y).partial_fit(X, y)

    for state, state_before in zip(torch.cuda.get_rng_state_all(), before, strict=True):
        assert torch.equal(state, state_before)


@needs_cuda
@pytest.mark.usefixtures("no_tf32")
def test_pickle__fitted_on_gpu__goes_on_where_there_is_none_and_comes_back(tmp_path: Path):
    clf = small(device="auto").fit(X, y).partial_fit(X, y)
    on_gpu = clf.predict_proba(X)
    (tmp_path / "gpu.pickle").write_bytes(pickle.dumps(clf))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    elsewhere = """
import pickle, sys
import numpy as np, torch
assert not torch.cuda.is_available()
folder = sys.argv[1]
clf = pickle.load(open(f"{folder}/gpu.pickle", "rb"))
X, y = np.load(f"{folder}/X.npy"), np.load(f"{folder}/y.npy")
np.save(f"{folder}/probability.npy", clf.predict_proba(X))
pickle.dump(clf.partial_fit(X, y), open(f"{folder}/cpu.pickle", "wb"))
"""

    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", elsewhere, tmp_path], env=environment, check=True)

    assert_allclose(np.load(tmp_path / "probability.npy"), on_gpu, rtol=0, atol=1e-4)
    back = pickle.loads((tmp_path / "cpu.pickle").read_bytes())
    assert_allclose(back.predict_proba(X), clf.partial_fit(X, y).predict_proba(X), rtol=0, atol=1e-2)
    assert next(back.model_.networks[0].parameters()).is_cuda


def small_forecaster(**params) -> TransformerForecaster:
    """Make a forecaster that trains fast and repeatably."""
    size = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "horizon": 6}
    return TransformerForecaster(**({"max_steps": 20, "random_state": 0, "device": "cpu"} | size | params))


@needs_cuda
@pytest.mark.usefixtures("no_tf32")
@pytest.mark.parametrize("head", HEADS)
def test_forecaster__on_gpu__forecasts_as_on_the_cpu_and_comes_back(head):
    forecaster = small_forecaster(head=head).fit(SALES)
    quantiles = None if head == "point" else [0.1, 0.9]
    on_cpu = forecaster.predict(quantiles=quantiles)

    on_gpu = forecaster.set_params(device="cuda").predict(quantiles=quantiles)

    # A quantile of counts is a whole number: rounding may move it to the next.
    step = 1.0 if head == "negative_binomial" else 0.0
    assert_allclose(on_gpu, on_cpu, rtol=0, atol=1e-4 * UNIT + step)
    assert next(forecaster.model_.parameters()).is_cuda
    assert_array_equal(forecaster.set_params(device="cpu").predict(quantiles=quantiles), on_cpu)


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_forecaster__fitted_on_gpu__follows_the_season(precision):
    season = np.sin(2 * np.pi * np.arange(120) / 12)
    df = pd.Series(season, index=pd.date_range("2015-01-31", periods=120, freq="ME"))
    options = {"device": "cuda", "precision": precision, "max_steps": 200, "early_stopping": True, "refit": True}

    forecast = small_forecaster(**options).fit(df[:-6]).predict()

    assert np.abs(forecast - df[-6:]).mean() < 0.3


@needs_cuda
def test_forecaster__sample_on_gpu__repeats_and_leaves_its_random_state_alone():
    before = torch.cuda.get_rng_state_all()
    forecaster = small_forecaster(device="cuda", dropout=0.1).fit(SALES)

    assert forecaster.sample(2).equals(forecaster.sample(2))

    for state, state_before in zip(torch.cuda.get_rng_state_all(), before, strict=True):
        assert torch.equal(state, state_before)


@needs_cuda
@pytest.mark.usefixtures("no_tf32")
def test_forecaster__pickled_on_gpu__goes_on_where_there_is_none(tmp_path: Path):
    forecaster = small_forecaster(device="auto").fit(SALES)
    on_gpu = forecaster.predict()
    (tmp_path / "gpu.pickle").write_bytes(pickle.dumps(forecaster))
    elsewhere = """
import pickle, sys
import torch
assert not torch.cuda.is_available()
folder = sys.argv[1]
forecaster = pickle.load(open(f"{folder}/gpu.pickle", "rb"))
forecaster.predict().to_pickle(f"{folder}/forecast.pickle")
"""

    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", elsewhere, tmp_path], env=environment, check=True)

    assert_allclose(pd.read_pickle(tmp_path / "forecast.pickle"), on_gpu, rtol=0, atol=1e-4 * UNIT)


@needs_cuda
@pytest.mark.usefixtures("no_tf32")
@pytest.mark.parametrize("make", [lambda: small(device="cuda").fit(X, y), lambda: small_forecaster().fit(SALES)])
def test_save__fitted_on_gpu__loads_on_the_cpu_and_on_the_gpu(make, tmp_path: Path):
    estimator = make().set_params(device="cuda")
    unit, predict = (
        (1.0, lambda e: e.predict_proba(X)) if hasattr(estimator, "classes_") else (UNIT, lambda e: e.predict())
    )
    on_gpu = predict(estimator)

    save(estimator, tmp_path / "model.safetensors")

    assert_allclose(predict(load(tmp_path / "model.safetensors")), on_gpu, rtol=0, atol=1e-6 * unit)
    assert_allclose(predict(load(tmp_path / "model.safetensors", device="cpu")), on_gpu, rtol=0, atol=1e-4 * unit)


# With or without a CUDA device


def test_forecaster__pickled_after_forecasts_in_float64__holds_float32_weights_on_the_cpu():
    forecaster = small_forecaster(device="auto").fit(SALES)
    expected = forecaster.predict()

    pickled = forecaster.__getstate__()["model_"]

    assert {weight.dtype for weight in pickled.parameters()} == {torch.float32}
    assert {tensor.device.type for tensor in [*pickled.parameters(), *pickled.buffers()]} == {"cpu"}
    assert_array_equal(pickle.loads(pickle.dumps(forecaster)).predict(), expected)


def test_pickle__after_predictions_in_float64__holds_float32_weights_on_the_cpu():
    clf = small(device="auto").fit(X, y).partial_fit(X, y)
    clf.predict(X)

    pickled = clf.__getstate__()

    weights = [*pickled["model_"].networks[0].parameters(), *_tensors_in(pickled["_moments"])]
    assert len(weights) > 20
    assert {weight.dtype for weight in weights} == {torch.float32}
    assert {tensor.device.type for tensor in [*weights, *pickled["model_"].networks[0].buffers()]} == {"cpu"}


def _tensors_in(tree):
    if isinstance(tree, dict | list):
        return [tensor for part in (tree.values() if isinstance(tree, dict) else tree) for tensor in _tensors_in(part)]
    return [tree] if isinstance(tree, torch.Tensor) else []
