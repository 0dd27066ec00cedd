"""Series by dataset name: labelled (bundled, in a folder, or by a checked download), and one to forecast."""

import hashlib
import io
import os
import re
import tempfile
import time
import zlib
from http.client import HTTPException
from itertools import starmap
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from tsformer.data.files import SUFFIXES, Labelled, read_series, read_ts, stack

__all__ = ["list_datasets", "load_classification", "load_forecasting", "read_ts"]

ARCHIVE_URL = "https://www.timeseriesclassification.com/aeon-toolkit"
DOWNLOAD_ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 2.0
SECONDS_TO_ANSWER = 30.0
RECORDED_SUMS = "SHA256SUMS"


def list_datasets(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """List what can be loaded without a network.

    `load_classification` loads every other set of the UEA and UCR archives by its name, from
    https://www.timeseriesclassification.com.

    Parameters
    ----------
    folder : str or path, default=None
        Look there for labelled sets, as `load_classification` does; by default at the bundled samples and the cache.

    Returns
    -------
    DataFrame by name
        "task": "classification" or "forecasting", whose loader takes the name; "splits": "train", "test" or both;
        "place": "bundled" or the folder of its files.

    Examples
    --------
    >>> from tsformer.datasets import list_datasets
    >>> list_datasets().loc["GunPoint", ["task", "place"]].tolist()
    ['classification', 'bundled']
    """
    places = {"bundled": bundled_folder(), "cache": _cache()} if folder is None else {"": Path(folder)}
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"There is no folder {folder}. Pass one that has NAME_TRAIN.ts or NAME/NAME_TRAIN.ts.")
    rows: dict[str, Any] = {}
    for place, root in places.items():
        for path in sorted([*root.glob("*_T*.*"), *root.glob("*/*_T*.*")]):
            name, _, part = path.stem.rpartition("_")
            of_its_own = path.parent in (root, root / name)
            if part in ("TRAIN", "TEST") and path.suffix in SUFFIXES and of_its_own:
                where = place if place == "bundled" else str(path.parent)
                row = rows.setdefault(name, {"task": "classification", "splits": [], "place": where})
                if part.lower() not in row["splits"]:
                    row["splits"] = sorted([*row["splits"], part.lower()], reverse=True)
    if folder is None:
        rows["AirPassengers"] = {"task": "forecasting", "splits": [], "place": "bundled"}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["task", "splits", "place"]).rename_axis("name")
    return table.assign(splits=table["splits"].map(", ".join)).sort_index()


def load_classification(name: str, split: str | None = None, folder: str | os.PathLike[str] | None = None) -> Labelled:
    """Load a dataset of the UEA and UCR classification archives, or one of your own in their formats.

    Without `folder` the bundled samples come first (BasicMotions, GunPoint, ItalyPowerDemand, JapaneseVowels), then the
    cache (~/.cache/tsformer, or what the environment variable TSFORMER_DATA names), then a download into the cache.
    `list_datasets` tells what is there.

    Parameters
    ----------
    name : str
        Name of the dataset, such as "BasicMotions".
    split : {"train", "test"}, default=None
        Which of the official files to read; None is TRAIN followed by TEST.
    folder : str or path, default=None
        Read there and nowhere else: `<folder>/<name>/<name>_TRAIN.ts`, or without `<name>/`; so `_TEST` and `.tsv`.

    Returns
    -------
    X : float64 array of shape (n_cases, n_channels, n_timepoints)
        Missing values are NaN. Where lengths differ, a list of arrays of shape (n_channels, length_i).
    y : str array of shape (n_cases,)
        Class labels as the files spell them.

    Raises
    ------
    ValueError
        `split` or `name` is none, a file is malformed, or a cached one has another sha256 sum than after its download;
        whether that was genuine, the sum cannot tell.
    FileNotFoundError
        There is no such file, nor could it be downloaded. The message says which file to put where.

    References
    ----------
    A. Bagnall et al., "The UEA multivariate time series classification archive, 2018", arXiv:1811.00075.
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA Journal of Automatica Sinica 6(6), 2019.
    """
    if split not in ("train", "test", None):
        known = "a str among {'train', 'test'} or None"
        raise ValueError(f"The 'split' parameter of load_classification must be {known}. Got {split!r} instead.")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(
            "The 'name' parameter of load_classification must be a dataset's name, such as 'BasicMotions'. "
            f"Got {name!r} instead. A path goes into 'folder'."
        )
    parts = ("TRAIN", "TEST") if split is None else (split.upper(),)
    paths = [_find(name, part, None if folder is None else Path(folder)) for part in parts]
    loaded: list[Any] = [read_series(path) for path in paths]
    first, last = len(loaded[0][0][0]), len(loaded[-1][0][0])
    if first != last:
        raise ValueError(
            f"{paths[-1]}: expected {first} channels as in {paths[0].name}, got {last}. Fetch both from one source."
        )
    return stack([case for X, _ in loaded for case in X]), np.concatenate([y for _, y in loaded])


