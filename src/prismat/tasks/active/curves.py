"""What campaigns found by number of measurements, and how much faster than at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.tasks.active.campaign import CampaignConfig, History, Pool, found_so_far
from prismat.tasks.active.goals import Goal
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference

RESAMPLES = 2_000
SHARES = (0.25, 0.5)
"""Shares of all hits for which the number of measurements is told."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Campaigns of one strategy with one kind of features.

    Attributes:
        name: of both.
        found: share of all hits found after each measurement, shape (seeds, budget).
        best: best utility after each measurement, shape (seeds, budget).
    """

    name: str
    found: Float[np.ndarray, "seeds budget"]
    best: Float[np.ndarray, "seeds budget"]

    def band(self) -> tuple[Float[np.ndarray, " budget"], Float[np.ndarray, "2 budget"]]:
        """Mean share found and its 95 % interval over seeds."""
        return self.found.mean(0), _band(self.found)


def _band(values: Float[np.ndarray, "seeds budget"]) -> Float[np.ndarray, "2 budget"]:
    return np.quantile(bootstrap_means(values, resamples=RESAMPLES), [0.025, 0.975], axis=0)


def curves(histories: Sequence[History], pool: Pool, goal: Goal, config: CampaignConfig) -> list[Curve]:
    """One curve per strategy and kind of features, in the order in which they were run."""
    hits, utility = goal.hits(pool.values, config.top), goal.utility(pool.values)
    made: dict[str, list] = {}
    for history in histories:
        made.setdefault(curve_name(history, pool), []).append(found_so_far(history, hits, utility))
    return [
        Curve(name, np.stack([f for f, _ in runs]) / hits.sum(), np.stack([b for _, b in runs]))
        for name, runs in made.items()
    ]


def curve_name(history: History, pool: Pool) -> str:
    """``strategy`` with the features where there are several kinds; ``random`` reads none."""
    if history.strategy == "random" or len(pool.features) == 1:
        return history.strategy
    return f"{history.strategy}, {history.features}"


def summarise(made: Sequence[Curve], pool: Pool, goal: Goal, config: CampaignConfig) -> dict[str, Any]:
    """Figures of every curve with intervals over seeds, and paired differences to random.

    ``enrichment`` is the share of hits found over the share of the pool that was measured, which is 1 at
    random in expectation; as random finds hits evenly, it is also how many times as many measurements random
    needs for as many hits. ``measurements`` are those until a share of the hits is found (the median over
    seeds, None where half of the campaigns or more did not get there), ``acceleration`` is the expectation
    at random over it.
    """
    hits = int(goal.hits(pool.values, config.top).sum())
    chance = config.budget / len(pool.ids)
    random = next((c for c in made if c.name == "random"), None)
    table = {c.name: _figures(c, chance, hits, len(pool.ids)) for c in made}
    for curve in made:
        if random is not None and curve is not random:
            table[curve.name]["over_random"] = paired_difference(
                curve.found[:, -1], random.found[:, -1], resamples=RESAMPLES
            )
    return {"pool": len(pool.ids), "hits": hits, "budget": config.budget, "chance": chance, "curves": table}


def _figures(curve: Curve, chance: float, hits: int, pool: int) -> dict[str, Any]:
    """Share found, area under the curve, enrichment and accelerations of one curve."""
    final, area = curve.found[:, -1], curve.found.mean(axis=1)
    samples = bootstrap_means(np.stack([final, area, curve.best[:, -1]], axis=1), resamples=RESAMPLES)
    found = {
        "found": (float(final.mean()), *interval(samples[:, 0])),
        "area": (float(area.mean()), *interval(samples[:, 1])),
        "best_utility": (float(curve.best[:, -1].mean()), *interval(samples[:, 2])),
        "enrichment": tuple(float(x) / chance for x in (final.mean(), *interval(samples[:, 0]))),
    }
    reached = {f"{share:g}": reaching(curve, share, hits) for share in SHARES}
    expected = {f"{s:g}": np.ceil(s * hits) * (pool + 1) / (hits + 1) for s in SHARES}
    found["measurements"] = reached
    found["acceleration"] = {s: float(expected[s] / m) if m else None for s, m in reached.items()}
    return found


def reaching(curve: Curve, share: float, hits: int) -> float | None:
    """Median over seeds of the measurements until a share of the hits is found; None where most never do."""
    wanted = np.ceil(share * hits) / hits - 1e-9
    there = curve.found >= wanted
    first = np.where(there.any(1), there.argmax(1) + 1.0, np.inf)
    middle = float(np.median(first))
    return middle if np.isfinite(middle) else None
