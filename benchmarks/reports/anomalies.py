"""Anomalies: the tables and sentences of docs/results/anomalies.md, from rows of anomaly.py and anomaly_reasons.py."""

from functools import cache, partial
from pathlib import Path

import anomaly
import pandas as pd

from reports.cells import OURS, bold_best, seconds, three
from reports.newest import age_note, newest, when_measured

DETECTOR = "TransformerDetector"
OURS_TOO = (DETECTOR, "its ")  # the detector and its parts
LEARNT, RANDOM = "its neighbours alone", "its neighbours, random weights"
ARCHIVE, SYNTHETIC = 0, 1
KINDS = {"cycles": "cycles", "aperiodic": "no period", "channels": "several channels"}  # of made series


@cache
def rows() -> pd.DataFrame:
    """Read the rows of all detectors."""

    def read(path: Path) -> pd.DataFrame:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    key = ["group", "series", "method"]
    alone = newest("anomaly", read, key).query("group != 'channels'")
    return pd.concat([alone, newest("anomaly-channels", read, key)])


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
    else:
        for place, (name, title) in enumerate(KINDS.items()):
            of_kind = vus[vus.index.get_level_values("group") == name]
            table.insert(place, f"{title} ({len(of_kind)})", bold_best(of_kind.mean(), 3))
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
    worth = means[LEARNT] - means[RANDOM]
    return (
        f"More exact than ours by VUS-PR: {told}. What the weights have learnt is worth {three(worth)} here: "
        f"neighbours alone, less neighbours with random weights. Those are right {right_in_archive(RANDOM)} too: these "
        "series are easy."
    )


def right_in_archive(method: str) -> str:
    """Say on how many series of the archive a method's highest score is right."""
    right = by_series("right")[ARCHIVE][method]
    return f"on all {len(right)}" if right.all() else f"on {right.sum():.0f} of {len(right)}"


def weights() -> str:
    """Say what windows compared by the bundled encoder find, and what by random weights."""
    made = by_series()[SYNTHETIC]
    learnt, random = (three(made[method].mean()) for method in (LEARNT, RANDOM))
    right, other = right_in_archive(LEARNT), right_in_archive(RANDOM)
    told = f"{right} with either" if right == other else f"{right}, and {other} with random weights"
    return (
        f"On {len(made)} series made with known anomalies, windows compared by the bundled encoder have a VUS-PR of "
        f"{learnt}; by an encoder with random weights, `pretrained=None`, {random}. Of the series of the UCR archive "
        f"the highest score is right {told}."
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


def reasons_right() -> str:
    """Say how many of the anomalies that are found are named rightly, and how many placed rightly."""
    _, kind, place = reasons().iloc[-1]
    return (
        f"On synthetic anomalies (`benchmarks/anomaly_reasons.py`) {kind} of those that are found have "
        f"the right kind, and {place} share .3 of the interval or more."
    )


def false_alarms() -> str:
    """Say how many anomalies there are, and how often there is none where one is told."""
    rows = reason_rows()
    alarms = rows["false_alarms"].dropna()
    return (
        f'{len(rows)} synthetic anomalies. "Right kind" and "right place" (an overlap of .3 or more) are fractions '
        f"of those found. False alarms: {alarms.mean():.2f} a series, median {alarms.median():.0f}."
        f"{age_note('anomaly-reasons', rows)}"
    )


MADE = {
    "anomalies_archive": partial(detectors, ARCHIVE),
    "anomalies_made": partial(detectors, SYNTHETIC),
    "weights": weights,
    "reasons": reasons,
    "reasons_right": reasons_right,
    "anomalies_source": source,
    "exactness": exactness,
    "false_alarms": false_alarms,
}
