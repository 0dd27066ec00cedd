"""Anomalies: the tables and sentences of docs/results/anomalies.md, from rows of anomaly.py and anomaly_reasons.py."""

from functools import cache, partial
from pathlib import Path

import anomaly
import pandas as pd

from reports.cells import OURS, bold_best, seconds, three
from reports.newest import age_note, newest, when_measured

DETECTOR = "TransformerDetector"
OURS_TOO = (DETECTOR, "its ")  # the detector and its parts
ARCHIVE, SYNTHETIC = 0, 1


@cache
def rows() -> pd.DataFrame:
    """Read the rows of all detectors."""

    def read(path: Path) -> pd.DataFrame:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    return newest("anomaly", read, ["group", "series", "method"])


def by_series(column: str = "vus_pr") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average a column over seeds, of the series in the archive and of those made: a column for each method."""
    of_archive = rows()["group"] == "archive"
    return anomaly.by_series(rows()[of_archive], column), anomaly.by_series(rows()[~of_archive], column)


def detectors(group: int) -> pd.DataFrame:
    """Show detectors on the series of the archive, or on made ones."""
    vus, auc, took = (by_series(column)[group] for column in ("vus_pr", "auc_pr", "seconds"))
    table = pd.DataFrame({"VUS-PR": bold_best(vus.mean(), 3), "AUC-PR": bold_best(auc.mean(), 3)})
    if group == ARCHIVE:
        right = by_series("right")[group].sum()
        table.insert(0, f"right of {len(vus)}", bold_best(right, 0))
    table["seconds"] = took.median().map(seconds)
    return table.rename(index={DETECTOR: OURS}).rename_axis("")


def source() -> str:
    """Say when the detector was measured, and with which weights."""
    ours = rows()[rows()["method"] == DETECTOR]
    archive, made = by_series()
    return (
        f"{len(archive)} series of the UCR anomaly archive with one anomaly each, and {len(made)} made ones. Measured "
        f"{when_measured(ours)}.{age_note('anomaly', ours)}"
    )


def exactness() -> str:
    """Say which methods place the archive's anomalies more exactly than ours, and what its weights are worth there."""
    means = by_series()[ARCHIVE].mean()
    others = means[[not name.startswith(OURS_TOO) for name in means.index]].sort_values(ascending=False)
    better = [f"{name} {three(value)}" for name, value in others.items() if value > means[DETECTOR]]
    told = f"{' and '.join(better)} against {three(means[DETECTOR])}" if better else "no other method"
    worth = means["its neighbours alone"] - means["its neighbours, random weights"]
    return (
        f"More exact than ours by VUS-PR: {told}. What the weights have learnt is worth {three(worth)} here: "
        "neighbours alone, less neighbours with random weights."
    )


@cache
def reason_rows() -> pd.DataFrame:
    """Read the rows of reasons."""
    return newest("anomaly-reasons")


def reasons() -> pd.DataFrame:
    """Show which made anomalies are found, named rightly, and placed rightly."""
    groups = {str(kind): part for kind, part in reason_rows().groupby("made")} | {"all": reason_rows()}
    table = {}
    for kind, part in groups.items():
        found = part[part["found"] == 1]
        shares = [part["found"].mean(), found["right"].mean(), (found["iou"] >= 0.3).mean()]
        table[f"{kind} ({len(part)})"] = [f"{100 * share:.0f} %" for share in shares]
    return pd.DataFrame(table, ["found", "right kind", "right place"]).T.rename_axis("synthetic anomaly")


def false_alarms() -> str:
    """Say how many anomalies there are, and how often there is none where one is told."""
    alarms = reason_rows()["false_alarms"].dropna()
    return (
        f'{len(reason_rows())} synthetic anomalies. "Right kind" and "right place" (an overlap of .3 or more) are '
        f"fractions of those found. False alarms: {alarms.mean():.2f} a series, median {alarms.median():.0f}."
    )


MADE = {
    "anomalies_archive": partial(detectors, ARCHIVE),
    "anomalies_made": partial(detectors, SYNTHETIC),
    "reasons": reasons,
    "anomalies_source": source,
    "exactness": exactness,
    "false_alarms": false_alarms,
}
