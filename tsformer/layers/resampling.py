"""Resampling of series in time: values between time points, from those neighbours that are observed."""

import torch
from torch import Tensor


def resample(x: Tensor, observed: Tensor, n_timepoints: int) -> tuple[Tensor, Tensor]:
    """Resample single channels x (B, T, 1) to (B, n_timepoints, 1), as `interpolate` does, padding left out."""
    time = torch.arange(x.shape[1], device=x.device, dtype=torch.float64)
    last = (observed.any(dim=-1) * time).amax(dim=1, keepdim=True)  # (B, 1)
    fraction = torch.linspace(0.0, 1.0, n_timepoints, device=x.device, dtype=torch.float64)
    return interpolate(x, observed, fraction * last)


def interpolate(x: Tensor, observed: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Values and mask (B, S, C) of x (B, T, C) at fractional time points `source` (B, S), linear between neighbours.

    A value is observed when the nearer neighbour is, and 0 otherwise.
    """

    def at(time: Tensor) -> Tensor:
        return time.long().unsqueeze(-1).expand(-1, -1, x.shape[2])

    before, after = at(source.floor()), at(source.ceil())
    fraction = (source - source.floor()).unsqueeze(-1).to(x.dtype)
    weight_before = (1.0 - fraction) * observed.gather(1, before)
    weight_after = fraction * observed.gather(1, after)
    total = weight_before + weight_after
    values = (weight_before * x.gather(1, before) + weight_after * x.gather(1, after)) / total.clamp(min=1e-6)
    nearer_observed = observed.gather(1, at(source.round()))
    return torch.where(nearer_observed, values, 0.0), nearer_observed
