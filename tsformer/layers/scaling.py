"""Scaling of series (B, T, C) by statistics of the observed values; what is not observed becomes 0."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

CLIP = 20.0  # in standard deviations: one broken sensor value must not drown a batch
NORMAL_QUARTILES = 1.349  # distance between the quartiles of N(0, 1)


def masked_mean_std(
    x: Tensor, observed: Tensor, dim: tuple[int, ...] = (0, 1), *, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the observed values of x (B, T, C): two Tensors (C,).

    With dim=(1,) they are those of each channel of each case, (B, C), or with keepdim (B, 1, C). A channel without
    values gets mean 0, a constant channel or one without values gets deviation 1.
    """
    count = observed.sum(dim=dim, keepdim=True).clamp(min=1)
    mean = torch.where(observed, x, 0.0).sum(dim=dim, keepdim=True) / count
    deviation = torch.where(observed, x - mean, 0.0)
    std = (deviation.square().sum(dim=dim, keepdim=True) / count).sqrt()
    # Rounding leaves a constant channel with a tiny deviation; dividing by it would make noise of it.
    std = torch.where(std <= 1e-12 * mean.abs(), 1.0, std)
    return (mean, std) if keepdim else (mean.squeeze(dim), std.squeeze(dim))


def normalise_instances(x: Tensor, observed: Tensor, smallest: float = 0.0) -> Tensor:
    """Bring each channel of each case of x (B, T, C) to mean 0 and deviation 1 over its observed values; others are 0.

    A deviation below `smallest` counts as that: it is rounding, which must not be blown up.
    """
    mean, std = masked_mean_std(x, observed, dim=(1,), keepdim=True)
    return torch.where(observed, (x - mean) / std.clamp(min=smallest), 0.0)


def masked_location_spread(x: Tensor, observed: Tensor, season: int, *, shifted: bool) -> tuple[Tensor, Tensor]:
    """Where the series of a window x (B, T) lies, and how far it spreads: two Tensors (B, 1).

    The location is the mean of the last `season` observed values: recent enough to follow a trend, whole enough not
    to follow the season. The spread is the standard deviation over the window. Without `shifted` the location is 0
    and the spread the mean absolute value. A window that does not vary gets a spread in proportion to its level.
    """
    values = torch.where(observed, x, 0.0)
    count = observed.sum(dim=1, keepdim=True).clamp(min=1)
    level = values.abs().sum(dim=1, keepdim=True) / count
    if not shifted:
        return torch.zeros_like(level), torch.where(level > 0, level, 1.0)
    newer = observed.flip(1).cumsum(dim=1).flip(1)  # observed values from each time point on
    recent = observed & (newer <= season)
    location = torch.where(recent, x, 0.0).sum(dim=1, keepdim=True) / recent.sum(dim=1, keepdim=True).clamp(min=1)
    mean = values.sum(dim=1, keepdim=True) / count
    spread = (torch.where(observed, x - mean, 0.0).square().sum(dim=1, keepdim=True) / count).sqrt()
    smallest = 1e-9 * torch.where(level > 0, level, 1.0)
    return location, torch.maximum(spread, smallest)


def seasonal_weight(x: Tensor, observed: Tensor, season: int, spread: Tensor) -> Tensor:
    """How many seasonal changes a unit of `spread` (B, 1) is worth in each window x (B, T): a Tensor (B, 1).

    The change is the mean absolute difference to one season before. A loss in units of the spread, times this weight,
    is one in units of that change, which is how MASE counts. The weight is kept between 1/3 and 3, and is 1 where a
    window has no value a season after another.
    """
    both = observed[:, season:] & observed[:, :-season]
    change = torch.where(both, x[:, season:] - x[:, :-season], 0.0).abs().sum(dim=1, keepdim=True)
    count = both.sum(dim=1, keepdim=True)
    weight = (spread * count / change).clamp(1.0 / 3.0, 3.0)
    return torch.where(count > 0, weight, 1.0)


class Float64Statistics(nn.Module):
    """A module whose buffers stay float64 when the network is cast: a small signal on a large level survives."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Float64Statistics":
        exact = dict(self._buffers)
        self._buffers.update({name: buffer.new_empty(0) for name, buffer in exact.items()})  # type: ignore[union-attr]
        super()._apply(fn, recurse)
        for name, moved in self._buffers.items():
            self._buffers[name] = exact[name].to(moved.device)  # type: ignore[union-attr]
        return self


class ChannelScaler(Float64Statistics):
    """Brings each channel to mean 0 and deviation 1 by statistics of the training series."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels, dtype=torch.float64))
        self.register_buffer("std", torch.ones(n_channels, dtype=torch.float64))
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
        return torch.where(observed, scaled, 0.0)


class RobustScaler(Float64Statistics):
    """Locates each channel by its median, measures it by its quartiles, and compresses what lies far out.

    asinh is linear near 0 and grows as a logarithm: of a channel with heavy tails neither the bulk nor the extremes
    are lost. The result is brought to mean 0 and deviation 1.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("median", torch.zeros(n_channels, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(n_channels, dtype=torch.float64))
        self.median: Tensor
        self.spread: Tensor
        self.scaler = ChannelScaler(n_channels)

    def fit(self, x: Tensor, observed: Tensor) -> "RobustScaler":
        """Take the statistics of x (B, T, C) where observed."""
        _, std = masked_mean_std(x.double(), observed)
        for channel in range(x.shape[2]):
            values = x[..., channel][observed[..., channel]].double()
            if not len(values):
                continue
            low, median, high = (_quantile(values, share) for share in (0.25, 0.5, 0.75))
            spread = (high - low) / NORMAL_QUARTILES
            self.median[channel] = median
            # A channel that hardly ever moves has equal quartiles.
            self.spread[channel] = spread if spread > 1e-12 * median.abs() else std[channel]
        self.scaler.fit(self._compress(x), observed)
        return self

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return scaled x (B, T, C), 0 where not observed."""
        return self.scaler(self._compress(x), observed)

    def _compress(self, x: Tensor) -> Tensor:
        return torch.asinh((x - self.median) / self.spread)


def _quantile(values: Tensor, share: float) -> Tensor:
    """The value (N,) of which `share` are smaller; torch.quantile takes no more than 16 million."""
    return values.kthvalue(1 + round(share * (len(values) - 1))).values


SCALERS: dict[str, Callable[[int], ChannelScaler | RobustScaler]] = {
    "standard": ChannelScaler,
    "robust": RobustScaler,
}


class FirstDifferences(nn.Module):
    """Appends the scaled first difference of each channel as further channels: (B, T, C) to (B, T, 2 C)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.scaler = ChannelScaler(n_channels)

    def fit(self, x: Tensor, observed: Tensor) -> "FirstDifferences":
        """Take the statistics of the differences of x (B, T, C)."""
        self.scaler.fit(*differences(x, observed))
        return self

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and differences with their mask, each (B, T, 2 C)."""
        difference, both_observed = differences(x, observed)
        difference = self.scaler(difference, both_observed).to(x.dtype)
        return torch.cat([x, difference], dim=-1), torch.cat([observed, both_observed], dim=-1)


def differences(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """x[t] - x[t - 1], 0 and not observed where either value is missing, as at the first time point."""
    both = torch.zeros_like(observed)
    both[:, 1:] = observed[:, 1:] & observed[:, :-1]
    difference = torch.zeros_like(x)
    difference[:, 1:] = x[:, 1:] - x[:, :-1]
    return difference, both
