"""The classification network: scaling, an encoder, pooling and a linear head; series in, logits out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.blocks import initialise_weights
from tsformer.layers.pooling import POOLINGS
from tsformer.layers.scaling import SCALERS, ChannelScaler, Chunks, FirstDifferences, RobustScaler
from tsformer.models.encoders import ENCODERS

Augmentation = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

VALUES_AT_ONCE = 2**18  # that are scaled, in float64: with millions new memory took longer than the sums


class SeriesClassifier(nn.Module):
    """Series (B, T, C) and their mask in, logits (B, K) out; `augment` alters what the encoder reads in training."""

    def __init__(
        self,
        scaler: ChannelScaler | RobustScaler,
        augment: Augmentation | None,
        differences: FirstDifferences | None,
        encoder: nn.Module,
        pooling: nn.Module,
        head: nn.Linear,
    ) -> None:
        super().__init__()
        self.scaler, self.augment, self.differences = scaler, augment, differences
        self.encoder, self.pooling, self.head = encoder, pooling, head
        self.settings: dict[str, Any] = {}  # of `blank_classifier`, which can make a network of this shape again

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.embed(x, observed))

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the pooled tokens (B, D)."""
        return self.pooling(*self.tokens(x, observed))

    def tokens(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoder makes of the series: tokens (B, N, D) and their mask (B, N)."""
        x, observed = self.inputs(x, observed)
        # After the differences: those of a smooth series are small, and noise on its values would drown them.
        if self.augment is not None and self.training:
            x, observed = self.augment(x, observed)
        return self.encoder(x, observed)

    def inputs(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled series and their differences, with a mask (B, T, C or 2 C): what is augmented."""
        size = max(1, VALUES_AT_ONCE // (x.shape[1] * x.shape[2]))
        if torch.compiler.is_compiling() or len(x) <= size:
            return self._inputs(x, observed)
        values, masks = zip(*map(self._inputs, x.split(size), observed.split(size)), strict=True)
        return torch.cat(values), torch.cat(masks)

    def _inputs(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        x = self.scaler(x, observed).to(self.head.weight.dtype)
        return (x, observed) if self.differences is None else self.differences(x, observed)


def build_classifier(
    series: Chunks, n_channels: int, n_timepoints: int, n_classes: int, *, augment: Augmentation | None, **settings: Any
) -> SeriesClassifier:
    """Make a network of new weights, scaling as training `series` do; `settings`: of `blank_classifier`."""
    model = blank_classifier(n_channels, n_timepoints, n_classes, **settings)
    model.augment = augment
    model.scaler.fit(series)
    if model.differences is not None:
        scaled = lambda: ((model.scaler(x, observed), observed) for x, observed in series())  # noqa: E731
        model.differences.fit(scaled, model.scaler.rounding)
    initialise_weights(model)
    return model


def blank_classifier(
    n_channels: int,
    n_timepoints: int,
    n_classes: int,
    *,
    scaling: str,
    differences: bool,
    encoder: str | Callable[..., nn.Module],
    pooling: str,
    d_model: int,
    **shape: float,
) -> SeriesClassifier:
    """Make a network that is yet to be fitted, or to be given the weights of another; it does not augment.

    Parameters
    ----------
    n_channels, n_timepoints, n_classes : int
    scaling, pooling : str
        Names in SCALERS and POOLINGS.
    differences : bool
        Whether the encoder reads first differences beside the values.
    encoder : str or callable
        A name in ENCODERS, or what builds one.
    d_model, **shape
        Go to the encoder.
    """
    build = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    model = SeriesClassifier(
        SCALERS[scaling](n_channels),
        None,
        FirstDifferences(n_channels) if differences else None,
        build(n_channels * (2 if differences else 1), n_timepoints, d_model=d_model, **shape),
        POOLINGS[pooling](d_model),
        nn.Linear(d_model, n_classes),
    )
    sizes = {"n_channels": n_channels, "n_timepoints": n_timepoints, "n_classes": n_classes}
    parts = {"scaling": scaling, "differences": differences, "encoder": encoder, "pooling": pooling}
    model.settings = sizes | parts | {"d_model": d_model} | shape
    return model
