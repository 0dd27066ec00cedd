"""The displays: what they draw of forecasts, attention and training, and mistakes."""

import itertools
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from forecasts import long_frame, small, wave
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from tsformer import TransformerClassifier, TransformerDetector, TransformerForecaster, TransformerPretrainer
from tsformer.inspection import occlusion, occlusion_over_time
from tsformer.models.forecaster import PATCH_LENGTH
from tsformer.plotting import AnomalyDisplay, AttentionDisplay, ForecastDisplay, ForecastPanel, HistoryDisplay

mpl.use("Agg")


def small_classifier(**changes) -> TransformerClassifier:
    shape = {"n_estimators": 1, "pretrained": None, "max_steps": 3, "d_model": 16, "n_layers": 1}
    return TransformerClassifier(**(shape | {"random_state": 0, "device": "cpu"} | changes))


@pytest.fixture(scope="module")
def fitted():
    return small(max_steps=1).fit(wave())


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
    forecaster = small(max_steps=1).fit(long_frame())
    assert [panel.name for panel in ForecastDisplay.from_estimator(forecaster).panels] == ["a", "b", "c"]
    chosen = ForecastDisplay.from_estimator(forecaster, series=["c"], n_history=10)
    assert len(chosen.axes_) == 1
    expected = forecaster.predict().set_index("unique_id")["y"]["c"]
    assert_allclose(chosen.axes_[0].get_lines()[1].get_ydata(), expected)
    assert len(chosen.panels[0].history) == 10


@pytest.mark.parametrize("index", [pd.RangeIndex(72), pd.period_range("2015-01", periods=72, freq="M")])
def test_forecast_display__integers_or_periods_as_times__are_drawn_in_order(index):
    display = ForecastDisplay.from_estimator(small(max_steps=1).fit(wave().set_axis(index)), horizon=3)
    history, forecast = display.axes_[0].get_lines()
    assert (np.diff([*history.get_xdata(orig=False), *forecast.get_xdata(orig=False)]) > 0).all()


def test_forecast_display__point_head__has_no_bands():
    display = ForecastDisplay.from_estimator(small(max_steps=1, head="point").fit(wave()))
    assert not display.axes_[0].collections


def test_forecast_display__one_level_and_one_series__need_no_list(fitted):
    assert len(ForecastDisplay.from_estimator(fitted, level=90, series="sales").axes_[0].collections) == 1


def test_forecast_display__own_axes__are_used(fitted):
    _, ax = plt.subplots()
    assert ForecastDisplay.from_estimator(fitted, ax=ax).axes_ == [ax]


def test_forecast_display__name_of_several_parts__is_one_name():
    df = pd.DataFrame({("a", "b"): wave(), ("a", "c"): wave()})
    display = ForecastDisplay.from_estimator(small(max_steps=1).fit(df), series=("a", "b"))
    assert [panel.history.name for panel in display.panels] == [("a", "b")]


DOLLARS = ["$x_{$", "a\\$ or $", "$"]  # none of them is a formula


def test_displays__names_with_dollar_signs__are_drawn_as_they_are(classified):
    forecaster = small(max_steps=1).fit(pd.DataFrame(dict.fromkeys(DOLLARS, wave())))
    _, (case, _) = classified
    frames = [pd.DataFrame(case.T, columns=DOLLARS)] * 4
    labelled = small_classifier().fit(frames, ["$x_{$", "y$"] * 2)
    for display in (ForecastDisplay.from_estimator(forecaster), AttentionDisplay.from_estimator(labelled, frames[:2])):
        display.figure_.canvas.draw()  # parses each text


@pytest.fixture(scope="module")
def of_many():
    series = TransformerForecaster(horizon=6, context_length=60, max_steps=0)
    return series.fit(pd.DataFrame({f"s{i}": wave() for i in range(26)}))


def test_forecast_display__many_series__are_drawn_page_by_page(of_many):
    first, last = (ForecastDisplay.from_estimator(of_many, page=page) for page in (1, 3))
    assert [panel.history.name for panel in first.panels] == [f"s{i}" for i in range(12)]
    assert first.figure_.get_suptitle() == "Series 1 to 12 of 26: page 1 of 3, 14 not shown"
    assert [panel.history.name for panel in last.panels] == ["s24", "s25"]
    assert last.figure_.get_suptitle() == "Series 25 to 26 of 26: page 3 of 3, 24 not shown"
    chosen = ForecastDisplay.from_estimator(of_many, series=["s25", "s3"])
    assert [panel.history.name for panel in chosen.panels] == ["s25", "s3"]
    assert chosen.figure_.get_suptitle() == ""


