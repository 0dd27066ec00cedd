"""Embeddings: series (B, T, C) or token numbers (B, N) in, tokens (B, N, D) of width d_model out."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenEmbedding(nn.Embedding):
    """A vector for each entry of a vocabulary, scaled by sqrt(d_model) as in the 2017 paper, section 3.4."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token numbers (B, N) to tokens (B, N, D)."""
        return super().forward(tokens) * math.sqrt(self.embedding_dim)


class LinearEmbedding(nn.Linear):
    """One token for each time point: a linear map of the channels; not observed values count as 0."""

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return tokens (B, T, D) and which of them are observed (B, T)."""
        return super().forward(torch.where(observed, x, 0.0)), observed.any(dim=-1)


class PatchEmbedding(nn.Module):
    """One token for each stretch of `patch_length` time points: a linear map of its values and of what is missing."""

    def __init__(self, n_channels: int, d_model: int, patch_length: int) -> None:
        super().__init__()
        self.patch_length = patch_length
        self.linear = nn.Linear(2 * n_channels * patch_length, d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N); N = ceil(T / patch_length)."""
        values = torch.cat([torch.where(observed, x, 0.0), observed.to(x.dtype)], dim=-1)
        padding = -x.shape[1] % self.patch_length
        patches = F.pad(values, (0, 0, 0, padding)).unflatten(1, (-1, self.patch_length))  # (B, N, P, 2 C)
        return self.linear(patches.flatten(2)), _observed_spans(observed.any(dim=-1), self.patch_length)


class ChannelEmbedding(nn.Module):
    """One token for each channel: a linear map of its course, as means over equal segments and of what is missing."""

    def __init__(self, d_model: int, n_segments: int) -> None:
        super().__init__()
        self.n_segments = n_segments
        self.linear = nn.Linear(2 * n_segments, d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, C, D) and which of the channels have an observed value (B, C)."""
        means, seen = segment_means(x, observed, self.n_segments)
        values = torch.cat([means, seen.to(x.dtype)], dim=1).transpose(1, 2)  # (B, C, 2 S)
        return self.linear(values), observed.any(dim=1)


def segment_means(x: Tensor, observed: Tensor, n_segments: int) -> tuple[Tensor, Tensor]:
    """Means of the observed values over equal segments of each series, from its start to its last observed time point.

    Segments share the time point that their border cuts, so that a series of fewer points than segments has them all.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    observed : bool Tensor of shape (B, T, C)
    n_segments : int

    Returns
    -------
    means : Tensor of shape (B, n_segments, C)
        0 where nothing is observed in a segment.
    seen : bool Tensor of shape (B, n_segments, C)
        Where something is.
    """
    n_timepoints, n_channels = x.shape[1:]
    length = (observed.any(dim=-1) * torch.arange(1, n_timepoints + 1, device=x.device)).amax(dim=1, keepdim=True)
    borders = torch.arange(n_segments + 1, device=x.device) * length  # (B, S + 1), in n_segments-ths of a time point
    start, stop = borders[:, :-1] // n_segments, (borders[:, 1:] + n_segments - 1) // n_segments

    def total(values: Tensor) -> Tensor:
        before = F.pad(values.cumsum(dim=1), (0, 0, 1, 0))  # (B, T + 1, C): the sum of all before each time point
        at_start, at_stop = (before.gather(1, at.unsqueeze(-1).expand(-1, -1, n_channels)) for at in (start, stop))
        return at_stop - at_start

    count = total(observed.long())
    return total(torch.where(observed, x, 0.0)) / count.clamp(min=1), count > 0


class ConvolutionalEmbedding(nn.Module):
    """Convolutions of several widths side by side, then one with a stride that makes the tokens.

    Parameters
    ----------
    n_channels, d_model : int
        Width of the series and of the tokens.
    kernel_sizes : tuple of int
        Odd widths of the parallel convolutions; they share d_model among them.
    stride : int
        Time points a token spans.
    coarse_stride : int, default=1
        Stride of the parallel convolutions, for very long series.
    """

    def __init__(
        self,
        n_channels: int,
        d_model: int,
        kernel_sizes: tuple[int, ...],
        stride: int,
        coarse_stride: int = 1,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.coarse_stride = coarse_stride
        if any(size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"The 'kernel_sizes' parameter must hold odd numbers. Got {kernel_sizes} instead.")
        sizes = [max(size, _covering_width(coarse_stride)) for size in kernel_sizes[:d_model]]
        widths = [d_model // len(sizes) + (i < d_model % len(sizes)) for i in range(len(sizes))]
        self.scales = nn.ModuleList(
            nn.Conv1d(n_channels, width, size, stride=coarse_stride, padding=size // 2, bias=False)
            for width, size in zip(widths, sizes, strict=True)
        )
        self.scales_norm = ObservedBatchNorm(d_model)
        size = max(7, _covering_width(stride))
        self.tokens = nn.Conv1d(d_model, d_model, size, stride=stride, padding=size // 2, bias=False)
        self.tokens_norm = ObservedBatchNorm(d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N); N = ceil(T / (stride * coarse_stride))."""
        # What is hidden, padding above all, is zeroed before each convolution: it must not leak into its neighbours.
        x = torch.where(observed, x, 0.0).transpose(1, 2)  # (B, C, T)
        seen = _observed_spans(observed.any(dim=-1), self.coarse_stride)
        x = torch.cat([scale(x) for scale in self.scales], dim=1)
        x = F.gelu(self.scales_norm(x, seen))
        seen = _observed_spans(seen, self.stride)
        x = F.gelu(self.tokens_norm(self.tokens(x), seen))
        return x.transpose(1, 2), seen


