"""Pictures of fitted estimators, drawn by `from_estimator` as in scikit-learn; they need matplotlib."""

from tsformer.plotting._attention import AttentionDisplay, CaseAttention, ForecastAttention
from tsformer.plotting._figures import require_matplotlib
from tsformer.plotting._forecast import MAX_PANELS, ForecastDisplay, ForecastPanel
from tsformer.plotting._history import HistoryDisplay

__all__ = [
    "MAX_PANELS",
    "AttentionDisplay",
    "CaseAttention",
    "ForecastAttention",
    "ForecastDisplay",
    "ForecastPanel",
    "HistoryDisplay",
    "require_matplotlib",
]
