"""Summarises benchmark rows: the CSV of uea.py enters, tables (markdown) and a critical-difference diagram leave.

The accuracy on a dataset is the mean over seeds; means, ranks, wins and times go over the datasets that every
estimator with a result has, and what is missing is named. p is that of a two-sided Wilcoxon signed-rank test over
datasets, not corrected for the number of tests.
"""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

DATASET = ["archive", "dataset"]
# With these a published number may be compared: the others saw the test split, or may have.
FAIR_PROTOCOLS = ("this run", "train-only")


def summarise(results: Path, references: Iterable[Path]) -> str:
    """Write `<results>.md` and `<results>-cd.png` beside a CSV of results.

    Parameters
    ----------
    results : path
        CSV of uea.py.
    references : paths
        CSVs of published accuracies; the name of each begins with that of its archive (`uea_published.csv`).

    Returns
    -------
    str
        The text of the markdown file.
    """
    rows = read_results(results)
    published = {path.stem.partition("_")[0]: read_published(path) for path in references}
    picture = draw_critical_difference(rows, results.with_name(f"{results.stem}-cd.png"))
    text = "\n\n".join([f"# {results.stem}", provenance(rows), *tables(rows, published), picture, missing(rows)])
    results.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    return text


def read_results(path: Path) -> pd.DataFrame:
    """Read the rows of a run of uea.py that trained on all cases."""
    rows = read_rows(path, [*DATASET, "estimator", "adapted"])
    return rows[rows["labels"].isna()] if "labels" in rows else rows


def read_rows(path: Path, texts: Iterable[str]) -> pd.DataFrame:
    """Read the rows of a run, which may still be going on: a last line not yet whole is left out.

    `texts` are the columns of text beside those that all benchmarks have.
    """
    text = path.read_text(encoding="utf-8")
    as_text = dict.fromkeys([*texts, "version", "code", "commit", "error"], str)
    # Empty is the only missing value: an estimator's label or an error may read "None" or "nan".
    rows = pd.read_csv(io.StringIO(text[: text.rfind("\n") + 1]), dtype=as_text, keep_default_na=False, na_values=[""])
    rows["seconds"] = rows["fit_seconds"] + rows["predict_seconds"]
    rows["ours"] = rows["version"].str.split().str[0] == "tsformer"
    return rows


def read_published(path: Path) -> pd.DataFrame:
    """Read published accuracies; `changed` marks those on a dataset made equal in length (_eq) or complete (_nmv)."""
    published = pd.read_csv(path)
    name = published["dataset"].str.replace(r"_(eq|nmv)$", "", regex=True)
    published = published.assign(dataset=name, changed=name != published["dataset"])
    return published.sort_values("changed", kind="stable").drop_duplicates(["dataset", "method"])


def tables(rows: pd.DataFrame, published: dict[str, pd.DataFrame]) -> list[str]:
    """Make the tables of each archive, then those of all."""
    ours = our_estimator(rows)
    parts = []
    for archive, part in rows.groupby("archive"):
        parts += [f"## {archive}", *dataset_section(part), *comparison_section(part, ours)]
        if str(archive) in published:
            parts += published_section(part, published[str(archive)])
    if rows["archive"].nunique() > 1:
        parts += ["## All archives", *comparison_section(rows, ours)]
    return parts


def our_estimator(rows: pd.DataFrame) -> str | None:
    """Choose the estimator that the others are compared with: ours with its defaults, or the first of ours."""
    names = rows.loc[rows["ours"], "estimator"]
    return None if names.empty else min(names, key=lambda name: name != "TransformerClassifier")


def over_seeds(rows: pd.DataFrame, measure: str, how: str = "mean") -> pd.DataFrame:
    """Aggregate a measure over seeds: one row a dataset, one column an estimator that has results."""
    names = rows.loc[rows["accuracy"].notna(), "estimator"].unique()
    table = rows.groupby([*DATASET, "estimator"])[measure].agg(how).unstack("estimator")
    return table.reindex(columns=names).round(9)  # the order of summation must not break ties


def adapted(rows: pd.DataFrame) -> pd.Index:
    """Name the datasets that had to be changed for any of the estimators."""
    return rows[rows["adapted"].notna()].set_index(DATASET).index.unique()


# Tables of this run


