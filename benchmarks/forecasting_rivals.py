"""Rivals over a long horizon: arrays of scaled values (n_timepoints, n_channels) enter, forecasts of windows leave.

Each has `fit(train, validation, horizon)` and `forecast(values, origins, steps)`, which forecasts the `steps` values
from each origin on, shape (n_origins, steps, n_channels), and looks at no value from an origin on.

DLinear is that of Zeng et al. (2023), "Are Transformers effective for time series forecasting?": a linear layer for the
moving average over 25 steps and one for the remainder, shared by all channels; one network for each horizon, look-back
336, Adam, a learning rate halved after each epoch, the epoch of the least validation MSE. Theirs has a learning rate
and batch size for each dataset; here it is one setting.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

Array = np.ndarray


@dataclass
class SeasonalNaive:
    """Repeat the last season."""

    season: int

    def fit(self, train: Array, validation: Array, horizon: int) -> "SeasonalNaive":
        """Learn nothing."""
        return self

    def forecast(self, values: Array, origins: Array, steps: int) -> Array:
        """Forecast `steps` values from each origin on."""
        return values[origins[:, None] - self.season + np.arange(steps) % self.season]


class LastValue(SeasonalNaive):
    """Repeat the last value."""

    def __init__(self) -> None:
        super().__init__(season=1)


@dataclass
class DLinear:
    """Add up a linear map of the trend and one of the remainder."""

    lookback: int = 336
    epochs: int = 10
    patience: int = 3
    batch_size: int = 32  # windows of all channels
    learning_rate: float = 1e-3
    random_state: int = 0

    def fit(self, train: Array, validation: Array, horizon: int) -> "DLinear":
        """Train on the windows of train; keep the epoch with the least error on those that end in validation."""
        torch.manual_seed(self.random_state)
        self.network = Decomposition(self.lookback, horizon)
        length = self.lookback + horizon
        windows = windows_of(train, length)
        held_out = windows_of(np.concatenate([train[-self.lookback :], validation]), length)
        optimiser = torch.optim.Adam(self.network.parameters(), self.learning_rate)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=0.5)
        best, best_state, since = float("inf"), copy.deepcopy(self.network.state_dict()), 0
        for _ in range(self.epochs):
            for batch in torch.randperm(len(windows)).split(self.batch_size):
                optimiser.zero_grad()
                self.loss(windows[batch]).backward()
                optimiser.step()
            schedule.step()
            error = self.error(held_out)
            since = 0 if error < best else since + 1
            if error < best:
                best, best_state = error, copy.deepcopy(self.network.state_dict())
            if since == self.patience:
                break
        self.network.load_state_dict(best_state)
        return self

    def forecast(self, values: Array, origins: Array, steps: int) -> Array:
        """Forecast `steps` values from each origin on; `steps` is the horizon of fit."""
        past = windows_of(values, self.lookback)[origins - self.lookback]
        with torch.inference_mode():
            return self.network(past).swapaxes(1, 2).numpy()

    def loss(self, windows: Tensor) -> Tensor:
        """Compare forecasts of the ends of windows (n_windows, n_channels, lookback + horizon) with them."""
        return mse_loss(self.network(windows[..., : self.lookback]), windows[..., self.lookback :])

    def error(self, windows: Tensor) -> float:
        """Average the loss over all windows."""
        with torch.inference_mode():
            return sum(float(self.loss(part)) * len(part) for part in parts_of(windows)) / len(windows)


class Decomposition(nn.Module):
    """The network of DLinear: (..., lookback) to (..., horizon)."""

    WIDTH = 25  # of the moving average
    average: Tensor

    def __init__(self, lookback: int, horizon: int) -> None:
        super().__init__()
        self.trend, self.remainder = nn.Linear(lookback, horizon), nn.Linear(lookback, horizon)
        # Row i averages over the neighbours of i; beyond its ends the series goes on with its first and last value.
        neighbours = torch.arange(lookback)[:, None] + torch.arange(self.WIDTH) - self.WIDTH // 2
        shares = torch.full_like(neighbours, 1 / self.WIDTH, dtype=torch.float32)
        average = torch.zeros(lookback, lookback).scatter_add(1, neighbours.clamp(0, lookback - 1), shares)
        self.register_buffer("average", average.T.contiguous(), persistent=False)

    def forward(self, past: Tensor) -> Tensor:
        """Forecast each channel."""
        trend = past @ self.average
        return self.trend(trend) + self.remainder(past - trend)


def windows_of(values: Array, length: int) -> Tensor:
    """View all windows, shape (n_windows, n_channels, length)."""
    return torch.tensor(values, dtype=torch.float32).unfold(0, length, 1)


def parts_of(windows: Tensor, size: int = 256) -> Iterator[Tensor]:
    """Split windows, of which all together do not fit into memory."""
    yield from windows.split(size)
