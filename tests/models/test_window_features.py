"""What windows are described by: their scale, features, statistics and what is known ahead, masked and of one unit."""

import math

import pytest
import torch
from torch import Tensor

from tsformer.models.simple_forecasts import NAMES, simple_forecasts
from tsformer.models.window_features import (
    LIMIT,
    N_AHEAD,
    N_METHODS,
    N_SERIES,
    N_STATISTICS,
    Described,
    Scale,
    Seasons,
    describe,
    scale_of,
)

SEASON, HORIZON = 4, 10


def windows(n_cases: int = 3, n_timepoints: int = 30) -> tuple[Tensor, Tensor]:
    """Windows of a season and a trend, the second beginning late and both with a gap."""
    time = torch.arange(n_timepoints, dtype=torch.float64)
    y = 20.0 + 0.3 * time + 5.0 * torch.sin(time * 2 * math.pi / SEASON) + torch.randn(n_cases, n_timepoints).double()
    observed = torch.ones_like(y, dtype=torch.bool)
    observed[:, -3] = False
    observed[1:2, : n_timepoints // 2] = False
    return y, observed


def described(y: Tensor, observed: Tensor, seasons: Seasons = (SEASON, 0), *, shifted: bool = True) -> Described:
    return describe(y, observed, seasons, HORIZON, shifted=shifted)


def parts(found: Described) -> tuple[Tensor, ...]:
    return *found.scale, found.series, found.statistics, found.ahead, found.growth


def test_describe__windows__have_the_sizes_that_the_network_is_built_for():
    found = described(*windows())
    assert found.series.shape == (3, 30, N_SERIES)
    assert found.statistics.shape == (3, N_STATISTICS)
    assert found.ahead.shape == (3, HORIZON, N_AHEAD)
    assert [part.shape for part in found.scale] == [(3, 1)] * 3
    assert {part.dtype for part in parts(found)} == {torch.float64}


def test_describe__what_is_not_observed__changes_nothing_and_is_zero():
    y, observed = windows()
    expected = parts(described(y, observed))
    for value in (math.nan, 1e9):
        found = described(torch.where(observed, y, value), observed)
        assert all(torch.equal(*pair) for pair in zip(parts(found), expected, strict=True))
    assert (found.series[~observed] == 0.0).all()


def test_describe__one_window__is_as_in_a_batch():
    y, observed = windows()
    together = parts(described(y, observed))
    for i in range(3):
        for ours, theirs in zip(parts(described(y[i : i + 1], observed[i : i + 1])), together, strict=True):
            torch.testing.assert_close(ours, theirs[i : i + 1], rtol=0, atol=1e-12)


def test_describe__more_of_the_horizon__begins_with_the_less():
    y, observed = windows()
    longer = describe(y, observed, (SEASON, 0), 3 * HORIZON, shifted=True)
    torch.testing.assert_close(longer.ahead[:, :HORIZON], described(y, observed).ahead, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("factor", [1e-300, 1e-3, 1e5, 1e300])
def test_describe__values_times_a_factor__differ_in_location_and_spread_alone(shifted, factor):
    y, observed = windows()
    expected, found = (described(values, observed, shifted=shifted) for values in (y, factor * y))
    location, spread, weight, *rest = parts(found)
    torch.testing.assert_close(location / factor, expected.scale.location)
    torch.testing.assert_close(spread / factor, expected.scale.spread)
    torch.testing.assert_close((weight, *rest), parts(expected)[2:], rtol=0, atol=1e-9)


def test_describe__values_moved__differ_in_location_and_what_tells_the_level():
    y, observed = windows()
    level, positive = 1, 2  # among the statistics
    expected, found = described(y, observed), described(y + 1000.0, observed)
    torch.testing.assert_close(found.scale.location, expected.scale.location + 1000.0)
    torch.testing.assert_close(found.series, expected.series, rtol=0, atol=1e-9)
    same = [i for i, name in enumerate(NAMES) if not name.endswith("_log")] + list(range(N_METHODS, N_AHEAD))
    torch.testing.assert_close(found.ahead[..., same], expected.ahead[..., same], rtol=0, atol=1e-9)
    assert (found.statistics[:, level] > expected.statistics[:, level]).all()
    rest = [i for i in range(N_STATISTICS) if i != level]
    torch.testing.assert_close(found.statistics[:, rest], expected.statistics[:, rest], rtol=0, atol=1e-9)
    far = described(y + 1e9, observed)  # where values are exact to 1e-7
    torch.testing.assert_close(far.scale.spread, expected.scale.spread)
    torch.testing.assert_close(far.series, expected.series, rtol=0, atol=1e-5)
    below = described(y - 1000.0, observed)
    assert (below.statistics[:, level] < 0).all()
    assert (below.statistics[:, positive] == 0).all()


def test_describe__simple_forecasts__are_those_of_the_window_in_its_unit():
    y, observed = windows()
    found = describe(y, observed, (SEASON, 3 * SEASON), HORIZON, shifted=True)
    expected = simple_forecasts(y, observed, SEASON, HORIZON, 3 * SEASON).forecasts
    torch.testing.assert_close(found.scale.undo(found.ahead[..., :N_METHODS]), expected)


def test_describe__growth__tells_random_walks_from_noise_where_there_is_no_season():
    noise = torch.randn(200, 180, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    observed = torch.rand(noise.shape, generator=torch.Generator().manual_seed(1)) < 0.9
    walks = noise.cumsum(dim=1)
    assert described(walks, observed, (1, 0)).growth.median() == pytest.approx(0.45, abs=0.05)
    assert described(noise, observed, (1, 0)).growth.mean() < 0.05
    for y, seasons in ((walks, (SEASON, 0)), (torch.full_like(walks, 3.0), (1, 0))):
        assert (described(y, observed, seasons).growth == 0).all()
    for few in (walks[:, :2], walks[:, :20]):
        assert (described(few, torch.ones_like(few, dtype=torch.bool), (1, 0)).growth == 0).all()


def test_describe__phases__go_on_from_the_window_into_the_horizon():
    y, observed = windows()
    found = described(y, observed)
    sine, cosine = found.series[0, :, -2:].unbind(dim=-1)
    ahead = found.ahead[0, :, N_METHODS : N_METHODS + 2]
    torch.testing.assert_close(ahead[0], torch.tensor([0.0, 1.0], dtype=torch.float64))  # phase 0 is the first ahead
    for step in range(HORIZON):
        same = len(sine) - SEASON + step % SEASON
        if observed[0, same]:
            torch.testing.assert_close(ahead[step], torch.stack([sine[same], cosine[same]]))
    without = described(y, observed, (1, 0))
    assert (without.series[..., -2:] == 0).all()
    assert (without.ahead[..., N_METHODS : N_METHODS + 2] == 0).all()


def test_describe__wild_value__is_cut():
    y, observed = windows(1, 200)
    y[0, 100] = 1e6
    found = described(y, observed)
    assert found.series[0, 100, 0] == LIMIT
    assert found.series.abs().max() <= 2 * LIMIT  # of changes from a season to the next
    assert found.ahead[..., :N_METHODS].abs().max() <= 2 * LIMIT


@pytest.mark.parametrize("n_observed", [0, 1, 2, 3])
@pytest.mark.parametrize("shifted", [True, False])
def test_describe__hardly_anything_observed__is_finite(n_observed, shifted):
    y, observed = windows()
    observed = torch.zeros_like(observed)
    observed[:, 30 - n_observed :] = True
    assert all(part.isfinite().all() for part in parts(described(y, observed, shifted=shifted)))


@pytest.mark.parametrize("value", [0.0, 7.0, -1e9])
def test_describe__constant_window__has_no_size_but_a_forecast_of_itself(value):
    y = torch.full((1, 20), value, dtype=torch.float64)
    found = described(y, torch.ones_like(y, dtype=torch.bool))
    assert all(part.isfinite().all() for part in parts(found))
    assert found.scale.spread > 0
    assert (found.ahead[..., :N_METHODS].abs() < 1e-3).all()
    assert found.scale.location == value


@pytest.mark.parametrize("n_timepoints", [1, 3, 4, 5])
def test_describe__window_of_about_a_season__is_described(n_timepoints):
    y = windows()[0][:, :n_timepoints]
    assert all(part.isfinite().all() for part in parts(described(y, torch.ones_like(y, dtype=torch.bool))))


def test_scale_of__rising_season__lies_at_the_last_season_and_counts_seasonal_changes():
    time = torch.arange(12.0, dtype=torch.float64)
    y = (10.0 * (time % 2) + 3.0 * (time // 2))[None]  # rises by 3 from a season of two to the next
    observed = torch.ones_like(y, dtype=torch.bool)
    observed[0, 4] = False
    for values in (y, torch.where(observed, y, 1e9)):
        scale = scale_of(values, observed, 2, shifted=True)
        torch.testing.assert_close(scale.location.item(), y[0, -2:].mean().item())
        std = y[observed].std(correction=0).item()
        torch.testing.assert_close(scale.spread.item(), math.sqrt(3.0 * std))
        torch.testing.assert_close(scale.weight.item(), scale.spread.item() / 3.0)


def test_scale_of__counts__are_0_at_0_in_units_of_their_mean():
    y = torch.tensor([[0.0, 3.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    scale = scale_of(y, torch.ones_like(y, dtype=torch.bool), 2, shifted=False)
    assert scale.location.flatten().tolist() == [0.0, 0.0]
    assert scale.spread.flatten().tolist() == [1.0, 1.0]


def test_scale_of__no_change_from_season_to_season__weighs_no_more_than_four():
    y = torch.tensor([[1.0, 5.0] * 8], dtype=torch.float64)
    assert scale_of(y, torch.ones_like(y, dtype=torch.bool), 2, shifted=True).weight.item() == 4.0


def test_scale__undo_of_apply__gives_the_values_in_any_shape():
    scale = Scale(*(torch.tensor([[a], [b]]) for a, b in ((5.0, -3.0), (2.0, 0.1), (1.0, 1.0))))
    for shape in ((2, 4), (2, 4, 3)):
        values = torch.randn(shape)
        torch.testing.assert_close(scale.undo(scale.apply(values)), values)
    torch.testing.assert_close(scale.apply(torch.tensor([[7.0], [-3.0]])), torch.tensor([[1.0], [0.0]]))
