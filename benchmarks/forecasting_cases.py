"""Measures what the tables of forecasting.py do not show: a short series alone, covariates, how long predict takes.

    python benchmarks/forecasting_cases.py --data DATA/forecast --seeds 0 1 2

- promotion: 200 made series of 96 months, a season and noise, lifted in months of promotion that are drawn anew for
  each series; with and without the promotion among `future_cols`; error: MAE over the next 12 months.
- pooled: one network for every second series of M3 monthly and of Tourism monthly; it forecasts these and the others,
  which it has not seen; error: MASE.
- noise: M3 monthly with and without three `future_cols` of pure noise; error: MASE.
- speed: the seconds in which 1,000 made series of 120 months are read by `fit(max_steps=0)` and forecast with bands of
  80 and 95 %. Before it a copy does so with two series, so that imports are not counted.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from commands import short_parser
from forecasting_data import DATASETS, Competition, read_competition, seasonal_naive
from machine import Row, provenance, timed
from rows import collect
from tables import aggregated

from tsformer import TransformerForecaster

M3: Competition = DATASETS["m3-monthly"]  # type: ignore[assignment]
HORIZON = M3.horizons[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, and print a table."""
    parser = short_parser(__doc__, "forecasting-cases")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds m3.csv.gz and tourism.csv.gz")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = (
        {"case": case, "seed": seed} | row
        for case in options.cases
        for seed in options.seeds
        for row in CASES[case](options.data, seed)
    )
    table = collect(rows, provenance("cpu"), options.out)
    columns = table.columns.intersection(["error", "fit_seconds", "predict_seconds"])
    print(aggregated(table, table["case"] + ", " + table["model"], list(columns), ["mean", "median", "max"]))
    return 0


def promotion(folder: Path, seed: int) -> Iterator[Row]:
    """Forecast made series whose promotions are known ahead, with them and without."""
    sales = promoted_sales(np.random.default_rng(seed))
    known, ahead = sales.groupby("unique_id").head(96), sales.groupby("unique_id").tail(12)
    for model, future_cols in {"with covariate": ["promotion"], "without": []}.items():
        forecast, seconds = fitted_forecast(known, seed, future_cols, ahead, horizon=12)
        yield {"model": model, "error": float(np.abs(forecast["y"] - ahead["y"].to_numpy()).mean())} | seconds


def promoted_sales(rng: np.random.Generator) -> pd.DataFrame:
    """Make a long frame of 200 series of 108 months: sales, and whether there was a promotion."""
    times = pd.date_range("2010-01-01", periods=108, freq="MS")
    ids = [f"shop {i}" for i in range(200)]
    index = pd.MultiIndex.from_product([ids, times], names=["unique_id", "ds"]).to_frame(index=False)
    is_promoted = rng.random((200, 108)) < 0.2
    phase, level = rng.uniform(0, 2 * np.pi, (200, 1)), rng.uniform(50, 150, (200, 1))
    season = 0.2 * level * np.sin(2 * np.pi * np.arange(108) / 12 + phase)
    sales = level + season + 0.3 * level * is_promoted + 0.05 * level * rng.normal(size=(200, 108))
    return index.assign(y=sales.ravel(), promotion=is_promoted.ravel().astype(float))


def pooled(folder: Path, seed: int) -> Iterator[Row]:
    """Forecast series that one network of two data sets has seen, and series that it has not."""
    parts = {name: read_competition(folder, DATASETS[name], "test") for name in ("m3-monthly", "tourism-monthly")}  # type: ignore[arg-type]
    seen = pd.concat([every_second(history) for history, _ in parts.values()])
    forecaster = TransformerForecaster(horizon=24, random_state=seed).fit(seen)
    for name, (history, truth) in parts.items():
        for what, first in {"seen": 0, "not seen": 1}.items():
            known, future = every_second(history, first), every_second(truth, first)
            forecast = pd.DataFrame(forecaster.predict(known, horizon=DATASETS[name].horizons[0]))
            naive = seasonal_naive(future, known, M3.season).rename(columns={"naive": "y"})
            yield {"model": f"{name}, {what}", "error": mase(forecast, future, known)}
            yield {"model": f"{name}, {what}: seasonal naive", "error": mase(naive, future, known)}


def every_second(frame: pd.DataFrame, first: int = 0) -> pd.DataFrame:
    """Keep every second series of a long frame."""
    return frame[frame["unique_id"].isin(frame["unique_id"].unique()[first::2])]


def noise(folder: Path, seed: int) -> Iterator[Row]:
    """Forecast M3 monthly with covariates that say nothing, and without."""
    history, truth = read_competition(folder, M3, "test")
    rng = np.random.default_rng(seed)
    noises = ["a", "b", "c"]
    noisy = pd.concat([history, truth]).assign(**{name: rng.normal(size=len(history) + len(truth)) for name in noises})
    known, ahead = noisy[: len(history)], noisy[len(history) :]
    for model, future_cols in {"with noise": noises, "without": []}.items():
        forecast, seconds = fitted_forecast(known, seed, future_cols, ahead)
        yield {"model": model, "error": mase(forecast, truth, history)} | seconds


def speed(folder: Path, seed: int) -> Iterator[Row]:
    """Time forecasts of 1,000 series without training."""
    rng = np.random.default_rng(seed)
    walks = 100 + rng.normal(size=(120, 1000)).cumsum(axis=0) + 10 * np.sin(np.arange(120) * np.pi / 6)[:, None]
    months = pd.DataFrame(walks, pd.date_range("2010-01-01", periods=120, freq="MS"))
    months.columns = months.columns.astype(str)
    sales = months.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")
    for made in (sales[sales["unique_id"] < "1"], sales):
        forecaster = TransformerForecaster(horizon=HORIZON, max_steps=0, random_state=seed)
        fit = timed(partial(forecaster.fit, made))
        forecast = timed(lambda: forecaster.predict(level=[80, 95]))  # noqa: B023
    yield {"model": "ours, 1,000 series", "fit_seconds": fit, "predict_seconds": forecast}


def fitted_forecast(
    history: pd.DataFrame,
    seed: int,
    future_cols: Sequence[str] = (),
    ahead: pd.DataFrame | None = None,
    horizon: int = HORIZON,
) -> tuple[pd.DataFrame, Row]:
    """Fit with default settings, but for covariates, and forecast: the forecast, and how long each took."""
    history = history[["unique_id", "ds", "y", *future_cols]]
    began = time.perf_counter()
    forecaster = TransformerForecaster(horizon=horizon, future_cols=list(future_cols), random_state=seed).fit(history)
    fitted = time.perf_counter()
    forecast = forecaster.predict(future=ahead if future_cols else None)
    return pd.DataFrame(forecast), {"fit_seconds": fitted - began, "predict_seconds": time.perf_counter() - fitted}


def mase(forecast: pd.DataFrame, truth: pd.DataFrame, history: pd.DataFrame) -> float:
    """Return the mean over series of the error, scaled by that of seasonal naive within the history."""
    from utilsforecast.losses import mase as scaled_errors

    scored = truth.merge(forecast.rename(columns={"y": "model"}), on=["unique_id", "ds"])
    return float(scaled_errors(scored, ["model"], M3.season, history)["model"].mean())


CASES = {"promotion": promotion, "pooled": pooled, "noise": noise, "speed": speed}


if __name__ == "__main__":
    sys.exit(main())
