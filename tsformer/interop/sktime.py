"""Classifier, forecaster and detector for sktime: the same estimators behind sktime's interfaces."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset
from sktime.classification.base import BaseClassifier
from sktime.datatypes import update_data
from sktime.detection.base import BaseDetector
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

import tsformer
from tsformer.data.frequency import steps_after
from tsformer.interop._parameters import DETECTORS, WrapsClassifier, takes_parameters_of

FRAMES = ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"]
# Times are in the index: whatever its name, no column holds ids or times.
NO_COLUMNS = dict.fromkeys(("id_col", "time_col"), "no column, since times are in the index")
LEFT_OUT = ["warm_start", "n_jobs", *NO_COLUMNS, "target_cols", "past_cols", "future_cols", "static_cols"]
TAGS: dict[str, Any] = {
    "authors": "tsformer developers",
    "maintainers": "tsformer developers",
    "capability:multivariate": True,
    "capability:missing_values": True,
    "capability:categorical_in_X": False,
    "capability:random_state": True,
    "property:randomness": "derandomized",
}


@takes_parameters_of(tsformer.TransformerClassifier, without=["warm_start", "id_col", "time_col"])
class TransformerClassifier(WrapsClassifier, BaseClassifier):
    """Classify multivariate time series by attention: `tsformer.TransformerClassifier` for sktime.

    It takes every panel that sktime knows; lengths may differ and values be missing. Left out are parameters that could
    do nothing: `warm_start`, since fit of sktime always starts anew, `id_col` and `time_col`.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerClassifier
        The fitted classifier, for its embeddings (`transform`), `attention_maps` and `history_`.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from tsformer.interop.sktime import TransformerClassifier
    >>> X, y = load_unit_test(split="train")
    >>> clf = TransformerClassifier(max_steps=2, random_state=0).fit(X, y)
    >>> clf.predict_proba(X).shape
    (20, 2)
    """

    _tags: ClassVar[dict[str, Any]] = TAGS | {
        # Arrays stay arrays; all else, of which lengths may differ, becomes a list of frames.
        "X_inner_mtype": ["df-list", "numpy3D"],
        "capability:unequal_length": True,
        "capability:predict_proba": True,
        "capability:class_weight": True,
    }


@takes_parameters_of(tsformer.TransformerForecaster, without=LEFT_OUT)
class TransformerForecaster(BaseForecaster):
    """Forecast series by a pretrained encoder-decoder Transformer: `tsformer.TransformerForecaster` for sktime.

    One network forecasts all series of y: each column, of each instance of a panel, of each node of a hierarchy.
    X holds covariates that are known ahead: values missing in the history are masked, and predict needs a row for each
    time up to the last of fh. Left out are the parameters that name columns, `n_jobs`, which is of `backtest`, and
    `warm_start`, for which sktime has `pretrain`.

    `fit` after `pretrain` goes on from the weights learnt there. `update` appends times, or replaces those known, and
    trains on unless `update_params=False`. How long each trains is what `max_steps` says: by "auto" not at all for few
    values. Any fh after the last time is forecast, by rolling out where it is longer than `horizon`. Steps of fh count
    from the end of each series.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerForecaster
        The fitted forecaster, for its `sample` and `history_`.
    pretrained_ : tsformer.TransformerForecaster
        The forecaster that `pretrain` trained.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from tsformer.interop.sktime import TransformerForecaster
    >>> forecaster = TransformerForecaster(horizon=12, max_steps=2, random_state=0).fit(load_airline())
    >>> forecaster.predict(fh=[1, 2, 3]).shape
    (3,)
    >>> forecaster.predict_interval(fh=[1, 2, 3], coverage=[0.8, 0.95]).shape
    (3, 4)
    """

    _tags: ClassVar[dict[str, Any]] = TAGS | {
        "y_inner_mtype": FRAMES,
        "X_inner_mtype": FRAMES,
        "requires-fh-in-fit": False,
        "capability:exogenous": True,
        "capability:non_contiguous_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
        "capability:pretrain": True,
        "pretrain:fitted_params": ["pretrained_"],
    }
    # The histories are kept here, as `_cur_y` and `_cur_X`; without this sktime 1.2 keeps them again, and warns.
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}
    _y = _X = None

    def __post_init__(self) -> None:
        """Tell sktime what depends on parameters."""
        if self.head == "point":
            self.set_tags(**{"capability:pred_int": False})

    def _check_fh(self, fh: Any, pred_int: bool = False) -> Any:
        times = fh.to_pandas() if isinstance(fh, ForecastingHorizon) else fh
        if isinstance(times, pd.DatetimeIndex) and times.tz is not None:
            fh = _ZonedHorizon(times, is_relative=False)
        return super()._check_fh(fh, pred_int)

    def _pretrain(self, y: pd.DataFrame, X: pd.DataFrame | None = None, fh: Any = None) -> Any:
        self.pretrained_ = self._trained(getattr(self, "pretrained_", None), y, X)
        return self

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: Any) -> Any:
        self._cur_y, self._cur_X = y.copy(), None if X is None else X.copy()
        self.estimator_ = self._trained(getattr(self, "pretrained_", None), y, X)
        return self

    def _update(self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True) -> Any:
        y, X = _with_rows(self._cur_y, y, "y"), _with_rows(self._cur_X, X, "X")
        if update_params:
            self.estimator_ = self._trained(self.estimator_, y, X)
        self._cur_y, self._cur_X = y, X
        return self

    def _predict(self, fh: ForecastingHorizon, X: pd.DataFrame | None) -> pd.DataFrame:
        return self._forecast(fh, X).set_axis(self._cur_y.columns, axis="columns")

    def _predict_quantiles(self, fh: ForecastingHorizon, X: pd.DataFrame | None, alpha: list[float]) -> pd.DataFrame:
        columns = pd.MultiIndex.from_product([self._cur_y.columns.to_flat_index(), alpha])
        return self._forecast(fh, X, quantiles=alpha).set_axis(columns, axis="columns")

    def _trained(self, start: Any, y: pd.DataFrame, X: pd.DataFrame | None) -> tsformer.TransformerForecaster:
        """Train a new forecaster, or a copy of the forecaster `start` from its weights on."""
        estimator = tsformer.TransformerForecaster() if start is None else copy.deepcopy(start)
        future_cols = None if X is None else list(_covariates(X, y))
        if set(future_cols or []) == set(estimator.future_cols or []):
            future_cols = estimator.future_cols  # the order that `start` learnt
        changes = {"future_cols": future_cols, "warm_start": start is not None, **NO_COLUMNS}
        with _words_of_sktime():
            estimator.set_params(**self.get_params(deep=False), **changes).fit(_joined(y, X))
        if isinstance(estimator.freq_, int) and estimator.freq_ != 1:
            steps = f"Got steps of {estimator.freq_}; number the times anew, or give them dates."
            raise ValueError(f"Integer times must go up by 1, since sktime counts fh so. {steps}")
        return estimator

    def _forecast(self, fh: ForecastingHorizon, X: pd.DataFrame | None, **asked: Any) -> pd.DataFrame:
        """Forecast at fh; `asked` is passed to predict of the wrapped forecaster."""
        if isinstance(fh.to_pandas(), pd.TimedeltaIndex):
            fh = fh.to_absolute(self.cutoff).to_relative(self.cutoff)
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        behind = np.zeros(1, dtype=int) if fh.is_relative else self._steps_behind_cutoff(fh.freq)
        horizon = int(steps.max() + behind.max())
        known = _with_rows(self._cur_X, X, "X")
        future = None if known is None else _with_two_levels(_covariates(known, self._cur_y))
        with _words_of_sktime():
            forecast = self.estimator_.predict(_joined(self._cur_y, known), horizon, future=future, **asked)
        first_rows = np.arange(0, len(forecast), horizon)
        chosen = forecast.iloc[(first_rows[:, None] + behind[:, None] + steps - 1).ravel()]
        levels: Any = self._cur_y.index
        if levels.nlevels < 3:
            return chosen
        nodes = levels.droplevel(-1).unique().repeat(len(steps))
        ids = map(nodes.get_level_values, range(nodes.nlevels))
        return chosen.set_axis(pd.MultiIndex.from_arrays([*ids, chosen.index.get_level_values(1)], names=levels.names))

    def _steps_behind_cutoff(self, freq: Any) -> NDArray[np.int64]:
        """Steps from the end of each series to the latest end, which sktime calls cutoff."""
        index: Any = self._cur_y.index
        if index.nlevels == 1:
            return np.zeros(1, dtype=int)
        last = pd.Series(index.get_level_values(-1)).groupby(pd.factorize(index.droplevel(-1))[0]).max()
        ends, unique_ends = pd.factorize(pd.Index(last), sort=True)
        kind = _ZonedHorizon if getattr(unique_ends, "tz", None) is not None else ForecastingHorizon
        steps = kind(unique_ends, is_relative=False, freq=freq).to_relative(self.cutoff)
        return -steps.to_numpy().astype(int)[ends]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small settings for sktime's own tests."""
        size = {"d_model": 4, "n_heads": 1, "n_layers": 1, "d_ff": 4, "horizon": 2, "context_length": 6}
        training = {
            "pretrained": None,
            "max_steps": 1,
            "batch_size": 4,
            "average_decay": None,
            "early_stopping": False,
            "random_state": 0,
        }
        return [size | training, size | training | {"head": "point", "encoder": "transformer"}]


