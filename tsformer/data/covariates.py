"""What goes along with the targets: covariates of history and ahead, static ones, calendar and holidays, all scaled."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from tsformer.data.forecasts import future_times
from tsformer.data.frames import SeriesSet
from tsformer.data.frequency import Frequency, check_same_kind
from tsformer.data.holidays import DAYS_AROUND, holiday_features
from tsformer.data.messages import listed, quoted, series_name, shown, warn_user
from tsformer.data.rows import Floats, Rows, check_ids_alike, instants, numbers_of, rows_of
from tsformer.data.seasons import step_of
from tsformer.layers.scaling import in_units, relative_rounding

Scale = tuple[Floats, Floats]  # mean and standard deviation of each column, infinite of one that does not vary

FARTHEST = 1e4  # standard deviations; farther values would drown all others
ROUNDED = 1e-6  # part of the level of a column by which rounding to float32 may change it


@dataclass(frozen=True)
class CovariateScaler:
    """Brings covariates to mean 0 and standard deviation 1 over the history; static ones count as known ahead.

    With `calendar`, so do season, weekday and hour; with `holidays`, those of these places.
    """

    calendar: bool
    past: Scale
    future: Scale
    holidays: tuple[str, ...] = ()

    @classmethod
    def fit(cls, series: SeriesSet, *, calendar: bool, holidays: tuple[str, ...] = ()) -> CovariateScaler:
        """Take the statistics of the observed values."""
        past, future, static = series.form.covariates
        scale = _scale_of(_known_ahead(series, [], 0, calendar, holidays), future)
        scale_of_past = _scale_of(series.past, past)
        static = static if series.n_series > 1 else []  # of one series nobody expects an effect
        _warn_of_constants([*past, *future, *static], [*scale_of_past[1], *scale[1]])
        if calendar and not _n_cycles(series.freq):
            warn_user(
                "calendar=True has no effect: steps of years change neither month nor day nor hour. Leave it out."
            )
        if holidays and np.isinf(scale[1][-len(DAYS_AROUND) * len(holidays) :]).all():
            warn_user(f"No holiday of {', '.join(holidays)} lies within the histories, so holidays= has no effect.")
        return cls(calendar, scale_of_past, scale, holidays)

    @property
    def n_past(self) -> int:
        """Number of past columns."""
        return len(self.past[0])

    @property
    def n_future(self) -> int:
        """Number of columns that are known ahead."""
        return len(self.future[0])

    def apply(
        self, series: SeriesSet, rows: Sequence[Floats] = (), *, horizon: int = 0, reach: int = 0
    ) -> tuple[list[Floats], list[Floats]]:
        """Return past covariates, and those known ahead with the horizon, of each series, scaled.

        `rows` holds what `read_future` read of the horizon. Static covariates, calendar and holidays come for `reach`
        time points after the end, if that is more; columns that are not known there are NaN.
        """
        reach = max(horizon, reach if self.calendar or self.holidays or series.static.shape[1] else 0)
        ahead = _known_ahead(series, rows, reach, self.calendar, self.holidays)
        past_names, future_names, static_names = series.form.covariates
        _warn_of_news(series.past, self.past, past_names)
        _warn_of_news(ahead, self.future, [*future_names, *static_names])
        return _scaled(series.past, self.past), _scaled(ahead, self.future)


def _known_ahead(
    series: SeriesSet, rows: Sequence[Floats], reach: int, calendar: bool, holidays: tuple[str, ...]
) -> list[Floats]:
    """Future columns, static ones, calendar and holidays for each series and `reach` time points more."""
    dates = _dates_of(series, reach, calendar, holidays) if calendar or holidays else None
    joined = []
    for i, known in enumerate(series.future):
        n_times = len(known) + reach
        parts = [known, *rows[i : i + 1]]
        parts = [np.concatenate([*parts, np.full((n_times - sum(map(len, parts)), known.shape[1]), np.nan)])]
        parts.append(np.tile(series.static[i], (n_times, 1)))
        joined.append(np.hstack(parts if dates is None else [*parts, dates[i]]))
    return joined


def _dates_of(series: SeriesSet, reach: int, calendar: bool, holidays: tuple[str, ...]) -> list[Floats]:
    """What dates tell of each series and `reach` time points more, computed once for series of the same times."""
    features: dict[Any, Floats] = {}
    spans = [(times[0], len(times)) for times in series.times]
    after = future_times(series, reach) if reach else [times[:0] for times in series.times]
    for span, times, more in zip(spans, series.times, after, strict=True):
        if span not in features:
            both = times.append(more)
            parts = [calendar_features(both, series.freq)] if calendar else []
            parts += [holiday_features(both, series.freq, holidays)] if holidays else []
            features[span] = np.hstack(parts)
    return [features[span] for span in spans]


def _scale_of(matrices: list[Floats], names: list[Hashable]) -> Scale:
    """Mean and std of each column; `names` are those of the first columns, in which all may be missing."""
    rows = np.concatenate(matrices)
    if len(unobserved := np.flatnonzero(np.isnan(rows).all(axis=0))):
        raise ValueError(f"A covariate must have a value. Column {quoted(names[unobserved[0]])} has only NaN; drop it.")
    values = torch.from_numpy(np.nan_to_num(rows))
    unit = in_units(values, (0,))[1].numpy()[0]
    mean, std = np.nanmean(rows / unit, axis=0), np.nanstd(rows / unit, axis=0)
    varies = std > relative_rounding(values, (0,)).numpy()[0] * np.abs(mean)
    return mean * unit, np.where(varies, std * unit, np.inf)


def _warn_of_constants(names: list[Hashable], stds: list[float]) -> None:
    """Warn of columns, the first ones, that do not vary."""
    if still := [name for name, std in zip(names, stds, strict=False) if np.isinf(std)]:
        warn_user(
            f"The covariates {still} do not vary in the training series, so they have no effect. Give series in which "
            "they vary, or leave them out."
        )


def _scaled(matrices: list[Floats], scale: Scale) -> list[Floats]:
    """Scale columns; one that did not vary in fit becomes 0."""
    mean, std = scale
    with np.errstate(over="ignore"):  # what is infinite is cut too
        return [np.clip((x - mean) / std, -FARTHEST, FARTHEST) for x in matrices]


def _warn_of_news(matrices: list[Floats], scale: Scale, names: list[Hashable]) -> None:
    """Warn of columns that vary now, and did not in fit."""
    for i in np.flatnonzero(np.isinf(scale[1][: len(names)])):
        level = scale[0][i]
        if any((np.abs(x[:, i] / 2 - level / 2) > ROUNDED * np.abs(level)).any() for x in matrices):
            warn_user(
                f"The covariate {quoted(names[i])} did not vary in fit, so what it does now has no effect. Fit with "
                "rows in which it varies."
            )


def check_known_ahead(series: SeriesSet, n: int) -> None:
    """Raise a ValueError where a future covariate is missing in the last n time points of a series.

    Time points without any target, as those of absent rows, have nothing to be scored by: there it may be.
    """
    there = [np.flatnonzero(~np.isnan(rows[-n:]).all(axis=1)) for rows in series.unfilled]
    known = [rows[-n:][kept] for rows, kept in zip(series.future, there, strict=True)]
    _check_finite(known, [times[-n:][kept] for times, kept in zip(series.times, there, strict=True)], series, "df")


def read_future(frame: Any, series: SeriesSet, horizon: int) -> list[Floats]:
    """Read the rows of the horizon: future covariates (horizon, n_columns) of each series.

    The frame may have any form that `read_series` reads, and more columns, series and times than are needed; without
    ids its rows go with all series.
    """
    columns = series.form.covariates[1]
    if not columns:
        if frame is None:
            return []
        raise ValueError("future= takes rows of future_cols, of which the forecaster has none. Name them there.")
    example = f"pass its rows ahead, with the columns {columns}, as future="
    if frame is None:
        raise ValueError(f"The forecaster has future_cols, which must be known for the horizon; {example}.")
    rows = rows_of(frame, "future", series.form.id_col, series.form.time_col)
    if missing := [name for name in columns if name not in rows.data.columns]:
        raise ValueError(f"The following columns of future are missing: {missing}; {example}.")
    values = numbers_of(rows.data[columns], "covariate")
    times = future_times(series, horizon)
    check_same_kind(rows.times, times[0], "future")
    codes, needed = np.repeat(np.arange(len(times)), horizon), times[0].append(times[1:])
    row = _row_of_each(codes, needed, rows, series)
    if (row < 0).any():
        absent, its_times = codes[row < 0], needed[row < 0]
        others = len(np.unique(absent)) - 1
        more = f"; {others} more series lack rows" if others else ""
        raise ValueError(
            f"future must have a row for each time of the horizon. {series_name(series.ids[absent[0]])} has none for "
            f"{listed(its_times[absent == absent[0]])}{more}. Pass such rows in future=."
        )
    ahead = np.split(values[row], len(times))
    _check_finite(ahead, times, series, "future")
    return ahead


def _check_finite(parts: list[Floats], times: list[pd.Index[Any]], series: SeriesSet, name: str) -> None:
    for id, rows, index in zip(series.ids, parts, times, strict=True):
        if len(bad := np.argwhere(~np.isfinite(rows))):
            column = quoted(series.form.covariates[1][bad[0, 1]])
            raise ValueError(
                f"{name} contains NaN or infinity in column {column}, which must be known ahead: {series_name(id)} at "
                f"{shown(index[bad[0, 0]])}. Fill it."
            )


def _row_of_each(codes: NDArray[np.intp], times: pd.Index[Any], rows: Rows, series: SeriesSet) -> NDArray[np.intp]:
    """The row of the frame for each series and time, -1 where there is none."""
    offered = pd.DataFrame({"time": _key(rows.times), "row": np.arange(len(rows.times))})
    if rows.ids is not None:
        if series.ids[0] is None:
            raise ValueError(f"future has ids ({quoted(rows.ids.name)}) but df is one series without. Drop the ids.")
        check_ids_alike(rows.ids.unique(), series.ids, "future")
        offered["series"] = series.ids.get_indexer(rows.ids)
        offered = offered[offered["series"] >= 0]
    keys = ["time"] if rows.ids is None else ["series", "time"]
    if len(again := offered["row"][offered.duplicated(keys)].to_numpy()):
        whose = "" if rows.ids is None else f"{series_name(rows.ids[again[0]])} at "
        raise ValueError(
            f"future has duplicate times: {whose}{shown(rows.times[again[0]])}. Keep one row for each; rows of several "
            f"series need their ids, in column {quoted(series.form.id_col)}."
        )
    needed = pd.DataFrame({"series": codes, "time": _key(times)})
    return needed.merge(offered, how="left", on=keys)["row"].fillna(-1).to_numpy(dtype=np.intp)


def _key(times: pd.Index[Any]) -> Any:
    # Timestamps of different units can be compared; periods are found many times faster as integers.
    return times if isinstance(times, pd.DatetimeIndex) else instants(times)


# How far times have come in each cycle, from 0 to 1.
_CYCLES: tuple[Callable[[Any], Any], ...] = (
    lambda times: (times.month.to_numpy() - 1) / 12,
    lambda times: times.dayofweek.to_numpy() / 7,
    lambda times: (times.hour.to_numpy() + times.minute.to_numpy() / 60) / 24,
)


def _n_cycles(freq: Frequency) -> int:
    """How many of _CYCLES steps pass through: all where they lie within a day."""
    unit, length = step_of(freq)
    if unit == "month":
        return 1 if length % 12 else 0
    if unit == "day":
        return 3 if length % 1 else 2 if length % 7 else 1
    return 2 if unit == "working week" else 3


def calendar_features(times: pd.Index[Any], freq: Frequency) -> Floats:
    """Return sine and cosine (T, 2 * n_cycles) of month, day of the week and hour, as far as `freq` makes them vary.

    `freq` alone decides on the columns, so that history and horizon have the same.
    """
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex):
        raise ValueError(f"Calendar features need a DatetimeIndex or PeriodIndex. Got times of {str(times.dtype)!r}.")
    angles = [2 * np.pi * turn(times) for turn in _CYCLES[: _n_cycles(freq)]]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=-1) if waves else np.empty((len(times), 0))
