"""Records that are the same crystal as far as a powder pattern can tell, and records with one text."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

COMPOSITION_TOLERANCE = 0.005
LENGTH_TOLERANCE = 0.005
ANGLE_TOLERANCE = 0.5


def duplicate_structures(
    fractions: Float[np.ndarray, "records elements"],
    cells: Float[np.ndarray, "records 6"],
    spacegroups: Int[np.ndarray, " records"],
    n_sites: Int[np.ndarray, " records"],
) -> Int[np.ndarray, " records"]:
    """Labels equal for records of one crystal.

    That is: same space group and number of sites, element fractions within 0.005, conventional cell edges
    within 0.5 % and angles within 0.5°, linked transitively.

    Args:
        fractions: atomic fractions by element.
        cells: a, b, c in Å, α, β, γ in degrees of the conventional cell.
        spacegroups: numbers.
        n_sites: atoms of the primitive cell.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    scaled = np.concatenate(
        [
            fractions / COMPOSITION_TOLERANCE,
            np.log(np.maximum(cells[:, :3], 1e-3)) / LENGTH_TOLERANCE,
            cells[:, 3:] / ANGLE_TOLERANCE,
            10.0 * spacegroups[:, None],
            10.0 * n_sites[:, None],
        ],
        axis=1,
    )
    # Equal rows are compared once: of a thousand there would be half a million pairs.
    scaled, inverse = np.unique(scaled, axis=0, return_inverse=True)
    links = KDTree(scaled).query_pairs(1.0, p=np.inf, output_type="ndarray")
    n = len(scaled)
    graph = coo_matrix((np.ones(len(links), dtype=bool), (links[:, 0], links[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1][inverse.ravel()].astype(np.int64)


def text_labels(texts: Sequence[str]) -> Int[np.ndarray, " records"]:
    """Labels equal for records with the same text, whatever the case; an empty text equals no other."""
    keys = [" ".join(t.lower().split()) or f"\0{i}" for i, t in enumerate(texts)]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def same_matrix(
    *labels: Int[np.ndarray, " n"],
) -> Bool[np.ndarray, "n n"]:
    """Records that agree in any of the labels."""
    same = np.zeros((len(labels[0]), len(labels[0])), dtype=bool)
    for label in labels:
        # In place: for a large batch every further copy is hundreds of megabytes.
        same |= label[:, None] == label[None, :]
    return same
