"""TransformerForecaster: forecasts of one or many series, from pandas and back to pandas."""

import copy
import itertools
import math
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.data.covariates import seasonal_period
from tsformer.data.forecasts import Forecast, asked_of, by_series, cutoffs, written
from tsformer.data.frames import (
    SeriesSet,
    append_rows,
    check_later,
    known_before_last,
    read_series,
    without_last,
)
from tsformer.data.frequency import Frequency
from tsformer.data.messages import quoted, series_name
from tsformer.data.windows import Histories, WindowsAt, join, last_windows
from tsformer.estimators._covariates import Covariates, Frame, Given, replace_rows
from tsformer.estimators._fitting import LOG, draw_seed, log_end, portable, ready_to_train, resolve_device, seeded
from tsformer.estimators._forecasting import (
    BATCHES_PER_EPOCH,
    RANKED_AT_ONCE,
    UNITS_PER_BATCH,
    Lengths,
    build_network,
    check_counts,
    choose_lengths,
    distances_from_median,
    forecast_windows,
    hold_back,
    mean_absolute_scaled_error,
    training_windows,
    validation_windows,
)
from tsformer.models.encoders import ENCODERS
from tsformer.models.forecaster import SeriesForecaster
from tsformer.models.heads import HEADS
from tsformer.params import TrainingParams, TransformerParams, checked_count, constraints_of, documents_parameters_of
from tsformer.training import objectives
from tsformer.training.callbacks import SILENT, CallbackSupportMixin, Task, whole_fit, with_callbacks
from tsformer.training.correlation import learn_correlation
from tsformer.training.loop import EarlyStopping, History, train
from tsformer.training.optim import SCHEDULES, adamw

BATCHES_OF_SCORES = 10  # of windows from which the correlation of a path's values is learnt
LONG = 20  # training horizons in a series from which early_stopping="auto" stops early


class Plan(NamedTuple):
    """What a network is built by beside the parameters: the step of the times, lengths, and which covariates it has."""

    freq: Frequency
    lengths: Lengths
    covariates: Covariates


