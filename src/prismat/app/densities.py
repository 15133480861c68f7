"""Densities of states of a store's records, as a plot wants them."""

from typing import Any, Literal

import numpy as np

from prismat.app.records import lacking, stored
from prismat.app.state import Served
from prismat.modalities.dos import DosSettings
from prismat.recipes.serial import from_json
from prismat.store import Store

DosWindow = Literal["dos", "phonon_dos"]
_WINDOWS: tuple[DosWindow, ...] = ("dos", "phonon_dos")


def density_of_states(served: Served, id: str, kind: DosWindow | None = None) -> dict[str, Any]:
    """Energies and densities per atom; null where an energy was not computed.

    Args:
        served: with a store.
        id: of the record.
        kind: of electrons or of phonons; the first that there is where None.

    Raises:
        Problem: status 404: no record, no store, or no density of states.
    """
    store, row = stored(served, id, "densities of states")
    for window in _WINDOWS if kind is None else (kind,):
        found = _densities(store, row, window)
        if found is not None:
            return found
    raise lacking(id, "density of states")


def _densities(store: Store, row: int, window: DosWindow) -> dict[str, Any] | None:
    try:
        columns = store.take(np.array([row]), [f"{window}.density", f"{window}.energy"])
    except FileNotFoundError:
        return None
    density, energy = (columns[f"{window}.{name}"].values for name in ("density", "energy"))
    if not len(density):
        return None
    settings = _settings(store, window)
    energies = energy if len(energy) else settings.centers
    values = np.asarray(density, dtype=np.float64)
    return {
        "energies": np.round(np.asarray(energies, dtype=np.float64), 5).tolist(),
        "densities": [round(x, 6) if np.isfinite(x) else None for x in values.tolist()],
        "zero": settings.zero if window == "dos" else "",
        "kind": window,
        "unit": settings.unit,
        "per": "atom",
    }


def _settings(store: Store, window: DosWindow) -> DosSettings:
    """How the store was prepared."""
    return from_json(DosSettings, store.info["job"]["settings"]["measured"][window])
