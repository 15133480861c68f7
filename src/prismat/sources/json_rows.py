"""Rows of large JSON files, one at a time: plain, or packed with zip, gzip, bzip2 or xz."""

import bz2
import codecs
import gzip
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from prismat.errors import BadInputError
from prismat.fetch.pages import PageMirror, Row

_BLOCK = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
# A value cut off by the end of a block fails within this many characters of that end; the longest word of
# JSON has nine.
_CUT = 32
_AFTER = frozenset(",]}: \t\r\n")
_DAMAGED = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
)


@runtime_checkable
class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class JsonLimits:
    """How much is read before a file counts as hostile or broken.

    Attributes:
        file_bytes: of the unpacked file.
        row_chars: of one row.
    """

    file_bytes: int = 50_000_000_000
    row_chars: int = 64_000_000


def json_members(path: Path, streamed: str, limits: JsonLimits | None = None) -> Iterator[tuple[str, Any]]:
    """Members of the object in a JSON file, in its order; one of them element by element.

    A file that is an array is taken for that member alone. Only one row is in memory at a time.

    Args:
        path: the file; what packs it is told by its first bytes. A zip archive must hold one .json file.
        streamed: name of the member whose elements are given one by one.
        limits: of what is read.

    Yields:
        (name, value) of the other members, (``streamed``, element) of that one.

    Raises:
        BadInputError: no such file, damaged, not JSON, or larger than allowed.
    """
    with _unpacked(Path(path)) as stream:
        scanner = _Scanner(stream, limits or JsonLimits(), Path(path).name)
        first = scanner.peek()
        if first == "[":
            yield from ((streamed, element) for element in scanner.array())
        elif first == "{":
            yield from scanner.object(streamed)
        else:
            raise scanner.malformed("HTML, not JSON" if first == "<" else "not a JSON object or array")
        if scanner.peek():
            raise scanner.malformed("more behind the end of the JSON")


def seen_fields(
    rows: Iterator[Row], fields: Sequence[str], service: str, within: int = 1000
) -> Iterator[Row]:
    """The same rows, unless none of the first has a field that is needed: then the service has changed.

    Args:
        rows: from a file or service.
        fields: without which the rows are of no use; a single row may lack them.
        service: named in the error.
        within: rows among which each field must be seen.

    Raises:
        BadInputError: a field is in none of them, or there is no row.
    """
    missing, number = set(fields), 0
    for number, row in enumerate(rows, start=1):
        missing -= row.keys()
        if missing and number >= within:
            break
        yield row
    if missing:
        raise BadInputError(
            f"{service}: no row has the field {min(missing)!r}" if number else f"{service}: no rows",
            field=min(missing),
            remedy="The service may have changed; give a file of the documented form.",
        )


