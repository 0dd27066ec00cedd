"""scikit-learn's callbacks, from 1.9 on: an estimator's fit in, the tasks that its callbacks hear of out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
    from sklearn.callback import with_callbacks as with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: scikit-learn before 1.9 has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method as it is."""
        return method


class Task:
    """A part of fit that callbacks hear of: the whole, the training of a network, an epoch.

    Nobody listens where scikit-learn's `context` is None. `data` are X and y as fit was given them. The task is
    `stopped` once a callback asked for no further parts.
    """

    def __init__(self, estimator: Any = None, context: Any = None, parent: Task | None = None, **data: Any) -> None:
        self.estimator, self.context, self.parent, self.data = estimator, context, parent, data
        self.stopped = False
        if context is not None:
            context.call_on_fit_task_begin(estimator=estimator, **data)

    def part(self, name: str, n_parts: int = 0) -> Task:
        """Begin a part of this task that has at most `n_parts` parts itself."""
        if self.context is None:
            return self
        context = self.context.subcontext(task_name=name, max_subtasks=n_parts)
        return Task(self.estimator, context, self, **self.data)

    def end(self, fitted: Callable[[], dict[str, Any]] = dict) -> None:
        """End this task; `fitted` makes what the estimator's attributes were, had fit stopped here."""
        if self.context is None:
            return
        asked = self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted, **self.data
        )
        if self.parent is not None:
            self.parent.stopped |= asked


SILENT = Task()


def whole_fit(estimator: Any, n_parts: int, X: Any, y: Any) -> Task:
    """Begin the task that is all of fit; it is silent where the estimator has no callbacks."""
    if not hasattr(estimator, "_skl_callbacks"):
        return SILENT
    return Task(estimator, estimator._init_callback_context(max_subtasks=n_parts), X=X, y=y)
