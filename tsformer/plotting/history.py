"""The course of training: `history_` of a fitted estimator in, lines of losses out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.inspection import check_kind
from tsformer.plotting.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(repr=False)
class HistoryDisplay:
    """The course of training: the loss by the step, and the validation loss where there is one, for each network.

    Parameters
    ----------
    history : DataFrame
        Columns network, step, loss and maybe validation_loss.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure, Axes

    Notes
    -----
    The training loss is measured on altered series, with dropped branches and weights on their way, the validation
    loss on series as they are and the weights that would be kept: it may be the lower one. After `refit` the history
    is that of the last training, on all cases, without a validation loss.
    """

    history: pd.DataFrame

    @classmethod
    def from_estimator(
        cls, estimator: TransformerClassifier | TransformerForecaster | TransformerPretrainer, *, ax: Axes | None = None
    ) -> HistoryDisplay:
        """Draw the `history_` of a fitted estimator, on `ax` where there is one."""
        check_kind(estimator, TransformerClassifier, TransformerForecaster, TransformerPretrainer)
        check_is_fitted(estimator, "history_")
        if not estimator.history_.get("step"):
            raise ValueError(
                f"HistoryDisplay draws the course of training. Got a {type(estimator).__name__} that took no step: "
                "n_estimators=0 and max_steps=0 train nothing."
            )
        return cls(pd.DataFrame({"network": 0} | estimator.history_)).plot(ax)

    def plot(self, ax: Axes | None = None) -> HistoryDisplay:
        """Draw a line for each network, a dashed one for its validation loss."""
        (ax,) = new_axes(1) if ax is None else [ax]
        networks = self.history.groupby("network")
        for i, (network, rows) in enumerate(networks):
            of = f", network {network}" if len(networks) > 1 else ""
            look: Any = {"color": f"C{i}", "marker": "." if len(self.history) < 30 else None}
            ax.plot(rows["step"], rows["loss"], label=f"training{of}", **look)
            if "validation_loss" in rows:
                ax.plot(rows["step"], rows["validation_loss"], ls="--", label=f"validation{of}", **look)
        ax.set_xlabel("optimiser step")
        ax.locator_params(axis="x", integer=True)
        ax.set_ylabel("loss, mean of an epoch")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="best", frameon=False, fontsize=8)
        self.ax_: Axes = ax
        self.figure_: Figure = ax.figure  # type: ignore[assignment]
        return self
