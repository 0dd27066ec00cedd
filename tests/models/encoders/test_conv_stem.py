"""ConvStemEncoder: its number of tokens, however long the series."""

import math

import pytest
import torch

from tsformer.models.encoders.conv_stem import ConvStemEncoder


def n_tokens(n_trained: int, n_timepoints: int, **how: int) -> int:
    encoder = ConvStemEncoder(1, n_trained, d_model=8, n_heads=2, n_layers=0, d_ff=8, dropout=0.0, **how)
    x = torch.randn(2, n_timepoints, 1)
    return encoder(x, torch.ones_like(x, dtype=torch.bool))[0].shape[1]


@pytest.mark.parametrize("n_timepoints", [1, 63, 64, 65, 1000, 1024, 1025, 5000])
def test_conv_stem_encoder__series_as_long_as_in_training__has_at_most_64_tokens(n_timepoints):
    assert min(n_timepoints, 32) <= n_tokens(n_timepoints, n_timepoints) <= 64


def test_conv_stem_encoder__longer_series__has_more_tokens_of_the_same_span():
    span = math.ceil(100 / 64)
    assert n_tokens(100, 100) == 100 / span
    assert n_tokens(100, 300) == 300 / span
    assert n_tokens(100, 3) == 2


@pytest.mark.parametrize(("max_tokens", "fine_timepoints"), [(10, 100), (10, 20), (7, 13)])
def test_conv_stem_encoder__settings__bound_the_tokens_and_the_fine_length(max_tokens, fine_timepoints):
    assert n_tokens(100, 100, max_tokens=max_tokens, fine_timepoints=fine_timepoints) <= max_tokens
    encoder = ConvStemEncoder(
        1, 100, d_model=8, n_heads=2, n_layers=0, d_ff=8, dropout=0.0, fine_timepoints=fine_timepoints
    )
    fine = encoder.embedding.scales[0](torch.randn(1, 1, 100))
    assert fine.shape[2] <= fine_timepoints


def test_conv_stem_encoder__odd_head_width__is_refused_with_the_remedy():
    x = torch.randn(1, 10, 1)
    with pytest.raises(ValueError, match="even head width"):
        ConvStemEncoder(1, 10, d_model=6, n_heads=2, n_layers=1, d_ff=8, dropout=0.0)(x, torch.ones_like(x).bool())
