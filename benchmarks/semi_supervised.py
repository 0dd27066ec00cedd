"""Measures what cases without labels are worth: some labels a class, the others of TRAIN hidden.

    python benchmarks/semi_supervised.py --data DATA/uea DATA/ucr --out benchmarks/results/DATE-semi-supervised.csv
    python benchmarks/semi_supervised.py --data DATA/ucr --folds --out FILE.csv
    python benchmarks/semi_supervised.py --summary FILE.csv

A seed draws which cases keep their labels, the same for every method. "supervised" and "MiniRocket" learn from these
alone; "all labels" from all of TRAIN, a ceiling. Accuracy is that on TEST. With --folds TEST stays closed: a third of
TRAIN, another one for each seed up to 3, is scored instead and not learned from. With --strangers the last classes, a
third of them, have no labels: their cases are among the unlabelled, and not scored.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import uea
from commands import exit_with, parse_long, parser
from machine import Row, code_hash, commit, made, network, peak_memory_mb, version
from numpy.typing import NDArray
from rows import RowFile, read_rows
from scipy.special import softmax
from scipy.stats import wilcoxon
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import markdown, number, write_summary
from uea import DATASET

from tsformer.datasets import load_classification
from tsformer.training.unlabelled import ROUNDS, within_quotas

OURS = "tsformer:SemiSupervisedTransformerClassifier"
METHODS = {
    "supervised": "tsformer:TransformerClassifier",
    "supervised, frozen": "tsformer:TransformerClassifier(n_estimators=0)",
    "MiniRocket": "aeon.classification.convolution_based:MiniRocketClassifier",
    "MiniRocket in self-training": "semi_supervised:RocketInSelfTraining",
    "default": OURS,
    "default, frozen": f"{OURS}(n_estimators=0)",
    "label_spreading": f"{OURS}(method='label_spreading')",
    "label_spreading, frozen": f"{OURS}(method='label_spreading', n_estimators=0)",
    "pseudo_label": f"{OURS}(method='pseudo_label')",
    "pi": f"{OURS}(method='pi')",
    "mean_teacher": f"{OURS}(method='mean_teacher')",
    "pretrain": f"{OURS}(method='pretrain')",
    "all labels": "tsformer:TransformerClassifier",
}
ON_LABELS = ("supervised", "supervised, frozen", "MiniRocket")
LABELS = (1, 2, 5, 10)
COLUMNS = (
    *("dataset", "archive", "method", "seed", "labels", "scored", "strangers", "accuracy", "transduction"),
    *("fit_seconds", "predict_seconds", "peak_memory_mb", "n_parameters", "n_labelled", "n_unlabelled", "n_scored"),
    *("n_classes", "adapted", "version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(COLUMNS, ("dataset", "archive", "method", "seed", "labels", "scored", "strangers"))
UNLABELLED = ""  # among labels that are text

Labels = NDArray[np.str_]


class RocketInSelfTraining(ClassifierMixin, BaseEstimator):
    """MiniRocket, whose head labels what is unlabelled in the rounds and by the quotas of our self-training."""

    def __init__(self, random_state: int | None = None, unlabelled: str = UNLABELLED) -> None:
        self.random_state = random_state
        self.unlabelled = unlabelled

    def fit(self, X: NDArray[np.float64], y: Labels) -> "RocketInSelfTraining":
        """Draw the kernels from all series, and fit the head round after round."""
        from aeon.transformations.collection.convolution_based import MiniRocket

        self.rocket_ = MiniRocket(random_state=self.random_state).fit(X)
        features, others = np.asarray(self.rocket_.transform(X)), np.flatnonzero(y == self.unlabelled)
        self.classes_, sizes = np.unique(y[y != self.unlabelled], return_counts=True)
        quotas = sizes / sizes.sum() * len(others)
        guessed = y.copy()
        for fraction in (*ROUNDS, None):
            used = guessed != self.unlabelled
            head = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))  # as in aeon's MiniRocketClassifier
            self.head_ = make_pipeline(StandardScaler(with_mean=False), head).fit(features[used], guessed[used])
            if fraction is None or not len(others):
                return self
            scores = self.head_.decision_function(features[others])
            scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
            numbers = within_quotas(softmax(scores, axis=1), np.ceil(fraction * quotas).astype(np.int64))
            guessed = y.copy()
            guessed[others] = np.where(numbers < 0, self.unlabelled, self.classes_[numbers])
        return self

    def predict(self, X: NDArray[np.float64]) -> Labels:
        """Return the most probable classes."""
        predicted: Labels = self.head_.predict(np.asarray(self.rocket_.transform(X)))
        return predicted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    command = parser(__doc__)
    add = command.add_argument
    add("--data", nargs="+", type=Path, help="folders that hold NAME/NAME_TRAIN.ts")
    add("--datasets", nargs="+", metavar="NAME", help="default: all in the folders")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    add("--labels", nargs="+", type=int, default=list(LABELS), metavar="N", help="labelled cases of each class")
    add("--folds", action="store_true", help="score a third of TRAIN, and leave TEST closed: to choose by")
    add("--strangers", action="store_true", help="unlabelled cases of classes without labels")
    options = parse_long(command, arguments)
    n_failed = 0
    if not options.summary:
        n_failed = ROWS.fill(
            options.out, all_tasks(options), measure_fresh, outcome, jobs=options.jobs, rerun=options.rerun
        )
    print(summarise(options.summary or options.out))
    return int(n_failed > 0)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each dataset that has as many cases, method, number of labels and seed; seeds come last."""
    same = {"threads": options.threads, "code": code_hash(), "commit": commit()}
    same |= {"scored": "fold" if options.folds else "test", "strangers": "yes" if options.strangers else ""}
    folders = [(folder, name) for folder in options.data for name in uea.datasets_in(folder)]
    return [
        same
        | {"folder": str(folder), "archive": folder.resolve().name, "dataset": name, "labels": labels}
        | {"method": method, "version": version(METHODS[method], {}), "seed": seed}
        for seed in options.seeds
        for folder, name in folders
        if options.datasets is None or name in options.datasets
        for labels in options.labels
        if labels < smallest_class(name, folder, options.folds)
        for method in options.methods
    ]


