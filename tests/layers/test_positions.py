"""Positions: the paper's sinusoids, rotations that leave only differences, learned vectors of a limited length."""

import math

import pytest
import torch

from tsformer.layers.positions import LearnedPositions, SinusoidalPositions, rotary, rotate, sinusoidal


@pytest.mark.parametrize("position", [0, 1, 7, 512, 100_000])
@pytest.mark.parametrize("d_model", [2, 8, 512])
def test_sinusoidal__any_position__is_the_papers_formula(position, d_model):
    expected = torch.empty(d_model, dtype=torch.float64)
    for i in range(d_model // 2):
        angle = position / 10_000 ** (2 * i / d_model)
        expected[2 * i], expected[2 * i + 1] = math.sin(angle), math.cos(angle)
    table = sinusoidal(torch.tensor([3, position]), d_model)
    torch.testing.assert_close(table[1].double(), expected, rtol=0, atol=1e-6)


def test_sinusoidal__odd_width__is_the_next_even_one_cut_off():
    positions = torch.arange(5)
    assert torch.equal(sinusoidal(positions, 7), sinusoidal(positions, 8)[:, :7])


def test_sinusoidal_positions__tokens__get_the_row_of_their_place_added():
    tokens = torch.randn(2, 5, 8, dtype=torch.float64)
    added = SinusoidalPositions()(tokens) - tokens
    torch.testing.assert_close(added, sinusoidal(torch.arange(5), 8).double().expand(2, 5, 8))


def test_sinusoidal_positions__tokens_that_come_later__stand_after_those_before():
    tokens, positions = torch.randn(2, 5, 8), SinusoidalPositions()
    torch.testing.assert_close(positions(tokens[:, 3:], start=3), positions(tokens)[:, 3:])


def scores(query: torch.Tensor, key: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    rotation = rotary(positions, query.shape[-1])
    return rotate(query, rotation) @ rotate(key, rotation).transpose(-2, -1)


@pytest.mark.parametrize("shift", [1, 100, 50_000])
def test_rotate__all_positions_shifted__leaves_scores_as_they_were(shift):
    query, key = torch.randn(2, 2, 3, 6, 8, dtype=torch.float64).unbind()
    positions = torch.arange(6)
    torch.testing.assert_close(scores(query, key, positions + shift), scores(query, key, positions), rtol=0, atol=1e-5)
    assert not torch.allclose(scores(query, key, 2 * positions), scores(query, key, positions), atol=0.1)


def test_rotate__position_zero_and_any_other__is_the_identity_and_keeps_the_norm():
    x = torch.randn(1, 2, 4, 8)
    rotated = rotate(x, rotary(torch.tensor([0, 1, 30, 4000]), 8))
    assert torch.equal(rotated[:, :, 0], x[:, :, 0])
    assert not torch.allclose(rotated[:, :, 1:], x[:, :, 1:], atol=0.1)
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))


def test_rotation__positions_of_each_case__turn_all_heads_of_the_case():
    x = torch.randn(2, 3, 4, 8)
    positions = torch.tensor([[0, 1, 2, 3], [5, 6, 9, 9]])
    rotated = rotate(x, rotary(positions, 8))
    for case in range(2):
        torch.testing.assert_close(rotated[case], rotate(x[case], rotary(positions[case], 8)))


def test_rotate__bfloat16__stays_bfloat16():
    assert rotate(torch.randn(1, 1, 3, 8).bfloat16(), rotary(torch.arange(3), 8)).dtype == torch.bfloat16


def test_rotation__odd_head_width__is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"even head width\. Got d_model / n_heads = 5; change d_model or n_heads"):
        rotary(torch.arange(3), 5)


def test_learned_positions__up_to_max_length__add_the_first_rows():
    positions = LearnedPositions(5, 8)
    tokens = torch.randn(2, 3, 8)
    torch.testing.assert_close(positions(tokens), tokens + positions.table[:3])
    assert positions(torch.randn(2, 5, 8)).shape == (2, 5, 8)


def test_learned_positions__beyond_max_length__names_both_lengths():
    with pytest.raises(ValueError, match=r"at most 5 tokens\. Got 6;"):
        LearnedPositions(5, 8)(torch.randn(2, 6, 8))
