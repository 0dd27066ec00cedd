"""TransformerPretrainer: what it learns, what its embeddings depend on, and how scikit-learn sees it."""

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from tsformer import TransformerPretrainer
from tsformer.data.synthetic import draw_series
from tsformer.models.encoders import ENCODERS

from .waves import cut, waves

X, y = waves(n_channels=2)
SIZE = {"n_resampled": 32, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
OBJECTIVES = ["contrastive", "reconstruction"]


def small(**params: Any) -> TransformerPretrainer:
    """Make a pretrainer that trains fast and repeatably."""
    return TransformerPretrainer(**(SIZE | {"max_steps": 3, "random_state": 0, "device": "cpu"} | params))


@pytest.fixture(scope="module")
def fitted() -> TransformerPretrainer:
    return small().fit(X)


# Training


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_fit__any_objective__lowers_its_loss(objective):
    series = draw_series(64, 64, generator=torch.Generator().manual_seed(0)).transpose(1, 2)
    model = small(objective=objective, max_steps=90, batch_size=32, learning_rate=5e-3, average_decay=None)
    loss = model.fit(series).history_["loss"]
    assert np.mean(loss[-5:]) < 0.85 * np.mean(loss[:5])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_fit__any_encoder__trains_on_unequal_lengths_with_missing_values(encoder, objective):
    series = cut(X.copy())
    series[3][0, 5:9] = np.nan
    series[4][1] = np.nan
    model = small(encoder=encoder, objective=objective)
    embedded = model.fit_transform(series)
    assert embedded.shape == (len(series), len(model.get_feature_names_out()))
    assert np.isfinite(embedded).all()


def test_fit__same_seed__same_result_and_global_random_states_are_left_alone():
    before = torch.get_rng_state(), pickle.dumps(np.random.mtrand._rand)
    first, second = small().fit_transform(X), small().fit_transform(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.mtrand._rand) == before[1]
    assert_array_equal(first, second)
    assert np.abs(first - small(random_state=1).fit_transform(X)).max() > 1e-3


def test_fit__one_series__trains():
    assert small(objective="reconstruction").fit(X[:1, :1]).transform(X[:1, :1]).shape[0] == 1


def test_fit__channel_without_a_single_value__is_not_trained_on():
    empty = X.copy()
    empty[:, 1] = np.nan
    assert small().fit(empty).history_["loss"] == small().fit(X[:, :1]).history_["loss"]


def test_fit__early_stopping__holds_series_back_and_measures_them():
    model = small(early_stopping=True, max_steps=4, refit=True).fit(X)
    assert model.n_iter_ <= 4
    assert len(small(early_stopping=True).fit(X).history_["validation_loss"]) > 0


def test_fit__early_stopping_of_a_single_series__names_only_what_the_pretrainer_has():
    with pytest.raises(ValueError, match=r"Change validation_fraction, or set early_stopping=False\.$"):
        small(early_stopping=True, objective="reconstruction").fit(X[:1, :1])


def test_fit__warm_start__goes_on_from_the_weights():
    model = small(warm_start=True, learning_rate=1e-9).fit(X)
    before = model.transform(X)
    assert_allclose(model.fit(X).transform(X), before, atol=1e-4)
    assert np.abs(small(random_state=1).fit(X).transform(X) - before).max() > 1e-2


def test_partial_fit__again__counts_steps_and_goes_on_after_pickling_as_if_never_saved():
    model = small(batch_size=16).partial_fit(X)
    assert model.n_iter_ == 3
    loaded = pickle.loads(pickle.dumps(model))
    for each in (model, loaded):
        each.partial_fit(X[:10])
    assert model.n_iter_ == 5
    assert_array_equal(model.transform(X), loaded.transform(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on__with_another_objective__says_so(method):
    model = small(warm_start=True).fit(X).set_params(objective="reconstruction")
    with pytest.raises(ValueError, match=r"network of objective='contrastive'\. Got objective='reconstruction'"):
        getattr(model, method)(X)


@pytest.mark.parametrize("other", ["contrastive loss", None, 3])
def test_fit__unknown_objective__says_which_there_are(other):
    with pytest.raises(ValueError, match=r"The 'objective' parameter of TransformerPretrainer must be a str among"):
        small(objective=other).fit(X)


# Embeddings


def test_fit__no_steps_and_no_weights_to_begin_with__warns_that_they_are_random():
    with pytest.warns(UserWarning, match="max_steps=0 and pretrained=None leave the weights random") as warned:
        small(max_steps=0).fit(X)
    assert warned[0].filename == __file__


def test_transform__names__say_what_each_column_is(fitted):
    names, embedded = fitted.get_feature_names_out(), fitted.transform(X)
    assert len(names) == len(set(names)) == embedded.shape[1]
    column = dict(zip(names, embedded.T, strict=True))
    assert_allclose(column["channel1_mean"], X[:, 1].mean(axis=1))
    assert_allclose(column["channel1_std"], X[:, 1].std(axis=1))
    assert "channel0_fine_last_maximum15" in column
    assert "channel1_coarse_stem_mean0" in column


def test_transform__tokens_of_the_last_layer__are_those_of_encoder_(fitted):
    column = dict(zip(fitted.get_feature_names_out(), fitted.transform(X).T, strict=True))
    model = fitted.model_
    x = torch.from_numpy(X[:, :1].transpose(0, 2, 1))
    with torch.inference_mode():
        values, observed = model.prepare(x, torch.ones_like(x, dtype=torch.bool))
        fine, _ = fitted.encoder_(*model.inputs(values, observed))
        coarse, _ = fitted.encoder_(*model.inputs(values.unflatten(1, (-1, 4)).mean(dim=2), observed[:, ::4]))
    for look, tokens in (("fine", fine), ("coarse", coarse)):
        assert_allclose(column[f"channel0_{look}_last_mean3"], tokens.mean(dim=1)[:, 3], atol=1e-6)
        assert_allclose(column[f"channel0_{look}_last_maximum3"], tokens.amax(dim=1)[:, 3], atol=1e-6)


def test_transform__segments__are_means_of_sixteenths_of_a_series(fitted):
    """A segment without a value has the mean of the series."""
    series = np.random.default_rng(0).normal(size=(3, 2, 32))  # as many points as the network reads
    column = dict(zip(fitted.get_feature_names_out(), fitted.transform(series).T, strict=True))
    assert_allclose(column["channel1_segment5"], series[:, 1, 10:12].mean(axis=1), atol=1e-6)
    series[..., 10:12] = np.nan
    column = dict(zip(fitted.get_feature_names_out(), fitted.transform(series).T, strict=True))
    assert_allclose(column["channel1_segment5"], np.nanmean(series[:, 1], axis=1), atol=1e-6)


def test_transform__padding__does_not_matter(fitted):
    longer = np.concatenate([X, np.full((len(X), 2, 17), np.nan)], axis=2)
    assert_allclose(fitted.transform(longer), fitted.transform(X), atol=1e-12)


def test_transform__case_in_any_company__is_embedded_alike(fitted):
    series = cut(X)
    together = fitted.transform(series)
    alone = np.concatenate([fitted.transform([one]) for one in series])
    assert_allclose(together, alone, atol=1e-9)


def test_transform__channel__depends_on_itself_alone(fitted):
    other = X.copy()
    other[:, 1] = np.random.default_rng(1).normal(size=other[:, 1].shape)
    half = fitted.transform(X).shape[1] // 2
    assert_array_equal(fitted.transform(other)[:, :half], fitted.transform(X)[:, :half])
    assert_array_equal(fitted.transform(X[:, ::-1])[:, half:], fitted.transform(X)[:, :half])


def test_transform__level_and_scale__are_in_the_first_columns_only(fitted):
    plain, moved = fitted.transform(X), fitted.transform(1e9 + 5 * X)
    half = plain.shape[1] // 2
    assert_allclose(moved[:, 18:half], plain[:, 18:half], atol=1e-4)
    assert_allclose(moved[:, 1], 5 * plain[:, 1], rtol=1e-6)
    for level in (0, *range(2, 18)):  # mean and segments
        assert_allclose(moved[:, level], 1e9 + 5 * plain[:, level])


def test_transform__missing_value__is_read_by_its_neighbours_not_as_a_number(fitted):
    gap = X.copy()
    gap[:, 0, 10] = np.nan
    assert np.isfinite(fitted.transform(gap)).all()
    zero = np.where(np.isnan(gap), 0.0, gap)
    assert np.abs(fitted.transform(gap) - fitted.transform(zero)).max() > 1e-3


def test_transform__channel_without_values_or_without_change__is_finite(fitted):
    odd = X.copy()
    odd[0, 0] = np.nan
    odd[1, 0] = 7.3
    odd[2, 0, 1:] = np.nan
    odd[3, 0] = np.linspace(0, 1, odd.shape[2])
    assert np.isfinite(fitted.transform(odd)).all()


def test_transform__straight_line__is_the_same_whatever_its_slope(fitted):
    """Its differences are equal but for rounding, which must not be blown up."""
    time = np.linspace(0, 1, 32)
    lines = fitted.transform(np.stack([[3.7 * time + 1e6, time], [1e-3 * time - 7, time]]))
    half = lines.shape[1] // 2
    assert_allclose(lines[0, 18:half], lines[1, 18:half], atol=1e-4)


def test_pipeline__ridge_on_embeddings__tells_waves_apart():
    pipeline = make_pipeline(small(), StandardScaler(), RidgeClassifier()).fit(X, y)
    X_new, y_new = waves(n_channels=2, seed=1)
    assert pipeline.score(X_new, y_new) >= 0.9


# As scikit-learn sees it


@pytest.mark.slow
@parametrize_with_checks([small(max_steps=2)])
def test_pretrainer__check_of_scikit_learn__passes(estimator, check):
    check(estimator)


def test_early_stopping__one_channel_held_back__is_told():
    with pytest.raises(ValueError, match=r"tells held-back channels from each other and needs two\. Got 1"):
        TransformerPretrainer(early_stopping=True, max_steps=1, device="cpu").fit(
            np.random.default_rng(0).random((10, 30))
        )


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
def test_pretrainer__check_that_scikit_learn_runs_on_its_own_estimators_only__passes(check):
    getattr(estimator_checks, check)("TransformerPretrainer", small(max_steps=2))


def test_transform__long_frame__names_channels_and_cases():
    cases = {f"case {i}": pd.DataFrame(case.T, columns=["x", "y"]) for i, case in enumerate(X)}
    long = pd.concat(cases, names=["unique_id", "ds"]).reset_index()
    embedded = small().set_output(transform="pandas").fit_transform(long)
    assert list(embedded.index) == list(cases)
    assert list(embedded.columns[[0, -1]]) == ["x_mean", "y_coarse_last_maximum15"]
    assert_allclose(embedded.to_numpy(), small().fit_transform(X))


def test_clone_and_copy__fitted__start_anew_or_stay_apart():
    model = small(warm_start=True).fit(X)
    before = model.transform(X)
    assert not hasattr(clone(model), "model_")
    copy.deepcopy(model).set_params(learning_rate=0.1).fit(X)
    assert_array_equal(model.transform(X), before)


@pytest.mark.parametrize("wrong", [X[:, :1], X[:, :, :0], "text"])
def test_transform__other_channels_or_no_series__says_what_is_expected(fitted, wrong):
    with pytest.raises(ValueError, match=r"expecting 2 channels|0 time point|Expected 2D array"):
        fitted.transform(wrong)


@pytest.mark.parametrize(("changes", "n"), [({}, 1), ({"batch_size": 1}, 6)], ids=["one channel", "batches of one"])
def test_fit__contrastive_with_one_channel_a_batch__warns_that_nothing_is_learnt(changes, n):
    with pytest.warns(UserWarning, match="learns nothing from one.* objective='reconstruction'"):
        small(**changes).fit(X[:n, :1])
