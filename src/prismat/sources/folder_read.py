"""The files of one record of a folder, read into a structure and measurements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prismat.crystal import MAX_SITES, Crystal
from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.formats import read_crystal
from prismat.measurements import ChargeDensity, DensityKind, Dos, Measurement
from prismat.sources.folder_files import CUBES, Role, foremost, role_of
from prismat.sources.folder_powder import (
    has_atoms,
    has_powder_data,
    is_xray_scan,
    parse_powder_cif,
    read_cif_text,
)


@dataclass(frozen=True)
class ReadingOptions:
    """What the files do not say of themselves.

    Attributes:
        max_sites: larger cells are rejected.
        image_kind: how pictures were taken: ``sem`` …
        cube_density: which electrons cube files count.
    """

    max_sites: int = MAX_SITES
    image_kind: str = ""
    cube_density: DensityKind = "unlabelled"


@dataclass
class Read:
    """What was read so far.

    Attributes:
        structures: crystal by the file it came from, best first.
        measurements: by window.
    """

    structures: dict[str, Crystal] = field(default_factory=dict)
    measurements: dict[str, Measurement] = field(default_factory=dict)

    def structure(self) -> Crystal | None:
        """The crystal of the best file, where all files agree in their elements.

        Raises:
            BadInputError: two files have crystals of other compositions.
        """
        if not self.structures:
            return None
        (first, crystal), *others = self.structures.items()
        for name, other in others:
            if other.formula != crystal.formula:
                raise BadInputError(f"{first} is {crystal.formula} and {name} is {other.formula}")
        return crystal


def read_record(
    folder: Path, files: Mapping[Role, list[str]], record: str, options: ReadingOptions
) -> tuple[Crystal | None, dict[str, Measurement]]:
    """Structure and measurements of a record.

    The structure comes from the crystal file; without one from the charge density, and else from vasprun.xml.

    Args:
        folder: the source's folder.
        files: paths relative to it, by what they hold.
        record: name for error messages.
        options: what the files do not say.

    Raises:
        BadInputError: several files for one window, one that cannot be read, or files that contradict each
            other; names the files.
    """
    found = Read()
    chosen = {role: foremost(names) for role, names in files.items()}
    patterns = list(chosen.get("xrd", ()))
    for role in ("structure", "xrd", "charge_density", "dos", "phonon_dos", "image"):
        names = chosen.get(role, [])
        if role == "xrd":
            names = patterns
        if len(names) > 1:
            raise BadInputError(f"several files for one record: {', '.join(names)}")
        for name in names:
            try:
                patterns += _read(folder, name, role, found, record, options)
            except BadInputError as error:
                raise BadInputError(f"{name}: {error.problem}", record=record, field=error.field) from error
    return found.structure(), found.measurements


def is_pattern_only(folder: Path, name: str) -> bool:
    """Whether a file is a CIF with a powder pattern and without atoms."""
    if Path(name).suffix.lower() != ".cif" or role_of(name) != "structure":
        return False
    try:
        text = read_cif_text(folder / name)
    except BadInputError:
        # Said when the file is read.
        return False
    return has_powder_data(text) and not has_atoms(text)


def _read(
    folder: Path, name: str, role: Role, found: Read, record: str, options: ReadingOptions
) -> list[str]:
    """Reads one file; returns its name again where a CIF turns out to hold a pattern as well."""
    path = folder / name
    if role == "structure":
        if path.suffix.lower() != ".cif":
            found.structures[name] = read_crystal(path, record, options.max_sites)
            return []
        text = read_cif_text(path)
        if has_atoms(text) or not has_powder_data(text):
            found.structures[name] = read_crystal(f"{text}\n", record, options.max_sites)
            return [name] if is_xray_scan(text) else []
        return [name]
    if role == "xrd":
        found.measurements["xrd"] = _pattern(path, record)
    elif role == "charge_density":
        crystal, density = _density(path, record, options)
        found.structures[name], found.measurements["charge_density"] = crystal, density
    elif role == "image":
        from prismat.formats_image import read_image

        found.measurements["image"] = read_image(path, record, options.image_kind)
    else:
        found.measurements[role] = _dos(path, role)
        if role == "dos" and path.suffix.lower() == ".xml" and not found.structures:
            from prismat.sources.folder_vasprun import structure_of_vasprun

            found.structures[name] = structure_of_vasprun(path, record, options.max_sites)
    return []


def _pattern(path: Path, record: str) -> Measurement:
    from prismat.formats_xrd import read_xy

    if path.suffix.lower() == ".cif":
        return parse_powder_cif(read_cif_text(path), record)
    return read_xy(path, record=record)


def _density(path: Path, record: str, options: ReadingOptions) -> tuple[Crystal, ChargeDensity]:
    from prismat.formats_density import read_chgcar, read_cube

    if path.name.lower().removesuffix(".gz").endswith(tuple(CUBES)):
        return read_cube(path, record, options.cube_density)
    return read_chgcar(path, record)


def _dos(path: Path, role: Role) -> Dos:
    """A density of states; files named ``mat1.DOSCAR`` are read like ``DOSCAR``."""
    from prismat.formats_dos import MAX_BYTES, dos_of_vasprun, parse_doscar, parse_phonopy
    from prismat.vasprun import read_vasprun

    if path.suffix.lower() == ".xml":
        return dos_of_vasprun(read_vasprun(path), path.name)
    parse = parse_phonopy if role == "phonon_dos" else parse_doscar
    return parse(read_limited(path, MAX_BYTES).decode("utf-8-sig", errors="replace"), path.name)
