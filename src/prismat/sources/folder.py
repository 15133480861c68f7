"""A directory of crystal files, with powder patterns beside them and a table of what is known, if any."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from prismat.crystal import MAX_SITES
from prismat.errors import BadInputError
from prismat.files import sha256
from prismat.formats import read_crystal
from prismat.material import Material, Provenance, Reject
from prismat.measurements import Pattern
from prismat.sources.folder_table import TABLES, Facts, read_facts

PATTERNS = {".xy", ".xye"}
CRYSTALS = {".cif", ".mcif", ".vasp", ".poscar"}


@dataclass(frozen=True)
class _Row:
    """What belongs to one record; paths are relative to the folder."""

    id: str
    crystals: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    facts: Facts = field(default_factory=Facts)
    problem: str = ""


class FolderSource:
    """Materials from a user's own files.

    Every CIF or POSCAR file under the folder is a record, named by its path without extension; a ``.xy`` or
    ``.xye`` file of the same name is its powder pattern (alone, it is a record too). A table, CSV or Parquet,
    adds to the records that its column ``file`` or ``id`` names; see ``folder_table.read_facts``. Rows of the
    table come first, in its order; then the files that it does not name, sorted.

    The table never names a path to open: its entries are looked up among the files that were found, and links
    that lead out of the folder are not among them.

    Args:
        folder: directory, read with its subdirectories; hidden files are left out.
        table: the table, inside or outside the folder; the only .csv or .parquet in it where None.
        licence: terms of the data, kept in every record.
        citation: whom to cite, kept in every record.
        max_sites: larger cells are rejected.

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
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise BadInputError("no such folder", record=str(folder), remedy="Give an existing directory.")
        self.table = Path(table) if table is not None else _only_table(self.folder)
        self.licence, self.citation, self.max_sites = licence, citation, max_sites
        if not self._rows:
            raise BadInputError(
                "no CIF, POSCAR or .xy files and no table",
                record=str(folder),
                remedy="Put files with these extensions into it.",
            )

    def fingerprint(self) -> str:
        """SHA-256 over names and contents of all files that are read, and the reading options."""
        total = hashlib.sha256(f"{self.licence}\0{self.citation}\0{self.max_sites}".encode())
        for name in self._files:
            total.update(f"\0{name}\0{sha256(self.folder / name)}".encode())
        if self.table is not None:
            total.update(f"\0table\0{sha256(self.table)}".encode())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Iterator[Material | Reject]:
        """Materials of rows start … stop − 1; a row that cannot be one comes as a Reject."""
        for row in self._rows[start:stop]:
            try:
                yield self._material(row)
            except Exception as error:
                yield Reject.because(row.id, error)

    def __getstate__(self) -> dict[str, object]:
        """Travels to worker processes as paths; the folder is listed again there."""
        return {k: v for k, v in self.__dict__.items() if k not in {"_rows", "_files"}}

    @cached_property
    def _files(self) -> list[str]:
        """Crystal and pattern files, relative, sorted; nothing that lies outside the folder."""
        root = self.folder.resolve()
        found = []
        for path in self.folder.rglob("*"):
            relative = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in relative.parts)
            wanted = _is_crystal(path.name) or path.suffix.lower() in PATTERNS
            if wanted and not hidden and path.is_file() and path.resolve().is_relative_to(root):
                found.append(relative.as_posix())
        return sorted(found)

    @cached_property
    def _rows(self) -> list[_Row]:
        groups: dict[str, list[str]] = {}
        for name in self._files:
            groups.setdefault(_stem(name), []).append(name)
        names = _lookup(self._files)
        facts = read_facts(self.table) if self.table is not None else []
        rows = [_row_of(entry, groups, names) for entry in facts]
        used = {name for row in rows for name in (*row.crystals, *row.patterns)}
        taken = {row.id for row in rows}
        for stem, files in groups.items():
            rows += _rows_of_files(stem, [name for name in files if name not in used], taken)
        ids = [row.id for row in rows]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise BadInputError(
                f"the id {twice!r} occurs twice",
                record=str(self.folder),
                remedy="Rename the file or the row.",
            )
        return rows

    def _material(self, row: _Row) -> Material:
        if row.problem:
            raise BadInputError(row.problem)
        if len(row.crystals) > 1 or len(row.patterns) > 1:
            several = row.crystals if len(row.crystals) > 1 else row.patterns
            raise BadInputError(f"several files for one record: {', '.join(several)}")
        structure = None
        if row.crystals:
            structure = read_crystal(self.folder / row.crystals[0], row.id, self.max_sites)
        measurements = {"xrd": self._pattern(row)} if row.patterns else {}
        if structure is None and not measurements and not row.facts.texts:
            raise BadInputError("neither a structure nor a pattern nor a text")
        return Material(
            id=row.id,
            structure=structure,
            texts=dict(row.facts.texts),
            measurements=measurements,
            properties=dict(row.facts.properties),
            tags=dict(row.facts.tags),
            provenance=Provenance(self.name, row.id, self.licence, self.citation),
        )

    def _pattern(self, row: _Row) -> Pattern:
        from prismat.formats_xrd import read_xy

        return read_xy(self.folder / row.patterns[0], record=row.id)


