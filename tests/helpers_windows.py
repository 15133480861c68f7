"""The small data set with something to see through every window, and recipes narrow enough for seconds."""

from dataclasses import replace

import numpy as np

import helpers_small as small
from prismat.encoders.dos_transformer import DosTransformerConfig
from prismat.encoders.properties_encoder import PropertiesEncoderConfig
from prismat.encoders.resnet import ImageEncoderConfig
from prismat.encoders.resnext3d import ResNext3dConfig
from prismat.material import Material, Property
from prismat.measurements import Dos, Image
from prismat.modalities.charge_density import DensitySettings
from prismat.modalities.dos import DosSettings
from prismat.modalities.image import ImageSettings
from prismat.modalities.properties import PropertiesSettings, PropertySpec
from prismat.modalities.windows import MeasuredSettings
from prismat.prepare import PrepareSettings

MEASURED = MeasuredSettings(
    image=ImageSettings(size=32),
    dos=DosSettings(points=24),
    phonon_dos=DosSettings.phonon(points=20),
    charge_density=DensitySettings(points=8, promolecule=True, kinds=("promolecule",)),
    properties=PropertiesSettings((PropertySpec("cell_volume", "Å³"), PropertySpec("gap", "eV"))),
)


def materials():
    """Spectra and pictures that follow from the crystal, so that windows have something in common."""
    found = [m for m in small.materials() if isinstance(m, Material)]
    return tuple(_measured(m) for m in found)


def _measured(material):
    crystal, n = material.structure, len(material.structure)
    heavy = np.mean([z for site in crystal.sites for z, _ in site])
    energy = np.linspace(-12, 12, 241)
    states = n * np.exp(-0.5 * (energy + heavy / 10) ** 2)
    waves = np.linspace(0, 1000, 201)
    modes = 3 * n * np.exp(-0.5 * ((waves - 6000 / heavy) / 40) ** 2) / (40 * np.sqrt(2 * np.pi))
    picture = np.full((40, 40), int(heavy * 2.5) % 256, np.uint8)
    measurements = {
        "dos": Dos(energy, states, zero="fermi", n_atoms=n),
        "phonon_dos": Dos(waves, modes, kind="phonon", unit="cm-1", n_atoms=n),
        "image": Image(picture, "made"),
    }
    # Some records lack what others have.
    kept = dict(list(measurements.items())[: 3 if sum(map(ord, material.id)) % 4 else 1])
    volume = {"cell_volume": Property(crystal.volume, "Å³")}
    return replace(material, measurements=kept, properties=material.properties | volume)


def settings():
    """How the store is prepared."""
    return PrepareSettings(profile=small.tiny_recipe().profile, measured=MEASURED, shard_rows=60, workers=1)


def recipe(*windows):
    """Two or more windows, each with the narrowest encoder."""
    tiny = small.tiny_recipe(windows=windows, measured=MEASURED)
    dos = DosTransformerConfig(width=8, depth=1, heads=2, head_width=4, hidden=8)
    density = ResNext3dConfig(
        cardinality=2, group_width=2, depths=(1, 1), stem=4, stem_kernel=3, stem_pool=False, out=8
    )
    encoders = replace(
        tiny.encoders,
        dos=dos,
        phonon_dos=dos,
        charge_density=density,
        properties=PropertiesEncoderConfig(hidden=16, out=8),
        image=ImageEncoderConfig("mobilenetv3_small_050", "none", out=8),
    )
    return replace(tiny, encoders=encoders, views=replace(tiny.views, strain=0.0))
