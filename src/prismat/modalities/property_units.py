"""Units of properties: an explicit table of those that convert, and what is refused."""

import unicodedata

from prismat.errors import BadInputError

_KINDS: dict[str, dict[str, tuple[float, float]]] = {
    "pure number": {"": (1, 0), "%": (0.01, 0)},
    "energy": {"eV": (1, 0), "meV": (1e-3, 0), "Ry": (13.605693122990, 0), "Ha": (27.211386245981, 0)},
    "energy per atom": {"eV/atom": (1, 0), "meV/atom": (1e-3, 0)},
    "pressure": {
        "GPa": (1, 0),
        "MPa": (1e-3, 0),
        "kPa": (1e-6, 0),
        "Pa": (1e-9, 0),
        "Mbar": (100, 0),
        "kbar": (0.1, 0),
        "bar": (1e-4, 0),
        "eV/Å3": (160.2176634, 0),
    },
    "temperature": {"K": (1, 0), "°C": (1, 273.15), "degC": (1, 273.15), "mK": (1e-3, 0)},
    "mass density": {"g/cm3": (1, 0), "kg/m3": (1e-3, 0), "kg/L": (1, 0)},
    "length": {"Å": (1, 0), "Angstrom": (1, 0), "angstrom": (1, 0), "nm": (10, 0), "pm": (0.01, 0)},
    "volume": {"Å3": (1, 0), "nm3": (1e3, 0)},
    "volume per atom": {"Å3/atom": (1, 0), "nm3/atom": (1e3, 0)},
    "wavenumber or frequency": {"cm-1": (1, 0), "1/cm": (1, 0), "THz": (33.3564095198152, 0)},
    "magnetic moment": {"μB": (1, 0), "mu_B": (1, 0), "muB": (1, 0)},
    "magnetic moment per cell": {"μB/cell": (1, 0)},
    "magnetic moment per atom": {"μB/atom": (1, 0)},
    "Seebeck coefficient": {"μV/K": (1, 0), "uV/K": (1, 0), "mV/K": (1e3, 0), "V/K": (1e6, 0)},
    "thermal conductivity": {
        "W/m/K": (1, 0),
        "W/(mK)": (1, 0),
        "Wm-1K-1": (1, 0),
        "mW/cm/K": (0.1, 0),
        "W/cm/K": (100, 0),
    },
    "electric conductivity": {"S/m": (1, 0), "Sm-1": (1, 0), "S/cm": (100, 0), "Scm-1": (100, 0)},
    "specific capacity": {"mAh/g": (1, 0), "mAhg-1": (1, 0), "Ah/kg": (1, 0)},
}
"""Kinds of quantity: unit → (factor, offset) to the first of its kind, value · factor + offset.

Energies per cell, per atom and per formula unit are different quantities, and none becomes another here.
"""

_PLACE = {unit: (kind, *scale) for kind, units in _KINDS.items() for unit, scale in units.items()}


def plain_unit(unit: str) -> str:
    """One spelling per unit: ``g/cm³``, ``g / cm^3`` and ``g·cm⁻³``'s signs become plain characters."""
    text = unicodedata.normalize("NFKC", unit).replace("\u2212", "-").replace("\u00b5", "\u03bc")
    for sign in (" ", "^", "*", "·", "\u22c5"):
        text = text.replace(sign, "")
    return text


def conversion(given: str, wanted: str, field: str = "property") -> tuple[float, float]:
    """Factor and offset that turn values in one unit to another: value · factor + offset.

    A unit that the table lacks goes with itself alone.

    Args:
        given: unit of the values; ``""`` for a pure number.
        wanted: unit to convert to.
        field: name of the property in error messages.

    Raises:
        BadInputError: no unit where one is wanted, or units that do not convert.
    """
    a, b = plain_unit(given), plain_unit(wanted)
    if a == b:
        return 1.0, 0.0
    if not a and b != "%":
        raise BadInputError(
            f"a value without a unit where {wanted!r} is wanted",
            field=field,
            remedy=f"Give its unit, such as {wanted!r}.",
        )
    from_kind, factor, offset = _PLACE.get(a, (f"unknown unit {a!r}", 1.0, 0.0))
    to_kind, divisor, shift = _PLACE.get(b, (f"unknown unit {b!r}", 1.0, 0.0))
    if from_kind != to_kind:
        raise BadInputError(
            f"unit {given!r} ({from_kind}) does not convert to {wanted!r} ({to_kind})",
            field=field,
            remedy=f"Give the value in {wanted!r}, or another unit in PropertySpec.",
        )
    return factor / divisor, (offset - shift) / divisor
