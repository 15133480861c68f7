"""The loss of pairs against loops over records in float64."""

import math

import pytest
import torch
from helpers_objectives import (
    batches,
    check_gradients,
    complete,
    dot,
    is_same,
    peak_bytes,
    permuted,
    unit,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.objectives.anchored import Anchored
from prismat.objectives.base import Embedded
from prismat.objectives.infonce import InfoNce, InfoNceConfig, symmetric_cross_entropy
from prismat.objectives.pairs import AllPairs, pair_name

NAMES = ("structure", "text", "xrd")
PAIRS = ["structure-text", "structure-xrd", "text-xrd"]


def all_pairs(names=NAMES, config=None, **others):
    config = config or InfoNceConfig()
    return AllPairs(names, lambda: InfoNce(config), shared=config.shared, **others).double()


def naive(batch, a, b, scale):
    """Mean over complete records of −log softmax in both directions, written out."""
    rows = complete(batch, a, b)
    if len(rows) < 2:
        return None
    total = 0.0
    for left, right in ((a, b), (b, a)):
        x, y = batch.embeddings[left], batch.embeddings[right]
        for i in rows:
            others = [j for j in rows if j == i or not is_same(batch, i, j)]
            logits = [scale * dot(x[i], y[j]) for j in others]
            total -= scale * dot(x[i], y[i]) - math.log(sum(math.exp(v) for v in logits))
    return total / len(rows) / 2


@settings(max_examples=40)
@given(batches(NAMES), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0, 1, 2, 5]))
def test_loss_equals_a_naive_loop(batch, weight, chunk):
    weights = {"structure-text": weight, "text-xrd": 2.0}
    objective = all_pairs(config=InfoNceConfig(temperature=0.1, chunk=chunk), weights=weights)
    loss = objective(batch)
    pairs = {pair_name(a, b): naive(batch, a, b, objective.scales()["text-xrd"]) for a, b in batch.pairs}
    expected = {k: v for k, v in pairs.items() if v is not None and weights.get(k, 1.0) != 0}
    assert loss.parts == pytest.approx(expected, rel=1e-10, abs=1e-10)
    total = sum(weights.get(k, 1.0) * v for k, v in expected.items())
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-10, abs=1e-10)
    check_gradients(batch, loss)


@settings(max_examples=15)
@given(batches(NAMES), st.randoms())
def test_order_of_records_does_not_matter(batch, random):
    order = list(range(len(batch.present["text"])))
    random.shuffle(order)
    found, again = (all_pairs()(b).total.detach() for b in (batch, permuted(batch, order)))
    assert float(found) == pytest.approx(float(again), abs=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 4, 9, 50])
