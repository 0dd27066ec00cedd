"""benchmarks/anomaly.py and anomaly_sets.py: made series say what was altered, and scores are measured rightly."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import anomaly_sets

from tsformer.datasets import load_classification

DATASETS = Path(__file__).parents[1] / "datasets"


def made(seed, name="ItalyPowerDemand"):
    return anomaly_sets.from_cases(name, DATASETS, seed)


def test_from_cases__seed__decides():
    first, again, other = made(3), made(3), made(4)
    np.testing.assert_array_equal(first.values, again.values)
    assert first.anomalies == again.anomalies
    assert len(other.values) != len(first.values) or not np.array_equal(other.values, first.values)


@pytest.mark.parametrize("seed", range(3))
def test_from_cases__labels__are_those_of_four_anomalies_far_from_each_other(seed):
    series = made(seed)
    assert series.labels.shape == series.values.shape == (len(series.values),)
    assert not series.labels[: series.train_end].any()
    expected = np.zeros(len(series.labels), dtype=bool)
    for anomaly in series.anomalies:
        assert series.train_end < anomaly.start < anomaly.end < len(expected)
        expected[anomaly.start : anomaly.end] = True
    np.testing.assert_array_equal(series.labels, expected)
    assert len(series.anomalies) == 4
    gaps = [after.start - before.end for before, after in zip(series.anomalies, series.anomalies[1:], strict=False)]
    assert min(gaps) >= series.cycle // 2


def test_from_cases__training_part__is_cycles_of_the_commonest_class(monkeypatch):
    monkeypatch.setattr(anomaly_sets, "NOISE", 0.0)
    X, y = load_classification("ItalyPowerDemand", "train", DATASETS)
    classes, counts = np.unique(y, return_counts=True)
    normal = {case.tobytes() for case in X[y == classes[counts.argmax()]][:, 0]}
    series = made(0)
    cycles = series.values[: series.train_end].reshape(-1, series.cycle)
    assert len(cycles) == anomaly_sets.N_TRAIN
    assert all(cycle.tobytes() in normal for cycle in cycles)


def test_from_cases__nine_seeds__show_each_kind_four_times():
    kinds = [anomaly.kind for seed in range(9) for anomaly in made(seed).anomalies]
    assert {kind: kinds.count(kind) for kind in anomaly_sets.KINDS} == dict.fromkeys(anomaly_sets.KINDS, 4)


def test_from_cases__several_channels__are_altered_where_it_says():
    series = made(0, "BasicMotions")
    assert series.values.shape == (6, len(series.labels))
    assert {len(anomaly.channels) for seed in range(2) for anomaly in made(seed, "BasicMotions").anomalies} == {1, 6}


@pytest.mark.parametrize("kind", [kind for kind in anomaly_sets.KINDS if kind != anomaly_sets.ANOTHER_CLASS])
def test_kinds__what_they_alter__lies_in_the_interval(kind):
    rng = np.random.default_rng(0)
    cycle = np.sin(np.arange(2 * 48).reshape(2, 48) / 7) + 0.1 * rng.normal(size=(2, 48))
    altered = anomaly_sets.KINDS[kind](cycle, np.ones((2, 1)), rng)
    if kind in anomaly_sets.IN_ALL_CHANNELS:
        n_before = (
            (altered.start + altered.end) // 2 if kind == "missing" else altered.start
        )  # the seam is in its middle
        n_after = altered.values.shape[1] - (n_before if kind == "missing" else altered.end)
        kept = np.delete(altered.values, np.s_[n_before : altered.values.shape[1] - n_after], axis=1)
        np.testing.assert_array_equal(kept, np.delete(cycle, np.s_[n_before : 48 - n_after], axis=1))
    else:
        (changed,) = np.nonzero((altered.values != cycle).any(axis=0))
        assert altered.start <= changed.min()
        assert changed.max() < altered.end
        assert (altered.values != cycle).any(axis=1).all()


def test_is_usable__short_or_unequal_cases__are_left_out():
    usable = [name for name in ("GunPoint", "JapaneseVowels") if anomaly_sets.is_usable(name, DATASETS)]
    assert usable == ["GunPoint"]


@pytest.mark.parametrize("name", anomaly_sets.PROCESSES)
def test_from_process__kinds__are_those_that_need_no_period(name):
    series = anomaly_sets.from_process(name, 0)
    assert sorted(anomaly.kind for anomaly in series.anomalies) == sorted(anomaly_sets.WITHOUT_PERIOD)
    assert np.isfinite(series.values).all()
    assert series.labels[series.train_end :].sum() == 3 + 3 * (anomaly_sets.STRETCH // 2)
