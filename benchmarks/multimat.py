"""MultiMat's four ways to align crystals, densities of states and charge densities, on its example data.

The same as ``prismat train --recipe multimat-… --scale laptop``, with fewer steps, on the table of the
example data: 184 usable materials, a grouped split, so that galleries have some 15 records and no gain can be
claimed. What is shown is that every variant runs on its own windows to the end. The test rows are read once.

Usage: python multimat.py --data FOLDER [--threads 1]   (FOLDER with dos_charge_density.parquet)
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from _machine import write
from systems import figures

from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job
from prismat.recipes.scale import at_laptop_scale, with_windows
from prismat.recipes.systems import system_job
from prismat.sources.table import LAYOUTS, TableSource
from prismat.store import Store
from prismat.tasks.assemble import judge
from prismat.tasks.quickstart import baseline_jobs, test_evaluator, train_recipe
from prismat.training.session import open_prepared

VARIANTS = ("allpairs", "anchored", "tensor", "barlow")


@dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
        data: folder with dos_charge_density.parquet.
        out: folder for the prepared store and the runs.
        steps: of 128 records, fewer than laptop scale has: nothing can be claimed of so few materials.
        threads: of torch.
        seed: of weights, batches and views.
    """

    data: Path
    out: Path = Path("../runs/multimat")
    steps: int = 30
    threads: int = 1
    seed: int = 0


def job_of(variant: str, store: Store, options: Options) -> Job:
    """As the command line makes it; ``composition`` is the baseline of the first variant."""
    job = system_job(f"multimat-{VARIANTS[0] if variant == 'composition' else variant}")
    recipe = with_windows(job.recipe, job.recipe.windows, store)
    job = at_laptop_scale(replace(job, recipe=recipe, train=replace(job.train, seed=options.seed)))
    train = replace(job.train, steps=options.steps, evaluate_every=options.steps)
    job = replace(job, train=train)
    return baseline_jobs(job)["composition"] if variant == "composition" else job


def main(options: Options) -> None:
    """Trains every variant and keeps its figures."""
    torch.set_num_threads(options.threads)
    settings = PrepareSettings()
    settings = replace(settings, structure=replace(settings.structure, extras=("potentials",)))
    source = TableSource(options.data / "dos_charge_density.parquet", LAYOUTS["multimat"])
    store = prepare(source, options.out / "store", settings)
    prepared = open_prepared(store, Job().split)
    kept: dict[str, dict] = {}
    for variant in ("composition", *VARIANTS):
        job = job_of(variant, store, options)
        trained = train_recipe(prepared, job, options.out / f"{variant}-{options.seed}")
        judged = judge(trained, test_evaluator(prepared, job))
        found: dict[str, np.ndarray] = {"train_s": np.array(trained.outcome.seconds)}
        for direction, result in judged.results.items():
            found[f"{direction}.hit1"], found[f"{direction}.hit10"] = result.hits(1), result.hits(10)
            found[f"{direction}.groups"] = np.asarray(result.groups)
            found[f"{direction}.chance"] = np.array(result.chance)
        kept[variant] = found
        print(variant, f"{trained.outcome.seconds:.0f} s", trained.validation, flush=True)
    write(
        "multimat",
        {
            "split": prepared.split.hash,
            "seed": options.seed,
            "steps": options.steps,
            "variants": published(kept),
        },
    )


def published(kept: dict[str, dict]) -> dict[str, dict]:
    """Figures of every variant by direction."""
    rows = {}
    for variant, found in kept.items():
        base = {} if variant == "composition" else {"own": {0: kept["composition"]}}
        directions = sorted(k.removesuffix(".hit10") for k in found if k.endswith(".hit10"))
        rows[variant] = {"train_s": round(float(found["train_s"]))}
        rows[variant] |= {d: figures({0: found}, d, base) for d in directions}
    return rows


if __name__ == "__main__":
    main(tyro.cli(Options))
