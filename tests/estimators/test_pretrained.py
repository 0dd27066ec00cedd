"""A classifier with a pretrained encoder: where the weights come from, what its head learns, how it counts."""

import itertools
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler
from torch import nn

import tsformer
from tsformer import TransformerClassifier, TransformerPretrainer
from tsformer.data.cases import read_cases
from tsformer.datasets import load_classification
from tsformer.estimators.pretrained import BUNDLED, ENCODER
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.frozen import FeatureScaler, FrozenClassifier, GaussianHead
from tsformer.training import ridge
from tsformer.training.channels import telling_channels
from tsformer.training.ridge import GAUSSIAN_PENALTIES, PENALTIES, best_head, gaussian_head, linear_head

from .waves import cut, small, waves

X, y = waves(n_channels=2)
X_test, y_test = waves(n_channels=2, seed=1)
SHAPE = {"n_resampled": 64, "d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 16}


@pytest.fixture(scope="module")
def pretrainer() -> TransformerPretrainer:
    return TransformerPretrainer(**SHAPE, max_steps=2, random_state=0, device="cpu").fit(X)


def frozen(pretrained, **params) -> TransformerClassifier:
    return small(n_estimators=0, pretrained=pretrained, **params)


# The frozen member


def test_fit__frozen__classifies_new_cases_and_leaves_the_encoder_as_it_was(pretrainer):
    clf = frozen(pretrainer).fit(X, y)
    assert clf.score(X_test, y_test) >= 0.9
    for name, weight in pretrainer.encoder_.state_dict().items():
        assert torch.equal(clf.model_.frozen.network.encoder.state_dict()[name].float(), weight.float()), name
    assert clf.n_iter_.shape == (0,)


def test_transform__frozen__is_the_embedding_of_the_pretrainer_and_how_channels_vary_together(pretrainer):
    clf = frozen(pretrainer).fit(X, y)
    of_channels = pretrainer.transform(X_test)
    embedded = clf.transform(X_test)
    assert_allclose(embedded[:, : of_channels.shape[1]], of_channels, atol=1e-12)
    n_channels = X.shape[1]
    assert embedded.shape[1] - of_channels.shape[1] == n_channels * (2 * n_channels + 1)
    assert len(clf.get_feature_names_out()) == embedded.shape[1]


def test_transform__frozen_of_one_channel__is_the_embedding_alone(pretrainer):
    embedded = frozen(pretrainer).fit(X[:, :1], y).transform(X_test[:, :1])
    n_features = pretrainer.transform(X_test).shape[1] // X.shape[1]
    assert_allclose(embedded, pretrainer.transform(X_test)[:, :n_features], atol=1e-12)


def test_fit__several_channels__leaves_a_model_that_can_learn_and_take_weights(pretrainer):
    model = frozen(pretrainer).fit(X, y).model_.frozen
    x = torch.from_numpy(X[:4]).transpose(1, 2)
    for weight in model.parameters():
        weight.requires_grad_()
    model(x, torch.ones_like(x, dtype=torch.bool))[:, 0].sum().backward()
    assert (model.head.weight.grad != 0).any()
    model.load_state_dict(model.state_dict())


def test_fit__classes_that_differ_by_correlation_alone__are_told_apart():
    rng, labels = np.random.default_rng(0), np.arange(80) % 2
    first, second = rng.normal(size=(2, 80, 100))
    series = np.stack([first, np.where(labels[:, None], first, second) + 0.5 * rng.normal(size=(80, 100))], axis=1)
    series /= series.std(axis=2, keepdims=True)
    clf = TransformerClassifier(n_estimators=0).fit(series[:40], labels[:40])
    assert clf.score(series[40:], labels[40:]) >= 0.95


def test_predict_proba__with_networks__is_surer_than_the_geometric_mean_over_all_by_how_well_the_encoder_does(
    pretrainer,
):
    both = small(pretrained=pretrainer).fit(X, y)
    alone = [small().fit(X, y), frozen(pretrainer).fit(X, y)]
    sharpness = both.model_.frozen.sharpness
    assert 1.2 < sharpness < 1.5
    product = np.prod([clf.predict_proba(X_test) for clf in alone], axis=0) ** (sharpness / 2)
    assert_allclose(both.predict_proba(X_test), product / product.sum(axis=1, keepdims=True), atol=1e-9)
    assert len(both.model_.members) == 2
    assert both.n_iter_.tolist() == [5]
    assert len(both.attention_maps(X[:3])) == 1


def test_fit__unequal_lengths_with_missing_values__is_as_good_as_whole(pretrainer):
    series = cut(X)
    series[2][0, 3:7] = np.nan
    assert frozen(pretrainer).fit(series, y).score(series, y) == 1.0


def test_fit__cases_of_weight_0__are_as_if_left_out(pretrainer):
    weight = np.ones(len(X))
    weight[:6] = 0
    weighted = frozen(pretrainer).fit(X, y, sample_weight=weight)
    without = frozen(pretrainer).fit(X[6:], y[6:])
    assert_allclose(weighted.predict_proba(X_test), without.predict_proba(X_test), atol=1e-9)


@pytest.mark.parametrize(("limit", "size"), [("MAX_CASES", len(X)), ("MAX_SERIES", X.shape[0] * X.shape[1])])
def test_fit__a_case_more_than_the_head_is_fitted_to__predicts_nearly_as_without_a_limit(
    pretrainer, monkeypatch, limit, size
):
    monkeypatch.setattr(ridge, limit, size)
    whole = frozen(pretrainer).fit(X, y).predict_proba(X_test)
    monkeypatch.setattr(ridge, limit, size - 1)
    limited = frozen(pretrainer).fit(X, y).predict_proba(X_test)
    assert 0 < np.abs(limited - whole).max() < 0.1


def test_fit__more_channels_than_are_looked_at__finds_those_that_tell_and_keeps_them(pretrainer, monkeypatch, tmp_path):
    monkeypatch.setattr(ridge, "MAX_CHANNELS", 4)
    tsformer.save(pretrainer, tmp_path / "pretrainer.safetensors")
    noise = np.random.default_rng(0).normal(size=(2, *X.shape))
    many, many_test = (
        np.concatenate([each, series, each], axis=1) for each, series in zip(noise, (X, X_test), strict=True)
    )
    clf = frozen(tmp_path / "pretrainer.safetensors").fit(many, y)
    assert {2, 3} <= {*clf.model_.frozen.channels}
    assert clf.score(many_test, y_test) >= 0.9
    tsformer.save(clf, tmp_path / "clf.safetensors")
    again = tsformer.load(tmp_path / "clf.safetensors")
    assert_array_equal(again.predict_proba(many_test), clf.predict_proba(many_test))


def test_fit__channels_that_tell_by_course_or_roughness_alone__are_found():
    rng, labels = np.random.default_rng(0), np.arange(40) % 2
    series = rng.normal(size=(40, 50, 60))
    series[labels == 1, 7, 20:30] += 1.5
    series[labels == 1, 31] = series[labels == 1, 31].cumsum(axis=1)
    series[:, 40] = 1.0
    series[:, 41] = np.nan
    channels = telling_channels(replace(read_cases(series).data, y=torch.from_numpy(labels)), 4)
    assert {7, 31} <= {*channels}
    assert channels == sorted(channels)


@pytest.mark.parametrize(("n_timepoints", "n_resampled"), [(16, 32), (17, 64)])
def test_fit__series_of_a_quarter_of_the_resampled_points__are_looked_at_by_half_of_these(
    pretrainer, tmp_path, n_timepoints, n_resampled
):
    short = X[:, :, :n_timepoints]
    clf = frozen(pretrainer).fit(short, y)
    assert clf.model_.frozen.network.n_timepoints == n_resampled
    assert pretrainer.model_.n_timepoints == 64
    clf.set_params(pretrained="bundled")  # an estimator cannot be saved as a parameter
    tsformer.save(clf, tmp_path / "clf.safetensors")
    assert_array_equal(tsformer.load(tmp_path / "clf.safetensors").predict_proba(short), clf.predict_proba(short))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_predict_proba__bundled_encoder_in_float32__does_not_depend_on_company(n_threads):
    series = cut(np.concatenate([X, X_test, X[:3]]))
    series[4][0, 3:20] = np.nan
    clf = TransformerClassifier(n_estimators=0, device="cpu").fit(series[:24], y[:24])
    before, order = torch.get_num_threads(), np.random.default_rng(0).permutation(len(series))
    torch.set_num_threads(n_threads)
    try:
        together = clf.predict_proba(series)
        shuffled = clf.predict_proba([series[i] for i in order])
        odd = np.concatenate([clf.predict_proba(series[start : start + 17]) for start in range(0, len(series), 17)])
        alone = np.concatenate([clf.predict_proba([series[i]]) for i in (3, 4)])
    finally:
        torch.set_num_threads(before)
    assert_allclose(shuffled, together[order], rtol=0, atol=1e-6)
    assert_allclose(odd, together, rtol=0, atol=1e-6)
    assert_allclose(alone, together[3:5], rtol=0, atol=1e-6)


def test_fit__random_state__does_not_matter_to_a_frozen_encoder(pretrainer):
    before = torch.get_rng_state()
    first, second = (frozen(pretrainer, random_state=seed).fit(X, y).predict_proba(X_test) for seed in (0, 1))
    assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_partial_fit__after_fit__trains_networks_and_leaves_the_head(pretrainer):
    clf = small(pretrained=pretrainer).fit(X, y)
    head = clf.model_.frozen.head.weight.detach().clone()
    clf.partial_fit(X, y)
    assert len(clf.model_.members) == 2
    assert_allclose(clf.model_.frozen.head.weight.detach(), head)
    assert clf.n_iter_.tolist() == [7]


def test_fit__warm_start__trains_networks_on_and_fits_the_head_anew(pretrainer):
    clf = small(pretrained=pretrainer, warm_start=True).fit(X, y).fit(X[:12], y[:12])
    head = frozen(pretrainer).fit(X[:12], y[:12]).model_.frozen.head
    assert_allclose(clf.model_.frozen.head.weight.detach(), head.weight.detach(), rtol=1e-6)
    assert len(clf.model_.members) == 2


def test_fit__classes_of_other_levels_far_from_zero__tells_them_apart(pretrainer):
    """Air pressure: 101,325 and 101,330 differ little beside their size, and by five deviations of the noise."""
    noise = np.random.default_rng(0).normal(size=(40, 1, 30))
    labels = np.arange(40) % 2
    pressure = 101_325 + 5.0 * labels[:, None, None] + noise
    clf = frozen(pretrainer).fit(pressure[:20], labels[:20])
    assert clf.score(pressure[20:], labels[20:]) == 1.0


def test_fit__interrupted__keeps_the_pretrained_member(pretrainer):
    calls = itertools.count(1)

    def augment(x, observed):
        if next(calls) > 2:
            raise KeyboardInterrupt
        return x, observed

    clf = small(pretrained=pretrainer, augment=augment, batch_size=24)
    with pytest.warns(UserWarning, match="Training interrupted by user after 2 steps"):
        clf.fit(X, y)
    assert [type(model) for model in clf.model_.members] == [SeriesClassifier, FrozenClassifier]
    assert clf.n_iter_.tolist() == [2]


def test_fit__warm_start_without_networks__begins_with_new_ones(pretrainer):
    clf = frozen(pretrainer, warm_start=True).fit(X, y).set_params(n_estimators=1, pretrained=None).fit(X, y)
    assert [type(model) for model in clf.model_.members] == [SeriesClassifier]


def test_fit__early_stopping_with_nothing_to_train__holds_nothing_back(pretrainer):
    labels = [0] * (len(X) - 1) + [1]  # one case of a class could not be split
    assert_array_equal(
        frozen(pretrainer, early_stopping=True).fit(X, labels).predict_proba(X),
        frozen(pretrainer).fit(X, labels).predict_proba(X),
    )


# The head


def test_linear_head__decides__as_ridge_regression_at_its_penalty():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = rng.normal(size=(60, 8)) + np.eye(3)[labels] @ rng.normal(size=(3, 8))
    new = rng.normal(size=(40, 8))
    logits = linear_head(features, labels, 3).head(torch.from_numpy(new)).detach().numpy()
    others = [RidgeClassifier(penalty).fit(features, labels) for penalty in PENALTIES]
    assert any(np.array_equal(logits.argmax(axis=1), other.predict(new)) for other in others)


def test_best_head__noise__is_not_sure_of_anything():
    rng = np.random.default_rng(0)
    head, _, doubt = best_head(rng.normal(size=(100, 50)), np.arange(100) % 2, 2)
    probability = head(torch.from_numpy(rng.normal(size=(500, 50)))).softmax(dim=1).detach().numpy()
    assert log_loss(np.arange(500) % 2, probability) < 1.05 * np.log(2)
    assert 0.95 < doubt <= 1


def test_best_head__few_cases_far_apart__are_told_apart_with_a_doubt():
    labels = np.arange(10) % 2
    features = np.where(labels[:, None] == 1, 1.0, -1.0) * np.ones((10, 5))
    probability = best_head(features, labels, 2).head(torch.from_numpy(features)).softmax(dim=1).detach().numpy()
    right = probability[np.arange(10), labels]
    assert (right > 0.9).all()
    assert (right < 0.99).all()


@pytest.mark.parametrize("n_classes", [2, 5])
def test_best_head__cases_that_are_told_apart__are_doubted_less_the_more_there_are(n_classes):
    doubts = []
    for n_cases in (10, 100, 1000):
        labels = np.arange(n_cases) % n_classes
        doubts.append(best_head(np.eye(n_classes)[labels], labels, n_classes).doubt)
    assert 0.5 > doubts[0] > doubts[1] > doubts[2] > 0
    assert doubts[2] < 0.02


def rings(n_cases: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that no plane separates: near the origin, around it."""
    rng, labels = np.random.default_rng(seed), np.arange(n_cases) % 2
    directions = rng.normal(size=(n_cases, 2))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True) * (1 + 2 * labels)[:, None], labels


def test_best_head__by_leave_one_out_error__is_linear_or_gaussian():
    on_rings, labels = rings(60, seed=0)
    head = best_head(on_rings, labels, 2).head
    assert isinstance(head, GaussianHead)
    new, expected = rings(200, seed=1)
    assert_array_equal(head(torch.from_numpy(new)).argmax(dim=1).numpy(), expected)

    apart = np.random.default_rng(0).normal(size=(60, 8)) + np.where(labels == 1, 0.3, -0.3)[:, None]
    assert isinstance(best_head(apart, labels, 2).head, nn.Linear)


def test_gaussian_head__decides__as_kernel_ridge_regression_at_its_penalty():
    features, labels = rings(60, seed=0)
    new, _ = rings(40, seed=1)
    head, error, _ = gaussian_head(features, labels, 2)
    gamma = 1 / np.median(pdist(features, "sqeuclidean"))
    assert_allclose(1 / head.width, gamma, rtol=0.05)
    kernel, new_kernel = (rbf_kernel(cases, features, gamma=1 / float(head.width)) for cases in (features, new))
    targets = np.where(labels[:, None] == [0, 1], 1.0, -1.0)
    centred, middle = (
        kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean(),
        kernel.mean(axis=0),
    )
    new_centred = new_kernel - middle - new_kernel.mean(axis=1, keepdims=True) + kernel.mean()
    decisions = [
        new_centred @ np.linalg.solve(centred + penalty * np.eye(60), targets - targets.mean(axis=0))
        for penalty in GAUSSIAN_PENALTIES
    ]
    logits = head(torch.from_numpy(new)).numpy()
    sizes = [np.abs(decision).max() / np.abs(logits).max() for decision in decisions]
    assert any(np.allclose(decision, size * logits, atol=1e-6) for decision, size in zip(decisions, sizes, strict=True))
    assert 0 < error < 1


def test_gaussian_head__more_cases_than_landmarks__takes_some_of_each_class(monkeypatch):
    features, labels = rings(400, seed=0)
    monkeypatch.setattr(ridge, "MAX_LANDMARKS", 40)
    head = gaussian_head(features, labels, 2).head
    inner = np.linalg.norm(head.landmarks.numpy(), axis=1) < 2
    assert (len(inner), inner.sum()) == (40, 20)
    new, expected = rings(200, seed=1)
    assert_array_equal(head(torch.from_numpy(new)).argmax(dim=1).numpy(), expected)


def test_gaussian_head__many_features__takes_as_many_landmarks_as_memory_allows(monkeypatch):
    features, labels = rings(30, seed=0)
    monkeypatch.setattr(ridge, "MAX_VALUES", 20)
    assert gaussian_head(features, labels, 2).head.landmarks.shape == (10, 2)
    monkeypatch.setattr(ridge, "MAX_VALUES", 1)
    assert gaussian_head(features, labels, 2).head.landmarks.shape == (2, 2)


def test_gaussian_head__weights__are_as_repeated_cases_once_landmarks_are_chosen(monkeypatch):
    features, labels = rings(30, seed=0)
    weight = np.random.default_rng(0).integers(1, 4, size=30)
    new = torch.from_numpy(rings(20, seed=1)[0])
    monkeypatch.setattr(ridge, "GAUSSIAN_PENALTIES", np.array([0.1]))  # errors left out differ: a copy stays
    weighted = gaussian_head(features, labels, 2, weight.astype(float)).head
    plain = gaussian_head(features, labels, 2).head
    rows = np.repeat(np.arange(30), weight)
    monkeypatch.setattr(ridge, "spread", lambda y, most: np.unique(rows, return_index=True)[1])
    repeated = gaussian_head(features[rows], labels[rows], 2).head
    boundary = [head(new)[:, 0] / head(new)[:, 0].norm() for head in (weighted, repeated, plain)]
    torch.testing.assert_close(boundary[0], boundary[1])
    assert (boundary[0] - boundary[2]).abs().max() > 1e-3


def test_gaussian_head__most_cases_alike__measures_distances_by_the_others():
    features, labels = rings(60, seed=0)
    often = np.concatenate([features, features[:2].repeat(200, axis=0)])
    head, error, _ = gaussian_head(often, np.concatenate([labels, labels[:2].repeat(200)]), 2)
    assert 1 < head.width < 36  # between the radius of the inner circle and the diameter of the outer one, squared
    new, expected = rings(200, seed=1)
    assert_array_equal(head(torch.from_numpy(new)).argmax(dim=1).numpy(), expected)
    assert error < 0.1


def test_gaussian_head__cases_all_alike__knows_how_frequent_the_classes_are():
    labels = np.array([0, 0, 0, 1])
    head = gaussian_head(np.ones((4, 3)), labels, 2).head
    probability = head(torch.zeros(1, 3, dtype=torch.float64)).softmax(dim=1)
    assert probability[0, 0] > 0.5


def test_fit__classes_that_differ_in_level_alone__are_told_apart_though_levels_are_few_features():
    accuracy = []
    for seed in range(3):
        labels = np.arange(120) % 2
        noise = np.random.default_rng(seed).normal(size=(120, 1, 64)) + 0.3 * labels[:, None, None]
        clf = TransformerClassifier(n_estimators=0).fit(noise[:40], labels[:40])
        accuracy.append(clf.score(noise[40:], labels[40:]))
    assert np.mean(accuracy) > 0.7


def test_fit__series_standardised_before__are_not_judged_by_the_rest_of_their_scale(pretrainer):
    standardised = (X - X.mean(axis=2, keepdims=True)) / X.std(axis=2, keepdims=True)
    clf = frozen(pretrainer).fit(standardised * (1 + 1e-7 * y[:, None, None]), y)
    expected = clf.predict_proba(standardised)
    assert_allclose(clf.predict_proba(standardised * (1 + 1e-6)), expected, atol=1e-6)


def test_predict_proba__values_far_out__give_probabilities(pretrainer):
    probability = frozen(pretrainer).fit(X, y).predict_proba(1e12 * X_test)
    assert np.isfinite(probability).all()
    assert probability.max() < 0.9999


def test_feature_scaler__weights__are_as_repeated_cases():
    features = torch.randn(6, 3, dtype=torch.float64)
    weight = torch.tensor([1, 2, 1, 3, 1, 1])
    weighted, repeated = (
        FeatureScaler(3).fit(features, weight),
        FeatureScaler(3).fit(features.repeat_interleave(weight, dim=0)),
    )
    torch.testing.assert_close(weighted(features), repeated(features))


# Where the weights come from


def test_pretrained__path_of_a_saved_pretrainer__is_that_pretrainer(pretrainer, tmp_path):
    tsformer.save(pretrainer, tmp_path / "pretrainer.safetensors")
    expected = frozen(pretrainer).fit(X, y).predict_proba(X_test)
    for path in (tmp_path / "pretrainer.safetensors", str(tmp_path / "pretrainer.safetensors")):
        assert_allclose(frozen(path).fit(X, y).predict_proba(X_test), expected, atol=1e-9)


def test_pretrained__frozen_in_a_grid_search__keeps_its_weights(pretrainer):
    search = GridSearchCV(frozen(FrozenEstimator(pretrainer)), {"class_weight": [None, "balanced"]}, cv=2).fit(X, y)
    assert search.best_score_ >= 0.9
    with pytest.raises(NotFittedError, match=r"wrap it: pretrained=sklearn.frozen.FrozenEstimator\(it\)"):
        clone(frozen(pretrainer)).fit(X, y)


@pytest.mark.parametrize("way", ["save", "pickle"])
@pytest.mark.parametrize("head", [linear_head, gaussian_head])
def test_fitted__kept_and_read__predicts_alike(pretrainer, tmp_path, way, head, monkeypatch):
    monkeypatch.setattr(ridge, "best_head", head)
    tsformer.save(pretrainer, tmp_path / "pretrainer.safetensors")
    clf = small(pretrained=tmp_path / "pretrainer.safetensors").fit(X, y)
    if way == "save":
        tsformer.save(clf, tmp_path / "clf.safetensors")
        again = tsformer.load(tmp_path / "clf.safetensors")
    else:
        again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X_test), clf.predict_proba(X_test))
    assert [type(model) for model in again.model_.members] == [type(model) for model in clf.model_.members]
    assert isinstance(again.model_.frozen.head, GaussianHead if head is gaussian_head else nn.Linear)


def test_save__pretrained_is_an_estimator__says_to_save_that_first(pretrainer, tmp_path):
    with pytest.raises(ValueError, match=r"(?s)'pretrained' parameter .* is an estimator.* and name its file"):
        tsformer.save(frozen(pretrainer).fit(X, y), tmp_path / "clf.safetensors")


def test_pretrainer__begun_with_weights__takes_them_as_they_are_or_trains_on(pretrainer):
    as_it_is = TransformerPretrainer(pretrained=pretrainer, max_steps=0, device="cpu").fit(X)
    assert_array_equal(as_it_is.transform(X_test), pretrainer.transform(X_test))
    assert as_it_is.n_iter_ == 0
    further = TransformerPretrainer(pretrained=pretrainer, max_steps=2, device="cpu").fit(X)
    assert further.n_iter_ == 2
    assert not np.array_equal(further.transform(X_test), pretrainer.transform(X_test))


def test_pretrainer__begun_with_weights_of_another_objective__says_so(pretrainer):
    with pytest.raises(ValueError, match=r"network of objective='contrastive'. Got objective='reconstruction'"):
        TransformerPretrainer(pretrained=pretrainer, objective="reconstruction").fit(X)


# Mistakes


def test_fit__no_network_at_all__says_what_to_set():
    with pytest.raises(ValueError, match=r"n_estimators=0 leaves no network. .* or pretrained='auto'"):
        small(n_estimators=0).fit(X, y)


def test_attention_maps__pretrained_encoder_alone__says_what_to_set(pretrainer):
    with pytest.raises(ValueError, match=r"attention_maps is of trained networks, of which n_estimators=0 has none"):
        frozen(pretrainer).fit(X, y).attention_maps(X)


def test_partial_fit__no_network_to_train__says_to_use_fit(pretrainer):
    with pytest.raises(ValueError, match=r"partial_fit trains networks, of which n_estimators=0 leaves none. Use fit"):
        frozen(pretrainer).partial_fit(X, y, classes=[0, 1])


def test_fit__not_a_pretrainer__says_what_is_taken(pretrainer):
    with pytest.raises(ValueError, match="The 'pretrained' parameter of TransformerClassifier must be"):
        small(pretrained=3).fit(X, y)
    for other in (frozen(pretrainer).fit(X, y), StandardScaler(), FrozenEstimator(StandardScaler().fit(X[:, 0]))):
        with pytest.raises(TypeError, match="must be 'bundled', the path of a saved one, a fitted Tr"):
            small(pretrained=other).fit(X, y)


def test_fit__file_of_another_estimator__names_it(tmp_path):
    path = tmp_path / "clf.safetensors"
    tsformer.save(small().fit(X, y), path)
    with pytest.raises(ValueError, match=r"must name a file of a TransformerPretrainer.* holds a "):
        small(pretrained=path).fit(X, y)


def test_fit__another_estimator__is_not_called_unfitted():
    with pytest.raises(TypeError, match=r"a fitted TransformerPretrainer or None\. Got TransformerClassifier\("):
        frozen(small().fit(X, y)).fit(X, y)
    with pytest.raises(TypeError, match=r"a fitted TransformerPretrainer or None\. Got StandardScaler\("):
        frozen(StandardScaler()).fit(X, y)


@pytest.mark.parametrize("estimator", [frozen("bundeld"), TransformerPretrainer(pretrained="bundeld", max_steps=0)])
def test_fit__name_or_path_of_no_file__says_what_is_taken(estimator):
    with pytest.raises(FileNotFoundError, match=r"must be 'bundled', the path .* Got 'bundeld', and there is no such"):
        estimator.fit(X, y)


def test_fit__folder__says_so(tmp_path):
    with pytest.raises(ValueError, match=r"must be 'bundled', the path .* Got the folder "):
        frozen(tmp_path).fit(X, y)


def test_fit__damaged_file__says_so(tmp_path):
    path = tmp_path / "pretrainer.safetensors"
    path.write_bytes(b"not at all")
    with pytest.raises(ValueError, match=r"The 'pretrained' parameter names .* damaged"):
        small(pretrained=path).fit(X, y)
    for network in ("{}", '{"objective": "none", "encoder": "patch", "n_timepoints": 8, "d_model": 4}'):
        save_file({"weight": torch.zeros(2)}, path, {"network": network})
        with pytest.raises(
            ValueError, match=r"The 'pretrained' parameter names .* holds no weights of a TransformerPretrainer: "
        ):
            small(pretrained=path).fit(X, y)


# The weights in the package


def test_bundled__file_and_card__are_small_and_tell_the_same():
    path = BUNDLED[ENCODER]
    with safe_open(path, framework="pt") as file:
        weights = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
    card = json.loads(path.with_name("encoder.json").read_text())
    assert {weight.dtype for weight in weights} == {torch.float16}
    assert sum(weight.numel() for weight in weights) == card["n_weights"]
    assert card["finished"]
    assert path.stat().st_size < 8e6


@pytest.mark.parametrize("name", ["GunPoint", "ItalyPowerDemand"])
def test_bundled__alone__classifies_real_series_held_back_from_its_head(name):
    series, labels = load_classification(name, split="train")
    scores = cross_val_score(TransformerClassifier(n_estimators=0, device="cpu"), series, labels, cv=3)
    assert scores.mean() >= 0.9


def test_bundled__default__votes_beside_the_networks():
    clf = TransformerClassifier(max_steps=1, device="cpu").fit(X, y)
    assert [type(model) for model in clf.model_.members] == [SeriesClassifier, SeriesClassifier, FrozenClassifier]


def test_spread_over_all__rare_class__is_kept():
    y = np.repeat([0, 1, 2], [20_000, 4, 20_000])
    chosen = ridge.spread_over_all(y, 4_000)
    assert np.bincount(y[chosen])[1] == 4
    assert 4_000 <= len(chosen) <= 4_030
    assert len(np.unique(chosen)) == len(chosen)
    assert_array_equal(ridge.spread_over_all(y[:50], 4_000), np.arange(50))
