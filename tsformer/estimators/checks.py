"""What estimators of cases share: how X and labels are read and checked, and how a fitted state is kept."""

import reprlib
from collections.abc import Hashable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags, assert_all_finite, check_consistent_length, column_or_1d, compute_sample_weight
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _get_feature_names, check_is_fitted, validate_data

from tsformer.data.batch import StoredCases
from tsformer.data.cases import Cases, by_id, check_n_channels, read_cases
from tsformer.data.messages import quoted, warn_user
from tsformer.training.devices import placed, portable, resolve_device, usual_state

EXCHANGED = (
    10  # channels a time point from which on axes look exchanged; of real sets InsectWingbeat has most, 200 / 22
)
# What fitted attributes say of the cases of fit.
FEATURES = ("n_features_in_", "n_channels_", "feature_names_in_", "fitted_on_table_")


@dataclass(kw_only=True, eq=False, repr=False)
class CasesMixin:
    """An estimator of cases, whose series may be in any form.

    Parameters
    ----------
    id_col : str, int or tuple, default="unique_id"
        Column of a long frame that tells its cases apart.
    time_col : str, int or tuple, default="ds"
        Column of a long frame that orders the rows of a case; how far apart they are does not matter.
    """

    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"
    _moments: ClassVar[Any] = None  # of the optimisers, after partial_fit

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        name: [str, Integral, tuple] for name in ("id_col", "time_col")
    }

    def __getstate__(self) -> Any:
        return portable(super().__getstate__())  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        place(self)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.three_d_array = tags.input_tags.allow_nan = True
        return tags


@usual_state()
def place(estimator: Any) -> None:
    """Put a loaded model where it will predict: on the CPU if it was fitted on a device that is not there."""
    if hasattr(estimator, "model_"):
        device = estimator.device if torch.cuda.is_available() else "cpu"
        placed(estimator.model_, resolve_device(device))


def keep_fitted(estimator: Any, state: dict[str, Any]) -> None:
    """Make a new fitted state the estimator's, in place of the old: the last step of a fit, which cannot fail."""
    others = {name: value for name, value in vars(estimator).items() if name[0] == "_" or name[-1] != "_"}
    estimator.__dict__ = others | state  # in one assignment: Ctrl-C comes before or after it


def read_to_fit(estimator: Any, X: Any, *, from_scratch: bool) -> tuple[Cases, dict[str, Any]]:
    """Read the cases of a fit, and say what `FEATURES` are: those of the last fit, and checked, if training goes on."""
    if not from_scratch:
        cases = read_like_fit(estimator, X)
        return cases, {name: value for name, value in vars(estimator).items() if name in FEATURES}
    cases = read_cases(X, id_col=estimator.id_col, time_col=estimator.time_col)
    n_channels, n_timepoints = cases.n_channels, cases.data.n_timepoints
    if len(cases) and (n_timepoints == 1 < n_channels or n_channels > EXCHANGED * n_timepoints):
        points = "a single time point" if n_timepoints == 1 else f"no more than {n_timepoints} time points"
        warn_user(
            f"X has {n_channels} channels of {points}. If its axes are (n_cases, n_timepoints, n_channels), time is "
            "not looked along: pass X.transpose(0, 2, 1), or of a list [series.T for series in X]."
        )
    read = {"n_features_in_": cases.header.shape[1], "n_channels_": cases.n_channels}
    names = _get_feature_names(cases.header)
    return cases, read | {"fitted_on_table_": cases.is_table} | ({} if names is None else {"feature_names_in_": names})


def read_like_fit(estimator: Any, X: Any, name: str = "X", fitted: dict[str, Any] | None = None) -> Cases:
    """Read cases, and compare their channels and, of tables, time points with those of fit.

    The counterpart for series of scikit-learn's `validate_data`. `fitted` are attributes of a fit still going on.
    """
    if isinstance(X, Cases):  # read already
        return X
    like = estimator
    if fitted is None:
        check_is_fitted(estimator, "model_")
    else:
        like = type(estimator)()
        vars(like).update(fitted)
    try:
        cases = read_cases(X, name, id_col=estimator.id_col, time_col=estimator.time_col)
    except ValueError:
        if like.fitted_on_table_ and isinstance(X, pd.DataFrame) and X.shape[1] == like.n_features_in_:
            validate_data(like, X, reset=False, skip_check_array=True)  # that names are others says more
        raise
    is_alike, has_names = cases.is_table == like.fitted_on_table_, cases.columns is not None
    if cases.is_table and has_names and not is_alike and hasattr(like, "feature_names_in_"):
        raise ValueError(
            f"{name} has one row for each case, but {type(estimator).__name__} was fitted on frames with the channels "
            f"{list(like.feature_names_in_)}. If it is a long frame, name its columns with id_col= and time_col=. "
            f"Got the columns {list(X.columns[:5])}."
        )
    # Column names come before numbers of channels. Those of a table are time points, those of other frames channels.
    if is_alike and has_names:
        validate_data(like, cases.header, reset=False, skip_check_array=True)
    check_n_channels(cases, like.n_channels_, name, type(estimator).__name__)
    if is_alike and not has_names:
        validate_data(like, cases.header, reset=False, skip_check_array=True)
    return cases


