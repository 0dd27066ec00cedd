"""CSV files as people have them: what is found out about them, and what is refused with the way out."""

import numpy as np
import pandas as pd
import pytest

from tsformer.data import tables

FRAME = pd.DataFrame({"ds": ["2020-01-01", "2020-02-01", "2020-03-01"], "größe": [0.25, 1.5, 1000.0]})


def read(path, **given):
    return tables.read_table(path, **({"sep": None, "decimal": None, "as_text": ()} | given))


WAYS = {  # of pandas' to_csv, and what to read them with
    "plain": ({}, {}),
    "semicolons and commas, as in much of Europe": ({"sep": ";", "decimal": ","}, {}),
    "the same, named": ({"sep": ";", "decimal": ","}, {"sep": ";", "decimal": ","}),
    "tabs and commas": ({"sep": "\t", "decimal": ","}, {}),
    "bars": ({"sep": "|"}, {}),
    "quoted decimal commas": ({"decimal": ","}, {}),
    "a mark of UTF-8": ({"encoding": "utf-8-sig"}, {}),
    "UTF-16": ({"encoding": "utf-16"}, {}),
    "semicolons in UTF-16": ({"encoding": "utf-16", "sep": ";", "decimal": ","}, {}),
    "compressed": ({"compression": "gzip"}, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_read_table__written_another_way__is_the_same_frame(way, tmp_path):
    written, given = WAYS[way]
    path = tmp_path / ("data.csv.gz" if "compression" in written else "data.csv")
    FRAME.to_csv(path, index=False, **written)
    pd.testing.assert_frame_equal(read(path, **given), FRAME)


def test_read_table__windows_1252__is_read_with_a_warning(tmp_path):
    rows = pd.DataFrame({"ds": np.arange(30_000), "y": 0.5})  # the letters come late
    rows.assign(shop="Köln €").to_csv(tmp_path / "data.csv", index=False, encoding="cp1252")
    with pytest.warns(
        UserWarning, match=r"data\.csv is not in UTF-8 and was read as Windows-1252\. .* save it as UTF-8"
    ):
        assert read(tmp_path / "data.csv", as_text=["shop"])["shop"].unique() == ["Köln €"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a CSV file whose first line names the columns"),
        ("a,b\n1,2\n3,4,5\n", "must be a CSV file .* line 3"),
        ("2020-01-01;1,5\n2020-01-02;2,5\n", r"names no columns: its first line has \['2020-01-01', '1,5'\]\. Put a"),
        (
            'a,b\n1,"1,234"\n2,"2,345"\n',
            r"Column 'b' has numbers such as '1,234'\. If .* pass --decimal ','; otherwise",
        ),
    ],
)
def test_read_table__what_may_be_meant_otherwise__is_refused_with_the_way_out(text, message, tmp_path):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "data.csv")


def test_read_table__ambiguous_comma_by_name__is_taken_as_told(tmp_path):
    (tmp_path / "data.csv").write_text('a,b\n1,"1,234"\n')
    assert read(tmp_path / "data.csv", decimal=",")["b"].tolist() == [1.234]


@pytest.mark.parametrize("first", ["", "index", "Unnamed: 0"])
def test_without_row_numbers__first_column_counts__is_left_out_unless_named(first, tmp_path):
    FRAME.rename_axis(first).to_csv(tmp_path / "data.csv")
    df = read(tmp_path / "data.csv")
    assert list(tables.without_row_numbers(df, ["ds"])) == ["ds", "größe"]
    assert tables.without_row_numbers(df, [df.columns[0]]).shape[1] == 3


def test_without_row_numbers__column_of_cases_that_counts__is_left_out_with_a_warning():
    df = pd.DataFrame({"case": [1, 2, 3], "x": [0.5, 0.1, 0.2]})
    with pytest.warns(UserWarning, match="The first column, 'case', counts rows and is left out.* --id-col"):
        assert list(tables.without_row_numbers(df, [])) == ["x"]
    assert tables.without_row_numbers(df, ["case"]) is df


