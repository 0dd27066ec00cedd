"""Labelled series by dataset name: bundled samples, a folder or a checked download; and a `.ts` reader."""

import hashlib
import io
import os
import re
import reprlib
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_classification", "read_ts"]

Case = NDArray[np.float64]
Labelled = tuple[NDArray[np.float64] | list[Case], NDArray[np.str_]]

ARCHIVE_URL = "https://www.timeseriesclassification.com/aeon-toolkit"
DOWNLOAD_ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 2.0
SECONDS_TO_ANSWER = 30.0
RECORDED_SUMS = "SHA256SUMS"

# Dataset: sha256 of its zip in the archive. Empty so far: nobody has yet compared two independent downloads.
KNOWN_SHA256: dict[str, str] = {}


def load_classification(name: str, split: str | None = None, folder: str | os.PathLike[str] | None = None) -> Labelled:
    """Load a dataset of the UEA and UCR classification archives, or one of your own in their formats.

    With `folder` the files are read from there and nowhere else: `<folder>/<name>/<name>_TRAIN.ts` or
    `<folder>/<name>_TRAIN.ts`, likewise `_TEST`, or UCR's `.tsv`. Without it the bundled samples come first
    (BasicMotions, GunPoint, ItalyPowerDemand, JapaneseVowels), then the cache (~/.cache/tsformer, or what the
    environment variable TSFORMER_DATA names), then a download from the archive into the cache.

    Parameters
    ----------
    name : str
        Name of the dataset, such as "BasicMotions".
    split : {"train", "test"}, default=None
        Which of the official files to read; None is TRAIN followed by TEST.
    folder : str or path, default=None
        Where your files are.

    Returns
    -------
    X : float64 array of shape (n_cases, n_channels, n_timepoints)
        Missing values are NaN. Where lengths differ, a list of arrays of shape (n_channels, length_i).
    y : str array of shape (n_cases,)
        Class labels as the files spell them.

    Raises
    ------
    ValueError
        `split` or `name` is none, a file is malformed, or a cached file changed since its download.
    FileNotFoundError
        There is no such file, nor could it be downloaded. The message says which file to put where.

    Notes
    -----
    The sha256 sums of a downloaded zip and of the files taken from it are recorded beside these files; each
    later load compares. This notices a damaged cache. It cannot tell whether the first download was genuine.

    References
    ----------
    A. Bagnall et al., "The UEA multivariate time series classification archive, 2018", arXiv:1811.00075.
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA Journal of Automatica Sinica 6(6), 2019.
    """
    if split not in ("train", "test", None):
        raise ValueError(
            "The 'split' parameter of load_classification must be a str among {'train', 'test'} or None. "
            f"Got {split!r} instead."
        )
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(
            "The 'name' parameter of load_classification must be a dataset's name, such as 'BasicMotions'. "
            f"Got {name!r} instead. A path goes into 'folder'."
        )
    parts = ("TRAIN", "TEST") if split is None else (split.upper(),)
    paths = [_find(name, part) if folder is None else _find_in(Path(folder), name, part) for part in parts]
    loaded = [READERS[path.suffix](path) for path in paths]
    n_channels = [len(X[0]) for X, _ in loaded]
    if n_channels[0] != n_channels[-1]:
        raise ValueError(
            f"{paths[-1]}: expected {n_channels[0]} channels as in {paths[0].name}, got {n_channels[-1]}. "
            "Fetch both files from one source."
        )
    return _stack([case for X, _ in loaded for case in X]), np.concatenate([y for _, y in loaded])


def _stack(cases: list[Case]) -> NDArray[np.float64] | list[Case]:
    return np.stack(cases) if len({case.shape[1] for case in cases}) == 1 else cases


# Where the files are


def _find(name: str, part: str) -> Path:
    """Return the file among the bundled samples or in the cache, where a download puts it if need be."""
    if path := _look_in(_bundled_folder(), name, part):
        return path
    cache = Path(os.environ.get("TSFORMER_DATA") or "~/.cache/tsformer").expanduser()
    if not _look_in(cache, name, part):
        _download(name, cache / name)
    path = _find_in(cache, name, part)
    _compare_with_recorded_sum(path)
    return path


def _find_in(folder: Path, name: str, part: str) -> Path:
    if path := _look_in(folder, name, part):
        return path
    raise FileNotFoundError(
        f"Found no {part} file of {name!r}. Pass the 'folder' that has it, or put it into one of these "
        f"places: {', '.join(map(str, _candidates(folder, name, part)))}."
    )


def _look_in(folder: Path, name: str, part: str) -> Path | None:
    return next((path for path in _candidates(folder, name, part) if path.is_file()), None)


def _candidates(folder: Path, name: str, part: str) -> list[Path]:
    return [place / f"{name}_{part}{suffix}" for place in (folder / name, folder) for suffix in READERS]


def _bundled_folder() -> Path:
    """Return the samples' folder: `bundled` in the package of a wheel, `datasets` beside it in a checkout."""
    package = Path(__file__).parent
    in_wheel = package / "bundled"
    return in_wheel if in_wheel.is_dir() else package.parent / "datasets"


# Download


