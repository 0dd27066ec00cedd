"""The encoders by name, and the contract that each of them fulfils.

An encoder is built by `build(n_channels, n_timepoints, *, d_model, n_heads, n_layers, d_ff, dropout)`, where
n_timepoints is the longest series of the training set. `forward(x, observed) -> (tokens, token_mask)` maps a scaled
series x (B, T, C) and its mask, True = a real value, to tokens (B, N, d_model) and their mask (B, N), True = a token of
something observed.

- T may differ from n_timepoints, unless the encoder raises a ValueError that names both lengths.
- What is not observed must not matter: neither its value nor how much padding follows a series.
- n_layers counts the blocks of each part, where there are several: a tower, a stage.
- Attention goes through `layers.attention.MultiHeadAttention`, which `record_attention` reads.
- It may have `tokens_by_depth(x, observed) -> ([stem, middle, last], token_mask)`: its tokens at three depths, the
  last those that it returns, for features of each depth.

There is nothing to inherit. A new encoder is one file here and one line in ENCODERS. Its own settings are keyword
defaults, which users reach by `functools.partial`. `**stack` is what its `layers.blocks.EncoderStack` takes: n_heads,
n_layers, d_ff, dropout, and changes to PRE_NORM.
"""

from collections.abc import Callable

from torch import nn

from tsformer.models.encoders.conv_stem import ConvStemEncoder
from tsformer.models.encoders.gated_two_tower import GatedTwoTowerEncoder
from tsformer.models.encoders.patch import PatchEncoder
from tsformer.models.encoders.shifted_window import ShiftedWindowEncoder
from tsformer.models.encoders.strided_stem import StridedStemEncoder
from tsformer.models.encoders.transformer import TransformerEncoder

ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "transformer": TransformerEncoder,
    "conv_stem": ConvStemEncoder,
    "patch": PatchEncoder,
    "gated_two_tower": GatedTwoTowerEncoder,
    "shifted_window": ShiftedWindowEncoder,
    "strided_stem": StridedStemEncoder,
}
