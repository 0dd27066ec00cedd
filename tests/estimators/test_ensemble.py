"""TransformerClassifier of several networks: averaged, scaled each its own way, trained on, and interrupted."""

import copy
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tsformer.layers.scaling import ChannelScaler, RobustScaler
from tsformer.models.ensemble import Ensemble

from .waves import LEARNS, cut, small, waves

X, y = waves()
X3, y3 = waves(n_classes=3)


def three(**params):
    """Make a classifier of three networks."""
    return small(**({"n_estimators": 3} | params))


def alone(clf, network):
    """Return the classifier as if `network` were its only one."""
    single = copy.deepcopy(clf)
    single.model_ = Ensemble([single.model_.networks[network]])
    return single


def from_call(number, alter):
    """Return an augmentation that does nothing before its call `number`; networks and their copies share its count."""
    calls = itertools.count(1)

    def augment(x, observed):
        return alter(x, observed) if next(calls) >= number else (x, observed)

    return augment


def press_ctrl_c(x, observed):
    raise KeyboardInterrupt


# What is averaged


def test_predict_proba__three_networks__is_the_geometric_mean_of_theirs():
    clf = three().fit(cut(X3), y3)

    each = [alone(clf, network).predict_proba(cut(X3)) for network in range(3)]

    assert len(clf.model_.networks) == 3
    assert_allclose(clf.predict_proba(cut(X3)), softmax(np.log(each).mean(axis=0), axis=1), atol=1e-9)
    assert np.abs(each[0] - each[1]).max() > 1e-3
    assert np.abs(each[0] - each[2]).max() > 1e-3


@pytest.mark.parametrize(("X", "y"), [(X, y), (X3, y3)], ids=["two classes", "three"])
def test_decision_function__three_networks__agrees_with_their_probabilities(X, y):
    clf = three().fit(X, y)

    probability, score = clf.predict_proba(X), clf.decision_function(X)

    expected = expit(score) if len(clf.classes_) == 2 else softmax(score, axis=1)
    assert_allclose(expected, probability[:, 1] if len(clf.classes_) == 2 else probability)
    assert_array_equal(clf.predict(X), clf.classes_[probability.argmax(axis=1)])


def test_fit__more_networks__keeps_the_first_ones():
    two, one = (small(n_estimators=n).fit(X, y) for n in (2, 1))

    assert_array_equal(alone(two, 0).predict_proba(X), one.predict_proba(X))


def test_fit__neighbouring_seeds__share_no_network():
    first, second = (small(n_estimators=2, scaling="standard", random_state=seed).fit(X, y) for seed in (0, 1))

    assert np.abs(alone(first, 1).predict_proba(X) - alone(second, 0).predict_proba(X)).max() > 1e-3


def test_fit__three_networks_and_one_seed__gives_the_same_result():
    first, second = (three(dropout=0.1).fit(X, y).predict_proba(X) for _ in range(2))

    assert_array_equal(second, first)


# How the networks are scaled


def test_scaling__sequence__is_taken_in_turn():
    clf = three(scaling=("standard", "robust")).fit(X, y)

    assert [type(model.scaler) for model in clf.model_.networks] == [ChannelScaler, RobustScaler, ChannelScaler]


@pytest.mark.parametrize("scaling", ["robust", ["robust"], ("robust",)], ids=["name", "list", "tuple"])
def test_scaling__one_name__is_every_networks(scaling):
    clf = small(n_estimators=2, scaling=scaling).fit(X, y)

    assert [type(model.scaler) for model in clf.model_.networks] == [RobustScaler] * 2


@pytest.mark.parametrize("scaling", [(), ("standard", "minmax"), [1]])
def test_scaling__sequence_of_other_things__says_what_it_must_be(scaling):
    with pytest.raises(
        ValueError,
        match=r"'scaling' parameter of TransformerClassifier must be one of \['auto', 'robust', 'standard'\]",
    ):
        small(scaling=scaling).fit(X, y)


def test_scaling__robust_on_a_channel_of_rare_bursts__learns():
    X_bursts = np.exp(4 * X) * 1e3

    assert small(scaling="robust", **LEARNS).fit(X_bursts, y).score(X_bursts, y) >= 0.9


