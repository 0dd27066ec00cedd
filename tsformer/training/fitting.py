"""The one way from data to a fitted network: a Problem and training parameters in, a Fitted out."""

import copy
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.model_selection import train_test_split
from torch import nn

from tsformer.data.batch import Batch, Minibatches, StoredCases, batches_of
from tsformer.data.messages import warn_user
from tsformer.params import TrainingParams, values_of
from tsformer.training import distributed
from tsformer.training.callbacks import SILENT, Task
from tsformer.training.devices import draw_seeds, placed, resolve_device, seeded, set_seed, to_cpu
from tsformer.training.loop import EarlyStopping, History, end_early, train
from tsformer.training.objectives import Consistency, Objective
from tsformer.training.optim import Schedule, WeightAverage, adamw, constant, cosine
from tsformer.training.parallel import at_a_time, side_by_side
from tsformer.training.waiting import UNWATCHED, Waiting, waiting_for

Attributes = Callable[[Any], dict[str, Any]]
Moments = dict[str, Any]
Validation = tuple[Iterable[Batch], Objective]  # what is not trained on, and what early stopping measures on it

LOG = logging.getLogger("tsformer")

WARMUP = 0.1  # fraction of the steps in which the learning rate rises; .05 and .2 measured no better


class Problem(NamedTuple):
    """What a network is to learn, and from what.

    `start` makes the network that training begins with; its new weights are drawn from torch's generator.
    """

    start: Callable[[], nn.Module]
    batches: Callable[[torch.Generator], Iterable[Batch]]  # in an order that is drawn from the generator
    n_batches: int  # of an epoch
    objective: Objective | Consistency
    finish: Callable[[Any, Iterable[Batch]], None] | None = None  # learns from batches what comes after the weights


class Fitted(NamedTuple):
    """A fitted network, how it came about, and the optimiser's moments, to go on from."""

    model: Any
    history: History
    moments: Moments


def fit_network(
    problem: Problem,
    params: TrainingParams,
    *,
    validation: Validation | None = None,
    refit: Problem | None = None,
    task: Task = SILENT,
    title: str = "network",
    waiting: Waiting = UNWATCHED,
    attributes: Attributes = lambda network: {},
) -> Fitted:
    """Train a network by a cosine schedule; a function of its arguments, which touches no state but the task's.

    `params` are settled: steps and batches are numbers, and the random state is a seed. After early stopping, `refit`,
    which has all cases, is trained on anew for as many steps as were best; Ctrl-C in it leaves what was before. The
    training is a part of the callbacks'
    `task`, called `title`; they may ask what an estimator's fitted `attributes` were, did it end with a network. Steps
    of both are of what is `waiting` for.
    """
    n_steps: Any = params.max_steps
    warmup_steps, early_stopping = round(WARMUP * n_steps), None
    if validation is not None:
        early_stopping = EarlyStopping(*validation, params.n_iter_no_change, params.tol, warmup_steps)
    training = task.part(title, math.ceil(n_steps / problem.n_batches))

    def after_epoch(network: nn.Module) -> bool:
        training.part("epoch").end(lambda: attributes(copy.deepcopy(network)))
        return training.stopped

    with waiting.network(title):
        fitted = _train(problem, params, cosine(n_steps, warmup_steps), early_stopping, waiting, after_epoch)
    training.end(lambda: attributes(fitted.model))
    waiting.leave_out(n_steps - (fitted.history.step or [0])[-1])
    if refit is None or validation is None:
        return fitted
    waiting.leave_out(n_steps - fitted.history.best_step)
    if fitted.history.interrupted or not fitted.history.best_step:
        return fitted
    params = replace(params, max_steps=fitted.history.best_step)
    again = fit_network(refit, params, task=task, title=f"{title}, refit", waiting=waiting, attributes=attributes)
    return fitted._replace(history=replace(fitted.history, interrupted=True)) if again.history.interrupted else again


def fit_pass(problem: Problem, params: TrainingParams, moments: Moments | None = None) -> Fitted:
    """Train for one pass at a constant learning rate; `moments` are those of the optimiser after the last pass.

    Ctrl-C is not kept back: of half a pass nobody could say which cases were learned from.
    """
    params = replace(params, max_steps=problem.n_batches, average_decay=None)
    fitted = _train(problem, params, constant(problem.n_batches, 0), moments=moments)
    if fitted.history.interrupted:
        raise KeyboardInterrupt
    return fitted


