"""The default encoder: a convolutional stem turns a series into at most 64 tokens, which then attend to each other."""

from typing import Any

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, EncoderStack
from tsformer.layers.embeddings import ConvolutionalEmbedding, bounded_strides


class ConvStemEncoder(nn.Module):
    """Convolutions of several widths (Ismail Fawaz et al. 2020), a stem before pre-norm attention (Xiao et al. 2021).

    The number of tokens does not grow with the length of the training series, so neither does the cost of attention.

    Parameters
    ----------
    kernel_sizes : tuple of int, default=(3, 9, 19, 39)
        Widths of the parallel convolutions, in time points.
    max_tokens : int, default=64
        Tokens for a series of n_timepoints.
    fine_timepoints : int, default=1024
        Beyond this length the parallel convolutions are strided too.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        d_model: int,
        kernel_sizes: tuple[int, ...] = (3, 9, 19, 39),
        max_tokens: int = 64,
        fine_timepoints: int = 1024,
        **stack: Any,
    ) -> None:
        super().__init__()
        strides = bounded_strides(n_timepoints, max_tokens, fine_timepoints)
        self.embedding = ConvolutionalEmbedding(n_channels, d_model, kernel_sizes, *strides)
        self.stack = EncoderStack(d_model, **PRE_NORM | stack)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N)."""
        tokens, token_mask = self.embedding(x, observed)
        return self.stack(tokens, padding_mask(token_mask)), token_mask
