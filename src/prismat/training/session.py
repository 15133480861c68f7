"""A training from a prepared store to a run folder: split, text features, model, training, saved model."""

import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from prismat.api import Prismat, Shapes
from prismat.errors import BadInputError
from prismat.files import digest, write_json, write_text
from prismat.modalities.text import MAX_TOKENS, train_tokenizer
from prismat.packaged import cache_dir
from prismat.recipes.base import Job, Recipe, SplitConfig
from prismat.recipes.build import (
    as_used,
    build_model,
    hugging_face,
    recipe_auxiliary,
    recipe_objective,
    seed_everything,
)
from prismat.recipes.serial import to_json
from prismat.splits import PARTS, Split, check_leaks, count_leaks, group_records, make_split
from prismat.store import Store
from prismat.text_reader import EncoderReader, FrozenReader, TextReader, TokenReader
from prismat.training.distributed import World
from prismat.training.learner import ContrastiveLearner
from prismat.training.loop import Outcome, Progress, TrainConfig, Trainer
from prismat.training.records import Records, property_labels, read_records
from prismat.training.state import check_job
from prismat.training.store_checks import check_store
from prismat.training.text_bank import (
    build_text_bank,
    build_token_bank,
    evaluated_view,
    training_lexicon,
    view_texts,
)
from prismat.training.tracking import Tracker
from prismat.training.windows import StoreData, TextBank, TokenBank


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that trainings on one store and split share.

    Attributes:
        store: prepared records.
        records: their tabular side.
        split: the division.
        rows: row numbers of train, val and test.
    """

    store: Store
    records: Records
    split: Split
    rows: dict[str, Int[np.ndarray, " part"]]


def split_store(store: Store, records: Records, config: SplitConfig) -> Split:
    """The grouped split of a store: no formula, publication, title or mineral crosses.

    Records that come with a part of their own (tag ``split``) keep it: nothing named val or test is ever
    trained on. What such a split lets cross is counted in its rule.

    Raises:
        BadInputError: too few groups, a part of a given division that is unknown or empty, or a leak, which
            would be a defect.
    """
    keys = records.keys
    if any(records.parts):
        return _given_split(store, records, keys, config)
    groups = group_records(records.fractions, list(keys.values()), config.tolerance)
    rule = {"keys": ["formula", *keys], "tolerance": config.tolerance, "store": store.hash}
    split = make_split(records.ids, groups, config.fractions, config.seed, rule)
    check_leaks(split, records.ids, records.fractions, keys, config.tolerance)
    return split


def _given_split(store: Store, records: Records, keys: dict[str, list[str]], config: SplitConfig) -> Split:
    """The division that the records came with; those that came with no part are left out and counted."""
    _check_parts(records)
    parts = {p: tuple(i for i, q in zip(records.ids, records.parts, strict=True) if p == q) for p in PARTS}
    split = Split(**parts, rule={"given": True, "store": store.hash, "without_part": records.parts.count("")})
    leaks = count_leaks(split, records.ids, records.fractions, keys, config.tolerance)
    crossing = {"composition": leaks.compositions, **leaks.keys}
    return replace(split, rule={**split.rule, "crossing": crossing, "tolerance": config.tolerance})


def _check_parts(records: Records) -> None:
    """Refuses names of parts that nobody would look for, and a division that lacks one."""
    unknown = next((i for i, p in enumerate(records.parts) if p and p not in PARTS), None)
    if unknown is not None:
        raise BadInputError(
            f"unknown part {records.parts[unknown]!r}",
            record=records.ids[unknown],
            field="split",
            remedy=f"Name the parts {', '.join(PARTS)}.",
        )
    if absent := [p for p in PARTS if p not in records.parts]:
        raise BadInputError(
            f"no record of the division belongs to {absent[0]}",
            field="split",
            remedy="Complete the division, or leave it out to have one made.",
        )


def open_prepared(store: Store, config: SplitConfig) -> Prepared:
    """Reads a store's table and divides it."""
    records = read_records(store)
    split = split_store(store, records, config)
    return Prepared(store, records, split, split.rows(records.ids))


