"""Objectives: functions (model, batch) -> loss, what a network is trained to make small."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.models.forecaster import LIMIT

Objective = Callable[[nn.Module, Batch], Tensor]

PADDING = -100  # a target that is none


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


def next_token(start: int, label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy of an encoder-decoder's next-token logits under teacher forcing.

    `batch.y` (B, M) holds the target tokens, the stop token last, and PADDING behind it.

    Parameters
    ----------
    start : int
        Token that precedes the first target.
    label_smoothing : float in [0, 1), default=0.0
        The 2017 paper used 0.1.
    """

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        if batch.y is None:
            raise ValueError("The next-token objective needs target tokens. Got a batch whose y is None.")
        before = F.pad(batch.y[:, :-1], (1, 0), value=start).clamp(min=0)
        logits = model(batch.x, batch.observed, before)
        return F.cross_entropy(
            logits.float().flatten(0, 1), batch.y.flatten(), ignore_index=PADDING, label_smoothing=label_smoothing
        )

    return objective


def forecasting(own_share: float) -> Objective:
    """Loss of a forecaster's head over the horizon, given the true patches before each, or its own.

    Parameters
    ----------
    own_share : float in [0, 1]
        Share of the batches in which the decoder reads its own roll-out instead of the truth, as it must in
        prediction: scheduled sampling by the whole sequence (Bengio et al. 2015). 0 is pure teacher forcing.
    """

    def objective(model: Any, batch: Batch) -> Tensor:  # a SeriesForecaster
        if batch.y is None or batch.y_observed is None or batch.future is None:
            raise ValueError("The forecasting objective needs a horizon. Got a batch without y, y_observed or future.")
        memory, scale, last = model.encode(batch.x, batch.observed)
        target = model.patches(scale.apply(batch.y).clamp(-LIMIT, LIMIT).to(last.dtype))
        observed, future = model.patches(batch.y_observed), model.patches(batch.future.to(last.dtype))
        # What the decoder reads is the patch before each: all but the last one.
        given, flags = target[:, :-1], observed[:, :-1].to(last.dtype)
        if torch.rand(()) < own_share and given.shape[1]:
            with torch.no_grad():
                given = model.roll_out(memory, scale, last, future[:, :-1])[1]
            flags = torch.ones_like(flags)
        before = torch.stack([torch.where(flags > 0, given, 0.0), flags], dim=-1)
        inputs = torch.cat([torch.cat([last.unsqueeze(1), before], dim=1), future], dim=-1)
        outputs = model(memory, inputs).float()
        return model.network.head.loss(outputs, target.float(), observed, scale.spread.unsqueeze(-1).float())

    return objective
