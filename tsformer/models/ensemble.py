"""The ensemble of a classifier: series in, the log probabilities that its members agree on out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.models.classifier import SeriesClassifier
from tsformer.models.frozen import FrozenClassifier


class Ensemble(nn.Module):
    """The members' logarithmic opinion pool (Genest & Zidek 1986); a frozen one, the last, may be the only one.

    All networks together count as much as the frozen one: they see the same cases in much the same way. The pool
    of both kinds is surer than its members on average by the `sharpness` of the frozen one (Satopää et al. 2014).
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
        """Return log probabilities (B, K) in float64."""
        each = [member(x, observed).double().log_softmax(dim=1) for member in self.members]
        if self.frozen is None or len(each) == 1:
            return torch.stack(each).mean(dim=0).log_softmax(dim=1)
        both = (torch.stack(each[:-1]).mean(dim=0) + each[-1]) / 2.0
        return (self.frozen.sharpness * both).log_softmax(dim=1)

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the members' embeddings side by side (B, n_features)."""
        return torch.cat([member.embed(x, observed) for member in self.members], dim=1)