def provenance(rows: pd.DataFrame) -> str:
    """Say what the rows stand on, and warn where they should not stand together."""
    lines = [f"{len(rows)} rows, {rows['error'].notna().sum()} of them failures."]
    for column in ("version", "versions", "device", "threads"):
        lines.append(f"- {column}: {'; '.join(map(str, rows[column].dropna().unique()))}")
    ours = rows[rows["ours"]]
    for code, part in ours.groupby("code"):
        lines.append(f"- code of tsformer: {code}, commit {', '.join(part['commit'].dropna().unique())}")
    if ours["code"].nunique() > 1:
        lines.append("\n**The rows of tsformer come from different code: they are not comparable.**")
    return "\n".join(lines)


def dataset_section(rows: pd.DataFrame) -> list[str]:
    """Show the accuracy of every estimator on every dataset; with its deviation over seeds where it is ours."""
    accuracy = over_seeds(rows, "accuracy")
    deviation = over_seeds(rows[rows["ours"]], "accuracy", "std").reindex_like(accuracy)
    cells = accuracy.map(lambda mean: number(mean, 3)) + deviation.map(lambda std: number(std, 3, " ± "))
    cells.index = [name + "*" * (key in adapted(rows)) for key, name in zip(cells.index, names(cells), strict=True)]
    caption = "Accuracy, mean over seeds (± standard deviation of ours; * padded, cut or interpolated for a rival):"
    return [caption, markdown(cells.rename_axis("dataset"))]


def comparison_section(rows: pd.DataFrame, ours: str | None) -> list[str]:
    """Show the table of `compare`, and over which datasets it goes."""
    accuracy = over_seeds(rows, "accuracy")
    complete = accuracy.dropna()
    text = f"Over the {len(complete)} datasets that all {accuracy.shape[1]} estimators have"
    if left_out := names(accuracy.drop(complete.index)):
        text += f" (left out: {', '.join(left_out)})"
    if complete.empty:
        return [f"{text}: nothing to compare."]
    counted = f" Wins, ties and losses are those of {ours} against the row's estimator." if ours else ""
    return [f"{text}. Seconds are fit plus predict.{counted}", markdown(compare(rows, ours))]


def compare(rows: pd.DataFrame, ours: str | None) -> pd.DataFrame:
    """Compare estimators over the datasets that all of them have.

    Parameters
    ----------
    rows : DataFrame
        Rows of results.
    ours : str or None
        The estimator whose wins, ties and losses are counted.

    Returns
    -------
    DataFrame
        One row an estimator, best mean rank first; cells are text.
    """
    accuracy = over_seeds(rows, "accuracy").dropna()
    plain = accuracy[~accuracy.index.isin(adapted(rows))]
    balanced, loss, seconds, memory = (
        over_seeds(rows, measure).loc[accuracy.index]
        for measure in ("balanced_accuracy", "log_loss", "seconds", "peak_memory_mb")
    )
    ranks = accuracy.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    table = {}
    for name, rank in ranks.items():
        table[name] = {
            "accuracy": number(accuracy[name].mean(), 4),
            f"on {len(plain)} not adapted": number(plain[name].mean(), 4),
            "mean rank": number(rank, 2),
            "wins/ties/losses": "",
            "p": "",
            "balanced accuracy": number(balanced[name].mean(), 4),
            "log loss": number(loss[name].mean(skipna=False), 3),
            "median seconds": number(seconds[name].median(), 2),
            "time / ours": number(seconds[name].median() / seconds[ours].median(), 3) if ours in seconds else "",
            "median MB": number(memory[name].median(), 0),
        }
        if ours in accuracy and name != ours:
            table[name] |= against(accuracy[ours], accuracy[name])
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("estimator")


def against(ours: pd.Series, theirs: pd.Series) -> dict[str, str]:
    """Count our wins, ties and losses, and test the differences."""
    from scipy.stats import wilcoxon

    difference = (ours - theirs).round(9)
    p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
    counts = (difference > 0).sum(), (difference == 0).sum(), (difference < 0).sum()
    return {"wins/ties/losses": "/".join(map(str, counts)), "p": number(p, 3) if p >= 0.001 else "<0.001"}


