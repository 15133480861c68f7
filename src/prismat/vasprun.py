"""VASP's vasprun.xml: the total density of states, read as a stream by a parser that expands nothing."""

from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError

MAX_BYTES = 1_000_000_000
MAX_ROWS = 100_000
MAX_DEPTH = 50
MAX_ATOMS = 1_000_000
_CHUNK = 1 << 20
_AS_WRITTEN = "Give the file as VASP wrote it."
_ROW_PATH = ["dos", "total", "array", "set", "set", "r"]


@dataclass(frozen=True, eq=False)
class Vasprun:
    """What is needed of a vasprun.xml.

    Attributes:
        energy: eV as VASP counts them, shape (points,).
        densities: states per eV and cell of each spin, shape (spins, points); one where there is no spin.
        fermi: Fermi level in eV.
        n_atoms: atoms in the cell.
        smearing: VASP's ISMEAR.
        sigma: VASP's SIGMA in eV.
    """

    energy: Float[np.ndarray, " points"]
    densities: Float[np.ndarray, "spins points"]
    fermi: float
    n_atoms: int
    smearing: int
    sigma: float


def read_vasprun(path: str | Path, record: str = "") -> Vasprun:
    """The last total density of states of a vasprun.xml.

    Args:
        path: the file.
        record: name for error messages; the file's name where empty.

    Raises:
        BadInputError: no such file, larger than ``MAX_BYTES``, no XML, a document type (whose entities are
            how small files grow without bound), or no density of states.
    """
    path = Path(path)
    record = record or path.name
    reader = _Reader(record)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                reader.feed(chunk)
    except (OSError, ValueError) as error:
        raise BadInputError(
            "no such file, or it cannot be read", record=record, field="path", remedy="Check the path."
        ) from error
    return reader.close()


def parse_vasprun(content: bytes, record: str = "") -> Vasprun:
    """The same from the bytes of a file.

    Raises:
        BadInputError: as ``read_vasprun``.
    """
    reader = _Reader(record)
    reader.feed(content)
    return reader.close()


class _Reader:
    """Collects the few elements that are wanted while the file passes by."""

    def __init__(self, record: str) -> None:
        self.record = record
        self.path: list[str] = []
        self.labels: list[str] = []
        self.text: list[str] | None = None
        self.facts: dict[str, str] = {}
        self.rows: dict[str, list[str]] = {}
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
            raise self._error(f"larger than {MAX_BYTES // 1_000_000} MB", "Give a DOSCAR instead.")
        try:
            self.parser.Parse(chunk, last)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise self._error(
                f"no well-formed XML ({str(error)[:100]})", "Give the file of a finished run."
            ) from error

    def close(self) -> Vasprun:
        """What was found."""
        self.feed(b"", last=True)
        try:
            sets = self._sets()
            fermi, n_atoms = float(self.facts["efermi"]), int(self.facts["atoms"])
            smearing, sigma = int(self.facts.get("ISMEAR", "1")), float(self.facts.get("SIGMA", "0"))
            finite = np.isfinite([fermi, sigma]).all() and all(np.isfinite(s).all() for s in sets)
            if not finite or len({s.shape for s in sets}) != 1 or not 0 < n_atoms <= MAX_ATOMS:
                raise ValueError("rows that do not match, or an impossible number")
        except (KeyError, ValueError) as error:
            raise self._error(
                f"no total density of states ({str(error)[:100]})", "Give the vasprun.xml of a finished run."
            ) from error
        return Vasprun(sets[0][:, 0], np.stack([s[:, 1] for s in sets]), fermi, n_atoms, smearing, sigma)

    def _sets(self) -> list[Float[np.ndarray, "points columns"]]:
        """Energy and density of each spin; with spin-orbit coupling the first set counts all electrons."""
        names = ["spin 1"] if len(self.rows) > 2 or "spin 2" not in self.rows else ["spin 1", "spin 2"]
        return [
            np.array([row.split()[:2] for row in self.rows[name]], dtype=np.float64).reshape(-1, 2)
            for name in names
        ]

    def _error(self, problem: str, remedy: str) -> BadInputError:
        return BadInputError(problem, record=self.record, field="vasprun.xml", remedy=remedy)

    def _doctype(self, *_: object) -> None:
        raise self._error("a document type, which VASP never writes", _AS_WRITTEN)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.path) >= MAX_DEPTH:
            raise self._error(f"elements nested more than {MAX_DEPTH} deep", _AS_WRITTEN)
        self.path.append(tag)
        self.labels.append(attributes.get("name") or attributes.get("comment") or "")
        if tag == "dos" and self.labels[-1] != "kpoints_opt":
            # The last step's counts.
            self.rows = {}
        self.text = [] if self._wanted() else None

    def _wanted(self) -> bool:
        if "kpoints_opt" in self.labels:
            return False
        tag, above = self.path[-1], self.path[-2] if len(self.path) > 1 else ""
        if tag == "r":
            return self.path[-6:] == _ROW_PATH
        if tag == "i":
            return (above == "dos" and self.labels[-1] == "efermi") or self.labels[-1] in ("ISMEAR", "SIGMA")
        return tag == "atoms" and above == "atominfo"

    def _characters(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def _end(self, tag: str) -> None:
        if self.text is not None:
            text = "".join(self.text).strip()
            if tag == "r":
                rows = self.rows.setdefault(self.labels[-2], [])
                if len(rows) >= MAX_ROWS:
                    raise self._error(f"more than {MAX_ROWS} energies", "Give a DOSCAR instead.")
                rows.append(text)
            else:
                self.facts[self.labels[-1] or tag] = text
        self.text = None
        self.path.pop()
        self.labels.pop()
