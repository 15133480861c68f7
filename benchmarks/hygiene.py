"""Duplicates within AMCSD, and what MP-2018 and the phonon tables share with it: figures and times.

Run from anywhere after ``sources.py``: ``python benchmarks/hygiene.py [--stores runs/stores] [--workers 2]``.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from _machine import write

from prismat.hygiene.comparison import find_duplicates
from prismat.hygiene.leakage import leakage
from prismat.hygiene.matching import Matching
from prismat.hygiene.structures import CompareSettings
from prismat.store import Store

AGAINST = ("mp2018", "phonon_dos", "matbench_phonons", "packaged-jarvis_minerals")


def timed(found: Any, started: float) -> dict[str, Any]:
    """What was found, and the seconds that it took."""
    return {**found.describe(), "seconds": round(time.perf_counter() - started, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", type=Path, default=Path("runs/stores"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = CompareSettings(matching=Matching(workers=options.workers))
    amcsd = Store(options.stores / "amcsd")
    started = time.perf_counter()
    result = {"duplicates": {"amcsd": timed(find_duplicates([amcsd], settings), started)}, "leakage": {}}
    for name in AGAINST:
        started = time.perf_counter()
        found = leakage(amcsd, [Store(options.stores / name)], settings)
        result["leakage"][name] = timed(found, started)
    print(write("hygiene", {"workers": options.workers, **result}))


if __name__ == "__main__":
    main()
