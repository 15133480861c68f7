"""What recommends a recipe without any learning: counts of precursors, and known properties."""

from collections import Counter

import numpy as np
from jaxtyping import Float

from prismat.elements import SYMBOLS
from prismat.modalities.formula_text import parse_formula
from prismat.tasks.synthesis.grades import jaccard
from prismat.tasks.synthesis.recipes import RecipeBook

_VOLATILE = {SYMBOLS.index(symbol) for symbol in ("H", "C", "N", "O")}
"""Elements that most precursors hold besides the one they are chosen for."""


def frequency(book: RecipeBook) -> Float[np.ndarray, " recipes"]:
    """How often the very precursors of each recipe were used, as a share of the most frequent ones."""
    sets = book.precursors
    count = Counter(sets)
    return np.array([count[members] for members in sets], dtype=np.float64) / max(count.values())


def usual_precursors(book: RecipeBook) -> dict[int, str]:
    """By atomic number, the precursor that most recipes for targets with that element bring it in by."""
    count: dict[int, Counter[str]] = {}
    for recipe, fractions in zip(book.recipes, book.fractions, strict=True):
        wanted = set(np.flatnonzero(fractions).tolist())
        for precursor in recipe.precursors:
            held = {z for z, n in parse_formula(precursor) or () if n > 0}
            for z in held & wanted:
                count.setdefault(z, Counter())[precursor] += 1
    # Of equally frequent ones the first by name, so that the order of a store does not matter.
    return {z: min(c, key=lambda name: (-c[name], name)) for z, c in count.items()}


def usual_scores(
    book: RecipeBook, queries: Float[np.ndarray, "queries elements"]
) -> Float[np.ndarray, "queries recipes"]:
    """Jaccard index of each recipe's precursors with the usual ones of a target's elements.

    Hydrogen, carbon, nitrogen and oxygen count only where a target has nothing else. Among equal ones the
    more frequent precursors come first.
    """
    usual, expected = usual_precursors(book), []
    for fractions in queries:
        elements = set(np.flatnonzero(fractions).tolist())
        chosen = elements - _VOLATILE or elements
        expected.append(frozenset(usual[z] for z in chosen if z in usual))
    return jaccard(expected, book.precursors) + 1e-6 * frequency(book)


def property_scores(
    queries: Float[np.ndarray, "queries properties"], items: Float[np.ndarray, "recipes properties"]
) -> Float[np.ndarray, "queries recipes"]:
    """Minus the distance of property vectors: root mean square of standardised differences of what both have.

    Args:
        queries: wanted values, NaN where left open.
        items: those of the recipes' targets, NaN where unknown; without a shared one a recipe comes last.
    """
    # A column that no recipe has, or that is the same in all, tells nothing.
    known = np.isfinite(items)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, items, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (items - mean) ** 2, 0.0).sum(axis=0) / count)
    used = spread > 0
    left, right = ((x[:, used] - mean[used]) / spread[used] for x in (queries, items))
    have = [np.isfinite(x).astype(np.float64) for x in (left, right)]
    a, b = np.nan_to_num(left), np.nan_to_num(right)
    squares = (a**2) @ have[1].T - 2 * a @ b.T + have[0] @ (b**2).T
    shared = have[0] @ have[1].T
    distance = np.sqrt(np.maximum(squares, 0.0) / np.maximum(shared, 1.0))
    return np.where(shared > 0, -distance, -np.inf)
