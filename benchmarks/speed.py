"""Times our encoder beside torch's, our classifier beside other Transformers and ROCKETs: a CSV and a table leave.

    python benchmarks/speed.py --data DATA/uea

- "training step" and "prediction": `EncoderStack` and `torch.nn.TransformerEncoder` of the same size, both post-norm
  and ReLU without dropout, with the same loss and optimiser. torch predicts on its fast path, as it does by default; a
  row without it follows.
- "one case" and "2 epochs": `TransformerClassifier` and sktime's classifiers of the same width, depth, heads, d_ff and
  batch size, else with the defaults of each. ConvTran has one block. MVTSTransformer drops out 0.1, ours nothing, so
  there is a row without dropout too. Ours does more in a step (augments, takes differences, clips gradients, averages
  weights), so there is a row for "plain", which only clips. Ours predicts in float64, sktime's in float32.
- "all cases", "one case" and "fit" on a data set: the default classifier and its frozen member alone beside MiniRocket
  and MultiRocket-Hydra of aeon, with the defaults of each, on the training cases padded to one length. "fit, n_jobs" is
  the default with two processes beside one, in time on the wall: it needs two idle cores, and counts no start-up.
- NATOPS comes from --data; without it noise of its shape stands in.
- A ratio is our time by the rival's, the median over rounds in which all take turns: below 1 we are faster.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aeon.classification.convolution_based import MiniRocketClassifier, MultiRocketHydraClassifier
from commands import short_parser
from machine import Contest, Run, cpu, provenance
from rows import collect
from sklearn.base import clone
from sktime.classification.deep_learning import MVTSTransformerClassifier
from sktime.classification.deep_learning.convtran import ConvTranClassifierTorch
from tables import contest_table
from torch import Tensor, nn

from tsformer import TransformerClassifier
from tsformer.datasets import load_classification
from tsformer.layers.attention import padding_mask
from tsformer.layers.blocks import EncoderStack

SEED = 0
N_HEADS = 4
# The stacks
SIZES = ((32, 100, 64), (16, 400, 128))  # cases, tokens, d_model; d_ff is four times d_model
N_LAYERS = 2
# The classifiers
NATOPS_SHAPE = (180, 24, 51)
D_MODEL, D_FF = 64, 128
BATCH_SIZE = 16
EPOCHS = 2  # of a fit
MVTS, CONVTRAN = "MVTSTransformer", "ConvTran"
# The default classifier
BUNDLED = ("JapaneseVowels", "ItalyPowerDemand")
MINIROCKET, HYDRA = "MiniRocket", "MultiRocket-Hydra"


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold all contests."""
    parser = short_parser(__doc__, "speed")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="holds NATOPS/NATOPS_TRAIN.ts")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each contest; five rounds at least")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", message=".*nested.tensor|Using padding='same'")  # torch on rivals' networks
    X, y = natops(options.data)
    contests = chain(stack_contests(), single_cases(X, y), fits(X, y), rocket_contests(X, y), jobs(X, y))
    origin = provenance(cpu()) | {"seed": SEED, "natops": "noise" if options.data is None else "real"}
    rows = (row for contest in contests for row in contest.rows(options.seconds))
    print(contest_table(collect(rows, origin, options.out)))
    return 0


# The core beside torch's


def stack_contests() -> Iterator[Contest]:
    """Steps of both stacks, forward, backward and AdamW, then their forward passes in eval mode."""
    for question, make in {"training step": training_step, "prediction": prediction}.items():
        for size, padded in product(SIZES, (False, True)):
            x, observed = tokens(size, padded)
            ours, theirs = stacks(size[2])
            runs = {"EncoderStack": make(ours, x, None if observed is None else padding_mask(observed))}
            rivals = {"torch": make(theirs, x, None, None if observed is None else ~observed)}
            targets = {"torch": 1.05}
            if question == "prediction":
                rivals["torch, no fast path"] = without_fast_path(rivals["torch"])
                targets = {}
            yield Contest(question, describe(size, padded), runs, rivals, targets)


