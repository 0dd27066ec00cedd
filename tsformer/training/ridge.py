"""Heads in closed form: features and labels in, what makes logits of features out."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn

from tsformer.models.frozen import GaussianHead, Head

PENALTIES = np.logspace(-1, 6, 15)  # of linear heads: the squared features of a case add up to thousands
GAUSSIAN_PENALTIES = np.logspace(-3, 3, 13)  # of Gaussian ones: to at most 1
MAX_LANDMARKS = 1_000  # bound time and, with MAX_VALUES, the size of saved classifiers
MAX_VALUES = 2**23  # of all landmarks: 16 MiB
NEGLIGIBLE = 1e-10  # part of the largest eigenvalue; what is below is rounding
ALIKE = 1e-6  # part of the largest squared distance between landmarks; what is below is none
SHARPEST = 4.0  # bounds the logarithm of the unit in which regressed labels are logits


def best_head(
    features: NDArray[np.float64], y: NDArray[np.int64], n_classes: int, weight: NDArray[np.float64] | None = None
) -> Head:
    """Fit a linear head and a Gaussian one, and return the one that predicts cases left out with the smaller error.

    Parameters
    ----------
    features : ndarray of shape (n_cases, n_features)
        Squashed: landmarks are kept in float16.
    y : ndarray of shape (n_cases,)
        Class numbers.
    n_classes : int
    weight : ndarray of shape (n_cases,), optional
        Weights of the cases in the regressions. Landmarks are chosen without them.

    Returns
    -------
    Linear or GaussianHead
        From features to logits.
    """
    heads = [fit(features, y, n_classes, weight) for fit in (linear_head, gaussian_head)]
    return min(heads, key=lambda head: head[1])[0]


def linear_head(
    features: NDArray[np.float64], y: NDArray[np.int64], n_classes: int, weight: NDArray[np.float64] | None = None
) -> tuple[nn.Linear, float]:
    """Fit logits that are linear in the features; also return their error, as in `ridge_logits`."""
    logits = ridge_logits(features, y, n_classes, PENALTIES, weight)
    head = nn.utils.skip_init(nn.Linear, features.shape[1], n_classes, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(logits.weight))
        head.bias.copy_(torch.from_numpy(logits.bias))
    return head, logits.error


def gaussian_head(
    features: NDArray[np.float64], y: NDArray[np.int64], n_classes: int, weight: NDArray[np.float64] | None = None
) -> tuple[GaussianHead, float]:
    """Fit logits that are linear in similarities to landmarks: kernel ridge regression; also return their error.

    The width of the kernel is the median of the squared distances between landmarks that differ. With more cases than
    may be landmarks the kernel is that of Nyström's approximation (Williams & Seeger 2001).
    """
    cases = torch.from_numpy(features)
    chosen = landmarks_of(y, min(MAX_LANDMARKS, MAX_VALUES // features.shape[1]))
    head = GaussianHead(len(chosen), features.shape[1], n_classes)
    head.landmarks.copy_(cases[chosen])
    landmarks = head.landmarks.double()
    head.squares.copy_(landmarks.square().sum(dim=1))
    head.width.copy_(median_of_pairs(head.squared_distances(landmarks)))
    basis = whitening(head.similarities(landmarks))
    logits = ridge_logits((head.similarities(cases) @ basis).numpy(), y, n_classes, GAUSSIAN_PENALTIES, weight)
    head.weight.copy_(torch.from_numpy(logits.weight) @ basis.T)
    head.bias.copy_(torch.from_numpy(logits.bias))
    return head, logits.error


def landmarks_of(y: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Choose which cases are landmarks: all, or `most` of them but at least two, evenly spread over ordered classes."""
    order = np.argsort(y, kind="stable")
    return order[np.linspace(0, len(y) - 1, min(len(y), max(2, most))).round().astype(np.int64)]


def median_of_pairs(distances: Tensor) -> Tensor:
    """Return the median of the distances (M, M) between landmarks that differ, or 1 where all are alike."""
    rows, columns = torch.triu_indices(len(distances), len(distances), offset=1)
    pairs = distances[rows, columns]
    apart = pairs[pairs > ALIKE * pairs.max()]
    return apart.median() if len(apart) else torch.ones_like(pairs.max())


def whitening(kernel: Tensor) -> Tensor:
    """Return the matrix (M, rank) that makes of similarities features whose inner products are the kernel (M, M)."""
    eigenvalues, eigenvectors = torch.linalg.eigh(kernel)
    kept = eigenvalues > NEGLIGIBLE * eigenvalues[-1]
    return eigenvectors[:, kept] / eigenvalues[kept].sqrt()


@dataclass(frozen=True)
class RidgeLogits:
    """Logits linear in features: weight (K, F) and bias (K,), and the error of predicting cases left out."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    error: float


def ridge_logits(
    features: NDArray[np.float64],
    y: NDArray[np.int64],
    n_classes: int,
    penalties: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
) -> RidgeLogits:
    """Fit logits to labels in closed form: ridge regression of the labels, in units that give good probabilities.

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

    unit = np.exp(minimize_scalar(log_loss, bounds=(-SHARPEST, SHARPEST), method="bounded").x)
    return RidgeLogits(unit * ridge.coef_, unit * ridge.intercept_, error)
