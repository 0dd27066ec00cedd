"""The forecasting network: a context in, its future out patch by patch, each patch seeing those before it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, initialise_weights
from tsformer.layers.scaling import masked_location_spread
from tsformer.models.decoder import TransformerDecoder
from tsformer.models.encoders import ENCODERS
from tsformer.models.heads import HEADS
from tsformer.models.seq2seq import EncoderDecoder, Memory

LIMIT = 10.0  # in units of a window's spread: what the network sees is cut there, and what it learns by `limit`


class Lengths(NamedTuple):
    """Time points of the season, of the context, of a patch of the encoder and the decoder, and decoded in training."""

    season: int
    context: int
    encoder_patch: int
    decoder_patch: int
    training_horizon: int


def choose_lengths(horizon: int, context_length: int | str, season: int, longest: int) -> Lengths:
    """Choose patches and context by horizon, season and the longest series.

    A horizon of up to a season, or 24 time points, is one patch of the decoder; a longer one at most 8, of whole
    seasons, of which training decodes 2. The encoder reads twice these, at least 6 seasons, as some 8 patches.
    """
    at_once = max(season, 24)
    decoder_patch = horizon if horizon <= at_once else math.ceil(max(at_once, horizon / 8) / season) * season
    training_horizon = min(horizon, 2 * decoder_patch)
    if isinstance(context_length, str):
        context_length = min(max(2 * training_horizon, 6 * season, 8), longest)
    encoder_patch = _align_to_season(math.ceil(context_length / 8), season)
    context = math.ceil(context_length / encoder_patch) * encoder_patch
    return Lengths(season, context, encoder_patch, decoder_patch, training_horizon)


def _align_to_season(length: int, season: int) -> int:
    """Round up to a divisor or a multiple of the season, so that all patches begin at the same phases."""
    if length > season:
        return math.ceil(length / season) * season
    return next(divisor for divisor in range(length, season + 1) if season % divisor == 0)


class Scale(NamedTuple):
    """Where a window lies, and the size of one unit of it: two Tensors (B, 1)."""

    location: Tensor
    spread: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Return values (B, T) in units of the window."""
        return (values - self.location) / self.spread

    def undo(self, scaled: Tensor) -> Tensor:
        """Return scaled values (B, T, ...) in the units of the data."""
        location, spread = (part.view(-1, *[1] * (scaled.dim() - 1)) for part in self)
        return scaled * spread + location


class PatchInput(nn.Module):
    """A patch of values, its missing flags, and what is known ahead of the next patch, to a token."""

    def __init__(self, patch_length: int, n_future: int, d_model: int) -> None:
        super().__init__()
        self.linear = nn.Linear(patch_length * (2 + n_future), d_model)

    def forward(self, patches: Tensor, start: int = 0) -> Tensor:
        """Map patches (B, M, P, 2 + n_future) to tokens (B, M, D)."""
        return self.linear(patches.flatten(2))


