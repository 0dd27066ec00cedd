"""Public holidays of countries and regions: times in, a column for each day around them out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.frequency import Frequency
from tsformer.data.rows import Floats
from tsformer.data.seasons import step_of

ALL_DAYS, WORKING_DAYS = "1111111", "1111100"
DAYS_AROUND = (-1, 0, 1)  # how many days after a holiday: the day before it, itself, and the day after


def holiday_features(times: pd.Index[Any], freq: Frequency, places: Sequence[str]) -> Floats:
    """Return 1 where the day of a time is a holiday, the day before one or the day after, else 0: (T, 3 * n_places).

    Days go on as those of `freq` do: of working days, Friday is the day before a Monday.
    """
    unit, length = step_of(freq)
    is_daily = unit.startswith("working") or (unit == "day" and length <= 1)
    if not (isinstance(times, pd.DatetimeIndex | pd.PeriodIndex) and is_daily):
        kind = "integers" if isinstance(freq, int) else f"steps of {freq.freqstr}"
        raise ValueError(
            f"holidays= needs times of a day or less. Got {kind}: give times as days, or count the holidays of each "
            "step in a column that future_cols= names."
        )
    stamps: Any = times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times
    codes, days = pd.factorize(stamps.tz_localize(None).normalize())
    week = (getattr(freq, "weekmask", None) or WORKING_DAYS) if unit.startswith("working") else ALL_DAYS
    dates = days.to_numpy().astype("M8[D]")
    around = [np.busday_offset(dates, -after, "preceding", week).astype("M8[s]") for after in DAYS_AROUND]
    columns = []
    for place in places:
        of_place = _days_off(place, range(days.year.min() - 1, days.year.max() + 2))
        columns += [pd.DatetimeIndex(each).isin(of_place) for each in around]
    return np.stack(columns, axis=-1)[codes].astype(np.float64)


def places_of(holidays: Any) -> tuple[str, ...]:
    """The places that the parameter names."""
    return () if holidays is None else tuple(holidays) if isinstance(holidays, list) else (holidays,)


@lru_cache(maxsize=1000)
def _days_off(place: str, years: range) -> pd.DatetimeIndex:
    """The holidays of a country, as "DE", or of a part of it, as "DE-BY"."""
    try:
        from holidays import country_holidays
    except ImportError as error:
        raise ImportError('holidays= needs the package holidays: pip install "tsformer[holidays]".') from error
    country, _, part = str(place).partition("-")
    try:
        return pd.DatetimeIndex(sorted(country_holidays(country, subdiv=part or None, years=years)))
    except NotImplementedError as error:
        raise ValueError(
            "The 'holidays' parameter must be a country as the package holidays has it, such as 'DE', a part of one, "
            f"such as 'US-CA', or a list of them. Got {place!r}: {error}; holidays.list_supported_countries() has all."
        ) from error
