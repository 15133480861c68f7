"""What every source of records does."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from prismat.material import Material, Reject

Progress = Callable[[int, int], None]
"""Called with how many of how many are done."""


@runtime_checkable
class Source(Protocol):
    """A numbered list of raw rows, each of which becomes a material or a reject.

    A source can be pickled, so that a pool of processes reads ranges of rows; it opens its files where it
    reads. ``licence`` and ``citation`` go into the provenance of every material.
    """

    @property
    def name(self) -> str:
        """Short name of the source."""
        ...

    @property
    def licence(self) -> str:
        """Terms of the data; empty where nobody states them."""
        ...

    @property
    def citation(self) -> str:
        """What to cite; empty where there is nothing."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 that changes when the content does."""
        ...

    def __len__(self) -> int:
        """Number of raw rows, rejects included."""
        ...

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Rows start … stop − 1 in order, one result for each; a bad row never stops the others."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A source that fetches its rows first, resumably; what is there is not fetched again."""

    def obtain(self, progress: Progress | None = None) -> None:
        """Fetches what is missing; before it, rows cannot be counted or read.

        Raises:
            FetchError: a server refuses, or does not answer for good.
        """
        ...


class SourceOptions(Protocol):
    """What a user says of a source; each source has a frozen dataclass of its own."""

    def open(self) -> Source:
        """The source.

        Raises:
            BadInputError: an option that cannot be.
        """
        ...
