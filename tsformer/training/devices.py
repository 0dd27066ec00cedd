"""Where and from which seed networks compute: devices, random states, and networks put in place for a purpose."""

import copy
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.ensemble import Ensemble
from tsformer.models.frozen import FrozenClassifier
from tsformer.models.witnesses import Witnesses
from tsformer.training import distributed

LARGE = 2**13  # values of a case: float64 takes four to eight times as long there, and changes probabilities by 2e-7

Network = TypeVar("Network", bound=nn.Module)

_drawing = threading.RLock()  # held by the thread that draws from torch's global generators


_counting = threading.Lock()  # held while the fields of _inside change
_inside: dict[str, Any] = {"n": 0, "dtype": None}  # calls within `usual_state`, and the dtype that the first one found


def _renew_locks() -> None:
    global _drawing, _counting
    _drawing, _counting = threading.RLock(), threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows; the thread that holds a lock does not live on in a fork
    os.register_at_fork(after_in_child=_renew_locks)


@contextmanager
def usual_state() -> Iterator[None]:
    """Inside, torch and numpy are as when imported, whatever the caller has set: what estimators compute is as ever.

    Gradients, devices and floating-point errors are a thread's own. The default dtype is shared by all threads: the
    last one to leave gives it back.
    """
    errors = np.errstate(divide="warn", over="warn", invalid="warn", under="ignore")
    with torch.inference_mode(False), torch.enable_grad(), _usual_device(), _usual_dtype(), errors:
        yield


def _usual_device() -> Any:
    # Within torch.device() each call of torch takes longer: not entered without need.
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


@contextmanager
def _usual_dtype() -> Iterator[None]:
    with _counting:
        if not _inside["n"]:
            _inside["dtype"] = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
        _inside["n"] += 1
    try:
        yield
    finally:
        with _counting:
            _inside["n"] -= 1
            if not _inside["n"]:
                torch.set_default_dtype(_inside["dtype"])


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
    """Seed torch inside and give its random state back after; yields a generator for the order of cases.

    Dropout and new weights draw from generators that all threads share, so other threads wait here for their turn.
    """
    with _drawing, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        set_seed(seed, device)
        yield torch.Generator().manual_seed(seed)


def set_seed(seed: int, device: torch.device) -> None:
    """Seed torch on the CPU and the device, not all GPUs as torch.manual_seed does: `seeded` gives one state back."""
    torch.random.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


class Undrawn(TorchFunctionMode):
    """Inside, new weights are those of a generator of its own: for networks that get others at once.

    It waits for no other thread, as `seeded` would. What takes a generator gets one.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch."""
        kwargs = dict(kwargs or {})
        if "generator" in kwargs or function in (Tensor.uniform_, Tensor.normal_, torch.randn):
            kwargs["generator"] = torch.Generator().manual_seed(0)
        return function(*args, **kwargs)


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
    if isinstance(model, Ensemble | Witnesses):
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
    """Let an estimator's state be pickled for any machine and process: its networks on the CPU, tensors as arrays."""
    networks = {name: copy.deepcopy(value) for name, value in state.items() if isinstance(value, nn.Module)}
    learned = state | {name: network.to("cpu", torch.float32) for name, network in networks.items()}
    learned = {name: value for name, value in learned.items() if next(_tensors(value), None) is not None}
    return state | copy.deepcopy(learned, {id(tensor): _AsArray(tensor) for tensor in _tensors(learned)})


class _AsArray:
    """Stands for a tensor in a pickle, and is one again after it.

    For another process torch pickles where in memory a tensor lies, and these copies are gone before it has started.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> Any:
        requires_grad = self.tensor.requires_grad if isinstance(self.tensor, nn.Parameter) else None
        return _from_array, (self.tensor.detach().cpu().numpy(), requires_grad)


@usual_state()
def _from_array(array: NDArray[Any], requires_grad: bool | None) -> Tensor:
    tensor = torch.from_numpy(np.array(array))  # a copy: joblib's may lie in a file that must not be written to
    return tensor if requires_grad is None else nn.Parameter(tensor, requires_grad)


def _tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors in networks and in nested dicts and lists, such as the states of optimisers."""
    if isinstance(tree, nn.Module):
        yield from chain(tree.parameters(), tree.buffers())
    elif isinstance(tree, dict | list):
        yield from chain.from_iterable(map(_tensors, tree.values() if isinstance(tree, dict) else tree))
    elif isinstance(tree, Tensor):
        yield tree


def to_cpu(tree: Any) -> Any:
    """Put the tensors in nested dicts, such as an optimiser's state, on the CPU."""
    if isinstance(tree, dict):
        return {key: to_cpu(value) for key, value in tree.items()}
    return tree.cpu() if isinstance(tree, Tensor) else tree
