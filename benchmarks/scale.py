"""Times the defaults on random data of large shapes, by part, with their peak of memory: a row a shape, as it comes.

    python benchmarks/scale.py [--shapes NAME ...] [--whole] [--out CSV]

- Each shape is measured in a process of its own. A run that was stopped goes on where it was.
- Seconds are those of the processor, all threads together: `read` checks X; `step` is an optimiser step of one network,
  a mean over several; `start` is what a network takes beside its steps, statistics and all; `frozen` is the member with
  the pretrained encoder. `fit` is made of these, for the steps and the members of the default; --whole measures it.
- `predict_ms` is that of all members, a case.
- `fit_memory` and `predict_memory` are peaks, X included, beyond what a fit of a tiny X had taken before; `memory` is
  the larger one, in units of X.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from commands import exit_with, short_parser
from machine import Row, code_hash, peak_memory_mb, provenance, version
from rows import RowFile

SEED = 0
STEPS = 4  # that are measured
MOST_PREDICTED = 64  # cases
N_CLASSES = 5
TINY = (20, 2, 30)

# Training cases, channels and time points of the ten largest shapes of the UEA archive.
SHAPES: dict[str, tuple[int, int, int]] = {
    "CharacterTrajectories": (1422, 3, 182),
    "DuckDuckGeese": (50, 1345, 270),
    "EigenWorms": (128, 6, 17984),
    "FaceDetection": (5890, 144, 62),
    "Heartbeat": (204, 61, 405),
    "InsectWingbeat": (25000, 22, 200),
    "MotorImagery": (278, 64, 3000),
    "PEMS-SF": (267, 963, 144),
    "PhonemeSpectra": (3315, 11, 217),
    "SpokenArabicDigits": (6599, 13, 93),
}

SECONDS = ("read", "start", "step", "frozen", "fit")
MEASURED = ("data_mb", *SECONDS, "n_steps", "predict_ms", "fit_memory", "predict_memory", "memory")
ASKED = ("shape", "dtype", "whole", "threads")
ORIGIN = ("version", "versions", "code", "commit", "device", "started", "error")
ROWS = RowFile(columns=(*ASKED, *MEASURED, *ORIGIN), key_columns=ASKED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the shapes that the file does not have yet; the status is 1 where rows failed."""
    command = short_parser(__doc__, "scale")
    command.add_argument("--shapes", nargs="+", choices=TASKS, default=list(TASKS), metavar="NAME")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of X")
    command.add_argument("--whole", action="store_true", help="fit with all steps")
    command.add_argument("--rerun", action="store_true", help="replace rows of other code")
    options = command.parse_args(arguments)
    measured = partial(ROWS.attempt_fresh, script="scale")
    return int(ROWS.fill(options.out, tasks(options), measured, outcome, rerun=options.rerun) > 0)


def tasks(options: argparse.Namespace) -> list[Row]:
    """List what is asked for."""
    same = {"dtype": options.dtype, "whole": int(options.whole), "threads": options.threads}
    same |= {"version": version("tsformer:TransformerClassifier", {}), "code": code_hash()}
    return [{"shape": shape} | same for shape in options.shapes]


def measure(task: Row) -> list[Row]:
    """Measure a shape in this process."""
    return ROWS.attempt(task, lambda task: [TASKS[task["shape"]](task) | provenance("cpu")])


def outcome(row: Row) -> str:
    """Say what came out."""
    return f"fit {row['fit']} s, predict {row['predict_ms']} ms a case, memory {row['memory']} times X"


# The classifier


def classifier(shape: tuple[int, int, int], task: Row) -> Row:
    """Fit the default classifier to random series, and predict."""
    from tsformer import TransformerClassifier
    from tsformer.data.cases import read_cases
    from tsformer.training.fitting import settled_for_cases

    make = partial(TransformerClassifier, random_state=SEED, device="cpu")
    fit(make(max_steps=2), *series(TINY, task["dtype"])).predict_proba(series(TINY, task["dtype"])[0])
    before = restart_peak()
    X, y = series(shape, task["dtype"])
    data, read = timed(lambda: read_cases(X).data)
    n_steps: Any = settled_for_cases(make(), data, SEED).max_steps

    def short(steps: int) -> float:
        return timed(lambda: fit(make(n_estimators=1, pretrained=None, max_steps=steps), X, y))[1]

    few, many = short(1), short(1 + STEPS)
    step = (many - few) / STEPS
    start = max(0.0, few - step - read)
    restart_peak()
    default, seconds = timed(lambda: fit(make(max_steps=n_steps if task["whole"] else 1), X, y))
    fit_memory = restart_peak() - before
    frozen = max(0.0, seconds - len(default.model_.networks) * few)  # with a step each
    whole = read + frozen + len(default.model_.networks) * (start + n_steps * step)
    _, predict = timed(lambda: default.predict_proba(X[:MOST_PREDICTED]))
    predict_memory, size = peak_memory_mb() - before, X.nbytes / 2**20
    times = {"read": read, "start": start, "step": step, "fit": seconds if task["whole"] else whole}
    if not task["whole"]:
        times["frozen"] = frozen
    memory = {
        "fit_memory": fit_memory,
        "predict_memory": predict_memory,
        "memory": max(fit_memory, predict_memory) / size,
    }
    times |= {"predict_ms": 1000 * predict / min(len(X), MOST_PREDICTED), "data_mb": size}
    return {"n_steps": n_steps} | {name: f"{value:.4g}" for name, value in (times | memory).items()}


def series(shape: tuple[int, int, int], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw noise, and labels that nothing tells."""
    X = np.random.default_rng(SEED).standard_normal(shape, dtype)  # type: ignore[call-overload]
    return X, np.arange(len(X)) % N_CLASSES


def fit(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit without warnings: of so few steps."""
    with warnings.catch_warnings(action="ignore"):
        return estimator.fit(X, y)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and the seconds of the processor that it took."""
    started = time.process_time()
    return run(), time.process_time() - started


def restart_peak() -> float:
    """Return the peak of memory so far, in MB, and have it begin anew where the system can."""
    peak = peak_memory_mb()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak


# What is measured, by name: each gets its task and returns the columns MEASURED. Other tasks go beside the shapes.
TASKS: dict[str, Callable[[Row], Row]] = {name: partial(classifier, shape) for name, shape in SHAPES.items()}

if __name__ == "__main__":
    exit_with(main)
