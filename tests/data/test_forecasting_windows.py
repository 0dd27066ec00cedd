"""Batches to pretrain forecasters on: of one season, context and horizon each, and drawn from their number alone."""

import numpy as np
import pytest
import torch

from tsformer.data.forecasting_windows import SyntheticWindows


@pytest.fixture(scope="module")
def batches():
    return list(SyntheticWindows(150, 1000, seed=0))


def test_windows__every_batch__has_the_shapes_of_one_season_context_and_horizon(batches):
    for batch in batches:
        n, context, _ = batch.x.shape
        assert context % 12 == 0
        assert context <= max(180, min(21 * batch.seasons[0], 504), min(7 * batch.seasons[0], 1008))
        assert batch.x.shape == batch.observed.shape == (n, context, 1)
        assert batch.y.shape == batch.y_observed.shape
        assert batch.future.shape == (*batch.y.shape, 0)
        assert {batch.x.dtype, batch.y.dtype} == {torch.float64}
        assert {batch.observed.dtype, batch.y_observed.dtype} == {torch.bool}
        assert batch.x.isfinite().all()
        assert batch.y.isfinite().all()
        assert not batch.x[~batch.observed].any()
        assert not batch.y[~batch.y_observed].any()


def test_windows__histories__begin_late_end_late_and_have_two_values_at_least(batches):
    observed = [batch.observed[..., 0] for batch in batches]
    assert min(int(seen.sum(dim=1).min()) for seen in observed) >= 2
    lengths = torch.cat([seen.shape[1] - seen.int().argmax(dim=1) for seen in observed])
    assert (lengths <= 4).float().mean() > 0.005
    assert 24 < lengths.float().median() < 90
    begun = [seen[seen[:, :-5].any(dim=1)] for seen in observed]
    last, before = (1 - torch.cat([seen[:, -k] for seen in begun]).float().mean() for k in (1, 5))
    assert 0.006 < last - before < 0.02


def test_windows__seasons_and_horizons__cover_what_is_asked_of_forecasters(batches):
    longest = {}
    for batch in batches:
        longest[batch.seasons[0]] = max(longest.get(batch.seasons[0], 0), batch.y.shape[1])
    assert {1, 4, 7, 12, 24} < set(longest)
    assert longest[1] > 24
    assert 18 < longest[12] <= 36
    assert 200 < longest[24] <= 720
    assert 0.2 < np.mean([batch.seasons[0] == 12 for batch in batches]) < 0.4


def test_windows__tokens__set_the_number_of_series():
    small, large = (sum(map(len, SyntheticWindows(20, tokens, seed=0))) for tokens in (1500, 3000))
    assert 1.5 < large / small < 2.1


def test_windows__batch__depends_on_its_number_and_the_seed_alone():
    whole = list(SyntheticWindows(5, 1000, seed=0))
    rest = list(SyntheticWindows(2, 1000, seed=0, first=3))
    for before, after in zip(whole[3:], rest, strict=True):
        for name in ("x", "observed", "y", "y_observed"):
            assert torch.equal(getattr(before, name), getattr(after, name))
    alone = SyntheticWindows(1, 1000, seed=0).draw(4)
    assert torch.equal(alone.x, whole[4].x)
    other = SyntheticWindows(1, 1000, seed=1).draw(4)
    assert other.x.shape != alone.x.shape or not torch.equal(other.x, alone.x)
