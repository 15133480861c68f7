"""Preferred orientation of the crystallites of a powder, by March and Dollase.

Plates that lie down and needles that line up make some planes meet the beam more often than others. With one
preferred direction, symmetric about the normal of the sample, a reflection whose planes stand at the angle α
to that direction is multiplied by

    W(α; r) = (r² cos² α + sin² α / r)^(−3/2),

A. March, Z. Kristallogr. 81, 285 (1932); W. A. Dollase, J. Appl. Cryst. 19, 267 (1986), eq. 6. r = 1 is a
random powder, r < 1 plates whose normals gather at the normal of the sample, r > 1 needles across it; the
mean of W over the sphere is 1 at every r, so that no material appears or vanishes.

A powder line is a sum of reflections with different α, which are gone when a pattern is drawn. What can be
kept is independent of r: the averages ⟨P_l⟩ of even Legendre polynomials of cos α, weighted by the
reflections' intensities. With the coefficients c_l(r) = (2l + 1) ∫₀¹ W P_l d(cos α) the line's factor is

    ⟨W⟩ = Σ_l c_l(r) ⟨P_l⟩.

The series converges as 1.45^(−l) at both ends of r from 0.5 to 2, beyond which it is not used here. The
moments up to l = 20 give W itself to within 0.024 where it is highest (8.0 at r = 0.5, α = 0), 0.005 at r = 2
and 0.002 from r = 0.6 to 1.8.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import legendre

from prismat.crystal import Crystal

ORDERS = tuple(range(2, 21, 2))
"""Degrees of the Legendre polynomials kept for every line; that of degree 0 is 1."""

R_MIN, R_MAX = 0.5, 2.0
"""Range of March's r in which the series is accurate."""

_NODES = 96


def march_dollase(
    cosine: Float[torch.Tensor, "..."], r: float | Float[torch.Tensor, "..."]
) -> Float[torch.Tensor, "..."]:
    """The factor W(α; r) on a reflection's intensity.

    Args:
        cosine: cos α between the normal of the planes and the preferred direction.
        r: March's coefficient, above 0; 1 for none.
    """
    squared = cosine**2
    return (r**2 * squared + (1 - squared) / r) ** -1.5


def legendre_moments(cosine: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n orders"]:
    """P_l(cos α) for the degrees of ``ORDERS``, one column each."""
    return legendre.legvander(cosine, ORDERS[-1])[:, ORDERS]


@cache
def _quadrature() -> tuple[Float[torch.Tensor, " nodes"], Float[torch.Tensor, "nodes orders"]]:
    """Gauss–Legendre nodes on 0 to 1, and their weights times (2l + 1) P_l."""
    x, weight = legendre.leggauss(_NODES)
    x, weight = (x + 1) / 2, weight / 2
    table = weight[:, None] * (2 * np.array(ORDERS) + 1) * legendre_moments(x)
    return torch.from_numpy(x), torch.from_numpy(table)


def texture_coefficients(r: Float[torch.Tensor, " batch"]) -> Float[torch.Tensor, "batch orders"]:
    """c_l(r) of the Legendre series of W for the degrees of ``ORDERS``; c_0 is 1.

    Args:
        r: March's coefficient of every record, float64.
    """
    x, table = _quadrature()
    return march_dollase(x[None], r.double()[:, None]) @ table


def preferred_axis(
    crystal: Crystal, planes: tuple[int, int, int] = (0, 0, 1), symprec: float = 0.01
) -> Float[np.ndarray, " 3"]:
    """Unit normal of planes of the conventional cell, in the Cartesian frame of the crystal given.

    The conventional cell is that of the space group's standard setting, which (0, 0, 1) makes the unique axis
    of tetragonal, trigonal and hexagonal crystals; where no symmetry is found, the given cell counts.

    Args:
        crystal: any cell of a crystal, ordered or not.
        planes: Miller indices, not all zero.
        symprec: tolerance of the symmetry search in Å.
    """
    import moyopy

    contents = {site: number for number, site in enumerate(dict.fromkeys(crystal.sites), start=1)}
    labels = [contents[site] for site in crystal.sites]
    cell = moyopy.Cell(crystal.lattice.tolist(), crystal.frac.tolist(), labels)
    indices = np.array(planes, dtype=np.float64)
    try:
        change = np.asarray(moyopy.MoyoDataset(cell, symprec=symprec).std_linear)
    except Exception:  # moyo raises types of its own for cells in which it finds no symmetry
        change = np.eye(3)
    normal = np.linalg.solve(change.T, indices) @ np.linalg.inv(crystal.lattice).T
    return normal / np.linalg.norm(normal)
