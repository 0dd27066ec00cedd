"""What every test starts from: torch seeded and on its threads, no open figure; and what a run tells at its end."""

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import suites
import torch

N_THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def fresh_torch() -> None:
    """Seed torch; and numba, when a rival first runs in parallel, gives it as many threads as there are cores."""
    torch.manual_seed(0)
    torch.set_num_threads(N_THREADS)


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Close what a test drew: pyplot keeps figures and warns beyond twenty."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT interrupt, which a run of the tests in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    suites.summary(terminalreporter)
