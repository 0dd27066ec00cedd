"""Benchmarks anomaly detectors on the UCR anomaly archive and on made series: a row per (series, method, seed).

    python benchmarks/anomaly.py --data DATA --out benchmarks/results/DATE-anomaly.csv
    python benchmarks/anomaly.py --summary benchmarks/results/DATE-anomaly.csv

- DATA holds the folders anomaly, ucr, uea and forecast. `--groups` chooses between what comes of them: archive, and,
  made as anomaly_sets.py says, cycles, channels and aperiodic. The seed decides the made series and what methods draw.
- A method learns from the training part, which has no anomaly, and scores the whole series; what counts is the part
  after it. A point without a score counts as the least anomalous.
- `vus_pr` is the volume under the surface of precision and recall (Paparrizos et al. 2022), the buffer up to a cycle
  and at most 100 points; `auc_pr` is the area for single points. Both are aeon's. Point-adjusted F1 is not computed: it
  praises random scores. `right`, in the archive: the highest score lies within 100 points of the anomaly.
- Rivals look at windows of a period, which the autocorrelation of the training part shows, as in TSB-AD. Ours looks at
  half a period: the rivals that gain by that, or might, have a row with half a period as well.
- `seconds` are those of the processor, for fit and score together; the first row of a run also pays for compiling.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import anomaly_rivals as rivals
import anomaly_sets as sets
import numpy as np
import pandas as pd
import torch
from anomaly_sets import Floats, MadeSeries
from commands import exit_with, parser
from machine import OURS, Row, code_hash, commit, cpu, version
from rows import RowFile, library
from tables import markdown, number, provenance_section, write_summary
from threadpoolctl import threadpool_limits
from uea import datasets_in

Scores = Callable[[Floats, Floats, int], Floats]  # training part, series, seed: (time,), higher is more anomalous


class Method(NamedTuple):
    """A way to score, and the library that its result depends on."""

    scores: Scores
    library: str


def ours(**parameters: Any) -> Method:
    """Make a method of our detector, whose scores are higher where it is more normal."""

    def scores(train: Floats, x: Floats, seed: int) -> Floats:
        from tsformer import TransformerDetector

        return -TransformerDetector(random_state=seed, **parameters).fit(train).score_samples(x)

    return Method(scores, OURS)


METHODS = {
    "TransformerDetector": ours(),
    "its neighbours alone": ours(witnesses="neighbours"),
    "its forecasts alone": ours(witnesses="forecast"),
    "its neighbours, random weights": ours(witnesses="neighbours", pretrained=None, max_steps=0),
    "Sub-PCA": Method(rivals.sub_pca, "sklearn"),
    "Sub-PCA, half a period": Method(partial(rivals.sub_pca, periods=0.5), "sklearn"),
    "Sub-KNN": Method(rivals.neighbours, "sklearn"),
    "Sub-KNN, half a period": Method(partial(rivals.neighbours, periods=0.5), "sklearn"),
    "Sub-KNN, z-normalised": Method(rivals.normalised_neighbours, "sklearn"),
    "matrix profile": Method(rivals.matrix_profile, "stumpy"),
    "matrix profile, half a period": Method(partial(rivals.matrix_profile, periods=0.5), "stumpy"),
    "Isolation Forest": Method(rivals.isolation_forest, "sklearn"),
    "KMeansAD": Method(rivals.kmeans, "aeon"),
    "ROCKAD": Method(rivals.rockad, "aeon"),
}
GROUPS = ("archive", "cycles", "channels", "aperiodic")
COLUMNS = (
    *("group", "series", "method", "seed", "vus_pr", "auc_pr", "right", "seconds"),
    *("n_channels", "n_timepoints", "train_end", "kinds"),
    *("version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(COLUMNS, ("group", "series", "method", "seed"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the file does not have yet, then print the tables; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0
    if not options.summary:
        use_threads(options.threads)
        n_failed = ROWS.fill(options.out, all_tasks(options), measure, outcome, rerun=options.rerun)
    print(summarise(options.summary or options.out))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    command = parser(__doc__)
    add = command.add_argument
    add("--data", type=Path, help="the folder of the folders anomaly, ucr, uea and forecast")
    add("--groups", nargs="+", choices=GROUPS, default=GROUPS, help="default: all")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    add("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    add("--threads", type=int, default=1)
    add("--out", type=Path, metavar="CSV", help="the file of rows")
    add("--rerun", action="store_true", help="replace rows of other code or versions")
    add("--summary", type=Path, metavar="CSV", help="only summarise this file")
    options = command.parse_args(arguments)
    if not options.summary and not (options.data and options.out):
        command.error("give --data and --out, or --summary")
    return options


def use_threads(threads: int) -> None:
    """Hold all libraries to so many threads."""
    import numba

    torch.set_num_threads(threads)
    threadpool_limits(threads)
    numba.set_num_threads(threads)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each series, method and seed, those of a series together."""
    same = {"threads": options.threads, "device": cpu(), "code": code_hash(), "commit": commit()}
    versions = {name: version(f"{METHODS[name].library}:", {}) for name in options.methods}
    return [
        same | {"folder": options.data, "group": group, "series": name, "method": method, "seed": seed} | {"version": v}
        for group in options.groups
        for name in names_of(group, options.data)
        for seed in options.seeds
        for method, v in versions.items()
    ]


