"""Speed: the tables and sentences of docs/results/speed.md and docs/waiting.md, from rows of speed.py and its kin."""

from collections.abc import Sequence

import pandas as pd

from reports import classification, forecasting
from reports.cells import seconds
from reports.newest import newest


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
    "scale": scale,
    "panel": panel,
    "training_steps": lambda: contests("speed", ["training step", "2 epochs", "one case"]),
    "decoding": lambda: contests("decoding", ["decode"]),
    "slower": slower,
    "cache_memory": cache_memory,
}
