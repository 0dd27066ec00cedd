"""The command line: `tsformer classify TRAIN TEST --out CSV`, `tsformer forecast DATA --out CSV` and `detect`.

What the commands do is in `tsformer.commands`, imported once the arguments are understood: torch takes seconds.
"""

import argparse
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsformer import __version__


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
    print(f"tsformer: {what}: {_in_options(' '.join(str(message).split()))}", file=sys.stderr)


def _in_options(message: str) -> str:
    """Put options in place of the parameters behind them, which messages name as Python spells them."""
    options = {"id_col": "id", "time_col": "time", "target_cols": "target", "random_state": "seed"}
    options |= {name: name for name in ("contamination", "device", "freq", "horizon", "level", "max_steps", "season")}

    def option(match: re.Match[str]) -> str:
        name, value = match["name"], re.sub(r"['\[\],]", "", match["value"])
        return f"--{options[name].replace('_', '-')} {value}".rstrip()

    name = rf"(?P<name>{'|'.join(options)})"
    message = re.sub(r"\bdf\b(?![.\[])", "the table", message.replace(", and fill= to fill those", ""))
    message = re.sub(rf"(?:[Tt]he '|^){name}(?:' parameter(?: of \w+)?|(?= must))(?P<value>)", option, message)
    return re.sub(rf"\b{name}=(?P<value>'[^']*'|\[[^]]*\]|\w*)", option, message)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsformer", description="Transformers for time series.")
    parser.add_argument("--version", action="version", version=f"tsformer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="train on labelled series and label others")
    add = classify.add_argument
    add("train", type=Path, metavar="TRAIN", help="labelled series, .ts, UCR .tsv or .csv")
    add("test", type=Path, metavar="TEST", help="series to label, in the same format; may have labels, to score by")
    add("--label", default="label", metavar="COLUMN", help="of a CSV: column of labels (default: label)")
    add("--id", metavar="COLUMN", help="of a CSV: column that names the cases")
    add("--time", metavar="COLUMN", help="of a CSV with a row for each case and time: column of times; needs --id")
    add("--out", type=Path, required=True, help="CSV to write: prediction and probabilities")
    classify.set_defaults(command="classify")

    forecast = commands.add_parser("forecast", help="forecast series, by pretrained weights")
    add = forecast.add_argument
    add("data", type=Path, metavar="DATA", help="CSV with a column of times")
    add("--horizon", type=int, default=24, help="time points to forecast (default: 24)")
    add("--time", metavar="COLUMN", help="column of times (default: ds, or a first column without a name)")
    add("--id", metavar="COLUMN", help="column that tells series apart; without it, each other column")
    add("--target", metavar="COLUMN", help="with --id: column of values (default: y)")
    add("--freq", help="frequency, where there are gaps, such as MS, D or h")
    add(
        "--season", type=int, nargs="+", metavar="STEPS", help="time points of a season; 1 for none (default: as usual)"
    )
    add("--max-steps", type=int, metavar="N", help="training steps; 0 never trains (default: as the data ask for)")
    add("--level", type=float, nargs="+", default=[80, 95], help="bands in per cent (default: 80 95)")
    add("--out", type=Path, required=True, help="CSV to write: forecasts and bands")
    add("--plot", type=Path, metavar="PNG", help="picture to write, of the first six series")
    forecast.set_defaults(command="forecast")

    detect = _add_detect(commands)
    for command in (classify, forecast, detect):
        command.add_argument("--sep", type=_separator, help="separator of a CSV (default: found in its first lines)")
        command.add_argument("--decimal", choices=(".", ","), help="decimal mark of a CSV (default: found)")
        command.add_argument("--date-format", help="of times, such as %%d.%%m.%%Y (default: ISO 8601; integers count)")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
        command.add_argument("--seed", type=int, default=0, help="random_state of the estimator (default: 0)")
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


def _add_detect(commands: Any) -> argparse.ArgumentParser:
    detect: argparse.ArgumentParser = commands.add_parser(
        "detect", help="find anomalies in series, by pretrained weights"
    )
    add = detect.add_argument
    add("data", type=Path, metavar="DATA", help="CSV with a column of times and a column for each channel")
    add("--time", metavar="COLUMN", help="column of times (default: ds, or a first column without a name)")
    add("--id", metavar="COLUMN", help="column that tells series apart (default: one series)")
    add("--channels", nargs="+", metavar="COLUMN", help="columns to judge (default: all others)")
    add("--freq", help="frequency, where there are gaps, such as MS, D or h")
    normal = detect.add_mutually_exclusive_group()
    normal.add_argument("--train-until", metavar="TIME", help="rows up to it are normal, and later ones are judged")
    normal.add_argument(
        "--train-fraction", type=float, metavar="F", help="as --train-until: the first part of a series"
    )
    odd = "anomalous fraction of the normal rows (default: none), or else of all rows (default: 0.01)"
    add("--contamination", type=float, metavar="F", help=odd)
    add("--out", type=Path, required=True, help="CSV to write: score, higher = more anomalous, and anomaly, 0 or 1")
    add("--plot", type=Path, metavar="PNG", help="picture to write, of the first six series")
    detect.set_defaults(command="detect")
    return detect


def _separator(text: str) -> str:
    sep = text.replace("\\t", "\t")
    if len(sep) != 1 or sep in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one character, such as ';' or '\\t'. Got {text!r}.")
    return sep


if __name__ == "__main__":
    sys.exit(main())
