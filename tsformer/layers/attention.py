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


def padding_mask(observed: Tensor) -> Tensor | None:
    """Mask (B, 1, 1, N) that hides the keys where observed (B, N) is False; None, which is faster, if all are True.

    Asking whether all are True makes a GPU wait for the answer, a few microseconds a call. A graph that is exported
    cannot ask.
    """
    if not torch.compiler.is_compiling() and observed.all():
        return None
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


def to_windows(x: Tensor, width: int, shift: int = 0) -> Tensor:
    """Cut x (B, N, ...) into windows (B W, width, ...), with zeros before the first `shift` and after the last token.

    The borders lie `shift` tokens earlier than without a shift. They count from the first token, so that padding
    after a series moves none.
    """
    n_tokens = x.shape[1]
    padded = x.new_zeros(x.shape[0], n_tokens + shift + -(n_tokens + shift) % width, *x.shape[2:])
    padded[:, shift : shift + n_tokens] = x
    return padded.unflatten(1, (-1, width)).flatten(0, 1)


def from_windows(windows: Tensor, n_tokens: int, shift: int = 0) -> Tensor:
    """Undo `to_windows`: windows (B W, width, ...) to (B, N, ...)."""
    n_windows = -(-(n_tokens + shift) // windows.shape[1])
    return windows.unflatten(0, (-1, n_windows)).flatten(1, 2)[:, shift : shift + n_tokens]


class KeyValueCache:
    """Keys and values (B, H, N, Dk) of one attention layer, kept between steps of generation.

    Room grows by doubling, so that n steps copy O(n) values, not O(n^2).
    """

    def __init__(self) -> None:
        self.length = 0
        self._key: Tensor | None = None
        self._value: Tensor | None = None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens and return those of all tokens so far."""
        end = self.length + key.shape[2]
        self._key = _with_room(self._key, key, self.length, end)
        self._value = _with_room(self._value, value, self.length, end)
        self._key[:, :, self.length : end] = key
        self._value[:, :, self.length : end] = value
        self.length = end
        return self.content()

    def content(self) -> tuple[Tensor, Tensor]:
        """Return the keys and values of all tokens so far."""
        assert self._key is not None
        assert self._value is not None
        return self._key[:, :, : self.length], self._value[:, :, : self.length]

    def select(self, index: Tensor) -> None:
        """Keep the cases of `index` (B,), in its order and as often: what beam search does to its beams."""
        if self._key is not None and self._value is not None:
            self._key, self._value = self._key[index], self._value[index]


def _with_room(stored: Tensor | None, new: Tensor, length: int, end: int) -> Tensor:
    if stored is not None and stored.shape[2] >= end:
        return stored
    batch, heads, _, width = new.shape
    room = new.new_empty(batch, heads, max(end, 2 * length), width)
    if stored is not None:
        room[:, :, :length] = stored[:, :, :length]
    return room


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
        self.d_model = d_model
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
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Let each token of x, (B, Nq, D), look at the tokens of memory, (B, Nk, D), or of x itself.

        `mask` is as in `attention`; the rotations come from `positions.rotation`. With a cache, self-attention also
        looks at the tokens of earlier calls, and cross-attention projects the memory in the first call only.
        """
        if memory is None:
            query, key, value = self._heads(self.projection(x), 3)
            key = rotate(key, key_rotation)
            if cache is not None:
                key, value = cache.append(key, value)
        else:
            (query,) = self._heads(self._project(x, slice(None, self.d_model)), 1)
            key, value = self._remember(memory, key_rotation, cache)
        query = rotate(query, query_rotation)
        if self._records is not None:
            self._records.append(attention_weights(query, key, mask))
        heads = attention(query, key, value, mask, dropout=self.dropout if self.training else 0.0)
        return self.output(heads.transpose(1, 2).flatten(2))

    def _remember(self, memory: Tensor, turn: Rotation | None, cache: KeyValueCache | None) -> tuple[Tensor, Tensor]:
        """Keys and values of the memory, from the cache where it has them."""
        if cache is not None and cache.length:
            return cache.content()
        key, value = self._heads(self._project(memory, slice(self.d_model, None)), 2)
        key = rotate(key, turn)
        return (key, value) if cache is None else cache.append(key, value)

    def _project(self, x: Tensor, rows: slice) -> Tensor:
        return F.linear(x, self.projection.weight[rows], self.projection.bias[rows])

    def _heads(self, projected: Tensor, n_parts: int) -> tuple[Tensor, ...]:
        """Split (B, N, n_parts D) into n_parts of (B, H, N, Dk)."""
        return projected.unflatten(-1, (n_parts, self.n_heads, -1)).permute(2, 0, 3, 1, 4).unbind()


class WindowedAttention(nn.Module):
    """Self-attention of each token to those of its window alone: cost grows linearly with the number of tokens.

    Parameters
    ----------
    attention : MultiHeadAttention
        Attends within a window.
    width : int
        Tokens in a window.
    shift : int, default=0
        Tokens by which the borders of the windows lie earlier.

    References
    ----------
    Liu et al. (2021), "Swin Transformer: hierarchical vision Transformer using shifted windows".
    """

    def __init__(self, attention: MultiHeadAttention, width: int, shift: int = 0) -> None:
        super().__init__()
        self.attention = attention
        self.width = width
        self.shift = shift

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        query_rotation: Rotation | None = None,
        key_rotation: Rotation | None = None,
    ) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D); mask is a `padding_mask`, the rotations are those of one window."""
        n_tokens = x.shape[1]
        observed = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask[:, 0, 0]
        windows = self.attention(
            to_windows(x, self.width, self.shift),
            mask=padding_mask(to_windows(observed, self.width, self.shift)),
            query_rotation=query_rotation,
            key_rotation=key_rotation,
        )
        records = self.attention._records
        if records is not None:
            records[-1] = self._between_all(records[-1], n_tokens)
        return from_windows(windows, n_tokens, self.shift)

    def _between_all(self, weights: Tensor, n_tokens: int) -> Tensor:
        """Weights within windows, (B W, H, width, width), as weights between all tokens, (B, H, N, N)."""
        n_windows = -(-(n_tokens + self.shift) // self.width)
        blocks = weights.unflatten(0, (-1, n_windows)).permute(0, 2, 3, 4, 1)  # (B, H, width, width, W)
        whole = blocks.diag_embed().permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)
        inside = slice(self.shift, self.shift + n_tokens)
        return whole[:, :, inside, inside]


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
