"""Times several ways of doing a thing side by side, and writes rows of results that say where they come from.

A `Contest` is a question with its ways; `report` writes the rows of all contests to a CSV and returns a table.

The ways take turns, so that whatever else a machine does disturbs all of them alike. Quote the ratios: they carry over
to other machines better than seconds do.
"""

import datetime
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measure import code_hash, versions
from rows import commit
from summary import markdown

Row = dict[str, Any]
Run = Callable[[], object]

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass
class Contest:
    """Ways to do the same thing: each of ours is compared with each rival; `target` is the ratio we promise."""

    question: str
    setting: str
    ours: dict[str, Run]
    rivals: dict[str, Run]
    targets: dict[str, float] = field(default_factory=dict)
    rounds: int = 5  # at least

    def rows(self, seconds: float) -> Iterator[Row]:
        """Time all and compare."""
        times = interleaved(self.ours | self.rivals, seconds, self.rounds)
        for ours in self.ours:
            for rival in self.rivals:
                names = {"question": self.question, "setting": self.setting, "ours": ours, "rival": rival}
                yield names | ratio(times, ours, rival) | {"target": self.targets.get(rival, np.nan)}


def report(rows: Iterable[Row], origin: Row, out: Path) -> str:
    """Write all there is to know to `out` as it comes, and return a table for people."""
    table = pd.DataFrame([readable(row) for row in collect(rows, origin, out)])
    return markdown(table.set_index("question"))


def readable(row: Row) -> Row:
    """Write a row for people."""
    cells = {
        "question": row["question"],
        "setting": row["setting"],
        "ours": row["ours"],
        "rival": row["rival"],
        "ms": f"{1000 * row['seconds']:.4g}",
        "rival ms": f"{1000 * row['rival_seconds']:.4g}",
        "ratio": f"{row['ratio']:.3f}",
        "quartiles": f"{row['ratio_low']:.3f} to {row['ratio_high']:.3f}",
        "target": "" if np.isnan(row["target"]) else f"{row['target']} {verdict(row)}",
    }
    if "memory_mb" in row:
        cells |= {"MB": f"{row['memory_mb']:.0f}", "rival MB": f"{row['rival_memory_mb']:.0f}"}
    return cells


def verdict(row: Row) -> str:
    """Say whether a target was reached."""
    return "met" if row["ratio"] <= row["target"] else "missed"


def interleaved(runs: Mapping[str, Run], seconds: float, at_least: int = 5) -> pd.DataFrame:
    """Time all runs in turn, round after round.

    Parameters
    ----------
    runs : mapping of names to functions
    seconds : float
        No new round begins after this time, unless there are fewer than `at_least`.
    at_least : int, default=5
        Rounds that count. One round before them warms up.

    Returns
    -------
    DataFrame
        Seconds: one column a run, one row a round.
    """
    end = time.perf_counter() + seconds
    rounds: list[dict[str, float]] = []
    order = list(runs)
    while len(rounds) <= at_least or time.perf_counter() < end:
        rounds.append({name: timed(runs[name]) for name in order})
        order.reverse()  # so that nobody always runs in the wake of the same other
    return pd.DataFrame(rounds[1:])


def timed(run: Run) -> float:
    """Return the seconds of one run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ratio(seconds: pd.DataFrame, name: str, rival: str) -> Row:
    """Compare two columns of `interleaved`: medians over the rounds, and the quartiles of the ratio."""
    ratios = seconds[name] / seconds[rival]
    return {
        "seconds": seconds[name].median(),
        "rival_seconds": seconds[rival].median(),
        "ratio": ratios.median(),
        "ratio_low": ratios.quantile(0.25),
        "ratio_high": ratios.quantile(0.75),
        "rounds": len(ratios),
    }


def provenance(device: str) -> Row:
    """Return the columns that say what a result was measured with."""
    return {
        "code": code_hash(),
        "commit": commit() if shutil.which("git") else "none",
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def cpu() -> str:
    """Name the device that provenance calls a CPU, with its vector instructions."""
    return f"cpu ({torch.backends.cpu.get_cpu_capability()})"


def collect(rows: Iterable[Row], origin: Row, out: Path) -> Iterator[Row]:
    """Pass rows on as they come, each with its origin, and keep the file up to date: a killed run leaves the rest."""
    out.parent.mkdir(parents=True, exist_ok=True)
    done = []
    for row in rows:
        done.append(row | origin)
        pd.DataFrame(done).to_csv(out, index=False, float_format="%.6g", lineterminator="\n")
        yield done[-1]


def default_out(name: str) -> Path:
    """Return the path that results of today have: results/<date>-<name>.csv."""
    return RESULTS / f"{datetime.date.today()}-{name}.csv"
