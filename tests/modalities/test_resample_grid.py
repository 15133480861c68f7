"""Grids: what is refused, the reduced cell, and resampling against direct Fourier sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample as scipy_resample

from helpers_crystals import random_unimodular
from prismat.errors import BadInputError
from prismat.measurements import ChargeDensity
from prismat.modalities.resample_grid import check_density, reduced_basis, resample

TRICLINIC = np.array([[4.1, 0.2, -0.3], [0.9, 5.2, 0.4], [-0.7, 1.1, 6.3]])


def waves(frac, seed=0, order=2):
    """A real trigonometric polynomial with mean 3 at the given positions, by its definition."""
    rng = np.random.default_rng(seed)
    h = rng.integers(-order, order + 1, (12, 3))
    amplitude, phase = rng.normal(size=12) * h.any(1), rng.uniform(0, 2 * np.pi, 12)
    return 3 + np.cos(2 * np.pi * frac @ h.T + phase) @ amplitude


def grid(shape):
    axes = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    return np.stack(axes, axis=-1)


@pytest.mark.parametrize("shape", [(8, 9, 10), (5, 6, 7), (16, 12, 5)])
def test_band_limited_densities_are_exact(shape):
    found = resample(waves(grid((6, 7, 8))), shape)
    assert np.allclose(found, waves(grid(shape)), atol=1e-12)


@given(st.tuples(*[st.integers(4, 9)] * 3), st.tuples(*[st.integers(0, 5)] * 3), st.integers(0, 2**32 - 1))
def test_finer_and_back_is_the_identity(shape, more, seed):
    values = np.random.default_rng(seed).normal(size=shape)
    finer = resample(values, tuple(a + b for a, b in zip(shape, more, strict=True)))
    assert np.isclose(finer.mean(), values.mean(), atol=1e-12)
    assert np.allclose(resample(finer, shape), values, atol=1e-10)


@given(st.tuples(*[st.integers(4, 12)] * 3), st.tuples(*[st.integers(4, 12)] * 3), st.integers(0, 99))
def test_mean_and_inversion_are_kept(before, after, seed):
    values = np.random.default_rng(seed).random(before)
    found = resample(values, after)
    assert np.isclose(found.mean(), values.mean(), atol=1e-12)
    turned = np.roll(np.flip(values), 1, axis=(0, 1, 2))
    assert np.allclose(resample(turned, after), np.roll(np.flip(found), 1, axis=(0, 1, 2)), atol=1e-10)


@pytest.mark.parametrize("shape", [(5, 7, 9), (15, 13, 11), (8, 10, 12), (18, 16, 14)])
def test_same_as_scipy(shape):
    values = np.random.default_rng(3).random((11, 13, 9))
    expected = values
    for axis, n in enumerate(shape):
        expected = scipy_resample(expected, n, axis=axis)
    assert np.allclose(resample(values, shape), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_another_basis_of_the_same_lattice(seed):
    basis = random_unimodular(np.random.default_rng(seed), 4)
    found = resample(waves(grid((6, 7, 8)), seed), (40, 41, 42), basis)
    # A position x' in the new cell is x' M in the old one.
    assert np.allclose(found, waves(grid((40, 41, 42)) @ basis, seed), atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_reduced_cell_is_unique(seed):
    rng = np.random.default_rng(seed)
    cell = random_unimodular(rng, 6) @ TRICLINIC
    reduced = reduced_basis(cell) @ cell
    assert np.allclose(reduced, reduced_basis(TRICLINIC) @ TRICLINIC)
    assert np.linalg.det(reduced) > 0


def density(values, lattice=TRICLINIC):
    """A density past the type checks that are on in tests only."""
    made = ChargeDensity(np.ones((4, 4, 4)), np.eye(3), "valence")
    object.__setattr__(made, "values", values)
    object.__setattr__(made, "lattice", lattice)
    return made


GOOD = np.full((4, 5, 6), 0.5)
WITH_NAN = np.where(np.arange(120).reshape(4, 5, 6) < 2, np.nan, 0.5)
FLAT = np.array([[4.0, 0, 0], [0, 4, 0], [4, 4, 0]])


@pytest.mark.parametrize(
    ("values", "lattice", "message"),
    [
        (WITH_NAN, TRICLINIC, "2 of 120 values are NaN or infinite.*Write the density again"),
        (GOOD[0], TRICLINIC, r"values of shape \(5, 6\).*on a grid of shape \(nx, ny, nz\)"),
        (GOOD.astype(int), TRICLINIC, "type int64.*Give real numbers"),
        (GOOD[:, :, :1], TRICLINIC, "a grid of 4 × 5 × 1 points.*Give 4 to 1024 points"),
        (GOOD, FLAT, "a flat or absurd cell.*row vectors in Å that span a volume"),
        (GOOD, TRICLINIC * np.nan, "a flat or absurd cell"),
        (GOOD, TRICLINIC / 100, "a flat or absurd cell"),
        (-GOOD, TRICLINIC, "no electrons in the cell.*not a spin or difference density"),
        (GOOD * 100, TRICLINIC, "a mean of 50 e/Å³, denser than any crystal.*Divide values of a CHGCAR"),
    ],
)
def test_bad_densities(values, lattice, message):
    with pytest.raises(BadInputError, match=f"record 'x', charge_density.*{message}"):
        check_density(density(values, lattice), "x")


def test_good_density_and_left_hand():
    assert check_density(density(GOOD)).electrons == pytest.approx(0.5 * np.linalg.det(TRICLINIC))
    left = TRICLINIC[[1, 0, 2]]
    assert check_density(density(GOOD, left)).electrons > 0
    assert np.linalg.det(reduced_basis(left) @ left) > 0


def test_bad_bases():
    with pytest.raises(BadInputError, match="does not keep the volume"):
        resample(GOOD, (4, 4, 4), np.diag([2, 1, 1]))
    with pytest.raises(BadInputError, match="a flat or absurd cell"):
        reduced_basis(FLAT)
