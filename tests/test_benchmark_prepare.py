"""What benchmarks/prepare.py makes of downloads, as forecasting_data and anomaly_sets read it."""

import sys
import zipfile
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import anomaly_sets
import forecasting_data
import prepare


def write_zip(path: Path, **members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text.encode("cp1252"))


def tsf(*series: str) -> str:
    return "# é\n@attribute series_name string\n@attribute start_timestamp date\n@data\n" + "\n".join(series) + "\n"


def test_prepare__downloads_of_all_homes__become_what_the_benchmarks_read(tmp_path):
    downloads, data = tmp_path / "downloads", tmp_path / "data"
    downloads.mkdir()
    hours = pd.date_range("2016-07-01", periods=20 * 30 * 24, freq="h")
    pd.DataFrame({"date": hours, "OT": range(len(hours))}).to_csv(downloads / "ETTh1.csv", index=False)
    pd.DataFrame([[0.5 + i, 1.5] for i in range(100)]).to_csv(
        downloads / "exchange_rate.txt.gz", index=False, header=False
    )
    values = ",".join(map(str, range(40)))
    for name in ("m3", "tourism"):
        for frequency in ("yearly", "quarterly", "monthly"):
            text = tsf(f"T1:1979-01-01 00-00-00:{values}", f"T2:1979-01-01 00-00-00:{values},7")
            write_zip(downloads / f"{name}_{frequency}_dataset.zip", **{f"{name}_{frequency}_dataset.tsf": text})
    odd, other = "011_UCR_Anomaly_DISTORTEDECG1_5_8_9.txt", "010_UCR_Anomaly_DISTORTEDCIMIS_5_8_9.txt"
    write_zip(downloads / "UCR_TimeSeriesAnomalyDatasets2021.zip", **{f"a/b/{odd}": "1\n2.5\n" * 6, other: "1\n"})

    prepare.main(downloads, data)

    cut = forecasting_data.read_long_horizon(data / "forecast", forecasting_data.DATASETS["ETTh1"], "test")
    assert (cut.n_train, len(cut.frame)) == (360 * 24, len(hours))
    rates = forecasting_data.read_long_horizon(data / "forecast", forecasting_data.DATASETS["exchange_rate"], "test")
    assert rates.frame.shape == (100, 2)
    for name, ids in {"m3-monthly": ["N1402", "N1403"], "tourism-quarterly": ["Q1", "Q2"]}.items():
        known = forecasting_data.DATASETS[name]
        history, truth = forecasting_data.read_competition(data / "forecast", known, "test")
        assert list(truth["unique_id"].unique()) == ids
        assert (truth.groupby("unique_id")["y"].size() == known.horizons[0]).all()
        assert history["y"].iloc[:3].tolist() == [0, 1, 2]
    assert [path.name for path in (data / "anomaly").iterdir()] == ["011_ECG1_5_8_9.csv.gz"]
    made = anomaly_sets.from_archive("011_ECG1_5_8_9", data / "anomaly")
    assert (len(made.values), made.train_end, made.labels.sum()) == (12, 5, 2)
