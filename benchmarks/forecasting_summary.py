"""Summarises rows of forecasting.py: a CSV enters, tables (markdown) leave, published numbers beside them.

Numbers are means over seeds, for ours and DLinear ± the standard deviation where there are several seeds. A published
number stands with its look-back ("recalled": not stated where the number was read) and its source, which says what is
known of its protocol; many chose by the test part.
"""

from pathlib import Path

import pandas as pd
from summary import markdown, number, provenance, read_rows

COMPETITION_MEASURES = ["smape", "mase", "owa", "crps", "coverage_80", "coverage_95", "sum_coverage_80"]
LONG_HORIZON_MEASURES = {
    "mse": "MSE",
    "mae": "MAE",
    "coverage_80": "Share of values inside the 80 % band",
    "coverage_95": "Share of values inside the 95 % band",
}
HORIZONS = ["96", "192", "336", "720"]  # of published numbers
DIGITS = {"smape": 2}
HEADINGS = {"smape": "sMAPE", "mase": "MASE", "owa": "OWA", "crps": "CRPS"}


def summarise(results: Path, published: Path) -> str:
    """Write `<results>.md` beside a CSV of results, and return its text."""
    rows = read_rows(results, ["dataset", "split", "model"])
    parts = [f"# {results.stem}", provenance(rows)]
    for (split, dataset, stride), part in rows.groupby(["split", "dataset", "stride"], sort=False):
        thinned = "" if str(stride) == "1" else f", a window every {stride} time points"
        parts.append(f"## {dataset}, {split}{thinned}")
        if part["mse"].notna().any():
            parts += long_horizon_section(part)
            parts += published_section(str(dataset), published) if split == "test" else []
        elif part["mase"].notna().any():
            parts += competition_section(part)
    text = "\n\n".join([*parts, failures(rows)])
    results.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    return text


# Long horizon


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
    return table.assign(mean=mean.map(lambda value: number(value, 3)), seconds=seconds_of(rows))


def published_section(dataset: str, path: Path) -> list[str]:
    """Show published errors at the same dataset, least mean first."""
    published = pd.read_csv(path, dtype={"horizon": str, "lookback": str})
    published = published[published["dataset"] == dataset]
    if published.empty:
        return [f"No published numbers for {dataset} in {path.name}."]
    tables = []
    for measure in ("mse", "mae"):
        wide = published.pivot_table(index=["method", "lookback", "source"], columns="horizon", values=measure)
        wide = wide.reindex(columns=[*HORIZONS, "avg"])
        wide["mean"] = wide.pop("avg").fillna(wide[HORIZONS].mean(axis=1, skipna=False))
        wide = wide.sort_values("mean").map(lambda value: number(value, 3)).reset_index()
        wide = wide[["method", "lookback", *HORIZONS, "mean", "source"]].rename_axis(columns=None)
        tables += [f"Published {measure.upper()}:", markdown(wide.set_index("method"))]
    return tables


# Competitions


def competition_section(rows: pd.DataFrame) -> list[str]:
    """Show all measures of each model, least MASE first."""
    (horizon,) = rows["horizon"].unique()
    table = pd.DataFrame({measure: over_seeds(rows, measure)[horizon] for measure in COMPETITION_MEASURES})
    order = rows.groupby("model")["mase"].mean().dropna().sort_values().index
    return [
        f"{rows['n_series'].max():.0f} series, {horizon} steps; OWA relative to seasonal naive:",
        markdown(table.loc[order].assign(seconds=seconds_of(rows)).rename(columns=HEADINGS)),
    ]


# Both


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
