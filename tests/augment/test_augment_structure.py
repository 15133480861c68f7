from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import helpers_crystals as real
from prismat.augment.structure import StructureViews, bonds, keep_edges, keep_nodes, structure_views
from prismat.crystal import Crystal
from prismat.encoders.alignn import Alignn, AlignnConfig
from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig
from prismat.encoders.crystal import CrystalEncoder
from prismat.encoders.lattice import LatticeConfig, LatticeEncoder
from prismat.encoders.matformer import Matformer, MatformerConfig
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureModality, StructureSettings, composition_of
from prismat.recipes.base import Job, Recipe
from prismat.recipes.scale import at_laptop_scale, with_structure

HELIUM = Crystal(np.eye(3) * 150.0, np.array([[0.3, 0.2, 0.1]]), (((2, 1.0),),))
WATER = Crystal.molecule(
    np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]]),
    (((8, 1.0),), ((1, 1.0),), ((1, 1.0),)),
)
CUT = {
    "edges": StructureViews(edge_removal=0.4),
    "nodes": StructureViews(node_dropping=0.4),
    "subgraph": StructureViews(subgraph=0.5),
    "all": StructureViews(edge_removal=0.2, node_dropping=0.2, subgraph=0.8, cell_choice=True),
}
ALL = replace(CUT["all"], coordinate_noise=0.05)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def featurize(crystals, reduced=True, extras=()):
    modality = StructureModality(StructureSettings(reduced=reduced, extras=extras))
    return modality, [None if c is None else modality.featurize(Material("test", c)) for c in crystals]


def batch_of(crystals, reduced=True, extras=()):
    modality, rows = featurize(crystals, reduced, extras)
    return modality.collate(pack_features(modality.columns, rows))


def double(batch):
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(
        batch, **{k: v.double() for k, v in values.items() if v is not None and v.is_floating_point()}
    )


def published():
    return list(real.crystals().values())


def small_encoders():
    torch.manual_seed(0)
    return {
        "cgcnn": Cgcnn(CgcnnConfig(width=16, layers=2, out=16)),
        "alignn": Alignn(AlignnConfig(width=16, alignn_layers=2, gcn_layers=1)),
        "matformer": Matformer(MatformerConfig(width=16, heads=2, layers=2, out=16)),
        "lattice": LatticeEncoder(LatticeConfig(hidden=16, out=16, centers=12)),
    }


def kept_by(batch, config, seed=0):
    """Which edges and nodes of a batch a view keeps, told by labels that no view reads."""
    labelled = replace(
        batch,
        sender_atom=torch.arange(len(batch.receiver)),
        occupancy=torch.arange(len(batch.species), dtype=torch.float32),
    )
    view = structure_views(labelled, config, generator(seed))
    return view.sender_atom, batch.species_node[view.occupancy.long()].unique()


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("name", CUT)
def test_what_is_left_is_a_part_of_what_was(name, reduced):
    batch = batch_of([None, *published(), HELIUM, WATER, None], reduced)
    edges, nodes = kept_by(batch, CUT[name])
    view = structure_views(batch, CUT[name], generator())
    assert 0 < len(edges) < len(batch.receiver)
    for field in ("receiver", "sender"):
        assert (nodes[getattr(view, field)] == getattr(batch, field)[edges]).all()
    for field in ("vector", "distance", "sender_atom"):
        assert torch.equal(getattr(view, field), getattr(batch, field)[edges])
    for field in ("node_graph", "multiplicity"):
        assert torch.equal(getattr(view, field), getattr(batch, field)[nodes])
    kept = torch.isin(batch.species_node, nodes)
    assert torch.equal(view.species, batch.species[kept])
    assert torch.equal(nodes[view.species_node], batch.species_node[kept])
    for field in ("rotation", "cell", "spacegroup", "present"):
        assert torch.equal(getattr(view, field), getattr(batch, field))
    # Absent graphs stay absent, present ones keep an atom, isolated atoms too.
    assert torch.equal(torch.bincount(view.node_graph, minlength=batch.n_graphs) > 0, batch.present)
    assert (view.receiver.diff() >= 0).all()