@dataclass(frozen=True, eq=False)
class TextSide:
    """The text window of one store.

    Attributes:
        reader: reads queries; None without a text window.
        bank: features of the store's texts.
        shapes: sizes that the model needs.
    """

    reader: TextReader | None
    bank: TextBank | TokenBank | None
    shapes: Shapes


def read_texts(
    prepared: Prepared,
    recipe: Recipe,
    progress: Progress | None = None,
    also: Mapping[str, float] | None = None,
) -> TextSide:
    """Text features of a store under a recipe; frozen embeddings come from the cache where they can.

    Args:
        prepared: store, records and split.
        recipe: which encoder and which views.
        progress: called while frozen embeddings are computed.
        also: views that a later stage will want.

    Raises:
        BadInputError: the text encoder cannot be had, cannot be tuned as the recipe wants, or is frozen where
            tokens are to be changed.
        MissingExtraError: transformers is not installed.
    """
    if "text" not in recipe.windows:
        return TextSide(None, None, Shapes())
    config, train = recipe.encoders.text, prepared.rows["train"]
    chances = {**(also or {}), **recipe.views.text}
    first = evaluated_view(prepared.records, recipe.views.text)
    if config.kind == "frozen":
        from prismat.encoders.huggingface import FrozenSentenceEncoder

        if recipe.views.tokens is not None:
            raise BadInputError(
                "frozen text is not read by tokens",
                field="views.tokens",
                remedy="Set it to None, or encoders.text.kind to bpe or tuned.",
            )
        encoder = FrozenSentenceEncoder(hugging_face(config))
        lexicon = training_lexicon(prepared.records, train)
        reader = FrozenReader(encoder, lexicon, cache_dir() / "text")
        report = (lambda done, total: progress(done, total, {})) if progress else None
        bank = build_text_bank(prepared.records, reader, train, chances, report, first)
        return TextSide(reader, bank, Shapes(embedding_width=encoder.width))
    if config.kind == "tuned":
        from prismat.encoders.huggingface import HuggingFaceEncoder

        own = EncoderReader(HuggingFaceEncoder(hugging_face(config)))
        return TextSide(own, build_token_bank(prepared.records, own, chances, first), Shapes())
    texts = view_texts(prepared.records, chances, first)
    tokenizer = train_tokenizer([t for v in texts.values() for t in np.array(v)[train]], config.vocabulary)
    # What is longer than the encoder has positions is cut, in training and in queries alike.
    tokenizer.enable_truncation(min(MAX_TOKENS, config.bpe.max_tokens))
    tokens = TokenReader(tokenizer)
    bank = build_token_bank(prepared.records, tokens, chances, first)
    return TextSide(tokens, bank, Shapes(vocabulary=tokenizer.get_vocab_size()))


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives.

    Attributes:
        prismat: the model, ready to use.
        data: windows of the store.
        outcome: history and cost.
        objective: its learned temperatures by pair, as 1/τ.
    """

    prismat: Prismat
    data: StoreData
    outcome: Outcome
    scales: dict[str, float]

    @property
    def validation(self) -> dict[str, float]:
        """Scores by direction of the validation that chose the weights; empty where there was none."""
        best = [e for e in self.outcome.history if e["step"] == self.outcome.best_step]
        return {k.removeprefix("val/"): v for k, v in best[0].items() if k.startswith("val/")} if best else {}


def train(
    prepared: Prepared,
    job: Job,
    folder: Path,
    text: TextSide,
    validate: Callable[[Prismat, StoreData], dict[str, float]],
    progress: Progress | None = None,
    world: World = World(),
) -> Trained:
    """Trains one recipe into a run folder, or goes on with it.

    Args:
        prepared: store, records and split.
        job: recipe and length.
        folder: the run folder; the model is saved in ``folder/model``, checkpoints in ``folder/checkpoint``
            and, of a second stage, in ``folder/fine_tune/checkpoint``, with the model before it in
            ``folder/first_stage``.
        text: the text window, from ``read_texts``.
        validate: scores a model on validation rows; must give ``score``.
        progress: called after every step.
        world: the ranks that share the batches; rank 0 alone writes.

    Raises:
        MismatchError: the store was prepared with other settings, or the folder holds another job.
    """
    recipe = job.recipe
    check_store(prepared.store, recipe)
    seed_everything(job.train.seed)
    used = as_used(recipe, text.reader.describe() if text.reader else None)
    model = build_model(used, text.shapes.embedding_width, text.shapes.vocabulary)
    objective, auxiliary = recipe_objective(recipe), recipe_auxiliary(recipe, model)
    prismat = Prismat(model, recipe, text.reader, text.shapes)
    data = store_data(prepared, prismat, text)
    identity = digest(to_json(job), prepared.split.hash, text.reader.identity() if text.reader else None)
    check_job(folder / "checkpoint", identity)
    if world.is_main:
        write_json(folder / "config.json", to_json(job))
        write_text(folder / "split.json", prepared.split.to_json())
    for module in (model, objective, auxiliary):
        module.to(world.device).train()
    learner = ContrastiveLearner(
        model, objective, data, job.train.chunk, auxiliary, world, job.train.optimizer.bf16
    )
    trainable, before = [p for p in model.parameters() if p.requires_grad], 0.0
    for name, stage in _stages(job).items():
        learner.data = store_data(prepared, prismat, text, stage.text)
        own = folder / name
        if name and world.is_main:
            Prismat(model, recipe, text.reader, text.shapes).save(folder / "first_stage")
        for parameter in trainable:
            parameter.requires_grad_(True)
        outcome = Trainer(learner, prepared.rows["train"], stage.train).fit(
            own / "checkpoint",
            identity,
            lambda _: validate(prismat, data),
            Tracker(own, job.train.tensorboard and world.is_main),
            progress,
        )
        before = outcome.seconds = before + outcome.seconds
    for parameter in trainable:
        parameter.requires_grad_(True)
    model.to("cpu").eval()
    return Trained(prismat, data, outcome, objective.scales())


@dataclass(frozen=True)
class _Stage:
    """Length and rate of a stage, and its text views where they differ."""

    train: TrainConfig
    text: dict[str, float]


def _stages(job: Job) -> dict[str, _Stage]:
    """The stages of a training by folder inside the run's."""
    stages, tune = {"": _Stage(job.train, {})}, job.fine_tune
    if tune.steps:
        every = min(job.train.evaluate_every, tune.steps)
        optimizer = replace(
            job.train.optimizer,
            learning_rate=tune.learning_rate,
            schedule=tune.schedule,
            freeze=tune.freeze,
        )
        tuned = replace(job.train, steps=tune.steps, evaluate_every=every, curriculum=(), optimizer=optimizer)
        stages["fine_tune"] = _Stage(tuned, tune.text)
    return stages


def store_data(
    prepared: Prepared, prismat: Prismat, text: TextSide, chances: Mapping[str, float] | None = None
) -> StoreData:
    """The windows of a store under a model; ``chances`` of the text views replace the recipe's."""
    records, recipe = prepared.records, prismat.recipe
    views = replace(recipe.views, text=dict(chances)) if chances else recipe.views
    labels = [records.text_label, records.structure_label]
    if "properties" in recipe.windows:
        labels.append(property_labels(records.table["properties"], recipe.measured.properties))
    return StoreData(prepared.store, recipe.windows, prismat.modalities, text.bank, views, labels)


def peak_memory_mb() -> float:
    """Peak resident memory of this process in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2


def environment() -> dict[str, str | int]:
    """Versions and machine, for reports."""
    import platform
    from importlib.metadata import version

    return {
        "prismat": version("prismat"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
