"""TransformerEncoder: the 2017 encoder on a series, and what its settings do."""

from functools import partial

import pytest
import torch
from torch import nn

from tsformer.models.encoders.transformer import TransformerEncoder

build = partial(TransformerEncoder, 2, 10, d_model=12, n_heads=3, n_layers=2, d_ff=20, dropout=0.0)


def test_transformer_encoder__defaults__are_torchs_encoder_on_embedded_series_with_the_papers_positions():
    encoder = build().double()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    layer = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True)
    reference = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()
    for theirs, ours in zip(reference.layers, encoder.stack.blocks, strict=True):
        theirs.self_attn.in_proj_weight.data = ours.self_attention.projection.weight.data
        theirs.self_attn.in_proj_bias.data = ours.self_attention.projection.bias.data
        theirs.self_attn.out_proj = ours.self_attention.output
        theirs.linear1, theirs.linear2 = ours.feed_forward[0], ours.feed_forward[-1]
        theirs.norm1, theirs.norm2 = (residual.norm for residual in ours.residuals)
    x = torch.randn(3, 7, 2, dtype=torch.float64)
    observed = (torch.arange(7) < torch.tensor([7, 5, 1])[:, None]).unsqueeze(-1).expand_as(x)
    angles = torch.arange(7)[:, None] / 10_000 ** (torch.arange(0, 12, 2) / 12)
    positions = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    embedded = nn.functional.linear(x * observed, encoder.embedding.weight, encoder.embedding.bias)
    expected = reference(embedded + positions, src_key_padding_mask=~observed[..., 0])
    tokens, token_mask = encoder(x, observed)
    torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-5)
    assert torch.equal(token_mask, observed[..., 0])


def test_transformer_encoder__learned_positions__refuse_a_longer_series_and_name_both_lengths():
    encoder = build(positions="learned")
    for n_timepoints in (1, 10):
        assert encoder(torch.randn(1, n_timepoints, 2), torch.ones(1, n_timepoints, 2).bool())[0].isfinite().all()
    with pytest.raises(ValueError, match=r"at most 10 tokens\. Got 11;"):
        encoder(torch.randn(1, 11, 2), torch.ones(1, 11, 2).bool())


def test_transformer_encoder__unknown_positions__names_the_known_ones():
    with pytest.raises(ValueError, match=r"\['learned', 'rotary', 'sinusoidal'\]\. Got 'relative' instead"):
        build(positions="relative")


def test_transformer_encoder__rotary_positions__see_differences_only():
    encoder = build(positions="rotary").double().eval()
    x = torch.randn(1, 6, 2, dtype=torch.float64)
    observed = torch.ones_like(x, dtype=torch.bool)
    later = torch.cat([torch.zeros(1, 9, 2), x], dim=1)
    tokens, _ = encoder(later, torch.cat([torch.zeros(1, 9, 2).bool(), observed], dim=1))
    torch.testing.assert_close(tokens[:, 9:], encoder(x, observed)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("how", [{"norm_first": True}, {"activation": "gelu"}, {"positions": "rotary"}])
def test_transformer_encoder__each_setting__changes_the_tokens_of_the_same_weights(how):
    encoder, other = build(), build(**how)
    other.load_state_dict(encoder.state_dict(), strict=False)
    x = torch.randn(1, 6, 2)
    observed = torch.ones_like(x, dtype=torch.bool)
    assert not torch.allclose(encoder(x, observed)[0], other(x, observed)[0], atol=1e-3)
