"""Attention: equal to the formula and to torch's own module, blind where it is masked, and why it is scaled."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tsformer.layers.attention import (
    KeyValueCache,
    MultiHeadAttention,
    WindowedAttention,
    attention,
    attention_weights,
    causal_mask,
    from_windows,
    padding_mask,
    record_attention,
    to_windows,
)
from tsformer.layers.positions import rotary

OBSERVED = torch.tensor([[True] * 6, [True, True, True, False, True, False]])  # (B, N)


def random_heads(n_queries: int = 5, n_keys: int = 6, d_k: int = 4) -> tuple[torch.Tensor, ...]:
    """Query (2, 3, Nq, Dk), key and value (2, 3, Nk, Dk) in float64."""
    sizes = (n_queries, n_keys, n_keys)
    return tuple(torch.randn(2, 3, size, d_k, dtype=torch.float64, requires_grad=True) for size in sizes)


MASKS = {
    "none": None,
    "padding": padding_mask(OBSERVED),
    "causal": causal_mask(5, 6),
    "both": padding_mask(OBSERVED) & causal_mask(5, 6),
}


@pytest.mark.parametrize("name", MASKS)
def test_attention__any_mask__is_the_papers_formula_and_the_weights_times_value(name):
    mask = MASKS[name]
    query, key, value = random_heads()
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / math.sqrt(4)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    expected = scores.softmax(dim=-1)
    torch.testing.assert_close(attention_weights(query, key, mask), expected)
    torch.testing.assert_close(attention(query, key, value, mask), expected @ value)


@pytest.mark.parametrize("name", ["padding", "causal", "both"])
def test_attention_weights__mask__hides_exactly_and_rows_sum_to_one(name):
    mask = MASKS[name]
    query, key, _ = random_heads()
    weights = attention_weights(query, 30.0 * key, mask)
    assert (weights[~mask.expand_as(weights)] == 0.0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 5, dtype=torch.float64))


def test_attention__query_that_sees_nothing__gets_zeros_and_finite_gradients():
    query, key, value = random_heads()
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[2] = False
    output = attention(query, key, value, mask)
    assert (output[:, :, 2] == 0.0).all()
    assert (attention_weights(query, key, mask)[:, :, 2] == 0.0).all()
    torch.testing.assert_close(output[:, :, [0, 1, 3, 4]], attention(query[:, :, [0, 1, 3, 4]], key, value))
    output.square().sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (query, key, value))
    assert (query.grad[:, :, 2] == 0.0).all()
    assert (query.grad[:, :, 1] != 0.0).any()


def test_attention__causal_mask__gradient_of_a_step_by_later_steps_is_exactly_zero():
    layer = MultiHeadAttention(8, 2)
    x = torch.randn(1, 6, 8, requires_grad=True)
    output = layer(x, mask=causal_mask(6, 6))
    for step in range(6):
        (gradient,) = torch.autograd.grad(output[0, step].square().sum(), x, retain_graph=True)
        assert (gradient[0, step + 1 :] == 0.0).all()
        assert (gradient[0, : step + 1] != 0.0).any(dim=-1).all()


def test_causal_mask__as_many_keys_as_queries__is_a_lower_triangle():
    assert causal_mask(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_causal_mask__more_keys_than_queries__the_last_query_stands_at_the_last_key():
    assert causal_mask(2, 5).tolist() == [[True, True, True, True, False], [True] * 5]


def test_causal_mask__last_queries_with_all_keys__equal_the_last_rows_of_all_queries():
    query, key, value = random_heads(n_queries=6)
    whole = attention(query, key, value, causal_mask(6, 6))
    step = attention(query[:, :, 4:], key, value, causal_mask(2, 6))
    torch.testing.assert_close(step, whole[:, :, 4:])


def test_attention_weights__random_queries_of_width_512__saturate_without_the_scale():
    """Why the paper divides by sqrt(d_k): without it softmax picks one key, and passes almost no gradient."""
    query, key = torch.randn(2, 1, 1, 64, 512).unbind()
    scaled = attention_weights(query, key)
    unscaled = attention_weights(query * math.sqrt(512), key)
    torch.testing.assert_close(unscaled, (query @ key.transpose(-2, -1)).softmax(dim=-1), rtol=1e-3, atol=1e-3)

    def entropy(weights):  # 1 for equal weights, 0 for a single one
        return -torch.special.xlogy(weights, weights).sum(dim=-1).mean() / math.log(64)

    assert entropy(scaled) > 0.8
    assert entropy(unscaled) < 0.2
    assert scaled.amax(dim=-1).median() < 0.2
    assert unscaled.amax(dim=-1).median() > 0.9


# MultiHeadAttention


def with_reference(d_model: int = 12, n_heads: int = 3) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Our layer and torch's with the same weights, in float64."""
    reference = nn.MultiheadAttention(d_model, n_heads, batch_first=True).double()
    nn.init.normal_(reference.in_proj_bias)
    nn.init.normal_(reference.out_proj.bias)
    layer = MultiHeadAttention(d_model, n_heads).double()
    layer.projection.load_state_dict({"weight": reference.in_proj_weight, "bias": reference.in_proj_bias})
    layer.output.load_state_dict(reference.out_proj.state_dict())
    return layer, reference


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_multi_head_attention__copied_weights__equals_torch(cross, padded, causal):
    layer, reference = with_reference()
    n_queries = 4 if cross else 6
    memory = torch.randn(2, 6, 12, dtype=torch.float64)
    x = torch.randn(2, n_queries, 12, dtype=torch.float64) if cross else memory
    mask = torch.ones(1, 1, n_queries, 6, dtype=torch.bool)
    if padded:
        mask = mask & padding_mask(OBSERVED)
    if causal:
        mask = mask & causal_mask(n_queries, 6)
    expected, expected_weights = reference(
        x,
        memory,
        memory,
        key_padding_mask=~OBSERVED if padded else None,
        attn_mask=~causal_mask(n_queries, 6) if causal else None,
        average_attn_weights=False,
    )
    with record_attention(layer) as weights:
        output = layer(x, memory if cross else None, mask=mask)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, [expected_weights])


