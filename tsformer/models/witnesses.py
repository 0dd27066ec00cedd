"""The networks that a detector asks, as one module: an encoder of windows, and a forecaster."""

from typing import Any

from torch import nn

from tsformer.models.channel_encoder import ChannelEncoder, blank_channel_encoder
from tsformer.models.forecaster import SeriesForecaster, build_forecaster


class Witnesses(nn.Module):
    """What tells of windows how they look, and of values how likely they were."""

    def __init__(self, encoder: ChannelEncoder, forecaster: SeriesForecaster) -> None:
        super().__init__()
        self.encoder, self.forecaster = encoder, forecaster

    @property
    def members(self) -> list[nn.Module]:
        """Each network: what is placed on a device, and saved."""
        return [self.encoder, self.forecaster]


def build_witness(**settings: Any) -> nn.Module:
    """Make one of the networks again, from its settings."""
    return (blank_channel_encoder if "objective" in settings else build_forecaster)(**settings)
