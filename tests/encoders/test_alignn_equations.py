"""ALIGNN against eqs. 3 to 5 of CrysMMNet, one link at a time, in float64; its own gradients too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders import normed_rows
from prismat.encoders.alignn import Alignn, AlignnConfig
from prismat.encoders.edge_gated import EPSILON, EdgeGatedConv, Links
from prismat.encoders.line_graph import line_graph
from prismat.encoders.normed_rows import NormedLayer
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

WIDTH = 5
SMALL = AlignnConfig(width=WIDTH, embedding=4, alignn_layers=2, gcn_layers=1, edge_centers=9, angle_centers=7)


def collate(crystals, reduced=True):
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    return collate([real.crystals()[n] for n in ("NaCl", "rutile", "wuestite")], request.param)


@pytest.fixture(params=[True, False], ids=["one block", "many blocks"])
def block(request, monkeypatch):
    monkeypatch.setattr(normed_rows, "BLOCK", 10**6 if request.param else 7)


def double(batch):
    floats = ("vector", "distance", "multiplicity", "rotation")
    return replace(batch, **{n: getattr(batch, n).double() for n in floats})


def norm(x, weight, layer):
    """Batch normalisation over rows written out as often as they count."""
    if not layer.training or not len(x):
        return (x - layer.running_mean) / (layer.running_var + layer.eps).sqrt() * layer.weight + layer.bias
    out = torch.repeat_interleave(x, weight.long(), dim=0)
    mean, var = out.mean(0), out.var(0, unbiased=False)
    return (x - mean) / (var + layer.eps).sqrt() * layer.weight + layer.bias


def naive_conv(conv, nodes, links, graph):
    silu = nn.functional.silu
    a, w = conv.own.weight.chunk(2)
    b, v = conv.other.weight.chunk(2)
    ends = list(zip(graph.receiver.tolist(), graph.sender.tolist(), strict=True))
    gates = [
        a @ nodes[i] + b @ nodes[j] + conv.link.weight @ u for (i, j), u in zip(ends, links, strict=True)
    ]
    gates = torch.stack(gates) if gates else links
    links = links + silu(norm(gates, graph.weight, conv.link_norm))
    above, below = torch.zeros_like(nodes), torch.zeros_like(nodes)
    for (i, j), u in zip(ends, links, strict=True):
        above[i] += torch.sigmoid(u) * (v @ nodes[j])
        below[i] += torch.sigmoid(u)
    rows = nodes @ w.t() + above / (below + EPSILON)
    return nodes + silu(norm(rows, graph.node_weight, conv.node_norm)), links


def naive_embedding(embedding, values, weight):
    rows = embedding.basis(values)
    for layer in (embedding.first, embedding.second):
        rows = nn.functional.silu(norm(rows @ layer.linear.weight.t(), weight, layer.norm))
    return rows


def naive(model, batch):
    """The whole encoder by the equations; the line graph has a test of its own."""
    atoms, of_edge = batch.multiplicity, batch.multiplicity[batch.receiver]
    found = line_graph(batch)
    bonds = Links(batch.receiver, batch.sender, of_edge, atoms)
    angles = Links(found.edge_of, found.edge_in, found.multiplicity, of_edge)
    h = nn.functional.silu(norm(model.embedding(batch), atoms, model.atom_norm))
    e = naive_embedding(model.edge_embedding, batch.distance, of_edge)
    t = naive_embedding(model.angle_embedding, found.cosine, found.multiplicity)
    for on_angles, on_bonds in zip(model.on_angles, model.on_bonds, strict=False):
        m, t = naive_conv(on_angles, e, t, angles)
        h, e = naive_conv(on_bonds, h, m, bonds)
    for on_bonds in model.on_bonds[len(model.on_angles) :]:
        h, e = naive_conv(on_bonds, h, e, bonds)
    means = []
    for g in range(batch.n_graphs):
        of_graph, of_bond = batch.node_graph == g, batch.node_graph[batch.receiver] == g
        mean = (h * atoms[:, None])[of_graph].sum(0) / atoms[of_graph].sum()
        bond = (e * of_edge[:, None])[of_bond].sum(0) / of_edge[of_bond].sum()
        of_angle = batch.node_graph[batch.receiver[found.edge_of]] == g
        angle = (t * found.multiplicity[:, None])[of_angle].sum(0) / found.multiplicity[of_angle].sum()
        means.append(mean + model.of_bonds.weight @ bond + model.of_angles.weight @ angle)
    return torch.stack(means)


def shaken(model):
    """Scales and shifts of the norms drawn at random, so that none of them could be left out."""
    for name, parameter in model.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, float(name.endswith("weight")), 0.3)
    return model


def both(functions, pull, model):
    """Output and parameters' gradients of each function."""
    results = []
    for function in functions:
        model.zero_grad()
        out = function()
        (out * pull).sum().backward()
        results.append((out.detach(), {n: p.grad.clone() for n, p in model.named_parameters()}))
    return results


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.usefixtures("block")
def test_equals_the_equations_and_their_gradient(batch, training):
    torch.manual_seed(0)
    model, batch = shaken(Alignn(SMALL).double()).train(), double(batch)
    model(batch)  # running statistics that are not those of a fresh module
    model.train(training)
    pull = torch.randn(batch.n_graphs, WIDTH, dtype=torch.float64)
    found, wanted = both((lambda: model(batch), lambda: naive(model, batch)), pull, model)
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-10, atol=1e-10)
    for name, grad in wanted[1].items():
        torch.testing.assert_close(found[1][name], grad, rtol=1e-7, atol=1e-9, msg=name)
        assert grad.abs().sum() > 0, name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.usefixtures("block")
