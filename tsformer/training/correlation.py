"""How the values of a forecast patch go together: windows in, the mixing matrix of a forecaster's drawn paths out."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from tsformer.data.batch import Batch
from tsformer.models.forecaster import SeriesForecaster

N_BATCHES = 10  # of windows that are learnt from
LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
SHRINKAGE = 0.01  # towards independent values: windows with gaps may leave a matrix that is no correlation


@torch.no_grad()
def learn_correlation(model: SeriesForecaster, batches: Iterable[Batch]) -> None:
    """Set the model's `mixing`, so that drawn paths swing as the series do.

    A Gaussian copula: the true values of each patch become normal scores by the quantiles forecast of them. Paths are
    drawn from scores of the same correlation; from a patch to the next, the network sees what was drawn. The model is
    trained and its head has quantiles; the batches are windows of a context and a horizon.
    """
    head: Any = model.network.head
    levels = torch.tensor(LEVELS, dtype=torch.float64, device=model.mixing.device)
    products, counts = torch.zeros(2, *model.mixing.shape, dtype=torch.float64, device=levels.device)
    for batch in islice(batches, N_BATCHES):
        batch = batch.to(levels.device)
        if batch.y is None or batch.y_observed is None or batch.future is None:
            raise ValueError("learn_correlation needs a horizon. Got a batch without y, y_observed or future.")
        memory, scale, last = model.encode(batch.x, batch.observed)
        outputs, _ = model.roll_out(memory, scale, last, model.patches(batch.future))
        quantiles = head.quantiles(outputs, levels, scale.spread.unsqueeze(-1).to(outputs.dtype)).double()
        observed = model.patches(batch.y_observed).flatten(0, 1).double()
        scores = normal_scores(model.patches(scale.apply(batch.y)), quantiles, levels).flatten(0, 1) * observed
        products += scores.T @ scores
        counts += observed.T @ observed
    model.mixing.copy_(torch.linalg.cholesky(_correlation(products / counts.clamp(min=1))))


def normal_scores(values: Tensor, quantiles: Tensor, levels: Tensor) -> Tensor:
    """Turn values (...) into normal scores by their place among quantiles (..., Q) at levels (Q,)."""
    scores = torch.special.ndtri(levels)
    right = (quantiles < values.unsqueeze(-1)).sum(dim=-1, keepdim=True).clamp(1, len(levels) - 1)
    below, above = quantiles.gather(-1, right - 1), quantiles.gather(-1, right)
    fraction = (values.unsqueeze(-1) - below) / (above - below).clamp(min=1e-9)
    return torch.lerp(scores[right - 1], scores[right], fraction.clamp(-2.0, 3.0)).squeeze(-1)


def _correlation(covariance: Tensor) -> Tensor:
    """The nearest that a covariance (P, P), perhaps indefinite, has to a correlation with a Cholesky factor."""
    identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    std = covariance.diagonal().sqrt().clamp(min=1e-6)
    correlation = (1.0 - SHRINKAGE) * covariance / std.outer(std) + SHRINKAGE * identity
    value, vector = torch.linalg.eigh(correlation)
    positive = (vector * value.clamp(min=1e-6)) @ vector.T
    size = positive.diagonal().sqrt()
    return positive / size.outer(size)
