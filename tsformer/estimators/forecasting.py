"""What a fitted forecaster says of series: of what follows them, and of their past as if it had not come yet."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data import windows
from tsformer.data.covariates import read_future
from tsformer.data.forecasts import Forecast
from tsformer.data.frames import SeriesSet
from tsformer.data.frequency import are_of_one_kind
from tsformer.data.messages import quoted, series_name, shown, warn_user
from tsformer.data.rows import Floats
from tsformer.models.forecaster import PATCH_LENGTH
from tsformer.training.calibration import corrected_levels
from tsformer.training.devices import resolve_device
from tsformer.training.prediction import forecast_windows

Frame = pd.Series | pd.DataFrame


def windows_to_forecast(forecaster: Any, series: SeriesSet, horizon: int, future: Frame | None) -> Any:
    """Cut the windows that a forecast is made from."""
    lengths, rows = forecaster.lengths_, read_future(future, series, horizon)
    of_windows = series, forecaster.covariate_scaler_, rows, lengths.context, horizon, lengths.seasons
    return windows.windows_ahead(*of_windows, reach=_reach(forecaster, horizon))


def forecast_ahead(
    forecaster: Any, series: SeriesSet, horizon: int, future: Frame | None, quantiles: Sequence[float]
) -> Forecast:
    """Forecast what follows each series."""
    given = windows_to_forecast(forecaster, series, horizon, future)
    forecast = _forecast(forecaster, given, horizon, quantiles)
    warn_of_unobserved(forecaster, series, forecast.point)
    return forecast


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


def warn_of_seen(forecaster: Any, series: SeriesSet, n: int, remedy: str, *, all_or_nothing: bool = False) -> None:
    """Warn where the network was trained on some of the last n time points of series; `all_or_nothing`: not on all."""
    until, known = getattr(forecaster, "trained_until_", None), forecaster.series_
    if until is None or known.names != series.names or not are_of_one_kind(series.times[0], until):
        return
    ends = dict(zip(known.ids, until, strict=False))  # series that came by `update` are last
    seen = [
        code
        for code, (id, times) in enumerate(zip(series.ids, series.times, strict=True))
        if id in ends and len(times) > n and times[-n - 1] < ends[id] and not (all_or_nothing and ends[id] >= times[-1])
    ]
    if seen:
        id = series.ids[seen[0]]
        others = f", and {len(seen) - 1} other series" if len(seen) > 1 else ""
        warn_user(
            f"The network was trained on what it is to forecast: {series_name(id)} up to {shown(ends[id])}{others}. "
            f"These forecasts, from {shown(series.times[seen[0]][-n])} on, look better than those to come will be. "
            f"{remedy}, or fit on what comes before."
        )
