"""Checks what we promise of a CUDA device and times it beside the CPU: a CSV and a table leave.

    python benchmarks/gpu.py --out benchmarks/results/DATE-gpu.csv

The promises, which TransformerClassifier must keep with every encoder and TransformerForecaster with every head:

- "agreement": the same model gives the same probabilities on both sides, to 1e-4, with TF32 off. torch leaves TF32 on
  in convolutions; what that costs is a row without a promise. Forecasts agree to 1e-4 deviations of their series.
- "pickle": a model fitted on one side predicts the same when loaded on the other, the CPU in a process without a GPU.
- "bfloat16": training in mixed precision costs at most one point of accuracy, the mean over seeds, with the defaults;
  the forecaster's error, on seasonal series with noise that are drawn here, grows by 5 % at most.

"fit" and "predict" are ratios of times, GPU by CPU, with the same parameters; the CPU predicts in float64.

What a step of training costs is measured alone by `--only steps`, in some three minutes:

- "step" rows are milliseconds, and ratios to a step as it is, which asks the GPU nothing: with the loss read at each
  step, with masks asked whether they hide anything, and with that known without asking.
- "flops" is what a step does of what the largest matrix product reaches, or of `--peak` TFLOP/s: the MFU.

`--check` runs that part on the CPU, small and short, to see that it runs. The status is 1 where a promise is broken and
2 without a CUDA device. Accuracies are those of TEST files: log each run in LOG.md.
"""

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # GPU machines often have no installed copy

from commands import short_parser
from machine import Row, interleaved, provenance, ratio
from rows import collect
from tables import markdown

from tsformer import TransformerClassifier, TransformerForecaster
from tsformer.data.batch import Batch
from tsformer.datasets import load_classification
from tsformer.layers import attention, embeddings
from tsformer.models.classifier import build_classifier
from tsformer.models.encoders import ENCODERS
from tsformer.models.heads import HEADS
from tsformer.training.objectives import classification
from tsformer.training.optim import adamw

DATASETS = ("BasicMotions", "JapaneseVowels")  # bundled; the second has series of unequal length
SEEDS = (0, 1, 2)
LARGEST_DIFFERENCE = 1e-4
LARGEST_LOSS_OF_ACCURACY = 0.01
LARGEST_GROWTH_OF_ERROR = 0.05
SIZES = ((64, 6, 100, 64), (64, 24, 400, 128), (32, 12, 1000, 256))  # cases of a batch, channels, time points, d_model
FORECASTER_SIZES = ((64, 400, 24, 64), (256, 2000, 168, 256))  # series, time points, horizon, d_model
STEPS = 5  # of a timed fit
SECONDS = 5.0  # for timing one size, or what three rounds take


def main(arguments: Sequence[str] | None = None) -> int:
    """Check all promises, then time."""
    parser = short_parser(__doc__, "gpu")
    parser.set_defaults(threads=None)  # torch's
    parser.add_argument("--only", choices=["promises", "steps"], help="one part of it")
    parser.add_argument("--peak", type=float, metavar="TFLOPS", help="of the data sheet, in bfloat16 without sparsity")
    parser.add_argument("--check", action="store_true", help="only see that the steps run, on the CPU")
    options = parser.parse_args(arguments)
    if options.check:
        print(markdown(tabulated(steps("cpu", None, SMALL_STEPS, 0.0), "cpu", options.out).set_index("question")))
        return 0
    if not torch.cuda.is_available():
        print("There is no CUDA device here, so nothing was checked.")
        return 2
    if options.threads:
        torch.set_num_threads(options.threads)
    parts = {"promises": promises("cuda"), "steps": steps("cuda", options.peak, STEP_SIZES, SECONDS)}
    rows = parts[options.only] if options.only else chain(*parts.values())
    table = tabulated(rows, f"cuda ({torch.cuda.get_device_name()})", options.out)
    print(markdown(table.set_index("question")))
    return int((table["kept"] == "no").any())


