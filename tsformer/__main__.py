"""The command line: `tsformer classify TRAIN TEST --out CSV` and `tsformer forecast DATA --out CSV`."""

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tsformer import plotting
from tsformer.data.files import READERS, Labelled
from tsformer.data.forecasts import quantiles_of
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 after an error, which is told in one line."""
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _tell("warning", message)
        try:
            _check_folder(options.out)  # before minutes of training
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
    classify.add_argument("train", type=Path, metavar="TRAIN", help="labelled series, .ts or UCR .tsv")
    classify.add_argument("test", type=Path, metavar="TEST", help="series to label, in the same formats")
    classify.add_argument("--out", type=Path, required=True, help="CSV to write: prediction and probabilities")
    classify.set_defaults(command=_classify)

    forecast = commands.add_parser("forecast", help="train on series and forecast them")
    forecast.add_argument("data", type=Path, metavar="DATA", help="CSV with a column of times")
    forecast.add_argument("--horizon", type=int, default=24, help="time points to forecast (default: 24)")
    forecast.add_argument("--time", default="ds", metavar="COLUMN", help="column of times (default: ds)")
    forecast.add_argument(
        "--id", metavar="COLUMN", help="column that tells series apart; without it, each other column"
    )
    forecast.add_argument("--target", metavar="COLUMN", help="with --id: column of values (default: y)")
    forecast.add_argument(
        "--date-format", help="of the times, such as %%d.%%m.%%Y (default: ISO 8601; whole numbers are counts)"
    )
    forecast.add_argument("--freq", help="frequency, where there are gaps, such as MS, D or h")
    forecast.add_argument("--level", type=float, nargs="+", default=[80, 95], help="bands in per cent (default: 80 95)")
    forecast.add_argument("--out", type=Path, required=True, help="CSV to write: forecasts and bands")
    forecast.add_argument("--plot", type=Path, metavar="PNG", help="picture to write, of the first six series")
    forecast.set_defaults(command=_forecast)

    for command in (classify, forecast):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
        command.add_argument("--seed", type=int, default=0, help="random_state of the estimator (default: 0)")
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


def _classify(options: argparse.Namespace) -> None:
    X, y = _read(options.train)
    X_test, y_test = _read(options.test)
    if len(X[0]) != len(X_test[0]):
        raise ValueError(f"{options.test} has series of {len(X_test[0])} channels, but {options.train} of {len(X[0])}.")
    classifier = TransformerClassifier(
        device=options.device, random_state=options.seed, verbose=_shows_progress(options)
    )
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    probabilities = classifier.predict_proba(X_test)
    predictions = classifier.classes_[probabilities.argmax(axis=1)]
    table = pd.DataFrame(probabilities, columns=[f"probability_{label}" for label in classifier.classes_])
    table.insert(0, "prediction", predictions)
    table.to_csv(options.out, index_label="case")
    print(f"Trained on {len(y)} cases in {seconds:.0f} s; wrote {len(table)} predictions to {options.out}.")
    print(f"Accuracy against the labels in {options.test.name}: {(predictions == y_test).mean():.3f}")


def _forecast(options: argparse.Namespace) -> None:
    if options.target is not None and options.id is None:
        raise ValueError(
            "--target names the values of a file with --id. Without --id each column beside the times is a series; "
            "leave out those that are none."
        )
    target = options.target or "y"
    df = _read_csv(options)
    named = [options.time] if options.id is None else [options.time, options.id, target]
    if absent := [column for column in named if column not in df.columns]:
        raise ValueError(
            f"{options.data} has no column {absent}. It has {list(df.columns)}, as commas part them; see --time, --id, "
            "--target."
        )
    freq: str | int | None = options.freq
    if not pd.api.types.is_integer_dtype(df[options.time]):
        df[options.time] = _dates(df[options.time], options.date_format or "ISO8601")
    elif options.freq is not None and options.freq.isdecimal():
        freq = int(options.freq)
    df = df.set_index(options.time) if options.id is None else df[named]
    forecaster = TransformerForecaster(
        horizon=options.horizon,
        id_col=options.id or "unique_id",
        time_col=options.time,
        target_col=target,
        freq=freq,
        device=options.device,
        random_state=options.seed,
        verbose=_shows_progress(options),
    )
    quantiles_of(options.level)  # an error of these must not come after training either
    if options.plot is not None:
        _check_folder(options.plot)
        _check_picture(options.plot)
    forecast = pd.DataFrame(forecaster.fit(df).predict(level=options.level))
    if isinstance(forecast.columns, pd.MultiIndex):
        forecast.columns = [name if kind == "point" else f"{name}-{kind}" for name, kind in forecast.columns]
    forecast.to_csv(options.out, index=options.id is None)
    print(f"Wrote {len(forecast)} rows of forecasts to {options.out}.")
    if options.plot is not None:
        first = list(df.columns if options.id is None else df[options.id].unique())[: plotting.MAX_PANELS]
        display = plotting.ForecastDisplay.from_estimator(forecaster, level=options.level, series=first)
        display.figure_.savefig(options.plot, dpi=150)
        print(f"Drew {len(first)} series in {options.plot}.")


def _check_folder(path: Path) -> None:
    """Raise a ValueError where the folder that a file is to be written to is not there."""
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {path.parent}.")


def _check_picture(path: Path) -> None:
    """Raise a ValueError where matplotlib writes no files of a suffix."""
    known = plotting.require_matplotlib().Figure().canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise ValueError(f"--plot must end in one of {', '.join(f'.{name}' for name in sorted(known))}. Got {path}.")


def _shows_progress(options: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other


def _read_csv(options: argparse.Namespace) -> pd.DataFrame:
    """Read a CSV: ids as they are spelt, and times too where they have a format of their own. 007 is no number."""
    path, as_text = options.data, [] if options.date_format is None else [options.time]
    as_text += [] if options.id is None else [options.id]
    try:
        return pd.read_csv(path, converters=dict.fromkeys(as_text, lambda text: text or None))
    except ValueError as error:  # pandas' errors of parsing, and of bytes that are no text
        raise ValueError(f"{path} must be a CSV file whose first line names the columns. {error}") from error


def _dates(texts: pd.Series, date_format: str) -> pd.Series:
    """Read dates of one format: guessed ones are taken for others, days for months."""
    try:
        return pd.to_datetime(texts, format=date_format)
    except ValueError as error:
        unread = pd.to_datetime(texts, format=date_format, errors="coerce", utc=True).isna()
        if not unread.any():
            raise ValueError(
                f"Column {texts.name!r} has times of several offsets. Write all of them in UTC."
            ) from error
        raise ValueError(
            f"Column {texts.name!r} has times that are not of the format {date_format}, the first being "
            f"{str(texts[unread].iloc[0])!r}. Name theirs with --date-format, such as %d.%m.%Y."
        ) from error


def _read(path: Path) -> Labelled:
    if path.suffix not in READERS:
        raise ValueError(f"{path} must be one of {', '.join(sorted(READERS))}. Got the suffix {path.suffix!r}.")
    return READERS[path.suffix](path)


if __name__ == "__main__":
    sys.exit(main())
