"""PaiNN against the paper's equations as loops over the edges of the full graph, in float64."""

from dataclasses import replace
from math import cos, pi, sin

import numpy as np
import pytest
import torch

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.painn import Painn, PainnConfig
from prismat.encoders.painn_message import MessagePlan, MessageSum
from prismat.encoders.shells import Shells
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings

WIDTH = 4
CONFIG = PainnConfig(width=WIDTH, layers=2, out=3, functions=5)
NAMES = ("quartz", "rutile", "wurtzite", "diamond")


def collate(crystals, reduced=True):
    """A batch in float64, whose edge vectors were single precision."""
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    batch = modality.collate(pack_features(modality.columns, rows))
    names = ("vector", "distance", "rotation", "occupancy", "multiplicity")
    return replace(batch, **{name: getattr(batch, name).double() for name in names})


@pytest.fixture(scope="module")
def crystals():
    return [real.crystals()[name] for name in NAMES]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Painn(CONFIG).double()


def filters(model, d, layer):
    """W(d) f_c(d) of one layer, three rows."""
    c, n = model.config.cutoff, model.config.functions
    if d >= c:
        return torch.zeros(3, WIDTH, dtype=torch.float64)
    basis = torch.tensor([sin(k * pi * d / c) / d for k in range(1, n + 1)], dtype=torch.float64)
    value = (model.filters.weight @ basis + model.filters.bias) * 0.5 * (cos(pi * d / c) + 1)
    return value.view(model.config.layers, 3, WIDTH)[layer]


def loops(model, batch):
    """Equations 7 to 10, edge by edge; the full graph needs no rotations."""
    s, n = model.embedding(batch), batch.n_nodes
    v = torch.zeros(n, 3, WIDTH, dtype=torch.float64)
    directions = batch.vector / batch.distance[:, None]
    edges = list(zip(batch.receiver, batch.sender, batch.distance.tolist(), directions, strict=True))
    for k, (message, update) in enumerate(zip(model.messages, model.updates, strict=True)):
        ds, dv = [torch.zeros(WIDTH)] * n, [torch.zeros(3, WIDTH)] * n
        for i, j, d, direction in edges:
            a, b, c = (message.net(s[j]).view(3, WIDTH) * filters(model, d, k)).unbind(0)
            ds[i] = ds[i] + a
            dv[i] = dv[i] + direction[:, None] * b + v[j] * c
        s, v = s + torch.stack(ds), v + torch.stack(dv)
        left, right = update.mix.weight.view(2, WIDTH, WIDTH).unbind(0)
        new = []
        for i in range(n):
            u, w = v[i] @ left.t(), v[i] @ right.t()
            length = (w.square().sum(0) + 1e-8).sqrt()
            a_ss, a_sv, a_vv = update.net(torch.cat([s[i], length])).view(3, WIDTH).unbind(0)
            new.append((s[i] + a_ss + a_sv * (u * w).sum(0), v[i] + a_vv * u))
        s, v = (torch.stack(part) for part in zip(*new, strict=True))
    return s, v


