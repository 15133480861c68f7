"""Primitive standardised cells and symmetry orbits, for ordered and disordered crystals."""

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from prismat.crystal import Crystal

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StandardCell:
    """A primitive cell with symmetrised positions and the orbit of every atom.

    Attributes:
        primitive: the primitive standardised crystal.
        orbit: for each atom the index of its symmetry orbit, 0 … orbits − 1, shape (atoms,).
        rotation: for each atom the rotation part W, in the lattice's basis, of an operation x' = W x + w that
            brings the first atom of its orbit there, shape (atoms, 3, 3).
        number: space-group number (1 … 230); 1 also where no symmetry was found, 0 for a molecule.
        symbol: Hermann–Mauguin symbol.
        cell_lengths_angles: a, b, c in Å and α, β, γ in degrees of the conventional standardised cell.
    """

    primitive: Crystal
    orbit: Int[np.ndarray, " atoms"]
    rotation: Int[np.ndarray, "atoms 3 3"]
    number: int
    symbol: str
    cell_lengths_angles: tuple[float, ...]


def standardize(crystal: Crystal, symprec: float = 0.01) -> StandardCell:
    """Finds the space group with moyo and reduces to the primitive standardised cell.

    A disordered site counts as a species of its own, distinguished by elements and occupancies to 1e-3.
    Positions come back symmetrised, so that equivalent atoms have equal neighbour distances and message
    passing on orbits is exact.

    A molecule comes back as it is, one orbit per atom.

    Args:
        crystal: any crystal.
        symprec: tolerance in Å; a tenth and a hundredth are tried where it fails, then P1.
    """
    import moyopy

    if not crystal.periodic:
        return _asymmetric(crystal, 0, "", (0.0,) * 6)
    labels, contents = _labels(crystal)
    cell = moyopy.Cell(crystal.lattice.tolist(), crystal.frac.tolist(), labels)
    for precision in (symprec, symprec / 10, symprec / 100):
        try:
            found = moyopy.MoyoDataset(cell, symprec=precision)
            primitive = found.prim_std_cell
            again = moyopy.MoyoDataset(primitive, symprec=precision)
        except Exception as error:
            logger.debug("symmetry search failed at %g Å: %s", precision, error)
            continue
        if again.number == found.number:
            return _from_moyo(found, again, contents)
    return _asymmetric(crystal, 1, "P1", _lengths_angles(crystal.lattice))


def _asymmetric(crystal: Crystal, number: int, symbol: str, cell: tuple[float, ...]) -> StandardCell:
    """Every atom an orbit of its own."""
    unmoved = np.broadcast_to(np.eye(3, dtype=np.int64), (len(crystal), 3, 3)).copy()
    return StandardCell(crystal, np.arange(len(crystal)), unmoved, number, symbol, cell)


def _labels(crystal: Crystal) -> tuple[list[int], dict[int, tuple]]:
    """An integer for every distinct site content, starting at 1."""
    known: dict[tuple, int] = {}
    contents: dict[int, tuple] = {}
    labels = []
    for site in crystal.sites:
        key = tuple((z, round(x, 3)) for z, x in site)
        label = known.setdefault(key, len(known) + 1)
        contents.setdefault(label, site)
        labels.append(label)
    return labels, contents


def _from_moyo(found: object, again: object, contents: dict[int, tuple]) -> StandardCell:
    import moyopy

    cell = found.prim_std_cell  # ty: ignore[missing-attribute]
    sites = tuple(contents[label] for label in cell.numbers)
    frac = np.asarray(cell.positions, dtype=np.float64)
    primitive = Crystal(np.asarray(cell.basis, dtype=np.float64), frac - np.floor(frac), sites)
    _, orbit = np.unique(np.asarray(again.orbits), return_inverse=True)  # ty: ignore[missing-attribute]
    number = int(found.number)  # ty: ignore[missing-attribute]
    symbol = moyopy.SpaceGroupType(number).hm_short.replace(" ", "")
    standard = np.asarray(found.std_cell.basis)  # ty: ignore[missing-attribute]
    operations = again.operations  # ty: ignore[missing-attribute]
    rotation = _rotations(primitive.frac, orbit, operations.rotations, operations.translations)
    lengths_angles = _lengths_angles(standard)
    return StandardCell(primitive, orbit.astype(np.int64), rotation, number, symbol, lengths_angles)


def _rotations(
    frac: Float[np.ndarray, "atoms 3"],
    orbit: Int[np.ndarray, " atoms"],
    rotations: list,
    translations: list,
) -> Int[np.ndarray, "atoms 3 3"]:
    """For each atom the operation that brings the first atom of its orbit nearest to it."""
    w, t = np.array(rotations, dtype=np.int64), np.array(translations)
    _, first = np.unique(orbit, return_index=True)
    images = np.einsum("oij,nj->noi", w, frac[first]) + t
    miss = images[orbit] - frac[:, None]
    miss -= np.round(miss)
    return w[np.square(miss).sum(2).argmin(1)]


def _lengths_angles(lattice: np.ndarray) -> tuple[float, ...]:
    lengths = np.linalg.norm(lattice, axis=1)
    unit = lattice / lengths[:, None]
    cosines = np.array([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]])
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return tuple(float(v) for v in (*lengths, *angles))
