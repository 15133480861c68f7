"""A model and an index made with it: raw queries to ranked crystals."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.search.answer import Answer, Match
from prismat.search.backends.base import SearchIndex
from prismat.search.backends.opening import open_any
from prismat.search.comparisons import DEFAULT_BLEND, Blend, Comparison, combine, compare, part_scores
from prismat.search.filters import Filter
from prismat.search.hits import Hit
from prismat.search.index_files import SCHEMA, property_field
from prismat.search.notes import query_notes
from prismat.search.query import Measured, Query
from prismat.search.steer import Steer
from prismat.search.trust import trusted
from prismat.store import Store

if TYPE_CHECKING:
    from prismat.confidence.confidence import Confidence
    from prismat.material import StructureLike


class SearchEngine:
    """Answers queries over an index.

    Args:
        prismat: the model.
        index: made with the same model, in any back end.
        blend: weights of the comparisons.

    Raises:
        MismatchError: from ``open_any``, where the index was made with another model.
    """

    def __init__(self, prismat: Prismat, index: SearchIndex, blend: Blend = DEFAULT_BLEND) -> None:
        self.prismat, self.index, self.blend = prismat, index, blend

    @classmethod
    def open(cls, prismat: Prismat, folder: str | Path) -> "SearchEngine":
        """Opens an index made with this model, wherever its back end keeps it."""
        return cls(prismat, open_any(folder, prismat.hash))

    def search(
        self,
        text: str | None = None,
        structure: "StructureLike | None" = None,
        xrd: Pattern | str | Path | None = None,
        weights: dict[str, float] | None = None,
        k: int = 10,
        measured: Mapping[str, Measured] | None = None,
        steer: Steer | None = None,
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
            steer: words to avoid, records to resemble, or not.
            **filters: fields of ``Filter``: with_elements (or ``with_``), without_elements (or ``without``),
                only_elements (or ``only``), n_sites, properties, spacegroup_number, crystal_systems,
                n_elements.
        """
        short = {"with_": "with_elements", "without": "without_elements", "only": "only_elements"}
        named = {short.get(k_, k_): tuple(v) if isinstance(v, list) else v for k_, v in filters.items()}
        conditions = Filter(**named)  # ty: ignore[invalid-argument-type]
        return self.answer(
            Query(text, structure, xrd, weights or {}, conditions, k, measured or {}, steer or Steer())
        )

    def answer(self, query: Query) -> list[Hit]:
        """The results of a typed query.

        score = Σ w cos / Σ |w| over all comparisons of the query's parts that a record has. Each part counts
        1 unless the query's ``weights`` say otherwise; what counts against a record has a negative weight, of
        ``Blend.negative`` by default. Records given as examples are left out of the results.

        Raises:
            BadInputError: an empty query, input that cannot be read, a window the model does not have, an
                example that the index does not have, or parts that cancel out.
        """
        query = query.resolved()
        return self._found(query, compare(self.prismat, self.index, query, self.blend))

    def respond(self, query: Query, confidence: "Confidence | None" = None) -> Answer:
        """The results with a score for every part, the number of records that pass, and how sure that is.

        Args:
            query: typed.
            confidence: calibration of this model; no probabilities without it.

        Raises:
            BadInputError: as ``answer``.
            MismatchError: the calibration is of another model.
        """
        start, query = time.perf_counter(), query.resolved()
        comparisons = compare(self.prismat, self.index, query, self.blend)
        hits = self._found(query, comparisons)
        parts = part_scores(comparisons, self.index, [hit.id for hit in hits])
        known, trust = trusted(self.prismat, self.index, query, comparisons, confidence)
        matches = tuple(
            Match(n, hit, part, known.get(hit.row))
            for n, (hit, part) in enumerate(zip(hits, parts, strict=True), start=1)
        )
        return Answer(
            matches,
            self.index.count(query.filter),
            len(self.index),
            trust,
            tuple(query_notes(query)),
            1000 * (time.perf_counter() - start),
        )

    def _found(self, query: Query, comparisons: list[Comparison]) -> list[Hit]:
        wanted, examples = combine(comparisons), set(query.steer.examples)
        hits = self.index.search(
            wanted.vectors, wanted.weights, query.filter, query.k + len(examples), wanted.shares
        )
        return [hit for hit in hits if hit.id not in examples][: query.k]


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
    return SearchEngine.open(prismat, folder)
