"""Reads forecasting datasets: a folder of CSV files enters, frames leave that hold what a forecaster may see.

The folder holds `ETTh1.csv.gz`, `ETTm1.csv.gz` and `exchange_rate.csv.gz` (wide, `date` first) and `m3.csv.gz` and
`tourism.csv.gz` (columns unique_id, ds, y, freq, split). AirPassengers comes with the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tsformer.datasets import load_forecasting


@dataclass(frozen=True)
class LongHorizon:
    """Channels cut in time; `parts` are numbers of time points, or shares of them."""

    file: str
    season: int
    parts: tuple[float, float, float]
    has_dates: bool = True
    horizons: tuple[int, ...] = (96, 192, 336, 720)
    rivals = {
        "SeasonalNaive": "forecasting_rivals:SeasonalNaive",
        "LastValue": "forecasting_rivals:LastValue",
        "DLinear": "forecasting_rivals:DLinear",
    }


@dataclass(frozen=True)
class Competition:
    """The series of one frequency of a long frame, or `n_series` of them; `alone`: a forecaster for each by itself."""

    file: str  # "" is AirPassengers
    freq: str
    season: int
    horizons: tuple[int]
    n_series: int | None = None
    alone: bool = False
    rivals = {
        "SeasonalNaive": "statsforecast.models:SeasonalNaive",
        "AutoETS": "statsforecast.models:AutoETS",
        "Theta": "statsforecast.models:Theta",
        "AutoTheta": "statsforecast.models:AutoTheta",
    }


def months_of_ett(steps_per_day: int) -> tuple[int, int, int]:
    """Count the time points of 12, 4 and 4 months of 30 days."""
    return 360 * steps_per_day, 120 * steps_per_day, 120 * steps_per_day


DATASETS: dict[str, LongHorizon | Competition] = {
    "ETTh1": LongHorizon("ETTh1.csv.gz", 24, months_of_ett(24)),
    "ETTm1": LongHorizon("ETTm1.csv.gz", 96, months_of_ett(96)),
    "exchange_rate": LongHorizon("exchange_rate.csv.gz", 1, (0.7, 0.1, 0.2), has_dates=False),
    "m3-yearly": Competition("m3.csv.gz", "YS", 1, (6,)),
    "m3-quarterly": Competition("m3.csv.gz", "QS", 4, (8,)),
    "m3-monthly": Competition("m3.csv.gz", "MS", 12, (18,)),
    "tourism-yearly": Competition("tourism.csv.gz", "YS", 1, (4,)),
    "tourism-quarterly": Competition("tourism.csv.gz", "QS", 4, (8,)),
    "tourism-monthly": Competition("tourism.csv.gz", "MS", 12, (24,)),
    "m3-monthly-100": Competition("m3.csv.gz", "MS", 12, (18,), n_series=100),
    "m3-monthly-20": Competition("m3.csv.gz", "MS", 12, (18,), n_series=20),
    "m3-monthly-single": Competition("m3.csv.gz", "MS", 12, (18,), n_series=100, alone=True),
    "AirPassengers": Competition("", "MS", 12, (12,)),
}


@dataclass(frozen=True)
class Cut:
    """Scaled channels up to the end of the part that is scored, which begins at `start`."""

    frame: pd.DataFrame
    n_train: int
    n_validation: int
    start: int


def read_long_horizon(folder: Path, dataset: LongHorizon, split: str) -> Cut:
    """Read the channels, scale them by train, and cut off what comes after the part to score."""
    raw = pd.read_csv(folder / dataset.file, index_col="date")
    raw.index = pd.DatetimeIndex(raw.index) if dataset.has_dates else pd.RangeIndex(len(raw))
    n_train, n_validation, n_test = sizes_of(dataset.parts, len(raw))
    train = raw.iloc[:n_train]
    scaled = (raw - train.mean()) / train.std(ddof=0)
    start = n_train if split == "validation" else n_train + n_validation
    end = n_train + n_validation + (0 if split == "validation" else n_test)
    return Cut(scaled.iloc[:end], n_train, n_validation, start)


def sizes_of(parts: Sequence[float], n_rows: int) -> tuple[int, int, int]:
    """Count the time points of train, validation and test; of shares, validation gets what the others leave."""
    if all(isinstance(part, int) for part in parts):
        n_train, n_validation, n_test = map(int, parts)
        return n_train, n_validation, n_test
    n_train, n_test = int(parts[0] * n_rows), int(parts[2] * n_rows)
    return n_train, n_rows - n_train - n_test, n_test


def read_competition(folder: Path, dataset: Competition, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the series of a frequency: their history and the horizon after it, by series and time."""
    rows = series_in(folder / dataset.file, dataset.freq) if dataset.file else air_passengers(dataset.horizons[0])
    is_truth = rows["split"] == "test"
    if split == "validation":
        rows = rows[~is_truth]
        is_truth = rows.groupby("unique_id").cumcount(ascending=False) < dataset.horizons[0]
        n_known = (~is_truth).groupby(rows["unique_id"]).transform("sum")
        long_enough = n_known >= max(dataset.horizons[0], 2 * dataset.season)
        rows, is_truth = rows[long_enough], is_truth[long_enough]
    taken = rows["unique_id"].isin(evenly(rows["unique_id"].unique(), dataset.n_series))
    rows, is_truth = rows[taken], is_truth[taken]
    columns = ["unique_id", "ds", "y"]
    return rows.loc[~is_truth, columns].reset_index(drop=True), rows.loc[is_truth, columns].reset_index(drop=True)


def series_in(file: Path, freq: str) -> pd.DataFrame:
    """Read the series of a frequency, by series and time."""
    rows = pd.read_csv(file, parse_dates=["ds"], dtype={"unique_id": str})
    return rows[rows["freq"] == freq].sort_values(["unique_id", "ds"], ignore_index=True)


def air_passengers(horizon: int) -> pd.DataFrame:
    """Return AirPassengers in the same form, its end being the test part."""
    rows = load_forecasting("AirPassengers").rename("y").rename_axis("ds").reset_index().assign(unique_id="passengers")
    return rows.assign(split=np.where(rows.index < len(rows) - horizon, "train", "test"))


def evenly(ids: np.ndarray, n: int | None) -> np.ndarray:
    """Take `n` names, the first and the last and as far apart as can be; None takes all."""
    return ids if n is None else ids[np.linspace(0, len(ids) - 1, min(n, len(ids))).astype(int)]


def seasonal_naive(truth: pd.DataFrame, history: pd.DataFrame, season: int) -> pd.DataFrame:
    """Repeat the last season of each history over the times of truth: columns unique_id, ds, naive."""
    last = history.groupby("unique_id").tail(season)
    last = last.assign(step=last.groupby("unique_id").cumcount())[["unique_id", "step", "y"]]
    steps = truth[["unique_id", "ds"]].assign(step=truth.groupby("unique_id").cumcount() % season)
    return steps.merge(last, on=["unique_id", "step"]).rename(columns={"y": "naive"}).drop(columns="step")
