"""Heads of the forecaster: decoded tokens (B, M, D) in, what is known of the next values out.

Contract: `head(tokens, centre)` gives outputs (B, M, P, K), K numbers for each of the P values of a patch, around a
centre (B, M, P); `begin()` sets weights of a new head so that it lies there, whatever the tokens. All other methods
take these outputs. Values are in the scale of their window; `spread` (B, 1, 1) is the size of one unit of that scale,
which only counts care about. Targets have shape (B, M, P); those that are missing come as some finite number.

- `losses(outputs, target, spread)`: (B, M, P), one of each value
- `point(outputs, spread)`: (B, M, P)
- `quantiles(outputs, levels, spread)`: (B, M, P, Q) for levels (Q,), or (B, M, P, Q) where each value has its own;
  at random levels they are draws
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn


class LinearHead(nn.Module):
    """A linear map from a token to N_OUTPUTS numbers for each value of its patch: what the heads below begin with."""

    N_OUTPUTS: int

    def __init__(self, d_model: int, patch_length: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d_model, patch_length * self.N_OUTPUTS)

    def forward(self, tokens: Tensor, centre: Tensor) -> Tensor:
        """Return outputs (B, M, P, K), all around the centre (B, M, P)."""
        return self.linear(tokens).unflatten(-1, (-1, self.N_OUTPUTS)) + centre.unsqueeze(-1)

    @torch.no_grad()
    def begin(self) -> None:
        """Lie nearly at the centre."""
        self.linear.weight.mul_(0.1)

    def point(self, outputs: Tensor, spread: Tensor) -> Tensor:
        """Return the first of the outputs."""
        return outputs[..., 0]


class PointHead(LinearHead):
    """One value, trained with the Huber loss; knows no uncertainty."""

    N_OUTPUTS = 1

    def losses(self, outputs: Tensor, target: Tensor, spread: Tensor) -> Tensor:
        """Huber loss, quadratic up to one unit."""
        return F.huber_loss(outputs.squeeze(-1), target, reduction="none")

    def quantiles(self, outputs: Tensor, levels: Tensor, spread: Tensor) -> Tensor:
        """Refuse: there are none."""
        raise ValueError("A forecaster with head='point' has no quantiles, nor samples. Use head='quantile'.")


class QuantileHead(LinearHead):
    """Quantiles at fixed levels, trained with the pinball loss (Koenker & Bassett 1978); the point is the median.

    Other quantiles are taken as linear in those of a normal distribution.
    """

    LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
    MEDIAN, N_OUTPUTS = LEVELS.index(0.5), len(LEVELS)

    def __init__(self, d_model: int, patch_length: int) -> None:
        super().__init__(d_model, patch_length)
        self.levels = nn.Buffer(torch.tensor(self.LEVELS), persistent=False)

    @torch.no_grad()
    def begin(self) -> None:
        """Lie around the centre as the quantiles of a normal distribution of std .8."""
        super().begin()
        self.linear.bias.copy_((0.8 * torch.special.ndtri(self.levels)).repeat(len(self.linear.bias) // self.N_OUTPUTS))

    def losses(self, outputs: Tensor, target: Tensor, spread: Tensor) -> Tensor:
        """Mean pinball loss over the levels, plus that of the median: later patches and most measures go by it."""
        error = target.unsqueeze(-1) - outputs
        pinball = torch.maximum(self.levels * error, (self.levels - 1.0) * error)
        return pinball.mean(dim=-1) + pinball[..., self.MEDIAN]

    def point(self, outputs: Tensor, spread: Tensor) -> Tensor:
        """Return the median."""
        return outputs.sort(dim=-1).values[..., self.MEDIAN]

    def quantiles(self, outputs: Tensor, levels: Tensor, spread: Tensor) -> Tensor:
        """Interpolate the sorted outputs: sorting uncrosses quantiles."""
        fixed, wanted = torch.special.ndtri(self.levels.double()), torch.special.ndtri(levels.double())
        right = torch.searchsorted(fixed, wanted).clamp(1, len(fixed) - 1)
        fraction = ((wanted - fixed[right - 1]) / (fixed[right] - fixed[right - 1])).to(outputs.dtype)
        values = outputs.sort(dim=-1).values
        right = right.expand(*values.shape[:-1], -1)
        return torch.lerp(values.gather(-1, right - 1), values.gather(-1, right), fraction)


class StudentTHead(LinearHead):
    """Location (mean and median), scale and degrees of freedom of a Student t distribution, trained by likelihood."""

    N_OUTPUTS = 3

    def forward(self, tokens: Tensor, centre: Tensor) -> Tensor:
        """Return outputs (B, M, P, 3): location, scale, degrees of freedom."""
        location, scale, freedom = super().forward(tokens, torch.zeros_like(centre)).unbind(dim=-1)
        return torch.stack([location + centre, F.softplus(scale) + 1e-3, F.softplus(freedom) + 2.0], dim=-1)

    def losses(self, outputs: Tensor, target: Tensor, spread: Tensor) -> Tensor:
        """Negative log likelihood; torch.distributions has it too, but asks a GPU whether its arguments are right."""
        location, scale, freedom = outputs.unbind(dim=-1)
        norm = scale.log() + 0.5 * freedom.log() + 0.5 * math.log(math.pi)
        norm = norm + torch.lgamma(0.5 * freedom) - torch.lgamma(0.5 * (freedom + 1.0))
        return 0.5 * (freedom + 1.0) * torch.log1p(((target - location) / scale) ** 2.0 / freedom) + norm

    def quantiles(self, outputs: Tensor, levels: Tensor, spread: Tensor) -> Tensor:
        """Return exact quantiles."""
        location, scale, freedom = (part.unsqueeze(-1) for part in outputs.detach().double().cpu().unbind(dim=-1))
        return torch.from_numpy(stats.t.ppf(levels.cpu(), freedom, location, scale)).to(outputs)


class NegativeBinomialHead(LinearHead):
    """Mean and dispersion of negative binomial counts (Salinas et al. 2020, DeepAR), trained by likelihood.

    Needs windows scaled without a shift, so that target times spread is the count again.
    """

    N_OUTPUTS = 2

    def forward(self, tokens: Tensor, centre: Tensor) -> Tensor:
        """Return outputs (B, M, P, 2): mean in units of the spread, and dispersion."""
        mean, dispersion = super().forward(tokens, torch.zeros_like(centre)).unbind(dim=-1)
        centre = centre.clamp(min=0.01)
        # The inverse of softplus: with nothing added the mean is the centre.
        mean = mean + centre + (-(-centre).expm1()).log()
        return F.softplus(torch.stack([mean, dispersion], dim=-1)) + 1e-4

    def _failures_and_probability(self, outputs: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Number of failures and probability of success, as scipy counts them."""
        mean, dispersion = outputs.unbind(dim=-1)
        failures = 1.0 / dispersion
        return failures, failures / (failures + mean * spread)

    def losses(self, outputs: Tensor, target: Tensor, spread: Tensor) -> Tensor:
        """Negative log likelihood of the counts."""
        failures, probability = self._failures_and_probability(outputs, spread)
        counts = (target * spread).clamp(min=0.0).round()
        ways = torch.lgamma(failures + counts) - torch.lgamma(failures) - torch.lgamma(counts + 1.0)
        return -(ways + failures * probability.log() + counts * torch.log1p(-probability))

    def quantiles(self, outputs: Tensor, levels: Tensor, spread: Tensor) -> Tensor:
        """Return exact quantiles: whole counts, in units of the spread."""
        parts = (part.detach().double().cpu() for part in self._failures_and_probability(outputs, spread))
        counts = torch.from_numpy(stats.nbinom.ppf(levels.cpu(), *(part.unsqueeze(-1) for part in parts))).to(outputs)
        return counts / spread.unsqueeze(-1)


