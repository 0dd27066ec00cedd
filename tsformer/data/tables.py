"""CSV files as people have them, with any separator and decimal mark: a path in, a frame or labelled series out."""

import csv
import re
import reprlib
import shlex
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer.data.files import OLDER, encoding_of
from tsformer.data.messages import quoted, warn_user

SEPARATORS = (",", ";", "\t", "|")
HEAD = 20  # lines by which a separator is told
VALUE = re.compile(r"[-+\d.,:/TZ ]+")  # a number or a date, which is no name of a column
NUMBER = re.compile(r"\s*[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?\s*")
THOUSANDS = re.compile(r"\s*[-+]?[1-9]\d{0,2}(?:,\d{3})+\s*")  # 1,234: by an Englishman, or 1.234 by a German
COUNTS = ("id", "case", "row", "no", "nr")  # in lower case
UNNAMED = "Unnamed: 0"  # what pandas calls a first column without a name


def read_table(path: Path, *, sep: str | None, decimal: str | None, as_text: Iterable[str | None]) -> pd.DataFrame:
    """Read a CSV file whose first line names its columns.

    A separator and a decimal mark that are not given are found. UTF-8 and UTF-16 are told by their bytes; what is
    neither is read as Windows-1252, with a warning. Columns `as_text` keep their spelling: 007 is no number.
    """
    texts = [name for name in as_text if name]
    try:
        df = _read(path, sep, decimal or ".", texts)
        if decimal is None and _has_decimal_comma(df.drop(columns=texts, errors="ignore")):
            df = _read(path, sep, ",", texts)
    except (ValueError, OverflowError) as error:  # pandas' errors of parsing
        raise ValueError(f"{path} must be a CSV file whose first line names the columns. {error}") from error
    if all(VALUE.fullmatch(str(name)) for name in df.columns):
        raise ValueError(f"{path} names no columns: its first line has {few(df)}. Put a line of names above it.")
    return df


def _read(path: Path, sep: str | None, decimal: str, texts: list[str]) -> pd.DataFrame:
    converters: Any = {name: lambda text: text or None for name in texts}
    how: dict[str, Any] = {"encoding": encoding_of(path)}
    try:
        return pd.read_csv(path, sep=sep or _separator(path, how), decimal=decimal, converters=converters, **how)
    except UnicodeDecodeError:
        how["encoding_errors"] = OLDER
        warn_user(f"{path} is not in UTF-8 and was read as Windows-1252. If letters come out wrong, save it as UTF-8.")
    return pd.read_csv(path, sep=sep or _separator(path, how), decimal=decimal, converters=converters, **how)


def _separator(path: Path, how: dict[str, Any]) -> str:
    """Find what separates all of the first lines into equally many cells, or else the most of the first."""
    whole: dict[str, Any] = {"sep": "\x1f", "header": None, "names": ["line"], "index_col": False}
    read = pd.read_csv(path, nrows=HEAD, dtype=str, quoting=csv.QUOTE_NONE, **whole, **how)
    lines = [str(line) for line in read["line"]]
    for sep in reversed(SEPARATORS):
        widths = {len(row) for row in csv.reader(lines, delimiter=sep)}
        if len(widths) == 1 and widths != {1}:
            return sep
    return max(SEPARATORS, key="".join(lines[:1]).count)


def _has_decimal_comma(df: pd.DataFrame) -> bool:
    """Whether numbers have a decimal comma; what may as well be a mark of thousands is an error."""
    found = False
    for name in df.select_dtypes(exclude=["number", "bool"]):
        texts = df[name].dropna().astype(str)
        with_comma = texts[texts.str.contains(",", regex=False)]
        if with_comma.empty or not texts.str.fullmatch(NUMBER).all():
            continue
        if with_comma.str.fullmatch(THOUSANDS).all():
            raise ValueError(
                f"Column {quoted(name)} has numbers such as {reprlib.repr(with_comma.iloc[0])}. If that comma is a "
                "decimal one, pass --decimal ','; otherwise write them without it."
            )
        found = True
    return found


def few(df: pd.DataFrame) -> str:
    """Return the first columns as messages show them."""
    more = f" and {df.shape[1] - 10} more" if df.shape[1] > 10 else ""
    return f"[{', '.join(map(reprlib.repr, df.columns[:10]))}]{more}"


def check_columns(df: pd.DataFrame, path: Path, named: Mapping[str, str]) -> None:
    """Raise a ValueError that names the columns which a table lacks, and the options that name them, if any do."""
    if absent := [column for column in named if column not in df.columns]:
        why = f"Name one of these with {named[absent[0]]}."
        if not named[absent[0]]:
            why = "The saved model knows it by that name: rename or add the column."
        if df.shape[1] == 1:
            why = "If these are several, name what separates them: --sep."
        raise ValueError(f"{path} has no column {absent}. It has {few(df)}. {why}")


