"""Says what was measured and where: estimators by name, versions, code, machine; and measures time and memory.

Every script beside this one uses it. `run_fresh` has a script measure in a process of its own. The ways of a `Contest`
take turns, so that whatever else a machine does disturbs all of them alike; quote the ratios, which carry over to other
machines better than seconds do.
"""

import ast
import contextlib
import ctypes
import datetime
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

OURS = "tsformer"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

Row = dict[str, Any]
Run = Callable[[], object]


# Estimators by name


def parse_name(name: str, known: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
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


def canonical(name: str, known: Mapping[str, str]) -> str:
    """Spell an estimator's name in one way only, since it tells rows apart."""
    _, parameters = parse_name(name, known)
    arguments = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
    return f"{bare(name)}({arguments})" if parameters else bare(name)


def bare(name: str) -> str:
    """Leave the parameters away."""
    return name.strip().partition("(")[0]


def made(name: str, known: Mapping[str, str], given: Row, **instead: Any) -> Any:
    """Make an estimator with its named parameters, and with what it takes of those given."""
    target, parameters = parse_name(name, known)
    module, _, attribute = target.partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    taken = inspect.signature(cls).parameters
    wanted = given | parameters | instead
    return cls(**{key: value for key, value in wanted.items() if key in taken or key in parameters})


def is_ours(estimator: Any) -> bool:
    """Tell this project's estimators from rivals."""
    return type(estimator).__module__.partition(".")[0] == OURS


def network(estimator: Any) -> Row:
    """Count the parameters of our networks and say where they are."""
    if not is_ours(estimator):
        return {"device": "cpu"}
    import torch

    held = [value for value in vars(estimator).values() if isinstance(value, torch.nn.Module)]
    parameters = [p for part in held for p in part.parameters()]
    return {"n_parameters": sum(p.numel() for p in parameters), "device": str(parameters[0].device)}


# Code and versions


def version(name: str, known: Mapping[str, str]) -> str:
    """Name the library that an estimator comes from, with its version where it is an installed one.

    What the scripts beside this one make is ours.
    """
    module = parse_name(name, known)[0].partition(":")[0].partition(".")[0]
    module = OURS if Path(__file__).with_name(f"{module}.py").exists() else module
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"{module} {importlib.metadata.version(distributions().get(module, [module])[0])}"
    return module


@cache
def distributions() -> Mapping[str, list[str]]:
    """Name the installed distributions of each importable name; looking takes most of a second."""
    return importlib.metadata.packages_distributions()


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


def commit() -> str:
    """Name the checked-out commit, with "-dirty" where the Python code differs from it."""
    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True).stdout.strip()

    if not shutil.which("git"):
        return "none"
    # Results and notes beside the code leave it what it was.
    dirty = git("status", "--porcelain", "--", "tsformer/*.py", "benchmarks/*.py")
    return (git("rev-parse", "--short", "--verify", "HEAD") or "none") + ("-dirty" if dirty else "")


def provenance(device: str) -> Row:
    """Return the columns that say what a result of this process was measured with."""
    import torch

    origin = {"code": code_hash(), "commit": commit(), "device": device, "threads": torch.get_num_threads()}
    return origin | {"versions": versions(), "started": now()}


def now() -> str:
    """Name the time."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def cpu() -> str:
    """Name the device that provenance calls a CPU, with its vector instructions."""
    import torch

    return f"cpu ({torch.backends.cpu.get_cpu_capability()})"


# Processes and memory


def run_fresh(script: str, task: Row) -> tuple[Any, str]:
    """Call `measure(task)` of a script in a fresh process; return the result, or None, and what it wrote of errors."""
    threads = {name: str(task["threads"]) for name in THREAD_VARIABLES}  # torch follows OMP_NUM_THREADS
    command = [sys.executable, __file__, script, json.dumps(task)]
    process = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True)
    try:
        return json.loads(process.stdout.splitlines()[-1]), process.stderr
    except (IndexError, json.JSONDecodeError):
        print(process.stderr, file=sys.stderr)
        return None, f"The process ended with status {process.returncode}."


def peak_memory_mb() -> float:
    """Measure this process's peak of resident memory so far."""
    # Linux hands ru_maxrss on through fork and exec: a child of a 500 MB parent starts with a "peak" of 500 MB.
    with contextlib.suppress(OSError):
        match = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            return int(match[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


# Time


@dataclass
class Contest:
    """Ways to do the same thing: each of ours is compared with each rival; `target` is the ratio we promise."""

    question: str
    setting: str
    ours: dict[str, Run]
    rivals: dict[str, Run]
    targets: dict[str, float] = field(default_factory=dict)
    rounds: int = 5  # at least

    def rows(self, seconds: float) -> Iterator[Row]:
        """Time all and compare."""
        times = interleaved(self.ours | self.rivals, seconds, self.rounds)
        for ours in self.ours:
            for rival in self.rivals:
                names = {"question": self.question, "setting": self.setting, "ours": ours, "rival": rival}
                yield names | ratio(times, ours, rival) | {"target": self.targets.get(rival, np.nan)}


def interleaved(runs: Mapping[str, Run], seconds: float, at_least: int = 5) -> pd.DataFrame:
    """Time all runs in turn, round after round.

    Parameters
    ----------
    runs : mapping of names to functions
    seconds : float
        No new round begins after this time, unless there are fewer than `at_least`.
    at_least : int, default=5
        Rounds that count. One round before them warms up.

    Returns
    -------
    DataFrame
        Seconds: one column a run, one row a round.
    """
    end = time.perf_counter() + seconds
    rounds: list[dict[str, float]] = []
    order = list(runs)
    while len(rounds) <= at_least or time.perf_counter() < end:
        rounds.append({name: timed(runs[name]) for name in order})
        order.reverse()  # so that nobody always runs in the wake of the same other
    return pd.DataFrame(rounds[1:])


def timed(run: Run) -> float:
    """Return the seconds of one run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ratio(seconds: pd.DataFrame, name: str, rival: str) -> Row:
    """Compare two columns of `interleaved`: medians over the rounds, and the quartiles of the ratio."""
    ratios = seconds[name] / seconds[rival]
    return {
        "seconds": seconds[name].median(),
        "rival_seconds": seconds[rival].median(),
        "ratio": ratios.median(),
        "ratio_low": ratios.quantile(0.25),
        "ratio_high": ratios.quantile(0.75),
        "rounds": len(ratios),
    }


if __name__ == "__main__":  # what run_fresh starts
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the run: an orphan would go on using the cores
    print("\n" + json.dumps(importlib.import_module(sys.argv[1]).measure(json.loads(sys.argv[2]))))
