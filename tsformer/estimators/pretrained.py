"""Pretrained networks: what the `pretrained` parameter of an estimator stands for in, a network to go on from out."""

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsformer.archive import open_archive, saved_network
from tsformer.models.channel_encoder import ChannelEncoder, blank_channel_encoder
from tsformer.models.forecaster import SeriesForecaster, build_forecaster, with_covariates
from tsformer.training.devices import Undrawn, seeded

WEIGHTS = Path(__file__).parents[1] / "weights"  # what scripts/pretrain wrote
ENCODER, FORECASTER = "TransformerPretrainer", "TransformerForecaster"
BUNDLED = {ENCODER: WEIGHTS / "encoder.safetensors", FORECASTER: WEIGHTS / "forecaster.safetensors"}
BUILD: dict[str, Callable[..., Any]] = {ENCODER: blank_channel_encoder, FORECASTER: build_forecaster}
FROM_SCRATCH, LONG_TRAINING, SHORT_TRAINING = 1000, 300, 100  # steps
FEW_VALUES = 10_000  # below so many in all, pretrained weights stay as they are
ACCEPTED: list[Any] = [str, os.PathLike, HasMethods("fit"), None]  # what the parameter may be


def load_encoder(pretrained: Any) -> ChannelEncoder:
    """Return a copy of the encoder that the `pretrained` parameter, where it is not None, stands for."""
    encoder: ChannelEncoder = _load(pretrained, ENCODER)
    return encoder


def load_forecaster(pretrained: Any) -> SeriesForecaster:
    """Return a copy of the forecasting network that the `pretrained` parameter, where it is not None, stands for."""
    forecaster: SeriesForecaster = _load(pretrained, FORECASTER)
    return forecaster


class Start(NamedTuple):
    """How a forecasting network begins: by a function, with weights that have learnt before or not."""

    make: Callable[[], SeriesForecaster]
    has_learnt: bool
    has_new_covariates: bool = False  # of which the weights have learnt nothing
    pretrained: SeriesForecaster | None = None  # where the weights are of


def start_forecaster(pretrained: Any, shape: dict[str, Any], context: int, n_past: int, n_future: int) -> Start:
    """Begin with the weights that `pretrained` stands for, or with new ones of a shape: encoder, head and widths.

    "auto" is the bundled ones if they are of that shape; of others the head must be that of the shape. Covariates that
    weights do not know have no effect at first.
    """
    is_auto = isinstance(pretrained, str) and pretrained == "auto"
    covariates: dict[str, Any] = {"n_past": n_past, "n_future": n_future}
    network = None if pretrained is None else load_forecaster("bundled" if is_auto else pretrained)
    if network is None or (is_auto and not shape.items() <= network.settings.items()):
        return Start(partial(build_forecaster, context=context, **shape, **covariates), has_learnt=False)
    if (head := network.settings["head"]) != shape["head"]:
        raise ValueError(
            f"The weights to go on from are of a network of head={head!r}. Got head={shape['head']!r}; set the same, "
            "or pretrained=None."
        )
    is_new = not covariates.items() <= network.settings.items()
    if is_new:
        _check_widens(network.settings, covariates)
        with seeded(0, torch.device("cpu")):  # new weights are drawn, to be replaced
            network = with_covariates(network, n_past, n_future)
    return Start(partial(copy.deepcopy, network), True, is_new, network)


def _check_widens(known: dict[str, Any], wanted: dict[str, int]) -> None:
    """Raise a ValueError unless weights of these settings can be gone on from with as many covariates."""
    if known["n_past"] or known["n_future"]:
        raise ValueError(
            f"The weights to go on from read {known['n_past']} past covariates and {known['n_future']} known ahead, "
            f"static ones, calendar and holidays included. Got {wanted['n_past']} and {wanted['n_future']}; name the "
            "same, or set pretrained='bundled'."
        )
    if known["encoder"] != "patch":
        raise ValueError(
            f"Weights without covariates can be gone on from with some if encoder='patch'. Got weights of "
            f"encoder={known['encoder']!r}; drop the covariates, or set pretrained='bundled'."
        )


def steps_to_train(start: Start, n_values: int, *, is_long: bool) -> tuple[int, str]:
    """Return how many steps max_steps="auto" stands for, with so many values in all, and why."""
    if not start.has_learnt:
        return FROM_SCRATCH, "new weights"
    if start.has_new_covariates:
        return LONG_TRAINING, "pretrained weights that know no covariates yet"
    if n_values < FEW_VALUES:
        return 0, "pretrained weights, to which so few values have nothing to add"
    if is_long:
        return LONG_TRAINING, "pretrained weights, as long as they gain on what long series hold back"
    return SHORT_TRAINING, "pretrained weights, between which and those trained the mean is kept"


def _load(pretrained: Any, kind: str) -> Any:
    if isinstance(pretrained, str | os.PathLike):
        return _read(BUNDLED[kind] if pretrained == "bundled" else Path(pretrained), kind)
    given = type(getattr(pretrained, "estimator", pretrained))  # frozen or not
    if kind not in [base.__name__ for base in given.__mro__]:
        raise TypeError(f"{_expected(kind)} Got {pretrained!r} instead.")
    try:
        check_is_fitted(pretrained, "model_")
    except NotFittedError as error:
        raise NotFittedError(
            f"The 'pretrained' parameter is a {kind} that is not fitted. Fit it first, and where scikit-learn makes "
            "clones, as in a grid search, wrap it: pretrained=sklearn.frozen.FrozenEstimator(it)."
        ) from error
    return copy.deepcopy(pretrained.model_).to("cpu", torch.float32)


def _expected(kind: str) -> str:
    automatic = "'auto', " if kind == FORECASTER else ""
    return f"The 'pretrained' parameter must be {automatic}'bundled', the path of a saved one, a fitted {kind} or None."


def _read(path: Path, kind: str) -> Any:
    """Read the network of a saved estimator, or weights that `scripts/pretrain` wrote, in half precision."""
    if path.is_dir():
        raise ValueError(f"{_expected(kind)} Got the folder {path}.")
    if not path.exists():
        raise FileNotFoundError(f"{_expected(kind)} Got {str(path)!r}, and there is no such file.")
    try:
        with safe_open(path, framework="pt") as file:
            if settings := (file.metadata() or {}).get("network"):
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
                return _with_weights(kind, json.loads(settings), weights)
    except (SafetensorError, TypeError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"The 'pretrained' parameter names {path}, which is damaged or holds no weights of a {kind}: {error!r}."
        ) from error
    with open_archive(path) as (document, store):
        if document["class"] == kind:
            return saved_network(BUILD[kind], 0, store, document["networks"][0]["settings"])
    raise ValueError(f"The 'pretrained' parameter must name a file of a {kind}. {path} holds a {document['class']}.")


def _with_weights(kind: str, settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> nn.Module:
    """Build a network and give it its weights; of an encoder, the head's are drawn anew, not from the user's state."""
    with Undrawn():
        network: nn.Module = BUILD[kind](**settings)
    if kind == ENCODER:
        weights = {f"encoder.{name}": weight for name, weight in weights.items()}
        weights |= {name: weight for name, weight in network.state_dict().items() if name.startswith("head.")}
    network.load_state_dict(weights)
    return network
