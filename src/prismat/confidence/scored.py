"""Held-out queries of every direction against all records: what calibration and judgement start from."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.confidence.gallery import Direction, Facts, Present, Vectors, read_facts, side, store_density
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened
from prismat.training.windows import StoreData

MAX_QUERIES = 2_000


@dataclass(frozen=True, eq=False)
class Scored:
    """Queries of one part in one direction.

    Attributes:
        rows: store row of each query.
        gallery: store row of each entry.
        scores: cosines.
        relevant: right entries; every query has one.
        clusters: of each query, within which queries are not exchangeable.
    """

    rows: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " entries"]
    scores: Float[np.ndarray, "queries entries"]
    relevant: Bool[np.ndarray, "queries entries"]
    clusters: Int[np.ndarray, " queries"]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, some: Bool[np.ndarray, " queries"]) -> "Scored":
        """Some of the queries."""
        return replace(
            self,
            rows=self.rows[some],
            scores=self.scores[some],
            relevant=self.relevant[some],
            clusters=self.clusters[some],
        )


@dataclass(frozen=True, eq=False)
class Space:
    """All records of a store under a model.

    Attributes:
        prismat: the model.
        opened: the run on the store.
        vectors: by key, clean.
        present: by key.
        distorted: vectors of held-out patterns as an instrument would give them, by key, at the store's rows.
        facts: about the records.
    """

    prismat: Prismat
    opened: Opened
    vectors: Vectors
    present: Present
    distorted: Vectors
    facts: Facts


def embed_space(opened: Opened, seed: int = 0) -> Space:
    """Embeds every record once, and held-out patterns once more with the recipe's distortions.

    Args:
        opened: a run on a store.
        seed: of the distortions.
    """
    prismat, table = opened.prismat, opened.records.table
    vectors, present = embed_rows(prismat, opened.data, np.arange(len(opened.records)))
    distorted: Vectors = {}
    if "xrd" in prismat.recipe.windows and prismat.recipe.views.noise:
        rows = np.concatenate([opened.rows["val"], opened.rows["test"]])
        distorted = distorted_patterns(opened, rows, seed)
    facts = read_facts(table["spacegroup_number"], table["elements"], store_density(table["properties"]))
    return Space(prismat, opened, vectors, present, distorted, facts)


def distorted_patterns(opened: Opened, rows: Int[np.ndarray, " n"], seed: int = 0) -> Vectors:
    """Vectors of patterns with the recipe's noise, width, shift and impurities; the lattice stays.

    Returns:
        By key, shape (records, dim), zero at other rows.
    """
    data = StoreData(
        opened.prepared.store,
        ("xrd",),
        opened.prismat.modalities,
        None,
        replace(opened.prismat.recipe.views, strain=0.0),
        [opened.records.structure_label],
    )
    rng, found = np.random.default_rng(seed), {}
    for start in range(0, len(rows), 256):
        here = rows[start : start + 256]
        batch = data.batches(here, rng)["xrd"]
        for key, vectors in opened.prismat.embed_batch("xrd", batch).items():
            space = found.setdefault(key, np.zeros((len(opened.records), vectors.shape[1]), np.float32))
            space[here] = vectors
    return found


def query_vectors(
    space: Space, direction: Direction
) -> tuple[Float[np.ndarray, "records dim"], Bool[np.ndarray, " records"]]:
    """What the records would be as queries of a direction: patterns against patterns come distorted."""
    vectors = space.distorted if direction.query == direction.gallery else space.vectors
    return side(space.prismat, vectors, space.present, direction.query, direction.gallery)


def scored(space: Space, direction: Direction, part: str, seed: int = 0) -> Scored:
    """The queries of one part against all records that have the gallery's window.

    Args:
        space: the embedded store.
        direction: query and gallery.
        part: ``val`` or ``test``.
        seed: of the draw where there are more than ``MAX_QUERIES`` queries.
    """
    records, rows = space.opened.records, np.sort(space.opened.rows[part])
    queries, has = query_vectors(space, direction)
    entries, there = side(space.prismat, space.vectors, space.present, direction.gallery, direction.query)
    gallery, rows = np.flatnonzero(there), rows[has[rows]]
    if len(rows) > MAX_QUERIES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_QUERIES, replace=False))
    relevant = records.structure_label[rows][:, None] == records.structure_label[gallery][None]
    if "text" in (direction.query, direction.gallery):
        relevant |= records.text_label[rows][:, None] == records.text_label[gallery][None]
    found = Scored(
        rows,
        gallery,
        queries[rows] @ entries[gallery].T,
        relevant,
        space.opened.groups[rows].astype(np.int64),
    )
    return found.take(relevant.any(axis=1))
