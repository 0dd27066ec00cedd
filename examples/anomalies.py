# %% [markdown]
"""
# When did the machine misbehave?

A pump reports its load and its temperature every half hour. A month of normal running is
recorded; in the month after it, four things go wrong. Nobody labels them beforehand: the
detector learns from the normal month alone. The recordings are made here, so that the truth is
known.

The way: look at the data, see what limits at each time of day would find, fit the detector, and
ask it for reasons.
"""

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from tsformer import TransformerDetector
from tsformer.plotting import AnomalyDisplay

plt.rcParams["date.converter"] = "concise"  # dates that do not overlap

rng = np.random.default_rng(0)
n_days, a_day = 60, 48
t = np.arange(n_days * a_day)
begin = np.repeat(rng.normal(0, 2, n_days), a_day)  # no day begins at the same time as another
turn = 2 * np.pi * (t - np.convolve(begin, np.ones(a_day) / a_day, "same")) / a_day
load = 3 + np.sin(turn) + 0.4 * np.sin(2 * turn + 1)
warmth = np.convolve(load, np.exp(-np.arange(12) / 4) / 4)[: len(t)]  # follows the load
pump = pd.DataFrame(
    {
        "load": load + rng.normal(0, 0.06, len(t)),
        "temperature": 40 + 6 * warmth + rng.normal(0, 0.4, len(t)),
    },
    index=pd.date_range("2024-03-01", periods=len(t), freq="30min"),
)

# What goes wrong, and where: rows from start to before end.
faults = {
    "sensor stuck for two hours": (1940, 1944),
    "one value too high": (2190, 2191),
    "overheated": (2400, 2420),
    "sensor stuck for eight hours": (2650, 2666),
}
stuck_short, spike, hot, stuck_long = (slice(*rows) for rows in faults.values())
for stuck in (stuck_short, stuck_long):
    pump.iloc[stuck, 0] = pump.iloc[stuck.start, 0]
pump.iloc[spike, 0] += 1.2
pump.iloc[hot, 1] += 8

normal, later = pump[: 30 * a_day], pump[30 * a_day :]
print(normal.head(3).round(2).to_string())

# %% [markdown]
"""
## Look at the data

Of the four faults the eye finds two.
"""

# %%
figure, axes = plt.subplots(2, 1, figsize=(9, 4), sharex=True, layout="constrained")
for ax, channel in zip(axes, pump.columns, strict=True):
    ax.plot(later[channel], color="0.25", lw=0.8)
    ax.set_ylabel(channel)
    ax.spines[["top", "right"]].set_visible(False)

# %% [markdown]
"""
## A baseline

For each half hour of the day, the mean and standard deviation of the normal month; beyond three
standard deviations is an alarm. We count which faults it finds, and on how many of the days
without a fault it gives an alarm.
"""


# %%
def judge(alarm):
    """Say which faults are found, and on how many days without any there is an alarm."""
    alarm = np.asarray(alarm)
    other_days = np.ones(len(later) // a_day, bool)
    for name, (start, end) in faults.items():
        first, last = start - len(normal), end - len(normal)
        other_days[first // a_day : last // a_day + 1] = False
        print(f"{name:30s}{'found' if alarm[first:last].any() else 'missed'}")
    print("days with false alarms:", int(alarm.reshape(-1, a_day).any(axis=1)[other_days].sum()))


by_time = normal.groupby(normal.index.time)
mean, std = (table.reindex(later.index.time).set_axis(later.index) for table in (by_time.mean(), by_time.std()))
judge(((later - mean) / std).abs().gt(3).any(axis=1))

# %% [markdown]
"""
## The detector

It compares stretches of half a day with those of the normal month, and hears a forecaster that
says what was to be expected. Nothing is trained. `predict` gives -1 where something is odd.
"""

# %%
detector = TransformerDetector().fit(normal)
judge(detector.predict(later) == -1)

# %% [markdown]
"""
A score belongs to a stretch, so alarms begin before a fault and end after it. `explain` narrows
them down, and says of what kind an anomaly is, what was measured and what was to be expected.
"""

# %%
table = detector.explain(later)
shown = table[["start", "end", "channel", "kind", "value", "expected"]]
print(shown.to_string(index=False, float_format="%.1f"))

# %%
display = AnomalyDisplay.from_estimator(detector, later)

# %% [markdown]
"""
## The check

The threshold comes from the normal month. On a further normal month, made with other random
numbers, one would see how many false alarms to expect. Here we look at how the scores of the
faults compare with the highest of all other days: a fault whose score is far above can be found
with a stricter threshold too.
"""

# %%
score = -detector.score_samples(later)
near = np.zeros(len(later), bool)
for name, (start, end) in faults.items():
    first, last = start - len(normal), end - len(normal)
    near[max(0, first - a_day) : last + a_day] = True
    print(f"{name:30s}{score.iloc[first:last].max():6.1f}")
print(f"{'highest away from all faults':30s}{score[~near].max():6.1f}")
print(f"{'threshold':30s}{-detector.offset_:6.1f}")

# %% [markdown]
"""
## What it cannot do

- A sensor that is stuck for two hours changes four values by little. It passes the threshold by
  a hair, and `explain` names the channel, but the hours after. A rule, "four equal values in a
  row", finds it at once: keep such rules beside any detector.
- The normal month must hold what is normal. A public holiday that it has not seen is an anomaly.
- What creeps in over weeks can pass for normal: a stretch of half a day hardly changes.
"""
