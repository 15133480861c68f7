"""Structures of several stores that are the same: proposed by fingerprint, confirmed by the matcher."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from prismat.crystal import Crystal
from prismat.groups import group_records
from prismat.hygiene.candidates import Candidates, Likeness, find_candidates
from prismat.hygiene.fingerprint import fingerprints
from prismat.hygiene.matching import OTHER, SAME, UNDECIDED, Matcher, Matching
from prismat.hygiene.parts import Part


@dataclass(frozen=True)
class CompareSettings:
    """How structures are compared.

    Attributes:
        likeness: which pairs the fingerprint proposes.
        matching: which of them the matcher confirms.
        tries: pairs of two groups, or of one record and the others, that are given to the matcher before it
            is taken that they differ; the most alike come first.
    """

    likeness: Likeness = field(default_factory=Likeness)
    matching: Matching = field(default_factory=Matching)
    tries: int = 3


@dataclass(frozen=True, eq=False)
class SameStructures:
    """What was found; rows count through all parts.

    Attributes:
        pairs: confirmed pairs; within a group as many as connect it.
        undecided: pairs for which the matcher ran out of time.
        compared: crystals with a structure.
        molecules: records with a molecule, which are not compared.
        proposed: pairs the fingerprint proposes.
        tested: pairs given to the matcher.
        fingerprint_s: seconds until the pairs were proposed.
        matcher_s: seconds of the matcher.
    """

    pairs: Int[np.ndarray, "pairs 2"]
    undecided: Int[np.ndarray, "undecided 2"]
    compared: int
    molecules: int
    proposed: int
    tested: int
    fingerprint_s: float
    matcher_s: float

    def counts(self) -> dict[str, float | int | None]:
        """Figures as JSON; the precision is that of the fingerprint on the pairs that were decided."""
        decided = self.tested - len(self.undecided)
        return {
            "compared": self.compared,
            "molecules_not_compared": self.molecules,
            "proposed_pairs": self.proposed,
            "tested_pairs": self.tested,
            "confirmed_pairs": len(self.pairs),
            "undecided_pairs": len(self.undecided),
            "fingerprint_precision": round(len(self.pairs) / decided, 4) if decided else None,
            "fingerprint_s": round(self.fingerprint_s, 2),
            "matcher_s": round(self.matcher_s, 2),
        }


def groups_of(pairs: Int[np.ndarray, "pairs 2"], n: int) -> Int[np.ndarray, " n"]:
    """Group number of each of n rows, linked by pairs."""
    edges = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(edges, directed=False)[1].astype(np.int64)


def same_within(parts: Sequence[Part], settings: CompareSettings) -> SameStructures:
    """Same structures within and across parts, linked transitively.

    A pair is not tested when others have linked its ends already.
    """
    return _compare(parts, None, settings)


def same_across(train: Part, other: Part, settings: CompareSettings) -> SameStructures:
    """For each row of ``other`` one row of ``train`` with the same structure, where there is one."""
    side = np.concatenate([np.zeros(len(train), bool), np.ones(len(other), bool)])
    return _compare([train, other], side, settings)


def _compare(
    parts: Sequence[Part], side: Bool[np.ndarray, " n"] | None, settings: CompareSettings
) -> SameStructures:
    started = time.monotonic()
    fractions = np.concatenate([part.fractions for part in parts])
    wanted = _with_partner(fractions, side, settings.likeness.composition)
    crystals = _crystals(parts, wanted)
    prints = fingerprints(crystals)
    found = find_candidates(prints, settings.likeness, None if side is None else side[wanted])
    proposed = time.monotonic()
    open_ = _Groups(len(wanted)) if side is None else _Singles(side[wanted])
    with Matcher(settings.matching) as matcher:
        answers = _decide(found, crystals, matcher, open_, settings.tries)
    has = fractions.any(axis=1)
    molecules = sum(_molecules(part) for part in parts)
    return SameStructures(
        pairs=_ordered(wanted[found.pairs[answers == SAME]]),
        undecided=_ordered(wanted[found.pairs[answers == UNDECIDED]]),
        compared=int(has.sum()) - molecules,
        molecules=molecules,
        proposed=len(found),
        tested=int((answers >= UNDECIDED).sum()),
        fingerprint_s=proposed - started,
        matcher_s=time.monotonic() - proposed,
    )


def _ordered(pairs: np.ndarray) -> Int[np.ndarray, "pairs 2"]:
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _with_partner(
    fractions: np.ndarray, side: np.ndarray | None, tolerance: float
) -> Int[np.ndarray, " wanted"]:
    """Rows with a composition that another row, of the other side where there are sides, has too."""
    has = np.flatnonzero(fractions.any(axis=1))
    if not len(has):
        return has
    group = group_records(fractions[has], tolerance=tolerance)
    if side is None:
        return has[np.bincount(group)[group] > 1]
    there = np.bincount(group, side[has])
    return has[((there > 0) & (np.bincount(group) > there))[group]]


def _crystals(parts: Sequence[Part], wanted: np.ndarray) -> list[Crystal | None]:
    """Primitive cells of rows counted through all parts."""
    borders = np.cumsum([0] + [len(part) for part in parts])
    found: list[Crystal | None] = []
    for part, first, last in zip(parts, borders[:-1], borders[1:], strict=True):
        here = wanted[(wanted >= first) & (wanted < last)] - first
        found += part.store.crystals(part.rows[here]) if len(here) else []
    return found


def _molecules(part: Part) -> int:
    """Records with atoms and without a space group."""
    numbers, sites = np.array(part.column("spacegroup_number")), np.array(part.column("n_sites"))
    return int(((numbers == 0) & (sites > 0)).sum())


_UNTESTED = -2


def _decide(
    found: Candidates,
    crystals: Sequence[Crystal | None],
    matcher: Matcher,
    open_: "_Groups | _Singles",
    tries: int,
) -> Int[np.ndarray, " pairs"]:
    """An answer for every pair that mattered, ``_UNTESTED`` for the others."""
    answers = np.full(len(found), _UNTESTED, dtype=np.int64)
    while len(chosen := open_.choose(found.pairs, answers, tries)):
        answers[chosen] = matcher.match(crystals, found.pairs[chosen])
    return answers


class _Groups:
    """Grows groups: each group asks for the most alike pair that would link it to another one."""

    def __init__(self, n: int) -> None:
        self.n = n

    def choose(self, pairs: np.ndarray, answers: np.ndarray, tries: int) -> Int[np.ndarray, " chosen"]:
        """Pairs to test next, at most one for each group."""
        label = groups_of(pairs[answers == SAME], self.n)
        ends = np.sort(label[pairs], axis=1)
        between = ends[:, 0] * self.n + ends[:, 1]
        tested = np.isin(answers, (OTHER, UNDECIDED))
        refused, times = np.unique(between[tested], return_counts=True)
        given_up = np.isin(between, refused[times >= tries])
        rows = np.flatnonzero((answers == _UNTESTED) & (ends[:, 0] != ends[:, 1]) & ~given_up)
        return _first_of_each(rows, ends[rows])


class _Singles:
    """Each row of the one side asks for the most alike row of the other, until one is the same."""

    def __init__(self, side: Bool[np.ndarray, " n"]) -> None:
        self.side = side

    def choose(self, pairs: np.ndarray, answers: np.ndarray, tries: int) -> Int[np.ndarray, " chosen"]:
        """Pairs to test next, at most one for each row."""
        asking = np.where(self.side[pairs[:, 0]], pairs[:, 0], pairs[:, 1])
        tested = np.isin(answers, (OTHER, UNDECIDED))
        times = np.bincount(asking[tested], minlength=len(self.side))
        done = np.bincount(asking[answers == SAME], minlength=len(self.side)) > 0
        rows = np.flatnonzero((answers == _UNTESTED) & ~done[asking] & (times[asking] < tries))
        return _first_of_each(rows, asking[rows][:, None])


def _first_of_each(rows: np.ndarray, owners: Int[np.ndarray, "rows k"]) -> Int[np.ndarray, " chosen"]:
    """The first of ``rows`` for each owner; rows come in order of likeness."""
    flat, place = owners.ravel(), np.repeat(np.arange(len(rows)), owners.shape[1])
    first = np.unique(flat, return_index=True)[1]
    return rows[np.unique(place[first])]
