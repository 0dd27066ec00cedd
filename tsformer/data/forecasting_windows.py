"""Batches of synthetic windows to pretrain forecasters on: a seed in, contexts and what comes after them out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator

from tsformer.data.batch import Batch
from tsformer.data.forecasting_parts import Flags, coin, is_fast
from tsformer.data.forecasting_prior import draw_histories

# Seasons of batches and how often they are drawn; the rest has 2, 3, 5, 6 or any season from 2 to 60.
SEASONS = {12: 0.28, 1: 0.23, 4: 0.17, 24: 0.12, 7: 0.06, 52: 0.03, 96: 0.04, 48: 0.02, 168: 0.01}
HAVE_WEEKS = (24, 48, 96)  # seasons that are a day: a forecaster looks back a week
PATCH = 12  # time points of a token, by which a batch is measured
FAR = 0.25  # of batches without a season look far ahead, from long histories


@dataclass(frozen=True)
class SyntheticWindows:
    """Batches of new windows: contexts of unequal length, each with what comes after it.

    All windows of a batch have one season, context and horizon. Batch number i is drawn from (seed, i) alone.
    """

    n_batches: int
    tokens: int  # patches in a batch, about: those read, and half as many again as those forecast
    seed: int
    first: int = 0  # number of the first batch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        return map(self.draw, range(self.first, self.first + self.n_batches))

    def draw(self, number: int) -> Batch:
        """Draw a batch by its number: x, observed (B, T, 1), left-padded to T; y, y_observed (B, H)."""
        rng = np.random.default_rng([self.seed, number])
        season = _draw_season(rng)
        context, horizon = _draw_lengths(season, rng)
        n_tokens = 2 + -(-context // PATCH) + 1.5 * -(-horizon // PATCH)
        n = int(np.clip(self.tokens / n_tokens, 32, 512))
        values, observed = draw_histories(n, context + horizon, season, rng=rng)
        observed[:, :context] = _seen(observed[:, :context], season, rng)
        values[~observed] = 0.0
        x, y = torch.from_numpy(values).split([context, horizon], dim=1)
        x_observed, y_observed = torch.from_numpy(observed).split([context, horizon], dim=1)
        future = torch.zeros(n, horizon, 0, dtype=torch.float64)
        seasons = season, 7 * season if season in HAVE_WEEKS else 0
        return Batch(x[..., None], x_observed[..., None], y, y_observed=y_observed, future=future, seasons=seasons)


def _draw_season(rng: Generator) -> int:
    """Draw the season of a batch."""
    small, any_other = rng.choice([2, 3, 5, 6]), rng.integers(2, 61)
    rest = 1.0 - sum(SEASONS.values())
    return int(rng.choice(np.array([*SEASONS, small, any_other]), p=[*SEASONS.values(), rest / 2, rest / 2]))


def _draw_lengths(season: int, rng: Generator) -> tuple[int, int]:
    """Draw context and horizon: short ones most often, the context a multiple of a patch."""
    longest = max(180, min(21 * season, 504), min(7 * season, 1008))
    shortest = max(12 if season == 1 else 24, min(3 * season, 72), season)
    is_far = rng.random()
    skew = rng.random() ** (0.5 if season == 1 and is_far < FAR else 1.5 if season < 12 else 1.0)
    context = min(-(-shortest * (longest / shortest) ** skew // PATCH), longest // PATCH) * PATCH
    if is_fast(season):
        low, high = (720, 720) if is_far < 0.03 else (24, 336)
    elif season == 1:
        low, high = (192, 192) if is_far < 0.05 else (24, 96) if is_far < FAR else (4, 12)
    else:
        low, high = max(4, season // 4), max(12, min(3 * season, 104))
    return int(context), round(low * (high / low) ** rng.random())


def _seen(observed: Flags, season: int, rng: Generator) -> Flags:
    """Let histories (n, t) begin late, some with only 2 values, and some end with a missing value."""
    n, t = observed.shape
    usual = rng.integers(max(min(season + 3, t // 2), t // 3, min(6, t)), t + 1, n)
    short = np.round(2 * (t / 2) ** rng.random(n)).astype(int)
    length = np.choose(rng.choice(3, n, p=[0.65, 0.1, 0.25]), [usual, short, np.full(n, t)])
    begun = np.arange(t) >= t - length[:, None]
    n_missing = rng.integers(1, 4, (n, 1)) * coin(rng, n, 0.01)
    seen = begun & observed & (np.arange(t) < t - n_missing)
    return np.where(seen.sum(axis=1, keepdims=True) < 2, begun, seen)
