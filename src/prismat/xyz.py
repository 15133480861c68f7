"""XYZ files: a molecule as a list of elements and positions."""

import re

import numpy as np

from prismat.crystal import Crystal, make_site
from prismat.elements import atomic_number
from prismat.errors import BadInputError

MAX_COORDINATE = 1e5
"""Å."""


def molecule_from_xyz(text: str, max_sites: int) -> Crystal:
    """The first frame of an XYZ file: number of atoms, a comment, then element, x, y, z in Å per line.

    Raises:
        BadInputError: no number of atoms, more than ``max_sites``, fewer lines than it says, a line that is
            not an element and three numbers, a position that is no number or beyond ``MAX_COORDINATE``, or
            a frame that states a lattice (extended XYZ).
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
    if not (np.abs(positions) <= MAX_COORDINATE).all():
        raise BadInputError(
            f"a position that is no number or beyond {MAX_COORDINATE:g} Å",
            field="atoms",
            remedy="Give positions in Å.",
        )
    return Crystal.molecule(positions, tuple(make_site({atomic_number(row[0]): 1.0}) for row in rows))


def _count(lines: list[str]) -> int:
    first = lines[0].strip() if lines else ""
    if not re.fullmatch(r"[0-9]{1,9}", first):
        raise BadInputError(
            "an XYZ file begins with the number of atoms", field="file", remedy="Correct its first line."
        )
    return int(first)
