from dataclasses import replace

import pytest
import torch
from torch import nn

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.potnet import PotentialBasis, PotNet, PotNetConfig
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings, strained

SMALL = PotNetConfig(width=12, layers=2, out=5, edge_centers=20, pair_centers=16)
MODALITY = StructureModality(StructureSettings(extras=("potentials",)))


def batch_of(*names):
    rows = [MODALITY.featurize(Material("test", real.crystals()[name])) for name in names]
    return MODALITY.collate(pack_features(MODALITY.columns, rows))


def model_of(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return PotNet(config).eval()


def by_hand(model, batch):
    """The published equations with loops and concatenations, in evaluation mode."""

    def norm(layer, x):
        return (x - layer.running_mean) / (layer.running_var + layer.eps).sqrt() * layer.weight + layer.bias

    def gaussians(x, count):
        centers = torch.linspace(-4, 4, count)
        return torch.exp(-((x - centers) ** 2) / (centers[1] - centers[0]))

    edges = []
    for i, j, d in zip(batch.receiver, batch.sender, batch.distance, strict=True):
        e = nn.functional.silu(model.edge_embedding[1](gaussians(-0.75 / d, 20)))
        edges.append((int(i), int(j), e))
    for i, j, sums in zip(batch.pair_receiver, batch.pair_sender, batch.potential, strict=True):
        mixture = -0.801 * sums[0] - 0.074 * sums[1] + 0.145 * sums[2]
        e = nn.functional.softplus(model.pair_embedding[1](gaussians(mixture, 16)))
        edges.append((int(i), int(j), norm(model.pair_norm, e)))
    v = model.embedding(batch)
    for layer in model.layers:
        weight = torch.cat([layer.receiver.weight, layer.sender.weight, layer.edge.weight], dim=1)
        total = torch.zeros_like(v)
        for i, j, e in edges:
            z = torch.cat([v[i], v[j], e])
            hidden = nn.functional.silu(weight @ z + layer.receiver.bias)
            gate = torch.sigmoid(norm(layer.gate_norm, layer.gate(hidden[:12])))
            total[i] += gate * layer.message(hidden[12:])
        v = torch.relu(v + norm(layer.node_norm, total))
    pooled = [
        (batch.multiplicity[own, None] * v[own]).sum(0) / batch.multiplicity[own].sum()
        for own in (batch.node_graph == g for g in range(batch.n_graphs))
    ]
    return model.head(torch.stack(pooled))


def test_equals_the_equations_written_out():
    batch = batch_of("rutile", "wurtzite")
    model = model_of()
    model.train()(batch_of("NaCl", "quartz", "rutile"))
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(batch), by_hand(model, batch), rtol=1e-4, atol=1e-5)


def test_gaussians_are_centred_and_wider_than_the_step():
    basis = PotentialBasis(PotNetConfig(), 256)
    at_center = basis(torch.tensor([-4.0, 4.0, float(basis.centers[100])]))
    assert [int(row.argmax()) for row in at_center] == [0, 255, 100]
    neighbour = float(at_center[2, 101])
    assert neighbour == pytest.approx(float(torch.exp(torch.tensor(-8 / 255))), rel=1e-4)


def test_published_size():
    config = PotNetConfig()
    assert (config.layers, config.width, config.pair_centers) == (3, 256, 64)
    assert config.coefficients == (-0.801, -0.074, 0.145)
    assert PotNet(config).width == config.out


@pytest.mark.parametrize("column", [0, 1, 2])
def test_every_potential_counts(column):
    batch = batch_of("rutile")
    changed = batch.potential.clone()
    changed[:, column] *= 1.3
    model = model_of()
    with torch.no_grad():
        difference = model(replace(batch, potential=changed)) - model(batch)
    assert difference.abs().max() > 1e-6


def test_strain_changes_the_result_through_the_potentials():
    batch = batch_of("rutile", "NaCl")
    wider = strained(batch, torch.tensor([1.03, 0.97]))
    model = model_of()
    with torch.no_grad():
        before, after = model(batch), model(wider)
        distances_only = model(replace(wider, potential=batch.potential))
    assert (after - before).abs().amax(1).min() > 1e-5
    assert (after - distances_only).abs().amax(1).min() > 1e-6


def test_batch_without_lattice_sums_is_refused():
    modality = StructureModality()
    rows = [modality.featurize(Material("test", real.crystals()["NaCl"]))]
    batch = modality.collate(pack_features(modality.columns, rows))
    with pytest.raises(
        BadInputError, match=r"structure\.potential: PotNet needs lattice sums.*extras=\('potentials"
    ):
        model_of()(batch)


def test_only_absent_structures():
    batch = MODALITY.collate(pack_features(MODALITY.columns, [None, None]))
    assert torch.isfinite(model_of().train()(batch)).all()


def test_extreme_potentials_stay_finite():
    """Atoms 0.61 Å apart, and a cell so large that every sum vanishes."""
    close = Crystal.molecule(torch.tensor([[0.0, 0, 0], [0, 0, 0.61]]).double().numpy(), (((1, 1.0),),) * 2)
    row = MODALITY.featurize(Material("test", close))
    batch = MODALITY.collate(pack_features(MODALITY.columns, [row]))
    huge = replace(batch, potential=batch.potential * 1e6)
    with torch.no_grad():
        assert torch.isfinite(model_of()(batch)).all()
        assert torch.isfinite(model_of()(huge)).all()


def test_bf16_autocast_is_close():
    batch = batch_of("rutile", "CaTiO3", "NaCl")
    model = model_of(PotNetConfig(width=64, out=32)).train()
    with torch.no_grad():
        plain = model(batch)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(batch)
    assert torch.isfinite(rough).all()
    assert (rough.float() - plain).norm() < 0.05 * plain.norm()


def test_gradients_reach_every_parameter():
    batch = batch_of("rutile", "quartz", "CaTiO3")
    model = PotNet(SMALL).train()
    (model(batch) * torch.randn(3, 5)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_same_seed_same_numbers():
    batch = batch_of("rutile", "quartz")
    with torch.no_grad():
        assert torch.equal(model_of(seed=3)(batch), model_of(seed=3)(batch))
