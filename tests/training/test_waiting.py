"""Waiting: what is told of a fit, by a clock that the test turns."""

import io
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tqdm.auto import tqdm

from tsformer import (
    SemiSupervisedTransformerClassifier,
    TransformerClassifier,
    TransformerDetector,
    TransformerForecaster,
)
from tsformer.training import waiting
from tsformer.training.waiting import Waiting, in_words, waiting_for


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch) -> Terminal:
    """Let every fit be long, and stderr be a terminal: in the test itself, since a fixture's is replaced by pytest."""
    stream = Terminal()
    for owner, name, value in ((waiting, "TOLD_FROM", 0.0), (waiting, "MEASURED", 0.0), (sys, "stderr", stream)):
        monkeypatch.setattr(owner, name, value)
    return stream


def steps(told: Waiting, clock: Clock, n: int, seconds: float) -> None:
    for _ in range(n):
        clock.now += seconds
        told.step()


def test_step__long_fit__tells_once_about_how_long_all_networks_take_and_at_the_end(capsys):
    clock = Clock()
    told = Waiting("Fit", 400, has_lines=True, clock=clock)
    clock.now += 5.0  # before the networks
    steps(told, clock, 1, 3.0)  # the first step takes longer
    assert capsys.readouterr().err == ""
    steps(told, clock, 300, 0.5)
    assert capsys.readouterr().err == "Fit: fit will take about 3.5 min. verbose=True shows how far it is.\n"
    steps(told, clock, 99, 0.5)
    told.end()
    assert capsys.readouterr().err == "Fit: fitted in 3.5 min.\n"


def test_step__short_fit__tells_nothing(capsys):
    clock = Clock()
    told = Waiting("Fit", 90, has_lines=True, clock=clock)
    steps(told, clock, 90, 0.1)
    told.end()
    assert capsys.readouterr().err == ""


def test_step__one_fit_of_few_slow_steps__is_told_after_the_second(capsys):
    clock = Clock()
    told = Waiting("Fit", 4, has_lines=True, clock=clock)
    steps(told, clock, 2, 20.0)
    assert "about 80 s" in capsys.readouterr().err


def test_leave_out__steps_that_early_stopping_saved__shortens_bar_and_estimate(capsys):
    told = Waiting("Fit", 30, has_bar=True)
    with told.network("network 1 of 2"):
        told.step()
    told.leave_out(20)
    told.end()
    assert "1/10" in capsys.readouterr().err.splitlines()[-1].split("\r")[-1]


def test_in_process__networks_side_by_side__count_those_that_come_one_after_the_other():
    whole = Waiting("Fit", 500, has_bar=True, has_lines=False)
    own = [whole.in_process(i, 5, 2) for i in range(5)]
    assert [(each.n_steps, each.done) for each in own] == [(300, 0), (300, 0), (300, 100), (300, 100), (300, 200)]
    assert [each.has_bar for each in own] == [True, False, True, False, True]
    lines = Waiting("Fit", 500, has_lines=True)
    assert [lines.in_process(i, 5, 2).has_lines for i in range(5)] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("seconds", "words"), [(12.4, "12 s"), (89, "89 s"), (120, "2 min"), (1000, "17 min"), (9000, "2.5 h")]
)
def test_in_words__seconds__are_rounded_as_people_do(seconds, words):
    assert in_words(seconds) == words


SLOW = pytest.mark.slow  # a process takes seconds to start
X, Y = np.random.default_rng(0).normal(size=(12, 2, 20)), np.array([0, 1] * 6)
SMALL = {"max_steps": 3, "batch_size": 4, "d_model": 16, "n_heads": 1, "n_layers": 1, "d_ff": 16, "random_state": 0}
NETWORKS = {**SMALL, "pretrained": None, "n_estimators": 2}


