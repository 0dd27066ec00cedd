"""What an encoder of single channels does not see: series in, how their channels vary together out."""

import numpy as np
import torch
from numpy.polynomial import Chebyshev
from torch import Tensor, nn

from tsformer.layers.scaling import Chunks, FirstDifferences, TailScaler, masked_mean

SHRINKAGE = 0.1  # of the mean variance, added to each: a short series has no covariance that can be inverted
SMALLEST = 1e-6  # mean variance, in units of the training series; a case below stands still
DEGREE = 32  # of the polynomial that is the logarithm to within .05, of two channels to within 1e-5


class ChannelRelations(nn.Module):
    """The logarithm of each case's covariance matrix of channels and their slopes, a point of a flat space.

    It tells how channels are correlated, which swings more, which is faster and which goes ahead: the log-Euclidean
    metric (Arsigny et al. 2006), by which brain signals are classified (Barachant et al. 2013).
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.scaler = TailScaler(n_channels)
        self.slopes = FirstDifferences(n_channels)
        self.n_channels, self.n_features = n_channels, n_channels * (2 * n_channels + 1)
        self.logarithm = Logarithm(SHRINKAGE, 2 * n_channels + SHRINKAGE)

    def fit(self, series: Chunks) -> "ChannelRelations":
        """Take the unit of each channel and of its slope from the training series."""
        self.scaler.fit(series)
        self.slopes.fit(lambda: ((self.scaler(x.double(), seen), seen) for x, seen in series()), self.scaler.rounding)
        return self

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return features (B, C * (2 * C + 1)) of series (B, T, C), in float64."""
        values, observed = self.slopes(self.scaler(x.double(), observed), observed)
        values = torch.where(observed, values - masked_mean(values, observed, 1), 0.0)
        covariance = values.transpose(1, 2) @ values / observed.any(dim=2).sum(dim=1).clamp(min=1)[:, None, None]
        n = 2 * self.n_channels
        size = covariance.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=SMALLEST)[:, None, None]
        one = torch.eye(n, dtype=values.dtype, device=values.device)
        found = self.logarithm(covariance / size + SHRINKAGE * one) + size.log() * one
        rows, columns = torch.triu_indices(n, n, device=values.device)
        return found[:, rows, columns]


class Logarithm:
    """The logarithm of symmetric matrices (B, n, n) whose eigenvalues lie between two numbers, as a polynomial.

    An eigendecomposition would be exact, and is not among the operations of ONNX.
    """

    def __init__(self, low: float, high: float) -> None:
        self.middle, self.half = (high + low) / 2, (high - low) / 2
        self.coefficients = Chebyshev.interpolate(np.log, DEGREE, domain=[low, high]).coef.tolist()

    def __call__(self, matrix: Tensor) -> Tensor:
        """Return the logarithms (B, n, n)."""
        one = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
        scaled = (matrix - self.middle * one) / self.half
        before, power = one.expand_as(matrix), scaled
        total = self.coefficients[0] * before + self.coefficients[1] * power
        for coefficient in self.coefficients[2:]:
            before, power = power, 2.0 * scaled @ power - before
            total = total + coefficient * power
        return total
