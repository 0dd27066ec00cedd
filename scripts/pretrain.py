"""Trains a bundled network on synthetic series: a configuration in, weights, a card and a log out.

The folder given by --out holds checkpoint.pt (to go on from), log.csv (the curve), weights.safetensors (in float16) and
card.json. All are written anew at each checkpoint, whole or not at all.

- The steps between two checkpoints are a segment. Its random numbers are drawn from the seed and its number alone, so
  that a run that was stopped and started again gives on the CPU, bit for bit, what one that was not stopped gives.
- Validation measures the written weights on parts of data sets that are not their test parts. Sets that the folders
  lack are left out, and the log has the columns of those that are there.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import platform
import subprocess
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pretrain_encoder
import pretrain_forecaster
import safetensors.torch
import torch
from torch import Generator, Tensor, nn

import tsformer
from tsformer.data.batch import Batch
from tsformer.training.devices import resolve_device, seeded, to_cpu
from tsformer.training.loop import train
from tsformer.training.objectives import Objective
from tsformer.training.optim import WeightAverage, adamw, cosine

HERE = Path(__file__).parent
DECIDES = ("seed", "network", "series", "training", "checkpoints")  # the parts that the weights depend on

Config = dict[str, Any]
State = dict[str, Any]  # of a run between two segments: `beginning` names its parts


class Kind(Protocol):
    """What the module of a kind of network says of it."""

    WHAT: str
    VALIDATED_BY: str

    def build(self, config: Config) -> nn.Module:
        """Make the network with new weights; its `settings` are what `written` weights are loaded by."""

    def read_weights(self, path: Path) -> dict[str, Tensor]:
        """Read written weights, by their names in the network that is trained."""

    def batches(self, config: Config, first: int, n_steps: int, generator: Generator) -> Iterable[Batch]:
        """Batches of the steps from `first` on."""

    def objective(self, config: Config) -> Objective:
        """What is learnt."""

    def written(self, model: nn.Module, config: Config) -> dict[str, Tensor]:
        """Weights that are written, of a trained model in eval mode, which may be changed."""

    def read_sets(self, validation: Config, folders: list[Path]) -> Mapping[str, Any]:
        """Data sets to validate on, by name."""

    def validate(self, weights: Path, sets: Mapping[str, Any], device: torch.device) -> dict[str, float]:
        """Scores of the written weights, by column of the log."""


KINDS: dict[str, Kind] = {"encoder": pretrain_encoder, "forecaster": pretrain_forecaster}


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=KINDS, help="the network to train")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; a run found there goes on")
    parser.add_argument("--config", type=Path, help="TOML file; default: scripts/pretrain_KIND.toml")
    parser.add_argument(
        "--validate",
        type=Path,
        nargs="*",
        default=[],
        help="folders of data sets: .ts or .tsv files for the encoder, those of benchmarks/forecasting.py otherwise",
    )
    parser.add_argument(
        "--start", type=Path, metavar="WEIGHTS", help="weights of before to begin with; default: new ones"
    )
    parser.add_argument("--until", type=int, help="step to stop at, maybe to go on later; default: the last")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    given = parser.parse_args()
    try:
        config = read_config(given.kind, given.config)
        device = resolve_device(given.device)
        pretrain(
            given.kind,
            config,
            given.out,
            folders=given.validate,
            start=given.start,
            until=given.until,
            device=device,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, f"Stopped. The same command goes on from the last checkpoint in {given.out}.\n")


def read_config(kind: str, path: Path | None = None) -> Config:
    """Read a configuration; ValueError unless it has the keys of the kind's default one, no fewer and no others."""
    default = HERE / f"pretrain_{kind}.toml"
    path = path or default
    config = tomllib.loads(path.read_text())
    if different := sorted(_keys(config) ^ _keys(tomllib.loads(default.read_text()))):
        raise ValueError(f"{path} must have the keys of {default.name}. Missing or unknown: {', '.join(different)}.")
    return config


