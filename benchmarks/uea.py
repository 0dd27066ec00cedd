"""Benchmarks classifiers on folders of .ts datasets: one CSV row per (dataset, estimator, seed), then the tables.

    python benchmarks/uea.py --data data/uea data/ucr --estimators TransformerClassifier MiniRocket --out r.csv
    python benchmarks/uea.py --summary r.csv

How a row comes about:

- A fresh process loads TRAIN, fits, and only then opens TEST, to score.
- The clock runs over `fit` and over `predict`. Before it a copy fits and predicts a few training cases: compiling
  aeon's numba code took 23 s (MiniRocket) and 42 s (MultiRocket-Hydra) in the first process ever and loading it 0.3 to
  0.5 s in every later one, torch's late imports took ours 1.7 s, and fitting BasicMotions takes MiniRocket 0.1 s.
- Peak memory is that of the whole process, imports included.
- Ours gets the data as they are. A rival that cannot take them gets missing values interpolated, short series padded
  with zeros and series longer than those of TRAIN cut; `adapted` names what was done. scikit-learn's own classifiers
  get the channels in one row, which loses nothing and is not named.
- `log_loss` is empty where there are no probabilities: those of the ridge-based rivals (the ROCKET and Hydra family)
  and of 1NN-DTW are zeros and ones.

The accuracy on a dataset is the mean over seeds; means, ranks, wins and times go over the datasets that every
estimator with a result has, and what is missing is named. p is that of a two-sided Wilcoxon signed-rank test over
datasets, not corrected for the number of tests.
"""

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from commands import exit_with, parse_long, parser
from machine import Row, canonical, code_hash, commit, is_ours, made, network, peak_memory_mb, version
from rows import RowFile, read_rows
from tables import markdown, number, provenance_section, write_summary

