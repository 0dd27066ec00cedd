"""What a backtest returned, read again: its frame in, a row for each step of each window out, and the histories."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsformer.data.forecast_columns import backtest_columns
from tsformer.data.frames import Columns, SeriesSet, read_series
from tsformer.data.messages import series_name, shown
from tsformer.data.rows import Floats, numbered, numbers_of, rows_of


class Points(NamedTuple):
    """The steps (N,) of all windows; a window is of one target of one series, and of one cutoff."""

    table: pd.DataFrame  # numbers of "series", "cutoff" and "window", the "step" from 1 on, "actual" and "point"
    quantiles: dict[float, Floats]  # (N,) each
    series: pd.Index[Any]  # by id, and by target where there are several
    cutoffs: pd.Index[Any]
    ids: pd.Index[Any]
    targets: list[Hashable]  # [None] of a Series


def read_backtest(frame: Any, id_col: Hashable, time_col: Hashable, target_cols: Any = None) -> Points:
    """Read a frame of any form in which a backtest comes, with all its targets or some."""
    rows = rows_of(frame, "backtest", id_col, time_col, only_order=True)
    columns = backtest_columns(rows)
    if target_cols is not None and None not in columns:  # a Series has one, whatever its name
        wanted = target_cols if isinstance(target_cols, list) else [target_cols]
        if not wanted or not set(wanted) <= set(columns):
            raise ValueError(f"target_cols must be among the targets of backtest, {list(columns)}. Got {wanted}.")
        columns = {target: columns[target] for target in wanted}
    targets, n_targets = list(columns), len(columns)
    codes, ids = numbered(rows.ids, len(rows.times))
    cutoff, cutoffs = pd.factorize(pd.Index(rows.data[["cutoff"]].iloc[:, 0]), sort=True)
    of_rows = {"cutoff": cutoff, "time": rows.times}
    table: Any = pd.DataFrame(of_rows).loc[np.arange(len(codes)).repeat(n_targets)].reset_index(drop=True)
    table["series"] = (codes[:, None] * n_targets + np.arange(n_targets)).ravel()
    if (again := table.duplicated(["series", "cutoff", "time"])).any():
        raise ValueError(
            "backtest must have one row for each series, cutoff and time. Got several for "
            f"{shown(table['time'][again.argmax()])}; if it holds several series, name their ids with id_col=."
        )
    windows = table.groupby(["series", "cutoff"], sort=False)
    table["window"], table["step"] = windows.ngroup(), windows["time"].rank().astype(int)
    where = {column: i for i, column in enumerate(rows.data.columns)}
    values = {
        label: numbers_of(rows.data.iloc[:, [where[columns[target][label]] for target in targets]], "backtest").ravel()
        for label in columns[targets[0]]
    }
    table["actual"], table["point"] = values.pop("actual"), values.pop("point")
    return Points(table, values, _names(ids, targets), cutoffs, ids, targets)


def histories_of(
    points: Points, df: Any, columns: tuple[Hashable, Hashable], *, freq: Any = None, fill: Any = None
) -> tuple[list[Floats], SeriesSet]:
    """Return the values of each window up to its cutoff, from the frame that was forecast, and its series."""
    if isinstance(df, pd.DataFrame) and points.targets != [None]:
        if missing := [target for target in points.targets if target not in df.columns]:
            raise ValueError(f"df must be the frame that backtest was given. It lacks the targets {missing}.")
        df = df[[name for name in df.columns if name in {*columns, *points.targets}]]
    targets = None if points.targets == [None] else points.targets
    series = read_series(df, Columns(*columns, targets), freq=freq, fill=fill, may_be_empty=True)
    if len(series.names) != len(points.targets):
        raise ValueError(f"df must be the frame that backtest was given. Got the targets {series.names}.")
    windows = points.table.assign(known=points.table["point"].notna())
    first = windows.groupby("window", sort=True).agg({"series": "first", "cutoff": "first", "known": "any"})
    return [_history(points, series, *window) for window in first.itertuples(index=False)], series


def _history(points: Points, series: SeriesSet, number: int, cutoff: int, is_forecast: bool) -> Floats:
    code, target = divmod(number, len(points.targets))
    id, time = points.ids[code], points.cutoffs[[cutoff]]
    place = int(series.ids.get_indexer(points.ids[[code]])[0])
    last = -1 if place < 0 else int(series.times[place].get_indexer(time)[0])
    if last < 0 and is_forecast:
        what = "is not in df" if place < 0 else f"has no row for the cutoff {shown(time[0])} in df"
        raise ValueError(f"{series_name(id)} {what}. Pass the frame that backtest was given, histories and all.")
    return series.actual[place][: last + 1, target]


def _names(ids: pd.Index[Any], targets: Sequence[Any]) -> pd.Index[Any]:
    of_targets = pd.Index(targets, tupleize_cols=False)
    if ids[0] is None:
        return of_targets if targets != [None] else pd.Index(["all"])
    if len(targets) == 1:
        return ids
    return pd.MultiIndex.from_arrays([ids.repeat(len(targets)), np.tile(of_targets, len(ids))])
