"""Fitted estimators in one file and back, without code in it: weights as safetensors, all else as JSON.

The form of the file is that of `estimators._saved`. Nothing is unpickled, and no class or function is looked up by a
name in the file, except in the lists below and there.
"""

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer.data.plain import Store, from_plain, to_plain
from tsformer.estimators._covariates import Covariates, Given
from tsformer.estimators._fitting import resolve_device
from tsformer.estimators._forecasting import Lengths, build_network
from tsformer.estimators._saved import AUGMENTATIONS, check_place, saved_document, saved_network, write
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.models.channel_encoder import blank_pretraining
from tsformer.models.classifier import blank_classifier
from tsformer.models.frozen import blank_pretrained

RECORDS: dict[str, type] = {kept.__name__: kept for kept in (Lengths, Covariates, Given)}
WAYS_OUT = {
    "encoder": "Name one of tsformer.models.encoders.ENCODERS",
    "augment": "Set it to 'standard' or None, since predictions do not use it",
    "pretrained": "Save the pretrainer and name its file by set_params(pretrained=path)",
}
OR_PICKLE = "or use pickle, and load no pickle but your own: it runs code."


@dataclass(frozen=True)
class Kind:
    """What makes a fitted estimator of a class.

    Parameters
    ----------
    estimator : type
        The class.
    networks : str
        The attribute that holds its network, or a list of them.
    build : callable
        Makes a network of the same shape again from its `settings`.
    fitted : dict from str to types
        The other fitted attributes that are kept, and what they are.
    optional : dict from str to types
        Those that are not always there.
    left_out : frozenset
        Attributes that are made anew, or that `save` says it does not keep.
    """

    estimator: type
    networks: str
    build: Callable[..., nn.Module]
    fitted: Mapping[str, Any]
    optional: Mapping[str, Any]
    left_out: frozenset[str]


REQUESTED = {"_metadata_request", "_skl_callbacks"}  # of scikit-learn, by set_fit_request and set_callbacks

