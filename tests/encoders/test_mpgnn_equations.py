"""The proposal's network, literal and filtered, against its equations as loops in float64."""

from dataclasses import replace

import pytest
import torch

import helpers_crystals as real
from prismat.encoders.mpgnn import Mpgnn, MpgnnConfig
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

WIDTH, CENTERS = 6, 9
FILTERED = MpgnnConfig(width=WIDTH, layers=2, coordination=False, filtered=True, centers=CENTERS)


@pytest.fixture(scope="module", params=[True, False], ids=["reduced", "full"])
def batch(request):
    modality = StructureModality(StructureSettings(reduced=request.param))
    rows = [modality.featurize(Material(n, real.crystals()[n])) for n in ("NaCl", "rutile", "quartz")]
    packed = modality.collate(pack_features(modality.columns, rows))
    return replace(packed, distance=packed.distance.double(), occupancy=packed.occupancy.double())


def loops(model, batch):
    """Every edge by itself, no projection shared."""
    nodes = model.embedding(batch)
    for layer in model.layers:
        rows = []
        for i in range(batch.n_nodes):
            value = layer.own.weight @ nodes[i] + layer.own.bias
            for e in torch.nonzero(batch.receiver == i)[:, 0].tolist():
                message = layer.neighbor.weight @ nodes[batch.sender[e]]
                if model.config.filtered:
                    step = model.config.cutoff / (CENTERS - 1)
                    centers = torch.arange(CENTERS, dtype=torch.float64) * step
                    gauss = torch.exp(-(((batch.distance[e] - centers) / step) ** 2))
                    message = message * (layer.filter.weight @ gauss)
                value = value + message
            rows.append(torch.relu(value))
        nodes = torch.stack(rows)
    graphs = []
    for g in range(batch.n_graphs):
        here = batch.node_graph == g
        times = batch.multiplicity[here].long()
        graphs.append(torch.repeat_interleave(nodes[here], times, dim=0).mean(0))
    return torch.stack(graphs)


@pytest.mark.parametrize("config", [FILTERED, MpgnnConfig(width=WIDTH, layers=2, coordination=False)])
def test_network_and_gradients_equal_loops(batch, config):
    torch.manual_seed(0)
    model = Mpgnn(config).double()
    found, wanted = model(batch), loops(model, batch)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found.sin().sum(), parameters)
    plain = torch.autograd.grad(wanted.sin().sum(), parameters)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def test_filtered_network_sees_distances(batch):
    model = Mpgnn(FILTERED).double()
    other = replace(batch, distance=batch.distance * 1.05)
    assert (model(batch) - model(other)).abs().max() > 1e-6


def test_literal_network_is_the_default_and_has_no_filter():
    names = [name for name, _ in Mpgnn(MpgnnConfig(width=WIDTH)).named_parameters()]
    assert not MpgnnConfig().filtered
    assert not any("filter" in name for name in names)


def test_bfloat16_autocast_agrees_with_single_precision(batch):
    torch.manual_seed(0)
    model = Mpgnn(MpgnnConfig(width=32, filtered=True))
    single = replace(batch, distance=batch.distance.float(), occupancy=batch.occupancy.float())
    wanted = model(single)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(single)
    assert (found.float() - wanted).norm() < 3e-2 * wanted.norm()
    found.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in model.parameters())
