"""Views of a simulated powder pattern: what the sample, the diffractometer and the X-ray tube do to it.

Everything is drawn per record, for a whole batch at once, and only where asked for. The grid is that of the
scattering vector q = 4π sin θ / λ in Å⁻¹, on which dq = (2π/λ) cos θ d(2θ) with 2θ in radians.

*Crystallite size.* A crystallite of L Å widens every line by FWHM(2θ) = K λ / (L cos θ), P. Scherrer, Nachr.
Ges. Wiss. Göttingen, 98 (1918). In q that is 2π K / L at any angle and any wavelength. K = 0.9, Lorentzian.

*Microstrain.* Spacings that vary by ε within the sample widen a line by FWHM(2θ) = 4 ε tan θ, A. R. Stokes
and A. J. C. Wilson, Proc. Phys. Soc. 56, 174 (1944): in q by 2 ε q. Size and strain are told apart by this
dependence on the angle, G. K. Williamson and W. H. Hall, Acta Metall. 1, 22 (1953). Gaussian.

*Texture.* Preferred orientation by March and Dollase, about one axis of the crystal; see
``modalities.texture``.

*Impurities.* Lines of another record of the batch, or lines at random, with a given share of the summed
intensity. They share the zero error and the widths, and keep their own orientation and lattice strain.

*Range.* A measurement begins and ends at drawn angles; outside, the profile is zero, as it is for measured
patterns.

*Tube.* The anode decides at which angle a line is met. Lines stay where they are in q; the zero error and the
range act in the angles of that wavelength, intensities follow the Lorentz-polarisation factor there, and what
lies beyond ``MAX_ANGLE`` is not seen.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.modalities.texture import R_MAX, R_MIN, texture_coefficients
from prismat.ragged import Packed, ranges

SCHERRER_K = 0.9
"""Shape factor of the full width at half maximum."""

TUBES = {"Ag": 0.560885, "Mo": 0.71073, "Cu": 1.54184, "Co": 1.79026, "Fe": 1.93735, "Cr": 2.29100}
"""Å. Kα by anode, mean of Kα1 and Kα2 weighted 2:1."""

MAX_ANGLE = 165.0
"""Degrees 2θ at which a diffractometer with another tube ends; beyond, detector and tube would meet."""

RANDOM_LINES = 10
"""Lines of an impurity that is drawn at random."""

MIN_LEFT = 0.05
"""Share of the intensity that a drawn range must show; where it does not, the whole pattern is shown."""


def _check_range(name: str, given: tuple[float, float] | None, low: float, high: float, remedy: str) -> None:
    if given is not None and not low <= given[0] <= given[1] <= high:
        raise BadInputError(
            f"a range of {given[0]:g} to {given[1]:g}",
            field=name,
            remedy=f"Give {remedy}, {low:g} ≤ low ≤ high ≤ {high:g}.",
        )


@dataclass(frozen=True)
class SampleViews:
    """What the sample does to a pattern; every effect is off unless asked for.

    Attributes:
        size: Å, smallest and largest crystallite; the logarithm is drawn evenly.
        microstrain: smallest and largest ε, no unit; drawn evenly.
        march_dollase: smallest and largest r, below 1 for plates and above for needles; the logarithm is
            drawn evenly. Needs a store prepared with ``xrd.texture``.
        impurity: chance of a second phase.
        impurity_share: smallest and largest share of the impurity in the summed intensity of all lines.
        impurity_lines: ``batch`` mixes in another material of the batch, nothing where there is none;
            ``random`` draws lines evenly in 2θ with exponentially distributed intensities.

    Raises:
        BadInputError: a value out of range.
    """

    size: tuple[float, float] | None = None
    microstrain: tuple[float, float] | None = None
    march_dollase: tuple[float, float] | None = None
    impurity: float = 0.0
    impurity_share: tuple[float, float] = (0.02, 0.2)
    impurity_lines: Literal["batch", "random"] = "batch"

    def __post_init__(self) -> None:
        _check_range("size", self.size, 10.0, 1e5, "crystallite sizes in Å")
        _check_range("microstrain", self.microstrain, 0.0, 0.05, "ε without a unit (0.002, not 0.2 %)")
        _check_range("march_dollase", self.march_dollase, R_MIN, R_MAX, "March's r")
        _check_range("impurity", (self.impurity, self.impurity), 0.0, 1.0, "a chance")
        _check_range("impurity_share", self.impurity_share, 0.0, 0.9, "shares of the intensity")


@dataclass(frozen=True)
class InstrumentViews:
    """How far and with which radiation a pattern is measured; every effect is off unless asked for.

    Attributes:
        first_angle: degrees 2θ, lowest and highest angle at which a measurement begins.
        last_angle: degrees 2θ, lowest and highest angle at which it ends.
        tubes: chance of each anode, by its element (``TUBES``); what is missing to 1 is measured with the
            wavelength that the lines were computed with.

    Raises:
        BadInputError: angles out of range or ranges that overlap, an unknown anode, or chances that are
            negative or exceed 1 together.
    """

    first_angle: tuple[float, float] | None = None
    last_angle: tuple[float, float] | None = None
    tubes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range("first_angle", self.first_angle, 0.0, 180.0, "degrees 2θ")
        _check_range("last_angle", self.last_angle, 0.0, 180.0, "degrees 2θ")
        if self.first_angle and self.last_angle and not self.first_angle[1] < self.last_angle[0]:
            raise BadInputError(
                f"a measurement may begin at {self.first_angle[1]:g}° and end at {self.last_angle[0]:g}°",
                field="first_angle, last_angle",
                remedy="Give ranges that do not overlap.",
            )
        if unknown := sorted(set(self.tubes) - set(TUBES)):
            raise BadInputError(
                f"unknown anode {unknown[0]!r}", field="tubes", remedy=f"Known: {', '.join(TUBES)}."
            )
        chances = list(self.tubes.values())
        if not (all(c >= 0 for c in chances) and sum(chances) <= 1 + 1e-9):
            raise BadInputError(
                f"chances of {self.tubes}", field="tubes", remedy="Give chances ≥ 0 of at most 1 together."
            )


@dataclass(frozen=True, eq=False)
class LineList:
    """Powder lines of a batch behind one another.

    Attributes:
        row: the pattern in which each line appears, shape (lines,).
        phase: the record whose crystal gives it; differs from ``row`` for an impurity, shape (lines,).
        two_theta: degrees, shape (lines,).
        intensity: integrated, shape (lines,).
    """

    row: Int[torch.Tensor, " lines"]
    phase: Int[torch.Tensor, " lines"]
    two_theta: Float[torch.Tensor, " lines"]
    intensity: Float[torch.Tensor, " lines"]


def unpack_lines(packed: Packed) -> LineList:
    """The columns ``xrd.two_theta`` and ``xrd.intensity`` as tensors."""
    lines = packed["xrd.two_theta"]
    row = torch.from_numpy(np.repeat(np.arange(len(lines)), lines.lengths))
    two_theta = torch.from_numpy(lines.values.astype(np.float64))
    return LineList(row, row, two_theta, torch.from_numpy(packed["xrd.intensity"].values.astype(np.float32)))


def scattering_vector(
    two_theta: Float[torch.Tensor, " n"], wavelength: float | Float[torch.Tensor, " n"]
) -> Float[torch.Tensor, " n"]:
    """Q = 4π sin θ / λ in Å⁻¹ from 2θ in degrees and λ in Å."""
    return 4 * torch.pi / wavelength * torch.sin(torch.deg2rad(two_theta) / 2)


def draw_sample(
    lines: LineList,
    packed: Packed,
    ends: tuple[float, float],
    views: SampleViews,
    same: Bool[torch.Tensor, "batch batch"] | None = None,
    generator: torch.Generator | None = None,
) -> LineList:
    """Lines with the orientation and the impurities drawn.

    Args:
        lines: of the pure random powders.
        packed: their columns.
        ends: degrees 2θ between which random lines may lie.
        views: what to draw.
        same: records of one material, which are no impurities of each other.
        generator: source of the draws.

    Raises:
        BadInputError: preferred orientation is asked for and the lines do not tell of it.
    """
    lengths = torch.from_numpy(packed["xrd.two_theta"].lengths.astype(np.int64))
    pure = lines.intensity
    if views.march_dollase is not None:
        lines = _oriented(lines, packed, views.march_dollase, generator)
    if views.impurity == 0:
        return lines
    host = torch.rand(len(lengths), generator=generator) < views.impurity
    share = _uniform(len(lengths), views.impurity_share, generator)
    host = (host & (lengths > 0)).nonzero()[:, 0]
    if views.impurity_lines == "random":
        added = _random_lines(host, ends, generator)
    else:
        total = torch.zeros(len(lengths)).index_add_(0, lines.row, pure)
        added = _foreign_lines(lines, lengths, host, different_materials(lengths, total, same), generator)
    return _mixed(lines, added, share)


def _oriented(
    lines: LineList, packed: Packed, r: tuple[float, float], generator: torch.Generator | None
) -> LineList:
    """Intensities times the March–Dollase factor of one drawn r per record."""
    if "xrd.texture" not in packed:
        raise BadInputError(
            "March–Dollase views need lines that tell how their planes stand",
            field="xrd.texture",
            remedy="Prepare the store with --settings.xrd.texture, or leave march_dollase out.",
        )
    moments = torch.from_numpy(packed["xrd.texture"].values.astype(np.float32))
    batch = len(packed["xrd.two_theta"])
    coefficients = texture_coefficients(_log_uniform(batch, r, generator).double()).float()
    factor = 1 + (coefficients[lines.row] * moments).sum(1)
    return replace(lines, intensity=lines.intensity * factor.clamp_min(0))


def different_materials(
    lengths: Int[torch.Tensor, " batch"],
    total: Float[torch.Tensor, " batch"],
    same: Bool[torch.Tensor, "batch batch"] | None = None,
) -> Bool[torch.Tensor, "batch batch"]:
    """Which records may be mixed into which: those with lines, of another material.

    Patterns of as many lines and equal summed intensity are taken for one material, whatever its lattice
    strain; ``same`` tells of further ones.
    """
    alike = (lengths[:, None] == lengths) & torch.isclose(total[:, None], total[None], rtol=1e-5)
    return (lengths > 0) & ~(alike if same is None else alike | same)


def _foreign_lines(
    lines: LineList,
    lengths: Int[torch.Tensor, " batch"],
    host: Int[torch.Tensor, " hosts"],
    allowed: Bool[torch.Tensor, "batch batch"],
    generator: torch.Generator | None,
) -> LineList:
    """For every host the lines of one record that is allowed in it."""
    host = host[allowed[host].any(1)]
    if not len(host):
        return LineList(host, host, lines.two_theta[:0], lines.intensity[:0])
    guest = torch.multinomial(allowed[host].float(), 1, generator=generator)[:, 0]
    start = lengths.cumsum(0) - lengths
    taken = torch.from_numpy(ranges(start[guest].numpy(), lengths[guest].numpy()))
    row = host.repeat_interleave(lengths[guest])
    return LineList(row, lines.phase[taken], lines.two_theta[taken], lines.intensity[taken])


def _random_lines(
    host: Int[torch.Tensor, " hosts"], ends: tuple[float, float], generator: torch.Generator | None
) -> LineList:
    """``RANDOM_LINES`` lines for every host."""
    row = host.repeat_interleave(RANDOM_LINES)
    two_theta = _uniform(len(row), ends, generator).double()
    # 1 − u lies above 0, where the logarithm is finite.
    intensity = -torch.log(1 - torch.rand(len(row), generator=generator))
    return LineList(row, row, two_theta, intensity)


def _mixed(lines: LineList, added: LineList, share: Float[torch.Tensor, " batch"]) -> LineList:
    """Both together, what is added scaled to its share of the sum."""
    batch = len(share)
    own = torch.zeros(batch).index_add_(0, lines.row, lines.intensity)
    foreign = torch.zeros(batch).index_add_(0, added.row, added.intensity)
    scale = share / (1 - share) * own / foreign.clamp_min(1e-12)
    return LineList(
        torch.cat([lines.row, added.row]),
        torch.cat([lines.phase, added.phase]),
        torch.cat([lines.two_theta, added.two_theta]),
        torch.cat([lines.intensity, added.intensity * scale[added.row]]),
    )


def draw_size_widths(
    batch: int, views: SampleViews, generator: torch.Generator | None = None
) -> Float[torch.Tensor, "batch 1"] | None:
    """Scherrer's full width at half maximum in q, 2π K / L in Å⁻¹; None where size is off."""
    if views.size is None:
        return None
    return 2 * torch.pi * SCHERRER_K / _log_uniform(batch, views.size, generator)[:, None]


