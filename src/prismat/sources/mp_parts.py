"""What belongs to materials of the Materials Project beside their summary, asked for in batches.

One row for each material in the order of the summaries, so that both are read side by side.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prismat.fetch.client import Client
from prismat.fetch.pages import Cursor, PageMirror, Row
from prismat.sources.mp_api import documents

BATCH = 100
"""Materials per request; their ids have to fit into an address."""
STATIC = ("GGA Static", "GGA+U Static")
"""Kinds of calculation whose charge densities are kept."""

Ask = Callable[[Client, str, list[str]], dict[str, str]]
"""(client, base address, ids of materials) to what was found, by id."""


class Part:
    """A mirror of one thing per material, aligned with the summaries.

    Args:
        folder: of the mirror.
        base_url: of the service.
        ask: what is asked for a batch.
        summaries: the materials.
    """

    def __init__(self, folder: Path, base_url: str, ask: Ask, summaries: PageMirror) -> None:
        self._base_url, self._ask, self._summaries = base_url, ask, summaries
        self._mirror = PageMirror(folder, {"part": folder.name})

    def obtain(self, client: Client, progress: Callable[[int], None] | None = None) -> None:
        """Fetches the batches that are not there yet."""
        self._mirror.obtain(lambda cursor: self._fetch(client, cursor), progress)

    @property
    def complete(self) -> bool:
        """Whether every material was asked for."""
        return self._mirror.complete

    def fingerprint(self) -> str:
        """SHA-256 over all that was fetched."""
        return self._mirror.fingerprint()

    def values(self, start: int, stop: int) -> Iterator[str]:
        """What was found for materials start … stop − 1; empty where there is nothing."""
        return (row["found"] for row in self._mirror.rows(start, stop))

    def _fetch(self, client: Client, cursor: Cursor) -> tuple[list[Row], Cursor]:
        start = cursor or 0
        ids = [row.get("material_id") for row in self._summaries.rows(start, start + BATCH)]
        found = self._ask(client, self._base_url, [i for i in ids if isinstance(i, str) and i])
        following = start + BATCH if start + BATCH < len(self._summaries) else None
        return [{"material_id": one, "found": found.get(one, "")} for one in ids], following


def ask_descriptions(client: Client, base_url: str, ids: list[str]) -> dict[str, str]:
    """Texts of robocrystallographer (Ganose & Jain, MRS Commun. 9, 874 (2019)), by material."""
    rows = _documents(client, f"{base_url}/materials/robocrys/", "material_ids", ids, "description")
    return {row["material_id"]: row["description"].strip() for row in rows if row.get("description")}


def ask_dos_tasks(client: Client, base_url: str, ids: list[str]) -> dict[str, str]:
    """Calculations that gave the total densities of states, by material."""
    rows = _documents(
        client, f"{base_url}/materials/electronic_structure/", "material_ids", ids, "dos", False
    )
    return {row["material_id"]: task for row in rows if (task := _dos_task(row.get("dos")))}


def ask_density_tasks(client: Client, base_url: str, ids: list[str]) -> dict[str, str]:
    """Last static calculation of each material, whose charge density is kept."""
    rows = _documents(client, f"{base_url}/materials/core/", "material_ids", ids, "calc_types")
    static = {
        row["material_id"]: [t for t, kind in (row.get("calc_types") or {}).items() if kind in STATIC]
        for row in rows
    }
    several = [task for tasks in static.values() if len(tasks) > 1 for task in tasks]
    dates: dict[str, str] = {}
    for start in range(0, len(several), BATCH):
        batch = several[start : start + BATCH]
        told = _documents(client, f"{base_url}/materials/tasks/", "task_ids", batch, "last_updated")
        dates |= {row["task_id"]: _date(row.get("last_updated")) for row in told}
    return {
        material: max(tasks, key=lambda task: (dates.get(task, ""), task))
        for material, tasks in static.items()
        if tasks
    }


def _documents(
    client: Client, url: str, name: str, ids: list[str], field: str, needed: bool = True
) -> list[Row]:
    """All documents of a batch, each with its id and one field, which some must have where it is needed."""
    key = "task_id" if name == "task_ids" else "material_id"
    if not ids:
        return []
    params = {name: ",".join(ids), "_fields": f"{key},{field}", "_limit": len(ids)}
    rows, _ = documents(client, url, params, (key, field) if needed else (key,))
    return [row for row in rows if isinstance(row.get(key), str)]


def _dos_task(dos: Any) -> str:
    """Id in ``dos.total["1"].task_id``; empty where there is none."""
    for key in ("total", "1", "task_id"):
        dos = dos.get(key) if isinstance(dos, dict) else None
    return dos if isinstance(dos, str) else ""


def _date(value: Any) -> str:
    """A date as text that sorts by time, given as text or as {"$date": text}."""
    value = value.get("$date") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""
