"""Writes the tables of README.md and of docs/ from results/*.csv: each stands between two comments that name it.

    python benchmarks/report.py

A page holds `<!-- table: NAME -->` and `<!-- end -->`; what is between them is written anew. Tables are narrow, for
phones: ours comes first, the best value of a row or column is bold.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import anomaly
import numpy as np
import pandas as pd
import uea
from tables import markdown, number, read_rows

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
# The newest files of each question; a new run takes its place here.
CLASSIFICATION = "2026-11-28-classification.csv"
PARTS = "2026-11-28-ablation.csv"
ENCODERS = "2026-11-28-encoders.csv"
PRETRAINING = "2026-11-28-pretraining.csv"
FORECASTING = "2026-11-30-forecasting.csv"
FORECASTING_RIVALS = "2026-11-28-forecasting.csv"
FORECASTING_PARTS = "2026-11-30-forecasting-ablation.csv"
ANOMALY = "2026-11-30-anomaly.csv"
REASONS = "2026-11-30-anomaly-reasons.csv"
SCALE = "2026-11-30-scale.csv"
PANEL = "2026-11-30-scale-panel.csv"
SPEED = "2026-11-23-speed.csv"
DECODING = "2026-11-24-decoding.csv"

OURS = "tsformer"
DEFAULT = "TransformerClassifier"
SHORT = {"MultiRocket-Hydra": "MR-Hydra"}  # in the narrowest tables
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
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write the tables of all pages anew."""
    for page in pages():
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


def pages() -> list[Path]:
    """List the pages that hold a place for a table."""
    candidates = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [page for page in candidates if PLACE.search(page.read_text(encoding="utf-8"))]


def renewed(text: str) -> str:
    """Put every table of a page into its place."""
    return PLACE.sub(lambda place: f"{place[1]}\n{markdown(TABLES[place[2]]())}\n\n{place[3]}", text)


# Whole package


def summary() -> pd.DataFrame:
    """One row a question: what is measured, ours and the others, best first."""
    accuracy = means_of(CLASSIFICATION)
    errors = competition_errors()
    mse = long_errors()
    archive, made = anomaly_rows()
    rows: list[Any] = [
        ("Classify: 38 UCR and UEA sets", "accuracy", accuracy[DEFAULT], accuracy.drop(DEFAULT).nlargest(2), 1),
        *(
            (f"Forecast, no training: {name}", "MASE", errors.loc[name, "zero-shot"], errors.loc[name, RIVALS], -1)
            for name in ("M3 monthly", "M3 yearly", "Tourism monthly")
        ),
        ("Forecast, trained: ETTh1", "MSE", mse.loc["ETTh1", "default"], mse.loc["ETTh1", ["DLinear"]], -1),
        *(
            (f"Anomalies: {len(table)} {name}", "VUS-PR", *ours_and_two_best(table), 1)
            for name, table in {"made series": made, "of the UCR archive": archive}.items()
        ),
    ]
    return pd.DataFrame([summary_line(*row) for row in rows]).set_index("Data")


def summary_line(data: str, measure: str, ours: float, others: pd.Series, sign: int) -> dict[str, str]:
    """Write a row: for a sign of 1 higher is better, for -1 lower."""
    ranked = others.iloc[np.argsort(-sign * others.to_numpy())]
    best = max(sign * ours, sign * ranked.iloc[0])
    told = [bold_if(value, sign * value == best, before=f"{name} ") for name, value in ranked.items()]
    return {
        "Data": data,
        "Measure": f"{measure}, {'higher' if sign == 1 else 'lower'} is better",
        OURS: bold_if(ours, sign * ours == best),
        "Others": ", ".join(told),
    }


