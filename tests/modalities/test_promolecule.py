"""Superposed atoms: electrons, a sum in real space, symmetry, and the choice of the filter."""

import gemmi
import numpy as np
import pytest

from helpers_crystals import crystals, supercell
from prismat.crystal import Crystal, make_site
from prismat.errors import BadInputError
from prismat.modalities.promolecule import grid_sigma, promolecule_density
from prismat.modalities.resample_grid import reduced_crystal

TRICLINIC = np.array([[4.1, 0.2, -0.3], [0.9, 4.2, 0.4], [-0.7, 1.1, 4.5]])
MIXED = Crystal(
    TRICLINIC,
    np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.85]]),
    (make_site({6: 1.0}), make_site({8: 0.5, 16: 0.25})),
)


def electrons(crystal):
    return sum(z * n for z, n in crystal.composition.items())


def real_space(crystal, shape, sigma):
    """Each atom's Gaussians summed over neighbouring cells, from gemmi's coefficients."""
    axes = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    points = np.stack(axes, axis=-1)
    cells = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    total = np.zeros(shape)
    for frac, site in zip(crystal.frac, crystal.sites, strict=True):
        r2 = [(((points - frac - cell) @ crystal.lattice) ** 2).sum(-1) for cell in cells]
        for z, occupancy in site:
            *pairs, constant = gemmi.Element(z).it92.get_coefs()
            a, b = np.array([*pairs[:4], constant]), np.array([*pairs[4:], 0.0])
            b = b + 8 * np.pi**2 * sigma**2
            a = a * z / a.sum() * (4 * np.pi / b) ** 1.5 * occupancy
            for distance in r2:
                total += (a * np.exp(-4 * np.pi**2 * distance[..., None] / b)).sum(-1)
    return total


def test_against_sum_in_real_space():
    found = promolecule_density(MIXED, (15, 16, 17), sigma=0.4)
    expected = real_space(MIXED, (15, 16, 17), 0.4)
    assert found.kind == "promolecule"
    # What is left is the filter's tail beyond the grid's limit.
    assert np.abs(found.values - expected).max() < 1e-4 * expected.max()


@pytest.mark.parametrize("shape", [(32, 32, 32), (15, 16, 17), (4, 5, 32)])
@pytest.mark.parametrize("name", sorted(crystals()))
def test_electron_count(name, shape):
    crystal = crystals()[name]
    assert promolecule_density(crystal, shape).electrons == pytest.approx(electrons(crystal), rel=1e-12)


@pytest.mark.parametrize("name", sorted(crystals()))
def test_hardly_any_ringing(name):
    values = promolecule_density(reduced_crystal(crystals()[name]), (32, 32, 32)).values
    assert values.min() > -1e-3 * values.max()
    assert -values[values < 0].sum() < 1e-4 * values.sum()


def test_maximum_sits_on_the_heaviest_atom():
    crystal = crystals()["SrTiO3"]
    values = promolecule_density(crystal, (32, 32, 32)).values
    assert np.unravel_index(values.argmax(), values.shape) == (16, 16, 16)


def test_origin_axes_and_supercell():
    shape = (12, 15, 20)
    values = promolecule_density(MIXED, shape).values
    moved = Crystal(MIXED.lattice, MIXED.frac + np.array([1, -2, 5]) / shape, MIXED.sites)
    assert np.allclose(
        promolecule_density(moved, shape).values, np.roll(values, (1, -2, 5), (0, 1, 2)), atol=1e-9
    )
    order = [2, 0, 1]
    turned = Crystal(MIXED.lattice[order], MIXED.frac[:, order], MIXED.sites)
    found = promolecule_density(turned, (20, 12, 15)).values
    assert np.allclose(found, values.transpose(order), atol=1e-9)
    # Odd numbers of points, so that no frequency is the limit of one grid and not of the other.
    twice = promolecule_density(supercell(MIXED, (1, 3, 1)), (13, 45, 17), sigma=0.3).values
    once = promolecule_density(MIXED, (13, 15, 17), sigma=0.3).values
    assert np.allclose(twice, np.tile(once, (1, 3, 1)), atol=1e-9)


def test_filter_follows_the_grid():
    assert grid_sigma(np.eye(3) * 3.2, (32, 32, 32)) == 0.15
    assert grid_sigma(np.diag([3.2, 3.2, 32.0]), (32, 32, 32)) == pytest.approx(1.0)


def test_bad_input():
    empty = Crystal(TRICLINIC, np.zeros((0, 3)), ())
    nowhere = Crystal(TRICLINIC, np.full((2, 3), np.nan), MIXED.sites)
    flat = Crystal(TRICLINIC * [[1], [1], [0]], MIXED.frac, MIXED.sites)
    for crystal in (empty, nowhere):
        with pytest.raises(BadInputError, match="record 'm', coordinates: no atoms, or positions"):
            promolecule_density(crystal, (8, 8, 8), record="m")
    with pytest.raises(BadInputError, match="a flat or absurd cell"):
        promolecule_density(flat, (8, 8, 8))
    with pytest.raises(BadInputError, match="a grid of 2 × 8 × 8 points"):
        promolecule_density(MIXED, (2, 8, 8))
    with pytest.raises(BadInputError, match=r"a width of -1\.0 Å"):
        promolecule_density(MIXED, (8, 8, 8), sigma=-1.0)
