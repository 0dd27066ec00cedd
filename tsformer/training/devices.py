"""Where and from which seed networks compute: devices, random states, and networks put in place for a purpose."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.ensemble import Ensemble
from tsformer.models.frozen import FrozenClassifier

LARGE = 2**13  # values of a case: float64 takes four to eight times as long there, and changes probabilities by 2e-7

Network = TypeVar("Network", bound=nn.Module)


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Draw a seed: repeatable from an int, from the stream of a RandomState, fresh (not from numpy's own) from None."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)


def draw_seeds(seed: int, n: int) -> list[int]:
    """Return n seeds, `seed` the first; the further ones of two neighbouring seeds have nothing in common."""
    return [seed, *map(int, np.random.default_rng(seed).integers(2**31, size=max(n - 1, 0)))][:n]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch inside and give its random state back after; yields a generator for the order of cases."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # torch.manual_seed would seed all GPUs, those too whose state is not given back.
        torch.random.default_generator.manual_seed(seed)
        for used in cuda:
            with torch.cuda.device(used):
                torch.cuda.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def resolve_device(device: str) -> torch.device:
    """Turn the `device` parameter into a device that is there; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        known = "'auto', 'cpu', 'cuda' or 'cuda:<number>'"
        raise ValueError(f"The 'device' parameter must be {known}. Got {device!r} instead.")
    resolved = torch.device(device)
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"The 'device' parameter asks for {device!r}, but this machine has {torch.cuda.device_count()} CUDA "
            "devices. Set device='auto'."
        )
    return resolved


def placed(model: Network, device: torch.device) -> Network:
    """Put the model, which nobody uses yet, on the device as it predicts there: once, at the end of fit or load.

    float32 kernels round differently for batches of different sizes, by some 1e-6, and a prediction must not depend
    on what it is batched with: on the CPU networks are in float64, but for the encoder of single channels, which takes
    batches of a fixed size, and networks of large cases. On a GPU float64 would cost too much.
    """
    model.to(device, torch.float64 if device.type == "cpu" else torch.float32).eval()
    for network in _networks(model):
        network.to(dtype=_dtype(network, device))
    return model


def ready_to_predict(model: Network, device: torch.device) -> Network:
    """Return the model as it predicts on the device: itself if it was placed there, else a copy; it never changes."""
    weights = {network: next(network.parameters()) for network in _networks(model)}
    is_placed = all(
        not network.training
        and weight.device.type == device.type
        and device.index in (None, weight.device.index)
        and weight.dtype == _dtype(network, device)
        for network, weight in weights.items()
    )
    return model if is_placed else placed(copy.deepcopy(model), device)


def _networks(model: Any) -> list[nn.Module]:
    """What predicts in one precision: the networks of an ensemble, or else the model."""
    if isinstance(model, Ensemble):
        return [network for member in model.members for network in _networks(member)]
    return [model.network if isinstance(model, FrozenClassifier) else model]


def _dtype(network: Any, device: torch.device) -> torch.dtype:
    if device.type != "cpu" or isinstance(network, ChannelEncoder):
        return torch.float32
    is_large = isinstance(network, SeriesClassifier) and _n_values(network.settings) >= LARGE
    return torch.float32 if is_large else torch.float64


def _n_values(settings: dict[str, Any]) -> int:
    return int(settings["n_channels"] * settings["n_timepoints"])


def portable(state: dict[str, Any]) -> dict[str, Any]:
    """Put the networks in an estimator's state on the CPU: fitted on a GPU, it must load where there is none."""
    networks = {name: copy.deepcopy(value) for name, value in state.items() if isinstance(value, nn.Module)}
    return state | {name: network.to("cpu", torch.float32) for name, network in networks.items()}


def to_cpu(tree: Any) -> Any:
    """Put the tensors in nested dicts, such as an optimiser's state, on the CPU."""
    if isinstance(tree, dict):
        return {key: to_cpu(value) for key, value in tree.items()}
    return tree.cpu() if isinstance(tree, Tensor) else tree
