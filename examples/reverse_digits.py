"""The whole Transformer on a task with a known answer: read a string of digits, write it backwards.

Trains a small encoder-decoder with teacher forcing, then lets it generate by greedy decoding on strings that it has
not seen: python examples/reverse_digits.py
"""

import time

import torch

from tsformer.data.batch import Batch, Minibatches
from tsformer.models.generation import generate
from tsformer.models.seq2seq import EncoderDecoder, token_transformer
from tsformer.training.loop import WeightAverage, train
from tsformer.training.objectives import PADDING, next_token
from tsformer.training.optim import adamw, inverse_square_root

DIGITS, START, STOP = 10, 10, 11
VOCABULARY = 12


def random_strings(n_cases: int, max_length: int, generator: torch.Generator) -> Batch:
    """Draw strings of 1 to `max_length` digits; y holds each of them backwards, ended by STOP."""
    digits = torch.randint(DIGITS, (n_cases, max_length), generator=generator)
    lengths = torch.randint(1, max_length + 1, (n_cases, 1), generator=generator)
    places = torch.arange(max_length + 1)
    backwards = digits.gather(1, (lengths - 1 - places).clamp(min=0)[:, :max_length])
    y = torch.full((n_cases, max_length + 1), PADDING)
    y[:, :max_length] = backwards
    y[places.expand_as(y) > lengths] = PADDING
    y.scatter_(1, lengths, STOP)
    observed = places[:max_length] < lengths
    return Batch(x=(digits * observed).unsqueeze(-1), observed=observed.unsqueeze(-1), y=y)


def without(strings: Batch, seen: Batch) -> Batch:
    """Leave out the strings that are among `seen`."""
    known = {tuple(row) for row in _rows(seen)}
    return strings.select(torch.tensor([i for i, row in enumerate(_rows(strings)) if tuple(row) not in known]))


def _rows(strings: Batch) -> list[list[int]]:
    return strings.x.squeeze(-1).masked_fill(~strings.observed.squeeze(-1), PADDING).tolist()


def fit(data: Batch, *, n_steps: int, seed: int = 0) -> EncoderDecoder:
    """Train a small Transformer of the 2017 design on the strings, with the schedule of the paper."""
    torch.manual_seed(seed)
    model = token_transformer(VOCABULARY, d_model=64, n_heads=4, n_layers=2, d_ff=128, dropout=0.0)
    train(
        model,
        next_token(START, label_smoothing=0.1),
        Minibatches(data, 128, torch.Generator().manual_seed(seed)),
        adamw(model, learning_rate=3e-3, weight_decay=0.01),
        inverse_square_root(n_steps, warmup_steps=n_steps // 10),
        n_steps=n_steps,
        average=WeightAverage(model, 0.99),
    )
    return model


def exact_match(model: EncoderDecoder, data: Batch) -> float:
    """Fraction of the strings that greedy decoding reverses without any mistake, its end included."""
    assert data.y is not None
    written = generate(model, data.x, data.observed, start=START, stop=STOP, max_length=data.y.shape[1])
    wanted = data.y[:, : written.shape[1]].masked_fill(data.y[:, : written.shape[1]] == PADDING, STOP)
    return float((written == wanted).all(dim=1).float().mean())


def main() -> None:
    """Train for about a minute and print the fraction of unseen strings reversed exactly."""
    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    training = random_strings(20_000, 12, generator)
    model = fit(training, n_steps=1500)
    seconds = time.perf_counter() - start
    unseen = without(random_strings(2000, 12, generator), training)
    match = exact_match(model, unseen)
    print(f"Trained for {seconds:.0f} s. Exact match on {len(unseen):,} unseen strings: {match:.1%}")
    for x, observed in zip(unseen.x[:3], unseen.observed[:3], strict=True):
        written = generate(model, x[None], observed[None], start=START, stop=STOP, max_length=13)[0]
        print("".join(map(str, x[observed].tolist())), "->", "".join(map(str, written[written != STOP].tolist())))


if __name__ == "__main__":
    main()