def orbit_nodes(crystals):
    """For each atom of the full batch its node in the reduced batch."""
    _, rows = featurize(crystals)
    first, found = 0, []
    for row in rows:
        found.append(first + row["structure.node_of_atom"])
        first += len(row["structure.atom_of_node"])
    return torch.from_numpy(np.concatenate(found)).long()


@pytest.mark.parametrize("encoder", ["cgcnn", "alignn"])
@pytest.mark.parametrize("name", CUT)
def test_a_view_of_the_reduced_graph_is_the_same_view_of_the_full_one(name, encoder):
    """What the reduced view keeps is looked up by ends and rounded length, without the bonds under test."""
    crystals = published()
    reduced, full, node = batch_of(crystals), batch_of(crystals, reduced=False), orbit_nodes(crystals)
    edges, nodes = kept_by(reduced, CUT[name], seed=3)
    keys = {
        (int(reduced.receiver[e]), int(reduced.sender[e]), round(float(reduced.distance[e]), 3))
        for e in edges
    }
    ends = zip(node[full.receiver].tolist(), node[full.sender].tolist(), full.distance.tolist(), strict=True)
    kept = torch.tensor([any((i, j, round(d + s, 3)) in keys for s in (-2e-4, 0, 2e-4)) for i, j, d in ends])
    same = keep_nodes(keep_edges(full, kept), torch.isin(node, nodes))
    assert len(same.receiver) < len(full.receiver)
    view = structure_views(reduced, CUT[name], generator(3))
    model = small_encoders()[encoder].double().eval()
    with torch.no_grad():
        found, wanted, whole = (model(double(b)) for b in (view, same, reduced))
    assert (found - wanted).abs().max() < 1e-6 * wanted.abs().max() * (1 if encoder == "cgcnn" else 100)
    assert (found - whole).abs().max() > 1e-3 * whole.abs().max()


def test_bonds_of_a_full_graph_are_edges_with_their_reverses():
    batch = batch_of(published(), reduced=False)
    bond = bonds(batch)
    members = {}
    for e, (i, j, v) in enumerate(
        zip(batch.receiver.tolist(), batch.sender.tolist(), batch.vector.tolist(), strict=True)
    ):
        low = (i, j, *v) if (i, j, *v) < (j, i, *(-x for x in v)) else (j, i, *(-x for x in v))
        members.setdefault(tuple(x + 0.0 for x in low), []).append(e)
    assert max(map(len, members.values())) == 2
    assert len(members) == int(bond.max()) + 1
    assert all(len(set(bond[m].tolist())) == 1 for m in members.values())


def test_bonds_of_a_reduced_graph_have_one_length_and_two_ends():
    batch = batch_of([real.crystals()["NaCl"], real.crystals()["diamond"]])
    found = {
        (*sorted(p), round(d, 2))
        for *p, d in zip(batch.receiver.tolist(), batch.sender.tolist(), batch.distance.tolist(), strict=True)
    }
    bond = bonds(batch)
    assert len(found) == int(bond.max()) + 1 == 5
    assert (bond.bincount() >= 4).all()


def test_same_state_same_view_and_another_state_another():
    batch = batch_of(published(), reduced=False)
    first, second, third = (structure_views(batch, ALL, generator(s)) for s in (5, 5, 6))
    for field in fields(batch):
        value = getattr(first, field.name)
        assert value is None or torch.equal(value, getattr(second, field.name))
    assert first.n_nodes != third.n_nodes


def test_nothing_asked_for_changes_nothing():
    batch = batch_of(published())
    assert structure_views(batch, StructureViews(), generator()) is batch


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_shares_are_what_was_asked_for(share):
    big = batch_of([real.crystals()["kyanite"]] * 60, reduced=False)
    edges = structure_views(big, StructureViews(edge_removal=share), generator())
    nodes = structure_views(big, StructureViews(node_dropping=share), generator())
    assert 1 - len(edges.receiver) / len(big.receiver) == pytest.approx(share, abs=0.015)
    assert edges.n_nodes == big.n_nodes
    assert 1 - nodes.n_nodes / big.n_nodes == pytest.approx(share, abs=0.03)
    assert len(nodes.receiver) / len(big.receiver) == pytest.approx((1 - share) ** 2, abs=0.05)


