import numpy as np
import pytest
import torch

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.standard_cell import standardize
from prismat.modalities.structure import (
    StructureModality,
    StructureSettings,
    composition_of,
    strained,
)
from prismat.ragged import take

FULL = StructureSettings(reduced=False)


def featurize(crystal, settings=StructureSettings()):
    return StructureModality(settings).featurize(Material("test", crystal))


def batch_of(*crystals, settings=StructureSettings()):
    modality = StructureModality(settings)
    rows = [None if c is None else modality.featurize(Material("test", c)) for c in crystals]
    return modality.collate(pack_features(modality.columns, rows))


@pytest.mark.parametrize("name", list(real.PUBLISHED))
def test_full_graph_holds_the_twelve_nearest_of_pymatgen(name):
    crystal = standardize(real.crystals()[name]).primitive
    batch = batch_of(real.crystals()[name], settings=FULL)
    for atom, found in enumerate(crystal.to_pymatgen().get_all_neighbors(8.0)):
        close = np.sort([n.nn_distance for n in found])
        wanted = close[close <= close[11] + 1e-4]
        ours = batch.distance[batch.receiver == atom].numpy()
        np.testing.assert_allclose(np.sort(ours), wanted, atol=2e-6)


@pytest.mark.parametrize("name", list(real.PUBLISHED))
def test_arrays_of_a_record_fit_each_other(name):
    row = featurize(real.crystals()[name])
    nodes = len(row["structure.atom_of_node"])
    assert (row["structure.node_of_atom"][row["structure.atom_of_node"]] == np.arange(nodes)).all()
    assert (np.diff(row["structure.receiver"]) >= 0).all()
    assert set(row["structure.receiver"].tolist()) == set(range(nodes))
    assert row["structure.sender_atom"].max() < len(row["structure.frac"])
    assert set(row["structure.species_node"].tolist()) == set(range(nodes))
    columns = StructureModality().columns
    assert {k: (v.dtype, v.shape[1:]) for k, v in row.items()} == columns


def test_vectors_point_from_receiver_to_sender_and_sum_to_zero_around_a_centre():
    batch = batch_of(real.crystals()["NaCl"], real.crystals()["SrTiO3"])
    torch.testing.assert_close(batch.vector.norm(dim=1), batch.distance)
    total = torch.zeros(batch.n_nodes, 3).index_add(0, batch.receiver, batch.vector)
    chlorine = batch.species[:2] == 17
    assert total[:2][chlorine].abs().max() < 1e-4


def test_batch_is_the_records_behind_one_another():
    salt, quartz = real.crystals()["NaCl"], real.crystals()["quartz"]
    both, first, second = batch_of(salt, None, quartz), batch_of(salt), batch_of(quartz)
    assert both.present.tolist() == [True, False, True]
    assert both.node_graph.tolist() == [0] * first.n_nodes + [2] * second.n_nodes
    assert both.spacegroup.tolist() == [225, 0, 154]
    edges = len(first.receiver)
    assert torch.equal(both.receiver[edges:] - first.n_nodes, second.receiver)
    assert torch.equal(both.sender[edges:] - first.n_nodes, second.sender)
    assert torch.equal(both.distance[edges:], second.distance)
    assert torch.equal(both.cell[2], second.cell[0])
    assert not both.cell[1].any()


def test_a_batch_of_absent_structures_is_empty():
    batch = batch_of(None, None)
    assert (batch.n_graphs, batch.n_nodes, len(batch.receiver)) == (2, 0, 0)
    assert not batch.present.any()


def test_collate_of_rows_taken_from_a_column_equals_collate_of_the_rows():
    names = list(real.PUBLISHED)
    modality = StructureModality()
    rows = [featurize(c) for c in real.crystals().values()]
    packed = pack_features(modality.columns, rows)
    wanted = np.array([3, 0, 3, len(names) - 1])
    taken = modality.collate({k: take(v.values, v.offsets, wanted) for k, v in packed.items()})
    direct = modality.collate(pack_features(modality.columns, [rows[i] for i in wanted]))
    fields = [name for name, value in vars(direct).items() if value is not None]
    assert all(torch.equal(getattr(taken, f), getattr(direct, f)) for f in fields)


def test_no_structure_no_features():
    assert StructureModality().featurize(Material("words only")) is None


def test_featurize_is_deterministic():
    first, second = (featurize(real.crystals()["kyanite"]) for _ in range(2))
    assert all(np.array_equal(first[k], second[k]) for k in first)


def test_cutoff_grows_until_every_atom_has_a_neighbour():
    sparse = Crystal(np.eye(3) * 11.0, np.array([[0.1, 0.1, 0.1]]), (((2, 1.0),),))
    assert batch_of(sparse).distance.tolist() == pytest.approx([11.0] * 6 + [11 * 2**0.5] * 12)
    lonely = Crystal(np.eye(3) * 150.0, np.array([[0.1, 0.1, 0.1]]), (((2, 1.0),),))
    assert len(batch_of(lonely).distance) == 0


