"""Files of labelled series, `.ts` and UCR's `.tsv`, read strictly: what is wrong is told with its line."""

import codecs
import os
import re
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

Case = NDArray[np.float64]
Labels = NDArray[np.str_]
Labelled = tuple[Case | list[Case], Labels]


def stack(cases: list[Case]) -> Case | list[Case]:
    """Return cases of equal length as one array of shape (n_cases, n_channels, n_timepoints), others as the list."""
    return np.stack(cases) if len({case.shape[1] for case in cases}) == 1 else cases


@dataclass
class _Layout:
    """What a row of a `.ts` file must look like; None until the first row shows it."""

    labels: tuple[str, ...] | None = ()  # None: the rows have none
    equal_length: bool = False
    n_channels: int | None = None
    n_timepoints: int | None = None


# What the tags that matter to a reader must look like; other tags are for people.
EXPECTED_TAGS = {
    "@timestamps": "'@timeStamps false' (time stamps are not supported)",
    "@targetlabel": "'@targetLabel false' (regression is not supported)",
    "@classlabel": "'@classLabel true' and the labels",
    "@univariate": "'@univariate true' or 'false'",
    "@dimensions": "'@dimensions' and a number",
    "@equallength": "'@equalLength true' or 'false'",
    "@data": "'@data' alone, after '@classLabel true' and the labels",
}


def read_ts(path: str | os.PathLike[str]) -> Labelled:
    """Read a `.ts` file of labelled time series.

    A header of `#` comments and `@` tags ends with `@data`. Then each line is one case: channels and a class
    label, separated by colons. Values of a channel are separated by commas; `?` or NaN is a missing value.
    Padding at the end of a series stays as the file has it. What is malformed, or has time stamps or no class labels,
    raises a ValueError with the line's number. The format is described at
    https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html.

    Returns
    -------
    X : float64 array of shape (n_cases, n_channels, n_timepoints)
        Where lengths differ, a list of arrays of shape (n_channels, length_i).
    y : str array of shape (n_cases,)
        Class labels as the file spells them.
    """
    X, y = _read_ts(path)
    assert y is not None  # for the type checker
    return X, y


def read_series(path: str | os.PathLike[str], labelled: bool = True) -> tuple[Case | list[Case], Labels | None]:
    """Read a `.ts` or `.tsv` file, as its name says; labels are None where it has and needs none."""
    return _READERS[Path(path).suffix](path, labelled)


def encoding_of(path: str | os.PathLike[str]) -> str:
    """Return the encoding of a text file: UTF-16 where its first bytes say so, else UTF-8."""
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are not UTF-8 as older files mean them; in a number they are an error all the same."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


OLDER = "tsformer.windows-1252"  # the name of what to do about such bytes, for `open` and pandas
codecs.register_error(OLDER, _as_windows_1252)


def _open(path: str | os.PathLike[str]) -> TextIO:
    return open(path, encoding=encoding_of(path), errors=OLDER)


def _read_ts(path: str | os.PathLike[str], labelled: bool = True) -> tuple[Case | list[Case], Labels | None]:
    with _open(path) as file:
        lines = ((f"{path}, line {number}", line.strip()) for number, line in enumerate(file, start=1))
        layout = _read_header(lines, f"{path}, line 1", labelled)
        rows = [_read_case(row, layout, place) for place, row in lines if row]
    if not rows:
        raise _malformed(f"{path}, last line", "at least one case after '@data'", "none")
    y = None if layout.labels is None else np.array([label for _, label in rows])
    return stack([case for case, _ in rows]), y


