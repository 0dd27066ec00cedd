"""Objectives: functions (model, batch) -> loss, what a network is trained to make small."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer.data.batch import UNLABELLED, Batch
from tsformer.models.forecaster import in_patches
from tsformer.training import distributed

Objective = Callable[[nn.Module, Batch], Tensor]
View = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # alters series and their mask

PADDING = -100  # a target that is none
SMALLEST_STD = 1e-4  # of features within a task
RIDGE_PENALTIES = 0.03, 0.3  # of similarities, which are 1 at most
RIDGE_LOGIT = 3.0  # of what is regressed as 1
RAMP_UP = 0.3  # fraction of the steps in which the weight of consistency rises
CONFIDENT = 0.8  # probability of a class from which on a case without a label is taken to be of it


def classification(label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy of the logits, averaged over the batch with the weights of its cases.

    `label_smoothing` in [0, 1) of each label is spread evenly over all classes (Szegedy et al. 2016).
    """

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        if batch.y is None:
            raise ValueError("The classification objective needs labels. Got a batch whose y is None.")
        logits = model(batch.x, batch.observed)
        losses = F.cross_entropy(logits.float(), batch.y, label_smoothing=label_smoothing, reduction="none")
        return losses.mean() if batch.weight is None else (losses * batch.weight).mean()

    return objective


@dataclass(frozen=True)
class Consistency:
    """What is learned from cases with and without labels: an objective that is made once there is a teacher.

    `other` is a key of `CONSISTENCIES`. `weight` is that of its loss, once it has risen.
    """

    other: str
    label_smoothing: float
    weight: float

    @property
    def of_labels(self) -> Objective:
        """Its part that cases with labels have alone."""
        return classification(self.label_smoothing)

    def towards(self, teacher: nn.Module, n_steps: int) -> Objective:
        """Make the objective of a training: `teacher` is the average of the weights, which follows the network.

        Each forward pass in training sees another view of the cases: they are augmented.
        """
        disagreement, steps = CONSISTENCIES[self.other](teacher), itertools.count()

        def objective(model: nn.Module, batch: Batch) -> Tensor:
            if batch.y is None:
                raise ValueError("Consistency needs labels of some cases. Got a batch whose y is None.")
            logits = model(batch.x, batch.observed).float()
            each = torch.stack(
                [
                    F.cross_entropy(
                        logits, batch.y, ignore_index=UNLABELLED, label_smoothing=self.label_smoothing, reduction="none"
                    ),
                    disagreement(model, batch, logits),
                ]
            )
            weighted = each if batch.weight is None else each * batch.weight
            n_labelled = of_all_shares((batch.y != UNLABELLED).sum(), model).clamp(min=1)
            weight = self.weight * ramp_up(next(steps) / n_steps)
            return weighted[0].sum() / n_labelled + weight * weighted[1].mean()

        return objective


Disagreement = Callable[[nn.Module, Batch, Tensor], Tensor]  # of a network about each case (B,), given its logits


def pi(teacher: nn.Module) -> Disagreement:
    """Squared distance of the probabilities of two views of a case; no teacher needed (Laine & Aila 2017)."""

    def disagreement(model: nn.Module, batch: Batch, logits: Tensor) -> Tensor:
        return squared_distance(logits, model(batch.x, batch.observed).float())

    return disagreement


def mean_teacher(teacher: nn.Module) -> Disagreement:
    """Squared distance to the teacher's probabilities, which are of another view (Tarvainen & Valpola 2017)."""

    def disagreement(model: nn.Module, batch: Batch, logits: Tensor) -> Tensor:
        with torch.no_grad():
            expected = teacher(batch.x, batch.observed).float()
        return squared_distance(logits, expected)

    return disagreement


def pseudo_label(teacher: nn.Module) -> Disagreement:
    """Cross-entropy of what the teacher is sure of, of another view, for cases without labels (Lee 2013)."""

    def disagreement(model: nn.Module, batch: Batch, logits: Tensor) -> Tensor:
        with torch.no_grad():
            probability, guess = teacher(batch.x, batch.observed).float().softmax(dim=1).max(dim=1)
        counts = (probability >= CONFIDENT) & (batch.y == UNLABELLED)
        return F.cross_entropy(logits, guess, reduction="none") * counts

    return disagreement


CONSISTENCIES: dict[str, Callable[[nn.Module], Disagreement]] = {
    "pi": pi,
    "mean_teacher": mean_teacher,
    "pseudo_label": pseudo_label,
}


def squared_distance(logits: Tensor, others: Tensor) -> Tensor:
    """Return the squared distance (B,) between the probabilities that two sets of logits (B, K) stand for."""
    return (logits.softmax(dim=1) - others.softmax(dim=1)).square().sum(dim=1)


