"""Cases as users hold them, arrays (n_cases, n_channels, n_timepoints) or frames, checked once: Cases."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils import check_array

from tsformer.data.batch import VALUES_AT_ONCE, Array, Series, StoredCases, cases_at_once
from tsformer.data.messages import listed, quoted, series_name
from tsformer.data.rows import numbers_of, rows_of, sort_rows


@dataclass(frozen=True)
class Cases:
    """Series of cases, and what their form tells beside the values.

    `is_table`: X had a row for each case and a column for each time point. `columns` names the channels, or the columns
    of a table. The cases of a long or MultiIndex frame have `ids`, in the order of their first rows, and `times` each.
    """

    data: StoredCases
    is_table: bool
    columns: pd.Index[Any] | None = None
    ids: pd.Index[Any] | None = None
    times: list[pd.Index[Any]] | None = None

    def __len__(self) -> int:
        return len(self.data)

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.data.n_channels

    def subset(self, index: NDArray[np.int64]) -> Cases:
        """Return the cases of `index`."""
        ids = None if self.ids is None else self.ids[index]
        times = None if self.times is None else [self.times[case] for case in index]
        return replace(self, data=self.data.subset(index), ids=ids, times=times)

    @property
    def header(self) -> Any:
        """Return what scikit-learn's checks of features look at: a frame or an array of no rows."""
        if self.columns is not None:
            return pd.DataFrame(columns=self.columns)
        return np.empty((0, self.data.n_timepoints if self.is_table else self.n_channels))


def read_cases(X: Any, name: str = "X", *, id_col: Hashable = "unique_id", time_col: Hashable = "ds") -> Cases:
    """Check series of any form, which messages call `name`; batches of float32 stay so, all else becomes float64.

    Arrays, on disk too (`numpy.memmap`), are not copied. A 2-D array holds one channel. The arrays of a list have shape
    (n_channels, n_timepoints_i), or (n_timepoints_i,) for one channel. NaN is a missing value. Tensors are arrays too.
    A frame is told by its form: under a MultiIndex its rows are (case, time); with the columns `id_col` and `time_col`
    it is long, the others being channels; with series in its cells, nested; else a table of one row a case. A list may
    hold frames, whose rows are times. So the forms of sktime and aeon are read as they are. A cell may hold a list too,
    and a Series or an array of objects a case each.
    """
    X = _out_of_cells(_array(X))
    if isinstance(X, Sequence) and any(isinstance(series, torch.Tensor) for series in X):
        X = [_array(series) for series in X]
    if _has_ids(X, name, id_col, time_col):
        return _read_rows(X, name, id_col, time_col)
    series, columns = X, None
    if isinstance(X, Sequence) and any(isinstance(case, pd.DataFrame | pd.Series) for case in X):
        series, columns = _read_list(X, name)
    elif isinstance(X, pd.DataFrame):
        columns = X.columns
        if not columns.is_unique:
            raise ValueError(f"The columns of {name} must be unique. Got {list(columns)}.")
        if len(X) and any(map(_is_series, X.iloc[0])):
            series = _read_nested(X, name)
        else:
            _check_table(X, name)
    checked = _check_series(series, name)
    if isinstance(checked, list) or checked.ndim == 3:
        return Cases(stored(checked, name), False, columns)
    return Cases(stored(checked[:, None], name), True, columns)


def check_n_channels(cases: Cases, expected: int, name: str, estimator: str) -> None:
    """Raise a ValueError that guesses at exchanged axes where cases do not have the channels of an estimator's fit."""
    n_cases, n_timepoints, n_channels = len(cases), cases.data.n_timepoints, cases.n_channels
    if n_channels == expected:
        return
    hint, shape = "", (n_cases, n_timepoints) if cases.is_table else (n_cases, n_channels, n_timepoints)
    is_padded = cases.data.lengths.min() < n_timepoints
    if n_timepoints == expected and not is_padded:
        ways = f"{name}.transpose(0, 2, 1), or of a list [series.T for series in {name}]"
        hint = f" If its axes are (n_cases, n_timepoints, n_channels), pass {ways}."
    elif cases.is_table and n_cases == expected:
        hint = f" If it is a single case, pass {name}[None]."
    raise ValueError(
        f"{name} has {n_channels} channels, but {estimator} is expecting {expected} channels as input. Got shape "
        f"{shape}; expected (n_cases, {expected}, n_timepoints).{hint}"
    )


