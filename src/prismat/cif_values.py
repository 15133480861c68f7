"""Single values of a CIF: numbers and the elements that type symbols and labels name."""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from prismat.elements import SYMBOLS, atomic_number
from prismat.errors import BadInputError

if TYPE_CHECKING:
    import gemmi

_ELEMENTS = frozenset(SYMBOLS[1:]) | {"D", "T"}
_NAME = re.compile(r"[A-Za-z]{0,20}")
_HYDROXYL = re.compile(r"O[WwHh]")
_WATER = re.compile(r"[Ww][Aa][Tt]|O[WwHh]")


def first_value(block: "gemmi.cif.Block", tags: tuple[str, ...]) -> str:
    """The first of the tags' values that says something, unquoted; empty where none does."""
    import gemmi

    for tag in tags:
        value = block.find_value(tag)
        if value is not None and not gemmi.cif.is_null(value):
            return gemmi.cif.as_string(value).strip()
    return ""


def number(raw: str, field: str) -> float:
    """A number, with its standard uncertainty in brackets or without.

    Raises:
        BadInputError: no finite number, or none known ('?' or '.').
    """
    value = _as_number()(raw)
    if math.isfinite(value):
        return value
    raise BadInputError(f"{raw[:40]!r} is not a number", field=field, remedy="Give a number.")


@lru_cache(maxsize=1)
def _as_number() -> Callable[[str], float]:
    # Once: an import statement costs more than the number.
    import gemmi

    return gemmi.cif.as_number


def element(symbol: str, label: str, expected: frozenset[str] = frozenset()) -> int:
    """Atomic number of a type symbol such as Fe3+ or O2-, or of a label such as SI1, OW2 or Fe(1).

    Args:
        symbol: the type symbol; empty where only the label names the element.
        label: the site's label.
        expected: elements of the file's formula; they decide between readings of a label (CO1, OS3, KC).

    Raises:
        BadInputError: neither reading is an element from H to Cf.
    """
    if symbol:
        found = _by_letters(_letters(symbol))
    else:
        letters = _letters(label)
        found = next((z for name, z in _readings(letters) if name in expected), None) or _by_letters(letters)
        if found is None and letters[:3].lower() == "wat":
            found = 8
    if found is None:
        raise BadInputError(
            f"unknown element {(symbol or label)[:40]!r}",
            field=f"atom {label[:40]}",
            remedy="Give _atom_site_type_symbol with a symbol from H to Cf.",
        )
    return found


def _letters(text: str) -> str:
    found = _NAME.match(text)
    return found.group() if found else ""


@lru_cache(maxsize=4096)
def _by_letters(name: str) -> int | None:
    # Two letters are one element where there is such an element; OW and OH are water's or hydroxyl's oxygen.
    candidates = [name.capitalize()] if len(name) <= 2 else [name[:2]] if name[2].isupper() else []
    if _HYDROXYL.match(name):
        candidates.append("O")
    return next((atomic_number(candidate) for candidate in candidates if candidate in _ELEMENTS), None)


@lru_cache(maxsize=4096)
def _readings(name: str) -> tuple[tuple[str, int], ...]:
    """The elements that a label's letters may begin with, likelier ones first."""
    if _WATER.match(name):
        return (("O", 8),)
    readings = [name[:2].capitalize(), name[:1].upper()]
    if name[1:2].isupper():
        readings.reverse()
    return tuple((reading, atomic_number(reading)) for reading in readings if reading in _ELEMENTS)


@lru_cache(maxsize=1024)
def elements_of(formula: str) -> frozenset[str]:
    """Symbols in a formula such as 'Ca0.5 O3'; D where there is H."""
    found = frozenset(re.findall(r"[A-Z][a-z]?", formula[:2000]))
    return found | {"D"} if "H" in found else found
