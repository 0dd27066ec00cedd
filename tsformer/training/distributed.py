"""Data-parallel training in a process group: batches in, this process's share of them out; what is learned is averaged.

All processes make the same batches from the same data and seed. Each learns from its share, and the mean over processes
of gradients and losses is that of the whole batch where an objective divides by `mean` of what it would divide by.
Outside of a group, or alone in one, all functions here leave things as they are.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.layers.embeddings import ObservedBatchNorm


def processes() -> tuple[int, int]:
    """Return which process of how many this one is."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def join_torchrun() -> None:
    """Join the group that torchrun started this process for, unless the caller has; its children stay outside."""
    started = "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1
    if started and not dist.is_initialized() and multiprocessing.parent_process() is None:
        dist.init_process_group()
        atexit.register(lambda: dist.destroy_process_group() if dist.is_initialized() else None)


def own_gpu() -> int | None:
    """Return which GPU of its machine is this process's own, or None where it need not share them."""
    if processes()[1] > 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ.get("LOCAL_RANK", processes()[0] % max(1, torch.cuda.device_count())))
    return None


def first_of_all(number: int, device: torch.device) -> int:
    """Return the number that the first process has."""
    if processes()[1] == 1:
        return number
    told = torch.tensor(number, device=device)
    dist.broadcast(told, 0)
    return int(told)


def spread(model: nn.Module) -> None:
    """Give all processes the weights and buffers of the first."""
    if processes()[1] > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)


def shares(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield this process's share of each batch; a ValueError if the first is not the same in all processes."""
    rank, size = processes()
    for i, batch in enumerate(batches):
        if i == 0 and size > 1:
            _check_same(batch, size, device)
        yield batch if size == 1 else _share(batch, rank, size)


def _check_same(batch: Batch, size: int, device: torch.device) -> None:
    known = torch.stack([torch.tensor(len(batch)), torch.tensor(batch.x.shape[1]), batch.x.amax(), batch.x.amin()])
    both = torch.cat([known, -known]).to(device, torch.float64)
    dist.all_reduce(both, dist.ReduceOp.MAX)
    if not torch.equal(both[:4], -both[4:]):
        raise ValueError(
            "All processes of a group must be given the same data, in the same order: each takes its share of every "
            "batch. Got other data in some."
        )
    if len(batch) < size:
        raise ValueError(f"A batch of {len(batch)} cases has no share for each of {size} processes: start fewer.")


def _share(batch: Batch, rank: int, size: int) -> Batch:
    """Return the rank-th part of the cases; in unequal parts they weigh so that each counts as in the whole batch."""
    n_cases = len(batch)
    part = replace(batch.part(_rows(n_cases, rank, size)), n_whole=n_cases)
    if n_cases % size == 0:
        return part
    weight = torch.ones(len(part)) if part.weight is None else part.weight
    return replace(part, weight=weight * (len(part) * size / n_cases))


def _rows(n_cases: int, rank: int, size: int) -> slice:
    """Rows of the rank-th of nearly equal parts; the first ones have one more."""
    each, more = divmod(n_cases, size)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))


def total(x: Tensor) -> Tensor:
    """Return the sum over processes; gradients go back to all."""
    return x if processes()[1] == 1 else _Total.apply(x)


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient)


def mean(x: Tensor) -> Tensor:
    """Return the mean over processes of what has no gradient."""
    return x if processes()[1] == 1 else total(x.detach().double()) / processes()[1]


def of_all(x: Tensor, batch: Batch) -> Tensor:
    """Return what all processes have of a batch, from the rows x (b, ...) of this share: (B, ...).

    The gradient of the own rows is multiplied so that its mean over processes is that of the whole batch.
    """
    rank, size = processes()
    if size == 1 or not batch.n_whole:
        return x
    rows, known = _rows(batch.n_whole, rank, size), x.detach()
    whole = x.new_zeros(batch.n_whole, *x.shape[1:])
    whole[rows] = known
    dist.all_reduce(whole)
    return torch.cat([whole[: rows.start], known + size * (x - known), whole[rows.stop :]])


def average_gradients(model: nn.Module, loss: Tensor, interrupted: bool) -> Tensor:
    """Average gradients, in place, over all processes, and return the mean loss.

    On a CPU, where it costs nothing to ask, this is a KeyboardInterrupt in all of them if one was `interrupted`.
    """
    size = processes()[1]
    if size == 1:
        return loss
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    of_loss = torch.stack([loss, torch.full_like(loss, float(interrupted))]).to(gradients[0].dtype)
    message = torch.cat([of_loss, *(gradient.flatten() for gradient in gradients)])
    dist.all_reduce(message)
    message /= size
    for gradient, part in zip(gradients, message[2:].split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
    if message.is_cpu and message[1] > 0:
        raise KeyboardInterrupt
    return message[0]


def any_stops(stops: bool, interrupted: bool, device: torch.device) -> bool:
    """Whether any process is to stop; a KeyboardInterrupt in all of them if one was interrupted."""
    if processes()[1] == 1:
        return stops
    anyone_stops, anyone_interrupted = total(torch.tensor([float(stops), float(interrupted)], device=device)).tolist()
    if anyone_interrupted:
        raise KeyboardInterrupt
    return anyone_stops > 0


@contextmanager
def together(model: nn.Module) -> Iterator[Callable[[], bool]]:
    """Normalise batches by the statistics of all shares, and hold Ctrl-C back; yields whether it came.

    A process that it ended in the middle of a message would let the others wait for ever.
    """
    came = threading.Event()
    if processes()[1] == 1:
        yield came.is_set
        return
    norms = [module for module in model.modules() if isinstance(module, ObservedBatchNorm)]
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: came.set()) if in_main_thread else None
    try:
        for norm in norms:
            norm.total = total
        yield came.is_set
    finally:
        for norm in norms:
            norm.total = None
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
