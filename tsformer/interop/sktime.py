"""TransformerClassifier and TransformerForecaster for sktime: the same estimators behind sktime's interfaces."""

import copy
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sktime.classification.base import BaseClassifier
from sktime.datatypes import update_data
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

import tsformer
from tsformer.interop._parameters import SMALL_CLASSIFIERS, takes_parameters_of

FRAMES = ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"]
# Times are in the index: whatever its name, no column holds ids or times.
NO_COLUMN = "no column, since times are in the index"


@takes_parameters_of(tsformer.TransformerClassifier, without=["warm_start", "id_col", "time_col"])
class TransformerClassifier(BaseClassifier):
    """Classify multivariate time series by attention: `tsformer.TransformerClassifier` for sktime.

    It takes every panel that sktime knows. Series may differ in length and have missing values. Left out are the
    parameters that could do nothing: `warm_start`, since fit of sktime always starts anew, `id_col` and `time_col`.

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

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "tsformer developers",
        "maintainers": "tsformer developers",
        # Arrays stay arrays; all else, of which lengths may differ, becomes a list of frames.
        "X_inner_mtype": ["df-list", "numpy3D"],
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "capability:categorical_in_X": False,
        "capability:predict_proba": True,
        "capability:class_weight": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }

    def _fit(self, X: Any, y: NDArray[Any]) -> "TransformerClassifier":
        self.estimator_ = tsformer.TransformerClassifier(**self.get_params(deep=False)).fit(_arrays(X), y)
        return self

    def _predict(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(_arrays(X))

    def _predict_proba(self, X: Any) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(_arrays(X))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small settings for sktime's own tests."""
        return SMALL_CLASSIFIERS


