"""fit and partial_fit that are refused or break off: state, predictions and file of the estimator stay those of before.

What Ctrl-C does while `fit` trains is no part of it: what was learnt till then is kept, as test_classifier.py tests.
A further estimator is one more entry of SUBJECTS, a further way to fail one more of its ways.
"""

import copy
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.preprocessing import StandardScaler
from torch import nn

import tsformer
from tsformer import TransformerPretrainer
from tsformer.data import augment
from tsformer.estimators import checks, classifier, pretrainer
from tsformer.models.encoders.conv_stem import ConvStemEncoder
from tsformer.models.encoders.strided_stem import StridedStemEncoder
from tsformer.training import fitting, loop, optim

from .waves import small, waves

X, y = waves(12, n_timepoints=16)
BOTH = ("fit", "partial_fit")
FIT, PASS = BOTH[:1], BOTH[1:]


class Broken(Exception):
    """Raised inside of a fit, where no mistake of a user's is."""


@dataclass
class Way:
    """How `methods` fail: by parameters set before, by arguments in place of the usual ones, by a part that breaks.

    `part` is an owner and a name; the function there raises `error` in its call number `at`.
    """

    methods: tuple[str, ...] = BOTH
    params: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    part: tuple[Any, str] | None = None
    at: int = 1
    error: Any = (ValueError, TypeError, OSError)
    callback: str | None = None  # the task at whose end a callback breaks


@dataclass
class Subject:
    """An estimator, how it is fitted, what it predicts, and the ways in which it can fail to be fitted again."""

    make: Callable[[], Any]
    arguments: dict[str, Any]
    predict: Callable[[Any], Any]
    ways: dict[str, Way]


def broken(part: tuple[Any, str], at: int = 1, methods: tuple[str, ...] = BOTH, error: Any = Broken, **params: Any):
    return Way(methods, params, part=part, at=at, error=error)


def given(methods: tuple[str, ...] = BOTH, **arguments: Any) -> Way:
    return Way(methods, arguments=arguments)


def set_to(methods: tuple[str, ...] = BOTH, **params: Any) -> Way:
    return Way(methods, params)


class NoEncoder(nn.Module):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Broken


