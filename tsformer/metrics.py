"""Errors of forecasts, and how often their bands hold: from arrays, or from frames as TransformerForecaster has them.

Arrays of truth and point forecasts have shape (horizon,) or (n_series, horizon). Frames are Series, wide, long or under
a (series, time) MultiIndex; rows are matched by series and time, and each column and each window of a backtest counts
as a series. The truth may hold further rows: those before a forecast are its history. NaN counts as missing.

`evaluate` makes a table of a backtest. All other functions take `by_series`, to return a value for each series, in a
Series if of frames, and not their mean; for long frames `id_col` and `time_col`; `target_cols`, a name or a list, by
default "y" in long frames, else all columns.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from tsformer.data.backtests import Points, histories_of, read_backtest
from tsformer.data.comparisons import Comparison, read_comparison
from tsformer.data.forecast_columns import as_text, band_labels, check_quantiles
from tsformer.data.messages import quoted, warn_user
from tsformer.data.seasons import choose_season
from tsformer.params import checked_count

__all__ = [
    "evaluate",
    "interval_coverage",
    "mean_absolute_scaled_error",
    "root_mean_squared_scaled_error",
    "symmetric_mean_absolute_percentage_error",
    "weighted_quantile_loss",
]

ROUNDING = 10  # relative steps of a dtype: a history that changes by no more is constant but for rounding

Floats = NDArray[np.floating[Any]]
Values = Any  # array-like, Series or DataFrame
Score = Any  # a float; by series an ndarray or a Series


def mean_absolute_scaled_error(
    y_true: Values,
    y_pred: Values,
    *,
    y_train: Values | None = None,
    season: int = 1,
    freq: Any = None,
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Mean absolute scaled error (MASE): 1 is the error of seasonal naive one season ahead in the history.

    The absolute error of each series is divided by the mean absolute difference of its history at lag `season`, or
    at lag 1 where the history is no longer than a season (Hyndman & Koehler 2006). A series whose history does not
    vary, but for rounding, has no such scale and is left out with a warning.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (horizon,) or (n_series, horizon), Series or DataFrame
        Actual values, and point forecasts.
    y_train : list of arrays of any lengths, Series or DataFrame, optional
        The histories. Arrays need it; of frames the rows of y_true before each forecast are taken without it.
    season : int, default=1
        Time points after which series repeat themselves.
    freq : str, offset, int or None, default=None
        Frequency of frames, by which absent rows of histories count as missing. None infers it and refuses gaps.
    by_series, id_col, time_col, target_cols
        As all functions here take them.

    Examples
    --------
    >>> from tsformer.metrics import mean_absolute_scaled_error
    >>> mean_absolute_scaled_error([5.0, 7.0], [4.0, 4.0], y_train=[1.0, 3.0, 2.0, 3.0])
    1.5
    """
    cases = read_comparison(y_true, y_pred, [None], (id_col, time_col, target_cols), y_train, freq=freq, scaled=True)
    errors = _mean(np.abs(cases.truth - cases.forecasts[..., 0])) / _scales(cases, season, power=1)
    return _result(errors, cases, by_series)


