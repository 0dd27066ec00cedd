"""Trains the encoder of TransformerPretrainer on synthetic series: a configuration in, weights, a card and a log out.

The folder given by --out holds checkpoint.pt (to go on from), log.csv (the curve), weights.safetensors (the encoder in
float16) and card.json. All are written anew at each checkpoint, whole or not at all.

- The steps between two checkpoints are a segment. Its random numbers are drawn from the seed and its number alone, so
  that a run that was stopped and started again gives on the CPU, bit for bit, what one that was not stopped gives.
- Validation reads TRAIN files only. Features of the frozen encoder, standard scaling and ridge regression are
  cross-validated on each; sets that the folders lack are left out, and the log has the columns of those that are there.
"""

import argparse
import csv
import functools
import io
import json
import os
import platform
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tsformer
from tsformer.data.augment import strong_view
from tsformer.data.batch import Batch, Minibatches
from tsformer.data.cases import read_cases
from tsformer.data.synthetic import SyntheticBatches
from tsformer.datasets import load_classification
from tsformer.models.channel_encoder import ChannelEncoder, blank_channel_encoder, build_channel_encoder
from tsformer.training import objectives
from tsformer.training.devices import resolve_device, seeded, to_cpu
from tsformer.training.loop import train
from tsformer.training.optim import adamw, cosine

HERE = Path(__file__).parent
DEFAULT = HERE / "pretrain.toml"
DECIDES = ("seed", "network", "series", "training", "checkpoints")  # the parts that the weights depend on

Config = dict[str, Any]
State = dict[str, Any]  # of a run between two segments: step, seconds, weights, moments, rows of the log, config


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; a run found there goes on")
    parser.add_argument("--config", type=Path, default=DEFAULT, help="TOML file; default: scripts/pretrain.toml")
    parser.add_argument(
        "--validate", type=Path, nargs="*", default=[], help="folders of data sets in .ts or .tsv files"
    )
    parser.add_argument("--until", type=int, help="step to stop at, maybe to go on later; default: the last")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    given = parser.parse_args()
    try:
        config = read_config(given.config)
        pretrain(config, given.out, folders=given.validate, until=given.until, device=resolve_device(given.device))
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, f"Stopped. The same command goes on from the last checkpoint in {given.out}.\n")


def read_config(path: Path) -> Config:
    """Read a configuration; ValueError unless it has the keys of the default one, no fewer and no others."""
    config = tomllib.loads(path.read_text())
    expected = _keys(tomllib.loads(DEFAULT.read_text()))
    if different := sorted(_keys(config) ^ expected):
        raise ValueError(f"{path} must have the keys of {DEFAULT.name}. Missing or unknown: {', '.join(different)}.")
    return config


def pretrain(
    config: Config, out: Path, *, folders: list[Path], until: int | None = None, device: torch.device
) -> State:
    """Train to the end, or to the first checkpoint at or after step `until`, from the checkpoint in `out` if any."""
    out.mkdir(parents=True, exist_ok=True)
    sets = labelled_sets(config["validation"]["datasets"], folders)
    state = resumed(out / "checkpoint.pt", config) or beginning(config)
    steps = config["training"]["steps"]
    while state["step"] < min(steps, until or steps):
        state = train_segment(state, config, device)
        number = state["step"] // config["checkpoints"]["steps"]
        if number % config["checkpoints"]["validate"] == 0 or state["step"] == steps:
            state["rows"][-1] |= validate(network_of(state), sets, device)
        keep(state, config, out, device)
        print(json.dumps(state["rows"][-1]), flush=True)
    return state


# A run from segment to segment.


def beginning(config: Config) -> State:
    """Return the state before the first step."""
    with seeded(config["seed"], torch.device("cpu")):
        model = build_channel_encoder(**config["network"])
    decides = {part: config[part] for part in DECIDES}
    return {"step": 0, "seconds": 0.0, "weights": model.state_dict(), "moments": {}, "rows": [], "config": decides}


def resumed(path: Path, config: Config) -> State | None:
    """Return the state of the run that a checkpoint holds, or None; ValueError where it is of another configuration."""
    if not path.exists():
        return None
    state: State = torch.load(path, weights_only=True)
    if different := [part for part in DECIDES if state["config"].get(part) != config[part]]:
        raise ValueError(
            f"{path} is of a run whose {', '.join(different)} differed. Set them back, or take another --out."
        )
    return state


def train_segment(state: State, config: Config, device: torch.device) -> State:
    """Train from one checkpoint to the next."""
    how, done = config["training"], state["step"]
    n_steps = min(config["checkpoints"]["steps"], how["steps"] - done)
    model = network_of(state).to(device)
    optimizer = adamw(model, how["learning_rate"], how["weight_decay"], how["max_grad_norm"])
    if state["moments"]:
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state["moments"]})
    schedule = cosine(how["steps"], round(how["warmup"] * how["steps"]))
    start = time.perf_counter()
    views, series = (int(drawn) for drawn in np.random.default_rng([config["seed"], done]).integers(2**31, size=2))
    with seeded(views, device):
        batches = SyntheticBatches(
            n_steps,
            how["batch_size"],
            torch.Generator(device).manual_seed(series),
            n_timepoints=tuple(config["series"]["n_timepoints"]),
        )
        history = train(
            model,
            _objective(config),
            batches,
            optimizer,
            lambda step: schedule(done + step),
            n_steps=n_steps,
            precision=getattr(torch, how["precision"]),
        )
    if history.interrupted:
        raise KeyboardInterrupt
    row = {
        "step": done + n_steps,
        "series": (done + n_steps) * how["batch_size"],
        "seconds": state["seconds"] + time.perf_counter() - start,
        "loss": history.loss[-1],
        "learning_rate": history.learning_rate[-1],
    }
    moments = to_cpu(optimizer.state_dict()["state"])
    known = {"config": state["config"], "rows": [*state["rows"], row], "seconds": row["seconds"]}
    return known | {"step": row["step"], "weights": to_cpu(dict(model.state_dict())), "moments": moments}