class TokenHead(LinearHead):
    """A softmax over equal bins of values, 10 units to each side of the centre (Ansari et al. 2024, Chronos).

    The last bins take in more. Behind the logits the outputs have the centre.
    """

    N_OUTPUTS = 400
    LIMIT = 10.0
    WIDTH = 2.0 * LIMIT / N_OUTPUTS  # of a bin

    def __init__(self, d_model: int, patch_length: int) -> None:
        super().__init__(d_model, patch_length)
        self.centers = nn.Buffer(-self.LIMIT + self.WIDTH * (torch.arange(self.N_OUTPUTS) + 0.5), persistent=False)

    def forward(self, tokens: Tensor, centre: Tensor) -> Tensor:
        """Return outputs (B, M, P, 401): logits, and the centre."""
        return torch.cat([super().forward(tokens, torch.zeros_like(centre)), centre.unsqueeze(-1)], dim=-1)

    def losses(self, outputs: Tensor, target: Tensor, spread: Tensor) -> Tensor:
        """Cross-entropy."""
        token = ((target - outputs[..., -1] + self.LIMIT) / self.WIDTH).long().clamp(0, self.N_OUTPUTS - 1)
        logits = outputs[..., :-1].flatten(0, -2)
        return F.cross_entropy(logits, token.flatten(), reduction="none").view_as(target)

    def point(self, outputs: Tensor, spread: Tensor) -> Tensor:
        """Return the median."""
        return self.quantiles(outputs, outputs.new_full((1,), 0.5), spread).squeeze(-1)

    def quantiles(self, outputs: Tensor, levels: Tensor, spread: Tensor) -> Tensor:
        """Return quantiles, values within a bin being equally likely."""
        probability = outputs[..., :-1].softmax(dim=-1)
        cumulative = probability.cumsum(dim=-1)
        wanted = levels.to(outputs.dtype).expand(*outputs.shape[:-1], -1).contiguous()
        token = torch.searchsorted(cumulative, wanted).clamp(max=self.N_OUTPUTS - 1)
        inside = probability.gather(-1, token)
        fraction = ((wanted - cumulative.gather(-1, token) + inside) / inside.clamp(min=1e-12)).clamp(0.0, 1.0)
        return outputs[..., -1:] + self.centers[token] + (fraction - 0.5) * self.WIDTH


HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    "point": PointHead,
    "quantile": QuantileHead,
    "student_t": StudentTHead,
    "negative_binomial": NegativeBinomialHead,
    "tokens": TokenHead,
}
