"""TransformerDetector for aeon: aeon's own checks, its axes, its metrics."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from suites import report

import tsformer

pytest.importorskip("aeon")

from aeon.benchmarking.metrics.anomaly_detection import range_pr_auc_score
from aeon.testing.estimator_checking import check_estimator

from tsformer.interop.aeon import TransformerDetector

EXCLUDED: dict[str, str] = {}
TIME = np.arange(300)
X = np.stack([np.sin(TIME / 6), np.cos(TIME / 6)]) + 0.1 * np.random.default_rng(0).normal(size=(2, 300))
ODD = X.copy()
ODD[:, 150:160] += 2.0


@pytest.fixture(scope="module")
def detector() -> TransformerDetector:
    return TransformerDetector().fit(X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # aeon's checks raise some
def test_detector__checks_of_aeon__pass(record_property):
    results = check_estimator(TransformerDetector, checks_to_exclude=list(EXCLUDED))

    report(record_property, "aeon, TransformerDetector", results, EXCLUDED)


def test_predict__series_along_either_axis__has_the_scores_of_the_wrapped_detector(detector):
    expected = -tsformer.TransformerDetector().fit(X).score_samples(ODD)

    assert_array_equal(detector.predict(ODD), expected)
    assert_array_equal(detector.predict(ODD.T, axis=0), expected)
    assert_array_equal(TransformerDetector().fit(pd.DataFrame(X.T), axis=0).predict(ODD), expected)
    assert 145 < expected.argmax() < 165


def test_predict__one_channel_in_any_form__is_the_same():
    one = TransformerDetector().fit(X[0])
    expected = one.predict(ODD[0])

    for series, axis in ((ODD[:1], 1), (ODD[:1].T, 0), (pd.Series(ODD[0]), 1)):
        assert_array_equal(one.predict(series, axis=axis), expected)


def test_fit_predict__anomaly_in_the_series_itself__is_not_compared_with_itself():
    scores = TransformerDetector().fit_predict(ODD)

    assert_array_equal(scores, -tsformer.TransformerDetector().fit_score_samples(ODD))
    assert 145 < scores.argmax() < 165
    truth = np.isin(TIME, range(150, 160))
    assert range_pr_auc_score(truth.astype(int), scores) > 0.5


def test_predict__missing_values__have_no_scores(detector):
    gaps = ODD.copy()
    gaps[:, 40:60] = np.nan

    assert_array_equal(np.flatnonzero(np.isnan(detector.predict(gaps))), range(40, 60))


def test_pickle__fitted__scores_the_same(detector):
    assert_array_equal(pickle.loads(pickle.dumps(detector)).predict(ODD), detector.predict(ODD))


def test_estimator__of_the_adapter__has_labels_and_updates(detector):
    copy = pickle.loads(pickle.dumps(detector))

    assert set(np.flatnonzero(copy.estimator_.predict(ODD) == -1)) & set(range(150, 160))
    copy.estimator_.update(X[:, :100])
    assert copy.predict(X[:, :100]).mean() <= detector.predict(X[:, :100]).mean() + 1e-6


def test_fit__wrong_parameter__raises_as_the_wrapped_detector():
    with pytest.raises(ValueError, match="The 'contamination' parameter of TransformerDetector must be a float"):
        TransformerDetector(contamination=2).fit(X)
