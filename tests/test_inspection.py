"""What predictions looked at: tokens brought back to time points, for every encoder, and what a channel is worth."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from estimators.waves import LEARNS, cut, small, waves
from forecasts import long_frame, wave
from forecasts import small as small_forecaster
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from tsformer import TransformerClassifier, TransformerForecaster
from tsformer.inspection import (
    attention_over_history,
    attention_over_time,
    occlusion,
    occlusion_over_time,
    over_time_points,
    token_span,
)
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.patch import PatchEncoder
from tsformer.models.forecaster import PATCH_LENGTH

SHAPE = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "dropout": 0.0}


@pytest.mark.parametrize(
    ("build", "n_timepoints", "span"),
    [
        (ENCODERS["transformer"], 50, 1),
        (ENCODERS["conv_stem"], 200, 4),
        (ENCODERS["gated_two_tower"], 100, 2),
        (ENCODERS["shifted_window"], 100, 4),
        (ENCODERS["patch"], 100, 7),
        (functools.partial(PatchEncoder, patch_length=50), 60, 50),
    ],
)
def test_token_span__every_encoder__is_its_stride(build, n_timepoints, span):
    encoder = build(3, n_timepoints, **SHAPE).eval()
    assert token_span(encoder, torch.zeros(2, n_timepoints, 3)) == span


def test_over_time_points__token_with_gaps_and_a_short_last_one__spread_over_their_full_width():
    observed = torch.tensor([[True, True, True, False, True]]).unsqueeze(-1)
    spread = over_time_points(torch.tensor([[[0.6, 0.2, 0.2], [1.0, 0.0, 0.0]]]), observed, 2)
    assert_allclose(spread[0], [[0.375, 0.375, 0.125, 0.0, 0.125], [0.5, 0.5, 0.0, 0.0, 0.0]])


def test_over_time_points__all_tokens_alike__so_are_all_observed_time_points():
    observed = (torch.arange(41) % 7 > 1).reshape(1, 41, 1)
    spread = over_time_points(torch.full((1, 1, 11), 1 / 11), observed, 4)
    assert_allclose(spread[0, 0], observed[0, :, 0] / observed.sum(), rtol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_attention_over_time__unequal_lengths__sums_to_one_over_a_case_whatever_it_is_batched_with(encoder):
    X, y = waves(n_cases=6)
    series = cut(X)
    clf = small(encoder=encoder, n_layers=2).fit(series, y)
    received = attention_over_time(clf, series)
    observed = np.arange(X.shape[2]) < np.array([[case.shape[1]] for case in series])
    assert received.shape == observed.shape
    assert_allclose(received.sum(axis=1), 1.0)
    assert (received[observed] > 0).all()
    assert (received[~observed] == 0).all()
    alone = attention_over_time(clf, series[1:2])
    assert_allclose(alone[0], received[1, : alone.shape[1]], atol=1e-12)


def test_attention_over_time__more_cases_than_a_batch_holds__keeps_the_length_of_the_longest():
    X, y = waves(n_cases=70)
    series = cut(X[:1]) + [case[:, :20] for case in X[1:]]
    clf = small(max_steps=1).fit(series, y)
    received = attention_over_time(clf, series)
    assert received.shape == (70, 30)
    assert_allclose(received[69, :20], attention_over_time(clf, series[69:])[0], atol=1e-12)


def test_attention_over_time__tokens_of_single_time_points__is_the_mean_of_attention_maps():
    X, y = waves(n_cases=4)
    clf = small(encoder="transformer", n_layers=2, n_estimators=2).fit(X, y)
    each = [np.mean([maps.mean(axis=(1, 2)) for maps in network], axis=0) for network in clf.attention_maps(X)]
    assert_allclose(attention_over_time(clf, X), np.mean(each, axis=0), atol=1e-6)


def test_attention_over_time__no_layers__is_refused():
    X, y = waves(n_cases=4)
    clf = small(n_layers=0).fit(X, y)
    with pytest.raises(ValueError, match="No layer of the encoder attends to its tokens"):
        attention_over_time(clf, X)


def test_occlusion__one_channel_tells_the_classes_apart__that_one_counts():
    X, y = waves(n_channels=3)
    X[:, [0, 2]] = np.random.default_rng(0).normal(size=(len(X), 2, X.shape[2]))
    clf = small(n_estimators=2, **LEARNS).fit(X, y)
    drop = occlusion(clf, X)
    assert drop.mean(axis=0).argmax() == 1
    hidden = X.copy()
    hidden[:, 1] = np.nan
    cases, best = np.arange(len(X)), clf.predict_proba(X).argmax(axis=1)
    expected = (clf.predict_proba(X) - clf.predict_proba(hidden))[cases, best]
    assert_allclose(drop[:, 1], expected, atol=1e-9)


def test_occlusion__only_channel_that_a_case_has__is_what_the_rest_says_without_it():
    X, y = waves(n_cases=8)
    clf = small(pretrained="bundled", **LEARNS).fit(X, y)
    lone = X[:1].copy()
    lone[:, 1] = np.nan
    drop = occlusion(clf, lone)
    assert np.isfinite(drop).all()
    assert_allclose(drop[0, 1], 0.0, atol=1e-12)


def test_occlusion_over_time__one_stretch_tells_the_classes_apart__that_one_counts():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, 30)), np.array([0, 1] * 20)
    X[y == 1, 0, 12:18] += 3.0
    clf = small(n_estimators=2, **LEARNS).fit(X, y)
    drop = occlusion_over_time(clf, X, n_windows=5)
    assert drop.shape == (40, 30)
    windows = drop.reshape(40, 5, 6)
    assert (windows == windows[..., :1]).all()
    assert windows[..., 0].mean(axis=0).argmax() == 2
    hidden = X.copy()
    hidden[:, :, 12:18] = np.nan
    cases, best = np.arange(len(X)), clf.predict_proba(X).argmax(axis=1)
    expected = (clf.predict_proba(X) - clf.predict_proba(hidden))[cases, best]
    assert_allclose(drop[:, 15], expected, atol=1e-9)


def test_occlusion_over_time__unequal_lengths__cuts_each_case_in_windows_of_its_own():
    X, y = waves(n_cases=6)
    series = cut(X)
    clf = small(max_steps=2).fit(series, y)
    drop = occlusion_over_time(clf, series, n_windows=3)
    assert drop.shape == (6, X.shape[2])
    for case, falls in zip(series, drop, strict=True):
        n = case.shape[1]
        assert (falls[n:] == 0).all()
        alone = occlusion_over_time(clf, [case], n_windows=3)[0]
        assert_allclose(falls[:n], alone[:n], atol=1e-6)
        hidden = case.copy()
        hidden[:, -(n // 3) :] = np.nan
        before, after = clf.predict_proba([case])[0], clf.predict_proba([hidden])[0]
        assert falls[n - 1] == pytest.approx((before - after)[before.argmax()], abs=1e-6)


def test_occlusion_over_time__more_windows_than_time_points__hides_each_time_point():
    X, y = waves(n_cases=6)
    drop = occlusion_over_time(small(max_steps=2).fit(X, y), X, n_windows=100)
    assert drop.shape == (6, X.shape[2])
    assert len(np.unique(drop[0])) > X.shape[2] // 2
    with pytest.raises(ValueError, match=r"n_windows must be an int in the range \[1, inf\)\. Got 0"):
        occlusion_over_time(small(max_steps=1).fit(X, y), X, n_windows=0)


@pytest.fixture(scope="module")
def forecaster():
    return small_forecaster(n_layers=2, encoder="conv_stem").fit(long_frame())


@pytest.mark.parametrize("horizon", [None, 20])
def test_attention_over_history__series_of_unequal_lengths__sums_to_one_over_what_was_read(forecaster, horizon):
    received = attention_over_history(forecaster, horizon=horizon)
    lengths = forecaster.lengths_
    assert received.shape == (3, -(-(horizon or 6) // PATCH_LENGTH), lengths.context)
    assert_allclose(received.sum(axis=2), 1.0)
    assert (received[2, :, : -min(40, lengths.context)] == 0).all()  # before the shortest series


def test_attention_over_history__own_frame__is_that_of_its_series_whatever_comes_with_it(forecaster):
    df = long_frame().groupby("unique_id").tail(30)
    df.loc[df.index[-3], "y"] = np.nan
    received = attention_over_history(forecaster, df)
    assert (received[2, :, -3] == 0).all()
    assert_allclose(received[2, :, -30:].sum(axis=1), 1.0)
    assert_allclose(attention_over_history(forecaster, df[df["unique_id"] == "c"])[0], received[2], atol=1e-12)


def test_attention_over_history__covariates_known_ahead__takes_their_rows():
    series = wave()
    df = pd.DataFrame({"sales": series, "price": np.cos(np.arange(72))})
    model = small_forecaster(future_cols="price", max_steps=2).fit(df[:60])
    received = attention_over_history(model, future=df[60:])
    assert_allclose(received.sum(axis=2), 1.0)
    with pytest.raises(ValueError, match="must be known for the horizon"):
        attention_over_history(model)


def test_attention_over_history__no_layers__is_refused():
    with pytest.raises(ValueError, match="n_layers=0 has no cross-attention"):
        attention_over_history(small_forecaster(n_layers=0, max_steps=1).fit(wave()))


def test_inspection__wrong_estimators__are_told(forecaster):
    X, y = waves(n_cases=4)
    with pytest.raises(TypeError, match=r"must be a TransformerClassifier of tsformer\. Got .*TransformerForecaster"):
        occlusion(forecaster, X)
    with pytest.raises(TypeError, match=r"Got an instance of .*Pipeline; of a search, .*, of a Pipeline its last step"):
        attention_over_time(make_pipeline(small(max_steps=1)).fit(X, y), X)
    with pytest.raises(TypeError, match="must be a TransformerForecaster"):
        attention_over_history(small())
    with pytest.raises(NotFittedError):
        attention_over_time(TransformerClassifier(), X)
    with pytest.raises(NotFittedError):
        attention_over_history(TransformerForecaster())
    with pytest.raises(ValueError, match=r"horizon must be an int in the range \[1, inf\)\. Got 0"):
        attention_over_history(forecaster, horizon=0)
