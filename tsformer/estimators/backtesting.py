"""The past as if it had not come yet: a forecaster and series in, forecasts beside what came, or their score, out."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsformer.data.forecasts import Forecast, past_frame
from tsformer.data.frames import SeriesSet, are_longer, chosen, without_last
from tsformer.data.frequency import are_of_one_kind
from tsformer.data.messages import series_name, shown, warn_user
from tsformer.estimators.checks import keep_fitted
from tsformer.estimators.forecasting import forecast_past
from tsformer.estimators.learning import learn
from tsformer.metrics import mean_absolute_scaled_error
from tsformer.params import checked_count
from tsformer.training.parallel import side_by_side


def backtest_frame(
    forecaster: Any,
    series: SeriesSet,
    n_windows: int,
    step_size: int | None,
    asked: tuple[list[float], list[float] | None],
    *,
    refit: bool,
) -> pd.DataFrame:
    """Forecast the last windows of each series by the network as it is, or trained anew, as `backtest` returns them.

    Quantiles and levels are `asked` for, as of `requested_quantiles`.
    """
    if "cutoff" in {*series.names, series.form.id_col, series.form.time_col}:
        raise ValueError("The result of backtest has a column 'cutoff'. Rename that column of df.")
    horizon, (quantiles, levels) = forecaster.horizon, asked
    step = horizon if step_size is None else checked_count(step_size, "step_size")
    left = [horizon + step * i for i in reversed(range(checked_count(n_windows, "n_windows")))]
    are_longer(series, left[0], f"n_windows={n_windows} needs", "lower n_windows or step_size")
    if refit:
        start = forecaster.pretrained  # which may be a fitted forecaster: a clone of that would not be
        new = [clone(forecaster).set_params(pretrained=start) for _ in left]
        refits = [partial(_refit_and_forecast, each, series, n, quantiles) for each, n in zip(new, left, strict=True)]
        forecasts = list(side_by_side(refits, forecaster.n_jobs))
    else:
        remedy = "Pass refit=True to train anew before each window"
        _warn_of_seen(forecaster, series, left[0], remedy)
        if quantiles:
            _warn_of_calibrated(forecaster, series, left[0], remedy)
        forecasts = forecast_past(forecaster, series, left, quantiles)
    return pd.concat([past_frame(series, *each, levels) for each in zip(left, forecasts, strict=True)])


def _refit_and_forecast(forecaster: Any, series: SeriesSet, n: int, quantiles: Sequence[float]) -> Forecast:
    """Train a forecaster on all but the last n values of series, and forecast from there what comes next."""
    known = without_last(series, n)
    known = chosen(known, np.array([len(rows) > 0 for rows in known.values]))
    keep_fitted(forecaster, learn(forecaster, known, from_scratch=True))
    [forecast] = forecast_past(forecaster, series, [n], quantiles)
    return forecast


def minus_mase(forecaster: Any, series: SeriesSet) -> float:
    """Score forecasts of the last horizon of each series that is longer."""
    horizon, remedy = forecaster.horizon, "tsformer.model_selection.TemporalSplit cuts such folds"
    counts = are_longer(series, horizon, f"score forecasts the last horizon={horizon} and needs", remedy)
    _warn_of_seen(
        forecaster, series, horizon, f"Give TemporalSplit the forecaster's horizon={horizon}", all_or_nothing=True
    )
    [forecast] = forecast_past(forecaster, series, [horizon])
    units = [unit for rows, counts_too in zip(series.actual, counts, strict=True) if counts_too for unit in rows.T]
    truth = np.stack([unit[-horizon:] for unit in units])
    point = forecast.point[counts.repeat(len(series.names))]
    histories, season = [unit[:-horizon] for unit in units], forecaster.lengths_.season
    season = season if max(map(len, histories)) > season else 1  # a fold may be shorter
    return -float(mean_absolute_scaled_error(truth, point, y_train=histories, season=season))


def _warn_of_seen(forecaster: Any, series: SeriesSet, n: int, remedy: str, *, all_or_nothing: bool = False) -> None:
    """Warn where the network was trained on some of the last n time points of series; `all_or_nothing`: not on all."""
    seen = _seen(forecaster, series, n, "trained_until_")
    if all_or_nothing:
        seen = {code: end for code, end in seen.items() if end < series.times[code][-1]}
    if seen:
        warn_user(
            f"The network was trained on what it is to forecast: {_first_of(seen, series)}. These forecasts, from "
            f"{shown(series.times[min(seen)][-n])} on, look better than those to come will be. {remedy}, or fit on "
            "what comes before."
        )


def _warn_of_calibrated(forecaster: Any, series: SeriesSet, n: int, remedy: str) -> None:
    """Warn where quantiles were corrected by some of the last n time points of series."""
    if seen := _seen(forecaster, series, n, "calibrated_until_"):
        warn_user(
            f"Quantiles were corrected by what they are to hold: {_first_of(seen, series)}. From "
            f"{shown(series.times[min(seen)][-n])} on they look better than those to come will be. {remedy}, or fit on "
            "what comes before."
        )


def _seen(forecaster: Any, series: SeriesSet, n: int, attribute: str) -> dict[int, Any]:
    """Which series reach with their last n time points into what fit saw, and until when it saw them."""
    until, known = getattr(forecaster, attribute, None), forecaster.series_
    if until is None or known.names != series.names or not are_of_one_kind(series.times[0], until):
        return {}
    ends = dict(zip(known.ids, until, strict=False))  # series that came by `update` are last
    return {
        code: ends[id]
        for code, (id, times) in enumerate(zip(series.ids, series.times, strict=True))
        if id in ends and len(times) > n and times[-n - 1] < ends[id]
    }


def _first_of(seen: dict[int, Any], series: SeriesSet) -> str:
    code = min(seen)
    others = f", and {len(seen) - 1} other series" if len(seen) > 1 else ""
    return f"{series_name(series.ids[code])} up to {shown(seen[code])}{others}"
