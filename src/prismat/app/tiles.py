"""A map cut into tiles: the square from −1 to 1, halved at every level; the same points at every visit."""

import numpy as np
from jaxtyping import Float, Int

MOST_POINTS = 2_000
"""Points of one tile."""
MOST_LEVELS = 9


def levels_of(xy: Float[np.ndarray, "n 2"], most: int = MOST_POINTS) -> int:
    """Levels after which no tile leaves a point out, at most ``MOST_LEVELS``."""
    for level in range(MOST_LEVELS):
        if np.unique(_cells(xy, level), axis=0, return_counts=True)[1].max(initial=0) <= most:
            return level + 1
    return MOST_LEVELS


def in_tile(
    xy: Float[np.ndarray, "n 2"], level: int, x: int, y: int, most: int = MOST_POINTS
) -> tuple[Int[np.ndarray, " shown"], int]:
    """Points of a tile, and how many there are.

    Where they are too many, those come that a fixed order of all points puts first: a closer look adds points
    and takes none away.

    Args:
        xy: places, from −1 to 1.
        level: 0 is one tile.
        x: from the left.
        y: from the top.
        most: points given.
    """
    here = np.flatnonzero((_cells(xy, level) == (x, y)).all(axis=1))
    order = np.random.default_rng(0).permutation(len(xy))
    return here[np.argsort(order[here], kind="stable")[:most]], len(here)


def _cells(xy: Float[np.ndarray, "n 2"], level: int) -> Int[np.ndarray, "n 2"]:
    """Tile of each point."""
    side = 1 << level
    place = np.stack([xy[:, 0] + 1, 1 - xy[:, 1]], axis=1) / 2
    return np.clip(np.floor(place * side), 0, side - 1).astype(np.int64)
