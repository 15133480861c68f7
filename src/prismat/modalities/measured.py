"""Measured powder patterns on the grid of the scattering vector: background and noise taken off."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import median_filter

from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.modalities.rendering import ProfileSettings, convolve, normalise

MIN_POINTS = 20
"""Points below which a measured pattern is refused."""

MIN_COVERAGE = 0.25
"""Share of the q range that a measured pattern must cover."""


def scattering_vector(two_theta: Float[np.ndarray, " n"], wavelength: float) -> Float[np.ndarray, " n"]:
    """Q = 4π sin θ / λ in Å⁻¹ from 2θ in degrees."""
    return 4 * np.pi / wavelength * np.sin(np.radians(two_theta) / 2)


def check_pattern(pattern: Pattern, settings: ProfileSettings) -> None:
    """Refuses a measured pattern that cannot be brought onto the grid.

    Raises:
        BadInputError: lengths that differ, fewer than ``MIN_POINTS`` points, a value that is not finite,
            angles that do not ascend or leave 0° to 180°, a wavelength out of range, or a pattern that
            covers less than ``MIN_COVERAGE`` of the grid.
    """
    x, y = pattern.two_theta, pattern.intensity
    if len(x) < MIN_POINTS or len(x) != len(y):
        raise BadInputError(
            f"{len(x)} angles and {len(y)} intensities",
            field="xrd",
            remedy=f"Give one intensity per angle, at least {MIN_POINTS} points.",
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise BadInputError("NaN or infinity in the pattern", field="xrd", remedy="Remove these points.")
    if x.min() < 0 or x.max() > 180 or not (np.diff(x) > 0).all():
        raise BadInputError(
            f"angles do not ascend within 0° to 180° (first {x[0]:g}, last {x[-1]:g})",
            field="xrd",
            remedy="Sort the points by 2θ in degrees and merge repeated angles.",
        )
    if not 0.1 <= pattern.wavelength <= 10:
        raise BadInputError(
            f"a wavelength of {pattern.wavelength} Å", field="xrd", remedy="Give it in Å, 0.1 to 10."
        )
    q = scattering_vector(x[[0, -1]], pattern.wavelength)
    covered = min(q[1], settings.q_max) - max(q[0], settings.q_min)
    if covered < MIN_COVERAGE * (settings.q_max - settings.q_min):
        raise BadInputError(
            f"the pattern reaches from {q[0]:.2f} to {q[1]:.2f} Å⁻¹, too little of the grid's "
            f"{settings.q_min} to {settings.q_max} Å⁻¹",
            field="xrd",
            remedy="Check the wavelength, or measure a wider range.",
        )


def from_measured(
    pattern: Pattern,
    settings: ProfileSettings = ProfileSettings(),
) -> Float[np.ndarray, " points"]:
    """A measured pattern on the grid: background and noise taken off, square root, root mean square 1.

    Where the measurement does not reach, the profile is zero.

    Raises:
        BadInputError: see ``check_pattern``; or nothing but background and noise.
    """
    check_pattern(pattern, settings)
    reach, counts, degrees = _resample(pattern, settings)
    cleaning, margin = settings.cleaning, settings.margin
    padded = torch.from_numpy(np.pad(counts, margin, mode="reflect", reflect_type="odd"))[None]
    width = torch.full((1, 1), cleaning.smoothing / settings.step, dtype=padded.dtype)
    smooth = convolve(padded, width, 0.0)[0, margin:-margin].numpy()
    base = background(smooth, max(1, round(cleaning.background_window / settings.step)))
    floor = cleaning.threshold * noise_level(counts, cleaning.smoothing / settings.step)
    peaks = smooth - base - floor
    # Rounding must not pass for a peak of a flat pattern.
    if not peaks.max() > 1e-9 * np.abs(counts).max():
        raise BadInputError(
            "nothing but background and noise",
            field="xrd",
            remedy="Check the intensity column, or measure longer.",
        )
    profile = torch.zeros(1, settings.points)
    root = np.sqrt(np.maximum(peaks, 0) * degrees)
    profile[0, torch.from_numpy(reach)] = torch.from_numpy(root.astype(np.float32))
    return normalise(profile)[0].numpy()


def _resample(
    pattern: Pattern, settings: ProfileSettings
) -> tuple[Bool[np.ndarray, " points"], Float[np.ndarray, " reached"], Float[np.ndarray, " reached"]]:
    """Grid points that the pattern reaches, its mean intensity around each of these, and the degrees there.

    A step of q spans more degrees at high angles; intensity times degrees keeps the areas of peaks.
    """
    x, y = pattern.two_theta.astype(np.float64), pattern.intensity.astype(np.float64)
    y = y / max(np.abs(y).max(), 1e-300)
    running = np.concatenate([[0], np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2)])
    edges = settings.q_min + settings.step * (np.arange(settings.points + 1) - 0.5)
    sine = edges * pattern.wavelength / (4 * np.pi)
    angle = 2 * np.degrees(np.arcsin(np.clip(sine, -1, 1)))
    inside = (angle >= x[0]) & (angle <= x[-1]) & (np.abs(sine) <= 1)
    reach = inside[1:] & inside[:-1]
    degrees = np.diff(angle)[reach]
    return reach, np.diff(np.interp(angle, x, running))[reach] / degrees, degrees


def noise_level(counts: Float[np.ndarray, " points"], width: float) -> Float[np.ndarray, " points"]:
    """Standard deviation of the noise around each point after smoothing with a Gaussian of FWHM ``width``.

    The running median of the second differences, which peaks broader than a few points hardly touch; white
    noise is assumed, so that smoothing divides it by (2 √π σ)^½.
    """
    rough = np.abs(np.diff(counts, 2)) / (np.sqrt(6) * 0.6745)
    level = median_filter(np.pad(rough, 1, mode="edge"), min(101, len(counts)), mode="nearest")
    sigma = width / (2 * np.sqrt(2 * np.log(2)))
    return level / np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * sigma))


def background(counts: Float[np.ndarray, " points"], window: int) -> Float[np.ndarray, " points"]:
    """Background under the peaks by SNIP clipping.

    Every point is lowered to the mean of its neighbours at distance p where that is lower, for p from
    ``window`` down to 1 (M. Morháč et al., Nucl. Instrum. Methods A 401, 113 (1997)). The usual logarithms
    are left out: counts may be negative, and a straight background should come back as it is.
    """
    v = np.pad(counts, min(window, len(counts) - 1), mode="reflect", reflect_type="odd")
    for p in range(min(window, (len(v) - 1) // 2), 0, -1):
        v[p:-p] = np.minimum(v[p:-p], (v[: -2 * p] + v[2 * p :]) / 2)
    margin = (len(v) - len(counts)) // 2
    return v[margin : len(v) - margin]
