"""Gated sums, edge moments and mixed precision against plain PyTorch on rows written out."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.encoders import gated_sum
from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig
from prismat.encoders.edge_moments import EdgeMoments
from prismat.encoders.gated_sum import GatedSum
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality

CENTERS, GATES = 5, 6


@pytest.fixture(scope="module")
def batch():
    modality = StructureModality()
    rows = [modality.featurize(Material(n, real.crystals()[n])) for n in ("rutile", "quartz", "spinel")]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture
def terms(batch):
    torch.manual_seed(0)
    shapes = (
        (len(batch.receiver), CENTERS),
        (CENTERS, GATES),
        (batch.n_nodes, GATES),
        (batch.n_nodes, GATES),
    )
    return [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def edges_of(batch):
    return torch.stack([batch.receiver, batch.sender])


def gates_of(batch, radial, weight, receiver, sender):
    return receiver[batch.receiver] + sender[batch.sender] + radial @ weight


def plain_sum(batch, *terms):
    gate, core = gates_of(batch, *terms).chunk(2, dim=1)
    message = torch.sigmoid(gate) * nn.functional.softplus(core)
    return torch.zeros(batch.n_nodes, GATES // 2, dtype=message.dtype).index_add(0, batch.receiver, message)


@pytest.mark.parametrize("block", [1, 7, 8192])
def test_gated_sum_and_its_gradients_equal_plain_autograd(batch, terms, block, monkeypatch):
    monkeypatch.setattr(gated_sum, "BLOCK", block)
    found, expected = GatedSum.apply(*terms, edges_of(batch)), plain_sum(batch, *terms)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    ours = torch.autograd.grad(found.sin().sum(), terms)
    plain = torch.autograd.grad(expected.sin().sum(), terms)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("core", [-200.0, 200.0])
def test_saturated_gates_stay_finite(batch, terms, core):
    radial, weight, _, sender = (t.detach().float() for t in terms)
    receiver = torch.full_like(sender, core).requires_grad_()
    GatedSum.apply(radial, weight, receiver, sender, edges_of(batch)).sum().backward()
    assert torch.isfinite(receiver.grad).all()


def test_no_edges_give_zero():
    empty = torch.zeros(0, CENTERS)
    nodes = torch.randn(3, GATES, requires_grad=True)
    edges = torch.zeros(2, 0, dtype=torch.int64)
    total = GatedSum.apply(empty, torch.randn(CENTERS, GATES), nodes, nodes, edges)
    total.sum().backward()
    assert not total.any()
    assert not nodes.grad.any()


def test_mean_and_variance_equal_those_of_rows_written_out(batch, terms):
    moments = EdgeMoments.of(terms[0], batch)
    found = moments.mean_and_variance(*terms[1:])
    times = batch.multiplicity[batch.receiver].long()
    rows = torch.repeat_interleave(gates_of(batch, *terms), times, dim=0)
    expected = rows.mean(0), rows.var(0, unbiased=False)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    ours = torch.autograd.grad(found[0].sin().sum() + found[1].sin().sum(), terms)
    plain = torch.autograd.grad(expected[0].sin().sum() + expected[1].sin().sum(), terms)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("offset", [10.0, 1000.0])
def test_variance_does_not_cancel_far_from_zero(batch, terms, offset):
    radial, weight, receiver, sender = terms
    terms = [radial, weight, receiver + offset, sender - offset / 2]
    single = [t.detach().float() for t in terms]
    found = EdgeMoments.of(single[0], batch).mean_and_variance(*single[1:])[1]
    exact = EdgeMoments.of(terms[0], batch).mean_and_variance(*terms[1:])[1]
    torch.testing.assert_close(found.double(), exact, rtol=3e-6 * offset, atol=0)


def test_gradient_by_distance_equals_finite_differences(batch):
    torch.manual_seed(0)
    model = Cgcnn(CgcnnConfig(width=4, layers=2, out=3, centers=CENTERS)).double()
    small = replace(batch, distance=batch.distance.double())

    def energy(distance):
        return model(replace(small, distance=distance)).sin().sum()

    direction = torch.randn_like(small.distance)
    distance = small.distance.clone().requires_grad_()
    (slope,) = torch.autograd.grad(energy(distance), distance)
    step = 1e-5 * direction
    with torch.no_grad():
        numeric = (energy(small.distance + step) - energy(small.distance - step)) / 2e-5
    torch.testing.assert_close(slope @ direction, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_autocast_agrees_with_single_precision(batch, normalize, training):
    torch.manual_seed(0)
    model = Cgcnn(CgcnnConfig(width=32, normalize=normalize)).train(training)
    single = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(batch)
    assert ((half.float() - single).norm() / single.norm()) < 2e-2
    assert all(b.dtype == torch.float32 for b in model.buffers() if b.is_floating_point())
    half.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in model.parameters())
