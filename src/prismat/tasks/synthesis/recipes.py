"""The recipes of a store: what is made of what, how, and where that is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.elements import MAX_Z
from prismat.errors import BadInputError
from prismat.modalities.text_views import as_rows
from prismat.store import Store
from prismat.tasks.synthesis.composition import composition_of_key, composition_of_table

TEXT = "synthesis"
"""Kind of text that recipes are."""
TEMPERATURE, TIME = "synthesis_temperature", "heating_time"
"""Properties of a recipe, °C and h."""
_COLUMNS = ("id", "elements", "fractions", "texts", "properties", "tags")


@dataclass(frozen=True)
class Recipe:
    """One way to a target, as one article tells it.

    Attributes:
        id: of its first record.
        target: formula as the article has it.
        precursors: what it is made from.
        steps: operations in order, with temperatures (°C) and times (h) where told.
        temperature: of the hottest heating, °C; None where not told.
        hours: of all heating; None where not told.
        doi: of the article.
        structure: id of the structure of the target; empty where there is none.
        variants: records of this article and target, of which this is the first.
    """

    id: str
    target: str
    precursors: tuple[str, ...]
    steps: tuple[str, ...]
    temperature: float | None
    hours: float | None
    doi: str
    structure: str
    variants: int


@dataclass(frozen=True, eq=False)
class RecipeBook:
    """Recipes of a store, those of one article for one target as one.

    Attributes:
        recipes: the recipes.
        rows: rows of the store that each was made from.
        fractions: atomic fractions of the target, zeros where unknown, shape (recipes, elements).
    """

    recipes: list[Recipe]
    rows: list[Int[np.ndarray, " _"]]
    fractions: Float[np.ndarray, "recipes elements"]

    def __len__(self) -> int:
        return len(self.recipes)

    @property
    def first(self) -> Int[np.ndarray, " recipes"]:
        """First row of each recipe."""
        return np.array([rows[0] for rows in self.rows], dtype=np.int64)

    @property
    def precursors(self) -> list[frozenset[str]]:
        """Precursors of each recipe."""
        return [frozenset(recipe.precursors) for recipe in self.recipes]

    @property
    def temperature(self) -> Float[np.ndarray, " recipes"]:
        """°C of the hottest heating, NaN where not told."""
        return np.array([np.nan if r.temperature is None else r.temperature for r in self.recipes])

    @property
    def hours(self) -> Float[np.ndarray, " recipes"]:
        """Hours of heating, NaN where not told."""
        return np.array([np.nan if r.hours is None else r.hours for r in self.recipes])

    def taken(self, which: Int[np.ndarray, " some"]) -> "RecipeBook":
        """Some of the recipes."""
        recipes, rows = [self.recipes[i] for i in which], [self.rows[i] for i in which]
        return RecipeBook(recipes, rows, self.fractions[which])

    def among(self, rows: Int[np.ndarray, " part"]) -> Int[np.ndarray, " some"]:
        """Numbers of the recipes whose records all lie in a part of the store."""
        inside = set(rows.tolist())
        return np.array([i for i, own in enumerate(self.rows) if inside.issuperset(own.tolist())], np.int64)

    def merged(self, vectors: Float[np.ndarray, "records dim"]) -> Float[np.ndarray, "recipes dim"]:
        """Unit vector of each recipe: the mean direction of its records; zeros where they have none."""
        owner = np.repeat(np.arange(len(self)), [len(rows) for rows in self.rows])
        total = np.zeros((len(self), vectors.shape[1]), dtype=np.float64)
        if len(owner):
            np.add.at(total, owner, vectors[np.concatenate(self.rows)])
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return (total / np.where(length > 0, length, 1.0)).astype(np.float32)

    def known(self) -> Bool[np.ndarray, " recipes"]:
        """Recipes whose target has a known composition."""
        return np.asarray(self.fractions.max(axis=1) > 0)


def read_book(store: Store) -> RecipeBook:
    """The recipes of a store; records of the same article (DOI) and target count as one.

    Raises:
        BadInputError: no record has a text of kind ``synthesis`` and precursors.
    """
    columns = {name: store.column(name) for name in _COLUMNS}
    groups: dict[tuple[str, ...], list[int]] = {}
    rows = as_rows(columns)
    for number, row in enumerate(rows):
        tags = dict(row["tags"])
        if dict(row["texts"]).get(TEXT) and tags.get("precursors"):
            # The case of a DOI has no meaning, and the data set has many an article in both.
            doi, target = tags.get("doi", "").lower(), tags.get("target", "")
            groups.setdefault((doi, target) if doi and target else ("", "", row["id"]), []).append(number)
    if not groups:
        raise BadInputError(
            "no record has a recipe",
            record=str(store.folder),
            field="store",
            remedy="Prepare recipes: prismat prepare synthesis --structures TABLE.",
        )
    members = [np.array(numbers, dtype=np.int64) for numbers in groups.values()]
    recipes = [_recipe([rows[i] for i in numbers]) for numbers in members]
    fractions = np.stack([_composition(rows[numbers[0]]) for numbers in members])
    return RecipeBook(recipes, members, fractions)


def _recipe(rows: Sequence[Mapping[str, Any]]) -> Recipe:
    first, tags = rows[0], dict(rows[0]["tags"])
    return Recipe(
        first["id"],
        tags.get("target", ""),
        tuple(tags["precursors"].split("; ")[0].split(", ")),
        steps_of(dict(first["texts"])[TEXT]),
        _median(rows, TEMPERATURE),
        _median(rows, TIME),
        tags.get("doi", ""),
        tags.get("structure", ""),
        len(rows),
    )


def steps_of(text: str) -> tuple[str, ...]:
    """Operations of a recipe that the synthesis source put into words; of several recipes, the first's."""
    recipe = text.splitlines()[0].partition("Product: ")[0].strip().removesuffix(".")
    return tuple(step for step in recipe.split("; ") if step)


def _median(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [entry["value"] for row in rows for entry in row["properties"] if entry["name"] == name]
    return float(np.median(values)) if values else None


def _composition(row: Mapping[str, Any]) -> Float[np.ndarray, " elements"]:
    """Of the structure, else what the source wrote of the target's formula."""
    if row["elements"]:
        return composition_of_table(row["elements"], row["fractions"])
    group = dict(row["tags"]).get("group", "")
    return composition_of_key(group) if ":" in group else np.zeros(MAX_Z + 1)
