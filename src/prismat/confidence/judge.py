"""A calibration judged on the test part, once: probabilities, the flag, the sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from prismat.confidence.calibrate import Progress
from prismat.confidence.confidence import Confidence
from prismat.confidence.direction import DirectionConfidence, right_candidates
from prismat.confidence.gallery import side
from prismat.confidence.judge_next import judge_next
from prismat.confidence.judge_sets import Made, judge_groups, judge_sets
from prismat.confidence.match import MatchModel, find_candidates
from prismat.confidence.openset import signals
from prismat.confidence.reliability import Reliability, reliability
from prismat.confidence.scored import Scored, Space, distorted_patterns, scored
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference, resample_counts
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened
from prismat.tasks.words import roc_auc

RESAMPLES = 500
MAX_FOREIGN = 1_000


@dataclass(frozen=True, eq=False)
class Judged:
    """Figures of one direction on test queries.

    Attributes:
        figures: in JSON types.
        top: reliability of the best candidate's probability.
    """

    figures: dict[str, Any]
    top: Reliability


def judge(
    confidence: Confidence,
    space: Space,
    foreign: Opened | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Judged]:
    """Judges every calibrated direction on the test part.

    Args:
        confidence: what was calibrated.
        space: the embedded store of the run.
        foreign: records of another store under the same model; those of compositions that the gallery lacks
            are queries without an answer.
        seed: as in the calibration.
        progress: called with directions done and in all.
    """
    queries = None if foreign is None else foreign_vectors(space, foreign, seed)
    found = {}
    for name, own in confidence.directions.items():
        test, val = (scored(space, own.direction, part, seed) for part in ("test", "val"))
        rest = val.take(np.isin(val.clusters, own.calibrations["crowding"].clusters))
        top, match = judge_match(own, test, val)
        made = Made.of(own, test, space.facts.systems)
        figures = {
            "queries": len(test),
            "groups": len(np.unique(test.clusters)),
            "entries": len(test.gallery),
            "temperature": own.temperature,
            "method": own.match.method,
            "nonconformity": own.nonconformity.kind,
            "validation_losses": own.losses,
            "match": match,
            "none_of_these": judge_flag(own, test, space, queries),
            "sets": judge_sets(made, rest),
            "sets_by_group": judge_groups(made),
            "next": judge_next(confidence, space, own.direction, val, test),
        }
        found[name] = Judged(figures, top)
        if progress:
            progress(len(found), len(confidence.directions))
    return found


def judge_match(own: DirectionConfidence, test: Scored, val: Scored) -> tuple[Reliability, dict[str, Any]]:
    """Reliability of the best candidate, and figures of the ten best, beside the two simplest ways."""
    candidates = find_candidates(test.scores, own.temperature)
    right = right_candidates(candidates.columns, test.relevant)
    learned = find_candidates(val.scores, own.temperature)
    rates = (right_candidates(learned.columns, val.relevant).sum(0) + 1) / (len(val) + 2)
    ways = {
        "calibrated": own.match,
        "softmax": MatchModel("softmax"),
        "rate of the rank": MatchModel("rank rate", rates=rates),
    }
    figures: dict[str, Any] = {"recall@1": float(right[:, 0].mean())}
    tops, squares = {}, {}
    for name, way in ways.items():
        p = way(candidates.features)
        squares[name] = (p[:, 0] - right[:, 0]) ** 2
        tops[name] = reliability(p[:, 0], right[:, 0], test.clusters)
        every = reliability(p.ravel(), right.ravel(), np.repeat(test.clusters, right.shape[1]))
        figures[name] = {"best": tops[name].figures, "ten best": every.figures}
    figures["brier_saved"] = {
        name: paired_difference(squares[name], squares["calibrated"], test.clusters, resamples=RESAMPLES)
        for name in ("softmax", "rate of the rank")
    }
    return tops["calibrated"], figures


def judge_flag(
    own: DirectionConfidence,
    test: Scored,
    space: Space,
    foreign: Mapping[str, np.ndarray] | None,
) -> dict[str, Any]:
    """How well the flag tells answers that are absent from those that are there."""
    groups = space.opened.groups
    same_group = groups[test.rows][:, None] == groups[test.gallery][None]
    present = own.open_set(signals(test.scores, own.temperature))
    absent = {
        "answer removed": own.open_set(signals(test.scores, own.temperature, test.relevant)),
        "whole group removed": own.open_set(signals(test.scores, own.temperature, same_group)),
    }
    kept = (present <= own.open_set.limit).astype(np.float64)
    found: dict[str, Any] = {
        "rule": own.open_set.rule,
        "limit": own.open_set.limit,
        "kept": (
            float(kept.mean()),
            *interval(bootstrap_means(kept[:, None], test.clusters, RESAMPLES)[:, 0]),
        ),
    }
    for name, values in absent.items():
        found[name] = _told_apart(present, values, test.clusters, own.open_set.limit)
    if foreign is not None and (scores := _foreign_scores(own, test, space, foreign)) is not None:
        values = own.open_set(signals(scores, own.temperature))
        found["foreign"] = {
            "queries": len(values),
            "roc_auc": roc_auc(
                np.concatenate([present, values]), np.repeat([False, True], [len(present), len(values)])
            ),
            "flagged": float((values > own.open_set.limit).mean()),
        }
    return found


def _told_apart(
    present: Float[np.ndarray, " queries"],
    absent: Float[np.ndarray, " queries"],
    clusters: Int[np.ndarray, " queries"],
    limit: float,
) -> dict[str, Any]:
    """ROC-AUC with a bootstrap over groups, and the share that the flag catches."""
    outcome = np.repeat([False, True], len(present))
    names, member = np.unique(clusters, return_inverse=True)
    rows = [np.flatnonzero(member == n) for n in range(len(names))]
    samples = []
    for counts in resample_counts(len(names), RESAMPLES):
        for drawn in counts:
            chosen = np.concatenate([rows[n] for n in np.repeat(np.arange(len(names)), drawn)])
            values = np.concatenate([present[chosen], absent[chosen]])
            samples.append(roc_auc(values, np.repeat([False, True], len(chosen))))
    area = roc_auc(np.concatenate([present, absent]), outcome)
    flagged = (absent > limit).astype(np.float64)[:, None]
    caught = interval(bootstrap_means(flagged, clusters, RESAMPLES)[:, 0])
    return {"roc_auc": (area, *interval(np.array(samples))), "flagged": (float(flagged.mean()), *caught)}


def foreign_vectors(space: Space, foreign: Opened, seed: int = 0) -> dict[str, Any]:
    """Windows of foreign records whose composition no record of the gallery has, under every key.

    Args:
        space: the gallery.
        foreign: other records under the same model.
        seed: of the draw of at most ``MAX_FOREIGN`` of them.
    """
    rows = new_compositions(foreign.records.fractions, space.opened.records.fractions)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(rows, min(MAX_FOREIGN, len(rows)), replace=False))
    vectors, present = embed_rows(space.prismat, foreign.data, rows)
    distorted = distorted_patterns(foreign, rows, seed) if space.distorted else {}
    own = {key: matrix[rows] for key, matrix in distorted.items()}
    return {"vectors": vectors, "present": present, "distorted": own}


def new_compositions(
    others: Float[np.ndarray, "others elements"],
    known: Float[np.ndarray, "records elements"],
    tolerance: float = 0.02,
) -> Int[np.ndarray, " new"]:
    """Rows of ``others`` whose composition differs from every known one by more than the tolerance."""
    given = np.flatnonzero(others.any(axis=1))
    distance, _ = KDTree(known[known.any(axis=1)]).query(others[given], p=np.inf, distance_upper_bound=1.0)
    return given[distance > tolerance]


def _foreign_scores(
    own: DirectionConfidence, test: Scored, space: Space, foreign: Mapping[str, Any]
) -> np.ndarray | None:
    """Scores of the foreign queries of a direction; None where they lack the window."""
    direction = own.direction
    source = foreign["distorted"] if direction.query == direction.gallery else foreign["vectors"]
    queries, there = side(space.prismat, source, foreign["present"], direction.query, direction.gallery)
    entries, _ = side(space.prismat, space.vectors, space.present, direction.gallery, direction.query)
    return queries[there] @ entries[test.gallery].T if there.any() else None
