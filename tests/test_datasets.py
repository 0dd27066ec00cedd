"""Datasets: what the samples hold, where files are looked for, what a download survives, what a reader refuses."""

import hashlib
import io
import re
import socket
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsformer import datasets
from tsformer.data.files import read_series
from tsformer.datasets import list_datasets, load_classification, load_forecasting, read_ts

HEADER = """\
# A toy.
@problemName Toy
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength true
@seriesLength 3
@classLabel true Up down
@data
"""
TRAIN = HEADER + "1,2,3:4,5,6:Up\n7,8,9:1,2,3:down\n"
TEST = HEADER + "0,0,0:1,1,1:down\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TSFORMER_DATA", str(folder))
    return folder


def write_ts(folder: Path, content: str, name: str = "Toy_TRAIN.ts") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


# Bundled samples

SAMPLES = {  # cases in TRAIN and TEST, channels, shortest and longest length, cases of each class in TRAIN
    "BasicMotions": (40, 40, 6, (100, 100), [10, 10, 10, 10]),
    "GunPoint": (50, 150, 1, (150, 150), [24, 26]),
    "ItalyPowerDemand": (67, 1029, 1, (24, 24), [34, 33]),
    "JapaneseVowels": (270, 370, 12, (7, 29), [30] * 9),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_load_classification__bundled__has_the_official_cases_channels_lengths_and_labels(name):
    n_train, n_test, n_channels, lengths, label_counts = SAMPLES[name]
    X_train, y_train = load_classification(name, split="train")
    X_test, y_test = load_classification(name, split="test")
    X, y = load_classification(name)
    assert (len(X_train), len(y_train), len(X_test), len(y_test)) == (n_train, n_train, n_test, n_test)
    assert {(case.dtype, len(case)) for case in X} == {(np.dtype("float64"), n_channels)}
    assert (min(case.shape[1] for case in X), max(case.shape[1] for case in X)) == lengths
    assert isinstance(X, np.ndarray) == (lengths[0] == lengths[1])
    assert [count for _, count in sorted(Counter(y_train.tolist()).items())] == label_counts
    assert y.dtype.kind == "U"
    assert set(y_test) == set(y_train)


@pytest.mark.parametrize("name", SAMPLES)
def test_load_classification__no_split__is_train_followed_by_test(name):
    X, y = load_classification(name)
    parts = [load_classification(name, split=split) for split in ("train", "test")]
    expected = [case for X_part, _ in parts for case in X_part]
    assert len(X) == len(expected)
    assert all(np.array_equal(case, other) for case, other in zip(X, expected, strict=True))
    assert y.tolist() == [label for _, y_part in parts for label in y_part]


@pytest.mark.parametrize("name", SAMPLES)
def test_card__numbers_and_sums__are_those_of_the_files(name):
    card = (datasets.bundled_folder() / name / "README.md").read_text()
    n_train, n_test, n_channels, (shortest, longest), _ = SAMPLES[name]
    n_classes = len(set(load_classification(name)[1]))
    length = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    assert f"| {n_train} | {n_test} | {n_channels} | {length} | {n_classes} |" in card
    assert all(f"## {title}" in card for title in ("Source", "Terms", "Citation"))
    for path in (datasets.bundled_folder() / name).glob("*.ts"):
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" in card


def test_load_classification__wheel__reads_the_samples_inside_the_package(tmp_path, monkeypatch):
    write_ts(tmp_path / "tsformer" / "bundled" / "Toy", TRAIN)
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "tsformer" / "datasets.py"))
    assert load_classification("Toy", split="train")[1].tolist() == ["Up", "down"]


# What there is


def test_list_datasets__without_folder__has_the_samples_and_what_the_cache_holds(cache):
    write_ts(cache / "Toy", TRAIN)
    table = list_datasets()
    assert list(table.index) == sorted(["AirPassengers", "Toy", *SAMPLES])
    assert table.loc["Toy"].tolist() == ["classification", "train", str(cache / "Toy")]
    assert table.loc["GunPoint"].tolist() == ["classification", "train, test", "bundled"]
    load_forecasting(*table.index[table["task"] == "forecasting"])


def test_list_datasets__folder__lists_what_load_classification_finds_there(tmp_path):
    write_ts(tmp_path / "Toy", TRAIN)
    write_ts(tmp_path / "Toy", TEST, "Toy_TEST.ts")
    write_ts(tmp_path, "a\t1\t2\n", "My_Own_TRAIN.tsv")
    write_ts(tmp_path / "Other", TRAIN, "Elsewhere_TRAIN.ts")
    write_ts(tmp_path, "", "notes_TRAIN.txt")
    table = list_datasets(tmp_path)
    assert table["splits"].to_dict() == {"My_Own": "train", "Toy": "train, test"}
    for name, row in table.iterrows():
        for split in row["splits"].split(", "):
            assert len(load_classification(name, split, tmp_path)[1])
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        list_datasets(tmp_path / "absent")


