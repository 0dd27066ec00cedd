"""Times several ways of doing a thing side by side, and writes rows of results that say where they come from.

The ways take turns, so that whatever else a machine does disturbs all of them alike. Quote the ratios: they carry over
to other machines better than seconds do.
"""

import datetime
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from measure import code_hash, versions
from rows import commit

Row = dict[str, Any]
Run = Callable[[], object]

RESULTS = Path(__file__).resolve().parent / "results"


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
