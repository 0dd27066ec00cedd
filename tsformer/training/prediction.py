"""What fitted networks say of many cases: a network and its inputs in, outputs joined on the CPU out."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from tsformer.data.batch import Batch, Minibatches, StoredCases, cases_at_once
from tsformer.data.rows import Floats
from tsformer.models.forecaster import SeriesForecaster, Window
from tsformer.training.devices import ready_to_predict

CASES_PER_BATCH, VALUES_PER_BATCH = 64, 2**18  # at most; bound memory


def predict_in_batches(
    model: nn.Module, method: Callable[..., Tensor], data: StoredCases, device: torch.device
) -> Tensor:
    """Apply a method of the model's class to (x, observed) of all cases; the results are joined on the CPU."""
    model = ready_to_predict(model, device)
    with torch.inference_mode():
        size = min(CASES_PER_BATCH, cases_at_once(data.n_timepoints * data.n_channels, VALUES_PER_BATCH))
        batches = (batch.to(device) for batch in Minibatches(data, size))
        return torch.cat([method(model, batch.x, batch.observed).cpu() for batch in batches])


def forecast_windows(
    model: SeriesForecaster, windows: Iterable[Batch], horizon: int, device: torch.device, levels: Sequence[float] = ()
) -> tuple[Floats, Floats]:
    """Forecast each window: points (n_windows, H), quantiles (n_windows, H, Q).

    The forecast of a window without an observed value is NaN.
    """
    wanted = torch.tensor(levels, dtype=torch.float64, device=device)
    points, quantiles = [], []
    model = ready_to_predict(model, device)
    for batch in windows:
        window, unobserved = _encode(model, batch, device)
        point, band = read_off(model, window, wanted)
        points.append(point[:, :horizon].masked_fill(unobserved.view(-1, 1), torch.nan).cpu())
        quantiles.append(band[:, :horizon].masked_fill(unobserved.view(-1, 1, 1), torch.nan).cpu())
    return torch.cat(points).double().numpy(), torch.cat(quantiles).double().numpy()


def draw_paths(
    model: SeriesForecaster, windows: Iterable[Batch], horizon: int, generator: torch.Generator, n_paths: int
) -> Floats:
    """Draw what may follow each window, which is read once: (n_paths, n_windows, H), NaN without an observed value.

    It is computed on the generator's device.
    """
    drawn, device = [], generator.device
    model = ready_to_predict(model, device)
    for batch in windows:
        window, unobserved = _encode(model, batch, device)
        with torch.inference_mode():
            paths = [
                window.scale.undo(model.roll_out(window, drawn_by=generator)[1].flatten(1)) for _ in range(n_paths)
            ]
        values = torch.stack(paths)[:, :, :horizon]
        values = values if model.shifted else values.round()  # counts again, whatever scaling has rounded
        drawn.append(values.masked_fill(unobserved.view(1, -1, 1), torch.nan).cpu())
    return torch.cat(drawn, dim=1).double().numpy()


@torch.inference_mode()
def _encode(model: SeriesForecaster, batch: Batch, device: torch.device) -> tuple[Window, Tensor]:
    """Read windows, and tell which have no observed value (B,)."""
    batch = batch.to(device)
    assert batch.future is not None  # for the type checker: windows always have it
    window = model.encode(batch.x, batch.observed, batch.future, batch.seasons)
    return window, ~batch.observed[..., 0].any(dim=1)


@torch.inference_mode()
def read_off(model: SeriesForecaster, window: Window, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Point forecasts (B, M * P) and quantiles (B, M * P, Q) of windows, in the units of the data."""
    outputs, values = model.roll_out(window)
    scale = window.scale
    point = scale.undo(values.flatten(1))
    if not len(levels):
        return point, point.new_zeros(*point.shape, 0)
    bands = model.bands(window, outputs, levels).flatten(1, 2)
    bands = scale.undo(bands.clamp(-model.limit, model.limit))  # as the points are
    return point, bands if model.shifted else bands.round()
