"""Embeddings: series (B, T, C) or token numbers (B, N) in, tokens (B, N, D) of width d_model out."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.layers.attention import answers_at_once

MOST_CHANNELS = 64  # that convolutions read, or d_model if larger


class TokenEmbedding(nn.Embedding):
    """A vector for each entry of a vocabulary, scaled by sqrt(d_model) as in the 2017 paper, section 3.4."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token numbers (B, N) to tokens (B, N, D)."""
        return super().forward(tokens) * math.sqrt(self.embedding_dim)


class LinearEmbedding(nn.Linear):
    """One token for each time point: a linear map of the channels; not observed values count as 0."""

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return tokens (B, T, D) and their mask (B, T)."""
        return super().forward(torch.where(observed, x, 0.0)), observed.any(dim=-1)


class PatchEmbedding(nn.Module):
    """One token for each stretch of `patch_length` time points: a linear map of its values and of what is missing."""

    def __init__(self, n_channels: int, d_model: int, patch_length: int) -> None:
        super().__init__()
        self.patch_length = patch_length
        self.linear = nn.Linear(2 * n_channels * patch_length, d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N); N = ceil(T / patch_length)."""
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
        """Return tokens (B, C, D) and the mask of channels with an observed value (B, C)."""
        means, observed_means = segment_means(x, observed, self.n_segments)
        values = torch.cat([means, observed_means.to(x.dtype)], dim=1).transpose(1, 2)  # (B, C, 2 S)
        return self.linear(values), observed.any(dim=1)


def segment_means(x: Tensor, observed: Tensor, n_segments: int) -> tuple[Tensor, Tensor]:
    """Means (B, S, C) of the observed values of x (B, T, C) over equal segments, up to the last time point observed.

    A mean is 0 where nothing is observed, as the mask says. Segments share the time point that their border cuts, so
    that a series of fewer points than segments has them all.
    """
    counts = torch.arange(1, x.shape[1] + 1, device=x.device)
    length = (observed.any(dim=-1) * counts).amax(dim=1, keepdim=True)
    borders = torch.arange(n_segments + 1, device=x.device) * length  # (B, S + 1), in n_segments-ths of a time point
    start, stop = borders[:, :-1] // n_segments, (borders[:, 1:] + n_segments - 1) // n_segments

    def total(values: Tensor) -> Tensor:
        before = F.pad(values.cumsum(dim=1), (0, 0, 1, 0))  # (B, T + 1, C): the sum of all before each time point
        at_start, at_stop = (before.gather(1, at.unsqueeze(-1).expand(-1, -1, x.shape[2])) for at in (start, stop))
        return at_stop - at_start

    count = total(observed.long())
    return total(torch.where(observed, x, 0.0)) / count.clamp(min=1), count > 0


class ChannelMixing(nn.Module):
    """Makes of more than `MOST_CHANNELS` or d_model channels so many, each a weighted sum of all; leaves fewer alone.

    Channels are mixed before their course is looked at, at a fraction of the cost; `n_channels` is how many are left.
    """

    def __init__(self, n_channels: int, d_model: int) -> None:
        super().__init__()
        most = max(MOST_CHANNELS, d_model)
        self.n_channels = min(n_channels, most)
        self.linear = nn.Linear(n_channels, most, bias=False) if n_channels > most else None

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Map series (B, T, C) and their mask, a channel that is not observed counting as 0, to (B, T, n_channels)."""
        x = torch.where(observed, x, 0.0)
        if self.linear is None:
            return x, observed
        mixed = self.linear(x)
        return mixed, observed.any(dim=-1, keepdim=True).expand_as(mixed)


class ConvolutionalEmbedding(nn.Module):
    """Convolutions of odd `kernel_sizes` side by side, sharing d_model; then one with a stride that makes the tokens.

    `coarse_stride` is that of the parallel ones, for very long series. Very many channels are mixed first.
    """

    def __init__(
        self, n_channels: int, d_model: int, kernel_sizes: tuple[int, ...], stride: int, coarse_stride: int = 1
    ) -> None:
        super().__init__()
        self.stride, self.coarse_stride = stride, coarse_stride
        if not all(size % 2 for size in kernel_sizes):
            raise ValueError(f"The 'kernel_sizes' parameter must hold odd numbers. Got {kernel_sizes} instead.")
        sizes = [max(size, _covering_width(coarse_stride)) for size in kernel_sizes[:d_model]]
        widths = [d_model // len(sizes) + (i < d_model % len(sizes)) for i in range(len(sizes))]
        self.mixing = ChannelMixing(n_channels, d_model)
        self.scales = nn.ModuleList(
            nn.Conv1d(self.mixing.n_channels, width, size, stride=coarse_stride, padding=size // 2, bias=False)
            for width, size in zip(widths, sizes, strict=True)
        )
        self.scales_norm = ObservedBatchNorm(d_model)
        size = max(7, _covering_width(stride))
        self.tokens = nn.Conv1d(d_model, d_model, size, stride=stride, padding=size // 2, bias=False)
        self.tokens_norm = ObservedBatchNorm(d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N); N = ceil(T / (stride * coarse_stride))."""
        # What is hidden, padding above all, is zeroed before each convolution: it must not leak into its neighbours.
        x, observed = self.mixing(x, observed)
        x = x.transpose(1, 2).contiguous()  # (B, C, T), else each convolution would copy it
        token_mask = _observed_spans(observed.any(dim=-1), self.coarse_stride)
        x = F.gelu(self.scales_norm(torch.cat([scale(x) for scale in self.scales], dim=1), token_mask))
        token_mask = _observed_spans(token_mask, self.stride)
        return F.gelu(self.tokens_norm(self.tokens(x), token_mask)).transpose(1, 2), token_mask