def missing(rows: pd.DataFrame) -> str:
    """Name every row without a result: each estimator should have each of its seeds on each dataset."""
    key = [*DATASET, "estimator", "seed"]
    errors = dict(zip(rows[key].itertuples(index=False, name=None), rows["error"], strict=True))
    lines = []
    for dataset in rows[DATASET].drop_duplicates().itertuples(index=False, name=None):
        for run in rows[["estimator", "seed"]].drop_duplicates().itertuples(index=False, name=None):
            error = errors.get((*dataset, *run), "not run")
            if isinstance(error, str):
                lines.append(f"- {'/'.join(dataset)}, {run[0]}, seed {run[1]}: {error}")
    return "\n".join(["Missing rows:", "", *lines]) if lines else "No row is missing."


# Tables of published numbers


def published_section(rows: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """Show published accuracies on the same datasets beside those of this run."""
    here = over_seeds(rows, "accuracy").droplevel("archive")
    published = published[published["dataset"].isin(here.index)]
    if published.empty:
        return ["No published numbers for these datasets."]
    there = published.pivot(index="dataset", columns="method", values="accuracy").reindex(here.index)
    changed = published.pivot(index="dataset", columns="method", values="changed").reindex(here.index)
    cells = there.map(lambda accuracy: number(accuracy, 3)) + changed.map(lambda is_changed: "*" * (is_changed is True))
    both = here.join(there, lsuffix=" (here)").dropna()
    return [
        f"Published beside this run, mean accuracy over the {len(both)} of {len(here)} datasets that all of them have. "
        "Train-only compares with this run; test-selected saw the test split, unverified may have.",
        markdown(published_means(both, pd.concat([here, there], axis=1).count(), published)),
        "Published, by dataset (* on a version made equal in length or complete):",
        markdown(cells.rename_axis(columns=None)),
    ]


def published_means(both: pd.DataFrame, counts: pd.Series, published: pd.DataFrame) -> pd.DataFrame:
    """Average over the common datasets, fair protocols first; `counts` says how many datasets each column has."""
    about = published.drop_duplicates("method").set_index("method").reindex(both.columns)
    table = pd.DataFrame(
        {
            "mean": both.mean(),
            "protocol": about["protocol"].fillna("this run"),
            "datasets": counts.to_numpy(),
            "source": about["source"].fillna(""),
        }
    ).rename_axis("method")
    fair = table["protocol"].isin(FAIR_PROTOCOLS)
    table = table.assign(fair=fair).sort_values(["fair", "mean"], ascending=False).drop(columns="fair")
    return table.assign(mean=table["mean"].map(lambda mean: number(mean, 4)))


# Output


def names(table: pd.DataFrame) -> list[str]:
    """List the datasets of a table's rows."""
    return [str(dataset) for _, dataset in table.index]


def number(value: float, digits: int, before: str = "") -> str:
    """Write a number, or nothing where there is none."""
    return "" if np.isnan(value) else f"{before}{value:.{digits}f}"


def markdown(table: pd.DataFrame) -> str:
    """Write a table, its index first, that reads well as text too."""
    table = table.reset_index()
    lines = [list(map(str, table.columns)), *(list(map(str, row)) for row in table.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def draw_critical_difference(rows: pd.DataFrame, path: Path) -> str:
    """Draw mean ranks, joined where tests see no difference; return what to say about the picture."""
    accuracy = over_seeds(rows, "accuracy").dropna()
    if accuracy.shape[0] < 2 or accuracy.shape[1] < 3:
        return "No critical-difference diagram: it takes three estimators and two datasets that all of them have."
    import matplotlib

    matplotlib.use("Agg")
    from aeon.visualisation import plot_critical_difference

    labels = list(map(str, accuracy.columns))
    ours = dict.fromkeys(rows.loc[rows["ours"], "estimator"], "tab:blue")
    space = 0.5 + 0.12 * max(map(len, labels))  # inches for the longest name in aeon's letters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # estimators that never differ
        figure, _ = plot_critical_difference(
            accuracy.to_numpy(), labels, highlight=ours, width=6 + 2 * space, textspace=space
        )
    figure.savefig(path, dpi=150, bbox_inches="tight")
    return (
        f"![Critical differences]({path.name})\n\nMean ranks over {len(accuracy)} datasets. A bar joins estimators "
        "between which one-sided Wilcoxon tests, with Holm's correction at 0.1, see no difference."
    )
