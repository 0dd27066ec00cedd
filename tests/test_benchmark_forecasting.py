import csv
import hashlib
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tsformer.estimators.pretrained import BUNDLED

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import forecasting
import forecasting_data as data
import forecasting_rivals as rivals
import machine

ROOT = Path(__file__).parents[1]
OURS = "TransformerForecaster(max_steps=1, d_model=16, n_heads=1, n_layers=1, d_ff=16, device='cpu')"
HELPERS = """
import os

import numpy as np
import pandas as pd


class Last:  # repeats the last value; the quantile .5 + x lies 10 x above it
    def __init__(self, horizon=1, random_state=None, shift=0):
        self.horizon, self.shift = horizon, shift

    def set_params(self, horizon):
        self.horizon = horizon

    def fit(self, df):
        if "BROKEN" in os.environ:
            raise MemoryError("no more,\\n at all")
        with open("fits", "a") as file:
            print(len(df), self.horizon, file=file)
        self.df = df
        return self

    def predict(self, horizon, quantiles=()):
        last = self.df.groupby("unique_id").last()
        parts = [
            pd.DataFrame(
                {"unique_id": name, "ds": pd.date_range(row["ds"], periods=horizon + 1, freq="MS")[1:]}
                | {"y": row["y"] + self.shift}
                | {f"y-q{q:g}": row["y"] + self.shift + 10 * (q - 0.5) for q in quantiles}
            )
            for name, row in last.iterrows()
        ]
        return pd.concat(parts, ignore_index=True)

    def sample(self, n, horizon):
        paths = [self.predict(horizon).assign(y=lambda df, i=i: df["y"] + i - n // 2) for i in range(n)]
        return pd.concat(paths, keys=range(n), names=["path"])

    def backtest(self, df, n_windows, step_size):
        ends = [len(df) - self.horizon - step_size * i for i in reversed(range(n_windows))]
        parts = [
            pd.DataFrame(
                {(name, "point"): df[name].iloc[end - 1] for name in df} | {(name, "actual"): df[name] for name in df},
                index=df.index[end : end + self.horizon],
            ).assign(cutoff=df.index[end - 1])
            for end in ends
        ]
        return pd.concat(parts)


class Dying(Last):
    def fit(self, df):
        os._exit(7)
"""
TINY = data.LongHorizon("tiny.csv", season=4, parts=(60, 20, 20), horizons=(2, 5))
MONTHS = data.Competition("months.csv", "MS", season=12, horizons=(3,))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with helpers.py and two small datasets, to work in; rows are measured in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("helpers.py").write_text(HELPERS)
    wide().to_csv("tiny.csv", index_label="date")
    competition().to_csv("months.csv", index=False)
    monkeypatch.setattr(forecasting, "DATASETS", {"tiny": TINY, "months": MONTHS})
    monkeypatch.setattr(forecasting, "N_PATHS", 20)
    monkeypatch.setattr(forecasting, "measure_fresh", lambda task: json.loads(json.dumps(forecasting.measure(task))))
    yield tmp_path
    sys.modules.pop("helpers", None)


def wide(n_rows=110):
    steps = np.arange(n_rows)
    noise = np.random.default_rng(0).normal(size=(n_rows, 2))
    values = np.column_stack([5 + np.sin(steps * np.pi / 2), 100 + 9 * np.cos(steps * np.pi / 2)]) + noise
    return pd.DataFrame(values, pd.date_range("2020-01-01", periods=n_rows, freq="h"), ["a", "b"])


def competition(lengths=(40, 50, 25)):
    parts = []
    for i, length in enumerate(lengths):
        y = 10 * (i + 1) + np.sin(np.arange(length) * np.pi / 6) + 0.1 * np.arange(length)
        split = ["train"] * (length - 3) + ["test"] * 3
        times = pd.date_range("2010-01-01", periods=length, freq="MS")
        parts.append(pd.DataFrame({"unique_id": f"s{i}", "ds": times, "y": y, "freq": "MS", "split": split}))
    return pd.concat(parts, ignore_index=True)


