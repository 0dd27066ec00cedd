"""Measures what pretrained weights are worth: frozen, in the default ensemble, and with few labels.

    python benchmarks/pretraining.py --data DATA/uea DATA/ucr --out benchmarks/results/DATE-pretraining.csv
    python benchmarks/pretraining.py --summary benchmarks/results/DATE-pretraining.csv

Beside the frozen features are those of the same network with random weights, and MiniRocket, with its own linear head
and with the head of a frozen encoder. Rows are those of uea.py, which measures them; those with `labels` were trained
on so many cases a class.
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import uea
from commands import exit_with, parse_long, parser
from machine import Row
from numpy.typing import NDArray
from rows import read_rows
from sklearn.base import BaseEstimator, ClassifierMixin
from tables import markdown, write_summary
from uea import DATASET

from tsformer import TransformerClassifier, TransformerPretrainer
from tsformer.datasets import load_classification
from tsformer.models.frozen import FeatureScaler
from tsformer.training.ridge import best_head

METHODS = {
    "frozen": "TransformerClassifier(n_estimators=0)",
    "random weights": "pretraining:random_weights",
    "MiniRocket": "MiniRocket",
    "MiniRocket, same head": "pretraining:RocketFeatures",
    "fine-tuned": "TransformerClassifier(n_estimators=0, fine_tune=True)",
    "one network from scratch": "TransformerClassifier(n_estimators=1, pretrained=None)",
    "default": "TransformerClassifier",
    "default without pretraining": "TransformerClassifier(pretrained=None)",
}
MEASURED = [name for name in METHODS if name != "fine-tuned"]  # which gained nothing and is gone; its rows are read
WITH_LABELS = ("frozen", "random weights", "MiniRocket", "default", "one network from scratch")
LABELS = (1, 2, 5, 10, 20)


def random_weights(random_state: int) -> TransformerClassifier:
    """Make the frozen classifier whose encoder has learnt nothing."""
    with warnings.catch_warnings(action="ignore"):  # of what is wanted here
        blank = TransformerPretrainer(max_steps=0, random_state=random_state)
        blank.fit(np.random.default_rng(0).random((2, 20)))
    return TransformerClassifier(n_estimators=0, pretrained=blank)


class RocketFeatures(ClassifierMixin, BaseEstimator):
    """MiniRocket's features, squashed and given a head as those of a frozen encoder are."""

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> "RocketFeatures":
        """Draw the kernels, and fit the head."""
        from aeon.transformations.collection.convolution_based import MiniRocket

        self.classes_, numbers = np.unique(y, return_inverse=True)
        self.rocket_ = MiniRocket(random_state=self.random_state).fit(X)
        features = self._features(X)
        self.scaler_ = FeatureScaler(features.shape[1]).fit(features)
        self.head_ = best_head(self.scaler_(features).numpy(), numbers, len(self.classes_)).head
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of the classes."""
        with torch.inference_mode():
            return self.head_(self.scaler_(self._features(X))).softmax(dim=1).numpy()

    def predict(self, X: NDArray[np.float64]) -> NDArray[Any]:
        """Return the most probable classes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _features(self, X: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self.rocket_.transform(X), dtype=np.float64))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    command = parser(__doc__)
    add = command.add_argument
    add("--data", nargs="+", type=Path, help="folders that hold NAME/NAME_TRAIN.ts")
    add("--methods", nargs="+", choices=MEASURED, default=MEASURED, metavar="NAME", help=", ".join(MEASURED))
    add("--labels", nargs="*", type=int, default=list(LABELS), metavar="N", help="cases of each class; beside all")
    options = parse_long(command, arguments)
    n_failed = 0 if options.summary else uea.run(all_tasks(options), options)
    print(summarise(options.summary or options.out))
    return int(n_failed > 0)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """Gather the tasks of all parts."""
    return [task for part in parts(options) for task in uea.all_tasks(uea.parse(part))]


def parts(options: argparse.Namespace) -> list[list[str]]:
    """The command lines of uea.py: all cases, then each number of labels on the datasets that have as many."""
    same = ["--data", *map(str, options.data), "--out", str(options.out), "--threads", str(options.threads)]
    same += ["--seeds", *map(str, options.seeds), "--estimators"]
    few = [METHODS[name] for name in options.methods if name in WITH_LABELS]
    smallest = {name: smallest_class(name, folder) for folder in options.data for name in uea.datasets_in(folder)}
    lines = [[*same, *(METHODS[name] for name in options.methods)]]
    for n in options.labels if few else []:
        enough = [name for name, size in smallest.items() if size >= n]
        lines += [[*same, *few, "--labels", str(n), "--datasets", *enough]] if enough else []
    return lines


def smallest_class(dataset: str, folder: Path) -> int:
    """Count the training cases of the class that has the fewest."""
    _, y = load_classification(dataset, "train", folder)
    return int(np.unique(y, return_counts=True)[1].min())


def summarise(path: Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    rows = read_rows(path, [*DATASET, "estimator", "adapted"])
    rows["method"] = rows["estimator"].map({estimator: name for name, estimator in METHODS.items()})
    rows["cases"] = rows["labels"].map(lambda n: "all" if np.isnan(n) else f"{n:.0f} a class")
    parts = ["Mean accuracy over the datasets that all methods of a line have; their number first."]
    archives: dict[Any, pd.DataFrame] = dict(list(rows.groupby("archive"))) | {"all archives": rows}
    parts += [f"## {name}\n\n{markdown(accuracies(part))}" for name, part in archives.items()]
    parts += ["## Seconds and memory\n\nMeans over datasets and seeds, all cases.", markdown(costs(rows))]
    return write_summary(path, parts)


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a number of cases, one column a method: the mean over datasets of the means over seeds."""
    table = {}
    for cases, part in rows.sort_values("labels", kind="stable", na_position="first").groupby("cases", sort=False):
        means = part.groupby([*DATASET, "method"])["accuracy"].mean().unstack("method")
        complete = means[[name for name in METHODS if name in means]].dropna()
        table[cases] = {"datasets": f"{len(complete)}"} | complete.mean().map("{:.4f}".format).to_dict()
    return pd.DataFrame.from_dict(table, orient="index").fillna("").rename_axis("training cases")


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds of fit and predict, beside MiniRocket's, and memory."""
    rows = rows[rows["labels"].isna()]
    means = rows.groupby("method")[["fit_seconds", "predict_seconds", "seconds", "peak_memory_mb"]].mean()
    means = means.reindex([name for name in METHODS if name in means.index])
    if "MiniRocket" in means.index:
        means["times MiniRocket's"] = means["seconds"].div(float(means["seconds"]["MiniRocket"]))
    return means.map("{:.2f}".format)


if __name__ == "__main__":
    exit_with(main)
