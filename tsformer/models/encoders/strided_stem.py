"""The encoder of pretraining: two strided convolutions make a token of 16 time points, tokens attend to each other."""

from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, EncoderStack
from tsformer.layers.embeddings import StridedEmbedding

FEW = 2**8  # tokens of a batch, beyond which what is side by side takes no less time than one after the other


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
        tokens, token_mask = self.embedding(x, observed)
        return self.stack(tokens, padding_mask(token_mask)), token_mask

    def tokens_by_depth(self, *looks: tuple[Tensor, Tensor]) -> list[tuple[list[Tensor], Tensor]]:
        """Return the tokens (B, N, D) of stem, middle layer and last, and their mask (B, N), of each (x, observed)."""
        embedded = [self.embedding(*look) for look in looks]
        if torch.compiler.is_compiling() or sum(mask.numel() for _, mask in embedded) > FEW:
            states = [self.stack.states(tokens, padding_mask(mask)) for tokens, mask in embedded]
        else:
            states = self._side_by_side(embedded)
        depths = ([each[0], each[len(each) // 2], each[-1]] for each in states)
        return [(each, mask) for each, (_, mask) in zip(depths, embedded, strict=True)]

    def _side_by_side(self, embedded: list[tuple[Tensor, Tensor]]) -> list[list[Tensor]]:
        """Take the tokens of all looks through the layers at once; those of one look attend to no others."""
        tokens, token_mask = (torch.cat(each, dim=1) for each in zip(*embedded, strict=True))
        lengths = [mask.shape[1] for _, mask in embedded]
        position = torch.cat([torch.arange(length, device=tokens.device) for length in lengths])
        look = (position == 0).cumsum(dim=0)
        mask, hidden = look[:, None] == look, padding_mask(token_mask)
        states = self.stack.states(tokens, mask if hidden is None else mask & hidden, position)
        return [list(each) for each in zip(*(state.split(lengths, dim=1) for state in states), strict=True)]
