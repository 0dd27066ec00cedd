"""Augmentations: they keep shapes, time's order, padding and most values, and alter the fraction of cases asked for."""

import pytest
import torch

from tsformer.data.augment import (
    add_noise,
    blank_window,
    standard_augmentation,
    strong_view,
    vary_gain,
    warp_magnitude,
    warp_time,
)


def ramps(lengths: list[int], n_channels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Series whose value is their time point plus 1, padded with 0."""
    time = torch.arange(max(lengths))
    observed = (time < torch.tensor(lengths)[:, None]).unsqueeze(-1).expand(-1, -1, n_channels)
    return torch.where(observed, time[:, None] + 1.0, 0.0), observed


def strong_warp(x, observed, fraction=1.0):
    return warp_time(x, observed, fraction=fraction, amplitude=0.33, crop=0.5)


@pytest.mark.parametrize("lengths", [[1], [2], [1, 2, 3], [30, 7, 1, 2]])
def test_standard_augmentation__any_length__keeps_shapes_types_and_padding(lengths):
    x, observed = ramps(lengths, n_channels=2)
    for _ in range(20):
        altered, observed_after = standard_augmentation(x, observed)
        assert (altered.shape, altered.dtype, observed_after.dtype) == (x.shape, x.dtype, torch.bool)
        assert altered.isfinite().all()
        assert torch.equal(observed_after, observed)


def test_standard_augmentation__twice__differs_and_leaves_its_input_alone():
    x, observed = ramps([30, 20])
    before = x.clone(), observed.clone()
    assert not torch.equal(standard_augmentation(x, observed)[0], standard_augmentation(x, observed)[0])
    assert torch.equal(x, before[0])
    assert torch.equal(observed, before[1])


def test_warp_time__ramp__stays_monotone_within_its_range_and_its_padding_stays():
    x, observed = ramps([40, 25, 3] * 50)
    altered, observed_after = strong_warp(x, observed)
    assert torch.equal(observed_after, observed)
    assert (altered[~observed] == 0.0).all()
    steps = altered.diff(dim=1)[observed[:, 1:]]
    assert (steps >= -1e-5).all()
    assert (altered <= x.amax(dim=1, keepdim=True)).all()
    assert (altered[observed] >= 1.0).all()
    assert not torch.allclose(altered, x, atol=0.5)


def test_warp_time__cases_that_are_left_alone__keep_every_bit():
    x, observed = ramps([40, 25] * 10)
    altered, _ = warp_time(x, observed, fraction=0.5, amplitude=0.3, crop=0.2)
    assert 3 < sum(torch.equal(now, before) for now, before in zip(altered, x, strict=True)) < 17
    assert torch.equal(strong_warp(x, observed, fraction=0.0)[0], x)


def test_warp_time__no_crop__keeps_the_ends():
    x, observed = ramps([40, 25])
    altered, _ = warp_time(x, observed, fraction=1.0, amplitude=0.33, crop=0.0)
    torch.testing.assert_close(altered[:, 0], x[:, 0])
    torch.testing.assert_close(altered[[0, 1], [39, 24]], x[[0, 1], [39, 24]])


def test_warp_time__no_warp__cuts_off_at_most_the_crop_at_both_ends():
    x, observed = ramps([101] * 200)
    altered, _ = warp_time(x, observed, fraction=1.0, amplitude=0.0, crop=0.2)
    kept = (altered[:, -1] - altered[:, 0]) / 100.0
    assert 0.8 <= kept.min() < 0.85
    assert 0.95 < kept.max() <= 1.0
    assert altered[:, 0].max() > 10.0
    assert altered[:, -1].min() < 92.0
    torch.testing.assert_close(altered.diff(dim=1), kept.unsqueeze(-1).expand(-1, 100, -1), rtol=0, atol=1e-4)


def test_warp_time__gap_of_one_channel__moves_with_the_series():
    x, observed = ramps([60] * 20, n_channels=2)
    observed = observed.clone()
    observed[:, 20:40, 1] = False
    altered, observed_after = strong_warp(x.masked_fill(~observed, 99.0), observed)
    assert observed_after[..., 0].all()
    inside = (altered[..., 0] > 22.0) & (altered[..., 0] < 39.0)
    outside = (altered[..., 0] < 19.0) | (altered[..., 0] > 42.0)
    assert not observed_after[..., 1][inside].any()
    assert observed_after[..., 1][outside].all()
    assert (altered[~observed_after] == 0.0).all()
    assert altered.amax() <= 60.0


@pytest.mark.parametrize("phase", [0, 1])
def test_warp_time__every_second_value_missing__keeps_about_as_many_observed(phase):
    """Between two missing values nothing can be interpolated, but the series must not vanish."""
    x, observed = ramps([60] * 50)
    observed = observed & (torch.arange(60) % 2 == phase)[:, None]
    _, observed_after = warp_time(x, observed, fraction=1.0, amplitude=0.3, crop=0.2)
    assert 0.3 < observed_after.float().mean() < 0.7
    assert observed_after.any(dim=1).all()


def test_warp_time__constant_series_with_gaps__stays_constant_where_observed():
    observed = torch.rand(50, 60, 2) < 0.5
    x = torch.where(observed, 5.0, 99.0)
    altered, observed_after = strong_warp(x, observed)
    torch.testing.assert_close(altered[observed_after], torch.full((int(observed_after.sum()),), 5.0))
    assert (altered[~observed_after] == 0.0).all()
    assert 0.4 < observed_after.float().mean() < 0.6


def test_warp_time__share__of_the_cases_is_altered():
    x, observed = ramps([30] * 400)
    altered = (strong_warp(x, observed, fraction=0.25)[0] != x).any(dim=1).float().mean()
    assert 0.15 < altered < 0.35


def test_warp_time__share_0__changes_nothing():
    x, observed = ramps([30, 20, 1])
    altered, observed_after = strong_warp(x, observed, fraction=0.0)
    assert torch.equal(altered, x)
    assert torch.equal(observed_after, observed)


def test_vary_gain__series__are_multiplied_by_one_number_a_channel():
    x, _ = ramps([30] * 200, n_channels=2)
    gains = vary_gain(x, std=0.1) / x
    torch.testing.assert_close(gains, gains[:, :1].expand_as(gains))
    assert 0.08 < gains[:, 0].std() < 0.12
    assert 0.98 < gains.mean() < 1.02
    assert not torch.allclose(gains[..., 0], gains[..., 1], atol=0.01)


def test_add_noise__values__differ_by_the_std():
    x, _ = ramps([50] * 50)
    noise = add_noise(x, std=0.05) - x
    assert 0.045 < noise.std() < 0.055
    assert noise.mean().abs() < 0.005


def test_blank_window__width__is_the_share_of_each_length_in_one_stretch_that_can_lie_anywhere():
    x, observed = ramps([40, 20, 9] * 100)
    blanked = (blank_window(x, observed, fraction=1.0, width=0.1) == 0.0) & observed
    assert blanked.sum(dim=(1, 2)).tolist() == [4, 2, 0] * 100
    edges = blanked.squeeze(-1).int().diff(dim=1).clamp(min=0).sum(dim=1) + blanked[:, 0, 0].int()
    assert edges.max() == 1
    assert blanked[0::3].any(dim=0).all()
    assert blanked[1::3, :20].any(dim=0).all()


def test_blank_window__share__of_the_cases_is_altered():
    x, observed = ramps([30] * 400)
    altered = (blank_window(x, observed, fraction=0.25, width=0.2) != x).any(dim=1).float().mean()
    assert 0.15 < altered < 0.35
    assert torch.equal(blank_window(x, observed, fraction=0.0, width=0.2), x)


def test_augmentations__same_seed__are_the_same():
    x, observed = ramps([30, 20])
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(standard_augmentation(x, observed)[0])
    assert torch.equal(*results)


@pytest.mark.parametrize("lengths", [[1], [2], [30, 7, 1, 2]])
def test_strong_view__any_length__keeps_shapes_and_padding_and_differs_each_time(lengths):
    x, observed = ramps(lengths)
    first, observed_after = strong_view(x, observed)
    assert first.shape == x.shape
    assert first.isfinite().all()
    assert torch.equal(observed_after, observed)
    assert not torch.equal(first, strong_view(x, observed)[0])


def test_warp_magnitude__ones__wave_smoothly_around_one_differently_in_each_case():
    curves = warp_magnitude(torch.ones(500, 100, 1), amplitude=0.3)[..., 0]
    assert curves.mean() == pytest.approx(1.0, abs=0.05)
    assert (curves - 1.0).abs().max() <= 0.9 + 1e-6
    assert curves.std(dim=1).mean() > 0.05
    assert curves.diff(dim=1).abs().max() < 0.1
    assert not torch.equal(curves[0], curves[1])