KINDS = {
    kind.estimator.__name__: kind
    for kind in (
        Kind(
            estimator=TransformerClassifier,
            networks="models_",
            build=lambda **settings: (blank_pretrained if "objective" in settings else blank_classifier)(**settings),
            fitted={
                "classes_": np.ndarray,
                "history_": dict,
                "n_iter_": np.ndarray,
                "n_channels_": int,
                "n_timepoints_": int,
                "n_features_in_": int,
                "_fitted_flat": bool,
            },
            optional={"feature_names_in_": np.ndarray, "_sklearn_output_config": dict},
            left_out=frozenset({"_moments", *REQUESTED}),
        ),
        Kind(
            estimator=TransformerForecaster,
            networks="model_",
            build=build_network,
            fitted={
                "freq_": pd.offsets.BaseOffset | int,
                "lengths_": Lengths,
                "history_": dict,
                "n_iter_": int,
                "_covariates": Covariates,
                "_df": pd.Series | pd.DataFrame,
                "_given": Given,
            },
            optional={"distances_": np.ndarray},
            left_out=frozenset({"_series", *REQUESTED}),
        ),
        Kind(
            estimator=TransformerPretrainer,
            networks="model_",
            build=blank_pretraining,
            fitted={
                "history_": dict,
                "n_iter_": int,
                "n_channels_": int,
                "n_features_in_": int,
                "_fitted_flat": bool,
            },
            optional={"feature_names_in_": np.ndarray, "_sklearn_output_config": dict},
            left_out=frozenset({"_moments", *REQUESTED}),
        ),
    )
}


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to one file, which holds no code and is safe to load.

    Parameters
    ----------
    estimator : TransformerClassifier, TransformerForecaster or TransformerPretrainer
        Fitted. A forecaster keeps the histories and covariates that `predict` goes on from.
    path : str or path
        The file, such as "model.safetensors". An existing one is replaced.

    Raises
    ------
    ValueError
        When the estimator is not fitted, or holds what a file without code cannot hold, such as an `encoder` or
        `augment` that is a callable; the message says the way out.

    Notes
    -----
    Not kept are the optimiser's moments, so that the next `partial_fit` begins with new ones, requests for metadata
    (`set_fit_request` and the like) and callbacks.
    """
    kind = _kind_of(estimator)
    check_place(Path(path))
    check_is_fitted(estimator, kind.networks)
    if isinstance(estimator, TransformerForecaster):
        _check_reads_as_before(estimator)
    store = Store(RECORDS)
    networks = _networks(estimator, kind)
    document = {
        "class": type(estimator).__name__,
        "parameters": _parameters(estimator, store),
        "fitted": _fitted(estimator, kind, store),
        "networks": [_describe(network, estimator, store) for network in networks],
    }
    for i, network in enumerate(networks):
        store.arrays |= {f"network.{i}.{name}": weights for name, weights in _weights(network).items()}
    write(Path(path), document, store.arrays)


def load(path: str | os.PathLike[str], device: str | None = None) -> Any:
    """Read an estimator that `save` wrote; it predicts as it did, and can be trained on.

    Parameters
    ----------
    path : str or path
        The file.
    device : str, optional
        Replaces the estimator's parameter `device`: what was fitted with device="cuda" needs "cpu" or "auto" where
        there is no GPU. None leaves it as it was.

    Returns
    -------
    TransformerClassifier, TransformerForecaster or TransformerPretrainer

    Raises
    ------
    ValueError
        When the file is not what `save` wrote, whether damaged, altered, of another kind or of a later version.
    """
    if device is not None:
        resolve_device(device)
    with saved_document(Path(path)) as (document, arrays):
        estimator = _restored(document, arrays)
        if device is not None:
            estimator.set_params(device=device)
        return estimator


# What is kept of an estimator.


def _kind_of(estimator: Any) -> Kind:
    kind = KINDS.get(type(estimator).__name__)
    if kind is None or kind.estimator is not type(estimator):
        raise ValueError(
            f"save takes an estimator of tsformer, {', '.join(KINDS)}. Got {type(estimator).__name__} of "
            f"{type(estimator).__module__}; save the estimator in it, as best_estimator_ of a search, the last step "
            "of a Pipeline, or estimator_ of an adapter."
        )
    return kind


def _networks(estimator: Any, kind: Kind) -> list[Any]:
    networks = getattr(estimator, kind.networks)
    return networks if isinstance(networks, list) else [networks]


def _check_reads_as_before(forecaster: TransformerForecaster) -> None:
    """Check that the frame that is kept gives the series that are not: `load` reads it again."""
    known = forecaster._series
    try:
        again = forecaster._read(forecaster._df)
        alike = (
            again.ids.equals(known.ids)
            and again.freq == known.freq
            and all(map(pd.Index.equals, again.times, known.times))
            and all(map(partial(np.array_equal, equal_nan=True), again.values, known.values))
        )
    except ValueError:
        alike = False
    if not alike:
        raise ValueError(
            "The parameters by which a forecaster reads frames (id_col, time_col, target_col, freq, fill) have changed "
            "since fit. Set them back, or fit again."
        )


def _parameters(estimator: Any, store: Store) -> dict[str, Any]:
    kept = {}
    for name, value in estimator.get_params(deep=False).items():
        what = f"The {name!r} parameter of {type(estimator).__name__}"
        if callable(value) or hasattr(value, "fit"):
            kind, way_out = "a callable" if callable(value) else "an estimator", WAYS_OUT.get(name, "Set another")
            raise ValueError(f"{what} is {kind}, and the file holds no code. Got {value!r}. {way_out}, {OR_PICKLE}")
        kept[name] = _kept(os.fspath(value) if isinstance(value, os.PathLike) else value, store, what)
    return kept


def _fitted(estimator: Any, kind: Kind, store: Store) -> dict[str, Any]:
    values = vars(estimator)
    known = {*kind.fitted, *kind.optional, *kind.left_out, kind.networks, *estimator.get_params(deep=False)}
    if unknown := sorted(set(values) - known):
        raise ValueError(
            f"{type(estimator).__name__} has attributes that save does not know: {unknown}. Delete them, {OR_PICKLE}"
        )
    names = [name for name in (*kind.fitted, *kind.optional) if name in values]
    return {name: _kept(values[name], store, f"The attribute {name!r}") for name in names}


def _kept(value: Any, store: Store, what: str) -> Any:
    try:
        return to_plain(value, store)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what} cannot be saved: {error}. Set another, {OR_PICKLE}") from error


def _describe(network: Any, estimator: Any, store: Store) -> dict[str, Any]:
    """How to build a network again: not by the parameters, which may have been set anew since it was fitted."""
    settings = {name: _kept(value, store, f"The network's {name!r}") for name, value in network.settings.items()}
    augment = getattr(network, "augment", None)
    # Where a callable was trained with, the parameter, which is none any more, says what to go on with.
    names = [name for name, known in AUGMENTATIONS.items() if augment is known]
    return {"settings": settings, "augment": names[0] if names else estimator.augment}


def _weights(network: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights in float32, in which they are trained; a copy that predicts in float64 has the same values."""
    on_cpu = copy.deepcopy(network).to("cpu", torch.float32)
    return {name: weights.numpy() for name, weights in on_cpu.state_dict().items()}


