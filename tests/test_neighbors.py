import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from prismat.neighbors import TIE, Pairs, nearest_shells, neighbor_pairs

CUTOFF = 4.5


def random_cell(rng):
    """A cell small against the cutoff as often as not: self-images and parallel images occur."""
    lattice = Lattice.from_parameters(*rng.uniform(2.2, 7, 3), *rng.uniform(60, 115, 3))
    return np.array(lattice.matrix), rng.uniform(-1, 2, (rng.integers(1, 6), 3))


def naive_pairs(lattice, frac, cutoff):
    """pymatgen's neighbours as sorted rows (i, j, offset, distance)."""
    structure = Structure(lattice, ["H"] * len(frac), frac, to_unit_cell=False)
    found = structure.get_all_neighbors(cutoff)
    return sorted(
        (i, n.index, *map(int, n.image), n.nn_distance) for i, site in enumerate(found) for n in site
    )


@pytest.mark.parametrize("seed", range(40))
def test_pairs_agree_with_pymatgen(seed):
    lattice, frac = random_cell(np.random.default_rng(seed))
    pairs = neighbor_pairs(lattice, frac, CUTOFF)
    ours = sorted(
        zip(pairs.i.tolist(), pairs.j.tolist(), *pairs.offset.T.tolist(), pairs.distance, strict=True)
    )
    theirs = naive_pairs(lattice, frac, CUTOFF)
    assert [row[:5] for row in ours] == [row[:5] for row in theirs]
    np.testing.assert_allclose([r[5] for r in ours], [r[5] for r in theirs], atol=1e-9)


def test_self_images_and_parallel_images_are_kept():
    pairs = neighbor_pairs(np.eye(3) * 3.0, np.zeros((1, 3)), 4.5)
    assert len(pairs.i) == 6 + 12
    assert (pairs.i == pairs.j).all()
    assert len(np.unique(pairs.offset, axis=0)) == 18
    two = neighbor_pairs(np.eye(3) * 3.0, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 2.7)
    assert len(two.i) == 16  # eight images of the one around the other, both ways


def test_offsets_give_back_the_distances():
    lattice, frac = random_cell(np.random.default_rng(3))
    pairs = neighbor_pairs(lattice, frac, CUTOFF)
    vector = (frac[pairs.j] + pairs.offset - frac[pairs.i]) @ lattice
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), pairs.distance, atol=1e-12)


def test_nothing_within_the_cutoff():
    pairs = neighbor_pairs(np.eye(3) * 30.0, np.zeros((1, 3)), 8.0)
    assert len(pairs.i) == 0
    assert pairs.offset.shape == (0, 3)
    assert len(nearest_shells(pairs, 1, 12).i) == 0


def naive_shells(distances, k, keep_tied):
    """Kept distances of one atom, shell by shell."""
    ordered = sorted(distances)
    shells = []
    for d in ordered:
        if shells and d - shells[-1][-1] < TIE:
            shells[-1].append(d)
        else:
            shells.append([d])
    kept = []
    for shell in shells:
        fits = len(kept) + len(shell) <= k
        if not fits and (len(kept) >= k or not (keep_tied or not kept)):
            break
        kept += shell
    return kept


def as_pairs(per_atom):
    i = np.repeat(np.arange(len(per_atom)), [len(d) for d in per_atom])
    distance = np.array([d for row in per_atom for d in row], dtype=float)
    rng = np.random.default_rng(len(i))
    order = rng.permutation(len(i))
    n = len(i)
    return Pairs(i[order], np.arange(n)[order], np.zeros((n, 3), dtype=np.int64), distance[order])


shells = st.lists(st.tuples(st.integers(10, 60), st.integers(1, 5)), max_size=6, unique_by=lambda s: s[0])
atoms = st.lists(shells, min_size=1, max_size=4)


@settings(deadline=None)
@given(atoms, st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_nearest_shells_agree_with_a_naive_loop(atoms, k, keep_tied, seed):
    rng = np.random.default_rng(seed)
    per_atom = [[d / 10 + rng.uniform(0, TIE / 3) for d, n in row for _ in range(n)] for row in atoms]
    kept = nearest_shells(as_pairs(per_atom), len(per_atom), k, keep_tied)
    for atom, distances in enumerate(per_atom):
        found = kept.distance[kept.i == atom].tolist()
        assert found == naive_shells(distances, k, keep_tied)


@pytest.mark.parametrize("keep_tied", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_nearest_shells_of_random_cells(seed, keep_tied):
    lattice, frac = random_cell(np.random.default_rng(100 + seed))
    pairs = neighbor_pairs(lattice, frac, 8.0)
    kept = nearest_shells(pairs, len(frac), 12, keep_tied)
    for atom in range(len(frac)):
        naive = naive_shells(pairs.distance[pairs.i == atom].tolist(), 12, keep_tied)
        assert kept.distance[kept.i == atom].tolist() == naive


def test_shells_of_rock_salt():
    frac = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    salt = np.concatenate([frac, frac + 0.5])
    pairs = neighbor_pairs(np.eye(3) * 5.64, salt, 6.0)
    counts = {
        (k, tied): np.unique(np.bincount(nearest_shells(pairs, 8, k, tied).i)).tolist()
        for k in (1, 6, 12, 18)
        for tied in (True, False)
    }
    # Shells of 6, 12 and 8; the only shell is kept whole even where it is larger than asked for.
    assert counts[(1, True)] == counts[(1, False)] == counts[(6, True)] == counts[(6, False)] == [6]
    assert counts[(12, True)] == [18]
    assert counts[(12, False)] == [6]
    assert counts[(18, True)] == counts[(18, False)] == [18]


def test_fewer_candidates_than_wanted_are_all_kept():
    pairs = as_pairs([[1.0, 2.0], [], [3.0]])
    for keep_tied in (True, False):
        assert nearest_shells(pairs, 3, 12, keep_tied).distance.tolist() == [1.0, 2.0, 3.0]


def test_result_is_sorted_by_receiver_and_distance():
    kept = nearest_shells(as_pairs([[3.0, 1.0, 2.0], [5.0, 4.0]]), 2, 2)
    assert kept.i.tolist() == [0, 0, 1, 1]
    assert kept.distance.tolist() == [1.0, 2.0, 4.0, 5.0]
