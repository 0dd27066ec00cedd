"""Frames of series in every form and kind of time, and their reading in one call."""

import numpy as np
import pandas as pd
from pandas import offsets
from pandas.testing import assert_frame_equal, assert_series_equal

from tsformer.data.frames import Columns, SeriesSet, read_series

DAYS = pd.date_range("2024-01-01", periods=30, freq="D")

# 40 times each; the first 30 will be the history. Mind the changes of clocks on 2024-03-31 and 2024-10-27.
TIMES = {
    "days": pd.date_range("2024-01-01", periods=40, freq="D"),
    "every other day": pd.date_range("2024-01-01", periods=40, freq="2D"),
    "local days over a change of clocks": pd.date_range("2024-03-10", periods=40, freq="D", tz="Europe/Berlin"),
    "local days without a midnight": pd.date_range("2018-10-01", periods=40, freq="D").tz_localize(
        "America/Sao_Paulo", nonexistent="shift_forward"
    ),
    "local hours over a change of clocks": pd.date_range("2024-10-26", periods=40, freq="h", tz="Europe/Berlin"),
    "quarters of an hour": pd.date_range("2024-01-01", periods=40, freq="15min"),
    "seconds in a unit of seconds": pd.date_range("2024-01-01", periods=40, freq="s").as_unit("s"),
    "days in a unit of seconds": pd.date_range("2024-01-01", periods=40, freq="D").as_unit("s"),
    "business days": pd.date_range("2024-01-01", periods=40, freq="B"),
    "Wednesdays": pd.date_range("2024-01-03", periods=40, freq="W-WED"),
    "fortnights": pd.date_range("2024-01-03", periods=40, freq="14D"),
    "month starts": pd.date_range("2021-01-01", periods=40, freq="MS"),
    "month ends": pd.date_range("2021-01-31", periods=40, freq=offsets.MonthEnd()),
    "last business days": pd.date_range("2021-01-29", periods=40, freq=offsets.BMonthEnd()),
    "quarter starts": pd.date_range("2000-02-01", periods=40, freq=offsets.QuarterBegin(startingMonth=2)),
    "quarter ends": pd.date_range("2000-03-31", periods=40, freq=offsets.QuarterEnd(startingMonth=3)),
    "years": pd.date_range("1960-01-01", periods=40, freq="YS"),
    "year ends": pd.date_range("1960-12-31", periods=40, freq=offsets.YearEnd()),
    "month periods": pd.period_range("2021-01", periods=40, freq="M"),
    "two-month periods": pd.period_range("2021-01", periods=40, freq="2M"),
    "week periods": pd.period_range("2021-01-06", periods=40, freq="W-SUN"),
    "a range": pd.RangeIndex(40),
    "steps of 5": pd.Index(np.arange(-50, 150, 5)),
    "short integers": pd.Index(np.arange(2000, 2040, dtype=np.int16)),
}
FORMS = ["series", "wide", "long", "long without ids", "panel", "panel series"]


def frame_in(form: str, times: pd.Index, values: np.ndarray) -> pd.Series | pd.DataFrame:
    """The frame of `values` (n_series, n_times, n_channels); forms of one series or channel take the first."""
    if form == "series":
        return pd.Series(values[0, :, 0], index=times.rename("when"), name="load")
    if form == "wide":
        return pd.DataFrame(values[0], index=times.rename("when"), columns=pd.Index(["a", "b"], name="what"))
    if form == "long without ids":
        return pd.DataFrame({"ds": times, "y": values[0, :, 0]})
    ids = [f"s{i}" for i in range(len(values), 0, -1)]
    if form == "long":
        pieces = [pd.DataFrame({"unique_id": i, "ds": times, "y": v[:, 0]}) for i, v in zip(ids, values, strict=True)]
        return pd.concat(pieces, ignore_index=True)
    index = pd.MultiIndex.from_arrays(
        [np.repeat(ids, len(times)), times.append([times] * (len(ids) - 1))], names=["shop", "when"]
    )
    panel = pd.DataFrame(values.reshape(-1, values.shape[-1]), index=index, columns=["a", "b"])
    return panel if form == "panel" else panel["b"]


def long_frame(**series: pd.Index) -> pd.DataFrame:
    """Series of the values 0, 1, 2, ... at the given times, in long form."""
    pieces = [pd.DataFrame({"unique_id": i, "ds": t, "y": np.arange(float(len(t)))}) for i, t in series.items()]
    return pd.concat(pieces, ignore_index=True)


def one_series(values: list[float]) -> pd.Series:
    return pd.Series(values, index=pd.RangeIndex(len(values)), dtype=float)


def read(df: pd.Series | pd.DataFrame, **how) -> SeriesSet:
    """Read a frame; names of columns are among the keywords."""
    names = {name: how.pop(name) for name in Columns._fields if name in how}
    return read_series(df, Columns(**names), **how)


def assert_same(got: pd.Series | pd.DataFrame, expected: pd.Series | pd.DataFrame) -> None:
    check = assert_series_equal if isinstance(expected, pd.Series) else assert_frame_equal
    check(got, expected, check_freq=False, check_index_type="equiv")
