"""Materials from one Parquet table: a row per crystal, with properties, DOS or charge density in columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float

from prismat.crystal import MAX_SITES, Crystal, check, make_site
from prismat.elements import MAX_Z
from prismat.errors import BadInputError
from prismat.files import digest, sha256
from prismat.material import Material, Property, Provenance, Reject
from prismat.measurements import ChargeDensity, DensityKind, Dos, Measurement

Layout = Literal["mp2018", "phonon_dos", "multimat"]


@dataclass(frozen=True)
class TableColumns:
    """Which column of a table holds what.

    Structures are the columns ``numbers`` (atomic numbers), ``lattice`` (nine numbers, row vectors in Å) and
    ``frac_coords`` (three numbers per atom); ``split``, where there is one, names the part of the table's own
    division (train, val or test).

    Attributes:
        properties: unit by column.
        electronic_dos: columns of energies (eV from the Fermi level, spin up, per cell) and of the DOS.
        phonon_dos: columns of wave numbers (cm⁻¹) and of the DOS.
        charge_density: column of a cubic grid, row-major, of ρ·V in electrons as in a CHGCAR.
        density_kind: which electrons that grid counts.
        licence: terms of the data.
        citation: what to cite.
        id: column that names the row.
    """

    properties: Mapping[str, str] = field(default_factory=dict)
    electronic_dos: tuple[str, str] | None = None
    phonon_dos: tuple[str, str] | None = None
    charge_density: str | None = None
    density_kind: DensityKind = "valence"
    licence: str = ""
    citation: str = ""
    id: str = "material_id"


LAYOUTS: dict[Layout, TableColumns] = {
    "mp2018": TableColumns(
        properties={
            "formation_energy_per_atom": "eV/atom",
            "band_gap": "eV",
            "e_above_hull": "eV/atom",
            "bulk_modulus_vrh": "GPa",
            "shear_modulus_vrh": "GPa",
            "total_magnetization": "μB",
        },
        licence="CC BY 4.0",
        citation="Jain et al., APL Mater. 1, 011002 (2013)",
    ),
    "phonon_dos": TableColumns(
        phonon_dos=("frequency_cm1", "phonon_dos"),
        licence="MIT",
        citation="Petretto et al., Sci. Data 5, 180065 (2018)",
    ),
    "multimat": TableColumns(
        electronic_dos=("dos_energy_ev", "dos"),
        charge_density="charge_density_32",
        licence="MIT; Materials Project data CC BY 4.0",
        citation="Moro et al., MultiMat (2025); Jain et al., APL Mater. 1, 011002 (2013)",
    ),
}
"""Tables of known shape: names and units of their columns."""
_STRUCTURE = ("numbers", "lattice", "frac_coords")
_BATCH = 1024


class TableSource:
    """Rows of a Parquet table; no more than a batch of them is in memory.

    Args:
        path: the file.
        columns: which column holds what.
        limit: rows drawn at random, by a fixed seed; 0 for all.
        max_sites: larger cells are rejected.
    """

    name = "table"

    def __init__(self, path: Path, columns: TableColumns, limit: int = 0, max_sites: int = MAX_SITES) -> None:
        self.path, self.columns, self.limit, self.max_sites = Path(path), columns, limit, max_sites
        self.licence, self.citation = columns.licence, columns.citation

    @cached_property
    def rows(self) -> Sequence[int]:
        """Row numbers of the table that are read, ascending."""
        total = self._file().metadata.num_rows
        if not 0 < self.limit < total:
            return range(total)
        return sorted(np.random.default_rng(0).choice(total, self.limit, replace=False).tolist())

    def fingerprint(self) -> str:
        """SHA-256 of the file, how many rows are taken, and what differs from a table of known shape."""
        found = f"{sha256(self.path)}:{self.limit}"
        if self.columns in LAYOUTS.values() and self.max_sites == MAX_SITES:
            return found
        return f"{found}:{digest(asdict(self.columns), self.max_sites)}"

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Rows start … stop − 1."""
        for row in taken_rows(self._file(), self.rows[start:stop], self._names()):
            yield self._material(row)

    def _file(self) -> pq.ParquetFile:
        try:
            file = pq.ParquetFile(self.path)
        except (OSError, ValueError) as error:
            raise BadInputError(
                f"cannot read {self.path}", field="path", remedy="Give a Parquet file."
            ) from error
        missing = [name for name in self._names(optional=False) if name not in file.schema_arrow.names]
        if missing:
            raise BadInputError(
                f"no column {missing[0]!r}",
                record=self.path.name,
                field="columns",
                remedy=f"Choose the layout that fits the table; it has {', '.join(file.schema_arrow.names)}.",
            )
        return file

    def _names(self, optional: bool = True) -> list[str]:
        columns = self.columns
        names = [columns.id, *_STRUCTURE, *columns.properties, *(columns.electronic_dos or ())]
        names += [*(columns.phonon_dos or ()), *([columns.charge_density] if columns.charge_density else [])]
        has_split = optional and "split" in pq.read_schema(self.path).names
        return [*names, "split"] if has_split else names

    def _material(self, row: dict[str, Any]) -> Material | Reject:
        identifier = str(row[self.columns.id])
        try:
            crystal = check(crystal_of_row(row), self.max_sites)
            return Material(
                identifier,
                crystal,
                measurements=self._measurements(row, crystal),
                properties=self._properties(row),
                tags={"split": row["split"]} if row.get("split") else {},
                provenance=Provenance(self.name, identifier, self.licence, self.citation),
            )
        except (BadInputError, ValueError, TypeError) as error:
            return Reject.because(identifier, error)

    def _properties(self, row: dict[str, Any]) -> dict[str, Property]:
        named = {name: row[name] for name in self.columns.properties}
        return {
            name: Property(float(value), self.columns.properties[name])
            for name, value in named.items()
            if value is not None and np.isfinite(value)
        }

    def _measurements(self, row: dict[str, Any], crystal: Crystal) -> dict[str, Measurement]:
        found: dict[str, Measurement] = {}
        columns, n = self.columns, len(crystal)
        if columns.electronic_dos and row[columns.electronic_dos[1]]:
            energy, density = (np.array(row[c], dtype=np.float64) for c in columns.electronic_dos)
            found["dos"] = Dos(energy, density, zero="fermi", spin="up", n_atoms=n)
        if columns.phonon_dos and row[columns.phonon_dos[1]]:
            energy, density = (np.array(row[c], dtype=np.float64) for c in columns.phonon_dos)
            found["phonon_dos"] = Dos(energy, density, kind="phonon", unit="cm-1", n_atoms=n)
        if columns.charge_density and row[columns.charge_density]:
            grid = _cube(np.array(row[columns.charge_density], dtype=np.float64)) / crystal.volume
            found["charge_density"] = ChargeDensity(grid, crystal.lattice, columns.density_kind)
        return found


