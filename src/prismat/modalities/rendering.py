"""Powder lines to profiles on a grid of the scattering vector, clean or as an instrument would see them.

The grid is q = 4π sin θ / λ, on which the peaks of a crystal lie at the same place whatever the radiation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from prismat.errors import BadInputError
from prismat.modalities.xrd import CU_K_ALPHA
from prismat.ragged import Packed


@dataclass(frozen=True)
class Cleaning:
    """How background and noise are taken from a measured pattern.

    Attributes:
        smoothing: Å⁻¹, full width at half maximum of the Gaussian that it is convolved with.
        background_window: Å⁻¹; a feature much wider than twice this counts as background.
        threshold: standard deviations of the noise taken off every point, so that the square root does not
            turn the noise between the peaks into a plateau.

    Raises:
        BadInputError: a negative value, or no window.
    """

    smoothing: float = 0.02
    background_window: float = 0.05
    threshold: float = 1.5

    def __post_init__(self) -> None:
        if self.smoothing < 0 or self.background_window <= 0 or self.threshold < 0:
            raise BadInputError(
                f"cannot clean a pattern with {self}", remedy="Give values ≥ 0 and a window > 0."
            )


@dataclass(frozen=True)
class ProfileSettings:
    """The grid and the shape of the peaks on it.

    Attributes:
        q_min: Å⁻¹, first grid point; 0.35 is 2θ = 4.9° with Cu Kα.
        q_max: Å⁻¹, last grid point; 5.6 is 2θ = 86.8° with Cu Kα.
        points: number of grid points.
        fwhm: Å⁻¹, full width at half maximum of a rendered peak.
        lorentzian: share of the Lorentzian in the pseudo-Voigt peak, 0 to 1.
        wavelength: Å, with which simulated lines were computed.
        cleaning: how background and noise are taken from measured patterns.

    Raises:
        BadInputError: a value that makes no grid or no peak.
    """

    q_min: float = 0.35
    q_max: float = 5.6
    points: int = 1024
    fwhm: float = 0.025
    lorentzian: float = 0.5
    wavelength: float = CU_K_ALPHA
    cleaning: Cleaning = Cleaning()

    def __post_init__(self) -> None:
        if not (0 <= self.q_min < self.q_max and self.points >= 64):
            raise BadInputError(
                f"a grid of {self.points} points from {self.q_min} to {self.q_max} Å⁻¹",
                field="q_min, q_max, points",
                remedy="Give 0 ≤ q_min < q_max and at least 64 points.",
            )
        if not (self.step <= self.fwhm <= 0.1 * (self.q_max - self.q_min) and 0 <= self.lorentzian <= 1):
            raise BadInputError(
                f"peaks {self.fwhm} Å⁻¹ wide, {self.lorentzian} Lorentzian, on steps of {self.step:.4f} Å⁻¹",
                field="fwhm, lorentzian",
                remedy="Make peaks wider than one step, and the Lorentzian share 0 to 1.",
            )

    @property
    def step(self) -> float:
        """Distance of grid points in Å⁻¹."""
        return (self.q_max - self.q_min) / (self.points - 1)

    @property
    def margin(self) -> int:
        """Points beyond either end, so that peaks just outside show their flanks and nothing wraps around."""
        return self.points // 16

    @property
    def grid(self) -> Float[np.ndarray, " points"]:
        """Scattering vectors in Å⁻¹."""
        return np.linspace(self.q_min, self.q_max, self.points)


@dataclass(frozen=True)
class ProfileNoise:
    """What a real instrument and sample do to a pattern; drawn anew for every record.

    Attributes:
        zero_shift: degrees 2θ, standard deviation of the zero error.
        strain: relative standard deviation of an isotropic change of the lattice.
        width: lowest and highest factor on the width of the peaks.
        texture: standard deviation of the logarithm of each line's intensity (preferred orientation).
        noise: highest standard deviation of the noise as a share of the strongest point, after the square
            root, where counting noise is the same at every height.
        background: highest share of the strongest point in what is left of the background.

    Raises:
        BadInputError: a negative value, or a width range that is empty.
    """

    zero_shift: float = 0.03
    strain: float = 0.002
    width: tuple[float, float] = (0.7, 1.8)
    texture: float = 0.3
    noise: float = 0.03
    background: float = 0.01

    def __post_init__(self) -> None:
        low, high = self.width
        values = (self.zero_shift, self.strain, self.texture, self.noise, self.background)
        if min(values) < 0 or not 0 < low <= high <= 4:
            raise BadInputError(
                f"noise of {self}", remedy="Give values ≥ 0 and a width range with 0 < low ≤ high ≤ 4."
            )


def _normal(n: int, generator: torch.Generator | None) -> Float[torch.Tensor, " n"]:
    return torch.randn(n, generator=generator, dtype=torch.float64)


def _uniform(n: int, generator: torch.Generator | None) -> Float[torch.Tensor, "n 1"]:
    return torch.rand(n, 1, generator=generator)


def render(
    packed: Packed,
    settings: ProfileSettings = ProfileSettings(),
    noise: ProfileNoise | None = None,
    generator: torch.Generator | None = None,
) -> Float[torch.Tensor, "batch points"]:
    """Profiles of packed lines (``xrd.two_theta`` in degrees, ``xrd.intensity``); no lines give zeros.

    Args:
        packed: columns of lines.
        settings: grid and peak shape.
        noise: distortions to draw, or None for the clean profile.
        generator: source of the draws; torch's own where None.
    """
    lines, batch = packed["xrd.two_theta"], len(packed["xrd.two_theta"])
    row = torch.from_numpy(np.repeat(np.arange(batch), lines.lengths))
    two_theta = torch.from_numpy(lines.values.astype(np.float64))
    intensity = torch.from_numpy(packed["xrd.intensity"].values.astype(np.float32))
    widths, scale = torch.ones(batch, 1), torch.ones(batch, dtype=torch.float64)
    if noise is not None:
        two_theta = two_theta + noise.zero_shift * _normal(batch, generator)[row]
        scale = 1 / (1 + noise.strain * _normal(batch, generator))
        intensity = intensity * torch.exp(noise.texture * _normal(len(row), generator)).float()
        low, high = noise.width
        widths = low + (high - low) * _uniform(batch, generator)
    q = 4 * torch.pi / settings.wavelength * torch.sin(torch.deg2rad(two_theta) / 2) * scale[row]
    spikes = _scatter(row, q, intensity, batch, settings)
    smooth = convolve(spikes, widths * settings.fwhm / settings.step, settings.lorentzian)
    profile = smooth[:, settings.margin : settings.margin + settings.points].clamp_min(0)
    if noise is not None:
        profile = profile + _background(profile, noise, generator)
        return normalise(_add_noise(profile.sqrt(), noise, generator))
    return normalise(profile.sqrt())


def _scatter(
    row: Int[torch.Tensor, " lines"],
    q: Float[torch.Tensor, " lines"],
    intensity: Float[torch.Tensor, " lines"],
    batch: int,
    settings: ProfileSettings,
) -> Float[torch.Tensor, "batch wide"]:
    """Each line on the two grid points around it, by its distance from them; margins included."""
    wide = settings.points + 2 * settings.margin
    place = (q - settings.q_min) / settings.step + settings.margin
    left = place.floor().long()
    inside = (left >= 0) & (left < wide - 1)
    share = (place - left)[inside].float()
    index, height = (row * wide + left)[inside], intensity[inside]
    spikes = torch.zeros(batch * wide)
    spikes.index_add_(0, index, height * (1 - share))
    spikes.index_add_(0, index + 1, height * share)
    return spikes.view(batch, wide)


def convolve(
    spikes: Float[torch.Tensor, "batch wide"], width: Float[torch.Tensor, "rows 1"], lorentzian: float
) -> Float[torch.Tensor, "batch wide"]:
    """Convolution with pseudo-Voigt peaks of area 1 in Fourier space; ``width`` is the FWHM in points.

    The transforms are exp(−π w |ν|) of the Lorentzian and exp(−(π w ν)² / (4 ln 2)) of the Gaussian.
    """
    wide = spikes.shape[1]
    turn = torch.pi * width * torch.fft.rfftfreq(wide)
    gaussian = torch.exp(-(turn**2) / (4 * np.log(2)))
    transfer = gaussian if lorentzian == 0 else lorentzian * torch.exp(-turn) + (1 - lorentzian) * gaussian
    return torch.fft.irfft(torch.fft.rfft(spikes) * transfer, n=wide)


def _background(
    profile: Float[torch.Tensor, "batch points"], noise: ProfileNoise, generator: torch.Generator | None
) -> Float[torch.Tensor, "batch points"]:
    """A smooth hill of the first eight cosines, between 0 and the drawn share of the strongest point."""
    batch, points = profile.shape
    x = torch.linspace(0, torch.pi, points)
    order = torch.arange(8)
    weights = torch.randn(batch, 8, generator=generator) / (1 + order)
    hill = weights @ torch.cos(order[:, None] * x)
    hill = hill - hill.amin(dim=1, keepdim=True)
    hill = hill / hill.amax(dim=1, keepdim=True).clamp_min(1e-6)
    return noise.background * _uniform(batch, generator) * profile.amax(dim=1, keepdim=True) * hill


def _add_noise(
    root: Float[torch.Tensor, "batch points"], noise: ProfileNoise, generator: torch.Generator | None
) -> Float[torch.Tensor, "batch points"]:
    """Noise of one size per record on the square root of the intensity."""
    level = noise.noise * _uniform(len(root), generator) * root.amax(dim=1, keepdim=True)
    return (root + level * torch.randn(root.shape, generator=generator)).clamp_min(0)


def normalise(profile: Float[torch.Tensor, "batch points"]) -> Float[torch.Tensor, "batch points"]:
    """Root mean square 1; an empty profile stays zero."""
    return profile / profile.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
