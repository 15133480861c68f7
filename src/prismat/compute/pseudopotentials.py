"""Hartwigsen–Goedecker–Hutter pseudopotentials: which file stands for an element, and how hard it is.

Hartwigsen, Goedecker & Hutter, Phys. Rev. B 58, 3641 (1998), as shipped with Abinit: local density
approximation, hydrogen to radon, no core correction. Lanthanides are left out: their 4f electrons are valence
electrons here, and without spin polarisation their levels mean little.
"""

import csv
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from prismat.compute.program import MissingProgramError
from prismat.elements import SYMBOLS
from prismat.errors import BadInputError
from prismat.files import digest, read_limited

NAME = "HGH"
FUNCTIONAL = "LDA"
MAX_BYTES = 100_000

_SUBFOLDERS = ("PseudosHGH_pwteter", "psp/PseudosHGH_pwteter", "psp", "")
_SHARED = ("share/abinit", "share/abinit/psp")
_VARIABLE = "ABI_PSPDIR"
_FIRST = "14si.4.hgh"


@dataclass(frozen=True)
class Pseudopotential:
    """One element's file.

    Attributes:
        z: atomic number.
        electrons: valence electrons that are computed.
        cutoff: Ha, plane-wave cutoff at which levels of valence electrons hold to about 0.15 eV.
        path: the file.
    """

    z: int
    electrons: int
    cutoff: float
    path: Path


@cache
def choices() -> dict[int, tuple[int, float]]:
    """Valence electrons and cutoff (Ha) by atomic number, of the files that are used.

    From ``data/hgh.csv``. The file with the fewest electrons is taken, but with the outermost d shell where
    it lies near the valence band (Cu, Zn, Ag, Cd, Au, Hg, Tl) and with the outer core where ions of the
    element have nothing else left (Li, K to Sc, Rb to Mo, Cs, Ba, …). Cutoffs were measured with
    ``benchmarks/abinit.py cutoffs``: the lowest of a ladder from which on the valence levels and the first
    empty one of the element, in a lattice of 25 Å³ per atom, stay within 0.15 eV of those at 120 Ha; at
    least 15 Ha.
    """
    text = (files("prismat") / "data" / "hgh.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {int(row["z"]): (int(row["electrons"]), float(row["cutoff_ha"])) for row in rows}


class Pseudopotentials:
    """The files of a folder.

    Args:
        folder: holds ``14si.4.hgh`` and the like; the usual places of Abinit's data where None.

    Raises:
        MissingProgramError: no such files there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        places = [Path(folder)] if folder is not None else usual_places()
        found = [place / sub for place in places for sub in _SUBFOLDERS if (place / sub / _FIRST).is_file()]
        if not found:
            looked = ", ".join(map(str, places))
            raise MissingProgramError(f"No HGH pseudopotentials (such as {_FIRST}) in {looked}")
        self.folder = found[0]

    def of(self, z: int) -> Pseudopotential:
        """The file of an element.

        Raises:
            BadInputError: none is used for this element, or the file is absent or not what its name says.
        """
        if z not in choices():
            raise BadInputError(
                f"an element without a pseudopotential: {SYMBOLS[z]}",
                field="elements",
                remedy="Leave out lanthanides, actinides and elements beyond radon.",
            )
        electrons, cutoff = choices()[z]
        path = self.folder / f"{z}{SYMBOLS[z].lower()}.{electrons}.hgh"
        content = read_limited(path, MAX_BYTES, path.name).decode("utf-8", errors="replace")
        head = re.match(r".*\n\s*(\d+)\s+(\d+)\s", content)
        if head is None or (int(head[1]), int(head[2])) != (z, electrons):
            raise BadInputError(
                f"not a pseudopotential of {SYMBOLS[z]} with {electrons} electrons",
                record=path.name,
                field="pseudopotential",
                remedy="Give Abinit's own folder of HGH pseudopotentials.",
            )
        return Pseudopotential(z, electrons, cutoff, path)

    def fingerprint(self) -> str:
        """SHA-256 over names and contents of all the files that may be used."""
        found = {}
        for z in choices():
            path = self.of(z).path
            found[path.name] = digest(read_limited(path, MAX_BYTES).decode("utf-8", errors="replace"))
        return digest(found, {str(z): choice for z, choice in choices().items()})


def usual_places() -> list[Path]:
    """Folders in which Abinit's data lie: ``ABI_PSPDIR``, Debian's, a local build's, conda's."""
    import shutil

    named = os.environ.get(_VARIABLE)
    program = shutil.which("abinit")
    prefixes = [Path("/usr"), Path("/usr/local")]
    if program:
        prefixes.insert(0, Path(program).resolve().parents[1])
    if "CONDA_PREFIX" in os.environ:
        prefixes.insert(0, Path(os.environ["CONDA_PREFIX"]))
    shared = [prefix / folder for prefix in prefixes for folder in _SHARED]
    return ([Path(named)] if named else []) + list(dict.fromkeys(shared))
