"""How anomalous each time point of a series is: what two witnesses say, calibrated on normal series, and summed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tsformer.data.rows import Floats
from tsformer.models.witnesses import Witnesses
from tsformer.training.neighbours import NormalWindows, Own, Scale, fit_memory, strangeness
from tsformer.training.surprise import expected, half_widths, surprise

RARE = 0.99  # quantile of evidence on normal series that counts as 1
SMALLEST_UNIT = 1e-3  # of evidence, so that series without any variation do not blow up rounding
SMALLEST_TAIL = 1.0  # half widths of forecast bands
FORECAST_WEIGHT = 0.5  # beside the neighbours; chosen on made series
STANDS_OUT = 3.0
CLOSE = 0.75  # of the step from a value to the next
NARROWEST = 0.2  # forecast band, of the usual one


class Calibration(NamedTuple):
    """What is usual: of each column of evidence the median, and how far above it a rare value lies."""

    center: Floats
    unit: Floats  # infinite for what does not count
    narrowest: Floats  # (C,), half widths that forecast bands have at least


class Normal(NamedTuple):
    """What a detector knows of normal series."""

    scale: Scale
    period: int  # time points, 1 for none
    memory: NormalWindows
    calibration: Calibration


def learn_normal(
    model: Witnesses, series: Sequence[Floats], scale: Scale, period: int, length: int, most: int, device: torch.device
) -> tuple[Normal, list[Floats]]:
    """Learn from scaled series (T, C) that are mostly normal; also return the evidence against each of them."""
    memory, own = fit_memory(model.encoder, series, length, most, device)
    bands = [expected(model.forecaster, rows, period, device) for rows in series]
    (usual,) = _quantiles(np.concatenate([half_widths(band) for band in bands]), [0.5])
    narrowest = np.fmax(NARROWEST * usual, SMALLEST_UNIT)
    evidence = [
        _side_by_side(model, memory, rows, band, narrowest, device, mine)
        for rows, band, mine in zip(series, bands, own, strict=True)
    ]
    center, rare = _quantiles(np.concatenate(evidence), [0.5, RARE])
    smallest = np.full(len(center), SMALLEST_UNIT)
    smallest[-len(narrowest) :] = SMALLEST_TAIL
    unit = np.maximum(rare - center, smallest)
    shape, values = np.split(np.arange(len(center) - len(narrowest)), 2)
    unit[values] = np.where((period > 1) | _come_again(series, center[values], unit[shape]), unit[values], np.inf)
    return Normal(scale, period, memory, Calibration(center, unit, narrowest)), evidence


def _come_again(series: Sequence[Floats], residuals: Floats, unit: Floats) -> NDArray[np.bool_]:
    """Tell in which views (V,) a window has the values of another though there is no period.

    There the nearest one is usually closer than a value to the next, or all, and so shapes, were constant.
    """
    (steps,) = _quantiles(np.abs(np.concatenate([np.diff(rows, axis=0) for rows in series])), [0.5])
    if len(steps) > 1:
        steps = np.append(steps, steps.mean())
    come_again: NDArray[np.bool_] = (residuals < CLOSE * steps) | (unit <= SMALLEST_UNIT)
    return come_again


def _quantiles(values: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles (levels, columns) of what is known of (T, columns); 0 without any, as of forecasts of short series."""
    quantiles: Floats = np.nanquantile(np.where(np.isnan(values).all(axis=0), 0.0, values), levels, axis=0)
    return quantiles


def find_evidence(model: Witnesses, normal: Normal, values: Floats, device: torch.device) -> Floats:
    """What speaks against each time point of a series (T, C), not scaled: (T, columns), NaN where nothing is known."""
    rows = normal.scale.apply(values)
    band = expected(model.forecaster, rows, normal.period, device)
    return _side_by_side(model, normal.memory, rows, band, normal.calibration.narrowest, device)


def _side_by_side(
    model: Witnesses,
    memory: NormalWindows,
    rows: Floats,
    band: Floats,
    narrowest: Floats,
    device: torch.device,
    own: Own | None = None,
) -> Floats:
    strange = strangeness(model.encoder, memory, rows, device, own)
    return np.hstack([strange.shape, strange.values, surprise(band, rows, narrowest)])


def summed(evidence: Floats, normal: Normal, witnesses: str) -> Floats:
    """Scores (T,) of evidence: 0 is usual, higher is more anomalous, NaN is unknown.

    Of what is said by shape, values and forecast the channel that says most counts, alone or all of them together.
    """
    shape, values, tails = (np.fmax.reduce(part, axis=1) for part in _calibrated(evidence, normal))
    return _weighed(shape, values, tails, witnesses)


def of_channels(evidence: Floats, normal: Normal, witnesses: str) -> Floats:
    """Scores (T, C) of each channel alone, which are at most those of all."""
    shape, values, tails = _calibrated(evidence, normal)
    n_channels = tails.shape[1]
    return _weighed(shape[:, :n_channels], values[:, :n_channels], tails, witnesses)


def _calibrated(evidence: Floats, normal: Normal) -> tuple[Floats, Floats, Floats]:
    """Evidence by shape (T, V), values (T, V) and forecast (T, C): 0 is usual, 1 rare on normal series.

    What has no forecast, as the first values or those after a gap of their channel, is usual if shapes are known.
    """
    calibration = normal.calibration
    calibrated = (evidence - calibration.center) / calibration.unit
    n_views = (evidence.shape[1] - len(calibration.narrowest)) // 2
    shape, values, tails = np.split(calibrated, [n_views, 2 * n_views], axis=1)
    tails = np.where(np.isnan(tails) & ~np.isnan(shape[:, :1]), 0.0, tails)
    return shape, values, tails


def _weighed(shape: Floats, values: Floats, tails: Floats, witnesses: str) -> Floats:
    neighbours = shape + values
    return {"neighbours": neighbours, "forecast": tails, "both": neighbours + FORECAST_WEIGHT * tails}[witnesses]


def highest_usual(scores: Sequence[Floats], length: int) -> float:
    """Return the highest score of windows (T,) of normal series, but for those that stand out from the others.

    These lie three times the distance between the quartiles above the upper one (Tukey 1977).
    """
    known = [each[~np.isnan(each)] for each in scores]
    windows = [part for each in known if len(each) for part in np.array_split(each, max(1, len(each) // length))]
    highest = np.array([window.max() for window in windows])
    low, high = np.quantile(highest, [0.25, 0.75])
    return float(highest[highest <= high + STANDS_OUT * (high - low)].max())
