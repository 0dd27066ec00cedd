"""Folds for scikit-learn's cross-validation: frames of series cut in time, or cases of which only some have a label."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from tsformer.data.messages import quoted, series_name, warn_user
from tsformer.data.rows import rows_of
from tsformer.estimators.checks import has_label


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


@dataclass(frozen=True, kw_only=True)
class LabelledSplit:
    """Test on labelled cases in turn, stratified; train on the other labelled ones and all that have no label.

    For `GridSearchCV`, `cross_val_score` and their like with a `SemiSupervisedTransformerClassifier`: what has no label
    cannot be scored, and is there to learn from in each fold.

    Parameters
    ----------
    n_splits : int, default=3
        Number of folds; each class needs as many labelled cases.
    unlabelled : int, float, str or None, default=-1
        The mark of cases without a label, that of the classifier.
    shuffle : bool, default=True
        Draw the cases of the folds, instead of taking them in order.
    random_state : int, RandomState instance or None, default=None
        An int makes the folds repeatable.

    Examples
    --------
    >>> from tsformer.model_selection import LabelledSplit
    >>> y = ["a", "a", "b", "b", None, None]
    >>> for train, test in LabelledSplit(n_splits=2, unlabelled=None, shuffle=False).split(y, y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 2 4 5] [1 3]
    """

    n_splits: int = 3
    unlabelled: float | str | None = -1
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the positions of the training and of the test cases of each fold; X itself is not looked at."""
        labels = np.asarray(y, dtype=None if isinstance(y, np.ndarray) else object)
        known = has_label(labels, self.unlabelled)
        places, others = np.flatnonzero(known), np.flatnonzero(~known)
        names = pd.factorize(labels[known])[0]
        folds = StratifiedKFold(
            self.n_splits, shuffle=self.shuffle, random_state=self.random_state if self.shuffle else None
        )
        for train, test in folds.split(names, names):
            yield np.sort(np.concatenate([places[train], others])), places[test]
