"""Pictures of fitted estimators, displays made by `from_estimator` as in scikit-learn; they need matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from tsformer.data.anomalies import Anomaly
from tsformer.data.batch import Minibatches
from tsformer.data.cases import Cases
from tsformer.data.forecasts import Forecast, future_times, quantiles_of, requested_quantiles
from tsformer.data.frames import SeriesSet
from tsformer.data.messages import quoted
from tsformer.data.recordings import Recordings
from tsformer.estimators.checks import channel_names, read_like_fit
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.detector import TransformerDetector, explained, recordings_of
from tsformer.estimators.forecaster import TransformerForecaster, forecast_series
from tsformer.estimators.forecasting import Frame, windows_to_forecast
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.estimators.reasons import table_of
from tsformer.inspection import attention_over_history, attention_over_time, check_kind, occlusion
from tsformer.params import checked_count
from tsformer.training.neighbours import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 6
MAX_CHANNELS = 8  # drawn of a case, or of a series with anomalies
MAX_NEAR = 4  # anomalies of a series that are drawn from near
EQUAL_SHARES = "attention\n(1 = equal share)"

Names = Sequence[Hashable] | str | None


@dataclass(repr=False)
class HistoryDisplay:
    """The course of training: the loss by the step, and the validation loss where there is one, for each network.

    Parameters
    ----------
    history : DataFrame
        Columns network, step, loss and maybe validation_loss.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure, Axes

    Notes
    -----
    The training loss is measured on altered series, with dropped branches and weights on their way, the validation
    loss on series as they are and the weights that would be kept: it may be the lower one. After `refit` the history
    is that of the last training, on all cases, without a validation loss.
    """

    history: pd.DataFrame

    @classmethod
    def from_estimator(
        cls, estimator: TransformerClassifier | TransformerForecaster | TransformerPretrainer, *, ax: Axes | None = None
    ) -> HistoryDisplay:
        """Draw the `history_` of a fitted estimator, on `ax` where there is one."""
        check_kind(estimator, TransformerClassifier, TransformerForecaster, TransformerPretrainer)
        check_is_fitted(estimator, "history_")
        if not estimator.history_.get("step"):
            raise ValueError(
                f"HistoryDisplay draws the course of training. Got a {type(estimator).__name__} that took no step: "
                "n_estimators=0 and max_steps=0 train nothing."
            )
        return cls(pd.DataFrame({"network": 0} | estimator.history_)).plot(ax)

    def plot(self, ax: Axes | None = None) -> HistoryDisplay:
        """Draw a line for each network, a dashed one for its validation loss."""
        (ax,) = _new_axes(1) if ax is None else [ax]
        networks = self.history.groupby("network")
        for i, (network, rows) in enumerate(networks):
            of = f", network {network}" if len(networks) > 1 else ""
            look: Any = {"color": f"C{i}", "marker": "." if len(self.history) < 30 else None}
            ax.plot(rows["step"], rows["loss"], label=f"training{of}", **look)
            if "validation_loss" in rows:
                ax.plot(rows["step"], rows["validation_loss"], ls="--", label=f"validation{of}", **look)
        ax.set_xlabel("optimiser step")
        ax.locator_params(axis="x", integer=True)
        ax.set_ylabel("loss, mean of an epoch")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="best", frameon=False, fontsize=8)
        self.ax_: Axes = ax
        self.figure_: Figure = ax.figure  # type: ignore[assignment]
        return self


@dataclass(frozen=True)
class ForecastPanel:
    """One series and its forecast."""

    name: str  # empty where there is but one series, without a name
    history: pd.Series
    point: pd.Series
    bands: dict[float, pd.DataFrame]  # for each level in per cent, the columns "low" and "high"

    def plot(self, ax: Axes) -> Axes:
        """Draw history, forecast and bands, the widest band palest."""
        for i, (level, band) in enumerate(sorted(self.bands.items(), reverse=True)):
            look: Any = {"color": "C0", "alpha": 0.18 + 0.2 * i / max(1, len(self.bands) - 1), "lw": 0}
            ax.fill_between(band.index, band["low"], band["high"], label=f"{level:g} % band", **look)
        marker = "." if len(self.history) + len(self.point) < 60 else None
        ax.plot(self.history, color="0.25", lw=1.2, marker=marker, label="history")
        ax.plot(self.point, color="C0", lw=1.6, marker=marker, label="forecast")
        ax.set_title(_broken(self.name, 30), loc="left", fontsize=10)
        ax.set_ylabel("" if self.history.name is None else _broken(str(self.history.name), 25))
        ax.margins(x=0.01)
        _label_times(ax, self.history.index)
        ax.spines[["top", "right"]].set_visible(False)
        return ax


@dataclass(repr=False)
class ForecastDisplay:
    """Series with their forecasts and bands, a panel each.

    Parameters
    ----------
    panels : list of ForecastPanel

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, list of Axes
    """

    panels: list[ForecastPanel]

    @classmethod
    def from_estimator(
        cls,
        estimator: TransformerForecaster,
        df: Frame | None = None,
        *,
        horizon: int | None = None,
        future: Frame | None = None,
        level: Sequence[float] | float | None = None,
        series: Names = None,
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
        level : float or sequence of float in [1, 100), optional
            Bands to draw, in per cent; by default 80 and 95, and none with head="point". () is none.
        series : str or sequence, optional
            Ids of a long frame or of a MultiIndex, or columns of a wide frame, to draw; needed beyond six.
        n_history : int, optional
            Time points of the history to draw; by default five horizons.
        ax : matplotlib Axes, optional
            Where to draw one series.
        """
        check_kind(estimator, TransformerForecaster)
        if level is None:
            level = () if estimator.head == "point" else (80, 95)
        quantiles, levels = requested_quantiles(None, level)
        horizon = estimator.horizon if horizon is None else checked_count(horizon, "horizon")
        n_history = 5 * horizon if n_history is None else checked_count(n_history, "n_history")
        histories, forecast = forecast_series(estimator, df, horizon, future, quantiles)
        units = _selected(histories, series)
        return cls([_panel_of(unit, histories, forecast, n_history, levels or []) for unit in units]).plot(ax)

    def plot(self, ax: Axes | None = None) -> ForecastDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = _drawn(self.panels, ax)
        _legend_above(self.axes_[0])
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def _selected(histories: SeriesSet, series: Names) -> list[int]:
    """Positions of the series to draw: by id, by column where there are no ids, or by both as a tuple."""
    names: list[Any] = histories.names
    if histories.ids[0] is not None:
        names = list(histories.ids) if len(names) == 1 else [(id, name) for id in histories.ids for name in names]
    return _chosen(names, series, "series forecast")