# Arguments


@pytest.mark.parametrize("split", ["validation", "TRAIN", 1])
def test_load_classification__unknown_split__is_refused_as_scikit_learn_does(split):
    message = (
        "The 'split' parameter of load_classification must be a str among {'train', 'test'} or None. "
        f"Got {split!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_classification("GunPoint", split=split)


@pytest.mark.parametrize("name", ["", "..", "../GunPoint", "a/b", "/etc", "a\\b"])
def test_load_classification__name_with_a_path__is_refused(name):
    with pytest.raises(ValueError, match=r"'name' parameter .* Got .* instead\. A path goes into 'folder'"):
        load_classification(name)


# A folder of files


@pytest.mark.parametrize("place", ["Toy", "."])
def test_load_classification__folder__finds_files_in_it_or_below_the_name(tmp_path, place):
    write_ts(tmp_path / place, TRAIN)
    write_ts(tmp_path / place, TEST, "Toy_TEST.ts")
    X, y = load_classification("Toy", folder=tmp_path)
    np.testing.assert_array_equal(X[:, 1], [[4, 5, 6], [1, 2, 3], [1, 1, 1]])
    assert y.tolist() == ["Up", "down", "down"]
    assert load_classification("Toy", split="test", folder=str(tmp_path))[1].tolist() == ["down"]


def test_load_classification__folder_with_tsv__takes_labels_from_the_first_column(tmp_path):
    write_ts(tmp_path, "-1\t0.5\t1e-2\tNaN\n1\t1\t2\t3\n", "Toy_TRAIN.tsv")
    X, y = load_classification("Toy", split="train", folder=tmp_path)
    np.testing.assert_array_equal(X, [[[0.5, 0.01, np.nan]], [[1, 2, 3]]])
    assert y.tolist() == ["-1", "1"]


def test_load_classification__folder_without_the_file__names_the_places_and_looks_nowhere_else(tmp_path):
    places = ["GunPoint/GunPoint_TEST.ts", "GunPoint/GunPoint_TEST.tsv", "GunPoint_TEST.ts", "GunPoint_TEST.tsv"]
    message = "Found no TEST file of 'GunPoint'. Pass the 'folder' that has it, or put it into one of these places: "
    with pytest.raises(FileNotFoundError) as error:
        load_classification("GunPoint", split="test", folder=tmp_path)
    assert str(error.value) == message + ", ".join(str(tmp_path / place) for place in places) + "."


def test_load_classification__train_and_test_of_different_channels__is_refused(tmp_path):
    write_ts(tmp_path, TRAIN)
    one_channel = TEST.replace("@dimensions 2", "@dimensions 1").replace(":1,1,1", "")
    write_ts(tmp_path, one_channel, "Toy_TEST.ts")
    with pytest.raises(ValueError, match=r"Toy_TEST\.ts: expected 2 channels as in Toy_TRAIN\.ts, got 1\."):
        load_classification("Toy", folder=tmp_path)


def test_load_classification__train_of_equal_and_test_of_other_length__is_a_list(tmp_path):
    write_ts(tmp_path, TRAIN)
    write_ts(tmp_path, HEADER + "1,2:3,4:Up\n", "Toy_TEST.ts")
    X, _ = load_classification("Toy", folder=tmp_path)
    assert [case.shape for case in X] == [(2, 3), (2, 3), (2, 2)]


# Cache and download


class Archive:
    """A web server on this machine that plays answers: bytes, a status code, or ("cut", bytes); the last repeats."""

    def __init__(self) -> None:
        self.answers: list[bytes | int | tuple[str, bytes]] = []
        self.requests: list[str] = []
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                archive.requests.append(self.path)
                answers = archive.answers
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, int):
                    return self.send_error(answer)
                body = answer if isinstance(answer, bytes) else answer[1]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if isinstance(answer, bytes) else body[: len(body) // 2])

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/archive"


@pytest.fixture
def archive(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    archive = Archive()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets, "ARCHIVE_URL", archive.url)
    monkeypatch.setattr(datasets, "SECONDS_BETWEEN_ATTEMPTS", 0.0)
    thread = threading.Thread(target=archive.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield archive
    archive.server.shutdown()
    thread.join()
    archive.server.server_close()


def zipped(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return content.getvalue()


TOY_ZIP = zipped(**{"Toy_TRAIN.ts": TRAIN, "Toy_TEST.ts": TEST, "Toy.txt": "about", "../escaped.txt": "no"})


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_load_classification__not_yet_here__is_downloaded_once(archive, cache):
    archive.answers = [TOY_ZIP]
    X, y = load_classification("Toy")
    again, _ = load_classification("Toy", split="train")
    assert X.shape == (3, 2, 3)
    assert y.tolist() == ["Up", "down", "down"]
    np.testing.assert_array_equal(again, X[:2])
    assert archive.requests == ["/archive/Toy.zip"]


def test_download__zip__leaves_only_the_data_files_and_their_sums(archive, cache):
    archive.answers = [TOY_ZIP]
    load_classification("Toy")
    assert files_below(cache.parent) == [
        "cache", "cache/Toy", "cache/Toy/SHA256SUMS", "cache/Toy/Toy_TEST.ts", "cache/Toy/Toy_TRAIN.ts",
    ]  # fmt: skip
    contents = {"Toy_TRAIN.ts": TRAIN.encode(), "Toy_TEST.ts": TEST.encode(), "Toy.zip": TOY_ZIP}
    sums = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}" for name in contents]
    assert (cache / "Toy" / "SHA256SUMS").read_text().splitlines() == sums


def test_download__members_in_a_folder_of_the_zip__are_found(archive):
    archive.answers = [zipped(**{"Toy/Toy_TRAIN.tsv": "1\t2\n", "Toy/Toy_TEST.tsv": "2\t3\n"})]
    assert load_classification("Toy")[1].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    "failure",
    [("cut", TOY_ZIP), TOY_ZIP[:-100], TOY_ZIP.replace(b"7,8,9", b"7,8,8"), b"<html>", 503],
    ids=["cut off", "cut without notice", "damaged", "no zip", "server error"],
)
def test_download__first_attempt_fails__is_repeated(archive, failure):
    archive.answers = [failure, TOY_ZIP]
    X, _ = load_classification("Toy", split="train")
    assert X[1, 0].tolist() == [7, 8, 9]
    assert len(archive.requests) == 2


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (("cut", TOY_ZIP), r"\(attempt 3 of 3\): IncompleteRead: IncompleteRead\(\d+ bytes read, \d+ more"),
        (TOY_ZIP.replace(b"7,8,9", b"7,8,8"), r"\(attempt 3 of 3\): BadZipFile: Bad CRC-32 for .*Toy_TRAIN"),
        (b"<html>", r"\(attempt 3 of 3\): BadZipFile: File is not a zip file"),
        (zipped(**{"Toy_TRAIN.ts": TRAIN}), "expected a member Toy_TEST.ts or Toy_TEST.tsv, got Toy_TRAIN.ts"),
        (503, r"\(attempt 3 of 3\): HTTPError: HTTP Error 503"),
        (404, r"\(attempt 1 of 3\): HTTPError: HTTP Error 404"),
    ],
    ids=["cut off", "damaged", "no zip", "no test file", "server error", "unknown name"],
)
def test_download__all_attempts_fail__says_why_and_leaves_nothing(archive, cache, failure, reason):
    archive.answers = [failure]
    with pytest.raises(FileNotFoundError, match=f"downloading {archive.url}/Toy.zip failed .*{reason}"):
        load_classification("Toy")
    assert len(archive.requests) == (1 if failure == 404 else 3)
    assert not cache.exists()


