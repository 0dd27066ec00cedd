"""The encoder of pretraining: two strided convolutions make a token of 16 time points, tokens attend to each other."""

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import pre_norm_stack
from tsformer.layers.embeddings import StridedEmbedding


class StridedStemEncoder(nn.Module):
    """Strided convolutions, then pre-norm attention with rotary positions; nothing in it depends on the batch.

    Parameters
    ----------
    n_channels, n_timepoints, d_model, n_heads, n_layers, d_ff, dropout
        The contract of `tsformer.models.encoders`; the shape does not depend on n_timepoints.
    strides : tuple of int, default=(4, 4)
        Of the convolutions. A token spans as many time points as their product.
    stochastic_depth : float, default=0.0
        Share of residual branches dropped for whole cases in training.

    References
    ----------
    A convolutional stem before attention: Xiao et al. (2021), "Early convolutions help transformers see better".
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
        strides: tuple[int, ...] = (4, 4),
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = StridedEmbedding(n_channels, d_model, strides)
        self.stack = pre_norm_stack(
            d_model, n_heads, n_layers, d_ff, dropout=dropout, stochastic_depth=stochastic_depth
        )

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and which of them are observed (B, N); N = ceil(T / 16) with the default strides."""
        depths, seen = self.tokens_by_depth(x, observed)
        return depths[-1], seen

    def tokens_by_depth(self, x: Tensor, observed: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the tokens (B, N, D) of the stem, the middle layer and the last, and which are observed (B, N)."""
        tokens, seen = self.embedding(x, observed)
        states = self.stack.states(tokens, padding_mask(seen))
        return [states[0], states[len(states) // 2], states[-1]], seen
