"""Blocks: equal to torch's own encoder, normalised case by case, with branches dropped as they say."""

import pytest
import torch
from torch import nn

from tsformer.layers.attention import MultiHeadAttention, causal_mask, padding_mask
from tsformer.layers.blocks import (
    DecoderBlock,
    EncoderStack,
    FeedForward,
    Residual,
    StochasticDepth,
    initialise_weights,
)

OBSERVED = torch.tensor([[True] * 6, [True, True, True, False, True, False]])


def copy_encoder(reference: nn.TransformerEncoder, stack: EncoderStack) -> None:
    """Give our stack the weights of torch's."""
    for theirs, ours in zip(reference.layers, stack.blocks, strict=True):
        attention = {"weight": theirs.self_attn.in_proj_weight, "bias": theirs.self_attn.in_proj_bias}
        ours.self_attention.projection.load_state_dict(attention)
        ours.self_attention.output.load_state_dict(theirs.self_attn.out_proj.state_dict())
        ours.feed_forward[0].load_state_dict(theirs.linear1.state_dict())
        ours.feed_forward[-1].load_state_dict(theirs.linear2.state_dict())
        ours.residuals[0].norm.load_state_dict(theirs.norm1.state_dict())
        ours.residuals[1].norm.load_state_dict(theirs.norm2.state_dict())
    if reference.norm is not None:
        stack.norm.load_state_dict(reference.norm.state_dict())


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_stack__copied_weights__equals_torch(norm_first, activation, padded):
    layer = nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0.0, activation=activation, norm_first=norm_first, batch_first=True
    )
    norm = nn.LayerNorm(12) if norm_first else None
    reference = nn.TransformerEncoder(layer, 2, norm=norm, enable_nested_tensor=False).double()
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.5)
    stack = EncoderStack(12, 3, 2, 20, activation=activation, norm_first=norm_first, final_norm=norm_first).double()
    copy_encoder(reference, stack)
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    output = stack(x, padding_mask(OBSERVED) if padded else None)
    torch.testing.assert_close(output, reference(x, src_key_padding_mask=~OBSERVED if padded else None))


@pytest.mark.parametrize("norm_first", [False, True])
def test_decoder_block__copied_weights__equals_torch(norm_first):
    reference = nn.TransformerDecoderLayer(12, 3, 20, dropout=0.0, norm_first=norm_first, batch_first=True).double()
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.5)
    attentions = [MultiHeadAttention(12, 3) for _ in range(2)]
    block = DecoderBlock(*attentions, FeedForward(12, 20), 12, norm_first=norm_first).double()
    for theirs, ours in zip((reference.self_attn, reference.multihead_attn), attentions, strict=True):
        ours.projection.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
        ours.output.load_state_dict(theirs.out_proj.state_dict())
    block.feed_forward[0].load_state_dict(reference.linear1.state_dict())
    block.feed_forward[-1].load_state_dict(reference.linear2.state_dict())
    for theirs, ours in zip((reference.norm1, reference.norm2, reference.norm3), block.residuals, strict=True):
        ours.norm.load_state_dict(theirs.state_dict())
    x, memory = torch.randn(2, 4, 12, dtype=torch.float64), torch.randn(2, 6, 12, dtype=torch.float64)
    expected = reference(x, memory, tgt_mask=~causal_mask(4, 4), memory_key_padding_mask=~OBSERVED)
    torch.testing.assert_close(block(x, memory, mask=causal_mask(4, 4), memory_mask=padding_mask(OBSERVED)), expected)


def test_encoder_stack__base_model_of_the_paper__has_18_914_304_parameters():
    with torch.device("meta"):
        stack = EncoderStack(d_model=512, n_heads=8, n_layers=6, d_ff=2048)
    assert sum(parameter.numel() for parameter in stack.parameters()) == 18_914_304


