"""How sure an answer is: calibrated probabilities where a query is like those that were calibrated."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from prismat.api import Prismat
from prismat.errors import MismatchError
from prismat.search.answer import Trust
from prismat.search.backends.base import SearchIndex
from prismat.search.comparisons import Comparison
from prismat.search.index import Index
from prismat.search.notes import text_notes
from prismat.search.query import Query

if TYPE_CHECKING:
    from prismat.confidence.confidence import Confidence

_LIKE_WITH_LIKE = "a structure compared with structures is not calibrated: read the score, 1 is the same"


def trusted(
    prismat: Prismat,
    index: SearchIndex,
    query: Query,
    comparisons: Sequence[Comparison],
    confidence: "Confidence | None",
) -> tuple[dict[int, float], Trust]:
    """Probability by row of the index, and what is known of the answer as a whole.

    A probability is given where the query is of one window alone, where its comparison with the whole
    gallery was calibrated, and to the candidates that were: the ten best of that comparison. Filters do not
    change it: it is that of the whole index. 'None of these' is a statement about the whole index too and is
    left out when a filter hides a part of it.

    Args:
        prismat: the model.
        index: only an exact one gives the scores of its whole gallery.
        query: resolved.
        comparisons: of the query.
        confidence: the calibration, if any.

    Raises:
        MismatchError: the calibration is of another model.
    """
    if confidence is None:
        return {}, Trust(notes=("No calibration is at hand: make one with prismat calibrate.",))
    if confidence.model_hash != prismat.hash:
        raise MismatchError("The calibration is of another model. Run 'prismat calibrate' again.")
    reason, direction = _direction(query, confidence)
    if reason is None and not isinstance(index, Index):
        reason = "this back end does not give the scores of its whole gallery; the exact index does"
    if reason is not None or not isinstance(index, Index):
        return {}, Trust(notes=(f"No probability: {reason}.",))
    scores, rows = _gallery_scores(prismat, index, direction, comparisons)
    if len(rows) < 2:
        return {}, Trust(notes=(f"No probability: fewer than two records can be compared by {direction}.",))
    return _judged(query, confidence, direction, scores, rows)


def _direction(query: Query, confidence: "Confidence") -> tuple[str | None, str]:
    """Why there is no probability, or the calibrated direction."""
    from prismat.confidence.identify import PREFERRED

    if query.steer.parts:
        return "what steers a query (not, like, unlike) is not calibrated", ""
    if len(query.parts) != 1:
        return f"mixtures are not calibrated, and {' and '.join(query.parts)} are given", ""
    window = query.parts[0]
    if query.text is not None and any(text_notes(query.text)):
        return "the text is not like the titles that were calibrated", ""
    if window == "structure":
        return _LIKE_WITH_LIKE, ""
    names = [f"{window}->{gallery}" for gallery in PREFERRED.get(window, ("structure",))]
    known = [name for name in names if name in confidence.directions]
    if not known:
        return confidence.left_out.get(names[0], f"{names[0]} was not calibrated"), ""
    return None, known[0]


def _gallery_scores(
    prismat: Prismat, index: Index, direction: str, comparisons: Sequence[Comparison]
) -> tuple[Float[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
    """Cosines with every record that has what the direction compares, as the calibration saw them."""
    window, gallery = direction.split("->")
    if window == gallery:
        used = [c for c in comparisons if c.key.partition("@")[0] in (window, "profile", "sentence")]
    else:
        used = [c for c in comparisons if c.key == prismat.key(gallery, window)]
    if not used:
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
    total = sum(one.share for one in used)
    rows = np.flatnonzero(np.logical_and.reduce([index.present[one.key] for one in used]))
    scores = np.zeros(len(index), np.float32)
    for one in used:
        scores += np.float32(one.share / total) * (index.vectors[one.key] @ one.vector.astype(np.float32))
    return scores[rows], rows


def _judged(
    query: Query, confidence: "Confidence", direction: str, scores: np.ndarray, rows: np.ndarray
) -> tuple[dict[int, float], Trust]:
    from prismat.confidence.match import CANDIDATES

    columns, probability = confidence.probabilities(scores, direction, CANDIDATES)
    known = {int(row): float(p) for row, p in zip(rows[columns], probability, strict=True)}
    notes = list(_notes(query, confidence, direction, len(rows)))
    if not query.filter.is_empty:
        return known, Trust(direction, notes=tuple(notes))
    verdict = confidence.none_of_these(scores, direction)
    window, gallery = direction.split("->")
    is_reliable = window == gallery != "xrd"
    return known, Trust(direction, verdict.probability, verdict.is_flagged, is_reliable, tuple(notes))


def _notes(query: Query, confidence: "Confidence", direction: str, entries: int) -> list[str]:
    """What the probabilities hold for."""
    window, gallery = direction.split("->")
    calibrated = confidence.of(direction).entries
    notes = [
        f"Probabilities ({direction}) are calibrated for the ten best records of the whole index and hold if "
        "the record asked for is in it."
    ]
    if window == "text":
        notes.append(
            "They were calibrated with titles of publications and look at the structures alone; the order of "
            "the results looks at the records' own words too."
        )
    if window == "xrd":
        notes.append(
            "Calibrated on simulated patterns: on measured ones the probability held on average, "
            "but 'none of these' is said far too often."
        )
    if window != gallery and query.filter.is_empty:
        notes.append("'None of these' is hardly better than chance across windows.")
    if entries != calibrated:
        notes.append(f"Calibrated with {calibrated:,} records, this index has {entries:,} to compare with.")
    if not query.filter.is_empty:
        notes.append(
            "The filter changes no probability: they are those of the whole index, and 'none of these' is "
            "not judged among a part of it."
        )
    return notes
