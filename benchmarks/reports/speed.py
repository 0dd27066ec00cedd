"""Speed: the tables and sentences of docs/results/speed.md and docs/waiting.md, from rows of speed.py and its kin."""

from collections.abc import Sequence

import pandas as pd

from reports import anomalies, classification, forecasting
from reports.cells import seconds
from reports.newest import newest

SHAPES = ["ItalyPowerDemand", "BasicMotions", "JapaneseVowels", "ArrowHead", "Libras", "NATOPS", "Adiac", "Handwriting"]
SHAPES += ["AtrialFibrillation"]


def fits() -> pd.DataFrame:
    """Show how long a fit of the classifier takes on sets of several shapes."""
    rows = newest("fits", key=["dataset", "estimator"])
    rows = rows[(rows["estimator"] == classification.DEFAULT) & (rows["seed"] == 0)]
    rows = rows.set_index("dataset").loc[SHAPES].sort_values("fit_seconds").rename_axis("set")
    shapes = rows[["n_train", "n_channels", "n_timepoints"]].set_axis(["cases", "channels", "points"], axis=1)
    return shapes.assign(
        **{"fit, s": rows["fit_seconds"].map(seconds), "predict, s": rows["predict_seconds"].map(seconds)}
    )


def largest_fits() -> pd.DataFrame:
    """Show what the fit of a large set consists of."""
    rows = newest("scale")
    rows = rows[(rows["dtype"] == "float32") & (rows["whole"] == 0)].sort_values("fit")
    table = {
        "steps": rows["n_steps"],
        "a step, s": rows["step"].map("{:.2f}".format),
        "head, s": rows["frozen"].map(seconds),
        "fit, s": rows["fit"].map(seconds),
    }
    return pd.DataFrame(table).set_index(rows["shape"].rename("set"))


def detections() -> pd.DataFrame:
    """Show the seconds of fit and scores on the shortest and on the longest series of the archive."""
    rows = anomalies.rows().query("method == @anomalies.DETECTOR and group == 'archive'")
    lengths = ["n_timepoints", "train_end"]
    took = rows.groupby(lengths)["seconds"].median().iloc[[0, -2, -1]].map(seconds)
    return took.rename_axis(["time points", "of them normal"]).reset_index().set_index("time points")


def scale() -> pd.DataFrame:
    """Show the time and memory of large shapes."""
    rows = newest("scale").sort_values("fit", ascending=False)
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
    rows = newest("scale-panel").set_index("part")
    table = {"seconds": rows["seconds"].map(seconds), "peak, GiB": rows["peak_gib"].map("{:.1f}".format)}
    return pd.DataFrame(table).rename_axis("30,490 series of 1,941 days")


def contests(question: str, kinds: Sequence[str]) -> pd.DataFrame:
    """Show ratios of our time to others': below 1 ours is faster."""
    rows = newest(question)
    rows = rows[rows["question"].isin(kinds)]
    table = {
        "time / theirs": rows["ratio"].map("{:.2g}".format),
        "ours": rows["ours"],
        "beside": rows["rival"],
        "setting": rows["setting"],
    }
    return pd.DataFrame(table).set_index(rows["question"].rename(""))


def times_as_long() -> tuple[float, float]:
    """Say how many times as long as MiniRocket the default takes, and the pretrained encoder alone."""
    of_all = classification.median_seconds()
    mini = of_all["MiniRocket"]
    return float(of_all[classification.DEFAULT] / mini), classification.seconds_alone() / float(mini)


def slower() -> str:
    """Say how slow ours is beside MiniRocket, and what training takes."""
    default, alone = times_as_long()
    m3 = forecasting.all_rows().query("dataset == 'm3-monthly'").groupby("name")["seconds"].mean()
    return (
        f"Beside MiniRocket ours is slow: {default:.0f} times as long in the median over sets. The pretrained encoder "
        f"alone (`n_estimators=0`) takes {seconds(classification.seconds_alone())} s, {alone:.0f} times as long. M3 "
        f"monthly with the default's training takes {seconds(m3['default'])} s."
    )


def cache_memory() -> str:
    """Say how much memory the cache of the decoder takes."""
    rows = newest("decoding").set_index("setting")
    cached, uncached = rows.loc["720 steps, 32 series, 1 path", ["memory_grown_mb", "rival_memory_grown_mb"]].astype(
        float
    )
    return (
        f"The cache takes {cached:.0f} MB for 32 series beyond the first step, where decoding without it takes "
        f"{uncached:.0f} MB."
    )


MADE = {
    "fits": fits,
    "largest_fits": largest_fits,
    "detections": detections,
    "scale": scale,
    "panel": panel,
    "training_steps": lambda: contests("speed", ["training step", "2 epochs", "one case"]),
    "decoding": lambda: contests("decoding", ["decode"]),
    "slower": slower,
    "cache_memory": cache_memory,
}
