"""The network of TransformerForecaster: what scripts/pretrain builds, trains it on, writes, and measures it by.

Validation forecasts by the written weights, without training, what comes before the test parts: the last horizon
before that of each competition, and windows of the validation part of long series. Test parts are not opened.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from tsformer import TransformerForecaster
from tsformer.data.batch import Batch
from tsformer.data.forecasting_windows import SyntheticWindows
from tsformer.estimators.pretrained import load_forecaster
from tsformer.metrics import interval_coverage, mean_absolute_scaled_error
from tsformer.models.forecaster import SeriesForecaster, build_forecaster
from tsformer.training import objectives
from tsformer.training.correlation import N_BATCHES, learn_correlation

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from forecasting_data import DATASETS, Competition, LongHorizon, read_competition, read_long_horizon

Config = dict[str, Any]

WHAT = "Network of tsformer's TransformerForecaster, weights in float16, trained on synthetic series alone"
VALIDATED_BY = (
    "zero-shot forecasts before the test parts: MASE of the last horizon of competitions, MSE of windows of scaled "
    "long series; and how often 80 % bands hold"
)
# Of long series: the horizons that are scored, and time points from a window to the next.
WINDOWS = {"ETTh1": ((96, 336), 96), "ETTm1": ((96, 336), 384), "exchange_rate": ((96,), 24)}
LEVEL = 80  # of the bands, in percent


class ToForecast(NamedTuple):
    """Long frames of a data set: histories, and the same with what comes after them."""

    history: pd.DataFrame
    whole: pd.DataFrame


def build(config: Config) -> SeriesForecaster:
    """Make the network with new weights."""
    return build_forecaster(**config["network"])


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read all weights."""
    weights: dict[str, Tensor] = load_forecaster(path).state_dict()
    return weights


def batches(config: Config, first: int, n_steps: int, generator: Generator) -> Iterable[Batch]:
    """Batches of the steps from `first` on: each is decided by the seed and its number, whichever process draws it."""
    numbers: Any = range(first, first + n_steps)
    draw: Any = windows(config, first, n_steps).draw
    return DataLoader(numbers, batch_size=None, collate_fn=draw, num_workers=config["workers"])


def windows(config: Config, first: int, n_batches: int) -> SyntheticWindows:
    """Batches of the run, which has one a step, from a number on."""
    return SyntheticWindows(n_batches, config["series"]["tokens"], config["seed"], first)


def objective(config: Config) -> objectives.Objective:
    """What is learnt."""
    return objectives.forecasting(config["training"]["scheduled_sampling"])


def written(model: nn.Module, config: Config) -> dict[str, Tensor]:
    """Weights that are written: all, after learning how values go together from windows that are not trained on."""
    assert isinstance(model, SeriesForecaster)  # for the type checker
    model.shrinkage = model.settings["shrinkage"] = config["shrinkage"]
    learn_correlation(model, windows(config, config["training"]["steps"], N_BATCHES))
    return model.state_dict()


def read_sets(validation: Config, folders: list[Path]) -> Mapping[str, ToForecast]:
    """Read what comes before the test parts of the named data sets that one of the folders has."""
    sets = {}
    for name in validation["datasets"]:
        for folder in folders:
            if (folder / DATASETS[name].file).exists():
                sets[name] = _read(folder, DATASETS[name], validation["n_series"])
                break
    return sets


def _read(folder: Path, dataset: Competition | LongHorizon, n_series: int) -> ToForecast:
    """Read the channels of long series, or at most `n_series` of a competition, evenly taken."""
    if isinstance(dataset, LongHorizon):
        cut = read_long_horizon(folder, dataset, "validation")
        history, whole = (
            frame.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")
            for frame in (cut.frame[: cut.start], cut.frame)
        )
        return ToForecast(history, whole)
    history, truth = read_competition(folder, replace(dataset, n_series=n_series), "validation")
    return ToForecast(history, pd.concat([history, truth]))


def validate(weights: Path | None, sets: Mapping[str, ToForecast], device: torch.device) -> dict[str, float]:
    """Return errors of forecasts without training and the coverage of their bands, by set; None: by new weights."""
    scores: dict[str, float] = {}
    for name, data in sets.items():
        dataset = DATASETS[name]
        horizons, stride = WINDOWS.get(name, (dataset.horizons, 1))
        forecaster = TransformerForecaster(
            pretrained=weights, max_steps=0, horizon=max(horizons), device=str(device), random_state=0
        )
        forecaster.fit(data.history)
        if isinstance(dataset, LongHorizon):
            scores |= score_windows(name, forecaster, data, horizons, stride)
        else:
            scores |= score_ends(name, forecaster, data, dataset.season)
    return scores


def score_ends(name: str, forecaster: TransformerForecaster, data: ToForecast, season: int) -> dict[str, float]:
    """Score the forecasts of what follows each history."""
    forecast = forecaster.predict(level=LEVEL)
    error = mean_absolute_scaled_error(data.whole, forecast, y_train=data.history, season=season)
    coverage = interval_coverage(data.whole, forecast, level=LEVEL)
    return {name: float(error), f"{name} coverage_{LEVEL}": float(coverage)}


def score_windows(
    name: str, forecaster: TransformerForecaster, data: ToForecast, horizons: tuple[int, ...], stride: int
) -> dict[str, float]:
    """Score the forecasts of all windows behind the histories, the first steps of them as shorter horizons."""
    n_ahead = data.whole["ds"].nunique() - data.history["ds"].nunique()
    n_windows = (n_ahead - max(horizons)) // stride + 1
    forecast = forecaster.backtest(data.whole, n_windows, stride, level=LEVEL)
    step = forecast.groupby(["unique_id", "cutoff"]).cumcount()
    truth = forecast["y-actual"]
    squared = (forecast["y"] - truth) ** 2
    errors = {f"{name} {horizon}": float(squared[step < horizon].mean()) for horizon in horizons}
    inside = (forecast[f"y-lo-{LEVEL}"] <= truth) & (truth <= forecast[f"y-hi-{LEVEL}"])
    return errors | {f"{name} coverage_{LEVEL}": float(inside.mean())}
