"""Groups of records that must not be separated: linked by composition, publication, mineral, another key."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from prismat.errors import BadInputError

TOLERANCE = 0.02
"""Two compositions are one when no element fraction differs by more."""

NOISE = 1e-6
"""Element fractions closer than this are the same number."""

_LEAF = 64
"""Regions of composition space with fewer points are searched directly."""

_PAIRS_AT_ONCE = 2_000_000
"""Pairs of one region held in memory at once, 24 bytes each."""


def group_records(
    fractions: Float[np.ndarray, "records elements"],
    keys: Sequence[Sequence[str]] = (),
    tolerance: float = TOLERANCE,
) -> Int[np.ndarray, " records"]:
    """Groups of records that must not be separated: the connected components of their links.

    Two records are linked when every element fraction agrees within ``tolerance`` (Chebyshev distance), or
    when they have the same non-empty key of one kind. Links chain: a ~ b and b ~ c put a and c together.

    Args:
        fractions: atomic fraction of each element; rows add up to 1, or are all zero for a record without
            a structure, which only its keys can link.
        keys: for each kind of key (publication, mineral, …) one string per record; an empty string is no
            key. Case and blanks do not count, and kinds are not compared with one another.
        tolerance: largest difference of an element fraction, inclusive.

    Returns:
        Group number of each record, numbered by first appearance.

    Raises:
        BadInputError: fractions that are not finite or do not add up to 1, a column of keys of another
            length, or a tolerance outside [0, 1).
    """
    n = len(fractions)
    _check(fractions, tolerance)
    labels = _composition_groups(fractions, tolerance)
    for kind, column in enumerate(keys):
        if len(column) != n:
            raise BadInputError(
                f"{len(column)} keys for {n} records", field=f"keys[{kind}]", remedy="Give one per record."
            )
        codes = key_codes(column)
        keyed = np.flatnonzero(codes >= 0)
        labels = _merge(np.concatenate([labels, n + np.arange(n)]), keyed, n + codes[keyed])[:n]
    return np.unique(_first_of(labels), return_inverse=True)[1].ravel().astype(np.int64)


def key_codes(column: Sequence[str]) -> Int[np.ndarray, " records"]:
    """Equal keys as equal numbers below the number of records; no key as −1."""
    numbers: dict[str, int] = {"": -1}
    clean = (" ".join(key.split()).casefold() for key in column)
    return np.array([numbers.setdefault(key, len(numbers) - 1) for key in clean], dtype=np.int64)


def _check(fractions: np.ndarray, tolerance: float) -> None:
    if not 0 <= tolerance < 1:
        raise BadInputError(f"tolerance {tolerance} is not in [0, 1)", field="tolerance", remedy="Use 0.02.")
    known = fractions.any(axis=1)
    bad = np.flatnonzero(known & ~(np.abs(fractions.sum(axis=1) - 1) < 1e-3))
    if len(bad):
        raise BadInputError(
            f"element fractions of row {bad[0]} (of {len(bad)} such rows) do not add up to 1",
            field="fractions",
            remedy="Divide each row by its sum; leave a row without a structure all zero.",
        )


def _merge(labels: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Labels after joining the groups of i[k] and j[k]."""
    size = int(labels.max(initial=-1)) + 1
    edges = coo_matrix((np.ones(len(i), bool), (labels[i], labels[j])), shape=(size, size))
    return connected_components(edges, directed=False)[1][labels].astype(np.int64)


def _composition_groups(fractions: np.ndarray, tolerance: float) -> Int[np.ndarray, " records"]:
    """Components by composition alone; equal rows are compared once."""
    labels, known = np.arange(len(fractions)), np.flatnonzero(fractions.any(axis=1))
    if not len(known):
        return labels
    used = fractions[known][:, (fractions > 0).any(axis=0)].astype(np.float64)
    points, inverse = np.unique(np.round(used, 6), axis=0, return_inverse=True)
    reach = tolerance + NOISE
    edges = [np.zeros((0, 2), np.int64)]
    for rows in _regions(points, reach):
        edges += [_compact(links) for links in _region_links(points[rows], rows, reach)]
    i, j = np.concatenate(edges).T
    labels[known] = known[_first_of(_merge(np.arange(len(points)), i, j)[inverse.ravel()])]
    return labels


