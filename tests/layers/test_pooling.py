"""Pooling: one vector a case, to which tokens that are not observed add nothing."""

import pytest
import torch

from tsformer.layers.pooling import POOLINGS


@pytest.fixture(params=POOLINGS)
def pooling(request: pytest.FixtureRequest) -> torch.nn.Module:
    return POOLINGS[request.param](8).double()


def random_tokens() -> tuple[torch.Tensor, torch.Tensor]:
    observed = torch.tensor([[True] * 6, [True, False, True, True, False, False]])
    return torch.randn(2, 6, 8, dtype=torch.float64), observed


def test_pooling__hidden_tokens_changed__changes_nothing(pooling):
    tokens, observed = random_tokens()
    changed = tokens.masked_fill(~observed.unsqueeze(-1), 99.0)
    torch.testing.assert_close(pooling(changed, observed), pooling(tokens, observed))


def test_pooling__hidden_tokens_left_out__changes_nothing(pooling):
    tokens, observed = random_tokens()
    kept = observed[1]
    alone = pooling(tokens[1:, kept], observed[1:, kept])
    torch.testing.assert_close(pooling(tokens, observed)[1:], alone)


def test_pooling__a_single_observed_token__is_that_token(pooling):
    tokens, _ = random_tokens()
    observed = (torch.arange(6) == 4).expand(2, 6)
    torch.testing.assert_close(pooling(tokens, observed), tokens[:, 4])


def test_pooling__nothing_observed__is_zero(pooling):
    """A strong augmentation can hide all of a case; its logits must stay finite."""
    tokens, observed = random_tokens()
    assert (pooling(tokens, observed & torch.tensor([[True], [False]]))[1] == 0.0).all()


def test_attention_pooling__training__every_parameter_gets_a_gradient():
    """A bias of the score would not: softmax does not see it."""
    tokens, observed = random_tokens()
    pooling = POOLINGS["attention"](8).double()
    (pooling(tokens, observed) * torch.randn(2, 8)).sum().backward()
    assert [name for name, parameter in pooling.named_parameters() if parameter.grad.abs().max() < 1e-9] == []


def test_pooling__observed_tokens__mean_and_max_are_those_of_torch():
    tokens, observed = random_tokens()
    kept = tokens[1, observed[1]]
    torch.testing.assert_close(POOLINGS["mean"](8)(tokens, observed)[1], kept.mean(dim=0))
    torch.testing.assert_close(POOLINGS["max"](8)(tokens, observed)[1], kept.amax(dim=0))


def test_attention_pooling__a_token_the_score_prefers__dominates():
    pooling = POOLINGS["attention"](8)
    tokens = torch.randn(1, 5, 8)
    tokens[0, 3] = 30.0 * pooling.score.weight[0].detach()
    torch.testing.assert_close(
        pooling(tokens, torch.ones(1, 5, dtype=torch.bool))[0], tokens[0, 3], rtol=1e-2, atol=1e-2
    )
