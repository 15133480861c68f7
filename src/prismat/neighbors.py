"""Periodic neighbour pairs within a cutoff, and the k nearest with whole shells."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

TIE = 1e-4
"""Å. Distances that differ by less belong to one shell."""


@dataclass(frozen=True)
class Pairs:
    """Directed neighbour pairs i ← j.

    Attributes:
        i: receiving atom, shape (pairs,).
        j: neighbouring atom, shape (pairs,).
        offset: lattice translation of j as integers, shape (pairs, 3).
        distance: Å, shape (pairs,).
    """

    i: Int[np.ndarray, " pairs"]
    j: Int[np.ndarray, " pairs"]
    offset: Int[np.ndarray, "pairs 3"]
    distance: Float[np.ndarray, " pairs"]

    def __getitem__(self, mask: np.ndarray) -> "Pairs":
        return Pairs(self.i[mask], self.j[mask], self.offset[mask], self.distance[mask])


def neighbor_pairs(
    lattice: Float[np.ndarray, "3 3"],
    frac: Float[np.ndarray, "atoms 3"],
    cutoff: float,
    periodic: bool = True,
) -> Pairs:
    """All pairs closer than ``cutoff`` Å, self-images and parallel images included where periodic.

    Found with vesin (cell lists); distances are recomputed in float64 from the integer offsets.
    """
    from vesin import NeighborList

    lattice = np.ascontiguousarray(lattice, dtype=np.float64)
    points = np.ascontiguousarray(frac @ lattice)
    i, j, shift = NeighborList(cutoff=cutoff, full_list=True).compute(
        points=points, box=lattice, periodic=periodic, quantities="ijS"
    )
    i, j, offset = i.astype(np.int64), j.astype(np.int64), shift.astype(np.int64)
    vector = points[j] + offset @ lattice - points[i]
    return Pairs(i, j, offset, np.sqrt((vector * vector).sum(axis=1)))


def nearest_shells(pairs: Pairs, n_atoms: int, k: int, keep_tied: bool = True) -> Pairs:
    """Keeps the k nearest neighbours of each atom, a tied last shell whole or not at all.

    Args:
        pairs: candidates, in any order.
        n_atoms: number of receiving atoms.
        k: neighbours wanted per atom.
        keep_tied: keep the shell that holds the k-th neighbour whole (more than k neighbours), else
            drop it whole (fewer than k) unless it is the only one.

    Returns:
        The kept pairs, sorted by receiver and distance. An atom with fewer than k candidates keeps all.
    """
    order = np.lexsort((pairs.distance, pairs.i))
    pairs = pairs[order]
    counts = np.bincount(pairs.i, minlength=n_atoms)
    start = np.cumsum(counts) - counts
    has = counts > 0
    kth = np.zeros(n_atoms)
    kth[has] = pairs.distance[start[has] + np.minimum(k, counts[has]) - 1]
    if keep_tied:
        return pairs[pairs.distance <= kth[pairs.i] + TIE]
    following = np.full(n_atoms, np.inf)
    more = counts > k
    following[more] = pairs.distance[start[more] + k]
    split = following - kth <= TIE
    first = np.zeros(n_atoms)
    first[has] = pairs.distance[start[has]]
    limit = np.where(split, np.maximum(kth - 2 * TIE, first + TIE), kth + TIE)
    return pairs[pairs.distance <= limit[pairs.i]]
