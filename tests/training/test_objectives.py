"""Objectives: the loss is torch's own, with weights and smoothing as documented."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tsformer.data.batch import Batch
from tsformer.models.channel_encoder import build_channel_encoder
from tsformer.models.forecaster import Lengths, SeriesForecaster, build_forecaster
from tsformer.training.objectives import (
    classification,
    contrastive,
    forecasting,
    hide_covariates,
    info_nce,
    reconstruction,
)


class FirstTimePoint(nn.Module):
    """Its logits are the values at the first time point."""

    def forward(self, x, observed):
        return x[:, 0]


def random_batch(weight: torch.Tensor | None = None) -> Batch:
    x = torch.randn(8, 2, 3)
    return Batch(x, torch.ones_like(x).bool(), torch.tensor([0, 1, 2, 2, 1, 0, 0, 0]), weight)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_classification__no_weights__is_torchs_cross_entropy(smoothing):
    batch = random_batch()
    expected = F.cross_entropy(batch.x[:, 0], batch.y, label_smoothing=smoothing)
    torch.testing.assert_close(classification(smoothing)(FirstTimePoint(), batch), expected)


def test_classification__class_weights_as_case_weights__is_torchs_weighted_cross_entropy():
    class_weight = torch.tensor([0.5, 1.0, 3.0])
    batch = random_batch()
    weight = class_weight[batch.y]
    weighted = Batch(batch.x, batch.observed, batch.y, weight / weight.mean())
    expected = F.cross_entropy(batch.x[:, 0], batch.y, weight=class_weight)
    torch.testing.assert_close(classification()(FirstTimePoint(), weighted), expected)


def test_classification__weighted_batches__add_up_to_the_weighted_whole():
    """A batch of heavy cases counts for more: its loss is not divided by its own weights."""
    batch = random_batch(weight=torch.tensor([0.0, 0.0, 6.0, 0.0, 0.5, 0.5, 0.5, 0.5]))
    objective, model = classification(), FirstTimePoint()
    halves = [objective(model, batch.select(index)) for index in torch.arange(8).split(4)]
    torch.testing.assert_close(torch.stack(halves).mean(), objective(model, batch))
    torch.testing.assert_close(halves[0], 6.0 / 4.0 * F.cross_entropy(batch.x[2:3, 0], batch.y[2:3]))


def test_classification__bfloat16_logits__are_summed_in_float32():
    batch = random_batch()
    loss = classification()(FirstTimePoint(), Batch(batch.x.bfloat16(), batch.observed, batch.y))
    assert loss.dtype == torch.float32


def test_classification__no_labels__says_so():
    batch = random_batch()
    with pytest.raises(ValueError, match=r"needs labels\. Got a batch whose y is None"):
        classification()(FirstTimePoint(), Batch(batch.x, batch.observed))


def forecaster() -> SeriesForecaster:
    size = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "dropout": 0.0}
    return build_forecaster("patch", "quantile", Lengths(2, 8, 4, 3, 3), n_past=0, n_future=0, **size).eval()


def windows(x: torch.Tensor, y: torch.Tensor) -> Batch:
    return Batch(x, torch.ones_like(x).bool(), y, y_observed=torch.ones_like(y).bool(), future=torch.zeros(*y.shape, 0))


def test_forecasting__window_of_other_level_and_size__counts_as_much():
    model, objective = forecaster(), forecasting(1.0)
    x, y = torch.randn(2, 8, 1, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    factor = torch.tensor([10.0, 1.0])[:, None]
    other = windows(factor[..., None] * x + 5.0, factor * y + 5.0)
    torch.testing.assert_close(objective(model, other), objective(model, windows(x, y)), rtol=1e-4, atol=0)


def test_forecasting__windows_of_equal_std__count_by_their_seasonal_change():
    model, objective = forecaster(), forecasting(1.0)
    calm = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0])  # changes by 2/3 from a season to the next
    wild = torch.tensor([1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0])  # by 2
    y = torch.randn(2, 3)
    losses = [objective(model, windows(x[None, :, None], y[i : i + 1])) for i, x in enumerate((calm, wild))]
    together = objective(model, windows(torch.stack([calm, wild])[..., None], y))
    torch.testing.assert_close(together, (1.5 * losses[0] + 0.5 * losses[1]) / 2.0)


def test_forecasting__missing_targets__do_not_count():
    model, objective = forecaster(), forecasting(1.0)
    x, y = torch.randn(2, 8, 1), torch.randn(2, 3)
    batch = windows(x, y)
    batch.y_observed[1] = False
    batch.y[1] = 1e6
    torch.testing.assert_close(objective(model, batch), objective(model, windows(x[:1], y[:1])))


def test_hide_covariates__half_of_the_windows__lack_each_in_context_and_horizon_and_keep_the_series():
    x, future = torch.randn(500, 8, 3), torch.randn(500, 3, 1)  # the series, a past covariate, one known ahead
    batch = hide_covariates(Batch(x, torch.ones_like(x).bool(), future=future), 0.5)
    assert torch.equal(batch.x[..., 0], x[..., 0])
    assert batch.observed[..., 0].all()
    kept = batch.observed[..., 1:]
    assert torch.equal(batch.x[..., 1:], torch.where(kept, x[..., 1:], 0.0))
    assert torch.equal(kept.all(dim=1), kept.any(dim=1))
    past, ahead = kept.all(dim=1).unbind(dim=1)
    assert torch.equal(batch.future, torch.where(ahead[:, None, None], future, 0.0))
    assert 0.2 < (past & ahead).float().mean() < 0.3


def test_info_nce__by_hand__is_the_mean_over_both_views():
    first, second = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    views = F.normalize(torch.cat([first, second]), dim=1)
    losses = []
    for i, positive in enumerate([2, 3, 0, 1]):
        exponents = [(views[i] @ views[j] / 0.5).exp() for j in range(4) if j != i]
        losses.append(-torch.log((views[i] @ views[positive] / 0.5).exp() / sum(exponents)))
    torch.testing.assert_close(info_nce(first, second, 0.5), torch.stack(losses).mean())


def test_info_nce__views_of_a_series_alike_and_others_opposite__is_near_zero():
    first = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert info_nce(first, first, 0.1) < 1e-6
    assert info_nce(first, first.flip(0), 0.1) > 10


def test_info_nce__mixed_precision__compares_in_float32():
    first, second = torch.randn(64, 16), torch.randn(64, 16)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = info_nce(first, second, 0.1)
    assert torch.equal(mixed, info_nce(first, second, 0.1))


def test_info_nce__one_series__is_zero_with_a_finite_gradient():
    first = torch.randn(1, 4, requires_grad=True)
    loss = info_nce(first, torch.randn(1, 4), 0.1)
    loss.backward()
    assert loss == 0
    assert first.grad.isfinite().all()


def pretraining_network(objective: str) -> nn.Module:
    size = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "dropout": 0.0, "encoder": "strided_stem"}
    return build_channel_encoder(objective=objective, n_timepoints=64, **size)


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("contrastive", contrastive(lambda x, observed: (x + 0.1 * torch.randn_like(x), observed), 0.1)),
        ("reconstruction", reconstruction(0.4)),
    ],
)
def test_pretraining__gaps_and_flat_series_in_the_batch__every_parameter_gets_a_finite_gradient(name, objective):
    x = torch.randn(6, 40, 1, dtype=torch.float64)
    observed = torch.rand_like(x) < 0.8
    x[0], observed[1, 20:] = 3.0, False
    model = pretraining_network(name)
    objective(model, Batch(torch.where(observed, x, 0.0), observed)).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert all(gradient.any() for name, gradient in gradients.items() if not name.startswith("head"))


def test_reconstruction__guess_of_zero_everywhere__loses_the_variance_of_standardised_series():
    model = pretraining_network("reconstruction")
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    x = torch.randn(400, 64, 1)
    loss = reconstruction(0.5)(model, Batch(x, torch.ones_like(x).bool()))
    assert loss.item() == pytest.approx(1.0, abs=0.05)


def test_reconstruction__hidden_values__do_not_reach_the_encoder():
    model = pretraining_network("reconstruction")
    seen_by_encoder = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen_by_encoder.append(inputs))
    x = torch.randn(50, 64, 1)
    reconstruction(0.5)(model, Batch(x, torch.ones_like(x).bool()))
    values, observed = seen_by_encoder[0]
    hidden = ~observed[..., 0]
    assert hidden.float().mean() == pytest.approx(0.5, abs=0.01)
    assert (values[~observed] == 0).all()
    # Neither a hidden value nor the difference to one.
    assert not (observed[:, 1:, 1] & (hidden[:, 1:] | hidden[:, :-1])).any()
