"""Numbers that are wanted of a material: ranges, bounds, extremes."""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.modalities.property_units import conversion

Kind = Literal["range", "maximise", "minimise"]
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_AROUND = re.compile(rf"({_NUMBER})(?:~|±|\+-)({_NUMBER})(?::(.*))?")
_BETWEEN = re.compile(rf"({_NUMBER})?:({_NUMBER})?(?::(.*))?")
_NAMED = re.compile(r"([^=<>]+)(>=|<=|=)(.+)")
_REMEDY = "Write name=low:high:unit (a side may be empty), name=value~tolerance:unit, name=max or name=min."
_EXTREMES: dict[str, Kind] = {
    **dict.fromkeys(("max", "maximise", "maximize"), "maximise"),
    **dict.fromkeys(("min", "minimise", "minimize"), "minimise"),
}


@dataclass(frozen=True)
class Want:
    """One number that is wanted.

    Attributes:
        name: of the property.
        kind: any value in a range, or as large or as small as can be.
        low: lower end of the range; −∞ for an upper bound alone.
        high: upper end of the range; +∞ for a lower bound alone.
        unit: of both ends; ``""`` for a pure number.

    Raises:
        BadInputError: no name, or a range that is empty, of no width, or open on both sides.
    """

    name: str
    kind: Kind = "range"
    low: float = -np.inf
    high: float = np.inf
    unit: str = ""

    def __post_init__(self) -> None:
        ends = self.low < self.high and np.isfinite([self.low, self.high]).any()
        if not self.name or (self.kind == "range" and not ends):
            raise BadInputError(
                f"the range {self.low:g} to {self.high:g}", field=f"want {self.name!r}", remedy=_REMEDY
            )

    def converted(self, unit: str) -> "Want":
        """The same want in another unit.

        Raises:
            BadInputError: units that do not convert.
        """
        if self.kind != "range":
            return replace(self, unit=unit)
        factor, offset = conversion(self.unit, unit, f"want {self.name!r}")
        return replace(self, low=self.low * factor + offset, high=self.high * factor + offset, unit=unit)

    def distance(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """How far values lie outside of the range; NaN where there is no value, or no range."""
        if self.kind != "range":
            return np.full(len(values), np.nan)
        return np.maximum(0.0, np.maximum(self.low - values, values - self.high))

    def points(self, count: int) -> Float[np.ndarray, " points"]:
        """Values evenly through the range, the finite end of a bound.

        Raises:
            BadInputError: a largest or smallest value is wanted, which is no value.
        """
        if self.kind != "range":
            raise BadInputError(
                f"{self.kind} is no value to embed",
                field=f"want {self.name!r}",
                remedy="Give a range, or use mode predicted or known.",
            )
        ends = np.array([self.low, self.high])
        return np.linspace(*ends, count) if np.isfinite(ends).all() else ends[np.isfinite(ends)]

    def told(self) -> str:
        """In words."""
        unit = f" {self.unit}" if self.unit else ""
        if self.kind != "range":
            return f"{self.name} {self.kind}"
        if np.isfinite([self.low, self.high]).all():
            return f"{self.name} {self.low:g} to {self.high:g}{unit}"
        return (
            f"{self.name} ≥ {self.low:g}{unit}"
            if self.high == np.inf
            else f"{self.name} ≤ {self.high:g}{unit}"
        )


def parse_want(text: str) -> Want:
    """A want as a user writes it.

    ``band_gap=1.0:1.6:eV``, ``band_gap=1.3~0.3:eV`` (also ``±``), ``band_gap=1:``, ``band_gap>=1:eV``,
    ``band_gap<=3:eV``, ``band_gap=max``, ``band_gap=min``.

    Raises:
        BadInputError: none of these.
    """
    found = _NAMED.fullmatch(text.strip())
    if not found:
        raise BadInputError(f"cannot read {text[:80]!r}", field="want", remedy=_REMEDY)
    name, sign, value = (part.strip() for part in found.groups())
    if sign != "=":
        number, _, unit = value.partition(":")
        if not re.fullmatch(_NUMBER, number):
            raise BadInputError(f"cannot read {text[:80]!r}", field="want", remedy=_REMEDY)
        low, high = (float(number), np.inf) if sign == ">=" else (-np.inf, float(number))
        return Want(name, "range", low, high, unit.strip())
    if value.lower() in _EXTREMES:
        return Want(name, _EXTREMES[value.lower()])
    if around := _AROUND.fullmatch(value):
        middle, half = float(around[1]), float(around[2])
        return Want(name, "range", middle - half, middle + half, (around[3] or "").strip())
    if between := _BETWEEN.fullmatch(value):
        low = float(between[1]) if between[1] else -np.inf
        high = float(between[2]) if between[2] else np.inf
        return Want(name, "range", low, high, (between[3] or "").strip())
    raise BadInputError(f"cannot read {text[:80]!r}", field="want", remedy=_REMEDY)
