"""Classes by which a space is judged: symmetry, chemistry, mineral, property ranges, synthesis route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from prismat.elements import SYMBOLS
from prismat.training.records import Records

SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
_LAST = np.array([2, 15, 74, 142, 167, 194, 230])
"""Last space group number of each crystal system (International Tables A)."""
FAMILIES = (
    *("carbonate", "phosphate", "arsenate", "sulfate", "vanadate", "borate", "silicate", "oxide", "sulfide"),
    *("halide", "element", "other"),
)
_ANIONS = {
    "carbonate": "C",
    "phosphate": "P",
    "arsenate": "As",
    "sulfate": "S",
    "vanadate": "V",
    "borate": "B",
}
_ROUTES = ("synthesis_route", "synthesis_type", "route", "synthesis")
"""Tags that may name how a material was made."""
BINS = 5


@dataclass(frozen=True, eq=False)
class Classes:
    """One way of classing the records.

    Attributes:
        name: of the way.
        names: of the classes.
        labels: class number of each record, −1 where it has none.
    """

    name: str
    names: tuple[str, ...]
    labels: Int[np.ndarray, " records"]


def crystal_system_numbers(spacegroups: Int[np.ndarray, " records"]) -> Int[np.ndarray, " records"]:
    """0 triclinic to 6 cubic from space group numbers 1 to 230; −1 for any other number."""
    known = (spacegroups >= 1) & (spacegroups <= _LAST[-1])
    return np.where(known, np.searchsorted(_LAST, spacegroups), -1)


def chemistry_families(fractions: Float[np.ndarray, "records elements"]) -> Int[np.ndarray, " records"]:
    """Number of the family in ``FAMILIES`` by composition alone, −1 without one.

    An oxygen compound is named after whichever of C, P, As, S, V, B, Si it has most of, where there are at
    least 2.4 oxygens to each of these atoms (1.9 for silicon: framework silicates); any other compound with
    oxygen is an oxide. Without oxygen, S, Se, Te make a sulfide, F, Cl, Br, I a halide.
    """
    z = {symbol: SYMBOLS.index(symbol) for symbol in SYMBOLS[1:]}
    oxygen = fractions[:, z["O"]]
    centres = np.stack([fractions[:, z[s]] for s in (*_ANIONS.values(), "Si")], axis=1)
    best = centres.argmax(axis=1)
    ratio = oxygen / np.maximum(centres.max(axis=1), 1e-9)
    needed = np.where(best == len(_ANIONS), 1.9, 2.4)
    complex_ = (centres.max(axis=1) > 0.01) & (oxygen > 0) & (ratio >= needed)
    family = np.full(len(fractions), FAMILIES.index("other"))
    family[(fractions > 0.99).any(axis=1)] = FAMILIES.index("element")
    halogen = fractions[:, [z[s] for s in ("F", "Cl", "Br", "I")]].sum(axis=1)
    chalcogen = fractions[:, [z[s] for s in ("S", "Se", "Te")]].sum(axis=1)
    family[(halogen > 0) & (halogen >= chalcogen)] = FAMILIES.index("halide")
    family[chalcogen > halogen] = FAMILIES.index("sulfide")
    family[(fractions > 0.99).any(axis=1)] = FAMILIES.index("element")
    family[oxygen > 0.05] = FAMILIES.index("oxide")
    named = np.array([FAMILIES.index(n) for n in (*_ANIONS, "silicate")])
    family[complex_] = named[best[complex_]]
    return np.where(fractions.any(axis=1), family, -1)


def record_classes(records: Records, smallest: int = 20) -> list[Classes]:
    """All ways in which the records of a store can be classed.

    Args:
        records: of the store.
        smallest: records of a mineral below which it is no class.
    """
    numbers = np.array([n or 0 for n in records.table["spacegroup_number"]], dtype=np.int64)
    found = [
        Classes("crystal system", SYSTEMS, crystal_system_numbers(numbers)),
        Classes("chemistry", FAMILIES, chemistry_families(records.fractions)),
        _named("space group", [str(n) if n else "" for n in numbers.tolist()], smallest),
        _named("mineral", [m.strip().casefold() for m in records.minerals], smallest),
        _named("synthesis route", routes(records.table.get("tags", [])), smallest),
        *_binned(records.table.get("properties", [])),
    ]
    return [c for c in found if len(np.unique(c.labels[c.labels >= 0])) > 1]


def routes(tags: Sequence[object]) -> list[str]:
    """How each record was made, empty where no tag tells."""
    rows = [dict(row) for row in tags]  # ty: ignore[no-matching-overload]
    return [next((str(row[t]) for t in _ROUTES if row.get(t)), "") for row in rows]


def _named(name: str, words: Sequence[str], smallest: int) -> Classes:
    """Words that are common enough as classes."""
    found, member, counts = np.unique(np.array(words, dtype=str), return_inverse=True, return_counts=True)
    kept = [i for i in range(len(found)) if found[i] and counts[i] >= smallest]
    number = np.full(len(found), -1)
    number[kept] = np.arange(len(kept))
    return Classes(name, tuple(found[kept].tolist()), number[member.ravel()] if len(words) else number[:0])


def _binned(rows: Sequence[Sequence[Mapping]]) -> list[Classes]:
    """Each property in ``BINS`` ranges of equal counts."""
    values: dict[tuple[str, str], np.ndarray] = {}
    for row, entries in enumerate(rows):
        for entry in entries:
            key = (entry["name"], entry["unit"])
            values.setdefault(key, np.full(len(rows), np.nan))[row] = entry["value"]
    found = []
    for (name, unit), column in values.items():
        known = np.isfinite(column)
        edges = (
            np.unique(np.quantile(column[known], np.linspace(0, 1, BINS + 1)[1:-1])) if known.any() else []
        )
        if len(edges) < 1:
            continue
        labels = np.where(known, np.searchsorted(edges, column, side="right"), -1)
        ends = ["", *(f"{e:.3g}" for e in edges), ""]
        names = tuple(f"{a}–{b} {unit}".strip() for a, b in pairwise(ends))
        found.append(Classes(f"{name} range", names, labels))
    return found
