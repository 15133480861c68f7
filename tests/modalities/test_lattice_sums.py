from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import erfc

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.modalities import lattice_sums
from prismat.modalities.lattice_sums import PotentialSettings, pair_potentials, reduce_lattice

CUBE = np.eye(3)
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])


def crystal_of(lattice, frac):
    frac = np.asarray(frac, dtype=float).reshape(-1, 3)
    return Crystal(np.asarray(lattice, dtype=float), frac, (((1, 1.0),),) * len(frac))


def all_pairs(crystal, alpha=3.0):
    return pair_potentials(crystal, np.arange(len(crystal)), PotentialSettings(alpha=alpha))


def random_crystal(seed, atoms=4):
    """Any cell that is not flat, with atoms that keep their distance."""
    rng = np.random.default_rng(seed)
    while True:
        lattice = rng.normal(size=(3, 3)) * rng.uniform(2, 7, size=(3, 1))
        crystal = crystal_of(lattice, rng.random((atoms, 3)))
        lengths = np.linalg.norm(lattice, axis=1)
        if lengths.min() > 1.5 and crystal.volume > 0.2 * lengths.prod() and closest(crystal) > 0.8:
            return crystal


def shifts(n):
    return np.array(list(product(range(-n, n + 1), repeat=3)), dtype=float)


def closest(crystal):
    return min(d[d > 1e-9].min() for d in distances(crystal, 2).reshape(-1, 125))


def distances(crystal, n):
    """Distances of all ordered pairs to all images up to n cells away, shape (pairs, images)."""
    difference = crystal.frac[None, :] - crystal.frac[:, None]
    vectors = (difference.reshape(-1, 1, 3) + shifts(n)) @ crystal.lattice
    return np.linalg.norm(vectors, axis=2)


def ewald(crystal, eta):
    """Potential at i of a unit charge at j with all its images, in a uniform background of opposite charge.

    Textbook Ewald sum over boxes of cells, for every pair by itself.
    """
    # erfc(√η r) and exp(−g²/4η) are below 1e-12 outside of these boxes.
    reach, steepest = 5.2 / np.sqrt(eta), np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0).max()
    widest = np.linalg.norm(crystal.lattice, axis=1).max()
    r = distances(crystal, int(np.ceil((reach + widest) * steepest)))
    is_self = r < 1e-9
    safe = np.where(is_self, 1.0, r)
    direct = np.where(is_self, 0.0, erfc(np.sqrt(eta) * safe) / safe).sum(1)
    g = shifts(int(np.ceil(10.6 * np.sqrt(eta) * widest / (2 * np.pi))))
    g = g[np.abs(g).sum(1) > 0]
    waves = g @ np.linalg.inv(crystal.lattice).T * 2 * np.pi
    squared = (waves**2).sum(1)
    cart = crystal.frac @ crystal.lattice
    difference = (cart[None, :] - cart[:, None]).reshape(-1, 3)
    recip = np.cos(difference @ waves.T) @ (np.exp(-squared / (4 * eta)) / squared)
    own = np.where(is_self.any(1), 2 * np.sqrt(eta / np.pi), 0.0)
    return direct + 4 * np.pi / crystal.volume * recip - np.pi / (eta * crystal.volume) - own


@pytest.mark.parametrize(
    ("lattice", "frac", "nearest", "constant"),
    [
        (FCC, [0.5, 0.5, 0.5], 0.5, 1.7475645946),
        (CUBE, [0.5, 0.5, 0.5], np.sqrt(3) / 2, 1.7626747731),
        (FCC, [0.25, 0.25, 0.25], np.sqrt(3) / 4, 1.6380550534),
    ],
    ids=["NaCl", "CsCl", "zincblende"],
)
def test_madelung_constants(lattice, frac, nearest, constant):
    edge = 5.64
    found = pair_potentials(crystal_of(edge * lattice, [[0, 0, 0], frac]), np.array([0]))
    own, other = found[:, 0]
    assert (other - own) * nearest * edge == pytest.approx(constant, abs=2e-10)


def test_simple_cubic_lattice_in_its_background():
    """−2.837297 / a, the self-energy constant of a periodic charge in a neutralising background."""
    found = all_pairs(crystal_of(3 * CUBE, [0.1, 0.2, 0.3]))
    assert found[0, 0] == pytest.approx(-2.837297479480619 / 3, rel=1e-12)


@pytest.mark.parametrize(
    ("lattice", "nearest", "constant"),
    [(CUBE, 1.0, 8.40192397), (BCC, np.sqrt(3) / 2, 12.25366787), (FCC, np.sqrt(0.5), 14.45392104)],
    ids=["simple cubic", "body-centred", "face-centred"],
)
def test_lennard_jones_lattice_constants(lattice, nearest, constant):
    """Σ r⁻⁶ in units of the nearest distance, as tabulated for the Lennard-Jones crystal."""
    found = all_pairs(crystal_of(4.1 * lattice, [0, 0, 0]))
    assert found[0, 1] * (4.1 * nearest) ** 6 == pytest.approx(constant, rel=1e-9)


