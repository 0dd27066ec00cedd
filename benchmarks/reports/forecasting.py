"""Forecasting: the tables and sentences of docs/results/forecasting.md, from rows of forecasting.py and its kin."""

from functools import cache

import pandas as pd
from rows import read_rows

from reports.cells import OURS, bold_rows, three
from reports.newest import REFERENCE, newest

COMPETITIONS = {
    "m3-monthly": "M3 monthly",
    "m3-quarterly": "M3 quarterly",
    "m3-yearly": "M3 yearly",
    "tourism-monthly": "Tourism monthly",
    "tourism-quarterly": "Tourism quarterly",
    "tourism-yearly": "Tourism yearly",
}
LONG = {"ETTh1": "ETTh1", "ETTm1": "ETTm1", "exchange_rate": "Exchange rates"}
MODELS = {
    "TransformerForecaster(max_steps=0)": "zero-shot",
    "TransformerForecaster": "default",
    "AutoETS": "AutoETS",
    "Theta": "Theta",
    "DLinear": "DLinear",
    "SeasonalNaive": "seasonal naive",
    "LastValue": "last value",
}
RIVALS = ["AutoETS", "Theta"]


@cache
def all_rows() -> pd.DataFrame:
    """Read the rows of all forecasters on test parts."""
    texts = ["dataset", "split", "model", "weights"]
    rows = newest("forecasting", lambda path: read_rows(path, texts), ["dataset", "model"])
    rows = rows[(rows["split"] == "test") & rows["model"].isin(MODELS)]
    return rows.assign(name=rows["model"].map(MODELS))


def rows() -> pd.DataFrame:
    """Leave out the rows of weights that are not those in the package."""
    table = all_rows()
    return table[table["weights"].isna() | (table["weights"] == "shipped")]


def competition_errors() -> pd.DataFrame:
    """Take MASE: a row for each competition, a column for each model."""
    return errors_of("mase", COMPETITIONS)


def long_errors() -> pd.DataFrame:
    """Average MSE over horizons; nothing where one of them is missing."""
    return errors_of("mse", LONG)


def errors_of(measure: str, datasets: dict[str, str]) -> pd.DataFrame:
    """Average an error over horizons: a row for each data set, a column for each model."""
    part = rows()[rows()["dataset"].isin(datasets)]
    table = part.pivot_table(index="dataset", columns="name", values=measure, aggfunc="mean")
    return table.reindex(list(datasets)).rename(index=datasets)


def competitions() -> pd.DataFrame:
    """Show MASE on the competitions, ours first."""
    models = ["zero-shot", "default", "AutoETS", "Theta", "seasonal naive"]
    return bold_rows(competition_errors()[models], 3, sign=-1).rename_axis("MASE")


def pretrainings() -> str:
    """Say how much the error without training varies over pretrainings."""
    part = all_rows()[all_rows()["dataset"].isin(COMPETITIONS) & (all_rows()["name"] == "zero-shot")]
    std = part.groupby("dataset")["mase"].std()
    return (
        f"Over {part['weights'].nunique()} pretrainings the zero-shot error has a standard deviation of "
        f"{three(std.min())} to {three(std.max())}."
    )


def single_series() -> str:
    """Give errors of series that are forecast one by one."""
    single = in_order(rows()[rows()["dataset"] == "m3-monthly-single"], "median_mase")
    passengers = in_order(rows()[rows()["dataset"] == "AirPassengers"], "mase")
    return (
        f"Of 100 single M3 monthly series, each forecast by itself, the median MASE is: {single}. The last year of "
        f"AirPassengers: {passengers}."
    )


def in_order(part: pd.DataFrame, measure: str) -> str:
    """List models by their error."""
    errors = part.groupby("name")[measure].mean().sort_values()
    return ", ".join(f"{name} {three(error)}" for name, error in errors.items())


def bands() -> pd.DataFrame:
    """Show how much of what came lies within bands of 80 and of 95 %."""
    models = ["zero-shot", "default", "AutoETS", "Theta"]
    lines = {}
    for dataset, name in (COMPETITIONS | LONG).items():
        for horizon, part in rows()[rows()["dataset"] == dataset].groupby("horizon"):
            if dataset in LONG and horizon not in (96, 720):
                continue
            covered = 100 * part.groupby("name")[["coverage_80", "coverage_95"]].mean().dropna()
            cells = covered.map("{:.0f}".format).agg(" / ".join, axis=1)
            lines[f"{name}, {horizon} steps" if dataset in LONG else name] = cells.reindex(models, fill_value="")
    return pd.DataFrame(lines).T.rename_axis("% covered, of 80 / 95")


def covered_far_ahead() -> float:
    """Say which fraction of exchange rates 720 steps ahead the 80 % band holds."""
    far = rows()[(rows()["dataset"] == "exchange_rate") & (rows()["horizon"] == 720) & (rows()["name"] == "zero-shot")]
    return float(far["coverage_80"].mean())


