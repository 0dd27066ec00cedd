"""Writes numbers into the cells of tables: as many digits as tell something, the best bold."""

import numpy as np
import pandas as pd
from tables import number

OURS = "tsformer"


def three(value: float) -> str:
    """Write a number with three digits."""
    return number(value, 3)


def seconds(value: float) -> str:
    """Write seconds with as many digits as tell something."""
    return number(value, 2 if value < 0.1 else 1 if value < 9.95 else 0)


def bold_if(value: float, is_best: bool, before: str = "") -> str:
    """Write a number, bold where it is the best."""
    return f"**{before}{value:.3f}**" if is_best else f"{before}{value:.3f}"


def bold_best(values: pd.Series, digits: int, sign: int = 1) -> pd.Series:
    """Write numbers, the largest bold (the smallest for a sign of -1); what reads alike is alike."""
    rounded = values.round(digits)
    best = (sign * rounded).max()
    cells = [
        f"**{value:.{digits}f}**" if sign * value == best else number(value, digits)
        for value in rounded.to_numpy(dtype=np.float64)
    ]
    return pd.Series(cells, values.index)


def bold_rows(table: pd.DataFrame, digits: int, sign: int = 1) -> pd.DataFrame:
    """Write a table of numbers, the best of each row bold."""
    return table.apply(bold_best, axis=1, digits=digits, sign=sign)
