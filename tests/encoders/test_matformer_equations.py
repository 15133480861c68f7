"""Matformer against its equations, one edge and one head at a time, in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders import blocked_sum
from prismat.encoders.lattice_minima import lattice_minima
from prismat.encoders.matformer import Matformer, MatformerConfig, PeriodicGraph
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings, strained

SMALL = MatformerConfig(width=6, heads=2, layers=2, out=5, centers=9)
WATER = Crystal.molecule(
    np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]]),
    (((8, 1.0),), ((1, 1.0),), ((1, 1.0),)),
)


def collate(crystals, reduced=True):
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    names = ("NaCl", "rutile", "quartz", "spinel")
    return collate([*(real.crystals()[n] for n in names), WATER], request.param)


def double(batch):
    changes = {n: getattr(batch, n).double() for n in ("vector", "distance", "multiplicity", "lattice")}
    return replace(batch, **changes)


def all_edges(batch):
    """Receiver, sender and length of every stored edge, and three to itself for each atom of a crystal."""
    edges = list(zip(batch.receiver.tolist(), batch.sender.tolist(), batch.distance.tolist(), strict=True))
    for node, graph in enumerate(batch.node_graph.tolist()):
        if batch.cell[graph, 0] > 0:
            edges += [(node, node, float(x)) for x in lattice_minima(batch.lattice[graph][None])[0]]
    return edges


def norm(x, weight, layer):
    out = torch.repeat_interleave(x, weight.long(), dim=0)
    mean, var = out.mean(0), out.var(0, unbiased=False)
    return (x - mean) / (var + layer.eps).sqrt() * layer.weight + layer.bias


def naive_layer(layer, nodes, edges, features, weight):
    width = nodes.shape[1]
    total = torch.zeros(len(nodes), layer.heads * width, dtype=nodes.dtype)
    for (i, j, _), u in zip(edges, features, strict=True):
        for head in range(layer.heads):
            part = slice(head * width, (head + 1) * width)
            q, k_i, v_i = (f(nodes[i])[part] for f in (layer.query, layer.key, layer.value))
            k_j, v_j = layer.key(nodes[j])[part], layer.value(nodes[j])[part]
            e = layer.edge(u)[part]
            attention = torch.cat([q, q, q]) * torch.cat([k_i, k_j, e]) / math.sqrt(3 * width)
            gate = torch.sigmoid(layer.attention_norm(attention))
            total[i, part] += layer.message_norm(layer.message(gate * layer.mix(torch.cat([v_i, v_j, e]))))
    return nn.functional.softplus(nodes + norm(layer.merge(total), weight, layer.norm))


def naive(model, batch):
    edges = all_edges(batch)
    lengths = torch.tensor([d for _, _, d in edges], dtype=torch.float64)
    features = model.length(model.basis(-0.75 / lengths))
    nodes = model.embedding(batch)
    for layer in model.layers:
        nodes = naive_layer(layer, nodes, edges, features, batch.multiplicity)
    weight = batch.multiplicity[:, None]
    means = [
        (nodes * weight)[batch.node_graph == g].sum(0) / weight[batch.node_graph == g].sum()
        for g in range(batch.n_graphs)
    ]
    return model.head(torch.stack(means))


@pytest.mark.parametrize("numbers", [1, 1000, 10**9], ids=["row by row", "blocks", "one block"])
def test_equals_the_equations_and_their_gradient(batch, numbers, monkeypatch):
    monkeypatch.setattr(blocked_sum, "BLOCK", numbers)
    torch.manual_seed(0)
    model = Matformer(SMALL).double().train()
    for layer in model.layers:
        nn.init.normal_(layer.attention_norm.weight, 1, 0.3)
        nn.init.normal_(layer.message_norm.bias, 0, 0.3)
        nn.init.normal_(layer.norm.weight, 1, 0.3)
    pull = torch.randn(batch.n_graphs, SMALL.out, dtype=torch.float64)
    results = []
    for compute in (model, lambda b: naive(model, b)):
        model.zero_grad()
        out = compute(double(batch))
        (out * pull).sum().backward()
        results.append((out.detach(), {n: p.grad.clone() for n, p in model.named_parameters()}))
    (found, found_grads), (wanted, wanted_grads) = results
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    for name, grad in wanted_grads.items():
        torch.testing.assert_close(found_grads[name], grad, rtol=1e-8, atol=1e-9, msg=name)
    assert all(g.abs().sum() > 0 for n, g in wanted_grads.items() if not n.endswith("merge.bias"))


def test_only_atoms_of_crystals_have_edges_to_themselves(batch):
    plain, periodic = PeriodicGraph.of(batch, self_edges=False), PeriodicGraph.of(batch)
    n_water = int((batch.node_graph == batch.n_graphs - 1).sum())
    assert len(periodic.edges.count) - len(plain.edges.count) == 3 * (batch.n_nodes - n_water)
    last = batch.node_graph[periodic.edges.index[0]] == batch.n_graphs - 1
    assert float(periodic.edges.count[last].sum()) == n_water * (n_water - 1)


def test_equal_edges_are_one_row_that_counts(batch):
    graph = PeriodicGraph.of(batch, self_edges=False)
    assert float(graph.edges.count.sum()) == len(batch.receiver)
    assert len(graph.edges.count) < len(batch.receiver) / 1.4
    assert len(graph.distance) < len(graph.edges.count)


def test_long_axes_are_seen_through_edges_to_oneself():
    """Two layered cells with equal neighbourhoods within the cutoff differ by the length of an axis."""
    sheet = np.array([[0.0, 0, 0], [0.5, 0.5, 0]])
    crystals = [Crystal(np.diag([3.0, 3.4, c]), sheet, (((11, 1.0),), ((17, 1.0),))) for c in (9.0, 14.0)]
    batch = collate(crystals)
    torch.manual_seed(0)
    with torch.no_grad():
        a, b = Matformer(replace(SMALL, centers=128)).eval()(batch)
        c, d = Matformer(replace(SMALL, centers=128, self_edges=False)).eval()(batch)
    assert (a - b).abs().max() > 1e-4
    assert (c - d).abs().max() < 1e-6


def test_strain_reaches_edges_to_oneself(batch):
    wide = PeriodicGraph.of(strained(batch, torch.full((batch.n_graphs,), 1.05)))
    plain = PeriodicGraph.of(batch)
    torch.testing.assert_close(wide.distance.max(), plain.distance.max() * 1.05)


def test_runs_in_half_precision(batch):
    torch.manual_seed(0)
    model = Matformer(replace(SMALL, width=32)).train()
    exact = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    found.float().square().sum().backward()
    assert (found.float() - exact).abs().max() < 0.1 * exact.abs().max()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_lone_atom_without_a_cell():
    helium = Crystal.molecule(np.zeros((1, 3)), (((2, 1.0),),))
    model = Matformer(SMALL).train()
    out = model(collate([helium, helium]))
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
