"""American Mineralogist Crystal Structure Database: 9,275 experimental crystals with publication titles.

Downs & Hall-Wallace, Am. Mineral. 88, 247 (2003), as the SQLite file inside the package larixite.
"""

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.crystal import MAX_SITES, Crystal, check
from prismat.elements import SYMBOLS
from prismat.errors import BadInputError
from prismat.files import sha256
from prismat.material import Material, Property, Provenance, Reject
from prismat.packaged import AMCSD, locate
from prismat.sources.amcsd_titles import conditions, split_titles
from prismat.symmetry import expand, parse_operations

_SCALE = 4e6
_UNKNOWN_FROM = 1.5  # values 2 and 3 stand for '?' and '.' in the database
_DENSITY_TOLERANCE = 0.05
_SPECIAL_LABELS = {"Wat": 8, "OH": 8, "Ow": 8, "OW": 8, "NH": 7, "CH": 6, "D": 1}
_REMEDY = "Give the file amcsd_cif1.db of larixite 2026.1.0."
_QUERY = """
SELECT cif.id, minerals.name, cif.formula, cif.compound, cif.pub_title, cif.a, cif.b, cif.c, cif.alpha,
  cif.beta, cif.gamma, cif.crystal_density, cif.atoms_sites, cif.atoms_x, cif.atoms_y, cif.atoms_z,
  cif.atoms_occupancy, spacegroups.hm_notation, spacegroups.symmetry_xyz, publications.id AS publication_id,
  publications.journalname, publications.volume, publications.year, publications.page_first
FROM cif JOIN spacegroups ON spacegroups.id = cif.spacegroup_id
  LEFT JOIN minerals ON minerals.id = cif.mineral_id
  LEFT JOIN publications ON publications.id = cif.publication_id ORDER BY cif.id
"""


@dataclass(frozen=True)
class AmcsdOptions:
    """9,275 experimental crystals with the titles of the papers they come from.

    Attributes:
        path: the database file; obtained by package name, and checked, where not given.
        max_sites: larger cells are rejected.
    """

    path: Path | None = None
    max_sites: int = MAX_SITES

    def open(self) -> "AmcsdSource":
        """The source."""
        return AmcsdSource(self.path, self.max_sites)


class AmcsdSource:
    """Rows of the database as materials.

    Args:
        path: the database file; obtained by package name, and checked, where not given.
        max_sites: larger cells are rejected.

    Raises:
        BadInputError: the file is no AMCSD database, or cannot be obtained.
    """

    name = "amcsd"
    licence = "AMCSD, free for use with citation; packaged by larixite (MIT)"
    citation = "Downs & Hall-Wallace, Am. Mineral. 88, 247 (2003)"

    def __init__(self, path: Path | None = None, max_sites: int = MAX_SITES) -> None:
        self.path = Path(path) if path else locate(AMCSD)
        if not self.path.is_file():
            raise BadInputError("no such file", record=str(self.path), remedy=_REMEDY)
        self.max_sites = max_sites

    def fingerprint(self) -> str:
        """SHA-256 of the database file and the reading options."""
        return f"{sha256(self.path)}:{self.max_sites}"

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Materials of rows start … stop − 1; a row that cannot be one comes as a Reject."""
        for number in range(start, min(stop, len(self))):
            row = self._rows[number]
            identifier = f"amcsd-{row['id']:05d}"
            try:
                yield self._material(identifier, row, *self._titles[number])
            except (BadInputError, ValueError, TypeError, KeyError) as error:
                yield Reject.because(identifier, error)

    def __getstate__(self) -> dict:
        """Travels to worker processes as a path; rows are read again there."""
        return {"path": self.path, "max_sites": self.max_sites}

    @cached_property
    def _rows(self) -> list[sqlite3.Row]:
        try:
            with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                return connection.execute(_QUERY).fetchall()
        except sqlite3.Error as error:
            raise BadInputError(
                f"not an AMCSD database ({error})", record=str(self.path), remedy=_REMEDY
            ) from error

    @cached_property
    def _titles(self) -> list[tuple[str, str]]:
        return split_titles(
            [r["pub_title"] or "" for r in self._rows], [r["publication_id"] or 0 for r in self._rows]
        )

    def _material(self, identifier: str, row: sqlite3.Row, title: str, notes: str) -> Material:
        crystal = check(_crystal(row), self.max_sites)
        _check_density(crystal, _number(row, "crystal_density"))
        return Material(
            id=identifier,
            structure=crystal,
            texts={"title": title} if title else {},
            properties={"density": Property(_number(row, "crystal_density"), "g/cm3"), **conditions(notes)},
            tags={key: value for key, value in _tags(row, notes).items() if value and value != "<missing>"},
            provenance=Provenance(self.name, str(row["id"]), self.licence, self.citation),
        )


def _tags(row: sqlite3.Row, notes: str) -> dict[str, str]:
    reference = [row["journalname"], row["volume"], f"({row['year']})", row["page_first"]]
    # A compilation is no publication of its own structures: it would tie unrelated rows together.
    is_book = "edition" in notes.lower() and "publishers" in notes.lower()
    return {
        "mineral": row["name"] or "",
        "publication": "" if is_book else " ".join(str(p) for p in reference if p),
        "journal": row["journalname"] or "",
        "year": str(row["year"] or ""),
        "locality": row["compound"] or "",
        "reported_space_group": row["hm_notation"],
        "reported_formula": row["formula"] or "",
        "notes": notes,
    }


def _crystal(row: sqlite3.Row) -> Crystal:
    """Applies the row's symmetry operations; labels at one position become one mixed site."""
    labels = json.loads(row["atoms_sites"])
    coordinates = np.stack([_decode(row[f"atoms_{axis}"], len(labels)) for axis in "xyz"], axis=1)
    occupancy = _occupancies(row["atoms_occupancy"], len(labels))
    if (coordinates > _UNKNOWN_FROM).any():
        raise BadInputError("a coordinate is not given", field="coordinates", remedy="Complete the entry.")
    expected = set(re.findall(r"[A-Z][a-z]?", row["formula"] or ""))
    contents = [{_element(label, expected): float(x)} for label, x in zip(labels, occupancy, strict=True)]
    rotations, translations = parse_operations(json.loads(row["symmetry_xyz"]))
    cell = [_number(row, key) for key in ("a", "b", "c", "alpha", "beta", "gamma")]
    return expand(lattice_from_parameters(*cell), coordinates, contents, rotations, translations)


