"""Attention: softmax(Q K^T / sqrt(d_k)) V, its masks, and several heads of it with learned projections."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.layers.positions import Rotation, rotate


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, dropout: float = 0.0) -> Tensor:
    """Scaled dot-product attention through torch's fused kernel: equation 1 of Vaswani et al. (2017), (B, H, Nq, Dv).

    Parameters
    ----------
    query, key, value : Tensor of shape (B, H, Nq, Dk), (B, H, Nk, Dk), (B, H, Nk, Dv)
    mask : bool Tensor broadcastable to (B, H, Nq, Nk), default=None
        True where the query may look at the key. A query that may look at nothing receives zeros.
    dropout : float, default=0.0
        Fraction of attention weights set to zero. On CPU anything above 0 leaves the fused kernel.
    """
    if mask is None:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    # Softmax over nothing is NaN, so let such a query look everywhere and discard what it saw.
    sees_something = mask.any(dim=-1, keepdim=True)
    output = F.scaled_dot_product_attention(query, key, value, mask | ~sees_something, dropout_p=dropout)
    return output.masked_fill(~sees_something, 0.0)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """The weights of `attention` alone, (B, H, Nq, Nk), for looking: masked ones are 0, rows sum to 1, or all are 0."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def answers_at_once(mask: Tensor) -> bool:
    """Whether a branch may depend on a mask: a GPU would first finish all its work, and an exported graph has none."""
    return mask.is_cpu and not torch.compiler.is_compiling()


def padding_mask(token_mask: Tensor) -> Tensor | None:
    """Mask (B, 1, 1, N) that hides the keys where token_mask (B, N) is False; None, which is faster, if none is."""
    if answers_at_once(token_mask) and token_mask.all():
        return None
    return token_mask[:, None, None, :]


