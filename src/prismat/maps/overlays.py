"""What a map is coloured by: properties, year, crystal system, chemistry, elements, route and other tags."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.maps.routes import synthesis_route
from prismat.search.filters import PROPERTY
from prismat.store import Store

SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
_LAST_NUMBER = (2, 15, 74, 142, 167, 194, 230)
CLASSES = (
    *("silicate", "phosphate", "arsenate", "sulfate", "carbonate", "borate", "other oxide"),
    *("sulfide or selenide", "halide", "other", "element or alloy"),
)
OTHER = "all other"
_MANY = 12
_YEAR = re.compile(r"\b(1[89]\d\d|20\d\d)\b")
_NON_METALS = frozenset(["H", "C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "I", "Te"])


@dataclass(frozen=True, eq=False)
class Overlay:
    """One number or one category of each point.

    Attributes:
        unit: of the numbers, empty where they have none.
        values: shape (n,), NaN where unknown; with categories their indices.
        categories: names, empty for numbers.
    """

    unit: str
    values: Float[np.ndarray, " n"]
    categories: tuple[str, ...] = ()

    @property
    def low(self) -> float:
        """First percentile of the known values, where a scale of colours begins."""
        return self._at(1)

    @property
    def high(self) -> float:
        """99th percentile of the known values, where it ends."""
        return self._at(99)

    def _at(self, percent: int) -> float:
        known = self.values[np.isfinite(self.values)]
        return float(np.percentile(known, percent)) if len(known) else float("nan")


@dataclass(frozen=True, eq=False)
class Rows:
    """The records of a map as overlays read them.

    Attributes:
        table: columns of the index's metadata, lists of one entry for each record.
        units: unit of each property in it.
        tags: of each record, from its store; empty where there is no store.
    """

    table: Mapping[str, list]
    units: Mapping[str, str]
    tags: Sequence[Mapping[str, str]]

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties."""
        return tuple(self.units)


def tags_of(store: Store, ids: Sequence[str]) -> list[dict[str, str]]:
    """Tags of the records in the order of the map; empty for one that the store does not hold.

    A record with a recipe gets the tag ``route`` by its operations, where it came without one.
    """
    columns = zip(store.ids, store.column("tags"), store.column("texts"), strict=True)
    found = {name: _with_route(dict(tags), dict(texts)) for name, tags, texts in columns}
    return [found.get(name, {}) for name in ids]


