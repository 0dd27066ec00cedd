"""The forecasting network: a context in, its future out patch by patch, each patch seeing those before it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, initialise_weights
from tsformer.models.decoder import DecoderCache, TransformerDecoder
from tsformer.models.encoders import ENCODERS
from tsformer.models.heads import HEADS
from tsformer.models.seq2seq import Memory
from tsformer.models.simple_forecasts import NAMES
from tsformer.models.window_features import (
    LIMIT,
    N_AHEAD,
    N_METHODS,
    N_SERIES,
    N_STATISTICS,
    Scale,
    Seasons,
    describe,
)

PATCH_LENGTH = 12  # time points of a token, in encoder and decoder
MOST_PATCHES = 8  # that training decodes
LONGEST_LOOK = 1008  # time points back, where the context is chosen

# The mixture of simple forecasts that a new network begins with.
BEGINNING = {"lag_1": 0.2, "theta": 0.2, "theta_recent": 0.2, "theta_log": 0.2, "damped": 0.1, "damped_log": 0.1}


class Lengths(NamedTuple):
    """Time points of the season, of a longer one or 0, of the context, and decoded in training."""

    season: int
    long_season: int
    context: int
    training_horizon: int

    @property
    def seasons(self) -> Seasons:
        """The season, and the longer one or 0."""
        return self.season, self.long_season


def choose_lengths(horizon: int, context_length: int | str, seasons: Seasons, longest: int) -> Lengths:
    """Choose the context by season and the longest series: 21 seasons, at least 180 and about 504 time points."""
    season, long_season = seasons
    if isinstance(context_length, str):
        most = max(180, min(21 * season, 504), min(max(7 * season, long_season), LONGEST_LOOK), 2 * season)
        context_length = min(most, longest)
    context = in_whole_patches(context_length)
    long_season = long_season if long_season <= context else 0
    return Lengths(season, long_season, context, min(horizon, MOST_PATCHES * PATCH_LENGTH))


def in_whole_patches(n_timepoints: int) -> int:
    """Return how many time points the patches have that hold so many."""
    return math.ceil(n_timepoints / PATCH_LENGTH) * PATCH_LENGTH


class Window(NamedTuple):
    """What the decoder knows of windows before it begins."""

    memory: Memory
    scale: Scale
    described: Tensor  # (B, 1, D), from statistics
    last: Tensor  # (B, P, 2), the last patch: scaled values and which are known
    ahead: Tensor  # (B, M, P, N_AHEAD + n_future + 1): simple forecasts, phase, distance, covariates; the mean's weight
    growth: Tensor  # (B, 1), by which power of the distance bands go on widening beyond those of training


class SeriesForecaster(nn.Module):
    """An encoder-decoder over patches of one series, autoregressive by the patch, for any season and horizon.

    What it forecasts lies around a mixture of simple forecasts and covariates, which each token chooses. Windows are
    divided by their spread, and if `shifted`, which counts are not, brought to 0 before. Forecasts are drawn towards
    the mixture that a new network begins with, as if that were worth `shrinkage` observed values: short histories tell
    least.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: TransformerDecoder,
        head: Any,
        d_model: int,
        n_future: int,
        *,
        shifted: bool,
        shrinkage: float = 0.0,
    ) -> None:
        super().__init__()
        self.shrinkage = shrinkage
        self.encoder, self.decoder, self.head, self.shifted = encoder, decoder, head, shifted
        self.statistics = nn.Sequential(nn.Linear(N_STATISTICS, d_model), nn.GELU(), nn.Linear(d_model, d_model))
        self.embedding = nn.Linear(PATCH_LENGTH * (2 + N_AHEAD + n_future), d_model)
        self.mixture = nn.Linear(d_model, N_METHODS + n_future)
        self.beginning = nn.Buffer(torch.tensor([BEGINNING.get(name, 0.0) for name in NAMES]), persistent=False)
        self.settings: dict[str, Any] = {}  # of the function that can make a network of this shape again
        # Mix independent normal numbers to the scores of the first patch, which follows what is known, and of those
        # that follow draws; `training.correlation` sets them.
        self.mixing = nn.Buffer(torch.eye(PATCH_LENGTH).repeat(2, 1, 1))

    @property
    def limit(self) -> float:
        """Where targets and forecasts are cut, in units of a window's spread: rare counts lie many means away."""
        return 2.0 * LIMIT if self.shifted else math.inf

    def encode(self, x: Tensor, observed: Tensor, future: Tensor, seasons: Seasons) -> Window:
        """Read a context x (B, T, C), the series first, and the covariates known ahead, `future` (B, H, n_future)."""
        dtype = self.mixture.weight.dtype
        known, ahead = observed[..., 0], in_patches(future.to(dtype))
        horizon = ahead.shape[1] * PATCH_LENGTH  # in whole patches: how one begins must not depend on where it ends
        found = describe(x[..., 0], known, seasons, horizon, shifted=self.shifted)
        inputs = torch.cat([found.series.to(dtype), x[..., 1:].to(dtype)], dim=-1)
        input_mask = torch.cat([known.unsqueeze(-1).expand_as(found.series), observed[..., 1:]], dim=-1)
        described = self.statistics(found.statistics.to(dtype)).unsqueeze(1)
        tokens, token_mask = self.encoder(inputs, input_mask)
        n_tokens, n_timepoints = tokens.shape[1], x.shape[1]
        # Where a token's middle lies, counted in patches of the decoder, the first forecast patch being at 0.
        middles = (torch.arange(n_tokens, device=x.device) + 0.5) * (n_timepoints / n_tokens)
        positions = (middles - n_timepoints) / PATCH_LENGTH - 0.5
        memory = Memory(tokens + described, padding_mask(token_mask), positions)
        last = torch.stack([inputs[..., 0], known.to(dtype)], dim=-1)[:, -PATCH_LENGTH:]
        last = pad(last, (0, 0, PATCH_LENGTH - last.shape[1], 0))
        weight = self.shrinkage / (self.shrinkage + known.sum(dim=1).clamp(min=1).to(dtype))
        weight = weight.view(-1, 1, 1, 1).expand(*ahead.shape[:3], 1)
        ahead = torch.cat([in_patches(found.ahead.to(dtype)), ahead, weight], dim=-1)
        return Window(memory, found.scale, described, last, ahead, found.growth.to(dtype))

    def forward(self, window: Window, before: Tensor, cache: DecoderCache | None = None) -> Tensor:
        """Return outputs (B, M, P, K) of patches, given those before each, (B, M, P, 2): values and which are known.

        Without a cache all M are decoded in parallel: teacher forcing. With one, they follow those of earlier calls.
        """
        begin = cache.length if cache is not None else 0
        ahead = window.ahead[:, begin : begin + before.shape[1]]
        return self.decode(before, ahead, window.described, window.memory, cache)

    def decode(
        self, before: Tensor, ahead: Tensor, described: Tensor, memory: Memory, cache: DecoderCache | None
    ) -> Tensor:
        """Return outputs (B, M, P, K) of patches, given those before them and what is known ahead of them."""
        tokens = self.embedding(torch.cat([before, ahead[..., :-1]], dim=-1).flatten(2)) + described
        of_memory: Any = {"memory_mask": memory.mask, "memory_positions": memory.positions}
        tokens = self.decoder(tokens, memory.tokens, **of_memory, cache=cache)
        methods, covariates = ahead[..., :N_METHODS], ahead[..., N_AHEAD:-1]
        centre = (torch.cat([methods, covariates], dim=-1) * self.mixture(tokens).unsqueeze(2)).sum(dim=-1)
        outputs = self.head(tokens, centre)
        if not self.shrinkage:
            return outputs
        mean = (methods * self.beginning.to(methods.dtype)).sum(dim=-1)
        point = self.head.point(outputs, outputs.new_ones(1, 1, 1))
        return self.head(tokens, centre + ahead[..., -1] * (mean - point))

    def roll_out(
        self, window: Window, *, drawn_by: torch.Generator | None = None, cached: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Forecast step by step, each patch from the network's own forecasts of those before it, or from draws.

        A generator draws; a draw counts as known, a forecast does not. Returns what the head knows of each value,
        (B, M, P, K), and the scaled values, (B, M, P). Not `cached`, each step recomputes all before.
        """
        cache = self.decoder.new_cache() if cached else None
        spread = window.scale.spread.unsqueeze(-1).to(window.last.dtype)
        outputs: list[Tensor] = []
        values: list[Tensor] = []
        before = [window.last]
        for _ in range(window.ahead.shape[1]):
            given = before[-1].unsqueeze(1) if cached else torch.stack(before, dim=1)
            output = self(window, given, cache)[:, -1:]
            mixing = self.mixing[min(len(values), 1)]
            value = self._draw(output, spread, mixing, drawn_by) if drawn_by else self.head.point(output, spread)
            outputs.append(output)
            values.append(value.clamp(-self.limit, self.limit))
            before.append(self.as_input(value, known=drawn_by is not None)[:, 0])
        return torch.cat(outputs, dim=1), torch.cat(values, dim=1)

    def bands(self, window: Window, outputs: Tensor, levels: Tensor) -> Tensor:
        """Return quantiles (B, M, P, Q) of the outputs of a roll-out.

        Beyond the patches that training decodes, bands of random walks would stay as wide as the last of these. They
        go on growing by the power of the distance by which changes in the window do, around the medians.
        """
        spread = window.scale.spread.unsqueeze(-1).to(outputs.dtype)
        bands = self.head.quantiles(outputs, levels, spread)
        n_patches = outputs.shape[1]
        if n_patches <= MOST_PATCHES:
            return bands
        low, middle, high = self.head.quantiles(outputs, levels.new_tensor([0.1, 0.5, 0.9]), spread).split(1, dim=-1)
        width, growth = high - low, window.growth.view(-1, 1, 1, 1)
        ahead = torch.arange(1, n_patches * PATCH_LENGTH + 1, device=outputs.device).view(1, n_patches, -1, 1)
        last = width[:, MOST_PATCHES // 2 : MOST_PATCHES].mean(dim=(1, 2), keepdim=True)  # the second half of training
        growing = (ahead / (0.75 * MOST_PATCHES * PATCH_LENGTH)) ** growth
        wanted = last * growing
        factor = (wanted / width.clamp(min=1e-6)).clamp(max=growing).clamp(min=1.0)  # a count's band may have no width
        wider = middle + factor * (bands - middle)
        widens = (ahead > MOST_PATCHES * PATCH_LENGTH) & (growth > 0)
        return torch.where(widens, wider if self.shifted else wider.clamp(min=0.0), bands)  # counts are not negative

    def as_input(self, values: Tensor, *, known: bool) -> Tensor:
        """Return scaled values (...) as the decoder reads them, (..., 2)."""
        values = values.clamp(-LIMIT, LIMIT)
        return torch.stack([values, torch.full_like(values, float(known))], dim=-1)

    def _draw(self, output: Tensor, spread: Tensor, mixing: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the values (B, M, P) of patches, correlated within each."""
        like: Any = {"dtype": mixing.dtype, "device": output.device}
        scores = torch.randn(*output.shape[:3], generator=generator, **like) @ mixing.T
        return self.head.quantiles(output, torch.special.ndtr(scores).unsqueeze(-1), spread).squeeze(-1)


def in_patches(horizon_values: Tensor) -> Tensor:
    """Cut (B, H) or (B, H, C) into patches (B, M, P) or (B, M, P, C), padded with zeros at the end."""
    missing = -horizon_values.shape[1] % PATCH_LENGTH
    padding = (0, missing) if horizon_values.dim() == 2 else (0, 0, 0, missing)
    return pad(horizon_values, padding).unflatten(1, (-1, PATCH_LENGTH))


def build_forecaster(
    encoder: str | Callable[..., nn.Module],
    head: str,
    context: int,
    *,
    n_past: int,
    n_future: int,
    shrinkage: float = 0.0,
    **width: Any,
) -> SeriesForecaster:
    """Make a network of new weights; `encoder` is a name in ENCODERS or a callable, `head` a name in HEADS.

    `width` is d_model, n_heads, n_layers, d_ff and dropout, of encoder and decoder.
    """
    build: Any = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    own = {"patch_length": PATCH_LENGTH} if encoder == "patch" else {}
    d_model = width["d_model"]
    encoder_module = build(N_SERIES + n_past + n_future, context, **own, **width)
    decoder, head_module = TransformerDecoder(**width, **PRE_NORM), HEADS[head](d_model, PATCH_LENGTH)
    shifted = head != "negative_binomial"
    how: dict[str, Any] = {"shifted": shifted, "shrinkage": shrinkage}
    model = SeriesForecaster(encoder_module, decoder, head_module, d_model, n_future, **how)
    initialise_weights(model)
    begin_with_simple_forecasts(model)
    shape = {"encoder": encoder, "head": head, "context": context, "n_past": n_past, "n_future": n_future}
    model.settings = shape | {"shrinkage": shrinkage} | width
    return model


@torch.no_grad()
def begin_with_simple_forecasts(model: SeriesForecaster) -> None:
    """Set weights so that a new network forecasts a fixed mixture of the simple forecasts, with bands around it."""
    nn.init.zeros_(model.mixture.weight)
    model.mixture.bias[:N_METHODS] = model.beginning
    model.head.begin()


def with_covariates(model: SeriesForecaster, n_past: int, n_future: int) -> SeriesForecaster:
    """Return a network of the same weights that reads covariates too, which at first change nothing.

    Its encoder is "patch", and it has none so far.
    """
    wider = build_forecaster(**model.settings | {"n_past": n_past, "n_future": n_future})
    weights, wanted = model.state_dict(), wider.state_dict()
    # Both read patches of channels, of which the new ones come last; the encoder's, values and then their mask.
    for name, n_parts in (("embedding.weight", 1), ("encoder.embedding.linear.weight", 2)):
        known, widened = (each[name].unflatten(1, (PATCH_LENGTH, n_parts, -1)) for each in (weights, wanted))
        widened = torch.zeros_like(widened)
        widened[..., : known.shape[-1]] = known
        weights[name] = widened.flatten(1)
    for name in ("mixture.weight", "mixture.bias"):
        widened = torch.zeros_like(wanted[name])
        widened[:N_METHODS] = weights[name]
        weights[name] = widened
    wider.load_state_dict(weights)
    return wider
