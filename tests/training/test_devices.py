"""Placing fitted networks where they predict: once, and never by predicting."""

import numpy as np
import pandas as pd
import pytest
import torch
from estimators.waves import small, waves

from tsformer import TransformerForecaster, TransformerPretrainer
from tsformer.training.devices import placed, ready_to_predict

CPU = torch.device("cpu")
X, y = waves()
SMALL = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "max_steps": 2, "random_state": 0, "device": "cpu"}
SALES = pd.Series(np.arange(60.0) ** 1.5 % 7, pd.date_range("2024-01-01", periods=60))


def classifier():
    return small(pretrained="bundled").fit(X, y)


def forecaster():
    return TransformerForecaster(horizon=3, **SMALL).fit(SALES)


def pretrainer():
    return TransformerPretrainer(n_resampled=32, **SMALL).fit(X)


USES = {
    classifier: [lambda clf: clf.predict(X), lambda clf: clf.transform(X), lambda clf: clf.attention_maps(X)],
    forecaster: [lambda fc: fc.predict(level=80), lambda fc: fc.sample(n=2), lambda fc: fc.score(SALES)],
    pretrainer: [lambda pre: pre.transform(X)],
}


def state_of(model):
    tensors = [(name, tensor.data_ptr(), tensor.dtype) for name, tensor in model.state_dict(keep_vars=True).items()]
    return tensors, [module.training for module in model.modules()]


@pytest.mark.parametrize("fit", USES)
def test_fitted_network__predicts__is_placed_by_fit_and_never_altered(fit):
    estimator = fit()
    model = estimator.model_
    assert ready_to_predict(model, CPU) is model
    before = state_of(model)
    for use in USES[fit]:
        use(estimator)
    assert estimator.model_ is model
    assert state_of(model) == before


@pytest.mark.parametrize("fit", USES)
def test_ready_to_predict__on_another_device_or_in_training__is_a_copy(fit):
    model = fit().model_
    before = state_of(model)
    elsewhere = ready_to_predict(model, torch.device("meta"))
    assert {weight.device.type for weight in elsewhere.parameters()} == {"meta"}
    assert state_of(model) == before
    assert ready_to_predict(elsewhere, torch.device("meta")) is elsewhere
    in_training = placed(model, CPU).float().train()
    ready = ready_to_predict(in_training, CPU)
    assert ready is not in_training
    assert ready_to_predict(ready, CPU) is ready


def test_placed__classifier_on_the_cpu__is_in_float64_but_for_the_encoder_of_single_channels():
    model = classifier().model_
    assert {weight.dtype for weight in model.networks.parameters()} == {torch.float64}
    assert {weight.dtype for weight in model.frozen.network.parameters()} == {torch.float32}
    assert model.frozen.head.weight.dtype == torch.float64


def test_placed__network_of_large_cases__is_in_float32_and_a_case_hardly_depends_on_its_company():
    wide = np.random.default_rng(0).normal(size=(6, 90, 100)) + (y[:6] * 0.3)[:, None, None]
    clf = small().fit(wide, y[:6])
    assert {weight.dtype for weight in clf.model_.parameters()} == {torch.float32}
    alone = np.concatenate([clf.predict_proba(wide[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(alone, clf.predict_proba(wide), rtol=0, atol=1e-6)
