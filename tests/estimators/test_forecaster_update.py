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


@pytest.fixture(scope="module")
def fitted():
    return small().fit(wave())


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


def test_update__rows_without_names_of_levels__keeps_those_of_fit():
    frame = long_frame().set_index(["unique_id", "ds"])
    new = frame.groupby(level=0).tail(1)
    later = [(id, time + pd.offsets.MonthEnd()) for id, time in new.index]
    forecaster = small(max_steps=1).fit(frame).update(new.set_index(pd.MultiIndex.from_tuples(later)))
    assert list(forecaster.predict().index.names) == ["unique_id", "ds"]


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


def test_update__covariates_left_out__says_what_is_missing():
    visits = pd.DataFrame({"sales": wave(), "visits": np.arange(72.0)})
    forecaster = small(past_cols="visits").fit(visits[:-6])
    with pytest.raises(ValueError, match=r"The following columns are missing: \['visits'\]"):
        forecaster.update(visits[-6:][["sales"]])
    assert forecaster.update(visits[-6:]).predict().notna().all(axis=None)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (wave()[-1:], r"The series is known up to 2020-12-31\. Got a row for 2020-12-31; give update only rows"),
        (wave(3, start="2014-10-31"), r"known up to 2020-12-31\. Got a row for 2014-10-31"),
        (wave(73)[-1:].tz_localize("UTC"), r"of the same kind as those that fit saw, 'datetime64.*UTC"),
        (wave(74)[-1:], r"has a gap: no row for 2021-01-31. Give these rows too, or call set_params\(freq='M"),
        (wave().rename("returns"), r"df must come in the form that fit saw, a Series named 'sales'.* named 'returns'"),
        (wave().to_frame(), r"a Series named 'sales'.* Got a wide DataFrame of the columns \['sales'\]"),
        ([1.0, 2.0], r"Got list"),
    ],
    ids=["known time", "earlier time", "zone", "gap", "name", "form", "list"],
)
def test_update__mistake__is_told_and_changes_nothing(new, message, fitted):
    before = fitted.predict()
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.update(new)
    assert fitted.predict().equals(before)
