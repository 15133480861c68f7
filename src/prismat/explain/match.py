"""Explains the match of a query and a record: what of each holds the score up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.explain.attribution import integrated_gradients, occlusion
from prismat.explain.check import many_curves
from prismat.explain.comparisons import Compared, Link, blended, directed
from prismat.explain.explanation import Completeness, Explanation, Method, Part, SideName
from prismat.explain.seen import WINDOWS, Seen, window_of
from prismat.explain.settings import ExplainSettings
from prismat.explain.side import Comparison, Differentiable, Side, Target, score_kept
from prismat.explain.structure_side import AtomSide, BondSide
from prismat.material import Material
from prismat.measurements import Pattern
from prismat.search.comparisons import DEFAULT_BLEND, Blend
from prismat.search.query import Query
from prismat.search.steer import STEERS

__all__ = ["WINDOWS", "ExplainSettings", "explain_match"]


def explain_match(
    prismat: Prismat,
    query: Query,
    material: Material,
    settings: ExplainSettings = ExplainSettings(),
    blend: Blend = DEFAULT_BLEND,
    stored: Mapping[str, object] | None = None,
) -> Explanation:
    """What of a query and of a record makes them match.

    The score is the one that a search ranks by: the weighted mean of the cosines of all vectors that the two
    have in common. Each side is explained with the other held fixed.

    Args:
        prismat: the model.
        query: what was searched for; its filter and its negative parts play no part.
        material: the record; a pattern it lacks is simulated from its structure, as an index does.
        settings: methods, sides and the check.
        blend: weights of the search's comparisons.
        stored: what a store keeps for the record, see ``source.stored_windows``.

    Raises:
        BadInputError: query and record have nothing to compare, or nothing of it can be explained.
    """
    query = query.resolved()
    windows = [part for part in query.parts if part not in STEERS]
    asked = Seen.of(prismat, _as_material(query), windows)
    found = Seen.of(prismat, material, prismat.recipe.windows, stored)
    compared = _compare(prismat, query, asked, found, settings, blend)
    if not compared:
        raise BadInputError(
            "query and record share no window that is compared",
            record=material.id,
            field="query",
            remedy="Ask in a window that the record has.",
        )
    maker = _Maker(prismat, settings)
    parts: list[Part] = []
    for name, seen in (("query", asked), ("material", found)):
        if name in settings.sides:
            parts += maker.side(name, seen, compared)
    if not parts:
        raise BadInputError(
            "no window of this match can be explained",
            record=material.id,
            field="explain",
            remedy=f"Ask by one of {', '.join(WINDOWS)}.",
        )
    formula = material.structure.formula if material.structure else ""
    notes = (*_notes(query, settings), *maker.notes)
    return Explanation(material.id, formula, _score(compared), tuple(parts), notes)


def _as_material(query: Query) -> Material:
    """A query's input as a material, its words as its title."""
    structure, xrd = query.structure, query.xrd
    measured: dict[str, Any] = dict(query.measured)
    properties = measured.pop("properties", {})
    if isinstance(xrd, Pattern):
        measured["xrd"] = xrd
    return Material(
        "query",
        structure,  # ty: ignore[invalid-argument-type]
        {"title": query.text} if query.text else {},
        measured,
        dict(properties),
    )


def _compare(
    prismat: Prismat, query: Query, asked: Seen, found: Seen, settings: ExplainSettings, blend: Blend
) -> list[Compared]:
    """Every comparison that both sides have vectors for."""
    mine = {window: asked.vectors(prismat, window) for window in asked.windows}
    theirs: dict[str, np.ndarray] = {}
    links: list[tuple[str, Link]] = []
    if settings.direction is not None:
        window, direct = directed(prismat, settings.direction)
        if window not in mine:
            raise BadInputError(
                f"the query has no {window}", field="direction", remedy="Start from a part of the query."
            )
        links = [(window, link) for link in direct]
    else:
        for window, vectors in mine.items():
            share = query.weights.get(window, 1.0)
            for link in blended(prismat, blend, window, set(vectors)):
                links.append((window, Link(link.query, link.material, share * link.weight)))
    for window in dict.fromkeys(window_of(link.material) for _, link in links):
        if window in found.windows:
            theirs |= found.vectors(prismat, window)
    return [
        Compared(link, mine[window][link.query], theirs[link.material])
        for window, link in links
        if link.material in theirs
    ]


def _score(compared: list[Compared]) -> float:
    total = sum(one.link.weight for one in compared)
    return sum(one.link.weight * one.cosine for one in compared) / total


def _notes(query: Query, settings: ExplainSettings) -> list[str]:
    said = []
    if query.steer.parts:
        said.append("What the query steers away from or towards is no part of the score explained here.")
    if settings.direction is None and len(set(query.parts) - set(STEERS)) > 1:
        said.append("Each part of the query is explained against the comparisons that it enters.")
    return said


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes the parts of an explanation."""

    prismat: Prismat
    settings: ExplainSettings
    notes: list[str] = field(default_factory=list)

    def side(self, name: SideName, seen: Seen, compared: list[Compared]) -> list[Part]:
        """All parts of the query or of the record."""
        by_window: dict[str, list[Comparison]] = {}
        for one in compared:
            comparison = one.for_query() if name == "query" else one.for_material()
            by_window.setdefault(window_of(comparison.key), []).append(comparison)
        parts: list[Part] = []
        for window, comparisons in by_window.items():
            if window not in WINDOWS:
                self.notes.append(f"The {window} of the {name} takes part in the score and is not explained.")
                continue
            parts += self._window(name, seen, window, Target(comparisons))
        return parts

    def _window(self, name: SideName, seen: Seen, window: str, target: Target) -> list[Part]:
        settings = self.settings
        gradients = settings.method != "occlusion"
        side = seen.side(self.prismat, window, gradients)
        parts = explain_side(name, side, target, settings)
        if isinstance(side, AtomSide) and settings.bonds:
            bonds = BondSide(side)
            if len(bonds):
                only = ExplainSettings(orders=settings.orders, points=settings.points, seed=settings.seed)
                parts += explain_side(name, bonds, target, only)
        return parts


def explain_side(
    name: SideName, side: Side | Differentiable, target: Target, settings: ExplainSettings = ExplainSettings()
) -> list[Part]:
    """One side in one window by every method asked for, checked against the same random orders.

    Args:
        name: whose side it is.
        side: its input; differentiable where the method is integrated gradients.
        target: the score.
        settings: methods and check.
    """
    made: list[tuple[Method, np.ndarray, Completeness | None]] = []
    if settings.method != "integrated-gradients":
        made.append(("occlusion", occlusion(side, target), None))
    if settings.method != "occlusion":
        values, complete = integrated_gradients(side, target, settings.steps)  # ty: ignore[invalid-argument-type]
        made.append(("integrated gradients", values, complete))
    checks = [None] * len(made)
    if len(side) > 1:
        attributions = [values for _, values, _ in made]
        checks = many_curves(side, target, attributions, settings.orders, settings.points, settings.seed)
    score = float(score_kept(side, target, np.ones((1, len(side)), dtype=bool))[0])
    return [
        Part(
            name,
            side.window,
            side.unit,
            method,
            score,
            tuple(dict.fromkeys(c.key for c in target.comparisons)),
            tuple(side.items(values)),
            side.operator,
            side.baseline if complete else "",  # ty: ignore[missing-attribute]
            complete,
            check,
            side.data,
        )
        for (method, values, complete), check in zip(made, checks, strict=True)
    ]
