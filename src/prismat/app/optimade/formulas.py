"""Chemical formulas in the forms that OPTIMADE asks for.

OPTIMADE specification v1.2, "Structures Entries".
"""

import re
from functools import reduce
from math import gcd

_PART = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?(?:e-?\d+)?)?")
_RESOLUTION = 1000
"""Amounts are whole multiples of 1/1000, the digits that reduced formulas keep."""


def amounts_of(formula: str) -> dict[str, float]:
    """Amount of each element in a reduced formula, in alphabetical order; empty where it cannot be read."""
    parts = _PART.findall(formula)
    if "".join(symbol + number for symbol, number in parts) != formula:
        return {}
    amounts: dict[str, float] = {}
    for symbol, number in parts:
        amounts[symbol] = amounts.get(symbol, 0.0) + float(number or 1)
    return dict(sorted(amounts.items()))


def whole_amounts(amounts: dict[str, float]) -> dict[str, int] | None:
    """The same proportions in whole numbers without a common factor.

    Returns:
        None for no elements, or where an element is rarer than the resolution of 1/1000.
    """
    whole = {symbol: round(amount * _RESOLUTION) for symbol, amount in amounts.items()}
    if not whole or min(whole.values()) < 1:
        return None
    factor = reduce(gcd, whole.values())
    return {symbol: amount // factor for symbol, amount in whole.items()}


def reduced(whole: dict[str, int]) -> str:
    """``chemical_formula_reduced``: elements by alphabet."""
    return "".join(f"{symbol}{_number(whole[symbol])}" for symbol in sorted(whole))


def anonymous(whole: dict[str, int]) -> str:
    """``chemical_formula_anonymous``: A for the most frequent element, B for the next."""
    counts = sorted(whole.values(), reverse=True)
    return "".join(f"{_letters(i)}{_number(count)}" for i, count in enumerate(counts))


def hill(whole: dict[str, int]) -> str:
    """``chemical_formula_hill``: carbon, hydrogen, then by alphabet; by alphabet without carbon.

    Hill, J. Am. Chem. Soc. 22, 478 (1900).
    """
    first = [symbol for symbol in ("C", "H") if symbol in whole] if "C" in whole else []
    order = [*first, *sorted(set(whole) - set(first))]
    return "".join(f"{symbol}{_number(whole[symbol])}" for symbol in order)


def _number(amount: int) -> str:
    return "" if amount == 1 else str(amount)


def _letters(i: int) -> str:
    """A … Z, Aa, Ba … Za, Ab …, as the standard counts."""
    return chr(65 + i % 26) + ("" if i < 26 else chr(96 + i // 26))
