"""Choices made when an index is built in an engine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from prismat.errors import BadInputError


@dataclass(frozen=True)
class BuildOptions:
    """How an engine keeps and finds vectors; the exact index needs none of it.

    Attributes:
        approximate: search a graph (HNSW; inverted lists in LanceDB) instead of everything.
        dtype: ``f32`` or ``f16`` (usearch only: half the space, rounded vectors and scores).
        connectivity: neighbours of each record in the graph.
        expansion: candidates kept while the graph is built and searched.

    Raises:
        BadInputError: another dtype, or numbers below 2.
    """

    approximate: bool = False
    dtype: str = "f32"
    connectivity: int = 16
    expansion: int = 128

    def __post_init__(self) -> None:
        if self.dtype not in ("f32", "f16") or min(self.connectivity, self.expansion) < 2:
            raise BadInputError(
                f"dtype {self.dtype!r}, connectivity {self.connectivity}, expansion {self.expansion}",
                field="options",
                remedy="Give f32 or f16, and whole numbers from 2.",
            )

    def to_dict(self) -> dict[str, object]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, payload: Mapping[str, object]) -> "BuildOptions":
        """The inverse of ``to_dict``.

        Raises:
            BadInputError: fields of another program.
        """
        try:
            return cls(**payload)  # ty: ignore[invalid-argument-type]
        except TypeError as error:
            raise BadInputError(
                "unknown options", field="options", remedy="Build the index again."
            ) from error
