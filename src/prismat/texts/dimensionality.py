"""Dimensionality of bonded networks: molecules, chains, layers, frameworks.

The dimensionality of a component is the rank of the lattice translations along its closed walks, as in Larsen
et al., Phys. Rev. Materials 3, 034003 (2019); there it is found by walking through supercells, here from one
spanning forest: each bond outside it closes one walk, and those walks generate all others.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from prismat.neighbors import Pairs


@dataclass(frozen=True, eq=False)
class Network:
    """The components of a bonded network.

    Attributes:
        component: index of each atom's component, shape (atoms,).
        dimension: 0 … 3 for each component, shape (components,).
    """

    component: Int[np.ndarray, " atoms"]
    dimension: Int[np.ndarray, " components"]

    @property
    def highest(self) -> int:
        """The largest dimensionality of any component."""
        return int(self.dimension.max())


def network(pairs: Pairs, n_atoms: int) -> Network:
    """Components of a periodic graph and the dimensionality of each.

    Args:
        pairs: bonds, each in both directions.
        n_atoms: atoms per cell, one at least.
    """
    order = np.argsort(pairs.i, kind="stable")
    indices = pairs.j[order].astype(np.int32)
    starts = np.append(0, np.cumsum(np.bincount(pairs.i, minlength=n_atoms))).astype(np.int32)
    count, component = connected_components(_graph(indices, starts), directed=False)
    component = component.astype(np.int64)
    offset = _forest_offsets(pairs, indices, starts, component)
    closed = offset[pairs.i] + pairs.offset - offset[pairs.j]
    gram = np.zeros((count, 3, 3), dtype=np.int64)
    np.add.at(gram, component[pairs.i], closed[:, :, None] * closed[:, None, :])
    return Network(component, np.linalg.matrix_rank(gram.astype(np.float64)).astype(np.int64))


def _graph(indices: Int[np.ndarray, " bonds"], starts: Int[np.ndarray, " rows"]) -> csr_array:
    """Adjacency matrix from the neighbours of each node, one node after the other."""
    n = len(starts) - 1
    return csr_array((np.ones(len(indices)), indices, starts), (n, n))


def _forest_offsets(
    pairs: Pairs,
    indices: Int[np.ndarray, " bonds"],
    starts: Int[np.ndarray, " rows"],
    component: Int[np.ndarray, " atoms"],
) -> Int[np.ndarray, "atoms 3"]:
    """Lattice translation of each atom's image that a spanning tree of its component reaches."""
    n_atoms = len(component)
    roots = np.unique(component, return_index=True)[1].astype(np.int32)
    # A node bonded to one atom of every component makes one tree of the forest.
    below, ends = np.append(indices, roots), np.append(starts, starts[-1] + np.int32(len(roots)))
    _, parent = breadth_first_order(_graph(below, ends), n_atoms, directed=True)
    parent = parent[:n_atoms].astype(np.int64)
    step = np.zeros((n_atoms + 1, 3), dtype=np.int64)
    up = pairs.i == parent[pairs.j]
    # Of several bonds to the parent any one will do; the first is taken.
    children, first = np.unique(pairs.j[up], return_index=True)
    step[children] = pairs.offset[up][first]
    above = np.append(parent, n_atoms)
    # Pointer jumping: steps are added over 1, 2, 4 … generations.
    while (above != n_atoms).any():
        step, above = step + step[above], above[above]
    return step[:n_atoms]
