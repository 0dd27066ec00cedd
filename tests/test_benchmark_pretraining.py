"""benchmarks/pretraining.py: which rows it asks for, whose they are, and the tables it makes of them."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import machine
import pretraining
import uea

from tsformer.datasets import load_classification

DATASETS = Path(__file__).parents[1] / "datasets"


def version(name):
    return machine.version(name, uea.ESTIMATORS)


def test_parts__labels__are_asked_for_where_each_class_has_as_many(tmp_path):
    sizes = {name: pretraining.smallest_class(name, DATASETS) for name in uea.datasets_in(DATASETS)}
    labels = sorted(sizes.values())[-1]
    options = Namespace(
        data=[DATASETS],
        out=tmp_path / "r.csv",
        threads=1,
        seeds=[0, 1],
        methods=["frozen", "MiniRocket, same head"],
        labels=[labels],
    )
    whole, few = map(uea.parse, pretraining.parts(options))
    assert whole.estimators == [pretraining.METHODS[name] for name in ("frozen", "MiniRocket, same head")]
    assert whole.labels is None
    assert few.estimators == [pretraining.METHODS["frozen"]]
    assert (few.labels, few.seeds) == ([labels], [0, 1])
    assert set(few.datasets) == {name for name, size in sizes.items() if size >= labels}


def test_random_weights__control__is_ours_and_differs_from_the_pretrained():
    assert version(pretraining.METHODS["random weights"]) == version("TransformerClassifier")
    X = np.random.default_rng(0).normal(size=(6, 1, 40))
    control = uea.build({"estimator": pretraining.METHODS["random weights"], "seed": 1, "threads": 1})
    frozen = uea.build({"estimator": pretraining.METHODS["frozen"], "seed": 1, "threads": 1})
    shapes = [estimator.fit(X, [0, 1] * 3).transform(X) for estimator in (control, frozen)]
    assert shapes[0].shape == shapes[1].shape
    assert np.abs(shapes[0] - shapes[1]).max() > 0.1


def row(dataset, method, labels, accuracy):
    task = {"dataset": dataset, "archive": "ucr", "estimator": pretraining.METHODS[method], "seed": 0, "labels": labels}
    measured = {"accuracy": accuracy, "fit_seconds": 2.0, "predict_seconds": 1.0, "peak_memory_mb": 100.0}
    (blank,) = uea.ROWS.blank(task | {"version": "tsformer 0.1.0"})
    return blank | measured


def tables_in(summary):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in summary.splitlines() if line.startswith("|")]


def test_summarise__rows__become_means_over_what_all_have(tmp_path):
    rows = [row("One", "frozen", "", 0.9), row("Two", "frozen", "", 0.5), row("One", "frozen", 2, 0.7)]
    rows += [row("One", "MiniRocket", "", 0.8), row("One", "MiniRocket", 2, 0.6)]
    uea.ROWS.write(tmp_path / "r.csv", rows)
    tables = tables_in(pretraining.summarise(tmp_path / "r.csv"))
    assert tables[0] == ["training cases", "datasets", "frozen", "MiniRocket"]
    assert ["all", "1", "0.9000", "0.8000"] in tables
    assert ["2 a class", "1", "0.7000", "0.6000"] in tables
    assert (tmp_path / "r.md").exists()


def test_summarise__rows_of_a_method_that_is_gone__are_in_the_tables(tmp_path):
    uea.ROWS.write(tmp_path / "r.csv", [row("One", "frozen", "", 0.9), row("One", "fine-tuned", "", 0.8)])
    tables = tables_in(pretraining.summarise(tmp_path / "r.csv"))
    assert tables[0] == ["training cases", "datasets", "frozen", "fine-tuned"]
    assert ["all", "1", "0.9000", "0.8000"] in tables
    with pytest.raises(SystemExit):
        pretraining.main(["--data", str(DATASETS), "--out", str(tmp_path / "r.csv"), "--methods", "fine-tuned"])


def test_rocket_features__same_head__classifies_real_series():
    pytest.importorskip("aeon")
    X, y = load_classification("BasicMotions", "train", DATASETS)
    rival = uea.build({"estimator": pretraining.METHODS["MiniRocket, same head"], "seed": 0, "threads": 1})
    assert version(pretraining.METHODS["MiniRocket, same head"]) == version("TransformerClassifier")
    assert rival.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) >= 0.9
