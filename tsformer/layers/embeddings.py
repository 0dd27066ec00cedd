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
        if observed.numel() > 1 and observed.all():  # the fused kernel, which refuses a single value
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
