"""learn_correlation and the paths drawn by it: they go together in time as the series do."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsformer import TransformerForecaster
from tsformer.data.windows import join, training_windows
from tsformer.models.forecaster import build_forecaster
from tsformer.training.correlation import learn_correlation, normal_scores


def test_normal_scores__values_at_the_quantiles_of_a_normal__are_themselves():
    levels = torch.tensor([0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975], dtype=torch.float64)
    quantiles = torch.special.ndtri(levels).expand(2, -1)
    values = torch.tensor([-2.5, 0.7], dtype=torch.float64)
    torch.testing.assert_close(normal_scores(values, quantiles, levels), values)


@pytest.mark.parametrize("steady", [0.0, 1.0])
def test_learn_correlation__series_that_stray__go_together_within_a_patch_and_noise_does_not(steady):
    values = np.random.default_rng(0).normal(size=(300, 4))
    if steady:
        values = values.cumsum(axis=0)
    histories = join([values], [values[:, :0]], [values[:, :0]], 24, (1, 0))
    batches = training_windows(histories, None, 24, 24, 64, torch.Generator().manual_seed(0))
    size = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "dropout": 0.0}
    model = build_forecaster("patch", "quantile", 24, n_past=0, n_future=0, **size).eval()
    learn_correlation(model, batches)
    correlation = model.mixing @ model.mixing.mT  # of the first patch, of later ones
    torch.testing.assert_close(correlation.diagonal(dim1=1, dim2=2), torch.ones(2, 12))
    assert torch.equal(model.mixing, model.mixing.tril())
    neighbours = correlation.diagonal(offset=1, dim1=1, dim2=2)
    assert (neighbours > 0.7).all() if steady else (neighbours < 0.6).all()  # what a forecast misses by is shared


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
