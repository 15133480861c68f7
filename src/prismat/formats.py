"""Crystals from any form a user may have: objects, files and text; and back to CIF text."""

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prismat.cif import crystal_from_cif
from prismat.crystal import MAX_SITES, Crystal, check, make_site
from prismat.elements import SYMBOLS, atomic_number
from prismat.errors import BadInputError
from prismat.poscar import crystal_from_poscar
from prismat.xyz import molecule_from_xyz

if TYPE_CHECKING:
    from prismat.material import StructureLike

MAX_BYTES = 50_000_000
MAX_COORDINATE = 1e5
_CIF, _POSCAR, _XYZ = "CIF", "POSCAR", "XYZ"


def read_crystal(source: "StructureLike", record: str = "", max_sites: int = MAX_SITES) -> Crystal:
    """Reads a crystal from whatever holds one.

    Args:
        source: a ``Crystal``, a pymatgen ``Structure`` or ``Molecule``, an ase ``Atoms``, the path of a CIF,
            POSCAR or XYZ file, or the text of one of the first two (a string with a line break). Of a CIF
            with several structures the first block with atoms is read. Partial occupancy is kept; deuterium
            counts as hydrogen. What has no lattice (XYZ, a ``Molecule``, ``Atoms`` without periodic
            directions) becomes a molecule.
        record: name used in errors; the path where left out.
        max_sites: more sites than this in the cell are refused.

    Returns:
        The full cell, checked by ``prismat.crystal.check``.

    Raises:
        BadInputError: the source is missing, unreadable, has no atoms, an unknown element, an absurd cell,
            too many sites, or atoms on top of each other; names the record and the field.
    """
    if not record and _is_path(source):
        record = str(source)
    try:
        return check(_within(_convert(source, max_sites)), max_sites)
    except BadInputError as error:
        raise (error.at(record) if record else error) from error.__cause__


def _within(crystal: Crystal) -> Crystal:
    """Coordinates for which lists of neighbours can be made: they end the process at larger ones."""
    farthest = float(np.abs(crystal.frac).max(initial=0))
    if np.isfinite(farthest) and farthest > MAX_COORDINATE:
        raise BadInputError(
            f"a coordinate of {farthest:g}, beyond {MAX_COORDINATE:g}",
            field="coordinates",
            remedy="Check units (Å, or fractions of the cell).",
        )
    return crystal


def _is_path(source: object) -> bool:
    return isinstance(source, Path) or (isinstance(source, str) and "\n" not in source)


def _convert(source: object, max_sites: int) -> Crystal:
    if isinstance(source, Crystal):
        return source
    if _is_path(source):
        path = Path(str(source))
        return _from_text(_read_text(path), _kind_of(path), max_sites)
    if isinstance(source, str):
        return _from_text(source, None, max_sites)
    modules = [kind.__module__ for kind in type(source).__mro__]
    if any(name.startswith("pymatgen.core") for name in modules) and hasattr(source, "cart_coords"):
        return _from_pymatgen(source)
    if "ase.atoms" in modules:
        return _from_ase(source)
    raise BadInputError(
        f"cannot read a crystal from {type(source).__name__}",
        field="structure",
        remedy="Give a pymatgen Structure, an ase Atoms, or a CIF or POSCAR as path or text.",
    )


def _kind_of(path: Path) -> str | None:
    if path.suffix.lower() in {".cif", ".mcif"}:
        return _CIF
    if path.suffix.lower() == ".xyz":
        return _XYZ
    named = path.name.upper().startswith(("POSCAR", "CONTCAR"))
    return _POSCAR if named or path.suffix.lower() in {".vasp", ".poscar"} else None