@takes_parameters_of(tsformer.TransformerDetector, without=list(NO_COLUMNS))
class TransformerDetector(BaseDetector):
    """Find anomalies in series, without labels and without training: `tsformer.TransformerDetector` for sktime.

    `predict` returns the places of anomalies, `transform` a label for each time, 1 for anomalies, and
    `transform_scores` a score for each, higher = more anomalous, NaN where values are missing. `fit_predict` and
    `fit_transform` find the anomalies of the training series, of which no window is compared with itself: they need a
    `contamination`. `update` remembers what is normal. Left out are `id_col` and `time_col`: times are in the index.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerDetector
        The fitted detector, for its `offset_`, the threshold.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from tsformer.interop.sktime import TransformerDetector
    >>> x = pd.Series(np.sin(np.arange(400) / 4))
    >>> detector = TransformerDetector().fit(x[:300])
    >>> x[350:355] = 0.0
    >>> 352 in detector.predict(x)["ilocs"].values
    True
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "tsformer developers",
        "maintainers": "tsformer developers",
        "task": "anomaly_detection",
        "learning_type": "unsupervised",
        "capability:multivariate": True,
        "capability:missing_values": True,
        "capability:update": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "X_inner_mtype": "pd.DataFrame",
    }

    def _fit(self, X: pd.DataFrame, y: Any = None) -> Any:
        estimator = tsformer.TransformerDetector(**self.get_params(deep=False)).set_params(**NO_COLUMNS)
        self._in_training = _places(estimator.fit_predict(X))
        self.estimator_ = estimator
        return self

    def _predict(self, X: pd.DataFrame) -> NDArray[np.intp]:
        return _places(self.estimator_.predict(X))

    def fit_predict(self, X: Any, y: Any = None) -> pd.DataFrame:
        """Fit, and find the anomalies of the same series; as `predict`."""
        self.fit(X, y)
        return pd.DataFrame({"ilocs": self._in_training})

    def fit_transform(self, X: Any, y: Any = None) -> pd.DataFrame:
        """Fit, and label the same series; as `transform`."""
        # sktime 1.2 looks the places up in the index, which fails for dates.
        return self.sparse_to_dense(self.fit_predict(X, y), pd.RangeIndex(len(X))).to_frame("labels")

    def _transform_scores(self, X: pd.DataFrame) -> pd.DataFrame:
        return -self.estimator_.score_samples(X).rename("scores").to_frame()

    def _predict_scores(self, X: pd.DataFrame) -> pd.DataFrame:
        return self._transform_scores(X).iloc[self._predict(X)].reset_index(drop=True)

    def _update(self, X: pd.DataFrame, y: Any = None) -> Any:
        self.estimator_.update(X)
        return self

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return settings for sktime's own tests, whose series have 10 time points."""
        return DETECTORS


