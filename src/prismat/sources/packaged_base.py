"""What the sets of data that arrive inside packages have in common: files that are pinned, rows, rejects."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError
from prismat.files import digest, read_limited, sha256
from prismat.material import Material, Provenance, Reject
from prismat.packaged import PackagedFile, PackagedFolder, folder_sha256, locate_all, locate_folder
from prismat.sources.base import Progress


class PackagedSource(ABC):
    """Rows of pinned files; the package is never imported, and none of its code is run.

    Args:
        paths: the files in the order of ``files``; found, or downloaded by ``obtain``, where not given.
        max_sites: larger cells are rejected.

    Raises:
        BadInputError: another number of paths, or one that is not there.
    """

    name: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    files: ClassVar[tuple[PackagedFile, ...]]

    def __init__(self, paths: Sequence[Path] = (), max_sites: int = MAX_SITES) -> None:
        self.paths, self.max_sites = tuple(Path(p) for p in paths), max_sites
        wanted = ", ".join(file.member.rsplit("/", 1)[-1] for file in self.files)
        if self.paths and len(self.paths) != len(self.files):
            raise BadInputError(
                f"{len(self.paths)} paths where {len(self.files)} belong",
                field="paths",
                remedy=f"Give {wanted}.",
            )
        for path in self.paths:
            if not path.exists():
                raise BadInputError("no such file", record=str(path), remedy=f"Give {wanted}.")

    def obtain(self, progress: Progress | None = None) -> None:
        """Downloads the files that are neither given nor installed nor in the cache.

        Raises:
            BadInputError: a file is not the pinned one, or pip is absent or fails.
        """
        for number, file in enumerate(self.files if not self.paths else ()):
            if progress:
                progress(number, len(self.files))
            _locate(file)
        self.paths = self._located
        if progress:
            progress(len(self.files), len(self.files))

    def fingerprint(self) -> str:
        """SHA-256 over the files' contents and the reading options."""
        hashes = [
            folder_sha256(path, file.only) if isinstance(file, PackagedFolder) else sha256(path)
            for path, file in zip(self._located, self.files, strict=True)
        ]
        return digest(self.name, hashes, self.max_sites)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Materials of rows start … stop − 1; a row that cannot be one comes as a Reject."""
        for row in self._rows[start:stop]:
            try:
                yield self.material(row)
            except Exception as error:
                yield Reject.because(self.identifier(row), error)

    def __getstate__(self) -> dict[str, object]:
        """Travels to worker processes as paths; rows are read again there."""
        return {k: v for k, v in self.__dict__.items() if k not in {"_rows", "_located"}}

    @cached_property
    def _located(self) -> tuple[Path, ...]:
        return self.paths or tuple(_locate(file) for file in self.files)

    @cached_property
    def _rows(self) -> Sequence[Any]:
        return self.load(self._located)

    @abstractmethod
    def load(self, paths: tuple[Path, ...]) -> Sequence[Any]:
        """All rows as raw as they can be kept.

        Raises:
            BadInputError: a file is not of the set's form.
        """

    @abstractmethod
    def identifier(self, row: Any) -> str:
        """Id of a row's record."""

    @abstractmethod
    def material(self, row: Any) -> Material:
        """The material of a row.

        Raises:
            BadInputError: it cannot be one.
        """

    def provenance(self, source_id: str) -> Provenance:
        """Where a record comes from."""
        return Provenance(self.name, source_id, self.licence, self.citation)


def _locate(file: PackagedFile) -> Path:
    return locate_folder(file) if isinstance(file, PackagedFolder) else locate_all([file])[0]


def read_whole(path: Path, limit: int, packed: bool = False) -> bytes:
    """Content of a file of at most ``limit`` bytes.

    Args:
        path: the file.
        limit: bytes.
        packed: with gzip; the limit is that of the content.

    Raises:
        BadInputError: larger, or it cannot be read.
    """
    content = read_limited(path, limit, packed=packed)
    if len(content) > limit:
        raise BadInputError(
            f"larger than {limit // 1_000_000} MB", record=path.name, remedy="Give the packaged file."
        )
    return content


def wrong_form(path: Path, error: Exception | str) -> BadInputError:
    """The error for a file that is not of the set's form."""
    return BadInputError(
        f"not the packaged file ({str(error)[:100]})", record=path.name, remedy="Give the packaged file."
    )
