"""Batch and Minibatches: each case once, in an order that can be repeated, without padding that nobody needs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsformer.data.batch import UNLABELLED, Batch, Minibatches, StoredCases, batches_of


def numbered_cases(lengths: list[int]) -> Batch:
    """Case i holds the value i + 1 at `lengths[i]` time points of two channels, and is labelled i."""
    n_cases, longest = len(lengths), max(lengths)
    observed = (torch.arange(longest) < torch.tensor(lengths)[:, None]).unsqueeze(-1).expand(n_cases, longest, 2)
    x = torch.where(observed, torch.arange(1.0, n_cases + 1)[:, None, None], 0.0)
    return Batch(x, observed, torch.arange(n_cases), 0.5 * torch.arange(n_cases))


def orders(minibatches: Minibatches) -> list[int]:
    return [int(number) for batch in minibatches for number in batch.y]


def test_batch_select__cases_of_an_index__bring_their_values_labels_and_weights():
    data = numbered_cases([3, 5, 5, 2])
    batch = data.select(torch.tensor([2, 1]))
    assert len(batch) == 2
    assert torch.equal(batch.x, data.x[[2, 1]])
    assert torch.equal(batch.observed, data.observed[[2, 1]])
    assert batch.y.tolist() == [2, 1]
    assert batch.weight.tolist() == [1.0, 0.5]


def test_batch_select__shorter_cases__lose_the_padding_that_none_of_them_needs():
    data = numbered_cases([3, 5, 2, 5])
    batch = data.select(torch.tensor([2, 0]))
    assert batch.x.shape == batch.observed.shape == (2, 3, 2)
    assert batch.observed.any(dim=-1).sum(dim=1).tolist() == [2, 3]


def test_batch_select__gap_in_the_middle_and_one_channel_to_the_end__is_kept():
    observed = torch.zeros(2, 6, 2, dtype=torch.bool)
    observed[0, [0, 4], 1] = True
    observed[1, :2] = True
    assert Batch(observed.float(), observed).select(torch.tensor([0, 1])).x.shape == (2, 5, 2)
    assert Batch(observed.float(), observed).select(torch.tensor([1])).x.shape == (1, 2, 2)


def test_batch_to__another_device__moves_every_tensor_and_no_none():
    data = numbered_cases([2, 3])
    moved = data.to(torch.device("meta"))
    assert {moved.x.device.type, moved.observed.device.type, moved.y.device.type, moved.weight.device.type} == {"meta"}
    assert Batch(data.x, data.observed).to(torch.device("cpu")).y is None


@pytest.mark.parametrize(
    ("n_cases", "size", "expected"), [(10, 4, [4, 3, 3]), (9, 8, [5, 4]), (8, 8, [8]), (3, 1, [1] * 3)]
)
def test_minibatches__any_size__are_nearly_equal_and_no_larger(n_cases, size, expected):
    for generator in (None, torch.Generator()):
        minibatches = Minibatches(numbered_cases([2] * n_cases), size, generator)
        assert [len(batch) for batch in minibatches] == expected
        assert len(minibatches) == len(expected)


def test_minibatches__an_epoch__holds_each_case_exactly_once_with_its_own_series():
    minibatches = Minibatches(numbered_cases([2, 5, 3, 4, 1, 2, 2]), 3, torch.Generator())
    for _ in range(3):
        assert sorted(orders(minibatches)) == list(range(7))
    for batch in minibatches:
        assert torch.equal(batch.x.amax(dim=(1, 2)), batch.y + 1.0)


def test_minibatches__generator__repeats_the_order_and_changes_it_between_epochs():
    data = numbered_cases([2] * 20)
    one, same, other = (Minibatches(data, 6, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    first, second = orders(one), orders(one)
    assert first != second
    assert [orders(same), orders(same)] == [first, second]
    assert orders(other) != first


def test_minibatches__generator__leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    orders(Minibatches(numbered_cases([2] * 20), 6, torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state)


def test_minibatches__no_generator__keep_the_order_of_the_data():
    minibatches = Minibatches(numbered_cases([2] * 20), 6)
    assert orders(minibatches) == orders(minibatches) == list(range(20))


# Cases with and without labels


def partly_labelled(n_labelled: int, n_unlabelled: int) -> StoredCases:
    """Case i holds the value i; the labelled ones come first."""
    n_cases = n_labelled + n_unlabelled
    series = np.arange(float(n_cases))[:, None, None].repeat(4, axis=2)
    y = torch.where(torch.arange(n_cases) < n_labelled, 0, UNLABELLED)
    return StoredCases(series, np.arange(n_cases), np.full(n_cases, 4), 4, y)


@pytest.mark.parametrize(
    ("n_labelled", "n_unlabelled", "size", "in_batch"),
    [(6, 60, 16, (4, 12)), (2, 60, 16, (2, 14)), (50, 3, 8, (2, 3)), (3, 5, 16, (3, 5)), (4, 9, 1, (1, 1))],
)
def test_mixed_minibatches__any_sizes__have_a_fixed_part_labelled_and_all_cases(
    n_labelled, n_unlabelled, size, in_batch
):
    data = partly_labelled(n_labelled, n_unlabelled)
    batches = batches_of(data, size, torch.Generator().manual_seed(0))

    seen = list(batches)

    assert len(seen) == len(batches) > 0
    assert {(int((batch.y == 0).sum()), int((batch.y == UNLABELLED).sum())) for batch in seen} == {in_batch}
    numbers = torch.cat([batch.x[:, 0, 0] for batch in seen]).tolist()
    assert set(numbers) == set(range(len(data)))
    counts = np.unique(numbers, return_counts=True)[1]
    for part in (counts[:n_labelled], counts[n_labelled:]):
        assert part.max() - part.min() <= 1


def test_batches_of__all_or_no_labels__are_plain_ones():
    for data in (partly_labelled(6, 0), partly_labelled(0, 6), replace(partly_labelled(2, 4), y=None)):
        assert isinstance(batches_of(data, 4), Minibatches)
