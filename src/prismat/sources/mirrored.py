"""What sources of one large file have in common: its rows kept in a mirror, all or some of them read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.pages import PageMirror, Row
from prismat.files import digest
from prismat.material import Material, Reject

Progress = Callable[[int, int], None]


class MirroredSource(ABC):
    """A source whose rows are brought into a mirror once and then read in ranges.

    Args:
        limit: rows drawn at random, by a fixed seed; 0 for all.
        client: asks the server; a polite one where None.
    """

    name: str
    licence: str
    citation: str

    def __init__(self, limit: int = 0, client: Client | None = None) -> None:
        if limit < 0:
            raise BadInputError(f"a limit of {limit}", field="limit", remedy="Give 0 for all rows.")
        self.limit, self._client = limit, client
        self._mirror: PageMirror | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Workers read what was fetched, and ask no server."""
        return {**self.__dict__, "_client": None}

    def obtain(self, progress: Progress | None = None) -> None:
        """Fetches what is not there, and brings its rows into the mirror; goes on after a kill.

        Args:
            progress: called with the number of rows so far, and 0 while their total is unknown.

        Raises:
            FetchError: the server did not give it.
            BadInputError: a file is absent, damaged, of another form or not the one that was expected.
        """
        self._mirror = self._kept_rows((lambda rows: progress(rows, 0)) if progress else None)

    def fingerprint(self) -> str:
        """SHA-256 of the rows and of what is made of them."""
        return digest(self._rows().fingerprint(), self.limit, self._described())

    def __len__(self) -> int:
        return len(drawn_rows(len(self._rows()), self.limit))

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Rows start … stop − 1; one that cannot be a material comes as a Reject."""
        for number, row in self._read_rows(start, stop):
            yield self._made(number, row)

    def _made(self, number: int, row: Row) -> Material | Reject:
        try:
            return self._material(number, row)
        except (BadInputError, ValueError, TypeError, KeyError) as error:
            return Reject.because(self._id(number, row), error)

    def _rows(self) -> PageMirror:
        if self._mirror is None:
            self.obtain()
        assert self._mirror is not None  # noqa: S101 - set by obtain
        return self._mirror

    def _read_rows(self, start: int, stop: int) -> Iterator[tuple[int, Row]]:
        """(number in the mirror, row) of the drawn rows start … stop − 1."""
        mirror = self._rows()
        wanted = drawn_rows(len(mirror), self.limit)[start:stop]
        if isinstance(wanted, range):
            yield from zip(wanted, mirror.rows(wanted.start, wanted.stop), strict=True)
            return
        for number in wanted:
            yield from ((number, row) for row in mirror.rows(number, number + 1))

    @abstractmethod
    def _kept_rows(self, progress: Callable[[int], None] | None) -> PageMirror:
        """The mirror, complete."""

    @abstractmethod
    def _described(self) -> Any:
        """Options on which the materials depend besides the rows, as JSON."""

    @abstractmethod
    def _id(self, number: int, row: Row) -> str:
        """Id of a row's record."""

    @abstractmethod
    def _material(self, number: int, row: Row) -> Material:
        """The material of one row."""


def drawn_rows(total: int, limit: int) -> Sequence[int]:
    """Numbers of the rows that are read, ascending: all, or ``limit`` of them drawn by a fixed seed."""
    if not 0 < limit < total:
        return range(total)
    return sorted(np.random.default_rng(0).choice(total, limit, replace=False).tolist())
