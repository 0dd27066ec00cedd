"""Scaling: statistics of the observed values, constants, missing channels, large levels, and differences."""

import pytest
import torch

from tsformer.layers import scaling
from tsformer.layers.scaling import (
    CLIP,
    SCALERS,
    ChannelScaler,
    Chunks,
    FirstDifferences,
    RobustScaler,
    TailScaler,
    masked_mean_std,
)


def whole(x: torch.Tensor, observed: torch.Tensor) -> Chunks:
    return lambda: [(x, observed)]


def all_observed(x: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(x, dtype=torch.bool)


def test_masked_mean_std__hidden_values__do_not_count():
    x = 5.0 * torch.randn(4, 9, 2, dtype=torch.float64) + 3.0
    observed = torch.rand(4, 9, 2) < 0.6
    mean, std = masked_mean_std(x.masked_fill(~observed, 1e9), observed)
    for channel in range(2):
        values = x[..., channel][observed[..., channel]]
        torch.testing.assert_close(mean[channel], values.mean())
        torch.testing.assert_close(std[channel], values.std(correction=0))


@pytest.mark.parametrize("level", [0.0, 0.1, -1e7 / 3])
def test_masked_mean_std__constant_channel__has_std_one(level):
    x = torch.full((7, 13, 1), level, dtype=torch.float64)
    mean, std = masked_mean_std(x, all_observed(x))
    torch.testing.assert_close(mean.item(), level)
    assert std.item() == 1.0


def test_masked_mean_std__channel_never_observed__has_mean_0_and_std_1():
    x = torch.randn(2, 5, 2)
    observed = all_observed(x)
    observed[..., 1] = False
    mean, std = masked_mean_std(x, observed)
    assert (mean[1].item(), std[1].item()) == (0.0, 1.0)


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_scaler__training_series__come_out_with_mean_0_and_std_1(scaler):
    x = torch.randn(20, 9, 3) * torch.tensor([1e-3, 1.0, 1e3]) + torch.tensor([5.0, -7.0, 0.0])
    observed = torch.rand(20, 9, 3) < 0.8
    mean, std = masked_mean_std(scaler(3).fit(whole(x, observed))(x, observed), observed)
    torch.testing.assert_close(mean.float(), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(std.float(), torch.ones(3), rtol=0, atol=1e-3)


@pytest.mark.parametrize("level", [1e6, 1_699_999_963.0, -1e12 / 3])
def test_channel_scaler__small_signal_on_a_large_level_in_float64__survives_casts_of_the_network(level):
    signal = torch.randn(10, 20, 1, dtype=torch.float64)
    signal = (signal - signal.mean()) / signal.std(correction=0)
    observed = all_observed(signal)
    x = level + 3.0 * signal
    scaler = ChannelScaler(1).fit(whole(x, observed))
    for network in (scaler, scaler.double(), scaler.float()):
        torch.testing.assert_close(network(x, observed).double(), signal, rtol=0, atol=1e-3)


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_scaler__constant_channel_in_float32__becomes_zero_not_rounding_noise(scaler):
    x = torch.full((7, 13, 1), 0.1)
    scaler = scaler(1).fit(whole(x, all_observed(x)))
    assert scaler(x, all_observed(x)).abs().max() < 1e-6


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_scaler__series_in_chunks__have_the_statistics_of_all(scaler, monkeypatch):
    x = torch.randn(20, 9, 3, dtype=torch.float64).cumsum(dim=0) + 1e6
    observed = torch.rand(20, 9, 3) < 0.8
    observed[:4, :, 1], observed[..., 2] = False, False
    expected = scaler(3).fit(whole(x, observed))
    monkeypatch.setattr(scaling, "VALUES_TO_SORT", 100)
    fitted = scaler(3).fit(lambda: zip(x.split(3), observed.split(3), strict=True))
    for name, buffer in expected.named_buffers():
        torch.testing.assert_close(fitted.get_buffer(name), buffer, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_scaler__not_observed__is_zero(scaler):
    x = torch.randn(4, 9, 2) + 10.0
    observed = torch.rand(4, 9, 2) < 0.5
    scaled = scaler(2).fit(whole(x, observed))(x, observed)
    assert (scaled[~observed] == 0.0).all()
    assert (scaled[observed] != 0.0).all()


def test_channel_scaler__broken_sensor_value__is_clipped_at_20_stds():
    x = torch.randn(4, 9, 1)
    scaler = ChannelScaler(1).fit(whole(x, all_observed(x)))
    x[0, 0], x[1, 1] = 1e9, -1e9
    scaled = scaler(x, all_observed(x))
    assert (scaled[0, 0].item(), scaled[1, 1].item(), CLIP) == (20.0, -20.0, 20.0)
    assert (scaled.abs() == CLIP).sum() == 2


def test_first_differences__gaps__are_zero_and_not_observed_where_either_value_is_missing():
    x = torch.tensor([[1.0, 4.0, 99.0, 2.0, 3.0]]).unsqueeze(-1)
    observed = torch.tensor([[True, True, False, True, True]]).unsqueeze(-1)
    values, mask = FirstDifferences(1)(x, observed)
    assert values[0, :, 0].tolist() == [1.0, 4.0, 99.0, 2.0, 3.0]
    assert values[0, :, 1].tolist() == [0.0, 3.0, 0.0, 0.0, 1.0]
    assert mask[0, :, 0].tolist() == [True, True, False, True, True]
    assert mask[0, :, 1].tolist() == [False, True, False, False, True]


def test_first_differences__fitted__are_scaled_by_the_differences_of_training():
    x = torch.randn(6, 30, 2).cumsum(dim=1)
    observed = all_observed(x)
    values, mask = FirstDifferences(2).fit(whole(x, observed))(x, observed)
    mean, std = masked_mean_std(values[..., 2:], mask[..., 2:])
    torch.testing.assert_close(mean, torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(std, torch.ones(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(values[..., :2], x)


def test_first_differences__one_time_point__has_none():
    x = torch.randn(3, 1, 2)
    values, mask = FirstDifferences(2).fit(whole(x, all_observed(x)))(x, all_observed(x))
    assert torch.equal(values, torch.cat([x, torch.zeros_like(x)], dim=-1))
    assert not mask[..., 2:].any()


def test_first_differences__straight_line__does_not_become_rounding_noise():
    """A counter of time points has one constant difference; in float32 it has a tiny std from rounding."""
    x = torch.arange(50.0, dtype=torch.float64).expand(4, 50).unsqueeze(-1)
    x = ChannelScaler(1).fit(whole(x, all_observed(x)))(x, all_observed(x))
    differences = FirstDifferences(1).fit(whole(x, all_observed(x)))
    for network_input in (x, x.float()):
        assert differences(network_input, all_observed(x))[0][..., 1].abs().max() < 0.1


def test_robust_scaler__values__are_compressed_beyond_the_quartiles():
    x = torch.arange(-50.0, 51.0, dtype=torch.float64).reshape(1, -1, 1)
    scaler = RobustScaler(1).fit(whole(x, all_observed(x)))
    assert scaler.median.item() == 0.0
    torch.testing.assert_close(scaler.spread.item(), 50.0 / 1.349)
    expected = torch.asinh(x / scaler.spread)
    torch.testing.assert_close(scaler(x, all_observed(x)), expected / expected.std(correction=0))


def test_robust_scaler__one_wild_value__hardly_moves_the_others():
    x = torch.randn(10, 50, 1, dtype=torch.float64)
    wild = x.clone()
    wild[0, 0] = 1e9
    observed = all_observed(x)
    expected, scaled = (RobustScaler(1).fit(whole(series, observed))(x, observed) for series in (x, wild))
    moved = (scaled - scaled.mean()) / scaled.std() - (expected - expected.mean()) / expected.std()
    assert moved.abs().max() < 0.05


def test_robust_scaler__channel_that_hardly_ever_moves__is_scaled_by_its_std():
    x = torch.zeros(4, 25, 1)
    x[0, 3] = 7.0
    scaler = RobustScaler(1).fit(whole(x, all_observed(x)))
    assert scaler.spread.item() == pytest.approx(x.std(correction=0).item())


def test_tail_scaler__channel_of_rare_bursts__is_scaled_as_robust_and_the_others_as_standard():
    x = torch.randn(40, 50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[3, 7, 1] = x[20, 1, 1] = 500.0
    observed = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.9
    observed[3, 7] = True
    scaled = {kind: kind(3).fit(whole(x, observed))(x, observed) for kind in (TailScaler, ChannelScaler, RobustScaler)}
    assert torch.equal(scaled[TailScaler][..., [0, 2]], scaled[ChannelScaler][..., [0, 2]])
    assert torch.equal(scaled[TailScaler][..., 1], scaled[RobustScaler][..., 1])
    chunks = TailScaler(3).fit(lambda: zip(x.split(7), observed.split(7), strict=True))
    torch.testing.assert_close(chunks(x, observed), scaled[TailScaler])


def test_tail_scaler__bursts_that_are_hidden_or_in_a_constant_channel__are_none():
    x = torch.randn(10, 30, 2, dtype=torch.float64)
    x[..., 1] = 3.0
    observed = all_observed(x)
    observed[0, :3] = False
    x[0, :3] = 1e6
    assert not TailScaler(2).fit(whole(x, observed)).heavy.any()


def test_robust_scaler__hidden_values_and_a_channel_never_observed__do_not_count():
    x = torch.randn(6, 9, 2)
    observed = torch.rand(6, 9, 2) < 0.7
    observed[..., 1] = False
    with_values, without = (
        RobustScaler(2).fit(whole(x.masked_fill(~observed, value), observed)) for value in (0.0, 99.0)
    )
    assert torch.equal(with_values(x, observed), without(x, observed))
    assert (with_values(x, observed)[..., 1] == 0.0).all()


@pytest.mark.parametrize("level", [1e6, -1e12 / 3])
def test_robust_scaler__small_signal_on_a_large_level__survives_casts_of_the_network(level):
    signal = torch.randn(10, 20, 1, dtype=torch.float64)
    observed = all_observed(signal)
    expected = RobustScaler(1).fit(whole(signal, observed))(signal, observed)
    scaler = RobustScaler(1).fit(whole(level + signal, observed))
    for network in (scaler, scaler.double(), scaler.float()):
        torch.testing.assert_close(network(level + signal, observed).double(), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("scaler", SCALERS.values())
@pytest.mark.parametrize("power", [-1040, -900, 900, 1020])
def test_scaler__values_too_small_or_large_to_be_squared__are_scaled_as_others(scaler, power):
    x = torch.randn(6, 30, 2, dtype=torch.float64)
    observed, unit = torch.rand(6, 30, 2) < 0.8, torch.tensor(float(2.0**power), dtype=torch.float64)
    expected, scaled = (scaler(2).fit(whole(each, observed))(each, observed) for each in (x, x * unit))
    torch.testing.assert_close(scaled, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_scaler__largest_numbers_as_marks__give_finite_values(scaler):
    x = torch.randn(6, 30, 2, dtype=torch.float64)
    x[0, 3:9, 0], x[1, :20, 0] = torch.finfo(x.dtype).max, -torch.finfo(x.dtype).max
    assert scaler(2).fit(whole(x, all_observed(x)))(x, all_observed(x)).isfinite().all()


def dead(kind: str, level: float) -> torch.Tensor:
    """Series that are constant but for rounding."""
    dtype = torch.float64 if kind == "float64" else torch.float32
    x = torch.full((6, 30, 1), level, dtype=dtype)
    moved = torch.nextafter(x, torch.full_like(x, torch.inf))
    x = torch.where(torch.rand(x.shape) < 0.5, x, moved)
    return x.double() if kind == "float32 in float64" else x


@pytest.mark.parametrize("scaler", SCALERS.values())
@pytest.mark.parametrize(
    ("kind", "level"),
    [
        *(("float64", level) for level in (9.81, -1e-200, 3e9 / 7, 1e300)),
        *((kind, level) for kind in ("float32", "float32 in float64") for level in (9.81, -1e-20, 3e9 / 7)),
    ],
)
def test_scaler__channel_that_is_dead_in_fit__stays_0_whatever_it_does_later(scaler, kind, level):
    x = dead(kind, level)
    fitted = scaler(1).fit(whole(x, all_observed(x)))
    changes = FirstDifferences(1).fit(whole(fitted(x, all_observed(x)), all_observed(x)), fitted.rounding)
    for later in (x, x * torch.rand(x.shape), torch.full_like(x, -torch.finfo(x.dtype).max)):
        scaled = fitted(later, all_observed(x))
        assert (scaled == 0.0).all()
        assert (changes(scaled, all_observed(x))[0] == 0.0).all()


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_scaler__whole_numbers_in_float32_on_a_large_level__are_no_rounding(scaler):
    x = 1e7 + torch.randint(3, (6, 30, 1)).float()
    assert scaler(1).fit(whole(x, all_observed(x)))(x, all_observed(x)).std() > 0.5


@pytest.mark.parametrize("scaler", SCALERS.values())
def test_first_differences__rounding_of_a_small_signal_on_a_large_level__is_not_blown_up(scaler):
    """A step in the middle; all other differences are the rounding of 1e9."""
    x = torch.full((4, 60, 1), 1e9, dtype=torch.float64) / 7
    x[:, 30:] += 1.0
    x += torch.randint(-1, 2, x.shape) * torch.finfo(x.dtype).eps * 1e8
    fitted = scaler(1).fit(whole(x, all_observed(x)))
    scaled = fitted(x, all_observed(x))
    changes = FirstDifferences(1).fit(whole(scaled, all_observed(x)), fitted.rounding)(scaled, all_observed(x))[0]
    assert changes[:, 40:, 1].abs().max() < 1.0
