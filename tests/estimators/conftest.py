"""What tests of estimators set otherwise than fit does."""

import pytest

from tsformer.training import fitting
from tsformer.training.optim import constant


@pytest.fixture
def no_warmup(monkeypatch):
    monkeypatch.setattr(fitting, "WARMUP", 0.0)


@pytest.fixture
def steady(monkeypatch, no_warmup):
    """Keep the learning rate as it is, so that a step does not depend on how many are still to come."""
    monkeypatch.setattr(fitting, "cosine", constant)
