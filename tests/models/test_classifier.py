"""SeriesClassifier: what is hidden does not matter, and augmentation is for training."""

import pytest
import torch
from torch import nn

from tsformer.data.augment import standard_augmentation
from tsformer.data.batch import Batch
from tsformer.layers.pooling import POOLINGS
from tsformer.layers.scaling import ChannelScaler, Chunks, FirstDifferences
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.encoders import ENCODERS


def random_batch() -> Batch:
    x = 10.0 * torch.randn(4, 15, 2) + 100.0
    observed = torch.rand(4, 15, 2) < 0.7
    observed[1, 6:] = False
    return Batch(x.masked_fill(~observed, 0.0), observed)


def whole(x: torch.Tensor, observed: torch.Tensor) -> Chunks:
    return lambda: [(x, observed)]


def build(encoder="conv_stem", *, pooling="mean", augment=None, with_differences=True) -> SeriesClassifier:
    data = random_batch()
    scaler = ChannelScaler(2).fit(whole(data.x, data.observed))
    differences = (
        FirstDifferences(2).fit(whole(scaler(data.x, data.observed), data.observed)) if with_differences else None
    )
    shape = {"d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
    network = ENCODERS[encoder](4 if with_differences else 2, 15, **shape, dropout=0.0)
    return SeriesClassifier(scaler, augment, differences, network, POOLINGS[pooling](8), nn.Linear(8, 3)).eval()


@pytest.mark.parametrize("with_differences", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_series_classifier__hidden_values_and_padding__change_nothing(encoder, pooling, with_differences):
    model = build(encoder, pooling=pooling, with_differences=with_differences).double()
    data = random_batch()
    logits = model(data.x, data.observed)
    assert logits.shape == (4, 3)
    padding = torch.zeros(4, 9, 2)
    longer = torch.cat([data.x.masked_fill(~data.observed, 99.0), padding + 99.0], dim=1)
    changed = model(longer, torch.cat([data.observed, padding.bool()], dim=1))
    torch.testing.assert_close(changed, logits, rtol=0, atol=1e-9)
    assert not torch.allclose(model(data.x + 5.0, data.observed), logits, atol=1e-3)


def test_series_classifier__augmentation__acts_in_training_only():
    model = build(augment=standard_augmentation)
    data = random_batch()
    assert torch.equal(model(data.x, data.observed), model(data.x, data.observed))
    model.train()
    assert not torch.equal(model.embed(data.x, data.observed), model.embed(data.x, data.observed))


def test_series_classifier__augmentation__is_given_scaled_series_and_differences():
    given = []

    def shift(x, observed):
        given.append((x, observed))
        return x + 1.0, observed & False

    model = build("transformer", augment=shift).train()
    data = random_batch()
    model(data.x, data.observed)
    (x, observed) = given[0]
    expected = model.differences(model.scaler(data.x, data.observed).float(), data.observed)
    assert torch.equal(x, expected[0])
    assert torch.equal(observed, expected[1])
    assert (model.embed(data.x, data.observed) == 0.0).all()  # it hid everything


def test_series_classifier__embedding__is_what_the_head_reads():
    model = build()
    data = random_batch()
    embedding = model.embed(data.x, data.observed)
    assert embedding.shape == (4, 8)
    torch.testing.assert_close(model(data.x, data.observed), model.head(embedding))