def sums() -> str:
    """Say how often bands of sums hold."""
    part = rows()[(rows()["name"] == "zero-shot") & rows()["dataset"].isin(["m3-monthly", "tourism-monthly"])]
    covered = 100 * part.groupby("dataset")["sum_coverage_80"].mean()
    told = " and ".join(f"{share:.0f} % on {COMPETITIONS[str(name)]}" for name, share in covered.items())
    return f"Zero-shot, the 80 % band of the sum over all months of the horizon covers {told}."


def long_horizon() -> pd.DataFrame:
    """Show MSE over long horizons, ours first."""
    models = ["zero-shot", "default", "DLinear", "seasonal naive", "last value"]
    return bold_rows(long_errors()[models], 3, sign=-1).rename_axis("MSE")


@cache
def read_published() -> pd.DataFrame:
    """Read published errors."""
    return pd.read_csv(REFERENCE / "forecast_published.csv", dtype={"horizon": str})


def published_mse(method: str, dataset: str, lookback: str | None = None) -> float:
    """Take the published mean over the four horizons, or average those of one look-back."""
    table = read_published()
    table = table[(table["method"] == method) & (table["dataset"] == dataset)]
    of_four = table["horizon"].isin(["96", "192", "336", "720"])
    chosen = table["horizon"] == "avg" if lookback is None else of_four & table["lookback"].str.startswith(lookback)
    return float(table.loc[chosen, "mse"].mean())


def long_horizon_published() -> str:
    """Set published and former errors over long horizons beside ours."""
    names = ["ETTh1", "ETTm1"]
    table = newest("forecasting-before")
    table = table[(table["model"] == "TransformerForecaster") & (table["split"] == "test")]
    before = table.groupby("dataset")["mse"].mean()
    ttm, patchtst, former = (
        " and ".join(three(mse) for mse in errors)
        for errors in (
            [published_mse("TTM-r2 (zero-shot)", name) for name in names],
            [published_mse("PatchTST", name, "512") for name in names],
            before[names],
        )
    )
    return (
        f"Others' published MSE on ETTh1 and ETTm1: TTM-r2, pretrained on real data, without training {ttm}; PatchTST "
        f"with a look-back of 512 {patchtst}. Our network before this one, trained from scratch: {former}."
    )


def published() -> pd.DataFrame:
    """Show published errors of pretrained networks beside ours without training."""
    methods = ["Chronos-Bolt-small", "Chronos-Bolt-tiny", "Chronos-T5-tiny"]
    part = read_published()[read_published()["method"].isin(methods) & read_published()["mase"].notna()]
    part = part.assign(name=part["dataset"].map(COMPETITIONS))
    table = part.pivot_table(index="name", columns="method", values="mase")
    table.insert(0, f"{OURS}, zero-shot", competition_errors()["zero-shot"])
    return bold_rows(table.reindex([name for name in COMPETITIONS.values() if name in table.index]), 3, -1).rename_axis(
        "MASE"
    )


def parts() -> pd.DataFrame:
    """Show what parts of the pretraining are worth."""
    names = {
        "as is": "as it is",
        "no pretraining": "no pretraining",
        "no simple forecasts": "seasonal lags for simple forecasts",
        "half the width": "half the width",
    }
    table = newest("forecasting-parts").set_index("variant").rename(index=names)
    table = table.loc[[name for name in names.values() if name in table.index]]
    chosen = table[["m3-monthly", "m3-yearly", "tourism-monthly", "tourism-yearly"]]
    return chosen.map(three).rename(columns=COMPETITIONS).rename_axis("MASE")


def cases() -> str:
    """Say what covariates and series that were not seen do to the error."""
    table = newest("forecasting-cases")
    error = table.groupby(["case", "model"])["error"].mean()
    lowered = 1 - error["promotion"]["with covariate"] / error["promotion"]["without"]
    raised = error["noise"]["with noise"] / error["noise"]["without"] - 1
    return (
        f"A made promotion that is known ahead lowers the error by {100 * lowered:.0f} %; three covariates of pure "
        f"noise raise that on M3 monthly by {100 * raised:.1f} %. One network for every second series: "
        f"{seen_and_not('m3-monthly', error['pooled'])}; {seen_and_not('tourism-monthly', error['pooled'])}. "
        f"These were measured with the network before, {table['seed'].nunique()} seeds."
    )


def seen_and_not(name: str, error: pd.Series) -> str:
    """Give errors on series that a network learnt from, and on others."""
    error = error.map(three)
    return (
        f"on {COMPETITIONS[name]} a MASE of {error[f'{name}, seen']} on series that it learnt from (seasonal naive "
        f"{error[f'{name}, seen: seasonal naive']}), of {error[f'{name}, not seen']} on the others "
        f"({error[f'{name}, not seen: seasonal naive']})"
    )


MADE = {
    "forecasting": competitions,
    "bands": bands,
    "long_horizon": long_horizon,
    "forecasting_published": published,
    "forecasting_parts": parts,
    "pretrainings": pretrainings,
    "single_series": single_series,
    "sums": sums,
    "long_horizon_published": long_horizon_published,
    "forecasting_cases": cases,
}
