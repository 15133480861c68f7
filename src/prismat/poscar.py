"""POSCAR text (VASP 5 and later) to a crystal."""

import re

import numpy as np
from jaxtyping import Float

from prismat.crystal import MAX_SITES, Crystal, element_site
from prismat.errors import BadInputError


def crystal_from_poscar(text: str, max_sites: int = MAX_SITES) -> Crystal:
    """Reads a POSCAR: comment, scale, three lattice vectors, symbols, counts, mode, coordinates.

    Args:
        text: contents of the file; a negative scale is the cell's volume in Å³, three scales stretch x, y, z.
        max_sites: more atoms than this are refused before they are read.

    Raises:
        BadInputError: a line is missing or not a number, an element is unknown or not named (VASP 4), or
            there are too many atoms.
    """
    lines = text.splitlines()
    if len(lines) < 8:
        raise BadInputError(
            "neither a CIF (no 'data_' line) nor a POSCAR (fewer than 8 lines)",
            field="structure",
            remedy="Give the text of a CIF or POSCAR file.",
        )
    lattice = _lattice(lines[1:5])
    symbols, counts = _species(lines[5], lines[6])
    total = sum(counts)
    if not 0 < total <= max_sites:
        raise BadInputError(
            f"{total} atoms, where 1 to {max_sites} are allowed", field="POSCAR line 7", remedy="Correct it."
        )
    start = 8 if lines[7].strip().lower().startswith("sel") else 7
    mode = lines[start].strip()[:1].lower() if len(lines) > start else ""
    points = _numbers(lines[start + 1 : start + 1 + total], total, 3, f"POSCAR line {start + 2}")
    if mode in {"c", "k"}:
        points = _fractional(points * _scales(lines[1], lines[2:5]), lattice)
    elif mode != "d":
        raise BadInputError(
            f"unknown coordinate mode {[line[:40] for line in lines[start : start + 1]]!r}",
            field=f"POSCAR line {start + 1}",
            remedy="Write Direct or Cartesian.",
        )
    sites = [element_site(symbol) for symbol, n in zip(symbols, counts, strict=True) for _ in range(n)]
    return Crystal(lattice, points, tuple(sites))


def _numbers(lines: list[str], rows: int, columns: int, field: str) -> Float[np.ndarray, "rows columns"]:
    """The leading numbers of each line."""
    try:
        values = np.array([[float(x) for x in line.split()[:columns]] for line in lines], dtype=np.float64)
    except ValueError:
        values = np.zeros((0, 0))
    if values.shape != (rows, columns) or not (np.abs(values) < 1e6).all():
        raise BadInputError(
            f"expected {rows} lines of {columns} numbers", field=field, remedy="Correct the file."
        )
    return values


def _scales(line: str, vectors: list[str]) -> Float[np.ndarray, "3"]:
    """Factors of x, y and z; a negative scale stands for the volume."""
    columns = 3 if len(line.split()) >= 3 and _is_number(line.split()[2]) else 1
    scale = _numbers([line], 1, columns, "POSCAR line 2")[0]
    if columns == 1 and scale[0] < 0:
        volume = abs(np.linalg.det(_numbers(vectors, 3, 3, "POSCAR line 3")))
        scale = np.array([(-scale[0] / volume) ** (1 / 3) if volume > 0 else 0.0])
    if not (scale > 0).all():
        raise BadInputError("the scale is not positive", field="POSCAR line 2", remedy="Write 1.0.")
    return np.broadcast_to(scale, (3,)).copy()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lattice(lines: list[str]) -> Float[np.ndarray, "3 3"]:
    return _numbers(lines[1:], 3, 3, "POSCAR line 3") * _scales(lines[0], lines[1:])


def _fractional(points: Float[np.ndarray, "atoms 3"], lattice: Float[np.ndarray, "3 3"]) -> np.ndarray:
    try:
        return points @ np.linalg.inv(lattice)
    except np.linalg.LinAlgError as error:
        raise BadInputError("the cell is flat", field="lattice", remedy="Correct the vectors.") from error


def _species(symbols: str, counts: str) -> tuple[list[str], list[int]]:
    """Symbols without the suffix of their pseudopotential (Fe_pv, Fe/6a3f…), and how many of each."""
    names = [re.split(r"[_/]", name)[0] for name in symbols.split()]
    if any(len(name) > 8 for name in names):
        raise BadInputError("a symbol too long", field="POSCAR line 6", remedy="Write symbols such as Na.")
    if names and names[0].isdigit():
        raise BadInputError(
            "the elements are not named (VASP 4 format)",
            field="POSCAR line 6",
            remedy="Put a line with the element symbols before the counts.",
        )
    numbers = counts.split()[: len(names)]
    if not names or len(numbers) != len(names) or not all(re.fullmatch(r"[0-9]{1,6}", n) for n in numbers):
        raise BadInputError(
            "the counts do not match the elements", field="POSCAR line 7", remedy="Give one count for each."
        )
    return names, [int(n) for n in numbers]
