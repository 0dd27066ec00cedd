"""learn_correlation and the paths drawn by it: they go together in time as the series do."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsformer import TransformerForecaster
from tsformer.training.correlation import normal_scores


def test_normal_scores__values_at_the_quantiles_of_a_normal__are_themselves():
    levels = torch.tensor([0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975], dtype=torch.float64)
    quantiles = torch.special.ndtri(levels).expand(2, -1)
    values = torch.tensor([-2.5, 0.7], dtype=torch.float64)
    torch.testing.assert_close(normal_scores(values, quantiles, levels), values)


@pytest.mark.slow
@pytest.mark.parametrize("steady", [0.0, 0.95])
def test_sample__sums_over_the_horizon__spread_as_those_of_the_series(steady):
    """Noise, and a level that strays, whose sums would spread 0.4 times as far if its values were drawn alone."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 6))
    for t in range(1, 400):
        values[t] += steady * values[t - 1]
    forecaster = TransformerForecaster(horizon=8, max_steps=200, random_state=0, d_model=16, n_heads=1)
    paths = forecaster.fit(pd.DataFrame(values)).sample(200)
    drawn = float(paths.groupby("path").sum().std().mean())
    # A shock k time points before the end of the horizon adds 1 + steady + ... + steady^(k - 1) to the sum.
    true = np.sqrt(sum(np.sum(steady ** np.arange(k)) ** 2 for k in range(1, 9)))
    assert 0.65 * true < drawn < 1.6 * true
