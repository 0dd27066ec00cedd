"""Fitted estimators in one file and back, as `tsformer.archive` writes it: weights as safetensors, all else as JSON.

No class or function is looked up by a name in the file, except in the lists below and there.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer import archive
from tsformer.archive import Store, from_plain
from tsformer.data.augment import standard_augmentation
from tsformer.data.courses import Courses
from tsformer.data.covariates import CovariateScaler
from tsformer.data.frames import Form, SeriesSet, last_part
from tsformer.estimators.checks import place
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.detector import TransformerDetector
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.estimators.semi_supervised import SemiSupervisedTransformerClassifier
from tsformer.models.channel_encoder import ChannelEncoder, blank_channel_encoder
from tsformer.models.classifier import SeriesClassifier, blank_classifier
from tsformer.models.ensemble import Ensemble
from tsformer.models.forecaster import Lengths, SeriesForecaster, build_forecaster
from tsformer.models.frozen import FrozenClassifier, blank_frozen
from tsformer.models.witnesses import Witnesses, build_witness
from tsformer.training import distributed
from tsformer.training.anomalies import Calibration, Normal
from tsformer.training.devices import resolve_device, usual_state
from tsformer.training.neighbours import NormalWindows, Scale

OF_FORECASTERS = (Lengths, CovariateScaler, SeriesSet, Form)
OF_DETECTORS = (Normal, Scale, NormalWindows, Calibration, Courses)
RECORDS: dict[str, type] = {kept.__name__: kept for kept in (*OF_FORECASTERS, *OF_DETECTORS)}
AUGMENTATIONS = {"standard": standard_augmentation, None: None}
WAYS_OUT = {
    "encoder": "Name one of tsformer.models.encoders.ENCODERS",
    "augment": "Set it to 'standard' or None, since predictions do not use it",
    "pretrained": "Save the pretrainer and name its file by set_params(pretrained=path)",
}
OR_PICKLE = "or use pickle, and load no pickle but your own: it runs code."


class Kind(NamedTuple):
    """Of a class of estimators: what builds networks from settings, and the types of the attributes that are kept."""

    build: Callable[..., nn.Module]
    fitted: Mapping[str, Any]
    optional: Mapping[str, Any]  # not always there


# Made anew, or not kept as `save` says: moments of the optimiser, requests for metadata, callbacks.
LEFT_OUT = {"model_", "_moments", "_metadata_request", "_skl_callbacks"}
OF_CASES = {"history_": dict, "n_channels_": int, "n_features_in_": int, "fitted_on_table_": bool}
OPTIONAL_OF_CASES = {"feature_names_in_": np.ndarray, "_sklearn_output_config": dict}

OF_CLASSIFIER = OF_CASES | {"classes_": np.ndarray, "n_iter_": np.ndarray, "n_timepoints_": int}


def _blank_member(**settings: Any) -> nn.Module:
    return (blank_frozen if "objective" in settings else blank_classifier)(**settings)


KINDS = {
    TransformerClassifier: Kind(_blank_member, OF_CLASSIFIER, OPTIONAL_OF_CASES),
    SemiSupervisedTransformerClassifier: Kind(
        _blank_member, OF_CLASSIFIER | {"transduction_": np.ndarray, "label_fraction_": float}, OPTIONAL_OF_CASES
    ),
    TransformerForecaster: Kind(
        build_forecaster,
        {"freq_": pd.offsets.BaseOffset | int, "lengths_": Lengths, "covariate_scaler_": CovariateScaler}
        | {"history_": dict, "n_iter_": int, "series_": SeriesSet, "has_history_": bool},
        {"conformity_scores_": np.ndarray, "calibrated_until_": pd.Index, "trained_until_": pd.Index},
    ),
    TransformerPretrainer: Kind(blank_channel_encoder, OF_CASES | {"n_iter_": int}, OPTIONAL_OF_CASES),
    TransformerDetector: Kind(
        build_witness,
        {"normal_": Normal, "courses_": Courses, "channels_": list}
        | {"training_scores_": np.ndarray, "offset_": float},
        {"freq_": pd.offsets.BaseOffset | int},
    ),
}
CLASSES = {estimator.__name__: estimator for estimator in KINDS}


@usual_state()
def save(estimator: Any, path: str | os.PathLike[str], *, history: bool = False) -> None:
    """Write a fitted estimator to one file, which holds no code and is safe to load.

    A callable `encoder`, and what else such a file cannot hold, is a ValueError with the way out. Not kept are the
    optimiser's moments, so that the next `partial_fit` begins with new ones, requests for metadata and callbacks.
    Where several processes train together, the first writes the file and the others do nothing.

    Parameters
    ----------
    estimator : estimator of tsformer
        Fitted.
    path : str or path
        The file, such as "model.safetensors". An existing one is replaced.
    history : bool, default=False
        Of a forecaster, keep all of the histories, so that `update(refit=True)` can train on, and not only what
        `predict` goes on from: the last context of each series.
    """
    given = type(estimator)
    if given not in KINDS:
        raise ValueError(
            f"save takes an estimator of tsformer, {', '.join(CLASSES)}. Got {given.__name__} of {given.__module__}; "
            "save the estimator in it: best_estimator_ of a search, a step of a Pipeline, estimator_ of an adapter."
        )
    archive.check_place(Path(path))
    check_is_fitted(estimator, "model_")
    if distributed.processes()[0] > 0:
        return
    fitted = vars(estimator)
    if isinstance(estimator, TransformerForecaster):
        fitted = fitted | _kept_series(estimator, history=history)
    elif history:
        raise ValueError(f"history=True keeps the histories of a forecaster. Got a {given.__name__}.")
    store, model = Store(RECORDS), estimator.model_
    networks: list[Any] = model.members if isinstance(model, Ensemble | Witnesses) else [model]
    document = {
        "class": given.__name__,
        "parameters": _parameters(estimator, store),
        "fitted": _fitted(estimator, fitted, store),
        "networks": [_describe(network, estimator, store) for network in networks],
    }
    for i, network in enumerate(networks):
        archive.put_weights(network, i, store)
    archive.write_archive(Path(path), document, store)


@usual_state()
def load(path: str | os.PathLike[str], device: str | None = None) -> Any:
    """Read an estimator that `save` wrote; it predicts as it did, and can be trained on.

    A file that is damaged, altered, of another kind or of a later version is a ValueError.

    Parameters
    ----------
    path : str or path
        The file.
    device : str, optional
        Replaces the estimator's parameter `device`: without a GPU, what was fitted with "cuda" needs "cpu" or "auto".

    Returns
    -------
    estimator of tsformer
    """
    if device is not None:
        resolve_device(device)
    with archive.open_archive(Path(path), RECORDS) as (document, store):
        estimator = _restored(document, store, device)
        return estimator


def _kept_series(forecaster: TransformerForecaster, *, history: bool) -> dict[str, Any]:
    if history and not forecaster.has_history_:
        raise ValueError(
            "history=True keeps all of the histories, but this forecaster was loaded with their last values only. Call "
            "fit with all rows, or leave history out."
        )
    series = forecaster.series_ if history else last_part(forecaster.series_, forecaster.lengths_.context)
    return {"series_": series, "has_history_": history}


def _parameters(estimator: Any, store: Store) -> dict[str, Any]:
    kept = {}
    for name, value in estimator.get_params(deep=False).items():
        what = f"The {name!r} parameter of {type(estimator).__name__}"
        if callable(value) or hasattr(value, "fit"):
            kind, way_out = "a callable" if callable(value) else "an estimator", WAYS_OUT.get(name, "Set another")
            raise ValueError(f"{what} is {kind}, and the file holds no code. Got {value!r}. {way_out}, {OR_PICKLE}")
        kept[name] = _kept(os.fspath(value) if isinstance(value, os.PathLike) else value, store, what)
    return kept


def _fitted(estimator: Any, values: Mapping[str, Any], store: Store) -> dict[str, Any]:
    kind = KINDS[type(estimator)]
    known = {*kind.fitted, *kind.optional, *LEFT_OUT, *estimator.get_params(deep=False)}
    if unknown := sorted(set(values) - known):
        raise ValueError(
            f"{type(estimator).__name__} has attributes that save does not know: {unknown}. Delete them, {OR_PICKLE}"
        )
    names = [name for name in (*kind.fitted, *kind.optional) if name in values]
    return {name: _kept(values[name], store, f"The attribute {name!r}") for name in names}


def _kept(value: Any, store: Store, what: str) -> Any:
    try:
        return archive.to_plain(value, store)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what} cannot be saved: {error}. Set another, {OR_PICKLE}") from error


def _describe(network: Any, estimator: Any, store: Store) -> dict[str, Any]:
    """Say how to build a network again: not by the parameters, which may have been set anew since it was fitted."""
    settings = {name: _kept(value, store, f"The network's {name!r}") for name, value in network.settings.items()}
    if not isinstance(network, SeriesClassifier):
        return {"settings": settings}
    # Where a callable was trained with, the parameter, which is none any more, says what to go on with.
    names = (name for name, known in AUGMENTATIONS.items() if network.augment is known)
    return {"settings": settings, "augment": next(names, estimator.augment)}


def _restored(document: Any, store: Store, device: str | None) -> Any:
    made = CLASSES.get(document["class"])
    if made is None:
        raise ValueError(f"unknown class {document['class']!r}")
    kind, parameters = KINDS[made], document["parameters"]
    if unknown := sorted(set(parameters) - set(made().get_params(deep=False))):
        raise ValueError(f"unknown parameters {unknown}")
    # An earlier tsformer may have had fewer parameters: the others take their defaults.
    estimator = made(**{name: from_plain(value, store) for name, value in parameters.items()})
    if device is not None:
        estimator.set_params(device=device)
    estimator._validate_params()
    types = {**kind.fitted, **kind.optional}
    for name, plain in document["fitted"].items():
        if name not in types:
            raise ValueError(f"unknown fitted attribute {name!r}")
        value = from_plain(plain, store)
        if not isinstance(value, types[name]):
            raise ValueError(f"the fitted attribute {name!r} is of type {type(value).__name__}")
        setattr(estimator, name, value)
    if absent := set(kind.fitted) - set(document["fitted"]):
        raise ValueError(f"the fitted attributes {sorted(absent)} are missing")
    networks = [_network(kind, i, store, **described) for i, described in enumerate(document["networks"])]
    if store.arrays:
        raise ValueError(f"unknown arrays {sorted(store.arrays)[:3]}")
    estimator.model_ = _joined(estimator, networks)
    place(estimator)
    return estimator


def _network(kind: Kind, number: int, store: Store, *, settings: dict[str, Any], augment: str | None = None) -> Any:
    network = archive.saved_network(kind.build, number, store, settings)
    if isinstance(network, SeriesClassifier):
        network.augment = AUGMENTATIONS[augment]
    return network


def _joined(estimator: Any, networks: list[Any]) -> nn.Module:
    if isinstance(estimator, TransformerDetector):
        if list(map(type, networks)) != [ChannelEncoder, SeriesForecaster]:
            raise ValueError("the networks are not an encoder and a forecaster")
        return Witnesses(*networks)
    if not isinstance(estimator, TransformerClassifier):
        (network,) = networks
        return network
    fits = {"n_classes": len(estimator.classes_), "n_channels": estimator.n_channels_}
    if not networks or any(network.settings | fits != network.settings for network in networks):
        raise ValueError(f"the networks are not those of {fits}")
    frozen = networks.pop() if isinstance(networks[-1], FrozenClassifier) else None
    return Ensemble(networks, frozen)
