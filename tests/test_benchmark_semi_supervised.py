"""benchmarks/semi_supervised.py: which labels it hides, what it scores, and the tables it makes."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import semi_supervised

DATASETS = Path(__file__).parents[1] / "datasets"
y = np.repeat(["a", "b", "c"], 8)


def test_hide__some_labels__keeps_as_many_of_each_known_class_by_seed():
    hidden = semi_supervised.hide(y, np.array(["a", "b"]), 3, seed=0)
    kept = hidden != semi_supervised.UNLABELLED
    assert (hidden[kept] == y[kept]).all()
    assert [(hidden == label).sum() for label in "abc"] == [3, 3, 0]
    assert (semi_supervised.hide(y, np.array(["a", "b"]), 3, seed=0) == hidden).all()
    assert (semi_supervised.hide(y, np.array(["a", "b"]), 3, seed=1) != hidden).any()


@pytest.mark.parametrize(("n_classes", "n_known"), [(2, 2), (3, 2), (6, 4), (9, 6)])
def test_familiar__strangers__are_the_last_third_of_the_classes(n_classes, n_known):
    labels = np.array(list("abcdefghi"))[:n_classes]
    assert semi_supervised.familiar(labels, False).tolist() == labels.tolist()
    assert semi_supervised.familiar(labels, True).tolist() == labels[:n_known].tolist()


def test_main__folds__scores_a_part_of_train_and_goes_on_where_it_stopped(tmp_path, capsys, monkeypatch):
    opened = []
    load = semi_supervised.load_classification
    monkeypatch.setattr(semi_supervised, "load_classification", lambda *how: opened.append(how[1]) or load(*how))
    monkeypatch.setattr(semi_supervised, "measure_fresh", semi_supervised.measure)
    out = tmp_path / "r.csv"
    arguments = ["--data", str(DATASETS), "--datasets", "ItalyPowerDemand", "--folds", "--labels", "2", "30"]
    arguments += ["--seeds", "0", "--methods", "supervised, frozen", "default, frozen", "--out", str(out)]

    assert semi_supervised.main(arguments) == 0
    assert set(opened) == {"train"}
    rows = semi_supervised.ROWS.read(out)
    assert {(row["method"], row["labels"], row["scored"]) for row in rows} == {
        ("supervised, frozen", "2", "fold"),
        ("default, frozen", "2", "fold"),  # of 30 labels a class there are not enough cases
    }
    assert all(0.0 <= float(row["accuracy"]) <= 1.0 and row["n_labelled"] == "4" for row in rows)
    assert "| 2              | 1        |" in (tmp_path / "r.md").read_text()
    assert semi_supervised.main(arguments) == 0
    assert "2 of 2 rows are there, 0 to go." in capsys.readouterr().out


def test_rocket_in_self_training__real_series__labels_and_classifies():
    pytest.importorskip("aeon")
    X, labels = semi_supervised.load_classification("BasicMotions", "train", DATASETS)
    hidden = semi_supervised.hide(labels, np.unique(labels), 3, seed=0)
    rival = semi_supervised.RocketInSelfTraining(random_state=0).fit(X, hidden)
    assert np.mean(rival.predict(X) == labels) >= 0.9
