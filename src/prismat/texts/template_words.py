"""Words of the template descriptions: numbers, lists, elements, mixed sites."""

from collections.abc import Sequence
from functools import cache
from math import gcd, isnan

from prismat.crystal import Crystal, Site
from prismat.elements import SYMBOLS, column, table

_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_ARITY = {1: "element", 2: "binary", 3: "ternary", 4: "quaternary", 5: "quinary"}
_TOLERANCE = 5e-3


def number(value: float | int) -> str:
    """Whole numbers up to twelve as a word, other numbers as digits with one decimal at most."""
    if abs(value - round(value)) < _TOLERANCE:
        whole = round(value)
        return _NUMBERS[whole] if whole < len(_NUMBERS) else str(whole)
    return decimal(value, 1)


def decimal(value: float, places: int) -> str:
    """A fixed number of decimals; noise of rounding does not decide between two of them."""
    return f"{round(value, 6):.{places}f}"


def percent(share: float, places: int) -> str:
    """A share in percent; a small one is never said to be zero."""
    least = 10.0**-places
    return f"under {least:g}" if round(100 * share, 6) < least else decimal(100 * share, places)


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


@cache
def element_name(z: int) -> str:
    """English name of an element, in lower case."""
    return table()[z - 1]["name"]


def site_label(site: Site) -> str:
    """Symbol of what a site holds; of a mixed site all, the most frequent first: ``Ca/Na``."""
    if len(site) == 1:
        return SYMBOLS[site[0][0]]
    order = sorted(site, key=lambda entry: (-round(entry[1], 6), entry[0]))
    return "/".join(SYMBOLS[z] for z, _ in order)


def site_shares(site: Site) -> str:
    """Occupancies of a site in percent: ``62 % Ca, 38 % Na``."""
    order = sorted(site, key=lambda entry: (-round(entry[1], 6), entry[0]))
    return ", ".join(f"{percent(x, 0)} % {SYMBOLS[z]}" for z, x in order)


def composition_sentence(crystal: Crystal) -> str:
    """What the crystal is made of: how many elements, which, and in which ratio."""
    amounts = {z: n for z, n in crystal.composition.items() if n > 0}
    # In the order of the formula: the most electropositive element first.
    order = sorted(amounts, key=formula_rank)
    formula = crystal.formula
    if len(order) == 1:
        return f"{formula} is the element {element_name(order[0])}."
    names = listed([element_name(z) for z in order])
    kind = _ARITY.get(len(order))
    start = (
        f"{formula} is a {kind} compound of" if kind else f"{formula} is a compound of {len(order)} elements:"
    )
    counts = _whole_ratio([amounts[z] for z in order])
    if counts:
        return f"{start} {names} in the ratio {' : '.join(map(str, counts))}."
    total = sum(amounts.values())
    shares = [f"{element_name(z)} ({percent(amounts[z] / total, 1)} at%)" for z in order]
    return f"{start} {listed(shares)}."


def formula_rank(z: int) -> tuple[float, int]:
    """Sort key of the elements of a formula: electronegativity, those without a value last."""
    value = float(column("electronegativity")[z])
    return (9.0 if isnan(value) else value, z)


def _whole_ratio(amounts: Sequence[float]) -> list[int]:
    """Amounts as whole numbers without a common divisor; empty where one of them is not whole."""
    counts = [round(n) for n in amounts]
    if any(c < 1 or abs(n - c) > _TOLERANCE for n, c in zip(amounts, counts, strict=True)):
        return []
    return [c // gcd(*counts) for c in counts]
