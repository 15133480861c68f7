"""The line graph of a reduced graph against triplets counted on the full one and with pymatgen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.encoders.line_graph import line_graph
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.standard_cell import standardize
from prismat.modalities.structure import StructureModality, StructureSettings, strained

NAMES = (
    "NaCl",
    "diamond",
    "SrTiO3",
    "rutile",
    "quartz",
    "calcite",
    "baddeleyite",
    "diopside",
    "spinel",
    "ice",
)


def collate(crystals, reduced=True):
    modality = StructureModality(StructureSettings(reduced=reduced))
    rows = [modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


def triplets_by_loop(batch):
    """(edge, edge, cosine) of a full graph, by the definition: every edge into j but the one from i."""
    vector = batch.vector.double().numpy()
    receiver, sender = batch.receiver.tolist(), batch.sender.tolist()
    into = {}
    for f, n in enumerate(receiver):
        into.setdefault(n, []).append(f)
    found = []
    for e in range(len(receiver)):
        for f in into[sender[e]]:
            # On the full graph vectors need no turn: i is where k is if the two steps add up to nothing.
            if sender[f] == receiver[e] and np.linalg.norm(vector[e] + vector[f]) < 1e-3:
                continue
            lengths = np.linalg.norm(vector[e]) * np.linalg.norm(vector[f])
            found.append((e, f, float(-vector[e] @ vector[f] / lengths)))
    return found


def moments(distances_of, distances_in, cosines, weights):
    """Sums over triplets of smooth functions of both lengths and the angle: equal only for equal triplets."""
    rows = [np.asarray(v, dtype=np.float64) for v in (distances_of, distances_in, cosines)]
    powers = [(a, b, c) for a in range(3) for b in range(3) for c in range(6)]
    return np.array(
        [(weights * (rows[0] / 4) ** a * (rows[1] / 4) ** b * rows[2] ** c).sum() for a, b, c in powers]
    )


@pytest.mark.parametrize("name", NAMES)
def test_reduced_graph_has_the_triplets_of_the_full_one(name):
    reduced, full = (collate([real.crystals()[name]], r) for r in (True, False))
    graph = line_graph(reduced)
    found = moments(
        reduced.distance[graph.edge_of],
        reduced.distance[graph.edge_in],
        graph.cosine,
        graph.multiplicity.numpy(),
    )
    e, f, cosine = map(np.array, zip(*triplets_by_loop(full), strict=True))
    distance = full.distance.numpy()
    np.testing.assert_allclose(found, moments(distance[e], distance[f], cosine, 1.0), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", ["NaCl", "quartz", "baddeleyite"])
def test_full_graph_equals_the_loop_row_by_row(name):
    batch = collate([real.crystals()[name]], reduced=False)
    graph = line_graph(batch)
    wanted = triplets_by_loop(batch)
    assert list(zip(graph.edge_of.tolist(), graph.edge_in.tolist(), strict=True)) == [t[:2] for t in wanted]
    np.testing.assert_allclose(graph.cosine, [t[2] for t in wanted], atol=2e-6)
    assert (graph.multiplicity == 1).all()


@pytest.mark.parametrize("name", ["NaCl", "rutile", "quartz", "calcite", "diopside"])
def test_angles_equal_those_that_pymatgen_finds(name):
    """Angles i – j – k from pymatgen's neighbours of j, with k ≠ i told apart by index and image."""
    crystal = standardize(real.crystals()[name]).primitive
    structure = Structure(Lattice(crystal.lattice), ["H"] * len(crystal), crystal.frac)
    near = []
    for neighbors in structure.get_all_neighbors(8.0):
        ordered = sorted(neighbors, key=lambda n: n.nn_distance)
        near.append([n for n in ordered if n.nn_distance <= ordered[11].nn_distance + 1e-4])
    found = []
    for i, bonds in enumerate(near):
        for bond in bonds:
            for other in near[bond.index]:
                # other is a neighbour of j in the home cell: both move by the image of j.
                image = np.array(other.image) + np.array(bond.image)
                if other.index == i and not image.any():
                    continue
                onward = structure[other.index].coords + image @ structure.lattice.matrix - bond.coords
                back = structure[i].coords - bond.coords
                cosine = back @ onward / bond.nn_distance / other.nn_distance
                found.append((bond.nn_distance, other.nn_distance, cosine))
    batch = collate([real.crystals()[name]])
    graph = line_graph(batch)
    assert int(graph.multiplicity.sum()) == len(found)
    ours = moments(
        batch.distance[graph.edge_of], batch.distance[graph.edge_in], graph.cosine, graph.multiplicity.numpy()
    )
    np.testing.assert_allclose(ours, moments(*np.array(found).T, 1.0), rtol=1e-5, atol=1e-3)


