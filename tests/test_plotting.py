"""ForecastDisplay: what it draws of forecasts in every form, and mistakes."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from forecasts import long_frame, small, wave
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose

from tsformer.plotting import ForecastDisplay

mpl.use("Agg")


@pytest.fixture(scope="module")
def fitted():
    return small().fit(wave())


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_forecast_display__series__draws_history_forecast_and_bands(fitted):
    display = ForecastDisplay.from_estimator(fitted, level=[80, 95])
    (ax,) = display.axes_
    history, forecast = ax.get_lines()
    assert_allclose(history.get_ydata(), wave()[-30:])
    assert_allclose(forecast.get_ydata(), fitted.predict())
    wide, narrow = (band.get_datalim(ax.transData) for band in ax.collections)
    bands = fitted.predict(level=[80, 95])
    assert_allclose([narrow.y0, narrow.y1], [bands["lo-80"].min(), bands["hi-80"].max()])
    assert_allclose([wide.y0, wide.y1], [bands["lo-95"].min(), bands["hi-95"].max()])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "95 % band",
        "80 % band",
        "history",
        "forecast",
    ]
    assert ax.get_ylabel() == "sales"


def test_forecast_display__long_frame__draws_a_panel_for_each_series_or_those_chosen():
    forecaster = small().fit(long_frame())
    assert [panel.name for panel in ForecastDisplay.from_estimator(forecaster).panels] == ["a", "b", "c"]
    chosen = ForecastDisplay.from_estimator(forecaster, series=["c"], n_history=10)
    assert len(chosen.axes_) == 1
    expected = forecaster.predict().set_index("unique_id")["y"]["c"]
    assert_allclose(chosen.axes_[0].get_lines()[1].get_ydata(), expected)
    assert len(chosen.panels[0].history) == 10


@pytest.mark.parametrize("index", [pd.RangeIndex(72), pd.period_range("2015-01", periods=72, freq="M")])
def test_forecast_display__integers_or_periods_as_times__are_drawn_in_order(index):
    display = ForecastDisplay.from_estimator(small().fit(wave().set_axis(index)), horizon=3)
    history, forecast = display.axes_[0].get_lines()
    assert (np.diff([*history.get_xdata(orig=False), *forecast.get_xdata(orig=False)]) > 0).all()


def test_forecast_display__point_head__has_no_bands():
    display = ForecastDisplay.from_estimator(small(head="point").fit(wave()))
    assert not display.axes_[0].collections


def test_forecast_display__one_level_and_one_series__need_no_list(fitted):
    assert len(ForecastDisplay.from_estimator(fitted, level=90, series="sales").axes_[0].collections) == 1


def test_forecast_display__own_axes__are_used(fitted):
    _, ax = plt.subplots()
    assert ForecastDisplay.from_estimator(fitted, ax=ax).axes_ == [ax]


def test_forecast_display__many_series__asks_which():
    df = pd.DataFrame({f"s{i}": wave() for i in range(7)})
    forecaster = small(max_steps=2).fit(df)
    with pytest.raises(ValueError, match=r"more than 6\. Got none of 7: 's0', 's1', 's2' and so on"):
        ForecastDisplay.from_estimator(forecaster)
    with pytest.raises(ValueError, match=r"Got \['t'\]; there are \['s0'"):
        ForecastDisplay.from_estimator(forecaster, series=["t"])
    with pytest.raises(ValueError, match=r"ax takes one series\. Got 2"):
        ForecastDisplay.from_estimator(forecaster, series=["s0", "s1"], ax=plt.subplots()[1])


def test_plotting__imported__does_not_import_matplotlib():
    program = "import sys, tsformer.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
