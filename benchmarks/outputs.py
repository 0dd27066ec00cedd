"""What the defaults predict: written to a file by one commit, compared with it bit for bit by another.

python benchmarks/outputs.py FILE [--data ../data/uea] writes FILE where it is absent, else compares with it and exits
with 1 where an output differs. Equal bits are to be expected on one machine, at one number of threads.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tsformer import TransformerClassifier, TransformerForecaster
from tsformer.datasets import load_classification, load_forecasting

SETS = ("BasicMotions", "JapaneseVowels", "ItalyPowerDemand", "NATOPS")
BUNDLED = SETS[:3]
N_TEST = 100  # cases whose probabilities are kept
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "default": {},
    "frozen": {"n_estimators": 0},
    "early stopping, refit": {"n_estimators": 1, "pretrained": None, "early_stopping": True, "refit": True},
}
Outputs = dict[str, np.ndarray]


def main() -> int:
    """Write or compare; return 1 where something differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="npz file of outputs")
    parser.add_argument("--data", type=Path, help="folder of UEA sets, for NATOPS; without it NATOPS is left out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    before = dict(np.load(given.file)) if given.file.exists() else None
    now: dict[str, Any] = {}
    different = 0
    for name, predict in questions(given.data):
        now[name] = predict()
        if before is not None:
            verdict = compare(before[name], now[name])
            different += verdict != "equal"
            print(f"{name}: {verdict}", flush=True)
    if before is None:
        np.savez_compressed(given.file, **now)
    return min(1, different)


def compare(before: np.ndarray, now: np.ndarray) -> str:
    """Say whether two outputs are equal bit for bit, and if not how far apart they are."""
    if np.array_equal(before, now, equal_nan=True):
        return "equal"
    if before.shape != now.shape:
        return f"shape {now.shape}, before {before.shape}"
    return f"differs by {np.nanmax(np.abs(before - now)):.3g} at most"


def questions(data: Path | None) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield a name and what computes its output."""
    for dataset in SETS if data else BUNDLED:
        for kind, params in CLASSIFIERS.items():
            yield f"{dataset}, {kind}", partial(probabilities, dataset, params, data)
    forecasts = (passengers, panel, panel_with_covariates, counts)
    yield from ((forecast.__name__, forecast) for forecast in forecasts)


def probabilities(dataset: str, params: dict[str, Any], data: Path | None) -> np.ndarray:
    """Fit on TRAIN and return the probabilities of the first cases of TEST."""
    folder = None if dataset in BUNDLED else data
    X, y = load_classification(dataset, split="train", folder=folder)
    X_test, _ = load_classification(dataset, split="test", folder=folder)
    return TransformerClassifier(random_state=0, **params).fit(X, y).predict_proba(X_test[:N_TEST])


def passengers() -> np.ndarray:
    """Bands, further steps, paths and errors of one series."""
    series = load_forecasting("AirPassengers")
    forecaster = TransformerForecaster(horizon=12, random_state=0).fit(series[:-12])
    parts = [
        forecaster.predict(level=[80, 95]),
        forecaster.predict(horizon=30),
        forecaster.sample(3),
        forecaster.backtest(series, n_windows=2).drop(columns=["actual", "cutoff"]),
        forecaster.score(series),
    ]
    return np.concatenate([np.ravel(part) for part in parts])


def panel() -> np.ndarray:
    """Series of four lengths, with early stopping, calibrated bands and rows that come later."""
    forecaster = TransformerForecaster(horizon=6, early_stopping=True, calibration_windows=1, random_state=0)
    df = made_panel()
    last = df.groupby("unique_id").cumcount(ascending=False) < 6
    forecaster.fit(df[~last])
    before = forecaster.predict(level=[80])
    forecaster.update(df[last])
    return np.concatenate([np.ravel(part.filter(like="y")) for part in (before, forecaster.predict(level=[80]))])


def panel_with_covariates() -> np.ndarray:
    """Covariates of each kind, and the calendar."""
    df = made_panel()
    rng = np.random.default_rng(1)
    df["visits"] = df["y"].to_numpy() * rng.uniform(0.5, 1.5, len(df))
    df["price"] = rng.uniform(1.0, 2.0, len(df))
    df["region"] = pd.factorize(df["unique_id"])[0] % 2
    ahead = df.groupby("unique_id").cumcount(ascending=False) < 6
    history, rows = df[~ahead], df[ahead]
    covariates: dict[str, Any] = {"past_cols": "visits", "future_cols": ["price"], "static_cols": ["region"]}
    forecaster = TransformerForecaster(horizon=6, calendar=True, random_state=0, **covariates).fit(history)
    return np.ravel(forecaster.predict(future=rows, level=90).filter(like="y"))


def counts() -> np.ndarray:
    """Counts, by a negative binomial head."""
    rng = np.random.default_rng(2)
    demand = rng.poisson(2.0 + np.sin(2 * np.pi * np.arange(200) / 7))
    series = pd.Series(demand.astype(float), index=pd.date_range("2024-01-01", periods=200))
    forecaster = TransformerForecaster(horizon=14, head="negative_binomial", random_state=0).fit(series)
    return np.concatenate([np.ravel(forecaster.predict(level=80)), np.ravel(forecaster.sample(2))])


def made_panel() -> pd.DataFrame:
    """Four monthly series of different lengths, levels and noise."""
    rng = np.random.default_rng(0)
    parts = []
    for number, length in enumerate((150, 120, 90, 60)):
        time = np.arange(length)
        values = 10.0**number * (5 + np.sin(2 * np.pi * time / 12) + 0.02 * time + 0.2 * rng.normal(size=length))
        dates = pd.date_range("2012-01-01", periods=length, freq="MS")
        parts.append(pd.DataFrame({"unique_id": f"series {number}", "ds": dates, "y": values}))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    sys.exit(main())