class SeriesForecaster(nn.Module):
    """An encoder-decoder over patches of one series, autoregressive by the patch.

    The embedding of `network` is a PatchInput, its head one of `tsformer.models.heads`. Windows are divided by their
    spread, and if `shifted`, which counts are not, brought to 0 before by `masked_location_spread`.
    """

    def __init__(self, network: EncoderDecoder, patch_length: int, season: int, *, shifted: bool) -> None:
        super().__init__()
        self.network = network
        self.patch_length, self.season, self.shifted = patch_length, season, shifted
        self.settings: dict[str, Any] = {}  # of the function that can make a network of this shape again
        # Mixes independent normal numbers to the scores of a patch; `training.correlation` sets it.
        self.mixing = nn.Buffer(torch.eye(patch_length))

    @property
    def limit(self) -> float:
        """Where targets and forecasts are cut, in units of a window's spread: rare counts lie many means away."""
        return LIMIT if self.shifted else math.inf

    def encode(self, x: Tensor, observed: Tensor) -> tuple[Memory, Scale, Tensor]:
        """Read a context x (B, T, C), whose first channel is the series: its memory, its scale and its last patch.

        The last patch (B, P, 2), scaled values and which are observed, is the first input of the decoder.
        """
        scale = Scale(*masked_location_spread(x[..., 0], observed[..., 0], self.season, shifted=self.shifted))
        dtype = next(self.parameters()).dtype
        series = torch.where(observed[..., 0], scale.apply(x[..., 0]).clamp(-LIMIT, LIMIT), 0.0)
        inputs = torch.cat([series.unsqueeze(-1), x[..., 1:]], dim=-1).to(dtype)
        tokens, token_mask = self.network.encoder(inputs, observed)
        n_tokens, n_timepoints = tokens.shape[1], x.shape[1]
        # Where a token's middle lies, counted in patches of the decoder, the first forecast patch being at 0.
        middles = (torch.arange(n_tokens, device=x.device) + 0.5) * (n_timepoints / n_tokens)
        positions = (middles - n_timepoints) / self.patch_length - 0.5
        last = torch.stack([inputs[..., 0], observed[..., 0].to(dtype)], dim=-1)[:, -self.patch_length :]
        last = nn.functional.pad(last, (0, 0, self.patch_length - last.shape[1], 0))
        return Memory(tokens, padding_mask(token_mask), positions), scale, last

    def forward(self, memory: Memory, inputs: Tensor) -> Tensor:
        """Teacher forcing: outputs (B, M, P, K) from the patches before each, inputs (B, M, P, 2 + n_future)."""
        return self.network.decode(inputs, memory)

    def roll_out(
        self, memory: Memory, scale: Scale, last: Tensor, future: Tensor, *, sample: bool = False, cached: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Forecast step by step, each patch from the network's own forecasts, or draws (`sample`), of those before it.

        `future` (B, M, P, n_future) are the covariates known ahead. Returns what the head knows of each value,
        (B, M, P, K), and the scaled values, (B, M, P). Not `cached`, each step recomputes all before.
        """
        cache = self.network.decoder.new_cache() if cached else None
        spread = scale.spread.unsqueeze(-1).to(last.dtype)
        head: Any = self.network.head
        outputs, values, inputs, patch = [], [], [], last
        for step in range(future.shape[1]):
            inputs.append(torch.cat([patch, future[:, step].to(patch.dtype)], dim=-1))
            given = inputs[-1].unsqueeze(1) if cached else torch.stack(inputs, dim=1)
            output = self.network.decode(given, memory, cache)[:, -1:]
            value = self._draw(output, spread) if sample else head.point(output, spread)
            outputs.append(output)
            values.append(value.clamp(-self.limit, self.limit))
            patch = torch.stack([value[:, 0].clamp(-LIMIT, LIMIT), torch.ones_like(value[:, 0])], dim=-1)
        return torch.cat(outputs, dim=1), torch.cat(values, dim=1)

    def _draw(self, output: Tensor, spread: Tensor) -> Tensor:
        """Draw the values (B, M, P) of patches, correlated within each."""
        head: Any = self.network.head
        scores = torch.randn(*output.shape[:3], dtype=self.mixing.dtype, device=output.device) @ self.mixing.T
        return head.quantiles(output, torch.special.ndtr(scores).unsqueeze(-1), spread).squeeze(-1)

    def patches(self, horizon_values: Tensor) -> Tensor:
        """Cut (B, H) or (B, H, C) into patches (B, M, P) or (B, M, P, C), padded with zeros at the end."""
        missing = -horizon_values.shape[1] % self.patch_length
        padding = (0, missing) if horizon_values.dim() == 2 else (0, 0, 0, missing)
        return nn.functional.pad(horizon_values, padding).unflatten(1, (-1, self.patch_length))


def build_forecaster(
    encoder: str | Callable[..., nn.Module], head: str, lengths: Lengths, *, n_past: int, n_future: int, **width: Any
) -> SeriesForecaster:
    """Make a network of new weights; `encoder` is a name in ENCODERS or a callable, `head` a name in HEADS.

    `width` is d_model, n_heads, n_layers, d_ff and dropout, of encoder and decoder.
    """
    build: Any = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    own = {"patch_length": lengths.encoder_patch} if encoder == "patch" else {}
    d_model, patch_length = width["d_model"], lengths.decoder_patch
    encoder_module = build(1 + n_past + n_future, lengths.context, **own, **width)
    head_module = HEADS[head](d_model, patch_length)
    decoder = TransformerDecoder(**width, **PRE_NORM)
    network = EncoderDecoder(encoder_module, PatchInput(patch_length, n_future, d_model), decoder, head_module)
    model = SeriesForecaster(network, patch_length, lengths.season, shifted=head != "negative_binomial")
    initialise_weights(model)
    shape = {"encoder": encoder, "head": head, "lengths": lengths, "n_past": n_past, "n_future": n_future}
    model.settings = shape | width
    return model
