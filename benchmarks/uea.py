"""Benchmarks classifiers on folders of .ts datasets: one CSV row per (dataset, estimator, seed), then the tables.

    python benchmarks/uea.py --data data/uea data/ucr --estimators TransformerClassifier MiniRocket --out r.csv
    python benchmarks/uea.py --summary r.csv

measure.py says how a row comes about, rows.py what happens to the file of rows, and summary.py how the tables come.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed
from measure import ESTIMATORS, ROWS, canonical, code_hash, run_fresh, version
from rows import Row, commit, library, locked, state

HERE = Path(__file__).resolve().parent
PUBLISHED = [HERE / "reference" / "uea_published.csv", HERE / "reference" / "ucr_published.csv"]
key = ROWS.key


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0 if options.summary else run(options)

    import summary  # here, because a run needs neither pandas nor matplotlib until its end

    print(summary.summarise(options.summary or options.out, options.reference))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", nargs="+", type=Path, help="folders that hold NAME/NAME_TRAIN.ts")
    add("--datasets", nargs="+", metavar="NAME", help="default: all in the folders")
    add(
        "--estimators",
        nargs="+",
        type=canonical,
        default=list(ESTIMATORS),
        metavar="NAME",
        help=f"{', '.join(ESTIMATORS)} (default: all) or module:Class; with parameters: 'NAME(key=value, ...)'",
    )
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    add("--labels", nargs="+", type=int, metavar="N", help="train on so many cases of each class; default: on all")
    add("--jobs", type=int, default=1, help="rows measured at a time")
    add("--threads", type=int, default=1, help="threads of each; needs --jobs 1")
    add("--out", type=Path, metavar="CSV", help="the file of rows")
    add("--rerun", action="store_true", help="replace rows of other code or versions")
    add("--summary", type=Path, metavar="CSV", help="only summarise this file")
    add("--reference", nargs="+", type=Path, default=PUBLISHED, metavar="CSV", help="published numbers")
    options = parser.parse_args(arguments)
    if not options.summary and not (options.data and options.out):
        parser.error("give --data and --out, or --summary")
    if options.jobs > 1 and options.threads > 1:
        parser.error("--threads above 1 needs --jobs 1: the threads of several processes fight for the cores")
    return options


def run(options: argparse.Namespace) -> int:
    """Measure every row that the file does not have yet; return how many failed."""
    tasks = all_tasks(options)
    present = {library(task["version"]): state(task) for task in tasks}
    with locked(options.out):
        done = ROWS.prepare(options.out, {key(task) for task in tasks}, present, options.rerun)
        pending = [task for task in tasks if key(task) not in done]
        print(f"{len(tasks) - len(pending)} of {len(tasks)} rows are there, {len(pending)} to go.", flush=True)
        # Each task starts a process of its own, so threads are enough here. joblib.parallel_config(backend=...)
        # around main() sends the tasks to Dask or Ray instead.
        parallel = Parallel(n_jobs=options.jobs, prefer="threads", return_as="generator_unordered")
        measured = ([row] for row in parallel(delayed(run_fresh)(task) for task in pending))
        return ROWS.append_measured(options.out, measured, done, present, outcome, len(pending))


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
        | {"estimator": estimator, "version": version(estimator), "seed": seed, "labels": labels}
        for folder, name in folders
        if name in names
        for estimator in dict.fromkeys(options.estimators)
        for seed in dict.fromkeys(options.seeds)
        for labels in dict.fromkeys(options.labels or [""])
    ]
    if len({key(task) for task in tasks}) < len(tasks):
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
    name = f"{row['dataset']}, {row['estimator']}, seed {row['seed']}"
    name += f", {row['labels']} cases a class" if row["labels"] else ""
    if row["error"]:
        return f"{name}: FAILED, {row['error']}"
    return f"{name}: accuracy {row['accuracy']:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from here.")
