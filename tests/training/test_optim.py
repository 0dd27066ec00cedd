"""Optimiser, schedules, averaging: each against its formula."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from tsformer.training.optim import WeightAverage, adamw, constant, cosine, inverse_square_root


def test_adamw__no_gradient_to_speak_of__decays_matrices_and_kernels_only():
    model = nn.Sequential(nn.Conv1d(2, 3, 5), nn.LayerNorm(3), nn.Linear(3, 4))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    adamw(model, learning_rate=0.1, weight_decay=0.5).step()
    for name, parameter in model.named_parameters():
        expected = 1.0 - 0.1 * 0.5 if name in ("0.weight", "2.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected))


def test_adamw__frozen_parameters__are_left_out():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    held = [parameter for group in adamw(model, 0.1, 0.5).param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in held} == {id(parameter) for parameter in model[1].parameters()}


def test_adamw__some_steps_and_a_state_put_back__are_those_of_torch_to_the_bit():
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    reference = copy.deepcopy(model)
    optimizer = adamw(model, 0.01, 0.1, max_grad_norm=math.inf)
    groups = [{"params": [reference.weight]}, {"params": [reference.bias], "weight_decay": 0.0}]
    of_torch = torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1, fused=True)
    for step in range(6):
        if step == 3:
            saved, optimizer = optimizer.state_dict(), adamw(model, 0.01, 0.1, max_grad_norm=math.inf)
            optimizer.load_state_dict(saved)
        x = torch.randn(5, 3)
        for trained, by in ((model, optimizer), (reference, of_torch)):
            by.zero_grad()
            trained(x).square().sum().backward()
            by.step()
    for weight, expected in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.equal(weight, expected)


@pytest.mark.parametrize("max_grad_norm", [1.0, 1000.0])
def test_adamw__large_gradient__is_scaled_down_to_the_norm(max_grad_norm):
    model = nn.Linear(2, 1, bias=False)
    optimizer = adamw(model, 0.0, 0.0, max_grad_norm)
    model.weight.grad = torch.tensor([[30.0, 40.0]])
    optimizer.step()
    assert model.weight.grad.norm() == pytest.approx(min(50.0, max_grad_norm), rel=1e-4)


def test_adamw__gradients_of_any_norm_by_default__are_scaled_down_to_1():
    model = nn.Linear(2, 1, bias=False)
    optimizer = adamw(model, 0.0, 0.0)
    model.weight.grad = torch.tensor([[30.0, 40.0]])
    optimizer.step()
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize("warmup", [1, 100, 4000])
def test_inverse_square_root__any_step__is_equation_3_of_the_paper_with_a_peak_of_1(warmup):
    d_model = 512
    factor = inverse_square_root(10_000, warmup)
    scale = d_model**-0.5 * warmup**-0.5  # the paper's largest learning rate
    for step in (1, 2, warmup - 1, warmup, warmup + 1, 10_000):
        if step > 0:
            paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
            assert factor(step - 1) * scale == pytest.approx(paper)  # ours count from 0
    assert factor(warmup - 1) == pytest.approx(1.0)


def test_cosine__course__rises_evenly_to_1_and_falls_to_0_through_a_half():
    factors = [cosine(110, 10)(step) for step in range(111)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[109] < 0.001
    assert factors[110] == pytest.approx(0.0)
    assert all(later < earlier for earlier, later in pairwise(factors[10:]))
    assert cosine(110, 10)(500) == pytest.approx(0.0)


def test_constant__course__rises_to_1_and_stays():
    assert [constant(6, 3)(step) for step in range(6)] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("warmup", [0, 1, 7, 20])
@pytest.mark.parametrize("schedule", [cosine, inverse_square_root, constant])
def test_schedules__any_warmup__stay_within_0_and_1_and_never_start_at_0(schedule, warmup):
    factors = [schedule(20, warmup)(step) for step in range(20)]
    assert all(0.0 < factor <= 1.0 for factor in factors)
    assert max(factors) == pytest.approx(1.0)
    assert factors[0] == pytest.approx(1 / max(1, warmup))


@pytest.mark.parametrize("decay", [0.3, 0.99])
def test_weight_average__some_updates__follows_its_formula(decay):
    model = nn.Linear(3, 2)
    average = WeightAverage(model, decay)
    expected = None
    for n in range(6):
        nn.init.normal_(model.weight)
        average.update()
        rate = min(decay, (1 + n) / (10 + n))
        expected = model.weight.detach().clone() if n == 0 else rate * expected + (1 - rate) * model.weight.detach()
    torch.testing.assert_close(average.model.weight.detach(), expected)


def test_weight_average__before_the_first_update__is_a_copy_that_does_not_move_with_the_model():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    average = WeightAverage(model, 0.99)
    nn.init.ones_(model.weight)
    assert torch.equal(average.model.weight, before)


def test_weight_average__buffers__are_the_models_own():
    model = nn.BatchNorm1d(3)
    average = WeightAverage(model, 0.99)
    for _ in range(3):
        model(torch.randn(10, 3) + 5.0)
        average.update()
    assert torch.equal(average.model.running_mean, model.running_mean)
    assert model.running_mean.min() > 0.5
