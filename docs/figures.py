"""Draws the pictures of the documentation into docs/images, in some minutes on one core:

    PYTHONPATH=tests:examples python docs/figures.py

Those of pictures.md and pretrained.md are drawn by the code on these pages, but for samples of the two generators: one
is drawn by examples/synthetic_series.py, that of forecasters here. The picture of README.md and of the home page, for
light and for dark pages, is drawn here, and so are those of paper.md, a function each, from the layers of the package.
All have two pixels for each of a screen. benchmarks/report.py draws the one of critical differences.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pages
import reverse_digits
import synthetic_series
import torch
from matplotlib import pyplot as plt
from PIL import Image
from torch import Tensor, nn

from tsformer import TransformerClassifier, TransformerDetector, TransformerForecaster
from tsformer.data.cases import read_cases
from tsformer.data.forecasting_prior import draw_histories
from tsformer.datasets import load_classification, load_forecasting
from tsformer.layers.attention import attention_weights, causal_mask, padding_mask, record_attention
from tsformer.layers.blocks import EncoderStack, Residual, initialise_weights
from tsformer.layers.embeddings import LinearEmbedding, TokenEmbedding
from tsformer.layers.positions import SinusoidalPositions, rotary, rotate, sinusoidal
from tsformer.models.generation import generate
from tsformer.models.seq2seq import EncoderDecoder

Axes = Any
BLUE, ORANGE, GREEN, VIOLET, RED = "#3b8eea", "#f0883e", "#2da44e", "#a371f7", "#e5534b"  # on white and on black
# Rows of the picture of series with futures: season, length of history and of future, and a family for each column.
HISTORIES = {
    "years": (1, 42, 8, ("structural", "economies", "regimes", "sarima", "economies")),
    "days, no season": (1, 300, 96, ("walks", "walks", "walks", "structural", "flat")),
    "quarters": (4, 68, 12, ("structural", "economies", "sarima", "structural", "counts")),
    "months": (12, 108, 24, ("structural", "economies", "sarima", "cosines", "intermittent")),
    "days": (7, 126, 28, ("structural", "sarima", "counts", "structural", "intermittent")),
    "weeks": (52, 176, 39, ("structural", "economies", "sarima", "regimes", "structural")),
    "hours": (24, 336, 96, ("structural", "sensors", "sensors", "cosines", "counts")),
    "15 minutes": (96, 576, 192, ("structural", "sensors", "sensors", "sarima", "structural")),
}
DIGITS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def main(folder: Path, n_steps: int = 300) -> None:
    """Draw all pictures; `n_steps` trains the network that writes digits backwards."""
    plt.rcParams["savefig.dpi"] = 200
    draw_overview(folder)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch)
        for page in ("pictures.md", "pretrained.md"):
            with tempfile.TemporaryDirectory() as working, contextlib.chdir(working):
                pages.run(pages.ROOT / "docs" / page)
                for picture in Path(working).glob("*.png"):
                    shutil.move(picture, drawn)
        synthetic_series.draw_picture(str(drawn / "synthetic.png"))
        histories().savefig(drawn / "histories.png", dpi=130)
        draw_paper(drawn, n_steps)
        for picture in drawn.glob("*.png"):
            few_colours = Image.open(picture).convert("RGB").quantize(128, dither=Image.Dither.NONE)
            few_colours.save(folder / picture.name, optimize=True)  # a third of the size


def draw_overview(folder: Path) -> None:
    """Draw the picture of README.md and of the home page: a forecast, a classification, anomalies."""
    forecast, classes, anomalies = forecast_of_passengers(), classified_motions(), anomalous_days()
    for theme, ink in {"light": "#24292f", "dark": "#d1d7de"}.items():
        names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        with plt.rc_context(dict.fromkeys(names, ink) | {"font.size": 10, "savefig.transparent": True}):
            figure = plt.figure(figsize=(7.5, 4.8), layout="constrained")
            panels = figure.subplot_mosaic([["forecast", "forecast"], ["classes", "anomalies"]])
            for ax in panels.values():
                ax.spines[["top", "right"]].set_visible(False)
            draw_forecast(panels["forecast"], *forecast, ink)
            draw_classes(panels["classes"], *classes)
            draw_anomalies(panels["anomalies"], *anomalies, ink)
            figure.savefig(folder / f"overview_{theme}.png", dpi=200)
            plt.close(figure)


def forecast_of_passengers() -> tuple[Any, Any]:
    """AirPassengers, and the forecast of its last year from those before."""
    passengers = load_forecasting("AirPassengers")
    forecaster = TransformerForecaster(horizon=12).fit(passengers[:-12])
    return passengers, forecaster.predict(level=[80, 95])


def classified_motions() -> tuple[Any, Any, Any]:
    """A test case of BasicMotions for each class, the class that is most probable, and its probability."""
    X, y = load_classification("BasicMotions", split="train")
    X_test, y_test = load_classification("BasicMotions", split="test")
    classifier = TransformerClassifier(random_state=0).fit(X, y)
    cases = X_test[[np.flatnonzero(y_test == label)[0] for label in classifier.classes_]]
    probabilities = classifier.predict_proba(cases)
    return cases[:, 0], classifier.classes_[probabilities.argmax(axis=1)], probabilities.max(axis=1)


def anomalous_days() -> tuple[Any, Any]:
    """Seven days of electricity in the cold half of the year, one of them of the warm half; and what is odd."""
    X, y = load_classification("ItalyPowerDemand", split="train")
    cold, warm = X[y == "1", 0], X[y == "2", 0]
    series = np.concatenate([*cold[28:31], warm[0], *cold[31:]])
    return series, TransformerDetector(contamination=0.01).fit(cold[:28].ravel()).explain(series)


def draw_forecast(ax: Axes, passengers: Any, forecast: Any, ink: str) -> None:
    """Draw a series, its forecast with bands, and the actual values."""
    history = passengers[-72:-11]
    ax.plot(history.index, history, color=ink, lw=1.2)
    for level, alpha in ((95, 0.25), (80, 0.35)):
        band = forecast[f"lo-{level}"], forecast[f"hi-{level}"]
        ax.fill_between(forecast.index, *band, color=BLUE, alpha=alpha, lw=0, label=f"{level} % band")
    ax.plot(forecast["point"], color=BLUE, lw=2, label="forecast")
    ax.plot(passengers[-12:], color=ORANGE, lw=1.5, ls=(0, (1, 1)), label="actual")
    ax.legend(loc="upper left", frameon=False, ncols=2)
    ax.set_title("Forecast: airline passengers, no training", loc="left")


def draw_classes(ax: Axes, cases: Any, labels: Any, probabilities: Any) -> None:
    """Draw a channel of cases, with the class that each was given."""
    for place, (case, label, probability) in enumerate(zip(cases, labels, probabilities, strict=True)):
        color = (BLUE, ORANGE, GREEN, VIOLET)[place]
        ax.plot((case - case.mean()) / max(np.ptp(case), 1.0) * 0.7 - place, color=color, lw=1)
        ax.text(103, -place, f"{label} {probability:.0%}", color=color, va="center", fontsize=9)
    ax.set(xlim=(0, 158), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title("Classify: what is the wearer doing?", loc="left")


def draw_anomalies(ax: Axes, series: Any, reasons: Any, ink: str) -> None:
    """Draw a series, what is odd in another colour and with its kind."""
    days = np.arange(len(series)) / 24 + 1
    ax.plot(days, series, color=ink, lw=1)
    for reason in reasons.itertuples():
        odd = slice(reason.start, reason.end + 1)
        ax.plot(days[odd], series[odd], color=RED, lw=1.6)
        ax.axvspan(days[reason.start], days[reason.end], color=RED, alpha=0.2, lw=0)
        below = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "top", "fontsize": 9}
        ax.text(days[odd].mean(), -0.03, reason.kind, color=RED, **below)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title("Detect: a day of another season", loc="left")


def draw_paper(folder: Path, n_steps: int) -> None:
    """Draw the pictures of paper.md."""
    torch.manual_seed(0)
    X, y = load_classification("ItalyPowerDemand", split="train")
    classifier = TransformerClassifier(
        encoder="transformer", n_estimators=1, pretrained=None, differences=False, max_steps=60, random_state=0
    ).fit(X, y)
    writer = reverse_digits.fit(
        reverse_digits.random_strings(20_000, 8, torch.Generator().manual_seed(0)), n_steps=n_steps
    )
    drawn = {
        "scale": scale(),
        "masks": masks(),
        "heads": heads(classifier, X[:1]),
        "residuals": residuals(X),
        "feed_forward": feed_forward(classifier, X[:1]),
        "positions": positions(),
        "embeddings": embeddings(writer),
        "generation": generation(writer),
    }
    for name, figure in drawn.items():
        figure.savefig(folder / f"paper_{name}.png", dpi=200)
        plt.close(figure)


def histories(seed: int = 5) -> Any:
    """40 series that forecasters learn from, each with its future; a row for each season."""
    rng = np.random.default_rng(seed)
    figure, axes = plt.subplots(len(HISTORIES), 5, figsize=(13, 12), layout="constrained")
    for row, (name, (season, n_history, n_future, families)) in zip(axes, HISTORIES.items(), strict=True):
        for ax, family in zip(row, families, strict=True):
            values, observed = draw_histories(1, n_history + n_future, season, rng=rng, weights={family: 1.0})
            series = np.where(observed, values, np.nan)[0]
            ax.plot(range(n_history), series[:n_history], color="0.25", lw=0.9)
            ax.plot(range(n_history - 1, len(series)), series[n_history - 1 :], color="C1", lw=0.9)
            ax.set_title(family, fontsize=8, loc="left", color="0.4", pad=2)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(f"{name} ({season})", fontsize=9)
    return figure


def scale() -> Any:
    """Attention weights of random queries and keys, without and with 1/sqrt(d_k)."""
    figure, axes = new_figure(2, sharey=True)
    for d_k in (4, 64, 512):
        query, key = torch.randn(500, 1, 1, d_k), torch.randn(500, 1, 16, d_k)
        for ax, factor in zip(axes, (d_k**0.5, 1.0), strict=True):
            weights = attention_weights(query * factor, key)[:, 0, 0].sort(descending=True).values
            ax.plot(range(1, 17), weights.mean(dim=0), marker=".", label=f"d_k = {d_k}")
    for ax, title in zip(axes, ("softmax(Q Kᵀ)", "softmax(Q Kᵀ / sqrt(d_k))"), strict=True):
        label(ax, title, "key, from the most to the least attended of 16", "")
    axes[0].set_ylabel("weight, mean of 500 queries")
    axes[1].legend(frameon=False, fontsize=8)
    return figure


def masks() -> Any:
    """The two masks, and attention weights under the causal one."""
    figure, axes = new_figure(3)
    X, _ = load_classification("JapaneseVowels", split="train")
    lengths = read_cases(X[:6]).data.select(torch.arange(6)).observed.any(dim=-1)
    hidden = padding_mask(lengths)
    assert hidden is not None
    shown = {
        "causal": causal_mask(8, 8),
        "padding, 6 series": hidden[:, 0, 0],
        "weights, causal": attention_weights(*torch.randn(2, 1, 1, 8, 16), causal_mask(8, 8))[0, 0],
    }
    for ax, (title, values) in zip(axes, shown.items(), strict=True):
        heatmap(ax, values, title, "key", "query" if values.shape[0] == 8 else "series")
        ax.set_aspect("auto")
    return figure


def heads(classifier: TransformerClassifier, case: Any) -> Any:
    """What the heads of the first block attend to in a day of ItalyPowerDemand."""
    figure, axes = new_figure(5)
    axes[0].plot(case[0, 0], color="0.25")
    label(axes[0], "demand, one day", "hour", "standardised")
    for head, weights in enumerate(classifier.attention_maps(case)[0][0][0]):
        heatmap(
            axes[1 + head], weights, f"head {head + 1}", "hour attended to", "hour that attends" if not head else ""
        )
    return figure


def residuals(X: Any) -> Any:
    """What LayerNorm does to tokens, and how alike the tokens of a case become without residual connections."""
    figure, axes = new_figure(2)
    cases = read_cases(X).data
    x = cases.select(torch.arange(len(cases))).x.float()
    tokens = SinusoidalPositions()(LinearEmbedding(1, 64)(x, torch.ones_like(x, dtype=torch.bool))[0])
    for name, norm_first, residual in (
        ("post-norm, as in the paper", False, Residual),
        ("pre-norm", True, Residual),
        ("post-norm without residuals", False, WithoutResidual),
    ):
        torch.manual_seed(0)
        stack = EncoderStack(64, 4, 12, 128, norm_first=norm_first, final_norm=norm_first)
        initialise_weights(stack)
        seen = [tokens]
        for block in stack.blocks:
            for module in block.residuals:
                module.__class__ = residual
            seen.append(block(seen[-1]))
        alike = [float(nn.functional.cosine_similarity(h[:, 6], h[:, 18], dim=-1).mean().detach()) for h in seen]
        axes[1].plot(range(13), alike, marker=".", label=name)
        if name.startswith("post-norm, as"):
            block = stack.blocks[0]
            summed = tokens + block.self_attention(tokens)
            for values, look in ((summed, "x + attention(x)"), (block.residuals[0].norm(summed), "LayerNorm of it")):
                axes[0].plot(values.std(dim=-1, correction=0).mean(dim=0).detach(), marker=".", label=look)
    label(axes[0], "Spread of a token over its 64 values", "hour", "standard deviation")
    axes[0].legend(frameon=False, fontsize=8)
    axes[0].set_ylim(0.0)
    label(axes[1], "Tokens of 6 and of 18 o'clock, untrained", "after block", "cosine similarity")
    axes[1].legend(frameon=False, fontsize=8)
    return figure


class WithoutResidual(Residual):
    """The branch alone, normalised: what the paper does not do."""

    def forward(self, x: Tensor, branch: Any) -> Tensor:
        """Return norm(branch(x))."""
        return self.norm(branch(x))


def feed_forward(classifier: TransformerClassifier, case: Any) -> Any:
    """The hidden units of the first block's feed-forward network on one day, ordered by the hour of their peak."""
    figure, axes = new_figure(1, width=5.0)
    (model,) = classifier.model_.networks
    seen = []
    hook = model.encoder.stack.blocks[0].feed_forward[1].register_forward_hook(lambda *call: seen.append(call[-1]))
    classifier.predict(case)
    hook.remove()
    hidden = seen[0][0].detach().T
    heatmap(axes[0], hidden[hidden.argmax(dim=1).argsort()], "Hidden units after ReLU", "hour", "unit, by hour of peak")
    axes[0].set_aspect("auto")
    bar(axes[0], "activation")
    return figure


