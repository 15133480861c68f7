"""Which symmetry orbit of the model's cell every site of a given structure belongs to."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from prismat.crystal import Crystal
from prismat.elements import SYMBOLS
from prismat.modalities.standard_cell import StandardCell, standardize


@dataclass(frozen=True, eq=False)
class Sites:
    """A structure as given, beside the standardised primitive cell that the model reads.

    Attributes:
        crystal: as given.
        cell: standardised.
        atom: atom of the primitive cell of every site, shape (sites,).
    """

    crystal: Crystal
    cell: StandardCell
    atom: Int[np.ndarray, " sites"]

    @classmethod
    def of(cls, crystal: Crystal, symprec: float = 0.01) -> "Sites":
        """Standardises a crystal and follows its sites.

        Args:
            crystal: any.
            symprec: Å, tolerance of the symmetry search.
        """
        cell = standardize(crystal, symprec)
        if cell.primitive is crystal:
            return cls(crystal, cell, np.arange(len(crystal)))
        return cls(crystal, cell, _mapped(crystal, cell, symprec))

    @property
    def orbit(self) -> Int[np.ndarray, " sites"]:
        """Symmetry orbit of every site."""
        return self.cell.orbit[self.atom]

    @property
    def symbols(self) -> list[str]:
        """Element of every site, several joined by ``/``, the most abundant first."""
        ordered = (sorted(site, key=lambda part: -part[1]) for site in self.crystal.sites)
        return ["/".join(SYMBOLS[z] for z, _ in site) for site in ordered]

    @property
    def labels(self) -> list[str]:
        """Element and running number of every site: ``Ca1``, ``O1``, ``O2``."""
        seen: dict[str, int] = {}
        labels = []
        for symbol in self.symbols:
            seen[symbol] = seen.get(symbol, 0) + 1
            labels.append(f"{symbol}{seen[symbol]}")
        return labels

    def first_site(self) -> Int[np.ndarray, " atoms"]:
        """A site of the given structure for every atom of the primitive cell."""
        first = np.zeros(len(self.cell.primitive), dtype=np.int64)
        first[self.atom[::-1]] = np.arange(len(self.atom))[::-1]
        return first


def _mapped(crystal: Crystal, cell: StandardCell, symprec: float) -> Int[np.ndarray, " sites"]:
    """Atom of the primitive cell of every site, from the search that made the cell."""
    import moyopy

    kinds: dict[tuple, int] = {}
    numbers = [kinds.setdefault(tuple((z, round(x, 3)) for z, x in s), len(kinds) + 1) for s in crystal.sites]
    given = moyopy.Cell(crystal.lattice.tolist(), crystal.frac.tolist(), numbers)
    for precision in (symprec, symprec / 10, symprec / 100):
        try:
            found = moyopy.MoyoDataset(given, symprec=precision)
        except Exception:  # noqa: S112  moyo raises bare exceptions; standardize passed over this one too.
            continue
        if found.number == cell.number and len(found.prim_std_cell.numbers) == len(cell.primitive):
            return np.asarray(found.mapping_std_prim, dtype=np.int64)
    raise AssertionError("standardize found a cell that its own search does not")
