import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import machine
import rows
import uea

ROOT = Path(__file__).parents[1]
HELPERS = """
import os

import numpy as np


class Nearest:  # to the mean of a class; needs series of one length without missing values
    def __init__(self, random_state=None, power=2):
        self.random_state, self.power = random_state, power

    def fit(self, X, y):
        if "BROKEN" in os.environ:
            raise MemoryError("no more,\\n at all")
        with open("fits", "a") as file:
            print(os.getpid(), len(X), os.environ.get("OMP_NUM_THREADS"), file=file)
        self.classes_ = np.unique(y)
        self.shape, self.means = X.shape, np.stack([X[y == label].mean(axis=0) for label in self.classes_])
        assert np.isfinite(X).all()
        return self

    def predict(self, X):
        assert np.isfinite(X).all()
        distances = (np.abs(X[:, None] - self.means) ** self.power).sum(axis=(2, 3))
        return self.classes_[distances.argmin(axis=1)]


class Dying(Nearest):
    def fit(self, X, y):
        os._exit(7)
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with helpers.py, to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    Path("helpers.py").write_text(HELPERS)
    yield tmp_path
    sys.modules.pop("helpers", None)


@pytest.fixture
def in_process(monkeypatch):
    """Measures without a process of its own for each row, which would import torch every time."""
    monkeypatch.setattr(uea, "measure_fresh", lambda task: json.loads(json.dumps(uea.measure(task))))


def write_dataset(folder, name, train, test):
    """Write a .ts dataset; a split is a list of (label, channels)."""
    for split, cases in {"TRAIN": train, "TEST": test}.items():
        path = folder / name / f"{name}_{split}.ts"
        path.parent.mkdir(parents=True, exist_ok=True)
        header = ["@problemName x", "@timeStamps false", "@missing true", "@univariate false"]
        header += [f"@dimensions {len(cases[0][1])}", "@equalLength false", "@classLabel true a b", "@data"]
        lines = [
            ":".join([*(",".join("?" if np.isnan(v) else str(v) for v in channel) for channel in channels), label])
            for label, channels in cases
        ]
        path.write_text("\n".join([*header, *lines]) + "\n")


def cases(n_timepoints, n_cases=8):
    rng = np.random.default_rng(0)
    return [("ab"[i % 2], rng.normal(3 * (i % 2), 1, (2, n_timepoints))) for i in range(n_cases)]


@pytest.fixture
def archive(workplace):
    for name in ("One", "Two"):
        write_dataset(workplace / "small", name, cases(12), cases(12, 10))
    return workplace / "small"


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run(*arguments):
    return uea.main(["--data", "small", "--out", "r.csv", "--seeds", "0", *arguments])


# Rows


def test_uea__as_a_script__measures_each_task_in_its_own_process_and_writes_the_tables(archive):
    command = [sys.executable, ROOT / "benchmarks" / "uea.py", "--data", "small", "--datasets", "One", "--out", "r.csv"]
    options = ["--estimators", "dummy", "helpers:Nearest( power = 1)", "--seeds", "3", "--jobs", "2"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    subprocess.run([*command, *options], check=True, env=environment)

    dummy, nearest = sorted(rows_of("r.csv"), key=lambda row: row["estimator"])
    assert (dummy["estimator"], nearest["estimator"]) == ("dummy", "helpers:Nearest(power=1)")
    assert (nearest["dataset"], nearest["archive"], nearest["seed"]) == ("One", "small", "3")
    assert (nearest["accuracy"], nearest["balanced_accuracy"], nearest["error"]) == ("1.0", "1.0", "")
    shape = ("n_train", "n_test", "n_channels", "n_timepoints", "n_classes")
    assert [nearest[column] for column in shape] == ["8", "10", "2", "12", "2"]
    assert float(dummy["log_loss"]) == pytest.approx(np.log(2))
    assert 10 < float(dummy["peak_memory_mb"]) < 4000
    assert (dummy["adapted"], nearest["adapted"]) == ("", "")
    # One process of one thread, which fits twice: to warm up, and on the clock.
    fits = [line.split() for line in Path("fits").read_text().splitlines()]
    assert [size for _, size, _ in fits] == ["8", "8"]
    assert {threads for _, _, threads in fits} == {"1"}
    assert len({process for process, _, _ in fits} - {str(os.getpid())}) == 1
    assert "| One " in Path("r.md").read_text()


def test_uea__labels__trains_on_so_many_cases_of_each_class(archive, in_process):
    assert run("--estimators", "helpers:Nearest", "--labels", "2", "3") == 0
    assert [(row["labels"], row["n_train"], row["n_test"]) for row in rows_of("r.csv")[:2]] == [
        ("2", "4", "10"),
        ("3", "6", "10"),
    ]
    assert run("--estimators", "helpers:Nearest", "--datasets", "One") == 0
    assert [row["labels"] for row in rows_of("r.csv")] == ["2", "3", "2", "3", ""]
    assert len(uea.read_results(Path("r.csv"))) == 1


def test_uea__more_labels_than_there_are__is_an_error(archive, in_process):
    assert run("--estimators", "helpers:Nearest", "--labels", "5") == 1
    assert "larger sample" in rows_of("r.csv")[0]["error"]


def test_uea__ours__records_parameters_code_and_no_adaptation(workplace, in_process):
    ragged = [(label, channels[:, : 12 - i]) for i, (label, channels) in enumerate(cases(12))]
    ragged[0][1][0, 3] = np.nan
    write_dataset(workplace / "small", "Ragged", ragged, ragged)
    assert run("--estimators", "TransformerClassifier(max_steps=2, device='cpu')") == 0
    (row,) = rows_of("r.csv")
    assert row["version"].startswith("tsformer")
    assert row["code"] == machine.code_hash()
    assert int(row["n_parameters"]) > 1000
    assert (row["device"], row["adapted"], row["threads"]) == ("cpu", "", "1")
    assert 0 < float(row["log_loss"]) < 5


def test_uea__unequal_and_missing__rival_gets_adapted_data_and_the_row_says_so(workplace, in_process):
    train = [(label, channels[:, : 12 - i]) for i, (label, channels) in enumerate(cases(12))]
    train[0][1][0, :4] = np.nan
    write_dataset(workplace / "small", "Ragged", train, cases(15))
    run("--estimators", "helpers:Nearest", "dummy")
    assert [row["adapted"] for row in rows_of("r.csv")] == ["interpolated+padded+cut"] * 2
    assert [row["error"] for row in rows_of("r.csv")] == ["", ""]


def test_uea__test_file__is_opened_only_after_fit(archive, in_process, monkeypatch):
    (archive / "One" / "One_TEST.ts").unlink()
    run("--estimators", "helpers:Nearest", "--datasets", "One")
    monkeypatch.setenv("BROKEN", "1")
    assert "FileNotFoundError" in rows_of("r.csv")[0]["error"]
    run("--estimators", "helpers:Nearest", "--datasets", "One")
    assert "MemoryError" in rows_of("r.csv")[0]["error"]


def test_uea__same_dataset_in_folders_of_one_name__is_refused(archive):
    write_dataset(archive.parent / "other" / "small", "One", cases(12), cases(12))
    with pytest.raises(SystemExit, match="could not be told apart"):
        run("--data", "small", "other/small", "--estimators", "dummy")


def test_fitted_to__unequal_and_missing__interpolates_pads_and_cuts():
    nan = np.nan
    X = [np.array([[nan, 1, nan, 3, nan], [nan, nan, nan, nan, nan]]), np.array([[1.0, 2.0], [3.0, 4.0]])]
    adapted, changes = uea.fitted_to(object(), X, length=4)
    np.testing.assert_array_equal(adapted, [[[1, 1, 2, 3], [0, 0, 0, 0]], [[1, 2, 0, 0], [3, 4, 0, 0]]])
    assert changes == ["interpolated", "padded", "cut"]


def test_fitted_to__whole_series_or_capable_estimator__changes_nothing():
    X = np.arange(12.0).reshape(2, 2, 3)
    adapted, changes = uea.fitted_to(object(), X, length=3)
    np.testing.assert_array_equal(adapted, X)
    assert changes == []

    from tsformer import TransformerClassifier

    ragged = [np.full((1, 3), np.nan), np.zeros((1, 2))]
    adapted, changes = uea.fitted_to(TransformerClassifier(), ragged, length=3)
    assert [x.shape for x in adapted] == [(1, 3), (1, 2)]
    assert changes == []


@pytest.mark.parametrize("name", uea.ESTIMATORS)
def test_build__estimator_by_name__gets_seed_and_threads(name):
    estimator = uea.build({"estimator": name, "seed": 5, "threads": 1})
    assert getattr(estimator, "random_state", 5) == 5
    assert getattr(estimator, "n_jobs", 1) == 1
    assert machine.version(name, uea.ESTIMATORS).startswith(type(estimator).__module__.split(".")[0])


@pytest.mark.parametrize("name", ["rocket", "MiniRocket(3)", "MiniRocket(n_kernels=open('x'))", "dummy(", ""])
def test_uea__bad_estimator__is_refused_before_any_work(name, capsys):
    with pytest.raises(SystemExit):
        run("--estimators", name)
    assert "argument --estimators: " in capsys.readouterr().err


# Stopped, failed and mixed runs


def test_uea__killed_in_the_middle_of_a_line__goes_on_without_loss_or_double(archive, in_process, capsys):
    arguments = ("--estimators", "dummy", "helpers:Nearest", "--seeds", "0", "1")
    run(*arguments)
    whole = Path("r.csv").read_text()
    lines = whole.splitlines(keepends=True)
    Path("r.csv").write_text("".join(lines[:4]) + lines[4][:20])

    run(*arguments)
    assert "Dropped the torn last line" in capsys.readouterr().out
    assert Path("r.csv").read_text().startswith("".join(lines[:4]))
    keys = [uea.ROWS.key(row) for row in rows_of("r.csv")]
    assert len(keys) == len(set(keys)) == 8
    assert set(keys) == {uea.ROWS.key(row) for row in csv.DictReader(lines)}

    run(*arguments)
    assert "8 of 8 rows are there" in capsys.readouterr().out
    assert [uea.ROWS.key(row) for row in rows_of("r.csv")] == keys


def test_uea__failing_estimator__is_a_row_and_is_tried_again(archive, in_process, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    assert run("--estimators", "dummy", "helpers:Nearest") == 1
    failed = [row for row in rows_of("r.csv") if row["error"]]
    assert [row["estimator"] for row in failed] == ["helpers:Nearest"] * 2
    assert {row["error"] for row in failed} == {"MemoryError: no more, at all"}
    assert "small/One, helpers:Nearest, seed 0: MemoryError" in Path("r.md").read_text()

    monkeypatch.delenv("BROKEN")
    assert run("--estimators", "dummy", "helpers:Nearest") == 0
    rows = rows_of("r.csv")
    assert len(rows) == len({uea.ROWS.key(row) for row in rows}) == 4
    assert [row["error"] for row in rows] == [""] * 4


def test_measure_fresh__process_dies__is_a_row_too(archive):
    task = {"dataset": "One", "folder": "small", "archive": "small", "estimator": "helpers:Dying"}
    (row,) = uea.measure_fresh(task | {"seed": 0, "labels": "", "threads": 1})
    assert row["error"] == "The process ended with status 7."
    assert tuple(row) == uea.COLUMNS


OURS = "TransformerClassifier(n_estimators=1, pretrained=None, d_model=8, d_ff=8, max_steps=1, device='cpu')"


def age(column, value, estimator):
    """Make the file's rows of an estimator look like those of an earlier state."""
    rows = rows_of("r.csv")
    for row in rows:
        if row["estimator"] == estimator:
            row[column] = value
    uea.ROWS.write(Path("r.csv"), rows)


