"""Writes notebooks with what they print and draw, from the examples that have cells; in about two minutes on one core:

.venv/bin/python scripts/notebooks.py [NAME ...]
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ("sensors", "products", "anomalies", "few_labels")


def main(names: list[str]) -> None:
    """Run each example and write it as a notebook beside its source."""
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # no bars are drawn, so no widgets are needed
    for name in names:
        notebook = cells_of(EXAMPLES / f"{name}.py")
        NotebookClient(notebook, timeout=600, record_timing=False).execute()
        notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(notebook, EXAMPLES / f"{name}.ipynb")


def cells_of(path: Path) -> nbformat.NotebookNode:
    """Read an example as a notebook that has not run yet; its cells are numbered, so that it changes where they do."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell.id = str(number)
    return notebook


if __name__ == "__main__":
    main(sys.argv[1:] or list(NAMES))
