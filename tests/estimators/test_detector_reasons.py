"""TransformerDetector.explain: the frame it gives, in the times and units of what came."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tsformer import TransformerDetector, load, save
from tsformer.data.anomalies import KINDS
from tsformer.data.courses import MOST

PERIOD, N_TRAIN = 40, 480
COLUMNS = [*("start", "end", "channel", "score", "rarity", "kind", "value", "expected", "lower", "upper"), "similar"]
HOURS = pd.date_range("2024-01-01", periods=960, freq="h")


def wave(seed: int = 0) -> np.ndarray:
    t = 2.0 * np.pi * np.arange(960) / PERIOD
    return np.sin(t) + 0.5 * np.sin(2.0 * t + 1.0) + 0.05 * np.random.default_rng(seed).normal(size=960)


def odd_wave(seed: int = 0) -> np.ndarray:
    """A level shift and a spike after the training part."""
    x = wave(seed)
    x[600:620] += 2.0
    x[800] -= 5.0
    return x


def names(table: pd.DataFrame) -> list[tuple]:
    """Start, end and kind of the two worst, in the order of time."""
    worst = table.nlargest(2, "score").sort_index()
    return list(worst[["start", "end", "kind"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def fitted() -> TransformerDetector:
    return TransformerDetector(device="cpu").fit(odd_wave()[:N_TRAIN])


SERIES = pd.Series(odd_wave(), HOURS, name="load")


@pytest.fixture(scope="module")
def fitted_on_hours() -> TransformerDetector:
    return TransformerDetector(device="cpu").fit(SERIES[:N_TRAIN])


def test_explain__array__tells_intervals_kinds_and_what_was_expected(fitted):
    table = fitted.explain(odd_wave())
    assert list(table.columns) == COLUMNS
    assert names(table) == [(600, 619, "level shift"), (800, 800, "spike")]
    assert table["start"].is_monotonic_increasing
    assert set(table["kind"]) <= set(KINDS)
    for anomaly in table.nlargest(2, "score").itertuples():
        assert anomaly.lower <= anomaly.expected <= anomaly.upper
        at = np.flatnonzero(odd_wave() == anomaly.value)
        assert anomaly.start <= at[0] <= anomaly.end
        assert_allclose(anomaly.expected, wave()[at[0]], atol=0.3)
        assert 0 <= anomaly.similar <= N_TRAIN
        assert anomaly.rarity == 0.0


def test_explain__score__is_the_highest_of_score_samples_inside(fitted):
    scores = -fitted.score_samples(odd_wave())
    for anomaly in fitted.explain(odd_wave()).nlargest(2, "score").itertuples():
        assert_allclose(anomaly.score, scores[anomaly.start - 5 : anomaly.end + 6].max())


def test_explain__other_units__scale_values_alone(fitted):
    factor, shift = 1e4, -3e5
    other = TransformerDetector(device="cpu").fit(odd_wave()[:N_TRAIN] * factor + shift)
    later = odd_wave()[N_TRAIN:]
    table, scaled = fitted.explain(later), other.explain(later * factor + shift)
    assert names(table) == names(scaled)
    worst, scaled = (each.nlargest(2, "score") for each in (table, scaled))
    for column in ("value", "expected", "lower", "upper"):
        assert_allclose(scaled[column], worst[column] * factor + shift, rtol=1e-6)


def test_explain__normal_series__is_an_empty_frame_of_the_same_columns(fitted):
    empty, table = fitted.explain(odd_wave()[:N_TRAIN]), fitted.explain(odd_wave())
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
    pd.testing.assert_series_equal(empty.dtypes, table.dtypes)


def test_explain__contamination__tells_how_rare_what_is_found_was_in_training():
    detector = TransformerDetector(contamination=0.05, device="cpu").fit(wave()[:N_TRAIN])
    table = detector.explain(odd_wave())
    assert ((table["rarity"] >= 0.0) & (table["rarity"] <= 0.05)).all()
    assert (table["rarity"] > 0.0).any()


def test_explain__series__has_its_times(fitted_on_hours):
    table = fitted_on_hours.explain(SERIES)
    assert names(table) == [(HOURS[600], HOURS[619], "level shift"), (HOURS[800], HOURS[800], "spike")]
    assert set(table["channel"]) == {"load"}
    assert (table["similar"] < HOURS[N_TRAIN]).all()


def test_explain__long_frame__has_ids_of_both():
    parts = {"a": odd_wave(1), "b": wave(2)}
    frame = pd.concat([pd.DataFrame({"unique_id": id, "ds": HOURS, "y": x}) for id, x in parts.items()])
    detector = TransformerDetector(device="cpu").fit(frame[frame["ds"] < HOURS[N_TRAIN]])
    table = detector.explain(frame[frame["ds"] >= HOURS[N_TRAIN]])
    assert list(table.columns) == ["unique_id", *COLUMNS, "similar_id"]
    assert names(table[table["unique_id"] == "a"])[1] == (HOURS[800], HOURS[800], "spike")
    assert set(table["similar_id"]) <= {"a", "b"}


def test_explain__list_of_arrays__numbers_them(fitted):
    later = odd_wave()[N_TRAIN:]
    table = fitted.explain([wave()[N_TRAIN:], later])
    assert list(table.columns) == ["unique_id", *COLUMNS]
    pd.testing.assert_frame_equal(
        table[table["unique_id"] == 1].drop(columns="unique_id").reset_index(drop=True), fitted.explain(later)
    )


def test_explain__missing_stretch__is_none(fitted):
    x = wave()
    x[640:700] = np.nan
    table = fitted.explain(x)
    assert not ((table["start"] < 700) & (table["end"] >= 640)).any()


def test_explain__constant_channel_that_changes_for_good__is_blamed_and_hides_no_others():
    dead = np.zeros(N_TRAIN)
    detector = TransformerDetector(device="cpu").fit(np.stack([wave()[:N_TRAIN], dead]))
    changed = (np.arange(480) >= 100).astype(float)
    table = detector.explain(np.stack([odd_wave()[N_TRAIN:], changed]))
    assert names(table[table["channel"] == 1]) == [(100, 479, "level shift")]
    assert names(table[table["channel"] == 0])[-1] == (320, 320, "spike")
    (shift,) = table[table["channel"] == 1].itertuples()
    assert (shift.value, shift.expected, shift.lower, shift.upper) == (1.0, 0.0, 0.0, 0.0)


def test_explain__saved_and_loaded__is_the_same(tmp_path, fitted_on_hours):
    save(fitted_on_hours, tmp_path / "detector.safetensors")
    loaded = load(tmp_path / "detector.safetensors")
    later = SERIES[N_TRAIN:]
    pd.testing.assert_frame_equal(loaded.explain(later), fitted_on_hours.explain(later))


def test_update__normal_series__give_expectations_and_similar_windows():
    detector = TransformerDetector(device="cpu").fit(wave()[:N_TRAIN])
    before = len(detector.courses_.values)
    detector.update(odd_wave())
    added = len(detector.courses_.values) - before
    assert 960 - 200 < added < 960 - 20  # but for what was odd
    assert len(detector.courses_.values) <= MOST
    assert not (np.abs(detector.courses_.values) > 4.0).any()
    assert names(detector.explain(odd_wave(1))) == [(600, 619, "level shift"), (800, 800, "spike")]


def test_explain__fault_that_lasts__is_told_for_as_long_as_it_is_flagged():
    rng = np.random.default_rng(101)
    turn = 2.0 * np.pi * np.arange(60 * 24) / 24.0
    x = np.stack([5.0 + np.sin(turn) + 0.1 * rng.normal(size=1440), 20.0 + 3.0 * np.cos(turn)])
    x[1] += 0.3 * rng.normal(size=1440)
    x[1, 1210:] = 20.0 + 3.0 * rng.normal(size=230)
    detector = TransformerDetector().fit(x[:, :936])

    last = detector.explain(x[:, 936:]).iloc[-1]

    assert (last["channel"], last["kind"]) == (1, "noise")
    assert abs(last["start"] + 936 - 1210) <= detector.normal_.memory.length
    assert last["end"] + 936 == 1439
