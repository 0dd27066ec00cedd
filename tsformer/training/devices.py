"""Where and from which seed networks compute: devices, random states, and networks put in place for a purpose."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tsformer.training import distributed

Network = TypeVar("Network", bound=nn.Module)


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Draw a seed: repeatable from an int, from the stream of a RandomState, fresh (not from numpy's own) from None."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)


def shared_seed(estimator: Any) -> int:
    """Draw the seed of an estimator's fit; in a process group it is that of the first process."""
    distributed.join_torchrun()
    return distributed.first_of_all(draw_seed(estimator.random_state), resolve_device(estimator.device))


def draw_seeds(seed: int, n: int) -> list[int]:
    """Return n seeds, `seed` the first; the further ones of two neighbouring seeds have nothing in common."""
    return [seed, *map(int, np.random.default_rng(seed).integers(2**31, size=max(n - 1, 0)))][:n]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch inside and give its random state back after; yields a generator for the order of cases."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        set_seed(seed, device)
        yield torch.Generator().manual_seed(seed)


def set_seed(seed: int, device: torch.device) -> None:
    """Seed torch on the CPU and the device, not all GPUs as torch.manual_seed does: `seeded` gives one state back."""
    torch.random.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def resolve_device(device: str) -> torch.device:
    """Turn the `device` parameter into a device that is there; "auto" is CUDA where there is one.

    Of several processes each has its own GPU, unless a number is given.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and (own := distributed.own_gpu()) is not None:
        device = f"cuda:{own}"
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


def ready_to_predict(model: Network, device: torch.device) -> Network:
    """Put the model on the device in eval mode, in float64 on the CPU.

    float32 kernels round differently for batches of different sizes, by some 1e-6, and a prediction must not depend
    on what it is batched with. On a GPU float64 would cost too much.
    """
    return model.to(device, torch.float64 if device.type == "cpu" else torch.float32).eval()


def portable(state: dict[str, Any]) -> dict[str, Any]:
    """Put the networks in an estimator's state on the CPU: fitted on a GPU, it must load where there is none."""
    networks = {name: copy.deepcopy(value) for name, value in state.items() if isinstance(value, nn.Module)}
    return state | {name: network.to("cpu", torch.float32) for name, network in networks.items()}


def to_cpu(tree: Any) -> Any:
    """Put the tensors in nested dicts, such as an optimiser's state, on the CPU."""
    if isinstance(tree, dict):
        return {key: to_cpu(value) for key, value in tree.items()}
    return tree.cpu() if isinstance(tree, Tensor) else tree
