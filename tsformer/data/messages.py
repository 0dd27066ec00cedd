"""Words that messages share: what they call a series, a column, a time; and warnings at the line of the user."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd

WITHIN = ("tsformer.", "sklearn.", "contextlib.")  # what lies between a user's line and a warning


def series_name(id: Any) -> str:
    """A series as messages call it."""
    return "The series" if id is None else f"Series {quoted(id)}"


def quoted(name: Any) -> str:
    """An id or a column as the user would type it: no np.int64(1)."""
    return repr(name.item() if isinstance(name, np.generic) else name)


def in_column(name: Any) -> str:
    """Where something is; nothing of the column of a Series without a name."""
    return "" if name is None else f" in column {quoted(name)}"


def shown(time: Any) -> str:
    """A time as messages show it."""
    return str(time).removesuffix(" 00:00:00")


def listed(times: pd.Index[Any]) -> str:
    """The first few of some times."""
    more = f" and {len(times) - 3} more" if len(times) > 3 else ""
    return ", ".join(map(shown, times[:3])) + more


def warn_user(message: str) -> None:
    """Warn at the line of the nearest caller outside of this package and of what wraps its methods."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and f"{frame.f_globals.get('__name__', '')}.".startswith(WITHIN):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
