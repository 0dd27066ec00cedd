"""TransformerClassifier: forms of series, seeds, weights, early stopping, further training, and what it returns."""

import functools
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn.ensemble import BaggingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from torch import nn

from tsformer import TransformerClassifier
from tsformer.data.cases import stored
from tsformer.datasets import load_classification
from tsformer.layers.pooling import POOLINGS
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.conv_stem import ConvStemEncoder
from tsformer.models.encoders.transformer import TransformerEncoder
from tsformer.training.fitting import settled_for_cases

from .waves import LEARNS, LEARNS_SLOWLY, cut, small, waves

X, y = waves()
SAME_COMPANY = 1e-9  # how far a probability may move with the other cases of a call, on the CPU

every_encoder = pytest.mark.parametrize("encoder", ENCODERS)


def fit_predict(X, y=y, **params):
    """Return the probabilities of the training cases after a short fit."""
    return small(**params).fit(X, y).predict_proba(X)


@pytest.fixture(scope="module")
def by_default():
    return fit_predict(X)


# Accuracy on real data; the floors were given before anything ran


@pytest.mark.slow
@pytest.mark.parametrize(("name", "floor"), [("BasicMotions", 0.95), ("JapaneseVowels", 0.97)])
def test_score__real_series_with_default_settings__reaches_the_floor(name, floor):
    clf = TransformerClassifier(random_state=0).fit(*load_classification(name, split="train"))

    assert clf.score(*load_classification(name, split="test")) >= floor


def test_score__real_univariate_series_and_few_steps__beats_the_larger_class():
    X_train, y_train = load_classification("ItalyPowerDemand", split="train")
    X_test, y_test = load_classification("ItalyPowerDemand", split="test")

    assert small(**LEARNS).fit(X_train, y_train).score(X_test[::5], y_test[::5]) >= 0.8


# Forms of series

FORMS = {
    "array of several channels": lambda X: X,
    "array of one channel": lambda X: X[:, 0],
    "frame": lambda X: pd.DataFrame(X[:, 0]).add_prefix("t"),
    "list of unequal lengths": cut,
    "list of one-dimensional series": lambda X: [series[0] for series in cut(X)],
    "object array": lambda X: np.fromiter(cut(X), dtype=object),
    "nested lists": lambda X: X.tolist(),
    "integers": lambda X: np.rint(100 * X).astype(int),
    "float32": lambda X: X.astype(np.float32),
    "tensor": torch.from_numpy,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_fit__form_of_series__learns_and_predicts(form):
    clf = small(**LEARNS).fit(form(X), y)
    X_new, y_new = waves(seed=1)

    assert clf.score(form(X_new), y_new) >= 0.85


@pytest.mark.parametrize(
    ("form", "array"),
    [
        (X[:, 0], X[:, :1]),
        (list(X), X),
        (list(X[:, 0]), X[:, :1]),
        (np.fromiter(cut(X), dtype=object), cut(X)),
        (tuple(cut(X)), cut(X)),
        (pd.DataFrame(X[:, 0]), X[:, :1]),
        (X.tolist(), X),
        (torch.from_numpy(X), X),
        (np.asfortranarray(X), X),
        (np.rint(X).astype(int), np.rint(X)),
        (X > 0, (X > 0).astype(float)),
    ],
    ids=[
        "2-D",
        "list",
        "list of 1-D",
        "object array",
        "tuple",
        "frame",
        "nested lists",
        "tensor",
        "Fortran",
        "int",
        "bool",
    ],
)
def test_fit__two_forms_of_the_same_series__give_the_same_result(form, array):
    assert_array_equal(fit_predict(form), fit_predict(array))


def test_fit__float32_series__gives_nearly_the_result_of_float64():
    assert_allclose(fit_predict(X.astype(np.float32)), fit_predict(X.astype(np.float32).astype(float)), atol=1e-3)


def test_fit__small_signal_on_a_large_level__learns_as_without_the_level():
    level = 1_234_567_891.0

    clf = small(differences=False, augment=None, **LEARNS).fit(X + level, y)

    assert clf.score(X + level, y) >= 0.9


def test_fit__frame_with_named_columns__keeps_and_compares_the_names():
    frame = pd.DataFrame(X[:, 0]).add_prefix("t")
    clf = small().fit(frame, y)

    assert_array_equal(clf.feature_names_in_, frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame.rename(columns={"t0": "start"}))


@pytest.mark.parametrize(
    ("form", "n_features"),
    [(X, 2), (cut(X), 2), (X[:, 0], 30), (pd.DataFrame(X[:, 0]), 30)],
    ids=["3-D", "list", "2-D", "frame"],
)
def test_fit__shape_of_series__is_noted(form, n_features):
    clf = small().fit(form, y)

    assert clf.n_features_in_ == n_features
    assert clf.n_channels_ == (1 if n_features == 30 else 2)
    assert clf.n_timepoints_ == 30


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["walk", "run"])[y],
        [["walk", "run"][label] for label in y],
        pd.Series(np.array(["walk", "run"])[y], index=range(100, 100 + len(y))),
        pd.Series(pd.Categorical(np.array(["walk", "run"])[y])),
        np.array([-1, 1])[y],
        np.array([0.0, 5.0])[y],
        y == 1,
    ],
    ids=["text", "list", "series", "categorical", "-1 and 1", "float", "bool"],
)
def test_predict__form_of_labels__returns_such_labels(labels):
    clf = small(**LEARNS).fit(X, labels)

    assert_array_equal(clf.classes_, np.unique(labels))
    assert set(clf.predict(X)) == set(labels)
    assert clf.score(X, labels) >= 0.9