def _first_of(labels: np.ndarray) -> Int[np.ndarray, " n"]:
    """For each entry, the position of the first one with its label."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return first[which.ravel()]


def _regions(points: np.ndarray, reach: float) -> Iterator[Int[np.ndarray, " region"]]:
    """Overlapping regions such that two points within ``reach`` share at least one.

    A k-d tree answers badly here (a hundred dimensions, nearly all zero), so space is cut where few points
    lie: along one element, at a fraction with nearly nobody within reach / 2, who then belong to both sides.
    """
    pending = [np.arange(len(points))]
    while pending:
        rows = pending.pop()
        sides = _cut(points[rows], reach) if len(rows) > _LEAF else None
        if sides is None:
            yield rows
        else:
            pending += [rows[side] for side in sides]


def _cut(points: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
    """The cut that leaves fewest pairs to compare; None where overlap would eat the gain."""
    best, best_cost = None, 0.95 * float(len(points)) ** 2
    for column in np.argsort(-points.std(axis=0))[:4]:
        values = np.sort(points[:, column])
        at = np.linspace(values[0], values[-1], 34)[1:-1]
        left = np.searchsorted(values, at + reach / 2, side="right")
        right = len(values) - np.searchsorted(values, at - reach / 2, side="left")
        cost = left.astype(float) ** 2 + right.astype(float) ** 2
        k = int(np.argmin(cost))
        if cost[k] < best_cost:
            best, best_cost = (column, at[k]), cost[k]
    if best is None:
        return None
    column, at = best
    return points[:, column] <= at + reach / 2, points[:, column] >= at - reach / 2


def _region_links(points: np.ndarray, rows: np.ndarray, reach: float) -> Iterator[Int[np.ndarray, "links 2"]]:
    """Links inside one region, enough for its components.

    Everybody within reach / 2 of the middle is linked with one another, so a crowd costs one link per point
    and one nearest-neighbour question per outsider; what is left is compared pair by pair.
    """
    while len(rows) > _LEAF:
        crowd = np.abs(points - np.median(points, axis=0)).max(axis=1) <= reach / 2
        if crowd.sum() < 0.1 * len(rows):
            break
        inside, outside = rows[crowd], rows[~crowd]
        yield np.stack([np.full(len(inside), inside[0]), inside], axis=1)
        if len(outside):
            distance, _ = KDTree(points[crowd]).query(
                points[~crowd], p=np.inf, distance_upper_bound=2 * reach
            )
            near = outside[distance <= reach]
            yield np.stack([np.full(len(near), inside[0]), near], axis=1)
        points, rows = points[~crowd], outside
    yield from _pairs(points, rows, reach)


def _pairs(points: np.ndarray, rows: np.ndarray, reach: float) -> Iterator[Int[np.ndarray, "links 2"]]:
    """All pairs within ``reach``, a bounded number at a time."""
    if not len(rows):
        return
    tree = KDTree(points)
    step = max(1, _PAIRS_AT_ONCE // len(rows))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        near = KDTree(points[part]).sparse_distance_matrix(tree, reach, p=np.inf, output_type="ndarray")
        yield np.stack([rows[part][near["i"]], rows[near["j"]]], axis=1)


def _compact(links: Int[np.ndarray, "links 2"]) -> Int[np.ndarray, "fewer 2"]:
    """The same components with one link per point."""
    nodes, local = np.unique(links, return_inverse=True)
    i, j = local.reshape(links.shape).T
    return np.stack([nodes[_first_of(_merge(np.arange(len(nodes)), i, j))], nodes], axis=1)
