"""Kinematic powder diffraction: the lines that a crystal gives.

Every lattice vector of the limiting sphere contributes |F|² times the Lorentz-polarisation factor of an
unpolarised beam without monochromator, (1 + cos² 2θ) / (sin² θ cos θ). Atomic scattering factors are

    f(s) = Z − 41.78214 s² Σᵢ aᵢ exp(−bᵢ s²),   s = sin θ / λ,

with the coefficients of M. De Graef and M. E. McHenry, *Structure of Materials*, 2nd ed., Cambridge
University Press 2012, taken over from pymatgen's table into ``data/scattering_factors.csv`` (all elements up
to californium). Anomalous dispersion, absorption and extinction are left out, so Friedel's law holds and one
half of reciprocal space is enough.
"""

import csv
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Complex, Float, Int

from prismat.crystal import Crystal
from prismat.elements import MAX_Z, SYMBOLS, atomic_number
from prismat.errors import BadInputError
from prismat.modalities.texture import legendre_moments, preferred_axis
from prismat.ragged import ranges

CU_K_ALPHA = 1.54184
"""Å. Mean of Kα1 and Kα2, weighted 2:1."""

CHUNK = 1 << 18
"""Entries of the (rods × atoms) phase matrix held at once, 4 MB."""

MAX_REFLECTIONS = 1_000_000
"""Reflections of one half-space above which a cell is refused; about 150 MB of working arrays."""


@dataclass(frozen=True)
class XrdSettings:
    """How powder lines are computed.

    Attributes:
        wavelength: Å.
        two_theta_min: degrees, first angle kept.
        two_theta_max: degrees, last angle kept.
        merge_tolerance: degrees; lines closer than this to their neighbour become one.
        min_intensity: lines weaker than this on the scale where the strongest is 100 are dropped.
        debye_waller: isotropic B in Å² by element symbol; amplitudes are multiplied by exp(−B s²).
            Elements that are not named do not vibrate.
        texture: keep of every line how its planes stand to the preferred direction, without which no view can
            have preferred orientation; 20 bytes a line.
        texture_axis: Miller indices of the conventional cell's planes whose normal is that direction.

    Raises:
        BadInputError: a value no experiment could have.
    """

    wavelength: float = CU_K_ALPHA
    two_theta_min: float = 5.0
    two_theta_max: float = 90.0
    merge_tolerance: float = 1e-5
    min_intensity: float = 1e-3
    debye_waller: dict[str, float] = field(default_factory=dict)
    texture: bool = False
    texture_axis: tuple[int, int, int] = (0, 0, 1)

    def __post_init__(self) -> None:
        if not 0.1 <= self.wavelength <= 10:
            raise BadInputError(
                f"a wavelength of {self.wavelength} Å", field="wavelength", remedy="Give it in Å, 0.1 to 10."
            )
        if not 0 <= self.two_theta_min < self.two_theta_max < 180:
            raise BadInputError(
                f"a range of {self.two_theta_min}° to {self.two_theta_max}°",
                field="two_theta_min, two_theta_max",
                remedy="Give degrees with 0 ≤ min < max < 180.",
            )
        for symbol in self.debye_waller:
            atomic_number(symbol)
        if any(not 0 <= b <= 100 for b in self.debye_waller.values()):
            raise BadInputError(
                "a B factor out of range", field="debye_waller", remedy="Give B in Å², 0 to 100, not U."
            )
        if not any(self.texture_axis):
            raise BadInputError(
                "planes (0, 0, 0) have no normal", field="texture_axis", remedy="Give Miller indices."
            )

    def metadata(self) -> dict[str, str | float | list[float] | list[int] | dict[str, float]]:
        """What must be known to compare these lines with others, ready for JSON."""
        return {
            "wavelength_angstrom": self.wavelength,
            "radiation": "Cu Kα mean" if self.wavelength == CU_K_ALPHA else "given wavelength",
            "two_theta_range_deg": [self.two_theta_min, self.two_theta_max],
            "lorentz_polarisation": "(1 + cos² 2θ) / (sin² θ cos θ)",
            "scattering_factors": "De Graef and McHenry 2012, no anomalous dispersion",
            "debye_waller": dict(self.debye_waller) or "none",
            "merge_tolerance_deg": self.merge_tolerance,
            "min_intensity_percent": self.min_intensity,
            "scale": "strongest line 100, integrated intensities",
            "hydrogen": "D counts as H",
            "texture_axis": list(self.texture_axis) if self.texture else "none",
        }


