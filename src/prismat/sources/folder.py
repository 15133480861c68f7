"""A directory of files: crystals, patterns, densities of states, charge densities, pictures, and a table."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError
from prismat.material import Material, Provenance
from prismat.measurements import DensityKind
from prismat.sources.file_rows import FileRows
from prismat.sources.folder_files import Role, find_files, foremost, lookup, role_of, stem_of
from prismat.sources.folder_read import ReadingOptions, is_pattern_only, read_record
from prismat.sources.folder_table import Facts, only_table, read_facts


@dataclass(frozen=True)
class FolderOptions:
    """Your own files: CIF or POSCAR with patterns, densities of states, charge densities and pictures.

    Attributes:
        path: the folder.
        table: CSV or Parquet with ids, texts, tags and properties; the only one in it where not given.
        licence: terms of the data, kept with every record.
        citation: what to cite.
        max_sites: larger cells are rejected.
        image_kind: how pictures were taken: ``sem`` …
        cube_density: which electrons cube files count.
    """

    path: Path
    table: Path | None = None
    licence: str = ""
    citation: str = ""
    max_sites: int = MAX_SITES
    image_kind: str = ""
    cube_density: DensityKind = "unlabelled"

    def open(self) -> "FolderSource":
        """The source."""
        return FolderSource(
            self.path,
            self.table,
            self.licence,
            self.citation,
            self.max_sites,
            self.image_kind,
            self.cube_density,
        )


@dataclass(frozen=True)
class _Row:
    """What belongs to one record; paths are relative to the folder."""

    id: str
    files: dict[Role, list[str]] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    problem: str = ""


class FolderSource(FileRows[_Row]):
    """Materials from a user's own files.

    Files of one name, apart from their extension, are one record, named by their path:

    - structure: CIF or POSCAR (``.cif``, ``.mcif``, ``.vasp``, ``.poscar``, ``POSCAR``, ``CONTCAR``); without
      one, that of the charge density or of vasprun.xml.
    - diffraction: ``.xy``, ``.xye``, or the powder columns of a CIF.
    - density of states: ``vasprun.xml`` or ``DOSCAR``; of phonons: phonopy's ``total_dos.dat``.
    - charge density: ``CHGCAR``, ``CHG``, ``.cube``.
    - picture: ``.png``, ``.tif``, ``.tiff``, ``.jpg``, ``.jpeg``.

    Names that a program always gives belong to the record before them (``salt.CHGCAR``, ``salt_CHGCAR``) or,
    alone, to the folder they are in: ``salt/POSCAR``, ``salt/vasprun.xml`` and ``salt/CHGCAR`` are the record
    ``salt``. Of one run's files CONTCAR counts before POSCAR, vasprun.xml before DOSCAR, CHGCAR before CHG. A
    record with a file that cannot be read, or with two for one window, is rejected as a whole.

    A table, CSV or Parquet, adds to the records that its column ``file`` or ``id`` names; see
    ``folder_table.read_facts``. Rows of the table come first, in its order; then the files that it does not
    name, sorted. The table never names a path to open: its entries are looked up among the files that were
    found, and links that lead out of the folder are not among them.

    Args:
        folder: directory, read with its subdirectories; hidden files are left out.
        table: the table, inside or outside the folder; the only .csv or .parquet in it where None.
        licence: terms of the data, kept in every record.
        citation: whom to cite, kept in every record.
        max_sites: larger cells are rejected.
        image_kind: how pictures were taken, kept with them.
        cube_density: which electrons cube files count.

    Raises:
        BadInputError: no such folder, nothing in it, several tables, or a table that cannot be used.
    """

    name = "folder"

    def __init__(
        self,
        folder: Path,
        table: Path | None = None,
        licence: str = "",
        citation: str = "",
        max_sites: int = MAX_SITES,
        image_kind: str = "",
        cube_density: DensityKind = "unlabelled",
    ) -> None:
        super().__init__(folder, Path(table) if table is not None else None)
        self.table = self.table or only_table(self.folder)
        self.licence, self.citation = licence, citation
        self.reading = ReadingOptions(max_sites, image_kind, cube_density)
        if not self._rows:
            raise BadInputError(
                "no files of a known kind and no table",
                record=str(folder),
                remedy="Put CIF, POSCAR, .xy, CHGCAR, vasprun.xml or image files into it.",
            )

    def fingerprint(self) -> str:
        """SHA-256 over names and contents of all files that are read, and the reading options."""
        options = [self.licence, self.citation, str(self.reading.max_sites)]
        if self.reading != ReadingOptions(self.reading.max_sites):
            options += [self.reading.image_kind, self.reading.cube_density]
        return self.fingerprint_of(options)

    @cached_property
    def _files(self) -> list[str]:
        """Files of known kinds, relative, sorted; nothing that lies outside the folder."""
        return find_files(self.folder)

    @cached_property
    def _rows(self) -> list[_Row]:
        root = self.folder.resolve().name
        stems = {name: stem_of(name, root) for name in self._files}
        groups: dict[str, list[str]] = {}
        for name, stem in stems.items():
            groups.setdefault(stem, []).append(name)
        names = lookup(stems)
        facts = read_facts(self.table) if self.table is not None else []
        rows = [self._row_of(entry, groups, names) for entry in facts]
        used = {name for row in rows for files in row.files.values() for name in files}
        taken = {row.id for row in rows}
        for stem, files in groups.items():
            rows += self._rows_of_files(stem, [name for name in files if name not in used], taken)
        ids = [row.id for row in rows]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise BadInputError(
                f"the id {twice!r} occurs twice",
                record=str(self.folder),
                remedy="Rename the file or the row.",
            )
        return rows

    def _row_of(self, facts: Facts, groups: dict[str, list[str]], names: dict[str, set[str]]) -> _Row:
        """One row of the table with the files it names."""
        wanted = facts.file or facts.id
        plain = stem_of(wanted) if role_of(wanted) else wanted
        # A full path, or path without extension, wins over equal names in other subdirectories.
        stems = {plain} if plain in groups else names.get(wanted, set())
        identifier = facts.id or plain
        if len(stems) > 1:
            return _Row(identifier, problem=f"{wanted!r} names several files: {', '.join(sorted(stems))}")
        if not stems:
            missing = f"the folder has no file {facts.file!r}" if facts.file else ""
            return _Row(identifier, facts=facts, problem=missing)
        files = self._by_role(groups[next(iter(stems))])
        # A name with its extension picks that file alone among crystals of one stem.
        crystals = files.get("structure", [])
        exact = [name for name in crystals if name == wanted or PurePosixPath(name).name == wanted]
        if exact:
            files["structure"] = exact
        return _Row(identifier, files, facts)

    def _by_role(self, names: list[str]) -> dict[Role, list[str]]:
        """Files of one record by what they hold; only where there are several CIFs are they looked into."""
        files: dict[Role, list[str]] = {}
        for name in names:
            role = role_of(name)
            if role is not None:
                files.setdefault(role, []).append(name)
        crystals = files.get("structure", [])
        if len(foremost(crystals)) > 1:
            patterns = [name for name in crystals if is_pattern_only(self.folder, name)]
            if patterns:
                files["structure"] = [name for name in crystals if name not in patterns]
                files["xrd"] = [*files.get("xrd", ()), *patterns]
        return files

    def _rows_of_files(self, stem: str, names: list[str], taken: set[str]) -> list[_Row]:
        """Records of files that no table names; crystals that share a stem keep their extensions."""
        files = self._by_role(names)
        crystals = foremost(files.pop("structure", []))
        if len(crystals) <= 1 and names and stem not in taken:
            return [_Row(stem, {"structure": crystals, **files} if crystals else files)]
        if crystals:
            return [_Row(name, {"structure": [name], **files}) for name in crystals]
        return [_Row(name, {role: [name]}) for role, several in files.items() for name in several]

    def _material(self, row: _Row) -> Material:
        if row.problem:
            raise BadInputError(row.problem)
        structure, measurements = read_record(self.folder, row.files, row.id, self.reading)
        if structure is None and not measurements and not row.facts.texts:
            raise BadInputError("neither a structure nor a measurement nor a text")
        return Material(
            id=row.id,
            structure=structure,
            texts=dict(row.facts.texts),
            measurements=measurements,
            properties=dict(row.facts.properties),
            tags=dict(row.facts.tags),
            provenance=Provenance(self.name, row.id, self.licence, self.citation),
        )
