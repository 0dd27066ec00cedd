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
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from scipy.special import ndtri
from sklearn.utils import check_array

from tsformer.data.backtests import Points, histories_of, read_backtest
from tsformer.data.forecast_columns import as_text, band_labels, forecast_columns, quantile_label
from tsformer.data.messages import quoted, shown, warn_user
from tsformer.data.rows import Rows, numbers_of, rows_of
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

KEY = ["id", "column", "time"]  # what frames are matched by

Floats = NDArray[np.floating[Any]]
Values = Any  # array-like, Series or DataFrame
Score = Any  # a float; by series an ndarray or a Series


def mean_absolute_scaled_error(
    y_true: Values,
    y_pred: Values,
    *,
    y_train: Values | None = None,
    season: int = 1,
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Mean absolute scaled error (MASE): 1 is the error of seasonal naive one season ahead in the history.

    The absolute error of each series is divided by the mean absolute difference of its history at lag `season`, or
    at lag 1 where the history is no longer than a season (Hyndman & Koehler 2006). A series whose history does not
    vary, but for rounding, has no such scale and is left out with a warning. `y_train` holds the histories, as arrays
    of any lengths or a frame; arrays need it, of frames the rows of y_true before each forecast are taken without it.

    Examples
    --------
    >>> from tsformer.metrics import mean_absolute_scaled_error
    >>> mean_absolute_scaled_error([5.0, 7.0], [4.0, 4.0], y_train=[1.0, 3.0, 2.0, 3.0])
    1.5
    """
    cases = _read(y_true, y_pred, [None], (id_col, time_col, target_cols), y_train)
    errors = _mean(np.abs(cases.truth - cases.forecasts[..., 0])) / _scales(cases, season, power=1)
    return _result(errors, cases, by_series)


def root_mean_squared_scaled_error(
    y_true: Values,
    y_pred: Values,
    *,
    y_train: Values | None = None,
    season: int = 1,
    by_series: bool = False,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    target_cols: Any = None,
) -> Score:
    """Root mean squared scaled error (RMSSE): as MASE, of squares; the root is taken of each series.

    It is the error of the M5 competition (Makridakis et al. 2022).
    """
    cases = _read(y_true, y_pred, [None], (id_col, time_col, target_cols), y_train)
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
    cases = _read(y_true, y_pred, [None], (id_col, time_col, target_cols))
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
    if levels.ndim != 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(
            f"quantiles must lie between 0 and 1, both excluded. Got {quantiles!r}; a quantile of 10 % is 0.1."
        )
    cases = _read(y_true, y_pred, [float(level) for level in levels], (id_col, time_col, target_cols))
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
    cases = _read(y_true, lower, labels, (id_col, time_col, target_cols), upper=upper)
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
        scale = _scales_of(points, histories, lag, scored.to_numpy())
        forecasts["naive_"] = _seasonal_naive(points, histories, lag)
    parts = []
    for prefix, (point, quantiles) in forecasts.items():
        errors = _errors(table["actual"].to_numpy(), point, quantiles, scale).where(scored)
        parts.append(_summed_up(errors, group, table["window"]).add_prefix(prefix))
    counts = pd.DataFrame({"n": scored, "n_missing": ~scored}).groupby(np.asarray(group)).sum()
    result = pd.concat([*parts, counts], axis=1).reindex(range(len(names[groups[by]])))
    return result.set_axis(names[groups[by]], axis=0)


class _Cases(NamedTuple):
    """Truth (n_series, horizon), forecasts (n_series, horizon, n_labels), histories, and how frames name the series."""

    truth: Floats
    forecasts: Floats
    histories: list[Floats] | None
    names: pd.Index[Any] | None = None


def _read(
    y_true: Any, y_pred: Any, labels: list[Any], columns: tuple[Any, Any, Any], y_train: Any = None, upper: Any = None
) -> _Cases:
    """Read frames or arrays; `labels` are [None] for the point forecast, quantiles, or what names the two bounds."""
    given = [values for values in (y_true, y_pred, y_train) if values is not None]
    are_frames = {isinstance(values, pd.Series | pd.DataFrame) for values in given}
    if len(are_frames) > 1:
        raise TypeError(
            "y_true, y_pred and y_train must all be arrays, or all pandas Series or DataFrames, whose rows are matched "
            f"by series and time. Got {', '.join(type(values).__name__ for values in given)}."
        )
    if are_frames == {True}:
        return _from_frames(y_true, y_pred, labels, columns, y_train)
    forecasts = {"y_pred": y_pred} if upper is None else {"lower": y_pred, "upper": upper}
    return _from_arrays(y_true, forecasts, labels, y_train)


def _scales(cases: _Cases, season: int, power: int) -> Floats:
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
    scales = np.array([_scale(history, season, power) for history in cases.histories])
    lacking = np.flatnonzero(np.isnan(scales) & ~absent)
    why = f"whose history does not vary at season={season}, but for rounding"
    if len(lacking) == len(scales):
        raise ValueError(f"There are only series {why}: none has a scale. {_name(cases, 0)} is the first.")
    if len(lacking):
        warn_user(f"Left out {len(lacking)} of {len(scales)} series {why}. {_name(cases, lacking[0])} is the first.")
    return scales


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


def _result(values: Floats, cases: _Cases, by_series: bool) -> Score:
    if np.isnan(values).all():
        raise ValueError(
            "There is nothing to score: no time point of a series with a score has both truth and forecast."
        )
    if not by_series:
        return float(np.nanmean(values))
    return values if cases.names is None else pd.Series(values, index=cases.names)


def _name(cases: _Cases, number: int) -> str:
    return f"Series {number}" if cases.names is None else f"Series {cases.names[[number]].tolist()[0]!r}"


# Arrays


def _from_arrays(y_true: Any, forecasts: dict[str, Any], labels: list[Any], y_train: Any) -> _Cases:
    truth = _floats(y_true, "y_true").astype(np.float64)
    if truth.ndim not in (1, 2) or truth.size == 0:
        raise ValueError(f"y_true must have shape (horizon,) or (n_series, horizon). Got {truth.shape}.")
    by_quantile = isinstance(labels[0], float)
    shape = (*truth.shape, len(labels)) if by_quantile else truth.shape
    parts = {name: _floats(values, name).astype(np.float64) for name, values in forecasts.items()}
    for name, part in parts.items():
        if part.shape != shape:
            meant = "that of y_true and n_quantiles" if by_quantile else "that of y_true"
            raise ValueError(f"{name} must have the shape {shape}, {meant}. Got {part.shape}.")
    truth = truth.reshape(-1, truth.shape[-1])
    joined = np.stack(list(parts.values()), axis=-1).reshape(*truth.shape, len(labels))
    return _Cases(truth, joined, None if y_train is None else _histories(y_train, len(truth)))


def _histories(y_train: Any, n_series: int) -> list[Floats]:
    is_one = len(y_train) == 0 or np.ndim(y_train[0]) == 0
    histories = [y_train] if is_one else y_train
    kinds = {(history.ndim, history.dtype) if isinstance(history, np.ndarray) else () for history in histories}
    if len(kinds) == 1 and next(iter(kinds), ())[:1] == (1,):  # checked in one go: of 30,000 each takes its time
        joined = _floats(np.concatenate(histories), "y_train")
        histories = np.split(joined, np.cumsum([len(history) for history in histories])[:-1])
    else:
        histories = [_floats(history, "y_train") for history in histories]
    if len(histories) != n_series or any(history.ndim != 1 for history in histories):
        raise ValueError(
            f"y_train must hold a history of shape (n_timepoints,) for each of the {n_series} series of y_true. Got "
            f"{len(histories)} of the shapes {sorted({history.shape for history in histories})}."
        )
    return histories


def _floats(values: Any, name: str) -> Floats:
    """Floats as they come, all else as float64."""
    dtypes = [np.float64, np.float32, np.float16]
    checks: Any = {"ensure_2d": False, "allow_nd": True, "ensure_min_samples": 0, "ensure_min_features": 0}
    return check_array(values, dtype=dtypes, ensure_all_finite="allow-nan", input_name=name, **checks)


# Frames


def _from_frames(y_true: Any, y_pred: Any, labels: list[Any], columns: tuple[Any, Any, Any], y_train: Any) -> _Cases:
    """Match forecasts, truth and histories by id, target column and time; each cutoff of a backtest is a series too."""
    is_series = isinstance(y_true, pd.Series)
    if is_series:  # whatever the others are called
        y_pred, y_train = (df.rename(y_true.name) if isinstance(df, pd.Series) else df for df in (y_pred, y_train))
    frames = {"y_true": y_true, "y_pred": y_pred} | ({} if y_train is None else {"y_train": y_train})
    rows = {name: rows_of(df, name, *columns[:2], only_order=True) for name, df in frames.items()}
    for name, each in rows.items():
        kinds = each.data.drop(columns="cutoff", errors="ignore").dtypes
        others = [column for column, kind in kinds.items() if not is_numeric_dtype(kind)]
        if each.layout == "wide" and others:
            raise ValueError(
                f"The columns {others} of {name} hold no numbers. If it is a long frame, name its columns with id_col= "
                "and time_col=."
            )
    if len({(each.layout, each.ids is None) for each in rows.values()}) > 1:
        raise ValueError(
            "All frames must come in one form: long, wide or under a MultiIndex, with ids or without. A long frame is "
            "known by its columns id_col and time_col."
        )
    targets, keys = _columns(rows["y_true"], rows["y_pred"], labels, columns[2], is_series)
    of_all = _ids_and_times(list(rows.values()))
    n = len(targets)
    tables: Any = {
        name: _long(each, name, keys if name == "y_pred" else targets, n, of_all) for name, each in rows.items()
    }
    cases: Any = tables["y_pred"].merge(tables["y_true"].rename(columns={0: "truth"}), "left", KEY, indicator="found")
    _check_found(np.flatnonzero(cases["found"] == "left_only")[::n] // n, rows["y_true"], rows["y_pred"])
    series = [*KEY[:2], "cutoff"] if "cutoff" in cases else KEY[:2]
    cases["series"] = cases.groupby(series, sort=False, dropna=False).ngroup()
    cases = cases.sort_values(["series", "time"])
    cases["step"] = cases.groupby("series").cumcount()
    truth, forecasts = (
        cases.pivot(index="series", columns="step", values=values).to_numpy()
        for values in (["truth"], list(range(len(labels))))
    )

    starts = cases[cases["step"] == 0]
    past = starts[["series", *KEY]].merge(tables.get("y_train", tables["y_true"]), on=KEY[:2], suffixes=("_ahead", ""))
    past = past[past["time"] < past["time_ahead"]].sort_values(["series", "time"])
    return _Cases(
        truth,
        forecasts.reshape(len(truth), len(labels), -1).swapaxes(1, 2),
        np.split(past[0].to_numpy(), np.searchsorted(past["series"], np.arange(1, len(starts)))),
        _names(starts, of_all[0], targets),
    )


def _columns(
    truth: Rows, forecast: Rows, labels: list[Any], target_cols: Any, is_series: bool
) -> tuple[list[Any], list[Any]]:
    """Return the target columns and, for each and each label, the column of the forecast."""
    columns: Any = forecast.data.drop(columns="cutoff", errors="ignore").columns
    is_long, has_labels = truth.layout == "long", columns.nlevels > truth.data.columns.nlevels
    if is_series:
        targets = list(truth.data.columns)
    elif target_cols is not None or is_long:
        targets = target_cols if isinstance(target_cols, list) else ["y" if target_cols is None else target_cols]
    else:
        targets = list(columns.droplevel(-1).unique() if has_labels else columns)
    labels = [quantile_label(label, truth.layout) if isinstance(label, float) else label for label in labels]
    if not is_long and labels == [None] and (has_labels or (is_series and "point" in columns)):
        labels = ["point"]
    return targets, list(forecast_columns(truth.layout, is_series, pd.Index(targets), labels))


def _ids_and_times(rows: list[Rows]) -> tuple[pd.Index[Any], pd.Index[Any]]:
    """All ids, or None as the only one, and all times in their order."""
    ids: Any = [each.ids for each in rows]
    times = [each.times for each in rows]
    try:
        ordered = times[0].append(times[1:]).unique().sort_values()
    except (TypeError, ValueError) as error:
        kinds = " and ".join(dict.fromkeys(str(each.dtype) for each in times))
        raise ValueError(f"The times of all frames must be of one kind. Got {kinds}.") from error
    return pd.Index([None]) if ids[0] is None else ids[0].append(ids[1:]).unique(), ordered


def _long(
    rows: Rows, name: str, columns: list[Any], n_targets: int, of_all: tuple[pd.Index[Any], pd.Index[Any]]
) -> pd.DataFrame:
    """Give each row and target a row: the numbers of id, target and time, a cutoff, and from 0 on what columns hold."""
    ids, times = of_all
    id: Any = 0 if rows.ids is None else ids.get_indexer(rows.ids)
    table: Any = pd.DataFrame({"id": id, "time": times.get_indexer(rows.times)})
    if name == "y_pred" and "cutoff" in rows.data:
        table["cutoff"] = rows.data[["cutoff"]].iloc[:, 0].array
    if (again := table.duplicated()).any():
        advice = "" if rows.ids is not None else "; name the columns of ids and times with id_col= and time_col="
        got = _place(rows, again.argmax()) + advice
        raise ValueError(f"{name} must have one row for each series and time. Got several for {got}.")
    where = {column: i for i, column in enumerate(rows.data.columns)}
    if missing := [column for column in columns if column not in where]:
        advice = "forecast with quantiles= or level=" if name == "y_pred" else "name targets with target_cols="
        raise ValueError(f"The following columns are missing: {missing}. {name} has {list(where)}; {advice}.")
    data = rows.data.iloc[:, [where[column] for column in columns]]
    single = bool((data.dtypes == np.float32).all())
    values = _floats(numbers_of(data, name).astype(np.float32 if single else np.float64), name)
    table = table.loc[table.index.repeat(n_targets)].reset_index(drop=True)
    table["column"] = np.tile(np.arange(n_targets), len(data))
    return table.join(pd.DataFrame(values.reshape(len(table), -1)))


def _check_found(absent: NDArray[np.intp], truth: Rows, forecast: Rows) -> None:
    if len(absent):
        ids = "" if truth.ids is None else f" and its first series are {truth.ids.unique()[:3].tolist()}"
        raise ValueError(
            f"y_true must have a row for each row of y_pred, of the same series and time. {len(absent)} of "
            f"{len(forecast.times)} have none, the first is {_place(forecast, absent[0])}. y_true ends at "
            f"{shown(truth.times.max())}{ids}."
        )


def _place(rows: Rows, row: Any) -> str:
    return ("" if rows.ids is None else f"series {quoted(rows.ids[row])} at ") + shown(rows.times[row])


def _names(starts: Any, ids: pd.Index[Any], targets: list[Any]) -> pd.Index[Any]:
    """Name series by id and cutoff, and by column where that is needed."""
    names = [] if ids[0] is None else [ids.take(starts["id"])]
    names += [pd.Index(starts["cutoff"])] if "cutoff" in starts else []
    if len(targets) > 1 or not names:
        names.append(pd.Index(targets, tupleize_cols=False).take(starts["column"]))
    return names[0] if len(names) == 1 else pd.MultiIndex.from_arrays(names)


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
    upper = {as_text(1 - quantile): values for quantile, values in quantiles.items() if quantile > 0.5}
    for quantile, low in sorted(quantiles.items(), reverse=True):  # the narrow bands first
        if (high := upper.get(as_text(quantile))) is not None:
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
