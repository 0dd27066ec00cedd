"""`tsformer detect`: series in, scores, anomalies and reasons out."""

import argparse
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, precision_score, recall_score

from tsformer import plotting
from tsformer.commands.files import as_series, columns_of, read_table
from tsformer.commands.models import check_written, draw, listed, loaded, parameters, save
from tsformer.commands.options import given
from tsformer.data import tables
from tsformer.data.messages import quoted, shown
from tsformer.estimators.detector import TransformerDetector
from tsformer.plotting.axes import page_of

WITHOUT_TRAINING = 0.01  # contamination where no rows are said to be normal
MOST_SHOWN = 5


def run(options: argparse.Namespace) -> None:
    """Find anomalies in the series of a file."""
    check_written(options)
    _check_normal(options)
    detector = loaded(options, TransformerDetector)
    df, freq = _read(detector, options)
    known = _known_anomalies(df, options)
    df = df.drop(columns=options.label_col or [])
    is_normal, until = _normal_rows(df, options)
    if detector is None:
        detector, scores = _learnt(df, freq, is_normal, options)
    else:
        detector.set_params(**columns_of(options), **({} if freq is None else {"freq": freq}))
        scores = detector.score_samples(df)
    save(detector, options)
    judged = np.ones(len(df), dtype=bool) if is_normal is None else ~is_normal
    table = (scores if options.id_col is not None else scores.to_frame())[judged]
    table = table.assign(score=-table["score"], anomaly=(table["score"] < detector.offset_).astype(int))
    if options.out is not None:
        table.to_csv(options.out, index=options.id_col is None)
        print(f"Wrote scores of {len(table)} rows{until} to {options.out}.")
    print(_found(table, options))
    if options.reasons is not None:
        _write_reasons(detector, df, judged, options)
    if known is not None and options.metrics:
        print(_metrics(table, known[judged]))
    if options.plot is not None:
        if is_normal is None and options.load is None:
            display = _drawn(df, table, -detector.offset_, options)
        else:
            display = plotting.AnomalyDisplay.from_estimator(detector, df)
        draw(display.figure_, options.plot, "them" if options.id_col is None else f"{len(display.panels)} series")


def _check_normal(options: argparse.Namespace) -> None:
    """Check that normal rows are named once, and where they are needed."""
    if options.train_until is not None and options.train_fraction is not None:
        raise ValueError("--train-until and --train-fraction both say which rows are normal. Drop one of them.")
    if options.reasons is not None and not given(options, ["load", "train_until", "train_fraction"]):
        raise ValueError("--reasons compares with normal rows. Say which they are: --train-until or --train-fraction.")


def _read(detector: TransformerDetector | None, options: argparse.Namespace) -> Any:
    """Read the channels of DATA, those of a loaded detector if they have names, and the labels; and the frequency."""
    table = read_table(options.data, options)
    channels = options.channels
    if detector is not None and all(isinstance(name, str) for name in detector.channels_):
        channels = detector.channels_
    values = None if channels is None else dict.fromkeys(channels, "--channels")
    return as_series(table, options.data, options, values, label=options.label_col)


def _learnt(
    df: pd.DataFrame, freq: str | int | None, is_normal: Any, options: argparse.Namespace
) -> tuple[TransformerDetector, Any]:
    """Learn what is normal, from some rows (n,) or all; return the detector and the scores of all rows."""
    settings = {"freq": freq} | columns_of(options) | parameters(options)
    if options.window_length is not None:
        settings["window_length"] = options.window_length
    if options.contamination is not None or is_normal is None:
        settings["contamination"] = WITHOUT_TRAINING if options.contamination is None else options.contamination
    detector = TransformerDetector(**settings)
    if is_normal is None:
        return detector, detector.fit_score_samples(df)
    return detector, detector.fit(df[is_normal]).score_samples(df)


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


def _metrics(table: pd.DataFrame, known: Any) -> str:
    scored = table["score"].notna().to_numpy()
    known, found, score = known[scored], table["anomaly"].to_numpy()[scored], table["score"].to_numpy()[scored]
    if not known.any():
        return "No row that was judged is labelled as an anomaly: there is nothing to compare with."
    scores = {"precision": precision_score(known, found, zero_division=0), "recall": recall_score(known, found)}
    scores["average precision of the scores"] = average_precision_score(known, score)
    return f"Against the {int(known.sum())} rows labelled as anomalies: {listed(scores)}."


