"""Synthetic series to pretrain on: a count, a length and a torch.Generator in, varied series (B, T, C) out.

A family is a function (n_series, n_timepoints, generator) -> series (n_series, n_timepoints), on the device of the
generator; a new one is a function here and its name in FAMILIES.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tsformer.data.batch import Batch
from tsformer.data.draws import (
    coin,
    integers,
    log_uniform,
    normal,
    one_of,
    sign,
    standardised,
    time_points,
    uniform,
    waves,
)

Family = Callable[[int, int, Generator], Tensor]
Families = Mapping[str, Family]

N_FEATURES = 32  # random features of a Gaussian process
N_EVENTS = 6  # most bumps or pulses of a series


def draw_series(
    n_cases: int,
    n_timepoints: int = 512,
    n_channels: int = 1,
    *,
    generator: Generator,
    families: Families | None = None,
) -> Tensor:
    """Draw series (B, T, C) of all families in equal numbers, in random order, each channel of mean 0 and std 1.

    A quarter is mixed by a random convolution and bent by a non-linearity, half gets noise of some level. The channels
    of a case are mixtures of as many series, from independent ones to copies, each with a lag of its own; the window of
    one that hardly moves may be all 0. `generator` draws all random numbers, on its own device, where the series stay;
    the global random state is not used. As X of an estimator: `series.transpose(1, 2)`.

    Learning from generated series: Dooley et al. (2023), "ForecastPFN". Composed kernels: Duvenaud et al. (2013),
    "Structure discovery in nonparametric regression", and Ansari et al. (2024), "Chronos".
    """
    for name, value, least in ("n_cases", n_cases, 1), ("n_timepoints", n_timepoints, 2), ("n_channels", n_channels, 1):
        if value < least:
            expected = f"must be an int in the range [{least}, inf)"
            raise ValueError(f"The {name!r} parameter of draw_series {expected}. Got {value!r} instead.")
    longest_lag = n_timepoints // 8 if n_channels > 1 else 0
    sources = _draw_sources(n_cases * n_channels, n_timepoints + longest_lag, generator, families or FAMILIES)
    if n_channels == 1:
        return standardised(sources).unsqueeze(-1)
    mixed = _correlated(sources.unflatten(0, (n_cases, n_channels)), generator)
    return standardised(_lagged(mixed, n_timepoints, generator)).transpose(1, 2).contiguous()


@dataclass(frozen=True)
class SyntheticBatches:
    """Batches of `size` new series each time it is gone through, drawn by `generator` on its own device.

    Each batch has a length of its own, whose logarithm is uniform between the two of `n_timepoints`.
    """

    n_batches: int
    size: int
    generator: Generator
    n_timepoints: tuple[int, int] = (64, 512)
    n_channels: int = 1

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.n_batches):
            length = round(log_uniform(self.generator, 1, low=self.n_timepoints[0], high=self.n_timepoints[1]).item())
            x = draw_series(self.size, length, self.n_channels, generator=self.generator)
            yield Batch(x, torch.ones_like(x, dtype=torch.bool))


def _draw_sources(n: int, t: int, generator: Generator, families: Families) -> Tensor:
    """Series (n, t) of all families, bent and noisy in part, in random order."""
    lucky = torch.randperm(len(families), generator=generator, device=generator.device)[: n % len(families)].tolist()
    counts = [n // len(families) + (i in lucky) for i in range(len(families))]
    drawn = [family(count, t, generator) for family, count in zip(families.values(), counts, strict=True) if count]
    series = _bent(standardised(torch.cat(drawn)), generator, fraction=0.25)
    noise_std = log_uniform(generator, n, 1, low=0.01, high=1.0) * coin(generator, n, 1)
    series = standardised(series) + noise_std * normal(generator, n, t)
    # A pulse may fall between two time points, and two series without any variation would look alike.
    series = torch.where(series.any(dim=1, keepdim=True), series, normal(generator, n, t))
    return series[torch.randperm(n, generator=generator, device=generator.device)]


def _bent(series: Tensor, generator: Generator, *, fraction: float) -> Tensor:
    """Convolve series (n, t) with random kernels of random dilation and bend them, in a fraction of them."""
    n, size = len(series), 7
    dilation = 2 ** int(integers(generator, 1, high=4))
    kernel = normal(generator, n, 1, size)
    padded = F.pad(series, (dilation * (size // 2),) * 2, mode="replicate")
    mixed = standardised(F.conv1d(padded.unsqueeze(0), kernel, dilation=dilation, groups=n).squeeze(0))
    shapes = mixed, mixed.tanh(), mixed.abs(), mixed.relu(), mixed.square(), (3 * mixed).sin()
    bent = one_of(torch.stack(shapes), generator)
    return torch.where(coin(generator, n, 1, probability=fraction), bent, series)


def _correlated(sources: Tensor, generator: Generator) -> Tensor:
    """Mix the sources (B, C, t) of each case: by a fraction between 0 (independent) and 1 they follow a common one."""
    n_cases, n_channels, _ = sources.shape
    common = uniform(generator, n_cases, n_channels, 1).square() * coin(generator, n_cases, 1, 1, probability=0.75)
    weights = normal(generator, n_cases, n_channels, n_channels) / math.sqrt(n_channels)
    return (1.0 - common) * sources + common * (weights @ sources)


def _lagged(series: Tensor, t: int, generator: Generator) -> Tensor:
    """Windows of t time points of series (B, C, longer), the start of each channel's drawn."""
    n_cases, n_channels, longer = series.shape
    lag = integers(generator, n_cases, n_channels, 1, high=longer - t + 1) * coin(generator, n_cases, 1, 1)
    return series.gather(2, lag + torch.arange(t, device=series.device))


