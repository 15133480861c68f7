"""Everything that is calibrated of one direction, and the fitting of it on validation queries."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.confidence.conformal import KINDS, Calibration, Kind, Nonconformity, best_right, set_sizes
from prismat.confidence.gallery import Direction
from prismat.confidence.likelihood import fit_temperature, score_entropy
from prismat.confidence.match import MatchModel, choose_match, find_candidates
from prismat.confidence.openset import OpenSet, choose_open_set, signals
from prismat.confidence.scored import Scored
from prismat.errors import BadInputError

TAXONOMIES = ("crowding", "crystal system")
"""Of the query: how crowded the gallery is around it. Of the candidate: its crystal system."""
CROWDING = ("clear", "between", "crowded")
LEAST_CLUSTERS = 30
"""Validation groups without which nothing is calibrated."""
_TUNED_SHARE = 1 / 3
_TUNED_ALPHA = 0.1


@dataclass(frozen=True, eq=False)
class DirectionConfidence:
    """What is known of one direction.

    Attributes:
        direction: query and gallery.
        entries: size of the gallery it was calibrated with.
        temperature: of the softmax over the gallery.
        match: probability of candidates.
        open_set: the flag 'none of these'.
        nonconformity: by which conformal sets are made.
        crowding: entropies in bits that divide clear, between and crowded queries.
        calibrations: by taxonomy, thresholds of conformal sets.
        losses: log losses of the methods tried on validation.
    """

    direction: Direction
    entries: int
    temperature: float
    match: MatchModel
    open_set: OpenSet
    nonconformity: Nonconformity
    crowding: tuple[float, float]
    calibrations: dict[str, Calibration]
    losses: dict[str, dict[str, float]] = field(default_factory=dict)

    def crowding_of(self, scores: Float[np.ndarray, "queries entries"]) -> Int[np.ndarray, " queries"]:
        """0 clear, 1 between, 2 crowded, by the entropy of the softmax."""
        return np.searchsorted(self.crowding, score_entropy(scores, self.temperature), side="right")

    def thresholds(
        self,
        scores: Float[np.ndarray, "queries entries"],
        alpha: float,
        by: str | None = None,
        systems: Int[np.ndarray, " entries"] | None = None,
    ) -> tuple[Float[np.ndarray, "queries columns"], tuple[int, ...]]:
        """The threshold of every query, or of every entry where they go by crystal system.

        Args:
            scores: of the gallery.
            alpha: share that may be missed.
            by: a taxonomy; None for one threshold.
            systems: crystal system of every entry, for that taxonomy.

        Returns:
            Thresholds of shape (queries, 1) or (queries, entries), and the groups that were too small and
            took the pooled one.

        Raises:
            BadInputError: an unknown taxonomy, or crystal systems are wanted but not given.
        """
        if by is not None and by not in self.calibrations:
            raise BadInputError(
                f"unknown grouping {by!r}",
                field="group",
                remedy=f"Use one of {', '.join(self.calibrations)}.",
            )
        if by == "crystal system" and systems is None:
            raise BadInputError("no crystal systems of the entries", field="group", remedy="Give them.")
        calibration = self.calibrations[by or TAXONOMIES[0]]
        if by is None:
            return np.full((len(scores), 1), calibration.threshold(alpha)[0]), ()
        groups = self.crowding_of(scores) if by == "crowding" else np.asarray(systems)
        numbers, member = np.unique(groups, return_inverse=True)
        found = [calibration.threshold(alpha, int(n)) for n in numbers]
        limits = np.array([limit for limit, _ in found])[member.ravel()]
        pooled = tuple(int(n) for n, (_, own) in zip(numbers, found, strict=True) if not own)
        if by == "crowding":
            return limits[:, None], pooled
        return np.broadcast_to(limits, scores.shape), pooled


def right_candidates(
    columns: Int[np.ndarray, "queries k"], relevant: Bool[np.ndarray, "queries entries"]
) -> Bool[np.ndarray, "queries k"]:
    """Which candidates are right."""
    return np.take_along_axis(relevant, columns, axis=1)


def fit_direction(
    direction: Direction, val: Scored, systems: Int[np.ndarray, " records"], seed: int = 0
) -> DirectionConfidence:
    """Calibrates one direction on validation queries.

    A third of the groups chooses the nonconformity and its temperature, the others alone give the thresholds
    of conformal sets, so that these keep their guarantee. Probabilities and the flag are fitted on all.

    Args:
        direction: query and gallery.
        val: validation queries against all records.
        systems: crystal system of every record of the store.
        seed: of the division into thirds.

    Raises:
        BadInputError: too few groups of queries.
    """
    names = np.unique(val.clusters)
    if len(names) < LEAST_CLUSTERS:
        raise BadInputError(
            f"{len(names)} groups of validation queries in {direction.name}, {LEAST_CLUSTERS} are needed",
            field="calibration",
            remedy="Use a larger store, or a larger validation part.",
        )
    temperature = fit_temperature(val.scores, val.relevant)
    candidates = find_candidates(val.scores, temperature)
    match, match_losses = choose_match(
        candidates, right_candidates(candidates.columns, val.relevant), val.clusters
    )
    present = signals(val.scores, temperature)
    open_set, open_losses = choose_open_set(
        present, signals(val.scores, temperature, val.relevant), val.clusters
    )
    drawn = np.random.default_rng(seed).permutation(names)[: int(_TUNED_SHARE * len(names))]
    is_tuned = np.isin(val.clusters, drawn)
    nonconformity, sizes = choose_nonconformity(val.take(is_tuned))
    rest = val.take(~is_tuned)
    entropy = score_entropy(val.scores, temperature)
    edges = tuple(float(e) for e in np.quantile(entropy[is_tuned], [1 / 3, 2 / 3]))
    return DirectionConfidence(
        direction,
        len(val.gallery),
        temperature,
        match,
        open_set,
        nonconformity,
        (edges[0], edges[1]),
        calibrations(rest, nonconformity, np.searchsorted(edges, entropy[~is_tuned], side="right"), systems),
        {"match": match_losses, "none of these": open_losses, "mean set size at 90 %": sizes},
    )


def choose_nonconformity(tuned: Scored) -> tuple[Nonconformity, dict[str, float]]:
    """The kind that gives the smallest mean set at 90 % on the tuning queries, and the mean of each kind."""
    temperature, sizes = fit_temperature(tuned.scores, tuned.relevant), {}
    for kind in KINDS:
        found = Nonconformity(kind, temperature)
        limit = Calibration(
            nonconformity_of_answers(tuned, found), tuned.clusters, np.full(len(tuned), -1)
        ).threshold(_TUNED_ALPHA)[0]
        sizes[kind] = float(set_sizes(found.of_all(tuned.scores), np.full((len(tuned), 1), limit)).mean())
    best: Kind = min(KINDS, key=sizes.__getitem__)
    return Nonconformity(best, temperature), dict(sizes)


def nonconformity_of_answers(found: Scored, nonconformity: Nonconformity) -> Float[np.ndarray, " queries"]:
    """Nonconformity of the best right entry of each query."""
    column = best_right(found.scores, found.relevant)
    return nonconformity.of_score(found.scores, found.scores[np.arange(len(found)), column])


def calibrations(
    rest: Scored,
    nonconformity: Nonconformity,
    crowding: Int[np.ndarray, " queries"],
    systems: Int[np.ndarray, " records"],
) -> dict[str, Calibration]:
    """Calibration values under each taxonomy; the crystal system is that of the right entry."""
    values = nonconformity_of_answers(rest, nonconformity)
    answers = rest.gallery[best_right(rest.scores, rest.relevant)]
    groups = {"crowding": crowding.astype(np.int64), "crystal system": systems[answers].astype(np.int64)}
    return {name: Calibration(values, rest.clusters, group) for name, group in groups.items()}
