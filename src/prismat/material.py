"""One record: everything known of one material, with where it came from."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from prismat.crystal import Crystal
from prismat.errors import BadInputError

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    StructureLike = Crystal | Structure | Atoms | str | Path


@dataclass(frozen=True)
class Property:
    """A number with its unit (``""`` for a pure number)."""

    value: float
    unit: str


@dataclass(frozen=True, eq=False)
class Pattern:
    """A powder pattern as measured: intensity against 2θ.

    Attributes:
        two_theta: degrees, ascending, shape (points,).
        intensity: counts or any linear scale, shape (points,).
        wavelength: Å; Cu Kα mean unless the instrument says otherwise.
    """

    two_theta: Float[np.ndarray, " points"]
    intensity: Float[np.ndarray, " points"]
    wavelength: float = 1.54184


@dataclass(frozen=True)
class Provenance:
    """Where a record came from and under which terms."""

    source: str = "user"
    source_id: str = ""
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True, eq=False)
class Material:
    """One material seen through whichever windows it has.

    Attributes:
        id: unique within a store.
        structure: the crystal, or None.
        texts: by kind: ``title``, ``description``, ``keywords`` …
        measurements: by kind: ``xrd``.
        properties: by name, each with its unit.
        tags: short facts used to group, filter and show: ``mineral``, ``publication``, ``year``, ``notes`` …
        provenance: source, original id, licence, citation.
    """

    id: str
    structure: Crystal | None = None
    texts: dict[str, str] = field(default_factory=dict)
    measurements: dict[str, Pattern] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    provenance: Provenance = Provenance()

    @classmethod
    def of(cls, structure: "StructureLike", id: str = "query", **others: Any) -> "Material":
        """A material from a structure in any form that ``read_crystal`` takes."""
        from prismat.formats import read_crystal

        return cls(id=id, structure=read_crystal(structure, record=id), **others)

    def with_text(self, kind: str, text: str) -> "Material":
        """The same material with one text added or replaced."""
        return replace(self, texts={**self.texts, kind: text})


@dataclass(frozen=True)
class Reject:
    """A row that could not become a material, and why."""

    id: str
    reason: str

    @classmethod
    def because(cls, id: str, error: Exception) -> "Reject":
        """A reject from the error that stopped the row."""
        reason = error.problem if isinstance(error, BadInputError) else f"{type(error).__name__}: {error}"
        return cls(id, reason)
