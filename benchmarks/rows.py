"""Keeps a benchmark's file of rows: measured rows enter, and stand in a CSV that outlives kills and power cuts.

- A killed run, started again, goes on where it stopped; no row is lost or there twice.
- A failure is a row with `error`, tried again by the next run that asks for it.
- Rows of different code (ours) or of different versions (a rival's library) do not share a file.

Rows have the columns `version`, `code` and `error` beside those of the benchmark.
"""

import contextlib
import csv
import datetime
import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = "tsformer"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

Row = dict[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True)
class RowFile:
    """The form of a file: its columns, and those of them that tell rows apart. Only one process at a time writes it."""

    columns: tuple[str, ...]
    key_columns: tuple[str, ...]

    def key(self, row: Row) -> Key:
        """Tell rows apart."""
        return tuple(str(row[column]) for column in self.key_columns)

    def blank(self, task: Row) -> Row:
        """Start a row with what the task knows."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return {column: task.get(column, "") for column in self.columns} | {"started": now}

    def prepare(self, out: Path, wanted: set[Key], present: dict[str, str], rerun: bool) -> set[Key]:
        """Make the file ready for new rows and return the keys of those it keeps."""
        rows = self.read(out)
        failed = [row for row in rows if row["error"] and self.key(row) in wanted]
        stale = [row for row in rows if is_stale(row, present) and row not in failed]
        outside = [row for row in stale if self.key(row) not in wanted]
        if stale and (outside or not rerun):
            sys.exit(
                f"{out} has {len(stale)} rows of {', '.join(sorted({state(row) for row in stale}))}, and now it is "
                f"{', '.join(sorted(set(present.values())))}: they must not mix. Take another --out, or --rerun to "
                f"replace those rows, in a run that asks for all of them ({len(outside)} are outside this one)."
            )
        if stale or failed:
            print(f"Redoing {len(stale)} rows of other code or versions and {len(failed)} that failed.")
        kept = [row for row in rows if row not in stale and row not in failed]
        self.write(out, kept)
        return {self.key(row) for row in kept}

    def append_measured(
        self,
        out: Path,
        measured: Iterable[list[Row]],
        done: set[Key],
        present: dict[str, str],
        outcome: Callable[[Row], str],
        n_pending: int,
    ) -> int:
        """Write rows as they come, but none that is there already; return how many failed."""
        count = n_failed = 0
        for rows in measured:
            for row in rows:
                if self.key(row) in done:
                    continue
                if is_stale(row, present):
                    sys.exit(
                        "The code of tsformer changed during the run: this row is not written. Go on with --rerun."
                    )
                self.append(out, row)
                count += 1
                n_failed += bool(row["error"])
                print(f"[{count}/{n_pending}] {outcome(row)}", flush=True)
        return n_failed

    def read(self, out: Path) -> list[Row]:
        """Read the whole rows of the file; a last line that a kill has torn is dropped."""
        text = out.read_text(encoding="utf-8") if out.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            print(f"Dropped the torn last line of {out}: {text[len(whole) :]!r}")
        reader = csv.DictReader(io.StringIO(whole))
        if whole and tuple(reader.fieldnames or ()) != self.columns:
            sys.exit(f"{out} has other columns than this benchmark writes. Take another --out.")
        return list(reader)

    def write(self, out: Path, rows: list[Row]) -> None:
        """Write the file anew, all or nothing."""
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = out.with_name(out.name + ".draft")
        with open(draft, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            flush(file)
        os.replace(draft, out)

    def append(self, out: Path, row: Row) -> None:
        """Write one row so that it outlives a kill or a power cut."""
        with open(out, "a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)
            flush(file)


def flush(file: io.TextIOBase) -> None:
    """Bring a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep a second run off the file: it would measure and write the same rows."""
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir(), f"tsformer-benchmark-{name}.lock")
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"Another run is writing {out}. Wait for its end, or take another --out.")
        try:
            yield
        finally:
            path.unlink()


# What may stand in one file


def library(version: str) -> str:
    """Take the library out of a version."""
    return version.partition(" ")[0]


def state(row: Row) -> str:
    """Say what a row's result depends on: our code, or the version of a rival's library."""
    return row["code"] if library(row["version"]) == OURS else row["version"]


def is_stale(row: Row, present: dict[str, str]) -> bool:
    """Tell whether a row must not stand beside new ones: a library that is to run now has changed since."""
    return present.get(library(row["version"]), state(row)) != state(row)


def commit() -> str:
    """Name the checked-out commit, with "-dirty" where the Python code differs from it."""
    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True).stdout.strip()

    # Results and notes beside the code leave it what it was.
    dirty = git("status", "--porcelain", "--", "tsformer/*.py", "benchmarks/*.py")
    return (git("rev-parse", "--short", "--verify", "HEAD") or "none") + ("-dirty" if dirty else "")


# Measuring in a process of its own


def run_script(script: str, task: Row) -> tuple[Any, str]:
    """Give a script a task in a fresh process; return the JSON it prints last, or None, and what it wrote of errors."""
    threads = {name: str(task["threads"]) for name in THREAD_VARIABLES}  # torch follows OMP_NUM_THREADS
    command = [sys.executable, script, json.dumps(task)]
    process = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True)
    try:
        return json.loads(process.stdout.splitlines()[-1]), process.stderr
    except (IndexError, json.JSONDecodeError):
        print(process.stderr, file=sys.stderr)
        return None, f"The process ended with status {process.returncode}."


def told(error: Exception) -> str:
    """Show a failure's traceback, and tell of it in a line."""
    traceback.print_exc()
    return " ".join(f"{type(error).__name__}: {error}".split())
