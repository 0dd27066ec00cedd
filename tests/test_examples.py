"""The tutorials of examples/: as scripts they run and print what their notebooks show, and these are up to date."""

import contextlib
import io
import json
import runpy

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from pages import ROOT, words_and_numbers

NOTEBOOKS = sorted(ROOT.glob("examples/*.ipynb"))


def read(notebook) -> list[dict]:
    return json.loads(notebook.read_text())["cells"]


def text_of(cell: dict) -> str:
    return "".join(cell["source"])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__beside_its_script__has_its_cells_and_pictures(notebook):
    jupytext = pytest.importorskip("jupytext")
    cells, source = read(notebook), jupytext.read(notebook.with_suffix(".py"))
    assert [text_of(cell) for cell in cells] == [cell["source"] for cell in source.cells]
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 2
    assert not [output for output in shown if output.get("name") == "stderr" or output["output_type"] == "error"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_example__run_as_a_script__prints_what_its_notebook_shows(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), mpl.rc_context():
        runpy.run_path(str(notebook.with_suffix(".py")))
    plt.close("all")
    outputs = [output for cell in read(notebook) for output in cell.get("outputs", [])]
    shown = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    (words, numbers), (expected_words, expected_numbers) = map(words_and_numbers, (printed.getvalue(), shown))
    assert words == expected_words
    assert numbers == pytest.approx(expected_numbers, rel=0.03, abs=0.031)


def test_examples__with_cells__are_the_notebooks():
    with_cells = {path.stem for path in ROOT.glob("examples/*.py") if "# %%" in path.read_text()}
    assert with_cells == {path.stem for path in NOTEBOOKS} == {"sensors", "products", "anomalies", "few_labels"}
