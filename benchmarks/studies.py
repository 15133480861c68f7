"""Small studies on AMCSD: windows, weights of their pairs, texts, and the tri-modal proposal's space.

Each training is of 40 to 80 steps of 128 records at laptop scale, so that all four studies end within three
quarters of an hour of one core; what they rank is what such short trainings rank. An interrupted study
goes on.

Usage: python studies.py [--store ../runs/stores/amcsd] [--out ../runs/tasks6/studies] [--workers 2]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from _machine import write

from prismat.commands.study import BaseOptions
from prismat.store import Store
from prismat.studies.ablation import ablate, arms
from prismat.studies.pages import ablation_page, sweep_page
from prismat.studies.runner import Runner
from prismat.studies.space import P12, parse_space
from prismat.studies.sweep import Sweep, SweepSettings
from prismat.tasks.result import write_result


@dataclass(frozen=True)
class Options:
    """Where from and where to.

    Attributes:
        store: made by ``prismat prepare``.
        out: receives one folder per study.
        workers: trials at a time, of one thread each.
    """

    store: Path = Path("../runs/stores/amcsd")
    out: Path = Path("../runs/tasks6/studies")
    workers: int = 2


def main(options: Options) -> None:
    store, runner = Store(options.store), Runner(options.workers, threads=1)
    base = BaseOptions(steps=80).job(store)
    windows = ablate(store, options.out / "windows", arms(base, store, ("windows",), ()), 2, runner)
    base = BaseOptions(steps=60).job(store)
    weighted = arms(base, store, ("weights",), (), baseline=False)
    weights = ablate(store, options.out / "weights", weighted, 1, runner)
    texts = ablate(store, options.out / "texts", arms(base, store, ("texts",), ()), 1, runner)
    base = BaseOptions(steps=40).job(store)
    settings = SweepSettings("tpe", trials=6, round=3, baseline=False)
    sweep = Sweep(store, options.out / "p12", base, parse_space([P12], base, store), settings, runner).run()
    for name, result in (("windows", windows), ("weights", weights), ("texts", texts)):
        write_result(options.out / name, "ablation", result, ablation_page(result))
    write_result(options.out / "p12", "sweep", sweep, sweep_page(sweep))
    found = {"windows": windows, "weights": weights, "texts": texts, "p12": sweep}
    print(write("studies", {name: brief(result) for name, result in found.items()}))


def brief(result: dict[str, Any]) -> dict[str, Any]:
    """What is published of a study."""
    kept = ("name", "settings", "seeds", "failed", "score", "figures", "chance", "differences", "cost")
    named = ("part", "source", "split", "steps", "batch", "search", "best", "left")
    arms_kept = [{k: arm[k] for k in kept} for arm in result["arms"]]
    return {k: result[k] for k in named if k in result} | {"arms": arms_kept}


if __name__ == "__main__":
    main(tyro.cli(Options))
