"""JARVIS-DFT: 75,993 computed crystals with their properties, and the official divisions of its leaderboard.

K. Choudhary et al., npj Comput. Mater. 6, 173 (2020). The data are the file ``jdft_3d-12-12-2022.json`` in a
zip archive (figshare 6815699): an array of objects, of which unknown values are the word ``na``.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from prismat.crystal import MAX_SITES, Crystal, check, element_site
from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.pages import PageMirror, Row
from prismat.fetch.place import fetched_folder
from prismat.files import sha256 as sha256_of
from prismat.material import Material, Property, Provenance
from prismat.packaged import PackagedFile, locate
from prismat.sources.data_file import DataFile
from prismat.sources.json_rows import JsonLimits, json_members, keep_rows, seen_fields
from prismat.sources.mirrored import MirroredSource

URL = "https://ndownloader.figshare.com/files/38521619"
"""jdft_3d-12-12-2022.json.zip."""

UNITS = {
    "formation_energy_peratom": "eV/atom",
    "optb88vdw_bandgap": "eV",
    "mbj_bandgap": "eV",
    "bulk_modulus_kv": "GPa",
    "shear_modulus_gv": "GPa",
    "ehull": "eV/atom",
    "optb88vdw_total_energy": "eV/atom",
    "magmom_oszicar": "μB/cell",
    "magmom_outcar": "μB/cell",
    "exfoliation_energy": "meV/atom",
    "spillage": "",
}
"""Units of the properties that are read."""

_TAGS = {"dimensionality": "dimensionality", "reference": "reference", "func": "functional"}
_KEPT = ("jid", "atoms", *UNITS, *_TAGS)
_NEEDED = ("jid", "atoms", "formation_energy_peratom")
_PAGE = 256
_PARTS = ("train", "val", "test")
_DIVISION_LIMITS = JsonLimits(200_000_000, 200_000_000)
_FOLDER = "jarvis_leaderboard/benchmarks/AI/SinglePropertyPrediction"
_DIVISIONS = {
    "formation_energy_peratom": "ffaef5d3512a29c93f005c8b9f014b467dfa561b1c23632524ff91bbfa6f759f",
    "optb88vdw_bandgap": "6d9f7f6a7c321497649afa10f11e5e3b17f5ae7de4ff508e5e1ec2ee7cfb59e9",
    "mbj_bandgap": "7aee71bfea2f67e10a9aad4cc6b83636b58e09b46e01c713a82a333e9632fd95",
    "bulk_modulus_kv": "5535abd36e95770708fb59404174a0de1b6ff9245ac5714dcffcc1ff57fb7239",
    "shear_modulus_gv": "9fffd5990b7d695636194dcfd55b154782e58c7befdcb5713ec1248b4e510d5a",
    "ehull": "25b7ca5c43f5dd54fc98ff01e46bc42033e22d0b9e20048d90d628ea35e169ff",
    "magmom_oszicar": "e149212f11e14504d4949d7325e6a3d6fd4377bbc8393fa3feb6fcad4546ec79",
}
DIVISIONS = {
    name: PackagedFile("jarvis-leaderboard", "2024.10.30", f"{_FOLDER}/dft_3d_{name}.json.zip", sha256)
    for name, sha256 in _DIVISIONS.items()
}
"""Official divisions by property, as the package jarvis-leaderboard brings them (its wheel has 72 MB)."""


@dataclass(frozen=True)
class JarvisOptions:
    """What is read of JARVIS-DFT.

    Attributes:
        path: the .json or .json.zip file; fetched once where not given.
        url: where it is fetched.
        sha256: of the file, checked where given.
        split: an official division: a property (``formation_energy_peratom``, ``optb88vdw_bandgap``,
            ``mbj_bandgap``, ``bulk_modulus_kv``, ``shear_modulus_gv``, ``ehull``, ``magmom_oszicar``),
            obtained by package name, or a .json or .json.zip file of {"train": {id: value}, "val": …,
            "test": …}.
        limit: rows drawn at random, by a fixed seed; 0 for all.
        max_sites: larger cells are rejected.
        cache: folder for what is fetched; that of Prismat where not given.
    """

    path: Path | None = None
    url: str = URL
    sha256: str = ""
    split: str = ""
    limit: int = 0
    max_sites: int = MAX_SITES
    cache: Path | None = None

    def open(self) -> "JarvisSource":
        """The source."""
        return JarvisSource(self)


class JarvisSource(MirroredSource):
    """Crystals of JARVIS-DFT with their properties; ``na`` is left out.

    With a division (``JarvisOptions.split``) the tag ``split`` tells the part; ids that the division does not
    name have no such tag.

    Args:
        options: what is read.
        client: asks the server; a polite one where None.
    """

    name = "jarvis"
    licence = "CC BY 4.0"
    citation = "Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1"

    def __init__(self, options: JarvisOptions | None = None, client: Client | None = None) -> None:
        self.options = options or JarvisOptions()
        super().__init__(self.options.limit, client)
        self._division: tuple[Path, str] | None = None

    def _kept_rows(self, progress: Callable[[int], None] | None) -> PageMirror:
        options = self.options
        if options.split:
            division = _division_file(options.split, options.cache)
            self._division = (division, sha256_of(division))
            read_division(*self._division)
        file = DataFile(
            self.name, options.url, options.path, options.sha256, "dft_3d.json.zip", options.cache
        ).obtain(self._client)
        query = {"file": sha256_of(file), "fields": list(_KEPT)}
        mirror = PageMirror(fetched_folder(self.name, query, options.cache), query)
        keep_rows(mirror, lambda: _read_file(file), _PAGE, progress)
        return mirror

    def _described(self) -> Any:
        return [self._division[1] if self._division else "", self.options.max_sites]

    def _id(self, number: int, row: Row) -> str:
        return str(row.get("jid") or f"jarvis-row-{number + 1}")

    def _material(self, number: int, row: Row) -> Material:
        identifier = self._id(number, row)
        if not _known(row.get("jid")):
            raise BadInputError("no id", field="jid", remedy="It is left out.")
        if row.get("twice"):
            raise BadInputError("the id of an earlier row", field="jid", remedy="It is left out.")
        tags = {name: str(row[key]) for key, name in _TAGS.items() if _known(row.get(key))}
        if part := self._part(identifier):
            tags["split"] = part
        return Material(
            identifier,
            check(crystal_of(row.get("atoms")), self.options.max_sites),
            properties=_properties(row),
            tags=tags,
            provenance=Provenance(self.name, identifier, self.licence, self.citation),
        )

    def _part(self, identifier: str) -> str:
        return read_division(*self._division).get(identifier, "") if self._division else ""


def crystal_of(atoms: Any) -> Crystal:
    """The crystal of an ``atoms`` object: ``lattice_mat``, ``coords``, ``elements`` and ``cartesian``.

    Raises:
        BadInputError: a part is missing or of another shape.
    """
    if not isinstance(atoms, Mapping):
        raise BadInputError("no structure", field="atoms", remedy="It is left out.")
    absent = [name for name in ("lattice_mat", "coords", "elements") if name not in atoms]
    if absent:
        raise BadInputError(f"no {absent[0]}", field="atoms", remedy="It is left out.")
    lattice = np.array(atoms["lattice_mat"], dtype=np.float64)
    coords = np.array(atoms["coords"], dtype=np.float64)
    symbols = [str(symbol).strip() for symbol in atoms["elements"]]
    if lattice.shape != (3, 3) or coords.shape != (len(symbols), 3):
        raise BadInputError(
            f"{len(symbols)} elements, positions of shape {coords.shape}, lattice of shape {lattice.shape}",
            field="atoms",
            remedy="It is left out.",
        )
    if str(atoms.get("cartesian")).lower() == "true":
        coords = np.linalg.solve(lattice.T, coords.T).T
    return Crystal(lattice, coords, tuple(element_site(symbol) for symbol in symbols))


def _read_file(file: Path) -> Iterator[Row]:
    """Objects of the array, with the fields that are used."""
    found = (value for _, value in json_members(file, "data"))
    rows = (row if isinstance(row, dict) else {} for row in found)
    ids: set[str] = set()
    for row in seen_fields(rows, _NEEDED, "JARVIS-DFT"):
        identifier = str(row.get("jid"))
        # Releases of 2021 have some ids twice.
        yield {key: row[key] for key in _KEPT if key in row} | ({"twice": True} if identifier in ids else {})
        ids.add(identifier)


def _division_file(split: str, cache: Path | None) -> Path:
    """The file of a division, by the name of its property or as a path."""
    if split in DIVISIONS:
        return locate(DIVISIONS[split], cache)
    if not Path(split).is_file():
        raise BadInputError(
            f"{split!r} is neither a file nor an official division",
            field="split",
            remedy=f"Give a file or one of {', '.join(DIVISIONS)}.",
        )
    return Path(split)


@lru_cache(maxsize=2)
def read_division(path: Path, sha256: str) -> dict[str, str]:  # noqa: ARG001 - the hash is the cache's key
    """Part (train, val or test) by id, of a file as the JARVIS leaderboard publishes it.

    Ids that a division has in two parts, as some official ones do, belong to the one that is not learned
    from: test before val before train.

    Args:
        path: JSON, or a zip archive of it: {"train": {id: value}, "val": {…}, "test": {…}}; lists of ids too.
        sha256: of that file.

    Raises:
        BadInputError: not JSON, or a part is missing.
    """
    parts = {name: value for name, value in json_members(path, "", _DIVISION_LIMITS) if name in _PARTS}
    found: dict[str, str] = {}
    for part in _PARTS:
        ids = parts.get(part)
        if not isinstance(ids, (dict, list)):
            raise BadInputError(
                f"no part {part!r} of ids",
                record=path.name,
                field="split",
                remedy="Give a division of the JARVIS leaderboard.",
            )
        found |= dict.fromkeys(map(str, ids), part)
    return found


def _known(value: Any) -> bool:
    return value not in (None, "", "na")


def _properties(row: Row) -> dict[str, Property]:
    """Numbers among the properties; anything else but ``na`` is an error of the row."""
    found = {}
    for name, unit in UNITS.items():
        if _known(row.get(name)) and math.isfinite(value := float(row[name])):
            found[name] = Property(value, unit)
    return found