def names_of(group: str, data: Path) -> list[str]:
    """Name the series of a group."""
    folder = data / {"archive": "anomaly", "cycles": "ucr", "channels": "uea", "aperiodic": "forecast"}[group]
    if not folder.is_dir():
        sys.exit(f"There is no folder {folder}, which the group {group!r} comes from. Choose others by --groups.")
    if group == "archive":
        return sorted(file.name.removesuffix(".csv.gz") for file in folder.glob("*.csv.gz"))
    if group == "aperiodic":
        return [*sets.PROCESSES, *sets.EXCHANGE_RATES]
    return [name for name in datasets_in(folder) if sets.is_usable(name, folder)]


@lru_cache(maxsize=1)
def series_of(group: str, name: str, data: Path, seed: int) -> MadeSeries:
    """Make or read a series."""
    if group == "archive":
        return sets.from_archive(name, data / "anomaly")
    if group == "aperiodic":
        is_made = name in sets.PROCESSES
        return sets.from_process(name, seed) if is_made else sets.from_exchange_rates(name, data / "forecast", seed)
    return sets.from_cases(name, data / {"cycles": "ucr", "channels": "uea"}[group], seed)


# Measuring


def measure(task: Row) -> list[Row]:
    """Measure a task in this process."""
    return ROWS.attempt(task, fit_and_score)


def fit_and_score(task: Row) -> list[Row]:
    """Fit on the training part, score all, and compare what comes after with the labels."""
    series = series_of(task["group"], task["series"], task["folder"], task["seed"])
    began = time.process_time()
    scores = METHODS[task["method"]].scores(series.values[..., : series.train_end], series.values, task["seed"])
    seconds = time.process_time() - began
    row = {
        "seconds": round(seconds, 3),
        "n_channels": 1 if series.values.ndim == 1 else len(series.values),
        "n_timepoints": len(series.labels),
        "train_end": series.train_end,
        "kinds": "+".join(anomaly.kind for anomaly in series.anomalies),
    }
    row |= {"right": int(is_right(scores, series))} if task["group"] == "archive" else {}
    return [row | metrics(scores, series)]


def metrics(scores: Floats, series: MadeSeries) -> Row:
    """Score the part after training."""
    from aeon.benchmarking.metrics.anomaly_detection import pr_auc_score, range_pr_vus_score

    y, y_score = series.labels[series.train_end :].astype(int), complete(scores)[series.train_end :]
    buffer = min(sets.TOLERANCE, series.cycle)
    return {"vus_pr": range_pr_vus_score(y, y_score, max_buffer_size=buffer), "auc_pr": pr_auc_score(y, y_score)}


def is_right(scores: Floats, series: MadeSeries) -> bool:
    """Tell whether the highest score after training lies at the one anomaly, or near it."""
    (anomaly,) = series.anomalies
    top = series.train_end + int(complete(scores)[series.train_end :].argmax())
    return anomaly.start - sets.TOLERANCE <= top < anomaly.end + sets.TOLERANCE


def complete(scores: Floats) -> Floats:
    """Let points without a score be the least anomalous."""
    known = ~np.isnan(scores)
    return np.where(known, scores, scores[known].min() if known.any() else 0.0)


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    right = {1: ", right", 0: ", wrong"}.get(row["right"], "")
    return f"VUS-PR {row['vus_pr']:.3f}{right} in {row['seconds']:.1f} s"


# Tables


def summarise(path: Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    as_text = dict.fromkeys(["group", "series", "method", "version", "code", "commit", "kinds", "error"], str)
    rows = pd.read_csv(path, dtype=as_text, keep_default_na=False, na_values=[""])
    rows["ours"] = rows["version"].map(library) == OURS
    made = rows["group"] != "archive"
    parts = [
        provenance_section(rows),
        "Means over the series that all methods have, after means over seeds; their numbers come first.",
        "## Made series\n\nMean VUS-PR of each group, mean VUS-PR and AUC-PR of all, median seconds.",
        markdown(made_table(rows[made])),
        "## UCR anomaly archive\n\nSeries that are right, mean VUS-PR, median seconds.",
        markdown(archive_table(rows[~made])),
    ]
    return write_summary(path, parts)


def by_series(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Average over seeds: one row a series that all methods have, one column a method."""
    table = rows.groupby(["group", "series", "method"])[column].mean().unstack("method")
    return table[[name for name in METHODS if name in table]].dropna()


def made_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a method, beside it what each group and all groups give."""
    vus = by_series(rows, "vus_pr")
    groups = {str(group): part.mean() for group, part in vus.groupby("group", sort=False)}
    counts = vus.groupby("group").size()
    columns = {f"{group} ({counts[group]})": written(groups[group], 3) for group in GROUPS if group in groups}
    columns[f"VUS-PR ({len(vus)})"] = written(vus.mean(), 3)
    columns["AUC-PR"] = written(by_series(rows, "auc_pr").mean(), 3)
    return pd.DataFrame(columns | {"seconds": written(by_series(rows, "seconds").median(), 1)})


def archive_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a method: how many series are right, of how many."""
    right = by_series(rows, "right")
    columns = {f"right of {len(right)}": written(right.sum(), 0 if rows["seed"].nunique() == 1 else 1)}
    columns["VUS-PR"] = written(by_series(rows, "vus_pr").mean(), 3)
    return pd.DataFrame(columns | {"seconds": written(by_series(rows, "seconds").median(), 1)})


def written(column: pd.Series, digits: int) -> pd.Series:
    """Write the numbers of a column."""
    return column.map(partial(number, digits=digits))


if __name__ == "__main__":
    exit_with(main)
