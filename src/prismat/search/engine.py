"""A model and an index made with it: raw queries to ranked crystals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from prismat.api import PROFILE, SENTENCE, Prismat, Vectors
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.search.filters import Filter
from prismat.search.index import Hit, Index
from prismat.search.index_files import SCHEMA, property_field
from prismat.search.query import Measured, Query
from prismat.store import Store

if TYPE_CHECKING:
    from prismat.material import StructureLike


@dataclass(frozen=True)
class Blend:
    """How much each comparison of a query with a record counts, by the query's window.

    Attributes:
        cross: learned vectors against those of another window of the record, by that window.
        learned: learned vectors against those of the same window.
        raw: sentences against sentences, profiles against profiles.
    """

    cross: dict[str, dict[str, float]]
    learned: dict[str, float]
    raw: dict[str, float]


_OTHERS = ("image", "dos", "phonon_dos", "charge_density", "properties")

DEFAULT_BLEND = Blend(
    cross={
        "text": {"structure": 1.0},
        "xrd": {},
        "structure": {},
        **{w: {"structure": 1.0} for w in _OTHERS},
    },
    learned={"text": 0.0, "xrd": 0.5, "structure": 1.0, **dict.fromkeys(_OTHERS, 0.5)},
    raw={"text": 1.0, "xrd": 1.0, "structure": 0.0, **dict.fromkeys(_OTHERS, 0.0)},
)
"""Words are compared with structures and with the record's own words, a pattern with patterns, a structure
with structures. A record in an index has its simulated pattern: on validation crystals with distorted
patterns, pattern against pattern found more than pattern against structure, and profile and learned vector
together most. Any other window is compared with structures and, where records have it, with its like.
"""


class SearchEngine:
    """Answers queries over an index.

    Args:
        prismat: the model.
        index: made with the same model.
        blend: weights of the comparisons.

    Raises:
        MismatchError: from ``Index.open``, where the index was made with another model.
    """

    def __init__(self, prismat: Prismat, index: Index, blend: Blend = DEFAULT_BLEND) -> None:
        self.prismat, self.index, self.blend = prismat, index, blend

    @classmethod
    def open(cls, prismat: Prismat, folder: Path) -> "SearchEngine":
        """Opens an index folder made by ``build_index`` with this model."""
        return cls(prismat, Index.open(folder, prismat.hash))

    def search(
        self,
        text: str | None = None,
        structure: "StructureLike | None" = None,
        xrd: Pattern | str | Path | None = None,
        weights: dict[str, float] | None = None,
        k: int = 10,
        measured: Mapping[str, Measured] | None = None,
        **filters: Any,
    ) -> list[Hit]:
        """The k crystals that fit best.

        Args:
            text: words.
            structure: a crystal in any form that ``read_crystal`` takes.
            xrd: a measured pattern, or the path of a .xy file.
            weights: by window where several are given.
            k: results wanted.
            measured: data of any other window by its name: ``{"dos": Dos(…)}``, or a target,
                ``{"properties": {"band_gap": Property(1.1, "eV")}}``.
            **filters: fields of ``Filter``: with_elements (or ``with_``), without_elements (or ``without``),
                only_elements (or ``only``), n_sites, properties.
        """
        short = {"with_": "with_elements", "without": "without_elements", "only": "only_elements"}
        named = {short.get(k_, k_): tuple(v) if isinstance(v, list) else v for k_, v in filters.items()}
        conditions = Filter(**named)  # ty: ignore[invalid-argument-type]
        return self.answer(Query(text, structure, xrd, weights or {}, conditions, k, measured or {}))

    def answer(self, query: Query) -> list[Hit]:
        """The results of a typed query.

        Raises:
            BadInputError: an empty query, input that cannot be read, or a window the model does not have.
        """
        query = query.resolved()
        vectors: dict[str, np.ndarray] = {}
        weights: dict[str, float] = {}
        for window, found in self._embedded(query).items():
            share = query.weights.get(window, 1.0)
            for key, vector, weight in self._comparisons(window, found):
                if weight <= 0:
                    continue
                # Two parts of a query that look at one key are added before they are compared.
                vectors[key] = vectors.get(key, 0) + share * weight * vector
                weights[key] = weights.get(key, 0.0) + share * weight
        return self.index.search(vectors, weights, query.filter, query.k)

    def _embedded(self, query: Query) -> dict[str, Vectors]:
        found: dict[str, Vectors] = {}
        if query.text is not None:
            found["text"] = self.prismat.embed(texts=[query.text])
        if isinstance(query.structure, Crystal):
            found["structure"] = self.prismat.embed(structures=[query.structure])
        if isinstance(query.xrd, Pattern):
            found["xrd"] = self.prismat.embed(patterns=[query.xrd])
        for window, data in query.measured.items():
            found[window] = self.prismat.embed(**{window: [data]})  # ty: ignore[invalid-argument-type]
        return found

    def _comparisons(self, window: str, vectors: Vectors) -> list[tuple[str, np.ndarray, float]]:
        """(key of the index, query vector, weight) of every comparison that a window takes part in."""
        model, blend = self.prismat, self.blend
        others = [other for other in model.recipe.windows if other != window]
        raw = [key for key in (SENTENCE, PROFILE) if key in vectors]
        own = sorted({model.key(window, other) for other in others})
        # Texts without a frozen embedding are compared by what was learned.
        learned = blend.learned[window] if raw or blend.learned[window] else blend.raw[window]
        cross = blend.cross[window]
        rows = [(model.key(o, window), vectors[model.key(window, o)][0], cross.get(o, 0.0)) for o in others]
        rows += [(key, vectors[key][0], learned / len(own)) for key in own]
        return rows + [(key, vectors[key][0], blend.raw[window]) for key in raw]


def index_table(store: Store) -> pa.Table:
    """The metadata of an index from a store's table."""
    table = store.table
    titles = [
        dict(t).get("title") or dict(g).get("mineral", "")
        for t, g in zip(table["texts"].to_pylist(), table["tags"].to_pylist(), strict=True)
    ]
    columns = {name: table[name] for name in SCHEMA.names if name != "title"}
    built = pa.table({**columns, "title": pa.array(titles, pa.string())})
    for name, (unit, values) in _properties(table["properties"].to_pylist()).items():
        built = built.append_column(property_field(name, unit), pa.array(values, pa.float64()))
    return built


def _properties(rows: list[list[dict]]) -> dict[str, tuple[str, list[float | None]]]:
    """Unit and values of every property; one that comes with two units is refused."""
    found: dict[str, tuple[str, list[float | None]]] = {}
    for row, entries in enumerate(rows):
        for entry in entries:
            unit, values = found.setdefault(entry["name"], (entry["unit"], [None] * len(rows)))
            if unit != entry["unit"]:
                raise BadInputError(
                    f"units {unit!r} and {entry['unit']!r}",
                    field=f"property {entry['name']}",
                    remedy="Use one.",
                )
            values[row] = entry["value"]
    return found


def open_index(folder: str | Path, prismat: Prismat) -> SearchEngine:
    """Opens an index for searching with the model that made it.

    Raises:
        MismatchError: the index was made with another model.
    """
    return SearchEngine.open(prismat, Path(folder))
