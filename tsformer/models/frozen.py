"""A classifier of a frozen encoder: series in, logits out, by a head fitted in closed form to its features."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.scaling import LARGEST, Float64Statistics, power_of_two
from tsformer.models.channel_encoder import ChannelEncoder, blank_channel_encoder
from tsformer.models.relations import ChannelRelations

NEGLIGIBLE = 1e-4  # std of a feature over the cases, relative to its size
IN_CACHE = 2**18  # values of landmarks in float64 at a time; all of them would take ten times as long
ROUNDED = 1e-6  # the same, of levels: what float32 keeps


class FeatureScaler(Float64Statistics):
    """Standardises each feature over the training cases, then squashes it by tanh, so that no single one decides.

    One that hardly varies becomes 0 instead of being blown up. `scale` (F,), by default 1, is how much each counts.
    """

    def __init__(self, n_features: int, scale: Tensor | None = None) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(n_features, dtype=torch.float64))
        self.factor = nn.Buffer(torch.ones(n_features, dtype=torch.float64))
        self.scale = nn.Buffer(torch.ones(n_features, dtype=torch.float64) if scale is None else scale)

    def fit(self, features: Tensor, weight: Tensor | None = None, size: Tensor | None = None) -> "FeatureScaler":
        """Take the statistics of features (B, F) of cases of these weights; `size` (F,) is by default the largest."""
        weight = (torch.ones(len(features)) if weight is None else weight).double().unsqueeze(1)
        weight = weight / weight.sum()
        largest = features.abs().amax(dim=0)
        unit = power_of_two(largest)
        features = features / unit
        mean = (weight * features).sum(dim=0)
        std = (weight * (features - mean).square()).sum(dim=0).sqrt() * unit
        varies = std > NEGLIGIBLE * (largest if size is None else size)
        self.mean.copy_(torch.where(varies, mean * unit, 0.0))
        self.factor.copy_(torch.where(varies, (1.0 / std).clamp(max=LARGEST), 0.0))
        return self

    def forward(self, features: Tensor) -> Tensor:
        """Return squashed features (B, F)."""
        return ((features - self.mean) * self.factor).tanh() * self.scale


def joined(scalers: Sequence[FeatureScaler]) -> FeatureScaler:
    """Make one of the scalers of features that come side by side."""
    whole = FeatureScaler(sum(len(scaler.mean) for scaler in scalers))
    for name, buffer in whole.named_buffers():
        buffer.copy_(torch.cat([getattr(scaler, name) for scaler in scalers]))
    return whole


def sizes(features: Tensor, n_levels: int) -> Tensor:
    """Return by what size (F,) to judge whether a channel's features (B, F) vary: for levels the largest std of all.

    For the others it is their largest. The level of air pressure varies little beside its size, and much beside the std
    of a series.
    """
    largest = features.abs().amax(dim=0)
    return torch.cat([largest[1].maximum(ROUNDED / NEGLIGIBLE * largest[:n_levels]), largest[n_levels:]])


class GaussianHead(Float64Statistics):
    """Logits linear in the similarities exp(-d² / width) of features to landmarks, which are cases of the training set.

    Nothing is learnt by steps, so weights are buffers. Landmarks are float16 to save memory; they are squashed, but
    levels and outlines of the training series can be read off them.
    """

    def __init__(self, n_landmarks: int, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.in_features = n_features
        self.landmarks = nn.Buffer(torch.zeros(n_landmarks, n_features, dtype=torch.float16))
        self.squares = nn.Buffer(torch.zeros(n_landmarks, dtype=torch.float64))
        self.width = nn.Buffer(torch.ones((), dtype=torch.float64))
        self.weight = nn.Buffer(torch.zeros(n_classes, n_landmarks, dtype=torch.float64))
        self.bias = nn.Buffer(torch.zeros(n_classes, dtype=torch.float64))

    def similarities(self, features: Tensor) -> Tensor:
        """Return how similar cases of features (B, F) are to each landmark, in float64: (B, landmarks), from 0 to 1."""
        return self.alike(self.squared_distances(features))

    def alike(self, distances: Tensor) -> Tensor:
        """Return how similar cases at squared distances are, from 0 to 1."""
        return torch.exp(-distances / self.width)

    def squared_distances(self, features: Tensor) -> Tensor:
        """Return squared Euclidean distances (B, landmarks) from cases of features (B, F), in float64."""
        features = features.double()
        distances = features.square().sum(dim=1, keepdim=True) + self.squares
        width = max(1, IN_CACHE // len(self.landmarks))
        if torch.compiler.is_compiling():  # one product in an exported graph
            width = features.shape[1]
        for start in range(0, features.shape[1], width):
            part = slice(start, start + width)
            distances = distances - 2.0 * (features[:, part] @ self.landmarks[:, part].double().T)
        return distances.clamp(min=0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K) of features (B, F)."""
        return self.similarities(features) @ self.weight.T + self.bias


