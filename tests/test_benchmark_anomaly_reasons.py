"""benchmarks/anomaly_reasons.py: explanations are compared with what was made."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import anomaly_reasons
import anomaly_sets
from anomaly_sets import Anomaly

from tsformer.data.anomalies import KINDS

TABLE = pd.DataFrame(
    {
        "start": [100, 118, 300],
        "end": [104, 127, 301],
        "kind": ["spike", "level shift", "spike"],
        "score": [9.0, 5.0, 4.0],
        "channel": [0, 1, 0],
    }
)


def test_names__of_all_made_kinds__are_those_of_the_detector():
    assert set(anomaly_reasons.NAMES) == set(anomaly_sets.KINDS)
    assert set(anomaly_reasons.NAMES.values()) <= set(KINDS)


def test_compared__several_near__takes_the_one_that_overlaps_most():
    row = anomaly_reasons.compared(Anomaly("level shift", 120, 130, (1,)), TABLE, 20)
    assert (row["found"], row["named"], row["right"], row["right_channel"]) == (1, "level shift", 1, 1)
    assert row["iou"] == pytest.approx(8 / 12, abs=1e-3)


def test_compared__only_beside__is_found_without_overlap():
    row = anomaly_reasons.compared(Anomaly("flat", 305, 310, (0,)), TABLE, 20)
    assert (row["found"], row["right"], row["iou"]) == (1, 0, 0.0)


def test_compared__nothing_near__is_not_found():
    row = anomaly_reasons.compared(Anomaly("flat", 500, 510, (0,)), TABLE, 20)
    assert (row["found"], row["named"]) == (0, "")
