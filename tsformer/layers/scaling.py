"""Scaling of series (B, T, C) by statistics of the observed values; what is not observed becomes 0."""

import torch
from torch import Tensor, nn

CLIP = 20.0  # in standard deviations: one broken sensor value must not drown a batch


def masked_mean_std(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the observed values of x (B, T, C): two Tensors (C,).

    A channel without values gets mean 0, a constant channel or one without values gets deviation 1.
    """
    count = observed.sum(dim=(0, 1)).clamp(min=1)
    mean = torch.where(observed, x, 0.0).sum(dim=(0, 1)) / count
    deviation = torch.where(observed, x - mean, 0.0)
    std = (deviation.square().sum(dim=(0, 1)) / count).sqrt()
    # Rounding leaves a constant channel with a tiny deviation; dividing by it would make noise of it.
    constant = std <= 1e-12 * mean.abs()
    return mean, torch.where(constant, 1.0, std)


class ChannelScaler(nn.Module):
    """Brings each channel to mean 0 and deviation 1 by statistics of the training series.

    Computes in the precision of the series, so that a small signal on a large level survives in float64 data, and
    returns the precision of the network.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("std", torch.ones(n_channels))
        self.mean: Tensor
        self.std: Tensor

    def fit(self, x: Tensor, observed: Tensor) -> "ChannelScaler":
        """Take the statistics of x (B, T, C) where observed."""
        mean, std = masked_mean_std(x.double(), observed)
        self.mean.copy_(mean)
        self.std.copy_(std)
        return self

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return scaled x (B, T, C), clipped at 20 deviations, 0 where not observed."""
        scaled = ((x - self.mean) / self.std).clamp(-CLIP, CLIP)
        return torch.where(observed, scaled, 0.0).to(self.mean.dtype)


class FirstDifferences(nn.Module):
    """Appends the scaled first difference of each channel as further channels: (B, T, C) to (B, T, 2 C)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.scaler = ChannelScaler(n_channels)

    def fit(self, x: Tensor, observed: Tensor) -> "FirstDifferences":
        """Take the statistics of the differences of x (B, T, C)."""
        self.scaler.fit(*_differences(x, observed))
        return self

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and differences with their mask, each (B, T, 2 C)."""
        difference, both_observed = _differences(x, observed)
        difference = self.scaler(difference, both_observed)
        return torch.cat([x, difference], dim=-1), torch.cat([observed, both_observed], dim=-1)


def _differences(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """x[t] - x[t - 1], 0 and not observed where either value is missing, as at the first time point."""
    both = torch.zeros_like(observed)
    both[:, 1:] = observed[:, 1:] & observed[:, :-1]
    difference = torch.zeros_like(x)
    difference[:, 1:] = x[:, 1:] - x[:, :-1]
    return torch.where(both, difference, 0.0), both
