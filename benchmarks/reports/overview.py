"""The whole package: the two tables of README.md and of the home page, where we lose, and the list of files."""

from typing import Any

import numpy as np
import pandas as pd

from reports import anomalies, classification, forecasting, newest, speed
from reports.cells import OURS, bold_if, seconds, three


def summary() -> pd.DataFrame:
    """One row a question: what is measured, ours and the others, best first."""
    accuracy = classification.accuracies()
    means = accuracy.mean()
    errors, mse = forecasting.competition_errors(), forecasting.long_errors()
    archive, made = anomalies.by_series()
    default = classification.DEFAULT
    rows: list[Any] = [
        (f"Classify: {len(accuracy)} UCR and UEA sets", "accuracy", means[default], means.drop(default).nlargest(2), 1),
        *(
            (
                f"Forecast, no training: {name}",
                "MASE",
                errors.loc[name, "zero-shot"],
                errors.loc[name, forecasting.RIVALS],
                -1,
            )
            for name in ("M3 monthly", "M3 yearly", "Tourism monthly")
        ),
        ("Forecast, trained: ETTh1", "MSE", mse.loc["ETTh1", "default"], mse.loc["ETTh1", ["DLinear"]], -1),
        *(
            (f"Anomalies: {len(table)} {name}", "VUS-PR", *ours_and_two_best(table), 1)
            for name, table in {"synthetic series": made, "of the UCR archive": archive}.items()
        ),
    ]
    return pd.DataFrame([summary_line(*row) for row in rows]).set_index("Data")


def ours_and_two_best(table: pd.DataFrame) -> tuple[float, pd.Series]:
    """Take the detector's mean and the two best of others."""
    mean = table.mean()
    others = mean[[not name.startswith(anomalies.OURS_TOO) for name in mean.index]]
    return mean[anomalies.DETECTOR], others.nlargest(2)


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
    of_classifiers = classification.median_seconds()
    forecasts = forecasting.all_rows()
    m3 = forecasts[forecasts["dataset"] == "m3-monthly"].groupby("name")["seconds"].mean()
    panel = newest.newest("scale-panel").set_index("part")
    _, made = anomalies.by_series("seconds")
    detectors = made.median()
    nobody: dict[str, float] = {}
    rows: dict[str, tuple[float, Any]] = {
        f"Classify: fit and predict, median of {len(classification.accuracies())} sets": (
            of_classifiers[classification.DEFAULT],
            of_classifiers[["MiniRocket", "MultiRocket-Hydra", "ROCKET"]],
        ),
        "Forecast M3 monthly (1,428 series), no training": (m3["zero-shot"], m3[["Theta", "AutoETS"]]),
        "Forecast a panel of M5's shape (30,490 series of 1,941 days)": (
            panel.loc[["fit", "predict, with bands"], "seconds"].sum(),
            nobody,
        ),
        "Find anomalies: fit and score, median of the synthetic series": (
            detectors[anomalies.DETECTOR],
            detectors[["Sub-KNN", "matrix profile"]],
        ),
    }
    lines = [
        {
            "Seconds on one core": task,
            OURS: seconds(ours),
            "Others": ", ".join(f"{name} {seconds(value)}" for name, value in others.items()),
        }
        for task, (ours, others) in rows.items()
    ]
    return pd.DataFrame(lines).set_index("Seconds on one core")


# Where others are better


def losses() -> str:
    """Say where others are better; a comparison that ours wins is left out."""
    return " ".join(filter(None, [better_elsewhere(), narrow_bands(), level_classifier(), ages()]))


def better_elsewhere() -> str:
    """Say which method is better than ours, where."""
    yearly = forecasting.competition_errors().loc["M3 yearly"]
    hourly = forecasting.long_errors().loc["ETTh1"]
    ttm = forecasting.published_mse("TTM-r2 (zero-shot)", "ETTh1")
    patchtst = forecasting.published_mse("PatchTST", "ETTh1", "512")
    detector, others = ours_and_two_best(anomalies.by_series()[anomalies.ARCHIVE])
    comparisons: list[Any] = [
        (yearly["AutoETS"] < yearly["zero-shot"], "AutoETS forecasts M3 yearly better"),
        (ttm < hourly["zero-shot"], f"TTM-r2 forecasts ETTh1 better without training (MSE {three(ttm)})"),
        (patchtst < hourly["default"], f"PatchTST forecasts it better with training ({three(patchtst)})"),
        (others.iloc[0] > detector, f"{others.index[0]} places anomalies of the UCR archive more exactly"),
    ]
    better = [text for is_better, text in comparisons if is_better]
    return f"Where we lose: {', '.join(better)}." if better else ""


def narrow_bands() -> str:
    """Say where intervals do not hold, if they still do not."""
    covered = 100 * forecasting.covered_far_ahead()
    told = f"Intervals of exchange rates are too narrow: 720 days ahead the 80 % band holds {covered:.0f} %."
    return told if covered < 75 else ""


def level_classifier() -> str:
    """Say how the classifier stands on sets that were held back, and how slow it is."""
    table = classification.held_back()
    accuracy = table["accuracy"].map(three)
    times_as_long, _ = speed.times_as_long()
    return (
        f"On {table['sets'].iloc[0]} data sets that were held back from all choices the classifier is level with "
        f"MultiRocket-Hydra ({accuracy[classification.DEFAULT]} to {accuracy['MultiRocket-Hydra']}), and it takes "
        f"{times_as_long:.0f} times as long as MiniRocket."
    )


def ages() -> str:
    """Say which rows are older than a change of what they depend on."""
    rows = {"the classifier": ("classification", classification.rows()), "the detector": ("anomaly", anomalies.rows())}
    changed = {
        name: newest.changed_since(question, table[newest.is_ours(table)]) for name, (question, table) in rows.items()
    }
    sentences = [
        f"Figures of {name} are from before {', and before '.join(told)}." for name, told in changed.items() if told
    ]
    return " ".join(sentences)


MADE = {"summary": summary, "times": times, "files": newest.index, "losses": losses}
