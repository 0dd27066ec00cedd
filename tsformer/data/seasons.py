"""The season: how many steps of a frequency a year, a week, a day or an hour has, and which of them a history shows."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from pandas import offsets as off

from tsformer.data.frequency import Frequency
from tsformer.data.messages import warn_user

LONGEST_SEASON = 1440  # steps that are read twice at most
SHORTEST_SECOND_CHOICE = 4  # in fewer steps little can repeat: the hour of half-hours

# Months in a step, by a part of the name of the offset's class: pandas 2 lacks some classes. The first that fits holds.
_MONTHS = {
    "SemiMonth": Fraction(1, 2),
    "Month": Fraction(1),
    "Quarter": Fraction(3),
    "HalfYear": Fraction(6),
    "Year": Fraction(12),
    "FY5253": Fraction(12),
    "Easter": Fraction(12),
}
_TIMES = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")
_WITHIN_DAY = [Fraction(1), Fraction(1, 24), Fraction(1, 24 * 60), Fraction(1, 24 * 60 * 60)]


def step_of(freq: Frequency) -> tuple[str, Fraction]:
    """Return the unit of a step and how many of it there are: equal for offsets of equal duration, as "7D" and "W".

    The unit is "integer", "month", "day", "working week" or "working day"; of an offset that has none it is its text.
    """
    if isinstance(freq, int):
        return "integer", Fraction(freq)
    offset: Any = freq
    name, n = type(offset).__name__, Fraction(offset.n)
    months = next((months for part, months in _MONTHS.items() if part in name), None)
    if months is not None:
        return "month", n * months
    if isinstance(offset, off.Week | off.Day):  # before pandas 3 Day is a Tick
        return "day", n * (7 if isinstance(offset, off.Week) else 1)
    if isinstance(offset, off.Tick):
        return "day", _days(pd.Timedelta(offset))
    if isinstance(offset, off.BusinessHour):
        return "working day", n / _opening_hours(offset)
    if isinstance(offset, off.BDay):
        return "working week", n / (int(offset.calendar.weekmask.sum()) if isinstance(offset, off.CDay) else 5)
    return _relative_step(offset, n) if name == "DateOffset" else (str(offset), n)


def _relative_step(offset: Any, n: Fraction) -> tuple[str, Fraction]:
    """Split the step of a DateOffset: months or days, but not both; without either pandas takes a day."""
    parts = offset.kwds or {"days": 1}
    months = n * (12 * parts.get("years", 0) + parts.get("months", 0))
    days = n * _days(pd.Timedelta(**{name: parts.get(name, 0) for name in _TIMES}))
    if bool(months) == bool(days):
        return str(offset), n
    return ("month", months) if months else ("day", days)


def _days(length: pd.Timedelta) -> Fraction:
    return Fraction(length.value, pd.Timedelta(days=1).value)


def _opening_hours(offset: Any) -> Fraction:
    minutes = [
        60 * (end.hour - start.hour) + end.minute - start.minute
        for start, end in zip(offset.start, offset.end, strict=True)
    ]
    return Fraction(sum(each if each > 0 else each + 24 * 60 for each in minutes), 60)  # they may close after midnight


def usual_seasons(freq: Frequency) -> list[int]:
    """Return the seasons, in steps, that a frequency usually has, longest first; [] for years, integers and others.

    They are a year of months or of weeks, a week of days, and within a day the day and the hour, for seconds the hour
    and the minute, and so on. What is no whole number of steps, as a day of 5 hours, is no season.
    """
    unit, length = step_of(freq)
    cycles = {"month": [Fraction(12)], "working week": [Fraction(1)], "working day": [Fraction(1)]}.get(unit, [])
    if unit == "day":
        cycles = _WITHIN_DAY if length % 1 else [Fraction(7)] if length % 7 else [Fraction(7 * 52)]
    steps = [cycle / length for cycle in cycles]
    seasons = [int(n) for n in steps if n.denominator == 1 and 1 < n <= LONGEST_SEASON]
    return seasons[:1] + [season for season in seasons[1:] if season >= SHORTEST_SECOND_CHOICE]


def choose_season(
    season: int | list[int] | str, freq: Frequency, longest: int, reach: int | None = None
) -> tuple[int, int]:
    """Return the season to forecast and to score by, 1 for none, and a longer one to look back to as well, 0 for none.

    `season` is an int, a list, of which the shortest is the season and the longest is looked back to, or "auto": what
    is usual for the frequency, a day together with its week. Where the longest series, of `longest` time points, does
    not hold two seasons, or a season is too long to be read, the next shorter usual one that divides it comes instead,
    or none, with a warning. So does a shorter one of the list where the longest is beyond the history or the `reach` of
    a context.
    """
    usual = usual_seasons(freq)
    if season == "auto":
        wanted, known = max(usual, default=1), [*_week_of(usual, freq), *usual]
    else:
        known = _checked(season)
        wanted = min((each for each in known if each > 1), default=1)
    choices = [wanted, *(each for each in usual if each < wanted and wanted % each == 0)]
    chosen = next((each for each in choices if each <= LONGEST_SEASON and 2 * each <= longest), 1)
    can_look_back = chosen > 1 and wanted <= LONGEST_SEASON
    farthest = longest if reach is None else min(longest, reach)
    back = max((each for each in known if can_look_back and chosen < each <= farthest), default=0)
    if chosen != wanted:
        _warn(season, wanted, _why(wanted, 2 * wanted, longest), (chosen, back))
    elif season != "auto" and max(known) > max(longest, 1):
        _warn(season, wanted, _why(wanted, max(known), longest), (chosen, back))
    elif season != "auto" and max(known) > max(back, chosen):
        why = f"is longer than the {reach} time points of a context"
        _warn(season, wanted, (why, f"Set context_length={max(known)}"), (chosen, back))
    return chosen, back


def _checked(season: Any) -> list[int]:
    given = season if isinstance(season, list) else [season]
    counts = [each for each in given if isinstance(each, int | np.integer) and not isinstance(each, bool) and each > 0]
    if not counts or len(counts) < len(given):
        raise ValueError(
            "The 'season' parameter must be 'auto', an int in the range [1, inf) or a list of such ints that is not "
            f"empty. Got {season!r} instead."
        )
    return [int(each) for each in counts]


def _week_of(usual: list[int], freq: Frequency) -> list[int]:
    """The week where the season is a day, of an hour or less a step, that can be read."""
    unit, length = step_of(freq)
    is_day = unit == "day" and bool(usual) and usual[0] * length == 1
    return [7 * usual[0]] if is_day and 24 <= usual[0] <= LONGEST_SEASON else []


def _why(wanted: int, needed: int, longest: int) -> tuple[str, str]:
    """Say why a season is not taken, and what to do about that."""
    if wanted > LONGEST_SEASON:
        return f"is more than the {LONGEST_SEASON} steps that a network can read", "Resample to longer steps"
    why = f"needs a history of {needed} time points; the longest series has {longest}"
    return why, "Give more history, resample to longer steps"


def _warn(season: Any, wanted: int, reason: tuple[str, str], taken: tuple[int, int]) -> None:
    """Say which season is not taken and why, what comes instead, and the way out."""
    found = f"These times usually have a season of {wanted} steps, which" if season == "auto" else f"season={season}"
    (why, remedy), (chosen, back) = reason, taken
    instead = "no season" if chosen == 1 else f"a season of {chosen} steps"
    instead, given = (f"{instead}, and a look {back} steps back", [chosen, back]) if back else (instead, chosen)
    warn_user(f"{found} {why}. Taken instead: {instead}. {remedy}, or confirm it by season={given}.")
