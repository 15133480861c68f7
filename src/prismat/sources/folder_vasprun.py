"""The final structure of VASP's vasprun.xml."""

from pathlib import Path

import numpy as np

from prismat.crystal import MAX_SITES, Crystal, check, element_site
from prismat.vasprun_stream import VasprunStream


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
    reader.read(path)
    return reader.crystal()


class _Reader(VasprunStream):
    """Keeps the atoms' symbols and the vectors of the structure named finalpos."""

    def __init__(self, record: str, max_sites: int) -> None:
        super().__init__(record)
        self.max_sites = max_sites
        self.symbols: list[str] = []
        self.vectors: dict[str, list[list[str]]] = {"basis": [], "positions": []}

    def crystal(self) -> Crystal:
        """What was found."""
        try:
            lattice = np.array(self.vectors["basis"], dtype=np.float64).reshape(3, 3)
            frac = np.array(self.vectors["positions"], dtype=np.float64).reshape(-1, 3)
        except ValueError as error:
            raise self.error(f"no final structure ({error})") from error
        if not 0 < len(frac) == len(self.symbols):
            raise self.error(f"{len(frac)} positions for {len(self.symbols)} atoms")
        sites = tuple(element_site(symbol) for symbol in self.symbols)
        return check(Crystal(lattice, frac, sites), self.max_sites)

    def opened(self, tag: str) -> None:
        """The last structure of that name counts."""
        if tag == "structure" and self.labels[-1] == "finalpos":
            self.vectors = {"basis": [], "positions": []}

    def wanted(self) -> bool:
        """Vectors of the final structure, and the first column of the table of atoms: the symbols."""
        if self.tags[-1] == "v":
            return "finalpos" in self.labels and len(self.labels) > 1 and self.labels[-2] in self.vectors
        return self.tags[-2:] == ["rc", "c"] and self.labels[-4:-3] == ["atoms"]

    def taken(self, tag: str, text: str) -> None:
        """A vector, or a symbol."""
        words = text.split()
        if tag == "v":
            self._keep(self.vectors[self.labels[-2]], words)
        elif words and not words[0].isdigit():
            self._keep(self.symbols, words[0])

    def _keep(self, found: list, value: object) -> None:
        if len(found) > self.max_sites + 3:
            raise self.error(f"more than the limit of {self.max_sites} sites")
        found.append(value)