def test_displays__series_or_page_that_is_none__is_told(of_many):
    with pytest.raises(ValueError, match=r"page must be an int in the range \[1, 3\] for 26 series\. Got 4"):
        ForecastDisplay.from_estimator(of_many, page=4)
    with pytest.raises(ValueError, match=r"page must be an int in the range \[1, inf\)\. Got 0"):
        ForecastDisplay.from_estimator(of_many, page=0)
    with pytest.raises(ValueError, match=r"Got \['t'\]; there are \['s0'"):
        ForecastDisplay.from_estimator(of_many, series=["t"])
    with pytest.raises(ValueError, match=r"ax takes one panel\. Got 2"):
        ForecastDisplay.from_estimator(of_many, series=["s0", "s1"], ax=plt.subplots()[1])
    with pytest.raises(ValueError, match=r"page must be an int in the range \[1, 5\] for 26 series\. Got 6"):
        AttentionDisplay.from_estimator(of_many, page=6)


def test_displays__page_or_choice__forecasts_nothing_else(of_many):
    df = pd.DataFrame({f"s{i}": wave(level=10.0 * i) for i in range(26)})
    df.loc[df.index[0], "s20"], df.loc[df.index[1:], "s20"] = 1e6, np.nan
    with pytest.warns(UserWarning, match="has no observed value in the last 60"):
        forecast = of_many.predict(df, level=80)
    for display in (ForecastDisplay, AttentionDisplay):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a forecast of s20 would be told
            chosen = display.from_estimator(of_many, df, series=["s25", "s3"])
        for panel, name in zip(chosen.panels, ["s25", "s3"], strict=True):
            panel = getattr(panel, "panel", panel)
            assert_allclose(panel.point, forecast[name, "point"], rtol=1e-6)
            assert_allclose(panel.history, df[name][-len(panel.history) :])
    panel = ForecastDisplay.from_estimator(of_many, df, page=3, level=80).panels[1]
    assert_allclose(panel.bands[80]["low"], forecast["s25", "lo-80"], rtol=1e-6)


def test_forecast_display__other_future__draws_what_is_forecast_with_it():
    df = pd.DataFrame({"sales": wave(), "price": np.cos(np.arange(72))}, wave().index)
    forecaster = small(future_cols="price").fit(df[:66])
    other = df[66:].assign(price=9.0)
    display = ForecastDisplay.from_estimator(forecaster, future=df[66:], other_future=other)
    _, forecast, changed = display.axes_[0].get_lines()
    assert_allclose(forecast.get_ydata(), forecaster.predict(future=df[66:])["sales"])
    assert_allclose(changed.get_ydata(), forecaster.predict(future=other)["sales"])
    assert not np.allclose(changed.get_ydata(), forecast.get_ydata())
    assert display.axes_[0].get_legend().get_texts()[-1].get_text() == "with other covariates"


def test_forecast_display__wrong_values__are_told(fitted):
    for n_history in (0, -3, 2.5):
        with pytest.raises(ValueError, match=rf"n_history must be an int in the range \[1, inf\)\. Got {n_history}"):
            ForecastDisplay.from_estimator(fitted, n_history=n_history)
    with pytest.raises(ValueError, match=r"level must be a number or a list of them, such as \[80, 95\]\. Got 'wide'"):
        ForecastDisplay.from_estimator(fitted, level="wide")
    with pytest.raises(ValueError, match=r"series must be among the series forecast\. Got \[\]; there are \['sales'\]"):
        ForecastDisplay.from_estimator(fitted, series=[])
    with pytest.raises(ValueError, match=r"series must be among the series forecast\. Got \[3\]"):
        ForecastDisplay.from_estimator(fitted, series=3)