def taken_rows(
    file: pq.ParquetFile, wanted: Sequence[int], columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Some rows of a table, from the row groups that hold them, a batch in memory at a time.

    Args:
        file: the table.
        wanted: row numbers, ascending.
        columns: that are read.
    """
    ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)])
    rows = np.asarray(wanted, dtype=np.int64)
    groups = np.unique(np.searchsorted(ends, rows, side="right")).tolist()
    for group in groups:
        first = int(ends[group]) - file.metadata.row_group(group).num_rows
        last = int(rows[np.searchsorted(rows, ends[group]) - 1])
        for batch in file.iter_batches(_BATCH, row_groups=[group], columns=list(columns), use_threads=False):
            if first > last:
                break
            low, high = np.searchsorted(rows, [first, first + batch.num_rows])
            yield from batch.take(rows[low:high] - first).to_pylist()
            first += batch.num_rows


def crystal_of_row(row: Mapping[str, Any]) -> Crystal:
    """The crystal of a row: columns ``numbers``, ``lattice`` and ``frac_coords``.

    Raises:
        BadInputError: an unknown element, or positions that do not belong to the atoms.
    """
    numbers = row["numbers"]
    wrong = [z for z in numbers if not 1 <= z <= MAX_Z]
    if wrong:
        raise BadInputError(f"atomic number {wrong[0]}", field="numbers", remedy=f"Give 1 to {MAX_Z}.")
    lattice = np.array(row["lattice"], dtype=np.float64).reshape(3, 3)
    frac = np.array(row["frac_coords"], dtype=np.float64).reshape(-1, 3)
    if len(frac) != len(numbers):
        raise BadInputError(
            f"{len(frac)} positions for {len(numbers)} atoms", field="frac_coords", remedy="Correct the row."
        )
    return Crystal(lattice, frac, tuple(make_site({int(z): 1.0}) for z in numbers))


def _cube(values: Float[np.ndarray, " points"]) -> Float[np.ndarray, "n n n"]:
    edge = round(len(values) ** (1 / 3))
    if edge**3 != len(values):
        raise BadInputError(
            f"{len(values)} values are no cubic grid", field="charge_density", remedy="Give n³ values."
        )
    return values.reshape(edge, edge, edge)
