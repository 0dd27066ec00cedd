"""An encoder of patches: equal stretches of the series become tokens by one linear map."""

import math

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import pre_norm_stack
from tsformer.layers.embeddings import PatchEmbedding


class PatchEncoder(nn.Module):
    """Linear patches, then pre-norm attention with rotary positions; the forecaster's default.

    Parameters
    ----------
    n_channels, n_timepoints, d_model, n_heads, n_layers, d_ff, dropout
        The contract of `tsformer.models.encoders`.
    patch_length : int, optional
        Time points in a patch; by default as many as make 16 patches of n_timepoints.
    stochastic_depth : float, default=0.1
        Share of residual branches dropped for whole cases in training.

    References
    ----------
    Nie et al. (2023), "A time series is worth 64 words" (PatchTST).
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
        patch_length: int | None = None,
        stochastic_depth: float = 0.1,
    ) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(n_channels, d_model, patch_length or math.ceil(n_timepoints / 16))
        self.stack = pre_norm_stack(
            d_model, n_heads, n_layers, d_ff, dropout=dropout, stochastic_depth=stochastic_depth
        )

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N); N = ceil(T / patch_length)."""
        tokens, seen = self.embedding(x, observed)
        return self.stack(tokens, padding_mask(seen)), seen
