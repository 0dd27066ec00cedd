"""What users hear of a fit: nothing by default; a bar, a log and scikit-learn's callbacks where they ask for them."""

import logging
import pickle
import subprocess
import sys

import numpy as np
import pytest
from forecasts import SMALL, wave
from forecasts import small as small_forecaster
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from tsformer import TransformerPretrainer

from .waves import small, waves

callbacks = pytest.mark.skipif(
    not hasattr(small(), "set_callbacks"), reason="scikit-learn before 1.9 has no callbacks to set"
)


class Listener:
    """A callback that writes down the tasks it hears of, and stops the level of iterations where it is told to."""

    max_propagation_depth = None

    def __init__(self, stop_at=None, look=None):
        self.stop_at = stop_at
        self.look = look
        self.begun, self.ended, self.seen = [], [], []

    def setup(self, estimator, context):
        self.set_up = True

    def teardown(self, estimator, context):
        self.torn_down = True

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.ended.append(context.task_name)
        if self.look is not None:
            self.seen.append(self.look(fitted_estimator, X))
        return context.task_name == self.stop_at


def test_fit_and_predict__by_default__say_nothing(capfd):
    X, y = waves()
    small(n_estimators=2, early_stopping=True, refit=True).fit(X, y).predict(X)
    small_forecaster(early_stopping=True).fit(wave()).predict(level=80)
    assert capfd.readouterr() == ("", "")


def test_verbose__ensemble__names_the_network_the_time_left_and_the_losses(capfd):
    X, y = waves()
    small(n_estimators=2, early_stopping=True, refit=True, verbose=True).fit(X, y)
    out, err = capfd.readouterr()
    assert out == ""
    for words in ("network 1 of 2:", "network 2 of 2, refit:", "validation_loss=", "step/s"):
        assert words in err
    assert "<" in err  # the time left comes after it


def test_log__fit__has_the_choices_and_the_outcome(caplog):
    X, y = waves()
    with caplog.at_level(logging.INFO, logger="tsformer"):
        clf = small(n_estimators=2, max_steps="auto", batch_size=3, n_layers=0).set_params(max_steps=4).fit(X, y)
        small(max_steps="auto", n_layers=0, d_model=4).fit(X[:4, :1, :8], y[:4])
        forecaster = small_forecaster(early_stopping=True).fit(wave())
    assert {record.levelname for record in caplog.records} == {"INFO"}
    start, end, second, _, series, last = (record.getMessage() for record in caplog.records)
    assert start == (
        "TransformerClassifier: 24 cases of 2 channels, up to 30 time points and 2 classes; networks: 2, on cpu, each "
        "for at most 4 steps of up to 3 cases."
    )
    assert end.startswith("TransformerClassifier: fitted in ")
    assert f"steps behind the weights: 4, 4, last training loss: {clf.history_['loss'][0]:.4g}" in end
    assert "at most 400 steps of up to 16 cases" in second
    assert (
        f"1 series of up to 72 time points; {forecaster.lengths_}; on cpu, at most {SMALL['max_steps']} steps" in series
    )
    assert f"steps behind the weights: {forecaster.n_iter_}" in last


@callbacks
def test_callbacks__ensemble_with_refit__hear_of_each_training_and_epoch():
    X, y = waves()
    listener = Listener(look=lambda fitted, X: fitted.predict_proba(X))
    clf = small(n_estimators=2, max_steps=4, early_stopping=True, refit=True, batch_size=12).set_callbacks(listener)
    clf.fit(X, y)
    assert listener.set_up
    assert listener.torn_down
    trainings = [name for name in listener.begun if name != "epoch"]
    networks = ["network 1 of 2", "network 1 of 2, refit", "network 2 of 2", "network 2 of 2, refit"]
    assert trainings == ["fit", *networks]
    assert listener.begun.count("epoch") >= 4
    assert sorted(listener.ended) == sorted(listener.begun)
    np.testing.assert_array_equal(listener.seen[-1], clf.predict_proba(X))
    alone = small(n_estimators=2, max_steps=4, early_stopping=True, refit=True, batch_size=12).fit(X, y)
    np.testing.assert_array_equal(alone.predict_proba(X), clf.predict_proba(X))  # looking changes nothing


