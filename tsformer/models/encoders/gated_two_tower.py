"""Gated Transformer Networks: a tower that attends over time and one that attends over channels, joined by a gate."""

import torch
from torch import Tensor, nn

from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import pre_norm_stack
from tsformer.layers.embeddings import ChannelEmbedding, bounded_embedding
from tsformer.layers.pooling import MeanPooling


class GatedTwoTowerEncoder(nn.Module):
    """A token of time holds its own content and, the same in all, that of the channels, each weighed by a gate.

    Cost grows linearly with the length of a series and with the square of the number of channels.

    Parameters
    ----------
    n_channels, n_timepoints, d_model, n_heads, n_layers, d_ff, dropout
        The contract of `tsformer.models.encoders`; each tower has n_layers.
    kernel_sizes, max_tokens, fine_timepoints
        The embedding of the step-wise tower, as in `ConvStemEncoder`.
    n_segments : int, default=64
        The channel-wise tower reads a channel as its means over so many equal stretches of the series.
    stochastic_depth : float, default=0.1
        Share of residual branches dropped for whole cases in training.

    Notes
    -----
    The paper embeds each time point by itself, flattens the tokens of each tower, and concatenates the two, weighed by
    the gate, for its classifier. Flattening fixes the length of a series, a token a time point makes attention cost its
    square, and a decoder needs tokens in order of time. So time points are embedded by strided convolutions; what
    stands for a tower in the gate, and for the channels in the result, is the mean of its tokens; and the concatenation
    is made for each token of time, then brought to d_model by a linear map. Blocks are pre-norm, with rotary positions
    over time and none over channels.

    References
    ----------
    Liu et al. (2021), "Gated Transformer Networks for multivariate time series classification".
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_ff: int,
        dropout: float,
        kernel_sizes: tuple[int, ...] = (3, 9, 19, 39),
        max_tokens: int = 64,
        fine_timepoints: int = 1024,
        n_segments: int = 64,
        stochastic_depth: float = 0.1,
    ) -> None:
        super().__init__()
        regularisation = {"dropout": dropout, "stochastic_depth": stochastic_depth}
        self.step_embedding = bounded_embedding(
            n_channels,
            n_timepoints,
            d_model,
            kernel_sizes=kernel_sizes,
            max_tokens=max_tokens,
            fine_timepoints=fine_timepoints,
        )
        self.step_tower = pre_norm_stack(d_model, n_heads, n_layers, d_ff, **regularisation)
        self.channel_embedding = ChannelEmbedding(d_model, n_segments)
        self.channel_tower = pre_norm_stack(d_model, n_heads, n_layers, d_ff, **regularisation, rotary=False)
        self.pooling = MeanPooling(d_model)
        self.gate = nn.Sequential(nn.Linear(2 * d_model, 2), nn.Softmax(dim=-1))
        self.join = nn.Linear(2 * d_model, d_model)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens of time (B, N, D) and which of them are observed (B, N)."""
        steps, seen = self.step_embedding(x, observed)
        steps = self.step_tower(steps, padding_mask(seen))
        channels, present = self.channel_embedding(x, observed)
        channels = self.channel_tower(channels, padding_mask(present))
        step_summary, channel_summary = self.pooling(steps, seen), self.pooling(channels, present)  # each (B, D)
        gate = self.gate(torch.cat([step_summary, channel_summary], dim=-1))  # (B, 2)
        steps = gate[:, None, :1] * steps
        channel_summary = (gate[:, 1:] * channel_summary).unsqueeze(1).expand_as(steps)
        return self.join(torch.cat([steps, channel_summary], dim=-1)), seen
