"""Objectives: the loss is torch's own, with weights and smoothing as documented."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tsformer.data.batch import UNLABELLED, Batch
from tsformer.models.channel_encoder import build_channel_encoder
from tsformer.models.forecaster import SeriesForecaster, build_forecaster
from tsformer.training import objectives
from tsformer.training.objectives import (
    RAMP_UP,
    Consistency,
    classification,
    contrastive,
    forecasting,
    hide_covariates,
    info_nce,
    known_patches,
    prepare,
    ramp_up,
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


def forecaster(**changes: str) -> SeriesForecaster:
    size = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "dropout": 0.0}
    options = {"encoder": "patch", "head": "quantile"} | changes
    return build_forecaster(context=24, n_past=0, n_future=0, **options, **size).double().eval()


def windows(x: torch.Tensor, y: torch.Tensor) -> Batch:
    """Contexts x (B, T) and horizons y (B, H) of a season of two."""
    x = x.unsqueeze(-1).double()
    future, seen = torch.zeros(*y.shape, 0), torch.ones_like(y).bool()
    return Batch(x, torch.ones_like(x).bool(), y.double(), y_observed=seen, future=future, seasons=(2, 0))


@pytest.mark.parametrize("scheduled_sampling", [0.0, 1.0])
def test_forecasting__window_of_other_level_and_size__counts_as_much(scheduled_sampling):
    model, objective = forecaster(), forecasting(scheduled_sampling)
    torch.nn.init.zeros_(model.statistics[0].weight[:, 1])  # it tells the level
    x, y = torch.randn(2, 24, dtype=torch.float64) - 9.0, torch.randn(2, 30, dtype=torch.float64) - 9.0
    factor = torch.tensor([[10.0], [1.0]])
    expected = objective(model, windows(x, y))
    torch.testing.assert_close(objective(model, windows(factor * x - 5.0, factor * y - 5.0)), expected)


def test_forecasting__windows_of_equal_std__count_by_their_seasonal_change():
    model, objective = forecaster(), forecasting(1.0)
    calm = torch.tensor([1.0, -1.0] * 4 + [-1.0, 1.0] * 4)  # changes once
    wild = torch.tensor([1.0, 1.0, -1.0, -1.0] * 4)  # from each season to the next
    y = torch.randn(2, 3)
    batches = [windows(x[None], y[i : i + 1]) for i, x in enumerate((calm, wild))]
    losses = [objective(model, batch) for batch in batches]
    weights = [prepare(model, batch)[0].scale.weight.item() for batch in batches]
    # The spread is the geometric mean of std and change, the weight what it is in changes.
    assert weights == pytest.approx([(14 / 4) ** 0.5, 0.5**0.5])
    together = objective(model, windows(torch.stack([calm, wild]), y))
    torch.testing.assert_close(together, (weights[0] * losses[0] + weights[1] * losses[1]) / sum(weights))


@pytest.mark.parametrize("scheduled_sampling", [0.0, 1.0])
def test_forecasting__missing_targets__do_not_count_whatever_stands_there(scheduled_sampling):
    model, objective = forecaster(), forecasting(scheduled_sampling)
    x, y = torch.randn(2, 24), torch.randn(2, 30)
    batch = windows(x, y)
    batch.y_observed[1] = False
    batch.y[1] = 1e6
    torch.testing.assert_close(objective(model, batch), objective(model, windows(x[:1], y[:1])))
    batch.y_observed[0, 5] = False
    losses = []
    for value in (0.0, 1e6):
        batch.y[0, 5] = value
        losses.append(objective(model, batch))
    assert losses[0] == losses[1]


def test_forecasting__context_without_a_value__does_not_count():
    model, objective = forecaster(), forecasting(1.0)
    x, y = torch.randn(2, 24), torch.randn(2, 3)
    batch = windows(x, y)
    batch.observed[1] = False
    torch.testing.assert_close(objective(model, batch), objective(model, windows(x[:1], y[:1])))


def test_forecasting__scheduled_sampling__is_the_loss_of_the_own_roll_out():
    model, batch = forecaster(head="point"), windows(torch.randn(3, 24), torch.randn(3, 36))
    torch.nn.init.normal_(model.mixture.weight)  # so that what comes before a patch counts
    window, target, observed = prepare(model, batch)
    own = model.roll_out(window)[0]
    before = torch.cat([window.last.unsqueeze(1), known_patches(model, target, observed)], dim=1)
    for outputs, scheduled_sampling in ((own, 1.0), (model(window, before), 0.0)):
        losses = model.head.losses(outputs, target, window.scale.spread.unsqueeze(-1))
        weight = window.scale.weight.unsqueeze(-1).expand_as(losses)
        expected = (losses * weight).sum() / weight.sum()
        torch.testing.assert_close(forecasting(scheduled_sampling)(model, batch).double(), expected, rtol=1e-5, atol=0)
    assert not torch.isclose(forecasting(0.0)(model, batch), forecasting(1.0)(model, batch))


def test_known_patches__missing_value__is_told_as_missing():
    model, batch = forecaster(), windows(torch.randn(1, 24), torch.randn(1, 30))
    batch.y_observed[0, 4] = False
    _, target, observed = prepare(model, batch)
    shown = known_patches(model, target, observed)
    assert shown.shape == (1, 2, 12, 2)
    assert shown[0, 0, 4].tolist() == [0.0, 0.0]
    assert shown[..., 1].sum() == 23
    torch.testing.assert_close(shown[0, 1, :, 0], target[0, 1])


def test_forecasting__batch_without_a_horizon__says_so():
    x = torch.randn(2, 24, 1)
    with pytest.raises(ValueError, match="Forecasting needs a horizon"):
        forecasting(1.0)(forecaster(), Batch(x, torch.ones_like(x).bool()))


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


# Consistency of cases with and without labels


class Views(nn.Module):
    """Its logits are the values at the first time point, moved further at each call."""

    def __init__(self, step: float = 0.0):
        super().__init__()
        self.step, self.calls = step, 0

    def forward(self, x, observed):
        self.calls += 1
        return x[:, 0] + self.calls * self.step * torch.tensor([1.0, 0.0, 0.0])


def partly_labelled(weight=None):
    batch = random_batch(weight)
    return replace(batch, y=torch.where(torch.arange(8) < 2, batch.y, UNLABELLED))


def late(objective, model, batch):
    """Return the loss of the last of as many steps as the weight takes to rise."""
    return [objective(model, batch) for _ in range(2)][-1]


@pytest.mark.parametrize("method", ["pi", "mean_teacher", "pseudo_label"])
def test_consistency__nothing_to_agree_on__is_the_cross_entropy_of_the_labelled(method):
    batch = partly_labelled()
    expected = F.cross_entropy(batch.x[:2, 0], batch.y[:2], label_smoothing=0.1)
    weight = 0.0 if method == "pseudo_label" else 5.0
    objective = Consistency(method, 0.1, weight).towards(Views(), 1)
    torch.testing.assert_close(late(objective, Views(), batch), expected)


def test_pi__two_views__adds_their_squared_distance():
    batch = partly_labelled()
    objective, model = Consistency("pi", 0.0, 5.0).towards(nn.Identity(), 1), Views(step=0.5)
    late(objective, model, batch)
    moves = [0.5 * call * torch.tensor([1.0, 0.0, 0.0]) for call in (5, 6)]
    first, second = ((batch.x[:, 0] + move).softmax(dim=1) for move in moves)
    expected = F.cross_entropy(batch.x[:2, 0] + moves[0], batch.y[:2]) + 5.0 * (first - second).square().sum(1).mean()
    torch.testing.assert_close(objective(model, batch), expected)


def test_mean_teacher__another_network__adds_the_squared_distance_to_it_and_gives_it_no_gradient():
    batch = partly_labelled()
    batch.x.requires_grad_()
    teacher = nn.Linear(1, 3)
    teach = lambda x, observed: teacher(x[:, 0, :1])  # noqa: E731
    loss = late(Consistency("mean_teacher", 0.0, 5.0).towards(teach, 1), Views(), batch)
    distance = (batch.x[:, 0].softmax(1) - teach(batch.x, None).softmax(1)).square().sum(1).mean()
    torch.testing.assert_close(loss, F.cross_entropy(batch.x[:2, 0], batch.y[:2]) + 5.0 * distance)
    loss.backward()
    assert teacher.weight.grad is None


def test_pseudo_label__teacher_sure_of_some__adds_the_cross_entropy_of_these_unlabelled_cases():
    batch = partly_labelled()
    logits = torch.zeros(8, 3)
    logits[[0, 3, 5], [1, 2, 0]] = 9.0  # sure of a labelled case and two others
    loss = late(Consistency("pseudo_label", 0.0, 5.0).towards(lambda x, observed: logits, 1), Views(), batch)
    sure = F.cross_entropy(batch.x[[3, 5], 0], torch.tensor([2, 0]), reduction="sum") / 8
    torch.testing.assert_close(loss, F.cross_entropy(batch.x[:2, 0], batch.y[:2]) + 5.0 * sure)


def test_ramp_up__progress__rises_to_one_and_stays():
    assert 0.0 < ramp_up(0.0) < 0.01
    assert ramp_up(0.5 * RAMP_UP) < ramp_up(RAMP_UP) == ramp_up(1.0) == 1.0


def test_left_out_loss__each_case__is_predicted_by_a_regression_on_the_others():
    torch.manual_seed(0)
    features, y = torch.randn(1, 9, 5), torch.tensor([[0, 1, 2] * 3])
    scaled = features[0] - features[0].mean(dim=0)
    scaled = (scaled / (scaled.std(dim=0) + objectives.SMALLEST_STD)).tanh()
    distance = torch.cdist(scaled, scaled).square()
    kernel = torch.exp(-distance / distance.flatten().median())
    targets = 2.0 * torch.nn.functional.one_hot(y[0], 3) - 1.0
    losses = []
    for penalty in objectives.RIDGE_PENALTIES:
        logits = torch.zeros(9, 3)
        for case in range(9):
            others = torch.tensor([other for other in range(9) if other != case])
            # Kernel ridge regression with an intercept that is not penalised, by its normal equations.
            system = torch.zeros(9, 9)
            system[:8, :8] = kernel[others][:, others] + penalty * torch.eye(8)
            system[:8, 8] = system[8, :8] = 1.0
            solution = torch.linalg.solve(system, torch.cat([targets[others], torch.zeros(1, 3)]))
            logits[case] = objectives.RIDGE_LOGIT * (kernel[case, others] @ solution[:8] + solution[8])
        losses.append(torch.nn.functional.cross_entropy(logits, y[0]))
    torch.testing.assert_close(objectives.left_out_loss(features, y), torch.stack(losses).mean(), rtol=1e-3, atol=1e-4)


def test_left_out_loss__task_of_fewer_classes_beside_another__is_what_it_is_alone():
    torch.manual_seed(0)
    features, y = torch.randn(2, 8, 5), torch.tensor([[0, 1] * 4, [0, 1, 2, 3] * 2])
    alone = [objectives.left_out_loss(features[i : i + 1], y[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(objectives.left_out_loss(features, y), torch.stack(alone).mean())
