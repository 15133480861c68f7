"""Which file of a folder holds what, and to which record it belongs; decided by names alone."""

import re
from pathlib import Path, PurePosixPath
from typing import Literal

from prismat.formats_image import SUFFIXES as IMAGES

Role = Literal["structure", "xrd", "dos", "phonon_dos", "charge_density", "image"]

PATTERNS = {".xy", ".xye"}
CRYSTALS = {".cif", ".mcif", ".vasp", ".poscar"}
CUBES = {".cube", ".cub"}
FIXED: dict[str, tuple[Role, int]] = {
    "contcar": ("structure", 0),
    "poscar": ("structure", 1),
    "vasprun.xml": ("dos", 0),
    "doscar": ("dos", 1),
    "chgcar": ("charge_density", 0),
    "chg": ("charge_density", 1),
    "total_dos.dat": ("phonon_dos", 0),
}
"""Names that a program always gives: what the file holds, and its rank among those of one run."""

_BY_SUFFIX: dict[str, Role] = {
    **dict.fromkeys(PATTERNS, "xrd"),
    **dict.fromkeys(CRYSTALS, "structure"),
    **dict.fromkeys(CUBES, "charge_density"),
    **dict.fromkeys(IMAGES, "image"),
}
_PREFIXED = re.compile(
    rf"(?P<stem>.+)[._-](?P<fixed>{'|'.join(map(re.escape, FIXED))})(?:\.gz)?", re.IGNORECASE
)
_OF_ITS_OWN: tuple[tuple[re.Pattern[str], Role], ...] = (
    (re.compile(r"(POSCAR|CONTCAR).*", re.IGNORECASE), "structure"),
    (re.compile(r"(CHGCAR|CHG[._-]).*", re.IGNORECASE), "charge_density"),
    (re.compile(r"DOSCAR.*|vasprun.*\.xml", re.IGNORECASE), "dos"),
    (re.compile(r"total_dos.*\.dat", re.IGNORECASE), "phonon_dos"),
)


def role_of(name: str) -> Role | None:
    """What a file holds, by its name; None where it is of no known kind.

    A CIF counts as a structure here; what is in it is seen when it is read.
    """
    fixed = _fixed_of(name)
    if fixed:
        return FIXED[fixed][0]
    base = PurePosixPath(name).name
    suffix = PurePosixPath(base[: -len(".gz")] if _is_packed_cube(base) else base).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    return next((role for pattern, role in _OF_ITS_OWN if pattern.fullmatch(base)), None)


def stem_of(name: str, root: str = "") -> str:
    """The record a file belongs to: its path without what says of which kind it is.

    ``a/b.cif`` → ``a/b``; ``a/b.CHGCAR`` and ``a/b_CHGCAR`` → ``a/b``; ``a/CHGCAR`` → ``a``, since the names
    of a run's files are fixed and its folder tells the material. Files of fixed names in the folder itself
    belong to ``root``. A fixed name with something after it, such as ``POSCAR.iron``, is a record of its own.

    Args:
        name: path relative to the folder.
        root: name of the folder.
    """
    path = PurePosixPath(name)
    base = path.name
    if _exact(base):
        return path.parent.as_posix() if path.parent.name else root or name
    prefixed = _PREFIXED.fullmatch(base)
    if prefixed:
        return path.with_name(prefixed["stem"]).as_posix()
    if _is_packed_cube(base):
        base = base[: -len(".gz")]
        path = path.with_name(base)
    known = path.suffix.lower() in _BY_SUFFIX
    return path.with_suffix("").as_posix() if known else name


def foremost(files: list[str]) -> list[str]:
    """Of files for one window, those that count.

    Files of fixed names come from one run and say the same: CONTCAR is taken before POSCAR, vasprun.xml
    before DOSCAR, CHGCAR before CHG. All others stay, so that two of them are seen to be two.
    """
    ranked = [(FIXED[fixed][1], name) for name in files if (fixed := _fixed_of(name))]
    best = min((rank for rank, _ in ranked), default=0)
    passed = {name for rank, name in ranked if rank > best}
    return [name for name in files if name not in passed]


def find_files(folder: Path) -> list[str]:
    """Files of known kinds below a folder, relative, sorted; no hidden ones, nothing that lies outside."""
    root = folder.resolve()
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        wanted = role_of(relative.as_posix()) is not None
        if wanted and not hidden and path.is_file() and path.resolve().is_relative_to(root):
            found.append(relative.as_posix())
    return sorted(found)


def lookup(stems: dict[str, str]) -> dict[str, set[str]]:
    """Records by every way to name them: path or file name, with or without extension.

    Args:
        stems: record by file.
    """
    names: dict[str, set[str]] = {}
    for file, stem in stems.items():
        for way in {file, stem, PurePosixPath(file).name, PurePosixPath(stem).name}:
            names.setdefault(way, set()).add(stem)
    return names


def _exact(base: str) -> str:
    """The fixed name that a file has, in lower case; empty where it has none."""
    lower = base.lower().removesuffix(".gz")
    return lower if lower in FIXED else ""


def _fixed_of(name: str) -> str:
    """The fixed name in a file's name, alone or behind the name of a record."""
    base = PurePosixPath(name).name
    prefixed = _PREFIXED.fullmatch(base)
    return prefixed["fixed"].lower() if prefixed else _exact(base)


def _is_packed_cube(base: str) -> bool:
    return base.lower().endswith(tuple(f"{suffix}.gz" for suffix in CUBES))