def test_only_the_exact_reverse_is_left_out():
    """Simple cubic: of the twelve or more edges into j one leads back to i; the other images of i stay."""
    cubic = Crystal(np.eye(3) * 3.0, np.zeros((1, 3)), (((84, 1.0),),))
    batch = collate([cubic])
    graph = line_graph(batch)
    edges = len(batch.receiver)
    assert len(graph.edge_of) == edges * (edges - 1)
    straight = torch.bincount(graph.edge_of[graph.cosine > 1 - 1e-6], minlength=edges)
    # An edge of the first shell never returns at angle 0 to i, but may pass over i to a longer neighbour.
    nearest = batch.distance < 3.1
    longer = int(((batch.distance > 5.9) & (batch.distance < 6.1)).any())
    assert (straight[nearest] == longer).all()
    assert (graph.cosine < -1 + 1e-6).any(), "the image of i beyond j belongs to the line graph"


def test_a_molecule_has_the_angle_of_its_bonds():
    water = np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]])
    batch = collate([Crystal.molecule(water, (((8, 1.0),), ((1, 1.0),), ((1, 1.0),)))])
    graph = line_graph(batch)
    bonds = [water[1] - water[0], water[2] - water[0]]
    wanted = bonds[0] @ bonds[1] / np.linalg.norm(bonds[0]) ** 2
    at_oxygen = batch.sender[graph.edge_of] == 0
    np.testing.assert_allclose(graph.cosine[at_oxygen], [wanted] * 2, atol=1e-6)
    assert len(graph.edge_of) == 6


@pytest.mark.parametrize("neighbors", [1, 4, 6])
def test_limited_line_graph_keeps_whole_shells(neighbors):
    batch = collate([real.crystals()[n] for n in ("rutile", "quartz", "calcite")], reduced=False)
    bonds = set()
    for node in range(batch.n_nodes):
        edges = (batch.receiver == node).nonzero()[:, 0]
        limit = batch.distance[edges].sort().values[neighbors - 1] + 1e-4
        bonds |= set(edges[batch.distance[edges] <= limit].tolist())
    graph = line_graph(batch, neighbors)
    wanted = [t[:2] for t in triplets_by_loop(batch) if t[0] in bonds and t[1] in bonds]
    assert list(zip(graph.edge_of.tolist(), graph.edge_in.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("neighbors", [1, 4, 6])
def test_limited_line_graph_of_a_reduced_graph_equals_that_of_the_full_one(neighbors):
    batches = [collate([real.crystals()[n] for n in NAMES], reduced) for reduced in (True, False)]
    graphs = [line_graph(batch, neighbors) for batch in batches]
    sums = [
        moments(b.distance[g.edge_of], b.distance[g.edge_in], g.cosine, g.multiplicity.numpy())
        for b, g in zip(batches, graphs, strict=True)
    ]
    np.testing.assert_allclose(*sums, rtol=1e-5, atol=1e-2)
    assert len(graphs[0].edge_of) < len(graphs[1].edge_of)


def test_limited_line_graph_is_part_of_the_whole():
    batch = collate([real.crystals()[n] for n in NAMES])
    small, whole = line_graph(batch, 5), line_graph(batch)
    pairs = set(zip(whole.edge_of.tolist(), whole.edge_in.tolist(), strict=True))
    assert set(zip(small.edge_of.tolist(), small.edge_in.tolist(), strict=True)) < pairs


def test_angles_do_not_change_under_isotropic_strain():
    batch = collate([real.crystals()[n] for n in NAMES])
    plain, wide = line_graph(batch), line_graph(strained(batch, torch.full((len(NAMES),), 1.04)))
    assert torch.equal(plain.edge_of, wide.edge_of)
    torch.testing.assert_close(plain.cosine, wide.cosine, rtol=0, atol=2e-6)


def test_order_of_the_edges_of_an_atom_does_not_matter():
    batch = collate([real.crystals()["quartz"]])
    order = (batch.receiver * 1000 - torch.arange(len(batch.receiver))).argsort()
    names = ("receiver", "sender", "vector", "distance", "sender_atom")
    turned = replace(batch, **{name: getattr(batch, name)[order] for name in names})
    a, b = line_graph(batch, 4), line_graph(turned, 4)
    pairs = set(zip(a.edge_of.tolist(), a.edge_in.tolist(), strict=True))
    assert {(int(order[e]), int(order[f])) for e, f in zip(b.edge_of, b.edge_in, strict=True)} == pairs


def test_a_graph_without_edges_has_no_triplets():
    lone = Crystal.molecule(np.zeros((1, 3)), (((2, 1.0),),))
    for neighbors in (None, 4):
        assert len(line_graph(collate([lone]), neighbors).edge_of) == 0