def _read_text(path: Path) -> str:
    """Text of a file: UTF-16 with its mark, else UTF-8; what is neither (names in old CIFs) is replaced."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInputError(
                f"the file is larger than {MAX_BYTES // 1_000_000} MB", field="file", remedy="Split it."
            )
        content = path.read_bytes()
        is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"cannot open {str(path)[:200]!r}",
            field="file",
            remedy="Give an existing CIF or POSCAR file, or its text.",
        ) from error


def _from_text(text: str, kind: str | None, max_sites: int) -> Crystal:
    if kind is None:
        looks_like_cif = any(line.lstrip().lower().startswith("data_") for line in text.splitlines())
        kind = _CIF if looks_like_cif else _POSCAR
    if kind == _XYZ:
        return molecule_from_xyz(text, max_sites)
    return crystal_from_cif(text) if kind == _CIF else crystal_from_poscar(text, max_sites)


def _from_pymatgen(structure) -> Crystal:
    sites = []
    for site in structure:
        content: dict[int, float] = {}
        for species, occupancy in site.species.items():
            z = atomic_number(species.symbol)
            content[z] = content.get(z, 0.0) + float(occupancy)
        sites.append(make_site(content))
    if not hasattr(structure, "lattice"):
        return Crystal.molecule(structure.cart_coords.reshape(-1, 3), tuple(sites))
    lattice = np.array(structure.lattice.matrix, dtype=np.float64)
    return Crystal(lattice, np.array(structure.frac_coords, dtype=np.float64).reshape(-1, 3), tuple(sites))


def _from_ase(atoms) -> Crystal:
    """Partial occupancies as ase keeps them: ``info["occupancy"]`` by ``arrays["spacegroup_kinds"]``."""
    if not any(atoms.pbc):
        sites = tuple(make_site({atomic_number(symbol): 1.0}) for symbol in atoms.symbols)
        return Crystal.molecule(atoms.get_positions(), sites)
    lattice = np.array(atoms.cell[:], dtype=np.float64)
    if not all(atoms.pbc) or abs(np.linalg.det(lattice)) < 1e-6:
        raise BadInputError(
            "the ase Atoms is periodic in some directions but not in three",
            field="lattice",
            remedy="Set its cell and pbc=True; for a molecule set pbc=False. Slabs and chains are neither.",
        )
    contents: list[dict[int, float]] = [{atomic_number(symbol): 1.0} for symbol in atoms.symbols]
    occupancy, kinds = atoms.info.get("occupancy"), atoms.arrays.get("spacegroup_kinds")
    if occupancy is not None and kinds is not None:
        by_kind = {
            str(kind): {atomic_number(symbol): float(x) for symbol, x in content.items()}
            for kind, content in occupancy.items()
        }
        contents = [by_kind.get(str(kind), content) for kind, content in zip(kinds, contents, strict=True)]
    frac = np.array(atoms.get_scaled_positions(), dtype=np.float64)
    return Crystal(lattice, frac, tuple(make_site(content) for content in contents))


def to_cif(crystal: Crystal, name: str = "crystal") -> str:
    """The full cell as CIF text in P 1, one row for each element of each site; read back by ``read_crystal``.

    Args:
        crystal: any crystal.
        name: data block name; what CIF does not allow in one becomes an underscore.

    Raises:
        BadInputError: a molecule, which CIF has no place for.
    """
    if not crystal.periodic:
        raise BadInputError("a molecule has no cell", record=name, field="structure", remedy="Write XYZ.")
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    cosines = (crystal.lattice @ crystal.lattice.T) / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos(np.clip(cosines[[1, 0, 0], [2, 2, 1]], -1, 1)))
    block = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)[:60] or "crystal"
    lines = [f"data_{block}", "_symmetry_space_group_name_H-M 'P 1'"]
    lines += [f"_cell_length_{axis} {x:.12g}" for axis, x in zip("abc", lengths, strict=True)]
    names = ("alpha", "beta", "gamma")
    lines += [f"_cell_angle_{axis} {x:.12g}" for axis, x in zip(names, angles, strict=True)]
    lines += ["loop_", "_symmetry_equiv_pos_as_xyz", "'x,y,z'", "loop_"]
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    lines += [f"_atom_site_{column}" for column in columns]
    for i, (site, (x, y, z)) in enumerate(zip(crystal.sites, crystal.frac.tolist(), strict=True)):
        for number, occupancy in site:
            symbol = SYMBOLS[number]
            lines.append(f"{symbol}{i} {symbol} {x:.12g} {y:.12g} {z:.12g} {occupancy:.12g}")
    return "\n".join(lines) + "\n"
