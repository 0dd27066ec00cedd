"""The network of a classifier with a pretrained encoder: series in, logits out, by a head on its features."""

from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.scaling import Float64Statistics
from tsformer.models.channel_encoder import PretrainingNetwork, blank_pretraining
from tsformer.models.classifier import Augmentation

NEGLIGIBLE = 1e-4  # deviation of a feature over the cases, relative to its size
ROUNDED = 1e-6  # the same, of levels: what float32 keeps


class Squash(Float64Statistics):
    """Brings each feature to mean 0 and deviation 1 over the training cases, then squashes it into (-1, 1) by tanh.

    No single feature, however far it lies, then decides. One that hardly varies, as the deviation of series that were
    standardised before, becomes 0 instead of being blown up. What is squashed is multiplied by `scale` (F,), by default
    1: how much each feature is to count.
    """

    def __init__(self, n_features: int, scale: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("factor", torch.ones(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64) if scale is None else scale)
        self.mean: Tensor
        self.factor: Tensor
        self.scale: Tensor

    def fit(self, features: Tensor, weight: Tensor | None = None, size: Tensor | None = None) -> "Squash":
        """Take the statistics of features (B, F) of cases of these weights; `size` (F,) is by default the largest."""
        share = (torch.ones(len(features)) if weight is None else weight).double().unsqueeze(1)
        share = share / share.sum()
        mean = (share * features).sum(dim=0)
        std = (share * (features - mean).square()).sum(dim=0).sqrt()
        varies = std > NEGLIGIBLE * (features.abs().amax(dim=0) if size is None else size)
        self.mean.copy_(mean)
        self.factor.copy_(torch.where(varies, 1.0 / std, 0.0))
        return self

    def forward(self, features: Tensor) -> Tensor:
        """Return squashed features (B, F)."""
        return (((features - self.mean) * self.factor).tanh() * self.scale).to(features.dtype)


def sizes(features: Tensor, n_channels: int, n_levels: int) -> Tensor:
    """Return by what size (F,) to judge whether features (B, F) vary: their largest, but for levels that of deviations.

    The level of air pressure varies little beside its size, and much beside the deviation of a series.
    """
    by_channel = features.abs().amax(dim=0).view(n_channels, -1)
    levels, deviation = by_channel[:, :n_levels], by_channel[:, 1:2]
    return torch.cat([deviation.maximum(ROUNDED / NEGLIGIBLE * levels), by_channel[:, n_levels:]], dim=1).flatten()


class GaussianHead(Float64Statistics):
    """Logits of cases by how similar their features are to those of landmarks, which are cases of the training set.

    The similarity is exp(-d² / width) at a distance d; logits are linear in the similarities to all landmarks. Nothing
    in it is learnt by steps, so its weights are buffers. Landmarks, which are what takes memory, are kept in float16.
    They are squashed, but levels and outlines of the training series can be read off them.

    Parameters
    ----------
    n_landmarks, n_features, n_classes : int
    """

    def __init__(self, n_landmarks: int, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.in_features = n_features
        self.register_buffer("landmarks", torch.zeros(n_landmarks, n_features, dtype=torch.float16))
        self.register_buffer("squares", torch.zeros(n_landmarks, dtype=torch.float64))
        self.register_buffer("width", torch.ones((), dtype=torch.float64))
        self.register_buffer("weight", torch.zeros(n_classes, n_landmarks, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(n_classes, dtype=torch.float64))
        self.landmarks: Tensor
        self.squares: Tensor
        self.width: Tensor
        self.weight: Tensor
        self.bias: Tensor

    def similarities(self, features: Tensor) -> Tensor:
        """Return how similar cases of features (B, F) are to each landmark, in float64: (B, landmarks), from 0 to 1."""
        return torch.exp(-self.squared_distances(features.double()) / self.width)

    def squared_distances(self, features: Tensor) -> Tensor:
        """Return squared Euclidean distances (B, landmarks) from cases of features (B, F) in float64."""
        squares = features.square().sum(dim=1, keepdim=True) + self.squares
        return (squares - 2.0 * (features @ self.landmarks.double().T)).clamp(min=0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K) of features (B, F)."""
        return (self.similarities(features) @ self.weight.T + self.bias).to(features.dtype)


Head = nn.Linear | GaussianHead


class PretrainedClassifier(nn.Module):
    """Series (B, T, C) and their mask in, logits (B, K) out.

    Parameters
    ----------
    network : PretrainingNetwork
        Describes each channel; what its own head was for is over.
    squash : Squash
        Fitted to the features of all channels of the training cases.
    head : Linear or GaussianHead
        From squashed features to the logits of the classes.
    """

    def __init__(self, network: PretrainingNetwork, squash: Squash, head: Head) -> None:
        super().__init__()
        self.network = network
        self.network.head = nn.Identity()
        self.squash = squash
        self.head = head
        self.settings: dict[str, Any] = {}  # of `blank_pretrained`, which can make a network of this shape again

    @property
    def augment(self) -> Augmentation | None:
        """What alters the prepared series when the network is fine-tuned."""
        return self.network.augment

    @augment.setter
    def augment(self, augment: Augmentation | None) -> None:
        self.network.augment = augment

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.squash(self.embed(x, observed)))

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the features (B, C * features)."""
        return self.network.embed(x, observed)


def blank_pretrained(*, n_channels: int, n_classes: int, n_landmarks: int, **pretraining: Any) -> PretrainedClassifier:
    """Make a network that is yet to be given weights: with n_landmarks=0 its head is linear.

    `pretraining` are the settings of `blank_pretraining`.
    """
    network = blank_pretraining(**pretraining)
    n_features = n_channels * len(network.feature_names)
    head: Head = GaussianHead(n_landmarks, n_features, n_classes) if n_landmarks else nn.Linear(n_features, n_classes)
    return assembled(network, Squash(n_features), head, n_channels)


def assembled(network: PretrainingNetwork, squash: Squash, head: Head, n_channels: int) -> PretrainedClassifier:
    """Make a network of its parts, which knows the settings of `blank_pretrained`."""
    model = PretrainedClassifier(network, squash, head)
    n_landmarks = len(head.landmarks) if isinstance(head, GaussianHead) else 0
    shape = {"n_channels": n_channels, "n_classes": len(head.bias), "n_landmarks": n_landmarks}
    model.settings = shape | network.settings
    return model
