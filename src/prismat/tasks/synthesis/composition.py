"""Compositions of targets as atomic fractions, and how much of one is in another."""

import re

import numpy as np
from jaxtyping import Float

from prismat.elements import MAX_Z, atomic_number
from prismat.errors import BadInputError
from prismat.modalities.formula_text import SYMBOL, parse_formula

# Letters that stand for amounts or for any element would leave the composition open.
_PLAIN = re.compile(rf"(?:(?:{SYMBOL}|[(\[)\]]|[·*](?=[\dA-Z]))(?:\d+\.?\d*|\.\d+)?)+")
Fractions = Float[np.ndarray, "materials elements"]


def composition_of(formula: str) -> Float[np.ndarray, " elements"]:
    """Atomic fractions of a formula, by atomic number.

    Args:
        formula: such as ``LiCoO2`` or ``La0.7Sr0.3MnO3``.

    Raises:
        BadInputError: not a formula of elements and numbers.
    """
    plain = formula.strip()
    amounts = {z: n for z, n in parse_formula(plain) or () if n > 0} if _PLAIN.fullmatch(plain) else {}
    if not amounts:
        raise BadInputError(
            f"cannot read the formula {formula!r:.80}",
            field="formula",
            remedy="Write elements and amounts, such as LiCoO2.",
        )
    return _fractions(amounts)


def composition_of_key(key: str) -> Float[np.ndarray, " elements"]:
    """Atomic fractions of what ``composition_key`` of the synthesis source wrote; zeros for other text."""
    amounts: dict[int, float] = {}
    try:
        for part in key.split():
            z, amount = part.split(":")
            amounts[int(z)] = float(amount)
    except ValueError:
        return np.zeros(MAX_Z + 1)
    plain = amounts and all(0 < z <= MAX_Z and 0 < n <= 1 for z, n in amounts.items())
    return _fractions(amounts) if plain else np.zeros(MAX_Z + 1)


def composition_of_table(elements: list[str], fractions: list[float]) -> Float[np.ndarray, " elements"]:
    """Atomic fractions of a row of a store's table; zeros without a structure."""
    if not elements:
        return np.zeros(MAX_Z + 1)
    return _fractions({atomic_number(s): float(x) for s, x in zip(elements, fractions, strict=True)})


def _fractions(amounts: dict[int, float]) -> Float[np.ndarray, " elements"]:
    found = np.zeros(MAX_Z + 1)
    found[list(amounts)] = list(amounts.values())
    return found / found.sum()


def composition_vectors(fractions: Fractions) -> Fractions:
    """Unit vectors whose inner product is the similarity of two compositions: roots of the fractions.

    s(x, y) = Σ √(x_e y_e), Bhattacharyya's coefficient (Bull. Calcutta Math. Soc. 35 (1943) 99): 1 for the
    same composition, 0 without a shared element; √(1 − s) is the Hellinger distance. Unknown compositions
    (zeros) are similar to nothing.
    """
    return np.sqrt(fractions)


def composition_similarity(
    one: Float[np.ndarray, "queries elements"], other: Float[np.ndarray, "items elements"]
) -> Float[np.ndarray, "queries items"]:
    """Similarity of every query and item, from their atomic fractions, see :func:`composition_vectors`."""
    return composition_vectors(one) @ composition_vectors(other).T
