"""Which peaks of a measured pattern are lines of a crystal.

Peaks are the local maxima of the smoothed pattern that stand out by ``PROMINENCE`` of the highest one and by
``NOISE`` times the noise; a peak's intensity is its prominence, which needs no background. Lines of the
crystal closer than they can be told apart become one. The zero error of the instrument is the shift within
``SHIFT`` that brings most intensity together. Peaks and lines are then paired one to one, so that the sum of

    √(I_measured I_simulated) · (1 − (Δ/tolerance)²),   |Δ| ≤ tolerance,

is greatest. A lattice that is larger or smaller by some tenths of a percent shifts lines by more the higher
the angle is: at high angles such lines stay unpaired.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.signal import find_peaks, savgol_filter

from prismat.app.patterns import Peak, Simulated
from prismat.errors import BadInputError
from prismat.measurements import Pattern

TOLERANCE = 0.2
"""Degrees within which a peak and a line may be one."""
SHIFT = 0.3
"""Degrees; greatest zero error that is looked for."""
PROMINENCE = 0.01
NOISE = 8.0
SMOOTHING = 0.12
"""Degrees; window of the Savitzky–Golay filter."""
RESOLUTION = 0.1
"""Degrees within which lines are one."""
MOST_PEAKS = 300
MOST_POINTS = 8_000
"""Points of the measured pattern that are given back."""
_GRID = 20_000
WEAKEST = 1.0
"""Lines weaker than this, where the strongest is 100, are not looked for."""


@dataclass(frozen=True)
class Pair:
    """A measured peak that is a line of the crystal.

    Attributes:
        measured: 2θ of the peak in degrees, as measured.
        simulated: 2θ of the line.
        intensity: of the peak, the strongest 100.
        hkl: of the line.
    """

    measured: float
    simulated: float
    intensity: float
    hkl: tuple[tuple[int, int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "measured": round(self.measured, 4),
            "simulated": round(self.simulated, 4),
            "intensity": round(self.intensity, 2),
            "hkl": [list(indices) for indices in self.hkl],
        }


@dataclass(frozen=True, eq=False)
class Matching:
    """A measured pattern beside a simulated one.

    Attributes:
        pattern: as measured.
        simulated: of the crystal, in the range and at the wavelength of the pattern.
        pairs: by angle.
        alone: measured peaks without a line: (2θ, intensity).
        missing: lines without a peak.
        offset: measured minus simulated zero in degrees.
        shares: of the measured and of the simulated intensity that is paired.
    """

    pattern: Pattern
    simulated: Simulated
    pairs: tuple[Pair, ...]
    alone: tuple[tuple[float, float], ...]
    missing: tuple[Peak, ...]
    offset: float
    shares: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        angle, intensity = thinned(self.pattern)
        return {
            "measured": {
                "two_theta": np.round(angle, 4).tolist(),
                "intensity": np.round(intensity, 3).tolist(),
            },
            "simulated": self.simulated.to_dict(),
            "matches": [pair.to_dict() for pair in self.pairs],
            "unmatched_measured": [
                {"two_theta": round(t, 4), "intensity": round(i, 2)} for t, i in self.alone
            ],
            "unmatched_simulated": [peak.to_dict() for peak in self.missing],
            "offset": round(self.offset, 4),
            "tolerance": TOLERANCE,
            "matched_share": {"measured": round(self.shares[0], 4), "simulated": round(self.shares[1], 4)},
        }


def match_peaks(pattern: Pattern, simulated: Simulated) -> Matching:
    """Pairs the peaks of a pattern with the lines of a crystal.

    Args:
        pattern: as measured.
        simulated: in its range and at its wavelength.

    Raises:
        BadInputError: a pattern without peaks.
    """
    angle, height = measured_peaks(pattern)
    lines = merged(simulated.peaks)
    place = np.array([line.two_theta for line in lines])
    strength = np.array([line.intensity for line in lines])
    offset = _offset(angle, height, place, strength)
    own, other = _paired(angle - offset, height, place, strength)
    pairs = tuple(
        Pair(float(angle[i]), lines[j].two_theta, float(height[i]), lines[j].hkl)
        for i, j in zip(own, other, strict=True)
    )
    alone = tuple((float(angle[i]), float(height[i])) for i in range(len(angle)) if i not in set(own))
    missing = tuple(line for j, line in enumerate(lines) if j not in set(other))
    shares = (_share(height, own), _share(strength, other))
    return Matching(pattern, simulated, pairs, alone, missing, offset, shares)


def _share(values: Float[np.ndarray, " n"], some: list[int]) -> float:
    return float(values[some].sum() / values.sum()) if values.sum() > 0 else 0.0


def measured_peaks(pattern: Pattern) -> tuple[Float[np.ndarray, " peaks"], Float[np.ndarray, " peaks"]]:
    """2θ in degrees and prominence of the peaks by angle, the strongest 100.

    Raises:
        BadInputError: none stands out.
    """
    angle, counts = pattern.two_theta, pattern.intensity
    points = int(min(_GRID, max(50, np.ptp(angle) / max(float(np.median(np.diff(angle))), 1e-4) + 1)))
    grid = np.linspace(angle[0], angle[-1], points)
    even = np.interp(grid, angle, counts)
    window = max(5, 2 * int(SMOOTHING / (grid[1] - grid[0]) / 2) + 1)
    smooth = savgol_filter(even, min(window, 2 * ((points - 1) // 2) + 1), 2) if points > 5 else even
    # A quadratic filter of n points leaves 1.5/√n of white noise.
    noise = 1.4826 * float(np.median(np.abs(even - smooth))) * 1.5 / np.sqrt(window)
    floor = max(PROMINENCE * float(np.ptp(smooth)), NOISE * noise, 1e-12)
    found, facts = find_peaks(smooth, prominence=floor)
    if not len(found):
        raise BadInputError("no peak stands out", field="xrd", remedy="Give a pattern with its peaks.")
    strong = np.sort(np.argsort(-facts["prominences"], kind="stable")[:MOST_PEAKS])
    found, height = found[strong], facts["prominences"][strong]
    left, top, right = smooth[found - 1], smooth[found], smooth[found + 1]
    # The maximum of the parabola through three points lies between grid points.
    bend = np.minimum(left - 2 * top + right, -1e-300)
    return grid[found] + 0.5 * (left - right) / bend * (grid[1] - grid[0]), height * (100 / height.max())


def merged(peaks: tuple[Peak, ...]) -> list[Peak]:
    """Lines that can be told apart and are strong enough to be seen, by angle."""
    groups: list[list[Peak]] = []
    for peak in peaks:
        if groups and peak.two_theta - groups[-1][-1].two_theta < RESOLUTION:
            groups[-1].append(peak)
        else:
            groups.append([peak])
    lines = [_one(group) for group in groups]
    strongest = max((line.intensity for line in lines), default=1.0)
    return [line for line in lines if line.intensity >= WEAKEST * strongest / 100]


def _one(group: list[Peak]) -> Peak:
    total = sum(peak.intensity for peak in group)
    middle = sum(peak.intensity * peak.two_theta for peak in group) / total
    by_strength = sorted(group, key=lambda peak: -peak.intensity)
    return Peak(
        middle,
        total,
        tuple(hkl for peak in by_strength for hkl in peak.hkl),
        sum(p.multiplicity for p in group),
    )


def _offset(
    angle: Float[np.ndarray, " peaks"],
    height: Float[np.ndarray, " peaks"],
    place: Float[np.ndarray, " lines"],
    strength: Float[np.ndarray, " lines"],
) -> float:
    """The shift that brings most intensity together; the smallest of equal ones."""
    shifts = np.linspace(-SHIFT, SHIFT, 121)
    apart = angle[:, None] - place[None, :]
    near = np.abs(apart) <= SHIFT + TOLERANCE
    weight, apart = np.sqrt(np.outer(height, strength))[near], apart[near]
    width = TOLERANCE / 4
    score = (weight * np.exp(-0.5 * ((apart - shifts[:, None]) / width) ** 2)).sum(axis=1)
    score -= 1e-9 * np.abs(shifts)
    return float(shifts[score.argmax()])


def _paired(
    angle: Float[np.ndarray, " peaks"],
    height: Float[np.ndarray, " peaks"],
    place: Float[np.ndarray, " lines"],
    strength: Float[np.ndarray, " lines"],
) -> tuple[list[int], list[int]]:
    """Peaks and their lines, one to one."""
    apart = (angle[:, None] - place[None, :]) / TOLERANCE
    gain = np.sqrt(np.outer(height, strength)) * np.maximum(1 - apart**2, 0)
    rows, columns = linear_sum_assignment(-gain)
    kept = gain[rows, columns] > 0
    return rows[kept].tolist(), columns[kept].tolist()


def thinned(pattern: Pattern) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The pattern from 0 to 100 with at most ``MOST_POINTS`` points, the highest of each few kept."""
    angle, counts = pattern.two_theta, pattern.intensity
    few = -(-len(angle) // MOST_POINTS)
    if few > 1:
        starts = np.arange(0, len(angle), few)
        highest = np.maximum.reduceat(counts, starts)
        angle, counts = (
            angle[starts + np.minimum(few // 2, np.diff(np.append(starts, len(angle))) - 1)],
            highest,
        )
    return angle, counts * (100 / max(float(counts.max()), 1e-300))