# Missing values and unequal lengths


@every_encoder
def test_fit__missing_values_and_a_channel_without_any__learns(encoder):
    rng = np.random.default_rng(0)

    def hide(X):
        return np.concatenate(
            [np.where(rng.random(X.shape) < 0.1, np.nan, X), np.full((len(X), 1, 30), np.nan)], axis=1
        )

    clf = small(encoder=encoder, **LEARNS_SLOWLY).fit(hide(X), y)

    assert_allclose(clf.predict_proba(hide(X)).sum(axis=1), 1.0)
    assert clf.score(hide(X), y) >= 0.8


def test_predict__value_missing__is_not_taken_for_the_mean():
    clf = small(encoder="conv_stem", **LEARNS).fit(X, y)
    missing, mean = X.copy(), X.copy()
    missing[:, :, 10:14], mean[:, :, 10:14] = np.nan, X.mean(axis=(0, 2))[:, None]

    assert np.abs(clf.predict_proba(missing) - clf.predict_proba(mean)).max() > 1e-3


@every_encoder
def test_fit__series_padded_with_nan__equals_list_of_unequal_lengths(encoder):
    padded = np.full_like(X, np.nan)
    for row, series in zip(padded, cut(X), strict=True):
        row[:, : series.shape[1]] = series

    assert_array_equal(fit_predict(padded, encoder=encoder), fit_predict(cut(X), encoder=encoder))


@every_encoder
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("differences", [True, False])
def test_predict_proba__case_alone__equals_the_case_among_others(encoder, pooling, differences):
    X_long = waves(70)[0]  # more than one batch of predictions
    X_long[5, 0, 20:] = X_long[6, :, 4:9] = np.nan
    clf = small(encoder=encoder, pooling=pooling, differences=differences, n_layers=2).fit(cut(X), y)

    together = clf.predict_proba(cut(X_long))
    some = [0, 5, 6, 69]
    alone = np.concatenate([clf.predict_proba([cut(X_long)[case]]) for case in some])
    backwards = clf.predict_proba(cut(X_long)[::-1])[::-1]

    assert_allclose(alone, together[some], rtol=0, atol=SAME_COMPANY)
    assert_allclose(backwards, together, rtol=0, atol=SAME_COMPANY)


@every_encoder
@pytest.mark.parametrize("n_timepoints", [1, 5, 29, 31, 90])
def test_predict__series_of_another_length_than_in_training__is_accepted(encoder, n_timepoints):
    clf = small(encoder=encoder).fit(X, y)

    probability = clf.predict_proba(waves(n_timepoints=n_timepoints)[0])

    assert_allclose(probability.sum(axis=1), 1.0)


@pytest.mark.filterwarnings("ignore:X has 2 channels of a single time point:UserWarning")
@every_encoder
@pytest.mark.parametrize("n_timepoints", [1, 2, 3])
def test_fit__very_short_series__predicts(encoder, n_timepoints):
    probability = fit_predict(X[:, :, :n_timepoints], encoder=encoder)

    assert_allclose(probability.sum(axis=1), 1.0)


def test_fit__batches_of_one_case_and_a_series_of_one_value__predicts():
    X_uneven = [series[:, :1] if case < 4 else series for case, series in enumerate(X)]

    probability = fit_predict(X_uneven, batch_size=1, max_steps=len(X))

    assert_allclose(probability.sum(axis=1), 1.0)


def test_predict__learned_positions_and_longer_series__refuses_and_names_both_lengths():
    clf = small(encoder=functools.partial(TransformerEncoder, positions="learned")).fit(X, y)

    assert len(clf.predict(X[:, :, :20])) == len(X)
    with pytest.raises(ValueError, match=r"at most 30 tokens\. Got 40; shorten the series or use sinusoidal"):
        clf.predict(waves(n_timepoints=40)[0])


# Random numbers


