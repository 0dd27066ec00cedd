"""The Swin Transformer in one dimension: attention within shifted windows, over tokens that are merged in pairs."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import pre_norm_stack
from tsformer.layers.embeddings import ConvolutionalEmbedding


class ShiftedWindowEncoder(nn.Module):
    """Stages of windowed attention, each over half as many tokens as the one before; cost is linear in their number.

    Parameters
    ----------
    n_channels, n_timepoints, d_model, n_heads, n_layers, d_ff, dropout
        The contract of `tsformer.models.encoders`; each stage has n_layers, every second with shifted windows.
    kernel_sizes : tuple of int, default=(3, 9, 19, 39)
        Widths of the parallel convolutions, in time points.
    stride : int, default=2
        Time points a token of the first stage spans.
    fine_timepoints : int, default=4096
        Beyond this length of n_timepoints the parallel convolutions are strided too, and tokens span more.
    window : int, default=16
        Tokens that attend to each other.
    n_stages : int, default=2
        A token of the last spans 2^(n_stages - 1) tokens of the first.
    stochastic_depth : float, default=0.1
        Share of residual branches dropped for whole cases in training.

    Notes
    -----
    The paper embeds patches by a linear map; convolutions of several widths, as in `ConvStemEncoder`, were better on
    small training sets. It doubles the width from stage to stage; here all stages have d_model, so that the rest of a
    network need not know how many there are. Positions within a window are rotary instead of a learned bias. Windows at
    the ends are padded and masked instead of being joined in a ring.

    References
    ----------
    Liu et al. (2021), "Swin Transformer: hierarchical vision Transformer using shifted windows".
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_ff: int,
        dropout: float,
        kernel_sizes: tuple[int, ...] = (3, 9, 19, 39),
        stride: int = 2,
        fine_timepoints: int = 4096,
        window: int = 16,
        n_stages: int = 2,
        stochastic_depth: float = 0.1,
    ) -> None:
        super().__init__()
        coarse_stride = math.ceil(n_timepoints / fine_timepoints)
        self.embedding = ConvolutionalEmbedding(n_channels, d_model, kernel_sizes, stride, coarse_stride)
        self.stages = nn.ModuleList(
            pre_norm_stack(
                d_model, n_heads, n_layers, d_ff, dropout=dropout, stochastic_depth=stochastic_depth, window=window
            )
            for _ in range(n_stages)
        )
        self.merges = nn.ModuleList(TokenMerging(d_model) for _ in range(n_stages - 1))

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N)."""
        tokens, seen = self.embedding(x, observed)
        first, *later = self.stages
        tokens = first(tokens, padding_mask(seen))
        for merge, stage in zip(self.merges, later, strict=True):
            tokens, seen = merge(tokens, seen)
            tokens = stage(tokens, padding_mask(seen))
        return tokens, seen


class TokenMerging(nn.Module):
    """Makes one token of each pair of neighbours by a linear map; a hidden one counts as zeros."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * d_model, d_model, bias=False)

    def forward(self, tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, N, D) and their mask (B, N) to tokens (B, ceil(N / 2), D) and their mask."""
        tokens = torch.where(observed.unsqueeze(-1), tokens, 0.0)
        odd = tokens.shape[1] % 2
        pairs = F.pad(tokens, (0, 0, 0, odd)).unflatten(1, (-1, 2)).flatten(2)  # (B, N / 2, 2 D)
        return self.linear(pairs), F.pad(observed, (0, odd)).unflatten(1, (-1, 2)).any(dim=2)
