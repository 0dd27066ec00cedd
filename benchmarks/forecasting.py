"""Benchmarks forecasters on a folder of datasets: one CSV row per (dataset, horizon, model, seed), then the tables.

    python benchmarks/forecasting.py --data data/forecast --seeds 0 1 2 --out r.csv
    python benchmarks/forecasting.py --data data/forecast --datasets ETTh1 m3-monthly \
        --models "TransformerForecaster(scheduled_sampling=1.0)" --validation --stride 24 --out tuning.csv
    python benchmarks/forecasting.py --data data/forecast --weights 0=a.safetensors 1=b.safetensors --out r.csv
    python benchmarks/forecasting.py --summary r.csv

Ours by default are "TransformerForecaster(max_steps=0)", which forecasts without training, "TransformerForecaster",
which trains as long as its rule says, and "TransformerForecaster(pretrained=None)", which trains from scratch. With
--weights the first two begin with other weights at each seed, so that they vary with the pretraining too.

With --validation the test parts stay closed, so that a default can be chosen. A fresh process measures each model; one
without chance runs at one seed.

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

**Competition** (M3 and Tourism by frequency, 100 or 20 series of M3 monthly evenly taken, AirPassengers): one
forecaster of ours for all series, but in m3-monthly-single one for each of 100; the rivals of statsforecast are fitted
to each series. Means over series unless said:

- smape: 200 |y - f| / (|y| + |f|); mase: the absolute error by that of seasonal naive within the history.
- median_mase: the same, the median over series.
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

Numbers in the tables are means over seeds, for ours and DLinear ± the standard deviation where there are several seeds;
"shipped" is what the weights in the package alone reach, where there are others too. A published number stands with
what its network was trained on, what there is to download, its look-back ("recalled": not stated where the number was
read) and its source, which says what is known of its protocol; many chose by the test part.
"""

import argparse
import contextlib
import hashlib
import sys
import time
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from commands import exit_with, parse_long, parser
from forecasting_data import DATASETS, Competition, LongHorizon, read_competition, read_long_horizon, seasonal_naive
from machine import Row, bare, canonical, code_hash, commit, made, network, parse_name, peak_memory_mb, version
from rows import RowFile, read_rows
from tables import markdown, number, provenance_section, write_summary

