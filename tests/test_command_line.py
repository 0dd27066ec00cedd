import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tsformer
from tsformer import plotting
from tsformer.__main__ import main
from tsformer.commands.options import parser
from tsformer.datasets import bundled_folder

FOLDER = bundled_folder() / "ItalyPowerDemand"
TRAIN, TEST = FOLDER / "ItalyPowerDemand_TRAIN.ts", FOLDER / "ItalyPowerDemand_TEST.ts"


@pytest.mark.slow
def test_classify__two_files__writes_predictions_and_prints_accuracy(tmp_path, capsys):
    out = tmp_path / "predictions.csv"
    assert main(["classify", str(TRAIN), str(TEST), "--out", str(out), "--quiet"]) == 0
    table = pd.read_csv(out, dtype={"prediction": str})
    assert list(table.columns) == ["case", "prediction", "probability_1", "probability_2"]
    assert len(table) == 1029
    assert set(table["prediction"]) == {"1", "2"}
    assert ((table["probability_1"] > 0.5) == (table["prediction"] == "1")).all()
    printed = capsys.readouterr().out
    assert "Wrote 1029 predictions" in printed
    assert float(printed.split()[-1].rstrip(".")) > 0.9


def months(n: int = 60) -> pd.DataFrame:
    times = pd.date_range("2018-01-01", periods=n, freq="MS")
    return pd.DataFrame({"month": times, "sales": [100.0 + 10 * (i % 12) for i in range(n)], "price": range(n)})


@pytest.mark.slow
def test_forecast__wide_file__continues_each_column_with_bands(tmp_path):
    months().to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "forecast.csv"
    arguments = ["forecast", str(tmp_path / "data.csv"), "--time", "month", "--horizon", "6", "--level", "80"]
    plot = tmp_path / "forecast.png"
    assert main([*arguments, "--out", str(out), "--plot", str(plot), "--quiet"]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(out)
    expected = ["month", "sales", "sales-lo-80.0", "sales-hi-80.0", "price", "price-lo-80.0", "price-hi-80.0"]
    assert [column.replace("-80", "-80.0").replace(".0.0", ".0") for column in table.columns] == expected
    assert list(table["month"]) == [f"2023-{month:02}-01" for month in range(1, 7)]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda df: df, ["--time", "date"], "It has ['month', 'sales', 'price']. Name one of these with --time-col."),
        (lambda df: df.drop(7), ["--time", "month"], "2018-08"),
        (
            lambda df: df.assign(month=df["month"].dt.strftime("%d.%m.%Y")),
            ["--time", "month"],
            "not of the format ISO8601, the first being '01.01.2018'. Name theirs with --date-format, such as %d.%m.%Y",
        ),
        (
            lambda df: df.assign(sales="much"),
            ["--time", "month"],
            "name it with --id-col or --time-col; else correct it",
        ),
        (lambda df: df, ["--time", "month", "--target-cols", "sale"], "no column ['sale']. It has ['month', 'sales', "),
        (lambda df: df, ["--time", "month", "--past-cols", "visits"], "missing: ['visits']"),
        (
            lambda df: df,
            ["--time", "month", "--future-cols", "price"],
            "['price'] are known ahead: name the file of their",
        ),
        (lambda df: df, ["--time", "month", "--future", "f.csv"], "known ahead. Name these with --future-cols."),
        (lambda df: df, ["--time", "month", "--plot", "picture.xyz"], "Got picture.xyz"),
        (lambda df: df.drop(7), ["--time", "month"], "Pass --freq MS to insert absent times as missing values"),
        (lambda df: df.head(2), ["--time", "month"], "Pass --freq, e.g. --freq D."),
        (lambda df: df, ["--time", "month", "--freq", "?"], "error: --freq must be a pandas offset"),
        (lambda df: df, ["--time", "month", "--horizon", "0"], "error: --horizon must be an int in the range [1, inf)"),
        (lambda df: df, ["--time", "month", "--max-steps", "-1"], "error: --max-steps must be"),
        (
            lambda df: pd.concat([df, df]),
            ["--time", "month"],
            "If the table holds several series, name their ids with --id-col",
        ),
    ],
)
def test_forecast__a_mistake__tells_it_in_one_line_and_returns_2(change, arguments, message, tmp_path, capsys):
    change(months()).to_csv(tmp_path / "data.csv", index=False)
    out = str(tmp_path / "out.csv")
    assert main(["forecast", str(tmp_path / "data.csv"), *arguments, "--out", out, "--quiet"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([TRAIN.with_name("missing.ts"), TEST], "error: No such file"),
        ([TRAIN.with_suffix(".txt"), TEST], "must be one of .ts, .tsv, .csv"),
        ([TRAIN, TEST, "--device", "tpu"], "--device must be 'auto', 'cpu'"),
    ],
)
def test_classify__a_mistake__tells_it_in_one_line_and_returns_2(arguments, message, tmp_path, capsys):
    assert main(["classify", *map(str, arguments), "--out", str(tmp_path / "out.csv"), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_classify__malformed_file__names_its_line(tmp_path, capsys):
    broken = tmp_path / "broken.ts"
    broken.write_text("@classLabel true a b\n@data\n1,2,x:a\n")
    assert main(["classify", str(broken), str(TEST), "--out", str(tmp_path / "out.csv")]) == 2
    assert "broken.ts, line 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--level", "80", "0.95"], "A level must be a percentage in the range [1, 100), such as 90. Got 0.95"),
        (["--out", "absent/out.csv"], "absent/out.csv cannot be written: there is no folder absent."),
        (["--plot", "absent/out.png"], "absent/out.png cannot be written: there is no folder absent."),
    ],
)
def test_forecast__a_mistake_in_what_to_write__is_told_before_training(
    arguments, message, tmp_path, capsys, monkeypatch
):
    def fit(*_):
        raise AssertionError("trained first")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tsformer.TransformerForecaster.fit", fit)
    months().to_csv("data.csv", index=False)
    assert main(["forecast", "data.csv", "--time", "month", "--out", "out.csv", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_forecast__dates_of_digits_into_a_file__reads_them_by_their_format_and_warns_in_a_line(tmp_path, capsys):
    months(23).assign(month=lambda df: df["month"].dt.strftime("%Y%m%d")).to_csv(tmp_path / "data.csv", index=False)
    arguments = ["--time", "month", "--date-format", "%Y%m%d", "--horizon", "24", "--out", str(tmp_path / "out.csv")]
    assert main(["forecast", str(tmp_path / "data.csv"), *arguments]) == 0
    assert pd.read_csv(tmp_path / "out.csv")["month"].iloc[0] == "2019-12-01"
    told = capsys.readouterr().err  # without --quiet, but no terminal: no progress bar
    assert told.startswith("tsformer: warning: These times usually have a season of 12 steps")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [("month,sales\n1,2\n3,4,5\n", "data.csv must be a CSV file"), ("", "data.csv must be a CSV file")],
)
def test_forecast__no_csv__is_named(text, message, tmp_path, capsys):
    (tmp_path / "data.csv").write_text(text)
    assert main(["forecast", str(tmp_path / "data.csv"), "--out", str(tmp_path / "out.csv")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "given"),
    [({}, []), ({"sep": ";", "decimal": ",", "encoding": "utf-8-sig"}, ["--sep", ";", "--decimal", ","])],
)
def test_forecast__row_numbers_and_semicolons__forecasts_the_one_column_and_never_trains(written, given, tmp_path):
    months().drop(columns="price").rename(columns={"month": "ds"}).to_csv(tmp_path / "data.csv", **written)
    arguments = ["--horizon", "2", "--max-steps", "0", "--out", str(tmp_path / "out.csv"), "--quiet", *given]
    assert main(["forecast", str(tmp_path / "data.csv"), *arguments]) == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns[:2]) == ["ds", "sales"]
    assert table["sales"].round(-1).tolist() == [100.0, 110.0]