def _number(row: sqlite3.Row, key: str) -> float:
    try:
        return float(row[key])
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"{key} is {row[key]!r}, not a number", field=key, remedy="Correct the entry."
        ) from error


def _decode(text: str, count: int) -> Float[np.ndarray, " sites"]:
    values = np.frombuffer(base64.b64decode(text), dtype="<i4") / _SCALE
    if len(values) != count:
        raise BadInputError(
            f"{count} labels but {len(values)} coordinates", field="atoms", remedy="Correct the entry."
        )
    return values


def _occupancies(text: str, count: int) -> Float[np.ndarray, " sites"]:
    """Occupancies; not given ('0' as a whole, '?' or '.' for a site) means full."""
    if text == "0":
        return np.ones(count)
    values = _decode(text, count)
    return np.where(values > _UNKNOWN_FROM, 1.0, values)


def _element(label: str, expected: set[str]) -> int:
    """Atomic number meant by a site label such as ``Fe2``, ``AlT``, ``OH1`` or ``Wat``.

    Where a two-letter and a one-letter reading both exist (Os, CO), the formula decides.
    """
    letters = re.split(r"[^A-Za-z]", label.strip(), maxsplit=1)[0]
    for special, z in _SPECIAL_LABELS.items():
        if letters == special or (letters.startswith(special) and special in ("Wat", "OH")):
            return z
    readings = [r for r in (letters[:2].capitalize(), letters[:1].upper()) if r in SYMBOLS[1:]]
    if letters[1:2].isupper():
        readings.reverse()
    for reading in readings:
        if reading in expected:
            return SYMBOLS.index(reading)
    if not readings:
        raise BadInputError(f"unknown element in label {label!r}", field="species", remedy="Correct it.")
    return SYMBOLS.index(readings[0])


def _check_density(crystal: Crystal, stated: float) -> None:
    """Refuses a structure that disagrees with the density the database itself gives."""
    if stated > 0 and abs(crystal.density / stated - 1) > _DENSITY_TOLERANCE:
        raise BadInputError(
            f"density {crystal.density:.3f} g/cm³ from the structure, {stated:.3f} stated by the database",
            field="density",
            remedy="The entry's sites or symmetry are incomplete.",
        )


def lattice_from_parameters(
    a: float, b: float, c: float, alpha: float, beta: float, gamma: float
) -> Float[np.ndarray, "3 3"]:
    """Row vectors in Å from edge lengths and angles in degrees; a along x, b in the xy plane."""
    ca, cb, cg = np.cos(np.radians([alpha, beta, gamma]))
    sg = np.sin(np.radians(gamma))
    cx, cy = cb, (ca - cb * cg) / sg
    height = 1 - cx * cx - cy * cy
    if not height > 0:
        raise BadInputError(
            f"angles {alpha}, {beta}, {gamma}° close no cell", field="lattice", remedy="Correct them."
        )
    return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cx, c * cy, c * np.sqrt(height)]])
