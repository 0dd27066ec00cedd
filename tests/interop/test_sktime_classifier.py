"""TransformerClassifier for sktime: sktime's own tests, its panels, its tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
from estimators.waves import LEARNS, cut, waves
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold
from sktime.benchmarking.classification import ClassificationBenchmark
from sktime.classification.compose import ClassifierPipeline
from sktime.classification.model_evaluation import evaluate
from sktime.datatypes import convert
from sktime.transformations.exponent import ExponentTransformer
from sktime.utils.estimator_checks import check_estimator
from suites import report

import tsformer
from tsformer.interop.sktime import TransformerClassifier

EXCLUDED: dict[str, str] = {}
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
@pytest.mark.filterwarnings("ignore")  # sktime's tests raise some
def test_classifier__tests_of_sktime__pass(record_property):
    results = check_estimator(TransformerClassifier, tests_to_exclude=list(EXCLUDED), verbose=False)

    report(record_property, "sktime, TransformerClassifier", results, EXCLUDED)


def test_predict__array__equals_the_wrapped_classifier():
    clf, wrapped = small().fit(X, y), tsformer.TransformerClassifier(**SMALL).fit(X, y)

    assert_array_equal(clf.predict_proba(X), wrapped.predict_proba(X))
    assert_array_equal(clf.predict(X), wrapped.predict(X))
    assert_array_equal(clf.estimator_.transform(X), wrapped.transform(X))


@pytest.mark.parametrize("mtype", ["df-list", "pd-multiindex", "nested_univ"])
def test_predict__other_panel_of_sktime__equals_the_array(mtype):
    panel = convert(X, "numpy3D", mtype, as_scitype="Panel")
    expected = small().fit(X, y).predict_proba(X)

    assert np.abs(small().fit(panel, y).predict_proba(panel) - expected).max() < 1e-9


def test_predict__channels_in_another_order__are_refused_by_their_names():
    panel = pd.concat({i: pd.DataFrame(series.T).add_prefix("channel") for i, series in enumerate(X)})
    fitted = small().fit(panel, y)
    with pytest.raises(ValueError, match="X must have the channels that fit saw, in their order"):
        fitted.predict_proba(panel[panel.columns[::-1]])


def test_predict__unequal_lengths_and_missing_values__equal_the_wrapped_classifier():
    series = cut(X.copy())
    series[3][0, 4:9] = np.nan
    frames = [pd.DataFrame(case.T) for case in series]

    clf, wrapped = small().fit(frames, y), tsformer.TransformerClassifier(**SMALL).fit(series, y)

    assert_array_equal(clf.predict_proba(frames), wrapped.predict_proba(series))
    assert_array_equal(clf.predict_proba(convert(frames, "df-list", "pd-multiindex")), wrapped.predict_proba(series))


def test_fit__wrong_parameter__raises_as_the_wrapped_classifier():
    with pytest.raises(ValueError, match="The 'n_layers' parameter of TransformerClassifier must be an int"):
        small(n_layers=-1).fit(X, y)


def test_fit__again__starts_anew():
    clf = small().fit(X, y)
    expected = clf.predict_proba(X)

    assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


def test_pickle__fitted__predicts_the_same():
    clf = small().fit(X, y)

    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), clf.predict_proba(X))


def test_evaluate__folds_of_cases__learns_in_each():
    scores = evaluate(small(**LEARNS), cv=KFold(2), X=X, y=y, error_score="raise")

    assert scores["test_accuracy_score"].min() >= 0.75


def test_pipeline__transformer_of_sktime_before__learns():
    panel = convert(X, "numpy3D", "nested_univ", as_scitype="Panel")
    pipeline = ClassifierPipeline(small(**LEARNS), [ExponentTransformer(3)])

    assert pipeline.fit(panel, y).score(panel, y) >= 0.9


def test_classification_benchmark__two_settings__has_a_row_for_each(tmp_path):
    benchmark = ClassificationBenchmark()
    benchmark.add_estimator(small(**LEARNS), "learns")
    benchmark.add_estimator(small(learning_rate=1e-12), "cannot")
    benchmark.add_task(lambda: (X, y), KFold(n_splits=2), [accuracy_score])

    rows = benchmark.run(str(tmp_path / "results.csv")).set_index("model_id")

    assert rows.loc["learns", "accuracy_score_mean"] >= 0.75 > rows.loc["cannot", "accuracy_score_mean"]
