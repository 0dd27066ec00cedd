"""The frames of a forecaster: what its parameters say of their columns in, series that forecasts go on from out."""

from numbers import Real
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsformer.data.frames import Columns, SeriesSet, check_counts, read_series
from tsformer.data.seasons import step_of
from tsformer.training.devices import usual_state

Frame = pd.Series | pd.DataFrame


def check_no_labels(y: Any) -> None:
    """Refuse what scikit-learn calls y: targets are columns of df."""
    if y is not None:
        raise ValueError(
            f"y must be None: the series to forecast are in df. Got {type(y).__name__}; pass targets and covariates "
            "side by side as df, and name covariates by past_cols=, future_cols= and static_cols=."
        )


def read_to_fit(forecaster: Any, df: Frame) -> SeriesSet:
    """Read the series of a first fit."""
    series = read_series(df, _columns_of(forecaster), freq=forecaster.freq, fill=forecaster.fill)
    return _checked(forecaster, series)


def read_like_fit(forecaster: Any, df: Frame, before: SeriesSet | None = None) -> SeriesSet:
    """Read series of the columns and the frequency that fit saw; those that go on from `before` are joined to it."""
    check_is_fitted(forecaster, "model_")
    columns, of_fit = _columns_of(forecaster), forecaster.series_.form.covariates
    if columns.covariates != of_fit:
        named = "past_cols={}, future_cols={}, static_cols={}"
        raise ValueError(
            f"The forecaster was fitted with {named.format(*of_fit)}. Got {named.format(*columns.covariates)}; set "
            "them back, or fit anew."
        )
    expected, how = forecaster.freq_, {"freq": forecaster.freq, "fill": forecaster.fill}
    series = read_series(df, columns, **how, expected=expected, before=before)
    if step_of(series.freq) != step_of(expected):
        raise ValueError(
            f"df must have the frequency that fit saw, {expected!r}. Got {series.freq!r}; fit another forecaster."
        )
    return _checked(forecaster, series)


@usual_state()
def read_histories(forecaster: Any, df: Frame | SeriesSet | None) -> SeriesSet:
    """Read what a fitted forecaster is to go on from; without a frame it is what fit and update were given."""
    check_is_fitted(forecaster, "model_")
    if isinstance(df, SeriesSet):  # read already
        return df
    if isinstance(df, Real):
        raise TypeError(
            f"df must be a pandas Series or DataFrame, of histories to go on from. Got {df!r}; write horizon={df!r} "
            f"for as many time points, or level={df!r} for a band of so many per cent."
        )
    histories: SeriesSet = forecaster.series_
    return histories if df is None else read_like_fit(forecaster, df)


def _columns_of(forecaster: Any) -> Columns:
    return Columns(*(getattr(forecaster, name) for name in Columns._fields))


def _checked(forecaster: Any, series: SeriesSet) -> SeriesSet:
    if forecaster.head == "negative_binomial":
        check_counts(series)
    return series
