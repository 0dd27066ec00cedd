"""Summarises benchmark rows: the CSV of uea.py enters, tables (markdown) and a critical-difference diagram leave.

All comparisons are over the datasets that every estimator of the file has; what is missing is named. The accuracy on a
dataset is the mean over seeds, ranks and wins are of these means. p is that of a two-sided Wilcoxon signed-rank test
over datasets, not corrected for the number of tests.
"""

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

MEASURES = ["accuracy", "balanced_accuracy", "log_loss", "seconds", "peak_memory_mb"]
# What a published number may be compared with: the rest saw the test split, or nobody knows.
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
    text = report(rows, published)
    picture = results.with_name(f"{results.stem}-cd.png")
    sentence = draw_critical_difference(accuracies(rows).dropna(), picture)
    text = f"# {results.stem}\n\n{text}\n\n{sentence}\n"
    results.with_suffix(".md").write_text(text, encoding="utf-8")
    return text


def read_results(path: Path) -> pd.DataFrame:
    """Read the rows of a run, which may still be going on: a last line not yet whole is left out."""
    text = path.read_text(encoding="utf-8")
    rows = pd.read_csv(io.StringIO(text[: text.rfind("\n") + 1]), keep_default_na=False, na_values=[""])
    rows["seconds"] = rows["fit_seconds"] + rows["predict_seconds"]
    return rows


def read_published(path: Path) -> pd.DataFrame:
    """Read published accuracies; results on a dataset made equal in length or completed are marked `adapted`."""
    published = pd.read_csv(path)
    name = published["dataset"].str.replace(r"_(eq|nmv)$", "", regex=True)
    published["adapted"] = name != published["dataset"]
    published["dataset"] = name
    return published.sort_values("adapted", kind="stable").drop_duplicates(["dataset", "method"])


def report(rows: pd.DataFrame, published: dict[str, pd.DataFrame]) -> str:
    """Put all tables together: each archive, then all archives."""
    ours = our_estimator(rows)
    parts = [provenance(rows)]
    for archive, part in rows.groupby("archive"):
        parts += [f"## {archive}", per_dataset(part), comparison_section(part, ours)]
        if str(archive) in published:
            parts += published_section(part, published[str(archive)])
    if rows["archive"].nunique() > 1:
        parts += ["## All archives", comparison_section(rows, ours)]
    return "\n\n".join([*parts, missing(rows)])


def is_ours(rows: pd.DataFrame) -> pd.Series:
    """Tell the rows of this project's estimators."""
    return rows["version"].str.split().str[0] == "tsformer"


def our_estimator(rows: pd.DataFrame) -> str | None:
    """Choose the estimator that the others are compared with: ours with its defaults, or the first of ours."""
    names = rows.loc[is_ours(rows), "estimator"]
    return None if names.empty else min(names, key=lambda name: name != "TransformerClassifier")


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """Average accuracy over seeds: one row a dataset, one column an estimator, NaN where there is none."""
    return means(rows, "accuracy")


