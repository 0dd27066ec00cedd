"""benchmarks/temperature.py: the temperature it finds, and what it says that this takes off the log loss."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import temperature

rng = np.random.default_rng(0)
HONEST = rng.dirichlet([1, 1, 1], 2000)
Y = np.array([rng.choice(3, p=each) for each in HONEST])


def test_tempered__probabilities_too_sure__are_cooled_down_to_what_they_should_be():
    too_sure = HONEST**2 / (HONEST**2).sum(axis=1, keepdims=True)
    row = temperature.tempered(too_sure, Y, np.arange(3))
    assert row["temperature"] == pytest.approx(2.0, abs=0.2)
    assert row["tempered"] == pytest.approx(temperature.tempered(HONEST, Y, np.arange(3))["log_loss"], rel=0.01)
    assert row["tempered"] < 0.9 * row["log_loss"]


def test_tempered__honest_probabilities__gain_nothing():
    row = temperature.tempered(HONEST, Y, np.arange(3))
    assert row["tempered"] == pytest.approx(row["log_loss"], rel=0.01)


def test_tempered__all_right__is_no_worse_than_before():
    row = temperature.tempered(np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 1], [0, 1])
    assert row["tempered"] <= row["log_loss"] == pytest.approx(0.0, abs=1e-9)


def test_summary__rows__are_averaged_over_sets():
    rows = pd.DataFrame({"archive": ["uea", "ucr"], "log_loss": [1.0, 0.5], "tempered": [0.9, 0.3]})
    assert "| all     | 0.750    | 0.600    | 0.200 |" in temperature.summary(rows)
