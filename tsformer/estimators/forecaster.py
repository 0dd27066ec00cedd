"""TransformerForecaster: forecasts of one or many series, from pandas and back to pandas."""

import copy
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.data.covariates import seasonal_period
from tsformer.data.forecasts import future_times, quantiles_of, write_forecast
from tsformer.data.frames import SeriesSet, read_series
from tsformer.data.windows import Histories, LastWindows, RandomWindows, join
from tsformer.estimators._covariates import Covariates, Frame, Matrices
from tsformer.estimators._fitting import draw_seed, portable, ready_to_predict, ready_to_train, resolve_device, seeded
from tsformer.layers.blocks import initialise_weights
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.patch import PatchEncoder
from tsformer.models.forecaster import SeriesForecaster, build_forecaster
from tsformer.models.heads import HEADS
from tsformer.params import TrainingParams, TransformerParams, constraints_of, documents_parameters_of
from tsformer.training import objectives
from tsformer.training.loop import EarlyStopping, History, train
from tsformer.training.optim import SCHEDULES, adamw

UNITS_PER_PREDICTION = 512  # bounds memory in prediction
BATCHES_PER_EPOCH = 50


class Lengths(NamedTuple):
    """Time points of the season, of the context, and of a patch of the encoder and of the decoder."""

    season: int
    context: int
    encoder_patch: int
    decoder_patch: int


