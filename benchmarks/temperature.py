"""Measures what the best temperature in hindsight would take off the classifier's log loss on TEST files.

    python benchmarks/temperature.py --data DATA/uea DATA/ucr --out benchmarks/results/DATE-temperature.csv

A temperature divides logits (Guo et al. 2017, "On calibration of modern neural networks"). The one fitted here has seen
the labels that it is scored on, so this is a diagnostic: how much probabilities could gain, and no choice rests on it.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from measure import code_hash, version
from numpy.typing import NDArray
from rows import Row, RowFile, commit, library, locked, state
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss
from summary import markdown
from uea import datasets_in

from tsformer import TransformerClassifier
from tsformer.datasets import load_classification

ROWS = RowFile(
    ("dataset", "archive", "seed", "log_loss", "tempered", "temperature", "version", "code", "commit", "error"),
    ("dataset", "archive", "seed"),
)
MOST = np.log(10.0)  # of the logarithm of a temperature, either way: where all test cases are right, 0 would be best


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the file does not have yet, then print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="folders that hold NAME/NAME_TRAIN.ts")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="the file of rows")
    options = parser.parse_args(arguments)
    same = {"version": version("TransformerClassifier"), "code": code_hash(), "commit": commit()}
    tasks = [
        same | {"folder": folder, "archive": folder.resolve().name, "dataset": name, "seed": seed}
        for folder in options.data
        for name in datasets_in(folder)
        for seed in options.seeds
    ]
    present = {library(same["version"]): state(same)}
    with locked(options.out):
        done = ROWS.prepare(options.out, {ROWS.key(task) for task in tasks}, present, rerun=False)
        pending = [task for task in tasks if ROWS.key(task) not in done]
        ROWS.append_measured(options.out, measured(pending), done, present, outcome, len(pending))
    print(summary(pd.read_csv(options.out)))


def measured(tasks: Sequence[Row]) -> Iterator[list[Row]]:
    """Fit on TRAIN, and only then open TEST."""
    for task in tasks:
        X, y = load_classification(task["dataset"], "train", task["folder"])
        classifier = TransformerClassifier(random_state=task["seed"]).fit(X, y)
        X, y = load_classification(task["dataset"], "test", task["folder"])
        row = {column: task.get(column, "") for column in ROWS.columns}
        yield [row | tempered(classifier.predict_proba(X), y, classifier.classes_)]


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
    losses = f"log loss {row['log_loss']:.3f}, {row['tempered']:.3f} at temperature {row['temperature']:.2f}"
    return f"{row['dataset']}, seed {row['seed']}: {losses}"


def summary(rows: pd.DataFrame) -> str:
    """Mean log loss of each archive and of all sets, as it is and tempered, and what that takes off."""
    means = rows.groupby("archive")[["log_loss", "tempered"]].mean()
    means.loc["all"] = rows[["log_loss", "tempered"]].mean()
    means["less"] = 1.0 - means["tempered"] / means["log_loss"]
    return markdown(means.map("{:.3f}".format))


if __name__ == "__main__":
    main()
