"""TransformerForecaster: forecasts of one or many series, from pandas and back to pandas."""

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer import params
from tsformer.data import windows
from tsformer.data.batch import Batch
from tsformer.data.covariates import CovariateScaler
from tsformer.data.forecasts import Forecast, future_times, past_frame, requested_quantiles, to_frame
from tsformer.data.frames import (
    Columns,
    SeriesSet,
    are_longer,
    check_counts,
    chosen,
    ends_of,
    read_series,
    warn_of_left_out,
    without_last,
)
from tsformer.data.holidays import places_of
from tsformer.data.messages import warn_user
from tsformer.data.seasons import choose_season, step_of
from tsformer.estimators.checks import keep_fitted, place
from tsformer.estimators.forecasting import (
    Frame,
    forecast_ahead,
    forecast_past,
    warn_of_seen,
    warn_of_unobserved,
    windows_to_forecast,
)
from tsformer.estimators.pretrained import ACCEPTED, Start, start_forecaster, steps_to_train
from tsformer.metrics import mean_absolute_scaled_error
from tsformer.models.encoders import ENCODERS
from tsformer.models.forecaster import Lengths, SeriesForecaster, choose_lengths
from tsformer.models.heads import HEADS
from tsformer.params import ParallelParams, TrainingParams, TransformerParams
from tsformer.training import calibration
from tsformer.training.callbacks import SILENT, CallbackSupportMixin, Task, whole_fit, with_callbacks
from tsformer.training.correlation import learn_correlation
from tsformer.training.devices import draw_seed, placed, portable, resolve_device, seeded, shared_seed, usual_state
from tsformer.training.fitting import LOG, Problem, fit_network, log_end, settled, steps_ahead
from tsformer.training.objectives import forecasting
from tsformer.training.optim import go_back
from tsformer.training.parallel import side_by_side
from tsformer.training.prediction import draw_paths
from tsformer.training.waiting import waiting_for

LONG = 20  # training horizons in a series from which early_stopping="auto" stops early


