"""`tsformer forecast`: series in, forecasts with bands and how good they are out."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer import metrics, plotting
from tsformer.commands.files import as_series, columns_of, read_table
from tsformer.commands.models import check_written, draw, loaded, parameters, save
from tsformer.commands.options import given, option_of
from tsformer.data.forecasts import requested_quantiles
from tsformer.estimators.forecaster import TransformerForecaster

KINDS = ("target_cols", "past_cols", "future_cols", "static_cols")


def run(options: argparse.Namespace) -> None:
    """Forecast the series of a file, or those that a saved model knows."""
    check_written(options)
    requested_quantiles(None, options.level)  # an error of these must not come after training
    forecaster = loaded(options, TransformerForecaster)
    columns = {kind: _listed(getattr(forecaster or options, kind)) for kind in KINDS}
    df, freq = _read(options.data, columns, options) if options.data is not None else (None, None)
    future = _read_future(columns, options)
    if df is None:
        _check_without_data(options)
    if forecaster is None:
        forecaster = TransformerForecaster(**_settings(columns, options), **parameters(options))
        forecaster.set_params(freq=freq, **columns_of(options)).fit(df)
    else:
        kept = {"horizon": options.horizon, "freq": freq}
        forecaster.set_params(
            **columns_of(options), **{name: value for name, value in kept.items() if value is not None}
        )
    save(forecaster, options)
    histories = None if options.load is None else df
    level = _levels(forecaster, options)
    if options.out is not None:
        table = pd.DataFrame(forecaster.predict(histories, future=future, level=level))
        if isinstance(table.columns, pd.MultiIndex):
            table.columns = [name if kind == "point" else f"{name}-{kind}" for name, kind in table.columns]
        table.to_csv(options.out, index=forecaster.time_col not in table)
        print(f"Wrote {len(table)} rows of forecasts to {options.out}.")
    if options.metrics:
        print(_errors(forecaster, df, level, options))
    if options.plot is not None:
        how: dict[str, Any] = {"future": future, "level": level}
        display = plotting.ForecastDisplay.from_estimator(forecaster, histories, **how)
        draw(display.figure_, options.plot, f"{len(display.panels)} series")


def _listed(names: Any) -> list[str]:
    return [] if names is None else names if isinstance(names, list) else [names]


def _read(path: Path, columns: dict[str, list[str]], options: argparse.Namespace) -> Any:
    """Read DATA: a frame with all of its columns, and the frequency."""
    table = read_table(path, options)
    named = {name: option_of(kind) for kind, names in columns.items() for name in names}
    if not columns["target_cols"]:  # by default "y" beside ids, else all
        named = named | {"y": "--target-cols"} if options.id_col is not None else {}
    return as_series(table, path, options, named or None, exact=True)


def _read_future(columns: dict[str, list[str]], options: argparse.Namespace) -> pd.DataFrame | None:
    """Read the rows ahead, which covariates known ahead ask for."""
    ahead = columns["future_cols"]
    if ahead and options.future is None:
        raise ValueError(f"{ahead} are known ahead: name the file of their rows to come with --future.")
    if options.future is None:
        return None
    if not ahead:
        remedy = (
            "Name these with --future-cols" if options.load is None else "The saved model knows of none: leave it out"
        )
        raise ValueError(f"--future holds rows of columns known ahead. {remedy}.")
    table = read_table(options.future, options)
    return as_series(table, options.future, options, dict.fromkeys(ahead, "--future-cols"))[0]


def _check_without_data(options: argparse.Namespace) -> None:
    """Check that nothing is asked for that DATA is needed for."""
    if options.load is None:
        raise ValueError("Pass DATA, or --load with a saved model, whose series it then forecasts.")
    if options.metrics:
        raise ValueError("--metrics compares with the end of DATA, which is not given.")
    if options.future is None and (idle := given(options, options.of_files)):
        raise ValueError(f"{' and '.join(idle)}: DATA, which they are of, is not given. Pass it, or leave them out.")


def _settings(columns: dict[str, list[str]], options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of a new forecaster that options name."""
    settings: dict[str, Any] = {name: names for name, names in columns.items() if names}
    if options.id_col is not None and len(columns["target_cols"]) == 1:
        [settings["target_cols"]] = columns["target_cols"]
    if options.season is not None:
        settings["season"] = options.season[0] if len(options.season) == 1 else options.season
    others = {"horizon": options.horizon, "holidays": options.holidays, "fill": options.fill}
    return settings | {name: value for name, value in others.items() if value is not None}


def _levels(forecaster: TransformerForecaster, options: argparse.Namespace) -> list[float]:
    """Return the bands asked for; where none are, the usual ones, of which a point alone has none."""
    usual = [] if forecaster.head == "point" else [80.0, 95.0]
    return usual if options.level is None else options.level


def _errors(forecaster: TransformerForecaster, df: Any, level: list[float], options: argparse.Namespace) -> str:
    """Forecast the last horizon of df, by a model trained on what comes before, and compare with seasonal naive."""
    refit = options.load is None and forecaster.n_iter_ > 0
    backtest = forecaster.backtest(df, level=level, refit=refit)
    how: dict[str, Any] = {"freq": forecaster.freq, "fill": forecaster.fill} | columns_of(options)
    scores = metrics.evaluate(backtest, df, season=forecaster.lengths_.season, **how).iloc[0]
    shown = {"MASE": "mase", "MAE": "mae", "WAPE": "wape"}
    bands = [name for name in scores.index if name.startswith("coverage_")]
    shown |= {f"in {name.removeprefix('coverage_')} %": name for name in bands}
    rows = {"forecast": "", "seasonal naive": "naive_"}
    table = pd.DataFrame({name: [scores[of + key] for of in rows.values()] for name, key in shown.items()}, list(rows))
    return f"The last {forecaster.horizon} time points of each series, had they not come yet:\n{table.round(3)}"
