"""Covariates of a forecaster: which there are, in what order, and how they are scaled."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data.covariates import calendar_features, read_covariates, read_static
from tsformer.data.forecasts import future_times
from tsformer.data.frames import SeriesSet, append_rows, rows_of

Frame = pd.Series | pd.DataFrame
Matrices = list[NDArray[np.float64]]


class Given(NamedTuple):
    """The frames of covariates that a call was given."""

    past: Frame | None = None
    future: Frame | None = None
    static: Frame | None = None


def replace_rows(old: Frame | None, new: Frame | None, name: str, id_col: Hashable, time_col: Hashable) -> Frame | None:
    """Append the rows of `new` to `old`; they replace those of the same series and time.

    Rows that `new` has twice stay, for what reads them to refuse.
    """
    if old is None or new is None:
        return new if old is None else old
    joined = append_rows(old, new, name)
    if name == "static":
        in_column = isinstance(joined, pd.DataFrame) and id_col in joined.columns
        keys: pd.Index = pd.Index(joined[id_col]) if in_column else joined.index  # type: ignore[call-overload]
    else:
        rows = rows_of(joined, name, id_col, time_col)
        keys = rows.times if rows.ids is None else pd.MultiIndex.from_arrays([rows.ids, rows.times])
    replaced = keys[: len(old)].isin(keys[len(old) :])
    return joined[np.append(~replaced, np.ones(len(new), dtype=bool))]


@dataclass(frozen=True)
class Covariates:
    """Which covariates there are, and their scaling; static ones count as known ahead."""

    past: list[Hashable] | None
    future: list[Hashable] | None
    static: list[Hashable] | None
    calendar: bool
    n_past: int
    n_future: int
    scales: tuple[Any, Any]

    @classmethod
    def fit(
        cls,
        series: SeriesSet,
        given: Given,
        *,
        calendar: bool,
    ) -> "Covariates":
        """Note the columns, and their means and deviations."""
        past, future, static = given
        names = (
            None if past is None else read_covariates(past, series, name="past", times=series.times)[1],
            None if future is None else read_covariates(future, series, name="future", times=series.times)[1],
            None if static is None else read_static(static, series)[1],
        )
        raw = cls(*names, calendar, 0, 0, (None, None))
        arrays = raw.read(series, given, 0)
        n_past, n_future = (0 if matrices is None else matrices[0].shape[1] for matrices in arrays)
        return cls(*names, calendar, n_past, n_future, (_scale_of(arrays[0]), _scale_of(arrays[1])))

    def read(
        self, series: SeriesSet, given: Given, horizon: int, *, reach: int = 0
    ) -> tuple[Matrices | None, Matrices | None]:
        """Read and scale past covariates, and those known ahead with the horizon, for each series.

        Static covariates and the calendar come for `reach` time points after the end, if that is more; those that are
        not known there are NaN.
        """
        for name, columns, frame in zip(Given._fields, (self.past, self.future, self.static), given, strict=True):
            if (columns is None) != (frame is None):
                seen, came = ("without", "with") if columns is None else ("with", "without")
                raise ValueError(f"The forecaster was fitted {seen} {name} covariates. Got a call {came} {name}=.")
        past, future, static = given
        reach = max(horizon, reach if self.calendar or static is not None else 0)
        ahead: list[Matrices] = []
        if future is not None:
            times = _with_times_after(series, horizon)
            known = read_covariates(future, series, name="future", times=times, columns=self.future)[0]
            unknown = ((0, reach - horizon), (0, 0))
            ahead.append([np.pad(rows, unknown, constant_values=np.nan) for rows in known])
        if static is not None:
            each = read_static(static, series, columns=self.static)[0]
            ahead.append([np.tile(row, (len(index) + reach, 1)) for row, index in zip(each, series.times, strict=True)])
        if self.calendar:
            ahead.append([calendar_features(index, series.freq) for index in _with_times_after(series, reach)])
        behind = None
        if past is not None:
            behind = read_covariates(past, series, name="past", times=series.times, columns=self.past)[0]
        joined = [np.hstack(parts) for parts in zip(*ahead, strict=True)] if ahead else None
        return _scaled(behind, self.scales[0]), _scaled(joined, self.scales[1])


def _with_times_after(series: SeriesSet, n: int) -> list[pd.Index]:
    if not n:
        return series.times
    return [old.append(new) for old, new in zip(series.times, future_times(series, n), strict=True)]


def _scale_of(matrices: Matrices | None) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if matrices is None:
        return None
    rows = np.concatenate(matrices)
    std = rows.std(axis=0)
    return rows.mean(axis=0), np.where(std > 0, std, 1.0)


def _scaled(matrices: Matrices | None, scale: Any) -> Matrices | None:
    if matrices is None or scale is None:
        return matrices
    return [(rows - scale[0]) / scale[1] for rows in matrices]
