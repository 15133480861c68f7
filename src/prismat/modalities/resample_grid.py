"""Charge density grids: checks, the canonical reduced cell, and exact resampling in Fourier space.

A density on a grid stands for its trigonometric interpolant ρ(x) = Σ_h c(h) exp(2πi h·x). Another basis of
the same lattice, L' = M L with an integer M of determinant ±1, only relabels the coefficients, h' = M h, and
another number of points only keeps more or fewer of them. Both are therefore done at once and without
interpolation, and the mean c(0), that is the number of electrons, is never touched.
"""

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy import fft

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.measurements import ChargeDensity

MIN_POINTS, MAX_POINTS = 4, 1024
"""Points along one axis of a grid that can be used."""
MAX_MEAN = 10.0
"""e/Å³. Osmium and iridium, the densest elements, have 5.4 with their cores counted."""

_FIELD = "charge_density"


def check_density(density: ChargeDensity, record: str = "") -> ChargeDensity:
    """Refuses grids that are no electron density of a crystal, before anything is computed from them.

    Args:
        density: any density.
        record: name for error messages.

    Raises:
        BadInputError: values that are not a three-dimensional grid of finite real numbers with 4 to 1,024
            points along each axis, a mean that is not positive or above 10 e/Å³, or a cell that is flat,
            not finite or absurdly large or small.
    """
    values = density.values
    if values.ndim != 3 or values.dtype.kind != "f":
        raise BadInputError(
            f"values of shape {values.shape} and type {values.dtype}",
            record=record,
            field=_FIELD,
            remedy="Give real numbers on a grid of shape (nx, ny, nz).",
        )
    check_shape(values.shape, record)
    if not np.isfinite(values).all():
        raise BadInputError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} values are NaN or infinite",
            record=record,
            field=_FIELD,
            remedy="Write the density again; gaps cannot be filled without changing the electron count.",
        )
    check_lattice(density.lattice, record)
    _check_mean(float(values.mean()), record)
    return density


def check_shape(shape: tuple[int, ...], record: str = "") -> None:
    """Refuses grids that are too thin or too fine.

    Raises:
        BadInputError: an axis with fewer than 4 or more than 1,024 points.
    """
    if not all(MIN_POINTS <= n <= MAX_POINTS for n in shape):
        raise BadInputError(
            f"a grid of {' × '.join(map(str, shape))} points",
            record=record,
            field=_FIELD,
            remedy=f"Give {MIN_POINTS} to {MAX_POINTS} points along each of the three axes.",
        )


def check_lattice(lattice: Float[np.ndarray, "3 3"], record: str = "") -> None:
    """Refuses cells without a sensible volume; left-handed ones are fine.

    Raises:
        BadInputError: not finite, edges outside 0.5 to 1,000 Å, or vectors that lie in a plane.
    """
    lengths = np.linalg.norm(lattice, axis=1) if np.isfinite(lattice).all() else np.zeros(3)
    within = lengths.min() >= 0.5 and lengths.max() <= 1000
    if not within or abs(np.linalg.det(lattice)) < 1e-3 * np.prod(lengths):
        raise BadInputError(
            f"a flat or absurd cell: {np.round(lattice, 3).tolist()}",
            record=record,
            field=f"{_FIELD} lattice",
            remedy="Give three row vectors in Å that span a volume.",
        )


def _check_mean(mean: float, record: str) -> None:
    if not mean > 0:
        raise BadInputError(
            f"a mean of {mean:.3g} e/Å³: no electrons in the cell",
            record=record,
            field=_FIELD,
            remedy="Give the total density, not a spin or difference density.",
        )
    if mean > MAX_MEAN:
        raise BadInputError(
            f"a mean of {mean:.3g} e/Å³, denser than any crystal",
            record=record,
            field=_FIELD,
            remedy="Divide values of a CHGCAR by the cell's volume, or multiply e/bohr³ by 6.748.",
        )


