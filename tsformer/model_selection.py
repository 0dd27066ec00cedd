"""TemporalSplit: folds of frames of series for scikit-learn's cross-validation, cut in time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data.messages import quoted, series_name, warn_user
from tsformer.data.rows import rows_of


@dataclass(frozen=True, kw_only=True)
class TemporalSplit:
    """Cut each series of a frame in time: train on its beginning, test on the `horizon` time points that follow.

    For `GridSearchCV`, `cross_val_score` and their like with a `TransformerForecaster`. The test rows of a fold are
    history and horizon: `score` forecasts the last `horizon` from those before. Covariates stay with their rows.

    Parameters
    ----------
    horizon : int
        Time points to forecast; that of the forecaster.
    n_splits : int, default=3
        Number of folds; the horizon of the last one ends where the series end.
    step_size : int, optional
        Time points from a fold to the next; by default the horizon.
    id_col, time_col : hashable, default="unique_id", "ds"
        Columns of a long frame.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsformer.model_selection import TemporalSplit
    >>> y = pd.Series(range(10), index=pd.date_range("2024-01-01", periods=10))
    >>> for train, test in TemporalSplit(horizon=2, n_splits=2).split(y):
    ...     print(len(train), len(test))
    6 8
    8 10
    """

    horizon: int
    n_splits: int = 3
    step_size: int | None = None
    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the positions of the training and of the test rows of each fold of X, a frame as fit takes it."""
        step = self.horizon if self.step_size is None else self.step_size
        if min(self.horizon, self.n_splits, step) < 1:
            raise ValueError(f"horizon, n_splits and step_size must be at least 1. Got {self}.")
        rows = rows_of(X, "X", self.id_col, self.time_col)
        # Ids or times under other names would make one series of all.
        if text := [name for name, dtype in rows.data.dtypes.items() if not pd.api.types.is_numeric_dtype(dtype)]:
            raise ValueError(
                f"The columns {text} should have a numeric data type; if one holds ids or times, name it in id_col= or "
                f"time_col=. TemporalSplit has its own: {self.id_col!r} and {self.time_col!r}."
            )
        ids = np.zeros(len(rows.times)) if rows.ids is None else rows.ids
        by_series = pd.Series(rows.times).groupby(ids, sort=False)
        length = by_series.transform("size").to_numpy()
        to_come = length - by_series.rank(method="first").to_numpy()  # time points of the series behind each row
        left_out = [self.horizon + step * i for i in reversed(range(self.n_splits))]
        _check_length(rows.ids, length, left_out[0], f"n_splits={self.n_splits} folds of horizon={self.horizon}")
        for n in left_out:
            yield np.flatnonzero(to_come >= n), np.flatnonzero((to_come >= n - self.horizon) & (length > n))


def _check_length(ids: pd.Index[Any] | None, length: NDArray[np.intp], n: int, folds: str) -> None:
    """Warn of series with no more than n time points, the `length` of that of each row; an error if that is all."""
    needed = f"{folds} need more than {n} time points of a series."
    short = np.flatnonzero(length <= n)
    if len(short) == len(length):
        longest = int(length.argmax())
        name = series_name(None if ids is None else ids[longest])
        raise ValueError(f"{needed} {name} has {length[longest]}, and none more; lower n_splits or step_size.")
    if ids is not None and len(short):
        absent = ids[short].unique()
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        warn_user(
            f"{needed} {len(absent)} of {ids.nunique()} series are too short and left out of the folds that come "
            f"before them: {', '.join(map(quoted, absent[:3]))}{more}."
        )
