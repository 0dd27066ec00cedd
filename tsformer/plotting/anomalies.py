"""Anomalies: a fitted detector and series in, series with scores, intervals and what was expected out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsformer.data.anomalies import Anomaly
from tsformer.data.recordings import Recordings
from tsformer.estimators.detector import TransformerDetector, explained, recordings_of
from tsformer.estimators.reasons import table_of
from tsformer.inspection import check_kind
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
    stacked,
)
from tsformer.training.neighbours import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HUGE = 10.0  # thresholds: a score that flattens all others
MAX_NEAR = 4  # anomalies of a series that are drawn from near


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
        above = 12.0 if len(self.anomalies) else 0.0  # room for their numbers
        worst = np.sort(np.argsort(-self.anomalies["score"].to_numpy(), kind="stable")[:MAX_NEAR])
        series_ax, score_ax, *near = stacked(ax, len(worst))
        channels = self._channels()
        left_out = some_channels(len(channels), self.series.shape[1])
        title = broken(", ".join(filter(None, [self.name, left_out])), 70)
        series_ax.set_title(title, loc="left", fontsize=TITLE_SIZE, pad=6.0 + above)
        self._plot_series(series_ax, channels)
        self._plot_score(score_ax)
        label_times(score_ax, self.series.index)
        self._shade(series_ax, range(len(self.anomalies)), channels)
        self._shade(score_ax, range(len(self.anomalies)))
        for number, (place, near_ax) in enumerate(zip(worst, near, strict=True), 1):
            self._label(series_ax, place, number)
            self._plot_near(near_ax, place, number)
        legend_above(series_ax, above)
        return series_ax

    def _channels(self) -> list[Any]:
        """The channels to draw: of many, those with anomalies first."""
        channels = list(self.series.columns)
        odd = list(self.anomalies.sort_values("score", ascending=False)["channel"].unique())
        chosen = [*odd, *(channel for channel in channels if channel not in odd)][:MAX_CHANNELS]
        return [channel for channel in channels if channel in chosen]

    def _plot_series(self, ax: Axes, channels: list[Any]) -> None:
        one = len(channels) == 1
        for row, channel in enumerate(reversed(channels)):
            values = self.series[channel]
            low, high = values.min(), values.max()
            size = 1.0 if one else (high - low if high > low else 1.0) / 0.8
            shift = 0.0 if one else row - (low + high) / 2 / size
            draw_line(ax, values / size + shift, color="0.25", lw=0.8, label="value" if row == 0 else None)
            mine = (self.anomalies["channel"] == channel).to_numpy()
            for i, place in enumerate(np.flatnonzero(mine)):
                course = self.expected[place] / size + shift
                self._plot_expected(ax, course, labelled=i == 0 and channel == self.anomalies["channel"].iloc[0])
        ax.set_ylabel("" if not one or isinstance(channels[0], int) else broken(str(channels[0]), 25))
        if not one:
            ax.set_yticks(range(len(channels)), [broken(str(channel), 20) for channel in reversed(channels)])

    def _plot_score(self, ax: Axes) -> None:
        """Draw the score and its threshold; where one is huge, those above twice the threshold by their logarithm."""
        ax.plot(self.score, color="C3", lw=0.8)
        ax.axhline(self.threshold, color="0.3", lw=0.8, ls="--")
        beside: Any = {"xycoords": ("axes fraction", "data"), "xytext": (3, 0), "textcoords": "offset points"}
        ax.annotate("threshold", (1.0, self.threshold), fontsize=7, va="center", **beside)
        ax.set_ylabel("anomaly\nscore", fontsize=8)
        usual, highest = max(self.threshold, 1.0), self.score.max()
        if highest > HUGE * usual:
            ax.set_yscale("symlog", linthresh=2.0 * usual)
            powers = 10.0 ** np.arange(np.ceil(np.log10(2.0 * usual)), np.log10(highest))
            ax.set_yticks([0.0, *powers], [f"{tick:,g}" for tick in (0.0, *powers)])

    def _plot_expected(self, ax: Axes, course: pd.DataFrame, *, labelled: bool) -> None:
        label = ["80 % of normal series", "expected"] if labelled else [None, None]
        ax.fill_between(course.index, course["lower"], course["upper"], color="C0", alpha=0.25, lw=0, label=label[0])
        ax.plot(course["expected"], color="C0", lw=1.2, label=label[1])

    def _span(self, place: int) -> tuple[Any, Any]:
        """From half a step before an anomaly to half a step after it."""
        times = self.series.index
        ends = pd.Index(self.anomalies.loc[:, ["start", "end"]].iloc[place])
        first, last = map(int, times.get_indexer(for_axis(ends)))
        before, after = times[max(0, first - 1)], times[min(len(times) - 1, last + 1)]
        return times[first] - (times[first] - before) / 2, times[last] + (after - times[last]) / 2

    def _shade(self, ax: Axes, places: Iterable[int], channels: Sequence[Any] = ()) -> None:
        """Shade intervals, of several channels one below the other only in the one that each is in."""
        look: Any = {"color": "C3", "alpha": 0.2, "lw": 0.8}
        for place in places:
            (start, end), channel = self._span(place), self.anomalies["channel"].iloc[place]
            look["label"] = None if ax.patches else "anomaly"
            if len(channels) < 2:
                ax.axvspan(start, end, **look)
            elif channel in channels:
                ax.barh(len(channels) - 1 - channels.index(channel), end - start, 1.0, start, **look)

    def _label(self, ax: Axes, place: int, number: int) -> None:
        start, end = self._span(place)
        at = start + (end - start) / 2
        ax.annotate(str(number), (at, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)

    def _plot_near(self, ax: Axes, place: int, number: int) -> None:
        anomaly, course = self.anomalies.iloc[place], self.expected[place]
        times = self.series.index
        first, last = map(int, times.get_indexer(for_axis(pd.Index([anomaly["start"], anomaly["end"]]))))
        margin = max(2, (last - first) // 4)
        begin, end = map(int, times.get_indexer(course.index[[0, -1]]))
        first, last = max(0, min(first - margin, begin)), max(last + margin, end)
        values = self.series[anomaly["channel"]].iloc[first : last + 1]
        self._plot_expected(ax, course, labelled=False)
        draw_line(ax, values, marked=len(values) < 40, color="0.25", lw=1.0)
        self._shade(ax, [place])
        of = f" of {anomaly['channel']}" if self.series.shape[1] > 1 else ""
        ax.set_title(broken(f"{number} {anomaly['kind']}{of}", 28), fontsize=8, loc="left")
        ax.tick_params(labelsize=7)
        ax.margins(x=0.0)
        label_times(ax, values.index, narrow=True)
        ax.set_xlabel("")
        ax.xaxis.get_offset_text().set_fontsize(7)


@dataclass(repr=False)
class AnomalyDisplay:
    """Series with their anomalies, what was expected there, and the scores that tell them; a panel for each series.

    Below each series, up to four anomalies are drawn from near, those of the highest scores, with their kinds.

    Parameters
    ----------
    panels : list of AnomalyPanel
    title : str, default=""
        Of the whole picture, where it shows a page of many.

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, list of Axes
    """

    panels: list[AnomalyPanel]
    title: str = ""

    @classmethod
    def from_estimator(
        cls, estimator: TransformerDetector, X: Any, *, series: Names = None, page: int = 1, ax: Axes | None = None
    ) -> AnomalyDisplay:
        """Find anomalies and draw them.

        Parameters
        ----------
        estimator : TransformerDetector
            Fitted.
        X : array-like, Series or DataFrame
            As in its `explain`.
        series : str or sequence, optional
            Ids of the series to draw, or numbers where they have none; by default all.
        page : int, default=1
            Which six of the series to draw, where there are more.
        ax : matplotlib Axes, optional
            Place in a grid of subplots for one series; axes for the parts of the picture replace it.
        """
        check_kind(estimator, TransformerDetector)
        recordings = recordings_of(estimator, X)
        codes, title = page_of(positions_of(recordings.ids, series, "series"), page, "series")
        panels = [_anomalies_of(estimator, recordings, code) for code in codes]
        return cls(panels, title).plot(ax)

    def plot(self, ax: Axes | None = None) -> AnomalyDisplay:
        """Draw the panels, on `ax` where there is one."""
        height = 5.2 if any(len(panel.anomalies) for panel in self.panels) else 3.2
        self.axes_: list[Axes] = drawn(self.panels, ax, self.title, height=height, most_columns=1)
        self.figure_: Figure = self.axes_[0].figure  # type: ignore[assignment]
        return self


def _anomalies_of(detector: TransformerDetector, recordings: Recordings, code: int) -> AnomalyPanel:
    times, id, scale = for_axis(recordings.times(code)), recordings.ids[code], detector.normal_.scale
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
