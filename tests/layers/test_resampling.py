"""Resampling: straight lines stay straight, padding is left out, what is missing stays missing."""

import pytest
import torch

from tsformer.layers.resampling import resample


def line(n: int, length: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    observed = (torch.arange(n) < (length or n))[None, :, None]
    return torch.where(observed, torch.arange(n, dtype=torch.float64)[None, :, None], 99.0), observed


@pytest.mark.parametrize("n", [1, 2, 7, 50, 300])
def test_resample__line__runs_from_its_first_to_its_last_value(n):
    x, observed = resample(*line(n), 50)
    assert observed.all()
    torch.testing.assert_close(x[0, :, 0], torch.linspace(0, n - 1, 50, dtype=torch.float64))


def test_resample__as_long_as_it_is__changes_nothing():
    x = torch.randn(3, 40, 1, dtype=torch.float64)
    torch.testing.assert_close(resample(x, torch.ones_like(x).bool(), 40)[0], x)


def test_resample__padding__is_left_out():
    torch.testing.assert_close(resample(*line(30, 20), 50), resample(*line(20), 50))


def test_resample__gap__stays_a_gap_of_its_share_and_is_not_read():
    x, observed = line(100)
    observed = observed.clone()
    observed[:, 40:60] = False
    values, observed_after = resample(x.masked_fill(~observed, 1e6), observed, 200)
    assert 36 <= (~observed_after).sum() <= 44
    assert values.max() <= 99.0
    assert (values[~observed_after] == 0).all()