def times() -> pd.DataFrame:
    """One row a task: seconds of ours and of others on one core."""
    of_classifiers = median_seconds(CLASSIFICATION)
    alone = median_seconds(PARTS)[f"{DEFAULT}(n_estimators=0)"]
    forecasts = all_forecasts()
    m3 = forecasts[forecasts["dataset"] == "m3-monthly"].groupby("name")["seconds"].mean()
    panel = pd.read_csv(RESULTS / PANEL).set_index("part")
    _, made = anomaly_rows("seconds")
    detectors = made.median()
    rows = {
        "Classify: fit and predict, median of 38 sets": (
            of_classifiers[DEFAULT],
            of_classifiers[["MiniRocket", "MultiRocket-Hydra", "ROCKET"]],
        ),
        "the same by the pretrained encoder alone": (alone, None),
        "Forecast M3 monthly (1,428 series), no training": (m3["zero-shot"], m3[["Theta", "AutoETS"]]),
        "the same with the default's training": (m3["default"], None),
        "Forecast a panel of M5's shape (30,490 series of 1,941 days)": (
            panel.loc[["fit", "predict, with bands"], "seconds"].sum(),
            None,
        ),
        "Find anomalies: fit and score, median of the made series": (
            detectors["TransformerDetector"],
            detectors[["Sub-KNN", "matrix profile"]],
        ),
    }
    lines = [
        {
            "Seconds on one core": task,
            OURS: seconds(ours),
            "Others": ", ".join(f"{name} {seconds(value)}" for name, value in ([] if rest is None else rest.items())),
        }
        for task, (ours, rest) in rows.items()
    ]
    return pd.DataFrame(lines).set_index("Seconds on one core")


# Classification


def classification() -> pd.DataFrame:
    """Compare estimators over all sets."""
    table = uea.compare(classified(), DEFAULT)
    chosen = {
        "accuracy": means_by_dataset(classified()).dropna().mean().map(three),
        "mean rank": table["mean rank"],
        "won, tied, lost": table["wins/ties/losses"].str.replace("/", ", "),
        "p": table["p"],
        "seconds": table["median seconds"].astype(float).map(seconds),
    }
    return pd.DataFrame(chosen).loc[table.index].rename(index={DEFAULT: OURS} | SHORT).rename_axis("")


def by_dataset(archive: str) -> pd.DataFrame:
    """Show the accuracy on each set of an archive, ours first."""
    rows = classified()
    accuracy = means_by_dataset(rows[rows["archive"] == archive])
    names = [DEFAULT, "MultiRocket-Hydra", "MiniRocket", "ROCKET"]
    mean = accuracy.mean().rename(f"mean of {len(accuracy)}").to_frame().T
    return bold_rows(pd.concat([accuracy, mean])[names].rename(columns={DEFAULT: OURS} | SHORT), 3).rename_axis(
        "data set"
    )


def classification_published() -> pd.DataFrame:
    """Compare with published accuracies of train-only protocols, over the sets that all of them have."""
    here = means_by_dataset(classified()).rename(columns={DEFAULT: OURS})[[OURS]]
    published = pd.concat(map(uea.read_published, uea.PUBLISHED))
    published = published[(published["protocol"] == "train-only") & published["dataset"].isin(here.index)]
    there = published.pivot(index="dataset", columns="method", values="accuracy")
    there = there.loc[:, there.count() >= 25]
    both = here.join(there, how="inner").dropna()
    accuracy = both.mean().sort_values(ascending=False).map(lambda mean: number(mean, 4))
    return accuracy.to_frame(f"accuracy, {len(both)} sets").rename_axis("")


def classification_parts() -> pd.DataFrame:
    """Show what the default loses without some of its parts."""
    names = {
        DEFAULT: "the default",
        f"{DEFAULT}(n_estimators=0)": "`n_estimators=0`: the pretrained encoder alone",
        f"{DEFAULT}(pretrained=None)": "`pretrained=None`",
        f"{DEFAULT}(pretrained=None, n_layers=0)": "... and `n_layers=0`: no attention",
        f"{DEFAULT}(pretrained=None, augment=None)": "... and `augment=None`",
        f"{DEFAULT}(pretrained=None, differences=False)": "... and `differences=False`",
        f"{DEFAULT}(pretrained=None, average_decay=None)": "... and `average_decay=None`",
    }
    return by_archive(PARTS, names).rename_axis("parameters")


def classification_encoders() -> pd.DataFrame:
    """Compare the encoders of the default's networks."""
    names = {
        f"{DEFAULT}(encoder={name!r})": f"`{name}`"
        for name in ("gated_two_tower", "shifted_window", "patch", "strided_stem", "transformer")
    }
    table = by_archive(ENCODERS, {DEFAULT: "`conv_stem`, the default"} | names)
    return table.drop(columns="UCR").sort_values("UEA", ascending=False, kind="stable").rename_axis("encoder")


