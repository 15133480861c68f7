"""What queries are compared with: the vectors of a direction, and facts about the entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import PROFILE, SENTENCE, Prismat
from prismat.elements import MAX_Z, atomic_number
from prismat.errors import BadInputError
from prismat.search.engine import DEFAULT_BLEND
from prismat.tasks.quality.classes import crystal_system_numbers

Vectors = Mapping[str, Float[np.ndarray, "records _"]]
Present = Mapping[str, Bool[np.ndarray, " records"]]

HEAVY = 11
"""Elements from sodium up are what energy-dispersive X-ray analysis sees with any window."""


@dataclass(frozen=True)
class Direction:
    """A query of one window against another window of the gallery, or against the same one.

    Attributes:
        query: what is measured.
        gallery: what it is compared with.
    """

    query: str
    gallery: str

    @property
    def name(self) -> str:
        """``query->gallery``."""
        return f"{self.query}->{self.gallery}"

    @classmethod
    def named(cls, name: str) -> "Direction":
        """From its name.

        Raises:
            BadInputError: no name of a direction.
        """
        query, arrow, gallery = name.partition("->")
        if not (query and arrow and gallery):
            raise BadInputError(
                f"{name!r} is no direction", field="direction", remedy="Write xrd->structure."
            )
        return cls(query, gallery)


def directions(prismat: Prismat) -> list[Direction]:
    """Every ordered pair of windows, and pattern against pattern where the recipe knows how patterns vary."""
    windows = prismat.recipe.windows
    pairs = [Direction(a, b) for a in windows for b in windows if a != b]
    own = [Direction("xrd", "xrd")] if "xrd" in windows and prismat.recipe.views.noise else []
    return own + pairs


def side(
    prismat: Prismat, vectors: Vectors, present: Present, window: str, other: str
) -> tuple[Float[np.ndarray, "records dim"], Bool[np.ndarray, " records"]]:
    """Vectors of ``window`` that are compared with ``other``, and which records have them.

    Where both are the same window, learned and raw vectors stand side by side, each scaled by the root of its
    share in the search's blend: their dot product is the score that the search gives.

    Raises:
        BadInputError: the vectors lack a key.
    """
    keys = _blend(prismat, window) if window == other else {prismat.key(window, other): 1.0}
    if missing := sorted(set(keys) - set(vectors)):
        raise BadInputError(
            f"no vectors under {missing[0]!r}", field=window, remedy="Index the store again with this model."
        )
    parts = [np.sqrt(share) * vectors[key] for key, share in keys.items()]
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return np.asarray(joined, dtype=np.float32), np.logical_and.reduce([present[key] for key in keys])


def _blend(prismat: Prismat, window: str) -> dict[str, float]:
    """Share of each key of a window in the search's comparison of like with like."""
    own = sorted({prismat.key(window, o) for o in prismat.recipe.windows if o != window})
    raw = {"xrd": [PROFILE], "text": [SENTENCE]}.get(window, [])
    weights = {key: DEFAULT_BLEND.learned[window] / len(own) for key in own}
    weights |= dict.fromkeys(raw, DEFAULT_BLEND.raw[window])
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items() if weight > 0}


@dataclass(frozen=True, eq=False)
class Facts:
    """What other measurements would tell of the entries.

    Attributes:
        systems: crystal system, 0 triclinic to 6 cubic, −1 unknown.
        elements: which elements from sodium up are in it, shape (records, z).
        density: g/cm³, NaN where unknown.
    """

    systems: Int[np.ndarray, " records"]
    elements: Bool[np.ndarray, "records z"]
    density: Float[np.ndarray, " records"]

    def __len__(self) -> int:
        return len(self.systems)

    def take(self, rows: Int[np.ndarray, " n"]) -> "Facts":
        """Those of some entries."""
        return Facts(self.systems[rows], self.elements[rows], self.density[rows])


def read_facts(
    spacegroups: Sequence[int | None], elements: Sequence[Sequence[str]], density: Sequence[float | None]
) -> Facts:
    """Facts from the columns of a store or an index."""
    seen = np.zeros((len(elements), MAX_Z + 1), dtype=bool)
    for row, symbols in enumerate(elements):
        seen[row, [z for z in map(atomic_number, symbols) if z >= HEAVY]] = True
    numbers = np.array([n or 0 for n in spacegroups], dtype=np.int64)
    values = np.array([np.nan if d is None else d for d in density], dtype=np.float64)
    return Facts(crystal_system_numbers(numbers), seen, values)


def store_density(properties: Sequence[Sequence[dict]]) -> list[float | None]:
    """The density of each record in g/cm³, None where it has none in this unit."""
    found = [{e["name"]: e["value"] for e in row if e["unit"] == "g/cm3"} for row in properties]
    return [row.get("density") for row in found]
