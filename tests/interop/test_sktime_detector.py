"""TransformerDetector for sktime: sktime's own tests, places, labels and scores, updates, pipelines."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sktime.detection.compose import DetectorPipeline
from sktime.transformations.exponent import ExponentTransformer
from sktime.utils.estimator_checks import check_estimator
from suites import report

import tsformer
from tsformer.interop.sktime import TransformerDetector

EXCLUDED: dict[str, str] = {}
DAYS = pd.date_range("2024-01-01", periods=300, freq="D")
X = pd.DataFrame(
    {"load": np.sin(np.arange(300) / 6), "ds": np.cos(np.arange(300) / 6)}, DAYS
) + 0.1 * np.random.default_rng(0).normal(size=(300, 2))
ODD = X.copy()
ODD.iloc[150:160] += 2.0


@pytest.fixture(scope="module")
def detector() -> TransformerDetector:
    return TransformerDetector().fit(X)


@pytest.fixture(scope="module")
def wrapped() -> tsformer.TransformerDetector:
    return tsformer.TransformerDetector().fit(X.to_numpy().T)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # sktime's tests raise some
def test_detector__tests_of_sktime__pass(record_property):
    results = check_estimator(TransformerDetector, tests_to_exclude=list(EXCLUDED), verbose=False)

    report(record_property, "sktime, TransformerDetector", results, EXCLUDED)


def test_predict__frame__has_the_places_that_the_wrapped_detector_labels(detector, wrapped):
    expected = np.flatnonzero(wrapped.predict(ODD.to_numpy().T) == -1)

    assert set(expected) & set(range(150, 160))
    assert_array_equal(detector.predict(ODD)["ilocs"], expected)
    assert_array_equal(np.flatnonzero(detector.transform(ODD)["labels"]), expected)


def test_transform_scores__frame__are_those_of_the_wrapped_detector_with_its_index(detector, wrapped):
    scores = detector.transform_scores(ODD)

    assert scores.index.equals(ODD.index)
    assert_array_equal(scores["scores"], -wrapped.score_samples(ODD.to_numpy().T))
    at_anomalies = detector.predict_scores(ODD)
    assert_array_equal(at_anomalies["scores"], scores["scores"].iloc[detector.predict(ODD)["ilocs"]])
    assert (at_anomalies["scores"] > -detector.estimator_.offset_).all()


@pytest.mark.parametrize(
    "x",
    [X["load"], X["load"].to_numpy(), X["load"].reset_index(drop=True), X["load"].to_period("D")],
    ids=["dates", "array", "range", "periods"],
)
def test_predict__one_series_of_any_index__finds_the_same(x):
    x = x.copy()
    detector = TransformerDetector(contamination=0.01).fit(x)
    x[150:160] += 2.0

    places = detector.predict(x)["ilocs"]

    assert set(places) & set(range(150, 160))
    assert len(detector.transform(x)) == len(detector.transform_scores(x)) == 300


def test_fit_predict__anomaly_in_the_series_itself__is_not_compared_with_itself():
    detector = TransformerDetector(contamination=0.05)
    expected = tsformer.TransformerDetector(contamination=0.05).fit_predict(ODD.to_numpy().T)

    places = detector.fit_predict(ODD)["ilocs"]

    assert_array_equal(places, np.flatnonzero(expected == -1))
    assert set(places) & set(range(150, 160))
    assert_array_equal(np.flatnonzero(detector.fit_transform(ODD)["labels"]), places)


def test_update__rows_that_go_on__are_remembered(detector):
    copy = pickle.loads(pickle.dumps(detector))
    later = X.set_axis(X.index + pd.Timedelta(days=300))
    n_windows = len(copy.estimator_.normal_.memory.values)

    assert copy.update(later) is copy
    assert len(copy.estimator_.normal_.memory.values) > n_windows
    assert copy.is_fitted


def test_predict__gap_in_the_index__is_an_error_or_missing_values(detector):
    gappy = ODD.drop(ODD.index[40:60])

    with pytest.raises(ValueError, match="a gap: no row for 2024-02-10"):
        detector.predict(gappy)
    scores = TransformerDetector(freq="D").fit(X).transform_scores(gappy)
    assert scores.index.equals(gappy.index)


def test_pipeline__transformer_of_sktime_before__equals_transforming_by_hand():
    pipeline = DetectorPipeline([ExponentTransformer(2, offset=0), TransformerDetector()]).fit(X)

    assert_array_equal(pipeline.predict(ODD), TransformerDetector().fit(X**2).predict(ODD**2))


def test_fit__wrong_parameter__raises_as_the_wrapped_detector():
    with pytest.raises(ValueError, match="The 'contamination' parameter of TransformerDetector must be a float"):
        TransformerDetector(contamination=2).fit(X)
