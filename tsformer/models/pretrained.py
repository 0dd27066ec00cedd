"""The network of a classifier with a pretrained encoder: series in, logits out, by a linear head on its features."""

from typing import Any

from torch import Tensor, nn

from tsformer.models.classifier import Augmentation
from tsformer.models.pretraining import PretrainingNetwork, blank_pretraining


class PretrainedClassifier(nn.Module):
    """Series (B, T, C) and their mask in, logits (B, K) out.

    Parameters
    ----------
    network : PretrainingNetwork
        Describes each channel; what its own head was for is over.
    head : Linear
        From the features of all channels to the logits of the classes.
    """

    def __init__(self, network: PretrainingNetwork, head: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self.network.head = nn.Identity()
        self.head = head
        self.settings: dict[str, Any] = {}  # of `blank_pretrained`, which can make a network of this shape again

    @property
    def augment(self) -> Augmentation | None:
        """What alters the prepared series when the network is fine-tuned."""
        return self.network.augment

    @augment.setter
    def augment(self, augment: Augmentation | None) -> None:
        self.network.augment = augment

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.head(self.embed(x, observed))

    def embed(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the features (B, C * features)."""
        return self.network.embed(x, observed)


def blank_pretrained(*, n_channels: int, n_classes: int, **pretraining: Any) -> PretrainedClassifier:
    """Make a network that is yet to be given weights; `pretraining` are the settings of `blank_pretraining`."""
    network = blank_pretraining(**pretraining)
    head = nn.Linear(n_channels * len(network.feature_names), n_classes)
    model = PretrainedClassifier(network, head)
    model.settings = {"n_channels": n_channels, "n_classes": n_classes, **pretraining}
    return model