class Interrupting:
    """Series while which are read the user presses Ctrl-C."""

    def __array__(self, *args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


INFINITE = np.where(np.arange(16) == 3, np.inf, X)

SERIES = {
    "wrong parameter": set_to(learning_rate=0.0),
    "unknown device": set_to(device="tpu"),
    "absent device": set_to(device=f"cuda:{torch.cuda.device_count()}"),
    "column that is no name": set_to(id_col=None),
    "no such pretrained file": set_to(FIT, pretrained="no such file"),
    "pretrained by another estimator": set_to(FIT, pretrained=StandardScaler()),
    "heads that do not divide the width": set_to(FIT, n_heads=3),
    "too few to hold back": set_to(FIT, early_stopping=True, validation_fraction=0.01),
    "encoder that cannot be built": Way(FIT, {"encoder": NoEncoder}, error=Broken),
    "loss not finite": set_to(learning_rate=1e30, batch_size=2),
    "no series": given(X=None),
    "infinity": given(X=INFINITE),
    "four dimensions": given(X=X[..., None]),
    "no time point": given(X=X[..., :0]),
    "series of unequal channels": given(X=[X[0, :1], *X[1:]]),
    "other channels": given(PASS, X=X[:, :1]),
    "other channels, going on": Way(FIT, {"warm_start": True}, {"X": X[:, :1]}),
    "long frame without times": given(X=pd.DataFrame({"unique_id": ["a", "b"], "u": [0.0, 1.0]})),
    "interrupted while reading": Way(arguments={"X": Interrupting()}, error=KeyboardInterrupt),
    "interrupted before training": broken((fitting, "adamw"), error=KeyboardInterrupt),
    "interrupted while copying": broken((fitting.copy, "deepcopy"), error=KeyboardInterrupt, methods=PASS),
    "optimiser breaks": broken((optim.AdamW, "step"), at=2, batch_size=4),
    "weights cannot be averaged": broken((optim.WeightAverage, "update"), at=2, methods=FIT),
    "validation breaks": broken((loop, "evaluate"), at=2, methods=FIT, early_stopping=True, validation_fraction=0.4),
    "refit breaks": broken((loop, "_keep_best"), at=2, methods=FIT, early_stopping=True, refit=True),
    "history breaks": broken((loop.History, "as_dict")),
}

LABELLED = SERIES | {
    "no scaling": set_to(scaling=()),
    "no network": set_to(n_estimators=0),
    "more networks": set_to(PASS, n_estimators=3),
    "fewer networks": set_to(n_estimators=1, warm_start=True),
    "negative class weight": set_to(class_weight={0: -1, 1: 1}),
    "class without a weight": set_to(class_weight={5: 1}),
    "no labels": given(y=None),
    "too few labels": given(y=y[:-1]),
    "one class": given(FIT, y=0 * y),
    "another class": given(PASS, y=y + 1),
    "another class, going on": Way(FIT, {"warm_start": True}, {"y": y + 1}),
    "labels that are numbers": given(y=np.linspace(0, 1, len(y))),
    "missing label": given(y=np.where(y == 0, np.nan, 1.0)),
    "other classes": given(PASS, classes=[0, 1, 2]),
    "negative weight": given(sample_weight=-1.0 * y),
    "weights all zero": given(sample_weight=0 * y),
    "too few weights": given(sample_weight=y[1:]),
    "validation without early stopping, other labels": given(FIT, y=y + 5, X_val=X, y_val=y + 5),
    "validation of other channels": Way(FIT, {"early_stopping": True}, {"X_val": X[:, :1], "y_val": y}),
    "validation of other classes": Way(FIT, {"early_stopping": True}, {"y": y + 5, "X_val": X, "y_val": y}),
    "validation without labels": Way(FIT, {"early_stopping": True}, {"X_val": X}),
    "validation interrupted": Way(
        FIT, {"early_stopping": True}, {"X_val": Interrupting(), "y_val": y}, error=KeyboardInterrupt
    ),
    "encoder breaks": broken((ConvStemEncoder, "forward"), at=3, batch_size=4),
    "interrupted in the second network": broken(
        (ConvStemEncoder, "forward"), at=5, methods=PASS, error=KeyboardInterrupt, batch_size=4
    ),
    "encoder breaks, going on": broken((ConvStemEncoder, "forward"), at=3, methods=FIT, warm_start=True),
    "second network breaks": broken((fitting, "adamw"), at=2),
    "alteration breaks": broken((augment, "vary_gain"), at=2, batch_size=4),
    "augment breaks": Way(FIT, {"augment": lambda x, observed: 1 / 0}, error=ZeroDivisionError),
    "head breaks": broken((classifier, "fit_frozen"), methods=FIT, pretrained="bundled"),
    "head interrupted": broken((classifier, "fit_frozen"), methods=FIT, pretrained="bundled", error=KeyboardInterrupt),
    "ensemble breaks": broken((classifier, "Ensemble")),
    "callback breaks after an epoch": Way(FIT, callback="epoch", error=Broken),
    "callback breaks after a network": Way(FIT, callback="network 2 of 2", error=Broken),
    "callback breaks in the end": Way(FIT, callback="fit", error=Broken),
}

UNLABELLED = SERIES | {
    "wrong objective": set_to(objective="none"),
    "other objective": set_to(PASS, objective="reconstruction"),
    "other objective, going on": set_to(FIT, objective="reconstruction", warm_start=True),
    "one channel held back": Way(FIT, {"early_stopping": True}, {"X": X[:5, :1]}),
    "encoder breaks": broken((StridedStemEncoder, "forward"), at=3, batch_size=4),
    "interrupted in the pass": broken(
        (StridedStemEncoder, "forward"), at=3, methods=PASS, error=KeyboardInterrupt, batch_size=4
    ),
    "encoder breaks, going on": broken((StridedStemEncoder, "forward"), at=3, methods=FIT, warm_start=True),
    "alteration breaks": broken((augment, "warp_magnitude"), at=2, batch_size=4),
    "channels break": broken((pretrainer, "as_channels")),
}

SIZE = {"n_resampled": 16, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}

SUBJECTS = {
    "classifier": Subject(
        lambda: small(n_estimators=2, max_steps=3).fit(X, y).partial_fit(X, y),
        {"X": X, "y": y},
        lambda clf: clf.predict_proba(X),
        LABELLED,
    ),
    "pretrainer": Subject(
        lambda: TransformerPretrainer(max_steps=3, random_state=0, device="cpu", **SIZE).fit(X).partial_fit(X),
        {"X": X},
        lambda model: model.transform(X),
        UNLABELLED,
    ),
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any, Any]]:
    """Each estimator, to be copied, what it predicts, and its file."""
    made = {name: subject.make() for name, subject in SUBJECTS.items()}
    path = tmp_path_factory.mktemp("saved") / "before"
    return {name: (each, SUBJECTS[name].predict(each), saved(each, path)) for name, each in made.items()}


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Compare values of any depth, networks by their weights."""
    assert type(one) is type(other), where
    if isinstance(one, nn.Module):
        one, other = ({**module.state_dict(), "training": module.training} for module in (one, other))
    if isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            assert_same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, parts in enumerate(zip(one, other, strict=True)):
            assert_same(*parts, f"{where}[{i}]")
    elif isinstance(one, torch.Tensor | np.ndarray):
        assert one.dtype == other.dtype, where
        assert_array_equal(one, other, where)
    else:
        assert one is other or one == other, where


def saved(estimator: Any, path: Any) -> tuple[str, bytes]:
    """Return the header and the contents of the file that save writes; safetensors orders its header anew each time."""
    tsformer.save(estimator, path)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.dumps(json.loads(content[8:end]), sort_keys=True), content[end:]


def break_in(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    owner, name = way.part
    calls, works = itertools.count(1), getattr(owner, name)

    def breaks(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == way.at:
            raise way.error
        return works(*args, **kwargs)

    monkeypatch.setattr(owner, name, breaks)


@dataclass(frozen=True)
class BreakingCallback:
    """A callback that raises at the end of the task of a name."""

    task: str
    max_propagation_depth = None

    def setup(self, estimator: Any, context: Any) -> None:
        pass

    def teardown(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        if context.task_name == self.task:
            raise Broken


WAYS = [
    pytest.param(name, method, way, id=f"{name}-{method}-{described}")
    for name, subject in SUBJECTS.items()
    for described, way in subject.ways.items()
    for method in way.methods
]


@pytest.mark.filterwarnings("ignore:Training interrupted by user:UserWarning")
@pytest.mark.parametrize(("name", "method", "way"), WAYS)
def test_training__refused_or_broken_off__changes_nothing(name, method, way, fitted, tmp_path, monkeypatch):
    subject, (estimator, predicted, file) = SUBJECTS[name], copy.deepcopy(fitted[name])
    params = estimator.get_params()
    if way.callback is not None:
        if not hasattr(estimator, "set_callbacks"):
            pytest.skip("scikit-learn before 1.9 has no callbacks")
        estimator.set_callbacks(BreakingCallback(way.callback))
    before = copy.deepcopy(vars(estimator.set_params(**way.params)))
    objects = {name: value for name, value in vars(estimator).items() if name.endswith("_") or name == "_moments"}
    with monkeypatch.context() as patch:
        if way.part is not None:
            break_in(patch, way)
        with pytest.raises(way.error):
            getattr(estimator, method)(**(subject.arguments | way.arguments))

    assert_same(before | way.params, vars(estimator) | way.params)
    assert all(getattr(estimator, name) is value for name, value in objects.items())
    estimator.set_params(**params)
    assert_array_equal(subject.predict(estimator), predicted)
    assert saved(estimator, tmp_path / "after") == file


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("method", BOTH)
def test_training__that_is_not_refused__changes_the_predictions_and_reads_x_once(name, method, fitted, monkeypatch):
    subject, (estimator, predicted, _) = SUBJECTS[name], copy.deepcopy(fitted[name])
    read, reads = [], checks.read_cases
    monkeypatch.setattr(checks, "read_cases", lambda X, *args, **kwargs: read.append(X) or reads(X, *args, **kwargs))

    getattr(estimator, method)(**subject.arguments)

    assert len(read) == 1
    assert read[0] is subject.arguments["X"]
    assert np.abs(subject.predict(estimator) - predicted).max() > 1e-4


def test_fit__with_validation_cases__reads_each_once(monkeypatch):
    names, reads = [], checks.read_cases

    def counted(X, name="X", **how):
        names.append(name)
        return reads(X, name, **how)

    monkeypatch.setattr(checks, "read_cases", counted)
    clf = small(early_stopping=True, refit=True).fit(X, y, X_val=X, y_val=y)
    assert names == ["X", "X_val"]
    clf.score(X, y)
    assert names == ["X", "X_val", "X"]
