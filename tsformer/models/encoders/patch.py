"""An encoder of patches: equal stretches of the series become tokens by one linear map."""

import math
from typing import Any

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, EncoderStack
from tsformer.layers.embeddings import PatchEmbedding


class PatchEncoder(nn.Module):
    """Linear patches (PatchTST, Nie et al. 2023), then pre-norm attention with rotary positions; forecasters' default.

    By default `patch_length` makes 16 patches of n_timepoints.
    """

    def __init__(
        self, n_channels: int, n_timepoints: int, *, d_model: int, patch_length: int | None = None, **stack: Any
    ) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(n_channels, d_model, patch_length or math.ceil(n_timepoints / 16))
        self.stack = EncoderStack(d_model, **PRE_NORM | stack)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N); N = ceil(T / patch_length)."""
        tokens, token_mask = self.embedding(x, observed)
        return self.stack(tokens, padding_mask(token_mask)), token_mask