def few_labels() -> pd.DataFrame:
    """Show accuracies of classifiers that are given some labels of each class."""
    rows = read_rows(RESULTS / PRETRAINING, [*uea.DATASET, "estimator", "adapted"])
    names = {DEFAULT: OURS, f"{DEFAULT}(n_estimators=0)": "encoder alone", "MiniRocket": "MiniRocket"}
    lines = {}
    for labels in (1, 2, 5, 10, 20):
        part = rows[(rows["labels"] == labels) & rows["estimator"].isin(names)]
        accuracy = part.pivot_table(index="dataset", columns="estimator", values="accuracy").dropna()
        lines[f"{labels}, {len(accuracy)} sets"] = accuracy.mean().rename(names)
    return bold_rows(pd.DataFrame(lines).T[list(names.values())], 3).rename_axis("cases a class")


def classified() -> pd.DataFrame:
    """Read the rows of the classifiers."""
    return uea.read_results(RESULTS / CLASSIFICATION)


def means_by_dataset(rows: pd.DataFrame) -> pd.DataFrame:
    """Average accuracies over seeds."""
    return uea.over_seeds(rows, "accuracy").droplevel("archive")


def means_of(name: str) -> pd.Series:
    """Average the accuracies of a file over its sets."""
    return means_by_dataset(uea.read_results(RESULTS / name)).mean()


def median_seconds(name: str) -> pd.Series:
    """Take the median over sets of the seconds of fit and predict."""
    return uea.over_seeds(uea.read_results(RESULTS / name), "seconds").median()


def by_archive(name: str, names: dict[str, str]) -> pd.DataFrame:
    """Average accuracies at seed 0 over the sets of each archive."""
    rows = uea.read_results(RESULTS / name)
    rows = rows[rows["seed"] == 0]
    accuracy = uea.over_seeds(rows, "accuracy")[list(names)]
    cells = {str(archive).upper(): part.mean().map(three) for archive, part in accuracy.groupby("archive")}
    table = pd.DataFrame({"UEA": "", "UCR": ""} | cells, index=list(names))
    loss = uea.over_seeds(rows, "log_loss")[list(names)].mean()
    return table.assign(**{"log loss": loss.map(three)}, seconds=median_of(rows, names)).rename(index=names)


