"""Measures one classifier on one dataset in a fresh process: a task (JSON) enters, a row of results (JSON) leaves.

- The process loads TRAIN, fits, and only then opens TEST, to score.
- The clock runs over `fit` and over `predict`. Before it a copy fits and predicts a few training cases: compiling
  aeon's numba code took 23 s (MiniRocket) and 42 s (MultiRocket-Hydra) in the first process ever and loading it 0.3 to
  0.5 s in every later one, torch's late imports took ours 1.7 s, and fitting BasicMotions takes MiniRocket 0.1 s.
- Peak memory is that of the whole process, imports included.
- Ours gets the data as they are. A rival that cannot take them gets missing values interpolated, short series padded
  with zeros and series longer than those of TRAIN cut; `adapted` names what was done. scikit-learn's own classifiers
  get the channels in one row, which loses nothing and is not named.
- `log_loss` is empty where there are no probabilities: those of the ridge-based rivals (the ROCKET and Hydra family)
  and of 1NN-DTW are zeros and ones.
"""

import ast
import contextlib
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import platform
import re
import resource
import signal
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rows import OURS, Row, RowFile, run_script, told

ESTIMATORS = {
    "TransformerClassifier": "tsformer:TransformerClassifier",
    "MiniRocket": "aeon.classification.convolution_based:MiniRocketClassifier",
    "MultiRocket-Hydra": "aeon.classification.convolution_based:MultiRocketHydraClassifier",
    "Hydra": "aeon.classification.convolution_based:HydraClassifier",
    "ROCKET": "aeon.classification.convolution_based:RocketClassifier",
    "1NN-DTW": "aeon.classification.distance_based:KNeighborsTimeSeriesClassifier",
    "dummy": "sklearn.dummy:DummyClassifier",
}
# aeon 1.6 refuses shorter series, or fails on them.
SHORTEST = {"MiniRocketClassifier": 9, "MultiRocketHydraClassifier": 10, "HydraClassifier": 6}
COLUMNS = (
    *("dataset", "archive", "estimator", "seed", "labels", "accuracy", "balanced_accuracy", "log_loss"),
    *("fit_seconds", "predict_seconds", "peak_memory_mb", "n_parameters"),
    *("n_train", "n_test", "n_channels", "n_timepoints", "n_classes", "adapted"),
    *("version", "code", "commit", "device", "threads", "versions", "started", "error"),
)
ROWS = RowFile(COLUMNS, ("dataset", "archive", "estimator", "seed", "labels"))

Series = np.ndarray | list[np.ndarray]  # (n_cases, n_channels, n_timepoints), or n_cases of (n_channels, length)


def run_fresh(task: Row) -> Row:
    """Measure a task in a process of its own; the death of that process is a row too."""
    blank = ROWS.blank(task)
    row, error = run_script(__file__, task)
    if row is None:
        return blank | {"error": error}
    if row["error"]:
        print(error, file=sys.stderr)
    return row


def measure(task: Row) -> Row:
    """Measure a task in this process; a failure fills `error`."""
    row = ROWS.blank(task) | {"code": code_hash(), "versions": versions()}
    try:
        return row | fit_and_score(task)
    except Exception as error:
        return row | {"error": told(error)}


def fit_and_score(task: Row) -> Row:
    """Fit on TRAIN and score on TEST."""
    from tsformer.datasets import load_classification

    X, y = load_classification(task["dataset"], "train", task["folder"])
    if task["labels"]:
        X, y = drawn(X, y, task["labels"], task["seed"])
    estimator = build(task)
    length = max(longest(X), SHORTEST.get(type(estimator).__name__, 0))
    X_fit, changes = fitted_to(estimator, X, length)
    warm_up(build(task), X_fit, y)

    started = time.perf_counter()
    estimator.fit(X_fit, y)
    fitted = time.perf_counter()

    X_test, y_test = load_classification(task["dataset"], "test", task["folder"])
    X_test, test_changes = fitted_to(estimator, X_test, length)
    scoring = time.perf_counter()
    predicted = estimator.predict(X_test)
    scored = time.perf_counter()
    return {
        **scores(estimator, X_test, y_test, predicted),
        **network(estimator),
        "fit_seconds": round(fitted - started, 4),
        "predict_seconds": round(scored - scoring, 4),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "n_train": len(X),
        "n_test": len(X_test),
        "n_channels": X[0].shape[0],
        "n_timepoints": longest(X),
        "n_classes": len(np.unique(y)),
        "adapted": "+".join(dict.fromkeys(changes + test_changes)),
    }


