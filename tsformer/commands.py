"""What the command line does: the options of a command in, files and lines of text out."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)

from tsformer import metrics, plotting
from tsformer.archive import check_place
from tsformer.data import tables
from tsformer.data.files import SUFFIXES, read_series
from tsformer.data.forecasts import requested_quantiles
from tsformer.data.messages import quoted, shown
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.detector import TransformerDetector
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.persistence import load, save

WITHOUT_TRAINING = 0.01  # contamination where no rows are said to be normal
MOST_SHOWN = 5
OF_TRAINING: tuple[str, ...] = ("max_steps", "season", "holidays", "contamination", "train_until", "train_fraction")
OF_TRAINING += ("pretrained_only", "window_length")  # which --load leaves none of


def classify(options: argparse.Namespace) -> None:
    """Train on one file, or take a saved model, and label the series of another."""
    _check_written(options)
    if options.pretrained_only and options.max_steps is not None:
        raise ValueError("--max-steps has no effect with --pretrained-only, which trains no network. Drop one of them.")
    train, test = _train_and_test(options)
    classifier = _loaded(options, TransformerClassifier)
    X, y = (None, None) if train is None else _read(train, options, labelled=True)
    X_test, y_test = (None, None) if test is None else _read(test, options, labelled=False)
    if X is not None and X_test is not None:
        _check_alike(X, X_test, options)
    if (options.metrics or options.plot) and y_test is None:
        raise ValueError(
            "--metrics and --plot compare with the labels of TEST, of which there are none; see --label-col."
        )
    if classifier is None:
        networks: dict[str, Any] = {"n_estimators": 0} if options.pretrained_only else {}
        classifier = TransformerClassifier(**networks, **_shared(options))
    if options.time_col is not None:
        classifier.set_params(id_col=options.id_col, time_col=options.time_col)
    if X is not None and y is not None:
        start = time.perf_counter()
        classifier.fit(X, y)
        print(f"Trained on {len(y)} cases in {time.perf_counter() - start:.0f} s.")
    _save(classifier, options)
    if X_test is None:
        return
    table = classifier.predict_frame(X_test)
    if options.out is not None:
        table.to_csv(options.out, index_label=options.id_col or "case")
        print(f"Wrote {len(table)} predictions to {options.out}.")
    if y_test is not None:
        _compare_labels(table, np.asarray(y_test), classifier.classes_, options)


def _train_and_test(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Tell which files are given, and that what is written has one to come from."""
    files, n = options.files, len(options.files)
    if n > 2 or (options.load and n > 1):
        given = " ".join(map(str, files))
        raise ValueError(f"Pass TRAIN and TEST, or with --load TEST alone. Got {given}.")
    train, test = (None, files[0]) if options.load else (files[0], files[1] if n == 2 else None)
    if test is None and not (options.save and not options.out and not options.metrics and not options.plot):
        raise ValueError(f"Pass a file to label after {train}, or --save alone, to keep the model for later.")
    return train, test


def _check_alike(X: Any, X_test: Any, options: argparse.Namespace) -> None:
    train, test = options.files
    if isinstance(X, pd.DataFrame) != isinstance(X_test, pd.DataFrame):
        raise ValueError(f"TRAIN and TEST must both be .csv, or neither. Got {train} and {test}.")
    if not isinstance(X, pd.DataFrame) and len(X[0]) != len(X_test[0]):
        raise ValueError(f"{test} has series of {len(X_test[0])} channels, but {train} of {len(X[0])}.")


def _compare_labels(table: pd.DataFrame, y: Any, classes: Any, options: argparse.Namespace) -> None:
    """Say, and draw, how well labels are predicted."""
    predicted = table["prediction"].to_numpy()
    scores = {"accuracy": accuracy_score(y, predicted)}
    if options.metrics:
        scores["balanced accuracy"] = balanced_accuracy_score(y, predicted)
        scores["macro F1"] = f1_score(y, predicted, average="macro")
        if set(y) <= set(classes):
            scores["log loss"] = log_loss(y, table.iloc[:, 1:].to_numpy(), labels=classes)
    print(f"Against the {len(y)} labels: {_listed(scores)}.")
    if options.plot is not None:
        figure, ax = plotting.require_matplotlib().subplots(layout="constrained")
        ConfusionMatrixDisplay.from_predictions(y, predicted, ax=ax, colorbar=False, xticks_rotation=45)
        _draw(figure, options.plot, "the confusion matrix")


