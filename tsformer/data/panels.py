"""Panels of series in pandas or torch, told apart by their form and turned into arrays; arrays pass through.

The forms are those of sktime and aeon (a list of frames, a frame under a (case, time) MultiIndex, a frame whose cells
are series), a long frame with columns of ids and times, and tensors. `data.arrays` checks what comes out.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from tsformer.data.frames import numbered, numbers_of, rows_of
from tsformer.data.messages import listed, quoted, series_name, shown

Floats = NDArray[np.float64]


class Cases(NamedTuple):
    """Series as `data.arrays.check_series` takes them; names of channels, ids and times, where the form has them.

    `times` are those of all cases, one case after the other.
    """

    series: Any
    channels: pd.Index[Any] | None = None
    ids: pd.Index[Any] | None = None
    times: pd.Index[Any] | None = None


def read_panel(X: Any, name: str, *, id_col: Hashable = "unique_id", time_col: Hashable = "ds") -> Cases:
    """Turn a panel of any form into arrays (n_channels, n_timepoints_i); what has no such form stays as it is.

    Parameters
    ----------
    X : object
        A frame is told by its form: under a MultiIndex, its rows are (case, time); with the columns `id_col` and
        `time_col` it is long; with series in its cells, nested. All others are tables of one row a case. A list may
        hold frames, whose rows are times. Cases come in the order of their first rows.
    name : str
        What to call X in messages.
    id_col, time_col : Hashable
        Columns of a long frame; the others are its channels.

    Raises
    ------
    ValueError
        For a long frame without one of the columns, columns of no numbers, infinities, missing or duplicate times, a
        case without a value, cases of different channels, channels of different lengths.
    """
    if isinstance(X, torch.Tensor):
        return Cases(_array(X))
    if isinstance(X, Sequence) and any(isinstance(series, torch.Tensor) for series in X):
        return Cases([_array(series) if isinstance(series, torch.Tensor) else series for series in X])
    if isinstance(X, Sequence) and any(isinstance(series, pd.DataFrame | pd.Series) for series in X):
        return _read_list(X, name)
    if _has_ids(X, name, id_col, time_col):
        return _read_rows(X, name, id_col, time_col)
    if isinstance(X, pd.DataFrame) and len(X) and any(isinstance(cell, pd.Series | np.ndarray) for cell in X.iloc[0]):
        return _read_nested(X, name)
    if isinstance(X, pd.DataFrame):
        _check_table(X, name)
    return Cases(X)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    known_to_numpy = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return known_to_numpy.detach().cpu().numpy()


def _check_table(X: pd.DataFrame, name: str) -> None:
    """Check that a frame of one row a case has no column of times or text, as a long one has."""
    if not X.columns.is_unique:
        raise ValueError(f"The columns of {name} must be unique. Got {list(X.columns)}.")
    for column, dtype in X.dtypes.items():
        if getattr(dtype, "kind", "") in "mM" or isinstance(dtype, pd.StringDtype | pd.PeriodDtype):
            raise ValueError(
                f"A DataFrame {name} of one row for each case must hold numbers. Got {str(dtype)!r} in column "
                f"{quoted(column)}; if {name} is a long frame, name its columns with id_col= and time_col=."
            )


# Frames in which each row has an id and a time.


def case_ids(X: Any, *, id_col: Hashable = "unique_id", time_col: Hashable = "ds") -> pd.Index[Any] | None:
    """Return the ids of the cases of a long or MultiIndex frame in the order of their first rows; of others, None."""
    if not _has_ids(X, "X", id_col, time_col):
        return None
    return numbered(rows_of(X, "X", id_col, time_col, only_order=True).ids, len(X))[1]


def by_id(values: Any, ids: pd.Index[Any] | None, name: str) -> Any:
    """Bring what belongs to the cases, such as labels, into their order.

    Parameters
    ----------
    values : object
        A Series is matched by its index, a DataFrame too. An array is taken as it comes, but only where the ids
        ascend: else it could be in the order of the frame as well as in that of a groupby.
    ids : Index or None
        From `case_ids`. None leaves the values as they are.
    name : str
        What to call the values in messages.

    Raises
    ------
    ValueError
        When an id has no value or several, when there are others, or when the order of an array cannot be known.
    """
    if ids is None or values is None:
        return values
    if isinstance(values, Mapping):
        raise ValueError(f"{name} must be a Series with the ids of X as its index. Got a dict; pass pd.Series({name}).")
    if not isinstance(values, pd.Series | pd.DataFrame):
        if ids.is_monotonic_increasing:
            return values
        raise ValueError(
            f"{name} must be a Series with the ids of X as its index, as these do not ascend in X. Got "
            f"{type(values).__name__}; pass pd.Series({name}, index=ids)."
        )
    again = values.index[values.index.duplicated()]
    if len(again):
        raise ValueError(
            f"{name} must have one value for each id of X. Got several for {quoted(again[0])}; take one, e.g. "
            f"{name}.groupby(level=0).first()."
        )
    absent, unknown = ids[~ids.isin(values.index)], values.index[~values.index.isin(ids)]
    if len(absent) or len(unknown):
        wrong = [
            f"{what} {listed(pd.Index([quoted(id) for id in found]))}"
            for what, found in {"none for": absent, "further ones for": unknown}.items()
            if len(found)
        ]
        raise ValueError(
            f"The index of {name} must hold the ids of X, each once and no others. Got {', and '.join(wrong)}."
        )
    return values.iloc[values.index.get_indexer(ids)]


def _has_ids(X: Any, name: str, id_col: Hashable, time_col: Hashable) -> bool:
    """Whether a frame is long or under a MultiIndex."""
    if not isinstance(X, pd.DataFrame | pd.Series):
        return False
    if isinstance(X.index, pd.MultiIndex):
        return True
    if isinstance(X, pd.Series):
        return False
    has_time = time_col in X.columns
    has_id = id_col in X.columns or (has_time and X.index.name == id_col)
    if has_time != has_id:
        found, absent = (time_col, id_col) if has_time else (id_col, time_col)
        raise ValueError(
            f"A long frame {name} must have a column of ids, {quoted(id_col)}, and one of times, {quoted(time_col)}. "
            f"Got {quoted(found)} but not {quoted(absent)}; name the columns with id_col= and time_col=, reset_index() "
            "if one is in the index, or rename the column if each row is a case."
        )
    return has_id


def _read_rows(X: pd.DataFrame | pd.Series[Any], name: str, id_col: Hashable, time_col: Hashable) -> Cases:
    rows = rows_of(X, name, id_col, time_col, only_order=True)
    channels = rows.data.columns
    if not len(channels):
        raise ValueError(f"{name} must have at least one channel: a column beside ids and times.")
    codes, ids = numbered(rows.ids, len(rows.data))
    places = pd.factorize(rows.times, sort=True)[0]
    order = np.lexsort((places, codes))
    codes, times = codes[order], rows.times[order]
    again = np.flatnonzero((np.diff(codes) == 0) & (np.diff(places[order]) == 0))
    if len(again):
        raise ValueError(
            f"{series_name(ids[codes[again[0]]])} of {name} has duplicate times: {shown(times[again[0]])}. Keep one "
            "row for each, e.g. by groupby(...).mean()."
        )
    values = _by_channel(rows.data, "channel")[:, order]
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        channel, row = infinite[0]
        raise ValueError(
            f"{series_name(ids[codes[row]])} of {name} contains infinity in column {quoted(channels[channel])} at "
            f"{shown(times[row])}. Values must be finite, or NaN where missing."
        )
    series = np.split(values, np.flatnonzero(np.diff(codes)) + 1, axis=1)
    for id, case in zip(ids, series, strict=True):
        if np.isnan(case).all():
            raise ValueError(f"{series_name(id)} of {name} has only NaN. Each must have at least one value; remove it.")
    return Cases(series, channels, ids, times)


def _by_channel(data: pd.DataFrame, kind: str) -> Floats:
    """The columns of a frame, whose rows are times, as the rows of an array (n_channels, n_rows)."""
    return np.stack([numbers_of(data.iloc[:, [i]], kind)[:, 0] for i in range(data.shape[1])])


# Frames for each case, and series in cells: the cases have no ids.


def _read_list(X: Sequence[Any], name: str) -> Cases:
    series = []
    channels: pd.Index[Any] = pd.Index([], dtype=object)
    for case, item in enumerate(X):
        # What a single Series is called tells of its case, not of its channel.
        frame = item.rename(None).to_frame() if isinstance(item, pd.Series) else item
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"All series of a list {name} must be frames if one is. Case {case} is {type(item)}.")
        channels = frame.columns if case == 0 else channels
        if frame.empty or not frame.columns.is_unique:
            raise ValueError(f"The frames of a list {name} must have rows and unique columns. Case {case} has not.")
        if set(frame.columns) != set(channels):
            raise ValueError(
                f"All frames of {name} must have the same columns. Case 0 has {list(channels)}, case {case} has "
                f"{list(frame.columns)}."
            )
        _check_in_order(frame.index, f"The rows of {name}[{case}]")
        series.append(_by_channel(frame.loc[:, channels], f"{name}[{case}]"))
    return Cases(series, channels)


def _read_nested(X: pd.DataFrame, name: str) -> Cases:
    if not X.columns.is_unique:
        raise ValueError(f"The columns of {name} must be unique. Got {list(X.columns)}.")
    series = []
    for case, cells in enumerate(X.itertuples(index=False, name=None)):
        where = f"case {case} of {name}"
        for column, cell in zip(X.columns, cells, strict=True):
            if not isinstance(cell, pd.Series | np.ndarray) or cell.ndim != 1:
                raise ValueError(
                    f"Each cell of a nested frame {name} must be a Series or an array of one dimension. Column "
                    f"{quoted(column)} of case {case} is of {type(cell).__name__}."
                )
            if isinstance(cell, pd.Series):
                _check_in_order(cell.index, f"Column {quoted(column)} of {where}")
        if len({len(cell) for cell in cells}) > 1:
            lengths = {column: len(cell) for column, cell in zip(X.columns, cells, strict=True)}
            raise ValueError(f"The channels of a case must be of one length; pad with NaN. Got {lengths} in {where}.")
        values = pd.DataFrame({i: np.asarray(cell) for i, cell in enumerate(cells)})
        series.append(_by_channel(values.set_axis(X.columns, axis=1), f"{name}[{case}]"))
    return Cases(series, X.columns)


def _check_in_order(times: pd.Index[Any], what: str) -> None:
    if not (times.is_monotonic_increasing and times.is_unique):
        raise ValueError(f"{what} must ascend in time, each time once. Use sort_index() and drop duplicates.")