def global_random_states():
    numpy_state = np.random.get_state()  # noqa: NPY002
    return pickle.dumps((random.getstate(), numpy_state, torch.get_rng_state().numpy()))


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)], ids=["int", "None", "RandomState"])
@pytest.mark.parametrize(
    "use",
    [
        lambda clf: clf.fit(X, y),
        lambda clf: clf.set_params(early_stopping=True, refit=True).fit(X, y),
        lambda clf: clf.set_params(dropout=0.1, encoder="transformer").fit(cut(X), y),
        lambda clf: clf.partial_fit(X, y, classes=[0, 1]).partial_fit(X, y),
        lambda clf: (clf.fit(X, y).predict_proba(X), clf.transform(X), clf.attention_maps(X)),
    ],
    ids=["fit", "early stopping", "dropout", "partial_fit", "predict"],
)
def test_any_method__global_random_states__are_left_alone(use, random_state):
    before = global_random_states()

    use(small(random_state=random_state))

    assert global_random_states() == before


def test_fit__same_seed_and_other_global_random_states__gives_the_same_result():
    first = fit_predict(X, dropout=0.1, early_stopping=True)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        second = fit_predict(X, dropout=0.1, early_stopping=True)

    assert_array_equal(second, first)


@pytest.mark.parametrize(
    "seeds",
    [(0, 1), (None, None), [np.random.RandomState(0)] * 2],
    ids=["two numbers", "None", "one RandomState drawn from twice"],
)
def test_fit__other_seed__gives_another_result(seeds):
    first, second = (fit_predict(X, random_state=seed) for seed in seeds)

    assert np.abs(first - second).max() > 1e-3


def test_fit__two_random_states_of_one_seed__give_the_same_result():
    first, second = (fit_predict(X, random_state=np.random.RandomState(7)) for _ in range(2))

    assert_array_equal(second, first)


# Weights of cases and classes


def test_sample_weight__zero__is_as_if_the_case_were_not_there():
    weight = np.ones(len(y))
    weight[[0, 5, 6, 23]] = 0.0
    X_odd = X.copy()
    X_odd[weight == 0] = 1e6  # would change the scaling
    used = weight > 0

    weighted = small(early_stopping=True, validation_fraction=0.2).fit(X_odd, y, sample_weight=weight)
    without = small(early_stopping=True, validation_fraction=0.2).fit(X[used], y[used])

    assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))
    assert weighted.history_["validation_loss"] == without.history_["validation_loss"]


def test_sample_weight__zero_for_the_longest_series__is_as_if_it_were_not_there():
    X_list = [np.tile(X[0], 10), *cut(X)[1:]]

    weighted = small().fit(X_list, y, sample_weight=np.arange(len(y)) > 0)
    without = small().fit(X_list[1:], y[1:])

    assert weighted.n_timepoints_ == 30
    assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


def test_sample_weight__zero_with_balanced_classes__is_as_if_the_case_were_not_there():
    weight = np.where(np.arange(len(y)) % 4 == 0, 0.0, 1.0)  # half of the first class

    weighted = small(class_weight="balanced").fit(X, y, sample_weight=weight)
    without = small(class_weight="balanced").fit(X[weight > 0], y[weight > 0])

    assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


def test_sample_weight__zero_for_a_whole_class__keeps_the_class():
    clf = small(**LEARNS).fit(X, y, sample_weight=(y == 1).astype(float))

    assert_array_equal(clf.classes_, [0, 1])
    assert_array_equal(clf.predict(X), 1)


def test_sample_weight__all_multiplied_by_a_number__changes_nothing():
    weight = np.linspace(0.5, 2.0, len(y))

    first, second = (small().fit(X, y, sample_weight=factor * weight).predict_proba(X) for factor in (1, 8))

    assert_array_equal(second, first)


def test_sample_weight__one_of_two_contradicting_labels_weighs_more__wins():
    X_twice, y_twice = np.concatenate([X, X]), np.concatenate([y, 1 - y])

    clf = small(**LEARNS).fit(X_twice, y_twice, sample_weight=np.repeat([9.0, 1.0], len(y)))

    assert clf.score(X, y) >= 0.9


def test_class_weight__dict__equals_the_same_weights_of_cases():
    by_class = small(class_weight={0: 1.0, 1: 5.0}).fit(X, y)
    by_case = small().fit(X, y, sample_weight=np.where(y == 1, 5.0, 1.0))

    assert_array_equal(by_class.predict_proba(X), by_case.predict_proba(X))


def test_class_weight__balanced__raises_the_probability_of_the_rare_class():
    X_same, rare = np.tile(X[:1], (24, 1, 1)), np.arange(24) < 4  # series that say nothing about the label

    plain, balanced = (fit_predict(X_same, rare, class_weight=way, **LEARNS_SLOWLY) for way in (None, "balanced"))

    assert plain[:, 1].max() < 0.3
    assert balanced[:, 1].min() > 0.4


