"""Random targets drawn from held-out records: how often what a design proposes truly has what was wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from prismat.errors import BadInputError
from prismat.material import Property
from prismat.modalities.properties import PropertySpec
from prismat.tasks.active.acquisition import probability_within
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.design.candidates import Candidates, property_values
from prismat.tasks.design.estimate import (
    estimate,
    formula_features,
    labelled_rows,
    structure_features,
)
from prismat.tasks.design.target import POINTS

RESAMPLES = 5_000
Scores = Float[np.ndarray, "targets candidates"]


@dataclass(frozen=True)
class TrialConfig:
    """How targets are drawn and judged.

    Attributes:
        properties: that are wanted together.
        targets: how many are drawn.
        width: half the width of every range, as a share of the spread of training values.
        k: how many of the first candidates are looked at.
        seed: of the draw.

    Raises:
        BadInputError: no property, or a number that is not positive.
    """

    properties: tuple[str, ...]
    targets: int = 300
    width: float = 0.2
    k: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.properties or min(self.targets, self.k) < 1 or not self.width > 0:
            raise BadInputError(
                f"{self.properties}, {self.targets} targets, width {self.width}, k {self.k}",
                field="evaluate",
                remedy="Name a property and give positive numbers.",
            )


@dataclass(frozen=True, eq=False)
class Trials:
    """Targets and the truth.

    Attributes:
        specs: properties with their units.
        values: true values of the candidates, shape (candidates, properties).
        centres: middles of the wanted ranges, shape (targets, properties).
        half: half the widths of the ranges, shape (properties,).
        owner: the candidate from which each target was drawn.
    """

    specs: tuple[PropertySpec, ...]
    values: Float[np.ndarray, "candidates properties"]
    centres: Float[np.ndarray, "targets properties"]
    half: Float[np.ndarray, " properties"]
    owner: Int[np.ndarray, " targets"]

    def right(self) -> Bool[np.ndarray, "targets candidates"]:
        """Which candidates truly have all that is wanted."""
        found = np.ones((len(self.centres), len(self.values)), dtype=bool)
        for p, half in enumerate(self.half):
            found &= np.abs(self.values[:, p] - self.centres[:, p, None]) <= half
        return found

    def distances(self) -> Float[np.ndarray, "targets candidates"]:
        """Distance of true values to the middle of what is wanted, in half widths, mean over properties."""
        shares = [
            np.abs(self.values[:, p] - self.centres[:, p, None]) / half for p, half in enumerate(self.half)
        ]
        return np.mean(shares, axis=0)


def draw_trials(pool: Candidates, config: TrialConfig) -> tuple[Trials, Int[np.ndarray, " kept"]]:
    """Targets around the true values of random candidates, every distinct value (or combination) once.

    Returns:
        The targets, and which candidates take part: those that have all the properties.

    Raises:
        BadInputError: fewer than ten candidates have all the properties.
    """
    specs = tuple(pool.spec(name) for name in config.properties)
    values = np.stack([pool.values(s) for s in specs], axis=1)
    kept = np.flatnonzero(np.isfinite(values).all(axis=1))
    if len(kept) < max(10, config.k):
        raise BadInputError(
            f"{len(kept)} candidates have {' and '.join(config.properties)}",
            field="evaluate",
            remedy="Give a store or part with more of them.",
        )
    values = values[kept]
    reference = pool.opened[0]
    train = [property_values(reference, s, reference.rows["train"]) for s in specs]
    spreads = [float(np.nanstd(v)) if np.isfinite(v).any() else float(values.std()) for v in train]
    _, first = np.unique(values, axis=0, return_index=True)
    rng = np.random.default_rng(config.seed)
    owner = np.sort(rng.choice(first, size=min(config.targets, len(first)), replace=False))
    half = config.width * np.array(spreads)
    return Trials(specs, values, values[owner], half, owner), kept


def joint_scores(pool: Candidates, kept: Int[np.ndarray, " n"], trials: Trials) -> Scores:
    """Candidates by the property window: of each property the standing of the cosine, and their mean."""
    model, found = pool.prismat, []
    structures = pool.vectors[model.key("structure", "properties")][kept]
    for p, spec in enumerate(trials.specs):
        steps = np.linspace(-1, 1, POINTS) * trials.half[p]
        points = [
            {spec.name: Property(float(v), spec.unit)} for v in (trials.centres[:, p, None] + steps).ravel()
        ]
        vectors = model.embed(properties=points)[model.key("properties", "structure")]
        cosines = (vectors @ structures.T).reshape(len(trials.centres), POINTS, -1).max(axis=1)
        found.append((rankdata(cosines, axis=1) - 1) / (cosines.shape[1] - 1))
    return np.mean(found, axis=0)


def predicted_scores(
    pool: Candidates, kept: Int[np.ndarray, " n"], trials: Trials, formula: bool = False
) -> Scores:
    """Candidates by the probability of the range under a prediction, the mean over properties.

    Args:
        pool: the candidates; the training part of their first store is learnt from.
        kept: those that take part.
        trials: the targets.
        formula: learn from compositions alone.
    """
    reference, read = pool.opened[0], formula_features if formula else structure_features
    wanted = np.concatenate([read(o, r) for o, r in zip(pool.opened, pool.rows, strict=True)])[kept]
    found = []
    for p, spec in enumerate(trials.specs):
        rows, values = labelled_rows(reference, spec)
        guess = estimate(read(reference, rows), values, wanted)
        low, high = trials.centres[:, p] - trials.half[p], trials.centres[:, p] + trials.half[p]
        found.append(
            [probability_within(guess.mean, guess.deviation, a, b) for a, b in zip(low, high, strict=True)]
        )
    return np.mean(np.array(found), axis=0)


def neighbour_scores(pool: Candidates, kept: Int[np.ndarray, " n"], trials: Trials) -> Scores:
    """Candidates by the likeness of their formula to that of a training record that has what is wanted.

    Minus the least sum of differences of atomic fractions; where no training record lies in the range, to
    the one nearest to it.
    """
    reference = pool.opened[0]
    known = np.stack([property_values(reference, s) for s in trials.specs], axis=1)
    rows, _ = labelled_rows(reference, trials.specs[0])
    rows = rows[np.isfinite(known[rows]).all(axis=1)]
    apart = cdist(pool.fractions[kept], reference.records.fractions[rows], "cityblock")
    found = []
    for centre in trials.centres:
        away = (np.abs(known[rows] - centre) / trials.half).max(axis=1)
        inside = away <= max(1.0, float(away.min()))
        found.append(-apart[:, inside].min(axis=1))
    return np.array(found)


def judge_trials(
    trials: Trials, scores: Mapping[str, Scores], groups: Int[np.ndarray, " kept"], k: int
) -> dict[str, Any]:
    """Figures of every system over all targets, and paired differences of the first to the others.

    ``precision`` is the share of the first k that truly have what is wanted, ``enrichment`` that share over
    the share in the whole pool, ``error`` the distance of the first to the middle of the range in half its
    width.
    ``random`` is the exact expectation over the same pool.

    Args:
        trials: targets and truth.
        scores: by system; the first is compared with the others.
        groups: of the candidates, for the intervals.
        k: how many of the first are looked at.
    """
    right, away = trials.right(), trials.distances()
    columns = {}
    for name, found in scores.items():
        order = np.argsort(-found, axis=1, kind="stable")[:, :k]
        hits = np.take_along_axis(right, order, axis=1).mean(axis=1)
        columns[name] = np.stack([hits, np.take_along_axis(away, order[:, :1], axis=1)[:, 0]], axis=1)
    chance = np.stack([right.mean(axis=1), away.mean(axis=1)], axis=1)
    columns["random"] = chance
    main, owners = next(iter(columns)), groups[trials.owner]
    systems = {
        name: _figures(values, chance[:, 0], owners)
        | (
            {}
            if name == main
            else {"gain": paired_difference(columns[main][:, 0], values[:, 0], owners, resamples=RESAMPLES)}
        )
        for name, values in columns.items()
    }
    return {
        "properties": {
            s.name: {"unit": s.unit, "half_width": float(h)}
            for s, h in zip(trials.specs, trials.half, strict=True)
        },
        "targets": len(trials.centres),
        "pool": len(trials.values),
        "k": k,
        "systems": systems,
    }


def _figures(
    values: Float[np.ndarray, "targets 2"], chance: Float[np.ndarray, " targets"], groups: np.ndarray
) -> dict[str, tuple[float, float, float]]:
    """Precision, error and enrichment with intervals over the groups of the targets' owners."""
    samples = bootstrap_means(np.column_stack([values, chance]), groups, RESAMPLES)
    ratio = values[:, 0].mean() / chance.mean()
    return {
        "precision": (float(values[:, 0].mean()), *interval(samples[:, 0])),
        "error": (float(values[:, 1].mean()), *interval(samples[:, 1])),
        "enrichment": (float(ratio), *interval(samples[:, 0] / samples[:, 2])),
    }
