"""Descriptions of crystals from the template: crystals per second, with and without the symmetry search.

Run from anywhere: ``python benchmarks/template_text.py``. AMCSD crystals, one thread. Where
robocrystallographer is installed (``pip install 'prismat[describe]'``) it describes 20 of the ordered ones,
in this process, import not counted. Rates are of processor time, which other load on the machine disturbs
least; wall time stands beside it.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from _data import SEED, amcsd_materials
from _machine import write
from threadpoolctl import threadpool_limits

from prismat.crystal import Crystal
from prismat.modalities.standard_cell import standardize
from prismat.texts.template import describe_cell

CRYSTALS, REPEATS, PEERS = 1000, 3, 20


def clocked(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor and wall time of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - processor, time.perf_counter() - wall


def repeated(calls: dict[str, Callable[[], object]]) -> dict[str, dict[str, list[float]]]:
    """Seconds of every call, taken in turns."""
    found: dict[str, dict[str, list[float]]] = {name: {"processor": [], "wall": []} for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            for clock, seconds in zip(("processor", "wall"), clocked(call), strict=True):
                found[name][clock].append(seconds)
    return found


def peer_seconds(crystals: list[Crystal]) -> dict[str, dict[str, float]] | None:
    """Seconds for each crystal of robocrystallographer and of the template, symmetry search included."""
    if find_spec("robocrys") is None:
        return None
    from prismat.texts.robocrys import load_robocrys, robocrys_text

    load_robocrys()
    ordered = [c for c in crystals if c.is_ordered][:PEERS]
    cells = [standardize(c) for c in ordered]
    theirs = [clocked(lambda c=cell.primitive: robocrys_text(c)) for cell in cells]
    ours = [clocked(lambda c=cell.primitive: describe_cell(standardize(c))) for cell in cells]
    named = (("robocrystallographer", theirs), ("prismat", ours))
    return {
        name: {
            "crystals": len(ordered),
            "mean_sites": float(np.mean([len(cell.primitive) for cell in cells])),
            "processor_s_mean": float(np.mean([processor for processor, _ in found])),
            "wall_s_mean": float(np.mean([wall for _, wall in found])),
            "wall_s_median": float(np.median([wall for _, wall in found])),
        }
        for name, found in named
    }


def main() -> None:
    crystals = [m.structure for m in amcsd_materials(CRYSTALS) if m.structure]
    with threadpool_limits(1):
        cells = [standardize(c) for c in crystals]
        seconds = repeated(
            {
                "template": lambda: [describe_cell(c) for c in cells],
                "template_global": lambda: [describe_cell(c, "template_global") for c in cells],
                "template_local": lambda: [describe_cell(c, "template_local") for c in cells],
                "template_with_symmetry_search": lambda: [describe_cell(standardize(c)) for c in crystals],
            }
        )
        peer = peer_seconds(crystals)
    lengths = [len(describe_cell(c)) for c in cells]
    rates = {
        clock: {name: CRYSTALS / float(np.median(found[clock])) for name, found in seconds.items()}
        for clock in ("processor", "wall")
    }
    payload = {
        "seed": SEED,
        "crystals": CRYSTALS,
        "mean_sites_primitive": float(np.mean([len(c.primitive) for c in cells])),
        "threads": 1,
        "repeats": REPEATS,
        "crystals_per_processor_s": rates["processor"],
        "crystals_per_wall_s": rates["wall"],
        "characters": {"mean": float(np.mean(lengths)), "largest": max(lengths)},
        "against_robocrystallographer": peer,
        "seconds": seconds,
        "notes": ["rates without the symmetry search include the neighbour search"],
    }
    print(write("template_text", payload).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
