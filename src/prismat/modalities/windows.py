"""All windows on a material by name, and the modality behind each."""

from collections.abc import Callable, Iterable
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


def make_modalities(
    windows: Iterable[str],
    graph: StructureSettings,
    profile: ProfileSettings,
    lines: XrdSettings,
    measured: MeasuredSettings,
) -> dict[str, Modality]:
    """The modality of every window but text, by name.

    Args:
        windows: names; text is passed over.
        graph: how crystals become graphs.
        profile: grid and peaks of patterns, those drawn as pictures too; takes the wavelength of ``lines``.
        lines: radiation and range of patterns.
        measured: all other windows.

    Raises:
        KeyError: no such window.
    """
    profile = replace(profile, wavelength=lines.wavelength)
    makers: dict[str, Callable[[], Modality]] = {
        "structure": lambda: StructureModality(graph),
        "xrd": lambda: XrdModality(profile, lines),
        "image": lambda: ImageModality(measured.image, profile, lines),
        "dos": lambda: DosModality(measured.dos, "dos"),
        "phonon_dos": lambda: DosModality(measured.phonon_dos, "phonon_dos"),
        "charge_density": lambda: ChargeDensityModality(measured.charge_density),
        "properties": lambda: PropertiesModality(measured.properties),
    }
    return {window: makers[window]() for window in windows if window != "text"}
