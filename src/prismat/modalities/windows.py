"""All windows on a material by name, and the modality behind each."""

from dataclasses import dataclass, field, replace
from typing import Literal

from prismat.modalities.base import Modality
from prismat.modalities.charge_density import ChargeDensityModality, DensitySettings
from prismat.modalities.dos import DosModality, DosSettings
from prismat.modalities.image import ImageModality, ImageSettings
from prismat.modalities.profile import XrdModality
from prismat.modalities.properties import PropertiesModality, PropertiesSettings
from prismat.modalities.rendering import ProfileSettings
from prismat.modalities.structure import StructureModality, StructureSettings
from prismat.modalities.xrd import XrdSettings

Window = Literal["structure", "text", "xrd", "image", "dos", "phonon_dos", "charge_density", "properties"]
"""Names of the windows."""
MEASURED: tuple[Window, ...] = ("image", "dos", "phonon_dos", "charge_density")
"""Windows that a store keeps beside structure and diffraction, one modality of its own each."""


@dataclass(frozen=True)
class MeasuredSettings:
    """How images, densities of states, charge densities and properties become tensors.

    Attributes:
        image: size and colours of pictures.
        dos: grid of the electronic density of states.
        phonon_dos: grid of the phonon density of states.
        charge_density: grid of the charge density.
        properties: names and units of the entries; read from a store's table, not prepared.
    """

    image: ImageSettings = field(default_factory=ImageSettings)
    dos: DosSettings = field(default_factory=DosSettings)
    phonon_dos: DosSettings = field(default_factory=DosSettings.phonon)
    charge_density: DensitySettings = field(default_factory=DensitySettings)
    properties: PropertiesSettings = field(default_factory=PropertiesSettings)


def structure_modality(settings: StructureSettings) -> StructureModality:
    """The structure window."""
    return StructureModality(settings)


def xrd_modality(profile: ProfileSettings, lines: XrdSettings | None = None) -> XrdModality:
    """The diffraction window; lines and profile share the wavelength."""
    lines = lines or XrdSettings(wavelength=profile.wavelength)
    return XrdModality(replace(profile, wavelength=lines.wavelength), lines)


def measured_modality(window: str, settings: MeasuredSettings) -> Modality:
    """The modality of any other window but text.

    Raises:
        KeyError: no such window.
    """
    if window == "image":
        return ImageModality(settings.image)
    if window == "charge_density":
        return ChargeDensityModality(settings.charge_density)
    if window == "properties":
        return PropertiesModality(settings.properties)
    grids = {"dos": settings.dos, "phonon_dos": settings.phonon_dos}
    return DosModality(grids[window], window)