# Early stopping

X_val, y_val = waves(16, seed=1)


@pytest.mark.parametrize("average_decay", [None, 0.9])
def test_early_stopping__validation_loss_rises_again__keeps_the_best_weights(average_decay):
    noisy = np.random.default_rng(1).permutation(y)
    changes = {"learning_rate": 1e-2, "average_decay": average_decay, "augment": None, "label_smoothing": 0.0}
    clf = small(early_stopping=True, max_steps=60, **changes)

    clf.fit(X, noisy, X_val=X_val, y_val=y_val)

    losses = clf.history_["validation_loss"]
    assert losses[-1] > min(losses) + 1e-3
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), abs=1e-5)
    assert clf.n_iter_ == clf.history_["step"][int(np.argmin(losses))]


@pytest.mark.usefixtures("no_warmup")
def test_early_stopping__labels_without_sense__stops_when_patience_runs_out():
    noisy = np.random.default_rng(1).permutation(y)
    clf = small(early_stopping=True, n_iter_no_change=4, tol=0.0, max_steps=400, learning_rate=1e-2)

    clf.fit(X, noisy, X_val=X_val, y_val=y_val)

    losses = clf.history_["validation_loss"]
    assert len(losses) == int(np.argmin(losses)) + 1 + 4
    assert clf.history_["step"][-1] < 400


def test_early_stopping__in_the_warm_up__spends_no_patience():
    clf = small(early_stopping=True, n_iter_no_change=1, tol=100.0, max_steps=100).fit(X, y)
    n_epochs_of_warm_up = 10 // 2  # two batches an epoch
    assert len(clf.history_["step"]) == n_epochs_of_warm_up + 1


@pytest.mark.usefixtures("no_warmup")
def test_early_stopping__no_gain_reaches_tol__stops_after_patience():
    clf = small(early_stopping=True, n_iter_no_change=3, tol=100.0, max_steps=400).fit(X, y)

    assert len(clf.history_["validation_loss"]) == 3  # the loss before the first step is what they must gain on


@pytest.mark.usefixtures("steady")
def test_early_stopping__x_val_given__trains_on_all_of_x():
    stopped = small(early_stopping=True, max_steps=9).fit(X, y, X_val=X_val, y_val=y_val)
    plain = small(max_steps=int(stopped.n_iter_[0])).fit(X, y)

    assert_array_equal(stopped.predict_proba(X), plain.predict_proba(X))


def test_early_stopping__x_val_longer_than_x__is_measured_whole():
    clf = small(early_stopping=True, label_smoothing=0.0).fit(X[:, :, :20], y, X_val=cut(X_val), y_val=y_val)

    loss = log_loss(y_val, clf.predict_proba(cut(X_val)))

    assert loss == pytest.approx(min(clf.history_["validation_loss"]), abs=1e-5)


def test_early_stopping__validation_weights__count_in_the_validation_loss():
    weight = np.linspace(0.0, 2.0, len(y_val))

    clf = small(early_stopping=True, label_smoothing=0.0)
    clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)

    loss = log_loss(y_val, clf.predict_proba(X_val), sample_weight=weight)
    assert loss == pytest.approx(min(clf.history_["validation_loss"]), abs=1e-5)


def test_early_stopping__fraction_held_back__is_not_trained_on():
    params = {"early_stopping": True, "max_steps": 60, "learning_rate": 1e-2, "augment": None, "average_decay": None}
    X_noise = np.random.default_rng(0).normal(size=(40, 2, 30))
    labels = np.random.default_rng(1).permutation(40) % 2

    clf = small(validation_fraction=0.5, **params).fit(X_noise, labels)

    # What was trained on is learnt by heart, the other half is not.
    assert min(clf.history_["loss"]) < 0.35
    assert min(clf.history_["validation_loss"]) > 0.5


@pytest.mark.usefixtures("steady")
def test_refit__after_early_stopping__trains_on_all_cases_for_the_steps_chosen():
    params = {"early_stopping": True, "validation_fraction": 0.25, "max_steps": 40, "learning_rate": 1e-2}
    stopped = small(**params).fit(X, y)

    refitted = small(refit=True, **params).fit(X, y)
    by_hand = small(max_steps=int(stopped.n_iter_[0]), learning_rate=1e-2).fit(X, y)

    assert refitted.n_iter_ == stopped.n_iter_
    assert_array_equal(refitted.predict_proba(X), by_hand.predict_proba(X))


# History, progress, interruption


def test_history__fit__is_a_table_for_pandas():
    clf = small(max_steps=7, batch_size=12).fit(X, y)

    table = pd.DataFrame(clf.history_)

    assert table["step"].tolist() == [2, 4, 6, 7]
    assert set(table) == {"network", "step", "loss", "learning_rate", "seconds"}
    assert np.isfinite(table).all(axis=None)
    assert clf.n_iter_ == 7


