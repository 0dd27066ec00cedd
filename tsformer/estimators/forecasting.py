"""What a fitted forecaster says of series: of what follows them, and of their past as if it had not come yet."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tsformer.data import windows
from tsformer.data.covariates import read_future
from tsformer.data.forecasts import Forecast
from tsformer.data.frames import SeriesSet
from tsformer.data.messages import quoted, series_name, warn_user
from tsformer.data.rows import Floats
from tsformer.estimators.histories import Frame
from tsformer.models.forecaster import PATCH_LENGTH
from tsformer.params import checked_count
from tsformer.training.calibration import corrected_levels
from tsformer.training.devices import draw_seed, resolve_device, usual_state
from tsformer.training.prediction import draw_paths, forecast_windows


def windows_to_forecast(forecaster: Any, series: SeriesSet, horizon: int, future: Frame | None) -> Any:
    """Cut the windows that a forecast is made from."""
    lengths, rows = forecaster.lengths_, read_future(future, series, horizon)
    of_windows = series, forecaster.covariate_scaler_, rows, lengths.context, horizon, lengths.seasons
    return windows.windows_ahead(*of_windows, reach=_reach(forecaster, horizon))


@usual_state()
def forecast_ahead(
    forecaster: Any,
    series: SeriesSet,
    horizon: int | None = None,
    future: Frame | None = None,
    quantiles: Sequence[float] = (),
) -> Forecast:
    """Forecast what follows each series."""
    horizon = forecaster.horizon if horizon is None else checked_count(horizon, "horizon")
    given = windows_to_forecast(forecaster, series, horizon, future)
    forecast = _forecast(forecaster, given, horizon, quantiles)
    warn_of_unobserved(forecaster, series, forecast.point)
    return forecast


@usual_state()
def paths_ahead(
    forecaster: Any, series: SeriesSet, n: int, horizon: int | None = None, future: Frame | None = None
) -> Floats:
    """Draw paths (n, n_windows, H) of what follows each series."""
    horizon = forecaster.horizon if horizon is None else checked_count(horizon, "horizon")
    given = windows_to_forecast(forecaster, series, horizon, future)
    generator = torch.Generator(resolve_device(forecaster.device)).manual_seed(draw_seed(forecaster.random_state))
    paths = draw_paths(forecaster.model_, given, horizon, generator, n)
    warn_of_unobserved(forecaster, series, paths[0])
    return paths


def forecast_past(
    forecaster: Any, series: SeriesSet, left: Sequence[int], quantiles: Sequence[float] = ()
) -> list[Forecast]:
    """Forecast a horizon of each series from all but its last n time points, for each n of `left`.

    Where that leaves none the forecast is missing.
    """
    lengths, horizon = forecaster.lengths_, forecaster.horizon
    of_windows = series, forecaster.covariate_scaler_, left, lengths.context, horizon, lengths.seasons
    past = windows.past_windows(*of_windows, reach=_reach(forecaster, horizon))
    forecast = _forecast(forecaster, past, horizon, quantiles)
    n_known = np.subtract.outer([len(rows) for rows in series.values], left).T.repeat(len(series.names), axis=1)
    warn_of_unobserved(forecaster, series, np.where(n_known.reshape(-1, 1) > 0, forecast.point, 0.0))
    return forecast.in_parts(len(left))


def _reach(forecaster: Any, horizon: int) -> int:
    """For how long static covariates and the calendar are known: for the whole last patch, as in training.

    What a patch begins with must not depend on how much of it is asked for.
    """
    return min(math.ceil(horizon / PATCH_LENGTH) * PATCH_LENGTH, forecaster.lengths_.training_horizon)


def _forecast(forecaster: Any, given: Any, horizon: int, quantiles: Sequence[float]) -> Forecast:
    """Forecast the given windows."""
    scores = getattr(forecaster, "conformity_scores_", None)
    levels = quantiles if scores is None else corrected_levels(quantiles, scores)
    point, bands = forecast_windows(forecaster.model_, given, horizon, resolve_device(forecaster.device), levels)
    return Forecast(point, {quantile: bands[..., i] for i, quantile in enumerate(quantiles)})


def warn_of_unobserved(forecaster: Any, series: SeriesSet, points: Floats) -> None:
    """Warn of windows (n_windows, H) in which nothing was observed to forecast from: all units, once or more."""
    n_channels = len(series.names)
    missing = np.unique(np.flatnonzero(np.isnan(points[:, 0])) % (series.n_series * n_channels))
    if len(missing):
        code, channel = divmod(int(missing[0]), n_channels)
        column = f", column {quoted(series.names[channel])}," if n_channels > 1 else ""
        others = f" So are those of {len(missing) - 1} others." if len(missing) > 1 else ""
        warn_user(
            f"{series_name(series.ids[code])}{column} has no observed value in the last {forecaster.lengths_.context} "
            f"time points: its forecast is NaN.{others}"
        )
