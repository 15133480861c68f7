"""MultiMat's variants on their own windows at full laptop length, as the command line trains and judges them.

Needs a store with densities of states and charge densities (``prismat prepare mp2018 --layout multimat``, see
docs/sources/mp2018.md). Each variant takes about ten minutes of one core, and its composition baseline as
long; a run that has its report is not made again.

Usage: python multimat_long.py --store ../runs/systems/multimat-store --out ../runs/acc
"""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro
from _machine import write

from prismat.commands.build import Evaluate, Train
from prismat.recipes.systems import System

VARIANTS: tuple[System, ...] = (
    "multimat-allpairs",
    "multimat-anchored",
    "multimat-tensor",
    "multimat-barlow",
)


@dataclass(frozen=True)
class Options:
    """Where from and where to.

    Attributes:
        store: the materials.
        out: receives one run per variant.
    """

    store: Path = Path("../runs/systems/multimat-store")
    out: Path = Path("../runs/acc")


def main(options: Options) -> None:
    """Trains, judges and collects."""
    found = {}
    for name in VARIANTS:
        run = options.out / name
        if not (run / "report.json").is_file():
            Train(store=options.store, out=run, recipe=name, scale="laptop").run()
            Evaluate(store=options.store, run_folder=run).run()
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        found[name] = {key: report[key] for key in ("split", "retrieval", "differences", "cost")}
    print(write("multimat_long", {"variants": found}))


if __name__ == "__main__":
    main(tyro.cli(Options))