def _one_family(n: int, t: int, generator: Generator, *families: Family) -> Tensor:
    """Series (n, t), standardised, each of one of the families."""
    return one_of(torch.stack([standardised(family(n, t, generator)) for family in families]), generator)


def smooth_process(n: int, t: int, generator: Generator) -> Tensor:
    """Gaussian processes of squared exponential kernels, of length scales between 1/100 and 1/3 of the series."""
    scale = log_uniform(generator, n, 1, low=0.01, high=0.3)
    frequency = normal(generator, n, N_FEATURES) / (2 * torch.pi * scale)
    return waves(frequency, torch.ones_like(frequency), t, generator)


def rough_process(n: int, t: int, generator: Generator) -> Tensor:
    """Gaussian processes of exponential kernels: Cauchy frequencies, up to that of every second time point."""
    scale = log_uniform(generator, n, 1, low=0.02, high=0.5)
    quantile = uniform(generator, n, N_FEATURES, low=-0.49, high=0.49)
    frequency = (torch.tan(torch.pi * quantile) / (2 * torch.pi * scale)).clamp(-t / 2, t / 2)
    return waves(frequency, torch.ones_like(frequency), t, generator)


def periodic_process(n: int, t: int, generator: Generator) -> Tensor:
    """Gaussian processes of periodic kernels: harmonics of one frequency, ever weaker."""
    harmonic = torch.arange(1, 9, device=generator.device)
    frequency = log_uniform(generator, n, 1, low=1.0, high=24.0) * harmonic
    decay = uniform(generator, n, 1, low=0.2, high=1.5)
    amplitude = torch.exp(-decay * harmonic) * normal(generator, n, 8) * (frequency < t / 2)
    return waves(frequency, amplitude, t, generator)


def composed_process(n: int, t: int, generator: Generator) -> Tensor:
    """Sums and products of two Gaussian processes, whose kernels are the sum and the product of theirs."""
    left, right = (_one_family(n, t, generator, smooth_process, rough_process, periodic_process) for _ in range(2))
    return torch.where(coin(generator, n, 1), left + right, left * right)


def sinusoids(n: int, t: int, generator: Generator) -> Tensor:
    """Sums of one to five sines of unrelated frequencies."""
    frequency = log_uniform(generator, n, 5, low=0.5, high=min(60.0, t / 4))
    used = torch.arange(5, device=generator.device) <= integers(generator, n, 1, high=5)
    return waves(frequency, normal(generator, n, 5) * used, t, generator)


