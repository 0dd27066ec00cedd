"""Trains neuralforecast's PatchTST, NHITS and VanillaTransformer for as long as ours took, and scores them as ours.

    python -m venv nf && nf/bin/pip install -r benchmarks/requirements-neuralforecast.txt
    nf/bin/python benchmarks/neuralforecast_rivals.py --data DATA/forecast --seconds 40 100 --out NAME.csv

`--seconds` are those that a fit of TransformerForecaster took on ETTh1 and on M3 monthly, on the same machine with as
many threads. On ETTh1 each rival has one model for each horizon, and each of these gets so many seconds; ours is one
model for all. Look-back and data are ours, all else is neuralforecast's default. The clock ends training, so these runs
do not repeat to the last digit.
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from forecasting_data import DATASETS, read_competition, read_long_horizon, seasonal_naive

MODELS = ("PatchTST", "NHITS", "VanillaTransformer")
LOOK_BACK = {"ETTh1": 384, "m3-monthly": 72}  # TransformerForecaster reads up to 504 and 252
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write a row for each model and horizon as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ETTh1.csv.gz and m3.csv.gz")
    parser.add_argument("--seconds", type=float, nargs=2, required=True, metavar=("ETTH1", "M3"))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    measures = {"ETTh1": ett, "m3-monthly": m3_monthly}
    parser.add_argument("--datasets", nargs="+", choices=measures, default=list(measures))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, required=True, metavar="CSV")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    rows: list[Row] = []
    for model in options.models:
        for seed in options.seeds:
            for dataset, seconds in zip(measures, options.seconds, strict=True):
                for row in measures[dataset](options.data, model, seed, seconds) if dataset in options.datasets else ():
                    rows.append(row)
                    pd.DataFrame(rows).to_csv(options.out, index=False)
                    print(row, flush=True)
    return 0


def ett(folder: Path, model: str, seed: int, seconds: float) -> Iterator[Row]:
    """Forecast all windows of ETTh1's test part, with one model for each horizon."""
    dataset: Any = DATASETS["ETTh1"]
    cut = read_long_horizon(folder, dataset, "test")
    long = cut.frame.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")
    n_test = len(cut.frame) - cut.start
    for horizon in dataset.horizons:
        began = time.perf_counter()
        runner = forecaster(model, horizon, LOOK_BACK["ETTh1"], seed, seconds, "h")
        # Trained up to the validation part; its forecasts begin at each time point of the test part.
        past = runner.cross_validation(
            long, n_windows=None, step_size=1, test_size=n_test, val_size=cut.n_validation, refit=False, verbose=False
        )
        error = past[model] - past["y"]
        yield {
            **{"dataset": "ETTh1", "horizon": horizon, "model": model, "seed": seed, "seconds_of_training": seconds},
            **{"mse": float((error**2).mean()), "mae": float(error.abs().mean())},
            **{"n_windows": past["cutoff"].nunique(), "seconds_in_all": time.perf_counter() - began},
        }


def m3_monthly(folder: Path, model: str, seed: int, seconds: float) -> Iterator[Row]:
    """Forecast M3 monthly, with one model for all series."""
    from utilsforecast.losses import mase, smape

    dataset: Any = DATASETS["m3-monthly"]
    history, truth = read_competition(folder, dataset, "test")
    (horizon,) = dataset.horizons
    began = time.perf_counter()
    runner = forecaster(model, horizon, LOOK_BACK["m3-monthly"], seed, seconds, "MS")
    runner.fit(history, verbose=False)
    scored = truth.merge(runner.predict(verbose=False).rename(columns={model: "model"}), on=["unique_id", "ds"])
    scored = scored.merge(seasonal_naive(truth, history, dataset.season))
    if len(scored) != len(truth):
        raise ValueError(f"Of {len(truth)} values {len(truth) - len(scored)} have no forecast.")
    yield {
        **{"dataset": "m3-monthly", "horizon": horizon, "model": model, "seed": seed, "seconds_of_training": seconds},
        "mase": float(mase(scored, ["model"], dataset.season, history)["model"].mean()),
        "smape": 200 * float(smape(scored, ["model"])["model"].mean()),
        "seconds_in_all": time.perf_counter() - began,
    }


def forecaster(model: str, horizon: int, look_back: int, seed: int, seconds: float, freq: str) -> Any:
    """Make a model of neuralforecast whose training the clock ends."""
    import neuralforecast
    from neuralforecast import models

    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    made = getattr(models, model)(
        h=horizon,
        input_size=look_back,
        max_steps=10**6,
        max_time={"seconds": int(np.ceil(seconds))},
        random_seed=seed,
        start_padding_enabled=True,
        accelerator="cpu",
        **quiet,
    )
    return neuralforecast.NeuralForecast([made], freq=freq)


if __name__ == "__main__":
    sys.exit(main())
