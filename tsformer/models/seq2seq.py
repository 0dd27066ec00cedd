"""The encoder-decoder Transformer: a source and the targets so far in, what comes next out."""

from typing import NamedTuple

from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import EncoderStack, initialise_weights
from tsformer.layers.embeddings import TokenEmbedding
from tsformer.layers.positions import SinusoidalPositions
from tsformer.models.decoder import DecoderCache, TransformerDecoder


class Memory(NamedTuple):
    """What the encoder read: tokens (B, N, D), their mask (B, 1, 1, N) or None, rotary positions (N,) or None."""

    tokens: Tensor
    mask: Tensor | None
    positions: Tensor | None = None

    def select(self, index: Tensor) -> "Memory":
        """Keep the cases of `index`, in its order and as often."""
        return Memory(self.tokens[index], None if self.mask is None else self.mask[index], self.positions)


class EncoderDecoder(nn.Module):
    """Any encoder that keeps the contract of `tsformer.models.encoders`, joined with a decoder.

    The embedding maps (targets, how many came before) to tokens (B, M, D), the head these to outputs (B, M, ...).
    """

    def __init__(self, encoder: nn.Module, embedding: nn.Module, decoder: TransformerDecoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.embedding, self.decoder, self.head = encoder, embedding, decoder, head

    def forward(self, source: Tensor, observed: Tensor, targets: Tensor) -> Tensor:
        """Teacher forcing: outputs for all steps in parallel, each from the true targets before it."""
        return self.decode(targets, self.encode(source, observed))

    def encode(self, source: Tensor, observed: Tensor) -> Memory:
        """Read the source once."""
        tokens, token_mask = self.encoder(source, observed)
        return Memory(tokens, padding_mask(token_mask))

    def decode(self, targets: Tensor, memory: Memory, cache: DecoderCache | None = None) -> Tensor:
        """Return outputs (B, M, ...); with a cache, `targets` are those that follow the ones of earlier calls."""
        tokens = self.embedding(targets, cache.length if cache is not None else 0)
        of_memory = {"memory_mask": memory.mask, "memory_positions": memory.positions}
        return self.head(self.decoder(tokens, memory.tokens, **of_memory, cache=cache))


class TokenInput(nn.Module):
    """Token numbers (B, M) to tokens (B, M, D): embedding times sqrt(d_model), plus sinusoidal positions, dropout."""

    def __init__(self, n_tokens: int, d_model: int, dropout: float) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(n_tokens, d_model)
        self.positions = SinusoidalPositions()
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Return (B, M, D); the first token stands at position `start`."""
        return self.dropout(self.positions(self.embedding(tokens), start))


class TokenEncoder(nn.Module):
    """The 2017 encoder of token numbers, given as a series (B, N, 1) of whole numbers and its mask."""

    def __init__(self, embedding: TokenInput, stack: EncoderStack) -> None:
        super().__init__()
        self.embedding, self.stack = embedding, stack

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) and their mask (B, N)."""
        token_mask = observed.squeeze(-1)
        return self.stack(self.embedding(x.squeeze(-1)), padding_mask(token_mask)), token_mask


def token_transformer(
    n_tokens: int,
    *,
    d_model: int = 512,
    n_heads: int = 8,
    n_layers: int = 6,
    d_ff: int = 2048,
    dropout: float = 0.1,
    tied: bool = True,
) -> EncoderDecoder:
    """Build the Transformer of Vaswani et al. (2017), "Attention is all you need"; by default its base model.

    `n_tokens` counts start and stop too. Tied: both embeddings and the output layer share one matrix (section 3.4).
    """
    source, target = (TokenInput(n_tokens, d_model, dropout) for _ in range(2))
    head = nn.Linear(d_model, n_tokens, bias=not tied)
    encoder = TokenEncoder(source, EncoderStack(d_model, n_heads, n_layers, d_ff, dropout=dropout))
    decoder = TransformerDecoder(d_model, n_heads, n_layers, d_ff, dropout=dropout)
    model = EncoderDecoder(encoder, target, decoder, head)
    initialise_weights(model)
    if tied:
        target.embedding.weight = head.weight = source.embedding.weight
    return model