def test_history__early_stopping__has_a_validation_loss_for_each_epoch():
    table = pd.DataFrame(small(early_stopping=True).fit(X, y).history_)

    assert table["validation_loss"].notna().all()


@pytest.mark.parametrize(
    ("n_cases", "batch_size", "n_timepoints", "n_steps"),
    [(24, 16, 2, 400), (160, "auto", 2, 10 * 60), (24, 1, 2, 1200), (24, 1, 2048, 600), (24, 1, 18000, 400)],
)
def test_max_steps__auto__is_60_epochs_within_its_bounds(n_cases, batch_size, n_timepoints, n_steps):
    cases = stored(np.zeros((n_cases, 1, n_timepoints)), "X")

    params = settled_for_cases(small(max_steps="auto", batch_size=batch_size), cases, seed=0)

    assert params.max_steps == n_steps


def test_max_steps__auto__is_what_fit_takes():
    clf = small(max_steps="auto", encoder="transformer", n_layers=0, augment=None).fit(*waves(n_timepoints=2))

    assert clf.n_iter_.tolist() == [400]


@pytest.mark.parametrize(("verbose", "shown"), [(True, "5/5"), (False, "")])
def test_verbose__fit__shows_a_bar_on_stderr_or_nothing(verbose, shown, capsys):
    small(verbose=verbose).fit(X, y)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert shown in captured.err
    assert bool(captured.err) is verbose


class Interrupting:
    """An augmentation that alters nothing and presses Ctrl-C in its call number `call`."""

    def __init__(self, call):
        self.call = call
        self.calls = 0

    def __call__(self, x, observed):
        self.calls += 1
        if self.calls == self.call:
            raise KeyboardInterrupt
        return x, observed


@pytest.mark.parametrize("steps_done", [0, 1, 3])
@pytest.mark.usefixtures("steady")
def test_fit__interrupted__warns_and_keeps_what_was_learnt(steps_done):
    clf = small(augment=Interrupting(steps_done + 1), max_steps=50)

    with pytest.warns(UserWarning, match=f"Training interrupted by user after {steps_done} steps"):
        clf.fit(X, y)

    assert clf.n_iter_ == steps_done
    pd.DataFrame(clf.history_)
    if steps_done:
        until_then = small(augment=None, max_steps=steps_done).fit(X, y)
        assert_array_equal(clf.predict_proba(X), until_then.predict_proba(X))
    else:
        assert_allclose(clf.predict_proba(X).sum(axis=1), 1.0)


def test_fit__interrupted_with_early_stopping__keeps_the_best_weights():
    clf = small(augment=Interrupting(10), early_stopping=True, max_steps=50, label_smoothing=0.0)

    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)

    loss = log_loss(y_val, clf.predict_proba(X_val))
    assert loss == pytest.approx(min(clf.history_["validation_loss"]), abs=1e-5)


def test_fit__interrupted_with_refit__does_not_begin_to_train_again():
    augment = Interrupting(10)

    with pytest.warns(UserWarning, match="interrupted"):
        small(augment=augment, early_stopping=True, refit=True, max_steps=50).fit(X, y)

    assert augment.calls == 10


def test_fit__refit_interrupted__keeps_what_early_stopping_had_chosen_and_begins_no_other():
    how = {"early_stopping": True, "max_steps": 6, "batch_size": 4, "learning_rate": 1e-2}
    stopped = small(refit=False, augment=None, **how).fit(X, y)
    augment = Interrupting(8)  # in the second step of the refit

    with pytest.warns(UserWarning, match="interrupted by user after 1 steps"):
        clf = small(refit=True, n_estimators=2, augment=augment, **how).fit(X, y)

    assert augment.calls == 8
    assert_array_equal(clf.n_iter_, stopped.n_iter_)
    assert_array_equal(clf.predict_proba(X), stopped.predict_proba(X))


@pytest.mark.parametrize(
    "compare",
    [
        lambda clf: GridSearchCV(clf, {"d_ff": [8, 16]}, cv=2).fit(X, y),
        lambda clf: cross_val_score(clf, X, y, cv=2),
        lambda clf: cross_val_predict(clf, X, y, cv=2),
        lambda clf: BaggingClassifier(clf, n_estimators=2).fit(X[:, 0], y),
    ],
    ids=["grid search", "cross-validation", "cross-prediction", "bagging"],
)
def test_fit__interrupted_among_many__ends_them_all(compare):
    """A half-trained model must not be compared with whole ones, nor Ctrl-C be pressed once for each fit."""
    with pytest.raises(KeyboardInterrupt):
        compare(small(augment=Interrupting(2)))


