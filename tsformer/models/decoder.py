"""The decoder: embedded targets (B, M, D) and the encoder's memory (B, N, D) in, decoded tokens (B, M, D) out."""

import torch
from torch import Tensor, nn

from tsformer.layers.attention import KeyValueCache, MultiHeadAttention, causal_mask
from tsformer.layers.blocks import DecoderBlock, FeedForward
from tsformer.layers.positions import rotation


class DecoderCache:
    """What the decoder remembers between steps: for each block the caches of its self- and cross-attention."""

    def __init__(self, n_layers: int) -> None:
        self.layers = [(KeyValueCache(), KeyValueCache()) for _ in range(n_layers)]

    @property
    def length(self) -> int:
        """Number of target tokens seen so far."""
        return self.layers[0][0].length if self.layers else 0

    def select(self, index: Tensor) -> None:
        """Keep the cases of `index` (B,), in its order and as often."""
        for caches in self.layers:
            for cache in caches:
                cache.select(index)


class TransformerDecoder(nn.Module):
    """A stack of decoder blocks: masked self-attention, cross-attention, feed-forward.

    The defaults are the 2017 paper's. With d_model=512, n_heads=8, n_layers=6 and d_ff=2048 it is the paper's base
    decoder of 25,224,192 parameters.

    Parameters
    ----------
    d_model, n_heads, n_layers, d_ff, dropout, activation, norm_first, final_norm, rotary, stochastic_depth
        As in `tsformer.layers.blocks.EncoderStack`. Rotary positions serve self- and cross-attention; positions of
        targets go on from those of the memory.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".
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
        self.head_dim = d_model // n_heads
        self.rotary = rotary
        self.blocks = nn.ModuleList(
            DecoderBlock(
                MultiHeadAttention(d_model, n_heads),
                MultiHeadAttention(d_model, n_heads),
                FeedForward(d_model, d_ff, activation=activation, dropout=dropout),
                d_model,
                norm_first=norm_first,
                dropout=dropout,
                stochastic_depth=stochastic_depth,
            )
            for _ in range(n_layers)
        )
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
        """Decode target tokens x (B, M, D); none sees a later one.

        Without a cache all M steps are computed in parallel: teacher forcing. With a cache x holds the tokens that
        follow those of the earlier calls, usually one, and the result is the same.

        Parameters
        ----------
        x : Tensor of shape (B, M, D)
        memory : Tensor of shape (B, N, D)
        memory_mask : bool Tensor broadcastable to (B, H, M, N), optional
            True where a target may look at a token of the memory.
        memory_positions : Tensor of shape (N,), optional
            Rotary positions of the memory in target tokens, the first target being at 0; by default -N to -1.
        cache : DecoderCache, optional
        """
        start = cache.length if cache is not None else 0
        n_new, n_memory = x.shape[1], memory.shape[1]
        turn = memory_turn = None
        if self.rotary:
            turn = rotation(torch.arange(start, start + n_new, device=x.device), self.head_dim)
            if start == 0:  # later the cache holds the keys of the memory as they were turned
                if memory_positions is None:
                    memory_positions = torch.arange(-n_memory, 0, device=x.device)
                memory_turn = rotation(memory_positions, self.head_dim)
        mask = causal_mask(n_new, start + n_new, device=x.device) if n_new > 1 else None
        for i, block in enumerate(self.blocks):
            caches = cache.layers[i] if cache is not None else (None, None)
            x = block(x, memory, mask=mask, memory_mask=memory_mask, turn=turn, memory_turn=memory_turn, caches=caches)
        return self.norm(x)
