import copy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import forecasting_ablation as ablation

from tsformer.models.simple_forecasts import NAMES, simple_forecasts


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Arguments of a short run of a small network, scored on few made series."""
    months = pd.date_range("2010-01-01", periods=60, freq="MS")
    y = 100 + np.random.default_rng(0).normal(size=(3, 60)).cumsum(axis=1)
    series = pd.concat([pd.DataFrame({"unique_id": f"s{i}", "ds": months, "y": row}) for i, row in enumerate(y)])
    series.assign(freq="MS", split="train").to_csv(tmp_path / "m3.csv.gz", index=False)
    config = ablation.pretrain.read_config("forecaster")
    config["network"] |= {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    config |= {"series": {"tokens": 100}, "validation": {"datasets": ["m3-monthly"], "n_series": 3}}
    monkeypatch.setattr(ablation.pretrain, "read_config", lambda kind: copy.deepcopy(config))
    given = {"data": tmp_path, "work": tmp_path / "work", "out": tmp_path / "r.csv", "steps": 6}
    return [f"--{name}={value}" for name, value in given.items()]


def test_ablation__all_variants__are_scored_and_not_trained_again(arguments, tmp_path, capsys):
    assert ablation.main(arguments) == 0
    rows = pd.read_csv(tmp_path / "r.csv").set_index("variant")
    assert tuple(rows.index) == ablation.VARIANTS
    assert rows["m3-monthly"].nunique() >= 4  # in so few steps there may be no roll-out to do without
    assert "| as is " in capsys.readouterr().out

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("checkpoint.pt")}
    assert len(kept) == 4
    ablation.main(arguments)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    pd.testing.assert_series_equal(
        pd.read_csv(tmp_path / "r.csv").set_index("variant")["m3-monthly"], rows["m3-monthly"]
    )


def test_lags_only__other_methods__become_the_season_before():
    y = torch.randn(2, 60, dtype=torch.float64).cumsum(1)
    whole = simple_forecasts(y, torch.ones_like(y, dtype=torch.bool), 12, 6)
    shown = ablation.lags_only(y, torch.ones_like(y, dtype=torch.bool), 12, 6)
    for i, name in enumerate(NAMES):
        source = name if name in ablation.SHOWN else "lag_1"
        torch.testing.assert_close(shown.forecasts[..., i], whole.forecasts[..., NAMES.index(source)])
    assert not any(part.any() for name, part in shown._asdict().items() if name != "forecasts")


def test_configuration__variants__change_what_they_say_and_nothing_else():
    plain = ablation.configuration("as is", 0, 100)
    for variant in ablation.VARIANTS:
        config = ablation.configuration(variant, 0, 100)
        changed = {
            (part, key)
            for part in ("network", "training")
            for key in config[part]
            if config[part][key] != plain[part][key]
        }
        assert changed == {
            ablation.TEACHER_FORCING: {("training", "scheduled_sampling")},
            ablation.HALF: {("network", name) for name in ("d_model", "n_heads", "d_ff")},
        }.get(variant, set())
