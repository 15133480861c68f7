"""The promolecule: spherical free atoms superposed, an electron density that every structure has.

ρ(r) = 1/V Σ_G F(G) exp(2πi G·r),  F(G) = Σ_j o_j f_j(|G|/2) exp(−2πi G·x_j) exp(−2π²σ²G²),

by one inverse Fourier transform. Scattering factors are the four Gaussians and a constant of *International
Tables for Crystallography* C (1992), table 6.1.1.4, as gemmi carries them. The table that serves powder
diffraction, f = Z − 41.78 s² Σ a exp(−b s²), does not serve here: it returns to Z beyond s = 0.9 to 1.8 Å⁻¹
according to the element, while a grid of 32 points over 4 Å reaches s = 2 Å⁻¹ along its axes.
"""

from functools import cache

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy import fft

from prismat.crystal import Crystal
from prismat.elements import MAX_Z, SYMBOLS
from prismat.errors import BadInputError
from prismat.measurements import ChargeDensity
from prismat.modalities.resample_grid import check_lattice, check_shape

MIN_SIGMA = 0.15
"""Å, or B = 8π²σ² = 1.8 Å²: leaves 8·10⁻⁴ at s = 2 Å⁻¹, where the tabulated factors end."""
SIGMA_PER_SPACING = 1.0
"""Filter width in units of the largest grid spacing: leaves 0.7 % at the grid's own limit."""


@cache
def _gaussians() -> Float[np.ndarray, "z 5 2"]:
    """Amplitude and exponent (Å²) of five Gaussians in s by atomic number, scaled to add up to Z exactly.

    The table's own sums differ from Z by up to 0.06 electrons. The constant is a Gaussian of exponent 0.
    """
    import gemmi

    found = np.zeros((MAX_Z + 1, 5, 2))
    for z, symbol in enumerate(SYMBOLS[1:], start=1):
        *pairs, constant = gemmi.Element(symbol).it92.get_coefs()
        amplitude = np.array([*pairs[:4], constant])
        found[z, :, 0] = amplitude * (z / amplitude.sum())
        found[z, :4, 1] = pairs[4:]
    return found


def grid_sigma(lattice: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> float:
    """Width in Å of the Gaussian with which a grid can hold atoms almost without ringing.

    The larger of ``MIN_SIGMA`` and ``SIGMA_PER_SPACING`` times the largest distance between grid points
    along an axis. It is isotropic and does not depend on the order of the axes.
    """
    spacing = np.linalg.norm(lattice, axis=1) / np.array(shape)
    return max(MIN_SIGMA, SIGMA_PER_SPACING * float(spacing.max()))


def promolecule_density(
    crystal: Crystal, shape: tuple[int, int, int], sigma: float | None = None, record: str = ""
) -> ChargeDensity:
    """Superposed free atoms on a grid over the crystal's own cell, cores included.

    The cell holds Σ Z·occupancy electrons to rounding. Atoms are blurred by a Gaussian, which stands for
    thermal motion and keeps the grid's limit from ringing; frequencies from n/2 on are left out. Values are
    positive but for a ripple around the heaviest atoms of coarse grids, below 10⁻³ of the maximum.

    Args:
        crystal: ordered or disordered; occupancies weigh the atoms.
        shape: grid points along each axis.
        sigma: Å, width of the Gaussian; ``grid_sigma`` where None.
        record: name for error messages.

    Returns:
        A density of kind ``promolecule`` in e/Å³.

    Raises:
        BadInputError: no atoms, positions that are not finite, a flat cell, a negative ``sigma``, or a grid
            that is too small or too large.
    """
    check_shape(shape, record)
    check_lattice(crystal.lattice, record)
    if not len(crystal) or not np.isfinite(crystal.frac).all():
        raise BadInputError(
            "no atoms, or positions that are not finite",
            record=record,
            field="coordinates",
            remedy="Give at least one atom with finite fractional coordinates.",
        )
    sigma = grid_sigma(crystal.lattice, shape) if sigma is None else sigma
    if not 0 <= sigma < np.inf:
        raise BadInputError(f"a width of {sigma} Å", field="sigma", remedy="Give Å, zero or more.")
    values = _synthesis(crystal, shape, sigma)
    return ChargeDensity(values, np.asarray(crystal.lattice, dtype=np.float64), "promolecule")


def _synthesis(crystal: Crystal, shape: tuple[int, int, int], sigma: float) -> Float[np.ndarray, "nx ny nz"]:
    h, k, l = (np.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in shape)  # noqa: E741
    # A real density needs one half of reciprocal space only.
    l = l[l >= 0]  # noqa: E741
    s2 = _squared(crystal.lattice, h, k, l) / 4
    # The filter in s: G = 2s.
    damped = np.exp(-8 * np.pi**2 * sigma**2 * s2)
    total = np.zeros(s2.shape, dtype=np.complex128)
    for z, frac, occupancy in _by_element(crystal):
        total += _form_factor(z, s2) * _phases(frac, occupancy, h, k, l)
    spectrum = np.zeros((shape[0], shape[1], shape[2] // 2 + 1), dtype=np.complex128)
    spectrum[np.ix_(h, k, l)] = total * damped
    return fft.irfftn(spectrum, shape) * (np.prod(shape) / crystal.volume)


def _squared(
    lattice: Float[np.ndarray, "3 3"],
    h: Int[np.ndarray, " h"],
    k: Int[np.ndarray, " k"],
    l: Int[np.ndarray, " l"],  # noqa: E741
) -> Float[np.ndarray, "h k l"]:
    """|G|² in Å⁻², without 2π."""
    metric = np.linalg.inv(lattice @ lattice.T)
    x, y, w = h[:, None, None], k[:, None], l
    plane = metric[0, 0] * x * x + metric[1, 1] * y * y + 2 * metric[0, 1] * x * y
    return plane + metric[2, 2] * w * w + 2 * w * (metric[0, 2] * x + metric[1, 2] * y)


def _form_factor(z: int, s2: Float[np.ndarray, "h k l"]) -> Float[np.ndarray, "h k l"]:
    total = np.zeros_like(s2)
    for amplitude, exponent in _gaussians()[z]:
        total += amplitude * np.exp(-exponent * s2)
    return total


def _by_element(
    crystal: Crystal,
) -> list[tuple[int, Float[np.ndarray, "atoms 3"], Float[np.ndarray, " atoms"]]]:
    """Atomic number, positions and occupancies of each element present."""
    rows = [(i, z, x) for i, site in enumerate(crystal.sites) for z, x in site]
    site, number = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    occupancy = np.array([r[2] for r in rows], dtype=np.float64)
    return [
        (int(z), crystal.frac[site[number == z]], occupancy[number == z]) for z in np.unique(number).tolist()
    ]


def _phases(
    frac: Float[np.ndarray, "atoms 3"],
    occupancy: Float[np.ndarray, " atoms"],
    h: Int[np.ndarray, " h"],
    k: Int[np.ndarray, " k"],
    l: Int[np.ndarray, " l"],  # noqa: E741
) -> Complex[np.ndarray, "h k l"]:
    """Σ_j o_j exp(−2πi h·x_j), axis by axis: exponentials grow with the edge of the grid, not its volume."""
    x, y, w = (np.exp(-2j * np.pi * np.outer(n, frac[:, i])) for i, n in enumerate((h, k, l)))
    plane = x[:, None] * (y * occupancy)
    return (plane.reshape(-1, len(frac)) @ w.T).reshape(len(h), len(k), len(l))