@pytest.mark.parametrize("name", ["NaCl", "rutile", "quartz", "baddeleyite"])
def test_coulomb_equals_an_ewald_sum_with_neutralising_background(name):
    crystal = real.crystals()[name]
    found = all_pairs(crystal)[:, 0]
    np.testing.assert_allclose(found, ewald(crystal, 0.5), atol=1e-9)
    assert np.abs(found).max() > 0.1


@given(st.integers(0, 10_000))
@example(215)  # an elongated cell
@settings(max_examples=15, deadline=None)
def test_coulomb_equals_ewald_in_random_cells(seed):
    crystal = random_crystal(seed)
    reduced = reduce_lattice(crystal.lattice)
    # Wrapped into the cell, which the boxes of the reference sum surround.
    small = crystal_of(reduced, crystal.frac @ crystal.lattice @ np.linalg.inv(reduced) % 1)
    eta = 4 / np.cbrt(crystal.volume) ** 2
    np.testing.assert_allclose(all_pairs(crystal)[:, 0], ewald(small, eta), atol=1e-9)


@given(st.integers(0, 10_000))
@example(284)  # a cell so flat that twelve cells were not far enough
@settings(max_examples=15, deadline=None)
def test_london_and_pauli_equal_brute_force(seed):
    crystal = random_crystal(seed)
    found = all_pairs(crystal)
    # So many cells that e^(-3r) of all further images is lost in the rounding of the sum.
    steepest = np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0).max()
    n = int(np.ceil(18 * steepest))
    r = distances(crystal, n)
    r = np.where(r < 1e-9, np.inf, r)
    # What lies beyond a sphere counts as continuous matter.
    reach = n / steepest - r.min(1).max()
    near = np.where(r < reach, r, np.inf)
    beyond = 4 * np.pi / (3 * crystal.volume * reach**3)
    np.testing.assert_allclose(found[:, 1], (near**-6).sum(1) + beyond, rtol=0, atol=beyond)
    weight = np.exp(-3 * r)
    np.testing.assert_allclose(found[:, 2], weight.sum(1), rtol=1e-9)
    slope = -3 * (weight * np.where(np.isinf(r), 0, r)).sum(1) / weight.sum(1)
    np.testing.assert_allclose(found[:, 3], slope, rtol=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_splitting_does_not_matter(seed):
    """Real and reciprocal sums trade places; an error in either, or in a constant, would show."""
    crystal = random_crystal(seed)
    found = all_pairs(crystal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lattice_sums, "_SPLIT", 1.1)
        np.testing.assert_allclose(found, all_pairs(crystal), rtol=1e-10, atol=1e-13)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_basis_origin_and_orientation_do_not_matter(seed):
    crystal, rng = random_crystal(seed), np.random.default_rng(seed)
    wanted = all_pairs(crystal)
    change = real.random_unimodular(rng, shears=8)
    turned = change @ crystal.lattice @ real.random_rotation(rng)
    frac = crystal.frac @ np.linalg.inv(change) + rng.normal(size=3) * 5
    np.testing.assert_allclose(all_pairs(crystal_of(turned, frac)), wanted, rtol=1e-10, atol=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_pairs_are_mutual(seed):
    crystal = random_crystal(seed)
    table = all_pairs(crystal).reshape(4, 4, 4)
    np.testing.assert_allclose(table, table.transpose(1, 0, 2), rtol=1e-10, atol=1e-13)


@given(st.integers(0, 10_000), st.tuples(*[st.integers(1, 2)] * 3))
@settings(max_examples=10, deadline=None)
def test_sums_over_a_supercell_add_up(seed, times):
    """An atom of the small cell is several of the large one; their sums add to that of the one."""
    crystal = random_crystal(seed, atoms=3)
    cells = np.array(list(product(*(range(n) for n in times))))
    frac = (crystal.frac[None] + cells[:, None]).reshape(-1, 3) / np.array(times)
    large = crystal_of(np.array(times)[:, None] * crystal.lattice, frac)
    found = pair_potentials(large, np.arange(3)).reshape(3, len(cells), 3, 4)[..., :3].sum(1)
    wanted = all_pairs(crystal).reshape(3, 3, 4)[..., :3]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 10_000), st.floats(0.9, 1.1))