@pytest.mark.parametrize("width", [2.5, 8.0])
@pytest.mark.parametrize("name", ["", "a", "a name of a series of several lines, for it has much to say"])
def test_forecast_display__legend__hides_neither_series_nor_name(name, width):
    values = wave()
    band = pd.DataFrame({"low": values[60:] - 1, "high": values[60:] + 1})
    _, ax = plt.subplots(figsize=(width, 2.0), layout="constrained")
    ForecastDisplay([ForecastPanel(name, values[:60], values[60:], {80: band, 95: band})]).plot(ax)
    ax.figure.canvas.draw()
    title = next(
        text
        for text in ax.get_children()
        if isinstance(text, mpl.text.Text) and text.get_text() == ax.get_title(loc="left")
    )
    legend = ax.get_legend().get_window_extent()
    assert legend.y0 >= max(ax.get_window_extent().y1, title.get_window_extent().y1 if name else 0.0) - 1.0
    assert legend.x0 >= 0.0


def test_attention_display__legend_of_a_forecast__hides_nothing(fitted):
    (ax,) = AttentionDisplay.from_estimator(fitted).axes_
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_forecast_display__values_without_neighbours__have_marks():
    values = pd.Series(np.arange(100.0), pd.date_range("2024-01-01", periods=100))
    gaps = values.where([i % 2 == 0 or i > 10 for i in range(100)])
    for history, marked in ((values[99:], [0]), (gaps, [0, 2, 4, 6, 8]), (values, [])):
        point = pd.Series(np.arange(80.0), pd.date_range("2025-01-01", periods=80))
        (ax,) = ForecastDisplay([ForecastPanel("", history, point, {})]).plot().axes_
        assert ax.get_lines()[0].get_markevery() == marked
        assert (ax.get_lines()[0].get_marker() == ".") == bool(marked)


def test_forecast_display__horizon_of_one__draws_bands_as_lines(fitted):
    (ax,) = ForecastDisplay.from_estimator(fitted, horizon=1).axes_
    assert all(band.get_linewidth() > 0 for band in ax.collections)


def test_forecast_display__time_zone__is_that_of_the_series():
    hours = pd.date_range("2024-01-01 20:00", periods=60, freq="h", tz="Asia/Tokyo")
    values = pd.Series(np.arange(60.0), index=hours)
    (ax,) = ForecastDisplay([ForecastPanel("", values[:48], values[48:], {})]).plot().axes_
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == "time in Asia/Tokyo"
    assert ax.get_xticklabels()[0].get_text() == "02 Jan"
    assert mpl.dates.num2date(ax.get_xticks()[0]) == pd.Timestamp("2024-01-02", tz="Asia/Tokyo")


def test_displays__shown_by_a_notebook__do_not_print_their_data(fitted):
    assert len(repr(ForecastDisplay.from_estimator(fitted))) < 100


def test_displays__no_estimator_of_tsformer__say_what_to_give(fitted, classified):
    clf, X = classified
    search = GridSearchCV(clf, {"n_layers": [1]}, cv=2)
    way_out = r"; of a search, give its best_estimator_, of a Pipeline its last step, of an adapter its estimator_"
    with pytest.raises(TypeError, match=r"must be a TransformerForecaster of tsformer\. Got .*classifier\.Trans"):
        ForecastDisplay.from_estimator(clf)
    with pytest.raises(TypeError, match="must be a TransformerForecaster of tsformer.*Series" + way_out):
        ForecastDisplay.from_estimator(fitted.predict())
    with pytest.raises(TypeError, match=r"a TransformerClassifier or a TransformerForecaster .*GridSearchCV" + way_out):
        AttentionDisplay.from_estimator(search, X)
    with pytest.raises(TypeError, match=r"or a TransformerPretrainer of tsformer\. Got .*GridSearchCV" + way_out):
        HistoryDisplay.from_estimator(search)


@pytest.fixture(scope="module")
def classified():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(16, 3, 20)), np.array(["no", "yes"] * 8)
    X[y == "yes", 1] += 2.0
    clf = small_classifier(n_estimators=2, max_steps=20, early_stopping=True, n_heads=2, d_ff=16)
    return clf.fit(X, y), [X[0], X[1, :, :12]]