def with_ids(estimator: Any, cases: Cases, values: NDArray[Any]) -> Any:
    """Give rows that `set_output` is to put in a frame the ids of their cases: it would count the time points of X."""
    if cases.ids is None or _get_output_config("transform", estimator)["dense"] != "pandas":
        return values
    return pd.DataFrame(values, index=cases.ids)


def channel_names(estimator: Any, otherwise: str) -> list[str]:
    """Return the names of the channels that an estimator was fitted to, or `otherwise` and a number."""
    if hasattr(estimator, "feature_names_in_") and not estimator.fitted_on_table_:
        return list(estimator.feature_names_in_)
    return [f"{otherwise}{i}" for i in range(estimator.n_channels_)]


# Labels and weights.


def label_cases(
    estimator: Any, cases: Cases, y: Any, sample_weight: Any, classes: ArrayLike | None
) -> tuple[StoredCases, NDArray[Any]]:
    """Read labels and weights; return the cases with them, but for those of weight 0, and the classes, sorted.

    `classes` are all that may come; by default those that do.
    """
    y = check_labels(estimator, y, cases)
    known, named = np.unique(y if classes is None else classes), estimator.class_weight
    if isinstance(named, dict) and not set(known.tolist()) <= set(named) and not set(named) <= set(known.tolist()):
        raise ValueError(f"class_weight must name classes of y, {known.tolist()}. Got {list(named)}.")
    _warn_of_label_channel(cases, y)
    weight = weigh(by_id(sample_weight, cases, "sample_weight"), estimator.class_weight, y, "sample_weight")
    if len(known) < 2:
        raise ValueError("The number of classes has to be greater than one; got 1 class. Give cases of at least two.")
    return label(cases, y, weight, known, "y"), known


def _warn_of_label_channel(cases: Cases, y: NDArray[Any]) -> None:
    """Warn where a column of a long frame holds but the class of each case: a label that was left in."""
    if cases.ids is None or cases.columns is None or isinstance(cases.data.series, list):
        return
    classes = np.unique(y, return_inverse=True)[1]
    for i, name in enumerate(cases.columns):
        least, most = (extreme.reduce(cases.data.series[:, i], axis=1) for extreme in (np.fmin, np.fmax))
        if not (least == most).all():
            continue
        values = np.unique(least, return_inverse=True)[1]
        if 1 < classes.max() + 1 == values.max() + 1 == len(set(zip(classes.tolist(), values.tolist(), strict=True))):
            warn_user(
                f"The channel {quoted(name)} has one value in each case, which tells its class. If it is the label, "
                f"leave it out with drop(columns={name!r})."
            )


def _case_name(cases: Cases, place: Any) -> str:
    """What messages call a case: its id where there are, or its place."""
    return f"case {place}" if cases.ids is None else f"case {quoted(cases.ids[place])}"


