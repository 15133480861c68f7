"""A head fitted, calibrated and judged, from an opened run to a folder that holds it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismat.api import Prismat
from prismat.heads.base import lean_model
from prismat.heads.conformal import Conformal
from prismat.heads.features import Features, encode_rows
from prismat.heads.files import save_head
from prismat.heads.fit import Fitted
from prismat.heads.model import HeadSpec, PropertyHead
from prismat.heads.tune import tune_head
from prismat.recipes.serial import to_json
from prismat.recipes.systems import PLAIN
from prismat.tasks.opened import Opened
from prismat.tasks.property.card import head_card
from prismat.tasks.property.config import PropertyConfig
from prismat.tasks.property.curve import Point, learning_curve
from prismat.tasks.property.figures import Said, Truth, calibrated, coverage, measure
from prismat.tasks.property.setting import (
    COMPOSITION,
    MAIN,
    Setting,
    fit_system,
    places,
    systems,
    with_windows,
)
from prismat.tasks.property.subsets import choose_rows
from prismat.tasks.property.targets import read_target
from prismat.tasks.quickstart import Talk
from prismat.training.session import environment
from prismat.training.windows import StoreData

FROZEN = "frozen encoders"
HEAD_FOLDER = "head"


@dataclass(frozen=True, eq=False)
class Found:
    """What an experiment found.

    Attributes:
        head: saved in the folder.
        report: in JSON types but for tuples and arrays.
        truth: known values.
        said: by system, ``model`` first, ``composition`` among them.
        curve: points of the learning curve.
    """

    head: PropertyHead
    report: dict[str, Any]
    truth: Truth
    said: dict[str, Said]
    curve: list[Point]


def run_property(
    opened: Opened, config: PropertyConfig, folder: Path, features: Path | None = None, talk: Talk = Talk()
) -> Found:
    """Fits a head to a trained model's windows, calibrates it, judges it on the test part, and saves it.

    The same head is fitted to the formula alone and, of several windows, to each by itself. Half of the
    validation part chooses weights and strengths, the other half calibrates intervals; test records are read
    once, after all choices.

    Args:
        opened: model and store; its text view should be the config's.
        config: what is wanted.
        folder: receives the saved head in ``head``, and checkpoints of tuned encoders.
        features: folder that keeps features for other targets; ``folder/features`` where None.
        talk: how progress is told.

    Raises:
        BadInputError: no such target or window, or too few records.
        MismatchError: the folder holds a tuning of another job.
    """
    started = time.monotonic()
    labelled = read_target(opened.prepared.store, opened.rows["train"], config)
    setting = Setting(opened, config, labelled, choose_rows(opened, labelled, config.limited))
    setting, own = with_windows(setting, features or folder / "features", talk)
    read = systems(setting, own)
    fitted = {name: _fit(setting, x, name, talk) for name, x in read.items()}
    said = {name: _said(setting, fitted[name], x) for name, x in read.items()}
    prismat, kept = None, fitted[MAIN]
    if config.tune is not None:
        prismat, kept, tuned = _tune(setting, fitted[MAIN], folder, talk)
        said = {MAIN: tuned, FROZEN: said[MAIN]} | {k: v for k, v in said.items() if k != MAIN}
    prismat = prismat or lean_model(opened.prismat, config.windows, config.head.feature)
    truth = _truth(setting)
    head = _head(setting, prismat, kept, calibrated(truth, said[MAIN], config.interval == "normalised"))
    curve = learning_curve(setting, {n: read[n] for n in (MAIN, COMPOSITION) if n in read}, talk)
    report = _report(setting, truth, said, head.conformal, curve)
    report["cost"] = {"seconds": round(time.monotonic() - started, 1)}
    head.card = head_card(head, report)
    save_head(head, folder / HEAD_FOLDER)
    return Found(head, report, truth, said, curve)


def _fit(setting: Setting, features: Features, name: str, talk: Talk) -> Fitted:
    told = lambda done, total, entry: talk.bar(f"head on {name}", done, total, entry)  # noqa: E731
    where = places(setting)
    return fit_system(setting, features, where["train"], where["stop"], told=told)


def _said(setting: Setting, fitted: Fitted, features: Features) -> Said:
    """What a system says of the calibration and of the test records."""
    said = {n: fitted.members(features.take(p)) for n, p in places(setting).items() if n != "train"}
    floor = 0.0 if setting.classes else float(said["stop"][..., 0].std(0).mean())
    return Said(said["calibrate"], said["test"], floor)


def _tune(setting: Setting, start: Fitted, folder: Path, talk: Talk) -> tuple[Prismat, Fitted, Said]:
    """Encoders trained along, and what they then say."""
    config, opened, rows = setting.config, setting.opened, setting.rows
    told = lambda done, total, entry: talk.bar("encoders and head", done, total, entry)  # noqa: E731
    tuned = tune_head(
        opened,
        config.windows,
        start,
        setting.labelled.values,
        rows.train,
        rows.stop,
        config.tune,  # ty: ignore[invalid-argument-type]
        folder / "tuning",
        told,
    )
    data = StoreData(
        opened.prepared.store,
        opened.prismat.recipe.windows,
        opened.prismat.modalities,
        opened.data.text,
        PLAIN,
        (),
    )
    held = np.concatenate([rows.stop, rows.calibrate, rows.test])
    features = encode_rows(tuned.prismat, data, held, config.windows, config.head.feature)
    stop, calibrate, test = np.split(
        tuned.fitted.members(features), np.cumsum([len(rows.stop), len(rows.calibrate)]), axis=1
    )
    floor = 0.0 if setting.classes else float(stop[..., 0].std(0).mean())
    return tuned.prismat, tuned.fitted, Said(calibrate, test, floor)


def _truth(setting: Setting) -> Truth:
    values, rows = setting.labelled.values, setting.rows
    groups = setting.opened.groups[rows.test]
    return Truth(values[rows.calibrate], values[rows.test], values[rows.train], groups, setting.classes)


def _head(setting: Setting, prismat: Prismat, fitted: Fitted, conformal: Conformal) -> PropertyHead:
    config = setting.config
    first, text = fitted.heads[0].config, setting.opened.data.text
    spec = HeadSpec(
        setting.labelled.target,
        config.windows,
        first,
        config.text_view or (text.names[0] if text else "title"),
        setting.opened.prismat.hash,
        config.tune is not None,
    )
    return PropertyHead(prismat, spec, fitted, conformal)


def _report(
    setting: Setting, truth: Truth, said: Mapping[str, Said], conformal: Conformal, curve: list[Point]
) -> dict[str, Any]:
    opened, labelled, rows = setting.opened, setting.labelled, setting.rows
    info, target = opened.prepared.store.info, labelled.target
    others = {
        kind: coverage(truth, said[MAIN], calibrated(truth, said[MAIN], kind == "normalised"))
        for kind in ("normalised", "absolute")
        if not truth.classes and (kind == "absolute" or said[MAIN].has_spread)
    }
    return {
        "target": to_json(target) | {"own_unit": target.own_unit},
        "config": to_json(setting.config),
        "dataset": {
            "source": info["job"]["source"],
            "licence": info["licence"],
            "citation": info["citation"],
            "train": len(rows.train),
            "stop": len(rows.stop),
            "calibrate": len(rows.calibrate),
            "test": len(rows.test),
            "without_target": rows.left_out,
            "left_out": labelled.left_out,
            "split": {"hash": opened.prepared.split.hash, "rule": opened.prepared.split.rule},
            "is_own_split": opened.is_own,
        },
        **measure(truth, said),
        "coverage": coverage(truth, said[MAIN], conformal),
        "coverage_by_interval": others,
        "interval": "set" if truth.classes else "absolute" if conformal.floor is None else "normalised",
        "curve": [to_json(point) for point in curve],
        "environment": environment(),
        "model_hash": opened.prismat.hash,
    }
