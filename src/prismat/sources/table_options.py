"""Options of ``prismat prepare mp2018``: a Parquet table of known columns, or of columns named by option."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError
from prismat.measurements import DensityKind
from prismat.sources.table import LAYOUTS, TableColumns, TableSource


@dataclass(frozen=True)
class TableOptions:
    """Which Parquet table is read, and what its columns are.

    Structures are in the columns ``numbers``, ``lattice`` (nine numbers, row vectors in Å) and
    ``frac_coords``; a column ``split`` is kept as the table's own division.

    Attributes:
        path: the Parquet file.
        layout: ``mp2018`` (properties of the Materials Project), ``phonon_dos``, ``multimat`` (DOS and charge
            density), or ``custom`` for columns named below.
        limit: rows drawn at random, by a fixed seed; 0 for all.
        properties: custom columns with their units, such as ``band_gap=eV density=g/cm3 n=``.
        id_column: custom name of the column of ids.
        electronic_dos: custom columns of energies (eV from the Fermi level) and of the DOS (spin up, per
            cell).
        phonon_dos: custom columns of wave numbers (cm⁻¹) and of the DOS.
        charge_density: custom column of a cubic grid of ρ·V.
        density_kind: which electrons that grid counts.
        licence: terms of the data of a custom table.
        citation: what to cite for a custom table.
        max_sites: larger cells are rejected.
    """

    path: Path
    layout: Literal["mp2018", "phonon_dos", "multimat", "custom"] = "mp2018"
    limit: int = 0
    properties: tuple[str, ...] = ()
    id_column: str = "material_id"
    electronic_dos: tuple[str, str] | None = None
    phonon_dos: tuple[str, str] | None = None
    charge_density: str | None = None
    density_kind: DensityKind = "valence"
    licence: str = ""
    citation: str = ""
    max_sites: int = MAX_SITES

    def open(self) -> TableSource:
        """The source.

        Raises:
            BadInputError: columns are named for a table of known columns, or a property has no unit.
        """
        return TableSource(self.path, self.columns(), self.limit, self.max_sites)

    def columns(self) -> TableColumns:
        """What the columns are.

        Raises:
            BadInputError: as ``open``.
        """
        custom = TableColumns(
            dict(map(_with_unit, self.properties)),
            self.electronic_dos,
            self.phonon_dos,
            self.charge_density,
            self.density_kind,
            self.licence,
            self.citation,
            self.id_column,
        )
        if self.layout == "custom":
            return custom
        if custom != TableColumns():
            raise BadInputError(
                f"columns are named, and the layout {self.layout} has its own",
                field="layout",
                remedy="Add --layout custom.",
            )
        return LAYOUTS[self.layout]


def _with_unit(given: str) -> tuple[str, str]:
    """Column and unit of ``column=unit``."""
    name, equals, unit = given.partition("=")
    if not equals or not name.strip():
        raise BadInputError(
            f"{given!r} names no unit",
            field="properties",
            remedy="Write column=unit, such as band_gap=eV; nothing after = for a pure number.",
        )
    return name.strip(), unit.strip()
