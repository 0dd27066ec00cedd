"""The encoder of pretraining: two strided convolutions make a token of 16 time points, tokens attend to each other."""

from typing import Any

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, EncoderStack
from tsformer.layers.embeddings import StridedEmbedding


class StridedStemEncoder(nn.Module):
    """Strided convolutions (Xiao et al. 2021), then pre-norm attention; nothing in it depends on the batch.

    A token spans as many time points as the product of `strides`, those of the convolutions.
    """

    def __init__(
        self, n_channels: int, n_timepoints: int, *, d_model: int, strides: tuple[int, ...] = (4, 4), **stack: Any
    ) -> None:
        super().__init__()
        self.embedding = StridedEmbedding(n_channels, d_model, strides)
        self.stack = EncoderStack(d_model, **PRE_NORM | {"stochastic_depth": 0.0} | stack)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N); N = ceil(T / 16) with the default strides."""
        depths, token_mask = self.tokens_by_depth(x, observed)
        return depths[-1], token_mask

    def tokens_by_depth(self, x: Tensor, observed: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the tokens (B, N, D) of the stem, the middle layer and the last, and their mask (B, N)."""
        tokens, token_mask = self.embedding(x, observed)
        states = self.stack.states(tokens, padding_mask(token_mask))
        return [states[0], states[len(states) // 2], states[-1]], token_mask
