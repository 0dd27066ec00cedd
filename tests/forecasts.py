"""Small forecasters and the series that their tests forecast."""

import numpy as np
import pandas as pd
import pytest

from tsformer import TransformerForecaster

MONTHS = pd.date_range("2015-01-31", periods=84, freq="ME")
SMALL = {"horizon": 6, "pretrained": None, "max_steps": 8, "batch_size": 16, "random_state": 0}
SMALL |= {"d_model": 16, "n_heads": 2, "n_layers": 1}

seen_by_fit = pytest.mark.filterwarnings("ignore:The network was trained on what it is to forecast:UserWarning")


def small(**changes) -> TransformerForecaster:
    return TransformerForecaster(**(SMALL | changes))


def wave(n: int = 72, level: float = 100.0, start: str = "2015-01-31") -> pd.Series:
    time = np.arange(n)
    noise = np.random.default_rng(0).normal(size=n)
    values = level + 10.0 * np.sin(2 * np.pi * time / 12) + 0.2 * time + noise
    return pd.Series(values, index=pd.date_range(start, periods=n, freq="ME"), name="sales")


def long_frame() -> pd.DataFrame:
    """Three series of different lengths."""
    parts = [
        pd.DataFrame({"unique_id": name, "ds": series.index, "y": series.to_numpy()})
        for name, series in {"a": wave(72), "b": wave(60, 500.0), "c": wave(40, 5.0)}.items()
    ]
    return pd.concat(parts, ignore_index=True)


# The names of `with_covariates`, as parameters.
COVARIATES = {"past_cols": "visits", "future_cols": ["price", "promotion"], "static_cols": ["size"]}


def with_covariates(form: str = "wide", n_ahead: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A "wide", "long" or "panel" frame with covariates of every kind, and its rows ahead without targets."""
    parts = []
    for i, name in enumerate("a" if form == "wide" else "abc"):
        rng, n = np.random.default_rng(i), 72 - 12 * i + n_ahead
        part = pd.DataFrame({"unique_id": name, "ds": MONTHS[:n], "y": wave(n, 100.0 * (i + 1)).to_numpy()})
        part["visits"], part["price"] = rng.normal(size=n), rng.normal(size=n) + np.arange(n) / 12
        parts.append(part.assign(promotion=rng.random(n) < 0.3, size=3.0 + i))
    df = pd.concat(parts, ignore_index=True)
    ahead = df.groupby("unique_id").cumcount(ascending=False) < n_ahead
    if form != "long":
        df = df.set_index(["unique_id", "ds"] if form == "panel" else "ds")
        ahead = ahead.to_numpy()
    if form == "wide":
        df = df.drop(columns="unique_id").rename(columns={"y": "sales"})
    return df[~ahead], df[ahead].drop(columns=["sales", "y"], errors="ignore")


# Series in each form that is taken.
FORMS = {
    "Series": wave(),
    "without a name": wave().rename(None),
    "wide": pd.DataFrame({"x": wave(), "z": wave(level=50)}),
    "wide, names of two levels": pd.DataFrame({("x", "mean"): wave(), ("z", "mean"): wave(level=50)}),
    "MultiIndex": long_frame().set_index(["unique_id", "ds"]),
    "MultiIndex Series": long_frame().set_index(["unique_id", "ds"])["y"],
    "periods": wave().to_period("M"),
    "long": long_frame(),
    "long, no ids": long_frame().query("unique_id == 'a'").drop(columns="unique_id"),
    "long, ids in the index": long_frame().set_index("unique_id"),
}
