"""Heads in closed form: features and labels in, what makes logits of features out, as for a frozen encoder.

Features (N, F) are squashed, of float32 or float64; where many, only parts of them are ever copied in float64.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn

from tsformer.data.batch import StoredCases
from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.models.frozen import FeatureScaler, FrozenClassifier, GaussianHead, Head, joined, sizes, with_settings
from tsformer.models.relations import ChannelRelations
from tsformer.training.channels import telling_channels
from tsformer.training.devices import placed
from tsformer.training.prediction import predict_in_batches

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | Floats
Classes = NDArray[np.int64]

PENALTIES = np.logspace(-1, 6, 15)  # of linear heads: the squared features of a case add up to thousands
GAUSSIAN_PENALTIES = np.logspace(-3, 3, 13)  # of Gaussian ones: to at most 1
MAX_CHANNELS = 24  # that are encoded of a case: some 25 ms
MAX_CASES = 4_000  # that a head is fitted to, in half a minute
FEW = 10  # cases of a rare class that a head is fitted to beside those
MAX_SERIES = 30_000  # cases times channels that it is fitted to: 280 MB of features
MAX_LANDMARKS = 1_000  # bound time and, with MAX_VALUES, the size of saved classifiers
MAX_VALUES = 2**23  # of all landmarks: 16 MiB
NEGLIGIBLE = 1e-10  # part of the largest eigenvalue; what is below is rounding
ALIKE = 1e-6  # part of the largest squared distance between landmarks; what is below is none
AT_ONCE = 512  # cases, or landmarks, whose features are in float64 side by side
LEVEL_SCALE = 8.0  # levels are few beside the features of tokens: in one head they need to count more each
RELATIONS = 0.5  # how much those between channels count, all together, beside the features of channels
SHARPEST = 4.0  # bounds the logarithm of the unit in which regressed labels are logits
AGREED = 0.5  # by how much an ensemble is surer than its members on average, where the head is sure of cases left out


class Fit(NamedTuple):
    """A fitted head, and how well it predicts cases left out."""

    head: Head
    error: float  # mean squared error of labels -1 and 1
    doubt: float  # log loss beside that of guessing: 0 where it is sure and right, 1 where it knows nothing


def fit_frozen(encoder: ChannelEncoder, data: StoredCases, n_classes: int, device: torch.device) -> FrozenClassifier:
    """Make a classifier of an encoder, which stays as it is, and a head fitted to labelled cases."""
    if data.y is None:
        raise ValueError("A head is fitted to labels. Got a batch whose y is None.")
    if len(data) == 1:
        raise ValueError("A head is fitted to two cases or more whose weight is above 0. Got n_samples=1.")
    most = most_cases(min(data.n_channels, MAX_CHANNELS))
    if len(data) > most:
        data = data.subset(spread_over_all(data.y.numpy(), most))
    assert data.y is not None  # for the type checker: as it was
    channels = telling_channels(data, MAX_CHANNELS)
    encoder.fit_resolution(data.n_timepoints)
    relations, scaler, features = squashed(encoder, data, channels, device)
    weight = None if data.weight is None else data.weight.double().numpy()
    head, _, doubt = best_head(features, data.y.numpy(), n_classes, weight)
    sharpness = 1.0 + AGREED * (1.0 - doubt) ** 2
    model = FrozenClassifier(encoder, relations, scaler, head, channels, sharpness)
    return placed(with_settings(model, data.n_channels).float(), device)


def most_cases(n_channels: int) -> int:
    """Return how many cases a head is fitted to that looks at so many channels of each."""
    return min(MAX_CASES, MAX_SERIES // n_channels)


def squashed(
    encoder: ChannelEncoder, data: StoredCases, channels: list[int], device: torch.device
) -> tuple[ChannelRelations | None, FeatureScaler, NDArray[np.float32]]:
    """Fit a scaler to the features of some channels and how they vary together; return all with the features (N, F).

    One channel after the other: features of all before squashing, in float64, would take twice the memory.
    """
    n_features, n_levels = len(encoder.feature_names), len(encoder.level_names)
    scale = torch.ones(n_features, dtype=torch.float64)
    scale[:n_levels] = LEVEL_SCALE
    relations, raw_relations = None, torch.empty(len(data), 0)
    if len(channels) > 1:
        relations, raw_relations = related(data, channels)
    n_of_channels = len(channels) * n_features
    features = np.empty((len(data), n_of_channels + raw_relations.shape[1]), np.float32)
    scalers = []
    for i, channel in enumerate(channels):
        raw = predict_in_batches(encoder, partial(_embed_one, channel), data, device)
        scalers.append(FeatureScaler(n_features, scale).fit(raw, data.weight, sizes(raw, n_levels)))
        features[:, i * n_features : (i + 1) * n_features] = scalers[-1](raw).numpy()
    if relations is not None:
        each = (RELATIONS * len(channels) * scale.square().sum() / relations.n_features).sqrt()
        scalers.append(FeatureScaler(relations.n_features, each.repeat(relations.n_features)))
        features[:, n_of_channels:] = scalers[-1].fit(raw_relations, data.weight)(raw_relations).numpy()
    return relations, joined(scalers), features


@torch.no_grad()  # not inference_mode: what is fitted is kept
def related(data: StoredCases, channels: list[int]) -> tuple[ChannelRelations, Tensor]:
    """Fit what tells how some channels vary together; return it with its features (N, F)."""

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        return ((x[..., channels], observed[..., channels]) for x, observed in data.chunks())

    relations = ChannelRelations(len(channels)).fit(chunks)
    return relations, torch.cat([relations(*chunk) for chunk in chunks()])


def _embed_one(channel: int, encoder: ChannelEncoder, x: Tensor, observed: Tensor) -> Tensor:
    one = slice(channel, channel + 1)
    return encoder.embed(x[..., one], observed[..., one])


def best_head(features: Features, y: Classes, n_classes: int, weight: Floats | None = None) -> Fit:
    """Fit a linear head and a Gaussian one, and return the one that predicts cases left out with the smaller error.

    Features (N, F), of which landmarks are kept in float16; class numbers y (N,); weights (N,) of the cases in the
    regressions. Landmarks are chosen without these.
    """
    fits = [fit(features, y, n_classes, weight) for fit in (linear_head, gaussian_head)]
    return min(fits, key=lambda fit: fit.error)


def linear_head(features: Features, y: Classes, n_classes: int, weight: Floats | None = None) -> Fit:
    """Fit logits that are linear in the features."""
    if features.shape[1] <= len(features):
        coefficients, bias, *quality = ridge_logits(features.astype(np.float64), y, n_classes, PENALTIES, weight)
    else:
        # By what the cases span: copies of so many features in float64 would take gigabytes.
        kernel = inner_products(features)
        basis = whitening(kernel)
        coefficients, bias, *quality = ridge_logits((kernel @ basis).numpy(), y, n_classes, PENALTIES, weight)
        of_cases = coefficients @ basis.numpy().T
        coefficients = np.hstack([of_cases @ features[:, part] for part in _parts(features.shape[1])])
    head = nn.Linear(features.shape[1], n_classes, device="meta")  # where no weights are drawn
    head.weight, head.bias = (nn.Parameter(torch.from_numpy(part).contiguous()) for part in (coefficients, bias))
    return Fit(head, *quality)


def gaussian_head(features: Features, y: Classes, n_classes: int, weight: Floats | None = None) -> Fit:
    """Fit logits that are linear in similarities to landmarks: kernel ridge regression.

    The width of the kernel is the median of the squared distances between landmarks that differ. With more cases than
    may be landmarks the kernel is that of Nyström's approximation (Williams & Seeger 2001).
    """
    cases = torch.from_numpy(features)
    chosen = spread(y, min(MAX_LANDMARKS, MAX_VALUES // features.shape[1]))
    head = GaussianHead(len(chosen), features.shape[1], n_classes)
    head.landmarks.copy_(cases[chosen])
    head.squares.copy_(torch.cat([part.double().square().sum(dim=1) for part in head.landmarks.split(AT_ONCE)]))
    distances = _in_parts(head.squared_distances, head.landmarks)
    head.width.copy_(median_of_pairs(distances))
    basis = whitening(head.alike(distances))
    similarities = (_in_parts(head.similarities, cases) @ basis).numpy()
    coefficients, bias, *quality = ridge_logits(similarities, y, n_classes, GAUSSIAN_PENALTIES, weight)
    head.weight.copy_(torch.from_numpy(coefficients) @ basis.T)
    head.bias.copy_(torch.from_numpy(bias))
    return Fit(head, *quality)


def inner_products(features: Features) -> Tensor:
    """Return the inner products (N, N) of cases of features (N, F) in float64."""
    parts = (torch.from_numpy(features[:, part]).double() for part in _parts(features.shape[1]))
    return sum((part @ part.T for part in parts), torch.zeros((), dtype=torch.float64))


def _parts(n_features: int) -> list[slice]:
    return [slice(start, start + AT_ONCE) for start in range(0, n_features, AT_ONCE)]


def _in_parts(function: Callable[[Tensor], Tensor], cases: Tensor) -> Tensor:
    return torch.cat([function(part) for part in cases.split(AT_ONCE)])


def spread(y: Classes, most: int) -> Classes:
    """Choose cases, landmarks for one: all, or `most` of them but at least two, evenly spread over ordered classes."""
    order = np.argsort(y, kind="stable")
    return order[np.linspace(0, len(y) - 1, min(len(y), max(2, most))).round().astype(np.int64)]


def spread_over_all(y: Classes, most: int) -> Classes:
    """Choose cases as `spread` does, and a few of each class besides, so that no rare one is left out."""
    order = np.argsort(y, kind="stable")
    classes = y[order]
    few = order[np.arange(len(y)) - np.searchsorted(classes, classes) < max(1, min(FEW, most // len(np.unique(y))))]
    return np.union1d(spread(y, most), few)


def median_of_pairs(distances: Tensor) -> Tensor:
    """Return the median of the distances (M, M) between landmarks that differ, or 1 where all are alike."""
    rows, columns = torch.triu_indices(len(distances), len(distances), offset=1)
    pairs = distances[rows, columns]
    apart = pairs[pairs > ALIKE * pairs.max()]
    return apart.median() if len(apart) else torch.ones_like(pairs.max())


def whitening(kernel: Tensor) -> Tensor:
    """Return the matrix (M, rank) that makes of similarities features whose inner products are the kernel (M, M).

    Where cases do not differ at all it makes one feature, of zeros.
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(kernel)
    if not eigenvalues[-1] > 0:
        return kernel.new_zeros(len(kernel), 1)
    kept = eigenvalues > NEGLIGIBLE * eigenvalues[-1]
    return eigenvectors[:, kept] / eigenvalues[kept].sqrt()


