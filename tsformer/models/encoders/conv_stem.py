"""The default encoder: a convolutional stem turns a series into at most 64 tokens, which then attend to each other."""

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import pre_norm_stack
from tsformer.layers.embeddings import bounded_embedding


class ConvStemEncoder(nn.Module):
    """Convolutions of several widths, then pre-norm attention with rotary positions.

    The number of tokens does not grow with the length of the training series, so neither does the cost of attention.

    Parameters
    ----------
    n_channels, n_timepoints, d_model, n_heads, n_layers, d_ff, dropout
        The contract of `tsformer.models.encoders`.
    kernel_sizes : tuple of int, default=(3, 9, 19, 39)
        Widths of the parallel convolutions, in time points.
    max_tokens : int, default=64
        Tokens for a series of n_timepoints.
    fine_timepoints : int, default=1024
        Beyond this length the parallel convolutions are strided too.
    stochastic_depth : float, default=0.1
        Share of residual branches dropped for whole cases in training.

    References
    ----------
    Convolutions of several widths: Ismail Fawaz et al. (2020), "InceptionTime". A convolutional stem before
    attention: Xiao et al. (2021), "Early convolutions help transformers see better".
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
        max_tokens: int = 64,
        fine_timepoints: int = 1024,
        stochastic_depth: float = 0.1,
    ) -> None:
        super().__init__()
        self.embedding = bounded_embedding(
            n_channels,
            n_timepoints,
            d_model,
            kernel_sizes=kernel_sizes,
            max_tokens=max_tokens,
            fine_timepoints=fine_timepoints,
        )
        self.stack = pre_norm_stack(
            d_model, n_heads, n_layers, d_ff, dropout=dropout, stochastic_depth=stochastic_depth
        )

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N)."""
        tokens, seen = self.embedding(x, observed)
        return self.stack(tokens, padding_mask(seen)), seen
