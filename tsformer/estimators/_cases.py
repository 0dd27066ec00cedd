"""Cases as users give them to a classifier, checked against what it was fitted to, and turned into a labelled Batch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d, compute_sample_weight
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from tsformer.data.arrays import Panel, check_n_channels, check_series, n_channels, to_batch
from tsformer.data.batch import Batch
from tsformer.data.panels import by_id, case_ids, read_panel
from tsformer.estimators._fitting import check_case_weights, check_not_negative


def check_panel(estimator: Any, X: Any, name: str, *, reset: bool) -> Panel:
    """Check series of any form; note in the estimator (reset) or compare their channels and, of tables, time points.

    As scikit-learn's `validate_data` does, of which this is the counterpart for series.
    """
    cases = read_panel(X, name, id_col=estimator.id_col, time_col=estimator.time_col)
    is_table = isinstance(X, pd.DataFrame) and cases.channels is None
    header = X if is_table else None if cases.channels is None else pd.DataFrame(columns=cases.channels)
    # Column names come before values. Those of a table are time points, those of other frames channels.
    if header is not None and (reset or is_table == estimator._fitted_flat):
        validate_data(estimator, header, reset=reset, skip_check_array=True)
    elif is_table and hasattr(estimator, "feature_names_in_"):
        raise ValueError(
            f"{name} has one row for each case, but {type(estimator).__name__} was fitted on frames with the channels "
            f"{list(estimator.feature_names_in_)}. If it is a long frame, name its columns with id_col= and time_col=. "
            f"Got the columns {list(X.columns[:5])}."
        )
    panel = check_series(cases.series, name)
    flat = not isinstance(panel, list) and panel.ndim == 2
    if reset:
        estimator._fitted_flat = flat
        estimator.n_channels_ = n_channels(panel)
    check_n_channels(panel, estimator.n_channels_, name, type(estimator).__name__)
    if header is None and flat == estimator._fitted_flat:
        validate_data(estimator, panel, reset=reset, skip_check_array=True)
    return panel


def in_order_of_cases(estimator: Any, X: Any, values: Any, name: str) -> Any:
    """Bring labels or weights into the order of the cases of X: by id, where X has ids."""
    ids = case_ids(X, id_col=estimator.id_col, time_col=estimator.time_col)
    if ids is None and isinstance(X, pd.DataFrame) and np.ndim(values) == 1 and len(values) != len(X):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{len(X)}, {len(values)}]. A frame without "
            f"the columns {estimator.id_col!r} and {estimator.time_col!r} has a row for each case; if it is a long "
            "one, name its columns with id_col= and time_col=."
        )
    has_ids = ids is not None and isinstance(values, pd.Series) and values.index.isin(ids).all()
    if ids is not None and not has_ids and np.ndim(values) == 1 and len(values) == len(X) > len(ids):
        raise ValueError(
            f"{name} must have one value for each of the {len(ids)} ids of X. Got {len(X)}, one for each row; take one "
            f"for each id, e.g. pd.Series({name}).groupby(ids_of_rows).first(). Cross-validation and grid search split "
            "rows: give them a list of frames, one for each id, and a list of labels."
        )
    return by_id(values, ids, name)


def with_ids(estimator: Any, X: Any, values: NDArray[Any]) -> Any:
    """Give the rows that scikit-learn's `set_output` is to put in a frame the ids of their cases, where X has ids.

    It would take the index of X, which counts time points.
    """
    ids = case_ids(X, id_col=estimator.id_col, time_col=estimator.time_col)
    if ids is None or _get_output_config("transform", estimator)["dense"] != "pandas":
        return values
    return pd.DataFrame(values, index=ids)


def channel_names(estimator: Any, otherwise: str) -> list[str]:
    """Return the names of the channels that an estimator was fitted to, or `otherwise` and a number."""
    if hasattr(estimator, "feature_names_in_") and not estimator._fitted_flat:
        return list(estimator.feature_names_in_)
    return [f"{otherwise}{i}" for i in range(estimator.n_channels_)]


def check_labels(estimator: BaseEstimator, y: Any, panel: Panel) -> NDArray[Any]:
    """Check that y holds a class for each series."""
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    absent = np.flatnonzero(pd.isna(y))
    if y.dtype == object and len(absent):  # of objects scikit-learn's message does not say which input
        raise ValueError(f"Input y contains NaN, first for case {absent[0]}. Leave out the cases without a label.")
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    check_consistent_length(panel, y)
    return y


def check_classes(labels: ArrayLike) -> NDArray[Any]:
    """Return the different labels, sorted, of which there must be two."""
    classes = np.unique(np.asarray(labels))
    if len(classes) < 2:
        raise ValueError(
            "The number of classes has to be greater than one; got 1 class. Give cases of at least two classes."
        )
    return classes


def weigh(sample_weight: ArrayLike | None, class_weight: Any, y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weight of each case times that of its class."""
    weight = check_case_weights(sample_weight, y, "sample_weight")
    used = weight > 0
    weight[used] *= check_not_negative(compute_sample_weight(class_weight, y[used]), "class_weight")
    return weight


def label(panel: Panel, y: NDArray[Any], weight: NDArray[np.float64], classes: NDArray[Any], name: str) -> Batch:
    """Join series, class numbers and weights; cases of weight 0 are left out. `name` is that of y in messages."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"{name} must contain only the classes {classes}. Got {unknown} too.")
    used = weight > 0
    weight = weight * (used.sum() / weight.sum())
    numbers = torch.from_numpy(np.searchsorted(classes, y))
    data = replace(to_batch(panel), y=numbers, weight=torch.from_numpy(weight).float())
    return data if used.all() else data.select(torch.from_numpy(np.flatnonzero(used)))


def check_held_out(
    estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None, classes: NDArray[Any]
) -> Batch | None:
    """Check the validation cases given to fit."""
    if X is None and y is None and sample_weight is None:
        return None
    for name, value in {"X_val": X, "y_val": y}.items():
        if value is None:
            raise ValueError(f"X_val and y_val must be given together. {name} was not provided.")
    if not estimator.early_stopping:
        raise ValueError(
            "X_val and y_val are passed to fit while at the same time early_stopping is False. Set "
            "early_stopping=True to use them."
        )
    panel = check_panel(estimator, X, "X_val", reset=False)
    y = column_or_1d(in_order_of_cases(estimator, X, y, "y_val"), warn=True)
    check_consistent_length(panel, y)
    weight = in_order_of_cases(estimator, X, sample_weight, "sample_weight_val")
    return label(panel, y, check_case_weights(weight, y, "sample_weight_val"), classes, "y_val")
