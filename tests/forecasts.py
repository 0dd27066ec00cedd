"""Small forecasters and the series that their tests forecast."""

import numpy as np
import pandas as pd

from tsformer import TransformerForecaster

SMALL = {"horizon": 6, "max_steps": 20, "batch_size": 16, "random_state": 0, "d_model": 16, "n_heads": 2, "n_layers": 1}


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
