"""AttentionDisplay: what classifications and forecasts looked at."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from tsformer.data.panels import Cases, read_panel
from tsformer.estimators._cases import channel_names
from tsformer.estimators._covariates import Frame, Given
from tsformer.estimators._fitting import resolve_device
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.inspection import attention_of_forecast, attention_over_time, chance_lost
from tsformer.plotting._figures import broken, check_kind, drawn, for_axis, legend_above, split, write_dates_short
from tsformer.plotting._forecast import MAX_PANELS, ForecastPanel, names_of, panel_of, selected

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CHANNELS = 8  # drawn of a case
EQUAL_SHARES = "attention\n(1 = equal share)"


@dataclass(frozen=True)
class CaseAttention:
    """A classified case, the attention that its time points receive, and what each channel is worth.

    Parameters
    ----------
    name : str
        Position of the case, or its id where the frame has ids, with what was predicted.
    series : DataFrame
        A column for each channel, a row for each time point. The index holds times, or counts time points from 0.
    attention : ndarray of shape (n_timepoints,)
        In equal shares: 1 where a time point receives as much as it would if all observed ones received the same.
    lost : ndarray of shape (n_channels,)
        How much the probability of the predicted class falls when a channel is hidden.
    scale : tuple of two floats
        Where the axis of `lost` begins and ends, for all cases of a picture.
    """

    name: str
    series: pd.DataFrame
    attention: NDArray[np.float64]
    lost: NDArray[np.float64]
    scale: tuple[float, float]

    def plot(self, ax: Axes) -> Axes:
        """Draw the channels one above the other in place of `ax`, attention under them, bars of `lost` beside them."""
        n_channels = self.series.shape[1]
        drawn = np.sort(np.argsort(-np.abs(self.lost), kind="stable")[:MAX_CHANNELS])
        series_ax, attention_ax, *beside = split(ax, (3, 1), (5, 1) if n_channels > 1 else (1,))
        left_out = f", {len(drawn)} of {n_channels} channels" if len(drawn) < n_channels else ""
        series_ax.set_title(broken(self.name + left_out, 70), loc="left", fontsize=10)
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
        ax.set_yticks(rows, [broken(str(channel), 20) for channel in self.series.columns[drawn]])

    def _plot_attention(self, ax: Axes) -> None:
        times: Any = self.series.index  # dates too
        ax.fill_between(times, self.attention, step="mid", color="C0", alpha=0.5, lw=0)
        ax.axhline(1.0, color="0.5", lw=0.8, ls=":")
        ax.set_ylim(0.0, 1.1 * max(1.0, self.attention.max()))
        ax.set_ylabel(EQUAL_SHARES, fontsize=8)
        if isinstance(times, pd.DatetimeIndex):
            write_dates_short(ax, times)
            return
        ax.set_xlabel("time point" if isinstance(times, pd.RangeIndex) else "time")
        ax.locator_params(axis="x", integer=pd.api.types.is_integer_dtype(times.dtype))

    def _plot_lost(self, ax: Axes, rows: NDArray[np.int64], drawn: NDArray[np.int64]) -> None:
        ax.barh(rows, self.lost[drawn], height=0.5, color="C1")
        ax.axvline(0.0, color="0.5", lw=0.8)
        ax.set_xlabel("probability lost\nwithout it", fontsize=8).set_in_layout(False)  # what is under it is free
        ax.set_xticks([])
        ax.set_xlim(*self.scale)
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
        series_ax, map_ax = split(ax, (3, 2), (1,))
        self.panel.plot(series_ax)
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
        if isinstance(times, pd.DatetimeIndex):
            write_dates_short(map_ax, times)
        else:
            map_ax.set_xlabel("time")
        bar = map_ax.figure.colorbar(mesh, ax=[series_ax, map_ax], aspect=40, pad=0.01)
        bar.set_label(EQUAL_SHARES, fontsize=8)
        return series_ax


@dataclass(repr=False)
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
        check_kind(estimator, TransformerClassifier, TransformerForecaster)
        if isinstance(estimator, TransformerForecaster):
            horizon = estimator._checked_horizon(horizon)
            return cls(_forecasts_seen(estimator, X, Given(past, future, static), horizon, series)).plot(ax)
        return cls(_cases_seen(estimator, X)).plot(ax)

    def plot(self, ax: Axes | None = None) -> AttentionDisplay:
        """Draw the panels, on `ax` where there is one."""
        self.axes_: list[Axes] = drawn(self.panels, ax, height=4.0)
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def _cases_seen(classifier: TransformerClassifier, X: Any) -> list[CaseAttention]:
    """What a classifier sees of each case."""
    check_is_fitted(classifier, "models_")
    if X is None:
        raise ValueError(f"X must hold the cases to draw, at most {MAX_PANELS}, as in predict. Got None.")
    data = classifier._read(X)
    cases = read_panel(X, "X", id_col=classifier.id_col, time_col=classifier.time_col)
    n_cases, _, n_channels = data.x.shape
    if n_cases > MAX_PANELS:
        raise ValueError(f"X must hold at most {MAX_PANELS} cases to draw. Got {n_cases}; choose some, as in X[:2].")
    if not classifier._networks:
        raise ValueError("AttentionDisplay draws trained networks, of which n_estimators=0 has none: set 1 or more.")
    device = resolve_device(classifier.device)
    received = torch.stack([attention_over_time(model, data, device) for model in classifier._networks]).mean(dim=0)
    lost = chance_lost(classifier._log_probability, data) if n_channels > 1 else torch.zeros(n_cases, 1)
    probability, best = classifier._log_probability(data).exp().max(dim=1)
    names = range(n_cases) if cases.ids is None else cases.ids
    columns = channel_names(classifier, "channel ") if n_channels > 1 else [""]
    scale = min(0.0, float(lost.min())), max(0.1, float(lost.max()))  # next to nothing should look so
    panels = []
    for case in range(n_cases):
        seen = data.observed[case].any(dim=-1)
        n_timepoints = int(seen.nonzero().max()) + 1
        values = data.x[case].masked_fill(~data.observed[case], torch.nan)[:n_timepoints]
        panels.append(
            CaseAttention(
                f"case {names[case]}: class {classifier.classes_[best[case]]}, probability {probability[case]:.2f}",
                pd.DataFrame(values.numpy(), index=_times_of(cases, case, n_timepoints), columns=columns),
                (received[case] * seen.sum())[:n_timepoints].numpy(),
                lost[case].numpy(),
                scale,
            )
        )
    return panels


def _times_of(cases: Cases, case: int, n_timepoints: int) -> pd.Index[Any]:
    """The times of a case where its frame has such as can be drawn, or else their numbers."""
    if cases.times is not None:
        start = sum(series.shape[1] for series in cases.series[:case])
        times = for_axis(cases.times[start : start + n_timepoints])
        if isinstance(times, pd.DatetimeIndex) or pd.api.types.is_numeric_dtype(times.dtype):
            return times
    return pd.RangeIndex(n_timepoints)


def _forecasts_seen(
    forecaster: TransformerForecaster,
    df: Frame | None,
    given: Given,
    horizon: int,
    series: Sequence[Hashable] | str | None,
) -> list[ForecastAttention]:
    """What each patch of a forecast sees of the history."""
    histories, given = forecaster._histories(df, given)
    units = selected(names_of(histories), series)
    forecast = forecaster._forecast(histories, given, horizon)
    windows = forecaster._windows_ahead(histories, given, horizon, 1, batch_size=1)
    panels = []
    for unit in units:
        (window,) = replace(windows, unit=windows.unit[[unit]], time=windows.time[[unit]])
        received = attention_of_forecast(forecaster.model_, window, resolve_device(forecaster.device))[0]
        panel = panel_of(unit, histories, forecast, [], forecaster.lengths_.context)
        n_known = len(panel.history)
        shares = received[:, -n_known:] * int(window.observed.any(dim=-1).sum())
        panels.append(ForecastAttention(panel, pd.DataFrame(shares.numpy(), columns=panel.history.index)))
    return panels
