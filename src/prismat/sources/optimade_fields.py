"""Properties that a provider serves beyond the standard, with their units: ``_oqmd_delta_e=eV/atom``."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismat.errors import BadInputError
from prismat.material import Property

_FORM = re.compile(r"(?:(?P<name>[A-Za-z]\w*):)?(?P<path>_?[a-z][a-z0-9_]*(?:\.[^.=:\s]+)*)=(?P<unit>[^=]*)")
_PREFIX = re.compile(r"^_[a-z0-9]+_")


@dataclass(frozen=True)
class PropertyField:
    """One property of the entries.

    Attributes:
        name: in the store.
        path: attribute of the entry, and keys within it, joined by dots.
        unit: ``""`` for a pure number.
    """

    name: str
    path: str
    unit: str

    @property
    def attribute(self) -> str:
        """The attribute to ask for."""
        return self.path.partition(".")[0]


def parse_fields(wanted: Sequence[str]) -> tuple[PropertyField, ...]:
    """Fields from ``FIELD=UNIT`` or ``NAME:FIELD=UNIT``; ``FIELD=`` for a pure number.

    A field may lead into a dictionary: ``_mp_stability.gga_gga+u.energy_above_hull=eV/atom``. Without a name
    it is called by its last part, without the provider's prefix: ``delta_e``.

    Raises:
        BadInputError: another form, or two of one name.
    """
    found: dict[str, PropertyField] = {}
    for text in wanted:
        match = _FORM.fullmatch(text.strip())
        if not match:
            raise BadInputError(
                f"{text!r} is not FIELD=UNIT",
                field="properties",
                remedy="Write it like _oqmd_delta_e=eV/atom, or NAME:FIELD=UNIT.",
            )
        name = match["name"] or _PREFIX.sub("", match["path"].rpartition(".")[2])
        if name in found:
            raise BadInputError(
                f"two properties {name!r}", field="properties", remedy="Name them: NAME:FIELD=UNIT."
            )
        found[name] = PropertyField(name, match["path"], match["unit"].strip())
    return tuple(found.values())


def properties_of(attributes: Mapping[str, Any], fields: Sequence[PropertyField]) -> dict[str, Property]:
    """Properties of an entry; what is null or absent is left out.

    Raises:
        BadInputError: a value that is no finite number.
    """
    found = {}
    for field in fields:
        value: Any = attributes
        for key in field.path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadInputError(
                f"{str(value)[:60]!r}, not a number", field=field.path, remedy="Correct the entry."
            )
        found[field.name] = Property(float(value), field.unit)
    return found
