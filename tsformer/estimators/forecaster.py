"""TransformerForecaster: forecasts of one or many series, from pandas and back to pandas."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer import params
from tsformer.data.forecasts import Forecast, future_times, requested_quantiles, to_frame
from tsformer.data.frames import SeriesSet
from tsformer.estimators.backtesting import backtest_frame, minus_mase
from tsformer.estimators.checks import keep_fitted, place
from tsformer.estimators.forecasting import forecast_ahead, paths_ahead
from tsformer.estimators.histories import Frame, check_no_labels, read_histories, read_like_fit, read_to_fit
from tsformer.estimators.learning import learn
from tsformer.estimators.pretrained import ACCEPTED
from tsformer.models.encoders import ENCODERS
from tsformer.models.heads import HEADS
from tsformer.params import ParallelParams, TrainingParams, TransformerParams
from tsformer.training.callbacks import CallbackSupportMixin, whole_fit, with_callbacks
from tsformer.training.devices import portable, usual_state


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
    calibrated_until_ : Index
        Where `calibration_windows` is not 0: the last time of each series that was held back, in the order of
        `series_`.
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

    Training decodes 96 steps. Beyond these, bands of series without a season go on growing as changes in the context
    do, as those of a random walk should; paths of `sample` do not. A forecast lies at most 30 spreads from the
    mean of the last season, a spread being the geometric mean of the std of the context and of its change from a season
    to the next: steep trends are cut there, far ahead.

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
        check_no_labels(y)
        from_scratch = not (self.warm_start and hasattr(self, "model_"))
        task = whole_fit(self, 2, df, None)
        series = read_to_fit(self, df) if from_scratch else read_like_fit(self, df)
        if getattr(series.times[0], "unit", None) == "ns":  # these end in 2262
            future_times(series, self.horizon)
        state = learn(self, series, from_scratch=from_scratch, task=task)
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
        check_no_labels(y)
        if refit and not self.has_history_:
            raise ValueError(
                "refit=True needs all of the histories, and the file that this forecaster was loaded from holds their "
                "last values only. Save with tsformer.save(forecaster, path, history=True), or call fit with all rows."
            )
        series = read_like_fit(self, df, before=self.series_)
        if refit:
            keep_fitted(self, learn(self, series, from_scratch=False))
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
        return to_frame(series, forecast_ahead(self, series, horizon, future, wanted), levels)

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
        n, series = params.checked_count(n, "n"), read_histories(self, df)
        paths = paths_ahead(self, series, n, horizon, future)
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
        asked = requested_quantiles(quantiles, level)
        return backtest_frame(self, read_like_fit(self, df), n_windows, step_size, asked, refit=refit)

    @usual_state()
    def score(self, df: Frame, y: Any = None) -> float:
        """Return minus the MASE of the last `horizon` steps of each series, forecast from those before.

        Larger is better; seasonal naive has about -1. The error is that of
        `tsformer.metrics.mean_absolute_scaled_error`, scaled by the season of fit where df has one before its last
        horizon: a series whose history does not vary does not count.

        Parameters
        ----------
        df : Series or DataFrame
            As in fit. Series not longer than `horizon` are left out, with a warning.
        y : None
            As in fit.
        """
        check_no_labels(y)
        return minus_mase(self, read_like_fit(self, df))

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        place(self)
