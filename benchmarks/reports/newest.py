"""Reads the newest rows of a question from the files that results/newest.toml names, and says what they are of."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).parents[1] / "results"
REFERENCE = Path(__file__).parents[1] / "reference"
NEWEST: dict[str, Any] = tomllib.loads((RESULTS / "newest.toml").read_text(encoding="utf-8"))
QUESTIONS: dict[str, dict[str, Any]] = NEWEST["questions"]
CHANGES: list[dict[str, Any]] = NEWEST["changes"]


def files(question: str) -> list[Path]:
    """List the files of a question that are there, the newest first."""
    return [path for path in (RESULTS / name for name in QUESTIONS[question]["files"]) if path.exists()]


def read_plain(path: Path) -> pd.DataFrame:
    """Read rows as they are."""
    return pd.read_csv(path, dtype={"commit": str}, low_memory=False)


def newest(question: str, read: Callable[[Path], pd.DataFrame] = read_plain, key: Sequence[str] = ()) -> pd.DataFrame:
    """Read the rows of a question.

    Ours come from the first file that has any; a rival's, for each value of the `key`, from the first that has it, and
    without a key all from the first.
    """
    rows, *older = [read(path) for path in files(question)]
    for table in older if key else ():
        if is_ours(rows).any():
            table = table[~is_ours(table)]
        known = pd.MultiIndex.from_frame(rows[list(key)])
        rows = pd.concat([rows, table[~pd.MultiIndex.from_frame(table[list(key)]).isin(known)]])
    return rows


def is_ours(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows are of tsformer."""
    return rows["version"].str.startswith("tsformer ")


def when_measured(rows: pd.DataFrame) -> str:
    """Say when rows were measured, and at which commits."""
    days = sorted({str(started)[:10] for started in rows.get("started", pd.Series()).dropna()})
    commits = list(dict.fromkeys(rows["commit"].dropna()))
    between = " to ".join(dict.fromkeys([days[0], days[-1]])) + ", " if days else ""
    return f"{between}commit{'s' * (len(commits) > 1)} {', '.join(commits)}"


def changed_since(question: str, ours: pd.DataFrame) -> list[str]:
    """List what has changed since the first of our rows."""
    first = ours["started"].dropna().min()
    return [change["told"] for change in CHANGES if question in change["questions"] and first < change["since"]]


def age_note(question: str, ours: pd.DataFrame) -> str:
    """Say so where something has changed since our rows."""
    changed = changed_since(question, ours)
    return f" Ours were measured before {', and before '.join(changed)}." if changed else ""


def index() -> pd.DataFrame:
    """List the files of each question, and when ours was measured at which commit."""
    lines = {}
    for question, entry in QUESTIONS.items():
        paths = files(question)
        rows = read_plain(paths[0])
        ours = rows[is_ours(rows)] if "version" in rows else rows
        lines[entry["about"]] = {"files": ", ".join(map(linked, paths)), "ours measured": when_measured(ours)}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("question")


def linked(path: Path) -> str:
    """Link to a file of rows and to its tables, as a page in docs/ does."""
    links = [f"[rows of {path.name[:10]}](benchmarks/results/{path.name})"]
    if path.with_suffix(".md").exists():
        links.append(f"[tables](benchmarks/results/{path.stem}.md)")
    return ", ".join(links)
