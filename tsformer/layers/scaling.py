"""Scaling of series (B, T, C) by statistics of the observed values; what is not observed becomes 0."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP = 20.0  # in standard deviations: one broken sensor value must not drown a batch
NORMAL_QUARTILES = 1.349  # distance between the quartiles of N(0, 1)
ROUNDING, ROUNDING_SINGLE = 1e-12, 2.0**-21  # of float64 and float32: a std that is no larger part of the mean
EXACT = 2.0**24  # up to which float32 has all whole numbers
LARGEST, TINY = torch.finfo(torch.float64).max, torch.finfo(torch.float64).tiny
VALUES_TO_SORT = 2**24  # at once: bounds memory
HEAVY_TAILS = 100.0  # kurtosis, 3 of the normal distribution: bursts or rare events of a size that the bulk drowns in

# Training series, some at a time: each call goes through their x (B, T, C) and what is observed anew.
Chunks = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def masked_mean(x: Tensor, observed: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Mean of the observed values of x over `dim`, which is kept; 0 where none is."""
    return torch.where(observed, x, 0.0).sum(dim=dim, keepdim=True) / observed.sum(dim=dim, keepdim=True).clamp(min=1)


def masked_mean_std(x: Tensor, observed: Tensor, dim: tuple[int, ...] = (0, 1)) -> tuple[Tensor, Tensor]:
    """Mean and std of the observed values of x (B, T, C): two Tensors (C,), or (B, C) with dim=(1,).

    Without values they are 0 and 1; a channel that is constant, but for rounding, has std 1.
    """
    x = torch.where(observed, x, 0.0)
    scaled, unit = in_units(x, dim)
    mean, variance = _mean_variance(scaled, observed, dim)
    std = variance.sqrt()
    constant = std <= relative_rounding(x, dim) * mean.abs()
    return (mean * unit).squeeze(dim), torch.where(constant, 1.0, std * unit).squeeze(dim)


