"""Dates on an axis, in their own time zone: as many labels as fit beside each other, known when they are drawn."""

from datetime import tzinfo
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

# At least so many dates where there is room for so many at most: with these, matplotlib finds steps for any span.
LEAST_OF_MOST = {3: 1, 4: 1, 5: 2, 6: 2, 7: 3}


class FittingDateLocator(AutoDateLocator):
    """Up to seven dates, fewer where the axis is short, but two at least: one alone does not tell how time goes."""

    def __call__(self) -> Any:
        """Count labels such as "01 Mar" in the room there is, then choose dates."""
        axis: Any = self.axis
        n_fit = 1 + axis.get_tick_space() * 2 // 3  # the space counts by three heights of a letter
        n_fit = min(max(n_fit, min(LEAST_OF_MOST)), max(LEAST_OF_MOST))
        first, last = axis.get_view_interval()
        for n_most in (n_fit, 5):
            self.maxticks, self.minticks = dict.fromkeys(self.maxticks, n_most), LEAST_OF_MOST[n_most]
            dates = _evenly(np.asarray(super().__call__()))
            seen = dates[(first <= dates) & (dates <= last)]
            if len(seen) > 1:
                break
        return seen[:: -(-len(seen) // n_fit)] if len(seen) > n_fit else dates


def _evenly(dates: Any) -> Any:
    """Leave out the 31st right before the 1st."""
    steps = np.diff(dates)
    return dates[np.append(steps > 0.7 * np.median(steps), True)] if len(steps) > 1 else dates


def label_dates(ax: Axes, tz: tzinfo | None) -> None:
    """Label dates, each with what tells it from others: a January is its year, a midnight its day."""
    locator = FittingDateLocator(tz=tz)
    formatter = ConciseDateFormatter(
        locator,
        tz=tz,
        formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
        zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"],
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    if tz is not None:
        ax.set_xlabel(f"time in {tz}", loc="left")  # on the right is the day, or the year
