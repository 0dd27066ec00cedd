"""Synthetic series: what is drawn is finite, standardised, varied, and depends on nothing but the generator."""

import pytest
import torch

from tsformer.data.synthetic import FAMILIES, SyntheticBatches, draw_series


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def autocorrelation(series: torch.Tensor, lag: int) -> torch.Tensor:
    """Of series (n, t) that have mean 0 and std 1."""
    return (series[:, lag:] * series[:, :-lag]).mean(dim=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_family__any_length__draws_as_many_finite_series_of_it_as_asked_for(name):
    for length in (2, 3, 8, 64, 512):
        series = FAMILIES[name](5, length, generator())
        assert series.shape == (5, length)
        assert series.dtype == torch.float32
        assert series.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_family__many_series__differ_and_most_vary(name):
    series = FAMILIES[name](50, 256, generator())
    assert (series.std(dim=1) > 0).float().mean() > 0.9
    assert len({tuple(row.tolist()) for row in series}) == 50


@pytest.mark.parametrize("n_channels", [1, 3])
def test_draw_series__every_channel__has_mean_0_and_std_1(n_channels):
    x = draw_series(100, 300, n_channels, generator=generator())
    assert x.shape == (100, 300, n_channels)
    torch.testing.assert_close(x.mean(dim=1), torch.zeros(100, n_channels), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(dim=1, correction=0), torch.ones(100, n_channels), atol=1e-3, rtol=0)


def test_draw_series__family_that_does_not_move__is_replaced_by_noise():
    x = draw_series(9, 64, generator=generator(), families={"flat": lambda n, t, generator: torch.ones(n, t)})
    torch.testing.assert_close(x.std(dim=1, correction=0), torch.ones(9, 1))
    assert len({tuple(row.tolist()) for row in x[..., 0]}) == 9


def test_draw_series__seed__decides_and_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    first, again, other = (draw_series(30, 64, 2, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(draw_series(30, 64, 2, generator=generator()), first)


def test_draw_series__families__have_equal_shares():
    drawn = dict.fromkeys("abc", 0)

    def family(name: str):
        def draw(n: int, t: int, generator: torch.Generator) -> torch.Tensor:
            drawn[name] += n
            return torch.randn(n, t, generator=generator)

        return draw

    draw_series(32, 10, generator=generator(), families={name: family(name) for name in drawn})
    assert sorted(drawn.values()) == [10, 11, 11]


def test_draw_series__fewer_series_than_families__takes_others_each_time():
    g = generator()
    lone = torch.cat([draw_series(1, 128, generator=g)[..., 0] for _ in range(60)])
    smoothness = autocorrelation(lone, 1)
    assert smoothness.max() > 0.99
    assert smoothness.min() < 0.7


def test_draw_series__many__range_from_smooth_to_noise_and_from_flat_to_heavy_tails():
    x = draw_series(500, 512, generator=generator())[..., 0]
    smoothness, kurtosis = autocorrelation(x, 1), (x**4).mean(dim=1)
    assert (smoothness > 0.99).float().mean() > 0.1
    assert (smoothness < 0.5).float().mean() > 0.1
    assert (kurtosis < 2.0).float().mean() > 0.05
    assert (kurtosis > 6.0).float().mean() > 0.05


def test_draw_series__channels_of_a_case__are_related_in_part_and_those_of_two_cases_are_not():
    x = draw_series(300, 512, 2, generator=generator())
    related = (x[..., 0] * x[..., 1]).mean(dim=1).abs()
    unrelated = (x[:-1, :, 0] * x[1:, :, 1]).mean(dim=1).abs()
    assert related.mean() > 1.3 * unrelated.mean()
    assert (related > 0.8).any()
    assert (related < 0.05).any()


@pytest.mark.parametrize("wrong", [{"n_cases": 0}, {"n_timepoints": 1}, {"n_channels": 0}])
def test_draw_series__too_few__says_which(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(
        ValueError, match=rf"'{name}' parameter of draw_series must be an int in .* Got {value} instead"
    ):
        draw_series(**({"n_cases": 2, "generator": generator()} | wrong))


def test_synthetic_batches__gone_through_twice__gives_new_series_of_new_lengths():
    batches = SyntheticBatches(6, 4, generator(), n_timepoints=(16, 64))
    first, second = list(batches), list(batches)
    assert len(first) == len(second) == len(batches) == 6
    lengths = [batch.x.shape[1] for batch in first + second]
    assert 16 <= min(lengths) < max(lengths) <= 64
    assert all(batch.observed.all() and len(batch) == 4 for batch in first)
    assert not torch.equal(first[0].x[:, :16], second[0].x[:, :16])
