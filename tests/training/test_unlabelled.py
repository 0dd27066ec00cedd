"""Labels for cases without: from two clouds of features with one label each, within quotas."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsformer.data.batch import UNLABELLED
from tsformer.data.cases import stored
from tsformer.training.unlabelled import LABELLERS, certainty, looked_at, self_train, within_quotas

RIGHT = np.arange(40) % 2


def clouds(seed=0):
    """Two clouds in twenty dimensions; the first case of each has a label."""
    features = np.random.default_rng(seed).normal(size=(40, 20)) + 3.0 * RIGHT[:, None]
    return features.astype(np.float32), np.where(np.arange(40) < 2, RIGHT, UNLABELLED)


@pytest.mark.parametrize("method", LABELLERS)
def test_labeller__two_clouds__finds_them_and_keeps_what_is_given(method):
    guessed, weight = LABELLERS[method](*clouds(), 2)
    found = guessed != UNLABELLED
    assert found.mean() >= 0.9
    assert (guessed[found] == RIGHT[found]).all()
    assert (weight[:2] == 1.0).all()
    assert ((weight > 0.0) & (weight <= 1.0)).all()


@pytest.mark.parametrize("method", LABELLERS)
def test_labeller__class_without_labelled_cases__gives_the_numbers_of_the_others(method):
    features, y = clouds()
    guessed, _ = LABELLERS[method](features, np.where(y == 1, 2, y), 3)
    assert set(guessed) - {UNLABELLED} == {0, 2}


def test_self_train__quotas__follow_the_labelled_cases():
    features, y = clouds()
    y[2:6:2] = 0  # three labels of the first cloud, one of the second
    guessed, _ = self_train(features, y, 2)
    n_others = (y == UNLABELLED).sum()
    assert (guessed[y == UNLABELLED] == 1).sum() == np.ceil(n_others / 4)


def test_within_quotas__more_than_a_quota__keeps_the_surest():
    probability = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    assert within_quotas(probability, np.array([2, 2])).tolist() == [0, UNLABELLED, 0, 1]


def test_certainty__of_probabilities__is_one_for_sure_ones_and_about_zero_for_equal_ones():
    found = certainty(np.array([[1.0, 0.0, 0.0], [1 / 3] * 3, [0.8, 0.1, 0.1]]))
    assert found[0] == 1.0
    assert 0.0 < found[1] < 0.01 < found[2] < 1.0


@pytest.mark.parametrize(
    ("n_given", "expected"), [(2, (2, 8)), (5, (5, 5)), (30, (5, 5)), (38, (8, 2)), (39, (9, 1))], ids=str
)
def test_looked_at__more_cases_than_a_head_is_fitted_to__are_half_labelled_and_spread(monkeypatch, n_given, expected):
    monkeypatch.setattr("tsformer.training.ridge.MAX_CASES", 10)
    y = np.where(np.arange(40) < n_given, RIGHT, UNLABELLED)
    chosen = looked_at(replace(stored(np.zeros((40, 1, 5)), "X"), y=torch.from_numpy(y)))
    assert ((y[chosen] >= 0).sum(), (y[chosen] < 0).sum()) == expected
    assert len(np.unique(chosen)) == 10
    if n_given >= 4:
        assert set(y[chosen]) == {0, 1, UNLABELLED}