def _chosen(names: list[Any], series: Names, of: str) -> list[int]:
    """Positions of the names chosen; all where none is."""
    if series is None and len(names) > MAX_PANELS:
        raise ValueError(
            f"series must name the series to draw where there are more than {MAX_PANELS}. Got none of {len(names)}: "
            f"{', '.join(map(quoted, names[:3]))} and so on."
        )
    if series is None:
        return list(range(len(names)))
    is_name = not pd.api.types.is_list_like(series) or (isinstance(series, tuple) and series in names)
    chosen = [series] if is_name else list(series)
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise ValueError(f"series must be among the {of}. Got {unknown}; there are {names[:10]}.")
    return [names.index(name) for name in chosen]


def _panel_of(
    unit: int, histories: SeriesSet, forecast: Forecast, n_history: int, levels: Sequence[float] = ()
) -> ForecastPanel:
    code, channel = divmod(unit, len(histories.names))
    id, column = histories.ids[code], histories.names[channel]
    index = _for_axis(future_times(histories, forecast.point.shape[1])[code])
    history = pd.Series(histories.values[code][:, channel], index=_for_axis(histories.times[code]), name=column)
    bands = {}
    for level in levels:
        low, high = (forecast.quantiles[quantile][unit] for quantile in quantiles_of([level]))
        bands[level] = pd.DataFrame({"low": low, "high": high}, index=index)
    point = pd.Series(forecast.point[unit], index=index)
    return ForecastPanel("" if id is None else str(id), history[-n_history:], point, bands)