def causal_mask(n_queries: int, n_keys: int, device: torch.device | None = None) -> Tensor:
    """Mask (Nq, Nk) that hides later keys; the last query stands at the last key, as with a key/value cache."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


def to_windows(x: Tensor, width: int, shift: int = 0) -> Tensor:
    """Cut x (B, N, ...) into windows (B W, width, ...), whose borders lie `shift` tokens earlier; zeros fill them up.

    Borders count from the first token, so that padding after a series moves none.
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
    """Keys and values (B, H, N, Dk) of one attention layer, kept between steps of generation."""

    def __init__(self) -> None:
        self.length = 0
        self._stored: list[Tensor] = []

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens and return those of all tokens so far."""
        start, self.length = self.length, self.length + key.shape[2]
        if not start:
            self._stored = [key.clone(), value.clone()]
            return self.content()
        # Room grows by doubling, so that n steps copy O(n) values, not O(n^2).
        room = max(self.length, 2 * start)
        if self._stored[0].shape[2] < self.length:
            self._stored = [F.pad(stored[:, :, :start], (0, 0, 0, room - start)) for stored in self._stored]
        for stored, new in zip(self._stored, (key, value), strict=True):
            stored[:, :, start : self.length] = new
        return self.content()

    def content(self) -> tuple[Tensor, Tensor]:
        """Return the keys and values of all tokens so far."""
        key, value = (stored[:, :, : self.length] for stored in self._stored)
        return key, value

    def select(self, index: Tensor) -> None:
        """Keep the cases of `index` (B,), in its order and as often: what beam search does to its beams."""
        self._stored = [stored[index] for stored in self._stored]


class MultiHeadAttention(nn.Module):
    """Several attentions side by side with learned projections (Vaswani et al. 2017, section 3.2.2).

    Queries, memory and output have width d_model, which n_heads divides; `dropout` is of attention weights in training.
    """

    def __init__(self, d_model: int, n_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(
                f"The 'd_model' parameter must be a multiple of n_heads. Got d_model={d_model}, n_heads={n_heads}."
            )
        self.d_model, self.n_heads, self.dropout = d_model, n_heads, dropout
        # One matrix holds the projections of query, key and value: one multiplication in self-attention.
        self.projection = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)

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

        `mask` is as in `attention`; the rotations come from `positions.rotary`. With a cache, self-attention also
        looks at the tokens of earlier calls, and cross-attention projects the memory in the first call only.
        """
        if memory is None:
            query, key, value = self._heads(self.projection(x), 3)
            key = rotate(key, key_rotation)
            if cache is not None:
                key, value = cache.append(key, value)
        else:
            (query,) = self._heads(self._project(x, slice(None, self.d_model)), 1)
            key, value = self.remember(memory, key_rotation, cache)
        query = rotate(query, query_rotation)
        if (records := _records_of(self)) is not None:
            records.append(attention_weights(query, key, mask))
        heads = attention(query, key, value, mask, dropout=self.dropout if self.training else 0.0)
        return self.output(heads.transpose(1, 2).flatten(2))

    def remember(
        self, memory: Tensor, rotation: Rotation | None = None, cache: KeyValueCache | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the keys and values of the memory, from the cache where it has them."""
        if cache is not None and cache.length:
            return cache.content()
        key, value = self._heads(self._project(memory, slice(self.d_model, None)), 2)
        key = rotate(key, rotation)
        return (key, value) if cache is None else cache.append(key, value)

    def _project(self, x: Tensor, rows: slice) -> Tensor:
        return F.linear(x, self.projection.weight[rows], self.projection.bias[rows])

    def _heads(self, projected: Tensor, n_parts: int) -> tuple[Tensor, ...]:
        """Split (B, N, n_parts D) into n_parts of (B, H, N, Dk)."""
        return projected.unflatten(-1, (n_parts, self.n_heads, -1)).permute(2, 0, 3, 1, 4).unbind()


class WindowedAttention(nn.Module):
    """Self-attention within windows of `to_windows` (Liu et al. 2021, Swin): cost is linear in the number of tokens."""

    def __init__(self, attention: MultiHeadAttention, width: int, shift: int = 0) -> None:
        super().__init__()
        self.attention, self.width, self.shift = attention, width, shift

    def forward(self, x: Tensor, *, mask: Tensor | None = None, **rotations: Rotation | None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D); mask is a `padding_mask`, the rotations are those of one window."""
        n_tokens = x.shape[1]
        token_mask = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask[:, 0, 0]
        inside = padding_mask(to_windows(token_mask, self.width, self.shift))
        windows = self.attention(to_windows(x, self.width, self.shift), mask=inside, **rotations)
        if (records := _records_of(self.attention)) is not None:
            records[-1] = self._between_all(records[-1], *x.shape[:2])
        return from_windows(windows, n_tokens, self.shift)

    def _between_all(self, weights: Tensor, n_cases: int, n_tokens: int) -> Tensor:
        """Weights within windows, (B W, H, width, width), as weights between all tokens, (B, H, N, N)."""
        blocks = weights.unflatten(0, (n_cases, -1)).permute(0, 2, 3, 4, 1)  # (B, H, width, width, W)
        whole = blocks.diag_embed().permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)
        inside = slice(self.shift, self.shift + n_tokens)
        return whole[:, :, inside, inside]


# What `record_attention` collects, by layer: of this thread alone, since others may predict with the same network.
_RECORDS: ContextVar[Mapping[nn.Module, list[Tensor]]] = ContextVar("records", default=MappingProxyType({}))


def _records_of(layer: nn.Module) -> list[Tensor] | None:
    """Where the weights of a layer are to be collected, if anywhere; torch cannot compile the question."""
    return None if torch.compiler.is_compiling() else _RECORDS.get().get(layer)


@contextmanager
def record_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the weights (B, H, Nq, Nk) of every MultiHeadAttention that this thread runs inside, in order of call."""
    records: list[Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    before = _RECORDS.set({**_RECORDS.get(), **dict.fromkeys(layers, records)})
    try:
        yield records
    finally:
        _RECORDS.reset(before)