def fits():
    partly = np.where(np.arange(12) < 8, Y, -1)
    series = np.sin(np.arange(150.0))
    return {
        "classifier": lambda: TransformerClassifier(**NETWORKS).fit(X, Y),
        "two jobs": lambda: TransformerClassifier(**NETWORKS, n_jobs=2).fit(X, Y),
        "refits": lambda: TransformerClassifier(
            **NETWORKS, early_stopping=True, validation_fraction=0.4, refit=True
        ).fit(X, Y),
        "semi-supervised": lambda: SemiSupervisedTransformerClassifier(**NETWORKS, method="pi").fit(X, partly),
        "forecaster": lambda: TransformerForecaster(**SMALL, pretrained=None, horizon=4).fit(pd.Series(series)),
        "detector": lambda: TransformerDetector(max_steps=3, random_state=0).fit(series),
    }


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=SLOW if kind == "two jobs" else ()) for kind in fits()])
def test_fit__at_a_terminal__says_how_long_and_how_long_it_took(kind, monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    fits()[kind]()
    lines = terminal.getvalue().splitlines()
    # The first line of two jobs is a worker's, which has a stderr of its own.
    expected = ["fitted in"] if kind == "two jobs" else ["fit will take about", "fitted in"]
    assert len(lines) == len(expected)
    assert all(words in line for words, line in zip(expected, lines, strict=True))


def test_fit__in_a_cross_validation_or_into_a_file__says_nothing(monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    cross_val_score(TransformerClassifier(**NETWORKS), X, Y, cv=2)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    TransformerClassifier(**NETWORKS).fit(X, Y)
    assert sys.stderr.getvalue() == ""


TABLE = X[:, 0]  # as scikit-learn's own checks want it
SEVERAL = {
    "bagging": lambda network: BaggingClassifier(network, n_estimators=2),
    "stacking": lambda network: StackingClassifier([("a", network), ("b", network)], cv=2),
    "voting": lambda network: VotingClassifier([("a", network), ("b", network)]),
    "one versus the rest": OneVsRestClassifier,
    "calibrated": lambda network: CalibratedClassifierCV(network, cv=2),
}


@pytest.mark.parametrize("several", SEVERAL)
def test_fit__one_of_several_in_another_estimator__says_nothing(several, monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    SEVERAL[several](TransformerClassifier(**NETWORKS | {"n_estimators": 1})).fit(TABLE, Y)
    assert terminal.getvalue() == ""


def test_fit__step_of_a_pipeline_or_refit_of_a_search__says_how_long_it_took(monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    network = TransformerClassifier(**NETWORKS)
    make_pipeline(FunctionTransformer(), network).fit(X, Y)
    GridSearchCV(network, {"n_estimators": [1]}, cv=2).fit(X, Y)
    assert terminal.getvalue().count("fitted in") == 2


def failing(x, observed):
    raise ArithmeticError("broken")


def test_fit__error_in_training__closes_the_bar(monkeypatch):
    bars = []
    monkeypatch.setattr(waiting, "tqdm", lambda **how: bars.append(tqdm(**how, file=io.StringIO())) or bars[0])
    with pytest.raises(ArithmeticError):
        TransformerClassifier(**NETWORKS, augment=failing, verbose=True).fit(X, Y)
    assert [bar.disable for bar in bars] == [True]  # which close sets


def test_backtest__windows_trained_by_workers__says_nothing(monkeypatch):
    series = pd.Series(np.sin(np.arange(150.0)))
    forecaster = TransformerForecaster(**SMALL, pretrained=None, horizon=4, n_jobs=2).fit(series)
    terminal = at_a_terminal(monkeypatch)
    with parallel_config(backend="threading"):  # workers in which the stack does not lead to backtest, here
        forecaster.backtest(series, n_windows=2, refit=True)
    assert terminal.getvalue() == ""


def test_fit__logger_of_warnings_alone__says_nothing(monkeypatch):
    terminal = at_a_terminal(monkeypatch)
    monkeypatch.setattr(logging.getLogger("tsformer"), "level", logging.WARNING)
    TransformerClassifier(**NETWORKS).fit(X, Y)
    assert terminal.getvalue() == ""


def test_waiting_for__notebook__has_lines(monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stderr", stream)
    assert waiting_for(SimpleNamespace(verbose=False), 1).has_lines
    assert not waiting_for(SimpleNamespace(verbose=1), 1).has_lines
    assert waiting_for(SimpleNamespace(verbose=1), 1).has_bar