def _mean_variance(x: Tensor, observed: Tensor, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    mean = masked_mean(x, observed, dim)
    return mean, masked_mean((x - mean).square(), observed, dim)


def in_units(x: Tensor, dim: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return x, 0 where not observed, in units of its size over `dim`, and these: so it can be squared and summed.

    Units are powers of two, by which nothing is rounded.
    """
    unit = power_of_two(x.abs().amax(dim=dim, keepdim=True))
    return x / unit, unit


def power_of_two(size: Tensor) -> Tensor:
    """Return a power of two of about this size, the smallest of all for 0."""
    limits = torch.finfo(size.dtype)
    return size.clamp(min=limits.tiny, max=limits.max / 2.0).log2().floor().exp2()


def relative_rounding(x: Tensor, dim: tuple[int, ...]) -> Tensor:
    """Return up to which part of the mean of x, 0 where not observed, a std over `dim` may come from rounding."""
    return torch.where(_precision(x).amax(dim=dim, keepdim=True) == 1, ROUNDING_SINGLE, ROUNDING)


def _precision(x: Tensor) -> Tensor:
    """Tell whole numbers, 0, which are exact, other values of float32, 1, even in float64, and those of float64, 2."""
    return 2 - (x == x.float()).int() - ((x == x.round()) & (x.abs() < EXACT)).int()


class Moments(NamedTuple):
    """What is known of the observed values of each channel (C,), in float64."""

    mean: Tensor
    std: Tensor  # of a constant channel about 0
    n_values: Tensor
    rounding: Tensor  # a std that is no larger


def moments_of_chunks(chunks: Iterable[tuple[Tensor, Tensor]]) -> Moments:
    """Find the moments of the observed values of all chunks.

    Those of chunks are joined (Chan et al. 1979), in units of the largest value so far; of a single one they are its
    own to the last bit.
    """
    mean = variance = count = precision = torch.zeros((), dtype=torch.float64)
    unit = torch.full((), TINY, dtype=torch.float64)
    for x, observed in chunks:
        x = torch.where(observed, x, 0.0).double()
        precision = precision.maximum(_precision(x).amax(dim=(0, 1)))
        before, unit = unit, unit.maximum(power_of_two(x.abs().amax(dim=(0, 1))))
        mean, variance = mean * (before / unit), variance * (before / unit).square()
        new_mean, new_variance = (each.squeeze((0, 1)) for each in _mean_variance(x / unit, observed, (0, 1)))
        new_count, change = observed.sum(dim=(0, 1)), new_mean - mean
        count = count + new_count
        part = new_count / count.clamp(min=1)
        mean = mean + change * part
        variance = variance * (1 - part) + new_variance * part + change.square() * part * (1 - part)
    mean, relative = mean * unit, torch.where(precision == 1, ROUNDING_SINGLE, ROUNDING)
    return Moments(mean, variance.sqrt() * unit, count, relative * mean.abs())


def kurtosis_of_chunks(chunks: Iterable[tuple[Tensor, Tensor]], moments: Moments) -> Tensor:
    """Return the kurtosis of the observed values of each channel (C,), whose moments are known; 0 where none varies."""
    unit, total = torch.where(moments.std > moments.rounding, moments.std, torch.inf), torch.zeros_like(moments.std)
    for x, observed in chunks:
        total += torch.where(observed, (x.double() - moments.mean) / unit, 0.0).square().square().sum(dim=(0, 1))
    return total / moments.n_values.clamp(min=1)


def normalise_instances(
    x: Tensor, observed: Tensor, smallest: float = 0.0, rounding: Tensor | float = ROUNDING
) -> Tensor:
    """Bring channels of cases x (B, T, C), of any size that can be squared, to mean 0 and std 1.

    A std below `smallest`, or below the part `rounding` of the mean, is rounding, and not blown up.
    """
    mean, variance = _mean_variance(x, observed, 1)
    std = variance.sqrt()
    std = torch.where(std <= rounding * mean.abs(), 1.0, std)
    return torch.where(observed, (x - mean) / std.clamp(min=smallest), 0.0)


class Float64Statistics(nn.Module):
    """A module whose buffers stay float64 when the network is cast: a small signal on a large level survives."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Float64Statistics":
        super()._apply(lambda buffer: buffer.to(fn(buffer.new_empty(0)).device), recurse)
        return self


class ChannelScaler(Float64Statistics):
    """Brings each channel to mean 0 and std 1 by statistics of the training series; to 0 if it did not vary there."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(n_channels, dtype=torch.float64))
        self.std = nn.Buffer(torch.ones(n_channels, dtype=torch.float64))
        self.rounding = nn.Buffer(torch.zeros(n_channels, dtype=torch.float64), persistent=False)  # of scaled values

    def fit(self, series: Chunks, rounding: Tensor | float = 0.0) -> "ChannelScaler":
        """Take the statistics of observed values; a std that is not above `rounding` (C,) is none."""
        mean, std, _, own_rounding = moments_of_chunks(series())
        smallest = own_rounding.clamp(min=rounding)
        varies = std > smallest
        # Where it does not, values divided by infinity are 0 whatever they are.
        self.mean.copy_(torch.where(varies, mean, 0.0))
        self.std.copy_(torch.where(varies, std, torch.inf))
        self.rounding.copy_(smallest / torch.where(varies, std, 1.0))
        return self

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return scaled x (B, T, C), clipped at 20 standard deviations, 0 where not observed."""
        return torch.where(observed, (x - self.mean).div_(self.std).clamp_(-CLIP, CLIP), 0.0)


class RobustScaler(Float64Statistics):
    """Scales each channel by median and quartiles, then asinh, then to mean 0 and std 1.

    asinh is linear near 0 and grows as a logarithm: of heavy tails neither the bulk nor the extremes are lost.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.median = nn.Buffer(torch.zeros(n_channels, dtype=torch.float64))
        self.spread = nn.Buffer(torch.ones(n_channels, dtype=torch.float64))
        self.scaler = ChannelScaler(n_channels)

    def fit(self, series: Chunks) -> "RobustScaler":
        """Take the statistics of observed values."""
        moments = moments_of_chunks(series())
        std, count, rounding = moments.std, moments.n_values, moments.rounding
        compressed = self._compressed_channels(series, moments)
        for channels in compressed.split(max(1, VALUES_TO_SORT // max(1, int(count.max())))):
            parts = ((x[..., channels], observed[..., channels]) for x, observed in series())
            nan = torch.cat([torch.where(observed, x, torch.nan).flatten(0, 1) for x, observed in parts])
            for channel, values in zip(channels.tolist(), nan.unbind(dim=1), strict=True):
                self._fit_channel(channel, values[~values.isnan()].double(), std[channel], rounding[channel])
        self.scaler.fit(lambda: ((self._compress(x), observed) for x, observed in series()), rounding / self.spread)
        return self

    def _compressed_channels(self, series: Chunks, moments: Moments) -> Tensor:
        return torch.arange(len(moments.std))

    def _fit_channel(self, channel: int, values: Tensor, std: Tensor, rounding: Tensor) -> None:
        """Take median and quartiles of a channel's values (N,), if they vary."""
        if std <= rounding:
            return
        low, median, high = (_quantile(values, level) for level in (0.25, 0.5, 0.75))
        spread = ((high - low) / NORMAL_QUARTILES).clamp(max=LARGEST)
        self.median[channel] = median
        # A channel that hardly ever moves has equal quartiles.
        self.spread[channel] = spread if spread > rounding else std

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return scaled x (B, T, C), 0 where not observed."""
        return self.scaler(self._compress(x), observed)

    def _compress(self, x: Tensor) -> Tensor:
        return (x - self.median).div_(self.spread).clamp_(-LARGEST, LARGEST).asinh_()

    @property
    def rounding(self) -> Tensor:
        """What may be rounding of scaled values (C,)."""
        return self.scaler.rounding


class TailScaler(RobustScaler):
    """Scales channels of heavy tails as `RobustScaler` does, and all others as `ChannelScaler`."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels)
        self.heavy = nn.Buffer(torch.zeros(n_channels, dtype=torch.bool))

    def _compressed_channels(self, series: Chunks, moments: Moments) -> Tensor:
        self.heavy.copy_(kurtosis_of_chunks(series(), moments) > HEAVY_TAILS)
        return self.heavy.nonzero().flatten()

    def _compress(self, x: Tensor) -> Tensor:
        return torch.where(self.heavy, super()._compress(x), x)


def _quantile(values: Tensor, level: float) -> Tensor:
    """The value (N,) at a level: the fraction `level` are smaller; torch.quantile takes no more than 16 million."""
    return values.kthvalue(1 + round(level * (len(values) - 1))).values


SCALERS: dict[str, Callable[[int], ChannelScaler | RobustScaler]] = {
    "auto": TailScaler,
    "standard": ChannelScaler,
    "robust": RobustScaler,
}


class FirstDifferences(nn.Module):
    """Appends the scaled first difference of each channel as further channels: (B, T, C) to (B, T, 2 C)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.scaler = ChannelScaler(n_channels)

    def fit(self, series: Chunks, rounding: Tensor | float = 0.0) -> "FirstDifferences":
        """Take the statistics of the differences of values in which up to `rounding` (C,) may be rounding."""
        self.scaler.fit(lambda: (differences(x, observed) for x, observed in series()), rounding)
        return self

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and differences with their mask, each (B, T, 2 C)."""
        difference, both_observed = differences(x, observed)
        difference = self.scaler(difference, both_observed).to(x.dtype)
        return torch.cat([x, difference], dim=-1), torch.cat([observed, both_observed], dim=-1)


def differences(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """x[t] - x[t - 1], 0 and not observed where either value is missing, as at the first time point."""
    first = (0, 0, 1, 0)  # the place of the first time point
    return F.pad(x[:, 1:] - x[:, :-1], first), F.pad(observed[:, 1:] & observed[:, :-1], first)