def _train(
    problem: Problem,
    params: Any,
    schedule: Schedule,
    early_stopping: EarlyStopping | None = None,
    waiting: Waiting = UNWATCHED,
    after_epoch: Callable[[nn.Module], bool] | None = None,
    *,
    moments: Moments | None = None,
) -> Fitted:
    """Put a network, its optimiser and batches in place for `train`."""
    device = resolve_device(params.device)
    with seeded(params.random_state, device) as generator:
        model = problem.start().to(device, torch.float32)
        distributed.spread(model)
        if rank := distributed.processes()[0]:  # what is random in training differs from share to share
            set_seed(draw_seeds(params.random_state, rank + 1)[rank], device)
        optimizer = adamw(model, params.learning_rate, params.weight_decay)
        if moments is not None:  # not the whole state: the learning rate may have been set anew
            optimizer.load_state_dict(optimizer.state_dict() | {"state": copy.deepcopy(moments)})
        batches = problem.batches(generator)
        average = None if params.average_decay is None else WeightAverage(model, params.average_decay)
        objective = problem.objective
        if isinstance(objective, Consistency):
            objective = objective.towards(model if average is None else average.model, params.max_steps)
        history = train(
            model,
            objective,
            batches,
            optimizer,
            schedule,
            n_steps=params.max_steps,
            average=average,
            precision=getattr(torch, params.precision),
            early_stopping=early_stopping,
            waiting=waiting,
            after_epoch=after_epoch,
        )
        distributed.spread(model)
        if problem.finish is not None:
            problem.finish(model, batches)
    return Fitted(placed(model, device), history, to_cpu(optimizer.state_dict()["state"]))


def settled(estimator: TrainingParams, *, max_steps: int, batch_size: int, seed: int) -> TrainingParams:
    """Return an estimator's training parameters alone, with numbers in place of "auto" and of the random state."""
    params = TrainingParams(**values_of(TrainingParams, estimator))
    return replace(params, max_steps=max_steps, batch_size=batch_size, random_state=seed)


def steps_ahead(n_networks: int, params: Any, *, refits: bool) -> int:
    """Count the steps of networks, each perhaps trained twice, at most."""
    return int(n_networks * params.max_steps * (2 if refits else 1))


def log_end(estimator: object, histories: list[History], waiting: Waiting = UNWATCHED) -> None:
    """Log what the trainings of a fit came to, and tell who waited that it is over."""
    waiting.end()
    seconds = sum(history.seconds[-1] for history in histories if history.seconds)
    steps = ", ".join(str(history.best_step) for history in histories) or "none"
    losses = ", ".join(f"{history.loss[-1]:.4g}" if history.loss else "none" for history in histories) or "none"
    about = f"steps behind the weights: {steps}, last training loss: {losses}"
    LOG.info(f"{type(estimator).__name__}: fitted in {seconds:.1f} s; {about}.")


# Networks that learn from cases.

Start = Callable[[StoredCases], nn.Module]  # from the training cases to the network that training begins with


def copy_of(network: nn.Module, cases: StoredCases) -> nn.Module:
    """Begin with a copy of a fitted network, whatever the cases."""
    return copy.deepcopy(network)


class Split(NamedTuple):
    """Cases to train on, those that early stopping measures, and those to train on anew after it."""

    training: StoredCases
    validation: StoredCases | None = None
    refit: StoredCases | None = None


def split_cases(cases: StoredCases, params: TrainingParams, seed: int, validation: StoredCases | None = None) -> Split:
    """Split off cases for early stopping, with the proportions of the classes if labelled, unless they are given."""
    if validation is not None or not params.early_stopping:
        return Split(cases, validation)
    fraction = params.validation_fraction
    try:
        kept, held = train_test_split(np.arange(len(cases)), test_size=fraction, random_state=seed, stratify=cases.y)
    except ValueError as error:
        other_cases = "" if cases.y is None else "give fit X_val and y_val, "
        raise ValueError(
            f"early_stopping could not hold back validation_fraction={fraction} of {len(cases)} cases: "
            f"{str(error).rstrip('.')}. Change validation_fraction, {other_cases}or set early_stopping=False."
        ) from error
    return Split(cases.subset(kept), cases.subset(held), cases if params.refit else None)


def settled_for_cases(params: TrainingParams, cases: StoredCases, seed: int) -> TrainingParams:
    """Return the training parameters with what "auto" stands for when these cases are trained on."""
    n_cases, n_timepoints = len(cases), cases.n_timepoints
    batch_size, max_steps = params.batch_size, params.max_steps
    if batch_size == "auto":
        batch_size = 16 if n_cases < 1000 else 64
    if max_steps == "auto":
        most = 1200 * 1024 // max(1024, n_timepoints)  # a step on a long series takes long
        max_steps = max(400, min(60 * math.ceil(n_cases / batch_size), most))
    return settled(params, max_steps=int(max_steps), batch_size=batch_size, seed=seed)


