"""The decoder: cached steps equal teacher forcing, no step sees a later one, and it is torch's by copied weights."""

import pytest
import torch
from torch import nn

from tsformer.models.decoder import TransformerDecoder

PAPER = {"d_model": 512, "n_heads": 8, "n_layers": 6, "d_ff": 2048}
SMALL = {"d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 32}


def decoder(**changes) -> TransformerDecoder:
    torch.manual_seed(0)
    return TransformerDecoder(**(SMALL | changes)).double().eval()


def series(n_cases: int = 3, n_targets: int = 7, n_memory: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_cases, n_targets, 16, generator=generator, dtype=torch.float64)
    return x, torch.randn(n_cases, n_memory, 16, generator=generator, dtype=torch.float64)


variants = pytest.mark.parametrize(
    "changes",
    [{}, {"rotary": True}, {"norm_first": True, "final_norm": True, "activation": "gelu", "rotary": True}],
    ids=["paper", "rotary", "pre-norm"],
)


def test_decoder__of_the_paper__has_its_number_of_parameters():
    assert sum(p.numel() for p in TransformerDecoder(**PAPER).parameters()) == 25_224_192


@variants
@pytest.mark.parametrize("n_cases", [1, 3])
@pytest.mark.parametrize("chunk", [1, 3])
def test_decoder__with_a_cache__equals_teacher_forcing_at_every_step(changes, n_cases, chunk):
    model = decoder(**changes)
    x, memory = series(n_cases)
    token_mask = torch.arange(5) < torch.tensor([[5], [3], [1]])[:n_cases]
    mask = token_mask[:, None, None, :]
    expected = model(x, memory, memory_mask=mask)
    cache = model.new_cache()
    steps = [model(part, memory, memory_mask=mask, cache=cache) for part in x.split(chunk, dim=1)]
    torch.testing.assert_close(torch.cat(steps, dim=1), expected, atol=1e-9, rtol=0)
    assert cache.length == 7


def test_decoder__memory_changed_after_the_first_step__is_not_read_again():
    """Keys and values of the memory are projected once."""
    model = decoder()
    x, memory = series()
    cache = model.new_cache()
    model(x[:, :1], memory, cache=cache)
    torch.testing.assert_close(model(x[:, 1:2], memory + 1.0, cache=cache), model(x[:, :2], memory)[:, 1:])


@variants
def test_decoder__later_targets__have_exactly_no_influence(changes):
    model = decoder(**changes)
    x, memory = series()
    x.requires_grad_()
    factor = torch.randn(16, generator=torch.Generator().manual_seed(2))  # the sum of a LayerNorm is constant
    for step in range(7):
        (gradient,) = torch.autograd.grad((model(x, memory)[:, step] * factor).sum(), x)
        assert (gradient[:, step + 1 :] == 0.0).all()
        assert (gradient[:, : step + 1] != 0.0).any(dim=-1).all()


def test_decoder__hidden_memory__changes_nothing():
    model = decoder(rotary=True)
    x, memory = series()
    mask = (torch.arange(5) < 3)[None, None, None, :]
    expected = model(x, memory, memory_mask=mask)
    memory[:, 3:] = 99.0
    torch.testing.assert_close(model(x, memory, memory_mask=mask), expected)


def test_decoder__rotary__continues_from_the_memory():
    """Shifting memory and targets together changes nothing; shifting the memory alone does."""
    model = decoder(rotary=True)
    x, memory = series()
    near = model(x, memory)
    torch.testing.assert_close(model(x, memory, memory_positions=torch.arange(-5, 0)), near)
    assert (model(x, memory, memory_positions=torch.arange(-9, -4)) - near).abs().max() > 1e-4


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_decoder__weights_copied__equals_torch(norm_first, activation):
    ours = decoder(norm_first=norm_first, activation=activation)
    layer = nn.TransformerDecoderLayer(16, 2, 32, 0.0, activation, batch_first=True, norm_first=norm_first)
    reference = nn.TransformerDecoder(layer, 2).double().eval()
    for block, theirs in zip(ours.blocks, reference.layers, strict=True):
        for attention, other in [
            (block.self_attention, theirs.self_attn),
            (block.cross_attention, theirs.multihead_attn),
        ]:
            other.in_proj_weight.data = attention.projection.weight.data
            other.in_proj_bias.data = attention.projection.bias.data
            other.out_proj.load_state_dict(attention.output.state_dict())
        theirs.linear1.load_state_dict(block.feed_forward[0].state_dict())
        theirs.linear2.load_state_dict(block.feed_forward[3].state_dict())
        for i, residual in enumerate(block.residuals, start=1):
            residual.norm.weight.data.normal_()
            getattr(theirs, f"norm{i}").load_state_dict(residual.norm.state_dict())
    x, memory = series()
    token_mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    expected = reference(
        x,
        memory,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64),
        memory_key_padding_mask=torch.zeros(3, 5, dtype=torch.float64).masked_fill(~token_mask, -torch.inf),
    )
    torch.testing.assert_close(ours(x, memory, memory_mask=token_mask[:, None, None, :]), expected)
