"""A classifier's member with a pretrained encoder: where the encoder comes from, and how its head is fitted."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeCV
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer.data.batch import Batch
from tsformer.data.plain import Store
from tsformer.estimators._fitting import predict_in_batches, seeded
from tsformer.estimators._saved import saved_document, saved_network
from tsformer.models.pretrained import PretrainedClassifier, Squash, sizes
from tsformer.models.pretraining import PretrainingNetwork, blank_pretraining

BUNDLED = Path(__file__).parents[1] / "weights" / "encoder.safetensors"
EXPECTED = (
    "The 'pretrained' parameter must be 'bundled', the path of a saved one, a fitted TransformerPretrainer or None."
)
PENALTIES = np.logspace(-1, 6, 15)  # of the ridge regression
LEVEL_SCALE = 8.0  # levels are few beside the features of tokens: in one ridge they need a smaller penalty each
SHARPEST = 4.0  # bounds the logarithm of the unit in which regressed labels are logits


def pretrained_network(pretrained: Any) -> PretrainingNetwork:
    """Return a copy of the network that the `pretrained` parameter stands for.

    Parameters
    ----------
    pretrained : "bundled", path or fitted TransformerPretrainer
        A path is that of a file which `tsformer.save` or `scripts/pretrain` wrote.
    """
    if isinstance(pretrained, str | os.PathLike):
        return _read(BUNDLED if pretrained == "bundled" else Path(pretrained))
    from tsformer.estimators.pretrainer import TransformerPretrainer  # here, because that module imports this one

    if not isinstance(getattr(pretrained, "estimator", pretrained), TransformerPretrainer):  # frozen or not
        raise TypeError(f"{EXPECTED} Got {pretrained!r} instead.")
    try:
        check_is_fitted(pretrained, "model_")
    except NotFittedError as error:
        raise NotFittedError(
            "The 'pretrained' parameter is a pretrainer that is not fitted. Fit it first, and where scikit-learn makes "
            "clones, as in a grid search, wrap it: pretrained=sklearn.frozen.FrozenEstimator(pretrainer)."
        ) from error
    return copy.deepcopy(pretrained.model_)


def _read(path: Path) -> PretrainingNetwork:
    """Read the network of a saved pretrainer, or the encoder alone that `scripts/pretrain` wrote, in half precision."""
    if path.is_dir():
        raise ValueError(f"{EXPECTED} Got the folder {path}.")
    if not path.exists():
        raise FileNotFoundError(f"{EXPECTED} Got {str(path)!r}, and there is no such file.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if "network" in metadata:
                weights = {f"encoder.{name}": file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
                return _with_encoder(json.loads(metadata["network"]), weights)
    except SafetensorError as error:
        raise ValueError(
            f"The 'pretrained' parameter names {path}, which is damaged or of another kind: {error}."
        ) from error
    with saved_document(path) as (document, arrays):
        kind, networks = document["class"], document["networks"]
        if kind == "TransformerPretrainer":
            return saved_network(blank_pretraining, 0, Store(arrays=arrays), **networks[0])
    raise ValueError(f"The 'pretrained' parameter must name a file of a TransformerPretrainer. {path} holds a {kind}.")


def _with_encoder(settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> PretrainingNetwork:
    try:
        with seeded(0, torch.device("cpu")):  # the head's weights are drawn, not from the user's random state
            network = blank_pretraining(**settings)
        head = {f"head.{name}": weight for name, weight in network.head.state_dict().items()}
        network.load_state_dict(weights | head)
    except (TypeError, KeyError, RuntimeError) as error:
        raise ValueError(f"The 'pretrained' parameter names weights that fit no network: {error!r}") from error
    return network


def fit_pretrained(pretrained: Any, data: Batch, n_classes: int, device: torch.device) -> PretrainedClassifier:
    """Make a classifier of a pretrained encoder, which stays as it is, and a head fitted to labelled cases."""
    if data.y is None:
        raise ValueError("A head is fitted to labels. Got a batch whose y is None.")
    network = pretrained_network(pretrained)
    features = predict_in_batches(network, PretrainingNetwork.embed, data, device).double()
    n_channels, n_levels = data.x.shape[2], len(network.level_names)
    squash = Squash(features.shape[1]).fit(features, data.weight, sizes(features, n_channels, n_levels))
    scale = torch.ones(n_channels, len(network.feature_names), dtype=torch.float64)
    scale[:, :n_levels] = LEVEL_SCALE
    weight = None if data.weight is None else data.weight.double().numpy()
    head = ridge_head((squash(features) * scale.flatten()).numpy(), data.y.numpy(), n_classes, weight)
    with torch.no_grad():
        head.weight.mul_(scale.flatten())  # so that the head reads features as they are squashed
    model = PretrainedClassifier(network, squash, head)
    model.settings = {"n_channels": n_channels, "n_classes": n_classes, **network.settings}
    return model.float().eval()


def ridge_head(
    features: NDArray[np.float64], y: NDArray[np.int64], n_classes: int, weight: NDArray[np.float64] | None = None
) -> nn.Linear:
    """Fit logits to labels in closed form: ridge regression of the labels, in units that give good probabilities.

    The penalty is that of the least squared error when each case is predicted by a regression on the others, and the
    unit that of the least log loss of these predictions: a temperature (Guo et al. 2017) that needs no cases held out.
    Labels are doubted a little, as by Platt (1999): a few cases told apart do not make the next one certain.

    Parameters
    ----------
    features : ndarray of shape (n_cases, n_features)
    y : ndarray of shape (n_cases,)
        Class numbers.
    n_classes : int
    weight : ndarray of shape (n_cases,), optional
        Weights of the cases.

    Returns
    -------
    Linear
        From features to logits.
    """
    targets = np.where(y[:, None] == np.arange(n_classes), 1.0, -1.0)
    ridge = RidgeCV(PENALTIES, scoring="neg_mean_squared_error", store_cv_results=True)
    ridge.fit(features, targets, sample_weight=weight)
    chosen = int(np.flatnonzero(ridge.alpha_ == PENALTIES)[0])
    left_out = ridge.cv_results_.reshape(len(y), n_classes, len(PENALTIES))[..., chosen]

    doubt = 1.0 / (len(y) + 2.0)
    labels = (1.0 - doubt) * (targets > 0) + doubt / n_classes

    def log_loss(log_unit: float) -> float:
        each = -(labels * log_softmax(np.exp(log_unit) * left_out, axis=1)).sum(axis=1)
        return float(np.average(each, weights=weight))

    unit = np.exp(minimize_scalar(log_loss, bounds=(-SHARPEST, SHARPEST), method="bounded").x)
    head = nn.utils.skip_init(nn.Linear, features.shape[1], n_classes, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(unit * ridge.coef_))
        head.bias.copy_(torch.from_numpy(unit * ridge.intercept_))
    return head
