"""The command line: `tsformer classify TRAIN TEST --out CSV` and `tsformer forecast DATA --out CSV`."""

import argparse
import re
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer import __version__, plotting
from tsformer.archive import check_place
from tsformer.data import tables
from tsformer.data.files import SUFFIXES, read_series
from tsformer.data.forecasts import requested_quantiles
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 after an error, which is told in one line."""
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _tell("warning", message)
        try:
            check_place(options.out)  # before minutes of training
            options.command(options)
        except (ValueError, TypeError, OSError, ImportError) as error:
            _tell("error", error)
            return 2
    return 0


def _tell(what: str, message: Warning | Exception | str) -> None:
    print(f"tsformer: {what}: {_in_options(' '.join(str(message).split()))}", file=sys.stderr)


def _in_options(message: str) -> str:
    """Put options in place of the parameters behind them, which messages name as Python spells them."""
    options = {"id_col": "id", "time_col": "time", "target_cols": "target", "random_state": "seed"}
    options |= {name: name for name in ("device", "freq", "horizon", "level", "max_steps", "season")}

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
    classify.set_defaults(command=_classify)

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
    forecast.set_defaults(command=_forecast)

    for command in (classify, forecast):
        command.add_argument("--sep", type=_separator, help="separator of a CSV (default: found in its first lines)")
        command.add_argument("--decimal", choices=(".", ","), help="decimal mark of a CSV (default: found)")
        command.add_argument("--date-format", help="of times, such as %%d.%%m.%%Y (default: ISO 8601; integers count)")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
        command.add_argument("--seed", type=int, default=0, help="random_state of the estimator (default: 0)")
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


def _separator(text: str) -> str:
    sep = text.replace("\\t", "\t")
    if len(sep) != 1 or sep in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one character, such as ';' or '\\t'. Got {text!r}.")
    return sep


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    progress = sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other
    return {"device": options.device, "random_state": options.seed, "verbose": progress}


def _classify(options: argparse.Namespace) -> None:
    (X, y), (X_test, y_test) = (_read(path, options, path == options.train) for path in (options.train, options.test))
    classifier = TransformerClassifier(**_shared(options))
    index = None
    if isinstance(X, pd.DataFrame) and isinstance(X_test, pd.DataFrame):
        if options.time is not None:
            classifier.set_params(id_col=options.id, time_col=options.time)
        index = X_test[options.id].unique() if options.time is not None else X_test.index
    elif isinstance(X, pd.DataFrame) or isinstance(X_test, pd.DataFrame):
        raise ValueError(f"TRAIN and TEST must both be .csv, or neither. Got {options.train} and {options.test}.")
    elif len(X[0]) != len(X_test[0]):
        raise ValueError(f"{options.test} has series of {len(X_test[0])} channels, but {options.train} of {len(X[0])}.")
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    probabilities = classifier.predict_proba(X_test)
    predictions = classifier.classes_[probabilities.argmax(axis=1)]
    table = pd.DataFrame(probabilities, index, [f"probability_{label}" for label in classifier.classes_])
    table.insert(0, "prediction", predictions)
    table.to_csv(options.out, index_label=options.id or "case")
    print(f"Trained on {len(y)} cases in {seconds:.0f} s; wrote {len(table)} predictions to {options.out}.")
    if y_test is not None:
        print(f"Accuracy against the labels in {options.test.name}: {(predictions == y_test).mean():.3f}")


def _read(path: Path, options: argparse.Namespace, labelled: bool) -> tuple[Any, Any]:
    """Read cases and their labels, None where a file that may be without has none."""
    if path.suffix in SUFFIXES:
        return read_series(path, labelled)
    if path.suffix != ".csv":
        raise ValueError(f"{path} must be one of {', '.join(SUFFIXES)}, .csv. Got the suffix {path.suffix!r}.")
    texts = [options.label, options.id, options.date_format and options.time]
    df = tables.read_table(path, sep=options.sep, decimal=options.decimal, as_text=texts)
    columns = {"label": options.label, "id": options.id, "time": options.time}
    return tables.labelled_cases(df, path, labelled, **columns, date_format=options.date_format)


def _forecast(options: argparse.Namespace) -> None:
    df, freq = _read_series(options)
    requested_quantiles(None, options.level)  # an error of these must not come after training either
    if options.plot is not None:
        check_place(options.plot)
        known = [f".{name}" for name in sorted(plotting.require_matplotlib().Figure().canvas.get_supported_filetypes())]
        if options.plot.suffix.lower() not in known:
            raise ValueError(f"--plot must end in one of {', '.join(known)}. Got {options.plot}.")
    by_id = options.id is not None
    columns = {"id_col": options.id, "time_col": options.time, "target_cols": options.target or "y"} if by_id else {}
    if options.season is not None:
        columns["season"] = options.season[0] if len(options.season) == 1 else options.season
    if options.max_steps is not None:
        columns["max_steps"] = options.max_steps
    forecaster = TransformerForecaster(horizon=options.horizon, freq=freq, **columns, **_shared(options)).fit(df)
    forecast = pd.DataFrame(forecaster.predict(level=options.level))
    if isinstance(forecast.columns, pd.MultiIndex):
        forecast.columns = [name if kind == "point" else f"{name}-{kind}" for name, kind in forecast.columns]
    forecast.to_csv(options.out, index=not by_id)
    print(f"Wrote {len(forecast)} rows of forecasts to {options.out}.")
    if options.plot is not None:
        first = list(df[options.id].unique() if by_id else df.columns)[: plotting.MAX_PANELS]
        display = plotting.ForecastDisplay.from_estimator(forecaster, level=options.level, series=first)
        display.figure_.savefig(options.plot, dpi=150)
        print(f"Drew {len(first)} series in {options.plot}.")


def _read_series(options: argparse.Namespace) -> tuple[pd.DataFrame, str | int | None]:
    """Read the frame to forecast, long with ids and wide without, and the frequency of its times."""
    if options.target is not None and options.id is None:
        raise ValueError("--target names the values of a file with --id, without which each column is a series.")
    texts = [options.id, options.date_format and (options.time or "ds")]
    df, freq = tables.read_table(options.data, sep=options.sep, decimal=options.decimal, as_text=texts), options.freq
    if options.time is None:
        options.time = tables.UNNAMED if "ds" not in df and tables.UNNAMED in df else "ds"
    named = [options.time] if options.id is None else [options.time, options.id, options.target or "y"]
    df = tables.without_row_numbers(df, named)
    tables.check_columns(df, options.data, named)
    tables.check_numbers(df, df.columns.drop(options.time) if options.id is None else named[2:], options.data)
    df[options.time] = tables.read_dates(df[options.time], options.date_format)
    if pd.api.types.is_integer_dtype(df[options.time]) and freq is not None and freq.isdecimal():
        freq = int(freq)
    if options.id is not None:
        return df[named], freq
    df = df.set_index(options.time)
    return df.rename_axis("ds") if options.time == tables.UNNAMED else df, freq


if __name__ == "__main__":
    sys.exit(main())
