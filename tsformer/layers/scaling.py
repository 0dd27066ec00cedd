"""Scaling of series (B, T, C) by statistics of the observed values; what is not observed becomes 0."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP = 20.0  # in standard deviations: one broken sensor value must not drown a batch
NORMAL_QUARTILES = 1.349  # distance between the quartiles of N(0, 1)
VALUES_TO_SORT = 2**24  # at once: bounds memory

# Training series, some at a time: each call goes through their x (B, T, C) and what is observed anew.
Chunks = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def masked_mean(x: Tensor, observed: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Mean of the observed values of x over `dim`, which is kept; 0 where none is."""
    return torch.where(observed, x, 0.0).sum(dim=dim, keepdim=True) / observed.sum(dim=dim, keepdim=True).clamp(min=1)


def masked_mean_std(x: Tensor, observed: Tensor, dim: tuple[int, ...] = (0, 1)) -> tuple[Tensor, Tensor]:
    """Mean and std of the observed values of x (B, T, C): two Tensors (C,), or (B, C) with dim=(1,).

    Without values they are 0 and 1; a constant channel has std 1.
    """
    mean = masked_mean(x, observed, dim)
    std = _std_of(masked_mean((x - mean).square(), observed, dim), mean)
    return mean.squeeze(dim), std.squeeze(dim)


def mean_std_of_chunks(chunks: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, std and number (C,) of the observed values of all chunks, in float64, as `masked_mean_std` has them.

    The moments of chunks are joined (Chan et al. 1979); of a single one they are its own to the last bit.
    """
    mean = variance = count = torch.zeros((), dtype=torch.float64)
    for x, observed in chunks:
        new_mean = masked_mean(x.double(), observed, (0, 1))
        new_variance = masked_mean((x.double() - new_mean).square(), observed, (0, 1)).squeeze((0, 1))
        new_count, change = observed.sum(dim=(0, 1)), new_mean.squeeze((0, 1)) - mean
        count = count + new_count
        part = new_count / count.clamp(min=1)
        mean = mean + change * part
        variance = variance * (1 - part) + new_variance * part + change.square() * part * (1 - part)
    return mean, _std_of(variance, mean), count


def _std_of(variance: Tensor, mean: Tensor) -> Tensor:
    """Std by which to divide: rounding leaves a constant channel with a tiny one, which would make noise of it."""
    std = variance.sqrt()
    return torch.where(std <= 1e-12 * mean.abs(), 1.0, std)


def normalise_instances(x: Tensor, observed: Tensor, smallest: float = 0.0) -> Tensor:
    """Bring channels of cases x (B, T, C) to mean 0 and std 1; a std below `smallest` is rounding, and not blown up."""
    mean, std = (part.unsqueeze(1) for part in masked_mean_std(x, observed, dim=(1,)))
    return torch.where(observed, (x - mean) / std.clamp(min=smallest), 0.0)


class Float64Statistics(nn.Module):
    """A module whose buffers stay float64 when the network is cast: a small signal on a large level survives."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Float64Statistics":
        super()._apply(lambda buffer: buffer.to(fn(buffer.new_empty(0)).device), recurse)
        return self


class ChannelScaler(Float64Statistics):
    """Brings each channel to mean 0 and std 1 by statistics of the training series."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(n_channels, dtype=torch.float64))
        self.std = nn.Buffer(torch.ones(n_channels, dtype=torch.float64))

    def fit(self, series: Chunks) -> "ChannelScaler":
        """Take the statistics of observed values."""
        mean, std, _ = mean_std_of_chunks(series())
        self.mean.copy_(mean)
        self.std.copy_(std)
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
        _, std, count = mean_std_of_chunks(series())
        for channels in torch.arange(len(std)).split(max(1, VALUES_TO_SORT // max(1, int(count.max())))):
            parts = ((x[..., channels], observed[..., channels]) for x, observed in series())
            nan = torch.cat([torch.where(observed, x, torch.nan).flatten(0, 1) for x, observed in parts])
            for channel, values in zip(channels.tolist(), nan.unbind(dim=1), strict=True):
                self._fit_channel(channel, values[~values.isnan()].double(), std[channel])
        self.scaler.fit(lambda: ((self._compress(x), observed) for x, observed in series()))
        return self

    def _fit_channel(self, channel: int, values: Tensor, std: Tensor) -> None:
        """Take median and quartiles of a channel's values (N,)."""
        if not len(values):
            return
        low, median, high = (_quantile(values, level) for level in (0.25, 0.5, 0.75))
        spread = (high - low) / NORMAL_QUARTILES
        self.median[channel] = median
        # A channel that hardly ever moves has equal quartiles.
        self.spread[channel] = spread if spread > 1e-12 * median.abs() else std

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return scaled x (B, T, C), 0 where not observed."""
        return self.scaler(self._compress(x), observed)

    def _compress(self, x: Tensor) -> Tensor:
        return (x - self.median).div_(self.spread).asinh_()


def _quantile(values: Tensor, level: float) -> Tensor:
    """The value (N,) at a level: the fraction `level` are smaller; torch.quantile takes no more than 16 million."""
    return values.kthvalue(1 + round(level * (len(values) - 1))).values


SCALERS: dict[str, Callable[[int], ChannelScaler | RobustScaler]] = {"standard": ChannelScaler, "robust": RobustScaler}


class FirstDifferences(nn.Module):
    """Appends the scaled first difference of each channel as further channels: (B, T, C) to (B, T, 2 C)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.scaler = ChannelScaler(n_channels)

    def fit(self, series: Chunks) -> "FirstDifferences":
        """Take the statistics of the differences."""
        self.scaler.fit(lambda: (differences(x, observed) for x, observed in series()))
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
