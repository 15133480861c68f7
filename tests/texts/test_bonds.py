import numpy as np
import pytest

import helpers_crystals as real
import helpers_small as small
from prismat.crystal import Crystal, element_site, make_site
from prismat.texts.bonds import bonded_pairs, contents


def coordination(crystal):
    """Numbers of bonds by element, as sets."""
    pairs = bonded_pairs(crystal)
    counts = np.bincount(pairs.i, minlength=len(crystal))
    found = {}
    for site, n in zip(crystal.sites, counts.tolist(), strict=True):
        found.setdefault(site[0][0], set()).add(n)
    return found


# Textbook coordination numbers, by atomic number.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NaCl", {11: {6}, 17: {6}}),
        ("diamond", {6: {4}}),
        ("SrTiO3", {38: {12}, 22: {6}, 8: {6}}),
        ("rutile", {22: {6}, 8: {3}}),
        ("quartz", {14: {4}, 8: {2}}),
        ("wurtzite", {30: {4}, 8: {4}}),
        ("calcite", {20: {6}, 6: {3}, 8: {3}}),
        ("baddeleyite", {40: {7}, 8: {3, 4}}),
        ("diopside", {20: {8}, 12: {6}, 14: {4}, 8: {3, 4}}),
        ("kyanite", {13: {6}, 14: {4}, 8: {3, 4}}),
    ],
)
def test_textbook_coordination(name, expected):
    assert coordination(real.crystals()[name]) == expected


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("fluorite_Ca-F", {20: {8}, 9: {4}}),
        ("caesium_chloride_Cs-Cl", {55: {8}, 17: {8}}),
        ("caesium_chloride_Tl-Cl", {81: {8}, 17: {8}}),
        ("zincblende_Zn-S", {30: {4}, 16: {4}}),
        ("fluorite_Pb-O", {82: {8}, 8: {4}}),
    ],
)
def test_heavy_and_light_pairs(id, expected):
    assert coordination(small.crystal(id)) == expected


@pytest.mark.parametrize(("a", "frac", "number"), [(2.866, [[0, 0, 0], [0.5] * 3], 8), (3.0, [[0, 0, 0]], 6)])
def test_metals_bond_to_their_first_shell(a, frac, number):
    iron = Crystal(np.eye(3) * a, np.array(frac, dtype=float), (element_site("Fe"),) * len(frac))
    assert coordination(iron) == {26: {number}}


def test_cations_do_not_bond_to_each_other():
    # Mg–Mg (2.98 Å) is nearer than the sum of both radii (2.82 Å) times 1.25.
    magnesia = small.crystal("rock_salt_Mg-O")
    pairs = bonded_pairs(magnesia)
    assert all(magnesia.sites[i] != magnesia.sites[j] for i, j in zip(pairs.i, pairs.j, strict=True))


def test_nickel_and_aluminium_do_bond():
    assert coordination(small.crystal("caesium_chloride_Ni-Al")) == {28: {8}, 13: {8}}


def test_alternatives_of_one_position_are_not_bonded():
    half = make_site({8: 0.5})
    split = Crystal(np.eye(3) * 6, np.array([[0, 0, 0], [1.1 / 6, 0, 0]]), (half, half))
    assert not len(bonded_pairs(split).i)
    full = Crystal(split.lattice, split.frac, (element_site("O"),) * 2)
    assert len(bonded_pairs(full).i) == 2


def test_a_molecule_has_no_images():
    water = Crystal.molecule(
        np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
        (element_site("O"), element_site("H"), element_site("H")),
    )
    assert coordination(water) == {8: {2}, 1: {1}}
    assert not bonded_pairs(water).offset.any()


def test_bonds_go_both_ways():
    pairs = bonded_pairs(real.crystals()["kyanite"])
    there = {(i, j, *s) for i, j, s in zip(pairs.i, pairs.j, pairs.offset.tolist(), strict=True)}
    back = {
        (j, i, *(-np.array(s)).tolist())
        for i, j, s in zip(pairs.i, pairs.j, pairs.offset.tolist(), strict=True)
    }
    assert there == back


def test_contents_of_a_mixed_site():
    found = contents(Crystal(np.eye(3) * 4, np.zeros((1, 3)), (make_site({12: 0.75, 8: 0.25}),)))
    assert found.radius[0] == pytest.approx(0.75 * 1.41 + 0.25 * 0.66)
    assert found.electronegativity[0] == pytest.approx(0.75 * 1.31 + 0.25 * 3.44)
    assert bool(found.metal[0])
    assert not bool(found.anion[0])
