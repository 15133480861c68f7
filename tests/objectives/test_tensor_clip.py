"""The loss over triples against loops over triples in float64."""

import math
from itertools import product

import pytest
import torch
from helpers_objectives import batches, check_gradients, is_same, peak_bytes, permuted, unit, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.objectives.base import Embedded
from prismat.objectives.tensor_clip import TensorClip, TensorClipConfig

NAMES = ("a", "b", "c")


def naive(batch, scale):
    """Every triple visited; ⅓ of the weighted mean of each direction."""
    vectors = [batch.embeddings[k].tolist() for k in NAMES]
    rows = [[i for i, p in enumerate(batch.present[k].tolist()) if p] for k in NAMES]
    logits = {
        t: scale
        * sum(math.prod(v[i][d] for v, i in zip(vectors, t, strict=True)) for d in range(len(vectors[0][0])))
        for t in product(*rows)
    }
    weights = {t: {1: 1.0, 2: 0.5, 3: 0.0}[len(set(t))] for t in logits}
    negatives = [
        t for t in logits if not any(is_same(batch, t[p], t[q]) for p, q in ((0, 1), (0, 2), (1, 2)))
    ]
    loss = None
    for direction in range(3):
        total = weight = 0.0
        for anchor in rows[direction]:
            denominator = sum(math.exp(logits[t]) for t in negatives if t[direction] == anchor)
            for t, w in weights.items():
                if t[direction] == anchor and denominator > 0:
                    total += w * (math.log(denominator) - logits[t])
                    weight += w
        if weight > 0:
            loss = (loss or 0.0) + total / weight / 3
    return loss


@pytest.mark.parametrize("chunk", [0, 2])
@settings(max_examples=30)
@given(batches(NAMES, smallest=2, largest=6), st.randoms())
def test_loss_equals_a_naive_loop_in_any_order(chunk, batch, random):
    objective = TensorClip(NAMES, TensorClipConfig(chunk=chunk)).double()
    expected, loss = naive(batch, objective.scales()["a-b-c"]), objective(batch)
    assert loss.parts == (
        {} if expected is None else pytest.approx({"a-b-c": expected}, rel=1e-10, abs=1e-10)
    )
    order = list(range(len(batch.present["a"])))
    random.shuffle(order)
    again = objective(permuted(batch, order)).total.detach()
    assert float(again) == pytest.approx(expected or 0.0, rel=1e-10, abs=1e-10)
    check_gradients(batch, loss)


def test_published_form_is_a_constant_multiple():
    """Sum over targets and directions, divided by the batch, as in the code of the publication."""
    n, scale = 5, 5.0
    a, b, c = (unit(n, seed=i) for i in range(3))
    logits = torch.einsum("id,jd,kd->ijk", a, b, c) * scale
    index = torch.arange(n)
    i, j, k = index[:, None, None], index[None, :, None], index[None, None, :]
    weights = ((i == j).double() + (i == k).double() + (j == k).double()) / 2
    weights[index, index, index] = 1.0
    exponentials = logits.exp() * (weights == 0)
    published = sum(
        (weights * (exponentials.sum(axes, keepdim=True).log() - logits)).sum() / n
        for axes in ((1, 2), (0, 2), (0, 1))
    )
    found = TensorClip(NAMES).double()(Embedded({"a": a, "b": b, "c": c}, dict.fromkeys(NAMES, index >= 0)))
    factor = 3 * (1 + 3 * (n - 1) / 2)
    assert float(found.total) * factor == pytest.approx(float(published), rel=1e-7)


@pytest.mark.parametrize("chunk", [1, 4, 7, 12, 40])
def test_blocks_change_neither_value_nor_gradient(chunk):
    labels = torch.tensor([0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9])
    present = {k: torch.arange(12) % 5 != i for i, k in enumerate(NAMES)}
    found = []
    for size in (0, chunk):
        objective = TensorClip(NAMES, TensorClipConfig(learn_temperature=True, chunk=size)).double()
        vectors = {k: unit(12, 6, seed=i).requires_grad_() for i, k in enumerate(NAMES)}
        total = objective(Embedded(vectors, present, same=labels[:, None] == labels)).total
        total.backward()
        found.append((total.detach(), *(v.grad for v in vectors.values()), objective.scale.log_scale.grad))
    for dense, blocked in zip(*found, strict=True):
        torch.testing.assert_close(dense, blocked, rtol=1e-10, atol=1e-12)


