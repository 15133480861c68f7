"""One record: everything known of one material, with where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.measurements import Measurement

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    StructureLike = Crystal | Structure | Atoms | str | Path


M = TypeVar("M", bound=Measurement)


@dataclass(frozen=True)
class Property:
    """A number with its unit (``""`` for a pure number)."""

    value: float
    unit: str


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
        measurements: by window: ``xrd``, ``dos``, ``phonon_dos``, ``charge_density``, ``image``.
        properties: by name, each with its unit.
        tags: short facts used to group, filter and show: ``mineral``, ``publication``, ``year``, ``notes`` …
        provenance: source, original id, licence, citation.
    """

    id: str
    structure: Crystal | None = None
    texts: dict[str, str] = field(default_factory=dict)
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    provenance: Provenance = Provenance()

    @classmethod
    def of(cls, structure: "StructureLike", id: str = "query", **others: Any) -> "Material":
        """A material from a structure in any form that ``read_crystal`` takes."""
        from prismat.formats import read_crystal

        return cls(id=id, structure=read_crystal(structure, record=id), **others)

    def measurement(self, window: str, kind: type[M]) -> M | None:
        """What was measured for a window, or None.

        Raises:
            BadInputError: it is of another kind.
        """
        found = self.measurements.get(window)
        if found is None or isinstance(found, kind):
            return found
        raise BadInputError(
            f"a {type(found).__name__} where a {kind.__name__} belongs",
            record=self.id,
            field=window,
            remedy=f"Give a prismat.measurements.{kind.__name__}.",
        )

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
