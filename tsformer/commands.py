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
from tsformer.data.messages import quoted, shown
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.detector import TransformerDetector
from tsformer.estimators.forecaster import TransformerForecaster

WITHOUT_TRAINING = 0.01  # contamination where no rows are said to be normal
MOST_SHOWN = 5


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
    if options.target is not None and options.id is None:
        raise ValueError("--target names the values of a file with --id, without which each column is a series.")
    df, freq = _read_series(options, None if options.id is None else [options.target or "y"])
    requested_quantiles(None, options.level)  # an error of these must not come after training either
    _check_plot(options.plot)
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


def detect(options: argparse.Namespace) -> None:
    """Find anomalies in the series of a file."""
    check_place(options.out)
    _check_plot(options.plot)
    df, freq = _read_series(options, options.channels)
    by_id = options.id is not None
    columns = {"id_col": options.id, "time_col": options.time} if by_id else {}
    detector = TransformerDetector(freq=freq, **columns, **_shared(options))
    in_training, until = _training_rows(df, options)
    if options.contamination is not None or until is None:
        detector.set_params(contamination=WITHOUT_TRAINING if options.contamination is None else options.contamination)
    if until is None:
        table = detector.fit_score_samples(df)
    else:
        detector.fit(df[in_training])
        table = detector.score_samples(df)[~in_training]
    table = table if by_id else table.to_frame()
    table = table.assign(score=-table["score"], anomaly=(table["score"] < detector.offset_).astype(int))
    table.to_csv(options.out, index=not by_id)
    judged = f"{len(table)} rows" if until is None else f"{len(table)} rows {until}"
    print(f"Wrote scores of {judged} to {options.out}.\n{_found(table, options)}")
    if options.plot is not None:
        first = list(df[options.id].unique()[: plotting.MAX_PANELS]) if by_id else None
        display = plotting.AnomalyDisplay.from_estimator(detector, df, series=first)
        display.figure_.savefig(options.plot, dpi=150)
        print(f"Drew {'them' if first is None else f'{len(first)} series'} in {options.plot}.")


def _training_rows(df: pd.DataFrame, options: argparse.Namespace) -> tuple[Any, str | None]:
    """Which rows (n,) are normal, and which are judged, in words; None where all are both."""
    times = df.index.to_series() if options.id is None else df[options.time]
    groups = pd.Series(0, times.index) if options.id is None else df[options.id]
    if options.train_until is not None:
        text = pd.Series([options.train_until], name="--train-until")
        if pd.api.types.is_integer_dtype(times):
            if not options.train_until.lstrip("-").isdecimal():
                raise ValueError(
                    f"--train-until must be a whole number, as the times are. Got {options.train_until!r}."
                )
            text = text.astype(int)
        last = tables.read_dates(text, options.date_format).iloc[0]
        in_training, words = times <= last, f"after {shown(last)}"
    elif options.train_fraction is not None:
        if not 0.0 < options.train_fraction < 1.0:
            raise ValueError(f"--train-fraction must be a number between 0 and 1. Got {options.train_fraction}.")
        ranks, counts = (times.groupby(groups.to_numpy()).transform(of) for of in ("rank", "count"))
        in_training, words = ranks <= options.train_fraction * counts, f"after the first {options.train_fraction:.0%}"
    else:
        return None, None
    if not in_training.any() or in_training.all():
        raise ValueError(
            f"Some rows of {options.data} must be normal ones to learn from, and some others to judge. Got "
            f"{int(in_training.sum())} of {len(df)} {words.replace('after', 'up to')}."
        )
    return in_training.to_numpy(), words


def _found(table: pd.DataFrame, options: argparse.Namespace) -> str:
    """Say how many stretches of anomalies there are, and where the most anomalous ones."""
    rows = table if options.id is not None else table.rename_axis(options.time).reset_index()
    rows = rows.sort_values([name for name in (options.id, options.time) if name], kind="stable")
    series = rows[options.id] if options.id is not None else pd.Series(0, rows.index)
    begins = (rows["anomaly"] != rows["anomaly"].shift()) | (series != series.shift())
    stretches = [part for _, part in rows.groupby(begins.cumsum()) if part["anomaly"].iloc[0]]
    if not stretches:
        return "No anomalies."
    places = []
    for part in sorted(stretches, key=lambda part: -part["score"].max())[:MOST_SHOWN]:
        first, last = (shown(part[options.time].iloc[i]) for i in (0, -1))
        where = f"{quoted(part[options.id].iloc[0])}, " if options.id is not None else ""
        places.append(f"{where}{first}" + (f" to {last}" if first != last else ""))
    more = f"; and {len(stretches) - MOST_SHOWN} more" if len(stretches) > MOST_SHOWN else ""
    kind = "anomaly" if len(stretches) == 1 else "anomalies, highest scores first"
    return f"{len(stretches)} {kind}: {'; '.join(places)}{more}."


def _check_plot(path: Path | None) -> None:
    if path is None:
        return
    check_place(path)
    known = [f".{name}" for name in sorted(plotting.require_matplotlib().Figure().canvas.get_supported_filetypes())]
    if path.suffix.lower() not in known:
        raise ValueError(f"--plot must end in one of {', '.join(known)}. Got {path}.")


def _read_series(options: argparse.Namespace, values: list[str] | None) -> tuple[pd.DataFrame, str | int | None]:
    """Read a frame of series, long with ids and wide without, and the frequency of its times; None is all columns."""
    texts = [options.id, options.date_format and (options.time or "ds")]
    df, freq = tables.read_table(options.data, sep=options.sep, decimal=options.decimal, as_text=texts), options.freq
    if options.time is None:
        options.time, df = "ds", df if "ds" in df else df.rename(columns={tables.UNNAMED: "ds"})
    keys = [options.time] if options.id is None else [options.time, options.id]
    df = tables.without_row_numbers(df, [*keys, *(values or [])])
    tables.check_columns(df, options.data, [*keys, *(values or [])])
    named = [*keys, *(df.columns.drop(keys) if values is None else values)]
    tables.check_numbers(df, named[len(keys) :], options.data)
    df = df.assign(**{options.time: tables.read_dates(df[options.time], options.date_format)})
    if pd.api.types.is_integer_dtype(df[options.time]) and freq is not None and freq.isdecimal():
        freq = int(freq)
    return df[named].set_index(options.time) if options.id is None else df[named], freq


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "classify": classify,
    "forecast": forecast,
    "detect": detect,
}