def test_attention_display__cases_of_unequal_length__draws_channels_attention_and_their_worth(classified):
    clf, X = classified
    display = AttentionDisplay.from_estimator(clf, X)
    assert len(display.axes_) == 2
    series, attention, over_time, worth = display.figure_.axes[-4:]
    assert series is display.axes_[1]
    assert series.get_title(loc="left").startswith(f"case 1: class {clf.predict(X)[1]}, probability 0.")
    assert [len(line.get_xdata()) for line in series.get_lines()] == [12] * 3
    assert [label.get_text() for label in series.get_yticklabels()] == ["channel 0", "channel 1", "channel 2"]
    shares = display.panels[1].attention
    assert shares.mean() == pytest.approx(1.0)  # in equal shares, over the networks
    assert attention.collections[0].get_datalim(attention.transData).y1 == pytest.approx(shares.max())
    assert_allclose([bar.get_width() for bar in worth.patches], display.panels[1].probability_drop)
    assert_allclose(display.panels[1].drop_over_time, occlusion_over_time(clf, X)[1, :12], atol=1e-9)
    assert over_time.get_ylim() == worth.get_xlim()
    bars = [ax.get_xlim() for ax in display.figure_.axes if ax.get_xlabel().startswith("probability")]
    assert len(bars) == 2  # of one scale
    assert bars[0] == bars[1]
    assert display.panels[1].probability_drop.argmax() == 1
    display.figure_.canvas.draw()  # the numbers of the bars lie between these and the series
    assert max(text.get_window_extent().x1 for text in worth.get_yticklabels()) <= worth.get_window_extent().x0
    assert min(text.get_window_extent().x0 for text in worth.get_yticklabels()) >= series.get_window_extent().x1


def test_attention_display__many_cases__are_drawn_page_by_page(classified):
    clf, (case, short) = classified
    X = [short, *[case] * 6, 2 * case]
    last = AttentionDisplay.from_estimator(clf, X, page=2)
    assert [panel.name.split(":")[0] for panel in last.panels] == ["case 6", "case 7"]
    assert last.figure_.get_suptitle() == "Cases 7 to 8 of 8: page 2 of 2, 6 not shown"
    assert_allclose(last.panels[1].probability_drop, occlusion(clf, X)[7], atol=1e-6)


def test_attention_display__frame__names_channels_as_it_does(classified):
    _, (case, _) = classified
    frames = [pd.DataFrame(case.T, columns=["left", "right", "both"])] * 4
    clf = small_classifier().fit(frames, [0, 1, 0, 1])
    axes = AttentionDisplay.from_estimator(clf, frames[:1]).axes_
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["left", "right", "both"]


def test_attention_display__long_frame__names_cases_by_their_ids(classified):
    _, (case, _) = classified
    parts = {f"r{i}": pd.DataFrame(case.T, columns=["left", "right", "both"]) for i in range(4)}
    df = pd.concat(parts, names=["unique_id", "ds"]).reset_index()
    clf = small_classifier().fit(df, pd.Series([0, 1, 0, 1], index=list(parts)))
    (ax,) = AttentionDisplay.from_estimator(clf, df[df["unique_id"] == "r2"]).axes_
    assert ax.get_title(loc="left").startswith("case r2: class ")


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-31", periods=20, freq="ME"),
        pd.period_range("2024-01", periods=20, freq="M"),
        np.logspace(0, 2, 20),
    ],
)
def test_attention_display__cases_with_times__are_drawn_over_them(times):
    index = pd.MultiIndex.from_product([["b", "a"], times])
    X = pd.DataFrame({"load": np.random.default_rng(0).normal(size=40)}, index=index)
    clf = small_classifier().fit(X, pd.Series([0, 1], index=["b", "a"]))
    display = AttentionDisplay.from_estimator(clf, X.drop(("b", times[19])).iloc[::-1])
    assert display.axes_[1].get_title(loc="left").startswith("case b: ")  # one time shorter than case a
    for panel, n in zip(display.panels, (20, 19), strict=True):
        assert (
            list(panel.series.index) == list(times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times)[:n]
        )
    left, right = display.axes_[0].get_xlim()
    drawn = display.axes_[0].get_lines()[0].get_xdata()
    assert left <= display.axes_[0].convert_xunits(drawn[0]) < display.axes_[0].convert_xunits(drawn[-1]) <= right


def drawn_labels(ax) -> list:
    """The boxes of the time labels in sight, from left to right."""
    ax.figure.canvas.draw()
    left, right = ax.get_xlim()
    ticks = [tick for tick in ax.xaxis.get_major_ticks() if left <= tick.get_loc() <= right]
    return sorted((tick.label1.get_window_extent() for tick in ticks), key=lambda box: box.x0)


