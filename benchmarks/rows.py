"""Keeps a benchmark's file of rows: measured rows enter, a CSV leaves.

A `RowFile` outlives kills and power cuts:

- A killed run, started again, goes on where it stopped; no row is lost or there twice.
- A failure is a row with `error`, tried again by the next run that asks for it.
- Rows of different code (ours) or of different versions (a rival's library) do not share a file.

Its rows have the columns `version`, `code` and `error` beside those of the benchmark. Scripts that are done in minutes
begin anew each time: `collect` writes their rows.
"""

import contextlib
import csv
import fcntl
import hashlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from machine import OURS, Row, code_hash, now, run_fresh, versions

Key = tuple[str, ...]


@dataclass(frozen=True)
class RowFile:
    """The form of a file: its columns, and those of them that tell rows apart. Only one process at a time writes it.

    `rows_of` names the rows that a task makes by what is known of them beforehand.
    """

    columns: tuple[str, ...]
    key_columns: tuple[str, ...]
    rows_of: Callable[[Row], list[Row]] = lambda task: [task]

    def key(self, row: Row) -> Key:
        """Tell rows apart."""
        return tuple(str(row[column]) for column in self.key_columns)

    def keys(self, task: Row) -> set[Key]:
        """Name the rows of a task."""
        return {self.key(row) for row in self.rows_of(task)}

    def name(self, row: Row) -> str:
        """Name a row for people."""
        parts = zip(self.key_columns, self.key(row), strict=True)
        return ", ".join(f"{column} {value}" if value.isdigit() else value for column, value in parts if value)

    def blank(self, task: Row) -> list[Row]:
        """Start the rows of a task with what it knows."""
        known = [task | {"started": now()} | row for row in self.rows_of(task)]
        return [{column: row.get(column, "") for column in self.columns} for row in known]

    # Measuring

    def attempt(self, task: Row, measure: Callable[[Row], list[Row]]) -> list[Row]:
        """Measure the rows of a task in this process; a failure fills `error`."""
        rows = [row | {"code": code_hash(), "versions": versions()} for row in self.blank(task)]
        try:
            return [row | result for row, result in zip(rows, measure(task), strict=True)]
        except Exception as error:
            traceback.print_exc()
            message = " ".join(f"{type(error).__name__}: {error}".split())
            return [row | {"error": message} for row in rows]

    def attempt_fresh(self, task: Row, script: str) -> list[Row]:
        """Have a script measure a task in a process of its own; the death of that process is told in rows too."""
        blank = self.blank(task)
        rows, errors = run_fresh(script, task)
        if rows is None:
            return [row | {"error": errors} for row in blank]
        if rows[0]["error"]:
            print(errors, file=sys.stderr)
        return rows

    def fill(
        self,
        out: Path,
        tasks: Sequence[Row],
        measure: Callable[[Row], list[Row]],
        outcome: Callable[[Row], str],
        *,
        jobs: int = 1,
        rerun: bool = False,
    ) -> int:
        """Measure every row that the file does not have yet, and tell of each; return how many failed."""
        from joblib import Parallel, delayed

        present = {library(task["version"]): state(task) for task in tasks}
        keys = {key for task in tasks for key in self.keys(task)}
        with locked(out):
            done = self.prepare(out, keys, present, rerun)
            pending = [task for task in tasks if not self.keys(task) <= done]
            n_pending = len(keys - done)
            print(f"{len(keys) - n_pending} of {len(keys)} rows are there, {n_pending} to go.", flush=True)
            # Where each task starts a process of its own, threads are enough here.
            # joblib.parallel_config(backend=...) around it sends the tasks to Dask or Ray instead.
            parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
            measured = parallel(delayed(measure)(task) for task in pending)
            n_failed = 0
            for count, row in enumerate(self.new_rows(measured, done, present), 1):
                self.append(out, row)
                n_failed += bool(row["error"])
                told = f"FAILED, {row['error']}" if row["error"] else outcome(row)
                print(f"[{count}/{n_pending}] {self.name(row)}: {told}", flush=True)
        return n_failed

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

    def new_rows(self, measured: Iterable[list[Row]], done: set[Key], present: dict[str, str]) -> Iterator[Row]:
        """Pass on the rows that are not there already, as long as they are of the present code."""
        for rows in measured:
            for row in rows:
                if self.key(row) in done:
                    continue
                if is_stale(row, present):
                    sys.exit(
                        "The code of tsformer changed during the run: this row is not written. Go on with --rerun."
                    )
                yield row

    # Reading and writing

    def read(self, out: Path) -> list[Row]:
        """Read the whole rows of the file; a last line that a kill has torn is dropped."""
        whole, torn = whole_lines(out) if out.exists() else ("", "")
        if torn:
            print(f"Dropped the torn last line of {out}: {torn!r}")
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


def whole_lines(path: Path) -> tuple[str, str]:
    """Read a file that a run may be writing: its whole lines, and what there is of the last one."""
    text = path.read_text(encoding="utf-8")
    end = text.rfind("\n") + 1
    return text[:end], text[end:]


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


def library(version: str) -> str:
    """Take the library out of a version."""
    return version.partition(" ")[0]


def state(row: Row) -> str:
    """Say what a row's result depends on: our code, or the version of a rival's library."""
    return row["code"] if library(row["version"]) == OURS else row["version"]


def is_stale(row: Row, present: dict[str, str]) -> bool:
    """Tell whether a row must not stand beside new ones: a library that is to run now has changed since."""
    return present.get(library(row["version"]), state(row)) != state(row)


def collect(rows: Iterable[Row], origin: Row, out: Path) -> pd.DataFrame:
    """Write rows as they come, each with its origin, so that a killed run leaves what it had; return them all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame()
    done: list[Row] = []
    for row in rows:
        done.append(row | origin)
        table = pd.DataFrame(done)
        table.to_csv(out, index=False, float_format="%.6g", lineterminator="\n")
    return table


def read_rows(path: Path, texts: Iterable[str]) -> pd.DataFrame:
    """Read the rows of a run, which may still be going on.

    `texts` are the columns of text beside those that all benchmarks have.
    """
    as_text = dict.fromkeys([*texts, "version", "code", "commit", "error"], str)
    # Empty is the only missing value: an estimator's label or an error may read "None" or "nan".
    whole = io.StringIO(whole_lines(path)[0])
    rows = pd.read_csv(whole, dtype=as_text, keep_default_na=False, na_values=[""])
    rows["seconds"] = rows["fit_seconds"] + rows["predict_seconds"]
    rows["ours"] = rows["version"].str.split().str[0] == OURS
    return rows
