"""Export to ONNX: a fitted estimator in, graphs that other runtimes predict with out; needs onnx and onnxscript."""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsformer.archive import check_place
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.inspection import check_kind
from tsformer.layers.attention import KeyValueCache
from tsformer.layers.positions import rotary
from tsformer.models.decoder import DecoderCache
from tsformer.models.encoders import ENCODERS
from tsformer.models.seq2seq import Memory
from tsformer.models.window_features import LIMIT
from tsformer.training.devices import usual_state

# Encoders whose graph holds for series of other lengths than the one it was traced with; tests show it.
NAMES = ("transformer", "conv_stem", "patch", "gated_two_tower", "strided_stem")
ANY_LENGTH: Any = tuple(ENCODERS[name] for name in NAMES)


@usual_state()
def to_onnx(estimator: TransformerClassifier | TransformerForecaster, path: str | Path) -> None:
    """Write a fitted estimator as ONNX; its numbers are those of predict up to float32 (1e-4).

    Parameters
    ----------
    estimator : fitted TransformerClassifier or TransformerForecaster
        Of forecasters, those without covariates or calendar whose head is not "tokens".
    path : str or Path
        The file of a classifier; the directory, made where it is missing, of a forecaster's encoder.onnx and step.onnx.

    Raises
    ------
    ImportError, TypeError, ValueError, OSError
        Where onnx or onnxscript is missing, for what cannot be exported, or a place where no file can be.

    Notes
    -----
    A classifier is one graph. It takes X, float64 of shape (n_cases, n_channels, n_timepoints), where NaN is a missing
    value or padding at the end of a shorter series, and gives probabilities (n_cases, n_classes) in the order of
    `classes_`, which lie in the metadata under "classes", as JSON with dates as strings. It takes any number of cases,
    and of any length, but with "shifted_window" or an encoder of your own only of the longest training series' length,
    to which shorter ones are padded: that length is then a number in the shape of the graph's input.

    A forecaster's encoder.onnx takes X, float64 of shape (n_series, context), the last `lengths_.context` values of
    each series with NaN where there are none. It gives location and spread, by which forecasts are brought back to the
    units of the data; the last patch (n_series, patch_length, 2), scaled values and which are known; what is known
    ahead of each patch of the forecaster's horizon (n_series, n_patches, patch_length, n_features), simple forecasts
    among it; what describes the series; and the keys, values and mask of the memory. step.onnx takes a patch, that
    patch's part of what is known ahead, all the rest, and the cache: keys and values of the steps before, at first of
    length 0. It gives the next patch, what the head knows of each value (of head="quantile" its quantiles, which
    `calibration_windows` has not moved, nor what widens bands beyond 96 steps), and the longer cache. A patch that is
    drawn instead is known, of one that is forecast nothing is. examples/onnx_forecast.py holds the loop.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"Export needs {' and '.join(missing)}: pip install onnx onnxscript onnxruntime.")
    check_kind(estimator, TransformerClassifier, TransformerForecaster)
    check_is_fitted(estimator, "model_")
    if isinstance(estimator, TransformerForecaster):
        _export_forecaster(estimator, Path(path))
    else:
        check_place(Path(path))
        _export_classifier(estimator, Path(path))


class Graph(nn.Module):
    """What is written, around a copy of a model on the CPU in float32; the model may be predicting meanwhile."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = copy.deepcopy(model).to("cpu", torch.float32)
        self.eval()


class ProbabilityGraph(Graph):
    """A classifier: X (B, C, T) with NaN in, probabilities (B, K) out."""

    def forward(self, X: Tensor) -> Tensor:
        """Return probabilities, in float32 as the networks; between them the ensemble counts in float64."""
        return self.model(*_split(X.transpose(1, 2))).exp().float()


class EncoderGraph(Graph):
    """A forecaster up to its memory: X (B, T) with NaN in, what `StepGraph` needs out."""

    def __init__(self, forecaster: TransformerForecaster) -> None:
        super().__init__(forecaster.model_)
        self.horizon, self.seasons = forecaster.horizon, forecaster.lengths_.seasons

    def forward(self, X: Tensor) -> tuple[Tensor, ...]:
        """Return location, spread (B, 1), patch (B, P, 2), ahead (B, M, P, A), described (B, 1, D) and the memory.

        Of the memory: keys, values (L, B, H, N, Dk) and mask (B, 1, 1, N).
        """
        future = X.new_zeros(len(X), self.horizon, 0)
        window = self.model.encode(*_split(X.unsqueeze(-1)), future, self.seasons)
        memory, decoder = window.memory, self.model.decoder
        rotation = rotary(memory.positions, decoder.head_dim)
        seen = [block.cross_attention.remember(memory.tokens, rotation) for block in decoder.blocks]
        keys, values = (torch.stack(part) for part in zip(*seen, strict=True))
        mask = memory.tokens.new_ones(len(X), 1, 1, keys.shape[3], dtype=torch.bool)
        mask = mask if memory.mask is None else memory.mask
        scale = window.scale
        return scale.location, scale.spread, window.last, window.ahead, window.described, keys, values, mask


