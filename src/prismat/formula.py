"""Reduced formulas that stay readable for solid solutions."""

from functools import reduce
from math import gcd, isclose

import numpy as np

from prismat.elements import SYMBOLS, column

_TOLERANCE = 5e-3


def reduced_formula(composition: dict[int, float]) -> str:
    """Formula with the most electropositive element first, divided by its common factor.

    Amounts that are whole numbers must stay whole, and so must the sum of those that are not: 3.988 Ca,
    0.012 Sr, 4 C and 12 O give ``Sr0.003Ca0.997CO3``.

    Args:
        composition: atoms per cell by atomic number.
    """
    amounts = {z: n for z, n in composition.items() if n > 0}
    factor = _common_factor(list(amounts.values()))
    return "".join(f"{SYMBOLS[z]}{_amount(amounts[z] / factor)}" for z in sorted(amounts, key=_rank))


def _common_factor(amounts: list[float]) -> float:
    whole = [n for n in amounts if _is_whole(n)]
    mixed = sum(n for n in amounts if not _is_whole(n))
    counted = [round(n) for n in whole] + ([round(mixed)] if mixed and _is_whole(mixed) else [])
    if not counted:
        # An alloy on full sites is given per atom; where vacancies spoil that, the cell's amounts stand.
        return sum(amounts) if _is_whole(sum(amounts)) else 1.0
    if mixed and not _is_whole(mixed):
        # Vacancies leave a remainder that no factor makes whole: then only the whole amounts decide.
        counted = [round(n) for n in whole]
    return float(reduce(gcd, counted)) or 1.0


def _is_whole(n: float) -> bool:
    return n > 0.5 and isclose(n, round(n), abs_tol=_TOLERANCE)


def _amount(n: float) -> str:
    if isclose(n, 1, abs_tol=_TOLERANCE / 10):
        return ""
    return f"{n:.3f}".rstrip("0").rstrip(".") if n >= 5e-4 else f"{n:.1g}"


def _rank(z: int) -> tuple[float, int]:
    """Sort key: electronegativity, noble gases without a value last."""
    value = column("electronegativity")[z]
    return (float(value) if np.isfinite(value) else 9.0, z)
