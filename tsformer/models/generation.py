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
    """Generate one sequence for each case, token by token: (B, at most max_length) without the start token.

    Parameters
    ----------
    model : EncoderDecoder
    source, observed : Tensor
        What its encoder takes.
    start, stop : int
        The token before the first, and the one that ends a sequence and fills up what is shorter than others.
    max_length : int
    temperature : float, default=0.0
        0 takes the most probable token; otherwise tokens are drawn from softmax(logits / temperature).
    top_k, top_p : int, float, optional
        Draw from the top_k most probable; from the fewest of probability top_p together (Holtzman et al. 2020).
    generator : torch.Generator, optional
    cached : bool, default=True
        False recomputes the whole prefix at each step, with the same result.
    """
    memory = model.encode(source, observed)
    cache = model.decoder.new_cache() if cached else None
    tokens = torch.full((len(source), 1), start, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    for step in range(max_length):
        logits = model.decode(tokens[:, -1:] if cached else tokens, memory, cache)[:, -1]
        chosen = _choose(logits, temperature, top_k, top_p, generator)
        tokens = torch.cat([tokens, torch.where(ended, stop, chosen).unsqueeze(1)], dim=1)
        ended |= chosen == stop
        if _all_ended(ended, step):
            break
    return tokens[:, 1:]


def _all_ended(ended: Tensor, step: int) -> bool:
    """Whether no sequence goes on; a GPU is asked at every 16th step alone, as it must finish its work to answer."""
    return (ended.is_cpu or step % 16 == 15) and bool(ended.all())


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
        probability[probability.cumsum(dim=-1) - probability >= top_p] = 0.0
    return token.gather(1, torch.multinomial(probability, 1, generator=generator)).squeeze(1)


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
    """Generate, as `generate` does, the most probable sequence that a search over `n_beams` prefixes a case finds.

    Log probabilities are divided by ((5 + length) / 6) ** length_penalty (Wu et al. 2016).
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

    for step in range(max_length):
        logits = model.decode(tokens[:, -1:], memory, cache)[:, -1]
        gain = logits.log_softmax(dim=-1).unflatten(0, (n_cases, n_beams))
        # An ended beam goes on by `stop` alone, for free.
        gain = gain.masked_fill(ended.unsqueeze(-1), -torch.inf)
        gain[..., stop] = gain[..., stop].masked_fill(ended, 0.0)
        score, best = (score.unsqueeze(-1) + gain).flatten(1).topk(n_beams, dim=1)
        parent, token = best // gain.shape[-1], best % gain.shape[-1]
        rows = (torch.arange(n_cases, device=device).unsqueeze(1) * n_beams + parent).flatten()
        tokens = torch.cat([tokens[rows], token.reshape(-1, 1)], dim=1)
        cache.select(rows)
        ended = ended.gather(1, parent) | (token == stop)
        if _all_ended(ended, step):
            break

    sequences = tokens[:, 1:].unflatten(0, (n_cases, n_beams))
    length = (sequences != stop).sum(dim=-1) + 1
    winner = (score / ((5 + length) / 6) ** length_penalty).argmax(dim=1)
    return sequences[torch.arange(n_cases, device=device), winner]
