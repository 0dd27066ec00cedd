"""Resampling of series in time: values between time points, from those neighbours that are observed."""

import torch
from torch import Tensor


def resample(x: Tensor, observed: Tensor, n_timepoints: int) -> tuple[Tensor, Tensor]:
    """Resample single channels to one length, padding left out.

    Parameters
    ----------
    x : Tensor of shape (B, T, 1)
    observed : bool Tensor of shape (B, T, 1)
    n_timepoints : int
        Length of the result.

    Returns
    -------
    x, observed : of shape (B, n_timepoints, 1)
        Values between time points are interpolated linearly from the observed neighbours, and observed when the nearer
        one is.
    """
    time = torch.arange(x.shape[1], device=x.device, dtype=torch.float64)
    last = (observed.any(dim=-1) * time).amax(dim=1, keepdim=True)  # (B, 1)
    share = torch.linspace(0.0, 1.0, n_timepoints, device=x.device, dtype=torch.float64)
    return interpolate(x, observed, share * last)


def interpolate(x: Tensor, observed: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Values of x (B, T, C) at the fractional time points `source` (B, S), from those neighbours that are observed.

    Returns values and mask (B, S, C); a value is observed when the nearer neighbour is, and 0 otherwise.
    """

    def at(time: Tensor) -> Tensor:
        return time.long().unsqueeze(-1).expand(-1, -1, x.shape[2])

    before, after = at(source.floor()), at(source.ceil())
    share = (source - source.floor()).unsqueeze(-1).to(x.dtype)
    weight_before = (1.0 - share) * observed.gather(1, before)
    weight_after = share * observed.gather(1, after)
    total = weight_before + weight_after
    values = (weight_before * x.gather(1, before) + weight_after * x.gather(1, after)) / total.clamp(min=1e-6)
    seen = observed.gather(1, at(source.round()))
    return torch.where(seen, values, 0.0), seen
