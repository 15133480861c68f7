"""CosFace, SigLIP and triplets of a pair against loops over records in float64."""

import math
from itertools import product

import pytest
import torch
from helpers_objectives import batches, check_gradients, complete, dot, is_same, permuted, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.objectives.base import Embedded
from prismat.objectives.cosface import CosFace, CosFaceConfig
from prismat.objectives.infonce import InfoNce, InfoNceConfig
from prismat.objectives.jsd import JsdTerm
from prismat.objectives.pairs import AllPairs
from prismat.objectives.siglip import SigLip, SigLipConfig
from prismat.objectives.triplet import Triplet, TripletConfig


def softplus(x):
    return math.log1p(math.exp(x))


def cosines(batch, rows):
    a, b = batch.embeddings["a"], batch.embeddings["b"]
    return {(i, j): dot(a[i], b[j]) for i in rows for j in rows}


def naive_cosface(batch, rows, s, m):
    c, total = cosines(batch, rows), 0.0
    for i in rows:
        own = s * (c[i, i] - m)
        for way in (lambda i, j: c[i, j], lambda i, j: c[j, i]):
            others = sum(math.exp(s * way(i, j)) for j in rows if not is_same(batch, i, j))
            total -= math.log(math.exp(own) / (math.exp(own) + others))
    return total / len(rows) / 2


def naive_siglip(batch, rows, t, b):
    c, total = cosines(batch, rows), 0.0
    for i in rows:
        for j in rows:
            if i == j:
                total += softplus(-(t * c[i, j] + b))
            elif not is_same(batch, i, j):
                total += softplus(t * c[i, j] + b)
    return total / len(rows)


def naive_triplet(batch, rows, margin, mining):
    a, b = batch.embeddings["a"].tolist(), batch.embeddings["b"].tolist()
    total = 0.0
    for x, y in ((a, b), (b, a)):
        means = []
        for i in rows:
            distances = [math.dist(x[i], y[j]) for j in rows if not is_same(batch, i, j)]
            own = math.dist(x[i], y[i])
            if mining == "noneasy":
                distances = [d for d in distances if d < own + margin]
            if mining == "hardest":
                distances = sorted(distances)[:1]
            if distances:
                means.append(sum(max(0.0, own - d + margin) for d in distances) / len(distances))
        total += sum(means) / len(means) if means else 0.0
    return total / 2


def naive_jsd(batch, rows, s):
    c = cosines(batch, rows)
    others = [softplus(s * c[i, j]) for i in rows for j in rows if not is_same(batch, i, j)]
    own = sum(softplus(-s * c[i, i]) for i in rows) / len(rows)
    return own + (sum(others) / len(others) if others else 0.0)


TERMS = {
    "cosface": (CosFace, lambda b, r, s: naive_cosface(b, r, s["scale"], s["margin"])),
    "cosface blocks": (
        lambda: CosFace(CosFaceConfig(chunk=2, margin=0.3)),
        lambda b, r, s: naive_cosface(b, r, s["scale"], s["margin"]),
    ),
    "siglip": (SigLip, lambda b, r, s: naive_siglip(b, r, s["scale"], s["bias"])),
    "jsd": (JsdTerm, lambda b, r, s: naive_jsd(b, r, s["scale"])),
    **{
        f"triplet {mining} {margin}": (
            lambda mining=mining, margin=margin: Triplet(TripletConfig(margin, mining)),
            lambda b, r, s, mining=mining: naive_triplet(b, r, s["margin"], mining),
        )
        for mining in ("noneasy", "all", "hardest")
        for margin in (1.0, 0.2)
    },
}


@pytest.mark.parametrize("kind", TERMS)
@settings(max_examples=25)
@given(batches(("a", "b")), st.randoms())
def test_terms_equal_naive_loops_in_any_order(kind, batch, random):
    make, naive = TERMS[kind]
    objective = AllPairs(("a", "b"), make).double()
    loss, rows = objective(batch), complete(batch, "a", "b")
    scalars = objective.pair_term("a-b").scalars()
    expected = naive(batch, rows, scalars) if len(rows) > 1 else 0.0
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-10, abs=1e-10)
    order = list(range(len(batch.present["a"])))
    random.shuffle(order)
    again = float(objective(permuted(batch, order)).total.detach())
    assert again == pytest.approx(expected, rel=1e-10, abs=1e-10)
    check_gradients(batch, loss)


