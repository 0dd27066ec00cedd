"""What a forecaster learns from series: its parameters and the series in, the fitted attributes out."""

import copy
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import numpy as np
import torch

from tsformer import params
from tsformer.data import windows
from tsformer.data.batch import Batch
from tsformer.data.covariates import CovariateScaler
from tsformer.data.frames import SeriesSet, are_longer, chosen, ends_of, warn_of_left_out, without_last
from tsformer.data.holidays import places_of
from tsformer.data.messages import warn_user
from tsformer.data.seasons import choose_season
from tsformer.estimators.pretrained import Start, start_forecaster, steps_to_train
from tsformer.models.forecaster import LONGEST_LOOK, Lengths, SeriesForecaster, choose_lengths, in_whole_patches
from tsformer.params import TransformerParams
from tsformer.training import calibration
from tsformer.training.callbacks import SILENT, Task
from tsformer.training.correlation import learn_correlation
from tsformer.training.devices import draw_seed, placed, resolve_device, seeded, shared_seed
from tsformer.training.fitting import LOG, Problem, fit_network, log_end, settled, steps_ahead
from tsformer.training.objectives import forecasting
from tsformer.training.optim import go_back
from tsformer.training.waiting import waiting_for

LONG = 20  # training horizons in a series from which early_stopping="auto" stops early


def learn(forecaster: Any, series: SeriesSet, *, from_scratch: bool, task: Task = SILENT) -> dict[str, Any]:
    """Train a new network, or from the weights that there are, and find how to correct its quantiles.

    It returns the fitted attributes, and changes nothing of the forecaster.
    """
    left = [forecaster.horizon * (i + 1) for i in range(forecaster.calibration_windows)]
    if not left:
        return _learn_weights(forecaster, series, from_scratch=from_scratch, task=task)
    what = f"calibration_windows={forecaster.calibration_windows}"
    if forecaster.head == "point":
        raise ValueError(f"{what} corrects quantiles, of which head='point' has none. Set it to 0.")
    kept = are_longer(series, left[-1], f"{what} needs", "lower it")
    measured = chosen(series, kept)
    if all(np.isnan(rows[-left[-1] :]).all() for rows in measured.values):
        raise ValueError(f"{what} holds back missing values only. Take more, or set it to 0.")
    known = without_last(series, left[-1], short_whole=True)
    state = _learn_weights(forecaster, known, from_scratch=from_scratch, task=task)
    lengths = state["lengths_"]
    of_windows = measured, state["covariate_scaler_"], left, lengths.context, forecaster.horizon, lengths.seasons
    held_back = windows.past_windows(*of_windows, calibration.WINDOWS_PER_BATCH)
    scores = calibration.conformity_scores(state["model_"], held_back, resolve_device(forecaster.device))
    if not len(scores):
        raise ValueError(f"{what} holds back no value that can be forecast. Take more, or set it to 0.")
    return state | {"conformity_scores_": scores, "calibrated_until_": ends_of(series), "series_": series}


def _learn_weights(forecaster: Any, series: SeriesSet, *, from_scratch: bool, task: Task) -> dict[str, Any]:
    """Train, or take pretrained weights as they are, and return the fitted attributes."""
    built = _attributes(forecaster, series, from_scratch=from_scratch)
    lengths, covariates = built["lengths_"], cast(CovariateScaler, built["covariate_scaler_"])
    known = ends_of(series)[:0] if from_scratch else getattr(forecaster, "trained_until_", ends_of(series)[:0])
    start = _start(forecaster, lengths, covariates, from_scratch=from_scratch)
    horizon = lengths.training_horizon  # windows near an end reach beyond it, where no value is known
    is_long = np.mean([len(rows) >= LONG * horizon for rows in series.values]) >= 0.5
    n_steps, why = _n_steps(forecaster, series, start, is_long=bool(is_long))
    device = resolve_device(forecaster.device)
    LOG.info(
        f"{type(forecaster).__name__}: {series.n_series} series of up to {max(map(len, series.values))} time points; "
        f"{lengths}; on {device}, {f'at most {n_steps} steps' if n_steps else 'no training'}: {why}."
    )
    if n_steps == 0:
        untrained = _untrained(forecaster, start)
        return built | {"model_": untrained, "history_": {}, "n_iter_": 0, "trained_until_": known}
    histories = windows.join(series.values, *covariates.apply(series, reach=horizon), horizon, lengths.seasons)
    held_back = _hold_back(forecaster, series, histories, horizon, is_long=bool(is_long))
    # What is held back tells what training is worth; else half of it is taken back.
    pretrained = start.pretrained if held_back is None and not start.has_new_covariates else None
    settings = settled(
        forecaster, max_steps=n_steps, batch_size=windows.WINDOWS_PER_BATCH, seed=shared_seed(forecaster)
    )

    def problem(unseen: Any) -> Problem:
        of_windows = histories, unseen, lengths.context, horizon, forecaster.batch_size
        batches, objective = partial(windows.training_windows, *of_windows), forecasting(forecaster.scheduled_sampling)
        finish = partial(_finish, pretrained, has_quantiles=forecaster.head != "point")
        return Problem(start.make, batches, windows.BATCHES_PER_EPOCH, objective, finish)

    validation = None
    if held_back is not None:
        batches = windows.validation_windows(histories, held_back, lengths.context, horizon)
        validation = batches, forecasting(scheduled_sampling=1.0)
    waiting = waiting_for(forecaster, steps_ahead(1, settings, refits=forecaster.refit and held_back is not None))
    model, history, _ = fit_network(
        problem(held_back),
        settings,
        validation=validation,
        refit=problem(None) if forecaster.refit else None,
        task=task,
        waiting=waiting,
        attributes=lambda network: {"model_": network, **built},
    )
    log_end(forecaster, [history], waiting)
    built |= {} if history.best_step else {"trained_until_": known}
    return built | {"model_": model, "history_": history.as_dict(), "n_iter_": history.best_step}


