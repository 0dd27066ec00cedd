"""Arrays and JSON in one file, without any code in it: values written as they are, and read again as strictly.

It is a safetensors file. Its header holds a JSON document and the SHA-256 of that; the document holds `FIELDS`, and
type, shape and SHA-256 of each array. What JSON lacks is in it a dict of one entry, from the name of its kind to its
contents, and arrays are beside it, in a `Store`. Nothing is unpickled, and no class or function is looked up by a name
in the file, but for the classes that the caller lists.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
from torch import nn

from tsformer.training.devices import Undrawn

VERSION = 1  # of the document; a change that this code cannot read gets the next number
FIELDS = ("class", "parameters", "fitted", "networks")
TEXTS = ("object", "str", "string")  # types of an index whose values are in the JSON
_SCALARS: dict[type[Any], Callable[[str], Any]] = {date: date.fromisoformat, Decimal: Decimal, UUID: UUID}
_PARTS = ("weekmask", "holidays", "start", "end")  # of the frequencies that their text does not tell apart
_OFFSETS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        pd.DateOffset,
        pd.offsets.BusinessHour,
        pd.offsets.CustomBusinessDay,
        pd.offsets.CustomBusinessHour,
        pd.offsets.CustomBusinessMonthBegin,
        pd.offsets.CustomBusinessMonthEnd,
    )
}
# Whatever a made-up file breaks, it is one mistake to the user: this is no file of ours.
BREAKS = (
    *(SafetensorError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError),
    MemoryError,
)


@dataclass
class Store:
    """The classes (dataclasses or named tuples) whose objects may be kept, and by name the arrays, read once each.

    `n_values` is how many values all ranges of a file may have together: a few digits must not fill the memory.
    """

    records: Mapping[str, type[Any]] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    n_values: float = math.inf

    def put(self, array: NDArray[Any]) -> str:
        """Keep an array; return its name."""
        name = f"array.{len(self.arrays)}"
        self.arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return name


def check_place(path: Path) -> None:
    """Raise an OSError where no file can be written to a path: before the work for it, not after."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Pass the path of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")


def write_archive(path: Path, document: dict[str, Any], store: Store) -> None:
    """Write a document of `FIELDS` and the arrays beside it to a file, whole or not at all.

    Not even kill -9, or others who save to the same place, leave half a file under its name.
    """
    summaries = {name: _summary(array) for name, array in store.arrays.items()}
    text = json.dumps({"version": VERSION, **document, "arrays": summaries}, allow_nan=False)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.unfinished")
    try:
        # Not by safetensors' own save_file: nobody but the owner may read its files.
        unfinished.write_bytes(to_bytes(store.arrays, metadata={"tsformer": text, "sha256": _digest(text.encode())}))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def open_archive(path: Path, records: Mapping[str, type[Any]] | None = None) -> Iterator[tuple[dict[str, Any], Store]]:
    """Read a document and its store, all checksums right; whatever fails on them inside is a ValueError too."""
    try:
        if path.is_dir():
            raise ValueError("it is a folder")
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if set(header) != {"tsformer", "sha256"}:
                raise ValueError(f"its header has {sorted(header)}, not what tsformer.save writes")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _digest(header["tsformer"].encode()) != header["sha256"]:
            raise ValueError("its header was altered: the checksum differs")
        document = json.loads(header["tsformer"])
        if document.get("version") != VERSION:
            raise ValueError(f"it is of version {document.get('version')!r}, this tsformer reads version {VERSION}")
        _check_names(document, ["version", *FIELDS, "arrays"], "the document")
        _check_names(arrays, document["arrays"], "the list of arrays")
        if altered := [name for name, array in arrays.items() if _summary(array) != document["arrays"][name]]:
            raise ValueError(f"the array {altered[0]!r} was altered: type, shape or checksum differ")
        yield document, Store(records or {}, arrays, sum(array.size for array in arrays.values()))
    except BREAKS as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(
            f"{path} cannot be loaded: {reason}. It is damaged, or not a file of tsformer.save. Copy it again, or load "
            "what this or an earlier tsformer saved. Pickles are never loaded: they run code."
        ) from error


def _check_names(found: Iterable[str], expected: Iterable[str], where: str) -> None:
    if differing := sorted({*found} ^ {*expected})[:3]:
        raise ValueError(f"{where} has unknown or missing names: {differing}")


