"""Pictures of fitted estimators, drawn by `from_estimator` as in scikit-learn; they need matplotlib."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from tsformer.data.forecasts import future_times, numbers_in, quantiles_of
from tsformer.data.frames import SeriesSet
from tsformer.data.panels import case_ids
from tsformer.data.windows import join, last_windows
from tsformer.data.wording import quoted
from tsformer.estimators._attention import attention_of_forecast, attention_over_time, chance_lost
from tsformer.estimators._cases import channel_names
from tsformer.estimators._covariates import Frame, Given
from tsformer.estimators._fitting import resolve_device
from tsformer.estimators._forecasting import Forecast
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster, _checked_count
from tsformer.estimators.pretrainer import TransformerPretrainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 6
MAX_CHANNELS = 8  # drawn of a case
EQUAL_SHARES = "attention\n(1 = equal share)"


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
        ax.set_title(self.name, loc="left", fontsize=10)
        ax.set_ylabel(str(self.history.name) if self.history.name is not None else "")
        ax.margins(x=0.01)
        if isinstance(self.history.index, pd.DatetimeIndex):
            _write_dates_short(ax)
        ax.spines[["top", "right"]].set_visible(False)
        return ax


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
        _check_kind(estimator, TransformerForecaster)
        horizon = estimator._checked_horizon(horizon)
        n_history = 5 * horizon if n_history is None else _checked_count(n_history, "n_history")
        histories, given = estimator._histories(df, Given(past, future, static))
        units = _selected(_names(histories), series)
        if level is None:
            level = () if estimator.head == "point" else (80, 95)
        levels = numbers_in(level, "level", [80, 95])
        forecast = estimator._forecast(histories, given, horizon, quantiles_of(levels))
        return cls([_panel(unit, histories, forecast, levels, n_history) for unit in units]).plot(ax)

    def plot(self, ax: Axes | None = None) -> ForecastDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = _drawn(self.panels, ax)
        self.axes_[0].legend(loc="best", framealpha=0.85, edgecolor="none", fontsize=8)  # read where it lies on a line
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


@dataclass(frozen=True)
class CaseAttention:
    """A classified case, the attention that its time points receive, and what each channel is worth.

    Parameters
    ----------
    name : str
        Position of the case, or its id where the frame has ids, with what was predicted.
    series : DataFrame
        A column for each channel, a row for each time point.
    attention : ndarray of shape (n_timepoints,)
        In equal shares: 1 where a time point receives as much as it would if all observed ones received the same.
    lost : ndarray of shape (n_channels,)
        How much the probability of the predicted class falls when a channel is hidden.
    """

    name: str
    series: pd.DataFrame
    attention: NDArray[np.float64]
    lost: NDArray[np.float64]

    def plot(self, ax: Axes) -> Axes:
        """Draw the channels one above the other in place of `ax`, attention under them, bars of `lost` beside them."""
        n_channels = self.series.shape[1]
        drawn = np.sort(np.argsort(-np.abs(self.lost), kind="stable")[:MAX_CHANNELS])
        series_ax, attention_ax, *beside = _split(ax, (3, 1), (5, 1) if n_channels > 1 else (1,))
        left_out = f", {len(drawn)} of {n_channels} channels" if len(drawn) < n_channels else ""
        series_ax.set_title(self.name + left_out, loc="left", fontsize=10)
        if n_channels > 1:
            rows = np.arange(len(drawn))[::-1]
            self._plot_channels(series_ax, rows, drawn)
            self._plot_lost(beside[0], rows, drawn)
            beside[0].set_ylim(series_ax.get_ylim())
        else:
            series_ax.plot(self.series, color="0.25", lw=1.0)
        self._plot_attention(attention_ax)
        return series_ax

    def _plot_channels(self, ax: Axes, rows: NDArray[np.int64], drawn: NDArray[np.int64]) -> None:
        for row, channel in zip(rows, drawn, strict=True):
            values = self.series.iloc[:, channel]
            low, high = values.min(), values.max()
            ax.plot(row + 0.8 * (values - (low + high) / 2) / (high - low if high > low else 1.0), color="0.25", lw=1.0)
        ax.set_yticks(rows, self.series.columns[drawn])

    def _plot_attention(self, ax: Axes) -> None:
        ax.fill_between(np.arange(len(self.attention)), self.attention, step="mid", color="C0", alpha=0.5, lw=0)
        ax.axhline(1.0, color="0.5", lw=0.8, ls=":")
        ax.set_ylim(0.0, 1.1 * max(1.0, self.attention.max()))
        ax.set_ylabel(EQUAL_SHARES, fontsize=8)
        ax.set_xlabel("time point")
        ax.locator_params(axis="x", integer=True)

    def _plot_lost(self, ax: Axes, rows: NDArray[np.int64], drawn: NDArray[np.int64]) -> None:
        ax.barh(rows, self.lost[drawn], height=0.5, color="C1")
        ax.axvline(0.0, color="0.5", lw=0.8)
        ax.set_title("probability lost\nwithout it", fontsize=8)
        ax.xaxis.set_visible(False)
        ax.set_xlim(min(0.0, self.lost.min()), max(0.1, self.lost.max()))  # next to nothing should look so
        ax.yaxis.tick_right()
        ax.set_yticks(rows, [f"{lost:z.3f}" for lost in self.lost[drawn]], fontsize=8)
        ax.tick_params(right=False)
        ax.spines[["bottom", "left"]].set_visible(False)


@dataclass(frozen=True)
class ForecastAttention:
    """A forecast and the attention that each patch of it pays to the history that it was made from.

    Parameters
    ----------
    panel : ForecastPanel
        What the encoder read, and the forecast.
    attention : DataFrame
        A row for each patch, a column for each time of the history, in equal shares as in CaseAttention.
    """

    panel: ForecastPanel
    attention: pd.DataFrame

    def plot(self, ax: Axes) -> Axes:
        """Draw history and forecast in place of `ax`, and under them a row of attention for each patch."""
        series_ax, map_ax = _split(ax, (3, 2), (1,))
        self.panel.plot(series_ax)
        times: Any = self.attention.columns  # dates too
        # Each patch as two halves, since a mesh knows no height of a single row.
        halves = 0.75 + np.arange(2 * len(self.attention)) / 2
        values = self.attention.to_numpy().repeat(2, axis=0)
        mesh = map_ax.pcolormesh(times, halves, values, shading="nearest", cmap="Blues", vmin=0.0)
        map_ax.invert_yaxis()
        map_ax.locator_params(axis="y", integer=True, min_n_ticks=1)
        map_ax.set_ylabel("patch of\nforecast", fontsize=8)
        if isinstance(times, pd.DatetimeIndex):
            _write_dates_short(map_ax)
        else:
            map_ax.set_xlabel("time")
        bar = map_ax.figure.colorbar(mesh, ax=[series_ax, map_ax], aspect=40, pad=0.01)
        bar.set_label(EQUAL_SHARES, fontsize=8)
        return series_ax


@dataclass
class AttentionDisplay:
    """Predictions with what they looked at: the classes of cases, or forecasts, a panel each.

    Create it by `AttentionDisplay.from_estimator`.

    Parameters
    ----------
    panels : list of CaseAttention or list of ForecastAttention

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes

    Notes
    -----
    Of a classifier, what is drawn for a time point is the weight with which the tokens of a case take it in: the mean
    over the layers, heads and tokens of each network, and over the networks. Of a forecaster it is the weight with
    which each patch of the forecast takes in the history. A token stands for a stretch of time points (in a
    convolutional stem its stride) and shares its weight equally among those of them that are observed; what the
    token holds also comes from the neighbours that the convolutions reach.

    Attention says where a network took in what it worked on, not that its answer hangs on it. It says nothing of
    channels, for a token mixes all of them. So each channel is hidden in turn, as a missing value is, and the bars
    show how much the probability of the predicted class falls. Of two channels that tell the same, neither falls.
    """

    panels: list[CaseAttention] | list[ForecastAttention]

    @classmethod
    def from_estimator(
        cls,
        estimator: TransformerClassifier | TransformerForecaster,
        X: Any = None,
        *,
        horizon: int | None = None,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
        series: Sequence[Hashable] | str | None = None,
        ax: Axes | None = None,
    ) -> AttentionDisplay:
        """Predict and draw.

        Parameters
        ----------
        estimator : TransformerClassifier or TransformerForecaster
            Fitted.
        X : array-like, list of arrays, Series or DataFrame
            Of a classifier, up to six cases as in its predict. Of a forecaster, histories; by default those of fit.
        horizon, past, future, static
            As in the forecaster's predict.
        series : str or sequence, optional
            Series of a forecast to draw, as in `ForecastDisplay.from_estimator`; needed beyond six.
        ax : matplotlib Axes, optional
            Place in a grid of subplots for one case or series; axes for the parts of the picture replace it.

        Returns
        -------
        AttentionDisplay
        """
        _check_kind(estimator, TransformerClassifier, TransformerForecaster)
        if isinstance(estimator, TransformerForecaster):
            horizon = estimator._checked_horizon(horizon)
            return cls(_forecasts_seen(estimator, X, Given(past, future, static), horizon, series)).plot(ax)
        return cls(_cases_seen(estimator, X)).plot(ax)

    def plot(self, ax: Axes | None = None) -> AttentionDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = _drawn(self.panels, ax, height=4.0)
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


@dataclass
class HistoryDisplay:
    """The course of training: the loss by the step, and the validation loss where there is one, for each network.

    Create it by `HistoryDisplay.from_estimator`.

    Parameters
    ----------
    history : DataFrame
        Columns network, step, loss and maybe validation_loss.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

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
        _check_kind(estimator, TransformerClassifier, TransformerForecaster, TransformerPretrainer)
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
        networks = list(self.history.groupby("network"))
        for i, (network, rows) in enumerate(networks):
            of = f", network {network}" if len(networks) > 1 else ""
            look: Any = {"color": f"C{i}", "marker": "." if len(self.history) < 30 else None}
            ax.plot(rows["step"], rows["loss"], label=f"training{of}", **look)
            if "validation_loss" in rows:
                ax.plot(rows["step"], rows["validation_loss"], ls="--", label=f"validation{of}", **look)
        ax.set_xlabel("optimiser step")
        ax.set_ylabel("loss, mean of an epoch")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="best", frameon=False, fontsize=8)
        self.ax_: Axes = ax
        self.figure_: Figure = ax.figure  # type: ignore[assignment]
        return self


