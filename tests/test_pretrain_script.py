"""scripts/pretrain: a stopped run goes on bit for bit, and what it writes says how it was made and can be used."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import pretrain

from tsformer.data.batch import Batch
from tsformer.models.channel_encoder import blank_channel_encoder

SCRIPTS = Path(__file__).parents[1] / "scripts"
CPU = torch.device("cpu")
BUNDLED = SCRIPTS.parent / "datasets"


def tiny(**training) -> dict:
    config = pretrain.read_config(pretrain.DEFAULT)
    config["network"] |= {"n_timepoints": 32, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    config["series"]["n_timepoints"] = [24, 48]
    config["training"] |= {"steps": 5, "batch_size": 8} | training
    config["checkpoints"] |= {"steps": 2, "validate": 2}
    config["validation"]["datasets"] = ["ItalyPowerDemand", "NoSuchSet"]
    return config


def run(config: dict, out: Path, folders: list[Path] | None = None, until: int | None = None) -> dict:
    return pretrain.pretrain(config, out, folders=folders or [], until=until, device=CPU)


@pytest.mark.parametrize("objective", ["contrastive", "reconstruction"])
def test_pretrain__stopped_and_started_again__gives_the_same_weights_bit_for_bit(tmp_path, objective):
    config = tiny()
    config["network"] |= {"objective": objective, "dropout": 0.1}
    whole = run(config, tmp_path / "whole")
    stopped = run(config, tmp_path / "parts", until=1)
    assert stopped["step"] == 2
    torch.rand(5)
    resumed = run(config, tmp_path / "parts")
    assert whole["step"] == resumed["step"] == 5
    for name, weights in whole["weights"].items():
        assert torch.equal(resumed["weights"][name], weights), name
    assert [row["loss"] for row in whole["rows"]] == [row["loss"] for row in resumed["rows"]]
    files = [(tmp_path / part / "weights.safetensors").read_bytes() for part in ("whole", "parts")]
    assert files[0] == files[1]


def test_pretrain__seed__decides_and_the_global_random_state_is_left_alone(tmp_path):
    before = torch.get_rng_state()
    first, again = (run(tiny(), tmp_path / name)["rows"] for name in ("first", "again"))
    other = run(tiny() | {"seed": 1}, tmp_path / "other")["rows"]
    assert torch.equal(torch.get_rng_state(), before)
    assert [row["loss"] for row in first] == [row["loss"] for row in again]
    assert [row["loss"] for row in first] != [row["loss"] for row in other]


def test_pretrain__segments__have_series_of_their_own_and_one_schedule(tmp_path):
    state = run(tiny(steps=6, learning_rate=1e-12), tmp_path)
    rows = state["rows"]
    assert len({row["loss"] for row in rows}) == 3
    assert state["moments"][0]["step"] == 6  # Adam's averages go on too
    rates = [row["learning_rate"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0
    assert [row["series"] for row in rows] == [16, 32, 48]


def test_pretrain__finished__writes_weights_a_card_and_the_curve(tmp_path):
    config = tiny()
    state = run(config, tmp_path, [tmp_path / "no such folder", BUNDLED])
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["steps"], card["finished"], card["series_seen"]) == (5, True, 40)
    assert {"seconds", "device", "commit", "versions", "config"} <= set(card)
    assert card["validation"]["probe ItalyPowerDemand"] > 0.8
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    assert [bool(row["probe"]) for row in rows] == [False, True, True]
    assert "probe NoSuchSet" not in rows[0]

    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        network = blank_channel_encoder(**json.loads(file.metadata()["network"]))
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    network.encoder.load_state_dict(weights)
    x = torch.randn(3, 40, 1)
    data = Batch(x, torch.ones_like(x).bool())
    expected = pretrain.embed(pretrain.network_of(state).eval(), data, CPU)
    torch.testing.assert_close(pretrain.embed(network.eval(), data, CPU), expected, atol=0.02, rtol=0.01)


def test_pretrain__other_configuration_in_the_folder__says_which_part_and_the_way_out(tmp_path):
    run(tiny(), tmp_path, until=2)
    with pytest.raises(ValueError, match=r"run whose training differed\. Set them back, or take another --out"):
        run(tiny(temperature=0.5), tmp_path)


@pytest.mark.parametrize("file", sorted(SCRIPTS.glob("pretrain*.toml")), ids=lambda path: path.name)
def test_read_config__shipped_files__build_a_network_of_at_most_8_mb(file):
    config = pretrain.read_config(file)
    network = blank_channel_encoder(**config["network"])
    assert 2 * sum(weights.numel() for weights in network.encoder.parameters()) <= 8e6


def test_read_config__misspelt_key__is_named(tmp_path):
    text = pretrain.DEFAULT.read_text().replace("batch_size", "bach_size")
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ValueError, match=r"Missing or unknown: training\.bach_size, training\.batch_size"):
        pretrain.read_config(tmp_path / "config.toml")


def test_command__wrong_device__is_told_without_a_traceback(tmp_path):
    command = [sys.executable, str(SCRIPTS / "pretrain.py"), "--out", str(tmp_path / "out"), "--device", "tpu"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPTS.parent)
    assert ran.returncode == 2
    assert "'device' parameter must be 'auto', 'cpu'" in ran.stderr
    assert "Traceback" not in ran.stderr
