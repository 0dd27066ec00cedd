"""TransformerClassifier as scikit-learn sees it: its own checks, its tools, metadata routing, saving."""

import copy
import inspect
import pickle
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import suites
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.fixes import parse_version

from tsformer import TransformerClassifier

from .waves import LEARNS, cut, small, waves

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a case of weight 2 and the same case twice fall into different minibatches"
    )
}
SKLEARN = parse_version(sklearn.__version__)
X, y = waves()


def halve(X):
    return X / 2


# scikit-learn's own checks


@pytest.mark.slow
@parametrize_with_checks(
    [TransformerClassifier(max_steps=60, n_estimators=2)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_classifier__check_of_scikit_learn__passes(estimator, check, record_property):
    check(estimator)
    suites.passed(record_property, "scikit-learn, TransformerClassifier")


@pytest.mark.skipif(parse_version("1.9") > SKLEARN, reason="older scikit-learn has fewer checks")
def test_classifier__checks_of_scikit_learn__none_is_missing(record_property):
    checks = list(estimator_checks_generator(TransformerClassifier()))

    assert len(checks) >= 68
    suites.report(record_property, "scikit-learn, TransformerClassifier", {}, EXPECTED_FAILURES)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")  # the checks mix both
@pytest.mark.parametrize(
    "check",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_get_feature_names_out_error",
        "check_inplace_ensure_writeable",
    ],
)
def test_classifier__check_that_scikit_learn_runs_on_its_own_estimators_only__passes(check):
    getattr(estimator_checks, check)("TransformerClassifier", small())


# Parameters and attributes


def test_tags__input__is_three_dimensional_and_may_be_missing():
    tags = get_tags(TransformerClassifier()).input_tags

    assert tags.three_d_array
    assert tags.two_d_array
    assert tags.allow_nan


def test_set_params__chained__changes_get_params():
    clf = small().set_params(n_layers=3, pooling="max")

    assert (clf.get_params()["n_layers"], clf.get_params()["pooling"]) == (3, "max")


def test_set_params__unknown_name__raises():
    with pytest.raises(ValueError, match="Invalid parameter 'max_iter' for estimator TransformerClassifier"):
        small().set_params(max_iter=3)


def test_repr__some_parameters_changed__shows_only_these():
    assert repr(TransformerClassifier()) == "TransformerClassifier()"
    assert repr(TransformerClassifier(n_layers=3, pooling="max")) == "TransformerClassifier(n_layers=3, pooling='max')"


def test_hash__two_classifiers_of_equal_parameters__are_two_keys():
    assert len({small(), small()}) == 2


def test_fit__any_data__adds_no_public_attribute_without_underscore_and_keeps_parameters():
    clf = small(early_stopping=True, refit=True)
    before = clf.get_params()

    clf.fit(X, y)

    added = {name for name in vars(clf) if not name.startswith("_")} - set(before)
    assert {name for name in added if not name.endswith("_")} == set()
    assert {"classes_", "n_iter_", "n_features_in_", "history_"} <= added
    assert clf.get_params() == before


def test_fit__attributes__are_those_of_the_docstring():
    clf = small().fit(pd.DataFrame(X[:, 0]).add_prefix("t"), y)
    documented = inspect.getdoc(TransformerClassifier).split("\nAttributes\n")[1].split("\nNotes\n")[0]

    names = {
        name
        for line in re.findall(r"^(\w+_(?:, \w+_)*) : ", documented, flags=re.MULTILINE)
        for name in line.split(", ")
    }

    assert names == {name for name in vars(clf) if name.endswith("_") and not name.startswith("_")}


def test_fit__twice__gives_the_same_result():
    clf = small()

    first = clf.fit(X, y).predict_proba(X)
    clf.fit(2 * X[:10, :1], y[:10])

    assert_array_equal(clf.fit(X, y).predict_proba(X), first)


def test_clone__fitted_classifier__is_unfitted_and_fits_to_the_same_result():
    clf = small(pooling="max").fit(X, y)

    copied = clone(clf)

    assert not hasattr(copied, "model_")
    assert copied.get_params() == clf.get_params()
    assert_array_equal(copied.fit(X, y).predict_proba(X), clf.predict_proba(X))


# Saving


def test_pickle__fitted_classifier__predicts_the_same():
    clf = small(encoder="transformer").fit(cut(X), y)
    expected = clf.predict_proba(cut(X))

    loaded = pickle.loads(pickle.dumps(clf))

    assert_array_equal(loaded.predict_proba(cut(X)), expected)
    assert_array_equal(clf.predict_proba(cut(X)), expected)


def test_pickle__unfitted_classifier__keeps_parameters():
    assert pickle.loads(pickle.dumps(small(n_layers=2))).get_params() == small(n_layers=2).get_params()


def test_joblib__dumped_and_loaded__predicts_the_same(tmp_path: Path):
    clf = small().fit(X, y)

    joblib.dump(clf, tmp_path / "clf.joblib")

    assert_array_equal(joblib.load(tmp_path / "clf.joblib").predict_proba(X), clf.predict_proba(X))


def test_deepcopy__copy_trained_further__leaves_the_original_alone():
    clf = small(warm_start=True).fit(X, y)
    expected = clf.predict_proba(X)

    copied = copy.deepcopy(clf).fit(X, y)

    assert np.abs(copied.predict_proba(X) - expected).max() > 1e-3
    assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_pickle__training_goes_on_after_loading__as_if_never_saved(go_on):
    clf = small(warm_start=True)
    clf.fit(X, y) if go_on == "fit" else clf.partial_fit(X, y, classes=[0, 1])
    loaded = pickle.loads(pickle.dumps(clf))

    for classifier in (clf, loaded):
        getattr(classifier, go_on)(X, y)

    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


# Tools of scikit-learn on 3-D series


def test_cross_val_score__three_dimensional_series__learns_in_each_fold():
    assert cross_val_score(small(**LEARNS), X, y, cv=3).min() >= 0.75


def test_cross_val_score__list_of_unequal_lengths__learns_in_each_fold():
    assert cross_val_score(small(**LEARNS), cut(X), y, cv=3).min() >= 0.75


def test_cross_val_predict__predict_proba__gives_each_case_a_row():
    probability = cross_val_predict(small(**LEARNS), X, y, cv=2, method="predict_proba")

    assert probability.shape == (len(X), 2)
    assert accuracy_score(y, probability.argmax(axis=1)) >= 0.75


def test_grid_search__one_setting_cannot_learn__finds_the_other():
    search = GridSearchCV(small(**LEARNS), {"learning_rate": [1e-12, 1e-2]}, cv=2).fit(X, y)

    assert search.best_params_ == {"learning_rate": 1e-2}
    assert search.score(X, y) >= 0.9


@pytest.mark.slow
def test_grid_search__two_processes__give_the_scores_of_one():
    grid = {"pooling": ["mean", "max"]}

    one, two = (GridSearchCV(small(), grid, cv=2, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2))

    assert_array_equal(two.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])
    assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=1e-4)


