"""Tasks one after the other, or side by side in processes: functions in, what they return out, in their order."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from joblib import Parallel, delayed, effective_n_jobs

from tsformer.data.messages import warn_user
from tsformer.training import distributed

T = TypeVar("T")


def at_a_time(n_jobs: int | None) -> int:
    """Return how many tasks run at a time: in a process group, all of whose processes train each network, one."""
    return 1 if distributed.processes()[1] > 1 else effective_n_jobs(n_jobs)


def side_by_side(tasks: Sequence[Callable[[], T]], n_jobs: int | None) -> Iterator[T]:
    """Yield what the tasks return, each when it is asked for, or `n_jobs` of them at a time in joblib's workers.

    What a task warns of in another process is a warning here. Large arrays are shared with workers, not copied.
    """
    if len(tasks) < 2 or at_a_time(n_jobs) == 1:
        yield from (task() for task in tasks)
        return
    run = Parallel(n_jobs, return_as="generator", mmap_mode="c")
    for result, messages in run(delayed(_in_worker)(task, os.getpid()) for task in tasks):
        for message in messages:
            warn_user(message)
        yield result


def _in_worker(task: Callable[[], T], caller: int) -> tuple[T, list[str]]:
    """Run a task, on one thread if in another process, of which there are as many as cores; keep its warnings."""
    if os.getpid() == caller:
        return task(), []
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            result = task()
    finally:
        torch.set_num_threads(n_threads)
    messages: list[Any] = [warning.message for warning in caught if warning.category is UserWarning]
    return result, list(map(str, messages))
