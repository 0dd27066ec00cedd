"""Forecasts back into the form that the series came in: future times, columns of quantiles and of bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsformer.data.frames import Form, Layout, SeriesSet
from tsformer.data.frequency import Floats, time_range


class Forecast(NamedTuple):
    """Point forecasts (n_windows, H), and the same for each quantile."""

    point: Floats
    quantiles: dict[float, Floats]

    def in_parts(self, n: int) -> list[Forecast]:
        """Cut into n forecasts of as many windows each."""
        points = np.split(self.point, n)
        bands = {quantile: np.split(values, n) for quantile, values in self.quantiles.items()}
        return [Forecast(point, {q: parts[i] for q, parts in bands.items()}) for i, point in enumerate(points)]


def asked_of(
    quantiles: Sequence[float] | None, level: Sequence[float] | float | None
) -> tuple[list[float], list[float] | None]:
    """Return the quantiles to forecast, and the levels to write them as, if any."""
    if quantiles is not None and level is not None:
        raise ValueError("Pass quantiles or level, not both. A level of 90 is the quantiles 0.05 and 0.95.")
    if level is not None:
        levels = numbers_in(level, "level", [80, 95])
        return quantiles_of(levels), levels
    wanted = [] if quantiles is None else numbers_in(quantiles, "quantiles", [0.1, 0.9])
    if any(not 0 < value < 1 for value in wanted):
        raise ValueError(
            f"quantiles must lie between 0 and 1, both excluded. Got {quantiles}; a quantile of 10 % is 0.1."
        )
    return wanted, None


def future_times(series: SeriesSet, horizon: int) -> list[pd.Index[Any]]:
    """Return the `horizon` times after the last of each series, typed and named as its own."""
    ends = {times[-1]: times for times in series.times}  # most series end together: count on from each end once
    after = {end: time_range(end, horizon + 1, series.freq, times)[1:] for end, times in ends.items()}
    return [after[times[-1]] for times in series.times]


def numbers_in(asked: Any, name: str, example: Sequence[float]) -> list[float]:
    """Return one number or several, levels or quantiles, as a list."""
    try:
        return [float(number) for number in np.atleast_1d(asked)]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be a number or a list of them, such as {example}. Got {asked!r}.") from error


def quantiles_of(level: Sequence[float]) -> list[float]:
    """Return the quantiles, ascending, that bound the central intervals of `level` percent: [90] has .05 and .95."""
    return sorted({quantile for percent in level for quantile in _bounds(percent)})


def _bounds(percent: float) -> tuple[float, float]:
    if not 1 <= percent < 100:
        raise ValueError(f"A level must be a percentage in the range [1, 100), such as 90. Got {percent!r} instead.")
    return (100 - percent) / 200, (100 + percent) / 200


def written(series: SeriesSet, forecast: Forecast, levels: list[float] | None = None) -> pd.Series[Any] | pd.DataFrame:
    """Put the forecasts of what follows each series into the form that the series came in."""
    times = future_times(series, forecast.point.shape[1])
    bands = {quantile: by_series(values, series) for quantile, values in forecast.quantiles.items()}
    return write_forecast(series, times, by_series(forecast.point, series), bands or None, levels)


def by_series(units: Floats, series: SeriesSet) -> list[Floats]:
    """Forecasts of units (n_series * n_channels, H) as a list of (H, n_channels)."""
    return list(units.reshape(len(series), -1, units.shape[1]).swapaxes(1, 2))


def cutoffs(series: SeriesSet, horizon: int) -> pd.Index[Any]:
    """The last time of each series, for each row of its forecast."""
    ends = [times[-1:].repeat(horizon) for times in series.times]
    return ends[0].append(ends[1:])


def write_forecast(
    series: SeriesSet,
    times: Sequence[pd.Index[Any]],
    point: Sequence[Floats],
    quantiles: Mapping[float, Sequence[Floats]] | None = None,
    level: Sequence[float] | None = None,
) -> pd.Series[Any] | pd.DataFrame:
    """Write forecasts in the form that the series came in, by series, then time.

    Parameters
    ----------
    series : SeriesSet
        The series that were forecast.
    times : list of Index of length horizon_i
        The times forecast.
    point : list of ndarray of shape (horizon_i, n_channels)
        The point forecasts.
    quantiles : dict from float to list of ndarray of shape (horizon_i, n_channels), optional
        The quantiles to write or, when there is `level`, to take its intervals from.
    level : sequence of float, optional
        The central intervals to write, in percent; `quantiles` then holds `quantiles_of(level)`.

    Returns
    -------
    Series or DataFrame
        The point forecast stands in the columns of the targets. In a long frame it is followed by `y-q0.1` for a
        quantile, `y-lo-90` and `y-hi-90` for a level. In other frames, quantiles come instead of it, in columns
        (column, 0.1); levels with it, in columns (column, "point"), (column, "lo-90"), (column, "hi-90"). A Series
        becomes a DataFrame with the columns 0.1, or "point", "lo-90", "hi-90".
    """
    form = series.form
    labels, forecasts = zip(*_labelled(point, quantiles or {}, level, form.layout), strict=True)
    values = np.stack([np.concatenate(list(parts)) for parts in forecasts], axis=-1)  # (rows, channels, labels)
    frame = pd.DataFrame(values.reshape(len(values), -1), columns=_forecast_columns(form, labels))
    time = times[0].append(list(times[1:])) if len(times) > 1 else times[0]  # a single index keeps its freq
    ids = series.ids.repeat([len(part) for part in times])
    if form.layout == "long":
        frame.insert(0, form.time_col, time)
        if series.ids[0] is not None:
            frame.insert(0, form.id_col, ids)
        return frame
    frame.index = pd.MultiIndex.from_arrays([ids, time]) if form.layout == "panel" else time
    return frame.iloc[:, 0] if form.is_series and labels == (None,) else frame


def _labelled(
    point: Sequence[Floats], quantiles: Mapping[float, Sequence[Floats]], level: Sequence[float] | None, layout: Layout
) -> list[tuple[Any, Sequence[Floats]]]:
    """What is written for each channel, with its label; None labels the plain target."""
    is_long = layout == "long"
    if level is not None:
        labelled: list[tuple[Any, Sequence[Floats]]] = [(None if is_long else "point", point)]
        for percent in level:
            low, high = _bounds(percent)
            labelled += [(f"lo-{percent:g}", quantiles[low]), (f"hi-{percent:g}", quantiles[high])]
        return labelled
    if is_long:
        return [(None, point), *((f"q{quantile:g}", values) for quantile, values in quantiles.items())]
    return list(quantiles.items()) or [(None, point)]


def _forecast_columns(form: Form, labels: Sequence[Any]) -> pd.Index[Any]:
    if form.layout == "long":
        return pd.Index([name if label is None else f"{name}-{label}" for name in form.columns for label in labels])
    if labels == (None,):
        return form.columns
    if form.is_series:
        return pd.Index(labels)
    parts = [name if isinstance(name, tuple) else (name,) for name in form.columns]
    columns = [(*part, label) for part in parts for label in labels]
    return pd.MultiIndex.from_tuples(columns, names=[*form.columns.names, None])
