"""The encoder of the 2017 paper on a series: one token for each time point, sinusoidal positions, post-norm, ReLU."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import EncoderStack
from tsformer.layers.embeddings import LinearEmbedding
from tsformer.layers.positions import LearnedPositions, SinusoidalPositions


class TransformerEncoder(nn.Module):
    """The reference encoder; attention over all pairs of time points, so cost grows with the length squared.

    Parameters
    ----------
    n_channels, n_timepoints, d_model, n_heads, n_layers, d_ff, dropout
        The contract of `tsformer.models.encoders`.
    positions : {"sinusoidal", "rotary", "learned"}, default="sinusoidal"
        Learned positions refuse series longer than those of training.
    norm_first : bool, default=False
        Pre-norm instead of the paper's post-norm.
    activation : {"relu", "gelu"}, default="relu"

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".
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
        positions: str = "sinusoidal",
        norm_first: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.embedding = LinearEmbedding(n_channels, d_model)
        add_positions: dict[str, Callable[[], nn.Module]] = {
            "sinusoidal": SinusoidalPositions,
            "rotary": nn.Identity,
            "learned": partial(LearnedPositions, n_timepoints, d_model),
        }
        if positions not in add_positions:
            raise ValueError(
                f"The 'positions' parameter of TransformerEncoder must be one of {sorted(add_positions)}. Got "
                f"{positions!r} instead."
            )
        self.positions = add_positions[positions]()
        self.stack = EncoderStack(
            d_model,
            n_heads,
            n_layers,
            d_ff,
            dropout=dropout,
            activation=activation,
            norm_first=norm_first,
            final_norm=norm_first,
            rotary=positions == "rotary",
        )

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, T, D) and which of them are observed (B, T)."""
        tokens, seen = self.embedding(x, observed)
        return self.stack(self.positions(tokens), padding_mask(seen)), seen