@pytest.mark.parametrize("reduced", [True, False])
def test_one_node_of_every_crystal_stays(reduced):
    batch = batch_of([None, *published(), HELIUM], reduced)
    view = structure_views(batch, StructureViews(node_dropping=0.999), generator())
    count = torch.bincount(view.node_graph, minlength=batch.n_graphs)
    assert count.tolist() == [0] + [1] * (batch.n_graphs - 1)
    assert torch.isfinite(composition_of(view)).all()


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.4, 0.8])
def test_a_subgraph_hangs_together_and_is_as_large_as_asked(share, reduced):
    batch = batch_of(published() * 3, reduced)
    view = structure_views(batch, StructureViews(subgraph=share), generator(1))
    total, left = (
        torch.zeros(batch.n_graphs).index_add(0, b.node_graph, b.multiplicity) for b in (batch, view)
    )
    largest = torch.zeros(batch.n_graphs).scatter_reduce(0, batch.node_graph, batch.multiplicity, "amax")
    whole, parts = components(batch), components(view)
    assert (parts == 1).all()
    connected = torch.from_numpy(whole == 1)
    assert connected.any()
    assert (left >= share * total)[connected].all()
    assert (left < share * total + largest).all()


def components(batch):
    """Connected components of each graph."""
    ends = (batch.receiver.numpy(), batch.sender.numpy())
    n = batch.n_nodes
    _, label = connected_components(coo_array((np.ones(len(ends[0])), ends), shape=(n, n)), directed=False)
    graph = batch.node_graph.numpy()
    return np.array([len(set(label[graph == g])) for g in range(batch.n_graphs)])


def test_a_subgraph_does_not_jump_to_what_no_bond_reaches():
    """Two pairs of atoms far apart in one cell: half of the crystal is all that can be reached."""
    frac = np.array([[0, 0, 0], [0.05, 0, 0], [0.5, 0.5, 0.5], [0.56, 0.5, 0.5]])
    pairs = Crystal(np.eye(3) * 40.0, frac, (((2, 1.0),), ((10, 1.0),), ((18, 1.0),), ((36, 1.0),)))
    batch = batch_of([pairs] * 20, reduced=False)
    view = structure_views(batch, StructureViews(subgraph=0.9), generator())
    assert torch.bincount(view.node_graph).tolist() == [2] * 20
    assert len(set(view.species.tolist())) == 4


def test_displaced_atoms_keep_edges_and_their_reverses_opposite():
    batch = batch_of([*published(), WATER, None], reduced=False)
    view = structure_views(batch, StructureViews(coordinate_noise=0.05), generator())
    torch.testing.assert_close(view.vector.norm(dim=1), view.distance)
    shift = (view.vector - batch.vector).double()
    own = batch.receiver == batch.sender
    assert own.any()
    assert (shift[own] == 0).all()
    # One displacement per atom explains every edge.
    matrix = torch.zeros(len(shift), batch.n_nodes, dtype=torch.float64)
    rows = torch.arange(len(shift))
    matrix[rows, batch.sender] += 1
    matrix[rows, batch.receiver] -= 1
    move = torch.linalg.lstsq(matrix, shift, driver="gelsd").solution
    assert (matrix @ move - shift).abs().max() < 1e-5
    assert float(shift[~own].std()) == pytest.approx(0.05 * 2**0.5, rel=0.15)
    ends = zip(batch.receiver.tolist(), batch.sender.tolist(), map(tuple, batch.vector.tolist()), strict=True)
    exact = {key: e for e, key in enumerate(ends)}
    turned = [
        (e, exact[j, i, tuple(-x for x in v)])
        for (i, j, v), e in exact.items()
        if (j, i, tuple(-x for x in v)) in exact
    ]
    assert len(turned) > 100
    forward, back = torch.tensor(turned).T
    assert torch.equal(view.vector[forward], -view.vector[back])
    assert torch.equal(view.distance[forward], view.distance[back])