def rows_of(path="r.csv"):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run(*arguments):
    return forecasting.main(["--data", ".", "--out", "r.csv", "--seeds", "0", *arguments])


# Long horizon


def test_slices__all_origins__come_once_with_the_longest_horizon_that_has_targets(monkeypatch):
    monkeypatch.setattr(forecasting, "WINDOWS_PER_SLICE", 7)
    slices = list(forecasting.slices_of(80, 100, (2, 5), 1))
    assert [(origins.tolist(), steps) for origins, steps in slices] == [
        (list(range(80, 87)), 5),
        (list(range(87, 94)), 5),
        ([94, 95], 5),
        ([96, 97, 98], 2),
    ]
    assert [(origins.tolist(), steps) for origins, steps in forecasting.slices_of(60, 80, (2, 5), 6)] == [
        ([60, 66, 72], 5),
        ([78], 2),
    ]


def test_long_horizon__seasonal_naive_and_last_value__match_a_loop_over_all_test_windows(workplace):
    assert run("--datasets", "tiny", "--models", "SeasonalNaive", "LastValue", "helpers:Last") == 0
    rows = {(row["model"], row["horizon"]): row for row in rows_of()}
    train = wide().iloc[:60]
    values = ((wide() - train.mean()) / train.std(ddof=0)).to_numpy()[:100]
    for model, season in {"SeasonalNaive": 4, "LastValue": 1, "helpers:Last": 1}.items():
        for horizon, n_windows in {2: 19, 5: 16}.items():
            errors = [
                values[origin + step] - values[origin - season + step % season]
                for origin in range(80, 100 - horizon + 1)
                for step in range(horizon)
            ]
            row = rows[model, str(horizon)]
            assert (row["n_windows"], row["split"], row["n_series"]) == (str(n_windows), "test", "2")
            assert float(row["mse"]) == pytest.approx(np.square(errors).mean())
            assert float(row["mae"]) == pytest.approx(np.abs(errors).mean())
    # The estimator saw train alone, once, for the longest horizon.
    assert Path("fits").read_text().split("\n") == ["60 5", ""]


def test_long_horizon__validation_with_stride__scores_few_windows_and_needs_no_test_part(workplace):
    wide(80).to_csv("tiny.csv", index_label="date")
    assert run("--datasets", "tiny", "--models", "helpers:Last", "--validation", "--stride", "4") == 0
    assert [(row["horizon"], row["n_windows"], row["split"], row["stride"]) for row in rows_of()] == [
        ("2", "5", "validation", "4"),
        ("5", "4", "validation", "4"),
    ]