@documents_parameters_of(TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerForecaster(TransformerParams, TrainingParams, BaseEstimator):
    """Forecast series by an encoder-decoder Transformer, autoregressive by the patch.

    One network learns from all series given to fit, and forecasts them, or others, for any horizon. Each column of a
    frame is a series of its own. Windows are scaled one by one inside.

    Parameters
    ----------
    horizon : int, default=24
        Time points to forecast.
    context_length : int or "auto", default="auto"
        Time points that the encoder reads; "auto" is four horizons, but at least three seasons.
    encoder : str or callable, default="patch"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there.
    head : {"quantile", "point", "student_t", "negative_binomial", "tokens"}, default="quantile"
        What is learnt of the next values: quantiles, one value, a Student t or (for counts) negative binomial
        distribution, or a softmax over bins of values.
    own_share : float in [0, 1], default=0.5
        Share of training batches in which the decoder reads its own forecasts instead of the true values.
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
    lengths_ : Lengths
        Season, context and patches in time points.
    history_ : dict of lists
        Step, loss, learning rate and seconds at the end of each epoch.
    n_iter_ : int
        Optimiser steps.

    Notes
    -----
    `max_steps="auto"` stands for 1,000 steps, `batch_size="auto"` for a quarter of the windows, at least 16 and at most
    128; an epoch is 50 batches. Early stopping holds back the last `horizon` time points of each series;
    `validation_fraction` is not used.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need". Patches: Nie et al. (2023), "A time series is worth 64 words".

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
    own_share: float = 0.5
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
        calendar=["boolean"],
        id_col=[Hashable],
        time_col=[Hashable],
        target_col=[Hashable, list],
        freq=[str, pd.offsets.BaseOffset, Integral, None],
        fill=[StrOptions({"ffill", "interpolate"}), Real, None],
    )

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
            Ignored; for Pipeline and GridSearchCV.
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
        return self._fit_series(self._read(df), past, future, static)

    def _fit_series(
        self, series: SeriesSet, past: Frame | None, future: Frame | None, static: Frame | None
    ) -> "TransformerForecaster":
        device = resolve_device(self.device)
        if not (self.warm_start and hasattr(self, "model_")):
            self.lengths_ = self._choose_lengths(series)
        self._covariates = Covariates.fit(series, past, future, static, calendar=self.calendar)
        self._series, self._given = series, (past, future, static)
        histories = join(series.values, *self._covariates.read(series, past, future, static, 0), 0)

        start = self.model_ if self.warm_start and hasattr(self, "model_") else None
        n_steps = 1000 if self.max_steps == "auto" else self.max_steps
        seed = draw_seed(self.random_state)
        held_out = self.horizon if self.early_stopping else 0
        history = self._fit_network(histories, held_out, seed, device, start, n_steps)
        if self.refit and held_out and not history.interrupted:
            self._fit_network(histories, 0, seed, device, start, history.best_step)
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
            Histories to go on from, of series seen in fit or not; by default those given to fit.
        horizon : int, optional
            Time points to forecast; by default the horizon of the estimator. It may be longer.
        past, future, static
            As in fit; future covers the horizon as well.
        quantiles : sequence of float in (0, 1), optional
            Forecast these quantiles too.
        level : float or sequence of float in (0, 100), optional
            Forecast the bands that hold this percentage. Not together with quantiles.

        Returns
        -------
        Series or DataFrame
            In the form of df, with the times of the horizon.
        """
        if quantiles is not None and level is not None:
            raise ValueError("Pass quantiles or level, not both. A level of 90 is the quantiles 0.05 and 0.95.")
        horizon = self._checked_horizon(horizon)
        levels = None if level is None else [float(value) for value in np.atleast_1d(level)]
        wanted = quantiles_of(levels) if levels is not None else _checked_quantiles(quantiles)
        series, histories = self._histories(df, past, future, static, horizon)
        point, bands = self._forecast(histories, horizon, wanted)
        return write_forecast(
            series,
            future_times(series, horizon),
            _by_series(point, series),
            {q: _by_series(values, series) for q, values in zip(wanted, bands, strict=True)} if wanted else None,
            levels,
        )

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
        horizon = self._checked_horizon(horizon)
        series, histories = self._histories(df, past, future, static, horizon)
        times = future_times(series, horizon)
        with seeded(draw_seed(self.random_state), resolve_device(self.device)):
            paths = [self._forecast(histories, horizon, [], sample=True)[0] for _ in range(n)]
        frames = [pd.DataFrame(write_forecast(series, times, _by_series(path, series))) for path in paths]
        return pd.concat(frames, keys=range(n), names=["path"])

    def backtest(
        self,
        df: Frame,
        n_windows: int = 1,
        step_size: int | None = None,
        *,
        past: Frame | None = None,
        future: Frame | None = None,
        static: Frame | None = None,
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
        series, step = self._read(df), self.horizon if step_size is None else step_size
        withheld = [self.horizon + step * i for i in reversed(range(n_windows))]
        if not withheld or step < 1:
            raise ValueError(f"n_windows and step_size must be at least 1. Got {n_windows} and {step}.")
        if (shortest := min(map(len, series.values))) <= withheld[0]:
            raise ValueError(
                f"{n_windows} windows need more than {withheld[0]} time points of each series. Got one of {shortest}; "
                "lower n_windows or step_size."
            )
        return pd.concat([self._forecast_last(n, series, past, future, static, refit) for n in withheld])

    def _forecast_last(
        self,
        n_withheld: int,
        series: SeriesSet,
        past: Frame | None,
        future: Frame | None,
        static: Frame | None,
        refit: bool,
    ) -> pd.DataFrame:
        """Forecast a horizon from all but the last `n_withheld` time points of each series."""
        values = [rows[:-n_withheld] for rows in series.values]
        history = replace(series, values=values, times=[times[:-n_withheld] for times in series.times])
        forecaster = clone(self)._fit_series(history, past, future, static) if refit else self
        behind, ahead = forecaster._covariates.read(history, past, future, static, self.horizon)
        point, _ = forecaster._forecast(join(values, behind, ahead, self.horizon), self.horizon, [])
        forecast = pd.DataFrame(
            write_forecast(history, future_times(history, self.horizon), _by_series(point, history))
        )
        cutoffs = [times[-1:].repeat(self.horizon) for times in history.times]
        return forecast.assign(cutoff=cutoffs[0].append(cutoffs[1:]))

    def score(self, df: Frame, y: Any = None) -> float:
        """Return minus the MASE of the last `horizon` steps of each series, forecast from those before.

        The mean absolute scaled error (Hyndman & Koehler 2006) divides by the mean absolute seasonal difference of
        the history. Larger is better; seasonal naive has about -1.
        """
        check_is_fitted(self, "model_")
        series = self._read(df)
        if (short := min(map(len, series.values))) <= self.horizon:
            raise ValueError(f"Each series of df must be longer than horizon={self.horizon}. Got one of {short} times.")
        season, errors = self.lengths_.season, []
        history = [values[: -self.horizon] for values in series.values]
        point, _ = self._forecast(join(history, None, None, self.horizon), self.horizon, [])
        for past, truth, forecast in zip(history, series.values, _by_series(point, series), strict=True):
            scale = np.nanmean(np.abs(past[season:] - past[:-season]), axis=0)
            errors.append(np.nanmean(np.abs(truth[-self.horizon :] - forecast), axis=0) / scale)
        return -float(np.nanmean(errors))

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def _read(self, df: Frame) -> SeriesSet:
        return read_series(
            df, id_col=self.id_col, time_col=self.time_col, target_col=self.target_col, freq=self.freq, fill=self.fill
        )

    def _histories(
        self, df: Frame | None, past: Frame | None, future: Frame | None, static: Frame | None, horizon: int
    ) -> tuple[SeriesSet, Histories]:
        """Read what to forecast from; what is not given is that of fit."""
        check_is_fitted(self, "model_")
        series = self._series if df is None else self._read(df)
        if df is None:
            past = self._given[0] if past is None else past
            static = self._given[2] if static is None else static
        return series, join(series.values, *self._covariates.read(series, past, future, static, horizon), horizon)

    def _checked_horizon(self, horizon: int | None) -> int:
        if horizon is None:
            return self.horizon
        if not isinstance(horizon, Integral) or horizon < 1:
            raise ValueError(f"horizon must be an int in the range [1, inf). Got {horizon!r} instead.")
        return int(horizon)

    def _choose_lengths(self, series: SeriesSet) -> Lengths:
        """Choose context and patches by horizon, season and the longest series: some 8 patches to read, 2 to write."""
        season = seasonal_period(series.freq)
        context = self.context_length
        if context == "auto":
            context = max(4 * self.horizon, 3 * season, 8)
            context = min(context, max(map(len, series.values)))
        context = int(context)
        encoder_patch = season if 1 < season <= context // 2 else math.ceil(context / 8)
        context = math.ceil(context / encoder_patch) * encoder_patch
        return Lengths(season, context, encoder_patch, math.ceil(self.horizon / 2))

    def _build(self) -> SeriesForecaster:
        lengths, covariates = self.lengths_, self._covariates
        build: Any = ENCODERS[self.encoder] if isinstance(self.encoder, str) else self.encoder
        if self.encoder == "patch":
            build = partial(PatchEncoder, patch_length=lengths.encoder_patch)
        width: dict[str, Any] = {
            "d_model": self.d_model,
            "n_heads": self.n_heads,
            "n_layers": self.n_layers,
            "d_ff": self.d_ff,
            "dropout": self.dropout,
        }
        model = build_forecaster(
            build(1 + covariates.n_past + covariates.n_future, lengths.context, **width),
            HEADS[self.head](self.d_model, lengths.decoder_patch),
            n_future=covariates.n_future,
            patch_length=lengths.decoder_patch,
            season=lengths.season,
            shifted=self.head != "negative_binomial",
            **width,
        )
        initialise_weights(model)
        return model

    def _fit_network(
        self,
        histories: Histories,
        held_out: int,
        seed: int,
        device: torch.device,
        start: SeriesForecaster | None,
        n_steps: int,
    ) -> History:
        """Train a new `model_`, or a copy of `start`; early stopping watches the last `held_out` times of a series."""
        warmup_steps = round(self.warmup * n_steps)
        early_stopping = None
        if held_out:
            last_windows = LastWindows(
                histories, histories.lengths - held_out, self.lengths_.context, held_out, UNITS_PER_PREDICTION
            )
            rolled_out = objectives.forecasting(own_share=1.0)
            early_stopping = EarlyStopping(last_windows, rolled_out, self.n_iter_no_change, self.tol, warmup_steps)
        with seeded(seed, device) as generator:
            model = ready_to_train(self._build() if start is None else copy.deepcopy(start), device)
            history = train(
                model,
                objectives.forecasting(self.own_share),
                self._training_windows(histories, held_out, generator),
                adamw(model, self.learning_rate, self.weight_decay),
                SCHEDULES[self.schedule](n_steps, warmup_steps),
                n_steps=n_steps,
                device=device,
                max_grad_norm=self.max_grad_norm,
                average_decay=self.average_decay,
                precision=getattr(torch, self.precision),
                early_stopping=early_stopping,
                progress=bool(self.verbose),
            )
        self.model_ = model
        self.history_ = history.as_dict()
        self.n_iter_ = history.best_step
        return history

    def _training_windows(self, histories: Histories, held_out: int, generator: torch.Generator) -> RandomWindows:
        """All windows with a whole horizon behind a season of history; of shorter series, the least short ones."""
        known = histories.lengths - held_out
        if int(known.min()) < 2:
            raise ValueError(
                f"early_stopping holds back the last {held_out} time points of each series and needs two more. Got a "
                f"series of {int(histories.lengths.min())}; lower horizon or set early_stopping=False."
            )
        last = (known - self.horizon).clamp(min=1)
        first = torch.minimum(last, torch.tensor(max(self.lengths_.season, 2)))
        n_windows = int((last - first + 1).sum()) * histories.values.shape[1]
        size = min(128, max(16, n_windows // 4)) if self.batch_size == "auto" else self.batch_size
        context = self.lengths_.context
        return RandomWindows(histories, known, first, last, context, self.horizon, size, BATCHES_PER_EPOCH, generator)

    def _forecast(
        self, histories: Histories, horizon: int, quantiles: Sequence[float], *, sample: bool = False
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Point forecasts (n_units, horizon) and, for each quantile, the same."""
        device = resolve_device(self.device)
        model = ready_to_predict(self.model_, device)
        windows = LastWindows(histories, histories.lengths, self.lengths_.context, horizon, UNITS_PER_PREDICTION)
        levels = torch.tensor([0.5, *quantiles], dtype=torch.float64)[1:].to(device)
        points, bands = [], []
        with torch.inference_mode():
            for batch in windows:
                point, band = _roll_out(model, batch.to(device), levels, sample=sample)
                points.append(point[:, :horizon].cpu())
                bands.append(band[:, :horizon].cpu())
        joined = torch.cat(bands).double().numpy()
        return torch.cat(points).double().numpy(), [joined[..., i] for i in range(len(quantiles))]


def _roll_out(model: SeriesForecaster, batch: Batch, levels: Tensor, *, sample: bool) -> tuple[Tensor, Tensor]:
    """Point forecasts, or a drawn path, (B, H) and quantiles (B, H, Q) in the units of the data."""
    assert batch.future is not None  # for the type checker: windows always have it
    memory, scale, last = model.encode(batch.x, batch.observed)
    outputs, values = model.roll_out(memory, scale, last, model.patches(batch.future), sample=sample)
    head: Any = model.network.head
    point = scale.undo(values.flatten(1))
    if not len(levels):
        return point, point.new_zeros(*point.shape, 0)
    bands = head.quantiles(outputs, levels, scale.spread.unsqueeze(-1).to(outputs.dtype))
    return point, scale.undo(bands.flatten(1, 2))


def _by_series(units: NDArray[np.float64], series: SeriesSet) -> Matrices:
    """Forecasts of units (n_series * n_channels, H) as a list of (H, n_channels)."""
    return list(units.reshape(len(series), -1, units.shape[1]).swapaxes(1, 2))


def _checked_quantiles(quantiles: Sequence[float] | None) -> list[float]:
    wanted = [] if quantiles is None else [float(value) for value in np.atleast_1d(np.asarray(quantiles, dtype=float))]
    if any(not 0 < value < 1 for value in wanted):
        raise ValueError(f"quantiles must lie between 0 and 1, both excluded. Got {quantiles}.")
    return wanted
