"""Forecasts: a fitted forecaster in, histories with what follows and its bands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from tsformer.data.forecast_columns import quantiles_of
from tsformer.data.forecasts import Forecast, future_times, requested_quantiles
from tsformer.data.frames import SeriesSet, of_units
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.forecasting import forecast_ahead
from tsformer.estimators.histories import Frame, read_histories
from tsformer.inspection import check_kind
from tsformer.params import checked_count
from tsformer.plotting.axes import (
    TITLE_SIZE,
    Names,
    broken,
    draw_line,
    drawn,
    for_axis,
    label_times,
    legend_above,
    page_of,
    positions_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ON_A_PAGE = 12


@dataclass(frozen=True)
class ForecastPanel:
    """One series and its forecast."""

    name: str  # empty where there is but one series, without a name
    history: pd.Series
    point: pd.Series
    bands: dict[float, pd.DataFrame]  # for each level in per cent, the columns "low" and "high"
    other: pd.Series | None = None  # the forecast with other covariates

    def plot(self, ax: Axes) -> Axes:
        """Draw history, forecast and bands, the widest band palest."""
        for i, (level, band) in enumerate(sorted(self.bands.items(), reverse=True)):
            look: Any = {"color": "C0", "alpha": 0.18 + 0.2 * i / max(1, len(self.bands) - 1)}
            look |= {"lw": 0} if len(band) > 1 else {"lw": 6, "capstyle": "butt"}  # of one time, no more than a line
            ax.fill_between(band.index, band["low"], band["high"], label=f"{level:g} % band", **look)
        few = len(self.history) + len(self.point) < 60
        draw_line(ax, self.history, marked=few, color="0.25", lw=1.2, label="history")
        draw_line(ax, self.point, marked=few, color="C0", lw=1.6, label="forecast")
        if self.other is not None:
            draw_line(ax, self.other, marked=few, color="C1", lw=1.6, ls="--", label="with other covariates")
        ax.set_title(broken(self.name, 40), loc="left", fontsize=TITLE_SIZE)
        ax.set_ylabel("" if self.history.name is None else broken(str(self.history.name), 25))
        ax.margins(x=0.01)
        label_times(ax, self.history.index)
        ax.spines[["top", "right"]].set_visible(False)
        return ax


@dataclass(repr=False)
class ForecastDisplay:
    """Series with their forecasts and bands, a panel each.

    Parameters
    ----------
    panels : list of ForecastPanel
    title : str, default=""
        Of the whole picture, where it shows a page of many.

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, list of Axes
    """

    panels: list[ForecastPanel]
    title: str = ""

    @classmethod
    def from_estimator(
        cls,
        estimator: TransformerForecaster,
        df: Frame | None = None,
        *,
        horizon: int | None = None,
        future: Frame | None = None,
        other_future: Frame | None = None,
        level: Sequence[float] | float | None = None,
        series: Names = None,
        page: int = 1,
        n_history: int | None = None,
        ax: Axes | None = None,
    ) -> ForecastDisplay:
        """Forecast and draw.

        Parameters
        ----------
        estimator : TransformerForecaster
            Fitted.
        df, horizon, future
            As in its predict.
        other_future : DataFrame, optional
            Rows as those of `future`, with other values of the covariates. What is forecast with them is drawn dashed:
            the difference is what the covariates do.
        level : float or sequence of float in [1, 100), optional
            Bands to draw, in per cent; by default 80 and 95, and none with head="point". () is none.
        series : str or sequence, optional
            Ids of a long frame or of a MultiIndex, or columns of a wide frame, to draw; by default all.
        page : int, default=1
            Which twelve of the series to forecast and draw, where there are more.
        n_history : int, optional
            Time points of the history to draw; by default five horizons.
        ax : matplotlib Axes, optional
            Where to draw one series.
        """
        check_kind(estimator, TransformerForecaster)
        if level is None:
            level = () if estimator.head == "point" else (80, 95)
        quantiles, levels = requested_quantiles(None, level)
        histories = read_histories(estimator, df)
        units, title = page_of(positions_of(names_of(histories), series, "series forecast"), page, "series", ON_A_PAGE)
        histories, units = of_units(histories, units)
        horizon = estimator.horizon if horizon is None else checked_count(horizon, "horizon")
        n_history = 5 * horizon if n_history is None else checked_count(n_history, "n_history")
        forecast = forecast_ahead(estimator, histories, horizon, future, quantiles)
        panels = [panel_of(unit, histories, forecast, n_history, levels or []) for unit in units]
        if other_future is not None:
            other = forecast_ahead(estimator, histories, horizon, other_future).point
            panels = [
                replace(panel, other=pd.Series(other[unit], panel.point.index))
                for unit, panel in zip(units, panels, strict=True)
            ]
        return cls(panels, title).plot(ax)

    def plot(self, ax: Axes | None = None) -> ForecastDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = drawn(self.panels, ax, self.title, most_columns=3)
        legend_above(self.axes_[0])
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def names_of(histories: SeriesSet) -> list[Any]:
    """What each series is called: by id, by column where there are no ids, or by both as a tuple."""
    names: list[Any] = histories.names
    if histories.ids[0] is not None:
        names = list(histories.ids) if len(names) == 1 else [(id, name) for id in histories.ids for name in names]
    return names


def panel_of(
    unit: int, histories: SeriesSet, forecast: Forecast, n_history: int, levels: Sequence[float] = ()
) -> ForecastPanel:
    """One series with its forecast, and a band for each level, of which the forecast has the quantiles."""
    code, channel = divmod(unit, len(histories.names))
    id, column = histories.ids[code], histories.names[channel]
    index = for_axis(future_times(histories, forecast.point.shape[1])[code])
    history = pd.Series(histories.values[code][:, channel], index=for_axis(histories.times[code]), name=column)
    bands = {}
    for level in levels:
        low, high = (forecast.quantiles[quantile][unit] for quantile in quantiles_of([level]))
        bands[level] = pd.DataFrame({"low": low, "high": high}, index=index)
    point = pd.Series(forecast.point[unit], index=index)
    return ForecastPanel("" if id is None else str(id), history[-n_history:], point, bands)
