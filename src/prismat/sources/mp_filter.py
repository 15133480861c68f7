"""Which materials of the Materials Project are asked for."""

from dataclasses import dataclass

from prismat.elements import atomic_number
from prismat.errors import BadInputError

_LARGEST = 1e6


@dataclass(frozen=True)
class MpFilter:
    """Conditions that all hold at once; what is left out holds for every material.

    Attributes:
        material_ids: such as ``mp-149``.
        elements: that are all in the material.
        exclude_elements: none of which is in it.
        chemsys: exactly these elements, such as ``Si-O``.
        n_elements: least and most.
        n_sites: least and most in the primitive cell.
        band_gap: eV, least and most.
        energy_above_hull: eV/atom, least and most.
        is_stable: on the hull, or not.
        theoretical: whether no experiment is known, or one is.
    """

    material_ids: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    exclude_elements: tuple[str, ...] = ()
    chemsys: tuple[str, ...] = ()
    n_elements: tuple[int, int] | None = None
    n_sites: tuple[int, int] | None = None
    band_gap: tuple[float, float] | None = None
    energy_above_hull: tuple[float, float] | None = None
    is_stable: bool | None = None
    theoretical: bool | None = None

    def params(self) -> dict[str, str | int]:
        """Query parameters of the endpoint ``/materials/summary/``; withdrawn materials are never asked for.

        Raises:
            BadInputError: an unknown element, or a range whose end lies before its beginning.
        """
        for symbol in (*self.elements, *self.exclude_elements):
            atomic_number(symbol)
        lists = {
            "material_ids": self.material_ids,
            "elements": self.elements,
            "exclude_elements": self.exclude_elements,
            "chemsys": self.chemsys,
        }
        found: dict[str, str | int] = {name: ",".join(words) for name, words in lists.items() if words}
        ranges = {
            "nelements": self.n_elements,
            "nsites": self.n_sites,
            "band_gap": self.band_gap,
            "energy_above_hull": self.energy_above_hull,
        }
        for name, bounds in ranges.items():
            if bounds is not None:
                found |= _range(name, bounds)
        flags = {"is_stable": self.is_stable, "theoretical": self.theoretical, "deprecated": False}
        return found | {name: str(flag).lower() for name, flag in flags.items() if flag is not None}


def _range(name: str, bounds: tuple[float, float] | tuple[int, int]) -> dict[str, str]:
    least, most = bounds
    if not -_LARGEST <= least <= most <= _LARGEST:
        raise BadInputError(
            f"from {least:g} to {most:g}", field=name, remedy="Give the least value, then the largest."
        )
    return {f"{name}_min": f"{least:g}", f"{name}_max": f"{most:g}"}
