"""Pooling: tokens (B, N, D) and their mask (B, N) in, one vector (B, D) a case out; of none observed, 0."""

import torch
from torch import Tensor, nn


class MeanPooling(nn.Module):
    """The mean of the observed tokens."""

    def __init__(self, d_model: int) -> None:
        super().__init__()

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return (B, D)."""
        weight = token_mask.unsqueeze(-1).to(tokens.dtype)
        return (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


class MaxPooling(nn.Module):
    """The largest value of each feature over the observed tokens."""

    def __init__(self, d_model: int) -> None:
        super().__init__()

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return (B, D)."""
        largest = tokens.masked_fill(~token_mask.unsqueeze(-1), torch.finfo(tokens.dtype).min).amax(dim=1)
        return torch.where(token_mask.any(dim=1, keepdim=True), largest, 0.0)


class AttentionPooling(nn.Module):
    """A weighted mean of the observed tokens; a learned query scores them."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.score = nn.Linear(d_model, 1, bias=False)  # softmax would cancel a bias

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return (B, D)."""
        scores = self.score(tokens).squeeze(-1)
        weights = scores.masked_fill(~token_mask, torch.finfo(scores.dtype).min).softmax(dim=1) * token_mask
        return (weights.unsqueeze(-1) * tokens).sum(dim=1)


POOLINGS: dict[str, type[nn.Module]] = {"mean": MeanPooling, "max": MaxPooling, "attention": AttentionPooling}
