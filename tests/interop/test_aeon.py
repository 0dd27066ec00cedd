"""TransformerClassifier for aeon: aeon's own checks, its collections, its tools."""

import pickle

import numpy as np
import pytest
from estimators.waves import LEARNS, cut, waves
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_val_score
from suites import report

import tsformer

pytest.importorskip("aeon")

from aeon.benchmarking.resampling import stratified_resample_data
from aeon.pipeline import make_pipeline
from aeon.testing.estimator_checking import check_estimator
from aeon.transformations.collection import Normalizer

from tsformer.interop.aeon import TransformerClassifier

EXCLUDED = {
    "check_non_state_changing_method": (
        "it compares joblib.hash before and after predict, and that of equal torch tensors differs from copy to copy; "
        "test_predict__fitted_classifier__changes_neither_weights_nor_series stands in"
    )
}
SMALL = {
    "pretrained": None,
    "max_steps": 5,
    "d_model": 16,
    "n_heads": 2,
    "n_layers": 1,
    "d_ff": 16,
    "random_state": 0,
    "device": "cpu",
}
X, y = waves()


def small(**changes) -> TransformerClassifier:
    return TransformerClassifier(**(SMALL | changes))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # aeon's checks raise some
def test_classifier__checks_of_aeon__pass(record_property):
    results = check_estimator(TransformerClassifier, checks_to_exclude=list(EXCLUDED))

    report(record_property, "aeon, TransformerClassifier", results, EXCLUDED)


def test_predict__fitted_classifier__changes_neither_weights_nor_series():
    series = X.copy()
    clf = small().fit(series, y)
    weights = [weight.clone().double() for weight in clf.estimator_.model_.state_dict().values()]
    attributes = set(vars(clf))

    clf.predict(series), clf.predict_proba(series)

    after = clf.estimator_.model_.state_dict().values()
    assert all(before.equal(now.double()) for before, now in zip(weights, after, strict=True))
    assert_array_equal(series, X)
    assert set(vars(clf)) == attributes


def test_predict__array__equals_the_wrapped_classifier():
    clf, wrapped = small().fit(X, y), tsformer.TransformerClassifier(**SMALL).fit(X, y)

    assert_array_equal(clf.predict_proba(X), wrapped.predict_proba(X))
    assert_array_equal(clf.predict(X), wrapped.predict(X))


def test_predict__unequal_lengths_and_missing_values__equal_the_wrapped_classifier():
    series = cut(X.copy())
    series[3][0, 4:9] = np.nan

    clf, wrapped = small().fit(series, y), tsformer.TransformerClassifier(**SMALL).fit(series, y)

    assert_array_equal(clf.predict_proba(series), wrapped.predict_proba(series))


def test_pickle__fitted__predicts_the_same():
    clf = small().fit(X, y)

    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), clf.predict_proba(X))


def test_cross_val_score__of_scikit_learn__learns_in_each_fold():
    assert cross_val_score(small(**LEARNS), X, y, cv=2).min() >= 0.75


def test_grid_search__one_setting_cannot_learn__finds_the_other():
    search = GridSearchCV(small(**LEARNS), {"learning_rate": [1e-12, LEARNS["learning_rate"]]}, cv=2).fit(X, y)

    assert search.best_params_ == {"learning_rate": LEARNS["learning_rate"]}


def test_pipeline__resampled_and_normalised_by_aeon__learns():
    train, y_train, test, y_test = stratified_resample_data(X[:16], y[:16], X[16:], y[16:], random_state=0)
    pipeline = make_pipeline(Normalizer(), small(**LEARNS)).fit(train, y_train)

    assert pipeline.score(test, y_test) >= 0.75


def test_fit_predict__of_aeon__cross_validates():
    assert (small(**LEARNS).fit_predict(X, y, cv_size=2) == y).mean() >= 0.75
