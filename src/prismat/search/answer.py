"""The answer to a query: ranked records with a score per part, a probability where one is calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismat.search.hits import Hit


@dataclass(frozen=True, eq=False)
class Match:
    """One result.

    Attributes:
        rank: from 1.
        hit: the record with its total score.
        parts: by part of the query, the mean cosine that this part alone would give; parts that the record
            cannot be compared with are left out. The total is Σ w part / Σ |w| where the record has all keys.
        probability: that this is the record asked for, if it is in the index; None where not calibrated.
    """

    rank: int
    hit: Hit
    parts: Mapping[str, float]
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        parts = {part: round(value, 6) for part, value in self.parts.items()}
        probability = None if self.probability is None else round(self.probability, 6)
        return {"rank": self.rank, **hit_dict(self.hit), "parts": parts, "probability": probability}


@dataclass(frozen=True)
class Trust:
    """How far an answer can be trusted.

    Attributes:
        direction: calibrated comparison that the probabilities are of, such as ``xrd->xrd``; None without.
        missing: probability that the record asked for is not in the index, were that as likely as not before.
        is_flagged: whether 'none of these' is said.
        is_reliable: whether that may be believed: not of patterns, measured while those of the calibration
            were simulated, nor across windows, where it was near chance (docs/tasks/confidence.md).
        notes: what the figures hold for, or why there are none.
    """

    direction: str | None = None
    missing: float | None = None
    is_flagged: bool = False
    is_reliable: bool = True
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        verdict = None
        if self.missing is not None:
            verdict = {
                "probability": round(self.missing, 6),
                "flagged": self.is_flagged,
                "reliable": self.is_reliable,
            }
        return {"direction": self.direction, "none_of_these": verdict, "notes": list(self.notes)}


@dataclass(frozen=True, eq=False)
class Answer:
    """What a search found.

    Attributes:
        matches: best first.
        matching: records that pass the filter.
        gallery: records of the index.
        trust: calibrated confidence.
        notes: about the query itself, such as words that mean nothing.
        took_ms: from the typed query to this answer, milliseconds.
    """

    matches: tuple[Match, ...]
    matching: int
    gallery: int
    trust: Trust = Trust()
    notes: tuple[str, ...] = ()
    took_ms: float = 0.0

    @property
    def hits(self) -> list[Hit]:
        """The records alone."""
        return [match.hit for match in self.matches]

    def to_dict(self) -> dict[str, Any]:
        """In JSON types: the same in Python, on the command line and over HTTP."""
        return {
            "hits": [match.to_dict() for match in self.matches],
            "matching": self.matching,
            "gallery": self.gallery,
            "confidence": self.trust.to_dict(),
            "notes": list(self.notes),
            "took_ms": round(self.took_ms, 1),
        }


def hit_dict(hit: Hit) -> dict[str, Any]:
    """One record in JSON types."""
    return {
        "id": hit.id,
        "score": round(hit.score, 6),
        "scores": {k: round(v, 6) for k, v in hit.scores.items()},
        "formula": hit.formula,
        "spacegroup": hit.spacegroup,
        "spacegroup_number": hit.spacegroup_number,
        "title": hit.title,
        "elements": list(hit.elements),
        "n_sites": hit.n_sites,
        "properties": {k: {"value": p.value, "unit": p.unit} for k, p in hit.properties.items()},
    }
