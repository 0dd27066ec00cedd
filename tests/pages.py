"""Pages of Markdown whose Python and commands run: README.md and docs/*.md.

Blocks of ```python run, and those of ```sh, not those of ```bash. A block of ```text right after one shows what it
prints. `python tests/pages.py PAGE ...` formats
the code of pages, runs it, and writes what it prints into these blocks; leave a new one empty.
"""

import contextlib
import io
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pandas as pd

from tsformer.__main__ import main
from tsformer.datasets import load_classification

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
PAGES = [page for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))] if BLOCK.search(page.read_text())]
WIDTH = 78  # columns of a block: more would have to be scrolled sideways
FORMAT = [sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", f"--line-length={WIDTH}"]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def run(page: Path) -> list[tuple[str | None, str]]:
    """Run the blocks of a page in order; return for each what the page shows and what was printed.

    The working directory should be a scratch one. It gets a link to benchmarks/, whose results pages read, and files
    that stand for a user's own in README.md.
    """
    Path("benchmarks").symlink_to(ROOT / "benchmarks")
    write_recordings()
    names: dict[str, object] = {"__name__": "page"}
    results = []
    for block in BLOCK.finditer(page.read_text()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block[1] == "sh":
                run_commands(block[2])
            else:
                exec(compile(block[2], page.name, "exec"), names)
        results.append((block[3], printed.getvalue()))
    return results


def run_commands(lines: str) -> None:
    """Run the commands of a block, ours in this process: torch takes seconds to import."""
    for command in lines.replace("\\\n", " ").splitlines():
        if command.startswith("tsformer "):
            with contextlib.redirect_stderr(sys.stdout):
                main(shlex.split(command)[1:])
        else:
            print(subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout, end="")


def write_recordings() -> None:
    """Write train.csv and new.csv: a row for each recording and time of BasicMotions, the new ones without sport."""
    X, y = load_classification("BasicMotions", split="train")
    X_test, _ = load_classification("BasicMotions", split="test")
    for name, cases in {"train": X, "new": X_test[15::10]}.items():
        parts = [pd.DataFrame(case.T).add_prefix("channel") for case in cases]
        table = pd.concat(parts, keys=[f"{name} {i}" for i in range(len(parts))], names=["id", "time"])
        if name == "train":
            table["sport"] = y.repeat(X.shape[2])
        table.to_csv(f"{name}.csv")


def words_and_numbers(text: str) -> tuple[list[str], list[float]]:
    """Take a text apart, since the last digits of numbers are a machine's own; how it is spaced does not count."""
    return NUMBER.sub("0", text).split(), [float(number) for number in NUMBER.findall(text)]


def write_outputs(page: Path) -> None:
    """Format the code of a page, and put what the blocks print into it."""
    subprocess.run([*FORMAT, str(page)], check=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        results = iter(run(page))

    def renewed(block: re.Match[str]) -> str:
        shown, printed = next(results)
        code = f"```{block[1]}\n{block[2]}```\n"
        lines = [wrapped(line.rstrip()) + "\n" for line in printed.splitlines()]
        return code if shown is None else f"{code}\n```text\n{''.join(lines)}```\n"

    page.write_text(BLOCK.sub(renewed, page.read_text()))


def wrapped(line: str) -> str:
    """Break a line of words that is too long; the rows of a table are left as they are."""
    if "  " in line:
        return line
    return "\n".join(textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False))


if __name__ == "__main__":
    for path in sys.argv[1:]:
        write_outputs(Path(path).resolve())
