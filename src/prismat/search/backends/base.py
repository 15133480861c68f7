"""What every search index can do, whatever engine holds it."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from prismat.search.filters import Filter
from prismat.search.hits import Hit
from prismat.search.segments import Embeddings, Presence


@runtime_checkable
class SearchIndex(Protocol):
    """Records with unit vectors under one or more keys, at one version; edits make a new one beside it."""

    @property
    def kind(self) -> str:
        """``exact``, ``usearch``, ``lancedb`` or ``milvus``."""
        ...

    @property
    def model_hash(self) -> str:
        """The model that made the vectors."""
        ...

    @property
    def version(self) -> int:
        """Grows with every edit."""
        ...

    @property
    def keys(self) -> dict[str, int]:
        """Dimensions of each key."""
        ...

    @property
    def units(self) -> dict[str, str]:
        """Unit of each property."""
        ...

    def __len__(self) -> int: ...

    def search(
        self,
        vectors: Mapping[str, Float[np.ndarray, " _"]],
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        k: int = 10,
        shares: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """The k best records: score = Σ w cos / Σ share over the keys that a record has, ties by row."""
        ...

    def count(self, filter: Filter | None = None) -> int:
        """Records that pass a filter."""
        ...

    def record(self, id: str) -> Hit:
        """Metadata of one record; ``BadInputError`` where there is none."""
        ...

    def holds(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are there."""
        ...

    def records(self, start: int, stop: int) -> list[Hit]:
        """Metadata of the rows from ``start`` to before ``stop``."""
        ...

    def vectors_of(
        self, key: str, ids: Sequence[str]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        """Unit vectors of some records, zero where absent, and which have one."""
        ...

    def add(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Adds records after the last one; returns the new version."""
        ...

    def update(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Replaces records as a whole; they come last then. Returns the new version."""
        ...

    def delete(self, ids: Sequence[str]) -> int:
        """Removes records; returns the new version."""
        ...

    def compact(self) -> int:
        """Frees the space of removed records; returns the version."""
        ...

    def latest(self) -> "SearchIndex":
        """The newest version."""
        ...
