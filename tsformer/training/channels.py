"""Which of many channels are worth looking at: labelled cases in, numbers of channels out."""

import torch
from torch import Tensor

from tsformer.data.batch import StoredCases
from tsformer.layers.embeddings import segment_means
from tsformer.layers.scaling import differences, in_units, masked_mean_std

N_SEGMENTS = 16  # whose means are compared
N_BEST = 3  # statistics by which a channel is judged
SMALLEST = 1e-12  # part of the variance within classes; a statistic that never varies tells nothing


def telling_channels(data: StoredCases, most: int) -> list[int]:
    """Return which channels to look at, at most so many, in ascending order.

    Half of them are those whose statistics differ between classes most, by analysis of variance; the others, spread
    evenly over the rest, tell what such statistics do not.
    """
    n_channels = data.n_channels
    if n_channels <= most:
        return list(range(n_channels))
    assert data.y is not None  # for the type checker: a head is fitted to labels
    found = torch.cat([simple_statistics(x, observed) for x, observed in data.chunks()])
    ratio = variance_ratio(found.nan_to_num(), data.y)  # (S, C)
    order = ratio.topk(N_BEST, dim=0).values.mean(dim=0).argsort(descending=True, stable=True)
    n_best = most // 2
    others = order[n_best:].sort().values
    spread = torch.linspace(0, len(others) - 1, most - n_best).round().long()
    return torch.cat([order[:n_best], others[spread]]).sort().values.tolist()


def simple_statistics(x: Tensor, observed: Tensor) -> Tensor:
    """Level, size, course and roughness of each channel of x (B, T, C), in float64: (B, statistics, C)."""
    level = torch.stack(masked_mean_std(x := x.double(), observed, dim=(1,)), dim=1)
    x, _ = in_units(x, (1,))
    mean, std = masked_mean_std(x, observed, dim=(1,))
    segments, seen = segment_means(x, observed, N_SEGMENTS)
    course = torch.where(seen, (segments - mean.unsqueeze(1)) / std.unsqueeze(1), 0.0)
    change = differences(x, observed)
    sizes = [std, *(masked_mean_std(*each, dim=(1,))[1] for each in (change, differences(*change)))]
    roughness = [smaller / larger for smaller, larger in zip(sizes[1:], sizes, strict=False)]
    return torch.cat([level, torch.stack(roughness, dim=1), course], dim=1)


def variance_ratio(values: Tensor, y: Tensor) -> Tensor:
    """Return the variance of values (N, ...) between classes y (N,) as a part of that within them, (...)."""
    values, _ = in_units(values, (0,))
    of_class = [values[y == label] for label in y.unique()]
    within = torch.stack([(each - each.mean(dim=0)).square().sum(dim=0) for each in of_class]).sum(dim=0)
    total = (values - values.mean(dim=0)).square().sum(dim=0)
    return (total - within) / within.clamp(min=1e-300).maximum(SMALLEST * total)
