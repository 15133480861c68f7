"""Which crystal is this, how sure is that, and what to measure next: a calibrated answer from an index."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.api import Prismat
from prismat.confidence.calibrate import further_windows
from prismat.confidence.confidence import CandidateSet, Confidence, Verdict
from prismat.confidence.gallery import Direction, Facts, read_facts, side
from prismat.confidence.next_measurement import Recommendation
from prismat.errors import BadInputError, MismatchError
from prismat.search.index import Index
from prismat.search.query import Query

PREFERRED = {"xrd": ("xrd", "structure"), "structure": ("xrd", "text")}
"""Galleries of a query in order of preference; of any other window, the structures."""


@dataclass(frozen=True)
class Candidate:
    """One entry.

    Attributes:
        row: in the index.
        id: of the record.
        formula: of the record.
        spacegroup: of the record.
        title: of its publication, or its mineral.
        score: cosine.
        probability: that it is the answer, if the answer is in the gallery.
    """

    row: int
    id: str
    formula: str
    spacegroup: str
    title: str
    score: float
    probability: float


@dataclass(frozen=True, eq=False)
class Identification:
    """The answer to one query.

    Attributes:
        direction: query and gallery.
        entries: size of the gallery.
        candidates: best first.
        candidate_set: rows of the index that hold the answer at the level asked for.
        verdict: whether the answer is missing from the gallery.
        next: further measurements, the best first.
        notes: what to know before trusting it.
    """

    direction: str
    entries: int
    candidates: tuple[Candidate, ...]
    candidate_set: CandidateSet
    verdict: Verdict
    next: tuple[Recommendation, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        found = self.candidate_set
        return {
            "direction": self.direction,
            "entries": self.entries,
            "candidates": [vars(c) for c in self.candidates],
            "set": {"promised": 1 - found.alpha, "rows": found.columns.tolist(), "note": found.note},
            "none_of_these": vars(self.verdict),
            "next": [vars(r) for r in self.next],
            "notes": list(self.notes),
        }


class Identifier:
    """Answers queries over an index with what was calibrated for its model.

    Args:
        prismat: the model.
        index: of the records the calibration saw.
        confidence: the calibration.

    Raises:
        MismatchError: the index or the calibration belongs to another model.
    """

    def __init__(self, prismat: Prismat, index: Index, confidence: Confidence) -> None:
        if len({prismat.hash, index.model_hash, confidence.model_hash}) > 1:
            raise MismatchError(
                "Model, index and calibration are not of one model. "
                "Run 'prismat index' and 'prismat calibrate' again."
            )
        self.prismat, self.index, self.confidence = prismat, index, confidence
        self._sides: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def facts(self) -> Facts:
        """Facts about the index's records."""
        table, has_density = self.index.table, self.index.units.get("density") == "g/cm3"
        density = table["property.density"].to_pylist() if has_density else [None] * len(self.index)
        return read_facts(table["spacegroup_number"].to_pylist(), table["elements"].to_pylist(), density)

    def direction_of(self, query: Query, gallery: str | None = None) -> Direction:
        """The direction in which a query is answered.

        Raises:
            BadInputError: several windows are given, or none of its directions was calibrated.
        """
        if len(query.parts) != 1:
            raise BadInputError(
                f"{len(query.parts)} windows are given",
                field="query",
                remedy="Give one: probabilities are calibrated for one window at a time.",
            )
        window = query.parts[0]
        wanted = (gallery,) if gallery else PREFERRED.get(window, ("structure",))
        found = [d for d in (Direction(window, g) for g in wanted) if d.name in self.confidence.directions]
        if not found:
            self.confidence.of(Direction(window, wanted[0]).name)
        return found[0]

    def identify(
        self,
        query: Query,
        alpha: float = 0.1,
        group: str | None = None,
        gallery: str | None = None,
    ) -> Identification:
        """Candidates with probabilities, the conformal set, the flag and the next measurement.

        Args:
            query: one window; its ``k`` is the number of candidates.
            alpha: share of sets that may miss the answer.
            group: ``crowding`` or ``crystal system`` for thresholds by group.
            gallery: window of the records to compare with; the preferred one where None.

        Raises:
            BadInputError: a query that cannot be read or is not calibrated.
        """
        direction, query = self.direction_of(query, gallery), query.resolved()
        scores, rows = self.scores(query, direction)
        columns, probability = self.confidence.probabilities(scores, direction.name, query.k)
        facts = self.facts.take(rows)
        found = self.confidence.conformal_set(scores, alpha, direction.name, group, facts.systems)
        windows = further_windows(self.confidence, self._side, direction, rows)
        return Identification(
            direction.name,
            len(rows),
            tuple(self._candidates(rows[columns], scores[columns], probability)),
            CandidateSet(rows[found.columns], alpha, found.note),
            self.confidence.none_of_these(scores, direction.name),
            tuple(self.confidence.next_measurement(scores, direction.name, windows, facts)),
            self._notes(direction, len(rows)),
        )

    def scores(
        self, query: Query, direction: Direction
    ) -> tuple[Float[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
        """Cosines with all entries that have the gallery's window, and their rows in the index."""
        window = direction.query
        if window == "text":
            vectors = self.prismat.embed(texts=[query.text or ""])
        elif window == "structure":
            vectors = self.prismat.embed(structures=[query.structure])  # ty: ignore[invalid-argument-type]
        elif window == "xrd":
            vectors = self.prismat.embed(patterns=[query.xrd])  # ty: ignore[invalid-argument-type]
        else:
            vectors = self.prismat.embed(**{window: [query.measured[window]]})  # ty: ignore[invalid-argument-type]
        there = {key: np.ones(1, dtype=bool) for key in vectors}
        asked, _ = side(self.prismat, vectors, there, window, direction.gallery)
        entries, present = self._side(direction.gallery, window)
        rows = np.flatnonzero(present)
        return entries[rows] @ asked[0], rows

    def _side(self, window: str, other: str) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the index's records, joined once."""
        if (window, other) not in self._sides:
            vectors, present = self.index.vectors, self.index.present
            self._sides[window, other] = side(self.prismat, vectors, present, window, other)
        return self._sides[window, other]

    def _candidates(self, rows: np.ndarray, scores: np.ndarray, probability: np.ndarray) -> list[Candidate]:
        records = self.index.table.take(rows).to_pylist()
        return [
            Candidate(int(row), r["id"], r["formula"], r["spacegroup"], r["title"], float(score), float(p))
            for row, r, score, p in zip(rows, records, scores, probability, strict=True)
        ]

    def _notes(self, direction: Direction, entries: int) -> tuple[str, ...]:
        calibrated = self.confidence.of(direction.name).entries
        notes = ["Probabilities hold if the answer is in the gallery."]
        if entries != calibrated:
            notes.append(f"Calibrated with {calibrated:,} entries, this index has {entries:,}.")
        if direction.query == "xrd":
            notes.append(
                "Calibrated on simulated patterns; measured ones are harder: sets miss more, and "
                "'none of these' is said too often."
            )
        return tuple(notes)
