"""The contract of tsformer.models.encoders, held against every entry of ENCODERS and some of their settings."""

from functools import partial

import pytest
import torch
from torch import nn

from tsformer.data.batch import Batch, Minibatches
from tsformer.layers.attention import record_attention
from tsformer.layers.blocks import StochasticDepth
from tsformer.layers.embeddings import ObservedBatchNorm
from tsformer.layers.pooling import MeanPooling
from tsformer.layers.scaling import ChannelScaler
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.conv_stem import ConvStemEncoder
from tsformer.models.encoders.gated_two_tower import GatedTwoTowerEncoder
from tsformer.models.encoders.shifted_window import ShiftedWindowEncoder
from tsformer.models.encoders.transformer import TransformerEncoder
from tsformer.training.loop import evaluate, train
from tsformer.training.objectives import classification
from tsformer.training.optim import adamw, constant

BUILDERS = ENCODERS | {
    "conv_stem, strided": partial(ConvStemEncoder, max_tokens=6),
    "conv_stem, strided twice": partial(ConvStemEncoder, max_tokens=4, fine_timepoints=12),
    "gated_two_tower, few segments": partial(GatedTwoTowerEncoder, n_segments=5),
    "shifted_window, narrow windows": partial(
        ShiftedWindowEncoder, stride=1, window=3, n_stages=3, stochastic_depth=0.0
    ),
    "transformer, pre-norm, rotary": partial(TransformerEncoder, norm_first=True, positions="rotary"),
}
N_CHANNELS, N_TIMEPOINTS, D_MODEL, N_HEADS, N_LAYERS = 2, 24, 16, 2, 2


@pytest.fixture(params=BUILDERS)
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    """In float64, so that nothing but an error can make a difference."""
    build = BUILDERS[request.param]
    shape = {"d_model": D_MODEL, "n_heads": N_HEADS, "n_layers": N_LAYERS, "d_ff": 24}
    encoder = build(N_CHANNELS, N_TIMEPOINTS, **shape, dropout=0.0).double()
    for module in encoder.modules():
        if isinstance(module, ObservedBatchNorm):  # as after training: an untrained norm does nothing
            module.running_mean.uniform_(-1.0, 1.0)
            module.running_var.uniform_(0.5, 2.0)
    return encoder.eval()