def test_without_row_numbers__other_first_columns__stay():
    for df in (FRAME, pd.DataFrame({"index": [3, 1, 2]}), pd.DataFrame({tables.UNNAMED: ["a", "b"], "y": [1, 2]})):
        assert tables.without_row_numbers(df, []) is df


CASES = pd.DataFrame({"id": ["b", "a"], "label": ["01", "02"], "t0": [1.0, 2.0], "t1": [3.0, 4.0]})
LONG = pd.DataFrame({"id": ["b", "b", "a"], "day": ["2020-01-01", "2020-01-02", "2020-01-01"], "x": [1.0, 3.0, 2.0]})
WIDE_BY = {"label": "label", "id": "id", "time": None, "date_format": None}
LONG_BY = WIDE_BY | {"time": "day"}


def test_labelled_cases__wide__are_rows_named_by_id(tmp_path):
    X, y = tables.labelled_cases(CASES, tmp_path, True, **WIDE_BY)
    assert X.to_dict("index") == {"b": {"t0": 1.0, "t1": 3.0}, "a": {"t0": 2.0, "t1": 4.0}}
    assert y.tolist() == ["01", "02"]


@pytest.mark.parametrize("labels", [{}, {"label": [None] * 3}])
def test_labelled_cases__long_without_labels__have_none(labels, tmp_path):
    X, y = tables.labelled_cases(LONG.assign(**labels), tmp_path, False, **LONG_BY)
    assert y is None
    assert list(X) == ["id", "day", "x"]
    assert X["day"].dtype.kind == "M"


def test_labelled_cases__long__have_a_label_for_each_id(tmp_path):
    _, y = tables.labelled_cases(LONG.assign(label=["01", "01", "02"]), tmp_path, True, **LONG_BY)
    assert y.to_dict() == {"b": "01", "a": "02"}


@pytest.mark.parametrize(
    ("df", "given", "message"),
    [
        (LONG.assign(label=["01", "02", "02"]), LONG_BY, r"has several labels for the case 'b'\. Give it one"),
        (CASES.assign(label=["01", None]), WIDE_BY, r"has no label in row 2 below the names"),
        (CASES.assign(t0="x"), WIDE_BY, r"Column 't0' of data\.csv must be numeric, and has 'x'"),
        (CASES, WIDE_BY | {"id": None}, r"Column 'id' of data\.csv must be numeric, and has 'b'\. .* with --id"),
        (CASES, WIDE_BY | {"id": "name"}, r"has no column \['name'\]\. It has \['id', 'label', 't0', 't1'\]"),
        (LONG, LONG_BY | {"id": None}, r"--time-col means a row for each case and time\. .* cases apart: --id-col"),
    ],
)
def test_labelled_cases__a_mistake__is_told_with_the_way_out(df, given, message):
    with pytest.raises(ValueError, match=message):
        tables.labelled_cases(df, "data.csv", False, **given)


@pytest.mark.parametrize(
    ("last", "found"),
    [
        ("2024-01-07", "2024-01-07T23:00"),
        ("2024-01", "2024-01-31T23:00"),
        ("2024-01-07 00:00", "2024-01-07T00:00"),
        ("2024-01-07T05:30", "2024-01-07T05:00"),
    ],
)
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_up_to__date_month_or_time__means_all_of_it(last, found, zone):
    times = pd.date_range("2024-01-01", "2024-02-02", freq="h", tz=zone).to_series().sample(frac=1, random_state=0)
    assert times[tables.up_to(times, last, None)].max() == pd.Timestamp(found, tz=zone)


def test_up_to__a_format_of_its_own_counts_or_nothing_before__take_what_is_said():
    times = pd.date_range("2024-01-01", periods=48, freq="h").to_series()
    assert tables.up_to(times, "02.01.2024", "%d.%m.%Y").sum() == 25
    assert tables.up_to(pd.Series(range(10)), "4", None).sum() == 5
    assert not tables.up_to(times, "2023-12-31", None).any()
