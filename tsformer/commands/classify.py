"""`tsformer classify`: labelled series and series to label in, labels and how good they are out."""

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, balanced_accuracy_score, f1_score, log_loss

from tsformer import plotting
from tsformer.commands.files import columns_of, read_cases
from tsformer.commands.models import check_written, draw, listed, loaded, parameters, save
from tsformer.estimators.classifier import TransformerClassifier


def run(options: argparse.Namespace) -> None:
    """Train on one file, or take a saved model, and label the series of another."""
    check_written(options)
    if options.pretrained_only and options.max_steps is not None:
        raise ValueError("--max-steps has no effect with --pretrained-only, which trains no network. Drop one of them.")
    train, test = _train_and_test(options)
    classifier = loaded(options, TransformerClassifier)
    X, y = (None, None) if train is None else read_cases(train, options, labelled=True, more=test is not None)
    X_test, y_test = None, None
    if test is not None:
        X_test, y_test = read_cases(test, options, labelled=False)
    if X_test is not None:
        _check_alike(X, X_test, classifier, options)
    if (options.metrics or options.plot) and y_test is None:
        raise ValueError(
            "--metrics and --plot compare with the labels of TEST, of which there are none; see --label-col."
        )
    if classifier is None:
        networks: dict[str, Any] = {"n_estimators": 0} if options.pretrained_only else {}
        classifier = TransformerClassifier(**networks, **parameters(options))
    classifier.set_params(**columns_of(options))
    if X is not None and y is not None:
        start = time.perf_counter()
        classifier.fit(X, y)
        print(f"Trained on {len(y)} cases in {time.perf_counter() - start:.0f} s.")
    save(classifier, options)
    if X_test is None:
        return
    table = classifier.predict_frame(X_test)
    if options.out is not None:
        table.to_csv(options.out, index_label=options.id_col or "case")
        print(f"Wrote {len(table)} predictions to {options.out}.")
    if y_test is not None:
        _compare(table, np.asarray(y_test), classifier.classes_, options)


def _train_and_test(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Tell which files are given, and that what is written has one to come from."""
    files, n = options.data, len(options.data)
    if n > 2 or (options.load and n > 1):
        given = " ".join(map(str, files))
        raise ValueError(f"Pass TRAIN and TEST, or with --load TEST alone. Got {given}.")
    train, test = (None, files[0]) if options.load else (files[0], files[1] if n == 2 else None)
    if test is None and not (options.save and not options.out and not options.metrics and not options.plot):
        raise ValueError(f"Pass a file to label after {train}, or --save alone, to keep the model for later.")
    return train, test


def _check_alike(X: Any, X_test: Any, classifier: Any, options: argparse.Namespace) -> None:
    """Check before training that TEST has the columns or channels of TRAIN, or those that a loaded model knows."""
    train, test = options.data[0], options.data[-1]
    keys, is_table = columns_of(options).values(), isinstance(X_test, pd.DataFrame)
    known = getattr(classifier, "feature_names_in_", None) if X is None else X
    if X is not None and isinstance(X, pd.DataFrame) != is_table:
        raise ValueError(f"TRAIN and TEST must both be .csv, or neither. Got {train} and {test}.")
    if is_table and known is not None:
        expected, got = ([name for name in names if name not in keys] for names in (known, X_test))
        where = "the saved model" if X is None else train
        if absent := [name for name in expected if name not in got]:
            raise ValueError(f"{test} has no column {absent[:5]}, which {where} has. Rename or add what is absent.")
        if further := [name for name in got if name not in expected]:
            drop = f"--drop-cols {shlex.join(further)}"
            raise ValueError(f"{test} has the further columns {further[:5]}, which {where} has not. Drop them: {drop}.")
    elif X is not None and not is_table and len(X[0]) != len(X_test[0]):
        raise ValueError(f"{test} has series of {len(X_test[0])} channels, but {train} of {len(X[0])}.")


def _compare(table: pd.DataFrame, y: Any, classes: Any, options: argparse.Namespace) -> None:
    """Say, and draw, how well labels are predicted."""
    predicted = table["prediction"].to_numpy()
    scores = {"accuracy": accuracy_score(y, predicted)}
    if options.metrics:
        scores["balanced accuracy"] = balanced_accuracy_score(y, predicted)
        scores["macro F1"] = f1_score(y, predicted, average="macro")
        if set(y) <= set(classes):
            scores["log loss"] = log_loss(y, table.iloc[:, 1:].to_numpy(), labels=classes)
    print(f"Against the {len(y)} labels: {listed(scores)}.")
    if options.plot is not None:
        figure, ax = plotting.require_matplotlib().subplots(layout="constrained")
        ConfusionMatrixDisplay.from_predictions(y, predicted, ax=ax, colorbar=False, xticks_rotation=45)
        draw(figure, options.plot, "the confusion matrix")
