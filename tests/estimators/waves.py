"""Small synthetic series and a small classifier, on which a fit takes a tenth of a second."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsformer import TransformerClassifier

Labelled = tuple[NDArray[np.float64], NDArray[np.int64]]

LEARNS = {"max_steps": 20, "learning_rate": 2e-2}  # enough for the default encoder to tell the waves apart
LEARNS_SLOWLY = LEARNS | {"max_steps": 30}  # enough for the others


def waves(
    n_cases: int = 24, n_channels: int = 2, n_timepoints: int = 30, n_classes: int = 2, seed: int = 0
) -> Labelled:
    """Noisy sines (n_cases, n_channels, n_timepoints); class k goes through k + 1 periods."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_cases) % n_classes
    time = np.arange(n_timepoints) / n_timepoints
    sines = np.sin(2 * np.pi * (y[:, None, None] + 1) * time)
    return sines + 0.3 * rng.normal(size=(n_cases, n_channels, n_timepoints)), y


def cut(X: NDArray[np.float64], shortest: int = 18) -> list[NDArray[np.float64]]:
    """Cut series (n_cases, n_channels, n_timepoints) to unequal lengths; the first stays whole."""
    longest = X.shape[2]
    return [series[:, : longest - 5 * case % (longest - shortest + 1)] for case, series in enumerate(X)]


def small(**params: Any) -> TransformerClassifier:
    """Make a classifier of one network that trains fast and repeatably, without a pretrained one."""
    size = {"n_estimators": 1, "pretrained": None, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    return TransformerClassifier(**({"max_steps": 5, "random_state": 0, "device": "cpu"} | size | params))
