"""Readers of charge densities: CHGCAR and CHG files of VASP, and Gaussian cube files."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.crystal import MAX_SITES, Crystal, check
from prismat.elements import MAX_Z
from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.measurements import ChargeDensity, DensityKind
from prismat.modalities.resample_grid import check_density, check_shape
from prismat.poscar import crystal_from_poscar

MAX_BYTES = 600_000_000
MAX_VALUES = 1 << 25
"""Grid points: 322³. Larger grids gain nothing for a network of 32³ and cost gigabytes."""
MAX_VALUE = 1e30
"""Larger numbers are no density, and their sums overflow."""
MAX_HEADER = 1_000_000
"""Bytes within which the grid's dimensions must come."""
BOHR = 0.529177210903
"""Å (CODATA 2018)."""

_FIELD = "charge_density"
_OTHER_QUANTITIES = ("LOCPOT", "ELFCAR", "SPINCAR", "PARCHG", "AECCAR")
_LOST_EXPONENT = re.compile(rb"(\d)([+-]\d{3})(?!\d)")


def read_chgcar(
    source: str | Path, record: str = "", kind: DensityKind = "valence"
) -> tuple[Crystal, ChargeDensity]:
    """Structure and total density of a CHGCAR or CHG file, plain or gzipped.

    Args:
        source: a path. Callers that take content from strangers use ``parse_chgcar``, which opens no file.
        record: name for error messages; the file's name where empty.
        kind: VASP's CHGCAR holds the valence electrons of its potentials.

    Raises:
        BadInputError: no such file, a file larger than ``MAX_BYTES`` (unpacked), a file that by its name
            holds another quantity, or content that ``parse_chgcar`` refuses.
    """
    path = Path(source)
    record = record or path.name
    if kind == "valence" and path.name.upper().startswith(_OTHER_QUANTITIES):
        raise BadInputError(
            f"{path.name} does not hold the valence density",
            record=record,
            field=_FIELD,
            remedy="Give the CHGCAR; for the sum of AECCAR0 and AECCAR2 say kind='all-electron'.",
        )
    return parse_chgcar(_read(path, record), record, kind)


def parse_chgcar(
    content: str | bytes, record: str = "", kind: DensityKind = "valence"
) -> tuple[Crystal, ChargeDensity]:
    """Structure and total density from the content of a CHGCAR or CHG file.

    The values are ρ·V with x running fastest, and are divided by the cell's volume. Only the first block,
    spin up plus spin down, is read: augmentation occupancies and magnetisation blocks follow it.

    Args:
        content: the file as text or bytes.
        record: name for error messages.
        kind: which electrons the file counts.

    Returns:
        The crystal, and its density in e/Å³.

    Raises:
        BadInputError: content that is too large, no POSCAR header with named elements, dimensions that are
            missing or out of range, fewer or more values than they say, or a density or crystal that cannot
            be.
    """
    data = _as_bytes(content, record)
    header, line, start = _split_chgcar(data, record)
    try:
        crystal = check(crystal_from_poscar(header))
    except BadInputError as error:
        raise error.at(record) from error
    shape = _shape(line, record)
    values, end = _block(data, start, shape, record)
    _check_what_follows(data[end : end + 64 * (len(crystal) + 8)].split(), line.split(), len(crystal), record)
    grid = values.reshape(shape, order="F") / crystal.volume
    return crystal, check_density(ChargeDensity(grid, crystal.lattice, kind), record)


def read_cube(
    source: str | Path, record: str = "", kind: DensityKind = "unlabelled"
) -> tuple[Crystal, ChargeDensity]:
    """Structure and density of a Gaussian cube file, plain or gzipped.

    Args:
        source: a path. Callers that take content from strangers use ``parse_cube``, which opens no file.
        record: name for error messages; the file's name where empty.
        kind: which electrons the program counted; a cube file does not say.

    Raises:
        BadInputError: no such file, a file larger than ``MAX_BYTES`` (unpacked), or content that
            ``parse_cube`` refuses.
    """
    path = Path(source)
    record = record or path.name
    return parse_cube(_read(path, record), record, kind)