Head = nn.Linear | GaussianHead


class FrozenClassifier(nn.Module):
    """Series (B, T, C) and their mask in, logits (B, K) out; scaler and head are fitted to features.

    These are the network's, of one channel after the other, then how channels vary together. Of many channels only
    those numbered in `channels` are looked at. `sharpness` is the power to which an ensemble with networks takes its
    probabilities.
    """

    def __init__(
        self,
        network: ChannelEncoder,
        relations: ChannelRelations | None,
        scaler: FeatureScaler,
        head: Head,
        channels: list[int],
        sharpness: float,
    ) -> None:
        super().__init__()
        self.network, self.relations, self.scaler, self.head = network, relations, scaler, head
        self.channels, self.sharpness = channels, sharpness
        self.network.head = nn.Identity()  # what its own was for is over
        self.settings: dict[str, Any] = {}  # of `blank_frozen`, which can make a network of this shape again

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.scaler(self.embed(x, observed)).to(self.head.weight.dtype))

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the features (B, F) in float64."""
        x, observed = x[..., self.channels], observed[..., self.channels]
        features = self.network.embed(x, observed)
        return features if self.relations is None else torch.cat([features, self.relations(x, observed)], dim=1)


def blank_frozen(
    *,
    n_channels: int,
    n_classes: int,
    n_landmarks: int,
    channels: list[int] | None = None,
    related: bool = False,
    sharpness: float = 1.0,
    **settings: Any,
) -> FrozenClassifier:
    """Make a network that is yet to be given weights; n_landmarks=0: linear. `settings`: of `blank_channel_encoder`.

    Files that do not name `channels`, `sharpness`, or whether channels are `related`, were saved before there was a
    choice.
    """
    channels = list(range(n_channels)) if channels is None else channels
    if not {*channels} <= {*range(n_channels)}:
        raise ValueError(f"the channels {channels} are not among {n_channels}")
    network = blank_channel_encoder(**settings)
    relations = ChannelRelations(len(channels)) if related else None
    n_features = len(channels) * len(network.feature_names) + (0 if relations is None else relations.n_features)
    head: Head = GaussianHead(n_landmarks, n_features, n_classes) if n_landmarks else nn.Linear(n_features, n_classes)
    model = FrozenClassifier(network, relations, FeatureScaler(n_features), head, channels, sharpness)
    return with_settings(model, n_channels)


def with_settings(model: FrozenClassifier, n_channels: int) -> FrozenClassifier:
    """Let a network know the settings of `blank_frozen`."""
    network, head, channels = model.network, model.head, model.channels
    n_landmarks = len(head.landmarks) if isinstance(head, GaussianHead) else 0
    shape = {"n_channels": n_channels, "n_classes": len(head.bias), "n_landmarks": n_landmarks, "channels": channels}
    fitted = {"related": model.relations is not None, "sharpness": model.sharpness}
    model.settings = shape | fitted | network.settings
    return model