def describe(size: tuple[int, int, int], padded: bool) -> str:
    """Name a size of the stacks."""
    n_cases, n_tokens, d_model = size
    return f"batch {n_cases}, {n_tokens} tokens, width {d_model}, {'padding mask' if padded else 'no mask'}"


def tokens(size: tuple[int, int, int], padded: bool) -> tuple[Tensor, Tensor | None]:
    """Draw tokens (B, N, D) and, of series of half the length to all of it, which are observed (B, N)."""
    torch.manual_seed(SEED)
    x = torch.randn(size)
    if not padded:
        return x, None
    lengths = torch.linspace(size[1] // 2, size[1], size[0]).long()
    return x, torch.arange(size[1]) < lengths[:, None]


def stacks(d_model: int) -> tuple[nn.Module, nn.Module]:
    """Make our stack and torch's, which compute the same function of as many weights."""
    d_ff = 4 * d_model
    layer = nn.TransformerEncoderLayer(d_model, N_HEADS, d_ff, dropout=0.0, batch_first=True)
    return EncoderStack(d_model, N_HEADS, N_LAYERS, d_ff), nn.TransformerEncoder(layer, N_LAYERS)


def training_step(model: nn.Module, x: Tensor, *masks: Tensor | None) -> Run:
    """Return a function that takes one step of AdamW on a squared loss."""
    optimizer = torch.optim.AdamW(model.train().parameters())

    def step() -> None:
        loss = model(x, *masks).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def prediction(model: nn.Module, x: Tensor, *masks: Tensor | None) -> Run:
    """Return a function that runs the model forward."""
    model.eval()
    return torch.inference_mode()(lambda: model(x, *masks))


def without_fast_path(run: Run) -> Run:
    """Return a function that runs without torch's fused inference."""

    def slow() -> None:
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            run()
        finally:
            torch.backends.mha.set_fastpath_enabled(True)

    return slow


# The classifier beside sktime's


def single_cases(X: np.ndarray, y: np.ndarray) -> Iterator[Contest]:
    """Probabilities of one case by fitted classifiers."""

    def fitted(classifier: Any) -> Run:
        classifier.fit(X, y)
        return lambda: classifier.predict_proba(X[:1])

    yield Contest("one case", "2 blocks", each(fitted, ours(2)), each(fitted, {MVTS: mvts(2)}))
    yield Contest("one case", "1 block", each(fitted, ours(1)), each(fitted, {CONVTRAN: convtran()}))


def fits(X: np.ndarray, y: np.ndarray) -> Iterator[Contest]:
    """Fits of a few epochs."""

    def fit(classifier: Any) -> Run:
        return lambda: classifier.fit(X, y)

    rivals = {MVTS: mvts(2), f"{MVTS}, no dropout": mvts(2, dropout=0.0)}
    targets = dict.fromkeys(rivals, 0.5)
    yield Contest(f"{EPOCHS} epochs", "2 blocks", each(fit, ours(2) | plain(2)), each(fit, rivals), targets)
    yield Contest(f"{EPOCHS} epochs", "1 block", each(fit, ours(1) | plain(1)), each(fit, {CONVTRAN: convtran()}))


# The default classifier beside ROCKETs


def rocket_contests(X: np.ndarray, y: np.ndarray) -> Iterator[Contest]:
    """Probabilities of all cases and of one, and fits, on NATOPS and two more data sets."""
    more = {name: load_classification(name, "train") for name in BUNDLED}
    for name, (cases, labels) in ({"NATOPS": (X, y)} | more).items():
        cases, setting = of_one_length(cases), f"{name}, {len(labels)} cases"
        ours = {"default": default(), "frozen alone": default(n_estimators=0)}
        rockets = {MINIROCKET: MiniRocketClassifier, HYDRA: MultiRocketHydraClassifier}
        rivals = {rival: make(random_state=SEED) for rival, make in rockets.items()}

        def fit(classifier: Any, cases: np.ndarray = cases, labels: np.ndarray = labels) -> Run:
            return lambda: classifier.fit(cases, labels)

        def ask(classifier: Any, cases: np.ndarray = cases) -> Run:
            return lambda: classifier.predict_proba(cases)

        yield Contest("fit", setting, each(fit, ours), each(fit, rivals), rounds=1)
        yield Contest("all cases", setting, each(ask, ours), each(ask, rivals))
        one = partial(ask, cases=cases[:1])
        yield Contest("one case", setting, each(one, ours), each(one, rivals))


def jobs(X: np.ndarray, y: np.ndarray) -> Iterator[Contest]:
    """Fits in two processes and in one."""
    ours, alone = default(n_jobs=2), default()
    runs = {"n_jobs=2": lambda: ours.fit(X, y)}, {"n_jobs=1": lambda: alone.fit(X, y)}
    yield Contest("fit, n_jobs", f"NATOPS, {len(y)} cases", *runs, targets={"n_jobs=1": 1 / 1.6}, rounds=2)


def default(**changes: Any) -> TransformerClassifier:
    """Make ours as users get it."""
    return TransformerClassifier(random_state=SEED, device="cpu", **changes)


def of_one_length(cases: Any) -> np.ndarray:
    """Pad series (C, T) with their last values."""
    longest = max(case.shape[1] for case in cases)
    return np.stack([np.pad(case, ((0, 0), (0, longest - case.shape[1])), mode="edge") for case in cases])


def each(make: Callable[[Any], Run], classifiers: dict[str, Any]) -> dict[str, Run]:
    """Make a run of each classifier."""
    return {name: make(classifier) for name, classifier in classifiers.items()}


def ours(n_layers: int) -> dict[str, TransformerClassifier]:
    """Make ours: the reference encoder and the default one."""
    shared = TransformerClassifier(
        d_model=D_MODEL,
        n_heads=N_HEADS,
        n_layers=n_layers,
        d_ff=D_FF,
        max_steps=EPOCHS * math.ceil(NATOPS_SHAPE[0] / BATCH_SIZE),
        batch_size=BATCH_SIZE,
        random_state=SEED,
        device="cpu",
    )
    return {encoder: clone(shared).set_params(encoder=encoder) for encoder in ("transformer", "conv_stem")}


def plain(n_layers: int) -> dict[str, TransformerClassifier]:
    """Make ours with the reference encoder and, but for clipped gradients, nothing that sktime's do not do too."""
    nothing_more = {"augment": None, "differences": False, "average_decay": None}
    return {"transformer, plain": ours(n_layers)["transformer"].set_params(**nothing_more)}


def mvts(n_layers: int, dropout: float = 0.1) -> Any:
    """Make sktime's wrapper of the network of Zerveas et al. (2021)."""
    size = {"d_model": D_MODEL, "n_heads": N_HEADS, "num_layers": n_layers, "dim_feedforward": D_FF}
    how = {"num_epochs": EPOCHS, "batch_size": BATCH_SIZE, "random_state": SEED, "verbose": False}
    return MVTSTransformerClassifier(**size, **how, dropout=dropout)


def convtran() -> Any:
    """Make sktime's wrapper of ConvTran (Foumani et al. 2024), which has one block."""
    size = {"emb_size": D_MODEL, "num_heads": N_HEADS, "dim_ff": D_FF}
    return ConvTranClassifierTorch(**size, num_epochs=EPOCHS, batch_size=BATCH_SIZE, random_state=SEED)


def natops(folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Load NATOPS's training cases, or draw noise of their shape."""
    if folder is not None:
        X, y = load_classification("NATOPS", "train", folder)
        return np.asarray(X), y
    labels = np.array(list("abcdef"))
    return np.random.default_rng(SEED).standard_normal(NATOPS_SHAPE), np.resize(labels, NATOPS_SHAPE[0])


if __name__ == "__main__":
    sys.exit(main())