def test_forecast__fill__puts_a_number_where_values_are_missing(tmp_path, capsys):
    rows = pd.DataFrame({"ds": range(40), "sales": [5.0, np.nan] * 20})
    rows.to_csv(tmp_path / "data.csv", index=False)
    arguments = ["--horizon", "2", "--max-steps", "0", "--out", str(tmp_path / "out.csv"), "--quiet", "--season", "2"]
    assert main(["forecast", str(tmp_path / "data.csv"), *arguments, "--fill", "0"]) == 0
    first, second = pd.read_csv(tmp_path / "out.csv")["sales"]
    assert first > second + 2
    with pytest.raises(SystemExit):
        main(["forecast", str(tmp_path / "data.csv"), *arguments, "--fill", "bfill"])
    assert "argument --fill: must be ffill, interpolate or a number. Got 'bfill'" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_forecast__season__is_that_of_the_forecaster_and_named_as_an_option(tmp_path, capsys):
    months().to_csv(tmp_path / "data.csv", index=False)
    arguments = ["--time", "month", "--max-steps", "0", "--out", str(tmp_path / "out.csv")]
    assert main(["forecast", str(tmp_path / "data.csv"), *arguments, "--season", "40", "50"]) == 0
    assert "--season 40 50 needs a history of 80 time points" in capsys.readouterr().err


@pytest.mark.slow
def test_forecast__ids_of_digits_and_gaps_of_whole_numbers__are_kept_and_filled(tmp_path):
    rows = [(id, time, 10.0 + time % 3) for id in ("007", "NA") for time in range(30) if time != 4]
    pd.DataFrame(rows, columns=["shop", "ds", "y"]).to_csv(tmp_path / "data.csv", index=False)
    out = str(tmp_path / "out.csv")
    arguments = ["--id", "shop", "--freq", "1", "--horizon", "2", "--out", out, "--quiet"]
    assert main(["forecast", str(tmp_path / "data.csv"), *arguments]) == 0
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert list(table["shop"]) == ["007", "007", "NA", "NA"]
    assert list(table["ds"]) == ["30", "31"] * 2


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("n/k", "the first being 'n/k'"),
        ("2024-04-01T00:00+02:00", "has times of several offsets. Write all of them in UTC"),
    ],
)
def test_forecast__one_wrong_date__is_the_one_that_is_shown(last, message, tmp_path, capsys):
    times = ["2024-03-29T00:00+01:00", "2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00", last]
    pd.DataFrame({"ds": times, "y": range(4)}).to_csv(tmp_path / "data.csv", index=False)
    assert main(["forecast", str(tmp_path / "data.csv"), "--out", str(tmp_path / "out.csv")]) == 2
    assert message in capsys.readouterr().err


def machine(n: int = 300, odd: int = 220) -> pd.DataFrame:
    """Two channels of a machine by the hour, with a bump in the first."""
    hours = pd.date_range("2024-01-01", periods=n, freq="h")
    noise = np.random.default_rng(0).normal(size=(n, 2))
    values = np.column_stack([np.sin(np.arange(n) / 8), np.cos(np.arange(n) / 8)]) + 0.1 * noise
    values[odd : odd + 10, 0] += 3.0
    return pd.DataFrame({"time": hours, "load": values[:, 0], "heat": values[:, 1]})


