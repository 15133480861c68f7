"""A model on databases that it was not trained on: retrieval of structures by patterns, beside composition.

Needs a finished quickstart (AMCSD), a store of MP-2018 and one of JARVIS minerals, and, for the way back,
a run on MP-2018: ``prismat train --store STORE --windows structure xrd --scale laptop``. A run that is absent
is left out. Records that share a structure or a composition with those learnt from are
counted and the rest is measured on its own.

Usage: python transfer.py --amcsd ../runs/quickstart --mp ../runs/transfer/mp2018
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from _machine import write

from prismat.store import Store
from prismat.tasks.report import to_plain
from prismat.tasks.transfer import TestPart, learnt_overlap, open_models, transfer


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        amcsd: a quickstart folder.
        mp: a run on MP-2018.
        stores: a folder with the stores ``amcsd``, ``mp2018`` and ``packaged-jarvis_minerals``.
    """

    amcsd: Path = Path("../runs/quickstart")
    mp: Path = Path("../runs/transfer/mp2018")
    stores: Path = Path("../runs/stores")


def measured(run: Path, learnt: Path, store: Path, part: TestPart) -> dict[str, Any]:
    """One run on one store."""
    models = open_models(run, Store(store))
    overlap = learnt_overlap(run, Store(learnt), models["main"], part=part)
    return to_plain(transfer(models, overlap, part))


def main(options: Options) -> None:
    """Measures every pair whose run is there."""
    ways: dict[str, tuple[Path, Path, Path, TestPart]] = {
        "amcsd -> mp2018": (options.amcsd, options.amcsd / "store", options.stores / "mp2018", "test"),
        "amcsd -> jarvis minerals": (
            options.amcsd,
            options.amcsd / "store",
            options.stores / "packaged-jarvis_minerals",
            "all",
        ),
        "mp2018 -> amcsd": (options.mp, options.stores / "mp2018", options.stores / "amcsd", "test"),
    }
    found = {name: measured(*way) for name, way in ways.items() if way[0].is_dir()}
    print(write("transfer", {"ways": found}))


if __name__ == "__main__":
    main(tyro.cli(Options))
