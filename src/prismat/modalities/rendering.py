"""Powder lines to profiles on a grid of the scattering vector, clean or as an instrument would see them.

The grid is q = 4π sin θ / λ, on which the peaks of a crystal lie at the same place whatever the radiation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int

from prismat.augment.xrd import (
    InstrumentViews,
    LineList,
    SampleViews,
    draw_range,
    draw_sample,
    draw_size_widths,
    draw_strain_widths,
    draw_tubes,
    scattering_vector,
    unpack_lines,
    with_tubes,
)
from prismat.errors import BadInputError
from prismat.modalities.xrd import CU_K_ALPHA
from prismat.ragged import Packed

STRAIN_LEVELS = 17
"""Widths between which those of strained lines are interpolated."""


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
        sample: size and strain of crystallites, their orientation, impurities; all off unless asked for.
        instrument: range of angles and X-ray tube; likewise.

    Raises:
        BadInputError: a negative value, or a width range that is empty.
    """

    zero_shift: float = 0.03
    strain: float = 0.002
    width: tuple[float, float] = (0.7, 1.8)
    texture: float = 0.3
    noise: float = 0.03
    background: float = 0.01
    sample: SampleViews = SampleViews()
    instrument: InstrumentViews = InstrumentViews()

    def __post_init__(self) -> None:
        low, high = self.width
        values = (self.zero_shift, self.strain, self.texture, self.noise, self.background)
        if min(values) < 0 or not 0 < low <= high <= 4:
            raise BadInputError(
                f"noise of {self}", remedy="Give values ≥ 0 and a width range with 0 < low ≤ high ≤ 4."
            )


@dataclass(frozen=True, eq=False)
class _Widths:
    """Full widths at half maximum of the peaks of every record.

    Attributes:
        instrument: in grid points, pseudo-Voigt, shape (batch, 1).
        size: in grid points, Lorentzian; None for crystals without end, shape (batch, 1).
        strain: as a share of q, Gaussian; None for none, shape (batch, 1).
    """

    instrument: Float[torch.Tensor, "batch 1"]
    size: Float[torch.Tensor, "batch 1"] | None = None
    strain: Float[torch.Tensor, "batch 1"] | None = None


def _normal(n: int, generator: torch.Generator | None) -> Float[torch.Tensor, " n"]:
    return torch.randn(n, generator=generator, dtype=torch.float64)


def _uniform(n: int, generator: torch.Generator | None) -> Float[torch.Tensor, "n 1"]:
    return torch.rand(n, 1, generator=generator)


def render(
    packed: Packed,
    settings: ProfileSettings = ProfileSettings(),
    noise: ProfileNoise | None = None,
    generator: torch.Generator | None = None,
    same: Bool[torch.Tensor, "batch batch"] | None = None,
) -> Float[torch.Tensor, "batch points"]:
    """Profiles of packed lines (``xrd.two_theta`` in degrees, ``xrd.intensity``); no lines give zeros.

    Args:
        packed: columns of lines.
        settings: grid and peak shape.
        noise: distortions to draw, or None for the clean profile.
        generator: source of the draws; torch's own where None.
        same: records of one material, which are no impurities of each other.

    Raises:
        BadInputError: preferred orientation is asked for and the lines do not tell of it.
    """
    lines, batch = unpack_lines(packed), len(packed["xrd.two_theta"])
    if noise is None:
        widths = _Widths(torch.ones(batch, 1) * settings.fwhm / settings.step)
        q = scattering_vector(lines.two_theta, settings.wavelength)
        return normalise(_peaks(lines.row, q, lines.intensity, widths, settings).sqrt())
    lines = draw_sample(lines, packed, _ends(settings), noise.sample, same, generator)
    tube = draw_tubes(batch, settings.wavelength, noise.instrument, generator)
    if tube is not None:
        lines = with_tubes(lines, settings.wavelength, tube)
    q, intensity, widths = _distort(lines, batch, settings, noise, tube, generator)
    profile = _peaks(lines.row, q, intensity, widths, settings)
    wavelength = torch.full((batch,), settings.wavelength, dtype=torch.float64) if tube is None else tube
    reach = draw_range(profile, settings.grid, wavelength, noise.instrument, generator)
    if reach is not None:
        profile = profile * reach
    profile = profile + _background(profile, noise, generator)
    root = _add_noise(profile.sqrt(), noise, generator)
    return normalise(root if reach is None else root * reach)


def _ends(settings: ProfileSettings) -> tuple[float, float]:
    """2θ in degrees of the ends of the grid, as far as the radiation reaches them."""
    sine = np.array([settings.q_min, settings.q_max]) * settings.wavelength / (4 * np.pi)
    first, last = 2 * np.degrees(np.arcsin(np.clip(sine, 0, 1)))
    return float(first), float(last)


