"""Pairs of crystals that may be the same: alike in composition, volume and radial distribution."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.groups import group_records
from prismat.hygiene.fingerprint import Fingerprints, distances
from prismat.ragged import ranges

_PAIRS_AT_ONCE = 200_000
_NOISE = 1e-6


@dataclass(frozen=True)
class Likeness:
    """How alike the fingerprints of candidates are.

    Attributes:
        composition: largest difference of an atomic fraction.
        volume: largest relative difference of the volumes per atom.
        radial: largest distance of the radial distributions, see
            :func:`prismat.hygiene.fingerprint.distances`.
    """

    composition: float = 0.01
    volume: float = 0.1
    radial: float = 0.35


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs that may be the same crystal, the most alike first.

    Attributes:
        pairs: two rows each, the smaller first.
        distance: of their radial distributions.
    """

    pairs: Int[np.ndarray, "pairs 2"]
    distance: Float[np.ndarray, " pairs"]

    def __len__(self) -> int:
        return len(self.pairs)


def find_candidates(
    prints: Fingerprints, likeness: Likeness, side: Bool[np.ndarray, " n"] | None = None
) -> Candidates:
    """All pairs with fingerprints alike.

    Compositions are grouped first, then sorted by volume, so that few pairs are looked at.

    Args:
        prints: of all crystals.
        likeness: how alike.
        side: where given, only pairs of one crystal from each side count.
    """
    pairs, found = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    block = group_records(prints.fractions[prints.known], tolerance=likeness.composition + _NOISE)
    order = prints.known[np.argsort(block, kind="stable")]
    borders = np.cumsum(np.bincount(block))[:-1] if len(block) else []
    for rows in np.split(order, borders):
        for near in _block_pairs(rows, prints.volume, likeness.volume):
            kept = near if side is None else near[side[near[:, 0]] != side[near[:, 1]]]
            chosen, distance = _alike(kept, prints, likeness)
            pairs.append(chosen)
            found.append(distance)
    both, distance = np.concatenate(pairs), np.concatenate(found)
    first = np.lexsort((both[:, 1], both[:, 0], distance.round(9)))
    return Candidates(both[first], distance[first])


def _block_pairs(rows: np.ndarray, volume: np.ndarray, tolerance: float) -> Iterator[np.ndarray]:
    """Pairs of one block whose volumes agree, a bounded number at a time."""
    rows = rows[np.lexsort((rows, volume[rows]))]
    size = volume[rows]
    last = np.searchsorted(size, size * (1 + tolerance) * (1 + _NOISE), side="right")
    following = np.arange(1, len(rows) + 1)
    count = last - following
    chunk = np.cumsum(count) // _PAIRS_AT_ONCE
    for part in (np.flatnonzero(chunk == number) for number in np.unique(chunk[count > 0])):
        second = ranges(following[part], count[part])
        yield np.sort(np.stack([rows[np.repeat(part, count[part])], rows[second]], axis=1), axis=1)


def _alike(
    pairs: np.ndarray, prints: Fingerprints, likeness: Likeness
) -> tuple[Int[np.ndarray, "kept 2"], Float[np.ndarray, " kept"]]:
    """Pairs that agree in composition and radial distribution, and how far apart the latter are."""
    i, j = pairs.T
    used = prints.fractions[np.unique(pairs)].any(axis=0)
    apart = np.abs(prints.fractions[i][:, used] - prints.fractions[j][:, used]).max(axis=1, initial=0.0)
    pairs = pairs[apart <= likeness.composition + _NOISE]
    distance = distances(prints.radial[pairs[:, 0]], prints.radial[pairs[:, 1]])
    kept = distance <= likeness.radial
    return pairs[kept], distance[kept]