def promises(gpu: str) -> Iterator[Row]:
    """Check and time the estimators."""
    classifier = chain(agreements(gpu), pickles(gpu), bfloat16(gpu), times(gpu))
    forecaster = chain(forecasts_agree(gpu), forecaster_pickles(gpu), forecaster_bfloat16(gpu), forecaster_times(gpu))
    return chain(classifier, forecaster)


def tabulated(rows: Iterable[Row], device: str, out: Path) -> pd.DataFrame:
    """Write all rows to a file and return what people read of them."""
    table = collect(rows, provenance(device), out)
    return table[["question", "model", "data", "reference", "measured", "value", "bound", "kept"]].map(readable)


def readable(cell: Any) -> str:
    """Write a cell for people."""
    if isinstance(cell, float):
        return "" if np.isnan(cell) else f"{cell:.3g}"
    return str(cell)


def result(
    question: str,
    model: str,
    data: str,
    value: float,
    *,
    bound: float = np.nan,
    reference: float = np.nan,
    measured: float = np.nan,
) -> Row:
    """Make a row; one with a bound is a promise, kept where the value is not above it."""
    kept = "" if np.isnan(bound) else "yes" if value <= bound else "no"
    names = {"question": question, "model": model, "data": data}
    return names | {"reference": reference, "measured": measured, "value": value, "bound": bound, "kept": kept}


# The classifier


def agreements(gpu: str) -> Iterator[Row]:
    """Compare the probabilities of a model on both sides."""
    for encoder in ENCODERS:
        for dataset in DATASETS:
            X, classifier = fitted(encoder, dataset, "cpu")
            expected = classifier.predict_proba(X)
            classifier.set_params(device=gpu)
            with tf32_off():
                exact = largest_difference(classifier.predict_proba(X), expected)
            as_it_comes = largest_difference(classifier.predict_proba(X), expected)
            yield result("agreement", encoder, dataset, exact, bound=LARGEST_DIFFERENCE)
            yield result("agreement, TF32 as torch sets it", encoder, dataset, as_it_comes)


def pickles(gpu: str) -> Iterator[Row]:
    """Carry models over to the other side."""
    dataset = DATASETS[-1]
    with tf32_off(), process_without_gpu() as elsewhere:
        for encoder in ENCODERS:
            X, classifier = fitted(encoder, dataset, gpu)
            pickled = pickle.dumps(classifier.set_params(device="auto"))
            probabilities = elsewhere.submit(call_without_gpu, pickled, "predict_proba", X).result()
            difference = largest_difference(probabilities, classifier.set_params(device=gpu).predict_proba(X))
            yield result("pickle, GPU to CPU", encoder, dataset, difference, bound=LARGEST_DIFFERENCE)

            X, classifier = fitted(encoder, dataset, "cpu")
            arrived = pickle.loads(pickle.dumps(classifier)).set_params(device=gpu)
            difference = largest_difference(arrived.predict_proba(X), classifier.predict_proba(X))
            yield result("pickle, CPU to GPU", encoder, dataset, difference, bound=LARGEST_DIFFERENCE)


def bfloat16(gpu: str) -> Iterator[Row]:
    """Compare accuracies after training in float32 and in mixed precision."""
    for dataset in DATASETS:
        exact, mixed = (
            float(np.mean([accuracy(dataset, precision=precision, random_state=seed, device=gpu) for seed in SEEDS]))
            for precision in ("float32", "bfloat16")
        )
        both = {"reference": exact, "measured": mixed}
        yield result("bfloat16", "default", dataset, exact - mixed, bound=LARGEST_LOSS_OF_ACCURACY, **both)


def fitted(encoder: str, dataset: str, device: str) -> tuple[Any, TransformerClassifier]:
    """Load training series and fit a classifier to them, briefly."""
    X, y = load_classification(dataset, "train")
    return X, TransformerClassifier(encoder=encoder, max_steps=60, random_state=0, device=device).fit(X, y)