def _with_route(tags: dict[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    route = synthesis_route(texts.get("synthesis") or "")
    return {"route": route, **tags} if route else tags


def default_overlays(rows: Rows) -> tuple[str, ...]:
    """What can be shown of these records without being asked for."""
    named = [*rows.properties, "year", "crystal_system", "class", "route", "n_elements", "n_sites"]
    return tuple(n for n in named if np.isfinite(overlay(rows, n).values).any())


def overlay(rows: Rows, name: str) -> Overlay:
    """One overlay by its name.

    Args:
        rows: the records.
        name: a property; ``year`` of publication; ``crystal_system``; ``spacegroup`` (its number); ``class``
            (of the chemistry, by the elements present); ``route`` (of synthesis); ``n_elements``;
            ``n_sites``; ``element:Fe``; ``tag:NAME``, any tag of the store, such as ``tag:mineral``.

    Raises:
        BadInputError: no such overlay, or no record has it.
    """
    if name in rows.properties:
        return Overlay(rows.units[name], _numbers(rows.table[PROPERTY + name]))
    kind, _, argument = name.partition(":")
    if argument and kind in ("element", "tag"):
        return _element(rows, argument) if kind == "element" else _tag(rows, argument)
    if name not in _PLAIN:
        raise BadInputError(
            f"unknown overlay {name!r}",
            field="overlay",
            remedy=f"Use {', '.join([*rows.properties, *_PLAIN, 'element:Fe', 'tag:NAME'])}.",
        )
    return _PLAIN[name](rows)


def _numbers(values: Sequence[float | int | None]) -> Float[np.ndarray, " n"]:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float32)


def _element(rows: Rows, symbol: str) -> Overlay:
    has = [symbol in (e or ()) for e in rows.table["elements"]]
    if not any(has):
        raise BadInputError(
            f"no record holds {symbol!r}", field="overlay", remedy="Give an element's symbol."
        )
    return Overlay("", np.array(has, dtype=np.float32), (f"without {symbol}", f"with {symbol}"))


def _tag(rows: Rows, name: str) -> Overlay:
    found = [tags.get(name, "") for tags in rows.tags]
    if not any(found):
        known = sorted({key for tags in rows.tags for key in tags})
        raise BadInputError(
            f"no record has the tag {name!r}",
            field="overlay",
            remedy=f"The store has {', '.join(known)}." if known else "Give --store, which keeps tags.",
        )
    return categories(found)


def categories(names: Sequence[str], most: int = _MANY) -> Overlay:
    """The commonest names, the rest together; an empty name is unknown."""
    common = [name for name, _ in Counter(filter(None, names)).most_common()]
    kept = common if len(common) <= most else [*common[: most - 1], OTHER]
    place = {name: i for i, name in enumerate(common[: most - 1] if len(common) > most else common)}
    values = [place.get(n, len(kept) - 1) if n else np.nan for n in names]
    return Overlay("", np.array(values, dtype=np.float32), tuple(kept))


def _year(rows: Rows) -> Overlay:
    found = [t.get("year") or _first_year(t.get("publication", "")) for t in rows.tags]
    years = [float(y) if y and y.isdigit() else np.nan for y in found]
    return Overlay("", np.array(years or [np.nan] * len(rows.table["id"]), dtype=np.float32))


def _first_year(publication: str) -> str:
    match = _YEAR.search(publication)
    return match.group() if match else ""


def crystal_system(number: int | None) -> str:
    """Crystal system of a space group's number; empty where unknown."""
    if number is None or not 1 <= number <= _LAST_NUMBER[-1]:
        return ""
    return SYSTEMS[int(np.searchsorted(_LAST_NUMBER, number))]


def _system(rows: Rows) -> Overlay:
    place = {name: float(i) for i, name in enumerate(SYSTEMS)}
    found = [place.get(crystal_system(n), np.nan) for n in rows.table["spacegroup_number"]]
    return Overlay("", np.array(found, dtype=np.float32), SYSTEMS)


def chemical_class(elements: Sequence[str]) -> str:
    """A mineral's class by the elements present, the first that fits; empty without elements."""
    has = set(elements)
    if not has:
        return ""
    if "O" in has:
        order = ("Si", "silicate"), ("P", "phosphate"), ("As", "arsenate"), ("S", "sulfate")
        order += ("C", "carbonate"), ("B", "borate")
        return next((name for symbol, name in order if symbol in has), "other oxide")
    if has & {"S", "Se", "Te"}:
        return "sulfide or selenide"
    if has & {"F", "Cl", "Br", "I"}:
        return "halide"
    return "element or alloy" if len(has) == 1 or not has & _NON_METALS else "other"


def _class(rows: Rows) -> Overlay:
    place = {name: float(i) for i, name in enumerate(CLASSES)}
    found = [place.get(chemical_class(e or ()), np.nan) for e in rows.table["elements"]]
    return Overlay("", np.array(found, dtype=np.float32), CLASSES)


def _count(rows: Rows) -> Overlay:
    return Overlay("", _numbers([len(e) if e else None for e in rows.table["elements"]]))


_PLAIN: dict[str, Callable[[Rows], Overlay]] = {
    "year": _year,
    "crystal_system": _system,
    "spacegroup": lambda rows: Overlay("", _numbers(rows.table["spacegroup_number"])),
    "class": _class,
    "route": lambda rows: categories([tags.get("route", "") for tags in rows.tags]),
    "n_elements": _count,
    "n_sites": lambda rows: Overlay("", _numbers(rows.table["n_sites"])),
}
