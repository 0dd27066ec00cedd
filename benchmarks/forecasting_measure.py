"""Measures one forecaster on one dataset in a fresh process: a task (JSON) enters, rows of results (JSON) leave.

Two protocols, each with its measures; what is closed to a forecaster is not in the frames it gets.

**Long horizon** (ETTh1, ETTm1, exchange_rate; a row for each horizon): the series are cut in time into train,
validation and test, ETT into 12, 4 and 4 months of 30 days, exchange rates into 0.7, 0.1 and 0.2 of the rows. Each
channel is scaled by its mean and deviation in train, and MSE and MAE are in that scale, over all windows whose targets
lie in the test part, one time point apart: n_test - horizon + 1 of them; of ours also the share of values inside its
bands. What a forecaster reads may reach back into validation. Ours is fitted once, on train alone, for the longest
horizon; its forecasts of that length from each origin give the shorter horizons too, and near the end, where no whole
longest horizon is left, it forecasts as far as there are targets. The dates of exchange_rate count every row as a day
though weekends are absent, so its times are integers. DLinear learns for each horizon, and takes the epoch that is best
on validation.

**Competition** (M3 and Tourism by frequency): one forecaster of ours for all series of a frequency; the rivals of
statsforecast are fitted to each series. Means over series unless said:

- smape: 200 |y - f| / (|y| + |f|); mase: the absolute error by that of seasonal naive within the history.
- owa: the mean of smape and mase, each divided by that of seasonal naive (not Naive2, as in M4) on the same series.
- crps: twice the quantile loss, the mean over the quantiles .1 to .9, summed over all series and times and divided by
  the sum of |y|: the weighted quantile loss.
- coverage_80, coverage_95: share of values inside the band; sum_coverage_80: share of monthly series whose sum over the
  horizon lies between the quantiles .1 and .9 of the sums of sampled paths.

With split "validation" the test part stays closed: long horizons are scored on the windows whose targets lie in the
validation part, `stride` time points apart (DLinear has then chosen its epoch on the same windows), and competitions on
the last horizon of train; series that then have fewer time points left than a horizon, or than two seasons, are left
out.

The clock runs over `fit` and over the forecasts; statsforecast does both in one, which is under `fit_seconds`. Before
it a copy of a competition's forecaster runs on two series, so that imports and compilation are not counted.
"""

import contextlib
import ctypes
import hashlib
import importlib
import inspect
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import code_hash, network, parse_name, peak_memory_mb, version, versions
from rows import Row, RowFile, run_script, told