def test_read_long_horizon__values_after_train__leave_the_scale_alone(workplace):
    before = data.read_long_horizon(Path(), TINY, "test")
    changed = wide()
    changed.iloc[60:] += 1000
    changed.to_csv("tiny.csv", index_label="date")
    after = data.read_long_horizon(Path(), TINY, "test")
    pd.testing.assert_frame_equal(before.frame.iloc[:60], after.frame.iloc[:60], check_freq=False)
    np.testing.assert_allclose(after.frame.iloc[:60].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(after.frame.iloc[:60].std(ddof=0), 1)
    assert (len(after.frame), after.start, after.n_train) == (100, 80, 60)
    assert len(data.read_long_horizon(Path(), TINY, "validation").frame) == 80


def test_read_long_horizon__malformed_dates__become_integers(workplace):
    Path("rates.csv").write_text("date,a\n" + "".join(f"1990/1/{i} 0:00,{i}\n" for i in range(1, 11)))
    dataset = data.LongHorizon("rates.csv", 1, (0.7, 0.1, 0.2), has_dates=False, horizons=(1,))
    cut = data.read_long_horizon(Path(), dataset, "test")
    assert cut.frame.index.tolist() == list(range(10))
    assert (cut.n_train, cut.n_validation, cut.start) == (7, 1, 8)


@pytest.mark.parametrize("model", ["SeasonalNaive", "LastValue", "DLinear", "TransformerForecaster"])
def test_forecasts__targets_change__stay_the_same(model, workplace):
    frame = wide(100)
    origins, steps = np.array([88, 89, 90]), 5
    train, validation = frame.to_numpy()[:60], frame.to_numpy()[60:80]
    if model == "TransformerForecaster":
        fitted = forecasting.build({"model": OURS, "seed": 0, "horizons": [2, 5]}, TINY).fit(frame.iloc[:60])
        forecast = partial(forecasting.forecast_by_backtest, fitted)
    else:
        name = "DLinear(lookback=8, epochs=1)" if model == "DLinear" else model
        fitted = forecasting.build({"model": name, "seed": 0, "horizons": [5]}, TINY).fit(train, validation, 5)

        def forecast(frame, origins, steps):
            return forecasting.forecast_by_rival(fitted, frame.to_numpy(), origins, steps)

    before = forecast(frame, origins, steps)
    changed = frame.copy()
    changed.iloc[90:] += 50
    after = forecast(changed, origins, steps)
    assert before.shape == (3, 5, 2, 5 if model == "TransformerForecaster" else 1)  # four bounds of bands
    np.testing.assert_allclose(after, before, rtol=1e-5)  # each of the three origins is at most 90
    changed.iloc[89] += 50
    assert not np.allclose(forecast(changed, origins, steps)[2], before[2])


def test_dlinear__sine__learns_it_and_takes_the_best_epoch():
    values = np.sin(np.arange(400)[:, None] * np.pi / 8)
    model = rivals.DLinear(lookback=32, epochs=8, learning_rate=0.01)
    model.fit(values[:300], values[300:340], 16)
    forecast = model.forecast(values, np.array([350, 360]), 16)
    np.testing.assert_allclose(forecast[0], values[350:366], atol=0.2)
    np.testing.assert_allclose(forecast[1], values[360:376], atol=0.2)
    one_window = rivals.windows_of(values[0:48], 48)
    assert one_window.shape == (1, 1, 48)
    trend = np.convolve(np.pad(values[:32, 0], 12, mode="edge"), np.ones(25) / 25, mode="valid")
    inputs = {}
    for name, layer in model.network.named_children():
        layer.register_forward_hook(lambda layer, args, out, name=name: inputs.update({name: args[0]}))
    model.error(one_window)
    np.testing.assert_allclose(inputs["trend"][0, 0], trend, atol=1e-6)
    np.testing.assert_allclose(inputs["remainder"][0, 0], values[:32, 0] - trend, atol=1e-6)


# Competitions


def test_score_competition__two_series__matches_numbers_by_hand():
    def frame(**values):
        times = pd.to_datetime(["2020-01-01", "2021-01-01"])
        return pd.DataFrame({"unique_id": ["a", "a", "b", "b"], "ds": [*times, *times]} | values)

    past = pd.to_datetime(["2017-01-01", "2018-01-01", "2019-01-01"])
    history = pd.DataFrame({"unique_id": ["a"] * 3 + ["b"] * 3, "ds": [*past, *past], "y": [1.0, 2, 4, 10, 10, 14]})
    truth = frame(y=[4.0, 8, 14, 10])
    bands = {f"q{q}": [4 + 10 * (q - 0.5), 4 + 10 * (q - 0.5), 12.0, 12.0] for q in forecasting.QUANTILES}
    scores = forecasting.score_competition(frame(point=[4.0, 4, 12, 12], **bands), truth, history, season=1)

    # Seasonal differences average 1.5 and 2; naive repeats 4 and 14.
    smape = 100 * np.mean([0, 2 * 4 / 12, 2 * 2 / 26, 2 * 2 / 22])
    naive_smape = 100 * np.mean([0, 2 * 4 / 12, 0, 2 * 4 / 24])
    mase, naive_mase = np.mean([2 / 1.5, 2 / 2]), np.mean([2 / 1.5, 2 / 2])
    assert scores["smape"] == pytest.approx(smape)
    assert scores["mase"] == pytest.approx(mase)
    assert scores["owa"] == pytest.approx((smape / naive_smape + mase / naive_mase) / 2)
    loss = [
        max(q * (y - f), (q - 1) * (y - f))
        for q in np.arange(1, 10) / 10
        for y, f in [(4, 4 + 10 * (q - 0.5)), (8, 4 + 10 * (q - 0.5)), (14, 12), (10, 12)]
    ]
    assert scores["crps"] == pytest.approx(2 * np.sum(loss) / 9 / 36)
    # Bands of a: 0 to 8 and -0.75 to 8.75; b has no width.
    assert (scores["coverage_80"], scores["coverage_95"]) == (0.5, 0.5)


def test_score_competition__forecasts_missing__is_an_error(workplace):
    history, truth = data.read_competition(Path(), MONTHS, "test")
    forecast = truth[["unique_id", "ds"]].assign(point=1.0, **{f"q{q}": 1.0 for q in forecasting.QUANTILES})
    with pytest.raises(ValueError, match="Of 9 values 2 have no whole forecast"):
        forecasting.score_competition(forecast.iloc[2:], truth, history, 12)


def test_read_competition__test_targets__are_in_no_history(workplace):
    history, truth = data.read_competition(Path(), MONTHS, "test")
    assert (len(history), len(truth)) == (37 + 47 + 22, 9)
    changed = competition()
    changed.loc[changed["split"] == "test", "y"] = -1.0
    changed.sample(frac=1, random_state=0).to_csv("months.csv", index=False)
    pd.testing.assert_frame_equal(data.read_competition(Path(), MONTHS, "test")[0], history)
    assert (data.read_competition(Path(), MONTHS, "test")[1]["y"] == -1).all()


def test_read_competition__validation__holds_out_the_end_of_train_and_drops_short_series(workplace):
    history, truth = data.read_competition(Path(), MONTHS, "validation")
    test = data.read_competition(Path(), MONTHS, "test")[0]
    assert history.groupby("unique_id").size().to_dict() == {"s0": 34, "s1": 44}  # s2 has but 19: no two seasons
    for name, part in truth.groupby("unique_id"):
        pd.testing.assert_frame_equal(
            part.reset_index(drop=True), test[test["unique_id"] == name].tail(3).reset_index(drop=True)
        )


def test_competition__estimator__is_scored_with_bands_and_sums(workplace):
    assert run("--datasets", "months", "--models", "helpers:Last(shift=100)", "helpers:Last") == 0
    shifted, plain = rows_of()
    assert (plain["horizon"], plain["n_series"], plain["stride"], plain["error"]) == ("3", "3", "1", "")
    # Truth moves by less than 4 from the last value; a sum by less than 40, the band of sums.
    assert [float(plain[name]) for name in ("coverage_80", "coverage_95", "sum_coverage_80")] == [1, 1, 1]
    assert [float(shifted[name]) for name in ("coverage_80", "sum_coverage_80")] == [0, 0]
    assert float(plain["mase"]) < 5 < float(shifted["mase"])


def test_competition__statsforecast__seasonal_naive_has_an_owa_of_one(workplace):
    assert run("--datasets", "months", "--models", "SeasonalNaive", "Theta", "LastValue") == 0
    naive, theta = rows_of()
    assert float(naive["owa"]) == pytest.approx(1)
    assert float(naive["mase"]) == pytest.approx(1, abs=0.05)  # a season later the trend adds what it added before
    assert float(theta["mase"]) < 1
    assert naive["version"] == theta["version"] == "statsforecast 2.0.1"
    text = Path("r.md").read_text()
    assert "3 series, 3 steps" in text
    assert text.index("| Theta ") < text.index("| SeasonalNaive ")


def test_forecasting__ours__runs_under_both_protocols(workplace):
    assert run("--models", OURS) == 0
    short, long, competed = sorted(rows_of(), key=lambda row: (row["dataset"] == "months", row["horizon"]))
    assert {row["version"] for row in rows_of()} == {short["version"]}
    assert short["version"].startswith("tsformer")
    assert (short["n_windows"], long["n_windows"]) == ("19", "16")
    assert all(int(row["n_parameters"]) > 1000 and row["code"] == machine.code_hash() for row in rows_of())
    assert all(0 <= float(competed[name]) <= 1 for name in ("coverage_80", "coverage_95", "sum_coverage_80"))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_read_competition__air_passengers__has_the_last_year_to_forecast(split):
    history, truth = data.read_competition(Path(), data.DATASETS["AirPassengers"], split)
    assert (len(history), len(truth)) == ((132, 12) if split == "test" else (120, 12))
    assert truth["ds"].iloc[0] == history["ds"].iloc[-1] + pd.DateOffset(months=1)
    assert truth["y"].iloc[-1] == (432 if split == "test" else 405)


def test_read_competition__some_series__are_the_first_the_last_and_those_evenly_between(workplace):
    competition([40] * 9).to_csv("months.csv", index=False)
    history, truth = data.read_competition(Path(), replace(MONTHS, n_series=3), "test")
    assert [*history["unique_id"].unique()] == [*truth["unique_id"].unique()] == ["s0", "s4", "s8"]
    assert data.read_competition(Path(), replace(MONTHS, n_series=30), "test")[0]["unique_id"].nunique() == 9


def test_competition__alone__fits_each_series_by_itself_and_scores_all(workplace, monkeypatch):
    run("--models", "helpers:Last", "SeasonalNaive", "--datasets", "months")
    together = rows_of()
    monkeypatch.setattr(forecasting, "DATASETS", {"months": replace(MONTHS, alone=True)})
    Path("fits").unlink()
    forecasting.main(["--data", ".", "--out", "alone.csv", "--models", "helpers:Last", "SeasonalNaive", "--seeds", "0"])
    assert Path("fits").read_text().splitlines()[1:] == ["37 3", "47 3", "22 3"]  # the first only warms up
    measures = [*forecasting.COMPETITION_MEASURES, "n_series"]
    for row, of_all in zip(rows_of("alone.csv"), together, strict=True):  # what repeats the last value learns nothing
        assert [row[name] for name in measures] == [of_all[name] for name in measures]


# Pretrained weights


def tasks(*arguments):
    return forecasting.all_tasks(
        forecasting.parse(["--data", ".", "--out", "r.csv", "--datasets", "months", *arguments])
    )


def test_tasks__of_ours__name_seeds_and_weights_where_they_matter(workplace):
    zero_shot, fitted, from_scratch = forecasting.OURS
    Path("other.safetensors").write_bytes(b"other")
    models = ["--models", zero_shot, fitted, from_scratch, "--seeds", "0", "1"]
    found = [(task["model"], task["seed"], task["weights"]) for task in tasks(*models)]
    assert found == [
        (zero_shot, 0, "shipped"),  # no chance in it
        (fitted, 0, "shipped"),
        (fitted, 1, "shipped"),
        (from_scratch, 0, ""),
        (from_scratch, 1, ""),
    ]
    other = hashlib.sha256(b"other").hexdigest()[:12]
    weights = ["--weights", "3=other.safetensors", f"4={BUNDLED['TransformerForecaster']}"]
    found = [(task["model"], task["seed"], task["weights"]) for task in tasks(*models, *weights)]
    assert found == [
        *((model, seed, name) for model in (zero_shot, fitted) for seed, name in ((3, other), (4, "shipped"))),
        (from_scratch, 0, ""),
        (from_scratch, 1, ""),
    ]


@pytest.mark.parametrize("argument", ["other.safetensors", "one=months.csv", "1=absent.safetensors"])
def test_weights__no_seed_or_no_file__are_refused(argument, workplace, capsys):
    with pytest.raises(SystemExit):
        tasks("--weights", argument)
    assert "is not SEED=FILE" in capsys.readouterr().err


def test_weights__of_several_pretrainings__are_begun_with_and_shown_by_mean_and_shipped_one(workplace):
    bundled = BUNDLED["TransformerForecaster"]
    weights = load_file(bundled)
    with safe_open(bundled, "pt") as file:
        changed = weights | {"mixture.bias": weights["mixture.bias"] + 0.1}
        save_file(changed, "other.safetensors", file.metadata())
    given = ["--weights", f"0={bundled}", "1=other.safetensors"]
    assert run("--datasets", "months", "--models", forecasting.OURS[0], "SeasonalNaive", *given) == 0
    shipped, other, naive = rows_of()
    assert (shipped["weights"], len(other["weights"]), naive["weights"]) == ("shipped", 12, "")
    assert float(shipped["mase"]) < float(other["mase"])
    assert all(float(row["median_mase"]) > 0 for row in rows_of())
    text = Path("r.md").read_text()
    assert f"Pretrained weights: shipped at seed 0, {other['weights']} at seed 1." in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    header, row = next(line for line in cells if "MASE, shipped" in line), next(r for r in cells if "max_steps" in r[0])
    means = dict(zip(header, row, strict=True))
    mases = [float(shipped["mase"]), float(other["mase"])]
    assert means["MASE"] == f"{np.mean(mases):.3f} ± {np.std(mases, ddof=1):.3f}"
    assert means["MASE, shipped"] == f"{mases[0]:.3f}"

    run("--datasets", "months", "--models", forecasting.OURS[0], *given)  # all there: nothing is measured again
    assert len(rows_of()) == 3


# The file of rows


def test_forecasting__rows_lost_in_the_middle_of_a_task__only_these_are_measured_anew(workplace, capsys):
    arguments = ("--datasets", "tiny", "--models", "helpers:Last", "SeasonalNaive", "--seeds", "0", "1")
    run(*arguments)
    lines = Path("r.csv").read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 4 + 2  # chance may play a part in an estimator, not in seasonal naive
    Path("r.csv").write_text("".join(lines[:6]) + lines[6][:20])

    run(*arguments)
    assert "5 of 6 rows are there, 1 to go" in capsys.readouterr().out
    assert Path("r.csv").read_text().startswith("".join(lines[:6]))
    keys = [forecasting.ROWS.key(row) for row in rows_of()]
    assert len(set(keys)) == len(keys) == 6


def test_forecasting__failing_estimator__is_rows_and_is_tried_again(workplace, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    assert run("--models", "helpers:Last", "LastValue") == 1
    failed = [row for row in rows_of() if row["error"]]
    assert [(row["dataset"], row["horizon"]) for row in failed] == [("tiny", "2"), ("tiny", "5"), ("months", "3")]
    assert {row["error"] for row in failed} == {"MemoryError: no more, at all"}
    assert "- months, test, 3 steps, helpers:Last, seed 0: MemoryError" in Path("r.md").read_text()

    monkeypatch.delenv("BROKEN")
    assert run("--models", "helpers:Last", "LastValue") == 0
    assert [row["error"] for row in rows_of()] == [""] * 5


def test_forecasting__validation_and_test_rows__may_share_a_file(workplace):
    run("--datasets", "tiny", "--models", "LastValue")
    run("--datasets", "tiny", "--models", "LastValue", "--validation")
    assert [row["split"] for row in rows_of()] == ["test", "test", "validation", "validation"]


def test_forecasting__model_of_another_protocol__is_refused_where_it_alone_is_asked_for(workplace):
    with pytest.raises(SystemExit, match="None of AutoETS runs on tiny"):
        run("--datasets", "tiny", "--models", "AutoETS")


def test_score_windows__bands_around_two_of_four_values__have_errors_and_coverage_by_hand():
    values = np.array([[0.0], [1.0], [2.0], [3.0]])

    def forecast(origins, steps):
        """Point 0; the 80 % band reaches to 1, the 95 % band to 2."""
        return np.broadcast_to([0.0, 0.0, 1.0, -1.0, 2.0], (len(origins), steps, 1, 5))

    first, second = forecasting.score_windows(values, forecasting.slices_of(0, 4, (2, 4), 1), (2, 4), forecast)
    assert second == {"mse": 3.5, "mae": 1.5, "coverage_80": 0.5, "coverage_95": 0.75, "n_windows": 1}
    # Windows (0, 1), (1, 2), (2, 3).
    assert (first["coverage_80"], first["coverage_95"]) == pytest.approx((1.5 / 3, 2.5 / 3))
    assert (first["mae"], first["n_windows"]) == (1.5, 3)


def test_long_horizon__forecasts_without_end__are_a_failure():
    def forecast(origins, steps):
        return np.full((len(origins), steps, 2, 1), np.inf)

    with pytest.raises(ValueError, match="not finite in a window of 5 steps from 80 on"):
        forecasting.score_windows(wide().to_numpy(), forecasting.slices_of(80, 100, (2, 5), 1), (2, 5), forecast)


def test_dlinear__rows__come_from_one_task_for_each_horizon_and_seed(workplace):
    options = forecasting.parse(["--data", ".", "--out", "r.csv", "--datasets", "tiny", "--models", "DLinear"])
    tasks = forecasting.all_tasks(options)
    assert [(task["horizons"], task["seed"]) for task in tasks] == [([h], seed) for h in (2, 5) for seed in (0, 1, 2)]


def test_measure_fresh__process_dies__is_a_row_for_each_horizon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    Path("helpers.py").write_text(HELPERS)
    values = np.random.default_rng(0).normal(size=(4000, 1))
    pd.DataFrame(values, columns=["a"]).to_csv("exchange_rate.csv.gz", index_label="date")
    same = {"dataset": "exchange_rate", "split": "test", "stride": 1, "seed": 0, "threads": 1, "folder": "."}
    rows = forecasting.measure_fresh(same | {"model": "helpers:Dying", "horizons": [96, 192]})
    assert [row["error"] for row in rows] == ["The process ended with status 7."] * 2
    assert [tuple(row) for row in rows] == [forecasting.COLUMNS] * 2

    rows = forecasting.measure_fresh(same | {"model": "helpers:Last", "horizons": [96, 192]})
    assert [row["error"] for row in rows] == [""] * 2
    assert rows[0]["mse"] == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stride", "2"], "1 without --validation"),
        (["--datasets", "nothing"], "invalid choice"),
        (["--models", "Prophet"], "'Prophet' is none of"),
        (["--jobs", "2", "--threads", "2"], "needs --jobs 1"),
    ],
)
def test_forecasting__bad_arguments__are_refused_before_any_work(arguments, message, workplace, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert message in capsys.readouterr().err
    assert not Path("r.csv").exists()


# Tables


def test_summarise__published_numbers__stand_with_look_back_and_source(workplace):
    Path("published.csv").write_text(
        "dataset,horizon,lookback,method,mse,mae,mase,trained_on,download,source\n"
        + "".join(f"tiny,{h},512 (recalled),Rival,0.{h},0.5,,its train part,,somewhere\n" for h in (96, 192, 336, 720))
        + "tiny,avg,96,Mean,0.2,0.3,,other real data,3 MB,elsewhere\nother,96,96,Absent,0.1,0.1,,,,x\n"
        + "months,,,Worse,,,1.5,,35 MB,there\nmonths,,,Better,,,0.9,synthetic series,,there\n"
    )
    run("--models", "LastValue", "helpers:Last", "SeasonalNaive", "--seeds", "0", "1")
    text = forecasting.summarise(Path("r.csv"), Path("published.csv"))
    assert "In the scale of train, over 19 windows of 2, 16 windows of 5" in text
    assert "± 0.000" in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    rival = ["Rival", "0.960", "0.192", "0.336", "0.720", "0.552", "512 (recalled)", "its train part", "", "somewhere"]
    assert rival in cells
    assert ["Mean", "", "", "", "", "0.200", "96", "other real data", "3 MB", "elsewhere"] in cells
    better, worse = (
        ["Better", "0.900", "", "synthetic series", "", "there"],
        ["Worse", "1.500", "", "", "35 MB", "there"],
    )
    assert cells.index(better) < cells.index(worse)
    assert "Absent" not in text
    assert "No row failed." in text
