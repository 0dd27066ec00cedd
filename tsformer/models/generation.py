"""Generation of tokens step by step with a cached decoder: greedy, sampling and beam search."""

import torch
from torch import Tensor

from tsformer.models.seq2seq import EncoderDecoder


@torch.inference_mode()
def generate(
    model: EncoderDecoder,
    source: Tensor,
    observed: Tensor,
    *,
    start: int,
    stop: int,
    max_length: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    cached: bool = True,
) -> Tensor:
    """Generate one sequence for each case, token by token.

    Parameters
    ----------
    model : EncoderDecoder
        Its outputs are logits (B, M, K).
    source, observed : Tensor
        What the encoder reads.
    start, stop : int
        Token that precedes the first one; token that ends a sequence.
    max_length : int
        Most tokens to generate.
    temperature : float, default=0.0
        0 takes the most probable token; otherwise tokens are drawn from softmax(logits / temperature).
    top_k : int, optional
        Draw from the k most probable tokens only.
    top_p : float, optional
        Draw from the fewest tokens that hold this probability together (Holtzman et al. 2020).
    generator : torch.Generator, optional
        For the draws.
    cached : bool, default=True
        Use the key/value cache; without it each step recomputes the whole prefix, with the same result.

    Returns
    -------
    int64 Tensor of shape (B, at most max_length)
        Without the start token; `stop` from the end of each sequence on.
    """
    memory = model.encode(source, observed)
    cache = model.decoder.new_cache() if cached else None
    tokens = torch.full((len(source), 1), start, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    for _ in range(max_length):
        logits = model.decode(tokens[:, -1:] if cached else tokens, memory, cache)[:, -1]
        chosen = _choose(logits, temperature, top_k, top_p, generator)
        tokens = torch.cat([tokens, torch.where(ended, stop, chosen).unsqueeze(1)], dim=1)
        ended |= chosen == stop
        if ended.all():
            break
    return tokens[:, 1:]


def _choose(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator | None
) -> Tensor:
    """Choose one token (B,) from logits (B, K)."""
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    probability, token = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    if top_k is not None:
        probability[:, top_k:] = 0.0
    if top_p is not None:
        before = probability.cumsum(dim=-1) - probability
        probability[before >= top_p] = 0.0
    drawn = torch.multinomial(probability, 1, generator=generator)
    return token.gather(1, drawn).squeeze(1)


@torch.inference_mode()
def beam_search(
    model: EncoderDecoder,
    source: Tensor,
    observed: Tensor,
    *,
    start: int,
    stop: int,
    max_length: int,
    n_beams: int = 4,
    length_penalty: float = 0.6,
) -> Tensor:
    """Generate the sequence of highest probability that a search over `n_beams` prefixes a case finds.

    Parameters
    ----------
    model, source, observed, start, stop, max_length
        As in `generate`.
    n_beams : int, default=4
        Prefixes kept for each case.
    length_penalty : float, default=0.6
        Log probabilities are divided by ((5 + length) / 6) ** length_penalty (Wu et al. 2016).

    Returns
    -------
    int64 Tensor of shape (B, at most max_length)
        Without the start token; `stop` from the end of each sequence on.
    """
    n_cases, device = len(source), source.device
    beams = torch.arange(n_cases, device=device).repeat_interleave(n_beams)
    memory = model.encode(source, observed).select(beams)
    cache = model.decoder.new_cache()
    tokens = torch.full((n_cases * n_beams, 1), start, device=device)
    ended = torch.zeros(n_cases, n_beams, dtype=torch.bool, device=device)
    # All beams of a case start alike: only the first may speak.
    score = torch.full((n_cases, n_beams), -torch.inf, device=device)
    score[:, 0] = 0.0

    for _ in range(max_length):
        logits = model.decode(tokens[:, -1:], memory, cache)[:, -1]
        step = logits.log_softmax(dim=-1).unflatten(0, (n_cases, n_beams))
        n_tokens = step.shape[-1]
        # An ended beam goes on by `stop` alone, for free.
        step = step.masked_fill(ended.unsqueeze(-1), -torch.inf)
        step[..., stop] = step[..., stop].masked_fill(ended, 0.0)
        score, best = (score.unsqueeze(-1) + step).flatten(1).topk(n_beams, dim=1)
        parent, token = best // n_tokens, best % n_tokens
        rows = (torch.arange(n_cases, device=device).unsqueeze(1) * n_beams + parent).flatten()
        tokens = torch.cat([tokens[rows], token.reshape(-1, 1)], dim=1)
        cache.select(rows)
        ended = ended.gather(1, parent) | (token == stop)
        if ended.all():
            break

    sequences = tokens[:, 1:].unflatten(0, (n_cases, n_beams))
    length = (sequences != stop).sum(dim=-1) + 1
    winner = (score / ((5 + length) / 6) ** length_penalty).argmax(dim=1)
    return sequences[torch.arange(n_cases, device=device), winner]
