"""Does the recommended measurement help more than another? Replayed on held-out records."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from prismat.confidence.calibrate import further_windows, side_of
from prismat.confidence.confidence import Confidence
from prismat.confidence.gallery import Direction, side
from prismat.confidence.judge_sets import one_per_group
from prismat.confidence.likelihood import entropy_bits
from prismat.confidence.next_measurement import FACTS, Windows, fact_evidence, recommend, window_evidence
from prismat.confidence.scored import Scored, Space
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference

RESAMPLES = 2_000
POLICIES = ("none", "random", "fixed", "recommended", "best in hindsight")


def judge_next(
    confidence: Confidence, space: Space, direction: Direction, val: Scored, test: Scored
) -> dict[str, Any]:
    """What is left of the doubt after one further measurement under each policy.

    One query per group. ``fixed`` is the measurement of the least mean entropy on validation; ``random`` the
    mean over all; ``best in hindsight`` the one that would have left least. Entropies are in bits.
    """
    windows = further_windows(confidence, side_of(space), direction, test.gallery)
    known, _ = replay(confidence, space, direction, val, windows)
    played, picks = replay(confidence, space, direction, test, windows)
    if len(played["names"]) < 2:
        return {}
    fixed = int(known["entropy"].mean(0).argmin())
    rows = np.arange(len(picks))
    measures = {}
    for measure in ("entropy", "rank", "log_loss"):
        values = played[measure]
        measures[measure] = {
            "none": played[f"{measure}_before"],
            "random": values.mean(1),
            "fixed": values[:, fixed],
            "recommended": values[rows, picks],
            "best in hindsight": values[rows, played["entropy"].argmin(1)],
        }
    return {
        "measurements": list(played["names"]),
        "fixed": played["names"][fixed],
        "queries": len(rows),
        "recommended": {n: float((picks == i).mean()) for i, n in enumerate(played["names"])},
        "after_each": {n: float(played["entropy"][:, i].mean()) for i, n in enumerate(played["names"])},
        **{m: {p: _mean(v[p], m) for p in POLICIES} for m, v in measures.items()},
        "entropy_saved": {
            other: paired_difference(
                measures["entropy"][other], measures["entropy"]["recommended"], resamples=RESAMPLES
            )
            for other in ("random", "fixed")
        },
    }


def _mean(values: Float[np.ndarray, " queries"], measure: str) -> tuple[float, float, float]:
    """Mean with its interval; of ranks the geometric mean."""
    used = np.log(values) if measure == "rank" else values
    found = (float(used.mean()), *interval(bootstrap_means(used[:, None], None, RESAMPLES)[:, 0]))
    return tuple(float(np.exp(v)) for v in found) if measure == "rank" else found  # ty: ignore[invalid-explicit-return]


def replay(
    confidence: Confidence, space: Space, direction: Direction, queries: Scored, windows: Windows
) -> tuple[dict[str, Any], Int[np.ndarray, " queries"]]:
    """Entropy, rank and log loss of the answer before and after each measurement, and the recommended one.

    Only queries whose record has every window that is an option are replayed, one per group.
    """
    facts, temperature = space.facts.take(queries.gallery), confidence.of(direction.name).temperature
    taken = _measured(space, direction, windows)
    complete = np.logical_and.reduce([np.isfinite(space.facts.density[queries.rows]), *(
        there[queries.rows] for _, there in taken.values()
    )])  # fmt: skip
    chosen = one_per_group(queries.clusters)
    chosen = chosen[complete[chosen]]
    names = [*windows.measured, *FACTS]
    before = log_softmax(queries.scores[chosen].astype(np.float64) / temperature, axis=1)
    relevant, own = queries.relevant[chosen], space.facts.take(queries.rows[chosen])
    after: dict[str, list[np.ndarray]] = {"entropy": [], "rank": [], "log_loss": []}
    for name in names:
        if name in FACTS:
            evidence = fact_evidence(name, own, facts)
        else:
            vectors = taken[name][0][queries.rows[chosen]]
            evidence = window_evidence(vectors, windows.compared[name], windows.temperatures[name])
            # An entry without this window can only be judged by what was known before.
        for measure, values in _left(log_softmax(before + evidence, axis=1), relevant).items():
            after[measure].append(values)
    picks = [names.index(recommend(row, windows, facts)[0].name) for row in before]
    found = {measure: np.stack(columns, axis=1) for measure, columns in after.items()}
    start = {f"{measure}_before": values for measure, values in _left(before, relevant).items()}
    return {"names": names, **found, **start}, np.array(picks, dtype=np.int64)


def _measured(
    space: Space, direction: Direction, windows: Windows
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What each record would show in a further window: patterns as an instrument gives them."""
    found = {}
    for window in windows.measured:
        vectors = space.distorted if window == "xrd" and space.distorted else space.vectors
        found[window] = side(space.prismat, vectors, space.present, window, direction.gallery)
    return found


def _left(
    log_p: Float[np.ndarray, "queries entries"], relevant: Bool[np.ndarray, "queries entries"]
) -> dict[str, Float[np.ndarray, " queries"]]:
    """Entropy in bits, rank of the best right entry, and −log of the mass on right entries."""
    best = np.where(relevant, log_p, -np.inf).max(axis=1)
    rank = 1 + ((log_p >= best[:, None]) & ~relevant).sum(axis=1)
    mass = np.where(relevant, np.exp(log_p), 0.0).sum(axis=1)
    return {
        "entropy": entropy_bits(log_p),
        "rank": rank.astype(np.float64),
        "log_loss": -np.log(np.maximum(mass, 1e-300)),
    }