def without_row_numbers(df: pd.DataFrame, named: Iterable[str | None]) -> pd.DataFrame:
    """Leave out a first column of row numbers, as pandas and R write it, unless it is one of those named.

    One that is called as cases are, and counts them, is left out with a warning.
    """
    name, first = df.columns[0], df.iloc[:, 0]
    if name in named or not (pd.api.types.is_integer_dtype(first) and first.is_unique):
        return df
    counts = len(first) > 1 and bool((first.diff()[1:] == 1).all())
    if counts and str(name).lower() in COUNTS:
        warn_user(
            f"The first column, {quoted(name)}, counts rows and is left out. If it tells cases, name it: --id-col."
        )
    elif name != UNNAMED and not (counts and name == "index"):
        return df
    return df.iloc[:, 1:]


def check_numbers(df: pd.DataFrame, columns: Iterable[Hashable], path: Path) -> None:
    """Raise a ValueError that shows the first text in columns that must be numeric."""
    for name in columns:
        if pd.api.types.is_numeric_dtype(df[name]):
            continue
        wrong = df[name][df[name].notna() & pd.to_numeric(df[name], errors="coerce").isna()]
        shown = f", and has {reprlib.repr(str(wrong.iloc[0]))}" if len(wrong) else ""
        raise ValueError(
            f"Column {quoted(name)} of {path} must be numeric{shown}. If it has ids or times, name it with --id-col or "
            f"--time-col; else correct it, or leave it out: --drop-cols {shlex.quote(str(name))}."
        )


def read_dates(texts: pd.Series, date_format: str | None, path: Path | None = None) -> pd.Series:
    """Read dates of one format: guessed ones are taken for others, days for months. Whole numbers are counts.

    Those of ISO 8601, which can be nothing else, are read where another format was said.
    """
    if pd.api.types.is_integer_dtype(texts):
        return texts
    date_format = date_format or "ISO8601"
    try:
        return pd.to_datetime(texts, format=date_format)
    except ValueError as error:
        with suppress(ValueError):
            return pd.to_datetime(texts, format="ISO8601")
        unread = texts[pd.to_datetime(texts, format=date_format, errors="coerce", utc=True).isna()]
        reason = "of several offsets. Write all of them in UTC."
        if len(unread):
            first = reprlib.repr(str(unread.iloc[0]))
            reason = f"that are not of the format {date_format}, the first being {first}. Name theirs with "
            reason += "--date-format, such as %d.%m.%Y."
        of = "" if path is None else f" of {path}"
        raise ValueError(f"Column {texts.name!r}{of} has times {reason}") from error


def up_to(times: pd.Series, last: str, date_format: str | None) -> pd.Series:
    """Which times (n,) are not after `last`, of which a date without a time is that whole day, as in slices of pandas.

    What has a format of its own is the time that it says.
    """
    if pd.api.types.is_integer_dtype(times):
        return times <= int(last)
    time = read_dates(pd.Series([last]), date_format).iloc[0]
    if date_format is not None:
        return times <= time
    ordered = pd.DatetimeIndex(times.dropna().sort_values())
    n = int(ordered.get_slice_bound(last, "right"))
    return times <= (ordered[n - 1] if n else pd.NaT)


def labelled_cases(
    df: pd.DataFrame,
    path: Path,
    labelled: bool,
    *,
    label: str,
    id: str | None,
    time: str | None,
    date_format: str | None,
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Part a table into cases and their labels, which are None where it has and needs none.

    With a column of times it is long, a row for each case and time, and labels are by id. Else a row is a case, which
    `id` names.
    """
    if time is not None and id is None:
        raise ValueError(
            "--time-col means a row for each case and time. Name the column that tells cases apart: --id-col."
        )
    check_columns(df, path, {name: f"--{kind}-col" for kind, name in {"id": id, "time": time}.items() if name})
    y = df[label] if label in df and df[label].notna().any() else None
    if labelled and y is None:
        raise ValueError(f"{path} has no labels in a column {quoted(label)}. It has {few(df)}; see --label-col.")
    X = without_row_numbers(df.drop(columns=label, errors="ignore"), (id, time))
    check_numbers(X, [name for name in X.columns if name not in (id, time)], path)
    if y is not None and y.isna().any():
        raise ValueError(f"{path} has no label in row {int(y.isna().argmax()) + 1} below the names. Give it one.")
    if time is None:
        if id is not None and (again := X[id].duplicated()).any():
            raise ValueError(
                f"{path} has several rows of the case {quoted(X[id][again].iloc[0])}. If they are its times, name the "
                "column of these: --time-col."
            )
        return X if id is None else X.set_index(id), y
    if not pd.api.types.is_float_dtype(X[time]):  # which only order the rows of a case
        X = X.assign(**{time: read_dates(X[time], date_format, path)})
    if y is not None:
        labels = y.groupby(df[id], sort=False)
        if (several := labels.nunique()).max() > 1:
            raise ValueError(f"{path} has several labels for the case {quoted(several.idxmax())}. Give it one.")
        y = labels.first()
    return X, y