def test_download__offline__says_which_files_to_put_where(cache, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        port = closed_again.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets, "ARCHIVE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(datasets, "SECONDS_BETWEEN_ATTEMPTS", 0.0)
    message = f"'Toy' is neither bundled nor in the cache.*put Toy_TRAIN.ts and Toy_TEST.ts into {cache / 'Toy'},"
    with pytest.raises(FileNotFoundError, match=message):
        load_classification("Toy")


def test_load_classification__files_put_into_the_cache_by_hand__are_read(archive, cache):
    write_ts(cache / "Toy", TRAIN)
    assert len(load_classification("Toy", split="train")[0]) == 2
    assert archive.requests == []


@pytest.mark.parametrize("damage", [lambda text: text[:-20], lambda text: text.replace("9", "8")])
def test_load_classification__cached_file_changed__is_noticed(archive, cache, damage: Callable[[str], str]):
    archive.answers = [TOY_ZIP]
    load_classification("Toy")
    path = write_ts(cache / "Toy", damage(TRAIN))
    with pytest.raises(ValueError, match=rf"{path} is not as downloaded: .*Delete the folder {cache / 'Toy'} and"):
        load_classification("Toy")
    assert len(load_classification("Toy", split="test")[0]) == 1


# Reader


def test_read_ts__equal_lengths__is_an_array_and_keeps_the_spelling_of_labels(tmp_path):
    X, y = read_ts(write_ts(tmp_path, TRAIN))
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X, [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 2, 3]]])
    assert y.tolist() == ["Up", "down"]


