"""Benchmarks forecasters on a folder of datasets: one CSV row per (dataset, horizon, model, seed), then the tables.

    python benchmarks/forecasting.py --data data/forecast --seeds 0 1 2 --out r.csv
    python benchmarks/forecasting.py --data data/forecast --datasets ETTh1 m3-monthly \
        --models "TransformerForecaster(own_share=1.0)" --validation --stride 24 --out tuning.csv
    python benchmarks/forecasting.py --summary r.csv

With --validation the test parts stay closed, so that a default can be chosen. forecasting_measure.py says what is
forecast from what, and how it is scored; rows.py what happens to the file of rows; forecasting_summary.py how the
tables come.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from forecasting_measure import (
    DATASETS,
    MODELS,
    PER_HORIZON,
    ROWS,
    SEEDED,
    LongHorizon,
    bare,
    is_rival,
    model_version,
    run_fresh,
    suits,
)
from joblib import Parallel, delayed
from measure import canonical, code_hash
from rows import Row, commit, library, locked, state

PUBLISHED = Path(__file__).resolve().parent / "reference" / "forecast_published.csv"
DEFAULT_MODELS = [name for name in MODELS if name != "AutoTheta"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0 if options.summary else run(options)

    import forecasting_summary  # here, because a run needs no pandas until its end

    print(forecasting_summary.summarise(options.summary or options.out, options.reference))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", type=Path, help="folder that holds ETTh1.csv.gz, m3.csv.gz and so on")
    add("--datasets", nargs="+", choices=DATASETS, metavar="NAME", help=f"{', '.join(DATASETS)}; default: all there")
    add(
        "--models",
        nargs="+",
        type=partial(canonical, known=MODELS),
        default=DEFAULT_MODELS,
        metavar="NAME",
        help=f"{', '.join(MODELS)} (default: all but AutoTheta) or module:Class of an estimator with our methods; with "
        "parameters: 'NAME(key=value, ...)'",
    )
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED", help="a model without chance runs once")
    add("--validation", action="store_true", help="score on validation data; the test parts stay closed")
    add("--stride", type=int, default=1, help="time points between windows of a long horizon; needs --validation")
    add("--jobs", type=int, default=1, help="models measured at a time")
    add("--threads", type=int, default=1, help="threads of each; needs --jobs 1")
    add("--out", type=Path, metavar="CSV", help="the file of rows")
    add("--rerun", action="store_true", help="replace rows of other code or versions")
    add("--summary", type=Path, metavar="CSV", help="only summarise this file")
    add("--reference", type=Path, default=PUBLISHED, metavar="CSV", help="published numbers")
    options = parser.parse_args(arguments)
    if not options.summary and not (options.data and options.out):
        parser.error("give --data and --out, or --summary")
    if options.jobs > 1 and options.threads > 1:
        parser.error("--threads above 1 needs --jobs 1: the threads of several processes fight for the cores")
    if options.stride < 1 or (options.stride > 1 and not options.validation):
        parser.error("--stride must be at least 1, and 1 without --validation: test results are of all windows")
    return options


def run(options: argparse.Namespace) -> int:
    """Measure every row that the file does not have yet; return how many failed."""
    tasks = all_tasks(options)
    present = {library(task["version"]): state(task) for task in tasks}
    keys = {ROWS.key(row) for task in tasks for row in rows_of(task)}
    with locked(options.out):
        done = ROWS.prepare(options.out, keys, present, options.rerun)
        pending = [task for task in tasks if not {ROWS.key(row) for row in rows_of(task)} <= done]
        n_pending = len(keys - done)
        print(f"{len(keys) - n_pending} of {len(keys)} rows are there, {n_pending} to go.", flush=True)
        # As in uea.py, each task starts a process of its own.
        parallel = Parallel(n_jobs=options.jobs, prefer="threads", return_as="generator_unordered")
        measured = parallel(delayed(run_fresh)(task) for task in pending)
        return ROWS.append_measured(options.out, measured, done, present, outcome, n_pending)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each dataset, model and seed, and for each horizon where a model learns each by itself."""
    present = [name for name, dataset in DATASETS.items() if (options.data / dataset.file).exists()]
    names = options.datasets or present
    if not present or not set(names) <= set(present):
        sys.exit(f"{options.data} has no files for: {', '.join(set(names) - set(present)) or 'any dataset'}.")
    tasks = [
        task
        for name in dict.fromkeys(names)
        for model in dict.fromkeys(options.models)
        if suits(model, DATASETS[name])
        for task in tasks_of(name, model, options)
    ]
    return tasks or sys.exit(f"None of {', '.join(options.models)} runs on {', '.join(names)}.")


def tasks_of(name: str, model: str, options: argparse.Namespace) -> list[Row]:
    """One task for each seed, where there is chance, and for each horizon, where the model learns each by itself."""
    dataset = DATASETS[name]
    same: Row = {"dataset": name, "model": model, "version": model_version(model, dataset), "folder": str(options.data)}
    same |= {"split": "validation" if options.validation else "test", "threads": options.threads}
    same |= {"stride": options.stride if isinstance(dataset, LongHorizon) else 1}
    same |= {"code": code_hash(), "commit": commit()}
    seeds = [0] if is_rival(model, dataset) and bare(model) not in SEEDED else dict.fromkeys(options.seeds)
    each = [[horizon] for horizon in dataset.horizons]
    together = [list(dataset.horizons)]
    parts = each if bare(model) in PER_HORIZON else together
    return [same | {"seed": seed, "horizons": horizons} for horizons in parts for seed in seeds]


def rows_of(task: Row) -> list[Row]:
    """Name the rows of a task by the columns of their keys."""
    return [task | {"horizon": horizon} for horizon in task["horizons"]]


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    name = f"{row['dataset']}, {row['horizon']} steps of {row['split']}, {row['model']}, seed {row['seed']}"
    if row["error"]:
        return f"{name}: FAILED, {row['error']}"
    measure = "mse" if row["mase"] == "" else "mase"
    return f"{name}: {measure} {row[measure]:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from here.")
