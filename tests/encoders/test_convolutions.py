"""CGCNN and the proposal's network against their equations, written as loops in float64."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig, CgcnnLayer
from prismat.encoders.crystal import CrystalConfig, CrystalEncoder, GraphConfigs
from prismat.encoders.mpgnn import Mpgnn, MpgnnConfig, MpgnnLayer
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

WIDTH, CENTERS = 6, 9


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    modality = StructureModality(StructureSettings(reduced=request.param))
    names = ("NaCl", "rutile", "quartz", "spinel")
    rows = [modality.featurize(Material(n, real.crystals()[n])) for n in names]
    return modality.collate(pack_features(modality.columns, rows))


def norm(x, weight, layer):
    """Batch normalisation over rows written out as often as they count."""
    out = torch.repeat_interleave(x, weight.long(), dim=0)
    mean, var = out.mean(0), out.var(0, unbiased=False)
    return (x - mean) / (var + layer.eps).sqrt() * layer.weight + layer.bias


@pytest.mark.parametrize("normalize", [True, False])
def test_cgcnn_layer_equals_the_papers_concatenation(batch, normalize):
    torch.manual_seed(0)
    layer = CgcnnLayer(WIDTH, CENTERS, normalize).double()
    if normalize:
        nn.init.normal_(layer.edge_norm.weight, 1, 0.2)
        nn.init.normal_(layer.node_norm.bias, 0, 0.2)
    nodes = torch.randn(batch.n_nodes, WIDTH, dtype=torch.float64)
    radial = torch.rand(len(batch.receiver), CENTERS, dtype=torch.float64)
    # z_ij W + b with z_ij = v_i ⊕ v_j ⊕ u_ij and W = [W_i; W_j; W_u]
    matrix = torch.cat([layer.receiver.weight, layer.sender.weight, layer.edge.weight], dim=1)
    edges = list(zip(batch.receiver.tolist(), batch.sender.tolist(), radial, strict=True))
    gates = torch.stack(
        [matrix @ torch.cat([nodes[i], nodes[j], u]) + layer.receiver.bias for i, j, u in edges]
    )
    if normalize:
        gates = norm(gates, batch.multiplicity[batch.receiver], layer.edge_norm)
    total = torch.zeros_like(nodes)
    for (i, _, _), gate in zip(edges, gates, strict=True):
        total[i] += torch.sigmoid(gate[:WIDTH]) * nn.functional.softplus(gate[WIDTH:])
    if normalize:
        total = norm(total, batch.multiplicity, layer.node_norm)
    expected = nn.functional.softplus(nodes + total)
    torch.testing.assert_close(layer(nodes, radial, batch), expected, rtol=1e-11, atol=1e-11)


def test_mpgnn_layer_equals_the_literal_equation(batch):
    torch.manual_seed(0)
    layer = MpgnnLayer(WIDTH).double()
    nodes = torch.randn(batch.n_nodes, WIDTH, dtype=torch.float64)
    for i in range(batch.n_nodes):
        value = layer.own.weight @ nodes[i] + layer.own.bias
        for j in batch.sender[batch.receiver == i].tolist():
            value = value + layer.neighbor.weight @ nodes[j]
        torch.testing.assert_close(layer(nodes, batch)[i], torch.relu(value), rtol=1e-11, atol=1e-11)


def test_mpgnn_does_not_see_distances(batch):
    model = Mpgnn(MpgnnConfig(width=WIDTH, layers=2, coordination=False)).eval()
    other = replace(batch, distance=batch.distance * 2, vector=batch.vector * 2)
    assert torch.equal(model(batch), model(other))


def test_cgcnn_sees_distances(batch):
    model = Cgcnn(CgcnnConfig(width=WIDTH, layers=1, out=4)).eval()
    other = replace(batch, distance=batch.distance * 1.05)
    assert (model(batch) - model(other)).abs().max() > 1e-4


@pytest.mark.parametrize("kind", [(Cgcnn, CgcnnConfig), (Mpgnn, MpgnnConfig)])
def test_every_parameter_receives_a_gradient(batch, kind):
    torch.manual_seed(0)
    model = kind[0](kind[1](width=WIDTH, layers=2))
    model(batch).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_crystal_encoder_puts_its_projected_parts_behind_one_another(batch):
    config = CrystalConfig(
        parts=("mpgnn", "composition"),
        width=5,
        graphs=GraphConfigs(mpgnn=MpgnnConfig(width=WIDTH, layers=1, coordination=False)),
    )
    model = CrystalEncoder(config).eval()
    parts = [model.projections[name](model.parts[name](batch)) for name in ("mpgnn", "composition")]
    torch.testing.assert_close(model(batch), torch.cat(parts, dim=1))
    assert set(model.parts) == {"mpgnn", "composition"}
    assert model.width == 10
