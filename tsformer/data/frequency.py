"""The frequency of series, found or checked; counted in steps of it, their times show gaps, which can be repaired."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset

from tsformer.data.messages import listed, series_name, shown
from tsformer.data.rows import DATES, Floats, SortedRows, instants

Frequency = int | pd.offsets.BaseOffset
ONE = np.zeros(1, dtype=np.intp)  # where a single series starts


def common_frequency(ordered: SortedRows, declared: Any) -> Frequency:
    """Return the frequency that the index declares, or that of the longest series; all are then held to it."""
    if declared is not None and declared.n > 0:
        return _simplified(declared)
    longest = int(ordered.lengths.argmax())
    times = ordered.times_of(longest)
    freq = _inferred(times) or _likely(times)
    if freq is not None:
        return freq
    if len(times) < 3:
        raise ValueError(
            f"The frequency cannot be inferred from fewer than 3 timestamps; the longest series has {len(times)}. "
            "Pass freq=, e.g. freq='D'."
        )
    raise ValueError(
        f"{series_name(ordered.ids[longest])} is irregular: no frequency fits {listed(times)}.{_way_out(times)} "
        f"Resample it, e.g. df.resample({_typical_step(times)!r}).mean(), or, if times are absent, pass freq=."
    )


def _typical_step(times: pd.Index[Any]) -> str:
    """Return the step that irregular times mostly take, in round numbers."""
    if not isinstance(times, pd.DatetimeIndex):
        return "D"
    seconds = float(pd.Series(times).diff().dt.total_seconds().median())
    if seconds >= 27 * 86_400:
        return "MS"
    units = {"D": 86_400, "h": 3_600, "min": 60, "s": 1}
    unit = next((unit for unit, length in units.items() if seconds >= length), "s")
    n = max(1, round(seconds / units[unit]))
    return unit if n == 1 else f"{n}{unit}"


def _way_out(times: pd.Index[Any]) -> str:
    """What makes irregular times regular, where they are of a kind that is often met."""
    if not isinstance(times, pd.DatetimeIndex) or len(times) < 3:
        return ""
    if times.tz is not None and len(steps := np.unique(np.diff(instants(times)))) == 1:
        hours = int(steps[0]) * pd.Timedelta(1, times.unit) / pd.Timedelta(hours=1)
        return f" They are {hours:g} hours apart over changes of the clocks: pass freq='{hours:g}h'."
    wall = times.tz_localize(None)
    if (alias := pd.infer_freq(days := wall.normalize())) is not None and (wall != days).any():
        return (
            f" Their days have freq={alias!r}: give the times as df.index.normalize(), or as a column dt.normalize()."
        )
    months, days_apart = np.diff(_months(times)), np.diff(days.to_julian_date())
    if len(np.unique(months)) == 1 and _is_one_day_of_months(wall, ONE).all():
        return f" They are on one day of each month: pass freq=pd.DateOffset(months={months[0]})."
    if 28 in days_apart and set(days_apart) <= {28, 35, 42}:
        return (
            " They are months of 4 and 5 weeks: number them, 0, 1, 2, ..., as the times, and pass season=12 to the "
            "forecaster."
        )
    return ""


def _months(times: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Number of the month of each time, on the clock on the wall."""
    return (12 * times.year + times.month).to_numpy(dtype=np.int64)


def check_counted(times: pd.Index[Any]) -> None:
    """Raise a ValueError where integers spell dates: they would be counted on to a 32nd of January."""
    if times.dtype.kind in "iu" and (way := _spelling(times.to_numpy())):
        raise ValueError(
            f"The times must be timestamps, or integers that count. Got dates as integers, such as {times[0]}; convert "
            f"them by {way}, or pass freq=1, or what their step is, if they do count."
        )