def fit_to_cases(
    starts: Sequence[Start],
    splits: Sequence[Split],
    objective: Objective | Consistency,
    estimator: TrainingParams,
    seed: int,
    *,
    beside: Callable[[], Any] | None = None,
    task: Task = SILENT,
    attributes: Callable[[list[Any], Any], dict[str, Any]] = lambda networks, made: {},
) -> tuple[list[Fitted], Any]:
    """Fit networks to the same cases until one is interrupted or a callback wants no more; return what is `beside` too.

    Networks take the `splits` in turn. An estimator with n_jobs has that many made at a time, `beside` first. There may
    be "auto" among its parameters. `attributes` takes the list of the networks so far and what is beside, else
    it is as in `fit_network`.
    """
    cases = splits[0].training
    params = settled_for_cases(estimator, cases, seed)
    classes = "" if cases.y is None else f" and {len(cases.y.unique())} classes"
    LOG.info(
        f"{type(estimator).__name__}: {len(cases)} cases of {cases.n_channels} channels, up to {cases.n_timepoints} "
        f"time points"
        f"{classes}; networks: {len(starts)}, on {resolve_device(estimator.device)}, each for at most "
        f"{params.max_steps} steps of up to {params.batch_size} cases."
    )
    made, members, n_jobs = None, list[Fitted](), getattr(estimator, "n_jobs", 1)

    def told(network: nn.Module) -> dict[str, Any]:
        return attributes([*(member.model for member in members), network], made)

    how: dict[str, Any] = {}
    if task is not SILENT:
        n_jobs, how = _one_job(n_jobs), {"task": task, "attributes": told}
    waiting = waiting_for(estimator, steps_ahead(len(starts), params, refits=splits[0].refit is not None))
    own = zip(starts, draw_seeds(seed, len(starts)), itertools.cycle(splits), strict=False)
    trainings: list[Callable[[], Any]] = [
        partial(_training(*each, objective, estimator), **how, **_told_as(i, len(starts), waiting, n_jobs))
        for i, each in enumerate(own)
    ]
    results = side_by_side([*([] if beside is None else [beside]), *trainings], n_jobs)
    made = None if beside is None else next(results)
    try:
        for member in results:
            members.append(member)
            if member.history.interrupted or task.stopped:
                break
    except KeyboardInterrupt as stop:
        if not members:
            raise
        end_early(stop, f"after {len(members)} of {len(starts)} networks")
    log_end(estimator, [member.history for member in members], waiting)
    return members, made


def _training(
    start: Start, seed: int, split: Split, objective: Objective | Consistency, estimator: Any
) -> Callable[..., Fitted]:
    """Put the training of a network together; a worker may get it, so it knows nothing of the estimator."""
    problem, params = _problem_of(start, split.training, objective, estimator, seed)
    validation = refit = None
    if split.validation is not None:
        measured = objective.of_labels if isinstance(objective, Consistency) else objective
        validation = Minibatches(split.validation, params.batch_size), measured
    if split.refit is not None:
        refit = _problem_of(start, split.refit, objective, estimator, seed)[0]
    return partial(fit_network, problem, params, validation=validation, refit=refit)


def _told_as(i: int, n_networks: int, waiting: Waiting, n_jobs: int | None) -> dict[str, Any]:
    """What network i is called, and who is told of its steps: if it has a process of its own, nobody of the others'."""
    own = waiting.in_process(i, n_networks, n) if (n := at_a_time(n_jobs)) > 1 else waiting
    return {"waiting": own, "title": f"network {i + 1} of {n_networks}" if n_networks > 1 else "network"}


def _one_job(n_jobs: int | None) -> int:
    if effective_n_jobs(n_jobs) > 1:
        warn_user(f"Callbacks hear of one network after the other: n_jobs={n_jobs} has no effect. Drop either.")
    return 1


def pass_over_cases(
    starts: Sequence[Start],
    cases: StoredCases,
    objective: Objective,
    estimator: TrainingParams,
    seed: int,
    moments: Sequence[Moments | None],
) -> list[Fitted]:
    """Train each network for one pass over the cases, from the optimiser's moments of its last one."""
    each = zip(starts, draw_seeds(seed, len(starts)), moments, strict=True)
    return [fit_pass(*_problem_of(start, cases, objective, estimator, own), known) for start, own, known in each]


def _problem_of(
    start: Start, cases: StoredCases, objective: Objective | Consistency, params: Any, seed: int
) -> tuple[Problem, Any]:
    """Pose the problem of learning from cases, and settle the parameters for it."""
    params = settled_for_cases(params, cases, seed)
    batches = partial(batches_of, cases, params.batch_size)
    return Problem(partial(start, cases), batches, len(batches()), objective), params
