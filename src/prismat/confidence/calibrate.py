"""Calibration of every direction of a run on its validation part."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from prismat.confidence.confidence import Confidence
from prismat.confidence.direction import fit_direction
from prismat.confidence.gallery import Direction, directions, side
from prismat.confidence.next_measurement import Windows
from prismat.confidence.scored import Space, scored
from prismat.errors import BadInputError

Progress = Callable[[int, int], None]


def calibrate(
    space: Space,
    wanted: Sequence[Direction] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Confidence:
    """Calibrates directions against all records; one that cannot be is left out with a reason.

    Args:
        space: the embedded store of the run.
        wanted: which directions; all where empty.
        seed: of the division of the validation groups.
        progress: called with directions done and in all.

    Raises:
        BadInputError: the store is not the run's own, so that nothing of it is known to be held out, or no
            direction can be calibrated.
    """
    if not space.opened.is_own:
        raise BadInputError(
            "the run was not trained on a part of this store, so that no part is known to be held out",
            field="store",
            remedy="Give the store that the run was trained on.",
        )
    chosen, found, left = list(wanted) or directions(space.prismat), {}, {}
    for done, direction in enumerate(chosen):
        try:
            val = scored(space, direction, "val", seed)
            found[direction.name] = fit_direction(direction, val, space.facts.systems, seed)
        except BadInputError as error:
            left[direction.name] = error.problem
        if progress:
            progress(done + 1, len(chosen))
    if not found:
        raise BadInputError(
            f"no direction can be calibrated ({next(iter(left.values()))})", remedy="Use a larger store."
        )
    return Confidence(space.prismat.hash, space.opened.prepared.store.hash, found, left)


def further_windows(
    confidence: Confidence, space_side: Callable, direction: Direction, gallery: Int[np.ndarray, " entries"]
) -> Windows:
    """The windows of a gallery that could be measured after a query.

    The structure is no measurement: it is what is asked for.

    Args:
        confidence: temperatures of the directions.
        space_side: ``side`` of the vectors at hand: (window, other) → vectors and presence.
        direction: of the query that was made.
        gallery: rows of the entries.
    """
    others = [
        d.direction.query
        for d in confidence.directions.values()
        if d.direction.gallery == direction.gallery
        and d.direction.query not in (direction.query, direction.gallery, "structure")
    ]
    measured, known, compared, temperatures = {}, {}, {}, {}
    for window in others:
        vectors, there = space_side(window, direction.gallery)
        back, _ = space_side(direction.gallery, window)
        measured[window], known[window], compared[window] = vectors[gallery], there[gallery], back[gallery]
        temperatures[window] = confidence.of(f"{window}->{direction.gallery}").temperature
    return Windows(measured, known, compared, temperatures)


def side_of(space: Space) -> Callable:
    """``side`` of an embedded store."""
    return lambda window, other: side(space.prismat, space.vectors, space.present, window, other)
