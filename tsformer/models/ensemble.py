"""The ensemble of a classifier: series in, the log probabilities that its members agree on out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.models.classifier import SeriesClassifier
from tsformer.models.frozen import FrozenClassifier


class Ensemble(nn.Module):
    """The members' logarithmic opinion pool (Genest & Zidek 1986); a frozen one, the last, may be the only one.

    All networks together count as much as the frozen one: they see the same cases in much the same way.
    """

    def __init__(self, networks: Sequence[SeriesClassifier], frozen: FrozenClassifier | None = None) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.frozen = frozen
        self.training = False  # it is made of networks that were

    @property
    def members(self) -> list[Any]:
        """The networks, then the frozen one."""
        return [*self.networks, *([] if self.frozen is None else [self.frozen])]

    @property
    def n_features(self) -> int:
        """Number of features of a case that `embed` returns."""
        return sum(member.head.in_features for member in self.members)

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return log probabilities (B, K) in float64: the weighted geometric mean, made to sum to 1 again."""
        each = [member(x, observed).double().log_softmax(dim=1) for member in self.members]
        n_networks = len(self.networks)
        kinds = [torch.stack(some).mean(dim=0) for some in (each[:n_networks], each[n_networks:]) if some]
        return torch.stack(kinds).mean(dim=0).log_softmax(dim=1)

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the members' embeddings side by side (B, n_features)."""
        return torch.cat([member.embed(x, observed) for member in self.members], dim=1)
