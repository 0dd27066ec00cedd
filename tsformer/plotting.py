"""Pictures of fitted estimators, drawn by `from_estimator` as in scikit-learn; they need matplotlib."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsformer.data.forecasts import future_times, quantiles_of
from tsformer.data.frames import SeriesSet
from tsformer.data.wording import quoted
from tsformer.estimators._covariates import Frame, Given
from tsformer.estimators._forecasting import Forecast
from tsformer.estimators.forecaster import TransformerForecaster

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 6


@dataclass(frozen=True)
class ForecastPanel:
    """One series and its forecast.

    Parameters
    ----------
    name : str
        Of the series; empty where there is but one without a name.
    history, point : Series
        Values with their times.
    bands : dict from float to DataFrame
        For each level in per cent, the columns "low" and "high".
    """

    name: str
    history: pd.Series
    point: pd.Series
    bands: dict[float, pd.DataFrame]

    def plot(self, ax: Axes) -> None:
        """Draw history, forecast and bands, the widest band palest."""
        wide_first = sorted(self.bands, reverse=True)
        for i, level in enumerate(wide_first):
            band = self.bands[level]
            alpha = 0.18 + 0.2 * i / max(1, len(wide_first) - 1)
            ax.fill_between(
                band.index, band["low"], band["high"], color="C0", alpha=alpha, lw=0, label=f"{level:g} % band"
            )
        few = len(self.history) + len(self.point) < 60
        ax.plot(self.history, color="0.25", lw=1.2, marker="." if few else None, label="history")
        ax.plot(self.point, color="C0", lw=1.6, marker="." if few else None, label="forecast")
        ax.set_title(self.name, loc="left", fontsize=10)
        ax.set_ylabel(str(self.history.name) if self.history.name is not None else "")
        ax.margins(x=0.01)
        if isinstance(self.history.index, pd.DatetimeIndex):
            _write_dates_short(ax)
        ax.spines[["top", "right"]].set_visible(False)


@dataclass
class ForecastDisplay:
    """Series with their forecasts and bands, a panel each.

    Create it by `ForecastDisplay.from_estimator`.

    Parameters
    ----------
    panels : list of ForecastPanel

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
    """

    panels: list[ForecastPanel]

    @classmethod
    def from_estimator(
        cls,
        estimator: TransformerForecaster,
        df: Frame | None = None,
        *,
        horizon: int | None = None,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
        level: Sequence[float] | float | None = None,
        series: Sequence[Hashable] | str | None = None,
        n_history: int | None = None,
        ax: Axes | None = None,
    ) -> ForecastDisplay:
        """Forecast and draw.

        Parameters
        ----------
        estimator : TransformerForecaster
            Fitted.
        df, horizon, past, future, static
            As in its predict.
        level : float or sequence of float in [1, 100), optional
            Bands to draw, in per cent; by default 80 and 95, and none with head="point". () is none.
        series : str or sequence, optional
            Ids of a long frame or of a MultiIndex, or columns of a wide frame, to draw; needed beyond six.
        n_history : int, optional
            Time points of the history to draw; by default five horizons.
        ax : matplotlib Axes, optional
            Where to draw one series.

        Returns
        -------
        ForecastDisplay
        """
        horizon = estimator._checked_horizon(horizon)
        n_history = 5 * horizon if n_history is None else n_history
        histories, given = estimator._histories(df, Given(past, future, static))
        units = _selected(_names(histories), [series] if isinstance(series, str) else series)
        if level is None:
            level = () if estimator.head == "point" else (80, 95)
        levels = np.atleast_1d(level).tolist()
        forecast = estimator._forecast(histories, given, horizon, quantiles_of(levels))
        return cls([_panel(unit, histories, forecast, levels, n_history) for unit in units]).plot(ax)

    def plot(self, ax: Axes | None = None) -> ForecastDisplay:
        """Draw the panels, on `ax` where there is one."""
        if ax is not None and len(self.panels) > 1:
            raise ValueError(f"ax takes one series. Got {len(self.panels)}; choose one with series=, or leave ax out.")
        axes = _new_axes(len(self.panels)) if ax is None else [ax]
        for panel, panel_ax in zip(self.panels, axes, strict=True):
            panel.plot(panel_ax)
        axes[0].legend(loc="best", frameon=False, fontsize=8)
        self.figure_: Figure = axes[0].figure  # type: ignore[assignment]
        self.axes_: list[Axes] = axes
        return self


def require_matplotlib() -> Any:
    """Return matplotlib's pyplot; ImportError that names the remedy where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install matplotlib.") from error
    return pyplot


def _new_axes(n: int) -> list[Axes]:
    """Axes under each other, in two columns from three on."""
    plt = require_matplotlib()
    n_columns = 1 if n < 3 else 2
    n_rows = -(-n // n_columns)
    size = (8.0 if n_columns == 1 else 11.0, 1.2 + 2.4 * n_rows)
    _, grid = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    axes: list[Axes] = list(grid.flat)
    for unused in axes[n:]:
        unused.remove()
    return axes[:n]


def _write_dates_short(ax: Axes) -> None:
    """Label times without repeating the year in each label, so that labels do not overlap."""
    from matplotlib import dates

    locator = dates.AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _names(histories: SeriesSet) -> list[Hashable]:
    """What users call each series: its id, its column where there are no ids, or both where there are several."""
    columns = histories.names
    if histories.ids[0] is None:
        return columns
    if len(columns) == 1:
        return list(histories.ids)
    return [(id, column) for id in histories.ids for column in columns]


def _selected(names: list[Hashable], series: Sequence[Hashable] | None) -> list[int]:
    """Positions of the series to draw."""
    if series is None:
        if len(names) > MAX_PANELS:
            raise ValueError(
                f"series must name the series to draw where there are more than {MAX_PANELS}. Got none of "
                f"{len(names)}: {', '.join(map(quoted, names[:3]))} and so on."
            )
        return list(range(len(names)))
    if unknown := [name for name in series if name not in names]:
        raise ValueError(f"series must be among the series forecast. Got {unknown}; there are {names[:10]}.")
    return [names.index(name) for name in series]


def _panel(
    unit: int, histories: SeriesSet, forecast: Forecast, level: Sequence[float], n_history: int
) -> ForecastPanel:
    code, channel = divmod(unit, len(histories.names))
    id, column = histories.ids[code], histories.names[channel]
    times = future_times(histories, forecast.point.shape[1])[code]
    index = _for_axis(times)
    history = pd.Series(histories.values[code][:, channel], index=_for_axis(histories.times[code]), name=column)
    bands = {}
    for percent in level:
        low, high = (forecast.quantiles[quantile][unit] for quantile in quantiles_of([percent]))
        bands[percent] = pd.DataFrame({"low": low, "high": high}, index=index)
    point = pd.Series(forecast.point[unit], index=index)
    return ForecastPanel("" if id is None else str(id), history[-n_history:], point, bands)


def _for_axis(times: Any) -> pd.Index:
    return times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times