def pretrain(
    kind: str,
    config: Config,
    out: Path,
    *,
    folders: list[Path],
    start: Path | None = None,
    until: int | None = None,
    device: torch.device,
) -> State:
    """Train to the end, or to the first checkpoint at or after step `until`, from the checkpoint in `out` if any.

    Without one, weights are those of the file `start`, or new.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = resumed(out / "checkpoint.pt", kind, config) or beginning(kind, config, start)
    if state["rows"]:  # a kill may have come between checkpoint and card
        report(state, config, out, device)
    sets = KINDS[kind].read_sets(config["validation"], folders)
    if folders:
        missing = sorted({*config["validation"]["datasets"]} - {*sets})
        print(f"Validation on {len(sets)} sets; not found: {', '.join(missing) or 'none'}.")
    steps = config["training"]["steps"]
    while state["step"] < min(steps, until or steps):
        state = train_segment(state, config, device)
        write_weights(state, config, out / "weights.safetensors", device)
        number = state["step"] // config["checkpoints"]["steps"]
        if sets and (number % config["checkpoints"]["validate"] == 0 or state["step"] == steps):
            scores = KINDS[kind].validate(out / "weights.safetensors", sets, device)
            state["rows"][-1] |= scores
            state["validation"] = {"step": state["step"]} | scores
        keep(state, config, out, device)
        print(json.dumps(state["rows"][-1]), flush=True)
    return state


# A run from segment to segment.


def beginning(kind: str, config: Config, start: Path | None = None) -> State:
    """Return the state before the first step; what the file `start` does not hold, as a head, is drawn."""
    with seeded(config["seed"], torch.device("cpu")):
        weights = KINDS[kind].build(config).state_dict()
    if start is not None:
        known = KINDS[kind].read_weights(start)
        if different := sorted(
            name for name in known if name not in weights or known[name].shape != weights[name].shape
        ):
            raise ValueError(f"{start} holds weights of a network of another shape: {', '.join(different)}.")
        weights = weights | known
    return {
        "kind": kind,
        "config": {part: config[part] for part in DECIDES},
        "start": "" if start is None else hashlib.sha256(start.read_bytes()).hexdigest(),
        "step": 0,
        "series": 0,
        "seconds": 0.0,
        "weights": weights,
        "average": weights,
        "moments": {},
        "rows": [],  # of the log
        "validation": {},  # the last scores
    }


def resumed(path: Path, kind: str, config: Config) -> State | None:
    """Return the state of the run that a checkpoint holds, or None; ValueError where it is of another configuration."""
    if not path.exists():
        return None
    state: State = torch.load(path, weights_only=True)
    parts = [part for part in DECIDES if state["config"].get(part) != config[part]]
    if different := (["kind"] if state.get("kind") != kind else parts):
        raise ValueError(
            f"{path} is of a run whose {', '.join(different)} differed. Set them back, or take another --out."
        )
    return state


def train_segment(state: State, config: Config, device: torch.device) -> State:
    """Train from one checkpoint to the next."""
    kind, how, done = KINDS[state["kind"]], config["training"], state["step"]
    n_steps = min(config["checkpoints"]["steps"], how["steps"] - done)
    model = network_of(state, config, "weights").to(device)
    average = average_of(state, config, model)
    optimizer = adamw(model, how["learning_rate"], how["weight_decay"], how["max_grad_norm"])
    optimizer.register_step_post_hook(lambda *_: average.update())
    if state["moments"]:
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state["moments"]})
    schedule = cosine(how["steps"], round(how["warmup"] * how["steps"]))
    start, n_series = time.perf_counter(), [state["series"]]
    steps, series = (int(drawn) for drawn in np.random.default_rng([config["seed"], done]).integers(2**31, size=2))
    with seeded(steps, device):
        batches = kind.batches(config, done, n_steps, torch.Generator(device).manual_seed(series))
        history = train(
            model,
            kind.objective(config),
            counted(batches, n_series),
            optimizer,
            lambda step: schedule(done + step),
            n_steps=n_steps,
            precision=getattr(torch, how["precision"]),
        )
    if history.interrupted:
        raise KeyboardInterrupt
    row = {
        "step": done + n_steps,
        "series": sum(n_series),
        "seconds": state["seconds"] + time.perf_counter() - start,
        "loss": history.loss[-1],
        "learning_rate": history.learning_rate[-1],
    }
    return state | {
        "step": row["step"],
        "series": row["series"],
        "seconds": row["seconds"],
        "weights": to_cpu(dict(model.state_dict())),
        "average": to_cpu(dict(average.model.state_dict())),
        "moments": to_cpu(optimizer.state_dict()["state"]),
        "rows": [*state["rows"], row],
    }


def network_of(state: State, config: Config, weights: str) -> nn.Module:
    """Build the network with the "weights" of a state, or their "average"."""
    with seeded(0, torch.device("cpu")):  # new weights are drawn, to be replaced
        model = KINDS[state["kind"]].build(config)
    model.load_state_dict(state[weights])
    return model.eval()


def average_of(state: State, config: Config, model: nn.Module) -> WeightAverage:
    """Return the average of the whole run, which goes on following the model."""
    average = WeightAverage(model, config["training"]["average"])
    average.model.load_state_dict(state["average"])
    average.n_updates = state["step"]
    return average


def counted(batches: Iterable[Batch], n_series: list[int]) -> Iterator[Batch]:
    """Hand batches on, and note how many series each has."""
    for batch in batches:
        n_series.append(len(batch))
        yield batch


# What is written.


def write_weights(state: State, config: Config, path: Path, device: torch.device) -> None:
    """Write the averaged weights in half precision, with the settings of their network."""
    model: Any = network_of(state, config, "average").to(device)
    written = KINDS[state["kind"]].written(model, config)
    halves = {name: weight.to("cpu", torch.float16).contiguous() for name, weight in written.items()}
    # One entry: safetensors writes several in random order, and equal runs are to give equal files.
    replace(path, safetensors.torch.save(halves, {"network": json.dumps(model.settings)}))


def keep(state: State, config: Config, out: Path, device: torch.device) -> None:
    """Write checkpoint, log and card."""
    checkpoint = io.BytesIO()
    torch.save(state, checkpoint)
    replace(out / "checkpoint.pt", checkpoint.getvalue())
    report(state, config, out, device)


def report(state: State, config: Config, out: Path, device: torch.device) -> None:
    """Write log and card."""
    replace(out / "log.csv", as_csv(state["rows"]).encode())
    text = json.dumps(card(state, config, out / "weights.safetensors", device), indent=2)
    replace(out / "card.json", (text + "\n").encode())


def card(state: State, config: Config, weights: Path, device: torch.device) -> dict[str, Any]:
    """Return what the weights saw and how they were made."""
    kind = KINDS[state["kind"]]
    return {
        "what": kind.WHAT,
        "begun_with": state["start"],  # the SHA-256 of a file of weights, or new ones
        "steps": state["step"],
        "finished": state["step"] == config["training"]["steps"],
        "series_seen": state["series"],
        "seconds": round(state["seconds"], 1),
        "loss": state["rows"][-1]["loss"],
        "n_weights": sum(weight.numel() for weight in safetensors.torch.load_file(weights).values()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {platform.machine()}",
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "versions": {
            "tsformer": tsformer.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "validated_by": kind.VALIDATED_BY,
        "validation": state["validation"],
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