def _spelling(values: NDArray[Any]) -> str | None:
    """How to read integers that spell dates, None for others."""
    least, most = int(values.min()), int(values.max())
    for begin_of_year, is_part, is_sure, way in _SPELLINGS:
        first, last = least // begin_of_year, most // begin_of_year
        if first >= 1900 and last <= 2100 and (is_sure or first < last) and is_part(values % begin_of_year).all():
            return way
    for unit, factor in {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.items():
        if 631_152_000 * factor <= least and most <= 4_102_444_800 * factor:  # 1990 to 2100
            return f"pd.to_datetime(times, unit={unit!r})"
    return None


def _within(values: NDArray[Any], most: int) -> NDArray[np.bool_]:
    return (values >= 1) & (values <= most)


# What follows the year in integers that spell dates, and whether a single year of them shows that it is no count.
_SPELLINGS: tuple[tuple[int, Callable[[Any], Any], bool, str], ...] = (
    (
        10_000,
        lambda rest: _within(rest // 100, 12) & _within(rest % 100, 31),
        True,
        "pd.to_datetime(times, format='%Y%m%d')",
    ),
    (100, lambda rest: _within(rest, 12), True, "pd.to_datetime(times, format='%Y%m')"),
    (100, lambda rest: _within(rest, 53), False, "pd.to_datetime(times.astype(str) + '1', format='%G%V%u')"),
    (1_000, lambda rest: _within(rest, 366), False, "pd.to_datetime(times, format='%Y%j')"),
    (10, lambda rest: _within(rest, 4), False, "pd.PeriodIndex([f'{t // 10}Q{t % 10}' for t in times], freq='Q')"),
)


def _inferred(times: pd.Index[Any]) -> Frequency | None:
    """The frequency that all of the times follow; None where they follow none or are too few to show one."""
    if isinstance(times, pd.PeriodIndex):
        return times.freq
    if isinstance(times, pd.DatetimeIndex):
        alias = pd.infer_freq(times) if len(times) >= 3 else None
        return None if alias is None else to_offset(alias)
    steps = np.unique(np.diff(instants(times))) if len(times) > 1 else np.ones(1)
    return int(steps[0]) if len(steps) == 1 else None


def _likely(times: pd.Index[Any]) -> Frequency | None:
    """Return the frequency that most stretches of irregular times follow: by it the message tells where they stray."""
    # Stretches of five: among those of business days, only Monday to Friday look daily.
    length = 2 if not isinstance(times, pd.DatetimeIndex) else 5 if len(times) >= 10 else 3
    begins = np.linspace(0, max(0, len(times) - length), num=100, dtype=int)
    seen = Counter(_inferred(times[begin : begin + length]) for begin in np.unique(begins).tolist())
    del seen[None]
    return seen.most_common(1)[0][0] if seen else None


def checked_frequency(freq: Any, times: pd.Index[Any]) -> Frequency:
    """Return `freq` as an offset, or an int between integer times; ValueError where it does not suit the times."""
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex):
        if not isinstance(freq, Integral) or isinstance(freq, bool) or freq < 1:
            raise ValueError(f"The times are integers, so freq must be an int >= 1, e.g. freq=1. Got {freq!r}.")
        return int(freq)
    if not isinstance(freq, str | pd.offsets.BaseOffset):
        raise ValueError(f"The times are timestamps, so freq must be a pandas offset, e.g. freq='D'. Got {freq!r}.")
    if isinstance(times, pd.PeriodIndex):
        with suppress(ValueError):
            if (period := pd.PeriodDtype(freq)) == times.dtype:  # type: ignore[arg-type]
                return period.freq
        raise ValueError(f"freq must be that of the periods, {times.freqstr!r}; asfreq changes it. Got {freq!r}.")
    try:
        offset: Any = to_offset(freq)
    except ValueError as error:
        hint = re.search(r"Did you mean \w+\?|Please use '\w+' instead\.", str(error))
        way = f"; {hint[0][0].lower()}{hint[0][1:]}" if hint else "."
        raise ValueError(f"freq must be a pandas offset, e.g. 'D', 'MS' or 'W-MON'. Got {freq!r}{way}") from error
    offset = _simplified(offset)
    length = _length(offset, times)
    if offset.n < 1 or (length is not None and length % pd.Timedelta(1, times.unit)):
        raise ValueError(f"freq must be positive and no finer than the times, in {times.unit!r}. Got {freq!r}.")
    return offset


def _simplified(offset: Any) -> Any:
    """A DateOffset of weeks, days or less as days or a Tick, which is of one length; others as they are."""
    parts = dict(offset.kwds) if type(offset) is pd.DateOffset else {"months": 0}
    if not set(parts) <= {"weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds"}:
        return offset
    length = offset.n * pd.Timedelta(**(parts or {"days": 1}))
    return pd.offsets.Day(length.days) if length % pd.Timedelta(days=1) == pd.Timedelta(0) else to_offset(length)


def _length(freq: Any, times: pd.Index[Any]) -> pd.Timedelta | None:
    """How long a step lasts between timestamps; None where that varies: months, business days, days in a time zone."""
    if not isinstance(times, pd.DatetimeIndex):
        return None
    if isinstance(freq, pd.offsets.Day):  # before pandas 3 it is a Tick
        return pd.Timedelta(days=freq.n) if times.tz is None else None
    return pd.Timedelta(freq) if isinstance(freq, pd.offsets.Tick) else None


def are_of_one_kind(times: pd.Index[Any], like: pd.Index[Any]) -> bool:
    """Whether times can be compared."""
    if isinstance(times, pd.DatetimeIndex) and isinstance(like, pd.DatetimeIndex):
        return str(times.tz) == str(like.tz)
    return bool(times.dtype == like.dtype) or times.dtype.kind + like.dtype.kind in ("ii", "iu", "ui", "uu")


def check_same_kind(times: pd.Index[Any], like: pd.Index[Any], name: str) -> None:
    """Raise a ValueError where times of a frame cannot be compared with those of the targets."""
    if not are_of_one_kind(times, like):
        fit, got = str(like.dtype), str(times.dtype)
        raise ValueError(
            f"The times of {name} must be of the same kind as those that fit saw, {fit!r}. Got {got!r}; put such times "
            "in the index, or in the column time_col of a long frame."
        )


def _ordinals(ordered: SortedRows, freq: Any) -> tuple[NDArray[np.int64], int]:
    """Times as integers (N,), of which a step of `freq` has as many as are returned; -1 is on no grid of dates."""
    times: Any = ordered.times
    if _is_by_calendar(times, freq):
        return _places(ordered, freq)
    length = _length(freq, times)
    return instants(times), getattr(freq, "n", freq) if length is None else length // pd.Timedelta(1, times.unit)


def _steps(ordered: SortedRows, freq: Any) -> NDArray[np.int64]:
    """Steps of `freq` (N,) from the first time of a series to each of its times, -1 where that is no whole number."""
    ordinals, step = _ordinals(ordered, freq)
    on_grid = np.ones(len(ordinals), dtype=bool)
    if _is_by_calendar(ordered.times, freq):
        on_grid = ordinals >= 0
        on_grid[1:] &= (ordinals[1:] != ordinals[:-1]) | (ordered.codes[1:] != ordered.codes[:-1])  # no day twice
    steps, rest = np.divmod(ordinals - ordinals[ordered.starts][ordered.codes], step)
    return np.where(on_grid & (rest == 0), steps, -1)


def steps_after(first: pd.Timestamp, times: pd.DatetimeIndex, freq: Any) -> NDArray[np.int64]:
    """Count the steps of `freq` from the first time to each of the others; a ValueError where one is on no step."""
    codes, rows = np.zeros(1 + len(times), dtype=np.intp), np.empty((1 + len(times), 0))
    steps = _steps(SortedRows(pd.Index([None]), codes, times.insert(0, first), rows), freq)[1:]
    if (off := np.asarray(times > first) & (steps < 0)).any():
        raise ValueError(f"Times ahead must be on the grid of freq={_alias(freq, times)}. Got {listed(times[off])}.")
    return steps


def _takes_single_steps(ordered: SortedRows, freq: Any) -> bool:
    """Whether no time of a series is left out, or off the grid."""
    ordinals, step = _ordinals(ordered, freq)
    if _is_by_calendar(ordered.times, freq) and (ordinals < 0).any():
        return False
    between = np.diff(ordinals)
    between[ordered.starts[1:] - 1] = step  # from a series to the next
    return bool((between == step).all())


def _is_by_calendar(times: pd.Index[Any], freq: Any) -> bool:
    """Whether steps of dates vary in length, so that they are counted on a calendar."""
    return isinstance(times, pd.DatetimeIndex) and _length(freq, times) is None


def _places(ordered: SortedRows, freq: Any) -> tuple[NDArray[np.int64], int]:
    """The place of each time (N,) in a calendar, -1 for none, and how far a step goes there.

    Days, and what is longer, go on at the time of day of each series, on the clock on the wall.
    """
    times: Any = ordered.times
    wall = times.tz_localize(None)
    if not _is_of_days(freq):
        return _calendar(wall, freq).get_indexer(wall), freq.n
    days = wall.normalize()
    of_day = wall - days
    clocks = _clocks(of_day, ordered.starts)
    is_due = np.asarray(of_day == (clocks[0] if len(clocks.unique()) == 1 else clocks[ordered.codes]))
    if times.tz is not None and not is_due.all():  # a change of clocks may have skipped the time that was due
        late = ~is_due
        due = days[late] + clocks[ordered.codes[late]]
        is_due[late] = _zoned(due, times).tz_localize(None) == wall[late]
    if months := _months_of(freq):
        return np.where(is_due & _is_one_day_of_months(wall, ordered.starts), _months(wall), -1), months
    return np.where(is_due, _calendar(days, freq).get_indexer(days), -1), freq.n


def _is_of_days(freq: Any) -> bool:
    """Whether steps go from day to day, at any time of the day; those of business hours do not."""
    return not isinstance(freq, pd.offsets.BusinessHour) and (type(freq) is not pd.DateOffset or _months_of(freq) > 0)


def _months_of(freq: Any) -> int:
    """How many months a DateOffset goes, 0 for others: from the 15th to the 15th, of each series its own day."""
    if type(freq) is not pd.DateOffset or not set(freq.kwds) <= {"months", "years"}:
        return 0
    return int(freq.n * (12 * freq.kwds.get("years", 0) + freq.kwds.get("months", 0)))


def _is_one_day_of_months(wall: pd.DatetimeIndex, starts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which times are on the day of their series, or at the end of a month that does not have it."""
    day = wall.day.to_numpy()
    latest = np.maximum.reduceat(day, starts).repeat(np.diff(starts, append=len(day)))
    return np.asarray(day == np.minimum(latest, wall.days_in_month))


def _clocks(of_day: pd.TimedeltaIndex, starts: NDArray[np.intp]) -> pd.TimedeltaIndex:
    """The usual time of day of each series (n_series,), the median; a change of clocks may shift some."""
    if len(of_day.unique()) == 1:
        return of_day[starts]
    lengths = np.diff(starts, append=len(of_day))
    codes = np.arange(len(starts)).repeat(lengths)
    return of_day[np.lexsort((of_day.asi8, codes))[starts + (lengths - 1) // 2]]


def _calendar(wall: pd.DatetimeIndex, freq: Any) -> pd.DatetimeIndex:
    """Every single step between the first and the last of the times."""
    return pd.date_range(wall.min(), wall.max(), freq=freq.base).as_unit(wall.unit)


def _zoned(wall: pd.DatetimeIndex, like: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Times of the clock on the wall in the zone, unit and name of `like`; what the zone skips moves forward."""
    wall = wall.as_unit(like.unit).rename(like.name)
    if like.tz is None:
        return wall
    return wall.tz_localize(like.tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")


def time_range(first: Any, n_times: int, freq: Any, like: pd.Index[Any]) -> pd.Index[Any]:
    """Return `n_times` times from `first` on, typed and named as the times `like` of its series."""
    if isinstance(like, pd.PeriodIndex):
        return pd.period_range(first, periods=n_times, freq=like.freq, name=like.name)
    if not isinstance(like, pd.DatetimeIndex):
        values = int(first) + freq * np.arange(n_times)
        largest = np.iinfo(getattr(like.dtype, "numpy_dtype", like.dtype)).max  # a short type may not hold the future
        return pd.Index(values, dtype=like.dtype if values[-1] <= largest else np.int64, name=like.name)
    if _length(freq, like) is not None:
        return pd.date_range(first, periods=n_times, freq=freq, name=like.name).as_unit(like.unit)
    wall = _due(first, freq, like)
    if months := _months_of(freq):
        return _zoned(_same_days(wall, months * np.arange(n_times), int(like.day.max())), like)
    return _zoned(pd.date_range(wall, periods=n_times, freq=freq), like)


def _due(time: pd.Timestamp, freq: Any, like: pd.DatetimeIndex) -> pd.Timestamp:
    """A time on the clock on the wall: in a zone, which may have shifted it, at the time of day of its series."""
    wall = time.tz_localize(None)
    if like.tz is None or not _is_of_days(freq):
        return wall
    seen = like.tz_localize(None)
    return wall.normalize() + _clocks(seen - seen.normalize(), ONE)[0]


def _same_days(first: pd.Timestamp, months: NDArray[np.int64], day: int) -> pd.DatetimeIndex:
    """The times that lie so many months after the first, on one day of the month or at its end."""
    begins = pd.DatetimeIndex((first.to_datetime64().astype("M8[M]") + months).astype("M8[s]"))
    return begins + pd.to_timedelta(np.minimum(day, begins.days_in_month) - 1, "D") + (first - first.normalize())


def time_before(times: pd.Index[Any], n: int, freq: Any) -> pd.Index[Any]:
    """Return the time that is n steps before the first of some, alone."""
    first: Any = times[:1]
    if isinstance(times, pd.DatetimeIndex) and _is_by_calendar(times, freq):
        wall = _due(first[0], freq, times)
        if months := _months_of(freq):
            return _zoned(_same_days(wall, np.array([-n * months]), int(times.day.max())), times)
        return _zoned(pd.DatetimeIndex([wall - n * freq]), times)
    if isinstance(times, DATES):
        return first - (n * freq if isinstance(times, pd.DatetimeIndex) else n)
    return first.astype("int64") - n * freq


def follows(ordered: SortedRows, freq: Any) -> bool:
    """Whether each series takes single steps of a frequency that is of the kind of the times."""
    times: Any = ordered.times
    if isinstance(times, pd.PeriodIndex):
        return bool(times.freq == freq)
    length = _length(freq, times)
    is_too_fine = length is not None and length < pd.Timedelta(1, times.unit)
    if is_too_fine or isinstance(times, pd.DatetimeIndex) != isinstance(freq, pd.offsets.BaseOffset):
        return False
    return _takes_single_steps(ordered, freq)


def make_regular(
    ordered: SortedRows, freq: Frequency, *, insert: bool, remedy: str
) -> tuple[NDArray[np.intp], Floats, list[pd.Index[Any]]]:
    """Codes (M,), values (M, C) and the times of each series with none left out; an error where that cannot be.

    `remedy` is what a message about a gap recommends, with {freq} where that is to stand.
    """
    if _takes_single_steps(ordered, freq):
        return ordered.codes, ordered.values, [ordered.times_of(code) for code in range(len(ordered.ids))]
    steps = _steps(ordered, freq)
    _check_span(ordered, steps, freq)
    wrong = steps < 0 if insert else steps != ordered.ranks
    if wrong.any():
        code = int(ordered.codes[wrong.argmax()])
        raise ValueError(_what_is_wrong(ordered, code, steps[ordered.codes == code], freq, insert, remedy))
    apart = np.diff(steps)[ordered.codes[1:] == ordered.codes[:-1]]
    if len(apart) and apart.min() > 1:
        finer = f"freq={_alias(freq, ordered.times)} is finer than the data: the nearest two times of a series are"
        look = _look(_likely(ordered.times_of(int(ordered.lengths.argmax()))), ordered.times)
        raise ValueError(f"{finer} {apart.min()} steps apart.{look}")
    lengths = steps[ordered.starts + ordered.lengths - 1] + 1
    values = np.full((lengths.sum(), ordered.values.shape[1]), np.nan)
    values[(np.cumsum(lengths) - lengths)[ordered.codes] + steps] = ordered.values
    return np.repeat(np.arange(len(lengths)), lengths), values, _complete_times(ordered, lengths, freq)


def _check_span(ordered: SortedRows, steps: NDArray[np.int64], freq: Frequency) -> None:
    """Raise a ValueError where far more rows are absent than there are: one time that is wrong fills the memory."""
    n_times = int(steps[ordered.starts + ordered.lengths - 1].astype(float).sum())
    if n_times <= max(10_000_000, 1000 * len(steps)):
        return
    at = int(steps.argmax())
    times = ordered.times_of(int(ordered.codes[at]))
    raise ValueError(
        f"{series_name(ordered.ids[ordered.codes[at]])} goes from {shown(times[0])} to {shown(times[-1])}, {steps[at]} "
        f"steps of freq={_alias(freq, times)}, in {len(times)} rows. Correct the time that is wrong, or pass another "
        "freq=."
    )


def _complete_times(ordered: SortedRows, lengths: NDArray[np.int64], freq: Any) -> list[pd.Index[Any]]:
    times: Any = ordered.times
    firsts = times[ordered.starts]
    by_months = isinstance(times, pd.DatetimeIndex) and _months_of(freq) > 0
    if by_months or not _is_by_calendar(times, freq):
        likes = map(ordered.times_of, range(len(firsts))) if by_months else itertools.repeat(firsts)
        return [time_range(first, int(n), freq, like) for first, n, like in zip(firsts, lengths, likes, strict=False)]
    wall = times.tz_localize(None)
    days = wall.normalize() if _is_of_days(freq) else wall
    calendar, clocks = _calendar(days, freq), _clocks(wall - days, ordered.starts)
    at = {clock: _zoned(calendar + clock, times) for clock in clocks.unique()}
    begins = calendar.get_indexer(days[ordered.starts])
    return [at[clock][i : i + n * freq.n : freq.n] for clock, i, n in zip(clocks, begins, lengths, strict=True)]


def _what_is_wrong(
    ordered: SortedRows, code: int, steps: NDArray[np.int64], freq: Frequency, insert: bool, remedy: str
) -> str:
    """The message about a series whose steps are not 0, 1, 2, ...: neither regular nor, perhaps, to be made so."""
    times, name = ordered.times_of(code), series_name(ordered.ids[code])
    alias, own = _alias(freq, times), _inferred(times) if len(times) >= 3 else None
    if own not in (None, freq) and not insert:
        longest = series_name(ordered.ids[int(ordered.lengths.argmax())])
        way = "Read the frequencies one by one; if only times are absent, pass freq=."
        if (step := _without_anchor(freq)) is not None and step == _without_anchor(own):
            way = f"Their steps are equally long: pass freq={_alias(step, times)}."
        return f"All series must have one frequency. {longest} has {alias}, {name} has {_alias(own, times)}. {way}"
    if (steps < 0).any():
        return (
            f"{name} is irregular: {listed(times[steps < 0])} not on the grid of freq={alias}.{_look(own, times)}"
            f"{_way_out(times)} Resample it, e.g. df.resample({alias}).mean(), or pass another freq=."
        )
    before = int((np.diff(steps) > 1).argmax())
    absent = time_range(times[before], int(np.diff(steps)[before]), freq, times)[1:]
    return f"{name} has a gap: no row for {listed(absent)}. {remedy.format(freq=alias)}"


def _without_anchor(freq: Any) -> Any:
    """The step that weeks and months take from any day, None of what else there is."""
    if isinstance(freq, pd.offsets.Week):
        return pd.offsets.Day(7 * freq.n)
    months = next((n for kinds, n in _OF_MONTHS if isinstance(freq, kinds)), None)
    return None if months is None else pd.DateOffset(months=months * freq.n)


_OF_MONTHS = (
    ((pd.offsets.MonthBegin, pd.offsets.MonthEnd), 1),
    ((pd.offsets.QuarterBegin, pd.offsets.QuarterEnd), 3),
    ((pd.offsets.YearBegin, pd.offsets.YearEnd), 12),
)


def _look(own: Any, times: pd.Index[Any]) -> str:
    return "" if own is None else f" The times look like freq={_alias(own, times)}."


def _alias(freq: Any, times: pd.Index[Any]) -> str:
    if type(freq) is pd.DateOffset:
        return f"pd.DateOffset({freq.n}, {', '.join(f'{part}={n}' for part, n in freq.kwds.items())})"
    # Periods spell their frequency in their own way: M, not ME.
    return repr(times.freqstr if isinstance(times, pd.PeriodIndex) else getattr(freq, "freqstr", freq))
