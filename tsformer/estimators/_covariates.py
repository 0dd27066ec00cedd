"""Covariates of a forecaster: which there are, in what order, and how they are scaled."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data.covariates import calendar_features, read_covariates, read_static
from tsformer.data.forecasts import future_times
from tsformer.data.frames import SeriesSet

Frame = pd.Series | pd.DataFrame
Matrices = list[NDArray[np.float64]]


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
        past: Frame | None,
        future: Frame | None,
        static: Frame | None,
        *,
        calendar: bool,
    ) -> "Covariates":
        """Note the columns, and their means and deviations."""
        names = (
            None if past is None else read_covariates(past, series, name="past", times=series.times)[1],
            None if future is None else read_covariates(future, series, name="future", times=series.times)[1],
            None if static is None else read_static(static, series)[1],
        )
        raw = cls(*names, calendar, 0, 0, (None, None))
        arrays = raw.read(series, past, future, static, 0)
        n_past, n_future = (0 if matrices is None else matrices[0].shape[1] for matrices in arrays)
        return cls(*names, calendar, n_past, n_future, (_scale_of(arrays[0]), _scale_of(arrays[1])))

    def read(
        self,
        series: SeriesSet,
        past: Frame | None,
        future: Frame | None,
        static: Frame | None,
        horizon: int,
    ) -> tuple[Matrices | None, Matrices | None]:
        """Read and scale past covariates, and those known ahead with the horizon, for each series."""
        for name, columns, frame in (
            ("past", self.past, past),
            ("future", self.future, future),
            ("static", self.static, static),
        ):
            if (columns is None) != (frame is None):
                seen, came = ("without", "with") if columns is None else ("with", "without")
                raise ValueError(f"The forecaster was fitted {seen} {name} covariates. Got a call {came} {name}=.")
        times = series.times
        if horizon:
            times = [old.append(new) for old, new in zip(times, future_times(series, horizon), strict=True)]
        ahead: list[Matrices] = []
        if future is not None:
            ahead.append(read_covariates(future, series, name="future", times=times, columns=self.future)[0])
        if static is not None:
            rows = read_static(static, series, columns=self.static)[0]
            ahead.append([np.tile(row, (len(index), 1)) for row, index in zip(rows, times, strict=True)])
        if self.calendar:
            ahead.append([calendar_features(index, series.freq) for index in times])
        behind = None
        if past is not None:
            behind = read_covariates(past, series, name="past", times=series.times, columns=self.past)[0]
        joined = [np.hstack(parts) for parts in zip(*ahead, strict=True)] if ahead else None
        return _scaled(behind, self.scales[0]), _scaled(joined, self.scales[1])


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
