"""TransformerDetector: forms of series, what scores depend on, thresholds, gaps, edges, memory, scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
import suites
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

import tsformer
from tsformer import TransformerDetector

PERIOD = 48
DAYS = pd.date_range("2024-01-01", periods=400, freq="D", name="when")
MOST = np.finfo(float).max


def wave(n: int = 300, n_channels: int = 1, seed: int = 0) -> np.ndarray:
    """A sine with noise in each channel, (time,) if it is one."""
    noise = 0.1 * np.random.default_rng(seed).normal(size=(n_channels, n))
    x = np.sin(2 * np.pi * np.arange(n) / PERIOD + np.arange(n_channels)[:, None]) + noise
    return x[0] if n_channels == 1 else x


def odd(start: int = 150, n: int = 300, seed: int = 1) -> np.ndarray:
    """A wave with a step of half a cycle in it."""
    x = wave(n, seed=seed)
    x[start : start + 12] += 2.0
    return x


@pytest.fixture(scope="module")
def detector() -> TransformerDetector:
    return TransformerDetector().fit(wave())


@pytest.fixture(scope="module")
def of_two_channels() -> TransformerDetector:
    return TransformerDetector().fit(wave(200, 2))


def found(labels: np.ndarray) -> np.ndarray:
    return np.flatnonzero(labels == -1)


# What is found


def test_predict__a_step_in_a_wave__is_an_anomaly_and_what_is_far_from_it_is_not(detector):
    anomalies = found(detector.predict(odd()))
    usual = found(detector.predict(wave(seed=1)))
    assert set(range(150, 162)) <= set(anomalies)
    assert set(anomalies) - set(usual) <= set(range(150 - 36, 162 + 36))


def test_scores__decision_and_labels__say_the_same(detector):
    scores, decision, labels = (
        getattr(detector, method)(odd()) for method in ("score_samples", "decision_function", "predict")
    )
    assert_allclose(decision, scores - detector.offset_)
    assert_array_equal(labels, np.where(decision < 0, -1, 1))
    assert labels.dtype.kind == "i"


@pytest.mark.parametrize("witnesses", ["neighbours", "forecast"])
def test_predict__one_witness_alone__finds_the_step(witnesses):
    detector = TransformerDetector(witnesses=witnesses).fit(wave())
    assert 148 <= detector.score_samples(odd()).argmin() <= 164
    assert set(found(detector.predict(odd()))) & set(range(150, 162))


def test_fit_predict__planted_anomalies_in_the_training_series__finds_them():
    x = odd(150, 600)
    x[400] += 3.0
    labels = TransformerDetector(contamination=0.05).fit_predict(x)
    assert set(found(labels)) & set(range(150, 162))
    assert labels[400] == -1
    assert len(found(labels)) == pytest.approx(0.05 * 600, abs=1)


def test_fit_score_samples__planted_anomaly__is_lowest_and_labels_follow():
    x = pd.Series(odd(150, 400), DAYS)
    detector = TransformerDetector(contamination=0.05)
    scores = detector.fit_score_samples(x)
    assert 148 <= scores.argmin() <= 164
    assert_array_equal(np.sort(-scores), detector.training_scores_)
    pd.testing.assert_series_equal(detector.fit_predict(x) == -1, (scores < detector.offset_).rename("anomaly"))


def test_fit_predict__contamination_auto__finds_nothing():
    assert len(found(TransformerDetector().fit_predict(wave()))) == 0


@pytest.mark.parametrize("fraction", [0.01, 0.2])
def test_contamination__fraction__is_that_of_the_training_scores_below_the_threshold(fraction):
    detector = TransformerDetector(contamination=fraction)
    labels = detector.fit_predict(wave())
    assert (labels == -1).mean() == pytest.approx(fraction, abs=0.005)
    assert (detector.training_scores_ > -detector.offset_).mean() == pytest.approx(fraction, abs=0.005)


def test_threshold__contamination_auto__is_the_highest_training_score(detector):
    assert -detector.offset_ == detector.training_scores_.max() == detector.training_scores_[-1]
    assert len(detector.training_scores_) == 300


# What scores depend on


def test_scores__in_company__are_those_of_a_series_alone(detector):
    x, company = odd(), [wave(100, seed=2), 1e3 * wave(250, seed=3)]
    alone = detector.score_samples(x)
    for series in ([x, *company], [*company, x], [x]):
        (mine,) = (i for i, each in enumerate(series) if each is x)
        assert_allclose(detector.score_samples(series)[mine], alone, rtol=0, atol=1e-6)


def test_scores__what_comes_later_or_windows_before__change_them_by_nothing(detector):
    x = odd(250, 400)
    whole, n = detector.score_samples(x), 240 - 2 * detector.normal_.memory.length
    assert_allclose(detector.score_samples(x[:240])[:n], whole[:n], rtol=0, atol=1e-6)


def test_scoring__anything__changes_neither_threshold_nor_memory_nor_series(detector):
    before, x = pickle.dumps((detector.offset_, detector.normal_, detector.training_scores_)), odd()
    given = x.copy()
    for method in (detector.predict, detector.score_samples, detector.decision_function):
        method(x), method(100 * x)
    assert pickle.dumps((detector.offset_, detector.normal_, detector.training_scores_)) == before
    assert_array_equal(x, given)


def test_fit__twice__gives_the_same_scores(detector):
    assert_array_equal(TransformerDetector().fit(wave()).score_samples(odd()), detector.score_samples(odd()))


@pytest.mark.parametrize("changes", [{"max_steps": 2}, {"pretrained": None, "max_steps": 1}])
def test_fit__with_training__depends_on_random_state_alone(changes):
    size = {"window_length": 40, **changes}
    one, again, other = (
        TransformerDetector(random_state=seed, **size).fit(wave(160)).score_samples(odd()) for seed in (0, 0, 1)
    )
    assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_fit__a_fitted_pretrainer__is_the_encoder_of_windows(detector):
    pretrainer = tsformer.TransformerPretrainer(pretrained="bundled", max_steps=0).fit(wave(100)[None, None])
    own = TransformerDetector(pretrained=pretrainer).fit(wave())
    assert_allclose(own.score_samples(odd()), detector.score_samples(odd()), atol=1e-6)


# Forms


def test_form__arrays_and_lists__come_back_as_they_came(detector):
    x = odd()
    scores = detector.score_samples(x)
    assert scores.shape == (300,)
    assert_array_equal(detector.score_samples(list(x)), scores)
    assert_array_equal(detector.score_samples(x[None]), scores)
    (of_one,) = detector.score_samples([x])
    assert_array_equal(of_one, scores)
    several = detector.score_samples([x, x[:100]])
    assert [each.shape for each in several] == [(300,), (100,)]
    assert_allclose(detector.score_samples(np.stack([x[None], x[None]])), [scores, scores], atol=1e-6)


def test_form__series__has_its_index_in_its_order(detector):
    series = pd.Series(odd(), DAYS[:300], name="load")
    scores = detector.score_samples(series)
    assert_array_equal(scores, detector.score_samples(odd()))
    assert scores.index.equals(series.index)
    assert scores.name == "score"
    shuffled = series.sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(detector.score_samples(shuffled), scores[shuffled.index])
    labels = detector.predict(series)
    assert labels.name == "anomaly"
    assert labels.dtype == np.int64


def test_form__wide_frame__is_one_series_of_a_channel_a_column_in_any_order():
    wide = pd.DataFrame(wave(200, 2).T, DAYS[:200], ["u", "v"])
    detector = TransformerDetector().fit(wide)
    scores = detector.score_samples(wide)
    assert scores.index.equals(wide.index)
    assert_array_equal(detector.score_samples(wide[["v", "u"]]), scores)
    assert_array_equal(detector.score_samples(wave(200, 2)), scores)
    assert detector.channels_ == ["u", "v"]
    with pytest.raises(ValueError, match=r"X must have the channels that fit saw, \['u', 'v'\]\. Got \['u', 'w'\]"):
        detector.predict(wide.rename(columns={"v": "w"}))


def test_form__long_frame_in_shuffled_rows__has_them_in_that_order():
    parts = {"b": wave(200, 2), "a": wave(150, 2, seed=1)}
    frames = [pd.DataFrame({"machine": id, "t": DAYS[: x.shape[1]], "u": x[0], "v": x[1]}) for id, x in parts.items()]
    long = pd.concat(frames, ignore_index=True)
    detector = TransformerDetector(id_col="machine", time_col="t").fit(long)
    expected = np.concatenate(detector.score_samples(list(parts.values())))
    shuffled = long.sample(frac=1, random_state=0)
    scores = detector.score_samples(shuffled)
    assert list(scores.columns) == ["machine", "t", "score"]
    pd.testing.assert_frame_equal(scores[["machine", "t"]], shuffled[["machine", "t"]])
    assert_allclose(scores["score"].sort_index(), expected, atol=1e-6)
    labels = detector.predict(shuffled)
    assert_array_equal(labels["anomaly"], np.where(scores["score"] < detector.offset_, -1, 1))
    panel = detector.score_samples(shuffled.set_index(["machine", "t"]))
    assert panel.index.equals(shuffled.set_index(["machine", "t"]).index)
    assert_allclose(panel, scores["score"], atol=1e-6)


def test_form__times_of_another_step_than_in_fit__are_refused_and_arrays_have_none(tmp_path):
    tsformer.save(TransformerDetector().fit(pd.Series(wave(), DAYS[:300])), tmp_path / "detector.safetensors")
    detector = tsformer.load(tmp_path / "detector.safetensors")
    hourly = pd.Series(wave(), pd.date_range("2025-01-01", periods=300, freq="h"))
    for ask in (detector.score_samples, detector.explain, detector.update):
        with pytest.raises(ValueError, match=r"X must have the frequency that fit saw, <Day>. Got <Hour>; fit another"):
            ask(hourly)
    assert len(detector.score_samples(wave())) == 300


def test_form__absent_times_with_freq__are_missing_values(detector):
    series = pd.Series(odd(), DAYS[:300])
    short = series.drop(series.index[40:60])
    with pytest.raises(
        ValueError, match=r"no row for 2024-02-10, .* and 17 more\. Pass freq='D' to .* missing values\.$"
    ):
        TransformerDetector().fit(short)
    scores = clone(detector).set_params(freq="D").fit(wave()).score_samples(short)
    assert_allclose(scores, detector.score_samples(series.mask(series.index.isin(DAYS[40:60])))[short.index])


# Missing values


def test_missing__a_stretch__has_no_score_is_no_anomaly_and_raises_no_neighbours(detector):
    x = wave(seed=1)
    x[100:160] = np.nan
    scores = detector.score_samples(x)
    assert_array_equal(np.flatnonzero(np.isnan(scores)), np.arange(100, 160))
    assert set(found(detector.predict(x))) <= set(found(detector.predict(wave(seed=1))))
    assert np.isnan(detector.decision_function(x)[100:160]).all()


def test_missing__single_values__change_no_label(detector):
    x = np.where(np.arange(300) % 7 == 3, np.nan, odd())
    labels = detector.predict(x)
    assert set(found(labels)) & set(range(150, 162))
    assert set(found(labels)) - set(found(detector.predict(wave(seed=1)))) <= set(range(150 - 36, 162 + 36))
    assert (labels[np.isnan(x)] == 1).all()


def test_missing__all_values__have_no_scores(detector):
    scores = detector.score_samples([np.full(50, np.nan), wave(50, seed=1)])
    assert np.isnan(scores[0]).all()
    assert np.isfinite(scores[1]).all()


def test_missing__a_channel_where_scored__leaves_the_judgement_to_the_other(of_two_channels):
    x = wave(200, 2, seed=1)
    x[1] = np.nan
    scores = of_two_channels.score_samples(x)
    assert np.isfinite(scores).all()
    assert_array_equal(of_two_channels.score_samples(pd.DataFrame(x.T, DAYS[:200])), scores)
    x[0, 100:112] += 2.0
    assert set(found(of_two_channels.predict(x))) & set(range(100, 112))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_missing__a_channel_that_dies_or_is_sparse__hides_no_other(of_two_channels, share):
    x = np.stack([odd(), wave(seed=2)])
    dies = x.copy()
    dies[1, 80:][np.random.default_rng(0).random(220) >= share] = np.nan
    scores = of_two_channels.score_samples(dies)
    assert np.isfinite(scores).all()
    # What the other channel says is what it says where nothing ever came from the one that failed.
    never = np.stack([odd(), np.full(300, np.nan)])
    assert set(found(of_two_channels.predict(dies))) & set(range(150, 162))
    if share == 0.0:
        assert_allclose(scores[112:], of_two_channels.score_samples(never)[112:], rtol=0.05, atol=0.05)


def test_missing__a_channel_that_dies_in_training__leaves_normal_what_is():
    x = wave(400, 2)
    x[1, 200:] = np.nan
    detector = TransformerDetector().fit(x)
    assert len(found(detector.predict(wave(300, 2, seed=1)))) < 30
    assert set(found(detector.predict(np.stack([odd(), wave(seed=2)])))) & set(range(150, 162))


def test_missing__a_gap_longer_than_a_window_in_training__is_left_out():
    x = wave(400)
    x[100:180] = np.nan
    detector = TransformerDetector().fit(x)
    assert 148 <= detector.score_samples(odd()).argmin() <= 164
    assert len(found(detector.predict(wave(seed=1)))) < 30


def test_missing__a_channel_that_has_no_value_in_training__is_refused_by_name():
    wide = pd.DataFrame({"u": wave(), "dead": np.nan}, DAYS[:300])
    with pytest.raises(ValueError, match="Channel 'dead' of X has no value, from which"):
        TransformerDetector().fit(wide)
    with pytest.raises(ValueError, match="Channel 0 of X has no value"):
        TransformerDetector().fit(np.full(100, np.nan))


# Edges


def test_constant__series__is_normal_as_it_is_and_a_change_is_found():
    x = np.full(300, 3.0)
    detector = TransformerDetector().fit(x)
    assert len(found(detector.predict(x))) == 0
    x[150:160] = 4.0
    assert set(range(150, 160)) <= set(found(detector.predict(x)))
    assert not set(found(detector.predict(x))) & set(range(100))


def test_dead_channel__beside_another__hides_nothing_and_is_found_when_it_lives():
    x = wave(300, 2)
    x[1] = 0.0
    detector = TransformerDetector().fit(x)
    y = np.stack([odd(), np.zeros(300)])
    assert set(found(detector.predict(y))) & set(range(150, 162))
    x[1, 200:] = wave(100)
    assert set(range(200, 300)) <= set(found(detector.predict(x)))
    assert not set(found(detector.predict(x))) & set(range(150))


@pytest.mark.parametrize("witnesses", ["both", "neighbours", "forecast"])
def test_constant__series__either_witness_finds_a_change(witnesses):
    detector = TransformerDetector(witnesses=witnesses).fit(np.full(100, 3.0))
    assert {50, 51} <= set(found(detector.predict(np.repeat([3.0, 3.1], 50))))
    assert_allclose(detector.training_scores_, 0.0, atol=1e-6)


def test_fit__time_first__is_told_with_the_way_out():
    with pytest.raises(ValueError, match=r"X, read as \(channels, time\), has 300 .* pass X\.T\.$"):
        TransformerDetector().fit(wave(300, 2).T)
    with pytest.warns(UserWarning, match=r"^X, read as \(channels, time\), has 17 channels, 16 long\. .* X\.T\.$"):
        TransformerDetector(window_length=4).fit(wave(16, 17))


@pytest.mark.parametrize("n", [1, 2, 31])
def test_fit__fewer_time_points_than_four_windows__is_refused_with_the_numbers(n):
    message = rf"fit needs 32 time points in all, 4 times the window_length of 8, .* Got {n} in all\. Give more, or a"
    with pytest.raises(ValueError, match=message):
        TransformerDetector().fit(wave(n))


def test_fit__no_period__values_count_where_movements_come_again_and_not_in_a_walk():
    rng = np.random.default_rng(0)
    movements = rng.normal(size=(4, 30))
    again = np.concatenate([movements[i][: rng.integers(20, 31)] for i in rng.integers(4, size=20)])
    for x, count in ((again + 0.05 * rng.normal(size=len(again)), True), (rng.normal(size=500).cumsum(), False)):
        normal = TransformerDetector().fit(x).normal_
        assert np.isfinite(normal.calibration.unit).tolist() == [True, count, True]


def test_fit__period_longer_than_the_series__takes_windows_of_an_eighth():
    x = np.sin(2 * np.pi * np.arange(200) / 500) + 0.05 * wave(200)
    detector = TransformerDetector().fit(x)
    assert detector.normal_.memory.length == 25
    x[100] += 2.0
    assert detector.predict(x)[100] == -1


@pytest.mark.parametrize("factor", [1e150, 1e-150, 1e300, 1e-300])
def test_scores__series_of_any_size__are_those_of_usual_size(detector, factor):
    scores = TransformerDetector().fit(factor * wave()).score_samples(factor * odd())
    assert_allclose(scores, detector.score_samples(odd()), rtol=1e-3, atol=1e-3)


def test_scores__shifted_by_a_large_level__find_the_same(detector):
    shifted = TransformerDetector().fit(wave() + 1e6)
    assert set(range(150, 162)) <= set(found(shifted.predict(odd() + 1e6)))


@pytest.mark.filterwarnings("ignore:overflow encountered in divide:RuntimeWarning")
@pytest.mark.parametrize("value", [MOST, -MOST])
def test_largest_float__in_training_or_where_scored__is_an_anomaly_and_leaves_the_rest(detector, value):
    x = wave()
    x[100] = value
    assert detector.score_samples(x).argmin() == 100
    assert set(found(detector.predict(x))) - set(found(detector.predict(wave()))) <= set(range(60, 140))
    trained = TransformerDetector(contamination=0.1)
    assert 100 in found(trained.fit_predict(x))
    assert np.isfinite(trained.score_samples(odd())).all()


def test_predict__series_shorter_than_a_window__is_refused(detector):
    with pytest.raises(ValueError, match=r"must have 24 time points, the window_length, or more\. Series 1 has 23\."):
        detector.predict([wave(24), wave(23)])
    assert np.isfinite(detector.score_samples(wave(24))).all()


# Mistakes


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window_length": 3}, r"an int in the range \[4, inf\) or a str among \{'auto'\}\. Got 3 instead"),
        ({"window_length": 9.5}, r"an int in the range \[4, inf\)"),
        ({"witnesses": "all"}, r"a str among \{.*'both'.*\}\. Got 'all' instead"),
        ({"contamination": 0.0}, r"a float in the range \(0\.0, 0\.5\] or a str among \{'auto'\}\. Got 0\.0 instead"),
        ({"contamination": 0.51}, r"a float in the range \(0\.0, 0\.5\]"),
        ({"max_windows": 0}, r"an int in the range \[1, inf\)\. Got 0 instead"),
        ({"max_steps": -1}, r"an int in the range \[0, inf\)\. Got -1 instead"),
        ({"device": "tpu"}, r"'auto', 'cpu', 'cuda' or 'cuda:<number>'\. Got 'tpu' instead"),
        ({"pretrained": "nowhere"}, r"'bundled', the path of a saved one, .*there is no such file"),
        ({"random_state": "x"}, r"Got 'x' instead"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_fit__wrong_parameter__is_told_in_the_wording_of_scikit_learn(params, message, method):
    (name,) = params
    with pytest.raises((ValueError, FileNotFoundError), match=f"The '{name}' parameter .*must be .*{message}"):
        getattr(TransformerDetector(**params), method)(wave())


def test_predict__before_fit__is_told():
    for method in ("predict", "score_samples", "decision_function", "update"):
        with pytest.raises(NotFittedError, match="This TransformerDetector instance is not fitted yet"):
            getattr(TransformerDetector(), method)(wave())


def test_predict__other_channels__are_refused(of_two_channels):
    with pytest.raises(ValueError, match=r"X must have the channels that fit saw, \[0, 1\]\. Got \[0\]\."):
        of_two_channels.predict(wave())


def test_predict__channels_that_have_numbers_as_names__are_told_by_these():
    frame = pd.DataFrame(wave(200, 2).T, DAYS[:200])
    detector = TransformerDetector().fit(frame)
    assert_array_equal(detector.score_samples(frame[[1, 0]]), detector.score_samples(frame))
    with pytest.raises(ValueError, match=r"X must have the channels that fit saw, \[0, 1\]\. Got \[0, 2\]\."):
        detector.predict(frame.rename(columns={1: 2}))
    assert_array_equal(detector.score_samples(wave(200, 2)), detector.score_samples(frame))


def test_fit__series_too_short_for_any_forecast__are_refused_by_that_witness_alone():
    with pytest.raises(ValueError, match=r"by the 36 before them, 27 .* Give longer series, or set witnesses='both'"):
        TransformerDetector(witnesses="forecast").fit(wave(36))
    TransformerDetector().fit(wave(36))


@pytest.mark.parametrize(("name", "column"), [("score", "id_col"), ("anomaly", "time_col"), ("kind", "id_col")])
def test_results__columns_named_as_ids_or_times__are_refused(name, column):
    names = {"id_col": "unique_id", "time_col": "ds"} | {column: name}
    frame = pd.DataFrame({names["id_col"]: "a", names["time_col"]: DAYS[:300], "y": odd()})
    detector = TransformerDetector(**names).fit(frame)
    ask = {"score": detector.score_samples, "anomaly": detector.predict, "kind": detector.explain}[name]
    with pytest.raises(ValueError, match=f"The result has a column '{name}' of its own. Rename that column of X"):
        ask(frame)


def test_fit__refused__leaves_what_there_was():
    detector = TransformerDetector().fit(wave())
    before = detector.score_samples(odd())
    with pytest.raises(ValueError, match="4 times the window_length"):
        detector.fit(wave(10))
    assert_array_equal(detector.score_samples(odd()), before)


def test_pretrained_none__untrained__warns_that_weights_are_random():
    with pytest.warns(UserWarning, match="leave the weights random"):
        TransformerDetector(pretrained=None, random_state=0).fit(wave(100))


# Going on


def drifted(n: int = 300) -> np.ndarray:
    return np.sign(wave(n, seed=5)) + 0.1 * wave(n, seed=6)


def test_update__another_normal_shape_within_the_threshold__is_remembered(detector):
    copy = pickle.loads(pickle.dumps(detector))
    n, x = len(copy.normal_.memory.values), wave(200, seed=7)
    before = copy.score_samples(x)
    assert copy.update(x) is copy
    assert len(copy.normal_.memory.values) > n
    assert copy.score_samples(x).mean() > before.mean()
    assert copy.offset_ == detector.offset_
    assert_array_equal(copy.training_scores_, detector.training_scores_)


def test_update__anomalies__are_not_remembered(detector):
    copy = pickle.loads(pickle.dumps(detector))
    before = copy.score_samples(drifted())
    copy.update(drifted(60))
    assert_allclose(copy.score_samples(drifted()), before)
    copy.update(odd())
    assert set(range(150, 162)) <= set(found(copy.predict(odd())))


def test_update__again_and_again__stays_within_max_windows():
    detector = TransformerDetector(max_windows=40).fit(wave())
    assert len(detector.normal_.memory.values) == 40
    for seed in range(2):
        detector.update([wave(100, seed=seed), wave(50, seed=seed + 2)])
        assert len(detector.normal_.memory.values) == len(detector.normal_.memory.features) == 40
    assert 148 <= detector.score_samples(odd()).argmin() <= 164


def test_update__times_of_another_kind__are_refused(detector, tmp_path):
    with pytest.raises(ValueError, match=r"The times of X must be of the same kind as those that fit saw, 'int64'"):
        pickle.loads(pickle.dumps(detector)).update(pd.Series(wave(), DAYS[:300]))
    dated = TransformerDetector().fit(pd.Series(wave(), DAYS[:300]))
    with pytest.raises(ValueError, match=r"of the same kind as those that fit saw, 'datetime64\[.s\]'\. Got 'int64'"):
        dated.update(wave())
    dated.update(pd.Series(wave(seed=1), DAYS[:300] + pd.Timedelta(days=300)))
    tsformer.save(dated, tmp_path / "detector.safetensors")


def test_update__gaps__are_not_remembered(detector):
    copy = pickle.loads(pickle.dumps(detector))
    x = wave(100, seed=8)
    x[50] = np.nan
    copy.update(x)
    assert np.isfinite(copy.normal_.memory.values).all()


def test_update__gap_in_one_of_several_channels__leaves_the_scores_of_normal_ones():
    x = np.stack([wave(400, seed=1), wave(400, seed=2)])
    later = np.stack([wave(200, seed=3), wave(200, seed=4)])
    later[1, 50:53] = np.nan
    detector = TransformerDetector().fit(x)
    before = (detector.predict(x) == -1).sum()

    detector.update(later)

    assert np.isfinite(detector.normal_.memory.values).all()
    assert (detector.predict(x) == -1).sum() <= before


# scikit-learn's contract

TABLE = "it is of tables: sparse ones, columns of features, the words for those"
LENGTH = "its data, read as (channels, time), are shorter than four windows"
NOT_OF_SERIES = dict.fromkeys(
    [
        *("check_complex_data", "check_dtype_object", "check_estimator_sparse_array", "check_estimator_sparse_matrix"),
        *("check_estimator_sparse_tag", "check_estimators_empty_data_messages", "check_fit2d_1feature"),
        *("check_fit2d_1sample", "check_n_features_in", "check_n_features_in_after_fitting"),
    ],
    TABLE,
)
NOT_OF_SERIES |= dict.fromkeys(
    [
        *("check_fit_score_takes_y", "check_estimators_overwrite_params", "check_dont_overwrite_parameters"),
        *("check_estimators_fit_returns_self", "check_readonly_memmap_input", "check_positive_only_tag_during_fit"),
        *("check_estimators_dtypes", "check_pipeline_consistency", "check_estimators_pickle", "check_dict_unchanged"),
        *("check_f_contiguous_array_estimator", "check_outliers_fit_predict", "check_outliers_train"),
        *("check_classifier_data_not_an_array", "check_fit_idempotent", "check_fit_check_is_fitted"),
        "check_fit2d_predict1d",
    ],
    LENGTH,
)
NOT_OF_SERIES |= {
    "check_estimators_nan_inf": "NaN is a missing value",
    "check_methods_sample_order_invariance": "time points have an order",
    "check_methods_subset_invariance": "a score depends on the time points beside it",
    "check_array_api_input": "it needs SCIPY_ARRAY_API",
}


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=check.func.__name__)
        for _, check in estimator_checks_generator(TransformerDetector())
        if check.func.__name__ not in NOT_OF_SERIES
    ],
)
def test_detector__check_of_scikit_learn__passes(check, record_property):
    check(TransformerDetector())
    suites.report(record_property, "scikit-learn, TransformerDetector", {check.func.__name__: "PASSED"}, NOT_OF_SERIES)


def test_detector__check_of_parameters__passes():
    estimator_checks.check_param_validation("TransformerDetector", TransformerDetector())


def test_detector__clone_repr_and_type__are_those_of_an_outlier_detector(detector):
    assert is_outlier_detector(detector)
    copied = clone(detector.set_params(window_length="auto"))
    assert not hasattr(copied, "model_")
    assert copied.get_params() == detector.get_params()
    assert repr(TransformerDetector(max_windows=9)) == "TransformerDetector(max_windows=9)"
    assert TransformerDetector().set_params(contamination=0.1).contamination == 0.1


def test_fit__attributes__are_those_of_the_docstring(detector):
    attributes = {name for name in vars(detector) if name.endswith("_") and not name.startswith("_")}
    documented = TransformerDetector.__doc__.split("Attributes\n")[1].split("Notes\n")[0]
    assert attributes == {name for name in attributes if f"    {name} : " in documented}
    assert set(vars(detector)) == attributes | set(detector.get_params())


def test_pickle__fitted__scores_bit_for_bit(detector):
    assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(odd()), detector.score_samples(odd()))
