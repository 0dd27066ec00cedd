"""What every test starts from, torch's random numbers drawn from one seed, and what a run tells at its end."""

from typing import Any

import pytest
import suites
import torch


@pytest.fixture(autouse=True)
def seed_torch() -> None:
    torch.manual_seed(0)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    suites.summary(terminalreporter)
