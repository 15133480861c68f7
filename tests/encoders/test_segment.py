"""Sums, copies and softmax over groups against loops over rows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.encoders.segment import Groups, group_softmax, group_sum, spread

WIDTH = 3


def made(index, size, ascending):
    torch.manual_seed(len(index) + size)
    index = sorted(index) if ascending else index
    groups = Groups.of(torch.tensor(index, dtype=torch.int64), size, ascending)
    values = torch.randn(len(index), WIDTH, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(len(index), dtype=torch.float64, requires_grad=True)
    return index, groups, values, weight


indices = st.integers(1, 6).flatmap(
    lambda n: st.tuples(st.lists(st.integers(0, n - 1), max_size=12), st.just(n), st.booleans())
)


def gradients(found, wanted, inputs):
    """Both against one random direction."""
    pull = torch.randn_like(wanted)
    ours = torch.autograd.grad((found * pull).sum(), inputs, retain_graph=True)
    plain = torch.autograd.grad((wanted * pull).sum(), inputs, retain_graph=True)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@given(indices)
@settings(max_examples=60)
def test_sum_equals_a_loop(case):
    index, groups, values, weight = made(*case)
    zero = values.sum() * 0 + weight.sum() * 0
    rows = [zero + torch.zeros(WIDTH, dtype=torch.float64) for _ in range(case[1])]
    for e, g in enumerate(index):
        rows[g] = rows[g] + weight[e] * values[e]
    wanted, found = torch.stack(rows), group_sum(values, groups, weight)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    gradients(found, wanted, (values, weight))


@given(indices)
@settings(max_examples=60)
def test_unweighted_sum_and_copy_are_each_others_transpose(case):
    _, groups, values, _ = made(*case)
    per_group = torch.randn(case[1], WIDTH, dtype=torch.float64, requires_grad=True)
    copied, total = spread(per_group, groups), group_sum(values, groups)
    assert torch.equal(copied, per_group[groups.index])
    torch.testing.assert_close((copied * values).sum(), (total * per_group).sum())
    gradients(copied, per_group[groups.index], (per_group,))
    gradients(total, torch.zeros_like(total).index_add(0, groups.index, values), (values,))


@given(indices)
@settings(max_examples=60)
def test_softmax_equals_that_of_rows_written_out(case):
    index, groups, scores, _ = made(*case)
    count = torch.randint(1, 4, (len(index),)).double()
    found = group_softmax(scores, groups, count)
    wanted = torch.zeros_like(scores)
    for g in range(case[1]):
        here = torch.tensor([e for e, i in enumerate(index) if i == g], dtype=torch.int64)
        times = count[here].long()
        alone = torch.repeat_interleave(scores[here], times, dim=0).softmax(0)
        owner = torch.repeat_interleave(here, times)
        wanted = wanted.index_add(0, owner, alone)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    gradients(found, wanted, (scores,))


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_softmax_neither_overflows_nor_vanishes(shift):
    groups = Groups.of(torch.tensor([0, 0, 1]), 2)
    scores = torch.tensor([[shift], [shift + 1], [shift]])
    found = group_softmax(scores, groups, torch.ones(3))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[:2, 0].sum(), torch.tensor(1.0))
    torch.testing.assert_close(found[2, 0], torch.tensor(1.0))


def test_refined_groups_hold_the_parts_of_their_rows():
    groups = Groups.of(torch.tensor([1, 0, 1]), 3, ascending=False).refined(2)
    values = torch.arange(6.0)[:, None]
    assert group_sum(values, groups)[:, 0].tolist() == [2 + 3, 0 + 1 + 4 + 5, 0]
