"""A text task from files to a page: encoders aligned and unaligned, and baselines, on the same test part."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from prismat.files import digest
from prismat.recipes.serial import to_json
from prismat.store import Store
from prismat.tasks.classification import baseline_metrics, classification_metrics, paired_differences
from prismat.tasks.quickstart import Talk
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result
from prismat.tasks.text_tasks.classify import class_outputs, classify_texts
from prismat.tasks.text_tasks.corpus import LabelledTexts, TaggedSentences, crossing
from prismat.tasks.text_tasks.encoders import ALIGNED, Rivals, open_rivals
from prismat.tasks.text_tasks.page import text_page
from prismat.tasks.text_tasks.read_csv import read_labelled
from prismat.tasks.text_tasks.read_tags import read_bio, read_sofc
from prismat.tasks.text_tasks.settings import TextTaskConfig
from prismat.tasks.text_tasks.spans import entity_differences, entity_metrics
from prismat.tasks.text_tasks.tagging import tag_sentences
from prismat.training.session import environment, peak_memory_mb

NAME = "text_task"


def run_text_task(
    run: Path, data: Path, config: TextTaskConfig, out: Path, store: Store | None = None, talk: Talk = Talk()
) -> dict[str, Any]:
    """Runs a text task and writes text_task.json, text_task.html and the figure.

    Args:
        run: whose text encoder is used.
        data: a file or a folder, read as ``config.format`` says.
        config: the task.
        out: the folder that is written.
        store: the run's own, whose texts train the language model that stands beside.
        talk: how progress is told.

    Returns:
        The figures, as they are in text_task.json; no text of the data is in it.

    Raises:
        BadInputError: data that cannot be read, or a run that cannot do the task.
    """
    started = time.monotonic()
    corpus = read_corpus(data, config)
    rivals = open_rivals(run, store, out.parent / "language_model", config.seed, talk)
    work = out / f"{config.task}_{config.mode}"
    found = (
        _classified(corpus, rivals, config, work, talk)
        if isinstance(corpus, LabelledTexts)
        else _tagged(corpus, rivals, config, work, talk)
    )
    texts = corpus.texts
    result = {
        "task": NAME,
        "kind": config.task,
        "system": ALIGNED,
        **found,
        "dataset": {
            "name": Path(data).name,
            "hash": digest(texts),
            **{part: len(rows) for part, rows in corpus.parts.items()},
            "given_division": corpus.given,
            "left_out": len(corpus.left_out),
            "left_out_first": corpus.left_out[:10],
            "texts_also_in_train": crossing(texts, corpus.parts),
        },
        "model": {
            "run_hash": rivals.prismat.hash,
            "recipe": rivals.prismat.recipe.name,
            "text": rivals.reader.describe(),
            "rivals_left_out": rivals.left_out,
        },
        "config": to_json(config),
        "cost": {"wall_s": time.monotonic() - started, "peak_rss_mb": peak_memory_mb()},
        "environment": environment(),
    }
    plain = to_plain(result)
    write_result(out, NAME, plain, text_page(plain))
    return plain


def read_corpus(data: Path, config: TextTaskConfig) -> LabelledTexts | TaggedSentences:
    """The data of a task.

    Raises:
        BadInputError: it cannot be read.
    """
    if config.format == "csv":
        return read_labelled(data, config.text_column, config.label_column, config.seed)
    return read_sofc(data, config.level) if config.format == "sofc" else read_bio(data, config.seed)


def _classified(
    corpus: LabelledTexts, rivals: Rivals, config: TextTaskConfig, folder: Path, talk: Talk
) -> dict[str, Any]:
    names, outputs = class_outputs(corpus)
    said = classify_texts(corpus, rivals, config, folder, talk)
    test, train = outputs.of[corpus.parts["test"]], outputs.of[corpus.parts["train"]]
    others = [name for name in said if name != ALIGNED]
    return {
        "classes": names,
        "metrics": {name: classification_metrics(test, p) for name, p in said.items()},
        "baselines": baseline_metrics(test, train, len(names)),
        "differences": {name: paired_differences(test, said[ALIGNED], said[name]) for name in others},
    }


def _tagged(
    corpus: TaggedSentences, rivals: Rivals, config: TextTaskConfig, folder: Path, talk: Talk
) -> dict[str, Any]:
    said = tag_sentences(corpus, rivals, config, folder, talk)
    test = corpus.parts["test"]
    truth, groups = [corpus.tags[row] for row in test], corpus.documents[test]
    others = [name for name in said if name != ALIGNED]
    metrics = {name: entity_metrics(truth, tags, groups) for name, tags in said.items()}
    return {
        "classes": list(metrics[ALIGNED]["per_type"]),
        "documents_in_test": len(np.unique(groups)),
        "metrics": metrics,
        "baselines": {},
        "differences": {
            name: entity_differences(truth, said[ALIGNED], said[name], groups) for name in others
        },
    }