def test_predict__interrupted__leaves_the_classifier_as_it_was(monkeypatch):
    clf = small().fit(X, y)
    expected = clf.predict_proba(X)
    with monkeypatch.context() as patch:
        patch.setattr(ConvStemEncoder, "forward", Interrupting(1))
        with pytest.raises(KeyboardInterrupt):
            clf.predict(X)

    assert_array_equal(clf.predict_proba(X), expected)


# Further training


def test_warm_start__second_fit__goes_on_from_the_first():
    clf = small(warm_start=True, augment=None)
    first = clf.fit(X, y).predict_proba(X)
    second = clf.fit(X, y).predict_proba(X)

    assert_array_equal(first, fit_predict(X, augment=None))
    assert log_loss(y, second) < log_loss(y, first) - 0.01


def test_warm_start__hardly_any_training__keeps_the_predictions():
    clf = small(warm_start=True, **LEARNS).fit(X, y)
    expected = clf.predict_proba(X)

    clf.set_params(max_steps=1, learning_rate=1e-9, weight_decay=0.0).fit(X, y)

    assert_allclose(clf.predict_proba(X), expected, atol=0.05)


def test_warm_start__with_early_stopping_and_refit__keeps_what_was_learnt():
    clf = small(warm_start=True, early_stopping=True, refit=True, **LEARNS).fit(X, y)
    assert clf.score(X, y) >= 0.9

    clf.set_params(max_steps=1, learning_rate=1e-9, weight_decay=0.0).fit(X, y)

    assert clf.score(X, y) >= 0.9


@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_further_training__loss_becomes_infinite__keeps_the_weights_before(go_on):
    clf = small(warm_start=True).fit(X, y)
    expected = clf.predict_proba(X)
    clf.set_params(learning_rate=1e30, batch_size=4)

    with pytest.raises(ValueError, match="training loss became"):
        getattr(clf, go_on)(X, y)

    assert_array_equal(clf.predict_proba(X), expected)


def test_warm_start__off__begins_anew():
    clf = small(**LEARNS).fit(X, y)

    clf.set_params(max_steps=1, learning_rate=1e-9).fit(X, y)

    assert_array_equal(clf.predict_proba(X), small(max_steps=1, learning_rate=1e-9).fit(X, y).predict_proba(X))


def passes(clf, n_passes, X=X, y=y):
    """Give `clf` the cases in halves, `n_passes` times."""
    for _ in range(n_passes):
        clf.partial_fit(X[:12], y[:12], classes=[0, 1])
        clf.partial_fit(X[12:], y[12:])
    return clf


def test_partial_fit__several_passes__learns():
    clf = passes(small(learning_rate=1e-2), 15)

    assert clf.score(X, y) >= 0.9
    assert clf.n_iter_ == 15 * 2


def test_partial_fit__same_seed__gives_the_same_result():
    first, second = (passes(small(), 2).predict_proba(X) for _ in range(2))

    assert_array_equal(second, first)


def test_partial_fit__classes_not_in_the_first_cases__can_be_learnt_later():
    clf = small(learning_rate=1e-2, augment=None).partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 7])
    for _ in range(25):
        clf.partial_fit(X, y)

    assert_array_equal(clf.classes_, [0, 1, 7])
    assert clf.score(X, y) >= 0.9


def test_partial_fit__each_call__augments_anew():
    seen = []

    def remember(x, observed):
        seen.append(torch.rand(3))
        return x, observed

    clf = small(augment=remember).partial_fit(X[:4], y[:4], classes=[0, 1])
    clf.partial_fit(X[:4], y[:4]).partial_fit(X[:4], y[:4])

    assert len({tuple(numbers.tolist()) for numbers in seen}) == 3


def test_fit__augmentation_that_is_a_module__does_as_a_function_does():
    class Weaker(torch.nn.Module):
        def forward(self, x, observed):
            return 0.5 * x, observed

    proba = [
        small(augment=augment).fit(X, y).predict_proba(X)
        for augment in (Weaker(), lambda x, observed: (0.5 * x, observed), None)
    ]
    assert_array_equal(proba[0], proba[1])
    assert not np.array_equal(proba[0], proba[2])


@pytest.mark.usefixtures("steady")
def test_partial_fit__all_cases_as_one_batch_in_each_call__equals_fit_of_as_many_steps():
    params = {"encoder": "transformer", "augment": None, "batch_size": len(X), "learning_rate": 1e-2}
    clf = small(**params).partial_fit(X, y, classes=[0, 1])
    for _ in range(4):
        clf.partial_fit(X, y)

    in_one_go = small(max_steps=5, average_decay=None, **params).fit(X, y)

    assert_allclose(clf.predict_proba(X), in_one_go.predict_proba(X), atol=1e-4)


