"""A classifier's member with a pretrained encoder: where the encoder comes from, and what its head is fitted to."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer.data.batch import Batch
from tsformer.data.plain import Store
from tsformer.estimators._fitting import predict_in_batches, seeded
from tsformer.estimators._saved import saved_document, saved_network
from tsformer.models.channel_encoder import PretrainingNetwork, blank_pretraining
from tsformer.models.frozen import PretrainedClassifier, Squash, assembled, sizes
from tsformer.training.ridge import best_head, linear_head

BUNDLED = Path(__file__).parents[1] / "weights" / "encoder.safetensors"
EXPECTED = (
    "The 'pretrained' parameter must be 'bundled', the path of a saved one, a fitted TransformerPretrainer or None."
)
LEVEL_SCALE = 8.0  # levels are few beside the features of tokens: in one head they need to count more each


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


def fit_pretrained(
    pretrained: Any, data: Batch, n_classes: int, device: torch.device, *, to_train_on: bool = False
) -> PretrainedClassifier:
    """Make a classifier of a pretrained encoder, which stays as it is, and a head fitted to labelled cases.

    One `to_train_on` has a linear head: landmarks would stay where the encoder put them before it learnt.
    """
    if data.y is None:
        raise ValueError("A head is fitted to labels. Got a batch whose y is None.")
    network = pretrained_network(pretrained)
    features = predict_in_batches(network, PretrainingNetwork.embed, data, device).double()
    n_channels, n_levels = data.x.shape[2], len(network.level_names)
    scale = torch.ones(n_channels, len(network.feature_names), dtype=torch.float64)
    scale[:, :n_levels] = LEVEL_SCALE
    squash = Squash(features.shape[1], scale.flatten())
    squash.fit(features, data.weight, sizes(features, n_channels, n_levels))
    weight = None if data.weight is None else data.weight.double().numpy()
    cases = squash(features).numpy(), data.y.numpy(), n_classes, weight
    head = _linear_head(squash, *cases) if to_train_on else best_head(*cases)
    return assembled(network, squash, head, n_channels).float().eval()


def _linear_head(squash: Squash, *cases: Any) -> nn.Linear:
    """Fit a linear head that has the scale of features in its weights: by it, a step of training would grow."""
    head, _ = linear_head(*cases)
    with torch.no_grad():
        head.weight.mul_(squash.scale)
        squash.scale.fill_(1.0)
    return head
