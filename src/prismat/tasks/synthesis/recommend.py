"""Recommends recipes for a structure, a formula, properties that are wanted, or words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
from jaxtyping import Float

from prismat.api import Prismat
from prismat.crystal import Crystal
from prismat.elements import MAX_Z
from prismat.errors import BadInputError
from prismat.formats import read_crystal
from prismat.material import Property
from prismat.search.index import MAX_K
from prismat.store import Store
from prismat.tasks.synthesis.composition import (
    composition_of,
    composition_of_table,
    composition_similarity,
)
from prismat.tasks.synthesis.index import COMPOSITION, RecipeIndex, no_window, open_recipes, sentence_key
from prismat.tasks.synthesis.recipes import Recipe

if TYPE_CHECKING:
    from prismat.material import StructureLike

SAME = 0.999
"""Similarity of compositions from which on two are one target."""
PARTS = ("structure", "properties", "text", COMPOSITION)


@dataclass(frozen=True, eq=False)
class Wish:
    """What a recipe is wanted for; several parts count together.

    Attributes:
        structure: a crystal in any form that ``read_crystal`` takes.
        formula: a composition.
        properties: numbers with units by name, the vector p*.
        text: words, compared with the words of recipes.
        weights: by part (``structure``, ``properties``, ``text``, ``composition``), 1 where left out;
            ``composition`` compares formulas as numbers, without the model, and is 0 where left out.
        k: recipes wanted.
        leave_out_target: leave out recipes for the very composition that is asked for.
    """

    structure: Union["StructureLike", None] = None
    formula: str = ""
    properties: Mapping[str, Property] = field(default_factory=dict)
    text: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    k: int = 10
    leave_out_target: bool = False


@dataclass(frozen=True)
class Recommendation:
    """One recipe that was found.

    Attributes:
        recipe: the recipe.
        score: weighted mean of the parts.
        scores: similarity by part.
        likeness: of the recipe's target and the composition asked for, 0 … 1; None where one is unknown.
    """

    recipe: Recipe
    score: float
    scores: dict[str, float]
    likeness: float | None


@dataclass(frozen=True)
class Recommended:
    """Recipes, best first.

    Attributes:
        found: the recipes.
        basis: by what they were found, in words.
        composition: atomic fractions that were asked for, by atomic number; empty where none were.
    """

    found: list[Recommendation]
    basis: str
    composition: dict[int, float]


class Recommender:
    """Answers wishes from the recipes of a store.

    Args:
        prismat: a model with a text window.
        store: with recipes.
        folder: where the index of the recipes lies or is put.

    Raises:
        BadInputError: a store without recipes, or a model without a text window.
    """

    def __init__(self, prismat: Prismat, store: Store, folder: Path) -> None:
        self.prismat, self.store = prismat, store
        self.recipes: RecipeIndex = open_recipes(prismat, store, folder)

    def recommend(self, wish: Wish) -> Recommended:
        """The k recipes that fit best.

        Raises:
            BadInputError: nothing is asked for, a formula or file that cannot be read, a window or a property
                that the model does not have, or a bad weight.
        """
        wish, fractions, basis = self._resolved(wish)
        parts, weights = self._parts(wish, fractions)
        query, total, names = _by_key(parts, weights)
        likeness, known = self._likeness(fractions), self.recipes.book.known() & fractions.any()
        left_out = (likeness >= SAME) & wish.leave_out_target
        hits = self.recipes.index.search(query, total, None, min(wish.k + int(left_out.sum()), MAX_K))
        found = [
            Recommendation(
                self.recipes.book.recipes[hit.row],
                hit.score,
                {names[key]: score for key, score in hit.scores.items()},
                float(likeness[hit.row]) if known[hit.row] else None,
            )
            for hit in [hit for hit in hits if not left_out[hit.row]][: wish.k]
        ]
        shares = ", ".join(f"{part} {weights[part]:g}" for part in parts)
        asked = {int(z): float(fractions[z]) for z in np.flatnonzero(fractions)}
        return Recommended(found, f"{basis}; weights: {shares}", asked)

    def _likeness(self, fractions: Float[np.ndarray, " elements"]) -> Float[np.ndarray, " recipes"]:
        return composition_similarity(fractions[None], self.recipes.book.fractions)[0]

    def _resolved(self, wish: Wish) -> tuple[Wish, Float[np.ndarray, " elements"], str]:
        """The wish with its crystal read or found, its composition, and by what recipes are looked for."""
        _check(wish)
        named = [
            *(["the structure"] if wish.structure is not None else []),
            *(["the properties"] if wish.properties else []),
            *(["the words"] if wish.text else []),
        ]
        if wish.structure is not None:
            crystal = read_crystal(wish.structure, record="query")
            return replace(wish, structure=crystal), _fractions(crystal), " and ".join(named)
        if not wish.formula:
            return wish, np.zeros(MAX_Z + 1), " and ".join(named)
        fractions = composition_of(wish.formula)
        row = self.structure_of(fractions) if "structure" in self.prismat.recipe.windows else None
        if row is None:
            # The composition is all there is to go by.
            weights = {COMPOSITION: 1.0, **wish.weights}
            named.append("the composition alone, for no structure of that formula is in the store")
            return replace(wish, weights=weights), fractions, " and ".join(named)
        identifier = dict(self.store.column("tags")[row]).get("structure", self.store.ids[row])
        named.append(f"the structure {identifier} of that formula")
        crystal = self.store.crystals(np.array([row]))[0]
        return replace(wish, structure=crystal), fractions, " and ".join(named)

    def structure_of(self, fractions: Float[np.ndarray, " elements"]) -> int | None:
        """Row of the most stable structure of a composition in the store; None where there is none."""
        columns = [self.store.column(name) for name in ("elements", "fractions", "properties")]
        found: list[tuple[float, int]] = []
        for row, (elements, amounts, properties) in enumerate(zip(*columns, strict=True)):
            if len(elements) != np.count_nonzero(fractions):
                continue
            own = composition_of_table(elements, amounts)
            if np.abs(own - fractions).max() <= 1e-3:
                known = {entry["name"]: entry["value"] for entry in properties}
                found.append((known.get("e_above_hull", np.inf), row))
        return min(found)[1] if found else None

    def _parts(
        self, wish: Wish, fractions: Float[np.ndarray, " elements"]
    ) -> tuple[dict[str, tuple[str, np.ndarray]], dict[str, float]]:
        """Key and vector of every part of a wish, and its weight; parts of weight 0 are left out."""
        prismat, found = self.prismat, {}
        if wish.structure is not None:
            self._need("structure")
            vector = prismat.embed(structures=[wish.structure])[prismat.key("structure", "text")][0]
            found["structure"] = (prismat.key("text", "structure"), vector)
        if wish.properties:
            self._need("properties")
            _check_names(prismat, wish.properties)
            vector = prismat.embed(properties=[wish.properties])[prismat.key("properties", "text")][0]
            found["properties"] = (prismat.key("text", "properties"), vector)
        if wish.text:
            key = sentence_key(prismat, self.recipes.index)
            found["text"] = (key, prismat.embed(texts=[wish.text])[key][0])
        if fractions.any() and wish.weights.get(COMPOSITION, 0.0) > 0:
            found[COMPOSITION] = (COMPOSITION, np.sqrt(fractions).astype(np.float32))
        weights = {part: float(wish.weights.get(part, 1.0)) for part in found}
        kept = {part: pair for part, pair in found.items() if weights[part] > 0}
        if not kept:
            raise BadInputError("every part has weight 0", field="weights", remedy="Give one a weight.")
        return kept, weights

    def _need(self, window: str) -> None:
        if window not in self.prismat.recipe.windows:
            raise no_window(self.prismat, window)


def _by_key(
    parts: Mapping[str, tuple[str, np.ndarray]], weights: Mapping[str, float]
) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, str]]:
    """Vector, weight and name by key of the index; parts that look at one key are added first."""
    query: dict[str, np.ndarray] = {}
    total: dict[str, float] = {}
    names: dict[str, str] = {}
    for part, (key, vector) in parts.items():
        query[key] = query.get(key, 0) + weights[part] * vector
        total[key] = total.get(key, 0.0) + weights[part]
        names[key] = f"{names[key]} + {part}" if key in names else part
    return query, total, names


def _check(wish: Wish) -> None:
    if wish.structure is None and not (wish.formula or wish.properties or wish.text):
        raise BadInputError(
            "nothing is asked for",
            field="query",
            remedy="Give a structure, a formula, properties that are wanted, or words.",
        )
    if wish.structure is not None and wish.formula:
        raise BadInputError("a structure and a formula", field="query", remedy="Give one of them.")
    if wish.k < 1:
        raise BadInputError(f"k is {wish.k}", field="k", remedy="Ask for at least one recipe.")
    if wish.leave_out_target and wish.structure is None and not wish.formula:
        raise BadInputError(
            "no target to leave out", field="leave_out_target", remedy="Give a structure or a formula."
        )
    for part, weight in wish.weights.items():
        if part not in PARTS or not (np.isfinite(weight) and weight >= 0):
            raise BadInputError(
                f"weight {weight} for {part!r}",
                field="weights",
                remedy=f"Give numbers from 0 for {', '.join(PARTS)}.",
            )


def _check_names(prismat: Prismat, wanted: Mapping[str, Property]) -> None:
    known = [spec.name for spec in prismat.recipe.measured.properties.properties]
    if unknown := [name for name in wanted if name not in known]:
        raise BadInputError(
            f"this model knows no property {unknown[0]!r}",
            field="target",
            remedy=f"It knows {', '.join(known)}.",
        )


def _fractions(crystal: Crystal) -> Float[np.ndarray, " elements"]:
    """Atomic fractions of a crystal."""
    found = np.zeros(MAX_Z + 1)
    for z, amount in crystal.composition.items():
        found[z] = amount
    return found / found.sum()