def positions() -> Any:
    """The sinusoidal table, what it says of distance, and scores under rotary positions."""
    figure, axes = new_figure(3)
    table = sinusoidal(torch.arange(64), 64)
    axes[0].imshow(table.numpy(), aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
    label(axes[0], "Sinusoidal positions (red -1, blue 1)", "place in the vector", "position")
    for position in (8, 32):
        axes[1].plot(table @ table[position], label=f"with position {position}")
    label(axes[1], "Product of two positions", "position", "")
    axes[1].set_ylim(top=42)
    axes[1].legend(frameon=False, fontsize=8)
    query, key = torch.randn(2, 1, 1, 1, 16)
    offsets = torch.arange(-20, 21)
    for start, look in ((30, "-"), (60, "--"), (90, ":")):
        turned = rotate(query, rotary(torch.tensor([start]), 16))
        keys = rotate(key.expand(1, 1, 41, 16), rotary(start + offsets, 16))
        axes[2].plot(offsets, (turned @ keys.transpose(-2, -1))[0, 0, 0], look, lw=2, label=f"query at {start}")
    label(axes[2], "Rotary: score of a query and a key", "position of the key minus that of the query", "")
    axes[2].set_ylim(top=13)
    axes[2].legend(frameon=False, fontsize=8)
    return figure


def embeddings(writer: EncoderDecoder) -> Any:
    """Lengths of embeddings before and after the factor, and the softmax of a network that writes digits backwards."""
    figure, axes = new_figure(2)
    embedding = TokenEmbedding(1000, 512)
    initialise_weights(embedding)
    numbers = torch.arange(1000)
    lengths = {
        "entry of the table": embedding.weight.norm(dim=-1),
        "times sqrt(512)": embedding(numbers).norm(dim=-1),
    }
    for look, values in lengths.items():
        axes[0].hist(values.detach().numpy(), bins=np.arange(0, 28, 0.5), label=look)
    axes[0].axvline(float(sinusoidal(numbers, 512).norm(dim=-1)[0]), color="0.25", ls=":", label="a position's length")
    label(axes[0], "Length of embeddings, d_model = 512", "length", "entries")
    axes[0].legend(frameon=False, fontsize=8)
    _, logits, _ = write(writer)
    heatmap(axes[1], logits.softmax(dim=-1), "Softmax at each step of writing 62951413", "vocabulary", "step")
    axes[1].set_xticks(range(12), [*map(str, range(10)), "start", "stop"], fontsize=7)
    axes[1].set_aspect("auto")
    bar(axes[1], "probability")
    return figure


def generation(writer: EncoderDecoder) -> Any:
    """Cross-attention of a network that writes digits backwards, and the tokens that its decoder works on."""
    figure, axes = new_figure(2)
    written, _, maps = write(writer)
    heatmap(axes[0], maps[-1][0].mean(dim=0), "Cross-attention of the last block", "digit read", "token written")
    axes[0].set_xticks(range(8), [str(int(digit)) for digit in DIGITS[0]])
    names = ["stop" if token == reverse_digits.STOP else str(int(token)) for token in written]
    axes[0].set_yticks(range(len(names)), names)
    for cached, look in ((False, "without cache"), (True, "with key/value cache")):
        counts: list[int] = []
        hook = writer.decoder.register_forward_pre_hook(
            lambda _, given, counts=counts: counts.append(given[0].shape[1])
        )
        generate(writer, *source(), start=10, stop=-1, max_length=9, cached=cached)
        hook.remove()
        axes[1].plot(range(1, 10), counts, marker=".", label=look)
    label(axes[1], "Work of the decoder in generation", "step", "tokens that pass through it")
    axes[1].legend(frameon=False, fontsize=8)
    return figure


def source() -> tuple[Tensor, Tensor]:
    """The digits as a series, and its mask."""
    return DIGITS.unsqueeze(-1), torch.ones(1, DIGITS.shape[1], 1, dtype=torch.bool)


def write(writer: EncoderDecoder) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What is written for the digits, its logits (M, K), and the weights of cross-attention (1, H, M, N) by block."""
    writer.eval()
    written = generate(writer, *source(), start=reverse_digits.START, stop=reverse_digits.STOP, max_length=9)[0]
    before = torch.cat([torch.tensor([reverse_digits.START]), written[:-1]])
    with torch.inference_mode(), record_attention(writer) as maps:
        logits = writer(*source(), before[None])[0]
    return written, logits, [weights for weights in maps if weights.shape[-2:] == (len(written), DIGITS.shape[1])]


def new_figure(n: int, *, width: float = 8.5, **kwargs: Any) -> tuple[Any, list[Axes]]:
    """A row of n axes."""
    figure, axes = plt.subplots(1, n, figsize=(width, 2.8), layout="constrained", squeeze=False, **kwargs)
    return figure, list(axes[0])


def heatmap(ax: Axes, values: Any, title: str, x: str, y: str) -> None:
    """Values from 0 upwards, the first row on top."""
    ax.imshow(np.asarray(values), cmap="Blues", vmin=0.0, interpolation="nearest")
    label(ax, title, x, y)
    ax.locator_params(integer=True, nbins=7)


def bar(ax: Axes, name: str) -> None:
    """What the colours of a heatmap stand for."""
    drawn = ax.figure.colorbar(ax.images[0], ax=ax)
    drawn.set_label(name, fontsize=8)
    drawn.ax.tick_params(labelsize=8)


def label(ax: Axes, title: str, x: str, y: str) -> None:
    """Title and names of the axes."""
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(x, fontsize=8)
    ax.set_ylabel(y, fontsize=8)
    ax.tick_params(labelsize=8)


if __name__ == "__main__":
    main(pages.ROOT / "docs" / "images")