def test_blocks_never_hold_the_whole_cube():
    n, peaks = 96, []
    for chunk in (0, 2):
        objective = TensorClip(NAMES, TensorClipConfig(chunk=chunk)).double()
        vectors = {k: unit(n, seed=i).requires_grad_() for i, k in enumerate(NAMES)}
        batch = Embedded(vectors, dict.fromkeys(NAMES, torch.ones(n) > 0))
        peaks.append(peak_bytes(lambda objective=objective, batch=batch: objective(batch).total.backward()))
    assert peaks[0] > 8 * n**3 > 3 * peaks[1]


@pytest.mark.parametrize("chunk", [0, 2])
def test_gradients_agree_with_finite_differences(chunk):
    objective = TensorClip(NAMES, TensorClipConfig(temperature=0.5, chunk=chunk)).double()
    same = torch.eye(5) > 0
    same[0, 1] = same[1, 0] = True
    present = {k: torch.tensor([True, True, True, True, k != "b"]) for k in NAMES}

    def total(*vectors):
        return objective(Embedded(dict(zip(NAMES, vectors, strict=True)), present, same=same)).total

    assert torch.autograd.gradcheck(total, [unit(5, 3, seed).requires_grad_() for seed in range(3)])


def test_three_different_records_are_the_least():
    assert TensorClip(NAMES).double()(whole(NAMES, 2)).parts == {}
    assert set(TensorClip(NAMES).double()(whole(NAMES, 3)).parts) == {"a-b-c"}
    equal = torch.ones(5, 5) > 0
    loss = TensorClip(NAMES).double()(whole(NAMES, 5, same=equal))
    assert (float(loss.total), loss.total.requires_grad) == (0.0, False)


def test_embeddings_that_agree_cost_less_than_a_shuffle():
    vectors = torch.nn.functional.normalize(unit(32, 16).abs() ** 3)
    present = dict.fromkeys(NAMES, torch.ones(32) > 0)
    good = TensorClip(NAMES).double()(Embedded({"a": vectors, "b": vectors, "c": vectors}, present)).total
    shuffled = {"a": vectors, "b": vectors.roll(1, 0), "c": vectors.roll(2, 0)}
    assert float(good) < float(TensorClip(NAMES).double()(Embedded(shuffled, present)).total)


def test_single_precision_under_autocast():
    batch = Embedded(
        {k: unit(6, seed=i).to(torch.bfloat16) for i, k in enumerate(NAMES)},
        dict.fromkeys(NAMES, torch.ones(6) > 0),
    )
    exact = TensorClip(NAMES).double()(
        Embedded({k: v.double() for k, v in batch.embeddings.items()}, batch.present)
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = TensorClip(NAMES)(batch).total
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(exact.total), rel=1e-5)


def test_temperature_is_fixed_unless_learned():
    assert TensorClip(NAMES).scales() == pytest.approx({"a-b-c": 5.0})
    assert not any(p.requires_grad for p in TensorClip(NAMES).parameters())


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c", "d"), ("a", "b", "b")])
def test_other_numbers_of_windows_are_refused(names):
    with pytest.raises(BadInputError, match="three different"):
        TensorClip(names)


def test_weights_of_pairs_are_refused():
    with pytest.raises(BadInputError, match="no pairs"):
        TensorClip(NAMES)(whole(NAMES, 4), {"a-b": 2.0})


def test_pair_heads_alone_are_refused():
    with pytest.raises(BadInputError, match=r"projection\.heads to shared"):
        TensorClip(NAMES)(Embedded({}, dict.fromkeys(NAMES, torch.ones(3) > 0)))
