"""Series by dataset name: labelled (bundled, in a folder, or by a checked download), and one to forecast."""

import hashlib
import io
import os
import re
import tempfile
import time
import zlib
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from tsformer.data.files import READERS, Labelled, read_ts, stack

__all__ = ["load_classification", "load_forecasting", "read_ts"]

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
    return stack([case for X, _ in loaded for case in X]), np.concatenate([y for _, y in loaded])


def load_forecasting(name: str = "AirPassengers") -> pd.Series:
    """Load a bundled series to forecast.

    Parameters
    ----------
    name : {"AirPassengers"}, default="AirPassengers"
        Monthly passengers of international airlines, 1949 to 1960, in thousands.

    Returns
    -------
    Series of length 144
        float64, named "passengers", with a DatetimeIndex of the first days of the months, named "month".

    References
    ----------
    Box, Jenkins & Reinsel (1976), "Time series analysis, forecasting and control", series G.
    """
    if name != "AirPassengers":
        raise ValueError(
            f"The 'name' parameter of load_forecasting must be 'AirPassengers', the one bundled series. Got {name!r} "
            "instead. Read others with pandas.read_csv."
        )
    table = pd.read_csv(_bundled_folder() / name / f"{name}.csv", parse_dates=["Date"])
    index = pd.DatetimeIndex(table["Date"], freq="MS", name="month")
    return pd.Series(table["Passengers"].to_numpy(dtype=float), index=index, name="passengers")


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
            files = _fetch(url, name)
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
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for file, content in files.items():
            Path(scratch, file).write_bytes(content)
            os.replace(Path(scratch, file), folder / file)


def _fetch(url: str, name: str) -> dict[str, bytes]:
    """Return the TRAIN and TEST files of a zip by their bare names, and last their sums."""
    with urlopen(url, timeout=SECONDS_TO_ANSWER) as response:
        content = response.read()
    got = hashlib.sha256(content).hexdigest()
    if got != KNOWN_SHA256.get(name, got):
        raise BadZipFile(f"expected a zip of sha256 {KNOWN_SHA256[name]}, got {got}")
    files = _unzip(content, name)
    sums = "".join(_sum_line(*named) for named in [*files.items(), (f"{name}.zip", content)])
    return files | {RECORDED_SUMS: sums.encode()}


def _unzip(content: bytes, name: str) -> dict[str, bytes]:
    """Return the TRAIN and TEST files of a zip by their bare names; other members are never touched."""
    files = {}
    with ZipFile(io.BytesIO(content)) as archive:
        members = {PurePosixPath(member).name: member for member in archive.namelist()}
        for part in ("TRAIN", "TEST"):
            wanted = [f"{name}_{part}{suffix}" for suffix in READERS]
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
    if not recorded.exists():  # put there by hand
        return
    line = _sum_line(path.name, path.read_bytes())
    if line not in recorded.read_text(encoding="utf-8").splitlines(keepends=True):
        raise ValueError(
            f"{path} is not as downloaded: expected its sha256 in {recorded}, got {line.split()[0]}. "
            f"Delete the folder {path.parent} and load again."
        )