def test_uea__rows_of_other_code__are_refused_or_redone(archive, in_process):
    run("--estimators", OURS, "dummy")
    age("code", "0123456789ab", OURS)
    before = Path("r.csv").read_bytes()

    with pytest.raises(SystemExit, match=r"2 rows of 0123456789ab.*another --out, or --rerun"):
        run("--estimators", "TransformerClassifier(max_steps=2)")
    with pytest.raises(SystemExit, match="1 are outside this one"):
        run("--estimators", OURS, "--datasets", "One", "--rerun")
    assert Path("r.csv").read_bytes() == before
    assert run("--estimators", "dummy") == 0  # depends on no code of ours

    assert run("--estimators", OURS, "--rerun") == 0
    rows = rows_of("r.csv")
    assert [row["estimator"] for row in rows] == ["dummy"] * 2 + [OURS] * 2
    assert {row["code"] for row in rows} == {machine.code_hash()}


def test_code_hash__other_code_or_other_weights__is_another(tmp_path, monkeypatch):
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: package)
    hashes = [machine.code_hash()]
    for name in ("code.py", "weights.safetensors", "notes.txt"):
        (tmp_path / name).write_text("new")
        hashes.append(machine.code_hash())
    assert len(set(hashes)) == 3
    assert hashes[-1] == hashes[-2]