def embed(options: argparse.Namespace) -> None:
    """Turn series into features, by the pretrained encoder or a saved model."""
    _check_written(options)
    model = _loaded(options, TransformerPretrainer, TransformerClassifier)
    X, y = _read(options.data, options, labelled=False)
    is_new = model is None
    if model is None:
        model = TransformerPretrainer(pretrained="bundled", **({"max_steps": 0} | _shared(options)))
    if options.time_col is not None:
        model.set_params(id_col=options.id_col, time_col=options.time_col)
    if is_new:
        model.fit(X)
    _save(model, options)
    features = model.set_output(transform="pandas").transform(X)
    if y is not None:
        features.insert(0, options.label_col, np.asarray(y))
    if options.out is not None:
        features.to_csv(options.out, index_label=options.id_col or "case")
        print(f"Wrote {features.shape[1] - (y is not None)} features of {len(features)} cases to {options.out}.")


def _read(path: Path, options: argparse.Namespace, labelled: bool) -> tuple[Any, Any]:
    """Read cases and their labels, None where a file that may be without has none."""
    if path.suffix in SUFFIXES:
        return read_series(path, labelled)
    if path.suffix != ".csv":
        raise ValueError(f"{path} must be one of {', '.join(SUFFIXES)}, .csv. Got the suffix {path.suffix!r}.")
    texts = [options.label_col, options.id_col, options.date_format and options.time_col]
    df = _table(path, options, texts)
    columns = {"label": options.label_col, "id": options.id_col, "time": options.time_col}
    return tables.labelled_cases(df, path, labelled, **columns, date_format=options.date_format)


def forecast(options: argparse.Namespace) -> None:
    """Forecast the series of a file, or those that a saved model knows."""
    _check_written(options)
    requested_quantiles(None, options.level)  # an error of these must not come after training
    forecaster = _loaded(options, TransformerForecaster)
    if forecaster is not None:
        _take_columns(forecaster, options)
    elif options.data is None:
        raise ValueError("Pass DATA, or --load with a saved model, whose series it then forecasts.")
    df, freq = (None, None)
    if options.data is not None:
        df, freq = _read_series(options, options.data, _values_of(options), exact=True)
    if df is None and options.metrics:
        raise ValueError("--metrics compares with the end of DATA, which is not given.")
    future = _read_future(options)
    horizon = options.horizon if options.horizon is not None else 24 if forecaster is None else forecaster.horizon
    if forecaster is None:
        forecaster = TransformerForecaster(horizon=horizon, freq=freq, **_columns(options), **_shared(options)).fit(df)
    else:
        forecaster.set_params(horizon=horizon, **({} if freq is None else {"freq": freq}))
    _save(forecaster, options)
    given = None if options.load is None else df
    if options.out is not None:
        table = pd.DataFrame(forecaster.predict(given, future=future, level=options.level))
        if isinstance(table.columns, pd.MultiIndex):
            table.columns = [name if kind == "point" else f"{name}-{kind}" for name, kind in table.columns]
        table.to_csv(options.out, index=options.id_col is None)
        print(f"Wrote {len(table)} rows of forecasts to {options.out}.")
    if options.metrics and df is not None:
        print(_forecast_errors(forecaster, df, options))
    if options.plot is not None:
        ids = forecaster.series_.ids if df is None else [] if options.id_col is None else df[options.id_col].unique()
        first = list(ids if options.id_col is not None else forecaster.series_.names)[: plotting.MAX_PANELS]
        how = {"future": future, "level": options.level, "series": first}
        display = plotting.ForecastDisplay.from_estimator(forecaster, given, **how)
        _draw(display.figure_, options.plot, f"{len(first)} series")


def _forecast_errors(forecaster: TransformerForecaster, df: pd.DataFrame, options: argparse.Namespace) -> str:
    """Forecast the last horizon of df, by a model trained on what comes before, and compare with seasonal naive."""
    refit = options.load is None and forecaster.n_iter_ > 0
    backtest = forecaster.backtest(df, level=options.level, refit=refit)
    columns = {} if options.id_col is None else {"id_col": options.id_col, "time_col": options.time_col}
    season = forecaster.lengths_.season
    scores = metrics.evaluate(backtest, df, season=season, freq=forecaster.freq, **columns).iloc[0]
    shown = {"MASE": "mase", "MAE": "mae", "WAPE": "wape"}
    shown |= {f"in {level:g} %": f"coverage_{level:g}" for level in options.level}
    rows = {"forecast": "", "seasonal naive": "naive_"}
    table = pd.DataFrame({name: [scores[of + key] for of in rows.values()] for name, key in shown.items()}, list(rows))
    return f"The last {forecaster.horizon} time points of each series, had they not come yet:\n{table.round(3)}"


