"""Few labels and many series: the table and sentences of docs/few_labels.md, from rows of semi_supervised.py."""

from functools import cache

import pandas as pd
import semi_supervised
from rows import read_rows
from tables import number

from reports.cells import OURS, bold_rows
from reports.newest import age_note, files, is_ours, when_measured

NAMES = {
    "default": OURS,
    "supervised": "labels alone",
    "MiniRocket in self-training": "MiniRocket, self-trained",
    "MiniRocket": "MiniRocket, labels alone",
}


@cache
def rows() -> pd.DataFrame:
    """Read the rows that were scored on TEST."""
    table = read_rows(files("unlabelled")[0], [*semi_supervised.DATASET, "method", "scored", "strangers", "adapted"])
    return table[(table["scored"] == "test") & table["method"].isin(NAMES)]


def accuracies() -> pd.DataFrame:
    """Show the accuracy of each method, a row a number of labels."""
    lines = {}
    for labels, some in rows().groupby("labels"):
        complete = semi_supervised.per_dataset(some)
        lines[f"{labels:.0f}, {len(complete)} sets"] = complete.mean().rename(NAMES)
    return bold_rows(pd.DataFrame(lines).T[list(NAMES.values())], 3).rename_axis("labels a class")


def gains() -> str:
    """Say what the series without labels are worth, and where they hurt."""
    beside = semi_supervised.beside_supervised(rows())
    ours_beside = beside[beside.index.str.endswith(", default")]
    told = [
        f"with {str(name).split(',')[0]} labels a class {float(line['gain']):+.1f} points (worst set {line['worst']}; "
        f"{line['wins/ties/losses']} wins/ties/losses, p {line['p']})"
        for name, line in ours_beside.to_dict("index").items()
    ]
    ours = rows()[is_ours(rows())]
    slowest = rows()[rows()["method"] == "default"]["fit_seconds"].max()
    return (
        f"Means over data sets of {ours['seed'].nunique()} draws of the labels, scored on TEST. Beside the supervised "
        f"classifier on the same labels: {'; '.join(told)}, p by Wilcoxon's test. The slowest fit took "
        f"{number(slowest, 0)} s on one core ({when_measured(ours)}).{age_note('unlabelled', ours)}"
    )


MADE = {"unlabelled": accuracies, "unlabelled_gains": gains}