def by_id(values: Any, cases: Cases, name: str) -> Any:
    """Bring what belongs to the cases, such as labels, into their order; messages call it `name`.

    Where the cases have ids, a Series or DataFrame is matched by its index. An array is taken as it comes, but only
    where the ids ascend: else it could be in the order of the frame as well as in that of a groupby. A DataFrame may
    have the ids in a column of their name.
    """
    ids = cases.ids
    if values is None:
        return None
    if ids is None:
        if cases.is_table and cases.columns is not None and np.ndim(values) == 1 and len(values) != len(cases):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: [{len(cases)}, {len(values)}]. A frame "
                "without columns of ids and times has a row for each case; if it is a long one, name its columns with "
                "id_col= and time_col=."
            )
        return values
    if isinstance(values, Mapping):
        raise ValueError(f"{name} must be a Series with the ids of X as its index. Got a dict; pass pd.Series({name}).")
    groups = "level=0"
    if isinstance(values, pd.DataFrame) and ids.name is not None and ids.name in values.columns:
        values, groups = values.set_index(ids.name), quoted(ids.name)
    if isinstance(values, pd.DataFrame) and values.shape[1] != 1:
        raise ValueError(
            f"{name} must have one column beside the ids. Got {list(values.columns)}; pass "
            f"{name}.groupby({groups})[column].first(), with the column of the labels or weights."
        )
    n_rows = sum(map(len, cases.times or []))
    has_ids = isinstance(values, pd.Series) and values.index.isin(ids).all()
    if not has_ids and np.ndim(values) == 1 and len(values) == n_rows > len(cases):
        raise ValueError(
            f"{name} must have one value for each of the {len(cases)} ids of X. Got {n_rows}, one for each row; take "
            f"one for each id, e.g. pd.Series({name}).groupby(ids_of_rows).first(). Cross-validation and grid search "
            "split rows: tsformer.model_selection.read_cases makes of the frame what they can split."
        )
    if not isinstance(values, pd.Series | pd.DataFrame):
        if ids.is_monotonic_increasing:
            return values
        raise ValueError(
            f"{name} must be a Series with the ids of X as its index, as these do not ascend in X. Got "
            f"{type(values).__name__}; pass pd.Series({name}, index=ids)."
        )
    if len(again := values.index[values.index.duplicated()]):
        raise ValueError(
            f"{name} must have one value for each id of X. Got several for {quoted(again[0])}; take one, e.g. "
            f"{name}.groupby({groups}).first()."
        )
    _check_ids_of(values.index, ids, name)
    return values.iloc[values.index.get_indexer(ids)]


def _check_ids_of(index: pd.Index[Any], ids: pd.Index[Any], name: str) -> None:
    """Raise a ValueError that says which ids of X an index lacks, and which it has besides."""
    absent, unknown = ids[~ids.isin(index)], index[~index.isin(ids)]
    parts = {"none for": absent, "further ones for": unknown}
    wrong = [f"{what} {listed(found.map(quoted))}" for what, found in parts.items() if len(found)]
    if not wrong:
        return
    way = ""
    if len(same := ids[ids.map(str).isin(unknown.map(str))]):
        kinds = [type(id.item() if isinstance(id, np.generic) else id).__name__ for id in (same[0], unknown[0])]
        way = f" Those of X are of the type {kinds[0]}, those of {name} of {kinds[1]}: convert one of them."
    elif not len(absent):
        way = f" Take those of X: {name}[{name}.index.isin({'ids' if ids.name is None else f'X[{ids.name!r}]'})]."
    raise ValueError(
        f"The index of {name} must hold the ids of X, each once and no others. Got {', and '.join(wrong)}.{way}"
    )


