"""Random parts of generated series: shapes and a torch.Generator in, Tensors on the device of the generator out."""

import math

import torch
from torch import Generator, Tensor


def standardised(series: Tensor) -> Tensor:
    """Series of mean 0 and std 1 over time, the last axis; those that do not vary become 0."""
    centred = series - series.mean(dim=-1, keepdim=True)
    std = centred.square().mean(dim=-1, keepdim=True).sqrt()
    return torch.where(std > 1e-5, centred / std.clamp(min=1e-5), 0.0)


def uniform(generator: Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draw numbers that are uniform between `low` and `high`."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def log_uniform(generator: Generator, *shape: int, low: float, high: float) -> Tensor:
    """Draw numbers whose logarithms are uniform between those of `low` and `high`."""
    return uniform(generator, *shape, low=math.log(low), high=math.log(high)).exp()


def normal(generator: Generator, *shape: int) -> Tensor:
    """Draw numbers of mean 0 and std 1."""
    return torch.randn(shape, generator=generator, device=generator.device)


def integers(generator: Generator, *shape: int, low: int = 0, high: int) -> Tensor:
    """Draw whole numbers from `low` up to, and not with, `high`."""
    return torch.randint(low, high, shape, generator=generator, device=generator.device)


def coin(generator: Generator, *shape: int, probability: float = 0.5) -> Tensor:
    """Draw truths."""
    return torch.rand(shape, generator=generator, device=generator.device) < probability


def sign(generator: Generator, *shape: int, probability: float = 0.5) -> Tensor:
    """Draw 1, by the probability, or -1."""
    return torch.where(coin(generator, *shape, probability=probability), 1.0, -1.0)


def one_of(choices: Tensor, generator: Generator) -> Tensor:
    """For each series one of the choices (K, n, ...), as (n, ...)."""
    n_choices, n = choices.shape[:2]
    return choices[integers(generator, n, high=n_choices), torch.arange(n, device=choices.device)]


def time_points(t: int, generator: Generator) -> Tensor:
    """Time points (t,) from 0 up to 1."""
    return torch.arange(t, device=generator.device) / t


def waves(frequency: Tensor, amplitude: Tensor, t: int, generator: Generator) -> Tensor:
    """Sums (n, t) of cosines of frequency and amplitude (n, K), in periods a series, at random phases."""
    phase = uniform(generator, *frequency.shape, high=2 * torch.pi)
    angle = 2 * torch.pi * frequency.unsqueeze(-1) * time_points(t, generator) + phase.unsqueeze(-1)
    return (amplitude.unsqueeze(-1) * angle.cos()).sum(dim=1)