def reduced_basis(lattice: Float[np.ndarray, "3 3"], record: str = "") -> Int[np.ndarray, "3 3"]:
    """The integer matrix M for which M @ lattice is the Niggli cell, right-handed and in the same place.

    The lengths and angles of a Niggli cell are unique to a lattice. Its axes are too, unless the lattice has
    rotations of its own: of a cubic lattice any of 24 settings may come out, depending on the cell given.

    Raises:
        BadInputError: the cell is flat or not finite.
    """
    import moyopy

    check_lattice(lattice, record)
    try:
        _, transformation = moyopy.niggli_reduce(lattice.tolist())
    except ValueError as error:
        raise BadInputError(
            f"the cell cannot be reduced ({error})",
            record=record,
            field=f"{_FIELD} lattice",
            remedy="Give three row vectors in Å that span a volume.",
        ) from error
    return np.array(transformation, dtype=np.int64).T


def reduced_crystal(crystal: Crystal, record: str = "") -> Crystal:
    """The same crystal in its Niggli cell.

    Raises:
        BadInputError: the cell is flat or not finite.
    """
    basis = reduced_basis(crystal.lattice, record)
    frac = crystal.frac @ np.linalg.inv(basis)
    return Crystal(basis @ crystal.lattice, frac - np.floor(frac), crystal.sites)


def resample(
    values: Float[np.ndarray, "nx ny nz"],
    shape: tuple[int, int, int],
    basis: Int[np.ndarray, "3 3"] | None = None,
) -> Float[np.ndarray, "mx my mz"]:
    """The same density on another grid, and with ``basis`` in another cell of the same lattice.

    Exact where the density is band-limited to both grids; finer and back again is the identity. A coarser
    grid loses what it cannot hold, sharply, so that a core may be ringed by small negative values. The mean
    is always kept to rounding. The coefficient at n/2 of an even axis stands for +n/2 and −n/2 and is halved
    between them, so that a real density stays real.

    Args:
        values: density at fractional coordinates i/nx, j/ny, k/nz.
        shape: points along each axis of the new cell.
        basis: rows are the new cell's vectors in units of the old ones'; the old cell where None.
    """
    old = values.shape
    inverse = np.eye(3, dtype=np.int64) if basis is None else _integer_inverse(basis)
    h, k, l = np.tensordot(inverse, np.stack(np.meshgrid(*map(_frequencies, shape), indexing="ij")), 1)  # noqa: E741
    weight = _share(h, old[0]) * _share(k, old[1]) * _share(l, old[2])
    found = fft.fftn(values.astype(np.float64, copy=False))[h % old[0], k % old[1], l % old[2]] * weight
    folded = _fold(found, shape)
    # The inverse transform divides by the new number of points, the coefficients by the old one.
    return fft.ifftn(folded).real * (np.prod(shape) / values.size)


def _integer_inverse(basis: Int[np.ndarray, "3 3"]) -> Int[np.ndarray, "3 3"]:
    inverse = np.rint(np.linalg.inv(basis)).astype(np.int64)
    if not np.array_equal(inverse @ basis, np.eye(3, dtype=np.int64)):
        raise BadInputError(
            f"the change of basis {basis.tolist()} does not keep the volume",
            field=_FIELD,
            remedy="Give integers with determinant 1 or -1.",
        )
    return inverse


def _frequencies(n: int) -> Int[np.ndarray, " frequencies"]:
    """−n/2 … n/2 with both ends for an even n."""
    return np.arange(-(n // 2), n // 2 + 1)


def _share(h: Int[np.ndarray, "fx fy fz"], n: int) -> Float[np.ndarray, "fx fy fz"]:
    """How much of a coefficient belongs to frequency h of an axis of n points: all, half at ±n/2, or none."""
    return np.where(2 * np.abs(h) < n, 1.0, np.where(2 * np.abs(h) == n, 0.5, 0.0))


def _fold(
    coefficients: Complex[np.ndarray, "fx fy fz"], shape: tuple[int, int, int]
) -> Complex[np.ndarray, "mx my mz"]:
    """Adds the two ends of every even axis and puts frequency 0 first."""
    for axis, n in enumerate(shape):
        moved = np.moveaxis(coefficients, axis, 0)
        if n % 2 == 0:
            moved[0] += moved[-1]
            moved = moved[:-1]
        coefficients = np.moveaxis(moved, 0, axis)
    return fft.ifftshift(coefficients)