def means(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Average a measure over seeds: one row a dataset (archive, name), one column an estimator."""
    table = rows.pivot_table(measure, ["archive", "dataset"], "estimator", dropna=False, sort=False)
    # Rounding keeps ties ties: the order of summation must not decide them.
    return table.reindex(columns=rows["estimator"].unique()).round(9)


# Tables of this run


def provenance(rows: pd.DataFrame) -> str:
    """Say what the rows stand on, and warn where they should not stand together."""
    lines = [f"{len(rows)} rows, {rows['error'].notna().sum()} of them failures."]
    for column in ("version", "versions", "device", "threads"):
        lines.append(f"- {column}: {'; '.join(map(str, rows[column].dropna().unique()))}")
    ours = rows[is_ours(rows)]
    for code, part in ours.groupby("code"):
        lines.append(f"- code of tsformer: {code}, commit {', '.join(part['commit'].unique())}")
    if ours["code"].nunique() > 1:
        lines.append("\n**The rows of tsformer come from different code and are not comparable.**")
    return "\n".join(lines)


def per_dataset(rows: pd.DataFrame) -> str:
    """Show the accuracy of every estimator on every dataset; with its deviation over seeds where it is ours."""
    accuracy = accuracies(rows)
    cells = accuracy.map(lambda value: number(value, 3))
    ours = rows[is_ours(rows)]
    for (archive, dataset, estimator), values in ours.groupby(["archive", "dataset", "estimator"])["accuracy"]:
        if values.count() > 1:
            cells.loc[(archive, dataset), estimator] += f" ± {values.std():.3f}"
    cells = cells.droplevel("archive").reset_index()
    cells["dataset"] += ["*" if dataset in adapted(rows) else "" for dataset in accuracy.index]
    note = "\n\n\\* adapted for a rival (padded, cut or interpolated)." if adapted(rows) else ""
    return "Accuracy, mean over seeds (± standard deviation of ours):\n\n" + markdown(cells) + note


def adapted(rows: pd.DataFrame) -> set[tuple[str, str]]:
    """Name the datasets that had to be changed for any of the estimators."""
    changed = rows[rows["adapted"].notna()]
    return set(zip(changed["archive"], changed["dataset"], strict=True))


def comparison_section(rows: pd.DataFrame, ours: str | None) -> str:
    """Show the table of `compare`, and over which datasets it goes."""
    accuracy = accuracies(rows)
    complete = accuracy.dropna()
    text = f"Over the {len(complete)} datasets that all {accuracy.shape[1]} estimators have"
    if left_out := [name for _, name in accuracy.index.difference(complete.index)]:
        text += f" (left out: {', '.join(left_out)})"
    if complete.empty:
        return f"{text}: nothing to compare."
    against = f" Wins, ties, losses, p and the time ratio are those of {ours} against the row's." if ours else ""
    return f"{text}.{against}\n\n" + markdown(compare(rows, ours).reset_index())


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
        One row an estimator, best mean rank first, cells as text.
    """
    accuracy = accuracies(rows).dropna()
    plain = accuracy[~accuracy.index.isin(adapted(rows))]
    measured = {measure: means(rows, measure).loc[accuracy.index] for measure in MEASURES}
    seconds = measured["seconds"].median()
    ranks = accuracy.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    table = {}
    for name in ranks.index:
        table[name] = {
            "accuracy": number(accuracy[name].mean(), 4),
            f"without adapted ({len(plain)})": number(plain[name].mean(), 4),
            "mean rank": number(ranks[name], 2),
            "wins/ties/losses": "",
            "p": "",
            "balanced accuracy": number(measured["balanced_accuracy"][name].mean(), 4),
            "log loss": number(measured["log_loss"][name].mean(skipna=False), 3),
            "median s": number(seconds[name], 2),
            "time / ours": number(seconds[name] / seconds[ours], 2) if ours else "",
            "median MB": number(measured["peak_memory_mb"][name].median(), 0),
        }
        if ours and name != ours:
            table[name] |= against(accuracy[ours], accuracy[name])
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("estimator")


def against(ours: pd.Series, theirs: pd.Series) -> dict[str, str]:
    """Count our wins, ties and losses, and test the differences."""
    from scipy.stats import wilcoxon

    difference = (ours - theirs).round(9)
    p = wilcoxon(difference).pvalue if difference.any() else 1.0
    counts = (difference > 0).sum(), (difference == 0).sum(), (difference < 0).sum()
    return {"wins/ties/losses": "/".join(map(str, counts)), "p": number(p, 3)}


def missing(rows: pd.DataFrame) -> str:
    """Name every run that failed or is not there, by estimator and dataset."""
    good = rows[rows["accuracy"].notna()]
    datasets = rows[["archive", "dataset"]].drop_duplicates().itertuples(index=False)
    lines = []
    for archive, dataset in datasets:
        for estimator, runs in rows.groupby("estimator", sort=False):
            here = (good["archive"] == archive) & (good["dataset"] == dataset) & (good["estimator"] == estimator)
            if lacking := sorted(set(runs["seed"]) - set(good.loc[here, "seed"])):
                failed = runs[(runs["archive"] == archive) & (runs["dataset"] == dataset) & runs["error"].notna()]
                why = "; ".join(failed["error"].unique()) or "not run"
                lines.append(f"- {dataset} ({archive}), {estimator}, seeds {', '.join(map(str, lacking))}: {why}")
    return "\n".join(["Missing rows:", "", *lines]) if lines else "No row is missing."


# Tables of published numbers


def published_section(rows: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """Show published accuracies on the same datasets beside those of this run."""
    here = accuracies(rows).droplevel("archive")
    published = published[published["dataset"].isin(here.index)]
    if published.empty:
        return ["No published numbers for these datasets."]
    there = published.pivot(index="dataset", columns="method", values="accuracy").reindex(here.index)
    means, n_common = published_means(here, there, published)
    cells = there.map(lambda value: number(value, 3)).reset_index()
    return [
        f"Published, mean accuracy over the {n_common} datasets that all methods and estimators have "
        f"(of {len(here)}). Only protocols this run and train-only compare: test-selected saw the test split, "
        "unverified may have.",
        markdown(means),
        "Published, by dataset (results on equal-length or completed versions count for the dataset here):",
        markdown(cells),
    ]


def published_means(here: pd.DataFrame, there: pd.DataFrame, published: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Average over the datasets that all columns have, fair protocols first; also return how many they are."""
    both = here.join(there, lsuffix=" (this run)").dropna()
    protocols = dict(zip(published["method"], published["protocol"], strict=True))
    sources = dict(zip(published["method"], published["source"], strict=True))
    table = pd.DataFrame({"accuracy": both.mean()}).rename_axis("method").reset_index()
    table["protocol"] = table["method"].map(protocols).fillna("this run")
    table["datasets"] = [int(column.notna().sum()) for _, column in pd.concat([here, there], axis=1).items()]
    table["source"] = table["method"].map(sources).fillna("")
    fair = table["protocol"].isin(FAIR_PROTOCOLS)
    table = table.assign(fair=fair).sort_values(["fair", "accuracy"], ascending=False).drop(columns="fair")
    table["accuracy"] = table["accuracy"].map(lambda value: number(value, 4))
    return table, len(both)


# Output


def number(value: float, digits: int) -> str:
    """Write a number, or nothing where there is none."""
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def markdown(table: pd.DataFrame) -> str:
    """Write a table that reads well as text, too."""
    cells = [[str(column) for column in table.columns], *(map(str, row) for row in table.itertuples(index=False))]
    columns = [list(column) for column in zip(*cells, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    lines = [" | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in zip(*columns, strict=True)]
    rule = "-|-".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def draw_critical_difference(accuracy: pd.DataFrame, path: Path) -> str:
    """Draw mean ranks, joined where a Wilcoxon-Holm test sees no difference; return what to say about the picture."""
    if accuracy.shape[0] < 2 or accuracy.shape[1] < 3:
        return "No critical-difference diagram: it needs three estimators and two datasets that all of them have."
    import matplotlib

    matplotlib.use("Agg")
    from aeon.visualisation import plot_critical_difference

    labels: Sequence[str] = list(accuracy.columns)
    space = 0.5 + 0.13 * max(map(len, labels))  # inches for the longest name at aeon's letter size
    with warnings.catch_warnings():  # on estimators that never differ
        warnings.simplefilter("ignore")
        figure, _ = plot_critical_difference(accuracy.to_numpy(), labels, width=4 + 2 * space, textspace=space)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    return (
        f"![critical difference]({path.name})\n\nMean ranks over {len(accuracy)} datasets; a bar joins estimators "
        "between which one-sided Wilcoxon tests with Holm's correction at 0.1 see no difference."
    )