def _take_columns(forecaster: TransformerForecaster, options: argparse.Namespace) -> None:
    """Read DATA as the frame of fit was."""
    form = forecaster.series_.form
    if form.layout == "long":
        options.id_col, options.time_col = form.id_col, form.time_col
        options.target_cols = list(form.columns)
    elif options.time_col is None:
        options.time_col = forecaster.series_.times[0].name
    names = [list(columns) or None for columns in form.covariates]
    options.past_cols, options.future_cols, options.static_cols = names


def _columns(options: argparse.Namespace) -> dict[str, Any]:
    """Which columns are what, as parameters."""
    names = ("id_col", "time_col", "target_cols", "past_cols", "future_cols", "static_cols", "holidays")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.season is not None:
        given["season"] = options.season[0] if len(options.season) == 1 else options.season
    if options.id_col is None:
        del given["time_col"]  # which is the index
    elif len(targets := given.setdefault("target_cols", ["y"])) == 1:
        given["target_cols"] = targets[0]
    return given


def _values_of(options: argparse.Namespace) -> list[str] | None:
    """Columns to read beside ids and times; None is all."""
    covariates = [*(options.past_cols or []), *(options.future_cols or []), *(options.static_cols or [])]
    targets = options.target_cols or (None if options.id_col is None else ["y"])
    return None if targets is None else [*targets, *covariates]


def _read_future(options: argparse.Namespace) -> pd.DataFrame | None:
    """Read the rows ahead, which covariates known ahead ask for."""
    if options.future_cols is not None and options.future is None:
        raise ValueError(f"{options.future_cols} are known ahead: name the file of their rows to come with --future.")
    if options.future_cols is None and options.future is not None:
        raise ValueError("--future holds rows of columns known ahead. Name these with --future-cols.")
    return None if options.future is None else _read_series(options, options.future, options.future_cols)[0]


def detect(options: argparse.Namespace) -> None:
    """Find anomalies in the series of a file."""
    _check_written(options)
    if options.reasons is not None and not (options.load or options.train_until or options.train_fraction):
        raise ValueError("--reasons compares with normal rows. Say which they are: --train-until or --train-fraction.")
    detector = _loaded(options, TransformerDetector)
    df, freq = _read_series(options, options.data, options.channels, *(name for name in [options.label_col] if name))
    known = _known_anomalies(df, options)
    df = df.drop(columns=options.label_col or [])
    columns = {} if options.id_col is None else {"id_col": options.id_col, "time_col": options.time_col}
    if detector is None:
        detector, table, in_training, until = _learnt(df, freq, columns, options)
    else:
        detector.set_params(**columns, **({} if freq is None else {"freq": freq}))
        table, in_training, until = detector.score_samples(df), None, None
    _save(detector, options)
    judged = np.ones(len(df), dtype=bool) if in_training is None else ~in_training
    table = table if options.id_col is not None else table.to_frame()
    table = table.assign(score=-table["score"], anomaly=(table["score"] < detector.offset_).astype(int))
    if options.out is not None:
        table.to_csv(options.out, index=options.id_col is None)
        rows = f"{len(table)} rows" if until is None else f"{len(table)} rows {until}"
        print(f"Wrote scores of {rows} to {options.out}.")
    print(_found(table, options))
    if options.reasons is not None:
        _write_reasons(detector, df, judged, options)
    if known is not None and options.metrics:
        print(_detection_scores(table, known[judged]))
    if options.plot is not None:
        first = None if options.id_col is None else list(df[options.id_col].unique()[: plotting.MAX_PANELS])
        display = plotting.AnomalyDisplay.from_estimator(detector, df, series=first)
        _draw(display.figure_, options.plot, "them" if first is None else f"{len(first)} series")


def _learnt(
    df: pd.DataFrame, freq: str | int | None, columns: dict[str, Any], options: argparse.Namespace
) -> tuple[TransformerDetector, Any, Any, str | None]:
    """Learn what is normal; return the detector, scores, which rows (n,) were said to be normal, and that in words."""
    length: dict[str, Any] = {} if options.window_length is None else {"window_length": options.window_length}
    detector = TransformerDetector(freq=freq, **columns, **length, **_shared(options))
    in_training, until = _training_rows(df, options)
    if options.contamination is not None or until is None:
        detector.set_params(contamination=WITHOUT_TRAINING if options.contamination is None else options.contamination)
    if until is None:
        return detector, detector.fit_score_samples(df), None, None
    detector.fit(df[in_training])
    return detector, detector.score_samples(df)[~in_training], in_training, until