def chirps(n: int, t: int, generator: Generator) -> Tensor:
    """Sines whose frequency and amplitude change evenly from start to end."""
    time = time_points(t, generator)
    first, last = (log_uniform(generator, n, 1, low=0.5, high=min(40.0, t / 4)) for _ in range(2))
    phase = uniform(generator, n, 1) + first * time + (last - first) * time.square() / 2
    growth = uniform(generator, n, 1, low=-2.0, high=2.0)
    return torch.exp(growth * time) * torch.sin(2 * torch.pi * phase)


def waveforms(n: int, t: int, generator: Generator) -> Tensor:
    """Square, triangle and sawtooth waves whose period wanders a little."""
    phase = _wandering_phase(n, t, generator)
    square = torch.where(phase < uniform(generator, n, 1, low=0.1, high=0.9), 1.0, -1.0)
    triangle = 2 * (2 * phase - 1).abs() - 1
    sawtooth = (2 * phase - 1) * sign(generator, n, 1)
    return one_of(torch.stack([square, triangle, sawtooth]), generator)


def beats(n: int, t: int, generator: Generator) -> Tensor:
    """A motif of three bumps that comes again and again, as heart beats do."""
    phase = _wandering_phase(n, t, generator).unsqueeze(1)  # (n, 1, t)
    centre = uniform(generator, n, 3, 1, low=0.2, high=0.8)
    width = log_uniform(generator, n, 3, 1, low=0.02, high=0.15)
    return (normal(generator, n, 3, 1) * torch.exp(-(((phase - centre) / width) ** 2) / 2)).sum(dim=1)


def bursts(n: int, t: int, generator: Generator) -> Tensor:
    """Fast oscillations that swell and fade at random times."""
    envelope = bumps(n, t, generator)
    frequency = log_uniform(generator, n, 2, low=8.0, high=max(16.0, min(80.0, t / 4)))
    return envelope * waves(frequency, normal(generator, n, 2), t, generator)


def _wandering_phase(n: int, t: int, generator: Generator) -> Tensor:
    """How far (n, t) each period has come, from 0 to 1, at a frequency that changes smoothly by a fifth or less."""
    frequency = log_uniform(generator, n, 1, low=1.0, high=min(20.0, t / 8))
    strength, one = uniform(generator, n, 1), torch.ones(n, 1, device=generator.device)
    speed = 1.0 + 0.2 * strength * waves(uniform(generator, n, 1, high=3.0), one, t, generator)
    return (uniform(generator, n, 1) + frequency * speed.cumsum(dim=1) / t) % 1.0


def autoregressions(n: int, t: int, generator: Generator) -> Tensor:
    """AR(2) processes of complex roots, as the convolution of white noise with their impulse response."""
    radius = 1.0 - log_uniform(generator, n, 1, low=0.01, high=0.7)
    angle = uniform(generator, n, 1, low=0.02, high=3.1)
    lag = torch.arange(t, device=generator.device)
    response = radius**lag * torch.sin(angle * (lag + 1)) / torch.sin(angle)
    # Noise from before the series began, so that it begins in its steady state; zeros keep the circle from closing.
    noise = normal(generator, n, 2 * t)
    spectrum = torch.fft.rfft(noise, 4 * t) * torch.fft.rfft(response, 4 * t)
    return torch.fft.irfft(spectrum, 4 * t)[:, t : 2 * t]


def random_walks(n: int, t: int, generator: Generator) -> Tensor:
    """Random walks with drift and, in part, steps of very unequal size."""
    wildness = 1.5 * uniform(generator, n, 1) * coin(generator, n, 1)
    step = normal(generator, n, t) * torch.exp(wildness * normal(generator, n, t))
    return (step + 0.05 * normal(generator, n, 1)).cumsum(dim=1)


