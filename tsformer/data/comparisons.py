"""What metrics compare, in one form: truth, forecasts and histories enter as arrays or frames, rows of series leave."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from sklearn.utils import check_array

from tsformer.data import frequency
from tsformer.data.forecast_columns import forecast_columns, quantile_label
from tsformer.data.messages import quoted, shown
from tsformer.data.rows import DATES, Rows, SortedRows, numbers_of, rows_of, sort_rows

KEY = ["id", "column", "time"]  # what frames are matched by

Floats = NDArray[np.floating[Any]]
Columns = tuple[Any, Any, Any]  # those of ids, of times, and of targets


class Comparison(NamedTuple):
    """Truth (n_series, horizon), forecasts (n_series, horizon, n_labels), histories, and how frames name the series."""

    truth: Floats
    forecasts: Floats
    histories: list[Floats] | None
    names: pd.Index[Any] | None = None


def read_comparison(
    y_true: Any,
    y_pred: Any,
    labels: list[Any],
    columns: Columns,
    y_train: Any = None,
    upper: Any = None,
    *,
    freq: Any = None,
    scaled: bool = False,
) -> Comparison:
    """Read frames or arrays; `labels` are [None] for the point forecast, quantiles, or what names the two bounds.

    Where errors are `scaled` histories are read too, those of frames in steps of `freq`, None for what times show.
    """
    given = [values for values in (y_true, y_pred, y_train) if values is not None]
    are_frames = {isinstance(values, pd.Series | pd.DataFrame) for values in given}
    if len(are_frames) > 1:
        raise TypeError(
            "y_true, y_pred and y_train must all be arrays, or all pandas Series or DataFrames, whose rows are matched "
            f"by series and time. Got {', '.join(type(values).__name__ for values in given)}."
        )
    if are_frames == {True}:
        return _from_frames(y_true, y_pred, labels, columns, y_train, freq=freq, scaled=scaled)
    forecasts = {"y_pred": y_pred} if upper is None else {"lower": y_pred, "upper": upper}
    return _from_arrays(y_true, forecasts, labels, y_train)


# Arrays


def _from_arrays(y_true: Any, forecasts: dict[str, Any], labels: list[Any], y_train: Any) -> Comparison:
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
    return Comparison(truth, joined, None if y_train is None else _histories(y_train, len(truth)))


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


def _from_frames(
    y_true: Any, y_pred: Any, labels: list[Any], columns: Columns, y_train: Any, *, freq: Any, scaled: bool
) -> Comparison:
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
    truth_rows, forecast_rows = (
        _long(rows[name], name, names, n, of_all) for name, names in (("y_true", targets), ("y_pred", keys))
    )
    cases: Any = forecast_rows.merge(truth_rows.rename(columns={0: "truth"}), "left", KEY, indicator="found")
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
    past, past_rows = rows["y_true"], truth_rows
    if scaled and y_train is not None:
        past, past_rows = rows["y_train"], _long(rows["y_train"], "y_train", targets, n, of_all)
    return Comparison(
        truth,
        forecasts.reshape(len(truth), len(labels), -1).swapaxes(1, 2),
        _histories_before(starts, past, past_rows, targets, of_all, freq) if scaled else None,
        _names(starts, of_all[0], targets),
    )


def _histories_before(
    starts: Any, rows: Rows, table: Any, targets: list[Any], of_all: tuple[pd.Index[Any], pd.Index[Any]], freq: Any
) -> list[Floats]:
    """Return the values of each series before each start, a step apart: an absent row would shift all lags."""
    first = table.iloc[:: len(targets)]
    is_past = (first["time"] < first["id"].map(starts.groupby("id")["time"].max())).to_numpy()
    if not is_past.any():
        return [np.empty(0)] * len(starts)
    values: Any = table[0].to_numpy().reshape(-1, len(targets))[is_past]
    ids = None if rows.ids is None else rows.ids[is_past]
    declared = getattr(rows.times, "freq", None) if rows.layout == "wide" else None
    ordered = sort_rows(ids, rows.times[is_past], values, targets)
    codes, values, times = _in_steps(ordered, freq, declared)
    values = np.split(values, np.flatnonzero(codes[1:] != codes[:-1]) + 1)
    places = [0] if ids is None else of_all[0].get_indexer(ordered.ids).tolist()
    where = dict(zip(places, zip(values, times, strict=True), strict=True))
    return [
        where[id][0][: where[id][1].searchsorted(of_all[1][time]), column] if id in where else np.empty(0)
        for id, column, time in starts[KEY].itertuples(index=False)
    ]


def _in_steps(ordered: SortedRows, freq: Any, declared: Any) -> tuple[NDArray[np.intp], Floats, list[pd.Index[Any]]]:
    """Make rows regular, or as they are where their times have an order alone or are too few to show a step."""
    has_steps = isinstance(ordered.times, DATES) or ordered.times.dtype.kind in "iu"
    if not has_steps and freq is not None:
        raise ValueError(f"freq is for times that are timestamps or integers. Got times of {ordered.times.dtype}.")
    if not has_steps or (freq is None and ordered.lengths.max() < 3):
        return ordered.codes, ordered.values, [ordered.times_of(code) for code in range(len(ordered.ids))]
    step = (
        frequency.common_frequency(ordered, declared)
        if freq is None
        else frequency.checked_frequency(freq, ordered.times)
    )
    remedy = "Pass freq={freq} to insert absent times as missing values."
    return frequency.make_regular(ordered, step, insert=freq is not None, remedy=remedy)


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
