"""Where a token stands: positions added to tokens (sinusoidal, learned), or rotations of queries and keys."""

import torch
from torch import Tensor, nn

Rotation = tuple[Tensor, Tensor]


def sinusoidal(positions: Tensor, d_model: int) -> Tensor:
    """Positions (...) in tokens, any real numbers, to (..., d_model): section 3.5 of Vaswani et al. (2017).

    Sines lie at the even and cosines at the odd places, their wavelengths from 2 pi to 10,000 * 2 pi.
    """
    angles = _angles(positions, d_model + d_model % 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., :d_model].to(torch.get_default_dtype())


def rotary(positions: Tensor, head_dim: int) -> Rotation:
    """Cosines and sines by which `rotate` turns queries and keys: attention sees only differences (Su et al. 2021).

    Of positions (N,) or (B, N) in tokens they have shape (N, head_dim) or (B, 1, N, head_dim); the halves of cos are
    equal, those of sin differ in sign.
    """
    if head_dim % 2:
        raise ValueError(
            f"Rotary positions need an even head width. Got d_model / n_heads = {head_dim}; change d_model or n_heads."
        )
    angles = _angles(positions, head_dim)
    if positions.dim() == 2:
        angles = angles.unsqueeze(1)  # one rotation for all heads
    cos, sin = (part.to(torch.get_default_dtype()) for part in (angles.cos(), angles.sin()))
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, rotation: Rotation | None) -> Tensor:
    """Turn each pair (i, i + D/2) of the last axis of x, (B, H, N, D), by the angles of its position; None: not."""
    if rotation is None:
        return x
    cos, sin = rotation
    # Whole widths, not halves: a cached step is made of small operations, and their number is what it costs.
    return (x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin).to(x.dtype)


def _angles(positions: Tensor, width: int) -> Tensor:
    """Angles in float64: in float32 those of late positions are off by whole thousandths."""
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float64) / width
    return positions.unsqueeze(-1) * 10_000.0**-exponents


class SinusoidalPositions(nn.Module):
    """Adds the sinusoidal table of the 2017 paper to tokens (B, N, D); any length."""

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Return tokens plus positions, (B, N, D); the first token stands at position `start`."""
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        return tokens + sinusoidal(positions, tokens.shape[2]).to(tokens.dtype)


class LearnedPositions(nn.Module):
    """Adds one learned vector for each position to tokens (B, N, D); at most `max_length` tokens."""

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_length, d_model) * 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens plus positions, (B, N, D); ValueError beyond `max_length`."""
        n_tokens, max_length = tokens.shape[1], self.table.shape[0]
        if n_tokens > max_length:
            raise ValueError(
                f"Learned positions take at most {max_length} tokens. Got {n_tokens}; shorten the series or use "
                "sinusoidal or rotary ones."
            )
        return tokens + self.table[:n_tokens]
