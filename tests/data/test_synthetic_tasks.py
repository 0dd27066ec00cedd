"""Labelled synthetic tasks: classes differ, nothing else tells them, and the generator draws all."""

import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from tsformer.data.synthetic_tasks import KINDS, MOST_CLASSES, draw_classes, draw_tasks


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_draw_tasks__series_and_classes__are_finite_and_of_balanced_classes():
    x, y = draw_tasks(30, 24, 64, generator())
    assert x.shape == (30, 24, 64)
    assert x.isfinite().all()
    assert (x.std(dim=2) > 0).all()
    for of_task in y:
        sizes = of_task.bincount()
        assert 2 <= len(sizes) <= MOST_CLASSES
        assert sizes.max() - sizes.min() <= 1


def test_draw_tasks__seed__decides_and_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    first, same, other = (draw_tasks(4, 8, 50, generator(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kinds__series_of_a_task__tell_their_classes_in_some_tasks(kind):
    """By outlines and spectra in company, which each see a part of the kinds; shuffled labels cannot be told."""
    y = draw_classes(12, 120, generator())
    x = kind(y, 96, generator(1))
    assert x.shape == (12, 120, 96)
    features = torch.cat([x, torch.fft.rfft(x).abs().log1p(), x.abs().sort(dim=2).values], dim=2)

    def gain(classes):
        right = 0.0
        for of_task, known in zip(features.numpy(), classes.numpy(), strict=True):
            ridge = RidgeClassifier(10.0).fit(of_task[:80], known[:80])
            right += ridge.score(of_task[80:], known[80:]) - 1 / len(set(known))
        return right / len(classes)

    shuffled = torch.stack([of_task[torch.randperm(120, generator=generator(2))] for of_task in y])
    assert gain(y) > gain(shuffled) + 0.08


@pytest.mark.parametrize("n_timepoints", [24, 25, 512])
def test_draw_tasks__of_short_and_long_series__are_made(n_timepoints):
    assert draw_tasks(12, 10, n_timepoints, generator())[0].shape == (12, 10, n_timepoints)
