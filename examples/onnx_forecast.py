"""Forecast from the files of `tsformer.export.to_onnx` by numpy and onnxruntime alone, without torch and tsformer."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray


def forecast(directory: str | Path, histories: list[NDArray[np.float64]], horizon: int) -> NDArray[np.float64]:
    """Forecast `horizon` values of each series, no more than the files are made for: (n_series, horizon).

    `histories` holds the past values of each, NaN where one is missing.
    """
    encoder = onnxruntime.InferenceSession(Path(directory) / "encoder.onnx")
    step = onnxruntime.InferenceSession(Path(directory) / "step.onnx")

    context = encoder.get_inputs()[0].shape[1]
    X = np.full((len(histories), context), np.nan)
    for row, values in zip(X, histories, strict=True):
        recent = values[-context:]
        row[context - len(recent) :] = recent
    location, spread, patch, ahead, *described = encoder.run(None, {"X": X})

    # Layers, series and heads as in the memory, but no steps yet.
    keys = values = described[1][:, :, :, :0]
    names = [given.name for given in step.get_inputs()]
    patches: list[Any] = []
    for known_ahead in np.moveaxis(ahead, 1, 0):
        given = (patch, known_ahead, spread, *described, keys, values)
        patch, _, keys, values = step.run(None, dict(zip(names, given, strict=True)))
        patches.append(patch[..., 0])
    return (location + spread * np.concatenate(patches, axis=1))[:, :horizon]