def coloured_noise(n: int, t: int, generator: Generator) -> Tensor:
    """Noise whose power falls with the frequency to a power between 0 (white) and 2 (brown)."""
    spectrum = torch.fft.rfft(normal(generator, n, 2 * t))
    frequency = torch.arange(1, spectrum.shape[1] + 1, device=generator.device)
    return torch.fft.irfft(spectrum * frequency ** (-uniform(generator, n, 1)), 2 * t)[:, :t]


def steps(n: int, t: int, generator: Generator) -> Tensor:
    """Piecewise constant series that jump some 2 to 25 times."""
    jumps = uniform(generator, n, t) < log_uniform(generator, n, 1, low=2.0, high=25.0) / t
    levels = normal(generator, n, t)
    # The level at a time point is the one drawn at the last jump.
    return levels.gather(1, torch.where(jumps, torch.arange(t, device=jumps.device), 0).cummax(dim=1).values)


def slopes(n: int, t: int, generator: Generator) -> Tensor:
    """Piecewise linear series."""
    return standardised(steps(n, t, generator)).cumsum(dim=1)


def bumps(n: int, t: int, generator: Generator) -> Tensor:
    """One to six bell-shaped bumps at random positions, up and down."""
    distance, amplitude = _events(n, t, generator)
    return (amplitude * torch.exp(-distance.square() / 2)).sum(dim=1)


def pulses(n: int, t: int, generator: Generator) -> Tensor:
    """One to six rectangles, triangles or one-sided decays at random positions."""
    distance, amplitude = _events(n, t, generator)
    rectangle = (distance.abs() < 1).float()
    triangle = (1 - distance.abs()).clamp(min=0)
    decay = torch.exp(-distance.clamp(min=0)) * (distance >= 0)
    return (amplitude * one_of(torch.stack([rectangle, triangle, decay]), generator)).sum(dim=1)


def trends(n: int, t: int, generator: Generator) -> Tensor:
    """Polynomials, exponential growth and S-shaped changes."""
    time = 2 * time_points(t, generator) - 1
    polynomial = sum(normal(generator, n, 1) * time**power for power in (1, 2, 3))
    growth = torch.exp(uniform(generator, n, 1, low=-4.0, high=4.0) * time)
    middle = uniform(generator, n, 1, low=-0.7, high=0.7)
    change = torch.sigmoid((time - middle) * log_uniform(generator, n, 1, low=3.0, high=60.0))
    return sign(generator, n, 1) * one_of(torch.stack([torch.as_tensor(polynomial), growth, change]), generator)


def regimes(n: int, t: int, generator: Generator) -> Tensor:
    """Series that switch between two processes at random times."""
    calm, wild = (_one_family(n, t, generator, sinusoids, autoregressions) for _ in range(2))
    return torch.where(steps(n, t, generator) > 0, calm, uniform(generator, n, 1, low=0.2, high=3.0) * wild)


def _events(n: int, t: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Distances (n, K, t) from events in their widths, and their amplitudes (n, K, 1), 0 for those that are none."""
    position = uniform(generator, n, N_EVENTS, 1)
    width = log_uniform(generator, n, N_EVENTS, 1, low=0.005, high=0.12)
    n_used = integers(generator, n, 1, 1, low=1, high=N_EVENTS + 1)
    used = torch.arange(N_EVENTS, device=generator.device).unsqueeze(-1) < n_used
    size = 0.3 + normal(generator, n, N_EVENTS, 1).abs()
    direction = sign(generator, n, N_EVENTS, 1, probability=0.7)
    return (time_points(t, generator) - position) / width, used * size * direction


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        # Gaussian processes: a sum of cosines of random frequencies has the kernel whose spectrum they are drawn from
        # (Rahimi & Recht 2007, "Random features for large-scale kernel machines").
        *(smooth_process, rough_process, periodic_process, composed_process),
        *(sinusoids, chirps, waveforms, beats, bursts),
        *(autoregressions, random_walks, coloured_noise),  # driven by chance at each time point
        *(steps, slopes, bumps, pulses, trends, regimes),
    )
}
