"""tsformer: the encoder-decoder Transformer for time series behind scikit-learn estimators."""

from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.persistence import load, save

__version__ = "0.1.0"

__all__ = ["TransformerClassifier", "TransformerForecaster", "TransformerPretrainer", "load", "save"]
