"""ShiftedWindowEncoder: how far information travels, how many tokens there are, and what they may look at."""

import pytest
import torch
from torch import Tensor

from tsformer.layers.attention import record_attention
from tsformer.models.encoders.shifted_window import ShiftedWindowEncoder, TokenMerging


def build(n_channels: int = 1, n_layers: int = 2, **how: int) -> ShiftedWindowEncoder:
    encoder = ShiftedWindowEncoder(
        n_channels, 32, d_model=16, n_heads=2, n_layers=n_layers, d_ff=24, dropout=0.0, **how
    )
    return encoder.double().eval()


def reach(n_layers: int, token: int) -> list[int]:
    """The tokens, of 16 in windows of 4, by which the gradient of a token of the first stage is not exactly 0."""
    stage = build(n_layers=n_layers, window=4).stages[0]
    tokens = torch.randn(1, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((stage(tokens)[0, token] * torch.randn(16)).sum(), tokens)
    return gradient[0].any(dim=-1).nonzero().flatten().tolist()


@pytest.mark.parametrize(("token", "first", "last"), [(0, 0, 3), (5, 4, 7), (7, 4, 7), (8, 8, 11), (15, 12, 15)])
def test_stage__one_layer__sees_its_window_and_no_further(token, first, last):
    assert reach(1, token) == list(range(first, last + 1))


@pytest.mark.parametrize(("token", "first", "last"), [(0, 0, 3), (5, 0, 7), (7, 4, 11), (8, 4, 11), (15, 12, 15)])
def test_stage__two_layers__sees_across_the_border_of_its_window(token, first, last):
    """The shifted windows are 0 to 1, 2 to 5, 6 to 9, ..., 14 to 15, and their tokens saw whole windows before."""
    assert reach(2, token) == list(range(first, last + 1))


def test_stage__windows__are_no_ring():
    assert 15 not in reach(2, 0)
    assert 0 not in reach(2, 15)


def test_stage__tokens_in_another_order_within_a_window__do_not_just_come_out_in_that_order():
    stage = build(n_layers=1, window=4).stages[0]
    tokens, order = torch.randn(1, 4, 16, dtype=torch.float64), torch.tensor([2, 0, 3, 1])
    assert not torch.allclose(stage(tokens[:, order]), stage(tokens)[:, order], atol=1e-3)


def test_stages__merged_tokens__see_twice_as_far():
    def seen_by(n_stages: int) -> int:
        encoder = build(window=4, n_stages=n_stages, n_layers=1)
        x = torch.randn(1, 256, 1, dtype=torch.float64, requires_grad=True)
        tokens, _ = encoder(x, torch.ones_like(x, dtype=torch.bool))
        (gradient,) = torch.autograd.grad((tokens[0, 0] * torch.randn(16)).sum(), x)
        return int(gradient.count_nonzero())

    one, two, three = map(seen_by, (1, 2, 3))
    assert one < two < three


@pytest.mark.parametrize("n_layers", [1, 2])
def test_record_attention__maps_of_windows__are_between_all_tokens_and_zero_across_borders(n_layers):
    x = torch.randn(3, 21, 1, dtype=torch.float64)
    encoder = build(n_layers=n_layers, window=4, n_stages=1, stride=1)
    with record_attention(encoder) as layers:
        encoder(x, torch.ones_like(x, dtype=torch.bool))
    assert len(layers) == n_layers
    for weights, shift in zip(layers, [0, 2][:n_layers], strict=True):
        window = (torch.arange(21) + shift) // 4
        expected = (window[:, None] == window[None, :]).expand(3, 2, 21, 21)
        assert torch.equal(weights > 0.0, expected)


def random_tokens(n_tokens: int) -> tuple[Tensor, Tensor]:
    observed = torch.rand(3, n_tokens) < 0.7
    observed[:, 0] = True
    return torch.randn(3, n_tokens, 4), observed


@pytest.mark.parametrize("n_tokens", [1, 2, 5, 6])
def test_token_merging__pairs__are_one_linear_map_of_both_in_which_hidden_ones_are_zero(n_tokens):
    tokens, observed = random_tokens(n_tokens)
    merge = TokenMerging(4)
    merged, token_mask = merge(tokens, observed)
    zeroed = torch.cat([tokens * observed.unsqueeze(-1), torch.zeros(3, n_tokens % 2, 4)], dim=1)
    expected = merge.linear(torch.cat([zeroed[:, ::2], zeroed[:, 1::2]], dim=-1))
    torch.testing.assert_close(merged, expected)
    pairs = observed.split(2, dim=1)
    assert torch.equal(token_mask, torch.stack([pair.any(dim=1) for pair in pairs], dim=1))


@pytest.mark.parametrize("n_timepoints", [100, 4096, 4097, 18_000])
def test_shifted_window_encoder__long_training_series__bound_the_tokens_of_a_series(n_timepoints):
    encoder = ShiftedWindowEncoder(1, n_timepoints, d_model=8, n_heads=2, n_layers=1, d_ff=8, dropout=0.0)
    x = torch.randn(1, n_timepoints, 1)
    n_tokens = encoder(x, torch.ones_like(x, dtype=torch.bool))[0].shape[1]
    assert min(n_timepoints, 2048) / 4 <= n_tokens <= 1024


@pytest.mark.parametrize(("n_timepoints", "n_tokens"), [(1, 1), (4, 1), (5, 2), (100, 25), (1001, 251)])
def test_shifted_window_encoder__defaults__have_a_token_for_four_time_points(n_timepoints, n_tokens):
    x = torch.randn(2, n_timepoints, 1, dtype=torch.float64)
    assert build()(x, torch.ones_like(x, dtype=torch.bool))[0].shape == (2, n_tokens, 16)
