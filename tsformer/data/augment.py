"""Augmentations: scaled series (B, T, C) and their mask in, altered copies out; random numbers are torch's."""

import torch
from torch import Tensor

from tsformer.layers.resampling import interpolate

N_WAVES = 3  # sine waves that make up a warp
VALUES_AT_ONCE = 2**18  # that are interpolated: bounds memory


def standard_augmentation(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Warp and crop half of the cases, then vary gains, add noise, and blank a window in half of the cases."""
    x, observed = warp_time(x, observed, fraction=0.5, amplitude=0.3, crop=0.2)
    x = vary_gain(x, std=0.1)
    x = add_noise(x, std=0.05)
    x = blank_window(x, observed, fraction=0.5, width=0.1)
    return x, observed


def strong_view(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Crop up to half of each standardised series, warp its time and magnitude, and add noise of a random level."""
    x, observed = warp_time(x, observed, fraction=1.0, amplitude=0.3, crop=0.5)
    x = warp_magnitude(x, amplitude=0.3)
    # Of a random level: noise that is always there would hide the first differences of smooth series.
    x = add_noise(x, std=0.1 * torch.rand(x.shape[0], 1, 1, device=x.device))
    return x, observed


def warp_time(x: Tensor, observed: Tensor, *, fraction: float, amplitude: float, crop: float) -> tuple[Tensor, Tensor]:
    """Stretch and squeeze time smoothly, and cut off up to `crop` of a series at its ends, keeping its length.

    `amplitude`, below 1/3, is the largest relative change of speed by each of three sine waves; order in time is kept.
    Values between time points are interpolated linearly from the observed neighbours, and observed when the nearer is.
    """
    n_cases, n_timepoints, n_channels = x.shape
    time = torch.arange(n_timepoints, device=x.device, dtype=torch.float32)
    last = (observed.any(dim=-1) * time).amax(dim=1, keepdim=True)  # (B, 1)
    progress = time / last.clamp(min=1.0)  # (B, T), 0 to 1 over the series

    waves = torch.arange(1, N_WAVES + 1, device=x.device) * torch.pi
    speed = amplitude * (2.0 * torch.rand(n_cases, 1, N_WAVES, device=x.device) - 1.0)
    warped = progress + (speed * torch.sin(waves * progress.unsqueeze(-1)) / waves).sum(dim=-1)
    cut = crop * torch.rand(n_cases, 1, device=x.device)
    start = cut * torch.rand(n_cases, 1, device=x.device)
    source = (start + (1.0 - cut) * warped).clamp(0.0, 1.0) * last

    # Drawn on the host: a GPU would have to be waited for to know which cases to leave out.
    altered = (torch.rand(n_cases) < fraction).nonzero().flatten().to(x.device)
    source = torch.where(time <= last, source, time)[altered]
    size = max(1, VALUES_AT_ONCE // (n_timepoints * n_channels))
    x, observed = torch.where(observed, x, 0.0), observed.clone()
    for cases, times in zip(altered.split(size), source.split(size), strict=True):
        x[cases], observed[cases] = interpolate(x[cases], observed[cases], times)
    return x, observed


def vary_gain(x: Tensor, *, std: float) -> Tensor:
    """Multiply each channel of each case by a number drawn from N(1, std)."""
    return x * (1.0 + std * torch.randn(x.shape[0], 1, x.shape[2], device=x.device))


def warp_magnitude(x: Tensor, *, amplitude: float) -> Tensor:
    """Multiply each series by a smooth curve around 1, to which each of three sine waves adds up to `amplitude`."""
    progress = torch.linspace(0.0, 1.0, x.shape[1], device=x.device)
    waves = torch.arange(1, N_WAVES + 1, device=x.device) * torch.pi
    size, phase = (torch.rand(x.shape[0], 1, N_WAVES, device=x.device) for _ in range(2))
    curves = (2.0 * size - 1.0) * torch.sin(waves * progress.unsqueeze(-1) + 2.0 * torch.pi * phase)  # (B, T, waves)
    return x * (1.0 + amplitude * curves.sum(dim=-1, keepdim=True))


def add_noise(x: Tensor, *, std: float | Tensor) -> Tensor:
    """Add noise drawn from N(0, std) to each value."""
    return torch.randn_like(x).mul_(std).add_(x)


def blank_window(x: Tensor, observed: Tensor, *, fraction: float, width: float) -> Tensor:
    """Set a window of `width` times the length to 0, the mean, in a fraction of the cases."""
    n_cases, n_timepoints, _ = x.shape
    time = torch.arange(n_timepoints, device=x.device)
    length = (observed.any(dim=-1) * (time + 1)).amax(dim=1, keepdim=True)  # (B, 1)
    size = (width * length).floor()
    start = (torch.rand(n_cases, 1, device=x.device) * (length - size + 1)).floor()
    blanked = (time >= start) & (time < start + size) & (torch.rand(n_cases, 1, device=x.device) < fraction)
    return torch.where(blanked.unsqueeze(-1), 0.0, x)
