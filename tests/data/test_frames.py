"""Frames: each form comes in with its covariates, and what is wrong with one is named by series and time."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from layouts import DAYS, FORMS, assert_same, frame_in, long_frame, one_series, read
from pandas import offsets
from pandas.testing import assert_index_equal

from tsformer.data.forecasts import future_times
from tsformer.data.frames import SeriesSet, known_before_last, last_part, without_last


@pytest.mark.parametrize("form", FORMS)
def test_read_series__each_form__holds_ids_values_times_and_frequency(form):
    values = np.random.default_rng(0).normal(size=(3, 30, 2))
    series = read(frame_in(form, DAYS, values))
    many = form in ("long", "panel", "panel series")
    assert list(series.ids) == (["s3", "s2", "s1"] if many else [None])
    assert series.n_series == len(series.values) == len(series.times) == len(series.ids)
    assert series.freq == offsets.Day()
    names = {"series": ["load"], "panel series": ["b"], "long": ["y"], "long without ids": ["y"]}
    assert series.names == names.get(form, ["a", "b"])
    for got, times, expected in zip(series.values, series.times, values, strict=False):
        channels = slice(None) if form in ("wide", "panel") else [1] if form == "panel series" else [0]
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, expected[:, channels])
        assert_index_equal(times, DAYS, check_names=False)


@pytest.mark.parametrize("form", FORMS)
def test_read_series__rows_in_any_order__are_sorted_by_time_and_the_frame_is_left_alone(form):
    frame = frame_in(form, DAYS, np.random.default_rng(0).normal(size=(3, 30, 2)))
    shuffled = frame.sample(frac=1, random_state=0)
    before = shuffled.copy()
    series, expected = read(shuffled), read(frame)
    for i, values in zip(series.ids, series.values, strict=True):
        np.testing.assert_array_equal(values, expected.values[list(expected.ids).index(i)])
    assert_same(shuffled, before)


def test_read_series__ids_in_any_order__stay_in_that_of_their_first_rows():
    df = pd.concat([long_frame(z=DAYS[:3], a=DAYS[:3]), long_frame(m=DAYS[:5])])
    assert list(read(df).ids) == ["z", "a", "m"]


def test_read_series__starts_and_lengths_that_differ__take_the_frequency_of_the_longest():
    series = read(long_frame(a=DAYS[:1], b=DAYS[3:5], c=DAYS))
    assert [len(times) for times in series.times] == [1, 2, 30]
    assert [str(times[0])[:10] for times in future_times(series, 4)] == ["2024-01-02", "2024-01-06", "2024-01-31"]


def test_read_series__hourly_series_that_start_at_different_minutes__are_regular_each_by_itself():
    times = pd.date_range("2024-01-01", periods=5, freq="h")
    series = read(long_frame(a=times, b=times + pd.Timedelta(minutes=7)))
    assert str(future_times(series, 1)[1][0]) == "2024-01-01 05:07:00"


TYPES = ["int64", "Int64", "float32", "Float64", "uint8", "double[pyarrow]", "object", "Sparse[float]"]


@pytest.mark.parametrize("dtype", TYPES)
def test_read_series__any_type_of_numbers__becomes_float64(dtype):
    (values,) = read(one_series([1, 2, 3]).astype(dtype)).values
    assert values.dtype == np.float64
    assert values.tolist() == [[1], [2], [3]]


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan])
@pytest.mark.parametrize(
    ("value", "is_flag"),
    [(1, False), (1.0, False), (Decimal("1.0"), False), (True, True), (np.bool_(True), True)],
)
def test_read_series__numbers_and_flags_among_objects__are_numbers(value, is_flag, missing):
    column = pd.Series([value, missing, value], dtype=object)
    frame = pd.DataFrame({"ds": DAYS[:3], "y": [1.0, 2.0, 3.0], "more": column})
    [covariate] = read(frame, past_cols="more").past
    np.testing.assert_array_equal(covariate[:, 0], [1.0, np.nan, 1.0])
    if is_flag:
        with pytest.raises(ValueError, match=r"target column \('more'\) should have a numeric data type, got 'object'"):
            read(frame, target_cols=["y", "more"])
    else:
        np.testing.assert_array_equal(read(frame, target_cols=["y", "more"]).values[0][:, 1], [1.0, np.nan, 1.0])


@pytest.mark.parametrize("columns", [pd.Index([1, 2], dtype="Int64"), pd.CategoricalIndex(["a", "b"])])
def test_read_series__columns_of_any_type__are_plain(columns):
    names = read(WIDE.set_axis(columns, axis="columns")).form.columns
    assert names.tolist() == columns.tolist()
    assert str(names.dtype) in ("int64", "object", "str")


def test_read_series__series_of_the_name_of_a_column__is_one():
    assert read(pd.Series(1.0, DAYS, name="ds")).names == ["ds"]


def test_read_series__ids_that_no_file_holds__are_told():
    with pytest.warns(UserWarning, match="Ids of type bytes cannot be saved"):
        read(long_frame(a=DAYS).assign(unique_id=b"a"))


def test_read_series__missing_values__stay_nan_even_at_the_end():
    df = one_series([np.nan, 1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(read(df).values[0][:, 0], df)
    np.testing.assert_array_equal(read(df.astype("Float64")).values[0][:, 0], df)


def test_read_series__ids_in_the_index_of_a_long_frame__are_found():
    assert list(read(long_frame(a=DAYS, b=DAYS).set_index("unique_id")).ids) == ["a", "b"]


@pytest.mark.parametrize(
    ("fill", "a", "b"),
    [
        (None, [np.nan, 1, np.nan, 3, np.nan], [np.nan, 5, np.nan, np.nan, 8]),
        ("ffill", [np.nan, 1, 1, 3, 3], [np.nan, 5, 5, 5, 8]),
        ("interpolate", [np.nan, 1, 2, 3, np.nan], [np.nan, 5, 6, 7, 8]),
        (0, [np.nan, 1, 0, 3, 0], [np.nan, 5, 0, 0, 8]),
        (-1.5, [np.nan, 1, -1.5, 3, -1.5], [np.nan, 5, -1.5, -1.5, 8]),
    ],
)
def test_read_series__fill__repairs_each_series_by_itself_after_its_first_value(fill, a, b):
    df = pd.DataFrame({"unique_id": list("aaaaabbbb"), "ds": [1, 2, 3, 4, 5, 1, 2, 4, 5]})
    df["y"] = [np.nan, 1, np.nan, 3, np.nan, np.nan, 5, np.nan, 8]
    series = read(df, freq=1, fill=fill)
    np.testing.assert_array_equal(series.values[0][:, 0], a)
    np.testing.assert_array_equal(series.values[1][:, 0], b)


@pytest.mark.parametrize("fill", ["mean", np.nan, np.inf, True, [0]])
def test_read_series__fill_that_is_none__is_refused(fill):
    with pytest.raises(ValueError, match=r"fill must be None, 'ffill', 'interpolate' or a finite number. Got"):
        read(one_series([1, 2]), fill=fill)


# Covariates.


KINDS = {"past_cols": "visits", "future_cols": ["promo", "price"], "static_cols": "size"}


def covariates_in(form: str) -> pd.DataFrame:
    """Two series of 30 days, a and b (or two channels, a and b), with covariates in columns among the targets."""
    day = np.arange(30.0)
    both = pd.concat([long_frame(a=DAYS, b=DAYS)], ignore_index=True)
    known = {"promo": np.tile(day % 7 == 0, 2), "visits": np.r_[day, -day], "price": np.r_[day, day] + 0.5}
    both = both.assign(**known, size=np.repeat([3, 4], 30))
    if form == "wide":
        first = both[:30].set_index("ds")
        return first.assign(b=first["y"] + 1).rename(columns={"y": "a"}).drop(columns="unique_id")
    return both if form == "long" else both.set_index(["unique_id", "ds"])


@pytest.mark.parametrize("form", ["wide", "long", "panel"])
def test_read_series__covariates__stand_beside_the_targets_by_kind(form):
    series = read(covariates_in(form).sample(frac=1, random_state=1).sort_index(), **KINDS)
    assert series.names == (["a", "b"] if form == "wide" else ["y"])
    assert series.form.covariates == (["visits"], ["promo", "price"], ["size"])
    assert series.static.tolist() == ([[3]] if form == "wide" else [[3], [4]])
    day = np.arange(30.0)
    for i in range(series.n_series):
        np.testing.assert_array_equal(series.values[i], np.c_[day, day + 1] if form == "wide" else day[:, None])
        np.testing.assert_array_equal(series.past[i][:, 0], [day, -day][i])
        np.testing.assert_array_equal(series.future[i], np.c_[day % 7 == 0, day + 0.5])


def test_read_series__target_cols__are_taken_in_their_order_and_named_as_they_came():
    frame = covariates_in("wide").rename_axis(columns="what")
    series = read(frame, target_cols=["b", "a"], **KINDS)
    assert series.names == ["b", "a"]
    assert series.form.columns.name == "what"
    assert series.values[0][0].tolist() == [1, 0]
    one = read(frame[["a"]], target_cols="a")
    assert one.names == ["a"]
    assert not one.form.is_series


def test_read_series__columns_of_several_levels__are_named_by_tuples():
    frame = covariates_in("wide")[["a", "b", "price"]]
    frame.columns = pd.MultiIndex.from_tuples([("load", "a"), ("load", "b"), ("known", "price")], names=["x", "y"])
    series = read(frame, future_cols=("known", "price"))
    assert series.names == [("load", "a"), ("load", "b")]
    assert list(series.form.columns.names) == ["x", "y"]
    assert series.future[0][0].tolist() == [0.5]
    assert read(frame, target_cols=[("load", "b")], future_cols=[("known", "price"), ("load", "a")]).n_series == 1


@pytest.mark.parametrize("kind", ["past_cols", "future_cols"])
@pytest.mark.parametrize("form", ["wide", "long", "panel"])
def test_read_series__missing_covariates_of_the_history__stay_nan_and_are_never_filled(kind, form):
    frame = covariates_in(form).drop(columns=["promo", "price", "size"])
    gap = frame["visits"].abs().isin([3, 29])
    frame.loc[gap, "visits"] = np.nan
    series = read(frame, **{kind: "visits"}, fill="ffill")
    for rows in series.past if kind == "past_cols" else series.future:
        assert np.flatnonzero(np.isnan(rows[:, 0])).tolist() == [3, 29]
    assert not any(filled.any() for filled in series.filled)


def test_read_series__absent_times__have_neither_values_nor_covariates_but_a_static_one():
    frame = covariates_in("long").drop(index=[5, 40])
    series = read(frame, **KINDS, freq="D", fill=0)
    for i, row in enumerate((5, 10)):
        assert series.values[i][row, 0] == 0
        assert series.filled[i][:, 0].nonzero()[0].tolist() == [row]
        assert np.isnan(series.unfilled[i][row, 0])
        assert np.isnan([*series.past[i][row], *series.future[i][row]]).all()
    assert series.static[:, 0].tolist() == [3, 4]


def test_read_series__static_column_with_gaps__takes_its_one_value():
    frame = covariates_in("long")
    frame["size"] = frame["size"].where(frame.index % 30 == 17)
    assert read(frame, **KINDS).static[:, 0].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("rows", "value", "match"),
    [
        ([40], 5, "Series 'b' has several values in the static column 'size'. It must have one that does not change"),
        (slice(30, None), np.nan, "Series 'b' has no value in the static column 'size'"),
    ],
)
def test_read_series__static_column_that_varies_or_is_missing__is_named_with_its_series(rows, value, match):
    frame = covariates_in("long").astype({"size": float})
    frame.loc[rows, "size"] = value
    with pytest.raises(ValueError, match=match):
        read(frame, **KINDS)


@pytest.mark.parametrize("form", ["wide", "long", "panel"])
@pytest.mark.parametrize(
    ("change", "names", "match"),
    [
        ({}, {"past_cols": ["visits", "price"]}, r"A column is a covariate of one kind. Got \['price'\] in more than"),
        ({}, {"past_cols": ["visits", "visits"]}, r"Got \['visits'\] in more than one place"),
        ({}, {"target_cols": "price"}, r"A column is a target or a covariate. Got \['price'\] as both"),
        ({}, {"target_cols": ["y", "y"]}, r"A column is one target. Got \['y'\] more than once"),
        ({}, {"past_cols": "clicks"}, r"columns are missing: \['clicks'\]\. Beside ids and times df has \["),
        ({}, {"target_cols": "sales"}, r"missing: \['sales'\]. .* name the targets with target_cols=, and covariates"),
        ({"note": 1.0}, {"target_cols": ["y"]}, r"Got the further columns \['note'\]: name further targets in target_"),
        ({"visits": "many"}, {}, r"The covariate column \('visits'\) should .* Encode it, e.g. pd.get_dummies\(df, "),
        ({"visits": np.inf}, {}, r"contains infinity in column 'visits' at 2024-01-01"),
    ],
)
def test_read_series__columns_named_twice_missing_or_further__are_told(form, change, names, match):
    frame = covariates_in(form).rename(columns={"a": "y"}).drop(columns="b", errors="ignore")
    with pytest.raises(ValueError, match=match):
        read(frame.assign(**change), **KINDS | names)


def test_read_series__wide_frame_of_covariates_alone__misses_its_targets():
    with pytest.raises(ValueError, match=r"columns are missing: all targets\."):
        read(covariates_in("wide").drop(columns=["a", "b"]), **KINDS)


def test_read_series__series_where_covariates_are_named__misses_them():
    with pytest.raises(ValueError, match=r"columns are missing: \['visits'\]"):
        read(one_series([1, 2, 3]), past_cols="visits")


# Series that go on from others.


WITH_COVARIATES = {f"{form} with covariates": covariates_in(form) for form in ("wide", "long", "panel")}
WHOLE = {form: frame_in(form, DAYS, np.random.default_rng(0).normal(size=(3, 30, 2))) for form in FORMS}
WHOLE |= WITH_COVARIATES | {
    "periods": frame_in("panel", DAYS.to_period("D"), np.random.default_rng(0).normal(size=(3, 30, 2))),
    "integers": frame_in("long", pd.Index(np.arange(30)), np.random.default_rng(0).normal(size=(3, 30, 2))),
    "a zone": frame_in("long", DAYS.tz_localize("Europe/Berlin"), np.random.default_rng(0).normal(size=(3, 30, 2))),
}


def rank_of(frame: pd.DataFrame) -> np.ndarray:
    """The rank of each row's time."""
    times = frame["ds"] if "ds" in getattr(frame, "columns", ()) else frame.index.get_level_values(-1)
    return pd.factorize(times, sort=True)[0]