@dataclass(frozen=True)
class CaseAttention:
    """A classified case, the attention that its time points receive, and what each channel is worth."""

    name: str  # position or id of the case, with what was predicted
    series: pd.DataFrame  # a column for each channel; the index holds times, or counts time points from 0
    attention: NDArray[np.float64]  # of each time point, in equal shares: 1 is that of all observed ones alike
    probability_drop: NDArray[np.float64]  # of each channel, as of `occlusion`
    scale: tuple[float, float]  # of the axis of `probability_drop`, for all cases of a picture

    def plot(self, ax: Axes) -> Axes:
        """Draw the channels one above the other in place of `ax`, attention below, bars of their worth beside."""
        n_channels = self.series.shape[1]
        channels = np.sort(np.argsort(-np.abs(self.probability_drop), kind="stable")[:MAX_CHANNELS])
        series_ax, attention_ax, *beside = _split(ax, (3, 1), (5, 1) if n_channels > 1 else (1,))
        left_out = f", {len(channels)} of {n_channels} channels" if len(channels) < n_channels else ""
        series_ax.set_title(_broken(self.name + left_out, 70), loc="left", fontsize=10)
        if beside:
            self._plot_channels(series_ax, beside[0], channels)
        else:
            series_ax.plot(self.series, color="0.25", lw=1.0)
        times: Any = self.series.index  # dates too
        attention_ax.fill_between(times, self.attention, step="mid", color="C0", alpha=0.5, lw=0)
        attention_ax.axhline(1.0, color="0.5", lw=0.8, ls=":")
        attention_ax.set_ylim(0.0, 1.1 * max(1.0, self.attention.max()))
        attention_ax.set_ylabel(EQUAL_SHARES, fontsize=8)
        _label_times(attention_ax, times)
        return series_ax

    def _plot_channels(self, ax: Axes, bar_ax: Axes, channels: NDArray[np.int64]) -> None:
        rows = np.arange(len(channels))[::-1]
        for row, channel in zip(rows, channels, strict=True):
            values = self.series.iloc[:, channel]
            low, high = values.min(), values.max()
            ax.plot(row + 0.8 * (values - (low + high) / 2) / (high - low if high > low else 1.0), color="0.25", lw=1.0)
        ax.set_yticks(rows, [_broken(str(channel), 20) for channel in self.series.columns[channels]])

        drop = self.probability_drop[channels]
        bar_ax.barh(rows, drop, height=0.5, color="C1")
        bar_ax.axvline(0.0, color="0.5", lw=0.8)
        bar_ax.set_xlabel("probability lost\nwithout it", fontsize=8).set_in_layout(False)  # what is under it is free
        bar_ax.set_xticks([])
        bar_ax.set_xlim(*self.scale)
        bar_ax.set_ylim(ax.get_ylim())
        bar_ax.yaxis.tick_right()
        bar_ax.set_yticks(rows, [f"{each:z.3f}" for each in drop], fontsize=8)
        bar_ax.tick_params(right=False)
        bar_ax.spines[["bottom", "left"]].set_visible(False)


