"""A directory of pictures with labels: subfolders that name classes, or a table."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from prismat.errors import BadInputError
from prismat.formats_image import SUFFIXES, read_image
from prismat.material import Material, Provenance
from prismat.sources.file_rows import FileRows
from prismat.sources.folder_table import Facts, only_table, read_facts

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names of folders that are parts of a division."""
_TAGS = ("label", "group", "split")


@dataclass(frozen=True)
class ImagesOptions:
    """A folder of pictures with labels.

    Attributes:
        path: the folder; without a table its subfolders name the classes.
        labels: CSV or Parquet with ``file`` and ``label``, ``group`` or numeric columns with units; the only
            table in the folder where not given.
        kind: how the pictures were taken: ``sem``, ``optical`` …
        licence: terms of the data, kept with every record.
        citation: what to cite.
    """

    path: Path
    labels: Path | None = None
    kind: str = ""
    licence: str = ""
    citation: str = ""

    def open(self) -> "ImagesSource":
        """The source."""
        return ImagesSource(self.path, self.labels, self.kind, self.licence, self.citation)


@dataclass(frozen=True)
class _Row:
    """One record: its picture, relative to the folder, and what is known of it."""

    id: str
    image: str = ""
    facts: Facts = field(default_factory=Facts)
    problem: str = ""


class ImagesSource(FileRows[_Row]):
    """Pictures as materials, with a class (tag ``label``) or measured values (properties).

    Without a table the first subfolder names the class: ``cracked/1.png``. Folders named train, val (valid,
    validation) and test above it are a division (tag ``split``): ``train/cracked/1.png``.

    With a table its columns are those of ``folder_table.read_facts``; ``label``, ``group`` and ``split`` are
    tags even where they are numbers, other numbers carry their unit: ``defect_probability []``. Records of
    one ``group`` are kept together by a split. Rows of the table come first, in its order; then pictures that
    it does not name, without a label. The table never names a path to open: pictures are looked up among
    those that were found, and links that lead out of the folder are not among them.

    Args:
        folder: directory, read with its subdirectories; hidden files are left out.
        labels: the table, inside or outside the folder; the only .csv or .parquet in it where None.
        kind: how the pictures were taken, kept with them.
        licence: terms of the data, kept in every record.
        citation: whom to cite, kept in every record.

    Raises:
        BadInputError: no such folder, no picture in it, several tables, or a table that cannot be used.
    """

    name = "images"

    def __init__(
        self,
        folder: Path,
        labels: Path | None = None,
        kind: str = "",
        licence: str = "",
        citation: str = "",
    ) -> None:
        super().__init__(folder, Path(labels) if labels is not None else None)
        self.table = self.table or only_table(self.folder)
        self.kind, self.licence, self.citation = kind, licence, citation
        if not self._files:
            raise BadInputError(
                "no pictures in it", record=str(folder), remedy="Put PNG, TIFF or JPEG files into it."
            )
        # Errors of the table come before any work.
        len(self)

    def fingerprint(self) -> str:
        """SHA-256 over names and contents of all pictures and the table, and the options."""
        return self.fingerprint_of((self.kind, self.licence, self.citation))

    @cached_property
    def _files(self) -> list[str]:
        """Pictures, relative, sorted; nothing that lies outside the folder."""
        root = self.folder.resolve()
        found = []
        for path in self.folder.rglob("*"):
            relative = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in relative.parts)
            wanted = path.suffix.lower() in SUFFIXES and not hidden and path.is_file()
            if wanted and path.resolve().is_relative_to(root):
                found.append(relative.as_posix())
        return sorted(found)

    @cached_property
    def _rows(self) -> list[_Row]:
        ids = _identifiers(self._files)
        if self.table is None:
            return [_Row(ids[name], name, Facts(tags=_folder_tags(name))) for name in self._files]
        ways: dict[str, set[str]] = {}
        for name in self._files:
            plain = PurePosixPath(name)
            for way in {name, plain.with_suffix("").as_posix(), plain.name, plain.stem}:
                ways.setdefault(way, set()).add(name)
        rows = [_row_of(facts, ways, ids) for facts in read_facts(self.table, _TAGS)]
        used = {row.image for row in rows}
        rows += [_Row(ids[name], name) for name in self._files if name not in used]
        _check_ids(rows, self.folder)
        return rows

    def _material(self, row: _Row) -> Material:
        if row.problem:
            raise BadInputError(row.problem)
        return Material(
            id=row.id,
            texts=dict(row.facts.texts),
            measurements={"image": read_image(self.folder / row.image, row.id, self.kind)},
            properties=dict(row.facts.properties),
            tags=dict(row.facts.tags),
            provenance=Provenance(self.name, row.image, self.licence, self.citation),
        )


def _identifiers(files: list[str]) -> dict[str, str]:
    """Paths without extensions; with them where two pictures differ in nothing else."""
    stems = {name: PurePosixPath(name).with_suffix("").as_posix() for name in files}
    count = Counter(stems.values())
    return {name: name if count[stem] > 1 else stem for name, stem in stems.items()}


def _folder_tags(name: str) -> dict[str, str]:
    """Class and part of a division that the folders above a picture name."""
    folders = list(PurePosixPath(name).parts[:-1])
    tags = {}
    if folders and folders[0].lower() in SPLITS:
        tags["split"] = SPLITS[folders.pop(0).lower()]
    return {"label": folders[0], **tags} if folders else tags


def _row_of(facts: Facts, ways: dict[str, set[str]], ids: dict[str, str]) -> _Row:
    """One row of the table with the picture it names."""
    wanted = facts.file or facts.id
    found = {wanted} if wanted in ids else ways.get(wanted, set())
    if len(found) == 1:
        image = next(iter(found))
        return _Row(facts.id or ids[image], image, facts)
    problem = (
        f"{wanted!r} names several pictures: {', '.join(sorted(found))}"
        if found
        else f"the folder has no picture {wanted!r}"
    )
    return _Row(facts.id or wanted, facts=facts, problem=problem)


def _check_ids(rows: list[_Row], folder: Path) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise BadInputError(
                f"the id {row.id!r} occurs twice", record=str(folder), remedy="Give every row its own id."
            )
        seen.add(row.id)
