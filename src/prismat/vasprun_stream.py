"""VASP's vasprun.xml as a stream, read by a parser that expands nothing, within limits of size and depth."""

from abc import ABC, abstractmethod
from pathlib import Path
from xml.parsers import expat

from prismat.errors import BadInputError

MAX_BYTES = 1_000_000_000
MAX_DEPTH = 50
_CHUNK = 1 << 20
_AS_WRITTEN = "Give the file as VASP wrote it."
FINISHED = "Give the vasprun.xml of a finished run."


class VasprunStream(ABC):
    """Passes the texts that a subclass wants to it while the document goes by.

    A document type is refused: its entities are how small files grow without bound.

    Args:
        record: name for errors.
        remedy: where the file is too large.
    """

    def __init__(self, record: str, remedy: str = FINISHED) -> None:
        self.record, self.remedy, self.size = record, remedy, 0
        self.tags: list[str] = []
        self.labels: list[str] = []
        self._text: list[str] | None = None
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    @abstractmethod
    def opened(self, tag: str) -> None:
        """An element begins; ``tags`` and ``labels`` (names or comments) lead to it."""

    @abstractmethod
    def wanted(self) -> bool:
        """Whether the text of the element that has just begun is wanted."""

    @abstractmethod
    def taken(self, tag: str, text: str) -> None:
        """The text of an element that was wanted."""

    def read(self, path: Path) -> None:
        """A whole file.

        Raises:
            BadInputError: no such file, larger than ``MAX_BYTES``, no well-formed XML, a document type.
        """
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    self.feed(chunk)
        except (OSError, ValueError) as error:
            raise BadInputError(
                "no such file, or it cannot be read",
                record=self.record,
                field="path",
                remedy="Check the path.",
            ) from error
        self.feed(b"", last=True)

    def feed(self, content: bytes, last: bool = False) -> None:
        """A part of the document."""
        self.size += len(content)
        if self.size > MAX_BYTES:
            raise self.error(f"larger than {MAX_BYTES // 1_000_000} MB", self.remedy)
        try:
            self._parser.Parse(content, last)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise self.error(f"no well-formed XML ({str(error)[:100]})") from error

    def error(self, problem: str, remedy: str = FINISHED) -> BadInputError:
        """An error that names the record."""
        return BadInputError(problem, record=self.record, field="vasprun.xml", remedy=remedy)

    def _doctype(self, *_: object) -> None:
        raise self.error("a document type, which VASP never writes", _AS_WRITTEN)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.tags) >= MAX_DEPTH:
            raise self.error(f"elements nested more than {MAX_DEPTH} deep", _AS_WRITTEN)
        self.tags.append(tag)
        self.labels.append(attributes.get("name") or attributes.get("comment") or "")
        self.opened(tag)
        self._text = [] if self.wanted() else None

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        if self._text is not None:
            self.taken(tag, "".join(self._text).strip())
        self._text = None
        self.tags.pop()
        self.labels.pop()