def _download(name: str, folder: Path) -> None:
    """Put the TRAIN and TEST files of the archive's zip into `folder`, each of them whole or not at all."""
    url = f"{ARCHIVE_URL}/{quote(name)}.zip"
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            with urlopen(url, timeout=SECONDS_TO_ANSWER) as response:
                content = response.read()
            files = _unzip(name, content)
            break
        except (OSError, HTTPException, BadZipFile, zlib.error, EOFError) as error:
            refused = isinstance(error, HTTPError) and error.code < 500
            if refused or attempt == DOWNLOAD_ATTEMPTS:
                raise FileNotFoundError(
                    f"{name!r} is neither bundled nor in the cache, and downloading {url} failed (attempt "
                    f"{attempt} of {DOWNLOAD_ATTEMPTS}): {type(error).__name__}: {error}. Check the name, or "
                    f"fetch the zip elsewhere and put {name}_TRAIN.ts and {name}_TEST.ts into {folder}, or "
                    "into any folder that you pass as 'folder'."
                ) from error
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
    sums = "".join(_sum_line(file, files[file]) for file in files) + _sum_line(f"{name}.zip", content)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for file, data in (files | {RECORDED_SUMS: sums.encode()}).items():
            Path(scratch, file).write_bytes(data)
            os.replace(Path(scratch, file), folder / file)


def _unzip(name: str, content: bytes) -> dict[str, bytes]:
    """Return the zip's TRAIN and TEST files by their bare names; its other members are never touched."""
    got = hashlib.sha256(content).hexdigest()
    if got != KNOWN_SHA256.get(name, got):
        raise BadZipFile(f"expected a zip of sha256 {KNOWN_SHA256[name]}, got {got}")
    with ZipFile(io.BytesIO(content)) as archive:
        members = {PurePosixPath(member).name: member for member in archive.namelist()}
        files = {}
        for part in ("TRAIN", "TEST"):
            wanted = [f"{name}_{part}{suffix}" for suffix in READERS]
            found = [file for file in wanted if file in members]
            if not found:
                raise BadZipFile(f"expected a member {' or '.join(wanted)}, got {', '.join(members)}")
            files[found[0]] = archive.read(members[found[0]])
    return files


def _sum_line(file: str, content: bytes) -> str:
    """Return the line that `sha256sum` writes and checks."""
    return f"{hashlib.sha256(content).hexdigest()}  {file}\n"


def _compare_with_recorded_sum(path: Path) -> None:
    recorded = path.with_name(RECORDED_SUMS)
    if not recorded.exists():  # put there by hand
        return
    line = _sum_line(path.name, path.read_bytes())
    if line not in recorded.read_text(encoding="utf-8").splitlines(keepends=True):
        raise ValueError(
            f"{path} is not as downloaded: expected its sha256 in {recorded}, got {line.split()[0]}. "
            f"Delete the folder {path.parent} and load again."
        )


# Readers


@dataclass
class _Layout:
    """What a row of a `.ts` file must look like; None until the first row shows it."""

    labels: tuple[str, ...] = ()
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
    Lengths may differ between cases. Padding at the end of a series stays as the file has it.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    X : float64 array of shape (n_cases, n_channels, n_timepoints)
        Missing values are NaN. Where lengths differ, a list of arrays of shape (n_channels, length_i).
    y : str array of shape (n_cases,)
        Class labels as the file spells them.

    Raises
    ------
    ValueError
        The file is malformed, or has time stamps or no class labels. The message has the line's number, what
        was expected there and what came.

    References
    ----------
    The format: https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html
    """
    # Some descriptions are not UTF-8: replace what cannot be decoded. In a number it is still an error.
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        lines = ((f"{path}, line {number}", line.strip()) for number, line in enumerate(file, start=1))
        layout = _read_header(lines, place=f"{path}, line 1")
        rows = [_read_case(row, layout, place) for place, row in lines if row]
    if not rows:
        raise _malformed(f"{path}, last line", "at least one case after '@data'", "none")
    return _stack([case for case, _ in rows]), np.array([label for _, label in rows])


def _read_header(lines: Iterator[tuple[str, str]], place: str) -> _Layout:
    layout = _Layout()
    for place, line in lines:
        if not line.startswith("@"):  # a comment
            continue
        tag, *values = line.split()
        match [tag.lower(), *map(str.lower, values)]:
            case ["@data"] if layout.labels:
                return layout
            case ["@classlabel", "true", _, *_]:
                layout.labels = tuple(values[1:])
            case ["@equallength", "true" | "false" as flag]:
                layout.equal_length = flag == "true"
            case ["@dimensions", count] if count.isdecimal():
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
    *channels, label = map(str.strip, row.split(":"))
    if label not in layout.labels:
        labels = ", ".join(layout.labels)
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


def _read_tsv(path: Path) -> Labelled:
    """Read UCR's `.tsv`: a line is one univariate case, class label first, separated by tabs."""
    cases: list[Case] = []
    labels = []
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            place = f"{path}, line {number}"
            label, *values = line.strip().split("\t")
            if not values:
                raise _malformed(place, "a class label and values, separated by tabs", reprlib.repr(line))
            if cases and len(values) != cases[0].shape[1]:
                raise _malformed(place, f"{cases[0].shape[1]} values, as in line 1", f"{len(values)}")
            labels.append(label)
            cases.append(np.array([_read_numbers(values, place)]))
    if not cases:
        raise _malformed(f"{path}, line 1", "at least one case", "an empty file")
    return _stack(cases), np.array(labels)


def _read_numbers(values: list[str], place: str) -> list[float]:
    try:
        return [float(value) for value in values]
    except ValueError:  # '?', or not a number
        return [_read_number(value, place) for value in values]


def _read_number(value: str, place: str) -> float:
    try:
        return np.nan if value.strip() == "?" else float(value)
    except ValueError:
        raise _malformed(place, "a number, '?' or NaN", reprlib.repr(value)) from None


def _malformed(place: str, expected: str, got: str) -> ValueError:
    return ValueError(f"{place}: expected {expected}, got {got}. Correct the file or fetch it again.")


READERS = {".ts": read_ts, ".tsv": _read_tsv}
