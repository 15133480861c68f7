"""The published systems by name on AMCSD: one split, one number of steps, laptop scale.

Every system is trained as ``prismat train --recipe NAME --scale laptop`` with the same number of steps of 128
records, on the windows named in ``RUNS``. The test rows of all runs are read once, when the table is made:
``--publish``. Each figure comes with its interval over seeds and groups, and with the paired difference to
the same recipe, and to the default one, with composition alone in place of structures, trained with the same
steps and seeds.

Usage: python systems.py [--runs clasp clac] [--seeds 0 1 2] [--threads 1], then python systems.py --publish
"""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from _machine import write

from prismat.modalities.structure import StructureSettings
from prismat.modalities.windows import Window
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job, Recipe, TextConfig
from prismat.recipes.scale import at_laptop_scale, with_structure, with_windows
from prismat.recipes.systems import System, system_job
from prismat.sources.amcsd import AmcsdSource
from prismat.store import Store
from prismat.tasks.assemble import Judged, judge
from prismat.tasks.bootstrap import bootstrap_means, interval, paired_difference
from prismat.tasks.quickstart import baseline_jobs, test_evaluator, train_recipe
from prismat.tasks.words import evaluate_words
from prismat.training.session import Prepared, open_prepared, peak_memory_mb

THREE: tuple[Window, ...] = ("structure", "text", "xrd")
TWO: tuple[Window, ...] = ("structure", "text")
PATTERN: tuple[Window, ...] = ("structure", "xrd")
RUNS: dict[str, tuple[System, tuple[Window, ...]]] = {
    "composition": ("default", THREE),
    "default": ("default", THREE),
    "clasp": ("clasp", TWO),
    "clac": ("clac", TWO),
    "multimat-allpairs": ("multimat-allpairs", THREE),
    "trimodal": ("trimodal", ("structure", "text", "image")),
    "multimat-anchored": ("multimat-anchored", THREE),
    "multimat-tensor": ("multimat-tensor", THREE),
    "multimat-barlow": ("multimat-barlow", THREE),
    "trimodal-curriculum": ("trimodal-curriculum", ("structure", "text", "image")),
    "cmml": ("cmml", PATTERN),
    "clasp on patterns": ("clasp", PATTERN),
    "clac on patterns": ("clac", PATTERN),
    "clasp, composition": ("clasp", TWO),
    "clac, composition": ("clac", TWO),
    "multimat-allpairs, composition": ("multimat-allpairs", THREE),
    "trimodal, composition": ("trimodal", ("structure", "text", "image")),
    "cmml, composition": ("cmml", PATTERN),
    "clasp on patterns, composition": ("clasp", PATTERN),
    "clasp with composition": ("clasp", TWO),
    "clasp with learned scale": ("clasp", TWO),
    "clasp on patterns with learned scale": ("clasp", PATTERN),
    "clac with frozen text": ("clac", TWO),
    "clac on patterns with whole graphs": ("clac", PATTERN),
    "default on patterns": ("default", PATTERN),
    "multimat-barlow on patterns": ("multimat-barlow", PATTERN),
    "multimat-tensor with a tenth of the temperature": ("multimat-tensor", THREE),
    "trimodal with distances": ("trimodal", ("structure", "text", "image")),
}
"""Recipe and windows of every run. AMCSD has no densities of states: MultiMat aligns text and patterns.

``…, composition`` is the recipe with composition alone in place of structures, the baseline of its own text
and loss; ``with composition`` has both; ``with frozen text`` has the text of the default in place of a
transformer from scratch; ``with learned scale`` learns s; ``with distances`` filters messages by them; ``with
whole graphs`` leaves no bond or atom out. These are remedies.
"""
BASELINE = {
    "multimat-anchored": "multimat-allpairs, composition",
    "multimat-tensor": "multimat-allpairs, composition",
    "multimat-barlow": "multimat-allpairs, composition",
    "trimodal-curriculum": "trimodal, composition",
    "clasp with composition": "clasp, composition",
    "clasp with learned scale": "clasp, composition",
    "clasp on patterns with learned scale": "clasp on patterns, composition",
    "trimodal with distances": "trimodal, composition",
    "multimat-tensor with a tenth of the temperature": "multimat-allpairs, composition",
}
"""Baseline of a run, where it is not its own or the default's."""
SAME = {"image->structure": "xrd->structure", "structure->image": "structure->xrd"}
"""A drawn pattern holds what a pattern holds."""


@dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
        out: folder for the prepared store and the runs.
        runs: names; all where left out.
        seeds: of weights, batches and views.
        steps: of 128 records, for all alike.
        threads: of torch.
        publish: read the test figures of all finished runs and write the table.
    """

    out: Path = Path("../runs/systems")
    runs: tuple[str, ...] = field(default_factory=lambda: tuple(RUNS))
    seeds: tuple[int, ...] = (0,)
    steps: int = 600
    threads: int = 1
    publish: bool = False


def job_of(name: str, store: Store, options: Options, seed: int) -> Job:
    """As the command line makes it, with the common number of steps."""
    recipe, windows = RUNS[name]
    job = system_job(recipe)
    job = at_laptop_scale(replace(job, recipe=with_windows(job.recipe, windows, store)), pictures=False)
    train = replace(job.train, steps=options.steps, evaluate_every=options.steps // 4, seed=seed)
    job = replace(job, train=train)
    if "text" not in windows:
        # Without text there is no word to choose checkpoints by, and no second text.
        job = replace(job, select="recall", fine_tune=replace(job.fine_tune, steps=0))
    if name == "composition" or name.endswith(", composition"):
        return baseline_jobs(job)["composition"]
    return replace(job, recipe=remedied(name, job.recipe))


def remedied(name: str, recipe: Recipe) -> Recipe:
    """The recipe with what was tried against a weakness, where the name says so."""
    encoders = recipe.encoders
    if name.endswith("with composition"):
        structure = replace(encoders.structure, parts=("cgcnn", "composition"))
        return replace(recipe, encoders=replace(encoders, structure=structure))
    if name.endswith("with learned scale"):
        cosface = replace(recipe.objective.cosface, learn_scale=True)
        return replace(recipe, objective=replace(recipe.objective, cosface=cosface))
    if name.endswith("with whole graphs"):
        return replace(recipe, views=replace(recipe.views, structure=None))
    if name.endswith("of the temperature"):
        tensor = replace(recipe.objective.tensor_clip, temperature=0.02)
        return replace(recipe, objective=replace(recipe.objective, tensor_clip=tensor))
    if name.endswith("with distances"):
        return with_structure(recipe, "mpgnn-filtered")
    if name.endswith("with frozen text"):
        views = replace(recipe.views, tokens=None)
        encoders = replace(encoders, text=TextConfig())
        return replace(recipe, encoders=encoders, views=views, masked_language=None)
    return recipe


def main(options: Options) -> None:
    """Trains one system after the other and keeps the hits of each."""
    torch.set_num_threads(options.threads)
    store = prepare(AmcsdSource(), options.out / "store", settings())
    prepared = open_prepared(store, Job().split)
    if options.publish:
        publish(options, prepared)
        return
    for seed in options.seeds:
        for name in options.runs:
            folder = options.out / f"{name.replace(' ', '_')}-{seed}"
            if (folder / "hits.npz").is_file():
                continue
            job, started = job_of(name, store, options, seed), time.perf_counter()
            trained = train_recipe(prepared, job, folder)
            judged = judge(trained, test_evaluator(prepared, job))
            keep(folder / "hits.npz", judged, prepared, time.perf_counter() - started)
            print(name, seed, f"{trained.outcome.seconds:.0f} s", trained.validation, flush=True)


def settings() -> PrepareSettings:
    """A store that every system can read: lattice sums for PotNet, patterns as pictures."""
    made = PrepareSettings()
    image = replace(made.measured.image, source="xrd", size=64)
    graph: StructureSettings = replace(made.structure, extras=("potentials",))
    return replace(made, structure=graph, measured=replace(made.measured, image=image))


def keep(path: Path, judged: Judged, prepared: Prepared, seconds: float) -> None:
    """Hits of every query, so that systems can be compared query by query."""
    found: dict[str, np.ndarray] = {}
    for direction, result in judged.results.items():
        name = SAME.get(direction, direction)
        found[f"{name}.hit1"], found[f"{name}.hit10"] = result.hits(1), result.hits(10)
        found[f"{name}.groups"], found[f"{name}.chance"] = np.asarray(result.groups), np.array(result.chance)
    trained = judged.trained
    if {"structure", "text"} <= set(trained.prismat.recipe.windows):
        rows = prepared.rows["test"]
        titles = [prepared.records.titles[r] for r in rows]
        words = evaluate_words(trained.prismat, trained.data, rows, titles)
        found["words"] = np.array(words.mean_roc_auc)
    text = trained.prismat.reader.describe()["encoder"] if trained.prismat.reader else ""
    parameters = trained.prismat.model.n_parameters
    cost = {"train_s": trained.outcome.seconds, "peak_mb": peak_memory_mb(), "parameters": parameters}
    np.savez(path, seconds=seconds, text=text, **cost, **found)


def publish(options: Options, prepared: Prepared) -> None:
    """The table of all runs that are there."""
    rows = {}
    for name in RUNS:
        found = loaded(options, name)
        if found:
            own = loaded(options, BASELINE.get(name, f"{name}, composition"))
            rows[name] = row(name, found, own, loaded(options, "composition"))
    print(json.dumps(rows, indent=1))
    write(
        "systems",
        {
            "split": prepared.split.hash,
            "steps": options.steps,
            "batch": 128,
            "threads": options.threads,
            "systems": rows,
        },
    )


def loaded(options: Options, name: str) -> dict[int, dict[str, np.ndarray]]:
    """Kept arrays by seed."""
    paths = sorted(options.out.glob(f"{name.replace(' ', '_')}-[0-9]*/hits.npz"))
    return {int(p.parent.name.rpartition("-")[2]): dict(np.load(p)) for p in paths}


def row(name: str, found: dict[int, dict], own: dict[int, dict], default: dict[int, dict]) -> dict:
    """One system: its windows, its cost and its figures by direction."""
    first = found[min(found)]
    recipe, windows = RUNS[name]
    made: dict = {"recipe": recipe, "windows": windows, "seeds": sorted(found), "text": str(first["text"])}
    made |= {"parameters": int(first["parameters"]), "peak_mb": round(float(first["peak_mb"]))}
    made["train_s"] = round(float(np.mean([f["train_s"] for f in found.values()])))
    if "words" in first:
        values = [float(f["words"]) for f in found.values()]
        made["words/roc_auc"] = {"mean": round(np.mean(values), 4), "seeds": [round(v, 4) for v in values]}
    for direction in sorted(k.removesuffix(".hit10") for k in first if k.endswith(".hit10")):
        made[direction] = figures(found, direction, {"own": own, "default": default})
    return made


def figures(found: dict[int, dict], direction: str, baselines: dict[str, dict[int, dict]]) -> dict:
    """Recall@1 and @10: mean over seeds, its interval over groups, each seed's, and the gains with intervals.

    Gains are over the ``own`` and over the ``default`` recipe's composition-only baseline. The same queries
    are asked with every seed: their hits are averaged over seeds before groups are drawn.
    """
    first = found[min(found)]
    groups = first[f"{direction}.groups"]
    made: dict = {"queries": len(groups), "chance@1": round(float(first[f"{direction}.chance"]), 4)}
    for k in (1, 10):
        hits = mean_hits(found, sorted(found), direction, k)
        made[f"recall@{k}"] = round(float(hits.mean()), 4)
        made[f"interval@{k}"] = [round(x, 4) for x in interval(bootstrap_means(hits[:, None], groups)[:, 0])]
        made[f"seeds@{k}"] = [round(float(f[f"{direction}.hit{k}"].mean()), 4) for f in found.values()]
        for which, base in baselines.items():
            shared = sorted(s for s in set(found) & set(base) if f"{direction}.hit{k}" in base[s])
            if shared:
                left, right = (mean_hits(x, shared, direction, k) for x in (found, base))
                gain = paired_difference(left, right, groups)
                made[f"gain@{k}/{which}"] = [round(x, 4) for x in gain]
    return made


def mean_hits(found: dict[int, dict], seeds: list[int], direction: str, k: int) -> np.ndarray:
    """Share of the seeds with which each query was answered."""
    return np.mean([found[s][f"{direction}.hit{k}"].astype(float) for s in seeds], axis=0)


if __name__ == "__main__":
    main(tyro.cli(Options))