def _only_table(folder: Path) -> Path | None:
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in TABLES and p.is_file())
    if len(found) > 1:
        raise BadInputError(
            f"several tables: {', '.join(p.name for p in found)}", record=str(folder), remedy="Say which one."
        )
    if found and not found[0].resolve().is_relative_to(folder.resolve()):
        raise BadInputError(
            f"{found[0].name} is a link that leads out of the folder",
            record=str(folder),
            remedy="Name the table yourself if you trust it.",
        )
    return found[0] if found else None


def _is_crystal(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in CRYSTALS or path.name.upper().startswith(("POSCAR", "CONTCAR"))


def _stem(name: str) -> str:
    """Path without the extension of a known kind (POSCAR.quartz keeps its dot)."""
    path = PurePosixPath(name)
    known = path.suffix.lower() in CRYSTALS | PATTERNS
    return path.with_suffix("").as_posix() if known else name


def _lookup(files: list[str]) -> dict[str, set[str]]:
    """Stems by every way to name them: path or file name, with or without extension."""
    names: dict[str, set[str]] = {}
    for file in files:
        stem = _stem(file)
        for way in {file, stem, PurePosixPath(file).name, PurePosixPath(stem).name}:
            names.setdefault(way, set()).add(stem)
    return names


def _row_of(facts: Facts, groups: dict[str, list[str]], names: dict[str, set[str]]) -> _Row:
    """One row of the table with the files it names."""
    wanted = facts.file or facts.id
    # A full path, or path without extension, wins over equal names in other subdirectories.
    stems = {_stem(wanted)} if _stem(wanted) in groups else names.get(wanted, set())
    identifier = facts.id or _stem(facts.file)
    if len(stems) > 1:
        return _Row(identifier, problem=f"{wanted!r} names several files: {', '.join(sorted(stems))}")
    if not stems:
        missing = f"the folder has no file {facts.file!r}" if facts.file else ""
        return _Row(identifier, facts=facts, problem=missing)
    files = groups[next(iter(stems))]
    # A name with its extension picks that file alone among crystals of one stem.
    exact = [name for name in files if name == wanted or PurePosixPath(name).name == wanted]
    crystals = [name for name in exact if _is_crystal(name)] or [n for n in files if _is_crystal(n)]
    patterns = [name for name in files if not _is_crystal(name)]
    return _Row(identifier, tuple(crystals), tuple(patterns), facts)


def _rows_of_files(stem: str, files: list[str], taken: set[str]) -> list[_Row]:
    """Records of files that no table names; crystals that share a stem keep their extensions."""
    crystals = [name for name in files if _is_crystal(name)]
    patterns = tuple(name for name in files if not _is_crystal(name))
    if len(crystals) <= 1 and files and stem not in taken:
        return [_Row(stem, tuple(crystals), patterns)]
    return (
        [_Row(name, (name,), patterns) for name in crystals]
        if crystals
        else [_Row(name, (), (name,)) for name in patterns]
    )
