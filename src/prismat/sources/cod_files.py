"""CIFs of the Crystallography Open Database: fetched one by one, or in a folder kept with rsync."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from jaxtyping import Int

from prismat.errors import BadInputError
from prismat.fetch.client import Client, Params, plain
from prismat.fetch.errors import FetchError
from prismat.fetch.items import Item, ItemMirror
from prismat.files import digest, read_limited
from prismat.formats import MAX_BYTES
from prismat.sources.cod_table import Row

Numbers = Int[np.ndarray, " entries"]
_REMEDY = "It is left out."
_ASKED_AGAIN = 3


class CodFiles(Protocol):
    """Where CIFs come from."""

    def text(self, number: str) -> str:
        """The CIF of an entry.

        Raises:
            BadInputError: there is none, and why.
        """
        ...


class FetchedFiles:
    """CIFs asked for over HTTP, each once.

    Args:
        folder: keeps them; shared by all that ask the same address.
        base_url: of the database.
    """

    def __init__(self, folder: Path, base_url: str) -> None:
        self._mirror, self.base_url = ItemMirror(folder, ".cif"), base_url

    def obtain(
        self, numbers: Numbers, client: Client, progress: Callable[[int, int], None] | None = None
    ) -> str:
        """Fetches what is not there, again also what failed for a passing reason; returns its SHA-256.

        Raises:
            FetchError: twenty in a row failed for passing reasons: the database is down; run again later.
        """
        wanted = _Items(numbers, self.base_url)
        self._mirror.obtain(wanted, _CifClient(client), progress=progress, retry_failed=True)
        return self._mirror.fingerprint()

    def text(self, number: str) -> str:
        """The CIF of an entry."""
        if reason := self._mirror.failure(number):
            raise BadInputError(f"no CIF ({reason})", field="CIF", remedy=_REMEDY)
        return _decoded(self._mirror.path(number))


class MirroredFiles:
    """CIFs in a local copy, as ``rsync`` and ``svn`` write it: ``1/00/00/1000041.cif``.

    Args:
        folder: the copy; its subfolder ``cif`` or ``cod/cif`` where there is one.

    Raises:
        BadInputError: no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not Path(folder).is_dir():
            raise BadInputError("no such folder", record=str(folder), field="mirror", remedy="Check it.")
        ways = (Path(folder) / "cod" / "cif", Path(folder) / "cif", Path(folder))
        self.root = next(path for path in ways if path.is_dir())

    def text(self, number: str) -> str:
        """The CIF of an entry."""
        path = self._path(number)
        if not path.is_file():
            raise BadInputError("no CIF (not in the mirror)", field="CIF", remedy=_REMEDY)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise BadInputError("the CIF is a link out of the mirror", field="CIF", remedy=_REMEDY)
        return _decoded(path)

    def rows(self) -> Iterator[Row]:
        """One row for each CIF, by number, of which nothing else is known."""
        for path in _below(self.root, 3):
            if path.suffix == ".cif" and path == self._path(path.stem):
                yield {"file": path.stem}

    def fingerprint(self, numbers: Numbers) -> str:
        """SHA-256 over names, sizes and times of the files: reading all of them would take hours."""
        return digest([self._described(str(number)) for number in numbers.tolist()])

    def _path(self, number: str) -> Path:
        return self.root / number[:1] / number[1:3] / number[3:5] / f"{number}.cif"

    def _described(self, number: str) -> str:
        path = self._path(number)
        if not path.is_file():
            return number
        found = path.stat()
        return f"{number} {found.st_size} {found.st_mtime_ns}"


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Files at one depth, by name; one folder of names in memory for each level."""
    for path in sorted(folder.iterdir()):
        if depth == 0:
            yield path
        elif path.is_dir():
            yield from _below(path, depth - 1)


def _decoded(path: Path) -> str:
    body = read_limited(path, MAX_BYTES)
    if len(body) > MAX_BYTES:
        raise BadInputError(
            f"the CIF is larger than {MAX_BYTES // 1_000_000} MB", field="CIF", remedy=_REMEDY
        )
    return body.decode("utf-8", errors="replace")


class _Items(Sequence[Item]):
    """Entries as items to fetch, made where they are looked at."""

    def __init__(self, numbers: Numbers, base_url: str) -> None:
        self._numbers, self._base_url = numbers, base_url

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = str(self._numbers[index])
        return Item(number, f"{self._base_url}/{number}.cif")


class _CifClient(Client):
    """A client that takes nothing but CIF for an answer."""

    def __init__(self, asked: Client) -> None:
        super().__init__(asked.settings)
        self._asked = asked

    def get(self, url: str, params: Params | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of an answer that is a CIF.

        Raises:
            FetchError: as of any client; a page of HTML is a passing failure.
        """
        for _ in range(_ASKED_AGAIN):
            body = self._asked.get(url, params, headers)
            if b"data_" in body and body.lstrip()[:1] != b"<":
                return body
        kind = "HTML" if body.lstrip()[:1] == b"<" else "no CIF"
        raise FetchError(f"{kind} where a CIF was expected, {_ASKED_AGAIN} times", plain(url), temporary=True)
