"""The documentation: its Python runs and prints what the pages show, and the site builds without a warning."""

import re
import subprocess
import sys

import pytest
from pages import PAGES, ROOT, run, words_and_numbers


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page__python_blocks_in_order__run_and_print_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for shown, printed in run(page):
        if shown is not None:
            words, numbers = words_and_numbers(printed)
            expected_words, expected_numbers = words_and_numbers(shown)
            assert words == expected_words, printed
            assert numbers == pytest.approx(expected_numbers, rel=0.02, abs=0.01), printed


def test_site__built_strictly__has_no_warning(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    ran = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for shown in ("Networks that are trained", "Width of a token"):  # own parameters and shared ones
        assert shown in (tmp_path / "reference/estimators/index.html").read_text()
        assert shown in (tmp_path / "reference/interop/index.html").read_text()


@pytest.mark.slow
def test_figures__of_the_paper__are_drawn_as_the_committed_ones(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.syspath_prepend(ROOT / "examples")
    import figures

    figures.draw_paper(tmp_path, n_steps=1)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in ROOT.glob("docs/images/paper_*")}


def test_images__committed__are_those_shown():
    text = "".join(page.read_text() for page in ROOT.glob("docs/*.md"))
    assert set(re.findall(r"\(images/(.*?)\)", text)) == {path.name for path in ROOT.glob("docs/images/*")}


def test_promises__on_their_page__name_tests_that_are_there():
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs/rely.md").read_text())
    assert len(named) > 20
    assert [each for each in named if f"def {each[1]}(" not in (ROOT / each[0]).read_text()] == []