def _places(labels: pd.Series) -> NDArray[np.intp]:
    return np.flatnonzero(labels == -1)


class _ZonedHorizon(ForecastingHorizon):
    """Times ahead in a time zone: sktime counts steps on the clock on the wall, which changes."""

    def to_relative(self, cutoff: Any = None) -> ForecastingHorizon:
        last = cutoff[-1] if isinstance(cutoff, pd.Index) else cutoff
        steps = steps_after(last, self.to_pandas(), to_offset(self.freq))
        return ForecastingHorizon(steps, is_relative=True, freq=self.freq)


@contextmanager
def _words_of_sktime() -> Iterator[None]:
    """Call frames in messages by their names in sktime."""
    try:
        yield
    except ValueError as error:
        message = re.sub(
            r"(?<!['\w])(future|df)(?!['\w])", lambda name: {"df": "y", "future": "X"}[name[1]], str(error)
        )
        raise ValueError(message) from error


def _with_rows(known: Any, new: pd.DataFrame | None, name: str) -> Any:
    """Add rows to those known, or put them in the place of those for the same times."""
    if new is None:
        return known
    if known is None:
        raise ValueError(f"{name} must be None, as in fit: covariates that fit did not see cannot be used. Fit with X.")
    if set(new.columns) != set(known.columns):  # others would be taken as NaN
        raise ValueError(f"{name} must have the columns that fit saw, {list(known.columns)}. Got {list(new.columns)}.")
    return update_data(known, new)[known.columns]


def _joined(y: pd.DataFrame, X: pd.DataFrame | None) -> pd.DataFrame:
    """Put covariates beside the targets; what X lacks is missing."""
    flat = _with_two_levels(y.set_axis(y.columns.to_flat_index(), axis="columns"))
    return flat if X is None else pd.concat([flat, _with_two_levels(_covariates(X, y)).reindex(flat.index)], axis=1)


def _covariates(X: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
    """X, its columns under names that no column of y has."""
    taken, names = set(y.columns), []
    for name in X.columns.to_flat_index():
        while name in taken:
            name = f"{name} of X"
        names.append(name)
        taken.add(name)
    # With a row missing, bool would become object.
    return X.astype(dict.fromkeys(X.select_dtypes("bool"), float)).set_axis(names, axis="columns")


def _with_two_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Join the levels that name a node of a hierarchy into one."""
    index: Any = frame.index
    if index.nlevels < 3:
        return frame
    codes, nodes = pd.factorize(index.droplevel(-1))
    ids = pd.Index([str(node) for node in nodes])[codes]
    return frame.set_axis(pd.MultiIndex.from_arrays([ids, index.get_level_values(-1)]), axis="index")
