"""Computed crystals with the names of minerals, and phonon densities of states of some, from JARVIS.

Choudhary et al., npj Comput. Mater. 6, 173 (2020); phonons: Gurunathan, Choudhary & Tavazza, Phys. Rev.
Mater. 7, 023803 (2023). Structures from the package jarvis-tools, phonons from jarvis-leaderboard.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from prismat.crystal import Crystal, check, element_site
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Dos, Measurement
from prismat.packaged import JARVIS_MINERALS, JARVIS_PHONON_DOS
from prismat.sources.packaged_base import PackagedSource, wrong_form

MAX_BYTES = 100_000_000
"""Of a file unpacked; the pinned ones have 8 and 10 MB."""

FREQUENCIES = np.linspace(-300.0, 1000.0, 66)
"""Wave numbers in cm⁻¹ of the 66 values of a spectrum; imaginary modes count as negative.

The file does not give them. Steps of 20 cm⁻¹ from a start between −300 and −280 fit best to spectra of the
same crystals from density-functional perturbation theory (Petretto et al., Sci. Data 5, 180065, 2018):
they are known to within one step.
"""


@dataclass(frozen=True)
class Row:
    """One named crystal.

    Attributes:
        prototype: AFLOW label of its structure type.
        mineral: name.
        id: JARVIS or Materials Project id.
        atoms: its structure as JARVIS writes it.
        spectrum: phonon density of states, values separated by semicolons; empty where there is none.
        split: the part of the leaderboard's division that the spectrum belongs to.
        also: other minerals that the file gives the same structure to.
    """

    prototype: str
    mineral: str
    id: str
    atoms: Any
    spectrum: str = ""
    split: str = ""
    also: tuple[str, ...] = ()


class JarvisMineralsSource(PackagedSource):
    """1,081 crystals with names of minerals; 265 have a phonon density of states, its largest value 1.

    A structure that the file gives to several minerals is rejected under each, since at most one is right.
    """

    name = "jarvis_minerals"
    licence = (
        "data: not stated; packaged by jarvis-tools (MIT) and jarvis-leaderboard (MIT, NIST terms of use)"
    )
    citation = (
        "Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1; "
        "Gurunathan et al., Phys. Rev. Mater. 7, 023803 (2023), doi:10.1103/PhysRevMaterials.7.023803"
    )
    files = (JARVIS_MINERALS, JARVIS_PHONON_DOS)

    def load(self, paths: tuple[Path, ...]) -> Sequence[Row]:
        """Named crystals, in the file's order, joined with spectra by id."""
        named, spectra = (read_zipped_json(path) for path in paths)
        try:
            found = {key: (text, part) for part, texts in spectra.items() for key, text in texts.items()}
            rows = [
                Row(prototype, mineral, identifier, atoms, *found.get(identifier, ()))
                for prototype, entries in named.items()
                # The second value is a descriptor of jarvis-tools' own.
                for mineral, _, identifier, atoms in entries
            ]
            return _with_namesakes(rows)
        except (ValueError, TypeError, AttributeError) as error:
            raise wrong_form(paths[0], error) from error

    def identifier(self, row: Row) -> str:
        """The set's name and the mineral's."""
        return f"{self.name}-{row.mineral}"

    def material(self, row: Row) -> Material:
        """Structure, name and, where known, phonon density of states."""
        if row.also:
            raise BadInputError(
                f"the structure {row.id} is also given to {', '.join(row.also)}", field="name"
            )
        crystal = check(_crystal(row.atoms), self.max_sites)
        measurements: dict[str, Measurement] = {}
        if row.spectrum:
            measurements["phonon_dos"] = _phonon_dos(row.spectrum, len(crystal))
        tags = {"mineral": row.mineral, "prototype": row.prototype, "split": row.split}
        return Material(
            self.identifier(row),
            crystal,
            measurements=measurements,
            tags={key: value for key, value in tags.items() if value},
            provenance=self.provenance(row.id),
        )


def _with_namesakes(rows: list[Row]) -> list[Row]:
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row.id, []).append(row.mineral)
    return [replace(row, also=tuple(n for n in names[row.id] if n != row.mineral)) for row in rows]


def read_zipped_json(path: Path) -> Any:
    """The JSON in a zip archive of one file, of at most ``MAX_BYTES``.

    Raises:
        BadInputError: no such archive, too large, or no JSON.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (entry,) = archive.infolist()
            with archive.open(entry) as stream:
                content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES // 1_000_000} MB")
        return json.loads(content)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, RecursionError, NotImplementedError) as error:
        raise wrong_form(path, error) from error


def _crystal(atoms: Any) -> Crystal:
    """The crystal of a dictionary of JARVIS ``Atoms``: coordinates in Å or fractional, as it says."""
    try:
        lattice = np.array(atoms["lattice_mat"], dtype=np.float64).reshape(3, 3)
        coords = np.array(atoms["coords"], dtype=np.float64).reshape(-1, 3)
        frac = np.linalg.solve(lattice.T, coords.T).T if atoms["cartesian"] else coords
        symbols = [str(symbol).strip() for symbol in atoms["elements"]]
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise BadInputError(f"not a structure as JARVIS writes it ({error})", field="atoms") from error
    if len(symbols) != len(frac):
        raise BadInputError(f"{len(frac)} positions for {len(symbols)} atoms", field="atoms")
    return Crystal(lattice, frac, tuple(element_site(symbol) for symbol in symbols))


def _phonon_dos(text: str, n_atoms: int) -> Dos:
    try:
        density = np.array([float(word) for word in text.split(";")])
    except ValueError as error:
        raise BadInputError("a value that is no number", field="phonon_dos") from error
    if density.shape != FREQUENCIES.shape or not np.isfinite(density).all():
        raise BadInputError(
            f"{len(density)} values where {len(FREQUENCIES)} finite ones belong", field="phonon_dos"
        )
    return Dos(FREQUENCIES.copy(), density, kind="phonon", unit="cm-1", n_atoms=n_atoms)
