"""ChannelRelations: the logarithm of each case's covariance, whatever the units, gaps and company."""

import numpy as np
import pytest
import torch
from scipy.linalg import logm

from tsformer.models.relations import ChannelRelations, Logarithm


def cases(n_cases=6, n_channels=3, t=40, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(n_cases, t, n_channels)).cumsum(axis=1))
    return x, torch.ones_like(x, dtype=torch.bool)


def fitted(x, observed):
    return ChannelRelations(x.shape[2]).fit(lambda: [(x, observed)])


@pytest.mark.parametrize(("n", "error"), [(2, 1e-6), (12, 2e-3), (48, 0.05)])
def test_logarithm__matrices_between_the_bounds__is_that_of_scipy(n, error):
    factor = np.random.default_rng(n).normal(size=(4, n, n // 2))
    matrices = factor @ factor.transpose(0, 2, 1)
    matrices = matrices / matrices.trace(axis1=1, axis2=2)[:, None, None] * n + 0.1 * np.eye(n)

    found = Logarithm(0.1, n + 0.1)(torch.from_numpy(matrices)).numpy()

    assert np.abs(found - np.stack([logm(matrix) for matrix in matrices])).max() < error


def test_relations__other_units__are_the_same():
    x, observed = cases()
    moved = x * torch.tensor([1e-6, 3.0, 1e9]) + torch.tensor([5.0, -1e3, 1e9])
    torch.testing.assert_close(fitted(moved, observed)(moved, observed), fitted(x, observed)(x, observed))


def test_relations__padding_and_company__change_nothing():
    x, observed = cases()
    relations = fitted(x, observed)
    padded = torch.nn.functional.pad(x[:1], (0, 0, 0, 7), value=1e30)
    mask = torch.nn.functional.pad(observed[:1], (0, 0, 0, 7))
    torch.testing.assert_close(relations(padded, mask), relations(x, observed)[:1], rtol=0, atol=1e-12)


def test_relations__which_channel_goes_ahead__is_told_apart():
    angle = torch.linspace(0, 20, 200, dtype=torch.float64)
    ahead = torch.stack([angle.sin(), (angle - 1).sin()], dim=1)
    x = torch.stack([ahead, ahead.flip(1)])
    first, second = fitted(x, observed := torch.ones_like(x, dtype=torch.bool))(x, observed)
    assert (first - second).abs().max() > 1.0


def test_relations__silent_constant_and_missing_series__are_finite():
    x, observed = cases()
    x[0], x[1, :, 2], observed[2], observed[3, :, 1] = 1.0, 5.0, False, False
    assert fitted(x, observed)(x, observed).isfinite().all()
