"""What the columns of forecasts are called: targets with quantiles, bands and actual values to columns, and back."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pandas as pd

from tsformer.data.rows import Layout, Rows


def as_text(number: float) -> str:
    """A quantile or level as columns are named by it: 0.3 for what arithmetic makes of it, but 99.99999 as it is."""
    return f"{number:.12g}"


def quantiles_of(level: Sequence[float]) -> list[float]:
    """Return the quantiles, ascending, that bound the central intervals of `level` percent: [90] has .05 and .95."""
    return sorted({quantile for percent in level for quantile in _bounds(percent)})


def _bounds(percent: float) -> tuple[float, float]:
    _check_level(percent)
    return (100 - percent) / 200, (100 + percent) / 200


def _check_level(percent: float) -> None:
    if not 1 <= percent < 100:
        raise ValueError(f"A level must be a percentage in the range [1, 100), such as 90. Got {percent!r} instead.")


def check_quantiles(numbers: Iterable[float], given: Any) -> None:
    """Raise a ValueError where a number is no quantile."""
    if not all(0 < number < 1 for number in numbers):
        raise ValueError(f"quantiles must lie between 0 and 1, both excluded. Got {given!r}; that of 10 % is 0.1.")


def band_labels(percent: float) -> list[str]:
    """Return what the lower and the upper end of a band are called."""
    _check_level(percent)
    return [f"lo-{as_text(percent)}", f"hi-{as_text(percent)}"]


def quantile_label(quantile: float, layout: Layout) -> str | float:
    """Return what a quantile is called: a text where it is joined to the name of its target."""
    return f"q{as_text(quantile)}" if layout == "long" else quantile


def labels_of(
    layout: Layout, quantiles: Sequence[float], level: Sequence[float] | None = None, *, with_actual: bool = False
) -> dict[Any, Any]:
    """Return the labels of the columns of a target, with what they hold: "point", a quantile or "actual".

    The label None is that of the column which is called as the target itself.
    """
    point = {None if layout == "long" else "point": "point"}
    if level is not None:
        ends = [pair for percent in level for pair in zip(band_labels(percent), _bounds(percent), strict=True)]
        labels: dict[Any, Any] = {**point, **dict(ends)}
    else:
        labels = {quantile_label(quantile, layout): quantile for quantile in quantiles}
        if layout == "long" or with_actual:
            labels = {**point, **labels}
    return (labels or {None: "point"}) | ({"actual": "actual"} if with_actual else {})


def forecast_columns(layout: Layout, is_series: bool, targets: pd.Index[Any], labels: Sequence[Any]) -> pd.Index[Any]:
    """Name the columns of a forecast, those of the labels of a target side by side."""
    if layout == "long":
        return pd.Index([name if label is None else f"{name}-{label}" for name in targets for label in labels])
    if labels[0] is None:
        return targets
    if is_series:
        return pd.Index(labels)
    parts = [name if isinstance(name, tuple) else (name,) for name in targets]
    columns = [(*part, label) for part in parts for label in labels]
    return pd.MultiIndex.from_tuples(columns, names=[*targets.names, None])


def backtest_columns(rows: Rows) -> dict[Hashable, dict[Any, Any]]:
    """Find the columns of each target of a backtest, None of a Series: by what they hold, as `labels_of` has it."""
    names = list[Any](rows.data.columns)
    if rows.layout == "long":
        targets = [name for name in names if f"{name}-actual" in names]
        labelled = {
            target: {"point": target} | {n[len(f"{target}-") :]: n for n in names if str(n).startswith(f"{target}-")}
            for target in targets
        }
    elif rows.data.columns.nlevels > 1:
        parts = {name: name[0] if len(name) == 2 else name[:-1] for name in names if name[-1] != ""}
        labelled = {part: {n[-1]: n for n in names if parts.get(n) == part} for part in dict.fromkeys(parts.values())}
    else:
        labelled = {None: {name: name for name in names}}
    found: Any = {target: {_meaning(label): n for label, n in of.items()} for target, of in labelled.items()}
    has_cutoff = "cutoff" in rows.data.columns.get_level_values(0)
    if not (found and has_cutoff and all({"point", "actual"} <= set(columns) for columns in found.values())):
        raise ValueError(
            "backtest must be a frame that TransformerForecaster.backtest returned: with a cutoff, and with the point "
            f"forecast and the actual values of each target. Got the columns {names}. A long frame is known by its "
            "columns id_col= and time_col=; what predict returns is scored by the other functions of tsformer.metrics."
        )
    return {target: {what: name for what, name in of.items() if what is not None} for target, of in found.items()}


def _meaning(label: Any) -> Any:
    """What a label stands for; None where it is none of ours."""
    if label in ("point", "actual") or isinstance(label, float):
        return label
    if (found := re.fullmatch(r"(lo-|hi-|q)([\d.e-]+)", str(label))) is None:
        return None
    side, number = found[1], float(found[2])
    return number if side == "q" else float(as_text(_bounds(number)[side == "hi-"]))