@dataclass(frozen=True)
class Lines:
    """Powder lines of one crystal.

    Attributes:
        two_theta: degrees, ascending, shape (lines,).
        intensity: integrated, strongest 100, shape (lines,).
        texture: averages of Legendre polynomials over the reflections of each line, see ``texture``; None
            where the settings do not ask for them, shape (lines, orders).
    """

    two_theta: Float[np.ndarray, " lines"]
    intensity: Float[np.ndarray, " lines"]
    texture: Float[np.ndarray, "lines orders"] | None = None

    def __len__(self) -> int:
        return len(self.two_theta)


@cache
def _coefficients() -> Float[np.ndarray, "z 4 2"]:
    """Pairs (a, b) by atomic number; index 0 is zero."""
    text = (files("prismat") / "data" / "scattering_factors.csv").read_text(encoding="utf-8")
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    next(rows)
    found = np.zeros((MAX_Z + 1, 4, 2))
    for symbol, *values in rows:
        found[atomic_number(symbol)] = np.array(values, dtype=float).reshape(4, 2)
    return found


def scattering_factors(
    z: Int[np.ndarray, " elements"], s2: Float[np.ndarray, " reflections"]
) -> Float[np.ndarray, "reflections elements"]:
    """Atomic scattering factors f(s) in electrons.

    Args:
        z: atomic numbers.
        s2: (sin θ / λ)² in Å⁻².
    """
    a, b = _coefficients()[z, :, 0], _coefficients()[z, :, 1]
    damped = np.exp(s2[:, None] * -b.reshape(1, -1)).reshape(len(s2), *b.shape)
    return z - 41.78214 * s2[:, None] * np.einsum("red,ed->re", damped, a)


@dataclass(frozen=True)
class Rods:
    """Reflections as rows of reciprocal space that run along h.

    Attributes:
        first: the lowest h, and k and l, of each row, shape (rods, 3).
        count: number of consecutive h in each row, shape (rods,).
    """

    first: Int[np.ndarray, "rods 3"]
    count: Int[np.ndarray, " rods"]

    def expand(
        self,
    ) -> tuple[Int[np.ndarray, " all"], Int[np.ndarray, " all"], Int[np.ndarray, "all 3"]]:
        """Rod, place within the rod and Miller indices of every reflection."""
        rod = np.repeat(np.arange(len(self.count)), self.count)
        place = ranges(np.zeros_like(self.count), self.count)
        hkl = self.first[rod]
        hkl[:, 0] += place
        return rod, place, hkl


def reciprocal_rods(T: Float[np.ndarray, "3 3"], g_max: float) -> Rods:
    """All reflections with l ≥ 0 and |g| ≤ g_max.

    With a lower triangular reciprocal basis the sphere bounds l, l bounds k, and k and l bound h, so that
    nothing outside of it is visited however skew the cell is (U. Fincke and M. Pohst, Math. Comput. 44, 463
    (1985)).

    Args:
        T: reciprocal basis as rows in Å⁻¹ (without 2π), turned to be lower triangular.
        g_max: Å⁻¹.
    """
    r2 = g_max**2 * (1 + 1e-12)
    top = np.arange(0, int(np.sqrt(r2) / T[2, 2]) + 1)
    room = np.sqrt(np.maximum(r2 - (top * T[2, 2]) ** 2, 0))
    first, count = _integers(-top * T[2, 1] / T[1, 1], room / T[1, 1])
    l, k = np.repeat(top, count), ranges(first, count)  # noqa: E741
    across = k * T[1, 1] + l * T[2, 1]
    room = np.sqrt(np.maximum(r2 - (l * T[2, 2]) ** 2 - across**2, 0))
    first, count = _integers(-(k * T[1, 0] + l * T[2, 0]) / T[0, 0], room / T[0, 0])
    return Rods(np.stack([first, k, l], axis=1), count)