@pytest.mark.parametrize("width", [3.0, 4.5, 8.0])
@pytest.mark.parametrize("freq", ["min", "h", "D", "MS", "YS"])
def test_forecast_display__any_span_of_dates__is_labelled_without_a_warning_or_overlap(freq, width):
    values = pd.Series(np.arange(150.0), index=pd.date_range("2024-01-01", periods=150, freq=freq, tz="Europe/Paris"))
    _, ax = plt.subplots(figsize=(width, 2.0), layout="constrained")
    for n in (24, 72, 150):
        ax.clear()
        ForecastDisplay([ForecastPanel("", values[: n - 12], values[n - 12 : n], {})]).plot(ax)
        labels = drawn_labels(ax)
        assert 2 <= len(labels) <= 9
        assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(labels))
        zone, day = ax.xaxis.label.get_window_extent(), ax.xaxis.get_offset_text().get_window_extent()
        assert not zone.overlaps(day)
    plt.close()


def test_attention_display__spans_of_time__are_counted():
    index = pd.MultiIndex.from_product([["b", "a"], pd.timedelta_range(0, periods=20, freq="s")])
    X = pd.DataFrame({"load": np.random.default_rng(0).normal(size=40)}, index=index)
    clf = small_classifier().fit(X, pd.Series([0, 1], index=["b", "a"]))
    display = AttentionDisplay.from_estimator(clf, X)
    assert list(display.panels[0].series.index) == list(range(20))


def test_attention_display__pretrained_encoder_alone__says_what_to_set(classified):
    _, X = classified
    clf = small_classifier(n_estimators=0, pretrained="bundled").fit(X, [0, 1])
    with pytest.raises(ValueError, match="Attention is that of trained networks, of which n_estimators=0 has none"):
        AttentionDisplay.from_estimator(clf, X)


def test_attention_display__many_channels__draws_those_that_count(classified):
    X, y = np.random.default_rng(0).normal(size=(8, 10, 15)), [0, 1] * 4
    clf = small_classifier().fit(X, y)
    display = AttentionDisplay.from_estimator(clf, X[:1])
    assert display.axes_[0].get_title(loc="left").endswith("8 of 10 channels")
    least = np.argsort(np.abs(display.panels[0].probability_drop))[:2]
    drawn = {label.get_text() for label in display.axes_[0].get_yticklabels()}
    assert drawn.isdisjoint(f"channel {channel}" for channel in least)


def test_attention_display__one_channel_on_own_axes__has_no_bars_and_keeps_its_values():
    X, y = np.random.default_rng(0).normal(size=(8, 15)), [0, 1] * 4
    clf = small_classifier().fit(X, y)
    figure, (left, right) = plt.subplots(1, 2)
    display = AttentionDisplay.from_estimator(clf, X[:1], ax=right)
    assert_allclose(display.axes_[0].get_lines()[0].get_ydata(), X[0])
    assert len(figure.axes) == 5  # the given two, series, attention and what was tried out
    assert display.axes_[0].get_position().x0 > left.get_position().x1


