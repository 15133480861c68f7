"""The whole way in one call: prepare, train, baselines, evaluate, report, index."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prismat.api import Prismat
from prismat.files import write_text
from prismat.modalities.properties import PropertiesSettings
from prismat.modalities.xrd import XrdSettings
from prismat.prepare import PrepareSettings, prepare
from prismat.recipes.base import Job, Recipe
from prismat.recipes.scale import fitting
from prismat.search.engine import SearchEngine
from prismat.sources.base import Remote, Source
from prismat.splits import group_records
from prismat.store import Store
from prismat.tasks.assemble import Judged, assemble, figures, judge
from prismat.tasks.card import model_card
from prismat.tasks.evaluation import Evaluator, validation_score
from prismat.tasks.indexing import build_index
from prismat.tasks.report import write_report
from prismat.tasks.words import evaluate_words
from prismat.training.distributed import World
from prismat.training.session import Prepared, Trained, open_prepared, read_texts, train
from prismat.training.windows import StoreData

Note = Callable[[str], None]
Bar = Callable[[str, int, int, dict], None]


@dataclass(frozen=True)
class Talk:
    """How a long job tells of itself.

    Attributes:
        note: a sentence for the user.
        bar: progress of a named stage: done, total, latest metrics.
    """

    note: Note = lambda _: None
    bar: Bar = lambda *_: None


def store_settings(recipe: Recipe, workers: int = 0) -> PrepareSettings:
    """How a store has to be prepared for a recipe."""
    xrd = XrdSettings(wavelength=recipe.profile.wavelength, texture=recipe.reads_texture)
    return PrepareSettings(recipe.graph, xrd, recipe.profile, recipe.measured, workers=workers)


def obtain(source: Source, talk: Talk) -> None:
    """Fetches what a source lacks; one that fetches nothing is left alone."""
    if isinstance(source, Remote):
        source.obtain(lambda done, total: talk.bar("fetch", done, total, {}))


def prepare_source(
    source: Source, folder: Path, settings: PrepareSettings, talk: Talk
) -> tuple[Store, float]:
    """Fetches what is lacking, prepares a store or goes on with one; gives it and the seconds it took."""
    started = time.monotonic()
    obtain(source, talk)
    store = prepare(source, folder, settings, lambda done, total: talk.bar("prepare", done, total, {}))
    return store, time.monotonic() - started


def train_recipe(
    prepared: Prepared, job: Job, folder: Path, talk: Talk = Talk(), world: World = World()
) -> Trained:
    """Trains one recipe on prepared records and saves the model in the run folder.

    Args:
        prepared: store, records and split.
        job: recipe and length.
        folder: the run folder.
        talk: how progress is told.
        world: the ranks that train together; rank 0 alone validates and writes.
    """
    report = lambda done, total, _: talk.bar("texts", done, total, {})  # noqa: E731
    text = read_texts(prepared, job.recipe, report, job.fine_tune.text)
    evaluator = Evaluator(prepared.records, prepared.rows["val"], properties=_properties(job.recipe))
    trained = train(
        prepared,
        job,
        folder,
        text,
        lambda prismat, data: _score(job, prepared, prismat, data, evaluator),
        lambda done, total, entry: talk.bar(job.recipe.name, done, total, entry),
        world,
    )
    if world.is_main:
        trained.prismat.save(folder / "model")
    world.barrier()
    return trained


def _score(
    job: Job, prepared: Prepared, prismat: Prismat, data: StoreData, evaluator: Evaluator
) -> dict[str, float]:
    """What a validation gives, and by ``score`` what checkpoints are chosen by."""
    scores = validation_score(prismat, data, evaluator)
    if job.select == "recall":
        return scores
    rows = evaluator.rows
    words = evaluate_words(prismat, data, rows, [prepared.records.titles[r] for r in rows])
    return {**scores, "words/roc_auc": words.mean_roc_auc, "score": words.mean_roc_auc}


def baseline_jobs(job: Job) -> dict[str, Job]:
    """The same recipe with composition alone, and without diffraction; none where there are no structures."""
    recipe, encoders = job.recipe, job.recipe.encoders
    if "structure" not in recipe.windows:
        return {}
    composition = replace(
        recipe,
        name="composition",
        encoders=replace(encoders, structure=replace(encoders.structure, parts=("composition",))),
    )
    jobs = {"composition": replace(job, recipe=composition)}
    if {"structure", "text", "xrd"} <= set(recipe.windows):
        windows = ("structure", "text")
        objective = fitting(recipe.objective, windows)
        if objective.kind == "tensor_clip":
            # Of two windows there are no triples; contrast over pairs is what is left of it.
            objective = replace(objective, kind="infonce")
        two: Recipe = replace(recipe, name="text+structure only", windows=windows, objective=objective)
        jobs["text+structure only"] = replace(job, recipe=two)
    return jobs


def run_baselines(
    prepared: Prepared, job: Job, folder: Path, talk: Talk, world: World = World()
) -> dict[str, Trained]:
    """Trains the baselines with the same split, steps and seed."""
    return {
        name: train_recipe(prepared, wanted, folder / "baselines" / name.replace(" ", "_"), talk, world)
        for name, wanted in baseline_jobs(job).items()
        if wanted.recipe.encoders.structure != job.recipe.encoders.structure
        or wanted.recipe.windows != job.recipe.windows
    }


def test_evaluator(prepared: Prepared, job: Job) -> Evaluator:
    """The evaluator of the test rows; intervals treat the split's groups as units."""
    records = prepared.records
    groups = group_records(records.fractions, list(records.keys.values()), job.split.tolerance)
    return Evaluator(records, prepared.rows["test"], groups, _properties(job.recipe))


def _properties(recipe: Recipe) -> PropertiesSettings | None:
    return recipe.measured.properties if "properties" in recipe.windows else None


def evaluate_and_report(
    prepared: Prepared,
    job: Job,
    main: Trained,
    baselines: dict[str, Trained],
    folder: Path,
) -> dict[str, Any]:
    """Measures all models on the test rows, once, and writes report.json and report.html."""
    evaluator = test_evaluator(prepared, job)
    judged: Judged = judge(main, evaluator)
    others = {name: judge(trained, evaluator) for name, trained in baselines.items()}
    report = assemble(judged, others, prepared, evaluator, {"prepare_s": prepared.store.info["prepare_s"]})
    write_report(folder, report, figures(judged, prepared, evaluator))
    main.prismat.card = model_card(main.prismat, report)
    write_text(folder / "model" / "README.md", main.prismat.card)
    return report


def quickstart(
    source: Source, folder: Path, job: Job, talk: Talk, settings: PrepareSettings | None = None
) -> tuple[dict[str, Any], SearchEngine]:
    """From a source to a trained, judged and searchable model.

    Args:
        source: where materials come from.
        folder: receives ``store``, ``run`` and ``index``; a second call goes on where the first stopped.
        job: recipe, length and split.
        talk: receives progress.
        settings: of the preparation.

    Returns:
        The report, and an engine that searches all records.
    """
    settings = settings or store_settings(job.recipe)
    store, _ = prepare_source(source, folder / "store", settings, talk)
    talk.note(f"{len(store):,} crystals in {folder / 'store'}, {store.info['rejected']} rejected")
    prepared = open_prepared(store, job.split)
    run = folder / "run"
    main = train_recipe(prepared, job, run, talk)
    baselines = run_baselines(prepared, job, run, talk)
    report = evaluate_and_report(prepared, job, main, baselines, run)
    index = build_index(main.prismat, store, folder / "index")
    return report, SearchEngine(main.prismat, index)
