"""Benchmarks classifiers on folders of .ts datasets: one CSV row per (dataset, estimator, seed), then the tables.

    python benchmarks/uea.py --data data/uea data/ucr --estimators TransformerClassifier MiniRocket --out r.csv
    python benchmarks/uea.py --summary r.csv

measure.py says how a row comes about and summary.py how the tables do; here is what happens to the file of rows:

- A killed run, started again, goes on where it stopped; no row is lost or there twice.
- A failure is a row with `error`, tried again by the next run that asks for it.
- Rows of different code (ours) or of different versions (a rival's library) do not share a file.
"""

import argparse
import contextlib
import csv
import fcntl
import hashlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from joblib import Parallel, delayed
from measure import COLUMNS, ESTIMATORS, OURS, Row, canonical, code_hash, library, run_fresh, version

HERE = Path(__file__).resolve().parent
PUBLISHED = [HERE / "reference" / "uea_published.csv", HERE / "reference" / "ucr_published.csv"]
KEY = ("dataset", "archive", "estimator", "seed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0 if options.summary else run(options)

    import summary  # here, because a run needs neither pandas nor matplotlib until its end

    print(summary.summarise(options.summary or options.out, options.reference))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", nargs="+", type=Path, help="folders that hold NAME/NAME_TRAIN.ts")
    add("--datasets", nargs="+", metavar="NAME", help="default: all in the folders")
    add(
        "--estimators",
        nargs="+",
        type=canonical,
        default=list(ESTIMATORS),
        metavar="NAME",
        help=f"{', '.join(ESTIMATORS)} (default: all) or module:Class; with parameters: 'NAME(key=value, ...)'",
    )
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    add("--jobs", type=int, default=1, help="rows measured at a time")
    add("--threads", type=int, default=1, help="threads of each; needs --jobs 1")
    add("--out", type=Path, metavar="CSV", help="the file of rows")
    add("--rerun", action="store_true", help="replace rows of other code or versions")
    add("--summary", type=Path, metavar="CSV", help="only summarise this file")
    add("--reference", nargs="+", type=Path, default=PUBLISHED, metavar="CSV", help="published numbers")
    options = parser.parse_args(arguments)
    if not options.summary and not (options.data and options.out):
        parser.error("give --data and --out, or --summary")
    if options.jobs > 1 and options.threads > 1:
        parser.error("--threads above 1 needs --jobs 1: the threads of several processes fight for the cores")
    return options


def run(options: argparse.Namespace) -> int:
    """Measure every row that the file does not have yet; return how many failed."""
    tasks = all_tasks(options)
    present = {library(task["version"]): state(task) for task in tasks}
    with locked(options.out):
        done = prepare(options.out, {key(task) for task in tasks}, present, options.rerun)
        pending = [task for task in tasks if key(task) not in done]
        print(f"{len(tasks) - len(pending)} of {len(tasks)} rows are there, {len(pending)} to go.", flush=True)
        # Each task starts a process of its own, so threads are enough here. joblib.parallel_config(backend=...)
        # around main() sends the tasks to Dask or Ray instead.
        parallel = Parallel(n_jobs=options.jobs, prefer="threads", return_as="generator_unordered")
        n_failed = 0
        for count, row in enumerate(parallel(delayed(run_fresh)(task) for task in pending), start=1):
            if is_stale(row, present):
                sys.exit("The code of tsformer changed during the run: this row is not written. Go on with --rerun.")
            append(options.out, row)
            n_failed += bool(row["error"])
            print(f"[{count}/{len(pending)}] {outcome(row)}", flush=True)
    return n_failed


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each dataset, estimator and seed: the columns of its row that are known beforehand."""
    folders = [(folder, name) for folder in options.data for name in datasets_in(folder)]
    names = options.datasets or [name for _, name in folders]
    if unknown := sorted(set(names) - {name for _, name in folders}):
        sys.exit(f"No such dataset in {', '.join(map(str, options.data))}: {', '.join(unknown)}.")
    same = {"threads": options.threads, "code": code_hash(), "commit": commit()}
    tasks = [
        same
        | {"folder": str(folder), "archive": folder.resolve().name, "dataset": name}
        | {"estimator": estimator, "version": version(estimator), "seed": seed}
        for folder, name in folders
        if name in names
        for estimator in dict.fromkeys(options.estimators)
        for seed in dict.fromkeys(options.seeds)
    ]
    if len({key(task) for task in tasks}) < len(tasks):
        sys.exit("Two folders of the same name hold the same dataset: their rows could not be told apart.")
    return tasks


def datasets_in(folder: Path) -> list[str]:
    """Name the datasets of a folder."""
    files = [*folder.glob("*/*_TRAIN.ts*"), *folder.glob("*_TRAIN.ts*")]
    if not files:
        sys.exit(f"No datasets in {folder}: expected files NAME/NAME_TRAIN.ts.")
    return sorted({file.stem.removesuffix("_TRAIN") for file in files})


def commit() -> str:
    """Name the checked-out commit, with "-dirty" where the Python code differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=HERE.parent, capture_output=True, text=True).stdout.strip()

    # Results and notes beside the code leave it what it was.
    dirty = git("status", "--porcelain", "--", "tsformer/*.py", "benchmarks/*.py")
    return (git("rev-parse", "--short", "--verify", "HEAD") or "none") + ("-dirty" if dirty else "")


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    name = f"{row['dataset']}, {row['estimator']}, seed {row['seed']}"
    if row["error"]:
        return f"{name}: FAILED, {row['error']}"
    return f"{name}: accuracy {row['accuracy']:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


