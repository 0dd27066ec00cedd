"""Forecasts back into the form that the series came in: future times, columns of quantiles and of bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsformer.data.forecast_columns import as_text, check_quantiles, forecast_columns, labels_of, quantiles_of
from tsformer.data.frames import SeriesSet
from tsformer.data.frequency import time_before, time_range
from tsformer.data.messages import shown
from tsformer.data.rows import Floats, instants


class Forecast(NamedTuple):
    """Point forecasts (n_windows, H), and the same for each quantile."""

    point: Floats
    quantiles: dict[float, Floats]

    def in_parts(self, n: int) -> list[Forecast]:
        """Cut into n forecasts of as many windows each."""
        points = np.split(self.point, n)
        bands = {quantile: np.split(values, n) for quantile, values in self.quantiles.items()}
        return [Forecast(point, {q: parts[i] for q, parts in bands.items()}) for i, point in enumerate(points)]


def requested_quantiles(
    quantiles: Sequence[float] | None, level: Sequence[float] | float | None
) -> tuple[list[float], list[float] | None]:
    """Return the quantiles to forecast, and the levels to write them as, if any."""
    if quantiles is not None and level is not None:
        raise ValueError("Pass quantiles or level, not both. A level of 90 is the quantiles 0.05 and 0.95.")
    name, asked, example = ("quantiles", quantiles, [0.1, 0.9]) if level is None else ("level", level, [80, 95])
    try:
        numbers = [] if asked is None else [float(number) for number in np.atleast_1d(asked)]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be a number or a list of them, such as {example}. Got {asked!r}.") from error
    numbers = list({as_text(number): number for number in numbers}.values())  # each column once
    if level is not None:
        return quantiles_of(numbers), numbers
    check_quantiles(numbers, quantiles)
    return numbers, None


def future_times(series: SeriesSet, horizon: int) -> list[pd.Index[Any]]:
    """Return the `horizon` times after the last of each series, typed and named as its own."""
    # Counted on once for all series that end alike: a year of months shows whether on the 30th or at the end of each.
    ends = [instants(times[-13:]).tobytes() for times in series.times]
    likes = dict(zip(ends, series.times, strict=True))
    try:
        after = {end: time_range(like[-1], horizon + 1, series.freq, like)[1:] for end, like in likes.items()}
    except pd.errors.OutOfBoundsDatetime as error:
        raise ValueError(
            f"The forecast reaches beyond the last time that the type of the times holds: {horizon} steps from "
            f"{shown(max(times[-1] for times in series.times))} on. Give times in a longer unit, by as_unit('s')."
        ) from error
    return [after[end] for end in ends]


def past_frame(series: SeriesSet, n_left: int, forecast: Forecast, level: list[float] | None = None) -> pd.DataFrame:
    """Write forecasts of the window before the last n time points of each series beside what came, with a "cutoff".

    Rows that a series does not have, as it is shorter, are left out; their others are missing.
    """
    horizon = forecast.point.shape[1]
    begins = np.array([len(times) - n_left for times in series.times])
    lengths = (begins + horizon).clip(0, horizon)
    times = [index[max(begin, 0) :][:n] for index, begin, n in zip(series.times, begins, lengths, strict=True)]
    parts = zip(series.actual, begins, lengths, strict=True)
    actual = np.full((series.n_series, len(series.names), horizon), np.nan)
    for of_series, (rows, begin, n) in zip(actual, parts, strict=True):
        of_series[:, horizon - n :] = rows[max(begin, 0) :][:n].T
    frame = pd.DataFrame(to_frame(series, forecast, level, times=times, actual=actual.reshape(-1, horizon)))
    ends = [
        index[begin - 1 : begin] if begin > 0 else time_before(index, 1 - begin, series.freq)
        for index, begin in zip(series.times, begins, strict=True)
    ]
    return frame.assign(cutoff=ends[0].append(ends[1:]).repeat(lengths))


def to_frame(
    series: SeriesSet,
    forecast: Forecast,
    level: list[float] | None = None,
    *,
    times: list[pd.Index[Any]] | None = None,
    actual: Floats | None = None,
) -> pd.Series[Any] | pd.DataFrame:
    """Write forecasts of what follows each series in the form that the series came in, by series, then time.

    Forecasts may be of other `times`; where these are fewer they are those at the end.

    With `level`, central intervals in percent, the quantiles are `quantiles_of(level)`. The columns of the targets
    hold the point forecast. In a long frame it is followed by `y-q0.1` for a quantile, `y-lo-90` and `y-hi-90` for a
    level. In other frames, quantiles come instead of it, in columns (column, 0.1); levels with it, in columns (column,
    "point"), (column, "lo-90"), (column, "hi-90"). A Series becomes a DataFrame with the columns 0.1, or "point" etc.

    Values that were to be forecast, `actual` (n_windows, H), come last, as `y-actual` or "actual"; the point forecast
    is then always there, in other than long frames as "point".
    """
    form, horizon = series.form, forecast.point.shape[1]
    held: Any = {"point": forecast.point, "actual": actual, **forecast.quantiles}
    labels = labels_of(form.layout, list(forecast.quantiles), level, with_actual=actual is not None)
    values = (
        np.stack([held[what] for what in labels.values()], axis=-1)
        .reshape(series.n_series, -1, horizon, len(labels))
        .swapaxes(1, 2)
    )
    columns = forecast_columns(form.layout, form.is_series, form.columns, list(labels))
    own = [form.id_col, form.time_col] if form.layout == "long" else []
    if not columns.append(pd.Index(own, dtype=object)).is_unique:
        raise ValueError(f"The forecast would have columns of the same name: {[*own, *columns]}. Rename those of df.")
    times = future_times(series, horizon) if times is None else times
    lengths = np.array([len(index) for index in times])
    values = values[np.arange(horizon) >= horizon - lengths[:, None]]
    frame = pd.DataFrame(values.reshape(len(values), -1), columns=columns)
    ids = series.ids.repeat(lengths)
    time = times[0] if len(times) == 1 else times[0].append(times[1:])  # a single index keeps its freq
    if form.layout == "long":
        frame.insert(0, form.time_col, time)
        if series.ids[0] is not None:
            frame.insert(0, form.id_col, ids)
        return frame
    frame.index = pd.MultiIndex.from_arrays([ids, time]) if form.layout == "panel" else time
    return frame.iloc[:, 0] if form.is_series and list(labels) == [None] else frame