def parse_cube(
    content: str | bytes, record: str = "", kind: DensityKind = "unlabelled"
) -> tuple[Crystal, ChargeDensity]:
    """Structure and density from the content of a Gaussian cube file.

    The box of voxels is taken as the periodic cell, which is right for plane-wave programs and for molecules
    with enough room around them. Atoms are counted from the origin of the box, where the grid begins.
    Lengths are bohr, or Å where the number of voxels is negative; values are e/bohr³ with z running fastest.
    Ghost atoms (number 0) are left out.

    Args:
        content: the file as text or bytes.
        record: name for error messages.
        kind: which electrons the program counted.

    Returns:
        The crystal, and its density in e/Å³.

    Raises:
        BadInputError: content that is too large, a header that is not a cube file's, orbitals or several
            values per voxel, fewer or more values than the header says, or a density or crystal that cannot
            be.
    """
    data = _as_bytes(content, record)
    lines, start = _cube_header(data, record)
    atoms = _cube_numbers(lines[2], 4, record)
    if atoms[0] < 0 or (len(atoms) > 4 and atoms[4] != 1):
        raise BadInputError(
            "orbitals, or several values per voxel",
            record=record,
            field=_FIELD,
            remedy="Write a cube file of the total electron density.",
        )
    axes = np.array([_cube_numbers(line, 4, record)[:4] for line in lines[3:6]])
    if (axes[:, 0] % 1 != 0).any():
        raise BadInputError(
            "a number of voxels that is no integer",
            record=record,
            field="cube header",
            remedy="Give the number of voxels first on each of the lines 4 to 6.",
        )
    shape = _shape(" ".join(f"{abs(n):.0f}" for n in axes[:, 0]).encode(), record)
    unit = BOHR if (axes[:, 0] > 0).all() else 1.0
    lattice = axes[:, 1:] * np.abs(axes[:, :1]) * unit
    crystal = _cube_crystal(lines[6:], lattice, atoms[1:4] * unit, unit, record)
    values, end = _block(data, start, shape, record)
    if data[end : end + 64].split():
        raise _wrong_count(shape, record, "more")
    grid = values.reshape(shape) / BOHR**3
    return crystal, check_density(ChargeDensity(grid, lattice, kind), record)


def _read(path: Path, record: str) -> bytes:
    return read_limited(path, MAX_BYTES, record, packed=path.suffix.lower() == ".gz")


def _as_bytes(content: str | bytes, record: str) -> bytes:
    if len(content) > MAX_BYTES:
        raise BadInputError(
            f"larger than {MAX_BYTES // 1_000_000} MB",
            record=record,
            field=_FIELD,
            remedy="Write the density on a coarser grid; CHG files are coarser than CHGCAR.",
        )
    data = content.encode(errors="replace") if isinstance(content, str) else content
    return data.replace(b"\r\n", b"\n") if b"\r" in data[:MAX_HEADER] else data


def _split_chgcar(data: bytes, record: str) -> tuple[str, bytes, int]:
    """The POSCAR part, the line of dimensions, and where the values begin."""
    lines = data[:MAX_HEADER].split(b"\n")
    # The comment may be empty; the line that ends the coordinates always is.
    blank = next((i for i in range(8, len(lines)) if not lines[i].strip()), 0)
    if not blank or blank + 2 >= len(lines):
        raise BadInputError(
            "no empty line and grid dimensions after the coordinates",
            record=record,
            field=_FIELD,
            remedy="Give a CHGCAR or CHG file as VASP writes it.",
        )
    start = sum(len(line) + 1 for line in lines[: blank + 2])
    header = b"\n".join(lines[:blank]).decode("utf-8", errors="replace")
    return header, lines[blank + 1], start


def _shape(line: bytes, record: str) -> tuple[int, int, int]:
    words = line.split()
    if len(words) != 3 or not all(re.fullmatch(rb"[0-9]{1,5}", word) for word in words):
        raise BadInputError(
            f"{line[:60].decode(errors='replace').strip()!r} where three grid dimensions belong",
            record=record,
            field=_FIELD,
            remedy="Give a three-dimensional grid, NX NY NZ on one line.",
        )
    nx, ny, nz = (int(word) for word in words)
    check_shape((nx, ny, nz), record)
    if nx * ny * nz > MAX_VALUES:
        raise BadInputError(
            f"{nx * ny * nz:,} grid points, more than the limit of {MAX_VALUES:,}",
            record=record,
            field=_FIELD,
            remedy="Write the density on a coarser grid.",
        )
    return nx, ny, nz


