"""What the command lines of the scripts have in common: parsers, their options, and how a run that is stopped ends."""

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Begin the command line of a script, which its docstring describes."""
    return argparse.ArgumentParser(description=(doc or "").partition("\n")[0])


def short_parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """Begin that of a script that is done in minutes: its results are results/<date>-<name>.csv."""
    made = parser(doc)
    out = Path(__file__).with_name("results") / f"{datetime.date.today()}-{name}.csv"
    made.add_argument("--out", type=Path, default=out, metavar="CSV", help="default: %(default)s")
    made.add_argument("--threads", type=int, default=1, help="torch's threads")
    return made


def parse_long(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read that of a script that has --data, fills a file of rows, run by run, and summarises it."""
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    made.add_argument("--jobs", type=int, default=1, help="rows measured at a time")
    made.add_argument("--threads", type=int, default=1, help="threads of each; needs --jobs 1")
    made.add_argument("--out", type=Path, metavar="CSV", help="the file of rows")
    made.add_argument("--rerun", action="store_true", help="replace rows of other code or versions")
    made.add_argument("--summary", type=Path, metavar="CSV", help="only summarise this file")
    options = made.parse_args(arguments)
    if not options.summary and not (options.data and options.out):
        made.error("give --data and --out, or --summary")
    if options.jobs > 1 and options.threads > 1:
        made.error("--threads above 1 needs --jobs 1: the threads of several processes fight for the cores")
    return options


def exit_with(main: Callable[[], int]) -> None:
    """Run a script that can be gone on with."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from here.")
