"""The loop: exact steps, the weights that are kept, and what happens when training goes wrong or is interrupted."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tsformer.data.augment import standard_augmentation
from tsformer.data.batch import Batch, Minibatches
from tsformer.layers.pooling import MeanPooling
from tsformer.layers.scaling import ChannelScaler
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.encoders import ENCODERS
from tsformer.training.loop import EarlyStopping, History, evaluate, joined, train
from tsformer.training.objectives import classification
from tsformer.training.optim import WeightAverage, adamw, constant, cosine
from tsformer.training.waiting import Waiting

CPU = torch.device("cpu")


class Level(nn.Module):
    """A single weight; `uphill` pushes it up by the learning rate at each step of plain gradient descent."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


def uphill(model: Level, batch: Batch) -> torch.Tensor:
    return -model.weight


def distance_to_1(model: Level, batch: Batch) -> torch.Tensor:
    return (model.weight - 1.0).square()


def random_data(n_cases: int = 10) -> Batch:
    x = torch.randn(n_cases, 12, 2)
    observed = (torch.arange(12) < torch.randint(4, 13, (n_cases, 1))).unsqueeze(-1).expand_as(x)
    return Batch(x.masked_fill(~observed, 0.0), observed, torch.arange(n_cases) % 2)


def averaged(model, decay):
    return None if decay is None else WeightAverage(model, decay)


def climb(learning_rate=0.1, n_cases=4, size=4, objective=uphill, schedule=lambda step: 1.0, average_decay=None, **how):
    """Train a Level; returns it and the history."""
    model = Level()
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    batches = Minibatches(random_data(n_cases), size)
    return model, train(model, objective, batches, optimizer, schedule, average=averaged(model, average_decay), **how)


def classify(seed: int = 0, encoder: str = "conv_stem", objective=None, average_decay=None, **how):
    """Train a small classifier with all that is random in it; returns it and the history."""
    data = random_data()
    torch.manual_seed(seed)
    network = ENCODERS[encoder](2, 12, d_model=16, n_heads=2, n_layers=1, d_ff=16, dropout=0.1)
    model = SeriesClassifier(ChannelScaler(2), standard_augmentation, None, network, MeanPooling(16), nn.Linear(16, 2))
    batches = Minibatches(data, 4, torch.Generator().manual_seed(seed))
    optimizer = adamw(model, 3e-3, 0.05)
    how = {"n_steps": 8, "average": averaged(model, average_decay)} | how
    return model, train(model, objective or classification(), batches, optimizer, cosine(8, 2), **how)


def stopping(objective=distance_to_1, patience=3, **how):
    return EarlyStopping(Minibatches(random_data(), 4), objective, patience, **how)


# Steps


def test_train__steps_that_end_within_an_epoch__are_exact():
    model, history = climb(n_cases=10, size=4, n_steps=7)
    assert model.weight.item() == pytest.approx(0.7)
    assert history.step == [3, 6, 7]
    assert history.best_step == 7
    assert not history.interrupted
    assert not model.training


def test_train__schedule__multiplies_the_learning_rate_of_each_step():
    model, history = climb(learning_rate=2.0, n_steps=4, schedule=lambda step: [0.1, 0.2, 0.4, 0.8, 9.0][step])
    assert model.weight.item() == pytest.approx(2.0 * (0.1 + 0.2 + 0.4 + 0.8))
    assert history.learning_rate == pytest.approx([0.4, 0.8, 1.6, 18.0])


def test_train__history__holds_the_mean_loss_of_each_epoch():
    _, history = climb(n_cases=10, size=5, n_steps=6)
    assert history.loss == pytest.approx([-0.05, -0.25, -0.45])
    assert set(history.as_dict()) == {"step", "loss", "learning_rate", "seconds"}
    assert {len(column) for column in history.as_dict().values()} == {3}
    assert history.seconds == sorted(history.seconds)


