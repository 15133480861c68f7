"""Names on a picture without overlap: the first place near its own that is free, the largest first."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Box = tuple[float, float, float, float]
_SHIFTS = (
    *(
        (0, 0),
        (0, 1),
        (0, -1),
        (0.7, 0),
        (-0.7, 0),
        (0.7, 1),
        (-0.7, 1),
        (0.7, -1),
        (-0.7, -1),
        (0, 2),
        (0, -2),
    ),
    *(
        (1.2, 0),
        (-1.2, 0),
        (1.2, 1),
        (-1.2, 1),
        (1.2, -1),
        (-1.2, -1),
        (0.6, 2),
        (-0.6, 2),
        (0.6, -2),
        (-0.6, -2),
    ),
)


def overlaps(a: Box, b: Box) -> bool:
    """Whether two boxes (left, bottom, right, top) share any area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place_labels(
    places: Float[np.ndarray, "names 2"],
    sizes: Float[np.ndarray, "names 2"],
    within: Box,
    gap: float = 0.0,
) -> list[tuple[float, float] | None]:
    """The middle of each label; None for one that finds no place.

    Args:
        places: where each would stand best, the most important first.
        sizes: width and height of each, in the same units.
        within: the picture.
        gap: between two labels.
    """
    taken: list[Box] = []
    found: list[tuple[float, float] | None] = []
    for (x, y), (width, height) in zip(places.tolist(), sizes.tolist(), strict=True):
        box = _free(x, y, width + gap, height + gap, taken, within)
        if box is not None:
            taken.append(box)
        found.append(None if box is None else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    return found


def _free(x: float, y: float, width: float, height: float, taken: Sequence[Box], within: Box) -> Box | None:
    for right, up in _SHIFTS:
        # A label that would leave the picture is pushed back into it.
        left = np.clip(x + (right - 0.5) * width, within[0], max(within[0], within[2] - width))
        bottom = np.clip(y + (up - 0.5) * height, within[1], max(within[1], within[3] - height))
        box = (float(left), float(bottom), float(left + width), float(bottom + height))
        if not any(overlaps(box, other) for other in taken):
            return box
    return None
