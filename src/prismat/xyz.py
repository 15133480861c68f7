"""XYZ files: a molecule as a list of elements and positions."""

import numpy as np

from prismat.crystal import Crystal, make_site
from prismat.elements import atomic_number
from prismat.errors import BadInputError


def molecule_from_xyz(text: str, max_sites: int) -> Crystal:
    """The first frame of an XYZ file: number of atoms, a comment, then element, x, y, z in Å per line.

    Raises:
        BadInputError: no number of atoms, more than ``max_sites``, fewer lines than it says, a line that is
            not an element and three numbers, or a frame that states a lattice (extended XYZ).
    """
    lines = text.splitlines()
    count = _count(lines)
    if count > max_sites:
        raise BadInputError(f"{count} atoms, limit {max_sites}", field="atoms", remedy="Raise max_sites.")
    if len(lines) > 1 and "lattice=" in lines[1].lower():
        raise BadInputError(
            "an extended XYZ frame with a lattice",
            field="file",
            remedy="Read it with ase and pass the Atoms, or write it as CIF.",
        )
    rows = [line.split() for line in lines[2 : 2 + count]]
    if len(rows) < count:
        raise BadInputError(f"{len(rows)} of {count} atoms", field="atoms", remedy="Complete the file.")
    try:
        positions = np.array([[float(x) for x in row[1:4]] for row in rows]).reshape(count, 3)
    except ValueError as error:
        raise BadInputError(
            "a line that is not an element and three numbers", field="atoms", remedy="Correct it."
        ) from error
    return Crystal.molecule(positions, tuple(make_site({atomic_number(row[0]): 1.0}) for row in rows))


def _count(lines: list[str]) -> int:
    try:
        return int(lines[0])
    except (IndexError, ValueError) as error:
        raise BadInputError(
            "an XYZ file begins with the number of atoms", field="file", remedy="Correct its first line."
        ) from error
