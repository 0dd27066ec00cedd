"""TransformerForecaster.update: new rows in every form, with covariates, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from forecasts import long_frame, small, wave

SPLIT = pd.Timestamp("2017-12-31")


def wide_frame() -> pd.DataFrame:
    return pd.DataFrame({"x": wave(), "z": wave(level=5.0)})


FORMS = {
    "Series": wave(),
    "wide": wide_frame(),
    "long": long_frame(),
    "MultiIndex": long_frame().set_index(["unique_id", "ds"]),
    "PeriodIndex": wave().to_period("M"),
}


def halves(df):
    times = df["ds"] if "ds" in getattr(df, "columns", ()) else df.index.get_level_values(-1)
    if isinstance(times, pd.PeriodIndex):
        times = times.to_timestamp()
    before = np.asarray(times <= SPLIT)
    return df[before], df[~before]


@pytest.mark.parametrize("form", FORMS)
def test_update__new_rows__forecasts_as_if_they_had_been_given(form):
    first, second = halves(FORMS[form])
    forecaster = small().fit(first)
    before = forecaster.predict()
    expected = forecaster.predict(FORMS[form])
    assert forecaster.update(second).predict().equals(expected)
    assert not before.equals(expected)


def test_update__one_row__needs_no_frequency():
    forecaster = small().fit(wave()[:-1]).update(wave()[-1:])
    assert list(forecaster.predict().index[:1]) == [pd.Timestamp("2021-01-31")]


def test_update__new_series__is_forecast_beside_the_others():
    df = long_frame()
    forecaster = small().fit(df[df["unique_id"] != "c"]).update(df[df["unique_id"] == "c"])
    assert list(forecaster.predict()["unique_id"].unique()) == ["a", "b", "c"]


def test_update__refit__trains_on_from_the_weights():
    forecaster = small(max_steps=60).fit(wave()[:-6])
    first_loss = forecaster.history_["loss"][0]
    kept = small(max_steps=60).fit(wave()[:-6]).update(wave()[-6:]).predict()
    trained = forecaster.update(wave()[-6:], refit=True)
    assert not trained.predict().equals(kept)
    assert trained.history_["loss"][0] < first_loss


def test_update__covariates__are_appended_and_later_rows_replace_earlier_ones():
    price = pd.DataFrame({"price": np.linspace(1.0, 2.0, 78)}, index=pd.date_range("2015-01-31", periods=78, freq="ME"))
    size = pd.DataFrame({"size": [3.0]})
    visits = pd.DataFrame({"visits": np.arange(72.0)}, index=wave().index)
    forecaster = small().fit(wave()[:-6], past=visits[:-6], future=0.0 * price[:-6], static=size)
    forecaster.update(wave()[-6:], past=visits[-6:], future=price)
    expected = forecaster.predict(wave(), past=visits, future=price, static=size)
    assert forecaster.predict(future=price).equals(expected)


def test_update__covariates_left_out__says_what_is_missing():
    visits = pd.DataFrame({"visits": np.arange(72.0)}, index=wave().index)
    forecaster = small().fit(wave()[:-6], past=visits[:-6])
    with pytest.raises(ValueError, match=r"past must have a row for each time of the history.* none for 2020-07-31"):
        forecaster.update(wave()[-6:])
    assert forecaster.update(wave()[-6:], past=visits[-6:]).predict().notna().all()


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (wave()[-1:], r"The series is known up to 2020-12-31\. Got a row for 2020-12-31; give update only rows"),
        (wave(3, start="2014-10-31"), r"known up to 2020-12-31\. Got a row for 2014-10-31"),
        (wave(73)[-1:].tz_localize("UTC"), r"of the same kind as those that fit saw, 'datetime64.*UTC"),
        (wave(74)[-1:], r"has a gap: no row for 2021-01-31"),
        (wave().rename("returns"), r"df must come in the form that fit saw, a Series named 'sales'.* named 'returns'"),
        (wave().to_frame(), r"a Series named 'sales'.* Got a DataFrame of the columns \['sales'\]"),
        ([1.0, 2.0], r"Got list"),
    ],
    ids=["known time", "earlier time", "zone", "gap", "name", "form", "list"],
)
def test_update__mistake__is_told_and_changes_nothing(new, message):
    forecaster = small().fit(wave())
    before = forecaster.predict()
    with pytest.raises(ValueError, match=message):
        forecaster.update(new)
    assert forecaster.predict().equals(before)
