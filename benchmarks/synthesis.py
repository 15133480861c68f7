"""Synthesis recommendation: recipes for unseen materials, beside baselines, and what each window brings.

Trains three windows (structure, recipe, properties) with their composition-only baseline, and two windows
(structure, recipe), on the text-mined recipes joined to MP-2018; then measures both on the test targets. A
training or store that is there is not made again.

Usage: python synthesis.py --data FOLDER   (synthesis_solid_state.json.xz and mp2018.parquet)
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from _machine import write

from prismat.commands.build import read_job
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.scale import with_windows
from prismat.sources.synthesis import SynthesisOptions
from prismat.store import Store
from prismat.tasks.opened import Opened, open_beside, open_run
from prismat.tasks.quickstart import Talk, run_baselines, train_recipe
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result
from prismat.tasks.retrieval import retrieval_metrics
from prismat.tasks.synthesis.evaluation import MODEL, Evaluation, Side, evaluate
from prismat.tasks.synthesis.index import text_vectors
from prismat.tasks.synthesis.page import page_of, result_of
from prismat.tasks.synthesis.targets import differences, figures, rank
from prismat.training.session import open_prepared

JOB = Path(__file__).parents[1] / "docs" / "tasks" / "synthesis_job.json"


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        data: folder with synthesis_solid_state.json.xz and mp2018.parquet.
        out: folder for the store and the runs.
        threads: of torch; 0 for its own choice.
    """

    data: Path
    out: Path = Path("../runs/synthesis")
    threads: int = 0


def prepared_store(options: Options) -> Store:
    """Recipes joined to structures."""
    if (options.out / "store" / "store.json").is_file():
        return Store(options.out / "store")
    recipes, table = options.data / "synthesis_solid_state.json.xz", options.data / "mp2018.parquet"
    source = SynthesisOptions(path=recipes, structures=table).open()
    source.obtain()
    return prepare(source, options.out / "store", PrepareSettings())


def train(store: Store, folder: Path, two: bool = False) -> None:
    """One training where it is not there; that of three windows with its composition-only baseline."""
    job, talk = read_job(JOB), Talk(note=print)
    if two:
        job = replace(job, recipe=with_windows(job.recipe, ("structure", "text"), store))
    prepared = open_prepared(store, job.split)
    if not (folder / "model" / "config.json").is_file():
        train_recipe(prepared, job, folder, talk)
    if not two and not (folder / "baselines" / "composition" / "model").is_dir():
        run_baselines(prepared, job, folder, talk)


def compare(found: Evaluation, other: Opened) -> dict[str, Any]:
    """Figures of another model from structures to recipes, and three windows − two over the same targets."""
    task, targets = found.task, found.targets
    side = Side(other.prismat, text_vectors(other.prismat, other.data, task.book), other)
    gallery = task.book.among(other.rows["test"])
    relevant = np.stack([np.isin(gallery, own) for own in targets.own])
    retrieved = retrieval_metrics(side.scores("structure", targets.rows, gallery), relevant, targets.groups)
    known = rank(task, side.scores("structure", task.targets.rows, task.gallery)).values
    hits = [{f"recall@{k}": r.hits(k) for k in (1, 5, 10)} for r in (found.held_out[MODEL], retrieved)]
    return {
        "two_windows": {"held_out": retrieved.describe(), "known": figures(known, task.targets.groups)},
        "three_minus_two": {
            "held_out": differences(hits[0], {"two windows": hits[1]}, targets.groups)["two windows"],
            "known": differences(found.known[MODEL].values, {"two windows": known}, task.targets.groups)[
                "two windows"
            ],
        },
    }


def main(options: Options) -> None:
    """Trains what is missing, measures, writes the page and the figures."""
    if options.threads:
        torch.set_num_threads(options.threads)
    store, run = prepared_store(options), options.out / "run"
    train(store, run)
    start = time.perf_counter()
    opened = open_run(run, store, text_view="synthesis")
    baseline = open_beside(run / "baselines" / "composition", opened, "synthesis")
    found = evaluate(opened, baseline, print)
    result = result_of(found)
    seconds = round(time.perf_counter() - start, 1)
    page = page_of(found, result, "synthesis")
    print(write_result(run / "tasks" / "synthesis", "synthesis", result, page))
    train(store, options.out / "two", two=True)
    other = open_beside(options.out / "two", opened, "synthesis")
    payload = {"store": store.hash, "evaluate_s": seconds, **result, **compare(found, other)}
    print(write("synthesis", to_plain(payload)))


if __name__ == "__main__":
    main(tyro.cli(Options))