def test_pipeline__three_dimensional_transformer__equals_transforming_by_hand():
    by_hand = small().fit(np.sign(X), y)

    pipeline = make_pipeline(FunctionTransformer(np.sign), small()).fit(X, y)

    assert_array_equal(pipeline.predict_proba(X), by_hand.predict_proba(np.sign(X)))


def test_pipeline__embedding_for_another_classifier__learns():
    pipeline = make_pipeline(small(**LEARNS), LogisticRegression()).fit(X, y)

    assert pipeline.score(X, y) >= 0.9


@pytest.mark.parametrize(
    "combine",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: CalibratedClassifierCV(clf, cv=2, ensemble=False),
        lambda clf: VotingClassifier([("mean", clf), ("max", clone(clf).set_params(pooling="max"))], voting="soft"),
        lambda clf: StackingClassifier([("mean", clf), ("max", clone(clf).set_params(pooling="max"))], cv=2),
        lambda clf: OneVsRestClassifier(clf),
    ],
    ids=["calibrated", "calibrated without ensemble", "voting", "stacking", "one versus rest"],
)
def test_meta_estimator__three_dimensional_series__learns(combine):
    labels = np.array(["slow", "fast"])[y]

    combined = combine(small(**LEARNS)).fit(X, labels)

    assert combined.score(X, labels) >= 0.9
    assert_allclose(combined.predict_proba(X).sum(axis=1), 1.0)


def test_bagging__two_dimensional_series__learns():
    assert BaggingClassifier(small(**LEARNS), n_estimators=2, random_state=0).fit(X[:, 0], y).score(X[:, 0], y) >= 0.9


# Metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requesting() -> TransformerClassifier:
    clf = small(early_stopping=True, max_steps=20)
    return clf.set_fit_request(X_val=True, y_val=True, sample_weight=True).set_score_request(sample_weight=True)


X_val, y_val = waves(10, seed=1)
weight = np.linspace(0.5, 2.0, len(y))


@pytest.mark.usefixtures("routing")
def test_routing__pipeline_that_transforms_x_val__fits_as_by_hand():
    by_hand = requesting().fit(halve(X), y, sample_weight=weight, X_val=halve(X_val), y_val=y_val)

    pipeline = Pipeline([("halve", FunctionTransformer(halve)), ("clf", requesting())], transform_input=["X_val"])
    pipeline.fit(X, y, sample_weight=weight, X_val=X_val, y_val=y_val)

    assert pipeline["clf"].history_["loss"] == by_hand.history_["loss"]
    assert pipeline["clf"].history_["validation_loss"] == by_hand.history_["validation_loss"]


@pytest.mark.usefixtures("routing")
def test_routing__grid_search_over_pipeline__passes_x_val_whole_and_weights_in_parts():
    by_hand = requesting().fit(halve(X), y, sample_weight=weight, X_val=halve(X_val), y_val=y_val)
    pipeline = Pipeline([("halve", FunctionTransformer(halve)), ("clf", requesting())], transform_input=["X_val"])

    search = GridSearchCV(pipeline, {"clf__pooling": ["mean"]}, cv=2, error_score="raise")
    search.fit(X, y, sample_weight=weight, X_val=X_val, y_val=y_val)

    assert search.best_estimator_["clf"].history_["validation_loss"] == by_hand.history_["validation_loss"]


@pytest.mark.usefixtures("routing")
def test_routing__cross_validate__weights_reach_fit_and_score():
    only_first_class = np.where(y == 0, 1.0, 1e-12)

    clf = small(max_steps=20).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    scores = cross_validate(clf, X, y, cv=2, params={"sample_weight": only_first_class})

    assert_allclose(scores["test_score"], 1.0)


@pytest.mark.usefixtures("routing")
def test_routing__weights_not_requested__raises():
    with pytest.raises(ValueError, match=r"\[sample_weight\] are passed but are not explicitly set as requested"):
        cross_validate(small(), X, y, cv=2, params={"sample_weight": weight})
