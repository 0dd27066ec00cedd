"""What the command line does: the options of a command in, files and a line of text out."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer import plotting
from tsformer.archive import check_place
from tsformer.data.files import READERS, Labelled
from tsformer.data.forecasts import requested_quantiles
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    progress = sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other
    return {"device": options.device, "random_state": options.seed, "verbose": progress}


def classify(options: argparse.Namespace) -> None:
    """Train on one file and label the series of another."""
    check_place(options.out)  # before minutes of training
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


def forecast(options: argparse.Namespace) -> None:
    """Forecast the series of a file."""
    check_place(options.out)
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
    table = pd.DataFrame(forecaster.predict(level=options.level))
    if isinstance(table.columns, pd.MultiIndex):
        table.columns = [name if kind == "point" else f"{name}-{kind}" for name, kind in table.columns]
    table.to_csv(options.out, index=not by_id)
    print(f"Wrote {len(table)} rows of forecasts to {options.out}.")
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


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"classify": classify, "forecast": forecast}
