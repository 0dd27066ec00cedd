"""Writes tables of rows in markdown, for people."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from machine import Row


def write_summary(results: Path, parts: Iterable[str]) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    text = "\n\n".join([f"# {results.stem}", *parts])
    results.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    return text


def provenance_section(rows: pd.DataFrame) -> str:
    """Say what the rows stand on, and warn where they should not stand together."""
    lines = [f"{len(rows)} rows, {rows['error'].notna().sum()} of them failures."]
    for column in ("version", "versions", "device", "threads"):
        lines.append(f"- {column}: {'; '.join(map(str, rows[column].dropna().unique()))}")
    ours = rows[rows["ours"]]
    for code, part in ours.groupby("code"):
        lines.append(f"- code of tsformer: {code}, commit {', '.join(part['commit'].dropna().unique())}")
    if ours["code"].nunique() > 1:
        lines.append("\n**The rows of tsformer come from different code: they are not comparable.**")
    return "\n".join(lines)


def markdown(table: pd.DataFrame) -> str:
    """Write a table, its index first, that reads well as text too."""
    table = table.reset_index()
    lines = [list(map(str, table.columns)), *(list(map(str, row)) for row in table.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def number(value: float, digits: int, before: str = "") -> str:
    """Write a number, or nothing where there is none."""
    return "" if np.isnan(value) else f"{before}{value:.{digits}f}"


def aggregated(table: pd.DataFrame, by: pd.Series | str, columns: list[str], how: list[str]) -> str:
    """Write what groups of rows, in their order, have of some columns: their mean, their median and so on."""
    groups = table.groupby(by, sort=False)[columns].agg(how)
    groups.columns = groups.columns.map(" ".join)
    return markdown(groups.map("{:.3f}".format))


def contest_table(rows: pd.DataFrame) -> str:
    """Write the rows of contests for people."""
    cells = [readable({str(name): cell for name, cell in row.items()}) for row in rows.to_dict("records")]
    return markdown(pd.DataFrame(cells).set_index("question"))


def readable(row: Row) -> Row:
    """Write a row of a contest for people."""
    cells = {
        "question": row["question"],
        "setting": row["setting"],
        "ours": row["ours"],
        "rival": row["rival"],
        "ms": f"{1000 * row['seconds']:.4g}",
        "rival ms": f"{1000 * row['rival_seconds']:.4g}",
        "ratio": f"{row['ratio']:.3f}",
        "quartiles": f"{row['ratio_low']:.3f} to {row['ratio_high']:.3f}",
        "target": "",
    }
    if not np.isnan(row["target"]):
        cells["target"] = f"{row['target']} {'met' if row['ratio'] <= row['target'] else 'missed'}"
    if "memory_mb" in row:
        cells |= {"MB": f"{row['memory_mb']:.0f}", "rival MB": f"{row['rival_memory_mb']:.0f}"}
    return cells
