"""How the values of a forecast patch go together: windows in, the mixing matrix of a forecaster's drawn paths out."""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor

from tsformer.data.batch import Batch
from tsformer.models.forecaster import SeriesForecaster
from tsformer.training.objectives import known_patches, prepare

N_BATCHES = 10  # of windows that are learnt from
LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
SHRINKAGE = 0.01  # towards independent values: windows with gaps may leave a matrix that is no correlation


@torch.no_grad()
def learn_correlation(model: SeriesForecaster, batches: Iterable[Batch]) -> None:
    """Set the model's `mixing`, so that drawn paths swing as the series do.

    A Gaussian copula: the true values of each patch become normal scores by the quantiles forecast of them, given the
    true patches before. The first patch and later ones have a correlation each, from scores of which paths are drawn;
    from a patch to the next, the network sees what was drawn. The model is trained and its head has quantiles; the
    batches are windows of a context and a horizon.
    """
    levels = torch.tensor(LEVELS, dtype=torch.float64, device=model.mixing.device)
    products, counts = torch.zeros(2, *model.mixing.shape, dtype=torch.float64, device=levels.device)
    for batch in islice(batches, N_BATCHES):
        window, target, observed = prepare(model, batch.to(levels.device))
        outputs = model(window, torch.cat([window.last.unsqueeze(1), known_patches(model, target, observed)], dim=1))
        quantiles = model.head.quantiles(outputs, levels, window.scale.spread.unsqueeze(-1).to(outputs.dtype)).double()
        mask = observed.double()
        scores = normal_scores(target.double(), quantiles, levels) * mask
        for i, patches in enumerate((slice(0, 1), slice(1, None))):
            some_scores, some_mask = (each[:, patches].flatten(0, 1) for each in (scores, mask))
            products[i] += some_scores.T @ some_scores
            counts[i] += some_mask.T @ some_mask
    for mixing, product, count in zip(model.mixing, products, counts, strict=True):
        mixing.copy_(torch.linalg.cholesky(_correlation(product / count.clamp(min=1))))


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
