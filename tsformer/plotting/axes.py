"""What displays share: axes in a grid, times as labels, names in lines, and which series to draw."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsformer.params import checked_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_PANELS = 6  # on a page
TITLE_SIZE = 10
MAX_CHANNELS = 8  # drawn of a case, or of a series with anomalies

Names = Sequence[Hashable] | str | None


def require_matplotlib() -> Any:
    """Return matplotlib's pyplot; ImportError that names the remedy where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install matplotlib.") from error
    return pyplot


def drawn(
    panels: Sequence[Any], ax: Axes | None, title: str, *, height: float = 2.4, most_columns: int = 2
) -> list[Axes]:
    """Draw the panels, on new axes under a title or the one given, and return those that their series are drawn on."""
    if ax is not None and len(panels) > 1:
        raise ValueError(f"ax takes one panel. Got {len(panels)}; choose one case or series, or leave ax out.")
    axes = new_axes(len(panels), height, most_columns) if ax is None else [ax]
    if title and ax is None:
        axes[0].figure.suptitle(title, fontsize=11)
    return [panel.plot(panel_ax) for panel, panel_ax in zip(panels, axes, strict=True)]


def new_axes(n: int, height: float = 2.4, most_columns: int = 2) -> list[Axes]:
    """Axes under each other, in two columns from three on and in three from seven on, where there may be so many."""
    n_columns = min(1 if n < 3 else 2 if n <= MAX_PANELS else 3, most_columns)
    size = (8.0, 11.0, 13.0)[n_columns - 1], 1.2 + height * -(-n // n_columns)
    figure = require_matplotlib().figure(figsize=size, layout="constrained")
    return [figure.add_subplot(-(-n // n_columns), n_columns, i + 1) for i in range(n)]


def split(ax: Axes, heights: tuple[int, ...], widths: tuple[int, ...]) -> list[Axes]:
    """Put axes in the place of one: some that share times and, given two widths, one beside the first."""
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("ax must have its place in a grid, as those of matplotlib.pyplot.subplots have.")
    ax.set_axis_off()
    shape = len(heights), len(widths)
    grid = place.subgridspec(*shape, height_ratios=heights, width_ratios=widths, hspace=0.05, wspace=0.05)
    figure: Any = ax.figure
    axes = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[row, 0], sharex=axes[0]) for row in range(1, len(heights))]
    axes[0].margins(x=0.01)
    for each in axes[:-1]:
        each.tick_params(labelbottom=False)
    if len(widths) > 1:
        axes.append(figure.add_subplot(grid[0, 1]))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return axes


def stacked(ax: Axes, n_below: int) -> list[Axes]:
    """Put axes in the place of one: a high one, a low one that shares its times, and some side by side under them."""
    place = ax.get_subplotspec()
    if place is None or not n_below:
        return split(ax, (3, 1), (1,))
    ax.set_axis_off()
    figure: Any = ax.figure
    rows = place.subgridspec(2, 1, height_ratios=(5, 3), hspace=0.1)
    side_by_side = rows[1].subgridspec(1, max(2, n_below), wspace=0.05)
    axes = split(figure.add_subplot(rows[0]), (3, 1), (1,))
    for i in range(n_below):
        axes.append(figure.add_subplot(side_by_side[0, i]))
        axes[-1].spines[["top", "right"]].set_visible(False)
    return axes


def label_times(ax: Axes, times: pd.Index[Any], *, narrow: bool = False) -> None:
    """Label numbers or dates so that none overlap; `narrow` is for axes of a few labels."""
    if not isinstance(times, pd.DatetimeIndex):
        ax.set_xlabel("time point" if isinstance(times, pd.RangeIndex) else "time")
        few: Any = {"nbins": 3} if narrow else {}
        ax.locator_params(axis="x", integer=pd.api.types.is_integer_dtype(times.dtype), **few)
        return
    from tsformer.plotting.dates import label_dates  # only now, as it imports matplotlib

    label_dates(ax, times.tz)


def for_axis(times: pd.Index[Any]) -> pd.Index[Any]:
    """Return times as matplotlib draws them."""
    return times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times


def draw_line(ax: Axes, values: pd.Series, *, marked: bool = False, **look: Any) -> None:
    """Draw a line with a mark on each value, or on those alone that have no neighbour to join."""
    observed = np.pad(values.notna(), 1)
    lone = observed[1:-1] & ~observed[:-2] & ~observed[2:]
    places = np.flatnonzero(lone | marked)
    ax.plot(values, marker="." if len(places) else None, markevery=list(places), **look)


def legend_above(ax: Axes, pad: float = 0.0) -> None:
    """Put a legend over the axes, their title and `pad` points, in as many columns as there is room for."""
    from matplotlib.transforms import offset_copy

    title, figure = ax.get_title(loc="left"), ax.figure
    n_lines = title.count("\n") + 1 if title else 0
    place = offset_copy(ax.transAxes, figure, y=pad + 1.3 * TITLE_SIZE * n_lines, units="points")  # type: ignore[arg-type]
    look: Any = {"frameon": False, "fontsize": 8, "columnspacing": 1.2}
    for n_columns in (5, 3, 2, 1):
        legend = ax.legend(loc="lower right", bbox_to_anchor=(1, 1), bbox_transform=place, ncols=n_columns, **look)
        if legend.get_window_extent().width <= ax.get_window_extent().width:
            break


def broken(name: str, width: int) -> str:
    """Break a long name into lines, and keep its dollar signs from being taken for formulas."""
    return "\n".join(textwrap.wrap(name, width)).replace("$", r"\$")


def positions_of(names: list[Any], series: Names, of: str) -> list[int]:
    """Positions of the names chosen; all where none is."""
    if series is None:
        return list(range(len(names)))
    is_name = not pd.api.types.is_list_like(series) or (isinstance(series, tuple) and series in names)
    chosen = [series] if is_name else list(series)
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise ValueError(f"series must be among the {of}. Got {unknown}; there are {names[:10]}.")
    return [names.index(name) for name in chosen]


def page_of(positions: Sequence[int], page: int, what: str, most: int = MAX_PANELS) -> tuple[list[int], str]:
    """Return those of the series or cases that are on a page of `most`, and a title where these are not all."""
    page, n_pages = checked_count(page, "page"), -(-len(positions) // most)
    if page > n_pages:
        raise ValueError(f"page must be an int in the range [1, {n_pages}] for {len(positions)} {what}. Got {page}.")
    first = (page - 1) * most
    on_page = list(positions[first : first + most])
    which = f"{what.capitalize()} {first + 1}" + (f" to {first + len(on_page)}" if len(on_page) > 1 else "")
    title = f"{which} of {len(positions)}: page {page} of {n_pages}, {len(positions) - len(on_page)} not shown"
    return on_page, title if n_pages > 1 else ""


def some_channels(n: int, of: int) -> str:
    """What a title says where only some channels are drawn."""
    return f"{n} of {of} channels" if n < of else ""