def test_train__average__is_kept_in_place_of_the_last_weights():
    model, _ = climb(n_steps=5, average_decay=0.2)
    expected = 0.1
    for n in range(1, 5):
        decay = min(0.2, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * 0.1 * (n + 1)
    assert model.weight.item() == pytest.approx(expected)


def test_train__no_steps__leaves_the_model_as_it_was_in_eval_mode():
    model, history = climb(n_steps=0, average_decay=0.9)
    assert model.weight.item() == 0.0
    assert not model.training
    assert history.as_dict() == {}


def test_train__model_in_eval_mode__is_trained_in_training_mode_between_validations():
    modes = []

    def noting_the_mode(model, batch):
        modes.append(model.training)
        return uphill(model, batch)

    model = Level().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = Minibatches(random_data(), 4)
    train(model, noting_the_mode, batches, optimizer, constant(6, 0), n_steps=6, early_stopping=stopping())
    assert modes == [True] * 6


# Early stopping


def test_train__validation_loss_rises__stops_after_patience_with_the_best_weights():
    model, history = climb(n_steps=100, early_stopping=stopping())
    assert model.weight.item() == pytest.approx(1.0)
    assert history.best_step == 10
    assert history.step[-1] == 13
    assert history.validation_loss == pytest.approx([(0.1 * step - 1.0) ** 2 for step in range(1, 14)], abs=1e-6)
    assert {len(column) for column in history.as_dict().values()} == {13}


def test_train__gains_within_the_tolerance__stop_but_the_best_weights_stay_the_best():
    model, history = climb(learning_rate=0.01, n_steps=100, early_stopping=stopping(tolerance=0.5))
    assert history.step[-1] == 3
    assert history.best_step == 3
    assert model.weight.item() == pytest.approx(0.03)


def test_train__steps_that_only_harm__leave_the_weights_as_they_were():
    away = stopping(lambda model, batch: model.weight.square().sum())
    model, history = climb(n_steps=100, early_stopping=away)
    assert (history.step[-1], history.best_step) == (3, 0)
    assert model.weight.item() == 0.0


def test_train__early_stopping_with_average__measures_and_keeps_the_averaged_weights():
    model, history = climb(n_steps=30, average_decay=0.8, early_stopping=stopping(patience=30))
    assert history.best_step > 10
    assert (model.weight.item() - 1.0) ** 2 == pytest.approx(min(history.validation_loss))


def test_train__steps_run_out_before_patience__keeps_the_best_weights():
    model, history = climb(n_steps=12, early_stopping=stopping(patience=50))
    assert (history.step[-1], history.best_step) == (12, 10)
    assert model.weight.item() == pytest.approx(1.0)


def test_evaluate__batches_of_different_sizes__is_the_mean_over_cases():
    seen = []

    def number_of_cases(model, batch):
        seen.append((len(batch), model.training, torch.is_grad_enabled()))
        return torch.tensor(float(len(batch)))

    model = Level().train()
    loss = evaluate(model, number_of_cases, Minibatches(random_data(10), 4), CPU)
    assert seen == [(4, False, False), (3, False, False), (3, False, False)]
    assert loss == pytest.approx((4 * 4 + 3 * 3 + 3 * 3) / 10)
    assert model.training


# When it goes wrong


def interrupt_at(call: int, objective):
    """The objective, but its call number `call` is where the user presses Ctrl-C."""
    calls = iter(range(1, 1000))

    def interrupted(model, batch):
        if next(calls) == call:
            raise KeyboardInterrupt
        return objective(model, batch)

    return interrupted


@pytest.mark.parametrize("average_decay", [None, 0.9])
@pytest.mark.parametrize("call", [1, 2, 6])
def test_train__interrupted__leaves_a_usable_model_in_eval_mode_with_a_warning(call, average_decay):
    objective = interrupt_at(call, classification())
    with pytest.warns(UserWarning, match=rf"^Training interrupted by user after {call - 1} steps\.$"):
        model, history = classify(objective=objective, n_steps=20, average_decay=average_decay)
    data = random_data()
    assert not model.training
    assert model(data.x, data.observed).isfinite().all()
    assert history.best_step == call - 1
    assert history.interrupted
    assert {len(column) for column in history.as_dict().values()} <= {(call - 1) // 3}


def test_train__interrupted__keeps_the_weights_of_the_steps_done():
    with pytest.warns(UserWarning, match="interrupted by user after 4 steps"):
        model, _ = climb(objective=interrupt_at(5, uphill), n_steps=20)
    assert model.weight.item() == pytest.approx(0.4)


def test_train__interrupted_after_the_best_step__keeps_the_best_weights():
    with pytest.warns(UserWarning, match="interrupted by user after 12 steps"):
        model, history = climb(objective=interrupt_at(13, uphill), n_steps=20, early_stopping=stopping(patience=50))
    assert history.best_step == 10
    assert model.weight.item() == pytest.approx(1.0)


def test_train__interrupted_while_validating__keeps_columns_of_equal_length():
    """pandas.DataFrame(clf.history_) must not fail afterwards."""
    validation = stopping(interrupt_at(11, distance_to_1))  # of three batches: in the fourth validation
    with pytest.warns(UserWarning, match="interrupted by user after 3 steps"):
        model, history = climb(n_steps=20, early_stopping=validation)
    columns = history.as_dict()
    assert set(columns) == {"step", "loss", "learning_rate", "validation_loss", "seconds"}
    assert len({len(column) for column in columns.values()}) == 1
    assert not model.training


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_train__loss_that_is_not_finite__is_an_error_that_names_step_and_remedy(bad):
    calls = iter(range(100))

    def breaks_at_step_4(model, batch):
        return model.weight * (bad if next(calls) == 4 else 1.0) + (bad if math.isinf(bad) else 0.0)

    with pytest.raises(ValueError, match=rf"training loss became {bad} by step \d+\. Lower the learning rate"):
        climb(objective=breaks_at_step_4, n_cases=10, size=4, n_steps=20)


# Precision and repeatability


@pytest.mark.parametrize("encoder", ENCODERS)
def test_train__bfloat16__runs_in_mixed_precision_with_float32_weights(encoder):
    used = set()

    def objective(model, batch):
        used.add(model.head(torch.zeros(1, 16)).dtype)
        return classification()(model, batch)

    model, history = classify(encoder=encoder, objective=objective, precision=torch.bfloat16, n_steps=12)
    assert used == {torch.bfloat16}
    assert all(math.isfinite(loss) for loss in history.loss)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_train__same_seed__gives_the_same_weights_and_another_seed_others(encoder):
    fit = partial(classify, encoder=encoder, average_decay=0.9)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(0)  # the same data
        results.append(fit(seed)[0].state_dict())
    first, same, other = results
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.allclose(first["head.weight"], other["head.weight"])


def test_train__warm_up_from_constant_schedule__starts_low():
    _, history = climb(n_steps=3, schedule=constant(3, 3))
    assert history.loss == pytest.approx([0.0, -0.1 / 3, -0.1])


def test_train__progress__shows_a_bar_that_ends(capsys):
    waiting = Waiting("Level", 6, has_bar=True)
    with waiting.network("network"):
        climb(n_steps=6, waiting=waiting)
    waiting.end()
    shown = capsys.readouterr().err
    assert "network: " in shown
    assert "6/6" in shown
    assert "loss=" in shown
    climb(n_steps=6)
    assert capsys.readouterr().err == ""


def test_joined__column_that_one_network_lacks__is_nan():
    row = {"step": 1, "loss": 0.5, "learning_rate": 0.1, "seconds": 1.0}
    one, other = History(), History()
    one.add(row, validation_loss=0.25)
    other.add(row)
    table = joined([one, other])
    assert table["network"] == [0, 1]
    np.testing.assert_array_equal(table["validation_loss"], [0.25, np.nan])
