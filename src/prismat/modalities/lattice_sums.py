"""Interatomic potentials summed over every lattice image of a pair of atoms: Coulomb, London and Pauli.

The potentials are those of PotNet (Lin et al., ICML 2023, arXiv:2306.10045). The sum of 1/r over a lattice
diverges; its value here is the analytic continuation of the Epstein zeta function, the same number as an
Ewald sum with a uniform neutralising background. With x = r_j + L − r_i, a = κ²x², b = G²/4κ², cell volume V,
and s = 1/2 for 1/r, s = 3 for 1/r⁶ (Epstein, Math. Ann. 56, 615, 1903; Nijboer & de Wette, Physica 23, 309,
1957), where κ^{2s}/s is subtracted only if the term x = 0 is left out:

    Γ(s) Σ |x|⁻²ˢ = Σ_L Γ(s, a) |x|⁻²ˢ + (π^{3/2}/V) Σ_{G≠0} (G/2)^{2s−3} Γ(3/2 − s, b) cos(G·x)
                    + π^{3/2} κ^{2s−3} / (V (s − 3/2)) − κ^{2s}/s.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import erf, erfc, gammainc

from prismat.crystal import MIN_DISTANCE, Crystal

_EXPONENT = 40.0
"""Terms below e⁻⁴⁰ of the scale κ (Coulomb) or κ⁶ (London) are left out of both sums."""
_PAULI_EXPONENT = 30.0
"""Images whose repulsion is below e⁻³⁰ of the nearest one's are left out: fewer than 10² of them count, so
that the relative error stays under 1e-10."""
_SPLIT = 2.0
"""κ in units of √π V^(−1/3). Above the 1 of equally many terms in both sums, as a matrix product per wave
vector costs less than an error function per image."""
_CHUNK = 50_000
"""Pairs × images held at once."""


@dataclass(frozen=True)
class PotentialSettings:
    """Constants of the potentials.

    Attributes:
        alpha: decay of the Pauli repulsion exp(−α r) in Å⁻¹.
        overlap: Å; images closer than this are alternatives of one position and are left out of the sums.
    """

    alpha: float = 3.0
    overlap: float = MIN_DISTANCE


@dataclass(frozen=True)
class _Cell:
    """A reduced cell with the images and wave vectors that its sums need; a molecule has one image, κ = 0."""

    lattice: np.ndarray
    frac: np.ndarray
    images: np.ndarray
    kappa: float
    is_periodic: bool


def pair_potentials(
    crystal: Crystal,
    receivers: Int[np.ndarray, " nodes"],
    settings: PotentialSettings = PotentialSettings(),
) -> Float[np.ndarray, "pairs 4"]:
    """Sums over all images of atom j as seen from atom i, for every receiver i and every atom j of the cell.

    An atom does not see itself (L = 0), nor images within ``settings.overlap``. Coulomb and London sums are
    exact to about 1e-15 of their scales κ and κ⁶ (1e-12 relative in ordinary cells), Pauli sums to 1e-10
    relative. The result does not depend on origin, choice of basis vectors or orientation. Of a molecule
    there are no images: the sums have one term, and none (zero) for an atom with itself.

    Args:
        crystal: positions; elements and occupancies do not enter.
        receivers: atoms i in the order wanted, shape (nodes,).
        settings: constants of the potentials.

    Returns:
        Rows in the order (receiver, atom), shape (nodes × atoms, 4): Σ 1/r continued analytically (Å⁻¹;
        negative where the background prevails), Σ 1/r⁶ (Å⁻⁶), Σ exp(−α r), and d ln(Σ exp(−α r))/d ln(scale),
        so that an isotropic expansion by s multiplies the first by s⁻¹, the second by s⁻⁶, and to first order
        the third by s to the power of the fourth.
    """
    if not len(receivers):
        return np.zeros((0, 4))
    cell = _prepare(crystal, settings)
    i, j = np.repeat(receivers, len(crystal)), np.tile(np.arange(len(crystal)), len(receivers))
    out = np.zeros((len(i), 4))
    step = max(1, _CHUNK // len(cell.images))
    for start in range(0, len(i), step):
        rows = slice(start, start + step)
        out[rows] = _real_space(cell, _nearest(cell, i[rows], j[rows]), settings)
    if cell.is_periodic:
        out[:, :2] += _reciprocal_space(cell, receivers).reshape(-1, 2)
    return out


def _prepare(crystal: Crystal, settings: PotentialSettings) -> _Cell:
    """The reduced cell and every image that any pair needs."""
    if not crystal.periodic:
        return _Cell(crystal.lattice, crystal.frac, np.zeros((1, 3)), 0.0, is_periodic=False)
    lattice = reduce_lattice(crystal.lattice)
    frac = crystal.frac @ (crystal.lattice @ np.linalg.inv(lattice))
    kappa = _SPLIT * np.sqrt(np.pi) / np.cbrt(crystal.volume)
    farthest = 0.5 * float(np.linalg.norm(lattice, axis=1).sum())
    # Nearest image of a pair, or of an atom itself, and as far again as the repulsion reaches.
    nearest = max(farthest, float(np.linalg.norm(lattice, axis=1).min()))
    reach = max(nearest + _PAULI_EXPONENT / settings.alpha, np.sqrt(_EXPONENT) / kappa)
    images = lattice_points(lattice, reach + farthest) @ lattice
    return _Cell(lattice, frac, images, float(kappa), is_periodic=True)


def reduce_lattice(lattice: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """A basis of the same lattice with short vectors: no pair has a shorter sum or difference."""
    basis = np.array(lattice, dtype=np.float64)
    changed = True
    while changed:
        changed = False
        for i, j in ((0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)):
            steps = np.rint(basis[i] @ basis[j] / (basis[j] @ basis[j]))
            shorter = basis[i] - steps * basis[j]
            # The margin keeps rounding from going round in circles where both choices are equally long.
            if shorter @ shorter < (1 - 1e-9) * (basis[i] @ basis[i]):
                basis[i], changed = shorter, True
    return basis


def lattice_points(lattice: Float[np.ndarray, "3 3"], radius: float) -> Float[np.ndarray, "points 3"]:
    """Integer coordinates of all lattice points within ``radius`` of the origin, the origin included."""
    # |n_k| = |x · b_k| ≤ |x| |b_k| with the reciprocal vectors b_k, the columns of the inverse.
    bound = np.floor(radius * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1.0) for n in bound), indexing="ij"), axis=-1)
    points = grid.reshape(-1, 3)
    return points[np.square(points @ lattice).sum(1) <= radius**2]


def _nearest(cell: _Cell, i: np.ndarray, j: np.ndarray) -> Float[np.ndarray, "pairs 3"]:
    """Vectors from i to j in Å, brought near by a lattice translation where there are any."""
    difference = cell.frac[j] - cell.frac[i]
    if cell.is_periodic:
        difference -= np.rint(difference)
    return difference @ cell.lattice


def _real_space(
    cell: _Cell, vector: Float[np.ndarray, "pairs 3"], settings: PotentialSettings
) -> Float[np.ndarray, "pairs 4"]:
    """Short-ranged part of the first two sums with their constants, and the whole of the others."""
    squared = sum(np.square(vector[:, None, k] + cell.images[None, :, k]) for k in range(3))
    distance = np.sqrt(squared)
    is_other = distance >= settings.overlap
    n, kappa = len(vector), cell.kappa
    out = np.zeros((n, 4))
    limit = np.sqrt(_EXPONENT) / kappa if cell.is_periodic else np.inf
    pair, image = np.nonzero(is_other & (distance < limit))
    for column, term in enumerate(_short(distance[pair, image], kappa)):
        out[:, column] = np.bincount(pair, term, minlength=n)
    if cell.is_periodic:
        # What the reciprocal sum holds of the images left out, taken away again.
        pair, image = np.nonzero(~is_other)
        for column, term in enumerate(_long(distance[pair, image], kappa)):
            out[:, column] -= np.bincount(pair, term, minlength=n)
    out[:, 2:] = _pauli(np.where(is_other, distance, np.inf), settings.alpha)
    return out


def _short(distance: np.ndarray, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Γ(s, a)/Γ(s) |x|⁻²ˢ for s = 1/2 and s = 3."""
    a = np.square(kappa * distance)
    return erfc(kappa * distance) / distance, np.exp(-a) * (1 + a + a * a / 2) / distance**6


