"""TransformerForecaster: forecasts of one or many series, from pandas and back to pandas."""

import copy
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer import params
from tsformer.data import windows
from tsformer.data.covariates import CovariateScaler, read_future, seasonal_period
from tsformer.data.forecasts import Forecast, cutoffs, requested_quantiles, to_frame
from tsformer.data.frames import Columns, SeriesSet, check_counts, read_series, without_last
from tsformer.data.messages import quoted, series_name, warn_user
from tsformer.estimators.checks import keep_fitted
from tsformer.metrics import mean_absolute_scaled_error
from tsformer.models.encoders import ENCODERS
from tsformer.models.forecaster import Lengths, build_forecaster, choose_lengths
from tsformer.models.heads import HEADS
from tsformer.params import TrainingParams, TransformerParams
from tsformer.training import calibration
from tsformer.training.callbacks import SILENT, CallbackSupportMixin, Task, whole_fit, with_callbacks
from tsformer.training.correlation import learn_correlation
from tsformer.training.devices import draw_seed, portable, resolve_device, seeded
from tsformer.training.fitting import LOG, Problem, fit_network, log_end, settled
from tsformer.training.objectives import forecasting
from tsformer.training.prediction import forecast_windows

Frame = pd.Series | pd.DataFrame

LONG = 20  # training horizons in a series from which early_stopping="auto" stops early