def test_read_ts__unequal_lengths__is_a_list(tmp_path):
    unequal = TRAIN.replace("@equalLength true", "@equalLength false") + "1:2:Up\n"
    X, y = read_ts(write_ts(tmp_path, unequal))
    assert isinstance(X, list)
    assert [case.shape for case in X] == [(2, 3), (2, 3), (2, 1)]
    assert y.tolist() == ["Up", "down", "Up"]


def test_read_ts__missing_values_and_padding__stay_where_they_are(tmp_path):
    X, _ = read_ts(write_ts(tmp_path, HEADER + "?,2,NaN:4, ? ,nan:Up\n"))
    np.testing.assert_array_equal(X, [[[np.nan, 2, np.nan], [4, np.nan, np.nan]]])


def test_read_ts__blank_lines_windows_ends_and_odd_comments__are_accepted(tmp_path):
    path = tmp_path / "Toy_TRAIN.ts"
    text = TRAIN.replace("# A toy.", "# A t\xf6y.\nwithout the sign").replace("Up\n", "Up\n\n").replace("\n", "\r\n")
    path.write_bytes(text.encode("latin-1"))
    assert len(read_ts(path)[0]) == 2


ENCODINGS = {
    "UTF-8 with a mark": "utf-8-sig",
    "UTF-16": "utf-16",
    "UTF-16, the other way round": "utf-16-be",
    "Windows-1252": "cp1252",
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Toy_TRAIN.ts", "# für €\n@classLabel true größer kleiner\n@data\n1,2:größer\n3,4:kleiner\n"),
        ("Toy_TRAIN.tsv", "größer\t1\t2\nkleiner\t3\t4\n\n \n"),
    ],
)
def test_load_classification__other_encodings_and_blank_last_lines__are_read(tmp_path, name, text, encoding):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / name).write_bytes((mark + text).encode(encoding, errors="ignore"))
    X, y = load_classification("Toy", "train", tmp_path)
    assert y.tolist() == ["größer", "kleiner"]
    assert X.tolist() == [[[1, 2]], [[3, 4]]]


@pytest.mark.parametrize(
    ("name", "text"),
    [("new.ts", "@classLabel false\n@data\n1,2\n3,4\n"), ("new.tsv", "\t1\t2\n\t3\t4\n")],
)
def test_read_series__without_labels__has_none_where_they_may_be_absent(tmp_path, name, text):
    X, y = read_series(write_ts(tmp_path, text, name), labelled=False)
    assert y is None
    assert X.tolist() == [[[1, 2]], [[3, 4]]]


def test_read_series__a_first_label_is_absent__is_a_mistake(tmp_path):
    path = write_ts(tmp_path, "\t1\t2\na\t3\t4\n", "new.tsv")
    with pytest.raises(ValueError, match="line 1: expected a class label before the first tab, as other lines have"):
        read_series(path, labelled=False)


