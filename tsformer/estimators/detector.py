"""TransformerDetector: which time points of series are not as usual, without labels and without training."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from tsformer.data.anomalies import Anomaly, find_anomalies, learn_usual
from tsformer.data.courses import Courses, no_courses, runs_of
from tsformer.data.frames import Columns
from tsformer.data.frequency import Frequency, check_same_kind
from tsformer.data.messages import warn_user
from tsformer.data.periods import find_period
from tsformer.data.recordings import Recordings, as_fitted, check_known, check_lengths, in_form, read_recordings
from tsformer.data.rows import Floats
from tsformer.estimators.checks import keep_fitted, place
from tsformer.estimators.pretrained import ACCEPTED, load_forecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.estimators.reasons import table_of
from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.models.witnesses import Witnesses
from tsformer.params import COUNT
from tsformer.training.anomalies import Normal, find_evidence, highest_usual, learn_normal, of_channels, summed
from tsformer.training.devices import placed, portable, ready_to_predict, resolve_device, usual_state
from tsformer.training.neighbours import extended, fit_scale, stride_of, windows_of
from tsformer.training.surprise import KNOWN, RECENT

WITHOUT_PERIOD = 32  # time points of a window of series that show no period
SHORTEST, SHORTEST_CHOSEN = 4, 8
WINDOWS_IN_TRAINING = 8  # that do not overlap, where the length is chosen
FEWEST_WINDOWS = 4
KEPT_SCORES = 10_000


@dataclass(kw_only=True, eq=False, repr=False)
class TransformerDetector(OutlierMixin, BaseEstimator):
    """Find anomalies in time series, without labels and, with the weights that come with the package, without training.

    fit learns what is normal from one series or several that are mostly normal; each time point of these or others then
    has a score. Two witnesses are asked. One compares windows with the nearest normal ones: by what the pretrained
    encoder says of their shape and level, and value by value, where these come again, with a period or without. The
    other is the pretrained forecaster: it tells how far a value lies in the tails of what was to be expected, up to a
    patch of 12 time points ahead. Each is measured by what it says of the training series, whose windows are not
    compared with those that they overlap; both are summed.

    Parameters
    ----------
    window_length : int or "auto", default="auto"
        Time points that are compared at a time, at least 4. "auto" is half of the period that the autocorrelation of
        the training series shows, or 32 where it shows none, at most an eighth of these series, and at least 8.
    witnesses : {"both", "neighbours", "forecast"}, default="both"
        Who is asked.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Fraction of the training time points that are anomalies: the threshold is that quantile of their scores. "auto"
        is the highest training score (conformal), but for windows that stand out from the others, by three times the
        distance between the quartiles: of normal series as long as the training series one in two stays below wholly.
    max_windows : int, default=10_000
        Normal windows whose values, and as many whose features, are kept in memory, evenly spread; fewer where they are
        long or have many channels.
    pretrained : "bundled", path, fitted TransformerPretrainer or None, default="bundled"
        The encoder of windows. "bundled" comes with the package. None draws random weights, a control.
    max_steps : int, default=0
        Optimiser steps by which the encoder is first trained on the training windows, by the contrastive objective of
        `TransformerPretrainer`.
    id_col : str, int or tuple, default="unique_id"
        Column of a long frame that tells its series apart.
    time_col : str, int or tuple, default="ds"
        Column of a long frame that holds the times.
    freq : str, offset, int or None, default=None
        Frequency of frames; gaps become missing values. None infers it and refuses gaps.
    device : str, default="auto"
        "auto" (CUDA where there is one, otherwise the CPU), "cpu", "cuda" or "cuda:<number>".
    random_state : int, RandomState instance or None, default=None
        Decides what is drawn if `max_steps` is not 0 or `pretrained` is None; else nothing is.
    verbose : bool, default=False
        Show a progress bar of training.

    Attributes
    ----------
    offset_ : float
        The threshold: time points of lower scores are anomalies.
    training_scores_ : ndarray of shape (n_scores,)
        Anomaly scores of the training time points, ascending, higher = more anomalous; of many, 10,000 evenly spread.
    normal_ : Normal
        What is normal: scale, period (`normal_.period`, 1 for none), the memory of windows (`normal_.memory`) and what
        witnesses usually say.
    courses_ : Courses
        Normal series as such, their last 20,000 time points: `explain` tells from them what was expected.
    channels_ : list
        The names of the channels, or their numbers.
    freq_ : offset or int
        Frequency of the training series, where they are frames; others must have steps of the same length.
    model_ : torch.nn.Module
        The encoder and the forecaster.

    Notes
    -----
    Missing values (NaN) have the score NaN and are no anomalies; a window with gaps is compared as if what is normal
    stood there. score_samples of the training series themselves finds them more normal than they are, since they are in
    memory; `fit_predict` and `fit_score_samples` compare each window with those that it does not overlap.

    References
    ----------
    Nearest windows: Yeh et al. (2016), "Matrix profile I"; among pretrained features: Roth et al. (2022), "Towards
    total recall in industrial anomaly detection". Conformal thresholds: Laxhammar and Falkman (2014). What stands out:
    Tukey (1977), "Exploratory data analysis".

    Examples
    --------
    >>> import numpy as np
    >>> from tsformer import TransformerDetector
    >>> rng = np.random.default_rng(0)
    >>> x = np.sin(np.arange(1200) / 6) + 0.05 * rng.normal(size=1200)
    >>> x[1000:1010] = 0.0
    >>> found = TransformerDetector().fit(x[:600]).predict(x)
    >>> bool((found[1000:1010] == -1).any()), bool((found[:950] == -1).any())
    (True, False)
    """

    window_length: int | Literal["auto"] = "auto"
    witnesses: str = "both"
    contamination: float | Literal["auto"] = "auto"
    max_windows: int = 10_000
    pretrained: Any = "bundled"
    max_steps: int = 0
    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"
    freq: Any = None
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "window_length": [Interval(Integral, SHORTEST, None, closed="left"), StrOptions({"auto"})],
        "witnesses": [StrOptions({"both", "neighbours", "forecast"})],
        "contamination": [Interval(Real, 0, 0.5, closed="right"), StrOptions({"auto"})],
        "max_windows": [COUNT],
        "pretrained": ACCEPTED,
        "max_steps": [Interval(Integral, 0, None, closed="left")],
        "id_col": [str, Integral, tuple],
        "time_col": [str, Integral, tuple],
        "freq": [str, pd.offsets.BaseOffset, Integral, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @usual_state()
    def fit(self, X: Any, y: Any = None) -> "TransformerDetector":
        """Learn what is normal.

        Parameters
        ----------
        X : array-like, Series or DataFrame
            One series: an array (time,) or (channels, time), a Series, or a frame with times in its index and a column
            a channel. Several: a list of arrays, an array (series, channels, time), a frame under a (series, time)
            MultiIndex, or a long one with the columns `id_col` and `time_col`, in which all others are channels. NaN is
            a missing value. All together have four times `window_length` time points or more.
        y : None
            Not used; here so that pipelines can pass it.

        Returns
        -------
        self
        """
        self._learn(X)
        return self

    @usual_state()
    def fit_predict(self, X: Any, y: Any = None) -> Any:
        """Learn what is normal, and say which time points of the same series are not; X is as in `fit`.

        With contamination="auto" it is those in windows that stand out from all others.

        Returns
        -------
        labels, as those of `predict`
        """
        recordings, scores = self._learn(X)
        return in_form(recordings, [labels(each, -self.offset_) for each in scores], "anomaly")

    @usual_state()
    def fit_score_samples(self, X: Any, y: Any = None) -> Any:
        """Learn what is normal, and say how normal each time point of the same series is; X is as in `fit`.

        Returns
        -------
        scores, as those of `score_samples`, but that no window is compared with those that it overlaps
        """
        recordings, scores = self._learn(X)
        return in_form(recordings, [-each for each in scores], "score")

    @usual_state()
    def score_samples(self, X: Any) -> Any:
        """Say how normal each time point is.

        Parameters
        ----------
        X : array-like, Series or DataFrame
            As in `fit`; at least `normal_.memory.length` time points a series.

        Returns
        -------
        array, Series or DataFrame
            Higher is more normal, 0 is usual; NaN where a value or most of its surroundings are missing. In the form
            that came: (time,) of an array, (series, time) of an array of several, a list of a list, a Series with the
            index of a frame; of a long frame a frame of ids, times and "score" in the order of its rows.
        """
        return self._in_form(X, lambda scores: -scores, "score")

    @usual_state()
    def decision_function(self, X: Any) -> Any:
        """Say how far above the threshold the score of each time point is; X and what is returned as `score_samples`.

        Below 0 are anomalies.
        """
        return self._in_form(X, lambda scores: -scores - self.offset_, "decision")

    @usual_state()
    def predict(self, X: Any) -> Any:
        """Say of each time point whether it is an anomaly, -1, or not, 1; X is as in `score_samples`.

        Returns
        -------
        array, Series or DataFrame of int, in the form of `score_samples`
        """
        return self._in_form(X, lambda scores: labels(scores, -self.offset_), "anomaly")

    @usual_state()
    def explain(self, X: Any) -> pd.DataFrame:
        """Say of each anomaly where it is, of what kind, how rare, and what was to be expected.

        Expected is what normal series did where they came and went on as X does before and after.

        Parameters
        ----------
        X : array-like, Series or DataFrame
            As in `score_samples`.

        Returns
        -------
        DataFrame
            A row for each anomaly, by series and time, with the columns

            - `id_col`, of several series
            - start, end: its first and last time; numbers of time points for arrays
            - channel: the one that strays most
            - score: its highest anomaly score, minus that of score_samples, or what its channel alone has of it;
              rarity: the fraction of training scores above it
            - kind: "spike", "level shift", "flat", "changed amplitude", "missing or doubled cycle", "noise" or "changed
              shape"
            - value, expected, lower, upper: where the channel strays most, what it is, the median of normal series, and
              the band of eight of ten of them
            - similar: the time at which the most similar normal window begins, in the training series; similar_id:
              which of them, of several
        """
        recordings = self._read_like_fit(X)
        _, found = explained(self, recordings)
        return table_of(recordings, found, self.normal_.scale, self.courses_, self.training_scores_)

    @usual_state()
    def update(self, X: Any, y: Any = None) -> "TransformerDetector":
        """Remember the windows of series that go on, but for those with anomalies in them.

        X is as in `score_samples`, with times of the kind that fit saw: dates, or numbers, as of arrays. The threshold
        stays. Beyond `max_windows` the memory is thinned evenly.

        Returns
        -------
        self
        """
        recordings = self._read_like_fit(X)
        normal, courses, device = self.normal_, self.courses_, resolve_device(self.device)
        check_same_kind(recordings.times(0), courses.times, "X")
        for code, (values, scores) in enumerate(zip(recordings.values, self._scores(recordings), strict=True)):
            is_known = ~(np.isnan(scores) | (scores > -self.offset_))
            rows = normal.scale.apply(np.where(is_known[:, None], values, np.nan))
            windows = windows_of(rows, normal.memory.length, 1, np.isfinite(rows.sum(axis=1)))
            memory = extended(normal.memory, self.model_.encoder, windows, self.max_windows, device)
            normal = normal._replace(memory=memory)
            parts = runs_of(is_known, normal.memory.length)
            times = recordings.times(code)
            courses = courses.joined(
                [rows[p] for p in parts], [times[p] for p in parts], [recordings.ids[code]] * len(parts)
            )
        self.normal_: Normal = normal
        self.courses_: Courses = courses
        return self

    def __getstate__(self) -> Any:
        return portable(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        place(self)

    def _read(self, X: Any, expected: Frequency | None = None) -> Recordings:
        return read_recordings(X, Columns(self.id_col, self.time_col), self.freq, expected=expected)

    def _read_like_fit(self, X: Any) -> Recordings:
        check_is_fitted(self, "model_")
        freq = getattr(self, "freq_", None)  # of frames
        recordings = as_fitted(self._read(X, freq), self.channels_, had_names=freq is not None)
        length = self.normal_.memory.length
        check_lengths(
            recordings, length, f"The series of X must have {length} time points, the window_length, or more."
        )
        return recordings

    def _learn(self, X: Any) -> tuple[Recordings, list[Floats]]:
        """Read series, learn what is normal of them, and return how anomalous each of their time points is."""
        self._validate_params()
        recordings, device = self._read(X), resolve_device(self.device)
        check_known(recordings)
        scale = fit_scale(recordings.values)
        series = [scale.apply(rows) for rows in recordings.values]
        period = find_period(series)
        length = choose_length(self.window_length, list(map(len, recordings.values)), period, recordings.turned)
        if recordings.turned:
            warn_user(recordings.turned.strip())
        names = ("pretrained", "max_steps", "device", "random_state", "verbose")
        pretrainer = TransformerPretrainer(**{name: getattr(self, name) for name in names})
        encoder = fit_encoder(pretrainer, series, length)
        model = placed(Witnesses(encoder, load_forecaster("bundled")), device)
        normal, evidence = learn_normal(model, series, scale, period, length, self.max_windows, device)
        if self.witnesses == "forecast":
            check_forecast(evidence, len(recordings.channels))
        scores = [summed(each, normal, self.witnesses) for each in evidence]
        known = np.sort(np.concatenate(scores))
        known = known[~np.isnan(known)]
        if isinstance(self.contamination, str):
            threshold = highest_usual(scores, length)
        else:
            threshold = float(np.quantile(known, 1.0 - self.contamination))
        kept = known[np.linspace(0, len(known) - 1, min(len(known), KEPT_SCORES)).round().astype(int)]
        state = {"offset_": -threshold, "training_scores_": kept, "normal_": normal}
        times = [recordings.times(code) for code in range(len(series))]
        state["courses_"] = no_courses(len(recordings.channels)).joined(series, times, recordings.ids)
        of_frames = {} if recordings.frame is None else {"freq_": recordings.frame.freq}
        keep_fitted(self, state | of_frames | {"channels_": recordings.channels, "model_": model})
        return recordings, scores

    def _in_form(self, X: Any, judge: Any, name: str) -> Any:
        recordings = self._read_like_fit(X)
        return in_form(recordings, [judge(scores) for scores in self._scores(recordings)], name)

    def _scores(self, recordings: Recordings) -> list[Floats]:
        """How anomalous each time point is: higher is more so."""
        return [summed(each, self.normal_, self.witnesses) for each in evidence_of(self, recordings)]


def fit_encoder(pretrainer: TransformerPretrainer, series: Sequence[Floats], length: int) -> ChannelEncoder:
    """Load the encoder, or train it, for windows of scaled series (T, C)."""
    windows = np.concatenate([windows_of(rows, length, stride_of(length)) for rows in series])
    windows = windows[~np.isnan(windows).all(axis=(1, 2))]
    encoder: ChannelEncoder = pretrainer.fit(windows.transpose(0, 2, 1)).model_
    encoder.fit_resolution(length)
    return encoder


def recordings_of(detector: TransformerDetector, X: Any) -> Recordings:
    """Read series for a fitted detector."""
    return detector._read_like_fit(X)


def evidence_of(detector: TransformerDetector, recordings: Recordings) -> Iterator[Floats]:
    """Yield what speaks against the time points of each series, as `find_evidence` does."""
    device = resolve_device(detector.device)
    model = ready_to_predict(detector.model_, device)
    yield from (find_evidence(model, detector.normal_, values, device) for values in recordings.values)


def explained(detector: TransformerDetector, recordings: Recordings) -> tuple[list[Floats], list[list[Anomaly]]]:
    """Return the anomaly scores (T,) and the anomalies of each series."""
    normal, witnesses, scores, found = detector.normal_, detector.witnesses, list[Floats](), list[list[Anomaly]]()
    usual = learn_usual(detector.courses_, normal.memory.length, normal.period)
    for values, evidence in zip(recordings.values, evidence_of(detector, recordings), strict=True):
        scores.append(summed(evidence, normal, witnesses))
        alone = of_channels(evidence, normal, witnesses)
        found.append(find_anomalies(normal.scale.apply(values), scores[-1], alone, -detector.offset_, usual))
    return scores, found


def choose_length(window_length: int | str, lengths: Sequence[int], period: int, hint: str = "") -> int:
    """Choose the time points of a window for training series of these lengths; a hint goes into the error."""
    longest = min(sum(lengths) // FEWEST_WINDOWS, min(lengths))
    usual = WITHOUT_PERIOD if period == 1 else period // 2
    at_most = min(sum(lengths) // WINDOWS_IN_TRAINING, min(lengths))
    length = max(SHORTEST_CHOSEN, min(usual, at_most)) if isinstance(window_length, str) else int(window_length)
    if length > longest:
        found = "in all" if len(lengths) == 1 else f"in all, and {min(lengths)} in the shortest series"
        raise ValueError(
            f"fit needs {FEWEST_WINDOWS * length} time points in all, {FEWEST_WINDOWS} times the window_length of "
            f"{length}, and {length} in each series. Got {sum(lengths)} {found}. Give more, or a smaller "
            f"window_length.{hint}"
        )
    return length


def check_forecast(evidence: Sequence[Floats], n_channels: int) -> None:
    """Raise a ValueError where no value of the training series was forecast, by which others could be judged."""
    if all(np.isnan(each[:, -n_channels:]).all() for each in evidence):
        raise ValueError(
            f"witnesses='forecast' judges values by the {RECENT} before them, {KNOWN} of them observed, which no value "
            "of the training series has. Give longer series, or set witnesses='both'."
        )


def labels(scores: Floats, threshold: float) -> NDArray[np.int64]:
    """Call time points above a threshold -1, anomalies, and others 1."""
    return np.where(scores > threshold, -1, 1)