def ridge_logits(
    features: Floats, y: Classes, n_classes: int, penalties: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats, float, float]:
    """Return logits' weight (K, F) and bias (K,) by ridge regression of labels, and error and doubt of a `Fit`.

    The penalty is that of the least squared error when each case is predicted by a regression on the others, and the
    unit that of the least log loss of these predictions: a temperature (Guo et al. 2017) that needs no cases held out.
    Labels are doubted a little, as by Platt (1999): a few cases told apart do not make the next one certain.
    """
    targets = np.where(y[:, None] == np.arange(n_classes), 1.0, -1.0)
    ridge = RidgeCV(penalties, scoring="neg_mean_squared_error", store_cv_results=True)
    ridge.fit(features, targets, sample_weight=weight)
    chosen = int(np.flatnonzero(ridge.alpha_ == penalties)[0])
    left_out = ridge.cv_results_.reshape(len(y), n_classes, len(penalties))[..., chosen]
    error = float(np.average(np.square(targets - left_out).mean(axis=1), weights=weight))

    doubt = 1.0 / (len(y) + 2.0)
    labels = (1.0 - doubt) * (targets > 0) + doubt / n_classes

    def log_loss(log_unit: float) -> float:
        each = -(labels * log_softmax(np.exp(log_unit) * left_out, axis=1)).sum(axis=1)
        return float(np.average(each, weights=weight))

    best = minimize_scalar(log_loss, bounds=(-SHARPEST, SHARPEST), method="bounded")
    unit = np.exp(best.x)
    return unit * ridge.coef_, unit * ridge.intercept_, error, min(1.0, float(best.fun / np.log(n_classes)))