def _block(
    data: bytes, start: int, shape: tuple[int, int, int], record: str
) -> tuple[Float[np.ndarray, " values"], int]:
    """The values of one block and where it ends, found by counting numbers and not lines."""
    count = int(np.prod(shape))
    end = _end_of_numbers(data, start, count)
    if end is None:
        raise _wrong_count(shape, record, "fewer")
    block = data[start:end]
    values = _numbers(block)
    if values is None:
        # Fortran drops the E of exponents of three digits.
        values = _numbers(_LOST_EXPONENT.sub(rb"\1E\2", block))
    if values is None or len(values) != count:
        raise BadInputError(
            "something among the values is no number",
            record=record,
            field=_FIELD,
            remedy="Look for *** or cut lines, and write the density again.",
        )
    if (np.isfinite(values) & (np.abs(values) > MAX_VALUE)).any():
        raise BadInputError(
            f"a value beyond {MAX_VALUE:g}",
            record=record,
            field=_FIELD,
            remedy="The file is damaged; write the density again.",
        )
    return values, end


def _numbers(text: bytes) -> Float[np.ndarray, " values"] | None:
    """Numbers separated by blanks; None where something else is among them."""
    try:
        return np.fromstring(text, sep=" ")
    except ValueError:
        return None


def _end_of_numbers(data: bytes, start: int, count: int) -> int | None:
    """Place behind the ``count``-th word after ``start``; None with fewer words."""
    found, step = 0, 1 << 22
    was_space = True
    while start < len(data):
        piece = np.frombuffer(data, np.uint8, min(step, len(data) - start), start)
        is_space = piece <= 32
        ends = np.flatnonzero(is_space & ~np.concatenate([[was_space], is_space[:-1]]))
        if found + len(ends) >= count:
            return start + int(ends[count - found - 1])
        found, start, was_space = found + len(ends), start + len(piece), bool(is_space[-1])
    return len(data) if found + (not was_space) == count else None


def _wrong_count(shape: tuple[int, int, int], record: str, which: str) -> BadInputError:
    return BadInputError(
        f"{which} values than the {' × '.join(map(str, shape))} that the file announces",
        record=record,
        field=_FIELD,
        remedy="The file is cut off or its header is wrong; write the density again.",
    )


def _check_what_follows(words: list[bytes], dimensions: list[bytes], n_atoms: int, record: str) -> None:
    """Nothing, augmentation occupancies, or another block, before which there may be a number per atom."""
    for skipped in (0, n_atoms):
        rest = words[skipped:]
        if not rest or rest[0] == b"augmentation" or rest[:3] == dimensions:
            return
    raise _wrong_count((int(dimensions[0]), int(dimensions[1]), int(dimensions[2])), record, "more")


def _cube_header(data: bytes, record: str) -> tuple[list[bytes], int]:
    """Comments, origin, axes and atoms, and where the values begin."""
    lines = data[:MAX_HEADER].split(b"\n")
    atoms = int(abs(_cube_numbers(lines[2], 4, record)[0])) if len(lines) > 2 else 0
    if not 0 < atoms <= MAX_SITES or len(lines) < 7 + atoms:
        raise BadInputError(
            f"a header of {atoms} atoms, where 1 to {MAX_SITES} are allowed, or a file that ends within it",
            record=record,
            field="cube header",
            remedy="Give a Gaussian cube file of a crystal.",
        )
    kept = lines[: 6 + atoms]
    return kept, sum(len(line) + 1 for line in kept)


def _cube_numbers(line: bytes, least: int, record: str) -> Float[np.ndarray, " numbers"]:
    try:
        numbers = np.array([float(word) for word in line.split()])
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) < least or not (np.abs(numbers) < 1e6).all():
        raise BadInputError(
            f"{line[:60].decode(errors='replace').strip()!r} where {least} numbers belong",
            record=record,
            field="cube header",
            remedy="Give a Gaussian cube file: two comments, then the number of atoms and the origin.",
        )
    return numbers


def _cube_crystal(
    lines: list[bytes],
    lattice: Float[np.ndarray, "3 3"],
    origin: Float[np.ndarray, "3"],
    unit: float,
    record: str,
) -> Crystal:
    rows = np.array([_cube_numbers(line, 5, record)[:5] for line in lines])
    z = rows[:, 0]
    if (z % 1 != 0).any() or z.min() < 0 or z.max() > MAX_Z:
        raise BadInputError(
            "an atomic number that is none",
            record=record,
            field="cube header",
            remedy=f"Give 1 to {MAX_Z}, and 0 for ghost atoms.",
        )
    rows = rows[z > 0]
    try:
        frac = (rows[:, 2:] * unit - origin) @ np.linalg.inv(lattice)
        sites = tuple(((int(n), 1.0),) for n in rows[:, 0])
        return check(Crystal(lattice, frac - np.floor(frac), sites))
    except np.linalg.LinAlgError as error:
        raise BadInputError(
            "the voxels are flat", record=record, field="cube header", remedy="Correct the axes."
        ) from error
    except BadInputError as error:
        raise error.at(record) from error
