"""Generation of tokens: with and without cache, greedy, sampling, beams; and that the whole Transformer learns."""

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch

from tsformer.models.generation import beam_search, generate
from tsformer.models.seq2seq import token_transformer

START, STOP, VOCABULARY = 4, 5, 6


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    model = token_transformer(VOCABULARY, d_model=16, n_heads=2, n_layers=2, d_ff=32, dropout=0.0, tied=False)
    return model.double().eval()


def source(n_cases: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 4, (n_cases, 6, 1), generator=generator)
    return x, torch.arange(6)[None, :, None] < torch.randint(1, 7, (n_cases, 1, 1), generator=generator)


@torch.no_grad()
def log_probabilities(model, x, observed, sequences) -> torch.Tensor:
    """Of sequences (N, M), each up to and with its first STOP, by teacher forcing."""
    before = torch.cat([torch.full((len(sequences), 1), START), sequences[:, :-1]], dim=1)
    logits = model(*(part.expand(len(sequences), -1, -1) for part in (x, observed)), before)
    steps = logits.log_softmax(dim=-1).gather(2, sequences.unsqueeze(-1)).squeeze(-1)
    return (steps * ((before == STOP).cumsum(dim=1) == 0)).sum(dim=1)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_generate__cached_and_uncached__are_the_same(model, temperature):
    x, observed = source()
    cached, uncached = (
        generate(
            model,
            x,
            observed,
            start=START,
            stop=STOP,
            max_length=12,
            temperature=temperature,
            generator=torch.Generator().manual_seed(0),
            cached=cached,
        )
        for cached in (True, False)
    )
    assert torch.equal(cached, uncached)


def test_generate__one_case__is_as_in_a_batch(model):
    x, observed = source()
    together = generate(model, x, observed, start=START, stop=STOP, max_length=12)
    for i in range(len(x)):
        alone = generate(model, x[i : i + 1], observed[i : i + 1], start=START, stop=STOP, max_length=12)[0]
        assert torch.equal(together[i, : len(alone)], alone)
        assert (together[i, len(alone) :] == STOP).all()


def test_generate__hidden_source_tokens__change_nothing(model):
    x, observed = source()
    changed = torch.where(observed, x, 3)
    options = {"start": START, "stop": STOP, "max_length": 8}
    assert torch.equal(generate(model, x, observed, **options), generate(model, changed, observed, **options))


def test_generate__after_stop__goes_on_with_stop_alone(model):
    x, observed = source(200)
    written = generate(
        model, x, observed, start=START, stop=STOP, max_length=9, temperature=1.0, generator=torch.Generator()
    )
    ended = (written == STOP).cumsum(dim=1) > 0
    assert ended.any()
    assert (written[ended] == STOP).all()
    assert written.shape[1] <= 9


def drawn(model, **options) -> torch.Tensor:
    """First tokens of 4,000 samples for one source."""
    x, observed = source(1)
    return generate(
        model,
        x.expand(4000, -1, -1),
        observed.expand(4000, -1, -1),
        start=START,
        stop=STOP,
        max_length=1,
        temperature=2.0,
        generator=torch.Generator().manual_seed(0),
        **options,
    )[:, 0]


def first_probabilities(model) -> torch.Tensor:
    x, observed = source(1)
    return (model(x, observed, torch.tensor([[START]]))[0, 0] / 2.0).softmax(dim=-1)


def test_generate__sampling__follows_the_probabilities(model):
    shares = drawn(model).bincount(minlength=VOCABULARY) / 4000
    torch.testing.assert_close(shares.double(), first_probabilities(model), atol=0.03, rtol=0)


def test_generate__top_k__draws_only_the_most_probable(model):
    assert set(drawn(model, top_k=2).tolist()) == set(first_probabilities(model).topk(2).indices.tolist())


def test_generate__top_p__draws_the_fewest_that_hold_it(model):
    probability, token = first_probabilities(model).sort(descending=True)
    n_kept = int((probability.cumsum(0) < 0.6).sum()) + 1
    assert set(drawn(model, top_p=0.6).tolist()) == set(token[:n_kept].tolist())


def test_beam_search__one_beam__is_greedy(model):
    x, observed = source()
    options = {"start": START, "stop": STOP, "max_length": 8}
    assert torch.equal(beam_search(model, x, observed, n_beams=1, **options), generate(model, x, observed, **options))


def test_beam_search__as_many_beams_as_sequences__finds_the_most_probable(model):
    x, observed = source(3)
    found = beam_search(
        model, x, observed, start=START, stop=STOP, max_length=3, n_beams=VOCABULARY**2, length_penalty=0.0
    )
    every = torch.tensor(list(itertools.product(range(VOCABULARY), repeat=3)))
    for case in range(3):
        best = log_probabilities(model, x[case], observed[case], every).max()
        torch.testing.assert_close(log_probabilities(model, x[case], observed[case], found[case : case + 1])[0], best)


def test_token_transformer__tied__shares_one_matrix_and_scales_it():
    model = token_transformer(VOCABULARY, d_model=16, n_heads=2, n_layers=1, d_ff=32)
    assert model.head.weight is model.embedding.embedding.weight
    assert model.head.weight is model.encoder.embedding.embedding.weight
    tokens = torch.tensor([[1, 2]])
    expected = model.head.weight[tokens] * 4.0  # sqrt(16)
    torch.testing.assert_close(model.embedding.embedding(tokens), expected)


@pytest.mark.slow
def test_whole_transformer__trained_to_reverse_digits__reverses_unseen_strings():
    path = Path(__file__).parents[2] / "examples" / "reverse_digits.py"
    spec = importlib.util.spec_from_file_location("reverse_digits", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    generator = torch.Generator().manual_seed(0)
    training = example.random_strings(4000, 5, generator)
    unseen = example.without(example.random_strings(1000, 5, generator), training)
    assert len(unseen) > 400
    with torch.random.fork_rng():
        model = example.fit(training, n_steps=400)
    assert example.exact_match(model, unseen) >= 0.95
