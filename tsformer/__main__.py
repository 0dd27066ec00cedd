"""The command line: `tsformer classify|forecast|detect|embed`, files in, files and a line of text out.

What the commands do is in `tsformer.commands`, imported once the arguments are understood: torch takes seconds.
"""

import argparse
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tsformer import __version__

# Parameters that messages name as Python spells them, and the options behind which they are.
PARAMETERS = (
    *("id_col", "time_col", "label_col", "target_cols", "past_cols", "future_cols", "static_cols", "contamination"),
    *("device", "freq", "future", "holidays", "horizon", "level", "max_steps", "season", "window_length"),
)
OPTIONS = {"random_state": "seed"} | {name: name.replace("_", "-") for name in PARAMETERS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 after an error, which is told in one line, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    if not any(getattr(options, name, None) for name in ("out", "save", "plot", "metrics", "reasons")):
        _tell("error", "Say what to write: --out CSV, or --save MODEL.")
        return 2
    from tsformer import commands

    with warnings.catch_warnings(), _silent(options.quiet):
        warnings.showwarning = lambda message, *_: _tell("warning", message)
        try:
            commands.COMMANDS[options.command](options)
        except (ValueError, TypeError, OSError, ImportError) as error:
            _tell("error", error)
            return 2
        except KeyboardInterrupt:
            _tell("error", "stopped by Ctrl-C.")
            return 130
    return 0


@contextmanager
def _silent(quiet: bool) -> Iterator[None]:
    """Let fits not say how long they take, if they are to be quiet."""
    logger = logging.getLogger("tsformer")
    level = logger.level
    logger.setLevel(logging.WARNING if quiet else level)
    try:
        yield
    finally:
        logger.setLevel(level)


def _tell(what: str, message: Warning | Exception | str) -> None:
    text = re.sub(r"^\[Errno \d+\] ", "", " ".join(str(message).split()))
    print(f"tsformer: {what}: {_in_options(text)}", file=sys.stderr)


def _in_options(message: str) -> str:
    """Put options in place of the parameters behind them, which messages name as Python spells them."""

    def option(match: re.Match[str]) -> str:
        name, value = match["name"], re.sub(r"['\[\],]", "", match["value"])
        return f"--{OPTIONS[name]} {value}".rstrip()

    message = re.sub(r"\bwindow_length\b(?! ?[='])", "--window-length", message)
    name = rf"(?P<name>{'|'.join(OPTIONS)})"
    message = message.replace(", and fill= to fill those", "").replace(
        ", or drop them", ", or --drop-cols to drop them"
    )
    message = re.sub(r"\bdf\b(?![.\[])", "the table", message)
    message = re.sub(rf"(?:[Tt]he '|^){name}(?:' parameter(?: of \w+)?|(?= must))(?P<value>)", option, message)
    return re.sub(rf"\b{name}=(?P<value>'[^']*'|\[[^]]*\]|\w*)", option, message)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsformer", description="Transformers for time series.")
    parser.add_argument("--version", action="version", version=f"tsformer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for add in (_add_classify, _add_forecast, _add_detect, _add_embed):
        _add_shared(add(commands))
    return parser


def _add_command(commands: Any, name: str, files: str, what: str) -> argparse.ArgumentParser:
    """Add a command whose usage is a line: its options are many, and a mistake in one must not list all."""
    usage = f"tsformer {name} {files} --out CSV [options], or tsformer {name} --help"
    command: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what, usage=usage)
    return command


def _add_classify(commands: Any) -> argparse.ArgumentParser:
    classify = _add_command(commands, "classify", "TRAIN TEST", "train on labelled series and label others")
    add = classify.add_argument
    series = "labelled series (.ts, UCR .tsv or .csv), and series to label in the same format, perhaps labelled too"
    add("files", type=Path, nargs="+", metavar="FILE", help=f"TRAIN and TEST: {series}; with --load TEST alone")
    _add_case_columns(classify)
    alone = "train no network: fit a head to the pretrained encoder, in seconds"
    add("--pretrained-only", action="store_true", default=None, help=alone)
    add("--metrics", action="store_true", help="compare with the labels of TEST: accuracy, F1, log loss")
    add("--plot", type=Path, metavar="PNG", help="picture to write: the confusion matrix, where TEST has labels")
    _add_model(classify, "prediction and probabilities")
    return classify


def _add_case_columns(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--label-col", default="label", metavar="COLUMN", help="of a CSV: column of labels (default: label)")
    add("--id-col", metavar="COLUMN", help="of a CSV: column that names the cases")
    times = "of a CSV with a row for each case and time: column of times; needs --id-col"
    add("--time-col", metavar="COLUMN", help=times)


def _add_forecast(commands: Any) -> argparse.ArgumentParser:
    forecast = _add_command(commands, "forecast", "DATA", "forecast series, by pretrained weights")
    add = forecast.add_argument
    add("data", type=Path, metavar="DATA", nargs="?", help="CSV with a column of times; not needed with --load")
    add("--horizon", type=int, metavar="N", help="time points to forecast (default: 24, or those of a loaded model)")
    _add_series_columns(forecast, "without it, each other column is a series")
    add("--target-cols", nargs="+", metavar="COLUMN", help="columns of values (default: y with --id-col, else all)")
    add("--past-cols", nargs="+", metavar="COLUMN", help="covariates known up to the present")
    add("--future-cols", nargs="+", metavar="COLUMN", help="covariates known ahead; needs --future")
    add("--static-cols", nargs="+", metavar="COLUMN", help="covariates that do not change in time")
    add("--holidays", nargs="+", metavar="PLACE", help="countries or parts of them, such as DE or US-CA")
    add("--future", type=Path, metavar="CSV", help="the rows ahead with --future-cols, as in DATA")
    add(
        "--season", type=int, nargs="+", metavar="STEPS", help="time points of a season; 1 for none (default: as usual)"
    )
    add(
        "--level", type=float, nargs="+", metavar="PERCENT", default=[80, 95], help="bands in per cent (default: 80 95)"
    )
    add("--metrics", action="store_true", help="forecast the last horizon of DATA too, and compare with seasonal naive")
    add("--plot", type=Path, metavar="PNG", help="picture to write, of the first six series")
    _add_model(forecast, "forecasts and bands")
    return forecast


def _add_series_columns(command: argparse.ArgumentParser, without_ids: str) -> None:
    add = command.add_argument
    add("--time-col", metavar="COLUMN", help="column of times (default: ds, or a first column without a name)")
    add("--id-col", metavar="COLUMN", help=f"column that tells series apart; {without_ids}")
    add("--freq", help="frequency, where there are gaps, such as MS, D or h")


def _add_detect(commands: Any) -> argparse.ArgumentParser:
    detect = _add_command(commands, "detect", "DATA", "find anomalies in series, by pretrained weights")
    add = detect.add_argument
    add("data", type=Path, metavar="DATA", help="CSV with a column of times and a column for each channel")
    _add_series_columns(detect, "without it, there is one series")
    add("--channels", nargs="+", metavar="COLUMN", help="columns to judge (default: all others)")
    normal = detect.add_mutually_exclusive_group()
    normal.add_argument("--train-until", metavar="TIME", help="rows up to it are normal, and later ones are judged")
    normal.add_argument(
        "--train-fraction", type=float, metavar="F", help="as --train-until: the first part of a series"
    )
    odd = "anomalous fraction of the normal rows (default: none), or else of all rows (default: 0.01)"
    add("--contamination", type=float, metavar="F", help=odd)
    add(
        "--window-length",
        type=_steps,
        metavar="N",
        help="time points compared at a time (default: as the data ask for)",
    )
    add("--label-col", metavar="COLUMN", help="column of known anomalies, 1, and others, 0: for --metrics")
    add("--metrics", action="store_true", help="compare with the labels: precision, recall, average precision")
    reasons = "file to write: of each anomaly its kind, channel, start and end, and what was expected"
    add("--reasons", type=Path, metavar="CSV", help=reasons)
    add("--plot", type=Path, metavar="PNG", help="picture to write, of the first six series")
    _add_model(detect, "score, higher = more anomalous, and anomaly, 0 or 1")
    return detect


def _add_embed(commands: Any) -> argparse.ArgumentParser:
    embed = _add_command(commands, "embed", "DATA", "turn series into features, for other tools")
    embed.add_argument("data", type=Path, metavar="DATA", help="series, .ts, UCR .tsv or .csv")
    _add_case_columns(embed)
    _add_model(embed, "a row of features for each case, after its label where there is one")
    return embed


def _add_model(command: argparse.ArgumentParser, out: str) -> None:
    add = command.add_argument
    add("--out", type=Path, metavar="CSV", help=f"file to write: {out}")
    add("--save", type=Path, metavar="MODEL", help="file to write: what was fitted, for --load or tsformer.load")
    add("--load", type=Path, metavar="MODEL", help="use what was saved, and train nothing")
    add("--max-steps", type=_steps, metavar="N", help="training steps (default: as the data ask for)")


def _add_shared(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--sep", type=_separator, help="separator of a CSV (default: found in its first lines)")
    add("--decimal", choices=(".", ","), help="decimal mark of a CSV (default: found)")
    add("--date-format", help="of times, such as %%d.%%m.%%Y (default: ISO 8601; integers count)")
    add("--drop-cols", nargs="+", metavar="COLUMN", help="columns of a CSV to leave out")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
    add("--seed", type=int, default=0, help="random_state of the estimator (default: 0)")
    add("--quiet", action="store_true", help="show no progress")


def _steps(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, or auto. Got {text!r}.") from None


def _separator(text: str) -> str:
    sep = text.replace("\\t", "\t")
    if len(sep) != 1 or sep in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one character, such as ';' or '\\t'. Got {text!r}.")
    return sep


if __name__ == "__main__":
    sys.exit(main())
