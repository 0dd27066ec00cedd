"""Blocks of a Transformer: feed-forward, residual connection with LayerNorm, and the encoder made of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.attention import KeyValueCache, MultiHeadAttention, WindowedAttention
from tsformer.layers.positions import Rotation, rotary

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}

# What trains well without much care, for encoder stacks and decoders that are not the paper's.
PRE_NORM: dict[str, Any] = {"norm_first": True, "final_norm": True, "activation": "gelu"}
PRE_NORM |= {"rotary": True, "stochastic_depth": 0.1}


class FeedForward(nn.Sequential):
    """Two linear maps with an activation between them, applied to each token (B, N, D) alone."""

    def __init__(self, d_model: int, d_ff: int, *, activation: str = "relu", dropout: float = 0.0) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"The 'activation' parameter must be one of {sorted(ACTIVATIONS)}. Got {activation!r} instead."
            )
        super().__init__(
            nn.Linear(d_model, d_ff), ACTIVATIONS[activation](), nn.Dropout(dropout), nn.Linear(d_ff, d_model)
        )


class StochasticDepth(nn.Module):
    """Drops a residual branch for whole cases in training and scales the kept ones up (Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch (B, ...) with a fraction `rate` of its cases set to zero."""
        if not self.training or self.rate == 0.0:
            return branch
        kept = torch.rand(branch.shape[0], *[1] * (branch.dim() - 1), device=branch.device) >= self.rate
        return branch * (kept / (1.0 - self.rate))


class Residual(nn.Module):
    """Adds a branch to its input, with LayerNorm after the sum (post-norm, the 2017 paper) or before the branch."""

    def __init__(
        self, d_model: int, norm_first: bool = False, dropout: float = 0.0, stochastic_depth: float = 0.0
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm = nn.LayerNorm(d_model)
        self.drop = nn.Sequential(nn.Dropout(dropout), StochasticDepth(stochastic_depth))

    def forward(self, x: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """Return x + branch(x), (B, N, D), normalised in the order chosen."""
        change = branch(self.norm(x) if self.norm_first else x)
        if self.training:  # modules that do nothing took 7 % of a cached step
            change = self.drop(change)
        return x + change if self.norm_first else self.norm(x + change)


class EncoderBlock(nn.Module):
    """Self-attention, then feed-forward, each in a `Residual`, whose settings `residual` holds."""

    def __init__(self, self_attention: nn.Module, feed_forward: nn.Module, d_model: int, **residual: Any) -> None:
        super().__init__()
        self.self_attention, self.feed_forward = self_attention, feed_forward
        self.residuals = nn.ModuleList(Residual(d_model, **residual) for _ in range(2))

    def forward(self, x: Tensor, *, mask: Tensor | None = None, rotation: Rotation | None = None) -> Tensor:
        """Map tokens (B, N, D) to tokens (B, N, D)."""
        around_self, around_feed_forward = self.residuals
        x = around_self(x, lambda x: self.self_attention(x, mask=mask, query_rotation=rotation, key_rotation=rotation))
        return around_feed_forward(x, self.feed_forward)


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention to the encoder's memory, then feed-forward, each in a `Residual`."""

    def __init__(
        self,
        self_attention: MultiHeadAttention,
        cross_attention: MultiHeadAttention,
        feed_forward: nn.Module,
        d_model: int,
        **residual: Any,
    ) -> None:
        super().__init__()
        self.self_attention, self.cross_attention, self.feed_forward = self_attention, cross_attention, feed_forward
        self.residuals = nn.ModuleList(Residual(d_model, **residual) for _ in range(3))

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        rotation: Rotation | None = None,
        memory_rotation: Rotation | None = None,
        caches: tuple[KeyValueCache, KeyValueCache] | tuple[None, None] = (None, None),
    ) -> Tensor:
        """Map tokens (B, M, D) to (B, M, D), given memory (B, N, D); the caches are for self- and cross-attention."""
        around_self, around_cross, around_feed_forward = self.residuals
        to_self = {"mask": mask, "query_rotation": rotation, "key_rotation": rotation, "cache": caches[0]}
        across = {"mask": memory_mask, "query_rotation": rotation, "key_rotation": memory_rotation, "cache": caches[1]}
        x = around_self(x, lambda x: self.self_attention(x, **to_self))
        x = around_cross(x, lambda x: self.cross_attention(x, memory, **across))
        return around_feed_forward(x, self.feed_forward)


class EncoderStack(nn.Module):
    """A stack of encoder blocks, optionally with rotary positions and a final LayerNorm.

    The defaults are the 2017 paper's: post-norm, ReLU, no final norm. With d_model=512, n_heads=8, n_layers=6 and
    d_ff=2048 it is the paper's base encoder of 18,914,304 parameters.

    Parameters
    ----------
    d_model, n_heads, n_layers, d_ff : int
        Width, heads, blocks, and hidden width of the feed-forward.
    dropout, stochastic_depth : float, default=0.0
        Of residual branches and inside the feed-forward (that of attention weights would leave the fused kernel);
        fraction of residual branches dropped for whole cases in training.
    activation : {"relu", "gelu"}, default="relu"
    norm_first, final_norm, rotary : bool, default=False
        LayerNorm before each branch, not after each sum; at the end, which pre-norm stacks need; rotary positions.
    window : int, optional
        Attend within windows of so many tokens, shifted by half a window in every second block.
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
        window: int | None = None,
    ) -> None:
        super().__init__()
        self.head_dim, self.rotary, self.window = d_model // n_heads, rotary, window
        residual = {"norm_first": norm_first, "dropout": dropout, "stochastic_depth": stochastic_depth}

        def block(layer: int) -> EncoderBlock:
            full = MultiHeadAttention(d_model, n_heads)
            attention = full if window is None else WindowedAttention(full, window, window // 2 if layer % 2 else 0)
            feed_forward = FeedForward(d_model, d_ff, activation=activation, dropout=dropout)
            return EncoderBlock(attention, feed_forward, d_model, **residual)

        self.blocks = nn.ModuleList(block(layer) for layer in range(n_layers))
        self.norm = nn.LayerNorm(d_model) if final_norm else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, D) to tokens (B, N, D); `mask` is as in `attention`, with windows a `padding_mask`."""
        return self.states(x, mask)[-1]

    def states(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the tokens as they came, and after each block; the last ones, which `forward` returns, normalised."""
        rotation, states = None, [x]
        if self.rotary:
            rotation = rotary(torch.arange(self.window or x.shape[1], device=x.device), self.head_dim)
        for block in self.blocks:
            states.append(block(states[-1], mask=mask, rotation=rotation))
        return [*states[:-1], self.norm(states[-1])]


def initialise_weights(model: nn.Module) -> None:
    """Draw the weights of linear maps (Xavier, zero biases) and embeddings (N(0, 1/d)); others keep torch's own."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