class StridedEmbedding(nn.Module):
    """Strided convolutions, each of half the next one's features; LayerNorm, so that no series depends on its batch."""

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
        """Return tokens (B, N, D) and their mask (B, N); tokens outside it are 0."""
        x, token_mask = torch.where(observed, x, 0.0), observed.any(dim=-1)
        for convolution, norm, stride in zip(self.convolutions, self.norms, self.strides, strict=True):
            x = F.gelu(norm(convolution(x.transpose(1, 2)).transpose(1, 2)))
            token_mask = _observed_spans(token_mask, stride)
            x = x * token_mask.unsqueeze(-1)  # the next convolution must not see what padding became
        return x, token_mask


def bounded_strides(n_timepoints: int, max_tokens: int, fine_timepoints: int) -> tuple[int, int]:
    """`stride` and `coarse_stride` by which n_timepoints become at most `max_tokens`.

    The second is above 1 beyond `fine_timepoints`, so that memory is bounded as well.
    """
    coarse_stride = math.ceil(n_timepoints / fine_timepoints)
    return math.ceil(n_timepoints / (coarse_stride * max_tokens)), coarse_stride


def _covering_width(stride: int) -> int:
    """The odd kernel width at which neighbouring outputs of a strided convolution overlap by half."""
    return 1 if stride == 1 else 2 * stride + 1


def _observed_spans(observed: Tensor, stride: int) -> Tensor:
    """Whether any of the `stride` positions that a strided convolution's output stands for is observed."""
    if stride == 1:
        return observed
    return F.max_pool1d(observed.float().unsqueeze(1), stride, ceil_mode=True).squeeze(1) > 0


def _as_it_is(x: Tensor) -> Tensor:
    return x


class ObservedBatchNorm(nn.Module):
    """BatchNorm (Ioffe & Szegedy 2015) by the statistics of the observed positions; the others become 0."""

    momentum, eps = 0.1, 1e-5
    total: Callable[[Tensor], Tensor] | None = None  # while several processes train together: the sum over them

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.running_mean = nn.Buffer(torch.zeros(width))
        self.running_var = nn.Buffer(torch.ones(width))

    def forward(self, x: Tensor, token_mask: Tensor) -> Tensor:
        """Normalise x (B, D, N) where token_mask (B, N)."""
        alone = self.total is None or not self.training
        if alone and answers_at_once(token_mask) and token_mask.numel() > 1 and token_mask.all():  # 1 has no variance
            running = (self.running_mean, self.running_var)
            return F.batch_norm(x, *running, self.weight, self.bias, self.training, self.momentum, self.eps)
        mask = token_mask.unsqueeze(1)
        mean, var = self._statistics(x, mask) if self.training else (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return (x * scale.unsqueeze(-1) + (self.bias - mean * scale).unsqueeze(-1)) * mask

    def _statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (D,) of x where the mask (B, 1, N) is True; the running ones move towards them."""
        total = self.total or _as_it_is
        n_observed = total(mask.sum())
        count = n_observed.clamp(min=1)
        mean = total((x * mask).sum(dim=(0, 2))) / count
        var = total(((x - mean.unsqueeze(-1)) * mask).square().sum(dim=(0, 2))) / count
        unbiased = var.detach() * count / (count - 1).clamp(min=1)
        momentum = self.momentum * (n_observed > 0).to(
            self.running_mean.dtype
        )  # of nothing observed nothing is learned
        self.running_mean.lerp_(mean.detach().to(momentum.dtype), momentum)
        self.running_var.lerp_(unbiased.to(momentum.dtype), momentum)
        return mean, var