def _distort(
    lines: LineList,
    batch: int,
    settings: ProfileSettings,
    noise: ProfileNoise,
    tube: Float[torch.Tensor, " batch"] | None,
    generator: torch.Generator | None,
) -> tuple[Float[torch.Tensor, " lines"], Float[torch.Tensor, " lines"], _Widths]:
    """Scattering vectors in Å⁻¹, intensities and widths as drawn."""
    two_theta = lines.two_theta + noise.zero_shift * _normal(batch, generator)[lines.row]
    scale = 1 / (1 + noise.strain * _normal(batch, generator))
    drawn = torch.exp(noise.texture * _normal(len(lines.row), generator)).float()
    low, high = noise.width
    widths = (low + (high - low) * _uniform(batch, generator)) * settings.fwhm / settings.step
    wavelength = settings.wavelength if tube is None else tube[lines.row]
    q = scattering_vector(two_theta, wavelength) * scale[lines.phase]
    size = draw_size_widths(batch, noise.sample, generator)
    strain = draw_strain_widths(batch, noise.sample, generator)
    size = None if size is None else size / settings.step
    return q, lines.intensity * drawn, _Widths(widths, size, strain)


def _peaks(
    row: Int[torch.Tensor, " lines"],
    q: Float[torch.Tensor, " lines"],
    intensity: Float[torch.Tensor, " lines"],
    widths: _Widths,
    settings: ProfileSettings,
) -> Float[torch.Tensor, "batch points"]:
    """Peaks on the grid, margins cut off."""
    batch, wide = len(widths.instrument), settings.points + 2 * settings.margin
    if widths.strain is None:
        spectrum = torch.fft.rfft(_scatter(row, q, intensity, batch, settings))
    else:
        spectrum = _strained_spectrum(row, q, intensity, widths.strain, settings)
    transfer = peak_transfer(widths.instrument, settings.lorentzian, wide)
    if widths.size is not None:
        transfer = transfer * peak_transfer(widths.size, 1.0, wide)
    smooth = torch.fft.irfft(spectrum * transfer, n=wide)
    return smooth[:, settings.margin : settings.margin + settings.points].clamp_min(0)


def _strained_spectrum(
    row: Int[torch.Tensor, " lines"],
    q: Float[torch.Tensor, " lines"],
    intensity: Float[torch.Tensor, " lines"],
    strain: Float[torch.Tensor, "batch 1"],
    settings: ProfileSettings,
) -> Complex[torch.Tensor, "batch frequencies"]:
    """Fourier transform of lines as Gaussians whose width is proportional to q.

    A convolution has one width, so each line is divided between the two nearest of ``STRAIN_LEVELS`` widths,
    by shares that keep its second moment (J. G. Nagy and D. P. O'Leary, SIAM J. Sci. Comput. 19, 1063
    (1998), with linear interpolation).
    """
    batch, wide = len(strain), settings.points + 2 * settings.margin
    top = settings.q_min + (settings.points + settings.margin) * settings.step
    levels = torch.linspace(0, top, STRAIN_LEVELS, dtype=torch.float64)
    below = torch.searchsorted(levels, q.contiguous()).sub(1).clamp(0, STRAIN_LEVELS - 2)
    low, high = levels[below].square(), levels[below + 1].square()
    upper = ((q.square() - low) / (high - low)).clamp(0, 1).float()
    first = row * STRAIN_LEVELS + below
    spikes = _scatter(
        torch.cat([first, first + 1]),
        torch.cat([q, q]),
        torch.cat([intensity * (1 - upper), intensity * upper]),
        batch * STRAIN_LEVELS,
        settings,
    )
    width = (strain * levels.float() / settings.step).reshape(-1, 1)
    transfer = peak_transfer(width, 0.0, wide).view(batch, STRAIN_LEVELS, -1)
    # As pairs of reals: a product of complex and real numbers takes three times as long.
    spectrum = torch.view_as_real(torch.fft.rfft(spikes)).view(*transfer.shape, 2)
    return torch.view_as_complex((spectrum * transfer[..., None]).sum(1).contiguous())


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
    """Convolution with pseudo-Voigt peaks of area 1 in Fourier space; ``width`` is the FWHM in points."""
    wide = spikes.shape[1]
    return torch.fft.irfft(torch.fft.rfft(spikes) * peak_transfer(width, lorentzian, wide), n=wide)


def peak_transfer(
    width: Float[torch.Tensor, "rows 1"], lorentzian: float, wide: int
) -> Float[torch.Tensor, "rows frequencies"]:
    """Fourier transform of pseudo-Voigt peaks of area 1.

    It is exp(−π w |ν|) of the Lorentzian and exp(−(π w ν)² / (4 ln 2)) of the Gaussian.

    Args:
        width: w, full width at half maximum in points.
        lorentzian: share of the Lorentzian, 0 to 1.
        wide: points of the grid, margins included.
    """
    turn = torch.pi * width * torch.fft.rfftfreq(wide)
    if lorentzian == 1:
        return torch.exp(-turn)
    gaussian = torch.exp(-(turn**2) / (4 * np.log(2)))
    return gaussian if lorentzian == 0 else lorentzian * torch.exp(-turn) + (1 - lorentzian) * gaussian


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
