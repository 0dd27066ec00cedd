"""The decoder: embedded targets (B, M, D) and the encoder's memory (B, N, D) in, decoded tokens (B, M, D) out."""

from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.attention import KeyValueCache, MultiHeadAttention, causal_mask
from tsformer.layers.blocks import DecoderBlock, FeedForward
from tsformer.layers.positions import rotary


class DecoderCache:
    """What the decoder remembers between steps: for each block the caches of its self- and cross-attention."""

    def __init__(self, n_layers: int) -> None:
        self.layers = [(KeyValueCache(), KeyValueCache()) for _ in range(n_layers)]

    @property
    def length(self) -> int:
        """Number of target tokens so far."""
        return self.layers[0][0].length if self.layers else 0

    def select(self, index: Tensor) -> None:
        """Keep the cases of `index` (B,), in its order and as often."""
        for caches in self.layers:
            for cache in caches:
                cache.select(index)


class TransformerDecoder(nn.Module):
    """A stack of decoder blocks: masked self-attention, cross-attention, feed-forward.

    With d_model=512, n_heads=8, n_layers=6 and d_ff=2048 it is the 2017 paper's base decoder: 25,224,192 parameters.

    Parameters
    ----------
    d_model, n_heads, n_layers, d_ff, dropout, activation, norm_first, final_norm, stochastic_depth
        As in `tsformer.layers.blocks.EncoderStack`.
    rotary : bool, default=False
        Rotary positions for self- and cross-attention; those of targets go on from those of the memory.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_ff: int,
        *,
        dropout: float = 0.0,
        activation: str = "relu",
        norm_first: bool = False,
        final_norm: bool = False,
        rotary: bool = False,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.head_dim, self.rotary = d_model // n_heads, rotary
        residual: dict[str, Any] = {"norm_first": norm_first, "dropout": dropout, "stochastic_depth": stochastic_depth}

        def block() -> DecoderBlock:
            attentions = MultiHeadAttention(d_model, n_heads), MultiHeadAttention(d_model, n_heads)
            feed_forward = FeedForward(d_model, d_ff, activation=activation, dropout=dropout)
            return DecoderBlock(*attentions, feed_forward, d_model, **residual)

        self.blocks = nn.ModuleList(block() for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model) if final_norm else nn.Identity()

    def new_cache(self) -> DecoderCache:
        """Return an empty cache, to be passed to `forward` at each step of one generation."""
        return DecoderCache(len(self.blocks))

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        memory_mask: Tensor | None = None,
        memory_positions: Tensor | None = None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Decode target tokens x (B, M, D), of which none sees a later one, given the memory (B, N, D).

        Without a cache all M are decoded in parallel: teacher forcing. With one, x follows the tokens of earlier calls,
        with the same result. `memory_mask` is as in `attention`; `memory_positions` (N,), by default -N to -1, are
        rotary positions in target tokens, the first target being at 0.
        """
        start = cache.length if cache is not None else 0
        n_new, n_memory = x.shape[1], memory.shape[1]
        given: dict[str, Any] = {"memory_mask": memory_mask}
        if n_new > 1:
            given["mask"] = causal_mask(n_new, start + n_new, device=x.device)
        if self.rotary:
            given["rotation"] = rotary(torch.arange(start, start + n_new, device=x.device), self.head_dim)
            if start == 0:  # later the cache holds the keys of the memory as they were rotated
                if memory_positions is None:
                    memory_positions = torch.arange(-n_memory, 0, device=x.device)
                given["memory_rotation"] = rotary(memory_positions, self.head_dim)
        for i, block in enumerate(self.blocks):
            x = block(x, memory, caches=cache.layers[i] if cache is not None else (None, None), **given)
        return self.norm(x)
