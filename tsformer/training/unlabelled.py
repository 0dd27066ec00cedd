"""Labels for cases that have none: cases and a frozen encoder in, the cases with labels and how much they count out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.semi_supervised import LabelSpreading

from tsformer.data.batch import UNLABELLED, StoredCases, labelled
from tsformer.data.messages import warn_user
from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.training import ridge
from tsformer.training.channels import telling_channels
from tsformer.training.ridge import MAX_CHANNELS, Classes, Features, Floats, best_head, most_cases, squashed

N_NEIGHBORS, ALPHA = 7, 0.2  # of label spreading
ROUNDS = (0.5, 1.0)  # fractions of each class's quota that self-training fills in turn
MANY = 0.25  # fraction of the unlabelled cases that no label comes to; some of few labelled classes are common
SMALLEST = 1e-3  # weight of a case whose label is as good as drawn

Labels = tuple[Classes, Floats]  # class numbers, UNLABELLED where none is to be given, and their weights


def with_labels(
    label: Callable[[Features, Classes, int], Labels],
    encoder: ChannelEncoder,
    data: StoredCases,
    class_weight: Floats,
    device: torch.device,
) -> StoredCases:
    """Give cases that have no label one by their features, and the weight of it; those that get none are left out.

    `class_weight` (K,) is what a guess counts for by its class. Of more cases than a head is fitted to, only those are
    looked at that `looked_at` chooses; those with labels all stay.
    """
    assert data.y is not None  # for the type checker: some have labels
    chosen = looked_at(data)
    some = data.subset(chosen)
    channels = telling_channels(some.subset(np.flatnonzero(labelled(some))), MAX_CHANNELS)
    encoder.fit_resolution(data.n_timepoints)
    *_, features = squashed(encoder, some, channels, device)
    y, certainty, is_given = data.y.numpy().copy(), np.ones(len(data)), labelled(data).numpy()
    y[chosen], certainty[chosen] = label(features, y[chosen], len(class_weight))
    weight = torch.from_numpy(np.where(is_given, 1.0, certainty * class_weight[y])).float()
    weight = weight if data.weight is None else weight * data.weight
    return replace(data, y=torch.from_numpy(y), weight=weight).subset(np.flatnonzero(y != UNLABELLED))


def looked_at(data: StoredCases) -> NDArray[np.int64]:
    """Choose cases to find labels by: as many as a head is fitted to, half of them unlabelled, or all if that is less.

    Labelled ones are spread over the classes, unlabelled ones evenly.
    """
    assert data.y is not None  # for the type checker: some have labels
    is_given = labelled(data).numpy()
    most, given, others = most_cases(min(data.n_channels, MAX_CHANNELS)), *map(np.flatnonzero, (is_given, ~is_given))
    given = given[ridge.spread(data.y.numpy()[given], max(most // 2, most - len(others)))]
    places = np.linspace(0, len(others) - 1, min(len(others), most - len(given))).round().astype(np.int64)
    return np.sort(np.concatenate([given, others[places]]))


def spread(features: Features, y: Classes, n_classes: int) -> Labels:
    """Spread labels over the graph of nearest neighbours (Zhou et al. 2004), weighted by their certainty.

    A case to which no label comes gets none, with a warning where there are many.
    """
    n_neighbors = min(N_NEIGHBORS, len(features) - 1)
    model = LabelSpreading(kernel="knn", n_neighbors=n_neighbors, alpha=ALPHA, max_iter=1000)
    probability = np.nan_to_num(model.fit(features, y).label_distributions_)
    reached = probability.sum(axis=1) > 0
    guessed = np.where(reached, model.classes_[probability.argmax(axis=1)], UNLABELLED)
    is_labelled = y != UNLABELLED
    if np.mean(~reached[~is_labelled]) > MANY:
        warn_user(
            f"From {np.sum(~reached[~is_labelled])} of {np.sum(~is_labelled)} unlabelled cases no labelled case is "
            "reached by way of nearest neighbours. They are not learned from, and may be of classes without a label."
        )
    return np.where(is_labelled, y, guessed), np.where(is_labelled, 1.0, certainty(probability))


def self_train(features: Features, y: Classes, n_classes: int) -> Labels:
    """Let a head label the cases it is surest of, learn from these too, and label the others: self-training.

    Each class gets its quota, so that none takes all: of the unlabelled cases as many as it has of the labelled. Those
    beyond a quota get no label.
    """
    is_labelled = y != UNLABELLED
    others = np.flatnonzero(~is_labelled)
    quotas = np.bincount(y[is_labelled], minlength=n_classes) / is_labelled.sum() * len(others)
    guessed = y
    for fraction in ROUNDS:
        used = guessed != UNLABELLED
        head = best_head(features[used], guessed[used], n_classes).head
        with torch.inference_mode():
            logits = head(torch.from_numpy(features[others]).to(head.weight.dtype)).double().numpy()
        guessed = y.copy()
        guessed[others] = within_quotas(softmax(logits, axis=1), np.ceil(fraction * quotas).astype(np.int64))
    return guessed, np.ones(len(y))


def within_quotas(probability: Floats, quotas: NDArray[np.int64]) -> Classes:
    """Return the most probable class of each case, but UNLABELLED for those beyond a class's quota of the surest."""
    guessed = probability.argmax(axis=1)
    for number, quota in enumerate(quotas):
        of_class = np.flatnonzero(guessed == number)
        surest_first = of_class[np.argsort(-probability[of_class, number], kind="stable")]
        guessed[surest_first[quota:]] = UNLABELLED
    return guessed


def certainty(probability: Floats) -> Floats:
    """Return how sure of a class probabilities (N, K) are, from about 0 to 1: their information in units of log K."""
    entropy = -(probability * np.log(probability.clip(min=1e-12))).sum(axis=1)
    found: Floats = (1.0 - entropy / np.log(max(2, probability.shape[1]))).clip(min=SMALLEST)
    return found


LABELLERS: dict[str, Callable[[Features, Classes, int], Labels]] = {
    "self_training": self_train,
    "label_spreading": spread,
}