def test_partial_fit__learning_rate_lowered__is_heeded():
    clf = passes(small(learning_rate=1e-2), 2)
    expected = clf.model_.networks[0].head.weight.detach().clone()

    clf.set_params(learning_rate=1e-12).partial_fit(X, y)

    assert_allclose(clf.model_.networks[0].head.weight.detach(), expected, atol=1e-6)


def test_partial_fit__after_fit__goes_on_from_it():
    clf = small(**LEARNS).fit(X, y)

    clf.set_params(learning_rate=1e-9).partial_fit(X[:4], y[:4])

    assert clf.score(X, y) >= 0.9
    assert clf.n_iter_ == LEARNS["max_steps"] + 1


def test_fit__after_partial_fit__begins_anew():
    clf = small().partial_fit(X[:, :1], y, classes=[0, 1, 2])

    clf.fit(X, y)

    assert_array_equal(clf.predict_proba(X), small().fit(X, y).predict_proba(X))


def test_partial_fit__after_partial_fit_and_fit__goes_on_from_the_fit_alone():
    clf = small().partial_fit(X[:, :1], y, classes=[0, 1, 2]).fit(X, y).partial_fit(X, y)

    assert_array_equal(clf.predict_proba(X), small().fit(X, y).partial_fit(X, y).predict_proba(X))


# What comes out

X3, y3 = waves(n_classes=3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_predict__probabilities_and_scores__agree(n_classes):
    X, numbers = waves(n_classes=n_classes)
    y = np.array(["c", "a", "b"])[numbers]
    clf = small(**LEARNS).fit(X, y)

    probability, score, label = clf.predict_proba(X), clf.decision_function(X), clf.predict(X)

    assert probability.dtype == np.float64
    assert_allclose(probability.sum(axis=1), 1.0)
    assert_array_equal(label, clf.classes_[probability.argmax(axis=1)])
    assert clf.score(X, y) == np.mean(label == y) >= 0.9
    if n_classes == 2:
        assert_allclose(expit(score), probability[:, 1])
        assert_array_equal(label, clf.classes_[(score > 0).astype(int)])
    else:
        assert_allclose(softmax(score, axis=1), probability)


def test_transform__any_series__returns_what_the_linear_head_reads():
    clf = small().fit(X3, y3)

    embedding = clf.transform(X3)

    assert embedding.shape == (len(X3), clf.d_model)
    head = clf.model_.networks[0].head
    logits = embedding @ head.weight.detach().double().numpy().T + head.bias.detach().double().numpy()
    assert_allclose(log_softmax(logits, axis=1), clf.decision_function(X3), atol=1e-6)


def test_transform__output_pandas__has_named_columns_and_the_index_of_x():
    frame = pd.DataFrame(X[:, 0], index=range(100, 100 + len(X))).add_prefix("t")
    clf = small().set_output(transform="pandas")

    embedding = clf.fit(frame, y).transform(frame)

    assert embedding.columns.tolist() == [f"transformerclassifier{i}" for i in range(16)]
    assert embedding.columns.tolist() == clf.get_feature_names_out().tolist()
    assert embedding.index.equals(frame.index)
    assert_array_equal(embedding, clf.set_output(transform="default").transform(frame))


def test_fit_transform__series_and_labels__equals_fit_and_transform():
    assert_array_equal(small().fit_transform(X, y), small().fit(X, y).transform(X))


@every_encoder
def test_attention_maps__unequal_lengths__hide_padding_and_do_not_depend_on_company(encoder):
    clf = small(encoder=encoder, n_layers=2).fit(cut(X), y)

    [maps] = clf.attention_maps(cut(X))

    assert len(maps) == (4 if encoder in {"gated_two_tower", "shifted_window"} else 2)
    for layer in maps:
        n_tokens = layer.shape[-1]
        assert layer.shape == (len(X), clf.n_heads, n_tokens, n_tokens)
        seen = layer.any(axis=-2)
        assert_allclose(layer.sum(axis=-1)[seen], 1.0, atol=1e-6)
        assert layer.min() >= 0.0
    for case, series in enumerate(cut(X)[:6]):
        for layer, layer_alone in zip(maps, clf.attention_maps([series])[0], strict=True):
            n_tokens = layer_alone.shape[-1]
            assert not layer[case, :, :, n_tokens:].any()
            assert_allclose(layer[case, :, :n_tokens, :n_tokens], layer_alone[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("encoder", "n_tokens"), [("transformer", 300), ("conv_stem", 60)])
def test_attention_maps__long_series__have_the_tokens_of_the_encoder(encoder, n_tokens):
    X_long, y_long = waves(4, n_timepoints=300)

    [maps] = small(encoder=encoder, max_steps=1).fit(X_long, y_long).attention_maps(X_long)

    assert [layer.shape for layer in maps] == [(4, 2, n_tokens, n_tokens)]


def test_attention_maps__predictions_after__are_as_before():
    clf = small().fit(X, y)
    before = clf.predict_proba(X)

    first = clf.attention_maps(X)

    assert_array_equal(clf.predict_proba(X), before)
    assert_array_equal(clf.attention_maps(X), first)


# Parts to choose


@every_encoder
@pytest.mark.parametrize("pooling", POOLINGS)
def test_fit__choice_of_parts_without_differences__learns(encoder, pooling):
    clf = small(encoder=encoder, pooling=pooling, differences=False, **LEARNS_SLOWLY).fit(X, y)

    assert clf.score(X, y) >= 0.9


def test_fit__learning_rate__rises_for_a_tenth_of_the_steps_then_falls():
    rates = small(batch_size=24, **LEARNS).fit(X, y).history_["learning_rate"]

    assert np.argmax(rates) <= 2
    assert max(rates) == pytest.approx(LEARNS["learning_rate"], rel=0.01)
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)


@every_encoder
@pytest.mark.parametrize("pooling", POOLINGS)
def test_fit__bfloat16__gives_nearly_but_not_quite_the_result_of_float32(encoder, pooling):
    float32, bfloat16 = (
        fit_predict(cut(X), encoder=encoder, pooling=pooling, precision=precision)
        for precision in ("float32", "bfloat16")
    )

    assert 1e-6 < np.abs(float32 - bfloat16).mean() < 0.05


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "d_model": 32,
        "n_heads": 4,
        "n_layers": 0,
        "d_ff": 8,
        "dropout": 0.2,
        "encoder": "transformer",
        "pooling": "max",
        "differences": False,
        "augment": None,
        "label_smoothing": 0.0,
        "class_weight": {0: 1.0, 1: 3.0},
        "max_steps": 6,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "weight_decay": 20.0,
        "average_decay": None,
        "early_stopping": True,
        "random_state": 1,
    }.items(),
)
def test_fit__parameter_changed__changes_the_model(name, value, by_default):
    assert np.abs(fit_predict(X, **{name: value}) - by_default).max() > 1e-5