def accuracy(dataset: str, **parameters: Any) -> float:
    """Train on TRAIN and score on TEST."""
    classifier = TransformerClassifier(**parameters).fit(*load_classification(dataset, "train"))
    return classifier.score(*load_classification(dataset, "test"))


def times(gpu: str) -> Iterator[Row]:
    """Time fits of a few steps, and predictions, on both sides."""
    for size in SIZES:
        n_cases, n_channels, n_timepoints, d_model = size
        X = np.random.default_rng(0).standard_normal(size[:3])
        y = np.arange(n_cases) % 2
        data = f"{n_cases} x {n_channels} x {n_timepoints}, width {d_model}"
        for encoder in ENCODERS:
            on_cpu = TransformerClassifier(
                encoder=encoder,
                d_model=d_model,
                d_ff=2 * d_model,
                max_steps=STEPS,
                batch_size=n_cases,
                random_state=0,
                device="cpu",
            )
            yield from both_sides(encoder, data, on_cpu, gpu, "predict_proba", X, y)


# The forecaster


def forecasts_agree(gpu: str) -> Iterator[Row]:
    """Compare the forecasts of a model on both sides."""
    series = seasonal_series()
    for head in HEADS:
        forecaster = fitted_forecaster(head, series, "cpu")
        expected = forecaster.predict()
        with tf32_off():
            forecasts = forecaster.set_params(device=gpu).predict()
        difference = largest_difference(in_deviations(forecasts, series), in_deviations(expected, series))
        yield result("agreement", f"forecaster, {head}", "drawn", difference, bound=LARGEST_DIFFERENCE)


def forecaster_pickles(gpu: str) -> Iterator[Row]:
    """Carry forecasters over to the other side."""
    series = seasonal_series()
    with tf32_off(), process_without_gpu() as elsewhere:
        for head in HEADS:
            forecaster = fitted_forecaster(head, series, gpu)
            pickled = pickle.dumps(forecaster.set_params(device="auto"))
            arrived = elsewhere.submit(call_without_gpu, pickled, "predict").result()
            there = forecaster.set_params(device=gpu).predict()
            difference = largest_difference(in_deviations(arrived, series), in_deviations(there, series))
            yield result("pickle, GPU to CPU", f"forecaster, {head}", "drawn", difference, bound=LARGEST_DIFFERENCE)

            forecaster = fitted_forecaster(head, series, "cpu")
            arrived = pickle.loads(pickle.dumps(forecaster)).set_params(device=gpu).predict()
            difference = largest_difference(in_deviations(arrived, series), in_deviations(forecaster.predict(), series))
            yield result("pickle, CPU to GPU", f"forecaster, {head}", "drawn", difference, bound=LARGEST_DIFFERENCE)


def forecaster_bfloat16(gpu: str) -> Iterator[Row]:
    """Compare errors on the last horizon after training in float32 and in mixed precision."""
    exact, mixed = (
        float(np.mean([error(precision=precision, random_state=seed, device=gpu) for seed in SEEDS]))
        for precision in ("float32", "bfloat16")
    )
    both = {"reference": exact, "measured": mixed}
    yield result("bfloat16", "forecaster", "drawn", mixed / exact - 1.0, bound=LARGEST_GROWTH_OF_ERROR, **both)


def forecaster_times(gpu: str) -> Iterator[Row]:
    """Time fits of a few steps, and forecasts of all series, on both sides."""
    for n_series, n_timepoints, horizon, d_model in FORECASTER_SIZES:
        series = seasonal_series(n_series, n_timepoints)
        data = f"{n_series} x {n_timepoints}, horizon {horizon}, width {d_model}"
        on_cpu = TransformerForecaster(
            horizon=horizon, d_model=d_model, d_ff=2 * d_model, max_steps=STEPS, random_state=0, device="cpu"
        )
        yield from both_sides("forecaster", data, on_cpu, gpu, "predict", series)


