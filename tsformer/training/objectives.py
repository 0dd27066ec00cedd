"""Objectives: functions (model, batch) -> loss, what a network is trained to make small."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.data.batch import Batch

Objective = Callable[[nn.Module, Batch], Tensor]


def classification(label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy of the logits, averaged over the batch with the weights of its cases.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default=0.0
        Share of each label spread evenly over all classes (Szegedy et al. 2016).
    """

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        if batch.y is None:
            raise ValueError("The classification objective needs labels. Got a batch whose y is None.")
        logits = model(batch.x, batch.observed)
        losses = F.cross_entropy(logits.float(), batch.y, label_smoothing=label_smoothing, reduction="none")
        return losses.mean() if batch.weight is None else (losses * batch.weight).mean()

    return objective
