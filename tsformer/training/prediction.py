"""What fitted networks say of many cases: a network and its inputs in, outputs joined on the CPU out."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.data.batch import Batch, Minibatches
from tsformer.data.rows import Floats
from tsformer.models.forecaster import SeriesForecaster
from tsformer.training.devices import ready_to_predict

CASES_PER_BATCH = 64  # bounds memory


def predict_in_batches(model: nn.Module, method: Callable[..., Tensor], data: Batch, device: torch.device) -> Tensor:
    """Apply a method of the model's class to (x, observed) of all cases; the results are joined on the CPU."""
    ready_to_predict(model, device)
    with torch.inference_mode():
        batches = (batch.to(device) for batch in Minibatches(data, CASES_PER_BATCH))
        return torch.cat([method(model, batch.x, batch.observed).cpu() for batch in batches])


def forecast_windows(
    model: SeriesForecaster,
    windows: Iterable[Batch],
    horizon: int,
    device: torch.device,
    levels: Sequence[float] = (),
    *,
    sample: bool = False,
) -> tuple[Floats, Floats]:
    """Forecast each window, or with `sample` draw a path for it: points (n_windows, H), quantiles (n_windows, H, Q).

    The forecast of a window without an observed value is NaN.
    """
    model = ready_to_predict(model, device)
    wanted = torch.tensor(levels, dtype=torch.float64, device=device)
    points, quantiles = [], []
    with torch.inference_mode():
        for batch in windows:
            point, band = roll_out(model, batch.to(device), wanted, sample=sample)
            unobserved = ~batch.observed[..., 0].any(dim=1)
            points.append(point[:, :horizon].cpu().masked_fill(unobserved.view(-1, 1), torch.nan))
            quantiles.append(band[:, :horizon].cpu().masked_fill(unobserved.view(-1, 1, 1), torch.nan))
    return torch.cat(points).double().numpy(), torch.cat(quantiles).double().numpy()


def roll_out(model: SeriesForecaster, batch: Batch, levels: Tensor, *, sample: bool = False) -> tuple[Tensor, Tensor]:
    """Point forecasts, or a drawn path, (B, H) and quantiles (B, H, Q) in the units of the data."""
    assert batch.future is not None  # for the type checker: windows always have it
    memory, scale, last = model.encode(batch.x, batch.observed)
    outputs, values = model.roll_out(memory, scale, last, model.patches(batch.future), sample=sample)
    head: Any = model.network.head
    point = scale.undo(values.flatten(1))
    if sample and not model.shifted:
        point = point.round()  # counts again, whatever scaling has rounded
    if not len(levels):
        return point, point.new_zeros(*point.shape, 0)
    bands = scale.undo(head.quantiles(outputs, levels, scale.spread.unsqueeze(-1).to(outputs.dtype)).flatten(1, 2))
    return point, bands if model.shifted else bands.round()