@pytest.mark.parametrize("kind", TERMS)
def test_gradients_agree_with_finite_differences(kind):
    term = TERMS[kind][0]().double()
    for parameter in term.parameters():
        parameter.requires_grad_()
    same = torch.eye(5) > 0
    same[0, 1] = same[1, 0] = True
    vectors = [unit(5, 3, seed).requires_grad_() for seed in range(2)]
    names = [name for name, _ in term.named_parameters()]

    def total(left, right, *values):
        return torch.func.functional_call(term, dict(zip(names, values, strict=True)), (left, right, same))

    assert torch.autograd.gradcheck(
        total, (*vectors, *(p.detach().requires_grad_() for p in term.parameters()))
    )


@pytest.mark.parametrize("kind", TERMS)
def test_terms_are_single_precision_under_autocast_and_finite_for_equal_embeddings(kind):
    objective = AllPairs(("a", "b"), TERMS[kind][0])
    left = unit(4).to(torch.bfloat16).requires_grad_()
    batch = Embedded({"a": left, "b": left}, dict.fromkeys("ab", torch.ones(4) > 0))
    with torch.autocast("cpu", torch.bfloat16):
        total = objective(batch).total
    assert total.dtype == torch.float32
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(left.grad).all()


def test_cosface_without_margin_is_infonce():
    left, right, same = unit(6), unit(6, seed=1), torch.rand(6, 6) < 0.2
    plain = InfoNce(InfoNceConfig(temperature=1 / 3, min_temperature=0.01)).double()
    found = CosFace(CosFaceConfig(margin=0.0, scale=3.0)).double()(left, right, same)
    torch.testing.assert_close(found, plain(left, right, same), rtol=1e-12, atol=0)


def test_a_margin_costs_and_a_learned_one_can_only_fall():
    left, right = unit(6), unit(6, seed=1)
    costs = [float(CosFace(CosFaceConfig(margin=m)).double()(left, right, None)) for m in (0.0, 0.3, 0.5)]
    assert costs == sorted(costs)
    term = CosFace(CosFaceConfig(learn_margin=True, learn_scale=True)).double()
    term(left, right, None).backward()
    assert float(term.margin.grad) > 0
    assert term.scale.log_scale.grad is not None
    assert not any(p.requires_grad for p in CosFace().parameters())
    assert CosFace().scalars() == pytest.approx({"scale": 3.0, "margin": 0.5})


def test_siglip_without_bias_has_the_summands_of_jensen_shannon():
    left, right, n = unit(5), unit(5, seed=1), 5
    siglip = SigLip(SigLipConfig(scale=2.0, bias=0.0)).double()(left, right, None)
    scores = left @ right.T * 2
    positive = torch.nn.functional.softplus(-scores.diagonal()).mean()
    negative = (siglip - positive) * n / (n * (n - 1))
    found = JsdTerm(0.5).double()(left, right, None)
    torch.testing.assert_close(found, positive + negative, rtol=1e-7, atol=0)


def test_siglip_starts_as_in_the_paper_and_learns_both_scalars():
    term = SigLip()
    assert term.scalars() == pytest.approx({"scale": 10.0, "bias": -10.0})
    assert [p.requires_grad for p in term.parameters()] == [True, True]


def test_noneasy_mean_is_the_expectation_of_one_random_draw():
    """Every anchor draws one of its negatives that cost something; averaged over all combinations."""
    x, y, margin = unit(4).tolist(), unit(4, seed=1).tolist(), 0.6
    expected = 0.0
    for a, b in ((x, y), (y, x)):
        costs = []
        for i in range(4):
            every = [math.dist(a[i], b[i]) - math.dist(a[i], b[j]) + margin for j in range(4) if j != i]
            costs.append([c for c in every if c > 0])
        draws = [sum(draw) / len(draw) for draw in product(*(c for c in costs if c))]
        expected += sum(draws) / len(draws) / 2
    found = Triplet(TripletConfig(margin)).double()(unit(4), unit(4, seed=1), None)
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: CosFace(CosFaceConfig(margin=1.5)), "margin of 0 to 1"),
        (lambda: CosFace(CosFaceConfig(scale=0.0)), "scale greater than 0"),
        (lambda: SigLip(SigLipConfig(scale=-1.0)), "SigLIP starts with 10"),
        (lambda: Triplet(TripletConfig(margin=0.0)), "margin greater than 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, remedy):
    with pytest.raises(BadInputError, match=remedy):
        make()