def test_attention_display__mistakes__are_told(classified):
    clf, X = classified
    with pytest.raises(ValueError, match=r"page must be an int in the range \[1, 2\] for 7 cases\. Got 3"):
        AttentionDisplay.from_estimator(clf, X[:1] * 7, page=3)
    with pytest.raises(ValueError, match=r"X must hold the cases to draw, as in predict\. Got None"):
        AttentionDisplay.from_estimator(clf)
    with pytest.raises(NotFittedError):
        AttentionDisplay.from_estimator(TransformerClassifier())
    with pytest.raises(ValueError, match=r"ax takes one panel\. Got 2"):
        AttentionDisplay.from_estimator(clf, X, ax=plt.subplots()[1])
    with pytest.raises(ValueError, match="ax must have its place in a grid"):
        AttentionDisplay.from_estimator(clf, X[:1], ax=plt.figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("encoder", ["patch", "conv_stem"])
def test_attention_display__forecast__draws_a_row_for_each_patch_over_the_times_it_read(encoder):
    df = pd.DataFrame({"a": wave(), "b": wave(level=5.0)})
    forecaster = small(max_steps=1, encoder=encoder, n_layers=2).fit(df)
    display = AttentionDisplay.from_estimator(forecaster, series="b", horizon=9)
    (panel,) = display.panels
    n_patches = -(-9 // PATCH_LENGTH)
    assert panel.attention.shape == (n_patches, forecaster.lengths_.context)
    assert_allclose(panel.attention.mean(axis=1), 1.0)
    assert list(panel.attention.columns) == list(df.index[-forecaster.lengths_.context :])
    _, series, attention, bar = display.figure_.axes
    assert_allclose(series.get_lines()[1].get_ydata(), forecaster.predict(horizon=9)["b"])
    assert_allclose(attention.collections[0].get_array(), panel.attention.to_numpy().repeat(2, axis=0))
    assert bar.get_ylabel() == "attention\n(1 = equal share)"


def test_attention_display__forecast_of_one_patch__fills_a_row_numbered_1(fitted):
    display = AttentionDisplay.from_estimator(fitted, horizon=1)
    _, _, attention, _ = display.figure_.axes
    assert sorted(attention.get_ylim()) == [0.5, 1.5]
    extent = attention.collections[0].get_datalim(attention.transData)
    assert (extent.y0, extent.y1) == (0.5, 1.5)
    assert [tick for tick in attention.get_yticks() if 0.5 <= tick <= 1.5] == [1.0]


def test_attention_display__history_shorter_than_the_context__draws_what_there_is():
    forecaster = small(max_steps=1).fit(wave())
    (panel,) = AttentionDisplay.from_estimator(forecaster, wave(20)).panels
    assert panel.attention.shape[1] == 20
    assert_allclose(panel.attention.mean(axis=1), 1.0)


def test_history_display__ensemble_with_validation__draws_two_lines_a_network(classified):
    clf, _ = classified
    display = HistoryDisplay.from_estimator(clf)
    table = pd.DataFrame(clf.history_)
    lines = display.ax_.get_lines()
    assert [line.get_label() for line in lines] == [
        "training, network 0",
        "validation, network 0",
        "training, network 1",
        "validation, network 1",
    ]
    second = table[table["network"] == 1]
    assert_allclose(lines[2].get_xydata(), second[["step", "loss"]])
    assert_allclose(lines[3].get_ydata(), second["validation_loss"])


def test_history_display__forecaster_on_own_axes__draws_one_line(fitted):
    _, ax = plt.subplots()
    display = HistoryDisplay.from_estimator(fitted, ax=ax)
    assert display.ax_ is ax
    (line,) = ax.get_lines()
    assert_allclose(line.get_ydata(), fitted.history_["loss"])
    assert ax.get_xlabel() == "optimiser step"


def test_history_display__nothing_trained__says_so(classified):
    _, X = classified
    pretrainer = TransformerPretrainer(pretrained="bundled", max_steps=0).fit(X)
    clf = small_classifier(n_estimators=0, pretrained=pretrainer).fit(X, [0, 1])
    for untrained in (pretrainer, clf):
        with pytest.raises(ValueError, match=r"Got a Transformer\w+ that took no step: n_estimators=0 and max_steps=0"):
            HistoryDisplay.from_estimator(untrained)


N, N_USUAL = 520, 280  # hours, and those before anything odd
HOURS = pd.date_range("2024-01-01", periods=N, freq="h")


def with_anomalies() -> pd.DataFrame:
    """Two channels; a level shift in the first, a spike in the second."""
    t, rng = np.arange(N), np.random.default_rng(0)
    values = np.column_stack([np.sin(t / 6), np.cos(t / 6)]) + 0.05 * rng.normal(size=(N, 2))
    values[350:370, 0] += 2.0
    values[450, 1] -= 5.0
    return pd.DataFrame(values, HOURS, ["load", "cost_$"])


@pytest.fixture(scope="module")
def watched():
    return TransformerDetector(device="cpu").fit(with_anomalies()[:N_USUAL])


def test_anomaly_display__two_channels__draws_series_score_threshold_and_intervals(watched):
    df = with_anomalies()
    display = AnomalyDisplay.from_estimator(watched, df)
    (panel,) = display.panels
    pd.testing.assert_frame_equal(panel.anomalies, watched.explain(df))
    series_ax, score_ax, *near = display.figure_.axes[2:]
    assert display.axes_ == [series_ax]
    assert [label.get_text() for label in series_ax.get_yticklabels()] == [r"cost_\$", "load"]
    score, threshold = score_ax.get_lines()
    assert_allclose(score.get_ydata(), -watched.score_samples(df))
    assert set(threshold.get_ydata()) == {-watched.offset_}
    assert len(series_ax.patches) == len(score_ax.patches) == len(panel.anomalies)
    rows = [["cost_$", "load"].index(channel) for channel in panel.anomalies["channel"]]
    assert [patch.get_y() + patch.get_height() / 2 for patch in series_ax.patches] == rows
    worst = panel.anomalies.nlargest(4, "score").sort_index()
    titles = [f"{i} {row.kind} of {row.channel}" for i, row in enumerate(worst.itertuples(), 1)]
    assert [ax.get_title(loc="left").replace("\n", " ").replace(r"\$", "$") for ax in near] == titles
    display.figure_.canvas.draw()


def test_anomaly_display__a_huge_score__leaves_the_threshold_in_sight(watched):
    df = with_anomalies()
    df.iloc[-20, 1] -= 500.0
    score_ax = AnomalyDisplay.from_estimator(watched, df).figure_.axes[3]
    low, threshold, high = (
        score_ax.transData.transform((0.0, y))[1] for y in (0.0, -watched.offset_, score_ax.get_ylim()[1])
    )
    assert -watched.score_samples(df).min() > 20.0 * -watched.offset_
    assert threshold - low > 0.1 * (high - low)


def test_anomaly_display__names_numbers_and_legend__lie_above_each_other(watched):
    df = with_anomalies().assign(unique_id="r", ds=HOURS).rename(columns={"cost_$": "cost"})
    detector = TransformerDetector(device="cpu").fit(df[:N_USUAL])
    (ax,) = AnomalyDisplay.from_estimator(detector, df).axes_
    ax.figure.canvas.draw()
    title = next(text for text in ax.get_children() if isinstance(text, mpl.text.Text) and text.get_text() == "r")
    number = max(text.get_window_extent().y1 for text in ax.texts)
    assert number <= title.get_window_extent().y0 + 1.0
    assert title.get_window_extent().y1 <= ax.get_legend().get_window_extent().y0 + 1.0


def test_anomaly_display__near_view__has_the_interval_between_its_neighbours(watched):
    panel = AnomalyDisplay.from_estimator(watched, with_anomalies()).panels[0]
    place = panel.anomalies["score"].argmax()
    row, course = panel.anomalies.iloc[place], panel.expected[place]
    assert (course["lower"] <= course["upper"]).all()
    assert course["expected"].to_numpy() == pytest.approx(with_anomalies()[row["channel"]][course.index], abs=6.0)
    assert row["expected"] in course["expected"].to_numpy()
    _, ax = plt.subplots()
    panel._shade(ax, [place])
    (left, right), half = ax.patches[0].get_extents().get_points()[:, 0], pd.Timedelta(minutes=30)
    dates = mpl.dates.date2num([row["start"] - half, row["end"] + half])
    assert_allclose(ax.transData.inverted().transform([(left, 0), (right, 0)])[:, 0], dates)


def test_anomaly_display__no_anomaly__draws_series_and_score_alone(watched):
    display = AnomalyDisplay.from_estimator(watched, with_anomalies()[:N_USUAL])
    assert len(display.figure_.axes) == 3  # one that is hidden
    assert not display.axes_[0].patches


def test_anomaly_display__several_series__draws_those_chosen(watched):
    df = with_anomalies()
    frame = pd.concat([df[300:].assign(unique_id=id, ds=df.index[300:]) for id in "abcdefg"])
    last = AnomalyDisplay.from_estimator(watched, frame, page=2)
    assert [panel.name for panel in last.panels] == ["g"]
    assert last.figure_.get_suptitle() == "Series 7 of 7: page 2 of 2, 6 not shown"
    with pytest.raises(ValueError, match=r"series must be among the series\. Got \['z'\]"):
        AnomalyDisplay.from_estimator(watched, frame, series="z")
    display = AnomalyDisplay.from_estimator(watched, frame, series=["c", "e"])
    assert [panel.name for panel in display.panels] == ["c", "e"]
    assert set(display.panels[1].anomalies["unique_id"]) == {"e"}


def test_anomaly_display__integers_or_periods_as_times__are_drawn(watched):
    for index in (pd.RangeIndex(5, 5 + N), pd.period_range("2024-01-01", periods=N, freq="h")):
        display = AnomalyDisplay.from_estimator(watched, with_anomalies().set_axis(index))
        display.figure_.canvas.draw()
        assert len(display.axes_[0].patches) == len(display.panels[0].anomalies) >= 2


def test_anomaly_display__not_a_detector__is_told():
    with pytest.raises(TypeError, match="TransformerDetector"):
        AnomalyDisplay.from_estimator(small_classifier(), np.zeros(100))