def test_scaling__auto_under_rare_bursts__hears_what_the_bulk_of_the_values_does():
    rng = np.random.default_rng(0)
    waves = np.sin(2 * np.pi * (np.where(np.arange(80) % 2, 6, 4)[:, None] * np.arange(60) / 60 + rng.random((80, 1))))
    X_bursts = waves + 0.3 * rng.normal(size=waves.shape) + (rng.random(waves.shape) < 0.01) * 1e3
    y_bursts = np.arange(80) % 2
    scores = [
        small(scaling=scaling, **LEARNS).fit(X_bursts[:50], y_bursts[:50]).score(X_bursts[50:], y_bursts[50:])
        for scaling in ("auto", "standard")
    ]
    assert scores[0] >= 0.9
    assert scores[0] > scores[1] + 0.1


# What it returns


def test_transform__three_networks__puts_their_embeddings_side_by_side_with_names():
    clf = three().fit(X, y)

    embedding = clf.set_output(transform="pandas").transform(X)

    assert embedding.shape == (len(X), 3 * clf.d_model)
    assert embedding.columns.tolist() == clf.get_feature_names_out().tolist()
    assert_array_equal(embedding.iloc[:, 16:32], alone(clf, 1).set_output(transform="default").transform(X))


def test_attention_maps__three_networks__has_a_list_of_layers_for_each():
    clf = three(n_layers=2).fit(X, y)

    maps = clf.attention_maps(X)

    assert [len(layers) for layers in maps] == [2, 2, 2]
    assert_array_equal(maps[1][0], alone(clf, 1).attention_maps(X)[0][0])
    assert np.abs(maps[0][0] - maps[1][0]).max() > 1e-4


def test_history__three_networks__is_one_table_for_pandas():
    clf = three(max_steps=7, batch_size=12).fit(X, y)

    table = pd.DataFrame(clf.history_)

    assert table.groupby("network")["step"].apply(list).tolist() == [[2, 4, 6, 7]] * 3
    assert clf.n_iter_.tolist() == [7, 7, 7]


# Saving and searching


def test_pickle__three_networks__predicts_and_trains_on_as_before():
    clf = three().partial_fit(X, y, classes=[0, 1])

    loaded = pickle.loads(pickle.dumps(clf))

    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.partial_fit(X, y).predict_proba(X), clf.partial_fit(X, y).predict_proba(X))


def test_pickle__after_predictions_in_float64__holds_all_networks_in_float32():
    clf = three().fit(X, y)
    clf.predict(X)
    networks = clf.__getstate__()["model_"].networks
    assert {weight.tensor.dtype for model in networks for weight in model.parameters()} == {torch.float32}


def test_clone__three_networks__fits_to_the_same_result():
    clf = three(scaling=["robust", "standard"]).fit(X, y)

    assert_array_equal(clone(clf).fit(X, y).predict_proba(X), clf.predict_proba(X))


def test_grid_search__number_and_scaling_of_networks__are_parameters_as_others():
    grid = [{"n_estimators": [1], "scaling": ["robust"]}, {"n_estimators": [2], "scaling": [("standard", "robust")]}]

    search = GridSearchCV(small(**LEARNS), grid, cv=2, error_score="raise").fit(X, y)

    assert len(search.best_estimator_.model_.networks) == search.best_params_["n_estimators"]
    assert search.score(X, y) >= 0.9


# Early stopping and further training


def test_early_stopping__three_networks__each_stops_by_itself_on_the_same_cases():
    noisy = np.random.default_rng(1).permutation(y)
    clf = three(early_stopping=True, max_steps=60, learning_rate=1e-2).fit(X, noisy)

    table = pd.DataFrame(clf.history_)

    best = table.loc[table.groupby("network")["validation_loss"].idxmin(), "step"]
    assert clf.n_iter_.tolist() == best.tolist()
    assert len(set(best)) > 1


