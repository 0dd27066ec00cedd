"""Series to pretrain forecasters on: finite, of any season and length, seeded, and what their families say."""

import numpy as np
import pytest

from tsformer.data.forecasting_prior import FAMILIES, WEIGHTS, draw_histories, family_weights

LENGTHS = (2, 3, 13, 60, 250)


def draw(name, n=200, t=120, season=12, seed=0):
    return FAMILIES[name](n, t, season, np.random.default_rng(seed))


def autocorrelation(series, lag):
    """Of each of series (n, t), of which constant ones have none."""
    centred = series - series.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1)
    return (centred[:, lag:] * centred[:, :-lag]).mean(axis=1) / np.where(variance > 0, variance, 1.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_family__any_season_and_length__draws_as_many_finite_series_as_asked_for(name):
    for season in (1, 2, 7, 12, 52, 168, 200):
        for t in LENGTHS:
            for n in (0, 1, 9):
                series = draw(name, n, t, season)
                assert series.shape == (n, t)
                assert np.isfinite(series).all()


def test_draw_histories__any_season_and_length__are_finite():
    for season in range(1, 201):
        for t in (season // 2 + 2, 130):
            values, observed = draw_histories(5, t, season, rng=np.random.default_rng(season))
            assert values.shape == observed.shape == (5, t)
            assert values.dtype == np.float64
            assert observed.dtype == bool
            assert np.isfinite(values).all()


def test_draw_histories__seed__decides_and_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (draw_histories(30, 60, 12, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_draw_histories__gaps__single_ones_and_stretches_in_a_few_series():
    _, observed = draw_histories(4000, 100, 12, rng=np.random.default_rng(0))
    n_missing = (~observed).sum(axis=1)
    assert 0.05 < (n_missing > 0).mean() < 0.12
    assert n_missing.max() < 60
    in_a_row = (~observed[:, 1:] & ~observed[:, :-1]).sum(axis=1)
    has_gaps = n_missing > 1
    assert 0.2 < (in_a_row[has_gaps] == n_missing[has_gaps] - 1).mean() < 0.8


def test_draw_histories__levels__range_widely_and_a_few_are_negative():
    values, _ = draw_histories(2000, 60, 12, rng=np.random.default_rng(0))
    low, high = np.quantile(np.abs(values).mean(axis=1), [0.02, 0.98])
    assert low < 1
    assert high > 1e4
    assert 0.01 < (values.mean(axis=1) < 0).mean() < 0.2


def test_draw_histories__weights__choose_the_families():
    values, _ = draw_histories(300, 60, 12, rng=np.random.default_rng(0), weights={"flat": 1.0, "counts": 1.0})
    moves = (values[:, 1:] != values[:, :-1]).mean(axis=1)
    assert 0.4 < (moves < 0.15).mean() < 0.7


@pytest.mark.parametrize("season", [1, 4, 12, 24])
def test_family_weights__each_season__add_up_to_one(season):
    assert set(WEIGHTS) == set(FAMILIES)
    assert sum(family_weights(60, season).values()) == pytest.approx(1.0)


def test_family_weights__long_series_without_season__are_mostly_walks():
    long, short = family_weights(300, 1), family_weights(40, 1)
    assert max(long, key=lambda name: long[name]) == "walks"
    assert short["walks"] < 0.2


@pytest.mark.parametrize(("name", "value"), [("n_series", 0), ("n_timepoints", 1), ("season", 0)])
def test_draw_histories__too_small__says_what_is_expected(name, value):
    given = {"n_series": 3, "n_timepoints": 20, "season": 4} | {name: value}
    with pytest.raises(
        ValueError, match=rf"'{name}' parameter of draw_histories must be an int .* Got {value} instead"
    ):
        draw_histories(**given, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("name", "season"), [("structural", 12), ("sarima", 4), ("economies", 12), ("sensors", 24)])
def test_seasonal_family__told_the_season__repeats_at_it_more_than_beside_it(name, season):
    changes = np.diff(draw(name, 500, 12 * season, season))
    at, beside = (np.median(autocorrelation(changes, lag)) for lag in (season, season + season // 2 - 1))
    assert at > beside + 0.1
    walk = np.diff(draw("walks", 500, 12 * season, season))
    assert at > np.median(autocorrelation(walk, season)) + 0.1


@pytest.mark.parametrize("season", [168, 336])
def test_structural__season_of_a_week__repeats_by_the_day_too(season):
    changes = np.diff(draw("structural", 300, 3 * season, season))
    day = season // 7
    assert np.mean(autocorrelation(changes, day)) > np.mean(autocorrelation(changes, day + day // 2 - 1)) + 0.1


def test_structural__season_of_a_day__has_a_week_over_it_in_part():
    changes = np.diff(draw("structural", 300, 24 * 35, 24))
    gain = autocorrelation(changes, 168) - autocorrelation(changes, 144)
    assert 0.15 < np.mean(gain > 0.03) < 0.6


def test_walks__their_steps__cannot_be_foretold():
    steps = np.diff(draw("walks", 1000, 200, 1))
    for lag in (1, 2, 5):
        assert abs(autocorrelation(steps, lag).mean()) < 0.02


def test_walks__their_volatility__comes_in_clusters():
    sizes = np.abs(np.diff(draw("walks", 1000, 400, 1)))
    ranks = sizes.argsort(axis=1).argsort(axis=1).astype(float)
    clustering = autocorrelation(ranks, 1)
    assert np.mean(clustering > 0.15) > 0.2
    assert np.mean(clustering < 0.1) > 0.3


@pytest.mark.parametrize("name", ["counts", "intermittent"])
def test_counted_family__values__are_whole_numbers_of_some_unit_and_not_negative(name):
    series = draw(name, 400, 120)
    series = series[series.max(axis=1) > 0]
    assert len(series) > 350
    assert series.min() == 0
    steps = np.diff(np.sort(series, axis=1), axis=1)
    unit = np.where(steps > 1e-9 * series.max(axis=1, keepdims=True), steps, np.inf).min(axis=1, keepdims=True)
    whole = np.isclose(series / unit, (series / unit).round(), atol=1e-6).all(axis=1)
    assert whole.mean() > 0.75  # elsewhere no two values are a unit apart
    assert 0.4 < (series == series.round()).all(axis=1).mean() < 0.65


def test_intermittent__values__are_mostly_zero():
    zeros = (draw("intermittent", 400, 120) == 0).mean(axis=1)
    assert np.median(zeros) > 0.6
    assert zeros.min() > 0.1


def test_flat__values__change_rarely_or_never():
    changes = np.diff(draw("flat", 400, 120)) != 0
    assert 0.3 < (changes.sum(axis=1) == 0).mean() < 0.9
    assert changes.mean(axis=1).max() < 0.25


def test_sensors__level__is_smooth_and_comes_back():
    series = draw("sensors", 300, 24 * 40, 24)
    assert np.median(autocorrelation(series, 1)) > 0.7
    first, last = series[:, :240].mean(axis=1), series[:, -240:].mean(axis=1)
    assert np.median(np.abs(first - last) / series.std(axis=1)) < 0.6


def test_economies__growth__goes_on():
    series = np.log(draw("economies", 500, 40, 1))
    past, future = series[:, 29] - series[:, 0], series[:, 39] - series[:, 29]
    assert (past > 0).mean() > 0.7
    assert np.corrcoef(past, future)[0, 1] > 0.4