def _write_reasons(detector: TransformerDetector, df: pd.DataFrame, judged: Any, options: argparse.Namespace) -> None:
    """Write what the detector says of anomalies that end in rows that are judged (n,)."""
    reasons, rows = detector.explain(df), df.reset_index()[judged]
    keys = [] if options.id_col is None else [options.id_col]
    ends = pd.MultiIndex.from_frame(reasons[[*keys, "end"]])
    reasons = reasons[ends.isin(pd.MultiIndex.from_frame(rows[[*keys, options.time_col]]))]
    reasons.to_csv(options.reasons, index=False)
    print(f"Wrote {len(reasons)} rows of reasons to {options.reasons}.")


def _known_anomalies(df: pd.DataFrame, options: argparse.Namespace) -> Any:
    """Labels of rows (n,), where a column has them."""
    if options.label_col is None:
        if options.metrics:
            raise ValueError("--metrics compares with known anomalies. Name their column, of 0 and 1: --label-col.")
        return None
    known = df[options.label_col]
    if not known.isin([0, 1]).all():
        wrong = known[~known.isin([0, 1])].iloc[0]
        raise ValueError(
            f"Column {quoted(options.label_col)} must hold 1 for anomalies and 0 for others. Got {quoted(wrong)}."
        )
    return known.to_numpy(int)


def _detection_scores(table: pd.DataFrame, known: Any) -> str:
    scored = table["score"].notna().to_numpy()
    known, found, score = known[scored], table["anomaly"].to_numpy()[scored], table["score"].to_numpy()[scored]
    if not known.any():
        return "No row that was judged is labelled as an anomaly: there is nothing to compare with."
    scores = {"precision": precision_score(known, found, zero_division=0), "recall": recall_score(known, found)}
    scores["average precision of the scores"] = average_precision_score(known, score)
    return f"Against the {int(known.sum())} rows labelled as anomalies: {_listed(scores)}."


def _training_rows(df: pd.DataFrame, options: argparse.Namespace) -> tuple[Any, str | None]:
    """Which rows (n,) are normal, and which are judged, in words; None where all are both."""
    times = df.index.to_series() if options.id_col is None else df[options.time_col]
    groups = pd.Series(0, times.index) if options.id_col is None else df[options.id_col]
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
    rows = table if options.id_col is not None else table.rename_axis(options.time_col).reset_index()
    rows = rows.sort_values([name for name in (options.id_col, options.time_col) if name], kind="stable")
    series = rows[options.id_col] if options.id_col is not None else pd.Series(0, rows.index)
    begins = (rows["anomaly"] != rows["anomaly"].shift()) | (series != series.shift())
    stretches = [part for _, part in rows.groupby(begins.cumsum()) if part["anomaly"].iloc[0]]
    if not stretches:
        return "No anomalies."
    places = []
    for part in sorted(stretches, key=lambda part: -part["score"].max())[:MOST_SHOWN]:
        first, last = (shown(part[options.time_col].iloc[i]) for i in (0, -1))
        where = f"{quoted(part[options.id_col].iloc[0])}, " if options.id_col is not None else ""
        places.append(f"{where}{first}" + (f" to {last}" if first != last else ""))
    more = f"; and {len(stretches) - MOST_SHOWN} more" if len(stretches) > MOST_SHOWN else ""
    kind = "anomaly" if len(stretches) == 1 else "anomalies, highest scores first"
    return f"{len(stretches)} {kind}: {'; '.join(places)}{more}."


# What commands share.


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    progress = sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other
    given = {"device": options.device, "random_state": options.seed, "verbose": progress}
    return given | ({} if options.max_steps is None else {"max_steps": options.max_steps})


def _check_written(options: argparse.Namespace) -> None:
    """Check what is to be written, before minutes of training."""
    plot = getattr(options, "plot", None)
    for place in (options.out, options.save, plot, getattr(options, "reasons", None)):
        if place is not None:
            check_place(place)
    if plot is not None:
        _check_plot(plot)
    if options.load is None:
        return
    if idle := [f"--{name.replace('_', '-')}" for name in OF_TRAINING if getattr(options, name, None) is not None]:
        raise ValueError(f"{' and '.join(idle)} has no effect on a model that is loaded. Drop it, or --load.")


