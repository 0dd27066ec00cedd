"""The encoder of single channels: series in, what its pretraining compares or the features of each case out."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from tsformer.layers.blocks import initialise_weights
from tsformer.layers.pooling import MaxPooling, MeanPooling
from tsformer.layers.resampling import resample
from tsformer.layers.scaling import (
    differences,
    in_units,
    masked_mean,
    masked_mean_std,
    normalise_instances,
    relative_rounding,
)
from tsformer.models.encoders import ENCODERS

N_SEGMENTS = 16  # of a series, whose means say what level it has where
SMALLEST_VARIANCE = 1e-12  # of tokens; the root of 0 has no slope to learn by, and a single token has variance 0
COARSE = 4  # time points made one, for a second look at the course of a series
ROUNDING = 1e-6  # a mean of so few standard deviations is what standardising left of it
SMALLEST = 1e-4  # std of a part of a standardised series; what is below is rounding
SMALLEST_DIFFERENCE = 1e-3  # half the slope of a straight line over 512 points
AT_ONCE = 2**14  # resampled time points, 32 series of 512, which the cache holds; of more each takes longer
TOGETHER = 4  # of fewer series float32 kernels may round each differently
PROJECTED = 64  # width in which two views of a series are compared


class ChannelEncoder(nn.Module):
    """An encoder of single channels, each brought to one length and scale, and the head of its objective.

    The encoder reads the series, resampled to n_timepoints, and its first difference. The head goes from pooled tokens
    to what is compared (contrastive), or from each token to its time points (reconstruction). Features need no head.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, n_timepoints: int) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.head = head
        self.pooling = MeanPooling(0)  # any width; it has no weights
        self.n_timepoints, self.segment_length = n_timepoints, math.ceil(n_timepoints / N_SEGMENTS)
        self.settings: dict[str, Any] = {}  # of `blank_channel_encoder`, which can make a network of this shape again

    def prepare(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Resample single channels x (B, T, 1), and scale them: (B, n_timepoints, 1)."""
        # In float64, so that a small signal on a large level survives.
        (scaled, _), rounding = in_units(x.double(), (1,)), relative_rounding(x, (1,))
        scaled, observed = resample(scaled, observed, self.n_timepoints)
        scaled = normalise_instances(scaled, observed, rounding=rounding)
        return scaled.to(next(self.parameters()).dtype), observed

    def inputs(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoder reads of prepared series, altered or not: values and differences (B, T, 2)."""
        x = normalise_instances(x, observed, SMALLEST)
        change, both_observed = differences(x, observed)
        change = normalise_instances(change, both_observed, SMALLEST_DIFFERENCE)
        return torch.cat([x, change], dim=-1), torch.cat([observed, both_observed], dim=-1)

    def fit_resolution(self, n_timepoints: int) -> None:
        """Look at series of at most a quarter of its points at half of them, which tells as much of these."""
        if 4 * n_timepoints <= self.n_timepoints and self.settings["encoder"] == "strided_stem":
            self.n_timepoints //= 2
            self.segment_length = math.ceil(self.n_timepoints / N_SEGMENTS)
            self.settings = self.settings | {"n_timepoints": self.n_timepoints}

    def project(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return what contrastive learning compares of prepared series (B, T, 1): (B, PROJECTED)."""
        return self.head(self.pooling(*self.encoder(*self.inputs(x, observed))))

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the features of series (B, T, C), those of a channel side by side: (B, C * features) in float64.

        They do not depend on what else is in the batch, in float32 either.
        """
        series, mask = as_channels(x, observed)
        n_series = len(series)
        if torch.compiler.is_compiling():  # an exported graph takes any number
            features = self._describe(series, mask)
        else:
            rows = torch.arange(n_series + -n_series % TOGETHER, device=x.device) % n_series
            parts = rows.split(max(TOGETHER, AT_ONCE // self.n_timepoints))
            features = torch.cat([self._describe(series[part], mask[part]) for part in parts])[:n_series]
        return features.unflatten(0, (len(x), x.shape[2])).flatten(1)

    def _describe(self, x: Tensor, observed: Tensor) -> Tensor:
        """Features (B, F) in float64 of single channels (B, T, 1), in the order of `feature_names`."""
        levels, tokens = self._levels(x.double(), observed), self.describe_tokens(*self.prepare(x, observed))
        return torch.cat([levels, tokens], dim=1)

    def describe_tokens(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the features of prepared series (B, T, 1) that are learnt: statistics of tokens (B, F)."""
        features = []
        for values, mask in ((x, observed), block_means(x, observed, COARSE)):
            depths, token_mask = self._tokens_by_depth(*self.inputs(values, mask))
            # All depths at once: a single case is made of small operations, and their number is what it costs.
            statistics = token_statistics(torch.cat(depths, dim=2), token_mask)  # each (B, depths * D)
            features.append(
                torch.stack([each.unflatten(1, (len(depths), -1)) for each in statistics], dim=2).flatten(1)
            )
        return torch.cat(features, dim=1)

    def _levels(self, x: Tensor, observed: Tensor) -> Tensor:
        """Mean, std and the means of segments (B, 2 + segments) of channels (B, T, 1), in their own unit."""
        mean, std = masked_mean_std(x, observed, dim=(1,))
        mean = torch.where(mean.abs() < ROUNDING * std, 0.0, mean)
        scaled, unit = in_units(x, (1,))
        segments, observed = block_means(*resample(scaled, observed, self.n_timepoints), self.segment_length)
        return torch.cat([mean, std, torch.where(observed, segments * unit, mean.unsqueeze(1)).flatten(1)], dim=1)

    def _tokens_by_depth(self, values: Tensor, observed: Tensor) -> tuple[list[Tensor], Tensor]:
        if hasattr(self.encoder, "tokens_by_depth"):
            return self.encoder.tokens_by_depth(values, observed)
        tokens, token_mask = self.encoder(values, observed)
        return [tokens], token_mask

    @property
    def feature_names(self) -> list[str]:
        """What the features of a channel are: its levels, then by resolution and depth the statistics of tokens."""
        depths = ("stem", "middle", "last") if hasattr(self.encoder, "tokens_by_depth") else ("last",)
        of_tokens = itertools.product(("fine", "coarse"), depths, ("mean", "std", "maximum"))
        width = range(self.settings["d_model"])
        return self.level_names + [f"{'_'.join(of_token)}{i}" for of_token in of_tokens for i in width]

    @property
    def level_names(self) -> list[str]:
        """What the first features of a channel are, which no weights were learnt for."""
        n_segments = math.ceil(self.n_timepoints / self.segment_length)
        return ["mean", "std", *(f"segment{i}" for i in range(n_segments))]


def as_channels(x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Make each channel of series (B, T, C) a case of its own: (B * C, T, 1)."""
    return tuple(each.transpose(1, 2).reshape(-1, x.shape[1], 1) for each in (x, observed))  # type: ignore[return-value]


def block_means(x: Tensor, observed: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Make one time point of each `size` ones of x (B, T, 1): the mean of the observed, unobserved where none is."""
    missing = -x.shape[1] % size
    values, mask = (pad(each, (0, 0, 0, missing)).unflatten(1, (-1, size)) for each in (x, observed))
    return masked_mean(values, mask, 2).squeeze(2), mask.any(dim=2)


def token_statistics(tokens: Tensor, token_mask: Tensor) -> list[Tensor]:
    """Mean, std and maximum of the observed tokens (B, N, D): three Tensors (B, D); of none observed, about 0."""
    mask = token_mask.unsqueeze(-1)
    mean = masked_mean(tokens, mask, 1)
    variance = masked_mean((tokens - mean).square(), mask, 1).squeeze(1)
    return [mean.squeeze(1), variance.clamp(min=SMALLEST_VARIANCE).sqrt(), MaxPooling(0)(tokens, token_mask)]


def build_channel_encoder(**settings: Any) -> ChannelEncoder:
    """Make a network whose weights are drawn anew; `settings` are those of `blank_channel_encoder`."""
    model = blank_channel_encoder(**settings)
    initialise_weights(model)
    return model


def blank_channel_encoder(
    *, objective: str, encoder: str | Callable[..., nn.Module], n_timepoints: int, d_model: int, **shape: float
) -> ChannelEncoder:
    """Make a network that is yet to be trained, or to be given the weights of another.

    `objective` is a name in HEADS, `encoder` a name in ENCODERS or a callable; d_model and `shape` go to the encoder.
    """
    build = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    make = functools.partial(build, 2, n_timepoints, d_model=d_model, **shape)
    model = ChannelEncoder(make(), HEADS[objective](make, d_model, n_timepoints), n_timepoints)
    names = {"objective": objective, "encoder": encoder}
    model.settings = names | {"n_timepoints": n_timepoints, "d_model": d_model} | shape
    return model


def _projection(make_encoder: Callable[[], nn.Module], d_model: int, n_timepoints: int) -> nn.Module:
    return nn.Sequential(nn.Linear(d_model, d_model), nn.GELU(), nn.Linear(d_model, PROJECTED))


def _reconstruction(make_encoder: Callable[[], nn.Module], d_model: int, n_timepoints: int) -> nn.Module:
    """From a token to the time points that it spans; how many these are is read off what an encoder makes of zeros."""
    with torch.no_grad(), torch.device("cpu"):  # not on torch's meta device, on which `load` compares shapes
        blank = torch.zeros(1, n_timepoints, 2)
        n_tokens = make_encoder().eval()(blank, torch.ones_like(blank, dtype=torch.bool))[1].shape[1]
    return nn.Linear(d_model, -(-n_timepoints // n_tokens))


HEADS: dict[str, Callable[..., nn.Module]] = {"contrastive": _projection, "reconstruction": _reconstruction}
