"""scripts/pretrain: a stopped run goes on bit for bit, and what it writes says how it was made and can be used."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import pretrain
import pretrain_forecaster

from tsformer import TransformerForecaster, TransformerPretrainer
from tsformer.data.batch import Batch

SCRIPTS = Path(__file__).parents[1] / "scripts"
CPU = torch.device("cpu")
BUNDLED = SCRIPTS.parent / "datasets"
KINDS = sorted(pretrain.KINDS)
NAMES = [path.stem.removeprefix("pretrain_") for path in sorted(SCRIPTS.glob("pretrain_*.toml"))]


def tiny(kind: str, **training) -> dict:
    config = pretrain.read_config(kind)
    config["network"] |= {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    config["training"] |= {"steps": 5} | training
    config["checkpoints"] |= {"steps": 2, "validate": 2}
    if kind == "encoder":
        config["network"]["n_timepoints"] = 32
        config["series"]["n_timepoints"] = [24, 48]
        config["training"]["batch_size"] = 8
        config["validation"]["datasets"] = ["ItalyPowerDemand", "NoSuchSet"]
    else:
        config["series"]["tokens"] = 100
    return config


def run(kind: str, config: dict, out: Path, folders: list[Path] | None = None, until: int | None = None) -> dict:
    return pretrain.pretrain(kind, config, out, folders=folders or [], until=until, device=CPU)


def losses(state: dict) -> list[float]:
    return [row["loss"] for row in state["rows"]]


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("encoder", {"objective": "contrastive"}),
        ("encoder", {"objective": "reconstruction"}),
        ("forecaster", {}),
    ],
)
def test_pretrain__stopped_and_started_again__gives_the_same_weights_bit_for_bit(tmp_path, kind, changed):
    config = tiny(kind)
    config["network"] |= {"dropout": 0.1} | changed
    whole = run(kind, config, tmp_path / "whole")
    stopped = run(kind, config, tmp_path / "parts", until=1)
    assert stopped["step"] == 2
    torch.rand(5)
    resumed = run(kind, config, tmp_path / "parts")
    assert whole["step"] == resumed["step"] == 5
    for part in ("weights", "average"):
        for name, weights in whole[part].items():
            assert torch.equal(resumed[part][name], weights), name
    assert losses(whole) == losses(resumed)
    files = [(tmp_path / part / "weights.safetensors").read_bytes() for part in ("whole", "parts")]
    assert files[0] == files[1]


def test_pretrain__killed_before_log_and_card__writes_them_when_started_again(tmp_path):
    run("encoder", tiny("encoder"), tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in ("log.csv", "card.json")}
    (tmp_path / "log.csv").unlink()
    (tmp_path / "card.json").write_text('{"finished": false}')
    run("encoder", tiny("encoder"), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("kind", KINDS)
def test_pretrain__seed__decides_and_the_global_random_state_is_left_alone(tmp_path, kind):
    before = torch.get_rng_state()
    first, again = (losses(run(kind, tiny(kind), tmp_path / name)) for name in ("first", "again"))
    other = losses(run(kind, tiny(kind) | {"seed": 1}, tmp_path / "other"))
    assert torch.equal(torch.get_rng_state(), before)
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", KINDS)
def test_pretrain__segments__have_series_of_their_own_and_one_schedule(tmp_path, kind):
    state = run(kind, tiny(kind, steps=6, learning_rate=1e-12), tmp_path)
    rows = state["rows"]
    assert len(set(losses(state))) == 3
    assert state["moments"][0]["step"] == 6  # Adam's averages go on too
    rates = [row["learning_rate"] for row in rows]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == 0.0
    size = 8 if kind == "encoder" else 32
    assert [row["series"] for row in rows] == [2 * size, 4 * size, 6 * size]


def test_batches__of_a_forecaster__are_those_of_the_steps_whatever_the_segments():
    config = tiny("forecaster")
    whole, later = (
        [batch.x for batch in pretrain_forecaster.batches(config, first, 5 - first, torch.Generator())]
        for first in (0, 3)
    )
    assert all(torch.equal(*both) for both in zip(whole[3:], later, strict=True))
    assert not torch.equal(whole[0][:, -12:], whole[3][:, -12:])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_pretrain__batches_drawn_by_a_worker__give_the_same_weights(tmp_path):
    states = [run("forecaster", tiny("forecaster") | {"workers": n}, tmp_path / str(n)) for n in (0, 1)]
    assert losses(states[0]) == losses(states[1])


def test_pretrain__average__is_that_of_the_whole_run(tmp_path):
    config = tiny("forecaster", steps=3, average=0.5)  # of less than 8 steps the decay is (1 + n) / (10 + n)
    config["checkpoints"]["steps"] = 1
    expected: dict = {}
    for step in range(3):
        state = run("forecaster", config, tmp_path, until=step + 1)
        decay = (1 + step) / (10 + step) if step else 0.0
        expected = {name: decay * expected.get(name, 0.0) + (1 - decay) * w for name, w in state["weights"].items()}
    torch.testing.assert_close(state["average"], expected)
    assert not torch.equal(state["average"]["mixture.weight"], state["weights"]["mixture.weight"])


def test_pretrain__finished_encoder__writes_weights_a_card_and_the_curve(tmp_path):
    state = run("encoder", tiny("encoder"), tmp_path, [tmp_path / "no such folder", BUNDLED])
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["steps"], card["finished"], card["series_seen"]) == (5, True, 40)
    assert {"seconds", "device", "commit", "versions", "config"} <= set(card)
    assert card["validation"]["probe ItalyPowerDemand"] > 0.8
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    assert [bool(row["probe"]) for row in rows] == [False, True, True]
    assert "probe NoSuchSet" not in rows[0]

    assert dtypes(tmp_path / "weights.safetensors") == {torch.float16}
    x = torch.randn(3, 40, 1)
    data = Batch(x, torch.ones_like(x).bool())
    embed = pretrain.KINDS["encoder"].embed
    expected = embed(pretrain.network_of(state, tiny("encoder"), "weights"), data, CPU)
    loaded = TransformerPretrainer(pretrained=tmp_path / "weights.safetensors", max_steps=0).fit(x.transpose(1, 2))
    torch.testing.assert_close(embed(loaded.model_.float(), data, CPU), expected, atol=0.02, rtol=0.01)


def test_pretrain__finished_forecaster__writes_weights_that_forecast_as_the_average_does(tmp_path):
    config = tiny("forecaster", learning_rate=0.01)
    state = run("forecaster", config, tmp_path)
    assert dtypes(tmp_path / "weights.safetensors") == {torch.float16}
    series = pd.Series(np.random.default_rng(0).normal(10.0, 1.0, 60))
    zero_shot = TransformerForecaster(pretrained=tmp_path / "weights.safetensors", max_steps=0, horizon=8).fit(series)
    forecast = zero_shot.predict(level=80)
    assert not torch.equal(zero_shot.model_.mixing, torch.eye(12).repeat(2, 1, 1))  # paths are correlated
    zero_shot.model_ = pretrain.network_of(state, config, "average")
    zero_shot.model_.shrinkage = config["shrinkage"]
    np.testing.assert_allclose(forecast, zero_shot.predict(level=80), atol=0.02)


def dtypes(path: Path) -> set[torch.dtype]:
    with safe_open(path, "pt") as file:
        return {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118


def write_forecast_sets(folder: Path, test_level: float) -> None:
    """Write series of a competition and the channels of a long set, all test parts at one level."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    months = pd.date_range("2000-01-01", periods=72, freq="MS")
    parts = [
        pd.DataFrame({"unique_id": name, "ds": months, "y": rng.normal(50, 5, 72), "freq": "MS", "split": "train"})
        for name in ("a", "b", "c")
    ]
    rows = pd.concat(parts)
    is_test = rows["ds"] >= months[54]
    rows.loc[is_test, ["y", "split"]] = [test_level, "test"]
    rows.to_csv(folder / "m3.csv.gz", index=False)
    rates = pd.DataFrame(rng.normal(size=(1300, 2)).cumsum(axis=0), columns=["x", "z"]).rename_axis("date")
    rates.iloc[1040:] = test_level
    rates.to_csv(folder / "exchange_rate.csv.gz")


