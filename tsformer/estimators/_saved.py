"""The file of a saved estimator: what `tsformer.save` writes, and what `load` and a path as `pretrained` read.

It is a safetensors file. Its header holds a JSON document (class, parameters, fitted attributes, how to build the
networks, and type, shape and SHA-256 of each array) and the SHA-256 of that document.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
from torch import nn

from tsformer.data.augment import standard_augmentation
from tsformer.data.plain import Store, from_plain
from tsformer.estimators._fitting import seeded

VERSION = 1  # of the document; a change that this code cannot read gets the next number
AUGMENTATIONS = {"standard": standard_augmentation, None: None}

Arrays = dict[str, NDArray[Any]]


def check_place(path: Path) -> None:
    """Raise an OSError where no file can be written to a path: before the work for it, not after."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Pass the path of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")


def write(path: Path, document: dict[str, Any], arrays: Arrays) -> None:
    """Write a document, completed by version and summaries, and arrays to a file, whole or not at all."""
    summaries = {name: _summary(array) for name, array in arrays.items()}
    text = json.dumps({"version": VERSION, **document, "arrays": summaries}, allow_nan=False)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        # Not by safetensors' own save_file: nobody but the owner may read its files.
        unfinished.write_bytes(to_bytes(arrays, metadata={"tsformer": text, "sha256": _digest(text)}))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def saved_document(path: Path) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Read the document and the arrays, whose checksums are right; what fails on them inside is a ValueError too."""
    text, arrays = _read(path)
    try:
        document = json.loads(text)
        if document.get("version") != VERSION:
            raise ValueError(f"it is of version {document.get('version')!r}, this tsformer reads version {VERSION}")
        _check_names(document, ["version", "class", "parameters", "fitted", "networks", "arrays"], "the document")
        _check_arrays(document["arrays"], arrays)
        yield document, arrays
    # Whatever a made-up file breaks, it is one mistake to the user: this is no file of ours.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(
            f"{path} cannot be loaded: {reason}. Copy it again, or load what this or an earlier tsformer saved."
        ) from error


def saved_network(
    build: Callable[..., nn.Module], number: int, store: Store, *, settings: dict[str, Any], augment: str | None
) -> Any:
    """Build a network as it was, first without memory to compare its shapes with those in the file."""
    prefix = f"network.{number}."
    weights = {name: store.take(name) for name in list(store.arrays) if name.startswith(prefix)}
    state = {name.removeprefix(prefix): torch.from_numpy(array) for name, array in weights.items()}
    known = {name: from_plain(value, store) for name, value in settings.items()}
    if known["n_layers"] > len(state):
        raise ValueError(f"{known['n_layers']} layers have more weights than there are")
    with torch.device("meta"):
        expected = build(**known).state_dict()
    _check_names(state, list(expected), f"{prefix}*")
    for name, blank in expected.items():
        if (state[name].shape, state[name].dtype) != (blank.shape, blank.dtype):
            raise ValueError(
                f"{prefix}{name} is {state[name].dtype} of shape {tuple(state[name].shape)}, expected {blank.dtype} of "
                f"shape {tuple(blank.shape)}"
            )
    with seeded(0, torch.device("cpu")):  # new weights are drawn, to be replaced; the user's random state is not theirs
        network: Any = build(**known)
    network.load_state_dict(state, strict=True)
    if hasattr(network, "augment"):
        network.augment = AUGMENTATIONS[augment]
    return network.eval()


def _check_names(found: Mapping[str, Any], expected: list[str], where: str) -> None:
    if set(found) != set(expected):
        raise ValueError(f"{where} has the fields {sorted(found)}, expected {sorted(expected)}")


def _check_arrays(summaries: dict[str, Any], arrays: Arrays) -> None:
    if set(summaries) != set(arrays):
        raise ValueError(f"arrays are unknown or missing: {sorted(set(summaries) ^ set(arrays))[:3]}")
    for name, array in arrays.items():
        if _summary(array) != summaries[name]:
            raise ValueError(f"the array {name!r} was altered: type, shape or checksum differ")


def _summary(array: NDArray[Any]) -> dict[str, Any]:
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
    }


def _read(path: Path) -> tuple[str, Arrays]:
    """Read the document, whose checksum is right, and the arrays."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Pass the file that save wrote.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if set(metadata) != {"tsformer", "sha256"}:
                raise ValueError(
                    f"{path} was not written by tsformer.save: its header has {sorted(metadata)}. Pass a file of save."
                )
            if _digest(metadata["tsformer"]) != metadata["sha256"]:
                raise ValueError(f"{path} was altered: the checksum of its header is wrong. Copy or download it again.")
            return metadata["tsformer"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged, or not a file of tsformer.save: {error}. Copy or download it again. Pickles "
            "are never loaded: they run code."
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
