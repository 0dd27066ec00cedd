"""What predictions looked at: a fitted estimator and its data in, series above the attention they got out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from tsformer.data.batch import Minibatches
from tsformer.data.cases import Cases
from tsformer.data.frames import SeriesSet, of_units
from tsformer.estimators.checks import channel_names, read_like_fit
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.forecasting import forecast_ahead, windows_to_forecast
from tsformer.estimators.histories import Frame, read_histories
from tsformer.inspection import attention_over_history, attention_over_time, check_kind, occlusion, occlusion_over_time
from tsformer.plotting.axes import (
    MAX_CHANNELS,
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
    some_channels,
    split,
)
from tsformer.plotting.forecast import ForecastPanel, names_of, panel_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EQUAL_SHARES = "attention\n(1 = equal share)"


@dataclass(frozen=True)
class CaseAttention:
    """A classified case, the attention that its time points receive, and what channels and stretches are worth."""

    name: str  # position or id of the case, with what was predicted
    series: pd.DataFrame  # a column for each channel; the index holds times, or counts time points from 0
    attention: NDArray[np.float64]  # of each time point, in equal shares: 1 is that of all observed ones alike
    probability_drop: NDArray[np.float64]  # of each channel, as of `occlusion`
    drop_over_time: NDArray[np.float64]  # of each time point, as of `occlusion_over_time`
    scale: tuple[float, float]  # of both drops, for all cases of a picture

    def plot(self, ax: Axes) -> Axes:
        """Draw the channels one above the other in place of `ax`, over time below, bars of their worth beside."""
        n_channels = self.series.shape[1]
        channels = np.sort(np.argsort(-np.abs(self.probability_drop), kind="stable")[:MAX_CHANNELS])
        series_ax, attention_ax, drop_ax, *beside = split(ax, (3, 1, 1), (5, 1) if n_channels > 1 else (1,))
        title = ", ".join(filter(None, [self.name, some_channels(len(channels), n_channels)]))
        series_ax.set_title(broken(title, 70), loc="left", fontsize=TITLE_SIZE)
        if beside:
            self._plot_channels(series_ax, beside[0], channels)
        else:
            draw_line(series_ax, self.series.iloc[:, 0], color="0.25", lw=1.0)
        times: Any = self.series.index  # dates too
        attention_ax.fill_between(times, self.attention, step="mid", color="C0", alpha=0.5, lw=0)
        attention_ax.axhline(1.0, color="0.5", lw=0.8, ls=":")
        attention_ax.set_ylim(0.0, 1.1 * max(1.0, self.attention.max()))
        attention_ax.set_ylabel(EQUAL_SHARES, fontsize=7)
        drop_ax.fill_between(times, self.drop_over_time, step="mid", color="C1", lw=0)
        drop_ax.axhline(0.0, color="0.5", lw=0.8)
        drop_ax.set_ylim(*self.scale)
        drop_ax.set_ylabel("probability lost\nwithout it", fontsize=7)
        label_times(drop_ax, times)
        return series_ax

    def _plot_channels(self, ax: Axes, bar_ax: Axes, channels: NDArray[np.int64]) -> None:
        rows = np.arange(len(channels))[::-1]
        for row, channel in zip(rows, channels, strict=True):
            values = self.series.iloc[:, channel]
            low, high = values.min(), values.max()
            around_0 = 0.8 * (values - (low + high) / 2) / (high - low if high > low else 1.0)
            draw_line(ax, row + around_0, color="0.25", lw=1.0)
        ax.set_yticks(rows, [broken(str(channel), 20) for channel in self.series.columns[channels]])

        drop = self.probability_drop[channels]
        bar_ax.barh(rows, drop, height=0.5, color="C1")
        bar_ax.axvline(0.0, color="0.5", lw=0.8)
        what = bar_ax.set_xlabel("probability lost\nwithout it", fontsize=8, loc="right")
        what.set_in_layout(False)  # what is under it is free
        bar_ax.set_xticks([])
        bar_ax.set_xlim(*self.scale)
        bar_ax.set_ylim(ax.get_ylim())
        bar_ax.set_yticks(rows, [f"{each:z.3f}" for each in drop], fontsize=8)
        bar_ax.tick_params(left=False)
        bar_ax.spines[["bottom", "left"]].set_visible(False)


@dataclass(frozen=True)
class ForecastAttention:
    """A forecast and the attention that each patch of it pays to the history that it was made from."""

    panel: ForecastPanel  # what the encoder read, and the forecast
    attention: pd.DataFrame  # a row for each patch, a column for each time of the history, in equal shares

    def plot(self, ax: Axes) -> Axes:
        """Draw history and forecast in place of `ax`, and under them a row of attention for each patch."""
        series_ax, map_ax = split(ax, (3, 2), (1,))
        self.panel.plot(series_ax).set_xlabel("")  # the map below says it
        legend_above(series_ax)
        times: Any = self.attention.columns  # dates too
        # Each patch as two halves, since a mesh knows no height of a single row.
        halves = 0.75 + np.arange(2 * len(self.attention)) / 2
        values = self.attention.to_numpy().repeat(2, axis=0)
        most = max(2.0, values.max())  # so that equal shares are pale
        mesh = map_ax.pcolormesh(times, halves, values, shading="nearest", cmap="Blues", vmin=0.0, vmax=most)
        map_ax.invert_yaxis()
        map_ax.locator_params(axis="y", integer=True, min_n_ticks=1)
        map_ax.set_ylabel("patch of\nforecast", fontsize=8)
        label_times(map_ax, times)
        bar = map_ax.figure.colorbar(mesh, ax=[series_ax, map_ax], aspect=40, pad=0.01)
        bar.set_label(EQUAL_SHARES, fontsize=8)
        return series_ax


@dataclass(repr=False)
class AttentionDisplay:
    """Predictions with what they looked at: the classes of cases, or forecasts, a panel each.

    `tsformer.inspection` has the numbers.

    Parameters
    ----------
    panels : list of CaseAttention or list of ForecastAttention
    title : str, default=""
        Of the whole picture, where it shows a page of many.

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, list of Axes

    Notes
    -----
    Attention says where a network took in what it worked on, not that its answer hangs on it. A token stands for a
    stretch of time points (in a convolutional stem its stride); what it holds also comes from the neighbours that the
    convolutions reach.

    What the answer hangs on is tried out: each channel, and each tenth of the time, is hidden in turn, as missing
    values are, and bars show how much the probability of the predicted class falls. Of two channels or stretches that
    tell the same, neither is missed.
    """

    panels: list[CaseAttention] | list[ForecastAttention]
    title: str = ""

    @classmethod
    def from_estimator(
        cls,
        estimator: TransformerClassifier | TransformerForecaster,
        X: Any = None,
        *,
        horizon: int | None = None,
        future: Frame | None = None,
        series: Names = None,
        page: int = 1,
        ax: Axes | None = None,
    ) -> AttentionDisplay:
        """Predict and draw.

        Parameters
        ----------
        estimator : TransformerClassifier or TransformerForecaster
            Fitted.
        X : array-like, list of arrays, Series or DataFrame
            Of a classifier, cases as in its predict. Of a forecaster, histories; by default those of fit.
        horizon, future
            As in the forecaster's predict.
        series : str or sequence, optional
            Series of a forecast to draw, as in `ForecastDisplay.from_estimator`; by default all.
        page : int, default=1
            Which six of the cases or series to draw, where there are more.
        ax : matplotlib Axes, optional
            Place in a grid of subplots for one case or series; axes for the parts of the picture replace it.
        """
        check_kind(estimator, TransformerClassifier, TransformerForecaster)
        if isinstance(estimator, TransformerForecaster):
            histories = read_histories(estimator, X)
            units, title = page_of(positions_of(names_of(histories), series, "series forecast"), page, "series")
            return cls(_forecasts_seen(estimator, *of_units(histories, units), horizon, future), title).plot(ax)
        check_is_fitted(estimator, "model_")
        if X is None:
            raise ValueError("X must hold the cases to draw, as in predict. Got None.")
        cases = read_like_fit(estimator, X)
        numbers, title = page_of(range(len(cases)), page, "cases")
        return cls(_cases_seen(estimator, cases.subset(np.array(numbers)), numbers), title).plot(ax)

    def plot(self, ax: Axes | None = None) -> AttentionDisplay:
        """Draw the panels, on `ax` where there is one."""
        height = 4.6 if isinstance(self.panels[0], CaseAttention) else 4.0
        self.axes_: list[Axes] = drawn(self.panels, ax, self.title, height=height)
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def _cases_seen(classifier: TransformerClassifier, cases: Cases, numbers: list[int]) -> list[CaseAttention]:
    received, drop, over_time = (of(classifier, cases) for of in (attention_over_time, occlusion, occlusion_over_time))
    lost = np.append(over_time, drop if cases.n_channels > 1 else 0.0)
    scale = min(0.0, 1.1 * float(lost.min())), max(0.1, 1.1 * float(lost.max()))  # next to nothing should look so
    columns = channel_names(classifier, "channel ") if cases.n_channels > 1 else [""]
    panels = []
    each = zip(classifier.predict_proba(cases), Minibatches(cases.data, 1), strict=True)
    for case, (probability, batch) in enumerate(each):
        name = f"case {numbers[case] if cases.ids is None else cases.ids[case]}"
        name += f": class {classifier.classes_[probability.argmax()]}, probability {probability.max():.2f}"
        observed = batch.observed[0].numpy()
        seen = np.flatnonzero(observed.any(axis=1))
        times = _times_of(cases, case, int(seen[-1]) + 1)
        values = np.where(observed, batch.x[0], np.nan)
        shares = received[case, : len(times)] * len(seen)
        series, falls = pd.DataFrame(values, times, columns), over_time[case, : len(times)]
        panels.append(CaseAttention(name, series, shares, drop[case], falls, scale))
    return panels


def _times_of(cases: Cases, case: int, n_timepoints: int) -> pd.Index[Any]:
    """The times of a case where its frame has such as can be drawn, or else their numbers."""
    numbers = pd.RangeIndex(n_timepoints)
    times = numbers if cases.times is None else for_axis(cases.times[case][:n_timepoints])
    return times if isinstance(times, pd.DatetimeIndex) or pd.api.types.is_numeric_dtype(times.dtype) else numbers


def _forecasts_seen(
    forecaster: TransformerForecaster,
    histories: SeriesSet,
    units: list[int],
    horizon: int | None,
    future: Frame | None,
) -> list[ForecastAttention]:
    forecast = forecast_ahead(forecaster, histories, horizon, future)
    received = attention_over_history(forecaster, histories, horizon, future)
    windows = windows_to_forecast(forecaster, histories, forecast.point.shape[1], future)
    n_observed = [int(observed.any(dim=-1).sum()) for window in windows for observed in window.observed]
    panels = []
    for unit in units:
        panel = panel_of(unit, histories, forecast, forecaster.lengths_.context)
        shares = received[unit, :, -len(panel.history) :] * n_observed[unit]
        panels.append(ForecastAttention(panel, pd.DataFrame(shares, columns=panel.history.index)))
    return panels