def assert_same_series(got: SeriesSet, expected: SeriesSet) -> None:
    assert_index_equal(got.ids, expected.ids)
    for name in ("times", "values", "past", "future", "filled"):
        for rows, others in zip(getattr(got, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(rows, others)
    np.testing.assert_array_equal(got.static, expected.static)
    assert (got.freq, got.fill, got.names) == (expected.freq, expected.fill, expected.names)


@pytest.mark.parametrize("fill", [None, "interpolate"])
@pytest.mark.parametrize("name", WHOLE)
def test_read_series__before__is_as_if_all_rows_had_been_given(name, fill):
    frame = WHOLE[name].sample(frac=1, random_state=0).sort_index()
    names = KINDS if "covariates" in name else {}
    rank = rank_of(frame)
    value = frame.columns.get_loc("y") if "y" in getattr(frame, "columns", ()) else 0
    if isinstance(frame, pd.DataFrame):
        frame.iloc[(rank > 20) & (rank < 26), value] = np.nan
    else:
        frame = frame.where((rank <= 20) | (rank >= 26))
    before = read(frame[rank < 23], fill=fill, **names)
    after = read(frame[rank >= 23], fill=fill, before=before, expected=before.freq, **names)
    assert_same_series(after, read(frame, fill=fill, **names))
    assert after.form is before.form


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_read_series__before__takes_ids_of_another_type_and_new_series(dtype):
    first, more = long_frame(a=DAYS[:9], b=DAYS[:7]), long_frame(b=DAYS[7:10], z=DAYS[:4])
    after = read(more.astype({"unique_id": dtype}), before=read(first))
    assert list(after.ids) == ["a", "b", "z"]
    assert not isinstance(after.ids, pd.CategoricalIndex)
    assert [len(times) for times in after.times] == [9, 10, 4]


@pytest.mark.parametrize("dtype", ["float", "Int64", "int8", "int64[pyarrow]", "category", object])
def test_read_series__before__keeps_the_type_of_ids(dtype):
    first, more = long_frame(a=DAYS[:9], b=DAYS[:7]), long_frame(b=DAYS[7:10])
    numbers = {"a": 7, "b": 3}
    before = read(first.replace({"unique_id": numbers}).astype({"unique_id": int}))
    after = read(
        more.replace({"unique_id": numbers}).astype({"unique_id": int}).astype({"unique_id": dtype}), before=before
    )
    assert_index_equal(after.ids, before.ids)
    assert [len(times) for times in after.times] == [9, 10]


def test_read_series__before__ids_of_another_type_with_the_same_text_are_refused():
    first, more = (long_frame(a=times).assign(unique_id=7) for times in (DAYS[:9], DAYS[9:]))
    with pytest.raises(
        ValueError, match=r"ids of df must be of the type that fit saw: 7. Got '7'; .*astype\('int64'\)"
    ):
        read(more.astype({"unique_id": str}), before=read(first))
    with pytest.raises(ValueError, match=r"the type that fit saw: '7'. Got 7; .*astype\('str'\)"):
        read(more, before=read(first.astype({"unique_id": str})))


def test_read_series__before__takes_masked_ids_and_gives_plain_ones():
    first = long_frame(a=DAYS[:9]).assign(unique_id=pd.array([7] * 9, dtype="Int64"))
    before = read(first)
    after = read(first[:2].assign(ds=DAYS[9:11]), before=before)
    assert (before.ids.dtype, after.ids.dtype, after.ids.tolist()) == (np.int64, np.int64, [7])


@pytest.mark.parametrize("unit", ["s", "us"])
def test_read_series__before__takes_times_in_another_unit(unit):
    first, more = long_frame(a=DAYS[:9]), long_frame(a=DAYS[9:12])
    after = read(more.assign(ds=more["ds"].astype(f"datetime64[{unit}]")), before=read(first))
    assert_index_equal(after.times[0], DAYS[:12], check_names=False, exact="equiv")
    assert after.times[0].dtype == first["ds"].dtype


def test_read_series__before__takes_times_whose_zone_is_another_object_of_the_same_name():
    first, more = long_frame(a=DAYS[:9].tz_localize("UTC")), long_frame(a=DAYS[9:12].tz_localize(datetime.UTC))
    assert len(read(more, before=read(first)).times[0]) == 12


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("long", {"ds": DAYS[8]}, "Series 's3' is known up to 2024-01-09. Got a row for 2024-01-09; give update only"),
        ("long", {"ds": DAYS[12]}, "Series 's3' has a gap: no row for 2024-01-10, 2024-01-11, 2024-01-12"),
        (
            "long",
            {"ds": 9},
            r"The times of df must be of the same kind as those that fit saw, 'datetime64.*Got 'int64'",
        ),
        ("long", {"more": 1.0}, r"Got the further columns \['more'\]"),
        ("wide", {"c": 1.0}, r"the form that fit saw, a wide DataFrame of the columns \['a', 'b'\].*'b', 'c'\]"),
        ("long with covariates", {"size": 9}, "Series 'a' has several values in the static column 'size'"),
    ],
)
def test_read_series__before__rows_that_do_not_go_on_from_it_are_refused(name, change, match):
    names = KINDS if "covariates" in name else {}
    rank = rank_of(WHOLE[name])
    before = read(WHOLE[name][rank < 9], **names)
    with pytest.raises(ValueError, match=match):
        read(WHOLE[name][rank == 9].assign(**change), before=before, **names)