def _array(values: Any) -> Any:
    """Turn a tensor into an array, what is masked into NaN, and leave other values as they are."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(float), np.nan)
    if not isinstance(values, torch.Tensor):
        return values
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # numpy has no bfloat16


def _is_series(cell: Any) -> bool:
    """Whether a cell holds a series, and no single value."""
    return isinstance(cell, pd.Series | pd.DataFrame | np.ndarray | list | tuple | torch.Tensor)


def _out_of_cells(X: Any) -> Any:
    """Put cases that are the cells of a Series or of an array of objects into a list, or in a nested frame."""
    values = X.to_numpy() if isinstance(X, pd.Series) and _is_series(X.iloc[0] if len(X) else None) else X
    if not (isinstance(values, np.ndarray) and values.dtype == object and values.ndim in (1, 2) and values.size):
        return X
    if not all(map(_is_series, values.flat)):
        return X
    if values.ndim == 2:
        return pd.DataFrame(values)
    return [cell if isinstance(cell, pd.Series | pd.DataFrame) else np.asarray(_array(cell)) for cell in values]


def _check_table(X: pd.DataFrame, name: str) -> None:
    """Check that a frame of one row a case has no column of times or text, as a long one has."""
    for column, dtype in X.dtypes.items():
        if isinstance(column, tuple):
            raise ValueError(
                f"A DataFrame {name} of one row for each case has time points as columns. Got columns of "
                f"{len(column)} levels, such as {column}; if they are channels and times, pass {name}.stack(level=1), "
                "or level=0 where times come first, whose rows are (case, time)."
            )
        if getattr(dtype, "kind", "") in "mM" or isinstance(dtype, pd.StringDtype | pd.PeriodDtype):
            raise ValueError(
                f"A DataFrame {name} of one row for each case must hold numbers. Got {str(dtype)!r} in column "
                f"{quoted(column)}; if {name} is a long frame, name its columns with id_col= and time_col=."
            )


def _has_ids(X: Any, name: str, id_col: Hashable, time_col: Hashable) -> bool:
    """Whether a frame is long or under a MultiIndex."""
    if isinstance(X, pd.DataFrame | pd.Series) and isinstance(X.index, pd.MultiIndex):
        return True
    if not isinstance(X, pd.DataFrame):
        return False
    has_time = time_col in X.columns
    has_id = id_col in X.columns or (has_time and X.index.name == id_col)
    if has_time != has_id:
        found, absent = (time_col, id_col) if has_time else (id_col, time_col)
        raise ValueError(
            f"A long frame {name} must have a column of ids, {quoted(id_col)}, and one of times, {quoted(time_col)}. "
            f"Got {quoted(found)} but not {quoted(absent)} among {list(X.columns[:10])}; name the columns with id_col= "
            "and time_col=, reset_index() if one is in the index, or rename the column if each row is a case."
        )
    return has_id


def _read_rows(X: Any, name: str, id_col: Hashable, time_col: Hashable) -> Cases:
    rows = rows_of(X, name, id_col, time_col, only_order=True)
    channels = rows.data.columns
    if not len(channels):
        raise ValueError(f"{name} must have at least one channel: a column beside ids and times.")
    ordered = sort_rows(rows.ids, rows.times, numbers_of(rows.data, "channel"), channels, of=f" of {name}")
    x = np.full((len(ordered.ids), ordered.lengths.max(), len(channels)), np.nan)
    x[ordered.codes, ordered.ranks] = ordered.values
    series = x.transpose(0, 2, 1)
    lengths = _lengths(series, name)
    if len(unobserved := np.flatnonzero(lengths == 0)):
        id = ordered.ids[unobserved[0]]
        raise ValueError(f"{series_name(id)} of {name} has only NaN. Each must have at least one value; remove it.")
    times = [ordered.times_of(code) for code in range(len(ordered.ids))]
    data = StoredCases(series, np.arange(len(series)), lengths, series.shape[2])
    return Cases(data, False, channels, ordered.ids, times)


def _read_list(X: Sequence[Any], name: str) -> tuple[list[Array], pd.Index[Any]]:
    # What a single Series is called tells of its case, not of its channel.
    frames = [item.rename(None).to_frame() if isinstance(item, pd.Series) else item for item in X]
    series: list[Array] = []
    for case, frame in enumerate(frames):
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"All series of a list {name} must be frames if one is. Case {case} is {type(frame)}.")
        channels = frames[0].columns
        if frame.empty or not frame.columns.is_unique:
            raise ValueError(f"The frames of a list {name} must have rows and unique columns. Case {case} has not.")
        if set(frame.columns) != set(channels):
            raise ValueError(
                f"All frames of {name} must have the same columns. Case 0 has {list(channels)}, case {case} has "
                f"{list(frame.columns)}."
            )
        _check_in_order(frame.index, f"The rows of {name}[{case}]")
        series.append(numbers_of(frame.loc[:, channels], f"{name}[{case}]").T)
    return series, channels


def _read_nested(X: pd.DataFrame, name: str) -> list[Array]:
    series = []
    for case, given in enumerate(X.itertuples(index=False, name=None)):
        where = f"case {case} of {name}"
        cells = [
            np.asarray(_array(cell)) if isinstance(cell, list | tuple | torch.Tensor | np.ndarray) else cell
            for cell in given
        ]
        for column, cell in zip(X.columns, cells, strict=True):
            if not isinstance(cell, pd.Series | np.ndarray) or cell.ndim != 1:
                raise ValueError(
                    f"Each cell of a nested frame {name} must be a Series, an array or a list of one dimension. Column "
                    f"{quoted(column)} of case {case} is of {type(cell).__name__}."
                )
            if isinstance(cell, pd.Series):
                _check_in_order(cell.index, f"Column {quoted(column)} of {where}")
        lengths = dict(zip(X.columns, map(len, cells), strict=True))
        if len(set(lengths.values())) > 1:
            raise ValueError(f"The channels of a case must be of one length; pad with NaN. Got {lengths} in {where}.")
        values = pd.DataFrame({i: np.asarray(cell) for i, cell in enumerate(cells)}).set_axis(X.columns, axis=1)
        series.append(numbers_of(values, f"{name}[{case}]").T)
    return series


def _check_in_order(times: pd.Index[Any], what: str) -> None:
    if not (times.is_monotonic_increasing and times.is_unique):
        raise ValueError(f"{what} must ascend in time, each time once. Use sort_index() and drop duplicates.")


def _check_series(X: Any, name: str) -> Series:
    """Check arrays as `read_cases` takes them; return one array or, when X is a list of arrays, a list."""
    items = X.tolist() if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 else X
    is_list = isinstance(items, Sequence) and not isinstance(items, str)
    if is_list and not items:
        raise ValueError(f"Found 0 sample(s) in the list {name} while a minimum of 1 is required.")
    if is_list and all(isinstance(case, np.ndarray) for case in items):
        series: Series = _check_list(items, name)
    elif is_list and len({np.size(case) for case in items}) > 1:
        raise ValueError(
            f"Series of unequal length must be arrays. Got a list {name} of {type(items[0]).__name__}; pass "
            f"[numpy.asarray(series) for series in {name}]."
        )
    else:
        series = _check_array(X, name)
    return series


def _check_array(X: Any, name: str) -> Array:
    """Check one array in scikit-learn's words."""
    n_dimensions = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    forms = f"{name} must have shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints)"
    if n_dimensions < 2:
        got = f"scalar array instead: {forms}, or be a list of arrays or a DataFrame. Got {type(X).__name__}."
        if n_dimensions == 1:
            got = f"1D array instead: {forms}. Reshape your data: a single series is {name}.reshape(1, 1, -1)."
        raise ValueError(f"Expected 2D array, got {got}")
    checked = _check_values(X, name, allow_nd=True)
    if checked.ndim > 3:
        raise ValueError(f"{forms}. Got an array of {checked.ndim} dimensions, {checked.shape}.")
    for axis, kind in ((1, "channel(s)"), (-1, "time point(s)")):
        if checked.ndim - 2 >= (axis == 1) and checked.shape[axis] == 0:
            raise ValueError(f"Found array with 0 {kind} (shape={checked.shape}) while a minimum of 1 is required.")
    return checked