def test_gradients_of_the_convolution_equal_finite_differences(training):
    torch.manual_seed(1)
    receiver, sender = torch.tensor([0, 0, 0, 1, 1, 3, 3, 3, 3]), torch.tensor([1, 2, 3, 0, 1, 0, 2, 2, 3])
    graph = Links(receiver, sender, torch.rand(9) + 0.5, torch.rand(4) + 0.5)
    conv = shaken(EdgeGatedConv(3).double()).train(training)
    nodes, links = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 9))
    assert torch.autograd.gradcheck(lambda h, u: conv(h, u, graph), (nodes, links), atol=1e-7)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.usefixtures("block")
def test_gradients_of_the_normed_layer_equal_finite_differences(training):
    torch.manual_seed(2)
    layer = shaken(NormedLayer(3, 4).double()).train(training)
    rows, weight = torch.randn(9, 3, dtype=torch.float64, requires_grad=True), torch.rand(9) + 0.5
    matrix = layer.linear.weight

    def function(x, w, scale, bias):
        return torch.func.functional_call(
            layer, {"linear.weight": w, "norm.weight": scale, "norm.bias": bias}, (x, weight)
        )

    inputs = (rows, matrix, layer.norm.weight, layer.norm.bias)
    assert torch.autograd.gradcheck(function, inputs, atol=1e-7)


def test_a_node_without_links_keeps_its_own_part():
    torch.manual_seed(3)
    conv = EdgeGatedConv(4).double().eval()
    none = torch.zeros(0, dtype=torch.long)
    nodes, links = torch.randn(3, 4, dtype=torch.float64), torch.zeros(0, 4, dtype=torch.float64)
    graph = Links(none, none, torch.zeros(0), torch.ones(3))
    for training in (True, False):
        before = conv.link_norm.running_mean.clone()
        found, _ = conv.train(training)(nodes, links, graph)
        torch.testing.assert_close(found, naive_conv(conv, nodes, links, graph)[0])
        assert torch.equal(conv.link_norm.running_mean, before)


def test_angles_are_seen_and_lengths_alone_are_not_enough():
    """Two molecules with equal bonds and opened angles, and neighbours that end at the bonds."""

    def molecule(angle):
        x, y = np.sin(angle / 2), np.cos(angle / 2)
        return Crystal.molecule(
            np.array([[0, 0, 0], [x, y, 0], [-x, y, 0]]), (((8, 1.0),), *[((1, 1.0),)] * 2)
        )

    modality = StructureModality(StructureSettings(cutoff=1.1, neighbors=1))
    rows = [modality.featurize(Material("test", molecule(a))) for a in (1.8, 2.4)]
    batch = modality.collate(pack_features(modality.columns, rows))
    assert len(batch.receiver) == 8
    torch.manual_seed(0)
    with torch.no_grad():
        a, b = Alignn(SMALL).eval()(batch)
        c, d = Alignn(replace(SMALL, alignn_layers=0)).eval()(batch)
    assert (a - b).abs().max() > 1e-3
    torch.testing.assert_close(c, d, rtol=1e-4, atol=1e-5)


def test_one_element_needs_links_in_the_average():
    """Normalised gates average equal atoms to themselves: the published pooling cannot see their crystal."""
    crystals = [real.crystals()["diamond"], Crystal(np.eye(3) * 3, np.zeros((1, 3)), (((6, 1.0),),))]
    batch = collate(crystals)
    for pool_links in (True, False):
        torch.manual_seed(0)
        with torch.no_grad():
            a, b = Alignn(replace(SMALL, pool_links=pool_links)).eval()(batch)
        assert ((a - b).abs().max() > 1e-3) == pool_links


def test_runs_in_half_precision(batch):
    torch.manual_seed(0)
    model = Alignn(replace(SMALL, width=32)).train()
    exact = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    found.float().square().sum().backward()
    assert (found.float() - exact).abs().max() < 0.1 * exact.abs().max()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_lone_atoms_without_a_cell():
    helium = Crystal.molecule(np.zeros((1, 3)), (((2, 1.0),),))
    model = Alignn(SMALL).train()
    out = model(collate([helium, helium]))
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