def ramp_up(progress: float) -> float:
    """Rise from 0.007 to 1 over the first part of the training (Laine & Aila 2017)."""
    return math.exp(-5.0 * (1.0 - min(1.0, progress / RAMP_UP)) ** 2)


def next_token(start: int, label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy of an encoder-decoder's next-token logits under teacher forcing; the 2017 paper smoothed by 0.1.

    `batch.y` (B, M) holds the target tokens, the stop token last, and PADDING behind it; the first follows `start`.
    """

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        if batch.y is None:
            raise ValueError("The next-token objective needs target tokens. Got a batch whose y is None.")
        before = F.pad(batch.y[:, :-1], (1, 0), value=start).clamp(min=0)
        logits = model(batch.x, batch.observed, before).float().flatten(0, 1)
        loss = F.cross_entropy(logits, batch.y.flatten(), ignore_index=PADDING, label_smoothing=label_smoothing)
        n_targets = (batch.y != PADDING).sum()
        return loss * (n_targets / of_all_shares(n_targets, model))

    return objective


def contrastive(view: View, temperature: float) -> Objective:
    """Tell which two of the altered series in a batch are views of one series, as the SimCLR of Chen et al. (2020).

    `view` alters series (B, T, 1) and their mask in a new way each time. `temperature` divides the cosines of the
    projections; smaller ones heed the most similar others more.
    """

    def objective(model: Any, batch: Batch) -> Tensor:  # a ChannelEncoder
        x, observed = model.prepare(batch.x, batch.observed)
        first, second = (model.project(*view(x, observed)).float() for _ in range(2))
        return info_nce(distributed.of_all(first, batch), distributed.of_all(second, batch), temperature)

    return objective


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding the other view of each series among all others (van den Oord et al. 2018).

    Row i of `first` and row i of `second`, both (B, D), are views of one series. Alone in a batch it is found at once.
    """
    views = F.normalize(torch.cat([first, second]), dim=1)
    with torch.autocast(views.device.type, enabled=False):  # it would round the cosines to three digits
        similarity = views @ views.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    other = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(similarity, other)


def tasks(n_cases: int, view: View, temperature: float, weight: float) -> Objective:
    """Classify cases left out by a head in closed form, task by task, and tell views apart as in `contrastive`.

    A batch holds labelled tasks of `n_cases` cases each, then series without a label (`UNLABELLED`), which the
    contrastive loss, of this `weight`, is of. Gradients go through a head that is solved for: Bertinetto et al. (2019),
    "Meta-learning with differentiable closed-form solvers".
    """
    alone = contrastive(view, temperature)

    def objective(model: Any, batch: Batch) -> Tensor:  # a ChannelEncoder
        if batch.y is None:
            raise ValueError("The tasks objective needs labels. Got a batch whose y is None.")
        n_labelled = int((batch.y != UNLABELLED).sum())
        labelled, others = batch.part(slice(0, n_labelled)), batch.part(slice(n_labelled, None))
        features = model.describe_tokens(*model.prepare(labelled.x, labelled.observed)).float()
        loss = left_out_loss(features.unflatten(0, (-1, n_cases)), batch.y[:n_labelled].unflatten(0, (-1, n_cases)))
        return loss + weight * alone(model, others) if len(others) else loss

    return objective


def left_out_loss(features: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of classes y (N, B) when kernel ridge regression on the others of its task predicts each case.

    Features (N, B, F) are squashed and compared as by the head of a frozen encoder. What it predicts for cases left out
    has a closed form.
    """
    n_cases = features.shape[1]
    features = features - features.mean(dim=1, keepdim=True)
    features = (features / (features.std(dim=1, keepdim=True) + SMALLEST_STD)).tanh()
    squares = features.square().sum(dim=2)
    distance = squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * features @ features.mT
    width = distance.detach().flatten(1).median(dim=1).values.clamp(min=1e-6)
    centring = torch.eye(n_cases, device=y.device) - 1 / n_cases
    kernel = centring @ torch.exp(-distance.clamp(min=0.0) / width[:, None, None]) @ centring
    n_classes = int(y.max()) + 1
    targets = 2.0 * F.one_hot(y, n_classes) - 1.0
    mean = targets.mean(dim=1, keepdim=True)
    missing = (torch.arange(n_classes, device=y.device) > y.amax(dim=1, keepdim=True)).unsqueeze(1)
    losses = []
    for penalty in RIDGE_PENALTIES:
        hat = torch.linalg.solve(kernel + penalty * torch.eye(n_cases, device=y.device), kernel).mT
        own = hat.diagonal(dim1=1, dim2=2).unsqueeze(2) + 1 / n_cases  # how much of its own target each takes in
        error = (targets - mean - hat @ (targets - mean)) / (1 - own).clamp(min=1e-3)
        logits = (RIDGE_LOGIT * (targets - error)).masked_fill(missing, -torch.inf)
        losses.append(F.cross_entropy(logits.flatten(0, 1), y.flatten()))
    return torch.stack(losses).mean()


def reconstruction(fraction: float, n_spans: int = 16) -> Objective:
    """Mean squared error of values that were masked from the encoder, in standard deviations of their series.

    A `fraction` of the `n_spans` equal spans of each series is masked, as in Zerveas et al. (2021).
    """

    def objective(model: Any, batch: Batch) -> Tensor:  # a ChannelEncoder
        values, observed = model.inputs(*model.prepare(batch.x, batch.observed))
        n_cases, n_timepoints, _ = values.shape
        order = torch.rand(n_cases, n_spans, device=values.device).argsort(dim=1)
        span = torch.arange(n_timepoints, device=values.device) * n_spans // n_timepoints
        masked = (order < max(1, round(fraction * n_spans)))[:, span]  # (B, T)
        # The difference to the last masked value, one later, would give it away.
        visible = torch.stack([~masked, ~(masked | masked.roll(1, dims=1))], dim=-1)
        tokens, _ = model.encoder(torch.where(visible, values, 0.0), observed & visible)
        guess = model.head(tokens).float().flatten(1)[:, :n_timepoints]
        scored = masked & observed[..., 0]
        n_scored = of_all_shares(scored.sum(), model)
        return ((guess - values[..., 0]).square() * scored).sum() / n_scored.clamp(min=1)

    return objective


def hide_covariates(batch: Batch, fraction: float) -> Batch:
    """Hide each covariate in a random fraction of the windows, from context and horizon; it becomes 0, the mean."""
    n_covariates = batch.x.shape[2] - 1
    if not n_covariates or batch.future is None:
        return batch
    kept = torch.rand(len(batch.x), 1, n_covariates, device=batch.x.device) >= fraction
    with_series = F.pad(kept, (1, 0), value=True)  # the series itself comes first, what is known ahead last
    return replace(
        batch,
        x=batch.x * with_series,
        observed=batch.observed & with_series,
        future=batch.future * kept[..., n_covariates - batch.future.shape[2] :],
    )


def forecasting(scheduled_sampling: float) -> Objective:
    """Loss of a forecaster's head over the horizon, given the true patches before each, or its own.

    Windows are weighted so that errors count in units of the seasonal change within the window, as in MASE. In training
    each covariate is hidden in half of the windows, so that the network does not learn the series by heart from it.

    In a fraction `scheduled_sampling` of the batches the decoder reads its own roll-out instead of the truth, as it
    must in prediction (Bengio et al. 2015; here by the whole sequence), and is told so. 0 is pure teacher forcing.
    """

    def objective(model: Any, batch: Batch) -> Tensor:  # a SeriesForecaster
        if model.training:
            batch = hide_covariates(batch, 0.5)
        window, target, observed = prepare(model, batch)
        if torch.rand(()) < scheduled_sampling and target.shape[1] > 1:
            with torch.no_grad():
                before = model.as_input(model.roll_out(window)[1][:, :-1], known=False)
        else:
            before = known_patches(model, target, observed)
        outputs = model(window, torch.cat([window.last.unsqueeze(1), before], dim=1)).float()
        scale = window.scale
        losses = model.head.losses(outputs, target.float(), scale.spread.unsqueeze(-1).float())
        weight = scale.weight.unsqueeze(-1) * observed
        return (losses * weight).sum() / of_all_shares(weight.sum(), model).clamp(min=1e-6)

    return objective


def of_all_shares(divisor: Tensor, model: nn.Module) -> Tensor:
    """Return what to divide a sum by: in training the mean over processes, each of which has a share of the batch."""
    return distributed.mean(divisor) if model.training else divisor


def prepare(model: Any, batch: Batch) -> tuple[Any, Tensor, Tensor]:
    """Encode windows: what the decoder knows of them, and their targets, scaled, with a mask, (B, M, P) each."""
    if batch.y is None or batch.y_observed is None or batch.future is None:
        raise ValueError("Forecasting needs a horizon. Got a batch without y, y_observed or future.")
    window = model.encode(batch.x, batch.observed, batch.future, batch.seasons)
    target = in_patches(window.scale.apply(batch.y).clamp(-model.limit, model.limit).to(window.last.dtype))
    has_history = batch.observed[..., 0].any(dim=1, keepdim=True)  # without it there is no scale either
    return window, target, in_patches(batch.y_observed & has_history)


def known_patches(model: Any, target: Tensor, observed: Tensor) -> Tensor:
    """What the decoder reads before each patch but the first where the truth is known: (B, M - 1, P, 2)."""
    shown = model.as_input(torch.where(observed, target, 0.0)[:, :-1], known=True)
    return torch.stack([shown[..., 0], observed[:, :-1].to(shown.dtype)], dim=-1)