def _check_values(values: Any, name: str, **how: Any) -> Array:
    values = np.asarray(values) if isinstance(values, list | tuple) else _array(values)
    if getattr(getattr(values, "dtype", None), "kind", None) in ("m", "M"):
        raise ValueError(f"{name} must hold numbers. Got {values.dtype}; convert times to numbers of your unit.")
    return check_array(values, dtype="numeric", ensure_all_finite=False, input_name=name, **how)


def _check_list(X: Sequence[Array], name: str) -> list[Array]:
    checked: list[Array] = []
    for case, series in enumerate(X):
        if series.ndim not in (1, 2) or series.size == 0:
            raise ValueError(
                f"Each series of a list {name} must have shape (n_channels, n_timepoints) or (n_timepoints,) with at "
                f"least one time point. Case {case} has shape {series.shape}."
            )
        checked.append(_check_values(np.atleast_2d(series), f"{name}[{case}]"))
        first, shape = checked[0].shape, checked[case].shape
        if shape[0] != first[0]:
            hint = f" If the first axis is time, transpose each: [series.T for series in {name}]."
            raise ValueError(
                f"All series of {name} must have the same number of channels. Case 0 has {first[0]} (shape {first}), "
                f"case {case} has {shape[0]} (shape {shape}).{hint if shape[1] == first[1] else ''}"
            )
    return checked


