"""Each further window on its real data: DOS, phonon DOS, charge density, properties, images.

``prismat train --windows A B --scale laptop`` for every pair, then one look at the test rows: recall in both
directions with bootstrap intervals, the chance line of the same gallery, and the same training with the
composition-only structure encoder.

Usage: python windows.py --data FOLDER   (multimat, phonon and MP-2018 tables; images come by package name)
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import torch
import tyro
from _machine import write

from prismat.modalities.charge_density import DensitySettings
from prismat.modalities.windows import MeasuredSettings, Window
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job
from prismat.recipes.scale import at_laptop_scale, with_structure, with_windows
from prismat.sources.amcsd import AmcsdSource
from prismat.sources.base import Source
from prismat.sources.elpv import ElpvSource
from prismat.sources.table import LAYOUTS, TableSource
from prismat.tasks.assemble import compare, judge
from prismat.tasks.quickstart import test_evaluator, train_recipe
from prismat.training.session import open_prepared

Case = Literal["dos", "phonon_dos", "charge_density", "promolecule", "properties", "image"]


@dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
        data: folder with dos_charge_density.parquet, phonon_dos.parquet and mp2018.parquet.
        out: folder for stores and runs.
        cases: windows; all where left out.
        limit: rows of MP-2018 for the properties window.
        threads: of torch; 0 for its own choice.
    """

    data: Path
    out: Path = Path("../runs/windows")
    cases: tuple[Case, ...] = field(default_factory=lambda: get_args(Case))
    limit: int = 12_000
    threads: int = 0


def source_of(case: Case, options: Options) -> tuple[Source, PrepareSettings, tuple[Window, ...]]:
    """Data, how they are prepared, and the two windows."""
    settings = PrepareSettings()
    if case == "image":
        measured = replace(settings.measured, image=replace(settings.measured.image, size=128))
        return ElpvSource(), replace(settings, measured=measured), ("image", "properties")
    if case == "properties":
        table = TableSource(options.data / "mp2018.parquet", LAYOUTS["mp2018"], options.limit)
        return table, settings, ("structure", "properties")
    if case == "promolecule":
        density = DensitySettings(points=24, promolecule=True, kinds=("promolecule",))
        measured = MeasuredSettings(charge_density=density)
        return AmcsdSource(), replace(settings, measured=measured), ("structure", "charge_density")
    if case == "phonon_dos":
        table = TableSource(options.data / "phonon_dos.parquet", LAYOUTS["phonon_dos"])
        return table, settings, ("structure", "phonon_dos")
    table = TableSource(options.data / "dos_charge_density.parquet", LAYOUTS["multimat"])
    return table, settings, ("structure", case)


def main(options: Options) -> None:
    """Trains every case with and without structure and writes the table."""
    torch.set_num_threads(options.threads or torch.get_num_threads())
    for case in options.cases:
        path = options.out / f"{case}.json"
        if not path.is_file():
            found = run(case, options)
            path.write_text(json.dumps(found), encoding="utf-8")
            print(case, json.dumps(found, indent=1), flush=True)
    there = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(options.out.glob("*.json"))}
    write("windows", {"cases": there})


def run(case: Case, options: Options) -> dict:
    """One pair of windows on its data."""
    source, settings, windows = source_of(case, options)
    store = prepare(source, options.out / case / "store", settings)
    job = at_laptop_scale(replace(Job(), recipe=with_windows(Job().recipe, windows, store)), pictures=False)
    prepared = open_prepared(store, job.split)
    evaluator = test_evaluator(prepared, job)
    judged = judge(train_recipe(prepared, job, options.out / case / "run"), evaluator)
    found: dict = {
        "records": len(store),
        "rejected": store.info["rejected"],
        "train": len(prepared.rows["train"]),
        "parameters": judged.trained.prismat.model.n_parameters,
        "retrieval": {name: result.describe() for name, result in judged.results.items()},
    }
    if "structure" in windows:
        recipe = with_structure(job.recipe, "composition")
        other = judge(
            train_recipe(prepared, replace(job, recipe=recipe), options.out / case / "baseline"), evaluator
        )
        found["composition"] = {name: result.describe() for name, result in other.results.items()}
        found["gain"] = compare(judged, other)
    return found


if __name__ == "__main__":
    main(tyro.cli(Options))