@dataclass(frozen=True)
class ForecastAttention:
    """A forecast and the attention that each patch of it pays to the history that it was made from."""

    panel: ForecastPanel  # what the encoder read, and the forecast
    attention: pd.DataFrame  # a row for each patch, a column for each time of the history, in equal shares

    def plot(self, ax: Axes) -> Axes:
        """Draw history and forecast in place of `ax`, and under them a row of attention for each patch."""
        series_ax, map_ax = _split(ax, (3, 2), (1,))
        self.panel.plot(series_ax).set_xlabel("")  # the map below says it
        _legend_above(series_ax)
        times: Any = self.attention.columns  # dates too
        # Each patch as two halves, since a mesh knows no height of a single row.
        halves = 0.75 + np.arange(2 * len(self.attention)) / 2
        values = self.attention.to_numpy().repeat(2, axis=0)
        most = max(2.0, values.max())  # so that equal shares are pale
        mesh = map_ax.pcolormesh(times, halves, values, shading="nearest", cmap="Blues", vmin=0.0, vmax=most)
        map_ax.invert_yaxis()
        map_ax.locator_params(axis="y", integer=True, min_n_ticks=1)
        map_ax.set_ylabel("patch of\nforecast", fontsize=8)
        _label_times(map_ax, times)
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

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, list of Axes

    Notes
    -----
    Attention says where a network took in what it worked on, not that its answer hangs on it. A token stands for a
    stretch of time points (in a convolutional stem its stride); what it holds also comes from the neighbours that the
    convolutions reach.

    Attention says nothing of channels, for a token mixes all of them. So each channel is hidden in turn, as a missing
    value is, and the bars show how much the probability of the predicted class falls. Of two channels that tell the
    same, neither falls.
    """

    panels: list[CaseAttention] | list[ForecastAttention]

    @classmethod
    def from_estimator(
        cls,
        estimator: TransformerClassifier | TransformerForecaster,
        X: Any = None,
        *,
        horizon: int | None = None,
        future: Frame | None = None,
        series: Names = None,
        ax: Axes | None = None,
    ) -> AttentionDisplay:
        """Predict and draw.

        Parameters
        ----------
        estimator : TransformerClassifier or TransformerForecaster
            Fitted.
        X : array-like, list of arrays, Series or DataFrame
            Of a classifier, up to six cases as in its predict. Of a forecaster, histories; by default those of fit.
        horizon, future
            As in the forecaster's predict.
        series : str or sequence, optional
            Series of a forecast to draw, as in `ForecastDisplay.from_estimator`; needed beyond six.
        ax : matplotlib Axes, optional
            Place in a grid of subplots for one case or series; axes for the parts of the picture replace it.
        """
        check_kind(estimator, TransformerClassifier, TransformerForecaster)
        if isinstance(estimator, TransformerForecaster):
            return cls(_forecasts_seen(estimator, X, horizon, future, series)).plot(ax)
        return cls(_cases_seen(estimator, X)).plot(ax)

    def plot(self, ax: Axes | None = None) -> AttentionDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = _drawn(self.panels, ax, height=4.0)
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def _cases_seen(classifier: TransformerClassifier, X: Any) -> list[CaseAttention]:
    check_is_fitted(classifier, "model_")
    if X is None:
        raise ValueError(f"X must hold the cases to draw, at most {MAX_PANELS}, as in predict. Got None.")
    cases = read_like_fit(classifier, X)
    if len(cases) > MAX_PANELS:
        raise ValueError(f"X must hold at most {MAX_PANELS} cases to draw. Got {len(cases)}; choose some, as in X[:2].")
    received, drop = attention_over_time(classifier, X), occlusion(classifier, X)
    scale = min(0.0, float(drop.min())), max(0.1, float(drop.max()))  # next to nothing should look so
    columns = channel_names(classifier, "channel ") if cases.n_channels > 1 else [""]
    panels = []
    each = zip(classifier.predict_proba(X), Minibatches(cases.data, 1), strict=True)
    for case, (probability, batch) in enumerate(each):
        name = f"case {case if cases.ids is None else cases.ids[case]}"
        name += f": class {classifier.classes_[probability.argmax()]}, probability {probability.max():.2f}"
        observed = batch.observed[0].numpy()
        seen = np.flatnonzero(observed.any(axis=1))
        times = _times_of(cases, case, int(seen[-1]) + 1)
        values = np.where(observed, batch.x[0], np.nan)
        shares = received[case, : len(times)] * len(seen)
        panels.append(CaseAttention(name, pd.DataFrame(values, times, columns), shares, drop[case], scale))
    return panels


def _times_of(cases: Cases, case: int, n_timepoints: int) -> pd.Index[Any]:
    """The times of a case where its frame has such as can be drawn, or else their numbers."""
    numbers = pd.RangeIndex(n_timepoints)
    times = numbers if cases.times is None else _for_axis(cases.times[case][:n_timepoints])
    return times if isinstance(times, pd.DatetimeIndex) or pd.api.types.is_numeric_dtype(times.dtype) else numbers


def _forecasts_seen(
    forecaster: TransformerForecaster, df: Frame | None, horizon: int | None, future: Frame | None, series: Names
) -> list[ForecastAttention]:
    histories, forecast = forecast_series(forecaster, df, horizon, future)
    units = _selected(histories, series)
    received = attention_over_history(forecaster, df, horizon, future)
    windows = windows_to_forecast(forecaster, histories, forecast.point.shape[1], future)
    n_observed = [int(observed.any(dim=-1).sum()) for window in windows for observed in window.observed]
    panels = []
    for unit in units:
        panel = _panel_of(unit, histories, forecast, forecaster.lengths_.context)
        shares = received[unit, :, -len(panel.history) :] * n_observed[unit]
        panels.append(ForecastAttention(panel, pd.DataFrame(shares, columns=panel.history.index)))
    return panels


@dataclass(frozen=True)
class AnomalyPanel:
    """A series, how anomalous its time points are, and its anomalies with what was expected there."""

    name: str  # empty where there is but one series, without an id
    series: pd.DataFrame  # a column for each channel
    score: pd.Series
    threshold: float
    anomalies: pd.DataFrame  # of this series, as `TransformerDetector.explain` tells them
    expected: list[pd.DataFrame]  # for each anomaly, in its channel and around it: "expected", "lower" and "upper"

    def plot(self, ax: Axes) -> Axes:
        """Draw in place of `ax` the series, the score below it, and the worst anomalies from near, by number."""
        worst = np.sort(np.argsort(-self.anomalies["score"].to_numpy(), kind="stable")[:MAX_NEAR])
        series_ax, score_ax, *near = _stacked(ax, len(worst))
        series_ax.set_title(_broken(self.name, 30), loc="left", fontsize=10)
        self._plot_series(series_ax)
        score_ax.plot(self.score, color="C3", lw=0.8)
        score_ax.axhline(self.threshold, color="0.3", lw=0.8, ls="--")
        score_ax.annotate(
            "threshold", (1.0, self.threshold), xycoords=("axes fraction", "data"), fontsize=7, va="center"
        )
        score_ax.set_ylabel("anomaly\nscore", fontsize=8)
        _label_times(score_ax, self.series.index)
        self._shade(series_ax, range(len(self.anomalies)))
        self._shade(score_ax, range(len(self.anomalies)))
        for number, (place, near_ax) in enumerate(zip(worst, near, strict=True), 1):
            self._label(series_ax, place, number)
            self._plot_near(near_ax, place, number)
        _legend_above(series_ax, 1.05)  # above the numbers
        return series_ax

    def _plot_series(self, ax: Axes) -> None:
        channels = list(self.series.columns)
        if len(channels) > MAX_CHANNELS:  # those with anomalies first
            odd = list(self.anomalies.sort_values("score", ascending=False)["channel"].unique())
            chosen = [*odd, *(channel for channel in channels if channel not in odd)][:MAX_CHANNELS]
            channels = [channel for channel in channels if channel in chosen]
            ax.set_title(f"{len(channels)} of {self.series.shape[1]} channels", loc="right", fontsize=8)
        one = len(channels) == 1
        for row, channel in enumerate(reversed(channels)):
            values = self.series[channel]
            low, high = values.min(), values.max()
            size = 1.0 if one else (high - low if high > low else 1.0) / 0.8
            shift = 0.0 if one else row - (low + high) / 2 / size
            ax.plot(values / size + shift, color="0.25", lw=0.8, label="value" if row == 0 else None)
            mine = (self.anomalies["channel"] == channel).to_numpy()
            for i, place in enumerate(np.flatnonzero(mine)):
                course = self.expected[place] / size + shift
                self._plot_expected(ax, course, labelled=i == 0 and channel == self.anomalies["channel"].iloc[0])
        ax.set_ylabel("" if not one or isinstance(channels[0], int) else _broken(str(channels[0]), 25))
        if not one:
            ax.set_yticks(range(len(channels)), [_broken(str(channel), 20) for channel in reversed(channels)])

    def _plot_expected(self, ax: Axes, course: pd.DataFrame, *, labelled: bool) -> None:
        label = ["80 % of normal series", "expected"] if labelled else [None, None]
        ax.fill_between(course.index, course["lower"], course["upper"], color="C0", alpha=0.25, lw=0, label=label[0])
        ax.plot(course["expected"], color="C0", lw=1.2, label=label[1])

    def _span(self, place: int) -> tuple[Any, Any]:
        """From half a step before an anomaly to half a step after it."""
        times = self.series.index
        ends = pd.Index(self.anomalies.loc[:, ["start", "end"]].iloc[place])
        first, last = map(int, times.get_indexer(_for_axis(ends)))
        before, after = times[max(0, first - 1)], times[min(len(times) - 1, last + 1)]
        return times[first] - (times[first] - before) / 2, times[last] + (after - times[last]) / 2

    def _shade(self, ax: Axes, places: Iterable[int]) -> None:
        for i, place in enumerate(places):
            ax.axvspan(*self._span(place), color="C3", alpha=0.2, lw=0.8, label="anomaly" if i == 0 else None)

    def _label(self, ax: Axes, place: int, number: int) -> None:
        start, end = self._span(place)
        at = start + (end - start) / 2
        ax.annotate(str(number), (at, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)

    def _plot_near(self, ax: Axes, place: int, number: int) -> None:
        anomaly, course = self.anomalies.iloc[place], self.expected[place]
        times = self.series.index
        first, last = map(int, times.get_indexer(_for_axis(pd.Index([anomaly["start"], anomaly["end"]]))))
        margin = max(2, (last - first) // 4)
        begin, end = map(int, times.get_indexer(course.index[[0, -1]]))
        first, last = max(0, min(first - margin, begin)), max(last + margin, end)
        values = self.series[anomaly["channel"]].iloc[first : last + 1]
        self._plot_expected(ax, course, labelled=False)
        ax.plot(values, color="0.25", lw=1.0, marker="." if len(values) < 40 else None)
        self._shade(ax, [place])
        of = f" of {anomaly['channel']}" if self.series.shape[1] > 1 else ""
        ax.set_title(_broken(f"{number} {anomaly['kind']}{of}", 28), fontsize=8, loc="left")
        ax.tick_params(labelsize=7)
        ax.margins(x=0.0)
        _label_times(ax, values.index, narrow=True)
        ax.set_xlabel("")
        ax.xaxis.get_offset_text().set_fontsize(7)


@dataclass(repr=False)
class AnomalyDisplay:
    """Series with their anomalies, what was expected there, and the scores that tell them; a panel for each series.

    Below each series, up to four anomalies are drawn from near, those of the highest scores, with their kinds.

    Parameters
    ----------
    panels : list of AnomalyPanel

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, list of Axes
    """

    panels: list[AnomalyPanel]

    @classmethod
    def from_estimator(
        cls, estimator: TransformerDetector, X: Any, *, series: Names = None, ax: Axes | None = None
    ) -> AnomalyDisplay:
        """Find anomalies and draw them.

        Parameters
        ----------
        estimator : TransformerDetector
            Fitted.
        X : array-like, Series or DataFrame
            As in its `explain`.
        series : str or sequence, optional
            Ids of the series to draw, or numbers where they have none; needed beyond six.
        ax : matplotlib Axes, optional
            Place in a grid of subplots for one series; axes for the parts of the picture replace it.
        """
        check_kind(estimator, TransformerDetector)
        recordings = recordings_of(estimator, X)
        codes = _chosen(recordings.ids, series, "series")
        panels = [_anomalies_of(estimator, recordings, code) for code in codes]
        return cls(panels).plot(ax)

    def plot(self, ax: Axes | None = None) -> AnomalyDisplay:
        """Draw the panels, on `ax` where there is one."""
        height = 5.2 if any(len(panel.anomalies) for panel in self.panels) else 3.2
        self.axes_: list[Axes] = _drawn(self.panels, ax, height=height, most_columns=1)
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def _anomalies_of(detector: TransformerDetector, recordings: Recordings, code: int) -> AnomalyPanel:
    times, id, scale = _for_axis(recordings.times(code)), recordings.ids[code], detector.normal_.scale
    (score,), (found,) = explained(detector, recordings._replace(values=[recordings.values[code]]))
    all_found = [found if each == code else [] for each in range(len(recordings.values))]
    table = table_of(recordings, all_found, scale, detector.courses_, detector.training_scores_)
    return AnomalyPanel(
        "" if id is None else str(id),
        pd.DataFrame(recordings.values[code], times, recordings.channels),
        pd.Series(score, times),
        -detector.offset_,
        table,
        [_expected(one, times, scale) for one in found],
    )


def _expected(one: Anomaly, times: pd.Index[Any], scale: Scale) -> pd.DataFrame:
    """What was expected around an anomaly, and the band."""
    scaled = np.column_stack([one.zone.expected[:, one.channel], *one.zone.band[:, :, one.channel]])
    values = scaled * scale.unit[one.channel] + scale.center[one.channel]
    return pd.DataFrame(values, times[one.zone.start : one.zone.end], ["expected", "lower", "upper"])


# Axes.


def require_matplotlib() -> Any:
    """Return matplotlib's pyplot; ImportError that names the remedy where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install matplotlib.") from error
    return pyplot


