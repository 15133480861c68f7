"""The powder pattern of a crystal as it is shown: a profile, and lines with their Miller indices."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.crystal import Crystal
from prismat.modalities.xrd import XrdSettings, _reflections, powder_lines

STEP = 0.02
"""Degrees between points of the profile."""
FWHM = 0.15
"""Degrees; full width at half maximum of every peak, that of an ordinary laboratory instrument."""
LORENTZIAN = 0.5
"""Share of the Lorentzian in the pseudo-Voigt peaks."""
WEAKEST = 0.1
"""Lines weaker than this, where the strongest is 100, are not listed."""
MOST_LINES = 500
SAME_LINE = 2e-4
"""Degrees within which reflections belong to a listed line."""
_SYMPREC = 0.01


@dataclass(frozen=True, eq=False)
class Peak:
    """One line of a pattern.

    Attributes:
        two_theta: degrees.
        intensity: integrated, the strongest 100.
        hkl: Miller indices in the conventional cell, one for each family of equivalent planes, the
            strongest first.
        multiplicity: reflections that coincide in the line.
    """

    two_theta: float
    intensity: float
    hkl: tuple[tuple[int, int, int], ...]
    multiplicity: int

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "two_theta": round(self.two_theta, 4),
            "intensity": round(self.intensity, 3),
            "hkl": [list(indices) for indices in self.hkl],
            "multiplicity": self.multiplicity,
        }


@dataclass(frozen=True, eq=False)
class Simulated:
    """The pattern of a crystal.

    Attributes:
        two_theta: degrees, shape (points,).
        intensity: 0 to 100, shape (points,).
        peaks: lines by angle.
        wavelength: Å.
    """

    two_theta: Float[np.ndarray, " points"]
    intensity: Float[np.ndarray, " points"]
    peaks: tuple[Peak, ...]
    wavelength: float

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "two_theta": np.round(self.two_theta, 4).tolist(),
            "intensity": np.round(self.intensity, 3).tolist(),
            "peaks": [peak.to_dict() for peak in self.peaks],
            "wavelength": self.wavelength,
        }


def simulate(
    crystal: Crystal, wavelength: float = 1.54184, limits: tuple[float, float] = (5.0, 90.0)
) -> Simulated:
    """The kinematic powder pattern of a crystal, with the lines of ``prismat.modalities.xrd``.

    Args:
        crystal: ordered or disordered.
        wavelength: Å.
        limits: first and last angle in degrees.

    Raises:
        BadInputError: from ``powder_lines``.
    """
    settings = XrdSettings(wavelength=wavelength, two_theta_min=limits[0], two_theta_max=limits[1])
    lines = powder_lines(crystal, settings)
    grid = np.arange(limits[0], limits[1] + STEP / 2, STEP)
    profile = broadened(grid, lines.two_theta, lines.intensity)
    return Simulated(grid, profile, indexed(crystal, settings, lines.two_theta, lines.intensity), wavelength)


def broadened(
    grid: Float[np.ndarray, " points"],
    two_theta: Float[np.ndarray, " lines"],
    intensity: Float[np.ndarray, " lines"],
) -> Float[np.ndarray, " points"]:
    """Pseudo-Voigt peaks on an even grid, the highest point 100.

    A line between two points is shared by them, which moves no centre of gravity.
    """
    step = grid[1] - grid[0]
    place = np.clip((two_theta - grid[0]) / step, 0, len(grid) - 1)
    left = np.minimum(place.astype(np.int64), len(grid) - 2)
    sticks = np.bincount(left, intensity * (1 - (place - left)), len(grid))
    sticks += np.bincount(left + 1, intensity * (place - left), len(grid))
    reach = min(round(20 * FWHM / step), (len(grid) - 1) // 2)
    x = np.arange(-reach, reach + 1) * step / (FWHM / 2)
    peak = LORENTZIAN / (1 + x**2) + (1 - LORENTZIAN) * np.exp(-np.log(2) * x**2)
    profile = np.convolve(sticks, peak, mode="same")
    return profile * (100 / max(profile.max(), 1e-300))


def indexed(
    crystal: Crystal,
    settings: XrdSettings,
    two_theta: Float[np.ndarray, " lines"],
    intensity: Float[np.ndarray, " lines"],
) -> tuple[Peak, ...]:
    """The strongest lines, by angle, each with the families of planes that make it."""
    listed = np.sort(np.argsort(-intensity, kind="stable")[:MOST_LINES])
    listed = listed[intensity[listed] >= WEAKEST]
    hkl, g2, squared = _reflections(crystal, settings)
    own = np.degrees(2 * np.arcsin(np.sqrt(g2) * settings.wavelength / 2))
    order = np.argsort(own)
    hkl, squared, own = hkl[order], squared[order], own[order]
    rotations, conventional = _symmetry(crystal)
    peaks = []
    for row in listed.tolist():
        here = slice(*np.searchsorted(own, [two_theta[row] - SAME_LINE, two_theta[row] + SAME_LINE]))
        seen = squared[here] > 1e-6 * squared[here].max(initial=0)
        names, counts = _families(hkl[here][seen], squared[here][seen], rotations, conventional)
        peaks.append(Peak(float(two_theta[row]), float(intensity[row]), names, 2 * counts))
    return tuple(peaks)


def _families(
    hkl: Int[np.ndarray, "reflections 3"],
    squared: Float[np.ndarray, " reflections"],
    rotations: Int[np.ndarray, "operations 3 3"],
    conventional: Float[np.ndarray, "3 3"],
) -> tuple[tuple[tuple[int, int, int], ...], int]:
    """One name for each family of equivalent planes, strongest first, and the number of reflections."""
    images = np.einsum("ni,oij->noj", hkl, rotations)
    images = np.rint(np.concatenate([images, -images], axis=1) @ conventional).astype(np.int64)
    # The name that crystallographers would choose: no needless minus, then the greatest index first.
    keys = (images + 4096) @ np.array([1 << 26, 1 << 13, 1]) - ((images < 0).sum(axis=2) << 40)
    best = images[np.arange(len(images)), keys.argmax(axis=1)]
    names, member = np.unique(best, axis=0, return_inverse=True)
    strength = np.bincount(member.ravel(), squared, len(names))
    ranked = names[np.argsort(-strength, kind="stable")]
    return tuple((int(h), int(k), int(l)) for h, k, l in ranked), len(hkl)  # noqa: E741


def _symmetry(crystal: Crystal) -> tuple[Int[np.ndarray, "operations 3 3"], Float[np.ndarray, "3 3"]]:
    """Rotations in the crystal's own basis, and P that makes its Miller indices conventional: h' = h P."""
    import moyopy

    known: dict[tuple, int] = {}
    labels = [known.setdefault(tuple((z, round(x, 3)) for z, x in s), len(known) + 1) for s in crystal.sites]
    cell = moyopy.Cell(crystal.lattice.tolist(), crystal.frac.tolist(), labels)
    try:
        found = moyopy.MoyoDataset(cell, symprec=_SYMPREC)
    except Exception:
        # moyo raises errors of many kinds for cells that it cannot reduce; they then have no symmetry.
        return np.eye(3, dtype=np.int64)[None], np.eye(3)
    return np.array(found.operations.rotations, dtype=np.int64), np.array(found.std_linear, dtype=np.float64)