def test_uea__rows_of_another_version_of_a_rival__are_refused(archive, in_process):
    run("--estimators", "dummy")
    age("version", "sklearn 0.1", "dummy")
    with pytest.raises(SystemExit, match=r"2 rows of sklearn 0\.1"):
        run("--estimators", "sklearn.dummy:DummyClassifier")


def test_uea__code_changes_during_the_run__ends_it(archive, in_process, monkeypatch):
    states = iter(["before", "before", "after"])
    monkeypatch.setattr(uea, "code_hash", lambda: next(states))
    monkeypatch.setattr(rows, "code_hash", lambda: next(states))
    with pytest.raises(SystemExit, match="changed during the run"):
        run("--estimators", OURS)
    assert [row["code"] for row in rows_of("r.csv")] == ["before"]


def test_uea__another_run_writes_the_file__is_refused(archive, in_process, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with rows.locked(Path("r.csv")), pytest.raises(SystemExit, match="Another run is writing"):
        run("--estimators", "dummy")
    assert not list(tmp_path.glob("*.lock"))


# Tables

ACCURACIES = {  # (archive, dataset): estimator -> accuracy per seed
    ("uea", "A"): {"TransformerClassifier": (0.8, 0.9), "Rival": (0.7, 0.7), "Other": (0.9, 0.9)},
    ("uea", "B"): {"TransformerClassifier": (0.4, 0.6), "Rival": (0.5, 0.5), "Other": (0.2, 0.2)},
    ("uea", "C"): {"TransformerClassifier": (0.1, 0.1), "Rival": (0.3, 0.3), "Other": (0.2, 0.2)},
    ("uea", "D"): {"TransformerClassifier": (1.0, 1.0), "Rival": (1.0, 1.0), "Other": (None, None)},
    ("ucr", "E"): {"TransformerClassifier": (0.6, 0.6), "Rival": (0.4, 0.4), "Other": (0.5, 0.5)},
}


@pytest.fixture
def results(tmp_path):
    rows = []
    for (archive, dataset), estimators in ACCURACIES.items():
        for estimator, accuracies in estimators.items():
            for seed, accuracy in enumerate(accuracies):
                ours = estimator == "TransformerClassifier"
                row = dict.fromkeys(uea.COLUMNS, "") | {"dataset": dataset, "archive": archive}
                row |= {"estimator": estimator, "seed": seed, "threads": 1, "device": "cpu", "code": "c0de"}
                row |= {"version": "tsformer 0.1.0" if ours else "rivals 2"}
                if accuracy is None:
                    row |= {"error": "MemoryError"}
                else:
                    row |= {"accuracy": accuracy, "balanced_accuracy": accuracy / 2, "peak_memory_mb": 100}
                    row |= {"fit_seconds": 3 if ours else 1, "predict_seconds": 1}
                    row |= {"log_loss": 0.5 if ours or dataset == "A" else ""}
                    row |= {"adapted": "padded" if estimator == "Rival" and dataset == "C" else ""}
                rows.append(row)
    path = tmp_path / "results.csv"
    uea.ROWS.write(path, rows)
    return path


def test_compare__known_rows__gives_known_numbers(results):
    rows = uea.read_results(results)
    table = uea.compare(rows[rows["archive"] == "uea"], "TransformerClassifier")
    ours, rival = table.loc["TransformerClassifier"], table.loc["Rival"]
    # D is out: Other failed on it.
    assert (ours["accuracy"], rival["accuracy"]) == ("0.4833", "0.5000")
    assert (ours["on 2 not adapted"], rival["on 2 not adapted"]) == ("0.6750", "0.6000")
    assert [ours["mean rank"], rival["mean rank"], table.loc["Other", "mean rank"]] == ["2.17", "1.83", "2.00"]
    assert list(table.index) == ["Rival", "Other", "TransformerClassifier"]
    assert (rival["wins/ties/losses"], ours["wins/ties/losses"]) == ("1/1/1", "")
    assert table.loc["Other", "wins/ties/losses"] == "1/0/2"
    assert rival["p"] == "1.000"
    assert ours["balanced accuracy"] == "0.2417"
    assert (ours["log loss"], rival["log loss"]) == ("0.500", "")
    assert (ours["median seconds"], rival["median seconds"], rival["time / ours"]) == ("4.00", "2.00", "0.500")


def test_against__one_sided_differences__matches_scipy():
    import pandas as pd
    from scipy.stats import wilcoxon

    ours = pd.Series([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    theirs = ours - [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, -0.015]
    found = uea.against(ours, theirs)
    assert found == {"wins/ties/losses": "6/0/1", "p": f"{wilcoxon(ours, theirs).pvalue:.3f}"}
    assert uea.against(ours, ours) == {"wins/ties/losses": "0/7/0", "p": "1.000"}


def test_summarise__results_and_published_numbers__writes_text_and_picture(results, tmp_path):
    published = tmp_path / "uea_published.csv"
    published.write_text(
        "dataset,method,accuracy,protocol,source\n"
        "A,Rival,0.5,train-only,x\nB_eq,Rival,0.7,train-only,x\nC,Rival,0.9,train-only,x\n"
        "A,Deep,0.9,test-selected,y\nB,Deep,0.8,test-selected,y\nZ,Deep,0.1,test-selected,y\n"
    )
    text = uea.summarise(results, [published])
    assert results.with_suffix(".md").read_text() == text + "\n"
    assert results.with_name("results-cd.png").stat().st_size > 5000

    assert "0.850 ± 0.071" in text
    assert "| C* " in text
    assert "Over the 3 datasets that all 3 estimators have (left out: D)" in text
    assert "Over the 4 datasets that all 3 estimators have (left out: D)" in text
    assert "- uea/D, Other, seed 0: MemoryError" in text
    assert "Rival, seed" not in text
    # A and B are what both methods and all estimators have.
    assert "mean accuracy over the 2 of 4 datasets that all of them have" in text
    means = {line.split("|")[1].strip(): line.split("|")[2:5] for line in text.splitlines() if "train-only" in line}
    assert [cell.strip() for cell in means["Rival"]] == ["0.6000", "train-only", "3"]
    assert "| 0.8500 | test-selected | 2 " in text
    assert text.index("| 0.6000 | train-only") < text.index("| 0.8500 | test-selected")
    assert "0.700*" in text


def test_summarise__rows_of_different_code__warns(results):
    text = results.read_text().replace("c0de", "0the", 1)
    results.write_text(text)
    assert "come from different code" in uea.summarise(results, [])


def test_uea__summary_only__prints_the_tables_of_a_run_that_goes_on(results, capsys):
    results.write_text(results.read_text() + "A,uea,Transf")
    assert uea.main(["--summary", str(results)]) == 0
    text = capsys.readouterr().out
    assert "30 rows, 2 of them failures" in text
    assert "## All archives" in text
