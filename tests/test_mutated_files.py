"""Damaged and made-up files: they are read, or told by a clear error. Raise N to look for longer."""

import copy
import warnings

import numpy as np
import pytest
from archives import rewritten
from forecasts import small, wave

import tsformer
from tsformer.data import tables
from tsformer.data.files import read_series

N = 150
TEXTS = {
    "ts": "@dimensions 2\n@equalLength true\n@classLabel true Up down\n@data\n1,2:4,?:Up\n7,8e2:0,2:down\n",
    "tsv": "1\t0.5\t2\n2\t2.5\tNaN\n\n1\t3\t4\n",
    "csv": "\ufeff;id;ds;label;größe\n"
    + "".join(f"{i};{i % 2};2020-01-0{i + 1};{'xy'[i % 2]};{i},5\n" for i in range(6)),
}
PIECES = [
    *"\x00\t\n\r,;:\"'\\#?-",
    "\ufeff",
    "\u2028",
    "@data",
    "@classLabel false",
    "@dimensions 999999999999",
    "1e999",
]
PIECES += ["9" * 5000, "1_0", "0x10", "-inf", "1.234,5", "9999-99-99", "Unnamed: 0", "ds", "True", "=cmd()", "\x1f"]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, overwrite or insert, a few times, at random."""
    for _ in range(rng.integers(1, 5)):
        start, length = rng.integers(len(content) + 1), rng.choice([0, 1, 5, 50])
        new = [b"", rng.bytes(3), PIECES[rng.integers(len(PIECES))].encode(), content[: rng.integers(60)]]
        content = content[:start] + new[rng.integers(4)] + content[start + length :]
    return content


def complaint(read) -> str:
    """Return the text of the ValueError that is raised, or nothing; any other error fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("suffix", ["ts", "tsv"])
def test_read_series__mutated__is_read_or_told_with_its_line(suffix, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / f"file.{suffix}"
    for i in range(N):
        path.write_bytes(mutated(TEXTS[suffix].encode(), rng))
        told = complaint(lambda labelled=i % 2 == 0: read_series(path, labelled))
        assert not told or f"{path}, l" in told  # line 3, or last line
        assert len(told) < 500


@pytest.mark.parametrize("form", ["wide", "long"])
def test_labelled_cases__mutated_csv__are_read_or_told(form, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "file.csv"
    columns = {"label": "label", "id": "id", "time": "ds" if form == "long" else None, "date_format": None}

    def read():
        df = tables.read_table(path, sep=None, decimal=None, as_text=["id", "label"])
        tables.labelled_cases(df, path, False, **columns)

    for _ in range(N):
        path.write_bytes(mutated(TEXTS["csv"].encode(), rng))
        assert len(complaint(read)) < 1000


# Documents of `save` with right checksums.

MADE_UP = [None, True, -1, 0, 3, 10**12, 10**30, 1e308, "", "os.system", "category", "9" * 5000, [], {}, "array.0"]
MADE_UP += [{"range": {"bounds": [0, 10**12, 1], "name": None}}, {"offset": {"text": "999999999999D"}}]
MADE_UP += [{"numbers": {"values": "array.0"}}, {"objects": {"values": [1, "a"]}}, {"float": {"text": "nan"}}]


def ways_to(node):
    """Yield containers of a document with a key of each."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from ways_to(value)


def fitted_classifier():
    params = {"n_estimators": 1, "pretrained": None, "max_steps": 1, "d_model": 8, "n_layers": 1, "d_ff": 8}
    X = np.random.default_rng(0).normal(size=(8, 2, 20))
    return tsformer.TransformerClassifier(**params, random_state=0).fit(X, np.arange(8) % 2)


FITTED = {
    "class": fitted_classifier,
    "series": lambda: small(max_steps=1).fit(wave()),
    "detector": lambda: tsformer.TransformerDetector().fit(wave()),
}


@pytest.mark.parametrize("fitted", FITTED.values(), ids=FITTED)
def test_load__mutated_document__is_loaded_or_told(fitted, tmp_path):
    tsformer.save(fitted(), tmp_path / "saved")
    rng = np.random.default_rng(0)

    def change(document, arrays):
        for _ in range(rng.integers(1, 3)):
            ways = [way for way in ways_to(document) if way[0] is not document or way[1] not in ("version", "arrays")]
            node, key = ways[rng.integers(len(ways))]
            node[key] = copy.deepcopy(MADE_UP[rng.integers(len(MADE_UP))])

    for _ in range(N // 3):
        path = rewritten(tmp_path / "saved", tmp_path / "made up", change)
        told = complaint(lambda path=path: tsformer.load(path))
        assert not told or told.startswith(f"{path} cannot be loaded: ")