def random_series(n_timepoints: int = N_TIMEPOINTS) -> tuple[torch.Tensor, torch.Tensor]:
    """Five cases: whole, of half length, with gaps in single channels, with gaps in all, of one value."""
    x = torch.randn(5, n_timepoints, N_CHANNELS, dtype=torch.float64)
    observed = torch.ones_like(x, dtype=torch.bool)
    observed[1, max(1, n_timepoints // 2) :] = False
    observed[2] = torch.rand(n_timepoints, N_CHANNELS) < 0.7
    observed[3] = torch.rand(n_timepoints, 1) < 0.3
    observed[4] = False
    observed[2:, 0, 1] = True
    return x.masked_fill(~observed, 0.0), observed


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n_timepoints", [1, 2, N_TIMEPOINTS - 5, N_TIMEPOINTS, 3 * N_TIMEPOINTS])
def test_encoder__any_length__gives_tokens_of_width_d_model_and_a_mask_that_shows_every_case(encoder, n_timepoints):
    tokens, token_mask = encoder(*random_series(n_timepoints))
    assert tokens.shape == (5, token_mask.shape[1], D_MODEL)
    assert (token_mask.shape[0], token_mask.dtype) == (5, torch.bool)
    assert 1 <= token_mask.shape[1] <= n_timepoints
    assert token_mask[0].all()
    assert token_mask.any(dim=1).all()
    assert tokens.isfinite().all()


def test_encoder__hidden_values_set_to_99__change_nothing(encoder):
    x, observed = random_series()
    tokens, token_mask = encoder(x, observed)
    changed_tokens, changed_token_mask = encoder(x.masked_fill(~observed, 99.0), observed)
    assert torch.equal(changed_token_mask, token_mask)
    close(changed_tokens[token_mask], tokens[token_mask])


def test_encoder__hidden_values_set_to_99_in_training__change_nothing(encoder):
    x, observed = random_series()
    encoder.train()
    results = []
    for filled in (x, x.masked_fill(~observed, 99.0)):
        torch.manual_seed(0)
        results.append(encoder(filled, observed))
    (tokens, token_mask), (changed_tokens, _) = results
    close(changed_tokens[token_mask], tokens[token_mask])


def test_encoder__observed_value_changed__changes_its_case_and_no_other(encoder):
    x, observed = random_series()
    tokens, _ = encoder(x, observed)
    x[0, 3, 1] += 1.0
    changed, _ = encoder(x, observed)
    assert not torch.allclose(changed[0], tokens[0], atol=1e-3)
    close(changed[1:], tokens[1:])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("n_more", [1, 7, 50])
def test_encoder__more_padding__changes_nothing_on_observed_tokens(encoder, n_more, training):
    encoder.train(training)
    for module in encoder.modules():
        if isinstance(module, StochasticDepth):
            module.rate = 0.0
    x, observed = random_series()
    tokens, token_mask = encoder(x, observed)
    padding = torch.zeros(5, n_more, N_CHANNELS, dtype=torch.bool)
    longer_tokens, longer_token_mask = encoder(
        torch.cat([x, torch.full(padding.shape, 99.0, dtype=x.dtype)], dim=1), torch.cat([observed, padding], dim=1)
    )
    assert torch.equal(longer_token_mask.sum(dim=1), token_mask.sum(dim=1))
    close(longer_tokens[longer_token_mask], tokens[token_mask])


def test_encoder__a_batch_of_one__equals_a_row_of_a_batch_without_its_padding(encoder):
    data = Batch(*random_series())
    tokens, token_mask = encoder(data.x, data.observed)
    for case in range(5):
        alone = data.select(torch.tensor([case]))
        tokens_alone, token_mask_alone = encoder(alone.x, alone.observed)
        close(tokens_alone[token_mask_alone], tokens[case, token_mask[case]])


def test_encoder__time_reversed__is_not_the_same_series(encoder):
    x = torch.randn(1, N_TIMEPOINTS, N_CHANNELS, dtype=torch.float64)
    observed = torch.ones_like(x, dtype=torch.bool)
    forth, back = encoder(x, observed)[0].mean(dim=1), encoder(x.flip(1), observed)[0].mean(dim=1)
    assert not torch.allclose(forth, back, atol=1e-4)


def test_encoder__training__every_parameter_gets_a_gradient(encoder):
    encoder.train()
    for _ in range(5):  # stochastic depth can drop a branch for all cases of one pass
        tokens, _ = encoder(*random_series())
        (tokens * torch.randn_like(tokens)).sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9]
    assert without == []


def test_encoder__dropout__acts_in_training_only():
    for build in ENCODERS.values():
        encoder = build(2, 10, d_model=16, n_heads=2, n_layers=1, d_ff=24, dropout=0.5)
        x = torch.randn(3, 10, 2)
        observed = torch.ones_like(x, dtype=torch.bool)
        assert not torch.equal(encoder(x, observed)[0], encoder(x, observed)[0])
        encoder.eval()
        assert torch.equal(encoder(x, observed)[0], encoder(x, observed)[0])


def test_record_attention__any_encoder__gives_weights_of_each_layer_that_sum_to_one(encoder):
    x, observed = random_series()
    with record_attention(encoder) as layers:
        encoder(x, observed)
    n_recorded = len(layers)
    assert n_recorded > 0
    assert n_recorded % N_LAYERS == 0  # each of several towers or stages has N_LAYERS
    for weights in layers:
        n_tokens = weights.shape[-1]
        assert weights.shape == (5, N_HEADS, n_tokens, n_tokens)
        token_mask = weights.any(dim=-2)  # (B, H, N): what any token looks at is no padding, and looks at something
        close(weights.sum(dim=-1)[token_mask], torch.ones(int(token_mask.sum()), dtype=torch.float64))
        assert (weights.sum(dim=-1) <= 1.0 + 1e-9).all()
    encoder(x, observed)
    assert len(layers) == n_recorded


def test_record_attention__last_layer_over_time__hides_what_the_mask_of_the_tokens_hides(encoder):
    x, observed = random_series()
    with record_attention(encoder) as layers:
        tokens, token_mask = encoder(x, observed)
    over_time = [weights for weights in layers if weights.shape[-1] == tokens.shape[1]]
    assert over_time != []
    assert torch.equal(over_time[-1].any(dim=-2), token_mask[:, None].expand(-1, N_HEADS, -1))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
def test_encoder__one_batch__is_learned_by_heart(name):
    x, observed = random_series()
    data = Batch(torch.cat([x, -x]).float(), torch.cat([observed] * 2), torch.tensor([0, 1, 2, 0, 1, 2, 2, 1, 0, 2]))
    encoder = BUILDERS[name](2, N_TIMEPOINTS, d_model=16, n_heads=2, n_layers=2, d_ff=24, dropout=0.0)
    model = SeriesClassifier(ChannelScaler(2), None, None, encoder, MeanPooling(16), nn.Linear(16, 3))
    objective, batches = classification(), Minibatches(data, len(data), torch.Generator())
    optimizer = adamw(model, learning_rate=5e-3, weight_decay=0.0)
    history = train(model, objective, batches, optimizer, constant(150, 10), n_steps=150)
    assert history.loss[0] > 0.9
    assert evaluate(model, objective, batches, torch.device("cpu")) < 0.05


def test_encoder__bfloat16_autocast__gives_finite_tokens_and_gradients(encoder):
    encoder.float().train()
    x, observed = random_series()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens, _ = encoder(x.float(), observed)
        loss = tokens.square().mean()
    loss.backward()
    assert tokens.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())
