# %% [markdown]
"""
# What was the wearer of a watch doing?

A watch measures acceleration and rotation, six channels, ten times a second. From ten seconds
of it we want to know what its wearer did: stand, walk, run or play badminton. The recordings
are the `BasicMotions` set, which comes with the package: 40 to learn from and 40 others.

The way: look at the data, find out how well something simple does, fit the classifier, compare
the two on recordings that neither has seen, and see what the answer hangs on.
"""

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tsformer import TransformerClassifier
from tsformer.datasets import load_classification
from tsformer.inspection import occlusion_over_time
from tsformer.plotting import AttentionDisplay

X, y = load_classification("BasicMotions", split="train")
print("recordings, channels, time points:", X.shape)
print("recordings of each class:", pd.Series(y).value_counts().to_dict())

# %% [markdown]
"""
## Look at the data

One recording of each class. Standing is nearly flat after a first movement; walking and running
repeat themselves, running faster and with more force; badminton is quiet between strokes.
"""

# %%
figure, axes = plt.subplots(2, 2, figsize=(9, 4.5), sharex=True, layout="constrained")
for ax, motion in zip(axes.flat, np.unique(y), strict=True):
    ax.plot(np.arange(100) / 10, X[y == motion][0].T, lw=0.9)
    ax.set_title(motion, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
for ax in axes[1]:
    ax.set_xlabel("seconds")

# %% [markdown]
"""
## A baseline

How much each channel moves may be all there is to it. Mean and standard deviation of each
channel, twelve numbers a recording, go into a logistic regression. Accuracies come from
cross-validation: each recording is judged by a model that was not fitted on it.
"""


# %%
def mean_and_std(X):
    """Twelve numbers for each recording."""
    return np.concatenate([X.mean(axis=2), X.std(axis=2)], axis=1)


baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
scores = cross_val_score(baseline, mean_and_std(X), y, cv=4)
print(f"baseline: {scores.mean():.3f}, by fold {scores.round(2)}")

# %% [markdown]
"""
It is hard to beat. That is worth knowing before any network is trained.

## The classifier

It takes the array as it is. By default it trains two networks, for some 20 seconds on one core;
one network for 40 steps takes a few, and is enough here.
"""

# %%
classifier = TransformerClassifier(n_estimators=1, max_steps=40, random_state=0)
scores = cross_val_score(classifier, X, y, cv=4)
print(f"classifier: {scores.mean():.3f}, by fold {scores.round(2)}")

# %% [markdown]
"""
## The check

Both are fitted on all 40 recordings, and asked once about the 40 that were kept aside.
"""

# %%
X_test, y_test = load_classification("BasicMotions", split="test")
classifier.fit(X, y)
baseline.fit(mean_and_std(X), y)
print(f"baseline:   {baseline.score(mean_and_std(X_test), y_test):.3f}")
print(f"classifier: {classifier.score(X_test, y_test):.3f}")

# %% [markdown]
"""
## What the answer hangs on

Each channel is hidden in turn, as if its sensor had failed, and each second of the recording.
The bars show how much of the probability is lost.
"""

# %%
running, badminton = (np.flatnonzero(y_test == motion)[0] for motion in ("Running", "Badminton"))
display = AttentionDisplay.from_estimator(classifier, X_test[[running, badminton]])

# %% [markdown]
"""
The same over all recordings. Little is lost by any one second: what is done is done all along.
"""

# %%
lost = occlusion_over_time(classifier, X_test)[:, ::10]
for motion in np.unique(y_test):
    print(f"{motion:10s}", lost[y_test == motion].mean(axis=0).round(2))

# %% [markdown]
"""
## What it cannot do

- These motions are easy to tell: the baseline is wrong about one or two recordings of 40, so the
  difference is little evidence. On your own recordings, begin with the baseline too.
- Who was recorded is not told in this set. Where people are known, no one should be in both
  training and test recordings: see `examples/grouped_cross_validation.py`.
- It knows the motions that it was shown. One that it never saw is given one of these. The last
  lines show that its probability is lower, but not so low that it could be told by that alone.
"""

# %%
seen = y != "Badminton"
without_badminton = TransformerClassifier(n_estimators=1, max_steps=40, random_state=0).fit(X[seen], y[seen])
for what, cases in (("known motions", y_test != "Badminton"), ("badminton, never seen", y_test == "Badminton")):
    highest = without_badminton.predict_proba(X_test[cases]).max(axis=1)
    print(f"{what}: mean of the highest probability {highest.mean():.2f}")