def test_atoms_output_and_gradients_equal_loops_over_edges(model, crystals):
    batch = collate(crystals, reduced=False)
    s, v = loops(model, batch)
    found_s, found_v = model.atoms(batch)
    torch.testing.assert_close(found_s, s, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found_v, v, rtol=1e-6, atol=1e-8)
    assert v.abs().max() > 1e-3
    wanted = torch.stack([model.head(s[batch.node_graph == g].mean(0)) for g in range(batch.n_graphs)])
    found = model(batch)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found.sin().sum(), parameters)
    plain = torch.autograd.grad(wanted.sin().sum(), parameters)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_scalars_and_vectors_of_the_reduced_graph_are_those_of_the_full_graph(model, crystals):
    reduced, full = collate(crystals), collate(crystals, reduced=False)
    s, v = model.atoms(reduced)
    wanted_s, wanted_v = model.atoms(full)
    # Node of each atom of the reduced graph: an atom sends to some node in these crystals.
    node = torch.full((len(reduced.rotation),), -1)
    node[reduced.sender_atom] = reduced.sender
    assert node.min() == 0
    turned = reduced.rotation.transpose(1, 2) @ v[node]
    torch.testing.assert_close(s[node], wanted_s, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(turned, wanted_v, rtol=1e-5, atol=1e-6)
    assert reduced.n_nodes < full.n_nodes
    assert (v[node] - wanted_v).abs().max() > 1e-3 * wanted_v.abs().max()


@pytest.mark.parametrize("hand", [1, -1], ids=["turned", "mirrored"])
@pytest.mark.parametrize("reduced", [True, False])
def test_vectors_turn_with_the_crystal(model, hand, reduced):
    """Also under a reflection, so no part of them is axial."""
    bent = np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]])
    water = Crystal.molecule(bent, (((8, 1.0),), ((1, 1.0),), ((1, 1.0),)))
    turn = real.random_rotation(np.random.default_rng(5)) * hand
    batch = collate([water, real.crystals()["quartz"]], reduced)
    other_turn = torch.from_numpy(turn)
    other = replace(
        batch,
        vector=batch.vector @ other_turn,
        rotation=other_turn.t() @ batch.rotation @ other_turn,
    )
    (s, v), (other_s, other_v) = model.atoms(batch), model.atoms(other)
    torch.testing.assert_close(other_s, s, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(other_v, other_turn.t() @ v, rtol=1e-9, atol=1e-9)
    assert v[batch.node_graph == 0].abs().max() > 1e-3


def test_vectors_turn_with_a_molecule_that_is_read_anew(model):
    bent = np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]])
    sites = (((8, 1.0),), ((1, 1.0),), ((1, 1.0),))
    turn = real.random_rotation(np.random.default_rng(6))
    plain, turned = (
        model.atoms(collate([Crystal.molecule(p, sites)]))[1] for p in (bent, bent @ turn + [1, 2, 3])
    )
    torch.testing.assert_close(turned, torch.from_numpy(turn).t() @ plain, rtol=1e-4, atol=1e-6)


def test_gradients_by_positions_equal_finite_differences(model, crystals):
    """Directions and lengths both count, as forces would need it."""
    batch = collate(crystals[:2])

    def energy(vector):
        return model(replace(batch, vector=vector, distance=vector.norm(dim=1))).sin().sum()

    torch.manual_seed(1)
    push = torch.randn_like(batch.vector)
    # Equal edges part when each moves its own way: neither side of the difference merges them.
    apart = batch.vector + 1e-4 * push
    vector = apart.clone().requires_grad_()
    (slope,) = torch.autograd.grad(energy(vector), vector)
    with torch.no_grad():
        numeric = (energy(apart + 1e-6 * push) - energy(apart - 1e-6 * push)) / 2e-6
    torch.testing.assert_close((slope * push).sum(), numeric, rtol=1e-5, atol=1e-8)


def test_a_cutoff_silences_farther_neighbours(crystals):
    torch.manual_seed(0)
    model = Painn(replace(CONFIG, cutoff=1.0)).double()
    batch = collate(crystals)
    other = replace(batch, vector=batch.vector * 2, distance=batch.distance * 2)
    assert batch.distance.min() > 1.0
    assert torch.equal(model(batch), model(other))
    assert not model.atoms(batch)[1].any()


def test_message_sum_passes_the_numerical_gradient_check():
    batch = collate([real.crystals()["rutile"]])
    shells = Shells.of(batch)
    plan = MessagePlan.of(batch, shells)
    torch.manual_seed(0)
    features = torch.randn(5, batch.n_nodes, 2, dtype=torch.float64, requires_grad=True)
    filters_ = torch.randn(3, len(shells.count), 2, dtype=torch.float64, requires_grad=True)
    weights = plan.weights.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: MessageSum.apply(*x, plan), (features, filters_, weights))


def test_an_atom_alone_has_features_and_gradients(model):
    helium = Crystal(np.eye(3) * 150.0, np.zeros((1, 3)), (((2, 1.0),),))
    batch = collate([helium])
    assert len(batch.receiver) == 0
    found = model(batch)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_every_parameter_receives_a_gradient(crystals):
    torch.manual_seed(0)
    model = Painn(CONFIG).double()
    model(collate(crystals)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_bfloat16_autocast_agrees_with_single_precision(crystals):
    torch.manual_seed(0)
    model = Painn(PainnConfig(width=32))
    modality = StructureModality()
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    batch = modality.collate(pack_features(modality.columns, rows))
    wanted = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch)
    assert (found.float() - wanted).norm() < 3e-2 * wanted.norm()
    found.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in model.parameters())
