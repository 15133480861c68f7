"""Held-out targets as queries, the recipes they are ranked against, and what of a ranking is measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import bootstrap_means, interval
from prismat.tasks.opened import Opened
from prismat.tasks.synthesis.grades import best_first, graded, ndcg_curve, precursor_gains, target_gains
from prismat.tasks.synthesis.recipes import RecipeBook

TOP = 10
"""Recommendations that are judged."""
METRICS = (
    "ndcg@10",
    "precursor_ndcg@10",
    "all_precursors@10",
    "same_precursors@10",
    "temperature_error",
    "time_error",
)
"""See :class:`Ranking`; errors in °C and h."""
_SAME = 1 - 1e-9
PerQuery = dict[str, Float[np.ndarray, " queries"]]


@dataclass(frozen=True, eq=False)
class Targets:
    """Held-out materials whose recipes are known: one for each structure.

    Attributes:
        rows: a row of the store that has the structure, shape (targets,).
        own: numbers of its own recipes in the book, for every target.
        groups: within which targets are not independent, shape (targets,).
    """

    rows: Int[np.ndarray, " targets"]
    own: list[Int[np.ndarray, " _"]]
    groups: Int[np.ndarray, " targets"]

    def __len__(self) -> int:
        return len(self.rows)


def targets_of(opened: Opened, book: RecipeBook, part: str) -> Targets:
    """The targets of one part of a store.

    Raises:
        BadInputError: the part has no recipe with a structure.
    """
    inside = book.among(opened.rows[part])
    inside = inside[opened.records.fractions[book.first[inside]].any(axis=1)]
    if not len(inside):
        raise BadInputError(
            f"no recipe of the {part} part has a structure",
            field="store",
            remedy="Prepare it with --structures.",
        )
    label = opened.records.structure_label[book.first[inside]]
    own = [inside[label == value] for value in np.unique(label)]
    rows = np.array([book.first[numbers[0]] for numbers in own], dtype=np.int64)
    return Targets(rows, own, opened.groups[rows])


@dataclass(frozen=True, eq=False)
class Task:
    """Targets, and the recipes that may be recommended for them.

    Attributes:
        book: all recipes.
        targets: the queries.
        gallery: numbers of the recipes that are ranked.
        fractions: compositions of the targets, shape (targets, elements).
    """

    book: RecipeBook
    targets: Targets
    gallery: Int[np.ndarray, " gallery"]
    fractions: Float[np.ndarray, "targets elements"]

    @cached_property
    def ranked(self) -> RecipeBook:
        """The recipes that are ranked."""
        return self.book.taken(self.gallery)

    @cached_property
    def own_precursors(self) -> list[list[frozenset[str]]]:
        """Precursors of every target's own recipes."""
        every = self.book.precursors
        return [[every[i] for i in own] for own in self.targets.own]

    @cached_property
    def precursor_gains(self) -> Float[np.ndarray, "targets gallery"]:
        """Grades by precursors alone."""
        return precursor_gains(self.own_precursors, self.ranked.precursors)

    @cached_property
    def gains(self) -> Float[np.ndarray, "targets gallery"]:
        """Grades, see :func:`prismat.tasks.synthesis.grades.graded`."""
        return graded(self.precursor_gains, target_gains(self.fractions, self.ranked.fractions))

    def answered(self) -> Int[np.ndarray, " some"]:
        """Targets for which some recipe shares a precursor: the others cannot be served by anyone."""
        return np.flatnonzero(self.precursor_gains.max(axis=1) > 0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """What one system recommends.

    Attributes:
        values: by metric, one value for each target, NaN where it is not defined: ``ndcg@10`` of the grades;
            ``precursor_ndcg@10`` of their precursor half alone; ``all_precursors@10``, whether the precursors
            of one of its own recipes are all among those of the ten; ``same_precursors@10``, whether one of
            the ten has just the precursors of one of its own; ``temperature_error`` (°C) and ``time_error``
            (h), of the median of the ten against the median of its own.
        curve: mean nDCG by cutoff.
        order: numbers in the gallery, best first, shape (targets, depth).
    """

    values: PerQuery
    curve: Float[np.ndarray, " depth"]
    order: Int[np.ndarray, "targets depth"]


def rank(task: Task, scores: Float[np.ndarray, "targets gallery"]) -> Ranking:
    """Judges the scores of one system."""
    order = best_first(scores, task.gains)
    top = order[:, :TOP]
    curves = ndcg_curve(order, task.gains)
    book, sets = task.ranked, task.ranked.precursors
    together = [frozenset().union(*(sets[i] for i in row)) for row in top]
    own = task.own_precursors
    by_precursors = best_first(scores, task.precursor_gains, TOP)
    inside = [any(members <= t for members in o) for o, t in zip(own, together, strict=True)]
    values: dict[str, np.ndarray] = {
        "ndcg@10": curves[:, top.shape[1] - 1],
        "precursor_ndcg@10": ndcg_curve(by_precursors, task.precursor_gains)[:, -1],
        "all_precursors@10": np.array(inside, dtype=np.float64),
        "same_precursors@10": (np.take_along_axis(task.precursor_gains, top, axis=1).max(axis=1) > _SAME)
        * 1.0,
        "temperature_error": condition_error(task, book.temperature, task.book.temperature, top),
        "time_error": condition_error(task, book.hours, task.book.hours, top),
    }
    return Ranking(values, curves.mean(axis=0), order)


def condition_error(
    task: Task,
    ranked: Float[np.ndarray, " gallery"],
    every: Float[np.ndarray, " recipes"],
    top: Int[np.ndarray, "targets k"],
) -> Float[np.ndarray, " targets"]:
    """|median of the recommended − median of its own| of a condition; NaN where either is not told."""
    truth = np.array([_median(every[own]) for own in task.targets.own])
    return np.abs(np.array([_median(ranked[row]) for row in top]) - truth)


def _median(values: Float[np.ndarray, " n"]) -> float:
    told = values[np.isfinite(values)]
    return float(np.median(told)) if len(told) else np.nan


def constant_errors(task: Task) -> PerQuery:
    """Errors of the median of all recipes that may be recommended: the same answer for every target."""
    book, every = task.ranked, np.arange(len(task.gallery))[None].repeat(len(task.targets), axis=0)
    return {
        "temperature_error": condition_error(task, book.temperature, task.book.temperature, every),
        "time_error": condition_error(task, book.hours, task.book.hours, every),
    }


def figures(
    values: PerQuery, groups: Int[np.ndarray, " targets"]
) -> dict[str, tuple[float, float, float, int]]:
    """Mean, 95 % bootstrap interval over groups, and number of targets, by metric."""
    found: dict[str, tuple[float, float, float, int]] = {}
    told = {name: np.isfinite(each) for name, each in values.items()}
    for mask in {tuple(there.tolist()): there for there in told.values()}.values():
        names = [name for name, there in told.items() if (there == mask).all()]
        if not mask.any():
            continue
        # What is told of the same targets is resampled together.
        columns = np.stack([values[name][mask] for name in names], axis=1)
        means = bootstrap_means(columns, groups[mask])
        for number, name in enumerate(names):
            low, high = interval(means[:, number])
            found[name] = (float(columns[:, number].mean()), low, high, int(mask.sum()))
    return {name: found[name] for name in values if name in found}


def differences(
    one: PerQuery, others: Mapping[str, PerQuery], groups: Int[np.ndarray, " targets"]
) -> dict[str, dict[str, tuple[float, float, float, int]]]:
    """Paired differences of one system from others over the same targets, as :func:`figures`."""
    return {
        other: figures({name: one[name] - theirs[name] for name in one if name in theirs}, groups)
        for other, theirs in others.items()
    }