def root_mean_squared_scaled_error(
    y_true: Values,
    y_pred: Values,
    *,
    y_train: Values | None = None,
    season: int = 1,
    freq: Any = None,
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Root mean squared scaled error (RMSSE): as MASE, of squares; the root is taken of each series.

    It is the error of the M5 competition (Makridakis et al. 2022).

    Parameters
    ----------
    y_true, y_pred, y_train, season, freq, by_series, id_col, time_col, target_cols
        As of `mean_absolute_scaled_error`.
    """
    cases = read_comparison(y_true, y_pred, [None], (id_col, time_col, target_cols), y_train, freq=freq, scaled=True)
    scales = _scales(cases, season, power=2)[:, None]  # before squaring: of 1e200 a square is infinite
    return _result(np.sqrt(_mean(((cases.truth - cases.forecasts[..., 0]) / scales) ** 2)), cases, by_series)


def symmetric_mean_absolute_percentage_error(
    y_true: Values,
    y_pred: Values,
    *,
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Symmetric mean absolute percentage error (sMAPE): the mean of |y - f| / (|y| + |f|), from 0 to 1.

    Where both are 0 the error is 0 (Makridakis 1993). Competitions such as M4 report 200 times this.
    """
    cases = read_comparison(y_true, y_pred, [None], (id_col, time_col, target_cols))
    forecast = cases.forecasts[..., 0]
    size = np.abs(cases.truth) + np.abs(forecast)
    return _result(_mean(np.abs(cases.truth - forecast) / np.where(size == 0, 1.0, size)), cases, by_series)


def weighted_quantile_loss(
    y_true: Values,
    y_pred: Values,
    *,
    quantiles: Sequence[float],
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Weighted quantile loss (WQL): twice the quantile loss, summed over all time points, by the sum of |y|.

    The mean over `quantiles` approximates the continuous ranked probability score (Koenker & Bassett 1978; Park et al.
    2022). All series are summed together: the larger ones weigh more, and the result is not the mean of those by
    series, which are NaN where the truth is 0 throughout. `y_pred` has the shape (..., n_quantiles), in the order of
    `quantiles`, or is a frame as of `predict(quantiles=...)`, of which these are taken.
    """
    levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
    if levels.ndim != 1 or not len(levels):
        raise ValueError(f"quantiles must be a list of one or more, such as [0.1, 0.9]. Got {quantiles!r}.")
    check_quantiles(levels, quantiles)
    cases = read_comparison(y_true, y_pred, [float(level) for level in levels], (id_col, time_col, target_cols))
    errors = cases.truth[..., None] - cases.forecasts
    losses = 2 * np.maximum(levels * errors, (levels - 1) * errors).mean(axis=-1)  # NaN where any of them is
    sizes = np.where(np.isnan(losses), np.nan, np.abs(cases.truth))
    axis = 1 if by_series else None
    loss, size = np.atleast_1d(np.nansum(losses, axis=axis), np.nansum(sizes, axis=axis))
    if not size.any():
        raise ValueError("weighted_quantile_loss divides by the sum of |y_true|. It is 0 where all are observed.")
    return _result(np.divide(loss, size, out=np.full(len(size), np.nan), where=size > 0), cases, by_series)


def interval_coverage(
    y_true: Values,
    lower: Values,
    upper: Values | None = None,
    *,
    level: float | None = None,
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Coverage: the fraction of true values within their intervals, bounds included.

    `lower` and `upper` are arrays as y_true; or `lower` is a frame with both bounds, as of `predict(level=...)`, and
    `level`, in percent, says which of its intervals to take.
    """
    is_frame = isinstance(lower, pd.Series | pd.DataFrame)
    if (upper is None) != is_frame or (level is None) == is_frame:
        raise ValueError(
            "interval_coverage takes arrays as lower and upper, or a frame that holds both bounds and its level: "
            "interval_coverage(y_true, y_pred, level=90)."
        )
    labels = ["lower", "upper"] if level is None else band_labels(level)
    cases = read_comparison(y_true, lower, labels, (id_col, time_col, target_cols), upper=upper)
    low, high = np.moveaxis(cases.forecasts, -1, 0)
    inside = np.where(np.isnan(cases.truth + low + high), np.nan, (low <= cases.truth) & (cases.truth <= high))
    return _result(_mean(inside), cases, by_series)


def evaluate(
    backtest: pd.DataFrame,
    df: pd.Series[Any] | pd.DataFrame | None = None,
    *,
    by: Literal["series", "cutoff", "step"] | None = None,
    season: int | list[int] | Literal["auto"] = "auto",
    freq: Any = None,
    fill: Any = None,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> pd.DataFrame:
    """Score what `TransformerForecaster.backtest` returned: a table of errors, those of seasonal naive beside.

    Parameters
    ----------
    backtest : DataFrame
        The result of backtest, in any form, or forecasts of others with the same columns.
    df : Series or DataFrame, optional
        The frame that backtest was given. Its rows up to each cutoff are what the error is scaled by, and what seasonal
        naive repeats; without it there is neither.
    by : {"series", "cutoff", "step"}, optional
        A row for each series, for each window, or for each step ahead. None is one row for all.
    season : int, list of ints or "auto", default="auto"
        Steps after which series repeat themselves; of a list the shortest. "auto" is the season that a forecaster
        fitted to df chooses.
    freq, fill
        As of the forecaster, where rows or values of df are missing. Of `fill` only a number counts as a value.
    id_col, time_col : hashable
        Columns of a long frame.
    target_cols : hashable or list, optional
        Targets to score, by default all of the backtest.

    Returns
    -------
    DataFrame
        Columns "mase", "mae", "rmse", "wape" (the sum of absolute errors by that of |y|); "coverage_80" for each band,
        or pair of quantiles such as .1 and .9; "quantile_loss", weighted, over all quantiles and ends of bands; with df
        the same of seasonal naive, as "naive_mase" and so on. "n" counts the values that are scored, and "n_missing"
        those that are not, as the actual value or the forecast is missing; both forecasts are scored by the same.

    Notes
    -----
    MASE, MAE, squares and coverage are means over each window of a series, then over these, as those of
    `mean_absolute_scaled_error` and `interval_coverage` are; WAPE and quantile loss are sums by sums. Bands of seasonal
    naive are normal; their standard deviation is the root mean square of seasonal differences in the history, times the
    square root of the seasons ahead (Hyndman & Athanasopoulos 2021, "Forecasting: principles and practice").
    """
    groups = {None: "all", "series": "series", "cutoff": "cutoff", "step": "step"}
    if by not in groups:
        raise ValueError(f"by must be 'series', 'cutoff' (by window), 'step' (ahead) or None. Got {by!r}.")
    points = read_backtest(backtest, id_col, time_col, target_cols)
    table = points.table
    scored = (table["actual"] + table["point"]).notna()
    _check_scored(points, scored.to_numpy())
    rows: Any = {"all": np.zeros(len(table), int), "series": table["series"], "cutoff": table["cutoff"]}
    group = (rows | {"step": table["step"] - 1})[groups[by]]
    names = {"all": pd.Index(["all"]), "series": points.series, "cutoff": points.cutoffs.rename("cutoff")}
    names["step"] = pd.RangeIndex(1, table["step"].max() + 1, name="step")
    forecasts: dict[str, Any] = {"": (table["point"].to_numpy(), points.quantiles)}
    scale = None
    if df is not None:
        histories, series = histories_of(points, df, (id_col, time_col), freq=freq, fill=fill)
        by_rule = season == "auto" or isinstance(season, list)
        longest = max(map(len, series.values))
        lag = choose_season(season, series.freq, longest)[0] if by_rule else checked_count(season, "season")
        _check_season(lag, histories)
        scale = _scales_of(points, histories, lag, scored.to_numpy())
        forecasts["naive_"] = _seasonal_naive(points, histories, lag)
    parts = []
    for prefix, (point, quantiles) in forecasts.items():
        errors = _errors(table["actual"].to_numpy(), point, quantiles, scale).where(scored)
        parts.append(_summed_up(errors, group, table["window"]).add_prefix(prefix))
    counts = pd.DataFrame({"n": scored, "n_missing": ~scored}).groupby(np.asarray(group)).sum()
    result = pd.concat([*parts, counts], axis=1).reindex(range(len(names[groups[by]])))
    return result.set_axis(names[groups[by]], axis=0)


def _scales(cases: Comparison, season: int, power: int) -> Floats:
    """Power mean of seasonal differences of each history (n_series,); NaN, and a warning, where there is none."""
    season = checked_count(season, "season")
    if cases.histories is None:
        raise ValueError("y_train must hold the histories of arrays: the error is scaled by their differences.")
    absent: Any = np.isnan(cases.forecasts).all(axis=(1, 2))  # of which whoever made the forecasts has told
    if empty := [i for i, history in enumerate(cases.histories) if not len(history) and not absent[i]]:
        raise ValueError(
            f"{_name(cases, empty[0])} has no history to scale its error by. Pass the time points before the forecast "
            "as y_train, or of a frame in y_true."
        )
    _check_season(season, cases.histories)
    scales = np.array([_scale(history, season, power) for history in cases.histories])
    lacking = np.flatnonzero(np.isnan(scales) & ~absent)
    why = f"whose history does not vary at season={season}, but for rounding"
    if len(lacking) == len(scales):
        raise ValueError(f"There are only series {why}: none has a scale. {_name(cases, 0)} is the first.")
    if len(lacking):
        warn_user(f"Left out {len(lacking)} of {len(scales)} series {why}. {_name(cases, lacking[0])} is the first.")
    return scales


def _check_season(season: int, histories: Sequence[Floats]) -> None:
    """Warn where no history is as long that its error can be scaled by the season that was asked for."""
    longest = max(map(len, histories), default=0)
    if season > 1 and 0 < longest <= season:
        warn_user(
            f"season={season} needs longer histories, of which the longest has {longest} time points: errors are "
            "scaled by differences at lag 1, and seasonal naive repeats the last value. Pass a shorter season."
        )


def _scale(history: Floats, season: int, power: int) -> float:
    values = history.astype(np.float64)
    rounding = ROUNDING * np.finfo(np.float32 if _is_single(values) else history.dtype).eps
    lag = season if len(values) > season else 1
    steps = np.abs(values[lag:] - values[:-lag])
    steps = steps[~np.isnan(steps)]
    varies = len(steps) > 0 and steps.max() > rounding * np.nanmax(np.abs(values))
    return float(steps.max() * ((steps / steps.max()) ** power).mean() ** (1 / power)) if varies else np.nan


def _is_single(values: Floats) -> bool:
    """Whether all values are fractions that float32 holds, from where they may have come."""
    known = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        return bool((known == known.astype(np.float32)).all() and (known != known.round()).any())


def _mean(values: Floats) -> Floats:
    """Mean of each row over what is not NaN; NaN where all is."""
    return pd.DataFrame(values).mean(axis=1).to_numpy()


def _result(values: Floats, cases: Comparison, by_series: bool) -> Score:
    if np.isnan(values).all():
        raise ValueError(
            "There is nothing to score: no time point of a series with a score has both truth and forecast."
        )
    if not by_series:
        return float(np.nanmean(values))
    return values if cases.names is None else pd.Series(values, index=cases.names)


def _name(cases: Comparison, number: int) -> str:
    return f"Series {number}" if cases.names is None else f"Series {cases.names[[number]].tolist()[0]!r}"


# Backtests


def _check_scored(points: Points, scored: NDArray[np.bool_]) -> None:
    """Say which series have nothing to score; raise a ValueError where that is all."""
    if not scored.any():
        raise ValueError("There is nothing to score: no row of backtest has both a forecast and an actual value.")
    series = points.table["series"].to_numpy()
    if len(without := np.setdiff1d(series, series[scored])):
        some = ", ".join(map(quoted, points.series[without[:3]])) + (", ..." if len(without) > 3 else "")
        warn_user(
            f"{len(without)} of {len(points.series)} series have nothing to score and do not count, as their forecasts "
            f"or actual values are missing: {some}."
        )


def _scales_of(points: Points, histories: Sequence[Floats], season: int, scored: NDArray[np.bool_]) -> Floats:
    """What MASE divides each step by (N,)."""
    window = points.table["window"].to_numpy()
    scales = np.array([_scale(history, season, power=1) for history in histories])[window]
    if len(lacking := np.flatnonzero(np.isnan(scales) & scored)):
        n, of = len(np.unique(window[lacking])), len(np.unique(window[scored]))
        name = quoted(points.series[points.table["series"].iloc[lacking[0]]])
        warn_user(
            f"MASE leaves out {n} of {of} windows whose history does not vary at season={season}, but for rounding. "
            f"One of series {name} is the first."
        )
    return scales


def _seasonal_naive(points: Points, histories: Sequence[Floats], season: int) -> tuple[Floats, dict[float, Floats]]:
    """Seasonal naive (N,) and its quantiles."""
    window, ahead = points.table["window"].to_numpy(), points.table["step"].to_numpy() - 1
    lags = np.array([season if len(history) > season else 1 for history in histories])
    seasons = [_last_season(history, lag) for history, lag in zip(histories, lags, strict=True)]
    begins = np.cumsum(lags) - lags
    point = np.concatenate(seasons)[begins[window] + ahead % lags[window]]
    stds = np.array([_scale(history, season, power=2) for history in histories])[window]
    spread = stds * np.sqrt(1 + ahead // lags[window])
    return point, {quantile: point + spread * ndtri(quantile) for quantile in points.quantiles}


def _last_season(history: Floats, lag: int) -> Floats:
    """The last observed value (lag,) of each phase, from that of the next step on; without one the last of all."""
    if not len(known := history[~np.isnan(history)]):
        return np.full(lag, np.nan)
    rows = np.concatenate([np.full(-len(history) % lag, np.nan), history]).reshape(-1, lag)
    latest = np.where(np.isnan(rows), -1, np.arange(len(rows))[:, None]).max(axis=0)
    return np.where(latest < 0, known[-1], rows[latest, np.arange(lag)])


def _errors(actual: Floats, point: Floats, quantiles: dict[float, Floats], scale: Floats | None) -> pd.DataFrame:
    """The errors of each step (N,), for `_summed_up`."""
    absolute = np.abs(actual - point)
    errors = {} if scale is None else {"mase": absolute / scale}
    errors |= {"mae": absolute, "rmse": absolute**2, "wape": absolute}
    upper = {as_text(quantile): values for quantile, values in quantiles.items() if quantile > 0.5}
    for quantile, low in sorted(quantiles.items(), reverse=True):  # the narrow bands first
        if (high := upper.get(as_text(1 - quantile))) is not None:
            inside = np.where(np.isnan(low + high), np.nan, (low <= actual) & (actual <= high))
            errors[f"coverage_{as_text(100 - 200 * quantile)}"] = inside
    if quantiles:
        losses = [np.maximum(q * (actual - x), (q - 1) * (actual - x)) for q, x in quantiles.items()]
        errors["quantile_loss"] = 2 * np.mean(losses, axis=0)
    return pd.DataFrame(errors | {"size": np.abs(actual)})


def _summed_up(errors: pd.DataFrame, group: Any, window: Any) -> pd.DataFrame:
    """The figures of each group."""
    group, window, sizes = np.asarray(group), np.asarray(window), errors.pop("size")
    figures = errors.groupby([group, window]).mean().groupby(level=0).mean()
    figures["rmse"] = np.sqrt(figures["rmse"])
    for name in errors.columns.intersection(["wape", "quantile_loss"]):
        total = sizes.where(errors[name].notna()).groupby(group).sum()
        figures[name] = errors[name].groupby(group).sum(min_count=1) / total.where(total > 0)
    return figures
