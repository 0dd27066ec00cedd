"""Classification: the tables and sentences of docs/results/classification.md, from rows of uea.py and its kin."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd
import uea
from rows import read_rows
from tables import number

from reports.cells import OURS, bold_rows, seconds, three
from reports.newest import REFERENCE, age_note, files, is_ours, newest, when_measured

DEFAULT = "TransformerClassifier"
ALONE = f"{DEFAULT}(n_estimators=0)"
RIVALS = ["MultiRocket-Hydra", "MiniRocket", "ROCKET", "Hydra"]
SHORT = {DEFAULT: OURS, "MultiRocket-Hydra": "MR-Hydra"}  # in the narrowest tables
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "critical_difference.png"


@cache
def rows() -> pd.DataFrame:
    """Read the rows of the default and of rivals."""
    return rows_of("classification")


def rows_of(question: str) -> pd.DataFrame:
    """Read the rows of the default and of rivals from the files of a question."""
    everything = newest(question, uea.read_results, [*uea.DATASET, "estimator"])
    return everything[everything["estimator"].isin([DEFAULT, *RIVALS])]


def accuracies() -> pd.DataFrame:
    """Average accuracies over seeds: a row for each set that all have, a column for each estimator."""
    return means_by_dataset(rows()).dropna()


def means_by_dataset(part: pd.DataFrame) -> pd.DataFrame:
    """Average accuracies over seeds."""
    return uea.over_seeds(part, "accuracy").droplevel("archive")


def median_seconds() -> pd.Series:
    """Take the median over sets of the seconds of fit and predict, on a machine that did nothing else."""
    return uea.over_seeds(rows_of("seconds"), "seconds").median()


def source() -> str:
    """Say how often, when and at which commit the classifiers were measured."""
    ours, rivals = rows()[is_ours(rows())], rows()[~is_ours(rows())]
    versions = ", ".join(rivals["version"].unique())
    return (
        f"Seeds: {ours['seed'].nunique()} of ours ({when_measured(ours)}), of rivals ({versions}) "
        f"{rivals['seed'].nunique()}.{age_note('classification', ours)}"
    )


def comparison() -> pd.DataFrame:
    """Compare estimators over all sets."""
    table = uea.compare(rows(), DEFAULT)
    chosen = {
        "accuracy": accuracies().mean().map(three),
        "mean rank": table["mean rank"],
        "won, tied, lost": table["wins/ties/losses"].str.replace("/", ", "),
        "p": table["p"],
        "seconds": median_seconds().map(seconds),
    }
    return pd.DataFrame(chosen).loc[table.index].rename(index=SHORT).rename_axis("")


def draw() -> None:
    """Draw critical differences between the estimators."""
    uea.draw_critical_difference(rows().replace({"estimator": SHORT}), PICTURE)


def held_back() -> pd.DataFrame:
    """Read what was measured on sets that are held back from all choices: a row for each estimator."""
    return pd.read_csv(REFERENCE / "held_back.csv").set_index("estimator")


def held_back_told() -> str:
    """Say how ours compares on the sets that were held back."""
    table = held_back()
    rival = table.loc["MultiRocket-Hydra"]
    won, tied, lost = rival[["wins", "ties", "losses"]].astype(int)
    accuracy = table["accuracy"].map(three)
    return (
        f"By these {len(accuracies())} sets the defaults were chosen, on their TRAIN files. On {rival['sets']} further "
        f"sets that were held back from all choices, the classifier has {accuracy[DEFAULT]}, "
        f"MultiRocket-Hydra {accuracy['MultiRocket-Hydra']} ({won} wins, {tied} ties, {lost} losses) and MiniRocket "
        f"{accuracy['MiniRocket']}: **level with the best rival, not above it**. Their names and rows are withheld, so "
        "that nothing can be chosen by them; they were run before the encoder learnt from made tasks."
    )


def by_dataset(archive: str) -> pd.DataFrame:
    """Show the accuracy on each set of an archive, ours first."""
    accuracy = means_by_dataset(rows()[rows()["archive"] == archive])
    mean = accuracy.mean().rename(f"mean of {len(accuracy)}").to_frame().T
    table = pd.concat([accuracy, mean])[[DEFAULT, *RIVALS[:3]]]
    return bold_rows(table.rename(columns=SHORT), 3).rename_axis("data set")


def without_smallest_test() -> str:
    """Give the means of UEA without the set whose test part is the smallest."""
    part = rows()[rows()["archive"] == "uea"]
    sizes = part.groupby("dataset")["n_test"].first()
    means = means_by_dataset(part).drop(index=sizes.idxmin()).mean()
    ranked = means[[DEFAULT, *RIVALS[:3]]].sort_values(ascending=False)
    told = ", ".join(f"{SHORT.get(str(name), name)} {three(mean)}" for name, mean in ranked.items())
    return f"{sizes.idxmin()} has {sizes.min()} test cases; without it the means are {told}."


def tiny_sets() -> str:
    """Give the means of the smallest training sets."""
    sizes = rows()[rows()["archive"] == "ucr"].groupby("dataset")["n_train"].first()
    tiny = list(sizes[sizes <= 30].index)
    means = accuracies().loc[tiny].mean().map(three)
    return (
        f"On the {len(tiny)} sets with at most 30 training cases ({', '.join(tiny)}), ours has {means[DEFAULT]} and "
        f"MultiRocket-Hydra {means['MultiRocket-Hydra']}."
    )


def published() -> pd.DataFrame:
    """Compare with published accuracies of train-only protocols, over the sets that all of them have."""
    here = means_by_dataset(rows()).rename(columns={DEFAULT: OURS})[[OURS]]
    table = pd.concat(map(uea.read_published, uea.PUBLISHED))
    table = table[(table["protocol"] == "train-only") & table["dataset"].isin(here.index)]
    there = table.pivot(index="dataset", columns="method", values="accuracy")
    there = there.loc[:, there.count() >= 25]
    both = here.join(there, how="inner").dropna()
    accuracy = both.mean().sort_values(ascending=False).map(lambda mean: number(mean, 4))
    return accuracy.to_frame(f"accuracy, {len(both)} sets").rename_axis("")


# Parts and encoders


def read_first_seed(question: str) -> pd.DataFrame:
    """Read the rows of seed 0."""
    table = newest(question, uea.read_results)
    return table[table["seed"] == 0]


def parts() -> pd.DataFrame:
    """Show what the default loses without some of its parts."""
    names = {
        DEFAULT: "the default",
        ALONE: "`n_estimators=0`: the pretrained encoder alone",
        f"{DEFAULT}(pretrained=None)": "`pretrained=None`",
        f"{DEFAULT}(pretrained=None, n_layers=0)": "... and `n_layers=0`: no attention",
        f"{DEFAULT}(pretrained=None, augment=None)": "... and `augment=None`",
        f"{DEFAULT}(pretrained=None, differences=False)": "... and `differences=False`",
        f"{DEFAULT}(pretrained=None, average_decay=None)": "... and `average_decay=None`",
    }
    return by_archive("classification-parts", names).rename_axis("parameters")


def parts_worth() -> str:
    """Say in points what parts are worth, from networks without the pretrained encoder."""
    accuracy = 100 * uea.over_seeds(read_first_seed("classification-parts"), "accuracy").groupby("archive").mean()
    scratch = f"{DEFAULT}(pretrained=None)"
    worth = {"the pretrained encoder": accuracy[DEFAULT] - accuracy[scratch]}
    for part, parameter in {
        "attention": "n_layers=0",
        "augmentation": "augment=None",
        "differences": "differences=False",
        "averaged weights": "average_decay=None",
    }.items():
        worth[part] = accuracy[scratch] - accuracy[f"{DEFAULT}(pretrained=None, {parameter})"]
    told = ", ".join(f"{part} {points['uea']:+.1f} and {points['ucr']:+.1f}" for part, points in worth.items())
    rows = newest("classification-parts")
    return f"In points of accuracy on UEA and on UCR: {told}.{age_note('classification-parts', rows[is_ours(rows)])}"


def encoders() -> pd.DataFrame:
    """Compare the encoders of the default's networks."""
    names = {
        f"{DEFAULT}(encoder={name!r})": f"`{name}`"
        for name in ("gated_two_tower", "shifted_window", "patch", "strided_stem", "transformer")
    }
    table = by_archive("encoders", {DEFAULT: "`conv_stem`, the default"} | names)
    return table.drop(columns="UCR").sort_values("UEA", ascending=False, kind="stable").rename_axis("encoder")


