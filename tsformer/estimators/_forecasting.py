"""What lies between a forecaster's parameters and its network: lengths, the network, windows, forecasts of windows."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.data.forecasts import Forecast
from tsformer.data.frames import SeriesSet
from tsformer.data.messages import quoted, series_name, shown
from tsformer.data.windows import Histories, RandomWindows, WindowsAt
from tsformer.estimators._fitting import ready_to_predict
from tsformer.layers.blocks import initialise_weights
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.patch import PatchEncoder
from tsformer.models.forecaster import SeriesForecaster, build_forecaster
from tsformer.models.heads import HEADS

BATCHES_PER_EPOCH = 50
UNITS_PER_BATCH = 512  # bounds memory where nothing is learnt
RANKED = torch.special.ndtr(torch.linspace(-6.0, 6.0, 201, dtype=torch.float64))  # quantiles by which values are ranked
RANKED_AT_ONCE = 64  # windows: each has all these quantiles

Floats = NDArray[np.float64]


class Lengths(NamedTuple):
    """Time points of the season, of the context, of a patch of the encoder and the decoder, and decoded in training."""

    season: int
    context: int
    encoder_patch: int
    decoder_patch: int
    training_horizon: int


def choose_lengths(horizon: int, context_length: int | str, season: int, longest: int) -> Lengths:
    """Choose patches and context by horizon, season and the longest series.

    A horizon of up to a season, or 24 time points, is one patch of the decoder. A longer one takes at most 8 steps, of
    whole seasons, and training decodes 2 of them: the others are rolled out. The encoder reads twice what training
    decodes, but at least 6 seasons, as some 8 patches.
    """
    at_once = max(season, 24)
    decoder_patch = horizon
    if horizon > at_once:
        decoder_patch = math.ceil(max(at_once, horizon / 8) / season) * season
    training_horizon = min(horizon, 2 * decoder_patch)
    if isinstance(context_length, str):
        context_length = min(max(2 * training_horizon, 6 * season, 8), longest)
    encoder_patch = _in_tune(math.ceil(context_length / 8), season)
    context = math.ceil(context_length / encoder_patch) * encoder_patch
    return Lengths(season, context, encoder_patch, decoder_patch, training_horizon)


def _in_tune(length: int, season: int) -> int:
    """Round up to a divisor or a multiple of the season, so that all patches begin at the same phases."""
    if length > season:
        return math.ceil(length / season) * season
    return next(divisor for divisor in range(length, season + 1) if season % divisor == 0)


def build_network(
    encoder: str | Callable[..., nn.Module],
    head: str,
    lengths: Lengths,
    *,
    n_past: int,
    n_future: int,
    **width: Any,
) -> SeriesForecaster:
    """Build a network of new weights; `width` is d_model, n_heads, n_layers, d_ff and dropout."""
    build: Any = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    if encoder == "patch":
        build = partial(PatchEncoder, patch_length=lengths.encoder_patch)
    model = build_forecaster(
        build(1 + n_past + n_future, lengths.context, **width),
        HEADS[head](width["d_model"], lengths.decoder_patch),
        n_future=n_future,
        patch_length=lengths.decoder_patch,
        season=lengths.season,
        shifted=head != "negative_binomial",
        **width,
    )
    initialise_weights(model)
    model.settings = {
        "encoder": encoder,
        "head": head,
        "lengths": lengths,
        "n_past": n_past,
        "n_future": n_future,
        **width,
    }
    return model


def check_counts(series: SeriesSet) -> None:
    """Raise a ValueError where a value is negative or no whole number."""
    for id, values, times in zip(series.ids, series.values, series.times, strict=True):
        wrong = np.argwhere((values < 0) | (values != np.round(values)) & ~np.isnan(values))
        if len(wrong):
            row, channel = wrong[0]
            raise ValueError(
                f"head='negative_binomial' takes counts. {series_name(id)} has {values[row, channel]:g} in column "
                f"{quoted(series.names[channel])} at {shown(times[row])}. Use head='quantile' for other numbers."
            )


def hold_back(histories: Histories, fraction: float, lengths: Lengths) -> Tensor:
    """Return how many time points at the end of each series (n_series,) training must not see.

    These are a horizon or more, and none of a series that is too short for that.
    """
    withheld = (fraction * histories.lengths).long().clamp(min=lengths.training_horizon)
    longest = int(histories.lengths.max())
    if longest < int(withheld.max()) + 2:
        raise ValueError(
            f"early_stopping holds back the last {int(withheld.max())} time points of each series and needs two "
            f"more. Got a series of {longest}, and none longer; lower horizon or set early_stopping=False."
        )
    withheld = torch.where(histories.lengths >= withheld + 2, withheld, 0)
    rows = [torch.arange(end - n, end) for end, n in zip(histories.starts + histories.lengths, withheld, strict=True)]
    if histories.values[torch.cat(rows)].isnan().all():
        raise ValueError(
            "early_stopping holds back missing values only. Raise validation_fraction, or set early_stopping=False."
        )
    return withheld


def training_windows(
    histories: Histories,
    withheld: Tensor | None,
    lengths: Lengths,
    batch_size: int | str,
    generator: torch.Generator,
) -> RandomWindows:
    """Take all windows with a season of history and something to forecast; of shorter series, the least short.

    Of windows near the end of a series less than a horizon is scored. Many series fill larger batches, because there is
    more to learn from them; windows of one series overlap.
    """
    known = histories.lengths if withheld is None else histories.lengths - withheld
    last = (known - 1).clamp(min=1)
    first = torch.minimum(last, torch.tensor(max(lengths.season, 2)))
    n_windows = int((last - first + 1).sum()) * histories.values.shape[1]
    if isinstance(batch_size, str):
        batch_size = max(16, min(n_windows // 4, max(128, histories.n_units // 4), 512))
    return RandomWindows(
        histories,
        known,
        first,
        last,
        lengths.context,
        lengths.training_horizon,
        batch_size,
        BATCHES_PER_EPOCH,
        generator,
    )


def validation_windows(histories: Histories, withheld: Tensor, lengths: Lengths) -> WindowsAt:
    """Take windows spread over the time points that training does not see, some 512 in all but one a unit at least."""
    horizon = lengths.training_horizon
    n_each = max(1, min(int(withheld.max()) - horizon + 1, UNITS_PER_BATCH // histories.n_units))
    into = torch.linspace(0.0, 1.0, n_each, dtype=torch.float64) * (withheld - horizon).unsqueeze(1)  # (n_series, n)
    time = (histories.lengths - withheld).unsqueeze(1) + into.long()
    unit = torch.arange(histories.n_units)
    unit = unit[withheld[unit // histories.values.shape[1]] > 0]
    series = unit // histories.values.shape[1]
    return WindowsAt(
        histories, unit.repeat_interleave(n_each), time[series].flatten(), lengths.context, horizon, UNITS_PER_BATCH
    )


def forecast_windows(
    model: SeriesForecaster,
    windows: Iterable[Batch],
    horizon: int,
    quantiles: Sequence[float],
    device: torch.device,
    *,
    sample: bool = False,
    distances: Floats | None = None,
) -> Forecast:
    """Forecast each window, or with `sample` draw a path for it; `distances` correct the quantiles.

    The forecast of a window without an observed value is NaN.
    """
    model = ready_to_predict(model, device)
    known = quantiles if distances is None else corrected(quantiles, distances)
    levels = torch.tensor(known, dtype=torch.float64, device=device)
    points, bands = [], []
    with torch.inference_mode():
        for batch in windows:
            point, band = _roll_out(model, batch.to(device), levels, sample=sample)
            blind = ~batch.observed[..., 0].any(dim=1)
            points.append(point[:, :horizon].cpu().masked_fill(blind.view(-1, 1), torch.nan))
            bands.append(band[:, :horizon].cpu().masked_fill(blind.view(-1, 1, 1), torch.nan))
    joined = torch.cat(bands).double().numpy()
    by_quantile = {quantile: joined[..., i] for i, quantile in enumerate(quantiles)}
    return Forecast(torch.cat(points).double().numpy(), by_quantile)


def _roll_out(model: SeriesForecaster, batch: Batch, levels: Tensor, *, sample: bool) -> tuple[Tensor, Tensor]:
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


def distances_from_median(model: SeriesForecaster, windows: Iterable[Batch], device: torch.device) -> Floats:
    """Return how far from the median the observed values of windows lie, in quantiles of their forecasts; sorted.

    The distance of a value is that of the ends of the narrowest band around the median that holds it.
    """
    model = ready_to_predict(model, device)
    distances = []
    with torch.inference_mode():
        for batch in windows:
            assert batch.y is not None  # for the type checker: windows always have them
            assert batch.y_observed is not None
            bands = _roll_out(model, batch.to(device), RANKED.to(device), sample=False)[1]
            bands, truth = bands[:, : batch.y.shape[1]].double().cpu(), batch.y.double().unsqueeze(-1)
            upper = RANKED[(bands < truth).sum(dim=-1).clamp(max=len(RANKED) - 1)]
            lower = RANKED[((bands <= truth).sum(dim=-1) - 1).clamp(min=0)]
            known = batch.y_observed & batch.observed[..., 0].any(dim=1, keepdim=True)
            distances.append(torch.maximum(upper - 0.5, 0.5 - lower).clamp(min=0.0)[known])
    return torch.cat(distances).sort().values.numpy()


def corrected(quantiles: Sequence[float], distances: Floats) -> list[float]:
    """Return the quantiles of a forecast whose bands hold as often as those asked for say, by sorted distances.

    As in conformal prediction, a value yet to come counts as one more: bands are a little wider.
    """
    moved = []
    for quantile in quantiles:
        rank = math.ceil(abs(2 * quantile - 1) * (len(distances) + 1))
        distance = float(distances[min(max(rank, 1), len(distances)) - 1])
        if rank > len(distances):  # so rare that none of the values tells
            distance = max(distance, abs(quantile - 0.5))
        moved.append(0.5 + distance * float(np.sign(quantile - 0.5)))
    return moved


def mean_absolute_scaled_error(series: Sequence[Floats], forecasts: Sequence[Floats], season: int) -> float:
    """Return the mean error at the end of the series, scaled by that of seasonal naive in what comes before.

    `series` holds arrays (n_timepoints_i, n_channels) whose last time points `forecasts` (H, n_channels) are to be.
    """
    errors = np.stack(
        [
            _mean_size(values[-len(forecast) :] - forecast) / _naive_error(values[: -len(forecast)], season)
            for values, forecast in zip(series, forecasts, strict=True)
        ]
    )
    if np.isnan(errors).all():
        raise ValueError("No series of df has a MASE: none of their histories varies and is observed afterwards.")
    return float(np.nanmean(errors))


def _naive_error(history: Floats, season: int) -> Floats:
    """Mean absolute seasonal difference of each channel (n_channels,); NaN where there is none, or it is 0."""
    lag = season if len(history) > season else 1
    size = _mean_size(history[lag:] - history[:-lag])
    return np.where(size > 0, size, np.nan)


def _mean_size(differences: Floats) -> Floats:
    """Mean absolute value of each channel (n_channels,) where it is observed; NaN where it never is."""
    counted = (~np.isnan(differences)).sum(axis=0)
    sums = np.nansum(np.abs(differences), axis=0)
    return np.divide(sums, counted, out=np.full(len(sums), np.nan), where=counted > 0)
