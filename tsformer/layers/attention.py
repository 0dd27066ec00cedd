"""Attention: softmax(Q K^T / sqrt(d_k)) V, its masks, and several heads of it with learned projections."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.layers.positions import Rotation, rotate


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention through torch's fused kernel.

    Parameters
    ----------
    query : Tensor of shape (B, H, Nq, Dk)
    key : Tensor of shape (B, H, Nk, Dk)
    value : Tensor of shape (B, H, Nk, Dv)
    mask : bool Tensor broadcastable to (B, H, Nq, Nk), default=None
        True where the query may look at the key. A query that may look at nothing receives zeros.
    dropout : float, default=0.0
        Share of attention weights set to zero. On CPU anything above 0 leaves the fused kernel.

    Returns
    -------
    Tensor of shape (B, H, Nq, Dv)

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need", equation 1.
    """
    if mask is None:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    # Softmax over nothing is NaN, so let such a query look everywhere and discard what it saw.
    sees_something = mask.any(dim=-1, keepdim=True)
    output = F.scaled_dot_product_attention(query, key, value, mask | ~sees_something, dropout_p=dropout)
    return output.masked_fill(~sees_something, 0.0)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """The weights softmax(Q K^T / sqrt(d_k)) by themselves, (B, H, Nq, Nk): the plain path, for looking.

    Masked weights are exactly 0. A row sums to 1, or to 0 where the query may look at nothing.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def padding_mask(observed: Tensor) -> Tensor:
    """Mask (B, 1, 1, N) that hides the keys where observed (B, N) is False."""
    return observed[:, None, None, :]


def causal_mask(n_queries: int, n_keys: int, device: torch.device | None = None) -> Tensor:
    """Mask (Nq, Nk) that hides later keys; the last query stands at the last key.

    With more keys than queries the first keys are the past that all queries may see: what a key/value cache needs.
    """
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


def window_mask(n_tokens: int, width: int, device: torch.device | None = None) -> Tensor:
    """Mask (N, N) that hides keys more than `width` tokens away."""
    positions = torch.arange(n_tokens, device=device)
    return (positions[:, None] - positions[None, :]).abs() <= width


class MultiHeadAttention(nn.Module):
    """Several attentions side by side with learned projections, for self- and cross-attention.

    Parameters
    ----------
    d_model : int
        Width of queries, memory and output.
    n_heads : int
        Number of heads; divides d_model.
    dropout : float, default=0.0
        Share of attention weights set to zero in training.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need", section 3.2.2.
    """

    def __init__(self, d_model: int, n_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(
                f"The 'd_model' parameter must be a multiple of n_heads. Got d_model={d_model}, n_heads={n_heads}."
            )
        self.n_heads = n_heads
        self.dropout = dropout
        # One matrix holds the projections of query, key and value: one multiplication in self-attention.
        self.projection = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)
        self._records: list[Tensor] | None = None

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        query_rotation: Rotation | None = None,
        key_rotation: Rotation | None = None,
    ) -> Tensor:
        """Let each token of x, (B, Nq, D), look at the tokens of memory, (B, Nk, D), or of x itself.

        `mask` is as in `attention`; the rotations come from `positions.rotation`.
        """
        query, key, value = self._project(x, memory)
        if query_rotation is not None:
            query = rotate(query, query_rotation)
        if key_rotation is not None:
            key = rotate(key, key_rotation)
        if self._records is not None:
            self._records.append(attention_weights(query, key, mask))
        heads = attention(query, key, value, mask, dropout=self.dropout if self.training else 0.0)
        return self.output(heads.transpose(1, 2).flatten(2))

    def _project(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, ...]:
        if memory is None:
            parts = self.projection(x).chunk(3, dim=-1)
        else:
            d_model = x.shape[-1]
            weight, bias = self.projection.weight, self.projection.bias
            query = F.linear(x, weight[:d_model], bias[:d_model])
            parts = (query, *F.linear(memory, weight[d_model:], bias[d_model:]).chunk(2, dim=-1))
        return tuple(part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)  # (B, H, N, Dk)


@contextmanager
def record_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the weights (B, H, Nq, Nk) of every MultiHeadAttention that runs inside, in order of call."""
    records: list[Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    for layer in layers:
        layer._records = records
    try:
        yield records
    finally:
        for layer in layers:
            layer._records = None