@params.documents_parameters_of(TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerForecaster(TransformerParams, TrainingParams, CallbackSupportMixin, BaseEstimator):
    """Forecast series by an encoder-decoder Transformer, autoregressive by the patch.

    One network learns from all series given to fit, and forecasts them, or others, for any horizon. Windows are scaled
    one by one inside.

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
    scheduled_sampling : float in [0, 1], default=1.0
        Fraction of training batches in which the decoder reads its own forecasts instead of the true values.
    early_stopping : bool or "auto", default="auto"
        Hold back the last `validation_fraction` of each series that is long enough, a training horizon at least, stop
        when its loss no longer falls, and keep the best weights. "auto" does so where half of the series or more are
        at least 20 training horizons long: from those a network can learn too much.
    refit : bool, default=True
        After early stopping, train again on all time points, for as many steps as it chose.
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
    target_cols : hashable, list or None, default=None
        Target columns. None is "y" in a long frame; elsewhere it is every column that is no covariate.
    past_cols : hashable, list or None, default=None
        Covariates that are known up to the present, such as visits.
    future_cols : hashable, list or None, default=None
        Covariates that are known ahead, such as prices; `predict` takes their rows of the horizon.
    static_cols : hashable, list or None, default=None
        Covariates that do not change in time, such as a region, as numbers. What is missing in others is masked.
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
    conformity_scores_ : ndarray of shape (n_values,)
        Where `calibration_windows` is not 0: how far each value held back lies from the median of its forecast, in
        quantiles (0 to 0.5), sorted.
    series_ : SeriesSet
        The histories that `predict` goes on from and `update` appends to: ids, times, values and covariates.
    covariate_scaler_ : CovariateScaler
        Means and standard deviations of the covariates.
    has_history_ : bool
        False where the forecaster was loaded from a file with the last context of each series only.

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
    scheduled_sampling: float = 1.0
    early_stopping: bool | Literal["auto"] = "auto"  # type: ignore[assignment]
    refit: bool = True
    calibration_windows: int = 0
    calendar: bool = False
    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"
    target_cols: Any = None
    past_cols: Any = None
    future_cols: Any = None
    static_cols: Any = None
    freq: Any = None
    fill: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = params.constraints_of(
        TransformerParams,
        TrainingParams,
        horizon=[params.COUNT],
        context_length=[params.COUNT, StrOptions({"auto"})],
        encoder=[StrOptions(set(ENCODERS)), callable],
        head=[StrOptions(set(HEADS))],
        scheduled_sampling=[Interval(Real, 0, 1, closed="both")],
        early_stopping=["boolean", StrOptions({"auto"})],
        calibration_windows=[Interval(Integral, 0, None, closed="left")],
        calendar=["boolean"],
        id_col=[Hashable],
        time_col=[Hashable],
        target_cols=[Hashable, list, None],
        past_cols=[Hashable, list, None],
        future_cols=[Hashable, list, None],
        static_cols=[Hashable, list, None],
        freq=[str, pd.offsets.BaseOffset, Integral, None],
        fill=[StrOptions({"ffill", "interpolate"}), Real, None],
    )

    @with_callbacks
    def fit(self, df: Frame, y: Any = None) -> "TransformerForecaster":
        """Train on the series of a frame.

        Parameters
        ----------
        df : Series or DataFrame
            Targets and the covariates that the constructor names, side by side. Wide (times in the index, a column a
            series; covariates go with all of them), long (columns id_col, time_col and so on), or with a (series, time)
            MultiIndex. NaN is a missing value.
        y : None
            Here because Pipeline and GridSearchCV pass it; anything else is refused.

        Returns
        -------
        self
        """
        self._validate_params()
        _check_no_labels(y)
        from_scratch = not (self.warm_start and hasattr(self, "model_"))
        task = whole_fit(self, 2, df, None)
        state = self._train(self._read(df, from_scratch=from_scratch), from_scratch=from_scratch, task=task)
        task.end(lambda: state)
        keep_fitted(self, state)
        return self

    def update(self, df: Frame, y: Any = None, *, refit: bool = False) -> "TransformerForecaster":
        """Append new time points, or new series, to the histories that predict goes on from.

        Parameters
        ----------
        df : Series or DataFrame
            In the form given to fit. Each series goes on where it ended; series may stay away, and new ones may come.
        y : None
            As in fit.
        refit : bool, default=False
            Train on, from the present weights, with all histories. Otherwise the network stays as it is.

        Returns
        -------
        self
        """
        check_is_fitted(self, "model_")
        _check_no_labels(y)
        if refit and not self.has_history_:
            raise ValueError(
                "refit=True needs all of the histories, and the file that this forecaster was loaded from holds their "
                "last values only. Save with tsformer.save(forecaster, path, history=True), or call fit with all rows."
            )
        series = self._read(df, before=self.series_)
        if refit:
            keep_fitted(self, self._train(series, from_scratch=False))
        else:
            self.series_: SeriesSet = series
        return self

    def predict(
        self,
        df: Frame | None = None,
        horizon: int | None = None,
        *,
        future: Frame | None = None,
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
        future : Series or DataFrame, optional
            The rows of the horizon with the columns of `future_cols`, by id and time; other columns and rows are not
            read. Rows without ids go with all series.
        quantiles : sequence of float in (0, 1), optional
            Forecast these quantiles: in a long frame beside the point forecast, in other forms instead of it.
        level : float or sequence of float in [1, 100), optional
            Forecast the bands that hold this percentage, beside the point forecast. Not together with quantiles.

        Returns
        -------
        Series or DataFrame
            In the form of df, with the times of the horizon.
        """
        wanted, levels = requested_quantiles(quantiles, level)
        series, forecast = forecast_series(self, df, horizon, future, wanted)
        return to_frame(series, forecast, levels)

    def sample(
        self, n: int, df: Frame | None = None, horizon: int | None = None, *, future: Frame | None = None
    ) -> pd.DataFrame:
        """Draw `n` paths of what may follow, each patch given those drawn before it.

        Parameters
        ----------
        n : int
            Number of paths for each series.
        df, horizon, future
            As in predict.

        Returns
        -------
        DataFrame
            The paths one under the other, each in the form of predict; the first index level, "path", counts them.
            With an int as random_state the same call gives the same paths.
        """
        n = params.checked_count(n, "n")
        with seeded(draw_seed(self.random_state), resolve_device(self.device)):
            series, drawn = forecast_series(self, df, horizon, future, n_paths=n)
        paths = [pd.DataFrame(to_frame(series, path)) for path in drawn.in_parts(n)]
        return pd.concat(paths, keys=range(n), names=["path"])

    def backtest(
        self,
        df: Frame,
        n_windows: int = 1,
        step_size: int | None = None,
        *,
        quantiles: Sequence[float] | None = None,
        level: Sequence[float] | float | None = None,
        refit: bool = False,
    ) -> pd.DataFrame:
        """Forecast the last part of each series as if it had not come yet, window by window.

        Parameters
        ----------
        df : Series or DataFrame
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
        wanted, levels = requested_quantiles(quantiles, level)
        series = self._read(df)
        if "cutoff" in {*series.names, series.form.id_col, series.form.time_col}:
            raise ValueError("The result of backtest has a column 'cutoff'. Rename that column of df.")
        step = self.horizon if step_size is None else params.checked_count(step_size, "step_size")
        left = [self.horizon + step * i for i in reversed(range(params.checked_count(n_windows, "n_windows")))]
        _check_longer(series, left[0], f"{n_windows} windows need", "lower n_windows or step_size")
        known = [without_last(series, n) for n in left]
        if refit:
            forecasts = []
            for n, part in zip(left, known, strict=True):
                forecaster = clone(self)
                keep_fitted(forecaster, forecaster._train(part, from_scratch=True))
                forecasts += forecaster._forecast_past(series, [n], wanted)
        else:
            forecasts = self._forecast_past(series, left, wanted)
        frames = [pd.DataFrame(to_frame(*each, levels)) for each in zip(known, forecasts, strict=True)]
        ends = [cutoffs(part, self.horizon) for part in known]
        return pd.concat([frame.assign(cutoff=cutoff) for frame, cutoff in zip(frames, ends, strict=True)])

    def score(self, df: Frame, y: Any = None) -> float:
        """Return minus the MASE of the last `horizon` steps of each series, forecast from those before.

        Larger is better; seasonal naive has about -1. The error is that of
        `tsformer.metrics.mean_absolute_scaled_error`: a series whose history does not vary does not count.

        Parameters
        ----------
        df : Series or DataFrame
            As in fit, series longer than `horizon`.
        y : None
            As in fit.
        """
        check_is_fitted(self, "model_")
        _check_no_labels(y)
        series = self._read(df)
        remedy = "tsformer.model_selection.TemporalSplit cuts such folds"
        _check_longer(
            series, self.horizon, f"score forecasts the last horizon={self.horizon} from those before:", remedy
        )
        [forecast] = self._forecast_past(series, [self.horizon])
        values = series.unfilled if isinstance(self.fill, str) else series.values
        units = [unit for rows in values for unit in rows.T]
        truth = np.stack([unit[-self.horizon :] for unit in units])
        histories, season = [unit[: -self.horizon] for unit in units], self.lengths_.season
        return -mean_absolute_scaled_error(truth, forecast.point, y_train=histories, seasonality=season)

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def _read(self, df: Frame, *, from_scratch: bool = False, before: SeriesSet | None = None) -> SeriesSet:
        columns = Columns(*(getattr(self, name) for name in Columns._fields))
        expected = None if from_scratch else self.freq_
        if not from_scratch and columns.covariates != (of_fit := self.series_.form.covariates):
            named = "past_cols={}, future_cols={}, static_cols={}"
            raise ValueError(
                f"The forecaster was fitted with {named.format(*of_fit)}. Got {named.format(*columns.covariates)}; set "
                "them back, or fit anew."
            )
        series = read_series(df, columns, freq=self.freq, fill=self.fill, expected=expected, before=before)
        if expected is not None and seasonal_period(series.freq) != seasonal_period(expected):
            raise ValueError(
                f"df must have the frequency that fit saw, {expected!r}. Got {series.freq!r}; fit another forecaster."
            )
        if self.head == "negative_binomial":
            check_counts(series)
        return series

    def _train(self, series: SeriesSet, *, from_scratch: bool, task: Task = SILENT) -> dict[str, Any]:
        """Train a new network, or from the weights that there are, and find how to correct its quantiles."""
        left = [self.horizon * (i + 1) for i in range(self.calibration_windows)]
        if not left:
            return self._learn(series, from_scratch=from_scratch, task=task)
        what = f"calibration_windows={self.calibration_windows}"
        if self.head == "point":
            raise ValueError(f"{what} corrects quantiles, of which head='point' has none. Set it to 0.")
        _check_longer(series, left[-1], f"{what} needs", "lower it, or leave short series out")
        if all(np.isnan(rows[-left[-1] :]).all() for rows in series.values):
            raise ValueError(f"{what} holds back missing values only. Take more, or set it to 0.")
        state = self._learn(without_last(series, left[-1]), from_scratch=from_scratch, task=task)
        of_windows = series, state["covariate_scaler_"], left, state["lengths_"].context, self.horizon
        held_back = windows.past_windows(*of_windows, calibration.WINDOWS_PER_BATCH)
        scores = calibration.conformity_scores(state["model_"], held_back, resolve_device(self.device))
        if not len(scores):
            raise ValueError(f"{what} holds back no value that can be forecast. Take more, or set it to 0.")
        return state | {"conformity_scores_": scores, "series_": series}

    def _learn(self, series: SeriesSet, *, from_scratch: bool, task: Task) -> dict[str, Any]:
        """Train, and return the fitted attributes."""
        if from_scratch:
            lengths, freq = self._choose_lengths(series), series.freq
            covariates = CovariateScaler.fit(series, calendar=self.calendar)
            shape = {"n_past": covariates.n_past, "n_future": covariates.n_future}
            shape |= params.values_of(TransformerParams, self)
            start: Callable[[], nn.Module] = partial(build_forecaster, self.encoder, self.head, lengths, **shape)
        else:
            lengths, freq, covariates = self.lengths_, self.freq_, self.covariate_scaler_
            start = partial(copy.deepcopy, self.model_)
        horizon = lengths.training_horizon  # windows near an end reach beyond it, where no value is known
        histories = windows.join(series.values, *covariates.apply(series, reach=horizon), horizon)
        stops_early = self.early_stopping
        if stops_early == "auto":
            stops_early = bool((histories.lengths >= LONG * horizon).double().mean() >= 0.5)
        held_back = windows.hold_back(histories, self.validation_fraction, horizon) if stops_early else None
        n_steps, size = 1000 if self.max_steps == "auto" else self.max_steps, windows.WINDOWS_PER_BATCH
        settings = settled(self, max_steps=n_steps, batch_size=size, seed=draw_seed(self.random_state))
        LOG.info(
            f"{type(self).__name__}: {series.n_series} series of up to {max(map(len, series.values))} time points; "
            f"{lengths}; on {resolve_device(self.device)}, at most {n_steps} steps, early stopping: {stops_early}."
        )

        def problem(unseen: Any) -> Problem:
            of_windows = histories, unseen, lengths.context, horizon, lengths.season, self.batch_size
            batches, objective = partial(windows.training_windows, *of_windows), forecasting(self.scheduled_sampling)
            finish = None if self.head == "point" else learn_correlation
            return Problem(start, batches, windows.BATCHES_PER_EPOCH, objective, finish)

        built: dict[str, Any] = {"freq_": freq, "lengths_": lengths, "covariate_scaler_": covariates}
        built |= {"series_": series, "has_history_": True}
        validation = None
        if held_back is not None:
            batches = windows.validation_windows(histories, held_back, lengths.context, horizon)
            validation = batches, forecasting(scheduled_sampling=1.0)
        model, history, _ = fit_network(
            problem(held_back),
            settings,
            validation=validation,
            refit=problem(None) if self.refit else None,
            task=task,
            attributes=lambda network: {"model_": network, **built},
        )
        log_end(self, [history])
        return {"model_": model, **built, "history_": history.as_dict(), "n_iter_": history.best_step}

    def _choose_lengths(self, series: SeriesSet) -> Lengths:
        season, longest = seasonal_period(series.freq), max(map(len, series.values))
        lengths = choose_lengths(self.horizon, self.context_length, season, longest)
        learnt = max(1, longest - max(season, 2))  # windows begin with so much history
        if lengths.training_horizon > learnt:
            warn_user(
                f"horizon={self.horizon}, but the longest series to learn from has {longest} time points: steps "
                f"after the first {learnt} are not learnt, and not to be trusted."
            )
        return lengths

    def _forecast_past(self, series: SeriesSet, left: Sequence[int], quantiles: Sequence[float] = ()) -> list[Forecast]:
        """Forecast a horizon of each series from all but its last n time points, for each n of `left`."""
        past = windows.past_windows(series, self.covariate_scaler_, left, self.lengths_.context, self.horizon)
        return _forecast(self, series, past, self.horizon, quantiles).in_parts(len(left))


def read_histories(forecaster: TransformerForecaster, df: Frame | None) -> SeriesSet:
    """Read what a fitted forecaster is to go on from; without a frame it is what fit and update were given."""
    check_is_fitted(forecaster, "model_")
    return forecaster.series_ if df is None else forecaster._read(df)


def forecast_series(
    forecaster: TransformerForecaster,
    df: Frame | None = None,
    horizon: int | None = None,
    future: Frame | None = None,
    quantiles: Sequence[float] = (),
    *,
    n_paths: int = 0,
) -> tuple[SeriesSet, Forecast]:
    """Forecast what follows each series, or draw paths of it: those of all series, `n_paths` times."""
    horizon = forecaster.horizon if horizon is None else params.checked_count(horizon, "horizon")
    series = read_histories(forecaster, df)
    ahead = windows_to_forecast(forecaster, series, horizon, future, n_times=max(1, n_paths))
    return series, _forecast(forecaster, series, ahead, horizon, quantiles, sample=n_paths > 0)


def windows_to_forecast(
    forecaster: TransformerForecaster,
    series: SeriesSet,
    horizon: int,
    future: Frame | None,
    *,
    n_times: int = 1,
    batch_size: int = windows.WINDOWS_PER_BATCH,
) -> Any:
    """Cut the windows that a forecast is made from.

    Static covariates and the calendar are known for the whole last patch, as in training: what a patch begins with must
    not depend on how much of it is asked for.
    """
    lengths, rows = forecaster.lengths_, read_future(future, series, horizon)
    reach = min(math.ceil(horizon / lengths.decoder_patch) * lengths.decoder_patch, lengths.training_horizon)
    covariates = forecaster.covariate_scaler_
    return windows.windows_ahead(
        series, covariates, rows, lengths.context, horizon, reach=reach, n_times=n_times, batch_size=batch_size
    )


def _forecast(
    forecaster: Any, series: SeriesSet, given: Any, horizon: int, quantiles: Sequence[float], *, sample: bool = False
) -> Forecast:
    """Forecast the given windows, and warn of those in which nothing was observed to forecast from."""
    scores = getattr(forecaster, "conformity_scores_", None)
    levels = quantiles if scores is None else calibration.corrected_levels(quantiles, scores)
    device, n_channels = resolve_device(forecaster.device), len(series.names)
    point, bands = forecast_windows(forecaster.model_, given, horizon, device, levels, sample=sample)
    # All units come once for each path or window.
    missing = np.unique(np.flatnonzero(np.isnan(point[:, 0])) % (series.n_series * n_channels))
    if len(missing):
        code, channel = divmod(int(missing[0]), n_channels)
        column = f", column {quoted(series.names[channel])}," if n_channels > 1 else ""
        others = f" So are those of {len(missing) - 1} others." if len(missing) > 1 else ""
        warn_user(
            f"{series_name(series.ids[code])}{column} has no observed value in the last {forecaster.lengths_.context} "
            f"time points: its forecast is NaN.{others}"
        )
    return Forecast(point, {quantile: bands[..., i] for i, quantile in enumerate(quantiles)})


def _check_longer(series: SeriesSet, n: int, what: str, remedy: str) -> None:
    if (shortest := min(map(len, series.values))) <= n:
        raise ValueError(f"{what} more than {n} time points of each series. Got one of {shortest}; {remedy}.")


def _check_no_labels(y: Any) -> None:
    if y is not None:
        raise ValueError(
            f"y must be None: the series to forecast are in df. Got {type(y).__name__}; pass targets and covariates "
            "side by side as df, and name covariates by past_cols=, future_cols= and static_cols=."
        )
