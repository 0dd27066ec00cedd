"""benchmarks/gpu.py, whose steps run on the CPU too, when they are small."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import gpu


@pytest.mark.slow
def test_check__no_gpu__times_every_way_of_a_step_and_counts_its_flops(tmp_path):
    assert gpu.main(["--check", "--out", str(tmp_path / "gpu.csv")]) == 0
    rows = pd.read_csv(tmp_path / "gpu.csv").set_index("question")
    assert set(rows.index) == {"step, as it is", "step, loss read", "step, masks asked", "step, masks known", "flops"}
    assert (rows["value"] > 0).all()
