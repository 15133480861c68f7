"""The final structure of VASP's vasprun.xml, read as a stream by a parser that expands nothing."""

from pathlib import Path
from xml.parsers import expat

import numpy as np

from prismat.crystal import MAX_SITES, Crystal, check, element_site
from prismat.errors import BadInputError
from prismat.vasprun import MAX_BYTES, MAX_DEPTH

_CHUNK = 1 << 20
_REMEDY = "Give the vasprun.xml of a finished run."


def structure_of_vasprun(path: Path, record: str = "", max_sites: int = MAX_SITES) -> Crystal:
    """The crystal at the end of a run.

    Args:
        path: the file.
        record: name for error messages; the file's name where empty.
        max_sites: larger cells are refused.

    Raises:
        BadInputError: no such file, too large, no XML, a document type, no final structure, or one that
            ``prismat.crystal.check`` refuses.
    """
    reader = _Reader(record or path.name, max_sites)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                reader.feed(chunk)
    except OSError as error:
        raise BadInputError(
            "no such file, or it cannot be read", record=record or path.name, field="path", remedy=_REMEDY
        ) from error
    reader.feed(b"", last=True)
    return reader.crystal()


class _Reader:
    """Keeps the atoms' symbols and the vectors of the structure named finalpos."""

    def __init__(self, record: str, max_sites: int) -> None:
        self.record, self.max_sites = record, max_sites
        self.names: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] | None = None
        self.symbols: list[str] = []
        self.vectors: dict[str, list[list[str]]] = {"basis": [], "positions": []}
        self.size = 0
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def feed(self, chunk: bytes, last: bool = False) -> None:
        """Reads on."""
        self.size += len(chunk)
        if self.size > MAX_BYTES:
            raise self._error(f"larger than {MAX_BYTES // 1_000_000} MB")
        try:
            self.parser.Parse(chunk, last)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise self._error(f"no well-formed XML ({error})") from error

    def crystal(self) -> Crystal:
        """What was found."""
        try:
            lattice = np.array(self.vectors["basis"], dtype=np.float64).reshape(3, 3)
            frac = np.array(self.vectors["positions"], dtype=np.float64).reshape(-1, 3)
        except ValueError as error:
            raise self._error(f"no final structure ({error})") from error
        if not 0 < len(frac) == len(self.symbols):
            raise self._error(f"{len(frac)} positions for {len(self.symbols)} atoms")
        sites = tuple(element_site(symbol) for symbol in self.symbols)
        return check(Crystal(lattice, frac, sites), self.max_sites)

    def _error(self, problem: str) -> BadInputError:
        return BadInputError(problem, record=self.record, field="vasprun.xml", remedy=_REMEDY)

    def _doctype(self, *_: object) -> None:
        raise self._error("a document type, which VASP never writes")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.tags) >= MAX_DEPTH:
            raise self._error(f"elements nested more than {MAX_DEPTH} deep")
        self.tags.append(tag)
        self.names.append(attributes.get("name", ""))
        if tag == "structure" and self.names[-1] == "finalpos":
            self.vectors = {"basis": [], "positions": []}
        self.text = [] if self._wanted() else None

    def _wanted(self) -> bool:
        if self.tags[-1] == "v":
            return "finalpos" in self.names and len(self.names) > 1 and self.names[-2] in self.vectors
        # The first column of the table of atoms is the element's symbol.
        return self.tags[-2:] == ["rc", "c"] and self.names[-4:-3] == ["atoms"]

    def _characters(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def _end(self, tag: str) -> None:
        if self.text is not None:
            words = "".join(self.text).split()
            if tag == "v":
                self._keep(self.vectors[self.names[-2]], words)
            elif words and not words[0].isdigit():
                self._keep(self.symbols, words[0])
        self.text = None
        self.tags.pop()
        self.names.pop()

    def _keep(self, found: list, value: object) -> None:
        if len(found) > self.max_sites + 3:
            raise self._error(f"more than the limit of {self.max_sites} sites")
        found.append(value)