def _long(distance: np.ndarray, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """(1 − Γ(s, a)/Γ(s)) |x|⁻²ˢ for s = 1/2 and s = 3, finite at 0."""
    # Below 1e-8 the limit at 0 holds to double precision.
    x = np.maximum(kappa * distance, 1e-8)
    return kappa * erf(x) / x, kappa**6 * gammainc(3, x * x) / x**6


def _pauli(distance: Float[np.ndarray, "pairs images"], alpha: float) -> Float[np.ndarray, "pairs 2"]:
    """Σ exp(−α r) and its logarithmic derivative; images at infinite distance do not count."""
    nearest = distance.min(axis=1)
    pair, image = np.nonzero(distance < (nearest + _PAULI_EXPONENT / alpha)[:, None])
    r = distance[pair, image]
    # Relative to the nearest image, since exp(−α r) itself underflows in a large empty cell.
    weight = np.exp(-alpha * (r - nearest[pair]))
    total = np.bincount(pair, weight, minlength=len(distance))
    slope = -alpha * np.bincount(pair, weight * r, minlength=len(distance)) / np.maximum(total, 1)
    return np.stack([total * np.exp(-alpha * nearest), slope], axis=1)


def _reciprocal_space(
    cell: _Cell, receivers: Int[np.ndarray, " nodes"]
) -> Float[np.ndarray, "nodes atoms 2"]:
    """Long-ranged part of the Coulomb and London sums, with the term G = 0."""
    volume, kappa = abs(np.linalg.det(cell.lattice)), cell.kappa
    reciprocal = 2 * np.pi * np.linalg.inv(cell.lattice).T
    hkl = _half(lattice_points(reciprocal, 2 * kappa * np.sqrt(_EXPONENT)))
    b = np.square(hkl @ reciprocal).sum(1) / (4 * kappa**2)
    phase = 2 * np.pi * (cell.frac @ hkl.T)
    wave = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    # (G/2)^{2s−3} Γ(3/2 − s, b) for s = 1/2 and s = 3; twice, for −G.
    decay = np.exp(-b)
    coulomb = 2 * np.pi / (volume * kappa**2) * decay / b
    dispersion = decay * (1 - 2 * b) + 2 * np.sqrt(np.pi) * b**1.5 * erfc(np.sqrt(b))
    london = 2 * np.pi**1.5 * kappa**3 / (3 * volume) * dispersion
    constants = (-np.pi / (kappa**2 * volume), np.pi**1.5 * kappa**3 / (3 * volume))
    terms = [
        (wave[receivers] * np.tile(weight, 2)) @ wave.T + constant
        for weight, constant in zip((coulomb, london), constants, strict=True)
    ]
    return np.stack(terms, axis=2)


def _half(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "half 3"]:
    """One of each pair ±G, without G = 0."""
    h, k, m = points.T
    return points[(h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (m > 0))))]
