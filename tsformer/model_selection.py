"""TemporalSplit: folds of frames of series for scikit-learn's cross-validation, cut in time."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data.frames import numbers_of, rows_of
from tsformer.data.messages import series_name


@dataclass(frozen=True, kw_only=True)
class TemporalSplit:
    """Cut each series of a frame in time: train on its beginning, test on the `horizon` time points that follow.

    For `GridSearchCV`, `cross_val_score` and their like with a `TransformerForecaster`. The test rows of a fold are
    the history and the horizon: `score` forecasts the last `horizon` of them from those before.

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
        """Yield the positions of the training rows and of the test rows of each fold.

        Parameters
        ----------
        X : Series or DataFrame
            Wide, long, or with a (series, time) MultiIndex.
        y, groups : None
            Ignored.
        """
        step = self.horizon if self.step_size is None else self.step_size
        if min(self.horizon, self.n_splits, step) < 1:
            raise ValueError(f"horizon, n_splits and step_size must be at least 1. Got {self}.")
        rows = rows_of(X, "X", self.id_col, self.time_col)
        try:
            numbers_of(rows.data, "target")  # ids or times under other names would make one series of all
        except ValueError as error:
            raise ValueError(f"{error} TemporalSplit has its own: {self.id_col!r} and {self.time_col!r}.") from error
        ids = np.zeros(len(rows.times)) if rows.ids is None else rows.ids
        by_series = pd.Series(rows.times).groupby(ids, sort=False)
        length = by_series.transform("size").to_numpy()
        to_come = length - by_series.rank(method="first").to_numpy()  # time points of the series behind each row
        withheld = [self.horizon + step * i for i in reversed(range(self.n_splits))]
        shortest = int(length.argmin())
        if length[shortest] <= withheld[0]:
            name = series_name(None if rows.ids is None else rows.ids[shortest])
            raise ValueError(
                f"n_splits={self.n_splits} folds of horizon={self.horizon} need more than {withheld[0]} time points of "
                f"each series. {name} has {length[shortest]}; lower n_splits or step_size, or leave it out."
            )
        for n in withheld:
            yield np.flatnonzero(to_come >= n), np.flatnonzero(to_come >= n - self.horizon)
