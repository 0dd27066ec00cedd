"""What scikit-learn's cross-validation splits: cases of a long frame, frames cut in time, cases with few labels."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from tsformer.data import cases
from tsformer.data.messages import quoted, series_name, warn_user
from tsformer.data.rows import numbered, rows_of
from tsformer.estimators.checks import has_label


def read_cases(
    frame: pd.DataFrame,
    id_col: Hashable = "unique_id",
    time_col: Hashable = "ds",
    label_col: Hashable | None = None,
    group_col: Hashable | None = None,
) -> tuple[list[pd.DataFrame], pd.Series | None, pd.Series | None]:
    """Part a long frame into cases, their labels and their groups, as scikit-learn's cross-validation takes them.

    It splits by position, and a row of a long frame is no case. A list of frames, one for each case, can be split.

    Parameters
    ----------
    frame : DataFrame
        A row for each case and time, under these columns or a (case, time) MultiIndex. Columns with no name below are
        channels.
    id_col, time_col : hashable, default="unique_id", "ds"
        Columns that tell cases apart and that order the rows of each.
    label_col : hashable, optional
        Column of labels, one for each case: in all of its rows, or in some.
    group_col : hashable, optional
        Column of what must not be on both sides of a split, such as persons.

    Returns
    -------
    X : list of DataFrame
        Of each case, in the order of first rows, its channels by time.
    y, groups : Series of length n_cases, or None
        By id, in the order of X. A case that has no label has a missing one.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsformer.model_selection import read_cases
    >>> rows = {"id": [2, 2, 1], "t": [0, 1, 0], "x": [0.1, 0.2, 0.3], "kind": ["b", "b", "a"]}
    >>> X, y, groups = read_cases(pd.DataFrame(rows), id_col="id", time_col="t", label_col="kind")
    >>> len(X), y.to_dict(), groups
    (2, {2: 'b', 1: 'a'}, None)
    """
    rows = rows_of(frame, "frame", id_col, time_col, only_order=True)
    if rows.ids is None:
        raise ValueError(
            f"frame must have a row for each case and time, with the columns {quoted(id_col)} and {quoted(time_col)}. "
            f"Got {list(frame)}; name its columns in id_col= and time_col=, or reset_index() if one is in the index."
        )
    codes, ids = numbered(rows.ids, len(rows.ids))
    named = {"label_col": label_col, "group_col": group_col}
    y, groups = (
        None if column is None else _one_of_each(rows.data, column, name, ids[codes]) for name, column in named.items()
    )
    if groups is not None and groups.isna().any():
        raise ValueError(
            f"Each case must have a group. That of {quoted(groups.index[groups.isna()][0])} is missing in the column "
            f"{quoted(group_col)}."
        )
    channels = frame.drop(columns=[column for column in named.values() if column is not None])
    if text := [name for name in channels if name in rows.data and _is_text(channels[name])]:
        raise ValueError(
            f"Channels hold numbers. Got text in the columns {text}: name them in label_col= and group_col=, or drop "
            "them."
        )
    read = cases.read_cases(channels, "frame", id_col=id_col, time_col=time_col)
    series = zip(read.data.series, read.times or [], strict=True)
    return [pd.DataFrame(x[:, : len(times)].T, times, read.columns) for x, times in series], y, groups


def _is_text(column: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def _one_of_each(data: pd.DataFrame, column: Hashable, name: str, ids: pd.Index[Any]) -> pd.Series[Any]:
    """The one value that each case has in a column, by id (ids are those of the rows); missing where it has none."""
    if column not in data.columns:
        raise ValueError(f"frame has no column {quoted(column)}. It has {list(data)}; name one of these in {name}=.")
    by_case = data[column].groupby(ids, sort=False)
    if (several := by_case.nunique()).max() > 1:
        id = several.index[several > 1][0]
        found = ", ".join(map(quoted, data[column][ids == id].dropna().unique()[:3]))
        raise ValueError(
            f"Each case must have one value in the column {quoted(column)}. Got {found} for {quoted(id)}; if a case "
            "is less than that, make ids that tell its parts apart."
        )
    return by_case.first()


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
    cannot be scored, and is there to learn from in each fold. With groups, such as persons, no group is on both sides,
    its unlabelled cases neither.

    Parameters
    ----------
    n_splits : int, default=3
        Number of folds; each class needs as many labelled cases to be in all.
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
        if y is None:
            raise ValueError("LabelledSplit splits by labels, but the target y is None.")
        labels = np.asarray(y, dtype=None if isinstance(y, np.ndarray) else object)
        known = has_label(labels, self.unlabelled)
        places, others = np.flatnonzero(known), np.flatnonzero(~known)
        names, classes = pd.factorize(labels[known])
        if not len(classes) or np.bincount(names).max() < self.n_splits:
            most = np.bincount(names).max() if len(classes) else 0
            raise ValueError(
                f"n_splits={self.n_splits} folds need as many labelled cases of a class. Got {most} at most, all other "
                f"cases are unlabelled={self.unlabelled!r}; lower n_splits, or label more."
            )
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        folds = kind(self.n_splits, shuffle=self.shuffle, random_state=self.random_state if self.shuffle else None)
        of = None if groups is None else np.asarray(groups)
        for train, test in folds.split(names, names, None if of is None else of[places]):
            beside = others if of is None else others[~np.isin(of[others], of[places[test]])]
            yield np.sort(np.concatenate([places[train], beside])), places[test]