@pytest.mark.parametrize("train", [["--train-until", "2024-01-07"], ["--train-fraction", "0.48"]])
def test_detect__normal_rows_named__scores_the_later_ones_and_says_where_anomalies_are(train, tmp_path, capsys):
    machine().to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "out.csv"
    assert main(["detect", str(tmp_path / "data.csv"), "--time", "time", *train, "--out", str(out), "--quiet"]) == 0
    table = pd.read_csv(out, parse_dates=["time"])
    assert list(table.columns) == ["time", "score", "anomaly"]
    assert list(table["time"]) == list(machine()["time"][300 - len(table) :])
    assert len(table) == (132 if "2024-01-07" in train else 156)
    assert set(table["anomaly"]) == {0, 1}
    assert table.loc[table["score"].idxmax(), "time"] in list(machine()["time"][215:235])
    printed = capsys.readouterr().out
    assert f"Wrote scores of {len(table)} rows after" in printed
    assert re.search(r"(1 anomaly|highest scores first): 2024-01-(09|10)", printed)


def test_detect__series_by_ids_without_normal_rows__judges_all_in_their_order(tmp_path, capsys):
    parts = [machine().assign(id="007"), machine(200, odd=90).assign(id="NA")]
    rows = pd.concat(parts).sample(frac=1, random_state=0).assign(note="text")
    rows.to_csv(tmp_path / "data.csv", sep=";", decimal=",")
    arguments = ["--time", "time", "--id", "id", "--channels", "load", "--contamination", "0.06", "--quiet"]
    out = tmp_path / "out.csv"
    assert main(["detect", str(tmp_path / "data.csv"), *arguments, "--out", str(out)]) == 0
    table = pd.read_csv(out, dtype={"id": str}, keep_default_na=False)
    assert list(table.columns) == ["id", "time", "score", "anomaly"]
    assert list(table["id"]) == list(rows["id"])
    assert table["anomaly"].mean() == pytest.approx(0.06, abs=0.005)
    found = table[table["anomaly"] == 1]
    assert set(found["id"]) == {"007", "NA"}
    printed = capsys.readouterr().out
    assert "Wrote scores of 500 rows to" in printed
    assert "'NA', 2024-01-04 " in printed


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("label", [False, True])
def test_detect__first_column_without_a_name__is_times_or_row_numbers_and_never_a_channel(
    ids, label, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    df = machine(120, odd=90).rename(columns={"time": "ds"}).assign(odd=0)
    df = df.assign(unique_id="a") if ids else df.set_index("ds")
    df.to_csv("unnamed.csv", index_label="")
    df.reset_index(drop=ids).to_csv("named.csv", index=False)
    how = [*(["--label-col", "odd"] if label else ["--drop-cols", "odd"]), "--train-fraction", "0.5", "--save", "model"]
    tables = []
    for name in ("unnamed.csv", "named.csv"):
        assert main(["detect", name, *how, "--out", "out.csv", "--quiet"]) == 0
        assert tsformer.load("model").channels_ == ["load", "heat"]
        tables.append(pd.read_csv("out.csv"))
    pd.testing.assert_frame_equal(*tables)


def test_forecast__times_without_a_name__are_read_in_the_rows_ahead_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    df = months().set_index("month").rename_axis(None)
    df[:-3].to_csv("data.csv")
    df[-3:].drop(columns="sales").to_csv("ahead.csv")
    columns = ["--target-cols", "sales", "--future-cols", "price", "--future", "ahead.csv"]
    assert main(["forecast", "data.csv", *columns, "--horizon", "3", "--max-steps", "1", "--out", "out.csv"]) == 0
    assert list(pd.read_csv("out.csv")["ds"]) == [f"2022-{month}-01" for month in (10, 11, 12)]


def test_detect__nothing_odd__says_so(tmp_path, capsys):
    pd.DataFrame({"ds": range(200), "x": [i % 20 for i in range(200)]}).to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "out.csv"
    assert main(["detect", str(tmp_path / "data.csv"), "--train-until", "149", "--out", str(out), "--quiet"]) == 0
    assert capsys.readouterr().out.endswith("No anomalies.\n")
    assert list(pd.read_csv(out)["ds"]) == list(range(150, 200))


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda df: df, ["--time", "hour"], "has no column ['hour']. It has ['time', 'load', 'heat']"),
        (lambda df: df, ["--channels", "power"], "has no column ['power']"),
        (
            lambda df: df.assign(**{"a note": "x"}),
            [],
            "and has 'x'. If it has ids or times, name it with --id-col or --time-col; else correct it, "
            "or leave it out: --drop-cols 'a note'.",
        ),
        (lambda df: df, ["--train-until", "2023-12-31"], "Got 0 of 300 up to 2023-12-31"),
        (lambda df: df, ["--train-until", "soon"], "--train-until must be a time of the format ISO8601, as"),
        (lambda df: df, ["--train-fraction", "1.5"], "--train-fraction must be a number between 0 and 1. Got 1.5"),
        (lambda df: df, ["--train-fraction", "0.05"], "fit needs 32 time points in all"),
        (lambda df: df, ["--contamination", "2"], "error: --contamination must be a float in the range (0.0, 0.5]"),
        (lambda df: df.drop(7), [], "Pass --freq h to insert absent times as missing values."),
        (lambda df: df, ["--plot", "picture.xyz"], "Got picture.xyz"),
        (lambda df: df, ["--window-length", "100"], "Got 300 in all. Give more, or a smaller --window-length."),
        (lambda df: df, ["--window-length", "3"], "error: --window-length must be an int in the range [4, inf)"),
        (
            lambda df: df,
            ["--train-until", "2024-01-07", "--train-fraction", "0.5"],
            "--train-until and --train-fraction both say which rows are normal. Drop one of them.",
        ),
        (
            lambda df: df,
            ["--train-fraction", "0", "--reasons", "r.csv"],
            "--train-fraction must be a number between 0 and 1. Got 0.0",
        ),
        (lambda df: df, ["--reasons", "r.csv"], "Say which they are: --train-until or --train-fraction."),
        (
            lambda df: df.assign(time=range(300)),
            ["--train-until", "noon"],
            "--train-until must be a whole number, as the times are. Got 'noon'",
        ),
    ],
)
def test_detect__a_mistake__tells_it_in_one_line_and_returns_2(change, arguments, message, tmp_path, capsys):
    change(machine()).to_csv(tmp_path / "data.csv", index=False)
    arguments = arguments if "--time" in arguments else ["--time", "time", *arguments]
    out = str(tmp_path / "out.csv")
    assert main(["detect", str(tmp_path / "data.csv"), *arguments, "--out", out, "--quiet"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("normal", [["--train-until", "2024-01-07"], []])
def test_detect__plot__shows_the_scores_and_anomalies_that_are_written(normal, tmp_path, monkeypatch):
    drawn = []
    plot = plotting.AnomalyDisplay.plot
    monkeypatch.setattr(plotting.AnomalyDisplay, "plot", lambda self, *ax: drawn.append(self) or plot(self, *ax))
    monkeypatch.chdir(tmp_path)
    rows = machine().assign(id="a").sample(frac=1, random_state=0)
    rows.to_csv("data.csv", index=False)
    how = ["--time-col", "time", "--id-col", "id", *normal, "--out", "out.csv", "--plot", "odd.png", "--quiet"]
    assert main(["detect", "data.csv", *how]) == 0
    assert Path("odd.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv("out.csv", parse_dates=["time"]).set_index("time").sort_index()
    [panel] = drawn[0].panels
    np.testing.assert_allclose(panel.score.loc[table.index], table["score"])
    np.testing.assert_allclose(panel.series["load"], machine()["load"])
    assert ((panel.score.loc[table.index] > panel.threshold) == table["anomaly"]).all()
    assert table["anomaly"].any()
    assert len(drawn[0].axes_[0].patches) > 0


@pytest.mark.parametrize("normal", [pytest.param(["--train-fraction", "0.6"], marks=pytest.mark.slow), []])
def test_detect__plot_of_more_series_than_a_page_has__says_how_many_it_leaves_out(
    normal, tmp_path, capsys, monkeypatch
):
    drawn = []
    plot = plotting.AnomalyDisplay.plot
    monkeypatch.setattr(plotting.AnomalyDisplay, "plot", lambda self, *ax: drawn.append(self) or plot(self, *ax))
    monkeypatch.chdir(tmp_path)
    pd.concat([machine(60, odd=40).assign(id=f"{i}") for i in range(7)]).to_csv("data.csv", index=False)
    how = ["--time-col", "time", "--id-col", "id", "--window-length", "8", "--plot", "odd.png", "--quiet"]
    assert main(["detect", "data.csv", *how, *normal]) == 0
    assert drawn[0].title == "Series 1 to 6 of 7: page 1 of 2, 1 not shown"
    assert "Drew 6 series in odd.png." in capsys.readouterr().out


def test_classify__files_of_different_channels__are_named_before_training(tmp_path, capsys):
    other = bundled_folder() / "BasicMotions" / "BasicMotions_TEST.ts"
    assert main(["classify", str(TRAIN), str(other), "--out", str(tmp_path / "out.csv")]) == 2
    assert f"{other} has series of 6 channels, but {TRAIN} of 1." in capsys.readouterr().err


@pytest.mark.slow
def test_classify__long_csv_without_labels_to_score_by__writes_a_row_for_each_case(tmp_path, capsys):
    train, test = (tmp_path / f"{part}.csv" for part in ("train", "test"))
    rows = [(f"c{i}", t, f"0{i % 2}", float((t + i) % (3 + i % 2))) for i in range(20) for t in range(12 + i % 3)]
    table = pd.DataFrame(rows, columns=["case", "t", "kind", "value"])
    table.to_csv(train, sep=";", decimal=",")
    table[table["case"].isin(["c7", "c4"])].drop(columns="kind").to_csv(test)
    arguments = ["--label", "kind", "--id", "case", "--time", "t", "--out", str(tmp_path / "out.csv"), "--quiet"]
    assert main(["classify", str(train), str(test), *arguments]) == 0
    predicted = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert predicted[["case", "prediction"]].to_numpy().tolist() == [["c4", "00"], ["c7", "01"]]
    assert "Accuracy" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "train.csv has no labels in a column 'label'. It has ['kind', 't0']; see --label-col"),
        (["--label", "kind"], "TRAIN and TEST must both be .csv, or neither."),
    ],
)
def test_classify__csv_of_another_form__is_told_with_the_option(arguments, message, tmp_path, capsys):
    (tmp_path / "train.csv").write_text("kind,t0\na,1\nb,2\n")
    out = ["--out", str(tmp_path / "out.csv")]
    assert main(["classify", str(tmp_path / "train.csv"), str(TEST), *out, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_version__command__prints_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"tsformer {tsformer.__version__}\n"


def test_command__without_arguments__exits_with_2_and_no_traceback():
    ended = subprocess.run([sys.executable, "-m", "tsformer"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "usage: tsformer" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["forecast", "--help"], ["detect", "--max-steps", "many"], ["embed", "x.ts"]]
)
def test_command__help_or_a_wrong_option__is_answered_without_importing_torch(arguments):
    code = f"import sys, runpy, atexit; sys.argv = ['tsformer', *{arguments}]"
    code += (
        "; atexit.register(lambda: print(*sorted({'torch', 'pandas', 'sklearn'} & {*sys.modules}), file=sys.stderr))"
    )
    code += "; runpy.run_module('tsformer', run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 2)
    assert ended.stderr.endswith("\n\n") or ended.stderr == "\n"


# A model that is saved and loaded, covariates, and what is known.


def recordings() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (f"{i:03}", t / 10, np.sin(t * (1 + i % 2) / 3) + 0.1 * rng.normal(), ["slow", "fast"][i % 2])
        for i in range(16)
        for t in range(30 + i)
    ]
    return pd.DataFrame(rows, columns=["id", "second", "x", "kind"])


LONG = ["--label-col", "kind", "--id-col", "id", "--time-col", "second"]


def test_classify__saved_and_loaded__labels_alike_and_says_how_well(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings().to_csv("train.csv", index=False)
    some = recordings().query("id >= '008'")
    some.to_csv("test.csv", index=False)
    some.drop(columns="kind").to_csv("unknown.csv", index=False)
    assert main(["classify", "train.csv", *LONG, "--max-steps", "3", "--save", "model.safetensors"]) == 0
    loaded = [*LONG, "--load", "model.safetensors", "--out"]
    assert main(["classify", "test.csv", *loaded, "a.csv", "--metrics", "--plot", "matrix.png"]) == 0
    told = capsys.readouterr().out
    scores = dict(re.findall(r"(accuracy|macro F1|log loss) ([\d.]+)", told))
    assert "Against the 8 labels: accuracy" in told
    assert set(scores) == {"accuracy", "macro F1", "log loss"}
    assert main(["classify", "unknown.csv", *loaded, "b.csv"]) == 0
    table = pd.read_csv("a.csv", dtype={"id": str})
    pd.testing.assert_frame_equal(table, pd.read_csv("b.csv", dtype={"id": str}))
    truth = some.groupby("id")["kind"].first()
    right = (table.set_index("id")["prediction"] == truth).mean()
    assert float(scores["accuracy"]) == pytest.approx(right, abs=1e-3)
    assert tsformer.load("model.safetensors").predict_frame(some.drop(columns="kind"))["prediction"].tolist() == (
        table["prediction"].tolist()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.csv", "--label-col", "kind"], "Pass a file to label after train.csv, or --save alone"),
        (
            ["train.csv", "train.csv", "--label-col", "kind", "--id-col", "id"],
            "several rows of the case '000'. If they",
        ),
        (["train.csv", "train.csv", *LONG[:4], "--time-col", "hour"], "Name one of these with --time-col"),
        (["plain.csv", "plain.csv", *LONG, "--metrics"], "has no labels in a column 'kind'"),
        (["train.csv", "plain.csv", *LONG, "--metrics"], "compare with the labels of TEST, of which there are none"),
        (["train.csv", "--load", "train.csv"], "train.csv cannot be loaded"),
        (["train.csv", "--load", "forecaster", *LONG], "holds a TransformerForecaster, but tsformer classify takes a"),
        (
            ["train.csv", "--load", "forecaster", "--max-steps", "3"],
            "--max-steps cannot be given with --load: a saved model stays as it was made. Drop it, or train anew",
        ),
        (["train.csv", "--load", "forecaster", "--pretrained-only"], "--pretrained-only cannot be given with --load"),
        (["train.csv", "train.csv", *LONG, "--pretrained-only", "--max-steps", "9"], "--max-steps has no effect with"),
        (["train.csv", "train.csv", "train.csv"], "Pass TRAIN and TEST, or with --load TEST alone"),
    ],
)
def test_classify__a_mistake_about_files_or_columns__is_told_before_training(
    arguments, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    recordings().to_csv("train.csv", index=False)
    recordings().drop(columns="kind").to_csv("plain.csv", index=False)
    months().to_csv("data.csv", index=False)
    if "forecaster" in arguments:
        main(["forecast", "data.csv", "--time-col", "month", "--save", "forecaster"])
    monkeypatch.setattr("tsformer.TransformerClassifier.fit", lambda *_: pytest.fail("trained first"))
    assert main(["classify", *arguments, "--out", "out.csv"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_forecast__covariates_saved_and_loaded__forecasts_alike_without_naming_columns_again(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    frame = pd.concat([months().assign(shop=shop, town=i) for i, shop in enumerate("ab")])
    frame["sales"] += np.random.default_rng(0).normal(size=len(frame))
    frame[frame["month"] < "2022-07"].to_csv("data.csv", index=False)
    frame[frame["month"] >= "2022-07"][["shop", "month", "price"]].to_csv("ahead.csv", index=False)
    columns = ["--id-col", "shop", "--time-col", "month", "--target-cols", "sales", "--future-cols", "price"]
    how = ["--static-cols", "town", "--horizon", "6", "--max-steps", "2", "--level", "80", "--future", "ahead.csv"]
    assert main(["forecast", "data.csv", *columns, *how, "--out", "a.csv", "--save", "model", "--metrics"]) == 0
    told = capsys.readouterr().out
    assert re.search(
        r"The last 6 time points .*:\n +MASE +MAE +WAPE +in 80 %\nforecast +[\d.]+ .*\nseasonal naive +", told
    )
    again = ["--load", "model", "--future", "ahead.csv", "--level", "80", "--out"]
    assert main(["forecast", "data.csv", *again, "b.csv"]) == 0
    assert main(["forecast", *again, "c.csv"]) == 0
    tables = [pd.read_csv(name) for name in ("a.csv", "b.csv", "c.csv")]
    assert list(tables[0].columns) == ["shop", "month", "sales", "sales-lo-80", "sales-hi-80"]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_forecast__model_of_points_alone__writes_them_without_bands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tsformer.TransformerForecaster(head="point", pretrained=None, max_steps=1, time_col="month", horizon=3)
    tsformer.save(model.fit(months()[["month", "sales"]].set_index("month")["sales"]), "model")
    assert main(["forecast", "--load", "model", "--out", "points.csv"]) == 0
    assert len(pd.read_csv("points.csv").columns) == 2


def test_forecast__level_of_many_digits__has_metrics(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    months()[["month", "price"]].to_csv("data.csv", index=False)
    how = ["--time-col", "month", "--max-steps", "0", "--horizon", "6", "--level", "97.123456", "--metrics"]
    assert main(["forecast", "data.csv", *how, "--out", "a.csv"]) == 0
    assert "in 97.1" in capsys.readouterr().out


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder with a model of each command, fitted to columns of names that are not the usual ones."""
    folder = tmp_path_factory.mktemp("saved")
    recordings().to_csv(folder / "cases.csv", index=False)
    machine().assign(id="a").to_csv(folder / "machine.csv", index=False)
    frame = pd.concat([months().assign(shop=shop) for shop in "ab"])
    frame.drop(columns="price").to_csv(folder / "sales.csv", index=False)
    columns = ["--id-col", "id", "--time-col", "time", "--channels", "load", "--train-fraction", "0.5"]
    forecast = ["--id-col", "shop", "--time-col", "month", "--target-cols", "sales", "--max-steps", "0"]
    models = {
        "classify": ["cases.csv", *LONG, "--pretrained-only"],
        "embed": ["cases.csv", *LONG],
        "detect": ["machine.csv", *columns],
        "forecast": ["sales.csv", *forecast, "--horizon", "3"],
    }
    with contextlib.chdir(folder):
        for command, arguments in models.items():
            assert main([command, *arguments, "--save", command, "--quiet"]) == 0
    return folder


FILES = {"classify": "cases.csv", "embed": "cases.csv", "detect": "machine.csv", "forecast": "sales.csv"}


@pytest.mark.parametrize("command", FILES)
def test_load__model_of_any_command__knows_its_columns_and_takes_no_option_that_it_has_fixed(
    command, saved, capsys, monkeypatch
):
    monkeypatch.chdir(saved)
    load = [command, FILES[command], "--load", command, "--out", f"{command}.csv"]
    assert main([*load, *(LONG[:2] if FILES[command] == "cases.csv" else [])]) == 0
    expected = {"classify": ["id", "prediction"], "embed": ["id", "kind"], "detect": ["id", "time", "score"]}
    expected["forecast"] = ["shop", "month", "sales"]
    assert list(pd.read_csv(f"{command}.csv").columns[: len(expected[command])]) == expected[command]
    for name in parser().parse_args(load).of_new:
        text = {"pretrained_only": [], "train_fraction": ["0.5"], "contamination": ["0.1"]}.get(name, ["7"])
        option = f"--{name.replace('_', '-')}"
        assert main([*load, option, *text]) == 2
        assert f"{option} cannot be given with --load" in capsys.readouterr().err


def test_load__columns_renamed__are_named_by_options(saved, monkeypatch):
    monkeypatch.chdir(saved)
    pd.read_csv("sales.csv").rename(columns={"shop": "branch", "month": "day"}).to_csv("renamed.csv", index=False)
    load = ["--load", "forecast", "--out"]
    assert main(["forecast", "renamed.csv", "--id-col", "branch", "--time-col", "day", *load, "a.csv"]) == 0
    assert main(["forecast", *load, "b.csv"]) == 0
    assert list(pd.read_csv("a.csv").columns[:2]) == ["branch", "day"]
    assert (pd.read_csv("a.csv").to_numpy() == pd.read_csv("b.csv").to_numpy()).all()


def test_load__horizon_and_level__are_applied(saved, monkeypatch):
    monkeypatch.chdir(saved)
    assert main(["forecast", "--load", "forecast", "--horizon", "5", "--level", "50", "--out", "long.csv"]) == 0
    table = pd.read_csv("long.csv")
    assert list(table.columns) == ["shop", "month", "sales", "sales-lo-50", "sales-hi-50"]
    assert len(table) == 10


@pytest.mark.parametrize("option", ["--max-steps", "--seed"])
def test_load__option_that_a_model_has_fixed__is_refused_when_it_is_zero(option, saved, capsys, monkeypatch):
    monkeypatch.chdir(saved)
    assert main(["forecast", "--load", "forecast", option, "0", "--out", "x.csv"]) == 2
    assert f"{option} cannot be given with --load" in capsys.readouterr().err


def test_load__forecaster_that_fills_gaps__is_compared_with_naive_of_the_filled_series(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = 3.0 + np.arange(60) % 5 + np.random.default_rng(0).normal(0, 0.1, 60)
    values[4::5] = np.nan
    df = pd.DataFrame({"ds": range(60), "y": values})
    df.to_csv("data.csv", index=False)
    forecaster = tsformer.TransformerForecaster(horizon=5, season=5, fill=0.0, max_steps=0).fit(df.set_index("ds")["y"])
    tsformer.save(forecaster, "model")
    assert main(["forecast", "data.csv", "--load", "model", "--metrics"]) == 0
    told = capsys.readouterr().out
    assert float(re.search(r"seasonal naive +\S+ +(\S+)", told)[1]) < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time-col", "day", "--sep", ";"], "--time-col and --sep: DATA, which they are of, is not given."),
        (["--metrics"], "--metrics compares with the end of DATA, which is not given."),
        (["--future", "sales.csv"], "known ahead. The saved model knows of none: leave it out."),
    ],
)
def test_load__without_data__refuses_what_only_it_could_answer(arguments, message, saved, capsys, monkeypatch):
    monkeypatch.chdir(saved)
    assert main(["forecast", "--load", "forecast", *arguments, "--out", "x.csv"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("load", [True, False])
def test_classify__test_of_other_columns__is_told_before_training(load, saved, capsys, monkeypatch):
    monkeypatch.chdir(saved)
    monkeypatch.setattr("tsformer.TransformerClassifier.fit", lambda *_: pytest.fail("trained first"))
    cases = recordings()
    cases.rename(columns={"x": "other"}).to_csv("renamed.csv", index=False)
    cases.assign(**{"a note": 1.0}).to_csv("wide.csv", index=False)
    how = [*LONG, "--out", "x.csv", *(["--load", "classify"] if load else [])]
    for name, message in {
        "renamed.csv": "renamed.csv has no column ['x'], which",
        "wide.csv": "has not. Drop them: --drop-cols 'a note'.",
    }.items():
        assert main(["classify", *([] if load else ["cases.csv"]), name, *how]) == 2
        assert message in capsys.readouterr().err


def test_command__unknown_option__is_told_with_where_they_are_listed(capsys):
    assert main(["forecast", "data.csv", "--seasons", "7", "--out", "x.csv"]) == 2
    told = capsys.readouterr().err
    assert told == "tsformer: error: there is no option --seasons 7. tsformer forecast --help lists those there are.\n"


def test_command__file_too_many__is_told_as_such(capsys):
    assert main(["forecast", "a.csv", "b.csv", "--out", "x.csv"]) == 2
    assert "error: unexpected argument b.csv. tsformer forecast --help lists" in capsys.readouterr().err


def test_load__channel_that_the_detector_learnt__must_be_there(saved, capsys, monkeypatch):
    monkeypatch.chdir(saved)
    pd.read_csv("machine.csv").drop(columns="load").to_csv("other.csv", index=False)
    assert main(["detect", "other.csv", "--load", "detect", "--out", "x.csv"]) == 2
    assert "other.csv has no column ['load']. It has" in (told := capsys.readouterr().err)
    assert "The saved model knows it by that name: rename or add the column." in told
    assert main(["detect", "machine.csv", "--load", "detect", "--label-col", "odd", "--out", "x.csv"]) == 2
    assert "no column ['odd']. It has ['time', 'load', 'heat', 'id']. Name one of these with --label-col." in (
        capsys.readouterr().err
    )


def shops() -> pd.DataFrame:
    """Two series with a column that no option names by default."""
    return pd.concat([months().rename(columns={"sales": "y"}).assign(shop=shop) for shop in "ab"])


@pytest.mark.parametrize("columns", [["--id-col", "shop"], ["--target-cols", "y"]])
def test_forecast__further_column__is_refused_with_the_options_until_dropped(columns, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = shops() if "shop" in columns else shops().query("shop == 'a'").drop(columns="shop")
    frame.to_csv("data.csv", index=False)
    forecast = ["forecast", "data.csv", "--max-steps", "0", "--out", "out.csv"]
    given = [*forecast, "--time-col", "month", *columns]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert "data.csv has the further columns ['price']. Name them with --future-cols, --past-cols, --static" in told
    assert "or leave them out: --drop-cols price." in told
    assert ("--id-col" in told) == ("shop" not in columns)
    assert main([*given, "--drop-cols", "price", "--save", "model"]) == 0
    loaded = [*forecast[:2], "--load", "model", "--out", "again.csv"]
    assert main(loaded) == 2
    assert "--drop-cols" in capsys.readouterr().err
    assert main([*loaded, "--drop-cols", "price"]) == 0
    assert pd.read_csv("again.csv").equals(pd.read_csv("out.csv"))


def test_embed__dropped_columns__are_left_out_and_must_be_there(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings().assign(note="text").to_csv("data.csv", index=False)
    recordings().to_csv("plain.csv", index=False)
    assert main(["embed", "data.csv", *LONG, "--drop-cols", "note", "--out", "a.csv"]) == 0
    assert main(["embed", "plain.csv", *LONG, "--out", "b.csv"]) == 0
    assert pd.read_csv("a.csv").equals(pd.read_csv("b.csv"))
    assert main(["embed", "plain.csv", *LONG, "--drop-cols", "note", "--out", "a.csv"]) == 2
    assert "plain.csv has no column ['note']" in capsys.readouterr().err
    (tmp_path / "labels.csv").write_text("label,x\na,1\nb,2\n")
    assert main(["embed", "labels.csv", "--drop-cols", "x", "--out", "a.csv"]) == 2
    assert "labels.csv has no columns of values but those of --drop-cols." in capsys.readouterr().err


def test_forecast__metrics_with_a_season_of_ones_own__compare_with_naive_of_that_season(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.arange(120) % 10 + np.random.default_rng(0).normal(0, 0.1, 120)
    pd.DataFrame({"ds": range(120), "y": values}).to_csv("data.csv", index=False)
    assert main(["forecast", "data.csv", "--season", "10", "--horizon", "10", "--max-steps", "0", "--metrics"]) == 0
    mase, mae = map(float, re.search(r"seasonal naive +([\d.]+) +([\d.]+)", capsys.readouterr().out).groups())
    assert 0.5 < mase < 2.0
    assert mae < 0.5


def test_forecast__metrics_that_fail__leave_the_model_saved(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    months(30).to_csv("data.csv", index=False)
    arguments = ["--time-col", "month", "--horizon", "40", "--max-steps", "0", "--metrics", "--save", "model"]
    assert main(["forecast", "data.csv", *arguments]) == 2
    assert tsformer.load("model").horizon == 40
    told = "--metrics needs more than 40 time points of a series. The series has 30; give more, or a smaller --horizon."
    assert told in capsys.readouterr().err


def test_detect__labels_saved_and_loaded__says_what_was_found_of_them(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    machine().assign(odd=(np.arange(300) // 10 == 22).astype(int)).to_csv("data.csv", index=False)
    shared = ["--time-col", "time", "--label-col", "odd", "--metrics"]
    assert main(["detect", "data.csv", *shared, "--train-fraction", "0.5", "--save", "model", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "Against the 10 rows labelled as anomalies: precision" in told
    assert float(re.search(r"recall ([\d.]+)", told)[1]) > 0.5
    assert main(["detect", "data.csv", *shared, "--load", "model", "--out", "out.csv"]) == 0
    assert len(pd.read_csv("out.csv")) == 300
    assert main(["detect", "data.csv", "--time-col", "time", "--metrics"]) == 2
    assert "Name their column, of 0 and 1: --label-col" in capsys.readouterr().err
    assert main(["detect", "data.csv", "--time-col", "time", "--metrics", "--label-col", "load"]) == 2
    assert "must hold 1 for anomalies and 0 for others. Got" in capsys.readouterr().err


@pytest.mark.parametrize("several", [False, True])
def test_detect__reasons__are_written_of_the_anomalies_that_are_judged(several, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = [machine().assign(id=f"00{i}") for i in range(1 + several)]
    (pd.concat(parts) if several else parts[0].drop(columns="id")).to_csv("data.csv", index=False)
    how = [*(["--id-col", "id"] if several else []), "--time-col", "time", "--train-fraction", "0.5"]
    length = ["--window-length", "12"] if several else []
    assert main(["detect", "data.csv", *how, *length, "--reasons", "why.csv", "--save", "model"]) == 0
    assert (tsformer.load("model").normal_.memory.length == 12) == several
    why = pd.read_csv("why.csv", dtype={"id": str})
    assert f"Wrote {len(why)} rows of reasons to why.csv." in capsys.readouterr().out
    assert {"start", "end", "channel", "kind", "expected"} <= set(why.columns)
    assert (why["end"] > "2024-01-07 05:00:00").all()
    worst = why.sort_values("score").tail(1 + several)
    assert set(worst["channel"]) == {"load"}
    assert ((worst["start"] < "2024-01-10 14:00") & (worst["end"] >= "2024-01-10 04:00")).all()
    assert not several or set(worst["id"]) == {"000", "001"}


def test_classify__pretrained_only__labels_by_the_encoder_and_trains_no_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings().to_csv("train.csv", index=False)
    how = [*LONG, "--pretrained-only", "--out", "out.csv", "--save", "model"]
    assert main(["classify", "train.csv", "train.csv", *how]) == 0
    assert len(tsformer.load("model").model_.networks) == 0
    truth = recordings().groupby("id")["kind"].first()
    assert (pd.read_csv("out.csv")["prediction"].to_numpy() == truth.to_numpy()).mean() > 0.8


def test_forecast__holidays__are_those_of_the_forecaster_and_a_wrong_one_is_told(tmp_path, capsys, monkeypatch):
    pytest.importorskip("holidays")
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2023-11-01", periods=120)
    pd.DataFrame({"ds": days, "y": np.arange(120) % 7.0}).to_csv("data.csv", index=False)
    how = ["--horizon", "3", "--max-steps", "2", "--save", "model"]
    assert main(["forecast", "data.csv", *how, "--holidays", "DE", "US-CA"]) == 0
    assert tsformer.load("model").holidays == ["DE", "US-CA"]
    assert main(["forecast", "data.csv", *how, "--holidays", "Germania"]) == 2
    assert "--holidays must be a country" in capsys.readouterr().err


def test_embed__csv_and_ts__writes_features_after_the_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings().to_csv("data.csv", index=False)
    assert main(["embed", "data.csv", *LONG, "--out", "a.csv"]) == 0
    table = pd.read_csv("a.csv", dtype={"id": str})
    assert list(table.columns[:3]) == ["id", "kind", "x_mean"]
    assert table["id"].tolist() == [f"{i:03}" for i in range(16)]
    assert table["kind"].tolist() == ["slow", "fast"] * 8
    assert main(["embed", str(TRAIN), "--out", "b.csv"]) == 0
    assert len(pd.read_csv("b.csv")) == 67


def test_command__nothing_to_write__is_told(tmp_path, capsys):
    assert main(["embed", str(TRAIN)]) == 2
    assert "Say what to write: --out CSV, or --save MODEL." in capsys.readouterr().err


def test_command__ctrl_c__ends_with_a_line(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tsformer.estimators.pretrainer.TransformerPretrainer.fit", interrupted)
    assert main(["embed", str(TRAIN), "--out", str(tmp_path / "out.csv")]) == 130
    assert capsys.readouterr().err == "tsformer: error: stopped by Ctrl-C.\n"


@pytest.mark.parametrize("command", ["classify", "forecast", "detect", "embed"])
def test_command__wrong_option__shows_two_lines_and_help_all_options(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([command, "data.csv", "--max-steps", "many"])
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.endswith(f"or tsformer {command} --help")
    assert error.endswith("argument --max-steps: must be a whole number, or auto. Got 'many'.")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--out", "--save", "--load", "--id-col", "--max-steps", "--device"))