ESTIMATORS = {
    "TransformerClassifier": "tsformer:TransformerClassifier",
    "MiniRocket": "aeon.classification.convolution_based:MiniRocketClassifier",
    "MultiRocket-Hydra": "aeon.classification.convolution_based:MultiRocketHydraClassifier",
    "Hydra": "aeon.classification.convolution_based:HydraClassifier",
    "ROCKET": "aeon.classification.convolution_based:RocketClassifier",
    "1NN-DTW": "aeon.classification.distance_based:KNeighborsTimeSeriesClassifier",
    "dummy": "sklearn.dummy:DummyClassifier",
}
# aeon 1.6 refuses shorter series, or fails on them.
SHORTEST = {"MiniRocketClassifier": 9, "MultiRocketHydraClassifier": 10, "HydraClassifier": 6}
COLUMNS = (
    *("dataset", "archive", "estimator", "seed", "labels", "accuracy", "balanced_accuracy", "log_loss"),
    *("fit_seconds", "predict_seconds", "peak_memory_mb", "n_parameters"),
    *("n_train", "n_test", "n_channels", "n_timepoints", "n_classes", "adapted"),
    *("version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(COLUMNS, ("dataset", "archive", "estimator", "seed", "labels"))

PUBLISHED = [Path(__file__).with_name("reference") / f"{archive}_published.csv" for archive in ("uea", "ucr")]
DATASET = ["archive", "dataset"]
# With these a published number may be compared: the others saw the test split, or may have.
FAIR_PROTOCOLS = ("this run", "train-only")

Series = np.ndarray | list[np.ndarray]  # (n_cases, n_channels, n_timepoints), or n_cases of (n_channels, length)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0 if options.summary else run(all_tasks(options), options)
    print(summarise(options.summary or options.out, options.reference))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    command = parser(__doc__)
    add = command.add_argument
    add("--data", nargs="+", type=Path, help="folders that hold NAME/NAME_TRAIN.ts")
    add("--datasets", nargs="+", metavar="NAME", help="default: all in the folders")
    add(
        "--estimators",
        nargs="+",
        type=partial(canonical, known=ESTIMATORS),
        default=list(ESTIMATORS),
        metavar="NAME",
        help=f"{', '.join(ESTIMATORS)} (default: all) or module:Class; with parameters: 'NAME(key=value, ...)'",
    )
    add("--labels", nargs="+", type=int, metavar="N", help="train on so many cases of each class; default: on all")
    add("--reference", nargs="+", type=Path, default=PUBLISHED, metavar="CSV", help="published numbers")
    return parse_long(command, arguments)


def run(tasks: list[Row], options: argparse.Namespace) -> int:
    """Measure every row that the file does not have yet; return how many failed."""
    return ROWS.fill(options.out, tasks, measure_fresh, outcome, jobs=options.jobs, rerun=options.rerun)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each dataset, estimator and seed: the columns of its row that are known beforehand."""
    folders = [(folder, name) for folder in options.data for name in datasets_in(folder)]
    names = options.datasets or [name for _, name in folders]
    if unknown := sorted(set(names) - {name for _, name in folders}):
        sys.exit(f"No such dataset in {', '.join(map(str, options.data))}: {', '.join(unknown)}.")
    same = {"threads": options.threads, "code": code_hash(), "commit": commit()}
    tasks = [
        same
        | {"folder": str(folder), "archive": folder.resolve().name, "dataset": name}
        | {"estimator": estimator, "version": version(estimator, ESTIMATORS), "seed": seed, "labels": labels}
        for folder, name in folders
        if name in names
        for estimator in dict.fromkeys(options.estimators)
        for seed in dict.fromkeys(options.seeds)
        for labels in dict.fromkeys(options.labels or [""])
    ]
    if len({ROWS.key(task) for task in tasks}) < len(tasks):
        sys.exit("Two folders of the same name hold the same dataset: their rows could not be told apart.")
    return tasks


def datasets_in(folder: Path) -> list[str]:
    """Name the datasets of a folder."""
    files = [*folder.glob("*/*_TRAIN.ts*"), *folder.glob("*_TRAIN.ts*")]
    if not files:
        sys.exit(f"No datasets in {folder}: expected files NAME/NAME_TRAIN.ts.")
    return sorted({file.stem.removesuffix("_TRAIN") for file in files})


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    return f"accuracy {row['accuracy']:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


# Measuring


def measure_fresh(task: Row) -> list[Row]:
    """Measure a task in a process of its own."""
    return ROWS.attempt_fresh(task, "uea")


def measure(task: Row) -> list[Row]:
    """Measure a task in this process."""
    return ROWS.attempt(task, fit_and_score)


def fit_and_score(task: Row) -> list[Row]:
    """Fit on TRAIN and score on TEST."""
    from tsformer.datasets import load_classification

    X, y = load_classification(task["dataset"], "train", task["folder"])
    if task["labels"]:
        X, y = drawn(X, y, task["labels"], task["seed"])
    estimator = build(task)
    length = max(longest(X), SHORTEST.get(type(estimator).__name__, 0))
    X_fit, changes = fitted_to(estimator, X, length)
    warm_up(build(task), X_fit, y)

    started = time.perf_counter()
    estimator.fit(X_fit, y)
    fitted = time.perf_counter()

    X_test, y_test = load_classification(task["dataset"], "test", task["folder"])
    X_test, test_changes = fitted_to(estimator, X_test, length)
    scoring = time.perf_counter()
    predicted = estimator.predict(X_test)
    scored = time.perf_counter()
    row = scores(estimator, X_test, y_test, predicted) | network(estimator)
    row |= {
        "fit_seconds": round(fitted - started, 4),
        "predict_seconds": round(scored - scoring, 4),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "n_train": len(X),
        "n_test": len(X_test),
        "n_channels": X[0].shape[0],
        "n_timepoints": longest(X),
        "n_classes": len(np.unique(y)),
        "adapted": "+".join(dict.fromkeys(changes + test_changes)),
    }
    return [row]


def build(task: Row) -> Any:
    """Make a task's estimator, with the task's seed and threads where it takes them."""
    return made(task["estimator"], ESTIMATORS, {"random_state": task["seed"], "n_jobs": task["threads"]})


def drawn(X: Series, y: np.ndarray, n_labels: int, seed: int) -> tuple[Series, np.ndarray]:
    """Draw so many cases of each class, the same for every estimator."""
    rng = np.random.default_rng(seed)
    kept = np.sort(np.concatenate([rng.choice(np.flatnonzero(y == label), n_labels, False) for label in np.unique(y)]))
    return (X[kept] if isinstance(X, np.ndarray) else [X[case] for case in kept]), y[kept]


# Data as a rival can take them


def longest(X: Series) -> int:
    """Count the time points of the longest series."""
    return max(x.shape[1] for x in X)


def fitted_to(estimator: Any, X: Series, length: int) -> tuple[Series, list[str]]:
    """Return the series as an estimator can take them, and what that changed."""
    changes = []
    if any(np.isnan(x).any() for x in X) and not takes(estimator, "missing_values"):
        changes.append("interpolated")
        X = [interpolated(x) for x in X]
    lengths = {x.shape[1] for x in X}
    if lengths != {length} and not takes(estimator, "unequal_length"):
        changes += ["padded"] * (min(lengths) < length) + ["cut"] * (max(lengths) > length)
        X = [np.pad(x[:, :length], ((0, 0), (0, max(0, length - x.shape[1])))) for x in X]
    if len({x.shape for x in X}) == 1:
        X = np.stack(list(X))
    if type(estimator).__module__.startswith("sklearn."):
        X = np.reshape(X, (len(X), -1))
    return X, changes


def takes(estimator: Any, capability: str) -> bool:
    """Tell whether an estimator takes such data by itself; aeon's and sktime's have a tag that says so."""
    return is_ours(estimator) or (hasattr(estimator, "get_tag") and estimator.get_tag(f"capability:{capability}"))


def interpolated(x: np.ndarray) -> np.ndarray:
    """Fill each channel's missing values linearly, at the edges with the nearest value, all missing with zeros."""
    filled = np.zeros_like(x)
    steps = np.arange(x.shape[1])
    for channel, values in enumerate(x):
        observed = ~np.isnan(values)
        if observed.any():
            filled[channel] = np.interp(steps, steps[observed], values[observed])
    return filled


def warm_up(estimator: Any, X: Series, y: np.ndarray) -> None:
    """Import and compile what fit and predict need, on up to four cases of two classes."""
    few = [index for label in np.unique(y)[:2] for index in np.flatnonzero(y == label)[:4]]
    X_few = X[few] if isinstance(X, np.ndarray) else [X[index] for index in few]
    if is_ours(estimator):
        estimator.set_params(max_steps=1)
    with contextlib.suppress(Exception):  # what cannot learn from so few stays cold
        estimator.fit(X_few, y[few]).predict(X_few)


def scores(estimator: Any, X: Series, y: np.ndarray, predicted: np.ndarray) -> Row:
    """Score predictions, and probabilities where there are any."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

    row = {
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
    }
    if hasattr(estimator, "predict_proba") and set(y) <= set(estimator.classes_):
        probabilities = estimator.predict_proba(X)
        if not np.isin(probabilities, (0, 1)).all():
            row["log_loss"] = log_loss(y, probabilities, labels=estimator.classes_)
    return row


# Tables


def summarise(results: Path, references: Iterable[Path]) -> str:
    """Write `<results>.md` and `<results>-cd.png` beside a CSV of results, and return the text of the first.

    `references` are CSVs of published accuracies; the name of each begins with that of its archive.
    """
    rows = read_results(results)
    published = {path.stem.partition("_")[0]: read_published(path) for path in references}
    picture = draw_critical_difference(rows, results.with_name(f"{results.stem}-cd.png"))
    return write_summary(results, [provenance_section(rows), *tables(rows, published), picture, missing(rows)])


def read_results(path: Path) -> pd.DataFrame:
    """Read the rows of a run of uea.py that trained on all cases."""
    rows = read_rows(path, [*DATASET, "estimator", "adapted"])
    return rows[rows["labels"].isna()] if "labels" in rows else rows


def read_published(path: Path) -> pd.DataFrame:
    """Read published accuracies; `changed` marks those on a dataset made equal in length (_eq) or complete (_nmv)."""
    published = pd.read_csv(path)
    name = published["dataset"].str.replace(r"_(eq|nmv)$", "", regex=True)
    published = published.assign(dataset=name, changed=name != published["dataset"])
    return published.sort_values("changed", kind="stable").drop_duplicates(["dataset", "method"])


def tables(rows: pd.DataFrame, published: dict[str, pd.DataFrame]) -> list[str]:
    """Make the tables of each archive, then those of all."""
    ours = our_estimator(rows)
    parts = []
    for archive, part in rows.groupby("archive"):
        parts += [f"## {archive}", *dataset_section(part), *comparison_section(part, ours)]
        if str(archive) in published:
            parts += published_section(part, published[str(archive)])
    if rows["archive"].nunique() > 1:
        parts += ["## All archives", *comparison_section(rows, ours)]
    return parts


def our_estimator(rows: pd.DataFrame) -> str | None:
    """Choose the estimator that the others are compared with: ours with its defaults, or the first of ours."""
    names = rows.loc[rows["ours"], "estimator"]
    return None if names.empty else min(names, key=lambda name: name != "TransformerClassifier")


def over_seeds(rows: pd.DataFrame, measure: str, how: str = "mean") -> pd.DataFrame:
    """Aggregate a measure over seeds: one row a dataset, one column an estimator that has results."""
    names = rows.loc[rows["accuracy"].notna(), "estimator"].unique()
    table = rows.groupby([*DATASET, "estimator"])[measure].agg(how).unstack("estimator")
    return table.reindex(columns=names).round(9)  # the order of summation must not break ties


def adapted(rows: pd.DataFrame) -> pd.Index:
    """Name the datasets that had to be changed for any of the estimators."""
    return rows[rows["adapted"].notna()].set_index(DATASET).index.unique()


def dataset_section(rows: pd.DataFrame) -> list[str]:
    """Show the accuracy of every estimator on every dataset; with its deviation over seeds where it is ours."""
    accuracy = over_seeds(rows, "accuracy")
    deviation = over_seeds(rows[rows["ours"]], "accuracy", "std").reindex_like(accuracy)
    cells = accuracy.map(lambda mean: number(mean, 3)) + deviation.map(lambda std: number(std, 3, " ± "))
    cells.index = [name + "*" * (key in adapted(rows)) for key, name in zip(cells.index, names(cells), strict=True)]
    caption = "Accuracy, mean over seeds (± standard deviation of ours; * padded, cut or interpolated for a rival):"
    return [caption, markdown(cells.rename_axis("dataset"))]


def comparison_section(rows: pd.DataFrame, ours: str | None) -> list[str]:
    """Show the table of `compare`, and over which datasets it goes."""
    accuracy = over_seeds(rows, "accuracy")
    complete = accuracy.dropna()
    text = f"Over the {len(complete)} datasets that all {accuracy.shape[1]} estimators have"
    if left_out := names(accuracy.drop(complete.index)):
        text += f" (left out: {', '.join(left_out)})"
    if complete.empty:
        return [f"{text}: nothing to compare."]
    counted = f" Wins, ties and losses are those of {ours} against the row's estimator." if ours else ""
    return [f"{text}. Seconds are fit plus predict.{counted}", markdown(compare(rows, ours))]


def compare(rows: pd.DataFrame, ours: str | None) -> pd.DataFrame:
    """Compare estimators over the datasets that all of them have.

    Best mean rank first; cells are text. Wins, ties and losses are counted for `ours`.
    """
    accuracy = over_seeds(rows, "accuracy").dropna()
    plain = accuracy[~accuracy.index.isin(adapted(rows))]
    balanced, loss, seconds, memory = (
        over_seeds(rows, measure).loc[accuracy.index]
        for measure in ("balanced_accuracy", "log_loss", "seconds", "peak_memory_mb")
    )
    ranks = accuracy.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    table = {}
    for name, rank in ranks.items():
        table[name] = {
            "accuracy": number(accuracy[name].mean(), 4),
            f"on {len(plain)} not adapted": number(plain[name].mean(), 4),
            "mean rank": number(rank, 2),
            "wins/ties/losses": "",
            "p": "",
            "balanced accuracy": number(balanced[name].mean(), 4),
            "log loss": number(loss[name].mean(skipna=False), 3),
            "median seconds": number(seconds[name].median(), 2),
            "time / ours": number(seconds[name].median() / seconds[ours].median(), 3) if ours in seconds else "",
            "median MB": number(memory[name].median(), 0),
        }
        if ours in accuracy and name != ours:
            table[name] |= against(accuracy[ours], accuracy[name])
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("estimator")


def against(ours: pd.Series, theirs: pd.Series) -> dict[str, str]:
    """Count our wins, ties and losses, and test the differences."""
    from scipy.stats import wilcoxon

    difference = (ours - theirs).round(9)
    p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
    counts = (difference > 0).sum(), (difference == 0).sum(), (difference < 0).sum()
    return {"wins/ties/losses": "/".join(map(str, counts)), "p": number(p, 3) if p >= 0.001 else "<0.001"}


def missing(rows: pd.DataFrame) -> str:
    """Name every row without a result: each estimator should have each of its seeds on each dataset."""
    key = [*DATASET, "estimator", "seed"]
    errors = dict(zip(rows[key].itertuples(index=False, name=None), rows["error"], strict=True))
    lines = []
    for dataset in rows[DATASET].drop_duplicates().itertuples(index=False, name=None):
        for run in rows[["estimator", "seed"]].drop_duplicates().itertuples(index=False, name=None):
            error = errors.get((*dataset, *run), "not run")
            if isinstance(error, str):
                lines.append(f"- {'/'.join(dataset)}, {run[0]}, seed {run[1]}: {error}")
    return "\n".join(["Missing rows:", "", *lines]) if lines else "No row is missing."


def published_section(rows: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """Show published accuracies on the same datasets beside those of this run."""
    here = over_seeds(rows, "accuracy").droplevel("archive")
    published = published[published["dataset"].isin(here.index)]
    if published.empty:
        return ["No published numbers for these datasets."]
    there = published.pivot(index="dataset", columns="method", values="accuracy").reindex(here.index)
    changed = published.pivot(index="dataset", columns="method", values="changed").reindex(here.index)
    cells = there.map(lambda accuracy: number(accuracy, 3)) + changed.map(lambda is_changed: "*" * (is_changed is True))
    both = here.join(there, lsuffix=" (here)").dropna()
    return [
        f"Published beside this run, mean accuracy over the {len(both)} of {len(here)} datasets that all of them have. "
        "Train-only compares with this run; test-selected saw the test split, unverified may have.",
        markdown(published_means(both, pd.concat([here, there], axis=1).count(), published)),
        "Published, by dataset (* on a version made equal in length or complete):",
        markdown(cells.rename_axis(columns=None)),
    ]


def published_means(both: pd.DataFrame, counts: pd.Series, published: pd.DataFrame) -> pd.DataFrame:
    """Average over the common datasets, fair protocols first; `counts` says how many datasets each column has."""
    about = published.drop_duplicates("method").set_index("method").reindex(both.columns)
    table = pd.DataFrame(
        {
            "mean": both.mean(),
            "protocol": about["protocol"].fillna("this run"),
            "datasets": counts.to_numpy(),
            "source": about["source"].fillna(""),
        }
    ).rename_axis("method")
    fair = table["protocol"].isin(FAIR_PROTOCOLS)
    table = table.assign(fair=fair).sort_values(["fair", "mean"], ascending=False).drop(columns="fair")
    return table.assign(mean=table["mean"].map(lambda mean: number(mean, 4)))


def names(table: pd.DataFrame) -> list[str]:
    """List the datasets of a table's rows."""
    return [str(dataset) for _, dataset in table.index]


def draw_critical_difference(rows: pd.DataFrame, path: Path) -> str:
    """Draw mean ranks, joined where tests see no difference; return what to say about the picture."""
    accuracy = over_seeds(rows, "accuracy").dropna()
    if accuracy.shape[0] < 2 or accuracy.shape[1] < 3:
        return "No critical-difference diagram: it takes three estimators and two datasets that all of them have."
    import matplotlib

    matplotlib.use("Agg")
    from aeon.visualisation import plot_critical_difference

    labels = list(map(str, accuracy.columns))
    ours = dict.fromkeys(rows.loc[rows["ours"], "estimator"], "tab:blue")
    space = 0.5 + 0.12 * max(map(len, labels))  # inches for the longest name in aeon's letters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # estimators that never differ
        figure, _ = plot_critical_difference(
            accuracy.to_numpy(), labels, highlight=ours, width=6 + 2 * space, textspace=space
        )
    figure.savefig(path, dpi=200, bbox_inches="tight")
    return (
        f"![Critical differences]({path.name})\n\nMean ranks over {len(accuracy)} datasets. A bar joins estimators "
        "between which one-sided Wilcoxon tests, with Holm's correction at 0.1, see no difference."
    )


if __name__ == "__main__":
    exit_with(main)
