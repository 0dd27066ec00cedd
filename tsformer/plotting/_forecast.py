"""ForecastDisplay: series with their forecasts and bands."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tsformer.data.forecasts import Forecast, future_times, numbers_in, quantiles_of
from tsformer.data.frames import SeriesSet
from tsformer.data.messages import quoted
from tsformer.estimators._covariates import Frame, Given
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.params import checked_count
from tsformer.plotting._figures import broken, check_kind, drawn, for_axis, legend_above, write_dates_short

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

    def plot(self, ax: Axes) -> Axes:
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
        ax.set_title(broken(self.name, 30), loc="left", fontsize=10)
        ax.set_ylabel(broken(str(self.history.name), 25) if self.history.name is not None else "")
        ax.margins(x=0.01)
        if isinstance(self.history.index, pd.DatetimeIndex):
            write_dates_short(ax, self.history.index)
        ax.spines[["top", "right"]].set_visible(False)
        return ax


@dataclass(repr=False)
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
        check_kind(estimator, TransformerForecaster)
        horizon = estimator._checked_horizon(horizon)
        n_history = 5 * horizon if n_history is None else checked_count(n_history, "n_history")
        histories, given = estimator._histories(df, Given(past, future, static))
        units = selected(names_of(histories), series)
        if level is None:
            level = () if estimator.head == "point" else (80, 95)
        levels = numbers_in(level, "level", [80, 95])
        forecast = estimator._forecast(histories, given, horizon, quantiles_of(levels))
        return cls([panel_of(unit, histories, forecast, levels, n_history) for unit in units]).plot(ax)

    def plot(self, ax: Axes | None = None) -> ForecastDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = drawn(self.panels, ax)
        legend_above(self.axes_[0])
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def names_of(histories: SeriesSet) -> list[Hashable]:
    """What users call each series: its id, its column where there are no ids, or both where there are several."""
    columns = histories.names
    if histories.ids[0] is None:
        return columns
    if len(columns) == 1:
        return list(histories.ids)
    return [(id, column) for id in histories.ids for column in columns]


def selected(names: list[Hashable], series: Sequence[Hashable] | str | None) -> list[int]:
    """Positions of the series to draw."""
    is_name = isinstance(series, tuple) and series in names
    if is_name or isinstance(series, str) or (series is not None and not pd.api.types.is_list_like(series)):
        series = [series]
    if series is None:
        if len(names) > MAX_PANELS:
            raise ValueError(
                f"series must name the series to draw where there are more than {MAX_PANELS}. Got none of "
                f"{len(names)}: {', '.join(map(quoted, names[:3]))} and so on."
            )
        return list(range(len(names)))
    unknown = [name for name in series if name not in names]
    if unknown or not len(series):
        raise ValueError(f"series must be among the series forecast. Got {unknown}; there are {names[:10]}.")
    return [names.index(name) for name in series]


def panel_of(
    unit: int, histories: SeriesSet, forecast: Forecast, level: Sequence[float], n_history: int
) -> ForecastPanel:
    code, channel = divmod(unit, len(histories.names))
    id, column = histories.ids[code], histories.names[channel]
    times = future_times(histories, forecast.point.shape[1])[code]
    index = for_axis(times)
    history = pd.Series(histories.values[code][:, channel], index=for_axis(histories.times[code]), name=column)
    bands = {}
    for percent in level:
        low, high = (forecast.quantiles[quantile][unit] for quantile in quantiles_of([percent]))
        bands[percent] = pd.DataFrame({"low": low, "high": high}, index=index)
    point = pd.Series(forecast.point[unit], index=index)
    return ForecastPanel("" if id is None else str(id), history[-n_history:], point, bands)
