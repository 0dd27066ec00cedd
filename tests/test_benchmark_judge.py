"""benchmarks/judge.py: what defaults are chosen by, without a TEST file; made tasks are what their kind says."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import judge
import made_tasks

from tsformer.datasets import load_classification

DATASETS = Path(__file__).parents[1] / "datasets"


def test_judge__folds_and_made_tasks__are_scored_and_no_test_file_is_opened(tmp_path, monkeypatch, capsys):
    opened = []

    def train_alone(name, split, folder):
        opened.append(split)
        return load_classification(name, split, folder)

    monkeypatch.setattr(judge, "load_classification", train_alone)
    out = tmp_path / "choice.csv"
    sets = ["ItalyPowerDemand", "level 20"]
    wanted = ["--datasets", *sets, "--estimators", "TransformerClassifier(n_estimators=0)", "--seeds", "0", "1"]
    assert judge.main(["--data", str(DATASETS), "--out", str(out), *wanted]) == 0
    rows = pd.read_csv(out)
    assert set(zip(rows["dataset"], rows["seed"], strict=True)) == {(name, seed) for name in sets for seed in (0, 1)}
    assert (rows["accuracy"] > 0.6).all()
    assert set(opened) == {"train"}
    assert "made: TransformerClassifier(n_estimators=0)" in capsys.readouterr().out


@pytest.mark.parametrize("kind", made_tasks.KINDS)
def test_make_task__of_each_kind__is_finite_balanced_and_drawn_by_the_seed(kind):
    task, same, other = (made_tasks.make_task(kind, 20, seed) for seed in (0, 0, 1))
    assert task.X.shape[0] == 20
    assert task.X_test.shape[0] == made_tasks.N_TEST
    assert np.isfinite(task.X).all()
    assert abs(np.concatenate([task.y, task.y_test]).mean() - 0.5) < 0.01
    assert np.array_equal(task.X, same.X)
    assert task.X.shape != other.X.shape or not np.array_equal(task.X, other.X)