@callbacks
def test_callbacks__that_stop__end_the_level_they_speak_of():
    X, y = waves()
    clf = small(n_estimators=2, max_steps=6, batch_size=12).set_callbacks(Listener(stop_at="epoch")).fit(X, y)
    assert clf.n_iter_.tolist() == [2, 2]
    clf = small(n_estimators=2, max_steps=6, batch_size=12).set_callbacks(Listener(stop_at="network 1 of 2")).fit(X, y)
    assert clf.n_iter_.tolist() == [6]
    forecaster = small_forecaster(max_steps=120).set_callbacks(Listener(stop_at="epoch")).fit(wave())
    assert forecaster.n_iter_ == 50


@callbacks
def test_callbacks__pretrained_member__is_seen_beside_networks():
    X, y = waves()
    pretrainer = TransformerPretrainer(max_steps=1, n_layers=1, d_model=16, n_heads=2).fit(X)
    listener = Listener(look=lambda fitted, X: [type(model).__name__ for model in fitted.model_.members])
    small(n_estimators=2, pretrained=pretrainer).set_callbacks(listener).fit(X, y)
    assert listener.seen[0] == ["SeriesClassifier", "FrozenClassifier"]
    assert listener.seen[-1] == ["SeriesClassifier"] * 2 + ["FrozenClassifier"]
    assert [name for name in listener.begun if name != "epoch"] == ["fit", "network 1 of 2", "network 2 of 2"]
    clf = small(n_estimators=2, pretrained=pretrainer).set_callbacks(Listener(stop_at="network 1 of 2")).fit(X, y)
    assert clf.n_iter_.tolist() == [5]
    assert len(clf.model_.members) == 2


@callbacks
def test_callbacks__forecaster__see_one_that_can_forecast():
    listener = Listener(look=lambda fitted, df: fitted.score(df))
    forecaster = small_forecaster(early_stopping=True).set_callbacks(listener).fit(wave())
    assert [name for name in listener.begun if name != "epoch"] == ["fit", "network", "network, refit"]
    assert listener.seen[-1] == forecaster.score(wave())


@callbacks
def test_callbacks__of_scikit_learn__work_through_pipeline_and_search(capfd):
    from sklearn.callback import ProgressBar, ScoringMonitor

    X, y = waves()
    monitor = ScoringMonitor(scoring="accuracy")
    clf = small(max_steps=4, batch_size=12).set_callbacks(ProgressBar(), monitor).fit(X, y)
    assert "TransformerClassifier - fit" in capfd.readouterr().out
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    assert len(scores) == 2 + 1 + 1  # epochs, network, whole
    assert scores[0] == clf.score(X, y)  # the whole comes first
    pipeline = make_pipeline(small(max_steps=2)).set_callbacks(ProgressBar())
    pipeline.fit(X, y)
    assert "TransformerClassifier - fit" in capfd.readouterr().out
    GridSearchCV(small(), {"max_steps": [1, 2]}, cv=2).set_callbacks(ProgressBar()).fit(X, y)
    assert clone(clf).fit(X, y).score(X, y) == clf.score(X, y)
    pickle.loads(pickle.dumps(pipeline)).predict(X)


def test_scikit_learn_without_callbacks__estimators__fit_all_the_same():
    program = """
import sys
import numpy as np, sklearn.linear_model, sklearn.model_selection, sklearn.pipeline
sys.modules["sklearn.callback"] = None  # from here on importing it fails, as before 1.9
from tsformer import TransformerClassifier
small = {"pretrained": None, "max_steps": 1, "n_layers": 0, "d_model": 4, "n_heads": 1}
clf = TransformerClassifier(**small).fit(np.eye(4), [0, 1, 0, 1])
assert not hasattr(clf, "set_callbacks")
print(clf.predict(np.eye(4)).shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "(4,)\n", done.stderr
