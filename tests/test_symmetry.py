import gemmi
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from prismat.crystal import check
from prismat.errors import BadInputError
from prismat.symmetry import expand, parse_operations


def operations(symbol):
    group = gemmi.find_spacegroup_by_name(symbol)
    return parse_operations([op.triplet() for op in group.operations()])


def cell(*parameters):
    return np.array(Lattice.from_parameters(*parameters).matrix)


def test_rock_salt_from_two_atoms():
    crystal = expand(
        cell(5.64, 5.64, 5.64, 90, 90, 90),
        np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        [{11: 1.0}, {17: 1.0}],
        *operations("F m -3 m"),
    )
    assert crystal.composition == {11: 4, 17: 4}
    assert crystal.density == pytest.approx(2.164, abs=2e-3)
    check(crystal)


def test_quartz_agrees_with_pymatgen():
    lattice = Lattice.hexagonal(4.9134, 5.4052)
    frac = np.array([[0.4699, 0, 2 / 3], [0.4141, 0.2681, 0.1188 + 2 / 3]])
    crystal = expand(np.array(lattice.matrix), frac, [{14: 1.0}, {8: 1.0}], *operations("P 32 2 1"))
    reference = Structure.from_spacegroup("P3_221", lattice, ["Si", "O"], frac)
    ours = np.array(sorted(crystal.frac.round(6).tolist()))
    theirs = np.array(sorted((reference.frac_coords % 1).round(6).tolist()))
    assert np.allclose(ours, theirs, atol=2e-6)
    assert crystal.composition == {8: 6, 14: 3}


def test_mixed_sites_of_a_garnet_keep_their_occupancies():
    frac = np.array(
        [
            [0.125, 0, 0.25],
            [0.1251, 0, 0.25],
            [0, 0, 0],
            [0, 0, 0],
            [0.375, 0, 0.25],
            [0.0335, 0.0492, 0.6535],
        ]
    )
    contents = [{12: 0.7}, {26: 0.3}, {13: 0.9}, {24: 0.1}, {14: 1.0}, {8: 1.0}]
    crystal = expand(cell(11.5, 11.5, 11.5, 90, 90, 90), frac, contents, *operations("I a -3 d"))
    assert len(crystal) == 160
    assert crystal.composition == pytest.approx({8: 96, 12: 16.8, 13: 14.4, 14: 24, 24: 1.6, 26: 7.2})
    assert sum(site == ((12, 0.7), (26, 0.3)) for site in crystal.sites) == 24
    check(crystal)


def test_a_mixed_site_may_be_given_by_another_image_of_it():
    frac = np.array([[0.2, 0.3, 0.4], [-0.2, -0.3, -0.4]])
    crystal = expand(cell(5, 6, 7, 80, 85, 95), frac, [{12: 0.5}, {26: 0.5}], *operations("P -1"))
    assert crystal.sites == (((12, 0.5), (26, 0.5)),) * 2


@pytest.mark.parametrize("off", [0.0, 0.004, 0.01, 0.0099])
def test_rounded_special_positions_become_exact(off):
    """0.1 Å tolerance on a 10 Å cell; near a fourfold axis the opposite image is farther than that."""
    frac = np.array([[off / 2, 0.0, 0.2]])
    crystal = expand(cell(10, 10, 10, 90, 90, 90), frac, [{26: 1.0}], *operations("P 4"))
    assert len(crystal) == 1
    assert np.allclose(crystal.frac, [[0, 0, 0.2]], atol=1e-9)


def test_images_beyond_the_tolerance_stay_apart():
    crystal = expand(
        cell(10, 10, 10, 90, 90, 90), np.array([[0.02, 0, 0.2]]), [{26: 0.25}], *operations("P 4")
    )
    assert len(crystal) == 4


def test_four_digit_thirds_give_one_atom():
    frac = np.array([[0.3333, 0.6667, 0.25]])
    crystal = expand(np.array(Lattice.hexagonal(30, 5).matrix), frac, [{12: 1.0}], *operations("P 63/m m c"))
    assert np.allclose(
        np.sort(crystal.frac, axis=0), np.sort([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]], axis=0)
    )


@pytest.mark.parametrize(
    "symbol", ["P 1", "C 1 2/c 1", "I 41/a m d:2", "R -3 c:H", "P 63/m m c", "F d -3 m:2"]
)
def test_general_orbits_are_whole_and_in_the_cell(symbol):
    rotations, translations = operations(symbol)
    frac = np.random.default_rng(0).random((3, 3)) * 4 - 2
    lattice = cell(40, 40, 40, 90, 90, 120 if symbol[0] == "R" or "63" in symbol else 90)
    crystal = expand(lattice, frac, [{z: 1.0} for z in (6, 7, 8)], rotations, translations)
    assert len(crystal) == 3 * len(rotations)
    assert crystal.frac.min() >= 0
    assert crystal.frac.max() < 1


def test_operations_are_read_and_shared():
    rotations, translations = parse_operations(["x,y,z", "1/2+x,-y,z", "Y-X, y, 3/4-z"])
    assert rotations[2].tolist() == [[-1, 1, 0], [0, 1, 0], [0, 0, -1]]
    assert translations.tolist() == [[0, 0, 0], [0.5, 0, 0], [0, 0, 0.75]]
    assert parse_operations(["x,y,z", "1/2+x,-y,z", "Y-X, y, 3/4-z"])[0] is rotations


@pytest.mark.parametrize(
    ("operations_", "message"),
    [
        (["x,y"], "symmetry operation: cannot read 'x,y'"),
        (["x,x,z"], "does not keep volumes"),
        ([], "no symmetry operation"),
    ],
)
def test_bad_operations_are_named(operations_, message):
    with pytest.raises(BadInputError, match=message):
        parse_operations(operations_)


@pytest.mark.parametrize(
    ("frac", "contents", "message"),
    [
        (np.zeros((0, 3)), [], "no atoms"),
        (np.zeros((1, 3)), [], "1 positions but 0 contents"),
        (np.full((1, 3), np.nan), [{1: 1.0}], "not a finite number"),
        (np.full((1, 3), 1e9), [{1: 1.0}], "absurd"),
        (np.zeros((5000, 3)), [{1: 0.1}] * 5000, "more than 4096"),
        (np.zeros((2, 3)), [{1: 1.0}, {1: 1.0}], "add up to 2"),
        (np.zeros((1, 3)), [{1: 0.0}], "a site is empty"),
    ],
)
def test_bad_sites_are_named(frac, contents, message):
    with pytest.raises(BadInputError, match=message):
        expand(np.eye(3) * 5, frac, contents, *operations("P 1"))
