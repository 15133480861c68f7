"""Structure ↔ XRD retrieval on AMCSD with every structure encoder: one split, one budget, laptop scale.

The same as ``prismat train --structure ENCODER --scale laptop --windows structure xrd`` for each encoder,
then one look at the test rows: recall in both directions and among polymorphs, with bootstrap intervals over
groups and the paired difference to the composition-only encoder.

Usage: python structure_encoders.py [--encoders painn alignn] [--threads 2]
"""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import tyro
from _machine import write

from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job
from prismat.recipes.scale import Encoder, at_laptop_scale, with_structure, with_windows
from prismat.sources.amcsd import AmcsdSource
from prismat.store import Store
from prismat.tasks.assemble import Judged, judge
from prismat.tasks.bootstrap import paired_difference
from prismat.tasks.quickstart import test_evaluator, train_recipe
from prismat.training.session import open_prepared


@dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
        out: folder for the prepared store and the runs.
        encoders: names; all where left out.
        threads: of torch; 0 for its own choice.
        seed: of weights, batches and views.
    """

    out: Path = Path("../runs/structure_encoders")
    encoders: tuple[Encoder, ...] = field(default_factory=lambda: get_args(Encoder))
    threads: int = 0
    seed: int = 0


def job_of(encoder: Encoder, store: Store, seed: int) -> Job:
    """As the command line makes it."""
    job = Job()
    recipe = with_structure(with_windows(job.recipe, ("structure", "xrd"), store), encoder)
    return at_laptop_scale(replace(job, recipe=recipe, train=replace(job.train, seed=seed)))


def main(options: Options) -> None:
    """Trains one encoder after the other and keeps the hits of each."""
    torch.set_num_threads(options.threads or torch.get_num_threads())
    settings = PrepareSettings()
    graph = replace(settings.structure, extras=("potentials", "chgnet"))
    store = prepare(AmcsdSource(), options.out / "store", replace(settings, structure=graph))
    prepared = open_prepared(store, Job().split)
    for encoder in options.encoders:
        path = options.out / f"{encoder}-{options.seed}.npz"
        if path.is_file():
            continue
        job, started = job_of(encoder, store, options.seed), time.perf_counter()
        trained = train_recipe(prepared, job, options.out / f"{encoder}-{options.seed}")
        judged = judge(trained, test_evaluator(prepared, job))
        keep(path, judged, time.perf_counter() - started)
        print(encoder, {d: r.recall for d, r in judged.results.items()}, flush=True)
    publish(options, prepared.split.hash)


def keep(path: Path, judged: Judged, seconds: float) -> None:
    """Ranks of every query, so that encoders can be compared query by query."""
    found: dict[str, np.ndarray] = {}
    for direction, result in judged.results.items():
        found[f"{direction}.hit1"], found[f"{direction}.hit10"] = result.hits(1), result.hits(10)
        found[f"{direction}.groups"] = np.asarray(result.groups)
        found[f"{direction}.chance"] = np.array(result.chance)
    trained = judged.trained
    structure = trained.prismat.model.encoders["structure"]
    count = sum(p.numel() for p in structure.parameters())
    np.savez(path, seconds=seconds, train_s=trained.outcome.seconds, parameters=count, **found)


def publish(options: Options, split: str) -> None:
    """Writes the table of all encoders that are there."""
    there = {p.stem.rpartition("-")[0]: np.load(p) for p in sorted(options.out.glob(f"*-{options.seed}.npz"))}
    base = there.get("composition")
    rows = {}
    for name, found in there.items():
        directions = sorted({key.rpartition(".")[0] for key in found.files if "." in key})
        rows[name] = {
            "parameters": int(found["parameters"]),
            **{d: figures(found, base if name != "composition" else None, d) for d in directions},
        }
    print(json.dumps(rows, indent=1))
    write("structure_encoders", {"split": split, "seed": options.seed, "encoders": rows})


def figures(found: object, base: object, direction: str) -> dict:
    """Recall@1 and @10, and the gain over composition with its interval."""
    made: dict = {"chance@1": round(float(found[f"{direction}.chance"]), 4)}
    for k in (1, 10):
        hits = found[f"{direction}.hit{k}"]
        made[f"recall@{k}"] = round(float(hits.mean()), 4)
        if base is not None:
            gain = paired_difference(hits, base[f"{direction}.hit{k}"], found[f"{direction}.groups"])
            made[f"gain@{k}"] = [round(x, 4) for x in gain]
    return made


if __name__ == "__main__":
    main(tyro.cli(Options))
