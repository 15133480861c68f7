"""What every source of records does."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from prismat.material import Material, Reject


@runtime_checkable
class Source(Protocol):
    """A numbered list of raw rows, each of which becomes a material or a reject.

    A source can be pickled, so that a pool of processes reads ranges of rows; it opens its files where it
    reads. ``licence`` and ``citation`` go into the provenance of every material.
    """

    name: str
    licence: str
    citation: str

    def fingerprint(self) -> str:
        """SHA-256 that changes when the content does."""
        ...

    def __len__(self) -> int:
        """Number of raw rows, rejects included."""
        ...

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Rows start … stop − 1 in order, one result for each; a bad row never stops the others."""
        ...