def test_multi_head_attention__memory_that_is_x_itself__equals_self_attention():
    layer, _ = with_reference()
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    torch.testing.assert_close(layer(x, x), layer(x))


def test_multi_head_attention__rotations__turn_queries_and_keys_each_by_their_own():
    layer = MultiHeadAttention(8, 2).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    here, far = (rotary(torch.arange(5) + shift, 4) for shift in (0, 7))
    with record_attention(layer) as weights:
        layer(x)
        layer(x, query_rotation=here, key_rotation=here)
        layer(x, query_rotation=far, key_rotation=far)
        layer(x, query_rotation=far, key_rotation=here)
    plain, together, moved_together, moved_apart = weights
    torch.testing.assert_close(moved_together, together, rtol=0, atol=1e-5)
    assert not torch.allclose(together, plain, atol=1e-3)
    assert not torch.allclose(moved_apart, together, atol=1e-3)


def test_multi_head_attention__dropout__acts_in_training_only():
    layer = MultiHeadAttention(8, 2, dropout=0.5)
    x = torch.randn(1, 5, 8)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_multi_head_attention__width_that_heads_do_not_divide__is_refused():
    with pytest.raises(ValueError, match=r"'d_model' parameter must be a multiple of n_heads\. Got d_model=10, n_head"):
        MultiHeadAttention(10, 3)


@pytest.mark.parametrize("steps", [[6], [1] * 6, [2, 3, 1]])
def test_multi_head_attention__self_attention_with_a_cache__equals_all_tokens_at_once(steps):
    layer = MultiHeadAttention(8, 2).double()
    x = torch.randn(3, 6, 8, dtype=torch.float64)
    cache, outputs = KeyValueCache(), []
    for part in x.split(steps, dim=1):
        outputs.append(layer(part, mask=causal_mask(part.shape[1], cache.length + part.shape[1]), cache=cache))
    assert cache.length == 6
    torch.testing.assert_close(torch.cat(outputs, dim=1), layer(x, mask=causal_mask(6, 6)))


