"""What sources of a user's own files have in common: rows with an id, read one by one in any process."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from prismat.errors import BadInputError
from prismat.files import sha256
from prismat.material import Material, Reject


@runtime_checkable
class _Identified(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Identified)


class FileRows(ABC, Generic[R]):
    """Rows of a folder's files, and a table beside them; what each row becomes is the subclass's matter.

    Args:
        folder: of the files.
        table: the table, if any.

    Raises:
        BadInputError: no such folder.
    """

    def __init__(self, folder: Path, table: Path | None) -> None:
        self.folder, self.table = Path(folder), table
        if not self.folder.is_dir():
            raise BadInputError("no such folder", record=str(folder), remedy="Give an existing directory.")

    @cached_property
    @abstractmethod
    def _files(self) -> list[str]:
        """Names of the files."""

    @cached_property
    @abstractmethod
    def _rows(self) -> list[R]:
        """What is read, in order."""

    @abstractmethod
    def _material(self, row: R) -> Material:
        """The record of a row."""

    def fingerprint_of(self, options: Sequence[str]) -> str:
        """SHA-256 over the options, and names and contents of all files and the table."""
        total = hashlib.sha256("\0".join(options).encode())
        for name in self._files:
            total.update(f"\0{name}\0{sha256(self.folder / name)}".encode())
        if self.table is not None:
            total.update(f"\0table\0{sha256(self.table)}".encode())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Materials of rows start … stop − 1; a row that cannot be one comes as a Reject."""
        for row in self._rows[start:stop]:
            try:
                yield self._material(row)
            except Exception as error:
                yield Reject.because(row.id, error)

    def __getstate__(self) -> dict[str, object]:
        """Travels to worker processes as paths; the folder is listed again there."""
        return {k: v for k, v in self.__dict__.items() if k not in {"_rows", "_files"}}