def _integers(
    centre: Float[np.ndarray, " n"], half_width: Float[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The first integer within ``half_width`` of ``centre``, and how many there are."""
    first = np.ceil(centre - half_width - 1e-9).astype(np.int64)
    last = np.floor(centre + half_width + 1e-9).astype(np.int64)
    return first, np.maximum(last - first + 1, 0)


def _contents(
    crystal: Crystal,
) -> tuple[Int[np.ndarray, " elements"], Float[np.ndarray, "sites elements"]]:
    """Atomic numbers present, and the occupancy of each site by each of them."""
    rows, z, occupancy = zip(
        *((row, z, x) for row, site in enumerate(crystal.sites) for z, x in site), strict=True
    )
    elements, column = np.unique(np.array(z, dtype=np.int64), return_inverse=True)
    table = np.zeros((len(crystal), len(elements)))
    np.add.at(table, (np.array(rows), column), np.array(occupancy))
    return elements, table


def geometric_factors(
    rods: Rods, frac: Float[np.ndarray, "atoms 3"], occupancy: Float[np.ndarray, " atoms"]
) -> Complex[np.ndarray, "rods longest"]:
    """Σⱼ occupancyⱼ exp(2πi h·xⱼ) along every rod, beyond a rod's end too.

    A rod's phases are those of its first reflection times powers of exp(2πi x), so the sum over atoms is one
    matrix product; the number of exponentials grows only with the surface of the sphere.
    """
    longest = int(rods.count.max())
    steps = np.exp(2j * np.pi * np.outer(frac[:, 0], np.arange(longest))) * occupancy[:, None]
    found = np.empty((len(rods.count), longest), dtype=np.complex128)
    chunk = max(1, CHUNK // len(frac))
    for start in range(0, len(found), chunk):
        rows = slice(start, start + chunk)
        found[rows] = np.exp(2j * np.pi * (rods.first[rows] @ frac.T)) @ steps
    return found


def _merge(
    two_theta: Float[np.ndarray, " reflections"],
    tolerance: float,
) -> tuple[Int[np.ndarray, " reflections"], Int[np.ndarray, " lines"]]:
    """The order by angle, and where in it each line starts, made of what is closer than the tolerance."""
    order = np.argsort(two_theta)
    starts = np.flatnonzero(np.diff(two_theta[order]) > tolerance) + 1
    return order, np.concatenate([[0], starts])


def _reflections(
    crystal: Crystal, settings: XrdSettings
) -> tuple[
    Int[np.ndarray, "reflections 3"],
    Float[np.ndarray, " reflections"],
    Float[np.ndarray, " reflections"],
]:
    """Miller indices, |g|² in Å⁻² and |F|² in electrons² of one half of the reflections in the range."""
    # Rods along the longest edge are the longest and fewest.
    axes = np.argsort(-np.linalg.norm(crystal.lattice, axis=1))
    lattice, frac = crystal.lattice[axes], crystal.frac[:, axes]
    edge = 2 * np.sin(np.radians([settings.two_theta_min, settings.two_theta_max]) / 2) / settings.wavelength
    T = np.linalg.cholesky(np.linalg.inv(lattice @ lattice.T))
    rods = reciprocal_rods(T, edge[1])
    rod, place, hkl = rods.expand()
    h, k, l = hkl.T  # noqa: E741
    g2 = ((hkl @ T) ** 2).sum(axis=1)
    half = (l > 0) | (l == 0) & ((k > 0) | (k == 0) & (h > 0))
    kept = half & (g2 >= edge[0] ** 2) & (g2 <= edge[1] ** 2)
    rod, place, g2 = rod[kept], place[kept], g2[kept]
    z, occupancy = _contents(crystal)
    f = scattering_factors(z, g2 / 4)
    if settings.debye_waller:
        f *= np.exp(-np.array([settings.debye_waller.get(SYMBOLS[n], 0.0) for n in z]) * g2[:, None] / 4)
    F = np.zeros(len(g2), dtype=np.complex128)
    for column in range(len(z)):
        here = occupancy[:, column] > 0
        F += f[:, column] * geometric_factors(rods, frac[here], occupancy[here, column])[rod, place]
    return hkl[kept][:, np.argsort(axes)], g2, F.real**2 + F.imag**2


def powder_lines(crystal: Crystal, settings: XrdSettings = XrdSettings()) -> Lines:
    """Powder lines of a crystal, ordered or disordered.

    Any cell of the crystal gives the same lines; the primitive cell gives them soonest, since the time goes
    with the square of the volume.

    Args:
        crystal: partial occupancies weight the scattering factors.
        settings: wavelength, range, merging and thermal motion.

    Returns:
        Lines sorted by angle, the strongest 100.

    Raises:
        BadInputError: the cell is empty or flat, has no reflection in the range, or has more than
            ``MAX_REFLECTIONS``.
    """
    _check_size(crystal, settings)
    hkl, g2, squared = _reflections(crystal, settings)
    if not len(g2):
        raise BadInputError(
            f"no reflection between {settings.two_theta_min}° and {settings.two_theta_max}°",
            field="lattice",
            remedy="Widen the range or check that the cell is in Å.",
        )
    sin2 = g2 * settings.wavelength**2 / 4
    polarisation = (1 + (1 - 2 * sin2) ** 2) / (sin2 * np.sqrt(1 - sin2))
    two_theta = np.degrees(2 * np.arcsin(np.sqrt(sin2)))
    order, starts = _merge(two_theta, settings.merge_tolerance)
    each = (squared * polarisation)[order]
    total = np.add.reduceat(each, starts)
    intensity = total * (100 / total.max())
    strong = intensity > settings.min_intensity
    lines = Lines(two_theta[order][starts][strong], intensity[strong])
    if not settings.texture:
        return lines
    # g = h · (a*, b*, c*), and the rows of the inverse transpose of the lattice are a*, b*, c*.
    along = np.linalg.inv(crystal.lattice).T @ preferred_axis(crystal, settings.texture_axis)
    moments = legendre_moments(hkl[order] @ along / np.sqrt(g2[order]))
    summed = np.add.reduceat(each[:, None] * moments, starts, axis=0)
    return replace(lines, texture=summed[strong] / total[strong, None])


def _check_size(crystal: Crystal, settings: XrdSettings) -> None:
    if not len(crystal):
        raise BadInputError("the cell is empty", field="sites", remedy="Give at least one atom.")
    if not crystal.volume > 1e-3 or not np.isfinite(crystal.frac).all():
        raise BadInputError(
            f"a cell of {crystal.volume:.2g} Å³, or positions that are not finite",
            field="lattice or coordinates",
            remedy="Check the lattice vectors and the coordinates.",
        )
    g_max = 2 * np.sin(np.radians(settings.two_theta_max) / 2) / settings.wavelength
    expected = 2 / 3 * np.pi * g_max**3 * crystal.volume
    if expected > MAX_REFLECTIONS:
        raise BadInputError(
            f"about {expected:.2g} reflections, more than the limit of {MAX_REFLECTIONS:,}",
            field="lattice",
            remedy="Give the primitive cell, or lower two_theta_max.",
        )
