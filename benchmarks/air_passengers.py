"""Forecasts the last year of AirPassengers without having seen it: ours by several seeds, beside two naive forecasts.

    python benchmarks/air_passengers.py --seeds 0 1 2 3 4

"seasonal naive" repeats the year before, "times growth" multiplies it by what the year before had gained on its own.
Errors are mean absolute errors scaled by that of seasonal naive within the history (MASE).
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from summary import markdown
from timing import Row, collect, default_out, provenance

from tsformer import TransformerForecaster
from tsformer.datasets import load_forecasting

SEASON = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=default_out("air-passengers"), metavar="CSV")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    passengers = load_forecasting("AirPassengers")
    history, truth = passengers[:-SEASON], passengers[-SEASON:].to_numpy()
    rows = measured(history, truth, options.seeds)
    table = pd.DataFrame(list(collect(rows, provenance("cpu"), options.out)))
    means = table.groupby("model", sort=False)[["mase", "fit_seconds"]].agg(["mean", "min", "max"])
    means.columns = means.columns.map(" ".join)
    print(markdown(means.map("{:.3f}".format)))
    return 0


def measured(history: pd.Series, truth: np.ndarray, seeds: Sequence[int]) -> Iterator[Row]:
    """Forecast and score: a row for each model and seed."""
    values = history.to_numpy()
    scale = np.abs(values[SEASON:] - values[:-SEASON]).mean()
    last_year = values[-SEASON:]
    growth = last_year.sum() / values[-2 * SEASON : -SEASON].sum()
    for name, forecast in {"seasonal naive": last_year, "seasonal naive times growth": growth * last_year}.items():
        yield {"model": name, "seed": 0, "mase": np.abs(forecast - truth).mean() / scale, "fit_seconds": 0.0}
    for seed in seeds:
        began = time.perf_counter()
        forecaster = TransformerForecaster(horizon=SEASON, random_state=seed).fit(history)
        seconds = time.perf_counter() - began
        error = np.abs(forecaster.predict().to_numpy() - truth).mean()
        yield {"model": "TransformerForecaster", "seed": seed, "mase": error / scale, "fit_seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