def check_labels(estimator: Any, y: Any, cases: Cases) -> NDArray[Any]:
    """Bring labels into the order of the cases, and check that there is a class for each."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    y = read_labels(y, cases, "y")
    absent = np.flatnonzero(pd.isna(y))
    if y.dtype == object and len(absent):  # of objects scikit-learn's message does not say which input
        raise ValueError(
            f"Input y contains NaN, first for {_case_name(cases, absent[0])}. Leave out the cases without a label, or "
            "learn from these too, with SemiSupervisedTransformerClassifier(unlabelled=None)."
        )
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    check_consistent_length(cases.data.rows, y)
    return y


def read_labels(y: Any, cases: Cases, name: str) -> NDArray[Any]:
    """Return labels in the order of the cases, as a plain array of the values that came."""
    return column_or_1d(plain_labels(by_id(y, cases, name), name), warn=True)


def has_label(y: NDArray[Any], mark: Any) -> NDArray[np.bool_]:
    """Return which of the labels y (n_cases,) are not the mark of cases that have none; None and NaN are one mark."""
    is_missing = np.asarray(pd.isna(y))
    if pd.isna(mark):
        return ~is_missing
    if is_missing.any():
        raise ValueError(
            f"Input y contains NaN, first for case {is_missing.argmax()}, but unlabelled={mark!r} is the mark of cases "
            "without a label. Set unlabelled=None if NaN is."
        )
    return np.array([label != mark for label in y.tolist()], dtype=bool)


def plain_labels(y: Any, name: str) -> Any:
    """Labels of pandas' own types, of torch or among objects as an array of numpy's type for them.

    Values stay what they are: numbers with a mask of missing ones do not become floats.
    """
    if isinstance(y, torch.Tensor):
        return y.detach().cpu().numpy()
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        return np.asarray(plain_labels(y.iloc[:, 0], name)).reshape(-1, 1)
    if isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype):
        y = _unmasked(pd.Series(y))
    if isinstance(y, list | tuple) and any(isinstance(label, str) for label in y):
        y = np.array(y, dtype=object)  # else NaN, None and numbers among text become text too
    y = np.asarray(y) if isinstance(y, list | tuple | pd.Series | pd.Index) else y
    kind = y.dtype.kind if isinstance(y, np.ndarray) and y.ndim == 1 else ""
    if kind == "O" and not pd.isna(y).any():
        return _without_objects(y, name)
    if kind in ("M", "m"):
        raise ValueError(_no_labels(name, str(y.dtype), y))
    return y


def _unmasked(column: Any) -> NDArray[Any]:
    """A column of categories, or of values with a mask, as an array; of objects where some are missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object if column.isna().any() else column.cat.categories.dtype)
    has_gaps, dtype = column.isna().any(), getattr(column.dtype, "numpy_dtype", None)
    return column.to_numpy(object if has_gaps else dtype)


def _without_objects(y: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels among objects as text, numbers or booleans, if they are of one kind."""
    held = pd.api.types.infer_dtype(y, skipna=False)
    if held == "string":
        return y
    made = np.asarray(y.tolist()) if held in ("integer", "boolean", "floating", "mixed-integer-float") else y
    if made.dtype.kind not in ("iub" if held in ("integer", "boolean") else "f"):  # more than 64 bits are no integer
        raise ValueError(_no_labels(name, held, y))
    return made


def _no_labels(name: str, kind: str, y: NDArray[Any]) -> str:
    way = f"pd.Series({name}).astype(str) makes text of them"
    return f"{name} must hold text, whole numbers or booleans. Got {kind}, such as {y[0]!s}; {way}."


def weigh(sample_weight: ArrayLike | None, class_weight: Any, y: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return the weight of each case, 1 by default, times that of its class."""
    weight: NDArray[np.float64] = _check_sample_weight(sample_weight, y, dtype=np.float64, copy=True)
    check_not_negative(weight, name)
    used = weight > 0
    if isinstance(class_weight, dict):  # those that are not named weigh 1, also where a batch has none of the named
        class_weight = {name: class_weight.get(name, 1.0) for name in np.unique(y[used])}
    of_class = compute_sample_weight(class_weight, y[used])
    check_not_negative(of_class, "class_weight")
    weight[used] *= of_class
    return weight


def check_not_negative(weight: NDArray[np.float64], name: str) -> None:
    """Raise a ValueError where a weight is negative, or all are 0."""
    if weight.min() < 0 or not weight.any():
        raise ValueError(f"{name} must hold no negative weight and at least one above 0. Got {reprlib.repr(weight)}.")


def label(cases: Cases, y: NDArray[Any], weight: NDArray[np.float64], classes: NDArray[Any], name: str) -> StoredCases:
    """Join series, class numbers and weights; cases of weight 0 are left out. `name` is that of y in messages."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"{name} must contain only the classes {classes}. Got {unknown} too.")
    used = weight > 0
    relative = torch.from_numpy(weight * (used.sum() / weight.sum())).float()
    data = replace(cases.data, y=torch.from_numpy(np.searchsorted(classes, y)), weight=relative)
    return data if used.all() else data.subset(np.flatnonzero(used))


def read_validation(estimator: Any, X: Any, y: Any, sample_weight: Any, fitted: dict[str, Any]) -> StoredCases | None:
    """Read the validation cases given to fit, which are to be like those that it trains on."""
    if X is None and y is None and sample_weight is None:
        return None
    for name, value in {"X_val": X, "y_val": y}.items():
        if value is None:
            raise ValueError(f"X_val and y_val must be given together. {name} was not provided.")
    if not estimator.early_stopping:
        raise ValueError("X_val and y_val are given, but early_stopping is False. Set early_stopping=True to use them.")
    cases = read_like_fit(estimator, X, "X_val", fitted)
    y = read_labels(y, cases, "y_val")
    check_consistent_length(cases.data.rows, y)
    weight = weigh(by_id(sample_weight, cases, "sample_weight_val"), None, y, "sample_weight_val")
    return label(cases, y, weight, fitted["classes_"], "y_val")