def seasonal_series(n_series: int = 8, n_timepoints: int = 400) -> pd.DataFrame:
    """Draw hourly counts of different size with a daily season and noise, a column a series."""
    rng = np.random.default_rng(0)
    hours = np.arange(n_timepoints)[:, None]
    season = 1.0 + np.sin(2 * np.pi * (hours / 24 + rng.random(n_series))) / 2
    counts = rng.poisson(season * np.geomspace(10, 1000, n_series))
    return pd.DataFrame(counts.astype(float), index=pd.date_range("2026-01-01", periods=n_timepoints, freq="h"))


def fitted_forecaster(head: str, series: pd.DataFrame, device: str) -> TransformerForecaster:
    """Fit a forecaster, briefly."""
    return TransformerForecaster(head=head, max_steps=60, random_state=0, device=device).fit(series)


def error(**parameters: Any) -> float:
    """Train on all but the last horizon and return the MASE there."""
    series, forecaster = seasonal_series(), TransformerForecaster(**parameters)
    return -forecaster.fit(series[: -forecaster.horizon]).score(series)


def in_deviations(forecasts: Any, series: pd.DataFrame) -> np.ndarray:
    """Return forecasts in standard deviations of their series."""
    return forecasts.to_numpy() / series.std().to_numpy()


# Steps of training


class StepSize(NamedTuple):
    """Fully observed series and a network of the encoder that learns their classes."""

    encoder: str
    n_cases: int
    n_channels: int
    n_timepoints: int
    d_model: int
    n_layers: int


STEP_SIZES = [
    StepSize("conv_stem", 16, 6, 100, 64, 2),  # the defaults on a small set: many small kernels
    StepSize("conv_stem", 64, 24, 1000, 512, 6),
    StepSize("transformer", 64, 8, 512, 512, 6),
    StepSize("patch", 256, 8, 512, 512, 6),
]
SMALL_STEPS = [StepSize("conv_stem", 4, 2, 20, 16, 1), StepSize("transformer", 4, 2, 20, 16, 1)]


def steps(device: str, peak: float | None, sizes: Sequence[StepSize], seconds: float) -> Iterator[Row]:
    """Time steps in each precision, with questions to the device and without, and count what they compute."""
    for size in sizes:
        data = f"{size.n_cases} x {size.n_channels} x {size.n_timepoints}, width {size.d_model}"
        for precision in (torch.float32, torch.bfloat16):
            model = f"{size.encoder}, {str(precision).removeprefix('torch.')}"
            step = training_step(size, device, precision)
            ways = {
                "as it is": partial(several, step, device),
                "loss read": partial(several, partial(read_loss, step), device),
                "masks asked": partial(asking, partial(several, step, device), known=False),
                "masks known": partial(asking, partial(several, step, device), known=True),
            }
            times = interleaved(ways, seconds, at_least=3) / STEPS * 1000.0
            for way in ways:
                compared = ratio(times, way, "as it is")
                both = {"reference": compared["rival_seconds"], "measured": compared["seconds"]}
                yield result(f"step, {way}", model, data, compared["ratio"], **both)
            with FlopCounterMode(display=False) as counter:
                step()
            reached = counter.get_total_flops() / times["as it is"].median() * 1000.0
            most = peak * 1e12 if peak else largest_product(device, precision, 8192 if seconds else 256)
            yield result("flops", model, data, reached / most, reference=most, measured=reached)


