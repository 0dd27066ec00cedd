"""The command line: `tsformer classify TRAIN TEST --out CSV` and `tsformer forecast DATA --out CSV`."""

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer import plotting
from tsformer.archive import check_place
from tsformer.data.files import READERS, Labelled
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
    print(f"tsformer: {what}: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsformer", description="Transformers for time series.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="train on labelled series and label others")
    add = classify.add_argument
    add("train", type=Path, metavar="TRAIN", help="labelled series, .ts or UCR .tsv")
    add("test", type=Path, metavar="TEST", help="series to label, in the same formats")
    add("--out", type=Path, required=True, help="CSV to write: prediction and probabilities")
    classify.set_defaults(command=_classify)

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
    forecast.set_defaults(command=_forecast)

    for command in (classify, forecast):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
        command.add_argument("--seed", type=int, default=0, help="random_state of the estimator (default: 0)")
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    progress = sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other
    return {"device": options.device, "random_state": options.seed, "verbose": progress}


def _classify(options: argparse.Namespace) -> None:
    (X, y), (X_test, y_test) = (_read(path) for path in (options.train, options.test))
    if len(X[0]) != len(X_test[0]):
        raise ValueError(f"{options.test} has series of {len(X_test[0])} channels, but {options.train} of {len(X[0])}.")
    start = time.perf_counter()
    classifier = TransformerClassifier(**_shared(options)).fit(X, y)
    seconds = time.perf_counter() - start
    probabilities = classifier.predict_proba(X_test)
    predictions = classifier.classes_[probabilities.argmax(axis=1)]
    table = pd.DataFrame(probabilities, columns=[f"probability_{label}" for label in classifier.classes_])
    table.insert(0, "prediction", predictions)
    table.to_csv(options.out, index_label="case")
    print(f"Trained on {len(y)} cases in {seconds:.0f} s; wrote {len(table)} predictions to {options.out}.")
    print(f"Accuracy against the labels in {options.test.name}: {(predictions == y_test).mean():.3f}")


def _read(path: Path) -> Labelled:
    if path.suffix not in READERS:
        raise ValueError(f"{path} must be one of {', '.join(sorted(READERS))}. Got the suffix {path.suffix!r}.")
    return READERS[path.suffix](path)


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
    df, freq = _read_csv(options), options.freq
    named = [options.time] if options.id is None else [options.time, options.id, options.target or "y"]
    if absent := [column for column in named if column not in df.columns]:
        found = f"It has {list(df.columns)}, as commas part them"
        raise ValueError(f"{options.data} has no column {absent}. {found}; see --time, --id, --target.")
    if not pd.api.types.is_integer_dtype(df[options.time]):
        df[options.time] = _dates(df[options.time], options.date_format or "ISO8601")
    elif freq is not None and freq.isdecimal():
        freq = int(freq)
    return df.set_index(options.time) if options.id is None else df[named], freq


def _read_csv(options: argparse.Namespace) -> pd.DataFrame:
    """Read a CSV: ids as they are spelt, and times too where they have a format of their own. 007 is no number."""
    as_text = [options.id, *([options.time] if options.date_format else [])]
    try:
        return pd.read_csv(options.data, converters={name: lambda text: text or None for name in as_text if name})
    except ValueError as error:  # pandas' errors of parsing, and of bytes that are no text
        raise ValueError(f"{options.data} must be a CSV file whose first line names the columns. {error}") from error


def _dates(texts: pd.Series, date_format: str) -> pd.Series:
    """Read dates of one format: guessed ones are taken for others, days for months."""
    try:
        return pd.to_datetime(texts, format=date_format)
    except ValueError as error:
        unread = texts[pd.to_datetime(texts, format=date_format, errors="coerce", utc=True).isna()]
        reason = "of several offsets. Write all of them in UTC."
        if len(unread):
            reason = f"that are not of the format {date_format}, the first being {str(unread.iloc[0])!r}. Name theirs "
            reason += "with --date-format, such as %d.%m.%Y."
        raise ValueError(f"Column {texts.name!r} has times {reason}") from error


if __name__ == "__main__":
    sys.exit(main())
