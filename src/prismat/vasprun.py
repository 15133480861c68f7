"""VASP's vasprun.xml: the total density of states."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.vasprun_stream import VasprunStream

MAX_ROWS = 100_000
MAX_ATOMS = 1_000_000
_SMALLER = "Give a DOSCAR instead."
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
    reader.read(path)
    return reader.found()


def parse_vasprun(content: bytes, record: str = "") -> Vasprun:
    """The same from the bytes of a file.

    Raises:
        BadInputError: as ``read_vasprun``.
    """
    reader = _Reader(record)
    reader.feed(content, last=True)
    return reader.found()


class _Reader(VasprunStream):
    """Collects the few elements that are wanted."""

    def __init__(self, record: str) -> None:
        super().__init__(record, _SMALLER)
        self.facts: dict[str, str] = {}
        self.rows: dict[str, list[str]] = {}

    def found(self) -> Vasprun:
        """What was found."""
        try:
            sets = self._sets()
            fermi, n_atoms = float(self.facts["efermi"]), int(self.facts["atoms"])
            smearing, sigma = int(self.facts.get("ISMEAR", "1")), float(self.facts.get("SIGMA", "0"))
            finite = np.isfinite([fermi, sigma]).all() and all(np.isfinite(s).all() for s in sets)
            if not finite or len({s.shape for s in sets}) != 1 or not 0 < n_atoms <= MAX_ATOMS:
                raise ValueError("rows that do not match, or an impossible number")
        except (KeyError, ValueError) as error:
            raise self.error(f"no total density of states ({str(error)[:100]})") from error
        return Vasprun(sets[0][:, 0], np.stack([s[:, 1] for s in sets]), fermi, n_atoms, smearing, sigma)

    def _sets(self) -> list[Float[np.ndarray, "points columns"]]:
        """Energy and density of each spin; with spin-orbit coupling the first set counts all electrons."""
        names = ["spin 1"] if len(self.rows) > 2 or "spin 2" not in self.rows else ["spin 1", "spin 2"]
        return [
            np.array([row.split()[:2] for row in self.rows[name]], dtype=np.float64).reshape(-1, 2)
            for name in names
        ]

    def opened(self, tag: str) -> None:
        """The last step's counts: what came before is forgotten."""
        if tag == "dos" and self.labels[-1] != "kpoints_opt":
            self.rows = {}

    def wanted(self) -> bool:
        """Rows of the total density, the Fermi level, the smearing, the number of atoms."""
        if "kpoints_opt" in self.labels:
            return False
        tag, above = self.tags[-1], self.tags[-2] if len(self.tags) > 1 else ""
        if tag == "r":
            return self.tags[-6:] == _ROW_PATH
        if tag == "i":
            return (above == "dos" and self.labels[-1] == "efermi") or self.labels[-1] in ("ISMEAR", "SIGMA")
        return tag == "atoms" and above == "atominfo"

    def taken(self, tag: str, text: str) -> None:
        """A row of its spin, or a fact by its name."""
        if tag != "r":
            self.facts[self.labels[-1] or tag] = text
            return
        rows = self.rows.setdefault(self.labels[-2], [])
        if len(rows) >= MAX_ROWS:
            raise self.error(f"more than {MAX_ROWS} energies", _SMALLER)
        rows.append(text)
