"""Times the forecaster on a long frame of M5's shape, part by part, with the peak of memory: a row a part.

    python benchmarks/scale_panel.py [--series 30490] [--days 1941] [--out CSV]

- The frame has the columns unique_id (text), ds and y, made counts with many zeros, as floats.
- `seconds` are those of the processor. `peak_gib` is what the process has taken at most up to then, imports and the
  frame included.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from commands import exit_with, short_parser
from machine import Row, cpu, peak_memory_mb, provenance
from rows import collect

from tsformer import TransformerForecaster, load, save

SEED, HORIZON, STEPS = 0, 28, 5
FIRST = "2011-01-29"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a panel."""
    parser = short_parser(__doc__, "scale-panel")
    parser.add_argument("--series", type=int, default=30_490)
    parser.add_argument("--days", type=int, default=1_941)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    table = collect(panel(options.series, options.days), provenance(cpu()) | {"seed": SEED}, options.out)
    print(table[["part", "seconds", "peak_gib"]].to_string(index=False))
    return 0


def panel(n_series: int, n_days: int) -> Iterator[Row]:
    """Measure one part after the other."""
    df: Any = None
    forecaster: Any = TransformerForecaster(horizon=HORIZON, max_steps=STEPS, random_state=SEED)
    forecast: Any = None

    def make() -> None:
        nonlocal df
        df = made_panel(n_series, n_days)

    def predict() -> None:
        nonlocal forecast
        forecast = forecaster.predict(level=[80, 95])

    with TemporaryDirectory() as folder:
        path = Path(folder, "forecaster")
        parts: dict[str, Callable[[], object]] = {
            "make the frame": make,
            "fit": lambda: forecaster.fit(df),
            "predict, with bands": predict,
            "save": lambda: save(forecaster, path),
            "load": lambda: load(path),
            "predict(df), with bands": lambda: forecaster.predict(df, level=[80, 95]),
            "score": lambda: forecaster.score(df),
            "backtest of 2 windows": lambda: forecaster.backtest(df, n_windows=2),
            "update by a horizon": lambda: forecaster.update(forecast[["unique_id", "ds", "y"]]),
        }
        for name, run in parts.items():
            begin = time.process_time()
            run()
            seconds, peak = time.process_time() - begin, peak_memory_mb() / 1024
            yield {
                "n_series": n_series,
                "n_days": n_days,
                "part": name,
                "seconds": round(seconds, 1),
                "peak_gib": round(peak, 2),
            }


def made_panel(n_series: int, n_days: int) -> pd.DataFrame:
    """Make counts with a week in them, most of them small."""
    rng = np.random.default_rng(SEED)
    week = 1 + 0.3 * np.sin(np.arange(n_days) * 2 * np.pi / 7)
    y = np.empty((n_series, n_days))
    for row in y:  # one by one: making the frame should not take more memory than it has
        row[:] = rng.poisson(rng.gamma(0.5, 2.0) * week)
    ids = pd.Series([f"ITEM_{i // 10:04d}_STORE_{i % 10}" for i in range(n_series)])
    days = pd.date_range(FIRST, periods=n_days).to_numpy()
    return pd.DataFrame({"unique_id": ids.repeat(n_days).array, "ds": np.tile(days, n_series), "y": y.reshape(-1)})


if __name__ == "__main__":
    exit_with(main)
