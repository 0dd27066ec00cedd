"""The options of the commands: arguments in, what is asked for out, without torch, whose import takes seconds."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tsformer import __version__

Add = Callable[..., None]  # as argparse's add_argument


class Groups(NamedTuple):
    """The options of a command, as its help lists them."""

    general: Add
    written: Add  # one of them must be given
    of_files: Add
    of_new: Add  # what a saved model has fixed


def parser() -> argparse.ArgumentParser:
    """Return what understands the arguments."""
    parser = argparse.ArgumentParser(prog="tsformer", description="Transformers for time series.")
    parser.add_argument("--version", action="version", version=f"tsformer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for add in (_add_classify, _add_forecast, _add_detect, _add_embed):
        add(commands)
    return parser


def _add_classify(commands: Any) -> None:
    out = "prediction and probabilities"
    add = _add_command(commands, "classify", "TRAIN TEST", "train on labelled series and label others", out)
    series = "labelled series (.ts, UCR .tsv or .csv), and series to label in the same format, perhaps labelled too"
    add.general("data", type=Path, nargs="+", metavar="FILE", help=f"TRAIN and TEST: {series}; with --load TEST alone")
    add.of_files("--label-col", default="label", metavar="COLUMN", help="labels in a CSV (default: label)")
    add.written("--metrics", action="store_true", help="compare with the labels of TEST: accuracy, F1, log loss")
    add.written("--plot", type=Path, metavar="PNG", help="the confusion matrix, where TEST has labels")
    alone = "train no network: fit a head to the pretrained encoder, in seconds"
    add.of_new("--pretrained-only", action="store_const", const=True, help=alone)


def _add_forecast(commands: Any) -> None:
    add = _add_command(commands, "forecast", "DATA", "forecast series, by pretrained weights", "forecasts and bands")
    add.general("data", type=Path, metavar="DATA", nargs="?", help="CSV with a column of times; not needed with --load")
    horizon = "time points to forecast (default: 24, or those of a loaded model)"
    add.general("--horizon", type=int, metavar="N", help=horizon)
    bands = "bands in per cent (default: 80 95)"
    add.general("--level", type=float, nargs="+", metavar="PERCENT", help=bands)
    add.written("--metrics", action="store_true", help="errors of the last horizon of DATA, beside seasonal naive's")
    add.written("--plot", type=Path, metavar="PNG", help="the first twelve series with their forecasts")
    add.of_files("--freq", help="frequency, where there are gaps, such as MS, D or h")
    add.of_files("--future", type=Path, metavar="CSV", help="the rows ahead with --future-cols, as in DATA")
    targets = "columns of values (default: y with --id-col, else all)"
    add.of_new("--target-cols", nargs="+", metavar="COLUMN", help=targets)
    add.of_new("--past-cols", nargs="+", metavar="COLUMN", help="covariates known up to the present")
    add.of_new("--future-cols", nargs="+", metavar="COLUMN", help="covariates known ahead; needs --future")
    add.of_new("--static-cols", nargs="+", metavar="COLUMN", help="covariates that do not change in time")
    add.of_new("--holidays", nargs="+", metavar="PLACE", help="countries or parts of them, such as DE or US-CA")
    seasons = "time points of a season; 1 for none (default: as usual)"
    add.of_new("--season", type=int, nargs="+", metavar="STEPS", help=seasons)
    fills = "for missing values: ffill, interpolate or a number (default: none, they stay missing)"
    add.of_new("--fill", type=_fill, metavar="HOW", help=fills)


def _add_detect(commands: Any) -> None:
    out = "score, higher = more anomalous, and anomaly, 0 or 1"
    add = _add_command(commands, "detect", "DATA", "find anomalies in series, by pretrained weights", out)
    add.general("data", type=Path, metavar="DATA", help="CSV with a column of times and a column for each channel")
    add.written("--metrics", action="store_true", help="compare with --label-col: precision, recall, average precision")
    reasons = "of each anomaly its kind, channel, start and end, and what was expected"
    add.written("--reasons", type=Path, metavar="CSV", help=reasons)
    add.written("--plot", type=Path, metavar="PNG", help="the first six series with their anomalies")
    add.of_files("--freq", help="frequency, where there are gaps, such as MS, D or h")
    known = "column of known anomalies, 1, and others, 0: for --metrics"
    add.of_files("--label-col", metavar="COLUMN", help=known)
    add.of_new("--channels", nargs="+", metavar="COLUMN", help="columns to judge (default: all others)")
    until = "rows up to it, a date being the whole day, are normal; later ones are judged"
    add.of_new("--train-until", metavar="TIME", help=until)
    fraction = "as --train-until: the first part of a series"
    add.of_new("--train-fraction", type=float, metavar="F", help=fraction)
    odd = "anomalous fraction of the normal rows (default: none), or else of all rows (default: 0.01)"
    add.of_new("--contamination", type=float, metavar="F", help=odd)
    length = "time points compared at a time (default: as the data ask for)"
    add.of_new("--window-length", type=_steps, metavar="N", help=length)


def _add_embed(commands: Any) -> None:
    out = "a row of features for each case, after its label where there is one"
    add = _add_command(commands, "embed", "DATA", "turn series into features, for other tools", out)
    add.general("data", type=Path, metavar="DATA", help="series, .ts, UCR .tsv or .csv")
    add.of_files("--label-col", default="label", metavar="COLUMN", help="labels in a CSV (default: label)")


def _add_command(commands: Any, name: str, files: str, what: str, out: str) -> Groups:
    """Add a command with what all have. Its usage is a line: options are many, and a mistake must not list them all."""
    usage = f"tsformer {name} {files} --out CSV [options], or tsformer {name} --help"
    command = commands.add_parser(name, help=what, description=what, usage=usage)
    titles = ("what to write", "files", "a new model, without --load")
    names: list[list[str]] = [[], [], []]
    groups = map(command.add_argument_group, titles)
    add = Groups(command.add_argument, *(partial(_add, *each) for each in zip(groups, names, strict=True)))
    usual = {"id_col": "unique_id", "time_col": "ds"}  # the columns, where a file has them and no others are named
    command.set_defaults(
        **dict(zip(("written", "of_files", "of_new"), names, strict=True)), usual=usual, unnamed_times=False
    )
    add.general("--load", type=Path, metavar="MODEL", help="use a saved model as it is")
    add.general("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
    add.general("--quiet", action="store_true", help="show no progress")
    add.written("--out", type=Path, metavar="CSV", help=out)
    add.written("--save", type=Path, metavar="MODEL", help="what was fitted, for --load or tsformer.load")
    add.of_files("--id-col", metavar="COLUMN", help="tells series apart (default: unique_id, where there is one)")
    add.of_files("--time-col", metavar="COLUMN", help="times (default: ds; for cases only with --id-col)")
    add.of_files("--sep", type=_separator, help="separator of a CSV (default: found in its first lines)")
    add.of_files("--decimal", choices=(".", ","), help="decimal mark of a CSV (default: found)")
    add.of_files("--date-format", help="of times, such as %%d.%%m.%%Y (default: ISO 8601; integers count)")
    add.of_files("--drop-cols", nargs="+", metavar="COLUMN", help="columns of a CSV to leave out")
    add.of_new("--max-steps", type=_steps, metavar="N", help="training steps (default: as the data ask for)")
    add.of_new("--seed", type=int, help="random_state of the estimator (default: 0)")
    return add


def _add(group: Any, names: list[str], *flags: str, **how: Any) -> None:
    names.append(group.add_argument(*flags, **how).dest)


def option_of(name: str) -> str:
    """An attribute as the option that sets it."""
    return f"--{name.replace('_', '-')}"


def given(options: argparse.Namespace, names: list[str]) -> list[str]:
    """Return those of some options that are given."""
    values = {name: getattr(options, name) for name in names}  # 0 is given, though it equals False
    return [option_of(name) for name, value in values.items() if value is not None and value is not False]


def _steps(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, or auto. Got {text!r}.") from None


def _fill(text: str) -> str | float:
    try:
        return text if text in ("ffill", "interpolate") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be ffill, interpolate or a number. Got {text!r}.") from None


def _separator(text: str) -> str:
    sep = text.replace("\\t", "\t")
    if len(sep) != 1 or sep in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one character, such as ';' or '\\t'. Got {text!r}.")
    return sep
