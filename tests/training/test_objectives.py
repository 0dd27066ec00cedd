"""Objectives: the loss is torch's own, with weights and smoothing as documented."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tsformer.data.batch import Batch
from tsformer.training.objectives import classification


class FirstTimePoint(nn.Module):
    """Its logits are the values at the first time point."""

    def forward(self, x, observed):
        return x[:, 0]


def random_batch(weight: torch.Tensor | None = None) -> Batch:
    x = torch.randn(8, 2, 3)
    return Batch(x, torch.ones_like(x).bool(), torch.tensor([0, 1, 2, 2, 1, 0, 0, 0]), weight)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_classification__no_weights__is_torchs_cross_entropy(smoothing):
    batch = random_batch()
    expected = F.cross_entropy(batch.x[:, 0], batch.y, label_smoothing=smoothing)
    torch.testing.assert_close(classification(smoothing)(FirstTimePoint(), batch), expected)


def test_classification__class_weights_as_case_weights__is_torchs_weighted_cross_entropy():
    class_weight = torch.tensor([0.5, 1.0, 3.0])
    batch = random_batch()
    weight = class_weight[batch.y]
    weighted = Batch(batch.x, batch.observed, batch.y, weight / weight.mean())
    expected = F.cross_entropy(batch.x[:, 0], batch.y, weight=class_weight)
    torch.testing.assert_close(classification()(FirstTimePoint(), weighted), expected)


def test_classification__weighted_batches__add_up_to_the_weighted_whole():
    """A batch of heavy cases counts for more: its loss is not divided by its own weights."""
    batch = random_batch(weight=torch.tensor([0.0, 0.0, 6.0, 0.0, 0.5, 0.5, 0.5, 0.5]))
    objective, model = classification(), FirstTimePoint()
    halves = [objective(model, batch.select(index)) for index in torch.arange(8).split(4)]
    torch.testing.assert_close(torch.stack(halves).mean(), objective(model, batch))
    torch.testing.assert_close(halves[0], 6.0 / 4.0 * F.cross_entropy(batch.x[2:3, 0], batch.y[2:3]))


def test_classification__bfloat16_logits__are_summed_in_float32():
    batch = random_batch()
    loss = classification()(FirstTimePoint(), Batch(batch.x.bfloat16(), batch.observed, batch.y))
    assert loss.dtype == torch.float32


def test_classification__no_labels__says_so():
    batch = random_batch()
    with pytest.raises(ValueError, match=r"needs labels\. Got a batch whose y is None"):
        classification()(FirstTimePoint(), Batch(batch.x, batch.observed))
