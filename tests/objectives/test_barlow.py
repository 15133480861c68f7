"""Barlow Twins of two, three and four modalities against loops over entries in float64."""

import math
from itertools import combinations, product

import pytest
import torch
from helpers_objectives import batches, check_gradients, complete, peak_bytes, permuted, unit, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.objectives import barlow
from prismat.objectives.barlow import BarlowConfig, BarlowTwins, barlow_loss, standardised
from prismat.objectives.base import Embedded

NAMES = ("a", "b", "c", "d")


def target(index):
    """By number of equal pairs of indices."""
    pairs = sum(p == q for p, q in combinations(index, 2))
    return {2: {1: 1.0}, 3: {3: 1.0, 1: 0.5}, 4: {6: 1.0, 3: 0.5, 2: 1 / 3, 1: 1 / 6}}[len(index)].get(
        pairs, 0.0
    )


def column(values, epsilon):
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + epsilon) for v in values]


def naive(windows, rows, weight):
    dim, total = len(windows[0][0]), 0.0
    columns = [[column([w[i][d] for i in rows], 1e-5 / dim) for d in range(dim)] for w in windows]
    for index in product(range(dim), repeat=len(windows)):
        picked = [c[d] for c, d in zip(columns, index, strict=True)]
        entry = sum(math.prod(v) for v in zip(*picked, strict=True)) / len(rows)
        wanted = target(index)
        total += (1.0 if wanted else weight) * (entry - wanted) ** 2
    return total


@pytest.mark.parametrize("count", [2, 3, 4])
@settings(max_examples=12)
@given(data=st.data())
def test_loss_equals_a_naive_loop_in_any_order(count, data):
    names = NAMES[:count]
    batch = data.draw(batches(names, dim=3))
    loss, rows = BarlowTwins(names, BarlowConfig(0.3)).double()(batch), complete(batch, *names)
    expected = naive([batch.embeddings[k].tolist() for k in names], rows, 0.3) if len(rows) > 1 else 0.0
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-9)
    order = torch.randperm(len(batch.present["a"]), generator=torch.Generator().manual_seed(0))
    again = float(BarlowTwins(names, BarlowConfig(0.3))(permuted(batch, order)).total.detach())
    assert again == pytest.approx(expected, rel=1e-9)
    check_gradients(batch, loss)


def dense(features, weight):
    """The whole tensor, by its definition."""
    letters = "jklm"[: len(features)]
    correlation = torch.einsum(",".join(f"i{x}" for x in letters) + "->" + letters, *features) / len(
        features[0]
    )
    wanted = torch.zeros_like(correlation)
    for index in product(range(len(correlation)), repeat=len(features)):
        wanted[index] = target(index)
    weights = torch.where(wanted > 0, torch.ones_like(wanted), weight)
    return (weights * (correlation - wanted) ** 2).sum()


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("block", [2**22, 40])
def test_loss_and_gradient_equal_those_of_the_whole_tensor(count, block, monkeypatch):
    monkeypatch.setattr(barlow, "ENTRIES", block)
    found = []
    for loss in (barlow_loss, dense):
        vectors = [unit(16, 5, seed=i).requires_grad_() for i in range(count)]
        total = loss([standardised(v) for v in vectors], 0.0051)
        total.backward()
        found.append((total.detach(), *(v.grad for v in vectors)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("count", [3, 4])
def test_single_precision_is_accurate_though_sums_cancel(count):
    vectors = [(unit(64, 12) + 0.3 * unit(64, 12, seed=i + 1)).float() for i in range(count)]
    found = []
    for loss, kind in ((barlow_loss, torch.float32), (dense, torch.float64)):
        leaves = [v.detach().to(kind).clone().requires_grad_() for v in vectors]
        total = loss([standardised(v) for v in leaves], 0.0051)
        total.backward()
        found.append((total.detach().double(), leaves[0].grad.double()))
    assert float(found[0][0]) == pytest.approx(float(found[1][0]), rel=1e-5)
    assert float((found[0][1] - found[1][1]).norm() / found[1][1].norm()) < 1e-4


@pytest.mark.parametrize("count", [2, 3, 4])
def test_gradients_agree_with_finite_differences(count):
    names = NAMES[:count]
    objective, present = BarlowTwins(names), {k: torch.tensor([True] * 4 + [k != "b"]) for k in names}

    def total(*vectors):
        return objective(Embedded(dict(zip(names, vectors, strict=True)), present)).total

    assert torch.autograd.gradcheck(total, [unit(5, 3, seed).requires_grad_() for seed in range(count)])


def test_the_tensor_is_never_held():
    vectors = [unit(32, 24, seed=i).requires_grad_() for i in range(4)]
    assert peak_bytes(lambda: barlow_loss(vectors, 0.0051).backward()) < 24**4 * 8 / 2


def test_two_equal_white_modalities_cost_nothing():
    features = torch.linalg.qr(torch.randn(64, 8, dtype=torch.float64))[0] * 8
    assert float(barlow_loss([features, features], 0.0051)) == pytest.approx(0, abs=1e-20)


def test_equal_records_are_not_read():
    batch = whole(NAMES[:2], 6)
    masked = whole(NAMES[:2], 6, same=torch.ones(6, 6) > 0)
    assert BarlowTwins(NAMES[:2])(batch) == BarlowTwins(NAMES[:2])(masked)


def test_constant_features_stay_finite():
    flat = (torch.ones(4, 3) / 3**0.5).requires_grad_()
    batch = Embedded({"a": flat, "b": unit(4, 3).float()}, dict.fromkeys("ab", torch.ones(4) > 0))
    total = BarlowTwins(("a", "b"))(batch).total
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(flat.grad).all()


def test_partitions_are_as_many_as_bell_numbers_and_patterns_fill_the_tensor():
    assert [len(barlow.partitions(n)) for n in (1, 2, 3, 4)] == [1, 2, 5, 15]
    for n in (3, 4):
        _, linear, constant = barlow.coefficients(n, 5, 0.0051)
        wanted = [target(index) for index in product(range(5), repeat=n)]
        assert constant == pytest.approx(sum(t**2 for t in wanted))
        # A tensor of ones: the sum over indices equal within groups is dim to the number of groups.
        sums = sum(v * 5 ** len(set(k)) for k, v in linear.items())
        assert sums == pytest.approx(sum(wanted))


@pytest.mark.parametrize("names", [("a",), tuple("abcde"), ("a", "a")])
def test_other_numbers_of_windows_are_refused(names):
    with pytest.raises(BadInputError, match="two, three or four"):
        BarlowTwins(names)


def test_weights_of_pairs_are_refused():
    with pytest.raises(BadInputError, match="no pairs"):
        BarlowTwins(NAMES)(whole(NAMES, 4), {"a-b": 2.0})