def draw_strain_widths(
    batch: int, views: SampleViews, generator: torch.Generator | None = None
) -> Float[torch.Tensor, "batch 1"] | None:
    """Full width at half maximum of microstrain as a share of q, 2 ε; None where strain is off."""
    if views.microstrain is None:
        return None
    return 2 * _uniform(batch, views.microstrain, generator)[:, None]


def draw_tubes(
    batch: int, wavelength: float, views: InstrumentViews, generator: torch.Generator | None = None
) -> Float[torch.Tensor, " batch"] | None:
    """The wavelength in Å with which each pattern is measured; None where all have the given one."""
    if not views.tubes:
        return None
    known = torch.tensor([*(TUBES[anode] for anode in views.tubes), wavelength], dtype=torch.float64)
    below = torch.tensor(list(views.tubes.values())).cumsum(0)
    return known[torch.searchsorted(below, torch.rand(batch, generator=generator), right=True)]


def with_tubes(lines: LineList, wavelength: float, tube: Float[torch.Tensor, " batch"]) -> LineList:
    """Lines at the angles and with the Lorentz-polarisation factors of other wavelengths.

    Args:
        lines: computed with ``wavelength``.
        wavelength: Å.
        tube: Å, of each pattern; lines beyond ``MAX_ANGLE`` get no intensity.
    """
    other = tube[lines.row]
    sine = torch.sin(torch.deg2rad(lines.two_theta) / 2)
    moved = sine * other / wavelength
    last = np.sin(np.radians(MAX_ANGLE) / 2)
    ratio = _lorentz_polarisation(moved.clamp_max(last)) / _lorentz_polarisation(sine.clamp_max(last))
    intensity = torch.where(moved <= last, lines.intensity * ratio.float(), 0.0)
    two_theta = torch.rad2deg(2 * torch.asin(moved.clamp_max(1)))
    unchanged = other == wavelength
    return replace(
        lines,
        two_theta=torch.where(unchanged, lines.two_theta, two_theta),
        intensity=torch.where(unchanged, lines.intensity, intensity),
    )