class StepGraph(Graph):
    """A step of a forecaster's decoder: a patch, the memory and the cache in, the next patch and the cache out."""

    def forward(
        self,
        patch: Tensor,
        ahead: Tensor,
        spread: Tensor,
        described: Tensor,
        memory_keys: Tensor,
        memory_values: Tensor,
        memory_mask: Tensor,
        past_keys: Tensor,
        past_values: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the next patch (B, P, 2), what the head knows of it (B, P, K), and keys and values (L, B, H, n, Dk).

        Parameters
        ----------
        patch, ahead, spread, described : Tensor
            The patch before, (B, P, 2), what is known ahead of the next, (B, P, A), and of the window, as from
            `EncoderGraph`. Patches are in units of their window.
        memory_keys, memory_values, memory_mask, past_keys, past_values : Tensor
            The caches of cross-attention, which stays, and of self-attention, which grows.
        """
        cache = DecoderCache(0)
        past = [GraphCache(*layer) for layer in zip(past_keys, past_values, strict=True)]
        memory = [GraphCache(*layer) for layer in zip(memory_keys, memory_values, strict=True)]
        cache.layers = list(zip(past, memory, strict=True))
        unread = described.new_zeros(len(described), memory_keys.shape[3], described.shape[2])  # its keys are cached
        before = patch.clamp(-LIMIT, LIMIT).unsqueeze(1)  # what is known of it is 0 or 1
        outputs = self.model.decode(before, ahead.unsqueeze(1), described, Memory(unread, memory_mask), cache)
        point = self.model.head.point(outputs, spread.unsqueeze(-1).to(outputs.dtype))[:, 0]
        point = point.clamp(-self.model.limit, self.model.limit)
        keys, values = (torch.stack(part) for part in zip(*[layer.content() for layer in past], strict=True))
        return torch.stack([point, torch.zeros_like(point)], dim=-1), outputs[:, 0], keys, values


class GraphCache(KeyValueCache):
    """A cache that holds keys and values (B, H, n, Dk) already, and does not grow in place: a graph could not."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        super().__init__()
        self.key, self.value, self.length = key, value, key.shape[2]

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens and return those of all tokens so far."""
        self.key, self.value = torch.cat([self.key, key], dim=2), torch.cat([self.value, value], dim=2)
        self.length = self.key.shape[2]
        return self.content()

    def content(self) -> tuple[Tensor, Tensor]:
        """Return the keys and values of all tokens so far."""
        return self.key, self.value


def _export_classifier(classifier: TransformerClassifier, path: Path) -> None:
    X = torch.zeros(3, classifier.n_channels_, max(2, classifier.n_timepoints_), dtype=torch.float64)
    dynamic: dict[int, Any] = {0: torch.export.Dim.DYNAMIC}
    if all(isinstance(network.encoder, ANY_LENGTH) for network in classifier.model_.networks):
        dynamic[2] = torch.export.Dim.AUTO
    graph, classes = ProbabilityGraph(classifier.model_), json.dumps(classifier.classes_.tolist(), default=str)
    _write(graph, {"X": X}, ["probabilities"], {"X": dynamic}, path, classes=classes)


def _export_forecaster(forecaster: TransformerForecaster, directory: Path) -> None:
    covariates = forecaster.covariate_scaler_
    if covariates.n_past or covariates.n_future:
        raise ValueError("to_onnx takes forecasters without covariates, static ones and a calendar too.")
    if forecaster.head == "tokens":
        raise ValueError("to_onnx takes no forecaster with head='tokens': ONNX has no search in sorted values.")
    if not forecaster.n_layers:
        raise ValueError("to_onnx takes forecasters of one layer or more. Got n_layers=0.")
    directory.mkdir(parents=True, exist_ok=True)
    batch = torch.export.Dim.DYNAMIC
    encoder = EncoderGraph(forecaster)
    X = torch.arange(3.0 * forecaster.lengths_.context, dtype=torch.float64).view(3, -1)
    of_memory = ["memory_keys", "memory_values", "memory_mask"]
    names = ["location", "spread", "patch", "ahead", "described", *of_memory]
    _write(encoder, {"X": X}, names, {"X": {0: batch}}, directory / "encoder.onnx")

    with torch.inference_mode():
        given = dict(zip(names, encoder(X), strict=True))
    given["ahead"] = given["ahead"][:, 0]
    inputs = {name: given[name] for name in ("patch", "ahead", "spread", "described", *of_memory)}
    dynamic = {name: {1 if tensor.dim() == 5 else 0: batch} for name, tensor in inputs.items()}
    for name in ("past_keys", "past_values"):
        inputs[name], dynamic[name] = given["memory_keys"][:, :, :, :1].repeat(1, 1, 1, 3, 1), {1: batch, 3: batch}
    of_step = ["next_patch", "known", "keys", "values"]
    _write(StepGraph(forecaster.model_), inputs, of_step, dynamic, directory / "step.onnx")


def _split(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values with zeros for NaN, and which are observed."""
    observed = ~values.isnan()
    return torch.where(observed, values, 0.0), observed


def _write(
    graph: Graph, inputs: dict[str, Tensor], outputs: list[str], dynamic: Any, path: Path, **metadata: str
) -> None:
    with _quiet_exporter():
        program = torch.onnx.export(
            graph,
            args=tuple(tensor.clone() for tensor in inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=dynamic,
            dynamo=True,
            custom_translation_table={torch.ops.aten.asinh.default: _asinh},
            verbose=False,
        )
        assert program is not None  # for the type checker: dynamo=True gives one
        program.model.metadata_props.update(metadata)
        program.save(str(path), external_data=False)


def _asinh(x: Any) -> Any:
    """In float32, by which `RobustScaler` loses nothing; onnxruntime has none of float64."""
    from onnxscript import opset18

    op: Any = opset18
    return op.CastLike(op.Asinh(op.Cast(x, to=1)), x)  # 1 is float32


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of its own doings, which users cannot change."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnxscript"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