def _normal_rows(df: pd.DataFrame, options: argparse.Namespace) -> tuple[Any, str]:
    """Which rows (n,) are normal, and which are judged, in words; None and '' where all are both."""
    times = df.index.to_series() if options.id_col is None else df[options.time_col]
    groups = pd.Series(0, times.index) if options.id_col is None else df[options.id_col]
    if options.train_until is not None:
        is_normal, words = _up_to(times, options), f" after {options.train_until}"
    elif options.train_fraction is not None:
        if not 0.0 < options.train_fraction < 1.0:
            raise ValueError(f"--train-fraction must be a number between 0 and 1. Got {options.train_fraction}.")
        ranks, counts = (times.groupby(groups.to_numpy()).transform(of) for of in ("rank", "count"))
        is_normal, words = ranks <= options.train_fraction * counts, f" after the first {options.train_fraction:.0%}"
    else:
        return None, ""
    if not is_normal.any() or is_normal.all():
        raise ValueError(
            f"Some rows of {options.data} must be normal ones to learn from, and some others to judge. Got "
            f"{int(is_normal.sum())} of {len(df)}{words.replace('after', 'up to')}."
        )
    return is_normal.to_numpy(), words


def _up_to(times: pd.Series, options: argparse.Namespace) -> pd.Series:
    """Which times (n,) are not after --train-until."""
    try:
        return tables.up_to(times, options.train_until, options.date_format)
    except ValueError as error:
        is_count = pd.api.types.is_integer_dtype(times)
        kind = "a whole number" if is_count else f"a time of the format {options.date_format or 'ISO8601'}"
        raise ValueError(f"--train-until must be {kind}, as the times are. Got {options.train_until!r}.") from error


def _found(table: pd.DataFrame, options: argparse.Namespace) -> str:
    """Say how many stretches of anomalies there are, and where the most anomalous ones."""
    stretches = _stretches(table, options)
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


def _stretches(table: pd.DataFrame, options: argparse.Namespace) -> list[pd.DataFrame]:
    """The rows of anomalies, those together that follow each other."""
    rows = table if options.id_col is not None else table.reset_index()
    rows = rows.sort_values(list(columns_of(options).values()), kind="stable")
    series = rows[options.id_col] if options.id_col is not None else pd.Series(0, rows.index)
    begins = (rows["anomaly"] != rows["anomaly"].shift()) | (series != series.shift())
    return [part for _, part in rows.groupby(begins.cumsum()) if part["anomaly"].iloc[0]]


def _drawn(df: pd.DataFrame, table: pd.DataFrame, threshold: float, options: argparse.Namespace) -> Any:
    """Draw series with the scores that they have got: of rows that it has learnt, a detector finds none odd."""
    times = df.index if options.id_col is None else pd.Index(df[options.time_col])
    values, panels = df.drop(columns=list(columns_of(options).values()), errors="ignore"), []
    all_ids = [None] if options.id_col is None else list(df[options.id_col].unique())
    on_page, title = page_of(range(len(all_ids)), 1, "series")
    ids = [all_ids[i] for i in on_page]
    for id in ids:
        mine = np.arange(len(df)) if id is None else np.flatnonzero(df[options.id_col] == id)
        mine = mine[times[mine].argsort()]
        series, score = values.iloc[mine].set_axis(times[mine]), table["score"].iloc[mine].set_axis(times[mine])
        none = pd.DataFrame({"score": [], "channel": []})
        panels.append(plotting.AnomalyPanel("" if id is None else str(id), series, score, threshold, none, []))
    display = plotting.AnomalyDisplay(panels, title).plot()
    axes = dict(zip(ids, display.axes_, strict=True))
    for part in _stretches(table, options):
        if ax := axes.get(None if options.id_col is None else part[options.id_col].iloc[0]):
            ax.axvspan(*part[options.time_col].iloc[[0, -1]], color="C3", alpha=0.2, lw=0.8)
    return display
