"""The period that series show."""

import numpy as np
import pytest

from tsformer.data.periods import find_period

RNG = np.random.default_rng(0)
MOST = np.finfo(float).max


def wave(period: float, n: int = 600, noise: float = 0.3) -> np.ndarray:
    return (np.sin(2 * np.pi * np.arange(n) / period) + noise * RNG.normal(size=n))[:, None]


@pytest.mark.parametrize("period", [16, 24, 50, 117, 150])
def test_find_period__noisy_waves__is_theirs(period):
    assert find_period([wave(period)]) == pytest.approx(period, rel=0.1)


def test_find_period__pulses__is_that_from_one_to_the_next():
    assert find_period([(np.arange(400) % 30 == 0).astype(float)[:, None]]) == 30


def test_find_period__several_series_and_channels__is_what_they_have_in_common():
    both = np.hstack([wave(40), 5.0 + 0.1 * wave(40)])
    assert find_period([both, wave(40, 200).repeat(2, axis=1)]) == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize(
    "rows",
    [
        RNG.normal(size=600),
        RNG.normal(size=600).cumsum(),
        np.arange(600.0),
        np.zeros(600),
        np.full(600, 3.3),
        np.full(600, np.nan),
        np.ones(1),
        wave(150, 300)[:, 0],
    ],
    ids=["noise", "random walk", "line", "zeros", "constant", "missing", "one value", "two periods"],
)
def test_find_period__none_or_too_few__is_1(rows):
    assert find_period([rows[:, None]]) == 1


def test_find_period__missing_values__are_left_out():
    rows = wave(40)
    rows[RNG.random(600) < 0.3] = np.nan
    rows[200:280] = np.nan
    assert find_period([rows]) == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e308, 1e-308])
def test_find_period__any_size__is_the_same(factor):
    assert find_period([factor * wave(40, noise=0.1)]) == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize("value", [1e4, -1e9, MOST, -MOST])
def test_find_period__one_extreme_value__hides_it_not(value):
    rows = wave(40)
    rows[100] = value
    assert find_period([rows]) == pytest.approx(40, rel=0.1)


def test_find_period__cycles_that_repeat_best_after_several__is_one_of_them():
    cycle, differences = RNG.normal(size=50), RNG.normal(size=(2, 50))
    one, another = cycle + 0.55 * differences
    assert find_period([np.tile(np.r_[one, one, another], 10)[:, None]]) == 50


def test_find_period__days_that_differ_by_weekday__is_a_week():
    week = np.repeat([1.0, 1.0, 0.9, 1.0, 1.1, 0.1, 0.0], 24) * np.tile(1.0 + np.sin(np.arange(24) / 24 * 2 * np.pi), 7)
    assert find_period([np.tile(week, 10)[:, None]]) == 168