def smallest_class(dataset: str, folder: Path, folds: bool) -> int:
    """Count the cases to learn from of the class that has the fewest."""
    _, y = load_classification(dataset, "train", folder)
    n = int(np.unique(y, return_counts=True)[1].min())
    return n * 2 // 3 if folds else n


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    return f"accuracy {row['accuracy']:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


def measure_fresh(task: Row) -> list[Row]:
    """Measure a task in a process of its own."""
    return ROWS.attempt_fresh(task, "semi_supervised")


def measure(task: Row) -> list[Row]:
    """Measure a task in this process."""
    return ROWS.attempt(task, fit_and_score)


def fit_and_score(task: Row) -> list[Row]:
    """Fit on TRAIN with hidden labels, and score on TEST, or on the part of TRAIN that was left out."""
    X, y = load_classification(task["dataset"], "train", task["folder"])
    held = None
    if task["scored"] == "fold":
        folds = StratifiedKFold(3, shuffle=True, random_state=task["seed"] // 3)
        kept, left_out = list(folds.split(y, y))[task["seed"] % 3]
        (X, y), held = part(X, y, kept), part(X, y, left_out)
    known = familiar(y, bool(task["strangers"]))
    hidden = hide(y, known, task["labels"], task["seed"])
    n_labelled = int((hidden != UNLABELLED).sum())
    estimator = made(
        METHODS[task["method"]], {}, {"random_state": task["seed"], "n_jobs": task["threads"], "unlabelled": UNLABELLED}
    )
    X_fit, y_fit = X, hidden
    if task["method"] == "all labels":
        X_fit, y_fit = part(X, y, np.flatnonzero(np.isin(y, known)))
    elif task["method"] in ON_LABELS:
        X_fit, y_fit = part(X, y, np.flatnonzero(hidden != UNLABELLED))
    length = max(uea.longest(X), max(uea.SHORTEST.values()))
    X_fit, changes = uea.fitted_to(estimator, X_fit, length)
    if task["method"] == "MiniRocket in self-training":
        X_fit, changes = as_rivals_take(X_fit, length)
    started = time.perf_counter()
    estimator.fit(X_fit, y_fit)
    fitted = time.perf_counter()
    X_new, y_new = held or load_classification(task["dataset"], "test", task["folder"])
    X_new, y_new = part(X_new, y_new, np.flatnonzero(np.isin(y_new, known)))
    n_scored = len(y_new)
    X_new = as_rivals_take(X_new, length)[0] if "Rocket" in task["method"] else X_new
    scoring = time.perf_counter()
    predicted = estimator.predict(X_new)
    row: Row = {
        "accuracy": float(np.mean(predicted == y_new)),
        "fit_seconds": round(fitted - started, 4),
        "predict_seconds": round(time.perf_counter() - scoring, 4),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "n_labelled": n_labelled,
        "n_unlabelled": len(y) - n_labelled,
        "n_scored": n_scored,
        "n_classes": len(known),
        "adapted": "+".join(changes),
    }
    if hasattr(estimator, "transduction_"):
        others = (hidden == UNLABELLED) & np.isin(y, known)
        row["transduction"] = float(np.mean(estimator.transduction_[others] == y[others]))
    return [row | network(estimator)]


def part(X: uea.Series, y: Labels, cases: NDArray[np.int64]) -> tuple[uea.Series, Labels]:
    """Take some cases."""
    return (X[cases] if isinstance(X, np.ndarray) else [X[case] for case in cases]), y[cases]


def as_rivals_take(X: uea.Series, length: int) -> tuple[uea.Series, list[str]]:
    """Return series of one length without missing values."""
    return uea.fitted_to(made(METHODS["MiniRocket"], {}, {}), X, length)


def familiar(y: Labels, strangers: bool) -> Labels:
    """Name the classes that have labels: all, or all but the last third; two at least."""
    classes = np.unique(y)
    return classes[: max(2, len(classes) - len(classes) // 3)] if strangers else classes


def hide(y: Labels, known: Labels, n_labels: int, seed: int) -> Labels:
    """Leave so many cases of each known class their labels, the same for every method."""
    rng = np.random.default_rng(seed)
    kept = np.concatenate([rng.choice(np.flatnonzero(y == label), n_labels, False) for label in known])
    hidden: Any = np.full(len(y), UNLABELLED, dtype=y.dtype)
    hidden[kept] = y[kept]
    return hidden


# Tables


def summarise(path: Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    rows = read_rows(path, [*DATASET, "method", "scored", "strangers", "adapted"])
    parts = ["Mean over the datasets that all methods of a line have, of means over seeds; p as in uea.py."]
    for (scored, strangers), some in rows.groupby(["scored", rows["strangers"].fillna("")]):
        title = f"scored on {scored}" + (", some classes without labels" if strangers else "")
        parts += [f"## Accuracy, {title}", markdown(accuracies(some)), markdown(beside_supervised(some))]
    seconds = rows.groupby("method")["fit_seconds"].agg(["median", "max"]).map("{:.1f}".format)
    return write_summary(path, [*parts, "## Seconds of a fit", markdown(seconds)])


def per_dataset(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a dataset, one column a method, for the datasets that all methods have."""
    means = rows.groupby([*DATASET, "method"])["accuracy"].mean().unstack("method")
    return means[[name for name in METHODS if name in means]].dropna()


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a number of labels, one column a method."""
    table = {}
    for labels, some in rows.groupby("labels"):
        complete = per_dataset(some)
        table[f"{labels:.0f}"] = {"datasets": str(len(complete))} | complete.mean().map("{:.4f}".format).to_dict()
    return pd.DataFrame.from_dict(table, orient="index").fillna("").rename_axis("labels a class")


def beside_supervised(rows: pd.DataFrame) -> pd.DataFrame:
    """What each method gains on the supervised default: mean, worst dataset, wins, ties and losses, p."""
    table = {}
    for labels, some in rows.groupby("labels"):
        complete = per_dataset(some)
        for name in complete.columns.drop("supervised", errors="ignore") if "supervised" in complete else ():
            gain = (complete[name] - complete["supervised"]).round(9)
            p = float(wilcoxon(gain).pvalue) if gain.any() else 1.0
            table[f"{labels:.0f}, {name}"] = {
                "gain": number(100 * gain.mean(), 2),
                "worst": number(100 * gain.min(), 1),
                "wins/ties/losses": "/".join(str(int(np.sum(np.sign(gain) == sign))) for sign in (1, 0, -1)),
                "p": number(p, 3),
            }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("labels a class, method")


if __name__ == "__main__":
    exit_with(main)
