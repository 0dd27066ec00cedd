"""What predictions looked at: tokens brought back to time points, for every encoder, and what a channel is worth."""

import functools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tsformer.data.arrays import check_series, to_batch
from tsformer.inspection import attention_over_time, chance_lost, over_time_points, token_span
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.patch import PatchEncoder

from .waves import LEARNS, cut, small, waves

CPU = torch.device("cpu")
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


def test_over_time_points__token_with_gaps_and_a_short_last_one__shared_by_observed_time_points():
    observed = torch.tensor([[True, True, True, False, True]])
    assert over_time_points(torch.tensor([[0.6, 0.3, 0.1]]), observed, 2).tolist() == [
        pytest.approx([0.3, 0.3, 0.3, 0.0, 0.1])
    ]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_attention_over_time__unequal_lengths__sums_to_one_over_a_case_whatever_it_is_batched_with(encoder):
    X, y = waves(n_cases=6)
    series = cut(X)
    clf = small(encoder=encoder, n_layers=2).fit(series, y)
    data = to_batch(check_series(series, "X"))
    received = attention_over_time(clf.models_[0], data, CPU)
    observed = data.observed.any(dim=-1)
    assert_allclose(received.sum(dim=1), 1.0)
    assert (received[observed] > 0).all()
    assert (received[~observed] == 0).all()
    alone = attention_over_time(clf.models_[0], to_batch(check_series(series[1:2], "X")), CPU)
    assert_allclose(alone[0], received[1, : alone.shape[1]], atol=1e-12)


def test_attention_over_time__tokens_of_single_time_points__is_the_mean_of_attention_maps():
    X, y = waves(n_cases=4)
    clf = small(encoder="transformer", n_layers=2).fit(X, y)
    received = attention_over_time(clf.models_[0], to_batch(check_series(X, "X")), CPU)
    assert_allclose(received, np.mean([maps.mean(axis=(1, 2)) for maps in clf.attention_maps(X)[0]], axis=0), atol=1e-6)


def test_attention_over_time__no_layers__is_refused():
    X, y = waves(n_cases=4)
    clf = small(n_layers=0).fit(X, y)
    with pytest.raises(ValueError, match="No layer of the encoder attends to its tokens"):
        attention_over_time(clf.models_[0], to_batch(check_series(X, "X")), CPU)


def test_chance_lost__one_channel_tells_the_classes_apart__that_one_counts():
    X, y = waves(n_channels=3)
    X[:, [0, 2]] = np.random.default_rng(0).normal(size=(len(X), 2, X.shape[2]))
    clf = small(n_estimators=2, **LEARNS).fit(X, y)
    lost = chance_lost(clf._log_probability, to_batch(check_series(X, "X"))).numpy()
    assert lost.mean(axis=0).argmax() == 1
    hidden = X.copy()
    hidden[:, 1] = np.nan
    cases, best = np.arange(len(X)), clf.predict_proba(X).argmax(axis=1)
    expected = (clf.predict_proba(X) - clf.predict_proba(hidden))[cases, best]
    assert_allclose(lost[:, 1], expected, atol=1e-9)