def load_forecasting(name: str = "AirPassengers") -> pd.Series:
    """Load a bundled series to forecast.

    Parameters
    ----------
    name : {"AirPassengers"}, default="AirPassengers"
        Monthly passengers of international airlines, 1949 to 1960, in thousands: series G of Box, Jenkins & Reinsel
        (1976), "Time series analysis, forecasting and control".

    Returns
    -------
    Series of length 144
        float64, by the first days of the months.
    """
    if name != "AirPassengers":
        raise ValueError(
            f"The 'name' parameter of load_forecasting must be 'AirPassengers', the one bundled series. Got {name!r} "
            'instead. Read others with pandas.read_csv; the page "Data sets" of the documentation says where they are.'
        )
    table = pd.read_csv(bundled_folder() / name / f"{name}.csv", parse_dates=["Date"])
    index = pd.DatetimeIndex(table["Date"], freq="MS", name="month")
    return pd.Series(table["Passengers"].to_numpy(dtype=float), index=index, name="passengers")


def bundled_folder() -> Path:
    """Return the samples' folder: `bundled` in the package of a wheel, `datasets` beside it in a checkout."""
    in_wheel = Path(__file__).with_name("bundled")
    return in_wheel if in_wheel.is_dir() else in_wheel.parents[1] / "datasets"


def _cache() -> Path:
    return Path(os.environ.get("TSFORMER_DATA") or "~/.cache/tsformer").expanduser()


def _find(name: str, part: str, folder: Path | None) -> Path:
    """Return the file in `folder`, or of the bundled samples or the cache, where a download puts it if need be."""
    cache = _cache()
    candidates = [
        place / f"{name}_{part}{suffix}"
        for root in ([bundled_folder(), cache] if folder is None else [folder])
        for place in (root / name, root)
        for suffix in SUFFIXES
    ]
    path = next(filter(Path.is_file, candidates), None)
    if path is None and folder is None:
        _download(name, cache / name)
        path = next(filter(Path.is_file, candidates), None)
    if path is None:
        raise FileNotFoundError(
            f"Found no {part} file of {name!r}. Pass the 'folder' that has it, or put it into one of these places: "
            f"{', '.join(map(str, candidates))}."
        )
    if folder is None:
        _compare_with_recorded_sum(path)
    return path


def _download(name: str, folder: Path) -> None:
    """Put the TRAIN and TEST files of the archive's zip and their sums into `folder`, each whole or not at all."""
    url = f"{ARCHIVE_URL}/{quote(name)}.zip"
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            with urlopen(url, timeout=SECONDS_TO_ANSWER) as response:
                content = response.read()
            files = _unzip(content, name)
            break
        except (OSError, HTTPException, BadZipFile, zlib.error, EOFError) as error:
            refused = isinstance(error, HTTPError) and error.code < 500
            if refused or attempt == DOWNLOAD_ATTEMPTS:
                raise FileNotFoundError(
                    f"{name!r} is neither bundled nor in the cache, and downloading {url} failed (attempt {attempt} of "
                    f"{DOWNLOAD_ATTEMPTS}): {type(error).__name__}: {error}. Check the name, or fetch the zip elsewhere"
                    f" and put {name}_TRAIN.ts and {name}_TEST.ts into {folder}, or any that you pass as 'folder'."
                ) from error
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
    files[RECORDED_SUMS] = "".join(starmap(_sum_line, [*files.items(), (f"{name}.zip", content)])).encode()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for file, data in files.items():
            Path(scratch, file).write_bytes(data)
            os.replace(Path(scratch, file), folder / file)


def _unzip(content: bytes, name: str) -> dict[str, bytes]:
    """Return the TRAIN and TEST files of a zip by their bare names; other members are never touched."""
    files = {}
    with ZipFile(io.BytesIO(content)) as archive:
        members = {PurePosixPath(member).name: member for member in archive.namelist()}
        for part in ("TRAIN", "TEST"):
            wanted = [f"{name}_{part}{suffix}" for suffix in SUFFIXES]
            found = next((file for file in wanted if file in members), None)
            if found is None:
                raise BadZipFile(f"expected a member {' or '.join(wanted)}, got {', '.join(members)}")
            files[found] = archive.read(members[found])
    return files


def _sum_line(file: str, content: bytes) -> str:
    """Return the line that `sha256sum` writes and checks."""
    return f"{hashlib.sha256(content).hexdigest()}  {file}\n"


def _compare_with_recorded_sum(path: Path) -> None:
    recorded = path.with_name(RECORDED_SUMS)
    line = _sum_line(path.name, path.read_bytes())
    # Without sums it is bundled, or was put there by hand.
    if recorded.exists() and line not in recorded.read_text(encoding="utf-8").splitlines(keepends=True):
        raise ValueError(
            f"{path} is not as downloaded: expected its sha256 in {recorded}, got {line.split()[0]}. Delete the folder "
            f"{path.parent} and load again."
        )
