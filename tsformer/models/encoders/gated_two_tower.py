"""Gated Transformer Networks: a tower that attends over time and one that attends over channels, joined by a gate."""

from typing import Any

import torch
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import PRE_NORM, EncoderStack
from tsformer.layers.embeddings import ChannelEmbedding, ChannelMixing, ConvolutionalEmbedding, bounded_strides
from tsformer.layers.pooling import MeanPooling


class GatedTwoTowerEncoder(nn.Module):
    """A token of time holds its own content and, the same in all, that of the channels, each weighed by a gate.

    Liu et al. (2021, "Gated Transformer Networks for multivariate time series classification") make a token of each
    time point, so that cost grows with length squared, and flatten both towers, which fixes the length and leaves a
    decoder no order of time. Here strided convolutions embed time, as in `ConvStemEncoder`, and a channel is read as
    its means over `n_segments` equal stretches; the mean of its tokens stands for a tower in the gate, and for the
    channels in each token of the result. Rotary positions serve time alone. Cost is linear in the length, and grows
    with the square of the number of channels, of which very many are mixed first.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        d_model: int,
        kernel_sizes: tuple[int, ...] = (3, 9, 19, 39),
        max_tokens: int = 64,
        fine_timepoints: int = 1024,
        n_segments: int = 64,
        **stack: Any,
    ) -> None:
        super().__init__()
        strides = bounded_strides(n_timepoints, max_tokens, fine_timepoints)
        self.mixing = ChannelMixing(n_channels, d_model)
        self.step_embedding = ConvolutionalEmbedding(self.mixing.n_channels, d_model, kernel_sizes, *strides)
        self.step_tower = EncoderStack(d_model, **PRE_NORM | stack)
        self.channel_embedding = ChannelEmbedding(d_model, n_segments)
        self.channel_tower = EncoderStack(d_model, **PRE_NORM | stack | {"rotary": False})
        self.pooling = MeanPooling(d_model)
        self.gate = nn.Sequential(nn.Linear(2 * d_model, 2), nn.Softmax(dim=-1))
        self.join = nn.Linear(2 * d_model, d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens of time (B, N, D) and their mask (B, N)."""
        x, observed = self.mixing(x, observed)
        steps, token_mask = self.step_embedding(x, observed)
        steps = self.step_tower(steps, padding_mask(token_mask))
        channels, channel_mask = self.channel_embedding(x, observed)
        channels = self.channel_tower(channels, padding_mask(channel_mask))
        channel_summary = self.pooling(channels, channel_mask)  # (B, D)
        gate = self.gate(torch.cat([self.pooling(steps, token_mask), channel_summary], dim=-1))  # (B, 2)
        steps = gate[:, None, :1] * steps
        channel_summary = (gate[:, 1:] * channel_summary).unsqueeze(1).expand_as(steps)
        return self.join(torch.cat([steps, channel_summary], dim=-1)), token_mask
