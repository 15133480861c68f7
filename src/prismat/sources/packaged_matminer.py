"""Computed properties of the Materials Project as matminer 0.3.1 carried them: four CSV tables."""

import csv
import io
import json
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from prismat.crystal import Crystal, check
from prismat.errors import BadInputError
from prismat.formats import read_crystal
from prismat.material import Material, Property
from prismat.packaged import DIELECTRIC, ELASTIC, FLLA, PIEZO
from prismat.sources.packaged_base import PackagedSource, read_whole, wrong_form
from prismat.sources.pymatgen_json import crystal_from_dict

MAX_BYTES = 50_000_000
_LICENCE = "data: not stated; packaged by matminer (BSD 3-Clause, Lawrence Berkeley National Laboratory)"

Row = dict[str, str]


class MatminerSource(PackagedSource):
    """One table: a crystal and its properties in each row, named by its Materials Project id.

    Attributes:
        columns: for each property its column and its unit.
        tags: for each tag its column.
    """

    licence: ClassVar[str] = _LICENCE
    columns: ClassVar[Mapping[str, tuple[str, str]]]
    tags: ClassVar[Mapping[str, str]] = {}

    def load(self, paths: tuple[Path, ...]) -> Sequence[Row]:
        """Rows with the columns that are wanted."""
        text = read_whole(paths[0], MAX_BYTES).decode("utf-8", errors="replace")
        # The first line names the paper.
        reader = csv.reader(io.StringIO(text.partition("\n")[2] if text.startswith("#") else text))
        try:
            header = next(reader)
            rows = [row for row in reader if row]
        except (csv.Error, StopIteration) as error:
            raise wrong_form(paths[0], error) from error
        # Where the table was written with a nameless index, rows have one cell more than the header.
        if rows and len(rows[0]) == len(header) + 1:
            header = ["", *header]
        wanted = {"material_id", "structure", *(c for c, _ in self.columns.values()), *self.tags.values()}
        missing = sorted(wanted - set(header))
        if missing:
            raise wrong_form(paths[0], f"no column {missing[0]!r}")
        if any(len(row) != len(header) for row in rows):
            raise wrong_form(paths[0], f"a row that has not {len(header)} cells")
        return [{k: v for k, v in zip(header, row, strict=True) if k in wanted} for row in rows]

    def identifier(self, row: Row) -> str:
        """The set's name and the Materials Project id."""
        return f"{self.name}-{row['material_id']}"

    def material(self, row: Row) -> Material:
        """Structure, properties and tags of a row."""
        crystal = check(self.crystal(row["structure"]), self.max_sites)
        return Material(
            self.identifier(row),
            crystal,
            properties={
                name: _property(row, *column) for name, column in self.columns.items() if row[column[0]]
            },
            tags={tag: row[column] for tag, column in self.tags.items() if row[column]},
            provenance=self.provenance(row["material_id"]),
        )

    @abstractmethod
    def crystal(self, text: str) -> Crystal:
        """The structure of a cell of the table."""


class _CifSource(MatminerSource):
    """A table whose structures are CIF text."""

    def crystal(self, text: str) -> Crystal:
        """The structure of CIF text."""
        return read_crystal(f"{text}\n", max_sites=self.max_sites)


class FllaSource(MatminerSource):
    """3,938 crystals with formation energies."""

    name = "flla"
    citation = (
        "Faber, Lindmaa, von Lilienfeld & Armiento, Int. J. Quantum Chem. 115, 1094 (2015), "
        "doi:10.1002/qua.24917; Jain et al., APL Mater. 1, 011002 (2013)"
    )
    files = (FLLA,)
    columns: ClassVar[Mapping[str, tuple[str, str]]] = {
        "formation_energy_per_atom": ("formation_energy_per_atom", "eV/atom"),
        "e_above_hull": ("e_above_hull", "eV/atom"),
    }

    def crystal(self, text: str) -> Crystal:
        """The structure of a dictionary with single quotes, which holds numbers, symbols and lists only."""
        try:
            return crystal_from_dict(json.loads(text.replace("'", '"')))
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"the structure cannot be read ({error})", field="structure") from error


class ElasticSource(_CifSource):
    """1,181 crystals with elastic moduli."""

    name = "elastic"
    citation = "de Jong et al., Sci. Data 2, 150009 (2015), doi:10.1038/sdata.2015.9"
    files = (ELASTIC,)
    columns: ClassVar[Mapping[str, tuple[str, str]]] = {
        **{f"bulk_modulus_{a.lower()}": (f"K_{a}", "GPa") for a in ("VRH", "Voigt", "Reuss")},
        **{f"shear_modulus_{a.lower()}": (f"G_{a}", "GPa") for a in ("VRH", "Voigt", "Reuss")},
        "elastic_anisotropy": ("elastic_anisotropy", ""),
        "poisson_ratio": ("poisson_ratio", ""),
    }


class DielectricSource(_CifSource):
    """1,056 crystals with dielectric constants (mean of the tensor's diagonal) and refractive indices."""

    name = "dielectric_constant"
    citation = "Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134"
    files = (DIELECTRIC,)
    columns: ClassVar[Mapping[str, tuple[str, str]]] = {
        "refractive_index": ("n", ""),
        "electronic_dielectric_constant": ("poly_electronic", ""),
        "dielectric_constant": ("poly_total", ""),
        "band_gap": ("band_gap", "eV"),
    }
    tags: ClassVar[Mapping[str, str]] = {"potentially_ferroelectric": "pot_ferroelectric"}


class PiezoSource(_CifSource):
    """941 crystals with their largest piezoelectric modulus."""

    name = "piezo"
    citation = "de Jong et al., Sci. Data 2, 150053 (2015), doi:10.1038/sdata.2015.53"
    files = (PIEZO,)
    columns: ClassVar[Mapping[str, tuple[str, str]]] = {"piezoelectric_modulus": ("eij_max", "C/m2")}
    tags: ClassVar[Mapping[str, str]] = {"point_group": "point_group"}


def _property(row: Row, column: str, unit: str) -> Property:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInputError(f"{row[column][:40]!r} is not a finite number", field=column)
    return Property(value, unit)
