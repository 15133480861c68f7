"""The figures of a fitted head on held-out records, beside those of its baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.heads.conformal import Conformal, calibrate, calibrate_classes, class_sets, coverage_range
from prismat.tasks.bootstrap import paired_difference
from prismat.tasks.classification import baseline_metrics, classification_metrics
from prismat.tasks.property.config import LEVELS
from prismat.tasks.regression import regression_metrics

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Said:
    """What one system says.

    Attributes:
        calibrate: of the calibration records: members' numbers or probabilities,
            shape (members, records, outputs).
        test: the same of the test records.
        floor: mean spread among members over the records that stopped the training.
    """

    calibrate: Float[np.ndarray, "members calibration outputs"]
    test: Float[np.ndarray, "members held outputs"]
    floor: float

    @property
    def has_spread(self) -> bool:
        """Whether members can disagree."""
        return len(self.test) > 1 and self.floor > 0


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known.

    Attributes:
        calibrate: numbers or class numbers of the calibration records.
        test: of the test records.
        train: of the training records.
        groups: of the test records.
        classes: how many; 0 for numbers.
    """

    calibrate: Float[np.ndarray, " calibration"]
    test: Float[np.ndarray, " held"]
    train: Float[np.ndarray, " train"]
    groups: Int[np.ndarray, " held"]
    classes: int = 0


def measure(truth: Truth, said: Mapping[str, Said]) -> dict[str, Any]:
    """Metrics of every system and of the best constant, and paired differences of the first to the others.

    Differences are of absolute errors for numbers, and of being wrong for classes.
    """
    main = next(iter(said))
    if truth.classes:
        found, wrong = _classes(truth, said)
        name = "error_rate"
    else:
        found, wrong = _numbers(truth, said)
        name = "mae"
    differences = {
        other: {name: paired_difference(wrong[main], wrong[other], truth.groups, resamples=RESAMPLES)}
        for other in wrong
        if other != main
    }
    others = {k: v for k, v in found.items() if k != main}
    return {"metrics": found[main], "baselines": others, "differences": differences}


def _numbers(truth: Truth, said: Mapping[str, Said]) -> tuple[dict, dict]:
    told = {name: s.test[..., 0].mean(0) for name, s in said.items()}
    told["training median"] = np.full(len(truth.test), float(np.median(truth.train)))
    metrics = {n: regression_metrics(truth.test, t, truth.groups, RESAMPLES) for n, t in told.items()}
    return metrics, {n: np.abs(t - truth.test) for n, t in told.items()}


def _classes(truth: Truth, said: Mapping[str, Said]) -> tuple[dict, dict]:
    known, train = truth.test.astype(np.int64), truth.train.astype(np.int64)
    told = {name: s.test.mean(0) for name, s in said.items()}
    metrics = {n: classification_metrics(known, p, truth.groups, RESAMPLES) for n, p in told.items()}
    metrics |= baseline_metrics(known, train, truth.classes, truth.groups, RESAMPLES)
    wrong = {n: (p.argmax(1) != known).astype(np.float64) for n, p in told.items()}
    frequent = np.bincount(train, minlength=truth.classes).argmax()
    return metrics, wrong | {"most frequent": (known != frequent).astype(np.float64)}


def calibrated(truth: Truth, said: Said, normalised: bool) -> Conformal:
    """Intervals or sets from the calibration records; normalised only where members can disagree."""
    if truth.classes:
        return calibrate_classes(truth.calibrate.astype(np.int64), said.calibrate.mean(0))
    values, spread = said.calibrate[..., 0].mean(0), said.calibrate[..., 0].std(0)
    if normalised and said.has_spread:
        return calibrate(truth.calibrate, values, spread, said.floor)
    return calibrate(truth.calibrate, values)


def coverage(truth: Truth, said: Said, conformal: Conformal) -> list[dict[str, Any]]:
    """For each nominal level: share of test records inside, what chance allows, and mean width or set size.

    ``allowed`` is the binomial 95 % range of that many test records; ``allowed_with_calibration`` also counts
    the draw of the calibration records (beta-binomial).
    """
    rows = []
    for level in LEVELS:
        if truth.classes:
            sets = class_sets(conformal, said.test.mean(0), level)
            inside = sets[np.arange(len(sets)), truth.test.astype(np.int64)]
            size = float(sets.sum(1).mean())
        else:
            values, spread = said.test[..., 0].mean(0), said.test[..., 0].std(0)
            half = conformal.half_width(spread, level)
            inside, size = np.abs(truth.test - values) <= half, float(2 * half.mean())
        n = len(truth.test)
        rows.append(
            {
                "level": level,
                "reached": float(inside.mean()),
                "allowed": coverage_range(n, level),
                "allowed_with_calibration": coverage_range(n, level, calibration=len(conformal.scores)),
                "mean_size": size if np.isfinite(size) else None,
            }
        )
    return rows