def median_of(rows: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """Write the median seconds of estimators over sets."""
    return uea.over_seeds(rows, "seconds")[list(names)].median().map(seconds)


# Forecasting


def forecasting() -> pd.DataFrame:
    """Show MASE on the competitions, ours first."""
    models = ["zero-shot", "default", "AutoETS", "Theta", "seasonal naive"]
    return bold_rows(competition_errors()[models], 3, sign=-1).rename_axis("MASE")


def bands() -> pd.DataFrame:
    """Show how much of what came lies within bands of 80 and of 95 %."""
    models = ["zero-shot", "default", "AutoETS", "Theta"]
    rows = of_shipped(all_forecasts())
    lines = {}
    for dataset, name in (COMPETITIONS | LONG).items():
        for horizon, part in rows[rows["dataset"] == dataset].groupby("horizon"):
            if dataset in LONG and horizon not in (96, 720):
                continue
            covered = 100 * part.groupby("name")[["coverage_80", "coverage_95"]].mean().dropna()
            cells = covered.map("{:.0f}".format).agg(" / ".join, axis=1)
            lines[f"{name}, {horizon} steps" if dataset in LONG else name] = cells.reindex(models, fill_value="")
    return pd.DataFrame(lines).T.rename_axis("% covered, of 80 / 95")


def long_horizon() -> pd.DataFrame:
    """Show MSE over long horizons, ours first."""
    models = ["zero-shot", "default", "DLinear", "seasonal naive", "last value"]
    return bold_rows(long_errors()[models], 3, sign=-1).rename_axis("MSE")


def forecasting_published() -> pd.DataFrame:
    """Show published errors of pretrained networks beside ours without training."""
    published = pd.read_csv(Path(__file__).with_name("reference") / "forecast_published.csv", dtype={"horizon": str})
    ours = competition_errors()["zero-shot"]
    methods = ["Chronos-Bolt-small", "Chronos-Bolt-tiny", "Chronos-T5-tiny"]
    rows = published[published["method"].isin(methods) & published["mase"].notna()]
    table = rows.assign(name=rows["dataset"].map(COMPETITIONS)).pivot_table(
        index="name", columns="method", values="mase"
    )
    table.insert(0, f"{OURS}, zero-shot", ours)
    return bold_rows(table.reindex([name for name in COMPETITIONS.values() if name in table.index]), 3, -1).rename_axis(
        "MASE"
    )


def forecasting_parts() -> pd.DataFrame:
    """Show what parts of the pretraining are worth."""
    rows = pd.read_csv(RESULTS / FORECASTING_PARTS).set_index("variant")
    names = {
        "as is": "as it is",
        "no pretraining": "no pretraining",
        "no simple forecasts": "seasonal lags for simple forecasts",
        "half the width": "half the width",
    }
    table = rows.rename(index=names)[["m3-monthly", "m3-yearly", "tourism-monthly", "tourism-yearly"]]
    table = table.loc[[name for name in names.values() if name in table.index]]
    return table.map(three).rename(columns=COMPETITIONS).rename_axis("MASE")


def all_forecasts() -> pd.DataFrame:
    """Read the rows of all forecasters: ours from one file, rivals from another where the first has none."""
    texts = ["dataset", "split", "model", "weights"]
    new, old = (read_rows(RESULTS / name, texts) for name in (FORECASTING, FORECASTING_RIVALS))
    rows = pd.concat([new, old[~old["ours"]]])
    rows = rows[(rows["split"] == "test") & rows["model"].isin(MODELS)]
    return rows.assign(name=rows["model"].map(MODELS))


def of_shipped(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows of weights that are not those in the package."""
    return rows[rows["weights"].isna() | (rows["weights"] == "shipped")]


def competition_errors() -> pd.DataFrame:
    """Take MASE: a row for each competition, a column for each model; ours by the weights in the package."""
    return errors_of("mase", COMPETITIONS)


def long_errors() -> pd.DataFrame:
    """Average MSE over horizons; nothing where one of them is missing."""
    return errors_of("mse", LONG)


def errors_of(measure: str, datasets: dict[str, str]) -> pd.DataFrame:
    """Average an error over horizons: a row for each data set, a column for each model."""
    rows = of_shipped(all_forecasts())
    rows = rows[rows["dataset"].isin(datasets)]
    table = rows.pivot_table(index="dataset", columns="name", values=measure, aggfunc="mean")
    return table.reindex(list(datasets)).rename(index=datasets)


# Anomalies


def anomalies(group: int) -> pd.DataFrame:
    """Show detectors on the series of the archive, or on made ones."""
    vus, auc, took = (anomaly_rows(column)[group] for column in ("vus_pr", "auc_pr", "seconds"))
    table = pd.DataFrame({"VUS-PR": bold_best(vus.mean(), 3), "AUC-PR": bold_best(auc.mean(), 3)})
    if group == ARCHIVE:
        right = anomaly_rows("right")[group].sum()
        table.insert(0, f"right of {len(vus)}", bold_best(right, 0))
    table["seconds"] = took.median().map(seconds)
    return table.rename(index={"TransformerDetector": OURS}).rename_axis("")


ARCHIVE, MADE = 0, 1


def anomaly_rows(column: str = "vus_pr") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average a column over seeds, of the series in the archive and of those made: a column for each method."""
    rows = pd.read_csv(RESULTS / ANOMALY, keep_default_na=False, na_values=[""])
    of_archive = rows["group"] == "archive"
    return anomaly.by_series(rows[of_archive], column), anomaly.by_series(rows[~of_archive], column)


def ours_and_two_best(table: pd.DataFrame) -> tuple[float, pd.Series]:
    """Take our mean and the two best of others."""
    mean = table.mean()
    others = mean[[not name.startswith(("TransformerDetector", "its ")) for name in mean.index]]
    return mean["TransformerDetector"], others.nlargest(2)


def reasons() -> pd.DataFrame:
    """Show which made anomalies are found, named rightly, and placed rightly."""
    rows = pd.read_csv(RESULTS / REASONS)
    groups = {str(kind): part for kind, part in rows.groupby("made")} | {"all": rows}
    table = {}
    for kind, part in groups.items():
        found = part[part["found"] == 1]
        shares = [part["found"].mean(), found["right"].mean(), (found["iou"] >= 0.3).mean()]
        table[f"{kind} ({len(part)})"] = [f"{100 * share:.0f} %" for share in shares]
    return pd.DataFrame(table, ["found", "right kind", "right place"]).T.rename_axis("made")


# Speed


def scale() -> pd.DataFrame:
    """Show the time and memory of large shapes."""
    rows = pd.read_csv(RESULTS / SCALE).sort_values("fit", ascending=False)
    rows = rows[rows["dtype"] == "float32"]
    table = {
        "fit, s": rows["fit"].map("{:.0f}".format),
        "predict, ms a case": rows["predict_ms"].map("{:.0f}".format),
        "memory, MB": rows[["fit_memory", "predict_memory"]].max(axis=1).map("{:,.0f}".format),
        "X, MB": rows["data_mb"].map("{:.0f}".format),
    }
    return pd.DataFrame(table).set_index(rows["shape"].rename("shape of"))


def panel() -> pd.DataFrame:
    """Show the time of each part of the work with a panel of M5's shape."""
    rows = pd.read_csv(RESULTS / PANEL).set_index("part")
    table = {"seconds": rows["seconds"].map(seconds), "peak, GiB": rows["peak_gib"].map("{:.1f}".format)}
    return pd.DataFrame(table).rename_axis("30,490 series of 1,941 days")


def contests(name: str, questions: Sequence[str]) -> pd.DataFrame:
    """Show ratios of our time to others': below 1 ours is faster."""
    rows = pd.read_csv(RESULTS / name)
    rows = rows[rows["question"].isin(questions)]
    table = {
        "time / theirs": rows["ratio"].map("{:.2g}".format),
        "ours": rows["ours"],
        "beside": rows["rival"],
        "setting": rows["setting"],
    }
    return pd.DataFrame(table).set_index(rows["question"].rename(""))


# Cells


def three(value: float) -> str:
    """Write a number with three digits."""
    return number(value, 3)


def seconds(value: float) -> str:
    """Write seconds with as many digits as tell something."""
    return number(value, 2 if value < 0.1 else 1 if value < 9.95 else 0)


def bold_if(value: float, is_best: bool, before: str = "") -> str:
    """Write a number, bold where it is the best."""
    return f"**{before}{value:.3f}**" if is_best else f"{before}{value:.3f}"


def bold_best(values: pd.Series, digits: int, sign: int = 1) -> pd.Series:
    """Write numbers, the largest bold (the smallest for a sign of -1); what reads alike is alike."""
    rounded = values.round(digits)
    best = (sign * rounded).max()
    return pd.Series(
        [
            f"**{value:.{digits}f}**" if sign * value == best else number(value, digits)
            for value in rounded.to_numpy(dtype=np.float64)
        ],
        values.index,
    )


def bold_rows(table: pd.DataFrame, digits: int, sign: int = 1) -> pd.DataFrame:
    """Write a table of numbers, the best of each row bold."""
    return table.apply(bold_best, axis=1, digits=digits, sign=sign)


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "summary": summary,
    "times": times,
    "classification": classification,
    "classification_uea": lambda: by_dataset("uea"),
    "classification_ucr": lambda: by_dataset("ucr"),
    "classification_published": classification_published,
    "classification_parts": classification_parts,
    "classification_encoders": classification_encoders,
    "few_labels": few_labels,
    "forecasting": forecasting,
    "bands": bands,
    "long_horizon": long_horizon,
    "forecasting_published": forecasting_published,
    "forecasting_parts": forecasting_parts,
    "anomalies_archive": lambda: anomalies(ARCHIVE),
    "anomalies_made": lambda: anomalies(MADE),
    "reasons": reasons,
    "scale": scale,
    "panel": panel,
    "training_steps": lambda: contests(SPEED, ["training step", "2 epochs", "one case"]),
    "decoding": lambda: contests(DECODING, ["decode"]),
}


if __name__ == "__main__":
    main()