# An estimator again.


def _restored(document: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if document["class"] not in KINDS:
        raise ValueError(f"unknown class {document['class']!r}")
    kind, store = KINDS[document["class"]], Store(RECORDS, arrays)
    estimator = kind.estimator(**_known_parameters(document["parameters"], kind, store))
    estimator._validate_params()
    for name, value in document["fitted"].items():
        setattr(estimator, name, _checked(name, from_plain(value, store), kind))
    if absent := set(kind.fitted) - set(document["fitted"]):
        raise ValueError(f"the fitted attributes {sorted(absent)} are missing")
    networks = [saved_network(kind.build, i, store, **made) for i, made in enumerate(document["networks"])]
    if store.arrays:
        raise ValueError(f"unknown arrays {sorted(store.arrays)[:3]}")
    _attach(estimator, kind, networks)
    return estimator


def _known_parameters(parameters: dict[str, Any], kind: Kind, store: Store) -> dict[str, Any]:
    """Parameters by name. An earlier tsformer may have had fewer: the others take their defaults."""
    known = kind.estimator().get_params(deep=False)
    if unknown := sorted(set(parameters) - set(known)):
        raise ValueError(f"unknown parameters {unknown}")
    return {name: from_plain(value, store) for name, value in parameters.items()}


def _checked(name: str, value: Any, kind: Kind) -> Any:
    types = {**kind.fitted, **kind.optional}.get(name)
    if types is None:
        raise ValueError(f"unknown fitted attribute {name!r}")
    if not isinstance(value, types):
        raise ValueError(f"the fitted attribute {name!r} is of type {type(value).__name__}")
    return value


def _attach(estimator: Any, kind: Kind, networks: list[Any]) -> None:
    """Give the estimator its networks and what is made anew from the rest."""
    if isinstance(estimator, TransformerForecaster):
        (estimator.model_,) = networks
        estimator._remember(estimator._df, estimator._read(estimator._df), estimator._given)
        return
    if isinstance(estimator, TransformerPretrainer):
        (estimator.model_,) = networks
        estimator._moments = None
        return
    fits = {"n_classes": len(estimator.classes_), "n_channels": estimator.n_channels_}
    if not networks or any(network.settings | fits != network.settings for network in networks):
        raise ValueError(f"the networks are not those of {fits}")
    estimator.models_ = networks
    estimator._moments = None
