"""The command line: `tsformer classify TRAIN TEST --out CSV` and `tsformer forecast DATA --out CSV`.

What the commands do is in `tsformer.commands`, imported once the arguments are understood: torch takes seconds.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 after an error, which is told in one line."""
    options = _parser().parse_args(arguments)
    from tsformer import commands

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _tell("warning", message)
        try:
            commands.COMMANDS[options.command](options)
        except (ValueError, TypeError, OSError, ImportError) as error:
            _tell("error", error)
            return 2
    return 0


def _tell(what: str, message: Warning | Exception | str) -> None:
    print(f"tsformer: {what}: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsformer", description="Transformers for time series.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="train on labelled series and label others")
    add = classify.add_argument
    add("train", type=Path, metavar="TRAIN", help="labelled series, .ts or UCR .tsv")
    add("test", type=Path, metavar="TEST", help="series to label, in the same formats")
    add("--out", type=Path, required=True, help="CSV to write: prediction and probabilities")
    classify.set_defaults(command="classify")

    forecast = commands.add_parser("forecast", help="forecast series, by pretrained weights")
    add = forecast.add_argument
    add("data", type=Path, metavar="DATA", help="CSV with a column of times")
    add("--horizon", type=int, default=24, help="time points to forecast (default: 24)")
    add("--time", default="ds", metavar="COLUMN", help="column of times (default: ds)")
    add("--id", metavar="COLUMN", help="column that tells series apart; without it, each other column")
    add("--target", metavar="COLUMN", help="with --id: column of values (default: y)")
    add("--date-format", help="of the times, such as %%d.%%m.%%Y (default: ISO 8601; whole numbers are counts)")
    add("--freq", help="frequency, where there are gaps, such as MS, D or h")
    add("--level", type=float, nargs="+", default=[80, 95], help="bands in per cent (default: 80 95)")
    add("--out", type=Path, required=True, help="CSV to write: forecasts and bands")
    add("--plot", type=Path, metavar="PNG", help="picture to write, of the first six series")
    forecast.set_defaults(command="forecast")

    for command in (classify, forecast):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
        command.add_argument("--seed", type=int, default=0, help="random_state of the estimator (default: 0)")
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
