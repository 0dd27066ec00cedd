"""The frequency of series, found or checked; counted in steps of it, their times show gaps, which can be repaired."""

from __future__ import annotations

from collections import Counter
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


def common_frequency(ordered: SortedRows, declared: Any) -> Frequency:
    """Return the frequency that the index declares, or that of the longest series; all are then held to it."""
    if declared is not None and declared.n > 0:
        return declared
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
        f"{series_name(ordered.ids[longest])} is irregular: no frequency fits {listed(times)}. Resample it, e.g. "
        "df.resample('D').mean(), or, if times are absent, pass freq=."
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
        raise ValueError(f"freq must be a pandas offset, e.g. 'D', 'MS' or 'W-MON'. Got {freq!r}.") from error
    length = _length(offset, times)
    if offset.n < 1 or (length is not None and length % pd.Timedelta(1, times.unit)):
        raise ValueError(f"freq must be positive and no finer than the times, in {times.unit!r}. Got {freq!r}.")
    return offset


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
        return _calendar(times, freq).get_indexer(times), freq.n
    length = _length(freq, times)
    return instants(times), getattr(freq, "n", freq) if length is None else length // pd.Timedelta(1, times.unit)


def _steps(ordered: SortedRows, freq: Any) -> NDArray[np.int64]:
    """Steps of `freq` (N,) from the first time of a series to each of its times, -1 where that is no whole number."""
    ordinals, step = _ordinals(ordered, freq)
    on_grid = ordinals >= 0 if _is_by_calendar(ordered.times, freq) else True
    steps, rest = np.divmod(ordinals - ordinals[ordered.starts][ordered.codes], step)
    return np.where(on_grid & (rest == 0), steps, -1)


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


def _calendar(times: pd.DatetimeIndex, freq: Any) -> pd.DatetimeIndex:
    """Every single step between the first and the last of the times."""
    wall = times.tz_localize(None)
    return _zoned(pd.date_range(wall.min(), wall.max(), freq=freq.base), times)


def _zoned(wall: pd.DatetimeIndex, like: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Times of the clock on the wall in the zone, unit and name of `like`; what the zone skips moves forward."""
    wall = wall.as_unit(like.unit).rename(like.name)
    if like.tz is None:
        return wall
    return wall.tz_localize(like.tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")


def time_range(first: Any, n_times: int, freq: Any, like: pd.Index[Any]) -> pd.Index[Any]:
    """Return `n_times` times from `first` on, typed and named as `like`."""
    if isinstance(like, pd.PeriodIndex):
        return pd.period_range(first, periods=n_times, freq=like.freq, name=like.name)
    if not isinstance(like, pd.DatetimeIndex):
        values = int(first) + freq * np.arange(n_times)
        largest = np.iinfo(getattr(like.dtype, "numpy_dtype", like.dtype)).max  # a short type may not hold the future
        return pd.Index(values, dtype=like.dtype if values[-1] <= largest else np.int64, name=like.name)
    if _length(freq, like) is not None:
        return pd.date_range(first, periods=n_times, freq=freq, name=like.name).as_unit(like.unit)
    return _zoned(pd.date_range(first.tz_localize(None), periods=n_times, freq=freq), like)


def time_before(times: pd.Index[Any], n: int, freq: Any) -> pd.Index[Any]:
    """Return the time that is n steps before the first of some, alone."""
    first: Any = times[:1]
    if isinstance(times, pd.DatetimeIndex) and _is_by_calendar(times, freq):
        return _zoned(pd.DatetimeIndex([first[0].tz_localize(None) - n * freq]), times)
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
    ordered: SortedRows, freq: Frequency, *, insert: bool
) -> tuple[NDArray[np.intp], Floats, list[pd.Index[Any]]]:
    """Codes (M,), values (M, C) and the times of each series with none left out; an error where that cannot be."""
    if _takes_single_steps(ordered, freq):
        return ordered.codes, ordered.values, [ordered.times_of(code) for code in range(len(ordered.ids))]
    steps = _steps(ordered, freq)
    _check_span(ordered, steps, freq)
    wrong = steps < 0 if insert else steps != ordered.ranks
    if wrong.any():
        code = int(ordered.codes[wrong.argmax()])
        raise ValueError(_what_is_wrong(ordered, code, steps[ordered.codes == code], freq, insert))
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
    firsts = ordered.times[ordered.starts]
    if isinstance(ordered.times, pd.DatetimeIndex) and _is_by_calendar(ordered.times, freq):
        calendar = _calendar(ordered.times, freq)
        begins = calendar.get_indexer(firsts)
        return [calendar[i : i + n * freq.n : freq.n] for i, n in zip(begins, lengths, strict=True)]
    return [time_range(first, int(n), freq, firsts) for first, n in zip(firsts, lengths, strict=True)]


def _what_is_wrong(ordered: SortedRows, code: int, steps: NDArray[np.int64], freq: Frequency, insert: bool) -> str:
    """The message about a series whose steps are not 0, 1, 2, ...: neither regular nor, perhaps, to be made so."""
    times, name = ordered.times_of(code), series_name(ordered.ids[code])
    alias, own = _alias(freq, times), _inferred(times) if len(times) >= 3 else None
    if own not in (None, freq) and not insert:
        longest = series_name(ordered.ids[int(ordered.lengths.argmax())])
        return (
            f"All series must have one frequency. {longest} has {alias}, {name} has {_alias(own, times)}. Read the "
            "frequencies one by one; if only times are absent, pass freq=."
        )
    if (steps < 0).any():
        return (
            f"{name} is irregular: {listed(times[steps < 0])} not on the grid of freq={alias}.{_look(own, times)} "
            f"Resample it, e.g. df.resample({alias}).mean(), or pass another freq=."
        )
    before = int((np.diff(steps) > 1).argmax())
    absent = time_range(times[before], int(np.diff(steps)[before]), freq, times)[1:]
    return (
        f"{name} has a gap: no row for {listed(absent)}. Pass freq={alias} to insert absent times as missing values, "
        "and fill= to fill those."
    )


def _look(own: Any, times: pd.Index[Any]) -> str:
    return "" if own is None else f" The times look like freq={_alias(own, times)}."


def _alias(freq: Any, times: pd.Index[Any]) -> str:
    # Periods spell their frequency in their own way: M, not ME.
    return repr(times.freqstr if isinstance(times, pd.PeriodIndex) else getattr(freq, "freqstr", freq))
