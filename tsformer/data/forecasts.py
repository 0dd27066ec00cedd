"""Forecasts back into the form that the series came in: future times, columns of quantiles and of bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsformer.data.frames import SeriesSet
from tsformer.data.frequency import time_range
from tsformer.data.messages import shown
from tsformer.data.rows import Floats, Layout


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
    if level is not None:
        return quantiles_of(numbers), numbers
    if all(0 < number < 1 for number in numbers):
        return numbers, None
    raise ValueError(f"quantiles must lie between 0 and 1, both excluded. Got {quantiles}; a quantile of 10 % is 0.1.")


def future_times(series: SeriesSet, horizon: int) -> list[pd.Index[Any]]:
    """Return the `horizon` times after the last of each series, typed and named as its own."""
    ends = {times[-1]: times for times in series.times}  # most series end together: count on from each end once
    try:
        after = {end: time_range(end, horizon + 1, series.freq, times)[1:] for end, times in ends.items()}
    except pd.errors.OutOfBoundsDatetime as error:
        raise ValueError(
            f"The forecast reaches beyond the last time that the type of the times holds: {horizon} steps from "
            f"{shown(max(ends))} on. Give times in a longer unit, by as_unit('s')."
        ) from error
    return [after[times[-1]] for times in series.times]


def quantiles_of(level: Sequence[float]) -> list[float]:
    """Return the quantiles, ascending, that bound the central intervals of `level` percent: [90] has .05 and .95."""
    return sorted({quantile for percent in level for quantile in _bounds(percent)})


def _bounds(percent: float) -> tuple[float, float]:
    if not 1 <= percent < 100:
        raise ValueError(f"A level must be a percentage in the range [1, 100), such as 90. Got {percent!r} instead.")
    return (100 - percent) / 200, (100 + percent) / 200


def cutoffs(series: SeriesSet, horizon: int) -> pd.Index[Any]:
    """The last time of each series, for each row of its forecast."""
    ends = [times[-1:].repeat(horizon) for times in series.times]
    return ends[0].append(ends[1:])


def to_frame(series: SeriesSet, forecast: Forecast, level: list[float] | None = None) -> pd.Series[Any] | pd.DataFrame:
    """Write forecasts of what follows each series in the form that the series came in, by series, then time.

    With `level`, central intervals in percent, the quantiles are `quantiles_of(level)`. The columns of the targets
    hold the point forecast. In a long frame it is followed by `y-q0.1` for a quantile, `y-lo-90` and `y-hi-90` for a
    level. In other frames, quantiles come instead of it, in columns (column, 0.1); levels with it, in columns (column,
    "point"), (column, "lo-90"), (column, "hi-90"). A Series becomes a DataFrame with the columns 0.1, or "point" etc.
    """
    form, horizon = series.form, forecast.point.shape[1]
    labels, forecasts = zip(*_labelled(forecast, level, form.layout), strict=True)
    values = np.stack(forecasts, axis=-1).reshape(series.n_series, -1, horizon, len(labels)).swapaxes(1, 2)
    columns = forecast_columns(form.layout, form.is_series, form.columns, labels)
    own = [form.id_col, form.time_col] if form.layout == "long" else []
    if not columns.append(pd.Index(own, dtype=object)).is_unique:
        raise ValueError(f"The forecast would have columns of the same name: {[*own, *columns]}. Rename those of df.")
    frame = pd.DataFrame(values.reshape(len(values) * horizon, -1), columns=columns)
    times, ids = future_times(series, horizon), series.ids.repeat(horizon)
    time = times[0] if len(times) == 1 else times[0].append(times[1:])  # a single index keeps its freq
    if form.layout == "long":
        frame.insert(0, form.time_col, time)
        if series.ids[0] is not None:
            frame.insert(0, form.id_col, ids)
        return frame
    frame.index = pd.MultiIndex.from_arrays([ids, time]) if form.layout == "panel" else time
    return frame.iloc[:, 0] if form.is_series and labels == (None,) else frame


def _labelled(forecast: Forecast, level: list[float] | None, layout: Layout) -> list[tuple[Any, Floats]]:
    """What is written for each channel, with its label; None labels the plain target."""
    point, quantiles = forecast
    is_long = layout == "long"
    if level is not None:
        bounds = [(f"{side}-{p:g}", q) for p in level for side, q in zip(("lo", "hi"), _bounds(p), strict=True)]
        return [(None if is_long else "point", point), *((label, quantiles[q]) for label, q in bounds)]
    if is_long:
        return [(None, point), *((f"q{quantile:g}", values) for quantile, values in quantiles.items())]
    return list(quantiles.items()) or [(None, point)]


def forecast_columns(layout: Layout, is_series: bool, targets: pd.Index[Any], labels: Sequence[Any]) -> pd.Index[Any]:
    """Name the columns of a forecast, those of the labels of a target side by side."""
    if layout == "long":
        return pd.Index([name if label is None else f"{name}-{label}" for name in targets for label in labels])
    if labels[0] is None:
        return targets
    if is_series:
        return pd.Index(labels)
    parts = [name if isinstance(name, tuple) else (name,) for name in targets]
    columns = [(*part, label) for part in parts for label in labels]
    return pd.MultiIndex.from_tuples(columns, names=[*targets.names, None])
