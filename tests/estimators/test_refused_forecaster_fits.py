"""A fit or update of the forecaster that is refused or breaks off leaves state, forecasts and saved files as before."""

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from forecasts import COVARIATES, small, with_covariates
from safetensors import safe_open

from tsformer import TransformerForecaster, save
from tsformer.estimators import histories, learning

DF, _ = with_covariates("long")
FIRST = DF.groupby("unique_id").head(-6)
REST = DF.drop(FIRST.index)
DAYS = DF.assign(ds=pd.date_range("2024-01-01", periods=len(DF)))
SHORT = DF.groupby("unique_id").head(7)


class Broken:
    """A callback that raises at the end of a task of this name."""

    max_propagation_depth = None

    def __init__(self, task: str) -> None:
        self.task = task

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, **how):
        if context.task_name == self.task:
            raise ZeroDivisionError(self.task)


def interrupted(*args: Any, **how: Any) -> None:
    raise KeyboardInterrupt


def no_encoder(*args: Any, **how: Any) -> None:
    raise ZeroDivisionError("an encoder that cannot be built")


# Parameters set before, the method and its arguments, and what is raised.
REFUSED: dict[str, tuple[dict[str, Any], str, tuple[Any, ...], type[BaseException], str]] = {
    "parameter": ({"d_model": -1}, "fit", (DF,), ValueError, "'d_model' parameter"),
    "device": ({"device": "cuda:99"}, "fit", (DF,), ValueError, "asks for 'cuda:99'"),
    "heads": ({"n_heads": 3}, "fit", (DF,), ValueError, "n_heads"),
    "labels": ({}, "fit", (DF, DF["y"]), ValueError, "y must be None"),
    "list": ({}, "fit", ([1.0],), TypeError, "Got list"),
    "text": ({}, "fit", (DF.assign(y="1"),), ValueError, "numeric data type"),
    "infinity": ({}, "fit", (DF.assign(y=np.inf),), ValueError, "contains infinity"),
    "absent target": ({}, "fit", (DF.drop(columns="y"),), ValueError, r"columns are missing: \['y'\]"),
    "absent covariate": ({}, "fit", (DF.drop(columns="price"),), ValueError, r"columns are missing: \['price'\]"),
    "further column": ({"past_cols": None}, "fit", (DF,), ValueError, r"further columns \['visits'\]"),
    "empty covariate": ({}, "fit", (DF.assign(price=np.nan),), ValueError, "A covariate must have a value"),
    "static varies": ({}, "fit", (DF.assign(size=DF["price"]),), ValueError, "several values in the static column"),
    "gap": ({}, "fit", (DF.drop(index=5),), ValueError, "no row for 2015-06-30"),
    "another freq": ({"freq": "W"}, "fit", (DF,), ValueError, "freq"),
    "no counts": ({"head": "negative_binomial"}, "fit", (DF,), ValueError, "takes counts"),
    "calibration": ({"calibration_windows": 50}, "fit", (DF,), ValueError, "calibration_windows=50"),
    "calibration, no quantiles": ({"calibration_windows": 1, "head": "point"}, "fit", (DF,), ValueError, "corrects"),
    "calibration, a gap ahead": (
        {"calibration_windows": 1},
        "fit",
        (DF.assign(price=DF["price"].where(DF.index != 70)),),
        ValueError,
        "must be known ahead: Series 'a'",
    ),
    "early stopping": ({"early_stopping": True, "season": 1}, "fit", (SHORT,), ValueError, "early_stopping holds back"),
    "an encoder that fails": ({"encoder": no_encoder}, "fit", (DF,), ZeroDivisionError, "an encoder"),
    "warm start, other columns": ({"warm_start": True, "past_cols": None}, "fit", (DF,), ValueError, "was fitted with"),
    "warm start, other times": (
        {"warm_start": True},
        "fit",
        (DAYS,),
        ValueError,
        "must have the frequency that fit saw",
    ),
    "update, known times": ({}, "update", (DF,), ValueError, "is known up to"),
    "update, labels": ({}, "update", (REST, 1), ValueError, "y must be None"),
    "update, gap": ({}, "update", (REST.groupby("unique_id").tail(2),), ValueError, "no row for"),
    "update, other columns": ({"static_cols": None}, "update", (REST,), ValueError, "was fitted with"),
    "update, absent column": ({}, "update", (REST.drop(columns="visits"),), ValueError, "columns are missing"),
    "update, static varies": ({}, "update", (REST.assign(size=9.0),), ValueError, "several values in the static"),
    "refit, calibration": ({"calibration_windows": 50}, "refit", (REST,), ValueError, "calibration_windows=50"),
    "refit, early stopping": (
        {"early_stopping": True, "validation_fraction": 0.99},
        "refit",
        (REST,),
        ValueError,
        "back",
    ),
}


@pytest.fixture(scope="module")
def fitted() -> TransformerForecaster:
    return small(max_steps=5, calibration_windows=1, **COVARIATES).fit(FIRST)


@pytest.fixture
def unchanged(fitted, tmp_path):
    """Look at the forecaster before and after a test: its parameters are put back, and nothing else may differ."""
    parameters = fitted.get_params()

    def look() -> tuple[dict[str, Any], pd.DataFrame, dict[str, str]]:
        save(fitted, tmp_path / "model", history=True)
        with safe_open(tmp_path / "model", framework="numpy") as file:  # its entries come in any order
            content = file.metadata()  # with the checksums of all arrays
        state = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
        return state, fitted.predict(future=DF, level=80), content

    state, forecast, content = look()
    yield fitted
    fitted.set_params(**parameters)
    state_after, forecast_after, content_after = look()
    assert state_after.keys() == state.keys()
    assert all(state_after[name] is state[name] for name in state)
    assert forecast_after.equals(forecast)
    assert content_after == content


@pytest.mark.parametrize("case", REFUSED)
def test_fit__refused__changes_nothing(case, unchanged):
    parameters, method, arguments, error, message = REFUSED[case]
    unchanged.set_params(**parameters)
    how = {"refit": True} if method == "refit" else {}
    with pytest.raises(error, match=message):
        getattr(unchanged, "update" if how else method)(*arguments, **how)


@pytest.mark.parametrize(
    ("method", "step"),
    [("update", "read_series"), *product(["fit", "refit"], ["read_series", "fit_network", "log_end"])],
)
def test_fit__interrupted_outside_of_training__changes_nothing(method, step, unchanged, monkeypatch):
    monkeypatch.setattr(histories if step == "read_series" else learning, step, interrupted)
    calls = {"fit": unchanged.fit, "update": unchanged.update, "refit": partial(unchanged.update, refit=True)}
    with pytest.raises(KeyboardInterrupt):
        calls[method](DF if method == "fit" else REST)


def test_backtest__interrupted_while_it_trains__ends(unchanged, monkeypatch):
    monkeypatch.setattr(learning, "forecasting", lambda *_, **__: interrupted)  # what a step learns
    with pytest.raises(KeyboardInterrupt):
        unchanged.backtest(DF, refit=True)
    with pytest.warns(UserWarning, match="interrupted by user after 0 steps"):
        TransformerForecaster(**unchanged.get_params()).fit(DF)


@pytest.mark.skipif(not hasattr(small(), "set_callbacks"), reason="scikit-learn before 1.9 has no callbacks to set")
@pytest.mark.parametrize("task", ["fit", "network", "epoch"])
def test_fit__callback_that_raises__changes_nothing(task, unchanged):
    unchanged.set_callbacks(Broken(task))
    with pytest.raises(ZeroDivisionError, match=task):
        unchanged.fit(DF)
    del unchanged._skl_callbacks
