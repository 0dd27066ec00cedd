"""What every test starts from (torch seeded, no open figure), and what a run of the tests tells at its end."""

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import suites
import torch


@pytest.fixture(autouse=True)
def seed_torch() -> None:
    torch.manual_seed(0)


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
