"""How long a fit takes, for whoever waits for it: the steps of all its networks in, a progress bar or two lines out."""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tqdm.auto import tqdm

from tsformer.training import distributed

TOLD_FROM = 10.0  # seconds of a fit from which on it is worth two lines
MEASURED = 2.0  # seconds of training by which the whole is judged
MANY = (  # what fits an estimator several times, of which one fit tells nothing; a pipeline fits it once
    *(f"sklearn.{part}" for part in ("calibration", "ensemble", "feature_selection", "model_selection._validation")),
    *("sklearn.multiclass", "sklearn.multioutput", "sklearn.semi_supervised", "sktime.forecasting.model_evaluation"),
)


@dataclass
class Waiting:
    """The steps of a fit, its networks one after the other, of which `done` are behind; told on stderr.

    With a bar, or in lines: one says about how long all will take, as soon as some steps are measured, another how long
    it took. Of a fit shorter than TOLD_FROM neither is written.
    """

    fit: str  # what it is of
    n_steps: int  # at most; what early stopping leaves out is taken off as it does
    has_bar: bool = False
    has_lines: bool = False
    done: int = 0
    clock: Callable[[], float] = time.monotonic  # one for all processes of a machine
    start: float = field(init=False)
    _first: tuple[float, int] | None = field(init=False, default=None)  # when it was measured from, and steps by then
    _told: bool = field(init=False, default=False)
    _bar: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.start = self.clock()

    @contextmanager
    def network(self, title: str) -> Iterator[None]:
        """Watch the training of a network; an error in it closes the bar, to which others would write on."""
        if self.has_bar:
            if self._bar is None:
                self._bar = tqdm(total=self.n_steps, initial=self.done, unit="step", desc=title)
            self._bar.set_description(title)
        try:
            yield
        except BaseException:
            if self._bar is not None:
                self._bar.close()
            raise

    def step(self) -> None:
        """Count a step of training."""
        if self._bar is not None:
            self._bar.update()
        elif self.has_lines and not self._told:
            self._measure()

    def note(self, **losses: float) -> None:
        """Show the losses of the last epoch."""
        if self._bar is not None:
            self._bar.set_postfix(losses)

    def leave_out(self, n_steps: int) -> None:
        """Take off steps that will not be made."""
        self.n_steps -= n_steps
        if self._bar is not None:
            self._bar.total = self.n_steps
            self._bar.refresh()

    def end(self) -> None:
        """Say how long it took."""
        if self._bar is not None:
            self._bar.close()
        if self.has_lines and (seconds := self.clock() - self.start) >= TOLD_FROM:
            self._say(f"fitted in {in_words(seconds)}.")

    def in_process(self, i: int, n_networks: int, n_jobs: int) -> "Waiting":
        """Return what network i tells in a process of its own, beside others: every n-th shows a bar, the first lines.

        Steps are those of the networks that come one after the other.
        """
        of_one = self.n_steps // n_networks
        rounds, place = -(-n_networks // n_jobs), i // n_jobs
        bar, lines = self.has_bar and i % n_jobs == 0, self.has_lines and i == 0
        own = replace(self, n_steps=rounds * of_one, done=place * of_one, has_bar=bar, has_lines=lines)
        own.start = self.start
        return own

    def _measure(self) -> None:
        """Tell, once some steps after the first, which takes longer, are made, about how long all will take."""
        self.done += 1
        now = self.clock()
        if self._first is None:
            self._first = now, self.done
        begun, before = self._first
        if self.done == before or now - begun < MEASURED:
            return
        expected = now - self.start + (now - begun) / (self.done - before) * (self.n_steps - self.done)
        if expected >= TOLD_FROM:
            self._say(f"fit will take about {in_words(expected)}. verbose=True shows how far it is.")
        self._told = True

    def _say(self, message: str) -> None:
        print(f"{self.fit}: {message}", file=sys.stderr, flush=True)


UNWATCHED = Waiting("", 0)


def waiting_for(estimator: Any, n_steps: int) -> Waiting:
    """Tell of an estimator's fit by a bar if it is `verbose`, else by lines where somebody sits before them."""
    is_first = distributed.processes()[0] == 0
    has_bar, has_lines = bool(estimator.verbose), is_watched() and not is_one_of_many()
    return Waiting(type(estimator).__name__, n_steps, is_first and has_bar, is_first and has_lines and not has_bar)


def is_watched() -> bool:
    """Whether lines are read as they come: in a terminal or a notebook, unless the logger wants warnings alone."""
    stream = sys.stderr
    if logging.getLogger("tsformer").level > logging.INFO:  # that of its own: by default it has none
        return False
    return stream is not None and (stream.isatty() or type(stream).__module__.startswith("ipykernel"))


def is_one_of_many() -> bool:
    """Whether a fit is one of a cross-validation, a search, an ensemble or a backtest; the stack tells who calls."""
    for frame, _ in traceback.walk_stack(None):
        module = frame.f_globals.get("__name__", "")
        own = module.startswith("tsformer.") and frame.f_code.co_name == "_refit_and_forecast"  # also in a worker
        if own or module.startswith(MANY):
            return True
    return False


def in_words(seconds: float) -> str:
    """Seconds as people say them, to two digits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
