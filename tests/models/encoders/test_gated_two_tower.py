"""GatedTwoTowerEncoder: what its gate, its towers and its joined tokens do."""

from functools import partial

import pytest
import torch
from torch import Tensor

from tsformer.layers.attention import record_attention
from tsformer.models.encoders.gated_two_tower import GatedTwoTowerEncoder

N_CHANNELS, N_TIMEPOINTS = 3, 40
build = partial(GatedTwoTowerEncoder, N_CHANNELS, N_TIMEPOINTS, d_model=16, n_heads=2, n_layers=2, d_ff=24, dropout=0.0)


@pytest.fixture
def encoder() -> GatedTwoTowerEncoder:
    return build().double().eval()


def random_series(n_cases: int = 4) -> tuple[Tensor, Tensor]:
    x = torch.randn(n_cases, N_TIMEPOINTS, N_CHANNELS, dtype=torch.float64)
    return x, torch.ones_like(x, dtype=torch.bool)


def parts(encoder: GatedTwoTowerEncoder, x: Tensor, observed: Tensor) -> dict[str, Tensor]:
    """What the gate and the towers return while the encoder reads x, and its tokens."""
    outputs = {}
    hooks = [
        encoder.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: outputs.update({name: output})
        )
        for name in ("gate", "step_tower", "channel_tower")
    ]
    outputs["tokens"] = encoder(x, observed)[0]
    for hook in hooks:
        hook.remove()
    return outputs


def test_gate__any_series__sums_to_one_and_differs_from_case_to_case(encoder):
    gate = parts(encoder, *random_series())["gate"]
    assert gate.shape == (4, 2)
    torch.testing.assert_close(gate.sum(dim=1), torch.ones(4, dtype=torch.float64))
    assert ((gate > 0.0) & (gate < 1.0)).all()
    assert gate[:, 0].std() > 1e-3


@pytest.mark.parametrize(("tower", "other"), [("step_tower", "channel_tower"), ("channel_tower", "step_tower")])
def test_gate__pushed_to_one_tower__silences_the_other(encoder, tower, other):
    chosen = ["step_tower", "channel_tower"].index(tower)
    encoder.gate[0].bias.data[chosen] = 1e3
    x, observed = random_series()
    tokens = parts(encoder, x, observed)["tokens"]
    for name, changes in ((other, False), (tower, True)):
        for parameter in encoder.get_submodule(name).parameters():
            parameter.data += 0.5 * torch.randn_like(parameter)
        assert torch.allclose(encoder(x, observed)[0], tokens, atol=1e-9) != changes


def test_tokens__each_of_time__are_the_papers_gated_concatenation_brought_to_d_model(encoder):
    x, observed = random_series()
    observed[1, :, 2] = False
    found = parts(encoder, x, observed)
    steps = found["gate"][:, :1, None] * found["step_tower"]
    summary = found["channel_tower"].mean(dim=1)
    summary[1] = found["channel_tower"][1, :2].mean(dim=0)  # a channel without values does not count
    channels = found["gate"][:, 1:] * summary
    expected = encoder.join(torch.cat([steps, channels[:, None].repeat(1, steps.shape[1], 1)], dim=-1))
    torch.testing.assert_close(found["tokens"], expected)


def test_channel_tower__channels_in_another_order__gives_their_tokens_in_that_order(encoder):
    x, observed = random_series()
    x[0, 25:], observed[0, 25:] = 0.0, False
    order = [2, 0, 1]
    tokens = parts(encoder, x, observed)["channel_tower"]
    torch.testing.assert_close(parts(encoder, x[..., order], observed)["channel_tower"], tokens[:, order])
    assert not torch.allclose(tokens[:, 0], tokens[:, 1], atol=1e-3)


def test_channel_tower__a_channel_without_values__is_looked_at_by_none(encoder):
    x, observed = random_series()
    observed[1, :, 2] = False
    with record_attention(encoder) as layers:
        encoder(x, observed)
    over_channels = [weights for weights in layers if weights.shape[-1] == N_CHANNELS]
    assert len(over_channels) == 2
    for weights in over_channels:
        assert (weights[1, :, :, 2] == 0.0).all()
        assert (weights[0] > 0.0).all()


def test_channel_tower__one_channel_changed__changes_what_another_becomes(encoder):
    x, observed = random_series()
    tokens = parts(encoder, x, observed)["channel_tower"]
    x[..., 0] += torch.linspace(-2.0, 2.0, N_TIMEPOINTS)
    assert not torch.allclose(parts(encoder, x, observed)["channel_tower"][:, 1], tokens[:, 1], atol=1e-3)


@pytest.mark.parametrize("n_timepoints", [63, 1000, 1025, 18_000])
def test_gated_two_tower_encoder__long_series__has_at_most_64_tokens(n_timepoints):
    encoder = GatedTwoTowerEncoder(1, n_timepoints, d_model=8, n_heads=2, n_layers=1, d_ff=8, dropout=0.0)
    x = torch.randn(1, n_timepoints, 1)
    assert 32 <= encoder(x, torch.ones_like(x, dtype=torch.bool))[0].shape[1] <= 64