def test_noise_needs_a_full_graph_and_no_lattice_sums():
    noisy = StructureViews(coordinate_noise=0.05)
    assert noisy.needs_full_graph
    assert not CUT["all"].needs_full_graph
    with pytest.raises(BadInputError, match=r"symmetry.*--settings.structure.reduced False"):
        structure_views(batch_of(published()), noisy, generator())
    summed = batch_of([real.crystals()["SrTiO3"]], reduced=False, extras=("potentials",))
    with pytest.raises(BadInputError, match=r"lattice sums.*potnet"):
        structure_views(summed, noisy, generator())


@pytest.mark.parametrize("name", ["edge_removal", "node_dropping", "subgraph", "coordinate_noise"])
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_nonsense_is_refused(name, value):
    with pytest.raises(BadInputError, match="Give shares of 0 to below 1"):
        StructureViews(**{name: value})


@pytest.mark.parametrize("name", ["cgcnn", "alignn", "matformer", "lattice"])
def test_no_encoder_sees_the_choice_of_axes(name):
    crystals = [*published(), WATER, None]
    batch = batch_of(crystals)
    view = structure_views(batch, StructureViews(cell_choice=True), generator(2))
    model = small_encoders()[name].eval()
    with torch.no_grad():
        torch.testing.assert_close(model(view), model(batch), rtol=1e-4, atol=1e-5)


def test_other_axes_span_the_same_lattice():
    batch = batch_of([*published(), WATER, None])
    view = structure_views(batch, StructureViews(cell_choice=True), generator(2))
    change = view.lattice.double() @ torch.linalg.inv(batch.lattice.double())
    assert (change - change.round()).abs().max() < 1e-5
    assert (torch.linalg.det(change.round()) == 1).all()
    one = torch.eye(3, dtype=torch.float64)
    assert (change.round() != one).any(dim=2).any(dim=1)[:-2].float().mean() > 0.8
    assert torch.equal(view.lattice[-2:], batch.lattice[-2:])
    assert torch.equal(view.cell, batch.cell)


def test_pairs_with_lattice_sums_follow_their_nodes():
    batch = batch_of(published(), extras=("potentials",))
    view = structure_views(batch, CUT["nodes"], generator())
    _, nodes = kept_by(batch, CUT["nodes"])
    old = list(
        zip(
            batch.pair_receiver.tolist(),
            batch.pair_sender.tolist(),
            batch.potential[:, 1].tolist(),
            strict=True,
        )
    )
    new = zip(
        nodes[view.pair_receiver].tolist(),
        nodes[view.pair_sender].tolist(),
        view.potential[:, 1].tolist(),
        strict=True,
    )
    stay = set(nodes.tolist())
    assert list(new) == [p for p in old if p[0] in stay and p[1] in stay]
    # As many pairs as atoms that each node sees.
    atoms = torch.zeros(view.n_graphs).index_add(0, view.node_graph, view.multiplicity)
    assert torch.equal(
        torch.bincount(view.pair_receiver, minlength=view.n_nodes).float(), atoms[view.node_graph]
    )


ENCODERS = [
    "default",
    "cgcnn",
    "mpgnn",
    "mpgnn-filtered",
    "painn",
    "alignn",
    "potnet",
    "megnet",
    "gatgnn",
    "matformer",
    "chgnet",
    "composition",
]


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_reads_a_view(name, reduced):
    crystals = [None, *(real.crystals()[n] for n in ("NaCl", "quartz", "diopside", "spinel")), HELIUM, WATER]
    batch = batch_of(crystals, reduced, ("potentials",) if name == "potnet" else ())
    known = torch.tensor([False, True, True, False, True, True, False])
    features = torch.randn(7, 64, generator=generator()) * known[:, None]
    batch = replace(batch, pretrained=features, has_pretrained=known)
    view = structure_views(batch, CUT["all"] if reduced or name == "potnet" else ALL, generator(1))
    torch.manual_seed(0)
    recipe = with_structure(Recipe(windows=("structure",)), name)
    model = CrystalEncoder(at_laptop_scale(Job(recipe=recipe)).recipe.encoders.structure).train()
    out = model(view)
    assert out.shape == (7, model.width)
    assert torch.isfinite(out).all()
    out.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
