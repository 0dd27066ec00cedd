"""The encoder of TransformerPretrainer: what scripts/pretrain builds, trains it on, writes, and measures it by.

Validation reads TRAIN files only: features of the frozen encoder, standard scaling and ridge regression are
cross-validated on each.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Generator, Tensor, nn

from tsformer.data.augment import strong_view
from tsformer.data.batch import UNLABELLED, Batch, Minibatches, StoredCases
from tsformer.data.cases import read_cases
from tsformer.data.synthetic import SyntheticBatches
from tsformer.data.synthetic_tasks import draw_tasks
from tsformer.datasets import load_classification
from tsformer.estimators.pretrained import load_encoder
from tsformer.models.channel_encoder import ChannelEncoder, build_channel_encoder
from tsformer.training import objectives

Config = dict[str, Any]
Sets = Mapping[str, tuple[StoredCases, np.ndarray]]  # cases and labels

WHAT = "Encoder of tsformer's TransformerPretrainer, weights in float16, trained on synthetic series alone"
VALIDATED_BY = "accuracy of standard scaling and ridge regression by cross-validation on TRAIN files"


def build(config: Config) -> ChannelEncoder:
    """Make the network with new weights."""
    return build_channel_encoder(**config["network"])


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights of the encoder; what is on top of it in training is not in the file."""
    return {f"encoder.{name}": weight for name, weight in load_encoder(path).encoder.state_dict().items()}


def batches(config: Config, first: int, n_steps: int, generator: Generator) -> Iterable[Batch]:
    """Batches of the steps from `first` on, drawn by the generator, on its device."""
    how, lengths = config["training"], tuple(config["series"]["n_timepoints"])
    series = SyntheticBatches(n_steps, how["batch_size"], generator, n_timepoints=lengths)
    return (with_tasks(batch, how["tasks"], how["cases"], generator) for batch in series) if how["tasks"] else series


def with_tasks(batch: Batch, n_tasks: int, n_cases: int, generator: Generator) -> Batch:
    """Put labelled tasks before series without a label, of the same length."""
    x, y = draw_tasks(n_tasks, n_cases, batch.x.shape[1], generator)
    x = torch.cat([x.flatten(0, 1).unsqueeze(-1), batch.x])
    y = torch.cat([y.flatten(), torch.full((len(batch),), UNLABELLED, device=y.device)])
    return Batch(x, torch.ones_like(x, dtype=torch.bool), y)


def objective(config: Config) -> objectives.Objective:
    """What is learnt."""
    how = config["training"]
    views = strong_view, how["temperature"]
    contrastive = functools.partial(objectives.contrastive, *views)
    if how["tasks"]:
        contrastive = functools.partial(objectives.tasks, how["cases"], *views, how["contrastive_weight"])
    made: dict[str, Callable[[], objectives.Objective]] = {
        "contrastive": contrastive,
        "reconstruction": functools.partial(objectives.reconstruction, how["masked_fraction"]),
    }
    return made[config["network"]["objective"]]()


def written(model: nn.Module, config: Config) -> dict[str, Tensor]:
    """Weights that are written: those of the encoder, without what is on top of it in training."""
    weights = model.state_dict().items()
    return {name.removeprefix("encoder."): weight for name, weight in weights if name.startswith("encoder.")}


def read_sets(validation: Config, folders: list[Path]) -> Sets:
    """Read the TRAIN files of the named data sets that one of the folders has."""
    sets = {}
    for name in validation["datasets"]:
        for folder in folders:
            try:
                X, y = load_classification(name, split="train", folder=folder)
            except FileNotFoundError:
                continue
            sets[name] = read_cases(X).data, y
            break
    return sets


def validate(weights: Path, sets: Sets, device: torch.device) -> dict[str, float]:
    """Return the cross-validated accuracy of a linear probe on each set, and their mean."""
    model = load_encoder(weights)
    accuracy = {name: probe(embed(model, data, device), y) for name, (data, y) in sets.items()}
    return {"probe": float(np.mean(list(accuracy.values())))} | {f"probe {name}": a for name, a in accuracy.items()}


def embed(model: ChannelEncoder, data: StoredCases, device: torch.device) -> np.ndarray:
    """Return the features of all cases, (n_cases, n_features), in float32: a curve needs no more."""
    model.to(device).eval()
    with torch.inference_mode():
        parts = (batch.to(device) for batch in Minibatches(data, 64))
        return torch.cat([model.embed(batch.x, batch.observed).cpu() for batch in parts]).numpy()


def probe(features: np.ndarray, y: np.ndarray) -> float:
    """Return the accuracy of standard scaling and ridge regression, by cross-validation in 5 folds, or fewer."""
    smallest = int(np.unique(y, return_counts=True)[1].min())
    folds = StratifiedKFold(max(2, min(5, smallest)), shuffle=True, random_state=0)
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 5, 9)))
    return float(cross_val_score(ridge, features.astype(np.float64), y, cv=folds).mean())
