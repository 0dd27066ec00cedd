"""Pictures of fitted estimators, displays made by `from_estimator` as in scikit-learn; they need matplotlib."""

from tsformer.plotting.anomalies import AnomalyDisplay, AnomalyPanel
from tsformer.plotting.attention import AttentionDisplay, CaseAttention, ForecastAttention
from tsformer.plotting.axes import MAX_PANELS, require_matplotlib
from tsformer.plotting.forecast import ForecastDisplay, ForecastPanel
from tsformer.plotting.history import HistoryDisplay

__all__ = [
    "MAX_PANELS",
    "AnomalyDisplay",
    "AnomalyPanel",
    "AttentionDisplay",
    "CaseAttention",
    "ForecastAttention",
    "ForecastDisplay",
    "ForecastPanel",
    "HistoryDisplay",
    "require_matplotlib",
]
