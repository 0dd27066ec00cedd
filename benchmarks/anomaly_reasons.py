"""Benchmarks what TransformerDetector says of anomalies: a row per (series, seed, made anomaly).

    python benchmarks/anomaly_reasons.py --data DATA --seeds 2 3 --out benchmarks/results/DATE-anomaly-reasons.csv
    python benchmarks/anomaly_reasons.py --summary benchmarks/results/DATE-anomaly-reasons.csv

- DATA and the groups are those of anomaly.py. Rules were chosen on seeds 0 and 1; 2 and on are to report.
- The detector learns from the training part and explains what comes after it. An anomaly is found if an explanation
  lies within half a cycle of it; of several the one counts that overlaps it most. `iou` is the part that both have, of
  what either has.
- Cases of another class and reversed ones should be called a changed shape; missing and doubled halves of a cycle,
  which a period does not tell apart, have one name.
- `false_alarms`, in the first row of a series: explanations that lie near no anomaly.
"""

import argparse
import time
from collections.abc import Sequence

import anomaly
import anomaly_sets as sets
import numpy as np
import pandas as pd
from anomaly_sets import Anomaly
from commands import exit_with, parse_long, parser
from machine import OURS, Row, code_hash, commit, cpu, version
from rows import RowFile
from tables import markdown, number, provenance_section, write_summary

from tsformer import TransformerDetector
from tsformer.data import anomalies as kinds

NAMES = {
    sets.ANOTHER_CLASS: kinds.SHAPE,
    "reversed": kinds.SHAPE,
    "amplitude": kinds.AMPLITUDE,
    "missing": kinds.PHASE,
    "doubled": kinds.PHASE,
    "spike": kinds.SPIKE,
    "level shift": kinds.LEVEL,
    "flat": kinds.FLAT,
    "noise": kinds.NOISE,
}
GROUPS = ("aperiodic", "cycles", "channels")
OVERLAP = 0.3
COLUMNS = (
    *("group", "series", "seed", "place", "made", "found", "named", "right", "iou", "right_channel"),
    *("false_alarms", "seconds", "cycle", "period"),
    *("version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(
    COLUMNS,
    ("group", "series", "seed", "place"),
    lambda task: [task | {"place": place} for place in range(sets.N_ANOMALIES)],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the file does not have yet, then print the tables; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0
    if not options.summary:
        anomaly.use_threads(options.threads)
        n_failed = ROWS.fill(options.out, all_tasks(options), measure, outcome, rerun=options.rerun)
    print(summarise(options.summary or options.out))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    command = parser(__doc__)
    command.add_argument("--data", type=anomaly.Path, help="the folder of the folders ucr, uea and forecast")
    command.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS, help="default: all")
    return parse_long(command, arguments)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each series and seed."""
    same = {"threads": options.threads, "device": cpu(), "code": code_hash(), "commit": commit()}
    same |= {"folder": options.data, "version": version(f"{OURS}:", {})}
    return [
        same | {"group": group, "series": name, "seed": seed}
        for group in options.groups
        for seed in options.seeds
        for name in anomaly.names_of(group, options.data)
    ]


def measure(task: Row) -> list[Row]:
    """Measure a task in this process."""
    return ROWS.attempt(task, explain)


def explain(task: Row) -> list[Row]:
    """Fit on the training part, explain what comes after, and compare with what was made."""
    series = anomaly.series_of(task["group"], task["series"], task["folder"], task["seed"])
    began = time.process_time()
    detector = TransformerDetector(random_state=0).fit(series.values[..., : series.train_end])
    table = detector.explain(series.values)
    seconds = time.process_time() - began
    table = table[table["end"] >= series.train_end]
    rows = [compared(made, table, series.cycle // 2) for made in series.anomalies]
    near = np.any([is_near(made, table, series.cycle // 2) for made in series.anomalies], axis=0)
    rows[0] |= {"false_alarms": int((~near).sum()), "seconds": round(seconds, 3)}
    return [row | {"cycle": series.cycle, "period": detector.normal_.period} for row in rows]


def is_near(made: Anomaly, table: pd.DataFrame, tolerance: int) -> pd.Series:
    """Tell which explanations lie near an anomaly."""
    return (table["start"] < made.end + tolerance) & (table["end"] >= made.start - tolerance)


def compared(made: Anomaly, table: pd.DataFrame, tolerance: int) -> Row:
    """Compare an anomaly with the explanation that overlaps it most."""
    near = table[is_near(made, table, tolerance)]
    row: Row = {"made": made.kind, "found": int(len(near) > 0), "named": "", "right": "", "iou": 0.0}
    if not len(near):
        return row
    common = np.minimum(near["end"] + 1, made.end) - np.maximum(near["start"], made.start)
    either = np.maximum(near["end"] + 1, made.end) - np.minimum(near["start"], made.start)
    iou = np.maximum(common, 0) / either
    best = near.loc[pd.DataFrame({"iou": iou, "score": near["score"]}).sort_values(["iou", "score"]).index[-1]]
    return row | {
        "named": best["kind"],
        "right": int(best["kind"] == NAMES[made.kind]),
        "iou": round(float(iou.max()), 3),
        "right_channel": int(best["channel"] in made.channels),
    }


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    return f"{row['made']} is called {row['named'] or 'nothing'}, overlap {row['iou']:.2f}"


# Tables


def summarise(path: anomaly.Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    rows = pd.read_csv(path, dtype={"error": str, "commit": str, "code": str, "named": str})
    rows["ours"] = True
    n_series = rows.groupby(["group", "series", "seed"]).ngroups
    alarms = rows["false_alarms"].dropna()
    parts = [
        provenance_section(rows),
        f"{n_series} series; {alarms.mean():.2f} false alarms a series, median {alarms.median():.0f}.",
        f"## What was made\n\nNamed rightly, by the right channel, and overlapped (IoU >= {OVERLAP}), of those found.",
        markdown(table_by(rows, "made")),
        "## Groups",
        markdown(table_by(rows, "group")),
        "## What it is called",
        markdown(pd.crosstab(rows["made"], rows["named"].fillna("(not found)"))),
    ]
    return write_summary(path, parts)


def table_by(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row a group, and one for all."""
    groups = {**{str(name): part for name, part in rows.groupby(column)}, "all": rows}
    return pd.DataFrame({name: fractions(part) for name, part in groups.items()}).T.rename_axis(column)


def fractions(rows: pd.DataFrame) -> Row:
    """Measure a group of rows."""
    found = rows[rows["found"] == 1]
    overlaps = rows["iou"] >= OVERLAP
    values = {
        "found": rows["found"].mean(),
        "right": found["right"].mean(),
        "channel": found["right_channel"].mean(),
        "overlapped": overlaps[found.index].mean(),
        "overlapped, of all": overlaps.mean(),
        "mean IoU": found["iou"].mean(),
    }
    return {"anomalies": str(len(rows))} | {name: number(value, 2) for name, value in values.items()}


if __name__ == "__main__":
    exit_with(main)
