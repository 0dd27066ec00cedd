# %% [markdown]
"""
# Only a few of the recordings have a label

`GunPoint` tells by the height of a hand over time whether its owner draws a gun or points a
finger. 50 recordings come with labels. Suppose that someone had the time to label only four of
them, two of each class. Are the 46 others of any use?

The way: look at the data, see what the four labels alone can do, learn from the others too, and
repeat it for other choices of the four, since luck is large with so few.
"""

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.neighbors import KNeighborsClassifier

from tsformer import SemiSupervisedTransformerClassifier, TransformerClassifier
from tsformer.datasets import load_classification

X, y = load_classification("GunPoint", split="train")
y = y.astype(int)
print("recordings, channels, time points:", X.shape, "of class 1:", np.sum(y == 1))


def choose(seed):
    """Two recordings of each class."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.choice(np.flatnonzero(y == label), 2, replace=False) for label in (1, 2)])


# %% [markdown]
"""
## Look at the data

All recordings in grey, the four with a label in colour. The classes differ by small movements
before and after the hand is up.
"""

# %%
known = choose(seed=0)
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(X[:, 0].T, color="0.85", lw=0.7)
for label in (1, 2):
    both = X[known[y[known] == label], 0]
    ax.plot(both.T, color=f"C{label - 1}", label=[f"class {label}", "_"])  # "_": not in the legend
ax.set_xlabel("time point")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %% [markdown]
"""
## Baselines

The nearest of the four labelled recordings tells the class; or the pretrained encoder and a
linear head, fitted on the four (`n_estimators=0` leaves out the networks that would be trained).
Both are judged on the 46 others.
"""


# %%
def labels_alone(known):
    """Accuracies on the others of what learns from four recordings."""
    others = np.setdiff1d(np.arange(len(y)), known)
    nearest = KNeighborsClassifier(n_neighbors=1).fit(X[known, 0], y[known])
    encoder = TransformerClassifier(n_estimators=0, random_state=0).fit(X[known], y[known])
    return nearest.score(X[others, 0], y[others]), encoder.score(X[others], y[others])


print("nearest neighbour {:.2f}, pretrained encoder {:.2f}".format(*labels_alone(known)))

# %% [markdown]
"""
## With the others

-1 marks a recording without a label. `transduction_` holds what is said of each.
"""


# %%
def with_the_others(known):
    """Accuracy on the others of what learns from all, with four labels."""
    few = np.where(np.isin(np.arange(len(y)), known), y, -1)
    classifier = SemiSupervisedTransformerClassifier(n_estimators=0, random_state=0).fit(X, few)
    return np.mean(classifier.transduction_[few == -1] == y[few == -1])


print(f"with the others {with_the_others(known):.2f}")

# %% [markdown]
"""
## The check

One choice of four proves nothing. Ten choices:
"""

# %%
rows = [(*labels_alone(choose(seed)), with_the_others(choose(seed))) for seed in range(10)]
table = pd.DataFrame(rows, columns=["nearest neighbour", "pretrained encoder", "with the others"])
print(table.round(2).to_string())
print(table.mean().round(3).to_string())

# %%
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(table.T, color="0.7", marker=".")
ax.plot(table.mean(), color="C3", lw=2.5, label="mean of ten choices")
ax.set_ylabel("accuracy on the others")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %% [markdown]
"""
## What it cannot do

- It helps on average, not always: some lines go down. Where classes overlap, the recordings
  without a label confirm a wrong beginning.
- With labels for all there is nothing to add: take `TransformerClassifier`.
- Whether it helps on your recordings, only labels can tell: keep some aside, and compare.
  `tsformer.model_selection.LabelledSplit` makes folds with labels in each.
"""