def _read_header(lines: Iterator[tuple[str, str]], place: str, labelled: bool) -> _Layout:
    layout = _Layout()
    for place, line in lines:
        if not line.startswith("@"):  # a comment
            continue
        tag, *values = line.split()
        match [tag.lower(), *map(str.lower, values)]:
            case ["@data"] if layout.labels != ():
                return layout
            case ["@classlabel", "false"] if not labelled:
                layout.labels = None
            case ["@classlabel", "true", _, *_]:
                layout.labels = tuple(values[1:])
            case ["@equallength", "true" | "false" as flag]:
                layout.equal_length = flag == "true"
            case ["@dimensions", count] if re.fullmatch("0*[1-9][0-9]{0,8}", count):
                layout.n_channels = int(count)
            case ["@univariate", "true"]:
                layout.n_channels = 1
            case ["@univariate" | "@timestamps" | "@targetlabel", "false"]:
                pass
            case [known, *_] if known in EXPECTED_TAGS:
                raise _malformed(place, EXPECTED_TAGS[known], reprlib.repr(line))
    raise _malformed(place, "'@data' before the cases", "the end of the file")


def _read_case(row: str, layout: _Layout, place: str) -> tuple[Case, str]:
    """Return values of shape (n_channels, n_timepoints) and the label; the first row fills `layout`."""
    *channels, label = map(str.strip, row.split(":") if layout.labels is not None else [*row.split(":"), ""])
    if not channels:
        raise _malformed(place, "values and a class label, separated by a colon", reprlib.repr(row))
    if layout.labels is not None and label not in layout.labels:
        labels = ", ".join(layout.labels[:10])
        raise _malformed(place, f"a class label of '@classLabel' ({labels}) at the end", reprlib.repr(label))
    layout.n_channels = layout.n_channels or len(channels)
    if len(channels) != layout.n_channels:
        raise _malformed(place, f"{layout.n_channels} channels before the class label", f"{len(channels)}")
    values = [_read_numbers(channel.split(","), place) for channel in channels]
    n_timepoints = layout.n_timepoints or len(values[0])
    for number, numbers in enumerate(values, start=1):
        if len(numbers) != n_timepoints:
            rule = "as in the first case ('@equalLength true')" if layout.n_timepoints else "as in channel 1"
            raise _malformed(place, f"{n_timepoints} values in channel {number}, {rule}", f"{len(numbers)}")
    if layout.equal_length:
        layout.n_timepoints = n_timepoints
    return np.array(values), label


def _read_tsv(path: str | os.PathLike[str], labelled: bool = True) -> tuple[Case | list[Case], Labels | None]:
    """Read UCR's `.tsv`: a line is one univariate case, class label first, separated by tabs."""
    cases: list[Case] = []
    labels: list[str] = []
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            place = f"{path}, line {number}"
            label, *values = map(str.strip, line.rstrip().split("\t"))
            if not (label or values):  # a blank line
                continue
            if not values:
                raise _malformed(place, "a class label and values, separated by tabs", reprlib.repr(line))
            if cases and len(values) != cases[0].shape[1]:
                raise _malformed(place, f"{cases[0].shape[1]} values, as in the first case", f"{len(values)}")
            if not label and (labelled or any(labels)):
                raise _malformed(place, "a class label before the first tab", "none")
            labels.append(label)
            cases.append(np.array([_read_numbers(values, place)]))
    if not cases:
        raise _malformed(f"{path}, line 1", "at least one case", "an empty file")
    if any(labels) and not labels[0]:
        raise _malformed(f"{path}, line 1", "a class label before the first tab, as other lines have", "none")
    return stack(cases), np.array(labels) if any(labels) else None


def _read_numbers(values: list[str], place: str) -> list[float]:
    numbers = []
    for value in values:
        try:
            if "_" in value:  # which Python takes, as in 1_000
                raise ValueError
            numbers.append(float(value))
        except ValueError:
            if value.strip() != "?":
                raise _malformed(place, "a number, '?' or NaN", reprlib.repr(value)) from None
            numbers.append(np.nan)
    return numbers


def _malformed(place: str, expected: str, got: str) -> ValueError:
    return ValueError(f"{place}: expected {expected}, got {got}. Correct the file or fetch it again.")


_READERS: dict[str, Callable[..., tuple[Case | list[Case], Labels | None]]] = {".ts": _read_ts, ".tsv": _read_tsv}
SUFFIXES = tuple(_READERS)
