"""MEGNet against the paper's equations as loops over rows written out, in float64."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.megnet import Megnet, MegnetConfig, softplus2
from prismat.encoders.segment import Groups
from prismat.encoders.set2set import Set2Set
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

CONFIG = MegnetConfig(width=4, hidden=5, blocks=2, readout=3, passes=2, centers=7, out=4)
NAMES = ("NaCl", "rutile", "quartz")


def collate(crystals, reduced=True):
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    made = collate([real.crystals()[name] for name in NAMES], request.param)
    return replace(made, distance=made.distance.double(), occupancy=made.occupancy.double())


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Megnet(CONFIG).double()


def activation(x):
    return torch.log(0.5 * torch.exp(x) + 0.5)


def dense(layers, x):
    """Linear layers with the activation after each, from their weights."""
    for layer in layers[::2]:
        x = activation(layer.weight @ x + layer.bias)
    return x


def set2set(module, items):
    """One set, items one by one."""
    n = module.hidden
    memory = [module.item.weight @ x + module.item.bias for x in items]
    star, cell = torch.zeros(2 * n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    for _ in range(module.passes):
        i, f, g, o = (module.gates.weight @ star + module.gates.bias).view(4, n)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        query = o.sigmoid() * cell.tanh()
        attention = torch.stack([m @ query for m in memory]).softmax(0)
        star = torch.cat([query, sum(a * m for a, m in zip(attention, memory, strict=True))])
    return star


def mean(rows, times):
    """Of rows written out as often as they count."""
    return torch.stack([row for row, t in zip(rows, times, strict=True) for _ in range(int(t))]).mean(0)


def one_block(block, v, e, u, graph):
    """Features of atoms, edges and state of one crystal, lists of vectors."""
    ends, multiplicity = graph
    v0, e0, u0 = v, e, u
    if block.dense:
        v = [dense(block.dense["atom"], x) for x in v]
        e = [dense(block.dense["bond"], x) for x in e]
        u = dense(block.dense["state"], u)
    matrix = [block.receiver.weight, block.sender.weight, block.edge.weight, block.common.weight]
    matrix = torch.cat(matrix, dim=1)
    e = [
        dense(block.bond, activation(matrix @ torch.cat([v[i], v[j], x, u]) + block.receiver.bias))
        for (i, j), x in zip(ends, e, strict=True)
    ]
    around = [torch.stack([x for (i, _), x in zip(ends, e, strict=True) if i == k]) for k in range(len(v))]
    v = [dense(block.atom, torch.cat([x, a.mean(0), u])) for x, a in zip(v, around, strict=True)]
    edge_times = [multiplicity[i] for i, _ in ends]
    u = dense(block.state, torch.cat([u, mean(v, multiplicity), mean(e, edge_times)]))
    return [a + b for a, b in zip(v0, v, strict=True)], [a + b for a, b in zip(e0, e, strict=True)], u0 + u


def loops(model, batch, g):
    """Output for crystal g alone."""
    nodes = torch.nonzero(batch.node_graph == g)[:, 0].tolist()
    edges = torch.nonzero(batch.node_graph[batch.receiver] == g)[:, 0].tolist()
    ends = [(nodes.index(batch.receiver[k]), nodes.index(batch.sender[k])) for k in edges]
    multiplicity = batch.multiplicity[nodes].tolist()
    embedded = model.embedding(batch)
    centers = torch.linspace(0, CONFIG.cutoff, CONFIG.centers, dtype=torch.float64)
    v = [dense(model.atom, embedded[k]) for k in nodes]
    e = [dense(model.bond, torch.exp(-(((batch.distance[k] - centers) / 0.5) ** 2))) for k in edges]
    u = model.state
    for block in model.blocks:
        v, e, u = one_block(block, v, e, u, (ends, multiplicity))
    atoms = [x for x, m in zip(v, multiplicity, strict=True) for _ in range(int(m))]
    bonds = [x for (i, _), x in zip(ends, e, strict=True) for _ in range(int(multiplicity[i]))]
    read = [set2set(model.read_atoms, atoms), set2set(model.read_bonds, bonds), u]
    return dense(model.head, torch.cat(read))


def test_output_and_gradients_equal_loops_over_edges(batch, model):
    found = model(batch)
    wanted = torch.stack([loops(model, batch, g) for g in range(batch.n_graphs)])
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found.sin().sum(), parameters)
    plain = torch.autograd.grad(wanted.sin().sum(), parameters)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_every_parameter_receives_a_gradient(batch, model):
    model(batch).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_activation_is_zero_at_zero_and_stays_finite_far_out():
    x = torch.tensor([0.0, 1.0, 300.0, -300.0], dtype=torch.float64)
    wanted = torch.tensor([0.0, log(0.5 * np.e + 0.5), 300 - log(2), -log(2)], dtype=torch.float64)
    torch.testing.assert_close(softplus2(x), wanted, rtol=1e-9, atol=1e-12)


def test_set2set_counts_and_order():
    """An item that counts twice is two items; the order of a set does not matter; an empty set is finite."""
    torch.manual_seed(0)
    module, items = Set2Set(3, 4, 3).double(), torch.randn(3, 3, dtype=torch.float64)
    short = module(items, Groups.of(torch.tensor([0, 0, 2]), 3), torch.tensor([1.0, 2.0, 1.0]))
    long = module(items[[1, 0, 1, 2]], Groups.of(torch.tensor([0, 0, 0, 2]), 3), torch.ones(4))
    torch.testing.assert_close(short, long, rtol=1e-12, atol=1e-12)
    assert torch.isfinite(short[1]).all()
    assert not short[1, 4:].any()
    for rows, row in (([0, 1, 1], 0), ([2], 2)):
        torch.testing.assert_close(short[row], set2set(module, items[rows]), rtol=1e-10, atol=1e-10)


def test_an_atom_alone_has_features_and_gradients(model):
    helium = Crystal(np.eye(3) * 150.0, np.zeros((1, 3)), (((2, 1.0),),))
    batch = collate([helium])
    assert len(batch.receiver) == 0
    single = model.float()
    found = single(batch)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_bfloat16_autocast_agrees_with_single_precision():
    torch.manual_seed(0)
    model, batch = Megnet(), collate([real.crystals()[name] for name in NAMES])
    wanted = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    assert (found.float() - wanted).norm() < 5e-2 * wanted.norm()
    found.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in model.parameters())