def stored(series: Series, name: str) -> StoredCases:
    """Look at all values once, some cases at a time: they must be finite or NaN, and each case must have one."""
    lengths = _lengths(series, name)
    if len(empty := np.flatnonzero(lengths == 0)):
        raise ValueError(f"Each case of {name} must have at least one value. Case {empty[0]} has only NaN; remove it.")
    longest = max(case.shape[1] for case in series) if isinstance(series, list) else series.shape[2]
    return StoredCases(series, np.arange(len(series)), lengths, longest)


def _lengths(series: Series, name: str) -> NDArray[np.int64]:
    """Return the length of each case up to its last value, 0 without one; values must not be infinite."""
    if isinstance(series, list):
        return np.concatenate([_observed_lengths(case[None], f"{name}[{i}]") for i, case in enumerate(series)])
    size = cases_at_once(series[0].size, VALUES_AT_ONCE)
    parts = [(start, series[start : start + size]) for start in range(0, len(series), size)]
    return np.concatenate([_observed_lengths(part, name, start) for start, part in parts])


def _observed_lengths(part: Array, name: str, start: int | None = None) -> NDArray[np.int64]:
    """Return the lengths of cases (B, C, T), the first of which messages number `start`."""
    finite = np.isfinite(part)
    if finite.all():
        return np.full(len(part), part.shape[2])
    if len(infinite := np.flatnonzero(np.isinf(part).any(axis=(1, 2)))):
        case = "" if start is None else f" in case {start + infinite[0]}"
        raise ValueError(f"Input {name} contains infinity{case}. Values must be finite, or NaN where missing.")
    counts = np.arange(1, part.shape[2] + 1)
    lengths: NDArray[np.int64] = (finite.any(axis=1) * counts).max(axis=1)
    return lengths


def as_channels(data: StoredCases, name: str) -> StoredCases:
    """Make each channel that has a value a case of its own."""
    series = data.series
    if isinstance(series, list):
        channels: Series = [channel[None] for case in series for channel in case]
    else:
        channels = series.reshape(-1, 1, series.shape[2])  # without a copy, unless axes were exchanged
    lengths = _lengths(channels, name)
    return StoredCases(channels, np.arange(len(channels)), lengths, data.n_timepoints).subset(np.flatnonzero(lengths))