def test_read_ts__few_tags__takes_the_number_of_channels_from_the_first_row(tmp_path):
    X, _ = read_ts(write_ts(tmp_path, "@CLASSLABEL TRUE 1 2\n@Data\n1,2:3,4:1\n1:2:2\n"))
    assert [case.shape for case in X] == [(2, 2), (2, 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRAIN + "1,2,3:Up\n", r"line 13: expected 2 channels before the class label, got 1\."),
        (HEADER + "1,2,3:Up\n", r"line 11: expected 2 channels before the class label, got 1\."),
        (
            TRAIN.replace("@univariate false\n@dimensions 2", "@univariate true"),
            r"line 10: expected 1 channels before the class label, got 2\.",
        ),
        (TRAIN.replace("8", "x"), r"line 12: expected a number, '\?' or NaN, got 'x'\."),
        (TRAIN.replace("8", ""), r"line 12: expected a number, '\?' or NaN, got ''\."),
        (TRAIN.replace("8", "8?"), r"line 12: expected a number, '\?' or NaN, got '8\?'\."),
        (
            TRAIN + "1,2,3:4,5,6\n",
            r"line 13: expected a class label of '@classLabel' \(Up, down\) at the end, got '4,5,6'\.",
        ),
        (
            TRAIN + "1,2,3:4,5,6:up\n",
            r"line 13: expected a class label of '@classLabel' \(Up, down\) at the end, got 'up'\.",
        ),
        (
            TRAIN + "1,2:3,4:Up\n",
            r"line 13: expected 3 values in channel 1, as in the first case \('@equalLength true'\), got 2\.",
        ),
        (
            TRAIN.replace("@equalLength true", "@equalLength false") + "1,2:3:Up\n",
            r"line 13: expected 2 values in channel 2, as in channel 1, got 1\.",
        ),
        (HEADER, r"last line: expected at least one case after '@data', got none\."),
        ("", r"line 1: expected '@data' before the cases, got the end of the file\."),
        (
            TRAIN.replace("@data\n", ""),
            r"line 11: expected '@data' before the cases, got the end of the file\.",
        ),
        (
            TRAIN.replace("@timeStamps false", "@timeStamps true"),
            r"line 3: expected '@timeStamps false' \(time stamps are not supported\), got '@timeStamps true'\.",
        ),
        (
            TRAIN.replace("@missing false", "@targetLabel true"),
            r"line 4: expected '@targetLabel false' \(regression is not supported\), got '@targetLabel true'\.",
        ),
        (TRAIN.replace(" Up down", ""), r"line 9: expected '@classLabel true' and the labels, got '@classLabel"),
        (
            TRAIN.replace("@classLabel true Up down\n", ""),
            r"line 9: expected '@data' alone, after '@classLabel true' and the labels, got '@data'\.",
        ),
        (TRAIN.replace("ions 2", "ions two"), r"line 6: expected '@dimensions' and a number, got '@dimensions two'"),
        (TRAIN.replace("ions 2", "ions 0"), r"line 6: expected '@dimensions' and a number, got '@dimensions 0'"),
        (TRAIN.replace("ions 2", "ions " + "9" * 5000), r"line 6: expected '@dimensions' and a number, got '@dim.*9'"),
        (TRAIN.replace("@classLabel true Up down", "@classLabel false"), r"line 9: expected '@classLabel true' and"),
        ("@classLabel true a\n@data\na\n", r"line 3: expected values and a class label, .* by a colon, got 'a'\."),
        (TRAIN.replace("Length true", "Length 3"), r"line 7: expected '@equalLength true' or 'false', got '@equal"),
    ],
)
def test_read_ts__malformed_file__names_the_line_what_was_expected_and_what_came(tmp_path, content, message):
    path = write_ts(tmp_path, content)
    with pytest.raises(ValueError, match=f"^{path}, {message}.*Correct the file or fetch it again") as error:
        read_ts(path)
    assert len(str(error.value)) < 200 + len(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"line 1: expected at least one case, got an empty file\."),
        ("1\t2\t3\n1\t2\n", r"line 2: expected 2 values, as in the first case, got 1\."),
        ("1\t2\n1\tx\n", r"line 2: expected a number, '\?' or NaN, got 'x'\."),
        ("1,2,3\n", r"line 1: expected a class label and values, separated by tabs, got '1,2,3\\n'\."),
        ("\t1\t2\n\t3\t4\n", r"line 1: expected a class label before the first tab, got none\."),
        ("a\t1\t2\n\t3\t4\n", r"line 2: expected a class label before the first tab, got none\."),
        ("a\t1\n\n\nb\t1_0\n", r"line 4: expected a number, '\?' or NaN, got '1_0'\."),
        ("a\t1\x002\n", r"line 1: expected a number, '\?' or NaN, got '1\\x002'\."),
    ],
)
def test_read_tsv__malformed_file__names_the_line_what_was_expected_and_what_came(tmp_path, content, message):
    path = write_ts(tmp_path, content, "Toy_TRAIN.tsv")
    with pytest.raises(ValueError, match=f"^{path}, {message} Correct the file or fetch it again"):
        load_classification("Toy", split="train", folder=tmp_path)


def test_load_forecasting__air_passengers__has_its_144_months():
    passengers = load_forecasting("AirPassengers")
    assert passengers.index[0] == pd.Timestamp("1949-01-01")
    assert passengers.index.freqstr == "MS"
    assert (len(passengers), passengers.iloc[-1], passengers.sum()) == (144, 432.0, 40363.0)


def test_load_forecasting__another_name__is_an_error():
    with pytest.raises(ValueError, match=r"must be 'AirPassengers', the one bundled series\. Got 'Lynx' instead"):
        load_forecasting("Lynx")