def test_read_series__before__rows_of_another_frequency__are_held_to_that_of_the_series():
    months = pd.Series(1.0, index=pd.date_range("2020-01-31", periods=12, freq=offsets.MonthEnd()))
    days = pd.Series(1.0, index=pd.date_range("2021-01-01", periods=5, freq="D"))
    with pytest.raises(ValueError, match=r"The series is irregular: 2021-01-01, .* not on the grid of freq='ME?'"):
        read(days, before=read(months), expected=offsets.MonthEnd())


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("long", "long without ids", r"df must have ids, in column 'unique_id', if and only if that of fit had"),
        ("long without ids", "long", r"df must have ids, in column 'unique_id', if and only if"),
        ("series", "wide", r"form that fit saw, a Series named 'load' with one index. Got a wide DataFrame of the col"),
        ("wide", "panel", r"with one index. Got a panel DataFrame .* with a \(series, time\) index"),
    ],
)
def test_read_series__before__in_another_form__is_refused(before, after, match):
    first, second = (WHOLE[name][rank_of(WHOLE[name]) // 9 == i] for i, name in enumerate((before, after)))
    with pytest.raises(ValueError, match=match):
        read(second, before=read(first))


def test_without_last__interpolated__knows_nothing_that_came_later():
    series = read(
        long_frame(a=DAYS, b=DAYS[:9]).assign(y=[*[0, np.nan, 2] * 10, *[1, np.nan, np.nan] * 3]), fill="interpolate"
    )
    earlier = without_last(series, 4)
    assert [len(rows) for rows in earlier.values] == [26, 5]
    np.testing.assert_array_equal(earlier.values[0][-3:, 0], [2, 0, np.nan])
    np.testing.assert_array_equal(earlier.values[1][:, 0], [1, 1, 1, 1, np.nan])
    np.testing.assert_array_equal(known_before_last(series, 4)[1][:, 0], [1, 1, 1, 1, np.nan, 1, 1, np.nan, np.nan])
    # The first of the last two is filled from the one before it, which stays.
    assert [list(times.day) for times in last_part(series, 2).times] == [[28, 29, 30], [7, 8, 9]]
    assert [list(times.day) for times in last_part(series, 1).times] == [[30], [7, 8, 9]]


# Mistakes.


LONG = long_frame(a=DAYS, b=DAYS)
WIDE = pd.DataFrame({"a": np.arange(30.0), "b": 1.0}, index=DAYS)


@pytest.mark.parametrize(
    ("df", "match"),
    [
        (LONG.iloc[:0], r"Found df of shape \(0, 3\) while a minimum of 1 row"),
        (WIDE[[]], r"Found df of shape \(30, 0\) while a minimum of 1 row and 1 column"),
        (LONG.drop(columns="y"), r"columns are missing: \['y'\].*target_cols="),
        (LONG.rename(columns={"ds": "day"}), r"columns are missing: \['ds'\].*time_col="),
        (
            LONG.assign(promo=1, price=2),
            r"df must hold targets and the covariates that are named. Got the further columns \['promo', 'price'\]",
        ),
        (LONG.rename(columns={"unique_id": "shop"}), r"columns \['shop'\].*with id_col=: there is no 'unique_id'"),
        (LONG.assign(y="1"), r"The target column \('y'\) should have a numeric data type, got '(str|object)'"),
        (
            LONG.assign(y=LONG["y"].astype(object).replace(1, "?")),
            r"should have a numeric data type, got 'object'. The",
        ),
        (LONG.assign(y=LONG["y"].astype(object).replace(1, True)), r"\('y'\) should have a numeric data type, got 'o"),
        (LONG.assign(y=["1", "?", *LONG["y"][2:]]), r"The first value that is no number is '\?' in row 1: correct it"),
        (LONG.assign(y=LONG["y"].astype("category")), r"should have a numeric data type, got 'category'\. Convert"),
        (LONG.assign(y=LONG["y"] > 3), r"\('y'\) should have a numeric data type, got 'bool'"),
        (LONG.assign(y=LONG["y"] + 1j), r"\('y'\) should have a numeric data type, got 'complex128'"),
        (LONG.assign(y=LONG["ds"]), r"\('y'\) should have a numeric data type, got 'datetime64"),
        (
            LONG.assign(ds=LONG["ds"].dt.strftime("%d.%m.%Y")),
            r"column \('ds'\) of df should have either timestamps or integers",
        ),
        (LONG.assign(ds=1.5), r"\('ds'\) of df should have either timestamps or integers, got 'float64'"),
        (LONG.assign(ds=LONG["ds"].where(LONG.index != 4)), r"\('ds'\) of df has 1 missing times \(NaT\).* row 4"),
        (LONG.assign(unique_id=LONG["unique_id"].where(LONG.index != 7)), r"'unique_id'\) have 1 missing .* row 7"),
        (LONG.replace(3.0, np.inf), "Series 'a' contains infinity in column 'y' at 2024-01-04"),
        (LONG.replace(3.0, -np.inf), "Series 'a' contains infinity"),
        (LONG.assign(y=LONG["y"].where(LONG["unique_id"] == "a")), "Series 'b' has no value in column 'y', only NaN"),
        (LONG[:30].assign(unique_id=7, y=np.nan), "Series 7 has no value"),
        (WIDE.assign(b=np.nan), "The series has no value in column 'b', only NaN"),
        (pd.Series(np.nan, DAYS), "The series has no value, only NaN"),
        (WIDE.set_axis(pd.Index(["a", ("b", 1)], dtype=object), axis=1), "all tuples of one length, or none. Got"),
        (WIDE.set_axis(["a", "a"], axis=1), r"The columns of df must be unique. Got \['a', 'a'\]"),
        (WIDE.set_axis(DAYS.day_name()), "The index of df should have either timestamps or integers, or text"),
        (
            WIDE.reset_index(names="date"),
            r"column \('date'\) should have a numeric .* in id_col= or time_col=",
        ),
        (WIDE.set_index(["a", "b"], append=True), "while a minimum of 1 row and 1 column is required"),
        (
            WIDE.assign(c=0).set_index(["a", "b"], append=True),
            r"must have the two levels \(series, time\). Got \[",
        ),
        (
            WIDE.set_index("a", append=True),
            r"must have the two levels \(series, time\). Got \[None, 'a'\].* use swaplevel\(\) where times come first",
        ),
    ],
)
def test_read_series__mistake_of_the_user__is_named_with_the_way_out(df, match):
    with pytest.raises(ValueError, match=match):
        read(df)


@pytest.mark.parametrize("df", [np.zeros(5), [1, 2, 3], {"y": [1]}, None])
def test_read_series__no_frame_of_pandas__is_a_type_error(df):
    with pytest.raises(TypeError, match=r"df must be a pandas Series or DataFrame.*Got (ndarray|list|dict|NoneType)"):
        read(df)


def test_read_series__years_left_among_columns__warns():
    df = pd.DataFrame({"year": range(2010, 2025), "units": np.random.default_rng(0).normal(size=15)})
    with pytest.warns(UserWarning, match=r"Column 'year' counts up, .* time_col='year'; if it tells nothing") as told:
        assert read(df).names == ["year", "units"]
    assert len(told) == 1
    assert read(df[["year"]]).names == ["year"]  # alone it is what is to be forecast
