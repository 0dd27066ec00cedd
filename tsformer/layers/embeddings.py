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
        kernel_sizes = tuple(max(size, _covering_width(coarse_stride)) for size in kernel_sizes)
        widths = [d_model // len(kernel_sizes)] * len(kernel_sizes)
        widths[0] += d_model - sum(widths)
        self.scales = nn.ModuleList(
            nn.Conv1d(n_channels, width, size, stride=coarse_stride, padding=size // 2, bias=False)
            for width, size in zip(widths, kernel_sizes, strict=True)
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


class ObservedBatchNorm(nn.BatchNorm1d):
    """BatchNorm over the observed positions only; the others become 0."""

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise x (B, D, N) where observed (B, N)."""
        if observed.all():
            return super().forward(x)
        rows = x.transpose(1, 2)
        normalised = super().forward(rows[observed])
        return torch.zeros_like(rows).masked_scatter(observed.unsqueeze(-1), normalised).transpose(1, 2)