def test_multi_head_attention__cross_attention_with_a_cache__reads_the_memory_of_the_first_call():
    layer = MultiHeadAttention(8, 2).double()
    x, memory = torch.randn(3, 6, 8, dtype=torch.float64), torch.randn(3, 4, 8, dtype=torch.float64)
    rotations = {"query_rotation": rotary(torch.arange(6), 4), "key_rotation": rotary(torch.arange(4), 4)}
    cache = KeyValueCache()
    expected = layer(x, memory, **rotations)
    for given in (memory, torch.zeros_like(memory)):
        torch.testing.assert_close(layer(x, given, **rotations, cache=cache), expected)
        assert cache.length == 4


def test_to_windows__shifted__has_zeros_at_both_ends():
    x = torch.arange(1, 8).expand(2, 7)
    assert to_windows(x, 3).tolist() == [[1, 2, 3], [4, 5, 6], [7, 0, 0]] * 2
    assert to_windows(x, 3, shift=1).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 0]] * 2


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("n_tokens", [1, 2, 3, 4, 11, 12])
def test_from_windows__any_windows__gives_the_tokens_back(n_tokens, shift):
    x = torch.randn(2, n_tokens, 5)
    assert torch.equal(from_windows(to_windows(x, 3, shift), n_tokens, shift), x)


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("n_tokens", [1, 4, 6, 13])
def test_windowed_attention__any_windows__is_attention_masked_across_their_borders(n_tokens, padded, shift):
    layer = MultiHeadAttention(8, 2).double()
    x = torch.randn(2, n_tokens, 8, dtype=torch.float64)
    window = (torch.arange(n_tokens) + shift) // 4
    observed = torch.rand(2, n_tokens) < 0.6 if padded else torch.ones(2, n_tokens, dtype=torch.bool)
    observed[0, 1:2] = False
    rotations = {"query_rotation": rotary(torch.arange(n_tokens), 4), "key_rotation": rotary(torch.arange(n_tokens), 4)}
    rotation = rotary(torch.arange(4), 4)
    with record_attention(layer) as weights:
        expected = layer(x, mask=(window[:, None] == window) & observed[:, None, None], **rotations)
        output = WindowedAttention(layer, 4, shift)(
            x, mask=padding_mask(observed), query_rotation=rotation, key_rotation=rotation
        )
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=1e-6)


def test_windowed_attention__longer_series__costs_linearly_more():
    layer = WindowedAttention(MultiHeadAttention(8, 2), 16, shift=8)

    def operations(n_tokens: int) -> int:
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(1, n_tokens, 8))
        return counter.get_total_flops()

    assert operations(4096) <= 4.1 * operations(1024)


def test_key_value_cache__selected_cases__go_on_as_if_they_had_been_alone():
    layer = MultiHeadAttention(8, 2).double()
    x, more = torch.randn(3, 4, 8, dtype=torch.float64), torch.randn(3, 2, 8, dtype=torch.float64)
    cache, index = KeyValueCache(), torch.tensor([2, 0, 2])
    layer(x, mask=causal_mask(4, 4), cache=cache)
    cache.select(index)
    expected = layer(torch.cat([x[index], more], dim=1), mask=causal_mask(6, 6))[:, 4:]
    torch.testing.assert_close(layer(more, mask=causal_mask(2, 6), cache=cache), expected)


def test_record_attention__after_the_block_or_an_error__records_no_more():
    layer = MultiHeadAttention(8, 2)
    x = torch.randn(1, 5, 8)
    with record_attention(layer) as weights:
        layer(x)
    layer(x)
    with pytest.raises(RuntimeError), record_attention(layer) as failed:
        layer(x[..., :3])
    layer(x)
    assert (len(weights), len(failed)) == (1, 0)
