"""tsformer: the encoder-decoder Transformer for time series behind scikit-learn estimators."""

import importlib
from typing import Any

from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.persistence import load, save

__version__ = "0.1.0"

__all__ = ["TransformerClassifier", "TransformerForecaster", "TransformerPretrainer", "load", "save"]


def __getattr__(name: str) -> Any:
    """Import a submodule when it is first used, as `tsformer.export` after `import tsformer` alone."""
    if name in ("datasets", "export", "inspection", "metrics", "model_selection", "plotting"):
        return importlib.import_module(f"tsformer.{name}")
    raise AttributeError(f"module 'tsformer' has no attribute {name!r}")