def test_refit__three_networks__each_trains_for_the_steps_it_chose():
    params = {"early_stopping": True, "validation_fraction": 0.25, "max_steps": 15, "learning_rate": 1e-2}
    stopped, refitted = (three(refit=refit, **params).fit(X, y) for refit in (False, True))

    assert refitted.n_iter_.tolist() == stopped.n_iter_.tolist()
    assert pd.DataFrame(refitted.history_).groupby("network")["step"].max().tolist() == stopped.n_iter_.tolist()


def test_warm_start__three_networks__each_goes_on_from_itself():
    clf = three(warm_start=True, **LEARNS).fit(X, y)
    expected = [alone(clf, network).predict_proba(X) for network in range(3)]

    clf.set_params(max_steps=1, learning_rate=1e-9, weight_decay=0.0).fit(X, y)

    for network in range(3):
        assert_allclose(alone(clf, network).predict_proba(X), expected[network], atol=0.05)


def test_warm_start__more_n_estimators__adds_networks_and_fewer_are_refused():
    clf = small(n_estimators=1, warm_start=True, **LEARNS).fit(X, y)
    first = alone(clf, 0).predict_proba(X)
    clf.set_params(n_estimators=3, max_steps=1, learning_rate=1e-9, weight_decay=0.0).fit(X, y)

    assert len(clf.model_.networks) == len(clf.n_iter_) == 3
    assert_allclose(alone(clf, 0).predict_proba(X), first, atol=0.05)
    with pytest.raises(
        ValueError, match=r"n_estimators=2 must be larger or equal to the number of networks .* 3, when"
    ):
        clf.set_params(n_estimators=2).fit(X, y)
    with pytest.raises(ValueError, match=r"partial_fit trains the networks that there are, 3\. Got n_estimators=2"):
        clf.partial_fit(X, y)


def test_partial_fit__three_networks__trains_each():
    clf, one = three(), small()
    for classifier in (clf, one):
        classifier.partial_fit(X, y, classes=[0, 1])
    before = clf.predict_proba(X)

    assert_array_equal(alone(clf, 0).predict_proba(X), one.predict_proba(X))
    clf.partial_fit(X, y)

    assert clf.n_iter_.tolist() == [4, 4, 4]
    assert set(pd.DataFrame(clf.history_)["network"]) == {0, 1, 2}
    assert np.abs(clf.predict_proba(X) - before).max() > 1e-4


def test_further_training__second_network_fails__leaves_all_as_they_were():
    augment = from_call(3 * 5 + 5 + 2, lambda x, observed: (x * float("nan"), observed))
    clf = three(warm_start=True, batch_size=24, augment=augment).fit(X, y)
    expected = clf.predict_proba(X)

    with pytest.raises(ValueError, match="training loss became nan"):
        clf.fit(X, y)

    assert_array_equal(clf.predict_proba(X), expected)


# Interruption


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(("call", "n_finished"), [(3, 1), (5 + 3, 1), (2 * 5 + 3, 2)])
def test_fit__interrupted__keeps_the_finished_networks_or_the_first_unfinished(call, n_finished):
    clf = three(augment=from_call(call, press_ctrl_c), batch_size=24)

    with pytest.warns(UserWarning, match="Training interrupted by user after 2 steps") as warned:
        clf.fit(X, y)

    assert warned[0].filename == __file__
    assert len(clf.model_.networks) == len(clf.n_iter_) == n_finished
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1.0)
    assert set(pd.DataFrame(clf.history_)["network"]) == set(range(n_finished))
    assert clf.n_iter_.tolist() == ([2] if call == 3 else [5] * n_finished)


@pytest.mark.usefixtures("steady")
def test_warm_start__interrupted_in_the_second_network__keeps_three():
    clf = three(warm_start=True, batch_size=24, augment=from_call(3 * 5 + 5 + 3, press_ctrl_c)).fit(X, y)
    before = [alone(clf, network).predict_proba(X) for network in range(3)]

    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, y)

    after = [alone(clf, network).predict_proba(X) for network in range(3)]
    assert np.abs(after[0] - before[0]).max() > 1e-3
    assert_array_equal(after[1:], before[1:])
    assert clf.n_iter_.tolist() == [5, 5, 5]
