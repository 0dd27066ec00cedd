"""The classification network: scaling, an encoder, pooling and a linear head; series in, logits out."""

from collections.abc import Callable

from torch import Tensor, nn

from tsformer.layers.scaling import ChannelScaler, FirstDifferences

Augmentation = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class SeriesClassifier(nn.Module):
    """Series (B, T, C) and their mask in, logits (B, K) out.

    Parameters
    ----------
    scaler : ChannelScaler
        Fitted to the training series.
    augment : callable or None
        Maps (x, observed) to an altered (x, observed); in training only, as dropout.
    differences : FirstDifferences or None
        Fitted to the scaled training series.
    encoder : Module
        Fulfils the contract of `tsformer.models.encoders`.
    pooling : Module
        Tokens and their mask to one vector a case.
    head : Linear
        From that vector to the logits of the classes.
    """

    def __init__(
        self,
        scaler: ChannelScaler,
        augment: Augmentation | None,
        differences: FirstDifferences | None,
        encoder: nn.Module,
        pooling: nn.Module,
        head: nn.Linear,
    ) -> None:
        super().__init__()
        self.scaler = scaler
        self.augment = augment
        self.differences = differences
        self.encoder = encoder
        self.pooling = pooling
        self.head = head

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.embed(x, observed))

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the pooled tokens (B, D)."""
        x = self.scaler(x, observed).to(self.head.weight.dtype)
        if self.augment is not None and self.training:
            x, observed = self.augment(x, observed)
        if self.differences is not None:
            x, observed = self.differences(x, observed)
        tokens, observed_tokens = self.encoder(x, observed)
        return self.pooling(tokens, observed_tokens)
