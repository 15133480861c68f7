"""The loss against loops over records in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.objectives.base import Embedded
from prismat.objectives.infonce import InfoNce, InfoNceConfig, pair_name, symmetric_cross_entropy

NAMES = ("structure", "text", "xrd")
PAIRS = ["structure-text", "structure-xrd", "text-xrd"]


def unit(n, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64), dim=1)


def naive(a, b, present_a, present_b, same, scale):
    """Mean over complete records of −log softmax in both directions, written out."""
    rows = [i for i in range(len(a)) if present_a[i] and present_b[i]]
    if len(rows) < 2:
        return 0.0
    total = 0.0
    for left, right in ((a, b), (b, a)):
        for i in rows:
            others = [j for j in rows if j == i or not same[i][j]]
            logits = [scale * sum(x * y for x, y in zip(left[i], right[j], strict=True)) for j in others]
            own = scale * sum(x * y for x, y in zip(left[i], right[i], strict=True))
            total += -(own - math.log(sum(math.exp(v) for v in logits))) / len(rows) / 2
    return total


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 7), st.integers(0, 99), st.data())
def test_loss_equals_a_naive_loop(n, seed, data):
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    present = {name: data.draw(flags) for name in NAMES}
    labels = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    same = [[p == q for q in labels] for p in labels]
    weights = {"structure-text": data.draw(st.sampled_from([0.0, 0.3, 1.0])), "text-xrd": 2.0}
    vectors = {name: unit(n, seed=seed + k) for k, name in enumerate(NAMES)}
    batch = Embedded(vectors, {k: torch.tensor(v) for k, v in present.items()}, same=torch.tensor(same))
    loss = InfoNce(PAIRS, InfoNceConfig(temperature=0.1, weights=weights)).double()(batch)
    plain = {k: v.tolist() for k, v in vectors.items()}
    expected = {
        pair_name(a, b): naive(plain[a], plain[b], present[a], present[b], same, 10)
        for a, b in (("structure", "text"), ("structure", "xrd"), ("text", "xrd"))
    }
    total = sum(weights.get(k, 1.0) * v for k, v in expected.items())
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-6, abs=1e-9)
    for name, value in loss.parts.items():
        assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-9)
    skipped = {k for k, v in weights.items() if v == 0}
    assert skipped.isdisjoint(loss.parts)


def everything(n, **others):
    return Embedded(
        {k: unit(n, seed=i) for i, k in enumerate(NAMES)}, dict.fromkeys(NAMES, torch.ones(n) > 0), **others
    )


def test_gradients_agree_with_finite_differences():
    loss = InfoNce(PAIRS, InfoNceConfig(temperature=0.5)).double()
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
        start = float(loss.log_scale[name].detach())
        values = []
        for step in (-1e-5, 1e-5):
            with torch.no_grad():
                loss.log_scale[name].fill_(start + step)
                values.append(float(total(*vectors)))
                loss.log_scale[name].fill_(start)
        assert float(loss.log_scale[name].grad) == pytest.approx((values[1] - values[0]) / 2e-5, rel=1e-5)


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


def test_all_records_equal_costs_nothing():
    found = symmetric_cross_entropy(torch.randn(4, 4), torch.ones(4, 4, dtype=torch.bool))
    assert float(found) == pytest.approx(0)


def test_embeddings_that_agree_cost_less_than_chance_and_chance_is_log_n():
    loss = InfoNce(["a-b"])
    present = dict.fromkeys("ab", torch.ones(64) > 0)
    vectors = unit(64, 32).float()
    good = loss(Embedded({"a": vectors, "b": vectors}, present)).total
    flat = torch.ones(64, 32) / 32**0.5
    chance = loss(Embedded({"a": flat, "b": flat}, present)).total
    assert float(chance.detach()) == pytest.approx(math.log(64), rel=1e-5)
    assert float(good.detach()) < 0.5


def test_temperature_starts_learns_and_stays_above_its_floor():
    loss = InfoNce(PAIRS, InfoNceConfig(temperature=0.07, min_temperature=0.01))
    assert float(loss.scale("text-xrd").detach()) == pytest.approx(1 / 0.07)
    with torch.no_grad():
        loss.log_scale["text-xrd"].fill_(99.0)
    assert float(loss.scale("text-xrd").detach()) == pytest.approx(100)
    assert len(list(loss.parameters())) == 3
    fixed = InfoNce(PAIRS, InfoNceConfig(learn_temperature=False))
    assert not any(p.requires_grad for p in fixed.parameters())


def test_each_pair_has_its_own_temperature():
    loss = InfoNce(PAIRS)
    with torch.no_grad():
        before = loss(everything(5)).parts
        loss.log_scale["text-xrd"].add_(1.0)
        after = loss(everything(5)).parts
    assert [k for k in PAIRS if before[k] != after[k]] == ["text-xrd"]


def test_weights_of_a_curriculum_replace_those_of_the_recipe():
    loss = InfoNce(PAIRS, InfoNceConfig(weights={"structure-text": 0.5})).double()
    parts = loss(everything(5)).parts
    total = loss(everything(5), {"structure-text": 0.0, "text-xrd": 3.0})
    assert set(total.parts) == {"structure-xrd", "text-xrd"}
    assert float(total.total.detach()) == pytest.approx(parts["structure-xrd"] + 3 * parts["text-xrd"])


def test_pair_heads_replace_shared_embeddings_in_their_pair():
    heads = {("structure", "xrd"): unit(5, seed=8), ("xrd", "structure"): unit(5, seed=9)}
    loss = InfoNce(PAIRS).double()
    plain, special = loss(everything(5)).parts, loss(everything(5, toward=heads)).parts
    assert plain["structure-text"] == special["structure-text"]
    assert plain["text-xrd"] == special["text-xrd"]
    scores = heads[("structure", "xrd")] @ heads[("xrd", "structure")].T / 0.07
    assert special["structure-xrd"] == pytest.approx(float(symmetric_cross_entropy(scores, None)), rel=1e-6)


def test_pair_heads_need_no_shared_embedding():
    present = dict.fromkeys(("a", "b"), torch.ones(4) > 0)
    heads = {("a", "b"): unit(4, seed=1), ("b", "a"): unit(4, seed=2)}
    loss = InfoNce(["a-b"])(Embedded({}, present, heads))
    assert set(loss.parts) == {"a-b"}


def test_anchor_leaves_pairs_without_it():
    assert everything(3, anchor="structure").pairs == [("structure", "text"), ("structure", "xrd")]
    assert everything(3).pairs == [("structure", "text"), ("structure", "xrd"), ("text", "xrd")]
    assert set(InfoNce(PAIRS)(everything(3, anchor="text")).parts) == {"structure-text", "text-xrd"}


def test_auxiliary_losses_are_added():
    loss = InfoNce(PAIRS).double()
    extra = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    with_extra = loss(everything(4, auxiliary={"mlm": extra}))
    assert with_extra.parts["mlm"] == 0.5
    assert float((with_extra.total - loss(everything(4)).total).detach()) == pytest.approx(0.5)
    with_extra.total.backward()
    assert float(extra.grad) == 1


def test_a_batch_without_complete_records_is_zero():
    present = {"a": torch.tensor([True, False, True]), "b": torch.tensor([True, True, False])}
    loss = InfoNce(["a-b"])(Embedded({"a": unit(3).float(), "b": unit(3).float()}, present))
    assert float(loss.total) == 0
    assert loss.parts == {}


def test_pair_name_ignores_order():
    assert pair_name("text", "structure") == pair_name("structure", "text") == "structure-text"
