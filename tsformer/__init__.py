"""tsformer: the encoder-decoder Transformer for time series behind scikit-learn estimators."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsformer.estimators.classifier import TransformerClassifier
    from tsformer.estimators.detector import TransformerDetector
    from tsformer.estimators.forecaster import TransformerForecaster
    from tsformer.estimators.pretrainer import TransformerPretrainer
    from tsformer.estimators.semi_supervised import SemiSupervisedTransformerClassifier
    from tsformer.persistence import load, save

__version__ = "0.1.0"

__all__ = [
    "SemiSupervisedTransformerClassifier",
    "TransformerClassifier",
    "TransformerDetector",
    "TransformerForecaster",
    "TransformerPretrainer",
    "load",
    "save",
]

# Imported when first used: torch and scikit-learn take seconds, which `tsformer --help` does without.
_HOMES = {
    "SemiSupervisedTransformerClassifier": "estimators.semi_supervised",
    "TransformerClassifier": "estimators.classifier",
    "TransformerDetector": "estimators.detector",
    "TransformerForecaster": "estimators.forecaster",
    "TransformerPretrainer": "estimators.pretrainer",
    "load": "persistence",
    "save": "persistence",
}
_MODULES = (
    *("data", "datasets", "estimators", "export", "inspection", "layers", "metrics", "model_selection", "models"),
    *("persistence", "plotting", "training"),
)


def __getattr__(name: str) -> Any:
    """Import a public name, or a module as `tsformer.export` after `import tsformer` alone, when it is first used."""
    if name in _MODULES:
        return importlib.import_module(f"tsformer.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'tsformer' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"tsformer.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
