"""benchmarks/anomaly.py and anomaly_sets.py: made series say what was altered, and scores are measured rightly."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import anomaly
import anomaly_rivals
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
    for _, start, end, _ in series.anomalies:
        assert series.train_end < start < end < len(expected)
        expected[start:end] = True
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


def archived(folder, values):
    """Write a series of 420 points whose points 301 to 310, counted from 1, are anomalous, and read it."""
    pd.DataFrame({"value": values}).to_csv(folder / "001_made_100_301_310.csv.gz", index=False)
    return anomaly_sets.from_archive("001_made_100_301_310", folder)


@pytest.mark.parametrize(
    ("top", "expected"), [(199, False), (200, True), (300, True), (309, True), (409, True), (410, False)]
)
def test_is_right__top_score__counts_within_100_points_of_the_anomaly(tmp_path, top, expected):
    series = archived(tmp_path, np.arange(420.0))
    assert (series.train_end, series.values[300], series.labels.sum(), series.labels[300:310].all()) == (
        100,
        300,
        10,
        True,
    )
    scores = np.zeros(420)
    scores[50] = 9.0  # in the training part, which does not count
    scores[top] = 1.0
    assert anomaly.is_right(scores, series) is expected


def test_metrics__scores_that_know_the_labels__are_far_above_noise():
    series = made(0)
    rng = np.random.default_rng(0)
    noise = rng.random(len(series.labels))
    smooth = np.convolve(series.labels, np.hanning(25), "same")
    perfect, random = anomaly.metrics(smooth + 1e-6 * noise, series), anomaly.metrics(noise, series)
    assert perfect["vus_pr"] > 0.95
    assert anomaly.metrics(series.labels + 1e-6 * noise, series)["auc_pr"] > 0.999
    assert max(random.values()) < 0.1


def test_metrics__points_without_score__are_the_least_anomalous():
    series = made(0)
    scores = np.random.default_rng(0).random(len(series.labels)) + series.labels
    gaps = np.flatnonzero(~series.labels)[::3]
    gappy, least = scores.copy(), scores.copy()
    gappy[gaps], least[gaps] = np.nan, scores[np.setdiff1d(np.arange(len(scores)), gaps)].min()
    assert anomaly.metrics(gappy, series) == anomaly.metrics(least, series)
    with pytest.warns(UserWarning, match="constant"):
        assert set(anomaly.metrics(np.full(len(scores), np.nan), series).values()) == {0.0}


def test_metrics__training_part__does_not_count():
    series = made(0)
    scores = np.random.default_rng(0).random(len(series.labels))
    praised = np.where(np.arange(len(scores)) < series.train_end, 100.0, scores)
    assert anomaly.metrics(praised, series) == anomaly.metrics(scores, series)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_rivals__sine__has_its_period_and_the_highest_score_at_the_spike(n_channels):
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(800) * 2 * np.pi / 40) + 0.05 * rng.normal(size=(n_channels, 800))
    x[0, 600] += 3.0
    x = x if n_channels > 1 else x[0]
    train = x[..., :400]
    assert anomaly_rivals.period_of(train) == 40
    for rival in (anomaly_rivals.sub_pca, anomaly_rivals.neighbours, anomaly_rivals.normalised_neighbours):
        scores = rival(train, x, 0)
        assert scores.shape == (800,)
        assert 560 <= scores.argmax() <= 640


def test_spread__windows__are_averaged_over_the_points_they_hold():
    np.testing.assert_allclose(anomaly_rivals.spread(np.array([1.0, 3.0, 8.0]), 2), [1.0, 2.0, 5.5, 8.0])


def test_main__rival_on_a_small_set__writes_rows_once_and_tables(tmp_path, capsys):
    (tmp_path / "ucr").symlink_to(DATASETS)
    out = tmp_path / "r.csv"
    command = ["--data", str(tmp_path), "--groups", "cycles", "--methods", "Sub-PCA", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anomaly, "names_of", lambda group, data: ["ItalyPowerDemand"])
        assert anomaly.main(command) == 0
        assert anomaly.main([*command, "--seeds", "0", "1"]) == 0
    assert "1 of 2 rows are there, 1 to go." in capsys.readouterr().out
    rows = pd.read_csv(out)
    assert rows[["series", "method", "seed"]].to_numpy().tolist() == [
        ["ItalyPowerDemand", "Sub-PCA", s] for s in (0, 1)
    ]
    assert rows["vus_pr"].between(0.05, 1).all()
    assert rows[["commit", "device", "threads", "seconds", "versions"]].notna().all(axis=None)
    assert "| Sub-PCA |" in out.with_suffix(".md").read_text()


def test_main__absent_folder__is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"no folder .*anomaly, which the group 'archive' comes from"):
        anomaly.main(["--data", str(tmp_path), "--methods", "Sub-PCA", "--out", str(tmp_path / "r.csv")])


@pytest.mark.parametrize(("period", "expected"), [(250, 250), (350, 125), (0, 125)])
def test_period_of__none_or_above_300__is_125(period, expected):
    steps = np.arange(4000)
    x = np.sin(steps * 2 * np.pi / period) if period else steps.astype(float)
    assert anomaly_rivals.period_of(x) == expected
