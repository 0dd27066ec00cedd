"""Series as users hold them in memory (arrays, lists of arrays) checked and turned into a Batch.

The public layout is (n_cases, n_channels, n_timepoints), the inner one (B, T, C). Only this file transposes. Frames of
series become such lists in `data.panels`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_array

from tsformer.data.batch import Batch

Panel = NDArray[Any] | list[NDArray[Any]]


def check_series(X: Any, name: str = "X") -> Panel:
    """Check series and return them as one array or, when X is a list of arrays, as a list.

    Parameters
    ----------
    X : array-like of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), or list of arrays
        A 2-D array holds one channel. The arrays of a list have shape (n_channels, n_timepoints_i), or
        (n_timepoints_i,) for one channel; their lengths may differ. NaN is a missing value.
    name : str, default="X"
        What to call X in messages.

    Returns
    -------
    ndarray of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), or list of ndarray of shape
    (n_channels, n_timepoints_i); float32 stays float32, all else becomes float64.

    Raises
    ------
    ValueError
        For infinities, text, complex numbers, no cases, no time points, a case without a single observed value,
        or cases with different numbers of channels.
    """
    if isinstance(X, Sequence) and len(X) == 0:
        raise ValueError(f"Found 0 sample(s) in the list {name} while a minimum of 1 is required.")
    if _is_list_of_series(X):
        panel: Panel = _check_list(X, name)
    elif isinstance(X, Sequence) and len({np.size(series) for series in X}) > 1:
        raise ValueError(
            f"Series of unequal length must be arrays. Got a list {name} of {type(X[0]).__name__}; pass "
            f"[numpy.asarray(series) for series in {name}]."
        )
    else:
        _check_dimensions(X, name)
        panel = _check_values(X, name, allow_nd=True)
        if panel.ndim > 3:
            raise ValueError(
                f"{name} must have shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints). Got an "
                f"array of {panel.ndim} dimensions, {panel.shape}."
            )
        if panel.ndim == 3 and panel.shape[1] == 0:
            raise ValueError(f"Found array with 0 channel(s) (shape={panel.shape}) while a minimum of 1 is required.")
        if 0 in panel.shape:
            raise ValueError(
                f"Found array with 0 time point(s) (shape={panel.shape}) while a minimum of 1 is required."
            )
    for case, series in enumerate(panel):
        if np.isnan(series).all():
            raise ValueError(f"Each case of {name} must have at least one value. Case {case} has only NaN; remove it.")
    return panel


def _is_list_of_series(X: Any) -> bool:
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = X.tolist()
    if not isinstance(X, Sequence) or isinstance(X, str):
        return False
    return all(isinstance(series, np.ndarray) for series in X)


def _check_dimensions(X: Any, name: str) -> None:
    """Raise a ValueError where there are less than two, in scikit-learn's words."""
    n_dimensions = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if n_dimensions > 1:
        return
    forms = f"{name} must have shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints)"
    if n_dimensions == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {forms}. Reshape your data: a single series is "
            f"{name}.reshape(1, 1, -1)."
        )
    raise ValueError(
        f"Expected 2D array, got scalar array instead: {forms}, or be a list of arrays or a DataFrame. Got "
        f"{type(X).__name__}."
    )


def _check_values(values: Any, name: str, **how: Any) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    if getattr(getattr(values, "dtype", None), "kind", None) in ("m", "M"):
        raise ValueError(f"{name} must hold numbers. Got {values.dtype}; convert times to numbers of your unit.")
    checked = check_array(values, dtype="numeric", ensure_all_finite=False, input_name=name, **how)
    checked = checked if checked.dtype in (np.float32, np.float64) else checked.astype(np.float64)
    infinite = np.argwhere(np.isinf(checked))
    if len(infinite):
        # One array holds cases, those of a list are cases themselves.
        case = f" in case {infinite[0][0]}" if how.get("allow_nd") else ""
        raise ValueError(f"Input {name} contains infinity{case}. Values must be finite, or NaN where missing.")
    return checked


def _check_list(X: Sequence[NDArray[Any]], name: str) -> list[NDArray[Any]]:
    checked = []
    for case, series in enumerate(X):
        if series.ndim not in (1, 2) or series.size == 0:
            raise ValueError(
                f"Each series of a list {name} must have shape (n_channels, n_timepoints) or (n_timepoints,) with at "
                f"least one time point. Case {case} has shape {series.shape}."
            )
        checked.append(_check_values(np.atleast_2d(series), f"{name}[{case}]"))
    first = checked[0].shape
    for case, series in enumerate(checked):
        if len(series) != first[0]:
            hint = (
                f" If the first axis is time, transpose each: [series.T for series in {name}]."
                if series.shape[1] == first[1]
                else ""
            )
            raise ValueError(
                f"All series of {name} must have the same number of channels. Case 0 has {first[0]} (shape {first}), "
                f"case {case} has {len(series)} (shape {series.shape}).{hint}"
            )
    return checked


def n_channels(panel: Panel) -> int:
    """Number of channels of checked series."""
    if isinstance(panel, list):
        return len(panel[0])
    return panel.shape[1] if panel.ndim == 3 else 1


def check_n_channels(panel: Panel, expected: int, name: str, estimator: str) -> None:
    """Raise a ValueError when checked series do not have the channels that an estimator was fitted on."""
    got = n_channels(panel)
    if got == expected:
        return
    hint = ""
    if not isinstance(panel, list) and panel.ndim == 3 and panel.shape[2] == expected:
        hint = f" If its axes are (n_cases, n_timepoints, n_channels), pass {name}.transpose(0, 2, 1)."
    elif not isinstance(panel, list) and panel.ndim == 2 and panel.shape[0] == expected:
        hint = f" If it is a single case, pass {name}[None]."
    elif isinstance(panel, list) and all(series.shape[1] == expected for series in panel):
        hint = f" If the axes of each series are (n_timepoints, n_channels), pass [series.T for series in {name}]."
    raise ValueError(
        f"{name} has {got} channels, but {estimator} is expecting {expected} channels as input. Got "
        f"{_describe(panel)}; expected (n_cases, {expected}, n_timepoints).{hint}"
    )


def _describe(panel: Panel) -> str:
    return f"a list of {len(panel)} arrays" if isinstance(panel, list) else f"shape {panel.shape}"


def to_batch(panel: Panel) -> Batch:
    """Turn checked series into a Batch: time before channels, padded at the end, missing values 0 and not observed."""
    padded = _pad(panel) if isinstance(panel, list) else panel
    if padded.ndim == 2:
        padded = padded[:, None, :]
    x = torch.from_numpy(np.array(padded.transpose(0, 2, 1), order="C"))
    observed = ~x.isnan()
    return Batch(x.nan_to_num_(nan=0.0), observed)


def _pad(panel: list[NDArray[Any]]) -> NDArray[Any]:
    longest = max(series.shape[1] for series in panel)
    padded = np.full((len(panel), len(panel[0]), longest), np.nan, dtype=np.result_type(*panel))
    for row, series in zip(padded, panel, strict=True):
        row[:, : series.shape[1]] = series
    return padded
