"""One data file of a source: a path of the user's own, or fetched once and kept."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from prismat.errors import BadInputError
from prismat.fetch.client import Client, plain
from prismat.fetch.errors import FetchError
from prismat.fetch.place import fetched_folder
from prismat.files import sha256 as sha256_of

_MAGIC = {".zip": b"PK", ".gz": b"\x1f\x8b", ".xz": b"\xfd7zXZ\x00", ".bz2": b"BZh"}


@dataclass(frozen=True)
class DataFile:
    """Where the data of a source are.

    Attributes:
        source: name of the source, for the cache.
        url: public address, used where no path is given.
        path: the user's own copy.
        sha256: of the file, checked where given.
        name: what the file is called in the cache; the last part of the address where empty. Its ending
            tells what packs it.
        cache: folder for all that is fetched; that of Prismat where None.
    """

    source: str
    url: str
    path: Path | None = None
    sha256: str = ""
    name: str = ""
    cache: Path | None = None

    def obtain(self, client: Client | None = None) -> Path:
        """The file, fetched where it is not yet there.

        Raises:
            BadInputError: no such path, or not the SHA-256 that was given.
            FetchError: the server did not give it, or gave something else.
        """
        if self.path is not None:
            return self._own(Path(self.path))
        kept = self._kept()
        if kept.is_file() and not self.sha256:
            return kept
        (client or Client()).download(self.url, kept, self.sha256)
        magic = _MAGIC.get(kept.suffix, b"")
        with kept.open("rb") as stream:
            begins = stream.read(512)
        if not begins.startswith(magic):
            kept.unlink()
            kind = "HTML" if begins.lstrip()[:1] == b"<" else "something else"
            raise FetchError(
                f"{kind} where a {kept.suffix} file was expected; the service may have changed",
                plain(self.url),
                remedy="Try again later, give another --url, or a file of your own with --path.",
            )
        return kept

    def _own(self, path: Path) -> Path:
        if not path.is_file():
            raise BadInputError("no such file", record=str(path), field="path", remedy="Check the path.")
        if self.sha256 and (found := sha256_of(path)) != self.sha256:
            raise BadInputError(
                f"SHA-256 {found}, and {self.sha256} was expected",
                record=str(path),
                field="path",
                remedy="Fetch the file again, or leave out --sha256.",
            )
        return path

    def _kept(self) -> Path:
        name = self.name or PurePosixPath(urlsplit(self.url).path).name or "data"
        folder = fetched_folder(self.source, {"url": self.url, "sha256": self.sha256}, self.cache)
        return folder / name