COLUMNS = (
    *("dataset", "split", "stride", "horizon", "model", "seed", "weights", "mse", "mae"),
    *("smape", "mase", "median_mase", "owa", "crps", "coverage_80", "coverage_95", "sum_coverage_80"),
    *("fit_seconds", "predict_seconds", "peak_memory_mb", "n_parameters", "n_series", "n_windows"),
    *("version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(
    COLUMNS,
    ("dataset", "split", "stride", "horizon", "model", "seed", "weights"),
    rows_of=lambda task: [task | {"horizon": horizon} for horizon in task["horizons"]],
)
PUBLISHED = Path(__file__).with_name("reference") / "forecast_published.csv"

FORECASTERS = {"TransformerForecaster": "tsformer:TransformerForecaster"}
MODELS = Competition.rivals | LongHorizon.rivals | FORECASTERS
OURS = [f"TransformerForecaster{how}" for how in ("(max_steps=0)", "", "(pretrained=None)")]
DEFAULT_MODELS = [*(name for name in MODELS if name != "AutoTheta" and name not in FORECASTERS), *OURS]
# Parameters that say which network it is: a name with one of them takes no other weights.
OF_NETWORK = {"pretrained", "encoder", "head", "d_model", "n_heads", "n_layers", "d_ff", "dropout"}
SHIPPED = "shipped"  # how rows name the weights in the package
PER_HORIZON = {"DLinear"}  # learns anew for each
SEEDED = {"DLinear"}  # of the rivals

WINDOWS_PER_SLICE = 256  # bounds memory
N_PATHS = 100
QUANTILES = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
DECILES = [quantile for quantile in QUANTILES if 0.1 <= quantile <= 0.9]
BANDS = (80, 95)
LEVELS = {20: (0.4, 0.6), 40: (0.3, 0.7), 60: (0.2, 0.8), 80: (0.1, 0.9), 95: (0.025, 0.975)}
BOUNDS = {"q0.1": "model-lo-80", "q0.9": "model-hi-80", "q0.025": "model-lo-95", "q0.975": "model-hi-95"}

COMPETITION_MEASURES = ["smape", "mase", "median_mase", "owa", "crps", "coverage_80", "coverage_95", "sum_coverage_80"]
LONG_HORIZON_MEASURES = {
    "mse": "MSE",
    "mae": "MAE",
    "coverage_80": "Share of values inside the 80 % band",
    "coverage_95": "Share of values inside the 95 % band",
}
HORIZONS = ["96", "192", "336", "720"]  # of published numbers
PUBLISHED_MEASURES = ("mse", "mae", "mase")
ABOUT = ["method", "lookback", "trained_on", "download", "source"]  # published numbers
DIGITS = {"smape": 2}
HEADINGS = {"smape": "sMAPE", "mase": "MASE", "median_mase": "median MASE", "owa": "OWA", "crps": "CRPS"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and summarise, or only summarise; the status is 1 where rows failed."""
    options = parse(arguments)
    n_failed = 0 if options.summary else run(all_tasks(options), options)
    print(summarise(options.summary or options.out, options.reference))
    return int(n_failed > 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    command = parser(__doc__)
    add = command.add_argument
    add("--data", type=Path, help="folder that holds ETTh1.csv.gz, m3.csv.gz and so on")
    add("--datasets", nargs="+", choices=DATASETS, metavar="NAME", help=f"{', '.join(DATASETS)}; default: all there")
    add(
        "--models",
        nargs="+",
        type=partial(canonical, known=MODELS),
        default=DEFAULT_MODELS,
        metavar="NAME",
        help=f"{', '.join(MODELS)} (default: all but AutoTheta, and ours in three ways) or module:Class of an "
        "estimator with our methods; with parameters: 'NAME(key=value, ...)'",
    )
    add(
        "--weights",
        nargs="+",
        type=weights_of_seed,
        default=[],
        metavar="SEED=FILE",
        help="pretrained weights that ours begins with at these seeds, instead of those in the package at --seeds",
    )
    add("--validation", action="store_true", help="score on validation data; the test parts stay closed")
    add("--stride", type=int, default=1, help="time points between windows of a long horizon; needs --validation")
    add("--reference", type=Path, default=PUBLISHED, metavar="CSV", help="published numbers")
    options = parse_long(command, arguments)
    if options.stride < 1 or (options.stride > 1 and not options.validation):
        command.error("--stride must be at least 1, and 1 without --validation: test results are of all windows")
    return options


def weights_of_seed(argument: str) -> Row:
    """Read SEED=FILE: columns of a row, and the file."""
    seed, _, file = argument.partition("=")
    if not seed.isdigit() or not Path(file).is_file():
        raise ArgumentTypeError(f"{argument!r} is not SEED=FILE, a whole number and weights that are there.")
    from tsformer.estimators.pretrained import BUNDLED

    digest, shipped = (hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (file, BUNDLED[bare(OURS[1])]))
    return {"seed": int(seed), "weights": SHIPPED if digest == shipped else digest[:12], "pretrained": file}


def run(tasks: list[Row], options: argparse.Namespace) -> int:
    """Measure every row that the file does not have yet; return how many failed."""
    return ROWS.fill(options.out, tasks, measure_fresh, outcome, jobs=options.jobs, rerun=options.rerun)


def all_tasks(options: argparse.Namespace) -> list[Row]:
    """One task for each dataset, model and seed, and for each horizon where a model learns each by itself."""
    present = [name for name, dataset in DATASETS.items() if (options.data / dataset.file).exists()]
    names = options.datasets or present
    if not present or not set(names) <= set(present):
        sys.exit(f"{options.data} has no files for: {', '.join(set(names) - set(present)) or 'any dataset'}.")
    tasks = [
        task
        for name in dict.fromkeys(names)
        for model in dict.fromkeys(options.models)
        if suits(model, DATASETS[name])
        for task in tasks_of(name, model, options)
    ]
    return tasks or sys.exit(f"None of {', '.join(options.models)} runs on {', '.join(names)}.")


def tasks_of(name: str, model: str, options: argparse.Namespace) -> list[Row]:
    """One task for each seed, where there is chance, and for each horizon, where the model learns each by itself."""
    dataset = DATASETS[name]
    same: Row = {"dataset": name, "model": model, "version": model_version(model, dataset), "folder": str(options.data)}
    same |= {"split": "validation" if options.validation else "test", "threads": options.threads}
    same |= {"stride": options.stride if isinstance(dataset, LongHorizon) else 1}
    same |= {"code": code_hash(), "commit": commit()}
    each = [[horizon] for horizon in dataset.horizons]
    together = [list(dataset.horizons)]
    parts = each if bare(model) in PER_HORIZON else together
    chances = chances_of(model, dataset, options)
    return [same | chance | {"horizons": horizons} for horizons in parts for chance in chances]


def chances_of(model: str, dataset: LongHorizon | Competition, options: argparse.Namespace) -> list[Row]:
    """Name the seeds to run a model at, each with the weights that it begins with."""
    parameters = parse_name(model, MODELS)[1]
    begins_with_weights = bare(model) in FORECASTERS and OF_NETWORK.isdisjoint(parameters)
    if begins_with_weights and options.weights:
        return list(options.weights)
    has_none = is_rival(model, dataset) and bare(model) not in SEEDED
    has_none |= begins_with_weights and parameters.get("max_steps") == 0
    seeds = [0] if has_none else dict.fromkeys(options.seeds)
    return [{"seed": seed, "weights": SHIPPED if begins_with_weights else ""} for seed in seeds]


def outcome(row: Row) -> str:
    """Tell of a finished row in a line."""
    measure = "mse" if row["mase"] == "" else "mase"
    return f"{measure} {row[measure]:.3f} in {row['fit_seconds'] + row['predict_seconds']:.1f} s"


# Measuring


def measure_fresh(task: Row) -> list[Row]:
    """Measure a task in a process of its own."""
    return ROWS.attempt_fresh(task, "forecasting")


def measure(task: Row) -> list[Row]:
    """Measure a task in this process: a row for each of its horizons."""
    return ROWS.attempt(task, forecast_and_score)


def forecast_and_score(task: Row) -> list[Row]:
    """Measure it under the protocol of its dataset."""
    dataset = DATASETS[task["dataset"]]
    if isinstance(dataset, LongHorizon):
        return measure_long_horizon(task, dataset)
    return measure_competition(task, dataset)


# Long horizon


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
    forecasts = past[frame.columns].drop(columns="actual", level=-1)
    values = forecasts.to_numpy()[order]
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

    alone = dataset.alone and not is_rival(task["model"], dataset)
    parts = []
    for _, known in history.groupby("unique_id") if alone else [("all", history)]:
        model = build(task, dataset)
        parts.append(forecast_competition(model, known, task, dataset))
    forecasts, sums, seconds = zip(*parts, strict=True)
    return [
        score_competition(pd.concat(forecasts), truth, history, dataset.season)
        | (score_sums(pd.concat(sums), truth) if sums[0] is not None else {})
        | {name: round(sum(each[name] for each in seconds), 4) for name in seconds[0]}
        | network(model)
        | {
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "n_series": truth["unique_id"].nunique(),
            "n_windows": 1,
        }
    ]


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
        return forecast, None, {"fit_seconds": time.perf_counter() - began, "predict_seconds": 0.0}
    model.fit(history)
    fitted = time.perf_counter()
    forecast = model.predict(horizon=horizon, quantiles=list(QUANTILES))
    forecast.columns = [{"y": "point"}.get(name, name.removeprefix("y-")) for name in forecast.columns]
    seconds = {"fit_seconds": fitted - began, "predict_seconds": time.perf_counter() - fitted}
    sums = path_sums(model.sample(N_PATHS, horizon=horizon)) if dataset.season == 12 else None
    return forecast, sums, seconds


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
    percent, of_series = smape(scored, points)[points].mean(), mase(scored, points, season, history)[points]
    scaled = of_series.mean()
    losses = [quantile_loss(scored, {"loss": f"q{q}"}, q)["loss"].mean() for q in DECILES]
    bands = scored.rename(columns=BOUNDS)
    return {
        "smape": 200 * percent["point"],
        "mase": scaled["point"],
        "median_mase": of_series["point"].median(),
        "owa": (percent["point"] / percent["naive"] + scaled["point"] / scaled["naive"]) / 2,
        # All series have as many values, so that the mean of their means is that of all.
        "crps": 2 * np.mean(losses) / truth["y"].abs().mean(),
        "coverage_80": coverage(bands, ["model"], 80)["model"].mean(),
        "coverage_95": coverage(bands, ["model"], 95)["model"].mean(),
    }


def score_sums(sums: pd.DataFrame, truth: pd.DataFrame) -> Row:
    """Count the series whose sum over the horizon lies in the band of 80 %."""
    actual = truth.groupby("unique_id")["y"].sum()
    return {"sum_coverage_80": ((sums[0.1] <= actual) & (actual <= sums[0.9])).mean()}


# Models by name


def is_rival(name: str, dataset: LongHorizon | Competition) -> bool:
    """Tell the rivals of a protocol from forecasters with our methods."""
    return bare(name) in dataset.rivals


def suits(name: str, dataset: LongHorizon | Competition) -> bool:
    """Tell whether a model can run under the protocol of a dataset."""
    return is_rival(name, dataset) or bare(name) not in Competition.rivals | LongHorizon.rivals


def build(task: Row, dataset: LongHorizon | Competition, **instead: Any) -> Any:
    """Make a task's model with what it takes of seed, horizon, weights and, if it is a rival, season."""
    given = {
        "random_state": task["seed"],
        "horizon": max(task["horizons"]),
        "pretrained": task.get("pretrained", "auto"),
    }
    if is_rival(task["model"], dataset):
        given |= {"season": dataset.season, "season_length": dataset.season}
    return made(task["model"], FORECASTERS | dataset.rivals, given, **instead)


def model_version(name: str, dataset: LongHorizon | Competition) -> str:
    """Name what a model's rows depend on: a library and its version, or the state of our file of rivals."""
    known = FORECASTERS | dataset.rivals
    if parse_name(name, known)[0].startswith("forecasting_rivals:"):
        source = Path(__file__).with_name("forecasting_rivals.py").read_bytes()
        return f"forecasting_rivals {hashlib.sha256(source).hexdigest()[:12]}"
    return version(name, known)


# Tables


def summarise(results: Path, published: Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    rows = read_rows(results, ["dataset", "split", "model", "weights"])
    rows = rows.reindex(columns=rows.columns.union(list(COLUMNS), sort=False))  # older files lack some
    parts = [provenance_section(rows), *weights_section(rows)]
    for (split, dataset, stride), part in rows.groupby(["split", "dataset", "stride"], sort=False):
        thinned = "" if str(stride) == "1" else f", a window every {stride} time points"
        parts.append(f"## {dataset}, {split}{thinned}")
        if part["mse"].notna().any():
            parts += long_horizon_section(part)
        elif part["mase"].notna().any():
            parts += competition_section(part)
        parts += published_section(str(dataset), published) if split == "test" else []
    return write_summary(results, [*parts, failures(rows)])


def weights_section(rows: pd.DataFrame) -> list[str]:
    """Say which weights ours began with, where they are not all those in the package."""
    weights = rows[["seed", "weights"]].dropna().drop_duplicates()
    if set(weights["weights"]) <= {SHIPPED}:
        return []
    named = ", ".join(f"{row.weights} at seed {row.seed}" for row in weights.sort_values("seed").itertuples())
    return [f"Pretrained weights: {named}."]


def of_shipped(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Write the mean that the shipped weights alone reach, as a column beside those over all: none without others."""
    if rows["weights"].nunique() < 2:
        return pd.DataFrame()
    means = rows[rows["weights"] == SHIPPED].groupby("model")[measure].mean()
    return means.map(lambda mean: number(mean, 3)).to_frame(SHIPPED)


def long_horizon_section(rows: pd.DataFrame) -> list[str]:
    """Show MSE and MAE of each model at each horizon, and the coverage of those with bands."""
    windows = rows.groupby("horizon")["n_windows"].max().dropna()
    counts = ", ".join(f"{count:.0f} windows of {horizon}" for horizon, count in windows.items())
    parts = [f"In the scale of train, over {counts}. Seconds are those of one run, which for DLinear is one horizon."]
    for measure, heading in LONG_HORIZON_MEASURES.items():
        measured = rows[rows[measure].notna()]
        parts += [f"{heading}:", markdown(long_horizon_table(measured, measure))] if len(measured) else []
    return parts


def long_horizon_table(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Lay out a measure: a row for each model, least mean first; no mean where a horizon is missing."""
    mean = rows.pivot_table(index="model", columns="horizon", values=measure).mean(axis=1, skipna=False)
    table = over_seeds(rows, measure).loc[mean.sort_values().index]
    table = table.assign(mean=mean.map(lambda value: number(value, 3))).join(of_shipped(rows, measure)).fillna("")
    return table.assign(seconds=seconds_of(rows))


def published_section(dataset: str, path: Path) -> list[str]:
    """Show published errors at the same dataset, least mean first."""
    published = pd.read_csv(path, dtype=dict.fromkeys(ABOUT, str) | {"horizon": str})
    published = published[published["dataset"] == dataset].fillna(dict.fromkeys(["horizon", *ABOUT], ""))
    tables = []
    for measure in PUBLISHED_MEASURES:
        if (measured := published.dropna(subset=measure)).empty:
            continue
        wide = measured.pivot_table(index=ABOUT, columns="horizon", values=measure)
        if measured["horizon"].any():
            wide = wide.reindex(columns=[*HORIZONS, "avg"])
            wide["mean"] = wide.pop("avg").fillna(wide[HORIZONS].mean(axis=1, skipna=False))
        wide = wide.sort_values(wide.columns[-1]).map(lambda value: number(value, 3)).rename(columns={"": "MASE"})
        wide = wide.rename_axis(columns=None).reset_index(ABOUT[1:])
        tables += [f"Published {measure.upper()}:", markdown(wide[[*wide.columns[len(ABOUT) - 1 :], *ABOUT[1:]]])]
    return tables or [f"No published numbers for {dataset} in {path.name}."]


def competition_section(rows: pd.DataFrame) -> list[str]:
    """Show all measures of each model, least MASE first."""
    (horizon,) = rows["horizon"].unique()
    table = pd.DataFrame({measure: over_seeds(rows, measure)[horizon] for measure in COMPETITION_MEASURES})
    order = rows.groupby("model")["mase"].mean().dropna().sort_values().index
    shipped = of_shipped(rows, "mase").rename(columns={SHIPPED: f"MASE, {SHIPPED}"})
    table = table.loc[order].rename(columns=HEADINGS).join(shipped).fillna("")
    return [
        f"{rows['n_series'].max():.0f} series, {horizon} steps; OWA relative to seasonal naive:",
        markdown(table.assign(seconds=seconds_of(rows))),
    ]


def over_seeds(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Write the mean of a measure over seeds, and its deviation: a row for each model, a column for each horizon."""
    groups, digits = rows.groupby(["model", "horizon"])[measure], DIGITS.get(measure, 3)
    means = groups.mean().map(lambda mean: number(mean, digits))
    deviations = groups.std().map(lambda std: number(std, digits, " ± "))
    return (means + deviations).unstack("horizon", fill_value="")


def seconds_of(rows: pd.DataFrame) -> pd.Series:
    """Write the mean time of a run of each model."""
    return rows.groupby("model")["seconds"].mean().map(lambda seconds: number(seconds, 1))


def failures(rows: pd.DataFrame) -> str:
    """Name every row without a result."""
    failed = rows[rows["error"].notna()]
    lines = [
        f"- {row.dataset}, {row.split}, {row.horizon} steps, {row.model}, seed {row.seed}: {row.error}"
        for row in failed.itertuples()
    ]
    return "\n".join(["Failed rows:", "", *lines]) if lines else "No row failed."


if __name__ == "__main__":
    exit_with(main)