@params.documents_parameters_of(TransformerParams, TrainingParams, ParallelParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerForecaster(TransformerParams, TrainingParams, ParallelParams, CallbackSupportMixin, BaseEstimator):
    """Forecast series by a pretrained encoder-decoder Transformer, autoregressive by the patch.

    Its weights, which come with the package, were trained on synthetic series alone. Few series are forecast without
    training; from many, one network learns a little more. It forecasts them, or others, for any horizon. Windows are
    scaled one by one inside.

    Parameters
    ----------
    horizon : int, default=24
        Time points to forecast.
    context_length : int or "auto", default="auto"
        Time points that the encoder reads; "auto" is 21 seasons, but at least 180 and about 504 time points, and no
        more than the longest series.
    pretrained : "auto", "bundled", path, fitted TransformerForecaster or None, default="auto"
        Weights to begin with, and with them encoder, widths and layers, whatever these say; the head must be theirs.
        "bundled" comes with the package, and so does "auto", unless encoder, head, width or layers are set to others.
        None begins anew. A path is that of a file which `tsformer.save` or `scripts/pretrain forecaster` wrote.
    season : int, list of ints or "auto", default="auto"
        Steps after which series repeat themselves, 1 for none. Of a list the shortest is the season, and the longest is
        looked back to as well, as in [24, 168]. "auto" is what the frequency usually has: 12 of months, 52 of weeks, 7
        of days, 24 and 168 of hours, none of integers. A season that the longest series does not hold twice is replaced
        by a shorter one or none, with a warning.
    encoder : str or callable, default="patch"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there.
    head : {"quantile", "point", "student_t", "negative_binomial", "tokens"}, default="quantile"
        What is learnt of the next values: quantiles, one value, a Student t or (for counts) negative binomial
        distribution, or a softmax over bins of values.
    max_steps : int or "auto", default="auto"
        Optimiser steps. 0 never trains: the pretrained weights forecast as they are. "auto" is 1,000 from new weights.
        From pretrained ones it is 300 with covariates that they do not know; else 0 for fewer than 10,000 values in
        all, at most 300 where early stopping watches long series, and 100 for others. The log says which and why.
    scheduled_sampling : float in [0, 1], default=0.5
        Fraction of training batches in which the decoder reads its own forecasts instead of the true values.
    early_stopping : bool or "auto", default="auto"
        Hold back the last `validation_fraction` of each series that is long enough, a training horizon at least, stop
        when its loss no longer falls, and keep the best weights, be it those before training. "auto" does so where half
        of the series or more are at least 20 training horizons long, since from those a network can learn too much;
        not with `holidays`, of which too few are held back.
    refit : bool, default=True
        After early stopping, train again on all time points, for as many steps as it chose.
    calibration_windows : int, default=0
        Windows of a horizon at the end of each series that are held back from training, to correct bands by: in these
        windows they hold as often as they say, on the mean over all steps and series. Quantiles are moved as the ends
        of their bands are, so the median stays. The price is training without the latest values; it is worth it where
        the bands of a backtest hold too seldom or too often. `sample` is not corrected, and values of `fill` count.
    calendar : bool, default=False
        Give the network the season, weekday and hour of each time point.
    holidays : str, list of str or None, default=None
        Countries, such as "DE", or parts of them, such as "US-CA", whose public holidays the network is told, with the
        day before and the day after: as covariates that are known ahead, for times of a day or less. It needs the
        package holidays: `pip install "tsformer[holidays]"`.
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
        Season, the longer one that is looked back to (0 for none), context and horizon of training, in time points.
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
    trained_until_ : Index
        The last time of each series that the weights learnt from, in the order of `series_`; empty without training.
    has_history_ : bool
        False where the forecaster was loaded from a file with the last context of each series only.

    Notes
    -----
    After training from pretrained weights the mean of those before and after is kept, unless early stopping tells what
    training is worth, or covariates are new to them. `batch_size="auto"` stands for a quarter of the number of series,
    but at least 64 and at most 512, and for no more than a quarter of the windows, or 16. An epoch is 50 batches.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need". Patches: Nie et al. (2023), "A time series is worth 64 words".
    Pretraining on synthetic series: Dooley et al. (2023), "ForecastPFN". The mean of weights: Wortsman et al. (2022),
    "Robust fine-tuning of zero-shot models". Correction of bands: Chernozhukov et al. (2021), "Distributional conformal
    prediction". The simple forecasts that it starts from are those of `tsformer.models.simple_forecasts`.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsformer import TransformerForecaster
    >>> index = pd.date_range("2020-01-01", periods=60, freq="MS")
    >>> y = pd.Series(range(60), index=index, dtype=float)
    >>> TransformerForecaster(horizon=6).fit(y).predict().shape
    (6,)
    """

    horizon: int = 24
    context_length: int | str = "auto"
    pretrained: Any = "auto"
    season: int | list[int] | Literal["auto"] = "auto"
    encoder: str | Callable[..., nn.Module] = "patch"
    head: str = "quantile"
    d_model: int = 128
    d_ff: int = 256
    learning_rate: float = 1e-3
    scheduled_sampling: float = 0.5
    early_stopping: bool | Literal["auto"] = "auto"  # type: ignore[assignment]
    refit: bool = True
    calibration_windows: int = 0
    calendar: bool = False
    holidays: str | list[str] | None = None
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
        ParallelParams,
        horizon=[params.COUNT],
        context_length=[params.COUNT, StrOptions({"auto"})],
        pretrained=ACCEPTED,
        max_steps=[Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        season=[params.COUNT, list, StrOptions({"auto"})],
        encoder=[StrOptions(set(ENCODERS)), callable],
        head=[StrOptions(set(HEADS))],
        scheduled_sampling=[Interval(Real, 0, 1, closed="both")],
        early_stopping=["boolean", StrOptions({"auto"})],
        calibration_windows=[Interval(Integral, 0, None, closed="left")],
        calendar=["boolean"],
        holidays=[str, list, None],
        id_col=[Hashable],
        time_col=[Hashable],
        target_cols=[Hashable, list, None],
        past_cols=[Hashable, list, None],
        future_cols=[Hashable, list, None],
        static_cols=[Hashable, list, None],
        freq=[str, pd.offsets.BaseOffset, Integral, None],
        fill=[StrOptions({"ffill", "interpolate"}), Real, None],
    )

    @usual_state()
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
        series = self._read(df, from_scratch=from_scratch)
        if getattr(series.times[0], "unit", None) == "ns":  # these end in 2262
            future_times(series, self.horizon)
        state = self._train(series, from_scratch=from_scratch, task=task)
        task.end(lambda: state)
        keep_fitted(self, state)
        return self

    @usual_state()
    def update(self, df: Frame, y: Any = None, *, refit: bool = False) -> "TransformerForecaster":
        """Append new time points, or new series, to the histories that predict goes on from.

        Parameters
        ----------
        df : Series or DataFrame
            In the form given to fit. Each series goes on where it ended; series may stay away, and new ones may come.
        y : None
            As in fit.
        refit : bool, default=False
            Train on, from the present weights, with all histories, for as many steps as `max_steps` says: by "auto"
            for none where few values are there. Otherwise the network stays as it is.

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

    @usual_state()
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
        series = read_histories(self, df)
        return to_frame(series, forecast_series(self, series, horizon, future, wanted), levels)

    @usual_state()
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
        horizon = self.horizon if horizon is None else params.checked_count(horizon, "horizon")
        series, generator = read_histories(self, df), torch.Generator(resolve_device(self.device))
        given = windows_to_forecast(self, series, horizon, future)
        paths = draw_paths(self.model_, given, horizon, generator.manual_seed(draw_seed(self.random_state)), n)
        warn_of_unobserved(self, series, paths[0])
        frames = [pd.DataFrame(to_frame(series, Forecast(path, {}))) for path in paths]
        return pd.concat(frames, keys=range(n), names=["path"])

    @usual_state()
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
            not trained, or on earlier data, are these honest forecasts, and a warning says so.

        Returns
        -------
        DataFrame
            The forecasts of all windows one under the other, in the form of predict, beside the actual values: columns
            "y" (the forecast) and "y-actual" of a long frame, "point" and "actual" of a Series, (column, "point") and
            (column, "actual") of other frames. The column "cutoff" is the last time that each forecast knows. A series
            with nothing before a cutoff has no forecast there, with a warning. `tsformer.metrics.evaluate` scores it.
        """
        check_is_fitted(self, "model_")
        wanted, levels = requested_quantiles(quantiles, level)
        series = self._read(df)
        if "cutoff" in {*series.names, series.form.id_col, series.form.time_col}:
            raise ValueError("The result of backtest has a column 'cutoff'. Rename that column of df.")
        step = self.horizon if step_size is None else params.checked_count(step_size, "step_size")
        left = [self.horizon + step * i for i in reversed(range(params.checked_count(n_windows, "n_windows")))]
        are_longer(series, left[0], f"n_windows={n_windows} needs", "lower n_windows or step_size")
        if refit:
            refits = [partial(_refit_and_forecast, clone(self), series, n, wanted) for n in left]
            forecasts = list(side_by_side(refits, self.n_jobs))
        else:
            warn_of_seen(self, series, left[0], "Pass refit=True to train anew before each window")
            forecasts = forecast_past(self, series, left, wanted)
        return pd.concat([past_frame(series, *each, levels) for each in zip(left, forecasts, strict=True)])

    @usual_state()
    def score(self, df: Frame, y: Any = None) -> float:
        """Return minus the MASE of the last `horizon` steps of each series, forecast from those before.

        Larger is better; seasonal naive has about -1. The error is that of
        `tsformer.metrics.mean_absolute_scaled_error`: a series whose history does not vary does not count.

        Parameters
        ----------
        df : Series or DataFrame
            As in fit. Series not longer than `horizon` are left out, with a warning.
        y : None
            As in fit.
        """
        check_is_fitted(self, "model_")
        _check_no_labels(y)
        series = self._read(df)
        horizon, remedy = self.horizon, "tsformer.model_selection.TemporalSplit cuts such folds"
        counts = are_longer(series, horizon, f"score forecasts the last horizon={horizon} and needs", remedy)
        warn_of_seen(
            self, series, horizon, f"Give TemporalSplit the forecaster's horizon={horizon}", all_or_nothing=True
        )
        [forecast] = forecast_past(self, series, [horizon])
        units = [unit for rows, counts_too in zip(series.actual, counts, strict=True) if counts_too for unit in rows.T]
        truth = np.stack([unit[-horizon:] for unit in units])
        point = forecast.point[counts.repeat(len(series.names))]
        histories, season = [unit[:-horizon] for unit in units], self.lengths_.season
        return -mean_absolute_scaled_error(truth, point, y_train=histories, season=season)

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        place(self)

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
        if expected is not None and step_of(series.freq) != step_of(expected):
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
        kept = are_longer(series, left[-1], f"{what} needs", "lower it")
        measured = chosen(series, kept)
        if all(np.isnan(rows[-left[-1] :]).all() for rows in measured.values):
            raise ValueError(f"{what} holds back missing values only. Take more, or set it to 0.")
        known = without_last(series, left[-1], short_whole=True)
        state = self._learn(known, from_scratch=from_scratch, task=task)
        lengths = state["lengths_"]
        of_windows = measured, state["covariate_scaler_"], left, lengths.context, self.horizon, lengths.seasons
        held_back = windows.past_windows(*of_windows, calibration.WINDOWS_PER_BATCH)
        scores = calibration.conformity_scores(state["model_"], held_back, resolve_device(self.device))
        if not len(scores):
            raise ValueError(f"{what} holds back no value that can be forecast. Take more, or set it to 0.")
        return state | {"conformity_scores_": scores, "series_": series}

    def _learn(self, series: SeriesSet, *, from_scratch: bool, task: Task) -> dict[str, Any]:
        """Train, or take pretrained weights as they are, and return the fitted attributes."""
        if from_scratch:
            lengths, freq = self._choose_lengths(series), series.freq
            covariates = CovariateScaler.fit(series, calendar=self.calendar, holidays=places_of(self.holidays))
        else:
            lengths, freq, covariates = self.lengths_, self.freq_, self.covariate_scaler_
        built: dict[str, Any] = {"freq_": freq, "lengths_": lengths, "covariate_scaler_": covariates, "series_": series}
        built |= {"has_history_": True, "trained_until_": ends_of(series)}
        known = ends_of(series)[:0] if from_scratch else getattr(self, "trained_until_", ends_of(series)[:0])
        start = self._start(lengths, covariates, from_scratch=from_scratch)
        horizon = lengths.training_horizon  # windows near an end reach beyond it, where no value is known
        is_long = np.mean([len(rows) >= LONG * horizon for rows in series.values]) >= 0.5
        n_steps, why = self._n_steps(series, start, is_long=bool(is_long))
        device = resolve_device(self.device)
        LOG.info(
            f"{type(self).__name__}: {series.n_series} series of up to {max(map(len, series.values))} time points; "
            f"{lengths}; on {device}, {f'at most {n_steps} steps' if n_steps else 'no training'}: {why}."
        )
        if n_steps == 0:
            untrained = _untrained(self, start)
            return built | {"model_": untrained, "history_": {}, "n_iter_": 0, "trained_until_": known}
        histories = windows.join(series.values, *covariates.apply(series, reach=horizon), horizon, lengths.seasons)
        held_back = self._hold_back(series, histories, horizon, is_long=bool(is_long))
        # What is held back tells what training is worth; else half of it is taken back.
        pretrained = start.pretrained if held_back is None and not start.has_new_covariates else None
        settings = settled(self, max_steps=n_steps, batch_size=windows.WINDOWS_PER_BATCH, seed=shared_seed(self))

        def problem(unseen: Any) -> Problem:
            of_windows = histories, unseen, lengths.context, horizon, self.batch_size
            batches, objective = partial(windows.training_windows, *of_windows), forecasting(self.scheduled_sampling)
            finish = partial(_finish, pretrained, has_quantiles=self.head != "point")
            return Problem(start.make, batches, windows.BATCHES_PER_EPOCH, objective, finish)

        validation = None
        if held_back is not None:
            batches = windows.validation_windows(histories, held_back, lengths.context, horizon)
            validation = batches, forecasting(scheduled_sampling=1.0)
        waiting = waiting_for(self, steps_ahead(1, settings, refits=self.refit and held_back is not None))
        model, history, _ = fit_network(
            problem(held_back),
            settings,
            validation=validation,
            refit=problem(None) if self.refit else None,
            task=task,
            waiting=waiting,
            attributes=lambda network: {"model_": network, **built},
        )
        log_end(self, [history], waiting)
        built |= {} if history.best_step else {"trained_until_": known}
        return built | {"model_": model, "history_": history.as_dict(), "n_iter_": history.best_step}

    def _hold_back(
        self, series: SeriesSet, histories: windows.Histories, horizon: int, *, is_long: bool
    ) -> torch.Tensor | None:
        """How many time points of each series early stopping keeps from training; None without it."""
        is_auto = self.early_stopping == "auto"
        # The last tenth of a series may hold no holiday, and would tell that they are not worth learning.
        if not (is_long and not self.holidays if is_auto else self.early_stopping):
            return None
        held_back = windows.hold_back(histories, self.validation_fraction, horizon)
        if not is_auto:
            warn_of_left_out(series, held_back.numpy() == 0, f"early_stopping holds back {horizon} time points.")
        return held_back

    def _start(self, lengths: Lengths, covariates: CovariateScaler, *, from_scratch: bool) -> Start:
        """How the network begins."""
        if not from_scratch:
            return Start(partial(copy.deepcopy, self.model_), has_learnt=True)
        shape = {"encoder": self.encoder, "head": self.head} | params.values_of(TransformerParams, self)
        return start_forecaster(self.pretrained, shape, lengths.context, covariates.n_past, covariates.n_future)

    def _n_steps(self, series: SeriesSet, start: Start, *, is_long: bool) -> tuple[int, str]:
        """Settle how many steps to train, and say why."""
        n_values = sum(int(np.isfinite(rows).sum()) for rows in series.values)
        if self.max_steps == "auto":
            return steps_to_train(start, n_values, is_long=is_long)
        if self.max_steps == 0 and not start.has_learnt:
            warn_user(
                "max_steps=0 leaves new weights as they are drawn: forecasts are a fixed mixture of simple ones. Leave "
                "encoder, head, width and layers as they are, with pretrained='auto', or train."
            )
        elif self.max_steps == 0 and start.has_new_covariates:
            warn_user(
                "max_steps=0 leaves covariates, the calendar and holidays without effect: the pretrained weights know "
                "none. Set max_steps='auto', or drop them."
            )
        return self.max_steps, "as max_steps says"

    def _choose_lengths(self, series: SeriesSet) -> Lengths:
        longest = max(map(len, series.values))
        seasons = choose_season(self.season, series.freq, longest)
        return choose_lengths(self.horizon, self.context_length, seasons, longest)


def _refit_and_forecast(
    forecaster: TransformerForecaster, series: SeriesSet, n: int, quantiles: Sequence[float]
) -> Forecast:
    """Train a forecaster on all but the last n values of series, and forecast from there what comes next."""
    known = without_last(series, n)
    known = chosen(known, np.array([len(rows) > 0 for rows in known.values]))
    keep_fitted(forecaster, forecaster._train(known, from_scratch=True))
    [forecast] = forecast_past(forecaster, series, [n], quantiles)
    return forecast


def _untrained(forecaster: TransformerForecaster, start: Start) -> SeriesForecaster:
    """Return the network as it begins."""
    with seeded(draw_seed(forecaster.random_state), torch.device("cpu")):
        return placed(start.make(), resolve_device(forecaster.device))


def _finish(pretrained: SeriesForecaster | None, model: Any, batches: Iterable[Batch], *, has_quantiles: bool) -> None:
    """Go back half the way to pretrained weights, if any, and learn how values go together."""
    if pretrained is not None:
        go_back(model, pretrained)
    if has_quantiles:
        learn_correlation(model, batches)


@usual_state()
def read_histories(forecaster: TransformerForecaster, df: Frame | SeriesSet | None) -> SeriesSet:
    """Read what a fitted forecaster is to go on from; without a frame it is what fit and update were given."""
    check_is_fitted(forecaster, "model_")
    if isinstance(df, SeriesSet):  # read already
        return df
    return forecaster.series_ if df is None else forecaster._read(df)


@usual_state()
def forecast_series(
    forecaster: TransformerForecaster,
    series: SeriesSet,
    horizon: int | None = None,
    future: Frame | None = None,
    quantiles: Sequence[float] = (),
) -> Forecast:
    """Forecast what follows each series."""
    horizon = forecaster.horizon if horizon is None else params.checked_count(horizon, "horizon")
    return forecast_ahead(forecaster, series, horizon, future, quantiles)


def _check_no_labels(y: Any) -> None:
    if y is not None:
        raise ValueError(
            f"y must be None: the series to forecast are in df. Got {type(y).__name__}; pass targets and covariates "
            "side by side as df, and name covariates by past_cols=, future_cols= and static_cols=."
        )
