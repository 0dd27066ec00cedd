"""Scores summed from what witnesses say: of all channels together and of each alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tsformer.training.anomalies import Calibration, Normal, of_channels, summed
from tsformer.training.neighbours import NormalWindows, Scale

N_CHANNELS, N_VIEWS = 3, 4  # each channel, and all together
WITNESSES = ["neighbours", "forecast", "both"]


@pytest.fixture
def normal() -> Normal:
    n = 2 * N_VIEWS + N_CHANNELS
    memory = NormalWindows(*(np.empty((0, 1, N_CHANNELS)) for _ in NormalWindows._fields))
    scale = Scale(np.zeros(N_CHANNELS), np.ones(N_CHANNELS))
    return Normal(scale, 12, memory, Calibration(np.zeros(n), np.ones(n), np.ones(N_CHANNELS)))


@pytest.fixture
def evidence() -> np.ndarray:
    """Of 200 time points, some of them without forecasts of some channels or of all."""
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(200, 2 * N_VIEWS + N_CHANNELS))
    tails = evidence[:, -N_CHANNELS:]
    tails[rng.random(tails.shape) < 0.4] = np.nan
    return evidence


@pytest.mark.parametrize("witnesses", WITNESSES)
@pytest.mark.parametrize("shapes_known", [True, False])
def test_summed__forecasts_missing__is_at_least_the_score_of_each_channel(normal, evidence, witnesses, shapes_known):
    if not shapes_known:
        evidence[:, : 2 * N_VIEWS] = np.nan
    alone, together = of_channels(evidence, normal, witnesses), summed(evidence, normal, witnesses)
    known = ~np.isnan(alone)
    assert (alone <= together[:, None])[known].all()
    assert (np.isnan(together) == ~known.any(axis=1)).all()


def test_summed__one_channel_without_forecast__counts_what_the_others_say(normal):
    evidence = np.zeros((1, 2 * N_VIEWS + N_CHANNELS))
    evidence[0, -N_CHANNELS:] = [np.nan, 5.0, 1.0]
    assert_allclose(summed(evidence, normal, "forecast"), 5.0)
    assert_allclose(of_channels(evidence, normal, "forecast"), [[0.0, 5.0, 1.0]])
