"""What predictions looked at: fitted networks and their inputs in, shares of attention for each time point out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.estimators._fitting import ready_to_predict
from tsformer.layers.attention import record_attention
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.forecaster import SeriesForecaster

Read = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # the contract of tsformer.models.encoders


@torch.inference_mode()
def attention_over_time(model: SeriesClassifier, data: Batch, device: torch.device) -> Tensor:
    """Return the attention that each time point of each case receives, (B, T); it sums to 1 over the observed ones.

    It is the mean over layers, heads and the observed tokens that look. Layers over other tokens than those that the
    encoder returns are left out: over channels, or of stages whose tokens are merged later.
    """
    x, observed = (part.to(device) for part in (data.x, data.observed))
    ready_to_predict(model, device)
    encoder: nn.Module = getattr(model.encoder, "step_tower", model.encoder)  # of two towers, that over time
    with record_attention(encoder) as layers:
        _, seen = model.tokens(x, observed)
    layers = [weights for weights in layers if weights.shape[-1] == seen.shape[1]]
    if not layers:
        raise ValueError("No layer of the encoder attends to its tokens, so there is no attention to draw.")
    looking = seen.to(layers[0].dtype)
    looking = looking / looking.sum(dim=1, keepdim=True)
    received = torch.stack([weights.mean(dim=1) for weights in layers]).mean(dim=0)  # (B, N, N)
    received = (looking.unsqueeze(1) @ received).squeeze(1)
    return over_time_points(received, observed.any(dim=-1), token_span(model.tokens, x)).double().cpu()


@torch.inference_mode()
def attention_of_forecast(model: SeriesForecaster, data: Batch, device: torch.device) -> Tensor:
    """Return the attention that each patch of a forecast pays to each time point of its context, (B, M, T).

    It is the mean over layers and heads of the cross-attention, and sums to 1 over the observed time points. M is the
    number of patches in the horizon of `data`.
    """
    data = data.to(device)
    assert data.future is not None  # for the type checker: windows always have it
    ready_to_predict(model, device)
    memory, scale, last = model.encode(data.x, data.observed)
    future = model.patches(data.future)
    blocks: Any = model.network.decoder.blocks
    cross = nn.ModuleList(block.cross_attention for block in blocks)
    with record_attention(cross) as steps:
        model.roll_out(memory, scale, last, future)
    if not steps:
        raise ValueError("A forecaster with n_layers=0 has no cross-attention to draw.")
    weights = torch.cat(steps, dim=2).mean(dim=1)  # (B, M * layers, N), layer after layer in each step
    weights = weights.unflatten(1, (future.shape[1], -1)).mean(dim=2)
    span = token_span(model.network.encoder, data.x.to(last.dtype))
    spread = [over_time_points(step, data.observed.any(dim=-1), span) for step in weights.unbind(dim=1)]
    return torch.stack(spread, dim=1).double().cpu()


def over_time_points(received: Tensor, observed: Tensor, span: int) -> Tensor:
    """Share what tokens receive (B, N) equally among the observed time points (B, T) that each stands for."""
    token = torch.arange(observed.shape[1], device=observed.device) // span
    count = torch.zeros_like(received).index_add_(1, token, observed.to(received.dtype))
    return torch.where(observed, (received / count.clamp(min=1))[:, token], 0.0)


def token_span(read: Read, x: Tensor) -> int:
    """Time points that a token of series like x (B, T, C) stands for.

    The mask tells it of any encoder: a second token is observed as soon as a series is longer than one span.
    """
    n_timepoints = x.shape[1]
    shortest, longest = 1, n_timepoints
    while shortest < longest:
        middle = (shortest + longest) // 2
        first = torch.arange(n_timepoints, device=x.device) <= middle
        _, seen = read(torch.zeros_like(x[:1]), first[None, :, None].expand_as(x[:1]))
        shortest, longest = (shortest, middle) if seen.sum() > 1 else (middle + 1, longest)
    return shortest


def chance_lost(log_probability: Callable[[Batch], Tensor], data: Batch) -> Tensor:
    """Return how much the probability of each case's predicted class falls when a channel is hidden, (B, C)."""
    n_cases, _, n_channels = data.x.shape
    case = torch.arange(n_cases).repeat_interleave(n_channels)
    hidden = torch.eye(n_channels, dtype=torch.bool).repeat(n_cases, 1)
    probability = log_probability(data).exp()
    best = probability.argmax(dim=1)
    without = log_probability(Batch(data.x[case], data.observed[case] & ~hidden.unsqueeze(1))).exp()
    return (probability[case] - without).gather(1, best[case].unsqueeze(1)).view(n_cases, n_channels)
