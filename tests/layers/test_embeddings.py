"""Embeddings: how many tokens, which are observed, and statistics that hidden positions do not touch."""

import math

import pytest
import torch
from torch import nn

from tsformer.layers.embeddings import (
    MOST_CHANNELS,
    ChannelEmbedding,
    ChannelMixing,
    ConvolutionalEmbedding,
    LinearEmbedding,
    ObservedBatchNorm,
    PatchEmbedding,
    TokenEmbedding,
    bounded_strides,
    segment_means,
)


def random_series(n_timepoints: int, n_channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Four cases of which most values are missing, with their mask."""
    x = torch.randn(4, n_timepoints, n_channels)
    observed = torch.rand(4, n_timepoints, n_channels) < 0.15
    observed[:, 0] = True
    return x, observed


def test_token_embedding__numbers__are_rows_scaled_by_sqrt_d_model():
    embedding = TokenEmbedding(7, 16)
    tokens = torch.tensor([[0, 6, 3], [3, 3, 1]])
    torch.testing.assert_close(embedding(tokens), embedding.weight[tokens] * 4.0)


def test_linear_embedding__hidden_values__count_as_zero():
    x, observed = random_series(10)
    embedding = LinearEmbedding(2, 8)
    tokens, token_mask = embedding(x, observed)
    torch.testing.assert_close(tokens, nn.functional.linear(x * observed, embedding.weight, embedding.bias))
    assert torch.equal(token_mask, observed[..., 0] | observed[..., 1])


@pytest.mark.parametrize("n_timepoints", [1, 7, 8, 9])
def test_patch_embedding__any_length__has_a_token_for_each_patch_of_its_values_and_mask(n_timepoints):
    x, observed = random_series(n_timepoints)
    embedding = PatchEmbedding(2, 10, patch_length=4)
    tokens, token_mask = embedding(x, observed)
    parts = list(zip(x.split(4, dim=1), observed.split(4, dim=1), strict=True))
    assert tokens.shape == (4, len(parts), 10)
    assert torch.equal(token_mask, torch.stack([known.any(dim=2).any(dim=1) for _, known in parts], dim=1))
    values, known = (nn.functional.pad(part, (0, 0, 0, 4 - part.shape[1])) for part in parts[-1])
    patch = torch.cat([values * known, known], dim=-1).flatten(1)
    torch.testing.assert_close(tokens[:, -1], embedding.linear(patch))


def test_channel_mixing__few_channels__are_left_as_they_are_and_have_no_weights():
    x, observed = random_series(10, MOST_CHANNELS)
    mixing = ChannelMixing(MOST_CHANNELS, 16)
    assert mixing.n_channels == MOST_CHANNELS
    assert not list(mixing.parameters())
    values, mask = mixing(x, observed)
    assert torch.equal(values, torch.where(observed, x, 0.0))
    assert torch.equal(mask, observed)


@pytest.mark.parametrize("d_model", [16, 100])
def test_channel_mixing__many_channels__become_fewer_sums_observed_where_any_is(d_model):
    x, observed = random_series(10, 150)
    observed[1, 4:] = False
    mixing = ChannelMixing(150, d_model)
    values, mask = mixing(x.masked_fill(~observed, 99.0), observed)
    assert values.shape == mask.shape == (4, 10, max(MOST_CHANNELS, d_model)) == (4, 10, mixing.n_channels)
    torch.testing.assert_close(values, torch.where(observed, x, 0.0) @ mixing.linear.weight.T)
    assert torch.equal(mask, observed.any(dim=-1, keepdim=True).expand_as(values))
    assert (values[1, 4:] == 0.0).all()


@pytest.mark.parametrize("n_timepoints", [1, 2, 5, 9, 10, 40])
def test_segment_means__all_observed__are_torchs_adaptive_pooling(n_timepoints):
    x = torch.randn(3, n_timepoints, 2, dtype=torch.float64)
    means, observed = segment_means(x, torch.ones_like(x, dtype=torch.bool), 5)
    expected = nn.functional.adaptive_avg_pool1d(x.transpose(1, 2), 5).transpose(1, 2)
    torch.testing.assert_close(means, expected)
    assert observed.all()


def test_segment_means__missing_values_and_padding__count_the_observed_of_the_series_own_length():
    x = torch.tensor([1.0, 99.0, 5.0, 7.0, 99.0, 99.0, 2.0, 4.0, 99.0, 99.0])[None, :, None]
    means, observed = segment_means(x, x != 99.0, 4)  # segments of two of the eight time points
    assert means.flatten().tolist() == [1.0, 6.0, 0.0, 3.0]
    assert observed.flatten().tolist() == [True, True, False, True]
    nothing, observed = segment_means(x, torch.zeros_like(x, dtype=torch.bool), 4)
    assert not nothing.any()
    assert not observed.any()


def test_channel_embedding__channels__are_one_linear_map_of_their_course_and_what_is_missing():
    x, observed = random_series(10, n_channels=3)
    observed[1, :, 2] = False
    embedding = ChannelEmbedding(8, n_segments=4)
    tokens, channel_mask = embedding(x, observed)
    means, observed = segment_means(x, observed, 4)
    torch.testing.assert_close(tokens[:, 1], embedding.linear(torch.cat([means[..., 1], observed[..., 1]], dim=1)))
    assert torch.equal(channel_mask, observed.any(dim=1))
    assert not channel_mask[1, 2]


@pytest.mark.parametrize("n_timepoints", [1, 64, 65, 1024, 1025, 5000])
def test_bounded_strides__any_length__bounds_the_tokens_and_the_fine_length(n_timepoints):
    embedding = ConvolutionalEmbedding(1, 8, (3,), *bounded_strides(n_timepoints, max_tokens=64, fine_timepoints=1024))
    x = torch.randn(1, n_timepoints, 1)
    tokens, _ = embedding(x, torch.ones_like(x, dtype=torch.bool))
    assert min(n_timepoints, 32) <= tokens.shape[1] <= 64
    assert math.ceil(n_timepoints / embedding.coarse_stride) <= 1024


@pytest.mark.parametrize("n_timepoints", [1, 2, 11, 12, 13, 40])
@pytest.mark.parametrize(("stride", "coarse_stride"), [(1, 1), (3, 1), (1, 3), (2, 3), (3, 2)])
def test_convolutional_embedding__any_length__has_a_token_for_each_span_observed_when_any_value_is(
    n_timepoints, stride, coarse_stride
):
    x, observed = random_series(n_timepoints)
    tokens, token_mask = ConvolutionalEmbedding(2, 10, (3, 9), stride, coarse_stride)(x, observed)
    span = stride * coarse_stride
    n_tokens = math.ceil(n_timepoints / span)
    assert tokens.shape == (4, n_tokens, 10)
    expected = torch.stack([part.any(dim=2).any(dim=1) for part in observed.split(span, dim=1)], dim=1)
    assert torch.equal(token_mask, expected)


@pytest.mark.parametrize(("stride", "coarse_stride"), [(1, 1), (3, 2), (20, 1), (1, 20)])
def test_convolutional_embedding__any_value__reaches_a_token(stride, coarse_stride):
    """A kernel narrower than its stride would skip values."""
    x = torch.randn(1, 60, 1, dtype=torch.float64, requires_grad=True)
    embedding = ConvolutionalEmbedding(1, 8, (3, 5), stride, coarse_stride).double().eval()
    tokens, _ = embedding(x, torch.ones(1, 60, 1, dtype=torch.bool))
    (gradient,) = torch.autograd.grad((tokens * torch.randn_like(tokens)).sum(), x)
    assert (gradient != 0.0).all()


def test_convolutional_embedding__first_and_last_value_changed__changes_the_tokens_around_them_only():
    x = torch.randn(1, 60, 1)
    observed = torch.ones(1, 60, 1, dtype=torch.bool)
    embedding = ConvolutionalEmbedding(1, 8, (3, 5), stride=5).eval()
    tokens, _ = embedding(x, observed)
    x[:, 0], x[:, -1] = 9.0, -9.0
    changed = (embedding(x, observed)[0] != tokens).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [0, 1, 11]


def test_convolutional_embedding__fewer_features_than_kernels__still_embeds():
    x, observed = random_series(10)
    tokens, _ = ConvolutionalEmbedding(2, 2, (3, 9, 19, 39), stride=1)(x, observed)
    assert tokens.shape == (4, 10, 2)


@pytest.mark.parametrize("kernel_sizes", [(4,), (3, 8)])
def test_convolutional_embedding__even_kernel__is_refused(kernel_sizes):
    with pytest.raises(ValueError, match=r"kernel_sizes.* odd"):
        ConvolutionalEmbedding(2, 8, kernel_sizes, stride=1)


# ObservedBatchNorm


def with_reference(training: bool) -> tuple[ObservedBatchNorm, nn.BatchNorm1d]:
    """Ours and torch's with the same weights and statistics."""
    ours, reference = ObservedBatchNorm(3).train(training), nn.BatchNorm1d(3).train(training)
    for tensor in (*reference.parameters(), reference.running_mean, reference.running_var):
        nn.init.uniform_(tensor, 0.5, 2.0)
    ours.load_state_dict({name: reference.state_dict()[name] for name in ours.state_dict()})
    return ours, reference


def assert_same_statistics(ours: ObservedBatchNorm, reference: nn.BatchNorm1d) -> None:
    torch.testing.assert_close(ours.running_mean, reference.running_mean)
    torch.testing.assert_close(ours.running_var, reference.running_var)


@pytest.mark.parametrize("training", [True, False])
def test_observed_batch_norm__all_observed__equals_batch_norm(training):
    ours, reference = with_reference(training)
    for _ in range(2):
        x = 3.0 * torch.randn(4, 3, 6) + 1.0
        torch.testing.assert_close(ours(x, torch.ones(4, 6, dtype=torch.bool)), reference(x))
    assert_same_statistics(ours, reference)


@pytest.mark.parametrize("training", [True, False])
def test_observed_batch_norm__some_hidden__equals_batch_norm_of_the_others_and_zero_elsewhere(training):
    ours, reference = with_reference(training)
    x = 3.0 * torch.randn(4, 3, 6) + 1.0
    observed = torch.rand(4, 6) < 0.7
    hidden = ~observed.unsqueeze(1).expand_as(x)
    output = ours(x.masked_fill(hidden, 1e6), observed)
    assert (output[hidden] == 0.0).all()
    torch.testing.assert_close(output.transpose(1, 2)[observed], reference(x.transpose(1, 2)[observed]))
    assert_same_statistics(ours, reference)


def test_observed_batch_norm__some_hidden__has_the_gradients_of_batch_norm_of_the_others():
    ours, reference = (norm.double() for norm in with_reference(training=True))
    x = torch.randn(4, 3, 6, dtype=torch.float64, requires_grad=True)
    observed = torch.rand(4, 6) < 0.7
    factor = torch.randn(int(observed.sum()), 3)
    results = {
        ours: ours(x, observed).transpose(1, 2)[observed],
        reference: reference(x.transpose(1, 2)[observed]),
    }
    gradients = [
        torch.autograd.grad((output * factor).sum(), [x, norm.weight, norm.bias]) for norm, output in results.items()
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("n_tokens", [1, 5])
@pytest.mark.parametrize("n_observed", [0, 1])
def test_observed_batch_norm__too_few_positions_for_a_std__stays_finite(n_observed, n_tokens):
    """A batch of one case of one token, or whose last value an augmentation hid, must not end training."""
    norm = ObservedBatchNorm(3)
    observed = torch.arange(n_tokens)[None] < n_observed
    output = norm(torch.full((1, 3, n_tokens), 7.0), observed)
    assert output.isfinite().all()
    assert (output.transpose(1, 2)[~observed] == 0.0).all()
    assert norm.running_mean.isfinite().all()
    assert norm.running_var.isfinite().all()
