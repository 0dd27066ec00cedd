"""The forecasting network: roll-outs with and without cache, alone and in company, and no patch sees a later one."""

import pytest
import torch
from torch import Tensor

from tsformer.models.forecaster import LIMIT, Lengths, SeriesForecaster, build_forecaster
from tsformer.models.heads import HEADS

CONTEXT, N_STEPS, PATCH = 24, 9, 3
EXACT = {"atol": 1e-9, "rtol": 0.0}


def network(n_future: int = 0, head: str = "quantile", patch_length: int = PATCH) -> SeriesForecaster:
    """A network in float64, untrained; its outputs spread over several units."""
    torch.manual_seed(0)
    size = {"d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 32, "dropout": 0.0}
    lengths = Lengths(6, CONTEXT, 4, patch_length, patch_length)
    model = build_forecaster("patch", head, lengths, n_past=0, n_future=n_future, **size)
    return model.double().eval()


def windows(n_cases: int, n_future: int = 0, *, padded: bool = False, patch_length: int = PATCH) -> tuple[Tensor, ...]:
    """Contexts x (B, T, C), their mask, and future covariates (B, M, P, n_future).

    Padded: histories of different length, the shortest within one token, and a missing value in each.
    """
    generator = torch.Generator().manual_seed(1)
    x = 50.0 + 10.0 * torch.randn(n_cases, CONTEXT, 1 + n_future, generator=generator, dtype=torch.float64)
    future = torch.randn(n_cases, N_STEPS, patch_length, n_future, generator=generator, dtype=torch.float64)
    observed = torch.ones_like(x, dtype=torch.bool)
    if padded:
        lengths = torch.tensor([CONTEXT, 11, 3])[:n_cases] if n_cases > 1 else torch.tensor([11])
        observed &= (torch.arange(CONTEXT) >= CONTEXT - lengths[:, None]).unsqueeze(-1)
        observed[:, -2, 0] = False
    return torch.where(observed, x, 0.0), observed, future


def roll_out(model: SeriesForecaster, x: Tensor, observed: Tensor, future: Tensor, **options) -> tuple[Tensor, Tensor]:
    return model.roll_out(*model.encode(x, observed), future, **options)


def inputs_from(last: Tensor, values: Tensor, future: Tensor) -> Tensor:
    """What the decoder reads (B, M, P, 2 + n_future) when `values` (B, M, P) are the patches, all of them there."""
    patches = torch.stack([values, torch.ones_like(values)], dim=-1)
    return torch.cat([torch.cat([last.unsqueeze(1), patches[:, :-1]], dim=1), future], dim=-1)


situations = pytest.mark.parametrize(
    ("n_cases", "padded", "n_future"),
    [(n_cases, padded, n_future) for n_cases in (1, 3) for padded in (False, True) for n_future in (0, 2)],
    ids=lambda value: str(value),
)


@situations
@pytest.mark.parametrize("patch_length", [1, PATCH])
def test_roll_out__cached_and_uncached__agree_at_every_step(n_cases, padded, n_future, patch_length):
    model = network(n_future, patch_length=patch_length)
    given = windows(n_cases, n_future, padded=padded, patch_length=patch_length)
    cached, uncached = (roll_out(model, *given, cached=cached) for cached in (True, False))
    for ours, theirs in zip(cached, uncached, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)
    assert cached[0].shape[:3] == given[2].shape[:3]
    assert cached[1].std(dim=1).min() > 1e-3  # steps differ, so that a step in the place of another would show


@pytest.mark.parametrize("head", sorted(HEADS))
def test_roll_out__every_head_cached_and_uncached__agree(head):
    model, given = network(head=head), windows(3, padded=True)
    cached, uncached = (roll_out(model, *given, cached=cached) for cached in (True, False))
    torch.testing.assert_close(cached, uncached, **EXACT)


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"point"}))
def test_roll_out__drawn_with_the_same_seed__agrees_cached_and_uncached(head):
    model, given = network(head=head), windows(3, padded=True)
    drawn = []
    for cached in (True, False):
        torch.manual_seed(2)
        drawn.append(roll_out(model, *given, sample=True, cached=cached))
    torch.testing.assert_close(*drawn, **EXACT)
    torch.manual_seed(3)
    assert not torch.equal(roll_out(model, *given, sample=True)[1], drawn[0][1])


def test_roll_out__float32__agrees_cached_and_uncached_to_1e_4():
    model, (x, observed, future) = network(2).float(), windows(3, 2, padded=True)
    cached, uncached = (roll_out(model, x, observed, future, cached=cached) for cached in (True, False))
    assert cached[1].dtype == torch.float32
    torch.testing.assert_close(cached, uncached, atol=1e-4, rtol=0.0)


