"""The forecasting network: a context in, its future out patch by patch, each patch seeing those before it."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM
from tsformer.layers.scaling import masked_location_spread
from tsformer.models.decoder import TransformerDecoder
from tsformer.models.seq2seq import EncoderDecoder, Memory

LIMIT = 10.0  # in units of a window's spread: what the network sees is cut there, and what it learns by `limit`


class Scale(NamedTuple):
    """Where a window lies, and the size of one unit of it: two Tensors (B, 1)."""

    location: Tensor
    spread: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Return values (B, T) in units of the window."""
        return (values - self.location) / self.spread

    def undo(self, scaled: Tensor) -> Tensor:
        """Return scaled values (B, T) or (B, T, ...) in the units of the data."""
        extra = scaled.dim() - 2
        location, spread = (part.view(-1, *[1] * (extra + 1)) for part in self)
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

    Parameters
    ----------
    network : EncoderDecoder
        Its embedding is a PatchInput, its head fulfils the contract of `tsformer.models.heads`.
    patch_length : int
        Time points that one step of the decoder forecasts.
    season : int
        Time points whose mean is the location of a window.
    shifted : bool
        Whether windows are shifted by their location as well as divided by their spread; counts are not.
    """

    def __init__(self, network: EncoderDecoder, patch_length: int, season: int, *, shifted: bool) -> None:
        super().__init__()
        self.network = network
        self.patch_length = patch_length
        self.season = season
        self.shifted = shifted
        self.settings: dict[str, Any] = {}  # of the function that can make a network of this shape again
        # Mixes independent normal numbers to the scores of a patch; `training.correlation` sets it.
        self.register_buffer("mixing", torch.eye(patch_length))
        self.mixing: Tensor

    @property
    def limit(self) -> float:
        """Where targets and forecasts are cut, in units of a window's spread: rare counts lie many means away."""
        return LIMIT if self.shifted else math.inf

    def encode(self, x: Tensor, observed: Tensor) -> tuple[Memory, Scale, Tensor]:
        """Read a context x (B, T, C), whose first channel is the series.

        Returns
        -------
        memory : Memory
        scale : Scale
        last : Tensor of shape (B, P, 2)
            Scaled values and missing flags of the last patch: the first input of the decoder.
        """
        location, spread = masked_location_spread(x[..., 0], observed[..., 0], self.season, shifted=self.shifted)
        scale = Scale(location, spread)
        dtype = next(self.parameters()).dtype
        series = torch.where(observed[..., 0], scale.apply(x[..., 0]).clamp(-LIMIT, LIMIT), 0.0)
        inputs = torch.cat([series.unsqueeze(-1), x[..., 1:]], dim=-1).to(dtype)
        tokens, seen = self.network.encoder(inputs, observed)
        n_tokens, n_timepoints = tokens.shape[1], x.shape[1]
        # Where a token's middle lies, counted in patches of the decoder, the first forecast patch being at 0.
        middles = (torch.arange(n_tokens, device=x.device) + 0.5) * (n_timepoints / n_tokens)
        positions = (middles - n_timepoints) / self.patch_length - 0.5
        last = torch.stack([inputs[..., 0], observed[..., 0].to(dtype)], dim=-1)[:, -self.patch_length :]
        missing = self.patch_length - last.shape[1]
        last = nn.functional.pad(last, (0, 0, missing, 0))
        return Memory(tokens, padding_mask(seen), positions), scale, last

    def forward(self, memory: Memory, inputs: Tensor) -> Tensor:
        """Teacher forcing: outputs (B, M, P, K) from the patches before each, inputs (B, M, P, 2 + n_future)."""
        return self.network.decode(inputs, memory)

    def roll_out(
        self, memory: Memory, scale: Scale, last: Tensor, future: Tensor, *, sample: bool = False, cached: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Forecast step by step, each patch from the network's own forecasts of those before it.

        Parameters
        ----------
        memory, scale, last
            From `encode`.
        future : Tensor of shape (B, M, P, n_future)
            Covariates known ahead; M is the number of steps.
        sample : bool, default=False
            Feed back a draw instead of the point forecast.
        cached : bool, default=True
            Use the key/value cache; without it each step recomputes all before, with the same result.

        Returns
        -------
        outputs : Tensor of shape (B, M, P, K)
            What the head knows of each value.
        values : Tensor of shape (B, M, P)
            The scaled values; what lies beyond LIMIT is fed back as that.
        """
        cache = self.network.decoder.new_cache() if cached else None
        spread = scale.spread.unsqueeze(-1).to(last.dtype)
        head: Any = self.network.head
        outputs, values, inputs = [], [], []
        patch = last
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
    encoder: nn.Module,
    head: nn.Module,
    *,
    n_future: int,
    patch_length: int,
    season: int,
    shifted: bool,
    d_model: int,
    n_heads: int,
    n_layers: int,
    d_ff: int,
    dropout: float,
) -> SeriesForecaster:
    """Join an encoder and a head by a pre-norm decoder with rotary positions that go on from the context."""
    decoder = TransformerDecoder(
        d_model,
        n_heads,
        n_layers,
        d_ff,
        dropout=dropout,
        stochastic_depth=0.1,
        **PRE_NORM,
    )
    network = EncoderDecoder(encoder, PatchInput(patch_length, n_future, d_model), decoder, head)
    return SeriesForecaster(network, patch_length, season, shifted=shifted)
