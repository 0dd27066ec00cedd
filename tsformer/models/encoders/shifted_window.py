"""The Swin Transformer in one dimension: attention within shifted windows, over tokens that are merged in pairs."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, EncoderStack
from tsformer.layers.embeddings import ConvolutionalEmbedding


class ShiftedWindowEncoder(nn.Module):
    """Stages of windowed attention, each over half as many tokens as the one before; cost is linear in their number.

    Other than in Liu et al. (2021, "Swin Transformer: hierarchical vision Transformer using shifted windows"), tokens
    come from convolutions, which were better on small training sets than linear patches; all stages have d_model, so
    that the rest of a network need not know how many there are; positions within a window are rotary, not a learned
    bias; and windows at the ends are padded and masked, not joined in a ring.

    Parameters
    ----------
    kernel_sizes, fine_timepoints
        As in `ConvStemEncoder`.
    stride : int, default=2
        Time points a token of the first stage spans, of series up to fine_timepoints.
    window : int, default=16
        Tokens that attend to each other.
    n_stages : int, default=2
        A token of the last spans 2^(n_stages - 1) tokens of the first.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        d_model: int,
        kernel_sizes: tuple[int, ...] = (3, 9, 19, 39),
        stride: int = 2,
        fine_timepoints: int = 4096,
        window: int = 16,
        n_stages: int = 2,
        **stack: Any,
    ) -> None:
        super().__init__()
        coarse_stride = math.ceil(n_timepoints / fine_timepoints)
        self.embedding = ConvolutionalEmbedding(n_channels, d_model, kernel_sizes, stride, coarse_stride)
        self.stages = nn.ModuleList(EncoderStack(d_model, window=window, **PRE_NORM | stack) for _ in range(n_stages))
        self.merges = nn.ModuleList(TokenMerging(d_model) for _ in range(n_stages - 1))

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N)."""
        tokens, token_mask = self.embedding(x, observed)
        for i, stage in enumerate(self.stages):
            if i:
                tokens, token_mask = self.merges[i - 1](tokens, token_mask)
            tokens = stage(tokens, padding_mask(token_mask))
        return tokens, token_mask


class TokenMerging(nn.Module):
    """Makes one token of each pair of neighbours by a linear map; a hidden one counts as zeros."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * d_model, d_model, bias=False)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, N, D) and their mask (B, N) to tokens (B, ceil(N / 2), D) and their mask."""
        tokens = torch.where(token_mask.unsqueeze(-1), tokens, 0.0)
        odd = tokens.shape[1] % 2
        pairs = F.pad(tokens, (0, 0, 0, odd)).unflatten(1, (-1, 2)).flatten(2)  # (B, N / 2, 2 D)
        return self.linear(pairs), F.pad(token_mask, (0, odd)).unflatten(1, (-1, 2)).any(dim=2)
