"""Scores classifiers on what defaults may be chosen by: folds of TRAIN files, and made tasks.

    python benchmarks/judge.py --data DATA/uea DATA/ucr --out choice.csv --estimators \
        "TransformerClassifier(n_estimators=0)" "TransformerClassifier(n_estimators=0, pretrained='new.safetensors')"
    python benchmarks/judge.py --summary choice.csv

No TEST file is opened. A row is a set, an estimator and a seed: of the folds, the same for all estimators, or of the
made task (`made_tasks.py`). Choose what gains on both pools, by more than the seeds differ.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import uea
from commands import exit_with, parse_long, parser
from machine import Row, canonical, code_hash, commit, made, version
from made_tasks import KINDS, SIZES, make_task
from rows import RowFile, read_rows
from semi_supervised import part
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from tables import markdown, number, write_summary
from uea import ESTIMATORS

from tsformer.datasets import load_classification

Cases = tuple[uea.Series, np.ndarray]  # and their labels

COLUMNS = (
    *("pool", "dataset", "estimator", "seed", "accuracy", "log_loss", "fit_seconds", "predict_seconds", "n_train"),
    *("version", "code", "commit", "threads", "versions", "started", "error"),
)
ROWS = RowFile(COLUMNS, ("pool", "dataset", "estimator", "seed"))
MADE = "made"
DEFAULT = "TransformerClassifier(n_estimators=0)"
N_FOLDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    command = parser(__doc__)
    add = command.add_argument
    add("--data", nargs="*", type=Path, default=[], help="folders that hold NAME/NAME_TRAIN.ts")
    add("--datasets", nargs="+", metavar="NAME", help="default: all in the folders, and all made tasks")
    known = partial(canonical, known=ESTIMATORS)
    add("--estimators", nargs="+", type=known, default=[DEFAULT], metavar="NAME", help="as of uea.py")
    options = parse_long(command, arguments)
    n_failed = 0
    if not options.summary:
        measure = partial(ROWS.attempt, measure=scored)
        n_failed = ROWS.fill(options.out, all_tasks(options), measure, outcome, jobs=options.jobs, rerun=options.rerun)
    print(summarise(options.summary or options.out))
    return int(n_failed > 0)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One row to be for each set, estimator and seed; seeds come last."""
    sets = [(str(folder), folder.resolve().name, name) for folder in options.data for name in uea.datasets_in(folder)]
    sets += [("", MADE, f"{kind} {size}") for kind in KINDS for size in SIZES]
    same = {"threads": options.threads, "code": code_hash(), "commit": commit()}
    return [
        same
        | {"folder": folder, "pool": pool, "dataset": name, "seed": seed}
        | {"estimator": estimator, "version": version(estimator, ESTIMATORS)}
        for seed in options.seeds
        for folder, pool, name in sets
        if options.datasets is None or name in options.datasets
        for estimator in options.estimators
    ]


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    return f"accuracy {row['accuracy']:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


def scored(task: Row) -> list[Row]:
    """Fit and score on the folds of a TRAIN file, or on a made task."""
    splits: list[tuple[Cases, Cases]]
    if task["pool"] == MADE:
        kind, size = task["dataset"].split()
        made_of = make_task(kind, int(size), task["seed"])
        splits = [((made_of.X, made_of.y), (made_of.X_test, made_of.y_test))]
    else:
        X, y = load_classification(task["dataset"], "train", task["folder"])
        smallest = int(np.unique(y, return_counts=True)[1].min())
        folds = StratifiedKFold(max(2, min(N_FOLDS, smallest)), shuffle=True, random_state=task["seed"])
        splits = [(part(X, y, kept), part(X, y, held)) for kept, held in folds.split(y, y)]
    names = ("accuracy", "log_loss", "fit_seconds", "predict_seconds")
    results = np.mean([fit_and_score(task, *split) for split in splits], axis=0)
    return [dict(zip(names, results.tolist(), strict=True)) | {"n_train": len(splits[0][0][1])}]


def fit_and_score(task: Row, kept: Cases, held: Cases) -> tuple[float, float, float, float]:
    """Return accuracy and log loss on what was held back, and the seconds of fit and predict."""
    estimator = made(task["estimator"], ESTIMATORS, {"random_state": task["seed"], "n_jobs": task["threads"]})
    length = max(uea.longest(kept[0]), max(uea.SHORTEST.values()))
    X, X_held = (uea.fitted_to(estimator, cases, length)[0] for cases, _ in (kept, held))
    started = time.perf_counter()
    estimator.fit(X, kept[1])
    fitted = time.perf_counter()
    probability = estimator.predict_proba(X_held)
    seconds = fitted - started, time.perf_counter() - fitted
    accuracy = float(np.mean(estimator.classes_[probability.argmax(axis=1)] == held[1]))
    return accuracy, log_loss(held[1], probability, labels=estimator.classes_), *seconds


def summarise(path: Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    rows = read_rows(path, ["pool", "dataset", "estimator"])
    rows["shown"] = rows["pool"].where(rows["pool"] == MADE, "TRAIN folds, " + rows["pool"])
    seeds = rows.groupby(["shown", "estimator", "seed"])[["accuracy", "log_loss"]].mean()
    means, spread = seeds.groupby(level=[0, 1]).mean(), seeds.groupby(level=[0, 1]).std(ddof=0)
    table = pd.DataFrame(
        {
            "accuracy": means["accuracy"].map(partial(number, digits=4)),
            "std over seeds": spread["accuracy"].map(partial(number, digits=4)),
            "log loss": means["log_loss"].map(partial(number, digits=4)),
            "std of it": spread["log_loss"].map(partial(number, digits=4)),
        }
    )
    table.index = [f"{pool}: {estimator}" for pool, estimator in table.index]
    return write_summary(
        path, ["Means over sets, of means over seeds.", markdown(table.rename_axis("pool: estimator"))]
    )


if __name__ == "__main__":
    exit_with(main)