def training_step(size: StepSize, device: str, precision: torch.dtype) -> Callable[[], torch.Tensor]:
    """Return a function that trains a network for a step."""
    x = torch.randn(size.n_cases, size.n_timepoints, size.n_channels, dtype=torch.float64)
    batch = Batch(x, torch.ones_like(x, dtype=torch.bool), torch.arange(size.n_cases) % 2)
    shape: dict[str, Any] = {"d_model": size.d_model, "n_heads": max(1, size.d_model // 64), "n_layers": size.n_layers}
    how: dict[str, Any] = {
        "scaling": "standard",
        "differences": True,
        "encoder": size.encoder,
        "pooling": "mean",
        "dropout": 0.0,
    }
    sizes, how = (size.n_channels, size.n_timepoints, 2), shape | how
    model = build_classifier(lambda: [(x, batch.observed)], *sizes, augment=None, d_ff=4 * size.d_model, **how)
    model = model.to(device, torch.float32).train()
    optimizer, objective = adamw(model, 1e-3, 0.05), classification()

    def step() -> torch.Tensor:
        with torch.autocast(device, dtype=precision, enabled=precision != torch.float32):
            loss = objective(model, batch.to(torch.device(device)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def several(step: Callable[[], object], device: str) -> None:
    """Take STEPS steps and wait for their end."""
    for _ in range(STEPS):
        step()
    if device == "cuda":
        torch.cuda.synchronize()


def read_loss(step: Callable[[], torch.Tensor]) -> float:
    """Take a step and wait for its loss."""
    return step().item()


def asking(run: Callable[[], None], *, known: bool) -> None:
    """Run with masks that are asked on any device whether they hide anything, or are known to hide nothing."""
    with ExitStack() as patches:
        for module in (attention, embeddings):
            patches.enter_context(mock.patch.object(module, "answers_at_once", return_value=True))
        if known:
            patches.enter_context(mock.patch.object(torch.Tensor, "all", return_value=True))
        run()


def largest_product(device: str, precision: torch.dtype, width: int) -> float:
    """Measure the operations a second of a large matrix product."""
    matrix = torch.randn(width, width, device=device, dtype=precision)
    seconds = interleaved({"product": partial(several, lambda: matrix @ matrix, device)}, 0.5)["product"].min()
    return STEPS * 2.0 * width**3 / seconds


# Both


def both_sides(model: str, data: str, on_cpu: Any, gpu: str, predict: str, *given: Any) -> Iterator[Row]:
    """Time fits of an estimator and its predictions, those of a classifier for what it was fitted to."""
    on_gpu = clone(on_cpu).set_params(device=gpu)
    estimators = {"CPU": on_cpu, "GPU": on_gpu, "GPU, bfloat16": clone(on_gpu).set_params(precision="bfloat16")}
    fits = {name: partial(estimator.fit, *given) for name, estimator in estimators.items()}
    seconds = interleaved(fits, SECONDS, at_least=3)
    yield time_result(f"fit, {STEPS} steps", model, data, seconds, "GPU")
    yield time_result(f"fit, {STEPS} steps, bfloat16", model, data, seconds, "GPU, bfloat16")
    asked = given[:1] if predict == "predict_proba" else ()
    predictions = {name: partial(getattr(estimators[name], predict), *asked) for name in ("CPU", "GPU")}
    yield time_result("predict", model, data, interleaved(predictions, SECONDS, at_least=3), "GPU")


def time_result(question: str, model: str, data: str, seconds: pd.DataFrame, name: str) -> Row:
    """Make a row of a ratio of times."""
    compared = ratio(seconds, name, "CPU")
    both = {"reference": compared["rival_seconds"], "measured": compared["seconds"]}
    return result(question, model, data, compared["ratio"], **both)


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest absolute difference."""
    return float(np.abs(one - other).max())


@contextmanager
def tf32_off() -> Iterator[None]:
    """Have float32 mean float32."""
    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


def process_without_gpu() -> ProcessPoolExecutor:
    """Start a process that sees no CUDA device."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=hide_cuda_devices)


def hide_cuda_devices() -> None:
    """Hide all CUDA devices; heeded until torch first looks for one."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def call_without_gpu(pickled: bytes, method: str, *arguments: Any) -> Any:
    """Load an estimator and call a method of it, in that process."""
    if torch.cuda.is_available():
        raise RuntimeError("This process was to see no CUDA device.")
    return getattr(pickle.loads(pickled), method)(*arguments)


if __name__ == "__main__":
    sys.exit(main())