@takes_parameters_of(tsformer.TransformerForecaster, without=["warm_start", "id_col", "time_col", "target_col"])
class TransformerForecaster(BaseForecaster):
    """Forecast series by an encoder-decoder Transformer: `tsformer.TransformerForecaster` for sktime.

    One network learns from all series of y: from each column, of each instance of a panel, of each node of a hierarchy.
    X holds covariates that are known ahead, and predict needs them for each time up to the last of fh. Left out are the
    parameters that name the columns of long frames, and `warm_start`, for which sktime has `pretrain`.

    `fit` after `pretrain` trains on from the weights learnt there. `update` appends times, and trains on unless
    `update_params=False`; rows for known times replace those. Networks are trained for `horizon`; any fh after the last
    time is forecast, by rolling out where it is longer. Steps of fh count from the end of each series.

    Parameters
    ----------

    Attributes
    ----------
    estimator_ : tsformer.TransformerForecaster
        The fitted forecaster, for its `sample` and `history_`. Its messages call y `df` and X `future`.
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

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "tsformer developers",
        "maintainers": "tsformer developers",
        "y_inner_mtype": FRAMES,
        "X_inner_mtype": FRAMES,
        "requires-fh-in-fit": False,
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:non_contiguous_X": False,
        "capability:missing_values": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
        "capability:pretrain": True,
        "pretrain:fitted_params": ["pretrained_"],
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }
    # The histories are kept here, as `_cur_y` and `_cur_X`; without this sktime 1.2 keeps them again, and warns.
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}
    _y = _X = None

    def __post_init__(self) -> None:
        """Tell sktime what depends on parameters."""
        if self.head == "point":
            self.set_tags(**{"capability:pred_int": False})

    def _pretrain(self, y: pd.DataFrame, X: pd.DataFrame | None = None, fh: Any = None) -> "TransformerForecaster":
        self.pretrained_ = self._trained(getattr(self, "pretrained_", None), y, X)
        return self

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: Any) -> "TransformerForecaster":
        self._cur_y, self._cur_X = y.copy(), None if X is None else X.copy()
        self.estimator_ = self._trained(getattr(self, "pretrained_", None), y, X)
        return self

    def _update(
        self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True
    ) -> "TransformerForecaster":
        _check_columns(y, self._cur_y, "y")
        _check_columns(X, self._cur_X, "X")
        y, X = update_data(self._cur_y, y), update_data(self._cur_X, X)
        if update_params:
            self.estimator_ = self._trained(self.estimator_, y, X)
        self._cur_y, self._cur_X = y, X
        return self

    def _predict(self, fh: ForecastingHorizon, X: pd.DataFrame | None) -> pd.DataFrame:
        return self._forecast(fh, X)

    def _predict_quantiles(self, fh: ForecastingHorizon, X: pd.DataFrame | None, alpha: list[float]) -> pd.DataFrame:
        forecast = self._forecast(fh, X, quantiles=alpha)
        columns = pd.MultiIndex.from_product([self._cur_y.columns.to_flat_index(), alpha])
        return forecast.set_axis(columns, axis="columns")

    def _trained(
        self, start: tsformer.TransformerForecaster | None, y: pd.DataFrame, X: pd.DataFrame | None
    ) -> tsformer.TransformerForecaster:
        """Train a new forecaster, or a copy of `start` from its weights on."""
        estimator = tsformer.TransformerForecaster() if start is None else copy.deepcopy(start)
        estimator.set_params(
            **self.get_params(deep=False), id_col=NO_COLUMN, time_col=NO_COLUMN, warm_start=start is not None
        )
        estimator.fit(_with_two_levels(y), future=None if X is None else _with_two_levels(X))
        if isinstance(estimator.freq_, int) and estimator.freq_ != 1:
            raise ValueError(
                f"Integer times must go up by 1, since sktime counts fh so. Got steps of {estimator.freq_}; number the "
                "times anew, or give them dates."
            )
        return estimator

    def _forecast(self, fh: ForecastingHorizon, X: pd.DataFrame | None, **asked: Any) -> pd.DataFrame:
        """Forecast at fh; `asked` is passed to predict of the wrapped forecaster."""
        if isinstance(fh.to_pandas(), pd.TimedeltaIndex):
            fh = fh.to_absolute(self.cutoff).to_relative(self.cutoff)
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        behind = np.zeros(1, dtype=int) if fh.is_relative else self._steps_behind_cutoff(fh.freq)
        horizon = int(steps.max() + behind.max())
        _check_columns(X, self._cur_X, "X")
        known = update_data(self._cur_X, X)
        forecast = self.estimator_.predict(
            _with_two_levels(self._cur_y), horizon, future=None if known is None else _with_two_levels(known), **asked
        )
        first_rows = np.arange(0, len(forecast), horizon)
        chosen = forecast.iloc[(first_rows[:, None] + behind[:, None] + steps - 1).ravel()]
        return chosen.set_axis(_with_levels_of(chosen.index, self._cur_y.index), axis="index")

    def _steps_behind_cutoff(self, freq: Any) -> NDArray[np.int64]:
        """Steps from the end of each series to the latest end, which sktime calls cutoff."""
        index: Any = self._cur_y.index
        if index.nlevels == 1:
            return np.zeros(1, dtype=int)
        codes = pd.factorize(index.droplevel(-1))[0]
        last = np.zeros(codes.max() + 1, dtype=int)
        last[codes] = np.arange(len(codes))
        ends, unique_ends = pd.factorize(index.get_level_values(-1)[last], sort=True)
        steps = ForecastingHorizon(unique_ends, is_relative=False, freq=freq).to_relative(self.cutoff)
        return -steps.to_numpy().astype(int)[ends]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small settings for sktime's own tests."""
        size = {"d_model": 4, "n_heads": 1, "n_layers": 1, "d_ff": 4, "horizon": 2, "context_length": 6}
        training = {"max_steps": 1, "batch_size": 4, "average_decay": None, "early_stopping": False, "random_state": 0}
        return [size | training, size | training | {"head": "point", "encoder": "transformer"}]


def _arrays(X: NDArray[Any] | list[pd.DataFrame]) -> NDArray[Any] | list[NDArray[Any]]:
    """Series as tsformer takes them: channels before time."""
    return X if isinstance(X, np.ndarray) else [frame.to_numpy().T for frame in X]


def _check_columns(new: pd.DataFrame | None, known: pd.DataFrame | None, name: str) -> None:
    """Check that rows to be added have the columns of those that they are added to: others would be taken as NaN."""
    if new is not None and known is not None and set(new.columns) != set(known.columns):
        raise ValueError(f"{name} must have the columns that fit saw, {list(known.columns)}. Got {list(new.columns)}.")


def _with_two_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Join the levels that name a node of a hierarchy into one."""
    if frame.index.nlevels < 3:
        return frame
    index: Any = frame.index
    codes, nodes = pd.factorize(index.droplevel(-1))
    ids = pd.Index([str(node) for node in nodes])[codes]
    return frame.set_axis(pd.MultiIndex.from_arrays([ids, index.get_level_values(-1)]), axis="index")


def _with_levels_of(index: pd.Index, like: Any) -> pd.Index:
    """Undo `_with_two_levels` in the index of a forecast."""
    if like.nlevels < 3:
        return index
    nodes = like.droplevel(-1).unique()
    rows = pd.Index([str(node) for node in nodes]).get_indexer(index.get_level_values(0))
    levels = [nodes.get_level_values(level)[rows] for level in range(nodes.nlevels)]
    return pd.MultiIndex.from_arrays([*levels, index.get_level_values(1)], names=like.names)
