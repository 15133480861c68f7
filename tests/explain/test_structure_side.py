import numpy as np
import pytest
import torch

import helpers_crystals as real
from prismat.explain.attribution import integrated_gradients, occlusion
from prismat.explain.composition_share import CompositionShare
from prismat.explain.removal import repeated, without_edges, without_nodes
from prismat.explain.side import Comparison, Target, score_kept
from prismat.explain.sites import Sites
from prismat.explain.structure_side import AtomSide, BondSide, structure_batch
from prismat.modalities.structure import composition_of

NAMES = ("SrTiO3", "CaTiO3", "calcite", "spinel", "baddeleyite")


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


@pytest.fixture(scope="module")
def target(prismat):
    """Towards a text, by the head of its own."""
    vector = prismat.embed(texts=["High-pressure study of strontium titanium oxide"])
    return Target([Comparison("structure@text", "text@structure", vector["text@structure"][0], 1.0)])


def side(prismat, crystal):
    return AtomSide(prismat, Sites.of(crystal))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_taken_away_is_what_the_model_embeds(prismat, name):
    crystal = real.crystals()[name]
    found = side(prismat, crystal)
    whole = found.embed(np.ones((2, len(found)), dtype=bool))
    expected = prismat.embed(structures=[crystal])
    for key, vectors in expected.items():
        np.testing.assert_allclose(whole[key][1].detach().numpy(), vectors[0], atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_many_variants_at_once_are_the_variants_one_by_one(prismat, name):
    found = side(prismat, real.crystals()[name])
    kept = np.random.default_rng(0).random((6, len(found))) < 0.6
    kept[0] = False
    together = found.embed(kept)["structure@text"].detach().numpy()
    alone = np.concatenate([found.embed(row[None])["structure@text"].detach().numpy() for row in kept])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_a_graph_without_an_orbit_against_a_loop(prismat):
    batch = structure_batch(prismat, Sites.of(real.crystals()["CaTiO3"]))
    kept = torch.tensor([[True, False, True, True], [True, True, True, True]])
    found = without_nodes(batch, kept)
    assert found.n_nodes == 7
    expected = [
        (int(i), int(j), round(float(d), 5))
        for i, j, d in zip(batch.receiver, batch.sender, batch.distance, strict=True)
        if 1 not in (i, j)
    ]
    here = (found.node_graph[found.receiver] == 0).numpy()
    old = np.array([0, 2, 3])
    rows = zip(found.receiver[here], found.sender[here], found.distance[here], strict=True)
    assert [(int(old[i]), int(old[j]), round(float(d), 5)) for i, j, d in rows] == expected
    assert int((~torch.from_numpy(here)).sum()) == len(batch.receiver)


def test_the_formula_loses_the_atoms_that_are_taken_away(prismat):
    batch = structure_batch(prismat, Sites.of(real.crystals()["SrTiO3"]))
    species = batch.species.tolist()
    kept = torch.ones(1, 3, dtype=torch.bool)
    kept[0, species.index(8)] = False
    fractions = composition_of(without_nodes(batch, kept))[0]
    assert fractions[38] == fractions[22] == pytest.approx(0.5)
    assert fractions[8] == 0


def test_copies_are_equal(prismat):
    batch = structure_batch(prismat, Sites.of(real.crystals()["calcite"]))
    twice = repeated(batch, 2)
    assert twice.n_graphs == 2
    for name in ("species", "occupancy", "multiplicity", "distance", "sender_atom"):
        first, second = getattr(twice, name).chunk(2)
        shift = len(batch.rotation) if name == "sender_atom" else 0
        assert torch.equal(first + shift, second)


@pytest.mark.parametrize("name", NAMES)
def test_equivalent_sites_have_equal_values_that_add_up_to_their_orbit(prismat, target, name):
    crystal = real.crystals()[name]
    found = side(prismat, crystal)
    values = occlusion(found, target)
    items = found.items(values)
    assert [item.site for item in items] == list(range(len(crystal)))
    orbit = found.sites.orbit
    for number in range(len(found)):
        mine = [item.value for item, o in zip(items, orbit, strict=True) if o == number]
        assert len(set(mine)) == 1
        assert sum(mine) == pytest.approx(values[number])
        assert {item.count for item, o in zip(items, orbit, strict=True) if o == number} == {len(mine)}


@pytest.mark.parametrize("method", ["occlusion", "integrated gradients"])
@pytest.mark.parametrize("change", ["rotated", "translated", "reordered", "other_axes"])
def test_values_do_not_depend_on_how_a_crystal_is_written(prismat, target, method, change):
    crystal = real.crystals()["CaTiO3"]
    moved = getattr(real, change)(crystal, np.random.default_rng(3))
    told = []
    for one in (crystal, moved):
        found = side(prismat, one)
        values = occlusion(found, target) if method == "occlusion" else integrated_gradients(found, target)[0]
        told.append(sorted((i.element, i.count, round(i.value, 4)) for i in found.items(values)))
    for (a, n, x), (b, m, y) in zip(*told, strict=True):
        assert (a, n) == (b, m)
        assert x == pytest.approx(y, abs=3e-4)


def test_a_supercell_shares_the_same_orbits(prismat, target):
    crystal = real.crystals()["SrTiO3"]
    one, eight = side(prismat, crystal), side(prismat, real.supercell(crystal, (2, 2, 2)))
    a, b = occlusion(one, target), occlusion(eight, target)
    for x, y in zip(sorted(a), sorted(b), strict=True):
        assert x == pytest.approx(y, abs=2e-5)
    assert sorted({i.count for i in eight.items(b)}) == [8, 24]


@pytest.mark.parametrize("name", NAMES)
def test_integrated_gradients_are_complete_on_the_model(prismat, target, name):
    found = side(prismat, real.crystals()[name])
    values, complete = integrated_gradients(found, target, steps=32)
    assert complete.rest == 0
    assert complete.sum == pytest.approx(values.sum())
    assert complete.gap == pytest.approx(0, abs=2e-4)
    whole = score_kept(found, target, np.ones((1, len(found)), dtype=bool))[0]
    (start,) = target.score(found.embed_inputs(tuple(b[None] for b in found.path()[1]))).tolist()
    assert complete.difference == pytest.approx(whole - start, abs=1e-5)


def test_gradients_leave_the_model_as_it_was(prismat, target):
    before = {k: v.clone() for k, v in prismat.model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in prismat.model.parameters()]
    found = side(prismat, real.crystals()["SrTiO3"])
    integrated_gradients(found, target)
    assert all(torch.equal(v, before[k]) for k, v in prismat.model.state_dict().items())
    for p, grad in zip(prismat.model.parameters(), grads, strict=True):
        assert p.grad is grad if grad is None else torch.equal(p.grad, grad)
    assert not any("Given" in type(m).__name__ for m in prismat.model.modules())


@pytest.mark.parametrize("name", ["spinel", "wuestite", "CaTiO3"])
def test_the_formulas_input_is_divided_without_remainder(prismat, name):
    batch = structure_batch(prismat, Sites.of(real.crystals()[name]))
    encoder = prismat.model.encoders["structure"].parts["composition"]
    share = CompositionShare.of(batch, encoder)
    with torch.no_grad():
        np.testing.assert_allclose(encoder.net(share.features[None]), encoder(batch), atol=1e-6)
    gradient = torch.randn(len(share.features), generator=torch.Generator().manual_seed(0))
    assert float(share.of_nodes(gradient).sum()) == pytest.approx(float(share.features @ gradient), rel=1e-4)


def test_sites_that_share_an_element_share_its_part_by_amount(prismat):
    batch = structure_batch(prismat, Sites.of(real.crystals()["spinel"]))
    share = CompositionShare.of(batch, prismat.model.encoders["structure"].parts["composition"])
    np.testing.assert_allclose(share.held.sum(0)[[8, 12, 13]], 1, rtol=1e-5)
    aluminium = share.held[:, 13]
    # 2 × 0.3 on the tetrahedral site, 4 × 0.85 on the octahedral one.
    assert sorted(aluminium.tolist()) == pytest.approx([0.0, 0.6 / 4.0, 3.4 / 4.0], abs=1e-5)


def test_bonds_of_rock_salt_are_those_of_its_cell(prismat):
    bonds = BondSide(side(prismat, real.crystals()["NaCl"]))
    items = bonds.items(np.zeros(len(bonds)))
    assert items[0].x == pytest.approx(5.6402 / 2, abs=1e-3)
    assert items[0].element in {"Na–Cl", "Cl–Na"}
    # Six neighbours of one atom of each kind: both ways are one bond's.
    assert items[0].count == 12
    assert [i.x for i in items] == sorted(i.x for i in items)


def test_bonds_join_the_sites_that_lie_that_far_apart(prismat):
    crystal = real.crystals()["CaTiO3"]
    bonds = BondSide(side(prismat, crystal), most=8)
    assert len(bonds) == 8
    structure = crystal.to_pymatgen()
    for item in bonds.items(np.zeros(8)):
        found = structure.lattice.get_all_distances(
            structure.frac_coords[item.sites[0]], structure.frac_coords[item.sites[1]]
        )[0, 0]
        assert found <= item.x + 2e-3


def test_taking_bonds_away_is_taking_edges_away(prismat):
    atoms = side(prismat, real.crystals()["SrTiO3"])
    bonds = BondSide(atoms)
    kept = np.ones((2, len(bonds)), dtype=bool)
    kept[1, 0] = False
    found = bonds.embed(kept)["structure@text"]
    whole = atoms.embed(np.ones((1, len(atoms)), dtype=bool))["structure@text"]
    torch.testing.assert_close(found[:1], whole)
    edges = torch.from_numpy(bonds.kind != 0)[None]
    torch.testing.assert_close(
        found[1:], atoms.embed_batch(without_edges(atoms.batch, edges))["structure@text"]
    )
    assert not torch.allclose(found[0], found[1])


def test_sites_of_real_crystals_keep_what_sits_on_them(amcsd):
    seen = 0
    for material in amcsd.read(0, 60):
        crystal = getattr(material, "structure", None)
        if crystal is None:
            continue
        sites = Sites.of(crystal)
        primitive = sites.cell.primitive
        for given, atom in zip(crystal.sites, sites.atom, strict=True):
            assert [z for z, _ in given] == [z for z, _ in primitive.sites[atom]]
        first = sites.first_site()
        np.testing.assert_array_equal(sites.atom[first], np.arange(len(primitive)))
        assert len(set(sites.labels)) == len(crystal)
        seen += 1
    assert seen > 40