def _attributes(forecaster: Any, series: SeriesSet, *, from_scratch: bool) -> dict[str, Any]:
    """The fitted attributes beside the network: chosen for the series, or those that there are."""
    if from_scratch:
        freq, longest = series.freq, max(map(len, series.values))
        given = forecaster.context_length
        reach = LONGEST_LOOK if isinstance(given, str) else in_whole_patches(given)
        seasons = choose_season(forecaster.season, freq, longest, reach)
        lengths = choose_lengths(forecaster.horizon, given, seasons, longest)
        covariates = CovariateScaler.fit(series, calendar=forecaster.calendar, holidays=places_of(forecaster.holidays))
    else:
        freq, lengths, covariates = forecaster.freq_, forecaster.lengths_, forecaster.covariate_scaler_
    built = {"freq_": freq, "lengths_": lengths, "covariate_scaler_": covariates, "series_": series}
    return built | {"has_history_": True, "trained_until_": ends_of(series)}


def _hold_back(
    forecaster: Any, series: SeriesSet, histories: windows.Histories, horizon: int, *, is_long: bool
) -> torch.Tensor | None:
    """How many time points of each series early stopping keeps from training; None without it."""
    is_auto = forecaster.early_stopping == "auto"
    # The last tenth of a series may hold no holiday, and would tell that they are not worth learning.
    if not (is_long and not forecaster.holidays if is_auto else forecaster.early_stopping):
        return None
    held_back = windows.hold_back(histories, forecaster.validation_fraction, horizon)
    if not is_auto:
        warn_of_left_out(series, held_back.numpy() == 0, f"early_stopping holds back {horizon} time points.")
    return held_back


def _start(forecaster: Any, lengths: Lengths, covariates: CovariateScaler, *, from_scratch: bool) -> Start:
    """How the network begins."""
    if not from_scratch:
        return Start(partial(copy.deepcopy, forecaster.model_), has_learnt=True)
    shape = {"encoder": forecaster.encoder, "head": forecaster.head} | params.values_of(TransformerParams, forecaster)
    return start_forecaster(forecaster.pretrained, shape, lengths.context, covariates.n_past, covariates.n_future)


def _n_steps(forecaster: Any, series: SeriesSet, start: Start, *, is_long: bool) -> tuple[int, str]:
    """Settle how many steps to train, and say why."""
    n_values = sum(int(np.isfinite(rows).sum()) for rows in series.values)
    if forecaster.max_steps == "auto":
        return steps_to_train(start, n_values, is_long=is_long)
    if forecaster.max_steps == 0 and not start.has_learnt:
        warn_user(
            "max_steps=0 leaves new weights as they are drawn: forecasts are a fixed mixture of simple ones. Leave "
            "encoder, head, width and layers as they are, with pretrained='auto', or train."
        )
    elif forecaster.max_steps == 0 and start.has_new_covariates:
        warn_user(
            "max_steps=0 leaves covariates, the calendar and holidays without effect: the pretrained weights know "
            "none. Set max_steps='auto', or drop them."
        )
    return forecaster.max_steps, "as max_steps says"


def _untrained(forecaster: Any, start: Start) -> SeriesForecaster:
    """Return the network as it begins."""
    with seeded(draw_seed(forecaster.random_state), torch.device("cpu")):
        return placed(start.make(), resolve_device(forecaster.device))


def _finish(pretrained: SeriesForecaster | None, model: Any, batches: Iterable[Batch], *, has_quantiles: bool) -> None:
    """Go back half the way to pretrained weights, if any, and learn how values go together."""
    if pretrained is not None:
        go_back(model, pretrained)
    if has_quantiles:
        learn_correlation(model, batches)