@settings(max_examples=10, deadline=None)
def test_isotropic_expansion(seed, scale):
    crystal = random_crystal(seed)
    before, after = all_pairs(crystal), all_pairs(crystal_of(scale * crystal.lattice, crystal.frac))
    np.testing.assert_allclose(after[:, 0], before[:, 0] / scale, atol=1e-12)
    np.testing.assert_allclose(after[:, 1], before[:, 1] / scale**6, rtol=1e-9)
    step = 1e-4
    up, down = (all_pairs(crystal_of(s * crystal.lattice, crystal.frac)) for s in (1 + step, 1 - step))
    slope = np.log(up[:, 2] / down[:, 2]) / np.log((1 + step) / (1 - step))
    np.testing.assert_allclose(slope, before[:, 3], rtol=1e-5)


def test_rows_are_receivers_then_atoms():
    crystal = real.crystals()["kyanite"]
    n = len(crystal)
    table = all_pairs(crystal).reshape(n, n, 4)
    found = pair_potentials(crystal, np.array([5, 2]))
    np.testing.assert_allclose(found, table[[5, 2]].reshape(-1, 4), rtol=1e-12, atol=1e-14)


def test_no_receivers_no_pairs():
    assert pair_potentials(real.crystals()["NaCl"], np.zeros(0, int)).shape == (0, 4)


def test_molecule_is_summed_without_images():
    positions = np.array([[0, 0, 0], [0, 0, 1.2], [0, 0.9, -0.4]])
    molecule = Crystal.molecule(positions, (((6, 1.0),),) * 3)
    found = all_pairs(molecule).reshape(3, 3, 4)
    r = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    other = ~np.eye(3, dtype=bool)
    r = r[other]
    wanted = np.stack([1 / r, 1 / r**6, np.exp(-3 * r), -3 * r], axis=1)
    np.testing.assert_allclose(found[other], wanted, rtol=1e-13)
    assert (found[~other] == 0).all()


def test_lone_atom_in_a_large_cell_is_nearly_alone():
    found = all_pairs(crystal_of(190 * CUBE, [0.5, 0.5, 0.5]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, [0, 1]], [-2.8372974795 / 190, 8.40192397 / 190**6], rtol=1e-8)
    assert found[0, 3] == pytest.approx(-3 * 190, rel=1e-9)


def test_repulsion_that_underflows_keeps_its_slope():
    found = all_pairs(crystal_of(300 * CUBE, [0, 0, 0]))
    assert found[0, 2] == 0
    assert found[0, 3] == pytest.approx(-900, rel=1e-9)


def test_a_long_thin_cell():
    """The worst case: far atoms of a thin cell, whose dispersion is a small part of the scale κ⁶."""
    lattice = np.diag([3.0, 3.0, 120.0])
    found = pair_potentials(crystal_of(lattice, [[0, 0, 0], [0.2, 0.3, 0.5]]), np.array([0]))[1]
    n = np.arange(-4000, 4001)
    plane = np.add.outer((3 * (np.arange(-1500, 1501) + 0.2)) ** 2, (3 * (np.arange(-1500, 1501) + 0.3)) ** 2)
    wanted = sum(float(((plane + (120 * (m + 0.5)) ** 2) ** -3).sum()) for m in range(-6, 6))
    wanted += np.pi / (2 * 9) * float(((120 * (np.abs(n[np.abs(n + 0.5) > 6] + 0.5))) ** -4.0).sum())
    assert found[1] == pytest.approx(wanted, rel=1e-8)


def test_alternatives_of_one_position_do_not_see_each_other():
    """Two half-occupied atoms 0.3 Å apart: neither counts in the other's sum, their images do."""
    crystal = crystal_of(4 * CUBE, [[0, 0, 0], [0.075, 0, 0]])
    near, all_seen = (
        pair_potentials(crystal, np.array([0]), PotentialSettings(overlap=limit)) for limit in (0.6, 0.1)
    )
    np.testing.assert_allclose(all_seen[1, 0] - near[1, 0], 1 / 0.3, rtol=1e-12)
    np.testing.assert_allclose(all_seen[1, 1] - near[1, 1], 0.3**-6, rtol=1e-12)
    np.testing.assert_allclose(all_seen[1, 2] - near[1, 2], np.exp(-0.9), rtol=1e-12)
    together = crystal_of(4 * CUBE, [[0, 0, 0], [0, 0, 0]])
    found = pair_potentials(together, np.array([0]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


def test_alpha_is_the_decay_of_the_repulsion():
    crystal = real.crystals()["rutile"]
    slow, fast = (all_pairs(crystal, alpha) for alpha in (1.5, 3.0))
    np.testing.assert_array_equal(slow[:, :2], fast[:, :2])
    r = distances(crystal, 12)
    wanted = np.where(r < 1e-9, 0, np.exp(-1.5 * r)).sum(1)
    np.testing.assert_allclose(slow[:, 2], wanted, rtol=1e-9)