@situations
def test_forward__fed_with_a_roll_out__gives_its_outputs(n_cases, padded, n_future):
    """Teacher forcing and the roll-out are one function, so what is trained is what predicts."""
    model = network(n_future)
    x, observed, future = windows(n_cases, n_future, padded=padded)
    memory, scale, last = model.encode(x, observed)
    outputs, values = model.roll_out(memory, scale, last, future)
    torch.testing.assert_close(model(memory, inputs_from(last, values, future)), outputs, **EXACT)


@situations
def test_forward__later_input_patches__have_exactly_no_influence(n_cases, padded, n_future):
    model = network(n_future)
    x, observed, future = windows(n_cases, n_future, padded=padded)
    memory, _, last = model.encode(x, observed)
    values = torch.randn(n_cases, N_STEPS, PATCH, dtype=torch.float64)
    inputs = inputs_from(last, values, future).detach().requires_grad_()
    for step in range(N_STEPS):
        (gradient,) = torch.autograd.grad(model(memory, inputs)[:, step].sum(), inputs, retain_graph=True)
        assert (gradient[:, step + 1 :] == 0.0).all()
        assert (gradient[:, : step + 1] != 0.0).any(dim=(2, 3)).all()


@pytest.mark.parametrize("cached", [True, False])
def test_roll_out__one_series__is_as_in_a_batch(cached):
    model, given = network(2), windows(3, 2, padded=True)
    together = roll_out(model, *given, cached=cached)
    for i in range(3):
        alone = roll_out(model, *(part[i : i + 1] for part in given), cached=cached)
        torch.testing.assert_close(alone, tuple(part[i : i + 1] for part in together), **EXACT)


@pytest.mark.parametrize("cached", [True, False])
def test_roll_out__what_was_not_observed__changes_nothing(cached):
    model, (x, observed, future) = network(2), windows(3, 2, padded=True)
    expected = roll_out(model, x, observed, future, cached=cached)
    changed = torch.where(observed, x, 99.0)
    torch.testing.assert_close(roll_out(model, changed, observed, future, cached=cached), expected, **EXACT)


@pytest.mark.parametrize("cached", [True, False])
def test_roll_out__more_padding_before_a_history__changes_nothing(cached):
    """Nobody looks at tokens of padding, and positions are counted from the present."""
    model, (x, observed, future) = network(2), windows(3, 2, padded=True)
    expected = roll_out(model, x, observed, future, cached=cached)
    longer = [torch.nn.functional.pad(part, (0, 0, 8, 0)) for part in (x, observed)]
    torch.testing.assert_close(roll_out(model, *longer, future, cached=cached), expected, **EXACT)


def test_roll_out__more_steps__begin_with_the_fewer():
    """Covariates known ahead of a later step are not seen before it."""
    model, (x, observed, future) = network(2), windows(3, 2)
    fewer = roll_out(model, x, observed, future[:, :4])
    more = roll_out(model, x, observed, future)
    torch.testing.assert_close(tuple(part[:, :4] for part in more), fewer, **EXACT)


def test_roll_out__covariates_of_a_step__change_it_and_those_after():
    model, (x, observed, future) = network(2), windows(3, 2)
    expected = roll_out(model, x, observed, future)[1]
    future[:, 4] += 1.0
    changed = roll_out(model, x, observed, future)[1] != expected
    assert not changed[:, :4].any()
    assert changed[:, 4:].any(dim=-1).all()


def test_roll_out__forecasts_beyond_the_limit__are_cut_there_before_they_are_fed_back():
    model, (x, observed, future) = network(), windows(3)
    torch.nn.init.constant_(model.network.head.linear.bias, 100.0)
    assert (roll_out(model, x, observed, future)[1] == LIMIT).all()


def test_encode__history_shorter_than_a_patch__pads_the_last_patch_as_missing():
    model = network()
    x = torch.tensor([[[3.0], [5.0]]], dtype=torch.float64)
    _, scale, last = model.encode(x, torch.ones_like(x, dtype=torch.bool))
    assert last[0, :, 1].tolist() == [0.0, 1.0, 1.0]
    assert last[0, 0, 0] == 0.0
    torch.testing.assert_close(scale.undo(last[:, 1:, 0]), x[..., 0])


def test_patches__length_no_multiple__are_filled_with_zeros():
    model = network()
    assert model.patches(torch.arange(1.0, 5.0)[None]).tolist() == [[[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]]
    assert model.patches(torch.ones(2, 4, 5)).shape == (2, 2, 3, 5)