def _drawn(panels: Sequence[Any], ax: Axes | None, *, height: float = 2.4, most_columns: int = 2) -> list[Axes]:
    """Draw the panels, on new axes or the one given, and return those that their series are drawn on."""
    if ax is not None and len(panels) > 1:
        raise ValueError(f"ax takes one panel. Got {len(panels)}; choose one case or series, or leave ax out.")
    axes = _new_axes(len(panels), height, most_columns) if ax is None else [ax]
    return [panel.plot(panel_ax) for panel, panel_ax in zip(panels, axes, strict=True)]


def _new_axes(n: int, height: float = 2.4, most_columns: int = 2) -> list[Axes]:
    """Axes under each other, in two columns, if there may be so many, from three on."""
    n_columns, width = (1, 8.0) if n < 3 or most_columns < 2 else (2, 11.0)
    n_rows = -(-n // n_columns)
    figure = require_matplotlib().figure(figsize=(width, 1.2 + height * n_rows), layout="constrained")
    return [figure.add_subplot(n_rows, n_columns, i + 1) for i in range(n)]


def _split(ax: Axes, heights: tuple[int, int], widths: tuple[int, ...]) -> list[Axes]:
    """Put axes in the place of one: upper left, lower left and, given two widths, upper right; times are shared."""
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("ax must have its place in a grid, as those of matplotlib.pyplot.subplots have.")
    ax.set_axis_off()
    grid = place.subgridspec(2, len(widths), height_ratios=heights, width_ratios=widths, hspace=0.05, wspace=0.05)
    figure: Any = ax.figure
    upper = figure.add_subplot(grid[0, 0])
    upper.tick_params(labelbottom=False)
    upper.margins(x=0.01)
    axes = [upper, figure.add_subplot(grid[1, 0], sharex=upper)]
    if len(widths) > 1:
        axes.append(figure.add_subplot(grid[0, 1]))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return axes


def _stacked(ax: Axes, n_below: int) -> list[Axes]:
    """Put axes in the place of one: a high one, a low one that shares its times, and some side by side under them."""
    place = ax.get_subplotspec()
    if place is None or not n_below:
        return _split(ax, (3, 1), (1,))
    ax.set_axis_off()
    figure: Any = ax.figure
    rows = place.subgridspec(2, 1, height_ratios=(5, 3), hspace=0.1)
    side_by_side = rows[1].subgridspec(1, max(2, n_below), wspace=0.05)
    axes = _split(figure.add_subplot(rows[0]), (3, 1), (1,))
    for i in range(n_below):
        axes.append(figure.add_subplot(side_by_side[0, i]))
        axes[-1].spines[["top", "right"]].set_visible(False)
    return axes


def _label_times(ax: Axes, times: pd.Index[Any], *, narrow: bool = False) -> None:
    """Label numbers, or dates in their own time zone, each with what tells it from others, so that none overlap."""
    if not isinstance(times, pd.DatetimeIndex):
        ax.set_xlabel("time point" if isinstance(times, pd.RangeIndex) else "time")
        few: Any = {"nbins": 3} if narrow else {}
        ax.locator_params(axis="x", integer=pd.api.types.is_integer_dtype(times.dtype), **few)
        return
    from matplotlib import dates

    month, year = ("%b", "%Y") if narrow else ("%b %Y", "")
    locator = dates.AutoDateLocator(minticks=2 if narrow else 3, maxticks=5 if narrow else 7, tz=times.tz)
    formatter = dates.ConciseDateFormatter(
        locator,
        tz=times.tz,
        formats=["%Y", month, "%d %b", "%H:%M", "%H:%M", "%S.%f"],
        zero_formats=["", month, "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", year, "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"],
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    if times.tz is not None:
        ax.set_xlabel(f"time in {times.tz}")


def _for_axis(times: pd.Index[Any]) -> pd.Index[Any]:
    """Return times as matplotlib draws them."""
    return times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times


def _legend_above(ax: Axes, height: float = 1.0) -> None:
    """Put a legend over the axes, where it hides nothing."""
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, height), ncols=4, frameon=False, fontsize=8, columnspacing=1.2)


def _broken(name: str, width: int) -> str:
    """Break a long name into lines, and keep its dollar signs from being taken for formulas."""
    return "\n".join(textwrap.wrap(name, width)).replace("$", r"\$")