class StridedEmbedding(nn.Module):
    """Convolutions with a stride, one on the other; LayerNorm after each, so that no series depends on its batch.

    Parameters
    ----------
    n_channels, d_model : int
        Width of the series and of the tokens; each convolution but the last makes half of what the next one makes.
    strides : tuple of int
        Of the convolutions. A token spans as many time points as their product.
    """

    def __init__(self, n_channels: int, d_model: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.strides = strides
        widths = [n_channels, *(max(1, d_model >> halvings) for halvings in reversed(range(len(strides))))]
        sizes = [_covering_width(stride) for stride in strides]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(n_in, n_out, size, stride=stride, padding=size // 2, bias=False)
            for n_in, n_out, size, stride in zip(widths, widths[1:], sizes, strides, strict=False)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths[1:])

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N); those that are not are 0."""
        x, seen = torch.where(observed, x, 0.0), observed.any(dim=-1)
        for convolution, norm, stride in zip(self.convolutions, self.norms, self.strides, strict=True):
            x = F.gelu(norm(convolution(x.transpose(1, 2)).transpose(1, 2)))
            seen = _observed_spans(seen, stride)
            x = x * seen.unsqueeze(-1)  # the next convolution must not see what padding became
        return x, seen


def bounded_embedding(
    n_channels: int,
    n_timepoints: int,
    d_model: int,
    *,
    kernel_sizes: tuple[int, ...],
    max_tokens: int,
    fine_timepoints: int,
) -> ConvolutionalEmbedding:
    """Build a convolutional embedding that makes at most `max_tokens` tokens of a series of n_timepoints.

    Beyond `fine_timepoints` the parallel convolutions are strided too, so that memory stays bounded as well.
    """
    coarse_stride = math.ceil(n_timepoints / fine_timepoints)
    stride = math.ceil(n_timepoints / (coarse_stride * max_tokens))
    return ConvolutionalEmbedding(n_channels, d_model, kernel_sizes, stride, coarse_stride)


def _covering_width(stride: int) -> int:
    """The odd kernel width at which neighbouring outputs of a strided convolution overlap by half."""
    return 1 if stride == 1 else 2 * stride + 1


def _observed_spans(observed: Tensor, stride: int) -> Tensor:
    """Whether any of the `stride` positions that a strided convolution's output stands for is observed."""
    if stride == 1:
        return observed
    return F.max_pool1d(observed.float().unsqueeze(1), stride, ceil_mode=True).squeeze(1) > 0


class ObservedBatchNorm(nn.Module):
    """BatchNorm (Ioffe & Szegedy 2015) by the statistics of the observed positions; the others become 0."""

    def __init__(self, width: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.running_mean: Tensor
        self.running_var: Tensor

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Normalise x (B, D, N) where observed (B, N)."""
        # The fused kernel refuses a single value; an exported graph cannot ask what is observed.
        if not torch.compiler.is_compiling() and observed.numel() > 1 and observed.all():
            running = (self.running_mean, self.running_var)
            return F.batch_norm(x, *running, self.weight, self.bias, self.training, self.momentum, self.eps)
        mask = observed.unsqueeze(1)
        mean, var = self._statistics(x, mask) if self.training else (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return (x * scale.unsqueeze(-1) + (self.bias - mean * scale).unsqueeze(-1)) * mask

    def _statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (D,) of x where the mask (B, 1, N) is True; the running ones move towards them."""
        count = mask.sum().clamp(min=1)
        mean = (x * mask).sum(dim=(0, 2)) / count
        var = ((x - mean.unsqueeze(-1)) * mask).square().sum(dim=(0, 2)) / count
        if not mask.any():
            return mean, var
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = var * count / (count - 1).clamp(min=1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return mean, var