def test_blocks_change_neither_value_nor_gradient(chunk, masked):
    labels = torch.tensor([0, 1, 2, 0, 3, 3, 3, 4, 5])
    same = labels[:, None] == labels if masked else None
    found = []
    for size in (0, chunk):
        vectors = {k: unit(9, seed=i).requires_grad_() for i, k in enumerate(NAMES)}
        present = {k: torch.tensor([True] * 8 + [k != "xrd"]) for k in NAMES}
        objective = all_pairs(config=InfoNceConfig(chunk=size))
        total = objective(Embedded(vectors, present, same=same)).total
        total.backward()
        found.append(
            (total.detach(), *(v.grad for v in vectors.values()), *(p.grad for p in objective.parameters()))
        )
    for plain, blocked in zip(*found, strict=True):
        torch.testing.assert_close(plain, blocked, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_blocks_never_hold_the_whole_matrix(masked):
    n, left, right = 1024, unit(1024).requires_grad_(), unit(1024, seed=1).requires_grad_()
    same = torch.eye(n) > 0 if masked else None
    peaks = []
    for chunk in (0, 32):
        term = InfoNce(InfoNceConfig(chunk=chunk)).double()
        peaks.append(peak_bytes(lambda term=term: term(left, right, same).backward()))
    assert peaks[0] > 8 * n**2 > 3 * peaks[1]


def test_arithmetic_of_the_first_release_is_kept_to_the_bit():
    generator = torch.Generator().manual_seed(3)
    left, right = (torch.nn.functional.normalize(torch.randn(64, 32, generator=generator)) for _ in range(2))
    same = torch.rand(64, 64, generator=generator) < 0.05
    same = same | same.T
    scores = left @ right.T * torch.tensor(math.log(1 / 0.07)).clamp(max=-math.log(0.01)).exp()
    scores = scores.masked_fill(same & ~torch.eye(64, dtype=torch.bool), float("-inf"))
    target = torch.arange(64)
    entropy = torch.nn.functional.cross_entropy
    expected = (entropy(scores, target) + entropy(scores.T, target)) / 2
    assert torch.equal(InfoNce()(left, right, same), expected)
    present = {k: torch.ones(64) > 0 for k in "ab"}
    batch = Embedded({"a": left, "b": right}, present, same=same)
    assert torch.equal(AllPairs(("a", "b"), InfoNce)(batch).total, expected)


@pytest.mark.parametrize("chunk", [0, 3])
def test_gradients_agree_with_finite_differences(chunk):
    loss = all_pairs(config=InfoNceConfig(temperature=0.5, chunk=chunk))
    same = torch.zeros(4, 4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    present = {k: torch.tensor([True, True, True, k != "xrd"]) for k in NAMES}

    def total(*vectors):
        return loss(Embedded(dict(zip(NAMES, vectors, strict=True)), present, same=same)).total

    vectors = [unit(4, 3, seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(total, vectors)
    total(*vectors).backward()
    assert vectors[2].grad[3].abs().max() == 0  # the record without a pattern
    for name in PAIRS:
        parameter = loss.pair_term(name).scale.log_scale
        start = float(parameter.detach())
        values = []
        for step in (-1e-5, 1e-5):
            with torch.no_grad():
                parameter.fill_(start + step)
                values.append(float(total(*vectors)))
                parameter.fill_(start)
        assert float(parameter.grad) == pytest.approx((values[1] - values[0]) / 2e-5, rel=1e-5)


def test_equal_records_are_never_negatives():
    """Two copies of one record: masked, the loss is that of the record among the others only."""
    base = unit(3)
    doubled = base[[0, 0, 1, 2]]
    same = torch.eye(4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    scores = doubled @ doubled.T * 5
    masked = torch.nn.functional.cross_entropy(
        scores.masked_fill(same & ~torch.eye(4, dtype=torch.bool), -1e9), torch.arange(4)
    )
    torch.testing.assert_close(symmetric_cross_entropy(scores, same), masked)
    assert symmetric_cross_entropy(scores, same) < symmetric_cross_entropy(scores, None)


@pytest.mark.parametrize("chunk", [0, 2])
def test_all_records_equal_costs_nothing(chunk):
    found = InfoNce(InfoNceConfig(chunk=chunk))(unit(4), unit(4, seed=1), torch.ones(4, 4, dtype=torch.bool))
    assert float(found.detach()) == pytest.approx(0)


def test_embeddings_that_agree_cost_less_than_chance_and_chance_is_log_n():
    loss = AllPairs(("a", "b"), InfoNce)
    present = dict.fromkeys("ab", torch.ones(64) > 0)
    vectors = unit(64, 32).float()
    good = loss(Embedded({"a": vectors, "b": vectors}, present)).total
    flat = torch.ones(64, 32) / 32**0.5
    chance = loss(Embedded({"a": flat, "b": flat}, present)).total
    assert float(chance.detach()) == pytest.approx(math.log(64), rel=1e-5)
    assert float(good.detach()) < 0.5


def test_temperature_starts_learns_and_stays_above_its_floor():
    loss = all_pairs(config=InfoNceConfig(temperature=0.07, min_temperature=0.01))
    assert loss.scales() == pytest.approx(dict.fromkeys(PAIRS, 1 / 0.07))
    with torch.no_grad():
        loss.pair_term("text-xrd").scale.log_scale.fill_(99.0)
    assert loss.scales()["text-xrd"] == pytest.approx(100)
    assert len(list(loss.parameters())) == 3
    fixed = all_pairs(config=InfoNceConfig(learn_temperature=False))
    assert not any(p.requires_grad for p in fixed.parameters())


def test_each_pair_has_its_own_temperature_unless_shared():
    for shared, changed in ((False, ["text-xrd"]), (True, PAIRS)):
        loss = all_pairs(config=InfoNceConfig(shared=shared))
        with torch.no_grad():
            before = loss(whole(NAMES, 5)).parts
            loss.pair_term("text-xrd").scale.log_scale.add_(1.0)
            after = loss(whole(NAMES, 5)).parts
        assert [k for k in PAIRS if before[k] != after[k]] == changed
        assert list(loss.scales()) == PAIRS
    assert len(loss.state_dict()) == 1


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(BadInputError, match="greater than 0"):
        InfoNce(InfoNceConfig(temperature=0.0))


def test_weights_of_a_curriculum_replace_those_of_the_recipe():
    loss = all_pairs(weights={"structure-text": 0.5})
    parts = loss(whole(NAMES, 5)).parts
    total = loss(whole(NAMES, 5), {"structure-text": 0.0, "text-xrd": 3.0})
    assert set(total.parts) == {"structure-xrd", "text-xrd"}
    assert float(total.total.detach()) == pytest.approx(parts["structure-xrd"] + 3 * parts["text-xrd"])


def test_pair_heads_replace_shared_embeddings_in_their_pair():
    heads = {("structure", "xrd"): unit(5, seed=8), ("xrd", "structure"): unit(5, seed=9)}
    loss = all_pairs()
    plain, special = loss(whole(NAMES, 5)).parts, loss(whole(NAMES, 5, toward=heads)).parts
    assert plain["structure-text"] == special["structure-text"]
    assert plain["text-xrd"] == special["text-xrd"]
    scores = heads[("structure", "xrd")] @ heads[("xrd", "structure")].T / 0.07
    assert special["structure-xrd"] == pytest.approx(float(symmetric_cross_entropy(scores, None)), rel=1e-6)


def test_pair_heads_need_no_shared_embedding():
    present = dict.fromkeys(("a", "b"), torch.ones(4) > 0)
    heads = {("a", "b"): unit(4, seed=1), ("b", "a"): unit(4, seed=2)}
    loss = AllPairs(("a", "b"), InfoNce)(Embedded({}, present, heads))
    assert set(loss.parts) == {"a-b"}


def test_anchor_leaves_pairs_without_it():
    assert whole(NAMES, 3, anchor="structure").pairs == [("structure", "text"), ("structure", "xrd")]
    assert whole(NAMES, 3).pairs == [("structure", "text"), ("structure", "xrd"), ("text", "xrd")]
    assert set(all_pairs()(whole(NAMES, 3, anchor="text")).parts) == {"structure-text", "text-xrd"}
    anchored = Anchored("text", NAMES, InfoNce).double()
    assert set(anchored(whole(NAMES, 3)).parts) == {"structure-text", "text-xrd"} == set(anchored.scales())
    assert set(anchored(whole(NAMES, 3, anchor="xrd")).parts) == {"text-xrd"}
    assert len(list(anchored.parameters())) == 2


def test_anchored_is_part_of_all_pairs_and_equals_it_for_two():
    batch = whole(NAMES, 5)
    every, anchored = all_pairs()(batch).parts, Anchored("xrd", NAMES, InfoNce).double()(batch)
    assert anchored.parts == {k: every[k] for k in ("structure-xrd", "text-xrd")}
    two = whole(NAMES[:2], 5)
    assert Anchored("text", NAMES[:2], InfoNce).double()(two) == all_pairs(NAMES[:2])(two)


def test_six_windows_have_fifteen_pairs():
    names = tuple("abcdef")
    assert len(all_pairs(names)(whole(names, 3)).parts) == 15
    assert len(Anchored("a", names, InfoNce).double()(whole(names, 3)).parts) == 5


@pytest.mark.parametrize("names", [(), ("a",), ("a", "a"), ("a", "b", "a")])
def test_fewer_than_two_windows_are_refused(names):
    with pytest.raises(BadInputError, match="two or more different"):
        AllPairs(names, InfoNce)


def test_auxiliary_losses_are_added_with_their_weights():
    extra = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    loss = all_pairs(auxiliary={"mlm": 0.1})
    found = loss(whole(NAMES, 4, auxiliary={"mlm": extra, "other": torch.tensor(2.0)}))
    assert (found.parts["mlm"], found.parts["other"]) == (0.5, 2.0)
    plain = loss(whole(NAMES, 4)).total
    assert float((found.total - plain).detach()) == pytest.approx(0.05 + 2)
    found.total.backward()
    assert float(extra.grad) == pytest.approx(0.1)


@pytest.mark.parametrize("chunk", [0, 4])
def test_half_precision_is_raised_to_single_under_autocast(chunk):
    vectors = {k: unit(8, seed=i).to(torch.bfloat16) for i, k in enumerate(NAMES)}
    present = dict.fromkeys(NAMES, torch.ones(8) > 0)
    objective = AllPairs(NAMES, lambda: InfoNce(InfoNceConfig(chunk=chunk)))
    with torch.autocast("cpu", torch.bfloat16):
        found = objective(Embedded(vectors, present)).total
    exact = all_pairs()(Embedded({k: v.double() for k, v in vectors.items()}, present)).total
    assert found.dtype == torch.float32
    assert float(found.detach()) == pytest.approx(float(exact.detach()), rel=1e-5)


def test_a_batch_without_complete_records_is_zero():
    present = {"a": torch.tensor([True, False, True]), "b": torch.tensor([True, True, False])}
    batch = Embedded({"a": unit(3).float().requires_grad_(), "b": unit(3).float()}, present)
    loss = AllPairs(("a", "b"), InfoNce)(batch)
    assert float(loss.total) == 0
    assert not loss.total.requires_grad
    assert loss.parts == {}


def test_pair_name_ignores_order():
    assert pair_name("text", "structure") == pair_name("structure", "text") == "structure-text"
