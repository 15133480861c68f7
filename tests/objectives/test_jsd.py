"""The loss of CLaC against loops over records, and its prior."""

import math

import pytest
import torch
from helpers_objectives import batches, check_gradients, complete, dot, is_same, unit, whole
from hypothesis import given, settings

from prismat.errors import BadInputError
from prismat.objectives.base import Embedded
from prismat.objectives.jsd import JensenShannon, JsdConfig
from prismat.objectives.prior import SpherePrior

NAMES = ("a", "b", "c")


def softplus(x):
    return math.log1p(math.exp(x))


def naive(batch, x, y, rows, s):
    if len(rows) < 2:
        return None
    others = [softplus(s * dot(x[i], y[j])) for i in rows for j in rows if not is_same(batch, i, j)]
    own = sum(softplus(-s * dot(x[i], y[i])) for i in rows) / len(rows)
    return own + (sum(others) / len(others) if others else 0.0)


@settings(max_examples=30)
@given(batches(NAMES, views=("a", "b")))
def test_terms_between_and_within_equal_naive_loops(batch):
    objective = JensenShannon(NAMES, 4, JsdConfig(prior=0.0, intra=0.5), weights={"a-b": 2.0}).double()
    loss, e, s = objective(batch), batch.embeddings, objective.scales()
    expected = {
        f"{x}-{y}": naive(batch, e[x], e[y], complete(batch, x, y), s[f"{x}-{y}"])
        for x, y in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    within = {
        f"{x}-{x}": naive(batch, e[x], batch.views[x], complete(batch, x), s[f"{x}-{x}"]) for x in ("a", "b")
    }
    found = {k: v for k, v in {**expected, **within}.items() if v is not None}
    assert loss.parts == pytest.approx(found, rel=1e-10)
    weights = {"a-b": 1.8, "a-c": 0.9, "b-c": 0.9, "a-a": 0.5, "b-b": 0.5}
    total = sum(weights[k] * v for k, v in found.items())
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-10)
    check_gradients(batch, loss)


def test_what_is_needed_follows_from_the_weights():
    plain = JensenShannon(NAMES, 4, JsdConfig(intra=0.0, prior=0.0))
    assert (plain.views, plain.needs_shared_heads, len(list(plain.parameters()))) == ((), False, 3)
    full = JensenShannon(NAMES, 4)
    assert (full.views, full.needs_shared_heads) == (NAMES, True)
    assert list(full.scales()) == ["a-b", "a-c", "b-c", "a-a", "b-b", "c-c"]
    without = JensenShannon(NAMES, 5, JsdConfig(inter=0.0))(whole(NAMES, 4, views={"a": unit(4)}))
    assert set(without.parts) == {"a-a", "a-prior", "b-prior", "c-prior"}


def test_curriculum_weights_reach_the_pairs():
    objective = JensenShannon(NAMES, 5, JsdConfig(prior=0.0)).double()
    parts = objective(whole(NAMES, 4)).parts
    found = objective(whole(NAMES, 4), {"a-b": 0.0, "a-c": 2.0})
    assert float(found.total.detach()) == pytest.approx(0.9 * (2 * parts["a-c"] + parts["b-c"]))


def test_gradients_agree_with_finite_differences():
    objective = JensenShannon(("a", "b"), 3, JsdConfig(temperature=0.5, prior=0.0)).double()
    present = {"a": torch.tensor([True, True, True]), "b": torch.tensor([True, True, False])}

    def total(a, b, view):
        return objective(Embedded({"a": a, "b": b}, present, views={"a": view})).total

    assert torch.autograd.gradcheck(total, [unit(3, 3, seed).requires_grad_() for seed in range(3)])


def prior_cost(prior, vectors):
    torch.manual_seed(5)
    return prior(vectors)


def test_prior_is_the_cost_of_telling_embeddings_from_the_sphere():
    prior, vectors = SpherePrior(3, 8).double(), unit(6, 3)
    torch.manual_seed(5)
    drawn = torch.randn(6, 3)
    expected = 0.0
    for row in drawn.double():
        expected += softplus(-float(prior.net(row / row.norm()).detach())) / 6
    for row in vectors:
        expected += softplus(float(prior.net(row).detach())) / 6
    assert float(prior_cost(prior, vectors).detach()) == pytest.approx(expected, rel=1e-6)


def test_prior_descends_for_the_discriminator_and_ascends_for_embeddings():
    prior, vectors = SpherePrior(3, 8).double(), unit(6, 3).requires_grad_()
    prior_cost(prior, vectors).backward()
    step = 1e-6
    with torch.no_grad():
        start = float(prior_cost(prior, vectors))
        moved = vectors.clone()
        moved[2, 1] += step
        slope = (float(prior_cost(prior, moved)) - start) / step
        assert float(vectors.grad[2, 1]) == pytest.approx(-slope, rel=1e-3)
        prior.net[0].weight[3, 1] += step
        slope = (float(prior_cost(prior, vectors)) - start) / step
        assert float(prior.net[0].weight.grad[3, 1]) == pytest.approx(slope, rel=1e-3)


def test_prior_spreads_embeddings_that_crowd():
    """Trained alone, it takes points from a cap to all of the sphere: their mean goes to the centre."""
    torch.manual_seed(0)
    points = torch.nn.Parameter(torch.tensor([[3.0, 0.0, 0.0]]) + torch.randn(128, 3) * 0.3)
    prior = SpherePrior(3, 32)
    optimizer = torch.optim.Adam(
        [{"params": [points], "lr": 0.02}, {"params": prior.parameters(), "lr": 0.01}]
    )
    for _ in range(300):
        optimizer.zero_grad()
        prior(torch.nn.functional.normalize(points, dim=1)).backward()
        optimizer.step()
    assert float(torch.nn.functional.normalize(points.detach(), dim=1).mean(0).norm()) < 0.3


def test_draws_are_replayed_from_the_default_generator():
    objective, batch = JensenShannon(NAMES, 5, JsdConfig()).double(), whole(NAMES, 6)
    totals = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        totals.append(float(objective(batch).total.detach()))
    assert totals[0] == totals[1] != totals[2]


def test_absent_records_do_not_reach_the_prior():
    objective = JensenShannon(("a", "b"), 5, JsdConfig(inter=0.0, intra=0.0)).double()
    present = {"a": torch.tensor([True, False, True]), "b": torch.tensor([False, False, True])}
    vectors = unit(3)
    vectors[1] = math.nan
    vectors.requires_grad_()
    loss = objective(Embedded({"a": vectors, "b": vectors}, present))
    assert set(loss.parts) == {"a-prior"}
    loss.total.backward()
    assert torch.isfinite(vectors.grad).all()
    assert not vectors.grad[1].any()


def test_pair_heads_alone_are_refused_with_the_remedy():
    batch = Embedded({}, dict.fromkeys(NAMES, torch.ones(3) > 0))
    with pytest.raises(BadInputError, match=r"projection\.heads to shared"):
        JensenShannon(NAMES, 4, JsdConfig(inter=0.0))(batch)


def test_negative_weights_are_refused():
    with pytest.raises(BadInputError, match="0 or more"):
        JensenShannon(NAMES, 4, JsdConfig(prior=-1.0))
