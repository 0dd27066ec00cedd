"""Measures what the best temperature in hindsight would take off the classifier's log loss on TEST files.

    python benchmarks/temperature.py --data DATA/uea DATA/ucr --out benchmarks/results/DATE-temperature.csv

A temperature divides logits (Guo et al. 2017, "On calibration of modern neural networks"). The one fitted here has seen
the labels that it is scored on, so this is a diagnostic: how much probabilities could gain, and no choice rests on it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from commands import exit_with, parser
from machine import Row, code_hash, commit, version
from numpy.typing import NDArray
from rows import RowFile
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss
from tables import markdown
from uea import ESTIMATORS, datasets_in

from tsformer import TransformerClassifier
from tsformer.datasets import load_classification

ROWS = RowFile(
    ("dataset", "archive", "seed", "log_loss", "tempered", "temperature", "version", "code", "commit", "error"),
    ("dataset", "archive", "seed"),
)
MOST = np.log(10.0)  # of the logarithm of a temperature, either way: where all test cases are right, 0 would be best


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the file does not have yet, then print the tables."""
    command = parser(__doc__)
    command.add_argument("--data", nargs="+", type=Path, required=True, help="folders that hold NAME/NAME_TRAIN.ts")
    command.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    command.add_argument("--out", type=Path, required=True, metavar="CSV", help="the file of rows")
    options = command.parse_args(arguments)
    same = {"version": version("TransformerClassifier", ESTIMATORS), "code": code_hash(), "commit": commit()}
    tasks = [
        same | {"folder": folder, "archive": folder.resolve().name, "dataset": name, "seed": seed}
        for folder in options.data
        for name in datasets_in(folder)
        for seed in options.seeds
    ]
    ROWS.fill(options.out, tasks, measure, outcome)
    print(summary(pd.read_csv(options.out)))
    return 0


def measure(task: Row) -> list[Row]:
    """Fit on TRAIN, and only then open TEST."""
    X, y = load_classification(task["dataset"], "train", task["folder"])
    classifier = TransformerClassifier(random_state=task["seed"]).fit(X, y)
    X, y = load_classification(task["dataset"], "test", task["folder"])
    return [row | tempered(classifier.predict_proba(X), y, classifier.classes_) for row in ROWS.blank(task)]


def tempered(probability: NDArray[np.float64], y: NDArray, classes: NDArray) -> Row:
    """Return the log loss of probabilities, the least that a temperature makes of it, and that temperature."""
    logits = np.log(probability.clip(np.finfo(np.float64).tiny))

    def loss(log_temperature: float) -> float:
        return log_loss(y, np.exp(log_softmax(logits / np.exp(log_temperature), axis=1)), labels=classes)

    best = minimize_scalar(loss, bounds=(-MOST, MOST), method="bounded")
    before = loss(0.0)
    return {"log_loss": before, "tempered": min(before, best.fun), "temperature": float(np.exp(best.x))}


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    return f"log loss {row['log_loss']:.3f}, {row['tempered']:.3f} at temperature {row['temperature']:.2f}"


def summary(rows: pd.DataFrame) -> str:
    """Mean log loss of each archive and of all sets, as it is and tempered, and what that takes off."""
    means = rows.groupby("archive")[["log_loss", "tempered"]].mean()
    means.loc["all"] = rows[["log_loss", "tempered"]].mean()
    means["less"] = 1.0 - means["tempered"] / means["log_loss"]
    return markdown(means.map("{:.3f}".format))


if __name__ == "__main__":
    exit_with(main)