def test_pretrain__validation_of_a_forecaster__has_errors_and_coverage_and_does_not_see_test_parts(tmp_path):
    config = tiny("forecaster", steps=2)
    config["validation"] = {"datasets": ["m3-monthly", "exchange_rate", "ETTh1"], "n_series": 2}
    scores = []
    for level in (0.0, 1e6):
        write_forecast_sets(tmp_path / f"data {level}", level)
        state = run("forecaster", config, tmp_path / f"out {level}", [tmp_path / f"data {level}"])
        scores.append(state["validation"])
    assert scores[0] == scores[1]
    columns = {"m3-monthly", "m3-monthly coverage_80", "exchange_rate 96", "exchange_rate coverage_80"}
    assert set(scores[0]) == {"step"} | columns
    assert 0.3 < scores[0]["m3-monthly"] < 3.0
    assert 0.0 < scores[0]["m3-monthly coverage_80"] <= 1.0
    card = json.loads((tmp_path / "out 0.0" / "card.json").read_text())
    assert card["validation"] == scores[0]


@pytest.mark.parametrize("kind", KINDS)
def test_pretrain__other_configuration_in_the_folder__says_which_part_and_the_way_out(tmp_path, kind):
    run(kind, tiny(kind), tmp_path, until=2)
    with pytest.raises(ValueError, match=r"run whose training differed\. Set them back, or take another --out"):
        run(kind, tiny(kind, weight_decay=0.5), tmp_path)
    other = next(other for other in KINDS if other != kind)
    with pytest.raises(ValueError, match=r"run whose kind differed\."):
        run(other, tiny(other), tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_read_config__shipped_files__build_a_network_of_few_megabytes(name):
    kind = name.partition("_")[0]
    config = pretrain.read_config(kind, SCRIPTS / f"pretrain_{name}.toml")
    network = pretrain.KINDS[kind].build(config)
    written = network.encoder if kind == "encoder" else network
    assert 2 * sum(weights.numel() for weights in written.state_dict().values()) <= (8e6 if kind == "encoder" else 3e6)


@pytest.mark.parametrize("kind", KINDS)
def test_read_config__misspelt_key__is_named(tmp_path, kind):
    text = (SCRIPTS / f"pretrain_{kind}.toml").read_text().replace("warmup", "warm_up")
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ValueError, match=r"Missing or unknown: training\.warm_up, training\.warmup"):
        pretrain.read_config(kind, tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encoder", "--device", "tpu"], "'device' parameter must be 'auto', 'cpu'"),
        (["forecaster", "--config", "no_such_file.toml"], "no_such_file.toml"),
        (["decoder"], "invalid choice: 'decoder'"),
    ],
)
def test_command__wrong_argument__is_told_without_a_traceback(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["pretrain.py", *arguments, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="2"):
        pretrain.main()
    assert message in capsys.readouterr().err