def require_matplotlib() -> Any:
    """Return matplotlib's pyplot; ImportError that names the remedy where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install matplotlib.") from error
    return pyplot


def _check_kind(estimator: Any, *kinds: type) -> None:
    if not isinstance(estimator, kinds):
        names = " or ".join(f"a {kind.__name__}" for kind in kinds)
        given = type(estimator)
        raise TypeError(
            f"estimator must be {names} of tsformer. Got an instance of {given.__module__}.{given.__qualname__}; of a "
            "search, give its best_estimator_, of a Pipeline its last step, of an adapter its estimator_."
        )


def _drawn(panels: Sequence[Any], ax: Axes | None, *, height: float = 2.4) -> list[Axes]:
    """Draw the panels, on new axes or the one given, and return those that their series are drawn on."""
    if ax is not None and len(panels) > 1:
        raise ValueError(f"ax takes one panel. Got {len(panels)}; choose one case or series, or leave ax out.")
    axes = _new_axes(len(panels), height) if ax is None else [ax]
    return [panel.plot(panel_ax) for panel, panel_ax in zip(panels, axes, strict=True)]


def _split(ax: Axes, heights: tuple[int, int], widths: tuple[int, ...]) -> list[Axes]:
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


def _new_axes(n: int, height: float = 2.4) -> list[Axes]:
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


def _selected(names: list[Hashable], series: Sequence[Hashable] | str | None) -> list[int]:
    """Positions of the series to draw."""
    if isinstance(series, str) or (series is not None and not pd.api.types.is_list_like(series)):
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


def _cases_seen(classifier: TransformerClassifier, X: Any) -> list[CaseAttention]:
    """What a classifier sees of each case."""
    check_is_fitted(classifier, "models_")
    if X is None:
        raise ValueError(f"X must hold the cases to draw, at most {MAX_PANELS}, as in predict. Got None.")
    data = classifier._read(X)
    ids = case_ids(X, id_col=classifier.id_col, time_col=classifier.time_col)
    n_cases, _, n_channels = data.x.shape
    if n_cases > MAX_PANELS:
        raise ValueError(f"X must hold at most {MAX_PANELS} cases to draw. Got {n_cases}; choose some, as in X[:2].")
    if not classifier._networks:
        raise ValueError("AttentionDisplay draws trained networks, of which n_estimators=0 has none: set 1 or more.")
    device = resolve_device(classifier.device)
    received = torch.stack([attention_over_time(model, data, device) for model in classifier._networks]).mean(dim=0)
    lost = chance_lost(classifier._log_probability, data) if n_channels > 1 else torch.zeros(n_cases, 1)
    probability, best = classifier._log_probability(data).exp().max(dim=1)
    names = range(n_cases) if ids is None else ids
    columns = channel_names(classifier, "channel ") if n_channels > 1 else [""]
    panels = []
    for case in range(n_cases):
        seen = data.observed[case].any(dim=-1)
        n_timepoints = int(seen.nonzero().max()) + 1
        values = data.x[case].masked_fill(~data.observed[case], torch.nan)[:n_timepoints]
        panels.append(
            CaseAttention(
                f"case {names[case]}: class {classifier.classes_[best[case]]}, probability {probability[case]:.2f}",
                pd.DataFrame(values.numpy(), columns=columns),
                (received[case] * seen.sum())[:n_timepoints].numpy(),
                lost[case].numpy(),
            )
        )
    return panels


def _forecasts_seen(
    forecaster: TransformerForecaster,
    df: Frame | None,
    given: Given,
    horizon: int,
    series: Sequence[Hashable] | str | None,
) -> list[ForecastAttention]:
    """What each patch of a forecast sees of the history."""
    histories, given = forecaster._histories(df, given)
    units = _selected(_names(histories), series)
    forecast = forecaster._forecast(histories, given, horizon)
    context = forecaster.lengths_.context
    joined = join(histories.values, *forecaster._covariates.read(histories, given, horizon), horizon)
    windows = last_windows(joined, [0], context, horizon, batch_size=1)
    panels = []
    for unit in units:
        (window,) = replace(windows, unit=windows.unit[[unit]], time=windows.time[[unit]])
        received = attention_of_forecast(forecaster.model_, window, resolve_device(forecaster.device))[0]
        panel = _panel(unit, histories, forecast, [], context)
        n_known = len(panel.history)
        shares = received[:, -n_known:] * int(window.observed.any(dim=-1).sum())
        panels.append(ForecastAttention(panel, pd.DataFrame(shares.numpy(), columns=panel.history.index)))
    return panels


def _for_axis(times: Any) -> pd.Index:
    return times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times
