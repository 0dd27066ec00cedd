"""What every test starts from: torch's random numbers drawn from one seed."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seed_torch() -> None:
    torch.manual_seed(0)
