"""What estimators share around training: seed, device, weights, held-out cases, prediction in batches."""

import copy
import logging
import re
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor, nn

from tsformer.data.batch import Batch, Minibatches
from tsformer.training.loop import History

Network = TypeVar("Network", bound=nn.Module)

CASES_PER_PREDICTION = 64  # bounds memory in prediction

LOG = logging.getLogger("tsformer")


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Draw a seed: repeatable from an int, from the stream of a RandomState, fresh from None.

    Unlike scikit-learn's `check_random_state`, None leaves numpy's global stream alone.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)


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
        raise ValueError(
            f"The 'device' parameter must be 'auto', 'cpu', 'cuda' or 'cuda:<number>'. Got {device!r} instead."
        )
    resolved = torch.device(device)
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"The 'device' parameter asks for {device!r}, but this machine has {torch.cuda.device_count()} CUDA "
            "devices. Set device='auto'."
        )
    return resolved


def draw_seeds(seed: int, n: int) -> list[int]:
    """Return n seeds, `seed` the first; the further ones of two neighbouring seeds have nothing in common."""
    return [seed, *map(int, np.random.default_rng(seed).integers(2**31, size=max(n - 1, 0)))][:n]


def ready_to_predict(model: Network, device: torch.device) -> Network:
    """Put the model on the device in eval mode, in float64 on the CPU.

    float32 kernels round differently for batches of different sizes, by some 1e-6, and a prediction must not depend
    on what it is batched with. On a GPU float64 would cost too much.
    """
    return model.to(device, torch.float64 if device.type == "cpu" else torch.float32).eval()


def ready_to_train(model: Network, device: torch.device) -> Network:
    """Put the model on the device in float32, in which it is trained; nothing is lost on the way."""
    return model.to(device, torch.float32)


def predict_in_batches(model: nn.Module, method: Callable[..., Tensor], data: Batch, device: torch.device) -> Tensor:
    """Apply a method of the model's class to (x, observed) of all cases; the results are joined on the CPU."""
    ready_to_predict(model, device)
    with torch.inference_mode():
        batches = (batch.to(device) for batch in Minibatches(data, CASES_PER_PREDICTION))
        return torch.cat([method(model, batch.x, batch.observed).cpu() for batch in batches])


def portable(state: dict[str, Any]) -> dict[str, Any]:
    """Put the networks in an estimator's state on the CPU: fitted on a GPU, it must load where there is none."""

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(item) for item in value]
        return copy.deepcopy(value).to("cpu", torch.float32) if isinstance(value, nn.Module) else value

    return {name: moved(value) if name.endswith("_") else value for name, value in state.items()}


def log_end(estimator: object, histories: list[History]) -> None:
    """Log what the trainings of a fit came to."""
    LOG.info(
        "%s: fitted in %.1f s; steps behind the weights: %s, last training loss: %s.",
        type(estimator).__name__,
        sum(history.seconds[-1] for history in histories if history.seconds),
        ", ".join(str(history.best_step) for history in histories) or "none",
        ", ".join(f"{history.loss[-1]:.4g}" if history.loss else "none" for history in histories) or "none",
    )


def to_cpu(tree: Any) -> Any:
    """Copy the tensors in nested dicts and lists, such as an optimiser's state, to the CPU."""
    if isinstance(tree, dict):
        return {key: to_cpu(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [to_cpu(value) for value in tree]
    return tree.cpu() if isinstance(tree, Tensor) else tree


def check_case_weights(sample_weight: ArrayLike | None, y: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return a weight for each case, ones by default; ValueError for negative, all zero, or too few weights."""
    weight: NDArray[np.float64] = _check_sample_weight(sample_weight, y, dtype=np.float64, copy=True)
    return check_not_negative(weight, name)


def check_not_negative(weight: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the weights if none is negative and one at least is positive."""
    if weight.min() < 0 or not weight.any():
        raise ValueError(f"{name} must hold no negative weight and at least one above 0. Got {reprlib.repr(weight)}.")
    return weight


def hold_out(data: Batch, fraction: float, seed: int) -> tuple[Batch, Batch]:
    """Split cases into a training and a validation part, labelled ones with the same shares of the classes."""
    try:
        kept, held = train_test_split(np.arange(len(data)), test_size=fraction, random_state=seed, stratify=data.y)
    except ValueError as error:
        reason = str(error).rstrip(".")
        other_cases = "" if data.y is None else "give fit X_val and y_val, "
        raise ValueError(
            f"early_stopping could not hold back validation_fraction={fraction} of {len(data)} cases: {reason}. Change "
            f"validation_fraction, {other_cases}or set early_stopping=False."
        ) from error
    return data.select(torch.from_numpy(kept)), data.select(torch.from_numpy(held))
