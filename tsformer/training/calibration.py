"""Conformal correction of a forecaster's quantiles: windows held back in, levels that hold as often as they say out."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from tsformer.data.batch import Batch
from tsformer.data.rows import Floats
from tsformer.models.forecaster import SeriesForecaster
from tsformer.training.prediction import forecast_windows

RANKED = torch.special.ndtr(torch.linspace(-6.0, 6.0, 201, dtype=torch.float64))  # levels by which values are ranked
WINDOWS_PER_BATCH = 64  # bounds memory: each window has all these quantiles


def conformity_scores(model: SeriesForecaster, windows: Iterable[Batch], device: torch.device) -> Floats:
    """Return how far from the median the values of windows lie, in levels of their forecasts (0 to .5); sorted.

    It is that of the ends of the narrowest band around the median that holds a value (Chernozhukov et al. 2021).
    """
    scores = []
    for batch in windows:
        assert batch.y is not None  # for the type checker: windows always have them
        assert batch.y_observed is not None
        bands = torch.from_numpy(forecast_windows(model, [batch], batch.y.shape[1], device, RANKED.tolist())[1])
        truth = batch.y.double().unsqueeze(-1)
        upper = RANKED[(bands < truth).sum(dim=-1).clamp(max=len(RANKED) - 1)]
        lower = RANKED[((bands <= truth).sum(dim=-1) - 1).clamp(min=0)]
        scored = batch.y_observed & batch.observed[..., 0].any(dim=1, keepdim=True)
        scores.append(torch.maximum(upper - 0.5, 0.5 - lower).clamp(min=0.0)[scored])
    return torch.cat(scores).sort().values.numpy()


def corrected_levels(quantiles: Sequence[float], scores: Floats) -> list[float]:
    """Return the levels of the forecast whose bands hold as often as those of `quantiles` say, by sorted scores.

    As in conformal prediction, a value yet to come counts as one more: bands are a little wider.
    """
    wanted = np.asarray(quantiles, dtype=np.float64)
    ranks = np.ceil(np.abs(2 * wanted - 1) * (len(scores) + 1)).astype(np.int64)
    distances = scores[ranks.clip(1, len(scores)) - 1]
    so_rare = ranks > len(scores)  # that none of the values tells
    distances = np.where(so_rare, np.maximum(distances, np.abs(wanted - 0.5)), distances)
    return (0.5 + distances * np.sign(wanted - 0.5)).tolist()
