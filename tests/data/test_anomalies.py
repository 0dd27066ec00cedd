"""Explanations of anomalies: kinds, beginnings and ends, and what was expected, of scaled series with scores."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tsformer.data.anomalies import (
    AMPLITUDE,
    FLAT,
    LEVEL,
    NOISE,
    PHASE,
    SHAPE,
    SPIKE,
    core,
    find_anomalies,
    learn_usual,
    stretches,
)
from tsformer.data.courses import MOST, distances, no_courses, runs_of

PERIOD, LENGTH = 48, 24


def sine(n: int, seed: int = 0) -> np.ndarray:
    """Two waves, whose shape is not that of its reverse, with noise."""
    t = 2.0 * np.pi * np.arange(n) / PERIOD
    return np.sin(t) + 0.5 * np.sin(2.0 * t + 1.0) + 0.05 * np.random.default_rng(seed).normal(size=n)


def walk(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n).cumsum()


def courses_of(*series):
    rows = [np.atleast_2d(x).T for x in series]
    times = [pd.RangeIndex(len(x)) for x in rows]
    return no_courses(rows[0].shape[1]).joined(rows, times, list(range(len(rows))))


def usual_of(*series, period=PERIOD):
    return learn_usual(courses_of(*series), LENGTH, period)


def scores_around(n: int, start: int, end: int) -> np.ndarray:
    """Scores that rise about half a window before an anomaly, and fall as late."""
    t = np.arange(n)
    return np.maximum(0.0, 3.0 - np.maximum(start - t, t - end + 1).clip(0) / (LENGTH / 4))


def explained(values, start, end, usual):
    rows = np.atleast_2d(values).T
    scores = scores_around(len(rows), start, end)
    alone = scores[:, None] if rows.shape[1] == 1 else np.zeros(rows.shape)
    (found,) = find_anomalies(rows, scores, alone, 1.0, usual)
    return found


def overlap(found, start, end) -> float:
    return max(0, min(found.end, end) - max(found.start, start)) / (max(found.end, end) - min(found.start, start))


def with_spike(x, at):
    x[at] += 4.0
    return x, at, at + 1


def with_level(x, at):
    x[at : at + LENGTH] -= 1.5
    return x, at, at + LENGTH


def with_flat(x, at):
    x[at : at + LENGTH] = x[at]
    return x, at, at + LENGTH


def with_amplitude(x, at):
    x[at : at + PERIOD] *= 0.4
    return x, at, at + PERIOD


def with_larger_amplitude(x, at):
    x[at : at + PERIOD] *= 1.8
    return x, at, at + PERIOD


def without_half(x, at):
    return np.delete(x, np.s_[at : at + PERIOD // 2]), at - PERIOD // 8, at + PERIOD // 8


def with_half_again(x, at):
    return np.insert(x, at, x[at - PERIOD // 2 : at]), at, at + PERIOD // 2


def with_noise(x, at):
    x[at : at + LENGTH] += np.random.default_rng(7).normal(size=LENGTH)
    return x, at, at + LENGTH


def backwards(x, at):
    x[at : at + PERIOD] = x[at : at + PERIOD][::-1]
    return x, at, at + PERIOD


KINDS = [
    *((with_spike, SPIKE), (with_level, LEVEL), (with_flat, FLAT), (with_amplitude, AMPLITUDE)),
    *((with_larger_amplitude, AMPLITUDE), (without_half, PHASE), (with_half_again, PHASE), (with_noise, NOISE)),
    (backwards, SHAPE),
]


@pytest.mark.parametrize("at", [480, 497, 511])
@pytest.mark.parametrize(("alter", "kind"), KINDS)
def test_find_anomalies__wave__are_named_and_placed(alter, kind, at):
    values, start, end = alter(sine(960, 1), at)
    found = explained(values, start, end, usual_of(sine(960)))
    assert found.kind == kind
    assert overlap(found, start, end) >= 0.3
    assert found.start <= found.at < found.end
    assert found.score == 3.0


def test_find_anomalies__up_and_then_down__is_a_shape_as_long_as_both():
    values, start = sine(960, 1), 480 + PERIOD // 4
    middle, end = start + PERIOD // 2, start + PERIOD
    values[start:middle] += 1.5
    values[middle:end] -= 1.0
    found = explained(values, start, end, usual_of(sine(960)))
    assert found.kind == SHAPE
    assert overlap(found, start, end) > 0.7


@pytest.mark.parametrize(("alter", "kind"), [(with_spike, SPIKE), (with_flat, FLAT), (with_noise, NOISE)])
def test_find_anomalies__walk_without_period__are_named_and_placed(alter, kind):
    values, start, end = alter(walk(900, 1) / 4.0, 500)
    found = explained(values, start, end, usual_of(walk(900) / 4.0, period=1))
    assert found.kind == kind
    assert overlap(found, start, end) >= 0.3


def test_find_anomalies__level_that_wanders__is_expected_where_it_is_beside():
    drift = np.linspace(0.0, 20.0, 960)
    values, start, end = with_level(sine(960, 1) + drift, 480)
    found = explained(values, start, end, usual_of(sine(960)))
    assert (found.kind, overlap(found, start, end) > 0.8) == (LEVEL, True)
    expected = found.zone.expected[start - found.zone.start : end - found.zone.start, 0]
    assert_allclose(expected, (sine(960, 1) + drift)[start:end], atol=0.3)


def test_find_anomalies__one_channel_of_three__is_named():
    rows = np.stack([sine(960, 1), sine(960, 2)[::-1], sine(960, 3) * 2.0])
    rows[1], start, end = with_level(rows[1].copy(), 500)
    found = explained(rows, start, end, usual_of(np.stack([sine(960, 4), sine(960, 5)[::-1], sine(960, 6) * 2.0])))
    assert (found.kind, found.channel) == (LEVEL, 1)
    assert overlap(found, start, end) > 0.8


def test_find_anomalies__expectation_and_band__are_those_of_normal_courses():
    values, start, end = with_flat(sine(960, 1), 480)
    zone = explained(values, start, end, usual_of(sine(960))).zone
    normal = sine(960, 1)[zone.start : zone.end]
    low, high = zone.band[..., 0]
    assert_allclose(zone.expected[:, 0], normal, atol=0.25)
    assert (low <= zone.expected[:, 0]).all()
    assert (zone.expected[:, 0] <= high).all()
    assert np.mean((low - 0.1 < normal) & (normal < high + 0.1)) > 0.9


def test_find_anomalies__similar_window__is_in_phase():
    values, start, end = with_spike(sine(960, 1), 500)
    found = explained(values, start, end, usual_of(sine(960)))
    begin = (start + end - LENGTH) // 2
    assert (found.similar - begin) % PERIOD in (0, 1, PERIOD - 1)


def test_find_anomalies__missing_values_inside_and_beside__change_no_kind():
    values, start, end = with_level(sine(960, 1), 480)
    values[[485, 490, 491]], values[440:450], values[520:525] = np.nan, np.nan, np.nan
    found = explained(values, start, end, usual_of(sine(960)))
    assert (found.kind, overlap(found, start, end) > 0.7) == (LEVEL, True)


@pytest.mark.parametrize("at", [0, 960 - LENGTH])
def test_find_anomalies__at_the_edge__are_compared_by_one_side(at):
    values, start, end = with_level(sine(960, 1), at)
    found = explained(values, start, end, usual_of(sine(960)))
    assert overlap(found, start, end) >= 0.3


def test_find_anomalies__all_is_odd__is_one_anomaly():
    values = np.full(500, 3.0)
    (found,) = find_anomalies(values[:, None], np.full(500, 2.0), np.full((500, 1), 2.0), 1.0, usual_of(sine(400)))
    assert (found.kind, found.start, found.end) == (FLAT, 0, 500)


def test_find_anomalies__constant_normal_series__tell_a_spike():
    values = np.zeros(300)
    values[150] = 1.0
    found = explained(values, 150, 151, usual_of(np.zeros(300), period=1))
    assert (found.kind, found.start, found.end) == (SPIKE, 150, 151)


def test_find_anomalies__two_that_are_apart__come_in_order():
    values, *first = with_level(sine(960, 1), 300)
    values, *second = with_flat(values, 600)
    scores = np.maximum(scores_around(960, *first), scores_around(960, *second) + 1.0)
    scores[scores == 1.0] = 0.0
    found = find_anomalies(values[:, None], scores, scores[:, None], 1.5, usual_of(sine(960)))
    assert [one.kind for one in found] == [LEVEL, FLAT]


def changed_for_good() -> tuple[np.ndarray, np.ndarray]:
    """Two channels, the second constant until it rises at 500, and their scores; the first has steps at 200 and 700."""
    values, *first = with_level(sine(960, 1), 200)
    values, *second = with_level(values, 700)
    alone = np.stack([np.maximum(scores_around(960, *first), scores_around(960, *second)), np.zeros(960)], axis=1)
    alone[480:, 1] = 1000.0
    return np.stack([values, (np.arange(960) >= 500).astype(float)], axis=1), alone


def test_find_anomalies__constant_channel_that_changes_for_good__is_named_and_hides_no_others():
    rows, alone = changed_for_good()
    found = find_anomalies(rows, alone.max(axis=1), alone, 1.0, usual_of(np.stack([sine(960), np.zeros(960)])))
    told = [(one.kind, one.channel, one.start, one.end) for one in found]
    assert [one[:2] for one in told] == [(LEVEL, 0), (LEVEL, 1), (LEVEL, 0)]
    assert_allclose([one[2] for one in told], [200, 500, 700], atol=3)
    assert told[1][3] == 960
    assert_allclose(found[1].zone.expected[:, 1], 0.0)


@pytest.mark.parametrize("end", [3000, 2500])
def test_find_anomalies__level_that_stays_long__begins_at_the_step_and_lasts(end):
    values, t = sine(3000, 1), np.arange(3000)
    values[500:end] += 2.0
    scores = np.where((t >= 490) & (t < end + LENGTH // 2), 5.0, 0.0)
    scores[500] = 20.0
    (found,) = find_anomalies(values[:, None], scores, scores[:, None], 1.0, usual_of(sine(960)))
    assert (found.kind, found.end, abs(found.start - 500) <= 4) == (LEVEL, end, True)


@pytest.mark.parametrize("n", [36, 45, 60])
@pytest.mark.parametrize("at", [8, 28, 44, 52])
def test_find_anomalies__courses_of_less_than_two_windows__zone_holds_what_is_odd(n, at):
    t, starts = np.arange(60), range(0, PERIOD, 5)
    courses = [sine(120, start)[start : start + n] for start in starts]
    values = sine(60, 99)
    values[at] += 4.0
    scores = np.where(np.abs(t - at) < LENGTH, 3.0, 0.0)  # as long as a spike is in windows
    (found,) = find_anomalies(values[:, None], scores, scores[:, None], 1.0, usual_of(*courses, period=1))
    assert (found.zone.start <= at < found.zone.end, found.at) == (True, at)


@pytest.mark.parametrize("later", [0, 12, 22, 23, 24, 25])
@pytest.mark.parametrize("period", [12, PERIOD])
def test_find_anomalies__core_beside_a_jump__where_it_strays_lies_inside_and_in_its_zone(period, later):
    t = np.arange(480)
    values = np.sin(2.0 * np.pi * (t + np.where(t < 240, 0, max(3, period // 4))) / period)
    scores = np.where((t >= 240 - LENGTH // 2 - later) & (t < 240 - later), 3.0, 0.0)
    usual = usual_of(np.sin(2.0 * np.pi * np.arange(480) / period), period=period)
    for found in find_anomalies(values[:, None], scores, scores[:, None], 1.0, usual):
        assert max(found.start, found.zone.start) <= found.at < min(found.end, found.zone.end)


def with_scores_of(channel: int, scores: np.ndarray) -> np.ndarray:
    alone = np.zeros((len(scores), 2))
    alone[:, channel] = scores
    return alone


@pytest.mark.parametrize("channel", [0, 1])
def test_find_anomalies__half_a_cycle_missing_in_both_channels__is_of_the_one_that_scores_say(channel):
    rows = np.stack([without_half(sine(960, i), 480)[0] for i in (1, 2)], axis=1)
    scores = scores_around(len(rows), 474, 486)
    usual = usual_of(np.stack([sine(960), sine(960, 3)]))
    (found,) = find_anomalies(rows, scores, with_scores_of(channel, scores), 1.0, usual)
    assert (found.kind, found.channel) == (PHASE, channel)


def test_find_anomalies__half_a_cycle_missing_in_another_channel__is_no_reason():
    rows = np.stack([without_half(sine(960, 1), 500)[0], sine(960, 2)[:-24] / 2.0], axis=1)
    rows[460:484, 1] -= 1.0
    scores = scores_around(len(rows), 460, 484)
    usual = usual_of(np.stack([sine(960), sine(960, 3) / 2.0]))
    (found,) = find_anomalies(rows, scores, with_scores_of(1, scores), 1.0, usual)
    assert (found.kind, found.channel, abs(found.start - 460) <= 3) == (LEVEL, 1, True)


def test_find_anomalies__the_same_in_two_channels__is_one():
    rows = np.stack([sine(960, 1), sine(960, 2)], axis=1)
    rows[500:524] += 2.0
    scores = scores_around(960, 500, 524)
    (found,) = find_anomalies(rows, scores, np.stack([scores, scores / 2.0], axis=1), 1.0, usual_of(rows[:400].T))
    assert (found.kind, found.channel, found.score) == (LEVEL, 0, 3.0)


def test_find_anomalies__nothing_above_the_threshold__are_none():
    scores = np.full(300, 0.5)
    scores[100:120] = np.nan
    assert find_anomalies(sine(300)[:, None], scores, scores[:, None], 1.0, usual_of(sine(960))) == []


def test_stretches__gaps__are_closed_up_to_a_length():
    odd = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    assert stretches(odd, 1) == [(0, 4), (7, 8)]
    assert stretches(odd, 0) == [(0, 2), (3, 4), (7, 8)]
    assert stretches(np.zeros(5, bool), 1) == []


def test_core__long_stretch__is_what_is_half_as_high_as_its_peak():
    scores = np.array([0.0, 2.0, 2.0, 5.0, 8.0, np.nan, 8.0, 2.0])
    assert core(scores, 1, 8, 1.0) == (3, 5)


def test_distances__query_with_gaps__are_means_over_what_is_known():
    courses = courses_of(np.stack([sine(50), walk(50)]))
    query = np.random.default_rng(0).normal(size=(7, 2))
    query[2, 0] = np.nan
    wanted = np.arange(7) != 4
    by_hand = [np.nanmean(np.square(query - courses.values[i : i + 7])[wanted]) for i in range(44)]
    assert_allclose(distances(courses, query, wanted[:, None]), by_hand)


def test_distances__stretches_over_two_runs__are_infinite():
    found = distances(courses_of(sine(20), sine(20)), sine(5)[:, None])
    assert_array_equal(np.flatnonzero(np.isinf(found)), [16, 17, 18, 19])


def test_courses__gaps__are_lines():
    courses = courses_of(np.array([np.nan, 1.0, np.nan, 3.0]))
    assert_array_equal(courses.values[:, 0], [1.0, 1.0, 2.0, 3.0])


def test_courses__more_than_there_is_room_for__keep_the_last_points():
    courses = courses_of(np.arange(10.0), np.arange(MOST - 4.0)).joined(
        [np.full((3, 1), -1.0)], [pd.RangeIndex(3)], ["c"]
    )
    assert len(courses.values) == len(courses.runs) == len(courses.times) == MOST
    assert_array_equal(courses.values[[0, 0, -1], 0], [9.0, 9.0, -1.0])
    assert [courses.ids[run] for run in np.unique(courses.runs)] == [0, 1, "c"]


def test_runs_of__short_ones__are_left_out():
    assert runs_of(np.array([1, 1, 0, 1, 1, 1], bool), 3) == [slice(3, 6)]
