"""Ensemble: the geometric mean of its members' probabilities, and their embeddings side by side."""

import pytest
import torch
from torch import Tensor

from tsformer.models.classifier import SeriesClassifier, build_classifier
from tsformer.models.ensemble import Ensemble
from tsformer.models.frozen import FrozenClassifier, blank_frozen

SHAPE = {"encoder": "strided_stem", "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "dropout": 0.0}


def cases() -> tuple[Tensor, Tensor]:
    x = torch.randn(4, 15, 2, dtype=torch.float64)
    return x, torch.ones_like(x, dtype=torch.bool)


def network() -> SeriesClassifier:
    settings = {"scaling": "standard", "differences": True, "pooling": "mean"}
    return build_classifier(lambda: [cases()], 2, 15, 3, augment=None, **settings, **SHAPE).eval()


def frozen(sharpness: float = 1.0) -> FrozenClassifier:
    settings = {"objective": "contrastive", "n_timepoints": 32}
    return blank_frozen(n_channels=2, n_classes=3, n_landmarks=0, sharpness=sharpness, **settings, **SHAPE).eval()


@pytest.mark.parametrize("sharpness", [1.0, 1.5])
def test_ensemble__networks_and_a_frozen_one__predicts_their_sharpened_mean_in_which_the_frozen_one_counts_half(
    sharpness,
):
    ensemble, given = Ensemble([network(), network()], frozen(sharpness)), cases()
    first, second, last = (member(*given).double().softmax(dim=1) for member in ensemble.members)
    expected = ((first * second) ** 0.25 * last**0.5) ** sharpness
    torch.testing.assert_close(ensemble(*given).exp(), expected / expected.sum(dim=1, keepdim=True))


def test_ensemble__one_member__predicts_as_it_does():
    given, member = cases(), frozen(sharpness=1.5)
    torch.testing.assert_close(Ensemble([], member)(*given), member(*given).double().log_softmax(dim=1))


def test_ensemble__logits_far_apart__have_finite_log_probabilities():
    ensemble = Ensemble([network()])
    torch.nn.init.constant_(ensemble.members[0].head.weight, 1000.0)
    assert ensemble(*cases()).isfinite().all()


def test_ensemble__embeddings__lie_side_by_side_in_the_order_of_the_members():
    ensemble, given = Ensemble([network(), network()], frozen()), cases()
    embedding = ensemble.embed(*given)
    assert embedding.shape == (4, ensemble.n_features)
    assert torch.equal(embedding[:, 8:16], ensemble.members[1].embed(*given))
    assert torch.equal(embedding[:, 16:], ensemble.frozen.embed(*given))


def test_ensemble__weights__go_from_one_to_another():
    ensemble, other, given = Ensemble([network()], frozen()), Ensemble([network()], frozen()), cases()
    other.load_state_dict(ensemble.state_dict())
    assert torch.equal(other(*given), ensemble(*given))