def _summary(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": _digest(array.tobytes())}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_weights(network: nn.Module, number: int, store: Store) -> None:
    """Keep the weights in float32, in which they are trained; a copy that predicts in float64 has the same values."""
    on_cpu = copy.deepcopy(network).to("cpu", torch.float32)
    store.arrays |= {f"network.{number}.{name}": weights.numpy() for name, weights in on_cpu.state_dict().items()}


def saved_network(build: Callable[..., nn.Module], number: int, store: Store, settings: dict[str, Any]) -> Any:
    """Build a network from its settings, first without memory to compare its shapes with those of the weights."""
    prefix = f"network.{number}."
    weights = {name: store.arrays.pop(name) for name in list(store.arrays) if name.startswith(prefix)}
    state = {name.removeprefix(prefix): torch.from_numpy(array) for name, array in weights.items()}
    known = {name: from_plain(value, store) for name, value in settings.items()}
    if known.get("n_layers", 0) > len(state):
        raise ValueError(f"{known['n_layers']} layers have more weights than there are")
    with torch.device("meta"), Undrawn():
        expected = build(**known).state_dict()
    _check_names(state, expected, f"{prefix}*")
    for name, blank in expected.items():
        found, right = (f"{tensor.dtype} of shape {tuple(tensor.shape)}" for tensor in (state[name], blank))
        if found != right:
            raise ValueError(f"{prefix}{name} is {found}, expected {right}")
    with Undrawn():
        network: Any = build(**known)
    network.load_state_dict(state)
    return network.eval()


def to_plain(value: Any, store: Store) -> Any:
    """Turn a value into what JSON can hold; arrays go to the store.

    Known are numbers, text, dates, UUIDs, lists, tuples, dicts, numpy arrays and RandomStates, indexes and frequencies
    of pandas, and the store's records; any other is a ValueError. An index loses its `freq`; ranges in a list become
    numbers.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": {"text": repr(value)}}
    if kind is list:
        return _write_parts(value, store) or [to_plain(item, store) for item in value]
    if kind is tuple:
        return {"tuple": {"items": to_plain(list(value), store)}}
    if kind is dict:
        return {"dict": {"items": [[to_plain(item, store) for item in pair] for pair in value.items()]}}
    if kind in _SCALARS:
        return {"scalar": {"kind": kind.__name__, "text": str(value)}}
    if store.records.get(kind.__name__) is kind:
        return {kind.__name__: {name: to_plain(getattr(value, name), store) for name in signature(kind).parameters}}
    match value:
        case np.generic() | np.ndarray():
            return _write_array(value, store)
        case pd.Index():
            return _write_index(value, store)
        case pd.offsets.BaseOffset():
            return _write_offset(value)
        case np.random.RandomState():
            return _write_random_state(value, store)
    raise ValueError(f"objects of type {kind.__name__} cannot be saved")


def from_plain(plain: Any, store: Store) -> Any:
    """Make the value again that `to_plain` was given; what it does not write is one of `BREAKS`."""
    if isinstance(plain, list):
        return [from_plain(item, store) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, contents),) = plain.items()
    if not isinstance(contents, dict):
        raise ValueError(f"{kind} has no fields")
    if record := store.records.get(kind):
        fields = signature(record).parameters  # an earlier tsformer may have had fewer: the others take their defaults
        defaults = [name for name, field in fields.items() if field.default is not field.empty]
        _check_names({*contents, *defaults}, fields, kind)
        return record(**{name: from_plain(item, store) for name, item in contents.items()})
    if kind not in _READERS:
        raise ValueError(f"unknown kind of value {kind!r}")
    return _READERS[kind](store, **contents)


def _write_parts(items: list[Any], store: Store) -> Any:
    """Keep arrays, or indexes, that differ in length alone end to end as one: a series is no entry of its own."""
    forms = {_form(item) for item in items}
    if len(forms) != 1 or None in forms:
        return None
    whole = to_plain(np.concatenate(items), store) if isinstance(items[0], np.ndarray) else _write_joined(items, store)
    return {"parts": {"whole": whole, "lengths": store.put(np.array([len(item) for item in items]))}}


def _form(item: Any) -> tuple[Hashable, ...] | None:
    """Return what parts of one whole have in common."""
    if isinstance(item, np.ndarray) and item.ndim and _is_number(item.dtype):
        return np.ndarray, item.dtype, item.shape[1:]
    if isinstance(item, pd.Index) and item.nlevels == 1:
        return pd.Index, item.dtype, item.name
    return None


def _read_parts(store: Store, whole: Any, lengths: str) -> list[Any]:
    joined, sizes = from_plain(whole, store), store.arrays.pop(lengths)
    ends = [0, *np.cumsum(sizes).tolist()]
    if ends[-1] != len(joined) or (sizes < 0).any():
        raise ValueError(f"the parts of {len(joined)} values have {ends[-1]}")
    return [joined[start:end] for start, end in pairwise(ends)]


def _is_number(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8


def _write_array(value: Any, store: Store) -> Any:
    one = isinstance(value, np.generic)
    if _is_number(value.dtype):
        return {"number" if one else "numbers": {"values": store.put(value)}}
    if isinstance(value, np.str_):
        return {"text": {"value": str(value)}}
    if one or value.ndim != 1 or value.dtype.kind not in "UO":
        raise ValueError(f"numpy values of type {value.dtype} and {value.ndim} dimensions cannot be saved")
    return {"texts" if value.dtype.kind == "U" else "objects": {"values": to_plain(value.tolist(), store)}}


def _write_random_state(value: np.random.RandomState, store: Store) -> Any:
    state: Any = value.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise ValueError(f"a RandomState of {state['bit_generator']} cannot be saved, only one of MT19937")
    return {"RandomState": {"state": to_plain(state, store)}}


def _read_random_state(store: Store, state: Any) -> np.random.RandomState:
    made = np.random.RandomState()
    made.set_state(from_plain(state, store))
    return made


def _write_offset(value: Any) -> Any:
    """Keep a frequency as its text or, where pandas has none that says all, as what it is made of."""
    name = type(value).__name__
    if name not in _OFFSETS:
        if value.freqstr.startswith("<") or to_offset(value.freqstr) != value:
            raise ValueError(f"the frequency {value!r} cannot be saved: pandas has no text for it")
        return {"offset": {"text": value.freqstr}}
    if name == "DateOffset":
        parts = dict(value.kwds)
    else:
        parts = {part: _as_text(getattr(value, part)) for part in _PARTS if getattr(value, part, None)}
    made = {"name": name, "n": value.n, "normalize": value.normalize, "parts": parts}
    if any(type(part) not in (str, int, list) for part in parts.values()) or _made_offset(None, **made) != value:
        raise ValueError(f"the frequency {value!r} cannot be saved: pandas has no text for it")
    return {"made offset": made}


def _as_text(part: Any) -> Any:
    return part if isinstance(part, str) else [str(item).removesuffix(":00") for item in part]


def _made_offset(store: Any, name: str, n: int, normalize: bool, parts: dict[str, Any]) -> Any:
    return _OFFSETS[name](n, normalize, **parts)


def _write_index(index: pd.Index[Any], store: Store) -> Any:
    if isinstance(index, pd.MultiIndex):
        return {"levels": {"indexes": [to_plain(index.get_level_values(i), store) for i in range(index.nlevels)]}}
    if isinstance(index, pd.RangeIndex):
        return {"range": {"bounds": [index.start, index.stop, index.step], "name": to_plain(index.name, store)}}
    return _write_joined([index], store)


def _write_joined(parts: list[Any], store: Store) -> Any:
    """Keep indexes of one form end to end as one."""
    first, dtype = parts[0], parts[0].dtype
    if _is_number(dtype):
        values: Any = np.concatenate(parts)
    elif str(dtype) in TEXTS:
        values = [item for part in parts for item in part.tolist()]
    elif hasattr(first, "asi8") and pd.api.types.pandas_dtype(str(dtype)) == dtype:  # times, periods, spans of time
        values = np.concatenate([part.asi8 for part in parts])
    else:
        raise ValueError(f"an index of type {str(dtype)!r} cannot be saved; convert it with astype")
    plain = {"values": to_plain(values, store), "dtype": str(dtype), "name": to_plain(first.name, store)}
    return {"index": plain}


def _read_index(store: Store, values: Any, dtype: str, name: Any) -> pd.Index[Any]:
    known: Any = pd.api.types.pandas_dtype(dtype)
    column = from_plain(values, store)
    if isinstance(known, pd.PeriodDtype):
        column = pd.arrays.PeriodArray(column, dtype=known)
    elif isinstance(known, pd.DatetimeTZDtype):
        column = pd.DatetimeIndex(column.view(f"M8[{known.unit}]")).tz_localize("UTC").tz_convert(known.tz)
    elif known.kind in "mM":
        column = column.view(known)
    elif not (_is_number(known) or dtype in TEXTS):
        raise ValueError(f"unknown type of index {dtype!r}")
    return pd.Index(column, dtype=known, name=from_plain(name, store), tupleize_cols=False)


def _read_range(store: Store, bounds: list[int], name: Any) -> pd.RangeIndex:
    values = range(*bounds)
    store.n_values -= len(values)
    if store.n_values < 0:
        raise ValueError(f"a range of {len(values)} has more values than all arrays")
    return pd.RangeIndex(values, name=from_plain(name, store))


_READERS: dict[str, Callable[..., Any]] = {
    "float": lambda store, text: float(text),
    "tuple": lambda store, items: tuple(from_plain(items, store)),
    "dict": lambda store, items: dict(from_plain(items, store)),
    "parts": _read_parts,
    "number": lambda store, values: store.arrays.pop(values)[()],
    "text": lambda store, value: np.str_(value),
    "numbers": lambda store, values: store.arrays.pop(values),
    "texts": lambda store, values: np.array(from_plain(values, store), dtype=str),
    "objects": lambda store, values: np.fromiter(from_plain(values, store), dtype=object),
    "RandomState": _read_random_state,
    "offset": lambda store, text: to_offset(text),
    "made offset": _made_offset,
    "scalar": lambda store, kind, text: {made.__name__: read for made, read in _SCALARS.items()}[kind](text),
    "index": _read_index,
    "levels": lambda store, indexes: pd.MultiIndex.from_arrays(from_plain(indexes, store)),
    "range": _read_range,
}