def network_of(state: State) -> ChannelEncoder:
    """Build the network with the weights of a state."""
    with seeded(0, torch.device("cpu")):  # new weights are drawn, to be replaced
        model = blank_channel_encoder(**state["config"]["network"])
    model.load_state_dict(state["weights"])
    return model


def _objective(config: Config) -> objectives.Objective:
    how = config["training"]
    made: dict[str, Callable[[], objectives.Objective]] = {
        "contrastive": functools.partial(objectives.contrastive, strong_view, how["temperature"]),
        "reconstruction": functools.partial(objectives.reconstruction, how["masked_fraction"]),
    }
    return made[config["network"]["objective"]]()


# Validation.


def labelled_sets(names: list[str], folders: list[Path]) -> dict[str, tuple[Batch, np.ndarray]]:
    """Read the TRAIN files of the named data sets that one of the folders has."""
    sets = {}
    for name in names:
        for folder in folders:
            try:
                X, y = load_classification(name, split="train", folder=folder)
            except FileNotFoundError:
                continue
            sets[name] = read_cases(X).batch, y
            break
    if folders:
        print(f"Validation on {len(sets)} sets; not found: {', '.join(sorted({*names} - {*sets})) or 'none'}.")
    return sets


def validate(
    model: ChannelEncoder, sets: Mapping[str, tuple[Batch, np.ndarray]], device: torch.device
) -> dict[str, float]:
    """Return the cross-validated accuracy of a linear probe on each set, and their mean; empty without sets."""
    if not sets:
        return {}
    model.to(device).eval()
    accuracy = {name: probe(embed(model, data, device), y) for name, (data, y) in sets.items()}
    return {"probe": float(np.mean(list(accuracy.values())))} | {f"probe {name}": a for name, a in accuracy.items()}


def embed(model: ChannelEncoder, data: Batch, device: torch.device) -> np.ndarray:
    """Return the features of all cases, (n_cases, n_features), in float32: a curve needs no more."""
    with torch.inference_mode():
        batches = (batch.to(device) for batch in Minibatches(data, 64))
        return torch.cat([model.embed(batch.x, batch.observed).cpu() for batch in batches]).numpy()


def probe(features: np.ndarray, y: np.ndarray) -> float:
    """Return the accuracy of standard scaling and ridge regression, by cross-validation in 5 folds, or fewer."""
    smallest = int(np.unique(y, return_counts=True)[1].min())
    folds = StratifiedKFold(max(2, min(5, smallest)), shuffle=True, random_state=0)
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 5, 9)))
    return float(cross_val_score(ridge, features.astype(np.float64), y, cv=folds).mean())


# What is written.


def keep(state: State, config: Config, out: Path, device: torch.device) -> None:
    """Write checkpoint, log, weights and card."""
    checkpoint = io.BytesIO()
    torch.save(state, checkpoint)
    replace(out / "checkpoint.pt", checkpoint.getvalue())
    replace(out / "log.csv", as_csv(state["rows"]).encode())
    encoder = {
        name.removeprefix("encoder."): weights.to(torch.float16).contiguous()
        for name, weights in state["weights"].items()
        if name.startswith("encoder.")
    }
    # One entry: safetensors writes several in random order, and equal runs are to give equal files.
    metadata = {"network": json.dumps(config["network"])}
    replace(out / "weights.safetensors", safetensors.torch.save(encoder, metadata))
    replace(out / "card.json", (json.dumps(card(state, config, device), indent=2) + "\n").encode())


def card(state: State, config: Config, device: torch.device) -> dict[str, Any]:
    """Return what the weights saw and how they were made."""
    last = state["rows"][-1]
    measured = [row for row in state["rows"] if "probe" in row]
    return {
        "what": "Encoder of tsformer's TransformerPretrainer, weights in float16, trained on synthetic series alone",
        "steps": state["step"],
        "finished": state["step"] == config["training"]["steps"],
        "series_seen": last["series"],
        "seconds": round(state["seconds"], 1),
        "loss": last["loss"],
        "n_weights": sum(w.numel() for name, w in state["weights"].items() if name.startswith("encoder.")),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {platform.machine()}",
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "versions": {
            "tsformer": tsformer.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "validated_by": "accuracy of standard scaling and ridge regression by cross-validation on TRAIN files",
        "validation": {name: a for name, a in measured[-1].items() if name.startswith(("probe", "step"))}
        if measured
        else {},
        "config": config,
    }


def commit() -> str:
    """Return the commit of the code, with "-dirty" where files differ from it, or "none" outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "none") + ("-dirty" if git("status", "--porcelain") else "")


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV; a column that a row lacks is empty in it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def _keys(config: Mapping[str, Any], before: str = "") -> set[str]:
    """Names of all entries, those of tables as "table.name"."""
    names = set()
    for name, value in config.items():
        names |= _keys(value, f"{before}{name}.") if isinstance(value, dict) else {before + name}
    return names


if __name__ == "__main__":
    main()