# Estimators by name


def parse_name(name: str, known: Mapping[str, str] = ESTIMATORS) -> tuple[str, dict[str, Any]]:
    """Split "NAME(key=value, ...)" into "module:Class" and its parameters, which are Python literals."""
    match = re.fullmatch(r"([^()]+)(\(.*\))?", name.strip())
    try:
        bare, arguments = match.groups(default="()")  # type: ignore[union-attr]
        call = ast.parse(f"f{arguments}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError
        parameters = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (AttributeError, SyntaxError, ValueError):
        message = f"{name!r} is not NAME or NAME(key=value, ...) with literals, as in 'MiniRocket(n_kernels=84)'."
        raise ArgumentTypeError(message) from None
    target = known.get(bare, bare)
    if ":" not in target:
        raise ArgumentTypeError(f"{bare!r} is none of {', '.join(known)}, nor module:Class.")
    return target, parameters


def canonical(name: str, known: Mapping[str, str] = ESTIMATORS) -> str:
    """Spell an estimator's name in one way only, since it tells rows apart."""
    _, parameters = parse_name(name, known)
    bare = name.strip().partition("(")[0]
    return f"{bare}({', '.join(f'{key}={value!r}' for key, value in parameters.items())})" if parameters else bare


def build(task: Row) -> Any:
    """Make a task's estimator, with the task's seed and threads where it takes them."""
    target, parameters = parse_name(task["estimator"])
    module, _, name = target.partition(":")
    cls = getattr(importlib.import_module(module), name)
    given = {"random_state": task["seed"], "n_jobs": task["threads"]} | parameters
    taken = inspect.signature(cls).parameters
    return cls(**{key: value for key, value in given.items() if key in taken or key in parameters})


def is_ours(estimator: Any) -> bool:
    """Tell this project's estimators from rivals."""
    return type(estimator).__module__.partition(".")[0] == OURS


@cache
def distributions() -> Mapping[str, list[str]]:
    """Name the installed distributions of each importable name; looking takes most of a second."""
    return importlib.metadata.packages_distributions()


def version(name: str, known: Mapping[str, str] = ESTIMATORS) -> str:
    """Name the library that an estimator comes from, with its version where it is an installed one.

    What the scripts beside this one make is ours.
    """
    module = parse_name(name, known)[0].partition(":")[0].partition(".")[0]
    module = OURS if Path(__file__).with_name(f"{module}.py").exists() else module
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"{module} {importlib.metadata.version(distributions().get(module, [module])[0])}"
    return module


@cache
def versions() -> str:
    """Name the versions of what all estimators stand on."""
    names = ("numpy", "scipy", "scikit-learn", "torch", "numba")
    installed = {distribution.name: distribution.version for distribution in importlib.metadata.distributions()}
    return ", ".join([f"python {platform.python_version()}", *(f"{n} {installed[n]}" for n in names if n in installed)])


def code_hash() -> str:
    """Name the state of our code: a hash over the package's Python files and weights."""
    spec = importlib.util.find_spec(OURS)
    if spec is None or not spec.submodule_search_locations:
        sys.exit("tsformer is not installed here: pip install -e '.[benchmarks]'")
    package = Path(spec.submodule_search_locations[0])
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.safetensors")]):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def drawn(X: Series, y: np.ndarray, n_labels: int, seed: int) -> tuple[Series, np.ndarray]:
    """Draw so many cases of each class, the same for every estimator."""
    rng = np.random.default_rng(seed)
    kept = np.sort(np.concatenate([rng.choice(np.flatnonzero(y == label), n_labels, False) for label in np.unique(y)]))
    return (X[kept] if isinstance(X, np.ndarray) else [X[case] for case in kept]), y[kept]


# Data as a rival can take them


def longest(X: Series) -> int:
    """Count the time points of the longest series."""
    return max(x.shape[1] for x in X)


def fitted_to(estimator: Any, X: Series, length: int) -> tuple[Series, list[str]]:
    """Return the series as an estimator can take them, and what that changed."""
    changes = []
    if any(np.isnan(x).any() for x in X) and not takes(estimator, "missing_values"):
        changes.append("interpolated")
        X = [interpolated(x) for x in X]
    lengths = {x.shape[1] for x in X}
    if lengths != {length} and not takes(estimator, "unequal_length"):
        changes += ["padded"] * (min(lengths) < length) + ["cut"] * (max(lengths) > length)
        X = [np.pad(x[:, :length], ((0, 0), (0, max(0, length - x.shape[1])))) for x in X]
    if len({x.shape for x in X}) == 1:
        X = np.stack(list(X))
    if type(estimator).__module__.startswith("sklearn."):
        X = np.reshape(X, (len(X), -1))
    return X, changes


def takes(estimator: Any, capability: str) -> bool:
    """Tell whether an estimator takes such data by itself; aeon's and sktime's have a tag that says so."""
    return is_ours(estimator) or (hasattr(estimator, "get_tag") and estimator.get_tag(f"capability:{capability}"))


def interpolated(x: np.ndarray) -> np.ndarray:
    """Fill each channel's missing values linearly, at the edges with the nearest value, all missing with zeros."""
    filled = np.zeros_like(x)
    steps = np.arange(x.shape[1])
    for channel, values in enumerate(x):
        observed = ~np.isnan(values)
        if observed.any():
            filled[channel] = np.interp(steps, steps[observed], values[observed])
    return filled


# Measures


def warm_up(estimator: Any, X: Series, y: np.ndarray) -> None:
    """Import and compile what fit and predict need, on up to four cases of two classes."""
    few = [index for label in np.unique(y)[:2] for index in np.flatnonzero(y == label)[:4]]
    X_few = X[few] if isinstance(X, np.ndarray) else [X[index] for index in few]
    if is_ours(estimator):
        estimator.set_params(max_steps=1)
    with contextlib.suppress(Exception):  # what cannot learn from so few stays cold
        estimator.fit(X_few, y[few]).predict(X_few)


def scores(estimator: Any, X: Series, y: np.ndarray, predicted: np.ndarray) -> Row:
    """Score predictions, and probabilities where there are any."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

    row = {
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
    }
    if hasattr(estimator, "predict_proba") and set(y) <= set(estimator.classes_):
        probabilities = estimator.predict_proba(X)
        if not np.isin(probabilities, (0, 1)).all():
            row["log_loss"] = log_loss(y, probabilities, labels=estimator.classes_)
    return row


def network(estimator: Any) -> Row:
    """Count the parameters of our networks and say where they are."""
    if not is_ours(estimator):
        return {"device": "cpu"}
    import torch

    held = [part for value in vars(estimator).values() for part in (value if isinstance(value, list) else [value])]
    parameters = [p for part in held if isinstance(part, torch.nn.Module) for p in part.parameters()]
    return {"n_parameters": sum(p.numel() for p in parameters), "device": str(parameters[0].device)}


def peak_memory_mb() -> float:
    """Measure this process's peak of resident memory so far."""
    # Linux hands ru_maxrss on through fork and exec: a child of a 500 MB parent starts with a "peak" of 500 MB.
    with contextlib.suppress(OSError):
        match = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            return int(match[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the run: an orphan would go on using the cores
    print("\n" + json.dumps(measure(json.loads(sys.argv[1]))))
