"""Batch: cases as tensors, the one form of data that models and training see; and its cutting into minibatches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Some cases, or all of them.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
        Series, padded at the end to one length; 0 where not observed.
    observed : bool Tensor of shape (B, T, C)
        True = a real value; False = a missing value or padding.
    y : Tensor of shape (B, ...), optional
        What is to be learned: class numbers (B,), target tokens (B, M), or the values of a horizon (B, H).
    weight : Tensor of shape (B,), optional
        Weights of the cases in the loss, 1 on average.
    y_observed : bool Tensor of shape (B, H), optional
        Which values of a horizon are real.
    future : Tensor of shape (B, H, n_future), optional
        Covariates known ahead.
    """

    x: Tensor
    observed: Tensor
    y: Tensor | None = None
    weight: Tensor | None = None
    y_observed: Tensor | None = None
    future: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def select(self, index: Tensor) -> "Batch":
        """Return the cases of `index`, without padding that none of them needs."""
        batch = self._map(lambda tensor: tensor[index])
        length = int(batch.observed.any(dim=-1).any(dim=0).nonzero().max()) + 1
        return replace(batch, x=batch.x[:, :length], observed=batch.observed[:, :length])

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: function(value) for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class Minibatches:
    """The cases of `data` in batches of nearly equal size, in a new random order each time it is gone through.

    Parameters
    ----------
    data : Batch
        All cases.
    size : int
        Largest number of cases in a batch.
    generator : torch.Generator, optional
        Draws the order; None keeps the order of the data.
    """

    data: Batch
    size: int
    generator: torch.Generator | None = None

    def __len__(self) -> int:
        return -(-len(self.data) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        if self.generator is None:
            order = torch.arange(len(self.data))
        else:
            order = torch.randperm(len(self.data), generator=self.generator)
        # Equal sizes rather than a small last batch: a batch of one case has no BatchNorm statistics.
        for index in order.tensor_split(len(self)):
            yield self.data.select(index)
