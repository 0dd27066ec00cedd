"""The encoder of the 2017 paper on a series: one token for each time point, sinusoidal positions, post-norm, ReLU."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import EncoderStack
from tsformer.layers.embeddings import LinearEmbedding
from tsformer.layers.positions import LearnedPositions, SinusoidalPositions


class TransformerEncoder(nn.Module):
    """The encoder of Vaswani et al. (2017): attention over all pairs of time points, so cost grows with length squared.

    `positions` are "sinusoidal", "rotary" or "learned", which refuse series longer than those of training; `norm_first`
    means pre-norm instead of the paper's post-norm.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        d_model: int,
        positions: str = "sinusoidal",
        norm_first: bool = False,
        **stack: Any,
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
                f"The 'positions' parameter must be one of {sorted(add_positions)}. Got {positions!r} instead."
            )
        self.positions = add_positions[positions]()
        self.stack = EncoderStack(
            d_model, norm_first=norm_first, final_norm=norm_first, rotary=positions == "rotary", **stack
        )

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, T, D) and their mask (B, T)."""
        tokens, token_mask = self.embedding(x, observed)
        return self.stack(self.positions(tokens), padding_mask(token_mask)), token_mask
