"""Times the decoder over a long horizon, cached, uncached and beside Hugging Face's: a CSV and a table leave.

    python benchmarks/decoding.py

- Both networks: width 64, 2 + 2 blocks, 4 heads, d_ff 128, 96 time points of context, a Student t head, float32. Each
  step reads what was drawn in the one before: in ours the values of a patch of 12 time points, in the other one value.
- "uncached" is our own roll-out, which computes all earlier steps again at each step; of 720 patches.
- "Hugging Face", over 720 time points, is `generate` of `TimeSeriesTransformerForPrediction`, with a single lag and a
  single time feature. It computes all earlier steps again as well, and with plain attention: it supports no fused one.
- A ratio is our time by the rival's, the median over rounds in which both take turns: below 1 we are faster. What takes
  minutes has one round, after one to warm up.
- Memory is the peak of a fresh process that decodes once, all that it imported included; `grown` is how much of it
  came after a decoding of a single step.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.metadata import version
from multiprocessing import get_context
from typing import Any

import torch
from commands import short_parser
from machine import Contest, Row, Run, cpu, peak_memory_mb, provenance
from rows import collect
from tables import contest_table

from tsformer.models.forecaster import PATCH_LENGTH, SeriesForecaster, Window, build_forecaster
from tsformer.models.window_features import Scale

SEED = 0
CONTEXT, HORIZON, SEASON = 96, 720, 24
LONG = 720 * PATCH_LENGTH
D_MODEL, N_HEADS, N_LAYERS, D_FF = 64, 4, 2, 128
HUGGING_FACE = "Hugging Face"


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold all contests."""
    parser = short_parser(__doc__, "decoding")
    parser.add_argument("--seconds", type=float, default=30.0, help="time for each contest, or its fewest rounds")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = (row for contest in contests() for row in with_memory(contest, options.seconds))
    origin = provenance(cpu()) | {"transformers": version("transformers"), "seed": SEED}
    print(contest_table(collect(rows, origin, options.out)))
    return 0


def contests() -> Iterator[Contest]:
    """Ask what the cache gains, and how another library's decoder compares."""
    for n_series, target, rounds in ((1, 0.2, 3), (32, 0.1, 1)):
        cached, uncached = (partial(ours, n_series, 1, horizon=LONG, cached=cached) for cached in (True, False))
        setting = f"{LONG} time points, {n_series} series, 1 path"
        yield Contest("decode", setting, {"cached": cached}, {"uncached": uncached}, {"uncached": target}, rounds)
    for n_paths, rounds in ((1, 3), (8, 1)):
        rivals: dict[str, Run] = {HUGGING_FACE: partial(hugging_face, 1, n_paths)}
        setting = f"{HORIZON} time points, 1 series, {n_paths} path{'s'[: n_paths > 1]}"
        yield Contest("decode", setting, {"cached": partial(ours, 1, n_paths)}, rivals, {HUGGING_FACE: 0.2}, rounds)


def with_memory(contest: Contest, seconds: float) -> Iterator[Row]:
    """Add peaks of memory, in MB, to the rows of a contest."""
    memory = {name: memory_of(run) for name, run in (contest.ours | contest.rivals).items()}
    for row in contest.rows(seconds):
        (peak, grown), (rival_peak, rival_grown) = memory[row["ours"]], memory[row["rival"]]
        own = {"memory_mb": peak, "memory_grown_mb": grown}
        yield row | own | {"rival_memory_mb": rival_peak, "rival_memory_grown_mb": rival_grown}


def memory_of(decode: Callable[..., object]) -> tuple[float, float]:
    """Return the peak memory of decoding in a fresh process, and by how much decoding raised it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(peak_and_growth, decode, torch.get_num_threads()).result()


def peak_and_growth(decode: Callable[..., object], threads: int) -> tuple[float, float]:
    """Do that, in that process."""
    torch.set_num_threads(threads)
    decode(horizon=1)
    before = peak_memory_mb()
    decode()
    return peak_memory_mb(), peak_memory_mb() - before


# Ours


@torch.inference_mode()
def ours(n_series: int, n_paths: int, *, horizon: int = HORIZON, cached: bool = True) -> torch.Tensor:
    """Draw paths (n_series, n_paths, horizon); the context is read once for all paths of a series."""
    model, x = network(), series(n_series, CONTEXT).unsqueeze(-1)
    future = x.new_zeros(n_series, horizon, 0)
    memory, scale, *rest = model.encode(x, torch.ones_like(x, dtype=torch.bool), future, (SEASON, 0))
    index = torch.arange(n_series).repeat_interleave(n_paths)
    scale = Scale(*(part[index] for part in scale))
    window = Window(memory.select(index), scale, *(part[index] for part in rest))
    _, values = model.roll_out(window, drawn_by=torch.default_generator, cached=cached)
    return scale.undo(values.flatten(1))[:, :horizon].unflatten(0, (n_series, n_paths))


@cache
def network() -> SeriesForecaster:
    """Make our network, untrained."""
    torch.manual_seed(SEED)
    size: dict[str, Any] = {"d_model": D_MODEL, "n_heads": N_HEADS, "n_layers": N_LAYERS, "d_ff": D_FF, "dropout": 0.0}
    return build_forecaster("patch", "student_t", CONTEXT, n_past=0, n_future=0, **size).eval()


def series(n_series: int, n_timepoints: int) -> torch.Tensor:
    """Draw noise (n_series, n_timepoints) around 10."""
    return 10.0 + torch.randn(n_series, n_timepoints, generator=torch.Generator().manual_seed(SEED))


# Hugging Face's


@torch.inference_mode()
def hugging_face(n_series: int, n_paths: int, *, horizon: int = HORIZON) -> torch.Tensor:
    """Draw paths (n_series, n_paths, horizon) by the library's own generation."""
    model = hugging_face_network(n_paths, horizon)
    n_past = CONTEXT + max(model.config.lags_sequence)
    return model.generate(
        past_values=series(n_series, n_past),
        past_time_features=torch.zeros(n_series, n_past, 1),
        past_observed_mask=torch.ones(n_series, n_past),
        future_time_features=torch.zeros(n_series, horizon, 1),
    ).sequences


@cache
def hugging_face_network(n_paths: int, horizon: int) -> Any:
    """Make the library's network, untrained."""
    # Imported here: it must not count in the memory of ours.
    from transformers import TimeSeriesTransformerConfig, TimeSeriesTransformerForPrediction

    torch.manual_seed(SEED)
    both: dict[str, Any] = {"layers": N_LAYERS, "attention_heads": N_HEADS, "ffn_dim": D_FF}
    config = TimeSeriesTransformerConfig(
        context_length=CONTEXT,
        prediction_length=horizon,
        lags_sequence=[1],
        num_time_features=1,
        num_parallel_samples=n_paths,
        d_model=D_MODEL,
        **{f"{part}_{name}": value for part in ("encoder", "decoder") for name, value in both.items()},
    )
    return TimeSeriesTransformerForPrediction(config).eval()


if __name__ == "__main__":
    sys.exit(main())