@documents_parameters_of(TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerForecaster(TransformerParams, TrainingParams, CallbackSupportMixin, BaseEstimator):
    """Forecast series by an encoder-decoder Transformer, autoregressive by the patch.

    One network learns from all series given to fit, and forecasts them, or others, for any horizon. Each column of a
    frame is a series of its own. Windows are scaled one by one inside.

    Parameters
    ----------
    horizon : int, default=24
        Time points to forecast.
    context_length : int or "auto", default="auto"
        Time points that the encoder reads; "auto" is twice what training decodes, but at least six seasons, and
        no more than the longest series.
    encoder : str or callable, default="patch"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there.
    head : {"quantile", "point", "student_t", "negative_binomial", "tokens"}, default="quantile"
        What is learnt of the next values: quantiles, one value, a Student t or (for counts) negative binomial
        distribution, or a softmax over bins of values.
    own_share : float in [0, 1], default=1.0
        Share of training batches in which the decoder reads its own forecasts instead of the true values.
    early_stopping : bool or "auto", default="auto"
        Hold back the last `validation_fraction` of each series, a training horizon at least, stop when its loss no
        longer falls, and keep the best weights. Of series too short for that nothing is held back. "auto" does so where
        half of the series or more are at least 20 training horizons long: from those a network can learn too much.
    refit : bool, default=True
        After early stopping, train again on all time points, with a schedule of as many steps as it chose.
    calibration_windows : int, default=0
        Windows of a horizon at the end of each series that are held back from training, to correct bands by: in these
        windows they hold as often as they say, on the mean over all steps and series. Quantiles are moved as the ends
        of their bands are, so the median stays. The price is training without the latest values; it is worth it where
        the bands of a backtest hold too seldom or too often. `sample` is not corrected, and values of `fill` count.
    calendar : bool, default=False
        Give the network the season, weekday and hour of each time point.
    id_col : hashable, default="unique_id"
        Column of a long frame that tells its series apart.
    time_col : hashable, default="ds"
        Column of a long frame that holds the times.
    target_col : hashable or list, default="y"
        Target columns of a long frame.
    freq : str, offset, int or None, default=None
        Frequency; gaps become missing values. None infers it and refuses gaps.
    fill : "ffill", "interpolate", a number or None, default=None
        How to fill missing values of the history; None leaves them masked.

    Attributes
    ----------
    model_ : torch.nn.Module
        The trained network.
    freq_ : offset or int
        The step from a time to the next, given or inferred.
    lengths_ : Lengths
        Season, context, patches and horizon of training, in time points.
    history_ : dict of lists
        Step, loss, learning rate and seconds at the end of each epoch.
    n_iter_ : int
        Optimiser steps.
    distances_ : ndarray of shape (n_values,)
        Where `calibration_windows` is not 0: how far each value held back lies from the median of its forecast, in
        quantiles (0 to 0.5), sorted.

    Notes
    -----
    `max_steps="auto"` stands for 1,000 steps. `batch_size="auto"` stands for a quarter of the number of series, but
    at least 128 and at most 512, and for no more than a quarter of the windows, or 16. An epoch is 50 batches.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need". Patches: Nie et al. (2023), "A time series is worth 64 words".
    Correction of bands: Chernozhukov et al. (2021), "Distributional conformal prediction".

    Examples
    --------
    >>> import pandas as pd
    >>> from tsformer import TransformerForecaster
    >>> index = pd.date_range("2020-01-01", periods=60, freq="MS")
    >>> y = pd.Series(range(60), index=index, dtype=float)
    >>> TransformerForecaster(horizon=6, max_steps=5, random_state=0).fit(y).predict().shape
    (6,)
    """

    horizon: int = 24
    context_length: int | str = "auto"
    encoder: str | Callable[..., nn.Module] = "patch"
    head: str = "quantile"
    own_share: float = 1.0
    early_stopping: bool | Literal["auto"] = "auto"  # type: ignore[assignment]
    refit: bool = True
    calibration_windows: int = 0
    calendar: bool = False
    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"
    target_col: Any = "y"
    freq: Any = None
    fill: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        TransformerParams,
        TrainingParams,
        horizon=[Interval(Integral, 1, None, closed="left")],
        context_length=[Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        encoder=[StrOptions(set(ENCODERS)), callable],
        head=[StrOptions(set(HEADS))],
        own_share=[Interval(Real, 0, 1, closed="both")],
        early_stopping=["boolean", StrOptions({"auto"})],
        calibration_windows=[Interval(Integral, 0, None, closed="left")],
        calendar=["boolean"],
        id_col=[Hashable],
        time_col=[Hashable],
        target_col=[Hashable, list],
        freq=[str, pd.offsets.BaseOffset, Integral, None],
        fill=[StrOptions({"ffill", "interpolate"}), Real, None],
    )

    @with_callbacks
    def fit(
        self,
        df: Frame,
        y: Any = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
    ) -> "TransformerForecaster":
        """Train on the series of a frame.

        Parameters
        ----------
        df : Series or DataFrame
            Targets only. Wide (times in the index, a column a series), long (columns id_col, time_col, target_col), or
            with a (series, time) MultiIndex. NaN is a missing value.
        y : None
            Here because Pipeline and GridSearchCV pass it; anything else is refused.
        past : Series or DataFrame, optional
            Covariates known up to the present, for each time of df.
        future : Series or DataFrame, optional
            Covariates known ahead, for each time of df; predict needs them for the horizon too.
        static : Series or DataFrame, optional
            What does not change in time, a row for each series.

        Returns
        -------
        self
        """
        self._validate_params()
        _check_no_labels(y)
        given = Given(past, future, static)
        task = whole_fit(self, 2, df, None)
        self._train_on(df, given, anew=not (self.warm_start and hasattr(self, "model_")), task=task)
        task.end()
        return self

    def update(
        self,
        df: Frame,
        y: Any = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
        refit: bool = False,
    ) -> "TransformerForecaster":
        """Append new time points, or new series, to the histories that predict goes on from.

        Parameters
        ----------
        df : Series or DataFrame
            In the form given to fit. Each series goes on where it ended; series may stay away, and new ones may come.
        y : None
            As in fit.
        past, future, static
            Covariates of the new times and series, in the form given to fit. A row for a time known before replaces
            the one that came then.
        refit : bool, default=False
            Train on, from the present weights, with all histories. Otherwise the network stays as it is.

        Returns
        -------
        self
        """
        check_is_fitted(self, "model_")
        _check_no_labels(y)
        longer = append_rows(self._df, df, "df")
        check_later(df, self._series)
        given = self._with_those_of_fit(Given(past, future, static))
        if refit:
            self._train_on(longer, given, anew=False)
        else:
            series = self._read(longer)
            self._covariates.read(series, given, 0)  # tells of what is missing
            self._remember(longer, series, given)
        return self

    def predict(
        self,
        df: Frame | None = None,
        horizon: int | None = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
        quantiles: Sequence[float] | None = None,
        level: Sequence[float] | float | None = None,
    ) -> Frame:
        """Forecast what follows the last time of each series.

        Parameters
        ----------
        df : Series or DataFrame, optional
            Histories to go on from, of series seen in fit or not; by default those given to fit and update.
        horizon : int, optional
            Time points to forecast; by default the horizon of the estimator. It may be longer.
        past, future, static
            As in fit; future covers the horizon as well. Without df, rows that fit or update were given need not come
            again.
        quantiles : sequence of float in (0, 1), optional
            Forecast these quantiles: in a long frame beside the point forecast, in other forms instead of it.
        level : float or sequence of float in [1, 100), optional
            Forecast the bands that hold this percentage, beside the point forecast. Not together with quantiles.

        Returns
        -------
        Series or DataFrame
            In the form of df, with the times of the horizon.
        """
        horizon = self._checked_horizon(horizon)
        wanted, levels = asked_of(quantiles, level)
        series, given = self._histories(df, Given(past, future, static))
        return written(series, self._forecast(series, given, horizon, wanted), levels)

    def sample(
        self,
        n: int,
        df: Frame | None = None,
        horizon: int | None = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
    ) -> pd.DataFrame:
        """Draw `n` paths of what may follow, each patch given those drawn before it.

        Parameters
        ----------
        n : int
            Number of paths for each series.
        df, horizon, past, future, static
            As in predict.

        Returns
        -------
        DataFrame
            The paths one under the other, each in the form of predict; the first index level, "path", counts them.
            With an int as random_state the same call gives the same paths.
        """
        horizon, n = self._checked_horizon(horizon), checked_count(n, "n")
        series, given = self._histories(df, Given(past, future, static))
        with seeded(draw_seed(self.random_state), resolve_device(self.device)):
            drawn = self._forecast(series, given, horizon, n_paths=n)
        paths = [pd.DataFrame(written(series, path)) for path in drawn.in_parts(n)]
        return pd.concat(paths, keys=range(n), names=["path"])

    def backtest(
        self,
        df: Frame,
        n_windows: int = 1,
        step_size: int | None = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
        quantiles: Sequence[float] | None = None,
        level: Sequence[float] | float | None = None,
        refit: bool = False,
    ) -> pd.DataFrame:
        """Forecast the last part of each series as if it had not come yet, window by window.

        Parameters
        ----------
        df, past, future, static
            As in fit.
        n_windows : int, default=1
            Number of windows of `horizon` time points; the last one ends where df ends.
        step_size : int, optional
            Time points from a window to the next; by default the horizon.
        quantiles, level
            As in predict.
        refit : bool, default=False
            Train a copy anew on what comes before each window. Otherwise the network is used as it is: only if it was
            fitted on earlier data are these honest forecasts.

        Returns
        -------
        DataFrame
            The forecasts of all windows one under the other, in the form of predict, with a column "cutoff": the last
            time that each of them knows.
        """
        check_is_fitted(self, "model_")
        wanted, levels = asked_of(quantiles, level)
        series, given = self._read(df), Given(past, future, static)
        step = self.horizon if step_size is None else checked_count(step_size, "step_size")
        if "cutoff" in {*series.names, series.form.id_col, series.form.time_col}:
            raise ValueError("The result of backtest has a column 'cutoff'. Rename that column of df.")
        withheld = [self.horizon + step * i for i in reversed(range(checked_count(n_windows, "n_windows")))]
        if (shortest := min(map(len, series.values))) <= withheld[0]:
            raise ValueError(
                f"{n_windows} windows need more than {withheld[0]} time points of each series. Got one of {shortest}; "
                "lower n_windows or step_size."
            )
        known = [without_last(series, n) for n in withheld]
        if refit:
            copies = [clone(self)._train(part, given, anew=True) for part in known]
            forecasts = [
                forecaster._forecast(part, given, self.horizon, wanted)
                for forecaster, part in zip(copies, known, strict=True)
            ]
        else:
            forecasts = self._forecast_past(series, given, withheld, wanted)
        return pd.concat(
            [
                pd.DataFrame(written(part, forecast, levels)).assign(cutoff=cutoffs(part, self.horizon))
                for part, forecast in zip(known, forecasts, strict=True)
            ]
        )

    def score(
        self,
        df: Frame,
        y: Any = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
    ) -> float:
        """Return minus the MASE of the last `horizon` steps of each series, forecast from those before.

        The mean absolute scaled error (Hyndman & Koehler 2006) divides by the mean absolute seasonal difference of the
        history, or the difference from a time to the next where a history is no longer than a season. A series whose
        history does not vary has none and does not count. Larger is better; seasonal naive has about -1.

        Parameters
        ----------
        df : Series or DataFrame
            Series longer than `horizon`.
        y : None
            As in fit.
        past, future, static
            As in fit. In cross-validation they need scikit-learn's metadata routing, for future
            `set_fit_request(future=True).set_score_request(future=True)`.

        Returns
        -------
        float
        """
        check_is_fitted(self, "model_")
        _check_no_labels(y)
        series = self._read(df)
        if (short := min(map(len, series.values))) <= self.horizon:
            raise ValueError(
                f"Each series of df must be longer than horizon={self.horizon}. Got one of {short} times; score "
                "forecasts the last ones from those before. tsformer.model_selection.TemporalSplit cuts such folds."
            )
        (forecast,) = self._forecast_past(series, Given(past, future, static), [self.horizon], [])
        truth = series.unfilled if isinstance(self.fill, str) else series.values
        return -mean_absolute_scaled_error(truth, by_series(forecast.point, series), self.lengths_.season)

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def _read(self, df: Frame, *, anew: bool = False) -> SeriesSet:
        expected = None if anew else self.freq_
        series = read_series(
            df,
            id_col=self.id_col,
            time_col=self.time_col,
            target_col=self.target_col,
            freq=self.freq,
            fill=self.fill,
            expected=expected,
        )
        if expected is not None and seasonal_period(series.freq) != seasonal_period(expected):
            raise ValueError(
                f"df must have the frequency that fit saw, {expected!r}. Got {series.freq!r}; fit another forecaster."
            )
        if self.head == "negative_binomial":
            check_counts(series)
        return series

    def _remember(self, df: Frame, series: SeriesSet, given: Given) -> None:
        """Keep what predict goes on from and update appends to, as it is now."""
        self._series = series
        self._df, self._given = df.copy(), Given(*(None if frame is None else frame.copy() for frame in given))

    def _histories(self, df: Frame | None, given: Given) -> tuple[SeriesSet, Given]:
        """Read what to forecast from; what is not given is that of fit."""
        check_is_fitted(self, "model_")
        return (self._series, self._with_those_of_fit(given)) if df is None else (self._read(df), given)

    def _with_those_of_fit(self, given: Given) -> Given:
        return Given(
            *(
                replace_rows(old, new, name, self.id_col, self.time_col)
                for name, old, new in zip(Given._fields, self._given, given, strict=True)
            )
        )

    def _checked_horizon(self, horizon: int | None) -> int:
        return self.horizon if horizon is None else checked_count(horizon, "horizon")

    def _train_on(self, df: Frame, given: Given, *, anew: bool, task: Task = SILENT) -> None:
        series = self._read(df, anew=anew)
        self._train(series, given, anew=anew, task=task)
        self._remember(df, series, given)

    def _train(self, series: SeriesSet, given: Given, *, anew: bool, task: Task = SILENT) -> "TransformerForecaster":
        """Train a new network, or from the weights that there are, and find how to correct its quantiles."""
        if not self.calibration_windows:
            self._learn(series, given, anew=anew, task=task)
            self.__dict__.pop("distances_", None)
            return self
        withheld = [self.horizon * (i + 1) for i in range(self.calibration_windows)]
        self._check_calibration(series, withheld[-1])
        self._learn(without_last(series, withheld[-1]), given, anew=anew, task=task)
        windows = self._past_windows(series, given, withheld, RANKED_AT_ONCE)
        self.distances_ = distances_from_median(self.model_, windows, resolve_device(self.device))
        return self

    def _check_calibration(self, series: SeriesSet, withheld: int) -> None:
        what = f"calibration_windows={self.calibration_windows}"
        if self.head == "point":
            raise ValueError(f"{what} corrects quantiles, of which head='point' has none. Set it to 0.")
        if (shortest := min(map(len, series.values))) <= withheld:
            raise ValueError(
                f"{what} holds back the last {withheld} time points of each series and needs one more. Got a series of "
                f"{shortest}; lower it, or leave short series out."
            )
        if all(np.isnan(rows[-withheld:]).all() for rows in series.values):
            raise ValueError(f"{what} holds back missing values only. Take more, or set it to 0.")

    def _learn(self, series: SeriesSet, given: Given, *, anew: bool, task: Task) -> "TransformerForecaster":
        device = resolve_device(self.device)
        plan = self._plan(series, given) if anew else Plan(self.freq_, self.lengths_, self._covariates)
        horizon = plan.lengths.training_horizon  # windows near an end reach beyond it, where no value is known
        histories = join(series.values, *plan.covariates.read(series, given, 0, reach=horizon), horizon)

        start = None if anew else self.model_
        seed = draw_seed(self.random_state)
        stops_early = self.early_stopping
        if stops_early == "auto":
            stops_early = bool((histories.lengths >= LONG * horizon).double().mean() >= 0.5)
        withheld = hold_back(histories, self.validation_fraction, plan.lengths) if stops_early else None
        n_steps = 1000 if self.max_steps == "auto" else self.max_steps
        LOG.info(
            "%s: %d series of up to %d time points; %s; on %s, at most %d steps, early stopping: %s.",
            *(type(self).__name__, len(series), max(map(len, series.values)), plan.lengths),
            *(device, n_steps, stops_early),
        )
        history = self._fit_network(plan, histories, withheld, seed, device, start, n_steps, task, "network")
        if self.refit and withheld is not None and not history.interrupted:
            history = self._fit_network(plan, histories, None, seed, device, start, history.best_step, task, "refit")
        log_end(self, [history])
        return self

    def _plan(self, series: SeriesSet, given: Given) -> Plan:
        """Choose what a new network is built by."""
        season, longest = seasonal_period(series.freq), max(map(len, series.values))
        lengths = choose_lengths(self.horizon, self.context_length, season, longest)
        learnt = max(1, longest - max(season, 2))  # windows begin with so much history
        if lengths.training_horizon > learnt:
            warnings.warn(
                f"horizon={self.horizon}, but the longest series to learn from has {longest} time points: steps "
                f"after the first {learnt} are not learnt, and not to be trusted.",
                stacklevel=2,
            )
        return Plan(series.freq, lengths, Covariates.fit(series, given, calendar=self.calendar))

    def _fit_network(
        self,
        plan: Plan,
        histories: Histories,
        withheld: Tensor | None,
        seed: int,
        device: torch.device,
        start: SeriesForecaster | None,
        n_steps: int,
        task: Task,
        title: str,
    ) -> History:
        """Train a new `model_`, or a copy of `start`; early stopping watches the last `withheld` times of a series."""
        training = task.part(title, math.ceil(n_steps / BATCHES_PER_EPOCH))

        def after_epoch(model: nn.Module) -> bool:
            built = {"freq_": plan.freq, "lengths_": plan.lengths, "_covariates": plan.covariates}
            training.part("epoch").end(lambda: {"model_": copy.deepcopy(model), **built})
            return training.stopped

        unseen = None if withheld is None else validation_windows(histories, withheld, plan.lengths)
        with seeded(seed, device) as generator:
            model = ready_to_train(self._build(plan) if start is None else copy.deepcopy(start), device)
            windows = training_windows(histories, withheld, plan.lengths, self.batch_size, generator)
            warmup_steps = round(self.warmup * n_steps)
            history = train(
                model,
                objectives.forecasting(self.own_share),
                windows,
                adamw(model, self.learning_rate, self.weight_decay),
                SCHEDULES[self.schedule](n_steps, warmup_steps),
                n_steps=n_steps,
                device=device,
                max_grad_norm=self.max_grad_norm,
                average_decay=self.average_decay,
                precision=getattr(torch, self.precision),
                early_stopping=None if unseen is None else self._early_stopping(unseen, warmup_steps),
                progress=bool(self.verbose),
                title=title,
                after_epoch=after_epoch,
            )
            if self.head != "point":
                some = itertools.islice(windows, BATCHES_OF_SCORES)
                learn_correlation(model, (batch.to(device) for batch in some))
        # Only now, so that a fit that fails leaves what there was.
        self.model_, (self.freq_, self.lengths_, self._covariates) = model, plan
        self.history_ = history.as_dict()
        self.n_iter_ = history.best_step
        training.end()
        return history

    def _early_stopping(self, unseen: WindowsAt, warmup_steps: int) -> EarlyStopping:
        rolled_out = objectives.forecasting(own_share=1.0)
        return EarlyStopping(unseen, rolled_out, self.n_iter_no_change, self.tol, warmup_steps)

    def _build(self, plan: Plan) -> SeriesForecaster:
        return build_network(
            self.encoder,
            self.head,
            plan.lengths,
            n_past=plan.covariates.n_past,
            n_future=plan.covariates.n_future,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            d_ff=self.d_ff,
            dropout=self.dropout,
        )

    def _forecast(
        self, series: SeriesSet, given: Given, horizon: int, quantiles: Sequence[float] = (), *, n_paths: int = 0
    ) -> Forecast:
        """Forecast what follows each series, or draw paths of it: those of all series, `n_paths` times."""
        forecast = forecast_windows(
            self.model_,
            self._windows_ahead(series, given, horizon, max(1, n_paths), UNITS_PER_BATCH),
            horizon,
            quantiles,
            resolve_device(self.device),
            sample=n_paths > 0,
            distances=getattr(self, "distances_", None),
        )
        self._warn_of_blind(forecast, series)
        return forecast

    def _windows_ahead(self, series: SeriesSet, given: Given, horizon: int, n_times: int, batch_size: int) -> WindowsAt:
        """Cut the window that knows all of a series, for each series, `n_times` times.

        Static covariates and the calendar are known for the whole last patch, as in training: what a patch begins with
        must not depend on how much of it is asked for.
        """
        patch = self.lengths_.decoder_patch
        reach = max(horizon, min(math.ceil(horizon / patch) * patch, self.lengths_.training_horizon))
        histories = join(series.values, *self._covariates.read(series, given, horizon, reach=reach), reach)
        return last_windows(histories, [0] * n_times, self.lengths_.context, reach, batch_size)

    def _warn_of_blind(self, forecast: Forecast, series: SeriesSet) -> None:
        """Warn of forecasts that are NaN, because nothing was observed to make them from."""
        n_channels = len(series.names)
        # All units come once for each path or window.
        blind = np.unique(np.flatnonzero(np.isnan(forecast.point[:, 0])) % (len(series) * n_channels))
        if len(blind):
            code, channel = divmod(int(blind[0]), n_channels)
            column = f", column {quoted(series.names[channel])}," if n_channels > 1 else ""
            others = f" So are those of {len(blind) - 1} others." if len(blind) > 1 else ""
            warnings.warn(
                f"{series_name(series.ids[code])}{column} has no observed value in the last {self.lengths_.context} "
                f"time points: its forecast is NaN.{others}",
                stacklevel=4,
            )

    def _forecast_past(
        self, series: SeriesSet, given: Given, withheld: Sequence[int], quantiles: Sequence[float]
    ) -> list[Forecast]:
        """Forecast a horizon of each series from all but its last n time points, for each n of `withheld`."""
        windows = self._past_windows(series, given, withheld, UNITS_PER_BATCH)
        device, known = resolve_device(self.device), getattr(self, "distances_", None)
        forecast = forecast_windows(self.model_, windows, self.horizon, quantiles, device, distances=known)
        self._warn_of_blind(forecast, series)
        return forecast.in_parts(len(withheld))

    def _past_windows(
        self, series: SeriesSet, given: Given, withheld: Sequence[int], batch_size: int
    ) -> Iterable[Batch]:
        """Cut the windows of each series that know all but its last n time points, for each n of `withheld`."""
        covariates, context = self._covariates.read(series, given, 0), self.lengths_.context
        if series.fill != "interpolate":
            return last_windows(join(series.values, *covariates, 0), withheld, context, self.horizon, batch_size)
        return itertools.chain.from_iterable(
            last_windows(join(known_before_last(series, n), *covariates, 0), [n], context, self.horizon, batch_size)
            for n in withheld
        )


def _check_no_labels(y: Any) -> None:
    if y is not None:
        raise ValueError(
            f"y must be None: the series to forecast are in df. Got {type(y).__name__}; pass it as df, and what goes "
            "along with it as past=, future= or static=."
        )
