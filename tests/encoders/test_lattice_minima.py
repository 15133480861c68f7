"""Successive minima against their definition, by brute force, and against the choice of basis."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import helpers_crystals as real
from prismat.encoders.lattice_minima import lattice_minima

MOST = 40
"""Largest coefficient that brute force tries."""


def brute_force(lattice):
    """Shortest vectors that raise the rank, taken in order of length from all that could be so short."""
    longest = np.linalg.norm(lattice, axis=1).max()  # three independent vectors are no longer than this
    # v = c L gives c_k = v · b_k with b_k the reciprocal vectors: |c_k| ≤ |v| |b_k|.
    reach = np.floor(longest * np.linalg.norm(np.linalg.inv(lattice), axis=0) + 1e-9).astype(int)
    assume(reach.max() <= MOST)
    coefficients = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach)), axis=-1).reshape(-1, 3)
    vectors = coefficients[coefficients.any(1)] @ lattice
    vectors = vectors[np.linalg.norm(vectors, axis=1) <= longest * (1 + 1e-9)]
    chosen = []
    for v in vectors[np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")]:
        tried = np.array([*chosen, v])
        if np.linalg.svd(tried, compute_uv=False)[-1] > 1e-6 * np.linalg.norm(v):
            chosen.append(v)
        if len(chosen) == 3:
            return np.linalg.norm(chosen, axis=1)
    raise AssertionError("no three independent vectors")


def minima(lattice):
    return lattice_minima(torch.from_numpy(np.asarray(lattice, dtype=np.float64))[None])[0].numpy()


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 12))
@example(204, 0)  # an elongated cell: its third minimum needs a coefficient above four
def test_equals_brute_force_in_any_basis(seed, shears):
    rng = np.random.default_rng(seed)
    lattice = rng.normal(size=(3, 3)) + 4 * np.diag(rng.uniform(0.5, 2, 3))
    other = real.random_unimodular(rng, shears) @ lattice @ real.random_rotation(rng)
    np.testing.assert_allclose(minima(other), brute_force(lattice), rtol=1e-9)


@pytest.mark.parametrize(
    ("lattice", "expected"),
    [
        (np.diag([3.0, 1.0, 2.0]), [1, 2, 3]),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2**0.5] * 3),  # face-centred: six shortest pairs, all tied
        ([[-1, 1, 1], [1, -1, 1], [1, 1, -1]], [3**0.5] * 3),  # body-centred
        ([[1, 0, 0], [-0.5, 0.75**0.5, 0], [0, 0, 1.7]], [1, 1, 1.7]),  # three shortest lie in one plane
    ],
)
def test_known_lattices(lattice, expected):
    np.testing.assert_allclose(minima(lattice), expected, rtol=1e-12)


def test_a_very_skewed_basis_is_reduced():
    skewed = np.array([[1, 0, 0], [987_654, 1, 0], [-123_456, 54_321, 1]]) @ np.diag([2.0, 3.0, 4.0])
    np.testing.assert_allclose(minima(skewed), [2, 3, 4], rtol=1e-6)


def test_batch_equals_one_by_one_and_keeps_precision():
    rng = np.random.default_rng(0)
    lattices = torch.from_numpy(rng.normal(size=(50, 3, 3))).float()
    together = lattice_minima(lattices)
    assert together.dtype == torch.float32
    assert torch.equal(together, torch.cat([lattice_minima(one[None]) for one in lattices]))
    assert (together.diff(dim=1) >= 0).all()


def test_scales_with_the_lattice():
    lattices = torch.from_numpy(np.random.default_rng(1).normal(size=(20, 3, 3)))
    torch.testing.assert_close(lattice_minima(lattices * 1.03), lattice_minima(lattices) * 1.03)


def test_empty_batch():
    assert lattice_minima(torch.zeros(0, 3, 3)).shape == (0, 3)
