"""Writes the tables of README.md and of docs/, and sentences with figures, from the rows in results/.

    python benchmarks/report.py

A page holds `<!-- results: NAME, NAME -->` and `<!-- end -->`; what is between them is written anew.
results/newest.toml names the files. Tables are narrow, for phones: ours comes first, the best is bold.
"""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from reports import anomalies, classification, forecasting, overview, speed, unlabelled
from tables import markdown

ROOT = Path(__file__).parents[1]
PARTS = (overview, classification, forecasting, anomalies, speed, unlabelled)
MADE: dict[str, Callable[[], pd.DataFrame | str]] = {name: make for part in PARTS for name, make in part.MADE.items()}
PLACE = re.compile(r"(<!-- results: (\w+(?:, \w+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
WIDTH = 120


def main() -> None:
    """Write tables and sentences of all pages anew, and draw the picture that goes with them."""
    for page in pages():
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    classification.draw()


def pages() -> list[Path]:
    """List the pages that hold a place for a table or a text."""
    candidates = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [page for page in candidates if PLACE.search(page.read_text(encoding="utf-8"))]


def renewed(page: str) -> str:
    """Put every table and text of a page into its place."""

    def filled(place: re.Match[str]) -> str:
        parts = [written(MADE[name]()) for name in place[2].split(", ")]
        return "\n\n".join([place[1].rstrip(), *parts, place[3]])

    return PLACE.sub(filled, page)


def written(made: pd.DataFrame | str) -> str:
    """Write a table or a text."""
    if isinstance(made, pd.DataFrame):
        return markdown(made)
    return textwrap.fill(made, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    main()