def keep_rows(
    mirror: PageMirror,
    rows: Callable[[], Iterator[Row]],
    per_page: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Brings rows that are read one after another into a mirror that reads ranges; goes on after a kill.

    Args:
        mirror: where they are kept.
        rows: begins to read them from the first; the same rows each time.
        per_page: rows that are kept, and later read, together.
        progress: called with the number of rows so far.
    """
    if mirror.complete:
        return
    stream, at = rows(), 0

    def fetch(cursor: int | None) -> tuple[list[Row], int | None]:
        nonlocal at
        at += sum(1 for _ in islice(stream, (cursor or 0) - at))
        found = list(islice(stream, per_page))
        at += len(found)
        return found, at if len(found) == per_page else None

    mirror.obtain(fetch, progress)


@contextmanager
def _unpacked(path: Path) -> Generator[_Bytes]:
    """The content of a file as bytes; what goes wrong in it as BadInputError."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(6)
            stream.seek(0)
            with _opened(stream, magic, path) as content:
                yield content
    except _DAMAGED as error:
        said = str(error) or type(error).__name__
        problem = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({said})"
        raise BadInputError(
            problem, record=str(path), remedy="Check the path, or delete the file and fetch it again."
        ) from error


@contextmanager
def _opened(stream: IO[bytes], magic: bytes, path: Path) -> Generator[_Bytes]:
    if magic.startswith(b"PK"):
        with zipfile.ZipFile(stream) as archive, archive.open(_only_json(archive, path)) as content:
            yield content
    elif magic.startswith(b"\x1f\x8b"):
        with gzip.open(stream) as content:
            yield content
    elif magic.startswith(b"\xfd7zXZ\x00"):
        with lzma.open(stream) as content:
            yield content
    elif magic.startswith(b"BZh"):
        with bz2.open(stream) as content:
            yield content
    else:
        yield stream


def _only_json(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if m.filename.endswith(".json") and "__MACOSX" not in m.filename]
    if len(members) != 1:
        raise BadInputError(
            f"{len(members)} .json files in the archive, where one was expected",
            record=path.name,
            remedy="Unpack it and give the file.",
        )
    return members[0]


class _Scanner:
    """A window over the text of a JSON file, moved on as values are read."""

    def __init__(self, stream: _Bytes, limits: JsonLimits, name: str) -> None:
        self._stream, self._limits, self._name = stream, limits, name
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._text, self._at, self._read, self._ended = "", 0, 0, False

    def malformed(self, problem: str) -> BadInputError:
        """An error that says about where in the file it is."""
        return BadInputError(
            f"{problem}, about {self._read:,} bytes into the unpacked file",
            record=self._name,
            remedy="Fetch the file again.",
        )

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill()

    def array(self) -> Iterator[Any]:
        """Elements of the array that begins here."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def object(self, streamed: str) -> Iterator[tuple[str, Any]]:
        """Members of the object that begins here."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            if self.peek() != '"':
                raise self.malformed("no name of a member")
            name = self._value()
            self._take(":")
            if name == streamed and self.peek() == "[":
                yield from ((streamed, element) for element in self.array())
            else:
                yield name, self._value()
            if self._take(",}") == "}":
                return

    def _take(self, allowed: str) -> str:
        found = self.peek()
        if not found or found not in allowed:
            raise self.malformed(
                f"{found!r} where one of {allowed!r} belongs" if found else "it ends too early"
            )
        self._at += 1
        return found

    def _value(self) -> Any:
        """The value that begins here; reads on while it is not whole."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise self.malformed("nested too deeply") from error
            except json.JSONDecodeError as error:
                self._must_be_cut(error)
            except ValueError as error:
                raise self.malformed(f"not JSON ({error})") from error
            else:
                if self._ended or self._is_whole(end):
                    self._at = end
                    return value
            if len(self._text) - self._at > self._limits.row_chars:
                raise self.malformed(f"a row of more than {self._limits.row_chars:,} characters")
            self._fill()

    def _is_whole(self, end: int) -> bool:
        """Whether a value ends here; a number may go on in the next block, even behind a point."""
        return end < len(self._text) - _CUT or self._text[end : end + 1] in _AFTER

    def _must_be_cut(self, error: json.JSONDecodeError) -> None:
        if self._ended:
            problem = (
                "it ends too early" if error.pos >= len(self._text) - _CUT else f"not JSON ({error.msg})"
            )
            raise self.malformed(problem) from error
        unfinished = error.msg.startswith("Unterminated string")
        if not unfinished and error.pos < len(self._text) - _CUT:
            raise self.malformed(f"not JSON ({error.msg})") from error

    def _fill(self) -> None:
        """Reads on, twice as much each time that a value is not whole."""
        block = self._stream.read(max(_BLOCK, len(self._text) - self._at))
        self._read += len(block)
        if self._read > self._limits.file_bytes:
            raise self.malformed(f"more than {self._limits.file_bytes:,} bytes")
        self._ended = not block
        try:
            self._text = self._text[self._at :] + self._decoder.decode(block, self._ended)
        except UnicodeDecodeError as error:
            raise self.malformed("not UTF-8") from error
        self._at = 0
