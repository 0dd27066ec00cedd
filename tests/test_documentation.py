"""The documentation: its Python runs and prints what the pages show, its tables are those of the results, its links
lead to what is there, and the site builds without a warning.
"""

import hashlib
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
from pages import FORMAT, PAGES, ROOT, WIDTH, run, words_and_numbers

WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


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


@pytest.mark.slow
def test_site__built_strictly__has_no_warning(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    ran = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for page in ("classifier", "interop"):
        text = (tmp_path / "reference" / page / "index.html").read_text()
        assert "Networks that are trained" in text  # own parameters
        assert "Width of a token" in text  # shared ones
        assert "Mixin" not in text
    searched = json.loads((tmp_path / "search/search_index.json").read_text())["docs"]
    assert not [entry["location"] for entry in searched if entry["location"].startswith("benchmarks/")]


def test_links__of_files_on_github__lead_to_files_and_headings():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"(?:\]\(|src=\"|srcset=\")(?!https?:)([^)\"]+)", page.read_text()):
            path, _, heading = target.partition("#")
            assert (ROOT / path).exists(), target
            if heading:
                assert heading in headings(ROOT / path), target


def headings(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_figures__of_readme_and_pages__are_what_the_results_say(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import report

    assert len(report.pages()) > 5
    stale = [page.name for page in report.pages() if report.renewed(page.read_text()) != page.read_text()]
    assert stale == [], "run python benchmarks/report.py"


def test_files_of_rows__on_pages__are_named_by_the_list_alone():
    naming = [page.name for page in WRITTEN if re.search(r"results/\d{4}-", page.read_text())]
    assert naming == ["evidence.md"], "benchmarks/results/newest.toml is their home"


def test_encoder_in_the_package__is_the_one_that_pages_compare_their_rows_with(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from reports import newest

    found = hashlib.sha256((ROOT / "tsformer/weights/encoder.safetensors").read_bytes()).hexdigest()
    known = [change["encoder_sha256"] for change in newest.CHANGES if "encoder_sha256" in change]
    assert found == known[-1], "say in benchmarks/results/newest.toml since when it is there"


def test_newest_rows__of_two_files__are_ours_of_the_first_and_rivals_where_they_are_missing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from reports import newest

    columns = "version,method,dataset,score\n"
    (tmp_path / "new.csv").write_text(f"{columns}tsformer 1,ours,A,4\naeon 1,rival,A,3\n")
    (tmp_path / "old.csv").write_text(
        f"{columns}tsformer 0,ours,A,1\ntsformer 0,ours,B,1\naeon 1,rival,A,2\naeon 1,rival,B,2\n"
    )
    monkeypatch.setattr(newest, "RESULTS", tmp_path)
    monkeypatch.setattr(newest, "QUESTIONS", {"which": {"files": ["not_there_yet.csv", "new.csv", "old.csv"]}})
    rows = newest.newest("which", pd.read_csv, ["dataset", "method"])
    assert rows[["method", "dataset", "score"]].to_numpy().tolist() == [
        ["ours", "A", 4],
        ["rival", "A", 3],
        ["rival", "B", 2],
    ]


def test_code__of_all_pages__is_formatted():
    ran = subprocess.run([*FORMAT, "--check", *map(str, WRITTEN)], capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout}run python tests/pages.py PAGE"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_code__of_a_page__need_not_be_scrolled_sideways(page):
    blocks = re.findall(r"^```.*?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert [line for line in lines if len(line) > WIDTH] == []


@pytest.mark.slow
def test_figures__of_the_paper__are_drawn_as_the_committed_ones(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.syspath_prepend(ROOT / "examples")
    import figures

    figures.draw_paper(tmp_path, n_steps=1)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in ROOT.glob("docs/images/paper_*")}


def test_images__committed__are_those_shown():
    text = "".join(page.read_text() for page in ROOT.glob("docs/**/*.md"))
    assert set(re.findall(r"\((?:\.\./)?images/([^)#]*)", text)) == {path.name for path in ROOT.glob("docs/images/*")}


def test_promises__on_their_page__name_tests_that_are_there():
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs/rely.md").read_text())
    assert len(named) > 20
    assert [each for each in named if f"def {each[1]}(" not in (ROOT / each[0]).read_text()] == []
