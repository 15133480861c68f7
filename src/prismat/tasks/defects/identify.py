"""The defect task: every system under one division, the test part looked at once, baselines beside it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.encoders.resnet import ImageEncoder
from prismat.recipes.serial import to_json
from prismat.store import Store
from prismat.tasks.classification import baseline_metrics, classification_metrics, paired_differences
from prismat.tasks.defects.labels import PictureClasses, picture_classes
from prismat.tasks.defects.page import defects_page
from prismat.tasks.defects.pictures import Pictures, open_pictures
from prismat.tasks.defects.systems import (
    DefectsConfig,
    encoder_features,
    fresh_encoder,
    frozen_probabilities,
    run_encoder,
    statistics_probabilities,
    tuned_probabilities,
)
from prismat.tasks.quickstart import Talk
from prismat.tasks.report import to_plain
from prismat.tasks.result import write_result
from prismat.training.session import environment, peak_memory_mb

STATISTICS = "image statistics, linear"
NAME = "defects"
Said = dict[str, Float[np.ndarray, "test classes"]]


@dataclass(frozen=True, eq=False)
class Judged:
    """What the systems say of the test part.

    Attributes:
        main: name of the system asked for.
        said: probabilities of the classes by system.
        cost: of those that were trained as a whole.
        weights_from: where the weights of a fresh encoder began.
    """

    main: str
    said: Said
    cost: dict[str, dict[str, float]]
    weights_from: str


def identify_defects(
    store: Store, config: DefectsConfig, out: Path, run: Path | None = None, talk: Talk = Talk()
) -> dict[str, Any]:
    """Tells the classes of a store's pictures and writes defects.json, defects.html and the figures.

    Args:
        store: with pictures and classes.
        config: what is told apart, by what.
        out: the folder that is written.
        run: whose image encoder is used; a network of its own where left out.
        talk: how progress is told.

    Returns:
        The figures, as they are in defects.json.

    Raises:
        BadInputError: no pictures or classes, or a model without an image window.
        MismatchError: the store was prepared with other settings than the model reads.
        MissingExtraError: timm is not installed.
    """
    started = time.monotonic()
    pictures = open_pictures(store, run, config.size)
    classes = picture_classes(pictures.prepared, pictures.present, config.label, config.threshold)
    judged = judge(pictures, classes, config, out, talk)
    result = _result(pictures, classes, judged, config)
    result["cost"] |= {"wall_s": time.monotonic() - started, "peak_rss_mb": peak_memory_mb()}
    plain = to_plain(result)
    page = defects_page(plain, pictures, classes, judged.said[judged.main])
    write_result(out, NAME, plain, page)
    return plain


def judge(
    pictures: Pictures, classes: PictureClasses, config: DefectsConfig, out: Path, talk: Talk = Talk()
) -> Judged:
    """Fits every system on train, chooses on val, and asks it about test.

    With a run its encoder stands beside the same network with fresh weights, the single-window baseline.
    """
    with_run, word = pictures.prismat is not None, config.mode
    fresh = fresh_encoder(pictures, config)
    origin = fresh.weights_from if isinstance(fresh, ImageEncoder) else "scratch"
    encoders = {f"aligned encoder, {word}": run_encoder(pictures)} if with_run else {}
    encoders[f"{'random' if origin == 'scratch' else 'pretrained'} weights, {word}"] = fresh
    main = next(iter(encoders))
    said: Said = {}
    cost: dict[str, dict[str, float]] = {}
    for name, encoder in encoders.items():
        if config.mode == "tuned":
            folder = out / name.replace(",", "").replace(" ", "_")
            said[name], cost[name] = tuned_probabilities(encoder, pictures, classes, config, folder, talk)
        else:
            rows = np.concatenate(list(classes.rows.values()))
            vectors = encoder_features(encoder, pictures, rows, talk, name)
            said[name] = frozen_probabilities(vectors, classes, config)
    said[STATISTICS] = statistics_probabilities(pictures, classes, config)
    return Judged(main, said, cost, origin)


def _result(
    pictures: Pictures, classes: PictureClasses, judged: Judged, config: DefectsConfig
) -> dict[str, Any]:
    test, train = classes.rows["test"], classes.rows["train"]
    truth, groups = classes.of[test], pictures.groups[test]
    others = [name for name in judged.said if name != judged.main]
    main = judged.said[judged.main]
    return {
        "task": NAME,
        "system": judged.main,
        "label": classes.label,
        "threshold": config.threshold,
        "classes": classes.names,
        "metrics": {name: classification_metrics(truth, p, groups) for name, p in judged.said.items()},
        "baselines": baseline_metrics(truth, classes.of[train], len(classes.names), groups),
        "differences": {name: paired_differences(truth, main, judged.said[name], groups) for name in others},
        "dataset": _dataset(pictures, classes),
        "model": {
            "run_hash": pictures.prismat.hash if pictures.prismat else None,
            "windows": list(pictures.prismat.recipe.windows) if pictures.prismat else None,
            "trained_on_this_split": pictures.is_own,
            "fresh_weights_from": judged.weights_from,
        },
        "config": to_json(config),
        "cost": {"training": judged.cost},
        "environment": environment(),
    }


def _dataset(pictures: Pictures, classes: PictureClasses) -> dict[str, Any]:
    info, split = pictures.prepared.store.info, pictures.prepared.split
    return {
        "source": info["job"]["source"],
        "licence": info["licence"],
        "citation": info["citation"],
        **{part: len(rows) for part, rows in classes.rows.items()},
        "left_out": classes.left_out,
        "groups_in_test": len(np.unique(pictures.groups[classes.rows["test"]])),
        "pixels": pictures.size,
        "split": {"hash": split.hash, "rule": split.rule},
    }
