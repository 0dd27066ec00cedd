"""All networks on torch's "meta" device, which has shapes but no values.

A tensor that was made on another device is an error there, and so is a question for a value, which would make a GPU
finish its work before the next step can begin.
"""

from contextlib import nullcontext
from itertools import zip_longest

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tsformer.data.augment import standard_augmentation, strong_view
from tsformer.data.batch import Batch
from tsformer.layers.pooling import POOLINGS
from tsformer.layers.scaling import SCALERS
from tsformer.models.channel_encoder import build_channel_encoder
from tsformer.models.classifier import build_classifier
from tsformer.models.encoders import ENCODERS
from tsformer.models.ensemble import Ensemble
from tsformer.models.forecaster import build_forecaster
from tsformer.models.generation import beam_search, generate
from tsformer.models.heads import HEADS
from tsformer.models.seq2seq import token_transformer
from tsformer.training import objectives
from tsformer.training.optim import WeightAverage, adamw
from tsformer.training.prediction import read_off

META = torch.device("meta")
SHAPE = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "dropout": 0.1}
BY_SCIPY = ("student_t", "negative_binomial")  # whose quantiles are scipy's, on the CPU


class NothingCrosses(TorchDispatchMode):
    """Refuses all that brings values from the CPU to the device or back, but for numbers of cases that go there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor) and each.dim()]
        to_device = isinstance(result, Tensor) and result.device == META and result.dtype == torch.long
        if func == torch.ops.aten._to_copy.default and to_device:
            return result  # the GPU need not finish anything for it
        assert len({tensor.device.type for tensor in tensors}) <= 1, f"{func} goes from device to device"
        return result


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """torch.autocast knows no meta device, not even in order to be switched off."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def take_step(model, objective, batch: Batch) -> None:
    """Train for a step, but for the optimiser's own kernel, which has no form for this device."""
    model.to(META).train()
    average, optimizer, batch = WeightAverage(model, 0.9), adamw(model, 0.1, 0.1), batch.to(META)
    with NothingCrosses():
        loss = objective(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        average.update()
    assert loss.device == META
    assert loss.shape == ()
    assert all(parameter.grad.device == META for parameter in model.parameters())


def cases(n_channels: int = 2) -> Batch:
    x = torch.zeros(4, 40, n_channels, dtype=torch.float64)
    return Batch(x, torch.ones_like(x, dtype=torch.bool), torch.tensor([0, 1, 0, 1]), torch.ones(4))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(("scaling", "pooling"), list(zip_longest(SCALERS, POOLINGS, fillvalue="standard")))
def test_classifier__on_the_meta_device__trains_and_predicts_without_a_question(encoder, scaling, pooling):
    batch, how = cases(), {"encoder": encoder, "scaling": scaling, "pooling": pooling, "differences": True}
    model = build_classifier(
        lambda: [(batch.x, batch.observed)], 2, 40, 2, augment=standard_augmentation, **how, **SHAPE
    )
    take_step(model, objectives.classification(0.1), batch)
    model, batch = Ensemble([model.eval()]), batch.to(META)
    with NothingCrosses(), torch.inference_mode():
        assert model(batch.x, batch.observed).shape == (4, 2)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("objective", ["contrastive", "reconstruction"])
def test_channel_encoder__on_the_meta_device__learns_and_embeds_without_a_question(encoder, objective):
    model = build_channel_encoder(objective=objective, encoder=encoder, n_timepoints=64, **SHAPE)
    learn = objectives.contrastive(strong_view, 0.1) if objective == "contrastive" else objectives.reconstruction(0.4)
    take_step(model, learn, cases(1))
    batch = cases().to(META)
    with NothingCrosses(), torch.inference_mode():
        assert model.eval().embed(batch.x, batch.observed).shape == (4, 2 * len(model.feature_names))


@pytest.mark.parametrize(
    ("encoder", "head", "seasons", "scheduled_sampling"),
    [
        *((encoder, "quantile", (7, 28), 0.0) for encoder in ENCODERS),
        *(("patch", head, (12, 0), 1.0) for head in HEADS),
        ("patch", "quantile", (1, 0), 0.0),
    ],
)
def test_forecaster__on_the_meta_device__trains_and_forecasts_without_a_question(
    encoder, head, seasons, scheduled_sampling
):
    x, y, future = (torch.zeros(4, *shape, dtype=torch.float64) for shape in ((48, 3), (20,), (20, 1)))
    observed, y_observed = torch.ones_like(x, dtype=torch.bool), torch.ones_like(y, dtype=torch.bool)
    batch = Batch(x, observed, y, y_observed=y_observed, future=future, seasons=seasons)
    model = build_forecaster(encoder, head, 48, n_past=1, n_future=1, shrinkage=5.0, **SHAPE)
    take_step(model, objectives.forecasting(scheduled_sampling), batch)
    batch = batch.to(META)
    levels = torch.empty(0 if head in ("point", *BY_SCIPY) else 3, device=META)
    with NothingCrosses(), torch.inference_mode():
        window = model.eval().encode(batch.x, batch.observed, batch.future, seasons)
        point, bands = read_off(model, window, levels)
        assert (point.shape, bands.shape) == ((4, 24), (4, 24, len(levels)))
        if len(levels):
            model.roll_out(window, drawn_by=torch.Generator())
        model.roll_out(window, cached=False)


def test_token_transformer__on_the_meta_device__trains_and_generates_without_a_question():
    model = token_transformer(10, **SHAPE)
    x = torch.ones(3, 6, 1, dtype=torch.long)
    batch = Batch(x, torch.ones_like(x, dtype=torch.bool), torch.ones(3, 5, dtype=torch.long))
    take_step(model, objectives.next_token(0, 0.1), batch)
    batch, how = batch.to(META), {"start": 0, "stop": 1, "max_length": 12}
    model.eval()
    with NothingCrosses():
        assert generate(model, batch.x, batch.observed, **how).shape == (3, 12)
        assert generate(model, batch.x, batch.observed, **how, temperature=1.0, top_k=5, top_p=0.9).shape == (3, 12)
        assert beam_search(model, batch.x, batch.observed, **how).shape == (3, 12)


def test_meta_device__a_question_or_a_tensor_of_the_cpu__is_found():
    values = torch.zeros(3, device=META)
    for ask in (lambda: bool(values.any()), lambda: values.sum().item(), lambda: values[values > 0]):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ask()
    with pytest.raises(AssertionError, match="from device to device"), NothingCrosses():
        torch.zeros(3).to(META)
