"""What each of two processes of a group fits in tests/training/test_distributed.py, and one process alone too.

python tests/two_processes.py STORE RANK FOLDER
"""

import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.distributed

from tsformer import TransformerClassifier, TransformerForecaster, TransformerPretrainer, save
from tsformer.data.augment import standard_augmentation
from tsformer.data.batch import Batch
from tsformer.estimators import pretrainer
from tsformer.layers.blocks import PRE_NORM
from tsformer.training import distributed
from tsformer.training.objectives import info_nce

SMALL = {"d_model": 16, "n_heads": 1, "n_layers": 1, "d_ff": 16, "random_state": 0, "device": "cpu"}
ALONE = {"n_estimators": 1, "pretrained": None, "batch_size": 8}
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(2, n)) for n in RNG.integers(12, 24, size=22)]
y = np.arange(22) % 3
SERIES = pd.DataFrame(RNG.normal(10.0, 1.0, size=(60, 3)), index=pd.date_range("2020", periods=60, freq="D"))
SERIES.iloc[3:9, 1] = np.nan
STOPS = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 2}
WITHOUT_CHANCE = {
    "classifier": TransformerClassifier(
        **SMALL, **ALONE, **STOPS, augment=None, class_weight="balanced", learning_rate=0.03, max_steps=60
    ),
    "masked forecaster": TransformerForecaster(
        **SMALL, horizon=5, pretrained=None, batch_size=9, max_steps=4, refit=False, scheduled_sampling=1.0
    ),
    "contrastive": TransformerPretrainer(**SMALL, batch_size=9, n_resampled=64, max_steps=5),
}


def fixed_view(x: torch.Tensor, observed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x + 0.1 * x.roll(1, dims=1), observed


def without_chance(patch) -> None:
    """Leave nothing to random numbers, which differ from share to share; `patch` is pytest's, or does as it does."""
    patch.setitem(PRE_NORM, "stochastic_depth", 0.0)
    patch.setattr(pretrainer, "strong_view", fixed_view)


def fitted_arrays(prefix: str, estimator) -> dict[str, np.ndarray]:
    weights = {name: weight.numpy() for name, weight in estimator.model_.float().state_dict().items()}
    losses = {name: estimator.history_[name] for name in ("loss", "validation_loss") if name in estimator.history_}
    return {f"{prefix}/{name}": np.asarray(values) for name, values in (weights | losses).items()}


def contrastive_gradient() -> np.ndarray:
    """Of views compared with all others; Adam, which divides by its size, would not show a wrong one."""
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(4, 3), torch.randn(9, 1, 4)
    [batch] = distributed.shares([Batch(x, torch.ones_like(x, dtype=torch.bool))], torch.device("cpu"))
    views = (distributed.of_all(layer(view).squeeze(1), batch) for view in (batch.x, batch.x.square()))
    loss = info_nce(*views, temperature=0.5)
    loss.backward()
    distributed.average_gradients(layer, loss.detach(), interrupted=False)
    return layer.weight.grad.numpy()


def fit_without_chance() -> dict[str, np.ndarray]:
    arrays = {"gradient/contrastive": contrastive_gradient()}
    for name, estimator in WITHOUT_CHANCE.items():
        given = (X, y) if name == "classifier" else (SERIES,) if "forecaster" in name else (X,)
        arrays |= fitted_arrays(name, estimator.fit(*given))
    return arrays


def fit_with_chance(rank: int) -> dict[str, np.ndarray]:
    """Without a seed, with random numbers, and with a network that Ctrl-C in one process ends."""
    seen, calls = [], iter(range(100_000))

    def augment(x, observed):
        seen.append(torch.rand(()).item())
        if rank == 1 and next(calls) == 30:
            os.kill(os.getpid(), signal.SIGINT)
        return standard_augmentation(x, observed)

    how = SMALL | ALONE | {"random_state": None, "dropout": 0.1, "augment": augment, "max_steps": 100_000}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier = TransformerClassifier(**how).fit(X, y)
    told = [str(warning.message) for warning in caught]
    return fitted_arrays("interrupted", classifier) | {"seen": np.array(seen), "told": np.array(told)}


def refusals(rank: int) -> dict[str, np.ndarray]:
    messages = []
    for cases, size in ((X[11 * rank : 11 * rank + 11], 8), (X, 1)):
        try:
            TransformerClassifier(**SMALL | ALONE | {"batch_size": size}).fit(cases, y[: len(cases)])
        except ValueError as error:
            messages.append(str(error))
    return {"refused": np.array(messages)}


class Patch:
    setitem = staticmethod(dict.__setitem__)
    setattr = staticmethod(setattr)


def main(store: str, rank: int, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process started in the background ignores
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    random = fit_with_chance(rank)
    without_chance(Patch)
    np.savez(folder / f"rank{rank}.npz", **fit_without_chance(), **random, **refusals(rank))
    save(WITHOUT_CHANCE["classifier"], folder / f"saved_by_{rank}.safetensors")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
