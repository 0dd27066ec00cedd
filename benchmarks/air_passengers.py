"""Forecasts the last year of AirPassengers without having seen it: ours by several seeds, beside two naive forecasts.

    python benchmarks/air_passengers.py --seeds 0 1 2 3 4

"seasonal naive" repeats the year before, "times growth" multiplies it by what the year before had gained on its own.
Ours with the weights of the package as they are, trained on from them, as its rule has it, and trained from scratch.
Errors are mean absolute errors scaled by that of seasonal naive within the history (MASE).
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from commands import short_parser
from machine import Row, provenance, timed
from rows import collect
from tables import aggregated

from tsformer import TransformerForecaster
from tsformer.datasets import load_forecasting

SEASON = 12
OURS: dict[str, dict[str, Any]] = {
    "zero-shot": {"max_steps": 0},
    "fitted for 200 steps": {"max_steps": 200},
    "default": {},
    "from scratch": {"pretrained": None},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, and print a table."""
    parser = short_parser(__doc__, "air-passengers")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    passengers = load_forecasting("AirPassengers")
    history, truth = passengers[:-SEASON], passengers[-SEASON:].to_numpy()
    rows = measured(history, truth, options.seeds)
    table = collect(rows, provenance("cpu"), options.out)
    print(aggregated(table, "model", ["mase", "fit_seconds"], ["mean", "min", "max"]))
    return 0


def measured(history: pd.Series, truth: np.ndarray, seeds: Sequence[int]) -> Iterator[Row]:
    """Forecast and score: a row for each model and seed."""
    values = history.to_numpy()
    scale = np.abs(values[SEASON:] - values[:-SEASON]).mean()
    last_year = values[-SEASON:]
    growth = last_year.sum() / values[-2 * SEASON : -SEASON].sum()
    for name, forecast in {"seasonal naive": last_year, "seasonal naive times growth": growth * last_year}.items():
        yield {"model": name, "seed": 0, "mase": np.abs(forecast - truth).mean() / scale, "fit_seconds": 0.0}
    for (name, settings), seed in product(OURS.items(), seeds):
        forecaster = TransformerForecaster(horizon=SEASON, random_state=seed, **settings)
        seconds = timed(partial(forecaster.fit, history))
        error = np.abs(forecaster.predict().to_numpy() - truth).mean()
        yield {"model": f"ours, {name}", "seed": seed, "mase": error / scale, "fit_seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
