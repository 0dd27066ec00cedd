"""Frames of series (Series, wide, long, MultiIndex) into arrays: one value a channel and time, regular in time."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from datetime import date
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data import frequency
from tsformer.data.frequency import Frequency
from tsformer.data.messages import in_column, quoted, series_name, shown, warn_user
from tsformer.data.rows import (
    Floats,
    Layout,
    Rows,
    SortedRows,
    check_ids_alike,
    numbered,
    numbers_of,
    plain_index,
    rows_of,
    sort_rows,
)

Fill = Literal["ffill", "interpolate"] | float | None

AHEAD = "if these are rows ahead, pass them to predict as future="

PER_SERIES = "times", "values", "past", "future", "filled"  # lists of a SeriesSet


class Columns(NamedTuple):
    """The names by which frames are read: parameters of the forecaster, each a name or a list of them."""

    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"
    target_cols: Any = None
    past_cols: Any = None
    future_cols: Any = None
    static_cols: Any = None

    @property
    def covariates(self) -> tuple[list[Hashable], list[Hashable], list[Hashable]]:
        """Past, future and static columns as lists."""
        return _as_list(self.past_cols), _as_list(self.future_cols), _as_list(self.static_cols)


def _as_list(names: Any) -> list[Hashable]:
    return [] if names is None else list(names) if isinstance(names, list) else [names]


class Form(NamedTuple):
    """How a frame was laid out: what it takes to write forecasts alike, and to read more of the same."""

    layout: Layout
    is_series: bool
    columns: pd.Index[Any]  # the targets, and the name they have together
    id_col: Hashable
    time_col: Hashable
    covariates: tuple[list[Hashable], list[Hashable], list[Hashable]]  # past, future and static columns

    @property
    def names(self) -> list[Hashable]:
        """All columns that are read: targets, then covariates."""
        return list(itertools.chain(self.columns, *self.covariates))

    def __str__(self) -> str:
        kind = "Series named" if self.is_series else f"{self.layout} DataFrame of the columns"
        index = "a (series, time) index" if self.layout == "panel" else "one index"
        return f"a {kind} {self.names[0] if self.is_series else self.names!r} with {index}"


class SeriesSet(NamedTuple):
    """Series of one frequency, each regular in time; starts and lengths may differ. NaN = missing."""

    ids: pd.Index[Any]  # named as they came; a single None where the frame has no ids
    times: list[pd.Index[Any]]  # of n_timepoints_i, named and typed as they came
    values: list[Floats]  # (n_timepoints_i, n_channels), filled by `fill`
    past: list[Floats]  # (n_timepoints_i, n_columns), covariates at these times
    future: list[Floats]
    static: Floats  # (n_series, n_columns)
    freq: Frequency
    form: Form
    fill: Fill
    filled: list[NDArray[np.bool_]]  # (n_timepoints_i, n_channels), which values were; empty where `fill` is None

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self.values)

    @property
    def names(self) -> list[Hashable]:
        """The target columns, one a channel."""
        return list(self.form.columns)

    @property
    def unfilled(self) -> list[Floats]:
        """The values before missing ones were filled."""
        if not self.filled:
            return self.values
        return [np.where(filled, np.nan, rows) for rows, filled in zip(self.values, self.filled, strict=True)]

    @property
    def actual(self) -> list[Floats]:
        """The values that forecasts are judged by: a number that stands for what is absent counts, a guess does not."""
        return self.unfilled if isinstance(self.fill, str) else self.values


def read_series(
    df: pd.Series[Any] | pd.DataFrame,
    columns: Columns,
    *,
    freq: str | int | pd.offsets.BaseOffset | None = None,
    fill: Fill = None,
    expected: Frequency | None = None,
    before: SeriesSet | None = None,
    may_be_empty: bool = False,
) -> SeriesSet:
    """Read one or many series with their covariates; NaN is a missing value.

    The frame shows its form: rows under a MultiIndex are (series, time); else a DataFrame with a column `time_col` is
    long, and holds one series if there is no `id_col`; all else is wide, with time in the index and a channel in each
    column. Rows may be in any order; series stay in that of their first rows. `target_cols` is by default "y" in a long
    frame, elsewhere all columns that are no covariates. Series of df may go on from those `before`. Each has a
    value in each target column unless it `may_be_empty`.

    With `freq`, the step of the times, absent times become missing values. None infers it and refuses gaps: it is
    `expected` if all series follow that, however few their times are, else that of the longest series. `fill` is put
    for missing targets after the first value of a series: the value before, the line between the values before and
    after (nothing after the last), or a number.
    """
    is_number = isinstance(fill, Real) and not isinstance(fill, bool) and np.isfinite(float(fill))
    if not (is_number or fill is None or fill in ("ffill", "interpolate")):
        raise ValueError(f"fill must be None, 'ffill', 'interpolate' or a finite number. Got {fill!r}.")
    rows = rows_of(df, "df", columns.id_col, columns.time_col)
    form = _form_of(df, rows, columns, before)
    ids, times, data = rows.ids, rows.times, rows.data
    matrix = numbers_of(data if form.is_series else data[list(form.columns)], "target")
    if covariates := form.names[len(form.columns) :]:
        matrix = np.hstack([matrix, numbers_of(data[covariates], "covariate")])
    if before is not None:
        _check_later(rows, before)
        ids, times, matrix = _joined(_end_of(before), rows, matrix)
    ordered = sort_rows(ids, times, matrix, form.names)
    if not may_be_empty:
        _check_observed(ordered, form, known=[] if before is None else before.ids)
    if expected is None:
        _warn_of_odd_ids(ordered.ids)
        _warn_of_times(df, form)
        if not isinstance(freq, Integral):
            frequency.check_counted(ordered.times)
    if freq is not None:
        step = frequency.checked_frequency(freq, times)
    elif before is not None:
        step = before.freq
    elif expected is not None and frequency.follows(ordered, expected):
        step = expected
    else:
        is_whole = rows.layout == "wide"
        step = frequency.common_frequency(ordered, getattr(rows.times, "freq", None) if is_whole else None)
    series = _series_of(ordered, step, form, fill, insert=freq is not None, fitted=expected is not None)
    return series if before is None else _in_place_of_end(before, series)


def _series_of(
    ordered: SortedRows, freq: Frequency, form: Form, fill: Fill, *, insert: bool, fitted: bool
) -> SeriesSet:
    """Cut sorted rows into regular series, and their columns by what they are."""
    static = _static_values(ordered, form)
    how = "Give these rows too, or call set_params(freq={freq})" if fitted else "Pass freq={freq}"
    remedy = f"{how} to insert absent times as missing values, and fill= to fill those."
    codes, matrix, times = frequency.make_regular(ordered, freq, insert=insert, remedy=remedy)
    ends = np.cumsum([len(form.columns), *map(len, form.covariates[:2])])
    unfilled, past, future, _ = np.split(matrix, ends, axis=1)
    values = _filled(unfilled, codes, fill)
    begins = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    filled = [] if fill is None else np.split(np.isnan(unfilled) & ~np.isnan(values), begins)
    parts = [np.split(part, begins) for part in (values, past, future)]
    return SeriesSet(ordered.ids, times, parts[0], parts[1], parts[2], static, freq, form, fill, filled)


def _warn_of_times(df: Any, form: Form) -> None:
    """Warn of a target that counts up beside others in a frame without an index of its own: they may be its times."""
    if form.layout != "wide" or len(form.columns) == 1 or not isinstance(df.index, pd.RangeIndex):
        return
    for name in form.columns:
        steps: Any = df[name].diff()[1:]
        is_whole = pd.api.types.is_integer_dtype(df[name])
        if is_whole and len(steps) > 1 and steps.iloc[0] > 0 and (steps == steps.iloc[0]).all():
            warn_user(
                f"Column {quoted(name)} counts up, and is read as a series. If it holds the times, name it: "
                f"time_col={name!r}; if it tells nothing, drop it."
            )


def _static_values(ordered: SortedRows, form: Form) -> Floats:
    """The one value that each series has in each static column."""
    names = form.covariates[2]
    columns = ordered.values[:, ordered.values.shape[1] - len(names) :]
    least, most = (extreme.reduceat(columns, ordered.starts, axis=0) for extreme in (np.fmin, np.fmax))
    for wrong, what in ((np.isnan(least), "no value"), (least != most, "several values")):
        if wrong.any():
            code, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"{series_name(ordered.ids[code])} has {what} in the static column {quoted(names[column])}. It must "
                "have one that does not change in time; name a column that does in past_cols= or future_cols=."
            )
    return least


def _form_of(df: Any, rows: Rows, columns: Columns, before: SeriesSet | None) -> Form:
    """Tell targets and covariates apart, or hold a frame to the form of the series it goes on from."""
    covariates, is_series = columns.covariates, isinstance(df, pd.Series)
    named, found = list(itertools.chain(*covariates)), list[Hashable](rows.data.columns)
    targets: pd.Index[Any] = pd.Index([df.name]) if is_series else rows.data.columns
    if named or not is_series:
        wanted = _as_list(columns.target_cols)
        if not wanted:
            wanted = ["y"] if rows.layout == "long" else [name for name in found if name not in named]
        _check_columns(found, wanted, covariates, "" if rows.ids is not None else columns.id_col)
        targets = rows.data.columns[[found.index(name) for name in wanted]]
        _check_names(targets, rows.layout)
    form = Form(rows.layout, is_series, plain_index(targets), columns.id_col, columns.time_col, covariates)
    if before is None:
        return form
    fit, got = ((f.layout, f.is_series, f.covariates, len(f.columns), set(f.columns)) for f in (before.form, form))
    if fit != got:
        raise ValueError(f"df must come in the form that fit saw, {before.form}. Got {form}.")
    return before.form


def _check_names(targets: pd.Index[Any], layout: Layout) -> None:
    """Check that names of targets of several parts have as many each: quantiles add one to them."""
    n_parts = {len(name) if isinstance(name, tuple) else 0 for name in targets}
    if layout != "long" and len(n_parts) > 1:
        raise ValueError(
            f"The target columns of df must be all tuples of one length, or none. Got {list(targets)}; rename them, "
            "e.g. by df.columns.map(str)."
        )


def _check_columns(
    found: list[Any], targets: list[Any], by_kind: tuple[list[Any], list[Any], list[Any]], absent_ids: Hashable
) -> None:
    """Check that each column is there and has one use; `absent_ids` is the column of ids where there is none."""
    covariates = list(itertools.chain(*by_kind))
    if twice := [name for i, name in enumerate(covariates) if name in covariates[:i]]:
        where = "in more than one place of past_, future_, static_cols"
        raise ValueError(f"A column is a covariate of one kind. Got {twice} {where}.")
    if twice := [name for i, name in enumerate(targets) if name in targets[:i]]:
        raise ValueError(f"A column is one target. Got {twice} more than once in target_cols=.")
    missing = [name for name in [*targets, *covariates] if name not in found]
    if missing or not targets:
        are_ahead = set(by_kind[1]) & set(found) and set(found) <= set(covariates)
        remedy = "name the targets with target_cols=, and covariates with past_cols=, future_cols= and static_cols="
        raise ValueError(
            f"The following columns are missing: {missing or 'all targets'}. Beside ids and times df has {found}; "
            f"{AHEAD if are_ahead else remedy}."
        )
    if both := [name for name in targets if name in covariates]:
        raise ValueError(f"A column is a target or a covariate. Got {both} as both.")
    if further := [name for name in found if name not in targets and name not in covariates]:
        ids = f" If one of them holds ids, name it with id_col=: there is no {absent_ids!r}." if absent_ids else ""
        raise ValueError(
            f"df must hold targets and the covariates that are named. Got the further columns {further}: name further "
            f"targets in target_cols=, covariates in past_cols=, future_cols= or static_cols=, or drop them.{ids}"
        )


def _joined(before: SeriesSet, rows: Rows, matrix: Floats) -> tuple[pd.Index[Any] | None, pd.Index[Any], Floats]:
    """Put rows behind those of the series that they go on from: ids, times and values of all."""
    lengths = [len(times) for times in before.times]
    old = [np.concatenate(parts) for parts in (before.unfilled, before.past, before.future)]
    known = np.hstack([*old, before.static.repeat(lengths, axis=0)])
    ids = rows.ids
    if ids is not None:
        place = before.ids.get_indexer(ids)
        ids = before.ids[place] if (place >= 0).all() else ids  # of the type that fit saw
        ids = before.ids.repeat(lengths).append(ids).rename(before.ids.name)
    times = before.times[0].append([*before.times[1:], rows.times]).rename(before.times[0].name)
    return ids, times, np.concatenate([known, matrix])


def _end_of(series: SeriesSet) -> SeriesSet:
    """What later rows are read with: the last two time points, which show the step, and what fills go back to."""
    return last_part(series, 2)


def _in_place_of_end(before: SeriesSet, later: SeriesSet) -> SeriesSet:
    """Put series that were read with the end of those before, and new ones, in its place."""
    whole: Any = {}
    end = _end_of(before)
    for name in PER_SERIES:
        old, cut, new = (getattr(each, name) for each in (before, end, later))
        kept = [rows[: len(rows) - len(rest)] for rows, rest in zip(old, cut, strict=True)]
        join = _appended if name == "times" else _stacked
        whole[name] = [*map(join, kept, new), *new[len(kept) :]]
    return later._replace(**whole)


def _appended(times: pd.Index[Any], more: pd.Index[Any]) -> pd.Index[Any]:
    return times.append(more)


def _stacked(rows: Floats, more: Floats) -> Floats:
    return np.concatenate([rows, more])


def without_last(series: SeriesSet, n: int, *, short_whole: bool = False) -> SeriesSet:
    """Return series as they were known n time points before their ends: the short ones empty, or left whole."""
    is_short = [short_whole and len(rows) <= n for rows in series.values]
    cut = _shortened(series, [slice(None, None if short else -n) for short in is_short])
    if series.fill != "interpolate":
        return cut
    # By nothing that came later.
    lengths = [len(rows) for rows in cut.values]
    values = _filled(np.concatenate(cut.unfilled), np.repeat(np.arange(len(lengths)), lengths), series.fill)
    return cut._replace(values=np.split(values, np.cumsum(lengths)[:-1]))


def chosen(series: SeriesSet, kept: NDArray[np.bool_]) -> SeriesSet:
    """Return some series (n_series,) alone."""
    codes = np.flatnonzero(kept)
    lists: Any = {name: [part[code] for code in codes] for name in PER_SERIES if (part := getattr(series, name))}
    return series._replace(ids=series.ids[codes], static=series.static[codes], **lists)


def of_units(series: SeriesSet, units: Sequence[int]) -> tuple[SeriesSet, list[int]]:
    """Return the series and channels that some units are of, alone, and the numbers of the units among these."""
    codes, channels = np.divmod(np.asarray(units), len(series.names))
    kept_codes, code = np.unique(codes, return_inverse=True)
    kept, channel = np.unique(channels, return_inverse=True)
    cut = chosen(series, np.isin(np.arange(series.n_series), kept_codes))
    parts: Any = {name: [rows[:, kept] for rows in getattr(cut, name)] for name in ("values", "filled")}
    form = cut.form._replace(columns=cut.form.columns[kept])
    return cut._replace(form=form, **parts), (code * len(kept) + channel).tolist()


def are_longer(series: SeriesSet, n: int, needs: str, remedy: str) -> NDArray[np.bool_]:
    """Which series (n_series,) have more than n time points; a warning names others, an error says that none has."""
    lengths = np.array([len(rows) for rows in series.values])
    needed, short = f"{needs} more than {n} time points of a series.", np.flatnonzero(lengths <= n)
    if len(short) == len(lengths):
        name, longest = series_name(series.ids[int(lengths.argmax())]), lengths.max()
        raise ValueError(f"{needed} {name} has {longest}{', and none has more' if len(short) > 1 else ''}; {remedy}.")
    warn_of_left_out(series, lengths <= n, needed)
    return lengths > n


def warn_of_left_out(series: SeriesSet, left_out: NDArray[np.bool_], why: str) -> None:
    """Warn of series (n_series,) that are left out, if any."""
    if len(codes := np.flatnonzero(left_out)):
        some = ", ".join(f"{quoted(series.ids[code])} with {len(series.values[code])}" for code in codes[:3])
        more = f" and {len(codes) - 3} more" if len(codes) > 3 else ""
        warn_user(f"{why} {len(codes)} of {series.n_series} series are too short and left out: {some}{more}.")


def ends_of(series: SeriesSet) -> pd.Index[Any]:
    """The last time of each series."""
    ends = [times[-1:] for times in series.times]
    return ends[0].append(ends[1:])


def last_part(series: SeriesSet, n: int, *, to_fill: bool = True) -> SeriesSet:
    """Return the last n time points of each series, and `to_fill`, those before them that later fills go back to."""
    begins = [max(0, len(rows) - n) for rows in series.values]
    if to_fill and series.filled:
        begins = list(map(_last_seen, series.values, series.filled, begins))
    return _shortened(series, [slice(begin, None) for begin in begins])


def _last_seen(rows: Floats, filled: NDArray[np.bool_], begin: int) -> int:
    """The last time point up to `begin` from which on each channel, if it has one by then, has an observed value."""
    seen = ~(np.isnan(rows[: begin + 1]) | filled[: begin + 1])
    return min([begin, *(int(channel.nonzero()[0][-1]) for channel in seen.T if channel.any())])


def _shortened(series: SeriesSet, parts: list[slice]) -> SeriesSet:
    cut: Any = {
        name: [rows[part] for rows, part in zip(getattr(series, name), parts, strict=False)] for name in PER_SERIES
    }
    return series._replace(**cut)


def known_before_last(series: SeriesSet, n: int) -> list[Floats]:
    """Return the values of series as they were known n time points before their ends, then those that came."""
    before = without_last(series, n).values
    return [np.concatenate([rows, all_rows[-n:]]) for rows, all_rows in zip(before, series.values, strict=True)]


def _check_later(rows: Rows, series: SeriesSet) -> None:
    """Raise a ValueError where a row does not come after the last time of its series."""
    frequency.check_same_kind(rows.times, series.times[0], "df")
    if (rows.ids is None) != (series.ids[0] is None):
        raise ValueError(f"df must have ids, in column {quoted(series.form.id_col)}, if and only if that of fit had.")
    codes, ids = numbered(rows.ids, len(rows.times))
    check_ids_alike(ids, series.ids, "df")
    ends = {id: times[-1] for id, times in zip(series.ids, series.times, strict=True)}
    firsts = pd.Series(rows.times).groupby(codes).min()
    for id, first in zip(ids, firsts, strict=True):
        if id in ends and first <= ends[id]:
            raise ValueError(
                f"{series_name(id)} is known up to {shown(ends[id])}. Got a row for {shown(first)}; give update only "
                "rows that come after."
            )


def check_counts(series: SeriesSet) -> None:
    """Raise a ValueError where a value is negative or no whole number."""
    for id, values, times in zip(series.ids, series.values, series.times, strict=True):
        if len(wrong := np.argwhere((values < 0) | (values != np.round(values)) & ~np.isnan(values))):
            row, channel = wrong[0]
            raise ValueError(
                f"head='negative_binomial' takes counts. {series_name(id)} has {values[row, channel]:g} in column "
                f"{quoted(series.names[channel])} at {shown(times[row])}. Use head='quantile' for other numbers."
            )


def _check_observed(ordered: SortedRows, form: Form, known: Any) -> None:
    """Check that each series has a value in each target column, if it was not known before."""
    observed = ~np.isnan(ordered.values[:, : len(form.columns)])
    without = ~np.logical_or.reduceat(observed, ordered.starts, axis=0) & ~ordered.ids.isin(known)[:, None]
    if without.any():
        code, channel = np.argwhere(without)[0]
        remedy = AHEAD if form.covariates[1] and not observed.any() else "leave this one out"
        raise ValueError(
            f"{series_name(ordered.ids[code])} has no value{in_column(form.columns[channel])}, only NaN. "
            f"Each series must have at least one; {remedy}."
        )


def _warn_of_odd_ids(ids: pd.Index[Any]) -> None:
    """Warn of ids that forecasts can hold, but no file of `tsformer.save`."""
    kept = (str, int, float, tuple, date, Decimal, UUID, np.generic, type(None))
    is_odd = ids.inferred_type == "interval"
    odd = [id for id in ids if is_odd or not isinstance(id, kept)] if is_odd or ids.dtype == object else []
    if odd:
        kind = type(odd[0]).__name__
        warn_user(f"Ids of type {kind} cannot be saved by tsformer.save. Make them text, e.g. by astype(str).")


def _filled(values: Floats, codes: NDArray[np.intp], fill: Any) -> Floats:
    if fill is None:
        return values
    frame = pd.DataFrame(values)
    before = frame.groupby(codes).ffill()
    if fill == "ffill":
        return before.to_numpy()
    if fill == "interpolate":
        between = before.notna() & frame.groupby(codes).bfill().notna()
        return frame.where(~between, frame.interpolate()).to_numpy()
    return frame.where(frame.notna() | before.isna(), float(fill)).to_numpy()