def _check_plot(path: Path) -> None:
    known = [f".{name}" for name in sorted(plotting.require_matplotlib().Figure().canvas.get_supported_filetypes())]
    if path.suffix.lower() not in known:
        raise ValueError(f"--plot must end in one of {', '.join(known)}. Got {path}.")


def _loaded(options: argparse.Namespace, *kinds: type) -> Any:
    """Load the model of --load, which must be of one of some classes; None without."""
    if options.load is None:
        return None
    model = load(options.load, device=options.device)
    if not isinstance(model, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(
            f"{options.load} holds a {type(model).__name__}, but tsformer {options.command} takes a {names}."
        )
    return model


def _save(estimator: Any, options: argparse.Namespace) -> None:
    if options.save is not None:
        save(estimator, options.save)
        print(f"Saved the {type(estimator).__name__} in {options.save}.")


def _draw(figure: Any, path: Path, what: str) -> None:
    figure.savefig(path, dpi=150)
    print(f"Drew {what} in {path}.")


def _listed(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {score:.3f}" for name, score in scores.items())


def _table(path: Path, options: argparse.Namespace, texts: list[str | None]) -> pd.DataFrame:
    """Read a CSV file without the columns to leave out, which the first file must have, and others may lack."""
    df = tables.read_table(path, sep=options.sep, decimal=options.decimal, as_text=texts)
    dropped = options.drop_cols or []
    if path == (options.files[0] if options.command == "classify" else options.data):
        tables.check_columns(df, path, dict.fromkeys(dropped, "--drop-cols"))
    df = df.drop(columns=dropped, errors="ignore")
    if set(df.columns) <= {getattr(options, "label_col", None)}:
        raise ValueError(f"{path} has no columns of values{' but those of --drop-cols' if dropped else ''}.")
    return df


def _read_series(
    options: argparse.Namespace, path: Path, values: list[str] | None, *more: str, exact: bool = False
) -> tuple[pd.DataFrame, str | int | None]:
    """Read a frame of series, long with ids and wide without, and the frequency of its times.

    `values` names its columns, None is all; those that it does not name are left out, or refused if it is to be exact.
    """
    texts = [options.id_col, options.date_format and (options.time_col or "ds")]
    df, freq = _table(path, options, texts), options.freq
    if options.time_col is None:
        options.time_col, df = "ds", df if "ds" in df else df.rename(columns={tables.UNNAMED: "ds"})
    keys = [options.time_col] if options.id_col is None else [options.time_col, options.id_col]
    wanted = [*(values or []), *more]
    df = tables.without_row_numbers(df, [*keys, *wanted])
    tables.check_columns(df, path, {name: _option_of(name, options) for name in [*keys, *wanted]})
    named = list(dict.fromkeys([*keys, *(df.columns.drop(keys) if values is None else wanted)]))
    if exact and (further := [name for name in df.columns if name not in named]):
        raise ValueError(f"{path} has the further columns {further}. {_way_out(further, options)}")
    tables.check_numbers(df, named[len(keys) :], path)
    df = df.assign(**{options.time_col: tables.read_dates(df[options.time_col], options.date_format)})
    if pd.api.types.is_integer_dtype(df[options.time_col]) and freq is not None and freq.isdecimal():
        freq = int(freq)
    return df[named].set_index(options.time_col) if options.id_col is None else df[named], freq


def _way_out(further: list[str], options: argparse.Namespace) -> str:
    drop = f"--drop-cols {shlex.join(further)}"
    if options.load is not None:
        return f"The model knows none of them. Leave them out: {drop}."
    ids = "" if options.id_col is not None else " If one of them tells series apart, name it with --id-col."
    kinds = "--future-cols, --past-cols, --static-cols or --target-cols"
    return f"Name them with {kinds}, or leave them out: {drop}.{ids}"


def _option_of(column: str, options: argparse.Namespace) -> str:
    """Return the option that names a column; by default a target."""
    for name in ("time_col", "id_col", "label_col", "past_cols", "future_cols", "static_cols", "channels"):
        if column == (given := getattr(options, name, None)) or (isinstance(given, list) and column in given):
            return f"--{name.replace('_', '-')}"
    return "--target-cols"


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "classify": classify,
    "forecast": forecast,
    "detect": detect,
    "embed": embed,
}