def test_alternatives_of_one_split_position_are_no_neighbours():
    frac = np.array([[0, 0, 0.45], [0, 0, 0.55], [0.5, 0.5, 0]])
    split = Crystal(np.eye(3) * 4.0, frac, (((8, 0.5),), ((8, 0.5),), ((26, 1.0),)))
    assert batch_of(split, settings=FULL).distance.min() > 0.6
    other = Crystal(np.eye(3) * 4.0, frac, (((8, 1.0),), ((8, 0.5),), ((26, 1.0),)))
    assert batch_of(other, settings=FULL).distance.min() == pytest.approx(0.4)


def test_dropping_a_tied_shell():
    salt = real.crystals()["NaCl"]
    kept, dropped = (batch_of(salt, settings=StructureSettings(keep_tied=k)) for k in (True, False))
    assert torch.bincount(kept.receiver).tolist() == [18, 18]
    assert torch.bincount(dropped.receiver).tolist() == [6, 6]


@pytest.mark.parametrize("name", list(real.PUBLISHED))
def test_composition_counts_atoms_and_occupancies(name):
    crystal = real.crystals()[name]
    fractions = composition_of(batch_of(crystal))[0]
    total = sum(crystal.composition.values())
    assert fractions.sum() == pytest.approx(1)
    for z, n in crystal.composition.items():
        assert fractions[z] == pytest.approx(n / total, abs=1e-5)


@pytest.mark.parametrize("factor", [0.95, 1.04])
def test_strained_batch_is_the_batch_of_strained_crystals(factor):
    crystals = [real.crystals()[n] for n in ("NaCl", "quartz", "diopside")]
    scale = torch.tensor([factor, 1.0, 1 / factor])
    ours = strained(batch_of(*crystals), scale)
    scaled = [Crystal(c.lattice * float(s), c.frac, c.sites) for c, s in zip(crystals, scale, strict=True)]
    direct = batch_of(*scaled)
    assert torch.equal(ours.receiver, direct.receiver)
    torch.testing.assert_close(ours.distance, direct.distance, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.lattice.det().abs(), direct.lattice.det().abs(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ours.cell, direct.cell, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", list(real.PUBLISHED))
def test_rotations_turn_the_surroundings_of_a_representative_into_those_of_its_atoms(name):
    """Edge vectors of every atom of the cell, from the reduced graph and from the full one."""
    reduced, full = batch_of(real.crystals()[name]), batch_of(real.crystals()[name], settings=FULL)
    eye = torch.eye(3).expand(len(reduced.rotation), 3, 3)
    torch.testing.assert_close(reduced.rotation @ reduced.rotation.mT, eye, rtol=0, atol=1e-5)
    torch.testing.assert_close(full.rotation, eye, rtol=0, atol=1e-6)
    row = featurize(real.crystals()[name])
    for atom, node in enumerate(row["structure.node_of_atom"]):
        turned = reduced.vector[reduced.receiver == int(node)] @ reduced.rotation[atom]
        there = full.vector[full.receiver == atom]
        assert len(turned) == len(there)
        assert torch.cdist(turned.double(), there.double()).min(1).values.max() < 1e-4


def test_a_molecule_is_a_graph_without_images():
    water = Crystal.molecule(
        np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]]),
        (((8, 1.0),), *((((1, 1.0),)),) * 2),
    )
    batch = batch_of(water, real.crystals()["NaCl"])
    edges = batch.receiver < 3
    assert batch.spacegroup.tolist() == [0, 225]
    assert sorted(zip(batch.receiver[edges].tolist(), batch.sender[edges].tolist(), strict=True)) == [
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)
    ]  # fmt: skip
    np.testing.assert_allclose(sorted(batch.distance[edges].tolist())[:4], [0.9588] * 4, atol=1e-3)
    assert not batch.cell[0].any()


def test_further_features_come_when_asked_for_and_follow_a_strain():
    settings = StructureSettings(extras=("potentials",))
    plain, rich = batch_of(real.crystals()["NaCl"]), batch_of(real.crystals()["NaCl"], settings=settings)
    assert plain.potential is None
    assert sorted(zip(rich.pair_receiver.tolist(), rich.pair_sender.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1)
    ]  # fmt: skip
    grown = Crystal(*(getattr(real.crystals()["NaCl"], n) for n in ("lattice", "frac", "sites")))
    grown = Crystal(grown.lattice * 1.02, grown.frac, grown.sites)
    wanted, found = batch_of(grown, settings=settings), strained(rich, torch.tensor([1.02]))
    torch.testing.assert_close(found.potential[:, :2], wanted.potential[:, :2], rtol=1e-4, atol=1e-6)
    # Pauli's sum is followed to first order in its logarithm.
    torch.testing.assert_close(found.potential[:, 2], wanted.potential[:, 2], rtol=5e-3, atol=1e-6)