def by_archive(question: str, names: dict[str, str]) -> pd.DataFrame:
    """Average accuracies at seed 0 over the sets of each archive."""
    part = read_first_seed(question)
    accuracy = uea.over_seeds(part, "accuracy")[list(names)]
    cells = {str(archive).upper(): sets.mean().map(three) for archive, sets in accuracy.groupby("archive")}
    table = pd.DataFrame({"UEA": "", "UCR": ""} | cells, index=list(names))
    loss = uea.over_seeds(part, "log_loss")[list(names)].mean()
    return table.assign(**{"log loss": loss.map(three)}, seconds=seconds_of(part, names)).rename(index=names)


def seconds_of(part: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """Write the median seconds of estimators over sets."""
    return uea.over_seeds(part, "seconds")[list(names)].median().map(seconds)


def seconds_alone() -> float:
    """Take the median over sets of the seconds of the pretrained encoder alone."""
    return float(uea.over_seeds(read_first_seed("classification-parts"), "seconds")[ALONE].median())


def temperature() -> str:
    """Say what the best temperature in hindsight would gain."""
    table = newest("temperature")
    gain = 1 - table["tempered"].mean() / table["log_loss"].mean()
    return (
        "The best temperature in hindsight, one for each set and fitted on TEST as a diagnostic, would take "
        f"{100 * gain:.1f} % off the log loss (commit {table['commit'].iloc[0]}): where nearly all cases are right, "
        "the probabilities are too modest."
    )


# Few labels


@cache
def few_label_rows() -> pd.DataFrame:
    """Read the rows of classifiers that are given few labels, or all."""
    return read_rows(files("few-labels")[0], [*uea.DATASET, "estimator", "adapted"])


def few_labels() -> pd.DataFrame:
    """Show accuracies of classifiers that are given some labels of each class."""
    table = few_label_rows()
    names = {DEFAULT: OURS, ALONE: "encoder alone", "MiniRocket": "MiniRocket"}
    lines = {}
    for labels in (1, 2, 5, 10, 20):
        part = table[(table["labels"] == labels) & table["estimator"].isin(names)]
        accuracy = part.pivot_table(index="dataset", columns="estimator", values="accuracy").dropna()
        lines[f"{labels}, {len(accuracy)} sets"] = accuracy.mean().rename(names)
    return bold_rows(pd.DataFrame(lines).T[list(names.values())], 3).rename_axis("cases a class")


def features() -> str:
    """Compare features of frozen encoders on UCR, with all labels."""
    table = few_label_rows()
    table = table[table["labels"].isna() & (table["archive"] == "ucr")]
    accuracy = uea.over_seeds(table, "accuracy").mean().map(three)
    return (
        f"With all labels the encoder alone has {accuracy[ALONE]} on UCR, with random weights "
        f"{accuracy['pretraining:random_weights']}; MiniRocket {accuracy['MiniRocket']}, its features with the same "
        f"head {accuracy['pretraining:RocketFeatures']}."
    )


def few_labels_source() -> str:
    """Say when the rows of few labels were measured."""
    ours = few_label_rows()
    ours = ours[ours["estimator"].isin([DEFAULT, ALONE])]
    return (
        f"Some cases of each class, the rest of TRAIN left out ({when_measured(ours)}).{age_note('few-labels', ours)}"
    )


MADE = {
    "classification": comparison,
    "classification_uea": lambda: by_dataset("uea"),
    "classification_ucr": lambda: by_dataset("ucr"),
    "classification_published": published,
    "classification_parts": parts,
    "classification_encoders": encoders,
    "few_labels": few_labels,
    "classification_source": source,
    "held_back": held_back_told,
    "without_smallest_test": without_smallest_test,
    "tiny_sets": tiny_sets,
    "parts_worth": parts_worth,
    "temperature": temperature,
    "few_labels_source": few_labels_source,
    "features": features,
}
