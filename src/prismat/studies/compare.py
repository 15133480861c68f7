"""Arms of a study against its base: paired over the same queries, and over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.studies.measure import ERROR, Measured, Values, load_measured
from prismat.studies.trial import Trial
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference

RESAMPLES = 2_000
SHARED = "shared directions"
"""Mean recall@10 over the directions that an arm has in common with the base."""
ENOUGH_SEEDS = 3
"""Below this many seeds nothing is called better or worse, only likely so."""

Groups = Int[np.ndarray, " records"]


@dataclass(frozen=True, eq=False)
class Arm:
    """The finished trials of a variant.

    Attributes:
        trials: one per seed.
        records: what came out, in that order.
        measured: values of the finished ones, by seed.
    """

    trials: Sequence[Trial]
    records: Sequence[Mapping[str, Any]]
    measured: Mapping[int, Measured]

    @property
    def name(self) -> str:
        """Of the variant."""
        return self.trials[0].name

    @property
    def measures(self) -> list[str]:
        """What every finished seed was measured by."""
        found = [list(m) for m in self.measured.values()]
        return [name for name in found[0] if all(name in other for other in found)] if found else []


def arm_of(trials: Sequence[Trial], part: str) -> Arm:
    """Reads what a variant's trials left behind."""
    records = [t.record(part) or {"state": "failed", "reason": "not run"} for t in trials]
    measured = {
        t.seed: load_measured(t.folder / f"{part}.npz")
        for t, r in zip(trials, records, strict=True)
        if r["state"] == "done"
    }
    return Arm(trials, records, measured)


def describe_arm(arm: Arm, base: Arm, groups: Groups) -> dict[str, Any]:
    """Figures, differences to the base and cost of an arm, in JSON types.

    Args:
        arm: of one variant.
        base: of the job that all others are compared to.
        groups: of each record, within which queries are not independent.
    """
    done = [r for r in arm.records if r["state"] == "done"]
    reasons = {
        t.seed: r["reason"] for t, r in zip(arm.trials, arm.records, strict=True) if r["state"] != "done"
    }
    shared = [m for m in arm.measures if m in base.measures]
    figures = {m: mean_of(arm, m, groups) for m in arm.measures}
    differences = {} if arm is base else {m: difference(arm, base, [m], groups) for m in shared}
    if arm is not base and ERROR not in shared and len(shared) > 1:
        differences[SHARED] = difference(arm, base, shared, groups)
    return {
        "name": arm.name,
        "settings": arm.trials[0].settings,
        "seeds": sorted(arm.measured),
        "failed": reasons,
        "score": float(np.mean([r["score"] for r in done])) if done else None,
        "scores": [r["score"] for r in done],
        "figures": figures,
        "chance": {m: float(np.mean([r["chance"][m] for r in done])) for m in arm.measures if m != ERROR},
        "queries": {m: done[0]["queries"][m] for m in arm.measures},
        "shared": mean_of_all(arm, [m for m in base.measures if m in shared], groups),
        "differences": {k: v for k, v in differences.items() if v},
        "cost": _mean_cost(done),
    }


def mean_of(arm: Arm, name: str, groups: Groups) -> tuple[float, float, float]:
    """Mean over queries and seeds with the 95 % interval over groups of queries."""
    found = _over_seeds(arm, [name], sorted(arm.measured))
    return _with_interval(*found, groups)


def mean_of_all(arm: Arm, names: Sequence[str], groups: Groups) -> tuple[float, float, float] | None:
    """Mean over several measures, each of which weighs the same."""
    if not names or not arm.measured:
        return None
    return _with_interval(*_over_seeds(arm, names, sorted(arm.measured)), groups)


def _with_interval(values: np.ndarray, rows: np.ndarray, groups: Groups) -> tuple[float, float, float]:
    means = bootstrap_means(values[:, None], groups[rows], RESAMPLES)[:, 0]
    return (float(values.mean()), *interval(means))


def difference(arm: Arm, base: Arm, names: Sequence[str], groups: Groups) -> dict[str, Any] | None:
    """Arm − base over the same queries, seed by seed; None where they have no seed or query in common.

    Args:
        arm: minuend.
        base: subtrahend.
        names: measures; of several the mean.
        groups: of each record.

    Returns:
        ``mean`` over queries and seeds, ``low`` and ``high`` of its 95 % interval over groups of queries,
        ``seeds`` the difference of each, and ``verdict``.
    """
    seeds = sorted(set(arm.measured) & set(base.measured))
    if not seeds or not all(_paired(arm.measured[s][n], base.measured[s][n]) for s in seeds for n in names):
        return None
    one, rows = _over_seeds(arm, names, seeds)
    other, _ = _over_seeds(base, names, seeds)
    mean, low, high = paired_difference(one, other, groups[rows], resamples=RESAMPLES)
    each = [float((_over_seeds(arm, names, [s])[0] - _over_seeds(base, names, [s])[0]).mean()) for s in seeds]
    found = {"mean": mean, "low": low, "high": high, "seeds": each}
    return {**found, "verdict": verdict(mean, low, high, each, ERROR in names)}


def _paired(one: Values, other: Values) -> bool:
    return len(one.rows) == len(other.rows) and bool((one.rows == other.rows).all())


def _over_seeds(
    arm: Arm, names: Sequence[str], seeds: Sequence[int]
) -> tuple[Float[np.ndarray, " queries"], Int[np.ndarray, " queries"]]:
    """Values of all queries of all measures, the mean over seeds, scaled so that measures weigh the same."""
    first = arm.measured[seeds[0]]
    total = sum(len(first[n].values) for n in names)
    parts = [
        np.mean([arm.measured[s][n].values for s in seeds], axis=0)
        * (total / (len(names) * len(first[n].values)))
        for n in names
    ]
    return np.concatenate(parts), np.concatenate([first[n].rows for n in names])


def verdict(mean: float, low: float, high: float, seeds: Sequence[float], less_is_better: bool) -> str:
    """What may be said: nothing where the interval holds 0 or the seeds disagree in sign."""
    signs = {np.sign(s) for s in seeds}
    if low <= 0 <= high or len(signs) > 1:
        return "not told apart"
    word = "better" if (mean > 0) != less_is_better else "worse"
    return word if len(seeds) >= ENOUGH_SEEDS else f"likely {word}"


def _mean_cost(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean over seeds of what is a number."""
    if not records:
        return {}
    costs = [r["cost"] for r in records]
    return {
        k: float(np.mean([c[k] for c in costs])) if isinstance(v, (int, float)) else v
        for k, v in costs[0].items()
    }
