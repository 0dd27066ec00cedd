"""Makes the files that the benchmarks of forecasts and anomalies read from those that their homes offer.

    python benchmarks/prepare.py DOWNLOADS DATA

DOWNLOADS is a folder with all or some of these, and DATA gets `forecast/` and `anomaly/`; docs/datasets.md has the
addresses: ETTh1.csv, ETTm1.csv, exchange_rate.txt.gz, m3_yearly_dataset.zip and the like of quarterly, monthly and of
tourism (Monash archive), and UCR_TimeSeriesAnomalyDatasets2021.zip.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pandas as pd

# Of each frequency its name in pandas, the horizon held back, the first number of an id, and what stands before it.
COMPETITIONS = {
    "m3": {"yearly": ("YS", 6, 1, "N"), "quarterly": ("QS", 8, 646, "N"), "monthly": ("MS", 18, 1402, "N")},
    "tourism": {"yearly": ("YS", 4, 1, "Y"), "quarterly": ("QS", 8, 1, "Q"), "monthly": ("MS", 24, 1, "M")},
}
ANOMALIES = {*range(24, 28), *range(132, 136), 11, 12, 99, 119, 120, 163}  # of the archive's 250 series


def main(downloads: Path, data: Path) -> None:
    """Make what can be made, and say what."""
    (data / "forecast").mkdir(parents=True, exist_ok=True)
    made = [*long_horizon(downloads, data / "forecast"), *competitions(downloads, data / "forecast")]
    (data / "anomaly").mkdir(exist_ok=True)
    made += anomalies(downloads, data / "anomaly")
    print(*(f"wrote {path}" for path in made), sep="\n")


def long_horizon(downloads: Path, folder: Path) -> Iterator[Path]:
    """Write ETT as it is, and the exchange rates with the numbers of their columns and rows."""
    for name in ("ETTh1", "ETTm1"):
        if (file := downloads / f"{name}.csv").exists():
            yield write(pd.read_csv(file, dtype=str), folder / f"{name}.csv.gz")
    if (file := downloads / "exchange_rate.txt.gz").exists():
        rates = pd.read_csv(file, header=None, dtype=str)
        yield write(rates.rename_axis("date").reset_index(), folder / "exchange_rate.csv.gz")


def competitions(downloads: Path, folder: Path) -> Iterator[Path]:
    """Write a file for each competition whose three frequencies are all there."""
    for name, frequencies in COMPETITIONS.items():
        files = {frequency: downloads / f"{name}_{frequency}_dataset.zip" for frequency in frequencies}
        if all(file.exists() for file in files.values()):
            parts = [long_rows(files[frequency], *how) for frequency, how in frequencies.items()]
            yield write(pd.concat(parts), folder / f"{name}.csv.gz")


def long_rows(file: Path, freq: str, horizon: int, first: int, letter: str) -> pd.DataFrame:
    """Read the `.tsf` file in a zip: columns unique_id, ds, y, freq, split; ids are those of R's Mcomp and Tcomp."""
    with ZipFile(file) as archive:
        [member] = [member for member in archive.namelist() if member.endswith(".tsf")]
        text = archive.read(member).decode("cp1252")
    parts = []
    for number, line in enumerate(data_lines(text), start=first):
        _, begin, values = line.rsplit(":", 2)
        y = values.split(",")
        ds = pd.date_range(begin[:10], periods=len(y), freq=freq)
        split = ["train"] * (len(y) - horizon) + ["test"] * horizon
        id = f"{letter}{number:04}" if letter == "N" else f"{letter}{number}"
        parts.append(pd.DataFrame({"unique_id": id, "ds": ds, "y": y, "freq": freq, "split": split}))
    return pd.concat(parts)


def data_lines(text: str) -> list[str]:
    """Return the lines after `@data`, a series each."""
    return [line for line in text.partition("@data")[2].splitlines() if line.strip()]


def anomalies(downloads: Path, folder: Path) -> Iterator[Path]:
    """Write those series of the UCR anomaly archive that are measured, by shorter names."""
    file = downloads / "UCR_TimeSeriesAnomalyDatasets2021.zip"
    if not file.exists():
        return
    with ZipFile(file) as archive:
        for member in archive.namelist():
            name = re.search(r"(?:^|/)(\d{3})_UCR_Anomaly_(?:DISTORTED)?(\w+_\d+_\d+_\d+)\.txt$", member)
            if name and int(name[1]) in ANOMALIES:
                values = pd.DataFrame({"value": archive.read(member).decode().split()})
                yield write(values, folder / f"{name[1]}_{name[2]}.csv.gz")


def write(rows: pd.DataFrame, path: Path) -> Path:
    """Write rows as CSV."""
    rows.to_csv(path, index=False)
    return path


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
