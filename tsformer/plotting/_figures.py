"""What the displays share: axes in a grid, labels of times, and what is said without matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def require_matplotlib() -> Any:
    """Return matplotlib's pyplot; ImportError that names the remedy where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install matplotlib.") from error
    return pyplot


def check_kind(estimator: Any, *kinds: type) -> None:
    if not isinstance(estimator, kinds):
        names = " or ".join(f"a {kind.__name__}" for kind in kinds)
        given = type(estimator)
        raise TypeError(
            f"estimator must be {names} of tsformer. Got an instance of {given.__module__}.{given.__qualname__}; of a "
            "search, give its best_estimator_, of a Pipeline its last step, of an adapter its estimator_."
        )


def drawn(panels: Sequence[Any], ax: Axes | None, *, height: float = 2.4) -> list[Axes]:
    """Draw the panels, on new axes or the one given, and return those that their series are drawn on."""
    if ax is not None and len(panels) > 1:
        raise ValueError(f"ax takes one panel. Got {len(panels)}; choose one case or series, or leave ax out.")
    axes = new_axes(len(panels), height) if ax is None else [ax]
    return [panel.plot(panel_ax) for panel, panel_ax in zip(panels, axes, strict=True)]


def split(ax: Axes, heights: tuple[int, int], widths: tuple[int, ...]) -> list[Axes]:
    """Put axes in the place of one: upper left, lower left and, given two widths, upper right; times are shared."""
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("ax must have its place in a grid, as those of matplotlib.pyplot.subplots have.")
    ax.set_axis_off()
    grid = place.subgridspec(2, len(widths), height_ratios=heights, width_ratios=widths, hspace=0.05, wspace=0.05)
    figure: Any = ax.figure
    upper = figure.add_subplot(grid[0, 0])
    lower = figure.add_subplot(grid[1, 0], sharex=upper)
    upper.tick_params(labelbottom=False)
    upper.margins(x=0.01)
    beside = [figure.add_subplot(grid[0, 1])] if len(widths) > 1 else []
    for axes in (upper, lower, *beside):
        axes.spines[["top", "right"]].set_visible(False)
    return [upper, lower, *beside]


def new_axes(n: int, height: float = 2.4) -> list[Axes]:
    """Axes under each other, in two columns from three on."""
    plt = require_matplotlib()
    n_columns = 1 if n < 3 else 2
    n_rows = -(-n // n_columns)
    size = (8.0 if n_columns == 1 else 11.0, 1.2 + height * n_rows)
    _, grid = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    axes: list[Axes] = list(grid.flat)
    for unused in axes[n:]:
        unused.remove()
    return axes[:n]


def write_dates_short(ax: Axes, times: pd.DatetimeIndex) -> None:
    """Label dates in their own time zone, each with what tells it from others and no more, so that none overlap."""
    from matplotlib import dates

    locator = dates.AutoDateLocator(minticks=3, maxticks=7, tz=times.tz)
    formatter = dates.ConciseDateFormatter(
        locator,
        tz=times.tz,
        formats=["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
        zero_formats=["", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"],
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    if times.tz is not None:
        ax.set_xlabel(f"time in {times.tz}")


def for_axis(times: Any) -> pd.Index:
    """Return times as matplotlib draws them."""
    return times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times


def legend_above(ax: Axes) -> None:
    """Put a legend over the axes, where it hides nothing."""
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize=8, columnspacing=1.2)


def broken(name: str, width: int) -> str:
    """Break a long name into lines."""
    return "\n".join(textwrap.wrap(name, width))
