"""A store whose property is a simple function of the crystals, and predictors of seconds."""

from dataclasses import replace
from functools import cache

import numpy as np

import helpers_small as small
from prismat.elements import MAX_Z
from prismat.encoders.cgcnn import CgcnnConfig
from prismat.encoders.composition import CompositionConfig
from prismat.encoders.crystal import CrystalConfig, GraphConfigs
from prismat.encoders.fusion import FusionConfig
from prismat.material import Material, Property
from prismat.modalities.properties import PropertySpec
from prismat.recipes.crysmmnet import FrozenTextConfig, PredictorJob, PredictorRecipe
from prismat.training.loop import TrainConfig
from prismat.training.optimizer import OptimizerConfig

DENSITY = PropertySpec("number_density", "1/Å3")


@cache
def rows():
    """The small set with atoms per volume as a property; some records lack it, one has no structure."""
    found = []
    for i, m in enumerate(m for m in small.materials() if isinstance(m, Material)):
        value = Property(len(m.structure) / m.structure.volume, "1/Å3")
        known = {} if i % 9 == 8 else {"number_density": value}
        found.append(replace(m, properties={**known, "atomic_number": Property(_mean_number(m), "")}))
    found.append(Material("words", texts={"title": "words alone"}, properties={"number_density": value}))
    return tuple(found)


def _mean_number(material):
    fractions = material.structure.fractions
    return float(np.mean([len(symbol) for symbol in fractions]) / MAX_Z)


def recipe(**others):
    """CGCNN as narrow as it goes."""
    structure = CrystalConfig(
        ("cgcnn",),
        16,
        (),
        GraphConfigs(cgcnn=CgcnnConfig(width=8, layers=1, out=16, centers=12)),
        composition=CompositionConfig(hidden=16, out=16),
    )
    return PredictorRecipe(
        **{"name": "tiny", "structure": structure, "fusion": FusionConfig(hidden=16), **others}
    )


def job(folder=None, target=DENSITY, parts="both", **train):
    """A training of a second; its text encoder lies in ``folder``."""
    settings = {"steps": 30, "batch": 24, "evaluate_every": 10, "seed": 1, "device": "cpu"}
    optimizer = OptimizerConfig(1e-2, weight_decay=1e-5, schedule="one_cycle", warmup=0.3)
    text = FrozenTextConfig(str(folder), "cls") if folder else FrozenTextConfig()
    made = TrainConfig(**{**settings, "optimizer": optimizer, **train})
    return PredictorJob(target, recipe(parts=parts, text=text), made, small.SPLIT)