# What may stand in one file


def key(row: Row) -> tuple[str, ...]:
    """Tell rows apart."""
    return tuple(str(row[column]) for column in KEY)


def state(row: Row) -> str:
    """Say what a row's result depends on: our code, or the version of a rival's library."""
    return row["code"] if library(row["version"]) == OURS else row["version"]


def is_stale(row: Row, present: dict[str, str]) -> bool:
    """Tell whether a row must not stand beside new ones: a library that is to run now has changed since."""
    return present.get(library(row["version"]), state(row)) != state(row)


def prepare(out: Path, wanted: set[tuple[str, ...]], present: dict[str, str], rerun: bool) -> set[tuple[str, ...]]:
    """Make the file ready for new rows and return the keys of those it keeps."""
    rows = read_rows(out)
    failed = [row for row in rows if row["error"] and key(row) in wanted]
    stale = [row for row in rows if is_stale(row, present) and row not in failed]
    outside = [row for row in stale if key(row) not in wanted]
    if stale and (outside or not rerun):
        sys.exit(
            f"{out} has {len(stale)} rows of {', '.join(sorted({state(row) for row in stale}))}, and now it is "
            f"{', '.join(sorted(set(present.values())))}: they must not mix. Take another --out, or --rerun to replace "
            f"those rows, in a run that asks for all of them ({len(outside)} are outside this one)."
        )
    if stale or failed:
        print(f"Redoing {len(stale)} rows of other code or versions and {len(failed)} that failed.")
    kept = [row for row in rows if row not in stale and row not in failed]
    write_rows(out, kept)
    return {key(row) for row in kept}


# The file itself: only this process writes it


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


def read_rows(out: Path) -> list[Row]:
    """Read the whole rows of the file; a last line that a kill has torn is dropped."""
    text = out.read_text(encoding="utf-8") if out.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        print(f"Dropped the torn last line of {out}: {text[len(whole) :]!r}")
    reader = csv.DictReader(io.StringIO(whole))
    if whole and tuple(reader.fieldnames or ()) != COLUMNS:
        sys.exit(f"{out} has other columns than this benchmark writes. Take another --out.")
    return list(reader)


def write_rows(out: Path, rows: list[Row]) -> None:
    """Write the file anew, all or nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(out.name + ".draft")
    with open(draft, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        flush(file)
    os.replace(draft, out)


def append(out: Path, row: Row) -> None:
    """Write one row so that it outlives a kill or a power cut."""
    with open(out, "a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
        flush(file)


def flush(file: io.TextIOBase) -> None:
    """Bring a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from here.")
