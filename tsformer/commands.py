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
from tsformer.data import tables
from tsformer.data.files import SUFFIXES, read_series
from tsformer.data.forecasts import requested_quantiles
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    progress = sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other
    return {"device": options.device, "random_state": options.seed, "verbose": progress}


def classify(options: argparse.Namespace) -> None:
    """Train on one file and label the series of another."""
    check_place(options.out)  # before minutes of training
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
    if options.season is not None:
        columns["season"] = options.season[0] if len(options.season) == 1 else options.season
    if options.max_steps is not None:
        columns["max_steps"] = options.max_steps
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
    texts = [options.id, options.date_format and (options.time or "ds")]
    df, freq = tables.read_table(options.data, sep=options.sep, decimal=options.decimal, as_text=texts), options.freq
    if options.time is None:
        options.time, df = "ds", df if "ds" in df else df.rename(columns={tables.UNNAMED: "ds"})
    named = [options.time] if options.id is None else [options.time, options.id, options.target or "y"]
    df = tables.without_row_numbers(df, named)
    tables.check_columns(df, options.data, named)
    tables.check_numbers(df, df.columns.drop(options.time) if options.id is None else named[2:], options.data)
    df = df.assign(**{options.time: tables.read_dates(df[options.time], options.date_format)})
    if pd.api.types.is_integer_dtype(df[options.time]) and freq is not None and freq.isdecimal():
        freq = int(freq)
    return df.set_index(options.time) if options.id is None else df[named], freq


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"classify": classify, "forecast": forecast}