def _lorentz_polarisation(sine: Float[torch.Tensor, " n"]) -> Float[torch.Tensor, " n"]:
    """(1 + cos² 2θ) / (sin² θ cos θ) from sin θ."""
    squared = sine.square().clamp_min(1e-12)
    return (1 + (1 - 2 * squared).square()) / (squared * (1 - squared).sqrt())


def draw_range(
    profile: Float[torch.Tensor, "batch points"],
    grid: Float[np.ndarray, " points"],
    wavelength: Float[torch.Tensor, " batch"],
    views: InstrumentViews,
    generator: torch.Generator | None = None,
) -> Bool[torch.Tensor, "batch points"] | None:
    """Which points of the grid each measurement reaches; None where all are reached.

    Where a drawn range shows less than ``MIN_LEFT`` of the intensity, nothing is cut off.

    Args:
        profile: intensities on the grid.
        grid: Å⁻¹.
        wavelength: Å, of each pattern.
        views: what to draw.
        generator: source of the draws.
    """
    if views.first_angle is None and views.last_angle is None and not views.tubes:
        return None
    batch, q = len(profile), torch.from_numpy(grid)
    first = _uniform(batch, views.first_angle or (0.0, 0.0), generator).double()
    end = MAX_ANGLE if views.tubes else 180.0
    last = _uniform(batch, views.last_angle or (end, end), generator).double()
    low, high = scattering_vector(first, wavelength), scattering_vector(last, wavelength)
    reach = (q >= low[:, None]) & (q <= high[:, None])
    shown = (profile * reach).sum(1) >= MIN_LEFT * profile.sum(1)
    return reach | ~shown[:, None]


def _uniform(
    n: int, span: tuple[float, float], generator: torch.Generator | None
) -> Float[torch.Tensor, " n"]:
    return span[0] + (span[1] - span[0]) * torch.rand(n, generator=generator)


def _log_uniform(
    n: int, span: tuple[float, float], generator: torch.Generator | None
) -> Float[torch.Tensor, " n"]:
    low, high = np.log(span[0]), np.log(span[1])
    return torch.exp(_uniform(n, (low, high), generator))