def test_encoder_stack__tokens_in_another_order__come_out_in_that_order_unless_rotary():
    x, order = torch.randn(1, 6, 8), torch.tensor([3, 1, 5, 0, 2, 4])
    for rotary in (False, True):
        stack = EncoderStack(8, 2, 2, 16, rotary=rotary)
        assert torch.allclose(stack(x[:, order]), stack(x)[:, order], atol=1e-5) != rotary


def test_encoder_stack__another_case_changed__changes_nothing():
    stack = EncoderStack(8, 2, 2, 16).double()
    x = torch.randn(3, 6, 8, dtype=torch.float64)
    other = x.clone()
    other[1:] = 1000.0 * torch.randn(2, 6, 8)
    torch.testing.assert_close(stack(other)[0], stack(x)[0])


def test_encoder_stack__post_norm__leaves_each_token_with_mean_0_and_std_1():
    tokens = EncoderStack(8, 2, 2, 16)(100.0 * torch.randn(3, 6, 8) + 50.0)
    torch.testing.assert_close(tokens.mean(dim=-1), torch.zeros(3, 6), rtol=0, atol=1e-5)
    torch.testing.assert_close(tokens.std(dim=-1, correction=0), torch.ones(3, 6), rtol=0, atol=1e-3)


@pytest.mark.parametrize("how", [{"dropout": 0.5}, {"stochastic_depth": 0.5}])
def test_encoder_stack__dropout_or_stochastic_depth__acts_in_training_only(how):
    stack = EncoderStack(8, 2, 2, 16, **how)
    x = torch.randn(4, 6, 8)
    assert not torch.equal(stack(x), stack(x))
    stack.eval()
    assert torch.equal(stack(x), stack(x))


def test_residual__branch_of_zeros__is_the_norm_of_x_or_x_itself():
    x = torch.randn(2, 5, 8)
    post_norm, pre_norm = (
        Residual(8, norm_first=norm_first, dropout=0.0, stochastic_depth=0.0) for norm_first in (False, True)
    )
    torch.testing.assert_close(post_norm(x, torch.zeros_like), nn.functional.layer_norm(x, (8,)))
    assert torch.equal(pre_norm(x, torch.zeros_like), x)


def test_residual__dropout_of_a_half__zeroes_half_of_the_branch_and_doubles_the_rest():
    residual = Residual(8, norm_first=True, dropout=0.5, stochastic_depth=0.0)
    added = residual(torch.zeros(50, 10, 8), torch.ones_like)
    assert set(added.unique().tolist()) == {0.0, 2.0}
    assert 0.9 < added.mean() < 1.1


def test_stochastic_depth__training__drops_whole_cases_and_keeps_the_mean():
    branch = StochasticDepth(0.25)(torch.ones(2000, 3, 2))
    assert (branch == branch[:, :1, :1]).all()
    torch.testing.assert_close(branch.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert 0.95 < branch.mean() < 1.05


def test_stochastic_depth__eval__passes_the_branch_on():
    branch = torch.randn(20, 3, 2)
    assert torch.equal(StochasticDepth(0.9).eval()(branch), branch)


def test_feed_forward__tokens__do_not_see_each_other():
    feed_forward = FeedForward(8, 16, activation="gelu")
    tokens = torch.randn(2, 5, 8)
    torch.testing.assert_close(feed_forward(tokens)[:, 2], feed_forward(tokens[:, 2]))


def test_feed_forward__unknown_activation__names_the_known_ones():
    with pytest.raises(ValueError, match=r"'activation' parameter .*gelu.*relu.* Got 'silu' instead"):
        FeedForward(8, 16, activation="silu")


def test_initialise_weights__network__has_xavier_weights_zero_biases_and_scaled_embeddings():
    linear, embedding = nn.Linear(30, 50), nn.Embedding(200, 16)
    initialise_weights(nn.Sequential(nn.Sequential(linear), nn.Linear(4, 4, bias=False), embedding))
    bound = (6 / (30 + 50)) ** 0.5
    assert 0.95 * bound < linear.weight.abs().max() <= bound
    assert (linear.bias == 0.0).all()
    assert 0.9 < embedding.weight.std() * 16**0.5 < 1.1
