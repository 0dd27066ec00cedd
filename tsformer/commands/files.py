"""What commands read: the path of a file and the options in, a frame of series or labelled cases out."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer.commands.options import option_of
from tsformer.data import tables
from tsformer.data.files import SUFFIXES, read_series


def read_table(path: Path, options: argparse.Namespace, *texts: str, more: bool = False) -> pd.DataFrame:
    """Read a CSV file without the columns to leave out, which this file, one before, or one of `more` must have.

    Columns `texts` keep their spelling. Columns of ids and times that no option names are the usual ones, or those of
    a model that is loaded, if the file has them; from here on the options say so.
    """
    ids, times = (getattr(options, name) or usual for name, usual in options.usual.items())
    as_text = [ids, options.date_format and times, *texts]
    df = tables.read_table(path, sep=options.sep, decimal=options.decimal, as_text=as_text)
    dropped = options.drop_cols or []
    options.dropped = getattr(options, "dropped", set()) | (set(dropped) & set(df.columns))
    if not more:
        absent = [name for name in dropped if name not in options.dropped]
        tables.check_columns(df, path, dict.fromkeys(absent, "--drop-cols"))
    df = df.drop(columns=dropped, errors="ignore")
    if set(df.columns) <= {getattr(options, "label_col", None)}:
        raise ValueError(f"{path} has no columns of values{' but those of --drop-cols' if dropped else ''}.")
    for name, usual in options.usual.items():
        if getattr(options, name) is None and usual in df:
            setattr(options, name, usual)
    return df


def columns_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the columns of ids and times, where there are, as parameters."""
    return {name: getattr(options, name) for name in options.usual if getattr(options, name) is not None}


def read_cases(path: Path, options: argparse.Namespace, *, labelled: bool, more: bool = False) -> tuple[Any, Any]:
    """Read cases and their labels, None where a file that may be without has none."""
    if path.suffix in SUFFIXES:
        return read_series(path, labelled)
    if path.suffix != ".csv":
        kinds = ", ".join(SUFFIXES)
        raise ValueError(
            f"{path} must be one of {kinds}, .csv. Got the suffix {path.suffix!r}; save it as one of these."
        )
    df = read_table(path, options, options.label_col, more=more)
    columns = {"label": options.label_col, "id": options.id_col, "time": options.time_col}
    return tables.labelled_cases(df, path, labelled, **columns, date_format=options.date_format)


def as_series(
    df: pd.DataFrame,
    path: Path,
    options: argparse.Namespace,
    values: dict[str, str] | None,
    *,
    label: str | None = None,
    exact: bool = False,
) -> tuple[pd.DataFrame, str | int | None]:
    """Make of a table a frame of series, long with ids and wide without; return the frequency of its times too.

    `values` has its columns and what names them, None is all; those that it has not are left out, or refused if it is
    to be exact. `label` is a column beside the values.
    """
    if options.time_col is None:
        options.time_col, options.unnamed_times = options.usual["time_col"], True
    if options.unnamed_times and options.time_col not in df:
        df = df.rename(columns={tables.UNNAMED: options.time_col})
    keys = {name: option_of(kind) for kind, name in columns_of(options).items()}
    keys |= {} if label is None else {label: "--label-col"}
    values = dict.fromkeys(values, "") if options.load and values else values  # no option names those of a saved model
    df = tables.without_row_numbers(df, [*keys, *(values or [])])
    tables.check_columns(df, path, keys | (values or {}))
    named = list(dict.fromkeys([*keys, *(df if values is None else values)]))
    if exact and (further := [str(name) for name in df if name not in named]):
        raise ValueError(f"{path} has the further columns {further}. {_way_out(further, options)}")
    tables.check_numbers(df, named[len(keys) :], path)
    times, freq = tables.read_dates(df[options.time_col], options.date_format, path), options.freq
    if pd.api.types.is_integer_dtype(times) and freq is not None and freq.isdecimal():
        freq = int(freq)
    df = df[named].assign(**{options.time_col: times})
    return df.set_index(options.time_col) if options.id_col is None else df, freq


def _way_out(further: list[str], options: argparse.Namespace) -> str:
    drop = f"--drop-cols {shlex.join(further)}"
    if options.load is not None:
        return f"The model knows none of them. Leave them out: {drop}."
    ids = "" if options.id_col is not None else " If one of them tells series apart, name it with --id-col."
    kinds = "--future-cols, --past-cols, --static-cols or --target-cols"
    return f"Name them with {kinds}, or leave them out: {drop}.{ids}"