def test_fit__token_narrower_than_the_number_of_kernels__predicts():
    probability = fit_predict(X, d_model=2, n_heads=1)

    assert_allclose(probability.sum(axis=1), 1.0)


class LastValueEncoder(nn.Module):
    """One token: a linear map of the last time point."""

    def __init__(self, n_channels, n_timepoints, *, d_model, n_heads, n_layers, d_ff, dropout):
        super().__init__()
        self.map = nn.Linear(n_channels, d_model)

    def forward(self, x, observed):
        return self.map(x[:, -1:]), observed[:, -1:].any(dim=-1)


def test_encoder__own_class__is_trained():
    X_last = X.copy()
    X_last[:, 0, -1] = 5 * y

    clf = small(encoder=LastValueEncoder, augment=None, **LEARNS).fit(X_last, y)

    assert clf.score(X_last, y) == 1.0
    assert isinstance(clf.model_.networks[0].encoder, LastValueEncoder)
    assert clf.attention_maps(X_last) == [[]]


def test_encoder__partial__passes_its_settings():
    clf = small(encoder=functools.partial(ConvStemEncoder, kernel_sizes=(5,), max_tokens=8), **LEARNS).fit(X, y)

    assert clf.score(X, y) >= 0.9
    assert clf.attention_maps(X)[0][0].shape[-1] == 8


def test_augment__own_function__sees_scaled_training_cases_only():
    seen = []

    def remember(x, observed):
        seen.append((x, observed))
        return x, observed

    clf = small(augment=remember, batch_size=8, max_steps=3).fit([1000 * series + 70 for series in cut(X)], y)
    clf.predict(X)

    assert len(seen) == 3
    assert sum(len(x) for x, _ in seen) == len(X)
    for channel in range(2):
        values = torch.cat([x[..., channel][observed[..., channel]] for x, observed in seen])
        assert len(values) == sum(series.shape[1] for series in cut(X))
        assert_allclose([values.mean(), values.std()], [0.0, 1.0], atol=1e-3)


def test_augment__function_that_hides_the_classes__keeps_from_learning():
    clf = small(augment=lambda x, observed: (torch.zeros_like(x), observed), **LEARNS).fit(X, y)

    assert clf.history_["loss"][-1] > 0.6


def _counts_calls(calls, x, observed):
    calls.append(1)
    return x, observed


def test_augment__set_between_fits__is_that_of_further_training():
    for train in ("fit", "partial_fit"):
        how = {"classes": [0, 1]} if train == "partial_fit" else {}
        clf, calls = small(augment=None, max_steps=2, warm_start=True), []
        getattr(clf, train)(X, y, **how)
        clf.set_params(augment=functools.partial(_counts_calls, calls))
        getattr(clf, train)(X, y)
        assert calls
        calls.clear()
        getattr(clf.set_params(augment=None), train)(X, y)
        assert not calls