COLUMNS = (
    *("dataset", "split", "stride", "horizon", "model", "seed", "mse", "mae"),
    *("smape", "mase", "owa", "crps", "coverage_80", "coverage_95", "sum_coverage_80"),
    *("fit_seconds", "predict_seconds", "peak_memory_mb", "n_parameters", "n_series", "n_windows"),
    *("version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(COLUMNS, ("dataset", "split", "stride", "horizon", "model", "seed"))

FORECASTERS = {"TransformerForecaster": "tsformer:TransformerForecaster"}
LONG_HORIZON_RIVALS = {
    "SeasonalNaive": "forecasting_rivals:SeasonalNaive",
    "LastValue": "forecasting_rivals:LastValue",
    "DLinear": "forecasting_rivals:DLinear",
}
COMPETITION_RIVALS = {
    "SeasonalNaive": "statsforecast.models:SeasonalNaive",
    "AutoETS": "statsforecast.models:AutoETS",
    "Theta": "statsforecast.models:Theta",
    "AutoTheta": "statsforecast.models:AutoTheta",
}
MODELS = COMPETITION_RIVALS | LONG_HORIZON_RIVALS | FORECASTERS
PER_HORIZON = {"DLinear"}  # learns anew for each
SEEDED = {"DLinear"}  # of the rivals

WINDOWS_PER_SLICE = 256  # bounds memory
N_PATHS = 100
QUANTILES = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
DECILES = [quantile for quantile in QUANTILES if 0.1 <= quantile <= 0.9]
BANDS = (80, 95)
LEVELS = {20: (0.4, 0.6), 40: (0.3, 0.7), 60: (0.2, 0.8), 80: (0.1, 0.9), 95: (0.025, 0.975)}
BOUNDS = {"q0.1": "model-lo-80", "q0.9": "model-hi-80", "q0.025": "model-lo-95", "q0.975": "model-hi-95"}


@dataclass(frozen=True)
class LongHorizon:
    """Channels cut in time; `parts` are numbers of time points, or shares of them."""

    file: str
    season: int
    parts: tuple[float, float, float]
    has_dates: bool = True
    horizons: tuple[int, ...] = (96, 192, 336, 720)
    rivals = LONG_HORIZON_RIVALS


@dataclass(frozen=True)
class Competition:
    """The series of one frequency of a long frame."""

    file: str
    freq: str
    season: int
    horizons: tuple[int]
    rivals = COMPETITION_RIVALS


def months_of_ett(steps_per_day: int) -> tuple[int, int, int]:
    """Count the time points of 12, 4 and 4 months of 30 days."""
    return 360 * steps_per_day, 120 * steps_per_day, 120 * steps_per_day


DATASETS: dict[str, LongHorizon | Competition] = {
    "ETTh1": LongHorizon("ETTh1.csv.gz", 24, months_of_ett(24)),
    "ETTm1": LongHorizon("ETTm1.csv.gz", 96, months_of_ett(96)),
    "exchange_rate": LongHorizon("exchange_rate.csv.gz", 1, (0.7, 0.1, 0.2), has_dates=False),
    "m3-yearly": Competition("m3.csv.gz", "YS", 1, (6,)),
    "m3-quarterly": Competition("m3.csv.gz", "QS", 4, (8,)),
    "m3-monthly": Competition("m3.csv.gz", "MS", 12, (18,)),
    "tourism-yearly": Competition("tourism.csv.gz", "YS", 1, (4,)),
    "tourism-quarterly": Competition("tourism.csv.gz", "QS", 4, (8,)),
    "tourism-monthly": Competition("tourism.csv.gz", "MS", 12, (24,)),
}


def run_fresh(task: Row) -> list[Row]:
    """Measure a task in a process of its own; the death of that process is told in rows too."""
    blank = blank_rows(task)
    rows, error = run_script(__file__, task)
    if rows is None:
        return [row | {"error": error} for row in blank]
    if rows[0]["error"]:
        print(error, file=sys.stderr)
    return rows


def measure(task: Row) -> list[Row]:
    """Measure a task in this process: a row for each of its horizons; a failure fills `error`."""
    rows = [row | {"code": code_hash(), "versions": versions()} for row in blank_rows(task)]
    dataset = DATASETS[task["dataset"]]
    run = measure_long_horizon if isinstance(dataset, LongHorizon) else measure_competition
    try:
        return [row | result for row, result in zip(rows, run(task, dataset), strict=True)]  # type: ignore[arg-type]
    except Exception as error:
        message = told(error)
        return [row | {"error": message} for row in rows]


def blank_rows(task: Row) -> list[Row]:
    """Start a row for each horizon of a task."""
    return [ROWS.blank(task | {"horizon": horizon}) for horizon in task["horizons"]]


# Long horizon


@dataclass(frozen=True)
class Cut:
    """Scaled channels up to the end of the part that is scored, which begins at `start`."""

    frame: pd.DataFrame
    n_train: int
    n_validation: int
    start: int


def measure_long_horizon(task: Row, dataset: LongHorizon) -> list[Row]:
    """Fit once, forecast from each origin, score each horizon."""
    cut = read_long_horizon(Path(task["folder"]), dataset, task["split"])
    values = cut.frame.to_numpy()
    model = build(task, dataset)

    began = time.perf_counter()
    forecast: Callable[[np.ndarray, int], np.ndarray]
    if is_rival(task["model"], dataset):
        train, validation = np.split(values[: cut.n_train + cut.n_validation], [cut.n_train])
        model.fit(train, validation, max(task["horizons"]))
        forecast = partial(forecast_by_rival, model, values)
    else:
        model.fit(cut.frame.iloc[: cut.n_train])
        forecast = partial(forecast_by_backtest, model, cut.frame)
    fitted = time.perf_counter()
    slices = slices_of(cut.start, len(values), task["horizons"], task["stride"])
    scores = score_windows(values, slices, task["horizons"], forecast)
    same = network(model) | {
        "fit_seconds": round(fitted - began, 4),
        "predict_seconds": round(time.perf_counter() - fitted, 4),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "n_series": cut.frame.shape[1],
    }
    return [same | score for score in scores]


def read_long_horizon(folder: Path, dataset: LongHorizon, split: str) -> Cut:
    """Read the channels, scale them by train, and cut off what comes after the part to score."""
    raw = pd.read_csv(folder / dataset.file, index_col="date")
    raw.index = pd.DatetimeIndex(raw.index) if dataset.has_dates else pd.RangeIndex(len(raw))
    n_train, n_validation, n_test = sizes_of(dataset.parts, len(raw))
    train = raw.iloc[:n_train]
    scaled = (raw - train.mean()) / train.std(ddof=0)
    start = n_train if split == "validation" else n_train + n_validation
    end = n_train + n_validation + (0 if split == "validation" else n_test)
    return Cut(scaled.iloc[:end], n_train, n_validation, start)


def sizes_of(parts: Sequence[float], n_rows: int) -> tuple[int, int, int]:
    """Count the time points of train, validation and test; of shares, validation gets what the others leave."""
    if all(isinstance(part, int) for part in parts):
        n_train, n_validation, n_test = map(int, parts)
        return n_train, n_validation, n_test
    n_train, n_test = int(parts[0] * n_rows), int(parts[2] * n_rows)
    return n_train, n_rows - n_train - n_test, n_test


def slices_of(start: int, end: int, horizons: Sequence[int], stride: int) -> Iterator[tuple[np.ndarray, int]]:
    """Name all windows in slices: their origins, and the longest horizon for which these have targets before `end`."""
    origins = np.arange(start, end - min(horizons) + 1, stride)
    longest = np.array([max(steps for steps in horizons if origin + steps <= end) for origin in origins])
    for steps in sorted(set(longest.tolist()), reverse=True):
        here = origins[longest == steps]
        for first in range(0, len(here), WINDOWS_PER_SLICE):
            yield here[first : first + WINDOWS_PER_SLICE], steps


def forecast_by_rival(model: Any, values: np.ndarray, origins: np.ndarray, steps: int) -> np.ndarray:
    """Forecast `steps` values from each origin on, without bands: (n_origins, steps, C, 1)."""
    return np.asarray(model.forecast(values, origins, steps))[..., np.newaxis]


def forecast_by_backtest(model: Any, frame: pd.DataFrame, origins: np.ndarray, steps: int) -> np.ndarray:
    """Forecast `steps` values and BANDS from each origin on, whatever horizon the model was fitted for.

    The result has shape (n_origins, steps, C, 1 + 4); a model whose `head` has no quantiles gives no bands.
    """
    stride = int(origins[1] - origins[0]) if len(origins) > 1 else 1
    model.set_params(horizon=steps)
    bands = {} if getattr(model, "head", "point") == "point" else {"level": BANDS}
    past = model.backtest(frame.iloc[: origins[-1] + steps], n_windows=len(origins), step_size=stride, **bands)
    cutoffs = past["cutoff"].to_numpy().ravel()
    order = cutoffs.argsort(kind="stable")
    if not np.array_equal(cutoffs[order], frame.index[origins - 1].repeat(steps)):
        raise ValueError(f"backtest forecast other windows than those of {steps} steps from {origins[0]} on.")
    values = past[frame.columns].to_numpy()[order]
    return values.reshape(len(origins), steps, frame.shape[1], -1)


def score_windows(
    values: np.ndarray,
    slices: Iterable[tuple[np.ndarray, int]],
    horizons: Sequence[int],
    forecast: Callable[[np.ndarray, int], np.ndarray],
) -> list[Row]:
    """Average the errors, and the shares inside the bands that there are, over all windows of each horizon."""
    n_windows = dict.fromkeys(horizons, 0)
    totals: dict[int, Counter[str]] = {horizon: Counter() for horizon in horizons}
    for origins, steps in slices:
        truth = values[origins[:, None] + np.arange(steps)]
        point, *bounds = np.moveaxis(forecast(origins, steps), -1, 0)
        errors = point - truth
        if not np.isfinite(errors).all():
            raise ValueError(f"Forecasts or values are not finite in a window of {steps} steps from {origins[0]} on.")
        measures = {"mse": errors**2, "mae": np.abs(errors)}
        for level, low, high in zip(BANDS, bounds[::2], bounds[1::2], strict=False):
            measures[f"coverage_{level}"] = (low <= truth) & (truth <= high)
        for horizon in horizons:
            if horizon <= steps:
                n_windows[horizon] += len(origins)
                for name, measure in measures.items():
                    totals[horizon][name] += measure[:, :horizon].mean(axis=(1, 2)).sum()
    return [
        {name: float(total) / n_windows[h] for name, total in totals[h].items()} | {"n_windows": n_windows[h]}
        for h in horizons
    ]


# Competitions


def measure_competition(task: Row, dataset: Competition) -> list[Row]:
    """Fit to the history of all series, forecast what follows, score it."""
    history, truth = read_competition(Path(task["folder"]), dataset, task["split"])
    few = history[history["unique_id"].isin(history["unique_id"].unique()[:2])]
    with contextlib.suppress(Exception):  # what cannot learn from so few stays cold
        forecast_competition(build(task, dataset, max_steps=1), few, task, dataset)

    model = build(task, dataset)
    forecast, sums, seconds = forecast_competition(model, history, task, dataset)
    return [
        score_competition(forecast, truth, history, dataset.season)
        | score_sums(sums, truth)
        | seconds
        | network(model)
        | {
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "n_series": truth["unique_id"].nunique(),
            "n_windows": 1,
        }
    ]


def read_competition(folder: Path, dataset: Competition, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the series of a frequency: their history and the horizon after it, by series and time."""
    rows = pd.read_csv(folder / dataset.file, parse_dates=["ds"], dtype={"unique_id": str})
    rows = rows[rows["freq"] == dataset.freq].sort_values(["unique_id", "ds"], ignore_index=True)
    is_truth = rows["split"] == "test"
    if split == "validation":
        rows = rows[~is_truth]
        is_truth = rows.groupby("unique_id").cumcount(ascending=False) < dataset.horizons[0]
        n_known = (~is_truth).groupby(rows["unique_id"]).transform("sum")
        long_enough = n_known >= max(dataset.horizons[0], 2 * dataset.season)
        rows, is_truth = rows[long_enough], is_truth[long_enough]
    columns = ["unique_id", "ds", "y"]
    return rows.loc[~is_truth, columns].reset_index(drop=True), rows.loc[is_truth, columns].reset_index(drop=True)


def forecast_competition(
    model: Any, history: pd.DataFrame, task: Row, dataset: Competition
) -> tuple[pd.DataFrame, pd.DataFrame | None, Row]:
    """Forecast a horizon: columns unique_id, ds, "point" and "q0.1"; sums of sampled paths; and how long it took."""
    horizon = dataset.horizons[0]
    began = time.perf_counter()
    if is_rival(task["model"], dataset):
        from statsforecast import StatsForecast

        runner = StatsForecast(models=[model], freq=dataset.freq, n_jobs=task["threads"])
        forecast = from_levels(runner.forecast(df=history, h=horizon, level=list(LEVELS)), model.alias)
        return forecast, None, {"fit_seconds": round(time.perf_counter() - began, 4), "predict_seconds": 0.0}
    model.fit(history)
    fitted = time.perf_counter()
    forecast = model.predict(horizon=horizon, quantiles=list(QUANTILES))
    forecast.columns = [{"y": "point"}.get(name, name.removeprefix("y-")) for name in forecast.columns]
    seconds = {"fit_seconds": fitted - began, "predict_seconds": time.perf_counter() - fitted}
    sums = path_sums(model.sample(N_PATHS, horizon=horizon)) if dataset.season == 12 else None
    return forecast, sums, {name: round(value, 4) for name, value in seconds.items()}


def from_levels(forecast: pd.DataFrame, model: str) -> pd.DataFrame:
    """Name the bands of statsforecast by their quantiles; its point forecast is the median of its bands."""
    columns = {"point": forecast[model], "q0.5": forecast[model]}
    for level, (low, high) in LEVELS.items():
        columns |= {f"q{low}": forecast[f"{model}-lo-{level}"], f"q{high}": forecast[f"{model}-hi-{level}"]}
    return forecast[["unique_id", "ds"]].assign(**columns)


def path_sums(paths: pd.DataFrame) -> pd.DataFrame:
    """Take the quantiles .1 and .9 of the sums over the horizon: a row a series."""
    sums = paths.reset_index("path").groupby(["unique_id", "path"])["y"].sum()
    return sums.groupby("unique_id").quantile(np.array([0.1, 0.9])).unstack()


def score_competition(forecast: pd.DataFrame, truth: pd.DataFrame, history: pd.DataFrame, season: int) -> Row:
    """Score forecasts of one horizon for each series."""
    from utilsforecast.losses import coverage, mase, quantile_loss, smape

    scored = truth.merge(forecast, on=["unique_id", "ds"], how="left").merge(seasonal_naive(truth, history, season))
    if scored.isna().any(axis=None) or len(scored) != len(truth):
        raise ValueError(f"Of {len(truth)} values {int(scored.isna().any(axis=1).sum())} have no whole forecast.")
    points = ["point", "naive"]
    percent, scaled = smape(scored, points)[points].mean(), mase(scored, points, season, history)[points].mean()
    losses = [quantile_loss(scored, {"loss": f"q{q}"}, q)["loss"].mean() for q in DECILES]
    bands = scored.rename(columns=BOUNDS)
    return {
        "smape": 200 * percent["point"],
        "mase": scaled["point"],
        "owa": (percent["point"] / percent["naive"] + scaled["point"] / scaled["naive"]) / 2,
        # All series have as many values, so that the mean of their means is that of all.
        "crps": 2 * np.mean(losses) / truth["y"].abs().mean(),
        "coverage_80": coverage(bands, ["model"], 80)["model"].mean(),
        "coverage_95": coverage(bands, ["model"], 95)["model"].mean(),
    }


def seasonal_naive(truth: pd.DataFrame, history: pd.DataFrame, season: int) -> pd.DataFrame:
    """Repeat the last season of each history over the times of truth: columns unique_id, ds, naive."""
    last = history.groupby("unique_id").tail(season)
    last = last.assign(step=last.groupby("unique_id").cumcount())[["unique_id", "step", "y"]]
    steps = truth[["unique_id", "ds"]].assign(step=truth.groupby("unique_id").cumcount() % season)
    return steps.merge(last, on=["unique_id", "step"]).rename(columns={"y": "naive"}).drop(columns="step")


def score_sums(sums: pd.DataFrame | None, truth: pd.DataFrame) -> Row:
    """Count the series whose sum over the horizon lies in the band of 80 %."""
    if sums is None:
        return {}
    actual = truth.groupby("unique_id")["y"].sum()
    return {"sum_coverage_80": ((sums[0.1] <= actual) & (actual <= sums[0.9])).mean()}


# Models by name


def is_rival(name: str, dataset: LongHorizon | Competition) -> bool:
    """Tell the rivals of a protocol from forecasters with our methods."""
    return bare(name) in dataset.rivals


def suits(name: str, dataset: LongHorizon | Competition) -> bool:
    """Tell whether a model can run under the protocol of a dataset."""
    return is_rival(name, dataset) or bare(name) not in COMPETITION_RIVALS | LONG_HORIZON_RIVALS


def bare(name: str) -> str:
    """Leave the parameters away."""
    return name.partition("(")[0]


def build(task: Row, dataset: LongHorizon | Competition, **instead: Any) -> Any:
    """Make a task's model with what it takes of seed, season and horizon."""
    target, parameters = parse_name(task["model"], FORECASTERS | dataset.rivals)
    module, _, name = target.partition(":")
    cls = getattr(importlib.import_module(module), name)
    given = {"random_state": task["seed"], "horizon": max(task["horizons"])}
    given |= {"season": dataset.season, "season_length": dataset.season}
    taken = inspect.signature(cls).parameters
    wanted = given | parameters | instead
    return cls(**{key: value for key, value in wanted.items() if key in taken or key in parameters})


def model_version(name: str, dataset: LongHorizon | Competition) -> str:
    """Name what a model's rows depend on: a library and its version, or the state of our file of rivals."""
    known = FORECASTERS | dataset.rivals
    if parse_name(name, known)[0].startswith("forecasting_rivals:"):
        source = Path(__file__).with_name("forecasting_rivals.py").read_bytes()
        return f"forecasting_rivals {hashlib.sha256(source).hexdigest()[:12]}"
    return version(name, known)


if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the run: an orphan would go on using the cores
    print("\n" + json.dumps(measure(json.loads(sys.argv[1]))))
